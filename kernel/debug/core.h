// SPDX-License-Identifier: MIT
/*
 * Inside the debug core: what debug.c, bp.c, probe.c and the GDB stub share beside debug.h.
 */
#ifndef KERNEL_DEBUG_CORE_H
#define KERNEL_DEBUG_CORE_H

#include "kernel/debug/debug.h"
#include "kernel/thread.h"

/* ---- probe.c ---- */

/* Where the task (NULL: only the kernel) sees physical memory at `address`; false: nowhere. */
bool probe_translate(const struct task *task, uint32_t address, paddr_t *phys);
/* Is it memory that reads and writes like memory? */
bool probe_is_ram(paddr_t phys);

/* ---- bp.c ---- */

struct bp_hit { enum bp_kind kind; uint32_t address; unsigned owner, number; };

/* Put the set points into memory and debug registers.  A byte at `except` stays out (BP_NO_PHYS: none). */
#define BP_NO_PHYS 0xffffffffu
void bp_insert(paddr_t except);
/* Take everything out again; idempotent.  The result is DR6 as it was. */
uint32_t bp_remove(void);
/* Hide int3 bytes that are in memory now from a copy of [phys, phys + size). */
void bp_hide_phys(paddr_t phys, void *bytes, unsigned size);
/*
 * A BP trap behind `address` in `task`: does the byte come from the table?  If so *mine says whether a
 * point is meant for this very place; it is counted then, and *hit filled.
 */
bool bp_hit_soft(const struct task *task, uint32_t address, bool *mine, struct bp_hit *hit);
/* The same for the debug-register bits of DR6, as of the last bp_remove(). */
bool bp_hit_slots(uint32_t dr6, const struct task *task, const struct task *loaded, struct bp_hit *hit);
/* Would a byte be put at this physical address?  Is there a debug register for execution there? */
bool bp_at_phys(paddr_t phys);
bool bp_exec_at(uint32_t address);
/* Points of `owner` at this address in whatever task: remove them; the task of the last one, or NULL. */
const struct task *bp_clear_any(enum bp_kind kind, uint32_t address, unsigned owner);

/* ---- debug.c ---- */

/* What the last point that stopped us was, for front ends; kind valid if `valid`. */
struct debug_cause { bool valid; bool hardcoded; struct bp_hit hit; };
extern struct debug_cause debug_cause;

/* gdb=wait: the stop is GDB's although no client has come yet. */
extern bool debug_gdb_wait;
/* Ask for a single step of a thread that is not the stopped context: it will enter owner's front end. */
void debug_step_thread(struct thread *t);
/* The next byte of a serial line, with what debug_serial_irq() already took; else as arch_serial_get(). */
int debug_line_get(unsigned line);
/* The registers that user code of `t` has or will have; changes take effect at its next return. */
void debug_frame_get(const struct thread *t, struct debug_regs *regs);
void debug_frame_set(struct thread *t, const struct debug_regs *regs);
/* The key that enters kdb. */
extern uint8_t debug_break_key;

#endif
