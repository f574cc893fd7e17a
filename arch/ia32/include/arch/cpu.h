// SPDX-License-Identifier: MIT
/* What the kernel asks of the processor and the interrupt controller beside paging and time. */
#ifndef ARCH_CPU_H
#define ARCH_CPU_H

#include "kernel/lib/types.h"

struct thread;
struct task;

/* Let pending interrupts in, at a preemption point (kernel state is consistent). */
void arch_interrupt_window(void);
/* Sleep until an interrupt has been handled. */
void arch_idle(void);
void arch_halt_forever(void) NORETURN;
void arch_reboot(void) NORETURN;

void arch_irq_mask(unsigned line);
void arch_irq_unmask(unsigned line);
bool arch_irq_masked(unsigned line); /* as the controller was last told */

/* `t` goes to user mode next: where the CPU must push its registers; FPU and IO bitmap follow. */
void arch_prepare(struct thread *t);
/* The FPU state of t is about to be freed or read: write it to t->fpu if it is in the registers. */
void arch_fpu_release(struct thread *t);
/* Bits the CPU has, for processor-control info and boot. */
uint32_t arch_cpu_features(void);

/*
 * Copy words between the kernel and the user memory of the *loaded* task.  address..+4*count-1 is below
 * L4_USER_TOP (checked by the caller).  Returns the number of words done; if less than count,
 * *fault is the address that has no fitting entry.
 */
unsigned arch_user_read(uint32_t *to, uint32_t address, unsigned count, uint32_t *fault);
unsigned arch_user_write(uint32_t address, const uint32_t *from, unsigned count, uint32_t *fault);

/*
 * Copy words from the user memory of the loaded task into that of `to`, as `to` itself might write it.  `from` is
 * below L4_USER_TOP with all words; `address` may be anything.  False: not now, by neither side's entries; if
 * the reason is on the loaded side, nothing has been written.
 */
bool arch_user_send(const struct task *to, uint32_t address, uint32_t from, unsigned count);

/* Decode the IO instruction at frame.eip: true and port, width if it is one (in, out, ins, outs). */
bool arch_decode_io(struct thread *t, uint32_t *port, unsigned *bytes);

#endif
