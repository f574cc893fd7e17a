// SPDX-License-Identifier: MIT
/*
 * Searches for kernel memory that take long: through a thousand full kernel pages, through a thousand frames in
 * which nothing fits.  Each passes preemption points, ends where a search in one go would, and stands what others do
 * meanwhile.  [G42] [G51]
 */
#include "kernel/fault.h"
#include "kernel/page.h"
#include "tests/unit/pair.h"

#define FULL 1000u     /* kernel pages of one frame, each taken by a capability table */
#define ROOMS 0x400u   /* their names: a capability table of their own */
#define REGION L4_FPAGE(L4_CAP(ROOMS), L4_SPACE_CAP, 22u, L4_W)
#define FIRST_DIR 8u   /* what the tables are for: capabilities from FIRST_DIR << 10 on */
#define NAMES_AT_ONCE (ROOM_WORK / 2u) /* a search of a stretch passes up to two points */
#define FRAMES_AT_ONCE (ROOM_WORK / 16u)
#define BIG_PAGE 0x00c00000u
#define SOME_PAGES 0x006e0000u

static unsigned points;

static void count_point(void) { points++; }

static struct kpage *room(unsigned i) { return (struct kpage *)node_kobj(cap_lookup(s0->task, ROOMS + i)); }

static void fill(unsigned i)
{
    const struct kres res = { .task = s0->task, .fpage = L4_CAP_FPAGE(ROOMS + i, L4_W) };

    EXPECT_EQ(space_add_table(s0->task, L4_SPACE_CAP, L4_CAP((FIRST_DIR + i) << 10), &res), L4_D_NONE);
}

static void empty(unsigned i) { space_drop_table(s0->task, L4_SPACE_CAP, L4_CAP((FIRST_DIR + i) << 10)); }

static void make_full_pages(void)
{
    boot(false);
    for (unsigned i = 0; i < FULL; i++) {
        EXPECT_EQ(create(L4_TYPE_KPAGE, ROOMS + i, L4_FPAGE(FREE_PAGE + i * PAGE_SIZE, L4_SPACE_MEM, 12, L4_T), 0), 0);
        fill(i);
    }
    if (unit_failures)
        exit(1);
    host_window = count_point;
    points = 0;
}

static uint32_t create_in(uint32_t region, enum l4_type type, uint32_t p0, uint32_t p1)
{
    points = 0;
    return call(L4_CAP(FREE_CAP) | (uint32_t)type << 4 | L4_SYS_CREATE, region, KPAGES, p0, p1);
}

static struct kpage *where(const void *object)
{
    return (struct kpage *)(uintptr_t)frame_table[virt_to_phys(object) >> PAGE_SHIFT].kp;
}

static void drop(uint32_t id) { EXPECT_EQ(take(L4_CAP_FPAGE(id, 15), true) & 15u, 0); }

TEST(objects_behind_many_full_kernel_pages)
{
    static const enum l4_type types[] = { L4_TYPE_ENDPOINT, L4_TYPE_THREAD, L4_TYPE_RESERVATION };

    make_full_pages();
    for (unsigned i = 0; i < ARRAY_SIZE(types); i++) {
        EXPECT_EQ(create_in(REGION, types[i], 0, 0), L4_ERR(L4_NOMEM, L4_D_RES_FULL, 1));
        EXPECT(points >= FULL / NAMES_AT_ONCE);
        empty(990);
        EXPECT_EQ(create_in(REGION, types[i], 0, 0), 0);
        EXPECT(points >= 990 / NAMES_AT_ONCE);
        EXPECT(where(node_kobj(cap_lookup(s0->task, FREE_CAP))) == room(990));
        drop(FREE_CAP);
        fill(990);
    }
    /* a new kernel page: its descriptor */
    EXPECT_EQ(create_in(REGION, L4_TYPE_KPAGE, L4_FPAGE(BIG_PAGE, L4_SPACE_MEM, 12, L4_T), 0), L4_ERR(L4_NOMEM, L4_D_RES_FULL, 1));
    EXPECT(points >= FULL / NAMES_AT_ONCE);
    check_kernel();
}

/* Five pages and the control block: each search goes on where it was when all of them are begun anew. */
TEST(task_behind_many_full_kernel_pages)
{
    static const unsigned free[] = { 300, 301, 600, 601, 995, 999 };
    const struct task *task;
    uint32_t bytes, frames, bytes_now, frames_now;

    make_full_pages();
    for (unsigned n = 0; n < ARRAY_SIZE(free); n++) {
        kmem_totals(&bytes, &frames);
        EXPECT_EQ(create_in(REGION, L4_TYPE_TASK, 0, 0), L4_ERR(L4_NOMEM, n ? L4_D_RES_ALIGN : L4_D_RES_FULL, 1));
        EXPECT(points >= FULL / NAMES_AT_ONCE);
        kmem_totals(&bytes_now, &frames_now);
        EXPECT(bytes_now == bytes && frames_now == frames);
        empty(free[n]);
    }
    EXPECT_EQ(create_in(REGION, L4_TYPE_TASK, 0, 0), 0);
    EXPECT(points >= FULL / NAMES_AT_ONCE && points < 3u * FULL / NAMES_AT_ONCE);
    task = (const struct task *)node_kobj(cap_lookup(s0->task, FREE_CAP));
    EXPECT(where(task) == room(300));
    EXPECT(where(task->pd) == room(301));
    EXPECT(where(task->pd_shadow) == room(600));
    EXPECT(where(task->cap_dir) == room(601));
    EXPECT(where(task->io_bitmap[0]) == room(995));
    EXPECT(where(task->io_bitmap[1]) == room(999));
    drop(FREE_CAP);
    check_kernel();
}

/* Names without a kernel page: a capability fault, in the end; for the new name's table, too. */
TEST(nothing_usable_is_a_fault)
{
    const uint32_t nowhere = L4_FPAGE(L4_CAP(ROOMS), L4_SPACE_CAP, 22u, 0);

    boot(false);
    EXPECT_EQ(create(L4_TYPE_ENDPOINT, ROOMS + 5, 0, 0), 0); /* so that there is a table */
    host_window = count_point;
    EXPECT_EQ(create_in(nowhere, L4_TYPE_ENDPOINT, 0, 0), L4_ERR(L4_CAP, L4_D_EMPTY, 1));
    EXPECT(points >= 1024 / NAMES_AT_ONCE);
    points = 0;
    EXPECT_EQ(call(L4_CAP(0x5000) | 3 << 4 | L4_SYS_CREATE, nowhere, KPAGES, 0, 0), L4_ERR(L4_CAP, L4_D_EMPTY, 1));
    EXPECT(points >= 1024 / NAMES_AT_ONCE);
    points = 0;
    EXPECT_EQ(call(L4_CAP(0x5000) | 3 << 4 | L4_SYS_CREATE, KPAGES, nowhere, 0, 0), L4_ERR(L4_CAP, L4_D_EMPTY, 2));
    EXPECT(points >= 1024 / NAMES_AT_ONCE);
    EXPECT_EQ(create(L4_TYPE_KPAGE, ROOMS + 900, L4_FPAGE(FREE_PAGE, L4_SPACE_MEM, 12, L4_T), 0), 0);
    points = 0;
    EXPECT_EQ(call(L4_CAP(0x5000) | 3 << 4 | L4_SYS_CREATE, REGION, REGION, 0, 0), L4_ERR(L4_NOMEM, L4_D_RES_FULL, 1));
    EXPECT(points >= 2u * 900 / NAMES_AT_ONCE && !s0->task->cap_dir[0x5000 >> 10]);
    check_kernel();
}

#define PER_FRAME (L4_UNITS_USABLE * L4_UNIT / L4_SIZE_ENDPOINT)
#define ENDPOINTS 0x10000u

/* The second half of what was in a frame. */
static void free_frame(unsigned frame)
{
    for (unsigned i = frame * PER_FRAME; i < (frame + 1u) * PER_FRAME; i++)
        if (i & 1u)
            drop(ENDPOINTS + i);
    EXPECT_EQ(use_kind(frame_table[(room(0)->base >> PAGE_SHIFT) + frame].use), FRAME_FREE);
}

static unsigned frame_of(uint32_t id) { return (virt_to_phys(node_kobj(cap_lookup(s0->task, id))) - room(0)->base) >> PAGE_SHIFT; }

static void take_frame_at_point(void)
{
    if (++points == 34u)
        fill(0);
}

static void exchange_at_point(void)
{
    if (++points == 2u * 512 / FRAMES_AT_ONCE)
        s0->map.room.at[ROOM_OBJECT].id++;
}

/* One kernel page of 4 MB: in every frame half is free, and nowhere three units in a row. */
TEST(a_thousand_frames_without_a_fit)
{
    const uint32_t big = L4_CAP_FPAGE(ROOMS, L4_W), tables = L4_CAP_FPAGE(ROOMS + 1u, L4_W);
    unsigned many = 0;

    boot(true);
    EXPECT_EQ(create(L4_TYPE_KPAGE, ROOMS, L4_FPAGE(BIG_PAGE, L4_SPACE_MEM, 22, L4_T), 0), 0);
    EXPECT_EQ(create(L4_TYPE_KPAGE, ROOMS + 1u, L4_FPAGE(BIG_PAGE + SUPER_SIZE, L4_SPACE_MEM, 22, L4_T), 0), 0);
    while (call(L4_CAP(ENDPOINTS + many) | L4_TYPE_ENDPOINT << 4 | L4_SYS_CREATE, big, tables, 0, 0) == 0)
        many++;
    EXPECT_EQ(many, 1024u * PER_FRAME);
    for (unsigned i = 0; i < many; i += 2)
        drop(ENDPOINTS + i);
    host_window = count_point;
    EXPECT_EQ(create_in(big, L4_TYPE_THREAD, 0, 0), L4_ERR(L4_NOMEM, L4_D_RES_FULL, 1));
    EXPECT(points >= 1024 / FRAMES_AT_ONCE);
    EXPECT_EQ(create_in(big, L4_TYPE_TASK, 0, 0), L4_ERR(L4_NOMEM, L4_D_RES_FULL, 1));

    /* another kernel page has come to the name: it is looked at from its beginning */
    host_window = exchange_at_point;
    EXPECT_EQ(create_in(big, L4_TYPE_THREAD, 0, 0), L4_ERR(L4_NOMEM, L4_D_RES_FULL, 1));
    EXPECT(points >= 2u * (1024 + 500) / FRAMES_AT_ONCE);
    host_window = count_point;

    /* the first free frame is remembered while those behind it are searched */
    free_frame(100);
    EXPECT_EQ(create_in(big, L4_TYPE_THREAD, 0, 0), 0);
    EXPECT(points >= 1024 / FRAMES_AT_ONCE);
    EXPECT_EQ(frame_of(FREE_CAP), 100);
    drop(FREE_CAP);

    /* somebody else takes it meanwhile, and there is another one that the search has passed */
    free_frame(110);
    host_window = take_frame_at_point;
    EXPECT_EQ(create_in(big, L4_TYPE_THREAD, 0, 0), 0);
    EXPECT_EQ(frame_table[(room(0)->base >> PAGE_SHIFT) + 100].use & 15u, FRAME_CAPTABLE);
    EXPECT_EQ(frame_of(FREE_CAP), 110);
    check_kernel();
}

/* Mapping nodes, and tables from either side: the item goes on with the name that it was at. */
TEST(items_behind_many_full_kernel_pages)
{
    struct item item = { L4_FPAGE(L4_CAP(L4_S0_IRQ), L4_SPACE_CAP, 16u, 15), L4_CAP(0x200) | L4_ITEM_MAP };

    make_full_pages();
    s0->tcr[L4_TCR_SNDRES] = REGION;
    EXPECT_EQ(send_items(&item, 1, L4_ITEMS_MAX), L4_ERR(L4_MAP, L4_D_RES_FULL, 0));
    EXPECT(points >= FULL / NAMES_AT_ONCE);
    EXPECT_EQ(got[0].a, 0);
    empty(990);
    points = 0;
    EXPECT_EQ(send_items(&item, 1, L4_ITEMS_MAX), 0);
    EXPECT(points >= 990 / NAMES_AT_ONCE && points < 8u * 990 / NAMES_AT_ONCE);
    EXPECT_EQ(got[0].b >> 12, 16);
    for (unsigned i = 0; i < 16; i++)
        EXPECT(cap_lookup(there, 0x200 + i) && where(cap_lookup(there, 0x200 + i)) == room(990));
    EXPECT_EQ(take(item.a, false) & 15u, 0);
    item = (struct item){ L4_FPAGE(SOME_PAGES, L4_SPACE_MEM, 16, L4_R), (PEER_WORDS + 0x10000u) | L4_ITEM_MAP };
    points = 0;
    EXPECT_EQ(send_items(&item, 1, L4_ITEMS_MAX), 0);
    EXPECT(points >= 990 / NAMES_AT_ONCE && got[0].b >> 12 == 16);
    EXPECT(where(mem_lookup(there, PEER_WORDS + 0x10000u)) == room(990) && mem_lookup(there, PEER_WORDS + 0x1f000u));
    EXPECT_EQ(take(L4_FPAGE(SOME_PAGES, L4_SPACE_MEM, 16, L4_R), false) & 15u, 0);

    /* two pages of a page table; the first comes from the page that the nodes have left */
    s0->tcr[L4_TCR_SNDRES] = KPAGES;
    item = (struct item){ REGION, 0x50000000u | L4_SPACE_MEM << 10 | SUPER_SHIFT << 4 | L4_ITEM_TABRES };
    points = 0;
    EXPECT_EQ(send_items(&item, 1, L4_ITEMS_MAX), L4_ERR(L4_MAP, L4_D_RES_ALIGN, 0));
    EXPECT(points >= FULL / NAMES_AT_ONCE && !there->pd_shadow[0x50000000u >> SUPER_SHIFT]);
    empty(500);
    points = 0;
    EXPECT_EQ(send_items(&item, 1, L4_ITEMS_MAX), 0);
    EXPECT(points >= 990 / NAMES_AT_ONCE && points < 1200 / NAMES_AT_ONCE);
    EXPECT(where((void *)(uintptr_t)there->pd_shadow[0x50000000u >> SUPER_SHIFT]) == room(990));
    space_drop_table(there, L4_SPACE_MEM, 0x50000000u);

    /* the receiver pays, and sigma0 tells it so behind its back */
    there->cap_dir[ROOMS >> 10] = s0->task->cap_dir[ROOMS >> 10];
    peer->tcr[L4_TCR_RCVRES] = REGION;
    item = (struct item){ L4_FPAGE(PEER_PAGE, L4_SPACE_MEM, 12, L4_R), 0x50000000u | L4_ITEM_MAP };
    points = 0;
    EXPECT_EQ(send_items(&item, 1, L4_ITEMS_MAX), 0);
    EXPECT(points >= 990 / NAMES_AT_ONCE && mem_lookup(there, 0x50000000u));
    EXPECT(where((void *)(uintptr_t)there->pd_shadow[0x50000000u >> SUPER_SHIFT]) == room(990));
    EXPECT_EQ(take(L4_FPAGE(PEER_PAGE, L4_SPACE_MEM, 12, L4_R), false) & 15u, 0);
    space_drop_table(there, L4_SPACE_MEM, 0x50000000u);
    item = (struct item){ L4_CAP_FPAGE(L4_S0_IRQ, 15), L4_CAP(0x7000) | L4_ITEM_MAP };
    points = 0;
    EXPECT_EQ(send_items(&item, 1, L4_ITEMS_MAX), 0);
    EXPECT(points >= 500 / NAMES_AT_ONCE && cap_lookup(there, 0x7000));
    EXPECT(where(there->cap_dir[0x7000 >> 10]) == room(500));
    EXPECT_EQ(take(item.a, false) & 15u, 0);
    space_drop_table(there, L4_SPACE_CAP, L4_CAP(0x7000));
    there->cap_dir[ROOMS >> 10] = NULL;
    check_kernel();
}

/* Page faults until the access is made: how many. */
static unsigned touch(uint32_t address)
{
    unsigned faults = 0;

    points = 0;
    while (!host_access(s0->task, address, L4_R) && faults < 100) {
        fault_memory(s0, address, L4_R, NULL);
        EXPECT(host_run() == s0);
        faults++;
    }
    return faults;
}

/* A 4 MB page with a converted frame is shown through a table, which the faulting thread pays. */
TEST(a_view_behind_many_full_kernel_pages)
{
    const uint32_t super = 0x01000000u;
    unsigned faults, started;

    boot(true);
    for (unsigned i = 0; i < FULL; i++) {
        EXPECT_EQ(create(L4_TYPE_KPAGE, ROOMS + i, L4_FPAGE(BIG_PAGE + i * PAGE_SIZE, L4_SPACE_MEM, 12, L4_T), 0), 0);
        fill(i);
    }
    EXPECT_EQ(node_size(mem_lookup(s0->task, super)), SUPER_SHIFT);
    EXPECT_EQ(create(L4_TYPE_KPAGE, FREE_CAP, L4_FPAGE(super, L4_SPACE_MEM, 12, L4_T), 0), 0);
    EXPECT(!host_access(s0->task, super + PAGE_SIZE, L4_R));
    empty(990);
    s0->tcr[L4_TCR_RCVRES] = REGION;
    host_window = count_point;
    faults = touch(super + PAGE_SIZE);
    EXPECT(faults >= 990 / NAMES_AT_ONCE && faults < 2u * 990 / NAMES_AT_ONCE && points + 1u >= faults);
    EXPECT(where(table_of(s0->task->pd[super >> SUPER_SHIFT])) == room(990));

    /* the next search, for the same page, begins at the first name */
    started = s0->map.room.started; /* somebody else converts */
    drop(FREE_CAP);
    EXPECT_EQ(mem_refill(s0->task, super + 2u * PAGE_SIZE, L4_R, NULL), L4_D_NONE); /* gives up the view */
    EXPECT_EQ(create(L4_TYPE_KPAGE, FREE_CAP, L4_FPAGE(super, L4_SPACE_MEM, 12, L4_T), 0), 0);
    s0->map.room.started = (uint16_t)started;
    empty(20);
    EXPECT_EQ(touch(super + PAGE_SIZE), 1);
    EXPECT(where(table_of(s0->task->pd[super >> SUPER_SHIFT])) == room(20));
    check_kernel();
}

/* ---- somebody else acts at a point ---- */

static unsigned point, act_point;

static void act_empty_behind(void) { empty(0); }
static void act_empty_ahead(void) { empty(FULL - 1u); }
static void act_kill_here(void)
{
    uint32_t slot = peer->map.room.at[ROOM_OBJECT].slot;

    if (slot < FULL)
        drop(ROOMS + slot);
}
static void act_kill_all(void) { EXPECT_EQ(take(L4_FPAGE(L4_CAP(ROOMS), L4_SPACE_CAP, 22u, 15), true) & 15u, 0); }
static void act_take_name(void) { EXPECT_EQ(create(L4_TYPE_ENDPOINT, FREE_CAP, 0, 0), 0); }
static void act_abort(void)
{
    EXPECT_EQ(call(L4_CAP(THREAD) | L4_XR_SET_IP | 1u << L4_XR_ABORT_SHIFT | L4_SYS_EXREGS, 0x123000, 0, 0, 0) & 15u, 0);
}
static void act_kill_thread(void) { drop(THREAD); }

static const struct { const char *name; void (*act)(void); uint32_t result, or; } acts[] = {
    { "nothing", NULL, L4_ERR(L4_NOMEM, L4_D_RES_FULL, 1), 0 },
    { "room behind", act_empty_behind, L4_ERR(L4_NOMEM, L4_D_RES_FULL, 1), 0 },
    { "room ahead", act_empty_ahead, 0, 0 },
    { "destroy where it looks", act_kill_here, L4_ERR(L4_NOMEM, L4_D_RES_FULL, 1), 0 },
    { "destroy all", act_kill_all, L4_ERR(L4_NOMEM, L4_D_RES_FULL, 1), L4_ERR(L4_CAP, L4_D_EMPTY, 1) },
    { "take the name", act_take_name, L4_ERR(L4_EXISTS, L4_D_OCCUPIED, 0), 0 },
    { "abort", act_abort, 0, 0 }, { "destroy the thread", act_kill_thread, 0, 0 },
};

static void wake_at_point(void)
{
    if (point++ == act_point)
        EXPECT(ipc_abort(s0, L4_D_NONE));
}

static struct thread *sleep_on(void)
{
    return host_call(s0, L4_CAP_INVALID, L4_IPC_W1(L4_CAP(EP_BACK), 0, 0, L4_TS_NEVER), 0, 0, 0);
}

/* The peer, in sigma0's task, creates an endpoint. */
static void act_at_point(unsigned a)
{
    uint32_t bytes, frames, bytes_now, frames_now, w0;
    struct thread *next;

    EXPECT(sleep_on() == peer);
    kmem_totals(&bytes, &frames);
    host_window = wake_at_point;
    next = host_call(peer, L4_CAP(FREE_CAP) | L4_TYPE_ENDPOINT << 4 | L4_SYS_CREATE, REGION, KPAGES, 0, 0);
    host_window = NULL;
    EXPECT(next == s0);
    kmem_totals(&bytes_now, &frames_now);
    EXPECT(bytes_now == bytes && frames_now == frames); /* nothing half-built */
    check_kernel();
    if (acts[a].act)
        acts[a].act();
    check_kernel();
    if (acts[a].act == act_kill_thread) {
        EXPECT(!sleep_on());
        return;
    }
    EXPECT(sleep_on() == peer);
    w0 = peer->frame.w[0];
    if (acts[a].act == act_abort)
        EXPECT_EQ(peer->frame.eip, 0x123000);
    else
        EXPECT(w0 == acts[a].result || w0 == acts[a].or);
    EXPECT(!!cap_lookup(s0->task, FREE_CAP) == (w0 == 0 || acts[a].act == act_take_name));
    check_kernel();
}

static uint32_t bind(uint32_t task)
{
    return call(L4_CAP(THREAD) | 1u << 4 | L4_SYS_THREAD_CONTROL, L4_TCR_TASK << 2 | 1u, task, 0, 0);
}

TEST(others_act_while_the_search_goes_on)
{
    make_full_pages();
    host_window = NULL;
    EXPECT_EQ(bind(L4_CAP_INVALID), 1u << 4);
    EXPECT_EQ(bind(L4_CAP(L4_S0_TASK)), 1u << 4);
    EXPECT_EQ(call(L4_CAP(THREAD) | L4_XR_SET_IP | L4_XR_HALT_GIVEN | L4_SYS_EXREGS, 0x400000, 0, 0, 0) & 15u, 0);
    for (unsigned a = 0; a < ARRAY_SIZE(acts); a++)
        for (act_point = 0; act_point < FULL / NAMES_AT_ONCE; act_point += 3) {
            pid_t child = fork();
            int status = 1;

            if (child == 0) {
                act_at_point(a);
                exit(unit_failures ? 1 : 0);
            }
            EXPECT(child > 0 && waitpid(child, &status, 0) == child && status == 0);
            if (status)
                printf("%s at point %u\n", acts[a].name, act_point);
        }
}
