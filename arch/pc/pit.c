// SPDX-License-Identifier: MIT
/*
 * The interval timer 8254: channel 0 is the one-shot timer, channel 2 measures the TSC at boot.  On CPUs
 * without a TSC channel 0 is the clock as well.
 *
 * Mode 0: the counter runs down from the value written, interrupts when it reaches zero, and goes on through
 * 0xffff.  So what has passed since the last look is the difference of two counts modulo 2^16, as long as
 * somebody looks every 54 ms; therefore the clock's timer is never off, and no shot is longer than SHOT_MAX.
 */
#include <arch/timer.h>

#include "arch/ia32/arch.h"
#include <arch/cpu.h>
#include "kernel/clock.h"
#include "kernel/lib/div64.h"

#define PIT_COUNTER0 0x40
#define PIT_COUNTER2 0x42
#define PIT_CONTROL  0x43
#define PIT_SPEAKER  0x61 /* bit 0: gate of channel 2, 1: speaker */

#define SELECT(n)     ((n) << 6)
#define MODE_ONESHOT  0x30 /* low byte then high byte, mode 0, binary */
#define READ_BACK(n)  (0xc0 | 2u << (n)) /* status and count */
#define STATUS_NULL   0x40 /* the value written has not reached the counter yet */
#define LATCH(n)      ((n) << 6)

#define PIT_HZ    1193182u
#define SHOT_MAX  0xf000u
#define SHOT_MIN  2u

#define CALIBRATION_COUNT 2400u /* about 2 ms */
#define CALIBRATION_LOOKS 400000u
#define SAMPLES 6u

bool arch_has_tsc;

static uint32_t count_per_tick; /* counts of channel 0 per clock tick, as a fraction of 2^32 */
static uint64_t elapsed;        /* without TSC: counts until `last` */
static uint32_t last;           /* count at the last look */

static uint64_t read_tsc(void)
{
    uint64_t tsc;

    __asm__ volatile("rdtsc" : "=A"(tsc));
    return tsc;
}

static void load(uint16_t port, unsigned channel, uint32_t count)
{
    outb(PIT_CONTROL, (uint8_t)(SELECT(channel) | MODE_ONESHOT));
    outb(port, (uint8_t)count);
    outb(port, (uint8_t)(count >> 8));
}

/* ---- the timer ---- */

void arch_timer_program(uint64_t ticks)
{
    uint32_t count = SHOT_MAX;

    if (!arch_has_tsc) {
        (void)arch_clock_slow();
        if (ticks < SHOT_MAX)
            count = (uint32_t)ticks;
    } else if (ticks <= UINT32_MAX) {
        uint32_t exact = (uint32_t)((ticks * count_per_tick) >> 32) + 1u;

        count = exact < SHOT_MAX ? exact : SHOT_MAX;
    }
    if (count < SHOT_MIN)
        count = SHOT_MIN;
    load(PIT_COUNTER0, 0, count);
    last = count;
}

void arch_timer_off(void)
{
    if (arch_has_tsc)
        outb(PIT_CONTROL, SELECT(0) | MODE_ONESHOT); /* no count follows: it stands still */
    else
        arch_timer_program(SHOT_MAX);
}

uint64_t arch_clock_slow(void)
{
    uint32_t status, count;

    outb(PIT_CONTROL, READ_BACK(0));
    status = inb(PIT_COUNTER0);
    count = inb(PIT_COUNTER0);
    count |= (uint32_t)inb(PIT_COUNTER0) << 8;
    if (!(status & STATUS_NULL)) {
        elapsed += (last - count) & 0xffffu;
        last = count;
    }
    return elapsed;
}

/* ---- calibration ---- */

struct sample { uint64_t tsc; uint32_t count; };

/* A TSC value and the count of channel 2 at the same moment: of several attempts, the quickest. */
static struct sample look(void)
{
    struct sample best = { 0, 0 };
    uint32_t quickest = UINT32_MAX;
    unsigned i;

    for (i = 0; i < SAMPLES; i++) {
        uint64_t before, after;
        uint32_t count;

        before = read_tsc();
        outb(PIT_CONTROL, LATCH(2));
        after = read_tsc();
        count = inb(PIT_COUNTER2);
        count |= (uint32_t)inb(PIT_COUNTER2) << 8;
        if (after - before < quickest) {
            quickest = (uint32_t)(after - before);
            best.tsc = before + quickest / 2;
            best.count = count;
        }
    }
    return best;
}

/* TSC ticks per millisecond, 0 if the timer does not count. */
static uint32_t measure(void)
{
    uint8_t speaker = inb(PIT_SPEAKER);
    struct sample start, end;
    uint32_t looks = 0, counts;
    uint64_t ticks, khz;

    outb(PIT_SPEAKER, (uint8_t)((speaker & ~2u) | 1u));
    load(PIT_COUNTER2, 2, 0xffff);
    start = look();
    do
        end = look();
    while (start.count - end.count < CALIBRATION_COUNT && start.count >= end.count &&
           ++looks < CALIBRATION_LOOKS / SAMPLES);
    outb(PIT_SPEAKER, speaker);
    counts = start.count - end.count;
    ticks = end.tsc - start.tsc;
    if (start.count <= end.count || ticks > UINT32_MAX)
        return 0;
    khz = div64(ticks * PIT_HZ, counts * 1000u, NULL);
    return khz <= UINT32_MAX ? (uint32_t)khz : 0;
}

void arch_clock_init(void)
{
    uint32_t khz = arch_cpu_features() & CPU_TSC ? measure() : 0;

    /* A TSC slower than the timer itself is none. */
    arch_has_tsc = khz > PIT_HZ / 1000u;
    if (arch_has_tsc) {
        count_per_tick = (uint32_t)div64(div64((uint64_t)PIT_HZ << 32, khz, NULL), 1000, NULL);
    } else {
        khz = PIT_HZ / 1000u;
        load(PIT_COUNTER0, 0, SHOT_MAX);
        last = SHOT_MAX;
    }
    clock_init(khz);
}
