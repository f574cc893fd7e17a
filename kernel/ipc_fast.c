// SPDX-License-Identifier: MIT
/*
 * The common IPC: a call or an answer without items, to a receiver that waits alone, with the next receive
 * going to wait, and no timeouts.  Everything else is ipc.c's.  Words in memory go straight from the
 * sender's user memory into the receiver's message buffer.
 *
 * All tests come before the first store.  What is tested is kept in the shape of one test by those who
 * change it seldom: endpoint.plain, thread.unusual, ipc.phase.  An architecture may do the most common part
 * of this by hand (arch/ia32/entry/ipc_fast.inc): what changes here changes there.  The frame pointer is worth a
 * register here; a stack walk that starts inside skips one frame.
 */
#include "kernel/ipc.h"

#include <arch/cpu.h>
#include <arch/paging.h>
#include "kernel/cpu.h"
#include "kernel/sched.h"
#include "kernel/sys.h"
#include "kernel/trace.h"

#define FAST_W0_MASK (15u | 0xc00u) /* NR, ST */
#define FAST_W1_MASK 0x00cu         /* TS */
#define REGISTER_WORDS 3u           /* message words in W2..W4 */
#define ACCEPTS_SHIFT 4u            /* RC and RT in W1 */
#define PHASE_RECEIVING 1u          /* ipc.phase: sent, no end, no timeout */

#if defined(__GNUC__) && !defined(__clang__)
#define NO_FRAME_POINTER __attribute__((optimize("omit-frame-pointer")))
#else
#define NO_FRAME_POINTER
#endif

/* Type and flags of an object are neighbours: one compare says "a live endpoint". */
ALWAYS_INLINE bool is_live_endpoint(const struct kobj *o)
{
    STATIC_ASSERT(offsetof(struct kobj, flags) == offsetof(struct kobj, type) + 1);
    return *(const uint16_t *)(const void *)&o->type == L4_TYPE_ENDPOINT;
}

static uint32_t badged(const struct node *n, uint32_t low)
{
    unsigned length = n->badge_len;

    return length >= 32 ? n->badge : (n->badge << (32u - length)) | (low & (0xffffffffu >> length));
}

/* Capabilities were lost since r came to wait; was its own among them?  [G17] */
static bool may_receive(const struct thread *r, const struct endpoint *ep)
{
    const struct node *n = cap_lookup(r->task, r->uipc.recv >> L4_NAME_SHIFT);

    return n && node_kobj(n) == &ep->obj && (n->name & L4_R);
}

/* Message words 3..count-1 of t into r's buffer, which nobody uses while r waits. */
static bool take_words(const struct thread *t, struct thread *r, unsigned count)
{
    uint32_t from = t->frame.ecx, fault;

    count -= REGISTER_WORDS;
    return from < L4_USER_TOP && count * 4u <= L4_USER_TOP - from &&
           arch_user_read(r->msg, from, count, &fault) == count;
}

/* r is current: put its words into its memory at once; false: it has something else to do first. */
static bool give_words(struct thread *r)
{
    arch_load_space(r->task);
    r->cont = NULL;
    ipc_copy_out(r);
    return !r->cont && !this_cpu()->resched;
}

/* Do FPU and IO bitmap stay as they are when r follows t? */
static bool prepared(const struct cpu *cpu, const struct thread *t, const struct thread *r)
{
    return cpu->fpu_owner != t && cpu->fpu_owner != r && cpu->io_task != t->task && cpu->io_task != r->task;
}

STATIC_ASSERT(offsetof(struct ipc, sent) == offsetof(struct ipc, phase));

NO_FRAME_POINTER IPC_FAST_ABI struct thread *ipc_fast(struct thread *t)
{
    struct cpu *cpu = this_cpu();
    uint32_t w, count, id;
    uint64_t now;
    const struct task *task;
    const struct node *send, *recv;
    struct endpoint *ep, *answer;
    struct thread *r;

    w = t->frame.w[0];
    if (UNLIKELY(w & FAST_W0_MASK) || UNLIKELY(t->frame.w[1] & FAST_W1_MASK) ||
        UNLIKELY(trace_mask & IPC_FAST_TRACE))
        return NULL;
    task = t->task;
    send = cap_lookup(task, w >> L4_NAME_SHIFT);
    if (UNLIKELY(!send) || UNLIKELY(!(send->name & L4_W)))
        return NULL;
    ep = (struct endpoint *)(void *)node_kobj(send);
    if (UNLIKELY(!is_live_endpoint(&ep->obj)))
        return NULL;
    r = ep->plain;
    if (UNLIKELY(!r) || UNLIKELY(r->unusual))
        return NULL;
    if (UNLIKELY(r->uipc.epoch != cap_epoch) && !may_receive(r, ep))
        return NULL;
    recv = cap_lookup(task, t->frame.w[1] >> L4_NAME_SHIFT);
    if (UNLIKELY(!recv) || UNLIKELY(!(recv->name & L4_R)))
        return NULL;
    answer = (struct endpoint *)(void *)node_kobj(recv);
    if (UNLIKELY(!is_live_endpoint(&answer->obj)) || UNLIKELY(answer->queue != NULL))
        return NULL;

    count = (w >> 4) & 63u;
    if (UNLIKELY(count > r->uipc.rc))
        count = r->uipc.rc;
    if (count > REGISTER_WORDS && !take_words(t, r, count))
        return NULL;

    /* the receiver's end */
    if (count) {
        r->frame.w[2] = t->frame.w[2];
        if (count > 1) {
            r->frame.w[3] = t->frame.w[3];
            if (count > 2)
                r->frame.w[4] = t->frame.w[4];
        }
    }
    id = t->tcr[L4_TCR_SENDER];
    if (UNLIKELY(send->badge_len))
        id = badged(send, id);
    if (LIKELY(count <= REGISTER_WORDS)) {
        r->frame.w[1] = id;
        r->frame.w[0] = count << 4;
    } else {
        r->uipc.sender_id = id;
        r->uipc.oc = (uint8_t)count;
        r->uipc.ot = 0;
        r->cont = ipc_copy_out;
    }
    r->uipc.endpoint = NULL;
    r->state = THREAD_READY;
    ep->queue = NULL;
    ep->plain = NULL;
    ep->waiting = 0;

    /* the sender waits for its answer; send, sc and st mean nothing any more */
    t->syscall = true;
    w = t->frame.w[1];
    t->uipc.recv = w;
    t->uipc.accepts = (uint8_t)(w >> ACCEPTS_SHIFT);
    t->uipc.phase = PHASE_RECEIVING;
    t->uipc.epoch = cap_epoch;
    t->uipc.endpoint = answer;
    t->queue_next = t;
    t->queue_prev = t;
    t->state = THREAD_RECV;
    answer->queue = t;
    answer->plain = t;
    answer->waiting = 1;

    now = arch_clock_tsc() - clock_offset;
    t->blocked_since = now;
    if (UNLIKELY(!sched_handoff_quick(r, now))) {
        sched_handoff_slow(t, r);
        return kernel_exit();
    }
    if (UNLIKELY(cpu->fpu_owner != NULL) || UNLIKELY(cpu->io_task != NULL)) {
        if (!prepared(cpu, t, r))
            return kernel_exit();
    }
    if (count > REGISTER_WORDS && !give_words(r))
        return kernel_exit();
    return r;
}
