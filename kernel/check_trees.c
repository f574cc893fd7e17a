// SPDX-License-Identifier: MIT
/*
 * The invariants of mapping trees, as rules: group MDB.  They hold at preemption points, too: where an operation that
 * is under way excuses a difference, the rule says so.  [G40]
 */
#include "kernel/check_walk.h"

/* ---- MDB: mapping trees ---- */

CHECK_RULE(mdb_order, "MDB-1", "MDB",
           "a tree is one circular list in pre-order; the parent is the nearest earlier node one level up")
{
    struct check_roots w = { 0, false, NULL };
    const struct node *root;

    while ((root = check_root_next(&w)) != NULL) {
        const struct node *n = root;

        if (!check_tick(c))
            return;
        if (root->depth != 0 || root->parent || !(root->flags & NODE_ROOT))
            check_fail(c, NODE_FORMAT " is a root with depth %u, flags %x", NODE_ARGS(root), root->depth,
                       root->flags);
        for (uint32_t limit = 0; limit < WALK_LIMIT; limit++) {
            const struct node *next = n->next, *parent = n;

            c->looked++;
            if (!check_is_node(next)) {
                check_fail(c, NODE_FORMAT " is followed by %p, which is no node", NODE_ARGS(n),
                           (const void *)next);
                break;
            }
            if (next->prev != n)
                check_fail(c, NODE_FORMAT " is not what its successor thinks", NODE_ARGS(n));
            if (next == root)
                break;
            if (next->depth == 0 || next->depth > n->depth + 1u) {
                check_fail(c, NODE_FORMAT " has depth %u behind depth %u", NODE_ARGS(next), next->depth,
                           n->depth);
                break;
            }
            while (parent && check_is_node(parent) && parent->depth >= next->depth)
                parent = parent->parent;
            if (next->parent != parent)
                check_fail(c, NODE_FORMAT " has parent %p, the order says %p", NODE_ARGS(next),
                           (const void *)next->parent, (const void *)parent);
            if (next->flags & NODE_ROOT)
                check_fail(c, NODE_FORMAT " is a root inside a tree", NODE_ARGS(next));
            n = next;
        }
    }
}

static bool badge_extends(const struct node *child, const struct node *parent)
{
    unsigned more = child->badge_len - parent->badge_len;

    if (child->badge_len < parent->badge_len || child->badge_len > 32u)
        return false;
    return more >= 32u || child->badge >> more == parent->badge;
}

CHECK_RULE(mdb_derivation, "MDB-2", "MDB",
           "a child has its parent's object, range, badge and kind of memory, and no right beyond (unless one is being revoked)")
{
    struct check_roots w = { 0, false, NULL };
    const struct node *root;

    while ((root = check_root_next(&w)) != NULL) {
        if (!check_tick(c))
            return;
        for (const struct node *n = check_tree_next(root, root); n; n = check_tree_next(root, n)) {
            const struct node *parent = n->parent;

            c->looked++;
            if (!parent || !check_is_node(parent) || node_space(n) != node_space(parent)) {
                check_fail(c, NODE_FORMAT " is of another space than its parent", NODE_ARGS(n));
                continue;
            }
            if (node_space(n) == L4_SPACE_CAP ? n->obj != parent->obj
                : n->obj < parent->obj || node_last(n) > node_last(parent))
                check_fail(c, NODE_FORMAT " names %x, beyond its parent's %x", NODE_ARGS(n), n->obj,
                           parent->obj);
            if ((node_rights(n) & ~node_rights(parent)) && !check_in_flux())
                check_fail(c, NODE_FORMAT " has rights its parent has not: %x", NODE_ARGS(n),
                           node_rights(n) & ~node_rights(parent));
            if (((n->flags ^ parent->flags) & NODE_DEVICE) && !(parent->flags & NODE_ROOT))
                check_fail(c, NODE_FORMAT " is device memory, or its parent is, but not both", NODE_ARGS(n));
            if (node_space(n) == L4_SPACE_CAP && !badge_extends(n, parent))
                check_fail(c, NODE_FORMAT " has badge %x/%u below %x/%u", NODE_ARGS(n), n->badge,
                           n->badge_len, parent->badge, parent->badge_len);
        }
    }
}

/* Units of one chunked frame that hold a node: the tags that are 0 after the exclusive or. */
static unsigned count_nodes(const uint32_t *tags)
{
    unsigned count = 0;

    for (unsigned w = 0; w < PAGE_SIZE / L4_UNIT / 8u; w++) {
        uint32_t other = tags[w] ^ 0x11111111u * UNIT_NODE;

        other |= other >> 1;
        other |= other >> 2;
        count += ((~other & 0x11111111u) * 0x11111111u) >> 28;
    }
    return count;
}

CHECK_RULE(mdb_count, "MDB-3", "MDB", "the node units of all kernel pages are the free-standing nodes of all trees")
{
    struct check_roots w = { 0, false, NULL };
    const struct node *root;
    uint32_t in_trees = 0, in_pages = 0;

    while ((root = check_root_next(&w)) != NULL) {
        if (!check_tick(c))
            return;
        for (const struct node *n = check_tree_next(root, root); n && in_trees < WALK_LIMIT;
             n = check_tree_next(root, n))
            if (check_tag_at(n) == UNIT_NODE)
                in_trees++;
    }
    for (uint32_t i = 0; (i = check_kernel_frame(i)) < frame_count; i++)
        if ((frame_table[i].use & 15u) == FRAME_CHUNKED)
            in_pages += count_nodes(phys_to_virt(i << PAGE_SHIFT));
    c->looked += in_pages;
    if (in_trees != in_pages)
        check_fail(c, "%u nodes in kernel pages, %u in trees", in_pages, in_trees);
}

CHECK_RULE(mdb_place, "MDB-4", "MDB", "a node inside a tree lies in a unit tagged so, or is marked static")
{
    struct check_roots w = { 0, false, NULL };
    const struct node *root;

    while ((root = check_root_next(&w)) != NULL) {
        if (!check_tick(c))
            return;
        for (const struct node *n = root; n->next != root; n = n->next) {
            c->looked++;
            if (!check_is_node(n->next) || n->next->depth == 0) {
                check_fail(c, "the tree of %p runs into %p", (const void *)root, (const void *)n->next);
                break;
            }
            if (check_tag_at(n->next) != UNIT_NODE && !(n->next->flags & NODE_STATIC))
                check_fail(c, NODE_FORMAT " lies in no node unit", NODE_ARGS(n->next));
            if (c->looked > WALK_LIMIT)
                return;
        }
    }
}

CHECK_RULE(mdb_cursor, "MDB-9", "MDB", "a node is marked as cursor exactly if an active revocation points at it")
{
    struct check_roots w = { 0, false, NULL };
    const struct node *root, *n;

    for (const struct revoke *rv = revoke_active; rv; rv = rv->next) {
        if (!rv->active || (rv->how & REVOKE_QUERY))
            check_fail(c, "revocation %p is listed but not active", (const void *)rv);
        if (rv->root && (!check_is_node(rv->root) || !(rv->root->flags & NODE_CURSOR)))
            check_fail(c, "the root of revocation %p is not marked", (const void *)rv);
        if (rv->cursor && (!check_is_node(rv->cursor) || !(rv->cursor->flags & NODE_CURSOR)))
            check_fail(c, "the cursor of revocation %p is not marked", (const void *)rv);
    }
    while ((root = check_root_next(&w)) != NULL) {
        if (!check_tick(c))
            return;
        for (n = root; n; n = check_tree_next(root, n)) {
            const struct revoke *rv = revoke_active;

            c->looked++;
            if (!(n->flags & NODE_CURSOR))
                continue;
            while (rv && rv->root != n && rv->cursor != n)
                rv = rv->next;
            if (!rv)
                check_fail(c, NODE_FORMAT " is marked for nobody", NODE_ARGS(n));
        }
    }
}
