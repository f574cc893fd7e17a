// SPDX-License-Identifier: MIT
/*
 * Debug registers, control registers and the write-protect window of the debugger.  DR7 is 0 whenever a
 * front end runs; its value exists only between arch_debug_arm() and the next arch_debug_quiet().
 */
#include <arch/debug.h>
#include <arch/frame.h>
#include <arch/paging.h>
#include "arch/ia32/arch.h"
#include "kernel/debug/debug.h"
#include "kernel/kpage.h"

STATIC_ASSERT(offsetof(struct debug_regs, eflags) == 36); /* stack.asm */
STATIC_ASSERT(offsetof(struct debug_regs, cs) == 40);
STATIC_ASSERT(offsetof(struct debug_regs, vector) == 52);
STATIC_ASSERT(offsetof(struct debug_regs, user) == 60);

static uint32_t read_dr7(void)
{
    uint32_t value;
    __asm__ volatile("mov %%dr7, %0" : "=r"(value));
    return value;
}

static void write_dr7(uint32_t value)
{
    __asm__ volatile("mov %0, %%dr7" : : "r"(value));
}

uint32_t arch_debug_quiet(void)
{
    uint32_t dr6;
    write_dr7(0x400u);
    dr6 = read_dr6();
    write_dr6(DR6_NONE); /* sticky: nobody else clears it */
    return dr6;
}

void arch_debug_arm(unsigned slot, uint32_t address, unsigned length, bool access)
{
    switch (slot) {
    case 0: __asm__ volatile("mov %0, %%dr0" : : "r"(address)); break;
    case 1: __asm__ volatile("mov %0, %%dr1" : : "r"(address)); break;
    case 2: __asm__ volatile("mov %0, %%dr2" : : "r"(address)); break;
    case 3: __asm__ volatile("mov %0, %%dr3" : : "r"(address)); break;
    default: return;
    }
    uint32_t type = length == 0 ? 0u : access ? 3u : 1u;
    uint32_t size = length <= 1 ? 0u : length - 1u; /* 00 one byte, 01 two, 11 four */
    uint32_t dr7 = read_dr7() & ~(15u << (16 + 4 * slot));
    dr7 |= (type | size << 2) << (16 + 4 * slot) | 2u << (2 * slot) | 0x200u;
    write_dr7(dr7);
}

bool arch_debug_kernel_phys(uint32_t address, uint32_t *phys)
{
    uint32_t cr0, cr3;
    __asm__ volatile("mov %%cr0, %0" : "=r"(cr0));
    if (!(cr0 & 0x80000000u)) {
        *phys = address;
        return true;
    }
    __asm__ volatile("mov %%cr3, %0" : "=r"(cr3));
    cr3 &= 0xfffff000u;
    if (cr3 >= PHYS_DIRECT_MAX)
        return false;
    const uint32_t *pd = phys_to_virt(cr3);
    uint32_t pde = pd[address >> SUPER_SHIFT];
    if (!(pde & PTE_PRESENT))
        return false;
    if (pde & PTE_SUPER) {
        *phys = (pde & 0xffc00000u) | (address & (SUPER_SIZE - 1));
        return true;
    }
    if ((pde & 0xfffff000u) >= PHYS_DIRECT_MAX)
        return false;
    const uint32_t *pt = phys_to_virt(pde & 0xfffff000u);
    uint32_t pte = pt[address >> PAGE_SHIFT & 1023u];
    if (!(pte & PTE_PRESENT))
        return false;
    *phys = (pte & 0xfffff000u) | (address & (PAGE_SIZE - 1));
    return true;
}

void arch_debug_poke(void *to, const void *from, unsigned size)
{
    uint32_t cr0;
    __asm__ volatile("mov %%cr0, %0" : "=r"(cr0));
    __asm__ volatile("mov %0, %%cr0" : : "r"(cr0 & ~CR0_WP) : "memory");
    volatile uint8_t *out = to; /* not memcpy: that may have a breakpoint in it just now */
    const volatile uint8_t *in = from;
    for (unsigned i = 0; i < size; i++)
        out[i] = in[i];
    __asm__ volatile("mov %0, %%cr0" : : "r"(cr0) : "memory");
}

void arch_debug_system(uint32_t cr[4])
{
    __asm__ volatile("mov %%cr0, %0" : "=r"(cr[0]));
    __asm__ volatile("mov %%cr2, %0" : "=r"(cr[1]));
    __asm__ volatile("mov %%cr3, %0" : "=r"(cr[2]));
    /* EFLAGS.ID can be changed: CPUID exists, and so does CR4 on all such models. */
    uint32_t before, after;
    __asm__ volatile("pushfl\n\tpopl %0\n\tmovl %0, %1\n\txorl $0x200000, %1\n\tpushl %1\n\tpopfl\n\t"
                     "pushfl\n\tpopl %1\n\tpushl %0\n\tpopfl"
                     : "=&r"(before), "=&r"(after) : : "cc", "memory");
    cr[3] = 0;
    if ((before ^ after) & 0x200000u)
        __asm__ volatile("mov %%cr4, %0" : "=r"(cr[3]));
}
