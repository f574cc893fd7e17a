// SPDX-License-Identifier: MIT
/*
 * Which port does the user instruction at EIP touch?  Asked only after a general protection exception, so
 * the instruction was readable a moment ago; if it is not any more the answer is "none".  [G54]
 */
#include <arch/cpu.h>
#include "arch/ia32/arch.h"
#include "kernel/abi/l4sec/abi.h"
#include "kernel/thread.h"

#define INSTRUCTION_MAX 15u

static bool fetch(uint32_t address, uint8_t *byte)
{
    uint32_t word, fault;

    if (address >= L4_USER_TOP || arch_user_read(&word, address & ~3u, 1, &fault) != 1)
        return false;
    *byte = (uint8_t)(word >> 8 * (address & 3u));
    return true;
}

static bool is_prefix(uint8_t byte)
{
    switch (byte) {
    case 0x26: case 0x2e: case 0x36: case 0x3e: case 0x64: case 0x65: /* segment */
    case 0x66: case 0x67:                                             /* operand, address size */
    case 0xf2: case 0xf3:                                             /* repeat */
        return true;
    default:
        return false;
    }
}

bool arch_decode_io(struct thread *t, uint32_t *port, unsigned *bytes)
{
    uint32_t eip = t->frame.eip;
    unsigned word = 4;
    uint8_t byte, immediate;

    for (unsigned n = 0;; n++, eip++) {
        if (n == INSTRUCTION_MAX || !fetch(eip, &byte))
            return false;
        if (!is_prefix(byte))
            break;
        if (byte == 0x66)
            word = 2;
    }
    switch (byte) {
    case 0xe4: case 0xe5: case 0xe6: case 0xe7: /* in, out with immediate port */
        if (!fetch(eip + 1, &immediate))
            return false;
        *port = immediate;
        break;
    case 0xec: case 0xed: case 0xee: case 0xef: /* in, out with DX */
    case 0x6c: case 0x6d: case 0x6e: case 0x6f: /* ins, outs */
        *port = t->frame.edx & 0xffffu;
        break;
    default:
        return false;
    }
    *bytes = byte & 1u ? word : 1u;
    return true;
}
