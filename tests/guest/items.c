// SPDX-License-Identifier: MIT
/* Typed items: MAP of ports, MAPRES, TABRES, BADGE; their size and depth.  [M 2.1.1] [M 2.5] [G10] - [G15] */
#include "tests/guest/kit.h"

#define CHILD 0x10000000u /* memory names of a child that nothing uses */

/* ---- IO ports ---- */

CASE(map_io_ports, "S22 F-10", "IO ports keep their numbers: the hot spot is ignored")
{
    peer_start_in_task();
    EXPECT_EQ(give_map(L4_FPAGE(0x70u << 12, L4_SPACE_IO, 13, L4_R | L4_W), 0x12345000), 0);
    expect_mapped(0, L4_FPAGE(0x70u << 12, L4_SPACE_IO, 13, L4_R | L4_W), 2);
}

CASE(map_io_window_intersects, "G11", "what arrives of IO ports is the part inside the window")
{
    peer_start_in_task();
    EXPECT_EQ(tcr_write(L4_CAP(peer.thread), L4_TCR_WINDOW + 2, L4_FPAGE(0x378u << 12, L4_SPACE_IO, 14, 15)), 0);
    EXPECT_EQ(give_map(L4_FPAGE(0x300u << 12, L4_SPACE_IO, 20, L4_R | L4_W), 0), 0);
    expect_mapped(0, L4_FPAGE(0x378u << 12, L4_SPACE_IO, 14, L4_R | L4_W), 4);
    EXPECT_ERROR(give_map(L4_FPAGE(0x60u << 12, L4_SPACE_IO, 12, L4_R | L4_W), 0), L4_MAP, L4_D_NO_WINDOW);
}

CASE(map_io_all, "F-10", "all ports at once: those that the sender has, and no overrun")
{
    peer_start_in_task();
    EXPECT_EQ(give_map(L4_ALL_IO | 15u, 0), 0);
    EXPECT_EQ(peer.msg.m[0], L4_FPAGE(0, L4_SPACE_IO, 28, L4_R | L4_W));
    EXPECT(peer.msg.m[1] >> 12 > 65000 && peer.msg.m[1] >> 12 < 65536);
    EXPECT_EQ(give_map(L4_FPAGE(0, L4_SPACE_IO, 32, 15), 0), 0);
}

CASE(map_io_beyond_65535, "F-10", "ports above 65535 are MAP, BAD_FLEXPAGE")
{
    peer_start_in_task();
    EXPECT_ERROR(give_map(L4_FPAGE(0x10000000u, L4_SPACE_IO, 12, 15), 0), L4_MAP, L4_D_BAD_FLEXPAGE);
}

CASE(map_io_kernel_ports, "G32", "ports that the kernel keeps cannot be given away: they are not there")
{
    peer_start_in_task();
    EXPECT_ERROR(give_map(L4_FPAGE(0x20u << 12, L4_SPACE_IO, 13, 15), 0), L4_MAP, L4_D_EMPTY);
    EXPECT_ERROR(give_map(L4_FPAGE(0x40u << 12, L4_SPACE_IO, 14, 15), 0), L4_MAP, L4_D_EMPTY);
}

CASE(map_io_again, "G15", "the same ports again add rights")
{
    peer_start_in_task();
    EXPECT_EQ(give_map(L4_FPAGE(0x70u << 12, L4_SPACE_IO, 13, L4_R), 0), 0);
    EXPECT_EQ(give_map(L4_FPAGE(0x70u << 12, L4_SPACE_IO, 13, L4_W), 0), 0);
    EXPECT_EQ(peer.msg.m[1] >> 12, 2);
}

/* ---- MAPRES ---- */

CASE(mapres_pays, "M 2.5", "a MAPRES item names the kernel page that the nodes of the following items come from")
{
    struct message msg = { 0 };
    uint32_t ep = endpoint_new(), kp = kpage_far(8, 12), name = cap_new();

    peer_start();
    resource_item(&msg, 0, L4_CAP_FPAGE(kp, L4_W));
    map_item(&msg, 2, L4_CAP_FPAGE(ep, L4_W), L4_CAP(name));
    EXPECT_EQ(give(&msg, 2, 0), 0);
    EXPECT_EQ(L4_ERR_BASE(send0(name, L4_TS_ZERO)), L4_SND_TIMEOUT);
    EXPECT_EQ(flush_cap(kp) & 15u, 0);
    EXPECT_ERROR(send0(name, L4_TS_ZERO), L4_CAP, L4_D_EMPTY);
}

CASE(mapres_none, "G13", "without any resources an item fails: MAP, RES_EMPTY")
{
    uint32_t ep = endpoint_new();

    peer_start();
    EXPECT_EQ(tcr_write(NO_CAP, L4_TCR_SNDRES, 0), 0);
    EXPECT_ERROR(give_map(L4_CAP_FPAGE(ep, L4_W), L4_CAP(cap_new())), L4_MAP, L4_D_RES_EMPTY);
}

CASE(mapres_needs_w, "G3 G13", "a kernel page without w is no resource")
{
    struct message msg = { 0 };
    uint32_t ep = endpoint_new(), kp = kpage_far(8, 12), weak;

    peer_start();
    weak = alias_cap(kp, L4_R | L4_X);
    resource_item(&msg, 0, L4_CAP_FPAGE(weak, 15));
    map_item(&msg, 2, L4_CAP_FPAGE(ep, L4_W), L4_CAP(cap_new()));
    EXPECT_ERROR(give(&msg, 2, 0), L4_MAP, L4_D_RES_EMPTY);
}

CASE(mapres_full, "G13", "a full kernel page is MAP, RES_FULL")
{
    struct message msg = { 0 };
    uint32_t ep = endpoint_new(), kp = kpage_far(8, 12), first = 0x340, n = 0;

    peer_start();
    while (create_in(kp, L4_TYPE_ENDPOINT, first + n) == 0)
        n++;
    resource_item(&msg, 0, L4_CAP_FPAGE(kp, L4_W));
    map_item(&msg, 2, L4_CAP_FPAGE(ep, L4_W), L4_CAP(0x3c0));
    EXPECT_ERROR(give(&msg, 2, 0), L4_MAP, L4_D_RES_FULL);
}

CASE(mapres_bad, "G10", "MAPRES and TABRES take capability flexpages only: BAD_FLEXPAGE")
{
    struct message msg = { 0 };

    peer_start();
    resource_item(&msg, 0, L4_FPAGE(page(3), L4_SPACE_MEM, 12, 15));
    EXPECT_ERROR(give(&msg, 1, 0), L4_MAP, L4_D_BAD_FLEXPAGE);
    table_item(&msg, 0, L4_FPAGE(page(3), L4_SPACE_MEM, 12, 15), L4_SPACE_CAP, 0, 22);
    EXPECT_ERROR(give(&msg, 1, 0), L4_MAP, L4_D_BAD_FLEXPAGE);
}

CASE(mapres_runs_out, "I-15", "when the memory ends in the second of three items the first stays, and each is whole or counted")
{
    struct message msg = { 0 };
    uint32_t kp = kpage_far(8, 12), first = 0x340, n = 0, ep = endpoint_new(), ep2 = endpoint_new();
    struct l4_words w;

    peer_start();
    while (create_in(kp, L4_TYPE_ENDPOINT, first + n) == 0)
        n++;
    EXPECT_EQ(flush_cap(first) & 15u, 0); /* room for two nodes */
    EXPECT_EQ(tcr_write(NO_CAP, L4_TCR_SNDRES, L4_CAP_FPAGE(kp, L4_W)), 0);
    map_item(&msg, 0, L4_CAP_FPAGE(ep, L4_W), 0x3c0000);
    map_item(&msg, 2, L4_FPAGE(L4_CAP(first + 1) & 0xffffc000u, L4_SPACE_CAP, 14, L4_W), 0x3c4000);
    map_item(&msg, 4, L4_CAP_FPAGE(ep2, L4_W), 0x3c8000);
    EXPECT_ERROR(give(&msg, 3, 0), L4_MAP, L4_D_RES_FULL);
    EXPECT_EQ(peer.w0 >> 10 & 3u, 3);
    EXPECT_EQ(peer.msg.m[1] >> 12, 1);
    EXPECT_EQ(peer.msg.m[3] >> 12, 1);
    EXPECT_EQ(peer.msg.m[5], L4_ITEM_MAP);
    EXPECT_EQ(inspect(L4_INSPECT_IDENTITY, ep, 0x3c0, &w), 0);
    EXPECT_EQ(w.w[1], 1);
}

/* ---- TABRES ---- */

CASE(tabres_capability_table, "G14", "TABRES makes a capability table, and a MAP of the same message uses it")
{
    struct message msg = { 0 };

    peer_start_in_task();
    table_item(&msg, 0, KPAGES, L4_SPACE_CAP, L4_CAP(0x12345), 12);
    map_item(&msg, 2, L4_CAP_FPAGE(peer.ep, L4_W), L4_CAP(0x12345));
    EXPECT_EQ(give(&msg, 2, 0), 0);
    EXPECT_EQ(peer.w0, 2u << 10);
    EXPECT_EQ(peer.msg.m[0], L4_FPAGE(L4_CAP(0x12000), L4_SPACE_CAP, 22, 0));
    EXPECT_EQ(peer.msg.m[1], 1u << 12 | L4_ITEM_TABRES);
    expect_mapped(2, L4_CAP_FPAGE(0x12345, L4_W), 1);
}

CASE(tabres_existing, "G14", "tables that exist are skipped and not counted")
{
    struct message msg = { 0 };

    peer_start_in_task();
    table_item(&msg, 0, KPAGES, L4_SPACE_CAP, 0, 22);
    EXPECT_EQ(give(&msg, 1, 0), 0);
    EXPECT_EQ(peer.msg.m[1], L4_ITEM_TABRES);
}

CASE(tabres_several, "G14", "one item makes all the tables of its region")
{
    struct message msg = { 0 };
    uint32_t before[4], after[4];

    peer_start_in_task();
    kernel_state(before);
    table_item(&msg, 0, KPAGES, L4_SPACE_MEM, CHILD, 24);
    EXPECT_EQ(give(&msg, 1, 0), 0);
    kernel_state(after);
    EXPECT_EQ(peer.msg.m[0], L4_FPAGE(CHILD, L4_SPACE_MEM, 24, 0));
    EXPECT_EQ(peer.msg.m[1], 4u << 12 | L4_ITEM_TABRES);
    EXPECT_EQ(before[2] - after[2], 4 * L4_PAGETABLE_PAGES);
}

CASE(tabres_window_limits, "G14", "a window smaller than a table's reach limits the result to the table that contains it")
{
    struct message msg = { 0 };

    peer_start_in_task();
    EXPECT_EQ(tcr_write(L4_CAP(peer.thread), L4_TCR_WINDOW, L4_FPAGE(CHILD + 0x5000, L4_SPACE_MEM, 12, 15)), 0);
    table_item(&msg, 0, KPAGES, L4_SPACE_MEM, 0x20000000, 26);
    EXPECT_EQ(give(&msg, 1, 0), 0);
    EXPECT_EQ(peer.msg.m[0], L4_FPAGE(CHILD, L4_SPACE_MEM, 22, 0));
    EXPECT_EQ(peer.msg.m[1], 1u << 12 | L4_ITEM_TABRES);
}

CASE(tabres_io, "G10", "TABRES for IO is a successful no-op")
{
    struct message msg = { 0 };

    peer_start_in_task();
    table_item(&msg, 0, KPAGES, L4_SPACE_IO, 0, 22);
    EXPECT_EQ(give(&msg, 1, 0), 0);
    EXPECT_EQ(peer.w0, 1u << 10);
}

CASE(tabres_reserved_space, "G10", "TABRES for space 3 is MAP, BAD_VALUE")
{
    struct message msg = { 0 };

    peer_start_in_task();
    table_item(&msg, 0, KPAGES, 3, 0, 22);
    EXPECT_ERROR(give(&msg, 1, 0), L4_MAP, L4_D_BAD_VALUE);
}

CASE(tabres_kernel_range, "G14 F-06", "no page tables at 3 GB and above; the part below is made")
{
    struct message msg = { 0 };

    peer_start_in_task();
    table_item(&msg, 0, KPAGES, L4_SPACE_MEM, 0xc0000000u, 22);
    EXPECT_ERROR(give(&msg, 1, 0), L4_MAP, L4_D_KERNEL_RANGE);
    EXPECT_EQ(tcr_write(L4_CAP(peer.thread), L4_TCR_WINDOW, 0), 0);
    table_item(&msg, 0, KPAGES, L4_SPACE_MEM, CHILD, 22);
    EXPECT_ERROR(give(&msg, 1, 0), L4_MAP, L4_D_NO_WINDOW);
}

CASE(tabres_no_page, "G14", "without a wholly free page: MAP, RES_ALIGN; without a kernel page: RES_EMPTY")
{
    struct message msg = { 0 };
    uint32_t kp = kpage_far(8, 12);

    EXPECT_EQ(create_in(kp, L4_TYPE_ENDPOINT, cap_new()), 0);
    peer_start_in_task();
    table_item(&msg, 0, L4_CAP_FPAGE(kp, L4_W), L4_SPACE_CAP, L4_CAP(0x12345), 22);
    EXPECT_ERROR(give(&msg, 1, 0), L4_MAP, L4_D_RES_ALIGN);
    table_item(&msg, 0, L4_CAP_FPAGE(0x3e0, L4_W), L4_SPACE_CAP, L4_CAP(0x12345), 22);
    EXPECT_ERROR(give(&msg, 1, 0), L4_MAP, L4_D_RES_EMPTY);
}

CASE(tabres_partial, "G14", "when the memory ends half-way the tables made so far stay")
{
    struct message msg = { 0 };
    uint32_t kp = kpage_far(8, 13);

    peer_start_in_task();
    table_item(&msg, 0, L4_CAP_FPAGE(kp, L4_W), L4_SPACE_CAP, L4_CAP(0x12000), 24);
    EXPECT_ERROR(give(&msg, 1, 0), L4_MAP, L4_D_RES_ALIGN);
    EXPECT_EQ(peer.msg.m[1], 2u << 12 | L4_ITEM_TABRES);
}

CASE(tabres_table_revoked, "M-08", "taking away the page of a capability table empties all its names")
{
    struct message msg = { 0 };
    uint32_t kp = kpage_far(8, 12), name = 0x12345, far;

    peer_start();
    far = endpoint_new();
    table_item(&msg, 0, L4_CAP_FPAGE(kp, L4_W), L4_SPACE_CAP, L4_CAP(name), 22);
    map_item(&msg, 2, L4_CAP_FPAGE(far, 15), L4_CAP(name));
    EXPECT_EQ(give(&msg, 2, 0), 0);
    EXPECT_EQ(L4_ERR_BASE(send0(name, L4_TS_ZERO)), L4_SND_TIMEOUT);
    EXPECT_EQ(flush_cap(kp) & 15u, 0);
    EXPECT_ERROR(send0(name, L4_TS_ZERO), L4_CAP, L4_D_EMPTY);
    EXPECT_EQ(L4_ERR_BASE(send0(far, L4_TS_ZERO)), L4_SND_TIMEOUT);
}

/* ---- BADGE ---- */

static uint32_t badge_of(uint32_t ep, uint32_t name, uint32_t *length)
{
    struct l4_words w;

    EXPECT_EQ(inspect(L4_INSPECT_BADGE, ep, name, &w), 0);
    *length = w.w[2];
    return w.w[1];
}

static uint32_t badged(uint32_t ep, uint32_t value, unsigned bits)
{
    struct message msg = { 0 };
    uint32_t name = cap_new();

    badge_item(&msg, 0, value, bits);
    map_item(&msg, 2, L4_CAP_FPAGE(ep, 15), L4_CAP(name));
    EXPECT_EQ(give(&msg, 2, 0), 0);
    return name;
}

CASE(badge_appends, "G4", "a second BADGE is appended behind the first: a mapper cannot shed what is above it")
{
    uint32_t ep = endpoint_new(), a, b, length;

    peer_start();
    a = badged(ep, 0xfa, 4); /* the low four bits: 0xa */
    EXPECT_EQ(badge_of(ep, a, &length), 0xa0000000u);
    EXPECT_EQ(length, 4);
    b = badged(a, 0x5, 8);
    EXPECT_EQ(badge_of(ep, b, &length), 0xa0500000u);
    EXPECT_EQ(length, 12);
}

CASE(badge_full, "G4", "no room for the bits: MAP, BADGE_FULL, and nothing is mapped")
{
    struct message msg = { 0 };
    uint32_t ep = endpoint_new(), a, length;

    peer_start();
    a = badged(ep, 0x1234567, 30);
    EXPECT_EQ(badge_of(ep, a, &length), 0x1234567u << 2);
    badge_item(&msg, 0, 1, 3);
    map_item(&msg, 2, L4_CAP_FPAGE(a, 15), 0x3c0000);
    EXPECT_ERROR(give(&msg, 2, 0), L4_MAP, L4_D_BADGE_FULL);
    EXPECT_ERROR(send0(0x3c0, L4_TS_ZERO), L4_CAP, L4_D_EMPTY);
}

CASE(badge_of_32_bits, "G4 I-09", "a badge of 32 bits leaves nothing to the sender's own register")
{
    struct message msg = { 0 };
    uint32_t ep = endpoint_new(), a, length;

    peer_start();
    a = badged(ep, 0x89abcdefu, 32);
    EXPECT_EQ(badge_of(ep, a, &length), 0x89abcdefu);
    EXPECT_EQ(length, 32);
    /* sent by us, who own all of TCR 3, to the peer through a 32-bit badge of its endpoint */
    a = badged(peer.ep, 0x89abcdefu, 32);
    EXPECT_EQ(tcr_write(OWN_THREAD, L4_TCR_SENDER, 0xffffffffu), 0);
    EXPECT_EQ(ipc(L4_CAP(a), 0, 0, NO_CAP, 0, 0, L4_TS_NEVER, &msg), 0);
    settle();
    EXPECT_EQ(peer.msg.sender, 0x89abcdefu);
}

CASE(badge_two_names, "I-09", "two capabilities with different badges are told apart, whatever TCR 3 says")
{
    uint32_t a, b;

    peer_start();
    a = badged(peer.ep, 1, 4);
    b = badged(peer.ep, 2, 4);
    EXPECT_EQ(tcr_write(OWN_THREAD, L4_TCR_SENDER, 0xf1234567u), 0);
    EXPECT_EQ(send0(a, L4_TS_NEVER), 0);
    settle();
    EXPECT_EQ(peer.msg.sender, 0x11234567u);
    EXPECT_EQ(send0(b, L4_TS_NEVER), 0);
    settle();
    EXPECT_EQ(peer.msg.sender, 0x21234567u);
}

CASE(badge_too_long, "G10", "a BADGE of more than 32 bits is MAP, BAD_VALUE")
{
    struct message msg = { 0 };

    peer_start();
    badge_item(&msg, 0, 0, 33);
    EXPECT_ERROR(give(&msg, 1, 0), L4_MAP, L4_D_BAD_VALUE);
}

CASE(badge_only_endpoints, "G10", "a BADGE item does not touch capabilities of other types, nor items before it")
{
    struct message msg = { 0 };
    uint32_t ep = endpoint_new(), a = cap_new(), length;
    struct l4_words w;

    peer_start();
    map_item(&msg, 0, L4_CAP_FPAGE(ep, 15), L4_CAP(a));
    badge_item(&msg, 2, 3, 2);
    map_item(&msg, 4, L4_CAP_FPAGE(L4_S0_TASK, 15), 0x3c0000);
    EXPECT_EQ(give(&msg, 3, 0), 0);
    (void)badge_of(ep, a, &length);
    EXPECT_EQ(length, 0);
    EXPECT_EQ(inspect(L4_INSPECT_IDENTITY, L4_S0_TASK, 0x3c0, &w), 0);
    EXPECT_EQ(w.w[1], 1);
}

CASE(badge_another_badge_is_another_mapping, "G15", "the same endpoint with another badge does not fit the old name: OCCUPIED")
{
    struct message msg = { 0 };
    uint32_t ep = endpoint_new(), a;

    peer_start();
    a = badged(ep, 1, 4);
    badge_item(&msg, 0, 2, 4);
    map_item(&msg, 2, L4_CAP_FPAGE(ep, 15), L4_CAP(a));
    EXPECT_ERROR(give(&msg, 2, 0), L4_MAP, L4_D_OCCUPIED);
}

/* ---- size and depth ---- */

/* k -> k + 1 three times in one message, as far as `count`. */
static uint32_t chain(uint32_t first, uint32_t count)
{
    struct message msg = { 0 };
    uint32_t done = 0, error = 0;

    while (done < count && !error) {
        unsigned n = min32(3, count - done);

        for (unsigned i = 0; i < n; i++)
            map_item(&msg, 2 * i, L4_CAP_FPAGE(first + done + i, 15), L4_CAP(first + done + i + 1));
        error = ipc(L4_CAP(peer.ep), n, 0, NO_CAP, 0, 0, L4_TS_NEVER, &msg);
        done += n;
    }
    return error;
}

CASE(mapdb_chain, "M-02", "a chain of 10000 mappings, each below the one before, goes with one unmap at its root")
{
    uint32_t kp = kpage_of_ram(0, 19), first = 0x10000, state[4];

    peer_start();
    EXPECT_EQ(tcr_write(L4_CAP(peer.thread), L4_TCR_RCVRES, L4_CAP_FPAGE(kp, L4_W)), 0);
    EXPECT_EQ(tcr_write(NO_CAP, L4_TCR_SNDRES, L4_CAP_FPAGE(kp, L4_W)), 0);
    EXPECT_EQ(create_in(kp, L4_TYPE_ENDPOINT, first), 0);
    EXPECT_EQ(chain(first, 10000), 0);
    EXPECT_EQ(L4_ERR_BASE(send0(first + 10000, L4_TS_ZERO)), L4_SND_TIMEOUT);
    kernel_state(state);
    EXPECT_EQ(state[0], 0);
    EXPECT_EQ(unmap1(L4_CAP_FPAGE(first, 15)) & 15u, 0);
    EXPECT_ERROR(send0(first + 10000, L4_TS_ZERO), L4_CAP, L4_D_EMPTY);
    EXPECT_ERROR(send0(first + 1, L4_TS_ZERO), L4_CAP, L4_D_EMPTY);
    EXPECT_EQ(L4_ERR_BASE(send0(first, L4_TS_ZERO)), L4_SND_TIMEOUT);
}

CASE(mapdb_star, "M-03", "10000 mappings of one capability go with one unmap")
{
    uint32_t kp = kpage_of_ram(0, 19), source = 0x10000, state[4];
    struct message msg = { 0 };

    peer_start();
    EXPECT_EQ(tcr_write(L4_CAP(peer.thread), L4_TCR_RCVRES, L4_CAP_FPAGE(kp, L4_W)), 0);
    EXPECT_EQ(tcr_write(NO_CAP, L4_TCR_SNDRES, L4_CAP_FPAGE(kp, L4_W)), 0);
    EXPECT_EQ(create_in(kp, L4_TYPE_ENDPOINT, source), 0);
    for (uint32_t i = 1; i <= 9999; i += 3) {
        for (unsigned k = 0; k < 3; k++)
            map_item(&msg, 2 * k, L4_CAP_FPAGE(source, 15), L4_CAP(source + i + k));
        EXPECT_EQ(ipc(L4_CAP(peer.ep), 3, 0, NO_CAP, 0, 0, L4_TS_NEVER, &msg), 0);
    }
    kernel_state(state);
    EXPECT_EQ(state[0], 0);
    EXPECT_EQ(unmap1(L4_CAP_FPAGE(source, 15)) & 15u, 0);
    for (uint32_t i = 1; i <= 9999; i += 1111)
        EXPECT_ERROR(send0(source + i, L4_TS_ZERO), L4_CAP, L4_D_EMPTY);
    EXPECT_EQ(L4_ERR_BASE(send0(source, L4_TS_ZERO)), L4_SND_TIMEOUT);
}

CASE(mapdb_binary_tree, "M-03", "a full binary tree of 4095 mappings goes with one unmap; every second one without its root")
{
    uint32_t kp = kpage_of_ram(0, 18), root = 0x10000, state[4];
    struct message msg = { 0 };

    peer_start();
    EXPECT_EQ(tcr_write(L4_CAP(peer.thread), L4_TCR_RCVRES, L4_CAP_FPAGE(kp, L4_W)), 0);
    EXPECT_EQ(tcr_write(NO_CAP, L4_TCR_SNDRES, L4_CAP_FPAGE(kp, L4_W)), 0);
    EXPECT_EQ(create_in(kp, L4_TYPE_ENDPOINT, root), 0);
    for (uint32_t i = 1; i < 2048; i++) { /* node i is at root + i - 1 */
        for (unsigned k = 0; k < 2; k++)
            map_item(&msg, 2 * k, L4_CAP_FPAGE(root + i - 1, 15), L4_CAP(root + 2 * i + k - 1));
        EXPECT_EQ(ipc(L4_CAP(peer.ep), 2, 0, NO_CAP, 0, 0, L4_TS_NEVER, &msg), 0);
    }
    EXPECT_EQ(flush_cap(root + 1) & 15u, 0); /* one half */
    kernel_state(state);
    EXPECT_EQ(state[0], 0);
    EXPECT_ERROR(send0(root + 3, L4_TS_ZERO), L4_CAP, L4_D_EMPTY);
    EXPECT_EQ(L4_ERR_BASE(send0(root + 5, L4_TS_ZERO)), L4_SND_TIMEOUT);
    EXPECT_EQ(unmap1(L4_CAP_FPAGE(root, 15)) & 15u, 0);
    EXPECT_ERROR(send0(root + 5, L4_TS_ZERO), L4_CAP, L4_D_EMPTY);
}

CASE(mapdb_depth_limit, "G15 M-02", "the 131071st level is the last: TOO_DEEP, and the whole chain still goes with one unmap")
{
    uint32_t kp = kpage_of_ram(0, 22), kp2 = kpage_of_ram(1, 22), first = 0x10000;

    peer_start();
    EXPECT_EQ(tcr_write(L4_CAP(peer.thread), L4_TCR_RCVRES, L4_CAP_FPAGE(kp2, L4_W)), 0);
    EXPECT_EQ(tcr_write(NO_CAP, L4_TCR_SNDRES, L4_CAP_FPAGE(kp, L4_W)), 0);
    EXPECT_EQ(create_in(kp, L4_TYPE_ENDPOINT, first), 0);
    EXPECT_EQ(chain(first, 100000), 0);
    EXPECT_EQ(tcr_write(NO_CAP, L4_TCR_SNDRES, L4_CAP_FPAGE(kp2, L4_W)), 0);
    EXPECT_ERROR(chain(first + 100000, 31072), L4_MAP, L4_D_TOO_DEEP);
    EXPECT_EQ(L4_ERR_BASE(send0(first + 131071, L4_TS_ZERO)), L4_SND_TIMEOUT);
    EXPECT_ERROR(send0(first + 131072, L4_TS_ZERO), L4_CAP, L4_D_EMPTY);
    EXPECT_EQ(unmap1(L4_CAP_FPAGE(first, 15)) & 15u, 0);
    EXPECT_ERROR(send0(first + 1, L4_TS_ZERO), L4_CAP, L4_D_EMPTY);
    EXPECT_ERROR(send0(first + 100000, L4_TS_ZERO), L4_CAP, L4_D_EMPTY);
}

/* ---- mid-transfer ---- */

static volatile uint32_t mapper_result, mapper_sent;
static struct message mapper_msg;
static volatile uint32_t mapper_items;

static void mapper(void)
{
    mapper_sent = 1;
    mapper_result = ipc(L4_CAP(peer.ep), mapper_items, 0, NO_CAP, 0, 0, L4_TS_NEVER, &mapper_msg);
    mapper_sent = 2;
}

/* Let a mapper of low priority map 1024 small pages to the peer for `us` microseconds; is it in the middle? */
static uint32_t interrupted_mapper(uint32_t us, uint32_t kp)
{
    uint32_t th;

    mapper_result = 0xdead;
    mapper_sent = 0;
    mapper_items = 3;
    table_item(&mapper_msg, 0, KPAGES, L4_SPACE_MEM, CHILD, 22);
    resource_item(&mapper_msg, 2, L4_CAP_FPAGE(kp, L4_W));
    map_item(&mapper_msg, 4, L4_FPAGE(ram_block(0), L4_SPACE_MEM, 22, L4_R), CHILD);
    th = thread_start(mapper, 100);
    sleep_us(us);
    return th;
}

CASE(ipc_aborted_in_transfer, "I-06", "aborting a sender in the middle of its items: SND_ABORT and RCV_ABORT, both ABORTED_XFER")
{
    uint32_t kp = kpage_of_ram(1, 17), caught = 0;

    peer_start_in_task();
    for (uint32_t us = 20; us < 400 && !caught; us += 40) {
        uint32_t th = interrupted_mapper(us, kp), had = peer.count;

        if (mapper_result == 0xdead && mapper_sent == 1) {
            (void)exregs(1u << L4_XR_ABORT_SHIFT, L4_CAP(th), 0, 0, 0, 0, NULL);
            sleep_us(2000);
            settle();
            if (L4_ERR_DETAIL(mapper_result) == L4_D_ABORTED_XFER) {
                caught++;
                EXPECT_ERROR(mapper_result, L4_SND_ABORT, L4_D_ABORTED_XFER);
                EXPECT_EQ(peer.count, had + 1);
                EXPECT_ERROR(peer.w0, L4_RCV_ABORT, L4_D_ABORTED_XFER);
            }
        }
        (void)flush_cap(th);
        (void)flush_cap(th + 1);
        (void)unmap1(L4_FPAGE(ram_block(0), L4_SPACE_MEM, 22, 15));
        settle();
    }
    EXPECT(caught);
}

CASE(ipc_receiver_destroyed_in_transfer, "I-06", "destroying the receiver in the middle of the items: the sender gets SND_ABORT")
{
    uint32_t caught = 0;

    for (uint32_t us = 20; us < 400 && !caught; us += 40) {
        uint32_t kp = kpage_of_ram(1, 17), th;

        peer_start_in_task();
        th = interrupted_mapper(us, kp);
        EXPECT_EQ(flush_cap(peer.thread) & 15u, 0);
        sleep_us(2000);
        if (L4_ERR_BASE(mapper_result) == L4_SND_ABORT && mapper_result != 0xdead)
            caught++;
        EXPECT_EQ(mapper_result == 0xdead ? mapper_sent : 2, mapper_sent);
        (void)th;
        (void)flush1(L4_FPAGE(L4_CAP(0x210), L4_SPACE_CAP, 16, 15));
        (void)flush1(L4_FPAGE(L4_CAP(0x220), L4_SPACE_CAP, 17, 15));
        (void)flush1(L4_FPAGE(L4_CAP(0x240), L4_SPACE_CAP, 18, 15));
        stacks_keep(0);
    }
    EXPECT(caught);
}

CASE(map_source_revoked_in_transfer, "I-06", "rights taken from the source in the middle of an item: nothing arrives after the revocation")
{
    uint32_t kp = kpage_of_ram(1, 17), th, caught = 0;

    peer_start_in_task();
    for (uint32_t us = 20; us < 400 && !caught; us += 40) {
        th = interrupted_mapper(us, kp);
        if (mapper_result == 0xdead && mapper_sent == 1) {
            /* what has arrived so far goes; the item then continues from a source that still has its rights */
            EXPECT_EQ(unmap1(L4_FPAGE(ram_block(0), L4_SPACE_MEM, 22, L4_R)) & 15u, 0);
            sleep_us(2000);
            settle();
            EXPECT_EQ(mapper_result, 0);
            if (peer.msg.m[3] >> 12 == 1024)
                caught++;
        }
        (void)flush_cap(th);
        (void)flush_cap(th + 1);
        (void)unmap1(L4_FPAGE(ram_block(0), L4_SPACE_MEM, 22, 15));
        settle();
    }
    EXPECT(caught);
}
