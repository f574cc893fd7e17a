// SPDX-License-Identifier: MIT
/* create: every type, every reason to refuse, and what it leaves behind.  [M 2.5] */
#include "tests/guest/kit.h"

CASE(create_resource_forms, "K-01 F-11", "resources that overlap, lie in an unbacked table, are of another type, too large or not of capabilities")
{
    uint32_t id = 0x3c0, before[4], after[4];
    static const struct { uint32_t obj, space, base, detail; } list[] = {
        { L4_CAP_FPAGE(0x80000, 2), 0, L4_CAP, L4_D_EMPTY }, { L4_CAP_FPAGE(L4_S0_TASK, 2), 0, L4_CAP, L4_D_TYPE },
        { 0, 0, L4_CAP, L4_D_EMPTY }, { L4_FPAGE(0, 0, 12, 2), 0, L4_PARAM, L4_D_BAD_FLEXPAGE },
        { L4_FPAGE(0, 2, 12, 2), 0, L4_PARAM, L4_D_BAD_FLEXPAGE }, { L4_FPAGE(0, 1, 23, 2), 0, L4_PARAM, L4_D_BAD_FLEXPAGE },
        { L4_CAP_FPAGE(L4_S0_KPAGE, 2), L4_FPAGE(0, 3, 12, 2), L4_PARAM, L4_D_BAD_FLEXPAGE },
    };

    kernel_state(before);
    for (unsigned i = 0; i < sizeof list / sizeof *list; i++)
        EXPECT_ERROR(call5(L4_CAP(id) | L4_TYPE_ENDPOINT << 4 | L4_SYS_CREATE, list[i].obj, list[i].space, 0, 0, NULL),
                     list[i].base, list[i].detail);
    kernel_state(after);
    for (unsigned i = 0; i < 4; i++)
        EXPECT_EQ(after[i], before[i]);
    /* all 1024 names around: the initial kernel pages and ours are found among everything else */
    (void)kpage_new(8, 12);
    EXPECT_EQ(call5(L4_CAP(id) | L4_TYPE_ENDPOINT << 4 | L4_SYS_CREATE, L4_FPAGE(0, 1, 22, 2), L4_FPAGE(0, 1, 22, 2), 0, 0, NULL), 0);
}

CASE(create_fragmented, "K-01", "memory in pieces that are each too small: NOMEM, RES_FULL, and no trace")
{
    uint32_t kp = kpage_new(8, 12), before[4], after[4];

    for (uint32_t i = 0; i < 63; i++)
        EXPECT_EQ(create_in(kp, L4_TYPE_ENDPOINT, 0x300 + i), 0);
    for (uint32_t i = 0; i < 63; i += 2)
        EXPECT_EQ(flush_cap(0x300 + i) & 15u, 0);
    kernel_state(before);
    EXPECT_ERROR(create_in(kp, L4_TYPE_RESERVATION, 0x3c0), L4_NOMEM, L4_D_RES_FULL);
    EXPECT_ERROR(create_in(kp, L4_TYPE_THREAD, 0x3c0), L4_NOMEM, L4_D_RES_FULL);
    EXPECT_ERROR(create_in(kp, L4_TYPE_TASK, 0x3c0), L4_NOMEM, L4_D_RES_FULL);
    kernel_state(after);
    for (unsigned i = 0; i < 4; i++)
        EXPECT_EQ(after[i], before[i]);
    EXPECT_EQ(create_in(kp, L4_TYPE_ENDPOINT, 0x3c0), 0);
}

CASE(create_task_alignment, "G50", "a task needs five wholly free pages: with four it is NOMEM, RES_ALIGN; with six it fits")
{
    uint32_t kp = cap_new();

    EXPECT_EQ(create(L4_TYPE_KPAGE, kp, L4_FPAGE(page(16), L4_SPACE_MEM, 14, L4_T), 0), 0);
    EXPECT_ERROR(create_in(kp, L4_TYPE_TASK, 0x3c0), L4_NOMEM, L4_D_RES_ALIGN);
    EXPECT_EQ(flush_cap(kp) & 15u, 0);
    EXPECT_EQ(create(L4_TYPE_KPAGE, kp, L4_FPAGE(page(16), L4_SPACE_MEM, 15, L4_T), 0), 0);
    EXPECT_EQ(create_in(kp, L4_TYPE_TASK, 0x3c0), 0);
}

CASE(create_space_resources, "G24", "a missing capability table from SpaceRes that holds none: CAP; too full: NOMEM")
{
    uint32_t kp = kpage_new(8, 12);

    EXPECT_EQ(create_in(kp, L4_TYPE_ENDPOINT, cap_new()), 0);
    EXPECT_ERROR(call5(L4_CAP(0x12345) | L4_TYPE_ENDPOINT << 4 | L4_SYS_CREATE, KPAGES, L4_CAP_FPAGE(0x3e0, 2), 0, 0, NULL), L4_CAP, L4_D_EMPTY);
    EXPECT_ERROR(call5(L4_CAP(0x12345) | L4_TYPE_ENDPOINT << 4 | L4_SYS_CREATE, KPAGES, L4_CAP_FPAGE(kp, 2), 0, 0, NULL), L4_NOMEM, L4_D_RES_ALIGN);
}

CASE(create_task_parameters, "K-12", "Param0 and Param1: different spaces or sizes, ports that move, kernel addresses, nothing there")
{
    static const struct { uint32_t p0, p1, base, detail; } list[] = {
        { L4_CAP_FPAGE(1, 15), L4_FPAGE(0x400000, 0, 12, 15), L4_PARAM, L4_D_BAD_FLEXPAGE },
        { L4_CAP_FPAGE(1, 15), L4_FPAGE(0, 1, 13, 15), L4_PARAM, L4_D_BAD_FLEXPAGE },
        { L4_CAP_FPAGE(1, 15), 0, L4_PARAM, L4_D_BAD_FLEXPAGE },
        { L4_FPAGE(0, 3, 12, 15), L4_FPAGE(0, 3, 12, 15), L4_PARAM, L4_D_BAD_FLEXPAGE },
        { L4_FPAGE(0x70000, 2, 12, 15), L4_FPAGE(0x71000, 2, 12, 15), L4_PARAM, L4_D_BAD_FLEXPAGE },
        { L4_FPAGE(0x400000, 0, 12, 15), L4_FPAGE(0xc0000000u, 0, 12, 15), L4_PARAM, L4_D_KERNEL_RANGE },
        { L4_FPAGE(0xc0100000u, 0, 12, 15), L4_FPAGE(0x400000, 0, 12, 15), L4_PARAM, L4_D_KERNEL_RANGE },
        { L4_CAP_FPAGE(0x3e0, 15), L4_CAP_FPAGE(0, 15), L4_MAP, L4_D_EMPTY },
        { L4_CAP_FPAGE(1, 0), L4_CAP_FPAGE(0, 15), L4_MAP, L4_D_RIGHTS },
    };
    uint32_t before[4], after[4];

    kernel_state(before);
    for (unsigned i = 0; i < sizeof list / sizeof *list; i++)
        EXPECT_ERROR(create(L4_TYPE_TASK, 0x3c0, list[i].p0, list[i].p1), list[i].base, list[i].detail);
    kernel_state(after);
    for (unsigned i = 0; i < 4; i++)
        EXPECT_EQ(after[i], before[i]);
    EXPECT_EQ(create(L4_TYPE_TASK, 0x3c0, L4_FPAGE(0x70000, 2, 13, 6), L4_FPAGE(0x70000, 2, 13, 6)), 0);
    EXPECT_EQ(create(L4_TYPE_TASK, 0x3c1, L4_FPAGE(0x400000, 0, 22, 7), L4_FPAGE(0x800000, 0, 22, 7)), 0);
}

CASE(create_names, "K-11", "occupied, invalid and unbacked names; types 0, 6 and 7; nothing is left behind")
{
    uint32_t before[4], after[4];

    kernel_state(before);
    EXPECT_ERROR(create(L4_TYPE_ENDPOINT, L4_S0_TASK, 0, 0), L4_EXISTS, L4_D_OCCUPIED);
    EXPECT_ERROR(create(L4_TYPE_TASK, L4_S0_THREAD, 0, 0), L4_EXISTS, L4_D_OCCUPIED);
    EXPECT_ERROR(create(L4_TYPE_TASK, L4_CAP_MAX, 0, 0), L4_PARAM, L4_D_BAD_VALUE);
    EXPECT_ERROR(call5(L4_CAP(0x54321) | L4_TYPE_TASK << 4 | L4_SYS_CREATE, KPAGES, 0, 0, 0, NULL), L4_NOTABLE, L4_D_NO_CAPTABLE);
    for (uint32_t type = 0; type < 8; type++)
        if (type == 0 || type > 5)
            EXPECT_ERROR(create(type, 0x3c0, 0, 0), L4_PARAM, L4_D_BAD_VALUE);
    kernel_state(after);
    for (unsigned i = 0; i < 4; i++)
        EXPECT_EQ(after[i], before[i]);
}

CASE(create_out_of_memory_everywhere, "K-02", "for every type and every number of free pages: done, or an error and nothing changed")
{
    uint32_t before[4], after[4], w0;

    for (unsigned pages = 0; pages < 8; pages++) {
        uint32_t kp = cap_new(), used = 0;

        EXPECT_EQ(create(L4_TYPE_KPAGE, kp, L4_FPAGE(ram_block(0), L4_SPACE_MEM, 15, L4_T), 0), 0);
        /* threads, two in a page, fill all but `pages` pages */
        while (used < 2 * (8 - pages))
            EXPECT_EQ(create_in(kp, L4_TYPE_THREAD, 0x380 + used++), 0);
        kernel_state(before);
        w0 = create_in(kp, L4_TYPE_TASK, 0x3c0);
        EXPECT_EQ(w0 & 15u, pages >= 6 ? 0 : L4_NOMEM);
        if (w0 == 0)
            EXPECT_EQ(flush_cap(0x3c0) & 15u, 0);
        w0 = create_in(kp, L4_TYPE_THREAD, 0x3c0);
        EXPECT_EQ(w0 & 15u, pages ? 0 : L4_NOMEM);
        if (w0 == 0)
            EXPECT_EQ(flush_cap(0x3c0) & 15u, 0);
        w0 = create_in(kp, L4_TYPE_ENDPOINT, 0x12345); /* with a table */
        EXPECT_EQ(w0 & 15u, pages ? 0 : L4_NOMEM);
        kernel_state(after);
        if (w0)
            for (unsigned i = 0; i < 4; i++)
                EXPECT_EQ(after[i], before[i]);
        EXPECT_EQ(flush_cap(kp) & 15u, 0);
        (void)flush1(L4_FPAGE(0x380000, L4_SPACE_CAP, 17, 15));
    }
}
