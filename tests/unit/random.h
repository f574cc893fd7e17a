// SPDX-License-Identifier: MIT
/* Random numbers that a seed repeats. */
#ifndef TESTS_UNIT_RANDOM_H
#define TESTS_UNIT_RANDOM_H

#include <stdint.h>

static uint32_t random_state = 1;

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

#endif
