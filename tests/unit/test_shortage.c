// SPDX-License-Identifier: MIT
/*
 * Real shortage: each `create` is tried with every amount of room, from none to enough, in a kernel page that is
 * filled endpoint by endpoint.  A failing call leaves the state as it was.  test_allocations.c makes each single
 * allocation of every call fail.  [G24] [G51]
 */
#include "arch/host/host.h"

#include "kernel/check.h"
#include "kernel/cpu.h"
#include "kernel/kpage.h"
#include "tests/unit/state.h"
#include "tests/unit/unit.h"

#define COMMON L4_FPAGE(L4_CAP(L4_S0_KPAGE), L4_SPACE_CAP, 13u, L4_W)
#define ROOM 0x2c0u              /* the kernel page under test */
#define ROOM_FPAGE L4_CAP_FPAGE(ROOM, L4_W)
#define ROOM_ORDER 15u           /* 8 frames */
#define TARGET 0x2d0u            /* what the operations create */
#define FILLER 0x400u            /* endpoints that take the room */
#define MEMORY 0x00420000u

static struct thread *s0;

static uint32_t call(uint32_t w0, uint32_t w1, uint32_t w2, uint32_t w3, uint32_t w4)
{
    s0 = host_call(s0, w0, w1, w2, w3, w4);
    return s0->frame.w[0];
}

static uint32_t create(uint32_t type, uint32_t id, uint32_t tables, uint32_t param0, uint32_t param1)
{
    return call(L4_CAP(id) | type << 4 | L4_SYS_CREATE, ROOM_FPAGE, tables, param0, param1);
}

static uint32_t make_endpoint(void) { return create(L4_TYPE_ENDPOINT, TARGET, COMMON, 0, 0); }
static uint32_t make_thread(void) { return create(L4_TYPE_THREAD, TARGET, COMMON, 0, 0); }
static uint32_t make_reservation(void) { return create(L4_TYPE_RESERVATION, TARGET, COMMON, 0, 0); }
static uint32_t make_task(void) { return create(L4_TYPE_TASK, TARGET, COMMON, 0, 0); }
static uint32_t make_task_with_mapping(void)
{
    return create(L4_TYPE_TASK, TARGET, COMMON, L4_FPAGE(L4_CAP(L4_S0_IRQ), L4_SPACE_CAP, 16, 15),
                  L4_FPAGE(L4_CAP(0x10), L4_SPACE_CAP, 16, 15));
}
static uint32_t make_task_with_memory(void)
{
    return create(L4_TYPE_TASK, TARGET, COMMON, L4_FPAGE(0x410000u, L4_SPACE_MEM, 14, 15),
                  L4_FPAGE(0x80000000u, L4_SPACE_MEM, 14, 15));
}
static uint32_t make_kernel_page(void)
{
    return create(L4_TYPE_KPAGE, TARGET, COMMON, L4_FPAGE(MEMORY + 0x10000u, L4_SPACE_MEM, 12, L4_T), 0);
}
static const struct {
    const char *name;
    uint32_t (*run)(void);
    uint32_t id;
} operations[] = {
    { "endpoint", make_endpoint, TARGET }, { "thread", make_thread, TARGET },
    { "reservation", make_reservation, TARGET }, { "task", make_task, TARGET },
    { "task with capabilities", make_task_with_mapping, TARGET },
    { "task with memory", make_task_with_memory, TARGET }, { "kernel page", make_kernel_page, TARGET },
};

static void report(struct check *c, const char *text)
{
    printf("%s: %s\n", c->rule->id, text);
}

static void flush(uint32_t id)
{
    EXPECT_EQ(call(1u << 12 | L4_SYS_UNMAP, L4_CAP_FPAGE(id, 15), 0, 0, 0) & 15u, 0);
}

static void try_with_every_room(unsigned op)
{
    unsigned filled = 0, failed = 0, succeeded = 0;
    struct check c = { .report = report };
    bool full = false;

    /* converted anew for each operation, so that the first try finds it empty */
    EXPECT_EQ(call(L4_CAP(ROOM) | L4_TYPE_KPAGE << 4 | L4_SYS_CREATE, COMMON, COMMON,
                   L4_FPAGE(MEMORY, L4_SPACE_MEM, ROOM_ORDER, L4_T), 0), 0);
    while (!full && !unit_failures) {
        char *before = state_text(), *after;
        uint32_t w0 = operations[op].run();

        if (L4_ERR_BASE(w0) == L4_OK) {
            succeeded++;
            flush(operations[op].id);
        } else {
            failed++;
            EXPECT(L4_ERR_BASE(w0) == L4_NOMEM);
            after = state_text();
            if (!state_same(before, after)) {
                printf("%s failed with %u endpoints in the room (0x%x) and left a trace\n", operations[op].name, filled, w0);
                EXPECT(false);
            }
            free(after);
        }
        free(before);
        full = create(L4_TYPE_ENDPOINT, FILLER + filled, COMMON, 0, 0) != 0;
        filled++;
        if (filled % 16 == 0)
            EXPECT_EQ(check_all(&c), 0);
    }
    flush(ROOM);
    EXPECT_EQ(check_all(&c), 0);
    printf("# %s: %u times enough room, %u times too little\n", operations[op].name, succeeded, failed);
    EXPECT(succeeded > 0);
    EXPECT(failed > 0);
}

TEST(every_amount_of_room)
{
    host_boot(&(struct host_config){ .megabytes = 16, .superpages = true });
    s0 = host_run();
    for (unsigned op = 0; op < sizeof operations / sizeof *operations; op++)
        try_with_every_room(op);
}
