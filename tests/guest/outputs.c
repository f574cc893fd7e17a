// SPDX-License-Identifier: MIT
/*
 * What comes out of calls: unspecified fields are 0, and no word is ever a kernel address that the caller
 * did not put in.  [M 1.6.1] [P8]
 */
#include "tests/guest/kit.h"

#define KERNEL 0xc0000000u
#define POISON 0x0badf00du

/* W0 of each call: bits that may be set besides the error (extended error is [31:20] and [3:0]). */
static void check_w0(uint32_t w0, uint32_t allowed)
{
    uint32_t error = L4_ERR_BASE(w0) ? 0xfff0000fu : 0;

    EXPECT_EQ(w0 & ~(allowed | error), 0);
}

static uint32_t poisoned(uint32_t w0, uint32_t w1, uint32_t w2, uint32_t w3, uint32_t w4, struct l4_words *w)
{
    for (unsigned i = 5; i < L4_PARAM_WORDS; i++)
        w->w[i] = POISON;
    w->w[0] = w0;
    w->w[1] = w1;
    w->w[2] = w2;
    w->w[3] = w3;
    w->w[4] = w4;
    return guest_call(w);
}

CASE(outputs_unspecified_bits, "M 1.6.1 S1", "the unspecified bits of every call's W0 are 0")
{
    struct l4_words w;

    peer_start();
    settle();
    check_w0(poisoned(L4_IPC_W0(NO_CAP, 3, 63), L4_IPC_W1(NO_CAP, 3, 63, 0) | 3u, 1, 2, 3, &w), 0);
    check_w0(poisoned(L4_IPC_W0(L4_CAP(peer.ep), 0, 5), L4_IPC_W1(NO_CAP, 3, 63, 0) | 3u, 1, 2, 3, &w), 0);
    check_w0(poisoned(L4_CAP(0x3ff) | 0xf00u | L4_SYS_IPC, NO_CAP, 0, 0, 0, &w), 0);
    check_w0(poisoned(0xfff00000u | 3u << 4 | L4_SYS_UNMAP, 0, 0, 0, 0, &w), 0xffff0u);
    check_w0(poisoned(0xfff00000u | 1u << 4 | L4_SYS_UNMAP, 0xc00, 0, 0, 0, &w), 0xffff0u);
    check_w0(poisoned(L4_CAP(0x3c0) | 0xf80u | L4_TYPE_ENDPOINT << 4 | L4_SYS_CREATE, KPAGES, KPAGES, 5, 6, &w), 0);
    check_w0(poisoned(L4_CAP(0x3c0) | 0xf80u | L4_TYPE_ENDPOINT << 4 | L4_SYS_CREATE, KPAGES, KPAGES, 5, 6, &w), 0);
    check_w0(poisoned(NO_CAP | 0xc00u | 1u << 4 | L4_SYS_THREAD_CONTROL, L4_TCR_USER << 2 | 2u, 0, 0, 0, &w), 0x3f0u);
    check_w0(poisoned(NO_CAP | 0xc00u | 1u << 4 | L4_SYS_THREAD_CONTROL, 60u << 2 | 2u, 0, 0, 0, &w), 0x3f0u);
    check_w0(poisoned(NO_CAP | L4_SYS_EXREGS, 1, 2, 3, 4, &w), 0xf0u);
    check_w0(poisoned(NO_CAP | L4_XR_SET_IP | L4_SYS_EXREGS, 1, 2, 3, 4, &w), 0xf0u);
    check_w0(poisoned(L4_CAP(L4_S0_RESERVATION) | L4_SCHED_READ | L4_SYS_SCHEDULE, ~0u, ~0u, ~0u, ~0u, &w), 0);
    check_w0(poisoned(NO_CAP | 0xfc0u | L4_SYS_THREAD_SWITCH, ~0u, 1, 2, 3, &w), 0);
    check_w0(poisoned(L4_CAP(L4_S0_CPU) | 0xf00u | L4_SYS_PROCESSOR_CONTROL, 1, 2, 3, 4, &w), 0);
    check_w0(poisoned(L4_CAP(1) | 0xfe0u | L4_SYS_CAP_INSPECT, L4_CAP(1), 2, 3, 4, &w), 0);
    for (uint32_t nr = 11; nr < 16; nr++)
        check_w0(poisoned(0xfffffff0u | nr, 1, 2, 3, 4, &w), 0);
}

CASE(outputs_counts_with_errors, "M 3.2.3 M 3.2.5", "the counts of unmap and thread-control come back unchanged whatever the error")
{
    const uint32_t unmap = 2u << 12 | 3u << 4, many = 200u << 12 | 100u << 4, control = 7u << 4;
    struct l4_words w;

    EXPECT_EQ(call_at(unmap | L4_SYS_UNMAP, 0, KERNEL) & 0xffff0u, unmap);
    EXPECT_EQ(poisoned(many | L4_SYS_UNMAP, 0, 0, 0, 0, &w) & 0xffff0u, many);
    EXPECT_EQ(poisoned(unmap | L4_SYS_UNMAP, 0xc00, 0, 0, 0, &w) & 0xffff0u, unmap);
    EXPECT_EQ(call_at(NO_CAP | control | L4_SYS_THREAD_CONTROL, 0, KERNEL) & 0x3f0u, control);
    EXPECT_EQ(poisoned(L4_CAP(0x3c0) | control | L4_SYS_THREAD_CONTROL, 2, 0, 0, 0, &w) & 0x3f0u, control);
    EXPECT_EQ(poisoned(OWN_TASK | 1u << 4 | L4_SYS_THREAD_CONTROL, L4_TCR_USER << 2 | 1u, 0, 0, 0, &w) & 0x3f0u, 1u << 4);
}

CASE(outputs_ignored_inputs, "M 1.6.1 S1", "unspecified input bits do not matter: the same calls with them set and clear")
{
    struct l4_words a, b;
    static const uint32_t calls[][3] = { /* W0, its unspecified bits, W1 */
        { 1u << 4 | L4_SYS_UNMAP, 0xfff00000u, L4_CAP_FPAGE(0x3c0, 15) },
        { 0x3c0000 | 7u << 4 | L4_SYS_CREATE, 0xf80, 0 },
        { 0xfffff000u | 1u << 4 | L4_SYS_THREAD_CONTROL, 0xc00, L4_TCR_USER << 2 | 2u },
        { 0xfffff000u | L4_SYS_EXREGS, 0, 0 },
        { 0x00010000u | L4_SYS_PROCESSOR_CONTROL, 0xf00, 0 },
        { 0x00001000u | L4_SYS_CAP_INSPECT, 0xfe0, 0x1000 },
    };

    for (unsigned i = 0; i < sizeof calls / sizeof *calls; i++) {
        (void)poisoned(calls[i][0], calls[i][2], 0, 0, 0, &a);
        (void)poisoned(calls[i][0] | calls[i][1], calls[i][2], 0, 0, 0, &b);
        EXPECT_EQ(a.w[0], b.w[0]);
        if ((calls[i][0] & 15u) != L4_SYS_EXREGS)
            EXPECT_EQ(a.w[1], b.w[1]);
    }
}

CASE(outputs_beyond_the_count, "M 3.2.1 IPC-2", "no word behind those received is written, in registers or in memory")
{
    struct l4_words w;
    uint32_t ep = endpoint_new();

    for (unsigned n = 0; n <= 63; n += 7) {
        EXPECT_EQ(tcr_write(NO_CAP, L4_TCR_TIMEOUT0, L4_TIMEOUT_ZERO << 16 | L4_TIMEOUT_ZERO), 0);
        EXPECT_EQ(L4_ERR_BASE(poisoned(L4_IPC_W0(NO_CAP, 0, 0), L4_IPC_W1(L4_CAP(ep), 3, n, L4_TS_TCR16), POISON, POISON, POISON, &w)),
                  L4_RCV_TIMEOUT);
        for (unsigned i = 2; i < L4_PARAM_WORDS; i++)
            EXPECT_EQ(w.w[i], POISON);
    }
}

CASE(outputs_error_without_sender, "P8", "a call that ends with an error names no sender")
{
    struct l4_words w;
    uint32_t ep = endpoint_new();

    EXPECT_EQ(L4_ERR_BASE(poisoned(L4_IPC_W0(L4_CAP(ep), 0, 0), L4_IPC_W1(NO_CAP, 0, 0, L4_TS_ZERO), 0, 0, 0, &w)), L4_SND_TIMEOUT);
    EXPECT_EQ(w.w[1], 0);
}

/* ---- many calls with random words ---- */

static uint32_t seed;

static uint32_t random(void)
{
    seed = seed * 1664525u + 1013904223u;
    return seed >> 8 ^ seed << 13;
}

/* Words that mean something now and then. */
static uint32_t word(void)
{
    static const uint32_t some[] = {
        0, ~0u, 1, 0xfffff000u, 0x80000000u, 0x7fffffffu, 0xbffff000u, 0x60f, 0x20f, 0x9c6, 0x400, 0x1000, 0x2000,
    };

    switch (random() % 6u) {
    case 0:
        return some[random() % (sizeof some / sizeof *some)];
    case 1:
        return L4_CAP(0x210 + random() % 6u) | (random() & 0xfffu);
    case 2:
        return L4_FPAGE(random(), random() % 3u, 12u + random() % 22u, random() & 15u);
    default:
        return random() & 0x7fffffffu; /* not a kernel address by chance */
    }
}

static volatile uint32_t fuzz_calls, fuzz_leaks, fuzz_last;

static bool was_input(const uint32_t *in, uint32_t value)
{
    for (unsigned i = 0; i < L4_PARAM_WORDS; i++)
        if (in[i] == value)
            return true;
    return false;
}

/* W0 holds capability bits and counts, which are no addresses; everything else is looked at. */
static void fuzz_one(struct l4_words *w)
{
    static uint32_t in[L4_PARAM_WORDS];
    uint32_t nr;

    for (unsigned i = 0; i < L4_PARAM_WORDS; i++)
        in[i] = w->w[i] = word();
    nr = w->w[0] & 15u;
    if (nr == L4_SYS_DEBUG)
        w->w[0] = nr = 15;
    if (nr == L4_SYS_IPC) /* not for ever */
        w->w[1] = (w->w[1] & ~0xcu) | L4_TS_TCR16 << 2;
    if (nr == L4_SYS_UNMAP) { /* not our own memory; capabilities may go */
        uint32_t n = random() % 9u;

        w->w[0] = n << (random() & 1u ? 4 : 12) | L4_SYS_UNMAP;
        for (unsigned i = 1; i < 10; i++)
            if ((w->w[i] >> 10 & 3u) == L4_SPACE_MEM)
                w->w[i] = 0;
    }
    if (nr == L4_SYS_THREAD_CONTROL && (w->w[0] >> 12 == 0xfffffu)) /* keep the timeouts */
        w->w[1] &= ~1u;
    for (unsigned i = 0; i < L4_PARAM_WORDS; i++)
        in[i] = w->w[i];
    fuzz_last = nr;
    if (fuzz_calls % 4u == 0)
        (void)call_at(L4_DEBUG_POISON << 4 | L4_SYS_DEBUG, CANARY, 0);
    l4_call(w);
    fuzz_calls++;
    for (unsigned i = 0; i < L4_PARAM_WORDS; i++)
        if ((w->w[i] >= KERNEL || canary_in(w->w[i])) && !was_input(in, w->w[i]) && !(i == 0 && L4_ERR_BASE(w->w[0])) &&
            !((nr == L4_SYS_THREAD_CONTROL || nr == L4_SYS_EXREGS) && (w->w[i] & 0xfffu) == 0 && w->w[i] >= 0xfffff000u)) {
            fuzz_leaks++;
            l4_printf("# call %u word %u is 0x%x\n", nr, i, w->w[i]);
        }
}

static void fuzz_for_ever(void)
{
    static struct l4_words w;

    for (;;)
        fuzz_one(&w);
}

static void fuzz(uint32_t start, uint32_t calls)
{
    uint32_t state[4], id, had, stuck = 0;

    seed = start;
    fuzz_calls = fuzz_leaks = 0;
    (void)endpoint_new();
    (void)kpage_of_ram(0, 12);
    EXPECT_EQ(create(L4_TYPE_RESERVATION, cap_new(), 0, 0), 0);
    EXPECT_EQ(create(L4_TYPE_THREAD, cap_new(), 0, 0), 0);
    id = child_start(fuzz_for_ever, 200, 0x210, 2); /* not its own thread and task */
    EXPECT_EQ(tcr_write(L4_CAP(id), L4_TCR_TIMEOUT0, L4_TIMEOUT(0, 50) << 16 | L4_TIMEOUT(0, 50)), 0);
    while (fuzz_calls < calls && stuck < 100) {
        had = fuzz_calls;
        sleep_us(5000);
        if (fuzz_calls == had) {
            stuck++;
            (void)exregs(1u << L4_XR_ABORT_SHIFT | L4_XR_HALT_GIVEN, L4_CAP(id), 0, 0, 0, 0, NULL);
        }
    }
    kernel_state(state);
    EXPECT_EQ(state[0], 0);
    EXPECT_EQ(fuzz_leaks, 0);
    EXPECT(fuzz_calls >= calls);
}

CASE(outputs_of_random_calls, "I-18 P8 E-02", "3000 calls with random words in a task of its own: no output word is a kernel address or what unused kernel memory is filled with; the invariants hold")
{
    fuzz(1, 3000);
}

CASE(outputs_of_random_calls_2, "I-18 P8 T-06", "the same with other words")
{
    fuzz(0x1234567, 3000);
}

CASE(outputs_of_fault_messages, "P8", "no word of a fault or exception message is a kernel address that the thread did not choose")
{
    struct message msg = { 0 };
    struct victim v;

    CODE(0xa1, 0, 0, 0, 0xb0);
    victim_start(&v, regs_then_target);
    EXPECT_EQ(victim_message(&v, &msg), 4u << 4);
    for (unsigned i = 0; i < 69; i++)
        EXPECT(msg.m[i] < KERNEL);
    msg.m[0] = L4_REPLY_REFLECT;
    EXPECT_EQ(victim_answer(&v, &msg, 0, 1), 0);
    EXPECT_EQ(victim_message(&v, &msg), 13u << 4);
    for (unsigned i = 0; i < 69; i++)
        EXPECT(msg.m[i] < KERNEL);
}
