// SPDX-License-Identifier: MIT
/* What a revocation selects, what dies with what, and what is left of kernel memory.  [M 2.1.1] [M 2.5.1] [G26] [G27] [G41] */
#include "kernel/map.h"
#include "kernel/mapdb.h"
#include "tests/unit/pair.h"

#define BLOCK 0x00c00000u /* a 4 MB page of sigma0 */
#define PURSE_PAGE 0x00800000u /* in another one */
#define PAGES 8u

/* ---- the dry run ---- */

static const struct node *visited[64];
static unsigned visits;

static void visit(struct revoke *rv, struct node *n)
{
    (void)rv;
    EXPECT(visits < ARRAY_SIZE(visited));
    if (visits < ARRAY_SIZE(visited))
        visited[visits++] = n;
}

static bool was_visited(const struct node *n)
{
    for (unsigned i = 0; i < visits; i++)
        if (visited[i] == n)
            return true;
    return false;
}

/* Of every range of pages: the dry run visits exactly what the revocation then takes. */
TEST(dry_run_visits_what_goes)
{
    unsigned first, last, i, k;

    boot(true);
    back(L4_SPACE_MEM, 0x10000000);
    for (first = 0; first < PAGES; first++) {
        for (last = first; last < PAGES; last++) {
            struct revoke query = { 0 }, real = { 0 };
            struct node *root = mem_lookup(s0->task, BLOCK), *child[PAGES];
            uint32_t lo = root->obj + first * PAGE_SIZE, end = root->obj + (last + 1u) * PAGE_SIZE - 1u;

            for (k = 0; k < PAGES; k++) {
                EXPECT_EQ(map(L4_FPAGE(BLOCK + k * PAGE_SIZE, L4_SPACE_MEM, 12, 15), 0x10000000 + k * PAGE_SIZE), 0);
                child[k] = mem_lookup(there, 0x10000000 + k * PAGE_SIZE);
            }
            visits = 0;
            query.visit = visit;
            revoke_start(&query, root, lo, end, 15, REVOKE_QUERY);
            EXPECT_EQ(revoke_step(&query), STEP_DONE);
            EXPECT_EQ(visits, last - first + 1u);
            for (k = 0; k < PAGES; k++)
                EXPECT_EQ(was_visited(child[k]), k >= first && k <= last);
            revoke_start(&real, root, lo, end, 15, 0);
            EXPECT_EQ(revoke_step(&real), STEP_DONE);
            for (k = 0; k < PAGES; k++)
                EXPECT_EQ(mem_lookup(there, 0x10000000 + k * PAGE_SIZE) == NULL, k >= first && k <= last);
            EXPECT_EQ(take(L4_FPAGE(BLOCK, L4_SPACE_MEM, 22, 15), false), 1u << 4);
        }
    }
    /* one byte beyond an end selects the page there */
    for (i = 0; i < 2; i++) {
        struct node n = { .obj = 0x5000, .name = L4_FPAGE(0x5000, L4_SPACE_MEM, 12, 15) };

        EXPECT_EQ(node_overlaps(&n, 0, 0x4fff + i), i);
        EXPECT_EQ(node_overlaps(&n, 0x6000 - i, 0xffffffffu), i);
    }
    check_kernel();
}

/* ---- what dies with what ---- */

/* The object that dies first stands below the kernel page that waits for it.  Either order in one call. */
TEST(a_dying_object_in_a_dying_page)
{
    for (unsigned first = 0; first < 2; first++) {
        if (first == 0)
            boot(false);
        EXPECT_EQ(create(L4_TYPE_KPAGE, FREE_CAP, L4_FPAGE(FREE_PAGE, L4_SPACE_MEM, 12, L4_T), 0), 0);
        EXPECT_EQ(call(L4_CAP(FREE_CAP + 1) | L4_TYPE_ENDPOINT << 4 | L4_SYS_CREATE, L4_CAP_FPAGE(FREE_CAP, L4_W), KPAGES, 0, 0), 0);
        EXPECT_EQ(call(L4_CAP(FREE_CAP + 2) | L4_TYPE_RESERVATION << 4 | L4_SYS_CREATE, L4_CAP_FPAGE(FREE_CAP, L4_W), KPAGES, 0, 0), 0);
        EXPECT_EQ(call(2u << 12 | L4_SYS_UNMAP, L4_CAP_FPAGE(FREE_CAP + (first ? 0 : 1), 15), L4_CAP_FPAGE(FREE_CAP + (first ? 1 : 0), 15), 0, 0), 2u << 12);
        EXPECT(!reap_pending());
        for (unsigned i = 0; i < 3; i++)
            EXPECT(!cap_lookup(s0->task, FREE_CAP + i));
        check_kernel();
    }
}

/* A thread takes its task away from itself: nothing may be left of the page directory that was loaded. */
TEST(own_task_destroyed)
{
    struct thread *next;

    boot(false);
    EXPECT(host_access(there, PEER_WORDS, L4_W) != NULL);
    EXPECT(this_cpu()->loaded == there);
    EXPECT_EQ(take(L4_CAP_FPAGE(TASK, 15), true), 1u << 12);
    EXPECT(this_cpu()->loaded != there && peer->task == NULL && peer->state == THREAD_HALTED);
    check_kernel();
    EXPECT_EQ(create(L4_TYPE_TASK, TASK, KPAGES, KPAGES), 0);
    there = (struct task *)node_kobj(cap_lookup(s0->task, TASK));
    EXPECT_EQ(call(L4_CAP(THREAD) | 1u << 4 | L4_SYS_THREAD_CONTROL, L4_TCR_TASK << 2 | 1u, L4_CAP(TASK), 0, 0), 1u << 4);
    this_cpu()->loaded = there;
    reap_push(&there->obj);
    EXPECT_EQ(reap_run(NULL), STEP_DONE);
    EXPECT(this_cpu()->loaded == NULL);
    next = host_run();
    EXPECT(next == s0);
    check_kernel();
}

/* The table of a view goes with the memory that paid for it; the mapping stays and can be shown anew. */
TEST(memory_of_a_view_taken)
{
    boot(true);
    EXPECT_EQ(create(L4_TYPE_KPAGE, FREE_CAP, L4_FPAGE(PURSE_PAGE, L4_SPACE_MEM, 12, L4_T), 0), 0);
    EXPECT_EQ(map(L4_FPAGE(BLOCK, L4_SPACE_MEM, 22, 15), 0x20000000), 0);
    EXPECT_EQ(create(L4_TYPE_KPAGE, FREE_CAP + 1, L4_FPAGE(BLOCK + 0x5000, L4_SPACE_MEM, 12, 15), 0), 0);
    EXPECT_EQ(send_items(&(struct item){ L4_CAP_FPAGE(FREE_CAP, L4_W), 0x20000000 | 22 << 4 | L4_ITEM_TABRES }, 1, 3), 0);
    EXPECT_EQ(mem_refill(there, 0x20006000, L4_R, NULL), L4_D_NONE);
    EXPECT(mem_lookup(there, 0x20000000)->flags & NODE_VIEW);
    EXPECT(host_access(there, 0x20006000, L4_R) != NULL);
    check_kernel();
    EXPECT_EQ(take(L4_CAP_FPAGE(FREE_CAP, 15), true), 1u << 12);
    EXPECT(mem_lookup(there, 0x20000000) && !(mem_lookup(there, 0x20000000)->flags & NODE_VIEW));
    EXPECT(!host_access(there, 0x20006000, L4_R));
    EXPECT_EQ(mem_refill(there, 0x20006000, L4_R, NULL), L4_D_NO_PAGETABLE);
    check_kernel();
    EXPECT_EQ(take(L4_CAP_FPAGE(FREE_CAP + 1, 15), true), 1u << 12);
    EXPECT_EQ(mem_refill(there, 0x20006000, L4_R, NULL), L4_D_NONE);
    check_kernel();
}

/*
 * A capability of which 40 pages were converted loses `convert`, itself or below another one: no more of them die
 * between two points than 16, and before any is left nothing can be converted any more.
 */
#define MADE 40u
static const struct node *converter;
static unsigned points, left_at_points;

static unsigned kpages_left(void)
{
    unsigned n = 0;

    for (const struct kpage *kp = converter->flags & NODE_CONVERTER ? converter->kpage : NULL; kp; kp = kp->conv_next)
        n++;
    return n;
}

static void look_at_converter(void)
{
    unsigned left = kpages_left();

    if (left && left < left_at_points) {
        points++;
        EXPECT(!(node_rights(converter) & L4_T));
        EXPECT_EQ(left_at_points - left, 16);
        check_kernel();
    }
    left_at_points = left;
    this_cpu()->resched = true;
}

TEST(kernel_pages_die_in_stretches)
{
    uint32_t bytes, frames, bytes_now, frames_now;

    for (unsigned self = 0; self < 2; self++) {
        if (!self)
            boot(true);
        kmem_totals(&bytes, &frames);
        for (unsigned i = 0; i < MADE; i++)
            EXPECT_EQ(create(L4_TYPE_KPAGE, FREE_CAP + i, L4_FPAGE(BLOCK + i * PAGE_SIZE, L4_SPACE_MEM, 12, 15), 0), 0);
        converter = mem_lookup(s0->task, BLOCK);
        points = 0;
        left_at_points = MADE;
        EXPECT_EQ(kpages_left(), MADE);
        host_window = look_at_converter;
        if (self) {
            EXPECT_EQ(take(L4_FPAGE(BLOCK, L4_SPACE_MEM, 22, L4_T), true), 1u << 12);
            EXPECT_EQ(node_rights(converter), L4_R | L4_W | L4_X);
        } else {
            struct revoke rv = { .active = false };

            /* from the kernel's root, as nobody else has more than sigma0 */
            revoke_start(&rv, converter->parent, converter->obj, node_last(converter), L4_T, 0);
            while (revoke_step(&rv) == STEP_PREEMPTED)
                ;
            this_cpu()->resched = true;
            while (reap_run(NULL) == STEP_PREEMPTED)
                ;
        }
        host_window = NULL;
        EXPECT_EQ(points, 2);
        EXPECT_EQ(kpages_left(), 0);
        for (unsigned i = 0; i < MADE; i++)
            EXPECT(!cap_lookup(s0->task, FREE_CAP + i));
        kmem_totals(&bytes_now, &frames_now);
        EXPECT_EQ(bytes_now, bytes);
        EXPECT_EQ(frames_now, frames);
        check_kernel();
        if (!self)
            space_set_rights(mem_lookup(s0->task, BLOCK), L4_RIGHTS_ALL);
    }
}

/* ---- kernel memory ---- */

TEST(free_memory_is_counted)
{
    uint32_t bytes, frames, bytes_now, frames_now;

    boot(false);
    kmem_totals(&bytes, &frames);
    EXPECT(bytes >= L4_SIZE_ENDPOINT);
    EXPECT_EQ(create(L4_TYPE_ENDPOINT, FREE_CAP, 0, 0), 0);
    kmem_totals(&bytes_now, &frames_now);
    EXPECT_EQ(bytes - bytes_now, L4_SIZE_ENDPOINT);
    EXPECT_EQ(frames_now, frames);
    EXPECT_EQ(create(L4_TYPE_KPAGE, FREE_CAP + 1, L4_FPAGE(FREE_PAGE, L4_SPACE_MEM, 12, L4_T), 0), 0);
    kmem_totals(&bytes_now, &frames_now);
    EXPECT_EQ(frames_now, frames + 1);
    EXPECT_EQ(bytes - bytes_now, L4_SIZE_ENDPOINT + L4_SIZE_KPAGE);
}

/* A full kernel page takes nothing from the one behind it. */
TEST(full_page_beside_one_with_room)
{
    const uint32_t full = L4_CAP_FPAGE(FREE_CAP, L4_W), roomy = L4_CAP_FPAGE(FREE_CAP + 1, L4_W);
    uint32_t i, w0 = 0;
    const struct kpage *kp;

    boot(false);
    EXPECT_EQ(create(L4_TYPE_KPAGE, FREE_CAP, L4_FPAGE(FREE_PAGE, L4_SPACE_MEM, 12, L4_T), 0), 0);
    EXPECT_EQ(create(L4_TYPE_KPAGE, FREE_CAP + 1, L4_FPAGE(FREE_PAGE + PAGE_SIZE, L4_SPACE_MEM, 12, L4_T), 0), 0);
    kp = (const struct kpage *)(const void *)node_kobj(cap_lookup(s0->task, FREE_CAP));
    EXPECT_EQ(call(L4_CAP(FREE_CAP + 2) | L4_TYPE_ENDPOINT << 4 | L4_SYS_CREATE, roomy, KPAGES, 0, 0), 0);
    for (i = 0; i < 200 && w0 == 0; i++) /* nodes of one unit, until it is full */
        w0 = send_items(&(struct item){ full, L4_ITEM_MAPRES }, 1, 3) ? 1 :
             send_items((const struct item[]){ { full, L4_ITEM_MAPRES }, { L4_CAP_FPAGE(RESV, 15), L4_CAP(0x100 + i) | L4_ITEM_MAP } }, 2, 3);
    EXPECT_EQ(w0, L4_ERR(L4_MAP, L4_D_RES_FULL, 1));
    EXPECT_EQ(i - 1u, L4_UNITS_USABLE);
    EXPECT_EQ(kp->hint, kp->frames);
    /* and once more, now that its hint stands behind its end */
    EXPECT_EQ(send_items((const struct item[]){ { full, L4_ITEM_MAPRES }, { L4_CAP_FPAGE(RESV, 15), L4_CAP(0x100 + i) | L4_ITEM_MAP } }, 2, 3),
              L4_ERR(L4_MAP, L4_D_RES_FULL, 1));
    EXPECT(!cap_lookup(there, 0x100 + i - 1u) && !cap_lookup(there, 0x100 + i));
    check_kernel();
}

/* ---- tables and entries ---- */

/* The page tables of others lie in a kernel page: with it they go, and the names that they held. */
TEST(memory_of_a_page_table_taken)
{
    boot(false);
    EXPECT_EQ(create(L4_TYPE_KPAGE, FREE_CAP, L4_FPAGE(FREE_PAGE, L4_SPACE_MEM, 12, L4_T), 0), 0);
    EXPECT_EQ(create(L4_TYPE_KPAGE, FREE_CAP + 1, L4_FPAGE(FREE_PAGE + PAGE_SIZE, L4_SPACE_MEM, 12, L4_T), 0), 0);
    EXPECT_EQ(send_items(&(struct item){ L4_FPAGE(L4_CAP(FREE_CAP), L4_SPACE_CAP, 13, L4_W), 0x20000000 | 22 << 4 | L4_ITEM_TABRES }, 1, 3), 0);
    for (unsigned i = 0; i < 3; i++)
        EXPECT_EQ(map(L4_FPAGE(FREE_PAGE + (2 + i) * PAGE_SIZE, L4_SPACE_MEM, 12, L4_R), 0x20000000 + i * 0x5000), 0);
    EXPECT(host_access(there, 0x20005000, L4_R) != NULL);
    EXPECT_EQ(take(L4_CAP_FPAGE(FREE_CAP, 15), true), 1u << 12);
    for (unsigned i = 0; i < 3; i++)
        EXPECT(!mem_lookup(there, 0x20000000 + i * 0x5000) && !host_access(there, 0x20000000 + i * 0x5000, L4_R));
    check_kernel();
    EXPECT_EQ(take(L4_CAP_FPAGE(FREE_CAP + 1, 15), true), 1u << 12);
    check_kernel();
}

/* Writing is taken from a 4 MB page that is shown in small entries: from every one of them. */
TEST(rights_of_a_view)
{
    unsigned i;

    boot(true);
    EXPECT_EQ(map(L4_FPAGE(BLOCK, L4_SPACE_MEM, 22, 15), 0x20000000), 0);
    EXPECT_EQ(create(L4_TYPE_KPAGE, FREE_CAP, L4_FPAGE(BLOCK + 0x3ff000, L4_SPACE_MEM, 12, 15), 0), 0);
    back(L4_SPACE_MEM, 0x20000000);
    for (i = 0; i < 9; i++) {
        EXPECT_EQ(mem_refill(there, 0x20000000 + i * PAGE_SIZE, L4_W, NULL), L4_D_NONE);
        EXPECT(host_access(there, 0x20000000 + i * PAGE_SIZE, L4_W) != NULL);
    }
    EXPECT_EQ(take(L4_FPAGE(BLOCK, L4_SPACE_MEM, 22, L4_W), false), 1u << 4);
    for (i = 0; i < 9; i++)
        EXPECT(!host_access(there, 0x20000000 + i * PAGE_SIZE, L4_W) && host_access(there, 0x20000000 + i * PAGE_SIZE, L4_R));
    check_kernel();
}

/* A big page is not converted if any frame of it is a kernel page already. */
TEST(convert_around_a_kernel_page)
{
    unsigned order, i;

    boot(true);
    for (order = 13; order <= 16; order++) {
        for (i = 0; i < 1u << (order - 12u); i++) {
            EXPECT_EQ(create(L4_TYPE_KPAGE, FREE_CAP, L4_FPAGE(BLOCK + i * PAGE_SIZE, L4_SPACE_MEM, 12, 15), 0), 0);
            EXPECT_EQ(create(L4_TYPE_KPAGE, FREE_CAP + 1, L4_FPAGE(BLOCK, L4_SPACE_MEM, order, 15), 0), L4_ERR(L4_CAP, L4_D_CONVERTED, 3));
            EXPECT_EQ(take(L4_CAP_FPAGE(FREE_CAP, 15), true), 1u << 12);
        }
    }
    check_kernel();
}

/* Each kind of access is reported once, and none that was not made. */
TEST(accesses_are_reported)
{
    static const uint32_t report_of[] = { 0, L4_R | L4_X, L4_R | L4_W | L4_X };

    boot(false);
    back(L4_SPACE_MEM, 0x20000000);
    for (unsigned how = 0; how < 3; how++) {
        EXPECT_EQ(map(L4_FPAGE(FREE_PAGE, L4_SPACE_MEM, 12, 15), 0x20000000), 0);
        if (how)
            EXPECT(host_access(there, 0x20000000, how == 2 ? L4_W : L4_R) != NULL);
        EXPECT_EQ(take(L4_FPAGE(FREE_PAGE, L4_SPACE_MEM, 12, 15), false), 1u << 4);
        EXPECT_EQ(s0->frame.w[1], report_of[how]);
        EXPECT_EQ(take(L4_FPAGE(FREE_PAGE, L4_SPACE_MEM, 12, 15), false), 1u << 4);
        EXPECT_EQ(s0->frame.w[1], 0);
    }
    check_kernel();
}

/* ---- interrupted revocations that meet, step by step ---- */

#define LINKS 60u /* capability FREE_CAP + i is mapped from FREE_CAP + i - 1 */
#define WIDE  40u /* and these from one of them */

static void ask(void) { this_cpu()->resched = true; }
static void preempt(bool on)
{
    host_window = on ? ask : NULL;
    this_cpu()->resched = false;
}

static struct node *link_at(unsigned i) { return cap_lookup(s0->task, FREE_CAP + i); }

/* One name to another of the same task, without a message, paid by sigma0. */
static void give_own(struct task *task, unsigned space, uint32_t from, uint32_t to)
{
    struct map_state state = { 0 };
    struct map_job job = {
        .from = task, .to = task, .state = &state, .nodes = { .task = s0->task, .fpage = KPAGES }, .space = (uint8_t)space,
        .order = 12, .rights = 15, .source = from, .destination = to, .names = 1,
    };

    map_reset(&state);
    EXPECT_EQ(map_run(&job), STEP_DONE);
    EXPECT_EQ(map_outcome(&state), L4_D_NONE);
}

static void give(unsigned from, unsigned to)
{
    give_own(s0->task, L4_SPACE_CAP, L4_CAP(FREE_CAP + from), L4_CAP(FREE_CAP + to));
}

/* A chain of links, and below link `at` as many more side by side that a revocation of it is preempted. */
static void chain(unsigned at)
{
    EXPECT_EQ(create(L4_TYPE_ENDPOINT, FREE_CAP, 0, 0), 0);
    for (unsigned i = 1; i < LINKS; i++)
        give(i - 1u, i);
    for (unsigned i = 0; i < WIDE; i++)
        give(at, LINKS + i);
}

static void begin(struct revoke *rv, struct node *root, unsigned how)
{
    revoke_start(rv, root, 0, 0xffffffffu, 15, how);
}

/*
 * A flush of link 50 is preempted; the links above it lose their names to a revocation that is cancelled then.  So
 * the flush has them to unlink upward, and is preempted there.  Who comes again from above takes the node away that
 * it stands at.
 */
TEST(upward_walk_loses_its_place)
{
    struct revoke low = { 0 }, high = { 0 };
    struct node *links[LINKS];
    uint32_t bytes, frames, bytes_now, frames_now;
    unsigned place;

    boot(false);
    EXPECT_EQ(create(L4_TYPE_ENDPOINT, FREE_CAP, 0, 0), 0);
    kmem_totals(&bytes, &frames);
    EXPECT_EQ(take(L4_CAP_FPAGE(FREE_CAP, 15), true), 1u << 12);
    chain(50);
    for (unsigned i = 0; i < LINKS; i++)
        links[i] = link_at(i);
    preempt(true);
    begin(&low, links[50], REVOKE_SELF);
    EXPECT_EQ(revoke_step(&low), STEP_PREEMPTED);
    EXPECT_EQ(low.pass, 1);
    begin(&high, links[10], 0);
    while (links[49]->task)
        EXPECT_EQ(revoke_step(&high), STEP_PREEMPTED);
    revoke_cancel(&high);
    check_kernel();
    while (low.root == links[50])
        EXPECT_EQ(revoke_step(&low), STEP_PREEMPTED);
    EXPECT_EQ(low.pass, 3);
    for (place = 11; place < 50 && links[place] != low.root; place++)
        ;
    EXPECT(place < 50 && low.cursor == low.root);
    check_kernel();
    preempt(false);
    begin(&high, links[10], 0);
    EXPECT_EQ(revoke_step(&high), STEP_DONE);
    EXPECT(!low.root && !low.cursor);
    EXPECT_EQ(revoke_step(&low), STEP_DONE);
    EXPECT(!low.active && !revoke_active && link_at(10) && !node_has_children(links[10]));
    check_kernel();
    EXPECT_EQ(take(L4_CAP_FPAGE(FREE_CAP, 15), false), 1u << 4);
    kmem_totals(&bytes_now, &frames_now);
    EXPECT_EQ(bytes_now, bytes);
    EXPECT_EQ(frames_now, frames);
    check_kernel();
}

/* A flush of a creator's capability is cancelled: it has no rights then, and only who flushes again ends the object. */
TEST(after_a_cancelled_flush)
{
    struct revoke rv = { 0 };

    boot(false);
    chain(0);
    preempt(true);
    begin(&rv, link_at(0), REVOKE_SELF);
    EXPECT_EQ(revoke_step(&rv), STEP_PREEMPTED);
    revoke_cancel(&rv);
    preempt(false);
    EXPECT_EQ(node_rights(link_at(0)), 0);
    begin(&rv, link_at(0), 0);
    EXPECT_EQ(revoke_step(&rv), STEP_DONE);
    EXPECT(link_at(0) && !node_has_children(link_at(0)) && !reap_pending());
    check_kernel();
    EXPECT_EQ(take(L4_CAP_FPAGE(FREE_CAP, 15), false), 1u << 4);
    EXPECT(link_at(0) != NULL);
    EXPECT_EQ(take(L4_CAP_FPAGE(FREE_CAP, 15), true), 1u << 12);
    EXPECT(!link_at(0));
    check_kernel();
}

/* The same of a page that somebody else owns: a question changes nothing, an unmap finishes it. */
TEST(after_a_cancelled_flush_of_a_page)
{
    struct revoke rv = { 0 };
    struct node *n;

    boot(true);
    back(L4_SPACE_MEM, 0x10000000);
    EXPECT_EQ(map(L4_FPAGE(BLOCK, L4_SPACE_MEM, 12, 15), 0x10000000), 0);
    n = mem_lookup(there, 0x10000000);
    begin(&rv, n, REVOKE_SELF); /* its own rights go first */
    revoke_cancel(&rv);
    EXPECT(mem_lookup(there, 0x10000000) == n && node_rights(n) == 0);
    for (unsigned how = 0; how < 2; how++) {
        revoke_start(&rv, n, n->obj, node_last(n), 0, how ? REVOKE_SELF : 0);
        EXPECT_EQ(revoke_step(&rv), STEP_DONE);
        EXPECT_EQ(revoke_below(&rv, n, n->obj, node_last(n), 0), STEP_DONE);
        EXPECT(mem_lookup(there, 0x10000000) == n);
    }
    EXPECT_EQ(revoke_below(&rv, n, n->obj, node_last(n), 15), STEP_DONE);
    EXPECT(!mem_lookup(there, 0x10000000));
    check_kernel();
}

/* A flush of some rights leaves the creator the others, and the object alive, though nodes below lose all they have. */
TEST(creator_loses_some_rights)
{
    boot(false);
    EXPECT_EQ(create(L4_TYPE_ENDPOINT, FREE_CAP, 0, 0), 0);
    EXPECT_EQ(map(L4_CAP_FPAGE(FREE_CAP, L4_W), L4_CAP(0x10)), 0);
    give_own(there, L4_SPACE_CAP, L4_CAP(0x10), L4_CAP(0x11));
    EXPECT(cap_lookup(there, 0x11)->parent == cap_lookup(there, 0x10));
    EXPECT_EQ(take(L4_CAP_FPAGE(FREE_CAP, L4_W), true), 1u << 12);
    EXPECT(!cap_lookup(there, 0x10) && !cap_lookup(there, 0x11));
    EXPECT(link_at(0) && !kobj_is_dying(node_kobj(link_at(0))));
    EXPECT_EQ(node_rights(link_at(0)), 15u & ~L4_W);
    check_kernel();
}

/* Ports beyond the flexpage stay, also if the task has none inside it. */
TEST(ports_outside_stay)
{
    boot(false);
    EXPECT_EQ(map(io_fpage(0x208, 3, 15), 0), 0);
    EXPECT_EQ(map(io_fpage(0x220, 3, 15), 0), 0);
    for (uint32_t port = 0x200; port < 0x230; port += 8) {
        struct thread *next;

        if (io_lookup(there, port))
            continue;
        next = host_call(s0, L4_IPC_W0(L4_CAP(EP_THERE), 0, 0), L4_IPC_W1(L4_CAP(EP_BACK), 0, 0, 0), 0, 0, 0);
        EXPECT(next == peer);
        next = host_call(peer, 1u << 12 | L4_SYS_UNMAP, io_fpage(port, 3, 15), 0, 0, 0);
        EXPECT(next == peer);
        EXPECT(io_lookup(there, 0x208) && io_lookup(there, 0x20f) && io_lookup(there, 0x220));
        peer_waits(3);
    }
    check_kernel();
}

/* ---- no more than so much between two preemption points  [G42] ---- */

static uint32_t units_before, most_units;

/* Free units of 32 bytes; a free frame could hold 126. */
static uint32_t free_units(void)
{
    uint32_t bytes, frames;

    kmem_totals(&bytes, &frames);
    return bytes / L4_UNIT + frames * L4_UNITS_USABLE;
}

static void measure(void)
{
    uint32_t now = free_units();

    most_units = now - units_before > most_units ? now - units_before : most_units;
    units_before = now;
}

static void begin_measuring(void)
{
    units_before = free_units();
    most_units = 0;
    host_window = measure;
}

/* No more than `limit` nodes went in one go, and so many in all. */
static void end_measuring(uint32_t before, uint32_t count, uint32_t limit)
{
    measure();
    host_window = NULL;
    EXPECT_EQ(units_before - before, count);
    EXPECT(most_units <= limit);
    check_kernel();
}

#define MANY 200u

static void give_pages(unsigned count, uint32_t name)
{
    back(L4_SPACE_MEM, name);
    for (unsigned i = 0; i < count; i++)
        EXPECT_EQ(map(L4_FPAGE(BLOCK, L4_SPACE_MEM, 12, 15), name + i * PAGE_SIZE), 0);
}

TEST(stretches)
{
    uint32_t before;

    boot(true);
    /* pages without children below one node */
    give_pages(MANY, 0x10000000);
    before = free_units();
    begin_measuring();
    EXPECT_EQ(take(L4_FPAGE(BLOCK, L4_SPACE_MEM, 22, 15), false), 1u << 4);
    end_measuring(before, MANY, 16);
    back(L4_SPACE_MEM, 0x20000000);
    /* many targets with one page each: in one flexpage, and in a list of flexpages, with flush and without */
    for (unsigned flush = 0; flush < 2; flush++) {
        for (unsigned list = 0; list < 2; list++) {
            uint32_t *more, w0;

            for (unsigned i = 0; i < 64; i++)
                EXPECT_EQ(map(L4_FPAGE(BLOCK + i * PAGE_SIZE, L4_SPACE_MEM, 12, 15), 0x20000000 + i * PAGE_SIZE), 0);
            for (unsigned i = 0; i < 64; i++)
                give_own(there, L4_SPACE_MEM, 0x20000000 + i * PAGE_SIZE, 0x20100000 + i * PAGE_SIZE);
            before = free_units();
            EXPECT(host_call(s0, L4_IPC_W0(L4_CAP(EP_THERE), 0, 0), L4_IPC_W1(L4_CAP(EP_BACK), 0, 0, 0), 0, 0, 0) == peer);
            more = host_access(there, PEER_WORDS, L4_W);
            for (unsigned i = 4; i < 64; i++)
                more[i - 4] = L4_FPAGE(0x20000000 + i * PAGE_SIZE, L4_SPACE_MEM, 12, 15);
            w0 = (list ? 64u : 1u) << (flush ? 12 : 4);
            begin_measuring();
            EXPECT(host_call(peer, w0 | L4_SYS_UNMAP, L4_FPAGE(0x20000000, L4_SPACE_MEM, list ? 12 : 18, 15),
                             L4_FPAGE(0x20001000, L4_SPACE_MEM, 12, 15), L4_FPAGE(0x20002000, L4_SPACE_MEM, 12, 15),
                             L4_FPAGE(0x20003000, L4_SPACE_MEM, 12, 15)) == peer);
            end_measuring(before, flush ? 128 : 64, 16);
            peer_waits(3);
            EXPECT_EQ(take(L4_FPAGE(BLOCK, L4_SPACE_MEM, 22, 15), false), 1u << 4);
        }
    }
    /* capabilities side by side, and in a chain: connectors are unlinked backward */
    chain(0);
    before = free_units();
    begin_measuring();
    EXPECT_EQ(take(L4_CAP_FPAGE(FREE_CAP, 15), false), 1u << 4);
    end_measuring(before, WIDE + LINKS - 1u, 16);
    EXPECT_EQ(take(L4_CAP_FPAGE(FREE_CAP, 15), true), 1u << 12);
    /* the object is destroyed */
    chain(0);
    before = free_units();
    preempt(false);
    begin_measuring();
    reap_push(node_kobj(link_at(0)));
    while (reap_pending())
        EXPECT(reap_run(NULL) != STEP_GONE);
    end_measuring(before, WIDE + LINKS - 1u + L4_SIZE_ENDPOINT / L4_UNIT, 16);
}

/* ---- the reaper ---- */

static void wake_peer(void)
{
    EXPECT(host_call(s0, L4_IPC_W0(L4_CAP(EP_THERE), 0, 0), L4_IPC_W1(L4_CAP_INVALID, 0, 0, 0), 0, 0, 0) == s0);
    EXPECT_EQ(s0->frame.w[0] & 15u, 0);
    EXPECT(peer->state == THREAD_READY);
}

/* Who destroys itself gets no result; the others go on, and at the end nobody is left. */
TEST(destroying_oneself)
{
    for (unsigned how = 0; how < 4; how++) {
        pid_t child = fork();
        struct thread *next;
        int status;

        if (child == 0) {
            unit_failures = 0;
            boot(true);
            chain(0);
            wake_peer();
            preempt(how & 1u);
            next = host_call(s0, 1u << 12 | L4_SYS_UNMAP, L4_CAP_FPAGE(how & 2u ? L4_S0_TASK : L4_S0_THREAD, 15), 0, 0, 0);
            EXPECT(next == peer && !sigma0_task->threads);
            /* who revokes something works off what is left; the last one is among it */
            next = host_call(peer, 1u << 4 | L4_SYS_UNMAP, L4_CAP_FPAGE(EP_THERE, 15), 0, 0, 0);
            EXPECT(next == (how & 2u ? NULL : peer));
            for (const struct kobj *o = kobj_next(NULL); o; o = kobj_next(o))
                EXPECT(!(how & 2u) || o->flags & KOBJ_STATIC || !o->root.task);
            preempt(false);
            EXPECT(!reap_pending() && !revoke_active);
            check_kernel();
            exit(unit_failures != 0);
        }
        EXPECT(waitpid(child, &status, 0) == child && status == 0);
    }
}

/* The memory of other tasks' page and capability tables goes, and at each point somebody uses names in them again. */
TEST(tables_filled_while_their_memory_goes)
{
    unsigned at = 0, passed;

    boot(true);
    do {
        uint32_t units = free_units();
        const struct item items[] = {
            { L4_CAP_FPAGE(FREE_CAP, L4_W), 0x20000000 | 22 << 4 | L4_ITEM_TABRES },
            { L4_CAP_FPAGE(FREE_CAP, L4_W), L4_CAP(0x2000) | L4_SPACE_CAP << 10 | 22 << 4 | L4_ITEM_TABRES },
        };

        EXPECT_EQ(create(L4_TYPE_KPAGE, FREE_CAP, L4_FPAGE(PURSE_PAGE, L4_SPACE_MEM, 14, L4_T), 0), 0);
        EXPECT_EQ(send_items(items, 2, 3), 0);
        for (unsigned i = 0; i < 3; i++) {
            EXPECT_EQ(map(L4_FPAGE(BLOCK, L4_SPACE_MEM, 12, 15), 0x20040000 + i * 0x5000), 0);
            EXPECT_EQ(map(L4_CAP_FPAGE(RESV, 15), L4_CAP(0x2040 + i * 0x50)), 0);
        }
        preempt(true);
        reap_push(node_kobj(cap_lookup(s0->task, FREE_CAP)));
        for (passed = 0; reap_run(NULL) == STEP_PREEMPTED; passed++) {
            preempt(false);
            if (passed == at) {
                if (there->pd_shadow[0x20000000 >> SUPER_SHIFT]) {
                    give_own(there, L4_SPACE_MEM, PEER_WORDS, 0x20000000);
                    EXPECT(host_access(there, 0x20000000, L4_R) != NULL);
                }
                if (there->cap_dir[0x2000 >> 10])
                    give_own(there, L4_SPACE_CAP, L4_CAP(EP_THERE), L4_CAP(0x2000));
                check_kernel();
            }
            preempt(true);
        }
        preempt(false);
        EXPECT(!there->pd_shadow[0x20000000 >> SUPER_SHIFT] && !there->cap_dir[0x2000 >> 10]);
        EXPECT(!host_access(there, 0x20000000, L4_R));
        EXPECT_EQ(free_units(), units);
        check_kernel();
    } while (at++ < passed && !unit_failures);
    EXPECT(passed > 8);
}

/* A task with names far apart is looked through in stretches; the next one in the same memory is another one. */
TEST(sparse_task)
{
    struct kres res;

    boot(true);
    res = (struct kres){ .task = s0->task, .fpage = KPAGES };
    for (unsigned round = 0; round < 3; round++) {
        uint32_t units = free_units();
        struct task *task;
        unsigned passed = 0;

        EXPECT_EQ(create(L4_TYPE_TASK, FREE_CAP, L4_CAP_FPAGE(RESV, 15), L4_CAP_FPAGE(0x3ff, 15)), 0);
        task = (struct task *)node_kobj(cap_lookup(s0->task, FREE_CAP));
        for (unsigned i = 1; i < 9; i++) {
            EXPECT_EQ(space_add_table(task, L4_SPACE_CAP, i << SUPER_SHIFT, &res), L4_D_NONE);
            EXPECT_EQ(space_add_table(task, L4_SPACE_MEM, i << SUPER_SHIFT, &res), L4_D_NONE);
        }
        cpu_set_io_task(this_cpu(), task);
        preempt(true);
        reap_push(&task->obj);
        while (reap_run(NULL) == STEP_PREEMPTED)
            passed++;
        preempt(false);
        EXPECT(passed >= 17 * 1024 / 256u);
        EXPECT(!this_cpu()->io_task && !cap_lookup(s0->task, FREE_CAP));
        EXPECT_EQ(free_units(), units);
        check_kernel();
    }
}

static void make_page(uint32_t id, uint32_t page, unsigned order)
{
    EXPECT_EQ(create(L4_TYPE_KPAGE, id, L4_FPAGE(page, L4_SPACE_MEM, order, L4_T), 0), 0);
}
static void make_in(uint32_t fpage, uint32_t type, uint32_t id)
{
    EXPECT_EQ(call(L4_CAP(id) | type << 4 | L4_SYS_CREATE, fpage, 0, 0, 0), 0);
}

/* What the debugger is told goes with o: every thing once. */
static unsigned count_items(struct kobj *o, enum reap_kind kind)
{
    struct reap_walk w;
    struct reap_item item;
    unsigned count = 0;

    reap_walk_start(&w, o);
    for (reap_walk_next(&w, &item); item.kind != REAP_END; reap_walk_next(&w, &item)) {
        count += item.kind == kind;
        if (item.kind != REAP_PAUSE)
            reap_walk_pass(&w, &item);
    }
    return count;
}

TEST(dry_walk)
{
    struct kobj *page;

    boot(true);
    EXPECT_EQ(map(io_fpage(0x200, 3, 15), 0), 0);
    EXPECT_EQ(map(io_fpage(0x220, 3, 15), 0), 0);
    EXPECT_EQ(map(L4_FPAGE(BLOCK, L4_SPACE_MEM, 22, 15), 0x10000000), 0);
    back(L4_SPACE_MEM, 0x20000000);
    for (unsigned i = 0; i < 4; i++)
        EXPECT_EQ(map(L4_FPAGE(BLOCK, L4_SPACE_MEM, 12, 15), 0x20000000 + i * 0x4000), 0);
    /* two capabilities, the page for parameters, its own; what is above */
    EXPECT_EQ(count_items(&there->obj, REAP_NODE), 2 + 1 + 2 + 1 + 4);
    EXPECT_EQ(count_items(&there->obj, REAP_THREAD), 1);
    EXPECT_EQ(count_items(&there->obj, REAP_TABLE), 1 + 2);
    EXPECT_EQ(count_items(&there->obj, REAP_OBJECT), 0);
    make_page(FREE_CAP, PURSE_PAGE, 15);
    page = node_kobj(cap_lookup(s0->task, FREE_CAP));
    make_in(L4_CAP_FPAGE(FREE_CAP, L4_W), L4_TYPE_TASK, FREE_CAP + 1);
    make_in(L4_CAP_FPAGE(FREE_CAP, L4_W), L4_TYPE_ENDPOINT, FREE_CAP + 2);
    EXPECT_EQ(send_items((const struct item[]){ { L4_CAP_FPAGE(FREE_CAP, L4_W), L4_ITEM_MAPRES },
                                                { L4_FPAGE(BLOCK, L4_SPACE_MEM, 13, 15), 0x20100000 | L4_ITEM_MAP } }, 2, 3), 0);
    EXPECT_EQ(count_items(page, REAP_OBJECT), 1 + 1 + L4_TASK_PAGES); /* the task, and again for each of its pages */
    EXPECT_EQ(count_items(page, REAP_NODE), 2);
    check_kernel();
}

/* The directories of a task lie in another kernel page than its head, and others' things lie behind that. */
TEST(neighbours_of_a_page)
{
    const uint32_t both = L4_FPAGE(L4_CAP(FREE_CAP), L4_SPACE_CAP, 13, L4_W);

    boot(true);
    for (unsigned gone = 0; gone < 3; gone++) {
        /* head, and behind it what stays; directories, and behind them what stays */
        make_page(FREE_CAP, PURSE_PAGE, 12);
        make_page(FREE_CAP + 3, PURSE_PAGE + 0x1000, 12);
        make_page(FREE_CAP + 1, PURSE_PAGE + 0x8000, 15);
        make_page(FREE_CAP + 2, PURSE_PAGE + 0x10000, 12);
        make_in(L4_CAP_FPAGE(FREE_CAP + 2, L4_W), L4_TYPE_ENDPOINT, FREE_CAP + 4);
        make_in(L4_CAP_FPAGE(FREE_CAP + 3, L4_W), L4_TYPE_ENDPOINT, FREE_CAP + 5);
        make_in(both, L4_TYPE_TASK, FREE_CAP + 6);
        EXPECT_EQ(take(L4_CAP_FPAGE(FREE_CAP + (gone == 2 ? 6 : gone), 15), true), 1u << 12);
        EXPECT(!cap_lookup(s0->task, FREE_CAP + 6));
        EXPECT(cap_lookup(s0->task, FREE_CAP + 4) && cap_lookup(s0->task, FREE_CAP + 5));
        check_kernel();
        EXPECT_EQ(take(L4_FPAGE(L4_CAP(FREE_CAP), L4_SPACE_CAP, 15, 15), true), 1u << 12);
        EXPECT(!cap_lookup(s0->task, FREE_CAP + 4) && !cap_lookup(s0->task, FREE_CAP + 5));
        check_kernel();
    }
}
