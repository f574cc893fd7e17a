// SPDX-License-Identifier: MIT
/*
 * Exceptions and interrupts, sorted by who caused them.  User code's own become fault messages; the
 * kernel's are expected at two places only, the copy of user words and the debugger's guarded commands.
 */
#include <arch/console.h>
#include <arch/cpu.h>
#include "arch/ia32/arch.h"
#include "kernel/cpu.h"
#include "kernel/debug/debug.h"
#include "kernel/fault.h"
#include "kernel/irq.h"
#include "kernel/lib/string.h"
#include "kernel/sched.h"

enum {
    VECTOR_DEBUG = 1, VECTOR_NMI = 2, VECTOR_BREAKPOINT = 3, VECTOR_NO_FPU = 7, VECTOR_DOUBLE_FAULT = 8,
    VECTOR_GENERAL_PROTECTION = 13, VECTOR_PAGE_FAULT = 14, VECTOR_MACHINE_CHECK = 18
};

#define PAGE_FAULT_WRITE 2u
#define PAGE_FAULT_FETCH 16u

#define INSTRUCTION_HLT 0xf4u

#define DR6_HIT  0x000fu
#define DR6_STEP 0x4000u

struct user_frame relocated;

/* ---- interrupts ---- */

/* The serial line that interrupts here, or -1. */
static int serial_line(unsigned irq)
{
    if (!(kernel_irqs & 1u << irq))
        return -1;
    return irq == IRQ_COM1 ? 0 : irq == IRQ_COM2 ? 1 : -1;
}

/* Everything but serial lines. */
static void interrupt(unsigned irq)
{
    if (irq == IRQ_TIMER) {
        i8259_eoi(irq);
        irq_count[irq]++;
        sched_timer();
        return;
    }
    arch_irq_mask(irq);
    i8259_eoi(irq);
    irq_raise(irq);
}

/* False: it was none. */
static bool accept(unsigned irq)
{
    this_cpu()->interrupts++;
    if (!i8259_is_spurious(irq))
        return true;
    irq_spurious++;
    return false;
}

/* regs NULL: the current thread's frame. */
static void serial_interrupt(unsigned irq, unsigned line, struct debug_regs *regs)
{
    i8259_eoi(irq);
    irq_count[irq]++;
    (void)debug_serial_irq(line, regs);
}

/* ---- register images for the debugger ---- */

static void regs_from_frame(struct debug_regs *regs, const struct user_frame *f, bool user)
{
    *regs = (struct debug_regs){
        .eax = f->eax, .ecx = f->ecx, .edx = f->edx, .ebx = f->ebx, .ebp = f->ebp, .esi = f->esi,
        .edi = f->edi, .eip = f->eip, .eflags = f->eflags, .vector = f->vector, .error = f->error,
        .esp = user || f == &relocated ? f->esp : (uint32_t)(uintptr_t)&f->esp,
        .cs = user ? SEL_USER_CS : SEL_KERNEL_CS, .ss = user ? SEL_USER_DS : SEL_KERNEL_DS,
        .ds = SEL_USER_DS, .es = SEL_USER_DS, .fs = SEL_USER_DS, .gs = SEL_USER_DS,
        .user = user,
    };
}

static void frame_from_regs(struct user_frame *f, const struct debug_regs *regs)
{
    f->eax = regs->eax;
    f->ecx = regs->ecx;
    f->edx = regs->edx;
    f->ebx = regs->ebx;
    f->ebp = regs->ebp;
    f->esi = regs->esi;
    f->edi = regs->edi;
    f->eip = regs->eip;
    f->eflags = regs->eflags;
}

/* ---- user mode ---- */

/* The debugger sees and changes t's frame; forbidden flags are put right on the way out. */
static void user_debug(struct thread *t, enum debug_reason reason)
{
    if (!debug_enter(reason, NULL, NULL))
        fault_exception(t, t->frame.vector, 0, 0);
}

static void user_page_fault(struct thread *t)
{
    uint32_t error = t->frame.error;

    fault_memory(t, read_cr2(), error & PAGE_FAULT_WRITE ? L4_W : error & PAGE_FAULT_FETCH ? L4_X : L4_R,
                 NULL);
}

/* An IO instruction: perhaps the TSS has just another task's bitmap.  [G54] */
static void user_general_protection(struct thread *t)
{
    uint32_t port;
    unsigned bytes;

    if (arch_decode_io(t, &port, &bytes)) {
        if (!io_load(t->task))
            fault_io(t, port, bytes);
        return;
    }
    fault_exception(t, VECTOR_GENERAL_PROTECTION, t->frame.error, 0);
}

void trap_user(struct thread *t)
{
    uint32_t vector = t->frame.vector;

    cpu_stretch_begin(STRETCH_VECTOR + vector);
    t->syscall = false;
    if (LIKELY(vector == VECTOR_PAGE_FAULT)) {
        user_page_fault(t);
        return;
    }
    if (vector >= VECTOR_IRQ0) {
        unsigned irq = vector - VECTOR_IRQ0;
        int line = serial_line(irq);
        if (!accept(irq))
            return;
        if (line >= 0)
            serial_interrupt(irq, (unsigned)line, NULL);
        else
            interrupt(irq);
        return;
    }
    switch (vector) {
    case VECTOR_GENERAL_PROTECTION:
        user_general_protection(t);
        break;
    case VECTOR_NO_FPU:
        if (!fpu_take(t))
            fault_exception(t, vector, 0, 0);
        break;
    case VECTOR_DEBUG:
        user_debug(t, DEBUG_STEP);
        break;
    case VECTOR_BREAKPOINT:
        user_debug(t, DEBUG_BREAKPOINT);
        break;
    default:
        fault_exception(t, vector, t->frame.error, 0);
        break;
    }
}

/* ---- kernel mode ---- */

static const char *vector_name(uint32_t vector)
{
    static const char *const names[] = {
        "divide error", "debug exception", "NMI", "breakpoint", "overflow", "bound", "invalid opcode",
        "no FPU", "double fault", "coprocessor overrun", "invalid TSS", "segment not present",
        "stack fault", "general protection", "page fault", "reserved", "FPU error", "alignment check",
        "machine check", "SIMD error"
    };

    return vector < ARRAY_SIZE(names) ? names[vector] : "exception";
}

/* What iret must load: in place, or `relocated` if it came from there or the stack pointer was changed. */
static struct user_frame *resume(struct user_frame *f, const struct debug_regs *regs)
{
    frame_from_regs(f, regs);
    if (LIKELY(regs->esp == (uint32_t)(uintptr_t)&f->esp))
        return f;
    if (f != &relocated)
        memcpy(&relocated, f, offsetof(struct user_frame, esp));
    relocated.esp = regs->esp;
    return &relocated;
}

/* The user program single-stepped into sysenter: go on with its trap flag where it belongs.  [S23] */
static bool stepped_into_kernel(struct user_frame *f)
{
    uint32_t dr6;

    if (f->vector != VECTOR_DEBUG || (f->eip != (uint32_t)(uintptr_t)sysenter_entry &&
                                      f->eip != (uint32_t)(uintptr_t)sysenter_entry_c))
        return false;
    dr6 = read_dr6();
    if (!(dr6 & DR6_STEP))
        return false;
    if (!(dr6 & DR6_HIT))
        write_dr6(DR6_NONE);
    f->eip = (uint32_t)(uintptr_t)sysenter_entry_stepped;
    f->eflags &= ~EFLAGS_TF;
    return !(dr6 & DR6_HIT);
}

static struct user_frame *kernel_exception(struct user_frame *f)
{
    struct debug_regs regs;
    uint32_t address = f->vector == VECTOR_PAGE_FAULT ? read_cr2() : 0;
    enum debug_reason reason = f->vector == VECTOR_DEBUG ? DEBUG_STEP
                             : f->vector == VECTOR_BREAKPOINT ? DEBUG_BREAKPOINT : DEBUG_TRAP;

    if (reason == DEBUG_TRAP)
        debug_guard_fault(f->eip, address);
    regs_from_frame(&regs, f, false);
    if (reason == DEBUG_TRAP && !debug_active())
        kprintf("\n*** %s (vector %u, error %x) in the kernel at %08x, address %08x\n",
                vector_name(f->vector), (unsigned)f->vector, (unsigned)f->error, (unsigned)f->eip,
                (unsigned)address);
    bool handled = debug_enter(reason, &regs, vector_name(f->vector));
    if (!handled && reason != DEBUG_STEP)
        panic("%s in the kernel at %08x", vector_name(f->vector), (unsigned)f->eip);
    if (!handled)
        regs.eflags &= ~EFLAGS_TF;
    return resume(f, &regs);
}

/*
 * At a preemption point, in the idle loop, or where the return of an NMI or of a debug exception has ended the shadow
 * of sti: before sysexit the registers are the user's already, and a processor that has work must not halt.
 */
static bool is_at_sysexit(const struct user_frame *f)
{
    return f->eip - (uint32_t)(uintptr_t)entry_text_start < (uint32_t)(entry_text_end - entry_text_start);
}

static struct user_frame *interrupt_at_sysexit(const struct user_frame *f, struct thread *t)
{
    const struct user_frame user = *f; /* may overlap t->frame */

    t->frame = user;
    t->frame.eip = user.edx;
    t->frame.esp = user.ecx;
    t->frame.cs = SEL_USER_CS;
    t->frame.ss = SEL_USER_DS;
    t->frame.eflags = EFLAGS_IF | 2u;
    t->slow_exit = true;
    trap_user(t);
    relocated = (struct user_frame){
        .eip = (uint32_t)(uintptr_t)enter_user, .cs = SEL_KERNEL_CS, .eflags = 2,
        .esp = (uint32_t)(uintptr_t)kernel_stack_top,
    };
    return &relocated;
}

static struct user_frame *kernel_interrupt(struct user_frame *f)
{
    unsigned irq = f->vector - VECTOR_IRQ0;
    int line = serial_line(irq);
    struct debug_regs regs;

    if (is_at_sysexit(f))
        return interrupt_at_sysexit(f, thread_current());
    if (*(const uint8_t *)(uintptr_t)f->eip == INSTRUCTION_HLT)
        f->eip++;
    if (!accept(irq))
        return f;
    if (line < 0) {
        cpu_stretch_begin(STRETCH_VECTOR + f->vector);
        interrupt(irq);
        cpu_stretch_end(STRETCH_USER);
        return f;
    }
    regs_from_frame(&regs, f, false);
    serial_interrupt(irq, (unsigned)line, &regs);
    return resume(f, &regs);
}

struct user_frame *trap_kernel(struct user_frame *f)
{
    struct thread *t = thread_current();

    if (f->vector >= VECTOR_IRQ0)
        return kernel_interrupt(f);
    if (f->vector == VECTOR_NO_FPU && fpu_resume())
        return f;
    if (f == &relocated && t) { /* at the second instruction of sysenter_entry it was pushed over these */
        t->frame.cs = SEL_USER_CS;
        t->frame.ss = SEL_USER_DS;
    }
    uint32_t fixup = f->vector == VECTOR_PAGE_FAULT ? usercopy_fixup(f->eip) : 0;
    if (fixup) {
        f->eax = read_cr2();
        f->eip = fixup;
        return f;
    }
    cpu_tss.tss.link = 0; /* overwritten if ESP was that of sysenter; a user's iret with NT set looks at it */
    if (stepped_into_kernel(f))
        return f;
    return kernel_exception(f);
}

/* ---- task gates ---- */

/* The interrupted context stands in its TSS; if it is user code its frame is made to agree. */
static void regs_from_tss(struct debug_regs *regs, const struct tss *own, uint32_t vector)
{
    const struct tss *s = tss_interrupted(own);
    struct thread *t = thread_current();

    *regs = (struct debug_regs){
        .eax = s->eax, .ecx = s->ecx, .edx = s->edx, .ebx = s->ebx, .esp = s->esp, .ebp = s->ebp,
        .esi = s->esi, .edi = s->edi, .eip = s->eip, .eflags = s->eflags, .cs = (uint16_t)s->cs,
        .ss = (uint16_t)s->ss, .ds = (uint16_t)s->ds, .es = (uint16_t)s->es, .fs = (uint16_t)s->fs,
        .gs = (uint16_t)s->gs, .user = (s->cs & 3u) != 0, .vector = vector,
    };
    if (regs->user && t) {
        frame_from_regs(&t->frame, regs);
        t->frame.esp = regs->esp;
        t->frame.vector = vector;
        t->syscall = false;
    }
}

void trap_double_fault(void)
{
    struct debug_regs regs;

    regs_from_tss(&regs, &double_fault_tss, VECTOR_DOUBLE_FAULT);
    kprintf("\n*** double fault at %08x, esp %08x, address %08x\n", (unsigned)regs.eip, (unsigned)regs.esp,
            (unsigned)read_cr2());
    (void)debug_enter(DEBUG_DOUBLE_FAULT, &regs, "double fault");
    panic("double fault at %08x", (unsigned)regs.eip);
}

void trap_nmi(void)
{
    struct tss *s = tss_interrupted(&nmi_tss);
    uint32_t dr6 = read_dr6();
    struct debug_regs regs;

    regs_from_tss(&regs, &nmi_tss, VECTOR_NMI);
    if (!debug_active())
        kprintf("\n*** NMI at %08x\n", (unsigned)regs.eip);
    (void)debug_enter(DEBUG_NMI, &regs, "NMI");
    write_dr6(dr6); /* for a debug exception that has just begun */
    s->eax = regs.eax;
    s->ecx = regs.ecx;
    s->edx = regs.edx;
    s->ebx = regs.ebx;
    s->esp = regs.esp;
    s->ebp = regs.ebp;
    s->esi = regs.esi;
    s->edi = regs.edi;
    s->eip = regs.eip;
    s->eflags = regs.user ? (regs.eflags & L4_USER_EFLAGS) | EFLAGS_IF | 2u : regs.eflags;
    fpu_trap(); /* the task switch back sets CR0.TS */
}

/* No thread's fault: the end, whatever it has interrupted. */
void trap_machine_check(void)
{
    struct debug_regs regs;

    regs_from_tss(&regs, &machine_check_tss, VECTOR_MACHINE_CHECK);
    kprintf("\n*** machine check at %08x\n", (unsigned)regs.eip);
    machine_check_report();
    (void)debug_enter(DEBUG_TRAP, &regs, vector_name(VECTOR_MACHINE_CHECK));
    panic("machine check at %08x", (unsigned)regs.eip);
}
