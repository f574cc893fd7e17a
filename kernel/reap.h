// SPDX-License-Identifier: MIT
/*
 * The reaper: destruction of objects, step by step, without recursion.  [M 2.5.1] [G41]
 *
 * Dying objects stand on one global stack.  Whoever revokes works it off (reap_run), and so does the
 * idle loop, so a dead or aborted revoker leaves nothing behind for ever.  The object on top goes
 * first; what it depends on is pushed above it.  If a step finds that it needs an object which
 * already stands deeper in the stack, that one is moved to the top.  It ends because an object's memory
 * is always older than the object.
 *
 * Order for each object: mark dying (no look-up finds it), remove the descendants of the creator's
 * capability, dissociate, dependents, contents, then the creator's slot and the memory.
 */
#ifndef KERNEL_REAP_H
#define KERNEL_REAP_H

#include "kernel/object.h"
#include "kernel/step.h"

/*
 * Mark dying and put on top; no-op if already dying.  STATIC objects must not come here.
 *
 * The reaper knows nothing of half-built objects: an operation that is preempted while it makes one must
 * have entered it at its name before, and on going on must find it there again, not dying and with the
 * same id.  A builder that gives up pushes the object here.
 */
void reap_push(struct kobj *o);
bool reap_pending(void);
/*
 * Work until the stack is empty or preempted.  STEP_GONE instead of either if `self` (may be NULL) was
 * destroyed, or lost its task by this: it does not go on with what it was doing, and what is left on
 * the stack is for others.  The caller then returns to kernel_exit() and does not touch `self`.
 */
enum step reap_run(struct thread *self);

/* The stack from the top, for check and kdb: linked by reap_next. */
extern struct kobj *reap_top;
extern struct revoke reap_revoke; /* the flush under way; belongs to whatever stands on top */

/* What each module does when its object dies.  Bounded; false = call again after a preemption point. */
bool thread_dissociate(struct thread *t);       /* thread.c: unbind, leave queues, reservations off */
struct endpoint;
bool endpoint_dissociate(struct endpoint *ep);  /* ipc.c: restart up to 16 queued threads */
struct resv;
bool resv_dissociate(struct resv *r);           /* resv.c: detach thread, return the share */

#endif
