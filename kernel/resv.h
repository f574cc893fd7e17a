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

enum resv_flag { RESV_SOFT = 1, RESV_QUEUED = 2 /* in a ready queue */, RESV_BACKGROUND = 4 /* spent but soft: lowest level */ };

#define RESV_SHARE_ONE   (1u << 20)
#define RESV_BUDGET_MIN  1000u     /* microseconds [G28] */
#define RESV_BUDGET_MAX  1000000u
#define RESV_BACKGROUND_SLICE_US 10000u

/*
 * Invariants (SCH group): left <= budget in ticks; QUEUED <=> in the ready queue of its priority, and
 * then its thread is ready and runs on this one; thread's list contains it <=> thread != NULL.
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
    uint8_t prio, flags, cpu, spare;
    struct deadline refill;              /* kind DEADLINE_REFILL; set while a refill is due */
    uint32_t left;                       /* ticks left of the budget */
    uint32_t used_us;                    /* consumed in earlier windows, wraps */
};
STATIC_ASSERT(sizeof(void *) != 4 || sizeof(struct resv) == L4_SIZE_RESERVATION);

void resv_init(struct resv *r);                       /* born empty [G24] */
void resv_attach(struct resv *r, struct thread *t, uint32_t position); /* breaks an older association */
void resv_detach(struct resv *r);
void resv_drop_thread(struct thread *t);              /* detach all of a thread's */
void resv_refill_due(struct resv *r);                 /* from the deadline heap */
uint32_t resv_used_us(const struct resv *r);

void sys_schedule(struct thread *t);

#endif
