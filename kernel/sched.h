// SPDX-License-Identifier: MIT
/*
 * The scheduler: fixed priorities, round robin inside one; reservations wait in the ready queue, the
 * running one is in no queue.  [M 2.4] [G28] [G30]
 *
 * A thread's position, thread.resv, is kept right at all times: it has budget or runs at background level;
 * NULL only if the thread must wait for a refill.  So becoming ready is one queue operation.
 *
 * There is no periodic tick.  The timer stands at or before the earliest of the first deadline and the
 * end of the running budget; an early interrupt does nothing but set it again.
 */
#ifndef KERNEL_SCHED_H
#define KERNEL_SCHED_H

#include "kernel/clock.h"
#include "kernel/cpu.h"
#include "kernel/resv.h"
#include "kernel/thread.h"
#include "kernel/trace.h"

/* Levels of the queue: a priority, or 256 for the background level of soft reservations. */
#define SCHED_LEVELS 257u
#define SCHED_BACKGROUND 256u

/*
 * The ready queue of one CPU.  A rank orders the levels: priority + 1, background is 0.
 * Invariants (SCH group): top is the highest rank with a queue, -1 if there is none; bit p of map <=> queue
 * of priority p; bit i of words <=> map[i] != 0.
 */
struct sched {
    int top;
    bool tail;                  /* the running reservation goes to the end of its queue when it stops */
    uint64_t timer_at;          /* clock at which the timer will fire, or SCHED_TIMER_OFF */
    uint32_t map[8], words;
    struct resv *queue[SCHED_LEVELS]; /* by rank: first of a circular list, or NULL */
};
#define SCHED_TIMER_OFF ((uint64_t)INT64_MAX)
#define SCHED_NOT_QUICK (-2)    /* thread.quick_rank below every `top` */

extern struct sched boot_sched;
ALWAYS_INLINE struct sched *this_sched(void) { return &boot_sched; }

ALWAYS_INLINE int resv_rank(const struct resv *r)
{
    return r->flags & RESV_BACKGROUND ? 0 : r->prio + 1;
}

/* t became ready (state already READY): queue the reservation at its position; resched if it outranks.
 * No-op if it is queued or running already. */
void sched_ready(struct thread *t);
/* t is no longer ready: out of the queue; if it is current, resched. */
void sched_unready(struct thread *t);
/* The general case of sched_handoff(). */
void sched_handoff_slow(struct thread *from, struct thread *to);

/*
 * `from` (current) has just blocked and `to` has just become ready: both states are already set, and the
 * scheduler has been told of neither.  If nothing ready outranks `to`, make it current at once without
 * touching a queue; else as sched_unready(from), sched_ready(to).  The common end of an IPC.
 *
 * Without resched and lent the payer is from's.  The timer fires before the payer's budget ends, and a
 * budget is less than 2^32 ticks: differences of times need 32 bits only.
 * sched_handoff_quick: the common case, neither resched nor lent; false and nothing done in any other.
 */
ALWAYS_INLINE bool sched_handoff_quick(struct thread *to, uint32_t now)
{
    struct cpu *cpu = this_cpu();
    const struct sched *s = this_sched();
    struct resv *pays = to->resv;
    uint32_t left;

    if (UNLIKELY(to->quick_rank < s->top) || UNLIKELY((uint32_t)s->timer_at - now > pays->left) ||
        UNLIKELY(__builtin_sub_overflow(cpu->resv->left, now - cpu->since, &left)) || UNLIKELY(!left))
        return false;
    cpu->resv->left = left;
    cpu->resv = pays;
    cpu->since = now;
    cpu->current = to;
    cpu->switches++;
    to->switches++;
    return true;
}
ALWAYS_INLINE void sched_handoff(struct thread *from, struct thread *to)
{
    const struct cpu *cpu = this_cpu();

    if (LIKELY(!cpu->resched) && LIKELY(!cpu->lent) && LIKELY(!to->debug_halt) &&
        LIKELY(sched_handoff_quick(to, (uint32_t)clock_now())))
        TRACE(SWITCH, from->obj.id, to->obj.id, to->resv->obj.id);
    else
        sched_handoff_slow(from, to);
}

/* Charge the current reservation up to now, which is the answer. */
uint64_t sched_charge(void);
/*
 * Choose who runs next and make it current (NULL: idle).  Called by kernel_exit() when resched is set.
 * Threads with debug_halt are passed over; they keep their place.
 */
struct thread *sched_pick(void);
/* The timer fired: due deadlines, spent budgets.  Reprograms the timer.  Interrupt context is fine. */
void sched_timer(void);
/* The timer must fire no later than `when` (clock). */
void sched_arm(uint64_t when);
/* The thread's position or list changed: look again. */
void sched_reconsider(struct thread *t);
void sched_init(void);

/* Move r between "not queued" and its level; for resv.c. */
void sched_enqueue(struct resv *r, bool first);
void sched_dequeue(struct resv *r);

/* For kdb and check: highest ready priority or -1 (background level only: -1); the queue of a level,
 * NULL if empty.  Level 256 is the background level of soft reservations. */
int sched_top(void);
struct resv *sched_queue(unsigned level);

void sys_thread_switch(struct thread *t);
void sys_processor_control(struct thread *t);

#endif
