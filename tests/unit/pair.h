// SPDX-License-Identifier: MIT
/*
 * Two threads for tests of single rules: sigma0 (s0) makes calls and sends items, a thread in a task of its own
 * (peer, in task `there`) receives.  Include once per program, instead of unit.h.
 */
#ifndef TESTS_UNIT_PAIR_H
#define TESTS_UNIT_PAIR_H

#include "arch/host/host.h"

#include "kernel/boot.h"
#include "kernel/check.h"
#include "kernel/cpu.h"
#include "kernel/flexpage.h"
#include "kernel/ipc.h"
#include "kernel/reap.h"
#include "kernel/sys.h"
#include "tests/unit/unit.h"

#define KPAGES   L4_FPAGE(L4_CAP(L4_S0_KPAGE), L4_SPACE_CAP, 13u, L4_W)
#define EP_THERE 0x280u /* the receiver waits here */
#define EP_BACK  0x281u /* and answers here */
#define TASK 0x290u
#define THREAD 0x291u
#define RESV 0x292u
#define SCRATCH 0x00400800u /* sigma0's memory for parameter words W5.. */
#define PEER_WORDS 0xb0000000u /* in the peer's task, for its words W5.. */
#define PEER_PAGE  0x006ff000u
#define FREE_CAP 0x300u
#define FREE_PAGE 0x00700000u /* ordinary memory of sigma0 in 4 KB pages or a 4 MB page */

static struct thread *s0, *peer;
static struct task *there; /* peer's task */

static inline uint32_t call(uint32_t w0, uint32_t w1, uint32_t w2, uint32_t w3, uint32_t w4)
{
    struct thread *next = host_call(s0, w0, w1, w2, w3, w4);

    EXPECT(next == s0);
    return s0->frame.w[0];
}

static inline uint32_t *scratch(void)
{
    uint32_t *words = host_access(s0->task, SCRATCH, L4_W);

    if (!words)
        abort();
    s0->frame.ecx = SCRATCH;
    return words;
}

static inline uint32_t create(enum l4_type type, uint32_t id, uint32_t p0, uint32_t p1)
{
    return call(L4_CAP(id) | (uint32_t)type << 4 | L4_SYS_CREATE, KPAGES, KPAGES, p0, p1);
}

static inline uint32_t take(uint32_t fpage, bool flush)
{
    return call((flush ? 1u << 12 : 1u << 4) | L4_SYS_UNMAP, fpage, 0, 0, 0);
}

/* The peer takes the message it has and waits for the next, with room for so many items. */
static inline void peer_waits(unsigned rt)
{
    struct thread *next = host_call(peer, L4_IPC_W0(L4_CAP(EP_BACK), 0, 0),
                                    L4_IPC_W1(L4_CAP(EP_THERE), rt, 0, L4_TS_NEVER), 0, 0, 0);

    EXPECT(next == s0);
}

/* Send up to three items; the result is the sender's W0 without OT and OC, out: the receiver's words. */
struct item { uint32_t a, b; };
static struct item got[L4_ITEMS_MAX];
static unsigned got_count;

static inline uint32_t send_items(const struct item *items, unsigned count, unsigned rt_next)
{
    uint32_t *more = scratch();
    struct thread *next;
    unsigned i;

    if (count > 1)
        more[0] = items[1].b;
    if (count > 2) {
        more[1] = items[2].a;
        more[2] = items[2].b;
    }
    next = host_call(s0, L4_IPC_W0(L4_CAP(EP_THERE), count, 0), L4_IPC_W1(L4_CAP(EP_BACK), 0, 0, 0),
                     items[0].a, items[0].b, count > 1 ? items[1].a : 0);
    EXPECT(next == peer);
    got_count = (peer->frame.w[0] >> 10) & 3u;
    for (i = 0; i < got_count; i++)
        got[i] = (struct item){ *thread_word(peer, 2 + 2 * i), *thread_word(peer, 3 + 2 * i) };
    peer_waits(rt_next);
    return s0->frame.w[0] & ~0xff0u;
}

static inline uint32_t map(uint32_t fpage, uint32_t hot)
{
    const struct item item = { fpage, (hot & 0xfffff000u) | L4_ITEM_MAP };

    return send_items(&item, 1, L4_ITEMS_MAX);
}

static inline void report(struct check *c, const char *text)
{
    printf("%s: %s\n", c->rule->id, text);
}

static inline void check_kernel(void)
{
    struct check c = { .report = report };

    EXPECT_EQ(check_all(&c), 0);
}

/* Give the peer's task the tables for this name, paid by sigma0. */
static inline void back(unsigned space, uint32_t name)
{
    const struct item item = { KPAGES, (name & 0xfffff000u) | space << 10 | SUPER_SHIFT << 4 | L4_ITEM_TABRES };

    EXPECT_EQ(send_items(&item, 1, L4_ITEMS_MAX), 0);
    EXPECT_EQ(got_count, 1);
    EXPECT_EQ(got[0].b, 1u << 12 | L4_ITEM_TABRES);
    EXPECT_EQ(got[0].a, L4_FPAGE(name & ~(SUPER_SIZE - 1u), space, SUPER_SHIFT, 0));
}

/* A page for the words from W5 on. */
static inline void give_peer_memory(void)
{
    back(L4_SPACE_MEM, PEER_WORDS);
    EXPECT_EQ(map(L4_FPAGE(PEER_PAGE, L4_SPACE_MEM, 12, L4_R | L4_W), PEER_WORDS), 0);
    peer->frame.ecx = PEER_WORDS;
}

static inline void boot(bool superpages)
{
    host_boot(&(struct host_config){ .megabytes = 32, .superpages = superpages });
    s0 = host_run();
    s0->tcr[L4_TCR_SNDRES] = KPAGES;
    EXPECT_EQ(create(L4_TYPE_ENDPOINT, EP_THERE, 0, 0), 0);
    EXPECT_EQ(create(L4_TYPE_ENDPOINT, EP_BACK, 0, 0), 0);
    EXPECT_EQ(create(L4_TYPE_TASK, TASK, L4_FPAGE(L4_CAP(EP_THERE), L4_SPACE_CAP, 13, 15),
                     L4_FPAGE(L4_CAP(EP_THERE), L4_SPACE_CAP, 13, 15)), 0);
    EXPECT_EQ(create(L4_TYPE_THREAD, THREAD, 0, 0), 0);
    EXPECT_EQ(create(L4_TYPE_RESERVATION, RESV, 0, 0), 0);
    there = (struct task *)node_kobj(cap_lookup(s0->task, TASK));
    peer = (struct thread *)node_kobj(cap_lookup(s0->task, THREAD));
    EXPECT_EQ(call(L4_CAP(THREAD) | 1u << 4 | L4_SYS_THREAD_CONTROL, L4_TCR_TASK << 2 | 1u, L4_CAP(TASK), 0, 0),
              1u << 4);
    *scratch() = 10000;
    EXPECT_EQ(call(L4_CAP(RESV) | L4_SCHED_SPLIT | L4_SYS_SCHEDULE, L4_CAP(L4_S0_RESERVATION), L4_CAP_INVALID,
                   254u << 24 | L4_SCHED_SOFT, 1000) & 15u, 0);
    EXPECT_EQ(call(L4_CAP(RESV) | L4_SCHED_ASSOCIATE | L4_SYS_SCHEDULE, L4_CAP_INVALID, L4_CAP(THREAD) | 255u, 0, 0) & 15u, 0);
    EXPECT_EQ(call(L4_CAP(THREAD) | L4_XR_SET_IP | L4_XR_HALT_GIVEN | L4_SYS_EXREGS, 0x400000, 0, 0, 0) & 15u, 0);
    peer->tcr[L4_TCR_WINDOW + L4_SPACE_MEM] = L4_ALL_MEM;
    peer->tcr[L4_TCR_WINDOW + L4_SPACE_CAP] = L4_ALL_CAP;
    peer->tcr[L4_TCR_WINDOW + L4_SPACE_IO] = L4_ALL_IO;
    /* sigma0 waits; the peer runs, and its first message lets sigma0 go on */
    EXPECT(host_call(s0, L4_CAP_INVALID, L4_IPC_W1(L4_CAP(EP_BACK), 0, 0, 0), 0, 0, 0) == peer);
    peer_waits(L4_ITEMS_MAX);
    give_peer_memory();
    if (unit_failures)
        exit(1);
}

static inline uint32_t io_fpage(unsigned port, unsigned order, unsigned rights)
{
    return L4_FPAGE(port << 12, L4_SPACE_IO, order + 12, rights);
}

#endif
