// SPDX-License-Identifier: MIT
/* Calls and answers between threads that wait for each other: what the kernel's shortest path does. */
#include "tests/guest/guest.h"

static volatile uint32_t request, answer, helper_item[4], bell;

/* What comes on `request` goes back on `answer`. */
static void echo(void)
{
    struct message msg = { 0 };
    uint32_t w0 = ipc(NO_CAP, 0, 0, L4_CAP(request), 0, 63, L4_TS_NEVER, &msg);

    for (;;)
        w0 = ipc(L4_CAP(answer), 0, (w0 >> 4) & 63u, L4_CAP(request), 0, 63, L4_TS_NEVER, &msg);
}

static void send_items(void)
{
    struct message msg = { 0 };

    for (unsigned i = 0; i < 4; i++)
        msg.m[i] = helper_item[i];
    (void)tcr_write(NO_CAP, L4_TCR_SNDRES, KPAGES);
    (void)ipc(L4_CAP(bell), 2, 0, NO_CAP, 0, 0, L4_TS_NEVER, &msg);
    thread_stop();
}

/* A capability to endpoint `target` with the low `length` bits of `badge`. */
static uint32_t badged(uint32_t target, uint32_t badge, uint32_t length)
{
    struct message msg = { 0 }, items = { 0 };
    uint32_t name = cap_new();

    bell = endpoint_new();
    map_item(&items, 2, L4_CAP_FPAGE(target, L4_W), L4_CAP(name));
    helper_item[0] = badge;
    helper_item[1] = length << 4 | L4_ITEM_BADGE;
    helper_item[2] = items.m[2];
    helper_item[3] = items.m[3];
    EXPECT_EQ(tcr_write(NO_CAP, L4_TCR_WINDOW + 1, L4_ALL_CAP), 0);
    thread_start(send_items, 255);
    EXPECT_EQ(ipc(NO_CAP, 0, 0, L4_CAP(bell), 3, 0, L4_TS_NEVER, &msg), 1u << 10);
    return name;
}

static void check_badge(uint32_t length)
{
    const uint32_t badge = 0x89abcdefu, own = 0xdeadbeefu;
    uint32_t target = endpoint_new(), th = thread_make(), want;

    request = endpoint_new();
    answer = badged(target, badge, length);
    EXPECT_EQ(tcr_write(L4_CAP(th), L4_TCR_SENDER, own), 0);
    thread_run(th, echo, page(2) + 4080);
    want = length == 32 ? badge : (badge << (32 - length)) | (own & (0xffffffffu >> length));
    for (unsigned n = 0; n <= 5; n++) {
        struct message msg = { 0 };

        for (unsigned i = 0; i < n; i++)
            msg.m[i] = 0x100 * n + i;
        EXPECT_EQ(ipc(L4_CAP(request), 0, n, L4_CAP(target), 0, 63, L4_TS_NEVER, &msg), n << 4);
        EXPECT_EQ(msg.sender, want);
        for (unsigned i = 0; i < n; i++)
            EXPECT_EQ(msg.m[i], 0x100 * n + i);
    }
}

CASE(answer_badge_short, "G4", "each answer carries the badge of the capability it is sent over: 1 bit")
{
    check_badge(1);
}

CASE(answer_badge_long, "G4", "each answer carries the badge of the capability it is sent over: 31 bits")
{
    check_badge(31);
}

CASE(answer_badge_full, "G4", "each answer carries the badge of the capability it is sent over: 32 bits")
{
    check_badge(32);
}

CASE(answer_counts, "M 3.2.1", "in call and answer OC is the minimum of SC and RC; no other word changes")
{
    request = endpoint_new();
    answer = endpoint_new();
    thread_start(echo, 255);
    for (uint32_t sc = 0; sc <= 5; sc++) {
        for (uint32_t rc = 0; rc <= 5; rc++) {
            struct message msg = { 0 };

            for (unsigned i = 0; i < 8; i++)
                msg.m[i] = 0xc0de00 + i;
            EXPECT_EQ(ipc(L4_CAP(request), 0, sc, L4_CAP(answer), 0, rc, L4_TS_NEVER, &msg),
                      (sc < rc ? sc : rc) << 4);
            for (unsigned i = 0; i < 8; i++)
                EXPECT_EQ(msg.m[i], 0xc0de00 + i);
        }
    }
}

CASE(answer_across_tasks, "M 2.3", "a thousand calls into another task come back whole")
{
    uint32_t caps = cap_new();

    request = caps = endpoint_new();
    answer = endpoint_new();
    EXPECT_EQ(answer, caps + 1);
    child_start(echo, 255, request & ~3u, 3);
    for (uint32_t round = 0; round < 1000; round++) {
        struct message msg = { .m = { round, ~round, round * 3 } };

        EXPECT_EQ(ipc(L4_CAP(request), 0, round & 3u, L4_CAP(answer), 0, 3, L4_TS_NEVER, &msg),
                  (round & 3u) << 4);
        EXPECT_EQ(msg.m[0], round);
        EXPECT_EQ(msg.m[1], ~round);
        EXPECT_EQ(msg.m[2], round * 3);
    }
}

/* ---- the straight lines against the general way ---- */

static volatile uint32_t course, sum;

static uint32_t draw(uint32_t n)
{
    course = course * 1664525u + 1013904223u;
    return (uint32_t)(((uint64_t)course * n) >> 32);
}

static void note(uint32_t value)
{
    sum = (sum ^ value) * 16777619u;
}

/* One call at any alignment of the words, so that they cross pages; all that came back goes into the sum. */
static uint32_t call_somehow(uint32_t send, uint32_t sc, uint32_t recv, uint32_t rc, uint32_t area)
{
    struct l4_words *w = (struct l4_words *)(uintptr_t)(area + 4u * draw(1024));

    w->w[0] = L4_IPC_W0(send, 0, sc);
    w->w[1] = L4_IPC_W1(recv, 0, rc, L4_TS_NEVER);
    for (unsigned i = 2; i < 71; i++)
        w->w[i] = draw(0xffffffffu);
    guest_call(w);
    for (unsigned i = 0; i < 71; i++)
        note(w->w[i]);
    return w->w[0];
}

static uint32_t some_words(void)
{
    return draw(3) ? draw(5) : draw(64);
}

static void answer_somehow(void)
{
    uint32_t send = NO_CAP;

    for (;;) {
        (void)call_somehow(send, some_words(), L4_CAP(request), some_words(), page(8));
        send = L4_CAP(answer);
    }
}

static uint32_t talk(void)
{
    course = sum = 1;
    request = endpoint_new();
    answer = endpoint_new();
    thread_start(answer_somehow, 255);
    for (unsigned n = 0; n < 200; n++)
        (void)call_somehow(L4_CAP(request), some_words(), L4_CAP(answer), some_words(), page(12));
    return sum;
}

static void trace_ipc(const char *line)
{
    static char text[256];
    size_t length;
    uint32_t rc;

    (void)l4_debug_exec(line, text, sizeof text, &length, &rc);
}

CASE(answer_paths_agree, "M 3.2.1", "calls of all lengths give the same words by the straight line and by the general way")
{
    uint32_t straight = talk();

    trace_ipc("trace on ipc.send");
    EXPECT_EQ(talk(), straight);
    trace_ipc("trace off ipc.send");
}
