// SPDX-License-Identifier: MIT
/* create and convert by real system calls, also interrupted: one test for each rule. */
#include "kernel/mapdb.h"
#include "tests/unit/pair.h"

/* ---- create ---- */

TEST(create_refusals)
{
    uint32_t bytes, frames, bytes_now, frames_now;

    boot(false);
    kmem_totals(&bytes, &frames);
    EXPECT_EQ(create(0, FREE_CAP, 0, 0), L4_ERR(L4_PARAM, L4_D_BAD_VALUE, 0));
    EXPECT_EQ(create(6, FREE_CAP, 0, 0), L4_ERR(L4_PARAM, L4_D_BAD_VALUE, 0));
    EXPECT_EQ(create(7, FREE_CAP, 0, 0), L4_ERR(L4_PARAM, L4_D_BAD_VALUE, 0));
    EXPECT_EQ(create(L4_TYPE_ENDPOINT, L4_CAP_MAX, 0, 0), L4_ERR(L4_PARAM, L4_D_BAD_VALUE, 0));
    EXPECT_EQ(create(L4_TYPE_ENDPOINT, TASK, 0, 0), L4_ERR(L4_EXISTS, L4_D_OCCUPIED, 0));
    EXPECT_EQ(call(L4_CAP(FREE_CAP) | 3 << 4 | L4_SYS_CREATE, L4_ALL_CAP, 0, 0, 0), L4_ERR(L4_PARAM, L4_D_BAD_FLEXPAGE, 1));
    EXPECT_EQ(call(L4_CAP(FREE_CAP) | 3 << 4 | L4_SYS_CREATE, KPAGES, 0x80, 0, 0), L4_ERR(L4_PARAM, L4_D_BAD_FLEXPAGE, 2));
    EXPECT_EQ(call(L4_CAP(0x5000) | 3 << 4 | L4_SYS_CREATE, KPAGES, 0, 0, 0), L4_ERR(L4_NOTABLE, L4_D_NO_CAPTABLE, 0));
    /* sigma0 has no fault handler: capability faults come back as errors */
    EXPECT_EQ(call(L4_CAP(FREE_CAP) | 3 << 4 | L4_SYS_CREATE, 0, 0, 0, 0), L4_ERR(L4_CAP, L4_D_EMPTY, 1));
    EXPECT_EQ(call(L4_CAP(FREE_CAP) | 3 << 4 | L4_SYS_CREATE, L4_CAP_FPAGE(TASK, 15), 0, 0, 0), L4_ERR(L4_CAP, L4_D_TYPE, 1));
    EXPECT_EQ(call(L4_CAP(0x5000) | 3 << 4 | L4_SYS_CREATE, KPAGES, L4_CAP_FPAGE(TASK, 15), 0, 0), L4_ERR(L4_CAP, L4_D_TYPE, 2));
    EXPECT_EQ(create(L4_TYPE_TASK, FREE_CAP, 0xc00, 0), L4_ERR(L4_PARAM, L4_D_BAD_FLEXPAGE, 3));
    EXPECT_EQ(create(L4_TYPE_TASK, FREE_CAP, L4_CAP_FPAGE(TASK, 15), 0), L4_ERR(L4_PARAM, L4_D_BAD_FLEXPAGE, 4));
    EXPECT_EQ(create(L4_TYPE_TASK, FREE_CAP, L4_CAP_FPAGE(TASK, 15), L4_FPAGE(0, L4_SPACE_CAP, 13, 15)), L4_ERR(L4_PARAM, L4_D_BAD_FLEXPAGE, 4));
    EXPECT_EQ(create(L4_TYPE_TASK, FREE_CAP, L4_CAP_FPAGE(TASK, 15), L4_FPAGE(0, L4_SPACE_MEM, 12, 15)), L4_ERR(L4_PARAM, L4_D_BAD_FLEXPAGE, 4));
    /* built, and taken down again */
    EXPECT_EQ(create(L4_TYPE_TASK, FREE_CAP, L4_CAP_FPAGE(FREE_CAP + 8, 15), L4_CAP_FPAGE(0, 15)), L4_ERR(L4_MAP, L4_D_EMPTY, 3));
    EXPECT_EQ(create(L4_TYPE_TASK, 0x5000, L4_CAP_FPAGE(FREE_CAP + 8, 15), L4_CAP_FPAGE(0, 15)), L4_ERR(L4_MAP, L4_D_EMPTY, 3));
    EXPECT(!s0->task->cap_dir[0x5000 >> 10]);
    kmem_totals(&bytes_now, &frames_now);
    EXPECT_EQ(bytes_now, bytes);
    EXPECT_EQ(frames_now, frames);
    EXPECT(!cap_lookup(s0->task, FREE_CAP) && !reap_pending());
    check_kernel();
}

/* Every possible lack of memory for a task with an initial mapping: nothing may stay behind. */
TEST(create_task_all_or_nothing)
{
    unsigned n;

    boot(false);
    for (n = 1; n <= 10; n++) {
        uint32_t bytes, frames, bytes_now, frames_now, w0;
        uint32_t base = FREE_PAGE, i;

        /* n kernel pages of one frame each */
        for (i = 0; i < n; i++)
            EXPECT_EQ(create(L4_TYPE_KPAGE, 0x340 + i, L4_FPAGE(base + i * PAGE_SIZE, L4_SPACE_MEM, 12, L4_T), 0), 0);
        kmem_totals(&bytes, &frames);
        w0 = call(L4_CAP(0x5000) | L4_TYPE_TASK << 4 | L4_SYS_CREATE, L4_FPAGE(L4_CAP(0x340), L4_SPACE_CAP, 16, 15),
                  KPAGES, L4_FPAGE(L4_CAP(TASK), L4_SPACE_CAP, 14, 15), L4_FPAGE(0, L4_SPACE_CAP, 14, 15));
        /* control block with nodes, five directories, one capability table */
        if (n >= 7) {
            EXPECT_EQ(w0, 0);
            EXPECT(cap_lookup(s0->task, 0x5000) != NULL);
            EXPECT_EQ(take(L4_CAP_FPAGE(0x5000, 15), true), 1u << 12);
            frames--; /* the capability table for 0x5000 stays */
            space_drop_table(s0->task, L4_SPACE_CAP, L4_CAP(0x5000));
            frames++;
        } else {
            EXPECT_EQ(L4_ERR_BASE(w0), L4_NOMEM);
            EXPECT_EQ(L4_ERR_INDEX(w0), 1);
        }
        EXPECT(!s0->task->cap_dir[0x5000 >> 10]);
        kmem_totals(&bytes_now, &frames_now);
        EXPECT_EQ(bytes_now, bytes);
        EXPECT_EQ(frames_now, frames);
        check_kernel();
        EXPECT_EQ(take(L4_FPAGE(L4_CAP(0x340), L4_SPACE_CAP, 16, 15), true), 1u << 12);
        check_kernel();
    }
}

TEST(create_task_with_ports_and_memory)
{
    struct task *task;

    boot(true);
    EXPECT_EQ(create(L4_TYPE_TASK, FREE_CAP, io_fpage(0x200, 3, L4_R | L4_W), io_fpage(0x200, 3, 15)), 0);
    task = (struct task *)node_kobj(cap_lookup(s0->task, FREE_CAP));
    EXPECT(io_lookup(task, 0x207) && !io_lookup(task, 0x208));
    EXPECT_EQ(create(L4_TYPE_TASK, FREE_CAP + 1, io_fpage(0x200, 3, 15), io_fpage(0x208, 3, 15)), L4_ERR(L4_PARAM, L4_D_BAD_FLEXPAGE, 4));
    EXPECT_EQ(create(L4_TYPE_TASK, FREE_CAP + 1, L4_FPAGE(0x00c00000, L4_SPACE_MEM, 22, L4_R), L4_FPAGE(0x10000000, L4_SPACE_MEM, 22, 15)), 0);
    task = (struct task *)node_kobj(cap_lookup(s0->task, FREE_CAP + 1));
    EXPECT(mem_lookup(task, 0x10000000) && node_size(mem_lookup(task, 0x10000000)) == 22);
    EXPECT_EQ(create(L4_TYPE_TASK, FREE_CAP + 2, L4_FPAGE(0x00c00000, L4_SPACE_MEM, 16, L4_R), L4_FPAGE(0x10000000, L4_SPACE_MEM, 16, 15)), 0);
    task = (struct task *)node_kobj(cap_lookup(s0->task, FREE_CAP + 2));
    EXPECT(mem_lookup(task, 0x1000f000) && node_rights(mem_lookup(task, 0x1000f000)) == L4_R);
    check_kernel();
    EXPECT_EQ(take(L4_FPAGE(L4_CAP(FREE_CAP), L4_SPACE_CAP, 14, 15), true), 1u << 12);
    EXPECT(!cap_lookup(s0->task, FREE_CAP));
    check_kernel();
}

/* ---- convert ---- */

TEST(convert_refusals)
{
    boot(true);
    EXPECT_EQ(create(L4_TYPE_KPAGE, FREE_CAP, 0, 0), L4_ERR(L4_PARAM, L4_D_BAD_FLEXPAGE, 3));
    EXPECT_EQ(create(L4_TYPE_KPAGE, FREE_CAP, L4_CAP_FPAGE(TASK, 15), 0), L4_ERR(L4_PARAM, L4_D_BAD_FLEXPAGE, 3));
    EXPECT_EQ(create(L4_TYPE_KPAGE, FREE_CAP, L4_FPAGE(0xd0000000u, L4_SPACE_MEM, 12, 15), 0), L4_ERR(L4_PARAM, L4_D_KERNEL_RANGE, 3));
    EXPECT_EQ(create(L4_TYPE_KPAGE, FREE_CAP, L4_FPAGE(0x00c00000, L4_SPACE_MEM, 23, 15), 0), L4_ERR(L4_PARAM, L4_D_NOT_CONVERTIBLE, 3));
    EXPECT_EQ(create(L4_TYPE_KPAGE, FREE_CAP, L4_FPAGE(0xb0000000u, L4_SPACE_MEM, 23, 15), 0), L4_ERR(L4_PARAM, L4_D_NOT_CONVERTIBLE, 3));
    EXPECT_EQ(create(L4_TYPE_KPAGE, FREE_CAP, L4_FPAGE(0xb0000000u, L4_SPACE_MEM, 12, 15), 0), L4_ERR(L4_CAP, L4_D_EMPTY, 3));
    if (mem_lookup(s0->task, 0xa0000))
        EXPECT_EQ(create(L4_TYPE_KPAGE, FREE_CAP, L4_FPAGE(0xa0000, L4_SPACE_MEM, 12, 15), 0), L4_ERR(L4_PARAM, L4_D_NOT_CONVERTIBLE, 3));
    EXPECT_EQ(create(L4_TYPE_KPAGE, FREE_CAP, L4_FPAGE(0x00c00000, L4_SPACE_MEM, 13, 15), 0), 0);
    EXPECT_EQ(create(L4_TYPE_KPAGE, FREE_CAP + 1, L4_FPAGE(0x00c00000, L4_SPACE_MEM, 14, 15), 0), L4_ERR(L4_CAP, L4_D_CONVERTED, 3));
    EXPECT_EQ(create(L4_TYPE_KPAGE, FREE_CAP, L4_FPAGE(0x00c04000, L4_SPACE_MEM, 12, 15), 0), L4_ERR(L4_EXISTS, L4_D_OCCUPIED, 0));
    check_kernel();
}

/* Without `convert`, or with rights that are gone; and whatever a capability says, not what is no user memory. */
TEST(convert_needs_the_right)
{
    struct revoke rv = { 0 };
    struct node *n;

    boot(true);
    for (uint32_t owner = FRAME_KERNEL; owner <= FRAME_DEVICE; owner++) {
        for (uint32_t frame = 0x00c00; frame < 0x00c02; frame++) {
            frame_table[frame].kp = owner;
            EXPECT_EQ(create(L4_TYPE_KPAGE, FREE_CAP, L4_FPAGE(0x00c00000, L4_SPACE_MEM, 13, 15), 0), L4_ERR(L4_PARAM, L4_D_NOT_CONVERTIBLE, 3));
            frame_table[frame].kp = FRAME_USER;
        }
    }
    EXPECT_EQ(take(L4_FPAGE(0x01000000, L4_SPACE_MEM, 22, L4_T), true), 1u << 12);
    EXPECT_EQ(create(L4_TYPE_KPAGE, FREE_CAP, L4_FPAGE(0x01000000, L4_SPACE_MEM, 12, 15), 0), L4_ERR(L4_CAP, L4_D_RIGHTS, 3));
    n = mem_lookup(s0->task, 0x01000000);
    revoke_start(&rv, n, n->obj, node_last(n), 15, REVOKE_SELF);
    revoke_cancel(&rv);
    EXPECT_EQ(create(L4_TYPE_KPAGE, FREE_CAP, L4_FPAGE(0x01000000, L4_SPACE_MEM, 12, 15), 0), L4_ERR(L4_CAP, L4_D_EMPTY, 3));
    check_kernel();
}

/* A whole 4 MB page full of what its user wrote; the call is over, and nothing that ends its thread takes the page. */
TEST(convert_a_block)
{
    const uint32_t block = 0x00c00000;
    const struct kpage *kp;

    boot(true);
    for (uint32_t page = block; page < block + SUPER_SIZE; page += PAGE_SIZE)
        memset(host_access(s0->task, page, L4_W), 0xff, PAGE_SIZE);
    EXPECT_EQ(create(L4_TYPE_KPAGE, FREE_CAP, L4_FPAGE(block, L4_SPACE_MEM, 22, L4_T), 0), 0);
    kp = (const struct kpage *)(const void *)node_kobj(cap_lookup(s0->task, FREE_CAP));
    EXPECT_EQ(kp->frames, 1024);
    thread_cancel(s0);
    EXPECT(!kobj_is_dying(&kp->obj) && !reap_pending());
    for (unsigned type = L4_TYPE_TASK; type <= L4_TYPE_RESERVATION; type++)
        if (type != L4_TYPE_KPAGE)
            EXPECT_EQ(call(L4_CAP(FREE_CAP + type) | type << 4 | L4_SYS_CREATE, L4_CAP_FPAGE(FREE_CAP, L4_W), KPAGES, 0, 0), 0);
    check_kernel();
    EXPECT_EQ(take(L4_CAP_FPAGE(FREE_CAP, 15), true), 1u << 12);
    for (unsigned type = 0; type < 8; type++)
        EXPECT(!cap_lookup(s0->task, FREE_CAP + type));
    EXPECT(!block_is_converted(kp->base) && mem_refill(s0->task, block + 0x5000, L4_W, NULL) == L4_D_NONE);
    EXPECT_EQ(*(uint32_t *)host_access(s0->task, block + 0x5000, L4_R), 0);
    check_kernel();
}

/* Who has one page may not convert the one behind it, though that is his as well. */
TEST(convert_within_one_mapping)
{
    boot(false);
    EXPECT_EQ(node_size(mem_lookup(s0->task, FREE_PAGE)), 12);
    EXPECT_EQ(create(L4_TYPE_KPAGE, FREE_CAP, L4_FPAGE(FREE_PAGE, L4_SPACE_MEM, 13, L4_T), 0), L4_ERR(L4_PARAM, L4_D_NOT_CONVERTIBLE, 3));
    EXPECT(!cap_lookup(s0->task, FREE_CAP) && host_access(s0->task, FREE_PAGE + PAGE_SIZE, L4_W));
    check_kernel();
}

TEST(convert_and_back)
{
    struct kpage *kp;
    uint32_t *words;

    boot(true);
    EXPECT_EQ(map(L4_FPAGE(0x00c00000, L4_SPACE_MEM, 22, 15), 0x20000000), 0);
    words = host_access(there, 0x20005000, L4_W);
    EXPECT(words != NULL);
    *words = 0x12345678;
    EXPECT_EQ(create(L4_TYPE_KPAGE, FREE_CAP, L4_FPAGE(0x00c05000, L4_SPACE_MEM, 12, 15), 0), 0);
    EXPECT_EQ(node_rights(cap_lookup(s0->task, FREE_CAP)), 15);
    kp = (struct kpage *)node_kobj(cap_lookup(s0->task, FREE_CAP));
    EXPECT(kp->base == 0x00c05000 && kp->frames == 1 && kp->converter == mem_lookup(s0->task, 0x00c05000));
    EXPECT(!host_access(there, 0x20005000, L4_R) && !host_access(s0->task, 0x00c05000, L4_R));
    EXPECT_EQ(mem_refill(there, 0x20005000, L4_R, NULL), L4_D_CONVERTED);
    /* rights can still be mapped and unmapped */
    back(L4_SPACE_MEM, 0x10000000);
    EXPECT_EQ(map(L4_FPAGE(0x00c05000, L4_SPACE_MEM, 12, L4_R), 0x10001000), 0);
    EXPECT(!host_access(there, 0x10001000, L4_R));
    /* something in it, and away with the right to convert */
    EXPECT_EQ(call(L4_CAP(FREE_CAP + 1) | 3 << 4 | L4_SYS_CREATE, L4_CAP_FPAGE(FREE_CAP, 15), 0, 0, 0), 0);
    EXPECT_EQ(map(L4_CAP_FPAGE(FREE_CAP + 1, 15), L4_CAP(9)), 0);
    check_kernel();
    EXPECT_EQ(take(L4_FPAGE(0x00c00000, L4_SPACE_MEM, 22, L4_T), true), 1u << 12);
    EXPECT(!cap_lookup(s0->task, FREE_CAP) && !cap_lookup(s0->task, FREE_CAP + 1) && !cap_lookup(there, 9));
    EXPECT_EQ(mem_refill(there, 0x10001000, L4_R, NULL), L4_D_NONE);
    words = host_access(there, 0x10001000, L4_R);
    EXPECT(words && *words == 0);
    check_kernel();
}

/* A 4 MB page of which a part is converted is shown in small entries; the table for that is sent.  [G52] */
TEST(view_of_a_super_page)
{
    boot(true);
    EXPECT_EQ(map(L4_FPAGE(0x00c00000, L4_SPACE_MEM, 22, 15), 0x20000000), 0);
    EXPECT_EQ(create(L4_TYPE_KPAGE, FREE_CAP, L4_FPAGE(0x00c05000, L4_SPACE_MEM, 12, 15), 0), 0);
    EXPECT_EQ(mem_refill(there, 0x20006000, L4_R, NULL), L4_D_NO_PAGETABLE);
    back(L4_SPACE_MEM, 0x20000000);
    EXPECT_EQ(mem_refill(there, 0x20006000, L4_R, NULL), L4_D_NONE);
    EXPECT_EQ(mem_refill(there, 0x20005000, L4_R, NULL), L4_D_CONVERTED);
    EXPECT(host_access(there, 0x20006000, L4_W) && !host_access(there, 0x20005000, L4_R));
    check_kernel();
    EXPECT_EQ(take(L4_CAP_FPAGE(FREE_CAP, 15), true), 1u << 12);
    EXPECT_EQ(mem_refill(there, 0x20005000, L4_R, NULL), L4_D_NONE);
    check_kernel();
}

/* ---- preemption: the hook runs at every preemption point ---- */

static unsigned window_count, window_at;
static void (*window_do)(void);

static void window_hook(void)
{
    if (window_count++ == window_at && window_do)
        window_do();
}

static void ask_for_preemption(void)
{
    this_cpu()->resched = true;
}

TEST(everything_while_preempted)
{
    struct item item = { L4_FPAGE(0x00c00000, L4_SPACE_MEM, 22, L4_R), 0x10000000 | L4_ITEM_MAP };

    boot(true);
    back(L4_SPACE_MEM, 0x10000000);
    host_window = ask_for_preemption;
    EXPECT_EQ(send_items(&item, 1, 3), 0);
    EXPECT_EQ(got[0].b >> 12, 1024);
    check_kernel();
    EXPECT_EQ(create(L4_TYPE_KPAGE, FREE_CAP, L4_FPAGE(0x00c05000, L4_SPACE_MEM, 12, 15), 0), 0);
    EXPECT(!host_access(there, 0x10005000, L4_R) && host_access(there, 0x10006000, L4_R));
    check_kernel();
    EXPECT_EQ(take(L4_FPAGE(0x00c00000, L4_SPACE_MEM, 22, 15), false), 1u << 4);
    EXPECT(!mem_lookup(there, 0x10006000));
    EXPECT_EQ(create(L4_TYPE_TASK, FREE_CAP + 1, L4_FPAGE(0x00c00000, L4_SPACE_MEM, 20, L4_R), L4_FPAGE(0x10000000, L4_SPACE_MEM, 20, 15)), 0);
    check_kernel();
    EXPECT_EQ(take(L4_FPAGE(L4_CAP(FREE_CAP), L4_SPACE_CAP, 13, 15), true), 1u << 12);
    check_kernel();
    EXPECT(!cap_lookup(s0->task, FREE_CAP) && !cap_lookup(s0->task, FREE_CAP + 1));
}

#define LIST 200u

static void spoil_the_list(void)
{
    EXPECT(!s0->revoke.active); /* they still look at it, the fifth time 16 words */
    scratch()[0] = 0xc00; /* flexpage number 5, which was looked at long ago: no flexpage any more */
}

static void count_points(void)
{
    window_hook();
    ask_for_preemption();
}

static uint32_t unmap_list(void)
{
    uint32_t *words = scratch();

    for (unsigned i = 0; i < LIST - 4u; i++)
        words[i] = L4_FPAGE(0x00c00000 + (i + 4u) * PAGE_SIZE, L4_SPACE_MEM, 12, 15);
    window_count = 0;
    return call(LIST << 4 | L4_SYS_UNMAP, L4_FPAGE(0x00c00000, L4_SPACE_MEM, 12, 15), 0, 0, 0);
}

/* The list of an unmap is looked at, and worked off, in stretches; it may change between them. */
TEST(long_list_while_preempted)
{
    const struct item items[] = {
        { L4_FPAGE(0x00c00000, L4_SPACE_MEM, 20, L4_R), 0x10000000 | L4_ITEM_MAP },
        { L4_FPAGE(0x00c00000, L4_SPACE_MEM, 12, L4_R), 0x10100000 | L4_ITEM_MAP },
        { L4_FPAGE(0x00c00000, L4_SPACE_MEM, 12, L4_R), 0x10101000 | L4_ITEM_MAP },
    };

    boot(true);
    back(L4_SPACE_MEM, 0x10000000);
    host_window = count_points;
    window_count = 0;
    window_at = ~0u;
    EXPECT_EQ(send_items(items + 1, 2, 3), 0);
    EXPECT(window_count >= 1); /* between the items */
    EXPECT_EQ(send_items(items, 1, 3), 0);
    EXPECT(mem_lookup(there, 0x10000000 + 0x5000) && mem_lookup(there, 0x10101000));

    EXPECT_EQ(unmap_list() & 15u, 0);
    EXPECT(window_count >= LIST / 16u);
    EXPECT(!mem_lookup(there, 0x10000000 + 0x5000) && !mem_lookup(there, 0x10100000));

    EXPECT_EQ(send_items(items, 1, 3), 0);
    window_at = 4;
    window_do = spoil_the_list;
    EXPECT_EQ(unmap_list() & ~0xffff0u, L4_ERR(L4_PARAM, L4_D_BAD_FLEXPAGE, 5));
    EXPECT(!mem_lookup(there, 0x10000000) && mem_lookup(there, 0x10000000 + 0x5000));
    window_do = NULL;
    check_kernel();
}

/* While s0 is preempted in a convert or create, what it builds is taken away. */
static struct node *victim;

static void push_victim(void)
{
    victim = cap_lookup(s0->task, FREE_CAP);
    if (victim)
        reap_push(node_kobj(victim));
    this_cpu()->resched = true;
}

TEST(create_overtaken)
{
    uint32_t bytes, frames, bytes_now, frames_now, w0;
    unsigned kind, caught = 0, i;

    boot(true);
    EXPECT_EQ(map(L4_FPAGE(0x00c00000, L4_SPACE_MEM, 22, 15), 0x20000000), 0);
    back(L4_SPACE_MEM, 0x10000000);
    EXPECT_EQ(map(L4_FPAGE(0x00c00000, L4_SPACE_MEM, 16, L4_R), 0x10000000), 0);
    /* enough mappings for the walk to need more than one stretch */
    for (i = 1; i < 4; i++)
        EXPECT_EQ(map(L4_FPAGE(0x00c00000, L4_SPACE_MEM, 16, L4_R), 0x10000000 + i * 0x10000), 0);
    kmem_totals(&bytes, &frames);
    for (kind = 0; kind < 2; kind++) {
        for (window_at = 0; window_at < 3; window_at++) {
            window_count = 0;
            window_do = push_victim;
            host_window = window_hook;
            victim = NULL;
            if (kind == 0)
                w0 = create(L4_TYPE_KPAGE, FREE_CAP, L4_FPAGE(0x00c05000, L4_SPACE_MEM, 12, 15), 0);
            else
                w0 = create(L4_TYPE_TASK, FREE_CAP, L4_FPAGE(0x00c00000, L4_SPACE_MEM, 18, L4_R), L4_FPAGE(0x10000000, L4_SPACE_MEM, 18, 15));
            host_window = NULL;
            if (victim) {
                caught++;
                EXPECT_EQ(L4_ERR_BASE(w0), L4_STATE);
            } else {
                EXPECT_EQ(w0, 0);
            }
            EXPECT(!s0->revoke.active && !revoke_active); /* whatever it was in */
            /* a flush of the name (again) works off what is left */
            EXPECT_EQ(take(L4_CAP_FPAGE(FREE_CAP, 15), true), 1u << 12);
            EXPECT(!cap_lookup(s0->task, FREE_CAP) && !reap_pending());
            kmem_totals(&bytes_now, &frames_now);
            EXPECT_EQ(bytes_now, bytes);
            EXPECT_EQ(frames_now, frames);
            check_kernel();
        }
    }
    EXPECT(caught >= 2);
}

static void cancel_s0(void)
{
    ask_for_preemption();
    thread_cancel(s0);
}

TEST(create_cancelled)
{
    uint32_t bytes, frames, bytes_now, frames_now;
    unsigned kind, i;

    boot(true);
    back(L4_SPACE_MEM, 0x10000000);
    for (i = 0; i < 4; i++)
        EXPECT_EQ(map(L4_FPAGE(0x00c00000, L4_SPACE_MEM, 16, L4_R), 0x10000000 + i * 0x10000), 0);
    kmem_totals(&bytes, &frames);
    for (kind = 0; kind < 2; kind++) {
        window_count = window_at = 0;
        window_do = ask_for_preemption;
        /* stop at the first preemption point by hand: run the call, then cancel before it goes on */
        s0->frame.w[0] = L4_CAP(FREE_CAP) | (kind ? L4_TYPE_TASK : L4_TYPE_KPAGE) << 4 | L4_SYS_CREATE;
        s0->frame.w[1] = s0->frame.w[2] = KPAGES;
        s0->frame.w[3] = kind ? L4_FPAGE(0x00c00000, L4_SPACE_MEM, 18, L4_R) : L4_FPAGE(0x00c05000, L4_SPACE_MEM, 12, 15);
        s0->frame.w[4] = L4_FPAGE(0x10000000, L4_SPACE_MEM, 18, 15);
        host_window = window_hook;
        sys_entry(s0);
        host_window = NULL;
        EXPECT(s0->cont != NULL && cap_lookup(s0->task, FREE_CAP) != NULL);
        cancel_s0();
        EXPECT(s0->cont == NULL && reap_pending());
        this_cpu()->resched = false;
        EXPECT_EQ(reap_run(NULL), STEP_DONE);
        EXPECT(!cap_lookup(s0->task, FREE_CAP));
        kmem_totals(&bytes_now, &frames_now);
        EXPECT_EQ(bytes_now, bytes);
        EXPECT_EQ(frames_now, frames);
        check_kernel();
    }
}
