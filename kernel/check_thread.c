// SPDX-License-Identifier: MIT
/*
 * Invariants of threads, endpoints and kernel-made messages, as rules for `check`.  They read only, and every
 * walk is bounded, so that a broken list is reported and not followed for ever.
 */
#include "kernel/check.h"
#include "kernel/ipc.h"
#include "kernel/thread.h"

#define EFLAGS_IOPL 0x3000u
#define EFLAGS_VM   0x20000u
#define WALK_MAX    65536u   /* more threads than fit into any memory below the direct map's end */

/* The next object of this type, or NULL; also if the runner wants to stop. */
static struct kobj *next_of(struct check *c, struct kobj *o, enum l4_type type)
{
    do {
        if (!check_tick(c))
            return NULL;
        o = kobj_next(o);
    } while (o && o->type != type);
    if (o)
        c->looked++;
    return o;
}

#define FOR_EACH(c, variable, struct_name, type_name)                                          \
    for (variable = (struct struct_name *)(void *)next_of(c, NULL, L4_TYPE_##type_name); variable; \
         variable = (struct struct_name *)(void *)next_of(c, &variable->obj, L4_TYPE_##type_name))

static bool is_blocked(const struct thread *t)
{
    return t->state == THREAD_SEND || t->state == THREAD_RECV;
}

static bool queue_contains(const struct endpoint *ep, const struct thread *wanted)
{
    const struct thread *t = ep->queue;
    uint32_t i;

    for (i = 0; t && i < WALK_MAX; i++) {
        if (t == wanted)
            return true;
        t = t->queue_next;
        if (t == ep->queue)
            break;
    }
    return false;
}

/* ---- threads ----------------------------------------------------------------------------------------- */

CHECK_RULE(thread_halted, "THR-1", "THR", "a halted thread is in no queue, has no timeout and no partner")
{
    struct thread *t;

    FOR_EACH(c, t, thread, THREAD) {
        if (t->state != THREAD_HALTED)
            continue;
        if (t->uipc.endpoint || t->kipc.endpoint)
            check_fail(c, "th%u is halted and in an endpoint's queue", t->obj.id);
        if (deadline_is_set(&t->timeout))
            check_fail(c, "th%u is halted and has a timeout", t->obj.id);
        if (t->uipc.partner || t->kipc.partner)
            check_fail(c, "th%u is halted and has a partner in transfer", t->obj.id);
    }
}

CHECK_RULE(thread_bound, "THR-2", "THR", "a bound thread stands in the list of its task, whose links are symmetric")
{
    struct thread *t;
    struct task *task;
    uint32_t bound = 0, listed = 0;

    FOR_EACH(c, t, thread, THREAD)
        bound += t->task != NULL;
    FOR_EACH(c, task, task, TASK) {
        const struct thread *member, *previous = NULL;
        uint32_t i = 0;

        for (member = task->threads; member; previous = member, member = member->task_next) {
            if (++i > WALK_MAX) {
                check_fail(c, "tk%u: the list of its threads has no end", task->obj.id);
                return;
            }
            if (member->task != task)
                check_fail(c, "th%u stands in the list of tk%u, but is not bound to it", member->obj.id,
                           task->obj.id);
            if (member->task_prev != previous)
                check_fail(c, "th%u: its list of tk%u is not symmetric", member->obj.id, task->obj.id);
            listed++;
        }
    }
    if (bound != listed)
        check_fail(c, "%u threads are bound, but the tasks list %u", bound, listed);
}

CHECK_RULE(thread_frame, "THR-3", "THR", "saved registers belong to ring 3, with interrupts on and no privilege")
{
    struct thread *t;

    FOR_EACH(c, t, thread, THREAD) {
        const struct user_frame *f = &t->frame;

        if ((f->cs & 0xffffu) != SEL_USER_CS || (f->ss & 0xffffu) != SEL_USER_DS)
            check_fail(c, "th%u: saved cs 0x%x, ss 0x%x", t->obj.id, f->cs, f->ss);
        if (!t->slow_exit && (f->eflags & EFLAGS_TF))
            check_fail(c, "th%u is to be stepped, but would leave by sysexit", t->obj.id);
        if (!(f->eflags & EFLAGS_IF) || (f->eflags & (EFLAGS_IOPL | EFLAGS_VM)))
            check_fail(c, "th%u: saved eflags 0x%x", t->obj.id, f->eflags);
    }
}

CHECK_RULE(thread_ipc, "THR-4", "THR", "the active IPC is the nested one exactly while the thread is nested")
{
    struct thread *t;

    FOR_EACH(c, t, thread, THREAD) {
        if (t->ipc != (t->nested ? &t->kipc : &t->uipc))
            check_fail(c, "th%u: the active IPC is the wrong one", t->obj.id);
        if (t->outer && !t->nested && !t->cont)
            check_fail(c, "th%u remembers an outer operation without a nested one", t->obj.id);
    }
}

CHECK_RULE(thread_ready, "THR-5", "THR", "a ready thread is bound and no hardware thread; one that waits in the kernel has no continuation")
{
    struct thread *t;

    FOR_EACH(c, t, thread, THREAD) {
        if (t->state >= THREAD_STATE_COUNT)
            check_fail(c, "th%u: no such state: %u", t->obj.id, t->state);
        if (t->state != THREAD_HALTED && !t->task)
            check_fail(c, "th%u is %s without a task", t->obj.id, thread_state_name(t->state));
        if (t->hardware && t->state == THREAD_READY)
            check_fail(c, "th%u is a hardware thread and ready", t->obj.id);
        if ((is_blocked(t) || t->state == THREAD_XFER) && t->cont)
            check_fail(c, "th%u is blocked and has a continuation", t->obj.id);
    }
}

CHECK_RULE(thread_dead, "THR-6", "THR", "a dead thread is halted, unbound and without reservations")
{
    struct thread *t;

    FOR_EACH(c, t, thread, THREAD)
        if (t->state == THREAD_HALTED && t->halt_reason == HALT_DEAD && (t->task || t->resv_list))
            check_fail(c, "th%u is dead, but bound or with a reservation", t->obj.id);
}

CHECK_RULE(thread_search, "THR-7", "THR", "the cursor of a search for kernel memory lies where one can be")
{
    struct thread *t;

    FOR_EACH(c, t, thread, THREAD) {
        const struct kroom *room = &t->map.room;

        if (room->started >> ROOM_COUNT)
            check_fail(c, "th%u: searches that there are not: 0x%x", t->obj.id, room->started);
        for (unsigned i = 0; i < ROOM_COUNT; i++) {
            const struct kcursor *at = &room->at[i];

            if (room->started & 1u << i && (at->slot > TABLE_NAMES || at->frame > BLOCK_FRAMES || at->empty > at->frame ||
                                            (at->id && !at->usable)))
                check_fail(c, "th%u: search %u is at name %u, frame %u, with %u free", t->obj.id, i, at->slot, at->frame,
                           at->empty);
        }
    }
}

/* ---- endpoints and IPC ------------------------------------------------------------------------------- */

/* What ipc_fast() takes for granted.  */
static bool is_plain(const struct endpoint *ep)
{
    const struct thread *t = ep->queue;

    return !ep->senders && t->queue_next == t && !t->nested && !deadline_is_set(&t->timeout) &&
           !t->uipc.error && t->uipc.rcv_timeout == L4_TIMEOUT_NEVER;
}

static void check_queue(struct check *c, const struct endpoint *ep)
{
    const enum thread_state state = ep->senders ? THREAD_SEND : THREAD_RECV;
    const struct thread *t = ep->queue;
    uint32_t i;

    if (!t) {
        if (ep->senders)
            check_fail(c, "ep%u is empty, but holds senders", ep->obj.id);
        return;
    }
    if (!t->wait_general && !is_plain(ep))
        check_fail(c, "ep%u: th%u is not the plain receiver that it is taken for", ep->obj.id, t->obj.id);
    for (i = 0; i < WALK_MAX && (i == 0 || t != ep->queue); i++, t = t->queue_next) {
        if (!t || !t->queue_next || !t->queue_prev || t->queue_next->queue_prev != t) {
            check_fail(c, "ep%u: its queue is broken at place %u", ep->obj.id, i);
            return;
        }
        if (t->state != state || t->ipc->endpoint != ep)
            check_fail(c, "th%u (%s) waits in the queue of ep%u, which holds %s", t->obj.id,
                       thread_state_name(t->state), ep->obj.id, ep->senders ? "senders" : "receivers");
    }
    if (t != ep->queue)
        check_fail(c, "ep%u: its queue does not end", ep->obj.id);
}

CHECK_RULE(ipc_queue, "IPC-1", "IPC", "an endpoint's queue is a circle of senders only or receivers only; who is in none is alone")
{
    struct endpoint *ep;

    FOR_EACH(c, ep, endpoint, ENDPOINT)
        check_queue(c, ep);
}

CHECK_RULE(ipc_blocked, "IPC-2", "IPC", "a thread in SEND or RECV waits in exactly one endpoint's queue, any other in none")
{
    struct thread *t;

    FOR_EACH(c, t, thread, THREAD) {
        const struct ipc *passive = t->nested ? &t->uipc : &t->kipc;

        if (is_blocked(t) != (t->ipc->endpoint != NULL))
            check_fail(c, "th%u is %s and %s a queue", t->obj.id, thread_state_name(t->state),
                       t->ipc->endpoint ? "in" : "in no");
        if (passive->endpoint)
            check_fail(c, "th%u: its inactive IPC is in a queue", t->obj.id);
        if (!is_blocked(t) && (t->queue_next != t || t->queue_prev != t || t->wait_general))
            check_fail(c, "th%u is %s, but looks like in a queue", t->obj.id, thread_state_name(t->state));
        if (is_blocked(t) && t->ipc->endpoint && !queue_contains(t->ipc->endpoint, t))
            check_fail(c, "th%u is not in the queue of ep%u", t->obj.id, t->ipc->endpoint->obj.id);
    }
}

CHECK_RULE(ipc_partner, "IPC-3", "IPC", "partners in a transfer of items point at each other; exactly the receiver is in XFER")
{
    struct thread *t;

    FOR_EACH(c, t, thread, THREAD) {
        const struct thread *other = t->ipc->partner;

        if (t->state == THREAD_XFER && !other)
            check_fail(c, "th%u is held as a receiver by nobody", t->obj.id);
        if (!other)
            continue;
        if (other->ipc->partner != t)
            check_fail(c, "th%u: partner th%u does not point back", t->obj.id, other->obj.id);
        if ((t->state == THREAD_XFER) == (other->state == THREAD_XFER))
            check_fail(c, "th%u (%s) and th%u (%s) are partners", t->obj.id, thread_state_name(t->state),
                       other->obj.id, thread_state_name(other->state));
    }
}

CHECK_RULE(ipc_timeout, "IPC-4", "IPC", "exactly the blocked threads with a finite timeout stand in the deadline heap")
{
    struct thread *t;

    FOR_EACH(c, t, thread, THREAD) {
        uint32_t timeout = t->state == THREAD_SEND ? t->ipc->snd_timeout : t->ipc->rcv_timeout;
        bool timed = is_blocked(t) && timeout != L4_TIMEOUT_NEVER;

        if (deadline_is_set(&t->timeout) != timed)
            check_fail(c, "th%u (%s, timeout 0x%x) has %s deadline", t->obj.id,
                       thread_state_name(t->state), timeout,
                       deadline_is_set(&t->timeout) ? "a" : "no");
    }
}

CHECK_RULE(ipc_phase, "IPC-5", "IPC", "the phase of an IPC agrees with the state of its thread, and its counts with its message")
{
    struct thread *t;

    FOR_EACH(c, t, thread, THREAD) {
        const struct ipc *ipc = t->ipc;
        unsigned limit = t->nested ? THREAD_KMSG_WORDS : L4_WORDS_MAX;

        if ((t->state == THREAD_SEND && ipc->sent) ||
            ((t->state == THREAD_RECV || t->state == THREAD_XFER) && !ipc->sent))
            check_fail(c, "th%u is %s in the %s phase", t->obj.id, thread_state_name(t->state),
                       ipc->sent ? "receive" : "send");
        if (ipc->sc > limit || ipc->rc > limit || ipc->st > L4_ITEMS_MAX)
            check_fail(c, "th%u: %u+%u to send, %u+%u to receive", t->obj.id, ipc->sc, ipc->st, ipc->rc,
                       ipc->rt);
    }
}

CHECK_RULE(ipc_plain, "IPC-6", "IPC", "a receiver found by ipc_fast() still may receive")
{
    struct endpoint *ep;

    FOR_EACH(c, ep, endpoint, ENDPOINT) {
        const struct thread *t = ep->queue;
        enum l4_detail reason;

        if (!t || t->wait_general || kobj_is_dying(&ep->obj) || !t->task)
            continue;
        if (cap_object(t->task, t->uipc.recv, L4_TYPE_ENDPOINT, L4_R, &reason) != &ep->obj)
            check_fail(c, "ep%u: th%u may not receive from it any more, and nobody noticed", ep->obj.id,
                       t->obj.id);
    }
}

/* ---- kernel-made messages ---------------------------------------------------------------------------- */

CHECK_RULE(fault_kind, "FLT-1", "FLT", "a nested IPC is kernel-made; interrupts are sent by hardware threads, and only those")
{
    struct thread *t;

    FOR_EACH(c, t, thread, THREAD) {
        if (t->uipc.kind != IPC_USER)
            check_fail(c, "th%u: its own IPC is of kind %u", t->obj.id, t->uipc.kind);
        if (t->nested && (t->kipc.kind == IPC_USER || (t->kipc.kind == IPC_IRQ) != t->hardware))
            check_fail(c, "th%u: a nested IPC of kind %u", t->obj.id, t->kipc.kind);
    }
}

CHECK_RULE(fault_message, "FLT-2", "FLT", "a kernel-made message waits for ever, carries no items, and starts with its protocol")
{
    static const uint8_t protocol[] = {
        [IPC_FAULT] = L4_PROTO_FAULT, [IPC_EXCEPTION] = L4_PROTO_EXCEPTION, [IPC_IRQ] = L4_PROTO_IRQ,
    };
    struct thread *t;

    FOR_EACH(c, t, thread, THREAD) {
        const struct ipc *k = &t->kipc;

        if (!t->nested)
            continue;
        if (k->snd_timeout || k->rcv_timeout || k->st)
            check_fail(c, "th%u: a kernel-made message with items or timeouts", t->obj.id);
        if (!k->sent && (k->kind >= ARRAY_SIZE(protocol) || t->kmsg[0] >> 24 != protocol[k->kind]))
            check_fail(c, "th%u sends 0x%x as a message of kind %u", t->obj.id, t->kmsg[0], k->kind);
    }
}

CHECK_RULE(fault_outer, "FLT-3", "FLT", "a fault of a system call remembers the call that it interrupts")
{
    struct thread *t;

    FOR_EACH(c, t, thread, THREAD) {
        bool of_call = ((t->fault_w0 >> 12) & 15u) != 15u;

        if (t->nested && t->kipc.kind == IPC_FAULT && of_call && !t->outer)
            check_fail(c, "th%u: fault 0x%x of a system call that is forgotten", t->obj.id, t->fault_w0);
    }
}
