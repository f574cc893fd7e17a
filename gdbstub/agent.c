// SPDX-License-Identifier: MIT
/*
 * The stack machine of agent expressions.  Numbers in the code are big-endian; jumps are absolute.  It trusts
 * no length, no jump and no depth.
 */
#include "gdbstub/agent.h"

enum {
    OP_ADD = 0x02, OP_SUB, OP_MUL, OP_DIV_SIGNED, OP_DIV_UNSIGNED, OP_REM_SIGNED, OP_REM_UNSIGNED,
    OP_LSH, OP_RSH_SIGNED, OP_RSH_UNSIGNED,
    OP_LOG_NOT = 0x0e, OP_BIT_AND, OP_BIT_OR, OP_BIT_XOR, OP_BIT_NOT,
    OP_EQUAL, OP_LESS_SIGNED, OP_LESS_UNSIGNED,
    OP_EXT, OP_REF8, OP_REF16, OP_REF32, OP_REF64,
    OP_IF_GOTO = 0x20, OP_GOTO, OP_CONST8, OP_CONST16, OP_CONST32, OP_CONST64,
    OP_REG, OP_END, OP_DUP, OP_POP, OP_ZERO_EXT, OP_SWAP,
    OP_PICK = 0x32, OP_ROT,
};

#define DEPTH 32u

struct machine { uint64_t stack[DEPTH]; unsigned depth; };

static bool push(struct machine *m, uint64_t value)
{
    if (m->depth == DEPTH)
        return false;
    m->stack[m->depth++] = value;
    return true;
}

/* n / d and the rest, bit by bit; d != 0. */
static uint64_t divide(uint64_t n, uint64_t d, uint64_t *rest)
{
    uint64_t q = 0, r = 0;
    for (unsigned i = 64; i-- > 0;) {
        bool carry = r >> 63;
        r = r << 1 | (n >> i & 1u);
        if (carry || r >= d) {
            r -= d;
            q |= 1ull << i;
        }
    }
    *rest = r;
    return q;
}

static uint64_t magnitude(uint64_t v) { return v >> 63 ? 0 - v : v; }

static bool binary(unsigned op, uint64_t a, uint64_t b, uint64_t *result)
{
    uint64_t rest, quotient;
    switch (op) {
    case OP_ADD: *result = a + b; return true;
    case OP_SUB: *result = a - b; return true;
    case OP_MUL: *result = a * b; return true;
    case OP_DIV_SIGNED:
    case OP_REM_SIGNED:
        if (!b)
            return false;
        quotient = divide(magnitude(a), magnitude(b), &rest); /* rounds to 0; the rest has the sign of a */
        if (op == OP_DIV_SIGNED)
            *result = (a ^ b) >> 63 ? 0 - quotient : quotient;
        else
            *result = a >> 63 ? 0 - rest : rest;
        return true;
    case OP_DIV_UNSIGNED:
    case OP_REM_UNSIGNED:
        if (!b)
            return false;
        quotient = divide(a, b, &rest);
        *result = op == OP_DIV_UNSIGNED ? quotient : rest;
        return true;
    case OP_LSH: *result = b < 64 ? a << b : 0; return true;
    case OP_RSH_UNSIGNED: *result = b < 64 ? a >> b : 0; return true;
    case OP_RSH_SIGNED: *result = (uint64_t)((int64_t)a >> (b < 64 ? b : 63)); return true;
    case OP_BIT_AND: *result = a & b; return true;
    case OP_BIT_OR: *result = a | b; return true;
    case OP_BIT_XOR: *result = a ^ b; return true;
    case OP_EQUAL: *result = a == b; return true;
    case OP_LESS_SIGNED: *result = (int64_t)a < (int64_t)b; return true;
    case OP_LESS_UNSIGNED: *result = a < b; return true;
    default: return false;
    }
}

static bool is_binary(unsigned op)
{
    return (op >= OP_ADD && op <= OP_RSH_UNSIGNED) || (op >= OP_BIT_AND && op <= OP_BIT_XOR) ||
           (op >= OP_EQUAL && op <= OP_LESS_UNSIGNED);
}

/* Bytes of the operand in the code. */
static unsigned operand_bytes(unsigned op)
{
    switch (op) {
    case OP_EXT: case OP_ZERO_EXT: case OP_CONST8: case OP_PICK: return 1;
    case OP_IF_GOTO: case OP_GOTO: case OP_CONST16: case OP_REG: return 2;
    case OP_CONST32: return 4;
    case OP_CONST64: return 8;
    default: return 0;
    }
}

static uint64_t extend(uint64_t v, uint64_t bits, bool is_signed)
{
    if (bits == 0 || bits >= 64)
        return v;
    uint64_t mask = (1ull << bits) - 1, low = v & mask;
    return is_signed && low >> (bits - 1) ? low | ~mask : low;
}

/* Operations on what is at the top already; *top is the last of depth >= 1. */
static bool unary(unsigned op, uint64_t operand, uint64_t *top, const struct agent_target *target)
{
    uint64_t loaded = 0;
    switch (op) {
    case OP_LOG_NOT: *top = !*top; return true;
    case OP_BIT_NOT: *top = ~*top; return true;
    case OP_EXT: *top = extend(*top, operand, true); return true;
    case OP_ZERO_EXT: *top = extend(*top, operand, false); return true;
    case OP_REF8: case OP_REF16: case OP_REF32: case OP_REF64:
        if (!target->memory((uint32_t)*top, &loaded, 1u << (op - OP_REF8)))
            return false;
        *top = loaded;
        return true;
    default: return false;
    }
}

bool agent_run(const uint8_t *code, unsigned size, const struct agent_target *target, uint64_t *value)
{
    struct machine m = { .depth = 0 };
    unsigned at = 0;
    for (unsigned steps = 0; steps < AGENT_STEPS && at < size; steps++) {
        unsigned op = code[at++], bytes = operand_bytes(op);
        uint64_t operand = 0, *top = m.depth ? &m.stack[m.depth - 1] : NULL;
        uint32_t word;
        if (bytes > size - at)
            return false;
        for (unsigned i = 0; i < bytes; i++)
            operand = operand << 8 | code[at++];
        if (is_binary(op)) {
            if (m.depth < 2 || !binary(op, top[-1], top[0], &top[-1]))
                return false;
            m.depth--;
            continue;
        }
        switch (op) {
        case OP_CONST8: case OP_CONST16: case OP_CONST32: case OP_CONST64:
            if (!push(&m, operand))
                return false;
            break;
        case OP_REG:
            if (!target->reg((uint32_t)operand, &word) || !push(&m, word))
                return false;
            break;
        case OP_GOTO:
            at = (unsigned)operand;
            break;
        case OP_IF_GOTO:
            if (!top)
                return false;
            m.depth--;
            if (*top)
                at = (unsigned)operand;
            break;
        case OP_END:
            if (top)
                *value = *top;
            return top != NULL;
        case OP_DUP:
            if (!top || !push(&m, *top))
                return false;
            break;
        case OP_PICK:
            if (operand >= m.depth || !push(&m, m.stack[m.depth - 1 - operand]))
                return false;
            break;
        case OP_POP:
            if (!top)
                return false;
            m.depth--;
            break;
        case OP_SWAP:
        case OP_ROT: { /* a b -> b a; a b c -> c a b */
            unsigned n = op == OP_SWAP ? 2 : 3;
            if (m.depth < n)
                return false;
            uint64_t last = *top;
            for (; n > 1; n--, top--)
                *top = top[-1];
            *top = last;
            break;
        }
        default:
            if (!top || !unary(op, operand, top, target))
                return false;
        }
    }
    return false;
}
