// SPDX-License-Identifier: MIT
/*
 * The deadline heap: leftist, with links upward, ordered by signed difference.  [G16] [G28]
 *
 * Invariants (SCH group): no child is earlier than its parent; rank(left) >= rank(right) and
 * rank == rank(right) + 1, so the right spine of n elements has at most log2(n + 1).
 */
#include "kernel/deadline.h"

#include "kernel/sched.h"

static struct deadline *root;

static bool before(const struct deadline *a, const struct deadline *b)
{
    return (int64_t)(a->when - b->when) < 0;
}

static unsigned rank_of(const struct deadline *d)
{
    return d ? d->rank : 0;
}

/* Order the children of d by rank; the answer is whether d's own rank changed. */
static bool fix(struct deadline *d)
{
    uint16_t old = d->rank;

    if (rank_of(d->left) < rank_of(d->right)) {
        struct deadline *left = d->left;

        d->left = d->right;
        d->right = left;
    }
    d->rank = (uint16_t)(rank_of(d->right) + 1u);
    return d->rank != old;
}

/* One heap from two: weave the right spines together going down, restore the ranks going up. */
static struct deadline *merge(struct deadline *a, struct deadline *b)
{
    struct deadline *top = NULL, **link = &top, *up = NULL;

    while (a && b) {
        if (before(b, a)) {
            struct deadline *other = a;

            a = b;
            b = other;
        }
        *link = a;
        a->up = up;
        up = a;
        link = &a->right;
        a = a->right;
    }
    if (!a)
        a = b;
    *link = a;
    if (a)
        a->up = up;
    for (; up; up = up->up)
        (void)fix(up);
    return top;
}

void deadline_cancel(struct deadline *d)
{
    struct deadline *up = d->up, *rest;

    if (!deadline_is_set(d))
        return;
    rest = merge(d->left, d->right);
    if (rest)
        rest->up = up;
    if (!up)
        root = rest;
    else if (up->left == d)
        up->left = rest;
    else
        up->right = rest;
    while (up && fix(up))
        up = up->up;
    d->left = d->right = d->up = NULL;
    d->rank = 0;
}

void deadline_set(struct deadline *d, uint64_t when)
{
    deadline_cancel(d);
    d->when = when;
    d->left = d->right = d->up = NULL;
    d->rank = 1;
    root = merge(root, d);
    if (root == d)
        sched_arm(when);
}

struct deadline *deadline_first(void)
{
    return root;
}

struct deadline *deadline_next(const struct deadline *d)
{
    if (!d)
        return root;
    if (d->left)
        return d->left;
    /* a leftist heap has no right child without a left one */
    for (; d->up; d = d->up)
        if (d->up->left == d && d->up->right)
            return d->up->right;
    return NULL;
}

const char *deadline_check(void)
{
    const struct deadline *d;

    if (root && root->up)
        return "the first deadline has something above it";
    for (d = deadline_next(NULL); d; d = deadline_next(d)) {
        if ((d->left && d->left->up != d) || (d->right && d->right->up != d))
            return "a child does not point back";
        if ((d->left && before(d->left, d)) || (d->right && before(d->right, d)))
            return "a child is earlier than its parent";
        if (rank_of(d->left) < rank_of(d->right) || d->rank != rank_of(d->right) + 1u)
            return "the ranks are wrong";
    }
    return NULL;
}
