// SPDX-License-Identifier: MIT
/*
 * Formatted output to a sink.  Conversions: %d %u %x %X %p %s %c %% with width, '-', '0', precision
 * for %s, and 'l', 'll' for numbers.  Nothing else.  No allocation; any context.
 */
#ifndef KERNEL_LIB_FMT_H
#define KERNEL_LIB_FMT_H

#include <stdarg.h>
#include "kernel/lib/types.h"

typedef void (*fmt_sink)(void *arg, char c);

void fmt_va(fmt_sink sink, void *arg, const char *format, va_list list);
/* Always ends with NUL if size > 0; returns the length that the whole text needs. */
unsigned fmt_buffer(char *buffer, unsigned size, const char *format, ...) PRINTF(3, 4);
unsigned fmt_buffer_va(char *buffer, unsigned size, const char *format, va_list list);

#endif
