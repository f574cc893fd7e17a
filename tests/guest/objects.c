// SPDX-License-Identifier: MIT
/* create, convert, destruction, unmap, cap-inspect.  [M 2.5] [M 3.2.3] [M 3.2.4] */
#include "tests/guest/kit.h"

static bool same(uint32_t c1, uint32_t c2)
{
    struct l4_words w;

    EXPECT_EQ(inspect(L4_INSPECT_IDENTITY, c1, c2, &w), 0);
    return w.w[1] == 1;
}

CASE(create_endpoint, "M 3.2.4", "create makes an endpoint at the named capability")
{
    uint32_t ep = cap_new();

    EXPECT_EQ(create(L4_TYPE_ENDPOINT, ep, 0, 0), 0);
    EXPECT_EQ(L4_ERR_BASE(send0(ep, L4_TS_ZERO)), L4_SND_TIMEOUT);
}

CASE(create_every_type, "M 3.2.4 M 2.8.1", "tasks, threads, endpoints, reservations are created")
{
    EXPECT_EQ(create(L4_TYPE_TASK, cap_new(), 0, 0), 0);
    EXPECT_EQ(create(L4_TYPE_THREAD, cap_new(), 0, 0), 0);
    EXPECT_EQ(create(L4_TYPE_ENDPOINT, cap_new(), 0, 0), 0);
    EXPECT_EQ(create(L4_TYPE_RESERVATION, cap_new(), 0, 0), 0);
}

CASE(create_bad_type, "G24", "types 0, 6 and 7 are PARAM, BAD_VALUE and change nothing")
{
    EXPECT_ERROR(create(0, cap_new(), 0, 0), L4_PARAM, L4_D_BAD_VALUE);
    EXPECT_ERROR(create(6, cap_new(), 0, 0), L4_PARAM, L4_D_BAD_VALUE);
    EXPECT_ERROR(create(7, cap_new(), 0, 0), L4_PARAM, L4_D_BAD_VALUE);
}

CASE(create_exists, "G24", "an occupied name is EXISTS")
{
    uint32_t ep = endpoint_new();

    EXPECT_EQ(L4_ERR_BASE(create(L4_TYPE_ENDPOINT, ep, 0, 0)), L4_EXISTS);
    EXPECT_EQ(L4_ERR_BASE(create(L4_TYPE_THREAD, L4_S0_TASK, 0, 0)), L4_EXISTS);
}

CASE(create_invalid_name, "G2", "nothing is created at the invalid capability")
{
    EXPECT_EQ(L4_ERR_BASE(create(L4_TYPE_ENDPOINT, L4_CAP_MAX, 0, 0)), L4_PARAM);
}

CASE(create_no_resources, "M 3.2.4 G8", "ObjRes that names no kernel page is a capability fault: CAP without a handler")
{
    uint32_t w0 = call5(L4_CAP(cap_new()) | L4_TYPE_ENDPOINT << 4 | L4_SYS_CREATE, L4_CAP_FPAGE(cap_new(), L4_W), KPAGES, 0, 0, NULL);

    EXPECT_EQ(L4_ERR_BASE(w0), L4_CAP);
}

CASE(create_makes_capability_table, "G24 G53", "a missing capability table is built from SpaceRes, and without it the error is NOTABLE")
{
    uint32_t far = 0x12345;

    EXPECT_EQ(L4_ERR_BASE(call5(L4_CAP(far) | L4_TYPE_ENDPOINT << 4 | L4_SYS_CREATE, KPAGES, 0, 0, 0, NULL)), L4_NOTABLE);
    EXPECT_EQ(create(L4_TYPE_ENDPOINT, cap_new(), 0, 0), 0);
}

CASE(create_all_or_nothing, "G24", "a task that does not fit leaves no trace: NOMEM")
{
    uint32_t kp = cap_new(), before[4], after[4];

    EXPECT_EQ(create(L4_TYPE_KPAGE, kp, L4_FPAGE(page(8), L4_SPACE_MEM, 12, L4_T), 0), 0);
    kernel_state(before);
    EXPECT_EQ(L4_ERR_BASE(call5(L4_CAP(cap_new()) | L4_TYPE_TASK << 4 | L4_SYS_CREATE, L4_CAP_FPAGE(kp, L4_W), KPAGES, 0, 0, NULL)), L4_NOMEM);
    kernel_state(after);
    for (unsigned i = 0; i < 4; i++)
        EXPECT_EQ(after[i], before[i]);
}

CASE(create_first_fit, "M 2.5", "placement is first fit as published: 63 endpoints of 64 bytes fill a page of 126 units")
{
    uint32_t kp = cap_new(), n = 0, first = cap_new();

    EXPECT_EQ(create(L4_TYPE_KPAGE, kp, L4_FPAGE(page(9), L4_SPACE_MEM, 12, L4_T), 0), 0);
    while (call5(L4_CAP(first + n) | L4_TYPE_ENDPOINT << 4 | L4_SYS_CREATE, L4_CAP_FPAGE(kp, L4_W), KPAGES, 0, 0, NULL) == 0)
        n++;
    EXPECT_EQ(n, L4_UNITS_USABLE * L4_UNIT / L4_SIZE_ENDPOINT);
    EXPECT_EQ(flush_cap(kp) & 15u, 0);
}

CASE(create_two_threads_per_page, "G50", "a kernel page holds two threads")
{
    uint32_t kp = cap_new(), a = cap_new(), b = cap_new(), d = cap_new();

    EXPECT_EQ(create(L4_TYPE_KPAGE, kp, L4_FPAGE(page(9), L4_SPACE_MEM, 12, L4_T), 0), 0);
    EXPECT_EQ(call5(L4_CAP(a) | L4_TYPE_THREAD << 4 | L4_SYS_CREATE, L4_CAP_FPAGE(kp, L4_W), KPAGES, 0, 0, NULL), 0);
    EXPECT_EQ(call5(L4_CAP(b) | L4_TYPE_THREAD << 4 | L4_SYS_CREATE, L4_CAP_FPAGE(kp, L4_W), KPAGES, 0, 0, NULL), 0);
    EXPECT_ERROR(call5(L4_CAP(d) | L4_TYPE_THREAD << 4 | L4_SYS_CREATE, L4_CAP_FPAGE(kp, L4_W), KPAGES, 0, 0, NULL), L4_NOMEM, L4_D_RES_FULL);
}

CASE(convert_clears_on_release, "M 2.5", "memory that was a kernel page comes back all zero")
{
    uint32_t kp = cap_new(), address = page(10);
    volatile uint32_t *words = (volatile uint32_t *)(uintptr_t)address;

    for (unsigned i = 0; i < 1024; i++)
        words[i] = 0xdeadbeef;
    EXPECT_EQ(create(L4_TYPE_KPAGE, kp, L4_FPAGE(address, L4_SPACE_MEM, 12, L4_T), 0), 0);
    for (unsigned i = 0; i < 10; i++)
        EXPECT_EQ(call5(L4_CAP(cap_new()) | L4_TYPE_ENDPOINT << 4 | L4_SYS_CREATE, L4_CAP_FPAGE(kp, L4_W), KPAGES, 0, 0, NULL), 0);
    EXPECT_EQ(flush_cap(kp) & 15u, 0);
    for (unsigned i = 0; i < 1024; i++)
        EXPECT_EQ(words[i], 0);
}

CASE(convert_twice, "G25", "a converted page cannot be converted again: CAP, CONVERTED")
{
    uint32_t kp = cap_new();

    EXPECT_EQ(create(L4_TYPE_KPAGE, kp, L4_FPAGE(page(11), L4_SPACE_MEM, 12, L4_T), 0), 0);
    EXPECT_ERROR(create(L4_TYPE_KPAGE, cap_new(), L4_FPAGE(page(11), L4_SPACE_MEM, 12, L4_T), 0), L4_CAP, L4_D_CONVERTED);
}

CASE(convert_device, "G25", "device memory cannot be converted")
{
    uint32_t w0 = create(L4_TYPE_KPAGE, cap_new(), L4_FPAGE(0xb8000, L4_SPACE_MEM, 12, L4_T), 0);

    EXPECT(L4_ERR_BASE(w0) == L4_PARAM || L4_ERR_BASE(w0) == L4_CAP);
}

CASE(convert_nothing, "G25", "a name without memory cannot be converted")
{
    EXPECT_EQ(L4_ERR_BASE(create(L4_TYPE_KPAGE, cap_new(), L4_FPAGE(0xbff00000u, L4_SPACE_MEM, 12, L4_T), 0)), L4_CAP);
}

CASE(convert_kernel_address, "G1", "kernel addresses are nobody's memory")
{
    EXPECT(create(L4_TYPE_KPAGE, cap_new(), L4_FPAGE(0xc0100000u, L4_SPACE_MEM, 12, L4_T), 0) != 0);
}

CASE(convert_several_frames, "G25", "a region of 16 KB becomes one kernel page with four frames")
{
    uint32_t kp = cap_new(), task = cap_new(), address = (page(0) + 0x3fffu) & ~0x3fffu;

    EXPECT_EQ(create(L4_TYPE_KPAGE, kp, L4_FPAGE(address, L4_SPACE_MEM, 14, L4_T), 0), 0);
    EXPECT_EQ(L4_ERR_BASE(call5(L4_CAP(task) | L4_TYPE_TASK << 4 | L4_SYS_CREATE, L4_CAP_FPAGE(kp, L4_W), KPAGES, 0, 0, NULL)), L4_NOMEM);
    EXPECT_EQ(flush_cap(kp) & 15u, 0);
}

CASE(convert_released_by_t, "M 2.5", "taking the convert right from the page destroys what was in it and gives the page back")
{
    uint32_t kp = cap_new(), ep = cap_new(), address = page(12);

    EXPECT_EQ(create(L4_TYPE_KPAGE, kp, L4_FPAGE(address, L4_SPACE_MEM, 12, L4_T), 0), 0);
    EXPECT_EQ(call5(L4_CAP(ep) | L4_TYPE_ENDPOINT << 4 | L4_SYS_CREATE, L4_CAP_FPAGE(kp, L4_W), KPAGES, 0, 0, NULL), 0);
    EXPECT_EQ(flush_cap(kp) & 15u, 0);
    EXPECT_ERROR(send0(ep, L4_TS_ZERO), L4_CAP, L4_D_EMPTY);
    *(volatile uint32_t *)(uintptr_t)address = 1;
    EXPECT_EQ(*(volatile uint32_t *)(uintptr_t)address, 1);
}

CASE(destroy_by_flush, "M 2.5.1", "flushing the creator's capability destroys the object")
{
    uint32_t ep = endpoint_new(), before[4], after[4];

    (void)endpoint_new(); /* keeps the page in use */
    kernel_state(before);
    EXPECT_EQ(flush_cap(ep) & 15u, 0);
    kernel_state(after);
    EXPECT_EQ(after[1], before[1] + L4_SIZE_ENDPOINT);
    EXPECT_EQ(after[3], before[3] - 1);
    EXPECT_ERROR(send0(ep, L4_TS_ZERO), L4_CAP, L4_D_EMPTY);
}

CASE(destroy_partial_flush, "G26", "a partial flush of the creator only reduces its rights")
{
    uint32_t ep = endpoint_new();

    EXPECT_EQ(flush1(L4_CAP_FPAGE(ep, L4_R | L4_X | L4_T)) & 15u, 0);
    EXPECT_EQ(L4_ERR_BASE(send0(ep, L4_TS_ZERO)), L4_SND_TIMEOUT);
    EXPECT_EQ(flush1(L4_CAP_FPAGE(ep, L4_W)) & 15u, 0);
    EXPECT_ERROR(send0(ep, L4_TS_ZERO), L4_CAP, L4_D_EMPTY);
}

CASE(unmap_keeps_own, "M 3.2.3", "unmap takes the right from everything derived and keeps one's own")
{
    uint32_t ep = endpoint_new(), task = cap_new();

    EXPECT_EQ(create(L4_TYPE_TASK, task, L4_CAP_FPAGE(ep, 15), L4_CAP_FPAGE(5, 15)), 0);
    EXPECT_EQ(unmap1(L4_CAP_FPAGE(ep, 15)) & 15u, 0);
    EXPECT_EQ(L4_ERR_BASE(send0(ep, L4_TS_ZERO)), L4_SND_TIMEOUT);
}

CASE(unmap_counts_returned, "M 3.2.3", "UC and FC come back unchanged")
{
    EXPECT_EQ(call5(2u << 4 | 1u << 12 | L4_SYS_UNMAP, 0, 0, 0, 0, NULL), 2u << 4 | 1u << 12);
}

CASE(unmap_nothing, "G1", "nil flexpages and counts of zero do nothing")
{
    EXPECT_EQ(call5(L4_SYS_UNMAP, 0, 0, 0, 0, NULL), 0);
    EXPECT_EQ(unmap1(0) & 15u, 0);
}

CASE(unmap_bad_count, "G26", "more than 255 flexpages are BAD_COUNT")
{
    EXPECT_ERROR(call5(255u << 4 | 255u << 12 | L4_SYS_UNMAP, 0, 0, 0, 0, NULL), L4_PARAM, L4_D_BAD_COUNT);
    EXPECT_ERROR(call5(255u << 4 | 1u << 12 | L4_SYS_UNMAP, 0, 0, 0, 0, NULL), L4_PARAM, L4_D_BAD_COUNT);
}

CASE(unmap_reserved_space, "G1", "space 3 is BAD_FLEXPAGE")
{
    EXPECT_ERROR(unmap1(L4_FPAGE(0, 3, 12, 15)), L4_PARAM, L4_D_BAD_FLEXPAGE);
}

CASE(unmap_invalid_capability, "G2", "unmap of the invalid capability is a no-op")
{
    EXPECT_EQ(flush1(L4_CAP_FPAGE(L4_CAP_MAX, 15)) & 15u, 0);
}

CASE(unmap_all_spaces, "G1", "the whole of each space, derived mappings only")
{
    EXPECT_EQ(unmap1(L4_ALL_CAP) & 15u, 0);
    EXPECT_EQ(unmap1(L4_ALL_IO) & 15u, 0);
    EXPECT_EQ(unmap1(L4_ALL_MEM) & 15u, 0);
}

CASE(unmap_reference_bits, "M 3.2.3", "a flush of no rights reads and resets the reference bits of one's own page")
{
    struct l4_words w;
    uint32_t fpage = L4_FPAGE(page(13), L4_SPACE_MEM, 12, 0);

    *(volatile uint32_t *)(uintptr_t)page(13) = 1;
    call5(1u << 12 | L4_SYS_UNMAP, fpage, 0, 0, 0, &w);
    EXPECT_EQ(w.w[1] & (L4_R | L4_W), L4_R | L4_W);
    EXPECT_EQ(w.w[1] & ~15u, 0);
}

CASE(unmap_reference_bits_cap, "G27", "only memory has reference bits")
{
    struct l4_words w;

    call5(1u << 12 | L4_SYS_UNMAP, L4_CAP_FPAGE(L4_S0_TASK, 0), 0, 0, 0, &w);
    EXPECT_EQ(w.w[1], 0);
}

CASE(unmap_long_list, "M 3.2.3", "a list that reaches into memory: each flexpage gets its result word")
{
    struct l4_words w;

    w.w[0] = 0u << 4 | 40u << 12 | L4_SYS_UNMAP;
    for (unsigned i = 1; i <= 40; i++)
        w.w[i] = L4_FPAGE(page(i), L4_SPACE_MEM, 12, 0);
    EXPECT_EQ(guest_call(&w) & 15u, 0);
    for (unsigned i = 1; i <= 40; i++)
        EXPECT_EQ(w.w[i] & ~15u, 0);
}

CASE(inspect_same, "M 2.1 G5", "a capability is identical to itself if it has compare")
{
    uint32_t ep = endpoint_new();

    EXPECT(same(ep, ep));
    EXPECT_EQ(flush1(L4_CAP_FPAGE(ep, L4_X)) & 15u, 0);
    EXPECT(!same(ep, ep));
}

CASE(inspect_different, "G5", "two objects are not identical, and empty names are identical to nothing")
{
    uint32_t a = endpoint_new(), b = endpoint_new(), none = cap_new();

    EXPECT(!same(a, b));
    EXPECT(!same(a, none));
    EXPECT(!same(none, none));
    EXPECT(!same(L4_CAP_MAX, L4_CAP_MAX));
}

CASE(inspect_badge_denied, "G5", "read_badge of something else is DENIED and says nothing")
{
    struct l4_words w;
    uint32_t a = endpoint_new(), b = endpoint_new();

    EXPECT_EQ(L4_ERR_BASE(inspect(L4_INSPECT_BADGE, a, b, &w)), L4_DENIED);
    EXPECT_EQ(w.w[1], 0);
    EXPECT_EQ(w.w[2], 0);
    EXPECT_EQ(L4_ERR_BASE(inspect(L4_INSPECT_BADGE, L4_S0_TASK, L4_S0_TASK, &w)), L4_DENIED);
}

CASE(inspect_badge_empty, "G4", "a created endpoint's badge has length 0")
{
    struct l4_words w;
    uint32_t a = endpoint_new();

    EXPECT_EQ(inspect(L4_INSPECT_BADGE, a, a, &w), 0);
    EXPECT_EQ(w.w[1], 0);
    EXPECT_EQ(w.w[2], 0);
}

CASE(inspect_ignored_bits, "M 1.6.1", "bits that have no meaning are ignored: W0[11:5] of cap-inspect")
{
    struct l4_words w;

    EXPECT_EQ(inspect(2, L4_S0_TASK, L4_S0_TASK, &w), 0);
    EXPECT_EQ(w.w[1], 1);
    EXPECT_EQ(inspect(0xfe, L4_S0_TASK, L4_S0_TASK, &w), 0);
    EXPECT_EQ(w.w[1], 1);
}

CASE(task_initial_mapping, "M 3.2.4 G6", "Param0 and Param1 map one capability into the new task")
{
    uint32_t ep = endpoint_new(), task = cap_new(), before[4], after[4];

    kernel_state(before);
    EXPECT_EQ(create(L4_TYPE_TASK, task, L4_CAP_FPAGE(ep, L4_R), L4_CAP_FPAGE(0, 15)), 0);
    EXPECT_EQ(flush_cap(task) & 15u, 0);
    kernel_state(after);
    for (unsigned i = 0; i < 4; i++)
        EXPECT_EQ(after[i], before[i]);
}

CASE(task_initial_mapping_sizes, "G24", "Param0 and Param1 of different size are PARAM")
{
    EXPECT_EQ(L4_ERR_BASE(create(L4_TYPE_TASK, cap_new(), L4_FPAGE(0, L4_SPACE_CAP, 13, 15), L4_CAP_FPAGE(0, 15))), L4_PARAM);
}

CASE(bootinfo, "G32", "the boot information is what the interface says")
{
    const struct l4_bootinfo *b = guest_boot;

    EXPECT_EQ(b->magic, L4_BOOT_MAGIC);
    EXPECT_EQ(b->version, 1);
    EXPECT_EQ(b->user_top, L4_USER_TOP);
    EXPECT_EQ(b->task, L4_S0_TASK);
    EXPECT_EQ(b->thread, L4_S0_THREAD);
    EXPECT_EQ(b->reservation, L4_S0_RESERVATION);
    EXPECT_EQ(b->kpage_base, L4_S0_KPAGE);
    EXPECT_EQ(b->kpage_count, 2);
    EXPECT_EQ(b->irq_count, 16);
    EXPECT_EQ(b->placement, 1);
    EXPECT(b->mem_count > 0 && b->size_count >= 6);
}

CASE(bootinfo_sizes, "M 2.5", "the published sizes are in the boot information")
{
    const struct l4_size_desc *d = (const struct l4_size_desc *)(uintptr_t)((uint32_t)(uintptr_t)guest_boot + guest_boot->size_offset);
    uint32_t seen = 0;

    for (uint32_t i = 0; i < guest_boot->size_count; i++) {
        if (d[i].type == L4_TYPE_THREAD)
            EXPECT_EQ(d[i].size, L4_SIZE_THREAD);
        if (d[i].type == L4_TYPE_ENDPOINT)
            EXPECT_EQ(d[i].size, L4_SIZE_ENDPOINT);
        if (d[i].type == L4_SIZE_TYPE_NODE)
            EXPECT_EQ(d[i].size, L4_SIZE_NODE);
        seen |= 1u << (d[i].type & 31u);
    }
    EXPECT(seen & (1u << L4_TYPE_TASK));
}
