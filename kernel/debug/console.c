// SPDX-License-Identifier: MIT
/*
 * Kernel output: every character goes to a ring of the last 16 KB; COM1 gets it too unless the debugger
 * holds that line.  The ring has plain '\n'; the line gets CR LF.
 */
#include <arch/console.h>
#include "kernel/cpu.h"
#include "kernel/debug/debug.h"
#include "kernel/lib/fmt.h"

#define LOG_SIZE 16384u

static char log_ring[LOG_SIZE];
static uint32_t log_count;
bool console_held;

void kputc(char c)
{
    cpu_stretch_forget();
    log_ring[log_count++ % LOG_SIZE] = c;
    if (console_held)
        return;
    if (c == '\n')
        arch_serial_put(0, '\r');
    arch_serial_put(0, (uint8_t)c);
}

static void kputc_sink(void *arg, char c)
{
    (void)arg;
    kputc(c);
}

void kprintf(const char *format, ...)
{
    va_list list;
    va_start(list, format);
    fmt_va(kputc_sink, NULL, format, list);
    va_end(list);
}

uint32_t log_total(void) { return log_count; }

bool log_get(uint32_t n, char *c)
{
    if (log_count - n - 1u >= LOG_SIZE) /* too old, or not written yet: both wrap to a large distance */
        return false;
    *c = log_ring[n % LOG_SIZE];
    return true;
}
