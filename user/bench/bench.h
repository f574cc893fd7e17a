// SPDX-License-Identifier: MIT
/* What the files of the benchmark share: measuring, names of capabilities, memory. */
#ifndef BENCH_H
#define BENCH_H

#include <l4sec/l4sec.h>

#define KPAGES L4_FPAGE(L4_CAP(L4_S0_KPAGE), L4_SPACE_CAP, 14u, L4_W)
#define OWN_TASK L4_CAP(L4_S0_TASK)
#define SAMPLES 32u
#define WINDOW 0x40000000u /* where the receiver of mappings takes them; nothing else is there */
#define BIG_MEMORY 7u      /* kernel pages of 4 MB for large numbers of things */

enum {
    MORE_KPAGE = L4_S0_KPAGE + 2,
    EP_FAST = L4_S0_FREE, EP_FAST_REPLY, EP_WORDS, EP_WORDS_REPLY, EP_MAP, EP_FAULT, EP_FAULT_REPLY, EP_FAULTER,
    EP_FAULTER_GO, EP_TAKE, EP_TAKE_REPLY, EP_WAKE, EP_MANY, EP_BLOCK, EP_SLEEP, EP_REST, EP_WAKE_MANY, EP_CALL, EP_ANSWER, EP_EXPIRE, EP_IRQ,
    EP_IRQ_REPLY, EP_LAST,
    FAST = L4_S0_FREE + 0x20, WORDS = L4_S0_FREE + 0x24, MAPPER = L4_S0_FREE + 0x28, PAGER = L4_S0_FREE + 0x2c,
    FAULTER = L4_S0_FREE + 0x30, YIELDER = L4_S0_FREE + 0x34, NEIGHBOUR = L4_S0_FREE + 0x38,
    SLEEPER = L4_S0_FREE + 0x3c, SCRATCH = L4_S0_FREE + 0x40, MANY_MAPPER = L4_S0_FREE + 0x44,
    CALLER = L4_S0_FREE + 0x48, EXPIRER = L4_S0_FREE + 0x4c, MANY_WAITER = L4_S0_FREE + 0x50,
    BANK = L4_S0_FREE + 0x54, TAKER = L4_S0_FREE + 0x78, PORTS = L4_S0_FREE + 0x7c,
    BIG_KPAGE = L4_S0_FREE + 0x80,  /* BIG_MEMORY of them */
    MANY_THREADS = 0x4000,          /* numbers of many things: capability tables of their own */
    MANY_RESERVATIONS = 0x8000,
    MANY_CAPS = 0x10000,
};

extern const struct l4_time bench_top, bench_low; /* reservations above and below everything else */
extern uint8_t bench_stacks[14][4096];
extern uint32_t pages;                            /* 1 MB of free memory of ours */
extern uint32_t bench_most;                       /* the largest number of things to try */

/* ---- measuring: the least of several runs, minus the cost of reading the counter ---- */

extern uint32_t best;

#define MEASURE(times, operation)                                   \
    do {                                                            \
        best = 0xffffffffu;                                         \
        for (unsigned sample_ = 0; sample_ < (times); sample_++) {  \
            uint64_t begin_ = l4_rdtsc(), end_;                     \
            operation;                                              \
            end_ = l4_rdtsc();                                      \
            note((uint32_t)(end_ - begin_));                        \
        }                                                           \
    } while (0)

void note(uint32_t ticks);
uint32_t measured(void);                               /* what `best` says of the operation itself */
void print_value(const char *name, uint32_t value);    /* name.. value */
void report(const char *name, unsigned n, bool numbered);
void report_scaled(const char *group, unsigned n, const char *what, uint32_t value); /* group.n.what */

static inline uint32_t page(uint32_t address)
{
    return L4_FPAGE(address, L4_SPACE_MEM, 12, L4_R | L4_W);
}

/* The i-th big kernel page as a resource. */
static inline uint32_t big_kpage(unsigned i)
{
    return L4_CAP_FPAGE(BIG_KPAGE + i, L4_W);
}

uint32_t bench_big_memory(unsigned i); /* the address of its memory */

void yielder(uint32_t unused);
/* A receiver of mappings at endpoint `ep`, three items at a time, anywhere. */
void mapper(uint32_t ep);

void group_children(void);
void group_threads(void);
void group_stretch(void);

/* ---- threads that wait without a reservation of their own (scale.c) ---- */

/* Thread number i of many, in our task.  It runs on our time as far as a receive from `ep`; timeout: TCR 16. */
void many_thread(unsigned i, uint32_t ep, uint32_t timeout);
void many_threads_end(void);
uint32_t expire_at_once(unsigned n); /* n timeouts: what each costs; times are in ticks of 1 ns only under icount */
/* Map `fpage` of the sender to hot spots of our own task, up to three items in a message. */
uint32_t map_many(uint32_t fpage, uint32_t hot_spot);

#endif
