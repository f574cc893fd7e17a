// SPDX-License-Identifier: MIT
/*
 * A program to be debugged: sigma0 of the GDB tests.  It needs no library, so that a test builds it by
 * itself: functions to stop in, a variable to watch, a system call, a loop that never ends.
 */
#include "kernel/abi/l4sec/abi.h"

#define NOINLINE __attribute__((noinline, noclone))

volatile uint32_t total, rounds, odd_step;
volatile uint8_t bytes[8];
volatile double ratio = 1.5;
static uint8_t stack[4096] __attribute__((aligned(16), used));

void run(void);

NOINLINE uint32_t square(uint32_t x)
{
    uint32_t result = x * x;
    return result;
}

/* System call 10 on nothing: an error in W0, no side effect. */
NOINLINE uint32_t ask_kernel(void)
{
    uint32_t w0 = L4_SYS_CAP_INSPECT, w1 = L4_CAP_INVALID, w2 = 0, w3 = 0;
    __asm__ volatile("int $0x40" : "+a"(w0), "+b"(w1), "+S"(w2), "+D"(w3) : "c"(0) : "edx", "memory");
    return w0;
}

NOINLINE void long_line(void)
{
    for (uint32_t i = 0; i < 100; i++) odd_step += i * 3; /* many instructions on one line */
    rounds += 0;
}

/* A place where an int3 can be written. */
NOINLINE void rest(void)
{
    __asm__ volatile("nop\n\t.globl rest_nop\nrest_nop: nop\n\tnop");
}

NOINLINE void one_round(void)
{
    rest();
    uint32_t before = total;
    total = before + square(rounds & 7u);
    long_line();
    bytes[rounds & 7u]++;
    ratio = ratio * 1.25;
    if (ratio > 1000.0)
        ratio = 1.5;
    ask_kernel();
    rounds++;
}

void run(void)
{
    for (;;)
        one_round();
}

__asm__(".globl _start\n_start:\n\tmovl $stack + 4096, %esp\n\txorl %ebp, %ebp\n\tcall run\n\thlt\n");
