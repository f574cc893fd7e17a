// SPDX-License-Identifier: MIT
/* ASSERT: a kernel bug stops the machine in the debugger.  User input must never reach one. */
#ifndef KERNEL_LIB_ASSERT_H
#define KERNEL_LIB_ASSERT_H

#include "kernel/lib/types.h"

/* Print, enter the debugger if there is one, then stop.  Any context.  (kernel/debug/debug.c; arch/host has its own) */
void panic(const char *format, ...) NORETURN PRINTF(1, 2);

#ifdef NDEBUG
#define ASSERT(what) ((void)sizeof(what))
#else
#define ASSERT(what)                                                              \
    do {                                                                          \
        if (UNLIKELY(!(what)))                                                    \
            panic("%s:%d: not true: %s", __FILE__, __LINE__, #what);              \
    } while (0)
#endif

#endif
