// SPDX-License-Identifier: MIT
/*
 * The sweep: a timer interrupt at every instruction boundary of an operation, and a second thread that does
 * something there.  [G42] E-20, Q-05
 *
 * Run under -icount shift=10: each instruction takes 1.024 microseconds of virtual time.  The adversary, which outranks all
 * others, sleeps for a time that is the same for all points of an operation.  Meanwhile the main thread makes
 * exactly `run` instructions that do nothing, and then the operation.  With one instruction less the interrupt comes
 * exactly one instruction later in the operation, whatever the resolution of clock and timer is.
 *
 * While the kernel runs with interrupts off the interrupt waits for the next preemption point or the way out.  Many boundaries
 * lead to the same *place* there, and only one of them needs a visit:
 *
 *   If an interrupt that became pending at boundary b was taken at boundary e, it was pending all the way from b to e and was
 *   not taken.  So one that becomes pending anywhere from b to e is taken at e, too, and the next boundary that can
 *   lead to another place is e + 1.
 *
 * What the adversary sees is not e but when it woke, which is e and the way from there to it.  This way is mostly at most
 * SLACK instructions longer than from user code, so the survey goes on with e + 1 - SLACK, or one boundary on, whichever is
 * later.  Where that is another place already, it goes back and takes the boundaries between one by one.  Boundaries with
 * the same time of waking are one place; should two places ever share their time (one is later, and the way from there
 * that much shorter), the first and the last such boundary belong to different ones, and both are visited.
 *
 * So there is one survey for each operation, which finds the boundaries to visit, and then each action is done at each of them; that
 * it woke at the same time as in the survey proves that it was there.  The invariants hold after each visit; at the end of
 * each pair the kernel's free memory and objects are what they were.
 *
 * Arguments: sweep op=NAME act=NAME (default all) entry=int|sysenter; stride=N: each action at every N-th place, beginning
 * with another one; dense: the survey visits each boundary; places: it tells them; survey: that is all.
 */
#include "tests/guest/sweep.h"
#include "tests/guest/kit.h"

enum { EP_GO = 0x208, EP_SLEEP = 0x209, ADVERSARY = 0x20a /* and its reservation 0x20b */ };

#define PERIOD_US 400000u      /* of all reservations; each point begins with whole budgets */
#define INSTRUCTION 1024u      /* nanoseconds */
#define SLACK 400
#define PLACES_MAX 4096u

static void (*enter)(struct l4_words *words);
static volatile uint32_t phase, slept_us, woke, woke_in, acted;
static void (*volatile action)(void);

/* Virtual nanoseconds: the TSC of QEMU under -icount. */
static uint32_t nanoseconds(void) { return (uint32_t)l4_rdtsc(); }

/* Exactly n instructions, and some that are always the same number. */
void run_up(uint32_t n);
__asm__(".text\n"
        ".globl run_up\n"
        "run_up:\n"
        "\tmovl 4(%esp), %ecx\n"
        "\tshrl $1, %ecx\n"
        "\tjc 1f\n"
        "\tjmp 2f\n"
        "1:\tnop\n"
        "\tnop\n"
        "2:\tincl %ecx\n"
        "3:\tdecl %ecx\n"
        "\tjnz 3b\n"
        "\tret\n");

static void adversary(void)
{
    static struct l4_words go, sleep;

    for (;;) {
        uint32_t start;

        go.w[0] = L4_IPC_W0(NO_CAP, 0, 0);
        go.w[1] = L4_IPC_W1(L4_CAP(EP_GO), 0, 0, L4_TS_NEVER);
        enter(&go);
        (void)tcr_write(NO_CAP, L4_TCR_TIMEOUT1, L4_TIMEOUT(7, slept_us / 128u));
        sleep.w[0] = L4_IPC_W0(NO_CAP, 0, 0);
        sleep.w[1] = L4_IPC_W1(L4_CAP(EP_SLEEP), 0, 0, L4_TS_TCR17);
        start = nanoseconds();
        enter(&sleep);
        woke = nanoseconds() - start;
        woke_in = phase;
        action();
        acted = 1;
    }
}

static void sleep_for(uint32_t us)
{
    (void)tcr_write(NO_CAP, L4_TCR_TIMEOUT1, L4_TIMEOUT(10, us / 1024u));
    (void)ipc(NO_CAP, 0, 0, L4_CAP(EP_SLEEP), 0, 0, L4_TS_TCR17, NULL);
}

/* One point: the operation after a run-up of `run` instructions.  Result: how long it took. */
static uint32_t point(const struct sweep_operation *op, uint32_t run)
{
    uint32_t start;

    sleep_for(PERIOD_US + 10000u);
    sweep_prepare(op);
    yield_to_others();
    phase = acted = 0;
    (void)send0(EP_GO, L4_TS_NEVER);
    run_up(run);
    phase = 1;
    start = nanoseconds();
    op->run();
    phase = 2;
    return nanoseconds() - start;
}

static void finish(const struct sweep_operation *op, const char *what)
{
    for (uint32_t waited = 0; !acted && waited < 2000000; waited++)
        ;
    if (!acted)
        guest_fail(op->name, 0, what, 0, 1);
}

/* A point without a hostile action. */
static void probe(const struct sweep_operation *op, uint32_t run)
{
    action = sweep_no_action;
    (void)point(op, run);
    finish(op, "the adversary woke");
    sweep_clean_up(op);
}

static struct place { uint32_t run, woke; } places[PLACES_MAX];
static unsigned place_count;

static void add_place(uint32_t run, uint32_t at)
{
    if (place_count == PLACES_MAX)
        guest_fail("places", 0, "room for more", place_count, 0);
    else
        places[place_count++] = (struct place){ run, at };
}

/* The longest run-up with which the adversary wakes inside the operation; sets how long it sleeps. */
static uint32_t longest_run(const struct sweep_operation *op)
{
    uint32_t low = 0, high;

    slept_us = 0;
    action = sweep_no_action;
    slept_us = point(op, 0) / 1000u + 1024u;
    finish(op, "the adversary woke");
    sweep_clean_up(op);
    high = slept_us;
    while (high - low > 1) {
        uint32_t run = low + (high - low) / 2;

        probe(op, run);
        if (woke_in)
            low = run;
        else
            high = run;
    }
    return low;
}

static unsigned survey(const struct sweep_operation *op, bool dense, bool tell)
{
    uint32_t first = longest_run(op), user, same = 0, last_run = 0, last_woke = 0;
    unsigned points = 0;
    bool jumped = false;
    int32_t run, one_by_one = INT32_MAX; /* down to there */

    probe(op, first + 1);
    user = woke;
    place_count = 0;
    for (run = (int32_t)first; run >= 0; points++) {
        int32_t later;
        uint32_t at;

        probe(op, (uint32_t)run);
        if (L4_ERR_BASE(*op->result) != op->error) {
            guest_fail(op->name, run, "result of the operation", *op->result, op->error);
            break;
        }
        at = woke - (uint32_t)run * INSTRUCTION; /* in the operation's time */
        later = (int32_t)(woke - user) / (int32_t)INSTRUCTION;
        if (jumped && at != same) { /* too far */
            one_by_one = run;
            run = (int32_t)last_run - 1;
            jumped = false;
            continue;
        }
        if (points == 0 || at != same) {
            if (points && last_run != places[place_count - 1].run)
                add_place(last_run, last_woke);
            add_place((uint32_t)run, woke);
            if (tell)
                l4_printf("place %d after %u\n", run, at / INSTRUCTION);
        }
        if (woke_in == 2)
            break;
        same = at;
        last_run = (uint32_t)run;
        last_woke = woke;
        jumped = !dense && later > SLACK + 1 && run <= one_by_one;
        run -= jumped ? later - SLACK : 1;
    }
    if (run < 0)
        guest_fail(op->name, run, "the end of the operation", 0, 1);
    return points;
}

/* Again if the action before has left things in another order, so that the operation went another way. */
static bool visit(const struct sweep_operation *op, const struct sweep_action *act, const struct place *at)
{
    for (unsigned tries = 0; tries < 6; tries++) {
        uint32_t state[4];

        action = act->run;
        (void)point(op, at->run);
        finish(op, act->name);
        kernel_state(state);
        sweep_clean_up(op);
        if (state[0])
            guest_fail(op->name, (int)at->run, act->name, state[0], 0);
        if (woke == at->woke)
            return true;
    }
    return false;
}

static void sweep_pair(const struct sweep_operation *op, const struct sweep_action *act, uint32_t stride)
{
    uint32_t before[4], now[4], missed = 0, visited = 0;

    kernel_state(before);
    for (unsigned i = (unsigned)(act - sweep_actions) % stride; i < place_count; i += stride, visited++)
        missed += !visit(op, act, &places[i]);
    touch_pages();
    kernel_state(now);
    for (unsigned i = 1; i < 4; i++)
        if (now[i] != before[i])
            guest_fail(op->name, (int)i, act->name, now[i], before[i]);
    l4_printf("sweep %s %s visited %u missed %u\n", op->name, act->name, visited, missed);
}

static bool named(const char *want, const char *name)
{
    return !want || !want[0] || l4_strcmp(want, name) == 0;
}

/* Below the adversary, so that it preempts us wherever we are. */
static void lower_own_priority(void)
{
    struct l4_words w = { 0 };

    EXPECT_EQ(schedule(L4_SCHED_SET, L4_S0_RESERVATION, NO_CAP, NO_CAP, SWEEP_MAIN_PRIO << 24 | L4_SCHED_SOFT,
                       PERIOD_US / 2u - 10000u, PERIOD_US, &w) & 15u, 0);
}

unsigned sweep_main(const char *arguments)
{
    static char op_name[24], act_name[24], word[12];
    const char *want_op = l4_argument(arguments, "op", op_name, sizeof op_name);
    const char *want_act = l4_argument(arguments, "act", act_name, sizeof act_name);
    bool dense = l4_argument(arguments, "dense", word, sizeof word) != NULL;
    bool tell = l4_argument(arguments, "places", word, sizeof word) != NULL;
    bool only_survey = l4_argument(arguments, "survey", word, sizeof word) != NULL;
    uint32_t stride = l4_number(l4_argument(arguments, "stride", word, sizeof word), 1);
    unsigned failed = guest_failures;

    enter = guest_uses_sysenter() ? l4_call_sysenter : l4_call_int;
    EXPECT_EQ(create(L4_TYPE_ENDPOINT, EP_GO, 0, 0), 0);
    EXPECT_EQ(create(L4_TYPE_ENDPOINT, EP_SLEEP, 0, 0), 0);
    thread_start_with(ADVERSARY, adversary, 255, PERIOD_US / 2u, PERIOD_US);
    lower_own_priority();
    sweep_begin(enter);
    for (const struct sweep_operation *op = sweep_operations; op->name; op++) {
        unsigned points;

        if (!named(want_op, op->name))
            continue;
        points = survey(op, dense, tell);
        l4_printf("survey %s points %u places %u\n", op->name, points, place_count);
        for (const struct sweep_action *act = sweep_actions; act->name && !only_survey; act++)
            if (named(want_act, act->name))
                sweep_pair(op, act, stride ? stride : 1);
    }
    return guest_failures - failed;
}
