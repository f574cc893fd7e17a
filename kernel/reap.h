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
extern struct kobj *reap_top; /* the stack from the top, linked by reap_next; others only read it */
ALWAYS_INLINE bool reap_pending(void) { return reap_top != NULL; }
/*
 * Work until the stack is empty or preempted.  STEP_GONE instead of either if `self` (may be NULL) was
 * destroyed, or lost its task by this: it does not go on with what it was doing, and what is left on
 * the stack is for others.  The caller then returns to kernel_exit() and does not touch `self`.
 */
enum step reap_run(struct thread *self);

/* ---- what goes with an object: reap_walk.c ---- */

enum reap_walk_stage {
    REAP_TASK_THREADS, REAP_TASK_IO, REAP_TASK_MEMORY, REAP_TASK_CAPS,
    REAP_PAGE_OBJECTS, REAP_PAGE_TABLES, REAP_PAGE_NODES,
    REAP_WALK_OVER
};

enum reap_kind {
    REAP_END,    /* nothing more */
    REAP_PAUSE,  /* nothing yet: a preemption point, and ask again */
    REAP_THREAD, /* unbound from its dying task */
    REAP_NODE,   /* loses all rights, with all below it */
    REAP_OBJECT, /* destroyed */
    REAP_OWN,    /* the creator's capability of the dying object itself leaves its name */
    REAP_TABLE   /* its names have been passed: it goes */
};

struct reap_item {
    enum reap_kind kind;
    union {
        struct thread *thread;
        struct node *node;
        struct kobj *object;
        struct { struct task *owner; uint32_t space, name; } table;
    };
};

/*
 * A walk over what must go before the object o can: the reaper and the debugger's dry run ask the same
 * questions.  The reaper makes each thing go and asks again at the same position; the dry run passes on.
 * Reads only; every call is bounded.  Of other types than tasks and kernel pages nothing is found.
 */
struct reap_walk {
    struct kobj *o;
    enum reap_walk_stage stage;
    uint32_t at;      /* frame or directory entry << REAP_WALK_SHIFT, and what is in it; an address, or a name */
    const void *page; /* the table of a kernel page that was looked at last, and its directory index */
    uint32_t dir;
};
#define REAP_WALK_SHIFT 11u

void reap_walk_start(struct reap_walk *w, struct kobj *o);
/* The next thing at the position or behind it; the position stands at it then. */
void reap_walk_next(struct reap_walk *w, struct reap_item *item);
void reap_walk_pass(struct reap_walk *w, const struct reap_item *item);

extern struct revoke reap_revoke; /* the flush under way; belongs to whatever stands on top */

/* What each module does when its object dies.  Bounded; false = call again after a preemption point. */
bool thread_dissociate(struct thread *t);       /* thread.c: unbind, leave queues, reservations off */
struct endpoint;
bool endpoint_dissociate(struct endpoint *ep);  /* ipc.c: restart up to 12 queued threads */
struct resv;
bool resv_dissociate(struct resv *r);           /* resv.c: detach thread, return the share */

#endif
