// SPDX-License-Identifier: MIT
/*
 * Operations that another thread meets half-way, and interrupts that nobody wants.  A thread of low priority works,
 * we sleep for some microseconds and wake in the middle.  [M 2.1.1] [M 2.6] [G40] - [G42]
 */
#include "tests/guest/kit.h"

#define FIRST 0x10000u
#define MANY  1200u

static volatile uint32_t worker_result, worker_done, buffer_at, ep_race;

/* ---- unmap ---- */

static void unmapper(void)
{
    worker_result = unmap1(L4_CAP_FPAGE(FIRST, 15));
    worker_done = 1;
}

/* FIRST with MANY copies, each of every tenth with a copy of its own behind FIRST + 0x2000. */
static uint32_t make_star(void)
{
    uint32_t kp = kpage_of_ram(0, 17);

    peer_start();
    EXPECT_EQ(tcr_write(L4_CAP(peer.thread), L4_TCR_RCVRES, L4_CAP_FPAGE(kp, L4_W)), 0);
    EXPECT_EQ(tcr_write(NO_CAP, L4_TCR_SNDRES, L4_CAP_FPAGE(kp, L4_W)), 0);
    EXPECT_EQ(create_in(kp, L4_TYPE_ENDPOINT, FIRST), 0);
    return kp;
}

static void fill_star(void)
{
    struct message msg = { 0 };

    for (uint32_t i = 1; i <= MANY; i += 3) {
        for (unsigned k = 0; k < 3; k++)
            map_item(&msg, 2 * k, L4_CAP_FPAGE(FIRST, 15), L4_CAP(FIRST + i + k));
        EXPECT_EQ(ipc(L4_CAP(peer.ep), 3, 0, NO_CAP, 0, 0, L4_TS_NEVER, &msg), 0);
    }
    for (uint32_t i = 10; i < MANY; i += 10) {
        map_item(&msg, 0, L4_CAP_FPAGE(FIRST + i, 15), L4_CAP(FIRST + 0x2000 + i));
        EXPECT_EQ(ipc(L4_CAP(peer.ep), 1, 0, NO_CAP, 0, 0, L4_TS_NEVER, &msg), 0);
    }
    settle();
}

static bool alive(uint32_t id)
{
    return L4_ERR_BASE(send0(id, L4_TS_ZERO)) == L4_SND_TIMEOUT;
}

static uint32_t left_over(void)
{
    uint32_t n = 0;

    for (uint32_t i = 1; i <= MANY; i++)
        n += alive(FIRST + i);
    for (uint32_t i = 10; i < MANY; i += 10)
        n += alive(FIRST + 0x2000 + i);
    return n;
}

enum meddling { MAP_BELOW, UNMAP_ANCESTOR, UNMAP_DESCENDANT, UNMAP_SAME, ABORT, DESTROY, UNBIND };

/* Start the unmap, wake in its middle, meddle; how many times it was the middle. */
static void meddle(enum meddling how)
{
    uint32_t caught = 0, th = 0x3a0, state[4];

    (void)make_star();
    for (uint32_t us = 10; us < 300 && caught < 3; us += 25) {
        struct message msg = { 0 };
        bool extra = false;

        fill_star();
        worker_result = 0xdead;
        worker_done = 0;
        thread_start_at(th, unmapper, 100);
        sleep_us(us);
        if (!worker_done && left_over() < MANY && !worker_done) { /* our own time may have ended meanwhile */
            uint32_t was_done;

            caught++;
            switch (how) {
            case MAP_BELOW: /* from one that is still there, if any, and from the root */
                for (uint32_t i = 1; i <= MANY && !extra; i++)
                    if (alive(FIRST + i)) {
                        map_item(&msg, 0, L4_CAP_FPAGE(FIRST + i, 15), L4_CAP(FIRST + 0x3000));
                        (void)give(&msg, 1, 0);
                        extra = true;
                    }
                break;
            case UNMAP_ANCESTOR:
            case UNMAP_SAME:
                EXPECT_EQ(unmap1(L4_CAP_FPAGE(FIRST, 15)) & 15u, 0);
                EXPECT_EQ(left_over(), 0);
                break;
            case UNMAP_DESCENDANT:
                EXPECT_EQ(flush1(L4_FPAGE(L4_CAP(FIRST + 0x400), L4_SPACE_CAP, 18, 15)) & 15u, 0);
                break;
            case ABORT:
                (void)exregs(1u << L4_XR_ABORT_SHIFT | L4_XR_HALT_GIVEN | L4_XR_HALT, L4_CAP(th), 0, 0, 0, 0, NULL);
                break;
            case DESTROY:
                EXPECT_EQ(flush_cap(th) & 15u, 0);
                break;
            case UNBIND:
                EXPECT_EQ(tcr_write(L4_CAP(th), L4_TCR_TASK, L4_CAP_INVALID), 0);
                break;
            }
            was_done = worker_done;
            kernel_state(state);
            EXPECT_EQ(state[0], 0);
            sleep_us(3000);
            if (how == DESTROY || how == UNBIND) { /* somebody else completes it */
                EXPECT_EQ(worker_done, was_done);
                EXPECT_EQ(unmap1(L4_CAP_FPAGE(FIRST, 15)) & 15u, 0);
            } else {
                EXPECT_EQ(worker_result, how == ABORT && !worker_done ? 0xdead : 1u << 4);
            }
            EXPECT_EQ(left_over(), 0);
            EXPECT(!alive(FIRST + 0x3000));
            EXPECT(alive(FIRST));
        }
        sleep_us(3000);
        (void)flush_cap(th);
        (void)flush_cap(th + 1);
        EXPECT_EQ(unmap1(L4_CAP_FPAGE(FIRST, 15)) & 15u, 0);
        stacks_keep(1);
    }
    EXPECT(caught);
}

CASE(race_map_below_dying, "M-04 G40", "a mapping made below a node that is being revoked does not outlive the unmap") { meddle(MAP_BELOW); }
CASE(race_unmap_twice, "M-05", "two threads unmap the same: both finish, once") { meddle(UNMAP_SAME); }
CASE(race_unmap_descendant, "M-05", "a flush of descendants while an ancestor is unmapped: both finish") { meddle(UNMAP_DESCENDANT); }
CASE(race_unmap_aborted, "M-06", "exchange-registers abort and halt an unmap: it ends before the thread halts") { meddle(ABORT); }
CASE(race_unmapper_destroyed, "M-06 G41", "the unmapping thread is destroyed in the middle: another one completes it") { meddle(DESTROY); }
CASE(race_unmapper_unbound, "M-06", "the unmapping thread is unbound in the middle: another one completes it") { meddle(UNBIND); }

/* ---- create ---- */

static volatile uint32_t racers, winners, race_kp;

static void racer(uint32_t id)
{
    uint32_t w0 = create_in(race_kp, L4_TYPE_ENDPOINT, id);

    if (w0 == 0)
        winners++;
    else
        EXPECT_ERROR(w0, L4_NOMEM, L4_D_RES_FULL);
    racers++;
}

static void racer_a(void) { racer(0x3e0); }
static void racer_b(void) { racer(0x3e1); }

CASE(race_last_bytes, "K-07", "two threads create in the last free bytes: one gets them")
{
    uint32_t n = 0;

    race_kp = kpage_new(8, 12);
    while (create_in(race_kp, L4_TYPE_ENDPOINT, 0x300 + n) == 0)
        n++;
    EXPECT_EQ(flush_cap(0x300) & 15u, 0);
    racers = winners = 0;
    (void)thread_start(racer_a, 255);
    (void)thread_start(racer_b, 255);
    settle();
    EXPECT_EQ(racers, 2);
    EXPECT_EQ(winners, 1);
}

CASE(race_mixed_page, "K-10", "a page with objects of every kind, destroyed in 12 mixed orders: all bytes come back")
{
    uint32_t order[24], x = 17, before[4], after[4], kp = kpage_of_ram(0, 14);

    peer_start();
    kernel_state(before);
    for (unsigned round = 0; round < 12; round++) {
        unsigned n = 0;
        struct message msg = { 0 };

        for (unsigned i = 0; i < 4; i++) {
            EXPECT_EQ(create_in(kp, L4_TYPE_THREAD, 0x3a0 + n), 0);
            order[n] = 0x3a0 + n, n++;
            EXPECT_EQ(create_in(kp, L4_TYPE_ENDPOINT, 0x3a0 + n), 0);
            order[n] = 0x3a0 + n, n++;
            EXPECT_EQ(create_in(kp, L4_TYPE_RESERVATION, 0x3a0 + n), 0);
            order[n] = 0x3a0 + n, n++;
            resource_item(&msg, 0, L4_CAP_FPAGE(kp, L4_W));
            map_item(&msg, 2, L4_CAP_FPAGE(L4_S0_TASK, 15), L4_CAP(0x3a0 + n));
            EXPECT_EQ(give(&msg, 2, 0), 0);
            order[n] = 0x3a0 + n, n++;
        }
        for (unsigned i = n - 1; i > 0; i--) {
            unsigned k = (x = x * 1664525u + 1013904223u) % (i + 1);
            uint32_t t = order[i];

            order[i] = order[k];
            order[k] = t;
        }
        for (unsigned i = 0; i < n; i++)
            EXPECT_EQ(flush_cap(order[i]) & 15u, 0);
        kernel_state(after);
        for (unsigned i = 0; i < 4; i++)
            EXPECT_EQ(after[i], i ? before[i] : 0);
    }
}

/* ---- words in memory ---- */

static void receives_to_buffer(void)
{
    worker_result = call_at(L4_IPC_W0(L4_CAP_INVALID, 0, 0), L4_IPC_W1(L4_CAP(ep_race), 0, 63, 0), buffer_at);
    worker_done = 1;
}

static void sends_from_buffer(void)
{
    worker_result = call_at(L4_IPC_W0(L4_CAP(ep_race), 0, 63), L4_IPC_W1(L4_CAP_INVALID, 0, 0, 0), buffer_at);
    worker_done = 1;
}

CASE(race_parameter_page_converted, "E-14", "the page for a waiting receiver's words becomes a kernel page: nothing is written there, the receiver faults")
{
    struct message msg = { 0 };
    struct victim v;
    uint32_t kp = cap_new();

    buffer_at = page(25) + 64;
    ep_race = endpoint_new();
    worker_done = 0;
    victim_start(&v, receives_to_buffer);
    settle();
    EXPECT_EQ(create(L4_TYPE_KPAGE, kp, L4_FPAGE(page(25), L4_SPACE_MEM, 12, L4_T), 0), 0);
    for (unsigned i = 0; i < 60; i++)
        EXPECT_EQ(create_in(kp, L4_TYPE_ENDPOINT, 0x340 + i), 0);
    for (unsigned i = 0; i < 63; i++)
        msg.m[i] = 0xaaaaaaaau;
    EXPECT_EQ(ipc(L4_CAP(ep_race), 0, 63, NO_CAP, 0, 0, L4_TS_NEVER, &msg), 0);
    EXPECT_EQ(victim_message(&v, &msg), 4u << 4);
    EXPECT_EQ(msg.m[0] >> 8 & 15u, L4_D_CONVERTED);
    EXPECT_EQ(flush_cap(kp) & 15u, 0);
    EXPECT_EQ(victim_answer(&v, &msg, 0, 0), 0);
    settle();
    EXPECT_EQ(worker_done, 1);
    EXPECT_EQ(worker_result, 63u << 4);
    EXPECT_EQ(*word_at(buffer_at), 0xaaaaaaaau);
}

CASE(race_words_read_once, "E-15 G9", "words that are rewritten while their sender waits arrive as they were when it called")
{
    struct message msg = { 0 };

    buffer_at = page(25);
    ep_race = endpoint_new();
    for (unsigned i = 0; i < 60; i++)
        *word_at(buffer_at + 4 * i) = i;
    (void)thread_start(sends_from_buffer, 255);
    settle();
    for (unsigned i = 0; i < 60; i++)
        *word_at(buffer_at + 4 * i) = 0xbad;
    EXPECT_EQ(ipc(NO_CAP, 0, 0, L4_CAP(ep_race), 0, 63, L4_TS_NEVER, &msg), 63u << 4);
    for (unsigned i = 0; i < 60; i++)
        EXPECT_EQ(msg.m[3 + i], i);
}

/* ---- interrupts that nobody wants: the clock chip's line 8, 8192 times a second ---- */

#define RTC_LINE 8u
#define RTC_THREAD L4_CAP(L4_S0_IRQ + RTC_LINE)

static uint8_t rtc(uint8_t number)
{
    l4_outb(0x70, number);
    return l4_inb(0x71);
}

static void rtc_set(uint8_t number, uint8_t value)
{
    l4_outb(0x70, number);
    l4_outb(0x71, value);
}

static void rtc_periodic(bool on)
{
    rtc_set(0x0a, (rtc(0x0a) & 0xf0u) | 3u);
    if (on)
        (void)rtc(0x0c); /* not behind it: a tick in between would be answered, and the next one wait */
    rtc_set(0x0b, (uint8_t)((rtc(0x0b) & 0x8fu) | (on ? 0x40u : 0u)));
    if (!on)
        (void)rtc(0x0c);
}

static uint32_t ep_irq, ep_ack;

static void rtc_open(void)
{
    ep_irq = endpoint_new();
    ep_ack = endpoint_new();
    EXPECT_EQ(tcr_write(RTC_THREAD, L4_TCR_FAULT_SND, L4_CAP(ep_irq)), 0);
    EXPECT_EQ(tcr_write(RTC_THREAD, L4_TCR_FAULT_RCV, L4_CAP(ep_ack)), 0);
    EXPECT_EQ(tcr_write(RTC_THREAD, L4_TCR_TASK, OWN_TASK), 0);
}

static void rtc_close(void)
{
    rtc_periodic(false);
    EXPECT_EQ(tcr_write(RTC_THREAD, L4_TCR_TASK, NO_CAP), 0);
    EXPECT_EQ(tcr_write(RTC_THREAD, L4_TCR_FAULT_SND, NO_CAP), 0);
    EXPECT_EQ(tcr_write(RTC_THREAD, L4_TCR_FAULT_RCV, NO_CAP), 0);
}

/* Until the chip says that it has raised its line (its clock is not the processor's). */
static bool rtc_raised(void)
{
    for (uint32_t i = 0; i < 4000000; i++)
        if (rtc(0x0c) & 0x40u)
            return true;
    return false;
}

static uint32_t rtc_message(struct message *msg)
{
    EXPECT_EQ(tcr_write(NO_CAP, L4_TCR_TIMEOUT1, L4_TIMEOUT_ZERO), 0);
    for (uint32_t i = 0; i < 200000; i++) {
        uint32_t w0 = ipc(NO_CAP, 0, 0, L4_CAP(ep_irq), 0, 63, L4_TS_TCR17, msg);

        if (L4_ERR_BASE(w0) != L4_RCV_TIMEOUT)
            return w0;
    }
    return L4_RCV_TIMEOUT;
}

CASE(irq_rtc_messages, "M 2.6 G21", "20 interrupts of the clock chip in a row, each one message and one answer")
{
    struct message msg = { 0 };

    rtc_open();
    rtc_periodic(true);
    for (unsigned i = 0; i < 20; i++) {
        EXPECT_EQ(rtc_message(&msg), 1u << 4);
        EXPECT_EQ(msg.m[0], L4_PROTO_IRQ << 24 | RTC_LINE);
        EXPECT_EQ(status_of(L4_S0_IRQ + RTC_LINE), L4_XR_OUT_RECV | L4_XR_OUT_NESTED);
        (void)rtc(0x0c);
        EXPECT_EQ(send0(ep_ack, L4_TS_ZERO), 0);
    }
    rtc_close();
}

CASE(irq_storm_unbound, "Q-01", "a line that is raised for ever and bound to nobody stays masked; everything else goes on")
{
    uint32_t had = clock_us();

    rtc_periodic(true);
    EXPECT(rtc_raised());
    EXPECT(rtc_raised());
    sleep_us(5000);
    EXPECT(clock_us() - had >= 5000);
    rtc_periodic(false);
}

CASE(irq_storm_unanswered, "Q-01 Q-02", "a line that is not answered sends one message and no second, however often it is raised")
{
    struct message msg = { 0 };

    rtc_open();
    rtc_periodic(true);
    EXPECT_EQ(rtc_message(&msg), 1u << 4);
    for (unsigned i = 0; i < 10; i++)
        EXPECT(rtc_raised());
    EXPECT_EQ(L4_ERR_BASE(ipc(NO_CAP, 0, 0, L4_CAP(ep_irq), 0, 63, L4_TS_TCR17, &msg)), L4_RCV_TIMEOUT);
    EXPECT_EQ(send0(ep_ack, L4_TS_ZERO), 0);
    EXPECT_EQ(rtc_message(&msg), 1u << 4);
    rtc_close();
}

CASE(irq_handler_dead, "Q-02", "the handler's endpoint is gone when the line is raised: the line is masked, and a new handler gets it again")
{
    struct message msg = { 0 };

    rtc_open();
    rtc_periodic(true);
    EXPECT_EQ(rtc_message(&msg), 1u << 4);
    EXPECT_EQ(flush_cap(ep_irq) & 15u, 0);
    (void)rtc(0x0c);
    EXPECT_EQ(send0(ep_ack, L4_TS_ZERO), 0); /* armed again; its next message has no receiver */
    EXPECT(rtc_raised());
    sleep_us(1000);
    rtc_close();
    rtc_open();
    rtc_periodic(true);
    EXPECT_EQ(rtc_message(&msg), 1u << 4);
    rtc_close();
}

CASE(irq_two_lines_one_endpoint, "Q-03", "two lines share one endpoint: messages tell them apart; a line cannot be bound twice")
{
    struct message msg = { 0 };

    rtc_open();
    EXPECT_EQ(tcr_write(L4_CAP(L4_S0_IRQ + 12), L4_TCR_FAULT_SND, L4_CAP(ep_irq)), 0);
    EXPECT_EQ(tcr_write(L4_CAP(L4_S0_IRQ + 12), L4_TCR_FAULT_RCV, L4_CAP(ep_ack)), 0);
    EXPECT_EQ(tcr_write(L4_CAP(L4_S0_IRQ + 12), L4_TCR_TASK, OWN_TASK), 0);
    EXPECT_ERROR(tcr_write(RTC_THREAD, L4_TCR_TASK, OWN_TASK), L4_STATE, L4_D_RUNNING);
    rtc_periodic(true);
    EXPECT_EQ(rtc_message(&msg), 1u << 4);
    EXPECT_EQ(msg.m[0], L4_PROTO_IRQ << 24 | RTC_LINE);
    rtc_close();
    for (unsigned i = 0; i < 2; i++)
        EXPECT_EQ(tcr_write(L4_CAP(L4_S0_IRQ + 12), L4_TCR_FAULT_SND + i, NO_CAP), 0);
    EXPECT_EQ(tcr_write(L4_CAP(L4_S0_IRQ + 12), L4_TCR_TASK, NO_CAP), 0);
}

CASE(irq_unbound_with_message_waiting, "Q-04 G21", "a line is unbound, halted and aborted while its message waits: the message goes, and nothing is left")
{
    struct message msg = { 0 };

    for (unsigned how = 0; how < 3; how++) {
        rtc_open();
        rtc_periodic(true);
        for (uint32_t i = 0; i < 200000 && !(status_of(L4_S0_IRQ + RTC_LINE) & L4_XR_OUT_SEND); i++)
            ;
        EXPECT_EQ(status_of(L4_S0_IRQ + RTC_LINE), L4_XR_OUT_SEND | L4_XR_OUT_NESTED);
        rtc_periodic(false);
        if (how == 0)
            EXPECT_EQ(tcr_write(RTC_THREAD, L4_TCR_TASK, NO_CAP), 0);
        else if (how == 1)
            EXPECT_EQ(exregs(1u << L4_XR_ABORT_SHIFT, RTC_THREAD, 0, 0, 0, 0, NULL) & 15u, 0);
        else
            EXPECT_EQ(flush_cap(ep_irq) & 15u, 0);
        EXPECT_EQ(tcr_write(NO_CAP, L4_TCR_TIMEOUT1, L4_TIMEOUT_ZERO), 0);
        if (how < 2)
            EXPECT_EQ(L4_ERR_BASE(ipc(NO_CAP, 0, 0, L4_CAP(ep_irq), 0, 63, L4_TS_TCR17, &msg)), L4_RCV_TIMEOUT);
        EXPECT_EQ(status_of(L4_S0_IRQ + RTC_LINE) & ~L4_XR_OUT_HALTED, 0);
        rtc_close();
    }
}

CASE(timer_ports_are_the_kernels, "S-06 G32", "not even the first task has the ports of the kernel's timer and interrupt controllers")
{
    static const uint8_t ports[] = { 0x20, 0x21, 0x40, 0x41, 0x42, 0x43, 0xa0, 0xa1 };
    static const uint8_t out[] = { 0xe6, 0 };
    struct message msg = { 0 };
    struct victim v;

    for (unsigned i = 0; i < sizeof ports; i++) {
        victim_code(out, 2);
        *(uint8_t *)(uintptr_t)(page(CODE_PAGE) + 1) = ports[i];
        if (i)
            victim_jump(&v, regs_then_target);
        else
            victim_start(&v, regs_then_target);
        EXPECT_EQ(victim_message(&v, &msg), 4u << 4);
        EXPECT_EQ(msg.m[0], L4_FAULT_M0(L4_OP_IO, 15, L4_D_EMPTY, L4_TYPE_IOPORT, L4_R | L4_W));
        EXPECT_EQ(msg.m[1], (uint32_t)ports[i] << 12);
    }
}
