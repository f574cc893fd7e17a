// SPDX-License-Identifier: MIT
/*
 * The symbol table that scripts/mksyms.py makes and the last link puts behind everything else.
 * Sorted by address, one name per address; empty (sym_count 0) in release builds.
 */
#ifndef KERNEL_DEBUG_SYM_TABLE_H
#define KERNEL_DEBUG_SYM_TABLE_H

#include <stdint.h>

struct sym_entry { uint32_t address; uint32_t name; /* offset into sym_names */ };

extern const uint32_t sym_count;
extern const struct sym_entry sym_table[];
extern const char sym_names[];

#endif
