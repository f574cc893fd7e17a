// SPDX-License-Identifier: MIT
/*
 * sigma0: the first program.  It owns all memory, ports and interrupts, starts two tasks that play
 * ping-pong and a pager that gives them memory on demand, and then waits.  [M 2.7.2]
 *
 * Arguments (module string behind the file name):
 *   demo      the above (what happens without arguments)
 *   quiet     start nothing, print nothing
 *   rounds=N  how often the ball goes back and forth (default 3)
 *   exit=N    end QEMU with this exit code instead of waiting
 */
#include <l4sec/l4sec.h>

#define KPAGES L4_FPAGE(L4_CAP(L4_S0_KPAGE), L4_SPACE_CAP, 14u, L4_W) /* the initial two, and MORE_KPAGE */
#define OWN_TASK L4_CAP(L4_S0_TASK)
#define KPAGE_BITS 18u /* within one 4 MB page; without those, one page */

/* Capability numbers in sigma0. */
enum {
    MORE_KPAGE = L4_S0_KPAGE + 2,
    EP_BALL = L4_S0_FREE, EP_BACK, EP_DONE, EP_FAULT, EP_REPLY,
    CHILD_PING = L4_S0_FREE + 0x10, CHILD_PONG = L4_S0_FREE + 0x18, CHILD_PAGER = L4_S0_FREE + 0x20,
};
/* And in the players' tasks. */
enum { MY_BALL = 1, MY_BACK, MY_DONE, MY_FAULT, MY_REPLY };

#define HEAP 0x20000000u /* nothing is there until the pager maps it */
#define PLAYER_PRIO 100u
#define PAGER_PRIO  120u

static uint8_t ping_stack[4096] __attribute__((aligned(4096)));
static uint8_t pong_stack[4096] __attribute__((aligned(4096)));
static uint8_t pager_stack[4096] __attribute__((aligned(4096)));
static uint8_t heap_pages[2][4096] __attribute__((aligned(4096)));

/* ---- the players: code in tasks of their own ---- */

static void ping(uint32_t rounds)
{
    uint32_t ball[1], round;

    for (round = 1; round <= rounds; round++) {
        ball[0] = round;
        l4_printf("ping: ball %u goes to pong\n", round);
        l4_must(l4_ipc_call(L4_CAP(MY_BALL), L4_CAP(MY_BACK), ball, 1, 1), "ping's call");
        l4_printf("ping: got %u back\n", ball[0]);
    }
    ball[0] = rounds;
    l4_must(l4_ipc_send(L4_CAP(MY_DONE), ball, 1), "ping's report");
    (void)l4_ipc_recv(L4_CAP(MY_BACK), ball, 1, NULL, NULL);
    l4_wait_forever();
}

static void pong(uint32_t unused)
{
    volatile uint32_t *score = (volatile uint32_t *)HEAP;
    uint32_t ball[1] = { 0 };

    (void)unused;
    l4_must(l4_ipc_recv(L4_CAP(MY_BALL), ball, 1, NULL, NULL), "pong's receive");
    for (;;) {
        *score += ball[0]; /* the first time, this page comes from the pager */
        l4_printf("pong: ball %u, the sum is %u\n", ball[0], *score);
        ball[0] += 100;
        l4_must(l4_ipc_call(L4_CAP(MY_BACK), L4_CAP(MY_BALL), ball, 1, 1), "pong's call");
    }
}

/* ---- the pager: a second thread of sigma0 ---- */

static void pager(uint32_t unused)
{
    uint32_t send = L4_NOTHING, result;
    struct l4_words words;
    unsigned items = 0, used = 0;

    (void)unused;
    for (;;) {
        uint32_t m0, name;

        result = l4_ipc(&words, send, items, send == L4_NOTHING ? 0 : 1, L4_CAP(EP_FAULT), 0, 4, L4_TS_NEVER);
        if (L4_ERR_BASE(result) != L4_OK)
            l4_printf("pager: %s (%s)\n", l4_error_text(result), l4_detail_text(result));
        m0 = words.w[2];
        name = words.w[3];
        if ((m0 >> 24) == L4_PROTO_FAULT && (name & 0xfffff000u) == HEAP && used < 2) {
            l4_printf("pager: access to 0x%x at 0x%x: a fresh page\n", name, words.w[4]);
            l4_item_tables(&words, 1, 0, KPAGES, L4_SPACE_MEM, HEAP, 22);
            l4_item_map(&words, 1, 1, L4_FPAGE((uintptr_t)heap_pages[used++], L4_SPACE_MEM, 12, L4_R | L4_W), HEAP);
            words.w[2] = L4_REPLY_RETRY;
            send = L4_CAP(EP_REPLY);
            items = 2;
        } else {
            /* Without an answer the thread stays where it is, for the debugger to look at. */
            l4_printf("pager: message 0x%x about 0x%x at 0x%x: no answer\n", m0, name, words.w[4]);
            send = L4_NOTHING;
            items = 0;
        }
    }
}

/* ---- setting up ---- */

static void name_objects(void)
{
    static const struct { uint32_t id; const char *name; } names[] = {
        { L4_S0_TASK, "sigma0" }, { L4_S0_THREAD, "sigma0" }, { L4_S0_RESERVATION, "sigma0" },
        { EP_BALL, "ball" }, { EP_BACK, "back" }, { EP_DONE, "done" }, { EP_FAULT, "fault" },
        { EP_REPLY, "reply" }, { CHILD_PING, "ping" }, { CHILD_PING + 1, "ping" }, { CHILD_PING + 2, "ping" },
        { CHILD_PING + 3, "ping.start" }, { CHILD_PONG, "pong" }, { CHILD_PONG + 1, "pong" },
        { CHILD_PONG + 2, "pong" }, { CHILD_PONG + 3, "pong.start" }, { CHILD_PAGER + 1, "pager" },
        { CHILD_PAGER + 2, "pager" }, { MORE_KPAGE, "more" },
    };
    unsigned i;

    for (i = 0; i < sizeof names / sizeof *names; i++)
        (void)l4_debug_name(names[i].id, names[i].name);
}

/* The highest free, aligned piece of RAM that can be converted in one go; 0 if there is none. */
static uint32_t find_memory(const struct l4_bootinfo *boot, uint32_t bits)
{
    const struct l4_mem_desc *d = l4_boot_memory(boot);
    uint32_t best = 0, size = 1u << bits, i;

    for (i = 0; i < boot->mem_count; i++) {
        uint32_t end = d[i].end < 0x38000000u ? d[i].end : 0x38000000u, at;

        if (d[i].type != L4_MEM_RAM || end < size)
            continue;
        /* Inside a 4 MB page, so that one node covers it: below the last whole one of the piece. */
        end &= ~((1u << 22) - 1u);
        at = end - size;
        if (end > (uintptr_t)user_image_end + size && at >= d[i].start && at > best &&
            (at & ~((1u << 22) - 1u)) >= d[i].start)
            best = at;
    }
    return best;
}

static void describe(const struct l4_bootinfo *boot)
{
    const struct l4_mem_desc *d = l4_boot_memory(boot);
    uint32_t ram = 0, i;

    for (i = 0; i < boot->mem_count; i++)
        if (d[i].type == L4_MEM_RAM || d[i].type == L4_MEM_MODULE)
            ram += (d[i].end - d[i].start) >> 10;
    l4_printf("sigma0: %u KB of memory, %u modules, %s, entry by %s\n", ram, boot->module_count,
              boot->page_sizes & (1u << 22) ? "4 MB pages" : "4 KB pages",
              l4_has_sysenter ? "sysenter" : "int 0x40");
}

static void give_caps(const struct l4_child *c)
{
    static const struct { uint32_t from, to, rights; } caps[] = {
        { EP_BALL, MY_BALL, L4_R | L4_W }, { EP_BACK, MY_BACK, L4_R | L4_W }, { EP_DONE, MY_DONE, L4_W },
        { EP_FAULT, MY_FAULT, L4_W }, { EP_REPLY, MY_REPLY, L4_R },
    };
    unsigned i;

    for (i = 0; i < sizeof caps / sizeof *caps; i++)
        l4_child_map(c, L4_CAP_FPAGE(caps[i].from, caps[i].rights), L4_CAP(caps[i].to));
    l4_must(l4_tcr_write(l4_child_thread(c), L4_TCR_FAULT_SND, L4_CAP(MY_FAULT)), "set fault handler");
    l4_must(l4_tcr_write(l4_child_thread(c), L4_TCR_FAULT_RCV, L4_CAP(MY_REPLY)), "set fault handler");
}

static void demo(const struct l4_bootinfo *boot, uint32_t rounds)
{
    static const struct l4_time player = { L4_CAP(L4_S0_RESERVATION), PLAYER_PRIO, L4_SCHED_SOFT, 1500, 10000 };
    static const struct l4_time server = { L4_CAP(L4_S0_RESERVATION), PAGER_PRIO, L4_SCHED_SOFT, 1500, 10000 };
    struct l4_child ping_task, pong_task, pager_thread;
    uint32_t bits = boot->page_sizes & (1u << 22) ? KPAGE_BITS : 12u;
    uint32_t memory = find_memory(boot, bits), m[1], id;

    describe(boot);
    if (memory) {
        l4_must(l4_convert(MORE_KPAGE, KPAGES, L4_FPAGE(memory, L4_SPACE_MEM, bits, L4_RIGHTS_ALL)), "convert");
        l4_printf("sigma0: %u KB at 0x%x are a kernel page now\n", 1u << (bits - 10u), memory);
    }
    for (id = EP_BALL; id <= EP_REPLY; id++)
        l4_must(l4_create_endpoint(id, KPAGES), "create endpoint");

    l4_local_start(&pager_thread, CHILD_PAGER, KPAGES, OWN_TASK, &server, pager, 0, pager_stack, sizeof pager_stack);
    /* pong first, so that it waits when the ball comes. */
    l4_child_create(&pong_task, CHILD_PONG, KPAGES, &player);
    l4_child_create(&ping_task, CHILD_PING, KPAGES, &player);
    name_objects();
    give_caps(&pong_task);
    give_caps(&ping_task);
    if (l4_console_ports) { /* no debug call to print with: the players write to the serial port themselves */
        l4_child_map(&pong_task, L4_FPAGE(0x3f8u << 12, L4_SPACE_IO, 15, L4_R | L4_W), 0);
        l4_child_map(&ping_task, L4_FPAGE(0x3f8u << 12, L4_SPACE_IO, 15, L4_R | L4_W), 0);
    }
    l4_child_start(&pong_task, pong, 0, pong_stack, sizeof pong_stack);
    l4_child_start(&ping_task, ping, rounds, ping_stack, sizeof ping_stack);
    l4_must(l4_ipc_recv(L4_CAP(EP_DONE), m, 1, NULL, NULL), "wait for ping");
    l4_printf("sigma0: %u rounds played\n", m[0]);
}

int main(const struct l4_bootinfo *boot)
{
    const char *arguments = l4_boot_arguments(boot);
    char value[16];
    uint32_t m[1];

    if (!l4_argument(arguments, "quiet", value, sizeof value))
        demo(boot, l4_number(l4_argument(arguments, "rounds", value, sizeof value), 3));
    if (l4_argument(arguments, "exit", value, sizeof value))
        l4_exit(l4_number(value, 0));
    /* Nobody sends here: wait for ever, and let kdb look around. */
    (void)l4_create_endpoint(L4_S0_FREE + 0x40, KPAGES);
    (void)l4_debug_name(L4_S0_FREE + 0x40, "idle");
    for (;;)
        (void)l4_ipc_recv(L4_CAP(L4_S0_FREE + 0x40), m, 1, NULL, NULL);
}
