// SPDX-License-Identifier: MIT
/*
 * Long operations are steps between preemption points.  [G42]
 *
 * A step function works on state kept in an object, never on the stack.  When preempt_point()
 * answers true it returns STEP_PREEMPTED and is called again later with the same state.  When the
 * operation destroyed the thread on whose behalf it ran it returns STEP_GONE, and the caller must
 * return to kernel_exit() without touching that thread.
 */
#ifndef KERNEL_STEP_H
#define KERNEL_STEP_H

#include "kernel/lib/types.h"

enum step { STEP_DONE, STEP_PREEMPTED, STEP_GONE };

/*
 * Lets pending interrupts in, then says whether someone else should run first.  Kernel state must be
 * consistent (check would be clean).  kernel/cpu.c; on the host a hook decides (arch/host/host.h).
 * `id` names the place, for tests that force each one.
 */
#define PREEMPT_LIST(X)                                                              \
    X(REVOKE, "revoke") X(DELETE, "delete") X(REAP, "reap") X(ZERO, "zero") X(MAP, "map") \
    X(NAMES, "names") X(SUSPEND, "suspend") X(TABLE, "table") X(QUEUE, "queue") X(EXIT, "exit") \
    X(ROOM, "room")
enum preempt_id {
#define X(name, text) PREEMPT_##name,
    PREEMPT_LIST(X)
#undef X
    PREEMPT_COUNT
};
bool preempt_point(enum preempt_id id);

#endif
