// SPDX-License-Identifier: MIT
/*
 * The kernel debugger as other parts see it: one function that executes a command line.
 */
#ifndef KDB_KDB_H
#define KDB_KDB_H

#include "kernel/lib/types.h"

/* Where a line comes from.  What a command may do depends on it (table in engine.h). */
enum kdb_door { KDB_PROMPT = 1, KDB_PANIC = 2, KDB_GDB = 4, KDB_SYSCALL = 8, KDB_BOOT = 16 };

/* How a line ended. */
#define KDB_RC_LIST(X)                                          \
    X(OK, 0, "done")                                            \
    X(FALSE, 1, "an expectation or a check failed")             \
    X(USAGE, 2, "no such command or wrong arguments")           \
    X(NOENT, 3, "no such thing")                                \
    X(BADARG, 4, "an argument has the wrong form or type")      \
    X(FAULT, 5, "memory could not be read")                     \
    X(CORRUPT, 6, "a structure made no sense")                  \
    X(LIMIT, 7, "stopped by a limit")                           \
    X(INTR, 8, "stopped by ^C")                                 \
    X(PERM, 9, "not allowed here")                              \
    X(NOTINIT, 10, "the kernel has not come that far yet")      \
    X(BUSY, 11, "in use by an outer command")                   \
    X(NESTED, 12, "the command itself faulted")

enum kdb_rc {
#define X(name, number, text) KDB_##name = number,
    KDB_RC_LIST(X)
#undef X
};

/*
 * Execute one line, or several separated by ';', as text for `sink` (lines end in LF).  Any kernel
 * context with interrupts off; nested calls are fine, up to four.  The rc of the last line executed; a
 * line that fails ends the list.
 */
int kdb_exec(const char *line, unsigned door, void (*sink)(void *arg, char c), void *arg);

#endif
