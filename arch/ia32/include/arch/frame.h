// SPDX-License-Identifier: MIT
/*
 * The user registers of a thread, as the kernel entry leaves them: ascending addresses, the CPU and the
 * entry stubs push downward from `ss`.  Parameter words W0..W4 are frame.w[0..4].  [M 4.1] [G9]
 */
#ifndef ARCH_FRAME_H
#define ARCH_FRAME_H

#include <stdint.h>

struct user_frame {
    union {
        uint32_t w[5];
        struct { uint32_t eax, ebx, esi, edi, ebp; };
    };
    uint32_t ecx, edx;
    uint32_t vector, error;
    uint32_t eip, cs, eflags, esp, ss;
};

#define SEL_KERNEL_CS 0x08u
#define SEL_KERNEL_DS 0x10u
#define SEL_USER_CS   0x1bu /* sysexit wants: kernel CS, kernel DS, user CS, user DS in a row */
#define SEL_USER_DS   0x23u

/* Vectors the kernel uses beside the exceptions 0..31. */
#define VECTOR_IRQ0    0x20u
#define VECTOR_SYSCALL 0x40u

#define EFLAGS_TF 0x100u
#define EFLAGS_IF 0x200u

#endif
