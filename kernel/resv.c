// SPDX-License-Identifier: MIT
/*
 * Reservations: budgets that are spent and come back, lists of threads, shares that move in the tree of
 * splits.  Who runs is sched.c.  [M 2.4.1] [M 2.4.2] [G28] [G29]
 *
 * Shares only move, between a reservation and its ancestor or its split: each function here that takes
 * from one adds the same number to the other.
 */
#include "kernel/resv.h"

#include "kernel/lib/div64.h"
#include "kernel/lib/string.h"
#include "kernel/reap.h"
#include "kernel/sched.h"

#define OVERRUN_MAX ((uint64_t)UINT32_MAX) /* ticks; more than any budget */
#define DETACH_STEP 16u   /* reservations of a dying thread, and */
#define REPARENT_STEP 16u /* children of a dying reservation that move between preemption points */

/* ---- numbers ---- */

uint32_t resv_share(uint32_t budget_us, uint32_t period_us)
{
    return (uint32_t)div64_up((uint64_t)budget_us << 20, period_us);
}

uint32_t resv_share_budget(uint32_t share, uint32_t period_us)
{
    uint64_t budget = ((uint64_t)share * period_us) >> 20;

    return budget < RESV_BUDGET_MAX ? (uint32_t)budget : RESV_BUDGET_MAX;
}

static uint32_t ticks_u32(uint32_t us)
{
    uint64_t ticks = clock_from_us(us);

    return ticks < UINT32_MAX ? (uint32_t)ticks : UINT32_MAX;
}

uint32_t resv_budget_ticks(const struct resv *r)
{
    return ticks_u32(r->budget_us);
}

/* What `left` counts down from. */
static uint32_t full(const struct resv *r)
{
    return ticks_u32(r->flags & RESV_BACKGROUND ? RESV_BACKGROUND_SLICE_US : r->budget_us);
}

uint32_t resv_used_us(const struct resv *r)
{
    return r->used_us + (uint32_t)clock_to_us(full(r) - r->left);
}

uint32_t resv_left_us(const struct resv *r)
{
    return resv_has_budget(r) ? (uint32_t)clock_to_us(r->left) : 0;
}

/* The position of r's thread may not be able to pay as it is any more: sched_pick() looks. */
static void not_quick(const struct resv *r)
{
    if (r->thread)
        r->thread->quick_rank = SCHED_NOT_QUICK;
}

/* Change what is left and the level, but not the time consumed so far.  r is not queued. */
static void set_left(struct resv *r, uint32_t left, bool background)
{
    uint32_t used = resv_used_us(r);

    r->flags = (uint8_t)(background ? r->flags | RESV_BACKGROUND : r->flags & ~RESV_BACKGROUND);
    r->left = left;
    r->used_us += used - resv_used_us(r);
    not_quick(r);
}

/* What is not whole and would not come back otherwise gets a refill. */
static void need_refill(struct resv *r)
{
    if (!r->budget_us || deadline_is_set(&r->refill))
        return;
    if (!resv_has_budget(r) || (!resv_is_round_robin(r) && r->left < resv_budget_ticks(r)))
        deadline_set(&r->refill, clock_now() + clock_from_us(r->period_us));
}

/* ---- the position of a thread ---- */

static struct resv *search(struct resv *first)
{
    while (first && !resv_has_budget(first))
        first = first->thread_next;
    return first;
}

static void set_position(struct thread *t, struct resv *r)
{
    if (t->resv && t->resv != r && t->resv->flags & RESV_QUEUED)
        sched_dequeue(t->resv);
    t->resv = r;
    t->quick_rank = SCHED_NOT_QUICK;
    sched_reconsider(t);
}

/* An unfinished slice is continued first, a fresh one waits its turn. */
static void go_background(struct resv *r)
{
    need_refill(r);
    set_left(r, ticks_u32(r->slice ? r->slice * RESV_SLICE_UNIT_US : RESV_BACKGROUND_SLICE_US), true);
    if (this_cpu()->resv == r && !r->slice)
        this_sched()->tail = true;
}

static void leave_background(struct resv *r, uint32_t left)
{
    if (r->flags & RESV_BACKGROUND) {
        uint32_t units = (uint32_t)clock_to_us(r->left) / RESV_SLICE_UNIT_US;

        r->slice = (uint8_t)(units < RESV_BACKGROUND_SLICE_US / RESV_SLICE_UNIT_US ? units : 0);
    }
    set_left(r, left, false);
}

/*
 * Where t goes from r: the next in the list with budget; else an earlier one that no refill would bring
 * back; else, if r is soft, r at background level; else it waits.
 */
static void advance(struct thread *t, struct resv *r)
{
    struct resv *next = search(r->thread_next);

    if (!next) {
        next = search(t->resv_list);
        while (next && deadline_is_set(&next->refill))
            next = search(next->thread_next);
    }
    if (!next && r->flags & RESV_SOFT) {
        if (r->flags & RESV_QUEUED)
            sched_dequeue(r);
        go_background(r);
        next = r;
    }
    set_position(t, next);
}

void resv_leave(struct resv *r)
{
    need_refill(r);
    advance(r->thread, r);
}

void resv_give_up(struct resv *r)
{
    uint32_t left = resv_has_budget(r) ? r->left : 0;

    if (r->flags & RESV_QUEUED)
        sched_dequeue(r);
    if (resv_is_round_robin(r) && !deadline_is_set(&r->refill))
        deadline_set(&r->refill, clock_now() + left); /* its period ends where its slice would have */
    leave_background(r, 0);
    need_refill(r);
    set_position(r->thread, NULL);
}

/* ---- spending and refilling ---- */

void resv_window(struct resv *r, uint64_t now)
{
    uint64_t period, start = r->flags & RESV_LATE ? r->refill.when : now;

    if (deadline_is_set(&r->refill) || resv_is_round_robin(r))
        return;
    period = clock_from_us(r->period_us);
    deadline_set(&r->refill, (int64_t)(start + period - now) > 0 ? start + period : now + period);
}

/* The period that `over` ticks are worth: an interrupt that came late must not raise the long-run rate. */
static uint64_t overrun_delay(const struct resv *r, uint64_t over)
{
    if (over > OVERRUN_MAX)
        over = OVERRUN_MAX;
    return r->share ? div64(over << 20, r->share, NULL) : 0;
}

void resv_spent(struct resv *r, uint64_t over)
{
    struct thread *t = r->thread;

    r->left = 0;
    not_quick(r);
    r->used_us += (uint32_t)clock_to_us(over);
    this_cpu()->resched = true;
    if (r->flags & RESV_BACKGROUND || (resv_is_round_robin(r) && !deadline_is_set(&r->refill))) {
        r->slice = 0;
        set_left(r, ticks_u32(r->flags & RESV_BACKGROUND ? RESV_BACKGROUND_SLICE_US : r->budget_us),
                 (r->flags & RESV_BACKGROUND) != 0);
        this_sched()->tail = true;
        return;
    }
    need_refill(r);
    if (over)
        deadline_set(&r->refill, r->refill.when + overrun_delay(r, over));
    if (t && t->resv == r) {
        TRACE(BUDGET, r->obj.id, t->obj.id, 0);
        advance(t, r);
    }
}

/*
 * The position returns to the first reservation when its period starts [G28]; a thread that waits or
 * runs at background level takes whichever comes first.  One that is paying opens its next window where the
 * last one ended, so that lateness does not add up.
 */
void resv_refill_due(struct resv *r)
{
    struct cpu *cpu = this_cpu();
    struct thread *t = r->thread;
    uint64_t due = r->refill.when;

    if (!r->budget_us)
        return;
    if (cpu->resv == r) {
        deadline_set(&r->refill, due);
        sched_charge();
        due = r->refill.when;
        if ((int64_t)(due - clock_now()) > 0)
            return; /* that was more than the budget: put off */
    }
    deadline_cancel(&r->refill);
    if (r->flags & RESV_QUEUED && r->flags & RESV_BACKGROUND)
        sched_dequeue(r);
    leave_background(r, resv_budget_ticks(r));
    TRACE(REFILL, r->obj.id, t ? t->obj.id : 0, 0);
    if (cpu->resv == r) {
        uint64_t now = clock_now();
        uint64_t next = due + clock_from_us(r->period_us);

        if (!resv_is_round_robin(r))
            deadline_set(&r->refill, (int64_t)(next - now) > 0 ? next : now + clock_from_us(r->period_us));
        sched_arm(now + r->left);
    }
    if (!t)
        return;
    if (r == t->resv_list || !t->resv || t->resv == r || t->resv->flags & RESV_BACKGROUND)
        set_position(t, r);
    if (r->flags & RESV_QUEUED)
        r->flags |= RESV_LATE;
}

/* ---- association ---- */

uint32_t resv_index(const struct resv *r)
{
    const struct resv *at = r->thread ? r->thread->resv_list : NULL;
    uint32_t index = 0;

    for (; at; at = at->thread_next, index++)
        if (at == r)
            return index;
    return 255;
}

unsigned resv_count(const struct thread *t)
{
    const struct resv *r;
    unsigned count = 0;

    for (r = t->resv_list; r; r = r->thread_next)
        count++;
    return count;
}

void resv_attach(struct resv *r, struct thread *t, uint32_t position)
{
    struct resv **link = &t->resv_list;

    resv_detach(r);
    for (; *link && position; position--)
        link = &(*link)->thread_next;
    r->thread_next = *link;
    *link = r;
    r->thread = t;
    if (resv_has_budget(r)) {
        if (!t->resv || t->resv->flags & RESV_BACKGROUND)
            set_position(t, r);
    } else if (!t->resv && r->flags & RESV_SOFT) {
        go_background(r);
        set_position(t, r);
    }
}

void resv_detach(struct resv *r)
{
    struct cpu *cpu = this_cpu();
    struct thread *t = r->thread;
    struct resv **link, *next = r->thread_next;

    if (!t)
        return;
    if (cpu->resv == r) {
        sched_charge();
        cpu->resv = NULL;
        cpu->resched = true;
    }
    if (r->flags & RESV_QUEUED)
        sched_dequeue(r);
    for (link = &t->resv_list; *link != r; link = &(*link)->thread_next)
        ASSERT(*link);
    *link = next;
    r->thread = NULL;
    r->thread_next = NULL;
    if (r->flags & RESV_BACKGROUND)
        leave_background(r, 0);
    t->quick_rank = SCHED_NOT_QUICK;
    if (t->resv == r) {
        next = search(next);
        t->resv = NULL;
        set_position(t, next ? next : search(t->resv_list));
    }
}

bool resv_drop_thread(struct thread *t)
{
    if (t->resv)
        set_position(t, NULL); /* no search for the next one with budget */
    for (unsigned n = 0; t->resv_list && n < DETACH_STEP; n++)
        resv_detach(t->resv_list);
    return !t->resv_list;
}

/* ---- shares and the tree of splits ---- */

static void link_child(struct resv *child, struct resv *parent)
{
    child->parent = parent;
    child->sibling = parent->child;
    if (child->sibling)
        child->sibling->back = &child->sibling;
    parent->child = child;
    child->back = &parent->child;
}

static void unlink_child(struct resv *child)
{
    if (!child->parent)
        return;
    *child->back = child->sibling;
    if (child->sibling)
        child->sibling->back = child->back;
    child->parent = child->sibling = NULL;
    child->back = NULL;
}

/*
 * New parameters, and at most `left` ticks to go until the next refill.  Consumed time stays what it was.
 * The thread and the queues follow.
 */
static void set_params(struct resv *r, const struct resv_params *p, uint64_t left)
{
    uint32_t used = resv_used_us(r), whole;
    struct thread *t = r->thread;

    if (r->flags & RESV_QUEUED)
        sched_dequeue(r);
    not_quick(r);
    r->share = p->share;
    r->budget_us = p->budget_us;
    r->period_us = p->period_us;
    r->prio = p->prio;
    if (!p->soft) {
        if (r->flags & RESV_BACKGROUND)
            left = 0;
        r->flags &= (uint8_t)~(RESV_SOFT | RESV_BACKGROUND);
    } else {
        r->flags |= RESV_SOFT;
    }
    whole = resv_budget_ticks(r);
    if (r->share && resv_is_round_robin(r)) {
        deadline_cancel(&r->refill); /* all of the CPU: nothing that it could gain */
        r->flags &= (uint8_t)~RESV_BACKGROUND;
        r->left = whole;
    } else if (!(r->flags & RESV_BACKGROUND)) {
        r->left = left < whole ? (uint32_t)left : whole;
    }
    r->used_us += used - resv_used_us(r);
    if (!r->share)
        deadline_cancel(&r->refill);
    need_refill(r);
    if (this_cpu()->resv == r)
        this_cpu()->resched = true; /* its level and its end may be others now */
    if (!t)
        return;
    if (t->resv == r && !resv_has_budget(r) && !(r->flags & RESV_BACKGROUND))
        advance(t, r);
    else if (resv_has_budget(r) && (!t->resv || t->resv->flags & RESV_BACKGROUND))
        set_position(t, r);
    else
        sched_reconsider(t);
}

/* The parameters that r has with another share. */
static struct resv_params with_share(const struct resv *r, uint32_t share)
{
    return (struct resv_params){
        .share = share, .budget_us = resv_share_budget(share, r->period_us), .period_us = r->period_us,
        .prio = r->prio, .soft = (r->flags & RESV_SOFT) != 0,
    };
}

static uint64_t budget_left(const struct resv *r)
{
    return resv_has_budget(r) ? r->left : 0;
}

/* r has `share` and `left` ticks more. */
static void give(struct resv *r, uint32_t share, uint64_t left)
{
    struct resv_params p = with_share(r, r->share + share);

    set_params(r, &p, budget_left(r) + left);
}

static void make_empty(struct resv *r)
{
    static const struct resv_params none;

    set_params(r, &none, 0);
}

void resv_split(struct resv *dst, struct resv *src, const struct resv_params *p)
{
    struct resv_params rest = with_share(src, src->share - p->share);
    uint64_t have = budget_left(src), part = ticks_u32(p->budget_us);

    ASSERT(dst != src && !dst->share && p->share <= src->share);
    if (part > have)
        part = have;
    if (dst->parent != src) {
        ASSERT(!dst->child);
        unlink_child(dst);
        link_child(dst, src);
    }
    set_params(src, &rest, have - part);
    set_params(dst, p, part);
}

void resv_merge(struct resv *dst, struct resv *src)
{
    uint32_t share = dst->share;
    uint64_t left = budget_left(dst);

    ASSERT(dst->parent == src);
    make_empty(dst);
    if (!dst->child)
        unlink_child(dst); /* else its children would lose their way up */
    give(src, share, left);
}

void resv_set(struct resv *r, const struct resv_params *p)
{
    uint32_t rest = r->share - p->share;

    ASSERT(p->share <= r->share);
    set_params(r, p, budget_left(r));
    if (rest && r->parent)
        give(r->parent, rest, 0);
}

bool resv_dissociate(struct resv *r)
{
    unsigned n;

    resv_detach(r);
    if (r->share) {
        uint32_t share = r->share;

        make_empty(r);
        if (r->parent)
            give(r->parent, share, 0);
    }
    deadline_cancel(&r->refill);
    for (n = 0; r->child && n < REPARENT_STEP; n++) {
        struct resv *child = r->child;

        ASSERT(r->parent);
        unlink_child(child);
        link_child(child, r->parent);
    }
    if (r->child)
        return false;
    unlink_child(r);
    return true;
}

/* ---- birth ---- */

void resv_init(struct resv *r)
{
    memset(&r->obj + 1, 0, sizeof *r - sizeof r->obj);
    r->refill.kind = DEADLINE_REFILL;
}
