// SPDX-License-Identifier: MIT
/*
 * What operations cost, in instructions: run it under -icount shift=0, where a TSC tick is one
 * instruction.  Starts in sigma0's place; prints `bench NAME VALUE instructions` and ends QEMU with
 * code 16.  [M 2.3] [M 2.1.1]
 *
 * Each value is the least of several runs, minus the cost of reading the counter: timer interrupts are
 * not in it, user-level stubs are.  Arguments: only=TEXT runs the groups whose name begins with it;
 * c_path=on names the round trips after the kernel's path in C, which boot option ipc=c makes them take.
 */
#include "user/bench/bench.h"

#define EXIT_DONE 0x10u

/* In the servers' tasks. */
enum { MY_REQUEST = 1, MY_REPLY, MY_FAULT, MY_FAULT_REPLY };

const struct l4_time bench_top = { L4_CAP(L4_S0_RESERVATION), 255, L4_SCHED_SOFT, 1000, 10000 };
const struct l4_time bench_low = { L4_CAP(L4_S0_RESERVATION), 10, L4_SCHED_SOFT, 1000, 10000 };

uint8_t bench_stacks[14][4096] __attribute__((aligned(4096)));
uint32_t pages, bench_most = 65536;
static uint32_t overhead, big_memory[BIG_MEMORY];
static const char *only = "";
static bool c_path;

uint32_t bench_big_memory(unsigned i)
{
    return big_memory[i];
}

/* ---- measuring ---- */

uint32_t best;

void note(uint32_t ticks)
{
    if (ticks < best)
        best = ticks;
}

uint32_t measured(void)
{
    return best > overhead ? best - overhead : 0;
}

void print_value(const char *name, uint32_t value)
{
    l4_printf("bench %s %u instructions\n", name, value);
}

void report(const char *name, unsigned n, bool numbered)
{
    if (numbered)
        l4_printf("bench %s.%u %u instructions\n", name, n, measured());
    else
        print_value(name, measured());
}

void report_scaled(const char *group, unsigned n, const char *what, uint32_t value)
{
    l4_printf("bench %s.%u.%s %u instructions\n", group, n, what, value);
}

static bool chosen(const char *group)
{
    return l4_strncmp(group, only, l4_strlen(only)) == 0;
}

/* ---- the other sides ---- */

/* Up to three words, in registers. */
static void fast_server(uint32_t unused)
{
    uint32_t m[3] = { 0, 0, 0 }, w1 = L4_IPC_W1(L4_CAP(MY_REQUEST), 0, 3, L4_TS_NEVER), w0;

    (void)unused;
    w0 = l4_ipc_fast(L4_IPC_W0(L4_NOTHING, 0, 0), w1, m);
    for (;;)
        w0 = l4_ipc_fast(L4_IPC_W0(L4_CAP(MY_REPLY), 0, l4_ipc_words(w0)), w1, m);
}

/* Any number of words: what came goes back. */
static void words_server(uint32_t unused)
{
    struct l4_words words;
    uint32_t w0 = l4_ipc(&words, L4_NOTHING, 0, 0, L4_CAP(MY_REQUEST), 0, 63, L4_TS_NEVER);

    (void)unused;
    for (;;)
        w0 = l4_ipc(&words, L4_CAP(MY_REPLY), 0, l4_ipc_words(w0), L4_CAP(MY_REQUEST), 0, 63, L4_TS_NEVER);
}

void mapper(uint32_t ep)
{
    struct l4_words words;

    (void)l4_tcr_write(L4_NOTHING, L4_TCR_WINDOW, L4_ALL_MEM);
    (void)l4_tcr_write(L4_NOTHING, L4_TCR_WINDOW + L4_SPACE_CAP, L4_ALL_CAP);
    (void)l4_tcr_write(L4_NOTHING, L4_TCR_WINDOW + L4_SPACE_IO, L4_ALL_IO);
    for (;;)
        (void)l4_ipc(&words, L4_NOTHING, 0, 0, L4_CAP(ep), L4_ITEMS_MAX, 63, L4_TS_NEVER);
}

/* Two words, or one item that maps memory; the answer is empty. */
static void taker(uint32_t unused)
{
    struct l4_words words;
    uint32_t m[3] = { 0, 0, 0 }, w1 = L4_IPC_W1(L4_CAP(MY_REQUEST), 1, 2, L4_TS_NEVER);

    (void)unused;
    (void)l4_tcr_write(L4_NOTHING, L4_TCR_WINDOW, L4_ALL_MEM);
    if (!l4_has_sysenter) {
        (void)l4_ipc(&words, L4_NOTHING, 0, 0, L4_CAP(MY_REQUEST), 1, 2, L4_TS_NEVER);
        for (;;)
            (void)l4_ipc(&words, L4_CAP(MY_REPLY), 0, 0, L4_CAP(MY_REQUEST), 1, 2, L4_TS_NEVER);
    }
    (void)l4_ipc_fast(L4_IPC_W0(L4_NOTHING, 0, 0), w1, m);
    for (;;)
        (void)l4_ipc_fast(L4_IPC_W0(L4_CAP(MY_REPLY), 0, 0), w1, m);
}

/* Words and the item fit into registers; it has no use for the fourth word of a fault message. */
static void register_pager(void)
{
    uint32_t m[3] = { 0, 0, 0 }, w1 = L4_IPC_W1(L4_CAP(EP_FAULT), 0, 3, L4_TS_NEVER);

    (void)l4_ipc_fast(L4_IPC_W0(L4_NOTHING, 0, 0), w1, m);
    for (;;) {
        m[2] = (m[1] & 0xfffff000u) | L4_ITEM_MAP;
        m[0] = L4_REPLY_RETRY;
        m[1] = page(pages);
        (void)l4_ipc_fast(L4_IPC_W0(L4_CAP(EP_FAULT_REPLY), 1, 1), w1, m);
    }
}

static void pager(uint32_t unused)
{
    struct l4_words words;

    (void)unused;
    if (l4_has_sysenter)
        register_pager();
    (void)l4_ipc(&words, L4_NOTHING, 0, 0, L4_CAP(EP_FAULT), 0, 4, L4_TS_NEVER);
    for (;;) {
        words.w[2] = L4_REPLY_RETRY;
        l4_item_map(&words, 1, 0, page(pages), words.w[3]);
        (void)l4_ipc(&words, L4_CAP(EP_FAULT_REPLY), 1, 1, L4_CAP(EP_FAULT), 0, 4, L4_TS_NEVER);
    }
}

/* Touches a page that is not there, and tells how long it took. */
static void faulter(uint32_t address)
{
    uint32_t m[1];

    for (;;) {
        uint64_t begin = l4_rdtsc();

        (void)*(volatile uint32_t *)address;
        m[0] = (uint32_t)(l4_rdtsc() - begin);
        (void)l4_ipc_call(L4_CAP(MY_REPLY), L4_CAP(MY_REQUEST), m, 1, 1);
    }
}

void yielder(uint32_t unused)
{
    (void)unused;
    for (;;)
        (void)l4_switch(L4_NOTHING, 0, 0);
}

static void sleeper(uint32_t unused)
{
    uint32_t m[1];

    (void)unused;
    for (;;)
        (void)l4_ipc_recv(L4_CAP(EP_WAKE), m, 1, NULL, NULL);
}

/* ---- groups ---- */

static void give(const struct l4_child *c, uint32_t request, uint32_t reply)
{
    l4_child_map(c, L4_CAP_FPAGE(request, L4_R), L4_CAP(MY_REQUEST));
    l4_child_map(c, L4_CAP_FPAGE(reply, L4_W), L4_CAP(MY_REPLY));
}

static void server(struct l4_child *c, uint32_t base, uint32_t request, uint32_t reply, void (*fn)(uint32_t),
                   void *stack)
{
    l4_child_create(c, base, KPAGES, &bench_top);
    give(c, request, reply);
    l4_child_start(c, fn, 0, stack, 4096);
    /* Let it come to its receive. */
    (void)l4_switch(L4_NOTHING, 0, 0);
    (void)l4_switch(L4_NOTHING, 0, 0);
}

static void group_null(void)
{
    struct l4_words words;

    words.w[0] = 15; /* no such call */
    if (l4_has_sysenter) {
        MEASURE(SAMPLES, words.w[0] = 15; l4_call_sysenter(&words));
        report("null.sysenter", 0, false);
    }
    MEASURE(SAMPLES, words.w[0] = 15; l4_call_int(&words));
    report("null.int", 0, false);
}

static void group_ipc(void)
{
    static const uint8_t sizes[] = { 0, 1, 2, 3, 4, 8, 16, 32, 63 };
    struct l4_child fast, slow;
    struct l4_words words;
    uint32_t m[3] = { 1, 2, 3 };
    unsigned i;

    if (l4_has_sysenter) {
        server(&fast, FAST, EP_FAST, EP_FAST_REPLY, fast_server, bench_stacks[0]);
        for (i = 0; i <= 3; i++) {
            uint32_t w0 = L4_IPC_W0(L4_CAP(EP_FAST), 0, i), w1 = L4_IPC_W1(L4_CAP(EP_FAST_REPLY), 0, 3, L4_TS_NEVER);
            uint32_t result = 0;

            MEASURE(SAMPLES, result = l4_ipc_fast(w0, w1, m));
            l4_must(result, "round trip");
            report(c_path ? "ipc.c_path" : "ipc.roundtrip", i, true);
        }
    }
    if (c_path)
        return;
    server(&slow, WORDS, EP_WORDS, EP_WORDS_REPLY, words_server, bench_stacks[1]);
    for (i = 0; i < sizeof sizes; i++) {
        uint32_t result = 0;

        if (l4_has_sysenter && sizes[i] <= 3)
            continue;
        MEASURE(SAMPLES, result = l4_ipc(&words, L4_CAP(EP_WORDS), 0, sizes[i], L4_CAP(EP_WORDS_REPLY), 0, 63,
                                         L4_TS_NEVER));
        l4_must(result, "round trip");
        report("ipc.roundtrip", sizes[i], true);
    }
    if (!l4_has_sysenter)
        return;
    l4_call = l4_call_int; /* the server's, too: it is the same memory */
    for (i = 0; i < 5; i++) {
        MEASURE(SAMPLES, (void)l4_ipc(&words, L4_CAP(EP_WORDS), 0, sizes[i], L4_CAP(EP_WORDS_REPLY), 0, 63, L4_TS_NEVER));
        report("ipc.int", sizes[i], true);
    }
    l4_call = l4_call_sysenter;
}

static uint32_t send_map(uint32_t fpage, uint32_t hot_spot)
{
    struct l4_words words;

    l4_item_map(&words, 0, 0, fpage, hot_spot);
    return l4_ipc(&words, L4_CAP(EP_MAP), 1, 0, L4_NOTHING, 0, 0, L4_TS_NEVER);
}

static void group_map(void)
{
    static const uint8_t orders[] = { 0, 4, 8 };
    struct l4_child receiver;
    uint32_t result = 0;
    unsigned i, n, child;

    l4_local_start(&receiver, MAPPER, KPAGES, OWN_TASK, &bench_top, mapper, EP_MAP, bench_stacks[2], 4096);
    l4_must(send_map(page(pages), WINDOW), "first mapping"); /* makes the page table */

    for (i = 0; i < sizeof orders; i++) {
        uint32_t fpage = L4_FPAGE(pages, L4_SPACE_MEM, 12u + orders[i], L4_R | L4_W), lowest = 0xffffffffu;

        best = 0xffffffffu;
        for (n = 0; n < 8; n++) {
            uint64_t begin, middle, end;

            l4_must(l4_unmap(fpage), "unmap");
            begin = l4_rdtsc();
            result = send_map(fpage, WINDOW);
            middle = l4_rdtsc();
            l4_must(result, "map");
            result = l4_unmap(fpage);
            end = l4_rdtsc();
            l4_must(result, "unmap");
            note((uint32_t)(middle - begin));
            if ((uint32_t)(end - middle) < lowest)
                lowest = (uint32_t)(end - middle);
        }
        report("map.pages", 1u << orders[i], true);
        best = lowest;
        report("unmap.pages", 1u << orders[i], true);
    }
    for (i = 0; i < sizeof orders; i++) {
        best = 0xffffffffu;
        for (n = 0; n < 4; n++) {
            uint64_t begin;

            for (child = 0; child < 1u << orders[i]; child++)
                l4_must(send_map(page(pages), WINDOW + child * 4096u), "map");
            begin = l4_rdtsc();
            l4_must(l4_unmap(page(pages)), "unmap");
            note((uint32_t)(l4_rdtsc() - begin));
        }
        report("unmap.children", 1u << orders[i], true);
    }
    for (i = 0; i < sizeof orders; i++) {
        best = 0xffffffffu;
        for (n = 0; n < 4; n++) {
            uint32_t from = pages;
            uint64_t begin;

            for (child = 0; child < 1u << orders[i]; child++) {
                l4_must(send_map(page(from), WINDOW + child * 4096u), "map");
                from = WINDOW + child * 4096u;
            }
            begin = l4_rdtsc();
            l4_must(l4_unmap(page(pages)), "unmap");
            note((uint32_t)(l4_rdtsc() - begin));
        }
        report("unmap.chain", 1u << orders[i], true);
    }
}

/* A call of st items and sc words, two words in all. */
static uint32_t call_taker(unsigned st, unsigned sc)
{
    const uint32_t item[2] = { page(pages), WINDOW | L4_ITEM_MAP };
    uint32_t m[3] = { item[0], item[1], 0 }, begin, result;
    struct l4_words words;

    begin = (uint32_t)l4_rdtsc();
    if (l4_has_sysenter) {
        result = l4_ipc_fast(L4_IPC_W0(L4_CAP(EP_TAKE), st, sc), L4_IPC_W1(L4_CAP(EP_TAKE_REPLY), 0, 0, L4_TS_NEVER), m);
    } else {
        words.w[2] = item[0];
        words.w[3] = item[1];
        result = l4_ipc(&words, L4_CAP(EP_TAKE), st, sc, L4_CAP(EP_TAKE_REPLY), 0, 0, L4_TS_NEVER);
    }
    begin = (uint32_t)l4_rdtsc() - begin;
    l4_must(result, "call");
    return begin;
}

/* What an item costs: a call with one, less the same call with two words. */
static void group_item(void)
{
    struct l4_child c;
    uint32_t plain = 0xffffffffu;

    l4_child_create(&c, TAKER, KPAGES, &bench_top);
    give(&c, EP_TAKE, EP_TAKE_REPLY);
    l4_child_map(&c, page(pages), WINDOW); /* for its page table */
    l4_child_start(&c, taker, 0, bench_stacks[12], 4096);
    (void)l4_switch(L4_NOTHING, 0, 0);
    (void)l4_switch(L4_NOTHING, 0, 0);
    best = 0xffffffffu;
    for (unsigned n = 0; n < SAMPLES; n++) {
        uint32_t ticks;

        l4_must(l4_unmap(page(pages)), "unmap");
        note(call_taker(1, 0));
        ticks = call_taker(0, 2);
        if (ticks < plain)
            plain = ticks;
    }
    best = best - plain + overhead;
    report("map.item", 1, true);
    l4_must(l4_flush(L4_CAP_FPAGE(TAKER + 1u, L4_RIGHTS_ALL)), "end the thread");
    l4_must(l4_flush(L4_CAP_FPAGE(TAKER + 2u, L4_RIGHTS_ALL)), "give back its time");
}

static void group_objects(void)
{
    static const struct { uint32_t type; const char *create, *destroy; } kinds[] = {
        { L4_TYPE_ENDPOINT, "endpoint.create", "endpoint.destroy" },
        { L4_TYPE_THREAD, "thread.create", "thread.destroy" },
        { L4_TYPE_RESERVATION, "reservation.create", "reservation.destroy" },
        { L4_TYPE_TASK, "task.create", "task.destroy" },
    };
    unsigned i, n;

    for (i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        uint32_t lowest = 0xffffffffu;

        best = 0xffffffffu;
        for (n = 0; n < 8; n++) {
            uint64_t begin = l4_rdtsc(), middle, end;
            uint32_t result = l4_create(kinds[i].type, SCRATCH, KPAGES, KPAGES, 0, 0);

            middle = l4_rdtsc();
            l4_must(result, "create");
            result = l4_flush(L4_CAP_FPAGE(SCRATCH, L4_RIGHTS_ALL));
            end = l4_rdtsc();
            l4_must(result, "destroy");
            note((uint32_t)(middle - begin));
            if ((uint32_t)(end - middle) < lowest)
                lowest = (uint32_t)(end - middle);
        }
        report(kinds[i].create, 0, false);
        best = lowest;
        report(kinds[i].destroy, 0, false);
    }
}

static void group_fault(void)
{
    struct l4_child pager_thread, c;
    uint32_t m[1];
    unsigned n;

    l4_local_start(&pager_thread, PAGER, KPAGES, OWN_TASK, &bench_top, pager, 0, bench_stacks[3], 4096);
    l4_child_create(&c, FAULTER, KPAGES, &bench_top);
    give(&c, EP_FAULTER_GO, EP_FAULTER);
    l4_child_map(&c, L4_CAP_FPAGE(EP_FAULT, L4_W), L4_CAP(MY_FAULT));
    l4_child_map(&c, L4_CAP_FPAGE(EP_FAULT_REPLY, L4_R), L4_CAP(MY_FAULT_REPLY));
    l4_must(l4_tcr_write(l4_child_thread(&c), L4_TCR_FAULT_SND, L4_CAP(MY_FAULT)), "set handler");
    l4_must(l4_tcr_write(l4_child_thread(&c), L4_TCR_FAULT_RCV, L4_CAP(MY_FAULT_REPLY)), "set handler");
    l4_child_map(&c, page(pages), WINDOW); /* for its page table */
    l4_must(l4_unmap(page(pages)), "unmap");
    l4_child_start(&c, faulter, WINDOW, bench_stacks[4], 4096);
    best = 0xffffffffu;
    l4_must(l4_ipc_recv(L4_CAP(EP_FAULTER), m, 1, NULL, NULL), "wait for a fault");
    for (n = 0; n < SAMPLES; n++) {
        note(m[0]);
        l4_must(l4_unmap(page(pages)), "unmap");
        l4_must(l4_ipc_call(L4_CAP(EP_FAULTER_GO), L4_CAP(EP_FAULTER), m, 1, 1), "next fault");
    }
    report("fault.pager", 0, false);
}

static void group_switch(void)
{
    struct l4_child c;
    uint32_t result = 0;

    l4_local_start(&c, SLEEPER, KPAGES, OWN_TASK, &bench_low, sleeper, 0, bench_stacks[7], 4096);
    best = 0xffffffffu;
    for (unsigned n = 0; n < SAMPLES; n++) {
        uint32_t m[1] = { n };
        uint64_t begin;

        /* Out of our way, so that it waits again. */
        (void)l4_switch(l4_child_thread(&c), 0, 0);
        begin = l4_rdtsc();
        result = l4_ipc_send(L4_CAP(EP_WAKE), m, 1);
        note((uint32_t)(l4_rdtsc() - begin));
        l4_must(result, "wake");
    }
    report("wakeup.lower", 0, false);

    l4_local_start(&c, YIELDER, KPAGES, OWN_TASK, &bench_top, yielder, 0, bench_stacks[5], 4096);
    MEASURE(SAMPLES, (void)l4_switch(L4_NOTHING, 0, 0));
    report("switch.same_space.pair", 0, false);
    l4_must(l4_flush(L4_CAP_FPAGE(YIELDER + 1u, L4_RIGHTS_ALL)), "end the thread");

    l4_child_create(&c, NEIGHBOUR, KPAGES, &bench_top);
    l4_child_start(&c, yielder, 0, bench_stacks[6], 4096);
    (void)l4_switch(L4_NOTHING, 0, 0);
    MEASURE(SAMPLES, (void)l4_switch(L4_NOTHING, 0, 0));
    report("switch.other_space.pair", 0, false);
    l4_must(l4_flush(L4_CAP_FPAGE(NEIGHBOUR + 1u, L4_RIGHTS_ALL)), "end the thread");
}

/*
 * The n-th block of 4 MB that nothing else uses.  The first: 1 MB to map from and 1 MB for a kernel page; the
 * others become kernel pages.
 */
static uint32_t find_memory(const struct l4_bootinfo *boot, unsigned n)
{
    const struct l4_mem_desc *d = l4_boot_memory(boot);
    uint32_t i, at;

    for (i = 0; i < boot->mem_count; i++) {
        if (d[i].type != L4_MEM_RAM)
            continue;
        at = (d[i].start + 0x3fffffu) & ~0x3fffffu;
        if (at < 0x00800000u)
            at = 0x00800000u;
        for (; at < d[i].end && d[i].end - at >= 0x400000u; at += 0x400000u)
            if (n-- == 0)
                return at;
    }
    return 0;
}

static void convert(uint32_t id, uint32_t address, unsigned order)
{
    if (!address) {
        l4_puts("bench: needs 64 MB of memory\n");
        l4_exit(1);
    }
    l4_must(l4_convert(id, KPAGES, L4_FPAGE(address, L4_SPACE_MEM, order, L4_RIGHTS_ALL)), "convert");
}

int main(const struct l4_bootinfo *boot)
{
    static const struct { const char *name; void (*run)(void); } groups[] = {
        { "null", group_null }, { "ipc", group_ipc }, { "objects", group_objects }, { "fault", group_fault },
        { "switch", group_switch }, { "map.item", group_item }, { "map", group_map },
        { "children", group_children }, { "threads", group_threads }, { "stretch", group_stretch },
    };
    static char text[16], flag[4];
    const uint32_t since_reset = (uint32_t)l4_rdtsc(); /* firmware and kernel, up to here */
    const char *arguments = l4_boot_arguments(boot);
    uint32_t id;
    unsigned i;

    bench_most = l4_number(l4_argument(arguments, "most", text, sizeof text), bench_most);
    if (l4_argument(arguments, "only", text, sizeof text))
        only = text;
    c_path = l4_argument(l4_boot_arguments(boot), "c_path", flag, sizeof flag) != NULL;
    if (chosen("boot"))
        print_value("boot", since_reset);
    pages = find_memory(boot, 0);
    if (!(boot->page_sizes & (1u << 22))) {
        bench_most = 0; /* no large kernel pages: nothing with large numbers */
    } else {
        convert(MORE_KPAGE, pages ? pages + 0x200000u : 0, 20);
        for (i = 0; i < BIG_MEMORY; i++)
            convert(BIG_KPAGE + i, big_memory[i] = find_memory(boot, i + 1u), 22);
    }
    for (id = EP_FAST; id < EP_LAST; id++)
        l4_must(l4_create_endpoint(id, KPAGES), "create endpoint");
    MEASURE(SAMPLES, (void)0);
    overhead = best;
    for (i = 0; i < sizeof groups / sizeof *groups; i++)
        if (chosen(groups[i].name))
            groups[i].run();
    l4_exit(EXIT_DONE);
}
