// SPDX-License-Identifier: MIT
/* One free-running counter and one one-shot timer. */
#ifndef ARCH_TIMER_H
#define ARCH_TIMER_H

#include "kernel/lib/types.h"

extern bool arch_has_tsc;
uint64_t arch_clock_slow(void); /* PIT-made clock for CPUs without a TSC; monotonic */

/* The raw counter; monotonic, never wraps. */
ALWAYS_INLINE uint64_t arch_clock_raw(void)
{
    if (LIKELY(arch_has_tsc)) {
        uint64_t tsc;
        __asm__ volatile("rdtsc" : "=A"(tsc));
        return tsc;
    }
    return arch_clock_slow();
}

/* Interrupt once, `ticks` from now (clamped to what the device can do; early is fine).  0: as soon as possible. */
void arch_timer_program(uint64_t ticks);
void arch_timer_off(void);

#endif
