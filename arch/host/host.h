// SPDX-License-Identifier: MIT
/*
 * The kernel in a Linux process: a machine with no user code, in which a test plays the user programs.
 *
 * host_boot() boots the kernel's own boot code on a made-up memory map.  Then host_run() says which thread
 * the kernel would resume; the test fills its registers and makes its system call.
 */
#ifndef ARCH_HOST_HOST_H
#define ARCH_HOST_HOST_H

#include "kernel/thread.h"

struct boot_desc;
struct host_config {
    unsigned megabytes;   /* RAM; 0: 16 */
    bool superpages;
    const char *options;  /* kernel command line */
    void (*alter)(struct boot_desc *desc); /* change what the loader tells; may be NULL */
};

/* Once per process.  sigma0 is a tiny ELF that is never executed. */
void host_boot(const struct host_config *config);

/* The thread that runs next, or NULL if the machine would sleep with nothing due. */
struct thread *host_run(void);

/*
 * t, which host_run() has returned, makes the system call that is in t->frame.w[0..4] (further words in
 * user memory at t->frame.ecx).  Then the machine runs until some thread would execute user code:
 * the result is host_run()'s.
 */
struct thread *host_syscall(struct thread *t);

/* Fill W0..W4 and host_syscall(). */
struct thread *host_call(struct thread *t, uint32_t w0, uint32_t w1, uint32_t w2, uint32_t w3, uint32_t w4);

/*
 * One access of user code to user memory through page tables and a TLB that forgets nothing by itself:
 * the address in host memory, or NULL if the MMU would fault.  access: L4_R or L4_W.
 */
void *host_access(struct task *task, uint32_t address, uint32_t access);

/* Called at every preemption point, after the interrupt window would have been open. */
extern void (*host_window)(void);

/* Let time pass; the timer interrupt happens if it is due. */
void host_advance(uint64_t ticks);

extern uint32_t host_irq_mask_bits;
extern bool host_quiet; /* swallow kprintf */
extern bool host_fast;  /* a system call tries ipc_fast() first, as an entry does */

#endif
