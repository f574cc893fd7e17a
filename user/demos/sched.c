// SPDX-License-Identifier: MIT
/*
 * A scheduler at user level: it admits workers by splitting reservations off its own, watches what they
 * consume, takes one back and gives the time to another.  Runs in sigma0's place.  [M 2.4.2] [G29]
 *
 * Arguments: intervals=N lines per phase (default 4); exit=N ends QEMU with this code.
 */
#include <l4sec/l4sec.h>

#define KPAGES L4_FPAGE(L4_CAP(L4_S0_KPAGE), L4_SPACE_CAP, 13u, L4_W)
#define OWN_TASK L4_CAP(L4_S0_TASK)
#define OWN_TIME L4_CAP(L4_S0_RESERVATION)
#define PERIOD 10000u
#define INTERVAL_MS 40u
#define INTERVAL_TIMEOUT L4_TIMEOUT(10u, 39u) /* 2^10 * 39 us = 40 ms */
#define BAR 25u        /* characters for the whole processor */
#define WORKERS 4u

enum { EP_CLOCK = L4_S0_FREE, WORKER = L4_S0_FREE + 0x10 };

static struct worker {
    const char *name;
    uint32_t prio, flags, budget; /* wanted, of PERIOD */
    uint32_t consumed;            /* at the last look, in microseconds */
    bool thread, running;
} workers[WORKERS] = {
    { .name = "video", .prio = 200, .budget = 2000 },
    { .name = "audio", .prio = 220, .budget = 3000 },
    { .name = "batch", .prio = 50, .flags = L4_SCHED_SOFT, .budget = 1000 },
    { .name = "model", .prio = 100, .budget = 5000 },
};
static uint8_t stacks[WORKERS][4096] __attribute__((aligned(4096)));

static void work(uint32_t unused)
{
    (void)unused;
    for (;;)
        __asm__ volatile("");
}

static uint32_t number(const struct worker *w)
{
    return WORKER + (uint32_t)(w - workers) * L4_CHILD_CAPS;
}

/* budget and period of a reservation, and the microseconds it consumed so far. */
static void look(uint32_t reservation, uint32_t *budget, uint32_t *period, uint32_t *consumed)
{
    uint32_t out[6];

    l4_must(l4_schedule(L4_SCHED_READ, reservation, L4_NOTHING, L4_NOTHING, 0, 0, 0, 0, out), "read reservation");
    *consumed = out[2];
    *budget = out[4];
    *period = out[5];
}

static void show_own(const char *when)
{
    uint32_t budget, period, consumed;

    look(OWN_TIME, &budget, &period, &consumed);
    l4_printf("sched: %s, %u of %u us are free to give\n", when, budget, period);
}

/* The kernel refuses what is not there: admission needs no book-keeping here. */
static bool admit(struct worker *w)
{
    uint32_t id = number(w), thread = L4_CAP(id + 1u), w0, budget, period;

    if (!w->thread) {
        l4_must(l4_create_thread(id + 1u, KPAGES), "create thread");
        l4_must(l4_tcr_write(thread, L4_TCR_TASK, OWN_TASK), "bind thread");
        l4_must(l4_create_reservation(id + 2u, KPAGES), "create reservation");
        (void)l4_debug_name(id + 1u, w->name);
        (void)l4_debug_name(id + 2u, w->name);
        l4_must(l4_thread_start(thread, (uint32_t)(uintptr_t)work,
                                (uint32_t)(uintptr_t)stacks[w - workers] + sizeof stacks[0] - 8u), "start thread");
        w->thread = true;
    }
    w0 = l4_reservation_split(id + 2u, OWN_TIME, thread, w->prio, w->flags, w->budget, PERIOD);
    if (L4_ERR_BASE(w0) != L4_OK) {
        l4_printf("sched: %s wants %u of %u us: refused, %s\n", w->name, w->budget, PERIOD, l4_detail_text(w0));
        return false;
    }
    look(L4_CAP(id + 2u), &budget, &period, &w->consumed);
    w->running = true;
    l4_printf("sched: %s gets %u of %u us at priority %u%s\n", w->name, budget, period, w->prio,
              w->flags ? ", and what is left over" : "");
    return true;
}

static void take_back(struct worker *w)
{
    uint32_t id = number(w);

    l4_must(l4_schedule(L4_SCHED_DISSOCIATE, L4_CAP(id + 2u), L4_NOTHING, L4_NOTHING, 0, 0, 0, 0, NULL), "dissociate");
    l4_must(l4_schedule(L4_SCHED_MERGE, L4_CAP(id + 2u), OWN_TIME, L4_NOTHING, 0, 0, 0, 0, NULL), "merge");
    w->running = false;
    l4_printf("sched: %s has to give its time back\n", w->name);
}

static void sleep_interval(void)
{
    struct l4_words words;

    /* Nobody sends to the clock endpoint: the receive ends by its timeout. */
    (void)l4_ipc(&words, L4_NOTHING, 0, 0, L4_CAP(EP_CLOCK), 0, 0, L4_TS_TCR16);
}

static void timeline(uint32_t intervals)
{
    uint32_t n, i, per_ms;
    uint64_t before, now;

    for (i = 0; i < WORKERS; i++) {
        uint32_t budget, period;

        if (workers[i].running)
            look(L4_CAP(number(&workers[i]) + 2u), &budget, &period, &workers[i].consumed);
    }
    l4_must(l4_debug_clock(&before, &per_ms), "read the clock");
    for (n = 0; n < intervals; n++) {
        char line[160];
        uint32_t used = 0, us;

        sleep_interval();
        (void)l4_debug_clock(&now, &per_ms);
        /* A tick is a TSC cycle, or one of the 1.19 MHz timer: keep the precision of both. */
        us = per_ms >= 100000u ? (uint32_t)(now - before) / (per_ms / 1000u)
                               : (uint32_t)(now - before) * 1000u / per_ms;
        before = now;
        for (i = 0; i < WORKERS; i++) {
            uint32_t budget, period, consumed, share, k;

            if (!workers[i].running)
                continue;
            look(L4_CAP(number(&workers[i]) + 2u), &budget, &period, &consumed);
            share = us ? (consumed - workers[i].consumed) * 100u / us : 0;
            workers[i].consumed = consumed;
            for (k = 0; workers[i].name[k]; k++)
                line[used++] = workers[i].name[k];
            line[used++] = ' ';
            for (k = 0; k < share * BAR / 100u && k < BAR; k++)
                line[used++] = '#';
            line[used++] = ' ';
            line[used++] = (char)('0' + share / 100u % 10u);
            line[used++] = (char)('0' + share / 10u % 10u);
            line[used++] = (char)('0' + share % 10u);
            line[used++] = '%';
            line[used++] = ' ';
            line[used++] = ' ';
        }
        line[used] = '\0';
        l4_printf("  %3u ms | %s\n", (n + 1u) * INTERVAL_MS, line);
    }
}

int main(const struct l4_bootinfo *boot)
{
    const char *arguments = l4_boot_arguments(boot);
    char value[16];
    uint32_t intervals = l4_number(l4_argument(arguments, "intervals", value, sizeof value), 4), i;
    bool refused;

    l4_must(l4_create_endpoint(EP_CLOCK, KPAGES), "create endpoint");
    (void)l4_debug_name(EP_CLOCK, "clock");
    l4_must(l4_tcr_write(L4_NOTHING, L4_TCR_TIMEOUT0, INTERVAL_TIMEOUT), "set timeout");
    show_own("at the start");
    (void)admit(&workers[0]);
    (void)admit(&workers[1]);
    (void)admit(&workers[2]);
    refused = !admit(&workers[3]);
    show_own("with three workers");
    timeline(intervals);
    if (refused) {
        take_back(&workers[1]);
        (void)admit(&workers[3]);
        timeline(intervals);
    }
    for (i = 0; i < WORKERS; i++)
        if (workers[i].running)
            take_back(&workers[i]);
    show_own("at the end");
    if (l4_argument(arguments, "exit", value, sizeof value))
        l4_exit(l4_number(value, 0));
    for (;;)
        (void)l4_ipc_recv(L4_CAP(EP_CLOCK), &i, 1, NULL, NULL);
}
