// SPDX-License-Identifier: MIT
/* One free-running counter and one one-shot timer. */
#ifndef ARCH_TIMER_H
#define ARCH_TIMER_H

#include "kernel/lib/types.h"

extern bool arch_has_tsc;
uint64_t arch_clock_slow(void); /* PIT-made clock for CPUs without a TSC; monotonic */

/* arch_clock_raw() where arch_has_tsc is known to be true. */
ALWAYS_INLINE uint64_t arch_clock_tsc(void)
{
    uint64_t tsc;

    __asm__ volatile("rdtsc" : "=A"(tsc));
    return tsc;
}

/* The raw counter; monotonic, never wraps. */
ALWAYS_INLINE uint64_t arch_clock_raw(void)
{
    return LIKELY(arch_has_tsc) ? arch_clock_tsc() : arch_clock_slow();
}

/* Interrupt once, `ticks` from now (clamped to what the device can do; early is fine).  0: as soon as possible. */
void arch_timer_program(uint64_t ticks);
void arch_timer_off(void);

#endif
