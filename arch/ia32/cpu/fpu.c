// SPDX-License-Identifier: MIT
/*
 * FPU and SSE registers, switched lazily.  this_cpu()->fpu_owner's state is in the registers, every other
 * thread's is in thread.fpu; CR0.TS is clear only while the owner runs user code, so nobody sees another
 * thread's registers.  The kernel itself uses none.
 */
#include <arch/cpu.h>
#include "arch/ia32/arch.h"
#include "kernel/cpu.h"
#include "kernel/lib/string.h"
#include "kernel/thread.h"

#define FCW_DEFAULT   0x037fu
#define MXCSR_DEFAULT 0x1f80u

static bool present, fxsr;
bool fpu_trapping;

void fpu_init(void)
{
    present = (arch_cpu_features() & CPU_FPU) != 0;
    fxsr = (arch_cpu_features() & CPU_FXSR) != 0;
    if (present)
        fpu_trap();
}

void fpu_trap(void)
{
    if (!present)
        return;
    write_cr0(read_cr0() | CR0_TS);
    fpu_trapping = true;
}

static void enable(void)
{
    __asm__ volatile("clts");
    fpu_trapping = false;
}

static void save(struct thread *t)
{
    if (fxsr)
        __asm__ volatile("fxsave %0" : "=m"(t->fpu));
    else
        __asm__ volatile("fnsave %0" : "=m"(t->fpu));
}

/* fninit first: fxrstor need not load the pointers of the last instruction, and they are someone else's. */
static void restore(const struct thread *t)
{
    if (fxsr)
        __asm__ volatile("fninit\n\tfxrstor %0" : : "m"(t->fpu));
    else
        __asm__ volatile("frstor %0" : : "m"(t->fpu));
}

void fpu_clear(struct thread *t)
{
    memset(t->fpu, 0, sizeof t->fpu);
    if (fxsr) {
        const uint32_t mxcsr = arch_cpu_features() & CPU_SSE ? MXCSR_DEFAULT : 0;
        const uint16_t control = FCW_DEFAULT; /* tag byte 0: all empty */
        memcpy(t->fpu, &control, sizeof control);
        memcpy(t->fpu + 24, &mxcsr, sizeof mxcsr);
    } else {
        const uint32_t environment[3] = { 0xffff0000u | FCW_DEFAULT, 0xffff0000u, 0xffffffffu };
        memcpy(t->fpu, environment, sizeof environment);
    }
}

void fpu_prepare(const struct thread *t)
{
    bool owner = this_cpu()->fpu_owner == t;

    if (LIKELY(owner != fpu_trapping) || !present)
        return;
    if (owner)
        enable();
    else
        fpu_trap();
}

bool fpu_resume(void)
{
    if (present)
        enable();
    return present;
}

bool fpu_take(struct thread *t)
{
    struct cpu *cpu = this_cpu();

    if (!present)
        return false;
    enable();
    if (cpu->fpu_owner == t)
        return true;
    if (cpu->fpu_owner)
        save(cpu->fpu_owner);
    if (!t->fpu_used) {
        fpu_clear(t);
        t->fpu_used = true;
    }
    restore(t);
    cpu_set_fpu_owner(cpu, t);
    return true;
}

void arch_fpu_release(struct thread *t)
{
    struct cpu *cpu = this_cpu();

    if (cpu->fpu_owner != t)
        return;
    enable();
    save(t);
    cpu_set_fpu_owner(cpu, NULL);
    fpu_trap();
}
