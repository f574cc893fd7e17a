// SPDX-License-Identifier: MIT
/* Random numbers that a seed repeats, and how near a measured one is. */
#ifndef TESTS_UNIT_RANDOM_H
#define TESTS_UNIT_RANDOM_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

static uint32_t random_state = 1;

/* Each seed begins somewhere else. */
static inline void random_seed(uint32_t seed)
{
    random_state = (seed + 1u) * 2654435761u;
    if (!random_state)
        random_state = 1;
}

static inline uint32_t random_word(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 17;
    random_state ^= random_state << 5;
    return random_state;
}

static inline uint32_t below(uint32_t limit)
{
    return random_word() % limit;
}

/* For measured shares: is it that, within so much? */
static inline bool within(uint64_t have, uint64_t want, unsigned per_mille)
{
    uint64_t difference = have > want ? have - want : want - have;

    if (difference * 1000 > want * per_mille) {
        printf("have %llu, want %llu\n", (unsigned long long)have, (unsigned long long)want);
        return false;
    }
    return true;
}

#endif
