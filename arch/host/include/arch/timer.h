// SPDX-License-Identifier: MIT
/* Virtual time: it moves only when a test moves it. */
#ifndef ARCH_TIMER_H
#define ARCH_TIMER_H

#include "kernel/lib/types.h"

extern bool arch_has_tsc;
extern uint64_t host_clock;

ALWAYS_INLINE uint64_t arch_clock_raw(void) { return host_clock; }
ALWAYS_INLINE uint64_t arch_clock_tsc(void) { return host_clock; }
void arch_timer_program(uint64_t ticks);
void arch_timer_off(void);

#endif
