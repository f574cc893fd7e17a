// SPDX-License-Identifier: MIT
/*
 * System-call dispatch, and the one door back to user code.  [M 3.1] [G7] [G9]
 */
#ifndef KERNEL_SYS_H
#define KERNEL_SYS_H

#include "kernel/thread.h"

/* Entry from the arch: `t` is current, its frame is saved, interrupts are off.  In a register. */
#define SYS_ENTRY_ABI __attribute__((regparm(1)))
void sys_entry(struct thread *t) SYS_ENTRY_ABI;

/* The call is over with this W0; clears cont, msg_in.  Other output words are already in place. */
ALWAYS_INLINE void sys_finish(struct thread *t, uint32_t w0)
{
    t->frame.w[0] = w0;
    t->cont = NULL;
    t->msg_in = false;
    t->syscall = false;
}
/* The same with an error that any call may meet: counts that the call returns unchanged stay in W0. */
void sys_refuse(struct thread *t, uint32_t error);
/*
 * Copy parameter words W5..W(count-1) in from [ECX]; true if they are in t->msg.  False: a fault is under
 * way (or the call ended with PARAM/KERNEL_RANGE) and `cont` will run again: return at once.
 */
bool sys_copy_in(struct thread *t, unsigned count, thread_cont *cont) MUST_CHECK;
/* The same outward; finishes nothing.  */
bool sys_copy_out(struct thread *t, unsigned count, thread_cont *cont) MUST_CHECK;
/* Parameter words Wn and the following, wherever they stand; not limited to the 71 of a message (lists). */
bool sys_get_words(struct thread *t, unsigned n, uint32_t *to, unsigned count, thread_cont *cont) MUST_CHECK;
bool sys_put_words(struct thread *t, unsigned n, const uint32_t *from, unsigned count,
                   thread_cont *cont) MUST_CHECK;

/*
 * Every kernel entry ends here, on the kernel stack with interrupts off: picks the thread, runs
 * continuations, idles if nothing is ready, prepares FPU, IO bitmap and page directory, and returns the
 * thread that the arch must now resume in user mode.
 */
struct thread *kernel_exit(void);

void sys_unmap(struct thread *t);       /* unmap.c */
void sys_create(struct thread *t);      /* sys_create.c, convert.c */
void sys_cap_inspect(struct thread *t); /* sys_inspect.c */
void sys_debug(struct thread *t);       /* debug/sys_debug.c */

#endif
