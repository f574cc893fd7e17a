// SPDX-License-Identifier: MIT
/*
 * Capability faults and exceptions as messages.  [M 2.1.2] [G18] [G19]
 */
#ifndef KERNEL_FAULT_H
#define KERNEL_FAULT_H

#include "kernel/thread.h"

/*
 * A system call of t met an unusable capability.  `name` is M1.  Sends the fault message; on "retry"
 * `cont` runs again, on "fail" (or without a usable handler) W0 = CAP with `reason`.  The caller returns
 * to kernel_exit() afterwards.  word: index of the parameter word, for M1 and the error's index.
 */
void fault_cap(struct thread *t, enum l4_fault_op op, enum l4_detail reason, enum l4_type type,
               uint32_t need, uint32_t cap_word, unsigned word, thread_cont *cont);

/*
 * t touched user memory at `address`: from user mode (cont NULL: the instruction is retried) or while
 * its call copies parameter words (cont: what to do again).  Tries mem_refill() first.  Without a handler
 * the thread halts with NO_HANDLER, and debug builds enter the debugger.
 */
void fault_memory(struct thread *t, uint32_t address, uint32_t access, thread_cont *cont);
void fault_io(struct thread *t, uint32_t port, unsigned bytes);
void fault_exception(struct thread *t, uint32_t vector, uint32_t error, uint32_t address);

/*
 * The reply of a nested FAULT, EXCEPTION or STARTUP message has arrived in t->kmsg.  FAULT: in t's own context.
 * ipc.c keeps a startup message with L4_START_MORE for itself.
 */
void fault_replied(struct thread *t);
/* Does the reply to a FAULT message say "retry"?  Then there is nothing more to do. */
ALWAYS_INLINE bool fault_is_retried(const struct thread *t)
{
    return !t->kipc.oc || t->kmsg[0] == L4_REPLY_RETRY;
}

#endif
