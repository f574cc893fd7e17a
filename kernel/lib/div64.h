// SPDX-License-Identifier: MIT
/*
 * Division of 64-bit by 32-bit numbers without the compiler's run-time library.  No state.
 */
#ifndef KERNEL_LIB_DIV64_H
#define KERNEL_LIB_DIV64_H

#include "kernel/lib/types.h"

/*
 * One digit of 16 bits of (rest:next) / d, where rest < d and d has its top bit set.  The digit is estimated
 * from the upper half of d; the estimate is at most two too large.
 */
static inline uint32_t div64_digit(uint32_t *rest, uint32_t next, uint32_t d)
{
    uint32_t high = d >> 16, low = d & 0xffffu, digit = *rest / high, over = *rest % high;

    while (digit > 0xffffu || digit * low > ((over << 16) | next)) {
        digit--;
        over += high;
        if (over > 0xffffu)
            break;
    }
    *rest = (*rest << 16) + next - digit * d; /* modulo 2^32: the true value is below d */
    return digit;
}

/* n / d, rounded down; the remainder goes to *rest if that is not NULL.  d != 0. */
static inline uint64_t div64(uint64_t n, uint32_t d, uint32_t *rest)
{
    uint32_t high = (uint32_t)(n >> 32), r, q;
    unsigned shift;
    uint64_t low;

    if (LIKELY(!high)) {
        if (rest)
            *rest = (uint32_t)n % d;
        return (uint32_t)n / d;
    }
    r = high % d;
    shift = (unsigned)__builtin_clz(d);
    low = ((uint64_t)r << 32 | (uint32_t)n) << shift; /* r < d: nothing is lost */
    d <<= shift;
    r = (uint32_t)(low >> 32);
    q = div64_digit(&r, (uint32_t)low >> 16, d) << 16;
    q |= div64_digit(&r, (uint32_t)low & 0xffffu, d);
    if (rest)
        *rest = r >> shift;
    return (uint64_t)(high / (d >> shift)) << 32 | q;
}

/* The same rounded up. */
static inline uint64_t div64_up(uint64_t n, uint32_t d)
{
    uint32_t rest;
    uint64_t q = div64(n, d, &rest);

    return q + (rest != 0);
}

#endif
