// SPDX-License-Identifier: MIT
/* The tools of the cases: see kit.h. */
#include "tests/guest/kit.h"

#define SUPER 0x400000u

struct peer peer;
void (*volatile victim_target)(void);

#define SETTLE_US 100u

void settle(void)
{
    for (unsigned i = 0; i < 6; i++)
        yield_to_others();
    sleep_us(SETTLE_US); /* a helper whose budget is spent only runs when nobody else does */
}

/* Nobody sends on this number. */
#define SLEEP_EP 0x3f0u

void sleep_us(uint32_t us)
{
    uint32_t exponent = 0;

    if (create(L4_TYPE_ENDPOINT, SLEEP_EP, 0, 0) & 15u)
        EXPECT(!"endpoint to sleep on");
    while (us >> exponent > 1023)
        exponent++;
    (void)tcr_write(NO_CAP, L4_TCR_TIMEOUT1, L4_TIMEOUT(exponent, us >> exponent));
    (void)ipc(NO_CAP, 0, 0, L4_CAP(SLEEP_EP), 0, 0, L4_TS_TCR17, NULL);
    (void)flush_cap(SLEEP_EP);
}

uint32_t min32(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

uint32_t kpage_new(unsigned n, unsigned order)
{
    uint32_t id = cap_new();

    EXPECT_EQ(create(L4_TYPE_KPAGE, id, L4_FPAGE(page(n), L4_SPACE_MEM, order, L4_T), 0), 0);
    return id;
}

uint32_t kpage_far(unsigned n, unsigned order)
{
    uint32_t id = cap_new();

    EXPECT_EQ(create(L4_TYPE_KPAGE, id, L4_FPAGE(0x00c00000u + n * 4096u, L4_SPACE_MEM, order, L4_T), 0), 0);
    return id;
}

static bool block_is_free(uint32_t start)
{
    const struct l4_mem_desc *d = l4_boot_memory(guest_boot);
    bool ram = false;

    for (uint32_t i = 0; i < guest_boot->mem_count; i++) {
        if (d[i].start <= start && d[i].end >= start + SUPER && d[i].type == L4_MEM_RAM)
            ram = true;
        else if (d[i].type != L4_MEM_RAM && d[i].start < start + SUPER && d[i].end > start)
            return false;
    }
    return ram;
}

uint32_t ram_block(unsigned n)
{
    uint32_t at = ((uint32_t)(uintptr_t)user_image_end + SUPER - 1u) & ~(SUPER - 1u);

    for (;; at += SUPER) {
        if (at >= 0x10000000u) {
            EXPECT(!"a free block of RAM");
            return 0;
        }
        if (block_is_free(at) && n-- == 0)
            return at;
    }
}

uint32_t kpage_of_ram(unsigned n, unsigned order)
{
    uint32_t id = cap_new();

    EXPECT_EQ(create(L4_TYPE_KPAGE, id, L4_FPAGE(ram_block(n), L4_SPACE_MEM, order, L4_T), 0), 0);
    return id;
}

uint32_t create_in(uint32_t kp, uint32_t type, uint32_t id)
{
    return call5(L4_CAP(id) | type << 4 | L4_SYS_CREATE, L4_CAP_FPAGE(kp, L4_W), L4_CAP_FPAGE(kp, L4_W), 0, 0, NULL);
}

/* ---- peer ---- */

static void peer_loop(void)
{
    for (;;) {
        peer.w0 = ipc(NO_CAP, 0, 0, L4_CAP(peer.ep), peer.rt, peer.rc, L4_TS_NEVER, &peer.msg);
        peer.count++;
        if (peer.after)
            peer.after();
    }
}

static void peer_prepare(void)
{
    peer.ep = endpoint_new();
    peer.rt = 3;
    peer.rc = 63;
    peer.w0 = peer.count = 0;
    peer.after = NULL;
}

static void peer_windows(void)
{
    EXPECT_EQ(tcr_write(L4_CAP(peer.thread), L4_TCR_WINDOW, L4_ALL_MEM), 0);
    EXPECT_EQ(tcr_write(L4_CAP(peer.thread), L4_TCR_WINDOW + 1, L4_ALL_CAP), 0);
    EXPECT_EQ(tcr_write(L4_CAP(peer.thread), L4_TCR_WINDOW + 2, L4_ALL_IO | 15u), 0);
    settle();
}

void peer_start(void)
{
    peer_prepare();
    peer.thread = thread_start(peer_loop, 255);
    EXPECT_EQ(tcr_write(L4_CAP(peer.thread), L4_TCR_RCVRES, 0), 0);
    peer_windows();
}

void peer_start_in_task(void)
{
    peer_prepare();
    peer.thread = child_start(peer_loop, 255, peer.ep & ~15u, 4);
    peer_windows();
}

uint32_t give(struct message *msg, unsigned st, unsigned sc)
{
    uint32_t w0;

    EXPECT_EQ(tcr_write(NO_CAP, L4_TCR_TIMEOUT0, L4_TIMEOUT(10, 50) << 16), 0);
    w0 = ipc(L4_CAP(peer.ep), st, sc, NO_CAP, 0, 0, L4_TS_TCR16, msg);
    settle();
    return w0;
}

uint32_t give_map(uint32_t fpage, uint32_t hot_spot)
{
    struct message msg = { 0 };

    map_item(&msg, 0, fpage, hot_spot);
    return give(&msg, 1, 0);
}

uint32_t alias_cap(uint32_t cap, uint32_t rights)
{
    uint32_t name = cap_new();

    EXPECT_EQ(give_map(L4_CAP_FPAGE(cap, rights), L4_CAP(name)), 0);
    return name;
}

uint32_t table_item(struct message *msg, unsigned at, uint32_t res, uint32_t space, uint32_t name, unsigned size)
{
    msg->m[at] = res;
    msg->m[at + 1] = L4_FPAGE(name, space, size, L4_ITEM_TABRES);
    return at + 2;
}

uint32_t badge_item(struct message *msg, unsigned at, uint32_t value, unsigned bits)
{
    msg->m[at] = value;
    msg->m[at + 1] = (uint32_t)bits << 4 | L4_ITEM_BADGE;
    return at + 2;
}

uint32_t resource_item(struct message *msg, unsigned at, uint32_t res)
{
    msg->m[at] = res;
    msg->m[at + 1] = L4_ITEM_MAPRES;
    return at + 2;
}

/* What MAP says about one item: the receiver's flexpage and count. */
void expect_mapped(uint32_t at, uint32_t fpage, uint32_t count)
{
    EXPECT_EQ(peer.msg.m[at], fpage);
    EXPECT_EQ(peer.msg.m[at + 1], count << 12 | L4_ITEM_MAP);
}

/* ---- victim ---- */

/* Its faults must find their way from its first instruction on. */
static uint32_t victim_fault, victim_reply;
static void (*victim_prepare)(uint32_t id);

static void victim_handlers(uint32_t id)
{
    EXPECT_EQ(tcr_write(L4_CAP(id), L4_TCR_FAULT_SND, L4_CAP(victim_fault)), 0);
    EXPECT_EQ(tcr_write(L4_CAP(id), L4_TCR_FAULT_RCV, L4_CAP(victim_reply)), 0);
    if (victim_prepare)
        victim_prepare(id);
}

static void victim_endpoints(struct victim *v)
{
    victim_fault = v->fault = endpoint_new();
    victim_reply = v->reply = endpoint_new();
}

void victim_start_after(struct victim *v, void (*prepare)(uint32_t id), void (*fn)(void))
{
    victim_endpoints(v);
    victim_prepare = prepare;
    v->task = L4_S0_TASK;
    v->thread = thread_start_after(victim_handlers, fn, 255);
    victim_prepare = NULL;
}

void victim_start(struct victim *v, void (*fn)(void))
{
    victim_start_after(v, NULL, fn);
}

void victim_start_in_task(struct victim *v, void (*fn)(void))
{
    victim_endpoints(v);
    v->thread = child_start_after(victim_handlers, fn, 255, v->fault & ~15u, 5);
    v->task = v->thread + 2;
}

uint32_t victim_message(const struct victim *v, struct message *msg)
{
    EXPECT_EQ(tcr_write(NO_CAP, L4_TCR_TIMEOUT1, L4_TIMEOUT(10, 50)), 0);
    return ipc(NO_CAP, 0, 0, L4_CAP(v->fault), 0, 63, L4_TS_TCR17, msg);
}

uint32_t victim_answer(const struct victim *v, struct message *msg, unsigned st, unsigned sc)
{
    EXPECT_EQ(tcr_write(NO_CAP, L4_TCR_TIMEOUT0, L4_TIMEOUT(10, 50) << 16), 0);
    return ipc(L4_CAP(v->reply), st, sc, NO_CAP, 0, 0, L4_TS_TCR16, msg);
}

void victim_jump(const struct victim *v, void (*fn)(void))
{
    static uint32_t stacks[8][512];
    uint32_t *top = &stacks[v->thread % 8u][500];

    *top = address_of(thread_stop); /* where fn returns to */
    EXPECT_EQ(exregs(L4_XR_SET_IP | L4_XR_SET_SP | L4_XR_SET_FLAGS | L4_XR_HALT_GIVEN | 1u << L4_XR_ABORT_SHIFT,
                     L4_CAP(v->thread), address_of(fn), (uint32_t)(uintptr_t)top, 0, 0, NULL) & 15u, 0);
}

void victim_code(const uint8_t *bytes, unsigned size)
{
    uint8_t *at = (uint8_t *)(uintptr_t)page(CODE_PAGE);
    static const uint8_t loop[] = { 0xeb, 0xfe };

    memcpy(at, bytes, size);
    memcpy(at + size, loop, sizeof loop);
    victim_target = (void (*)(void))(uintptr_t)page(CODE_PAGE);
}

__asm__(".text\n"
        ".globl regs_then_target\n"
        "regs_then_target:\n"
        "\tmovl $0x11111111, %eax\n"
        "\tmovl $0x22222222, %ebx\n"
        "\tmovl $0x33333333, %ecx\n"
        "\tmovl $0x44444444, %edx\n"
        "\tmovl $0x55555555, %esi\n"
        "\tmovl $0x66666666, %edi\n"
        "\tmovl $0x77777777, %ebp\n"
        "\tjmp *victim_target\n");

/* A thread with no time of its own in a new task with a startup endpoint; +1 task, +2 endpoint. */
uint32_t startup_waiter(void)
{
    uint32_t id = cap_new(), task = cap_new(), ep = cap_new();

    EXPECT_EQ(create(L4_TYPE_ENDPOINT, ep, 0, 0), 0);
    EXPECT_EQ(create(L4_TYPE_TASK, task, L4_CAP_FPAGE(ep, L4_R), L4_CAP_FPAGE(0, L4_R)), 0);
    EXPECT_EQ(create(L4_TYPE_THREAD, id, 0, 0), 0);
    EXPECT_EQ(tcr_write(L4_CAP(id), L4_TCR_TASK, L4_CAP(task)), 0);
    return id;
}

static const uint32_t patterns[M_COUNT] = {
    [M_EDI] = REG_EDI, [M_ESI] = REG_ESI, [M_EBP] = REG_EBP, [M_EBX] = REG_EBX, [M_EDX] = REG_EDX,
    [M_ECX] = REG_ECX, [M_EAX] = REG_EAX,
};

/* One exception: the message, the place of the instruction and all registers; except: one that the code changed. */
void expect_exception(const struct victim *v, struct message *msg, uint32_t vector, uint32_t error,
                             uint32_t offset, unsigned except)
{
    EXPECT_EQ(victim_message(v, msg), 13u << 4);
    EXPECT_EQ(msg->m[M_VECTOR], L4_PROTO_EXCEPTION << 24 | vector);
    EXPECT_EQ(msg->m[M_ERROR], error);
    EXPECT_EQ(msg->m[M_EIP], page(CODE_PAGE) + offset);
    for (unsigned i = M_EDI; i < M_COUNT; i++)
        if (patterns[i] && i != except)
            EXPECT_EQ(msg->m[i], patterns[i]);
    EXPECT_EQ(msg->m[M_EFLAGS] & ~(L4_USER_EFLAGS | 0x202u), 0);
    EXPECT_EQ(msg->m[M_EFLAGS] & 0x202u, 0x202u);
}

void start_code(struct victim *v)
{
    victim_start(v, regs_then_target);
}

/* ---- questions ---- */

uint32_t status_of(uint32_t thread)
{
    struct l4_words w;

    EXPECT_EQ(exregs(0, L4_CAP(thread), 0, 0, 0, 0, &w) & 15u, 0);
    return w.w[0] & 0xf0u;
}

uint32_t schedule(uint32_t ops, uint32_t res, uint32_t src, uint32_t thread, uint32_t w3, uint32_t budget,
                  uint32_t period, struct l4_words *w)
{
    w->w[0] = L4_CAP(res) | ops | L4_SYS_SCHEDULE;
    w->w[1] = src;
    w->w[2] = thread;
    w->w[3] = w3;
    w->w[4] = budget;
    w->w[5] = period;
    return guest_call(w);
}

uint32_t clock_us(void)
{
    struct l4_words w;

    call5(L4_DEBUG_CLOCK << 4 | L4_SYS_DEBUG, 0, 0, 0, 0, &w);
    return w.w[1] / (w.w[3] < 1000u ? 1u : w.w[3] / 1000u); /* for differences of a few seconds */
}

uint32_t inspect(uint32_t op, uint32_t c1, uint32_t c2, struct l4_words *out)
{
    return call5(L4_CAP(c1) | op << 4 | L4_SYS_CAP_INSPECT, L4_CAP(c2), 0, 0, 0, out);
}

uint32_t cpu_features(void)
{
    struct l4_words w;

    (void)call5(L4_CAP(L4_S0_CPU) | L4_CPU_INFO << 4 | L4_SYS_PROCESSOR_CONTROL, 0, 0, 0, 0, &w);
    return w.w[4];
}

/* ---- the keyboard controller ---- */

#define KEY_COMMAND 0x64u /* read: status */
#define KEY_FULL    1u    /* status: a byte for us */
#define KEY_BUSY    2u    /* status: our last byte is not taken yet */
#define KEY_READ_MODE  0x20u
#define KEY_WRITE_MODE 0x60u
#define KEY_PRESS      0xd2u /* the next data byte comes back as if from the keyboard */
#define KEY_INTERRUPTS 1u    /* mode */

/* It has taken our last byte. */
static void key_ready(void)
{
    for (unsigned i = 0; i < 100000 && (l4_inb(KEY_COMMAND) & KEY_BUSY); i++)
        ;
}

static void key_command(uint8_t command)
{
    key_ready();
    l4_outb(KEY_COMMAND, command);
    key_ready();
}

void key_taken(void)
{
    for (unsigned i = 0; i < 16 && (l4_inb(KEY_COMMAND) & KEY_FULL); i++)
        (void)l4_inb(KEY_DATA);
}

void key_interrupts(bool on)
{
    uint8_t mode;

    key_taken();
    key_command(KEY_READ_MODE);
    for (unsigned i = 0; i < 100000 && !(l4_inb(KEY_COMMAND) & KEY_FULL); i++)
        ;
    mode = l4_inb(KEY_DATA);
    key_command(KEY_WRITE_MODE);
    l4_outb(KEY_DATA, (uint8_t)(on ? mode | KEY_INTERRUPTS : mode & ~KEY_INTERRUPTS));
}

void key_prepare(void)
{
    key_taken();
    key_command(KEY_PRESS);
}

void key_press(void)
{
    key_prepare();
    l4_outb(KEY_DATA, KEY_CODE);
}
