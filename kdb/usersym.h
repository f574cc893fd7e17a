// SPDX-License-Identifier: MIT
/*
 * Symbols of user programs, read from the ELF images among the boot modules.
 *
 * The images lie in memory that belongs to sigma0: when it uses that memory for something else, the symbols are
 * gone, and nothing here goes wrong.
 */
#ifndef KDB_USERSYM_H
#define KDB_USERSYM_H

#include "kernel/lib/types.h"

struct task;

/* The address of a symbol, "main" or "sigma0.elf!main"; the first module that has it counts. */
bool usersym_value(const char *name, uint32_t *address);
/*
 * The symbol at an address: of the module whose text the task has there (task NULL: of the first module with a symbol
 * there).  NULL: none.
 */
const char *usersym_find(const struct task *task, uint32_t address, uint32_t *offset, const char **module);
/* "main+0x12"; false: no symbol. */
bool usersym_text(char *to, unsigned size, const struct task *task, uint32_t address);

#endif
