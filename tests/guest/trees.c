// SPDX-License-Identifier: MIT
/*
 * Random mapping trees for the debugger's dry run.  Arguments: trees seed=N.
 *
 * Builds trees over names 0x240.. from endpoints, a kernel page, objects in that page and nodes paid from it; over
 * pages of memory, in this task and in another one, some of them converted; and over ports in that other task.
 * Enters the debugger, which finds in TCR 2 (user value) what will be unmapped: a flexpage of one name, bit 0:
 * flush; goes on, unmaps exactly that, and enters again.
 */
#include "tests/guest/guest.h"
#include "tests/guest/kit.h"
#include "tests/guest/sweep.h"

enum { EP = 0x208, GO, MAPPER = 0x20a /* and its reservation */, NAMES = 0x240, NAME_COUNT = 40, STEPS = 90,
       MORE_KPS = NAMES + NAME_COUNT, KP_COUNT = 5, PAGES = 12, PORT = 0x300, WINDOW = 0x20000000 };

static volatile uint32_t source, target, pays; /* flexpage, hot spot; who pays for the node */
static uint32_t memory;                         /* of ours, that nothing else uses */
static bool here[PAGES];                        /* pages of the window that have been mapped */
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

        (void)ipc(NO_CAP, 0, 0, L4_CAP(GO), 0, 0, L4_TS_NEVER, &msg);
        (void)tcr_write(NO_CAP, L4_TCR_SNDRES, pays);
        map_item(&msg, 0, source, target);
        (void)ipc(L4_CAP(EP), 1, 0, NO_CAP, 0, 0, L4_TS_NEVER, &msg);
    }
}

static bool occupied(uint32_t id)
{
    struct l4_words w;

    (void)call5(L4_CAP(id) | L4_INSPECT_IDENTITY << 4 | L4_SYS_CAP_INSPECT, L4_CAP(id), 0, 0, 0, &w);
    return w.w[1] == 1; /* everything here keeps compare */
}

static uint32_t some_rights(void)
{
    return pick(3) ? 15 : L4_X | pick(16);
}

/* One item from this task to itself.  True: something was mapped. */
static bool map_here(uint32_t from, uint32_t to)
{
    struct message msg = { 0 };

    source = from;
    target = to;
    (void)send0(GO, L4_TS_NEVER);
    (void)ipc(NO_CAP, 0, 0, L4_CAP(EP), 1, 0, L4_TS_NEVER, &msg);
    yield_to_others();
    return msg.m[0] != 0;
}

static uint32_t some_page(void)
{
    uint32_t k = pick(PAGES);

    return here[k] ? WINDOW + k * 4096u : memory + k * 4096u;
}

static void one_mapping(uint32_t kp)
{
    uint32_t from = NAMES + pick(NAME_COUNT), to = NAMES + pick(NAME_COUNT), k = pick(PAGES);

    pays = pick(3) || !occupied(kp) ? KPAGES : L4_CAP_FPAGE(kp, L4_W);
    (void)tcr_write(NO_CAP, L4_TCR_SNDRES, pays);
    switch (pick(6)) {
    case 0:
        if (!here[k])
            here[k] = map_here(L4_FPAGE(some_page(), L4_SPACE_MEM, 12, some_rights() | L4_R), WINDOW + k * 4096u);
        break;
    case 1:
        (void)give_map(L4_FPAGE(some_page(), L4_SPACE_MEM, 12, some_rights() | L4_R), WINDOW + k * 4096u);
        break;
    case 2:
        (void)give_map(L4_FPAGE((PORT + pick(32)) << 12, L4_SPACE_IO, 12 + pick(3), L4_R | pick(4)), 0);
        break;
    default:
        if (occupied(from) && !occupied(to))
            (void)map_here(L4_CAP_FPAGE(from, some_rights()), L4_CAP(to));
        break;
    }
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
    struct message tables = { 0 };
    bool flush;

    state = l4_number(l4_argument(arguments, "seed", number, sizeof number), 1) * 2654435761u | 1u;
    pays = KPAGES;
    memory = ram_block(0);
    EXPECT_EQ(create(L4_TYPE_ENDPOINT, EP, 0, 0), 0);
    EXPECT_EQ(create(L4_TYPE_ENDPOINT, GO, 0, 0), 0);
    EXPECT_EQ(create(L4_TYPE_KPAGE, kp, L4_FPAGE(ram_block(1), L4_SPACE_MEM, 14, L4_T), 0), 0);
    for (i = 1; i <= 3; i++)
        EXPECT_EQ(create(L4_TYPE_ENDPOINT, NAMES + i, 0, 0), 0);
    for (i = 4; i <= 6; i++)
        EXPECT_EQ(call5(L4_CAP(NAMES + i) | (i == 6 ? L4_TYPE_THREAD : L4_TYPE_ENDPOINT) << 4 | L4_SYS_CREATE,
                        L4_CAP_FPAGE(kp, L4_W), KPAGES, 0, 0, NULL), 0);
    EXPECT_EQ(tcr_write(NO_CAP, L4_TCR_WINDOW, L4_ALL_MEM), 0);
    EXPECT_EQ(tcr_write(NO_CAP, L4_TCR_WINDOW + 1, L4_ALL_CAP), 0);
    thread_start_at(MAPPER, mapper, 255);
    peer_start_in_task();
    (void)tcr_write(NO_CAP, L4_TCR_SNDRES, KPAGES);
    (void)table_item(&tables, 0, pick(2) ? L4_CAP_FPAGE(kp, L4_W) : KPAGES, L4_SPACE_MEM, WINDOW, 22);
    EXPECT_EQ(give(&tables, 1, 0), 0);
    for (i = 0; i < STEPS; i++)
        one_mapping(kp);
    /* kernel pages out of memory that was mapped on, where the page came with the right and is not one yet */
    for (i = 0; i < KP_COUNT; i++)
        (void)create(L4_TYPE_KPAGE, MORE_KPS + i, L4_FPAGE(some_page(), L4_SPACE_MEM, 12, L4_T), 0);
    flush = pick(2) != 0;
    switch (pick(7)) {
    case 0: case 3:
        victim = L4_FPAGE(some_page(), L4_SPACE_MEM, 12, 0);
        break;
    case 1:
        victim = L4_FPAGE((PORT + pick(32)) << 12, L4_SPACE_IO, 12, 0);
        break;
    case 2: /* the other task */
        victim = L4_CAP_FPAGE(peer.thread + 2, 0);
        flush = true;
        break;
    case 4: /* what the first kernel page was made of */
        victim = L4_FPAGE(ram_block(1), L4_SPACE_MEM, 12, 0);
        break;
    default:
        do {
            victim = NAMES + (pick(3) ? pick(7) : pick(NAME_COUNT));
        } while (!occupied(victim));
        victim = L4_CAP_FPAGE(victim, 0);
        break;
    }
    (void)tcr_write(NO_CAP, L4_TCR_USER, victim | flush);
    debugger();
    if (flush)
        (void)flush1(victim | 15u);
    else
        (void)unmap1(victim | 15u);
    debugger();
}
