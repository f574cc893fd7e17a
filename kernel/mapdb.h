// SPDX-License-Identifier: MIT
/*
 * The mapping database: links of the trees, and revocation over them.  [M 2.1.1] [G40]
 *
 * mapdb_* and revoke_* know trees and names only; what a name means to the hardware is space.h.
 */
#ifndef KERNEL_MAPDB_H
#define KERNEL_MAPDB_H

#include "kernel/kpage.h"
#include "kernel/object.h"
#include "kernel/step.h"

/* Make n the root of a tree of its own: depth 0, no task, linked to itself. */
ALWAYS_INLINE void mapdb_root(struct node *n, uint32_t obj)
{
    n->next = n;
    n->prev = n;
    n->parent = NULL;
    n->task = NULL;
    n->obj = obj;
    n->name = 0;
    n->level = NODE_ROOT;
    n->badge = 0;
}

/*
 * Insert `child` directly behind `parent`, one deeper, with these flags, and of a device if its parent is.  O(1).  The
 * caller has filled obj, name, task, badge and has checked parent->depth < NODE_DEPTH_MAX.  Does not touch name tables.
 */
ALWAYS_INLINE void mapdb_insert(struct node *parent, struct node *child, uint32_t flags, uint32_t badge_len)
{
    struct node *next = parent->next;

    ASSERT(parent->depth < NODE_DEPTH_MAX);
    child->level = ((parent->level & (-NODE_LEVEL_STEP | NODE_DEVICE)) + NODE_LEVEL_STEP) | flags |
                   badge_len << NODE_BADGE_LEN_SHIFT;
    child->parent = parent;
    child->prev = parent;
    child->next = next;
    parent->next = child;
    next->prev = child;
}

/* A node vanishes (mapdb_unlink, or with its object): revocations that point at it move on. */
void revoke_forget(struct node *n);

/* Take a leaf out of its tree (not a ROOT); active revocations that point at it move on.  O(1 + active). */
ALWAYS_INLINE void mapdb_unlink(struct node *leaf)
{
    struct node *next = leaf->next, *prev = leaf->prev;

    ASSERT(!(leaf->flags & (NODE_ROOT | NODE_CONVERTER)) && next->level <= node_floor(leaf));
    if (UNLIKELY(leaf->flags & NODE_CURSOR))
        revoke_forget(leaf);
    prev->next = next;
    next->prev = prev;
    leaf->next = NULL; /* a later use of the dead node must not go unnoticed */
}

/* Take a leaf out of its name (if it has one) and its tree, and free it.  Reference bits go up. */
void mapdb_drop(struct node *leaf);
/* The same for one that has left its name already. */
ALWAYS_INLINE void mapdb_drop_nameless(struct node *leaf)
{
    uint8_t flags = leaf->flags;

    /* A connector holds the reference bits of what was below it: they go on upward. [G27] */
    if (UNLIKELY(flags & NODE_REFS))
        leaf->parent->flags |= flags & NODE_REFS;
    mapdb_unlink(leaf);
    if (LIKELY(!(flags & NODE_STATIC)))
        kmem_free_node(leaf);
}
/* Trace record: n loses its name.  Objects are recorded by id, memory and ports by address. */
#define MAPDB_TRACE_UNMAP(n)                                                          \
    TRACE(UNMAP, node_space(n) == L4_SPACE_CAP ? node_kobj(n)->id : (n)->obj,         \
          (n)->task->obj.id, (n)->name)

enum revoke_how {
    REVOKE_SELF = 1,    /* the node itself too (flush) */
    REVOKE_SUSPEND = 2, /* take no right: only clear the hardware entries of the range (convert) */
    REVOKE_QUERY = 4,   /* change nothing: call `visit` on each selected node (kdb revoke -n) */
    REVOKE_KEEP = 8,    /* leave the reference bits in the tree; only vanishing ones go to the parent (reaper) */
};

/*
 * One revocation under way: kept in a thread, in the reaper, or on the debugger's stack (QUERY only).
 *
 * Pass 0 sends the kernel pages of a converter at the root to the reaper, if the root loses `convert`.
 * Pass 1 goes forward: every selected node loses `mask`; one that has nothing left leaves its name at
 * once, and the tree if it is a leaf; else it stays as a connector.  Pass 2 goes backward: connectors
 * that are leaves are unlinked, and so are the connectors above that become leaves.  A node is
 * selected if it, or the child of `root` above it, overlaps [lo, last] in object addresses.
 *
 * Invariant: a revocation (not QUERY) that was preempted is on the list of active ones, and root, cursor
 * carry NODE_CURSOR.  mapdb_unlink() keeps both valid: root becomes NULL when it is unlinked by others.
 */
struct revoke {
    struct revoke *next;      /* list of active revocations */
    struct node *root, *cursor;
    uint32_t lo, last;        /* object addresses, both inclusive (memory, IO); 0, 0xffffffff else */
    uint8_t mask, how, pass, selected;
    uint8_t spent;            /* work since the last preemption point, in nodes: before a step, and when done */
    uint8_t refs;             /* out: reference bits collected and reset, as L4_R | L4_W [G27] */
    bool active;
    bool emptied;             /* pass 1 left connectors: pass 2 has work */
    bool listed;              /* on revoke_active: was preempted */
    bool whole;               /* lo..last covers the root: all of its subtree is selected */
    void (*visit)(struct revoke *rv, struct node *n);
    void *arg;
};

/*
 * Begin; with REVOKE_SELF the node itself loses mask as well, but keeps its slot until the end
 * [M 2.5.1], and a mask that is not 0 takes the rights from its whole subtree, whatever lo and last
 * say: mappings are never split [G26].  mask 0 without SUSPEND only collects reference bits; then lo
 * and last count with SELF, too.  rv->active is false before (QUERY: rv may be fresh stack memory).
 * The first revoke_step() follows at once: until then nobody tells rv of nodes that vanish.
 * SUSPEND goes alone.
 *
 * The collected bits are those of derived mappings (hardware and sticky), of vanished ones (the
 * root's sticky bits), and with SELF the root's own.
 */
void revoke_start(struct revoke *rv, struct node *root, uint32_t lo, uint32_t last, uint32_t mask,
                  unsigned how);
/*
 * Work until done or preempted; STEP_DONE also when the root vanished.  With REVOKE_SELF and nothing
 * left the root node is removed at the end; an embedded root pushes its object to the reaper instead,
 * as does a CONVERTER that lost L4_T.  The caller then runs reap_run().
 */
enum step revoke_step(struct revoke *rv);
/* Both for plain unmap, how 0: mostly over at once.  rv->refs is valid after STEP_DONE. */
enum step revoke_below(struct revoke *rv, struct node *root, uint32_t lo, uint32_t last, uint32_t mask);
/*
 * The shortest flush in one step: true if n is the creator's capability of an object, nothing was mapped from
 * it, and mask leaves it nothing.  Then its object is with the reaper, as after revoke_step().
 */
bool revoke_creator(struct node *n, uint32_t mask);
void revoke_cancel(struct revoke *rv); /* drop it half-way; safe at any step [M 2.1.1 restartability] */

/*
 * The one walk over a subtree that revocation, convert and the dry run share: the node behind n in
 * the subtree of root, or NULL.  node_overlaps: does the range of `child`, a direct child of root or
 * root itself, overlap?
 */
ALWAYS_INLINE struct node *mapdb_next(const struct node *root, const struct node *n)
{
    return n->next->level > node_floor(root) ? n->next : NULL;
}
ALWAYS_INLINE bool node_overlaps(const struct node *n, uint32_t lo, uint32_t last)
{
    return n->obj <= last && (n->obj >= lo || node_last(n) >= lo);
}
/* What follows if n has these rights left: all kernel pages made of it die; its object dies [M 2.5.1]. */
ALWAYS_INLINE bool node_loses_kpages(const struct node *n, uint32_t rights)
{
    return (n->flags & NODE_CONVERTER) && !(rights & L4_T);
}
ALWAYS_INLINE bool node_kills(const struct node *n, uint32_t rights)
{
    return (n->flags & NODE_ROOT) && n->task && !rights; /* a kernel's root has no name, and goes with nothing */
}

/*
 * Active revocations, for check and kdb.  If a revocation was ever cancelled, a child may have more
 * rights than its parent for a while [G40].
 */
extern struct revoke *revoke_active;
extern bool revoke_was_cancelled;

#endif
