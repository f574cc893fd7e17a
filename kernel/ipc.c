// SPDX-License-Identifier: MIT
/*
 * Endpoints and message transfer.  [M 2.3] [M 3.2.1] [G8] [G10] [G16] [G17]
 *
 * An IPC is a send phase and then a receive phase; either may be absent.  A phase either meets its partner
 * in the endpoint's queue or waits there itself.  Whoever arrives second copies the words.  Typed items
 * are performed by the sender, in its own context, while the receiver is held in THREAD_XFER.
 *
 * A waiting thread proves its right again at the rendezvous.  If its capability names the endpoint no
 * longer, it is restarted: it repeats the phase it was in, and so meets the fault it deserves.
 *
 * Nothing here recurses: a thread that must do more than change its state does so by continuation, in its
 * own context.  Only hardware threads have none; run() works off what follows from them in a loop.
 */
#include "kernel/ipc.h"

#include "kernel/clock.h"
#include "kernel/cpu.h"
#include "kernel/fault.h"
#include "kernel/irq.h"
#include "kernel/lib/string.h"
#include "kernel/reap.h"
#include "kernel/sched.h"
#include "kernel/sys.h"
#include "kernel/trace.h"

#define STALE_BATCH    12u   /* queued threads restarted between two preemption points */
#define TIMEOUT_MANTISSA 0x3ffu

void endpoint_init(struct endpoint *ep)
{
    ep->queue = NULL;
    ep->senders = 0;
}

/* ---- queues --------------------------------------------------------------------------------------- */

static void enqueue(struct endpoint *ep, struct thread *t, bool sender)
{
    struct thread *first = ep->queue;

    ep->senders = sender;
    t->ipc->endpoint = ep;
    t->wait_general = sender || first || t->nested || t->ipc->rcv_timeout != L4_TIMEOUT_NEVER ||
                      t->ipc->error;
    if (!first) {
        ep->queue = t;
        return;
    }
    first->wait_general = true; /* not alone any more, and perhaps never again in this wait */
    t->queue_next = first;
    t->queue_prev = first->queue_prev;
    first->queue_prev->queue_next = t;
    first->queue_prev = t;
}

ALWAYS_INLINE void dequeue(struct endpoint *ep, struct thread *t)
{
    if (t->queue_next == t) {
        ep->queue = NULL;
        ep->senders = 0;
    } else {
        t->queue_next->queue_prev = t->queue_prev;
        t->queue_prev->queue_next = t->queue_next;
        if (ep->queue == t)
            ep->queue = t->queue_next;
        t->queue_next = t->queue_prev = t;
    }
    t->ipc->endpoint = NULL;
    t->wait_general = false;
}

void cap_weakened(const struct node *n)
{
    const struct kobj *o = node_kobj(n);

    if (o->type == L4_TYPE_ENDPOINT && ((const struct endpoint *)(const void *)o)->queue)
        ((const struct endpoint *)(const void *)o)->queue->wait_general = true;
}

void ipc_leave_queue(struct thread *t)
{
    if (!t->ipc->endpoint)
        return;
    dequeue(t->ipc->endpoint, t);
    deadline_cancel(&t->timeout);
}

static void ipc_resume(struct thread *t);

/* ---- the small decisions ---------------------------------------------------------------------------- */

/* Does t's capability `word` still name ep, with these rights?  [G17] */
ALWAYS_INLINE bool still_names(const struct thread *t, uint32_t word, const struct endpoint *ep,
                               uint32_t rights)
{
    const struct node *n = cap_lookup(t->task, word >> L4_NAME_SHIFT);

    return n && n->obj == (uint32_t)(uintptr_t)ep && (node_rights(n) & rights) == rights;
}

static uint32_t send_rights(const struct ipc *ipc)
{
    return ipc->st ? L4_W | L4_T : L4_W;
}

static bool timeout_is_zero(uint32_t timeout)
{
    return timeout != L4_TIMEOUT_NEVER && (timeout & TIMEOUT_MANTISSA) == 0;
}

/* May t leave the CPU in the middle?  Not in interrupt context, nor while someone else acts for it. */
static bool may_preempt(const struct thread *t)
{
    return t->state == THREAD_READY && t == thread_current();
}

/*
 * Another queued thread was restarted: `stale` so far.  True: enough for now, t goes on later.  A thread that
 * does not run itself is made to, and a hardware thread is called again.
 */
static bool leave_for_later(struct thread *t, unsigned stale)
{
    if (stale % STALE_BATCH != 0)
        return false;
    if (t->hardware) {
        irq_postpone(t);
        return true;
    }
    if (may_preempt(t) && !preempt_point(PREEMPT_QUEUE))
        return false;
    t->cont = ipc_resume;
    thread_set_state(t, THREAD_READY);
    return true;
}

/* ---- ends ------------------------------------------------------------------------------------------ */

/* The user's own call is over. */
static void finish(struct thread *t, uint32_t w0, uint32_t sender_id)
{
    TRACE(IPC_END, w0, 0, 0);
    t->uipc.error = 0;
    t->frame.w[1] = sender_id;
    sys_finish(t, w0);
}

static void finish_received(struct thread *t)
{
    const struct ipc *ipc = &t->uipc;

    finish(t, ipc->error | ((uint32_t)ipc->ot << 10) | ((uint32_t)ipc->oc << 4), ipc->sender_id);
}

/* Words beyond the registers, in the receiver's own context; a page may be missing there.  [G9] */
void ipc_copy_out(struct thread *t)
{
    if (sys_copy_out(t, 2u + t->uipc.oc + 2u * t->uipc.ot, ipc_copy_out))
        finish_received(t);
}

static void enter_nested(struct thread *t)
{
    t->outer = t->cont;
    t->cont = NULL;
    t->nested = true;
    t->ipc = &t->kipc;
}

/* The kernel-made IPC is over; what it was nested in is the thread's business again. */
static void leave_nested(struct thread *t)
{
    t->cont = t->outer;
    t->outer = NULL;
    t->nested = false;
    t->ipc = &t->uipc;
}

void ipc_nested_replied(struct thread *t)
{
    t->cont = t->outer;
    t->outer = NULL;
    fault_replied(t);
}

static struct endpoint *would_wait(const struct thread *t);
static void block(struct endpoint *ep, struct thread *t, bool sender);

/* A startup message that only brought items: wait for the next one.  False: not by waiting.  [G20] */
static bool wait_for_more(struct thread *r)
{
    struct endpoint *ep = would_wait(r);

    if (!ep) {
        r->cont = ipc_resume;
        return false;
    }
    block(ep, r, false);
    return true;
}

/*
 * r has the whole reply to a kernel-made message.  What only concerns its registers happens at once, so that
 * exchange-registers sees it; a fault's reply may lead to more, in r's own context.  False as below.
 */
static bool received_nested(struct thread *r)
{
    enum ipc_kind kind = (enum ipc_kind)r->kipc.kind;

    if (kind == IPC_STARTUP && r->kipc.oc && r->kmsg[0] == L4_START_MORE)
        return !wait_for_more(r);
    if (kind == IPC_FAULT) {
        r->nested = false;
        r->ipc = &r->uipc;
        r->cont = ipc_nested_replied;
        return true;
    }
    leave_nested(r);
    if (r->hardware) {
        irq_replied(r);
        return false;
    }
    fault_replied(r);
    return true;
}

/*
 * r has its whole message.  Everything but making it ready, which the caller does: it may hand the CPU
 * over.  False: r is at rest already, or waits again.
 */
static bool received(struct thread *r)
{
    if (UNLIKELY(r->nested))
        return received_nested(r);
    if (2u + r->uipc.oc + 2u * r->uipc.ot > 5u)
        r->cont = ipc_copy_out;
    else
        finish_received(r);
    return true;
}

/* The handler of a kernel-made message cannot be reached any more. */
static void handler_vanished(struct thread *t)
{
    leave_nested(t);
    if (t->hardware)
        irq_lost(t);
    else if (t->kipc.kind == IPC_FAULT)
        thread_set_state(t, THREAD_READY); /* meets the fault again, and "no handler" with it */
    else
        thread_halt(t, t->kipc.kind == IPC_STARTUP ? HALT_NO_STARTUP : HALT_NO_HANDLER);
}

/* A phase of t met a capability that does not do.  [G8] [G18] */
static void refused(struct thread *t, bool sending, enum l4_detail reason)
{
    struct ipc *ipc = t->ipc;

    if (t->nested)
        handler_vanished(t);
    else if (sending)
        fault_cap(t, ipc->st ? L4_OP_SEND_ITEMS : L4_OP_SEND, reason, L4_TYPE_ENDPOINT,
                  send_rights(ipc), ipc->send, 0, ipc_resume);
    else
        fault_cap(t, L4_OP_RECEIVE, reason, L4_TYPE_ENDPOINT, L4_R, ipc->recv & L4_CAP_INVALID, 1, ipc_resume);
}

/* The queued thread t repeats its phase.  A hardware thread cannot run to do so: its line is detached. */
static void restart(struct thread *t)
{
    ipc_leave_queue(t);
    if (t->hardware) {
        handler_vanished(t);
        return;
    }
    t->syscall |= !t->nested; /* ipc_fast() does not say so */
    t->cont = ipc_resume;
    thread_set_state(t, THREAD_READY);
}

/* End t's active IPC with an error.  It is in no queue any more and has no partner. */
static void end_with(struct thread *t, uint32_t user_error)
{
    if (t->nested) {
        leave_nested(t);
        if (t->hardware) {
            irq_replied(t);
            return;
        }
    } else {
        finish(t, user_error, 0);
    }
    thread_set_state(t, THREAD_READY);
}

static uint32_t abort_error(const struct thread *t, enum l4_detail detail)
{
    return L4_ERR(t->ipc->sent ? L4_RCV_ABORT : L4_SND_ABORT, detail, 0);
}

/* ---- waiting --------------------------------------------------------------------------------------- */

/* Queue t and start its timeout; the state is the caller's business. */
static void wait_in(struct endpoint *ep, struct thread *t, bool sender)
{
    struct ipc *ipc = t->ipc;
    uint32_t timeout = sender ? ipc->snd_timeout : ipc->rcv_timeout;

    enqueue(ep, t, sender);
    TRACE(IPC_BLOCK, ep->obj.id, !sender, 0);
    if (UNLIKELY(timeout != L4_TIMEOUT_NEVER)) {
        uint64_t when = t->timeout.when; /* a restarted phase keeps its end [G17] */

        if (!ipc->timed)
            when = clock_now() + clock_from_timeout(timeout);
        ipc->timed = true;
        t->timeout.kind = DEADLINE_IPC;
        deadline_set(&t->timeout, when);
    }
}

static void block(struct endpoint *ep, struct thread *t, bool sender)
{
    wait_in(ep, t, sender);
    t->blocked_since = clock_now();
    thread_set_state(t, sender ? THREAD_SEND : THREAD_RECV);
}

static void send_is_over(struct ipc *ipc)
{
    ipc->sent = true;
    ipc->timed = false;
}

/* The endpoint at which t's receive phase would have to wait, or NULL if it would not. */
static struct endpoint *would_wait(const struct thread *t)
{
    enum l4_detail reason;
    struct endpoint *ep;

    if (!ipc_receives(t->ipc) || timeout_is_zero(t->ipc->rcv_timeout))
        return NULL;
    ep = (struct endpoint *)(void *)cap_object(t->task, t->ipc->recv, L4_TYPE_ENDPOINT, L4_R, &reason);
    return ep && !(ep->queue && ep->senders) ? ep : NULL;
}

/* ---- transfer -------------------------------------------------------------------------------------- */

static uint32_t *first_word(struct thread *t)
{
    return t->nested ? t->kmsg : &t->frame.w[2];
}

static uint32_t *further_words(struct thread *t)
{
    return t->nested ? t->kmsg + MESSAGE_REGISTERS : t->msg;
}

static void copy_words(struct thread *s, struct thread *r, unsigned count)
{
    const uint32_t *from = first_word(s);
    uint32_t *to = first_word(r);
    unsigned i;

    for (i = 0; i < count && i < MESSAGE_REGISTERS; i++)
        to[i] = from[i];
    if (count > MESSAGE_REGISTERS)
        memcpy(further_words(r), further_words(s), (count - MESSAGE_REGISTERS) * sizeof *to);
}

/* s and r have met at ep, both out of its queue.  True: there are typed items to perform. */
static bool transfer(struct endpoint *ep, struct thread *s, struct thread *r)
{
    struct ipc *from = s->ipc, *to = r->ipc;
    unsigned count = min_u32(from->sc, to->rc);

    copy_words(s, r, count);
    to->sender_id = ipc_sender_id(cap_lookup(s->task, from->send >> L4_NAME_SHIFT), s->tcr[L4_TCR_SENDER]);
    to->oc = (uint8_t)count;
    to->ot = 0;
    to->timed = false;
    TRACE(IPC_SEND, ep->obj.id, r->obj.id, count);
    if (LIKELY(from->st == 0))
        return false;
    if (r->hardware) { /* takes no items, and cannot wait for them in THREAD_XFER */
        from->error = L4_ERR(L4_MAP, L4_D_TRUNC_ITEM, 0);
        return false;
    }
    from->partner = r;
    to->partner = s;
    map_begin(s, r);
    return true;
}

static void unlink_partners(struct thread *a, struct thread *b)
{
    a->ipc->partner = NULL;
    b->ipc->partner = NULL;
}

/* Perform items.  True: done, and *woken (may be NULL) has its message but is not yet ready. */
static bool items(struct thread *s, struct thread **woken)
{
    struct thread *r;

    switch (map_items(s)) {
    case STEP_PREEMPTED:
        s->cont = ipc_items;
        return false;
    case STEP_GONE:
        return false;
    case STEP_DONE:
        break;
    }
    r = s->ipc->partner;
    unlink_partners(s, r);
    if (s->map.error)
        s->ipc->error = s->map.error;
    *woken = received(r) ? r : NULL;
    return true;
}

/* ---- phases ---------------------------------------------------------------------------------------- */

/*
 * True: the send phase of t is over, and *woken (may be NULL) has its message but is not yet ready.
 * False: t waits, faults, was preempted or has failed.
 */
static bool send_phase(struct thread *t, struct thread **woken)
{
    struct ipc *ipc = t->ipc;
    enum l4_detail reason = L4_D_EMPTY;
    struct endpoint *ep;
    unsigned stale = 0;

    if (ipc->send == L4_CAP_INVALID)
        return true;
    ep = (struct endpoint *)(void *)cap_object(t->task, ipc->send, L4_TYPE_ENDPOINT, send_rights(ipc),
                                               &reason);
    if (!ep) {
        refused(t, true, reason);
        return false;
    }
    while (ep->queue && !ep->senders) {
        struct thread *r = ep->queue;

        if (LIKELY(still_names(r, r->ipc->recv, ep, L4_R))) {
            ipc_leave_queue(r);
            if (!transfer(ep, t, r)) {
                *woken = received(r) ? r : NULL;
                return true;
            }
            thread_set_state(r, THREAD_XFER);
            return items(t, woken);
        }
        restart(r);
        if (leave_for_later(t, ++stale))
            return false;
    }
    if (timeout_is_zero(ipc->snd_timeout))
        end_with(t, L4_ERR(L4_SND_TIMEOUT, 0, 0));
    else
        block(ep, t, true);
    return false;
}

/* The receive phase of t.  The answer is the thread whose send phase it ended and which must go on. */
static struct thread *receive_phase(struct thread *t)
{
    struct ipc *ipc = t->ipc;
    enum l4_detail reason = L4_D_EMPTY;
    struct endpoint *ep;
    unsigned stale = 0;

    if (!ipc_receives(ipc)) {
        finish(t, ipc->error, 0); /* kernel-made ones always receive */
        thread_set_state(t, THREAD_READY);
        return NULL;
    }
    ep = (struct endpoint *)(void *)cap_object(t->task, ipc->recv, L4_TYPE_ENDPOINT, L4_R, &reason);
    if (!ep) {
        refused(t, false, reason);
        return NULL;
    }
    while (ep->queue && ep->senders) {
        struct thread *s = ep->queue;

        if (LIKELY(still_names(s, s->ipc->send, ep, send_rights(s->ipc)))) {
            ipc_leave_queue(s);
            if (!transfer(ep, s, t)) {
                if (received(t))
                    thread_set_state(t, THREAD_READY);
                return s;
            }
            thread_set_state(t, THREAD_XFER);
            s->cont = ipc_items;
            thread_set_state(s, THREAD_READY);
            return NULL;
        }
        restart(s);
        if (leave_for_later(t, ++stale))
            return NULL;
    }
    if (timeout_is_zero(ipc->rcv_timeout))
        end_with(t, L4_ERR(L4_RCV_TIMEOUT, 0, 0));
    else
        block(ep, t, false);
    return NULL;
}

/*
 * The send phases of a list of one: s, whose message a receiver has just taken out of the queue.  If it
 * only has to wait for its answer it does so at once, so that a server that answers without patience finds
 * it waiting; whatever else comes next, it does in its own context.
 */
static void go_on(struct thread *s)
{
    while (s) {
        struct endpoint *ep;

        send_is_over(s->ipc);
        if (s->hardware) {
            s = receive_phase(s);
            continue;
        }
        ep = would_wait(s);
        if (ep) {
            block(ep, s, false);
            return;
        }
        if (!ipc_receives(s->ipc))
            finish(s, s->ipc->error, 0);
        else
            s->cont = ipc_resume;
        thread_set_state(s, THREAD_READY);
        return;
    }
}

/* t's send phase is over and woken waits to be made ready; on to the receive phase. */
void ipc_after_send(struct thread *t, struct thread *woken)
{
    send_is_over(t->ipc);
    if (woken) {
        struct endpoint *ep = may_preempt(t) ? would_wait(t) : NULL;

        if (LIKELY(ep != NULL)) {
            wait_in(ep, t, false);
            t->state = THREAD_RECV;
            woken->state = THREAD_READY;
            sched_handoff(t, woken);
            t->blocked_since = clock_now();
            return;
        }
        thread_set_state(woken, THREAD_READY);
    }
    go_on(receive_phase(t));
}

static void run(struct thread *t)
{
    struct thread *woken = NULL;

    if (t->ipc->sent)
        go_on(receive_phase(t));
    else if (send_phase(t, &woken))
        ipc_after_send(t, woken);
}

static void ipc_resume(struct thread *t)
{
    run(t);
}

void ipc_items(struct thread *s)
{
    struct thread *woken = NULL;

    if (items(s, &woken))
        ipc_after_send(s, woken);
}

/* ---- the system call --------------------------------------------------------------------------------- */

static void decode_timeouts(const struct thread *t, struct ipc *ipc, uint32_t ts)
{
    uint32_t pair = ts == L4_TS_ZERO  ? (uint32_t)L4_TIMEOUT_ZERO << 16
                  : ts == L4_TS_NEVER ? 0
                                      : t->tcr[L4_TCR_TIMEOUT0 + ts - L4_TS_TCR16];

    ipc->snd_timeout = (uint16_t)(pair >> 16);
    ipc->rcv_timeout = (uint16_t)pair;
}

/* Every combination; repeated from the start if copying in had to wait for a page. */
static void ipc_general(struct thread *t)
{
    uint32_t w0 = t->frame.w[0], w1 = t->frame.w[1];
    struct ipc *ipc = &t->uipc;

    ipc->send = w0 & L4_CAP_INVALID;
    ipc->recv = w1;
    ipc->st = (w0 >> 10) & 3u;
    ipc->sc = (w0 >> 4) & 63u;
    ipc->oc = ipc->ot = 0;
    ipc->error = 0;
    ipc->sent = ipc->send == L4_CAP_INVALID;
    ipc->timed = false;
    decode_timeouts(t, ipc, (w1 >> 2) & 3u);
    if (!ipc->sent && !sys_copy_in(t, 2u + ipc->sc + 2u * ipc->st, ipc_general))
        return;
    run(t);
}

void sys_ipc(struct thread *t)
{
    if (!ipc_straight(t))
        ipc_general(t);
}

/* ---- kernel-made messages ----------------------------------------------------------------------------- */

void ipc_start_nested(struct thread *t, const struct ipc_handler *handler)
{
    enter_nested(t);
    /* In the middle of an operation those around it must find t as it is now. */
    if (t->outer || !ipc_straight_nested(t, handler))
        t->cont = ipc_resume;
}

void ipc_start_receive(struct thread *t)
{
    enter_nested(t);
    t->kipc.sent = true;
    run(t);
}

void ipc_start_interrupt(struct thread *t)
{
    enter_nested(t);
    run(t);
}

void ipc_continue_interrupt(struct thread *t)
{
    run(t);
}

/* ---- ends from outside --------------------------------------------------------------------------------- */

bool ipc_in_progress(const struct thread *t)
{
    switch ((enum thread_state)t->state) {
    case THREAD_SEND:
    case THREAD_RECV:
    case THREAD_XFER:
        return true;
    case THREAD_READY:
        return t->cont == ipc_resume || t->cont == ipc_items;
    case THREAD_HALTED:
        return t->hardware && t->irq_state == IRQ_RAISED;
    case THREAD_STATE_COUNT:
        break;
    }
    return false;
}

/* If t is in mid-transfer its partner is told; true if so.  A startup wait goes on. */
static bool leave_partner(struct thread *t)
{
    struct thread *other = t->ipc->partner;

    if (!other)
        return false;
    unlink_partners(t, other);
    if (other->nested && other->kipc.kind == IPC_STARTUP) {
        other->cont = ipc_resume;
        thread_set_state(other, THREAD_READY);
    } else {
        end_with(other, abort_error(other, L4_D_ABORTED_XFER));
    }
    return true;
}

bool ipc_abort(struct thread *t, enum l4_detail detail)
{
    if (!ipc_in_progress(t))
        return false;
    ipc_leave_queue(t);
    if (leave_partner(t))
        detail = L4_D_ABORTED_XFER;
    end_with(t, abort_error(t, detail));
    return true;
}

void ipc_timeout(struct thread *t)
{
    if (t->state != THREAD_SEND && t->state != THREAD_RECV)
        return;
    ipc_leave_queue(t);
    end_with(t, L4_ERR(t->ipc->sent ? L4_RCV_TIMEOUT : L4_SND_TIMEOUT, 0, 0));
}

void ipc_cancel(struct thread *t)
{
    ipc_leave_queue(t);
    (void)leave_partner(t);
    if (t->nested)
        leave_nested(t);
}

bool endpoint_dissociate(struct endpoint *ep)
{
    unsigned i;

    for (i = 0; i < STALE_BATCH && ep->queue; i++)
        restart(ep->queue);
    return ep->queue == NULL;
}
