// SPDX-License-Identifier: MIT
/*
 * Threads.  [M 2.2] [M 3.1.3] [G20] [G22] [G23]
 *
 * There is no kernel stack per thread: what a blocked or preempted thread is doing stands in this
 * structure.  The CPU pushes the user registers of an entry right into `frame`.
 */
#ifndef KERNEL_THREAD_H
#define KERNEL_THREAD_H

#include <arch/frame.h>
#include "kernel/deadline.h"
#include "kernel/mapdb.h"
#include "kernel/task.h"

enum thread_state {
    THREAD_HALTED, /* does not run: fresh, unbound, halted, or dead */
    THREAD_READY,  /* runs, or would if the scheduler let it */
    THREAD_SEND,   /* in the queue of ipc->endpoint as a sender */
    THREAD_RECV,   /* in the queue of ipc->endpoint as a receiver */
    THREAD_XFER,   /* held as receiver while a sender performs items */
    THREAD_STATE_COUNT
};

enum halt_reason { HALT_FRESH, HALT_EXREGS, HALT_UNBOUND, HALT_NO_HANDLER, HALT_NO_STARTUP, HALT_DEAD };

/* What an IPC is for: the user's own call, or a kernel-made one nested in something else. */
enum ipc_kind { IPC_USER, IPC_FAULT, IPC_EXCEPTION, IPC_STARTUP, IPC_IRQ };

/*
 * One IPC operation of a thread.  A thread has two: its own call and a nested kernel-made one; thread.ipc
 * points to the active one.  Message word n of the user's own call is parameter word n+2 (registers,
 * then thread.msg); of a nested one it is thread.kmsg[n].
 */
struct ipc {
    struct endpoint *endpoint;     /* whose queue the thread is in; NULL: none */
    uint32_t send;                 /* capability word; L4_CAP_INVALID: no such phase */
    union {
        uint32_t recv;             /* the same for receiving, and below it as in W1: */
        struct { uint32_t : 4, rc : 6, rt : 2, : 20; }; /* words and items to receive */
    };
    union {
        struct {
            bool sent;             /* the send phase is over */
            bool timed;            /* thread.timeout.when is the end of this phase, also after a restart */
            uint16_t rcv_timeout;  /* TCR encoding; 0 never */
        };
        uint32_t phase;            /* the three as one word, for ipc_fast() */
    };
    uint16_t snd_timeout;
    uint8_t kind;                  /* enum ipc_kind */
    uint8_t sc, st;                /* words and items to send */
    uint8_t oc, ot;                /* received so far */
    uint32_t sender_id;            /* received */
    uint32_t error;                /* L4_ERR(MAP, ..) of the send phase; 0 when no IPC is under way */
    struct thread *partner;        /* during THREAD_XFER and the sender's item phase, both sides */
};

/* What `recv` must be for a receive phase over this capability word. */
ALWAYS_INLINE uint32_t ipc_recv_word(uint32_t word, unsigned rc, unsigned rt)
{
    return (word & L4_CAP_INVALID) | rt << 10 | rc << 4;
}
ALWAYS_INLINE bool ipc_receives(const struct ipc *ipc) { return ipc->recv < L4_CAP_INVALID; }

/* Progress of performing typed items: kept in the sender.  map.c owns the fields. */
struct map_state {
    uint8_t item, count;           /* current, number of items to perform */
    uint8_t badge_size;            /* BADGE item in force */
    uint8_t spare[5];
    uint32_t badge;
    uint32_t offset;               /* progress in the current item: names, or tables for TABRES */
    uint32_t granted, mapped;      /* of the current item */
    uint32_t nodes;                /* flexpage of kernel pages for nodes (TCR 10 or MAPRES) */
    uint32_t tables;               /* flexpage of kernel pages for tables (TABRES), 0: none */
    uint32_t error;                /* first failure, L4_ERR(MAP, detail, item), or 0 */
    uint32_t failed;               /* current item: detail of its first failure, or 0 */
    uint32_t empty_detail;         /* current item: why names were skipped, or 0 */
    struct kroom room;             /* searches for kernel memory; also of create and of a page fault */
};

/* Progress of unmap (unmap.c), convert (convert.c) and create (sys_create.c). */
struct name_state {
    uint32_t stage;                /* unmap: what comes next */
    uint32_t index, offset;        /* unmap: flexpage number, next name inside it */
    uint32_t fpage;                /* unmap: current flexpage; create: name of the new object */
    uint32_t refs;                 /* unmap: reference bits of the current flexpage */
    uint32_t id, error;            /* create: the new object; how the call ends after an undo */
    bool new_table;                /* create: made the capability table that holds the name */
    struct kpage *kpage;           /* convert: under construction */
    struct task *task;             /* create task: under construction */
};

#define THREAD_MSG_WORDS (L4_PARAM_WORDS - 5u) /* W5..W70 */
#define THREAD_KMSG_WORDS 24u

typedef void thread_cont(struct thread *t);

/*
 * Invariants (THR group): at most one queue; HALTED => in none; bound task alive; hardware thread never
 * READY on a CPU; saved frame is ring 3 with clean flags.
 *
 * What ipc_fast() asks of a receiver stands in one word, `unusual`, kept by those who change it seldom.
 * wait_general: it waits, and not as a receiver of its own call, alone, without a timeout or an error, over a
 * capability that has lost nothing since.
 */
struct thread {
    struct kobj obj;
    /* An exception inside the entry stub, such as a debugger's breakpoint, pushes its frame here. */
    uint32_t entry_room[16];
    struct user_frame frame;            /* user registers; the CPU pushes here.  Offset known to entry.asm */
    struct task *task;             /* bound, or NULL */
    struct thread *task_next, *task_prev;
    uint8_t state;                 /* enum thread_state; written by thread_set_state() only */
    uint8_t halt_reason;           /* enum halt_reason, if HALTED or halt_pending */
    uint8_t irq_line, irq_state;   /* hardware threads: irq.c */
    union {
        struct {
            bool halt_pending;     /* halt before the next user instruction */
            bool debug_halt;       /* stopped by GDB or kdb: not picked by the scheduler */
            bool wait_general;     /* see above */
            bool slow_exit;        /* entered otherwise than by sysenter, or its frame was changed: iret */
        };
        uint32_t unusual;
    };
    bool nested;                   /* ipc == &kipc */
    bool hardware;                 /* interrupt thread; never runs user code */
    bool msg_in;                   /* W5.. of this call are in msg already */
    bool syscall;                  /* in a system call (frame.eax is its W0), not in a user-mode trap */
    thread_cont *cont;             /* run instead of returning to user code; NULL: return */
    thread_cont *outer;            /* nested: what `cont` becomes when the kernel-made IPC is over */
    struct ipc *ipc;               /* active operation: &uipc or &kipc */
    struct ipc uipc, kipc;
    struct thread *queue_next, *queue_prev; /* endpoint queue, circular; alone: itself */
    struct deadline timeout;       /* kind DEADLINE_IPC */
    struct name_state names;
    struct revoke revoke;
    uint32_t tcr[L4_TCR_COUNT];    /* 1 is not stored */
    struct resv *resv_list;        /* ordered; singly linked by thread_next */
    struct resv *resv;             /* current position in it; NULL: none has budget */
    int quick_rank;                /* rank of the position if sched_handoff() may let it pay, or SCHED_NOT_QUICK */
    uint32_t fault_w0, fault_name, fault_ip; /* last fault, for reflection, kdb explain */
    uint32_t fault_vector, fault_error, fault_address;
    uint64_t blocked_since;
    uint32_t switches;
    bool fpu_used;
    /* From here on nothing is read that was not written before: not cleared at creation. */
    uint32_t msg[THREAD_MSG_WORDS];
    uint32_t kmsg[THREAD_KMSG_WORDS];
    struct map_state map;
    uint8_t fpu[512] __attribute__((aligned(16))); /* with fpu_used */
};
STATIC_ASSERT(sizeof(void *) != 4 || sizeof(struct thread) <= L4_SIZE_THREAD);
#define UNUSUAL_EXIT 0xff000000u   /* slow_exit in `unusual` */

/* Parameter word n of the thread's call: registers first, then msg. */
ALWAYS_INLINE uint32_t *thread_word(struct thread *t, unsigned n)
{
    return n < 5 ? &t->frame.w[n] : &t->msg[n - 5];
}
/* Message word n of the thread's active IPC. */
ALWAYS_INLINE uint32_t *thread_msg(struct thread *t, unsigned n)
{
    return UNLIKELY(t->nested) ? &t->kmsg[n] : thread_word(t, n + 2);
}

struct thread *thread_current(void);
/* Defaults: halted, TCR 4-9 invalid [G23].  The head, t->obj, is the caller's. */
void thread_init(struct thread *t);
void thread_set_state(struct thread *t, enum thread_state state); /* tells the scheduler too */
void thread_halt(struct thread *t, enum halt_reason why); /* now; not in a queue */
void thread_bind(struct thread *t, struct task *task);    /* starts the startup wait [G20] */
void thread_unbind(struct thread *t, enum halt_reason why); /* leaves queues, ends its operation, halts */
/*
 * End whatever the thread is doing in the kernel without a result: leave the queue, cancel timeout,
 * revocation, half-built objects; a partner in transfer is told ABORTED_XFER.  Used by unbind, destroy
 * and exchange-registers.  A thread that was blocked is HALTED then; a ready one stays ready.
 */
void thread_cancel(struct thread *t);

void sys_thread_control(struct thread *t);
void sys_exregs(struct thread *t);

const char *thread_state_name(unsigned state);
const char *thread_halt_name(unsigned reason);

#endif
