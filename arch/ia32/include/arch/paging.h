// SPDX-License-Identifier: MIT
/*
 * Two-level page tables of IA-32: entry formats, and the flushes that go with changes.  Used by the
 * kernel on hardware and, with the same formats, by arch/host.  [G52]
 */
#ifndef ARCH_PAGING_H
#define ARCH_PAGING_H

#include <arch/memory.h>  /* phys_to_virt, virt_to_phys, PHYS_DIRECT_MAX */
#include "kernel/abi/l4sec/abi.h"
#include "kernel/lib/types.h"

#define PTE_PRESENT  0x001u
#define PTE_WRITE    0x002u
#define PTE_USER     0x004u
#define PTE_UNCACHED 0x018u
#define PTE_ACCESSED 0x020u
#define PTE_DIRTY    0x040u
#define PTE_SUPER    0x080u

struct task;

/* The entry for a memory node of these rights; 0 if they do not let user code in (no r). */
ALWAYS_INLINE uint32_t pte_make(paddr_t phys, uint32_t rights, bool device, bool super)
{
    if (!(rights & L4_R))
        return 0;
    return phys | PTE_PRESENT | PTE_USER | (rights & L4_W ? PTE_WRITE : 0u) |
           (device ? PTE_UNCACHED : 0u) | (super ? PTE_SUPER : 0u);
}
ALWAYS_INLINE uint32_t pde_table(paddr_t table) { return table | PTE_PRESENT | PTE_USER | PTE_WRITE; }
ALWAYS_INLINE uint32_t pte_refs(uint32_t pte)
{
    return (pte & PTE_ACCESSED ? L4_R : 0u) | (pte & PTE_DIRTY ? L4_W : 0u);
}

/* Forget cached translations of one user page (or of everything) of this task.  No-op if not loaded. */
void arch_tlb_flush_page(const struct task *task, uint32_t address);
void arch_tlb_flush_all(const struct task *task);
/* Fill the kernel half of a fresh page directory. */
void arch_pagedir_init(uint32_t *pd);
/* Make task's (NULL: the kernel's own) page directory the loaded one.  this_cpu()->loaded follows. */
void arch_load_space(struct task *task);

#endif
