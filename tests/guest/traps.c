// SPDX-License-Identifier: MIT
/* Exceptions with registers, IO faults, and abuse of the kernel's entries.  [M 2.1.2] [M 4.1] [G9] [G19] [G54] */
#include "tests/guest/kit.h"

static volatile uint32_t seen, value_in, value_out;

/* Words of an exception message. */
enum { M_VECTOR, M_ERROR, M_EIP, M_EFLAGS, M_EDI, M_ESI, M_EBP, M_ESP, M_EBX, M_EDX, M_ECX, M_EAX, M_CR2, M_COUNT };

static const uint32_t patterns[M_COUNT] = {
    [M_EDI] = REG_EDI, [M_ESI] = REG_ESI, [M_EBP] = REG_EBP, [M_EBX] = REG_EBX, [M_EDX] = REG_EDX,
    [M_ECX] = REG_ECX, [M_EAX] = REG_EAX,
};

/* One exception: the message, the place of the instruction and all registers; except: one that the code changed. */
static void expect_exception(const struct victim *v, struct message *msg, uint32_t vector, uint32_t error,
                             uint32_t offset, unsigned except)
{
    EXPECT_EQ(victim_message(v, msg), 13u << 4);
    EXPECT_EQ(msg->m[M_VECTOR], L4_PROTO_EXCEPTION << 24 | vector);
    EXPECT_EQ(msg->m[M_ERROR], error);
    EXPECT_EQ(msg->m[M_EIP], page(CODE_PAGE) + offset);
    for (unsigned i = M_EDI; i < M_COUNT; i++)
        if (patterns[i] && i != except)
            EXPECT_EQ(msg->m[i], patterns[i]);
    EXPECT_EQ(msg->m[M_EFLAGS] & ~(L4_USER_EFLAGS | 0x202u), 0);
    EXPECT_EQ(msg->m[M_EFLAGS] & 0x202u, 0x202u);
}

static void start_code(struct victim *v)
{
    victim_start(v, regs_then_target);
}

CASE(exception_0_divide, "I-14 G19", "divide error: vector 0 at the instruction, all registers")
{
    struct message msg = { 0 };
    struct victim v;

    CODE(0x31, 0xc9, 0xf7, 0xf1); /* xor ecx, ecx; div ecx */
    start_code(&v);
    expect_exception(&v, &msg, 0, 0, 2, M_ECX);
    EXPECT_EQ(msg.m[M_ECX], 0);
}

CASE(exception_1_trap_flag, "I-14 G19", "single step: vector 1 behind the instruction")
{
    struct message msg = { 0 };
    struct victim v;

    CODE(0x9c, 0x81, 0x0c, 0x24, 0, 1, 0, 0, 0x9d, 0x90, 0x90); /* pushf; or [esp], 0x100; popf; nop; nop */
    start_code(&v);
    expect_exception(&v, &msg, 1, 0, 10, 0);
    EXPECT(msg.m[M_EFLAGS] & 0x100u);
    /* without the flag it goes on */
    msg.m[M_EFLAGS] &= ~0x100u;
    EXPECT_EQ(victim_answer(&v, &msg, 0, 12), 0);
    settle();
    EXPECT_EQ(status_of(v.thread), 0);
}

CASE(exception_1_icebp, "I-14", "int1 is a debug exception, or undefined where the processor does not know it")
{
    struct message msg = { 0 };
    struct victim v;

    CODE(0xf1);
    start_code(&v);
    EXPECT_EQ(victim_message(&v, &msg), 13u << 4);
    EXPECT((msg.m[M_VECTOR] & 0xffu) == 1 || (msg.m[M_VECTOR] & 0xffu) == 6);
}

CASE(exception_3_breakpoint, "I-14 G19", "int3: vector 3 behind the instruction")
{
    struct message msg = { 0 };
    struct victim v;

    CODE(0xcc);
    start_code(&v);
    expect_exception(&v, &msg, 3, 0, 1, 0);
}

CASE(exception_4_overflow, "I-14 G19", "into with OF: vector 4 behind the instruction")
{
    struct message msg = { 0 };
    struct victim v;

    CODE(0xb0, 0x7f, 0x04, 0x01, 0xce); /* mov al, 0x7f; add al, 1; into */
    start_code(&v);
    expect_exception(&v, &msg, 4, 0, 5, M_EAX);
    EXPECT(msg.m[M_EFLAGS] & 0x800u);
}

CASE(exception_5_bound, "I-14 G19", "bound: vector 5 at the instruction")
{
    static volatile uint32_t limits[2] = { 1, 2 };
    struct message msg = { 0 };
    struct victim v;
    uint32_t address = (uint32_t)(uintptr_t)limits;

    CODE(0x62, 0x05, 0, 0, 0, 0); /* bound eax, [limits] */
    memcpy((void *)(uintptr_t)(page(CODE_PAGE) + 2), &address, 4);
    start_code(&v);
    expect_exception(&v, &msg, 5, 0, 0, 0);
}

CASE(exception_6_undefined, "I-14 G19", "undefined instruction: vector 6 at the instruction")
{
    struct message msg = { 0 };
    struct victim v;

    CODE(0x0f, 0x0b);
    start_code(&v);
    expect_exception(&v, &msg, 6, 0, 0, 0);
    CODE(0x90, 0xf0, 0x90, 0x90); /* lock nop */
    victim_jump(&v, regs_then_target);
    expect_exception(&v, &msg, 6, 0, 1, 0);
}

CASE(exception_13_selectors, "I-14 G19", "loading a bad selector: vector 13 with the selector as error code")
{
    struct message msg = { 0 };
    struct victim v;

    CODE(0x66, 0xb8, 0x7b, 0x07, 0x8e, 0xc0); /* mov ax, 0x77b; mov es, ax */
    start_code(&v);
    expect_exception(&v, &msg, 13, 0x778, 4, M_EAX);
    CODE(0x66, 0xb8, 0x7f, 0x00, 0x8e, 0xd0); /* mov ss, an LDT selector */
    victim_jump(&v, regs_then_target);
    expect_exception(&v, &msg, 13, 0x7c, 4, M_EAX);
    CODE(0x66, 0x31, 0xc0, 0x8e, 0xd0); /* mov ss, 0 */
    victim_jump(&v, regs_then_target);
    expect_exception(&v, &msg, 13, 0, 3, M_EAX);
}

CASE(exception_14_reflected, "G19", "a reflected memory fault: vector 14, the fault's M0, all registers, the address in M12")
{
    struct message msg = { 0 };
    struct victim v;

    CODE(0xa1, 0x10, 0x20, 0x30, 0xb0); /* mov eax, [0xb0302010] */
    start_code(&v);
    EXPECT_EQ(victim_message(&v, &msg), 4u << 4);
    EXPECT_EQ(msg.m[2], page(CODE_PAGE));
    msg.m[0] = L4_REPLY_REFLECT;
    EXPECT_EQ(victim_answer(&v, &msg, 0, 1), 0);
    expect_exception(&v, &msg, 14, L4_FAULT_M0(L4_OP_READ, 15, L4_D_EMPTY, L4_TYPE_MEMORY, L4_R), 0, 0);
    EXPECT_EQ(msg.m[M_CR2], 0xb0302010u);
}

CASE(exception_128_reflected_call, "G19", "a reflected fault of a system call: vector 0x80")
{
    struct message msg = { 0 };
    struct victim v;

    CODE(0xb8, 0, 0xe0, 0x20, 0, 0xbb, 0, 0xf0, 0xff, 0xff, 0xcd, 0x40); /* eax = cap 0x20e, ebx = -1 cap; int 0x40 */
    start_code(&v);
    EXPECT_EQ(victim_message(&v, &msg), 4u << 4);
    EXPECT_EQ(msg.m[2], page(CODE_PAGE) + 12);
    msg.m[0] = L4_REPLY_REFLECT;
    EXPECT_EQ(victim_answer(&v, &msg, 0, 1), 0);
    EXPECT_EQ(victim_message(&v, &msg), 13u << 4);
    EXPECT_EQ(msg.m[M_VECTOR], L4_PROTO_EXCEPTION << 24 | 0x80u);
    EXPECT_EQ(msg.m[M_ERROR], L4_FAULT_M0(L4_OP_SEND, 0, L4_D_EMPTY, L4_TYPE_ENDPOINT, L4_W));
    EXPECT_EQ(msg.m[M_CR2], L4_CAP(0x20e));
    EXPECT_EQ(msg.m[M_ESI], REG_ESI);
    EXPECT_EQ(msg.m[M_EAX], L4_CAP(0x20e));
}

CASE(exception_16_fpu, "I-14 G19", "an unmasked FPU error: vector 16 at the next FPU instruction")
{
    struct message msg = { 0 };
    struct victim v;

    /* fninit; push 0x37b; fldcw [esp]; pop edx; fld1; fldz; fdivp; fwait */
    CODE(0xdb, 0xe3, 0x68, 0x7b, 0x03, 0, 0, 0xd9, 0x2c, 0x24, 0x5a, 0xd9, 0xe8, 0xd9, 0xee, 0xde, 0xf9, 0x9b);
    start_code(&v);
    expect_exception(&v, &msg, 16, 0, 17, M_EDX);
}

CASE(exception_17_alignment, "E-06", "AC set and a misaligned access: vector 17, or nothing where the processor does not check; the kernel lives")
{
    struct message msg = { 0 };
    struct victim v;
    uint32_t w0, address = page(41) + 1;

    /* pushf; or [esp], 0x40000; popf; mov eax, [address] */
    CODE(0x9c, 0x81, 0x0c, 0x24, 0, 0, 4, 0, 0x9d, 0xa1, 0, 0, 0, 0, 0xcc);
    memcpy((void *)(uintptr_t)(page(CODE_PAGE) + 10), &address, 4);
    start_code(&v);
    w0 = victim_message(&v, &msg);
    EXPECT_EQ(w0, 13u << 4);
    EXPECT(msg.m[M_VECTOR] == (L4_PROTO_EXCEPTION << 24 | 17u) || msg.m[M_VECTOR] == (L4_PROTO_EXCEPTION << 24 | 3u));
}

CASE(exception_19_simd, "I-14", "an unmasked SSE error: vector 19, or nothing where the processor does not raise it")
{
    struct message msg = { 0 };
    struct victim v;

    if (!(cpu_features() & 1u << 25)) {
        EXPECT(true);
        return;
    }
    /* push 0x1d80; ldmxcsr [esp]; pop edx; xorps xmm0, xmm0; divps xmm0, xmm0 (0/0); divss xmm1, xmm0; int3 */
    CODE(0x68, 0x00, 0x1d, 0, 0, 0x0f, 0xae, 0x14, 0x24, 0x5a, 0x0f, 0x57, 0xc0, 0x0f, 0x5e, 0xc0, 0xcc);
    start_code(&v);
    EXPECT_EQ(victim_message(&v, &msg), 13u << 4);
    EXPECT(msg.m[M_VECTOR] == (L4_PROTO_EXCEPTION << 24 | 19u) || msg.m[M_VECTOR] == (L4_PROTO_EXCEPTION << 24 | 3u));
}

CASE(exception_reply_sets_registers, "G19", "a reply of 12 words sets all registers, and flags only through the mask")
{
    struct message msg = { 0 };
    struct victim v;

    CODE(0xcc, 0x0f, 0x0b); /* int3; ud2 */
    start_code(&v);
    expect_exception(&v, &msg, 3, 0, 1, 0);
    for (unsigned i = M_EDI; i <= M_EAX; i++)
        msg.m[i] = 0x01010101u * i;
    msg.m[M_ESP] = page(42) + 0x800;
    msg.m[M_EFLAGS] = 0xffffffffu & ~0x100u & ~0x40000u; /* no single step, no alignment check */
    EXPECT_EQ(victim_answer(&v, &msg, 0, 12), 0);
    EXPECT_EQ(victim_message(&v, &msg), 13u << 4);
    EXPECT_EQ(msg.m[M_VECTOR], L4_PROTO_EXCEPTION << 24 | 6u);
    for (unsigned i = M_EDI; i <= M_EAX; i++)
        EXPECT_EQ(msg.m[i], i == M_ESP ? page(42) + 0x800 : 0x01010101u * i);
    EXPECT_EQ(msg.m[M_EFLAGS] & 0x27000u, 0);
    EXPECT_EQ(msg.m[M_EFLAGS] & 0x200u, 0x200u);
}

CASE(exception_short_reply, "G19", "a reply of fewer than 12 words changes nothing")
{
    struct message msg = { 0 };
    struct victim v;

    CODE(0xcc, 0x0f, 0x0b);
    start_code(&v);
    expect_exception(&v, &msg, 3, 0, 1, 0);
    for (unsigned i = 0; i < 12; i++)
        msg.m[i] = 0xffffffffu;
    EXPECT_EQ(victim_answer(&v, &msg, 0, 11), 0);
    expect_exception(&v, &msg, 6, 0, 1, 0);
}

static struct victim separate;

static void separate_exceptions(uint32_t id)
{
    separate.fault = endpoint_new();
    separate.reply = endpoint_new();
    EXPECT_EQ(tcr_write(L4_CAP(id), L4_TCR_EXC_SND, L4_CAP(separate.fault)), 0);
    EXPECT_EQ(tcr_write(L4_CAP(id), L4_TCR_EXC_RCV, L4_CAP(separate.reply)), 0);
}

CASE(exception_own_handler, "G19", "TCR 8 and 9 take exceptions, 4 and 5 the faults")
{
    struct message msg = { 0 };
    struct victim v;

    CODE(0xcc, 0xa1, 0, 0, 0, 0xb0);
    victim_start_after(&v, separate_exceptions, regs_then_target);
    expect_exception(&separate, &msg, 3, 0, 1, 0);
    EXPECT_EQ(victim_answer(&separate, &msg, 0, 0), 0);
    EXPECT_EQ(victim_message(&v, &msg), 4u << 4);
    EXPECT_EQ(msg.m[1], 0xb0000000u);
}

CASE(exception_without_handler, "G19", "an exception without a handler halts the thread")
{
    uint32_t th;

    CODE(0x0f, 0x0b);
    th = thread_start(regs_then_target, 255);
    settle();
    EXPECT_EQ(status_of(th), L4_XR_OUT_HALTED);
}

CASE(exception_storm, "I-14", "500 exceptions in a row of a thread that is sent on each time")
{
    struct message msg = { 0 };
    struct victim v;

    CODE(0xcc, 0xeb, 0xfd); /* int3; jmp back */
    start_code(&v);
    EXPECT_EQ(victim_message(&v, &msg), 13u << 4);
    for (unsigned i = 0; i < 500; i++) {
        EXPECT_EQ(msg.m[M_VECTOR], L4_PROTO_EXCEPTION << 24 | 3u);
        EXPECT_EQ(ipc(L4_CAP(v.reply), 0, 0, L4_CAP(v.fault), 0, 63, L4_TS_NEVER, &msg), 13u << 4);
    }
}

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

/* ---- IO faults ---- */

struct io_code { uint8_t length, bytes[10]; uint32_t port, width; };

static const struct io_code io_codes[] = {
    { 2, { 0xe4, 0x71 }, 0x71, 1 },                    /* in al, imm */
    { 2, { 0xe5, 0x71 }, 0x71, 4 },                    /* in eax, imm */
    { 3, { 0x66, 0xe5, 0xfe }, 0xfe, 2 },              /* in ax, imm */
    { 2, { 0xe6, 0x80 }, 0x80, 1 },                    /* out imm, al */
    { 2, { 0xe7, 0x80 }, 0x80, 4 },                    /* out imm, eax */
    { 3, { 0x66, 0xe7, 0x80 }, 0x80, 2 },              /* out imm, ax */
    { 1, { 0xec }, 0x4444, 1 },                        /* in al, dx */
    { 1, { 0xed }, 0x4444, 4 },                        /* in eax, dx */
    { 2, { 0x66, 0xed }, 0x4444, 2 },                  /* in ax, dx */
    { 1, { 0xee }, 0x4444, 1 },                        /* out dx, al */
    { 1, { 0xef }, 0x4444, 4 },                        /* out dx, eax */
    { 2, { 0x66, 0xef }, 0x4444, 2 },                  /* out dx, ax */
    { 1, { 0x6c }, 0x4444, 1 },                        /* insb */
    { 1, { 0x6d }, 0x4444, 4 },                        /* insd */
    { 2, { 0x66, 0x6d }, 0x4444, 2 },                  /* insw */
    { 2, { 0xf3, 0x6c }, 0x4444, 1 },                  /* rep insb */
    { 3, { 0xf3, 0x66, 0x6d }, 0x4444, 2 },            /* rep insw */
    { 1, { 0x6e }, 0x4444, 1 },                        /* outsb */
    { 1, { 0x6f }, 0x4444, 4 },                        /* outsd */
    { 3, { 0x66, 0xf3, 0x6f }, 0x4444, 2 },            /* rep outsw */
    { 4, { 0x2e, 0x67, 0xf2, 0x6e }, 0x4444, 1 },      /* cs addr16 repne outsb */
    { 6, { 0x3e, 0x26, 0x64, 0x65, 0x36, 0xec }, 0x4444, 1 },
    { 3, { 0x66, 0x66, 0xed }, 0x4444, 2 },            /* 66 twice is once */
};

CASE(io_fault_decoded, "G54 G18", "in, out, ins and outs of each width with prefixes: the port and the number of bytes")
{
    struct message msg = { 0 };
    struct victim v;

    for (unsigned i = 0; i < sizeof io_codes / sizeof *io_codes; i++) {
        const struct io_code *c = &io_codes[i];

        victim_code(c->bytes, c->length);
        if (i)
            victim_jump(&v, regs_then_target);
        else
            victim_start_in_task(&v, regs_then_target);
        EXPECT_EQ(victim_message(&v, &msg), 4u << 4);
        EXPECT_EQ(msg.m[0], L4_FAULT_M0(L4_OP_IO, 15, L4_D_EMPTY, L4_TYPE_IOPORT, L4_R | L4_W));
        EXPECT_EQ(msg.m[1], c->port << 12 | (c->width - 1u));
        EXPECT_EQ(msg.m[2], page(CODE_PAGE));
        EXPECT_EQ(msg.m[3], L4_FPAGE(c->port << 12, L4_SPACE_IO, 12, L4_R | L4_W));
    }
}

CASE(io_fault_resolved, "G18", "a reply that maps the port resolves the fault: the instruction reads the device")
{
    struct message msg = { 0 };
    struct victim v;

    CODE(0xe4, 0x71, 0xcc);
    l4_outb(0x70, 0x0a);
    victim_start_in_task(&v, regs_then_target);
    EXPECT_EQ(victim_message(&v, &msg), 4u << 4);
    map_item(&msg, 0, msg.m[3], 0);
    EXPECT_EQ(victim_answer(&v, &msg, 1, 0), 0);
    expect_exception(&v, &msg, 3, 0, 3, M_EAX);
    EXPECT_EQ(msg.m[M_EAX] & 0x7fu, l4_inb(0x71) & 0x7fu);
    EXPECT_EQ(msg.m[M_EAX] & 0xffffff00u, REG_EAX & 0xffffff00u);
}

CASE(io_fault_some_ports, "G54", "a double word whose last port is missing faults with EMPTY; read-only ports with RIGHTS")
{
    struct message msg = { 0 };
    struct victim v;

    CODE(0xe5, 0x74, 0xcc);
    victim_start_in_task(&v, regs_then_target);
    EXPECT_EQ(victim_message(&v, &msg), 4u << 4);
    map_item(&msg, 0, L4_FPAGE(0x74u << 12, L4_SPACE_IO, 13, L4_R | L4_W), 0);
    EXPECT_EQ(victim_answer(&v, &msg, 1, 0), 0);
    EXPECT_EQ(victim_message(&v, &msg), 4u << 4);
    EXPECT_EQ(msg.m[0] >> 8 & 15u, L4_D_EMPTY);
    map_item(&msg, 0, L4_FPAGE(0x76u << 12, L4_SPACE_IO, 13, L4_R), 0);
    EXPECT_EQ(victim_answer(&v, &msg, 1, 0), 0);
    EXPECT_EQ(victim_message(&v, &msg), 4u << 4);
    EXPECT_EQ(msg.m[0] >> 8 & 15u, L4_D_RIGHTS);
    map_item(&msg, 0, L4_FPAGE(0x76u << 12, L4_SPACE_IO, 13, L4_R | L4_W), 0);
    EXPECT_EQ(victim_answer(&v, &msg, 1, 0), 0);
    expect_exception(&v, &msg, 3, 0, 3, M_EAX);
}

CASE(io_fault_reflected, "G19", "a reflected IO fault is exception 13 with the port in M12")
{
    struct message msg = { 0 };
    struct victim v;

    CODE(0xee);
    victim_start_in_task(&v, regs_then_target);
    EXPECT_EQ(victim_message(&v, &msg), 4u << 4);
    msg.m[0] = L4_REPLY_REFLECT;
    EXPECT_EQ(victim_answer(&v, &msg, 0, 1), 0);
    expect_exception(&v, &msg, 13, L4_FAULT_M0(L4_OP_IO, 15, L4_D_EMPTY, L4_TYPE_IOPORT, L4_R | L4_W), 0, 0);
    EXPECT_EQ(msg.m[M_CR2], 0x4444u << 12);
}

CASE(io_too_many_prefixes, "G54", "15 prefixes and more are no instruction: exception 13")
{
    struct message msg = { 0 };
    struct victim v;

    CODE(0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0xec);
    victim_start_in_task(&v, regs_then_target);
    expect_exception(&v, &msg, 13, 0, 0, 0);
}

CASE(io_bitmap_switches, "IO-1", "the ports of one task are closed in another, also right after a switch")
{
    struct message msg = { 0 };
    struct victim v;

    (void)l4_inb(0x71); /* ours are loaded */
    CODE(0xe4, 0x71);
    victim_start_in_task(&v, regs_then_target);
    EXPECT_EQ(victim_message(&v, &msg), 4u << 4);
    EXPECT_EQ(msg.m[1], 0x71u << 12);
    (void)l4_inb(0x71);
    EXPECT_EQ(victim_answer(&v, &msg, 0, 0), 0);
    EXPECT_EQ(victim_message(&v, &msg), 4u << 4);
    EXPECT_EQ(msg.m[1], 0x71u << 12);
}

/* ---- faults of faults ---- */

static void faults_twice(void)
{
    seen = *word_at(0xb0000000u);
}

CASE(fault_handler_destroyed, "I-12 G17", "the handler's endpoint dies while the fault waits there: no handler, the thread halts")
{
    struct victim v;

    victim_start(&v, faults_twice);
    settle();
    EXPECT_EQ(status_of(v.thread), L4_XR_OUT_SEND | L4_XR_OUT_NESTED);
    EXPECT_EQ(flush_cap(v.fault) & 15u, 0);
    settle();
    EXPECT_EQ(status_of(v.thread), L4_XR_OUT_HALTED);
}

CASE(fault_reply_endpoint_destroyed, "I-12", "the reply endpoint dies while the thread waits for its answer: no handler, the thread halts")
{
    struct message msg = { 0 };
    struct victim v;

    victim_start(&v, faults_twice);
    EXPECT_EQ(victim_message(&v, &msg), 4u << 4);
    EXPECT_EQ(status_of(v.thread), L4_XR_OUT_RECV | L4_XR_OUT_NESTED);
    EXPECT_EQ(flush_cap(v.reply) & 15u, 0);
    settle();
    EXPECT_EQ(status_of(v.thread), L4_XR_OUT_HALTED);
}

static void own_pager(uint32_t id)
{
    uint32_t ep;

    EXPECT_EQ(tcr_read(L4_CAP(id), L4_TCR_FAULT_SND, &ep) & 15u, 0);
    EXPECT_EQ(tcr_write(L4_CAP(id), L4_TCR_FAULT_RCV, ep), 0);
}

CASE(fault_own_pager, "I-12 T-09", "a thread that is its own pager waits for itself, and can be freed")
{
    struct victim v;

    victim_start_after(&v, own_pager, faults_twice);
    settle();
    EXPECT_EQ(status_of(v.thread), L4_XR_OUT_SEND | L4_XR_OUT_NESTED);
    seen = 7;
    EXPECT_EQ(exregs(L4_XR_HALT_GIVEN | L4_XR_HALT | 3u << L4_XR_ABORT_SHIFT, L4_CAP(v.thread), 0, 0, 0, 0, NULL) & 15u, 0);
    settle();
    EXPECT_EQ(seen, 7);
    EXPECT(status_of(v.thread) & L4_XR_OUT_HALTED);
}

static void task_as_handler(uint32_t id)
{
    EXPECT_EQ(tcr_write(L4_CAP(id), L4_TCR_FAULT_SND, OWN_TASK), 0);
}

CASE(fault_handler_names_not_endpoints, "I-12", "a handler that is a task or an empty name is no handler")
{
    struct victim v;

    victim_start_after(&v, task_as_handler, faults_twice);
    settle();
    EXPECT_EQ(status_of(v.thread), L4_XR_OUT_HALTED);
}

static void call_faults(void)
{
    value_out = call_at(L4_IPC_W0(L4_CAP(0x20e), 0, 40), L4_IPC_W1(NO_CAP, 0, 0, 0), 0xb0000000u);
    seen = 1;
}

CASE(fault_three_levels, "I-13", "a call whose words are missing, then whose endpoint is missing: one fault after the other, one at a time")
{
    struct message msg = { 0 };
    struct victim v;
    uint32_t kp = kpage_new(32, 13);

    seen = 0;
    victim_start(&v, call_faults);
    EXPECT_EQ(victim_message(&v, &msg), 4u << 4);
    EXPECT_EQ(msg.m[0] >> 16 & 0xffu, L4_OP_READ);
    EXPECT_EQ(msg.m[1], 0xb0000000u);
    table_item(&msg, 0, L4_CAP_FPAGE(kp, L4_W), L4_SPACE_MEM, 0xb0000000u, 22);
    map_item(&msg, 2, L4_FPAGE(page(44), L4_SPACE_MEM, 12, L4_R), 0xb0000000u);
    EXPECT_EQ(victim_answer(&v, &msg, 2, 0), 0);
    EXPECT_EQ(victim_message(&v, &msg), 4u << 4);
    EXPECT_EQ(msg.m[0], L4_FAULT_M0(L4_OP_SEND, 0, L4_D_EMPTY, L4_TYPE_ENDPOINT, L4_W));
    msg.m[0] = L4_REPLY_REFLECT;
    EXPECT_EQ(victim_answer(&v, &msg, 0, 1), 0);
    EXPECT_EQ(victim_message(&v, &msg), 13u << 4);
    EXPECT_EQ(msg.m[0], L4_PROTO_EXCEPTION << 24 | 0x80u);
    EXPECT_EQ(victim_answer(&v, &msg, 0, 0), 0); /* unchanged: the call is repeated */
    EXPECT_EQ(victim_message(&v, &msg), 4u << 4);
    EXPECT_EQ(msg.m[0], L4_FAULT_M0(L4_OP_SEND, 0, L4_D_EMPTY, L4_TYPE_ENDPOINT, L4_W));
    msg.m[0] = L4_REPLY_FAIL;
    EXPECT_EQ(victim_answer(&v, &msg, 0, 1), 0);
    settle();
    EXPECT_EQ(seen, 1);
    EXPECT_ERROR(value_out, L4_CAP, L4_D_EMPTY);
}

CASE(fault_loop_does_not_starve, "I-11", "a pager that never maps anything keeps only itself and its client busy")
{
    struct message msg = { 0 };
    struct victim v;

    victim_start(&v, faults_twice);
    for (unsigned i = 0; i < 100; i++) {
        EXPECT_EQ(victim_message(&v, &msg), 4u << 4);
        EXPECT_EQ(msg.m[1], 0xb0000000u);
        if (i % 3 == 0)
            msg.m[0] = L4_REPLY_RETRY;
        EXPECT_EQ(victim_answer(&v, &msg, 0, i % 3 == 0 ? 1 : 0), 0);
    }
}

CASE(fault_capability_operations, "G18", "the operation, the expected type and the missing right of each call's faults")
{
    static const struct { uint32_t w0, w1, w2, m0, m1; } list[] = {
        { L4_IPC_W0(0x20e000, 1, 0), 0xfffff000u, 0, L4_FAULT_M0(0x21, 0, 1, 3, 10), 0x20e000 },
        { L4_IPC_W0(0xfffff000u, 0, 0), 0x20e000, 0, L4_FAULT_M0(0x22, 0, 1, 3, 4), 0x20e001 },
        { 0x20e000 | L4_SYS_EXREGS, 0, 0, L4_FAULT_M0(0x30, 5, 1, 2, 4), 0x20e000 },
        { 0x20e000 | L4_XR_SET_USER | L4_SYS_EXREGS, 0, 0, L4_FAULT_M0(0x31, 5, 1, 2, 2), 0x20e000 },
        { 0x20e010 | L4_SYS_THREAD_CONTROL, 2u << 2 | 2u, 0, L4_FAULT_M0(0x38, 4, 1, 2, 4), 0x20e000 },
        { 0x20e010 | L4_SYS_THREAD_CONTROL, 2u << 2 | 1u, 0, L4_FAULT_M0(0x39, 4, 1, 2, 2), 0x20e000 },
        { 0x3f0000 | 3u << 4 | L4_SYS_CREATE, L4_CAP_FPAGE(0x20e, 2), 0, L4_FAULT_M0(0x40, 3, 1, 4, 2), 0x20e001 },
        { 0x20e000 | L4_SCHED_DISSOCIATE | L4_SYS_SCHEDULE, 0, 0, L4_FAULT_M0(0x50, 6, 1, 5, 2), 0x20e000 },
        { 0x003000 | L4_SCHED_MERGE | L4_SYS_SCHEDULE, 0x20e000, 0, L4_FAULT_M0(0x51, 6, 1, 5, 2), 0x20e001 },
        { 0x003000 | L4_SCHED_ASSOCIATE | L4_SYS_SCHEDULE, 0, 0x20e000, L4_FAULT_M0(0x52, 6, 1, 2, 10), 0x20e002 },
        { 0x20e000 | L4_SYS_THREAD_SWITCH, 0, 0, L4_FAULT_M0(0x58, 8, 1, 2, 0), 0x20e000 },
        { 0x20e000 | L4_SYS_PROCESSOR_CONTROL, 0, 0, L4_FAULT_M0(0x60, 9, 1, 6, 4), 0x20e000 },
        { 0x001000 | L4_SYS_THREAD_SWITCH, 0, 0, L4_FAULT_M0(0x58, 8, 2, 2, 0), 0x001000 },
    };
    /* mov eax, ..; mov ebx, ..; mov esi, ..; mov ecx, page; int 0x40; int3 */
    static const uint8_t code[] = {
        0xb8, 0, 0, 0, 0, 0xbb, 0, 0, 0, 0, 0xbe, 0, 0, 0, 0, 0xb9, 0, 0, 0, 0, 0xcd, 0x40, 0xcc,
    };
    struct message msg = { 0 };
    struct victim v;
    uint8_t *at = (uint8_t *)(uintptr_t)page(CODE_PAGE);
    uint32_t words = page(46);

    for (unsigned i = 0; i < sizeof list / sizeof *list; i++) {
        victim_code(code, sizeof code);
        memcpy(at + 1, &list[i].w0, 4);
        memcpy(at + 6, &list[i].w1, 4);
        memcpy(at + 11, &list[i].w2, 4);
        memcpy(at + 16, &words, 4);
        if (i)
            victim_jump(&v, regs_then_target);
        else
            start_code(&v);
        EXPECT_EQ(victim_message(&v, &msg), 4u << 4);
        EXPECT_EQ(msg.m[0], list[i].m0);
        EXPECT_EQ(msg.m[1], list[i].m1);
        EXPECT_EQ(msg.m[2], page(CODE_PAGE) + 22);
        EXPECT_EQ(msg.m[3], L4_FPAGE(list[i].m1 & 0xfffff000u, L4_SPACE_CAP, 12, list[i].m0 & 15u));
    }
}

CASE(fault_capability_retried, "M 2.1.2", "a reply that maps the missing capability lets the call go on as if nothing had been")
{
    struct message msg = { 0 };
    struct victim v;
    uint32_t ep = endpoint_new();

    CODE(0xb8, 0x10, 0xe0, 0x20, 0, 0xbb, 0, 0xf0, 0xff, 0xff, 0xcd, 0x40, 0xcc); /* send one word on 0x20e */
    start_code(&v);
    EXPECT_EQ(victim_message(&v, &msg), 4u << 4);
    map_item(&msg, 0, L4_CAP_FPAGE(ep, msg.m[3] & 15u), msg.m[3]);
    EXPECT_EQ(victim_answer(&v, &msg, 1, 0), 0);
    EXPECT_EQ(ipc(NO_CAP, 0, 0, L4_CAP(ep), 0, 1, L4_TS_NEVER, &msg), 1u << 4);
    EXPECT_EQ(msg.m[0], REG_ESI);
    EXPECT_EQ(victim_message(&v, &msg), 13u << 4); /* int3 behind the call */
    EXPECT_EQ(msg.m[M_EAX], 0);
    (void)flush_cap(0x20e);
    (void)value_in;
}
