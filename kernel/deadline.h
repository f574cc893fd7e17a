// SPDX-License-Identifier: MIT
/*
 * Deadlines: an intrusive leftist heap ordered by time.  set, cancel, pop: O(log n); first: O(1).
 * No recursion, no memory.  [G16] [G28]
 */
#ifndef KERNEL_DEADLINE_H
#define KERNEL_DEADLINE_H

#include "kernel/lib/types.h"

enum deadline_kind { DEADLINE_IPC, DEADLINE_REFILL };

struct deadline {
    uint64_t when;                       /* clock ticks */
    struct deadline *left, *right, *up;
    uint16_t rank;                       /* length of the right spine + 1; 0 = not in the heap */
    uint8_t kind;                        /* enum deadline_kind: what it is embedded in */
};

ALWAYS_INLINE bool deadline_is_set(const struct deadline *d) { return d->rank != 0; }
void deadline_set(struct deadline *d, uint64_t when);  /* moves it if already set */
void deadline_cancel(struct deadline *d);              /* no-op if not set */
struct deadline *deadline_first(void);                 /* NULL if none */
const char *deadline_check(void);                      /* NULL, or what is wrong with the heap */
/* In-order walk for kdb and check: NULL starts. */
struct deadline *deadline_next(const struct deadline *d);

#endif
