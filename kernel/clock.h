// SPDX-License-Identifier: MIT
/*
 * Kernel time: 64-bit ticks since boot that stand still while the debugger has the machine.
 * With a TSC a tick is one TSC cycle, else one cycle of the PIT (1.193 MHz).  [G28]
 */
#ifndef KERNEL_CLOCK_H
#define KERNEL_CLOCK_H

#include <arch/timer.h>
#include "kernel/lib/types.h"

extern uint32_t clock_khz;        /* ticks per millisecond, from calibration */
extern uint64_t clock_offset;     /* subtracted from the raw counter */

void clock_init(uint32_t khz);
ALWAYS_INLINE uint64_t clock_now(void) { return arch_clock_raw() - clock_offset; }
uint64_t clock_from_us(uint32_t us);          /* rounds up */
uint64_t clock_to_us(uint64_t ticks);         /* rounds down; saturates nowhere: 64 bit */
uint64_t clock_from_timeout(uint32_t tcr_half); /* 16-bit timeout to ticks; not for never and zero [G16] */
/* The debugger calls these around its stay: time inside does not exist. */
void clock_stop(void);
void clock_go(void);

#endif
