// SPDX-License-Identifier: MIT
/*
 * Two tasks that run the same code in the same frames, and one thread that is blocked: what a breakpoint in
 * one task must not do to the other.  Each worker counts in its own stack.
 */
#include <l4sec/l4sec.h>

#define KPAGES L4_FPAGE(L4_CAP(L4_S0_KPAGE), L4_SPACE_CAP, 13u, L4_W)

enum { EP_NEVER = L4_S0_FREE, CHILD = L4_S0_FREE + 0x10 };

static uint8_t stacks[2][4096] __attribute__((aligned(4096)));
static struct l4_child children[2];
static const struct l4_time child_time = { L4_CAP(L4_S0_RESERVATION), 100, L4_SCHED_SOFT, 2000, 10000 };

uint32_t shared_step(uint32_t who, uint32_t count);
void worker(uint32_t who);

__attribute__((noinline)) uint32_t shared_step(uint32_t who, uint32_t count)
{
    __asm__ volatile("" : "+r"(count) : "r"(who));
    return count + 1;
}

void worker(uint32_t who)
{
    volatile uint32_t count = 0;

    for (;;) {
        count = shared_step(who, count);
        if ((count & 63u) == 0)
            (void)l4_switch(L4_NOTHING, L4_SWITCH_NEXT, 0xffffffffu);
    }
}

int main(const struct l4_bootinfo *boot)
{
    uint32_t m[1];

    (void)boot;
    l4_must(l4_create_endpoint(EP_NEVER, KPAGES), "create endpoint");
    (void)l4_debug_name(L4_S0_THREAD, "starter");
    for (uint32_t i = 0; i < 2; i++) {
        l4_child_create(&children[i], CHILD + i * L4_CHILD_CAPS, KPAGES, &child_time);
        (void)l4_debug_name(CHILD + i * L4_CHILD_CAPS + 1u, i ? "second" : "first");
        l4_child_start(&children[i], worker, i + 1, stacks[i], sizeof stacks[i]);
    }
    l4_puts("pair: started\n");
    for (;;)
        (void)l4_ipc_recv(L4_CAP(EP_NEVER), m, 1, NULL, NULL);
}
