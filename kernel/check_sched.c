// SPDX-License-Identifier: MIT
/* Invariants of reservations, ready queue, deadlines and timer. */
#include "kernel/boot.h"
#include "kernel/check.h"
#include "kernel/sched.h"

static const struct resv *next_resv(const struct kobj **at)
{
    do
        *at = kobj_next(*at);
    while (*at && (*at)->type != L4_TYPE_RESERVATION);
    return (const struct resv *)(const void *)*at;
}

static const struct thread *next_thread(const struct kobj **at)
{
    do
        *at = kobj_next(*at);
    while (*at && (*at)->type != L4_TYPE_THREAD);
    return (const struct thread *)(const void *)*at;
}

static bool in_list(const struct thread *t, const struct resv *r)
{
    const struct resv *at;
    unsigned n = 0;

    for (at = t->resv_list; at && n <= RESV_PER_THREAD; at = at->thread_next, n++)
        if (at == r)
            return true;
    return false;
}

CHECK_RULE(sched_lists, "SCH-1", "SCH", "a reservation is in the list of its thread and in no other; the position is in the list")
{
    const struct kobj *at = NULL;
    const struct resv *r;
    const struct thread *t;

    while ((r = next_resv(&at)) != NULL) {
        c->looked++;
        if (r->thread && !in_list(r->thread, r))
            check_fail(c, "rs%u is not in the list of th%u", r->obj.id, r->thread->obj.id);
    }
    for (at = NULL; (t = next_thread(&at)) != NULL;) {
        unsigned n = 0;

        c->looked++;
        for (r = t->resv_list; r && n <= RESV_PER_THREAD; r = r->thread_next, n++)
            if (r->thread != t)
                check_fail(c, "rs%u is in the list of th%u but does not point back", r->obj.id, t->obj.id);
        if (n > RESV_PER_THREAD)
            check_fail(c, "the list of th%u is too long or a ring", t->obj.id);
        if (t->resv && !in_list(t, t->resv))
            check_fail(c, "the position of th%u is rs%u, not in its list", t->obj.id, t->resv->obj.id);
        if (t->quick_rank != SCHED_NOT_QUICK &&
            (!t->resv || t->resv->flags & RESV_BACKGROUND || t->quick_rank != resv_rank(t->resv) ||
             (!deadline_is_set(&t->resv->refill) && !resv_is_round_robin(t->resv))))
            check_fail(c, "th%u cannot pay as it is, but is taken for quick", t->obj.id);
        if (t->resv && !t->resv->left)
            check_fail(c, "the position of th%u is rs%u, which is spent", t->obj.id, t->resv->obj.id);
    }
}

static void check_share(struct check *c, const struct resv *r)
{
    uint32_t whole = r->flags & RESV_BACKGROUND ? (uint32_t)clock_from_us(RESV_BACKGROUND_SLICE_US)
                                                : resv_budget_ticks(r);

    if (((uint64_t)r->budget_us << 20) > (uint64_t)r->share * r->period_us)
        check_fail(c, "rs%u: budget %u us in %u us is more than its share %u", r->obj.id, r->budget_us,
                   r->period_us, r->share);
    if (r->left > whole)
        check_fail(c, "rs%u has %u ticks left of %u", r->obj.id, r->left, whole);
    if (r->flags & RESV_BACKGROUND && !(r->flags & RESV_SOFT))
        check_fail(c, "rs%u is at background level but not soft", r->obj.id);
    if (r->budget_us && !resv_has_budget(r) && !deadline_is_set(&r->refill))
        check_fail(c, "rs%u is spent and no refill is due", r->obj.id);
    if (r->flags & RESV_LATE && (!(r->flags & RESV_QUEUED) || deadline_is_set(&r->refill)))
        check_fail(c, "rs%u is late but does not wait for the CPU", r->obj.id);
    if (r->parent && (!r->back || *r->back != r))
        check_fail(c, "rs%u is not a child of the one it was split from", r->obj.id);
    if (!r->parent && r != boot_root_resv && (r->share || r->child))
        check_fail(c, "rs%u has a share or children but no ancestor", r->obj.id);
}

CHECK_RULE(sched_shares, "SCH-2", "SCH", "the shares sum up to the whole CPU; no budget exceeds its share")
{
    const struct kobj *at = NULL;
    const struct resv *r;
    uint64_t sum = 0;
    bool root_seen = false;

    while ((r = next_resv(&at)) != NULL) {
        c->looked++;
        sum += r->share;
        root_seen |= r == boot_root_resv;
        check_share(c, r);
    }
    if (!boot_root_resv)
        return;
    if (!root_seen) {
        sum += boot_root_resv->share;
        check_share(c, boot_root_resv);
    }
    if (sum != RESV_SHARE_ONE)
        check_fail(c, "the shares sum up to %u, not to %u", (uint32_t)sum, RESV_SHARE_ONE);
}

CHECK_RULE(sched_running, "SCH-3", "SCH", "what runs is paid for by a reservation with budget, and nothing ready outranks it")
{
    const struct cpu *cpu = this_cpu();
    const struct sched *s = this_sched();
    int rank = (int)SCHED_LEVELS - 1;

    c->looked++;
    while (rank >= 0 && !s->queue[rank])
        rank--;
    if (rank != s->top)
        check_fail(c, "the highest queue is rank %d, not %d", rank, s->top);
    if (cpu->resched || !cpu->current)
        return;
    if (!cpu->resv || !cpu->resv->left) {
        check_fail(c, "th%u runs without a budget", cpu->current->obj.id);
        return;
    }
    if (resv_rank(cpu->resv) < s->top && !s->queue[s->top]->thread->debug_halt)
        check_fail(c, "rs%u outranks the running rs%u", s->queue[s->top]->obj.id, cpu->resv->obj.id);
}

CHECK_RULE(sched_deadlines, "SCH-4", "SCH", "the deadlines are a heap, and the timer fires in time for the first and for the end of the budget")
{
    const struct cpu *cpu = this_cpu();
    const struct sched *s = this_sched();
    const struct deadline *d = deadline_first();
    const char *wrong = deadline_check();
    const uint64_t now = clock_now(), since = now - ((uint32_t)now - cpu->since);

    c->looked++;
    if (wrong)
        check_fail(c, "%s", wrong);
    if (d && d->when < s->timer_at)
        check_fail(c, "the timer fires after the first deadline");
    if (cpu->resv && !cpu->resched && since + cpu->resv->left < s->timer_at)
        check_fail(c, "the timer fires after the end of the budget of rs%u", cpu->resv->obj.id);
    for (d = deadline_next(NULL); d; d = deadline_next(d)) {
        c->looked++;
        if (d->kind != DEADLINE_IPC && d->kind != DEADLINE_REFILL)
            check_fail(c, "a deadline of unknown kind %u", d->kind);
    }
}

static void check_level(struct check *c, const struct sched *s, unsigned rank)
{
    const struct resv *first = s->queue[rank], *r = first;

    if (rank > 0 && ((s->map[(rank - 1) / 32] >> ((rank - 1) % 32)) & 1u) != (first != NULL))
        check_fail(c, "the bit of priority %u is wrong", rank - 1);
    if (!first)
        return;
    do {
        c->looked++;
        if (!(r->flags & RESV_QUEUED) || resv_rank(r) != (int)rank)
            check_fail(c, "rs%u is in the queue of rank %u", r->obj.id, rank);
        if (r->queue_next->queue_prev != r) {
            check_fail(c, "the queue of rank %u is broken behind rs%u", rank, r->obj.id);
            return;
        }
        if (!r->thread || r->thread->resv != r || r->thread->state != THREAD_READY)
            check_fail(c, "rs%u is queued, but its thread is not ready to run on it", r->obj.id);
        r = r->queue_next;
    } while (r != first);
}

CHECK_RULE(sched_queue_members, "SCH-5", "SCH", "the ready queue contains exactly the ready threads with budget, but for the one that pays")
{
    const struct cpu *cpu = this_cpu();
    const struct sched *s = this_sched();
    const struct kobj *at = NULL;
    const struct thread *t;
    unsigned i;

    for (i = 0; i < SCHED_LEVELS; i++)
        check_level(c, s, i);
    for (i = 0; i < ARRAY_SIZE(s->map); i++)
        if (((s->words >> i) & 1u) != (s->map[i] != 0))
            check_fail(c, "the summary bit of priorities %u.. is wrong", i * 32);
    while ((t = next_thread(&at)) != NULL) {
        c->looked++;
        if (t->state == THREAD_READY && !t->hardware && t->resv && t->resv != cpu->resv &&
            !(t->resv->flags & RESV_QUEUED))
            check_fail(c, "th%u is ready and neither runs nor is queued", t->obj.id);
    }
}
