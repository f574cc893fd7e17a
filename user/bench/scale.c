// SPDX-License-Identifier: MIT
/*
 * Does the cost stay flat?  Operations among 1 to 65536 mappings of one page, in chains, among names, and among
 * 10 to 10000 threads with up to 1000 timeouts.  [M 2.1.1] [M 2.4]
 */
#include "user/bench/bench.h"

#define THREADS_PER_KPAGE 2000u  /* two in 4 KB, and room for tables */
#define NODES big_kpage(6)
#define RESERVATIONS big_kpage(5)
#define PERIOD_US 100000000u
#define REST L4_TIMEOUT(20, 120) /* 126 s: more than a period */
#define FAR  L4_TIMEOUT(20, 600) /* timeouts that never come while we look */

static const uint32_t sizes[] = { 1, 16, 256, 4096, 65536 };
static const struct l4_time much = { L4_CAP(L4_S0_RESERVATION), 255, L4_SCHED_SOFT, 2500, 10000 };
static const struct l4_time little = { L4_CAP(L4_S0_RESERVATION), 255, L4_SCHED_SOFT, 1000, 50000 };
static const struct l4_time little_low = { L4_CAP(L4_S0_RESERVATION), 10, L4_SCHED_SOFT, 1000, 50000 };

/* ---- many mappings ---- */

/* Let the mapper's time come back, so that it runs when we send. */
static void settle(void)
{
    uint64_t end = l4_rdtsc() + 10000000u;

    while (l4_rdtsc() < end)
        ;
}

/* Earlier groups keep reservations; here we need nearly all of the processor. */
static void take_back_time(void)
{
    for (uint32_t base = FAST; base <= SLEEPER; base += L4_CHILD_CAPS)
        (void)l4_flush(L4_CAP_FPAGE(base + 2u, L4_RIGHTS_ALL));
}

static void start_mapper(void)
{
    static struct l4_child c;

    if (c.base)
        return;
    take_back_time();
    l4_local_start(&c, MANY_MAPPER, NODES, OWN_TASK, &much, mapper, EP_MANY, bench_stacks[8], 4096);
    l4_must(l4_tcr_write(L4_NOTHING, L4_TCR_SNDRES, NODES), "resources");
    (void)l4_switch(l4_child_thread(&c), 0, 0);
}

uint32_t map_many(uint32_t fpage, uint32_t hot_spot)
{
    struct l4_words words;

    start_mapper();
    l4_item_map(&words, 0, 0, fpage, hot_spot);
    return l4_ipc(&words, L4_CAP(EP_MANY), 1, 0, L4_NOTHING, 0, 0, L4_TS_NEVER);
}

/* One kind of things that can be mapped from each other. */
struct kind {
    const char *name;
    bool chain;
    uint32_t source;                /* the flexpage that all come from */
    uint32_t (*child)(uint32_t i);  /* the flexpage of number i */
};

static uint32_t memory_child(uint32_t i) { return page(WINDOW + i * 4096u); }
static uint32_t cap_child(uint32_t i) { return L4_CAP_FPAGE(MANY_CAPS + i, L4_RIGHTS_ALL); }

static uint32_t source_of(const struct kind *k, uint32_t i)
{
    return k->chain && i ? k->child(i - 1u) : k->source;
}

/* Numbers first to last - 1, three in a message. */
static void grow(const struct kind *k, uint32_t first, uint32_t last)
{
    struct l4_words words;

    while (first < last) {
        unsigned n;

        for (n = 0; n < L4_ITEMS_MAX && first < last; n++, first++)
            l4_item_map(&words, 0, n, source_of(k, first), k->child(first) & 0xfffff000u);
        l4_must(l4_ipc(&words, L4_CAP(EP_MANY), n, 0, L4_NOTHING, 0, 0, L4_TS_NEVER), "map many");
    }
}

static void measure_map(const struct kind *k, uint32_t n)
{
    uint32_t from = source_of(k, n), to = k->child(n), result;

    /* once before, for the table */
    l4_must(map_many(from, to & 0xfffff000u), "map one more");
    l4_must(l4_flush(to), "flush");
    best = 0xffffffffu;
    for (unsigned i = 0; i < 8; i++) {
        uint64_t begin = l4_rdtsc();

        result = map_many(from, to & 0xfffff000u);
        note((uint32_t)(l4_rdtsc() - begin));
        l4_must(result, "map one more");
        l4_must(l4_flush(to), "flush");
    }
    report_scaled(k->name, n, "map", measured());
}

static void measure_lookup(const struct kind *k, uint32_t n)
{
    uint32_t a = k->child(n - 1u) & 0xfffff000u, b = k->child(n / 2u) & 0xfffff000u, out[5];

    MEASURE(8, (void)l4_call5(a | L4_SYS_CAP_INSPECT, b, 0, 0, 0, out));
    if (out[1] != 1)
        l4_exit(1);
    report_scaled(k->name, n, "lookup", measured());
}

static void measure_kind(const struct kind *k)
{
    for (unsigned s = 0; s < sizeof sizes / sizeof *sizes && sizes[s] <= bench_most; s++) {
        uint32_t n = sizes[s];

        grow(k, 0, n);
        settle();
        measure_map(k, n);
        if (!k->chain && k->child == cap_child)
            measure_lookup(k, n);
        best = 0xffffffffu;
        MEASURE(1, l4_must(l4_unmap(k->source), "unmap many"));
        report_scaled(k->name, n, "unmap", measured());
        report_scaled(k->name, n, "unmap.each", measured() / n);
    }
}

void group_children(void)
{
    const struct kind kinds[] = {
        { "children", false, page(pages), memory_child },
        { "chain", true, page(pages), memory_child },
        { "names", false, L4_CAP_FPAGE(EP_LAST - 1u, L4_RIGHTS_ALL), cap_child },
    };

    if (!bench_most)
        return;
    start_mapper();
    for (unsigned i = 0; i < sizeof kinds / sizeof *kinds; i++)
        measure_kind(&kinds[i]);
}

/* ---- many threads ---- */

uint32_t bench_receive; /* W1 of the receive in bench_wait */
void bench_wait(void);
/* Needs no stack: a receive by int 0x40; then busy for ever. */
__asm__(".globl bench_wait\n"
        "bench_wait:\n\t"
        "mov $0xfffff000, %eax\n\t"
        "mov bench_receive, %ebx\n\t"
        "int $0x40\n"
        "1:\tjmp 1b\n");

static void thread_made(unsigned i)
{
    uint32_t thread = L4_CAP(MANY_THREADS + i);

    l4_must(l4_create_thread(MANY_THREADS + i, big_kpage(i / THREADS_PER_KPAGE)), "create thread");
    l4_must(l4_tcr_write(thread, L4_TCR_TASK, OWN_TASK), "bind thread");
}

static void thread_waits(unsigned i, uint32_t ep, uint32_t timeout)
{
    uint32_t thread = L4_CAP(MANY_THREADS + i);

    l4_must(l4_tcr_write(thread, L4_TCR_TIMEOUT0, timeout), "timeout");
    bench_receive = L4_IPC_W1(L4_CAP(ep), 0, 0, L4_TS_TCR16);
    l4_must(l4_thread_start(thread, (uint32_t)(uintptr_t)bench_wait, 0), "start thread");
    l4_must(l4_switch(thread, 0, 0), "run thread");
}

void many_thread(unsigned i, uint32_t ep, uint32_t timeout)
{
    thread_made(i);
    thread_waits(i, ep, timeout);
}

void many_threads_end(void)
{
    (void)l4_flush(L4_FPAGE(L4_CAP(MANY_THREADS), L4_SPACE_CAP, 26, L4_RIGHTS_ALL));
    (void)l4_flush(L4_FPAGE(L4_CAP(MANY_RESERVATIONS), L4_SPACE_CAP, 26, L4_RIGHTS_ALL));
}

/* Sleep through more than a period of the many reservations. */
static void rest(void)
{
    struct l4_words words;

    l4_must(l4_tcr_write(L4_NOTHING, L4_TCR_TIMEOUT0, REST), "timeout");
    (void)l4_ipc(&words, L4_NOTHING, 0, 0, L4_CAP(EP_REST), 0, 0, L4_TS_TCR16);
}

/*
 * n threads: half of them wait, `timeouts` of these with a timeout; the others are in the ready queue.  A
 * reservation begins without budget, so these wait, too, until a period is over; then they are woken.
 */
static void make_threads(unsigned n, unsigned timeouts)
{
    unsigned i;

    for (i = 0; i < n / 2u; i++)
        many_thread(i, EP_BLOCK, i < timeouts ? FAR + i % 400u : 0);
    for (; i < n; i++) {
        many_thread(i, EP_SLEEP, 0);
        l4_must(l4_create_reservation(MANY_RESERVATIONS + i, RESERVATIONS), "create reservation");
        l4_must(l4_reservation_split(MANY_RESERVATIONS + i, L4_CAP(BANK), L4_CAP(MANY_THREADS + i), 5, 0, 1000,
                                     PERIOD_US), "split reservation");
    }
    rest();
    for (i = n / 2u; i < n; i++)
        l4_must(l4_ipc_send(L4_CAP(EP_SLEEP), NULL, 0), "wake");
}

/* ---- operations among them ---- */

#define INTERRUPT 100u /* a gap between two looks at the counter that no user code explains */
#define ROUNDS 4u /* measure in each: we may have been out of budget */

static volatile uint64_t stamps[2]; /* the answerer: came, goes */

static void answerer(uint32_t unused)
{
    struct l4_words words;

    (void)unused;
    (void)l4_ipc(&words, L4_NOTHING, 0, 0, L4_CAP(EP_CALL), 0, 0, L4_TS_NEVER);
    for (;;) {
        stamps[0] = l4_rdtsc();
        stamps[1] = l4_rdtsc();
        (void)l4_ipc(&words, L4_CAP(EP_ANSWER), 0, 0, L4_CAP(EP_CALL), 0, 0, L4_TS_NEVER);
    }
}

/* Waits 300 us, again and again. */
static void expirer(uint32_t unused)
{
    struct l4_words words;

    (void)unused;
    for (;;)
        (void)l4_ipc(&words, L4_NOTHING, 0, 0, L4_CAP(EP_EXPIRE), 0, 0, L4_TS_TCR16);
}

static void waiter(uint32_t ep)
{
    for (;;)
        (void)l4_ipc_recv(L4_CAP(ep), NULL, 0, NULL, NULL);
}

static void measure_wakeup(const struct l4_child *c, unsigned n)
{
    best = 0xffffffffu;
    for (unsigned i = 0; i < ROUNDS * 8u; i++) {
        uint32_t result;
        uint64_t begin;

        if (i % 8u == 0)
            settle();
        (void)l4_switch(l4_child_thread(c), 0, 0);
        begin = l4_rdtsc();
        result = l4_ipc_send(L4_CAP(EP_WAKE_MANY), NULL, 0);
        note((uint32_t)(l4_rdtsc() - begin));
        l4_must(result, "wake");
    }
    report_scaled("threads", n, "wakeup", measured());
}

/* A thread for one measurement: others must not find it busy while we sleep. */
static void end_local(const struct l4_child *c)
{
    l4_must(l4_flush(L4_FPAGE(L4_CAP(c->base), L4_SPACE_CAP, 14, L4_RIGHTS_ALL)), "end the thread");
}

static void measure_switch(unsigned n)
{
    struct l4_child c;
    uint32_t least = 0xffffffffu, alone;

    for (unsigned i = 0; i < ROUNDS; i++) {
        settle();
        MEASURE(8, (void)l4_switch(L4_NOTHING, 0, 0));
        alone = best;
        l4_local_start(&c, YIELDER, NODES, OWN_TASK, &little, yielder, 0, bench_stacks[6], 4096);
        MEASURE(8, (void)l4_switch(L4_NOTHING, 0, 0));
        end_local(&c);
        /* Alone, a yield comes back at once: then one of the two had no time. */
        if (best > alone + alone / 2u && best < least)
            least = best;
    }
    best = least;
    report_scaled("threads", n, "switch.pair", measured());
}

/* What an interrupt takes from us, seen as the largest gap between two looks at the counter. */
static void measure_expiry(unsigned n)
{
    struct l4_child c;

    l4_local_start(&c, EXPIRER, NODES, OWN_TASK, &little_low, expirer, 0, bench_stacks[11], 4096);
    l4_must(l4_tcr_write(l4_child_thread(&c), L4_TCR_TIMEOUT0, L4_TIMEOUT(0, 300)), "timeout");
    best = 0xffffffffu;
    for (unsigned i = 0; i < ROUNDS * 2u; i++) {
        uint64_t now, last, end;
        uint32_t widest = 0, narrowest = 0xffffffffu;

        settle();
        (void)l4_switch(l4_child_thread(&c), 0, 0);
        last = l4_rdtsc();
        end = last + 600000u;
        while ((now = l4_rdtsc()) < end) {
            uint32_t gap = (uint32_t)(now - last);

            if (gap > widest)
                widest = gap;
            if (gap < narrowest)
                narrowest = gap;
            last = now;
        }
        if (widest > INTERRUPT) /* else it did not get to its receive: we had no time to lend */
            note(widest - narrowest);
    }
    report_scaled("threads", n, "expiry", best);
    end_local(&c);
}

static void measure_timeouts(unsigned n)
{
    struct l4_words words;
    uint32_t set = 0xffffffffu;

    l4_must(l4_tcr_write(L4_NOTHING, L4_TCR_TIMEOUT0, FAR + 200u), "timeout"); /* in the midst of the others */
    best = 0xffffffffu;
    for (unsigned i = 0; i < ROUNDS * 8u; i++) {
        uint64_t begin;
        uint32_t result;

        if (i % 8u == 0)
            settle();
        begin = l4_rdtsc();
        result = l4_ipc(&words, L4_CAP(EP_CALL), 0, 0, L4_CAP(EP_ANSWER), 0, 0, L4_TS_TCR16);
        note((uint32_t)(l4_rdtsc() - stamps[1]));
        l4_must(result, "call");
        if (stamps[0] - begin < set)
            set = (uint32_t)(stamps[0] - begin);
    }
    report_scaled("threads", n, "timeout.cancel", measured());
    best = set;
    report_scaled("threads", n, "timeout.set", measured());
}

/*
 * n timeouts fall due within a few microseconds, in another order than they were set in.  What all interrupts
 * take from us until then.
 */
static uint32_t interrupted(unsigned n)
{
    const uint32_t setup = 8000; /* microseconds: the last one is set before the first is due */
    const uint32_t per_us = 1000; /* what -icount shift=0 makes of it, whatever clock the kernel has */
    uint32_t taken = 0;
    uint64_t start, now, last;

    for (unsigned i = 0; i < n; i++)
        thread_made(i);
    start = l4_rdtsc();
    for (unsigned i = 0; i < n; i++) {
        uint32_t left = setup - (uint32_t)(l4_rdtsc() - start) / per_us;

        thread_waits(i, EP_EXPIRE, L4_TIMEOUT(3, left / 8u - i * 7u % 3u));
    }
    for (last = l4_rdtsc(); (uint32_t)(last - start) < (setup + 4000u) * per_us; last = now) {
        now = l4_rdtsc();
        if (now - last > INTERRUPT)
            taken += (uint32_t)(now - last);
    }
    many_threads_end();
    return taken;
}

uint32_t expire_at_once(unsigned n)
{
    uint32_t others = interrupted(0), all = interrupted(n);

    return all > others ? (all - others) / n : 0;
}

static void group_expiries(void)
{
    for (unsigned n = 100; n <= 1000 && n <= bench_most; n *= 10)
        report_scaled("threads.expiries", n, "each", expire_at_once(n));
}

void group_threads(void)
{
    static const struct { unsigned threads, timeouts; } cases[] = {
        { 10, 0 }, { 100, 10 }, { 1000, 100 }, { 10000, 1000 },
    };
    struct l4_child c, call;

    if (!bench_most)
        return;
    start_mapper(); /* the same shares of time whether it was there before or not */
    group_expiries();
    l4_must(l4_create_reservation(BANK, RESERVATIONS), "create reservation");
    l4_must(l4_schedule(L4_SCHED_SPLIT, L4_CAP(BANK), L4_CAP(L4_S0_RESERVATION), L4_NOTHING, 0, 20u << 24, 100000,
                        1000000, NULL), "split reservation");
    l4_local_start(&c, MANY_WAITER, NODES, OWN_TASK, &little_low, waiter, EP_WAKE_MANY, bench_stacks[9], 4096);
    l4_local_start(&call, CALLER, NODES, OWN_TASK, &little, answerer, 0, bench_stacks[10], 4096);
    for (unsigned i = 0; i < sizeof cases / sizeof *cases && cases[i].threads <= bench_most; i++) {
        unsigned n = cases[i].threads;

        make_threads(n, cases[i].timeouts);
        measure_wakeup(&c, n);
        measure_switch(n);
        measure_timeouts(n);
        measure_expiry(n);
        many_threads_end();
    }
}
