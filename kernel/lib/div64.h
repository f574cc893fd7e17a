// SPDX-License-Identifier: MIT
/*
 * Division of 64-bit by 32-bit numbers without the compiler's run-time library.  No state.
 */
#ifndef KERNEL_LIB_DIV64_H
#define KERNEL_LIB_DIV64_H

#include "kernel/lib/types.h"

/*
 * n / d, rounded down; the remainder goes to *rest if that is not NULL.  d != 0.
 * Long division: the high word at once, then the low word in halves if a half fits behind any remainder,
 * else bit by bit.
 */
static inline uint64_t div64(uint64_t n, uint32_t d, uint32_t *rest)
{
    uint32_t high = (uint32_t)(n >> 32), low = (uint32_t)n, r = high % d, q = 0;
    unsigned bit;

    high /= d;
    if (d <= 0x10000u) {
        uint32_t part = (r << 16) | (low >> 16);

        q = part / d << 16;
        part = (part % d << 16) | (low & 0xffffu);
        q |= part / d;
        r = part % d;
    } else if (r == 0) {
        q = low / d;
        r = low % d;
    } else {
        for (bit = 32; bit-- > 0;) {
            bool carry = (r >> 31) != 0; /* r < d holds before the shift, so 33 bits are enough */

            r = (r << 1) | ((low >> bit) & 1u);
            if (carry || r >= d) {
                r -= d;
                q |= 1u << bit;
            }
        }
    }
    if (rest)
        *rest = r;
    return ((uint64_t)high << 32) | q;
}

/* The same rounded up. */
static inline uint64_t div64_up(uint64_t n, uint32_t d)
{
    uint32_t rest;
    uint64_t q = div64(n, d, &rest);

    return q + (rest != 0);
}

#endif
