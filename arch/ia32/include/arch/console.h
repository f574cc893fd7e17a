// SPDX-License-Identifier: MIT
/* Serial lines, polled.  Line 0: console and kdb; line 1: GDB. */
#ifndef ARCH_CONSOLE_H
#define ARCH_CONSOLE_H

#include "kernel/lib/types.h"

bool arch_serial_present(unsigned line);
void arch_serial_put(unsigned line, uint8_t byte);   /* bounded wait, then drops and counts */
int arch_serial_get(unsigned line);                  /* -1 none, -2 BREAK or line error */
void arch_serial_init(void);
/* Receive interrupts on or off (break-in while user code runs). */
void arch_serial_interrupts(unsigned line, bool on);

/* isa-debug-exit: QEMU ends with status 2 * code + 1.  Nothing happens elsewhere. */
void arch_debug_exit(uint8_t code);

#endif
