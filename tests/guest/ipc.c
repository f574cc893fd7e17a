// SPDX-License-Identifier: MIT
/* short-ipc: words, items, timeouts, badges, errors.  [M 2.3] [M 3.2.1] */
#include "tests/guest/kit.h"

static volatile uint32_t ep_a, ep_b, runs, rc_limit, result, helper_sc, helper_st;
static struct message helper_msg;

static void receive_once(void)
{
    helper_msg.sender = 0;
    result = ipc(NO_CAP, 0, 0, L4_CAP(ep_a), 0, rc_limit, L4_TS_NEVER, &helper_msg);
    runs++;
}

static void send_once(void)
{
    result = ipc(L4_CAP(ep_a), helper_st, helper_sc, NO_CAP, 0, 0, L4_TS_NEVER, &helper_msg);
    runs++;
}

static void echo_for_ever(void)
{
    struct message msg = { 0 };
    uint32_t w0 = ipc(NO_CAP, 0, 0, L4_CAP(ep_a), 0, 63, L4_TS_NEVER, &msg);

    for (;;)
        w0 = ipc(L4_CAP(ep_b), 0, (w0 >> 4) & 63u, L4_CAP(ep_a), 0, 63, L4_TS_NEVER, &msg);
}

CASE(ipc_no_phase, "G17", "with neither phase short-ipc returns OK at once")
{
    EXPECT_EQ(ipc(NO_CAP, 0, 0, NO_CAP, 0, 0, L4_TS_NEVER, NULL), 0);
}

static void check_words(uint32_t count)
{
    struct message msg = { 0 };
    uint32_t w0;

    for (unsigned i = 0; i < 63; i++)
        msg.m[i] = 0x1000 * count + i;
    w0 = ipc(L4_CAP(ep_a), 0, count, L4_CAP(ep_b), 0, 63, L4_TS_NEVER, &msg);
    EXPECT_EQ(w0, count << 4);
    for (unsigned i = 0; i < count; i++)
        EXPECT_EQ(msg.m[i], 0x1000 * count + i);
}

CASE(ipc_every_length, "M 3.2.1", "up to 63 words arrive unchanged and in order, and come back, each length")
{
    ep_a = endpoint_new();
    ep_b = endpoint_new();
    thread_start(echo_for_ever, 255);
    for (uint32_t n = 0; n <= 63; n++)
        check_words(n);
}

CASE(ipc_every_length_task, "M 3.2.1", "the same across tasks")
{
    ep_a = endpoint_new();
    ep_b = endpoint_new();
    child_start(echo_for_ever, 255, 0x210, 4);
    for (uint32_t n = 0; n <= 63; n++)
        check_words(n);
}

static void check_minimum(uint32_t sc, uint32_t rc)
{
    struct message msg = { 0 };

    rc_limit = rc;
    for (unsigned i = 0; i < 69; i++) {
        msg.m[i] = 0xa000 + i;
        helper_msg.m[i] = 0xdead;
    }
    thread_start(receive_once, 255);
    settle();
    EXPECT_EQ(ipc(L4_CAP(ep_a), 0, sc, NO_CAP, 0, 0, L4_TS_NEVER, &msg), 0);
    settle();
    EXPECT_EQ(result, (sc < rc ? sc : rc) << 4);
    for (unsigned i = 0; i < 63; i++)
        EXPECT_EQ(helper_msg.m[i], i < sc && i < rc ? 0xa000 + i : 0xdead);
}

CASE(ipc_received_count_is_the_minimum, "M 3.2.1", "OC is the minimum of SC and RC and no other word is written")
{
    ep_a = endpoint_new();
    check_minimum(63, 0);
    check_minimum(0, 63);
    check_minimum(5, 2);
    check_minimum(2, 5);
}

CASE(ipc_received_count_is_the_minimum_long, "M 3.2.1", "the same for long messages")
{
    ep_a = endpoint_new();
    check_minimum(63, 62);
    check_minimum(10, 63);
    check_minimum(4, 4);
    check_minimum(3, 4);
}

CASE(ipc_send_zero_timeout, "G16", "a zero send timeout fails at once when no receiver waits")
{
    ep_a = endpoint_new();
    EXPECT_EQ(L4_ERR_BASE(send0(ep_a, L4_TS_ZERO)), L4_SND_TIMEOUT);
}

CASE(ipc_send_zero_timeout_delivers, "G16", "a zero send timeout delivers when a receiver waits")
{
    ep_a = endpoint_new();
    rc_limit = 0;
    runs = 0;
    thread_start(receive_once, 255);
    settle();
    EXPECT_EQ(send0(ep_a, L4_TS_ZERO), 0);
    settle();
    EXPECT_EQ(runs, 1);
}

CASE(ipc_send_timeout, "G16", "a finite send timeout ends with SND_TIMEOUT, not early")
{
    uint32_t before, after;
    struct l4_words w;

    ep_a = endpoint_new();
    EXPECT_EQ(tcr_write(NO_CAP, L4_TCR_TIMEOUT0, L4_TIMEOUT(0, 1000) << 16), 0);
    call5(L4_DEBUG_CLOCK << 4 | L4_SYS_DEBUG, 0, 0, 0, 0, &w);
    before = w.w[1];
    EXPECT_EQ(L4_ERR_BASE(send0(ep_a, L4_TS_TCR16)), L4_SND_TIMEOUT);
    call5(L4_DEBUG_CLOCK << 4 | L4_SYS_DEBUG, 0, 0, 0, 0, &w);
    after = w.w[1];
    EXPECT(after - before >= w.w[3]);
}

CASE(ipc_receive_timeout, "G16", "a finite receive timeout in TCR 17 ends with RCV_TIMEOUT")
{
    ep_a = endpoint_new();
    EXPECT_EQ(tcr_write(NO_CAP, L4_TCR_TIMEOUT1, L4_TIMEOUT(3, 100)), 0);
    EXPECT_EQ(L4_ERR_BASE(ipc(NO_CAP, 0, 0, L4_CAP(ep_a), 0, 0, L4_TS_TCR17, NULL)), L4_RCV_TIMEOUT);
}

CASE(ipc_receive_zero_timeout, "G16", "a zero receive timeout polls")
{
    ep_a = endpoint_new();
    EXPECT_EQ(tcr_write(NO_CAP, L4_TCR_TIMEOUT0, L4_TIMEOUT_ZERO), 0);
    EXPECT_EQ(L4_ERR_BASE(ipc(NO_CAP, 0, 0, L4_CAP(ep_a), 0, 0, L4_TS_TCR16, NULL)), L4_RCV_TIMEOUT);
}

CASE(ipc_zero_timeout_applies_to_send_only, "G16", "TS = 1 is (zero, never): the receive phase still waits")
{
    ep_a = endpoint_new();
    helper_sc = 1;
    helper_st = 0;
    helper_msg.m[0] = 77;
    thread_start(send_once, 255);
    struct message msg = { 0 };
    EXPECT_EQ(ipc(NO_CAP, 0, 0, L4_CAP(ep_a), 0, 1, L4_TS_ZERO, &msg), 1u << 4);
    EXPECT_EQ(msg.m[0], 77);
}

CASE(ipc_timeout_values, "G16", "absolute timeouts are reserved: BAD_VALUE")
{
    EXPECT_ERROR(tcr_write(NO_CAP, L4_TCR_TIMEOUT0, 0x8000), L4_PARAM, L4_D_BAD_VALUE);
    EXPECT_ERROR(tcr_write(NO_CAP, L4_TCR_TIMEOUT1, 0x80000000u), L4_PARAM, L4_D_BAD_VALUE);
}

CASE(ipc_sender_id_is_tcr3, "M 2.1 G4", "without a badge the sender id is the sender's TCR 3")
{
    struct message msg = { 0 };
    uint32_t th;

    ep_a = endpoint_new();
    helper_sc = helper_st = 0;
    th = thread_make();
    EXPECT_EQ(tcr_write(L4_CAP(th), L4_TCR_SENDER, 0x12345678), 0);
    thread_run(th, send_once, page(1) + 4080);
    EXPECT_EQ(ipc(NO_CAP, 0, 0, L4_CAP(ep_a), 0, 0, L4_TS_NEVER, &msg), 0);
    EXPECT_EQ(msg.sender, 0x12345678);
}

CASE(ipc_fifo_senders, "G17", "waiting senders are taken in their order")
{
    uint32_t word;

    ep_a = endpoint_new();
    helper_st = 0;
    helper_sc = 1;
    for (uint32_t i = 0; i < 5; i++) {
        helper_msg.m[0] = 100 + i;
        thread_start(send_once, 255);
        settle();
    }
    for (uint32_t i = 0; i < 5; i++) {
        EXPECT_EQ(recv_word(ep_a, &word), 1u << 4);
        EXPECT_EQ(word, 100 + i);
    }
}

CASE(ipc_one_receiver_only, "M 2.3", "of several receivers exactly one gets the message")
{
    ep_a = endpoint_new();
    rc_limit = 1;
    runs = 0;
    thread_start(receive_once, 255);
    thread_start(receive_once, 255);
    thread_start(receive_once, 255);
    settle();
    EXPECT_EQ(send_word(ep_a, 5), 0);
    settle();
    EXPECT_EQ(runs, 1);
}

CASE(ipc_send_empty_capability, "M 2.1.2", "sending through an empty name without a handler is error CAP, EMPTY")
{
    EXPECT_ERROR(send0(cap_new(), L4_TS_NEVER), L4_CAP, L4_D_EMPTY);
}

CASE(ipc_send_wrong_type, "M 2.1.2", "sending through a thread capability is error CAP, TYPE")
{
    EXPECT_ERROR(send0(L4_S0_THREAD, L4_TS_NEVER), L4_CAP, L4_D_TYPE);
}

CASE(ipc_receive_empty_capability, "M 2.1.2", "receiving from an empty name is error CAP, EMPTY, parameter 1")
{
    uint32_t w0 = ipc(NO_CAP, 0, 0, L4_CAP(cap_new()), 0, 0, L4_TS_NEVER, NULL);

    EXPECT_ERROR(w0, L4_CAP, L4_D_EMPTY);
    EXPECT_EQ(L4_ERR_INDEX(w0), 1);
}

/* Helpers need resources of their own to map. */
static void send_mapping(void)
{
    (void)tcr_write(NO_CAP, L4_TCR_SNDRES, KPAGES);
    send_once();
}

/* A second name for endpoint `ep` with these rights, mapped to ourselves by a helper's message. */
static uint32_t alias(uint32_t ep, uint32_t rights)
{
    uint32_t name = cap_new();

    ep_b = endpoint_new();
    helper_st = 1;
    helper_sc = 0;
    map_item(&helper_msg, 0, L4_CAP_FPAGE(ep, rights), L4_CAP(name));
    {
        uint32_t saved = ep_a;
        struct message msg = { 0 };

        ep_a = ep_b;
        thread_start(send_mapping, 255);
        EXPECT_EQ(tcr_write(NO_CAP, L4_TCR_WINDOW + 1, L4_ALL_CAP), 0);
        settle();
        EXPECT_EQ(ipc(NO_CAP, 0, 0, L4_CAP(ep_b), 1, 0, L4_TS_NEVER, &msg), 1u << 10);
        settle();
        ep_a = saved;
    }
    return name;
}

CASE(ipc_needs_send_right, "M 3.2.1 G3", "a send needs w on the endpoint")
{
    uint32_t ep = endpoint_new();

    EXPECT_EQ(flush1(L4_CAP_FPAGE(ep, L4_W)) & 15u, 0);
    EXPECT_ERROR(send0(ep, L4_TS_NEVER), L4_CAP, L4_D_RIGHTS);
}

CASE(ipc_needs_receive_right, "M 3.2.1 G3", "a receive needs r on the endpoint")
{
    uint32_t ep = endpoint_new();

    EXPECT_EQ(flush1(L4_CAP_FPAGE(ep, L4_R)) & 15u, 0);
    EXPECT_ERROR(ipc(NO_CAP, 0, 0, L4_CAP(ep), 0, 0, L4_TS_NEVER, NULL), L4_CAP, L4_D_RIGHTS);
}

CASE(ipc_items_need_map_right, "M 3.2.1", "typed items need t on the endpoint")
{
    struct message msg = { 0 };
    uint32_t ep = endpoint_new();

    EXPECT_EQ(flush1(L4_CAP_FPAGE(ep, L4_T)) & 15u, 0);
    map_item(&msg, 0, L4_CAP_FPAGE(ep, 15), 0);
    EXPECT_ERROR(ipc(L4_CAP(ep), 1, 0, NO_CAP, 0, 0, L4_TS_NEVER, &msg), L4_CAP, L4_D_RIGHTS);
}

CASE(ipc_map_capability, "G10", "a MAP item arrives: the receiver sees its own names and the count")
{
    struct message msg = { 0 };
    uint32_t ep = endpoint_new(), target = endpoint_new(), name = cap_new();

    ep_a = ep;
    helper_st = 1;
    helper_sc = 1;
    helper_msg.m[0] = 9;
    map_item(&helper_msg, 1, L4_CAP_FPAGE(target, L4_W | L4_X), L4_CAP(name));
    EXPECT_EQ(tcr_write(NO_CAP, L4_TCR_WINDOW + 1, L4_ALL_CAP), 0);
    thread_start(send_mapping, 255);
    EXPECT_EQ(ipc(NO_CAP, 0, 0, L4_CAP(ep), 3, 1, L4_TS_NEVER, &msg), 1u << 10 | 1u << 4);
    EXPECT_EQ(msg.m[0], 9);
    EXPECT_EQ(msg.m[1], L4_CAP_FPAGE(name, L4_W | L4_X));
    EXPECT_EQ(msg.m[2], 1u << 12 | L4_ITEM_MAP);
    settle();
    EXPECT_EQ(result, 0);
    EXPECT_EQ(L4_ERR_BASE(send0(name, L4_TS_ZERO)), L4_SND_TIMEOUT);
}

CASE(ipc_window_mask, "G12", "the rights of the window mask what is granted")
{
    struct message msg = { 0 };
    uint32_t ep = endpoint_new(), target = endpoint_new(), name = cap_new();

    ep_a = ep;
    helper_st = 1;
    helper_sc = 0;
    map_item(&helper_msg, 0, L4_CAP_FPAGE(target, 15), L4_CAP(name));
    EXPECT_EQ(tcr_write(NO_CAP, L4_TCR_WINDOW + 1, (L4_ALL_CAP & ~15u) | L4_R), 0);
    thread_start(send_mapping, 255);
    EXPECT_EQ(ipc(NO_CAP, 0, 0, L4_CAP(ep), 3, 0, L4_TS_NEVER, &msg), 1u << 10);
    EXPECT_EQ(msg.m[0], L4_CAP_FPAGE(name, L4_R));
    EXPECT_ERROR(send0(name, L4_TS_ZERO), L4_CAP, L4_D_RIGHTS);
}

CASE(ipc_no_window, "G12", "without a window nothing is accepted: the sender gets MAP, NO_WINDOW; the words arrive")
{
    struct message msg = { 0 };
    uint32_t ep = endpoint_new(), target = endpoint_new();

    ep_a = ep;
    helper_st = 1;
    helper_sc = 1;
    helper_msg.m[0] = 4711;
    map_item(&helper_msg, 1, L4_CAP_FPAGE(target, 15), L4_CAP(cap_new()));
    thread_start(send_mapping, 255);
    EXPECT_EQ(ipc(NO_CAP, 0, 0, L4_CAP(ep), 3, 1, L4_TS_NEVER, &msg) & 0x3ffu, 1u << 4);
    EXPECT_EQ(msg.m[0], 4711);
    settle();
    EXPECT_ERROR(result, L4_MAP, L4_D_NO_WINDOW);
}

CASE(ipc_item_beyond_rt, "S4", "items beyond RT are not performed: TRUNC_ITEM, OT = RT")
{
    struct message msg = { 0 };
    uint32_t ep = endpoint_new(), target = endpoint_new(), a = cap_new(), b = cap_new();

    ep_a = ep;
    helper_st = 2;
    helper_sc = 0;
    map_item(&helper_msg, 0, L4_CAP_FPAGE(target, L4_W), L4_CAP(a));
    map_item(&helper_msg, 2, L4_CAP_FPAGE(target, L4_W), L4_CAP(b));
    EXPECT_EQ(tcr_write(NO_CAP, L4_TCR_WINDOW + 1, L4_ALL_CAP), 0);
    thread_start(send_mapping, 255);
    EXPECT_EQ(ipc(NO_CAP, 0, 0, L4_CAP(ep), 1, 0, L4_TS_NEVER, &msg), 1u << 10);
    settle();
    EXPECT_ERROR(result, L4_MAP, L4_D_TRUNC_ITEM);
    EXPECT_ERROR(send0(b, L4_TS_ZERO), L4_CAP, L4_D_EMPTY);
}

CASE(ipc_item_reserved_kind, "G10", "kinds 5 to 15 are reserved: MAP, RESERVED_OP")
{
    struct message msg = { 0 };
    uint32_t ep = endpoint_new();

    ep_a = ep;
    helper_st = 1;
    helper_sc = 0;
    helper_msg.m[0] = 0;
    helper_msg.m[1] = 9;
    thread_start(send_mapping, 255);
    (void)ipc(NO_CAP, 0, 0, L4_CAP(ep), 3, 0, L4_TS_NEVER, &msg);
    settle();
    EXPECT_ERROR(result, L4_MAP, L4_D_RESERVED_OP);
}

CASE(ipc_item_void, "G10", "a VOID item does nothing and is no error")
{
    struct message msg = { 0 };
    uint32_t ep = endpoint_new();

    ep_a = ep;
    helper_st = 1;
    helper_sc = 0;
    helper_msg.m[0] = 0xffffffffu;
    helper_msg.m[1] = 0xfffffff0u;
    thread_start(send_mapping, 255);
    EXPECT_EQ(ipc(NO_CAP, 0, 0, L4_CAP(ep), 3, 0, L4_TS_NEVER, &msg) & 15u, 0);
    settle();
    EXPECT_EQ(result, 0);
}

CASE(ipc_occupied, "G15", "a destination that holds something else is skipped: OCCUPIED; nothing of the receiver is lost")
{
    struct message msg = { 0 };
    uint32_t ep = endpoint_new(), target = endpoint_new(), mine = endpoint_new();

    ep_a = ep;
    helper_st = 1;
    helper_sc = 0;
    map_item(&helper_msg, 0, L4_CAP_FPAGE(target, L4_W), L4_CAP(mine));
    EXPECT_EQ(tcr_write(NO_CAP, L4_TCR_WINDOW + 1, L4_ALL_CAP), 0);
    thread_start(send_mapping, 255);
    (void)ipc(NO_CAP, 0, 0, L4_CAP(ep), 3, 0, L4_TS_NEVER, &msg);
    settle();
    EXPECT_ERROR(result, L4_MAP, L4_D_OCCUPIED);
    EXPECT_EQ(L4_ERR_BASE(send0(mine, L4_TS_ZERO)), L4_SND_TIMEOUT);
}

CASE(ipc_upgrade, "G15", "mapping again from the same source adds rights to the same name")
{
    struct message msg = { 0 };
    uint32_t ep = endpoint_new(), target = endpoint_new(), name = cap_new();

    ep_a = ep;
    helper_st = 1;
    helper_sc = 0;
    map_item(&helper_msg, 0, L4_CAP_FPAGE(target, L4_R), L4_CAP(name));
    EXPECT_EQ(tcr_write(NO_CAP, L4_TCR_WINDOW + 1, L4_ALL_CAP), 0);
    thread_start(send_mapping, 255);
    EXPECT_EQ(ipc(NO_CAP, 0, 0, L4_CAP(ep), 3, 0, L4_TS_NEVER, &msg), 1u << 10);
    EXPECT_ERROR(send0(name, L4_TS_ZERO), L4_CAP, L4_D_RIGHTS);
    map_item(&helper_msg, 0, L4_CAP_FPAGE(target, L4_W), L4_CAP(name));
    thread_start(send_mapping, 255);
    EXPECT_EQ(ipc(NO_CAP, 0, 0, L4_CAP(ep), 3, 0, L4_TS_NEVER, &msg), 1u << 10);
    EXPECT_EQ(L4_ERR_BASE(send0(name, L4_TS_ZERO)), L4_SND_TIMEOUT);
}

CASE(ipc_badge, "G4", "a BADGE item is the prefix of the sender id; TCR 3 fills the rest and cannot touch it")
{
    struct message msg = { 0 };
    uint32_t ep = endpoint_new(), target = endpoint_new(), name = cap_new(), th;

    ep_a = ep;
    helper_st = 2;
    helper_sc = 0;
    helper_msg.m[0] = 0xab;
    helper_msg.m[1] = 8u << 4 | L4_ITEM_BADGE;
    map_item(&helper_msg, 2, L4_CAP_FPAGE(target, L4_W), L4_CAP(name));
    EXPECT_EQ(tcr_write(NO_CAP, L4_TCR_WINDOW + 1, L4_ALL_CAP), 0);
    thread_start(send_mapping, 255);
    EXPECT_EQ(ipc(NO_CAP, 0, 0, L4_CAP(ep), 3, 0, L4_TS_NEVER, &msg), 1u << 10);
    ep_a = name;
    helper_st = helper_sc = 0;
    th = thread_make();
    EXPECT_EQ(tcr_write(L4_CAP(th), L4_TCR_SENDER, 0xffffffffu), 0);
    thread_run(th, send_once, page(2) + 4080);
    EXPECT_EQ(ipc(NO_CAP, 0, 0, L4_CAP(target), 0, 0, L4_TS_NEVER, &msg), 0);
    EXPECT_EQ(msg.sender, 0xabffffffu);
}

CASE(ipc_map_memory_page, "M 2.1.1", "a mapped page shows the same memory at the new name")
{
    struct message msg = { 0 };
    uint32_t ep = endpoint_new(), kp = cap_new();
    volatile uint32_t *source = (volatile uint32_t *)(uintptr_t)page(3);
    volatile uint32_t *alias_page = (volatile uint32_t *)(uintptr_t)0x80003000u;

    /* the page table comes from a kernel page that goes again */
    EXPECT_EQ(create(L4_TYPE_KPAGE, kp, L4_FPAGE(page(32), L4_SPACE_MEM, 13, L4_T), 0), 0);
    EXPECT_EQ(tcr_write(NO_CAP, L4_TCR_RCVRES, L4_CAP_FPAGE(kp, L4_W)), 0);
    *source = 0x5ec;
    ep_a = ep;
    helper_st = 1;
    helper_sc = 0;
    map_item(&helper_msg, 0, L4_FPAGE(page(3), L4_SPACE_MEM, 12, L4_R | L4_W), 0x80003000u);
    EXPECT_EQ(tcr_write(NO_CAP, L4_TCR_WINDOW + 0, L4_ALL_MEM), 0);
    thread_start(send_mapping, 255);
    EXPECT_EQ(ipc(NO_CAP, 0, 0, L4_CAP(ep), 3, 0, L4_TS_NEVER, &msg), 1u << 10);
    EXPECT_EQ(msg.m[0], L4_FPAGE(0x80003000u, L4_SPACE_MEM, 12, L4_R | L4_W));
    EXPECT_EQ(*alias_page, 0x5ec);
    *alias_page = 0x1234;
    EXPECT_EQ(*source, 0x1234);
}

CASE(ipc_endpoint_destroyed_sender, "G17", "destroying an endpoint restarts a waiting sender: it gets a capability fault")
{
    uint32_t ep = endpoint_new();

    ep_a = ep;
    helper_st = helper_sc = 0;
    result = 0xdead;
    thread_start(send_once, 255);
    settle();
    EXPECT_EQ(result, 0xdead);
    EXPECT_EQ(flush_cap(ep) & 15u, 0);
    settle();
    EXPECT_ERROR(result, L4_CAP, L4_D_EMPTY);
}

CASE(ipc_endpoint_destroyed_receiver, "G17", "destroying an endpoint restarts a waiting receiver")
{
    uint32_t ep = endpoint_new();

    ep_a = ep;
    rc_limit = 0;
    result = 0xdead;
    thread_start(receive_once, 255);
    settle();
    EXPECT_EQ(flush_cap(ep) & 15u, 0);
    settle();
    EXPECT_ERROR(result, L4_CAP, L4_D_EMPTY);
}

CASE(ipc_abort_send, "G22", "an aborted send ends with SND_ABORT")
{
    uint32_t th;

    ep_a = endpoint_new();
    helper_st = helper_sc = 0;
    result = 0xdead;
    th = thread_start(send_once, 255);
    settle();
    EXPECT_EQ(exregs(1u << L4_XR_ABORT_SHIFT, L4_CAP(th), 0, 0, 0, 0, NULL) & 15u, 0);
    settle();
    EXPECT_EQ(L4_ERR_BASE(result), L4_SND_ABORT);
}

CASE(ipc_abort_receive, "G22", "an aborted receive ends with RCV_ABORT")
{
    uint32_t th;

    ep_a = endpoint_new();
    rc_limit = 0;
    result = 0xdead;
    th = thread_start(receive_once, 255);
    settle();
    EXPECT_EQ(exregs(2u << L4_XR_ABORT_SHIFT, L4_CAP(th), 0, 0, 0, 0, NULL) & 15u, 0);
    settle();
    EXPECT_EQ(L4_ERR_BASE(result), L4_RCV_ABORT);
}

CASE(ipc_abort_receive_only_leaves_sender, "G22", "CC = 2 aborts receive phases only")
{
    uint32_t th;

    ep_a = endpoint_new();
    helper_st = helper_sc = 0;
    result = 0xdead;
    th = thread_start(send_once, 255);
    settle();
    EXPECT_EQ(exregs(2u << L4_XR_ABORT_SHIFT, L4_CAP(th), 0, 0, 0, 0, NULL) & 15u, 0);
    settle();
    EXPECT_EQ(result, 0xdead);
}

CASE(ipc_self_send_times_out, "I-03", "sending to and receiving from the same endpoint in one call blocks; nothing is copied to oneself")
{
    struct message msg = { 0 };

    ep_a = endpoint_new();
    EXPECT_EQ(tcr_write(NO_CAP, L4_TCR_TIMEOUT0, L4_TIMEOUT(0, 500) << 16 | L4_TIMEOUT(0, 500)), 0);
    EXPECT_EQ(L4_ERR_BASE(ipc(L4_CAP(ep_a), 0, 3, L4_CAP(ep_a), 0, 3, L4_TS_TCR16, &msg)), L4_SND_TIMEOUT);
}

CASE(ipc_parameter_words_in_kernel_memory, "M 3.1.1 G9", "parameter words outside user memory: PARAM, KERNEL_RANGE")
{
    uint32_t ep = L4_CAP(endpoint_new());

    EXPECT_ERROR(call_at(L4_IPC_W0(ep, 0, 63), L4_IPC_W1(NO_CAP, 0, 0, 0), 0xbffffffcu), L4_PARAM, L4_D_KERNEL_RANGE);
    EXPECT_ERROR(call_at(L4_IPC_W0(ep, 0, 63), L4_IPC_W1(NO_CAP, 0, 0, 0), 0xc0000000u), L4_PARAM, L4_D_KERNEL_RANGE);
    EXPECT_ERROR(call_at(L4_IPC_W0(ep, 0, 63), L4_IPC_W1(NO_CAP, 0, 0, 0), 0xfffffff0u), L4_PARAM, L4_D_KERNEL_RANGE);
}

CASE(ipc_alias_shares_the_endpoint, "M 2.1.1", "two names of one endpoint lead to the same queue")
{
    uint32_t ep = endpoint_new(), second = alias(ep, 15);

    ep_a = second;
    rc_limit = 1;
    runs = 0;
    thread_start(receive_once, 255);
    settle();
    EXPECT_EQ(send_word(ep, 3), 0);
    settle();
    EXPECT_EQ(runs, 1);
}
