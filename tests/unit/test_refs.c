// SPDX-License-Identifier: MIT
/*
 * Reference bits against a naive model: a random tree of mappings of one 4 MB page, small and large, of which pages
 * are read and written; unmap, flush and questions from any node about any part, rights taken by parts, and the
 * way in which destruction takes mappings.  Each step must report exactly what was accessed and not yet
 * reported, and leave every other bit, right and node as it was.  [M 2.1.1] [M 3.2.3] [G26] [G27]
 *
 * With and without a converted frame in the page, so that the large mappings are views; in one go, and preempted at
 * every point.  Arguments: steps=N, seed=N.
 */
#include "kernel/map.h"
#include "kernel/page.h"
#include "tests/unit/pair.h"
#include "tests/unit/random.h"

#define BLOCK 0x00c00000u
#define TASK_3 0x2c0u
#define NODES 48u
#define LIST 7u         /* flexpages in one call */
#define PAGES 12u       /* that are looked at; */
#define CONVERTED 5u    /* this one is not accessed */
#define SMALL 0x20000000u /* names: small mappings of all nodes, */
#define LARGE 0x30000000u /* and one block for each node */

/* Number 0 is sigma0's; a parent's number is any. */
static struct model {
    struct node *node;    /* NULL: none */
    struct task *task;
    unsigned parent;
    bool large;
    unsigned page;        /* small: which of the block's */
    uint32_t name, rights, bits, sticky; /* L4_R | L4_W; sticky: of mappings from here that vanished */
} model[NODES];
static struct task *third;
static bool converted;

static bool give(const struct model *from, struct task *to, uint32_t source, uint32_t name, unsigned order,
                 uint32_t rights)
{
    struct map_state state = { 0 };
    struct map_job job = {
        .from = from->task, .to = to, .state = &state, .nodes = { .task = s0->task, .fpage = KPAGES },
        .space = L4_SPACE_MEM, .order = (uint8_t)order, .rights = (uint8_t)rights,
        .source = source, .destination = name, .names = 1u << (order - 12u),
    };

    map_reset(&state);
    while (map_run(&job) != STEP_DONE)
        ;
    return map_outcome(&state) == L4_D_NONE;
}

/* One that is there. */
static unsigned pick(void)
{
    unsigned n = below(NODES);

    while (!model[n].node)
        n = (n + 1u) % NODES;
    return n;
}

static void do_map(void)
{
    unsigned from = pick(), n = 1;
    const struct model *source = &model[from];
    struct model *m;
    uint32_t rights = L4_R | below(16), at;

    while (n < NODES && model[n].node)
        n++;
    if (n == NODES)
        return;
    m = &model[n];
    *m = (struct model){ .parent = from, .large = source->large && below(2), .page = source->page };
    if (source->large)
        m->page = below(PAGES);
    m->task = below(3) == 0 ? s0->task : below(2) ? there : third;
    m->rights = rights & source->rights;
    m->name = m->large ? LARGE + n * SUPER_SIZE : SMALL + n * PAGE_SIZE;
    if (!m->rights)
        return;
    at = source->large && !m->large ? m->page * PAGE_SIZE : 0;
    EXPECT(give(source, m->task, source->name + at, m->name, m->large ? SUPER_SHIFT : PAGE_SHIFT, rights));
    m->node = mem_lookup(m->task, m->name);
    EXPECT(m->node && m->node->parent == source->node);
}

static void do_access(void)
{
    static const struct kres *none;
    const struct kres res = { .task = s0->task, .fpage = KPAGES };
    struct model *m = &model[pick()];
    unsigned page = below(PAGES);
    uint32_t address = m->name + (m->large ? page * PAGE_SIZE : 0), access = below(2) ? L4_W : L4_R;
    uint32_t need = access == L4_W ? L4_R | L4_W : L4_R;

    if (converted && (m->large ? page : m->page) == CONVERTED)
        return;
    if ((m->rights & need) != need) {
        EXPECT(!host_access(m->task, address, access));
        EXPECT_EQ(mem_refill(m->task, address, access, none), L4_D_RIGHTS);
        return;
    }
    if (!host_access(m->task, address, access))
        EXPECT_EQ(mem_refill(m->task, address, access, &res), L4_D_NONE);
    EXPECT(host_access(m->task, address, access) != NULL);
    m->bits |= need;
}

static bool is_below(unsigned n, unsigned root, unsigned *top)
{
    for (*top = n; n != root; n = model[n].parent) {
        if (n == 0)
            return false;
        *top = n;
    }
    return true;
}

/* What is reported; the model changes. */
static uint32_t expect_revoke(unsigned root, unsigned first, unsigned last, uint32_t mask, unsigned how)
{
    struct model *r = &model[root];
    bool whole = !r->large || (first == 0 && last == 1023) || (mask && (how & REVOKE_SELF));
    bool gone[NODES] = { false };
    uint32_t refs = 0;

    if (how & REVOKE_SELF) {
        refs |= r->bits | r->sticky;
        r->bits = r->sticky = 0;
        r->rights &= ~mask;
        gone[root] = !r->rights;
    } else {
        refs |= r->sticky;
        if (whole)
            r->sticky = 0;
    }
    for (unsigned n = 1; n < NODES; n++) {
        struct model *m = &model[n];
        unsigned top;

        if (n == root || !m->node || !is_below(n, root, &top))
            continue;
        if (!whole && !model[top].large && (model[top].page < first || model[top].page > last))
            continue;
        refs |= m->bits | m->sticky;
        m->bits = m->sticky = 0;
        m->rights &= ~mask;
        gone[n] = !m->rights;
    }
    for (unsigned n = 1; n < NODES; n++)
        if (gone[n])
            model[n].node = NULL;
    if (how & REVOKE_KEEP)
        model[r->parent].sticky |= refs;
    return how & REVOKE_KEEP ? 0 : refs;
}

/* The dry run visits what will be selected. */
static unsigned visited;
static void visit(struct revoke *rv, struct node *n)
{
    (void)rv;
    (void)n;
    visited++;
}

static void query(unsigned root, unsigned first, unsigned last, unsigned how)
{
    struct revoke rv = { .visit = visit };
    const struct model *m = &model[root];
    uint32_t lo = m->node->obj + (m->large ? first * PAGE_SIZE : 0);
    unsigned selected = how & REVOKE_SELF ? 1 : 0, top;

    for (unsigned n = 1; n < NODES; n++)
        if (n != root && model[n].node && is_below(n, root, &top))
            selected += !m->large || model[top].large || (model[top].page >= first && model[top].page <= last);
    visited = 0;
    revoke_start(&rv, m->node, lo, m->large ? lo + (last + 1u - first) * PAGE_SIZE - 1u : node_last(m->node), 15,
                 REVOKE_QUERY | how);
    EXPECT_EQ(revoke_step(&rv), STEP_DONE);
    EXPECT(!rv.active);
    EXPECT_EQ(visited, selected);
}

static void do_revoke(void)
{
    static const unsigned hows[] = { 0, 0, REVOKE_SELF, REVOKE_SELF | REVOKE_KEEP };
    unsigned root = below(8) ? pick() : 0, how = hows[below(4)], first = 0, last = 1023;
    uint32_t mask = below(3) ? below(16) : below(2) * 15u, refs, lo;
    struct model *m = &model[root];
    struct revoke rv = { 0 };
    struct node *node = m->node;
    enum step step;

    if (root == 0) { /* it stays as it is */
        how &= REVOKE_SELF;
        mask = how || below(4) ? 0 : mask; /* else there is nothing again */
    }
    if (how & REVOKE_KEEP)
        mask = L4_RIGHTS_ALL;
    if (m->large && below(4)) {
        first = below(PAGES);
        last = first + below(PAGES - first);
    }
    lo = node->obj + (m->large ? first * PAGE_SIZE : 0);
    query(root, first, last, how & REVOKE_SELF);
    refs = expect_revoke(root, first, last, mask, how);
    if (!m->large)
        last = first;
    if (how) {
        revoke_start(&rv, node, lo, node->obj + (last + 1u) * PAGE_SIZE - 1u, mask, how);
        step = revoke_step(&rv);
    } else {
        step = revoke_below(&rv, node, lo, node->obj + (last + 1u) * PAGE_SIZE - 1u, mask);
    }
    while (step == STEP_PREEMPTED)
        step = revoke_step(&rv);
    EXPECT(!rv.active && !revoke_active);
    if (!(how & REVOKE_KEEP))
        EXPECT_EQ(rv.refs, refs);
}

/* The nodes of sigma0 in a flexpage, in ascending order. */
static uint32_t expect_flexpage(uint32_t base, unsigned order, uint32_t mask, bool flush)
{
    uint32_t size = 1u << order, refs = 0;

    for (unsigned n = 0; n < NODES; n++) {
        struct model *m = &model[n];
        unsigned first = (base & (SUPER_SIZE - 1u)) >> PAGE_SHIFT;

        if (!m->node || m->task != s0->task)
            continue;
        if (m->large && m->name == round_down(base, SUPER_SIZE))
            refs |= expect_revoke(n, first, first + (size >> PAGE_SHIFT) - 1u, mask, flush ? REVOKE_SELF : 0);
        else if (!m->large && m->name - base < size)
            refs |= expect_revoke(n, 0, 0, mask, flush ? REVOKE_SELF : 0);
    }
    return refs | (refs & L4_R ? L4_X : 0);
}

/* A system call of sigma0 with a list. */
static void do_call(void)
{
    uint32_t *more = scratch(), words[LIST], expected[LIST];
    unsigned count = below(2) ? 1 : 1u + below(LIST), unmaps = below(count + 1u);

    for (unsigned i = 0; i < count; i++) {
        unsigned what = below(4), order = what == 0 ? 12u + below(7) : below(3) ? 12u + below(4) : SUPER_SHIFT;
        unsigned n = pick();
        bool own = what == 1 || !model[n].large;
        uint32_t mask = below(2) ? below(16) : below(2) * 15u, base = what == 0 ? SMALL : own ? BLOCK : model[n].name;

        if (what == 0)
            base += below(NODES) * PAGE_SIZE;
        else if (order < SUPER_SHIFT)
            base += below(PAGES) * PAGE_SIZE;
        if (base - BLOCK < SUPER_SIZE && (i >= unmaps || below(4)))
            mask = 0;
        base &= ~((1u << order) - 1u);
        words[i] = L4_FPAGE(base, L4_SPACE_MEM, order, mask);
        expected[i] = expect_flexpage(base, order, mask, i >= unmaps);
    }
    for (unsigned i = 4; i < count; i++)
        more[i - 4] = words[i];
    EXPECT_EQ(call(unmaps << 4 | (count - unmaps) << 12 | L4_SYS_UNMAP, words[0], count > 1 ? words[1] : 0,
                   count > 2 ? words[2] : 0, count > 3 ? words[3] : 0), unmaps << 4 | (count - unmaps) << 12);
    more = scratch();
    for (unsigned i = 0; i < count; i++)
        EXPECT_EQ(i < 4 ? s0->frame.w[1 + i] : more[i - 4], expected[i]);
}

static void compare(void)
{
    unsigned count = 0, nodes = 0;
    const struct node *root = model[0].node;

    for (unsigned n = 0; n < NODES; n++) {
        const struct model *m = &model[n];

        if (!m->node)
            continue;
        count++;
        EXPECT(mem_lookup(m->task, m->name) == m->node);
        EXPECT_EQ(node_rights(m->node), m->rights);
        EXPECT_EQ(space_refs(m->node, false), m->bits | m->sticky);
        EXPECT_EQ(node_flag_refs(m->node->flags), m->sticky);
    }
    for (const struct node *n = root; n; n = mapdb_next(root, n))
        nodes++;
    EXPECT_EQ(nodes, count);
}

static void ask(void) { this_cpu()->resched = true; }

static void run(bool convert, bool preempted)
{
    unsigned long steps = unit_number("steps", 10000);
    struct kres res;

    boot(true);
    random_seed((uint32_t)unit_number("seed", 1));
    EXPECT_EQ(create(L4_TYPE_TASK, TASK_3, 0, 0), 0);
    third = (struct task *)node_kobj(cap_lookup(s0->task, TASK_3));
    res = (struct kres){ .task = s0->task, .fpage = KPAGES };
    EXPECT_EQ(space_add_table(s0->task, L4_SPACE_MEM, SMALL, &res), L4_D_NONE);
    EXPECT_EQ(space_add_table(there, L4_SPACE_MEM, SMALL, &res), L4_D_NONE);
    EXPECT_EQ(space_add_table(third, L4_SPACE_MEM, SMALL, &res), L4_D_NONE);
    converted = convert;
    if (convert)
        EXPECT_EQ(create(L4_TYPE_KPAGE, FREE_CAP, L4_FPAGE(BLOCK + CONVERTED * PAGE_SIZE, L4_SPACE_MEM, 12, L4_T), 0), 0);
    model[0] = (struct model){ .node = mem_lookup(s0->task, BLOCK), .task = s0->task, .large = true, .name = BLOCK,
                               .rights = L4_RIGHTS_ALL };
    host_window = preempted ? ask : NULL;
    for (unsigned long i = 0; i < steps && !unit_failures; i++) {
        unsigned what = below(64);

        if (what < 16)
            do_map();
        else if (what < 56)
            do_access();
        else if (what < 61)
            do_revoke();
        else
            do_call();
        compare();
        if (i % 64 == 0)
            check_kernel();
    }
    check_kernel();
}

TEST(small_and_large) { run(false, false); }
TEST(small_and_large_preempted) { run(false, true); }
TEST(views) { run(true, false); }
TEST(views_preempted) { run(true, true); }
