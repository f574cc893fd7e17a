// SPDX-License-Identifier: MIT
/*
 * Words between kernel and user memory, and from one user memory to another, by one string instruction.  If
 * it faults, ECX still says how many words are left; trap.c puts CR2 into EAX and goes on behind it.
 */
#include <arch/cpu.h>
#include <arch/paging.h>
#include "arch/ia32/arch.h"
#include "kernel/task.h"

extern const char usercopy_instruction[], usercopy_end[];
extern const char usersend_first[], usersend_last[], usersend_copy[], usersend_end[];

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

/*
 * Both ends are looked at before the first word goes.  False if any of the words of the loaded task has no
 * entry; then nothing has been written.
 */
static bool ONE_COPY send_words(uint32_t *to, uint32_t from, unsigned count, const uint32_t *last)
{
    uint32_t left = count, scratch = 0;

    __asm__ volatile("usersend_first: movl (%%esi), %%eax\n"
                     "usersend_last:  movl (%%edx), %%eax\n"
                     "usersend_copy:  rep movsl\n"
                     "usersend_end:"
                     : "+c"(left), "+D"(to), "+S"(from), "+a"(scratch) : "d"(last) : "memory");
    return left == 0;
}

/* Where the kernel sees a word of user memory that task may write; NULL: nowhere.  It counts as written. */
ALWAYS_INLINE uint32_t *writable_word(const struct task *task, uint32_t address)
{
    const uint32_t must = PTE_PRESENT | PTE_USER | PTE_WRITE, must_not = PTE_UNCACHED;
    uint32_t *entry = &task->pd[address >> SUPER_SHIFT];
    uint32_t mask = PAGE_SIZE - 1u;
    paddr_t phys;

    if (UNLIKELY((*entry & must) != must))
        return NULL;
    if (LIKELY(!(*entry & PTE_SUPER))) {
        entry = (uint32_t *)phys_to_virt(round_down(*entry, PAGE_SIZE)) + ((address >> PAGE_SHIFT) & 1023u);
        if (UNLIKELY((*entry & (must | must_not)) != must))
            return NULL;
    } else {
        mask = SUPER_SIZE - 1u;
    }
    phys = (*entry & ~mask) | (address & mask);
    if (UNLIKELY((phys >> PAGE_SHIFT) >= frame_count) || UNLIKELY(*entry & must_not))
        return NULL;
    *entry |= PTE_ACCESSED | PTE_DIRTY;
    return phys_to_virt(phys);
}

bool arch_user_send(const struct task *to, uint32_t address, uint32_t from, unsigned count)
{
    const uint32_t *last = (const uint32_t *)(uintptr_t)(from + 4u * (count - 1u));
    uint32_t room = (0u - address) & (PAGE_SIZE - 1u); /* to the end of the page; 0: all of it */
    uint32_t *first = writable_word(to, address), *second;

    if (UNLIKELY(!first))
        return false;
    if (LIKELY(count * 4u <= room) || !room)
        return send_words(first, from, count, last);
    second = writable_word(to, address + room);
    if (!second || address & 3u || !send_words(first, from, room / 4u, last))
        return false;
    return send_words(second, from + room, count - room / 4u, last);
}

uint32_t usercopy_fixup(uint32_t eip)
{
    if (eip == (uint32_t)(uintptr_t)usercopy_instruction)
        return (uint32_t)(uintptr_t)usercopy_end;
    if (eip == (uint32_t)(uintptr_t)usersend_first || eip == (uint32_t)(uintptr_t)usersend_last ||
        eip == (uint32_t)(uintptr_t)usersend_copy)
        return (uint32_t)(uintptr_t)usersend_end;
    if (eip == usersend_fast[0] || eip == usersend_fast[1] || eip == usersend_fast[2])
        return usersend_fast[3];
    return 0;
}
