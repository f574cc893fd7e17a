// SPDX-License-Identifier: MIT
/*
 * Conditions of breakpoints, decided here: a hit whose conditions are all false goes on without a word to
 * GDB.  They belong to (kind, address) like GDB's points, and live in a table of fixed size.
 */
#include "gdbstub/agent.h"
#include "gdbstub/stub.h"
#include "kernel/lib/string.h"

#define CONDITIONS 32u
#define CODE_MAX   256u

static struct condition {
    uint32_t address;
    enum bp_kind kind;
    uint16_t size; /* 0: free */
    uint8_t code[CODE_MAX];
} table[CONDITIONS];

void conditions_drop(enum bp_kind kind, uint32_t address)
{
    for (unsigned i = 0; i < CONDITIONS; i++)
        if (table[i].size && table[i].kind == kind && table[i].address == address)
            table[i].size = 0;
}

void conditions_clear(void)
{
    for (unsigned i = 0; i < CONDITIONS; i++)
        table[i].size = 0;
}

static struct condition *room(void)
{
    for (unsigned i = 0; i < CONDITIONS; i++)
        if (!table[i].size)
            return &table[i];
    return NULL;
}

const char *conditions_set(enum bp_kind kind, uint32_t address, const uint8_t *p, const uint8_t *end)
{
    const char *problem = NULL;
    while (!problem && p < end) {
        uint32_t size;
        struct condition *c = room();
        if (*p == ';' || *p == 'X') { /* ";X4,22002a27X..." */
            if (*p++ == ';')
                continue;
        } else {
            problem = "a condition that is not understood";
            break;
        }
        if (!packet_parse(&p, end, &size) || p == end || *p++ != ',' || !size)
            problem = "a condition that is not understood";
        else if (size > CODE_MAX || !c)
            problem = "no room for the condition: set breakpoint condition-evaluation host";
        else if (!packet_parse_bytes(p, end, c->code, size))
            problem = "a condition that is not understood";
        else {
            c->address = address;
            c->kind = kind;
            c->size = (uint16_t)size;
            p += 2 * size;
        }
    }
    if (problem)
        conditions_drop(kind, address);
    return problem;
}

static bool read_memory(uint32_t address, void *to, unsigned size) { return target_read(address, to, size) == size; }

static bool read_register(uint32_t number, uint32_t *value) { return target_core_register(stub.context, number, value); }

bool conditions_hold(enum bp_kind kind, uint32_t address)
{
    static const struct agent_target target = { read_memory, read_register };
    bool any = false;
    for (unsigned i = 0; i < CONDITIONS; i++) {
        const struct condition *c = &table[i];
        uint64_t value = 1;
        if (!c->size || c->kind != kind || c->address != address)
            continue;
        any = true;
        if (!agent_run(c->code, c->size, &target, &value) || value)
            return true; /* one that fails stops: GDB then says why */
    }
    return !any;
}
