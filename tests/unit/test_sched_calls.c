// SPDX-License-Identifier: MIT
/*
 * schedule, thread-switch and processor-control by real system calls, one by one and at random; and the
 * invariants of time seen to fail.  [M 2.4.1] [M 2.4.2] [M 2.7.1] [G28] [G29] [G30]
 *
 * Arguments: steps=N seed=N.
 */
#include "arch/host/host.h"

#include "kernel/boot.h"
#include "kernel/check.h"
#include "kernel/lib/div64.h"
#include "kernel/reap.h"
#include "kernel/sched.h"
#include "kernel/sys.h"
#include "tests/unit/random.h"
#include "tests/unit/unit.h"

#define US  1000u    /* ticks */
#define MS  1000000u

/* ---- the system calls ---- */

#define CAP_RESV   0x210u
#define CAP_THREAD 0x220u

static struct thread *sigma0;

static uint32_t call(uint32_t w0, uint32_t w1, uint32_t w2, uint32_t w3, uint32_t w4)
{
    struct thread *next = host_call(sigma0, w0, w1, w2, w3, w4);

    EXPECT(next == sigma0);
    return sigma0->frame.w[0];
}

/* W5 lives in user memory, where the boot loaded sigma0. */
static uint32_t *w5(void)
{
    sigma0->frame.ecx = 0x00400800;
    return host_access(sigma0->task, sigma0->frame.ecx, L4_W);
}

static uint32_t schedule(uint32_t ops, uint32_t dst, uint32_t src, uint32_t w2, uint32_t w3, uint32_t budget,
                         uint32_t period)
{
    *w5() = period;
    return call(L4_CAP(dst) | ops | L4_SYS_SCHEDULE, L4_CAP(src), w2, w3, budget);
}

static void check_clean(void)
{
    struct check c = { .report = NULL };

    EXPECT_EQ(check_all(&c), 0);
}

static uint32_t create(uint32_t id, enum l4_type type)
{
    uint32_t res = L4_FPAGE(L4_CAP(L4_S0_KPAGE), L4_SPACE_CAP, 13, L4_W);

    return call(L4_CAP(id) | (uint32_t)type << 4 | L4_SYS_CREATE, res, res, 0, 0);
}

static void boot(void)
{
    static const struct host_config config = { .megabytes = 8 };
    unsigned i;

    host_quiet = true;
    host_boot(&config);
    sigma0 = host_run();
    EXPECT(sigma0 && sigma0->state == THREAD_READY);
    for (i = 0; i < 4; i++)
        EXPECT_EQ(create(CAP_RESV + i, L4_TYPE_RESERVATION), L4_OK);
    for (i = 0; i < 2; i++)
        EXPECT_EQ(create(CAP_THREAD + i, L4_TYPE_THREAD), L4_OK);
    check_clean();
}

TEST(schedule_call)
{
    uint32_t w3 = 100u << 24;

    boot();
    EXPECT_EQ(schedule(L4_SCHED_READ, L4_S0_RESERVATION, 0, 0, 0, 0, 0), L4_OK);
    EXPECT_EQ(sigma0->frame.w[3], 255u << 24 | L4_SCHED_SOFT);
    EXPECT_EQ(sigma0->frame.w[4], 10000);
    EXPECT_EQ(*w5(), 10000);
    EXPECT_EQ(schedule(L4_SCHED_SPLIT, CAP_RESV, L4_S0_RESERVATION, 0, w3, 2000, 10000), L4_OK);
    EXPECT_EQ(schedule(L4_SCHED_READ | L4_SCHED_SPLIT, CAP_RESV + 1, L4_S0_RESERVATION, 0, w3, 1500, 5000), L4_OK);
    EXPECT(sigma0->frame.w[3] == 255 && sigma0->frame.w[4] == 0 && *w5() == 0);
    EXPECT_EQ(schedule(L4_SCHED_READ, L4_S0_RESERVATION, 0, 0, 0, 0, 0), L4_OK);
    EXPECT_EQ(sigma0->frame.w[4], 4999);
    check_clean();
    /* values */
    EXPECT_EQ(schedule(L4_SCHED_SPLIT, CAP_RESV + 2, L4_S0_RESERVATION, 0, w3, 999, 10000), L4_ERR(L4_PARAM, L4_D_BAD_VALUE, 4));
    EXPECT_EQ(schedule(L4_SCHED_SPLIT, CAP_RESV + 2, L4_S0_RESERVATION, 0, w3, 1000001, 0xffffffff), L4_ERR(L4_PARAM, L4_D_BAD_VALUE, 4));
    EXPECT_EQ(schedule(L4_SCHED_SPLIT, CAP_RESV + 2, L4_S0_RESERVATION, 0, w3, 1000, 999), L4_ERR(L4_PARAM, L4_D_BAD_VALUE, 5));
    EXPECT_EQ(schedule(L4_SCHED_SPLIT, CAP_RESV + 2, L4_S0_RESERVATION, 0, w3, 1000, 0), L4_ERR(L4_PARAM, L4_D_BAD_VALUE, 5));
    EXPECT_EQ(schedule(L4_SCHED_SPLIT, CAP_RESV + 2, L4_S0_RESERVATION, 0, w3, 5000, 10000), L4_ERR(L4_DENIED, L4_D_SHARE, 4));
    EXPECT_EQ(schedule(L4_SCHED_SPLIT, CAP_RESV + 2, L4_S0_RESERVATION, 0, w3, 4000, 10000), L4_ERR(L4_DENIED, L4_D_SHARE, 4));
    EXPECT_EQ(schedule(L4_SCHED_SPLIT, CAP_RESV + 2, CAP_RESV, 0, 101u << 24, 1000, 10000), L4_ERR(L4_DENIED, L4_D_PRIO, 3));
    EXPECT_EQ(schedule(L4_SCHED_SPLIT, CAP_RESV + 2, CAP_RESV, 0, w3 | L4_SCHED_SOFT, 1000, 10000), L4_ERR(L4_DENIED, L4_D_BAD_VALUE, 3));
    EXPECT_EQ(schedule(L4_SCHED_SPLIT, CAP_RESV, CAP_RESV, 0, w3, 1000, 10000), L4_ERR(L4_STATE, L4_D_SHARE, 0));
    EXPECT_EQ(schedule(L4_SCHED_SPLIT, CAP_RESV + 2, CAP_RESV + 2, 0, 0, 1000, 10000), L4_ERR(L4_DENIED, L4_D_SHARE, 4));
    EXPECT_EQ(schedule(0, CAP_RESV, 0, 0, 0, 0, 0), L4_ERR(L4_PARAM, L4_D_RESERVED_OP, 0));
    EXPECT_EQ(schedule(0x410, CAP_RESV, 0, 0, 0, 0, 0), L4_ERR(L4_PARAM, L4_D_RESERVED_OP, 0));
    EXPECT_EQ(schedule(L4_SCHED_SPLIT | L4_SCHED_MERGE, CAP_RESV, CAP_RESV + 1, 0, 0, 0, 0), L4_ERR(L4_PARAM, L4_D_RESERVED_OP, 0));
    EXPECT_EQ(schedule(L4_SCHED_MERGE, CAP_RESV, CAP_RESV + 1, 0, 0, 0, 0), L4_ERR(L4_STATE, L4_D_SHARE, 1));
    /* a capability that is none: no handler, so the call fails */
    EXPECT_EQ(L4_ERR_BASE(schedule(L4_SCHED_READ, 0x300, 0, 0, 0, 0, 0)), L4_CAP);
    EXPECT_EQ(L4_ERR_BASE(schedule(L4_SCHED_ASSOCIATE, CAP_RESV, 0, L4_CAP(CAP_RESV), 0, 0, 0)), L4_CAP);
    check_clean();
    /* less of it: the rest returns */
    EXPECT_EQ(schedule(L4_SCHED_SET, CAP_RESV, 0, 0, 50u << 24, 1000, 10000), L4_OK);
    EXPECT_EQ(schedule(L4_SCHED_SET, CAP_RESV, 0, 0, 50u << 24, 1001, 10000), L4_ERR(L4_DENIED, L4_D_SHARE, 4));
    EXPECT_EQ(schedule(L4_SCHED_SET, CAP_RESV, 0, 0, 51u << 24, 1000, 10000), L4_ERR(L4_DENIED, L4_D_PRIO, 3));
    EXPECT_EQ(schedule(L4_SCHED_READ, L4_S0_RESERVATION, 0, 0, 0, 0, 0), L4_OK);
    EXPECT_EQ(sigma0->frame.w[4], 5999);
    check_clean();
    /* threads */
    EXPECT_EQ(schedule(L4_SCHED_ASSOCIATE, CAP_RESV, 0, L4_CAP(CAP_THREAD) | 255, 0, 0, 0), L4_OK);
    EXPECT_EQ(schedule(L4_SCHED_ASSOCIATE | L4_SCHED_READ, CAP_RESV + 1, 0, L4_CAP(CAP_THREAD), 0, 0, 0), L4_OK);
    EXPECT_EQ(sigma0->frame.w[3] & 255, 255);
    EXPECT_EQ(schedule(L4_SCHED_READ, CAP_RESV, 0, 0, 0, 0, 0), L4_OK);
    EXPECT_EQ(sigma0->frame.w[3] & 255, 1);
    EXPECT_EQ(schedule(L4_SCHED_ASSOCIATE, CAP_RESV, 0, L4_CAP(L4_S0_IRQ + 5), 0, 0, 0), L4_ERR(L4_DENIED, L4_D_HWTHREAD, 2));
    check_clean();
    EXPECT_EQ(schedule(L4_SCHED_DISSOCIATE, CAP_RESV + 1, 0, 0, 0, 0, 0), L4_OK);
    EXPECT_EQ(schedule(L4_SCHED_DISSOCIATE, CAP_RESV + 1, 0, 0, 0, 0, 0), L4_OK);
    EXPECT_EQ(schedule(L4_SCHED_MERGE, CAP_RESV + 1, L4_S0_RESERVATION, 0, 0, 0, 0), L4_OK);
    check_clean();
    /* destruction: a tree of splits, the middle one dies */
    EXPECT_EQ(schedule(L4_SCHED_SPLIT, CAP_RESV + 1, L4_S0_RESERVATION, 0, w3, 4000, 10000), L4_OK);
    EXPECT_EQ(schedule(L4_SCHED_SPLIT, CAP_RESV + 2, CAP_RESV + 1, 0, w3, 2000, 10000), L4_OK);
    EXPECT_EQ(call(1u << 12 | L4_SYS_UNMAP, L4_CAP_FPAGE(CAP_RESV + 1, 15), 0, 0, 0) & 15u, L4_OK);
    check_clean();
    EXPECT_EQ(schedule(L4_SCHED_READ, L4_S0_RESERVATION, 0, 0, 0, 0, 0), L4_OK);
    EXPECT_EQ(sigma0->frame.w[4], 6999);
    EXPECT_EQ(schedule(L4_SCHED_MERGE, CAP_RESV + 2, L4_S0_RESERVATION, 0, 0, 0, 0), L4_OK);
    EXPECT_EQ(call(1u << 12 | L4_SYS_UNMAP, L4_CAP_FPAGE(CAP_RESV, 15), 0, 0, 0) & 15u, L4_OK);
    EXPECT_EQ(schedule(L4_SCHED_READ, L4_S0_RESERVATION, 0, 0, 0, 0, 0), L4_OK);
    EXPECT_EQ(sigma0->frame.w[4], 10000);
    check_clean();
}

/* An emptied reservation that others were split from may not be hung up below one of them. */
TEST(no_ring_of_splits)
{
    uint32_t w3 = 100u << 24;

    boot();
    EXPECT_EQ(schedule(L4_SCHED_SPLIT, CAP_RESV, L4_S0_RESERVATION, 0, w3, 4000, 10000), L4_OK);
    EXPECT_EQ(schedule(L4_SCHED_SPLIT, CAP_RESV + 1, CAP_RESV, 0, w3, 2000, 10000), L4_OK);
    EXPECT_EQ(schedule(L4_SCHED_MERGE, CAP_RESV, L4_S0_RESERVATION, 0, 0, 0, 0), L4_OK);
    EXPECT_EQ(schedule(L4_SCHED_SPLIT, CAP_RESV, CAP_RESV + 1, 0, w3, 1000, 10000), L4_ERR(L4_STATE, L4_D_SHARE, 0));
    EXPECT_EQ(schedule(L4_SCHED_SPLIT, CAP_RESV, L4_S0_RESERVATION, 0, w3, 1000, 10000), L4_OK);
    check_clean();
    EXPECT_EQ(schedule(L4_SCHED_MERGE, CAP_RESV + 1, CAP_RESV, 0, 0, 0, 0), L4_OK);
    EXPECT_EQ(schedule(L4_SCHED_MERGE, CAP_RESV, L4_S0_RESERVATION, 0, 0, 0, 0), L4_OK);
    EXPECT_EQ(schedule(L4_SCHED_READ, L4_S0_RESERVATION, 0, 0, 0, 0, 0), L4_OK);
    EXPECT_EQ(sigma0->frame.w[4], 10000);
    check_clean();
}

/* One processor: it cannot be stopped, and there is none to start.  [M 2.7.1] [G31] [G43] */
TEST(processor_control)
{
    boot();
    EXPECT_EQ(call(L4_CAP(L4_S0_CPU) | L4_SYS_PROCESSOR_CONTROL, 0, 0, 0, 0), L4_OK);
    EXPECT_EQ(sigma0->frame.w[1], 1);
    EXPECT_EQ(call(L4_CAP(L4_S0_CPU) | L4_CPU_START << 4 | L4_SYS_PROCESSOR_CONTROL, 0, 0, 0, 0), L4_ERR(L4_NOSYS, L4_D_UNSUPPORTED_HW, 0));
    EXPECT_EQ(call(L4_CAP(L4_S0_CPU) | L4_CPU_STOP << 4 | L4_SYS_PROCESSOR_CONTROL, 0, 0, 0, 0), L4_ERR(L4_STATE, L4_D_UNSUPPORTED_HW, 0));
    EXPECT_EQ(call(L4_CAP(L4_S0_CPU) | 5u << 4 | L4_SYS_PROCESSOR_CONTROL, 0, 0, 0, 0), L4_ERR(L4_PARAM, L4_D_RESERVED_OP, 0));
    EXPECT_EQ(L4_ERR_BASE(call(L4_CAP(L4_S0_TASK) | L4_SYS_PROCESSOR_CONTROL, 0, 0, 0, 0)), L4_CAP);
}

TEST(thread_switch)
{
    struct cpu *cpu = this_cpu();

    boot();
    EXPECT_EQ(call(L4_CAP_INVALID | L4_SYS_THREAD_SWITCH, 0, 0, 0, 0), L4_OK);
    EXPECT(sigma0->frame.w[1] > 0 && sigma0->frame.w[1] <= 10000);
    EXPECT_EQ(call(L4_CAP_INVALID | L4_SWITCH_NEXT | L4_SYS_THREAD_SWITCH, 7, 0, 0, 0), L4_ERR(L4_STATE, L4_D_BAD_INDEX, 1));
    EXPECT_EQ(call(L4_CAP_INVALID | L4_SWITCH_NEXT | L4_SYS_THREAD_SWITCH, 0, 0, 0, 0), L4_OK);
    EXPECT_EQ(call(L4_CAP(L4_S0_THREAD) | L4_SYS_THREAD_SWITCH, 0, 0, 0, 0), L4_OK);
    EXPECT_EQ(call(L4_CAP(CAP_THREAD) | L4_SYS_THREAD_SWITCH, 0, 0, 0, 0), L4_OK); /* not ready */
    EXPECT_EQ(call(L4_CAP(CAP_THREAD) | L4_SWITCH_NEXT | L4_SYS_THREAD_SWITCH, 0, 0, 0, 0), L4_ERR(L4_PARAM, L4_D_RESERVED_OP, 0));
    EXPECT_EQ(L4_ERR_BASE(call(L4_CAP(CAP_RESV) | L4_SYS_THREAD_SWITCH, 0, 0, 0, 0)), L4_CAP);
    /* until the next period: the machine sleeps in between */
    host_advance(3 * MS);
    {
        uint64_t before = clock_now();

        EXPECT_EQ(call(L4_CAP_INVALID | L4_SWITCH_PERIOD | L4_SYS_THREAD_SWITCH, 0xffffffff, 0, 0, 0), L4_OK);
        EXPECT(within(clock_now() - before, sigma0->frame.w[1] * US, 10));
    }
    EXPECT(cpu->resv && cpu->resv->thread == sigma0);
    EXPECT_EQ(cpu->resv->left, 10 * MS);
    check_clean();
}

/* The named thread runs on the caller's reservation, though it has none, until something happens. */
TEST(switch_to_a_thread)
{
    struct thread *other, *next;

    boot();
    other = (struct thread *)(void *)node_kobj(cap_lookup(sigma0->task, CAP_THREAD));
    thread_bind(other, sigma0->task);
    thread_set_state(other, THREAD_READY);
    next = host_call(sigma0, L4_CAP(CAP_THREAD) | L4_SYS_THREAD_SWITCH, 0, 0, 0, 0);
    EXPECT(next == other && this_cpu()->lent && this_cpu()->resv->thread == sigma0);
    EXPECT(sigma0->state == THREAD_READY);
    check_clean();
    host_advance(1 * MS);
    EXPECT(host_run() == other);
    next = host_call(other, L4_CAP_INVALID | L4_SYS_THREAD_SWITCH, 0, 0, 0, 0);
    EXPECT(next == sigma0 && !this_cpu()->lent);
    EXPECT(this_cpu()->resv->thread == sigma0);
    check_clean();
    /* the lender's budget ends */
    next = host_call(sigma0, L4_CAP(CAP_THREAD) | L4_SYS_THREAD_SWITCH, 0, 0, 0, 0);
    EXPECT(next == other);
    host_advance(10 * MS);
    EXPECT(host_run() == sigma0);
    check_clean();
    /* spent by the time it is lent, and no interrupt has said so yet: the other thread never becomes current */
    {
        uint32_t switches = other->switches;

        host_clock += 10 * MS;
        EXPECT(host_call(sigma0, L4_CAP(CAP_THREAD) | L4_SYS_THREAD_SWITCH, 0, 0, 0, 0) == sigma0);
        EXPECT_EQ(other->switches, switches);
        check_clean();
    }
    /* the lender's reservation dies */
    next = host_call(sigma0, L4_CAP(CAP_THREAD) | L4_SYS_THREAD_SWITCH, 0, 0, 0, 0);
    EXPECT(next == other);
    resv_detach(sigma0->resv_list);
    EXPECT(!host_run());
    check_clean();
}

/* ---- everything at once ---- */

#define CAP_MANY 0x240u
#define MANY 8u
static struct thread *many[4];

static void report(struct check *c, const char *text)
{
    printf("%s: %s\n", c->rule->id, text);
}

static unsigned failures(bool loud)
{
    struct check c = { .report = loud ? report : NULL };

    return check_all(&c);
}

/* Only the rules about time: a walk over all memory after each step would take minutes. */
static unsigned time_failures(void)
{
    unsigned i, sum = 0;

    for (i = 0; i < LINKSET_COUNT(check_rules); i++) {
        const struct check_rule *rule = LINKSET_GET(check_rules, i);
        struct check c = { .report = report };

        if (!strcmp(rule->group, "SCH") || !strcmp(rule->group, "CPU"))
            sum += check_run(&c, rule);
    }
    return sum;
}

static void random_call(struct thread *t)
{
    static const uint32_t sources[] = { L4_S0_RESERVATION, CAP_MANY, CAP_MANY + 1, CAP_MANY + 2 };
    static const uint32_t periods[] = { 5000, 10000, 10000, 40000 };
    uint32_t ops = below(2) ? L4_SCHED_SPLIT : 1u << (4 + below(6)), period = periods[below(ARRAY_SIZE(periods))];
    uint32_t dst = CAP_MANY + below(MANY), src = sources[below(ARRAY_SIZE(sources))];
    uint32_t budget = period / (3 + below(10)), name = CAP_MANY + 0x20 + below(ARRAY_SIZE(many));

    t->frame.ecx = 0x00400800;
    *(uint32_t *)host_access(t->task, t->frame.ecx, L4_W) = period;
    if (below(2))
        ops |= L4_SCHED_ASSOCIATE;
    switch (below(10)) {
    case 0:
        host_call(t, (below(2) ? L4_CAP_INVALID : L4_CAP(name)) | below(4) << 4 | L4_SYS_THREAD_SWITCH,
                  0xffffffff, 0, 0, 0);
        break;
    case 1: /* a reservation dies and is born again */
        if (below(4))
            break;
        host_call(t, 1u << 12 | L4_SYS_UNMAP, L4_CAP_FPAGE(dst, 15), 0, 0, 0);
        break;
    case 2:
        host_call(t, L4_CAP(dst) | L4_TYPE_RESERVATION << 4 | L4_SYS_CREATE,
                  L4_FPAGE(L4_CAP(L4_S0_KPAGE), L4_SPACE_CAP, 13, L4_W), 0, 0, 0);
        break;
    default:
        host_call(t, L4_CAP(dst) | ops | L4_SYS_SCHEDULE, L4_CAP(src), L4_CAP(name) | below(5),
                  below(2) * below(256) << 24 | below(2) << 16, budget);
        break;
    }
}

TEST(random_calls)
{
    unsigned n, i, steps = (unsigned)unit_number("steps", 5000), idle = 0, switched = 0;
    struct thread *last = NULL;

    boot();
    random_seed((uint32_t)unit_number("seed", 11));
    for (i = 0; i < ARRAY_SIZE(many); i++) {
        EXPECT_EQ(create(CAP_MANY + 0x20 + i, L4_TYPE_THREAD), L4_OK);
        many[i] = (struct thread *)(void *)node_kobj(cap_lookup(sigma0->task, CAP_MANY + 0x20 + i));
        thread_bind(many[i], sigma0->task);
        thread_set_state(many[i], THREAD_READY);
    }
    for (n = 0; n < steps && !unit_failures; n++) {
        struct thread *t = host_run();

        if (!t) { /* nobody has time left that comes back: give sigma0 its reservation again */
            idle++;
            resv_attach((struct resv *)(void *)node_kobj(cap_lookup(sigma0->task, L4_S0_RESERVATION)), sigma0, 0);
            thread_set_state(sigma0, THREAD_READY);
            sigma0->debug_halt = false;
            t = host_run();
            EXPECT(t != NULL);
            if (!t)
                return;
        }
        switched += t != last;
        last = t;
        switch (below(8)) {
        case 0:
            host_advance(below(3000) * US);
            break;
        case 1: /* sigma0 sleeps a while, others stop and go */
            thread_set_state(sigma0, sigma0->state == THREAD_READY ? THREAD_HALTED : THREAD_READY);
            i = below(ARRAY_SIZE(many));
            if (below(2))
                thread_set_state(many[i], many[i]->state == THREAD_READY ? THREAD_HALTED : THREAD_READY);
            else if (many[i]->state != THREAD_READY)
                thread_set_state(many[i], THREAD_READY);
            break;
        case 2:
            many[below(ARRAY_SIZE(many))]->debug_halt = below(4) == 0;
            clock_stop();
            host_clock += below(100) * MS;
            clock_go();
            break;
        default:
            random_call(t);
            break;
        }
        EXPECT_EQ(n % 500 ? time_failures() : failures(true), 0);
    }
    printf("%u steps, %u switches, %u times nobody\n", n, switched, idle);
    EXPECT(switched > steps / 50);
}

/* Each invariant is seen to fail when what it speaks of is broken. */
TEST(invariants_can_fail)
{
    struct resv *r;
    struct sched *s = this_sched();
    uint32_t word;
    uint64_t when;

    boot();
    r = sigma0->resv;
    EXPECT_EQ(failures(true), 0);
    sigma0->resv_list = NULL; /* SCH-1 */
    EXPECT(failures(false) > 0);
    sigma0->resv_list = r;
    r->share--; /* SCH-2 */
    EXPECT(failures(false) > 0);
    r->share++;
    word = r->left;
    r->left = 20 * MS;
    EXPECT(failures(false) > 0);
    r->left = 0; /* SCH-3 */
    EXPECT(failures(false) > 0);
    r->left = word;
    s->top = 7;
    EXPECT(failures(false) > 0);
    s->top = -1;
    when = s->timer_at; /* SCH-4 */
    s->timer_at = SCHED_TIMER_OFF;
    EXPECT(failures(false) > 0);
    s->timer_at = when;
    this_cpu()->resv = NULL; /* SCH-5 */
    this_cpu()->resched = true;
    EXPECT(failures(false) > 0);
    this_cpu()->resv = r;
    this_cpu()->resched = false;
    s->words = 1;
    EXPECT(failures(false) > 0);
    s->words = 0;
    r->thread = NULL;
    EXPECT(failures(false) > 0);
    r->thread = sigma0;
    EXPECT_EQ(failures(true), 0);
}
