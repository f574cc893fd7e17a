// SPDX-License-Identifier: MIT
/* FPU and SSE registers belong to threads.  [M 2.2] */
#include "tests/guest/kit.h"

static volatile uint32_t loops;

static volatile uint32_t fpu_value[2], fpu_ok[2], fpu_fresh[2];

static void fpu_user(unsigned n)
{
    uint32_t in = 1000 + n, out;
    uint16_t control, status;

    __asm__ volatile("fnstcw %0" : "=m"(control));
    __asm__ volatile("fnstsw %0" : "=m"(status));
    fpu_fresh[n] = control == 0x37f && (status & 0x3fff) == 0;
    __asm__ volatile("fildl %0" : : "m"(in));
    for (unsigned i = 0; i < 20; i++) {
        yield_to_others();
        __asm__ volatile("fistl %0" : "=m"(out));
        fpu_value[n] = out;
        fpu_ok[n] += out == in;
    }
    thread_stop();
}

static void fpu_user_0(void) { fpu_user(0); }
static void fpu_user_1(void) { fpu_user(1); }

CASE(fpu_two_threads, "S13 T-12", "two threads of one task keep their FPU registers over switches; fresh ones are as after fninit")
{
    fpu_ok[0] = fpu_ok[1] = 0;
    (void)thread_start(fpu_user_0, 255);
    (void)thread_start(fpu_user_1, 255);
    for (unsigned i = 0; i < 10; i++)
        settle();
    for (unsigned n = 0; n < 2; n++) {
        EXPECT_EQ(fpu_ok[n], 20);
        EXPECT_EQ(fpu_value[n], 1000 + n);
        EXPECT(fpu_fresh[n]);
    }
}

CASE(fpu_two_tasks, "CPU-4 T-12", "FPU registers do not cross tasks")
{
    uint32_t in = 7777, out;

    fpu_ok[0] = fpu_ok[1] = 0;
    __asm__ volatile("fninit\n\tfildl %0" : : "m"(in));
    (void)child_start(fpu_user_0, 255, 0x210, 4);
    (void)thread_start(fpu_user_1, 255);
    for (unsigned i = 0; i < 10; i++)
        settle();
    __asm__ volatile("fistpl %0" : "=m"(out));
    EXPECT_EQ(out, 7777);
    for (unsigned n = 0; n < 2; n++) {
        EXPECT_EQ(fpu_ok[n], 20);
        EXPECT(fpu_fresh[n]);
    }
}

CASE(fpu_owner_destroyed, "T-12", "the thread whose registers are loaded is destroyed: the next one starts fresh")
{
    uint32_t id;

    id = thread_start(fpu_user_0, 255);
    yield_to_others();
    yield_to_others();
    EXPECT_EQ(flush_cap(id) & 15u, 0);
    fpu_ok[1] = 0;
    (void)thread_start(fpu_user_1, 255);
    for (unsigned i = 0; i < 10; i++)
        settle();
    EXPECT_EQ(fpu_ok[1], 20);
    EXPECT(fpu_fresh[1]);
}

static volatile uint32_t sse_leak;

static void sse_reader(void)
{
    static uint32_t out[4] __attribute__((aligned(16)));

    __asm__ volatile("movups %%xmm3, %0" : "=m"(out));
    sse_leak = out[0] | out[1] | out[2] | out[3];
    loops++;
}

CASE(fpu_sse_does_not_leak, "T-12 P8", "a fresh thread in another task finds SSE registers of 0, whatever ours hold")
{
    static const uint32_t in[4] = { 0x5ec5ec, 1, 2, 3 };

    loops = 0;
    if (!(cpu_features() & 1u << 25)) {
        EXPECT(true);
        return;
    }
    __asm__ volatile("movups %0, %%xmm3" : : "m"(in));
    (void)child_start(sse_reader, 255, 0x210, 4);
    settle();
    EXPECT_EQ(loops, 1);
    EXPECT_EQ(sse_leak, 0);
}
