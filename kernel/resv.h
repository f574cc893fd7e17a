// SPDX-License-Identifier: MIT
/*
 * Reservations: CPU time that a thread may spend, and when it comes back.  [M 2.4.1] [G28] [G29]
 *
 * share = ceil(budget * 2^20 / period).  Reservations form a tree of splits; the sum of all shares is
 * that of the initial reservation for ever (the kernel-held root of the tree never dies).
 */
#ifndef KERNEL_RESV_H
#define KERNEL_RESV_H

#include "kernel/deadline.h"
#include "kernel/object.h"

enum resv_flag {
    RESV_SOFT = 1,
    RESV_QUEUED = 2,     /* in a ready queue */
    RESV_BACKGROUND = 4, /* spent but soft: lowest level */
    RESV_LATE = 8,       /* refilled at refill.when while its thread waited for the CPU, not run since */
};

#define RESV_SHARE_ONE   (1u << 20)
#define RESV_BUDGET_MIN  1000u     /* microseconds [G28] */
#define RESV_BUDGET_MAX  1000000u
#define RESV_BACKGROUND_SLICE_US 10000u
#define RESV_SLICE_UNIT_US 50u     /* of resv.slice */

/*
 * A reservation has budget if left > 0 and it is not at background level.  budget == period: its slice
 * comes back the moment it is spent.  budget < period: the first use in a window at time s sets `refill` to
 * s + period, when the budget is whole again.  For a thread that was waiting for the CPU at that moment s is
 * the refill before, else the wait would be lost to it for ever.  What was used beyond the budget, because an
 * interrupt came late, puts the refill off by the period it is worth.  Nothing else ever gives budget back: a
 * split divides `left`, so splitting and merging in a loop gains no time.
 *
 * Invariants (SCH group): left <= budget in ticks, or the background slice in ticks with BACKGROUND;
 * a share without budget has a refill due; QUEUED <=> in the ready queue of its level, and then its thread is
 * ready and its position is this one; thread's list contains it <=> thread != NULL;
 * budget * 2^20 <= share * period.
 */
struct resv {
    struct kobj obj;
    struct thread *thread;               /* associated, or NULL */
    struct resv *thread_next;            /* next in the thread's ordered list */
    struct resv *queue_next, *queue_prev;/* ready queue, circular */
    struct resv *parent;                 /* split from; NULL for the root */
    struct resv *child, *sibling, **back;/* children by split; back = the pointer that points here */
    uint32_t share;                      /* 2^-20ths of the CPU */
    uint32_t budget_us, period_us;
    uint8_t prio, flags, cpu;
    uint8_t slice;                       /* left of the background slice when a refill ended it; 0: a fresh one */
    struct deadline refill;              /* kind DEADLINE_REFILL; set while a refill is due */
    uint32_t left;                       /* ticks left of the budget */
    uint32_t used_us;                    /* consumed in earlier windows, wraps */
};
STATIC_ASSERT(sizeof(void *) != 4 || sizeof(struct resv) == L4_SIZE_RESERVATION);

#define RESV_PER_THREAD 64u        /* length limit of a thread's list: it is searched with interrupts off */

/* Born empty [G24].  The head, r->obj, is the caller's; the rest is overwritten. */
void resv_init(struct resv *r);
void resv_attach(struct resv *r, struct thread *t, uint32_t position); /* breaks an older association */
void resv_detach(struct resv *r);
bool resv_drop_thread(struct thread *t);              /* detach some of a halted thread's; true: all are */
void resv_refill_due(struct resv *r);                 /* from the deadline heap */
uint32_t resv_used_us(const struct resv *r);
uint32_t resv_left_us(const struct resv *r);

/* ---- between resv.c, sched.c and the system calls ---- */

ALWAYS_INLINE bool resv_has_budget(const struct resv *r)
{
    return r->left != 0 && !(r->flags & RESV_BACKGROUND);
}
ALWAYS_INLINE bool resv_is_round_robin(const struct resv *r) { return r->budget_us == r->period_us; }
uint32_t resv_budget_ticks(const struct resv *r);     /* saturates */
void resv_window(struct resv *r, uint64_t now);       /* r begins to pay: open its window if none is */
/* r, which pays, has spent what was left and `over` ticks more: position moves, resched. */
void resv_spent(struct resv *r, uint64_t over);
/* Leave r, the position of its thread, for the next with budget (thread-switch). */
void resv_leave(struct resv *r);
/* Give up what is left of r until its next period; its thread waits for a refill. */
void resv_give_up(struct resv *r);
uint32_t resv_index(const struct resv *r);            /* in its thread's list; 255: in none */
unsigned resv_count(const struct thread *t);

/* Share of (budget, period), both not 0, rounded up; the budget of a share, rounded down. */
uint32_t resv_share(uint32_t budget_us, uint32_t period_us);
uint32_t resv_share_budget(uint32_t share, uint32_t period_us);

/* The three ways in which shares move; the caller has checked that they may. [G29] */
struct resv_params { uint32_t share, budget_us, period_us; uint8_t prio; bool soft; };
void resv_split(struct resv *dst, struct resv *src, const struct resv_params *p);
void resv_merge(struct resv *dst, struct resv *src);
void resv_set(struct resv *r, const struct resv_params *p);

void sys_schedule(struct thread *t);

#endif
