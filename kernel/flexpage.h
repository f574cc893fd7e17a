// SPDX-License-Identifier: MIT
/*
 * Flexpages as words of the interface, decoded; and the rule of the hot spot.  Pure functions, total:
 * every word is a legal question.  [M 3.1.4] [G1] [G11]
 */
#ifndef KERNEL_FLEXPAGE_H
#define KERNEL_FLEXPAGE_H

#include "kernel/abi/l4sec/abi.h"
#include "kernel/lib/types.h"

#define FLEXPAGE_IO_ORDER 28u /* all 2^16 ports */

/*
 * A decoded flexpage: 2^order of name space from `base`, aligned to that.
 * Invariant: 12 <= order <= 32, mask = 2^order - 1, base & mask == 0, and names counts what the flexpage
 * selects in steps of 2^12, after clipping memory at L4_USER_TOP.  Selects nothing: names == 0.
 */
struct flexpage {
    uint32_t base, mask;
    uint32_t names;
    uint8_t order, space, rights;
};

/*
 * L4_D_NONE and *out, or L4_D_BAD_FLEXPAGE and *out selects nothing.  Word 0 is the nil flexpage: it is
 * correct and selects nothing, and so is memory behind L4_USER_TOP.
 */
enum l4_detail flexpage_decode(uint32_t word, struct flexpage *out);

/* 2^order - 1 for orders 1 to 32. */
ALWAYS_INLINE uint32_t flexpage_mask(unsigned order)
{
    return (2u << (order - 1u)) - 1u;
}

/* log2 of the names that the word selects in this space, 0 to 20; more if it is no flexpage of this space. */
ALWAYS_INLINE unsigned flexpage_order_in(uint32_t word, unsigned space)
{
    return ((word >> 4) & 255u) - (space << 6 | L4_NAME_SHIFT);
}

/* Where a map takes from and where it puts to: both aligned to 2^order. */
struct hot_spot {
    uint32_t source, destination;
    unsigned order;
};

/*
 * Adjust a send flexpage and a receive window of the same space to one size.  False: they have nothing
 * in common, which only happens with IO, where names are ports and cannot move.
 */
bool flexpage_adjust(const struct flexpage *send, const struct flexpage *window, uint32_t hot,
                     struct hot_spot *out);

#endif
