// SPDX-License-Identifier: MIT
/*
 * The longest stretches of kernel execution between two preemption points, as the kernel's own measurement
 * tells (`stat stretch` of its debugger): the largest legal calls, the heaviest interrupts, everything that the
 * other groups do.
 */
#include "user/bench/bench.h"

#define MANY 200u       /* threads that are in the way of something */
#define LIST 255u       /* flexpages of one unmap */
#define ALIAS 0x3000u   /* a capability that is revoked while MANY threads wait over it */
#define OBJECTS 0x3400u
#define OWN_IO (L4_ALL_IO & ~15u)
#define SINGLE_PORTS 2048u /* mapped one by one: blocks of 256 that are full of them */
#define SINGLE_FIRST 0x8000u
#define HANDLER 8u         /* what the task with these ports calls its fault handler */
#define PAGES_IN_4MB 1024u
#define DERIVED 0x60000000u /* 4 MB of ours without a page table */
#define RTC_THREAD L4_CAP(L4_S0_IRQ + 8u)

static uint32_t longest;

static char text[160]; /* what the debugger said */

/* Run a line of the debugger: the first number in what it says. */
static uint32_t debugger(const char *line)
{
    size_t length;
    uint32_t rc, i;

    if (L4_ERR_BASE(l4_debug_exec(line, text, sizeof text - 1u, &length, &rc)) || rc)
        l4_exit(1);
    text[length] = 0;
    for (i = 0; text[i] && (text[i] < '0' || text[i] > '9'); i++)
        ;
    return l4_number(text[i] ? text + i : NULL, 0);
}

static void begin(void)
{
    (void)debugger("stat stretch on");
}

static void end(const char *name)
{
    uint32_t value = debugger("stat stretch");

    l4_printf("# %s: %s", name, text);
    (void)debugger("stat stretch off");
    if (value > longest)
        longest = value;
    l4_printf("bench stretch.%s %u instructions\n", name, value);
}

/* ---- cases ---- */

static uint32_t list_words[LIST];

/* l4_call() copies 71 words; this one leaves the rest where it is. */
static uint32_t call_list(uint32_t w0)
{
    uint32_t w1 = list_words[0], w2 = list_words[1], w3 = list_words[2], w4 = list_words[3];
    uint32_t *rest = &list_words[4];

    __asm__ volatile("push %%ebp\n\t"
                     "mov %[w4], %%ebp\n\t"
                     "int $0x40\n\t"
                     "pop %%ebp"
                     : "+a"(w0), "+b"(w1), "+S"(w2), "+D"(w3), "+c"(rest)
                     : [w4] "d"(w4)
                     : "memory", "cc");
    return w0;
}

/* 255 flexpages, each of one page that has a child; then the same of empty names. */
static void case_list(void)
{
    for (unsigned i = 0; i < LIST; i++) {
        list_words[i] = page(pages + (i & 255u) * 4096u);
        l4_must(map_many(list_words[i], WINDOW + i * 4096u), "map");
    }
    l4_must(call_list(LIST << 4 | L4_SYS_UNMAP), "unmap a list");
    for (unsigned i = 0; i < LIST; i++)
        list_words[i] = L4_FPAGE(0, L4_SPACE_CAP, 32, L4_R);
    l4_must(call_list(LIST << 4 | L4_SYS_UNMAP), "unmap a list");
}

/* 63 words and three items of 256 pages. */
static void case_message(void)
{
    struct l4_words words;

    for (unsigned i = 0; i < L4_ITEMS_MAX; i++)
        l4_item_map(&words, 63, i, L4_FPAGE(pages, L4_SPACE_MEM, 20, L4_R | L4_W), WINDOW + i * 0x100000u);
    l4_must(l4_ipc(&words, L4_CAP(EP_MANY), L4_ITEMS_MAX, 63, L4_NOTHING, 0, 0, L4_TS_NEVER), "message");
    l4_must(l4_unmap(L4_FPAGE(pages, L4_SPACE_MEM, 20, L4_R | L4_W)), "unmap");
}

static void case_chain(void)
{
    uint32_t from = pages;

    for (unsigned i = 0; i < 1000; i++) {
        l4_must(map_many(page(from), WINDOW + i * 4096u), "map");
        from = WINDOW + i * 4096u;
    }
    l4_must(l4_unmap(page(pages)), "unmap");
}

static void case_create(void)
{
    static const uint32_t types[] = { L4_TYPE_ENDPOINT, L4_TYPE_THREAD, L4_TYPE_RESERVATION };

    for (unsigned i = 0; i < sizeof types / sizeof *types; i++) {
        l4_must(l4_create(types[i], SCRATCH, KPAGES, KPAGES, 0, 0), "create");
        l4_must(l4_flush(L4_CAP_FPAGE(SCRATCH, L4_RIGHTS_ALL)), "destroy");
    }
}

static void case_create_task(void)
{
    l4_must(l4_create_task(SCRATCH, KPAGES, L4_FPAGE(pages, L4_SPACE_MEM, 20, L4_R),
                           L4_FPAGE(WINDOW, L4_SPACE_MEM, 20, L4_R)), "create");
}

static void case_destroy_task(void)
{
    l4_must(l4_flush(L4_CAP_FPAGE(SCRATCH, L4_RIGHTS_ALL)), "destroy");
}

/* Its memory is 4 MB; what is in it: two thousand endpoints, and a thread's page table. */
static void release_4mb(void)
{
    l4_must(l4_flush(L4_CAP_FPAGE(BIG_KPAGE + 4u, L4_RIGHTS_ALL)), "release");
}

static void convert_4mb(void)
{
    l4_must(l4_convert(BIG_KPAGE + 4u, KPAGES, L4_FPAGE(bench_big_memory(4), L4_SPACE_MEM, 22, L4_RIGHTS_ALL)),
            "convert");
}

static void case_convert(void)
{
    release_4mb();
    convert_4mb();
}

static void make_objects(void)
{
    for (unsigned i = 0; i < 2000; i++)
        l4_must(l4_create_endpoint(OBJECTS + i, big_kpage(4)), "create");
}

static struct l4_child ports_task;

static void read_ports(uint32_t port)
{
    uint32_t value;

    __asm__ volatile("inl %w1, %0" : "=a"(value) : "Nd"(port)); /* never done: the task may not */
    (void)value;
    l4_exit(1);
}

static uint32_t single_ports(uint32_t first, unsigned bits)
{
    return L4_FPAGE(first << 12, L4_SPACE_IO, 12u + bits, L4_R);
}

static void make_ports_task(void)
{
    static const struct l4_time time = { L4_CAP(L4_S0_RESERVATION), 255, L4_SCHED_SOFT, 1000, 50000 };

    l4_child_create(&ports_task, PORTS, KPAGES, &time);
    l4_child_map(&ports_task, L4_CAP_FPAGE(EP_BLOCK, L4_W | L4_R), L4_CAP(HANDLER));
    l4_must(l4_tcr_write(l4_child_thread(&ports_task), L4_TCR_FAULT_SND, L4_CAP(HANDLER)), "set handler");
    l4_must(l4_tcr_write(l4_child_thread(&ports_task), L4_TCR_FAULT_RCV, L4_CAP(HANDLER)), "set handler");
}

/*
 * A task gets all ports in large ranges, loses them, gets many one by one, loses them, gets them again, faults at the
 * last ones, and is destroyed.
 */
static void case_ports(void)
{
    l4_child_map(&ports_task, OWN_IO | L4_R | L4_W, 0);
    l4_must(l4_unmap(OWN_IO | L4_RIGHTS_ALL), "unmap");
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 0; i < SINGLE_PORTS; i++)
            l4_child_map(&ports_task, single_ports(SINGLE_FIRST + i, 0), 0);
        if (round == 0) {
            l4_child_map(&ports_task, single_ports(SINGLE_FIRST, 11), 0); /* they are there, one by one */
            l4_must(l4_unmap(single_ports(SINGLE_FIRST, 11)), "unmap");
        }
    }
    l4_child_start(&ports_task, read_ports, SINGLE_FIRST + SINGLE_PORTS - 4u, bench_stacks[13], 4096);
    (void)l4_switch(l4_child_thread(&ports_task), 0, 0);
    l4_must(l4_flush(L4_FPAGE(L4_CAP(PORTS), L4_SPACE_CAP, 14, L4_RIGHTS_ALL)), "destroy");
}

/*
 * 4 MB of which each page was converted through one derived capability: that loses `convert` by unmap, then by
 * itself; at last the kernel pages are given up one by one, the oldest, at the end of the list, first.
 */
static void case_unconvert(void)
{
    const uint32_t derived = L4_FPAGE(DERIVED, L4_SPACE_MEM, 22, L4_RIGHTS_ALL);
    uint32_t memory = bench_big_memory(4);

    for (unsigned how = 0; how < 3; how++) {
        l4_must(map_many(L4_FPAGE(memory, L4_SPACE_MEM, 22, L4_RIGHTS_ALL), DERIVED), "map");
        for (unsigned i = 0; i < PAGES_IN_4MB; i++)
            l4_must(l4_convert(OBJECTS + i, KPAGES, L4_FPAGE(DERIVED + i * 4096u, L4_SPACE_MEM, 12, L4_RIGHTS_ALL)),
                    "convert");
        if (how == 0)
            l4_must(l4_unmap(L4_FPAGE(memory, L4_SPACE_MEM, 22, L4_T)), "unmap");
        else if (how == 1)
            l4_must(l4_flush((derived & ~15u) | L4_T), "flush");
        else
            for (unsigned i = 0; i < PAGES_IN_4MB; i++)
                l4_must(l4_flush(L4_CAP_FPAGE(OBJECTS + i, L4_RIGHTS_ALL)), "flush");
        l4_must(l4_unmap(L4_FPAGE(memory, L4_SPACE_MEM, 22, L4_RIGHTS_ALL)), "unmap");
    }
}

/* 16 values for each of as many registers as one call takes. */
static void case_registers(void)
{
    for (unsigned i = 0; i < 76; i++)
        list_words[i] = i % 6u ? 0 : L4_TCR_USER << 2 | L4_TCR_USER << 8 | L4_TCR_USER << 14 | L4_TCR_USER << 20 |
                                     L4_TCR_USER << 26 | 3u;
    l4_must(call_list(L4_NOTHING | 63u << 4 | L4_SYS_THREAD_CONTROL), "thread-control");
}

static void case_timers(void)
{
    (void)expire_at_once(bench_most < 1000 ? bench_most : 1000);
}

/* ---- interrupts ---- */

static uint8_t rtc(uint8_t number)
{
    l4_outb(0x70, number);
    return l4_inb(0x71);
}

static void rtc_periodic(bool on)
{
    uint8_t rate = (rtc(0x0a) & 0xf0u) | 3u, how = (uint8_t)((rtc(0x0b) & 0x8fu) | (on ? 0x40u : 0u));

    l4_outb(0x70, 0x0a);
    l4_outb(0x71, rate);
    l4_outb(0x70, 0x0b);
    l4_outb(0x71, how);
    (void)rtc(0x0c);
}

/* The clock chip, 8192 times a second, with a handler that takes each message. */
static void interrupts(unsigned count)
{
    struct l4_words words;

    rtc_periodic(true);
    while (count--) {
        uint32_t m[1];

        l4_must(l4_ipc_recv(L4_CAP(EP_IRQ), m, 1, NULL, NULL), "interrupt");
        (void)rtc(0x0c);
        l4_must(l4_ipc_send(L4_CAP(EP_IRQ_REPLY), NULL, 0), "answer");
    }
    rtc_periodic(false);
    /* One may have come meanwhile: without its answer the line would stay closed. */
    l4_must(l4_tcr_write(L4_NOTHING, L4_TCR_TIMEOUT0, L4_TIMEOUT_ZERO), "timeout");
    if (L4_ERR_BASE(l4_ipc(&words, L4_NOTHING, 0, 0, L4_CAP(EP_IRQ), 0, 1, L4_TS_TCR16)) == L4_OK)
        l4_must(l4_ipc_send(L4_CAP(EP_IRQ_REPLY), NULL, 0), "answer");
}

static void case_interrupts(void)
{
    interrupts(20);
}

/* The message meets MANY receivers that have lost their capability. */
static void case_stale(void)
{
    l4_must(l4_unmap(L4_CAP_FPAGE(EP_IRQ, L4_RIGHTS_ALL)), "unmap");
    interrupts(1);
}

static void open_line(void)
{
    l4_must(l4_tcr_write(RTC_THREAD, L4_TCR_TASK, OWN_TASK), "bind");
    l4_must(l4_tcr_write(RTC_THREAD, L4_TCR_FAULT_SND, L4_CAP(EP_IRQ)), "attach");
    l4_must(l4_tcr_write(RTC_THREAD, L4_TCR_FAULT_RCV, L4_CAP(EP_IRQ_REPLY)), "attach");
}

static void stale_receivers(void)
{
    l4_must(map_many(L4_CAP_FPAGE(EP_IRQ, L4_R), L4_CAP(ALIAS)), "alias");
    for (unsigned i = 0; i < MANY; i++)
        many_thread(i, ALIAS, 0);
}

static void many_waiters(void)
{
    for (unsigned i = 0; i < 1000 && i < bench_most; i++)
        many_thread(i, EP_BLOCK, L4_TIMEOUT(20, 600u + i % 400u));
}

static void case_endpoint_with_waiters(void)
{
    l4_must(l4_flush(L4_CAP_FPAGE(EP_BLOCK, L4_RIGHTS_ALL)), "destroy");
    l4_must(l4_create_endpoint(EP_BLOCK, KPAGES), "create endpoint");
}

static void nothing(void)
{
}

void group_stretch(void)
{
    static const struct { const char *name; void (*prepare)(void), (*run)(void), (*clean)(void); } cases[] = {
        { "unmap.list", nothing, case_list, nothing },
        { "unmap.chain", nothing, case_chain, nothing },
        { "ipc.message", nothing, case_message, nothing },
        { "ports", make_ports_task, case_ports, nothing },
        { "tcr.list", nothing, case_registers, nothing },
        { "create.object", nothing, case_create, nothing },
        { "create.task", nothing, case_create_task, nothing },
        { "destroy.task", nothing, case_destroy_task, nothing },
        { "convert.4mb", nothing, case_convert, nothing },
        { "unconvert", release_4mb, case_unconvert, convert_4mb },
        { "destroy.objects", make_objects, case_convert, nothing },
        { "timeouts.at.once", nothing, case_timers, nothing },
        { "endpoint.waiters", many_waiters, case_endpoint_with_waiters, nothing },
        { "threads.destroyed", nothing, many_threads_end, nothing },
        { "interrupts", open_line, case_interrupts, nothing },
        { "interrupt.stale", stale_receivers, case_stale, many_threads_end },
    };

    uint64_t ticks;
    uint32_t per_ms;

    l4_must(l4_debug_clock(&ticks, &per_ms), "clock");
    if (!bench_most || per_ms < 100000u) /* the kernel's clock must count instructions, as the TSC does */
        return;
    (void)map_many(page(pages), WINDOW); /* starts the mapper */
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        cases[i].prepare();
        begin();
        cases[i].run();
        end(cases[i].name);
        cases[i].clean();
    }
    print_value("stretch.longest", longest);
}
