// SPDX-License-Identifier: MIT
/*
 * What several files of cases need: a receiver that takes items, a thread whose faults we serve, kernel
 * pages of a case's own.
 *
 * All of it lives for one case: every object has a number of the case's range and goes with it.
 */
#ifndef TESTS_GUEST_KIT_H
#define TESTS_GUEST_KIT_H

#include "tests/guest/guest.h"

/* Let helpers of our own priority come to rest. */
void settle(void);
/* Sleep so many microseconds (at most a second): lower priorities run. */
void sleep_us(uint32_t us);
uint32_t min32(uint32_t a, uint32_t b);

/* Order 12..: page(n) and what follows becomes a kernel page; its capability number. */
uint32_t kpage_new(unsigned n, unsigned order);
/* The same outside this image: threads that share its 4 MB pages need no tables of small entries for it. */
uint32_t kpage_far(unsigned n, unsigned order);
/* The same with RAM that nothing else uses, 2^order bytes in block `n` (0..): for large cases. */
uint32_t kpage_of_ram(unsigned n, unsigned order);
/* Address of the 4 MB block of RAM number n that neither the image nor a module lies in. */
uint32_t ram_block(unsigned n);
uint32_t create_in(uint32_t kp, uint32_t type, uint32_t id);

/* ---- somebody who receives messages, for ever ---- */

struct peer {
    uint32_t ep, thread;             /* capability numbers */
    volatile uint32_t rt, rc;        /* limits of the next receive */
    volatile uint32_t w0, count;     /* result of the last one; how many so far */
    void (*volatile after)(void);    /* called by the peer after each message */
    struct message msg;
};
extern struct peer peer;

/* In this task, or in one of its own with the capabilities [first, first + 16).  Windows: everything. */
void peer_start(void);
void peer_start_in_task(void);
/* Send to the peer and let it run; the sender's result. */
uint32_t give(struct message *msg, unsigned st, unsigned sc);
uint32_t give_map(uint32_t fpage, uint32_t hot_spot);
/* Another name for `cap`, in this task, with these rights: made through the peer. */
uint32_t alias_cap(uint32_t cap, uint32_t rights);
uint32_t table_item(struct message *msg, unsigned at, uint32_t res, uint32_t space, uint32_t name, unsigned size);
uint32_t badge_item(struct message *msg, unsigned at, uint32_t value, unsigned bits);
uint32_t resource_item(struct message *msg, unsigned at, uint32_t res);

/* What MAP says about one item: the receiver's flexpage and count. */
void expect_mapped(uint32_t at, uint32_t fpage, uint32_t count);

/* ---- a thread whose faults and exceptions we serve ---- */

struct victim { uint32_t thread, fault, reply, task; };

void victim_start(struct victim *v, void (*fn)(void));
/* The same; prepare(thread) may change the handlers before its first instruction. */
void victim_start_after(struct victim *v, void (*prepare)(uint32_t id), void (*fn)(void));
void victim_start_in_task(struct victim *v, void (*fn)(void));
/* The next message of its, or RCV_TIMEOUT after 50 ms. */
uint32_t victim_message(const struct victim *v, struct message *msg);
uint32_t victim_answer(const struct victim *v, struct message *msg, unsigned st, unsigned sc);
/* Give up what it waits for and run fn, with clear flags and an empty stack of its own. */
void victim_jump(const struct victim *v, void (*fn)(void));
/* Where the next instruction comes from: `size` bytes, copied to a page; then wait. */
extern void (*volatile victim_target)(void);
void victim_code(const uint8_t *bytes, unsigned size);
#define CODE_PAGE 40u
#define CODE(...) \
    do { \
        static const uint8_t bytes_[] = { __VA_ARGS__ }; \
        victim_code(bytes_, sizeof bytes_); \
    } while (0)
/* Load EAX..EBP with 0x11111111 * k, k = 1.. in the order eax ebx ecx edx esi edi ebp, then go there. */
void regs_then_target(void);
enum { REG_EAX = 0x11111111, REG_EBX = 0x22222222, REG_ECX = 0x33333333, REG_EDX = 0x44444444,
       REG_ESI = 0x55555555, REG_EDI = 0x66666666, REG_EBP = 0x77777777 };

/* What unused kernel memory is filled with (debug call POISON). Is a part of it, or a kernel address, in the word? */
#define CANARY 0xc5c5c5c5u
bool canary_in(uint32_t word);

/* A victim that goes to its code page with the registers above. */
void start_code(struct victim *v);
/* Words of an exception message. */
enum { M_VECTOR, M_ERROR, M_EIP, M_EFLAGS, M_EDI, M_ESI, M_EBP, M_ESP, M_EBX, M_EDX, M_ECX, M_EAX, M_CR2, M_COUNT };
/* One exception: the message, the place of the instruction and all registers; except: one that the code changed. */
void expect_exception(const struct victim *v, struct message *msg, uint32_t vector, uint32_t error, uint32_t offset,
                      unsigned except);

/* A thread with no time of its own in a new task with a startup endpoint; +1 task, +2 endpoint. */
uint32_t startup_waiter(void);

/* ---- the keyboard controller, which every PC has, as a source of interrupts ---- */

#define KEY_DATA 0x60u
#define KEY_CODE 0x1eu           /* of some key */
#define KEY_LINE 1u
#define KEY_THREAD L4_CAP(L4_S0_IRQ + KEY_LINE)
void key_interrupts(bool on);
void key_taken(void);            /* take what the controller has for us: its line goes down */
void key_prepare(void);          /* writing KEY_CODE to KEY_DATA will be the interrupt */
void key_press(void);            /* the interrupt, now */

/* What a thread is doing: S, R, H, N of exchange-registers. */
uint32_t status_of(uint32_t thread);
uint32_t schedule(uint32_t ops, uint32_t res, uint32_t src, uint32_t thread, uint32_t w3, uint32_t budget,
                  uint32_t period, struct l4_words *w);
uint32_t clock_us(void);
uint32_t inspect(uint32_t op, uint32_t c1, uint32_t c2, struct l4_words *out);
uint32_t cpu_features(void);   /* CPUID.1:EDX as the kernel tells it */

static inline volatile uint32_t *word_at(uint32_t address)
{
    return (volatile uint32_t *)(uintptr_t)address;
}

static inline uint32_t address_of(void (*fn)(void))
{
    return (uint32_t)(uintptr_t)fn;
}

#endif
