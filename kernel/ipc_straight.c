// SPDX-License-Identifier: MIT
/*
 * Messages that ipc_fast() does not do, to a receiver that waits alone, when the sender can then wait for its
 * answer: with items, to a thread that waits for the answer to a fault, or made by the kernel for a fault.  So
 * a page fault with a pager goes this way twice.  What ipc.c does in several phases, one after the other; items
 * that are preempted are ipc.c's again.
 *
 * All tests come before the first store, and "false" means that nothing was done.
 */
#include "kernel/ipc.h"

#include <arch/cpu.h>
#include "kernel/cpu.h"
#include "kernel/fault.h"
#include "kernel/lib/string.h"
#include "kernel/sched.h"
#include "kernel/sys.h"
#include "kernel/trace.h"

#define PARAM_REGISTERS 5u
#define PARAM_WORDS(words, items) (2u + (words) + 2u * (items))
#define TS_MASK 0x00cu       /* in W1 */

STATIC_ASSERT(L4_TS_NEVER == 0);

/* The live endpoint behind a capability with these rights, or NULL. */
ALWAYS_INLINE struct endpoint *endpoint_of(const struct node *n, uint32_t rights)
{
    const struct kobj *o;

    if (UNLIKELY(!n) || UNLIKELY(~n->name & rights))
        return NULL;
    o = node_kobj(n);
    return LIKELY(kobj_is_live(o, L4_TYPE_ENDPOINT)) ? (struct endpoint *)(uintptr_t)n->obj : NULL;
}

/* The one thread in the queue, if it is a receiver without a timeout that nothing keeps from running; else NULL. */
ALWAYS_INLINE struct thread *receiver_alone(const struct endpoint *ep)
{
    struct thread *r = ep->queue;
    const struct node *n;

    if (UNLIKELY(!r) || UNLIKELY(ep->senders) || UNLIKELY(r->queue_next != r) ||
        UNLIKELY(r->halt_pending) || UNLIKELY(r->debug_halt) || UNLIKELY(r->hardware) || UNLIKELY(deadline_is_set(&r->timeout)))
        return NULL;
    if (LIKELY(!r->wait_general))
        return r;
    /* Nested, or its capability lost something since it came to wait.  [G17] */
    n = cap_lookup(r->task, r->ipc->recv >> L4_NAME_SHIFT);
    return n && node_kobj(n) == &ep->obj && (n->name & L4_R) ? r : NULL;
}

/* r leaves the queue in which it was alone. */
ALWAYS_INLINE void leave_alone(struct endpoint *ep, struct thread *r, struct ipc *ipc)
{
    ep->queue = NULL;
    ipc->endpoint = NULL;
    r->wait_general = false;
}

/* t, which is current, waits where nobody does, and r goes on: the end of both functions below. */
ALWAYS_INLINE void wait_alone(struct endpoint *ep, struct thread *t, struct ipc *ipc, bool plain, struct thread *r)
{
    uint64_t now = clock_now();

    ipc->phase = PHASE_RECEIVING;
    ipc->endpoint = ep;
    ep->queue = t;
    t->wait_general = !plain;
    t->state = THREAD_RECV;
    t->blocked_since = now;
    r->state = THREAD_READY;
    if (UNLIKELY(this_cpu()->resched) || UNLIKELY(this_cpu()->lent) || UNLIKELY(!sched_handoff_quick(r, (uint32_t)now)))
        sched_handoff_slow(t, r);
}

ALWAYS_INLINE void copy_registers(uint32_t *to, const uint32_t *from, unsigned count)
{
    if (count) {
        to[0] = from[0];
        if (count > 1) {
            to[1] = from[1];
            if (count > 2)
                to[2] = from[2];
        }
    }
}

/* Words from the fourth on to the user memory of r, whose space is loaded then.  False: r must do it itself. */
static bool give_words(struct thread *r, const uint32_t *from, unsigned count)
{
    uint32_t to = r->frame.ecx, fault;

    if (to >= L4_USER_TOP || count * 4u > L4_USER_TOP - to)
        return false;
    arch_load_space(r->task);
    return arch_user_write(to, from, count, &fault) == count;
}

/* The end of r's own call. */
ALWAYS_INLINE void finish(struct thread *r, uint32_t w0, uint32_t id)
{
    r->frame.w[1] = id;
    r->uipc.error = 0;
    sys_finish(r, w0);
}

NO_FRAME_POINTER bool ipc_straight_nested(struct thread *t, const struct ipc_handler *handler)
{
    struct endpoint *ep = handler->ep;
    unsigned count = t->kipc.sc;
    struct thread *r;
    uint32_t id;

    if (UNLIKELY(handler->answer->queue) || UNLIKELY(trace_mask & IPC_FAST_TRACE) ||
        UNLIKELY(t != this_cpu()->current))
        return false;
    r = receiver_alone(ep);
    if (UNLIKELY(!r) || UNLIKELY(r->nested))
        return false;
    leave_alone(ep, r, &r->uipc);
    if (count > r->uipc.rc)
        count = r->uipc.rc;
    id = ipc_sender_id(handler->send, t->tcr[L4_TCR_SENDER]);
    copy_registers(&r->frame.w[2], t->kmsg, count);
    if (count <= MESSAGE_REGISTERS || give_words(r, t->kmsg + MESSAGE_REGISTERS, count - MESSAGE_REGISTERS)) {
        finish(r, r->uipc.error | count << 4, id);
    } else {
        memcpy(r->msg, t->kmsg + MESSAGE_REGISTERS, (count - MESSAGE_REGISTERS) * sizeof *r->msg);
        r->uipc.sender_id = id;
        r->uipc.oc = (uint8_t)count;
        r->uipc.ot = 0;
        r->cont = ipc_copy_out;
    }
    wait_alone(handler->answer, t, &t->kipc, false, r);
    return true;
}

/* r has its whole message. */
ALWAYS_INLINE void received(struct thread *r, const struct ipc *ipc)
{
    if (LIKELY(r->nested)) {
        r->nested = false;
        r->ipc = &r->uipc;
        r->cont = ipc_nested_replied;
        if (LIKELY(fault_is_retried(r))) {
            r->cont = r->outer;
            r->outer = NULL;
        }
    } else if (UNLIKELY(PARAM_WORDS(ipc->oc, ipc->ot) > PARAM_REGISTERS)) {
        r->cont = ipc_copy_out;
    } else {
        finish(r, ipc->error | (uint32_t)ipc->ot << 10 | (uint32_t)ipc->oc << 4, ipc->sender_id);
    }
}

/* Parameter words behind the registers. */
static bool take_words(struct thread *t, unsigned count)
{
    uint32_t from = t->frame.ecx, fault;

    if (t->msg_in)
        return true;
    if (from >= L4_USER_TOP || count * 4u > L4_USER_TOP - from ||
        arch_user_read(t->msg, from, count, &fault) != count)
        return false;
    t->msg_in = true;
    return true;
}

/* The general way with items.  False: preempted, and ipc.c goes on. */
static bool perform_items(struct thread *t, struct thread *r)
{
    t->uipc.partner = r;
    r->ipc->partner = t;
    r->state = THREAD_XFER;
    map_begin(t, r);
    if (UNLIKELY(map_items(t) == STEP_PREEMPTED)) {
        t->cont = ipc_items;
        return false;
    }
    t->uipc.partner = NULL;
    r->ipc->partner = NULL;
    t->uipc.error = t->map.error;
    return true;
}

NO_FRAME_POINTER bool ipc_straight(struct thread *t)
{
    uint32_t w0 = t->frame.w[0], w1 = t->frame.w[1];
    unsigned sc = (w0 >> 4) & 63u, st = (w0 >> 10) & 3u, count;
    struct ipc *from = &t->uipc, *to;
    const struct node *send;
    struct endpoint *ep, *answer;
    struct thread *r;
    uint32_t *words;

    /* One phase only: no answer is waited for. */
    if (w0 >= L4_CAP_INVALID || w1 >= L4_CAP_INVALID || w1 & TS_MASK || UNLIKELY(trace_mask & IPC_FAST_TRACE))
        return false;
    send = cap_lookup(t->task, w0 >> L4_NAME_SHIFT);
    ep = endpoint_of(send, st ? L4_W | L4_T : L4_W);
    if (UNLIKELY(!ep))
        return false;
    r = receiver_alone(ep);
    if (UNLIKELY(!r))
        return false;
    answer = endpoint_of(cap_lookup(t->task, w1 >> L4_NAME_SHIFT), L4_R);
    if (UNLIKELY(!answer) || UNLIKELY(answer->queue))
        return false;
    if (r->nested && UNLIKELY(r->kipc.kind != IPC_FAULT))
        return false;
    if (PARAM_WORDS(sc, st) > PARAM_REGISTERS && !take_words(t, PARAM_WORDS(sc, st) - PARAM_REGISTERS))
        return false;
    to = r->ipc;
    words = r->nested ? r->kmsg : &r->frame.w[2];
    count = min_u32(sc, to->rc);
    /* The results of an item stand behind the words; in registers of both there is room for one word before them. */
    if (st == 1 && sc <= 1 && count == sc && to->rt && (t->frame.w[3 + sc] & 15u) == L4_ITEM_MAP &&
        map_page(t, r, t->frame.w[2 + sc], t->frame.w[3 + sc], t->tcr[L4_TCR_SNDRES], words + sc)) {
        to->ot = 1;
        from->error = 0;
        st = 0;
    } else {
        to->ot = 0;
        from->send = w0;
        from->sc = (uint8_t)sc;
        from->st = (uint8_t)st;
        from->oc = from->ot = 0;
        from->snd_timeout = 0;
        from->phase = 0;
        from->error = 0;
    }
    from->recv = w1;
    leave_alone(ep, r, to);
    copy_registers(words, &t->frame.w[2], count);
    if (UNLIKELY(count > MESSAGE_REGISTERS))
        memcpy(r->nested ? r->kmsg + MESSAGE_REGISTERS : r->msg, t->msg, (count - MESSAGE_REGISTERS) * sizeof *t->msg);
    to->sender_id = ipc_sender_id(send, t->tcr[L4_TCR_SENDER]);
    to->oc = (uint8_t)count;
    if (UNLIKELY(st != 0) && !perform_items(t, r))
        return true;
    received(r, to);
    if (LIKELY(!answer->queue)) /* interrupts may have come in between the items */
        wait_alone(answer, t, from, !from->error, r);
    else
        ipc_after_send(t, r);
    return true;
}
