// SPDX-License-Identifier: MIT
/*
 * What kdb adds to points: how often they are passed, under which condition they stop, and what is done then.
 *
 * Points have numbers: 0 to BP_MAX - 1 those of the debug core, from BP_MAX on those of the trace.
 */
#ifndef KDB_POINTS_H
#define KDB_POINTS_H

#include "kdb/engine.h"
#include "kernel/debug/debug.h"
#include "kernel/trace.h"

#define POINTS (BP_MAX + TRACE_POINTS)
#define POINT_LINE 120u

struct point {
    uint32_t after;             /* hits that are passed over, counted down */
    char todo[POINT_LINE];      /* lines executed at the stop; "" */
    char unless[POINT_LINE];    /* stop only if this line does not end with rc 0; "" */
    uint32_t passed;            /* hits that did not stop */
};

extern struct point points[POINTS];
/* The number of the point that led to this stop; -1: something else did. */
int point_of_stop(const struct debug_stop *stop);

#endif
