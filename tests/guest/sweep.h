// SPDX-License-Identifier: MIT
/* Other things that the suite's program can do instead of its cases. */
#ifndef TESTS_GUEST_SWEEP_H
#define TESTS_GUEST_SWEEP_H

unsigned sweep_main(const char *arguments); /* over preemption points; the number of failures */
void trees_main(const char *arguments);     /* mapping trees for the debugger */

#endif
