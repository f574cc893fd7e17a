// SPDX-License-Identifier: MIT
/*
 * Interrupt lines as messages, and threads that begin with a message.  The line is that of the keyboard controller,
 * which every PC has: it can be told to take a byte from us as if a key had been pressed, so an interrupt
 * comes exactly when we want one.  [M 2.6] [M 2.5.2]
 */
#include "tests/guest/kit.h"

#define LINE        KEY_LINE
#define LINE_THREAD KEY_THREAD
#define SENDER      0x1ce0c10cu
#define ABORT_ALL   (1u << L4_XR_ABORT_SHIFT)

static uint32_t ep_irq, ep_ack;

/* The next message of the line; W0. */
static uint32_t line_wait(struct message *msg)
{
    *msg = (struct message){ 0 };
    return ipc(NO_CAP, 0, 0, L4_CAP(ep_irq), 0, 63, L4_TS_TCR17, msg);
}

static void line_open(void)
{
    struct message msg;

    ep_irq = endpoint_new();
    ep_ack = endpoint_new();
    /* 50 ms for every receive: a lost interrupt must not stop the suite */
    EXPECT_EQ(tcr_write(NO_CAP, L4_TCR_TIMEOUT1, L4_TIMEOUT(6, 782)), 0);
    EXPECT_EQ(tcr_write(LINE_THREAD, L4_TCR_SENDER, SENDER), 0);
    EXPECT_EQ(tcr_write(LINE_THREAD, L4_TCR_FAULT_SND, L4_CAP(ep_irq)), 0);
    EXPECT_EQ(tcr_write(LINE_THREAD, L4_TCR_FAULT_RCV, L4_CAP(ep_ack)), 0);
    EXPECT_EQ(tcr_write(LINE_THREAD, L4_TCR_TASK, OWN_TASK), 0);
    key_interrupts(true);
    for (unsigned i = 0; i < 4 && L4_ERR_BASE(line_wait(&msg)) == L4_OK; i++) { /* what was said before */
        key_taken();
        EXPECT_EQ(send0(ep_ack, L4_TS_ZERO), 0);
    }
}

static void line_close(void)
{
    key_interrupts(false);
    key_taken();
    EXPECT_EQ(tcr_write(LINE_THREAD, L4_TCR_TASK, NO_CAP), 0);
    EXPECT_EQ(tcr_write(LINE_THREAD, L4_TCR_FAULT_SND, NO_CAP), 0);
    EXPECT_EQ(tcr_write(LINE_THREAD, L4_TCR_FAULT_RCV, NO_CAP), 0);
}

static void expect_message(void)
{
    struct message msg;

    EXPECT_EQ(line_wait(&msg), 1u << 4);
    EXPECT_EQ(msg.m[0], L4_PROTO_IRQ << 24 | LINE);
    EXPECT_EQ(msg.sender, SENDER);
}

static void expect_silence(void)
{
    struct message msg;

    EXPECT_ERROR(line_wait(&msg), L4_RCV_TIMEOUT, 0);
}

CASE(irq_message, "M 2.6 G21", "a bound line with handlers sends one word and its sender id; it is closed until the reply")
{
    line_open();
    expect_silence();
    for (unsigned i = 0; i < 5; i++) {
        key_press();
        expect_message();
        expect_silence();
        EXPECT_EQ(send0(ep_ack, L4_TS_ZERO), 0);
    }
    line_close();
}

CASE(irq_unbound_is_closed, "M 2.6 G21", "without a task, or without both handlers, a line sends nothing")
{
    line_open();
    key_press();
    expect_message();
    EXPECT_EQ(send0(ep_ack, L4_TS_ZERO), 0);
    EXPECT_EQ(tcr_write(LINE_THREAD, L4_TCR_FAULT_RCV, NO_CAP), 0);
    key_press();
    expect_silence();
    EXPECT_EQ(tcr_write(LINE_THREAD, L4_TCR_FAULT_RCV, L4_CAP(ep_ack)), 0);
    expect_message(); /* the controller of interrupts has kept it */
    EXPECT_EQ(tcr_write(LINE_THREAD, L4_TCR_TASK, NO_CAP), 0);
    EXPECT_ERROR(send0(ep_ack, L4_TS_ZERO), L4_SND_TIMEOUT, 0);
    line_close();
}

CASE(irq_closed_by_hand, "G21", "exchange-registers with h closes and opens a line, and CC takes the place of the reply")
{
    line_open();
    key_press();
    expect_message();
    EXPECT_EQ(exregs(L4_XR_HALT_GIVEN | L4_XR_HALT, LINE_THREAD, 0, 0, 0, 0, NULL) & 15u, 0);
    EXPECT_EQ(send0(ep_ack, L4_TS_ZERO), 0);
    key_press();
    expect_silence();
    EXPECT_EQ(exregs(L4_XR_HALT_GIVEN, LINE_THREAD, 0, 0, 0, 0, NULL) & 15u, 0);
    expect_message();
    EXPECT_EQ(exregs(ABORT_ALL, LINE_THREAD, 0, 0, 0, 0, NULL) & 15u, 0);
    key_press();
    expect_message();
    line_close();
}

CASE(irq_not_a_user_thread, "G21", "registers of an interrupt thread cannot be set, and lines of the kernel not be taken: STATE, HWTHREAD")
{
    EXPECT_ERROR(exregs(L4_XR_SET_IP, LINE_THREAD, 0, 0, 0, 0, NULL), L4_STATE, L4_D_HWTHREAD);
    EXPECT_ERROR(exregs(L4_XR_SET_SP, LINE_THREAD, 0, 0, 0, 0, NULL), L4_STATE, L4_D_HWTHREAD);
    EXPECT_ERROR(exregs(L4_XR_SET_FLAGS, LINE_THREAD, 0, 0, 0, 0, NULL), L4_STATE, L4_D_HWTHREAD);
    EXPECT(guest_boot->kernel_irqs & 1u);
    EXPECT_ERROR(tcr_write(L4_CAP(L4_S0_IRQ), L4_TCR_TASK, OWN_TASK), L4_STATE, L4_D_HWTHREAD);
}

CASE(irq_handler_destroyed, "G21 G41", "a line whose endpoint is destroyed while it waits for the reply is detached until it is set up anew")
{
    line_open();
    key_press();
    expect_message();
    EXPECT_EQ(flush_cap(ep_ack) & 15u, 0);
    key_press();
    expect_silence();
    ep_ack = endpoint_new();
    EXPECT_EQ(tcr_write(LINE_THREAD, L4_TCR_FAULT_RCV, L4_CAP(ep_ack)), 0);
    expect_message();
    line_close();
}

/* ---- startup ---- */

static struct { uint32_t eax, ebx, ecx, edx, esi, edi, ebp, esp; } volatile begun;
static uint8_t begun_stack[256] __attribute__((aligned(16)));

/* Write the registers down as they are, then wait for ever. */
__asm__(".pushsection .text\n"
        "begin_here:\n\t"
        "movl %eax, begun\n\tmovl %ebx, begun + 4\n\tmovl %ecx, begun + 8\n\tmovl %edx, begun + 12\n\t"
        "movl %esi, begun + 16\n\tmovl %edi, begun + 20\n\tmovl %ebp, begun + 24\n\tmovl %esp, begun + 28\n\t"
        "call thread_stop\n"
        ".popsection");
extern const char begin_here[];

CASE(startup_message, "M 2.5.2 G20 G6", "a fresh thread takes nine registers and three items from messages to capability 0, and waits on while M0 is -1")
{
    uint32_t ep = endpoint_new(), task = cap_new(), thread = cap_new(), resv = cap_new(), spare = endpoint_new();
    const uint32_t sp = (uint32_t)(uintptr_t)(begun_stack + sizeof begun_stack - 16);
    struct message msg = { 0 };
    struct l4_words w;

    EXPECT_EQ(create(L4_TYPE_TASK, task, L4_CAP_FPAGE(ep, L4_R), L4_CAP_FPAGE(0, L4_R)), 0);
    EXPECT_EQ(create(L4_TYPE_THREAD, thread, 0, 0), 0);
    EXPECT_EQ(exregs(0, L4_CAP(thread), 0, 0, 0, 0, &w), L4_XR_OUT_HALTED);
    EXPECT_EQ(tcr_write(L4_CAP(thread), L4_TCR_TASK, L4_CAP(task)), 0);
    EXPECT_EQ(exregs(0, L4_CAP(thread), 0, 0, 0, 0, &w), L4_XR_OUT_NESTED | L4_XR_OUT_RECV);
    EXPECT_EQ(create(L4_TYPE_RESERVATION, resv, 0, 0), 0);
    w = (struct l4_words){ .w = { L4_CAP(resv) | L4_SCHED_SPLIT | L4_SCHED_ASSOCIATE | L4_SYS_SCHEDULE,
                                  L4_CAP(L4_S0_RESERVATION), L4_CAP(thread) | 255u, 255u << 24, 1000, 100000 } };
    EXPECT_EQ(guest_call(&w), 0);

    /* A message that only brings things. */
    msg.m[0] = L4_START_MORE;
    map_item(&msg, 1, L4_CAP_FPAGE(spare, L4_W), L4_CAP(0x123));
    map_item(&msg, 3, L4_FPAGE(0x400000u, L4_SPACE_MEM, 22, L4_R | L4_W | L4_X), 0x400000u);
    EXPECT_EQ(ipc(L4_CAP(ep), 2, 1, NO_CAP, 0, 0, L4_TS_ZERO, &msg), 0);
    for (unsigned i = 0; i < 100 && exregs(0, L4_CAP(thread), 0, 0, 0, 0, &w) == 0; i++)
        yield_to_others(); /* it has to run to take its message */
    EXPECT_EQ(exregs(0, L4_CAP(thread), 0, 0, 0, 0, &w), L4_XR_OUT_NESTED | L4_XR_OUT_RECV);

    /* The one that starts it. */
    begun.eax = begun.esp = 0;
    for (unsigned i = 0; i < 9; i++)
        msg.m[i] = 0x1000u + i;
    msg.m[0] = (uint32_t)(uintptr_t)begin_here;
    msg.m[1] = sp;
    EXPECT_EQ(ipc(L4_CAP(ep), 0, 9, NO_CAP, 0, 0, L4_TS_ZERO, &msg), 0);
    for (unsigned i = 0; i < 100 && !begun.esp; i++)
        yield_to_others();
    EXPECT_EQ(begun.esp, sp);
    EXPECT_EQ(begun.eax, 0x1002);
    EXPECT_EQ(begun.ebx, 0x1003);
    EXPECT_EQ(begun.ecx, 0x1004);
    EXPECT_EQ(begun.edx, 0x1005);
    EXPECT_EQ(begun.esi, 0x1006);
    EXPECT_EQ(begun.edi, 0x1007);
    EXPECT_EQ(begun.ebp, 0x1008);
    /* No second start: nobody receives there any more. */
    EXPECT_ERROR(send0(ep, L4_TS_ZERO), L4_SND_TIMEOUT, 0);
}

CASE(startup_by_exregs, "G20", "h = 1, H = 0 starts a thread that waits for its startup message, at the IP and SP that are set")
{
    uint32_t ep = endpoint_new(), id;
    struct l4_words w;

    /* Our own capability 0 is empty: a thread of this task does not wait at all. */
    id = thread_make();
    EXPECT_EQ(exregs(0, L4_CAP(id), 0, 0, 0, 0, &w), L4_XR_OUT_HALTED);
    begun.esp = 0;
    thread_run(id, (void (*)(void))(uintptr_t)begin_here, (uint32_t)(uintptr_t)(begun_stack + sizeof begun_stack - 16));
    for (unsigned i = 0; i < 100 && !begun.esp; i++)
        yield_to_others();
    EXPECT(begun.esp != 0);
    EXPECT_ERROR(send0(ep, L4_TS_ZERO), L4_SND_TIMEOUT, 0);
}
