// SPDX-License-Identifier: MIT
/*
 * Trees, names and kernel pages below the system calls: overlapping and cancelled revocations with every
 * preemption point taken, and proof that each memory invariant can fail.  [G40] [G41] [G51]
 */
#include <arch/memory.h>
#include "arch/host/host.h"
#include "kernel/boot.h"
#include "kernel/check.h"
#include "kernel/cpu.h"
#include "kernel/ipc.h"
#include "kernel/mapdb.h"
#include "kernel/reap.h"
#include "kernel/task.h"
#include "unit.h"

static void print_violation(struct check *c, const char *text)
{
    printf("%s: %s\n", c->rule->id, text);
}

static unsigned violations(const char *id)
{
    struct check c = { .report = NULL };
    unsigned i;

    for (i = 0; i < LINKSET_COUNT(check_rules); i++) {
        const struct check_rule *rule = LINKSET_GET(check_rules, i);

        if (!strcmp(rule->id, id))
            return check_run(&c, rule);
    }
    printf("no rule %s\n", id);
    exit(1);
}

static void expect_consistent(void)
{
    struct check c = { .report = print_violation };

    EXPECT_EQ(check_all(&c), 0);
}

/* ---- a small world: sigma0 and tasks that got capabilities ---- */

static struct kres initial_pages(void)
{
    struct kres res = { .task = sigma0_task, .fpage = L4_FPAGE(L4_CAP(L4_S0_KPAGE), L4_SPACE_CAP, 13, L4_W) };

    return res;
}

static void boot(void)
{
    struct host_config config = { .megabytes = 32, .superpages = true };

    host_quiet = true;
    host_boot(&config);
}

static void name_root(struct kobj *o, uint32_t id)
{
    o->root.name = L4_CAP_FPAGE(id, L4_RIGHTS_ALL);
    space_enter(sigma0_task, &o->root);
}

static struct endpoint *make_endpoint(uint32_t id)
{
    struct kres res = initial_pages();
    enum l4_detail detail;
    struct endpoint *ep = kmem_alloc(&res, L4_SIZE_ENDPOINT, UNIT_ENDPOINT, &detail);

    if (!ep)
        exit(1);
    kobj_init(&ep->obj, L4_TYPE_ENDPOINT);
    endpoint_init(ep);
    name_root(&ep->obj, id);
    return ep;
}

static struct task *make_task(uint32_t id)
{
    struct kres res = initial_pages();
    struct task *task;

    if (task_build(&task, &res) != L4_D_NONE)
        exit(1);
    name_root(&task->obj, id);
    EXPECT_EQ(space_add_table(task, L4_SPACE_CAP, 0, &res), L4_D_NONE);
    return task;
}

/* Number `id` of the things that are mapped on: a capability, or a 4 MB page. */
#define PAGES_AT 0x40000000u
static bool in_memory;

static uint32_t name_of(uint32_t id)
{
    return in_memory ? PAGES_AT + (id << SUPER_SHIFT) : L4_CAP(id);
}

static struct node *node_at(const struct task *task, uint32_t id)
{
    return in_memory ? mem_lookup(task, name_of(id)) : cap_lookup(task, id);
}

/* A new node below `parent` at a free name of the task, or NULL if the kernel pages are full. */
static struct node *derive(struct node *parent, struct task *task, uint32_t id, uint32_t rights)
{
    struct kres res = initial_pages();
    enum l4_detail detail;
    struct node *n;

    if (node_at(task, id))
        return NULL;
    n = kmem_alloc(&res, L4_SIZE_NODE, UNIT_NODE, &detail);
    if (!n)
        return NULL;
    n->task = task;
    n->obj = parent->obj;
    n->name = in_memory ? L4_FPAGE(name_of(id), L4_SPACE_MEM, SUPER_SHIFT, rights) : L4_CAP_FPAGE(id, rights);
    mapdb_insert(parent, n, 0, 0);
    space_enter(task, n);
    return n;
}

/* ---- overlapping revocations ---- */

#define TASKS 3u
#define NAMES 200u  /* per task */
#define RUNNING 4u
#define MAX_NODES 2048u

static struct task *tasks[TASKS];
static struct node *top; /* what all are derived from */
static uint32_t seed;

static uint32_t pick(uint32_t below)
{
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) % below;
}

/* What a revocation must have done when it is over: names with the node that stood there. */
struct duty { struct task *task; uint32_t id, birth; };
struct running {
    struct revoke rv;
    struct duty duties[MAX_NODES];
    unsigned count;
};
static struct running running[RUNNING];
static uint32_t births[TASKS][NAMES], births_total;

static struct node *pick_node(struct task **task, uint32_t *id)
{
    unsigned t;

    for (t = 0; t < 50; t++) {
        unsigned which = pick(TASKS);
        struct node *n;

        *task = tasks[which];
        *id = pick(NAMES);
        n = node_at(*task, *id);
        if (n)
            return n;
    }
    return NULL;
}

static unsigned task_number(const struct task *task)
{
    unsigned i = 0;

    while (tasks[i] != task)
        i++;
    return i;
}

static void begin(struct running *r, struct node *root, uint32_t mask, bool self)
{
    struct node *n;

    r->count = 0;
    for (n = self ? root : mapdb_next(root, root); n; n = mapdb_next(root, n)) {
        uint32_t id = (node_base(n) - name_of(0)) >> (in_memory ? SUPER_SHIFT : L4_NAME_SHIFT);

        if (n->task && n->task != sigma0_task)
            r->duties[r->count++] = (struct duty){ n->task, id, births[task_number(n->task)][id] };
    }
    revoke_start(&r->rv, root, 0, 0xffffffffu, mask, self ? REVOKE_SELF : 0);
}

static void go_on(struct running *r)
{
    bool root_lives = r->rv.root != NULL;
    uint32_t mask = r->rv.mask;
    unsigned i;

    if (revoke_step(&r->rv) != STEP_DONE) {
        EXPECT(r->rv.active);
        return;
    }
    EXPECT(!r->rv.active);
    for (i = 0; root_lives && i < r->count; i++) {
        struct duty *d = &r->duties[i];
        struct node *n = node_at(d->task, d->id);

        if (n && births[task_number(d->task)][d->id] == d->birth) {
            EXPECT_EQ(node_rights(n) & mask, 0);
            EXPECT(!(mask & L4_T) || !(n->flags & NODE_CONVERTER));
        }
    }
}

/* Kernel pages that are made of the 4 MB: one of each frame. */
#define KPAGE_NAMES 0x3000u
static unsigned converted_most;

/* What convert does. */
static void convert(struct node *n, uint32_t frame)
{
    struct kres res = initial_pages();
    enum l4_detail detail;
    struct kpage *kp;
    struct revoke rv = { .active = false };

    if (!(node_rights(n) & L4_T) || frame_is_converted(n->obj + frame * PAGE_SIZE) ||
        cap_lookup(sigma0_task, KPAGE_NAMES + frame))
        return;
    kp = kmem_alloc(&res, L4_SIZE_KPAGE, UNIT_KPAGE, &detail);
    if (!kp)
        return;
    kobj_init(&kp->obj, L4_TYPE_KPAGE);
    kp->base = n->obj + frame * PAGE_SIZE;
    kp->frames = 1;
    kp->hint = 0;
    kp->converter = n;
    kp->conv_next = n->flags & NODE_CONVERTER ? n->kpage : NULL;
    n->kpage = kp;
    n->flags |= NODE_CONVERTER;
    kpage_mark(kp);
    name_root(&kp->obj, KPAGE_NAMES + frame);
    boot_cpu.resched = false;
    revoke_start(&rv, &boot_mem_roots[kp->base >> SUPER_SHIFT], kp->base, kp->base + PAGE_SIZE - 1u, 0, REVOKE_SUSPEND);
    EXPECT_EQ(revoke_step(&rv), STEP_DONE);
}

/* At each point: how many kernel pages were sent to the reaper since the last one? */
static unsigned dying_before;

static unsigned dying(void)
{
    unsigned n = 0;

    for (const struct kobj *o = reap_top; o; o = o->reap_next)
        n++;
    return n;
}

static void look_at_dying(void)
{
    unsigned now = dying();

    if (now > dying_before + converted_most)
        converted_most = now - dying_before;
    dying_before = now;
}

static void overlap(bool cancel)
{
    unsigned step, i, most = 0;

    boot();
    for (i = 0; i < TASKS; i++)
        tasks[i] = make_task(0x300 + i);
    top = in_memory ? mem_lookup(sigma0_task, 0x00c00000u) : &make_endpoint(0x310)->obj.root;
    if (in_memory) {
        struct kres res = initial_pages();

        EXPECT_EQ(node_size(top), SUPER_SHIFT);
        EXPECT_EQ(space_add_table(sigma0_task, L4_SPACE_CAP, L4_CAP(KPAGE_NAMES), &res), L4_D_NONE);
        host_window = look_at_dying;
    }
    for (step = 0; step < 12000; step++) {
        unsigned what = pick(100);
        struct running *r = &running[pick(RUNNING)];
        struct task *task;
        uint32_t id;
        struct node *n;

        boot_cpu.resched = pick(8) != 0; /* what preempt_point() answers */
        if (what < 55) {
            unsigned which = pick(TASKS);
            uint32_t rights;

            n = pick(20) ? pick_node(&task, &id) : top;
            if (!n)
                n = top;
            id = pick(NAMES);
            rights = node_rights(n) & (pick(3) ? 15u : 1u + pick(15));
            if (rights && derive(n, tasks[which], id, rights))
                births[which][id] = ++births_total;
        } else if (what < 75 && !r->rv.active) {
            n = pick_node(&task, &id);
            if (!n || !pick(10))
                n = top;
            dying_before = dying();
            begin(r, n, pick(2) ? L4_RIGHTS_ALL : 1u + pick(15), n != top && pick(2));
            go_on(r);
        } else if (what < 77 && cancel) {
            revoke_cancel(&r->rv);
        } else if (what < 90 && in_memory) {
            n = pick_node(&task, &id);
            for (i = n ? 1u + pick(what < 80 ? 100 : 10) : 0; i > 0; i--)
                convert(n, pick(TABLE_NAMES));
        } else if (what < 92 && in_memory) {
            (void)reap_run(NULL);
        } else if (r->rv.active) {
            dying_before = dying();
            go_on(r);
        }
        for (i = 0, what = 0; i < RUNNING; i++)
            what += running[i].rv.active;
        if (what > most)
            most = what;
        if (step % 50 == 0)
            expect_consistent();
    }
    EXPECT(most >= 3); /* else nothing overlapped, and this was no test */
    /* Whatever was cancelled: a restart from above takes all of it away. */
    boot_cpu.resched = true;
    for (i = 0; i < RUNNING; i++) {
        if (cancel)
            revoke_cancel(&running[i].rv);
        while (running[i].rv.active)
            go_on(&running[i]);
    }
    begin(&running[0], top, L4_RIGHTS_ALL, false);
    for (i = 0; running[0].rv.active && i < 100000; i++)
        go_on(&running[0]);
    EXPECT(!node_has_children(top));
    while (reap_run(NULL) == STEP_PREEMPTED)
        ;
    if (in_memory) {
        EXPECT(!block_is_converted(top->obj));
        EXPECT_EQ(converted_most, 16); /* no more in a stretch, and so many at times */
    }
    EXPECT_EQ(revoke_was_cancelled, cancel);
    revoke_was_cancelled = false;
    expect_consistent();
}

TEST(revocations_overlap)
{
    seed = (uint32_t)unit_number("seed", 1);
    overlap(false);
}

TEST(revocations_overlap_and_are_cancelled)
{
    seed = (uint32_t)unit_number("seed", 2);
    overlap(true);
}

/* Of memory that is converted meanwhile, too. */
TEST(revocations_of_converters_overlap)
{
    seed = (uint32_t)unit_number("seed", 3);
    in_memory = true;
    overlap(false);
}

TEST(revocations_of_converters_overlap_and_are_cancelled)
{
    seed = (uint32_t)unit_number("seed", 4);
    in_memory = true;
    overlap(true);
}

/* ---- reference bits ---- */

TEST(reference_bits_of_a_vanished_mapping_stay_with_its_parent)
{
    struct kres res;
    enum l4_detail detail;
    struct node *source, *n;
    struct revoke rv = { .active = false };
    struct task *task;
    uint32_t at = 0x00800000u;

    boot();
    res = initial_pages();
    task = make_task(0x300);
    source = mem_lookup(sigma0_task, at);
    EXPECT(source != NULL);
    EXPECT_EQ(space_add_table(task, L4_SPACE_MEM, 0x40000000u, &res), L4_D_NONE);
    n = kmem_alloc(&res, L4_SIZE_NODE, UNIT_NODE, &detail);
    n->obj = at;
    n->name = L4_FPAGE(0x40000000u, L4_SPACE_MEM, 12, L4_R | L4_W);
    mapdb_insert(source, n, 0, 0);
    space_enter(task, n);
    EXPECT(host_access(task, 0x40000000u, L4_W) != NULL);
    EXPECT_EQ(space_refs(n, false), L4_R | L4_W);
    space_leave(n);
    mapdb_drop(n);
    expect_consistent();
    /* A part of the page reports it and leaves it, all of it takes it away, once. */
    revoke_start(&rv, source, at, at + PAGE_SIZE - 1u, 0, 0);
    EXPECT_EQ(revoke_step(&rv), STEP_DONE);
    EXPECT_EQ(rv.refs, L4_R | L4_W);
    if (node_size(source) > PAGE_SHIFT) {
        revoke_start(&rv, source, source->obj, node_last(source), 0, 0);
        EXPECT_EQ(revoke_step(&rv), STEP_DONE);
        EXPECT_EQ(rv.refs, L4_R | L4_W);
    }
    revoke_start(&rv, source, source->obj, node_last(source), 0, 0);
    EXPECT_EQ(revoke_step(&rv), STEP_DONE);
    EXPECT_EQ(rv.refs, 0);
}

/* ---- the allocator ---- */

TEST(first_fit_is_exact)
{
    struct kpage *kp;
    char *a, *b, *c, *page;

    boot();
    kp = (struct kpage *)node_kobj(cap_lookup(sigma0_task, L4_S0_KPAGE + 1));
    while (kmem_alloc_in(kp, L4_SIZE_NODE, UNIT_KPAGE))
        ; /* fill it: a tag that no rule looks for below */
    page = phys_to_virt(kp->base);
    /* Frame 0 from unit 2 on, ascending, 126 of them in each frame. */
    EXPECT_EQ(unit_tag_get(page, 0), UNIT_MORE);
    EXPECT_EQ(unit_tag_get(page, 2), UNIT_KPAGE);
    EXPECT_EQ(unit_tag_get(page, 127), UNIT_KPAGE);
    a = page + 40 * L4_UNIT;
    b = page + 3 * (int)PAGE_SIZE + 9 * (int)L4_UNIT;
    kmem_free(b, L4_SIZE_NODE);
    kmem_free(b + L4_UNIT, L4_SIZE_NODE);
    kmem_free(a, L4_SIZE_NODE);
    /* Two units do not fit into the first hole; one does, and goes there although freed last. */
    c = kmem_alloc_in(kp, L4_SIZE_ENDPOINT, UNIT_ENDPOINT);
    EXPECT(c == b);
    EXPECT(kmem_alloc_in(kp, L4_SIZE_NODE, UNIT_NODE) == a);
    EXPECT(kmem_alloc_in(kp, L4_SIZE_NODE, UNIT_NODE) == NULL);
    EXPECT(kmem_alloc_page_in(kp, FRAME_CAPTABLE, sigma0_task) == NULL);
    ((struct kobj *)(void *)c)->id = 77;
    kmem_free(c, L4_SIZE_ENDPOINT);
    EXPECT(kmem_alloc_in(kp, L4_SIZE_ENDPOINT, UNIT_ENDPOINT) == c);
    EXPECT_EQ(((struct kobj *)(void *)c)->id, 0);
}

/* ---- by name ---- */

/* The kernel page at sigma0's capability `id`, of so many frames at `base`. */
static struct kpage *kernel_page(struct kpage *kp, uint32_t id, uint32_t base, uint16_t frames)
{
    memset(kp, 0, sizeof *kp);
    kobj_init(&kp->obj, L4_TYPE_KPAGE);
    kp->base = base;
    kp->frames = frames;
    kpage_mark(kp);
    name_root(&kp->obj, id);
    return kp;
}

static uint32_t where(const void *p) { return p ? virt_to_phys(p) & ~(PAGE_SIZE - 1u) : 0; }

/* All three ways to allocate, with one flexpage: the frames that they take from, and the detail. */
static void expect_from(uint32_t fpage, uint32_t units, uint32_t page, enum l4_detail units_detail,
                        enum l4_detail page_detail)
{
    const struct kres res = { .task = sigma0_task, .fpage = fpage };
    struct kpage *at = NULL;
    enum l4_detail detail = L4_D_BAD_VALUE;
    void *p = kmem_alloc(&res, L4_SIZE_KPAGE, UNIT_KPAGE, &detail);

    EXPECT_EQ(where(p), units);
    EXPECT_EQ(detail, units_detail);
    if (p)
        kmem_free(p, L4_SIZE_KPAGE);
    detail = L4_D_BAD_VALUE;
    p = kmem_alloc_node(&res, &at, &detail);
    EXPECT_EQ(where(p), units);
    EXPECT(p ? at->base <= where(p) : detail == units_detail);
    if (p)
        kmem_free(p, L4_SIZE_NODE);
    detail = L4_D_BAD_VALUE;
    p = kmem_alloc_page(&res, FRAME_CAPTABLE, sigma0_task, &detail);
    EXPECT_EQ(where(p), page);
    EXPECT_EQ(detail, page_detail);
    if (p)
        kmem_free_page(p);
    EXPECT_EQ(kres_usable(&res), units_detail == L4_D_RES_EMPTY ? L4_D_RES_EMPTY : L4_D_NONE);
}

static void expect_nothing(uint32_t fpage) { expect_from(fpage, 0, 0, L4_D_RES_EMPTY, L4_D_RES_EMPTY); }

TEST(allocation_by_name)
{
    static struct kpage pages[3];
    const uint32_t first = 0x00c00000u, second = 0x00c10000u, third = 0x00c20000u, dir = L4_CAP(0x800);
    struct kres res, initial;
    enum l4_detail detail;
    struct node *n;
    void *table;

    boot();
    res = (struct kres){ .task = sigma0_task, .fpage = L4_CAP_FPAGE(0x802, L4_W) };
    initial = initial_pages();
    EXPECT_EQ(space_add_table(sigma0_task, L4_SPACE_CAP, dir, &initial), L4_D_NONE);
    expect_nothing(0);
    expect_nothing(L4_CAP_FPAGE(0x802, L4_W));
    kernel_page(&pages[0], 0x802, first, 4);
    kernel_page(&pages[1], 0x805, second, 4);
    kernel_page(&pages[2], 0xbff, third, 4);
    /* the first by name, of the names of the flexpage only */
    expect_from(L4_CAP_FPAGE(0x802, L4_W), first, first, L4_D_NONE, L4_D_NONE);
    expect_from(L4_CAP_FPAGE(0x805, L4_W), second, second, L4_D_NONE, L4_D_NONE);
    expect_nothing(L4_CAP_FPAGE(0x803, L4_W));
    expect_from(L4_FPAGE(L4_CAP(0x803), L4_SPACE_CAP, 13, L4_W), first, first, L4_D_NONE, L4_D_NONE);
    expect_from(L4_FPAGE(L4_CAP(0x806), L4_SPACE_CAP, 14, L4_W), second, second, L4_D_NONE, L4_D_NONE);
    expect_from(L4_FPAGE(L4_CAP(0x806), L4_SPACE_CAP, 15, L4_W), first, first, L4_D_NONE, L4_D_NONE);
    expect_from(L4_FPAGE(L4_CAP(0xbff), L4_SPACE_CAP, 21, L4_W), third, third, L4_D_NONE, L4_D_NONE);
    expect_from(L4_FPAGE(L4_CAP(0xbff), L4_SPACE_CAP, 22, L4_W), first, first, L4_D_NONE, L4_D_NONE);
    /* of a larger one the first 1024 names */
    expect_from(L4_FPAGE(L4_CAP(0xc00), L4_SPACE_CAP, 23, L4_W), first, first, L4_D_NONE, L4_D_NONE);
    expect_nothing(L4_FPAGE(L4_CAP(0x1400), L4_SPACE_CAP, 22, L4_W));
    n = kmem_alloc(&initial, L4_SIZE_NODE, UNIT_NODE, &detail);
    table = kmem_alloc_page(&initial, FRAME_CAPTABLE, sigma0_task, &detail);
    EXPECT(n && table);
    kmem_free_page(table);
    expect_from(L4_FPAGE(L4_CAP(0x800), L4_SPACE_CAP, 32, L4_W), where(n), where(table), L4_D_NONE, L4_D_NONE);
    kmem_free(n, L4_SIZE_NODE);
    /* no flexpage of capabilities */
    expect_nothing(L4_FPAGE(L4_CAP(0x802), L4_SPACE_CAP, 11, L4_W));
    expect_nothing(L4_FPAGE(L4_CAP(0x802), L4_SPACE_MEM, 12, L4_W));
    expect_nothing(L4_FPAGE(L4_CAP(0x802), L4_SPACE_IO, 12, L4_W));
    /* without the right, of another type, dying */
    pages[0].obj.root.name &= ~L4_W;
    expect_nothing(L4_CAP_FPAGE(0x802, L4_W));
    expect_from(L4_FPAGE(L4_CAP(0x800), L4_SPACE_CAP, 22, L4_W), second, second, L4_D_NONE, L4_D_NONE);
    pages[0].obj.root.name |= L4_W;
    pages[0].obj.flags |= KOBJ_DYING;
    expect_nothing(L4_CAP_FPAGE(0x802, L4_W));
    pages[0].obj.flags = 0;
    expect_nothing(L4_CAP_FPAGE(L4_S0_CPU, L4_W));
    /* no wholly free frame; full; the next page then */
    for (unsigned i = 0; i < 4; i++)
        EXPECT(kmem_alloc_page(&res, FRAME_CAPTABLE, sigma0_task, &detail) == phys_to_virt(first + i * PAGE_SIZE));
    expect_from(L4_CAP_FPAGE(0x802, L4_W), 0, 0, L4_D_RES_FULL, L4_D_RES_ALIGN);
    expect_from(L4_FPAGE(L4_CAP(0x800), L4_SPACE_CAP, 15, L4_W), second, second, L4_D_NONE, L4_D_NONE);
    kmem_free_page(phys_to_virt(first + 2u * PAGE_SIZE));
    n = kmem_alloc(&res, L4_SIZE_NODE, UNIT_NODE, &detail);
    EXPECT_EQ(where(n), first + 2u * PAGE_SIZE);
    expect_from(L4_CAP_FPAGE(0x802, L4_W), first + 2u * PAGE_SIZE, 0, L4_D_NONE, L4_D_RES_ALIGN);
    kmem_free(n, L4_SIZE_NODE);
}

/* The hint may stand at a frame that has just become a table: no units are taken from that, whoever owns it. */
TEST(units_beside_a_table)
{
    static struct kpage kp;
    struct kpage *at = &kp;
    enum l4_detail detail;
    struct kres res;

    boot();
    res = (struct kres){ .task = sigma0_task, .fpage = L4_CAP_FPAGE(0x300, L4_W) };
    kernel_page(&kp, 0x300, 0x00c00000u, 4);
    for (unsigned how = 0; how < 3; how++) {
        /* an address that could be read as free units, and entries that could be read as tags */
        uint32_t *table = kmem_alloc_page(&res, FRAME_SHADOW, (struct task *)(uintptr_t)0x0a004000u, &detail);
        void *p;

        EXPECT(table && kp.hint == 0);
        table[0] = 0x11111111u;
        p = how == 0 ? kmem_alloc_node(&res, &at, &detail)
            : kmem_alloc(&res, how == 1 ? L4_SIZE_NODE : L4_SIZE_THREAD, how == 1 ? UNIT_NODE : UNIT_THREAD, &detail);
        EXPECT_EQ(where(p), 0x00c01000u);
        EXPECT_EQ(table_find(table, 1, TABLE_NAMES), TABLE_NAMES);
        EXPECT_EQ(table[0], 0x11111111u);
        kmem_free(p, how == 2 ? L4_SIZE_THREAD : L4_SIZE_NODE);
        kmem_free_page(table);
    }
}

/* Any physical address is a legal question. */
TEST(what_is_converted)
{
    const struct kpage *kp;
    uint32_t count, bytes, frames, all_bytes, all_frames;

    boot();
    kp = (struct kpage *)node_kobj(cap_lookup(sigma0_task, L4_S0_KPAGE));
    EXPECT(frame_is_converted(kp->base) && block_is_converted(kp->base));
    EXPECT(!frame_is_converted(0xa0000) && frame_table[0xa0].kp == FRAME_DEVICE);
    EXPECT(!frame_is_converted(0xfffff000u) && !block_is_converted(0xfffff000u));
    EXPECT(!block_is_converted(PHYS_DIRECT_MAX));
    count = frame_count;
    kmem_totals(&all_bytes, &all_frames);
    frame_count = kp->base >> PAGE_SHIFT; /* what is behind is none of ours */
    EXPECT(!frame_is_converted(kp->base));
    kmem_totals(&bytes, &frames);
    frame_count = count;
    EXPECT(bytes <= all_bytes && frames < all_frames);
}

/* The same by a plain search: which units of which frames are taken, and by objects of how many units. */
#define FIT_FRAMES 32u
static uint8_t taken[FIT_FRAMES][PAGE_UNITS];

static bool frame_in_use(unsigned frame)
{
    for (unsigned unit = 2; unit < PAGE_UNITS; unit++)
        if (taken[frame][unit])
            return true;
    return false;
}

static bool fits(unsigned frame, unsigned unit, unsigned units)
{
    for (unsigned i = 0; i < units; i++)
        if (unit + i >= PAGE_UNITS || taken[frame][unit + i])
            return false;
    return true;
}

static bool plain_search(unsigned units, unsigned *frame, unsigned *unit)
{
    for (int chunked = 1; chunked >= 0; chunked--)
        for (*frame = 0; *frame < FIT_FRAMES; *frame += 1)
            for (*unit = 2; *unit < PAGE_UNITS; *unit += 1)
                if (frame_in_use(*frame) == (chunked != 0) && fits(*frame, *unit, units))
                    return true;
    return false;
}

/* The first unit from `unit` on that starts a node, or an object of more than one unit. */
static unsigned plain_start(unsigned frame, unsigned unit, bool node)
{
    while (unit < PAGE_UNITS && (node ? taken[frame][unit] != 1 : taken[frame][unit] < 2 || taken[frame][unit] > 62))
        unit++;
    return unit;
}

TEST(first_fit_agrees_with_a_plain_search)
{
    static const uint8_t sizes[] = { 1, 1, 2, 2, 4, 8, 62 };
    struct kpage *kp;
    char *base;

    boot();
    memset(taken, 0, sizeof taken);
    seed = 7;
    kp = (struct kpage *)node_kobj(cap_lookup(sigma0_task, L4_S0_KPAGE + 1));
    base = phys_to_virt(kp->base);
    EXPECT_EQ(kp->frames, FIT_FRAMES);
    for (unsigned round = 0; round < 20000; round++) {
        unsigned units = sizes[pick(ARRAY_SIZE(sizes))], frame = pick(FIT_FRAMES), unit = 2 + pick(PAGE_UNITS - 2u);
        /* Mostly more at first, mostly fewer then, and so on. */
        bool take = pick(8) < (round / 2500 % 2 ? 3u : 6u);
        char *at;

        if (take) {
            bool found = plain_search(units, &frame, &unit);

            at = kmem_alloc_in(kp, units * L4_UNIT, units == 1 ? UNIT_NODE : UNIT_KPAGE);
            EXPECT(at == (found ? base + frame * PAGE_SIZE + unit * L4_UNIT : NULL));
            if (!found)
                continue;
            taken[frame][unit] = (uint8_t)units;
            memset(&taken[frame][unit + 1], 0xff, units - 1);
        } else if (taken[frame][unit] && taken[frame][unit] <= 62) {
            units = taken[frame][unit];
            kmem_free(base + frame * PAGE_SIZE + unit * L4_UNIT, units * L4_UNIT);
            memset(&taken[frame][unit], 0, units);
        }
        if (frame_in_use(frame)) {
            at = base + frame * PAGE_SIZE;
            EXPECT_EQ(unit_find_object(at, unit), plain_start(frame, unit, false));
            EXPECT_EQ(unit_find_node(at, unit), plain_start(frame, unit, true));
        }
    }
}

/* ---- each invariant can fail: break it, see it, mend it ---- */

#define EXPECT_RULE(id, breaks, mends)                                            \
    do {                                                                          \
        EXPECT_EQ(violations(id), 0);                                             \
        breaks;                                                                   \
        if (violations(id) == 0) {                                                \
            printf("%s did not see: %s\n", id, #breaks);                          \
            unit_failures++;                                                      \
        }                                                                         \
        mends;                                                                    \
        EXPECT_EQ(violations(id), 0);                                             \
    } while (0)

TEST(rules_of_trees_can_fail)
{
    struct task *task;
    struct endpoint *ep;
    struct node *a, *b, *spare;
    struct kres res;
    enum l4_detail detail;

    boot();
    res = initial_pages();
    task = make_task(0x300);
    ep = make_endpoint(0x310);
    a = derive(&ep->obj.root, task, 5, L4_R | L4_W);
    b = derive(a, task, 6, L4_R);
    expect_consistent();
    EXPECT_RULE("MDB-1", b->depth = 7, b->depth = 2);
    EXPECT_RULE("MDB-1", b->parent = &ep->obj.root, b->parent = a);
    EXPECT_RULE("MDB-1", a->prev = b, a->prev = &ep->obj.root);
    EXPECT_RULE("MDB-1", b->flags |= NODE_ROOT, b->flags &= (uint8_t)~NODE_ROOT);
    EXPECT_RULE("MDB-1", a->next = (struct node *)(void *)&seed, a->next = b);
    EXPECT_RULE("MDB-2", b->name |= L4_T, b->name &= ~L4_T);
    EXPECT_RULE("MDB-2", b->obj += 64, b->obj -= 64);
    EXPECT_RULE("MDB-2", (a->badge_len = 3, a->badge = 5), (a->badge_len = 0, a->badge = 0));
    EXPECT_RULE("MDB-2", b->flags |= NODE_DEVICE, b->flags &= (uint8_t)~NODE_DEVICE);
    spare = kmem_alloc(&res, L4_SIZE_NODE, UNIT_NODE, &detail);
    EXPECT_EQ(violations("MDB-3"), 1);
    kmem_free(spare, L4_SIZE_NODE);
    EXPECT_RULE("MDB-4", a->next = (struct node *)(void *)&seed, a->next = b);
    EXPECT_RULE("MDB-9", a->flags |= NODE_CURSOR, a->flags &= (uint8_t)~NODE_CURSOR);
    expect_consistent();
}

TEST(rules_of_capability_spaces_can_fail)
{
    struct task *task;
    struct endpoint *ep;
    struct node *a, **slot, **table;

    boot();
    task = make_task(0x300);
    ep = make_endpoint(0x310);
    a = derive(&ep->obj.root, task, 5, L4_R | L4_W);
    table = task->cap_dir[0];
    slot = &table[5];
    EXPECT_RULE("CAP-1", ep->obj.type = L4_TYPE_TASK, ep->obj.type = L4_TYPE_ENDPOINT);
    EXPECT_RULE("CAP-1", a->obj += 32, a->obj -= 32);
    EXPECT_RULE("CAP-1", *slot = (struct node *)(void *)&seed, *slot = a);
    EXPECT_RULE("CAP-2", *slot = NULL, *slot = a);
    EXPECT_RULE("CAP-2", table[6] = a, table[6] = NULL);
    EXPECT_RULE("CAP-2", a->task = sigma0_task, a->task = task);
    EXPECT_RULE("CAP-3", a->name &= ~15u, a->name |= L4_R | L4_W);
    EXPECT_RULE("CAP-3", a->task = NULL, a->task = task);
    EXPECT_RULE("CAP-6", task->cap_dir[7] = sigma0_task->cap_dir[0], task->cap_dir[7] = NULL);
    EXPECT_RULE("CAP-6", task->cap_dir[0] = NULL, task->cap_dir[0] = table);
    {
        struct kres res = initial_pages();

        EXPECT_EQ(space_add_table(task, L4_SPACE_CAP, L4_CAP_INVALID, &res), L4_D_NONE);
        EXPECT_RULE("CAP-4", task->cap_dir[1023][1023] = a, task->cap_dir[1023][1023] = NULL);
    }
    expect_consistent();
}

static void break_io_lists(void)
{
    struct node **list = io_lists(sigma0_task), *first = list[0], *second = first->io_next, *third = second->io_next;
    struct node *stray = (struct node *)(void *)&seed, *wide;
    uint32_t at = 1; /* of the last block of a wide node */

    while (at + 1u < IO_BLOCKS && (!list[at] || list[at] != list[at - 1u] || list[at] == list[at + 1u]))
        at++;
    wide = list[at];
    EXPECT(wide == list[at - 1u] && node_size(wide) > IO_BLOCK_SHIFT);
    EXPECT_RULE("IO-2", list[0] = second, list[0] = first); /* not in its list */
    EXPECT_RULE("IO-2", list[0] = stray, list[0] = first);
    EXPECT_RULE("IO-2", sigma0_task->io_nodes++, sigma0_task->io_nodes--);
    EXPECT_RULE("IO-2", first->task = make_task(0x301), first->task = sigma0_task);
    /* descending, and with a node twice */
    EXPECT_RULE("IO-2", (list[0] = second, second->io_next = first, first->io_next = third),
                (list[0] = first, first->io_next = second, second->io_next = third));
    EXPECT_RULE("IO-2", first->io_next = first, first->io_next = second);
    /* overlapping: the first has as many ports as reach the second */
    EXPECT_RULE("IO-2", first->name += 1u << 4, first->name -= 1u << 4);
    /* in another block */
    EXPECT_RULE("IO-2", (list[at] = first, list[0] = NULL), (list[at] = wide, list[0] = first));
    /* a wide one: not in all of its blocks, in one too much, not alone */
    EXPECT_RULE("IO-2", list[at] = NULL, list[at] = wide);
    EXPECT_RULE("IO-2", list[at - 1u] = NULL, list[at - 1u] = wide);
    first = list[at + 1u < IO_BLOCKS ? at + 1u : 0];
    EXPECT_RULE("IO-2", list[at + 1u < IO_BLOCKS ? at + 1u : 0] = wide, list[at + 1u < IO_BLOCKS ? at + 1u : 0] = first);
    EXPECT_RULE("IO-2", wide->io_next = second, wide->io_next = NULL);
}

TEST(rules_of_memory_and_io_can_fail)
{
    uint32_t small = 0, dir, i, *entry, old;
    struct node *n, *io;
    uint32_t *pd;

    boot();
    pd = sigma0_task->pd;
    for (dir = 0; dir < 768 && !(pd[dir] & PTE_SUPER); dir++)
        if (pd[dir])
            small = dir;
    EXPECT(dir < 768 && pd[small]);
    /* A present 4 KB entry and its node. */
    entry = phys_to_virt(pd[small] & 0xfffff000u);
    for (i = 0; i < 1023 && !(entry[i] & PTE_PRESENT); i++)
        ;
    entry += i;
    old = *entry;
    n = mem_lookup(sigma0_task, small << SUPER_SHIFT | i << PAGE_SHIFT);
    EXPECT_RULE("MEM-1", *entry ^= PTE_WRITE, *entry = old);
    EXPECT_RULE("MEM-1", *entry += PAGE_SIZE, *entry = old);
    EXPECT_RULE("MEM-1", pd[dir] &= ~PTE_USER, pd[dir] |= PTE_USER);
    EXPECT_RULE("MEM-1", pd[700] = pd[dir], pd[700] = 0);
    for (i = 0; i < frame_count && frame_table[i].kp != FRAME_KERNEL; i++)
        ;
    EXPECT_RULE("MEM-2", *entry = (old & 0xfffu) | i << PAGE_SHIFT, *entry = old);
    for (i = 0; i < frame_count && frame_table[i].kp <= FRAME_DEVICE; i++)
        ;
    EXPECT_RULE("MEM-3", *entry = (old & 0xfffu) | i << PAGE_SHIFT, *entry = old);
    {
        struct task *other = make_task(0x300);

        EXPECT_RULE("MEM-5", other->pd[900] ^= PTE_WRITE, other->pd[900] ^= PTE_WRITE);
        EXPECT_RULE("MEM-5", pd[901] |= PTE_USER, pd[901] &= ~PTE_USER);
    }
    EXPECT_RULE("MEM-6", n->name ^= 1u << 4, n->name ^= 1u << 4);
    EXPECT_RULE("MEM-6", n->name ^= 1u << 12, n->name ^= 1u << 12);
    io = io_lookup(sigma0_task, 0x60);
    EXPECT(io != NULL);
    EXPECT_RULE("IO-1", sigma0_task->io_bitmap[0][0x60 / 8] |= 1, sigma0_task->io_bitmap[0][0x60 / 8] &= 0xfe);
    EXPECT_RULE("IO-1", sigma0_task->io_version = 0, sigma0_task->io_version = 9);
    EXPECT_RULE("IO-1", sigma0_task->io_filled = false, sigma0_task->io_filled = true);
    break_io_lists();
    expect_consistent();
}

TEST(rules_of_objects_can_fail)
{
    struct endpoint *ep;
    struct kpage *kp;
    struct frame *f;
    uint32_t *tags, kept, use, i, table;
    struct task *kept_task;

    boot();
    ep = make_endpoint(0x310);
    f = &frame_table[virt_to_phys(ep) >> PAGE_SHIFT];
    kp = (struct kpage *)(uintptr_t)f->kp;
    tags = phys_to_virt(round_down(virt_to_phys(ep), PAGE_SIZE));
    kept = tags[15];
    use = f->use;
    EXPECT_RULE("OBJ-1", tags[15] = 3u << 28 | (kept & 0x0fffffffu), tags[15] = kept);
    EXPECT_RULE("OBJ-1", f->use += 1u << 8, f->use = use);
    EXPECT_RULE("OBJ-1", f->use |= 0x40u << 16, f->use = use);
    EXPECT_RULE("OBJ-1", tags[0] &= ~15u, tags[0] |= UNIT_MORE);
    EXPECT_RULE("OBJ-1", kp->hint++, kp->hint--);
    kept_task = ep->obj.root.task;
    EXPECT_RULE("OBJ-2", ep->obj.root.task = NULL, ep->obj.root.task = kept_task);
    for (table = 0; table < frame_count; table++)
        if (frame_table[table].kp > FRAME_DEVICE && (frame_table[table].use & 15u) == FRAME_CAPTABLE)
            break;
    use = frame_table[table].use;
    EXPECT_RULE("OBJ-3", frame_table[table].use = (use & ~15u) | FRAME_SHADOW, frame_table[table].use = use);
    EXPECT_RULE("OBJ-3", sigma0_task->threads->task = NULL, sigma0_task->threads->task = sigma0_task);
    EXPECT_RULE("OBJ-6", kp->frames++, kp->frames--);
    if (kp->converter) {
        struct node *converter = kp->converter;

        EXPECT_RULE("OBJ-6", kp->converter = &boot_io_root, kp->converter = converter);
    }
    for (i = 0; i < frame_count && frame_table[i].kp != FRAME_USER; i++)
        ;
    i = round_up(i, 1024); /* a block without any kernel page */
    while (block_is_converted(i << PAGE_SHIFT))
        i += 1024;
    EXPECT_RULE("OBJ-9", frame_table[i].kp = (uint32_t)(uintptr_t)kp, frame_table[i].kp = FRAME_USER);
    EXPECT_RULE("OBJ-10", ep->obj.flags |= KOBJ_DYING, ep->obj.flags &= (uint8_t)~KOBJ_DYING);
    expect_consistent();
}
