// SPDX-License-Identifier: MIT
/* Reservations and thread-switch; the remaining attacks on IPC.  [M 2.4] [G16] [G28] - [G30] */
#include "tests/guest/kit.h"

static volatile uint32_t counter, other, result, ep_time;

static void spins(void)
{
    for (;;)
        counter++;
}

static void spins_too(void)
{
    for (;;)
        other++;
}

/* A halted thread of ours without any reservation, and a reservation split off the root; hard unless flags say soft. */
static uint32_t bare_thread(uint32_t id)
{
    EXPECT_EQ(create(L4_TYPE_THREAD, id, 0, 0), 0);
    EXPECT_EQ(tcr_write(L4_CAP(id), L4_TCR_TASK, OWN_TASK), 0);
    EXPECT_EQ(tcr_write(L4_CAP(id), L4_TCR_RCVRES, KPAGES), 0);
    return id;
}

static void reservation(uint32_t id, uint32_t prio, uint32_t flags, uint32_t budget, uint32_t period)
{
    struct l4_words w;

    EXPECT_EQ(create(L4_TYPE_RESERVATION, id, 0, 0), 0);
    EXPECT_EQ(schedule(L4_SCHED_SPLIT, id, L4_CAP(L4_S0_RESERVATION), NO_CAP, prio << 24 | flags, budget, period, &w), 0);
}

/* A split gives at first only what the source has left: wait for the first whole budget. */
static void wait_for_refill(uint32_t period)
{
    sleep_us(period + 1000);
}

static void associate(uint32_t id, uint32_t thread, uint32_t position)
{
    struct l4_words w;

    EXPECT_EQ(schedule(L4_SCHED_ASSOCIATE, id, NO_CAP, L4_CAP(thread) | position, 0, 0, 0, &w), 0);
}

static uint32_t consumed(uint32_t id, uint32_t *index)
{
    struct l4_words w;

    EXPECT_EQ(schedule(L4_SCHED_READ, id, NO_CAP, NO_CAP, 0, 0, 0, &w), 0);
    if (index)
        *index = w.w[3] & 255u;
    return w.w[2];
}

enum { TH = 0x3a0, RA = 0x3a1, RB = 0x3a2, TH2 = 0x3a3, RC = 0x3a4 };

CASE(time_budget_enforced, "M 2.4.1 G28", "a hard reservation of 2 ms in 20 gives no more than that, however long the thread spins")
{
    uint32_t used;

    bare_thread(TH);
    reservation(RA, 100, 0, 2000, 20000);
    associate(RA, TH, 255);
    counter = 0;
    thread_run(TH, spins, page(1) + 4000);
    sleep_us(100000);
    used = consumed(RA, NULL);
    EXPECT(used >= 8000 && used <= 13000);
    EXPECT(counter > 0);
}

CASE(time_next_reservation, "M 2.4.1 G28", "when the first reservation is spent the thread falls to the next, and returns at the next period")
{
    uint32_t a, b, index;

    bare_thread(TH);
    reservation(RA, 100, 0, 2000, 20000);
    reservation(RB, 50, 0, 3000, 20000);
    associate(RA, TH, 255);
    associate(RB, TH, 255);
    (void)consumed(RB, &index);
    EXPECT_EQ(index, 1);
    thread_run(TH, spins, page(1) + 4000);
    sleep_us(100000);
    a = consumed(RA, NULL);
    b = consumed(RB, NULL);
    EXPECT(a >= 8000 && a <= 13000);
    EXPECT(b >= 11000 && b <= 19000);
}

CASE(time_soft_runs_in_background, "G28", "a soft reservation goes on at background level when nothing else is ready")
{
    uint32_t used;

    bare_thread(TH);
    reservation(RA, 100, L4_SCHED_SOFT, 1000, 100000);
    associate(RA, TH, 255);
    thread_run(TH, spins, page(1) + 4000);
    sleep_us(50000);
    used = consumed(RA, NULL);
    EXPECT(used > 30000);
}

CASE(time_background_is_lowest, "G28", "background is below every priority: a thread with budget at priority 0 comes first")
{
    uint32_t before;

    bare_thread(TH);
    reservation(RA, 255, L4_SCHED_SOFT, 1000, 200000);
    associate(RA, TH, 255);
    bare_thread(TH2);
    reservation(RC, 0, 0, 8000, 10000);
    associate(RC, TH2, 255);
    thread_run(TH, spins, page(1) + 4000);
    thread_run(TH2, spins_too, page(2) + 4000);
    sleep_us(21000); /* a split gives at first what the source has left */
    before = consumed(RC, NULL);
    sleep_us(50000);
    EXPECT(consumed(RC, NULL) - before > 36000);
}

CASE(time_priority, "G28", "a higher priority runs first")
{
    bare_thread(TH);
    reservation(RA, 100, 0, 50000, 100000);
    associate(RA, TH, 255);
    bare_thread(TH2);
    reservation(RC, 99, 0, 20000, 100000);
    associate(RC, TH2, 255);
    wait_for_refill(100000);
    counter = other = 0;
    thread_run(TH, spins, page(1) + 4000);
    thread_run(TH2, spins_too, page(2) + 4000);
    sleep_us(20000);
    EXPECT(counter > 0);
    EXPECT_EQ(other, 0);
}

CASE(time_round_robin, "G28", "two threads of one priority share the time")
{
    bare_thread(TH);
    reservation(RA, 100, 0, 1000, 4000);
    associate(RA, TH, 255);
    bare_thread(TH2);
    reservation(RC, 100, 0, 1000, 4000);
    associate(RC, TH2, 255);
    thread_run(TH, spins, page(1) + 4000);
    thread_run(TH2, spins_too, page(2) + 4000);
    sleep_us(40000);
    EXPECT(consumed(RA, NULL) > 8000 && consumed(RC, NULL) > 8000);
}

CASE(time_association_broken, "M 2.4.1 S-02", "associating a second thread breaks the first association: no budget is spent twice")
{
    struct l4_words w;
    uint32_t at;

    bare_thread(TH);
    bare_thread(TH2);
    reservation(RA, 100, 0, 5000, 10000);
    associate(RA, TH, 255);
    counter = other = 0;
    thread_run(TH, spins, page(1) + 4000);
    thread_run(TH2, spins_too, page(2) + 4000);
    sleep_us(20000);
    EXPECT(counter > 0);
    EXPECT_EQ(other, 0);
    associate(RA, TH2, 255);
    at = counter;
    sleep_us(20000);
    EXPECT_EQ(counter, at);
    EXPECT(other > 0);
    EXPECT_EQ(schedule(L4_SCHED_DISSOCIATE, RA, NO_CAP, NO_CAP, 0, 0, 0, &w), 0);
    at = other;
    sleep_us(20000);
    EXPECT_EQ(other, at);
}

CASE(time_association_loop, "S-02", "one reservation given to two threads in turn 200 times: its budget is not doubled")
{
    uint32_t used;

    bare_thread(TH);
    bare_thread(TH2);
    reservation(RA, 100, 0, 2000, 20000);
    associate(RA, TH, 255);
    thread_run(TH, spins, page(1) + 4000);
    thread_run(TH2, spins_too, page(2) + 4000);
    for (unsigned i = 0; i < 200; i++) {
        associate(RA, i & 1 ? TH : TH2, 255);
        sleep_us(500);
    }
    used = consumed(RA, NULL);
    EXPECT(used <= 15000);
}

CASE(time_split_and_merge_loop, "S-02 SCH-2", "splitting and merging a spent reservation 100 times gives no time back")
{
    struct l4_words w;
    uint32_t used;

    bare_thread(TH);
    reservation(RA, 100, 0, 3000, 40000);
    EXPECT_EQ(create(L4_TYPE_RESERVATION, RB, 0, 0), 0);
    associate(RA, TH, 255);
    wait_for_refill(40000);
    thread_run(TH, spins, page(1) + 4000);
    for (unsigned i = 0; i < 100; i++) {
        EXPECT_EQ(schedule(L4_SCHED_SPLIT, RB, L4_CAP(RA), NO_CAP, 10u << 24, 1500, 40000, &w), 0);
        EXPECT_EQ(schedule(L4_SCHED_MERGE, RB, L4_CAP(RA), NO_CAP, 0, 0, 0, &w), 0);
        sleep_us(300);
    }
    used = consumed(RA, NULL);
    EXPECT(used > 500 && used <= 7000); /* 30 ms: one window and perhaps the next */
}

static uint32_t wrap_us; /* from one wrap of the clock's low word to the next */

/* Microseconds until the clock's low word wraps, and its high word. */
static uint32_t until_wrap(uint32_t *high)
{
    struct l4_words w;
    uint32_t per_us;

    call5(L4_DEBUG_CLOCK << 4 | L4_SYS_DEBUG, 0, 0, 0, 0, &w);
    *high = w.w[2];
    per_us = w.w[3] < 1000u ? 1u : w.w[3] / 1000u;
    wrap_us = 0xffffffffu / per_us;
    return (0u - w.w[1]) / per_us;
}

CASE(time_low_word_wraps, "S-05 SCH-4", "timeouts and budgets go on as before when the low word of the clock wraps")
{
    uint32_t high, now, us, before, took;

    (void)until_wrap(&high);
    if (wrap_us > 60u * 1000000u) { /* a clock of the PIT's rate wraps after an hour */
        EXPECT_EQ(high, 0);
        return;
    }
    bare_thread(TH);
    reservation(RA, 100, 0, 1000, 4000);
    associate(RA, TH, 255);
    while ((us = until_wrap(&high)) > 5000)
        sleep_us(min32(us - 4000, 500000));
    thread_run(TH, spins, page(1) + 4000);
    before = consumed(RA, NULL);
    for (unsigned i = 0; i < 20; i++) {
        us = until_wrap(&now);
        sleep_us(500);
        took = us - until_wrap(&now);
        EXPECT((took >= 500 && took < 1000) || (took + wrap_us >= 499 && took + wrap_us < 1000));
    }
    EXPECT_EQ(now, high + 1);
    took = consumed(RA, NULL) - before;
    EXPECT(took >= 1000 && took <= 6000); /* about 12 ms: three windows, and one cut on either side */
}

CASE(time_position, "S7 G29", "the position byte puts a reservation where it says, 255 at the end")
{
    uint32_t index;

    bare_thread(TH);
    reservation(RA, 10, 0, 1000, 100000);
    reservation(RB, 20, 0, 1000, 100000);
    reservation(RC, 30, 0, 1000, 100000);
    associate(RA, TH, 255);
    associate(RB, TH, 0);
    associate(RC, TH, 1);
    (void)consumed(RA, &index);
    EXPECT_EQ(index, 2);
    (void)consumed(RB, &index);
    EXPECT_EQ(index, 0);
    (void)consumed(RC, &index);
    EXPECT_EQ(index, 1);
    associate(RB, TH, 200);
    (void)consumed(RB, &index);
    EXPECT_EQ(index, 2);
}

CASE(time_too_many_reservations, "G29", "a thread's list holds 64 reservations: one more is STATE, BAD_COUNT")
{
    struct l4_words w;
    uint32_t error = 0, n;

    bare_thread(TH);
    for (n = 0; n < 70 && !error; n++) {
        EXPECT_EQ(create(L4_TYPE_RESERVATION, 0x340 + n, 0, 0), 0);
        error = schedule(L4_SCHED_ASSOCIATE, 0x340 + n, NO_CAP, L4_CAP(TH) | 255u, 0, 0, 0, &w);
    }
    EXPECT_ERROR(error, L4_STATE, L4_D_BAD_COUNT);
    EXPECT_EQ(n, 65);
}

CASE(time_destroyed_while_running, "S-03", "destroying the reservation of a running thread stops it; its share returns")
{
    struct l4_words w;
    uint32_t at;

    bare_thread(TH);
    reservation(RA, 100, 0, 10000, 20000);
    associate(RA, TH, 255);
    thread_run(TH, spins, page(1) + 4000);
    sleep_us(5000);
    EXPECT_EQ(flush_cap(RA) & 15u, 0);
    at = counter;
    sleep_us(30000);
    EXPECT_EQ(counter, at);
    EXPECT_EQ(schedule(L4_SCHED_READ, L4_S0_RESERVATION, NO_CAP, NO_CAP, 0, 0, 0, &w), 0);
    EXPECT_EQ(w.w[4], 10000);
}

CASE(time_operations_exclusive, "G29", "no operation, unknown ones, and two of a kind are RESERVED_OP")
{
    static const uint32_t bad[] = { 0, 0x400, 0x800, L4_SCHED_SET | L4_SCHED_SPLIT, L4_SCHED_SPLIT | L4_SCHED_MERGE,
                                    L4_SCHED_ASSOCIATE | L4_SCHED_DISSOCIATE, L4_SCHED_SET | L4_SCHED_MERGE };
    struct l4_words w;

    for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++)
        EXPECT_ERROR(schedule(bad[i], L4_S0_RESERVATION, NO_CAP, NO_CAP, 0, 0, 0, &w), L4_PARAM, L4_D_RESERVED_OP);
}

CASE(time_split_values, "S-01 G29", "budgets and periods of 0, 1, the limits and all ones: an error, or the sum never grows")
{
    static const uint32_t values[] = { 0, 1, 999, 1000, 1001, 9999, 10000, 10001, 500000, 1000000, 1000001, 0x7fffffff, 0x80000000u, ~0u };
    struct l4_words w, root, mine;

    for (unsigned i = 0; i < 14; i++)
        for (unsigned k = 0; k < 14; k++) {
            uint32_t w0;

            EXPECT_EQ(create(L4_TYPE_RESERVATION, RA, 0, 0), 0);
            w0 = schedule(L4_SCHED_SPLIT, RA, L4_CAP(L4_S0_RESERVATION), NO_CAP, 10u << 24, values[i], values[k], &w);
            EXPECT((w0 & 15u) == 0 || (w0 & 15u) == L4_PARAM || (w0 & 15u) == L4_DENIED);
            EXPECT_EQ(schedule(L4_SCHED_READ, L4_S0_RESERVATION, NO_CAP, NO_CAP, 0, 0, 0, &root), 0);
            EXPECT_EQ(schedule(L4_SCHED_READ, RA, NO_CAP, NO_CAP, 0, 0, 0, &mine), 0);
            EXPECT_EQ(root.w[5], 10000);
            if (mine.w[5]) /* b1/T1 + b2/T2 <= 1 */
                EXPECT((uint64_t)mine.w[4] * root.w[5] + (uint64_t)root.w[4] * mine.w[5] <=
                       (uint64_t)root.w[5] * mine.w[5]);
            else
                EXPECT_EQ(root.w[4], 10000);
            EXPECT_EQ(flush_cap(RA) & 15u, 0);
        }
}

CASE(time_split_from_itself, "S-02 S-01", "source and destination the same: refused, nothing changes")
{
    struct l4_words w;

    reservation(RA, 100, 0, 2000, 10000);
    EXPECT(schedule(L4_SCHED_SPLIT, RA, L4_CAP(RA), NO_CAP, 10u << 24, 1000, 10000, &w) & 15u);
    EXPECT(schedule(L4_SCHED_MERGE, RA, L4_CAP(RA), NO_CAP, 0, 0, 0, &w) & 15u);
    EXPECT_EQ(schedule(L4_SCHED_READ, RA, NO_CAP, NO_CAP, 0, 0, 0, &w), 0);
    EXPECT_EQ(w.w[4], 2000);
}

CASE(time_soft_from_hard, "G29", "a soft reservation cannot be split from a hard one: DENIED, BAD_VALUE")
{
    struct l4_words w;

    reservation(RA, 100, 0, 4000, 10000);
    EXPECT_EQ(create(L4_TYPE_RESERVATION, RB, 0, 0), 0);
    EXPECT_ERROR(schedule(L4_SCHED_SPLIT, RB, L4_CAP(RA), NO_CAP, 10u << 24 | L4_SCHED_SOFT, 1000, 10000, &w), L4_DENIED, L4_D_BAD_VALUE);
}

CASE(time_set_reduces_only, "G29", "set lowers share and priority, never raises them; what is given up returns to the split parent")
{
    struct l4_words w;

    reservation(RA, 100, 0, 4000, 10000);
    EXPECT_ERROR(schedule(L4_SCHED_SET, RA, NO_CAP, NO_CAP, 100u << 24, 5000, 10000, &w), L4_DENIED, L4_D_SHARE);
    EXPECT_ERROR(schedule(L4_SCHED_SET, RA, NO_CAP, NO_CAP, 101u << 24, 4000, 10000, &w), L4_DENIED, L4_D_PRIO);
    EXPECT_EQ(schedule(L4_SCHED_SET, RA, NO_CAP, NO_CAP, 99u << 24, 1000, 10000, &w), 0);
    EXPECT_ERROR(schedule(L4_SCHED_SET, RA, NO_CAP, NO_CAP, 100u << 24, 1000, 10000, &w), L4_DENIED, L4_D_PRIO);
    EXPECT_EQ(schedule(L4_SCHED_READ, L4_S0_RESERVATION, NO_CAP, NO_CAP, 0, 0, 0, &w), 0);
    EXPECT(w.w[4] >= 8998 && w.w[4] <= 9000);
}

CASE(time_not_empty, "G29", "splitting into a reservation that has a share, or merging into another than its parent: STATE, SHARE")
{
    struct l4_words w;

    reservation(RA, 100, 0, 2000, 10000);
    reservation(RB, 100, 0, 1000, 10000);
    EXPECT_ERROR(schedule(L4_SCHED_SPLIT, RA, L4_CAP(L4_S0_RESERVATION), NO_CAP, 0, 1000, 10000, &w), L4_STATE, L4_D_SHARE);
    EXPECT_ERROR(schedule(L4_SCHED_MERGE, RA, L4_CAP(RB), NO_CAP, 0, 0, 0, &w), L4_STATE, L4_D_SHARE);
}

CASE(time_of_hardware_threads, "IRQ-2 G29", "interrupt threads get no reservation: DENIED, HWTHREAD")
{
    struct l4_words w;

    reservation(RA, 100, 0, 2000, 10000);
    EXPECT_ERROR(schedule(L4_SCHED_ASSOCIATE, RA, NO_CAP, L4_CAP(L4_S0_IRQ + 7) | 255u, 0, 0, 0, &w), L4_DENIED, L4_D_HWTHREAD);
}

/* ---- thread-switch ---- */

static volatile uint32_t switch_left, switch_runs;

static void switches_next(void)
{
    struct l4_words w;

    switch_runs++;
    result = call5(NO_CAP | L4_SWITCH_NEXT | L4_SYS_THREAD_SWITCH, 0, 0, 0, 0, &w);
    switch_left = w.w[1];
    switch_runs++;
    spins();
}

CASE(switch_next, "G30 M 2.4.1", "N leaves the current reservation for the next one and tells what is left of it")
{
    uint32_t a;

    bare_thread(TH);
    reservation(RA, 100, 0, 5000, 100000);
    reservation(RB, 50, 0, 5000, 100000);
    associate(RA, TH, 255);
    associate(RB, TH, 255);
    wait_for_refill(100000);
    switch_runs = 0;
    thread_run(TH, switches_next, page(1) + 4000);
    sleep_us(3000);
    EXPECT_EQ(result, 0);
    EXPECT_EQ(switch_runs, 2);
    EXPECT(switch_left > 4000 && switch_left <= 5000);
    a = consumed(RA, NULL);
    EXPECT(a < 1000);
    EXPECT(consumed(RB, NULL) > 1000);
}

static void switches_period(void)
{
    struct l4_words w;

    switch_runs = 1;
    result = call5(NO_CAP | L4_SWITCH_PERIOD | L4_SYS_THREAD_SWITCH, ~0u, 0, 0, 0, &w);
    switch_left = w.w[1];
    switch_runs = 2;
    for (;;)
        (void)call5(NO_CAP | L4_SWITCH_PERIOD | L4_SYS_THREAD_SWITCH, ~0u, 0, 0, 0, &w);
}

CASE(switch_until_period, "G30", "Y gives up the time until the next period")
{
    bare_thread(TH);
    reservation(RA, 100, 0, 5000, 50000);
    associate(RA, TH, 255);
    wait_for_refill(50000);
    switch_runs = 0;
    thread_run(TH, switches_period, page(1) + 4000);
    sleep_us(20000);
    EXPECT_EQ(switch_runs, 1);
    sleep_us(50000);
    EXPECT_EQ(switch_runs, 2);
    EXPECT(switch_left > 4000 && switch_left <= 5000);
}

CASE(switch_to_a_thread, "M 2.4.1 G30", "the destination runs on the caller's time, though it has none of its own")
{
    uint32_t used;

    bare_thread(TH);
    counter = 0;
    thread_run(TH, spins, page(1) + 4000);
    sleep_us(3000);
    EXPECT_EQ(counter, 0);
    used = consumed(L4_S0_RESERVATION, NULL);
    EXPECT_EQ(call5(L4_CAP(TH) | L4_SYS_THREAD_SWITCH, ~0u, 0, 0, 0, NULL) & 15u, 0);
    EXPECT(counter > 0);
    EXPECT(consumed(L4_S0_RESERVATION, NULL) != used);
}

CASE(switch_to_nobody, "S-04", "switching to a blocked, halted or destroyed thread: the call returns, nothing runs that should not")
{
    uint32_t id;

    bare_thread(TH);
    counter = 0;
    EXPECT_EQ(call5(L4_CAP(TH) | L4_SYS_THREAD_SWITCH, ~0u, 0, 0, 0, NULL) & 15u, 0); /* halted */
    id = thread_start(thread_stop, 255);
    settle();
    EXPECT_EQ(call5(L4_CAP(id) | L4_SYS_THREAD_SWITCH, ~0u, 0, 0, 0, NULL) & 15u, 0);
    EXPECT_EQ(flush_cap(TH) & 15u, 0);
    EXPECT_ERROR(call5(L4_CAP(TH) | L4_SYS_THREAD_SWITCH, ~0u, 0, 0, 0, NULL), L4_CAP, L4_D_EMPTY);
    EXPECT_EQ(call5(OWN_THREAD | L4_SYS_THREAD_SWITCH, ~0u, 0, 0, 0, NULL) & 15u, 0);
    EXPECT_EQ(call5(L4_CAP(L4_S0_IRQ + 7) | L4_SYS_THREAD_SWITCH, ~0u, 0, 0, 0, NULL) & 15u, 0);
    EXPECT_EQ(counter, 0);
}

static void switches_to(uint32_t to)
{
    for (;;) {
        counter++;
        (void)call5(L4_CAP(to) | L4_SYS_THREAD_SWITCH, ~0u, 0, 0, 0, NULL);
    }
}

static void switches_to_2(void) { switches_to(TH2); }
static void switches_to_1(void) { switches_to(TH); }

CASE(switch_ping_pong, "S-04", "two threads that switch to each other do not get past their budgets together")
{
    uint32_t used;

    bare_thread(TH);
    bare_thread(TH2);
    reservation(RA, 100, 0, 2000, 20000);
    reservation(RC, 100, 0, 2000, 20000);
    associate(RA, TH, 255);
    associate(RC, TH2, 255);
    thread_run(TH, switches_to_2, page(1) + 4000);
    thread_run(TH2, switches_to_1, page(2) + 4000);
    sleep_us(100000);
    used = consumed(RA, NULL) + consumed(RC, NULL);
    EXPECT(used >= 16000 && used <= 26000);
}

CASE(switch_destination_with_flags, "G30", "a destination together with N or Y is RESERVED_OP")
{
    EXPECT_ERROR(call5(OWN_THREAD | L4_SWITCH_NEXT | L4_SYS_THREAD_SWITCH, ~0u, 0, 0, 0, NULL), L4_PARAM, L4_D_RESERVED_OP);
    EXPECT_ERROR(call5(OWN_THREAD | L4_SWITCH_PERIOD | L4_SYS_THREAD_SWITCH, ~0u, 0, 0, 0, NULL), L4_PARAM, L4_D_RESERVED_OP);
}

CASE(switch_returns_time_left, "G30", "the time left that is returned is at most the budget")
{
    struct l4_words w;

    EXPECT_EQ(call5(NO_CAP | L4_SYS_THREAD_SWITCH, ~0u, 0, 0, 0, &w), 0);
    EXPECT(w.w[1] > 0 && w.w[1] <= 10000);
}

CASE(processor_operations, "G31", "start, frequency and idle are NOSYS, stop of the last processor STATE; unknown ones RESERVED_OP")
{
    for (uint32_t op = 1; op < 16; op++) {
        uint32_t w0 = call5(L4_CAP(L4_S0_CPU) | op << 4 | L4_SYS_PROCESSOR_CONTROL, 0, 0, 0, 0, NULL);

        if (op == L4_CPU_STOP)
            EXPECT_ERROR(w0, L4_STATE, L4_D_UNSUPPORTED_HW);
        else if (op <= L4_CPU_IDLE)
            EXPECT_ERROR(w0, L4_NOSYS, L4_D_UNSUPPORTED_HW);
        else
            EXPECT_ERROR(w0, L4_PARAM, L4_D_RESERVED_OP);
    }
}

/* ---- IPC, once more ---- */

CASE(ipc_items_beyond_words, "I-01", "three items and no word, and items behind 63 words: SC counts only words, none is read twice")
{
    struct message msg = { 0 };

    peer_start();
    for (unsigned i = 0; i < 63; i++)
        msg.m[i] = i;
    for (unsigned k = 0; k < 3; k++)
        map_item(&msg, 63 + 2 * k, L4_CAP_FPAGE(peer.ep, L4_W), L4_CAP(0x3c0 + k));
    EXPECT_EQ(give(&msg, 3, 63), 0);
    EXPECT_EQ(peer.w0, 3u << 10 | 63u << 4);
    for (unsigned k = 0; k < 3; k++)
        EXPECT_EQ(peer.msg.m[63 + 2 * k], L4_CAP_FPAGE(0x3c0 + k, L4_W));
    for (unsigned k = 0; k < 3; k++)
        map_item(&msg, 2 * k, L4_CAP_FPAGE(peer.ep, L4_W), L4_CAP(0x3c4 + k));
    EXPECT_EQ(give(&msg, 3, 0), 0);
    EXPECT_EQ(peer.w0, 3u << 10);
}

CASE(ipc_counts, "I-02", "more sent than taken, more taken than sent, items only, words only: the minimum, the rest refused")
{
    static const uint8_t list[][4] = { { 63, 0, 0, 0 }, { 0, 0, 63, 3 }, { 0, 3, 63, 1 }, { 5, 2, 3, 3 }, { 63, 3, 63, 3 }, { 1, 1, 0, 0 } };
    struct message msg = { 0 };

    peer_start();
    for (unsigned i = 0; i < sizeof list / sizeof *list; i++) {
        unsigned sc = list[i][0], st = list[i][1], rc = list[i][2], rt = list[i][3];
        uint32_t w0;

        peer.rc = rc;
        peer.rt = rt;
        EXPECT_EQ(give(&msg, 0, 0), 0); /* the next receive has these limits */
        for (unsigned k = 0; k < st; k++)
            map_item(&msg, sc + 2 * k, L4_CAP_FPAGE(peer.ep, L4_W), L4_CAP(0x3c0 + k));
        w0 = give(&msg, st, sc);
        EXPECT_EQ(w0 & 15u, st > rt ? L4_MAP : 0);
        EXPECT_EQ(peer.w0, min32(st, rt) << 10 | min32(sc, rc) << 4);
        (void)flush1(L4_FPAGE(0x3c0000, L4_SPACE_CAP, 14, 15));
    }
}

CASE(ipc_timeout_values_all, "I-07 G16", "zero, the smallest, large and the largest timeouts: no overflow, never early")
{
    static const uint16_t values[] = { L4_TIMEOUT_ZERO, 0x7c00, L4_TIMEOUT(0, 1), L4_TIMEOUT(0, 999), L4_TIMEOUT(10, 3), L4_TIMEOUT(1, 700) };

    ep_time = endpoint_new();
    for (unsigned i = 0; i < 6; i++) {
        uint32_t us = (values[i] & 0x3ffu) << (values[i] >> 10), start, took;

        EXPECT_EQ(tcr_write(NO_CAP, L4_TCR_TIMEOUT0, values[i]), 0);
        start = clock_us();
        EXPECT_EQ(L4_ERR_BASE(ipc(NO_CAP, 0, 0, L4_CAP(ep_time), 0, 0, L4_TS_TCR16, NULL)), L4_RCV_TIMEOUT);
        took = clock_us() - start;
        EXPECT(took + 1 >= us);
    }
}

static void waits_long(void)
{
    (void)tcr_write(NO_CAP, L4_TCR_TIMEOUT1, 0x7fff);
    result = ipc(NO_CAP, 0, 0, L4_CAP(ep_time), 0, 0, L4_TS_TCR17, NULL);
}

CASE(ipc_longest_timeout, "I-07", "the longest timeout, 2^31 * 1023 us, does not end at once")
{
    uint32_t id;

    ep_time = endpoint_new();
    result = 0xdead;
    id = thread_start(waits_long, 255);
    sleep_us(20000);
    EXPECT_EQ(result, 0xdead);
    EXPECT_EQ(exregs(1u << L4_XR_ABORT_SHIFT, L4_CAP(id), 0, 0, 0, 0, NULL) & 15u, 0);
    settle();
    EXPECT_EQ(L4_ERR_BASE(result), L4_RCV_ABORT);
}

static volatile uint32_t ring_ep[3], ring_done;

static void ring(unsigned n)
{
    struct message msg = { 0 };

    for (unsigned i = 0; i < 50; i++)
        (void)ipc(L4_CAP(ring_ep[(n + 1) % 3]), 0, 1, L4_CAP(ring_ep[n]), 0, 1, L4_TS_ZERO, &msg);
    ring_done++;
}

static void ring_0(void) { ring(0); }
static void ring_1(void) { ring(1); }
static void ring_2(void) { ring(2); }

CASE(ipc_ring, "I-16", "three threads that send round in a ring, each to the next: no deadlock of the kernel")
{
    ring_done = 0;
    for (unsigned i = 0; i < 3; i++)
        ring_ep[i] = endpoint_new();
    (void)thread_start(ring_0, 255);
    (void)thread_start(ring_1, 255);
    (void)thread_start(ring_2, 255);
    for (unsigned i = 0; i < 20; i++) {
        settle();
        for (unsigned k = 0; k < 3; k++)
            (void)send0(ring_ep[k], L4_TS_ZERO);
    }
    EXPECT(ring_done <= 3);
}

static void sends_for_ever(void)
{
    for (;;)
        result = send0(ep_time, L4_TS_NEVER);
}

CASE(ipc_right_revoked_while_waiting, "I-06 G17", "the send right is taken while the sender waits: it gets the fault, not the receiver the message")
{
    uint32_t name, ep;

    peer_start();
    ep = endpoint_new();
    name = alias_cap(ep, L4_W);
    ep_time = name;
    result = 0xdead;
    (void)thread_start(sends_for_ever, 255);
    settle();
    EXPECT_EQ(unmap1(L4_CAP_FPAGE(ep, L4_W)) & 15u, 0);
    EXPECT_EQ(tcr_write(NO_CAP, L4_TCR_TIMEOUT1, L4_TIMEOUT_ZERO), 0);
    EXPECT_EQ(L4_ERR_BASE(ipc(NO_CAP, 0, 0, L4_CAP(ep), 0, 0, L4_TS_TCR17, NULL)), L4_RCV_TIMEOUT);
    settle();
    EXPECT_ERROR(result, L4_CAP, L4_D_EMPTY);
}

CASE(ipc_send_to_receiver_without_right, "G17 IPC-1", "a receiver whose right is gone is passed over, and the next one served")
{
    uint32_t ep, name;

    peer_start();
    ep = endpoint_new();
    name = alias_cap(ep, L4_R);
    peer.ep = name; /* from its next receive on */
    EXPECT_EQ(tcr_write(NO_CAP, L4_TCR_TIMEOUT0, L4_TIMEOUT_ZERO << 16), 0);
    (void)exregs(1u << L4_XR_ABORT_SHIFT, L4_CAP(peer.thread), 0, 0, 0, 0, NULL);
    settle();
    EXPECT_EQ(send0(ep, L4_TS_ZERO), 0);
    settle();
    EXPECT_EQ(unmap1(L4_CAP_FPAGE(ep, L4_R)) & 15u, 0);
    EXPECT_EQ(L4_ERR_BASE(send0(ep, L4_TS_ZERO)), L4_SND_TIMEOUT);
    (void)exregs(L4_XR_HALT_GIVEN | L4_XR_HALT, L4_CAP(peer.thread), 0, 0, 0, 0, NULL);
}

CASE(ipc_error_names, "M 1.6.1", "long-ipc and reserved numbers answer NOSYS with the words unharmed")
{
    struct l4_words w;

    EXPECT_EQ(call5(L4_SYS_LONG_IPC, 1, 2, 3, 4, &w) & 15u, L4_NOSYS);
    for (unsigned i = 1; i < 5; i++)
        EXPECT_EQ(w.w[i], i);
}

/* ---- debug call ---- */

CASE(debug_unknown_operation, "G44 S1", "unknown debug operations are NOSYS or PARAM, and texts outside user memory are refused")
{
    uint32_t base = L4_ERR_BASE(call5(0xffu << 4 | L4_SYS_DEBUG, 0, 0, 0, 0, NULL));

    EXPECT(base == L4_NOSYS || base == L4_PARAM);
    EXPECT(call5(L4_DEBUG_PUTS << 4 | L4_SYS_DEBUG, 0xc0100000u, 16, 0, 0, NULL) & 15u);
    EXPECT(call5(L4_DEBUG_PUTS << 4 | L4_SYS_DEBUG, 0xfffffff0u, 0x100, 0, 0, NULL) & 15u);
}
