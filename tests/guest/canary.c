// SPDX-License-Identifier: MIT
/*
 * Nothing of the kernel's comes out.  Before each call all that the kernel keeps and does not use is filled with a
 * pattern (debug call POISON): free memory, its stack, dead words of threads.  No register, no parameter word,
 * no message and no page ever shows it.  [M 1.6.1] [P8]
 */
#include "tests/guest/kit.h"

#define KERNEL_IMAGE 0xc0100000u
#define KERNEL_TOP   0xd0000000u /* of the direct map, with room */

/* Straight from registers, so that the pattern is not left on our own stack. */
static void poison(void)
{
    EXPECT_EQ(call_at(L4_DEBUG_POISON << 4 | L4_SYS_DEBUG, CANARY, 0), 0);
}

/* Two neighbouring bytes of it are one too many; so is an address of the kernel's. */
bool canary_in(uint32_t word)
{
    if (word >= KERNEL_IMAGE && word < KERNEL_TOP)
        return true;
    for (unsigned i = 0; i < 3; i++)
        if ((word >> 8 * i & 0xffffu) == (CANARY & 0xffffu))
            return true;
    return false;
}

static void no_canary(const volatile uint32_t *words, unsigned count)
{
    unsigned seen = 0;

    for (unsigned i = 0; i < count; i++)
        if (canary_in(words[i])) {
            l4_printf("# word %u is 0x%x\n", i, words[i]);
            seen++;
        }
    EXPECT_EQ(seen, 0);
}

/*
 * A call with all registers known before and looked at behind it, segments and flags too.
 * in/out: eax ebx ecx edx esi edi ebp; out also eflags fs gs.
 */
uint32_t canary_regs[10], canary_stack, canary_by_sysenter;
void canary_call(void);
__asm__(".text\n"
        "canary_call:\n"
        "\tpusha\n"
        "\tmovl %esp, canary_stack\n"
        "\tmovl canary_regs, %eax\n"
        "\tmovl canary_regs + 4, %ebx\n"
        "\tmovl canary_regs + 8, %ecx\n"
        "\tmovl canary_regs + 12, %edx\n"
        "\tmovl canary_regs + 16, %esi\n"
        "\tmovl canary_regs + 20, %edi\n"
        "\tmovl canary_regs + 24, %ebp\n"
        "\tcmpl $0, canary_by_sysenter\n"
        "\tjne 1f\n"
        "\tint $0x40\n"
        "\tjmp 2f\n"
        "1:\tmovl $2f, %edx\n"
        "\tsysenter\n"
        "2:\tmovl %eax, canary_regs\n"
        "\tmovl %ebx, canary_regs + 4\n"
        "\tmovl %ecx, canary_regs + 8\n"
        "\tmovl %edx, canary_regs + 12\n"
        "\tmovl %esi, canary_regs + 16\n"
        "\tmovl %edi, canary_regs + 20\n"
        "\tmovl %ebp, canary_regs + 24\n"
        "\tmovl canary_stack, %esp\n"
        "\tpushfl\n"
        "\tpopl canary_regs + 28\n"
        "\tmovl %fs, %eax\n"
        "\tmovl %eax, canary_regs + 32\n"
        "\tmovl %gs, %eax\n"
        "\tmovl %eax, canary_regs + 36\n"
        "\tpopa\n"
        "\tret\n");

static uint32_t params[66];

static void poisoned_call(uint32_t w0, uint32_t w1, uint32_t w2, uint32_t w3, uint32_t w4)
{
    const uint32_t in[7] = { w0, w1, (uint32_t)(uintptr_t)params, 0x12345678u, w2, w3, w4 };

    poison();
    for (unsigned i = 0; i < 7; i++)
        canary_regs[i] = in[i];
    canary_by_sysenter = guest_uses_sysenter();
    canary_call();
}

static uint32_t watched(uint32_t w0, uint32_t w1, uint32_t w2, uint32_t w3, uint32_t w4)
{
    poisoned_call(w0, w1, w2, w3, w4);
    no_canary(canary_regs, sizeof canary_regs / 4);
    no_canary(params, sizeof params / 4);
    return canary_regs[0];
}

/* The same with each of the words from W5 on set to `word` before. */
static uint32_t watched_with(uint32_t word, uint32_t w0, uint32_t w1, uint32_t w2, uint32_t w3, uint32_t w4)
{
    for (unsigned i = 0; i < 66; i++)
        params[i] = word;
    return watched(w0, w1, w2, w3, w4);
}

static void expect_bases(const uint32_t *calls, unsigned count, uint32_t bases)
{
    uint32_t seen = 0;

    for (unsigned i = 0; i < count; i++)
        seen |= 1u << L4_ERR_BASE(watched_with(10000, calls[6 * i], calls[6 * i + 1], calls[6 * i + 2], calls[6 * i + 3],
                                               calls[6 * i + 4]));
    EXPECT_EQ(seen & bases, bases);
}

#define BASE(name) (1u << L4_##name)

CASE(canary_objects, "I-18 P8", "create, unmap, inspect and what else works on names: success and every error, in poisoned memory")
{
    uint32_t ep = endpoint_new(), kp = kpage_new(8, 12), full = kpage_new(9, 12), id = cap_new(), n = 0x300;

    while (create_in(full, L4_TYPE_ENDPOINT, n) == 0)
        n++;
    for (uint32_t type = 0; type < 16; type++) {
        const uint32_t calls[][6] = {
            { L4_CAP(id) | type << 4 | L4_SYS_CREATE, KPAGES, KPAGES, 0, 0 },
            { L4_CAP(id) | type << 4 | L4_SYS_CREATE, KPAGES, KPAGES, 0, 0 }, /* there already */
            { L4_CAP(ep) | type << 4 | L4_SYS_CREATE, KPAGES, KPAGES, 0, 0 },
            { L4_CAP(0x3f8) | type << 4 | L4_SYS_CREATE, L4_CAP_FPAGE(full, 2), KPAGES, 0, 0 },
            { L4_CAP(0x3f8) | type << 4 | L4_SYS_CREATE, L4_CAP_FPAGE(0x3ff, 2), KPAGES, 0, 0 },
            { L4_CAP(0x3f8) | type << 4 | L4_SYS_CREATE, L4_CAP_FPAGE(kp, 2), L4_CAP_FPAGE(kp, 2), 0x1234u, 0x5678u },
            { L4_CAP(0x12345) | type << 4 | L4_SYS_CREATE, L4_CAP_FPAGE(kp, 2), L4_CAP_FPAGE(kp, 2), 0, 0 },
            { L4_CAP(0x3f9) | type << 4 | L4_SYS_CREATE, L4_FPAGE(page(10), L4_SPACE_MEM, 12, L4_T), 0, 0, 0 },
        };

        expect_bases(calls[0], sizeof calls / sizeof *calls, 0);
        (void)flush_cap(id);
        (void)flush1(L4_FPAGE(L4_CAP(0x3f8), L4_SPACE_CAP, 15, 15));
        (void)flush1(L4_FPAGE(L4_CAP(0x12340), L4_SPACE_CAP, 16, 15));
    }
    {
        const uint32_t calls[][6] = {
            { L4_CAP(ep) | L4_TYPE_ENDPOINT << 4 | L4_SYS_CREATE, KPAGES, KPAGES, 0, 0 },
            { L4_CAP(0x3f8) | L4_TYPE_ENDPOINT << 4 | L4_SYS_CREATE, L4_CAP_FPAGE(full, 2), KPAGES, 0, 0 },
            { 1u << 4 | L4_SYS_UNMAP, L4_CAP_FPAGE(ep, 15), 0, 0, 0 },
            { 3u << 4 | 2u << 12 | L4_SYS_UNMAP, L4_CAP_FPAGE(ep, 15), L4_FPAGE(page(3), L4_SPACE_MEM, 12, 15), 0xbad, 0x2000 },
            { 70u << 4 | 70u << 12 | L4_SYS_UNMAP, 0, 0, 0, 0 },
            { L4_CAP(ep) | L4_INSPECT_IDENTITY << 4 | L4_SYS_CAP_INSPECT, L4_CAP(ep), 0, 0, 0 },
            { L4_CAP(ep) | L4_INSPECT_BADGE << 4 | L4_SYS_CAP_INSPECT, L4_CAP(ep), 0, 0, 0 },
            { L4_CAP(0x3ff) | L4_INSPECT_BADGE << 4 | L4_SYS_CAP_INSPECT, L4_CAP(ep), 0, 0, 0 },
            { OWN_TASK | L4_INSPECT_BADGE << 4 | L4_SYS_CAP_INSPECT, OWN_TASK, 0, 0, 0 },
            { L4_CAP(L4_S0_CPU) | L4_CPU_INFO << 4 | L4_SYS_PROCESSOR_CONTROL, 0, 0, 0, 0 },
            { L4_CAP(L4_S0_CPU) | L4_CPU_STOP << 4 | L4_SYS_PROCESSOR_CONTROL, 0, 0, 0, 0 },
            { L4_CAP(L4_S0_CPU) | 9u << 4 | L4_SYS_PROCESSOR_CONTROL, 0, 0, 0, 0 },
            { OWN_TASK | L4_SYS_PROCESSOR_CONTROL, 0, 0, 0, 0 },
            { 0xfffffff0u | 11, 1, 2, 3, 4 }, { 15, 1, 2, 3, 4 },
            { L4_DEBUG_CHECK << 4 | L4_SYS_DEBUG, 0, 0, 0, 0 },
            { L4_DEBUG_NAME << 4 | L4_CAP(ep) | L4_SYS_DEBUG, 0x7065, 0, 0, 0 },
            { L4_DEBUG_TRACE << 4 | L4_SYS_DEBUG, 1, 2, 3, 4 }, { 200u << 4 | L4_SYS_DEBUG, 1, 2, 3, 4 },
            { L4_DEBUG_PUTS << 4 | L4_SYS_DEBUG, 0xc0000000u, 8, 0, 0 },
        };

        expect_bases(calls[0], sizeof calls / sizeof *calls,
                     BASE(OK) | BASE(STATE) | BASE(NOMEM) | BASE(PARAM) | BASE(CAP) | BASE(DENIED) | BASE(NOSYS));
    }
    poisoned_call(L4_DEBUG_CLOCK << 4 | L4_SYS_DEBUG, 0, 0, 0, 0);
    canary_regs[1] = 0; /* W1 is the time, which may look like anything */
    no_canary(canary_regs, sizeof canary_regs / 4);
}

CASE(canary_threads, "I-18 P8 T-06", "thread-control, exchange-registers, schedule, thread-switch on fresh and used objects")
{
    uint32_t th = cap_new(), res = cap_new(), ran;

    poison();
    EXPECT_EQ(create(L4_TYPE_THREAD, th, 0, 0), 0);
    EXPECT_EQ(create(L4_TYPE_RESERVATION, res, 0, 0), 0);
    ran = thread_start(thread_stop, 255);
    settle();
    {
        const uint32_t threads[] = { L4_CAP(th), L4_CAP(ran), NO_CAP, L4_CAP(L4_S0_IRQ + 5), L4_CAP(0x3ff), OWN_TASK };
        const uint32_t resvs[] = { L4_CAP(res), L4_CAP(ran + 1), L4_CAP(L4_S0_RESERVATION), L4_CAP(0x3ff), OWN_TASK };

        for (unsigned i = 0; i < sizeof threads / sizeof *threads; i++) {
            for (uint32_t tcr = 0; tcr < 64; tcr++)
                (void)watched_with(0, threads[i] | 1u << 4 | L4_SYS_THREAD_CONTROL, tcr << 2 | 2u, 0, 0, 0);
            /* 63 heads read what there is: results cross from registers to memory */
            for (unsigned k = 0; k < 66; k++)
                params[k] = 0;
            (void)watched(threads[i] | 9u << 4 | L4_SYS_THREAD_CONTROL, 0x0e0a0602u, 0x1e1a1612u, 0x2e2a2622u, 0x3e3a3632u);
            (void)watched(threads[i] | 63u << 4 | L4_SYS_THREAD_CONTROL, 0x0e0a0602u, 0, 0, 0);
            if (threads[i] != NO_CAP)
                for (uint32_t ops = 0; ops < 4; ops++)
                    (void)watched(threads[i] | ops << 6 | L4_SYS_EXREGS, 1, 2, 3, 4);
            (void)watched(threads[i] | L4_SYS_EXREGS, 1, 2, 3, 4);
            (void)watched(threads[i] | L4_XR_SET_USER | L4_SYS_EXREGS, 1, 2, 3, 4);
            (void)watched(threads[i] | L4_SYS_THREAD_SWITCH, ~0u, 2, 3, 4);
            (void)watched(threads[i] | L4_SWITCH_NEXT | L4_SYS_THREAD_SWITCH, 77, 2, 3, 4);
        }
        for (unsigned i = 0; i < sizeof resvs / sizeof *resvs; i++)
            for (uint32_t ops = 0; ops < 64; ops++)
                if (resvs[i] != L4_CAP(L4_S0_RESERVATION) || ops == L4_SCHED_READ >> 4)
                    (void)watched_with(100000, resvs[i] | ops << 4 | L4_SYS_SCHEDULE, L4_CAP(L4_S0_RESERVATION), L4_CAP(th), 1u << 24, 500);
        (void)watched_with(5, L4_CAP(res) | L4_SCHED_READ | L4_SYS_SCHEDULE, 0, 0, 0, 0);
    }
}

static volatile uint32_t send_ep, send_words, send_w0;

static void sends_some(void)
{
    struct message msg = { 0 };

    for (unsigned i = 0; i < 63; i++)
        msg.m[i] = i;
    for (;;)
        send_w0 = ipc(L4_CAP(send_ep), 0, send_words, NO_CAP, 0, 0, L4_TS_NEVER, &msg);
}

CASE(canary_ipc, "I-18 P8 IPC-2", "received words, aborted and timed-out IPC, every count on either side, items that fail and that do not")
{
    uint32_t other = endpoint_new(), th;

    send_ep = endpoint_new();
    EXPECT_EQ(tcr_write(NO_CAP, L4_TCR_TIMEOUT0, L4_TIMEOUT(0, 20) << 16 | L4_TIMEOUT(0, 20)), 0);
    EXPECT_EQ(tcr_write(NO_CAP, L4_TCR_WINDOW + 1, L4_ALL_CAP), 0);
    for (uint32_t rt = 0; rt < 4; rt++) /* nobody is there */
        for (uint32_t n = 0; n < 64; n += 9) {
            (void)watched_with(0, L4_IPC_W0(NO_CAP, 0, 0), L4_IPC_W1(L4_CAP(other), rt, n, L4_TS_TCR16), 0, 0, 0);
            (void)watched_with(0, L4_IPC_W0(L4_CAP(other), rt, n), L4_IPC_W1(L4_CAP(other), rt, n, L4_TS_TCR16), 0, 0, 0);
        }
    (void)watched_with(0, L4_IPC_W0(L4_CAP(0x3ff), 0, 63), L4_IPC_W1(NO_CAP, 0, 0, 0), 0, 0, 0);
    (void)watched_with(0, L4_IPC_W0(NO_CAP, 0, 0), L4_IPC_W1(L4_CAP(0x3ff), 0, 63, 0), 0, 0, 0);
    (void)watched_with(0, L4_IPC_W0(NO_CAP, 0, 0), L4_IPC_W1(NO_CAP, 3, 63, 0), 0, 0, 0);
    for (send_words = 0; send_words < 64; send_words += 7) {
        th = thread_start(sends_some, 255);
        EXPECT_EQ(tcr_write(L4_CAP(th), L4_TCR_SENDER, 0x77), 0);
        for (uint32_t n = 0; n < 64; n += 9)
            (void)watched_with(0, L4_IPC_W0(NO_CAP, 0, 0), L4_IPC_W1(L4_CAP(send_ep), 3, n, L4_TS_TCR16), 0, 0, 0);
        (void)flush_cap(th);
        (void)flush_cap(th + 1);
    }
    peer_start(); /* its stack and buffer are ours to look at */
    for (uint32_t n = 0; n < 64; n += 9)
        for (uint32_t rc = 0; rc < 64; rc += 9) {
            peer.rc = rc;
            EXPECT_EQ(tcr_write(NO_CAP, L4_TCR_TIMEOUT0, L4_TIMEOUT(10, 50) << 16 | L4_TIMEOUT(0, 20)), 0);
            (void)watched_with(0, L4_IPC_W0(L4_CAP(peer.ep), 0, n), L4_IPC_W1(NO_CAP, 0, 0, L4_TS_TCR16), 0, 0, 0);
            (void)watched_with(0, L4_IPC_W0(L4_CAP(peer.ep), 1, n), L4_IPC_W1(NO_CAP, 0, 0, L4_TS_TCR16), L4_CAP_FPAGE(other, 15),
                               L4_CAP(0x3f4) | L4_ITEM_MAP, L4_CAP_FPAGE(0x3ff, 15));
            settle();
            no_canary((const volatile uint32_t *)(volatile void *)&peer.msg, sizeof peer.msg / 4);
            EXPECT(!canary_in(peer.w0));
        }
}

CASE(canary_faults, "I-18 P8 FLT-1", "messages that the kernel makes: faults, exceptions, startup, and what a thread finds when it goes on")
{
    struct message msg = { 0 };
    struct victim v;

    CODE(0xa1, 0, 0, 0, 0xb0, 0xcc);
    victim_start(&v, regs_then_target);
    poison();
    EXPECT_EQ(victim_message(&v, &msg), 4u << 4);
    no_canary(&msg.sender, sizeof msg / 4);
    msg.m[0] = L4_REPLY_REFLECT;
    EXPECT_EQ(victim_answer(&v, &msg, 0, 1), 0);
    poison();
    EXPECT_EQ(victim_message(&v, &msg), 13u << 4);
    no_canary(&msg.sender, sizeof msg / 4);
    victim_jump(&v, thread_stop);
    for (uint32_t nr = 0; nr < 16; nr++) { /* capability faults of each call: the name is empty */
        if (nr == L4_SYS_DEBUG)
            continue;
        CODE(0xb8, 0, 0xf0, 0x3f, 0, 0xbb, 0, 0xf0, 0x3f, 0, 0xcd, 0x40, 0xcc);
        *(volatile uint8_t *)(uintptr_t)(page(CODE_PAGE) + 1) = (uint8_t)(nr | (nr == L4_SYS_SCHEDULE || nr == L4_SYS_CREATE ? 0x10u : 0));
        victim_jump(&v, regs_then_target);
        poison();
        if (L4_ERR_BASE(victim_message(&v, &msg)) == 0)
            no_canary(&msg.sender, sizeof msg / 4);
        poison();
        if (victim_answer(&v, &msg, 0, 0) == 0 && L4_ERR_BASE(victim_message(&v, &msg)) == 0)
            no_canary(&msg.sender, sizeof msg / 4);
    }
}

static volatile uint32_t fpu_state[128] __attribute__((aligned(16)));

static void shows_fpu(void)
{
    if (cpu_features() & 1u << 24)
        __asm__ volatile("fxsave %0" : "=m"(fpu_state));
    else
        __asm__ volatile("fnsave %0" : "=m"(fpu_state));
    thread_stop();
}

void canary_start(void);
__asm__(".text\n"
        "canary_start:\n"
        "\tmovl %eax, start_seen\n"
        "\tmovl %ebx, start_seen + 4\n"
        "\tmovl %ecx, start_seen + 8\n"
        "\tmovl %edx, start_seen + 12\n"
        "\tmovl %esi, start_seen + 16\n"
        "\tmovl %edi, start_seen + 20\n"
        "\tmovl %ebp, start_seen + 24\n"
        "\tjmp thread_stop\n");
uint32_t start_seen[8];

CASE(canary_fresh, "I-18 P8 K-06 T-12", "a thread made in poisoned memory starts with registers and FPU of its own; a page that was kernel memory comes back zero")
{
    uint32_t kp = kpage_new(8, 14), th, bad = 0;

    poison();
    for (unsigned i = 0; i < 128; i++)
        fpu_state[i] = 0;
    th = thread_make();
    poison();
    thread_run(th, canary_start, page(1) + 4080);
    poison();
    settle();
    no_canary(start_seen, 8);
    th = thread_make();
    poison();
    thread_run(th, shows_fpu, page(1) + 4080);
    poison();
    settle();
    EXPECT_EQ(fpu_state[0] & 0xffffu, 0x37fu);
    no_canary(fpu_state, 128);
    for (unsigned i = 0; i < 3; i++)
        EXPECT_EQ(create_in(kp, L4_TYPE_THREAD, 0x3a0 + i), 0);
    poison();
    EXPECT_EQ(flush_cap(0x3a1) & 15u, 0);
    poison();
    EXPECT_EQ(flush_cap(kp) & 15u, 0);
    for (unsigned i = 0; i < 4096; i++)
        bad += word_at(page(8))[i] != 0;
    EXPECT_EQ(bad, 0);
}
