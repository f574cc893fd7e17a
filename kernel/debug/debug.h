// SPDX-License-Identifier: MIT
/*
 * The debug core below both front ends, kdb and the GDB stub: enter, stop time, choose a front end,
 * resume.  The machine stands still while it runs; it uses polled serial lines only.
 */
#ifndef KERNEL_DEBUG_DEBUG_H
#define KERNEL_DEBUG_DEBUG_H

#include "kernel/lib/linkset.h"
#include "kernel/lib/types.h"

enum debug_reason {
    DEBUG_CALL,       /* system call 7 */
    DEBUG_KEY,        /* serial key or BREAK on COM1 */
    DEBUG_GDB,        /* bytes or Ctrl-C from GDB on COM2 */
    DEBUG_BREAKPOINT, /* #BP */
    DEBUG_STEP,       /* #DB: single step, hardware break or watch point */
    DEBUG_PANIC, DEBUG_NMI, DEBUG_DOUBLE_FAULT,
    DEBUG_TRAP,       /* a kernel-mode exception nobody expected */
    DEBUG_NO_HANDLER, /* a thread was halted: fault without handler */
};

enum debug_level { DEBUG_OFF, DEBUG_LOG, DEBUG_RO, DEBUG_RW }; /* boot option debug= [G44] */
extern enum debug_level debug_level;

/* The complete register state at the stop; writing it back changes the resumed context. */
struct debug_regs {
    uint32_t eax, ecx, edx, ebx, esp, ebp, esi, edi, eip, eflags;
    uint16_t cs, ss, ds, es, fs, gs;
    uint32_t vector, error;
    bool user;          /* stopped in user mode: the current thread's frame */
};

struct debug_stop {
    enum debug_reason reason;
    struct debug_regs *regs;
    const char *text;   /* for the person at the prompt; may be NULL */
    uint32_t dr6;       /* DEBUG_STEP */
};

/* What a front end answers. */
enum debug_resume { DEBUG_GO, DEBUG_STEP_ONE, DEBUG_OTHER /* hand over to the other front end */, DEBUG_DECLINE };

struct debug_front {
    const char *name;
    bool (*attached)(void);             /* wants breakpoints and steps that it armed */
    enum debug_resume (*run)(struct debug_stop *stop);
};
#define DEBUG_FRONT(symbol) LINKSET_ADD(debug_fronts, symbol)
LINKSET_DECLARE(debug_fronts);

/*
 * Stop the machine and run a front end until it resumes.  Callable from any kernel context with
 * interrupts off, also nested (a fault inside a front end unwinds its command instead).  Returns true if
 * somebody handled it; false: no front end, or it declined (the trap is the user program's own).
 * regs NULL: the frame of the current thread (system call 7, a fault without handler, an event), or, if nobody runs, the
 * registers of here.
 */
bool debug_enter(enum debug_reason reason, struct debug_regs *regs, const char *text);
void debug_init(void);   /* reads debug=, kdb=, gdb= */
bool debug_active(void); /* inside a front end now */
/*
 * A serial line (0: COM1, 1: COM2) has bytes: take them.  The break-in key or BREAK on line 0, `$` or
 * Ctrl-C on line 1 enter the debugger; other bytes of line 0 wait for console_getc().  regs: what was
 * interrupted.  True if the debugger was entered.
 */
bool debug_serial_irq(unsigned line, struct debug_regs *regs);

/* ---- guard: probe.c, arch/ia32/debug ---- */

/*
 * Run fn(arg) such that a fault inside returns false here instead of killing the machine; at most 4
 * deep.  *fault_ip, *fault_address say where (may be NULL).
 */
bool debug_guard(void (*fn)(void *), void *arg, uint32_t *fault_ip, uint32_t *fault_address);
/* Called by the trap code for a kernel-mode exception: unwind the innermost guard if there is one. */
void debug_guard_fault(uint32_t ip, uint32_t address);

/*
 * The one way to read or write target memory: walks page tables in software, never faults, refuses what
 * is not RAM unless `mmio`.  task NULL: kernel addresses only.  Returns the number of bytes done.
 */
struct task;
unsigned probe_read(const struct task *task, uint32_t address, void *to, unsigned size, bool mmio);
unsigned probe_write(const struct task *task, uint32_t address, const void *from, unsigned size, bool mmio);
bool probe_phys(uint32_t phys, void *to, unsigned size);

/* ---- breakpoints: bp.c; shared by kdb and GDB ---- */
enum bp_kind { BP_SOFT, BP_EXEC, BP_WRITE, BP_ACCESS };
#define BP_MAX 64u
/*
 * task NULL: kernel address, or the address in every task, which only debug registers can watch.  0 or an error
 * text.  Set now, inserted only while the target runs.
 */
const char *bp_set(enum bp_kind kind, const struct task *task, uint32_t address, unsigned size, unsigned owner);
/* A point for every task counts only where the task has this name, now or when it is met.  NULL: everywhere. */
void bp_only(enum bp_kind kind, uint32_t address, unsigned size, const char *task_name);
const char *bp_clear(enum bp_kind kind, const struct task *task, uint32_t address, unsigned size, unsigned owner);
void bp_clear_all(unsigned owner);   /* BP_OWNER_KDB or _GDB; both: 3 */
#define BP_OWNER_KDB 1u
#define BP_OWNER_GDB 2u
/* Undo inserted bytes in a buffer that was read from `address`, so that no reader sees our int3. */
void bp_hide(const struct task *task, uint32_t address, void *bytes, unsigned size);
struct bp_info {
    enum bp_kind kind;
    const struct task *task;
    uint32_t address;
    unsigned size, owner, hits, number; /* number: 0 to BP_MAX - 1, the same while the point is there */
    char only[13];                      /* of bp_only(); "" */
};
bool bp_get(unsigned n, struct bp_info *out); /* the n-th that is set */

/* ---- symbols: sym.c; the table is linked in by scripts/mksyms.py ---- */
const char *sym_find(uint32_t address, uint32_t *offset);   /* NULL if unknown */
bool sym_value(const char *name, uint32_t *address);

/* ---- log: console.c ---- */
void kprintf(const char *format, ...) PRINTF(1, 2);         /* to the ring and, unless kdb owns the line, COM1 */
void kputc(char c);
uint32_t log_total(void);                                   /* characters ever written */
bool log_get(uint32_t n, char *c);                          /* the n-th, if still in the ring */
extern bool console_held;                                   /* kdb owns COM1: ring only */
int console_getc(void);                                     /* next byte typed on COM1, -1 none; never waits */

/* ---- names given to objects: name.c ---- */
#define OBJECT_NAME_MAX 12u
bool object_name_set(uint32_t id, const char *name, unsigned length);
const char *object_name(uint32_t id);                       /* NULL if none */

struct thread;
/* The rest of the debug call POISON: fill free kernel memory, the kernel stack below us and dead words of threads. */
void debug_poison(struct thread *caller);

#endif
