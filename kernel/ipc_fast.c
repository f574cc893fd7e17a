// SPDX-License-Identifier: MIT
/*
 * The common IPC: a call or an answer without items, to a receiver that waits alone, with the next receive
 * going to wait, and no timeouts.  Everything else is ipc.c's.
 *
 * All tests come before the first store that anybody could see.  What is tested is kept in the shape of one
 * test by those who change it seldom: thread.unusual, thread.quick_rank, cpu.hurdles, ipc.phase.  An
 * architecture may do the most common part of this by hand (arch/ia32/entry/ipc_fast.inc): what changes here
 * changes there.  The frame pointer is worth a register here; a stack walk that starts inside skips one frame.
 */
#include "kernel/ipc.h"

#include <arch/cpu.h>
#include "kernel/cpu.h"
#include "kernel/sched.h"

#define FAST_W0_MASK (15u | 0xc00u) /* NR, ST */
#define FAST_W1_MASK 0x00cu         /* TS */
#define COUNT_MASK 0x3f0u           /* SC, RC and OC in W0 and W1 */

/* The capability and the live endpoint that a word names with this right in a directory of capabilities. */
ALWAYS_INLINE bool find_endpoint(struct node ***dir, uint32_t word, uint32_t right,
                                 const struct node **node, struct endpoint **ep)
{
    const struct node *n = cap_lookup_in(dir, word >> L4_NAME_SHIFT);

    if (UNLIKELY(!n) || UNLIKELY(!(n->name & right)))
        return false;
    *node = n;
    *ep = (struct endpoint *)(void *)node_kobj(n);
    return LIKELY(kobj_is_live(&(*ep)->obj, L4_TYPE_ENDPOINT));
}

/* Message words from W5 on, `count` of all, straight from t's memory into r's, which waits. */
static bool send_words(const struct thread *t, const struct thread *r, uint32_t count)
{
    uint32_t from = t->frame.ecx;

    count -= MESSAGE_REGISTERS;
    return from < L4_USER_TOP && count * 4u <= L4_USER_TOP - from &&
           arch_user_send(r->task, r->frame.ecx, from, count);
}

NO_FRAME_POINTER IPC_FAST_ABI struct thread *ipc_fast(struct thread *t)
{
    struct cpu *cpu = this_cpu();
    struct node ***dir = t->task->cap_dir;
    const struct node *n;
    struct endpoint *ep, *answer;
    struct thread *r;
    uint32_t count, most, id;
    uint64_t now;

    if (UNLIKELY((t->frame.w[0] & FAST_W0_MASK) | (t->frame.w[1] & FAST_W1_MASK) |
                 (cpu->hurdles & ~HURDLE_OWNED)))
        return NULL;
    if (!find_endpoint(dir, t->frame.w[0], L4_W, &n, &ep))
        return NULL;
    r = ep->queue;
    if (UNLIKELY(!r) || UNLIKELY(r->unusual & ~UNUSUAL_EXIT))
        return NULL;

    /* Nobody reads r's W0 and W1, nor when t blocked, unless the call goes this way. */
    id = t->tcr[L4_TCR_SENDER];
    if (UNLIKELY(n->badge_len))
        id = ipc_sender_id(n, id);
    r->frame.w[1] = id;
    count = t->frame.w[0] & COUNT_MASK;
    most = r->uipc.recv & COUNT_MASK;
    if (count > most)
        count = most;
    r->frame.w[0] = count;
    if (!find_endpoint(dir, t->frame.w[1], L4_R, &n, &answer) || UNLIKELY(answer->queue != NULL))
        return NULL;
    if (UNLIKELY(count > MESSAGE_REGISTERS << 4) && !send_words(t, r, count >> 4))
        return NULL;
    now = clock_now();
    t->blocked_since = now;
    if (UNLIKELY(!sched_handoff_quick(r, (uint32_t)now)))
        return NULL;

    /* the sender waits for its answer; send, sc and st mean nothing any more */
    t->uipc.recv = t->frame.w[1];
    t->uipc.phase = PHASE_RECEIVING;
    t->uipc.endpoint = answer;
    t->state = THREAD_RECV;
    answer->queue = t;

    /* the receiver runs */
    r->uipc.endpoint->queue = NULL;
    r->uipc.endpoint = NULL;
    r->state = THREAD_READY;
    count = r->frame.w[0];
    if (count >= MESSAGE_REGISTERS << 4) {
        r->frame.w[2] = t->frame.w[2];
        r->frame.w[3] = t->frame.w[3];
        r->frame.w[4] = t->frame.w[4];
    } else if (count) {
        r->frame.w[2] = t->frame.w[2];
        if (count > 1u << 4)
            r->frame.w[3] = t->frame.w[3];
    }
    if (UNLIKELY(cpu->hurdles))
        arch_prepare(r);
    return r;
}
