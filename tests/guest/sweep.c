// SPDX-License-Identifier: MIT
/*
 * The sweep: a timer interrupt at each instruction boundary of an operation, and a second thread that does
 * something there.
 *
 * Run under -icount shift=10: one instruction takes 1.024 microseconds of virtual time, so a thread that
 * outranks the victim and sleeps n microseconds wakes after n instructions, less a constant.  Inside the
 * kernel the interrupt waits for the next preemption point or the way out.  After each point: the invariants hold, and
 * at the end of each pair the kernel's free memory is what it was.
 *
 * Arguments: sweep op=NAME (default all) act=NAME (default all) stride=N check=N (run the invariants every N points).
 */
#include "tests/guest/guest.h"
#include "tests/guest/sweep.h"

enum { EP_GO = 0x208, EP_SLEEP = 0x209, ADVERSARY = 0x20a /* and its reservation 0x20b */, FIRST = 0x210 };
enum { EP_A = FIRST, EP_B, PARTNER, PARTNER_RES, OBJECT, KP, TASK, FAULT_EP, FAULT_REPLY, SECOND, EXTRA };

static volatile uint32_t phase, wait_us, hits, action_done;
static volatile uint32_t partner_runs;

/* ---- the partner: answers on EP_A, serves faults on FAULT_EP ---- */

static void partner(void)
{
    struct message msg = { 0 };

    (void)ipc(NO_CAP, 0, 0, L4_CAP(EP_A), 0, 63, L4_TS_NEVER, &msg);
    for (;;) {
        partner_runs++;
        if (ipc(L4_CAP(EP_B), 0, 8, L4_CAP(EP_A), 0, 63, L4_TS_ZERO, &msg) & 15u)
            (void)ipc(NO_CAP, 0, 0, L4_CAP(EP_A), 0, 63, L4_TS_NEVER, &msg);
    }
}

/* ---- operations of the victim (the main thread) ---- */

static void op_null(void) { (void)ipc(NO_CAP, 0, 0, NO_CAP, 0, 0, L4_TS_NEVER, NULL); }
static void op_call(void)
{
    struct message msg = { 0 };

    (void)tcr_write(NO_CAP, L4_TCR_TIMEOUT0, L4_TIMEOUT(10, 20) << 16 | L4_TIMEOUT(10, 20));
    (void)ipc(L4_CAP(EP_A), 0, 2, L4_CAP(EP_B), 0, 3, L4_TS_TCR16, &msg);
}
static void op_call_long(void)
{
    struct message msg = { 0 };

    (void)tcr_write(NO_CAP, L4_TCR_TIMEOUT0, L4_TIMEOUT(10, 20) << 16 | L4_TIMEOUT(10, 20));
    (void)ipc(L4_CAP(EP_A), 0, 40, L4_CAP(EP_B), 0, 63, L4_TS_TCR16, &msg);
}
static void op_create(void) { (void)create(L4_TYPE_ENDPOINT, OBJECT, 0, 0); }
static void op_destroy(void) { (void)flush_cap(SECOND); }
static void op_create_task(void) { (void)create(L4_TYPE_TASK, TASK, L4_CAP_FPAGE(EP_A, 15), L4_CAP_FPAGE(5, 15)); }
static void op_destroy_task(void) { (void)flush_cap(TASK); }
static void op_convert(void) { (void)create(L4_TYPE_KPAGE, KP, L4_FPAGE(page(32), L4_SPACE_MEM, 14, L4_T), 0); }
static void op_unconvert(void) { (void)flush_cap(KP); }
static void op_unmap(void) { (void)unmap1(L4_CAP_FPAGE(EP_A, 15)); }
static void op_exregs(void) { (void)exregs(L4_XR_SET_USER, L4_CAP(PARTNER), 0, 0, 0, 5, NULL); }
static void op_tcr(void) { (void)tcr_write(L4_CAP(PARTNER), L4_TCR_SENDER, 6); }
static void op_switch(void) { (void)call5(L4_CAP(PARTNER) | L4_SYS_THREAD_SWITCH, ~0u, 0, 0, 0, NULL); }
static void op_user(void)
{
    for (volatile unsigned i = 0; i < 300; i++)
        ;
}

static void prepare_task(void) { op_create_task(); }
static void prepare_second(void) { (void)create(L4_TYPE_ENDPOINT, SECOND, 0, 0); }
static void prepare_kpage(void)
{
    op_convert();
    for (uint32_t i = 0; i < 4; i++)
        (void)call5(L4_CAP(EXTRA + i) | L4_TYPE_ENDPOINT << 4 | L4_SYS_CREATE, L4_CAP_FPAGE(KP, L4_W), KPAGES, 0, 0, NULL);
}
static void prepare_nothing(void) {}

static const struct { const char *name; void (*prepare)(void), (*run)(void); } operations[] = {
    { "user", prepare_nothing, op_user },
    { "null", prepare_nothing, op_null },
    { "call", prepare_nothing, op_call },
    { "call-long", prepare_nothing, op_call_long },
    { "create", prepare_nothing, op_create },
    { "destroy", prepare_second, op_destroy },
    { "create-task", prepare_nothing, op_create_task },
    { "destroy-task", prepare_task, op_destroy_task },
    { "convert", prepare_nothing, op_convert },
    { "unconvert", prepare_kpage, op_unconvert },
    { "unmap", prepare_task, op_unmap },
    { "exregs", prepare_nothing, op_exregs },
    { "tcr", prepare_nothing, op_tcr },
    { "switch", prepare_nothing, op_switch },
};

/* ---- what the adversary does at the point ---- */

static void act_nothing(void) {}
static void act_read_registers(void)
{
    struct l4_words w;

    (void)exregs(0, OWN_THREAD, 0, 0, 0, 0, &w);
}
static void act_abort(void) { (void)exregs(1u << L4_XR_ABORT_SHIFT, OWN_THREAD, 0, 0, 0, 0, NULL); }
static void act_halt_resume(void)
{
    (void)exregs(L4_XR_HALT_GIVEN | L4_XR_HALT, OWN_THREAD, 0, 0, 0, 0, NULL);
    (void)exregs(L4_XR_HALT_GIVEN, OWN_THREAD, 0, 0, 0, 0, NULL);
}
/* E-20: write back the IP it has, wherever it was interrupted; flags all ones. */
static void act_set_registers(void)
{
    struct l4_words w;

    (void)exregs(0, OWN_THREAD, 0, 0, 0, 0, &w);
    (void)exregs(L4_XR_SET_IP | L4_XR_SET_SP | L4_XR_SET_FLAGS, OWN_THREAD, w.w[1], w.w[2], w.w[3] | 0x00007000u, 0, NULL);
}
static void act_destroy_endpoint(void) { (void)flush_cap(EP_A); }
static void act_destroy_partner(void) { (void)flush_cap(PARTNER); }
static void act_revoke(void) { (void)unmap1(L4_FPAGE(L4_CAP(FIRST), L4_SPACE_CAP, 16, 15)); }
static void act_destroy_object(void) { (void)flush_cap(OBJECT); (void)flush_cap(SECOND); }
static void act_destroy_task(void) { (void)flush_cap(TASK); }
static void act_destroy_kpage(void) { (void)flush_cap(KP); }
static void act_create(void) { (void)create(L4_TYPE_ENDPOINT, EXTRA + 8, 0, 0); }
static void act_unmap_memory(void) { (void)unmap1(L4_ALL_MEM); }
static void act_unbind(void) { (void)tcr_write(L4_CAP(PARTNER), L4_TCR_TASK, L4_CAP_INVALID); }

static const struct { const char *name; void (*run)(void); } actions[] = {
    { "nothing", act_nothing }, { "read-registers", act_read_registers }, { "abort", act_abort },
    { "halt-resume", act_halt_resume }, { "set-registers", act_set_registers },
    { "destroy-endpoint", act_destroy_endpoint }, { "destroy-partner", act_destroy_partner },
    { "revoke", act_revoke }, { "destroy-object", act_destroy_object }, { "destroy-task", act_destroy_task },
    { "destroy-kpage", act_destroy_kpage }, { "create", act_create }, { "unmap-memory", act_unmap_memory },
    { "unbind", act_unbind },
};

static void (*volatile action)(void);

static void adversary(void)
{
    for (;;) {
        (void)ipc(NO_CAP, 0, 0, L4_CAP(EP_GO), 0, 0, L4_TS_NEVER, NULL);
        if (wait_us >= 1024u)
            (void)tcr_write(NO_CAP, L4_TCR_TIMEOUT1, L4_TIMEOUT(5, (wait_us + 31u) / 32u));
        else
            (void)tcr_write(NO_CAP, L4_TCR_TIMEOUT1, L4_TIMEOUT(0, wait_us));
        (void)ipc(NO_CAP, 0, 0, L4_CAP(EP_SLEEP), 0, 0, L4_TS_TCR17, NULL);
        if (phase == 1)
            hits++;
        action();
        action_done = 1;
    }
}

/* ---- one point ---- */

static void point(unsigned op, uint32_t us)
{
    uint32_t waited = 0;

    EXPECT_EQ(create(L4_TYPE_ENDPOINT, EP_A, 0, 0), 0);
    EXPECT_EQ(create(L4_TYPE_ENDPOINT, EP_B, 0, 0), 0);
    stacks_keep(1);
    thread_start_at(PARTNER, partner, 200);
    operations[op].prepare();
    yield_to_others();
    phase = action_done = 0;
    wait_us = us;
    (void)send0(EP_GO, L4_TS_NEVER);
    phase = 1;
    operations[op].run();
    phase = 2;
    while (!action_done && waited++ < 2000000)
        ;
    if (!action_done)
        guest_fail(operations[op].name, (int)us, "the adversary never ran", 0, 1);
    (void)flush1(L4_FPAGE(L4_CAP(FIRST), L4_SPACE_CAP, 16, 15));
    (void)flush1(L4_FPAGE(L4_CAP(FIRST + 16), L4_SPACE_CAP, 16, 15));
}

/* Sleep less and less until the adversary wakes before the operation: the first points inside follow. */
static uint32_t first_inside(unsigned op)
{
    static const uint32_t step = 64;
    void (*saved)(void) = action;
    uint32_t us = 1;

    action = actions[0].run;
    hits = 0;
    while (!hits && us < 8000) {
        us += step;
        point(op, us);
    }
    action = saved;
    hits = 0;
    return us > step + 2 ? us - step - 2 : 1;
}

static void sweep_pair(unsigned op, unsigned act, uint32_t stride, uint32_t check)
{
    uint32_t us, before[4], now[4], points = 0, after_end = 0, had;

    action = actions[act].run;
    kernel_state(before);
    hits = 0;
    /* At either edge a point hits or misses by the rounding of time: a gap of 64 microseconds is the end. */
    for (us = first_inside(op); (after_end < 8 || after_end * stride < 64) && us < 60000; us += stride) {
        had = hits;
        point(op, us);
        points++;
        after_end = hits == had && hits ? after_end + 1 : 0;
        if (points % check == 0) {
            kernel_state(now);
            if (now[0])
                guest_fail(operations[op].name, (int)us, actions[act].name, now[0], 0);
        }
        if (!hits && us > 4000)
            break;
    }
    touch_pages();
    kernel_state(now);
    for (unsigned i = 0; i < 4; i++)
        if (now[i] != (i ? before[i] : 0))
            guest_fail(operations[op].name, (int)i, actions[act].name, now[i], i ? before[i] : 0);
    if (!hits)
        guest_fail(operations[op].name, 0, "points inside the operation", 0, 1);
    l4_printf("sweep %s %s points %u inside %u\n", operations[op].name, actions[act].name, points, hits);
}

static bool named(const char *want, const char *name)
{
    return !want || !want[0] || l4_strcmp(want, name) == 0;
}

/* Below the adversary, so that it preempts us wherever we are. */
static void lower_own_priority(void)
{
    struct l4_words w = { 0 };

    w.w[0] = L4_CAP(L4_S0_RESERVATION) | L4_SCHED_READ | L4_SYS_SCHEDULE;
    w.w[1] = w.w[2] = NO_CAP;
    EXPECT_EQ(guest_call(&w) & 15u, 0);
    w.w[0] = L4_CAP(L4_S0_RESERVATION) | L4_SCHED_SET | L4_SYS_SCHEDULE;
    w.w[1] = w.w[2] = NO_CAP;
    w.w[3] = 250u << 24 | L4_SCHED_SOFT;
    EXPECT_EQ(guest_call(&w) & 15u, 0);
}

unsigned sweep_main(const char *arguments)
{
    static char op_name[24], act_name[24], number[12];
    const char *op = l4_argument(arguments, "op", op_name, sizeof op_name);
    const char *act = l4_argument(arguments, "act", act_name, sizeof act_name);
    uint32_t stride = l4_number(l4_argument(arguments, "stride", number, sizeof number), 1);
    uint32_t check = l4_number(l4_argument(arguments, "check", number, sizeof number), 1);
    unsigned failed = guest_failures, i, j;

    EXPECT_EQ(create(L4_TYPE_ENDPOINT, EP_GO, 0, 0), 0);
    EXPECT_EQ(create(L4_TYPE_ENDPOINT, EP_SLEEP, 0, 0), 0);
    thread_start_with(ADVERSARY, adversary, 255, 500000, 2000000);
    lower_own_priority();
    /* the adversary's budget comes with its first period */
    (void)tcr_write(NO_CAP, L4_TCR_TIMEOUT0, L4_TIMEOUT(12, 600));
    (void)ipc(NO_CAP, 0, 0, L4_CAP(EP_SLEEP), 0, 0, L4_TS_TCR16, NULL);
    for (i = 0; i < sizeof operations / sizeof *operations; i++)
        for (j = 0; j < sizeof actions / sizeof *actions; j++)
            if (named(op, operations[i].name) && named(act, actions[j].name))
                sweep_pair(i, j, stride, check);
    return guest_failures - failed;
}
