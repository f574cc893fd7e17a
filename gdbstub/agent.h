// SPDX-License-Identifier: MIT
/*
 * GDB's agent expressions: the small stack machine in which GDB sends the conditions of breakpoints.  Pure
 * code on bytes, no kernel header, so that the same code runs in the unit tests.
 */
#ifndef GDBSTUB_AGENT_H
#define GDBSTUB_AGENT_H

#include "kernel/lib/types.h"

/* What an expression can ask for; false: it cannot be had, and the expression fails. */
struct agent_target {
    bool (*memory)(uint32_t address, void *to, unsigned size);
    bool (*reg)(uint32_t number, uint32_t *value);
};

/*
 * Run code[0..size) to its `end`; the top of the stack goes to *value.  False: not well formed, an operation
 * that is not known (floating point, tracing), division by 0, memory or registers that are not there, or
 * more than AGENT_STEPS operations.  Nothing outside `code` and what `target` gives is read.
 */
#define AGENT_STEPS 10000u
bool agent_run(const uint8_t *code, unsigned size, const struct agent_target *target, uint64_t *value);

#endif
