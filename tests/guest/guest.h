// SPDX-License-Identifier: MIT
/*
 * The conformance suite: a program in sigma0's place that makes system calls and checks what they do.
 *
 * CASE(name, where, sentence) is one test; `where` names the manual's section or the decision that it
 * checks.  After each case everything it made is flushed away, and the kernel's invariants and its free
 * memory must be as before.  The suite runs once through each kernel entry.
 */
#ifndef TESTS_GUEST_GUEST_H
#define TESTS_GUEST_GUEST_H

#include <l4sec/abi.h>
#include <l4sec/l4sec.h>

struct guest_case {
    const char *name, *where, *sentence;
    void (*run)(void);
};

#define CASE(case_name, place, text)                                                     \
    static void case_##case_name(void);                                                  \
    static const struct guest_case guest_##case_name = { #case_name, place, text, case_##case_name }; \
    static const struct guest_case *const guest_ptr_##case_name                          \
        __attribute__((section("set_guest_cases"), used)) = &guest_##case_name;          \
    static void case_##case_name(void)

/* Record a failure of the running case; the first ten are printed. */
void guest_fail(const char *file, int line, const char *what, uint32_t have, uint32_t want);
extern uint32_t guest_expectations, guest_failures;

#define EXPECT(what)                                                       \
    do {                                                                   \
        guest_expectations++;                                              \
        if (!(what))                                                       \
            guest_fail(__FILE__, __LINE__, #what, 0, 1);                   \
    } while (0)
#define EXPECT_EQ(have, want)                                              \
    do {                                                                   \
        uint32_t have_ = (uint32_t)(have), want_ = (uint32_t)(want);       \
        guest_expectations++;                                              \
        if (have_ != want_)                                                \
            guest_fail(__FILE__, __LINE__, #have, have_, want_);           \
    } while (0)
#define EXPECT_ERROR(w0, base, detail)                                     \
    do {                                                                   \
        uint32_t w0_ = (w0);                                               \
        guest_expectations++;                                              \
        if (L4_ERR_BASE(w0_) != (base) || L4_ERR_DETAIL(w0_) != (detail))  \
            guest_fail(__FILE__, __LINE__, #w0, w0_, L4_ERR(base, detail, 0)); \
    } while (0)

extern const struct l4_bootinfo *guest_boot;

/* One system call through the entry under test; returns W0. */
uint32_t guest_call(struct l4_words *w);
bool guest_uses_sysenter(void);
uint32_t call5(uint32_t w0, uint32_t w1, uint32_t w2, uint32_t w3, uint32_t w4, struct l4_words *out);

/* int 0x40 with the parameter words from W5 on at `address`, whatever that is. */
static inline uint32_t call_at(uint32_t w0, uint32_t w1, uint32_t address)
{
    uint32_t w2 = 0, w3 = 0;

    __asm__ volatile("push %%ebp\n\txorl %%ebp, %%ebp\n\tint $0x40\n\tpop %%ebp"
                     : "+a"(w0), "+b"(w1), "+c"(address), "+S"(w2), "+D"(w3) : : "edx", "memory", "cc");
    return w0;
}

/* A fresh capability number (0x210..), different within a case. */
uint32_t cap_new(void);

#define NO_CAP    L4_CAP_INVALID
#define KPAGES    L4_FPAGE(L4_CAP(L4_S0_KPAGE), L4_SPACE_CAP, 13u, L4_W) /* both initial kernel pages */
#define OWN_TASK  L4_CAP(L4_S0_TASK)
#define OWN_THREAD L4_CAP(L4_S0_THREAD)

uint32_t create(uint32_t type, uint32_t id, uint32_t param0, uint32_t param1);
uint32_t unmap1(uint32_t fpage);                 /* one flexpage, UC = 1: W0 */
uint32_t flush1(uint32_t fpage);                 /* FC = 1 */
uint32_t flush_cap(uint32_t id);
uint32_t tcr_write(uint32_t thread, uint32_t index, uint32_t value);   /* W0; thread: word or NO_CAP */
uint32_t tcr_read(uint32_t thread, uint32_t index, uint32_t *value);
uint32_t exregs(uint32_t w0_bits, uint32_t thread, uint32_t ip, uint32_t sp, uint32_t flags,
                uint32_t handle, struct l4_words *out);

/* short-ipc: words in m[0..sc-1], items behind them; received over the same buffer.  Returns W0. */
struct message { uint32_t sender; uint32_t m[69]; };
uint32_t ipc(uint32_t send, uint32_t st, uint32_t sc, uint32_t recv, uint32_t rt, uint32_t rc,
             uint32_t ts, struct message *msg);
uint32_t send0(uint32_t ep, uint32_t ts);                         /* no words */
uint32_t send_word(uint32_t ep, uint32_t word);
uint32_t recv_word(uint32_t ep, uint32_t *word);
uint32_t map_item(struct message *msg, unsigned at, uint32_t fpage, uint32_t hot_spot);

/*
 * A thread in this task that runs fn on a stack of its own, at priority prio with 1 ms of 100 ms,
 * soft.  Returns its capability number; its reservation is the next one.
 */
uint32_t thread_start(void (*fn)(void), uint32_t prio);
/* The same; prepare(thread) is called before its first instruction, when all the rest is done. */
uint32_t thread_start_after(void (*prepare)(uint32_t id), void (*fn)(void), uint32_t prio);
/* Of the stacks handed out so far only the first n are still in use. */
void stacks_keep(unsigned n);
/* The same at a given number (id + 1: reservation), and with a given budget and period. */
void thread_start_at(uint32_t id, void (*fn)(void), uint32_t prio);
void thread_start_with(uint32_t id, void (*fn)(void), uint32_t prio, uint32_t budget, uint32_t period);
uint32_t thread_make(void);      /* created, bound, reservation attached, still halted */
void thread_run(uint32_t id, void (*fn)(void), uint32_t stack);
void thread_stop(void);          /* the running helper waits for ever */

/*
 * A task with a thread in it that runs fn (this image's memory is mapped there whole).  Capabilities
 * [caps, caps + 2^order) are mapped to the same names.  The thread's number; +1 reservation, +2 task, +3 startup endpoint.
 */
uint32_t child_start(void (*fn)(void), uint32_t prio, uint32_t caps, uint32_t order);
uint32_t child_start_after(void (*prepare)(uint32_t id), void (*fn)(void), uint32_t prio, uint32_t caps, uint32_t order);

uint32_t endpoint_new(void);     /* its capability number */
void yield_to_others(void);      /* let ready threads of the same priority run once */

/* A 4 KB page of ordinary memory of our own, number n (0..63); its address. */
uint32_t page(unsigned n);

/* Read each of them: the first touch after a conversion has ended gives its table of small entries back. */
void touch_pages(void);

/* The kernel's own opinion: violations, free bytes, frames, objects (debug call CHECK). */
void kernel_state(uint32_t state[4]);

#endif
