// SPDX-License-Identifier: MIT
/*
 * The links of the mapping trees: a circular list in pre-order with a depth per node.
 *
 * Invariant: a node leaves its list only as a leaf, so every `parent` pointer stays true and the
 * order is exact at all times, whatever revocations are under way.  [M 2.1.1] [G40]
 */
#include "kernel/mapdb.h"

#include "kernel/kpage.h"
#include "kernel/task.h"
#include "kernel/trace.h"

void mapdb_root(struct node *n, uint32_t obj)
{
    n->next = n;
    n->prev = n;
    n->parent = NULL;
    n->task = NULL;
    n->obj = obj;
    n->name = 0;
    n->depth = 0;
    n->badge_len = 0;
    n->flags = NODE_ROOT;
    n->badge = 0;
}

void mapdb_insert(struct node *parent, struct node *child)
{
    struct node *next = parent->next;

    ASSERT(parent->depth < NODE_DEPTH_MAX);
    child->depth = (uint16_t)(parent->depth + 1u);
    child->parent = parent;
    child->prev = parent;
    child->next = next;
    parent->next = child;
    next->prev = child;
}

ALWAYS_INLINE void unlink_leaf(struct node *leaf)
{
    struct node *next = leaf->next, *prev = leaf->prev;

    ASSERT(!(leaf->flags & NODE_ROOT) && next->depth <= leaf->depth);
    if (UNLIKELY(leaf->flags & NODE_CURSOR))
        revoke_forget(leaf);
    prev->next = next;
    next->prev = prev;
    leaf->next = NULL; /* a later use of the dead node must not go unnoticed */
}

void mapdb_unlink(struct node *leaf)
{
    unlink_leaf(leaf);
}

void mapdb_drop_nameless(struct node *leaf)
{
    /* A connector holds the reference bits of what was below it: they go on upward. [G27] */
    leaf->parent->flags |= leaf->flags & (NODE_REF_R | NODE_REF_W);
    unlink_leaf(leaf);
    if (LIKELY(!(leaf->flags & NODE_STATIC)))
        kmem_free(leaf, L4_SIZE_NODE);
}

void mapdb_drop(struct node *leaf)
{
    if (leaf->task) {
        MAPDB_TRACE_UNMAP(leaf);
        space_leave(leaf);
    }
    mapdb_drop_nameless(leaf);
}

bool node_overlaps(const struct node *n, uint32_t lo, uint32_t last)
{
    return n->obj <= last && node_last(n) >= lo;
}
