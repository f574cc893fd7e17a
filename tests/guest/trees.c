// SPDX-License-Identifier: MIT
/*
 * Random mapping trees for the debugger's dry run.  Arguments: trees seed=N.
 *
 * Builds a tree over names 0x240.. from endpoints, a kernel page, objects in that page and nodes paid from it; enters
 * the debugger, which finds in TCR 2 (user value) what will be unmapped: capability number, bit 20: flush; goes
 * on, unmaps exactly that, and enters again.
 */
#include "tests/guest/guest.h"
#include "tests/guest/sweep.h"

enum { EP = 0x208, MAPPER = 0x20a /* and its reservation */, NAMES = 0x240, NAME_COUNT = 40, STEPS = 60 };

static volatile uint32_t source, target, rights, pays;
static uint32_t state;

static uint32_t pick(uint32_t n)
{
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return state % n;
}

/* Maps what we ask for, to this very task. */
static void mapper(void)
{
    for (;;) {
        struct message msg = { 0 };

        (void)tcr_write(NO_CAP, L4_TCR_SNDRES, pays);
        map_item(&msg, 0, L4_CAP_FPAGE(source, rights), L4_CAP(target));
        (void)ipc(L4_CAP(EP), 1, 0, NO_CAP, 0, 0, L4_TS_NEVER, &msg);
    }
}

static bool occupied(uint32_t id)
{
    struct l4_words w;

    (void)call5(L4_CAP(id) | L4_INSPECT_IDENTITY << 4 | L4_SYS_CAP_INSPECT, L4_CAP(id), 0, 0, 0, &w);
    return w.w[1] == 1; /* everything here keeps compare */
}

static void debugger(void)
{
    static const char text[] = "tree";

    (void)call5(L4_DEBUG_ENTER << 4 | L4_SYS_DEBUG, (uint32_t)(uintptr_t)text, sizeof text - 1, 0, 0, NULL);
}

void trees_main(const char *arguments)
{
    static char number[12];
    uint32_t kp = NAMES, i, victim;
    bool flush;

    state = l4_number(l4_argument(arguments, "seed", number, sizeof number), 1) * 2654435761u | 1u;
    pays = KPAGES;
    source = 0;
    EXPECT_EQ(create(L4_TYPE_ENDPOINT, EP, 0, 0), 0);
    EXPECT_EQ(create(L4_TYPE_KPAGE, kp, L4_FPAGE(page(0), L4_SPACE_MEM, 13, L4_T), 0), 0);
    for (i = 1; i <= 3; i++)
        EXPECT_EQ(create(L4_TYPE_ENDPOINT, NAMES + i, 0, 0), 0);
    for (i = 4; i <= 6; i++)
        EXPECT_EQ(call5(L4_CAP(NAMES + i) | (i == 6 ? L4_TYPE_THREAD : L4_TYPE_ENDPOINT) << 4 | L4_SYS_CREATE,
                        L4_CAP_FPAGE(kp, L4_W), KPAGES, 0, 0, NULL), 0);
    EXPECT_EQ(tcr_write(NO_CAP, L4_TCR_WINDOW + 1, L4_ALL_CAP), 0);
    thread_start_at(MAPPER, mapper, 255);
    for (i = 0; i < STEPS; i++) {
        struct message msg = { 0 };
        uint32_t from = NAMES + pick(NAME_COUNT), to = NAMES + pick(NAME_COUNT);

        if (!occupied(from) || occupied(to))
            continue;
        source = from;
        target = to;
        rights = pick(3) ? 15 : L4_X | pick(16);
        pays = pick(3) || !occupied(kp) ? KPAGES : L4_CAP_FPAGE(kp, L4_W);
        /* the mapper may stand ready with the request before: take that one first */
        (void)ipc(NO_CAP, 0, 0, L4_CAP(EP), 1, 0, L4_TS_NEVER, &msg);
        yield_to_others();
    }
    do {
        victim = NAMES + (pick(3) ? pick(7) : pick(NAME_COUNT));
    } while (!occupied(victim));
    flush = pick(2) != 0;
    (void)tcr_write(NO_CAP, L4_TCR_USER, victim | (flush ? 1u << 20 : 0));
    debugger();
    if (flush)
        (void)flush1(L4_CAP_FPAGE(victim, 15));
    else
        (void)unmap1(L4_CAP_FPAGE(victim, 15));
    debugger();
}
