// SPDX-License-Identifier: MIT
/* Abuse of the kernel's entries: forbidden instructions, flags and segments, parameter words.  [M 4.1] [G9] */
#include "tests/guest/kit.h"

static volatile uint32_t seen;

/* ---- E-17, E-18: what user code may not do ---- */

CASE(entry_every_int_n, "E-17", "int n for every n: 3, 4 and 0x40 are open, the rest is vector 13 with the entry as error code")
{
    static const uint8_t int_n[] = { 0xcd, 0 };
    struct message msg = { 0 };
    struct victim v;
    bool started = false;

    for (unsigned n = 0; n < 256; n++) {
        if (n == 0x40)
            continue;
        victim_code(int_n, 2);
        *(uint8_t *)(uintptr_t)(page(CODE_PAGE) + 1) = (uint8_t)n;
        if (started)
            victim_jump(&v, regs_then_target);
        else
            start_code(&v);
        started = true;
        if (n == 3 || n == 4)
            expect_exception(&v, &msg, n, 0, 2, 0);
        else
            expect_exception(&v, &msg, 13, n * 8u + 2u, 0, 0);
    }
}

CASE(entry_privileged_instructions, "E-18", "every privileged instruction is vector 13 with error code 0")
{
    static const uint8_t list[][8] = {
        { 1, 0xf4 }, { 1, 0xfa }, { 1, 0xfb },                                /* hlt cli sti */
        { 3, 0x0f, 0x01, 0x10 }, { 3, 0x0f, 0x01, 0x18 },                     /* lgdt lidt [eax] */
        { 3, 0x0f, 0x00, 0xd0 }, { 3, 0x0f, 0x00, 0xd8 },                     /* lldt ltr ax */
        { 3, 0x0f, 0x01, 0xf0 }, { 2, 0x0f, 0x06 },                           /* lmsw ax, clts */
        { 3, 0x0f, 0x20, 0xc0 }, { 3, 0x0f, 0x22, 0xc0 },                     /* mov eax, cr0; mov cr0, eax */
        { 3, 0x0f, 0x20, 0xd8 }, { 3, 0x0f, 0x22, 0xd8 },                     /* cr3 */
        { 3, 0x0f, 0x21, 0xc0 }, { 3, 0x0f, 0x23, 0xf8 },                     /* mov eax, dr0; mov dr7, eax */
        { 2, 0x0f, 0x09 }, { 2, 0x0f, 0x08 }, { 3, 0x0f, 0x01, 0x38 },        /* wbinvd invd invlpg */
    };
    struct message msg = { 0 };
    struct victim v;

    for (unsigned i = 0; i < sizeof list / sizeof *list; i++) {
        victim_code(&list[i][1], list[i][0]);
        if (i)
            victim_jump(&v, regs_then_target);
        else
            start_code(&v);
        expect_exception(&v, &msg, 13, 0, 0, 0);
    }
    if (cpu_features() & 1u << 5) { /* MSRs */
        CODE(0x0f, 0x32); /* rdmsr */
        victim_jump(&v, regs_then_target);
        expect_exception(&v, &msg, 13, 0, 0, 0);
        CODE(0x0f, 0x30); /* wrmsr */
        victim_jump(&v, regs_then_target);
        expect_exception(&v, &msg, 13, 0, 0, 0);
    }
}

CASE(entry_far_calls, "E-18", "far calls and jumps to every descriptor but user code are exceptions of the caller")
{
    static const uint8_t call_far[] = { 0x9a, 0, 0, 0, 0, 0, 0 }, jump_far[] = { 0xea, 0, 0, 0, 0, 0, 0 };
    struct message msg = { 0 };
    struct victim v;
    uint16_t own;
    bool started = false;

    __asm__("mov %%cs, %0" : "=r"(own));
    for (uint32_t sel = 0; sel < 0x80; sel++) {
        if ((sel & ~7u) == (own & ~7u) && !(sel & 4u))
            continue;
        victim_code(sel & 1u ? call_far : jump_far, 7);
        *(uint8_t *)(uintptr_t)(page(CODE_PAGE) + 5) = (uint8_t)sel;
        if (started)
            victim_jump(&v, regs_then_target);
        else
            start_code(&v);
        started = true;
        EXPECT_EQ(victim_message(&v, &msg), 13u << 4);
        EXPECT(msg.m[M_VECTOR] == (L4_PROTO_EXCEPTION << 24 | 13u) || msg.m[M_VECTOR] == (L4_PROTO_EXCEPTION << 24 | 11u));
        EXPECT_EQ(msg.m[M_ERROR], sel < 4 ? 0 : sel & ~3u);
        EXPECT_EQ(msg.m[M_EIP], page(CODE_PAGE));
    }
}

CASE(entry_popf_cannot_raise, "E-08", "popf and iret in user mode set neither IOPL nor VM nor IF nor NT for the kernel's harm")
{
    struct message msg = { 0 };
    struct victim v;

    CODE(0x68, 0x02, 0x30, 0x02, 0x00, 0x9d, 0x90, 0xfa); /* push IOPL 3, VM, no IF; popf; nop; cli */
    start_code(&v);
    expect_exception(&v, &msg, 13, 0, 7, 0);
    EXPECT_EQ(msg.m[M_EFLAGS] & 0x23000u, 0);
    EXPECT(msg.m[M_EFLAGS] & 0x200u);
    /* pushf with VM; push cs; push target; iret: no virtual 8086 mode from ring 3 */
    CODE(0x9c, 0x81, 0x0c, 0x24, 0, 0, 2, 0, 0x0e, 0xe8, 0, 0, 0, 0, 0x83, 0x04, 0x24, 0x05, 0xcf, 0xcc);
    victim_jump(&v, regs_then_target);
    EXPECT_EQ(victim_message(&v, &msg), 13u << 4);
    /* an emulator that enters it all the same: the thread is back in protected mode when it goes on */
    CODE(0x0f, 0x0b);
    victim_jump(&v, regs_then_target);
    expect_exception(&v, &msg, 6, 0, 0, 0);
}

/* ---- E-03 .. E-07: flags and segments at the entry ---- */

/* Code: flags or-ed with `set`, then int 0x40 or sysenter with NR 15 (NOSYS), then int3. */
static void call_with_flags(struct victim *v, uint32_t set, bool sysenter, bool first)
{
    static const uint8_t by_int[] = {
        0x9c, 0x81, 0x0c, 0x24, 0, 0, 0, 0, 0xb8, 0x0f, 0, 0, 0, 0x9d, 0xcd, 0x40, 0x9c, 0x5b, 0xfc, 0xcc,
    };
    /* ... mov ecx, esp; mov edx, behind; popf with esp adjusted; sysenter; pushf; pop ebx; cld; int3 */
    static const uint8_t by_sysenter[] = {
        0x9c, 0x81, 0x0c, 0x24, 0, 0, 0, 0, 0xb8, 0x0f, 0, 0, 0, 0x8d, 0x4c, 0x24, 0x04, 0xba, 0, 0, 0, 0,
        0x9d, 0x0f, 0x34, 0x9c, 0x5b, 0xfc, 0xcc,
    };
    uint8_t *code = (uint8_t *)(uintptr_t)page(CODE_PAGE);

    if (sysenter) {
        uint32_t behind = page(CODE_PAGE) + 25;

        victim_code(by_sysenter, sizeof by_sysenter);
        memcpy(code + 18, &behind, 4);
    } else {
        victim_code(by_int, sizeof by_int);
    }
    memcpy(code + 4, &set, 4);
    if (first)
        start_code(v);
    else
        victim_jump(v, regs_then_target);
}

static void flags_at_entry(uint32_t set)
{
    struct message msg = { 0 };
    struct victim v;

    for (unsigned k = 0; k < (l4_has_sysenter ? 2u : 1u); k++) {
        call_with_flags(&v, set, k == 1, k == 0);
        EXPECT_EQ(victim_message(&v, &msg), 13u << 4);
        EXPECT_EQ(msg.m[M_VECTOR], L4_PROTO_EXCEPTION << 24 | 3u);
        EXPECT_EQ(L4_ERR_BASE(msg.m[M_EAX]), L4_NOSYS);
        EXPECT_EQ(msg.m[M_EBX] & 0x27000u, 0); /* the flags behind the call */
        EXPECT_EQ(msg.m[M_ESI], REG_ESI);
        EXPECT_EQ(msg.m[M_EDI], REG_EDI);
        EXPECT_EQ(msg.m[M_EBP], REG_EBP);
    }
}

CASE(entry_nested_task_flag, "E-04", "NT at the entry: no invalid-TSS exception in the kernel, and NT is gone")
{
    flags_at_entry(0x4000);
}

CASE(entry_direction_flag, "E-05", "DF at the entry: the kernel copies in the right direction")
{
    struct message msg = { 0 };
    uint32_t ep = endpoint_new();

    flags_at_entry(0x400);
    /* long messages with DF set by us */
    peer_start();
    for (unsigned i = 0; i < 63; i++)
        msg.m[i] = i * 3u;
    __asm__ volatile("std");
    EXPECT_EQ(ipc(L4_CAP(peer.ep), 0, 63, NO_CAP, 0, 0, L4_TS_NEVER, &msg), 0);
    __asm__ volatile("cld");
    settle();
    EXPECT_EQ(peer.w0, 63u << 4);
    for (unsigned i = 0; i < 63; i++)
        EXPECT_EQ(peer.msg.m[i], i * 3u);
    (void)ep;
}

CASE(entry_alignment_flag, "E-06", "AC at the entry does no harm")
{
    flags_at_entry(0x40000);
}

CASE(entry_all_flags, "E-04 E-05 E-06", "NT, DF, AC, ID and the arithmetic flags at once")
{
    flags_at_entry(0x00244cd5u);
}

CASE(entry_trap_flag, "E-03", "TF at the entry: the step ends behind the call, with the call's result; never in the kernel")
{
    struct message msg = { 0 };
    struct victim v;

    for (unsigned k = 0; k < (l4_has_sysenter ? 2u : 1u); k++) {
        unsigned steps = 0;

        call_with_flags(&v, 0x100, k == 1, k == 0);
        do {
            EXPECT_EQ(victim_message(&v, &msg), 13u << 4);
            EXPECT(msg.m[M_EIP] >= page(CODE_PAGE) && msg.m[M_EIP] < page(CODE_PAGE) + 40);
            if (msg.m[M_VECTOR] != (L4_PROTO_EXCEPTION << 24 | 1u))
                break;
            EXPECT_EQ(victim_answer(&v, &msg, 0, 0), 0);
        } while (++steps < 10);
        EXPECT(steps > 0 && steps < 10);
        EXPECT_EQ(L4_ERR_BASE(msg.m[M_EAX]), L4_NOSYS);
        EXPECT_EQ(msg.m[M_ESI], REG_ESI);
    }
}

/* What is loaded into SS right before the call.  A debugger may watch it: its exception then comes behind the call. */
volatile uint32_t mov_ss_operand;

static unsigned put(unsigned at, const uint8_t *bytes, unsigned size)
{
    memcpy((void *)(uintptr_t)(page(CODE_PAGE) + at), bytes, size);
    return at + size;
}

static unsigned put_with(unsigned at, const uint8_t *bytes, unsigned size, uint32_t operand)
{
    return put(put(at, bytes, size), (const uint8_t *)&operand, 4);
}

/* [TF on;] SS from memory; int 0x40 or sysenter with NR 15 (NOSYS); nop; int3.  The address of nop. */
static uint32_t put_mov_ss(bool sysenter, bool pop, bool step)
{
    static const uint8_t call[] = { 0xb8, 0x0f, 0, 0, 0, 0x89, 0xe1, 0xba }; /* mov eax, 15; mov ecx, esp; mov edx, ... */
    static const uint8_t trap_flag[] = { 0x9c, 0x81, 0x0c, 0x24, 0, 1, 0, 0, 0x9d };
    static const uint8_t mov_ss[] = { 0x8e, 0x15 }, mov_esp[] = { 0xbc }, pop_ss[] = { 0x17 };
    static const uint8_t kernel[2][4] = { { 0xcd, 0x40, 0x90, 0xcc }, { 0x0f, 0x34, 0x90, 0xcc } };
    const uint32_t operand = (uint32_t)(uintptr_t)&mov_ss_operand;
    uint32_t behind = page(CODE_PAGE) + sizeof call + 4 + (step ? sizeof trap_flag : 0) + 6 + 2;
    unsigned at;

    victim_code(call, sizeof call);
    at = put(sizeof call, (const uint8_t *)&behind, 4);
    if (step)
        at = put(at, trap_flag, sizeof trap_flag);
    if (pop) {
        at = put_with(at, mov_esp, sizeof mov_esp, operand);
        at = put(at, pop_ss, sizeof pop_ss);
    } else {
        at = put_with(at, mov_ss, sizeof mov_ss, operand);
    }
    (void)put(at, kernel[sysenter], sizeof kernel[sysenter]);
    return behind;
}

CASE(entry_mov_ss, "E-22 E-03", "mov ss or pop ss right before int 0x40 and sysenter, with and without TF: the call's result, the step behind it")
{
    struct message msg = { 0 };
    struct victim v;

    __asm__("mov %%ss, %0" : "=r"(mov_ss_operand));
    for (unsigned k = 0; k < 8; k++) {
        bool sysenter = k & 1u, pop = k & 2u, step = k & 4u;
        unsigned steps = 0;
        uint32_t behind;

        if (sysenter && !l4_has_sysenter)
            continue;
        behind = put_mov_ss(sysenter, pop, step);
        if (k)
            victim_jump(&v, regs_then_target);
        else
            start_code(&v);
        for (;;) {
            EXPECT_EQ(victim_message(&v, &msg), 13u << 4);
            if (msg.m[M_VECTOR] != (L4_PROTO_EXCEPTION << 24 | 1u) || ++steps > 10)
                break;
            EXPECT_EQ(victim_answer(&v, &msg, 0, 0), 0);
        }
        EXPECT_EQ(msg.m[M_VECTOR], L4_PROTO_EXCEPTION << 24 | 3u);
        EXPECT(step ? steps >= 1 : steps == 0);
        EXPECT_EQ(msg.m[M_EIP], behind + 2);
        EXPECT_EQ(L4_ERR_BASE(msg.m[M_EAX]), L4_NOSYS);
        EXPECT_EQ(msg.m[M_ESI], REG_ESI);
        EXPECT_EQ(msg.m[M_EDI], REG_EDI);
        EXPECT_EQ(msg.m[M_EBP], REG_EBP);
        if (pop && !sysenter)
            EXPECT_EQ(msg.m[M_ESP], (uint32_t)(uintptr_t)(&mov_ss_operand + 1));
    }
}

CASE(entry_null_segments, "E-07", "null segment registers at int 0x40, sysenter, an exception and a page fault: the kernel loads its own")
{
    /* xor eax, eax; mov ds/es/fs/gs, ax; ... */
    static const uint8_t null_segments[] = { 0x31, 0xc0, 0x8e, 0xd8, 0x8e, 0xc0, 0x8e, 0xe0, 0x8e, 0xe8 };
    static const uint8_t tails[4][20] = {
        { 0xb8, 0x0f, 0, 0, 0, 0xcd, 0x40, 0xcc },                         /* mov eax, 15; int 0x40; int3 */
        { 0xb8, 0x0f, 0, 0, 0, 0x89, 0xe1, 0xba, 0, 0, 0, 0, 0x0f, 0x34, 0xcc },
        { 0x0f, 0x0b },
        { 0x36, 0xa1, 0, 0, 0, 0xb0 },                                     /* mov eax, ss:[0xb0000000] */
    };
    struct message msg = { 0 };
    struct victim v;
    uint8_t *code = (uint8_t *)(uintptr_t)page(CODE_PAGE);

    for (unsigned k = 0; k < 4; k++) {
        uint32_t behind = page(CODE_PAGE) + sizeof null_segments + 14;

        if (k == 1 && !l4_has_sysenter)
            continue;
        victim_code(null_segments, sizeof null_segments);
        memcpy(code + sizeof null_segments, tails[k], 20);
        if (k == 1)
            memcpy(code + sizeof null_segments + 8, &behind, 4);
        if (k)
            victim_jump(&v, regs_then_target);
        else
            start_code(&v);
        EXPECT_EQ(victim_message(&v, &msg), k == 3 ? 4u << 4 : 13u << 4);
        if (k < 3)
            EXPECT_EQ(msg.m[M_VECTOR] & 0xffu, k == 2 ? 6 : 3);
        if (k < 2)
            EXPECT_EQ(L4_ERR_BASE(msg.m[M_EAX]), L4_NOSYS);
    }
}

CASE(entry_return_address, "E-19", "a return address in the kernel, at 0 or at the top is a fault of the user program there")
{
    static const uint32_t targets[] = { 0xc0100000u, 0xfffffffcu, 0xbffff000u, 0xb0000000u };
    static const uint8_t code_bytes[] = { 0xb8, 0x0f, 0, 0, 0, 0x89, 0xe1, 0xba, 0, 0, 0, 0, 0x0f, 0x34 };
    struct message msg = { 0 };
    struct victim v;

    if (!l4_has_sysenter) {
        EXPECT(true);
        return;
    }
    for (unsigned i = 0; i < 4; i++) {
        victim_code(code_bytes, sizeof code_bytes);
        memcpy((void *)(uintptr_t)(page(CODE_PAGE) + 8), &targets[i], 4);
        if (i)
            victim_jump(&v, regs_then_target);
        else
            start_code(&v);
        EXPECT_EQ(victim_message(&v, &msg), 4u << 4);
        EXPECT_EQ(msg.m[0] >> 24, L4_PROTO_FAULT);
        EXPECT_EQ(msg.m[1] & 0xfffff000u, targets[i] & 0xfffff000u);
        EXPECT_EQ(msg.m[2], targets[i]);
    }
}

CASE(entry_jump_to_kernel, "E-19 T-02", "jumping to a kernel address faults in user mode, with that address")
{
    struct message msg = { 0 };
    struct victim v;

    victim_start(&v, (void (*)(void))(uintptr_t)0xc0100000u);
    EXPECT_EQ(victim_message(&v, &msg), 4u << 4);
    EXPECT_EQ(msg.m[1], 0xc0100000u);
    EXPECT_EQ(msg.m[2], 0xc0100000u);
}

CASE(entry_sysenter_without_sep, "E-23", "sysenter is undefined where the processor lacks it, and a call where it has it")
{
    struct message msg = { 0 };
    struct victim v;
    uint32_t behind = page(CODE_PAGE) + 14;

    CODE(0xb8, 0x0f, 0, 0, 0, 0x89, 0xe1, 0xba, 0, 0, 0, 0, 0x0f, 0x34, 0xcc);
    memcpy((void *)(uintptr_t)(page(CODE_PAGE) + 8), &behind, 4);
    start_code(&v);
    EXPECT_EQ(victim_message(&v, &msg), 13u << 4);
    if (l4_has_sysenter)
        EXPECT_EQ(msg.m[M_VECTOR] & 0xffu, 3);
    else /* some emulators say 13 */
        EXPECT((msg.m[M_VECTOR] & 0xffu) == 6 || (msg.m[M_VECTOR] & 0xffu) == 13);
}

/* ---- parameter words in memory ---- */

#define BUFFER 0x80000000u /* a page of ours, the one behind it is not mapped */

static uint32_t map_buffer(uint32_t rights)
{
    uint32_t kp;

    peer_start();
    kp = kpage_new(32, 13);
    EXPECT_EQ(tcr_write(L4_CAP(peer.thread), L4_TCR_RCVRES, L4_CAP_FPAGE(kp, L4_W)), 0);
    EXPECT_EQ(give_map(L4_FPAGE(page(44), L4_SPACE_MEM, 12, rights), BUFFER), 0);
    return kp;
}

static volatile uint32_t buffer_at, buffer_w0, buffer_ep;

static void send_from_buffer(void)
{
    buffer_w0 = call_at(L4_IPC_W0(L4_CAP(buffer_ep), 0, 63), L4_IPC_W1(NO_CAP, 0, 0, 0), buffer_at);
    seen++;
}

CASE(entry_words_cross_page, "E-11", "parameter words that reach into a missing page, at every place: a fault there, then the whole message")
{
    struct message msg = { 0 };
    struct victim v;
    uint32_t word;

    (void)map_buffer(15);
    buffer_ep = endpoint_new();
    seen = 0;
    for (unsigned k = 1; k < 60; k++) { /* W5 + k is the first one in the missing page */
        buffer_at = BUFFER + 4096 - 4 * k;
        if (k == 1)
            victim_start(&v, send_from_buffer);
        else
            victim_jump(&v, send_from_buffer);
        for (unsigned i = 0; i < k; i++)
            *word_at(page(44) + 4096 - 4 * k + 4 * i) = 0x100 * k + i;
        EXPECT_EQ(victim_message(&v, &msg), 4u << 4);
        EXPECT_EQ(msg.m[0], L4_FAULT_M0(L4_OP_READ, 15, L4_D_EMPTY, L4_TYPE_MEMORY, L4_R));
        EXPECT_EQ(msg.m[1], BUFFER + 4096);
        EXPECT_EQ(give_map(L4_FPAGE(page(45), L4_SPACE_MEM, 12, 15), BUFFER + 4096), 0);
        *word_at(page(45)) = 0xface;
        EXPECT_EQ(victim_answer(&v, &msg, 0, 0), 0);
        EXPECT_EQ(ipc(NO_CAP, 0, 0, L4_CAP(buffer_ep), 0, 63, L4_TS_NEVER, &msg), 63u << 4);
        for (unsigned i = 0; i < k; i++)
            EXPECT_EQ(msg.m[3 + i], 0x100 * k + i);
        word = msg.m[3 + k];
        EXPECT_EQ(word, 0xface);
        settle();
        EXPECT_EQ(seen, k);
        EXPECT_EQ(buffer_w0, 0);
        EXPECT_EQ(flush1(L4_FPAGE(BUFFER + 4096, L4_SPACE_MEM, 12, 15)) & 15u, 0);
    }
}

static volatile uint32_t echo_ep, echo_answer;

static void echo(void)
{
    struct message msg = { 0 };
    uint32_t w0 = ipc(NO_CAP, 0, 0, L4_CAP(echo_ep), 0, 63, L4_TS_NEVER, &msg);

    for (;;)
        w0 = ipc(L4_CAP(echo_answer), 0, (w0 >> 4) & 63u, L4_CAP(echo_ep), 0, 63, L4_TS_NEVER, &msg);
}

/* call_at() by sysenter: the stack pointer is not behind the words, but where one thread at a time may leave it. */
static uint32_t sysenter_at(uint32_t w0, uint32_t w1, uint32_t at)
{
    static volatile uint32_t stack;

    __asm__ volatile("push %%ebp\n\t"
                     "mov %%esp, %3\n\t"
                     "mov $1f, %%edx\n\t"
                     "sysenter\n"
                     "1:\t"
                     "mov %3, %%esp\n\t"
                     "pop %%ebp"
                     : "+a"(w0), "+b"(w1), "+c"(at), "+m"(stack) : : "edx", "esi", "edi", "memory");
    return w0;
}

static void call_from_buffer(void)
{
    buffer_w0 = (guest_uses_sysenter() ? sysenter_at : call_at)(L4_IPC_W0(L4_CAP(echo_ep), 0, 63), L4_IPC_W1(L4_CAP(echo_answer), 0, 0, 0), buffer_at);
    seen++;
}

CASE(entry_words_missing_in_call, "E-11", "parameter words in a missing page when the receiver waits already: a fault there, then the whole message")
{
    struct message msg = { 0 };
    struct victim v;

    (void)map_buffer(15);
    echo_ep = endpoint_new();
    echo_answer = endpoint_new();
    thread_start(echo, 255);
    settle();
    seen = 0;
    for (unsigned k = 0; k < 2; k++) { /* W5 + k is the first one in the missing page */
        buffer_at = BUFFER + 4096 - 4 * k;
        if (k == 0)
            victim_start(&v, call_from_buffer);
        else
            victim_jump(&v, call_from_buffer);
        EXPECT_EQ(victim_message(&v, &msg), 4u << 4);
        EXPECT_EQ(msg.m[0], L4_FAULT_M0(L4_OP_READ, 15, L4_D_EMPTY, L4_TYPE_MEMORY, L4_R));
        EXPECT_EQ(msg.m[1], BUFFER + 4096);
        EXPECT_EQ(give_map(L4_FPAGE(page(45), L4_SPACE_MEM, 12, 15), BUFFER + 4096), 0);
        EXPECT_EQ(victim_answer(&v, &msg, 0, 0), 0);
        settle();
        EXPECT_EQ(seen, k + 1);
        EXPECT_EQ(buffer_w0, 0);
        EXPECT_EQ(flush1(L4_FPAGE(BUFFER + 4096, L4_SPACE_MEM, 12, 15)) & 15u, 0);
    }
}

static void receive_to_buffer(void)
{
    buffer_w0 = call_at(L4_IPC_W0(NO_CAP, 0, 0), L4_IPC_W1(L4_CAP(buffer_ep), 0, 63, 0), buffer_at);
    seen++;
}

CASE(entry_words_read_only, "E-12 I-05", "output words for a read-only page: a write fault of the receiver; the sender is done; then they arrive")
{
    struct message msg = { 0 };
    struct victim v;

    (void)map_buffer(L4_R);
    buffer_ep = endpoint_new();
    buffer_at = BUFFER + 0x100;
    seen = 0;
    victim_start(&v, receive_to_buffer);
    for (unsigned i = 0; i < 63; i++)
        msg.m[i] = 7u * i;
    settle();
    EXPECT_EQ(ipc(L4_CAP(buffer_ep), 0, 63, NO_CAP, 0, 0, L4_TS_NEVER, &msg), 0);
    EXPECT_EQ(victim_message(&v, &msg), 4u << 4);
    EXPECT_EQ(msg.m[0], L4_FAULT_M0(L4_OP_WRITE, 15, L4_D_RIGHTS, L4_TYPE_MEMORY, L4_R | L4_W));
    EXPECT_EQ(give_map(L4_FPAGE(page(44), L4_SPACE_MEM, 12, 15), BUFFER), 0);
    EXPECT_EQ(victim_answer(&v, &msg, 0, 0), 0);
    settle();
    EXPECT_EQ(seen, 1);
    EXPECT_EQ(buffer_w0, 63u << 4);
    for (unsigned i = 3; i < 63; i++)
        EXPECT_EQ(*word_at(page(44) + 0x100 + 4 * (i - 3)), 7u * i);
}

CASE(entry_words_in_kernel_received, "I-05", "a receive buffer in the kernel's range: the receiver gets PARAM, KERNEL_RANGE, the sender is done")
{
    struct victim v;

    buffer_ep = endpoint_new();
    buffer_at = 0xc0100000u;
    seen = 0;
    victim_start(&v, receive_to_buffer);
    settle();
    for (unsigned i = 0; i < 2; i++) {
        struct message msg = { 0 };

        EXPECT_EQ(tcr_write(NO_CAP, L4_TCR_TIMEOUT0, L4_TIMEOUT(10, 5) << 16), 0);
        EXPECT_EQ(ipc(L4_CAP(buffer_ep), 0, 63, NO_CAP, 0, 0, L4_TS_TCR16, &msg), i ? L4_SND_TIMEOUT : 0);
        settle();
    }
    EXPECT_EQ(seen, 1);
    EXPECT_ERROR(buffer_w0, L4_PARAM, L4_D_KERNEL_RANGE);
}

CASE(entry_words_misaligned, "E-09", "parameter words at an address that is not a multiple of 4 work")
{
    static uint8_t raw[400];

    peer_start();
    for (unsigned shift = 1; shift < 4; shift++) {
        struct l4_words *w = (struct l4_words *)(uintptr_t)((((uint32_t)(uintptr_t)raw + 3u) & ~3u) + shift);

        for (unsigned i = 0; i < 63; i++)
            w->w[2 + i] = 0x1000 * shift + i;
        w->w[0] = L4_IPC_W0(L4_CAP(peer.ep), 0, 63);
        w->w[1] = L4_IPC_W1(NO_CAP, 0, 0, 0);
        EXPECT_EQ(guest_call(w), 0);
        settle();
        for (unsigned i = 0; i < 63; i++)
            EXPECT_EQ(peer.msg.m[i], 0x1000 * shift + i);
    }
}

CASE(entry_words_out_of_range, "E-10", "words at the border of user memory, behind it and across 4 GB: PARAM, KERNEL_RANGE, for every call that has some")
{
    static const uint32_t places[] = { 0xbffffffcu, 0xc0000000u, 0xc0100000u, 0xfffffff0u, 0xfffffffcu, 0xffffffffu };

    for (unsigned i = 0; i < 6; i++) {
        EXPECT_ERROR(call_at(L4_CAP(L4_S0_RESERVATION) | L4_SCHED_SET | L4_SYS_SCHEDULE, NO_CAP, places[i] + (i == 0 ? 4 : 0)),
                     L4_PARAM, L4_D_KERNEL_RANGE);
        if (i == 0) /* the first word would be user memory, and missing */
            continue;
        EXPECT_ERROR(call_at(20u << 4 | L4_SYS_UNMAP, 0, places[i]), L4_PARAM, L4_D_KERNEL_RANGE);
        EXPECT_ERROR(call_at(NO_CAP | 20u << 4 | L4_SYS_THREAD_CONTROL, 2u, places[i]), L4_PARAM, L4_D_KERNEL_RANGE);
        EXPECT_ERROR(call_at(L4_IPC_W0(L4_CAP(0x3e0), 0, 63), L4_IPC_W1(NO_CAP, 0, 0, 0), places[i]), L4_PARAM, L4_D_KERNEL_RANGE);
    }
    EXPECT_ERROR(call_at(L4_IPC_W0(L4_CAP(0x3e0), 0, 63), L4_IPC_W1(NO_CAP, 0, 0, 0), places[0]), L4_PARAM, L4_D_KERNEL_RANGE);
}

static void flushes_own_parameters(void)
{
    (void)call_at(20u << 12 | L4_SYS_UNMAP, L4_FPAGE(BUFFER, L4_SPACE_MEM, 12, 15), BUFFER);
    seen = 1;
}

CASE(entry_unmap_own_parameters, "E-13", "a flush of the page with its own list: the caller faults at the next word of it")
{
    struct message msg = { 0 };
    struct victim v;

    (void)map_buffer(15);
    for (unsigned i = 0; i < 20; i++)
        *word_at(page(44) + 4 * i) = 0;
    seen = 0;
    victim_start(&v, flushes_own_parameters);
    EXPECT_EQ(victim_message(&v, &msg), 4u << 4);
    EXPECT_EQ(msg.m[1] & 0xfffff000u, BUFFER);
    EXPECT_EQ(msg.m[0] >> 8 & 15u, L4_D_EMPTY);
    EXPECT_EQ(seen, 0);
    EXPECT_EQ(give_map(L4_FPAGE(page(44), L4_SPACE_MEM, 12, 15), BUFFER), 0);
    EXPECT_EQ(victim_answer(&v, &msg, 0, 0), 0);
    settle();
    EXPECT_EQ(seen, 1);
}

CASE(entry_int_and_sysenter_agree, "E-16", "both entries give the same results for the same words")
{
    static const uint32_t calls[][5] = {
        { 0xfffff000u, 0xfffff000u, 1, 2, 3 },
        { L4_SYS_UNMAP, 1, 2, 3, 4 },
        { 1u << 4 | L4_SYS_UNMAP, 0xc0f, 0, 0, 0 },
        { 6u << 4 | L4_SYS_CREATE, 0, 0, 0, 0 },
        { 0xfffff000u | 1u << 4 | L4_SYS_THREAD_CONTROL, 63u << 2 | 2u, 5, 6, 7 },
        { 0xfffff000u | 3u << 4 | L4_SYS_THREAD_CONTROL, 2u << 2 | 10u << 8 | 12u << 14 | 2u, 5, 6, 7 },
        { 0xfffff000u | L4_XR_SET_IP | L4_SYS_EXREGS, 1, 2, 3, 4 },
        { L4_SYS_SCHEDULE, 0, 0, 0, 0 },
        { 0x00010000u | L4_SYS_PROCESSOR_CONTROL, 9, 9, 9, 9 },
        { 0x00001000u | L4_SYS_CAP_INSPECT, 0x1000, 7, 7, 7 },
        { 0x00001010u | L4_SYS_CAP_INSPECT, 0x2000, 7, 7, 7 },
        { 11, 1, 2, 3, 4 }, { 15, 1, 2, 3, 4 }, { 1, 1, 2, 3, 4 },
        { 0x00123000u, 0xfffff000u, 1, 2, 3 },
    };
    struct l4_words a, b;

    for (unsigned i = 0; i < sizeof calls / sizeof *calls; i++) {
        for (unsigned k = 0; k < 5; k++)
            a.w[k] = b.w[k] = calls[i][k];
        l4_call_int(&a);
        l4_call(&b); /* sysenter, where there is one */
        for (unsigned k = 0; k < 5; k++)
            EXPECT_EQ(a.w[k], b.w[k]);
    }
}

CASE(entry_reserved_numbers, "E-02", "calls 1 and 11 to 15 are NOSYS whatever the other bits, and have no effect")
{
    uint32_t before[4], after[4], x = 0x12345;

    kernel_state(before);
    for (unsigned i = 0; i < 300; i++) {
        uint32_t w[5];

        for (unsigned k = 0; k < 5; k++)
            w[k] = x = x * 1664525u + 1013904223u;
        w[0] = (w[0] & ~15u) | (i % 6 ? 10u + i % 6 : 1u);
        EXPECT_EQ(L4_ERR_BASE(call5(w[0], w[1], w[2], w[3], w[4], NULL)), L4_NOSYS);
    }
    kernel_state(after);
    for (unsigned i = 0; i < 4; i++)
        EXPECT_EQ(after[i], before[i]);
}
