// SPDX-License-Identifier: MIT
/*
 * Addresses to names and back, over the table that scripts/mksyms.py links in: ascending addresses.
 * A kernel without the table (first link, host tests) knows no names.
 */
#include "kernel/debug/debug.h"
#include "kernel/debug/sym_table.h"
#include "kernel/lib/string.h"

const char *sym_find(uint32_t address, uint32_t *offset)
{
    if (!sym_count || address < sym_table[0].address)
        return NULL;
    uint32_t low = 0, high = sym_count; /* the last entry not above address is in [low, high) */
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (sym_table[middle].address <= address)
            low = middle;
        else
            high = middle;
    }
    if (low == sym_count - 1 && address - sym_table[low].address > 0x10000u)
        return NULL; /* far behind the last symbol: not kernel text or data */
    if (offset)
        *offset = address - sym_table[low].address;
    return sym_names + sym_table[low].name;
}

bool sym_value(const char *name, uint32_t *address)
{
    for (uint32_t i = 0; i < sym_count; i++) {
        if (strcmp(sym_names + sym_table[i].name, name) == 0) {
            *address = sym_table[i].address;
            return true;
        }
    }
    return false;
}
