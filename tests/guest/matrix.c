// SPDX-License-Identifier: MIT
/*
 * The rights matrix: every operation on a capability of every type with each of the 16 sets of rights.
 *
 * What must happen follows from one table: the type an operation wants and the rights it needs.  Another
 * type: CAP, TYPE.  A right missing: CAP, RIGHTS.  No right at all: the name is empty, CAP, EMPTY.  Else anything
 * but CAP.  [M 2.1.2] [G3] [G8]
 */
#include "tests/guest/kit.h"

/* One object of each type, and its 16 names: BASE + 16 * type number + rights. */
#define BASE 0x280u
enum object { O_TASK, O_THREAD, O_ENDPOINT, O_KPAGE, O_RESERVATION, O_CPU, O_IRQ, OBJECTS };
static const uint8_t type_of[OBJECTS] = {
    L4_TYPE_TASK, L4_TYPE_THREAD, L4_TYPE_ENDPOINT, L4_TYPE_KPAGE, L4_TYPE_RESERVATION, L4_TYPE_CPU, L4_TYPE_THREAD,
};
static uint32_t original[OBJECTS];

static uint32_t name_of(enum object o, uint32_t rights)
{
    return BASE + 16u * (uint32_t)o + rights;
}

static void make_objects(void)
{
    struct message msg = { 0 };

    peer_start();
    EXPECT_EQ(create(L4_TYPE_TASK, original[O_TASK] = cap_new(), 0, 0), 0);
    original[O_THREAD] = thread_make();
    original[O_ENDPOINT] = endpoint_new();
    original[O_KPAGE] = kpage_new(8, 12);
    EXPECT_EQ(create(L4_TYPE_RESERVATION, original[O_RESERVATION] = cap_new(), 0, 0), 0);
    original[O_CPU] = L4_S0_CPU;
    original[O_IRQ] = L4_S0_IRQ + 7;
    for (unsigned o = 0; o < OBJECTS; o++)
        for (uint32_t rights = 1; rights < 16; rights++) {
            map_item(&msg, 0, L4_CAP_FPAGE(original[o], rights), L4_CAP(name_of((enum object)o, rights)));
            EXPECT_EQ(ipc(L4_CAP(peer.ep), 1, 0, NO_CAP, 0, 0, L4_TS_NEVER, &msg), 0);
        }
    EXPECT_EQ(tcr_write(NO_CAP, L4_TCR_TIMEOUT0, L4_TIMEOUT_ZERO << 16 | L4_TIMEOUT_ZERO), 0);
}

/* ---- the operations: each with capability number `cap`, so that it does not block and can be repeated ---- */

static uint32_t op_send(uint32_t cap) { return send0(cap, L4_TS_TCR16); }
static uint32_t op_send_items(uint32_t cap)
{
    struct message msg = { 0 };

    return ipc(L4_CAP(cap), 1, 0, NO_CAP, 0, 0, L4_TS_TCR16, &msg);
}
static uint32_t op_receive(uint32_t cap) { return ipc(NO_CAP, 0, 0, L4_CAP(cap), 0, 0, L4_TS_TCR16, NULL); }
static uint32_t op_exregs_write(uint32_t cap) { return exregs(L4_XR_SET_USER, L4_CAP(cap), 0, 0, 0, 1, NULL); }
static uint32_t op_exregs_abort(uint32_t cap) { return exregs(1u << L4_XR_ABORT_SHIFT, L4_CAP(cap), 0, 0, 0, 1, NULL); }
static uint32_t op_exregs_halt(uint32_t cap)
{
    return exregs(L4_XR_HALT_GIVEN | L4_XR_HALT, L4_CAP(cap), 0, 0, 0, 1, NULL);
}
static uint32_t op_tcr_read(uint32_t cap)
{
    uint32_t value;

    return tcr_read(L4_CAP(cap), L4_TCR_USER, &value);
}
static uint32_t op_tcr_write(uint32_t cap) { return tcr_write(L4_CAP(cap), L4_TCR_USER, 7); }
static uint32_t op_tcr_exchange(uint32_t cap)
{
    return call5(L4_CAP(cap) | 1u << 4 | L4_SYS_THREAD_CONTROL, L4_TCR_USER << 2 | 3u, 7, 0, 0, NULL);
}
static uint32_t op_bind(uint32_t cap)
{
    uint32_t id = 0x3e0, w0;

    EXPECT_EQ(create(L4_TYPE_THREAD, id, 0, 0), 0);
    w0 = tcr_write(L4_CAP(id), L4_TCR_TASK, L4_CAP(cap));
    (void)flush_cap(id);
    return w0;
}
static uint32_t op_object_resources(uint32_t cap)
{
    uint32_t w0 = call5(L4_CAP(0x3e0) | L4_TYPE_ENDPOINT << 4 | L4_SYS_CREATE, L4_CAP_FPAGE(cap, L4_W), KPAGES, 0, 0, NULL);

    (void)flush_cap(0x3e0);
    return w0;
}
static uint32_t op_space_resources(uint32_t cap)
{
    uint32_t w0;

    /* no space in it for a table: NOMEM is what a right capability gives */
    if (op_object_resources(original[O_KPAGE]))
        EXPECT(false);
    EXPECT_EQ(create_in(original[O_KPAGE], L4_TYPE_ENDPOINT, 0x3e1), 0);
    w0 = call5(L4_CAP(0x54321) | L4_TYPE_ENDPOINT << 4 | L4_SYS_CREATE, KPAGES, L4_CAP_FPAGE(cap, L4_W), 0, 0, NULL);
    (void)flush_cap(0x3e1);
    return w0;
}
static uint32_t op_schedule_read(uint32_t cap)
{
    struct l4_words w;

    return schedule(L4_SCHED_READ, cap, NO_CAP, NO_CAP, 0, 0, 0, &w);
}
static uint32_t op_schedule_set(uint32_t cap)
{
    struct l4_words w;

    return schedule(L4_SCHED_SET, cap, NO_CAP, NO_CAP, 0, 0, 0, &w);
}
static uint32_t op_split_from(uint32_t cap)
{
    struct l4_words w;

    return schedule(L4_SCHED_SPLIT, original[O_RESERVATION], L4_CAP(cap), NO_CAP, 0, 1000, 1000000, &w);
}
static uint32_t op_split_to(uint32_t cap)
{
    struct l4_words w;
    uint32_t w0 = schedule(L4_SCHED_SPLIT, cap, L4_CAP(L4_S0_RESERVATION), NO_CAP, 0, 1000, 1000000, &w);

    if (w0 == 0)
        EXPECT_EQ(schedule(L4_SCHED_MERGE, original[O_RESERVATION], L4_CAP(L4_S0_RESERVATION), NO_CAP, 0, 0, 0, &w), 0);
    return w0;
}
static uint32_t op_merge_to(uint32_t cap)
{
    struct l4_words w;

    return schedule(L4_SCHED_MERGE, original[O_RESERVATION], L4_CAP(cap), NO_CAP, 0, 0, 0, &w);
}
static uint32_t op_associate(uint32_t cap)
{
    struct l4_words w;

    return schedule(L4_SCHED_ASSOCIATE, cap, NO_CAP, L4_CAP(original[O_THREAD]), 0, 0, 0, &w);
}
static uint32_t op_associate_thread(uint32_t cap)
{
    struct l4_words w;

    return schedule(L4_SCHED_ASSOCIATE, original[O_RESERVATION], NO_CAP, L4_CAP(cap), 0, 0, 0, &w);
}
static uint32_t op_dissociate(uint32_t cap)
{
    struct l4_words w;

    return schedule(L4_SCHED_DISSOCIATE, cap, NO_CAP, NO_CAP, 0, 0, 0, &w);
}
static uint32_t op_switch(uint32_t cap) { return call5(L4_CAP(cap) | L4_SYS_THREAD_SWITCH, ~0u, 0, 0, 0, NULL); }
static uint32_t op_cpu_info(uint32_t cap)
{
    return call5(L4_CAP(cap) | L4_CPU_INFO << 4 | L4_SYS_PROCESSOR_CONTROL, 0, 0, 0, 0, NULL);
}
static uint32_t op_cpu_idle(uint32_t cap)
{
    return call5(L4_CAP(cap) | L4_CPU_IDLE << 4 | L4_SYS_PROCESSOR_CONTROL, 0, 0, 0, 0, NULL);
}
static uint32_t op_cpu_stop(uint32_t cap)
{
    return call5(L4_CAP(cap) | L4_CPU_STOP << 4 | L4_SYS_PROCESSOR_CONTROL, 0, 0, 0, 0, NULL);
}

static void check(uint32_t (*op)(uint32_t), uint32_t type, uint32_t need)
{
    make_objects();
    for (unsigned o = 0; o < OBJECTS; o++)
        for (uint32_t rights = 0; rights < 16; rights++) {
            uint32_t w0 = op(name_of((enum object)o, rights));

            guest_expectations++;
            if (!rights ? (w0 & 15u) != L4_CAP || L4_ERR_DETAIL(w0) != L4_D_EMPTY
                : type_of[o] != type ? (w0 & 15u) != L4_CAP || L4_ERR_DETAIL(w0) != L4_D_TYPE
                : (rights & need) != need ? (w0 & 15u) != L4_CAP || L4_ERR_DETAIL(w0) != L4_D_RIGHTS
                                          : (w0 & 15u) == L4_CAP)
                guest_fail("matrix.c", (int)(o * 100 + rights), "object * 100 + rights", w0, need);
        }
}

#define MATRIX(operation, place, wanted, needed, text) \
    CASE(matrix_##operation, place, text) { check(op_##operation, wanted, needed); }

MATRIX(send, "G3 M 3.2.1 I-04", L4_TYPE_ENDPOINT, L4_W, "send: endpoint, w")
MATRIX(send_items, "G3 M 3.2.1 I-04", L4_TYPE_ENDPOINT, L4_W | L4_T, "send with items: endpoint, w and t")
MATRIX(receive, "G3 M 3.2.1 I-04", L4_TYPE_ENDPOINT, L4_R, "receive: endpoint, r")
MATRIX(exregs_write, "G3 M 3.2.2 T-05", L4_TYPE_THREAD, L4_W, "set a register: thread, w")
MATRIX(exregs_abort, "G22 T-05", L4_TYPE_THREAD, L4_W, "abort IPC: thread, w")
MATRIX(exregs_halt, "G22 T-05", L4_TYPE_THREAD, L4_W, "halt: thread, w")
MATRIX(tcr_read, "G3 M 3.2.5 T-05", L4_TYPE_THREAD, L4_R, "read a control register: thread, r")
MATRIX(tcr_write, "G3 M 3.2.5 T-05", L4_TYPE_THREAD, L4_W, "write a control register: thread, w")
MATRIX(tcr_exchange, "G3 M 3.2.5", L4_TYPE_THREAD, L4_R | L4_W, "read and write one: thread, r and w")
MATRIX(bind, "G3 G23", L4_TYPE_TASK, L4_T, "bind: task, t")
MATRIX(object_resources, "G24", L4_TYPE_KPAGE, L4_W, "ObjRes: kernel page, w")
MATRIX(space_resources, "G24", L4_TYPE_KPAGE, L4_W, "SpaceRes: kernel page, w")
MATRIX(schedule_read, "M 2.4.1 G29", L4_TYPE_RESERVATION, L4_R, "read a reservation: r")
MATRIX(schedule_set, "M 2.4.1 G29", L4_TYPE_RESERVATION, L4_W, "set a reservation: w")
MATRIX(split_from, "M 2.4.2 G29", L4_TYPE_RESERVATION, L4_W, "source of a split: reservation, w")
MATRIX(split_to, "M 2.4.2 G29", L4_TYPE_RESERVATION, L4_W, "destination of a split: reservation, w")
MATRIX(merge_to, "G29", L4_TYPE_RESERVATION, L4_W, "destination of a merge: reservation, w")
MATRIX(associate, "M 2.4.1 G29", L4_TYPE_RESERVATION, L4_W, "associate: reservation, w")
MATRIX(associate_thread, "M 2.4.1 G29", L4_TYPE_THREAD, L4_W | L4_T, "be associated: thread, w and t")
MATRIX(dissociate, "M 2.4.1 G29", L4_TYPE_RESERVATION, L4_W, "dissociate: reservation, w")
MATRIX(switch, "G30", L4_TYPE_THREAD, 0, "switch to: thread, no right needed")
MATRIX(cpu_info, "M 2.7.1 G31", L4_TYPE_CPU, L4_R, "ask a processor: r")
MATRIX(cpu_idle, "M 2.7.1 G31", L4_TYPE_CPU, L4_W, "change a processor: w")
MATRIX(cpu_stop, "M 2.7.1 G31", L4_TYPE_CPU, L4_W, "stop a processor: w")

CASE(matrix_exregs_read, "G22 S3 T-05", "reading registers: thread, r gives the values, w alone zeros; neither is a fault")
{
    make_objects();
    EXPECT_EQ(tcr_write(L4_CAP(original[O_THREAD]), L4_TCR_USER, 0x1234), 0);
    for (unsigned o = 0; o < OBJECTS; o++)
        for (uint32_t rights = 0; rights < 16; rights++) {
            struct l4_words w;
            uint32_t w0 = exregs(0, L4_CAP(name_of((enum object)o, rights)), 0, 0, 0, 0, &w);

            if (!rights) {
                EXPECT_ERROR(w0, L4_CAP, L4_D_EMPTY);
            } else if (type_of[o] != L4_TYPE_THREAD) {
                EXPECT_ERROR(w0, L4_CAP, L4_D_TYPE);
            } else if (!(rights & (L4_R | L4_W))) {
                EXPECT_ERROR(w0, L4_CAP, L4_D_RIGHTS);
            } else {
                EXPECT_EQ(w0 & 15u, 0);
                if (o == O_THREAD)
                    EXPECT_EQ(w.w[4], rights & L4_R ? 0x1234 : 0);
                if (!(rights & L4_R))
                    EXPECT_EQ(w.w[0] | w.w[1] | w.w[2] | w.w[3], 0);
            }
        }
}

CASE(matrix_inspect, "G5 I-17", "identity: the first capability needs x, and both must be the same object; nothing else is told")
{
    struct l4_words w;

    make_objects();
    for (unsigned o = 0; o < OBJECTS; o++)
        for (unsigned other = 0; other < OBJECTS; other++)
            for (uint32_t rights = 0; rights < 16; rights++) {
                EXPECT_EQ(inspect(L4_INSPECT_IDENTITY, name_of((enum object)o, rights), original[other], &w), 0);
                EXPECT_EQ(w.w[1], o == other && (rights & L4_X));
            }
}

CASE(matrix_read_badge, "G5 I-17", "read_badge: as identity, and only of endpoints; else DENIED and zeros")
{
    struct l4_words w;

    make_objects();
    for (unsigned o = 0; o < OBJECTS; o++)
        for (uint32_t rights = 0; rights < 16; rights++) {
            uint32_t w0 = inspect(L4_INSPECT_BADGE, name_of((enum object)o, rights), original[o], &w);

            EXPECT_EQ(w0 & 15u, o == O_ENDPOINT && (rights & L4_X) ? 0 : L4_DENIED);
            EXPECT_EQ(w.w[1] | w.w[2], 0);
        }
}

CASE(matrix_map, "M 2.1.1 CAP-3", "mapping each set of rights out of each set gives exactly what both have")
{
    struct message msg = { 0 };

    make_objects();
    for (uint32_t have = 1; have < 16; have++)
        for (uint32_t ask = 0; ask < 16; ask++) {
            map_item(&msg, 0, L4_CAP_FPAGE(name_of(O_ENDPOINT, have), ask), 0x3e0000);
            EXPECT_EQ(give(&msg, 1, 0) & 15u, have & ask ? 0 : L4_MAP);
            EXPECT_EQ(peer.msg.m[0], have & ask ? L4_CAP_FPAGE(0x3e0, have & ask) : 0);
            (void)flush_cap(0x3e0);
        }
}

/* ---- memory and ports: by access ---- */

static volatile uint32_t access_address, access_done;

static void access_read(void) { (void)*word_at(access_address); access_done = 1; }
static void access_write(void) { *word_at(access_address) = 1; access_done = 1; }
static void access_fetch(void) { ((void (*)(void))(uintptr_t)access_address)(); access_done = 1; }

CASE(matrix_memory, "G3 G18", "reading needs r, writing r and w, fetching r, converting t: for each of the 16 sets")
{
    static void (*const access[])(void) = { access_read, access_write, access_fetch };
    static const uint32_t need[] = { L4_R, L4_R | L4_W, L4_R };
    struct message msg = { 0 };
    struct victim v;
    uint32_t kp;

    peer_start();
    kp = kpage_new(32, 13);
    EXPECT_EQ(tcr_write(L4_CAP(peer.thread), L4_TCR_RCVRES, L4_CAP_FPAGE(kp, L4_W)), 0);
    victim_start(&v, thread_stop);
    settle();
    *(volatile uint8_t *)(uintptr_t)page(20) = 0xc3; /* ret */
    for (uint32_t rights = 1; rights < 16; rights++) {
        access_address = 0x80000000u + rights * 4096;
        EXPECT_EQ(give_map(L4_FPAGE(page(20), L4_SPACE_MEM, 12, rights), access_address), 0);
        for (unsigned i = 0; i < 3; i++) {
            *(volatile uint8_t *)(uintptr_t)page(20) = 0xc3;
            access_done = 0;
            victim_jump(&v, access[i]);
            settle();
            EXPECT_EQ(access_done, (rights & need[i]) == need[i]);
            if (!access_done) {
                EXPECT_EQ(victim_message(&v, &msg), 4u << 4);
                EXPECT_EQ(msg.m[0] >> 8 & 15u, L4_D_RIGHTS);
                EXPECT_EQ(msg.m[0] & 15u, need[i]);
            }
        }
        EXPECT_EQ(create(L4_TYPE_KPAGE, 0x3e0, L4_FPAGE(access_address, L4_SPACE_MEM, 12, L4_T), 0) & 15u,
                  rights & L4_T ? 0 : L4_CAP);
        (void)flush_cap(0x3e0);
    }
}

CASE(matrix_io, "G3 G54", "a port needs r and w, for in and for out: each set of rights")
{
    static const uint8_t in[] = { 0xe4, 0x71, 0xcc };
    struct message msg = { 0 };
    struct victim v;

    victim_code(in, sizeof in);
    victim_start_in_task(&v, regs_then_target);
    EXPECT_EQ(victim_message(&v, &msg), 4u << 4);
    EXPECT_EQ(msg.m[0] >> 8 & 15u, L4_D_EMPTY);
    for (uint32_t rights = 1; rights < 4; rights++) {
        uint32_t bits = rights << 1; /* w, r, both */

        map_item(&msg, 0, L4_FPAGE(0x71u << 12, L4_SPACE_IO, 12, bits), 0);
        EXPECT_EQ(victim_answer(&v, &msg, 1, 0), 0);
        EXPECT_EQ(victim_message(&v, &msg), bits == 6 ? 13u << 4 : 4u << 4);
        if (bits != 6)
            EXPECT_EQ(msg.m[0] >> 8 & 15u, L4_D_RIGHTS);
        EXPECT_EQ(unmap1(L4_FPAGE(0x71u << 12, L4_SPACE_IO, 12, 15)) & 15u, 0);
        victim_jump(&v, regs_then_target);
        EXPECT_EQ(victim_message(&v, &msg), 4u << 4);
    }
}
