// SPDX-License-Identifier: MIT
/* Handlers that go round in circles: the others must keep running.  [M 2.1.2] [G18] */
#include "tests/guest/guest.h"

static volatile uint32_t rounds;

static void send_to_nothing(void)
{
    for (;;)
        (void)send0(0x20e, L4_TS_NEVER);
}

static void count(void)
{
    for (;;) {
        rounds++;
        yield_to_others();
    }
}

CASE(faults_that_answer_each_other, "I-12", "two threads that take each other's fault message for the reply do not stop the machine")
{
    uint32_t ep_a = endpoint_new(), ep_b = endpoint_new(), a = thread_make(), b = thread_make();

    EXPECT_EQ(tcr_write(L4_CAP(a), L4_TCR_FAULT_SND, L4_CAP(ep_a)), 0);
    EXPECT_EQ(tcr_write(L4_CAP(a), L4_TCR_FAULT_RCV, L4_CAP(ep_b)), 0);
    EXPECT_EQ(tcr_write(L4_CAP(b), L4_TCR_FAULT_SND, L4_CAP(ep_b)), 0);
    EXPECT_EQ(tcr_write(L4_CAP(b), L4_TCR_FAULT_RCV, L4_CAP(ep_a)), 0);
    rounds = 0;
    thread_start(count, 255);
    thread_run(a, send_to_nothing, page(40) + 4080);
    /* we take the first message, so that one of them waits for its reply when the other one faults */
    EXPECT_EQ(ipc(NO_CAP, 0, 0, L4_CAP(ep_a), 0, 0, L4_TS_NEVER, NULL), 0);
    thread_run(b, send_to_nothing, page(41) + 4080);
    for (unsigned i = 0; i < 20; i++)
        yield_to_others();
    EXPECT(rounds > 2);
}
