// SPDX-License-Identifier: MIT
/*
 * The kernel against a model: several tasks map, unmap, flush, create, convert and destroy at random by
 * real system calls; a naive model (records in one array, recursion, nothing shared with the kernel)
 * says what every name must hold.  After each step all names are compared and the invariants run.
 * [M 2.1.1] [M 2.5] [M 2.5.1] [G26] [G40] [G41]
 *
 * Arguments: steps=N seed=N.
 */
#include "arch/host/host.h"

#include "kernel/boot.h"
#include "kernel/check.h"
#include "kernel/cpu.h"
#include "kernel/ipc.h"
#include "kernel/sys.h"
#include "tests/unit/random.h"
#include "tests/unit/unit.h"

#define AGENTS 4u
#define CAPS_FIRST 0x20u /* names that the game is played with */
#define CAPS 10u
#define PAGES_FIRST 0x80000000u
#define PAGES 8u
#define RECORDS 512u
#define OBJECTS 4096u

/* ---- the model ---- */

struct record {
    bool alive;
    unsigned task, space, name; /* name: index in the agent's names of that space */
    unsigned object, rights;
    int parent;
    unsigned home;              /* kernel page that stores the node; 0: one that never goes */
};

struct object {
    bool alive, converted;
    enum l4_type type;
    unsigned home;              /* kernel page it lives in; 0: one that never goes */
    int by;                     /* kernel page: the record that was converted */
    unsigned page;              /* kernel page: the memory object */
};

static struct record records[RECORDS];
static struct object objects[OBJECTS];
static unsigned object_count;
static uint32_t page_phys[PAGES];

static int find(unsigned task, unsigned space, unsigned name)
{
    for (unsigned i = 0; i < RECORDS; i++)
        if (records[i].alive && records[i].task == task && records[i].space == space &&
            records[i].name == name)
            return (int)i;
    return -1;
}

static int add(unsigned task, unsigned space, unsigned name, unsigned object, unsigned rights,
               int parent, unsigned home)
{
    for (unsigned i = 0; i < RECORDS; i++) {
        if (records[i].alive)
            continue;
        records[i] = (struct record){ true, task, space, name, object, rights, parent, home };
        return (int)i;
    }
    abort();
}

static void kill_object(unsigned o);

static void lose(int r, unsigned mask);

static void lose_children(int r, unsigned mask)
{
    for (unsigned i = 0; i < RECORDS; i++)
        if (records[i].alive && records[i].parent == r)
            lose((int)i, mask);
}

static void release_conversions(int r)
{
    for (unsigned o = 1; o <= object_count; o++)
        if (objects[o].alive && objects[o].type == L4_TYPE_KPAGE && objects[o].by == r)
            kill_object(o);
}

/* The record and all below lose rights; what has none left is gone. */
static void lose(int r, unsigned mask)
{
    struct record *record = &records[r];

    if (!record->alive)
        return;
    lose_children(r, mask);
    if (!record->alive)
        return;
    record->rights &= ~mask;
    if (record->space == L4_SPACE_MEM && !(record->rights & L4_T))
        release_conversions(r);
    if (!record->alive || record->rights)
        return;
    record->alive = false;
    if (record->parent < 0 && record->space == L4_SPACE_CAP)
        kill_object(record->object);
}

static void kill_object(unsigned o)
{
    if (!objects[o].alive)
        return;
    objects[o].alive = false;
    for (unsigned i = 0; i < RECORDS; i++)
        if (records[i].alive && records[i].object == o && records[i].space == L4_SPACE_CAP)
            lose((int)i, 15);
    if (objects[o].type != L4_TYPE_KPAGE)
        return;
    objects[objects[o].page].converted = false;
    for (unsigned i = 0; i < RECORDS; i++)
        if (records[i].alive && records[i].home == o)
            lose((int)i, 15);
    for (unsigned i = 1; i <= object_count; i++)
        if (objects[i].alive && objects[i].home == o)
            kill_object(i);
}

/* Slots of dead objects are used again. */
static unsigned object_new(enum l4_type type, unsigned home)
{
    unsigned o = 1;

    while (o <= object_count && objects[o].alive)
        o++;
    if (o > object_count)
        object_count = o;
    if (o >= OBJECTS)
        abort();
    objects[o] = (struct object){ .alive = true, .type = type, .home = home, .by = -1 };
    return o;
}

/* ---- the agents ---- */

static struct thread *agent[AGENTS];
static bool waiting[AGENTS];
static unsigned long tried, done;
static uint32_t kernel_object[OBJECTS]; /* model object -> kernel object or physical page */

static unsigned pick(unsigned n) { return n ? below(n) : 0; }

static uint32_t cap_name(unsigned i) { return L4_CAP(CAPS_FIRST + i); }
static uint32_t page_name(unsigned task, unsigned i)
{
    return task == 0 ? page_phys[i] : PAGES_FIRST + i * PAGE_SIZE;
}
static uint32_t name_of(unsigned task, unsigned space, unsigned i)
{
    return space == L4_SPACE_CAP ? cap_name(i) : page_name(task, i);
}

#define KPAGES L4_FPAGE(L4_CAP(L4_S0_KPAGE), L4_SPACE_CAP, 13u, L4_W)
#define AGENT_EP(i) (0x2c0u + (i)) /* agent i receives here; all may send and map */

static struct thread *now; /* whom the kernel would run */

static uint32_t call(struct thread *t, uint32_t w0, uint32_t w1, uint32_t w2, uint32_t w3, uint32_t w4)
{
    now = host_call(t, w0, w1, w2, w3, w4);
    return t->frame.w[0];
}

/* Let the others yield until t runs. */
static void let_run(struct thread *t)
{
    for (unsigned i = 0; now != t && i < 100; i++)
        (void)call(now, L4_CAP_INVALID | L4_SYS_THREAD_SWITCH, 0xffffffffu, 0, 0, 0);
    EXPECT(now == t);
}

static int agent_of(const struct thread *t)
{
    for (unsigned i = 0; i < AGENTS; i++)
        if (agent[i] == t)
            return (int)i;
    return -1;
}

static unsigned names(unsigned space) { return space == L4_SPACE_CAP ? CAPS : PAGES; }

/* Mostly live names, so that most calls do something. */
static unsigned some_name(unsigned task, unsigned space)
{
    unsigned n = pick(names(space));

    for (unsigned i = 0; i < 6 && find(task, space, n) < 0 && pick(5); i++)
        n = pick(names(space));
    return n;
}

static void do_map(unsigned a)
{
    unsigned space = pick(2) ? L4_SPACE_CAP : L4_SPACE_MEM, to = pick(AGENTS), src, dst, rights, home = 0;
    struct thread *t = agent[a];
    uint32_t w0, mapres = 0;
    int s, d, k;

    if (to == a || !waiting[to])
        return;
    src = some_name(a, space);
    dst = pick(names(space));
    rights = pick(4) ? 15 : pick(16);
    s = find(a, space, src);
    /* sometimes the node is paid from a kernel page of our own */
    k = find(a, L4_SPACE_CAP, pick(CAPS));
    if (k >= 0 && objects[records[k].object].type == L4_TYPE_KPAGE && (records[k].rights & L4_W)) {
        home = records[k].object;
        mapres = L4_CAP_FPAGE(CAPS_FIRST + records[k].name, L4_W);
    }
    tried++;
    if (mapres) {
        t->tcr[L4_TCR_SNDRES] = mapres;
    }
    w0 = call(t, L4_IPC_W0(L4_CAP(AGENT_EP(to)), 1, 0), L4_IPC_W1(L4_CAP_INVALID, 0, 0, L4_TS_ZERO),
              L4_FPAGE(name_of(a, space, src), space, 12, rights),
              (name_of(to, space, dst) & 0xfffff000u) | L4_ITEM_MAP, 0);
    t->tcr[L4_TCR_SNDRES] = KPAGES;
    waiting[to] = false;
    if (s < 0 || !(records[s].rights & rights)) {
        EXPECT_EQ(L4_ERR_BASE(w0), L4_MAP);
        return;
    }
    d = find(to, space, dst);
    if (d >= 0 && records[d].parent == s) {
        EXPECT_EQ(L4_ERR_BASE(w0), 0);
        records[d].rights |= records[s].rights & rights;
        done++;
    } else if (d >= 0) {
        EXPECT_EQ(L4_ERR_DETAIL(w0), L4_D_OCCUPIED);
    } else if (L4_ERR_BASE(w0) == 0) {
        add(to, space, dst, records[s].object, records[s].rights & rights, s, home);
        done++;
    } else {
        EXPECT_EQ(L4_ERR_DETAIL(w0), L4_D_RES_FULL);
    }
}

static void do_receive(unsigned a)
{
    unsigned i, ready = 0;

    for (i = 0; i < AGENTS; i++)
        ready += !waiting[i];
    if (ready < 2)
        return;
    waiting[a] = true;
    (void)call(agent[a], L4_IPC_W0(L4_CAP_INVALID, 0, 0), L4_IPC_W1(L4_CAP(AGENT_EP(a)), 1, 0, L4_TS_NEVER), 0, 0, 0);
}

static void do_unmap(unsigned a)
{
    unsigned space = pick(2) ? L4_SPACE_CAP : L4_SPACE_MEM, n = some_name(a, space);
    unsigned mask = pick(3) ? 15 : pick(16), order = pick(4) ? 0 : pick(3);
    bool flush = pick(2) && (a != 0 || space == L4_SPACE_CAP);
    uint32_t base = name_of(a, space, n & ~((1u << order) - 1u));

    if (space == L4_SPACE_MEM && a == 0)
        order = 0; /* sigma0's pages are not at aligned addresses */
    if (order == 0)
        base = name_of(a, space, n);
    else if (base & ((PAGE_SIZE << order) - 1u))
        return;
    n = order ? n & ~((1u << order) - 1u) : n;
    tried++;
    EXPECT_EQ(call(agent[a], (flush ? 1u << 12 : 1u << 4) | L4_SYS_UNMAP, L4_FPAGE(base, space, 12 + order, mask), 0, 0, 0) & 15u, 0);
    done++;
    for (unsigned i = n; i < n + (1u << order); i++) {
        int r = i < names(space) ? find(a, space, i) : -1;

        if (r < 0)
            continue;
        if (flush)
            lose(r, mask);
        else
            lose_children(r, mask);
    }
}

/* A kernel page of a's names that it may allocate in, or the common ones. */
static uint32_t resources(unsigned a, unsigned *home)
{
    int k = find(a, L4_SPACE_CAP, pick(CAPS));

    *home = 0;
    if (k < 0 || objects[records[k].object].type != L4_TYPE_KPAGE || !(records[k].rights & L4_W))
        return KPAGES;
    *home = records[k].object;
    return L4_CAP_FPAGE(CAPS_FIRST + records[k].name, L4_W);
}

static void do_create(unsigned a)
{
    unsigned n = pick(CAPS), home;
    uint32_t res = resources(a, &home), w0;

    tried++;
    w0 = call(agent[a], cap_name(n) | L4_TYPE_ENDPOINT << 4 | L4_SYS_CREATE, res, KPAGES, 0, 0);
    if (find(a, L4_SPACE_CAP, n) >= 0) {
        EXPECT_EQ(L4_ERR_BASE(w0), L4_EXISTS);
    } else if (L4_ERR_BASE(w0) != L4_NOMEM) {
        EXPECT_EQ(w0, 0);
        add(a, L4_SPACE_CAP, n, home = object_new(L4_TYPE_ENDPOINT, home), 15, -1, 0);
        kernel_object[home] = cap_lookup(agent[a]->task, CAPS_FIRST + n)->obj;
        done++;
    }
}

static void do_convert(unsigned a)
{
    unsigned n = pick(CAPS), p = some_name(a, L4_SPACE_MEM), home;
    uint32_t res = resources(a, &home), w0;
    int r = find(a, L4_SPACE_MEM, p);

    tried++;
    w0 = call(agent[a], cap_name(n) | L4_TYPE_KPAGE << 4 | L4_SYS_CREATE, res, KPAGES, L4_FPAGE(page_name(a, p), L4_SPACE_MEM, 12, L4_T), 0);
    if (find(a, L4_SPACE_CAP, n) >= 0) {
        EXPECT_EQ(L4_ERR_BASE(w0), L4_EXISTS);
    } else if (r < 0 || !(records[r].rights & L4_T) || objects[records[r].object].converted) {
        EXPECT_EQ(L4_ERR_BASE(w0), L4_CAP);
    } else if (L4_ERR_BASE(w0) != L4_NOMEM) {
        unsigned o = object_new(L4_TYPE_KPAGE, home);

        EXPECT_EQ(w0, 0);
        objects[o].by = r;
        objects[o].page = records[r].object;
        objects[records[r].object].converted = true;
        add(a, L4_SPACE_CAP, n, o, 15, -1, 0);
        kernel_object[o] = cap_lookup(agent[a]->task, CAPS_FIRST + n)->obj;
        done++;
    }
}

static void compare_names(unsigned long step)
{
    for (unsigned a = 0; a < AGENTS; a++) {
        for (unsigned space = 0; space < 2; space++) {
            for (unsigned i = 0; i < names(space); i++) {
                uint32_t name = name_of(a, space, i);
                struct node *n = space == L4_SPACE_CAP ? cap_lookup(agent[a]->task, name >> 12)
                                                       : mem_lookup(agent[a]->task, name);
                int r = find(a, space, i);

                if ((n != NULL) != (r >= 0)) {
                    printf("step %lu: agent %u space %u name %u: kernel %s, model %s\n", step, a, space, i,
                           n ? "has it" : "empty", r >= 0 ? "has it" : "empty");
                    exit(1);
                }
                if (!n)
                    continue;
                EXPECT_EQ(node_rights(n), records[r].rights);
                EXPECT_EQ(n->obj, kernel_object[records[r].object]);
                if (space == L4_SPACE_MEM) {
                    bool expected = (records[r].rights & L4_R) && !objects[records[r].object].converted;
                    const struct kres none = { .task = agent[a]->task };
                    bool have = host_access(agent[a]->task, name, L4_R) != NULL ||
                                (mem_refill(agent[a]->task, name, L4_R, &none) == L4_D_NONE &&
                                 host_access(agent[a]->task, name, L4_R) != NULL);

                    EXPECT_EQ(have, expected);
                }
            }
        }
    }
}

static void report(struct check *c, const char *text)
{
    printf("%s: %s\n", c->rule->id, text);
}

static void check_kernel(unsigned long step)
{
    struct check c = { .report = report };

    if (check_all(&c)) {
        printf("invariants violated after step %lu\n", step);
        exit(1);
    }
}

/*
 * Little memory, so that the invariants, which look at all of it, take little time: nothing below 1 MB, and
 * above 4 MB what the game needs.
 */
static void shrink(struct boot_desc *desc)
{
    static const struct boot_range range = { 0x100000, 0x497000, L4_MEM_RAM };

    desc->ranges = &range;
    desc->range_count = 1;
}

/* Create agents 1..: a task with a thread that has been started, all endpoints, common kernel pages. */
static void set_up(void)
{
    struct thread *s0;

    host_boot(&(struct host_config){ .megabytes = 5, .alter = shrink });
    s0 = host_run();
    EXPECT(s0 != NULL);
    agent[0] = s0;
    for (unsigned i = 0; i < AGENTS; i++)
        EXPECT_EQ(call(s0, L4_CAP(AGENT_EP(i)) | L4_TYPE_ENDPOINT << 4 | L4_SYS_CREATE, KPAGES, KPAGES, 0, 0), 0);
    for (unsigned i = 1; i < AGENTS; i++) {
        uint32_t task = 0x300 + 8 * i, th = task + 1, res = task + 2;
        struct node *n;

        EXPECT_EQ(call(s0, L4_CAP(task) | L4_TYPE_TASK << 4 | L4_SYS_CREATE, KPAGES, KPAGES, L4_FPAGE(L4_CAP(AGENT_EP(0)), L4_SPACE_CAP, 14, 15), L4_FPAGE(L4_CAP(AGENT_EP(0)), L4_SPACE_CAP, 14, 15)), 0);
        EXPECT_EQ(call(s0, L4_CAP(th) | L4_TYPE_THREAD << 4 | L4_SYS_CREATE, KPAGES, KPAGES, 0, 0), 0);
        EXPECT_EQ(call(s0, L4_CAP(res) | L4_TYPE_RESERVATION << 4 | L4_SYS_CREATE, KPAGES, KPAGES, 0, 0), 0);
        EXPECT_EQ(call(s0, L4_CAP(th) | 1u << 4 | L4_SYS_THREAD_CONTROL, L4_TCR_TASK << 2 | 1u, L4_CAP(task), 0, 0), 1u << 4);
        n = cap_lookup(s0->task, th);
        agent[i] = (struct thread *)node_kobj(n);
        /* a share of the processor; the period is W5, in a page of sigma0's */
        s0->frame.ecx = 0x00400800u;
        {
            uint32_t *period = host_access(s0->task, 0x00400800u, L4_W);

            EXPECT(period != NULL);
            *period = 100000;
        }
        EXPECT_EQ(call(s0, L4_CAP(res) | L4_SCHED_SPLIT | L4_SYS_SCHEDULE, L4_CAP(L4_S0_RESERVATION), L4_CAP_INVALID, 255u << 24 | L4_SCHED_SOFT, 1000) & 15u, 0);
        EXPECT_EQ(call(s0, L4_CAP(res) | L4_SCHED_ASSOCIATE | L4_SYS_SCHEDULE, L4_CAP_INVALID, L4_CAP(th) | 255u, 0, 0) & 15u, 0);
        EXPECT_EQ(call(s0, L4_CAP(th) | L4_XR_SET_IP | L4_XR_HALT_GIVEN | L4_SYS_EXREGS, 0x400000, 0, 0, 0) & 15u, 0);
        agent[i]->tcr[L4_TCR_SNDRES] = KPAGES;
        agent[i]->tcr[L4_TCR_RCVRES] = KPAGES;
        let_run(s0);
    }
    s0->tcr[L4_TCR_SNDRES] = KPAGES;
    for (unsigned i = 0; i < AGENTS; i++) {
        agent[i]->tcr[L4_TCR_WINDOW] = L4_ALL_MEM;
        agent[i]->tcr[L4_TCR_WINDOW + 1] = L4_ALL_CAP;
    }
    /* the common kernel pages, by a message to each */
    for (unsigned i = 1; i < AGENTS; i++) {
        let_run(agent[i]);
        (void)call(agent[i], L4_IPC_W0(L4_CAP_INVALID, 0, 0), L4_IPC_W1(L4_CAP(AGENT_EP(i)), 1, 0, L4_TS_NEVER), 0, 0, 0);
        let_run(s0);
        EXPECT_EQ(call(s0, L4_IPC_W0(L4_CAP(AGENT_EP(i)), 1, 0), L4_IPC_W1(L4_CAP_INVALID, 0, 0, L4_TS_ZERO), L4_FPAGE(L4_CAP(L4_S0_KPAGE), L4_SPACE_CAP, 13, 15), L4_CAP(L4_S0_KPAGE) | L4_ITEM_MAP, 0) & 15u, 0);
    }
    for (unsigned i = 0; i < PAGES; i++) {
        unsigned o = object_new(L4_TYPE_MEMORY, 0);
        struct node *n;

        page_phys[i] = 0x00410000u + i * 3 * PAGE_SIZE;
        n = mem_lookup(s0->task, page_phys[i]);
        EXPECT(n != NULL && node_size(n) == 12);
        add(0, L4_SPACE_MEM, i, o, 15, -1, 0);
        kernel_object[o] = n ? n->obj : 0;
    }
    check_kernel(0);
}

TEST(random)
{
    unsigned long steps = unit_number("steps", 20000), step;

    random_seed((uint32_t)unit_number("seed", 20261128));
    set_up();
    for (step = 1; step <= steps; step++) {
        int a;

        EXPECT(now != NULL);
        a = agent_of(now);
        EXPECT(a >= 0);
        if (unit_failures)
            break;
        switch (pick(12)) {
        case 0: case 1: case 2: case 3:
            do_map((unsigned)a);
            break;
        case 4: case 5: case 6:
            do_receive((unsigned)a);
            break;
        case 7: case 8:
            do_unmap((unsigned)a);
            break;
        case 9:
            do_create((unsigned)a);
            break;
        case 10:
            do_convert((unsigned)a);
            break;
        default:
            (void)call(now, L4_CAP_INVALID | L4_SYS_THREAD_SWITCH, 0xffffffffu, 0, 0, 0);
            break;
        }
        compare_names(step);
        check_kernel(step);
        if (unit_failures) {
            printf("first difference after step %lu\n", step);
            break;
        }
    }
    printf("# %lu steps, %lu of %lu calls changed something, %u objects\n", step - 1, done, tried, object_count);
    EXPECT(done * 4 > tried);
}
