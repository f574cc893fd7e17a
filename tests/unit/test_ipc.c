// SPDX-License-Identifier: MIT
/*
 * IPC against everything that may happen to it: threads of one task send, receive, map, time out, abort
 * each other, lose and regain capabilities, are halted, and fault into each other's endpoints, at
 * random and with preemption forced at random points.  After each system call the invariants run, and
 * whoever got a message looks whether it is one whole message as it was sent.
 *
 * Arguments: steps=N seed=N.
 */
#include "arch/host/host.h"

#include <arch/timer.h>
#include "kernel/boot.h"
#include "kernel/check.h"
#include "kernel/cpu.h"
#include "kernel/fault.h"
#include "kernel/ipc.h"
#include "kernel/irq.h"
#include "kernel/lib/linkset.h"
#include "kernel/sys.h"
#include "tests/unit/unit.h"

#define SELF_TASK   1u
#define SELF_THREAD 2u
#define SELF_RESV   3u
#define THREADS     6u
#define THREAD_CAP(i)   (0x210u + (i)) /* 0 is the first thread's */
#define RESV_CAP(i)     (0x220u + (i))
#define ENDPOINT_CAP(i) (0x230u + (i))
#define ALIAS_CAP(i)    (0x240u + (i)) /* mappings of the endpoints, revoked now and then */
#define ENDPOINTS   4u
#define NOTHING_CAP 0x250u
#define WINDOW_CAP  0x300u             /* receive window of 64 names */
#define BUFFERS     0x00800000u        /* user memory, one page per thread */
#define USER_IP     0x00400000u
#define TAG         0x5a000000u

static struct thread *root;
static struct thread *threads[THREADS];
static struct thread *running;
static uint32_t seed = 1;

static uint32_t pick(uint32_t n)
{
    seed = seed * 1664525u + 1013904223u;
    return (uint32_t)(((uint64_t)seed * n) >> 32);
}

static void report(struct check *c, const char *text)
{
    printf("%s: %s\n", c->rule->id, text);
}

/* What is this test's subject after each step, the rest now and then: its walks are long. */
static void expect_sound(void)
{
    static const char *const groups[] = { "THR", "IPC", "FLT", "SCH", "CPU", "IRQ" };
    static unsigned calls;
    struct check c = { .report = report };

    for (unsigned i = 0; i < LINKSET_COUNT(check_rules); i++) {
        const struct check_rule *rule = LINKSET_GET(check_rules, i);
        bool due = calls % 64 == 0;

        for (unsigned g = 0; g < ARRAY_SIZE(groups); g++)
            due = due || !strcmp(rule->group, groups[g]);
        if (due)
            EXPECT_EQ(check_run(&c, rule), 0);
    }
    calls++;
}

static unsigned broken(const char *id)
{
    struct check c = { 0 };
    unsigned failures = 0;

    for (unsigned i = 0; i < LINKSET_COUNT(check_rules); i++) {
        const struct check_rule *rule = LINKSET_GET(check_rules, i);

        if (!strcmp(rule->id, id))
            failures += check_run(&c, rule);
    }
    return failures;
}

static uint32_t *user_word(struct thread *t, unsigned n)
{
    uint32_t *p;

    if (n < 5)
        return &t->frame.w[n];
    p = host_access(t->task, t->frame.ecx + 4 * (n - 5), L4_W);
    if (!p) {
        printf("no user memory at 0x%x\n", t->frame.ecx + 4 * (n - 5));
        exit(1);
    }
    return p;
}

static uint32_t call(uint32_t w0, uint32_t w1, uint32_t w2, uint32_t w3, uint32_t w4)
{
    running = host_call(root, w0, w1, w2, w3, w4);
    EXPECT(running == root);
    return root->frame.w[0];
}

static uint32_t create(uint32_t type, uint32_t cap)
{
    return call(L4_CAP(cap) | (type << 4) | L4_SYS_CREATE, L4_FPAGE(L4_CAP(L4_S0_KPAGE), 1, 13, 15),
                0, 0, 0);
}

static uint32_t tcr_write(uint32_t cap, unsigned number, uint32_t value)
{
    return call(L4_CAP(cap) | (1u << 4) | L4_SYS_THREAD_CONTROL, (number << 2) | 1u, value, 0, 0);
}

static struct thread *thread_at(uint32_t cap)
{
    struct node *n = cap_lookup(root->task, cap);

    return n ? (struct thread *)(void *)node_kobj(n) : NULL;
}

/* Thread number i: own reservation, own buffer page, started. */
static void start_thread(unsigned i)
{
    EXPECT_EQ(create(L4_TYPE_THREAD, THREAD_CAP(i)), 0);
    EXPECT_EQ(create(L4_TYPE_RESERVATION, RESV_CAP(i)), 0);
    *user_word(root, 5) = 20000;
    EXPECT_EQ(L4_ERR_BASE(call(L4_CAP(RESV_CAP(i)) | L4_SCHED_SPLIT | L4_SCHED_ASSOCIATE | L4_SYS_SCHEDULE,
                               L4_CAP(SELF_RESV), L4_CAP(THREAD_CAP(i)) | 255, 255u << 24 | L4_SCHED_SOFT,
                               1000)), 0);
    EXPECT_EQ(L4_ERR_BASE(tcr_write(THREAD_CAP(i), L4_TCR_TASK, L4_CAP(SELF_TASK))), 0);
    threads[i] = thread_at(THREAD_CAP(i));
    EXPECT(threads[i] != NULL);
    EXPECT_EQ(threads[i]->state, THREAD_HALTED);
    EXPECT_EQ(threads[i]->halt_reason, HALT_NO_STARTUP);
    EXPECT_EQ(L4_ERR_BASE(call(L4_CAP(THREAD_CAP(i)) | L4_XR_SET_IP | L4_XR_HALT_GIVEN | L4_SYS_EXREGS,
                               USER_IP, 0, 0, 0)), 0);
    EXPECT_EQ(threads[i]->state, THREAD_READY);
    threads[i]->frame.ecx = BUFFERS + i * PAGE_SIZE;
}

static void set_up(unsigned count)
{
    static const struct host_config config;
    unsigned i;

    host_boot(&config);
    root = running = threads[0] = host_run();
    EXPECT(root != NULL);
    root->frame.ecx = BUFFERS;
    for (i = 0; i < ENDPOINTS; i++)
        EXPECT_EQ(create(L4_TYPE_ENDPOINT, ENDPOINT_CAP(i)), 0);
    for (i = 1; i < count; i++)
        start_thread(i);
    expect_sound();
}

static struct thread *ipc_of(struct thread *t, uint32_t send, unsigned sc, uint32_t recv, unsigned rc,
                             uint32_t ts)
{
    t->frame.w[0] = L4_IPC_W0(send, 0, sc);
    t->frame.w[1] = L4_IPC_W1(recv, 0, rc, ts);
    running = host_syscall(t);
    expect_sound();
    return running;
}

TEST(ping_pong)
{
    uint32_t a, b;
    unsigned n, i;

    set_up(2);
    a = L4_CAP(ENDPOINT_CAP(0));
    b = L4_CAP(ENDPOINT_CAP(1));
    EXPECT_EQ(L4_ERR_BASE(tcr_write(THREAD_CAP(1), L4_TCR_SENDER, 0x1234)), 0);
    EXPECT(ipc_of(root, L4_CAP_INVALID, 0, b, 63, 0) == threads[1]);
    for (n = 0; n <= 63; n++) {
        struct thread *t = threads[1];

        for (i = 0; i < n; i++)
            *user_word(t, i + 2) = TAG + 0x100 * n + i;
        EXPECT(ipc_of(t, b, n, a, 63, 0) == root);
        EXPECT_EQ(root->frame.w[0], n << 4);
        EXPECT_EQ(root->frame.w[1], 0x1234);
        for (i = 0; i < n; i++)
            EXPECT_EQ(*user_word(root, i + 2), TAG + 0x100 * n + i);
        EXPECT(ipc_of(root, a, n, b, 63, 0) == t);
        EXPECT_EQ(t->frame.w[0], n << 4);
        for (i = 0; i < n; i++)
            EXPECT_EQ(*user_word(t, i + 2), TAG + 0x100 * n + i);
    }
}

/* A server that answers without patience finds its client waiting, however the client came to send. */
TEST(answer_without_patience)
{
    uint32_t a, b;

    set_up(2);
    a = L4_CAP(ENDPOINT_CAP(0));
    b = L4_CAP(ENDPOINT_CAP(1));
    EXPECT(ipc_of(root, a, 1, b, 1, 0) == threads[1]); /* the client queues */
    EXPECT(ipc_of(threads[1], L4_CAP_INVALID, 0, a, 3, 0) == threads[1]);
    EXPECT_EQ(root->state, THREAD_RECV);
    EXPECT(ipc_of(threads[1], b, 1, L4_CAP_INVALID, 0, L4_TS_ZERO) != NULL);
    EXPECT_EQ(threads[1]->frame.w[0], 0);
    EXPECT_EQ(root->frame.w[0], 1u << 4);
}

TEST(abort_and_timeout)
{
    uint32_t a = L4_CAP(ENDPOINT_CAP(0)), w0;
    const uint32_t xr = L4_CAP(THREAD_CAP(1)) | L4_SYS_EXREGS;
    struct thread *t;

    set_up(2);
    t = threads[1];
    (void)ipc_of(root, L4_CAP_INVALID, 0, L4_CAP(ENDPOINT_CAP(3)), 0, 0);
    EXPECT(running == t);
    /* root sleeps; t sends to it when it waits for somebody else: t must wait, and root is woken by timeout */
    t->tcr[L4_TCR_TIMEOUT0] = L4_TIMEOUT(1, 500) << 16 | L4_TIMEOUT(0, 100);
    EXPECT(ipc_of(t, a, 2, a, 2, L4_TS_TCR16) == t);
    EXPECT_EQ(t->frame.w[0], L4_ERR(L4_SND_TIMEOUT, 0, 0));
    EXPECT(ipc_of(t, L4_CAP_INVALID, 2, a, 2, L4_TS_TCR16) == t);
    EXPECT_EQ(t->frame.w[0], L4_ERR(L4_RCV_TIMEOUT, 0, 0));
    EXPECT(ipc_of(t, a, 0, a, 0, L4_TS_ZERO) == t);
    EXPECT_EQ(t->frame.w[0], L4_ERR(L4_SND_TIMEOUT, 0, 0));
    EXPECT(ipc_of(t, L4_CAP(ENDPOINT_CAP(3)), 0, a, 0, 0) == root);

    w0 = call(xr | 2u << L4_XR_ABORT_SHIFT, 0, 0, 0, 0);
    EXPECT_EQ(w0, L4_XR_OUT_RECV);
    EXPECT_EQ(t->frame.w[0], L4_ERR(L4_RCV_ABORT, 0, 0));
    EXPECT_EQ(t->state, THREAD_READY);
    w0 = call(xr | L4_XR_HALT_GIVEN | L4_XR_HALT, 0, 0, 0, 0);
    EXPECT_EQ(w0, 0);
    EXPECT_EQ(t->state, THREAD_HALTED);
    w0 = call(xr | L4_XR_HALT_GIVEN | L4_XR_SET_SP, 0, 0x77, 0, 0);
    EXPECT_EQ(w0, L4_XR_OUT_HALTED);
    EXPECT_EQ(t->frame.esp, 0x77);
    expect_sound();
}

/* A waiting thread whose capability went away meets the fault; without a handler that is error CAP. */
TEST(stale_capability)
{
    struct thread *t;
    uint32_t w0;

    set_up(2);
    t = threads[1];
    EXPECT(ipc_of(root, L4_CAP_INVALID, 0, L4_CAP(ENDPOINT_CAP(3)), 0, 0) == t);
    EXPECT(ipc_of(t, L4_CAP(ENDPOINT_CAP(3)), 0, L4_CAP(ENDPOINT_CAP(0)), 0, 0) == root);
    EXPECT_EQ(t->state, THREAD_RECV);
    w0 = call(1u << 12 | L4_SYS_UNMAP, L4_CAP_FPAGE(ENDPOINT_CAP(0), L4_R), 0, 0, 0);
    EXPECT_EQ(w0 & 15u, 0);
    EXPECT_EQ(t->state, THREAD_RECV);
    (void)ipc_of(root, L4_CAP(ENDPOINT_CAP(0)), 0, L4_CAP_INVALID, 0, L4_TS_ZERO);
    EXPECT_EQ(root->frame.w[0], L4_ERR(L4_SND_TIMEOUT, 0, 0));
    EXPECT_EQ(t->state, THREAD_READY);
    EXPECT(ipc_of(root, L4_CAP_INVALID, 0, L4_CAP(ENDPOINT_CAP(3)), 0, 0) == t);
    EXPECT_EQ(t->frame.w[0], L4_ERR(L4_CAP, L4_D_RIGHTS, 1));
    /* and a destroyed endpoint */
    EXPECT(ipc_of(t, L4_CAP(ENDPOINT_CAP(3)), 0, L4_CAP(ENDPOINT_CAP(1)), 0, 0) == root);
    w0 = call(1u << 12 | L4_SYS_UNMAP, L4_CAP_FPAGE(ENDPOINT_CAP(1), 15), 0, 0, 0);
    EXPECT_EQ(w0 & 15u, 0);
    EXPECT_EQ(t->state, THREAD_READY);
    EXPECT(ipc_of(root, L4_CAP_INVALID, 0, L4_CAP(ENDPOINT_CAP(3)), 0, 0) == t);
    EXPECT_EQ(t->frame.w[0], L4_ERR(L4_CAP, L4_D_EMPTY, 1));
}

/* The shortest path finds a receiver whose right is gone: it must not get the message. */
TEST(stale_plain_receiver)
{
    struct thread *t;

    set_up(2);
    t = threads[1];
    EXPECT(ipc_of(root, L4_CAP_INVALID, 0, L4_CAP(ENDPOINT_CAP(0)), 3, 0) == t);
    EXPECT_EQ(broken("IPC-6"), 0);
    root->uipc.recv ^= L4_CAP(1);
    EXPECT(broken("IPC-6") != 0); /* the rule sees it */
    root->uipc.recv ^= L4_CAP(1);
    t->frame.w[0] = 1u << 12 | L4_SYS_UNMAP;
    t->frame.w[1] = L4_CAP_FPAGE(ENDPOINT_CAP(0), L4_R);
    EXPECT(host_syscall(t) == t);
    t->frame.w[2] = TAG;
    EXPECT(ipc_of(t, L4_CAP(ENDPOINT_CAP(0)), 1, L4_CAP(ENDPOINT_CAP(1)), 3, 0) == root);
    EXPECT_EQ(t->state, THREAD_SEND);
    EXPECT_EQ(root->frame.w[0], L4_ERR(L4_CAP, L4_D_RIGHTS, 1));
    /* another capability lost a right: the one in use did not */
    EXPECT(ipc_of(root, L4_CAP_INVALID, 0, L4_CAP(ENDPOINT_CAP(3)), 3, 0) == NULL);
}

static const struct endpoint *endpoint(unsigned i)
{
    return (const struct endpoint *)(const void *)node_kobj(cap_lookup(root->task, ENDPOINT_CAP(i)));
}

#define MANY 40u
#define MANY_CAP(i) (0x270u + (i))

/* MANY threads wait on an endpoint over a capability that their task loses. */
static unsigned waiting_at(unsigned i)
{
    const struct thread *first = endpoint(i)->queue, *t = first;
    unsigned n = 0;

    for (; t; t = t->queue_next == first ? NULL : t->queue_next)
        n++;
    return n;
}

static void many_stale_receivers(void)
{
    const uint32_t task = 0x260;
    unsigned i;

    set_up(1);
    EXPECT_EQ(call(L4_CAP(task) | L4_TYPE_TASK << 4 | L4_SYS_CREATE, L4_FPAGE(L4_CAP(L4_S0_KPAGE), 1, 13, 15),
                   0, L4_CAP_FPAGE(ENDPOINT_CAP(0), L4_R), L4_CAP_FPAGE(0, L4_R)), 0);
    for (i = 0; i < MANY; i++) {
        EXPECT_EQ(create(L4_TYPE_THREAD, MANY_CAP(i)), 0);
        EXPECT_EQ(tcr_write(MANY_CAP(i), L4_TCR_TASK, L4_CAP(task)), 1u << 4);
        EXPECT_EQ(thread_at(MANY_CAP(i))->state, THREAD_RECV);
    }
    EXPECT_EQ(call(1u << 4 | L4_SYS_UNMAP, L4_CAP_FPAGE(ENDPOINT_CAP(0), 15), 0, 0, 0) & 15u, 0);
    EXPECT_EQ(waiting_at(0), MANY);
}

static struct thread *attach_line_5(void)
{
    const uint32_t cap = L4_S0_IRQ + 5u;

    EXPECT_EQ(tcr_write(cap, L4_TCR_TASK, L4_CAP(L4_S0_TASK)), 1u << 4);
    EXPECT_EQ(tcr_write(cap, L4_TCR_FAULT_SND, L4_CAP(ENDPOINT_CAP(0))), 1u << 4);
    EXPECT_EQ(tcr_write(cap, L4_TCR_FAULT_RCV, L4_CAP(ENDPOINT_CAP(1))), 1u << 4);
    EXPECT_EQ(irq_state_of(irq_thread(5)), IRQ_ARMED);
    return irq_thread(5);
}

/* An interrupt that meets them looks at 12; on the way out the rest goes, between preemption points. */
TEST(interrupt_meets_stale_receivers)
{
    struct thread *line;

    many_stale_receivers();
    line = attach_line_5();
    irq_raise(5);
    EXPECT_EQ(irq_state_of(line), IRQ_RAISED);
    EXPECT_EQ(waiting_at(0), MANY - 12u);
    expect_sound();
    irq_postponed = 0;
    EXPECT(broken("IRQ-1") != 0); /* the rule sees it */
    irq_postponed = 1u << 5;
    EXPECT(host_run() == root);
    EXPECT_EQ(irq_state_of(line), IRQ_SENDING);
    EXPECT_EQ(waiting_at(0), 1);
    expect_sound();
}

/* A postponed message is aborted: the line is armed again.  Its thread loses an endpoint: it is detached. */
TEST(postponed_interrupt_ends)
{
    struct thread *line;

    many_stale_receivers();
    line = attach_line_5();
    irq_raise(5);
    EXPECT_EQ(irq_state_of(line), IRQ_RAISED);
    EXPECT(ipc_abort(line, L4_D_NONE));
    EXPECT_EQ(irq_state_of(line), IRQ_ARMED);
    expect_sound();
    irq_raise(5);
    EXPECT_EQ(irq_state_of(line), IRQ_RAISED);
    irq_reevaluate(line);
    EXPECT_EQ(irq_state_of(line), IRQ_RAISED);
    line->tcr[L4_TCR_FAULT_SND] = L4_CAP_INVALID;
    irq_reevaluate(line);
    EXPECT_EQ(irq_state_of(line), IRQ_DETACHED);
    EXPECT_EQ(irq_postponed, 0);
    expect_sound();
}

/* A fresh thread waits on capability 0 of its task; messages with M0 = -1 leave it waiting.  [G20] */
TEST(startup_wait)
{
    const uint32_t task = 0x260, thread = 0x261, xr = L4_CAP(thread) | L4_SYS_EXREGS;
    struct thread *t;
    unsigned i;

    set_up(1);
    EXPECT_EQ(call(L4_CAP(task) | L4_TYPE_TASK << 4 | L4_SYS_CREATE, L4_FPAGE(L4_CAP(L4_S0_KPAGE), 1, 13, 15),
                   0, L4_CAP_FPAGE(ENDPOINT_CAP(0), L4_R), L4_CAP_FPAGE(0, L4_R)), 0);
    EXPECT_EQ(create(L4_TYPE_THREAD, thread), 0);
    EXPECT_EQ(call(xr, 0, 0, 0, 0), L4_XR_OUT_HALTED);
    EXPECT_EQ(tcr_write(thread, L4_TCR_TASK, L4_CAP(task)), 1u << 4);
    t = thread_at(thread);
    EXPECT(t != NULL && t->state == THREAD_RECV && t->nested);
    EXPECT_EQ(call(xr, 0, 0, 0, 0), L4_XR_OUT_NESTED | L4_XR_OUT_RECV);
    expect_sound();
    root->frame.w[2] = L4_START_MORE;
    EXPECT(ipc_of(root, L4_CAP(ENDPOINT_CAP(0)), 1, L4_CAP_INVALID, 0, L4_TS_ZERO) == root);
    EXPECT_EQ(root->frame.w[0], 0);
    for (i = 0; i < 9; i++)
        *user_word(root, 2 + i) = 0x1000 + i;
    (void)ipc_of(root, L4_CAP(ENDPOINT_CAP(0)), 9, L4_CAP_INVALID, 0, L4_TS_ZERO);
    EXPECT_EQ(root->frame.w[0], 0);
    expect_sound();
}

/* A fault travels to the handler and its answer back; the call it interrupted is repeated. */
TEST(fault_message)
{
    const uint32_t f = ENDPOINT_CAP(0), g = ENDPOINT_CAP(1), rest = L4_CAP(ENDPOINT_CAP(3));
    struct thread *t;

    set_up(2);
    t = threads[1];
    EXPECT_EQ(L4_ERR_BASE(tcr_write(THREAD_CAP(1), L4_TCR_FAULT_SND, L4_CAP(f))), 0);
    EXPECT_EQ(L4_ERR_BASE(tcr_write(THREAD_CAP(1), L4_TCR_FAULT_RCV, L4_CAP(g))), 0);
    EXPECT(ipc_of(root, L4_CAP_INVALID, 0, L4_CAP(f), 63, 0) == t);
    t->frame.eip = USER_IP + 8;
    EXPECT(ipc_of(t, L4_CAP(NOTHING_CAP), 1, rest, 0, 0) == root);
    EXPECT(t->nested && t->state == THREAD_RECV);
    EXPECT_EQ(root->frame.w[0], 4u << 4);
    EXPECT_EQ(root->frame.w[2], L4_FAULT_M0(L4_OP_SEND, 0, L4_D_EMPTY, L4_TYPE_ENDPOINT, L4_W));
    EXPECT_EQ(root->frame.w[3], L4_CAP(NOTHING_CAP));
    EXPECT_EQ(root->frame.w[4], USER_IP + 8);
    EXPECT_EQ(*user_word(root, 5), L4_CAP_FPAGE(NOTHING_CAP, L4_W));
    root->frame.w[2] = L4_REPLY_RETRY; /* nothing was repaired: the same again */
    EXPECT(ipc_of(root, L4_CAP(g), 1, L4_CAP(f), 63, 0) == root);
    EXPECT_EQ(root->frame.w[3], L4_CAP(NOTHING_CAP));
    root->frame.w[2] = L4_REPLY_FAIL;
    EXPECT(ipc_of(root, L4_CAP(g), 1, L4_CAP(f), 63, 0) == t);
    EXPECT_EQ(t->frame.w[0], L4_ERR(L4_CAP, L4_D_EMPTY, 0));
    EXPECT(!t->nested && !t->cont && !t->outer);
}

#define LAZY 0x90000000u /* user memory that a pager fills */

/* t touches memory that is not there.  The pager waits: it runs at once, with the whole message. */
static void touch(struct thread *t, uint32_t address, uint32_t error)
{
    fault_memory(t, address, L4_W, NULL);
    EXPECT(this_cpu()->current == root && !root->cont); /* nobody else was asked, nothing is left to do */
    expect_sound();
    running = host_run();
    EXPECT(running == root);
    EXPECT(t->nested && t->state == THREAD_RECV && t->ipc == &t->kipc);
    EXPECT_EQ(root->frame.w[0], error | 4u << 4);
    EXPECT_EQ(root->frame.w[1], 0x77);
    EXPECT_EQ(root->frame.w[2], L4_FAULT_M0(L4_OP_WRITE, 15, L4_D_EMPTY, L4_TYPE_MEMORY, L4_R | L4_W));
    EXPECT_EQ(root->frame.w[3], address);
    EXPECT_EQ(root->frame.w[4], USER_IP + 8);
    EXPECT_EQ(*user_word(root, 5), L4_FPAGE(address, L4_SPACE_MEM, 12, L4_R | L4_W));
}

/* The pager answers with one item, and waits for the next fault. */
static void answer(struct thread *t, uint32_t g, uint32_t f, uint32_t source, uint32_t name, uint32_t rights)
{
    root->frame.w[0] = L4_IPC_W0(g, 1, 1);
    root->frame.w[1] = L4_IPC_W1(f, 0, 63, L4_TS_NEVER);
    root->frame.w[2] = L4_REPLY_RETRY;
    root->frame.w[3] = L4_FPAGE(source, L4_SPACE_MEM, 12, rights);
    root->frame.w[4] = name | L4_ITEM_MAP;
    running = host_syscall(root);
    expect_sound();
    EXPECT(running == t && !t->nested && !t->cont && !t->outer && t->ipc == &t->uipc);
    EXPECT(root->state == THREAD_RECV);
    EXPECT_EQ(t->kipc.oc, 1);
    EXPECT_EQ(t->kipc.ot, 1);
}

/* Both straight lines of ipc_straight.c, and the general way with the first item, which needs a table. */
TEST(page_faults)
{
    const uint32_t f = L4_CAP(ENDPOINT_CAP(0)), g = L4_CAP(ENDPOINT_CAP(1));
    struct thread *t;

    set_up(2);
    t = threads[1];
    EXPECT_EQ(L4_ERR_BASE(tcr_write(THREAD_CAP(1), L4_TCR_FAULT_SND, f)), 0);
    EXPECT_EQ(L4_ERR_BASE(tcr_write(THREAD_CAP(1), L4_TCR_FAULT_RCV, g)), 0);
    EXPECT_EQ(L4_ERR_BASE(tcr_write(THREAD_CAP(1), L4_TCR_SENDER, 0x77)), 0);
    EXPECT_EQ(L4_ERR_BASE(tcr_write(THREAD_CAP(1), L4_TCR_RCVRES, L4_FPAGE(L4_CAP(L4_S0_KPAGE), 1, 13, 15))), 0);
    EXPECT(ipc_of(root, L4_CAP_INVALID, 0, f, 63, 0) == t);
    t->frame.eip = USER_IP + 8;
    for (unsigned i = 0; i < 3; i++) {
        uint32_t page = LAZY + i * PAGE_SIZE, rights = i == 2 ? L4_R : L4_R | L4_W;

        touch(t, page + 0x123, 0);
        answer(t, g, f, BUFFERS, page, rights);
        EXPECT_EQ(t->kmsg[1], L4_FPAGE(page, L4_SPACE_MEM, 12, rights));
        EXPECT_EQ(t->kmsg[2], 1u << L4_NAME_SHIFT | L4_ITEM_MAP);
        EXPECT(host_access(t->task, page + 0x123, L4_R) == host_access(t->task, BUFFERS + 0x123, L4_R));
        EXPECT(!host_access(t->task, page + 0x123, L4_W) == (i == 2));
    }
    /* Nothing is there to map: the answer arrives all the same, and the pager hears of it with the next fault. */
    touch(t, LAZY + 3 * PAGE_SIZE, 0);
    answer(t, g, f, LAZY + 8 * PAGE_SIZE, LAZY + 3 * PAGE_SIZE, L4_R | L4_W);
    EXPECT_EQ(t->kmsg[1], 0);
    EXPECT_EQ(t->kmsg[2], L4_ITEM_MAP);
    touch(t, LAZY + 3 * PAGE_SIZE, L4_ERR(L4_MAP, L4_D_EMPTY, 0));
}

/* ---- the soak ---- */

static bool force_preempt;

static void window(void)
{
    host_advance(pick(2000)); /* two threads that answer each other's faults would go on for ever */
    host_clock += 1000; /* kernel work takes time, so that nobody goes round in the kernel for ever */
    if (force_preempt && pick(3) == 0)
        this_cpu()->resched = true;
}

static uint32_t random_endpoint(void)
{
    switch (pick(8)) {
    case 0: return L4_CAP_INVALID;
    case 1: return L4_CAP(NOTHING_CAP);
    case 2:
    case 3: return L4_CAP(ALIAS_CAP(pick(ENDPOINTS)));
    default: return L4_CAP(ENDPOINT_CAP(pick(ENDPOINTS)));
    }
}

static void random_ipc(struct thread *t)
{
    unsigned sc = pick(3) ? pick(6) : pick(64), st = pick(4) ? 0 : pick(4), i;
    uint32_t send = random_endpoint(), recv = random_endpoint(), ts = pick(6);
    static uint32_t sequence;

    if (t == root || (recv != L4_CAP_INVALID && ts > 3))
        ts = L4_TS_TCR16 + pick(2);
    else if (ts > 3)
        ts = 0;
    t->frame.w[0] = L4_IPC_W0(send, st, sc);
    t->frame.w[1] = L4_IPC_W1(recv, pick(4), pick(64), ts);
    sequence = (sequence + 1) & 0xffffu;
    for (i = 0; i < sc; i++)
        *user_word(t, 2 + i) = i ? TAG + sequence + i : TAG + sequence;
    for (i = 0; i < st; i++) {
        uint32_t source = pick(2) ? ENDPOINT_CAP(0) : ALIAS_CAP(0);

        *user_word(t, 2 + sc + 2 * i) = L4_FPAGE(L4_CAP(source), 1, 12 + pick(4), 15);
        *user_word(t, 3 + sc + 2 * i) =
            L4_CAP(pick(4) ? ALIAS_CAP(0) : WINDOW_CAP + pick(64)) | (pick(8) ? L4_ITEM_MAP : pick(6));
    }
}

static void random_exregs(struct thread *t)
{
    uint32_t victim = pick(THREADS), ops = pick(4) << L4_XR_ABORT_SHIFT;

    if (victim != 0 && pick(4) == 0)
        ops |= L4_XR_HALT_GIVEN | (pick(2) ? L4_XR_HALT : 0);
    if (victim != 0 && pick(4) == 0)
        ops |= L4_XR_SET_IP;
    t->frame.w[0] = L4_CAP(victim ? THREAD_CAP(victim) : SELF_THREAD) | ops | L4_SYS_EXREGS;
    t->frame.w[1] = USER_IP + 4; /* elsewhere: its registers mean nothing then */
}

static void random_tcr(struct thread *t)
{
    uint32_t victim = pick(THREADS), number = 0, value = 0;

    switch (victim ? pick(6) : 3 + pick(2)) { /* the first thread must never wait for a handler */
    case 0: number = L4_TCR_FAULT_SND; value = random_endpoint(); break;
    case 1: number = L4_TCR_FAULT_RCV; value = random_endpoint(); break;
    case 2: number = L4_TCR_EXC_SND + pick(2); value = random_endpoint(); break;
    case 3: number = L4_TCR_SENDER; value = pick(100); break;
    case 4: number = L4_TCR_WINDOW + 1; value = L4_ALL_CAP; break;
    default:
        number = L4_TCR_TASK;
        value = pick(2) ? L4_CAP_INVALID : L4_CAP(SELF_TASK);
        break;
    }
    t->frame.w[0] = L4_CAP(victim ? THREAD_CAP(victim) : SELF_THREAD) | 1u << 4 | L4_SYS_THREAD_CONTROL;
    t->frame.w[1] = number << 2 | 1u;
    t->frame.w[2] = value;
}

static void random_unmap(struct thread *t)
{
    bool flush = pick(2) != 0;

    t->frame.w[0] = (flush ? 1u << 12 : 1u << 4) | L4_SYS_UNMAP;
    if (pick(16) == 0)
        t->frame.w[1] = L4_CAP_FPAGE(ENDPOINT_CAP(pick(ENDPOINTS)), 15);
    else if (pick(4) == 0)
        t->frame.w[1] = L4_FPAGE(L4_CAP(WINDOW_CAP), 1, 18, 15);
    else
        t->frame.w[1] = L4_CAP_FPAGE(ALIAS_CAP(pick(ENDPOINTS)), 1u << pick(4));
}

static void random_call(struct thread *t)
{
    unsigned i;

    t->frame.eip = USER_IP;
    t->frame.ecx = BUFFERS;
    for (i = 0; i < THREADS; i++)
        if (threads[i] == t)
            t->frame.ecx = BUFFERS + i * PAGE_SIZE;
    switch (pick(t == root ? 12 : 9)) {
    case 0: random_exregs(t); return;
    case 1: random_tcr(t); return;
    case 2: random_unmap(t); return;
    case 9: /* root repairs: endpoints that are gone, threads that are unbound or halted */
        t->frame.w[0] = L4_CAP(ENDPOINT_CAP(pick(ENDPOINTS))) | L4_TYPE_ENDPOINT << 4 | L4_SYS_CREATE;
        t->frame.w[1] = L4_FPAGE(L4_CAP(L4_S0_KPAGE), 1, 13, 15);
        t->frame.w[2] = 0;
        return;
    case 10:
        t->frame.w[0] = L4_CAP(THREAD_CAP(1 + pick(THREADS - 1))) | L4_XR_HALT_GIVEN | L4_XR_SET_IP |
                        L4_SYS_EXREGS;
        t->frame.w[1] = USER_IP + 4;
        return;
    case 11:
        t->frame.w[0] = L4_CAP(THREAD_CAP(1 + pick(THREADS - 1))) | 1u << 4 | L4_SYS_THREAD_CONTROL;
        t->frame.w[1] = L4_TCR_TASK << 2 | 1u;
        t->frame.w[2] = L4_CAP(SELF_TASK);
        return;
    default: random_ipc(t); return;
    }
}

/* Is what t got a whole message of this test?  Kernel-made ones start otherwise. */
static unsigned long messages, cut;
static void look_at_message(struct thread *t, bool was_ipc)
{
    uint32_t w0 = t->frame.w[0], first;
    unsigned oc = (w0 >> 4) & 63u, i;

    if (!was_ipc || t->frame.eip != USER_IP || !oc ||
        (L4_ERR_BASE(w0) != L4_OK && L4_ERR_BASE(w0) != L4_MAP))
        return;
    first = *user_word(t, 2);
    if ((first & 0xff000000u) != TAG)
        return;
    messages++;
    for (i = 1; i < oc; i++)
        if (*user_word(t, 2 + i) != first + i)
            cut++;
    EXPECT_EQ(cut, 0);
}

TEST(soak)
{
    unsigned long steps = unit_number("steps", 3000), step;
    bool in_ipc[THREADS] = { false };

    seed = (uint32_t)unit_number("seed", 1);
    set_up(THREADS);
    host_window = window;
    force_preempt = true;
    for (unsigned i = 0; i < THREADS; i++) {
        threads[i]->tcr[L4_TCR_TIMEOUT0] = L4_TIMEOUT(3, 100) << 16 | L4_TIMEOUT(3, 200);
        threads[i]->tcr[L4_TCR_TIMEOUT1] = L4_TIMEOUT(1, 0) << 16 | L4_TIMEOUT(1, 50);
        threads[i]->tcr[L4_TCR_SNDRES] = L4_FPAGE(L4_CAP(L4_S0_KPAGE), 1, 13, 15);
        threads[i]->tcr[L4_TCR_WINDOW + 1] = L4_ALL_CAP;
    }
    for (step = 0; step < steps && !unit_failures; step++) {
        struct thread *t = running;
        unsigned me = 0;

        if (!t) {
            printf("everybody waits for ever at step %lu\n", step);
            for (unsigned i = 0; i < THREADS; i++)
                printf("thread %u: %s %s nested %u sent %u timeouts 0x%x 0x%x budget %u\n", i,
                       thread_state_name(threads[i]->state), thread_halt_name(threads[i]->halt_reason),
                       threads[i]->nested, threads[i]->ipc->sent, threads[i]->ipc->snd_timeout,
                       threads[i]->ipc->rcv_timeout, threads[i]->resv != NULL);
            EXPECT(t != NULL);
            return;
        }
        while (me < THREADS && threads[me] != t)
            me++;
        EXPECT(me < THREADS);
        look_at_message(t, in_ipc[me]);
        random_call(t);
        in_ipc[me] = (t->frame.w[0] & 15u) == L4_SYS_IPC;
        if (pick(4) == 0)
            host_advance(pick(300000));
        if (this_cpu()->resched) { /* the timer interrupted before the call */
            running = host_run();
            in_ipc[me] = false;
            continue;
        }
        running = host_syscall(t);
        expect_sound();
    }
    printf("%lu steps, %lu messages\n", step, messages);
    EXPECT(messages > steps / 200);
}
