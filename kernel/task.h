// SPDX-License-Identifier: MIT
/*
 * A task: three name spaces and the threads bound to it.  [M 2.1] [G50] [G52] [G53] [G54]
 *
 *  capability space  cap_dir[id >> 10] -> table (kernel address) -> struct node *
 *  memory space      pd: hardware page directory, a cache; pd_shadow: the truth.  A shadow entry is
 *                    0, a table of 1024 struct node * (even), or a 4 MB node | 1.
 *  IO space          lists of nodes, one for each block of 256 ports, which begin in the shadow entries above those
 *                    of user memory; plus the two bitmap pages that the TSS copies
 */
#ifndef KERNEL_TASK_H
#define KERNEL_TASK_H

#include <arch/paging.h>
#include "kernel/kpage.h"
#include "kernel/object.h"

struct task {
    struct kobj obj;
    uint32_t *pd;               /* hardware page directory, kernel address */
    paddr_t pd_phys;
    uint32_t *pd_shadow;        /* see above */
    struct node ***cap_dir;     /* 1024 tables or NULL */
    uint8_t *io_bitmap[2];      /* bit set = no access */
    uint32_t io_nodes;          /* how many there are */
    struct thread *threads;     /* bound threads, doubly linked by task_next/task_prev, NULL-ended */
    uint32_t io_version;        /* changes with io_bitmap; 0 = no ports at all */
    uint32_t reap_at;           /* destruction: next name block */
    bool io_filled;             /* io_bitmap has been made: not before the task has a port */
    uint8_t spare[167];         /* the published size has room for what is to come */
};
STATIC_ASSERT(sizeof(void *) != 4 || sizeof(struct task) == L4_SIZE_TASK);

/* ---- look-ups: never fault, any word is a legal question ---- */

/* The node at capability number id, or NULL (also for the invalid one, id beyond 20 bits). */
ALWAYS_INLINE struct node *cap_lookup_in(struct node ***dir, uint32_t id)
{
    struct node **table = dir[(id >> 10) & 1023u];
    return table ? table[id & 1023u] : NULL;
}
ALWAYS_INLINE struct node *cap_lookup(const struct task *task, uint32_t id)
{
    return cap_lookup_in(task->cap_dir, id);
}
/* The place of a capability that a node carries as its name; the table is there. */
ALWAYS_INLINE struct node **cap_slot(const struct task *task, const struct node *n)
{
    return &task->cap_dir[n->name >> 22][(n->name >> L4_NAME_SHIFT) & 1023u];
}
/* A capability is about to lose a right or its name: whoever waits in its endpoint proves its right again. */
void cap_weakened(const struct node *n);
/* A capability leaves its name: what space_take() comes to. */
ALWAYS_INLINE void cap_leave(struct node *n)
{
    cap_weakened(n);
    *cap_slot(n->task, n) = NULL;
    n->task = NULL;
    n->name &= ~15u;
}
struct node *mem_lookup(const struct task *task, uint32_t address); /* small or 4 MB node, or NULL */
struct node *io_lookup(const struct task *task, uint32_t port);
/* The node around the port with this name (port << 12), or else the first one behind it, or NULL. */
struct node *io_at_or_behind(const struct task *task, uint32_t name);
/* All of them, ascending: the first, and the one behind n.  Of other nodes than n nothing is read. */
struct node *io_first(const struct task *task);
struct node *io_next(const struct task *task, const struct node *n);

/*
 * The object behind a capability word (bits [31:12] count), if it has the type and the rights.
 * Else NULL and *reason: L4_D_EMPTY (also dying), L4_D_TYPE, L4_D_RIGHTS.  O(1).
 */
struct kobj *cap_object(const struct task *task, uint32_t word, enum l4_type type, uint32_t rights,
                        enum l4_detail *reason) MUST_CHECK;

#define TABLE_NAMES 1024u
#define USER_ENTRIES (L4_USER_TOP >> SUPER_SHIFT) /* of both directories */
/*
 * The entries of both directories and of all tables are words that are 0 where there is nothing: the first that
 * is not in words[at, end), or end.
 */
uint32_t table_find(const uint32_t *words, uint32_t at, uint32_t end);

/*
 * The lists of IO nodes: those that begin in the list's block, ascending by io_next, disjoint.  A node of a whole block
 * or more stands in the list of each block that it covers, alone.  So no list is longer than a block has ports.
 */
#define IO_BLOCK_SHIFT (L4_NAME_SHIFT + 8u) /* of a name: 256 ports */
#define IO_BLOCKS 256u
ALWAYS_INLINE struct node **io_lists(const struct task *task)
{
    STATIC_ASSERT(USER_ENTRIES + IO_BLOCKS <= TABLE_NAMES);
    return (struct node **)(void *)&task->pd_shadow[USER_ENTRIES];
}

/* ---- names: space.c.  All O(1); of an IO list up to 256 nodes are looked at ---- */

/*
 * Can a node be entered at this name as far as tables go?  4 KB memory names and capabilities: is there
 * a table (or a 4 MB node, then the name is occupied anyway); 4 MB memory names and IO: always.  False
 * at and above L4_USER_TOP.
 */
bool space_backed(const struct task *task, uint32_t name);
/* Put the node at the name it carries; the slot is empty and backed.  Installs the hardware entry. */
void space_enter(struct task *task, struct node *n);
/*
 * Take it out: slot and hardware entry gone, n->task = NULL, rights 0.  The rest of n->name stays.
 * space_leave hands the reference bits to the parent's sticky ones, space_take returns them (L4_R | L4_W).
 */
void space_leave(struct node *n);
uint32_t space_take(struct node *n);
/* Rights changed in place to `rights`, up or down: fix n->name and the hardware entry.  0 keeps the slot. */
void space_set_rights(struct node *n, uint32_t rights);
/* Clear the hardware entries of n that fall into the physical addresses [lo, last]; A/D to the parent. */
void space_suspend(struct node *n, paddr_t lo, paddr_t last);
/* Reference bits of this node, hardware and sticky, as L4_R | L4_W; cleared if `reset`. */
uint32_t space_refs(struct node *n, bool reset);

/*
 * Create and hook in one table for the 4 MB block around `name`.  res pays.  L4_D_NONE also if there is
 * one.  A block that holds a 4 MB node gets a view table if it needs one and has none, else nothing [G14].
 * Else KERNEL_RANGE or the allocator's detail; a page table's second page is searched for by the cursor behind res->at.
 */
enum l4_detail space_add_table(struct task *task, uint32_t space, uint32_t name, const struct kres *res);
/* Unhook and free an empty table (all 1024 names left), or the view of a 4 MB node. */
void space_drop_table(struct task *task, uint32_t space, uint32_t name);

/*
 * The MMU has no entry for an access that the nodes may allow: install it.
 * access: L4_R, L4_W or L4_X.  view_res: where to take a view table from (thread's TCR 11).
 * L4_D_NONE entry installed (or was there: stale TLB flushed); else the reason of the capability fault:
 * EMPTY, RIGHTS, CONVERTED, NO_PAGETABLE (a view is needed and cannot be had); or KMEM_SEARCHING.  A 4 MB node whose last
 * converted frame has come back gives up its view here, at its first refill after that [G52].
 */
enum l4_detail mem_refill(struct task *task, uint32_t address, uint32_t access, const struct kres *view_res);

/* What the five pages of a task are for, in the order of allocation.  [G50] */
extern const enum frame_use task_page_use[L4_TASK_PAGES];
/* Empty spaces in these pages.  The head, task->obj, is the caller's. */
void task_init(struct task *task, void *const page[L4_TASK_PAGES]);
/* A task with fresh spaces, all or nothing. L4_D_NONE or the allocator's detail.  A page's cursor is
 * ROOM_PAGES + i.  sys_create.c */
enum l4_detail task_build(struct task **out, const struct kres *res);
/* t will not finish the create it is in, if any: what was built so far goes to the reaper. */
void create_cancel(struct thread *t);

#endif
