// SPDX-License-Identifier: MIT
/*
 * The one decoder of flexpages and the one hot-spot rule of the kernel.  No state; no shift here ever
 * reaches 32, no end address is ever computed.  [M 2.1.1] [M 3.1.4] [G1] [G11]
 */
#include "kernel/flexpage.h"

#define ORDER_MIN L4_NAME_SHIFT /* 4 KB, one capability, one port */
#define ORDER_MAX 32u

/* Bits [11:10] are the space, and the size is one that a name space has. */
ALWAYS_INLINE bool is_usual(unsigned order, unsigned space)
{
    return order - ORDER_MIN <= ORDER_MAX - ORDER_MIN && space <= L4_SPACE_IO;
}

static void select_nothing(struct flexpage *out)
{
    *out = (struct flexpage){ .order = ORDER_MIN, .mask = flexpage_mask(ORDER_MIN) };
}

/* Low bits of the base are ignored. */
static enum l4_detail decode_io(uint32_t word, unsigned order, struct flexpage *out)
{
    uint32_t mask = flexpage_mask(order), base = word & ~mask;

    if (base > flexpage_mask(FLEXPAGE_IO_ORDER)) {
        select_nothing(out);
        return L4_D_BAD_FLEXPAGE;
    }
    order = min_u32(order, FLEXPAGE_IO_ORDER);
    mask = flexpage_mask(order);
    *out = (struct flexpage){ base, mask, (mask >> L4_NAME_SHIFT) + 1u, (uint8_t)order, L4_SPACE_IO,
                              word & L4_RIGHTS_ALL };
    return L4_D_NONE;
}

enum l4_detail flexpage_decode(uint32_t word, struct flexpage *out)
{
    unsigned order = (word >> 4) & 63u, space = (word >> 10) & 3u;
    uint32_t mask, base;

    if (UNLIKELY(order > ORDER_MAX))
        order = ORDER_MAX;
    if (UNLIKELY(!is_usual(order, space))) {
        select_nothing(out);
        return word == 0 ? L4_D_NONE : L4_D_BAD_FLEXPAGE;
    }
    if (UNLIKELY(space == L4_SPACE_IO))
        return decode_io(word, order, out);
    mask = flexpage_mask(order);
    base = word & ~mask; /* low bits of the base are ignored */
    out->base = base;
    out->mask = mask;
    out->names = (mask >> L4_NAME_SHIFT) + 1u;
    out->order = (uint8_t)order;
    out->space = (uint8_t)space;
    out->rights = word & L4_RIGHTS_ALL;
    if (space == L4_SPACE_MEM && (base | mask) >= L4_USER_TOP)
        out->names = base < L4_USER_TOP ? (L4_USER_TOP - base) >> L4_NAME_SHIFT : 0;
    return L4_D_NONE;
}

bool flexpage_adjust(const struct flexpage *send, const struct flexpage *window, uint32_t hot,
                     struct hot_spot *out)
{
    bool whole = send->order <= window->order; /* all of the send flexpage fits into the window */

    out->order = whole ? send->order : window->order;
    if (UNLIKELY(send->space == L4_SPACE_IO)) {
        /* Two aligned ranges: one lies inside the other, or they are apart. */
        out->source = out->destination = whole ? send->base : window->base;
        return ((send->base ^ window->base) & ~(send->mask | window->mask)) == 0;
    }
    if (whole) {
        out->source = send->base;
        out->destination = window->base | (hot & window->mask & ~send->mask);
    } else {
        out->source = send->base | (hot & send->mask & ~window->mask);
        out->destination = window->base;
    }
    return true;
}
