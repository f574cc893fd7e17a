// SPDX-License-Identifier: MIT
/*
 * The scheduler: fixed priorities, round robin inside one; reservations wait in the ready queue, the
 * running one is in no queue.  [M 2.4] [G28] [G30]
 */
#ifndef KERNEL_SCHED_H
#define KERNEL_SCHED_H

#include "kernel/cpu.h"
#include "kernel/resv.h"
#include "kernel/thread.h"

/* t became ready (state already READY): queue its first reservation with budget; resched if it outranks. */
void sched_ready(struct thread *t);
/* t is no longer ready: out of the queue; if it is current, resched. */
void sched_unready(struct thread *t);
/*
 * `from` (current) has just blocked and `to` has just become ready.  If nothing ready outranks `to`,
 * make it current at once without touching a queue; else as sched_ready(to).  The common end of an IPC.
 */
void sched_handoff(struct thread *from, struct thread *to);
/* Charge the current reservation up to now. */
void sched_charge(void);
/* Choose who runs next and make it current (NULL: idle).  Called by kernel_exit() when resched is set. */
struct thread *sched_pick(void);
/* The timer fired: due deadlines, spent budgets.  Reprograms the timer.  Interrupt context is fine. */
void sched_timer(void);
/* The reservation's parameters or its list changed: look again. */
void sched_reconsider(struct thread *t);
void sched_init(void);

/* For kdb and check: highest ready priority or -1; the queue of a level, NULL if empty.
 * Level 256 is the background level of soft reservations. */
int sched_top(void);
struct resv *sched_queue(unsigned level);
#define SCHED_LEVELS 257u

void sys_thread_switch(struct thread *t);
void sys_processor_control(struct thread *t);

#endif
