// SPDX-License-Identifier: MIT
/*
 * Entering and leaving the debugger.
 *
 * A stop goes: time stops, points leave memory and debug registers, a front end is chosen and runs on the
 * debugger's own stack (the interrupted stack may be the thing that is broken, and GDB writes below its
 * stack pointer), then points come back and time goes on.  Invariants: nothing is inserted while a front
 * end runs; at most one single step is under way, and the trap flag in any frame is either part of it
 * or the user program's own.
 */
#include <arch/console.h>
#include <arch/cpu.h>
#include <arch/debug.h>
#include <arch/frame.h>
#include "kdb/kdb.h"
#include "kernel/boot.h"
#include "kernel/clock.h"
#include "kernel/cpu.h"
#include "kernel/debug/core.h"
#include "kernel/lib/string.h"

enum debug_level debug_level = DEBUG_LOG; /* until debug_init(): an early panic prints and halts */
uint8_t debug_break_key = 0x05;
struct debug_cause debug_cause;
bool debug_gdb_wait;

/* Absent when the kernel is built without kdb. */
#pragma weak kdb_exec

extern char debug_stack_top[]; /* kernel.ld */

static bool active;

/* The step that a front end asked for. */
static struct step_wanted {
    const struct debug_front *owner; /* NULL: none */
    uint32_t thread;                 /* id of the user thread; 0: whatever kernel code runs, and its way out */
} step;

/* The step over a byte that had to leave memory for one instruction. */
static struct step_over {
    bool on;
    uint32_t thread;                 /* as above */
    paddr_t phys;                    /* the byte that stays out meanwhile */
} over;

static uint32_t pushf_pending;       /* a pushf is being stepped: context as above + 1, 0 none */

bool debug_active(void) { return active; }

/* ---- serial lines ---- */

#define TYPED_MAX 64u
static uint8_t typed[TYPED_MAX];
static unsigned typed_in, typed_out;
static int pushed_back = -1; /* the byte on line 1 that made us enter */

int debug_line_get(unsigned line)
{
    if (line == 1 && pushed_back >= 0) {
        int byte = pushed_back;
        pushed_back = -1;
        return byte;
    }
    return arch_serial_get(line);
}

int console_getc(void)
{
    if (typed_in != typed_out)
        return typed[typed_out++ % TYPED_MAX];
    int byte = arch_serial_get(0);
    return byte < 0 ? -1 : byte;
}

bool debug_serial_irq(unsigned line, struct debug_regs *regs)
{
    bool entered = false;
    int byte;
    if (active)
        return false;
    while ((byte = arch_serial_get(line)) != -1) {
        if (line == 0) {
            if (debug_level >= DEBUG_RO && (byte == -2 || byte == debug_break_key)) {
                entered |= debug_enter(DEBUG_KEY, regs, "break-in key");
            } else if (byte >= 0 && typed_in - typed_out < TYPED_MAX) {
                typed[typed_in++ % TYPED_MAX] = (uint8_t)byte;
            }
        } else if (debug_level >= DEBUG_RW && (byte == -2 || byte == '$' || byte == 0x03)) {
            pushed_back = byte == -2 ? 0x03 : byte;
            entered |= debug_enter(DEBUG_GDB, regs, "GDB");
        }
    }
    return entered;
}

/* ---- frames ---- */

void debug_frame_get(const struct thread *t, struct debug_regs *regs)
{
    const struct user_frame *f = &t->frame;
    *regs = (struct debug_regs){
        .eax = f->eax, .ecx = f->ecx, .edx = f->edx, .ebx = f->ebx,
        .esp = f->esp, .ebp = f->ebp, .esi = f->esi, .edi = f->edi,
        .eip = f->eip, .eflags = f->eflags,
        .cs = (uint16_t)f->cs, .ss = (uint16_t)f->ss,
        .ds = SEL_USER_DS, .es = SEL_USER_DS, .fs = SEL_USER_DS, .gs = SEL_USER_DS,
        .vector = f->vector, .error = f->error, .user = true,
    };
}

void debug_frame_set(struct thread *t, const struct debug_regs *regs)
{
    struct user_frame *f = &t->frame;
    f->eax = regs->eax;
    f->ecx = regs->ecx;
    f->edx = regs->edx;
    f->ebx = regs->ebx;
    f->esp = regs->esp;
    f->ebp = regs->ebp;
    f->esi = regs->esi;
    f->edi = regs->edi;
    f->eip = regs->eip;
    f->eflags = (regs->eflags & (L4_USER_EFLAGS | EFLAGS_RF)) | EFLAGS_IF | 2u;
    t->slow_exit = true; /* sysexit would lose flags and registers */
}

static struct thread *thread_by_id(uint32_t id)
{
    struct kobj *o = id ? kobj_by_id(id) : NULL;
    return o && o->type == L4_TYPE_THREAD ? CONTAINER_OF(o, struct thread, obj) : NULL;
}

/* Take our trap flag out of wherever it is. */
static void trap_flag_off(uint32_t thread, struct debug_regs *regs)
{
    struct thread *current = thread_current();
    if (thread == 0 || (regs->user && current && current->obj.id == thread)) {
        regs->eflags &= ~EFLAGS_TF;
        return;
    }
    struct thread *t = thread_by_id(thread);
    if (t)
        t->frame.eflags &= ~EFLAGS_TF;
}

static void step_cancel(struct debug_regs *regs)
{
    if (step.owner)
        trap_flag_off(step.thread, regs);
    step.owner = NULL;
}

void debug_step_thread(struct thread *t)
{
    step.thread = t->obj.id; /* the owner is filled in when the front end returns */
    t->frame.eflags |= EFLAGS_TF;
    t->slow_exit = true;
}

/* Is the stopped context the one that id `thread` of a step means? */
static bool is_context(uint32_t thread, const struct debug_regs *regs)
{
    const struct thread *current = thread_current();
    return thread == 0 || (regs->user && current && current->obj.id == thread);
}

static const struct task *task_of(const struct debug_regs *regs)
{
    const struct thread *current = thread_current();
    (void)regs;
    return current ? current->task : NULL;
}

/* ---- front ends ---- */

static const struct debug_front *front_named(const char *name)
{
    for (unsigned i = 0; i < LINKSET_COUNT(debug_fronts); i++) {
        const struct debug_front *f = LINKSET_GET(debug_fronts, i);
        if (strcmp(f->name, name) == 0)
            return f;
    }
    return NULL;
}

static const struct debug_front *front_gdb(void) { return debug_level >= DEBUG_RW ? front_named("gdb") : NULL; }
static const struct debug_front *front_kdb(void) { return front_named("kdb"); }

static const struct debug_front *front_owner(unsigned owner)
{
    const struct debug_front *gdb = front_gdb();
    if ((owner & BP_OWNER_GDB) && gdb && gdb->attached())
        return gdb;
    return owner & BP_OWNER_KDB ? front_kdb() : gdb;
}

/* GDB if a client is there, else kdb: for stops that nobody asked for. */
static const struct debug_front *front_any(void)
{
    const struct debug_front *gdb = front_gdb();
    return gdb && (debug_gdb_wait || gdb->attached()) ? gdb : front_kdb();
}

enum verdict { VERDICT_RUN, VERDICT_SILENT, VERDICT_DECLINE };

static enum verdict judge_breakpoint(struct debug_stop *stop, const struct debug_front **front)
{
    struct debug_regs *regs = stop->regs;
    const struct thread *t = thread_current();
    uint32_t at = regs->eip - 1;
    const struct task *task = task_of(regs);
    bool mine;
    uint8_t byte = 0;
    if (bp_hit_soft(task, at, &mine, &debug_cause.hit)) {
        regs->eip = at;
        if (!mine)
            return VERDICT_SILENT;
        debug_cause.valid = true;
        *front = front_owner(debug_cause.hit.owner);
        return *front ? VERDICT_RUN : VERDICT_SILENT;
    }
    /* An int3 of the program.  One with an exception handler sees its own traps. */
    if (regs->user && t && t->tcr[L4_TCR_EXC_SND] != L4_CAP_INVALID)
        return VERDICT_DECLINE;
    *front = front_any();
    if (!*front || (regs->user && *front != front_gdb()))
        return VERDICT_DECLINE;
    if (probe_read(task, at, &byte, 1, false) == 1 && byte == ARCH_INT3) { /* not the two-byte form */
        regs->eip = at;
        debug_cause.hardcoded = true;
        debug_cause.hit = (struct bp_hit){ BP_SOFT, at, 0, 0 };
    }
    return VERDICT_RUN;
}

/* pushf stores the trap flag that only we set. */
static void clean_pushf(const struct debug_regs *regs)
{
    uint32_t flags;
    if (pushf_pending && is_context(pushf_pending - 1, regs) &&
        probe_read(task_of(regs), regs->esp, &flags, 4, false) == 4) {
        flags &= ~EFLAGS_TF;
        probe_write(task_of(regs), regs->esp, &flags, 4, false);
    }
    pushf_pending = 0;
}

static enum verdict judge_step(struct debug_stop *stop, const struct debug_front **front)
{
    struct debug_regs *regs = stop->regs;
    bool ours = false;
    if (bp_hit_slots(stop->dr6, task_of(regs), this_cpu()->loaded, &debug_cause.hit)) {
        debug_cause.valid = true;
        *front = front_owner(debug_cause.hit.owner);
    } else if (stop->dr6 & DR6_SLOTS) {
        ours = true; /* the same address in another task, or a point just removed */
    }
    if (stop->dr6 & DR6_STEP) {
        if (over.on && is_context(over.thread, regs)) {
            ours = true;
            clean_pushf(regs);
            regs->eflags &= ~EFLAGS_TF;
            over.on = false;
        }
        if (step.owner && is_context(step.thread, regs)) {
            ours = true;
            clean_pushf(regs);
            if (!*front)
                *front = step.owner;
        } else if (!regs->user) {
            /* TF leaked into kernel code, which never sets it by itself. */
            ours = true;
            regs->eflags &= ~EFLAGS_TF;
        }
    }
    if (*front)
        return VERDICT_RUN;
    return ours ? VERDICT_SILENT : VERDICT_DECLINE;
}

static enum verdict judge(struct debug_stop *stop, const struct debug_front **front)
{
    debug_cause = (struct debug_cause){ 0 };
    *front = NULL;
    switch (stop->reason) {
    case DEBUG_BREAKPOINT:
        return judge_breakpoint(stop, front);
    case DEBUG_STEP:
        return judge_step(stop, front);
    case DEBUG_GDB:
        *front = front_gdb();
        break;
    case DEBUG_KEY:
    case DEBUG_CALL:
        *front = front_kdb();
        break;
    case DEBUG_PANIC:
    case DEBUG_NMI:
    case DEBUG_DOUBLE_FAULT:
    case DEBUG_TRAP:
    case DEBUG_NO_HANDLER:
        *front = front_any();
        break;
    }
    return *front ? VERDICT_RUN : VERDICT_DECLINE;
}

/* ---- the way back ---- */

/* A single step of the stopped context: where the trap flag has to go. */
static void arm_trap_flag(struct debug_regs *regs)
{
    uint8_t code[1] = { 0 };
    const struct task *task = task_of(regs);
    if (probe_read(task, regs->eip, code, 1, false) == 1) {
        uint32_t flags;
        if (!regs->user && arch_insn_is_iret(code) && probe_read(NULL, regs->esp + 8, &flags, 4, false) == 4) {
            flags |= EFLAGS_TF; /* eip, cs, eflags: iret would drop a flag set now */
            probe_write(NULL, regs->esp + 8, &flags, 4, false);
        }
        if (arch_insn_is_pushf(code))
            pushf_pending = (regs->user && thread_current() ? thread_current()->obj.id : 0) + 1;
    }
    regs->eflags |= EFLAGS_TF;
}

static paddr_t stay_out = BP_NO_PHYS; /* for bp_insert() at the end */

static void leave(struct debug_regs *regs, bool want_step)
{
    const struct thread *t = thread_current();
    uint32_t context = regs->user && t ? t->obj.id : 0;
    paddr_t phys;
    if (want_step)
        arm_trap_flag(regs);
    if (probe_translate(task_of(regs), regs->eip, &phys) && bp_at_phys(phys)) {
        if (over.on && over.phys != phys)
            trap_flag_off(over.thread, regs); /* the older one is hit again: only one at a time */
        if (!want_step)
            arm_trap_flag(regs);
        over = (struct step_over){ true, context, phys };
    }
    if (bp_exec_at(regs->eip))
        regs->eflags |= EFLAGS_RF;
    stay_out = over.on ? over.phys : BP_NO_PHYS;
}

struct session {
    struct debug_stop *stop;
    const struct debug_front *front;
    enum debug_resume answer;
};

static void session_run(void *arg)
{
    struct session *s = arg;
    for (;;) {
        bool kdb = s->front == front_kdb();
        console_held = kdb;
        s->answer = s->front->run(s->stop);
        console_held = false;
        if (s->answer != DEBUG_OTHER)
            return;
        const struct debug_front *other = kdb ? front_gdb() : front_kdb();
        if (!other) {
            s->answer = DEBUG_GO;
            return;
        }
        s->front = other;
    }
}

/* One stop from begin to end, on the caller's stack. */
static bool stop_machine(struct debug_stop *stop)
{
    struct debug_regs *regs = stop->regs;
    struct session s = { stop, NULL, DEBUG_GO };
    enum verdict verdict = judge(stop, &s.front);
    if (verdict != VERDICT_RUN) {
        leave(regs, false); /* a step under way keeps its trap flag */
        return verdict == VERDICT_SILENT;
    }
    step_cancel(regs);
    step.thread = 0xffffffffu; /* no debug_step_thread() yet */
    arch_call_on_stack(debug_stack_top, session_run, &s);
    if (s.answer == DEBUG_DECLINE) {
        leave(regs, false);
        return false;
    }
    if (debug_cause.hardcoded && regs->eip == debug_cause.hit.address)
        regs->eip++; /* the program's own int3 has had its effect */
    bool here = false;
    if (s.answer == DEBUG_STEP_ONE) {
        const struct thread *t = thread_current();
        step.owner = s.front;
        here = step.thread == 0xffffffffu || (regs->user && t && t->obj.id == step.thread);
        if (here)
            step.thread = regs->user && t ? t->obj.id : 0;
    }
    leave(regs, here);
    return true;
}

bool debug_enter(enum debug_reason reason, struct debug_regs *regs, const char *text)
{
    if (active) {
        if (reason == DEBUG_NMI)
            return true; /* looked at when somebody asks again */
        uint32_t address = regs && !regs->user ? regs->eip : 0;
        debug_guard_fault(address, 0);
        console_held = false;
        kprintf("\n*** the debugger itself failed at 0x%x: %s\n*** halted\n", (unsigned)address, text ? text : "-");
        arch_halt_forever();
    }
    if (debug_level < DEBUG_RO)
        return false;
    active = true;
    uint32_t dr6 = bp_remove(); /* nothing but bp.c's trap_path[] before this line */
    struct thread *t = thread_current();
    bool from_frame = !regs && t, handled;
    struct debug_regs own;
    if (clock_khz)
        clock_stop();
    if (from_frame)
        debug_frame_get(t, &own);
    else if (!regs)
        arch_debug_capture(&own); /* an event while nobody runs */
    regs = regs ? regs : &own;
    struct debug_stop stop = { .reason = reason, .regs = regs, .text = text, .dr6 = dr6 };
    handled = stop_machine(&stop);
    if (from_frame)
        debug_frame_set(t, regs);
    if (clock_khz)
        clock_go();
    cpu_stretch_forget();
    bp_insert(stay_out);        /* and nothing else behind this one */
    active = false;
    return handled;
}

/* ---- boot ---- */

static void boot_sink(void *arg, char c)
{
    (void)arg;
    kputc(c);
}

/* The file name of a module's string: behind the last slash of its first word. */
static bool is_script(const char *string)
{
    const char *name = string, *end = string;
    for (; *end && *end != ' '; end++)
        if (*end == '/')
            name = end + 1;
    size_t n = (size_t)(end - name);
    return (n == 5 && strncmp(name, "kdbrc", 5) == 0) || (n > 4 && strncmp(end - 4, ".kdb", 4) == 0);
}

/* Lines of kdb from a boot module; what stands behind # is for people. */
static void run_module(const char *text, uint32_t size)
{
    static char line[500];
    unsigned n = 0, number = 1;
    bool comment = false;
    for (uint32_t i = 0; i <= size; i++) {
        char c = i < size ? text[i] : '\n';
        comment |= c == '#' && n == 0;
        if (c != '\n') {
            if (!comment && c != '\r' && n + 1 < sizeof(line))
                line[n++] = c;
            continue;
        }
        line[n] = '\0';
        int rc = n ? kdb_exec(line, KDB_BOOT, boot_sink, NULL) : 0;
        if (rc > KDB_FALSE)
            kprintf("kdbrc: line %u ends with rc=%d: %s\n", number, rc, line);
        n = 0;
        comment = false;
        number++;
    }
}

static void run_modules(void)
{
    paddr_t start, end;
    const char *string;
    for (unsigned i = 0; boot_module_get(i, &start, &end, &string); i++)
        if (is_script(string) && end > start && (end - 1u) >> PAGE_SHIFT < frame_count)
            run_module(phys_to_virt(start), end - start);
}

void debug_init(void)
{
    char value[16];
    static char line[200];
    const char *option = boot_option("debug", value, sizeof(value));
    debug_level = DEBUG_RW;
    if (option && option[0]) {
        static const char *const names[] = { "off", "log", "ro", "rw" };
        bool known = false;
        for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
            if (strcmp(option, names[i]) == 0) {
                debug_level = (enum debug_level)i;
                known = true;
            }
        }
        if (!known)
            boot_fail("boot option debug=%s: use off, log, ro or rw", option);
    }
    option = boot_option("breakkey", value, sizeof(value));
    if (option) { /* one letter: Ctrl with it */
        uint8_t key = (uint8_t)(option[0] | 0x20);
        if (key < 'a' || key > 'z' || option[1])
            boot_fail("boot option breakkey=%s: use one letter", option);
        debug_break_key = key & 0x1fu;
    }
    if (debug_level < DEBUG_RO)
        return;
    arch_serial_interrupts(0, true);
    if (debug_level >= DEBUG_RW && arch_serial_present(1))
        arch_serial_interrupts(1, true);
    if (kdb_exec)
        run_modules();
    if (boot_option("kdb", line, sizeof(line)) && line[0] && kdb_exec) {
        for (char *s = line; *s; s++)
            *s = *s == '+' ? ' ' : *s; /* no blanks in a boot option */
        kdb_exec(line, KDB_BOOT, boot_sink, NULL);
    }
    bp_insert(BP_NO_PHYS); /* what those lines have set */
    option = boot_option("gdb", value, sizeof(value));
    if (option && front_gdb()) {
        kprintf("waiting for GDB on COM2\n");
        debug_gdb_wait = true;
        arch_debug_break(); /* a real trap: GDB can step from here */
        debug_gdb_wait = false;
    }
}
