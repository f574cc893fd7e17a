// SPDX-License-Identifier: MIT
/*
 * The kernel's page directory and the hardware half of spaces.  The kernel half is complete when boot
 * ends and never changes again, so every task's directory holds a copy of its 256 entries.
 *
 *   KERNEL_BASE + x   x = physical address, below the end of RAM and 896 MB.  The first 4 MB by boot_table:
 *                     image text and read-only data write-protected, stack guards absent
 *   the last 4 MB     while booting: a window for what is not yet mapped; then nothing
 */
#include <arch/cpu.h>
#include <arch/paging.h>
#include "arch/ia32/arch.h"
#include "kernel/cpu.h"
#include "kernel/lib/string.h"
#include "kernel/task.h"

#define KERNEL_PDE   (KERNEL_BASE >> SUPER_SHIFT)
#define WINDOW_PDE   1023u
#define WINDOW       (WINDOW_PDE << SUPER_SHIFT)
#define KERNEL_ENTRY (PTE_PRESENT | PTE_WRITE)

uint32_t kernel_pd[1024] __attribute__((aligned(4096)));
uint32_t boot_table[1024] __attribute__((aligned(4096)));
static uint32_t window_table[1024] __attribute__((aligned(4096)));

static void flush_page(uint32_t address)
{
    __asm__ volatile("invlpg (%0)" : : "r"(address) : "memory");
}

/* ---- boot ---- */

static void *window(paddr_t phys)
{
    kernel_pd[WINDOW_PDE] = virt_to_phys(window_table) | KERNEL_ENTRY;
    window_table[0] = round_down(phys, PAGE_SIZE) | KERNEL_ENTRY;
    flush_page(WINDOW);
    return (void *)(WINDOW + (phys & (PAGE_SIZE - 1)));
}

void paging_boot_read(void *to, paddr_t from, unsigned size)
{
    uint8_t *at = to;

    while (size) {
        unsigned part = min_u32(size, PAGE_SIZE - (from & (PAGE_SIZE - 1)));
        memcpy(at, window(from), part);
        at += part;
        from += part;
        size -= part;
    }
}

unsigned paging_tables_needed(uint32_t limit)
{
    if (arch_cpu_features() & CPU_PSE)
        return 0;
    unsigned blocks = (limit + SUPER_SIZE - 1) >> SUPER_SHIFT;
    return blocks > 1 ? blocks - 1 : 0; /* boot_table serves the first */
}

void paging_map_direct(uint32_t limit, paddr_t tables)
{
    bool super = (arch_cpu_features() & CPU_PSE) != 0;

    for (uint32_t at = SUPER_SIZE; at < limit; at += SUPER_SIZE) {
        uint32_t *pde = &kernel_pd[KERNEL_PDE + (at >> SUPER_SHIFT)];
        if (super) {
            *pde = at | KERNEL_ENTRY | PTE_SUPER | PTE_GLOBAL;
            continue;
        }
        uint32_t *table = window(tables);
        for (unsigned i = 0; i < 1024; i++)
            table[i] = (at + i * PAGE_SIZE) | KERNEL_ENTRY | PTE_GLOBAL;
        *pde = tables | KERNEL_ENTRY;
        tables += PAGE_SIZE;
    }
}

static void protect(const char *start, const char *end, uint32_t remove)
{
    for (; start < end; start += PAGE_SIZE)
        boot_table[virt_to_phys(start) >> PAGE_SHIFT] &= ~remove;
}

void paging_boot_done(void)
{
    static const char *const guards[] = {
        kernel_stack_guard, debug_stack_guard, trap_stack_guard, fault_stack_guard, nmi_stack_guard,
        check_stack_guard
    };

    for (unsigned i = 0; i < 1024; i++)
        boot_table[i] |= PTE_GLOBAL;
    protect(image_start, rodata_end, PTE_WRITE);
    for (unsigned i = 0; i < ARRAY_SIZE(guards); i++)
        protect(guards[i], guards[i] + PAGE_SIZE, PTE_PRESENT);
    kernel_pd[0] = 0;
    kernel_pd[WINDOW_PDE] = 0;
    write_cr3(virt_to_phys(kernel_pd));
    features_enable_global();
}

/* ---- spaces ---- */

void arch_pagedir_init(uint32_t *pd)
{
    memset(pd, 0, KERNEL_PDE * sizeof *pd);
    memcpy(pd + KERNEL_PDE, kernel_pd + KERNEL_PDE, (1024 - KERNEL_PDE) * sizeof *pd);
}

void arch_load_space(struct task *task)
{
    paddr_t pd = task ? task->pd_phys : virt_to_phys(kernel_pd);

    this_cpu()->loaded = task;
    if (cpu_tss.tss.cr3 == pd)
        return;
    cpu_tss.tss.cr3 = pd; /* what a return from a task gate loads */
    write_cr3(pd);
}

void arch_tlb_flush_page(const struct task *task, uint32_t address)
{
    if (this_cpu()->loaded == task)
        flush_page(address);
}

void arch_tlb_flush_all(const struct task *task)
{
    if (this_cpu()->loaded == task)
        write_cr3(cpu_tss.tss.cr3);
}
