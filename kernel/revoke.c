// SPDX-License-Identifier: MIT
/*
 * Revocation: rights go in a first pass forward, nodes in a second pass backward.
 *
 *   pass 0   only if the root loses `convert`: the kernel pages made of it go to the reaper.
 *   pass 1   from the node behind the root to the end of its run: selected nodes lose the mask.  One
 *            that has nothing left gives up its name.  If it is a leaf it is unlinked at once, else it
 *            stays as a connector.  Kernel pages made of it go first: while there are some, it is visited again.
 *   pass 2   only if connectors were seen: from the end of the run back to the root those that are
 *            leaves now are unlinked.  Going backward meets every child before its parent, so one
 *            sweep is enough.
 *   pass 3   upward from the root: it, and connectors above it that became leaves by that.
 *
 * Only leaves are ever unlinked, and none that still has kernel pages: another revocation is about to send them away.
 * Removing inner nodes front to back would let a node that still carries rights slide below a stranger as soon as two
 * revocations overlap or one is cancelled.  [G40]
 *
 * Invariant: at a preemption point an active revocation stands on revoke_active and the nodes that its
 * root and cursor point to carry NODE_CURSOR.  Inside a step the cursor is a local variable and
 * rv->cursor is NULL, so only the cursors of others need looking after.  One that is over before its
 * first preemption point, as nearly all are, is never listed.
 */
#include "kernel/kpage.h"
#include "kernel/mapdb.h"
#include "kernel/page.h"
#include "kernel/reap.h"
#include "kernel/task.h"
#include "kernel/trace.h"

struct revoke *revoke_active;
bool revoke_was_cancelled;

/*
 * Between preemption points: a node counts 1, and 2 if it is unlinked; one with a view ends the stretch, and one of
 * IO ports.  Kernel pages that die: 16.  [G42]
 */
#define REVOKE_WORK   32u
#define REVOKE_KPAGES 16u

/* The node is no longer pointed at by one revocation; by another perhaps. */
static void cursor_unmark(struct node *n)
{
    for (const struct revoke *rv = revoke_active; rv; rv = rv->next)
        if (rv->root == n || rv->cursor == n)
            return;
    n->flags &= (uint8_t)~NODE_CURSOR;
}

static void cursor_store(struct revoke *rv, struct node *n)
{
    rv->cursor = n;
    n->flags |= NODE_CURSOR;
}

static struct node *cursor_take(struct revoke *rv)
{
    struct node *n = rv->cursor;

    if (n) {
        rv->cursor = NULL;
        cursor_unmark(n);
    }
    return n;
}

void revoke_forget(struct node *n)
{
    for (struct revoke *rv = revoke_active; rv; rv = rv->next) {
        if (rv->root == n) {
            rv->root = NULL;
            cursor_take(rv);
        } else if (rv->cursor == n) {
            /* Pass 1: what comes next is unvisited; `selected` is worked out when it is visited. */
            cursor_store(rv, rv->pass == 1 ? n->next : n->prev);
        }
    }
    n->flags &= (uint8_t)~NODE_CURSOR;
}

/* About to be preempted for the first time: from now on it must be told what is unlinked. */
static void revoke_list(struct revoke *rv)
{
    rv->listed = true;
    rv->next = revoke_active;
    revoke_active = rv;
    rv->root->flags |= NODE_CURSOR;
}

static void revoke_unlist(struct revoke *rv)
{
    struct revoke **link = &revoke_active;
    struct node *root = rv->root;

    while (*link != rv)
        link = &(*link)->next;
    *link = rv->next;
    rv->root = NULL;
    if (root)
        cursor_unmark(root);
    cursor_take(rv);
}

/* The structure may be used again. */
ALWAYS_INLINE enum step revoke_over(struct revoke *rv, unsigned work)
{
    rv->spent = (uint8_t)(REVOKE_WORK - work);
    if (UNLIKELY(rv->listed))
        revoke_unlist(rv);
    rv->active = false;
    return STEP_DONE;
}

/*
 * A converter loses `convert`: what was made of the page dies, and nobody waits for it.  [M 2.5]  The right goes first
 * (no hardware entry tells of it), so that nothing more is made of it.  One stretch of that; true: some are left.
 */
NOINLINE bool revoke_conversions(struct node *n)
{
    n->name &= ~(uint32_t)L4_T;
    for (unsigned i = 0; i < REVOKE_KPAGES && (n->flags & NODE_CONVERTER); i++) {
        struct kpage *kp = n->kpage;

        kpage_detach(kp);
        reap_push(&kp->obj);
    }
    return (n->flags & NODE_CONVERTER) != 0;
}

/* Bits that left the hardware: to the revoker, or up the tree if he does not ask. [G27] */
static void revoke_refs(struct revoke *rv, struct node *n, uint32_t refs)
{
    if (!(rv->how & REVOKE_KEEP))
        rv->refs |= (uint8_t)refs;
    else if (refs && n->parent)
        n->parent->flags |= node_ref_flags(refs);
}

/* Pass 1 at one selected node that loses all it has: out of its name.  It may be a connector already. */
ALWAYS_INLINE void revoke_empty(struct revoke *rv, struct node *n)
{
    if (LIKELY(n->task)) {
        MAPDB_TRACE_UNMAP(n);
        revoke_refs(rv, n, space_take(n));
    } else if (!(rv->how & REVOKE_KEEP)) {
        rv->refs |= (uint8_t)space_refs(n, true);
    }
}

/* Pass 1 at one selected node that keeps something, or its name at least. */
static void revoke_weaken(struct revoke *rv, struct node *n, uint32_t rights)
{
    if (!(rv->how & REVOKE_KEEP) && node_space(n) == L4_SPACE_MEM)
        rv->refs |= (uint8_t)space_refs(n, true);
    if (node_space(n) == L4_SPACE_CAP) {
        n->name = (n->name & ~15u) | rights; /* nothing else knows of them, but who asked before */
        cap_weakened(n);
    } else if (rights != node_rights(n))
        space_set_rights(n, rights);
}

void revoke_start(struct revoke *rv, struct node *root, uint32_t lo, uint32_t last, uint32_t mask,
                  unsigned how)
{
    ASSERT((how & REVOKE_QUERY) || !rv->active);
    rv->root = root;
    rv->cursor = NULL;
    rv->lo = lo;
    rv->last = last;
    rv->mask = (uint8_t)mask;
    rv->how = (uint8_t)how;
    rv->pass = 1;
    rv->whole = lo <= root->obj && last >= node_last(root);
    rv->selected = rv->whole;
    rv->refs = 0;
    rv->spent = 0;
    rv->emptied = false;
    rv->listed = false;
    rv->active = true;
    if (how & REVOKE_QUERY)
        return;
    if (how & REVOKE_SELF) {
        /* A mapping is never split: who loses a right loses it in the whole page. [G26] */
        if (mask) {
            rv->lo = 0;
            rv->last = 0xffffffffu;
            rv->whole = true;
            rv->selected = 1;
        }
        uint32_t rights = node_rights(root) & ~mask;

        if (UNLIKELY(node_loses_kpages(root, rights)))
            rv->pass = 0;
        revoke_weaken(rv, root, rights); /* to nothing perhaps: others must find the name still */
    } else if (!(how & (REVOKE_SUSPEND | REVOKE_KEEP)) && node_space(root) == L4_SPACE_MEM) {
        /* The root's sticky bits tell of vanished mappings derived from it.  They do not say where: a
         * question about a part of the page reports them and leaves them. */
        rv->refs |= (uint8_t)node_flag_refs(root->flags);
        if (rv->whole)
            root->flags &= (uint8_t)~NODE_REFS;
    }
}

static void revoke_query(struct revoke *rv)
{
    struct node *root = rv->root;

    if (rv->how & REVOKE_SELF)
        rv->visit(rv, root);
    for (struct node *n = mapdb_next(root, root); n; n = mapdb_next(root, n)) {
        if (n->depth == root->depth + 1u)
            rv->selected = node_overlaps(n, rv->lo, rv->last);
        if (rv->selected)
            rv->visit(rv, n);
    }
    rv->active = false;
}

static void spend(unsigned *work, unsigned cost)
{
    *work = *work > cost ? *work - cost : 0;
}

/* Pass 1 at one selected node.  True: it is gone from the tree. */
ALWAYS_INLINE bool revoke_node(struct revoke *rv, struct node *c)
{
    uint32_t rights = node_rights(c) & ~(uint32_t)rv->mask;

    if (UNLIKELY(rv->how & REVOKE_SUSPEND)) {
        space_suspend(c, rv->lo, rv->last);
        return false;
    }
    if (UNLIKELY(rights)) {
        revoke_weaken(rv, c, rights);
        return false;
    }
    revoke_empty(rv, c);
    if (node_has_children(c)) {
        rv->emptied = true;
        return false;
    }
    mapdb_drop_nameless(c);
    return true;
}

/* Which pages lose all there is. */
struct page_range {
    uint32_t unlike;  /* bits of node.name that tell another kind of node, or a right that is kept */
    uint32_t lo, span;
    bool keep;        /* REVOKE_KEEP */
};

ALWAYS_INLINE struct page_range page_range(uint32_t lo, uint32_t last, uint32_t mask, bool keep)
{
    return (struct page_range){ 0xff0u | (L4_RIGHTS_ALL & ~mask), lo, last - lo, keep };
}

/*
 * What revoke_node() does with such pages, if they have no children and no flags, in one line: from c on to the
 * first node that is not like that.  floor: the root's.  One that lies in the range is selected, however deep.
 */
ALWAYS_INLINE struct node *take_pages(const struct page_range *range, struct node *c, uint32_t floor, int *work,
                                      uint32_t *taken)
{
    int left = *work;
    uint32_t sum = 0;

    for (; c->level > floor && left > 0; left -= 2) {
        struct node *next = c->next;
        uint32_t refs;

        if ((c->name & range->unlike) != L4_FPAGE(0, L4_SPACE_MEM, PAGE_SHIFT, 0) || next->level > node_floor(c) ||
            (c->flags & ~(unsigned)NODE_DEVICE) || c->obj - range->lo > range->span || !c->task)
            break;
        TRACE(UNMAP, c->obj, c->task->obj.id, c->name);
        refs = page_take(c);
        if (UNLIKELY(refs)) {
            if (UNLIKELY(range->keep))
                c->parent->flags |= (uint8_t)refs;
            sum |= refs;
        }
        mapdb_unlink(c);
        kmem_free_node(c);
        c = next;
    }
    *work = left;
    *taken = range->keep ? 0 : node_flag_refs(sum);
    return c;
}

static struct node *revoke_pages(struct revoke *rv, struct node *c, uint32_t floor, int *left)
{
    struct page_range range = page_range(rv->lo, rv->last, rv->mask, (rv->how & REVOKE_KEEP) != 0);
    uint32_t refs;

    c = take_pages(&range, c, floor, left, &refs);
    rv->refs |= (uint8_t)refs;
    return c;
}

NOINLINE bool revoke_unmakes(const struct revoke *rv, const struct node *c)
{
    return !(rv->how & REVOKE_SUSPEND) && node_loses_kpages(c, node_rights(c) & ~(uint32_t)rv->mask);
}

/* One stretch of pass 1 from c; the first node that was not visited, or not to its end. */
ALWAYS_INLINE struct node *revoke_pass1(struct revoke *rv, struct node *c, uint32_t floor,
                                        unsigned *work)
{
    bool whole = rv->whole, selected = rv->selected;
    int left = (int)*work;

    while (c->level > floor && left > 0) {
        struct node *next = c->next;

        if (node_is_page(c) && next->level <= node_floor(c) && !(rv->how & REVOKE_SUSPEND)) {
            struct node *behind = revoke_pages(rv, c, floor, &left);

            if (behind != c) {
                c = behind;
                continue;
            }
        }
        left--;
        if (UNLIKELY(!whole) && c->level <= floor + NODE_LEVEL_STEP)
            selected = node_overlaps(c, rv->lo, rv->last);
        if (selected) {
            if (UNLIKELY(c->flags & (NODE_VIEW | NODE_CONVERTER))) {
                if (c->flags & NODE_VIEW)
                    left = 0; /* up to 1024 entries are looked at */
                if (revoke_unmakes(rv, c)) {
                    left = 0;
                    if (revoke_conversions(c))
                        break;
                }
            }
            if (revoke_node(rv, c))
                left--;
        }
        c = next;
    }
    rv->selected = selected;
    *work = left > 0 ? (unsigned)left : 0;
    return c;
}

/* Does nothing keep the node in its tree? */
ALWAYS_INLINE bool is_left_over(const struct node *n)
{
    return node_rights(n) == 0 && !(n->flags & (NODE_ROOT | NODE_CONVERTER)) && !node_has_children(n);
}

/* One stretch of pass 2 from c; the root when it is over. */
static struct node *revoke_pass2(const struct revoke *rv, struct node *c, unsigned *work)
{
    while (*work && c != rv->root) {
        struct node *prev = c->prev;

        if (is_left_over(c))
            mapdb_drop(c);
        c = prev;
        spend(work, 2);
    }
    return c;
}

/* Nothing left to drop upward: NULL; else where to go on. */
static struct node *revoke_pass3(struct node *n, unsigned *work)
{
    while (is_left_over(n)) {
        struct node *parent = n->parent;

        if (*work == 0)
            return n;
        mapdb_drop(n);
        n = parent;
        spend(work, 2);
    }
    return NULL;
}

/* The root has no right left, and the passes over its subtree are done.  True: go on with pass 3. */
static bool revoke_root_empty(const struct revoke *rv, struct node *root)
{
    if (!(root->flags & NODE_ROOT))
        return true;
    /* The creator's last right: destruction.  The name stays until the object is gone. [M 2.5.1] */
    if ((rv->how & REVOKE_SELF) && node_kills(root, 0))
        reap_push(node_kobj(root));
    return false;
}

enum step revoke_step(struct revoke *rv)
{
    struct node *root = rv->root, *c;

    if (UNLIKELY(!rv->active))
        return STEP_DONE;
    if (UNLIKELY(rv->how & REVOKE_QUERY)) {
        revoke_query(rv);
        return STEP_DONE;
    }
    for (;; root = rv->root) {
        unsigned work = REVOKE_WORK - rv->spent;

        rv->spent = 0;
        if (UNLIKELY(rv->listed)) {
            if (!root) /* somebody above was faster */
                return revoke_over(rv, work);
            c = cursor_take(rv);
        } else {
            c = root->next;
        }
        if (UNLIKELY(node_space(root) == L4_SPACE_IO))
            work = 1; /* one node: a list is looked through for it, and its part of the bitmap written */
        if (rv->pass == 1) {
            uint32_t floor = node_floor(root);

            c = revoke_pass1(rv, c, floor, &work);
            if (LIKELY(c->level <= floor)) {
                if (UNLIKELY(rv->emptied)) {
                    rv->pass = 2;
                    c = c->prev;
                } else if (LIKELY(node_rights(root)) || !rv->mask || !revoke_root_empty(rv, root)) {
                    return revoke_over(rv, work);
                } else {
                    rv->pass = 3;
                }
            }
        } else if (rv->pass == 0) {
            c = root;
            work = 0;
            if (!revoke_conversions(root)) {
                rv->pass = 1;
                c = root->next;
            }
        }
        if (rv->pass == 2 && work) {
            c = revoke_pass2(rv, c, &work);
            if (c == root) {
                if (node_rights(root) || !revoke_root_empty(rv, root))
                    return revoke_over(rv, work);
                rv->pass = 3;
            }
        }
        if (rv->pass == 3 && work) {
            /* Let go of the root before it is unlinked: the cursors of others move, ours is `c`. */
            rv->root = NULL;
            if (rv->listed)
                cursor_unmark(root);
            c = revoke_pass3(root, &work);
            if (!c)
                return revoke_over(rv, work);
            rv->root = c;
        }
        if (!rv->listed)
            revoke_list(rv);
        cursor_store(rv, c);
        if (preempt_point(rv->how & REVOKE_SUSPEND ? PREEMPT_SUSPEND
                          : rv->pass <= 1 ? PREEMPT_REVOKE : PREEMPT_DELETE))
            return STEP_PREEMPTED;
    }
}

NO_FRAME_POINTER enum step revoke_below(struct revoke *rv, struct node *root, uint32_t lo, uint32_t last,
                                        uint32_t mask)
{
    uint32_t floor = node_floor(root);
    struct page_range range = page_range(lo, last, mask, false);
    uint32_t refs = 0;
    int left = (int)REVOKE_WORK;

    ASSERT(!rv->active);
    if (LIKELY(mask)) {
        /* As far as pages without children go, no state is needed. */
        struct node *c = take_pages(&range, root->next, floor, &left, &refs);

        if (LIKELY(c->level <= floor) && LIKELY(node_rights(root)) && LIKELY(!(root->flags & NODE_REFS))) {
            rv->refs = (uint8_t)refs;
            rv->spent = (uint8_t)(REVOKE_WORK - (unsigned)left);
            return STEP_DONE;
        }
    }
    revoke_start(rv, root, lo, last, mask, 0);
    rv->refs |= (uint8_t)refs;
    rv->spent = (uint8_t)(REVOKE_WORK - (unsigned)left);
    return revoke_step(rv);
}

bool revoke_creator(struct node *n, uint32_t mask)
{
    if (!node_kills(n, node_rights(n) & ~mask) || node_has_children(n))
        return false;
    cap_weakened(n);
    n->name &= ~15u;
    reap_push(node_kobj(n));
    return true;
}

void revoke_cancel(struct revoke *rv)
{
    if (!rv->active)
        return;
    if (!(rv->how & REVOKE_QUERY)) {
        /* From now on a child may have more rights than its parent, until somebody restarts. [G40] */
        if (rv->mask && !(rv->how & REVOKE_KEEP))
            revoke_was_cancelled = true;
    }
    revoke_over(rv, REVOKE_WORK);
}
