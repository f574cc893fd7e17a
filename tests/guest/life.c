// SPDX-License-Identifier: MIT
/* Threads in every state: registers exchanged, control registers, destruction.  [M 2.2] [M 2.5.1] [G20] - [G23] */
#include "tests/guest/kit.h"

static volatile uint32_t counter, ep_live, result, loops;

enum { HALTED = L4_XR_OUT_HALTED, RECV = L4_XR_OUT_RECV, SEND = L4_XR_OUT_SEND, NESTED = L4_XR_OUT_NESTED };

/* ---- a thread in each state ---- */

enum state { READY, SENDING, RECEIVING, FAULT_SEND, FAULT_RECV, EXC_SEND, STARTUP, FRESH, UNBOUND, STATES };

static void runs(void)
{
    for (;;) {
        counter++;
        yield_to_others();
    }
}

static void sends(void)
{
    result = send0(ep_live, L4_TS_NEVER);
    loops++;
    runs();
}

static void receives(void)
{
    result = ipc(NO_CAP, 0, 0, L4_CAP(ep_live), 0, 0, L4_TS_NEVER, NULL);
    loops++;
    runs();
}

static void faults(void)
{
    result = *word_at(0xb0000000u);
    loops++;
}

static void traps(void)
{
    __asm__ volatile("ud2");
}

static struct victim live;

static uint32_t thread_in(enum state state)
{
    static void (*const functions[])(void) = { runs, sends, receives, faults, faults, traps };
    struct message msg = { 0 };
    uint32_t id;

    counter = loops = 0;
    result = 0xdead;
    ep_live = endpoint_new();
    switch ((unsigned)state) {
    case STARTUP:
        return startup_waiter();
    case FRESH:
        return thread_make();
    case UNBOUND:
        id = thread_make();
        EXPECT_EQ(tcr_write(L4_CAP(id), L4_TCR_TASK, L4_CAP_INVALID), 0);
        return id;
    default:
        victim_start(&live, functions[state]);
        if (state == FAULT_RECV)
            EXPECT_EQ(victim_message(&live, &msg), 4u << 4);
        settle();
        return live.thread;
    }
}

static const uint32_t status_in[STATES] = {
    [READY] = 0, [SENDING] = SEND, [RECEIVING] = RECV, [FAULT_SEND] = SEND | NESTED, [FAULT_RECV] = RECV | NESTED,
    [EXC_SEND] = SEND | NESTED, [STARTUP] = RECV | NESTED, [FRESH] = HALTED, [UNBOUND] = HALTED,
};

/* Does CC end what the thread is doing? */
static bool is_aborted(enum state state, unsigned cc)
{
    uint32_t status = status_in[state];

    return (status & (SEND | RECV)) && (cc == 1 || (cc == 2 && status & RECV) || (cc == 3 && status & NESTED));
}

static void exchange_case(enum state state)
{
    for (unsigned cc = 0; cc < 4; cc++)
        for (unsigned hh = 0; hh < 4; hh++) { /* H and h */
            uint32_t id, ops = cc << L4_XR_ABORT_SHIFT | hh << 4, after;
            struct l4_words w;
            bool resumed = hh == 2, halted = hh == 3, aborted = is_aborted(state, cc);

            id = thread_in(state);
            EXPECT_EQ(status_of(id), status_in[state]);
            if (resumed && state == UNBOUND) {
                EXPECT_ERROR(exregs(ops, L4_CAP(id), 0, 0, 0, 0, &w), L4_STATE, L4_D_NOT_BOUND);
            } else {
                EXPECT_EQ(exregs(ops, L4_CAP(id), 0, 0, 0, 0, &w) & 15u, 0);
                EXPECT_EQ(w.w[0] & ~15u, status_in[state]); /* the old status */
            }
            settle();
            after = status_of(id);
            if (state == READY) {
                EXPECT_EQ(after, halted ? HALTED : 0);
            } else if (state == SENDING || state == RECEIVING) {
                if (aborted) {
                    EXPECT_EQ(after, halted ? HALTED : 0);
                    if (!halted) {
                        EXPECT_EQ(loops, 1);
                        EXPECT_EQ(L4_ERR_BASE(result), state == SENDING ? L4_SND_ABORT : L4_RCV_ABORT);
                    }
                } else {
                    EXPECT_EQ(after, status_in[state] | (halted ? HALTED : 0));
                }
            } else if (state == FAULT_SEND || state == FAULT_RECV || state == EXC_SEND) {
                /* an aborted fault is repeated, unless the thread halts before */
                if (aborted)
                    EXPECT_EQ(after, halted ? HALTED : SEND | NESTED);
                else
                    EXPECT_EQ(after, status_in[state] | (halted ? HALTED : 0));
                EXPECT_EQ(loops, 0);
            } else if (state == STARTUP) {
                if (!aborted && !resumed)
                    EXPECT_EQ(after, status_in[state] | (halted ? HALTED : 0));
                else
                    EXPECT_EQ(after & NESTED, 0);
            } else if (state == UNBOUND || !resumed) {
                EXPECT_EQ(after, HALTED);
            }
            (void)flush1(L4_FPAGE(L4_CAP(0x210), L4_SPACE_CAP, 16, 15));
            (void)flush1(L4_FPAGE(L4_CAP(0x220), L4_SPACE_CAP, 17, 15));
            (void)flush1(L4_FPAGE(L4_CAP(0x240), L4_SPACE_CAP, 18, 15));
            (void)flush1(L4_FPAGE(L4_CAP(0x280), L4_SPACE_CAP, 19, 15));
            (void)flush1(L4_FPAGE(L4_CAP(0x300), L4_SPACE_CAP, 20, 15));
        }
}

CASE(exregs_ready, "T-03 G22", "CC x h x H on a ready thread") { exchange_case(READY); }
CASE(exregs_sending, "T-03 G22", "CC x h x H on a sending thread") { exchange_case(SENDING); }
CASE(exregs_receiving, "T-03 G22", "CC x h x H on a receiving thread") { exchange_case(RECEIVING); }
CASE(exregs_fault_sending, "T-03 G22", "CC x h x H on a thread whose fault waits for its handler") { exchange_case(FAULT_SEND); }
CASE(exregs_fault_waiting, "T-03 G22", "CC x h x H on a thread that waits for the answer to its fault") { exchange_case(FAULT_RECV); }
CASE(exregs_exception_sending, "T-03 G22", "CC x h x H on a thread whose exception waits for its handler") { exchange_case(EXC_SEND); }
CASE(exregs_startup, "T-03 G20", "CC x h x H on a thread that waits for its startup message") { exchange_case(STARTUP); }
CASE(exregs_fresh, "T-03 G22", "CC x h x H on a fresh halted thread") { exchange_case(FRESH); }
CASE(exregs_unbound, "T-03 G22", "CC x h x H on an unbound thread: resume is STATE, NOT_BOUND") { exchange_case(UNBOUND); }

CASE(exregs_dead, "T-03", "a destroyed thread is an empty name")
{
    uint32_t id = thread_in(READY);

    EXPECT_EQ(flush_cap(id) & 15u, 0);
    EXPECT_ERROR(exregs(0, L4_CAP(id), 0, 0, 0, 0, NULL), L4_CAP, L4_D_EMPTY);
}

CASE(exregs_hardware_thread, "T-03 Q-04 G21", "registers of an interrupt thread: STATE, HWTHREAD; halting and aborting it is harmless")
{
    EXPECT_ERROR(exregs(L4_XR_SET_IP, L4_CAP(L4_S0_IRQ + 7), 1, 2, 3, 4, NULL), L4_STATE, L4_D_HWTHREAD);
    EXPECT_ERROR(exregs(L4_XR_SET_SP, L4_CAP(L4_S0_IRQ + 7), 1, 2, 3, 4, NULL), L4_STATE, L4_D_HWTHREAD);
    EXPECT_ERROR(exregs(L4_XR_SET_FLAGS, L4_CAP(L4_S0_IRQ + 7), 1, 2, 3, 4, NULL), L4_STATE, L4_D_HWTHREAD);
    EXPECT_EQ(exregs(1u << L4_XR_ABORT_SHIFT, L4_CAP(L4_S0_IRQ + 7), 0, 0, 0, 0, NULL) & 15u, 0);
    EXPECT_EQ(exregs(L4_XR_HALT_GIVEN | L4_XR_HALT, L4_CAP(L4_S0_IRQ + 7), 0, 0, 0, 0, NULL) & 15u, 0);
    EXPECT_EQ(status_of(L4_S0_IRQ + 7) & HALTED, HALTED);
    EXPECT_EQ(exregs(L4_XR_HALT_GIVEN, L4_CAP(L4_S0_IRQ + 7), 0, 0, 0, 0, NULL) & 15u, 0);
    EXPECT_EQ(status_of(L4_S0_IRQ + 7), 0);
    EXPECT_ERROR(exregs(L4_XR_HALT_GIVEN, L4_CAP(L4_S0_IRQ), 0, 0, 0, 0, NULL), L4_STATE, L4_D_HWTHREAD);
}

CASE(exregs_reads_and_sets, "M 3.2.2", "IP, SP, flags and handle come back as they were and are set each by its bit alone")
{
    struct l4_words w;
    uint32_t id = thread_make();

    EXPECT_EQ(exregs(0xf00, L4_CAP(id), 0x1000, 0x2000, 0xc1, 0x4000, NULL) & 15u, 0);
    for (unsigned bits = 0; bits < 16; bits++) {
        uint32_t k = bits + 1;

        EXPECT_EQ(exregs(0xf00, L4_CAP(id), 0x1000, 0x2000, 0xc1, 0x4000, NULL) & 15u, 0);
        EXPECT_EQ(exregs(bits << 8, L4_CAP(id), 0x1000 * k + 1, 0x2000 * k + 1, 0x4, 0x4000 * k + 1, &w) & 15u, 0);
        EXPECT_EQ(w.w[1], 0x1000);
        EXPECT_EQ(w.w[2], 0x2000);
        EXPECT_EQ(w.w[3], 0x2c3);
        EXPECT_EQ(w.w[4], 0x4000);
        EXPECT_EQ(exregs(0, L4_CAP(id), 0, 0, 0, 0, &w) & 15u, 0);
        EXPECT_EQ(w.w[1], bits & 1 ? 0x1000 * k + 1 : 0x1000);
        EXPECT_EQ(w.w[2], bits & 2 ? 0x2000 * k + 1 : 0x2000);
        EXPECT_EQ(w.w[3], bits & 4 ? 0x206u : 0x2c3u);
        EXPECT_EQ(w.w[4], bits & 8 ? 0x4000 * k + 1 : 0x4000);
    }
}

CASE(exregs_every_flag, "T-01", "each single flag, and 500 patterns: only those of the mask change, IF stays set")
{
    struct l4_words w;
    uint32_t id = thread_make(), x = 99;

    for (unsigned i = 0; i < 532; i++) {
        uint32_t flags = i < 32 ? 1u << i : (x = x * 1664525u + 1013904223u);

        EXPECT_EQ(exregs(L4_XR_SET_FLAGS, L4_CAP(id), 0, 0, flags, 0, NULL) & 15u, 0);
        EXPECT_EQ(exregs(0, L4_CAP(id), 0, 0, 0, 0, &w) & 15u, 0);
        EXPECT_EQ(w.w[3], (flags & L4_USER_EFLAGS) | 0x202u);
    }
}

static volatile uint32_t flags_seen;

static void shows_flags(void)
{
    uint32_t flags;

    __asm__ volatile("pushfl\n\tpopl %0\n\tcld" : "=r"(flags));
    flags_seen = flags;
}

CASE(exregs_flags_take_effect, "T-01", "what the thread then runs with is what was masked")
{
    uint32_t id = thread_make();

    EXPECT_EQ(exregs(L4_XR_SET_FLAGS, L4_CAP(id), 0, 0, 0xffffffffu & ~0x40100u, 0, NULL) & 15u, 0);
    thread_run(id, shows_flags, page(1) + 4000);
    settle();
    EXPECT_EQ(flags_seen & 0x1b7000u, 0); /* no IOPL, NT, RF, VM, VIF, VIP */
    EXPECT(flags_seen & 0x200u);
    EXPECT_EQ(flags_seen & 0xcd5u, 0xcd5u);
}

CASE(exregs_kernel_addresses, "T-02", "kernel addresses as IP and SP: faults in user mode, nothing of the kernel's is touched")
{
    static const uint32_t places[] = { 0xc0100000u, 0xfffffffcu, 0xc0000000u };
    struct message msg = { 0 };
    struct victim v;

    victim_start(&v, thread_stop);
    settle();
    for (unsigned i = 0; i < 3; i++) {
        victim_jump(&v, (void (*)(void))(uintptr_t)places[i]);
        EXPECT_EQ(victim_message(&v, &msg), 4u << 4);
        EXPECT_EQ(msg.m[1], places[i]);
        EXPECT_EQ(exregs(L4_XR_SET_IP | L4_XR_SET_SP | L4_XR_HALT_GIVEN | 1u << L4_XR_ABORT_SHIFT, L4_CAP(v.thread),
                         address_of(receives), places[i], 0, 0, NULL) & 15u, 0); /* pushes at once */
        EXPECT_EQ(victim_message(&v, &msg), 4u << 4);
        EXPECT(msg.m[1] >= places[i] - 400);
    }
}

static volatile uint32_t duel[2];

static void duellist(uint32_t other)
{
    for (unsigned i = 0; i < 200; i++) {
        (void)exregs(L4_XR_HALT_GIVEN | L4_XR_HALT | 1u << L4_XR_ABORT_SHIFT, L4_CAP(other), 0, 0, 0, 0, NULL);
        (void)exregs(L4_XR_HALT_GIVEN | L4_XR_SET_USER, L4_CAP(other), 0, 0, 0, i, NULL);
        if (i % 16 == 0)
            yield_to_others();
    }
}

static void duellist_a(void) { duellist(duel[1]); loops++; }
static void duellist_b(void) { duellist(duel[0]); loops++; }

CASE(exregs_duel, "T-04", "two threads that halt and resume each other in a loop both finish")
{
    loops = 0;
    duel[0] = 0x380;
    duel[1] = 0x384;
    thread_start_at(duel[0], duellist_a, 255);
    thread_start_at(duel[1], duellist_b, 255);
    for (unsigned i = 0; i < 40; i++)
        settle();
    sleep_us(50000);
    EXPECT_EQ(loops, 2);
}

CASE(exregs_storm, "T-10", "60 threads halted and resumed by a storm of calls, each runs on")
{
    uint32_t ids[60];

    counter = 0;
    for (unsigned i = 0; i < 60; i++) {
        ids[i] = 0x300 + 2 * i;
        EXPECT_EQ(create(L4_TYPE_THREAD, ids[i], 0, 0), 0);
        EXPECT_EQ(tcr_write(L4_CAP(ids[i]), L4_TCR_TASK, OWN_TASK), 0);
    }
    for (unsigned round = 0; round < 20; round++)
        for (unsigned i = 0; i < 60; i++)
            EXPECT_EQ(exregs(L4_XR_HALT_GIVEN | (round & 1 ? L4_XR_HALT : 0), L4_CAP(ids[i]), 0, 0, 0, 0, NULL) & 15u, 0);
    (void)thread_start(runs, 255);
    settle();
    EXPECT(counter > 0);
}

/* ---- control registers ---- */

CASE(tcr_every_register, "T-06 G23", "each of the registers 0 to 17 by capability: what may be written is read back")
{
    static const uint32_t value[18] = {
        0, 0, 0x12345678, 0x9abcdef0, 0x11111fff, 0x22222abc, 0, 0, 0x33333123, 0xfffff000, L4_CAP_FPAGE(3, 2), L4_FPAGE(0x200000, 1, 22, 15),
        L4_FPAGE(0x10000000, 0, 28, 7), L4_CAP_FPAGE(9, 15), L4_ALL_IO, 0, 0x7fff7fff, 0x00010400,
    };
    uint32_t id = thread_make(), got;

    for (uint32_t i = 0; i < 18; i++) {
        uint32_t want = value[i];

        if (i == 1 || i == 6 || i == 7)
            continue;
        if (i >= 4 && i <= 9)
            want &= 0xfffff000u; /* capability numbers */
        if (i == 0)
            want = 0;
        EXPECT_EQ(tcr_write(L4_CAP(id), i, value[i]), 0);
        EXPECT_EQ(tcr_read(L4_CAP(id), i, &got) & 15u, 0);
        EXPECT_EQ(got, want);
    }
}

CASE(tcr_every_register_self, "G23 T-06", "each register by oneself: 1, 3, 4, 5, 8, 9 are DENIED, SELF")
{
    uint32_t got;

    for (uint32_t i = 1; i < 18; i++) {
        bool protected = i == 1 || (i >= 3 && i <= 5) || i == 8 || i == 9;

        EXPECT_EQ(tcr_read(NO_CAP, i, &got) & 15u, 0);
        if (i == 1)
            EXPECT_EQ(got, 0); /* write only */
        if (i == 6 || i == 7)
            continue;
        if (protected)
            EXPECT_ERROR(tcr_write(NO_CAP, i, got), L4_DENIED, L4_D_SELF);
        else
            EXPECT_EQ(tcr_write(NO_CAP, i, got), 0);
    }
}

CASE(tcr_exchange, "M 3.2.5", "r and w together return the old value and write the new one")
{
    struct l4_words w;
    uint32_t value;

    EXPECT_EQ(tcr_write(NO_CAP, L4_TCR_USER, 111), 0);
    EXPECT_EQ(call5(NO_CAP | 1u << 4 | L4_SYS_THREAD_CONTROL, L4_TCR_USER << 2 | 3u, 222, 0, 0, &w), 1u << 4);
    EXPECT_EQ(w.w[1], L4_TCR_USER << 2 | 3u);
    EXPECT_EQ(w.w[2], 111);
    EXPECT_EQ(tcr_read(NO_CAP, L4_TCR_USER, &value) & 15u, 0);
    EXPECT_EQ(value, 222);
}

CASE(tcr_neither, "M 3.2.5", "neither r nor w: nothing happens, the words come back")
{
    struct l4_words w;
    uint32_t value;

    EXPECT_EQ(tcr_write(NO_CAP, L4_TCR_USER, 333), 0);
    EXPECT_EQ(call5(NO_CAP | 1u << 4 | L4_SYS_THREAD_CONTROL, L4_TCR_USER << 2, 444, 5, 6, &w), 1u << 4);
    EXPECT_EQ(w.w[2], 444);
    EXPECT_EQ(tcr_read(NO_CAP, L4_TCR_USER, &value) & 15u, 0);
    EXPECT_EQ(value, 333);
}

CASE(tcr_count_0, "T-06", "a count of 0 does nothing")
{
    EXPECT_EQ(call5(NO_CAP | L4_SYS_THREAD_CONTROL, 63u << 2 | 3u, 0, 0, 0, NULL), 0);
}

CASE(tcr_count_63, "T-06", "63 values behind 13 heads: each in its place, none beyond")
{
    uint32_t head = 2u, id = thread_make();

    for (unsigned k = 0; k < 5; k++)
        head |= (uint32_t)L4_TCR_USER << (2 + 6 * k);
    EXPECT_EQ(tcr_write(L4_CAP(id), L4_TCR_USER, 0x5a5a), 0);
    /* 76 words are more than struct l4_words holds */
    static uint32_t words[90];
    for (unsigned i = 0; i < 90; i++)
        words[i] = 0xeeeeeeeeu;
    for (unsigned g = 1; g < 13; g++)
        words[6 * g - 4] = head; /* W7 is words[2] */
    EXPECT_EQ(call_at(L4_CAP(id) | 63u << 4 | L4_SYS_THREAD_CONTROL, head, (uint32_t)(uintptr_t)words), 63u << 4);
    for (unsigned i = 3; i < 63; i++) {
        unsigned word = 1 + i + i / 5 + 1; /* value i stands in this parameter word */

        if (word >= 5)
            EXPECT_EQ(words[word - 5], 0x5a5a);
    }
    EXPECT_EQ(words[77 - 5], 0xeeeeeeeeu);
}

CASE(tcr_twice_in_a_list, "T-06", "a register that stands in a list twice: the later value stays")
{
    struct l4_words w;
    uint32_t value;

    w.w[0] = NO_CAP | 2u << 4 | L4_SYS_THREAD_CONTROL;
    w.w[1] = L4_TCR_USER << 2 | L4_TCR_USER << 8 | 1u;
    w.w[2] = 5;
    w.w[3] = 6;
    EXPECT_EQ(guest_call(&w) & 15u, 0);
    EXPECT_EQ(tcr_read(NO_CAP, L4_TCR_USER, &value) & 15u, 0);
    EXPECT_EQ(value, 6);
}

CASE(tcr_index_in_error, "G8", "the index in the error is the parameter word of the bad value")
{
    struct l4_words w;
    uint32_t w0;

    w.w[0] = NO_CAP | 3u << 4 | L4_SYS_THREAD_CONTROL;
    w.w[1] = L4_TCR_USER << 2 | L4_TCR_TIMEOUT0 << 8 | L4_TCR_TIMEOUT1 << 14 | 1u;
    w.w[2] = 0;
    w.w[3] = 0;
    w.w[4] = 0x8000;
    w0 = guest_call(&w);
    EXPECT_ERROR(w0, L4_PARAM, L4_D_BAD_VALUE);
    EXPECT_EQ(L4_ERR_INDEX(w0), 4);
}

CASE(tcr_bad_resources, "T-09 G13", "resources must be a capability flexpage or 0; names that are no kernel pages are found out at use")
{
    EXPECT_ERROR(tcr_write(NO_CAP, L4_TCR_SNDRES, L4_FPAGE(0x400000, 0, 12, 15)), L4_PARAM, L4_D_BAD_VALUE);
    EXPECT_ERROR(tcr_write(NO_CAP, L4_TCR_RCVRES, L4_FPAGE(0, 2, 12, 15)), L4_PARAM, L4_D_BAD_VALUE);
    EXPECT_EQ(tcr_write(NO_CAP, L4_TCR_SNDRES, L4_CAP_FPAGE(L4_S0_TASK, 15)), 0);
    peer_start();
    EXPECT_ERROR(give_map(L4_CAP_FPAGE(L4_S0_TASK, 15), L4_CAP(cap_new())), L4_MAP, L4_D_RES_EMPTY);
}

CASE(tcr_dead_resources, "T-09", "resources that were taken away meanwhile are no resources")
{
    uint32_t kp = kpage_new(8, 12);

    EXPECT_EQ(tcr_write(NO_CAP, L4_TCR_SNDRES, L4_CAP_FPAGE(kp, L4_W)), 0);
    EXPECT_EQ(flush_cap(kp) & 15u, 0);
    peer_start();
    EXPECT_ERROR(give_map(L4_CAP_FPAGE(L4_S0_TASK, 15), L4_CAP(cap_new())), L4_MAP, L4_D_RES_EMPTY);
}

CASE(tcr_bind_twice, "T-07 G23", "binding a bound thread, or twice in one list, is STATE, RUNNING")
{
    uint32_t id = cap_new();
    struct l4_words w;

    EXPECT_EQ(create(L4_TYPE_THREAD, id, 0, 0), 0);
    w.w[0] = L4_CAP(id) | 2u << 4 | L4_SYS_THREAD_CONTROL;
    w.w[1] = L4_TCR_TASK << 2 | L4_TCR_TASK << 8 | 1u;
    w.w[2] = w.w[3] = OWN_TASK;
    EXPECT_ERROR(guest_call(&w), L4_STATE, L4_D_RUNNING);
    EXPECT_EQ(tcr_write(L4_CAP(id), L4_TCR_TASK, OWN_TASK), 0);
    EXPECT_ERROR(tcr_write(L4_CAP(id), L4_TCR_TASK, OWN_TASK), L4_STATE, L4_D_RUNNING);
    /* unbind and bind in one list */
    w.w[0] = L4_CAP(id) | 2u << 4 | L4_SYS_THREAD_CONTROL;
    w.w[1] = L4_TCR_TASK << 2 | L4_TCR_TASK << 8 | 1u;
    w.w[2] = L4_CAP_INVALID;
    w.w[3] = OWN_TASK;
    EXPECT_EQ(guest_call(&w) & 15u, 0);
}

CASE(tcr_bind_dead_task, "T-07", "a destroyed task cannot be bound to: CAP, EMPTY")
{
    uint32_t id = cap_new(), task = cap_new();

    EXPECT_EQ(create(L4_TYPE_THREAD, id, 0, 0), 0);
    EXPECT_EQ(create(L4_TYPE_TASK, task, 0, 0), 0);
    EXPECT_EQ(flush_cap(task) & 15u, 0);
    EXPECT_ERROR(tcr_write(L4_CAP(id), L4_TCR_TASK, L4_CAP(task)), L4_CAP, L4_D_EMPTY);
}

CASE(tcr_bind_without_right, "T-07 G3", "binding needs t on the task: CAP, RIGHTS")
{
    uint32_t id = cap_new(), task = cap_new();

    EXPECT_EQ(create(L4_TYPE_THREAD, id, 0, 0), 0);
    EXPECT_EQ(create(L4_TYPE_TASK, task, 0, 0), 0);
    EXPECT_EQ(flush1(L4_CAP_FPAGE(task, L4_T)) & 15u, 0);
    EXPECT_ERROR(tcr_write(L4_CAP(id), L4_TCR_TASK, L4_CAP(task)), L4_CAP, L4_D_RIGHTS);
}

static void unbinds_itself(void)
{
    counter = 1;
    (void)tcr_write(L4_CAP(0x3c0), L4_TCR_TASK, L4_CAP_INVALID);
    counter = 2;
}

CASE(tcr_unbinds_itself, "T-07 T-08", "a thread that unbinds itself through its capability stops within the call")
{
    thread_start_at(0x3c0, unbinds_itself, 255);
    settle();
    EXPECT_EQ(counter, 1);
    EXPECT_EQ(status_of(0x3c0), HALTED);
}

CASE(tcr_latched_timeout, "T-11", "a timeout register changed during an IPC does not change that IPC")
{
    uint32_t id;

    ep_live = endpoint_new();
    result = 0xdead;
    loops = 0;
    id = thread_start(receives, 255);
    settle();
    EXPECT_EQ(tcr_write(L4_CAP(id), L4_TCR_TIMEOUT0, L4_TIMEOUT_ZERO), 0);
    EXPECT_EQ(tcr_write(L4_CAP(id), L4_TCR_TIMEOUT1, L4_TIMEOUT_ZERO), 0);
    sleep_us(2000);
    EXPECT_EQ(result, 0xdead);
    EXPECT_EQ(status_of(id), RECV);
}

enum { LATE_EP = 0x3c4 };

static void handler_to_come(uint32_t id)
{
    EXPECT_EQ(tcr_write(L4_CAP(id), L4_TCR_FAULT_SND, L4_CAP(LATE_EP)), 0);
}

CASE(tcr_handlers_resolved_late, "S20", "a handler is looked up when the fault happens, not when it is set")
{
    struct message msg = { 0 };
    struct victim v;

    victim_start_after(&v, handler_to_come, thread_stop);
    EXPECT_EQ(create(L4_TYPE_ENDPOINT, LATE_EP, 0, 0), 0);
    victim_jump(&v, faults);
    v.fault = LATE_EP;
    EXPECT_EQ(victim_message(&v, &msg), 4u << 4);
}

/* ---- destruction in all states ---- */

static void destroy_in(enum state state)
{
    uint32_t before[4], after[4], id;

    id = thread_in(state);
    kernel_state(before);
    EXPECT_EQ(flush_cap(id) & 15u, 0);
    kernel_state(after);
    EXPECT_EQ(after[0], 0);
    EXPECT_EQ(after[3], before[3] - 1);
    settle();
    /* nobody is left in the queues */
    if (state == SENDING || state == RECEIVING) {
        EXPECT_EQ(L4_ERR_BASE(send0(ep_live, L4_TS_ZERO)), L4_SND_TIMEOUT);
        EXPECT_EQ(tcr_write(NO_CAP, L4_TCR_TIMEOUT1, L4_TIMEOUT_ZERO), 0);
        EXPECT_EQ(L4_ERR_BASE(ipc(NO_CAP, 0, 0, L4_CAP(ep_live), 0, 0, L4_TS_TCR17, NULL)), L4_RCV_TIMEOUT);
    }
}

CASE(destroy_thread_ready, "M 2.5.1", "a ready thread is destroyed") { destroy_in(READY); }
CASE(destroy_thread_sending, "M 2.5.1", "a sending thread leaves its queue when it is destroyed") { destroy_in(SENDING); }
CASE(destroy_thread_receiving, "M 2.5.1", "a receiving thread leaves its queue when it is destroyed") { destroy_in(RECEIVING); }
CASE(destroy_thread_fault, "M 2.5.1", "a thread whose fault waits is destroyed, and its message with it") { destroy_in(FAULT_SEND); }
CASE(destroy_thread_fault_answer, "M 2.5.1", "a thread that waits for an answer to its fault is destroyed") { destroy_in(FAULT_RECV); }
CASE(destroy_thread_exception, "M 2.5.1", "a thread whose exception waits is destroyed") { destroy_in(EXC_SEND); }
CASE(destroy_thread_startup, "M 2.5.1", "a thread that waits for its startup message is destroyed") { destroy_in(STARTUP); }
CASE(destroy_thread_fresh, "M 2.5.1", "a halted thread is destroyed") { destroy_in(FRESH); }
CASE(destroy_thread_unbound, "M 2.5.1", "an unbound thread is destroyed") { destroy_in(UNBOUND); }

static void destroys_itself(void)
{
    counter = 1;
    (void)flush_cap(0x3c0);
    counter = 2;
}

CASE(destroy_thread_itself, "T-08 M-07", "a thread that flushes its own creator capability is gone within the call")
{
    uint32_t before[4], after[4];

    kernel_state(before);
    thread_start_at(0x3c0, destroys_itself, 255);
    settle();
    EXPECT_EQ(counter, 1);
    EXPECT_ERROR(exregs(0, L4_CAP(0x3c0), 0, 0, 0, 0, NULL), L4_CAP, L4_D_EMPTY);
    EXPECT_EQ(flush_cap(0x3c1) & 15u, 0);
    kernel_state(after);
    for (unsigned i = 0; i < 4; i++)
        EXPECT_EQ(after[i], i ? before[i] : 0);
}

static void destroys_own_page(void)
{
    counter = 1;
    (void)flush_cap(0x3d0);
    counter = 2;
}

CASE(destroy_own_kernel_page, "M-07 K-05 K-13", "a thread that releases the page its own control block is in: another one finishes what it began")
{
    uint32_t kp = 0x3d0, id = 0x3c0;
    struct l4_words w;

    EXPECT_EQ(create(L4_TYPE_KPAGE, kp, L4_FPAGE(page(32), L4_SPACE_MEM, 12, L4_T), 0), 0);
    EXPECT_EQ(create_in(kp, L4_TYPE_THREAD, id), 0);
    EXPECT_EQ(tcr_write(L4_CAP(id), L4_TCR_TASK, OWN_TASK), 0);
    EXPECT_EQ(tcr_write(L4_CAP(id), L4_TCR_RCVRES, KPAGES), 0);
    EXPECT_EQ(create(L4_TYPE_RESERVATION, id + 1, 0, 0), 0);
    EXPECT_EQ(schedule(L4_SCHED_SPLIT | L4_SCHED_ASSOCIATE, id + 1, L4_CAP(L4_S0_RESERVATION), L4_CAP(id) | 255u,
                       255u << 24 | L4_SCHED_SOFT, 1000, 100000, &w) & 15u, 0);
    thread_run(id, destroys_own_page, page(1) + 4000);
    settle();
    EXPECT_EQ(counter, 1);
    EXPECT_ERROR(exregs(0, L4_CAP(id), 0, 0, 0, 0, NULL), L4_CAP, L4_D_EMPTY);
    EXPECT_EQ(flush_cap(kp) & 15u, 0);
    *word_at(page(32)) = 1;
    EXPECT_EQ(*word_at(page(32)), 1);
}

static void destroys_own_task(void)
{
    counter = 1;
    (void)flush_cap(peer.thread + 2);
    counter = 2;
}

CASE(destroy_own_task, "T-08", "a thread that revokes the capability of its own task loses just that: the task is its creator's")
{
    peer_start_in_task();
    counter = 0;
    peer.after = destroys_own_task;
    EXPECT_EQ(give_map(0, 0), 0);
    EXPECT_EQ(counter, 2);
}

static void destroy_page_in(enum state state)
{
    uint32_t kp = kpage_new(32, 12), id = 0x3c0, after[4];
    struct l4_words w;
    static void (*const functions[])(void) = { runs, sends, receives, faults };

    ep_live = endpoint_new();
    live.fault = endpoint_new();
    live.reply = endpoint_new();
    EXPECT_EQ(create_in(kp, L4_TYPE_THREAD, id), 0);
    EXPECT_EQ(tcr_write(L4_CAP(id), L4_TCR_TASK, OWN_TASK), 0);
    EXPECT_EQ(tcr_write(L4_CAP(id), L4_TCR_RCVRES, KPAGES), 0);
    EXPECT_EQ(tcr_write(L4_CAP(id), L4_TCR_FAULT_SND, L4_CAP(live.fault)), 0);
    EXPECT_EQ(tcr_write(L4_CAP(id), L4_TCR_FAULT_RCV, L4_CAP(live.reply)), 0);
    EXPECT_EQ(create(L4_TYPE_RESERVATION, id + 1, 0, 0), 0);
    EXPECT_EQ(schedule(L4_SCHED_SPLIT | L4_SCHED_ASSOCIATE, id + 1, L4_CAP(L4_S0_RESERVATION), L4_CAP(id) | 255u,
                       255u << 24 | L4_SCHED_SOFT, 1000, 100000, &w) & 15u, 0);
    thread_run(id, functions[state], page(1) + 4000);
    settle();
    EXPECT_EQ(status_of(id), status_in[state]);
    EXPECT_EQ(flush1(L4_FPAGE(page(32), L4_SPACE_MEM, 12, 0)) & 15u, 0);
    EXPECT_EQ(flush_cap(kp) & 15u, 0);
    kernel_state(after);
    EXPECT_EQ(after[0], 0);
    EXPECT_ERROR(exregs(0, L4_CAP(id), 0, 0, 0, 0, NULL), L4_CAP, L4_D_EMPTY);
    EXPECT_EQ(*word_at(page(32)), 0);
}

CASE(release_page_of_ready_thread, "K-05", "releasing the page of a ready thread destroys it") { destroy_page_in(READY); }
CASE(release_page_of_sender, "K-05", "releasing the page of a sending thread destroys it") { destroy_page_in(SENDING); }
CASE(release_page_of_receiver, "K-05", "releasing the page of a receiving thread destroys it") { destroy_page_in(RECEIVING); }
CASE(release_page_of_faulting_thread, "K-05", "releasing the page of a faulting thread destroys it") { destroy_page_in(FAULT_SEND); }

CASE(destroy_task_with_threads, "S10 M 2.5.1", "destroying a task unbinds and halts its threads; they can be bound anew")
{
    uint32_t id;

    peer_start_in_task();
    id = peer.thread;
    EXPECT_EQ(status_of(id), RECV);
    EXPECT_EQ(flush_cap(id + 2) & 15u, 0);
    EXPECT_EQ(status_of(id), HALTED);
    EXPECT_ERROR(exregs(L4_XR_HALT_GIVEN, L4_CAP(id), 0, 0, 0, 0, NULL), L4_STATE, L4_D_NOT_BOUND);
    EXPECT_EQ(L4_ERR_BASE(send0(peer.ep, L4_TS_ZERO)), L4_SND_TIMEOUT);
    EXPECT_EQ(tcr_write(L4_CAP(id), L4_TCR_TASK, OWN_TASK), 0);
    EXPECT_EQ(status_of(id), HALTED);
    counter = 0;
    thread_run(id, runs, page(1) + 4000);
    settle();
    EXPECT(counter > 0);
}

CASE(destroy_task_with_tables, "K-13 M 2.5.1", "a task with tables, pages, ports and a thread in a fault goes, byte for byte")
{
    struct message msg = { 0 };
    uint32_t before[4], after[4];

    kernel_state(before);
    peer_start_in_task();
    table_item(&msg, 0, KPAGES, L4_SPACE_MEM, 0x10000000u, 23);
    map_item(&msg, 2, L4_FPAGE(page(0), L4_SPACE_MEM, 16, 7), 0x10000000u);
    map_item(&msg, 4, L4_FPAGE(0x60u << 12, L4_SPACE_IO, 17, 6), 0);
    (void)give(&msg, 3, 0);
    table_item(&msg, 0, KPAGES, L4_SPACE_CAP, L4_CAP(0x12345), 22);
    map_item(&msg, 2, L4_CAP_FPAGE(peer.ep, 15), L4_CAP(0x12345));
    EXPECT_EQ(give(&msg, 2, 0), 0);
    EXPECT_EQ(flush_cap(peer.thread + 2) & 15u, 0);
    EXPECT_EQ(flush_cap(peer.thread) & 15u, 0);
    EXPECT_EQ(flush_cap(peer.thread + 1) & 15u, 0);
    EXPECT_EQ(flush_cap(peer.thread + 3) & 15u, 0);
    EXPECT_EQ(flush_cap(peer.ep) & 15u, 0);
    kernel_state(after);
    for (unsigned i = 0; i < 4; i++)
        EXPECT_EQ(after[i], i ? before[i] : 0);
}

CASE(destroy_creator_first, "K-09", "the creator of an object dies first: the object goes with the creator's table, once")
{
    uint32_t before[4], after[4];

    peer_start_in_task();
    kernel_state(before);
    peer.after = NULL;
    EXPECT_EQ(flush_cap(peer.thread + 2) & 15u, 0);
    kernel_state(after);
    EXPECT_EQ(after[0], 0);
    EXPECT_EQ(after[3], before[3] - 1);
}

CASE(destroy_endpoint_with_40_waiters, "K-08 I-08", "an endpoint with 40 waiting senders is destroyed: each gets its capability fault")
{
    uint32_t kp = kpage_of_ram(0, 17);
    struct l4_words w;

    ep_live = endpoint_new();
    loops = 0;
    for (unsigned i = 0; i < 40; i++) {
        uint32_t id = 0x300 + 2 * i;

        EXPECT_EQ(create_in(kp, L4_TYPE_THREAD, id), 0);
        EXPECT_EQ(create_in(kp, L4_TYPE_RESERVATION, id + 1), 0);
        EXPECT_EQ(tcr_write(L4_CAP(id), L4_TCR_TASK, OWN_TASK), 0);
        EXPECT_EQ(tcr_write(L4_CAP(id), L4_TCR_RCVRES, KPAGES), 0);
        EXPECT_EQ(schedule(L4_SCHED_SPLIT | L4_SCHED_ASSOCIATE, id + 1, L4_CAP(L4_S0_RESERVATION), L4_CAP(id) | 255u,
                           255u << 24 | L4_SCHED_SOFT, 1000, 100000, &w) & 15u, 0);
        thread_run(id, sends, page(40 + i / 2) + 2048 * (i % 2) + 2000);
    }
    settle();
    EXPECT_EQ(loops, 0);
    EXPECT_EQ(flush_cap(ep_live) & 15u, 0);
    sleep_us(5000);
    EXPECT_EQ(loops, 40);
    EXPECT_ERROR(result, L4_CAP, L4_D_EMPTY);
}

CASE(destroy_waiters_in_mixed_order, "I-08", "30 waiting senders destroyed in mixed order leave the queue whole: the rest are served")
{
    uint32_t kp = kpage_of_ram(0, 17), order[30], x = 5, served = 0;
    struct l4_words w;

    ep_live = endpoint_new();
    loops = 0;
    for (unsigned i = 0; i < 30; i++) {
        uint32_t id = 0x300 + 2 * i;

        order[i] = id;
        EXPECT_EQ(create_in(kp, L4_TYPE_THREAD, id), 0);
        EXPECT_EQ(create_in(kp, L4_TYPE_RESERVATION, id + 1), 0);
        EXPECT_EQ(tcr_write(L4_CAP(id), L4_TCR_TASK, OWN_TASK), 0);
        EXPECT_EQ(tcr_write(L4_CAP(id), L4_TCR_RCVRES, KPAGES), 0);
        EXPECT_EQ(schedule(L4_SCHED_SPLIT | L4_SCHED_ASSOCIATE, id + 1, L4_CAP(L4_S0_RESERVATION), L4_CAP(id) | 255u,
                           255u << 24 | L4_SCHED_SOFT, 1000, 100000, &w) & 15u, 0);
        thread_run(id, sends, page(40 + i / 2) + 2048 * (i % 2) + 2000);
    }
    settle();
    for (unsigned i = 29; i > 0; i--) {
        unsigned k = (x = x * 1664525u + 1013904223u) % (i + 1);
        uint32_t t = order[i];

        order[i] = order[k];
        order[k] = t;
    }
    for (unsigned i = 0; i < 20; i++)
        EXPECT_EQ(flush_cap(order[i]) & 15u, 0);
    EXPECT_EQ(tcr_write(NO_CAP, L4_TCR_TIMEOUT1, L4_TIMEOUT_ZERO), 0);
    while ((ipc(NO_CAP, 0, 0, L4_CAP(ep_live), 0, 0, L4_TS_TCR17, NULL) & 15u) == 0)
        served++;
    EXPECT_EQ(served, 10);
}

CASE(destroy_cycles, "K-14", "300 times create and destroy of every type: the same free memory as before")
{
    uint32_t before[4], after[4];

    for (unsigned i = 0; i < 300; i++) {
        if (i == 1)
            kernel_state(before);
        EXPECT_EQ(create(L4_TYPE_TASK, 0x3c0, 0, 0), 0);
        EXPECT_EQ(create(L4_TYPE_THREAD, 0x3c1, 0, 0), 0);
        EXPECT_EQ(create(L4_TYPE_ENDPOINT, 0x3c2, 0, 0), 0);
        EXPECT_EQ(create(L4_TYPE_RESERVATION, 0x3c3, 0, 0), 0);
        EXPECT_EQ(create(L4_TYPE_KPAGE, 0x3c4, L4_FPAGE(ram_block(0), L4_SPACE_MEM, 12, L4_T), 0), 0);
        EXPECT_EQ(tcr_write(L4_CAP(0x3c1), L4_TCR_TASK, L4_CAP(0x3c0)), 0);
        EXPECT_EQ(flush1(L4_FPAGE(0x3c0000, L4_SPACE_CAP, 15, 15)) & 15u, 0);
    }
    kernel_state(after);
    for (unsigned i = 0; i < 4; i++)
        EXPECT_EQ(after[i], i ? before[i] : 0);
}

CASE(destroy_address_reused, "I-10", "an answer for a thread that was destroyed does not reach the one created in its place")
{
    struct message msg = { 0 };
    struct victim v;
    uint32_t old;

    victim_start(&v, faults);
    EXPECT_EQ(victim_message(&v, &msg), 4u << 4);
    old = v.thread;
    EXPECT_EQ(flush_cap(old) & 15u, 0);
    EXPECT_EQ(flush_cap(old + 1) & 15u, 0);
    loops = 0;
    thread_start_at(old, runs, 255);
    settle();
    /* nobody waits for the answer */
    EXPECT_EQ(L4_ERR_BASE(send0(v.reply, L4_TS_ZERO)), L4_SND_TIMEOUT);
    EXPECT_EQ(status_of(old), 0);
}
