// SPDX-License-Identifier: MIT
/*
 * exchange-registers: read and change the volatile state of a thread in one atomic step.
 * [M 2.2.1] [M 3.2.2] [G22]
 */
#include "kernel/fault.h"
#include "kernel/ipc.h"
#include "kernel/irq.h"
#include "kernel/sys.h"

enum abort_mode { ABORT_NONE, ABORT_ALL, ABORT_RECEIVE, ABORT_NESTED };

#define XR_SET_FRAME (L4_XR_SET_IP | L4_XR_SET_SP | L4_XR_SET_FLAGS)
#define XR_ABORT     (3u << L4_XR_ABORT_SHIFT)
#define XR_CHANGES   (XR_SET_FRAME | L4_XR_SET_USER | XR_ABORT | L4_XR_HALT_GIVEN)

static bool is_halted(const struct thread *t)
{
    return t->halt_pending || (t->state == THREAD_HALTED && !t->hardware);
}

/* What W0 says about the thread before the call changes it: S, R, H, N.  [G22] */
static uint32_t status_of(const struct thread *t)
{
    uint32_t status = is_halted(t) ? L4_XR_OUT_HALTED : 0;

    if (ipc_in_progress(t))
        status |= ipc_receiving(t) ? L4_XR_OUT_RECV : L4_XR_OUT_SEND;
    if (t->nested)
        status |= L4_XR_OUT_NESTED;
    return status;
}

static void write_outputs(struct thread *caller, const struct thread *t, uint32_t *w0)
{
    const uint32_t ip = t->frame.eip, sp = t->frame.esp, flags = t->frame.eflags;

    *w0 |= status_of(t);
    caller->frame.w[1] = ip;
    caller->frame.w[2] = sp;
    caller->frame.w[3] = flags;
    caller->frame.w[4] = t->tcr[L4_TCR_USER];
}

/* The caller reads itself; all it may set is its handle.  [M 2.2.1] */
static void exchange_self(struct thread *t)
{
    uint32_t ops = t->frame.w[0], handle = t->frame.w[4], w0 = L4_OK;

    if (ops & XR_CHANGES & ~L4_XR_SET_USER) {
        sys_finish(t, L4_ERR(L4_DENIED, L4_D_SELF, 0));
        return;
    }
    write_outputs(t, t, &w0);
    if (ops & L4_XR_SET_USER)
        t->tcr[L4_TCR_USER] = handle;
    sys_finish(t, w0);
}

/* Whatever the capability allows, some things cannot be done to this thread now. */
static enum l4_detail impossible(const struct thread *t, uint32_t ops)
{
    bool resume = (ops & L4_XR_HALT_GIVEN) && !(ops & L4_XR_HALT);

    if (t->hardware) {
        if (ops & XR_SET_FRAME)
            return L4_D_HWTHREAD;
        if (resume && t->irq_state == IRQ_KERNEL)
            return L4_D_HWTHREAD;
    } else if (resume && !t->task) {
        return L4_D_NOT_BOUND;
    }
    return L4_D_NONE;
}

/*
 * An aborted fault makes the thread repeat what it faulted in, unless it is sent elsewhere: then the call
 * it was in is given up.
 */
static void perform_abort(struct thread *t, enum abort_mode mode, bool new_ip)
{
    bool nested = t->nested;

    if (mode == ABORT_NONE || !ipc_in_progress(t))
        return;
    if ((mode == ABORT_RECEIVE && !ipc_receiving(t)) || (mode == ABORT_NESTED && !nested))
        return;
    (void)ipc_abort(t, L4_D_NONE);
    if (nested && new_ip && !t->hardware)
        thread_cancel(t);
}

static void perform_set(struct thread *t, uint32_t ops, uint32_t ip, uint32_t sp, uint32_t flags,
                        uint32_t handle)
{
    struct user_frame *f = &t->frame;

    if (ops & L4_XR_SET_IP)
        f->eip = ip;
    if (ops & L4_XR_SET_SP)
        f->esp = sp;
    if (ops & L4_XR_SET_FLAGS)
        f->eflags = (flags & L4_USER_EFLAGS) | EFLAGS_IF | 2u;
    if (ops & XR_SET_FRAME)
        t->slow_exit = true;
    if (ops & L4_XR_SET_USER)
        t->tcr[L4_TCR_USER] = handle;
}

static void halt(struct thread *t, const struct thread *caller)
{
    if (t->state == THREAD_HALTED)
        return;
    if (t->state == THREAD_READY && t != caller && !t->cont) {
        thread_halt(t, HALT_EXREGS);
        return;
    }
    t->halt_pending = true; /* before it returns to user mode [G22] */
    t->halt_reason = HALT_EXREGS;
}

static void resume(struct thread *t)
{
    t->halt_pending = false;
    if (t->nested && t->kipc.kind == IPC_STARTUP && ipc_in_progress(t))
        (void)ipc_abort(t, L4_D_NONE); /* the other way to start [G20] */
    else if (t->state == THREAD_HALTED)
        thread_set_state(t, THREAD_READY);
}

static void perform_halt(struct thread *t, const struct thread *caller, uint32_t ops)
{
    bool halted = (ops & L4_XR_HALT) != 0;

    if (!(ops & L4_XR_HALT_GIVEN))
        return;
    if (t->hardware)
        irq_set_halted(t, halted);
    else if (halted)
        halt(t, caller);
    else
        resume(t);
}

void sys_exregs(struct thread *caller)
{
    const uint32_t ops = caller->frame.w[0], ip = caller->frame.w[1], sp = caller->frame.w[2],
                   flags = caller->frame.w[3], handle = caller->frame.w[4];
    const uint32_t need = ops & XR_CHANGES ? L4_W : L4_R;
    enum l4_detail reason = L4_D_EMPTY;
    uint32_t rights, w0 = L4_OK;
    struct thread *t;

    if ((ops & L4_CAP_INVALID) == L4_CAP_INVALID) {
        exchange_self(caller);
        return;
    }
    t = (struct thread *)(void *)cap_object(caller->task, ops, L4_TYPE_THREAD, 0, &reason);
    rights = t ? node_rights(cap_lookup(caller->task, ops >> L4_NAME_SHIFT)) : 0;
    if (t && (ops & XR_CHANGES ? !(rights & L4_W) : !(rights & (L4_R | L4_W)))) {
        t = NULL;
        reason = L4_D_RIGHTS;
    }
    if (!t) {
        fault_cap(caller, need == L4_W ? L4_OP_EXREGS_WRITE : L4_OP_EXREGS_READ, reason, L4_TYPE_THREAD,
                  need, ops & L4_CAP_INVALID, 0, sys_exregs);
        return;
    }
    reason = impossible(t, ops);
    if (reason != L4_D_NONE) {
        sys_finish(caller, L4_ERR(L4_STATE, reason, 0));
        return;
    }

    if (rights & L4_R) {
        write_outputs(caller, t, &w0);
    } else {
        caller->frame.w[1] = caller->frame.w[2] = 0;
        caller->frame.w[3] = caller->frame.w[4] = 0;
    }
    sys_finish(caller, w0);
    perform_abort(t, (enum abort_mode)((ops & XR_ABORT) >> L4_XR_ABORT_SHIFT), ops & L4_XR_SET_IP);
    perform_set(t, ops, ip, sp, flags, handle);
    perform_halt(t, caller, ops);
}
