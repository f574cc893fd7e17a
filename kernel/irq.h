// SPDX-License-Identifier: MIT
/* Interrupt lines as messages from hardware threads.  [M 2.6] [G21] */
#ifndef KERNEL_IRQ_H
#define KERNEL_IRQ_H

#include "kernel/thread.h"

#define IRQ_LINES 16u

enum irq_state { IRQ_KERNEL, IRQ_DETACHED, IRQ_MASKED /* by ex-regs */, IRQ_ARMED, IRQ_SENDING, IRQ_WAITING,
                 IRQ_RAISED /* the message is under way, but in no queue: irq_continue() */ };

/* The thread objects, STATIC, made by boot.  kernel_lines: bitmap of lines that the kernel keeps. */
void irq_init(struct thread *threads[IRQ_LINES], uint32_t kernel_lines);
struct thread *irq_thread(unsigned line);
/* Line raised and not spurious: called by the arch with the line already masked and acknowledged if the
 * line is not the kernel's. */
void irq_raise(unsigned line);
/* TCR 1, 4, 5 or ex-regs of a hardware thread changed: arm or detach. */
void irq_reevaluate(struct thread *t);
/* The handler replied, or the pending message was aborted: line armed again. */
void irq_replied(struct thread *t);
/* An endpoint capability in TCR 4 or 5 does not serve any more: detached until TCR 1, 4 or 5 is written. */
void irq_lost(struct thread *t);
/* exchange-registers with h=1 on a hardware thread: H=1 keeps the line masked, H=0 lets it be armed. */
void irq_set_halted(struct thread *t, bool halted);
/* The message of t cannot go on now: enough threads were looked at in interrupt context. */
void irq_postpone(struct thread *t);
/* It goes on: one stretch of work for one line.  kernel_exit() calls it while there are any. */
extern uint32_t irq_postponed; /* bit per line: RAISED */
void irq_continue(void);
/* SENDING and WAITING told apart by the state of the message. */
enum irq_state irq_state_of(const struct thread *t);
const char *irq_state_name(unsigned state);

extern uint32_t irq_count[IRQ_LINES], irq_spurious;

#endif
