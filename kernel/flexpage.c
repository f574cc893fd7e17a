// SPDX-License-Identifier: MIT
/*
 * The one decoder of flexpages and the one hot-spot rule of the kernel.  No state; no shift here ever
 * reaches 32, no end address is ever computed.  [M 2.1.1] [M 3.1.4] [G1] [G11]
 */
#include "kernel/flexpage.h"

#define ORDER_MIN L4_NAME_SHIFT /* 4 KB, one capability, one port */
#define ORDER_MAX 32u

enum l4_detail flexpage_decode(uint32_t word, struct flexpage *out)
{
    unsigned order = (word >> 4) & 63u, space = (word >> 10) & 3u;
    uint32_t base;

    *out = (struct flexpage){ .order = ORDER_MIN };
    if (word == 0)
        return L4_D_NONE;
    /* Below 2^12 bits [11:10] belong to the base, and the space is memory: nothing is that small here. */
    if (order < ORDER_MIN || space > L4_SPACE_IO)
        return L4_D_BAD_FLEXPAGE;

    order = min_u32(order, ORDER_MAX);
    base = word & ~flexpage_mask(order); /* low bits of the base are ignored */
    if (space == L4_SPACE_IO) {
        if (base > flexpage_mask(FLEXPAGE_IO_ORDER))
            return L4_D_BAD_FLEXPAGE;
        order = min_u32(order, FLEXPAGE_IO_ORDER);
    }
    out->base = base;
    out->order = (uint8_t)order;
    out->space = (uint8_t)space;
    out->rights = (uint8_t)(word & L4_RIGHTS_ALL);
    out->names = 1u << (order - L4_NAME_SHIFT);
    if (space == L4_SPACE_MEM)
        out->names = base < L4_USER_TOP
                         ? min_u32(out->names, (L4_USER_TOP - base) >> L4_NAME_SHIFT) : 0;
    return L4_D_NONE;
}

bool flexpage_adjust(const struct flexpage *send, const struct flexpage *window, uint32_t hot,
                     struct hot_spot *out)
{
    uint32_t send_mask = flexpage_mask(send->order), window_mask = flexpage_mask(window->order);
    bool whole = send->order <= window->order; /* all of the send flexpage fits into the window */

    out->order = whole ? send->order : window->order;
    if (send->space == L4_SPACE_IO) {
        /* Two aligned ranges: one lies inside the other, or they are apart. */
        out->source = out->destination = whole ? send->base : window->base;
        return ((send->base ^ window->base) & ~(send_mask | window_mask)) == 0;
    }
    if (whole) {
        out->source = send->base;
        out->destination = window->base | (hot & window_mask & ~send_mask);
    } else {
        out->source = send->base | (hot & send_mask & ~window_mask);
        out->destination = window->base;
    }
    return true;
}
