// SPDX-License-Identifier: MIT
/*
 * Each invariant of threads, endpoints, kernel-made messages, interrupts and the CPU is broken once: the rule of that
 * name, and no fewer, must say so; mended again, nothing may be left to say.
 */
#include "arch/host/host.h"

#include "kernel/check.h"
#include "kernel/cpu.h"
#include "kernel/ipc.h"
#include "kernel/irq.h"
#include "tests/unit/unit.h"

#define KPAGES L4_FPAGE(L4_CAP(L4_S0_KPAGE), L4_SPACE_CAP, 13u, L4_W)
#define EP 0x2c0u
#define OTHER 0x2c1u
#define TH 0x2c2u
#define RES 0x2c3u

static struct thread *s0, *waiter;
static struct endpoint *ep;

static unsigned failures_of(const char *id)
{
    for (unsigned i = 0; i < LINKSET_COUNT(check_rules); i++) {
        const struct check_rule *rule = LINKSET_GET(check_rules, i);
        struct check c = { 0 };

        if (!strcmp(rule->id, id))
            return check_run(&c, rule);
    }
    printf("no rule %s\n", id);
    return 0;
}

static unsigned all_failures(void)
{
    struct check c = { 0 };

    return check_all(&c);
}

#define BREAKS(id, breaks, mends)                                       \
    do {                                                                \
        breaks;                                                         \
        if (!failures_of(id)) {                                         \
            printf("%s does not see: %s\n", id, #breaks);               \
            EXPECT(false);                                              \
        }                                                               \
        mends;                                                          \
        EXPECT_EQ(all_failures(), 0);                                   \
    } while (0)

static uint32_t call(uint32_t w0, uint32_t w1, uint32_t w2, uint32_t w3, uint32_t w4)
{
    s0 = host_call(s0, w0, w1, w2, w3, w4);
    return s0->frame.w[0];
}

/* sigma0 runs, a second thread of its task waits on EP with a timeout. */
static void set_up(void)
{
    uint32_t *period;
    struct thread *t;

    host_boot(&(struct host_config){ .megabytes = 5 });
    s0 = host_run();
    EXPECT_EQ(call(L4_CAP(EP) | L4_TYPE_ENDPOINT << 4 | L4_SYS_CREATE, KPAGES, KPAGES, 0, 0), 0);
    EXPECT_EQ(call(L4_CAP(OTHER) | L4_TYPE_ENDPOINT << 4 | L4_SYS_CREATE, KPAGES, KPAGES, 0, 0), 0);
    EXPECT_EQ(call(L4_CAP(TH) | L4_TYPE_THREAD << 4 | L4_SYS_CREATE, KPAGES, KPAGES, 0, 0), 0);
    EXPECT_EQ(call(L4_CAP(RES) | L4_TYPE_RESERVATION << 4 | L4_SYS_CREATE, KPAGES, KPAGES, 0, 0), 0);
    EXPECT_EQ(call(L4_CAP(TH) | 1u << 4 | L4_SYS_THREAD_CONTROL, L4_TCR_TASK << 2 | 1u, L4_CAP(L4_S0_TASK), 0, 0), 1u << 4);
    s0->frame.ecx = 0x00400800u;
    period = host_access(s0->task, 0x00400800u, L4_W);
    EXPECT(period != NULL);
    *period = 100000;
    EXPECT_EQ(call(L4_CAP(RES) | L4_SCHED_SPLIT | L4_SYS_SCHEDULE, L4_CAP(L4_S0_RESERVATION), L4_CAP_INVALID, 255u << 24, 1000) & 15u, 0);
    EXPECT_EQ(call(L4_CAP(RES) | L4_SCHED_ASSOCIATE | L4_SYS_SCHEDULE, L4_CAP_INVALID, L4_CAP(TH) | 255u, 0, 0) & 15u, 0);
    EXPECT_EQ(call(L4_CAP(TH) | L4_XR_SET_IP | L4_XR_HALT_GIVEN | L4_SYS_EXREGS, 0x400000, 0, 0, 0) & 15u, 0);
    waiter = (struct thread *)(void *)node_kobj(cap_lookup(s0->task, TH));
    ep = (struct endpoint *)(void *)node_kobj(cap_lookup(s0->task, EP));
    waiter->tcr[L4_TCR_TIMEOUT0] = L4_TIMEOUT(10, 100);
    t = s0;
    for (unsigned i = 0; s0 != waiter && i < 4; i++)
        s0 = host_call(s0, L4_CAP_INVALID | L4_SYS_THREAD_SWITCH, 0xffffffffu, 0, 0, 0);
    EXPECT(s0 == waiter);
    s0 = host_call(waiter, L4_IPC_W0(L4_CAP_INVALID, 0, 0), L4_IPC_W1(L4_CAP(EP), 0, 5, L4_TS_TCR16), 0, 0, 0);
    EXPECT(s0 == t);
    EXPECT_EQ(waiter->state, THREAD_RECV);
    EXPECT_EQ(all_failures(), 0);
}

TEST(rules_of_threads_can_fail)
{
    struct task *task;
    struct ipc *ipc;
    uint32_t flags;

    set_up();
    task = waiter->task;
    BREAKS("THR-1", waiter->state = THREAD_HALTED, waiter->state = THREAD_RECV);
    BREAKS("THR-2", waiter->task_prev = waiter, waiter->task_prev = NULL);
    BREAKS("THR-2", waiter->task = NULL, waiter->task = task);
    flags = waiter->frame.eflags;
    BREAKS("THR-3", waiter->frame.eflags |= 0x3000u, waiter->frame.eflags = flags);
    BREAKS("THR-3", waiter->frame.eflags &= ~EFLAGS_IF, waiter->frame.eflags = flags);
    BREAKS("THR-3", waiter->frame.cs = SEL_KERNEL_CS, waiter->frame.cs = SEL_USER_CS);
    ipc = waiter->ipc;
    BREAKS("THR-4", waiter->ipc = &waiter->kipc, waiter->ipc = ipc);
    BREAKS("THR-5", waiter->state = 77, waiter->state = THREAD_RECV);
    BREAKS("THR-5", s0->task = NULL, s0->task = task);
    BREAKS("THR-6", (waiter->halt_reason = HALT_DEAD, waiter->state = THREAD_HALTED),
           (waiter->halt_reason = HALT_FRESH, waiter->state = THREAD_RECV));
    BREAKS("THR-7", waiter->map.room.started = 1u << ROOM_COUNT, kroom_reset(&waiter->map.room));
    waiter->map.room.at[ROOM_VIEW] = (struct kcursor){ .slot = 1024, .frame = 1024, .empty = 1024 };
    waiter->map.room.started = 1u << ROOM_VIEW;
    BREAKS("THR-7", waiter->map.room.at[ROOM_VIEW].slot++, waiter->map.room.at[ROOM_VIEW].slot--);
    BREAKS("THR-7", waiter->map.room.at[ROOM_VIEW].frame++, waiter->map.room.at[ROOM_VIEW].frame--);
    BREAKS("THR-7", waiter->map.room.at[ROOM_VIEW].empty++, waiter->map.room.at[ROOM_VIEW].empty--);
    BREAKS("THR-7", waiter->map.room.at[ROOM_VIEW].id = 1, waiter->map.room.at[ROOM_VIEW].id = 0);
    kroom_reset(&waiter->map.room);
}

TEST(rules_of_ipc_can_fail)
{
    struct endpoint *other;

    set_up();
    other = (struct endpoint *)(void *)node_kobj(cap_lookup(s0->task, OTHER));
    BREAKS("IPC-1", ep->senders = 1, ep->senders = 0);
    BREAKS("IPC-1", waiter->queue_prev = s0, waiter->queue_prev = waiter);
    BREAKS("IPC-2", waiter->ipc->endpoint = other, waiter->ipc->endpoint = ep);
    BREAKS("IPC-2", waiter->ipc->endpoint = NULL, waiter->ipc->endpoint = ep);
    BREAKS("IPC-3", waiter->ipc->partner = s0, waiter->ipc->partner = NULL);
    BREAKS("IPC-4", waiter->ipc->rcv_timeout = 0, waiter->ipc->rcv_timeout = L4_TIMEOUT(10, 100));
    BREAKS("IPC-5", waiter->ipc->sent = false, waiter->ipc->sent = true);
    BREAKS("IPC-5", waiter->state = THREAD_SEND, waiter->state = THREAD_RECV);
}

TEST(rules_of_faults_can_fail)
{
    set_up();
    BREAKS("FLT-1", waiter->uipc.kind = IPC_FAULT, waiter->uipc.kind = IPC_USER);
    /* a fault message under way: sigma0 touches nothing */
    s0->tcr[L4_TCR_FAULT_SND] = L4_CAP(OTHER);
    s0->tcr[L4_TCR_FAULT_RCV] = L4_CAP(EP);
    {
        struct thread *faulter = s0;

        /* a send through an empty name */
        (void)host_call(faulter, L4_IPC_W0(L4_CAP(0x2cf), 0, 0), L4_IPC_W1(L4_CAP_INVALID, 0, 0, 0), 0, 0, 0);
        EXPECT(faulter->nested && faulter->state == THREAD_SEND);
        EXPECT_EQ(all_failures(), 0);
        BREAKS("FLT-1", faulter->kipc.kind = IPC_IRQ, faulter->kipc.kind = IPC_FAULT);
        BREAKS("FLT-2", faulter->kmsg[0] ^= 0x07000000u, faulter->kmsg[0] ^= 0x07000000u);
        BREAKS("IPC-5", faulter->kipc.sc = 60, faulter->kipc.sc = 4);
        BREAKS("FLT-2", faulter->kipc.snd_timeout = 5, faulter->kipc.snd_timeout = 0);
        {
            void *outer = (void *)(uintptr_t)faulter->outer;

            BREAKS("FLT-3", faulter->outer = NULL, faulter->outer = (thread_cont *)(uintptr_t)outer);
        }
    }
}

TEST(rules_of_interrupts_and_cpu_can_fail)
{
    struct thread *line, *current;

    set_up();
    line = irq_thread(5);
    current = this_cpu()->current;
    EXPECT(line != NULL);
    BREAKS("IRQ-1", host_irq_mask_bits &= ~(1u << 5), host_irq_mask_bits |= 1u << 5);
    BREAKS("IRQ-1", line->irq_state = IRQ_ARMED, line->irq_state = IRQ_DETACHED);
    BREAKS("IRQ-2", line->state = THREAD_READY, line->state = THREAD_HALTED);
    BREAKS("CPU-6", this_cpu()->current = line, this_cpu()->current = current);
    BREAKS("CPU-5", cpu_stretch.on = true, cpu_stretch.on = false);
    BREAKS("CPU-4", this_cpu()->fpu_owner = current, this_cpu()->fpu_owner = NULL);
}

/* The mask took effect after the interrupt had been raised: it is counted, and nothing else.  [G21] */
TEST(interrupt_on_a_line_that_is_not_armed)
{
    struct thread *line;
    uint32_t count;

    set_up();
    line = irq_thread(5);
    count = irq_count[5];
    irq_raise(5);
    EXPECT_EQ(irq_count[5], count + 1);
    EXPECT_EQ(line->irq_state, IRQ_DETACHED);
    EXPECT_EQ(line->state, THREAD_HALTED);
    EXPECT_EQ(all_failures(), 0);
}

/* A rule that nobody has broken is a rule that may check nothing. */
TEST(every_rule_has_been_broken)
{
    static const char *const groups[] = { "MDB", "CAP", "MEM", "IO", "OBJ", "THR", "IPC", "FLT", "IRQ", "CPU", "SCH" };
    unsigned seen = 0;

    for (unsigned i = 0; i < LINKSET_COUNT(check_rules); i++) {
        const struct check_rule *rule = LINKSET_GET(check_rules, i);
        bool known = false;

        for (unsigned g = 0; g < sizeof groups / sizeof *groups; g++)
            known |= !strcmp(groups[g], rule->group);
        if (!known)
            printf("group %s of %s has no test here, in test_memory.c or in test_sched.c\n", rule->group, rule->id);
        EXPECT(known);
        EXPECT(rule->what && strlen(rule->what) > 20);
        seen++;
    }
    EXPECT(seen >= 40);
}
