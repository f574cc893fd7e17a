// SPDX-License-Identifier: MIT
/* Other things that the suite's program can do instead of its cases. */
#ifndef TESTS_GUEST_SWEEP_H
#define TESTS_GUEST_SWEEP_H

#include "tests/guest/guest.h"

unsigned sweep_main(const char *arguments); /* over instruction boundaries; the number of failures */
void trees_main(const char *arguments);     /* mapping trees for the debugger */

/* ---- what the sweep consists of (sweep_ops.c) ---- */

#define SWEEP_MAIN_PRIO 250u

struct sweep_operation {
    const char *name;
    void (*prepare)(void), (*run)(void), (*clean_up)(void);
    const uint32_t *result;  /* W0 of what it does, if nobody disturbs */
    uint32_t error;
};
struct sweep_action { const char *name; void (*run)(void); };

/* The last one has no name. */
extern const struct sweep_operation sweep_operations[];
extern const struct sweep_action sweep_actions[];
void sweep_no_action(void);
extern volatile uint32_t sweep_victim; /* the number of the thread that actions are done to */

void sweep_begin(void (*enter)(struct l4_words *words));
void sweep_prepare(const struct sweep_operation *op);
void sweep_clean_up(const struct sweep_operation *op);

#endif
