// SPDX-License-Identifier: MIT
/*
 * Revocations and destructions met half-way: each is interrupted at each of its preemption points, and there
 * somebody else does one of the hostile things of a list.  Both must end, what was revoked must be gone
 * wherever it was derived to, and when all is taken back the kernel's memory is what it was.
 * [M 2.1.1] [M 2.5.1] [G22] [G40] [G41]
 *
 * sigma0 is the adversary: it has the highest priority, sleeps, and is woken at the point.  It acts for other
 * tasks by changing its own for one call.  Arguments: stride=N takes each N-th point; pairs=N also interrupts
 * at all pairs of points of which the second is among the first N, with two different adversaries.
 */
#include "arch/host/host.h"

#include "kernel/check.h"
#include "kernel/cpu.h"
#include "kernel/ipc.h"
#include "kernel/map.h"
#include "kernel/reap.h"
#include "kernel/sys.h"
#include "tests/unit/unit.h"

#define KPAGES L4_FPAGE(L4_CAP(L4_S0_KPAGE), L4_SPACE_CAP, 13u, L4_W)
#define EP_SLEEP 0x280u
#define STAGE    0x2a0u /* all that one case makes in sigma0's space: 32 names */
#define TASK_P   (STAGE + 0u)
#define THREAD_P (STAGE + 1u)
#define RESV_P   (STAGE + 2u)
#define TASK_A   (STAGE + 3u)
#define TASK_B   (STAGE + 4u)
#define PURSE    (STAGE + 5u) /* kernel page that holds the nodes of the derived mappings */
#define ENDPOINT (STAGE + 6u)
#define TAKEN    (STAGE + 7u) /* what an adversary makes of the page */
#define SCRATCH  0x00400800u
#define PAGE     0x00420000u  /* sigma0's, mapped on */
#define PAGE_PURSE 0x00421000u
#define PAGE_P     0x00422000u /* P converts it */

/* In the other tasks: the thing itself, and what is derived from it. */
#define THING_CAP  0x300u
#define THING_MEM  0x80000000u
#define DERIVED 48u
#define SPARE   54u

static struct thread *s0, *peer;
static struct task *task_s0, *task_p, *task_a, *task_b;
static unsigned long cases, points_seen;

/* ---- sigma0 acts ---- */

static uint32_t call_as(struct task *task, uint32_t w0, uint32_t w1, uint32_t w2, uint32_t w3, uint32_t w4)
{
    struct thread *next;

    s0->task = task;
    next = host_call(s0, w0, w1, w2, w3, w4);
    EXPECT(next == s0);
    s0->task = task_s0;
    return s0->frame.w[0];
}

static uint32_t call(uint32_t w0, uint32_t w1, uint32_t w2, uint32_t w3, uint32_t w4)
{
    return call_as(task_s0, w0, w1, w2, w3, w4);
}

static uint32_t take_as(struct task *task, uint32_t fpage, bool flush)
{
    return call_as(task, (flush ? 1u << 12 : 1u << 4) | L4_SYS_UNMAP, fpage, 0, 0, 0);
}

static void create_as(struct task *task, uint32_t type, uint32_t id, uint32_t res, uint32_t p0, uint32_t p1)
{
    EXPECT_EQ(call_as(task, L4_CAP(id) | type << 4 | L4_SYS_CREATE, res, KPAGES, p0, p1), 0);
}

static struct kobj *object_at(const struct task *task, uint32_t id)
{
    const struct node *n = cap_lookup(task, id);

    return n ? node_kobj(n) : NULL;
}

/* Without a message, paid by `purse` of sigma0's. */
static bool give(struct task *from, uint32_t source, struct task *to, uint32_t destination, unsigned space, unsigned order,
                 uint32_t purse)
{
    struct map_state state = { 0 };
    struct map_job job = {
        .from = from, .to = to, .state = &state, .nodes = { .task = task_s0, .fpage = purse }, .from_tables = KPAGES, .to_tables = KPAGES,
        .space = (uint8_t)space, .order = (uint8_t)order, .rights = 15, .source = source,
        .destination = destination, .names = 1u << (order - 12u),
    };

    map_reset(&state);
    while (map_run(&job) != STEP_DONE)
        ;
    return map_outcome(&state) == L4_D_NONE;
}

static void report(struct check *c, const char *text)
{
    printf("%s: %s\n", c->rule->id, text);
}

static void check_kernel(void)
{
    struct check c = { .report = report };

    EXPECT_EQ(check_all(&c), 0);
}

/* ---- what is interrupted ---- */

enum { FLUSH = 1, IS_MEM = 2 };
static const struct operation { const char *name; uint8_t flags, type; } operations[] = {
    { "unmap memory", IS_MEM, L4_TYPE_MEMORY }, { "flush memory", IS_MEM | FLUSH, L4_TYPE_MEMORY },
    { "unmap capability", 0, L4_TYPE_MEMORY }, { "flush capability", FLUSH, L4_TYPE_MEMORY },
    { "destroy endpoint", FLUSH, L4_TYPE_ENDPOINT }, { "destroy thread", FLUSH, L4_TYPE_THREAD },
    { "destroy reservation", FLUSH, L4_TYPE_RESERVATION }, { "destroy task", FLUSH, L4_TYPE_TASK },
    { "destroy kernel page", FLUSH, L4_TYPE_KPAGE },
};
static const struct operation *op;

static unsigned space_of_op(void) { return op->flags & IS_MEM ? L4_SPACE_MEM : L4_SPACE_CAP; }
static uint32_t thing(unsigned i)
{
    return op->flags & IS_MEM ? THING_MEM + i * PAGE_SIZE : L4_CAP(THING_CAP + i);
}
static uint32_t thing_fpage(unsigned i) { return L4_FPAGE(thing(i), space_of_op(), 12, 15); }
static struct node *thing_node(struct task *task, unsigned i)
{
    return op->flags & IS_MEM ? mem_lookup(task, thing(i)) : cap_lookup(task, thing(i) >> 12);
}

/* P, who will make the call, with a thread; A and B, who get what is derived. */
static void make_tasks(void)
{
    const uint32_t common = L4_FPAGE(L4_CAP(L4_S0_KPAGE), L4_SPACE_CAP, 13, 15);

    create_as(task_s0, L4_TYPE_TASK, TASK_P, KPAGES, common, common);
    create_as(task_s0, L4_TYPE_TASK, TASK_A, KPAGES, common, common);
    create_as(task_s0, L4_TYPE_TASK, TASK_B, KPAGES, common, common);
    create_as(task_s0, L4_TYPE_THREAD, THREAD_P, KPAGES, 0, 0);
    create_as(task_s0, L4_TYPE_RESERVATION, RESV_P, KPAGES, 0, 0);
    create_as(task_s0, L4_TYPE_KPAGE, PURSE, KPAGES, L4_FPAGE(PAGE_PURSE, L4_SPACE_MEM, 12, L4_T), 0);
    create_as(task_s0, L4_TYPE_ENDPOINT, ENDPOINT, KPAGES, 0, 0);
    if (unit_failures)
        exit(1);
    task_p = (struct task *)object_at(task_s0, TASK_P);
    task_a = (struct task *)object_at(task_s0, TASK_A);
    task_b = (struct task *)object_at(task_s0, TASK_B);
    peer = (struct thread *)object_at(task_s0, THREAD_P);
    EXPECT_EQ(call(L4_CAP(THREAD_P) | 1u << 4 | L4_SYS_THREAD_CONTROL, L4_TCR_TASK << 2 | 1u, L4_CAP(TASK_P), 0, 0), 1u << 4);
    *(uint32_t *)host_access(task_s0, SCRATCH, L4_W) = 10000;
    s0->frame.ecx = SCRATCH;
    EXPECT_EQ(call(L4_CAP(RESV_P) | L4_SCHED_SPLIT | L4_SYS_SCHEDULE, L4_CAP(L4_S0_RESERVATION), L4_CAP_INVALID,
                   254u << 24 | L4_SCHED_SOFT, 1000) & 15u, 0);
    EXPECT_EQ(call(L4_CAP(RESV_P) | L4_SCHED_ASSOCIATE | L4_SYS_SCHEDULE, L4_CAP_INVALID, L4_CAP(THREAD_P) | 255u, 0, 0) & 15u, 0);
    EXPECT_EQ(call(L4_CAP(THREAD_P) | L4_XR_SET_IP | L4_XR_HALT_GIVEN | L4_SYS_EXREGS, 0x400000, 0, 0, 0) & 15u, 0);
}

/* P's thing: mapped to it, or made by it; with something of its own inside. */
static void make_thing(void)
{
    uint32_t inner = L4_CAP_FPAGE(THING_CAP, L4_W);

    switch (op->type) {
    case L4_TYPE_MEMORY:
        EXPECT(op->flags & IS_MEM ? give(task_s0, PAGE, task_p, thing(0), L4_SPACE_MEM, 12, KPAGES)
                                  : give(task_s0, L4_CAP(ENDPOINT), task_p, thing(0), L4_SPACE_CAP, 12, KPAGES));
        break;
    case L4_TYPE_TASK:
        create_as(task_p, L4_TYPE_TASK, THING_CAP, KPAGES, KPAGES, KPAGES);
        break;
    case L4_TYPE_KPAGE:
        EXPECT(give(task_s0, PAGE_P, task_p, THING_MEM, L4_SPACE_MEM, 12, KPAGES));
        create_as(task_p, L4_TYPE_KPAGE, THING_CAP, KPAGES, L4_FPAGE(THING_MEM, L4_SPACE_MEM, 12, L4_T), 0);
        create_as(task_p, L4_TYPE_ENDPOINT, THING_CAP + 0x40u, inner, 0, 0);
        create_as(task_p, L4_TYPE_RESERVATION, THING_CAP + 0x41u, inner, 0, 0);
        create_as(task_p, L4_TYPE_THREAD, THING_CAP + 0x42u, inner, 0, 0);
        break;
    default:
        create_as(task_p, op->type, THING_CAP, KPAGES, 0, 0);
        break;
    }
}

/* Half of it to A, from each of those one to B, some of them in P itself. */
static void derive(void)
{
    for (unsigned i = 0; i < DERIVED; i++) {
        EXPECT(give(task_p, thing(0), task_a, thing(i), space_of_op(), 12, L4_CAP_FPAGE(PURSE, L4_W)));
        EXPECT(give(task_a, thing(i), task_b, thing(i), space_of_op(), 12, i & 1u ? KPAGES : L4_CAP_FPAGE(PURSE, L4_W)));
        if (i % 4 == 0)
            EXPECT(give(task_b, thing(i), task_p, thing(1 + i), space_of_op(), 12, KPAGES));
    }
    if (op->type == L4_TYPE_TASK)
        for (unsigned i = 0; i < DERIVED; i++)
            EXPECT(give(task_s0, L4_CAP(ENDPOINT), (struct task *)object_at(task_p, THING_CAP), L4_CAP(0x200u + i), L4_SPACE_CAP, 12, KPAGES));
    if (op->type == L4_TYPE_KPAGE)
        for (unsigned i = 0; i < DERIVED; i++)
            EXPECT(give(task_s0, L4_CAP(ENDPOINT), task_b, L4_CAP(0x380u + i), L4_SPACE_CAP, 12, KPAGES));
}

/* ---- adversaries ---- */

/* As whoever still lives. */
static bool lives(uint32_t id) { return cap_lookup(task_s0, id) != NULL; }

static void act_nothing(void) {}
static void act_map(void)
{
    if (!lives(TASK_A) || !lives(TASK_B))
        return;
    (void)give(task_a, thing(0), task_b, thing(SPARE), space_of_op(), 12, KPAGES);
    (void)give(task_a, thing(DERIVED - 1u), task_b, thing(SPARE + 1u), space_of_op(), 12, KPAGES);
    if (lives(TASK_P))
        (void)give(task_p, thing(0), task_a, thing(SPARE), space_of_op(), 12, KPAGES);
}
static void act_ancestor(void)
{
    if (op->type != L4_TYPE_MEMORY) {
        if (lives(TASK_P)) /* its owner has no ancestor but the memory that it lies in */
            (void)take_as(task_p, thing_fpage(0), true);
        return;
    }
    EXPECT_EQ(take_as(task_s0, op->flags & IS_MEM ? L4_FPAGE(PAGE, L4_SPACE_MEM, 12, 15) : L4_CAP_FPAGE(ENDPOINT, 15), false) & 15u, 0);
}
static void act_descendant(void)
{
    if (lives(TASK_A))
        EXPECT_EQ(take_as(task_a, thing_fpage(2), true) & 15u, 0);
    if (lives(TASK_B))
        EXPECT_EQ(take_as(task_b, L4_FPAGE(thing(0), space_of_op(), 15, L4_W), true) & 15u, 0);
}
static void act_same(void)
{
    if (lives(TASK_P))
        EXPECT_EQ(take_as(task_p, thing_fpage(0), op->flags & FLUSH) & 15u, 0);
}
static void destroy(uint32_t id) { EXPECT_EQ(take_as(task_s0, L4_CAP_FPAGE(id, 15), true) & 15u, 0); }
static void act_kill_task(void) { destroy(TASK_P); }
static void act_kill_thread(void) { destroy(THREAD_P); }
static void act_kill_derived(void) { destroy(TASK_A); }
static void act_kill_purse(void) { destroy(PURSE); }
static void act_kill_root(void) { destroy(ENDPOINT); }
static void act_kill_memory(void)
{
    EXPECT_EQ(take_as(task_s0, L4_FPAGE(PAGE_P, L4_SPACE_MEM, 12, 15), false) & 15u, 0);
    EXPECT_EQ(take_as(task_s0, L4_FPAGE(PAGE_PURSE, L4_SPACE_MEM, 12, L4_T), false) & 15u, 0);
}
static uint32_t exregs(uint32_t bits)
{
    return lives(THREAD_P) ? call(L4_CAP(THREAD_P) | bits | L4_SYS_EXREGS, 0x123000, 0x456000, 0, 0) & 15u : 0;
}
static void act_unbind(void)
{
    if (lives(THREAD_P))
        (void)call(L4_CAP(THREAD_P) | 1u << 4 | L4_SYS_THREAD_CONTROL, L4_TCR_TASK << 2 | 1u, L4_CAP_INVALID, 0, 0);
}
static void act_abort(void) { EXPECT_EQ(exregs(1u << L4_XR_ABORT_SHIFT), 0); }
static void act_halt(void) { EXPECT_EQ(exregs(L4_XR_HALT_GIVEN | L4_XR_HALT), 0); }
static void act_registers(void) { EXPECT_EQ(exregs(L4_XR_SET_IP | L4_XR_SET_SP | 1u << L4_XR_ABORT_SHIFT), 0); }
static void act_convert(void)
{
    if (!lives(TAKEN))
        create_as(task_s0, L4_TYPE_KPAGE, TAKEN, KPAGES, L4_FPAGE(PAGE, L4_SPACE_MEM, 12, L4_T), 0);
}

static const struct adversary { const char *name; void (*act)(void); } adversaries[] = {
    { "nothing", act_nothing }, { "map", act_map }, { "unmap an ancestor", act_ancestor },
    { "unmap a descendant", act_descendant }, { "the same", act_same }, { "destroy the task", act_kill_task },
    { "destroy the thread", act_kill_thread }, { "destroy a task below", act_kill_derived },
    { "destroy the nodes' page", act_kill_purse }, { "destroy the object", act_kill_root },
    { "take the memory", act_kill_memory }, { "unbind", act_unbind }, { "abort", act_abort }, { "halt", act_halt },
    { "set registers", act_registers }, { "convert", act_convert },
};

/* ---- one case ---- */

static unsigned point, first_point, second_point;
static const struct adversary *first, *second;

static void wake_adversary(void)
{
    unsigned here = point++;

    if (here == first_point || here == second_point)
        EXPECT(ipc_abort(s0, L4_D_NONE));
}

/* sigma0 sleeps until it is woken at a point, or nobody else can run. */
static struct thread *sleep_on(void)
{
    return host_call(s0, L4_CAP_INVALID, L4_IPC_W1(L4_CAP(EP_SLEEP), 0, 0, L4_TS_NEVER), 0, 0, 0);
}

static void expect_gone(void)
{
    for (unsigned i = 0; i < SPARE + 2u; i++) {
        /* unmap leaves P its rights: what it maps anew meanwhile stays */
        bool anew = i == SPARE && !(op->flags & FLUSH);

        EXPECT(anew || !lives(TASK_A) || !thing_node(task_a, i));
        EXPECT(!lives(TASK_B) || !thing_node(task_b, i));
        EXPECT(i == 0 || !lives(TASK_P) || !thing_node(task_p, i));
    }
    EXPECT(!(op->flags & FLUSH) || !lives(TASK_P) || !thing_node(task_p, 0));
}

/* False: the call was over before the point came. */
static bool run_case(void)
{
    uint32_t bytes, frames, bytes_now, frames_now;
    struct thread *next;
    bool met, second_met;

    kmem_totals(&bytes, &frames);
    make_tasks();
    make_thing();
    derive();
    if (unit_failures)
        exit(1);
    next = sleep_on();
    EXPECT(next == peer);
    point = 0;
    host_window = wake_adversary;
    next = host_call(peer, (op->flags & FLUSH ? 1u << 12 : 1u << 4) | L4_SYS_UNMAP, thing_fpage(0), 0, 0, 0);
    host_window = NULL;
    met = next == s0;
    second_met = false;
    if (met) {
        check_kernel();
        first->act();
        check_kernel();
        host_window = wake_adversary;
        next = sleep_on();
        host_window = NULL;
        if (next == s0) {
            second_met = true;
            second->act();
            check_kernel();
            next = sleep_on();
        }
    }
    if (!next) { /* P waits for ever, or is no more */
        EXPECT(ipc_abort(s0, L4_D_NONE));
        next = host_run();
        EXPECT(next == s0);
        if (lives(THREAD_P) && peer->task) { /* halted: let it go on */
            EXPECT(peer->state == THREAD_HALTED);
            EXPECT_EQ(exregs(L4_XR_HALT_GIVEN), 0);
            next = sleep_on();
        } else {
            if (lives(TASK_P)) /* somebody else does it again */
                act_same();
            expect_gone();
        }
    }
    if (next == peer) {
        EXPECT_EQ(peer->frame.w[0] & 15u, 0);
        EXPECT(!met || first->act != act_registers || peer->frame.eip == 0x123000);
        expect_gone();
        EXPECT(ipc_abort(s0, L4_D_NONE));
        next = host_run();
    }
    EXPECT(next == s0);
    EXPECT(!reap_pending());
    check_kernel();
    EXPECT_EQ(take_as(task_s0, L4_FPAGE(L4_CAP(STAGE), L4_SPACE_CAP, 17, 15), true) & 15u, 0);
    EXPECT_EQ(take_as(task_s0, L4_FPAGE(PAGE, L4_SPACE_MEM, 14, 15), false) & 15u, 0);
    kmem_totals(&bytes_now, &frames_now);
    EXPECT_EQ(bytes_now, bytes);
    EXPECT_EQ(frames_now, frames);
    EXPECT(!revoke_active);
    check_kernel();
    host_advance(20000000); /* what the reservation had left came back to sigma0 without its time */
    EXPECT(host_run() == s0);
    cases++;
    if (unit_failures) {
        printf("%s, at point %u: %s, at point %u: %s\n", op->name, first_point, first->name, second_point,
               second ? second->name : "");
        exit(1);
    }
    return second ? second_met : met;
}

TEST(at_every_point)
{
    unsigned stride = (unsigned)unit_number("stride", 5), pairs = (unsigned)unit_number("pairs", 0);

    host_boot(&(struct host_config){ .megabytes = 5 });
    s0 = host_run();
    task_s0 = s0->task;
    create_as(task_s0, L4_TYPE_ENDPOINT, EP_SLEEP, KPAGES, 0, 0);
    for (op = operations; op < operations + ARRAY_SIZE(operations); op++) {
        unsigned points = 0;

        for (first = adversaries; first < adversaries + ARRAY_SIZE(adversaries); first++) {
            second = NULL;
            second_point = ~0u;
            for (first_point = 0; run_case(); first_point += first == adversaries ? 1 : stride)
                points += first == adversaries;
            for (second = adversaries + 1; pairs && second < adversaries + ARRAY_SIZE(adversaries); second++)
                for (first_point = 0; first_point + 1u < pairs && first_point < points; first_point++)
                    for (second_point = first_point + 1u; second_point < pairs && run_case(); second_point++)
                        ;
        }
        printf("# %s: %u points\n", op->name, points);
        EXPECT(points >= DERIVED / 8u); /* more than two nodes for each: no more than 32 units of work at once [G42] */
        points_seen += points;
    }
    printf("# %lu points, %lu cases\n", points_seen, cases);
}
