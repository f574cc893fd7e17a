// SPDX-License-Identifier: MIT
/* Per-CPU data behind one pointer; one CPU so far.  [G43] */
#ifndef KERNEL_CPU_H
#define KERNEL_CPU_H

#include "kernel/object.h"
#include "kernel/resv.h"
#include "kernel/step.h"

struct cpu {
    struct kobj obj;
    struct thread *current;     /* whose kernel entry or user code runs; NULL when idle */
    struct resv *resv;          /* the one that pays for current; NULL when idle */
    uint64_t since;             /* clock when `resv` began to pay */
    struct task *loaded;        /* whose page directory is in CR3; NULL = the kernel's own */
    struct thread *fpu_owner;   /* whose FPU state is in the registers */
    uint32_t io_version;        /* io_version of the bitmap in the TSS, and ... */
    struct task *io_task;       /* ... whose it is; NULL: none */
    bool resched;               /* pick again before going back to user code */
    bool lent;                  /* thread-switch: current runs on another thread's reservation */
    uint8_t number;
    uint32_t switches, interrupts;
};

extern struct cpu boot_cpu;
ALWAYS_INLINE struct cpu *this_cpu(void) { return &boot_cpu; }

/*
 * The longest stretch of kernel execution without a preemption point, in clock ticks, measured while
 * `on` (debug call, kdb `stat`).  where: enum preempt_id, or PREEMPT_COUNT for the way out.
 */
struct cpu_stretch { uint64_t start; uint32_t longest; uint8_t where; bool on; };
extern struct cpu_stretch cpu_stretch;
void cpu_stretch_begin(void);
void cpu_stretch_end(unsigned where);

#endif
