// SPDX-License-Identifier: MIT
/* Per-CPU data behind one pointer; one CPU so far.  [G43] */
#ifndef KERNEL_CPU_H
#define KERNEL_CPU_H

#include "kernel/object.h"
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
    uint8_t number;
    uint32_t switches, interrupts;
};

extern struct cpu boot_cpu;
ALWAYS_INLINE struct cpu *this_cpu(void) { return &boot_cpu; }

#endif
