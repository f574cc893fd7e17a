// SPDX-License-Identifier: MIT
/* unmap, flush, reference bits, convert and what it does to others.  [M 2.1.1] [M 2.5] [M 3.2.3] [G25] - [G27] */
#include "tests/guest/kit.h"

#define ALIAS 0x80000000u
#define CHILD 0x10000000u

/*
 * What a child loses must not lie in the image: that is one 4 MB mapping there, which would go as a whole.
 */

static volatile uint32_t child_address, child_saw, child_runs;

static void child_touches(void)
{
    for (;;) {
        child_saw = *word_at(child_address);
        child_runs++;
        yield_to_others();
    }
}

/* A child that reads *child_address for ever, whose faults v serves. */
static void reader_start(struct victim *v, uint32_t address)
{
    child_address = address;
    child_saw = child_runs = 0;
    victim_start_in_task(v, child_touches);
}

/* Answer the fault with a page table and the page. */
static void answer_with_page(const struct victim *v, uint32_t fpage, uint32_t address)
{
    struct message msg = { 0 };

    table_item(&msg, 0, KPAGES, L4_SPACE_MEM, address, 22);
    map_item(&msg, 2, fpage, address);
    EXPECT_EQ(victim_answer(v, &msg, 2, 0), 0);
    settle();
}

/* ---- rights down a tree ---- */

static uint32_t rights_at(uint32_t name)
{
    /* what a further mapping of all of it would get */
    uint32_t to = 0x3d0;

    if (give_map(L4_CAP_FPAGE(name, 15), L4_CAP(to)) & 15u)
        return 0;
    (void)flush_cap(to);
    return peer.msg.m[0] & 15u;
}

CASE(unmap_one_right_down_a_tree, "M 3.2.3 M-11", "each right is taken from every descendant, and only that right")
{
    uint32_t ep, a, b, c;

    peer_start();
    ep = endpoint_new();
    a = alias_cap(ep, 15);
    b = alias_cap(a, L4_R | L4_W);
    c = alias_cap(b, L4_R | L4_W);
    EXPECT_EQ(unmap1(L4_CAP_FPAGE(ep, L4_W)) & 15u, 0);
    EXPECT_EQ(rights_at(ep), 15);
    EXPECT_EQ(rights_at(a), L4_R | L4_X | L4_T);
    EXPECT_EQ(rights_at(b), L4_R);
    EXPECT_EQ(rights_at(c), L4_R);
    EXPECT_EQ(unmap1(L4_CAP_FPAGE(a, L4_R)) & 15u, 0);
    EXPECT_EQ(rights_at(a), L4_R | L4_X | L4_T);
    EXPECT_EQ(rights_at(b), 0);
    EXPECT_EQ(rights_at(c), 0);
    EXPECT_ERROR(send0(c, L4_TS_ZERO), L4_CAP, L4_D_EMPTY);
}

CASE(unmap_every_right_set, "M-11", "for each of the 16 sets of rights taken, exactly the rest is left in child and grandchild")
{
    uint32_t ep, a, b;

    peer_start();
    ep = endpoint_new();
    for (uint32_t mask = 0; mask < 16; mask++) {
        a = 0x380;
        b = 0x381;
        EXPECT_EQ(give_map(L4_CAP_FPAGE(ep, 15), L4_CAP(a)), 0);
        EXPECT_EQ(give_map(L4_CAP_FPAGE(a, 7), L4_CAP(b)), 0);
        EXPECT_EQ(unmap1(L4_CAP_FPAGE(ep, mask)) & 15u, 0);
        EXPECT_EQ(rights_at(a), 15 & ~mask);
        EXPECT_EQ(rights_at(b), 7 & ~mask);
        (void)flush_cap(a);
    }
}

CASE(flush_own_right, "M 3.2.3", "flush takes the right from oneself and everything below, and nothing above")
{
    uint32_t ep, a, b;

    peer_start();
    ep = endpoint_new();
    a = alias_cap(ep, 15);
    b = alias_cap(a, 15);
    EXPECT_EQ(flush1(L4_CAP_FPAGE(a, L4_W)) & 15u, 0);
    EXPECT_EQ(rights_at(ep), 15);
    EXPECT_EQ(rights_at(a), 15 & ~L4_W);
    EXPECT_EQ(rights_at(b), 15 & ~L4_W);
}

CASE(flush_last_right_twice, "M-12", "flushing the creator's last rights destroys the object once; again is a no-op")
{
    uint32_t ep = endpoint_new(), before[4], after[4];

    EXPECT_EQ(flush1(L4_CAP_FPAGE(ep, L4_R | L4_W)) & 15u, 0);
    kernel_state(before);
    EXPECT_EQ(flush1(L4_CAP_FPAGE(ep, L4_T | L4_X)) & 15u, 0);
    kernel_state(after);
    EXPECT_EQ(after[3], before[3] - 1);
    EXPECT_EQ(flush_cap(ep) & 15u, 0);
    kernel_state(after);
    EXPECT_EQ(after[3], before[3] - 1);
}

CASE(flush_derived_keeps_object, "M 2.5.1", "flushing a derived capability, even the last right, does not destroy the object")
{
    uint32_t ep, a;

    peer_start();
    ep = endpoint_new();
    a = alias_cap(ep, 15);
    EXPECT_EQ(flush_cap(a) & 15u, 0);
    EXPECT_EQ(L4_ERR_BASE(send0(ep, L4_TS_ZERO)), L4_SND_TIMEOUT);
    EXPECT_ERROR(send0(a, L4_TS_ZERO), L4_CAP, L4_D_EMPTY);
}

CASE(unmap_siblings_apart, "M 2.1.1", "unmapping below one name leaves its sibling alone")
{
    uint32_t ep, a, b, c;

    peer_start();
    ep = endpoint_new();
    a = alias_cap(ep, 15);
    b = alias_cap(ep, 15);
    c = alias_cap(a, 15);
    EXPECT_EQ(unmap1(L4_CAP_FPAGE(a, 15)) & 15u, 0);
    EXPECT_EQ(rights_at(c), 0);
    EXPECT_EQ(rights_at(b), 15);
    EXPECT_EQ(rights_at(a), 15);
}

CASE(unmap_other_task, "M 2.1.1", "a right is taken from the task that received it, while it uses it")
{
    struct message msg = { 0 };
    struct victim v;

    reader_start(&v, CHILD);
    EXPECT_EQ(victim_message(&v, &msg), 4u << 4);
    *word_at(ram_block(0)) = 0x3333;
    answer_with_page(&v, L4_FPAGE(ram_block(0), L4_SPACE_MEM, 12, L4_R), CHILD);
    EXPECT_EQ(child_saw, 0x3333);
    EXPECT_EQ(unmap1(L4_FPAGE(ram_block(0), L4_SPACE_MEM, 12, 15)) & 15u, 0);
    settle();
    EXPECT_EQ(victim_message(&v, &msg), 4u << 4);
    EXPECT_EQ(msg.m[0], L4_FAULT_M0(L4_OP_READ, 15, L4_D_EMPTY, L4_TYPE_MEMORY, L4_R));
    EXPECT_EQ(msg.m[1], CHILD);
}

static void writes_for_ever(void)
{
    for (;;) {
        *word_at(child_address) = ++child_runs;
        if (child_runs % 64 == 0)
            yield_to_others();
    }
}

CASE(unmap_write_right_only, "M-16", "a task that writes in a loop faults at once when w is taken, and can still read")
{
    struct message msg = { 0 };
    struct victim v;
    uint32_t at;

    child_address = CHILD;
    child_runs = 0;
    victim_start_in_task(&v, writes_for_ever);
    EXPECT_EQ(victim_message(&v, &msg), 4u << 4);
    answer_with_page(&v, L4_FPAGE(ram_block(0), L4_SPACE_MEM, 12, L4_R | L4_W), CHILD);
    EXPECT(child_runs > 10);
    EXPECT_EQ(unmap1(L4_FPAGE(ram_block(0), L4_SPACE_MEM, 12, L4_W)) & 15u, 0);
    at = *word_at(ram_block(0));
    settle();
    EXPECT_EQ(victim_message(&v, &msg), 4u << 4);
    EXPECT_EQ(msg.m[0], L4_FAULT_M0(L4_OP_WRITE, 15, L4_D_RIGHTS, L4_TYPE_MEMORY, L4_R | L4_W));
    EXPECT_EQ(*word_at(ram_block(0)), at);
    victim_jump(&v, child_touches);
    settle();
    EXPECT_EQ(child_saw, at);
}

static void own_stack_gone(void)
{
    (void)flush1(L4_FPAGE(ALIAS, L4_SPACE_MEM, 12, 15));
    child_saw = 1; /* no stack needed for this */
    for (;;)
        ;
}

CASE(unmap_own_stack, "S11 M-16", "a thread that flushes its own stack faults at its next use of it, not in the kernel")
{
    struct message msg = { 0 };
    struct victim v;
    uint32_t kp;

    peer_start();
    kp = kpage_new(32, 13);
    EXPECT_EQ(tcr_write(L4_CAP(peer.thread), L4_TCR_RCVRES, L4_CAP_FPAGE(kp, L4_W)), 0);
    EXPECT_EQ(give_map(L4_FPAGE(page(3), L4_SPACE_MEM, 12, L4_R | L4_W), ALIAS), 0);
    victim_start(&v, thread_stop);
    settle();
    child_saw = 0;
    victim_jump(&v, own_stack_gone);
    EXPECT_EQ(exregs(L4_XR_SET_SP, L4_CAP(v.thread), 0, ALIAS + 4080, 0, 0, NULL) & 15u, 0);
    EXPECT_EQ(victim_message(&v, &msg), 4u << 4);
    EXPECT_EQ(msg.m[1] & 0xfffff000u, ALIAS);
    EXPECT_EQ(child_saw, 0);
}

CASE(unmap_part_of_super_page, "M-17 G26", "taking 4 KB from a 4 MB mapping takes the whole mapping")
{
    struct message msg = { 0 };
    struct victim v;
    uint32_t block = ram_block(0);

    reader_start(&v, CHILD + 0x123000);
    EXPECT_EQ(victim_message(&v, &msg), 4u << 4);
    map_item(&msg, 0, L4_FPAGE(block, L4_SPACE_MEM, 22, L4_R), CHILD);
    EXPECT_EQ(victim_answer(&v, &msg, 1, 0), 0);
    settle();
    EXPECT(child_runs > 0);
    EXPECT_EQ(unmap1(L4_FPAGE(block + 0x3ff000, L4_SPACE_MEM, 12, 15)) & 15u, 0);
    settle();
    EXPECT_EQ(victim_message(&v, &msg), 4u << 4);
    EXPECT_EQ(msg.m[1], CHILD + 0x123000);
}

CASE(unmap_part_keeps_other_small_pages, "M-17", "taking 4 KB from below a 4 MB page leaves the small mappings beside it")
{
    struct message msg = { 0 };
    struct victim v;
    uint32_t block = ram_block(0);

    reader_start(&v, CHILD);
    EXPECT_EQ(victim_message(&v, &msg), 4u << 4);
    table_item(&msg, 0, KPAGES, L4_SPACE_MEM, CHILD, 22);
    map_item(&msg, 2, L4_FPAGE(block, L4_SPACE_MEM, 13, L4_R), CHILD);
    EXPECT_EQ(victim_answer(&v, &msg, 2, 0), 0);
    settle();
    EXPECT_EQ(unmap1(L4_FPAGE(block + 0x1000, L4_SPACE_MEM, 12, 15)) & 15u, 0);
    child_runs = 0;
    settle();
    EXPECT(child_runs > 0);
    child_address = CHILD + 0x1000;
    settle();
    EXPECT_EQ(victim_message(&v, &msg), 4u << 4);
    EXPECT_EQ(msg.m[1], CHILD + 0x1000);
}

CASE(unmap_io, "M 3.2.3", "ports are taken back: the next access faults")
{
    static const uint8_t code[] = { 0xe4, 0x71, 0xff, 0x05, 0, 0, 0, 0, 0xcd, 0x03 }; /* in al, 0x71; inc [..]; int 3 */
    struct message msg = { 0 };
    struct victim v;
    uint8_t *at = (uint8_t *)(uintptr_t)page(CODE_PAGE);
    uint32_t address = (uint32_t)(uintptr_t)&child_runs;

    child_runs = 0;
    victim_code(code, sizeof code);
    memcpy(at + 4, &address, 4);
    victim_start_in_task(&v, regs_then_target);
    EXPECT_EQ(victim_message(&v, &msg), 4u << 4);
    map_item(&msg, 0, L4_FPAGE(0x70u << 12, L4_SPACE_IO, 13, L4_R | L4_W), 0);
    EXPECT_EQ(victim_answer(&v, &msg, 1, 0), 0);
    EXPECT_EQ(victim_message(&v, &msg), 13u << 4); /* int 3 */
    EXPECT_EQ(child_runs, 1);
    EXPECT_EQ(unmap1(L4_FPAGE(0x71u << 12, L4_SPACE_IO, 12, L4_W)) & 15u, 0);
    victim_jump(&v, regs_then_target);
    EXPECT_EQ(victim_message(&v, &msg), 4u << 4);
    EXPECT_EQ(msg.m[0], L4_FAULT_M0(L4_OP_IO, 15, L4_D_RIGHTS, L4_TYPE_IOPORT, L4_R | L4_W));
    EXPECT_EQ(child_runs, 1);
}

CASE(unmap_base_unaligned, "F-05", "base bits below the size are ignored in unmap, too")
{
    uint32_t ep, a;

    peer_start();
    ep = endpoint_new();
    a = alias_cap(ep, 15);
    EXPECT_EQ(unmap1(L4_FPAGE(L4_CAP(ep) | 0x3000, L4_SPACE_CAP, 14, L4_W)) & 15u, 0);
    EXPECT_EQ(rights_at(a), 15 & ~L4_W);
}

CASE(unmap_sizes_33_to_63, "F-01", "sizes 33 to 63 are the whole space; below 12 is BAD_FLEXPAGE, and nothing is taken")
{
    uint32_t ep, a;

    peer_start();
    ep = endpoint_new();
    a = alias_cap(ep, 15);
    for (uint32_t s = 1; s < 12; s++)
        EXPECT_ERROR(unmap1(s << 4 | 15u), L4_PARAM, L4_D_BAD_FLEXPAGE);
    EXPECT_EQ(rights_at(a), 15);
    for (uint32_t s = 33; s < 64; s++)
        EXPECT_EQ(unmap1(L4_FPAGE(0x7ffff000u, L4_SPACE_CAP, s, 0)) & 15u, 0);
    EXPECT_EQ(unmap1(L4_FPAGE(0x7ffff000u, L4_SPACE_CAP, 63, L4_W)) & 15u, 0);
    EXPECT_EQ(rights_at(a), 15 & ~L4_W);
}

CASE(unmap_kernel_range, "M-14 F-06", "unmapping and flushing kernel addresses does nothing")
{
    EXPECT_EQ(flush1(L4_FPAGE(0xc0000000u, L4_SPACE_MEM, 30, 15)) & 15u, 0);
    EXPECT_EQ(flush1(L4_FPAGE(0xc0100000u, L4_SPACE_MEM, 12, 15)) & 15u, 0);
    EXPECT_EQ(flush1(L4_FPAGE(0xfffff000u, L4_SPACE_MEM, 12, 15)) & 15u, 0);
    EXPECT_EQ(flush1(L4_FPAGE(0x00100000u, L4_SPACE_MEM, 12, 15)) & 15u, 0); /* where the kernel's image is */
}

CASE(unmap_hardware_objects, "G26 M-14", "the root of interrupt threads and of the processor is the kernel's: they can be lost, not destroyed")
{
    uint32_t before[4], after[4], spare;

    peer_start();
    spare = alias_cap(L4_S0_IRQ + 7, 15);
    kernel_state(before);
    EXPECT_EQ(unmap1(L4_CAP_FPAGE(L4_S0_IRQ + 7, 15)) & 15u, 0);
    kernel_state(after);
    EXPECT_EQ(after[3], before[3]);
    EXPECT_ERROR(exregs(0, L4_CAP(spare), 0, 0, 0, 0, NULL), L4_CAP, L4_D_EMPTY);
    EXPECT_EQ(exregs(0, L4_CAP(L4_S0_IRQ + 7), 0, 0, 0, 0, NULL) & 15u, 0);
}

CASE(unmap_result_words, "M 3.2.3 F-11", "result words of capability and nil flexpages are 0, also at names without a table")
{
    struct l4_words w;

    w.w[0] = 6u << 12 | L4_SYS_UNMAP;
    w.w[1] = L4_CAP_FPAGE(0, 0);
    w.w[2] = L4_CAP_FPAGE(0xffffeu, 15);
    w.w[3] = 0;
    w.w[4] = L4_CAP_FPAGE(L4_CAP_MAX, 15);
    w.w[5] = L4_FPAGE(0xff0u << 12, L4_SPACE_IO, 12, 0);
    w.w[6] = L4_CAP_FPAGE(0x80000, 15);
    EXPECT_EQ(guest_call(&w), 6u << 12);
    for (unsigned i = 1; i <= 6; i++)
        EXPECT_EQ(w.w[i], 0);
}

CASE(unmap_all_or_none, "G26", "one bad flexpage in the list and none is unmapped; the index tells which")
{
    struct l4_words w;
    uint32_t ep, a, w0;

    peer_start();
    ep = endpoint_new();
    a = alias_cap(ep, 15);
    for (unsigned i = 0; i < 20; i++)
        w.w[1 + i] = L4_CAP_FPAGE(ep, 15);
    w.w[0] = 20u << 4 | L4_SYS_UNMAP;
    w.w[9] = L4_FPAGE(0, 3, 12, 15);
    w0 = guest_call(&w);
    EXPECT_ERROR(w0, L4_PARAM, L4_D_BAD_FLEXPAGE);
    EXPECT_EQ(L4_ERR_INDEX(w0), 9);
    EXPECT_EQ(rights_at(a), 15);
}

CASE(unmap_full_list, "M-01", "255 flexpages are done; more are refused")
{
    static uint32_t list[260];
    uint32_t w0 = 255u << 4 | L4_SYS_UNMAP, ep, a;

    peer_start();
    ep = endpoint_new();
    a = alias_cap(ep, 15);
    for (unsigned i = 0; i < 260; i++)
        list[i] = L4_CAP_FPAGE(0xabc, 15);
    list[250] = L4_CAP_FPAGE(ep, L4_T); /* flexpage number 254, the last */
    EXPECT_EQ(call_at(w0, 0, (uint32_t)(uintptr_t)list), 255u << 4);
    EXPECT_EQ(rights_at(a), 15 & ~L4_T);
    EXPECT_ERROR(call_at(w0 | 1u << 12, 0, (uint32_t)(uintptr_t)list), L4_PARAM, L4_D_BAD_COUNT);
}

CASE(pages_back_and_forth, "M-13", "a page mapped from one to another and back 1000 times, each level paid, goes at once")
{
    uint32_t kp = kpage_of_ram(1, 17);
    struct message msg = { 0 };

    peer_start();
    EXPECT_EQ(tcr_write(L4_CAP(peer.thread), L4_TCR_RCVRES, L4_CAP_FPAGE(kp, L4_W)), 0);
    EXPECT_EQ(tcr_write(NO_CAP, L4_TCR_SNDRES, L4_CAP_FPAGE(kp, L4_W)), 0);
    map_item(&msg, 0, L4_FPAGE(page(3), L4_SPACE_MEM, 12, L4_R), ALIAS);
    EXPECT_EQ(give(&msg, 1, 0), 0);
    for (uint32_t i = 1; i < 1000; i++) {
        map_item(&msg, 0, L4_FPAGE(ALIAS + (i - 1) * 4096, L4_SPACE_MEM, 12, L4_R), ALIAS + i * 4096);
        EXPECT_EQ(ipc(L4_CAP(peer.ep), 1, 0, NO_CAP, 0, 0, L4_TS_NEVER, &msg), 0);
    }
    settle();
    *word_at(page(3)) = 0x99;
    EXPECT_EQ(*word_at(ALIAS + 999 * 4096), 0x99);
    EXPECT_EQ(unmap1(L4_FPAGE(page(3), L4_SPACE_MEM, 12, 15)) & 15u, 0);
    *word_at(page(3)) = 0;
}

/* ---- reference bits ---- */

static uint32_t references(uint32_t fpage, bool flush)
{
    struct l4_words w;

    EXPECT_EQ(call5((flush ? 1u << 12 : 1u << 4) | L4_SYS_UNMAP, fpage & ~15u, 0, 0, 0, &w) & 15u, 0);
    return w.w[1];
}

CASE(references_of_derived, "M 3.2.3", "unmap tells what the receivers did, not what oneself did")
{
    struct message msg = { 0 };
    struct victim v;
    uint32_t fp = L4_FPAGE(ram_block(0), L4_SPACE_MEM, 12, 0);

    reader_start(&v, CHILD);
    EXPECT_EQ(victim_message(&v, &msg), 4u << 4);
    answer_with_page(&v, fp | L4_R | L4_W, CHILD);
    (void)references(fp, true);
    *word_at(ram_block(0)) = 1;
    EXPECT_EQ(exregs(L4_XR_HALT_GIVEN | L4_XR_HALT, L4_CAP(v.thread), 0, 0, 0, 0, NULL) & 15u, 0);
    (void)references(fp, false);
    EXPECT_EQ(references(fp, false), 0);
    EXPECT_EQ(exregs(L4_XR_HALT_GIVEN, L4_CAP(v.thread), 0, 0, 0, 0, NULL) & 15u, 0);
    settle();
    EXPECT_EQ(references(fp, false), L4_R | L4_X);
    EXPECT_EQ(exregs(L4_XR_HALT_GIVEN | L4_XR_HALT, L4_CAP(v.thread), 0, 0, 0, 0, NULL) & 15u, 0);
    settle();
    (void)references(fp, false);
    EXPECT_EQ(references(fp, false), 0); /* reset by reading */
}

CASE(references_of_writer, "M 3.2.3", "a write by a receiver is seen as w")
{
    struct message msg = { 0 };
    struct victim v;
    uint32_t fp = L4_FPAGE(ram_block(0), L4_SPACE_MEM, 12, 0);

    child_address = CHILD;
    victim_start_in_task(&v, writes_for_ever);
    EXPECT_EQ(victim_message(&v, &msg), 4u << 4);
    answer_with_page(&v, fp | L4_R | L4_W, CHILD);
    EXPECT_EQ(references(fp, false), L4_R | L4_W | L4_X);
}

CASE(references_survive_unmap, "G27", "the bits of a mapping that is gone are not lost: the revocation itself reports them")
{
    struct message msg = { 0 };
    struct victim v;
    struct l4_words w;
    uint32_t fp = L4_FPAGE(ram_block(0), L4_SPACE_MEM, 12, 0);

    child_address = CHILD;
    victim_start_in_task(&v, writes_for_ever);
    EXPECT_EQ(victim_message(&v, &msg), 4u << 4);
    answer_with_page(&v, fp | L4_R | L4_W, CHILD);
    EXPECT_EQ(call5(1u << 4 | L4_SYS_UNMAP, fp | 15u, 0, 0, 0, &w) & 15u, 0);
    EXPECT_EQ(w.w[1], L4_R | L4_W | L4_X);
    EXPECT_EQ(references(fp, false), 0);
}

CASE(references_survive_task, "G27", "the bits of a destroyed task's mappings stay with the mapper")
{
    struct message msg = { 0 };
    struct victim v;
    uint32_t fp = L4_FPAGE(ram_block(0), L4_SPACE_MEM, 12, 0);

    child_address = CHILD;
    victim_start_in_task(&v, writes_for_ever);
    EXPECT_EQ(victim_message(&v, &msg), 4u << 4);
    answer_with_page(&v, fp | L4_R | L4_W, CHILD);
    EXPECT_EQ(flush_cap(v.task) & 15u, 0);
    EXPECT_EQ(references(fp, false), L4_R | L4_W | L4_X);
}

CASE(references_polled, "M-15", "no access is lost between two readings: the sum of what is reported has each write")
{
    struct message msg = { 0 };
    struct victim v;
    uint32_t fp = L4_FPAGE(ram_block(0), L4_SPACE_MEM, 12, 0), had, silent = 0;

    child_address = CHILD;
    child_runs = 0;
    victim_start_in_task(&v, writes_for_ever);
    EXPECT_EQ(victim_message(&v, &msg), 4u << 4);
    answer_with_page(&v, fp | L4_R | L4_W, CHILD);
    for (unsigned i = 0; i < 50; i++) {
        had = child_runs;
        (void)references(fp, false);
        yield_to_others();
        if (child_runs != had && !(references(fp, false) & L4_W))
            silent++;
    }
    EXPECT_EQ(silent, 0);
}

CASE(references_of_region, "M 3.2.3", "a flexpage of several pages gives the OR of all")
{
    (void)references(L4_FPAGE(page(16), L4_SPACE_MEM, 14, 0), true);
    *word_at(page(18)) = 1;
    EXPECT_EQ(references(L4_FPAGE(page(16), L4_SPACE_MEM, 14, 0), true) & (L4_R | L4_W), L4_R | L4_W);
}

/* ---- convert ---- */

CASE(convert_suspends_other_task, "M 2.5", "converting a page suspends access in every task: CONVERTED; releasing it resumes")
{
    struct message msg = { 0 };
    struct victim v;
    uint32_t block = ram_block(0), kp;

    *word_at(block) = 0x5555;
    reader_start(&v, CHILD);
    EXPECT_EQ(victim_message(&v, &msg), 4u << 4);
    answer_with_page(&v, L4_FPAGE(block, L4_SPACE_MEM, 12, L4_R), CHILD);
    EXPECT_EQ(child_saw, 0x5555);
    kp = cap_new();
    EXPECT_EQ(create(L4_TYPE_KPAGE, kp, L4_FPAGE(block, L4_SPACE_MEM, 12, L4_T), 0), 0);
    settle();
    EXPECT_EQ(victim_message(&v, &msg), 4u << 4);
    EXPECT_EQ(msg.m[0], L4_FAULT_M0(L4_OP_READ, 15, L4_D_CONVERTED, L4_TYPE_MEMORY, L4_R));
    EXPECT_EQ(flush_cap(kp) & 15u, 0);
    EXPECT_EQ(victim_answer(&v, &msg, 0, 0), 0);
    child_runs = 0;
    settle();
    EXPECT(child_runs > 0);
    EXPECT_EQ(child_saw, 0);
}

CASE(convert_rights_still_mapped, "M 2.5 G15", "rights on a converted page can still be mapped and unmapped; access stays suspended")
{
    struct message msg = { 0 };
    struct victim v;
    uint32_t block = ram_block(0), kp = cap_new();

    EXPECT_EQ(create(L4_TYPE_KPAGE, kp, L4_FPAGE(block, L4_SPACE_MEM, 12, L4_T), 0), 0);
    reader_start(&v, CHILD);
    EXPECT_EQ(victim_message(&v, &msg), 4u << 4);
    answer_with_page(&v, L4_FPAGE(block, L4_SPACE_MEM, 12, L4_R), CHILD);
    EXPECT_EQ(victim_message(&v, &msg), 4u << 4);
    EXPECT_EQ(msg.m[0] >> 8 & 15u, L4_D_CONVERTED);
    EXPECT_EQ(flush_cap(kp) & 15u, 0);
    EXPECT_EQ(victim_answer(&v, &msg, 0, 0), 0);
    settle();
    EXPECT(child_runs > 0);
    EXPECT_EQ(unmap1(L4_FPAGE(block, L4_SPACE_MEM, 12, L4_R)) & 15u, 0);
    settle();
    EXPECT_EQ(victim_message(&v, &msg), 4u << 4);
    EXPECT_EQ(msg.m[0] >> 8 & 15u, L4_D_EMPTY);
}

CASE(convert_by_receiver, "M 2.5", "who receives a page with t may convert it; the mapper who takes t back destroys what is in it")
{
    uint32_t tables, kp = cap_new(), ep = cap_new(), block = ram_block(0);
    struct l4_words w;

    peer_start();
    tables = kpage_new(32, 13);
    EXPECT_EQ(tcr_write(L4_CAP(peer.thread), L4_TCR_RCVRES, L4_CAP_FPAGE(tables, L4_W)), 0);
    EXPECT_EQ(give_map(L4_FPAGE(block, L4_SPACE_MEM, 12, 15), ALIAS), 0);
    EXPECT_EQ(create(L4_TYPE_KPAGE, kp, L4_FPAGE(ALIAS, L4_SPACE_MEM, 12, L4_T), 0), 0);
    EXPECT_EQ(create_in(kp, L4_TYPE_ENDPOINT, ep), 0);
    EXPECT_ERROR(create(L4_TYPE_KPAGE, cap_new(), L4_FPAGE(block, L4_SPACE_MEM, 12, L4_T), 0), L4_CAP, L4_D_CONVERTED);
    /* another right of the same page does not matter */
    EXPECT_EQ(unmap1(L4_FPAGE(block, L4_SPACE_MEM, 12, L4_W)) & 15u, 0);
    EXPECT_EQ(L4_ERR_BASE(send0(ep, L4_TS_ZERO)), L4_SND_TIMEOUT);
    EXPECT_EQ(unmap1(L4_FPAGE(block, L4_SPACE_MEM, 12, L4_T)) & 15u, 0);
    EXPECT_ERROR(send0(ep, L4_TS_ZERO), L4_CAP, L4_D_EMPTY);
    EXPECT_EQ(inspect(L4_INSPECT_IDENTITY, kp, kp, &w), 0);
    EXPECT_EQ(w.w[1], 0);
    EXPECT_EQ(*word_at(block), 0);
}

CASE(convert_needs_t, "M 2.5", "without the convert right: CAP, RIGHTS")
{
    uint32_t tables;

    peer_start();
    tables = kpage_new(32, 13);
    EXPECT_EQ(tcr_write(L4_CAP(peer.thread), L4_TCR_RCVRES, L4_CAP_FPAGE(tables, L4_W)), 0);
    EXPECT_EQ(give_map(L4_FPAGE(page(3), L4_SPACE_MEM, 12, 7), ALIAS), 0);
    EXPECT_ERROR(create(L4_TYPE_KPAGE, cap_new(), L4_FPAGE(ALIAS, L4_SPACE_MEM, 12, L4_T), 0), L4_CAP, L4_D_RIGHTS);
}

CASE(convert_too_large, "G25 K-04", "a region larger than its page, or than 4 MB, is PARAM, NOT_CONVERTIBLE")
{
    uint32_t tables;

    peer_start();
    tables = kpage_new(32, 13);
    EXPECT_EQ(tcr_write(L4_CAP(peer.thread), L4_TCR_RCVRES, L4_CAP_FPAGE(tables, L4_W)), 0);
    EXPECT_EQ(give_map(L4_FPAGE(page(4), L4_SPACE_MEM, 14, 15), ALIAS), 0);
    EXPECT_ERROR(create(L4_TYPE_KPAGE, cap_new(), L4_FPAGE(ALIAS, L4_SPACE_MEM, 13, L4_T), 0), L4_PARAM, L4_D_NOT_CONVERTIBLE);
    EXPECT_ERROR(create(L4_TYPE_KPAGE, cap_new(), L4_FPAGE(ram_block(0), L4_SPACE_MEM, 23, L4_T), 0), L4_PARAM, L4_D_NOT_CONVERTIBLE);
    EXPECT_ERROR(create(L4_TYPE_KPAGE, cap_new(), L4_FPAGE(0xb8000, L4_SPACE_MEM, 12, L4_T), 0), L4_PARAM, L4_D_NOT_CONVERTIBLE);
    EXPECT_ERROR(create(L4_TYPE_KPAGE, cap_new(), L4_CAP_FPAGE(1, 15), 0), L4_PARAM, L4_D_BAD_FLEXPAGE);
    EXPECT_ERROR(create(L4_TYPE_KPAGE, cap_new(), 0, 0), L4_PARAM, L4_D_BAD_FLEXPAGE);
    EXPECT_ERROR(create(L4_TYPE_KPAGE, cap_new(), L4_FPAGE(0xc0000000u, L4_SPACE_MEM, 12, L4_T), 0), L4_PARAM, L4_D_KERNEL_RANGE);
}

CASE(convert_whole_4mb, "G25", "a whole 4 MB page becomes one kernel page and comes back all zero")
{
    uint32_t kp = cap_new(), block = ram_block(0), sum = 0;

    for (uint32_t i = 0; i < 0x400000u; i += 4096)
        *word_at(block + i) = i | 1u;
    EXPECT_EQ(create(L4_TYPE_KPAGE, kp, L4_FPAGE(block, L4_SPACE_MEM, 22, L4_T), 0), 0);
    EXPECT_EQ(create_in(kp, L4_TYPE_TASK, cap_new()), 0);
    EXPECT_EQ(flush_cap(kp) & 15u, 0);
    for (uint32_t i = 0; i < 0x400000u; i += 4096)
        sum |= *word_at(block + i);
    EXPECT_EQ(sum, 0);
}

static void converts_own_stack(void)
{
    uint32_t sp;

    __asm__ volatile("mov %%esp, %0" : "=r"(sp));
    (void)create(L4_TYPE_KPAGE, 0x3c1, L4_FPAGE(sp & 0xfffff000u, L4_SPACE_MEM, 12, L4_T), 0);
    child_saw = 0xbad;
}

CASE(convert_own_stack, "K-03", "a thread that converts its own stack faults with CONVERTED when it touches it")
{
    struct message msg = { 0 };
    struct victim v;

    child_saw = 0;
    victim_start(&v, thread_stop);
    settle();
    victim_jump(&v, converts_own_stack);
    EXPECT_EQ(exregs(L4_XR_SET_SP, L4_CAP(v.thread), 0, page(24) + 4080, 0, 0, NULL) & 15u, 0);
    EXPECT_EQ(victim_message(&v, &msg), 4u << 4);
    EXPECT_EQ(msg.m[0] >> 8 & 15u, L4_D_CONVERTED);
    EXPECT_EQ(msg.m[1] & 0xfffff000u, page(24));
    EXPECT_EQ(child_saw, 0);
}

static void reads_converted_parameters(void)
{
    (void)call_at(L4_CAP(L4_S0_RESERVATION) | L4_SCHED_READ | L4_SYS_SCHEDULE, NO_CAP, page(25));
    child_saw = 0xbad;
}

CASE(convert_parameter_page, "K-03", "parameter words in a converted page are a fault of the caller with CONVERTED")
{
    struct message msg = { 0 };
    struct victim v;
    uint32_t kp = cap_new();

    child_saw = 0;
    EXPECT_EQ(create(L4_TYPE_KPAGE, kp, L4_FPAGE(page(25), L4_SPACE_MEM, 12, L4_T), 0), 0);
    victim_start(&v, reads_converted_parameters);
    EXPECT_EQ(victim_message(&v, &msg), 4u << 4);
    EXPECT_EQ(msg.m[0] >> 8 & 15u, L4_D_CONVERTED);
    EXPECT_EQ(msg.m[1], page(25));
}

CASE(convert_cascade, "M 2.5 M-10", "releasing a page destroys 500 objects in it, and their mappings elsewhere")
{
    struct message msg = { 0 };
    uint32_t kp = kpage_of_ram(0, 16), kp2 = kpage_of_ram(1, 17), first = 0x10000, before[4], after[4];

    peer_start();
    EXPECT_EQ(tcr_write(L4_CAP(peer.thread), L4_TCR_RCVRES, L4_CAP_FPAGE(kp2, L4_W)), 0);
    EXPECT_EQ(tcr_write(NO_CAP, L4_TCR_SNDRES, L4_CAP_FPAGE(kp2, L4_W)), 0);
    kernel_state(before);
    for (uint32_t i = 0; i < 500; i++)
        EXPECT_EQ(call5(L4_CAP(first + i) | L4_TYPE_ENDPOINT << 4 | L4_SYS_CREATE, L4_CAP_FPAGE(kp, L4_W),
                        L4_CAP_FPAGE(kp2, L4_W), 0, 0, NULL), 0);
    map_item(&msg, 0, L4_FPAGE(L4_CAP(first), L4_SPACE_CAP, 12 + 9, L4_W), L4_CAP(0x20000));
    EXPECT_EQ(give(&msg, 1, 0), 0);
    EXPECT_EQ(peer.msg.m[1] >> 12, 500);
    EXPECT_EQ(flush_cap(kp) & 15u, 0);
    kernel_state(after);
    EXPECT_EQ(after[0], 0);
    EXPECT_EQ(after[3], before[3] - 1);
    for (uint32_t i = 0; i < 500; i += 99) {
        EXPECT_ERROR(send0(first + i, L4_TS_ZERO), L4_CAP, L4_D_EMPTY);
        EXPECT_ERROR(send0(0x20000 + i, L4_TS_ZERO), L4_CAP, L4_D_EMPTY);
    }
}

CASE(convert_nested, "M 2.5", "a kernel page whose descriptor lies in another one dies with it")
{
    uint32_t outer = kpage_new(8, 12), inner = cap_new(), ep = cap_new();

    *word_at(page(9)) = 0x77;
    EXPECT_EQ(call5(L4_CAP(inner) | L4_TYPE_KPAGE << 4 | L4_SYS_CREATE, L4_CAP_FPAGE(outer, L4_W), KPAGES,
                    L4_FPAGE(page(9), L4_SPACE_MEM, 12, L4_T), 0, NULL), 0);
    EXPECT_EQ(create_in(inner, L4_TYPE_ENDPOINT, ep), 0);
    EXPECT_EQ(flush_cap(outer) & 15u, 0);
    EXPECT_ERROR(send0(ep, L4_TS_ZERO), L4_CAP, L4_D_EMPTY);
    EXPECT_EQ(*word_at(page(9)), 0);
}

CASE(convert_cycle, "M-09", "nodes of page A in page B and of B in A: both can be released, in either order")
{
    struct message msg = { 0 };

    peer_start_in_task();
    for (unsigned order = 0; order < 2; order++) {
        uint32_t a = cap_new(), b = cap_new(), block = ram_block(0);

        EXPECT_EQ(create(L4_TYPE_KPAGE, a, L4_FPAGE(block, L4_SPACE_MEM, 12, L4_T), 0), 0);
        EXPECT_EQ(create(L4_TYPE_KPAGE, b, L4_FPAGE(block + 0x1000, L4_SPACE_MEM, 12, L4_T), 0), 0);
        table_item(&msg, 0, KPAGES, L4_SPACE_MEM, CHILD, 22);
        EXPECT_EQ(give(&msg, 1, 0), 0);
        resource_item(&msg, 0, L4_CAP_FPAGE(a, L4_W));
        map_item(&msg, 2, L4_FPAGE(block + 0x1000, L4_SPACE_MEM, 12, 15), CHILD + 0x1000);
        EXPECT_EQ(give(&msg, 2, 0), 0);
        resource_item(&msg, 0, L4_CAP_FPAGE(b, L4_W));
        map_item(&msg, 2, L4_FPAGE(block, L4_SPACE_MEM, 12, 15), CHILD);
        EXPECT_EQ(give(&msg, 2, 0), 0);
        EXPECT_EQ(flush_cap(order ? a : b) & 15u, 0);
        EXPECT_EQ(flush_cap(order ? b : a) & 15u, 0);
    }
}

CASE(convert_part_of_4mb, "K-04 G52", "converting 4 KB of a 4 MB page suspends just these: the rest is seen through small entries")
{
    uint32_t block = ram_block(0), kp = cap_new(), view;

    *word_at(block + 0x1000) = 0x11;
    view = kpage_new(32, 13);
    EXPECT_EQ(tcr_write(NO_CAP, L4_TCR_RCVRES, L4_CAP_FPAGE(view, L4_W)), 0);
    EXPECT_EQ(create(L4_TYPE_KPAGE, kp, L4_FPAGE(block, L4_SPACE_MEM, 12, L4_T), 0), 0);
    EXPECT_EQ(*word_at(block + 0x1000), 0x11);
    *word_at(block + 0x1000) = 0;
    EXPECT_EQ(flush_cap(kp) & 15u, 0);
    EXPECT_EQ(*word_at(block), 0);
}

static void reads_block(void)
{
    child_saw = *word_at(child_address);
    child_runs++;
}

CASE(convert_view_missing, "G52", "without memory for small entries the fault says so: op 70, NO_PAGETABLE; a TABRES reply resolves it")
{
    struct message msg = { 0 };
    struct victim v;
    uint32_t block = ram_block(0), kp = cap_new();

    *word_at(block + 0x2000) = 0x22;
    child_address = CHILD + 0x2000;
    child_runs = 0;
    victim_start_in_task(&v, reads_block);
    EXPECT_EQ(victim_message(&v, &msg), 4u << 4);
    map_item(&msg, 0, L4_FPAGE(block, L4_SPACE_MEM, 22, L4_R), CHILD);
    EXPECT_EQ(create(L4_TYPE_KPAGE, kp, L4_FPAGE(block, L4_SPACE_MEM, 12, L4_T), 0), 0);
    EXPECT_EQ(victim_answer(&v, &msg, 1, 0), 0);
    EXPECT_EQ(victim_message(&v, &msg), 4u << 4);
    EXPECT_EQ(msg.m[0], L4_FAULT_M0(L4_OP_PAGETABLE, 15, L4_D_NO_PAGETABLE, L4_TYPE_MEMORY, L4_R));
    table_item(&msg, 0, KPAGES, L4_SPACE_MEM, CHILD, 22);
    EXPECT_EQ(victim_answer(&v, &msg, 1, 0), 0);
    settle();
    EXPECT_EQ(child_runs, 1);
    EXPECT_EQ(child_saw, 0x22);
    EXPECT_EQ(flush_cap(kp) & 15u, 0);
    *word_at(block + 0x2000) = 0;
}

CASE(convert_query_has_no_elevation, "P5 K-06", "nothing of a kernel object can be read: the page of a live thread is not accessible")
{
    struct message msg = { 0 };
    struct victim v;
    uint32_t kp = kpage_of_ram(0, 12), th = cap_new();

    EXPECT_EQ(create_in(kp, L4_TYPE_THREAD, th), 0);
    child_address = ram_block(0);
    child_runs = 0;
    victim_start(&v, reads_block);
    EXPECT_EQ(victim_message(&v, &msg), 4u << 4);
    EXPECT_EQ(msg.m[0] >> 8 & 15u, L4_D_CONVERTED);
    EXPECT_EQ(child_runs, 0);
}

/* ---- names ---- */

CASE(every_call_on_odd_names, "F-11", "capability numbers 0, 2^20 - 2, 2^20 - 1 and names without a table are empty to every call")
{
    static const uint32_t odd[] = { 0, 0xffffe, 0x80000, 0x3ff, 0x400, 0x7ffff };

    for (unsigned i = 0; i < sizeof odd / sizeof *odd; i++) {
        uint32_t id = odd[i];
        struct l4_words w;

        EXPECT_ERROR(send0(id, L4_TS_ZERO), L4_CAP, L4_D_EMPTY);
        EXPECT_ERROR(ipc(NO_CAP, 0, 0, L4_CAP(id), 0, 0, L4_TS_ZERO, NULL), L4_CAP, L4_D_EMPTY);
        EXPECT_ERROR(exregs(0, L4_CAP(id), 0, 0, 0, 0, NULL), L4_CAP, L4_D_EMPTY);
        EXPECT_ERROR(call5(L4_CAP(id) | 1u << 4 | L4_SYS_THREAD_CONTROL, 2u << 2 | 2u, 0, 0, 0, NULL), L4_CAP, L4_D_EMPTY);
        EXPECT_ERROR(schedule(L4_SCHED_READ, id, NO_CAP, NO_CAP, 0, 0, 0, &w), L4_CAP, L4_D_EMPTY);
        EXPECT_ERROR(call5(L4_CAP(id) | L4_SYS_THREAD_SWITCH, ~0u, 0, 0, 0, NULL), L4_CAP, L4_D_EMPTY);
        EXPECT_ERROR(call5(L4_CAP(id) | L4_SYS_PROCESSOR_CONTROL, 0, 0, 0, 0, NULL), L4_CAP, L4_D_EMPTY);
        EXPECT_EQ(inspect(L4_INSPECT_IDENTITY, id, id, &w), 0);
        EXPECT_EQ(w.w[1], 0);
        EXPECT_EQ(flush_cap(id) & 15u, 0);
    }
}
