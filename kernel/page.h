// SPDX-License-Identifier: MIT
/*
 * 4 KB pages at their names, inline: what space_enter() and space_take() do for them.  Nearly all mappings
 * are such pages, and the loops of map.c and revoke.c do little else.  [G52]
 */
#ifndef KERNEL_PAGE_H
#define KERNEL_PAGE_H

#include "kernel/cpu.h"
#include "kernel/task.h"

#define PTE_REFS (PTE_ACCESSED | PTE_DIRTY)

ALWAYS_INLINE uint32_t dir_index(uint32_t name) { return name >> SUPER_SHIFT; }
ALWAYS_INLINE uint32_t table_index(uint32_t name) { return (name >> PAGE_SHIFT) & 1023u; }

/* The page table (or view) that a directory entry points to. */
ALWAYS_INLINE uint32_t *table_of(uint32_t pde) { return phys_to_virt(pde & 0xfffff000u); }

/* What a shadow directory entry is: a table (even, not 0) or a 4 MB node. */
ALWAYS_INLINE struct node **shadow_table(uint32_t entry)
{
    return (struct node **)(uintptr_t)entry;
}
ALWAYS_INLINE struct node *shadow_super(uint32_t entry)
{
    return (struct node *)(uintptr_t)(entry & ~1u);
}

/* Is n the node of a 4 KB page? */
ALWAYS_INLINE bool node_is_page(const struct node *n)
{
    return (n->name & 0xff0u) == L4_FPAGE(0, L4_SPACE_MEM, PAGE_SHIFT, 0);
}

/* The node, small or 4 MB, at an address below L4_USER_TOP; NULL: none. */
ALWAYS_INLINE struct node *page_lookup(const struct task *task, uint32_t address)
{
    uint32_t entry = task->pd_shadow[dir_index(address)];

    if (entry & 1u)
        return shadow_super(entry);
    return entry ? shadow_table(entry)[table_index(address)] : NULL;
}

/* Most spaces that change are not loaded: spare them the call. */
ALWAYS_INLINE void page_flush(const struct task *task, uint32_t address)
{
    if (task == this_cpu()->loaded)
        arch_tlb_flush_page(task, address);
}

/* Put n, which says task and name, into its free slot, and show it in the hardware entry. */
ALWAYS_INLINE void page_enter(struct node *n, struct node **slot, uint32_t *entry)
{
    ASSERT(node_is_page(n) && !*slot);
    *slot = n;
    if (LIKELY(!frame_is_converted(n->obj)))
        *entry = pte_make(n->obj, node_rights(n), (n->flags & NODE_DEVICE) != 0, false);
}

/* Out of its name; the reference bits as flags of NODE_REFS. */
ALWAYS_INLINE uint32_t page_take(struct node *n)
{
    struct task *task = n->task;
    uint32_t base = node_base(n), dir = dir_index(base), index = table_index(base);
    struct node **slot = &shadow_table(task->pd_shadow[dir])[index];
    uint32_t *entry = &table_of(task->pd[dir])[index], old = *entry, refs;

    ASSERT(*slot == n);
    *slot = NULL;
    *entry = 0;
    n->task = NULL;
    n->name &= ~15u;
    if (old)
        page_flush(task, base);
    /* Both pairs of bits side by side: NODE_REF_* are PTE_* one place further up. */
    STATIC_ASSERT(PTE_ACCESSED << 1 == NODE_REF_R && PTE_DIRTY << 1 == NODE_REF_W);
    refs = (old & PTE_REFS) << 1;
    if (UNLIKELY(n->flags & NODE_REFS)) {
        refs |= n->flags & NODE_REFS;
        n->flags &= (uint8_t)~NODE_REFS;
    }
    return refs;
}

#endif
