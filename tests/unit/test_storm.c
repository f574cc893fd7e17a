// SPDX-License-Identifier: MIT
/*
 * A storm: threads of several tasks map, unmap, create, convert and destroy at random, with time passing at
 * every preemption point so that each call is cut into pieces between which the others go on, and their
 * tasks, threads and the memory of all that vanish in mid-call.  Nothing is predicted; the invariants must
 * hold throughout, and when all is taken back the kernel's memory must be what it was.  [M 2.5.1] [G41] [G42]
 *
 * Arguments: steps=N seed=N.
 */
#include "arch/host/host.h"

#include "kernel/boot.h"
#include "kernel/check.h"
#include "kernel/cpu.h"
#include "kernel/ipc.h"
#include "kernel/reap.h"
#include "kernel/sys.h"
#include "tests/unit/random.h"
#include "tests/unit/unit.h"

#define AGENTS 4u
#define KPAGES L4_FPAGE(L4_CAP(L4_S0_KPAGE), L4_SPACE_CAP, 13u, L4_W)
#define EP(i)     (0x280u + (i))
#define AGENT(i)  (0x290u + 4u * (i)) /* task, thread, reservation */
#define FIRST 0x300u  /* names to play with: two tables of capabilities, a few pages, some ports */
#define NAMES 0x40u
#define PAGE_0 0x00800000u
#define SCRATCH 0x00400800u

static struct thread *agent[AGENTS], *now;
static unsigned long finished, refused, cut;
static bool quiet; /* no time passes */

static uint32_t pick(uint32_t n) { return below(n); }

static void report(struct check *c, const char *text)
{
    printf("%s: %s\n", c->rule->id, text);
}

static void check_kernel(void)
{
    struct check c = { .report = report };

    if (check_all(&c)) {
        puts("invariants violated");
        exit(1);
    }
}

static void pass_time(void)
{
    if (quiet)
        return;
    if (pick(2))
        host_advance(pick(12000000));
    if (pick(64) == 0)
        check_kernel();
}

/* ---- arguments ---- */

static uint32_t some_cap(void)
{
    static const uint16_t others[] = { 0, 1, 2, 3, 0x10, 0x40, EP(0), EP(1), EP(2), EP(3), AGENT(1), AGENT(2),
                                       AGENT(1) + 1, AGENT(2) + 1, 0x1400 };

    return pick(8) ? FIRST + pick(NAMES) : pick(4) ? 0x1400 + pick(16) : others[pick(ARRAY_SIZE(others))];
}

static uint32_t some_kpages(void)
{
    return pick(3) ? KPAGES : L4_FPAGE(L4_CAP(FIRST + pick(NAMES)), L4_SPACE_CAP, 12 + pick(7), 15);
}

static uint32_t some_page(void)
{
    static const uint32_t blocks[] = { PAGE_0, PAGE_0 + 0x400000, 0x20000000, 0x20400000, 0xbfc00000u };

    return blocks[pick(ARRAY_SIZE(blocks))] + pick(24) * PAGE_SIZE;
}

static uint32_t some_fpage(void)
{
    uint32_t rights = pick(3) ? 15 : pick(16);

    switch (pick(16)) {
    case 0: case 1: case 2: case 3: case 4: case 5:
        return L4_FPAGE(L4_CAP(some_cap()), L4_SPACE_CAP, 12 + (pick(3) ? 0 : pick(8)), rights);
    case 6: case 7: case 8: case 9: case 10: case 11:
        return L4_FPAGE(some_page(), L4_SPACE_MEM, pick(8) ? 12 + pick(6) : 22, rights);
    case 12: case 13: case 14:
        return L4_FPAGE((0x300 + pick(64)) << 12, L4_SPACE_IO, 12 + pick(7), rights);
    default:
        return random_state;
    }
}

/* What sigma0 must not lose: its own things and those of the agents, its memory, the boot kernel pages. */
static bool may_flush(const struct thread *t, uint32_t fpage)
{
    uint32_t base = fpage >> 12, order = (fpage >> 4) & 63u, space = (fpage >> 10) & 3u;

    if (t != agent[0])
        return true;
    if (space == L4_SPACE_CAP)
        return order >= 12 && order <= 22 && base >= FIRST && (base & ~((1u << (order - 12)) - 1u)) >= FIRST;
    return space == L4_SPACE_IO ? (fpage & 15u) == 0 : (fpage & 7u) == 0;
}

/* ---- one random call of the current thread ---- */

static void call(uint32_t w0, uint32_t w1, uint32_t w2, uint32_t w3, uint32_t w4)
{
    struct thread *t = now;

    now = host_call(t, w0, w1, w2, w3, w4);
    if (now == t && !(t->frame.w[0] & 15u))
        finished++;
    else if (now == t)
        refused++;
    else
        cut++;
}

static void random_item(void)
{
    uint32_t to = L4_CAP(EP(pick(AGENTS))), a = some_fpage(), b;

    b = (pick(2) ? L4_CAP(some_cap()) : some_page()) | L4_ITEM_MAP;
    if (pick(5) == 0) {
        a = some_kpages();
        b = (pick(2) ? L4_CAP(0x1400) | L4_SPACE_CAP << 10 : some_page()) | (12 + pick(12)) << 4 | L4_ITEM_TABRES;
    }
    now->tcr[L4_TCR_SNDRES] = some_kpages();
    call(L4_IPC_W0(to, 1, 0), L4_IPC_W1(L4_CAP_INVALID, 0, 0, L4_TS_ZERO), a, b, 0);
}

static void random_unmap(void)
{
    uint32_t word[4], unmaps = pick(4), flushes = pick(4 - unmaps), i;

    for (i = 0; i < 4; i++) {
        word[i] = some_fpage();
        if (i >= unmaps && !may_flush(now, word[i]))
            word[i] = 0;
    }
    call(unmaps << 4 | flushes << 12 | L4_SYS_UNMAP, word[0], word[1], word[2], word[3]);
}

static void random_create(void)
{
    static const uint8_t types[] = { 0, 1, 1, 2, 3, 3, 3, 4, 4, 4, 5 };
    uint32_t type = types[pick(sizeof types)], p0 = some_fpage(), p1 = 0;

    if (type == L4_TYPE_TASK)
        p1 = pick(2) ? (p0 & 0xfffu) | (p0 & 0xfffff000u) : 0;
    if (type == L4_TYPE_TASK && pick(3) == 0)
        p0 = 0;
    if (type == L4_TYPE_KPAGE && pick(4))
        p0 = L4_FPAGE(some_page(), L4_SPACE_MEM, 12 + pick(5), 15);
    call(L4_CAP(some_cap()) | type << 4 | L4_SYS_CREATE, some_kpages(), some_kpages(), p0, p1);
}

static void random_bind(void)
{
    uint32_t id = some_cap();
    const struct node *n = cap_lookup(now->task, id);

    if (n && node_kobj(n) == &agent[0]->obj) /* somebody must be left in the end */
        return;
    call(L4_CAP(id) | 1u << 4 | L4_SYS_THREAD_CONTROL, L4_TCR_TASK << 2 | 1u, pick(4) ? L4_CAP(some_cap()) : L4_CAP_INVALID, 0, 0);
}

static void random_call(unsigned self)
{
    switch (pick(16)) {
    case 0: case 1: case 2: case 3: case 4:
        random_item();
        break;
    case 5: case 6: case 7: case 8:
        call(L4_CAP_INVALID, L4_IPC_W1(L4_CAP(EP(self)), 1, 0, L4_TS_NEVER), 0, 0, 0);
        break;
    case 9: case 10: case 11:
        random_unmap();
        break;
    case 12: case 13: case 14:
        random_create();
        break;
    default:
        random_bind();
        break;
    }
}

/* ---- the stage ---- */

/* As sigma0, with nobody else getting in the way. */
static uint32_t certainly(uint32_t w0, uint32_t w1, uint32_t w2, uint32_t w3, uint32_t w4)
{
    struct thread *s0 = agent[0];

    now = host_call(s0, w0, w1, w2, w3, w4);
    for (unsigned i = 0; now != s0 && i < 1000; i++) {
        host_advance(3000000); /* the others use up what they have */
        now = now ? host_call(now, L4_CAP_INVALID | L4_SYS_THREAD_SWITCH, 0xffffffffu, 0, 0, 0) : host_run();
    }
    EXPECT(now == s0);
    return s0->frame.w[0];
}

static void make_agent(unsigned i)
{
    uint32_t id = AGENT(i), *period;
    struct thread *t;

    EXPECT_EQ(certainly(L4_CAP(id) | L4_TYPE_TASK << 4 | L4_SYS_CREATE, KPAGES, KPAGES,
                        L4_FPAGE(L4_CAP(EP(0)), L4_SPACE_CAP, 14, 15), L4_FPAGE(L4_CAP(EP(0)), L4_SPACE_CAP, 14, 15)), 0);
    EXPECT_EQ(certainly(L4_CAP(id + 1) | L4_TYPE_THREAD << 4 | L4_SYS_CREATE, KPAGES, KPAGES, 0, 0), 0);
    EXPECT_EQ(certainly(L4_CAP(id + 2) | L4_TYPE_RESERVATION << 4 | L4_SYS_CREATE, KPAGES, KPAGES, 0, 0), 0);
    EXPECT_EQ(certainly(L4_CAP(id + 1) | 1u << 4 | L4_SYS_THREAD_CONTROL, L4_TCR_TASK << 2 | 1u, L4_CAP(id), 0, 0), 1u << 4);
    if (unit_failures)
        exit(1);
    t = (struct thread *)node_kobj(cap_lookup(agent[0]->task, id + 1));
    period = host_access(agent[0]->task, SCRATCH, L4_W);
    EXPECT(period != NULL);
    *period = 10000;
    agent[0]->frame.ecx = SCRATCH;
    EXPECT_EQ(certainly(L4_CAP(id + 2) | L4_SCHED_SPLIT | L4_SYS_SCHEDULE, L4_CAP(L4_S0_RESERVATION), L4_CAP_INVALID, 255u << 24 | L4_SCHED_SOFT, 1000) & 15u, 0);
    EXPECT_EQ(certainly(L4_CAP(id + 2) | L4_SCHED_ASSOCIATE | L4_SYS_SCHEDULE, L4_CAP_INVALID, L4_CAP(id + 1) | 255u, 0, 0) & 15u, 0);
    agent[i] = t;
    t->tcr[L4_TCR_RCVRES] = KPAGES;
    t->tcr[L4_TCR_WINDOW + L4_SPACE_MEM] = L4_ALL_MEM;
    t->tcr[L4_TCR_WINDOW + L4_SPACE_CAP] = L4_ALL_CAP;
    t->tcr[L4_TCR_WINDOW + L4_SPACE_IO] = L4_ALL_IO;
    EXPECT_EQ(certainly(L4_CAP(id + 1) | L4_XR_SET_IP | L4_XR_HALT_GIVEN | L4_SYS_EXREGS, 0x400000, 0, 0, 0) & 15u, 0);
}

/* Task, thread and reservation of agent i, whatever it is doing. */
static void destroy_agent(unsigned i)
{
    EXPECT_EQ(certainly(1u << 12 | L4_SYS_UNMAP, L4_FPAGE(L4_CAP(AGENT(i)), L4_SPACE_CAP, 14, 15), 0, 0, 0) & 15u, 0);
    agent[i] = NULL;
}

static bool is_alive(unsigned i)
{
    const struct node *n = cap_lookup(agent[0]->task, AGENT(i) + 1);

    return agent[i] && n && node_kobj(n) == &agent[i]->obj && !kobj_is_dying(&agent[i]->obj) &&
           agent[i]->state != THREAD_HALTED;
}

/* Let the others finish what they are in, or end it. */
static void settle(void)
{
    unsigned i;

    quiet = true;
    for (i = 0; now != agent[0] && i < 200; i++) {
        if (now)
            now = host_call(now, L4_CAP_INVALID | L4_SYS_THREAD_SWITCH, 0xffffffffu, 0, 0, 0);
        if (!now && ipc_abort(agent[0], L4_D_NONE))
            now = host_run();
        host_advance(3000000);
        if (i == 100)
            (void)ipc_abort(agent[0], L4_D_NONE);
    }
    EXPECT(now == agent[0]);
}

TEST(storm)
{
    unsigned long steps = unit_number("steps", 12000), step, again = 0;
    uint32_t bytes, frames, bytes_now, frames_now, i, word;
    struct thread *s0;

    random_seed((uint32_t)unit_number("seed", 1234567));
    host_boot(&(struct host_config){ .megabytes = 32, .superpages = true });
    agent[0] = s0 = now = host_run();
    quiet = true;
    host_window = pass_time;
    s0->tcr[L4_TCR_WINDOW + L4_SPACE_CAP] = L4_FPAGE(L4_CAP(0x300), L4_SPACE_CAP, 18, 15);
    s0->tcr[L4_TCR_RCVRES] = KPAGES;
    /* tables that stay */
    EXPECT_EQ(certainly(L4_CAP(0x1400) | L4_TYPE_ENDPOINT << 4 | L4_SYS_CREATE, KPAGES, KPAGES, 0, 0), 0);
    EXPECT_EQ(certainly(1u << 12 | L4_SYS_UNMAP, L4_CAP_FPAGE(0x1400, 15), 0, 0, 0), 1u << 12);
    kmem_totals(&bytes, &frames);
    for (i = 0; i < AGENTS; i++)
        EXPECT_EQ(certainly(L4_CAP(EP(i)) | L4_TYPE_ENDPOINT << 4 | L4_SYS_CREATE, KPAGES, KPAGES, 0, 0), 0);
    for (step = 0; step < steps && !unit_failures; step++) {
        if (step % 64 == 0) {
            settle();
            for (i = 1; i < AGENTS; i++) {
                if (agent[i] && (!is_alive(i) || pick(12) == 0)) {
                    destroy_agent(i);
                    again++;
                }
                if (!agent[i])
                    make_agent(i);
            }
            if (pick(8) == 0) /* all that was made so far goes, while the others are at it */
                (void)certainly(1u << 12 | L4_SYS_UNMAP, L4_FPAGE(L4_CAP(FIRST), L4_SPACE_CAP, 18, 15), 0, 0, 0);
            quiet = false;
        }
        for (i = 0; i < AGENTS && now != agent[i]; i++)
            ;
        if (!now) {
            i = pick(AGENTS);
            if (agent[i] && is_alive(i))
                (void)ipc_abort(agent[i], L4_D_NONE);
            else
                (void)ipc_abort(s0, L4_D_NONE);
            now = host_run();
        } else if (i == AGENTS) {
            printf("step %lu: th%u runs, whom nobody gave time\n", step, now->obj.id);
            exit(1);
        } else {
            random_call(i);
        }
        if (step % 32 == 0)
            check_kernel();
    }
    /* take everything back */
    settle();
    for (i = 1; i < AGENTS; i++)
        if (agent[i])
            destroy_agent(i);
    word = L4_FPAGE(L4_CAP(0), L4_SPACE_CAP, 32, 15);
    (void)certainly(1u << 4 | L4_SYS_UNMAP, word, 0, 0, 0);
    for (i = 0x200; i < 0x400; i += 0x40)
        EXPECT_EQ(certainly(1u << 12 | L4_SYS_UNMAP, L4_FPAGE(L4_CAP(i), L4_SPACE_CAP, 18, 15), 0, 0, 0) & 15u, 0);
    EXPECT_EQ(certainly(1u << 12 | L4_SYS_UNMAP, L4_FPAGE(L4_CAP(0x1400), L4_SPACE_CAP, 22, 15), 0, 0, 0) & 15u, 0);
    EXPECT_EQ(certainly(1u << 12 | L4_SYS_UNMAP, L4_CAP_FPAGE(0, 15), 0, 0, 0) & 15u, 0);
    EXPECT_EQ(certainly(2u << 4 | L4_SYS_UNMAP, L4_ALL_MEM, L4_ALL_IO, 0, 0) & 15u, 0);
    EXPECT(!reap_pending());
    check_kernel();
    kmem_totals(&bytes_now, &frames_now);
    EXPECT_EQ(bytes_now, bytes);
    EXPECT_EQ(frames_now, frames);
    if (unit_failures)
        for (struct kobj *o = kobj_next(NULL); o; o = kobj_next(o))
            printf("%s%u name 0x%x\n", kobj_prefix(o->type), o->id, o->root.name);
    printf("# %lu calls done, %lu refused, %lu cut or blocked, %lu agents replaced\n", finished, refused, cut, again);
}
