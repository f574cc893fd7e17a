// SPDX-License-Identifier: MIT
/*
 * Endpoints and message transfer.  [M 2.3] [M 3.2.1] [G8] [G10] [G16] [G17]
 */
#ifndef KERNEL_IPC_H
#define KERNEL_IPC_H

#include "kernel/thread.h"

/*
 * Invariants (IPC group): senders and receivers never wait together; every queued thread is in state
 * SEND or RECV with ipc->endpoint == this.  Only a receiver that waits alone is without wait_general.
 */
struct endpoint {
    struct kobj obj;
    struct thread *queue;   /* first of a circular list, or NULL */
    uint32_t senders;       /* 1: they are senders; 0: receivers (or empty) */
    uint32_t spare[2];
};
STATIC_ASSERT(sizeof(void *) != 4 || sizeof(struct endpoint) == L4_SIZE_ENDPOINT);

void endpoint_init(struct endpoint *ep);     /* the head, ep->obj, is the caller's */

#define MESSAGE_REGISTERS 3u /* message words in W2..W4 */
#define PHASE_RECEIVING 1u   /* ipc.phase: sent, no end, no timeout */
STATIC_ASSERT(offsetof(struct ipc, sent) == offsetof(struct ipc, phase));

/* The badge of n, the capability that is sent over, with TCR 3, `low`, in the bits below it.  [M 3.2.1] [G4] */
ALWAYS_INLINE uint32_t ipc_sender_id(const struct node *n, uint32_t low)
{
    unsigned length;

    if (LIKELY(n->badge_len == 0))
        return low;
    length = n->badge_len;
    return length >= 32 ? n->badge : (n->badge << (32u - length)) | (low & (0xffffffffu >> length));
}

/*
 * System call 0, every combination; words W5.. are copied in first (may fault and come back).
 */
void sys_ipc(struct thread *t);

/*
 * The common call in one straight line: if the thread at the other end can take the message and run at once,
 * everything is done, and the answer is the thread to resume: page directory and TSS follow, as after
 * arch_prepare().  NULL: nothing has been done, go the general way.  t is current and its frame is saved.
 */
#define IPC_FAST_ABI __attribute__((regparm(1)))
struct thread *ipc_fast(struct thread *t) IPC_FAST_ABI;
/* What stands at the two capability words of a kernel-made message: both live, with the right to use them so. */
struct ipc_handler {
    const struct node *send;
    struct endpoint *ep, *answer; /* send names ep */
};

/*
 * The same in C for what it leaves out (ipc_straight.c).  True: done, or under way as ipc.c would have it.
 * _nested: the message in t->kipc and t->kmsg; t is nested.
 */
bool ipc_straight(struct thread *t);
bool ipc_straight_nested(struct thread *t, const struct ipc_handler *handler);

/* Continuations, and what ipc.c does next. */
void ipc_items(struct thread *t);          /* sender: its items were preempted */
void ipc_nested_replied(struct thread *t); /* the reply to its fault has come */
void ipc_after_send(struct thread *t, struct thread *woken); /* on to the receive phase; woken becomes ready */
void ipc_copy_out(struct thread *t); /* continuation of a receiver: words beyond W4, then the call ends */

/*
 * Start the thread's nested IPC: t->kipc and t->kmsg are filled, t->cont is what the outer operation
 * does when it is over (NULL: back to user code); it is kept in t->outer.  When the reply is in, t->cont
 * is that again and fault_replied() (fault.c) is called in t's own context.
 */
void ipc_start_nested(struct thread *t, const struct ipc_handler *handler);
void ipc_start_receive(struct thread *t);   /* receive phase only (startup); t is halted or ready */
void ipc_start_interrupt(struct thread *t); /* hardware thread; in interrupt context, never preempted */
void ipc_continue_interrupt(struct thread *t); /* one that was postponed: irq.c */

/*
 * Abort the active operation: a user IPC ends with SND_ABORT or RCV_ABORT and `detail` in W0; a nested
 * one makes the thread retry what it was nested in.  Not blocked in IPC: no-op, false.
 */
bool ipc_abort(struct thread *t, enum l4_detail detail);
void ipc_timeout(struct thread *t);         /* from the deadline heap */
void ipc_leave_queue(struct thread *t);     /* if in one; the timeout goes, too */
void ipc_cancel(struct thread *t);          /* thread_cancel()'s part: no result, no nested IPC any more */

/* Is t in an IPC that can be aborted: blocked, or preempted or restarted in the middle? */
bool ipc_in_progress(const struct thread *t);
/* The phase of that IPC: receiving (true) or sending. */
ALWAYS_INLINE bool ipc_receiving(const struct thread *t) { return t->ipc->sent; }

/* map.c: perform the items of `sender`'s active IPC into sender->ipc->partner.  See map.c's head. */
enum step map_items(struct thread *sender);
/*
 * The commonest message, whose only item maps one page to a name that is free and has a table, with memory for the
 * node at hand: what map_items() does with it, in one line.  to: the word with the hot spot.  nodes: the flexpage
 * of kernel pages that pay.  result: the two words for the receiver.  False: it is not so, and nothing is done.
 */
#define MAP_PAGE_ABI __attribute__((regparm(3)))
MAP_PAGE_ABI bool map_page(const struct thread *sender, const struct thread *receiver, uint32_t fpage, uint32_t to,
                           uint32_t nodes, uint32_t *result);
void map_begin(struct thread *sender, struct thread *receiver);

#endif
