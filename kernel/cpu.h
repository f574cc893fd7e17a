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
    uint32_t since;             /* clock when `resv` began to pay, bits [31:0]: a budget is shorter */
    struct task *loaded;        /* whose page directory is in CR3; NULL = the kernel's own */
    struct thread *fpu_owner;   /* whose FPU state is in the registers */
    uint32_t io_version;        /* io_version of the bitmap in the TSS, and ... */
    struct task *io_task;       /* ... whose it is; NULL: none */
    union {
        struct {
            bool resched;       /* pick again before going back to user code */
            bool lent;          /* thread-switch: current runs on another thread's reservation */
            bool general_ipc;   /* IPC is traced or measured: no straight line */
            bool owned;         /* fpu_owner or io_task is not NULL */
        };
        uint32_t hurdles;       /* all four in one test, for ipc_fast() */
    };
    uint8_t number;
    uint32_t switches, interrupts;
};
#define HURDLE_OWNED 0xff000000u /* owned in `hurdles` */

extern struct cpu boot_cpu;
ALWAYS_INLINE struct cpu *this_cpu(void) { return &boot_cpu; }

ALWAYS_INLINE void cpu_set_fpu_owner(struct cpu *cpu, struct thread *t)
{
    cpu->fpu_owner = t;
    cpu->owned = t || cpu->io_task;
}
ALWAYS_INLINE void cpu_set_io_task(struct cpu *cpu, struct task *task)
{
    cpu->io_task = task;
    cpu->owned = task || cpu->fpu_owner;
}

/*
 * The longest stretch of kernel execution without a preemption point, in clock ticks, measured while
 * `on` (kdb `stat stretch`).  A stretch goes from an entry or a preemption point to the next point, the sleep
 * of the idle loop or the way out; the entry stubs are not in it.  Interrupts come in at points and in the
 * idle loop, and are stretches of their own.  Meanwhile all IPC goes the general way, which is longer than the
 * fast ones.  What the debugger does and what is printed is no kernel work: it makes its stretch uncounted.
 * A place is an enum preempt_id or one of the others.
 */
enum stretch_place {
    STRETCH_USER = PREEMPT_COUNT, /* the way out */
    STRETCH_IDLE,
    STRETCH_SYSCALL,              /* + number */
    STRETCH_VECTOR = STRETCH_SYSCALL + 16u, /* + vector */
};
struct cpu_stretch {
    uint64_t start;               /* 0: none under way, or not to be counted */
    uint32_t longest, thread;     /* thread: id of the current one then, or 0 */
    uint16_t place;               /* where the one under way began */
    uint16_t from, to;            /* of the longest */
    bool on;
};
extern struct cpu_stretch cpu_stretch;
void cpu_stretch_set(bool on); /* also forgets the longest */
void cpu_stretch_open(unsigned place);
void cpu_stretch_close(unsigned place);

/* A release kernel has nobody who could switch it on. */
ALWAYS_INLINE bool cpu_stretch_is_on(void)
{
#ifdef NDEBUG
    return false;
#else
    return UNLIKELY(cpu_stretch.on);
#endif
}
ALWAYS_INLINE void cpu_stretch_begin(unsigned place)
{
    if (cpu_stretch_is_on())
        cpu_stretch_open(place);
}
ALWAYS_INLINE void cpu_stretch_end(unsigned place)
{
    if (cpu_stretch_is_on())
        cpu_stretch_close(place);
}
ALWAYS_INLINE void cpu_stretch_forget(void) { cpu_stretch.start = 0; }

#endif
