// SPDX-License-Identifier: MIT
/*
 * The life of a thread: its state, the task it is bound to, how it stops.  [M 2.2] [G20] [G22] [G23]
 *
 * thread.state changes here, where the scheduler is told, and in ipc.c's hand-over of the CPU from a
 * sender to its receiver, which tells it, too.
 */
#include "kernel/thread.h"

#include <arch/cpu.h>
#include "kernel/cpu.h"
#include "kernel/ipc.h"
#include "kernel/irq.h"
#include "kernel/lib/string.h"
#include "kernel/reap.h"
#include "kernel/resv.h"
#include "kernel/sched.h"

#define STARTUP_CAP   0u    /* the startup endpoint's place in every task [M 2.5.2] */
#define STARTUP_WORDS 9u
#define EFLAGS_FIXED  2u    /* bit 1 reads as one */

void thread_init(struct thread *t)
{
    unsigned i;

    memset(&t->frame, 0, offsetof(struct thread, msg) - offsetof(struct thread, frame));
    t->frame.cs = SEL_USER_CS;
    t->frame.ss = SEL_USER_DS;
    t->frame.eflags = EFLAGS_IF | EFLAGS_FIXED;
    t->state = THREAD_HALTED;
    t->halt_reason = HALT_FRESH;
    t->slow_exit = true;
    t->quick_rank = SCHED_NOT_QUICK;
    t->queue_next = t->queue_prev = t;
    t->ipc = &t->uipc;
    t->uipc.kind = IPC_USER;
    t->uipc.send = t->uipc.recv = L4_CAP_INVALID;
    t->kipc.send = t->kipc.recv = L4_CAP_INVALID;
    t->timeout.kind = DEADLINE_IPC;
    kroom_reset(&t->map.room);
    for (i = L4_TCR_FAULT_SND; i <= L4_TCR_EXC_RCV; i++)
        t->tcr[i] = L4_CAP_INVALID;
}

void thread_set_state(struct thread *t, enum thread_state state)
{
    bool was_ready = t->state == THREAD_READY;

    t->state = (uint8_t)state;
    if (was_ready == (state == THREAD_READY))
        return;
    if (was_ready)
        sched_unready(t);
    else
        sched_ready(t);
}

void thread_halt(struct thread *t, enum halt_reason why)
{
    ASSERT(!t->ipc->endpoint && !t->ipc->partner);
    t->halt_reason = (uint8_t)why;
    t->halt_pending = false;
    thread_set_state(t, THREAD_HALTED);
}

static void wait_for_startup(struct thread *t)
{
    enum l4_detail reason;

    if (!cap_object(t->task, L4_CAP(STARTUP_CAP), L4_TYPE_ENDPOINT, L4_R, &reason)) {
        t->halt_reason = HALT_NO_STARTUP;
        return;
    }
    t->kipc = (struct ipc){
        .kind = IPC_STARTUP, .send = L4_CAP_INVALID,
        .recv = ipc_recv_word(L4_CAP(STARTUP_CAP), STARTUP_WORDS, L4_ITEMS_MAX),
    };
    ipc_start_receive(t);
}

void thread_bind(struct thread *t, struct task *task)
{
    ASSERT(!t->task && t->state == THREAD_HALTED);
    t->task = task;
    t->task_prev = NULL;
    t->task_next = task->threads;
    if (task->threads)
        task->threads->task_prev = t;
    task->threads = t;
    if (t->hardware)
        irq_reevaluate(t);
    else if (t->halt_reason == HALT_FRESH)
        wait_for_startup(t);
    else
        t->halt_reason = HALT_EXREGS; /* waits to be resumed [S2] */
}

static void leave_task(struct thread *t)
{
    if (!t->task)
        return;
    if (t->task_prev)
        t->task_prev->task_next = t->task_next;
    else
        t->task->threads = t->task_next;
    if (t->task_next)
        t->task_next->task_prev = t->task_prev;
    t->task = NULL;
    t->task_next = t->task_prev = NULL;
}

void thread_unbind(struct thread *t, enum halt_reason why)
{
    if (t->hardware) {
        leave_task(t);
        irq_reevaluate(t); /* detaches: the pending message goes, the line is masked */
        return;
    }
    thread_cancel(t);
    thread_halt(t, why);
    leave_task(t);
}

void thread_cancel(struct thread *t)
{
    ipc_cancel(t);
    if (t->revoke.active)
        revoke_cancel(&t->revoke);
    create_cancel(t);
    t->cont = t->outer = NULL;
    t->msg_in = t->syscall = false;
    if (t->state != THREAD_READY && t->state != THREAD_HALTED)
        thread_set_state(t, THREAD_HALTED);
}

bool thread_dissociate(struct thread *t)
{
    struct cpu *cpu = this_cpu();

    thread_unbind(t, HALT_UNBOUND);
    if (!resv_drop_thread(t))
        return false;
    t->halt_reason = HALT_DEAD;
    if (cpu->fpu_owner == t)
        arch_fpu_release(t);
    if (cpu->current == t) {
        cpu->current = NULL;
        cpu->resched = true;
    }
    return true;
}

const char *thread_state_name(unsigned state)
{
    static const char *const names[THREAD_STATE_COUNT] = {
        [THREAD_HALTED] = "halted", [THREAD_READY] = "ready", [THREAD_SEND] = "send",
        [THREAD_RECV] = "recv", [THREAD_XFER] = "xfer",
    };

    return state < ARRAY_SIZE(names) ? names[state] : "?";
}

const char *thread_halt_name(unsigned reason)
{
    static const char *const names[] = {
        [HALT_FRESH] = "fresh", [HALT_EXREGS] = "halted", [HALT_UNBOUND] = "unbound",
        [HALT_NO_HANDLER] = "no handler", [HALT_NO_STARTUP] = "no startup endpoint",
        [HALT_DEAD] = "dead",
    };

    return reason < ARRAY_SIZE(names) ? names[reason] : "?";
}
