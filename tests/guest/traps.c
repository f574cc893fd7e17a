// SPDX-License-Identifier: MIT
/* Exceptions with registers, IO faults, faults of faults.  [M 2.1.2] [G19] [G54] */
#include "tests/guest/kit.h"

static volatile uint32_t seen, value_in, value_out;

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
