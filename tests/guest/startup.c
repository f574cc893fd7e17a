// SPDX-License-Identifier: MIT
/* The message that a thread begins with.  [M 2.5.2] [G20] */
#include "tests/guest/kit.h"

static volatile uint32_t counter;

enum { HALTED = L4_XR_OUT_HALTED, RECV = L4_XR_OUT_RECV, NESTED = L4_XR_OUT_NESTED };

static void runs(void)
{
    for (;;) {
        counter++;
        yield_to_others();
    }
}

static volatile uint32_t start_regs[9];
void startup_code(void);
__asm__(".text\n"
        ".globl startup_code\n"
        "startup_code:\n"
        "\tmovl %eax, start_regs\n"
        "\tmovl %ebx, start_regs+4\n"
        "\tmovl %ecx, start_regs+8\n"
        "\tmovl %edx, start_regs+12\n"
        "\tmovl %esi, start_regs+16\n"
        "\tmovl %edi, start_regs+20\n"
        "\tmovl %ebp, start_regs+24\n"
        "\tmovl %esp, start_regs+28\n"
        "\tpushfl\n"
        "\tpopl start_regs+32\n"
        "1:\tjmp 1b\n");

/* A startup waiter in its own task with time; +1 task, +2 endpoint. */
static uint32_t startup_ready(void)
{
    uint32_t id = startup_waiter(), res = cap_new();
    struct l4_words w;

    EXPECT_EQ(create(L4_TYPE_RESERVATION, res, 0, 0), 0);
    EXPECT_EQ(schedule(L4_SCHED_SPLIT | L4_SCHED_ASSOCIATE, res, L4_CAP(L4_S0_RESERVATION), L4_CAP(id) | 255u,
                       255u << 24 | L4_SCHED_SOFT, 1000, 100000, &w) & 15u, 0);
    for (unsigned i = 0; i < 9; i++)
        start_regs[i] = 0xdeadbeef;
    return id;
}

CASE(startup_registers, "G20", "the startup message sets IP, SP, EAX, EBX, ECX, EDX, ESI, EDI, EBP; flags are 0x202")
{
    struct message msg = { 0 };
    uint32_t id = startup_ready();

    for (unsigned i = 0; i < 9; i++)
        msg.m[i] = 0x1010101u * (i + 1);
    msg.m[0] = address_of(startup_code);
    msg.m[1] = page(47) + 0x800;
    map_item(&msg, 9, L4_FPAGE(0x400000u, L4_SPACE_MEM, 22, 7), 0x400000u);
    EXPECT_EQ(ipc(L4_CAP(id + 2), 1, 9, NO_CAP, 0, 0, L4_TS_NEVER, &msg), 0);
    settle();
    for (unsigned i = 0; i < 7; i++)
        EXPECT_EQ(start_regs[i], 0x1010101u * (i + 3));
    EXPECT_EQ(start_regs[7], page(47) + 0x800);
    EXPECT_EQ(start_regs[8] & ~0x8d5u, 0x202);
}

CASE(startup_short_message, "G20", "missing words of the startup message are 0")
{
    struct message msg = { 0 };
    uint32_t id = startup_ready();

    msg.m[0] = address_of(startup_code);
    msg.m[1] = page(47) + 0x800;
    map_item(&msg, 2, L4_FPAGE(0x400000u, L4_SPACE_MEM, 22, 7), 0x400000u);
    EXPECT_EQ(ipc(L4_CAP(id + 2), 1, 2, NO_CAP, 0, 0, L4_TS_NEVER, &msg), 0);
    settle();
    for (unsigned i = 0; i < 7; i++)
        EXPECT_EQ(start_regs[i], 0);
}

CASE(startup_load_messages, "G20", "M0 = -1 takes the items and waits on: a task is loaded by several messages")
{
    struct message msg = { 0 };
    uint32_t id = startup_ready();

    for (unsigned i = 0; i < 3; i++) {
        msg.m[0] = L4_START_MORE;
        table_item(&msg, 1, KPAGES, L4_SPACE_MEM, 0x10000000u + i * 0x400000u, 22);
        map_item(&msg, 3, L4_FPAGE(page(i), L4_SPACE_MEM, 12, 7), 0x10000000u + i * 0x400000u);
        EXPECT_EQ(ipc(L4_CAP(id + 2), 2, 1, NO_CAP, 0, 0, L4_TS_NEVER, &msg), 0);
        EXPECT_EQ(status_of(id), RECV | NESTED);
    }
    msg.m[0] = address_of(startup_code);
    map_item(&msg, 1, L4_FPAGE(0x400000u, L4_SPACE_MEM, 22, 7), 0x400000u);
    EXPECT_EQ(ipc(L4_CAP(id + 2), 1, 1, NO_CAP, 0, 0, L4_TS_NEVER, &msg), 0);
    settle();
    EXPECT_EQ(start_regs[0], 0);
    EXPECT_EQ(start_regs[7], 0);
}

CASE(startup_without_endpoint, "G20", "without an endpoint at capability 0 a bound thread stays halted, and starts by exchange-registers")
{
    uint32_t id = thread_make();

    EXPECT_EQ(status_of(id), HALTED);
    counter = 0;
    thread_run(id, runs, page(1) + 4000);
    settle();
    EXPECT(counter > 0);
}

CASE(startup_aborted, "G20 M 2.2.2", "exchange-registers with an IP ends the startup wait and starts there")
{
    struct message msg = { 0 };
    uint32_t id = startup_ready();

    msg.m[0] = L4_START_MORE;
    map_item(&msg, 1, L4_FPAGE(0x400000u, L4_SPACE_MEM, 22, 7), 0x400000u);
    EXPECT_EQ(ipc(L4_CAP(id + 2), 1, 1, NO_CAP, 0, 0, L4_TS_NEVER, &msg), 0);
    EXPECT_EQ(exregs(L4_XR_SET_IP | L4_XR_SET_SP | L4_XR_HALT_GIVEN, L4_CAP(id), address_of(startup_code), page(47) + 64, 0, 0, NULL) & 15u, 0);
    settle();
    EXPECT_EQ(start_regs[7], page(47) + 64);
    /* nobody receives there any more */
    EXPECT_EQ(L4_ERR_BASE(send0(id + 2, L4_TS_ZERO)), L4_SND_TIMEOUT);
}

CASE(startup_message_is_the_only_way_in, "M 2.5.2", "a new task's capability 0 is all it has: everything else is empty until it is mapped")
{
    struct message msg = { 0 };
    uint32_t id = startup_ready();

    msg.m[0] = 0x400000; /* nothing is mapped there: a fault without a handler */
    EXPECT_EQ(ipc(L4_CAP(id + 2), 0, 1, NO_CAP, 0, 0, L4_TS_NEVER, &msg), 0);
    settle();
    EXPECT_EQ(status_of(id), HALTED);
}
