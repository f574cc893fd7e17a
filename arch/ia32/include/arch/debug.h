// SPDX-License-Identifier: MIT
/*
 * What the debug core asks of the processor: a stack of its own, a way out of a faulting command, debug
 * registers, and memory behind the kernel's own page tables.
 */
#ifndef ARCH_DEBUG_H
#define ARCH_DEBUG_H

#include "kernel/lib/types.h"

struct debug_regs;
struct thread;

/* Run fn(arg) on the stack that ends at `top`, then come back to the old one. */
void arch_call_on_stack(void *top, void (*fn)(void *), void *arg);

/*
 * Run fn(arg); true when it returned.  arch_guard_unwind() with the same context, called anywhere below,
 * makes it return false instead.  The words are the callee-saved registers of the caller.
 */
struct arch_guard { uint32_t ebx, esi, edi, ebp, esp, eip; };
bool arch_guard_call(struct arch_guard *guard, void (*fn)(void *), void *arg);
void arch_guard_unwind(const struct arch_guard *guard) NORETURN;

/* Fill the kernel stack below this call; only on that stack. */
void arch_debug_fill_stack(uint32_t pattern);

/* Registers as they are in the caller when this call has returned. */
void arch_debug_capture(struct debug_regs *regs);
/* Trap into the debugger. */
void arch_debug_break(void);

/* DR7 = 0: nothing traps; then DR6 as it was, and cleared. */
uint32_t arch_debug_quiet(void);
/* Slot 0..3 traps on: length 0 = execution, else a write (or any access) of 1, 2 or 4 aligned bytes. */
void arch_debug_arm(unsigned slot, uint32_t address, unsigned length, bool access);
#define ARCH_DEBUG_SLOTS 4u
#define DR6_SLOTS 0x000fu
#define DR6_STEP  0x4000u
#define EFLAGS_RF 0x10000u

/* Physical address behind a kernel address in the page directory that is loaded now. */
bool arch_debug_kernel_phys(uint32_t address, uint32_t *phys);
/* Copy to kernel addresses, read-only ones too. */
void arch_debug_poke(void *to, const void *from, unsigned size);
/* cr0, cr2, cr3, cr4 (0 on a CPU without it). */
void arch_debug_system(uint32_t cr[4]);

/*
 * The instruction at `code` (at least one byte) leaves the kernel through an iret, so that a single step
 * must be asked for in the frame on the stack.  pushf: it stores the trap flag.
 */
ALWAYS_INLINE bool arch_insn_is_iret(const uint8_t *code) { return code[0] == 0xcf; }
ALWAYS_INLINE bool arch_insn_is_pushf(const uint8_t *code) { return code[0] == 0x9c; }
#define ARCH_INT3 0xccu

/*
 * FPU of a thread in the order and size of GDB's i386 description: st0..7 (10 bytes each), fctrl fstat
 * ftag fiseg fioff foseg fooff fop (4 each), xmm0..7 (16 each), mxcsr.
 */
#define ARCH_FPU_IMAGE 244u
void arch_debug_fpu_get(struct thread *t, uint8_t image[ARCH_FPU_IMAGE]);
void arch_debug_fpu_set(struct thread *t, const uint8_t image[ARCH_FPU_IMAGE]);

#endif
