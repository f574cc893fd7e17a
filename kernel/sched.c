// SPDX-License-Identifier: MIT
/*
 * Who runs: the ready queue, the choice, the charge, and the timer.  [M 2.4] [G28] [G30]
 *
 * A ready thread's reservation is queued, or pays for the running thread; cpu->resv pays from cpu->since
 * on and is in no queue.  While cpu->lent, the payer belongs to another thread than the running one.
 */
#include "kernel/sched.h"

#include <arch/timer.h>
#include "kernel/ipc.h"

#define TIMER_STEP 12u /* deadlines handled in one interrupt; the rest comes with the next one, at once */

struct sched boot_sched = { .top = -1, .timer_at = SCHED_TIMER_OFF };

/* ---- the queue ---- */

/* The highest rank below `rank` with a queue, or -1. */
static int rank_below(const struct sched *s, int rank)
{
    int prio = rank - 2;

    if (prio >= 0) {
        unsigned i = (unsigned)prio / 32u;
        uint32_t word = s->map[i] & (0xffffffffu >> (31u - (unsigned)prio % 32u));
        uint32_t words = s->words & ((1u << i) - 1u);

        if (!word && words) {
            i = 31u - (unsigned)__builtin_clz(words);
            word = s->map[i];
        }
        if (word)
            return (int)(i * 32u + 32u - (unsigned)__builtin_clz(word));
    }
    return rank > 0 && s->queue[0] ? 0 : -1;
}

void sched_enqueue(struct resv *r, bool first)
{
    struct sched *s = this_sched();
    int rank = resv_rank(r);
    struct resv **queue = &s->queue[rank];

    ASSERT(!(r->flags & RESV_QUEUED));
    r->flags |= RESV_QUEUED;
    if (*queue) {
        r->queue_next = *queue;
        r->queue_prev = (*queue)->queue_prev;
        r->queue_prev->queue_next = r;
        r->queue_next->queue_prev = r;
        if (first)
            *queue = r;
        return;
    }
    *queue = r->queue_next = r->queue_prev = r;
    if (rank > 0) {
        s->map[r->prio / 32u] |= 1u << (r->prio % 32u);
        s->words |= 1u << (r->prio / 32u);
    }
    if (rank > s->top)
        s->top = rank;
}

void sched_dequeue(struct resv *r)
{
    struct sched *s = this_sched();
    int rank = resv_rank(r);
    struct resv **queue = &s->queue[rank];

    ASSERT(r->flags & RESV_QUEUED);
    r->flags &= (uint8_t)~(RESV_QUEUED | RESV_LATE);
    if (r->queue_next != r) {
        r->queue_next->queue_prev = r->queue_prev;
        r->queue_prev->queue_next = r->queue_next;
        if (*queue == r)
            *queue = r->queue_next;
    } else {
        *queue = NULL;
        if (rank > 0) {
            uint32_t *word = &s->map[r->prio / 32u];

            *word &= ~(1u << (r->prio % 32u));
            if (!*word)
                s->words &= ~(1u << (r->prio / 32u));
        }
        if (rank == s->top)
            s->top = rank_below(s, rank);
    }
    r->queue_next = r->queue_prev = NULL;
}

int sched_top(void)
{
    int top = this_sched()->top;

    return top > 0 ? top - 1 : -1;
}

struct resv *sched_queue(unsigned level)
{
    return this_sched()->queue[level == SCHED_BACKGROUND ? 0 : level + 1];
}

/* ---- threads come and go ---- */

void sched_ready(struct thread *t)
{
    struct cpu *cpu = this_cpu();
    struct resv *r = t->resv;

    if (!r || r == cpu->resv || r->flags & RESV_QUEUED || t->state != THREAD_READY || t->hardware)
        return;
    sched_enqueue(r, r->flags & RESV_BACKGROUND && r->slice);
    if (!cpu->resv || resv_rank(r) > resv_rank(cpu->resv))
        cpu->resched = true;
}

void sched_unready(struct thread *t)
{
    struct cpu *cpu = this_cpu();

    if (t->resv && t->resv->flags & RESV_QUEUED)
        sched_dequeue(t->resv);
    if (cpu->current == t || (cpu->resv && cpu->resv->thread == t))
        cpu->resched = true;
}

void sched_handoff_slow(struct thread *from, struct thread *to)
{
    sched_unready(from);
    sched_ready(to);
}

void sched_reconsider(struct thread *t)
{
    struct cpu *cpu = this_cpu();

    if (cpu->resv && cpu->resv->thread == t && cpu->resv != t->resv)
        cpu->resched = true;
    sched_ready(t);
}

/* ---- the timer is set ---- */

static void arm(uint64_t when, uint64_t now)
{
    struct sched *s = this_sched();

    if (when >= s->timer_at)
        return;
    s->timer_at = when;
    arch_timer_program(when > now ? when - now : 0);
}

void sched_arm(uint64_t when)
{
    if (when < this_sched()->timer_at)
        arm(when, clock_now());
}

/* ---- the choice ---- */

uint64_t sched_charge(void)
{
    struct cpu *cpu = this_cpu();
    struct resv *r = cpu->resv;
    uint64_t now = clock_now();
    uint32_t used;

    if (!r)
        return now;
    used = (uint32_t)now - cpu->since;
    cpu->since = (uint32_t)now;
    if (used < r->left)
        r->left -= used;
    else
        resv_spent(r, used - r->left);
    return now;
}

/* The first queued reservation whose thread the debugger does not hold. */
static struct resv *choose(const struct sched *s)
{
    int rank;

    for (rank = s->top; rank >= 0; rank = rank_below(s, rank)) {
        struct resv *r = s->queue[rank];

        do {
            if (LIKELY(!r->thread->debug_halt))
                return r;
            r = r->queue_next;
        } while (r != s->queue[rank]);
    }
    return NULL;
}

/* May r pay at once whenever its thread, whose position it is, becomes ready?  [SCH-1] */
static int quick_rank(const struct resv *r)
{
    bool window = deadline_is_set(&r->refill) || resv_is_round_robin(r);

    return window && !(r->flags & RESV_BACKGROUND) ? resv_rank(r) : SCHED_NOT_QUICK;
}

struct thread *sched_pick(void)
{
    struct cpu *cpu = this_cpu();
    struct sched *s = this_sched();
    struct thread *from = cpu->current, *to;
    struct resv *paid, *pays;
    uint64_t now = sched_charge();
    bool tail;

    tail = s->tail;
    s->tail = false;
    cpu->resched = false;
    paid = cpu->resv;
    if (paid) {
        struct thread *owner = paid->thread;
        bool goes_on = owner->resv == paid && owner->state == THREAD_READY && paid->left != 0;

        if (goes_on && owner == from && !cpu->lent && !tail && resv_rank(paid) >= s->top &&
            !owner->debug_halt) {
            arm(now + paid->left, now);
            from->quick_rank = quick_rank(paid);
            return from;
        }
        cpu->resv = NULL;
        if (goes_on)
            sched_enqueue(paid, !tail);
    }
    cpu->lent = false;
    pays = choose(s);
    to = pays ? pays->thread : NULL;
    cpu->current = to;
    if (from != to) {
        cpu->switches++;
        TRACE(SWITCH, from ? from->obj.id : 0, to ? to->obj.id : 0, pays ? pays->obj.id : 0);
    }
    if (!pays)
        return NULL;
    to->switches += from != to;
    cpu->since = (uint32_t)now; /* the switch belongs to the next */
    resv_window(pays, now);
    to->quick_rank = quick_rank(pays);
    sched_dequeue(pays);
    cpu->resv = pays;
    arm(now + pays->left, now);
    return to;
}

/* ---- the timer fires ---- */

void sched_timer(void)
{
    struct cpu *cpu = this_cpu();
    struct sched *s = this_sched();
    uint64_t now = clock_now();
    struct deadline *d;
    unsigned n;

    s->timer_at = 0; /* nobody arms it while the deadlines move */
    for (n = 0; n < TIMER_STEP; n++) {
        d = deadline_first();
        if (!d || (int64_t)(d->when - now) > 0)
            break;
        deadline_cancel(d);
        if (d->kind == DEADLINE_IPC)
            ipc_timeout(CONTAINER_OF(d, struct thread, timeout));
        else
            resv_refill_due(CONTAINER_OF(d, struct resv, refill));
    }
    now = sched_charge();
    s->timer_at = SCHED_TIMER_OFF;
    d = deadline_first();
    if (d)
        sched_arm(d->when);
    if (cpu->resv && !cpu->resched)
        sched_arm(now + cpu->resv->left);
    if (s->timer_at == SCHED_TIMER_OFF)
        arch_timer_off();
}

void sched_init(void)
{
    boot_sched = (struct sched){ .top = -1, .timer_at = SCHED_TIMER_OFF };
    arch_timer_off();
}
