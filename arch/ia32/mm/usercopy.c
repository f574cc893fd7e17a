// SPDX-License-Identifier: MIT
/*
 * Words between kernel and user memory by one string instruction.  If it faults, ECX still says how many
 * words are left; trap.c puts CR2 into EAX and goes on behind the instruction.
 */
#include <arch/cpu.h>
#include "arch/ia32/arch.h"

extern const char usercopy_instruction[], usercopy_end[];

/* The labels exist once: no copy of this function may be made.  Clang makes none of what is not inlined. */
#ifdef __clang__
#define ONE_COPY __attribute__((noinline))
#else
#define ONE_COPY __attribute__((noinline, noclone))
#endif

static unsigned ONE_COPY
copy_words(uint32_t to, uint32_t from, unsigned count, uint32_t *fault)
{
    uint32_t left = count, address = 0;

    __asm__ volatile("usercopy_instruction: rep movsl\n"
                     "usercopy_end:"
                     : "+c"(left), "+D"(to), "+S"(from), "+a"(address) : : "memory");
    if (UNLIKELY(left))
        *fault = address;
    return count - left;
}

unsigned arch_user_read(uint32_t *to, uint32_t address, unsigned count, uint32_t *fault)
{
    return copy_words((uint32_t)(uintptr_t)to, address, count, fault);
}

unsigned arch_user_write(uint32_t address, const uint32_t *from, unsigned count, uint32_t *fault)
{
    return copy_words(address, (uint32_t)(uintptr_t)from, count, fault);
}

uint32_t usercopy_fixup(uint32_t eip)
{
    return eip == (uint32_t)(uintptr_t)usercopy_instruction ? (uint32_t)(uintptr_t)usercopy_end : 0;
}
