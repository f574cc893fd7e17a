// SPDX-License-Identifier: MIT
/*
 * Kernel time.  The raw counter never stops; what passes between clock_stop() and clock_go() is added to
 * clock_offset, so clock_now() continues where it stood.  [G16] [G28]
 */
#include "kernel/clock.h"

#include "kernel/cpu.h"
#include "kernel/lib/assert.h"
#include "kernel/lib/div64.h"

uint32_t clock_khz = 1000;
uint64_t clock_offset;

static uint64_t stopped_at;
static unsigned stops; /* the debugger may be entered again inside */

void clock_init(uint32_t khz)
{
    ASSERT(khz != 0);
    clock_khz = khz;
    clock_offset = arch_clock_raw();
}

uint64_t clock_from_us(uint32_t us)
{
    return div64_up((uint64_t)us * clock_khz, 1000);
}

uint64_t clock_to_us(uint64_t ticks)
{
    uint32_t rest;
    uint64_t ms = div64(ticks, clock_khz, &rest);

    return ms * 1000u + div64((uint64_t)rest * 1000u, clock_khz, NULL);
}

/* 2^e * m us: m * khz has at most 42 bits, so the exponent is applied in two parts around the division. */
uint64_t clock_from_timeout(uint32_t tcr_half)
{
    uint32_t e = (tcr_half >> 10) & 31u, m = tcr_half & 0x3ffu, first = e < 22u ? e : 22u, rest;
    uint64_t ticks = div64((uint64_t)m * clock_khz << first, 1000, &rest);

    e -= first;
    return (ticks << e) + div64_up((uint64_t)rest << e, 1000);
}

void clock_stop(void)
{
    if (stops++ == 0)
        stopped_at = clock_now();
}

void clock_go(void)
{
    ASSERT(stops != 0);
    if (--stops == 0) {
        clock_offset += clock_now() - stopped_at;
        this_cpu()->resched = true; /* whatever was changed at the prompt: look again */
    }
}
