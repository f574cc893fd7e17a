// SPDX-License-Identifier: MIT
/*
 * Every reachable state of a few pages of memory: tasks map them on with three right sets (read, convert, both),
 * unmap and flush them one by one or together, convert them to kernel pages and destroy those again.  From each
 * state each operation is made by real system calls, interrupted at every preemption point, and compared with a
 * model that is a table and a recursion; each new state is explored in turn, and all invariants run in it.
 * [M 2.1.1] [M 2.5] [G25] [G40]
 *
 * Arguments: tasks=4 pages=2 (the defaults are 3 and 2, with sanitizers 3 and 1), checks=N runs the invariants in each N-th state.
 */
#include "arch/host/host.h"

#include <arch/memory.h>
#include "kernel/check.h"
#include "kernel/cpu.h"
#include "kernel/map.h"
#include "kernel/mapdb.h"
#include "kernel/reap.h"
#include "kernel/sys.h"
#include "tests/unit/unit.h"

#include "tests/unit/explore.h"

#define TASKS 4u
#define PAGES 2u
#define SETS  3u           /* right sets: r, t, rt as 1, 2, 3 */
#define CAN_CONVERT 2u
#define KPAGES L4_FPAGE(L4_CAP(L4_S0_KPAGE), L4_SPACE_CAP, 13u, L4_W)
#define ROOTS  0x00420000u /* sigma0's pages */
#define NAMES  0x80000000u /* in the other tasks */
#define KPAGE(o) (0x180u + (o)) /* whoever converts page o names it so */
#define MARK 0x5eedu       /* in a kernel page, to see that it is cleared */

/* by: 1 + the task that converted the page.  Task 0 is sigma0 and has all rights. */
struct state { uint8_t rights[TASKS][PAGES], parent[TASKS][PAGES], by[PAGES]; };

static unsigned tasks_used, pages_used;
static struct thread *s0;
static struct task *tasks[TASKS];
static paddr_t frame_at[PAGES];
static unsigned long transitions;

static uint32_t kernel_rights(unsigned set) { return (set & 1u ? L4_R : 0) | (set & CAN_CONVERT ? L4_T : 0); }
static uint32_t name_of(unsigned t, unsigned o) { return (t ? NAMES : ROOTS) + o * PAGE_SIZE; }
static struct node *node_of(unsigned t, unsigned o) { return mem_lookup(tasks[t], name_of(t, o)); }

static uint32_t pack(const struct state *s)
{
    uint32_t key = 0;

    for (unsigned o = 0; o < pages_used; o++) {
        for (unsigned t = 1; t < tasks_used; t++)
            key = key << 4 | s->rights[t][o] | (s->rights[t][o] ? (uint32_t)s->parent[t][o] << 2 : 0);
        key = key << 3 | s->by[o];
    }
    return key;
}

static struct state unpack(uint32_t key)
{
    struct state s = { 0 };

    for (unsigned o = pages_used; o-- > 0;) {
        s.by[o] = key & 7u;
        key >>= 3;
        for (unsigned t = tasks_used - 1; t >= 1; t--, key >>= 4) {
            s.rights[t][o] = key & 3u;
            s.parent[t][o] = (key >> 2) & 3u;
        }
        s.rights[0][o] = 3;
    }
    return s;
}

/* ---- the model ---- */

static void model_lose(struct state *s, unsigned t, unsigned o, unsigned mask, bool self)
{
    for (unsigned child = 1; child < tasks_used; child++)
        if (child != t && s->rights[child][o] && s->parent[child][o] == t)
            model_lose(s, child, o, mask, true);
    if (!self)
        return;
    s->rights[t][o] &= (uint8_t)~mask;
    if (s->by[o] == t + 1u && !(s->rights[t][o] & CAN_CONVERT))
        s->by[o] = 0;
}

static void model_map(struct state *s, unsigned from, unsigned to, unsigned o, unsigned set)
{
    unsigned granted = s->rights[from][o] & set;

    if (!granted || (s->rights[to][o] && s->parent[to][o] != from))
        return;
    s->rights[to][o] |= (uint8_t)granted;
    s->parent[to][o] = (uint8_t)from;
}

static void model_convert(struct state *s, unsigned t, unsigned o)
{
    if ((s->rights[t][o] & CAN_CONVERT) && !s->by[o])
        s->by[o] = (uint8_t)(t + 1u);
}

/* ---- the kernel: sigma0's thread acts for each task ---- */

static uint32_t call_as(unsigned t, uint32_t w0, uint32_t w1, uint32_t w2, uint32_t w3)
{
    struct thread *next;

    s0->task = tasks[t];
    next = host_call(s0, w0, w1, w2, w3, 0);
    s0->task = tasks[0];
    if (next != s0) {
        puts("the caller did not come back");
        exit(1);
    }
    return s0->frame.w[0];
}

static void kernel_map(unsigned from, unsigned to, unsigned o, unsigned set)
{
    struct map_state state = { 0 };
    const struct map_job job = {
        .from = tasks[from], .to = tasks[to], .state = &state, .nodes = { .task = tasks[0], .fpage = KPAGES }, .from_tables = KPAGES,
        .space = L4_SPACE_MEM, .order = 12, .rights = (uint8_t)kernel_rights(set), .source = name_of(from, o),
        .destination = name_of(to, o), .names = 1,
    };

    map_reset(&state);
    while (map_run(&job) != STEP_DONE)
        ;
}

/* Pages o to o + 2^order - 1. */
static void kernel_lose(unsigned t, unsigned o, unsigned order, unsigned set, bool self)
{
    (void)call_as(t, (self ? 1u << 12 : 1u << 4) | L4_SYS_UNMAP,
                  L4_FPAGE(name_of(t, o), L4_SPACE_MEM, 12 + order, kernel_rights(set)), 0, 0);
}

static void kernel_convert(unsigned t, unsigned o)
{
    if (call_as(t, L4_CAP(KPAGE(o)) | L4_TYPE_KPAGE << 4 | L4_SYS_CREATE, KPAGES, KPAGES,
                L4_FPAGE(name_of(t, o), L4_SPACE_MEM, 12, L4_T)) == 0)
        *(uint32_t *)phys_to_virt(frame_at[o]) = MARK;
}

static void kernel_destroy(unsigned t, unsigned o)
{
    (void)call_as(t, 1u << 12 | L4_SYS_UNMAP, L4_CAP_FPAGE(KPAGE(o), 15), 0, 0);
}

static void clear(void)
{
    for (unsigned o = 0; o < pages_used; o++) {
        kernel_destroy(0, o);
        kernel_lose(0, o, 0, 3, false);
    }
}

/* Parents first: a child's task may have a smaller number. */
static void build(const struct state *s)
{
    for (unsigned o = 0; o < pages_used; o++) {
        for (unsigned round = 1; round < tasks_used; round++)
            for (unsigned t = 1; t < tasks_used; t++)
                if (s->rights[t][o] && !node_of(t, o) && node_of(s->parent[t][o], o))
                    kernel_map(s->parent[t][o], t, o, s->rights[t][o]);
        if (s->by[o])
            kernel_convert(s->by[o] - 1u, o);
    }
}

/* What the kernel has, in terms of the model; false if it contradicts itself. */
static bool extract(struct state *s)
{
    *s = (struct state){ 0 };
    for (unsigned o = 0; o < pages_used; o++) {
        for (unsigned t = 0; t < tasks_used; t++) {
            const struct node *n = node_of(t, o), *kp = cap_lookup(tasks[t], KPAGE(o));

            if (kp && (s->by[o] || node_rights(kp) != L4_RIGHTS_ALL))
                return false;
            if (kp)
                s->by[o] = (uint8_t)(t + 1u);
            if (!n)
                continue;
            s->rights[t][o] = (uint8_t)((node_rights(n) & L4_R ? 1u : 0) | (node_rights(n) & L4_T ? CAN_CONVERT : 0));
            for (unsigned p = 0; t && p < tasks_used; p++)
                if (node_of(p, o) == n->parent)
                    s->parent[t][o] = (uint8_t)p;
        }
        for (unsigned t = 0; t < tasks_used; t++) {
            const struct kres none = { .task = tasks[t] };
            bool expected = (s->rights[t][o] & 1u) && !s->by[o];
            uint32_t *word = NULL;

            if (host_access(tasks[t], name_of(t, o), L4_R) || mem_refill(tasks[t], name_of(t, o), L4_R, &none) == L4_D_NONE)
                word = host_access(tasks[t], name_of(t, o), L4_R);
            if ((word != NULL) != expected || (word && *word == MARK))
                return false;
        }
    }
    return !reap_pending() && !revoke_active;
}

static void compare(uint32_t from, const struct state *model, const char *what)
{
    struct state kernel;

    transitions++;
    if (!extract(&kernel) || pack(&kernel) != pack(model)) {
        printf("after %s in state %08x: kernel %08x, model %08x\n", what, from, pack(&kernel), pack(model));
        exit(1);
    }
    meet(pack(model));
    clear();
}

static void explore_page(uint32_t key, const struct state *start, unsigned t, unsigned o)
{
    struct state model;

    for (unsigned to = 1; to < tasks_used; to++) {
        for (unsigned set = 1; start->rights[t][o] && to != t && set <= SETS; set++) {
            build(start);
            model = *start;
            model_map(&model, t, to, o, set);
            kernel_map(t, to, o, set);
            compare(key, &model, "map");
        }
    }
    build(start);
    model = *start;
    model_convert(&model, t, o);
    kernel_convert(t, o);
    compare(key, &model, "convert");
    if (start->by[o] == t + 1u) {
        build(start);
        model = *start;
        model.by[o] = 0;
        kernel_destroy(t, o);
        compare(key, &model, "destroy");
    }
}

static void explore(uint32_t key)
{
    const struct state start = unpack(key);

    for (unsigned t = 0; t < tasks_used; t++) {
        for (unsigned o = 0; o < pages_used; o++)
            explore_page(key, &start, t, o);
        /* one page, or both at once */
        for (unsigned o = 0; o < pages_used + (pages_used == 2 ? 1u : 0); o++) {
            for (unsigned set = 1; set <= SETS; set++) {
                for (unsigned self = 0; self < (t ? 2u : 1u); self++) {
                    bool both = o == pages_used;
                    struct state model = start;

                    build(&start);
                    for (unsigned p = both ? 0 : o; p <= (both ? 1u : o); p++)
                        model_lose(&model, t, p, set, self != 0);
                    kernel_lose(t, both ? 0 : o, both ? 1 : 0, set, self != 0);
                    compare(key, &model, self ? "flush" : "unmap");
                }
            }
        }
    }
}

static void report(struct check *c, const char *text)
{
    printf("%s: %s\n", c->rule->id, text);
}

static void preempt_always(void)
{
    this_cpu()->resched = true;
}

TEST(every_state_of_pages)
{
    unsigned checks = (unsigned)unit_number("checks", 1);

    tasks_used = (unsigned)unit_number("tasks", 3);
#ifdef __SANITIZE_ADDRESS__
    pages_used = (unsigned)unit_number("pages", 1);
#else
    pages_used = (unsigned)unit_number("pages", 2);
#endif
    EXPECT(tasks_used >= 2 && tasks_used <= TASKS && pages_used >= 1 && pages_used <= PAGES);
    host_boot(&(struct host_config){ .megabytes = 5 });
    s0 = host_run();
    tasks[0] = s0->task;
    for (unsigned t = 1; t < tasks_used; t++) {
        s0 = host_call(s0, L4_CAP(0x300 + t) | L4_TYPE_TASK << 4 | L4_SYS_CREATE, KPAGES, KPAGES, KPAGES, KPAGES);
        EXPECT_EQ(s0->frame.w[0], 0);
        tasks[t] = (struct task *)(void *)node_kobj(cap_lookup(tasks[0], 0x300 + t));
    }
    for (unsigned o = 0; o < pages_used; o++)
        frame_at[o] = node_of(0, o)->obj;
    explore_begin(pages_used * (4u * (tasks_used - 1u) + 3u), 1u << 20);
    host_window = preempt_always;
    meet(pack(&(struct state){ 0 }));
    for (uint32_t at = 0; at < queued && queued < 1u << 20; at++) {
        explore(queue[at]);
        if (at % checks == 0) {
            const struct state s = unpack(queue[at]);
            struct check c = { .report = report };

            build(&s);
            EXPECT_EQ(check_all(&c), 0);
            clear();
        }
        if (unit_failures)
            exit(1);
    }
    printf("# %u states, %lu transitions\n", queued, transitions);
    EXPECT(queued > 10 && queued < 1u << 20 && transitions > queued);
}
