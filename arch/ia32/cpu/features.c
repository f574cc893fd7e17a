// SPDX-License-Identifier: MIT
/*
 * What this CPU can do, and the control registers that follow from it.  A 486 without CPUID has none of
 * the optional features.
 */
#include <arch/cpu.h>
#include "arch/ia32/arch.h"
#include "kernel/debug/debug.h"
#include "kernel/lib/string.h"

#define EFLAGS_ID 0x200000u
#define CPU7_SMEP (1u << 7)  /* EBX */
#define CPU7_UMIP (1u << 2)  /* ECX */

#define MSR_MCG_CAP    0x179u
#define MSR_MCG_STATUS 0x17au
#define MSR_MC_STATUS(bank) (0x401u + 4u * (bank))
#define MCG_CAP_COUNT   0xffu
#define MC_STATUS_VALID 0x80000000u /* upper half */

static uint32_t features, cr4;

uint32_t arch_cpu_features(void) { return features; }

static bool has_cpuid(void)
{
    uint32_t before, after;

    __asm__ volatile("pushfl\n\t"
                     "pushfl\n\t"
                     "xorl %2, (%%esp)\n\t"
                     "popfl\n\t"
                     "pushfl\n\t"
                     "popl %0\n\t"
                     "popl %1\n\t"
                     "pushl %1\n\t"
                     "popfl"
                     : "=&r"(after), "=&r"(before) : "i"(EFLAGS_ID) : "cc", "memory");
    return ((before ^ after) & EFLAGS_ID) != 0;
}

struct cpuid { uint32_t eax, ebx, ecx, edx; };

static struct cpuid cpuid(uint32_t leaf)
{
    struct cpuid r = { leaf, 0, 0, 0 };

    __asm__ volatile("cpuid" : "+a"(r.eax), "=b"(r.ebx), "+c"(r.ecx), "=d"(r.edx));
    return r;
}

/* The status word of a reset FPU is 0; without one nothing answers. */
static bool has_fpu(void)
{
    uint16_t status = 0x5a5a;

    __asm__ volatile("fninit\n\tfnstsw %0" : "+m"(status));
    return status == 0;
}

void features_init(void)
{
    uint32_t cr0 = read_cr0() & ~(CR0_EM | CR0_TS | CR0_AM);

    write_cr0(cr0);
    if (has_cpuid()) {
        uint32_t leaves = cpuid(0).eax;
        struct cpuid one = cpuid(1);
        features = one.edx;
        /* The first Pentium Pros report sysenter and do not have it. */
        unsigned family = one.eax >> 8 & 15u, model = one.eax >> 4 & 15u, stepping = one.eax & 15u;
        if (family == 6 && model < 3 && stepping < 3)
            features &= ~CPU_SEP;
        if (leaves >= 7) {
            struct cpuid seven = cpuid(7);
            cr4 |= seven.ebx & CPU7_SMEP ? CR4_SMEP : 0u;
            cr4 |= seven.ecx & CPU7_UMIP ? CR4_UMIP : 0u;
        }
    }
    features &= ~CPU_FPU;
    if (has_fpu())
        features |= CPU_FPU;
    else
        features &= ~(CPU_FXSR | CPU_SSE);
    if (features & CPU_PSE)
        cr4 |= CR4_PSE;
    if (features & CPU_MCE)
        cr4 |= CR4_MCE;
    if (features & CPU_FXSR)
        cr4 |= CR4_OSFXSR | (features & CPU_SSE ? CR4_OSXMMEXCPT : 0u);
    if (cr4)
        write_cr4(cr4);
    write_cr0(cr0 | CR0_WP | CR0_NE | CR0_MP | (features & CPU_FPU ? 0u : CR0_EM));
}

void features_enable_global(void)
{
    if (!(features & CPU_PGE))
        return;
    cr4 |= CR4_PGE;
    write_cr4(cr4);
}

void machine_check_report(void)
{
    if (!(features & CPU_MCA))
        return;
    for (unsigned i = 0; i < (read_msr(MSR_MCG_CAP) & MCG_CAP_COUNT); i++) {
        uint64_t status = read_msr(MSR_MC_STATUS(i));

        if (!(status >> 32 & MC_STATUS_VALID))
            continue;
        kprintf("*** bank %u: status %08x%08x\n", i, (unsigned)(status >> 32), (unsigned)status);
        write_msr(MSR_MC_STATUS(i), 0);
    }
    write_msr(MSR_MCG_STATUS, 0); /* else another one shuts the processor down */
}
