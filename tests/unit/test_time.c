// SPDX-License-Identifier: MIT
/*
 * Time and deadlines: numbers are compared with plain 64-bit arithmetic, the heap with an array.  [G16]
 *
 * Arguments: steps=N seed=N.
 */
#include "arch/host/host.h"

#include <arch/timer.h>
#include "kernel/clock.h"
#include "kernel/deadline.h"
#include "kernel/lib/div64.h"
#include "tests/unit/random.h"
#include "tests/unit/unit.h"

#define KHZ 1000000u

/* ---- arithmetic ---- */

TEST(division)
{
    static const uint32_t edges[] = { 1, 2, 3, 999, 1000, 1193, 0xffff, 0x10000, 0x10001, 0x7fffffff,
                                      0x80000000, 0x80000001, 0xfffffffe, 0xffffffff };
    unsigned i, n;

    for (n = 0; n < 200000; n++) {
        uint64_t a = ((uint64_t)random_word() << 32 | random_word()) >> below(64);
        uint32_t d = random_word() >> below(32), rest;

        if (n < ARRAY_SIZE(edges) * ARRAY_SIZE(edges)) {
            a = (uint64_t)edges[n / ARRAY_SIZE(edges)] << 32 | edges[n % ARRAY_SIZE(edges)];
            for (i = 0; i < ARRAY_SIZE(edges); i++)
                EXPECT(div64(a, edges[i], NULL) == a / edges[i]);
        }
        if (!d)
            d = 1;
        EXPECT(div64(a, d, &rest) == a / d && rest == a % d);
        EXPECT(div64_up(a, d) == a / d + (a % d != 0));
    }
}

TEST(clock_conversions)
{
    static const uint32_t rates[] = { 1, 999, 1000, 1193, 2399987, 4294967295u };
    unsigned i, n;

    for (i = 0; i < ARRAY_SIZE(rates); i++) {
        uint32_t khz = rates[i];

        clock_init(khz);
        for (n = 0; n < 20000; n++) {
            uint32_t us = random_word() >> below(32);
            uint64_t ticks = (uint64_t)random_word() << 20 | below(1u << 20);
            uint64_t product = (uint64_t)us * khz;

            EXPECT(clock_from_us(us) == product / 1000 + (product % 1000 != 0));
            EXPECT(clock_to_us(ticks) == ticks / khz * 1000 + ticks % khz * 1000 / khz);
            EXPECT(clock_to_us(clock_from_us(us)) >= us);
        }
    }
}

TEST(timeouts)
{
    static const uint32_t rates[] = { 1000, 1193, 2399987, 4294967295u };
    unsigned i;
    uint32_t e, m;

    for (i = 0; i < ARRAY_SIZE(rates); i++) {
        uint32_t khz = rates[i];

        clock_init(khz);
        for (e = 0; e < 32; e++) {
            for (m = 1; m < 1024; m++) {
                uint64_t us = (uint64_t)m << e, rest = us % 1000 * khz;

                EXPECT(clock_from_timeout(L4_TIMEOUT(e, m)) == us / 1000 * khz + rest / 1000 + (rest % 1000 != 0));
            }
        }
    }
    clock_init(1000);
    EXPECT_EQ(clock_from_timeout(0x2bd1), 1000448);
}

TEST(stopped_clock)
{
    uint64_t t;

    clock_init(KHZ);
    host_clock += 5;
    t = clock_now();
    EXPECT(t == 5);
    clock_stop();
    host_clock += 1000;
    clock_stop();
    host_clock += 1000;
    clock_go();
    host_clock += 1000;
    clock_go();
    EXPECT(clock_now() == t);
    host_clock += 7;
    EXPECT(clock_now() == t + 7);
}

/* ---- the heap ---- */

#define HEAP 200u

/* Against an array: first is the smallest by signed difference, also across the wrap of 64 bits. */
static void heap_against_array(uint64_t base)
{
    static struct deadline d[HEAP];
    bool set[HEAP] = { false };
    unsigned n, i, steps = (unsigned)unit_number("steps", 20000);

    for (n = 0; n < steps; n++) {
        struct deadline *first, *at;
        unsigned count = 0, walked = 0;
        int best = -1;

        i = below(HEAP);
        switch (below(5)) {
        case 0:
        case 1:
            deadline_set(&d[i], base + below(n % 2 ? 50 : 1000000));
            set[i] = true;
            break;
        case 2:
            deadline_cancel(&d[i]);
            set[i] = false;
            break;
        case 3: /* ascending and descending runs make the longest spines */
            deadline_set(&d[i], base + (n % 128 < 64 ? n : steps - n));
            set[i] = true;
            break;
        default:
            first = deadline_first();
            if (first) {
                deadline_cancel(first);
                set[first - d] = false;
            }
            break;
        }
        for (i = 0; i < HEAP; i++) {
            EXPECT(deadline_is_set(&d[i]) == set[i]);
            if (!set[i])
                continue;
            count++;
            if (best < 0 || (int64_t)(d[i].when - d[best].when) < 0)
                best = (int)i;
        }
        first = deadline_first();
        EXPECT((first == NULL) == (best < 0));
        EXPECT(!first || first->when == d[best].when);
        EXPECT(deadline_check() == NULL);
        for (at = deadline_next(NULL); at; at = deadline_next(at))
            walked++;
        EXPECT_EQ(walked, count);
        if (unit_failures)
            return;
    }
}

TEST(heap)
{
    random_seed((uint32_t)unit_number("seed", 1));
    heap_against_array(1000);
}

TEST(heap_across_32_bits)
{
    heap_against_array(0x100000000ull - 500000);
}

TEST(heap_across_64_bits)
{
    heap_against_array(0 - (uint64_t)500000);
}
