// SPDX-License-Identifier: MIT
/*
 * Revocation: rights go in a first pass forward, nodes in a second pass backward.
 *
 *   pass 1   from the node behind the root to the end of its run: selected nodes lose the mask.  One
 *            that has nothing left gives up its name and stays as a connector.
 *   pass 2   from the end of the run back to the root: connectors that are leaves are unlinked.
 *            Going backward meets every child before its parent, so one sweep is enough.
 *   pass 3   upward from the root: it, and connectors above it that became leaves by that.
 *
 * Only leaves are unlinked.  Removing inner nodes front to back would let a node that still carries
 * rights slide below a stranger as soon as two revocations overlap or one is cancelled.  [G40]
 *
 * Invariant: between two calls of revoke_step() an active revocation stands on revoke_active and the
 * nodes that its root and cursor point to carry NODE_CURSOR.  Inside a step the cursor is a local
 * variable and rv->cursor is NULL, so only the cursors of others need looking after.
 */
#include "kernel/kpage.h"
#include "kernel/mapdb.h"
#include "kernel/reap.h"
#include "kernel/task.h"
#include "kernel/trace.h"

struct revoke *revoke_active;
bool revoke_was_cancelled;

#define REVOKE_WORK 16u /* between preemption points: a node of pass 1 counts 1, of pass 2 and 3 2 [G42] */

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
            struct node *cursor = rv->cursor;

            rv->root = NULL;
            rv->cursor = NULL;
            if (cursor && cursor != n)
                cursor_unmark(cursor);
        } else if (rv->cursor == n) {
            /* Pass 1: what comes next is unvisited; `selected` is worked out when it is visited. */
            cursor_store(rv, rv->pass == 1 ? n->next : n->prev);
        }
    }
    n->flags &= (uint8_t)~NODE_CURSOR;
}

/* Off the list of active ones; the structure may be used again. */
static void revoke_end(struct revoke *rv)
{
    struct revoke **link = &revoke_active;
    struct node *root = rv->root;

    while (*link != rv)
        link = &(*link)->next;
    *link = rv->next;
    rv->next = NULL;
    rv->active = false;
    rv->root = NULL;
    if (root)
        cursor_unmark(root);
    cursor_take(rv);
}

/* The capability lost `convert`: what was made of the page dies, and nobody waits for it. [M 2.5] */
static void revoke_conversions(struct node *n)
{
    struct kpage *kp = n->kpage;

    n->kpage = NULL;
    n->flags &= (uint8_t)~NODE_CONVERTER;
    while (kp) {
        struct kpage *next = kp->conv_next;

        kp->converter = NULL;
        kp->conv_next = NULL;
        reap_push(&kp->obj);
        kp = next;
    }
}

/* Bits that left the hardware: to the revoker, or up the tree if he does not ask. [G27] */
static void revoke_refs(struct revoke *rv, struct node *n, uint32_t refs)
{
    if (!(rv->how & REVOKE_KEEP))
        rv->refs |= (uint8_t)refs;
    else if (refs && n->parent)
        n->parent->flags |= node_ref_flags(refs);
}

/* Pass 1 at one selected node.  keep_slot: the root of a flush, which others must find again. */
static void revoke_node(struct revoke *rv, struct node *n, bool keep_slot)
{
    uint32_t old = node_rights(n), rights = old & ~rv->mask;

    if (UNLIKELY(rv->how & REVOKE_SUSPEND)) {
        if (n->task)
            space_suspend(n, rv->lo, rv->last);
        return;
    }
    if (UNLIKELY((n->flags & NODE_CONVERTER) && !(rights & L4_T)))
        revoke_conversions(n);
    if (rights == 0 && !keep_slot) {
        rv->emptied = true;
        if (n->task) {
            mapdb_trace_unmap(n);
            revoke_refs(rv, n, space_take(n));
        } else if (!(rv->how & REVOKE_KEEP)) {
            rv->refs |= (uint8_t)space_refs(n, true);
        }
        return;
    }
    if (!(rv->how & REVOKE_KEEP) && node_space(n) == L4_SPACE_MEM)
        rv->refs |= (uint8_t)space_refs(n, true);
    if (rights != old)
        space_set_rights(n, rights);
}

void revoke_start(struct revoke *rv, struct node *root, uint32_t lo, uint32_t last, uint32_t mask,
                  unsigned how)
{
    ASSERT((how & REVOKE_QUERY) || !rv->active);
    rv->next = NULL;
    rv->root = root;
    rv->cursor = NULL;
    rv->lo = lo;
    rv->last = last;
    rv->mask = (uint8_t)mask;
    rv->how = (uint8_t)how;
    rv->pass = 1;
    rv->selected = 0;
    rv->refs = 0;
    rv->emptied = false;
    rv->active = true;
    if (how & REVOKE_QUERY)
        return;

    rv->next = revoke_active;
    revoke_active = rv;
    root->flags |= NODE_CURSOR;

    if (how & REVOKE_SELF) {
        /* A mapping is never split: who loses a right loses it in the whole page. [G26] */
        if (mask) {
            rv->lo = 0;
            rv->last = 0xffffffffu;
        }
        revoke_node(rv, root, true);
    } else if (!(how & (REVOKE_SUSPEND | REVOKE_KEEP)) && node_space(root) == L4_SPACE_MEM) {
        /* The root's sticky bits tell of vanished mappings derived from it.  They do not say where: a
         * question about a part of the page reports them and leaves them. */
        rv->refs |= (uint8_t)node_flag_refs(root->flags);
        if (lo <= root->obj && last >= node_last(root))
            root->flags &= (uint8_t)~(NODE_REF_R | NODE_REF_W);
    }
}

static void revoke_query(struct revoke *rv)
{
    struct node *root = rv->root;

    rv->selected = 1;
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

/* One stretch of pass 1 from c; the first node that was not visited. */
static struct node *revoke_pass1(struct revoke *rv, struct node *c, unsigned *work)
{
    unsigned depth = rv->root->depth;

    for (; *work && c->depth > depth; *work -= 1, c = c->next) {
        if (c->depth == depth + 1u)
            rv->selected = node_overlaps(c, rv->lo, rv->last);
        if (rv->selected)
            revoke_node(rv, c, false);
    }
    return c;
}

static struct node *revoke_pass2(struct revoke *rv, struct node *c, unsigned *work)
{
    while (*work && c != rv->root) {
        struct node *prev = c->prev;

        if (node_rights(c) == 0 && !node_has_children(c))
            mapdb_drop(c);
        c = prev;
        *work = *work > 2 ? *work - 2 : 0;
    }
    return c;
}

/* Nothing left to drop upward: NULL; else where to go on. */
static struct node *revoke_pass3(struct node *n, unsigned *work)
{
    while (node_rights(n) == 0 && !(n->flags & NODE_ROOT) && !node_has_children(n)) {
        struct node *parent = n->parent;

        if (*work == 0)
            return n;
        mapdb_drop(n);
        n = parent;
        *work = *work > 2 ? *work - 2 : 0;
    }
    return NULL;
}

/* Pass 2 reached the root.  True: go on with pass 3. */
static bool revoke_root_done(const struct revoke *rv)
{
    struct node *root = rv->root;

    if (node_rights(root) != 0)
        return false;
    if (root->flags & NODE_ROOT) {
        /* The creator's last right: destruction.  The name stays until the object is gone. [M 2.5.1] */
        if ((rv->how & REVOKE_SELF) && root->task)
            reap_push(node_kobj(root));
        return false;
    }
    return true;
}

enum step revoke_step(struct revoke *rv)
{
    if (!rv->active)
        return STEP_DONE;
    if (rv->how & REVOKE_QUERY) {
        revoke_query(rv);
        return STEP_DONE;
    }
    for (;;) {
        unsigned work = REVOKE_WORK;
        enum preempt_id where = PREEMPT_DELETE;
        struct node *root = rv->root, *c;

        if (!root) { /* somebody above was faster */
            revoke_end(rv);
            return STEP_DONE;
        }
        c = cursor_take(rv);
        if (rv->pass == 1) {
            where = rv->how & REVOKE_SUSPEND ? PREEMPT_SUSPEND : PREEMPT_REVOKE;
            c = revoke_pass1(rv, c ? c : root->next, &work);
            if (c->depth <= root->depth) {
                if (rv->mask == 0 || (rv->how & REVOKE_SUSPEND)) {
                    revoke_end(rv);
                    return STEP_DONE;
                }
                rv->pass = 2;
                c = rv->emptied ? c->prev : root;
            }
        }
        if (rv->pass == 2 && work) {
            c = revoke_pass2(rv, c, &work);
            if (c == root) {
                if (!revoke_root_done(rv)) {
                    revoke_end(rv);
                    return STEP_DONE;
                }
                rv->pass = 3;
            }
        }
        if (rv->pass == 3 && work) {
            /* Let go of the root before it is unlinked: the cursors of others move, ours is `c`. */
            rv->root = NULL;
            cursor_unmark(root);
            c = revoke_pass3(root, &work);
            if (!c) {
                revoke_end(rv);
                return STEP_DONE;
            }
            rv->root = c;
        }
        cursor_store(rv, c);
        if (preempt_point(where))
            return STEP_PREEMPTED;
    }
}

void revoke_cancel(struct revoke *rv)
{
    if (!rv->active)
        return;
    if (!(rv->how & REVOKE_QUERY)) {
        /* From now on a child may have more rights than its parent, until somebody restarts. [G40] */
        if (rv->mask && !(rv->how & REVOKE_KEEP))
            revoke_was_cancelled = true;
        revoke_end(rv);
    }
    rv->active = false;
}
