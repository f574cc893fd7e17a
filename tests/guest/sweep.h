// SPDX-License-Identifier: MIT
/* The sweep over preemption points: sweep.c.  Returns the number of failures. */
#ifndef TESTS_GUEST_SWEEP_H
#define TESTS_GUEST_SWEEP_H

unsigned sweep_main(const char *arguments);

#endif
