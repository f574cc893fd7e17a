// SPDX-License-Identifier: MIT
/*
 * Every reachable state of a small mapping database: four tasks, two objects, three right sets, one name per task
 * and object.  From each state every map and every revocation is made by the kernel's trees and compared with
 * a model that is a table and a recursion; each new state is explored in turn.  [M 2.1.1] [G40]
 *
 * Argument: objects=2 (default 1): the trees of both objects together.
 */
#include "arch/host/host.h"

#include "kernel/cpu.h"
#include "kernel/mapdb.h"
#include "kernel/sys.h"
#include "tests/unit/unit.h"

#include "tests/unit/explore.h"

#define TASKS 4u
#define OBJECTS 2u
#define FIRST_NAME 0x2c0u
#define MASKS 3u /* right sets: r, w, rw as 1, 2, 3 */

/* Rights and the task of the parent for each (task, object); task 0 holds the roots. */
struct state { uint8_t rights[TASKS][OBJECTS], parent[TASKS][OBJECTS]; };

static unsigned objects;
static struct task *tasks[TASKS];
static struct node pool[TASKS][OBJECTS] __attribute__((aligned(32)));
static unsigned long transitions;

static uint32_t kernel_rights(unsigned set) { return set << 1; } /* w = 2, r = 4 */
static unsigned model_rights(uint32_t rights) { return (rights >> 1) & 3u; }

static uint32_t pack(const struct state *s)
{
    uint32_t key = 0;

    for (unsigned t = 1; t < TASKS; t++)
        for (unsigned o = 0; o < objects; o++)
            key = key << 4 | s->rights[t][o] | (s->rights[t][o] ? s->parent[t][o] << 2 : 0);
    return key;
}

static struct state unpack(uint32_t key)
{
    struct state s = { 0 };

    for (unsigned t = TASKS - 1; t >= 1; t--)
        for (unsigned o = objects; o-- > 0; key >>= 4) {
            s.rights[t][o] = key & 3u;
            s.parent[t][o] = (key >> 2) & 3u;
        }
    for (unsigned o = 0; o < objects; o++)
        s.rights[0][o] = 3;
    return s;
}

/* ---- the model ---- */

static void model_lose(struct state *s, unsigned t, unsigned o, unsigned mask, bool self)
{
    for (unsigned child = 1; child < TASKS; child++)
        if (child != t && s->rights[child][o] && s->parent[child][o] == t)
            model_lose(s, child, o, mask, true);
    if (self)
        s->rights[t][o] &= (uint8_t)~mask;
}

static void model_map(struct state *s, unsigned from, unsigned to, unsigned o, unsigned set)
{
    unsigned granted = s->rights[from][o] & set;

    if (!granted || (s->rights[to][o] && s->parent[to][o] != from))
        return;
    s->rights[to][o] |= (uint8_t)granted;
    s->parent[to][o] = (uint8_t)from;
}

/* ---- the kernel's structures ---- */

static struct node *node_of(unsigned t, unsigned o)
{
    return cap_lookup(tasks[t], FIRST_NAME + o);
}

static void kernel_map(unsigned from, unsigned to, unsigned o, unsigned set)
{
    struct node *source = node_of(from, o), *target = node_of(to, o);
    uint32_t granted = source ? node_rights(source) & kernel_rights(set) : 0;

    if (!granted)
        return;
    if (target) {
        if (target->parent == source)
            space_set_rights(target, node_rights(target) | granted);
        return;
    }
    target = &pool[to][o];
    *target = (struct node){
        .task = tasks[to], .obj = source->obj, .name = L4_CAP_FPAGE(FIRST_NAME + o, granted),
    };
    mapdb_insert(source, target, NODE_STATIC, 0);
    space_enter(tasks[to], target);
}

static void kernel_revoke(unsigned t, unsigned o, unsigned set, bool self)
{
    struct revoke rv = { 0 };

    revoke_start(&rv, node_of(t, o), 0, 0xffffffffu, kernel_rights(set), self ? REVOKE_SELF : 0);
    while (revoke_step(&rv) == STEP_PREEMPTED)
        ;
}

static void clear(void)
{
    for (unsigned o = 0; o < objects; o++)
        kernel_revoke(0, o, 3, false);
}

/* Parents first: a child's task may have a smaller number. */
static void build(const struct state *s)
{
    for (unsigned round = 1; round < TASKS; round++)
        for (unsigned t = 1; t < TASKS; t++)
            for (unsigned o = 0; o < objects; o++)
                if (s->rights[t][o] && !node_of(t, o) && node_of(s->parent[t][o], o))
                    kernel_map(s->parent[t][o], t, o, s->rights[t][o]);
}

static bool extract(struct state *s)
{
    *s = (struct state){ 0 };
    for (unsigned o = 0; o < objects; o++) {
        struct node *root = node_of(0, o);
        unsigned in_list = 0, in_names = 0;

        if (!root || root->depth != 0)
            return false;
        for (const struct node *n = root->next; n != root; n = n->next, in_list++)
            if (in_list > TASKS || n->next->prev != n || n->prev->next != n || n->depth != n->parent->depth + 1 ||
                n->depth > n->prev->depth + 1)
                return false;
        for (unsigned t = 0; t < TASKS; t++) {
            struct node *n = node_of(t, o);

            if (!n)
                continue;
            s->rights[t][o] = (uint8_t)model_rights(node_rights(n));
            in_names += t != 0;
            for (unsigned p = 0; t && p < TASKS; p++)
                if (node_of(p, o) == n->parent)
                    s->parent[t][o] = (uint8_t)p;
        }
        if (in_list != in_names)
            return false;
    }
    return true;
}

static void compare(uint32_t from, const struct state *model, const char *what)
{
    struct state kernel;

    transitions++;
    if (!extract(&kernel) || pack(&kernel) != pack(model)) {
        printf("after %s in state %06x: kernel %06x, model %06x\n", what, from, pack(&kernel), pack(model));
        exit(1);
    }
    meet(pack(model));
}

static void explore(uint32_t key)
{
    const struct state start = unpack(key);

    for (unsigned o = 0; o < objects; o++) {
        for (unsigned from = 0; from < TASKS; from++) {
            for (unsigned to = 1; to < TASKS; to++) {
                for (unsigned set = 1; start.rights[from][o] && to != from && set <= MASKS; set++) {
                    struct state model = start;

                    build(&start);
                    model_map(&model, from, to, o, set);
                    kernel_map(from, to, o, set);
                    compare(key, &model, "map");
                    clear();
                }
            }
            for (unsigned set = 1; start.rights[from][o] && set <= MASKS; set++) {
                for (unsigned self = 0; self < (from ? 2u : 1u); self++) {
                    struct state model = start;

                    build(&start);
                    model_lose(&model, from, o, set, self != 0);
                    kernel_revoke(from, o, set, self != 0);
                    compare(key, &model, self ? "flush" : "unmap");
                    clear();
                }
            }
        }
    }
}

#define KPAGES L4_FPAGE(L4_CAP(L4_S0_KPAGE), L4_SPACE_CAP, 13u, L4_W)

TEST(every_state)
{
    struct thread *s0;
    uint32_t at;

    objects = (unsigned)unit_number("objects", 1);
    EXPECT(objects >= 1 && objects <= OBJECTS);
    host_boot(&(struct host_config){ .megabytes = 5 });
    s0 = host_run();
    tasks[0] = s0->task;
    for (unsigned o = 0; o < objects; o++)
        s0 = host_call(s0, L4_CAP(FIRST_NAME + o) | L4_TYPE_ENDPOINT << 4 | L4_SYS_CREATE, KPAGES, KPAGES, 0, 0);
    for (unsigned t = 1; t < TASKS; t++) {
        /* the initial mapping makes the capability table */
        s0 = host_call(s0, L4_CAP(0x300 + t) | L4_TYPE_TASK << 4 | L4_SYS_CREATE, KPAGES, KPAGES,
                       L4_CAP_FPAGE(L4_S0_TASK, L4_X), L4_CAP_FPAGE(1, L4_X));
        EXPECT_EQ(s0->frame.w[0], 0);
        tasks[t] = (struct task *)(void *)node_kobj(cap_lookup(s0->task, 0x300 + t));
    }
    explore_begin(24, 1u << 24);
    meet(pack(&(struct state){ 0 }));
    for (at = 0; at < queued; at++)
        explore(queue[at]);
    printf("# %u states, %lu transitions\n", queued, transitions);
    EXPECT(queued > 100 && transitions > queued);
}
