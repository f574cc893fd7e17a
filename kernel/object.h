// SPDX-License-Identifier: MIT
/*
 * Kernel objects and mapping nodes: the two structures that everything else is made of.
 *
 * A capability is a mapping node: (object, rights) at a name of a task.  The nodes of one object
 * form one tree, stored as a circular doubly linked list in pre-order with a depth per node:
 *
 *        root            root0 a1 b2 c2 d1  (and back to root)
 *        /  \
 *       a    d           the subtree of a: a and the run behind it with depth > 1: b c
 *      / \               the last node of the list (root.prev) is always a leaf
 *     b   c
 *
 * Memory has one tree per 4 MB physical block, IO ports have one tree, every other object has the
 * root node embedded.  [M 2.1.1] [G40] [G50]
 */
#ifndef KERNEL_OBJECT_H
#define KERNEL_OBJECT_H

#include "kernel/abi/l4sec/abi.h"
#include "kernel/lib/assert.h"
#include "kernel/lib/types.h"

struct task;
struct thread;
struct kpage;

enum node_flag {
    NODE_ROOT = 1,       /* embedded in its object, or a kernel root: never freed alone */
    NODE_CONVERTER = 2,  /* memory: this capability converted part of the page; `kpage` is the first */
    NODE_DEVICE = 4,     /* memory: uncached, never convertible */
    NODE_CURSOR = 8,     /* some active revocation points here (revoke.c) */
    NODE_VIEW = 16,      /* 4 MB memory node shown through a table of 4 KB entries */
    NODE_STATIC = 32,    /* lives in boot memory: never freed */
    NODE_REF_R = 64,     /* sticky reference bits, collected from vanished entries [G27] */
    NODE_REF_W = 128,
};
#define NODE_REFS ((unsigned)NODE_REF_R | NODE_REF_W)

/*
 * Invariants (MDB, CAP groups of `check`):
 *   next->prev == this; depth == parent->depth + 1; parent is the nearest earlier node of that depth
 *   task != NULL  <=>  the slot that `name` says in that task points here
 *   task == NULL for kernel roots and for connectors (rights 0, waiting to become a leaf)
 *   rights == 0 with a task: the root of a flush that is under way or was cancelled; it keeps its
 *   name so that anyone in the task can flush again [M 2.1.1].  Look-ups treat it as empty.
 */
struct node {
    struct node *next, *prev, *parent; /* parent is NULL in the tree's root only */
    struct task *task;
    uint32_t obj;      /* struct kobj *, or physical address of the first byte, or port << 12 */
    uint32_t name;     /* flexpage word: base, space, size, and the current rights in [3:0] */
    union {
        struct {
            uint32_t flags : 8;     /* enum node_flag */
            uint32_t badge_len : 6; /* 0..32; endpoints only */
            uint32_t depth : 18;    /* root 0 */
        };
        uint32_t level; /* all three, the depth on top: compared as a whole with node_floor() */
    };
    union {
        uint32_t badge;        /* capability space */
        struct kpage *kpage;   /* memory, with NODE_CONVERTER: list of kernel pages, by kpage->conv_next */
        struct node *io_next;  /* IO space: the list of its block, ascending by port */
    };
};
STATIC_ASSERT(sizeof(void *) != 4 || sizeof(struct node) == L4_SIZE_NODE);

#define NODE_DEPTH_MAX ((1u << 17) - 1u) /* one step more does not overflow */
#define NODE_BADGE_LEN_SHIFT 8u
#define NODE_LEVEL_STEP (1u << 14) /* one deeper */

ALWAYS_INLINE uint32_t node_rights(const struct node *n) { return n->name & 15u; }
ALWAYS_INLINE uint32_t node_space(const struct node *n) { return (n->name >> 10) & 3u; }
ALWAYS_INLINE uint32_t node_size(const struct node *n) { return (n->name >> 4) & 63u; } /* log2 */
ALWAYS_INLINE uint32_t node_base(const struct node *n) { return n->name & 0xfffff000u; }
/* What is deeper than n has a greater `level`. */
ALWAYS_INLINE uint32_t node_floor(const struct node *n) { return n->level | (NODE_LEVEL_STEP - 1u); }
ALWAYS_INLINE bool node_has_children(const struct node *n) { return n->next->level > node_floor(n); }
/* Last object address of the node's range (memory, IO). */
ALWAYS_INLINE uint32_t node_last(const struct node *n)
{
    return node_size(n) >= 32u ? 0xffffffffu : n->obj + ((1u << node_size(n)) - 1u);
}
/* Reference bits as L4_R | L4_W to sticky flags and back. */
ALWAYS_INLINE uint8_t node_ref_flags(uint32_t refs)
{
    return (uint8_t)((refs & L4_R ? NODE_REF_R : 0) | (refs & L4_W ? NODE_REF_W : 0));
}
ALWAYS_INLINE uint32_t node_flag_refs(uint32_t flags)
{
    return (flags & NODE_REF_R ? L4_R : 0u) | (flags & NODE_REF_W ? L4_W : 0u);
}

enum kobj_flag {
    KOBJ_DYING = 1,  /* on the reap list; look-ups answer "empty" */
    KOBJ_STATIC = 2, /* part of the boot image's objects: never freed (CPU, IRQ threads, boot pages) */
};

/*
 * The head of every first-class object.  [M 2.8.1]  `id` is unique for ever and is what kdb and GDB show.
 * Invariant (OBJ group): KOBJ_DYING <=> on the reap list.
 */
struct kobj {
    struct node root;          /* the creator's capability; root.obj == (uint32_t)this */
    uint8_t type;              /* enum l4_type */
    uint8_t flags;             /* enum kobj_flag */
    uint8_t step;              /* progress of destruction (reap.c) */
    uint8_t spare;
    uint32_t id;
    struct kobj *reap_next, *reap_prev;
};

ALWAYS_INLINE struct kobj *node_kobj(const struct node *n) { return (struct kobj *)(uintptr_t)n->obj; }
ALWAYS_INLINE bool kobj_is_dying(const struct kobj *o) { return (o->flags & KOBJ_DYING) != 0; }
/* Has it this type and no flag?  They are neighbours: one compare. */
ALWAYS_INLINE bool kobj_is_live(const struct kobj *o, enum l4_type type)
{
    STATIC_ASSERT(offsetof(struct kobj, flags) == offsetof(struct kobj, type) + 1);
    return *(const uint16_t *)(const void *)&o->type == (uint16_t)type;
}

/* Fill in all of the head: root node (no task yet, rights 0, a tree of itself), type, a fresh id. */
void kobj_init(struct kobj *o, enum l4_type type);

/*
 * Walk all live objects in memory order, boot objects included: NULL starts, NULL ends.  O(frames)
 * for a whole walk.  For check, kdb and GDB; any context with the kernel stopped or not preempted.
 * kobj_by_id: the object or NULL.
 */
struct kobj *kobj_next(const struct kobj *previous);
struct kobj *kobj_by_id(uint32_t id);
const char *kobj_prefix(enum l4_type type); /* "th", "ep", ... */

#endif
