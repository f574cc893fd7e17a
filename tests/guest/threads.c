// SPDX-License-Identifier: MIT
/* exchange-registers, thread-control, startup, faults, exceptions, time.  [M 2.1.2] [M 2.2] [M 2.4] */
#include "tests/guest/kit.h"

static volatile uint32_t counter, ep_fault, ep_reply, seen;

static void count_for_ever(void)
{
    for (;;) {
        counter++;
        yield_to_others();
    }
}

CASE(exregs_self_read, "G22", "the invalid capability addresses the caller: registers and handle are read")
{
    struct l4_words w;

    EXPECT_EQ(tcr_write(NO_CAP, L4_TCR_USER, 0x1357), 0);
    EXPECT_EQ(exregs(0, NO_CAP, 0, 0, 0, 0, &w) & 15u, 0);
    EXPECT_EQ(w.w[4], 0x1357);
    EXPECT(w.w[1] >= 0x400000u && w.w[1] < 0x800000u);
}

CASE(exregs_self_write, "G22", "oneself may set the handle only")
{
    struct l4_words w;

    EXPECT_EQ(exregs(L4_XR_SET_USER, NO_CAP, 0, 0, 0, 99, &w) & 15u, 0);
    EXPECT_EQ(exregs(0, NO_CAP, 0, 0, 0, 0, &w) & 15u, 0);
    EXPECT_EQ(w.w[4], 99);
    EXPECT_ERROR(exregs(L4_XR_SET_IP, NO_CAP, 0, 0, 0, 0, NULL), L4_DENIED, L4_D_SELF);
    EXPECT_ERROR(exregs(L4_XR_SET_FLAGS, NO_CAP, 0, 0, 0, 0, NULL), L4_DENIED, L4_D_SELF);
    EXPECT_ERROR(exregs(L4_XR_HALT_GIVEN | L4_XR_HALT, NO_CAP, 0, 0, 0, 0, NULL), L4_DENIED, L4_D_SELF);
}

#define ITSELF 0x3c0u
static volatile uint32_t steps;

static void sent_here(void)
{
    struct l4_words w;

    steps |= 4u;
    if ((exregs(L4_XR_HALT_GIVEN | L4_XR_HALT, L4_CAP(ITSELF), 0, 0, 0, 0, &w) & 15u) == 0)
        steps |= w.w[4] == 77 ? 8u : 0x200u; /* not before it was resumed */
    for (;;)
        yield_to_others();
}

/* There is no IPC of its own to abort in the middle of another call. */
static void changes_itself(void)
{
    struct l4_words w;

    steps = 1;
    if ((exregs(L4_XR_SET_USER | 1u << L4_XR_ABORT_SHIFT, L4_CAP(ITSELF), 0, 0, 0, 77, &w) & 15u) == 0)
        steps |= 2u;
    exregs(L4_XR_SET_IP | L4_XR_SET_SP, L4_CAP(ITSELF), (uint32_t)(uintptr_t)sent_here, w.w[2] - 1024u, 0, 0, NULL);
    steps |= 0x100u;
}

CASE(exregs_own_capability, "M 2.2.1 G22", "through its own capability a thread sends itself elsewhere and halts itself, within the call")
{
    struct l4_words w;

    thread_start_at(ITSELF, changes_itself, 255);
    settle();
    EXPECT_EQ(steps, 7);
    EXPECT_EQ(exregs(0, L4_CAP(ITSELF), 0, 0, 0, 0, &w), L4_XR_OUT_HALTED);
    EXPECT_EQ(exregs(L4_XR_HALT_GIVEN, L4_CAP(ITSELF), 0, 0, 0, 0, &w), L4_XR_OUT_HALTED);
    settle();
    EXPECT_EQ(steps, 15);
}

CASE(exregs_empty, "M 2.1.2", "an empty name is CAP, EMPTY; another type CAP, TYPE")
{
    EXPECT_ERROR(exregs(0, L4_CAP(cap_new()), 0, 0, 0, 0, NULL), L4_CAP, L4_D_EMPTY);
    EXPECT_ERROR(exregs(0, OWN_TASK, 0, 0, 0, 0, NULL), L4_CAP, L4_D_TYPE);
}

CASE(exregs_read_right, "M 3.2.2", "without r the outputs are 0, without w nothing is changed")
{
    struct l4_words w;
    uint32_t th = thread_make();

    EXPECT_EQ(exregs(L4_XR_SET_USER, L4_CAP(th), 0, 0, 0, 42, NULL) & 15u, 0);
    EXPECT_EQ(flush1(L4_CAP_FPAGE(th, L4_R)) & 15u, 0);
    EXPECT_EQ(exregs(L4_XR_SET_USER, L4_CAP(th), 0, 0, 0, 43, &w) & 15u, 0);
    EXPECT_EQ(w.w[4], 0);
    EXPECT_EQ(flush1(L4_CAP_FPAGE(th, L4_W)) & 15u, 0);
    EXPECT_ERROR(exregs(L4_XR_SET_USER, L4_CAP(th), 0, 0, 0, 44, NULL), L4_CAP, L4_D_RIGHTS);
}

CASE(exregs_halt_resume, "M 2.2 M 2.2.1", "a halted thread does not run until it is resumed")
{
    struct l4_words w;
    uint32_t th, at;

    counter = 0;
    th = thread_start(count_for_ever, 255);
    settle();
    EXPECT(counter > 0);
    EXPECT_EQ(exregs(L4_XR_HALT_GIVEN | L4_XR_HALT, L4_CAP(th), 0, 0, 0, 0, NULL) & 15u, 0);
    settle();
    at = counter;
    settle();
    EXPECT_EQ(counter, at);
    EXPECT_EQ(exregs(0, L4_CAP(th), 0, 0, 0, 0, &w) & 15u, 0);
    EXPECT(w.w[0] & L4_XR_OUT_HALTED);
    EXPECT_EQ(exregs(L4_XR_HALT_GIVEN, L4_CAP(th), 0, 0, 0, 0, NULL) & 15u, 0);
    settle();
    EXPECT(counter > at);
}

CASE(exregs_h_alone, "M 3.2.2", "H is ignored without h")
{
    uint32_t th, at;

    counter = 0;
    th = thread_start(count_for_ever, 255);
    settle();
    EXPECT_EQ(exregs(L4_XR_HALT, L4_CAP(th), 0, 0, 0, 0, NULL) & 15u, 0);
    at = counter;
    settle();
    EXPECT(counter > at);
}

CASE(exregs_flags_filtered, "G19", "flags are masked: no IOPL, no NT, no VM, IF stays set")
{
    struct l4_words w;
    uint32_t th = thread_make();

    EXPECT_EQ(exregs(L4_XR_SET_FLAGS, L4_CAP(th), 0, 0, 0xffffffffu, 0, NULL) & 15u, 0);
    EXPECT_EQ(exregs(0, L4_CAP(th), 0, 0, 0, 0, &w) & 15u, 0);
    EXPECT_EQ(w.w[3] & 0x3000u, 0);
    EXPECT_EQ(w.w[3] & 0x4000u, 0);
    EXPECT_EQ(w.w[3] & 0x20000u, 0);
    EXPECT(w.w[3] & 0x200u);
    EXPECT_EQ(w.w[3] & ~(L4_USER_EFLAGS | 0x202u), 0);
}

CASE(exregs_state_bits, "G22", "S, R and N tell what the thread is doing")
{
    struct l4_words w;
    uint32_t th = thread_start(thread_stop, 255);

    settle();
    EXPECT_EQ(exregs(0, L4_CAP(th), 0, 0, 0, 0, &w) & 15u, 0);
    EXPECT_EQ(w.w[0] & 0xfffffff0u & ~0xf0u, 0);
}

CASE(tcr_defaults, "M 3.1.3 G23", "fresh threads: handlers invalid, the rest 0")
{
    uint32_t th = thread_make(), value;

    for (uint32_t i = 2; i < 18; i++) {
        if (i == 6 || i == 7 || i == 15)
            continue;
        EXPECT_EQ(tcr_read(L4_CAP(th), i, &value) & 15u, 0);
        EXPECT_EQ(value, (i == 4 || i == 5 || i == 8 || i == 9) ? L4_CAP_INVALID : 0);
    }
}

CASE(tcr_write_read, "M 3.2.5", "what is written is read")
{
    uint32_t th = thread_make(), value;

    EXPECT_EQ(tcr_write(L4_CAP(th), L4_TCR_SENDER, 0xabcdef01u) & 15u, 0);
    EXPECT_EQ(tcr_read(L4_CAP(th), L4_TCR_SENDER, &value) & 15u, 0);
    EXPECT_EQ(value, 0xabcdef01u);
    EXPECT_EQ(tcr_write(L4_CAP(th), L4_TCR_FAULT_SND, L4_CAP(0x123)) & 15u, 0);
    EXPECT_EQ(tcr_read(L4_CAP(th), L4_TCR_FAULT_SND, &value) & 15u, 0);
    EXPECT_EQ(value, L4_CAP(0x123));
}

CASE(tcr_bad_index, "G23", "registers 18 to 63, and writing 6 and 7, are BAD_INDEX")
{
    uint32_t value;

    for (uint32_t i = 18; i < 64; i++)
        EXPECT_ERROR(tcr_read(NO_CAP, i, &value), L4_PARAM, L4_D_BAD_INDEX);
    EXPECT_ERROR(tcr_write(OWN_THREAD, 6, 0), L4_PARAM, L4_D_BAD_INDEX);
    EXPECT_ERROR(tcr_write(OWN_THREAD, 7, 0), L4_PARAM, L4_D_BAD_INDEX);
    EXPECT_EQ(tcr_read(NO_CAP, 6, &value) & 15u, 0);
    EXPECT_EQ(value, 0);
}

CASE(tcr_protected_from_self, "G23", "oneself may not write handlers or the sender id")
{
    EXPECT_EQ(L4_ERR_BASE(tcr_write(NO_CAP, L4_TCR_SENDER, 1)), L4_DENIED);
    EXPECT_EQ(L4_ERR_BASE(tcr_write(NO_CAP, L4_TCR_FAULT_SND, 0)), L4_DENIED);
    EXPECT_EQ(L4_ERR_BASE(tcr_write(NO_CAP, L4_TCR_EXC_RCV, 0)), L4_DENIED);
}

CASE(tcr_all_or_nothing, "G23", "one bad value and none is written")
{
    struct l4_words w;
    uint32_t value;

    w.w[0] = OWN_THREAD | 2u << 4 | L4_SYS_THREAD_CONTROL;
    w.w[1] = L4_TCR_USER << 2 | 40u << 8 | 1u;
    w.w[2] = 0x777;
    w.w[3] = 0;
    EXPECT_ERROR(guest_call(&w), L4_PARAM, L4_D_BAD_INDEX);
    EXPECT_EQ(tcr_read(NO_CAP, L4_TCR_USER, &value) & 15u, 0);
    EXPECT_EQ(value, 0);
}

CASE(tcr_window_type, "G12", "a window's space must fit its register")
{
    EXPECT_ERROR(tcr_write(NO_CAP, L4_TCR_WINDOW, L4_ALL_CAP), L4_PARAM, L4_D_BAD_VALUE);
    EXPECT_ERROR(tcr_write(NO_CAP, L4_TCR_WINDOW + 1, L4_ALL_MEM), L4_PARAM, L4_D_BAD_VALUE);
    EXPECT(tcr_write(NO_CAP, L4_TCR_WINDOW + 3, 1) != 0);
}

CASE(tcr_many_heads, "M 3.2.5", "63 values with 13 heads are read in one call")
{
    static const uint8_t index[5] = { 2, 3, 10, 16, 17 };
    struct l4_words w;
    uint32_t head = 2u, n;

    for (unsigned i = 0; i < 5; i++)
        head |= (uint32_t)index[i] << (2 + 6 * i);
    EXPECT_EQ(tcr_write(NO_CAP, L4_TCR_USER, 0x4242), 0);
    w.w[0] = NO_CAP | 50u << 4 | L4_SYS_THREAD_CONTROL;
    for (n = 0; n < 10; n++)
        w.w[1 + 6 * n] = head;
    EXPECT_EQ(guest_call(&w), 50u << 4);
    for (n = 0; n < 10; n++) {
        EXPECT_EQ(w.w[1 + 6 * n], head);
        EXPECT_EQ(w.w[2 + 6 * n], 0x4242);
    }
}

CASE(tcr_bind_running, "G23 M 2.2.2", "a bound thread cannot be bound again: STATE, RUNNING")
{
    uint32_t th = thread_make();

    EXPECT_ERROR(tcr_write(L4_CAP(th), L4_TCR_TASK, OWN_TASK), L4_STATE, L4_D_RUNNING);
}

CASE(tcr_unbind_bind, "S2 M 2.2 M 2.2.2", "an unbound thread can be bound anew")
{
    uint32_t th = thread_make();

    EXPECT_EQ(tcr_write(L4_CAP(th), L4_TCR_TASK, L4_CAP_INVALID) & 15u, 0);
    EXPECT_EQ(tcr_write(L4_CAP(th), L4_TCR_TASK, OWN_TASK) & 15u, 0);
}

/* ---- faults ---- */

static void touch_nothing(void)
{
    *(volatile uint32_t *)(uintptr_t)0xb0000000u = 1;
    seen = 1;
}

static uint32_t with_handler(void (*fn)(void))
{
    uint32_t th = thread_make();

    ep_fault = endpoint_new();
    ep_reply = endpoint_new();
    EXPECT_EQ(tcr_write(L4_CAP(th), L4_TCR_FAULT_SND, L4_CAP(ep_fault)) & 15u, 0);
    EXPECT_EQ(tcr_write(L4_CAP(th), L4_TCR_FAULT_RCV, L4_CAP(ep_reply)) & 15u, 0);
    seen = 0;
    thread_run(th, fn, page(20) + 4080);
    return th;
}

CASE(fault_memory_message, "G18", "a memory fault is a message with operation, address, IP and the flexpage that helps")
{
    struct message msg = { 0 };

    (void)with_handler(touch_nothing);
    EXPECT_EQ(ipc(NO_CAP, 0, 0, L4_CAP(ep_fault), 0, 63, L4_TS_NEVER, &msg), 4u << 4);
    EXPECT_EQ(msg.m[0], L4_FAULT_M0(L4_OP_WRITE, 15, L4_D_EMPTY, L4_TYPE_MEMORY, L4_R | L4_W));
    EXPECT_EQ(msg.m[1], 0xb0000000u);
    EXPECT(msg.m[2] >= (uint32_t)(uintptr_t)touch_nothing && msg.m[2] < (uint32_t)(uintptr_t)touch_nothing + 64);
    EXPECT_EQ(msg.m[3], L4_FPAGE(0xb0000000u, L4_SPACE_MEM, 12, L4_R | L4_W));
}

CASE(fault_memory_resolved, "M 2.1.2", "a reply that maps the page resolves the fault and the instruction is retried")
{
    struct message msg = { 0 };
    uint32_t kp = cap_new();

    (void)with_handler(touch_nothing);
    EXPECT_EQ(ipc(NO_CAP, 0, 0, L4_CAP(ep_fault), 0, 63, L4_TS_NEVER, &msg), 4u << 4);
    EXPECT_EQ(create(L4_TYPE_KPAGE, kp, L4_FPAGE(page(32), L4_SPACE_MEM, 13, L4_T), 0), 0);
    msg.m[0] = L4_CAP_FPAGE(kp, L4_W);
    msg.m[1] = 0xb0000000u | 22u << 4 | L4_ITEM_TABRES;
    map_item(&msg, 2, L4_FPAGE(page(21), L4_SPACE_MEM, 12, L4_R | L4_W), 0xb0000000u);
    *(volatile uint32_t *)(uintptr_t)page(21) = 0;
    EXPECT_EQ(ipc(L4_CAP(ep_reply), 2, 0, NO_CAP, 0, 0, L4_TS_NEVER, &msg) & 15u, 0);
    settle();
    EXPECT_EQ(seen, 1);
    EXPECT_EQ(*(volatile uint32_t *)(uintptr_t)page(21), 1);
    (void)flush1(L4_FPAGE(0xb0000000u, L4_SPACE_MEM, 12, 15));
}

CASE(fault_reply_without_page, "G18", "an empty reply retries: the same fault comes again")
{
    struct message msg = { 0 };

    (void)with_handler(touch_nothing);
    for (unsigned i = 0; i < 3; i++) {
        EXPECT_EQ(ipc(i ? L4_CAP(ep_reply) : NO_CAP, 0, 0, L4_CAP(ep_fault), 0, 63, L4_TS_NEVER, &msg), 4u << 4);
        EXPECT_EQ(msg.m[1], 0xb0000000u);
    }
    EXPECT_EQ(seen, 0);
}

CASE(fault_reflected, "G19", "reply 1 turns a memory fault into exception 14 with 13 words")
{
    struct message msg = { 0 };

    (void)with_handler(touch_nothing);
    EXPECT_EQ(ipc(NO_CAP, 0, 0, L4_CAP(ep_fault), 0, 63, L4_TS_NEVER, &msg), 4u << 4);
    msg.m[0] = L4_REPLY_REFLECT;
    EXPECT_EQ(ipc(L4_CAP(ep_reply), 0, 1, L4_CAP(ep_fault), 0, 63, L4_TS_NEVER, &msg), 13u << 4);
    EXPECT_EQ(msg.m[0], 2u << 24 | 14u);
    EXPECT_EQ(msg.m[12], 0xb0000000u);
}

static void send_to_nothing(void)
{
    seen = send0(0x20e, L4_TS_NEVER);
}

CASE(fault_capability_message, "G18", "a system call on an empty name sends a fault with the call's number and the parameter's index")
{
    struct message msg = { 0 };

    (void)with_handler(send_to_nothing);
    EXPECT_EQ(ipc(NO_CAP, 0, 0, L4_CAP(ep_fault), 0, 63, L4_TS_NEVER, &msg), 4u << 4);
    EXPECT_EQ(msg.m[0], L4_FAULT_M0(L4_OP_SEND, 0, L4_D_EMPTY, L4_TYPE_ENDPOINT, L4_W));
    EXPECT_EQ(msg.m[1], L4_CAP(0x20e));
    EXPECT_EQ(msg.m[3], L4_CAP_FPAGE(0x20e, L4_W));
}

CASE(fault_capability_fail, "G18", "reply 2 makes the call return CAP with the reason")
{
    struct message msg = { 0 };

    (void)with_handler(send_to_nothing);
    EXPECT_EQ(ipc(NO_CAP, 0, 0, L4_CAP(ep_fault), 0, 63, L4_TS_NEVER, &msg), 4u << 4);
    msg.m[0] = L4_REPLY_FAIL;
    EXPECT_EQ(ipc(L4_CAP(ep_reply), 0, 1, NO_CAP, 0, 0, L4_TS_NEVER, &msg), 0);
    settle();
    EXPECT_ERROR(seen, L4_CAP, L4_D_EMPTY);
}

static void divide_by_zero(void)
{
    __asm__ volatile("xorl %%edx, %%edx\n\tmovl $1, %%eax\n\txorl %%ecx, %%ecx\n\tdivl %%ecx" : : : "eax", "ecx", "edx");
    seen = 7;
}

CASE(exception_divide, "M 2.1.2", "a division by zero is exception 0 with the registers")
{
    struct message msg = { 0 };

    (void)with_handler(divide_by_zero);
    EXPECT_EQ(ipc(NO_CAP, 0, 0, L4_CAP(ep_fault), 0, 63, L4_TS_NEVER, &msg), 13u << 4);
    EXPECT_EQ(msg.m[0], 2u << 24);
    EXPECT_EQ(msg.m[11], 1); /* EAX */
    EXPECT_EQ(msg.m[10], 0); /* ECX */
    msg.m[2] += 2;           /* skip the divl */
    EXPECT_EQ(ipc(L4_CAP(ep_reply), 0, 12, NO_CAP, 0, 0, L4_TS_NEVER, &msg), 0);
    settle();
    EXPECT_EQ(seen, 7);
}

static void privileged(void)
{
    __asm__ volatile("cli");
    seen = 8;
}

CASE(exception_privileged, "E-18", "a privileged instruction is exception 13, not an effect")
{
    struct message msg = { 0 };

    (void)with_handler(privileged);
    EXPECT_EQ(ipc(NO_CAP, 0, 0, L4_CAP(ep_fault), 0, 63, L4_TS_NEVER, &msg), 13u << 4);
    EXPECT_EQ(msg.m[0], 2u << 24 | 13u);
    EXPECT_EQ(seen, 0);
}

static void undefined(void)
{
    __asm__ volatile("ud2");
}

CASE(exception_undefined, "M 2.1.2", "an undefined instruction is exception 6")
{
    struct message msg = { 0 };

    (void)with_handler(undefined);
    EXPECT_EQ(ipc(NO_CAP, 0, 0, L4_CAP(ep_fault), 0, 63, L4_TS_NEVER, &msg), 13u << 4);
    EXPECT_EQ(msg.m[0], 2u << 24 | 6u);
}

CASE(fault_without_handler_halts, "G18", "a memory fault without a handler halts the thread; it is not a loop")
{
    struct l4_words w;
    uint32_t th = thread_make();

    seen = 0;
    thread_run(th, touch_nothing, page(22) + 4080);
    settle();
    EXPECT_EQ(exregs(0, L4_CAP(th), 0, 0, 0, 0, &w) & 15u, 0);
    EXPECT(w.w[0] & L4_XR_OUT_HALTED);
    EXPECT_EQ(seen, 0);
}

CASE(fault_nested_abort, "G22", "CC = 3 ends a nested fault message: the instruction is retried")
{
    struct message msg = { 0 };
    struct l4_words w;
    uint32_t th = with_handler(touch_nothing);

    settle();
    EXPECT_EQ(exregs(0, L4_CAP(th), 0, 0, 0, 0, &w) & 15u, 0);
    EXPECT_EQ(w.w[0] & 0xf0u, L4_XR_OUT_SEND | L4_XR_OUT_NESTED);
    EXPECT_EQ(exregs(3u << L4_XR_ABORT_SHIFT, L4_CAP(th), 0, 0, 0, 0, NULL) & 15u, 0);
    EXPECT_EQ(ipc(NO_CAP, 0, 0, L4_CAP(ep_fault), 0, 63, L4_TS_NEVER, &msg), 4u << 4);
    EXPECT_EQ(msg.m[1], 0xb0000000u);
}

/* ---- time ---- */

CASE(schedule_read_root, "M 2.4.1 G29", "the initial reservation: priority 255, soft, budget = period = 10000")
{
    struct l4_words w;

    w.w[0] = L4_CAP(L4_S0_RESERVATION) | L4_SCHED_READ | L4_SYS_SCHEDULE;
    for (unsigned i = 1; i < 6; i++)
        w.w[i] = 0;
    w.w[1] = w.w[2] = NO_CAP;
    EXPECT_EQ(guest_call(&w) & 15u, 0);
    EXPECT_EQ(w.w[3] >> 24, 255);
    EXPECT(w.w[3] & L4_SCHED_SOFT);
    EXPECT_EQ(w.w[4], 10000);
    EXPECT_EQ(w.w[5], 10000);
}

static uint32_t schedule_prio(uint32_t ops, uint32_t res, uint32_t src, uint32_t prio, uint32_t budget, uint32_t period, struct l4_words *w)
{
    w->w[0] = L4_CAP(res) | ops | L4_SYS_SCHEDULE;
    w->w[1] = src;
    w->w[2] = NO_CAP;
    w->w[3] = prio << 24;
    w->w[4] = budget;
    w->w[5] = period;
    return guest_call(w);
}

CASE(schedule_split, "M 2.4.2 G29", "split takes the share from the source: 2000 of 10000 leaves 7999, then 1500 of 5000 leaves 4999")
{
    struct l4_words w;
    uint32_t a = cap_new(), b = cap_new();

    EXPECT_EQ(create(L4_TYPE_RESERVATION, a, 0, 0), 0);
    EXPECT_EQ(create(L4_TYPE_RESERVATION, b, 0, 0), 0);
    EXPECT_EQ(schedule_prio(L4_SCHED_SPLIT, a, L4_CAP(L4_S0_RESERVATION), 100, 2000, 10000, &w) & 15u, 0);
    EXPECT_EQ(schedule_prio(L4_SCHED_READ, L4_S0_RESERVATION, NO_CAP, 0, 0, 0, &w) & 15u, 0);
    EXPECT_EQ(w.w[4], 7999);
    EXPECT_EQ(schedule_prio(L4_SCHED_SPLIT, b, L4_CAP(L4_S0_RESERVATION), 100, 1500, 5000, &w) & 15u, 0);
    EXPECT_EQ(schedule_prio(L4_SCHED_READ, L4_S0_RESERVATION, NO_CAP, 0, 0, 0, &w) & 15u, 0);
    EXPECT_EQ(w.w[4], 4999);
}

CASE(schedule_destroy_returns_share, "G29", "a destroyed reservation gives its share back")
{
    struct l4_words w;
    uint32_t a = cap_new();

    EXPECT_EQ(create(L4_TYPE_RESERVATION, a, 0, 0), 0);
    EXPECT_EQ(schedule_prio(L4_SCHED_SPLIT, a, L4_CAP(L4_S0_RESERVATION), 100, 2000, 10000, &w) & 15u, 0);
    EXPECT_EQ(flush_cap(a) & 15u, 0);
    EXPECT_EQ(schedule_prio(L4_SCHED_READ, L4_S0_RESERVATION, NO_CAP, 0, 0, 0, &w) & 15u, 0);
    EXPECT_EQ(w.w[4], 10000);
}

CASE(schedule_merge, "G29", "merge returns the whole share to the split parent")
{
    struct l4_words w;
    uint32_t a = cap_new();

    EXPECT_EQ(create(L4_TYPE_RESERVATION, a, 0, 0), 0);
    EXPECT_EQ(schedule_prio(L4_SCHED_SPLIT, a, L4_CAP(L4_S0_RESERVATION), 100, 3000, 10000, &w) & 15u, 0);
    EXPECT_EQ(schedule_prio(L4_SCHED_MERGE, a, L4_CAP(L4_S0_RESERVATION), 0, 0, 0, &w) & 15u, 0);
    EXPECT_EQ(schedule_prio(L4_SCHED_READ, L4_S0_RESERVATION, NO_CAP, 0, 0, 0, &w) & 15u, 0);
    EXPECT_EQ(w.w[4], 10000);
}

CASE(schedule_split_too_much, "G29", "a share above the source's is SHARE, a priority above it PRIO; nothing changes")
{
    struct l4_words w;
    uint32_t a = cap_new(), b = cap_new();

    EXPECT_EQ(create(L4_TYPE_RESERVATION, a, 0, 0), 0);
    EXPECT_EQ(create(L4_TYPE_RESERVATION, b, 0, 0), 0);
    EXPECT_EQ(L4_ERR_DETAIL(schedule_prio(L4_SCHED_SPLIT, a, L4_CAP(L4_S0_RESERVATION), 100, 20000, 10000, &w)) != 0, 1);
    EXPECT_EQ(schedule_prio(L4_SCHED_SPLIT, a, L4_CAP(L4_S0_RESERVATION), 100, 2000, 10000, &w) & 15u, 0);
    EXPECT_EQ(L4_ERR_DETAIL(schedule_prio(L4_SCHED_SPLIT, b, L4_CAP(a), 101, 1000, 10000, &w)), L4_D_PRIO);
    EXPECT_EQ(L4_ERR_DETAIL(schedule_prio(L4_SCHED_SPLIT, b, L4_CAP(a), 100, 3000, 10000, &w)), L4_D_SHARE);
}

CASE(switch_yield, "M 2.4.1 G30", "thread-switch without a destination lets the others run")
{
    counter = 0;
    thread_start(count_for_ever, 255);
    settle();
    EXPECT(counter > 0);
}

CASE(switch_wrong_type, "G30", "the destination must be a thread")
{
    EXPECT_ERROR(call5(OWN_TASK | L4_SYS_THREAD_SWITCH, 0xffffffffu, 0, 0, 0, NULL), L4_CAP, L4_D_TYPE);
    EXPECT_ERROR(call5(L4_CAP(cap_new()) | L4_SYS_THREAD_SWITCH, 0xffffffffu, 0, 0, 0, NULL), L4_CAP, L4_D_EMPTY);
}

CASE(switch_wrong_index, "G30", "N with a wrong index is STATE")
{
    EXPECT_EQ(L4_ERR_BASE(call5(L4_CAP_INVALID | L4_SWITCH_NEXT | L4_SYS_THREAD_SWITCH, 7, 0, 0, 0, NULL)), L4_STATE);
}

CASE(processor_info, "M 2.7.1 G31", "info needs r on a CPU and tells that it runs")
{
    struct l4_words w;

    EXPECT_EQ(call5(L4_CAP(L4_S0_CPU) | L4_CPU_INFO << 4 | L4_SYS_PROCESSOR_CONTROL, 0, 0, 0, 0, &w), 0);
    EXPECT_EQ(w.w[1], 1);
    EXPECT_ERROR(call5(OWN_TASK | L4_CPU_INFO << 4 | L4_SYS_PROCESSOR_CONTROL, 0, 0, 0, 0, NULL), L4_CAP, L4_D_TYPE);
}

CASE(processor_unsupported, "G31", "one processor: starting, frequency and idle policy are NOSYS, UNSUPPORTED_HW")
{
    const uint32_t cpu = L4_CAP(L4_S0_CPU) | L4_SYS_PROCESSOR_CONTROL;

    EXPECT_ERROR(call5(cpu | L4_CPU_START << 4, 0, 0, 0, 0, NULL), L4_NOSYS, L4_D_UNSUPPORTED_HW);
    EXPECT_ERROR(call5(cpu | L4_CPU_FREQUENCY << 4, 0, 0, 0, 0, NULL), L4_NOSYS, L4_D_UNSUPPORTED_HW);
    EXPECT_ERROR(call5(cpu | L4_CPU_IDLE << 4, 0, 0, 0, 0, NULL), L4_NOSYS, L4_D_UNSUPPORTED_HW);
    EXPECT_EQ(L4_ERR_BASE(call5(cpu | L4_CPU_STOP << 4, 0, 0, 0, 0, NULL)), L4_STATE);
}

CASE(reserved_calls, "M 3.1.2 G7", "1 and 11 to 15 are NOSYS")
{
    EXPECT_EQ(L4_ERR_BASE(call5(1, 0, 0, 0, 0, NULL)), L4_NOSYS);
    for (uint32_t nr = 11; nr < 16; nr++)
        EXPECT_EQ(L4_ERR_BASE(call5(nr | 0xfffff000u, ~0u, ~0u, ~0u, ~0u, NULL)), L4_NOSYS);
}

CASE(all_ones, "E-01", "every call with all words -1 returns to its caller")
{
    for (uint32_t nr = 0; nr < 16; nr++)
        if (nr != L4_SYS_DEBUG && nr != L4_SYS_IPC)
            (void)call5(0xfffffff0u | nr, ~0u, ~0u, ~0u, ~0u, NULL);
    EXPECT(true);
}
