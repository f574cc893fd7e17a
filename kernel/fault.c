// SPDX-License-Identifier: MIT
/*
 * Capability faults and exceptions as messages, and what their replies do.  [M 2.1.2] [G18] [G19] [G20]
 *
 * A fault is an IPC nested in whatever the thread was doing: `cont` keeps the outer operation (NULL: the
 * user instruction), and "retry" is simply the end of the nested IPC.  A thread has at most one fault
 * under way, since it does not run until the reply is in.
 */
#include "kernel/fault.h"

#include "kernel/boot.h"
#include "kernel/debug/debug.h"
#include "kernel/ipc.h"
#include "kernel/page.h"
#include "kernel/sys.h"
#include "kernel/trace.h"

#define VECTOR_GP 13u
#define VECTOR_PF 14u
#define VECTOR_CALL 0x80u   /* a reflected fault of a system call */
#define NR_ACCESS 15u       /* M0[15:12]: not a system call */
#define EXCEPTION_WORDS 13u
#define EXCEPTION_REPLY 12u
#define STARTUP_WORDS 9u

ALWAYS_INLINE const struct node *endpoint_at(const struct thread *t, uint32_t word, uint32_t rights)
{
    const struct node *n = cap_lookup(t->task, word >> L4_NAME_SHIFT);
    const struct kobj *o;

    if (UNLIKELY(!n) || UNLIKELY(~n->name & rights))
        return NULL;
    o = node_kobj(n);
    return LIKELY(kobj_is_live(o, L4_TYPE_ENDPOINT)) ? n : NULL;
}

/* TCRs are resolved at use, never cached.  [S20] */
ALWAYS_INLINE bool handler_at(const struct thread *t, unsigned tcr, struct ipc_handler *h)
{
    const struct node *recv;

    if (UNLIKELY(!t->task))
        return false;
    h->send = endpoint_at(t, t->tcr[tcr], L4_W);
    recv = endpoint_at(t, t->tcr[tcr + 1], L4_R);
    if (UNLIKELY(!h->send) || UNLIKELY(!recv))
        return false;
    h->ep = (struct endpoint *)(void *)node_kobj(h->send);
    h->answer = (struct endpoint *)(void *)node_kobj(recv);
    return true;
}
static bool handler_usable(const struct thread *t, unsigned tcr, struct ipc_handler *h)
{
    return handler_at(t, tcr, h);
}

ALWAYS_INLINE void prepare(struct thread *t, enum ipc_kind kind, unsigned tcr, unsigned words, unsigned reply)
{
    struct ipc *ipc = &t->kipc;

    ASSERT(!ipc->endpoint && !ipc->partner);
    ipc->send = t->tcr[tcr];
    ipc->recv = ipc_recv_word(t->tcr[tcr + 1], reply, L4_ITEMS_MAX);
    ipc->phase = 0;
    ipc->snd_timeout = 0;
    ipc->kind = (uint8_t)kind;
    ipc->sc = (uint8_t)words;
    ipc->st = ipc->oc = ipc->ot = 0;
    ipc->sender_id = 0;
    ipc->error = 0;
}

/* Boot option fault=log: only log it, so that tests can provoke it without a stop. */
static bool stop_for_lost_fault(void)
{
    static uint8_t known;
    char value[8];

    if (!known) {
        known = boot_option("fault", value, sizeof value) ? 1 : 2;
    }
    return known == 2;
}

static void halt_without_handler(struct thread *t, const char *what, uint32_t number, uint32_t where)
{
    kprintf("th%u halted: no handler for %s 0x%x at ip 0x%x\n", t->obj.id, what, number, where);
    thread_halt(t, HALT_NO_HANDLER);
    if (stop_for_lost_fault())
        (void)debug_enter(DEBUG_NO_HANDLER, NULL, "a thread has no handler for its fault");
}

NO_FRAME_POINTER static void send_fault(struct thread *t, const struct ipc_handler *h, uint32_t m0, uint32_t name, uint32_t resolve,
                       thread_cont *cont)
{
    t->fault_w0 = m0;
    t->fault_name = name;
    t->fault_ip = t->frame.eip;
    t->cont = cont;
    TRACE(FAULT, m0, name, t->frame.eip);
    prepare(t, IPC_FAULT, L4_TCR_FAULT_SND, 4, 2);
    t->kmsg[0] = m0;
    t->kmsg[1] = name;
    t->kmsg[2] = t->frame.eip;
    t->kmsg[3] = resolve;
    ipc_start_nested(t, h);
}

void fault_cap(struct thread *t, enum l4_fault_op op, enum l4_detail reason, enum l4_type type,
               uint32_t need, uint32_t cap_word, unsigned word, thread_cont *cont)
{
    uint32_t base = cap_word & L4_CAP_INVALID, m0;
    struct ipc_handler h;

    if (reason == L4_D_DYING)
        reason = L4_D_EMPTY; /* what is being destroyed is not there any more */
    m0 = L4_FAULT_M0(op, t->frame.w[0] & 15u, reason, type, need);
    if (!handler_usable(t, L4_TCR_FAULT_SND, &h)) {
        t->fault_w0 = m0;
        t->fault_name = base | word;
        t->fault_ip = t->frame.eip;
        sys_refuse(t, L4_ERR(L4_CAP, reason, min_u32(word, 15)));
        return;
    }
    send_fault(t, &h, m0, base | word,
               L4_FPAGE(base, type == L4_TYPE_MEMORY ? L4_SPACE_MEM : L4_SPACE_CAP, 12u, need), cont);
}

NO_FRAME_POINTER void fault_memory(struct thread *t, uint32_t address, uint32_t access, thread_cont *cont)
{
    enum l4_detail reason = L4_D_EMPTY;
    enum l4_fault_op op = access == L4_W ? L4_OP_WRITE : access == L4_X ? L4_OP_FETCH : L4_OP_READ;
    uint32_t need = access == L4_W ? L4_R | L4_W : L4_R; /* IA-32 cannot write what it cannot read */
    struct ipc_handler h;
    uint32_t m0;

    if (t->task && address < L4_USER_TOP && page_lookup(t->task, address)) {
        struct kroom *room = &t->map.room;
        const struct kres view = { t->task, t->tcr[L4_TCR_RCVRES], room, ROOM_VIEW };

        if (t->fault_address != address)
            room->started &= (uint16_t)~(1u << ROOM_VIEW);
        kroom_stretch(room);
        reason = mem_refill(t->task, address, access, &view);
        if (UNLIKELY(reason == KMEM_SEARCHING)) {
            /* The access is made once more, faults once more, and the search goes on. */
            t->fault_address = address;
            (void)preempt_point(PREEMPT_ROOM);
            t->cont = cont;
            return;
        }
        room->started &= (uint16_t)~(1u << ROOM_VIEW);
        if (reason == L4_D_NONE) {
            t->cont = cont;
            return;
        }
    }
    if (reason == L4_D_NO_PAGETABLE)
        op = L4_OP_PAGETABLE;
    m0 = L4_FAULT_M0(op, NR_ACCESS, reason, L4_TYPE_MEMORY, need);
    t->fault_address = address;
    if (UNLIKELY(!handler_at(t, L4_TCR_FAULT_SND, &h))) {
        t->fault_w0 = m0;
        t->fault_name = address;
        t->fault_ip = t->frame.eip;
        t->cont = cont;
        halt_without_handler(t, "memory access", address, t->frame.eip);
        return;
    }
    send_fault(t, &h, m0, address, L4_FPAGE(address, L4_SPACE_MEM, 12u, need), cont);
}

/* Has the task all of these ports, with whatever rights? */
static bool has_ports(const struct task *task, uint32_t port, unsigned bytes)
{
    uint32_t last = (port + bytes - 1u) << L4_NAME_SHIFT;
    const struct node *n = io_lookup(task, port);

    while (n && node_last(n) < last) {
        const struct node *next = io_next(task, n);

        n = next && next->obj == node_last(n) + 1u ? next : NULL;
    }
    return n != NULL;
}

void fault_io(struct thread *t, uint32_t port, unsigned bytes)
{
    const uint32_t need = L4_R | L4_W;
    uint32_t name = port << L4_NAME_SHIFT, m0;
    enum l4_detail reason = has_ports(t->task, port, bytes) ? L4_D_RIGHTS : L4_D_EMPTY;
    struct ipc_handler h;

    m0 = L4_FAULT_M0(L4_OP_IO, NR_ACCESS, reason, L4_TYPE_IOPORT, need);
    t->fault_address = port;
    if (!handler_usable(t, L4_TCR_FAULT_SND, &h)) {
        t->fault_w0 = m0;
        t->fault_name = name | (bytes - 1u);
        t->fault_ip = t->frame.eip;
        halt_without_handler(t, "io port", port, t->frame.eip);
        return;
    }
    send_fault(t, &h, m0, name | (bytes - 1u), L4_FPAGE(name, L4_SPACE_IO, 12u, need), NULL);
}

/* Send the exception message; name: M12. */
static void send_exception(struct thread *t, uint32_t vector, uint32_t error, uint32_t name)
{
    unsigned tcr = t->tcr[L4_TCR_EXC_SND] != L4_CAP_INVALID ? L4_TCR_EXC_SND : L4_TCR_FAULT_SND;
    const struct user_frame *f = &t->frame;
    const uint32_t words[EXCEPTION_WORDS] = {
        (L4_PROTO_EXCEPTION << 24) | vector, error, f->eip, f->eflags, f->edi, f->esi, f->ebp,
        f->esp, f->ebx, f->edx, f->ecx, f->eax, name,
    };
    struct ipc_handler h;
    unsigned i;

    TRACE(EXCEPTION, vector, error, f->eip);
    if (!handler_usable(t, tcr, &h)) {
        halt_without_handler(t, "exception", vector, f->eip);
        return;
    }
    prepare(t, IPC_EXCEPTION, tcr, EXCEPTION_WORDS, EXCEPTION_REPLY);
    for (i = 0; i < EXCEPTION_WORDS; i++)
        t->kmsg[i] = words[i];
    ipc_start_nested(t, &h);
}

void fault_exception(struct thread *t, uint32_t vector, uint32_t error, uint32_t address)
{
    t->fault_vector = vector;
    t->fault_error = error;
    t->fault_address = address;
    t->fault_ip = t->frame.eip;
    t->cont = NULL;
    send_exception(t, vector, error, address);
}

/* "Reflect": the fault becomes an exception; the outer operation stays, to be retried.  [G19] */
static void reflect(struct thread *t)
{
    uint32_t vector = VECTOR_CALL;

    if (((t->fault_w0 >> 12) & 15u) == NR_ACCESS)
        vector = ((t->fault_w0 >> 16) & 0xffu) == L4_OP_IO ? VECTOR_GP : VECTOR_PF;
    t->fault_vector = vector;
    t->fault_error = t->fault_w0;
    send_exception(t, vector, t->fault_w0, t->fault_name);
}

static void fault_reply(struct thread *t)
{
    uint32_t answer = t->kipc.oc ? t->kmsg[0] : L4_REPLY_RETRY;
    bool call = ((t->fault_w0 >> 12) & 15u) != NR_ACCESS;

    if (answer == L4_REPLY_FAIL && call)
        sys_refuse(t, L4_ERR(L4_CAP, (t->fault_w0 >> 8) & 15u, min_u32(t->fault_name & 0xfffu, 15)));
    else if (answer == L4_REPLY_REFLECT || answer == L4_REPLY_FAIL)
        reflect(t);
}

static void exception_reply(struct thread *t)
{
    struct user_frame *f = &t->frame;
    const uint32_t *m = t->kmsg;

    if (t->kipc.oc < EXCEPTION_REPLY)
        return;
    f->eip = m[2];
    f->eflags = (m[3] & L4_USER_EFLAGS) | EFLAGS_IF | 2u;
    f->edi = m[4];
    f->esi = m[5];
    f->ebp = m[6];
    f->esp = m[7];
    f->ebx = m[8];
    f->edx = m[9];
    f->ecx = m[10];
    f->eax = m[11];
    t->slow_exit = true;
    t->cont = NULL; /* the state is the handler's now: what the thread was doing is given up */
    t->syscall = false;
    t->msg_in = false;
}

static void startup_reply(struct thread *t)
{
    struct user_frame *f = &t->frame;
    uint32_t m[STARTUP_WORDS] = { 0 };
    unsigned i;

    for (i = 0; i < t->kipc.oc && i < STARTUP_WORDS; i++)
        m[i] = t->kmsg[i];
    f->eip = m[0];
    f->esp = m[1];
    f->eax = m[2];
    f->ebx = m[3];
    f->ecx = m[4];
    f->edx = m[5];
    f->esi = m[6];
    f->edi = m[7];
    f->ebp = m[8];
    f->eflags = EFLAGS_IF | 2u;
    t->slow_exit = true;
    t->cont = NULL;
}

void fault_replied(struct thread *t)
{
    switch (t->kipc.kind) {
    case IPC_FAULT:
        fault_reply(t);
        break;
    case IPC_EXCEPTION:
        exception_reply(t);
        break;
    case IPC_STARTUP:
        startup_reply(t);
        break;
    default:
        panic("th%u: reply to a nested message of kind %u", t->obj.id, t->kipc.kind);
    }
}
