// SPDX-License-Identifier: MIT
/*
 * Reservations and the scheduler: trees of splits are compared with a list of shares, schedules run on a virtual
 * clock of one tick per nanosecond.  [M 2.4.1] [M 2.4.2] [G28] [G29] [G30]
 *
 * Arguments: steps=N seed=N.
 */
#include "arch/host/host.h"

#include <arch/timer.h>
#include "kernel/boot.h"
#include "kernel/check.h"
#include "kernel/lib/div64.h"
#include "kernel/reap.h"
#include "kernel/sched.h"
#include "kernel/sys.h"
#include "tests/unit/random.h"
#include "tests/unit/unit.h"

#define KHZ 1000000u
#define US  1000u    /* ticks */
#define MS  1000000u

/* ---- shares ---- */

#define RESVS 24u
static struct resv resvs[RESVS], root;
static struct thread threads[RESVS];

static struct resv_params params(uint32_t budget, uint32_t period, unsigned prio, bool soft)
{
    return (struct resv_params){ resv_share(budget, period), budget, period, (uint8_t)prio, soft };
}

/* resvs[0] is the initial reservation, split from `root`. */
static void reset(void)
{
    unsigned i;

    clock_init(KHZ);
    while (deadline_first())
        deadline_cancel(deadline_first());
    sched_init();
    this_cpu()->current = NULL;
    this_cpu()->resv = NULL;
    this_cpu()->resched = this_cpu()->lent = false;
    kobj_init(&root.obj, L4_TYPE_RESERVATION);
    resv_init(&root);
    root.period_us = 10000;
    root.prio = 255;
    root.flags = RESV_SOFT;
    root.share = RESV_SHARE_ONE;
    for (i = 0; i < RESVS; i++) {
        struct resv_params all = params(10000, 10000, 255, true);

        kobj_init(&resvs[i].obj, L4_TYPE_RESERVATION);
        resv_init(&resvs[i]);
        kobj_init(&threads[i].obj, L4_TYPE_THREAD);
        threads[i] = (struct thread){ .obj = threads[i].obj, .state = THREAD_HALTED };
        if (i == 0)
            resv_split(&resvs[0], &root, &all);
    }
}

static uint64_t sum_of_shares(void)
{
    uint64_t sum = root.share;
    unsigned i;

    for (i = 0; i < RESVS; i++)
        sum += resvs[i].share;
    return sum;
}

TEST(published_vector)
{
    struct resv_params p;

    reset();
    EXPECT_EQ(resvs[0].share, 1048576);
    EXPECT_EQ(resvs[0].budget_us, 10000);
    p = params(2000, 10000, 100, false);
    EXPECT_EQ(p.share, 209716);
    resv_split(&resvs[1], &resvs[0], &p);
    EXPECT_EQ(resvs[1].share, 209716);
    EXPECT_EQ(resvs[0].budget_us, 7999);
    p = params(1500, 5000, 100, false);
    resv_split(&resvs[2], &resvs[0], &p);
    EXPECT_EQ(resvs[0].budget_us, 4999);
    resv_merge(&resvs[1], &resvs[0]);
    resv_merge(&resvs[2], &resvs[0]);
    EXPECT_EQ(resvs[0].budget_us, 10000);
    EXPECT_EQ(resvs[0].share, 1048576);
}

/* Every split of every small reservation: what two may use is never more than what one might. */
TEST(splits_exhaustively)
{
    uint32_t bs, ts, bd, td;

    for (ts = 1; ts <= 24; ts++)
        for (bs = 1; bs <= ts; bs++)
            for (td = 1; td <= 24; td++)
                for (bd = 1; bd <= td; bd++) {
                    uint32_t source = resv_share(bs, ts), part = resv_share(bd, td);
                    uint64_t left, right;

                    EXPECT(source <= RESV_SHARE_ONE && resv_share_budget(source, ts) == bs);
                    if (part > source)
                        continue;
                    /* rest/ts + bd/td <= source/2^20 */
                    left = ((uint64_t)resv_share_budget(source - part, ts) * td + (uint64_t)bd * ts) << 20;
                    right = (uint64_t)source * ts * td;
                    EXPECT(left <= right);
                }
}

TEST(shares_at_the_edges)
{
    static const uint32_t edges[] = { 1, 2, 999, 1000, 1001, 0xfffff, 0x100000, 0x100001, 1000000,
                                      0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff };
    unsigned i, j;

    for (i = 0; i < ARRAY_SIZE(edges); i++) {
        for (j = 0; j < ARRAY_SIZE(edges); j++) {
            uint32_t b = edges[i], t = edges[j];
            uint64_t exact = ((uint64_t)b << 20) / t;

            if (b > t)
                continue;
            EXPECT(resv_share(b, t) - exact <= 1 && resv_share(b, t) <= RESV_SHARE_ONE);
            EXPECT(resv_share_budget(resv_share(b, t), t) >= min_u32(b, RESV_BUDGET_MAX));
            EXPECT((uint64_t)resv_share_budget(resv_share(b, t), t) << 20 <= (uint64_t)resv_share(b, t) * t);
        }
    }
}

/* The model of a tree: who was split from whom, and what it has. */
struct model { int parent; uint32_t share; };
#define NO_PARENT (-1)
#define OF_ROOT   (int)RESVS

static bool model_has_children(const struct model *m, int of)
{
    for (unsigned i = 0; i < RESVS; i++)
        if (m[i].parent == of)
            return true;
    return false;
}

static void compare(const struct model *m, uint32_t root_share)
{
    unsigned i;
    uint64_t sum = root_share;

    EXPECT_EQ(root.share, root_share);
    for (i = 0; i < RESVS; i++) {
        const struct resv *r = &resvs[i];
        const struct resv *parent = m[i].parent == OF_ROOT ? &root : m[i].parent < 0 ? NULL : &resvs[m[i].parent];

        sum += m[i].share;
        EXPECT_EQ(r->share, m[i].share);
        EXPECT(r->parent == parent);
        EXPECT(!r->parent || *r->back == r);
        EXPECT((uint64_t)r->budget_us << 20 <= (uint64_t)r->share * r->period_us);
        EXPECT(r->left <= resv_budget_ticks(r) || r->flags & RESV_BACKGROUND);
        EXPECT(!r->budget_us || resv_has_budget(r) || deadline_is_set(&r->refill));
        EXPECT(!r->thread || r->thread == &threads[i % 5]);
    }
    EXPECT_EQ(sum, RESV_SHARE_ONE);
}

/* A destroyed one is at once born again, so that the tree goes on changing. */
static void model_destroy(struct model *m, unsigned i, uint32_t *root_share)
{
    unsigned j;

    while (!resv_dissociate(&resvs[i]))
        ;
    EXPECT(!resvs[i].thread && !resvs[i].child && !resvs[i].parent && !deadline_is_set(&resvs[i].refill));
    kobj_init(&resvs[i].obj, L4_TYPE_RESERVATION);
    resv_init(&resvs[i]);
    if (m[i].parent == OF_ROOT)
        *root_share += m[i].share;
    else if (m[i].parent >= 0)
        m[m[i].parent].share += m[i].share;
    for (j = 0; j < RESVS; j++)
        if (m[j].parent == (int)i)
            m[j].parent = m[i].parent;
    m[i] = (struct model){ NO_PARENT, 0 };
}

TEST(random_trees)
{
    static const uint32_t periods[] = { 1000, 5000, 10000, 30000, 1000000, 100000000, 0xffffffff };
    struct model m[RESVS];
    uint32_t root_share = 0;
    unsigned n, i, steps = (unsigned)unit_number("steps", 100000), splits = 0, merges = 0;

    random_seed((uint32_t)unit_number("seed", 7));
    reset();
    for (i = 0; i < RESVS; i++)
        m[i] = (struct model){ NO_PARENT, 0 };
    m[0] = (struct model){ OF_ROOT, RESV_SHARE_ONE };
    for (i = 0; i < 5; i++)
        threads[i].state = i ? THREAD_READY : THREAD_RECV;
    for (n = 0; n < steps && !unit_failures; n++) {
        unsigned a = below(RESVS), b = below(RESVS);
        struct resv *x = &resvs[a], *y = &resvs[b];
        uint32_t t = periods[below(ARRAY_SIZE(periods))];
        struct resv_params p = params(1000 + below(min_u32(t, RESV_BUDGET_MAX) - 999), t, below(256), below(2));

        switch (below(8)) {
        case 0:
        case 1:
        case 2: /* b gets a part of a */
            if (a == b || m[b].share || p.share > m[a].share || (model_has_children(m, (int)b) && m[b].parent != (int)a))
                break;
            resv_split(y, x, &p);
            m[a].share -= p.share;
            m[b] = (struct model){ (int)a, p.share };
            splits++;
            break;
        case 3:
            if (m[b].parent != (int)a)
                break;
            resv_merge(y, x);
            m[a].share += m[b].share;
            m[b].share = 0;
            if (!model_has_children(m, (int)b))
                m[b].parent = NO_PARENT;
            merges++;
            break;
        case 4:
            if (p.share > m[a].share || a == 0)
                break;
            resv_set(x, &p);
            if (m[a].parent == OF_ROOT)
                root_share += m[a].share - p.share;
            else
                m[m[a].parent].share += m[a].share - p.share;
            m[a].share = p.share;
            break;
        case 5:
            if (a && below(4) == 0)
                model_destroy(m, a, &root_share);
            break;
        case 6:
            if (below(3))
                resv_attach(x, &threads[a % 5], below(4));
            else
                resv_detach(x);
            break;
        default:
            if (this_cpu()->resched || !this_cpu()->current)
                sched_pick();
            host_advance(below(5000) * US);
            break;
        }
        compare(m, root_share);
    }
    EXPECT(splits > steps / 200 && merges > steps / 500);
}

/* ---- schedules ---- */

static void give_to(unsigned i, uint32_t budget, uint32_t period, unsigned prio, bool soft)
{
    struct resv_params p = params(budget, period, prio, soft);

    resv_split(&resvs[i], &resvs[0], &p);
    resv_attach(&resvs[i], &threads[i], 255);
}

static void set_ready(struct thread *t, bool ready)
{
    t->state = ready ? THREAD_READY : THREAD_RECV;
    if (ready)
        sched_ready(t);
    else
        sched_unready(t);
}

static uint64_t ran[RESVS];

/* Let the machine run: whoever is chosen spins. */
static void spin(uint64_t ticks, uint64_t step)
{
    while (ticks) {
        struct cpu *cpu = this_cpu();
        uint64_t part = ticks < step ? ticks : step;

        if (cpu->resched || !cpu->current)
            sched_pick();
        if (cpu->current) {
            ran[cpu->current - threads] += part;
            EXPECT(cpu->resv && cpu->resv->left);
            EXPECT(cpu->resv->thread == cpu->current && cpu->current->state == THREAD_READY);
            EXPECT(cpu->resched || resv_rank(cpu->resv) >= this_sched()->top);
        }
        host_advance(part);
        ticks -= part;
    }
}

TEST(three_shares)
{
    unsigned i;

    reset();
    give_to(1, 5000, 10000, 50, false);
    give_to(2, 3000, 10000, 50, false);
    give_to(3, 1900, 10000, 50, false);
    for (i = 1; i <= 3; i++)
        set_ready(&threads[i], true);
    spin(1000ull * MS, 1 * US);
    EXPECT(within(ran[1], 500 * MS, 10));
    EXPECT(within(ran[2], 300 * MS, 10));
    EXPECT(within(ran[3], 190 * MS, 10));
    for (i = 1; i <= 3; i++)
        EXPECT(within(resv_used_us(&resvs[i]), ran[i] / US, 2));
}

/* A thread of higher priority works 900 us in each of its periods of 20 ms, beside spinning ones. */
TEST(a_short_one_meets_every_period)
{
    unsigned period, i;
    uint64_t now;

    reset();
    give_to(1, 4700, 10000, 50, false);
    give_to(2, 2800, 10000, 50, false);
    give_to(3, 1900, 10000, 50, false);
    give_to(4, 1000, 20000, 200, false);
    for (i = 1; i <= 3; i++)
        set_ready(&threads[i], true);
    spin(40 * MS, 1 * US); /* the last split found only 600 us left */
    memset(ran, 0, sizeof ran);
    for (period = 0; period < 50; period++) {
        now = ran[4];
        set_ready(&threads[4], true);
        EXPECT(this_cpu()->resched || this_cpu()->current == NULL);
        spin(900 * US, 1 * US);
        EXPECT_EQ(ran[4] - now, 900 * US);
        set_ready(&threads[4], false);
        spin(20 * MS - 900 * US, 1 * US);
        EXPECT_EQ(ran[4] - now, 900 * US);
    }
    EXPECT(within(ran[1], 470 * MS, 10));
    EXPECT(within(ran[2], 280 * MS, 10));
    EXPECT(within(ran[3], 190 * MS, 10));
}

/* A spinning thread gets its budget in each period and not a tick more, whatever is idle. */
TEST(hard_budget)
{
    unsigned period;

    reset();
    give_to(1, 2000, 10000, 50, false);
    set_ready(&threads[1], true);
    for (period = 1; period <= 100; period++) {
        spin(10 * MS, 1 * US);
        EXPECT_EQ(ran[1], period * 2 * MS);
    }
}

/* Interrupts that come up to 4 ms late let a thread overrun, but not gain in the long run. */
TEST(late_interrupts)
{
    unsigned n;

    reset();
    give_to(1, 2000, 10000, 50, false);
    give_to(2, 3000, 10000, 60, false);
    set_ready(&threads[1], true);
    set_ready(&threads[2], true);
    random_seed((uint32_t)unit_number("seed", 3));
    for (n = 0; n < 4000; n++) {
        struct cpu *cpu = this_cpu();
        uint32_t part = below(4000) * US;

        if (cpu->resched || !cpu->current)
            sched_pick();
        if (cpu->current)
            ran[cpu->current - threads] += part;
        host_clock += part;
        host_advance(0);
    }
    EXPECT(ran[1] * 10 <= clock_now() * 2 + 100 * MS);
    EXPECT(ran[2] * 10 <= clock_now() * 3 + 100 * MS);
    EXPECT(within(ran[2] * 10, clock_now() * 3, 50));
    EXPECT(within(ran[1] * 10, clock_now() * 2, 50));
}

/* The refill of the one that runs comes late: the period after it begins where it should have. */
TEST(late_refill_does_not_move_the_periods)
{
    uint64_t start;

    reset();
    give_to(1, 5000, 10000, 100, false);
    set_ready(&threads[1], true);
    sched_pick();
    start = clock_now();
    EXPECT(this_cpu()->resv == &resvs[1] && resvs[1].refill.when == start + 10 * MS);
    host_advance(1 * MS);
    set_ready(&threads[1], false);
    sched_pick();
    host_advance(8 * MS);
    set_ready(&threads[1], true);
    sched_pick();
    host_clock += 1 * MS + 300 * US; /* interrupts are off */
    sched_timer();
    EXPECT(this_cpu()->resv == &resvs[1]);
    EXPECT(resvs[1].refill.when == start + 20 * MS);
}

TEST(soft_ones_share_idle_time)
{
    reset();
    give_to(1, 1000, 10000, 200, true);
    give_to(2, 1000, 10000, 10, true);
    give_to(3, 2000, 10000, 5, false);
    set_ready(&threads[1], true);
    set_ready(&threads[2], true);
    set_ready(&threads[3], true);
    spin(2000ull * MS, 1 * US);
    EXPECT(within(ran[3], 400 * MS, 10));
    EXPECT(within(ran[1] + ran[2], 1600 * MS, 10));
    EXPECT(ran[1] > 500 * MS && ran[2] > 500 * MS); /* they enter the queue in the same order each period */
    EXPECT(within(resv_used_us(&resvs[1]), ran[1] / US, 2));
    EXPECT(resv_left_us(&resvs[1]) <= 1000);
}

TEST(round_robin_of_the_whole_cpu)
{
    reset();
    resv_attach(&resvs[0], &threads[0], 255);
    set_ready(&threads[0], true);
    spin(95 * MS, 1 * US);
    EXPECT_EQ(ran[0], 95 * MS);
    sched_charge();
    EXPECT_EQ(resv_left_us(&resvs[0]), 5000);
    EXPECT_EQ(resv_used_us(&resvs[0]), 95000);
}

/* Splitting and merging in a loop brings no new budget. */
TEST(no_time_from_splitting)
{
    struct resv_params p = params(1000, 10000, 50, false);
    unsigned n;
    uint64_t before;

    reset();
    give_to(1, 4000, 10000, 50, false);
    resv_attach(&resvs[2], &threads[2], 255);
    set_ready(&threads[2], true);
    spin(1 * MS, 1 * US);
    before = ran[2];
    for (n = 0; n < 80; n++) {
        resv_split(&resvs[2], &resvs[1], &p);
        spin(100 * US, 1 * US);
        resv_merge(&resvs[2], &resvs[1]);
        EXPECT(resvs[2].share == 0 && !resvs[2].left);
    }
    EXPECT(ran[2] - before <= 4 * MS);
    spin(20 * MS, 1 * US);
    EXPECT(ran[2] - before <= 4 * MS);
    EXPECT_EQ(resvs[1].left, 4 * MS);
    EXPECT_EQ(sum_of_shares(), RESV_SHARE_ONE);
}

/* Two reservations of one thread: falls from the first to the second, waits, returns with the first. */
TEST(ordered_list)
{
    reset();
    give_to(1, 2000, 10000, 50, false);
    give_to(2, 3000, 10000, 40, false);
    resv_attach(&resvs[2], &threads[1], 255);
    EXPECT(resv_index(&resvs[1]) == 0 && resv_index(&resvs[2]) == 1);
    EXPECT(threads[1].resv == &resvs[1]);
    set_ready(&threads[1], true);
    spin(1 * MS, 1 * US);
    EXPECT(this_cpu()->resv == &resvs[1]);
    spin(2 * MS, 1 * US);
    EXPECT(this_cpu()->resv == &resvs[2] && threads[1].resv == &resvs[2]);
    spin(3 * MS, 1 * US);
    EXPECT(threads[1].resv == NULL && !this_cpu()->current);
    EXPECT_EQ(ran[1], 5 * MS);
    spin(5 * MS, 1 * US);
    EXPECT(this_cpu()->resv == &resvs[1]);
    /* the first comes back while it runs on the second: position 0 */
    resv_leave(&resvs[1]);
    EXPECT(threads[1].resv == NULL);
    EXPECT(this_cpu()->resched);
    spin(1500 * US, 1 * US);
    EXPECT(this_cpu()->resv == &resvs[2]);
    resv_attach(&resvs[2], &threads[1], 0);
    EXPECT(resv_index(&resvs[1]) == 1 && resv_index(&resvs[2]) == 0);
    resv_detach(&resvs[2]);
    resv_detach(&resvs[1]);
    EXPECT(!threads[1].resv && !threads[1].resv_list);
    EXPECT(!sched_pick() && !this_cpu()->resv);
}

/* The first reservation comes back while the thread runs on its second: it returns to the first. */
TEST(position_returns)
{
    reset();
    give_to(1, 1000, 5000, 50, false);
    give_to(2, 5000, 10000, 40, false);
    resv_attach(&resvs[2], &threads[1], 255);
    set_ready(&threads[1], true);
    spin(4 * MS, 1 * US);
    EXPECT(this_cpu()->resv == &resvs[2]);
    spin(1500 * US, 1 * US);
    EXPECT(this_cpu()->resv == &resvs[1]);
    EXPECT_EQ(resvs[2].left, 1 * MS);
    spin(1 * MS, 1 * US);
    EXPECT(this_cpu()->resv == &resvs[2]);
}

/* Time once consumed stays consumed, however the parameters change. */
TEST(consumed_time)
{
    struct resv_params p = params(2000, 20000, 10, true);

    reset();
    give_to(1, 4000, 10000, 50, true);
    set_ready(&threads[1], true);
    spin(3 * MS, 1 * US);
    sched_charge();
    EXPECT_EQ(resv_used_us(&resvs[1]), 3000);
    EXPECT_EQ(resv_left_us(&resvs[1]), 1000);
    resv_set(&resvs[1], &p);
    EXPECT_EQ(resv_used_us(&resvs[1]), 3000);
    EXPECT_EQ(resv_left_us(&resvs[1]), 1000);
    p = params(1000, 20000, 10, false);
    resv_split(&resvs[2], &resvs[1], &p);
    EXPECT_EQ(resv_used_us(&resvs[1]), 3000);
    EXPECT_EQ(resv_left_us(&resvs[1]) + resv_left_us(&resvs[2]), 1000);
    spin(4 * MS, 1 * US);
    sched_charge();
    EXPECT_EQ(resv_used_us(&resvs[1]), 7000);
    EXPECT_EQ(resv_left_us(&resvs[1]), 0);
}

/* A second association breaks the first. */
TEST(one_thread_per_reservation)
{
    reset();
    give_to(1, 2000, 10000, 50, false);
    set_ready(&threads[1], true);
    set_ready(&threads[2], true);
    EXPECT(sched_pick() == &threads[1]);
    resv_attach(&resvs[1], &threads[2], 255);
    EXPECT(!threads[1].resv_list && !threads[1].resv && threads[2].resv_list == &resvs[1]);
    EXPECT(sched_pick() == &threads[2]);
    host_advance(2 * MS);
    EXPECT(!sched_pick());
    host_advance(3 * MS);
    resv_attach(&resvs[1], &threads[1], 255); /* spent: the new one gets no fresh budget */
    EXPECT(!sched_pick());
    host_advance(5 * MS);
    EXPECT(sched_pick() == &threads[1]);
}

static void handoffs(uint64_t start)
{
    struct cpu *cpu = this_cpu();

    reset();
    host_clock += start;
    give_to(1, 2000, 10000, 50, false);
    give_to(2, 2000, 10000, 60, false);
    give_to(3, 2000, 10000, 55, false);
    set_ready(&threads[1], true);
    EXPECT(sched_pick() == &threads[1]);
    /* the first time the window of the other is not open: the slow way */
    threads[1].state = THREAD_RECV;
    threads[2].state = THREAD_READY;
    sched_handoff(&threads[1], &threads[2]);
    EXPECT(cpu->resched && sched_pick() == &threads[2]);
    host_advance(100 * US);
    threads[2].state = THREAD_RECV;
    threads[1].state = THREAD_READY;
    sched_handoff(&threads[2], &threads[1]);
    EXPECT(!cpu->resched && cpu->current == &threads[1] && cpu->resv == &resvs[1]);
    EXPECT_EQ(resvs[2].left, 1900 * US);
    /* something ready outranks the receiver */
    threads[1].state = THREAD_RECV;
    threads[2].state = THREAD_READY;
    sched_handoff(&threads[1], &threads[2]);
    EXPECT(!cpu->resched && cpu->current == &threads[2]);
    set_ready(&threads[3], true);
    EXPECT(!cpu->resched);
    threads[2].state = THREAD_RECV;
    threads[1].state = THREAD_READY;
    sched_handoff(&threads[2], &threads[1]);
    EXPECT(cpu->resched && sched_pick() == &threads[3]);
    /* the timer would come too late for the receiver's budget */
    set_ready(&threads[3], false);
    EXPECT(sched_pick() == &threads[1]);
    this_sched()->timer_at = clock_now() + 5 * MS;
    threads[1].state = THREAD_RECV;
    threads[3].state = THREAD_READY;
    sched_handoff(&threads[1], &threads[3]);
    EXPECT(cpu->resched && sched_pick() == &threads[3]);
    EXPECT(this_sched()->timer_at <= clock_now() + resvs[3].left);
    /* a spent payer is noticed */
    host_clock += 3 * MS;
    threads[3].state = THREAD_RECV;
    threads[2].state = THREAD_READY;
    sched_handoff(&threads[3], &threads[2]);
    EXPECT(cpu->resched && sched_pick() == &threads[2]);
    EXPECT(resvs[3].left == 0 && deadline_is_set(&resvs[3].refill));
}

TEST(handoff)
{
    handoffs(0);
}

/* The quick way compares 32 bits of times. */
TEST(handoff_across_32_bits)
{
    uint64_t at;

    for (at = 0; at < 8 * MS; at += 250 * US)
        handoffs((1ull << 32) - at);
}

TEST(held_by_the_debugger)
{
    reset();
    give_to(1, 2000, 10000, 50, false);
    give_to(2, 2000, 10000, 60, false);
    set_ready(&threads[1], true);
    set_ready(&threads[2], true);
    threads[2].debug_halt = true;
    EXPECT(sched_pick() == &threads[1]);
    threads[1].debug_halt = true;
    this_cpu()->resched = true;
    EXPECT(!sched_pick());
    threads[2].debug_halt = false;
    EXPECT(sched_pick() == &threads[2]);
}

/* The timer is never set later than needed, also when its first due times lie beyond 2^32 ticks. */
TEST(clock_passes_32_bits)
{
    reset();
    host_clock = 0x100000000ull - 30 * MS;
    give_to(1, 2000, 10000, 50, false);
    give_to(2, 2000, 10000, 60, true);
    set_ready(&threads[1], true);
    set_ready(&threads[2], true);
    spin(100 * MS, 1 * US);
    EXPECT(within(ran[1], 20 * MS, 10));
    EXPECT(within(ran[2], 80 * MS, 10));
    EXPECT(deadline_check() == NULL);
}

TEST(many_deadlines_at_once)
{
    unsigned i;

    reset();
    for (i = 1; i < RESVS; i++) {
        give_to(i, 1000, 100000, 50, false);
        set_ready(&threads[i], true);
    }
    spin(30 * MS, 1 * US); /* all are spent, and all come back around the same time */
    for (i = 1; i < RESVS; i++)
        EXPECT(!threads[i].resv);
    host_clock += 200 * MS;
    sched_timer();
    EXPECT(deadline_first() && deadline_first()->when < clock_now());
    host_advance(10);
    for (i = 1; i < RESVS; i++)
        EXPECT(threads[i].resv == &resvs[i]);
}
