// SPDX-License-Identifier: MIT
/* Breadth-first over states that are packed into keys: each is met once and stands in the queue. */
#ifndef TESTS_UNIT_EXPLORE_H
#define TESTS_UNIT_EXPLORE_H

#include <stdint.h>
#include <stdlib.h>

static uint32_t *seen, *queue, queued;

/* Keys of so many bits, and room for so many of them. */
static void explore_begin(unsigned key_bits, uint32_t most)
{
    seen = calloc((size_t)1 << (key_bits - 3u), 1);
    queue = malloc(sizeof *queue * most);
    EXPECT(seen && queue);
}

static void meet(uint32_t key)
{
    if (seen[key / 32] & (1u << (key % 32)))
        return;
    seen[key / 32] |= 1u << (key % 32);
    queue[queued++] = key;
}

#endif
