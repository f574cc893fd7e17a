// SPDX-License-Identifier: MIT
/*
 * Map: give what stands at names of one task to names of another.  The engine behind the MAP items of
 * a message and behind the initial mapping of a new task.  [M 2.1.1] [G15]
 */
#ifndef KERNEL_MAP_H
#define KERNEL_MAP_H

#include "kernel/flexpage.h"
#include "kernel/thread.h"

/*
 * One map operation, already adjusted to one size.  Made anew from its arguments for each stretch of work;
 * what lasts over preemption points is *state (offset, granted, mapped, failed, empty_detail).
 */
struct map_job {
    struct task *from, *to;
    struct map_state *state;
    struct kres nodes;                   /* pays for mapping nodes */
    uint32_t from_tables, to_tables;     /* pay for tables: kernel pages named in from, else in to; 0: none */
    uint32_t badge;
    uint8_t badge_size;                  /* appended to the badges of endpoint capabilities */
    uint8_t space, order, rights;        /* rights: all masks but the source's own */
    uint32_t source, destination;        /* first names */
    uint32_t names;                      /* how many, clipped to user memory */
};

/*
 * Fill source, destination, names, order, space, rights.  L4_D_NONE, or why nothing can be mapped:
 * NO_WINDOW, KERNEL_RANGE.
 */
enum l4_detail map_adjust(struct map_job *job, const struct flexpage *send,
                          const struct flexpage *window, uint32_t hot);

/* Begin: no progress yet.  Then map_run() until STEP_DONE. */
void map_reset(struct map_state *m);
enum step map_run(const struct map_job *job);

/* After STEP_DONE: L4_D_NONE if all went well, the first failure, or why nothing was there to map. */
enum l4_detail map_outcome(const struct map_state *m);

#endif
