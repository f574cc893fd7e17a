// SPDX-License-Identifier: MIT
/* MAP of capabilities and memory; windows and hot spots.  [M 2.1.1] [M 2.5] [G10] - [G15] */
#include "tests/guest/kit.h"

#define ALIAS 0x80000000u /* memory names of this task that nothing uses */
#define CHILD 0x10000000u /* the same in a child */

/* Page and capability tables of ours come from a kernel page of the case's, and go with it. */
static uint32_t own_tables(void)
{
    uint32_t kp = kpage_new(32, 14);

    EXPECT_EQ(tcr_write(L4_CAP(peer.thread), L4_TCR_RCVRES, L4_CAP_FPAGE(kp, L4_W)), 0);
    return kp;
}

/* ---- hot spots ---- */

/* The rule of the interface, in its own words. */
static void hot_spot(uint32_t sb, unsigned ss, uint32_t rb, unsigned rs, uint32_t h, uint32_t *dst, unsigned *order)
{
    uint32_t rmask = (1u << rs) - 1u, smask = (1u << ss) - 1u;

    if (ss <= rs) {
        *order = ss;
        *dst = rb | (h & rmask & ~smask);
    } else {
        *order = rs;
        *dst = rb;
    }
    (void)sb;
}

CASE(map_hot_spot_sizes, "G11 F-08", "every pair of sizes of 1 to 16 capabilities and several hot spots land where the rule says")
{
    static const uint32_t hots[] = { 0x300000, 0x30f000, 0x30a000, 0xfffff000u, 0x305000 };
    uint32_t dst;
    unsigned order;

    peer_start();
    EXPECT_EQ(flush1(L4_FPAGE(0x300000, L4_SPACE_CAP, 16, 15)) & 15u, 0);
    for (uint32_t i = 0; i < 16; i++)
        EXPECT_EQ(create(L4_TYPE_ENDPOINT, 0x2e0 + i, 0, 0), 0);
    for (unsigned ss = 12; ss <= 16; ss++)
        for (unsigned rs = 12; rs <= 16; rs++)
            for (unsigned i = 0; i < 5; i++) {
                uint32_t rb = 0x300000u | (hots[(i + 1) % 5] & 0xf000u & ~((1u << rs) - 1u));

                EXPECT_EQ(tcr_write(L4_CAP(peer.thread), L4_TCR_WINDOW + 1, L4_FPAGE(rb, L4_SPACE_CAP, rs, 15)), 0);
                hot_spot(0x2e0000, ss, rb, rs, hots[i], &dst, &order);
                EXPECT_EQ(give_map(L4_FPAGE(0x2e0000, L4_SPACE_CAP, ss, L4_W), hots[i]), 0);
                expect_mapped(0, L4_FPAGE(dst, L4_SPACE_CAP, order, L4_W), 1u << (order - 12));
                EXPECT_EQ(flush1(L4_FPAGE(0x300000, L4_SPACE_CAP, 16, 15)) & 15u, 0);
            }
}

CASE(map_hot_spot_chooses_source, "G11 F-08", "into a smaller window the hot spot chooses the part of the source")
{
    struct l4_words w;

    peer_start();
    for (uint32_t i = 0; i < 16; i++)
        EXPECT_EQ(create(L4_TYPE_ENDPOINT, 0x2e0 + i, 0, 0), 0);
    EXPECT_EQ(tcr_write(L4_CAP(peer.thread), L4_TCR_WINDOW + 1, L4_CAP_FPAGE(0x300, 15)), 0);
    EXPECT_EQ(give_map(L4_FPAGE(0x2e0000, L4_SPACE_CAP, 16, 15), 0x12347000), 0);
    EXPECT_EQ(inspect(L4_INSPECT_IDENTITY, 0x2e7, 0x300, &w), 0);
    EXPECT_EQ(w.w[1], 1);
}

CASE(map_memory_hot_spot_4mb_to_4kb, "G11 F-10", "of a 4 MB page the part under the hot spot is mapped into a 4 KB window")
{
    uint32_t block = ram_block(0);

    peer_start();
    (void)own_tables();
    *word_at(block + 0x234000) = 0x234567;
    EXPECT_EQ(tcr_write(L4_CAP(peer.thread), L4_TCR_WINDOW, L4_FPAGE(ALIAS, L4_SPACE_MEM, 12, 15)), 0);
    EXPECT_EQ(give_map(L4_FPAGE(block, L4_SPACE_MEM, 22, L4_R | L4_W), 0x10234567u), 0);
    expect_mapped(0, L4_FPAGE(ALIAS, L4_SPACE_MEM, 12, L4_R | L4_W), 1);
    EXPECT_EQ(*word_at(ALIAS), 0x234567);
    *word_at(block + 0x234000) = 0;
}

/* ---- memory ---- */

static void touch_alias(void)
{
    (void)*word_at(ALIAS);
    *word_at(ALIAS) = 5;
}

CASE(map_memory_read_only, "M 2.1.1", "a page mapped without w can be read; a write is a fault with reason RIGHTS")
{
    struct message msg = { 0 };
    struct victim v;

    peer_start();
    (void)own_tables();
    EXPECT_EQ(give_map(L4_FPAGE(page(3), L4_SPACE_MEM, 12, L4_R), ALIAS), 0);
    victim_start(&v, touch_alias);
    EXPECT_EQ(victim_message(&v, &msg), 4u << 4);
    EXPECT_EQ(msg.m[0], L4_FAULT_M0(L4_OP_WRITE, 15, L4_D_RIGHTS, L4_TYPE_MEMORY, L4_R | L4_W));
    EXPECT_EQ(msg.m[1], ALIAS);
    EXPECT_EQ(give_map(L4_FPAGE(page(3), L4_SPACE_MEM, 12, L4_W), ALIAS), 0);
    EXPECT_EQ(victim_answer(&v, &msg, 0, 0), 0);
    settle();
    EXPECT_EQ(*word_at(page(3)), 5);
}

CASE(map_memory_write_only, "G26", "without r a page is not accessible at all")
{
    struct message msg = { 0 };
    struct victim v;

    peer_start();
    (void)own_tables();
    EXPECT_EQ(give_map(L4_FPAGE(page(3), L4_SPACE_MEM, 12, L4_W), ALIAS), 0);
    victim_start(&v, touch_alias);
    EXPECT_EQ(victim_message(&v, &msg), 4u << 4);
    EXPECT_EQ(msg.m[0], L4_FAULT_M0(L4_OP_READ, 15, L4_D_RIGHTS, L4_TYPE_MEMORY, L4_R));
}

static volatile uint32_t child_saw;
static volatile uint32_t child_address;

static void child_reads(void)
{
    if (peer.msg.m[1] == 0)
        return;
    child_saw = *word_at(child_address);
}

CASE(map_super_page_whole, "G52 F-10", "a 4 MB page to a 4 MB place is one mapping of 1024 names")
{
    uint32_t block = ram_block(0), before[4], after[4];

    *word_at(block + 0x3ff000) = 0x77;
    peer_start_in_task();
    child_address = CHILD + 0x3ff000;
    peer.after = child_reads;
    kernel_state(before);
    EXPECT_EQ(give_map(L4_FPAGE(block, L4_SPACE_MEM, 22, L4_R | L4_W), CHILD), 0);
    kernel_state(after);
    expect_mapped(0, L4_FPAGE(CHILD, L4_SPACE_MEM, 22, L4_R | L4_W), 1024);
    EXPECT_EQ(before[1] - after[1], L4_SIZE_NODE);
    EXPECT_EQ(child_saw, 0x77);
    *word_at(block + 0x3ff000) = 0;
}

CASE(map_super_page_in_pieces, "G52 F-10", "a 4 MB page to a place with a page table becomes 1024 small mappings")
{
    struct message msg = { 0 };
    uint32_t block = ram_block(0), kp = kpage_of_ram(1, 17);

    *word_at(block + 0x3ff000) = 0x78;
    peer_start_in_task();
    child_address = CHILD + 0x3ff000;
    peer.after = child_reads;
    table_item(&msg, 0, KPAGES, L4_SPACE_MEM, CHILD, 22);
    resource_item(&msg, 2, L4_CAP_FPAGE(kp, L4_W));
    map_item(&msg, 4, L4_FPAGE(block, L4_SPACE_MEM, 22, L4_R | L4_W), CHILD);
    EXPECT_EQ(give(&msg, 3, 0), 0);
    EXPECT_EQ(peer.w0, 2u << 10);
    EXPECT_EQ(peer.msg.m[1], 1u << 12 | L4_ITEM_TABRES);
    expect_mapped(2, L4_FPAGE(CHILD, L4_SPACE_MEM, 22, L4_R | L4_W), 1024);
    EXPECT_EQ(*word_at(block + 0x3ff000), 0x78);
    *word_at(block + 0x3ff000) = 0;
}

CASE(map_small_over_super, "G15", "a small page below a 4 MB mapping of the receiver is OCCUPIED")
{
    uint32_t block = ram_block(0);

    peer_start_in_task();
    EXPECT_EQ(give_map(L4_FPAGE(block, L4_SPACE_MEM, 22, L4_R), CHILD), 0);
    EXPECT_ERROR(give_map(L4_FPAGE(page(3), L4_SPACE_MEM, 12, L4_R), CHILD + 0x5000), L4_MAP, L4_D_OCCUPIED);
}

CASE(map_several_small_pages, "S19", "a flexpage with holes maps what is there and counts it")
{
    struct message msg = { 0 };

    peer_start_in_task();
    /* from the last 4 MB below 3 GB: nothing is there */
    EXPECT_ERROR(give_map(L4_FPAGE(0xbfc00000u, L4_SPACE_MEM, 22, L4_R), CHILD), L4_MAP, L4_D_EMPTY);
    EXPECT_EQ(peer.msg.m[0], 0);
    EXPECT_EQ(peer.msg.m[1], L4_ITEM_MAP);
    table_item(&msg, 0, KPAGES, L4_SPACE_CAP, 0x3f0000, 22);
    (void)endpoint_new();
    map_item(&msg, 2, L4_FPAGE(L4_CAP(0x200), L4_SPACE_CAP, 20, 15), 0x300000);
    (void)give(&msg, 2, 0);
    EXPECT_EQ(peer.w0 >> 10 & 3u, 2);
    EXPECT(peer.msg.m[3] >> 12 > 4 && peer.msg.m[3] >> 12 < 64);
}

CASE(map_no_pagetable, "G13", "an unbacked memory name without resources is MAP, NO_PAGETABLE")
{
    peer_start_in_task();
    EXPECT_ERROR(give_map(L4_FPAGE(page(3), L4_SPACE_MEM, 12, L4_R), CHILD), L4_MAP, L4_D_NO_PAGETABLE);
}

CASE(map_no_captable, "G13 G53", "an unbacked capability name without resources is MAP, NO_CAPTABLE")
{
    peer_start_in_task();
    EXPECT_ERROR(give_map(L4_CAP_FPAGE(peer.ep, L4_W), L4_CAP(0x12345)), L4_MAP, L4_D_NO_CAPTABLE);
}

CASE(map_tables_from_receiver, "G13", "the receiver's TCR 11 pays for the table of an unbacked name")
{
    uint32_t kp, before[4], after[4];

    peer_start();
    kp = own_tables();
    (void)kp;
    kernel_state(before);
    EXPECT_EQ(give_map(L4_FPAGE(page(3), L4_SPACE_MEM, 12, L4_R), ALIAS), 0);
    kernel_state(after);
    EXPECT_EQ(before[2] - after[2], L4_PAGETABLE_PAGES);
}

CASE(map_without_right, "G15", "a source that has none of the rights asked for is MAP, RIGHTS")
{
    uint32_t ep = endpoint_new();

    peer_start();
    EXPECT_EQ(flush1(L4_CAP_FPAGE(ep, L4_W)) & 15u, 0);
    EXPECT_ERROR(give_map(L4_CAP_FPAGE(ep, L4_W), L4_CAP(cap_new())), L4_MAP, L4_D_RIGHTS);
}

CASE(map_zero_rights, "F-07", "an item without rights maps nothing: never a capability without a right")
{
    uint32_t ep = endpoint_new(), name = cap_new();
    struct l4_words w;

    peer_start();
    EXPECT_ERROR(give_map(L4_CAP_FPAGE(ep, 0), L4_CAP(name)), L4_MAP, L4_D_RIGHTS);
    EXPECT_EQ(inspect(L4_INSPECT_IDENTITY, ep, name, &w), 0);
    EXPECT_EQ(w.w[1], 0);
}

CASE(map_no_elevation, "M 2.1.1 F-07", "rights that the mapper lacks are not granted, whatever the item asks")
{
    uint32_t ep = endpoint_new(), name = cap_new();

    peer_start();
    EXPECT_EQ(flush1(L4_CAP_FPAGE(ep, L4_W | L4_T)) & 15u, 0);
    EXPECT_EQ(give_map(L4_CAP_FPAGE(ep, 15), L4_CAP(name)), 0);
    expect_mapped(0, L4_CAP_FPAGE(name, L4_R | L4_X), 1);
    EXPECT_ERROR(send0(name, L4_TS_ZERO), L4_CAP, L4_D_RIGHTS);
}

CASE(map_onto_itself, "F-12", "mapping a capability onto its own name changes nothing")
{
    uint32_t ep = endpoint_new();

    peer_start();
    EXPECT_ERROR(give_map(L4_CAP_FPAGE(ep, 15), L4_CAP(ep)), L4_MAP, L4_D_OCCUPIED);
    EXPECT_EQ(L4_ERR_BASE(send0(ep, L4_TS_ZERO)), L4_SND_TIMEOUT);
}

CASE(map_to_own_ancestor, "F-12", "mapping a derived capability over its ancestor is refused: no cycle")
{
    uint32_t ep = endpoint_new(), a, b;

    peer_start();
    a = alias_cap(ep, 15);
    b = alias_cap(a, 15);
    EXPECT_ERROR(give_map(L4_CAP_FPAGE(b, 15), L4_CAP(a)), L4_MAP, L4_D_OCCUPIED);
    EXPECT_ERROR(give_map(L4_CAP_FPAGE(b, 15), L4_CAP(ep)), L4_MAP, L4_D_OCCUPIED);
    EXPECT_EQ(flush_cap(a) & 15u, 0);
    EXPECT_ERROR(send0(b, L4_TS_ZERO), L4_CAP, L4_D_EMPTY);
    EXPECT_EQ(L4_ERR_BASE(send0(ep, L4_TS_ZERO)), L4_SND_TIMEOUT);
}

CASE(map_over_other_object, "F-13", "an occupied name keeps its object, its rights and its descendants")
{
    uint32_t a = endpoint_new(), b = endpoint_new(), name, below;
    struct l4_words w;

    peer_start();
    name = alias_cap(a, L4_W);
    below = alias_cap(name, L4_W);
    EXPECT_ERROR(give_map(L4_CAP_FPAGE(b, 15), L4_CAP(name)), L4_MAP, L4_D_OCCUPIED);
    EXPECT_EQ(inspect(L4_INSPECT_IDENTITY, a, below, &w), 0);
    EXPECT_EQ(w.w[1], 1);
    EXPECT_ERROR(ipc(NO_CAP, 0, 0, L4_CAP(name), 0, 0, L4_TS_NEVER, NULL), L4_CAP, L4_D_RIGHTS);
}

CASE(map_upgrade_never_above_source, "G15", "mapping again adds rights, but none that the source lacks")
{
    uint32_t ep = endpoint_new(), a, b;

    peer_start();
    a = alias_cap(ep, L4_W);
    b = cap_new();
    EXPECT_EQ(give_map(L4_CAP_FPAGE(a, 15), L4_CAP(b)), 0);
    EXPECT_EQ(give_map(L4_CAP_FPAGE(a, 15), L4_CAP(b)), 0);
    expect_mapped(0, L4_CAP_FPAGE(b, L4_W), 1);
    EXPECT_ERROR(give_map(L4_CAP_FPAGE(ep, 15), L4_CAP(b)), L4_MAP, L4_D_OCCUPIED);
}

CASE(map_to_invalid_name, "G2", "nothing is mapped to the invalid capability: BAD_VALUE")
{
    uint32_t ep = endpoint_new();

    peer_start();
    EXPECT_ERROR(give_map(L4_CAP_FPAGE(ep, 15), L4_CAP_INVALID), L4_MAP, L4_D_BAD_VALUE);
}

CASE(map_kernel_range, "F-06", "no memory is mapped from or to addresses at 3 GB and above")
{
    peer_start();
    EXPECT_ERROR(give_map(L4_FPAGE(0xc0000000u, L4_SPACE_MEM, 12, L4_R), ALIAS), L4_MAP, L4_D_KERNEL_RANGE);
    EXPECT_ERROR(give_map(L4_FPAGE(page(3), L4_SPACE_MEM, 12, L4_R), 0xc0000000u), L4_MAP, L4_D_KERNEL_RANGE);
    EXPECT_ERROR(give_map(L4_FPAGE(page(3), L4_SPACE_MEM, 12, L4_R), 0xfffff000u), L4_MAP, L4_D_KERNEL_RANGE);
}

CASE(map_bad_flexpage, "F-04", "space 3 and sizes below 4 KB are MAP, BAD_FLEXPAGE")
{
    peer_start();
    EXPECT_ERROR(give_map(L4_FPAGE(0, 3, 12, 15), 0), L4_MAP, L4_D_BAD_FLEXPAGE);
    EXPECT_ERROR(give_map(0x00400000u | 11u << 4 | 15u, 0), L4_MAP, L4_D_BAD_FLEXPAGE);
}

CASE(map_size_above_32, "F-01", "sizes 33 to 63 mean 32: the rest of a capability space, clipped by the window")
{
    uint32_t ep = endpoint_new(), name = cap_new();

    peer_start();
    EXPECT_EQ(tcr_write(L4_CAP(peer.thread), L4_TCR_WINDOW + 1, L4_CAP_FPAGE(name, 15)), 0);
    for (unsigned s = 32; s < 64; s += 31) {
        EXPECT_EQ(give_map(L4_FPAGE(0xabcde000u, L4_SPACE_CAP, s, L4_W), L4_CAP(ep)), 0);
        expect_mapped(0, L4_CAP_FPAGE(name, L4_W), 1);
        EXPECT_EQ(flush_cap(name) & 15u, 0);
    }
}

CASE(map_whole_memory_space, "F-02", "a flexpage of size 32 selects all of user memory and nothing of the kernel's")
{
    peer_start();
    (void)own_tables();
    EXPECT_EQ(tcr_write(L4_CAP(peer.thread), L4_TCR_WINDOW, L4_FPAGE(ALIAS, L4_SPACE_MEM, 12, 15)), 0);
    EXPECT_EQ(give_map(L4_ALL_MEM, page(3)), 0);
    expect_mapped(0, L4_FPAGE(ALIAS, L4_SPACE_MEM, 12, 15), 1);
    EXPECT_EQ(flush1(L4_FPAGE(ALIAS, L4_SPACE_MEM, 12, 15)) & 15u, 0);
    EXPECT_ERROR(give_map(L4_ALL_MEM, 0xc0000000u), L4_MAP, L4_D_KERNEL_RANGE);
}

CASE(map_smallest_size, "F-03", "size 12 is the form with a space: one name")
{
    uint32_t ep = endpoint_new(), name = cap_new();

    peer_start();
    EXPECT_EQ(give_map(L4_FPAGE(L4_CAP(ep), L4_SPACE_CAP, 12, L4_W), L4_CAP(name)), 0);
    expect_mapped(0, L4_CAP_FPAGE(name, L4_W), 1);
}

CASE(map_unaligned_base, "F-05", "base bits below the size are ignored")
{
    struct l4_words w;

    peer_start();
    for (uint32_t i = 0; i < 4; i++)
        EXPECT_EQ(create(L4_TYPE_ENDPOINT, 0x2e0 + i, 0, 0), 0);
    EXPECT_EQ(give_map(L4_FPAGE(0x2e3000, L4_SPACE_CAP, 14, L4_W), 0x303000), 0);
    expect_mapped(0, L4_FPAGE(0x300000, L4_SPACE_CAP, 14, L4_W), 4);
    EXPECT_EQ(inspect(L4_INSPECT_IDENTITY, 0x2e0, 0x300, &w), 0);
    EXPECT_EQ(w.w[1], 1);
}

CASE(map_dying_source_name_empty, "G41", "a destroyed object cannot be mapped: MAP, EMPTY")
{
    uint32_t ep = endpoint_new();

    peer_start();
    EXPECT_EQ(flush_cap(ep) & 15u, 0);
    EXPECT_ERROR(give_map(L4_CAP_FPAGE(ep, 15), L4_CAP(cap_new())), L4_MAP, L4_D_EMPTY);
}

/* ---- windows ---- */

CASE(window_nil, "F-09", "an empty window accepts nothing of its space, and the others do")
{
    uint32_t ep = endpoint_new();

    peer_start();
    EXPECT_EQ(tcr_write(L4_CAP(peer.thread), L4_TCR_WINDOW, 0), 0);
    EXPECT_ERROR(give_map(L4_FPAGE(page(3), L4_SPACE_MEM, 12, L4_R), 0x400000), L4_MAP, L4_D_NO_WINDOW);
    EXPECT_EQ(give_map(L4_CAP_FPAGE(ep, L4_W), L4_CAP(cap_new())), 0);
}

CASE(window_in_kernel_range, "F-09", "a window above 3 GB accepts no memory")
{
    peer_start();
    EXPECT_EQ(tcr_write(L4_CAP(peer.thread), L4_TCR_WINDOW, L4_FPAGE(0xc0000000u, L4_SPACE_MEM, 30, 15)), 0);
    EXPECT_EQ(L4_ERR_BASE(give_map(L4_FPAGE(page(3), L4_SPACE_MEM, 12, L4_R), 0xc0100000u)), L4_MAP);
}

CASE(window_over_own_mappings, "F-09", "a window over existing mappings loses none of them")
{
    peer_start();
    EXPECT_EQ(tcr_write(L4_CAP(peer.thread), L4_TCR_WINDOW, L4_FPAGE(0x400000, L4_SPACE_MEM, 22, 15)), 0);
    EXPECT_ERROR(give_map(L4_FPAGE(ram_block(0), L4_SPACE_MEM, 12, L4_R), page(3)), L4_MAP, L4_D_OCCUPIED);
}

CASE(window_mask_memory, "G12", "the window's rights mask memory, too")
{
    peer_start();
    (void)own_tables();
    EXPECT_EQ(tcr_write(L4_CAP(peer.thread), L4_TCR_WINDOW, L4_FPAGE(0, L4_SPACE_MEM, 32, L4_R)), 0);
    EXPECT_EQ(give_map(L4_FPAGE(page(3), L4_SPACE_MEM, 12, 15), ALIAS), 0);
    expect_mapped(0, L4_FPAGE(ALIAS, L4_SPACE_MEM, 12, L4_R), 1);
}

CASE(window_mask_ranges, "G12", "the window's rights mask every name of a range: capabilities, pages, ports")
{
    peer_start_in_task();
    for (uint32_t i = 0; i < 4; i++)
        EXPECT_EQ(create(L4_TYPE_ENDPOINT, 0x2e0 + i, 0, 0), 0);
    for (uint32_t rights = 1; rights < 16; rights++) {
        EXPECT_EQ(tcr_write(L4_CAP(peer.thread), L4_TCR_WINDOW + 1, (L4_ALL_CAP & ~15u) | rights), 0);
        EXPECT_EQ(give_map(L4_FPAGE(0x2e0000, L4_SPACE_CAP, 14, 15), 0x300000), 0);
        expect_mapped(0, L4_FPAGE(0x300000, L4_SPACE_CAP, 14, rights), 4);
        EXPECT_EQ(unmap1(L4_FPAGE(0x2e0000, L4_SPACE_CAP, 14, 15)) & 15u, 0);
    }
    EXPECT_EQ(tcr_write(L4_CAP(peer.thread), L4_TCR_WINDOW, L4_FPAGE(0, L4_SPACE_MEM, 32, L4_R)), 0);
    EXPECT_EQ(give_map(L4_FPAGE(ram_block(0), L4_SPACE_MEM, 22, 15), CHILD), 0);
    expect_mapped(0, L4_FPAGE(CHILD, L4_SPACE_MEM, 22, L4_R), 1024);
    EXPECT_EQ(tcr_write(L4_CAP(peer.thread), L4_TCR_WINDOW + 2, (L4_ALL_IO & ~15u) | L4_W), 0);
    EXPECT_EQ(give_map(L4_FPAGE(0x70u << 12, L4_SPACE_IO, 13, 6), 0), 0);
    expect_mapped(0, L4_FPAGE(0x70u << 12, L4_SPACE_IO, 13, L4_W), 2);
}

CASE(window_without_receive_phase, "G12", "a window matters only while the thread receives items: RT = 0 takes none")
{
    uint32_t ep = endpoint_new();

    peer_start();
    peer.rt = 0;
    (void)give_map(0, 0); /* this receive was still with RT = 3 */
    EXPECT_ERROR(give_map(L4_CAP_FPAGE(ep, L4_W), L4_CAP(cap_new())), L4_MAP, L4_D_TRUNC_ITEM);
    EXPECT_EQ(peer.w0, 0);
}
