// SPDX-License-Identifier: MIT
/*
 * libl4sec: what a user program needs to talk to the kernel.  [M 3] [M 4]
 *
 * Every function that makes a system call returns its W0, so L4_ERR_BASE() and L4_ERR_DETAIL() apply to
 * the result; 0 in the error field is success.  "id" is a capability number; "cap" is a capability as
 * it stands in a word (number << 12); "fpage" a flexpage word.  Nothing here keeps state but the choice
 * of the kernel entry and of the console, so all of it may be called from any thread.
 */
#ifndef L4SEC_L4SEC_H
#define L4SEC_L4SEC_H

#include <stdarg.h>
#include <stddef.h>
#include <l4sec/abi.h>

/* ---- the kernel entry ---------------------------------------------------------------------------- */

/* The parameter words of one call, in and out.  The last field belongs to the sysenter stub. */
struct l4_words {
    uint32_t w[L4_PARAM_WORDS];
    uint32_t saved_stack;
};

/* One system call.  l4_call() uses sysenter where the processor has it, else int 0x40. */
extern void (*l4_call)(struct l4_words *words);
void l4_call_sysenter(struct l4_words *words);
void l4_call_int(struct l4_words *words);
/* Does this processor have a usable sysenter?  Set before main(). */
extern bool l4_has_sysenter;

/* W0..W4 only; out (may be NULL) receives the first five words. */
uint32_t l4_call5(uint32_t w0, uint32_t w1, uint32_t w2, uint32_t w3, uint32_t w4, uint32_t out[5]);

/* ---- IPC ------------------------------------------------------------------------------------------- */

#define L4_NOTHING L4_CAP_INVALID /* no send phase, no receive phase, this thread itself */

/*
 * short-ipc.  The message is words->w[2..], items behind its sc words; what is received stands there,
 * too, and the sender's id in words->w[1].  send or recv L4_NOTHING: no such phase.
 */
uint32_t l4_ipc(struct l4_words *words, uint32_t send, unsigned st, unsigned sc, uint32_t recv,
                unsigned rt, unsigned rc, unsigned ts);
/* Words and items received, of l4_ipc()'s result. */
static inline unsigned l4_ipc_words(uint32_t w0) { return (w0 >> 4) & 63u; }
static inline unsigned l4_ipc_items(uint32_t w0) { return (w0 >> 10) & 3u; }

/* No items: send n words, receive up to n words (*got of them), or both in one call. */
uint32_t l4_ipc_send(uint32_t send, const uint32_t *m, unsigned n);
uint32_t l4_ipc_recv(uint32_t recv, uint32_t *m, unsigned n, unsigned *got, uint32_t *sender);
uint32_t l4_ipc_call(uint32_t send, uint32_t recv, uint32_t *m, unsigned out, unsigned in);

/* Put item number i of a message with sc words: map fpage at hot spot. */
void l4_item_map(struct l4_words *words, unsigned sc, unsigned i, uint32_t fpage, uint32_t hot_spot);
/* Make tables for 2^size of the receiver's space around name, from the kernel pages res. */
void l4_item_tables(struct l4_words *words, unsigned sc, unsigned i, uint32_t res, uint32_t space,
                    uint32_t name, unsigned size);
void l4_item_resources(struct l4_words *words, unsigned sc, unsigned i, uint32_t res);
void l4_item_badge(struct l4_words *words, unsigned sc, unsigned i, uint32_t value, unsigned bits);

/*
 * A call whose words stay in registers: nothing touches memory.  Only where l4_has_sysenter; *w1 and m[0..2],
 * which are W2 to W4, in and out.
 */
static inline uint32_t l4_call_registers(uint32_t w0, uint32_t *w1, uint32_t m[3])
{
    uint32_t m2 = m[2];

    __asm__ volatile("push %%ebp\n\t"
                     "mov %%ecx, %%ebp\n\t"
                     "mov %%esp, %%ecx\n\t"
                     "mov $1f, %%edx\n\t"
                     "sysenter\n"
                     "1:\n\t"
                     "mov %%ebp, %%ecx\n\t"
                     "pop %%ebp"
                     : "+a"(w0), "+b"(*w1), "+S"(m[0]), "+D"(m[1]), "+c"(m2)
                     :
                     : "edx", "memory", "cc");
    m[2] = m2;
    return w0;
}
/* Messages of up to three words, items and their two words included. */
static inline uint32_t l4_ipc_fast(uint32_t w0, uint32_t w1, uint32_t m[3])
{
    return l4_call_registers(w0, &w1, m);
}

/* ---- objects --------------------------------------------------------------------------------------- */

/* create: res pays for the object, tables for the name's capability table if there is none yet. */
uint32_t l4_create(uint32_t type, uint32_t id, uint32_t res, uint32_t tables, uint32_t param0,
                   uint32_t param1);
/* source, target: capability flexpages to map into the new task at once; 0: none. */
uint32_t l4_create_task(uint32_t id, uint32_t res, uint32_t source, uint32_t target);
uint32_t l4_create_thread(uint32_t id, uint32_t res);
uint32_t l4_create_endpoint(uint32_t id, uint32_t res);
uint32_t l4_create_reservation(uint32_t id, uint32_t res);
/* Turn memory into a kernel page. */
uint32_t l4_convert(uint32_t id, uint32_t res, uint32_t memory);

/* Take the rights in fpage[3:0] from everything derived (unmap) or also from oneself (flush). */
uint32_t l4_unmap(uint32_t fpage);
uint32_t l4_flush(uint32_t fpage);
/* The same with the reference bits of what was found. */
uint32_t l4_unmap_refs(uint32_t fpage, uint32_t *refs);

/* thread: capability word, or L4_NOTHING for oneself. */
uint32_t l4_tcr_write(uint32_t thread, uint32_t index, uint32_t value);
uint32_t l4_tcr_read(uint32_t thread, uint32_t index, uint32_t *value);
/* out (may be NULL): W0..W4. */
uint32_t l4_exregs(uint32_t thread, uint32_t bits, uint32_t ip, uint32_t sp, uint32_t flags,
                   uint32_t handle, uint32_t out[5]);
/* Start a bound thread, halted or waiting for its startup message. */
uint32_t l4_thread_start(uint32_t thread, uint32_t ip, uint32_t sp);

/* schedule; prio_soft: priority << 24 | L4_SCHED_SOFT.  out (may be NULL): W0..W4, W5. */
uint32_t l4_schedule(uint32_t ops, uint32_t target, uint32_t source, uint32_t thread, uint32_t position,
                     uint32_t prio_soft, uint32_t budget, uint32_t period, uint32_t out[6]);
/* Make id's reservation out of source's and give it to thread. */
uint32_t l4_reservation_split(uint32_t id, uint32_t source, uint32_t thread, uint32_t prio, uint32_t flags,
                              uint32_t budget, uint32_t period);
/* thread-switch: target L4_NOTHING yields. */
uint32_t l4_switch(uint32_t target, uint32_t flags, uint32_t index);

/* ---- threads and tasks out of one image (child.c) ------------------------------------------------------- */

/*
 * A thread and what it needs, at consecutive capability numbers.  `kpages` is the flexpage of kernel
 * pages that pay.  Functions that fail print why and end the program: they are for demos and measurements.
 */
struct l4_child {
    uint32_t base;      /* base: task (unused in l4_local_create), +1 thread, +2 reservation, +3 startup endpoint */
    uint32_t kpages;
    uint32_t task;      /* capability word of the task it lives in */
};
#define L4_CHILD_CAPS 4u
static inline uint32_t l4_child_thread(const struct l4_child *c) { return L4_CAP(c->base + 1u); }
static inline uint32_t l4_child_reservation(const struct l4_child *c) { return L4_CAP(c->base + 2u); }
static inline uint32_t l4_child_startup(const struct l4_child *c) { return L4_CAP(c->base + 3u); }

/* Where new reservations are split from, and how. */
struct l4_time { uint32_t source, prio, flags, budget, period; };

/* A task with one thread that waits for its startup message; the image is mapped, data read-only. */
void l4_child_create(struct l4_child *c, uint32_t base, uint32_t kpages, const struct l4_time *time);
/* Before the start: map fpage, with the page tables that it needs.  Memory keeps its address. */
void l4_child_map(const struct l4_child *c, uint32_t fpage, uint32_t hot_spot);
/* fn(arg) on the stack [stack, stack + size), which is our memory: it is mapped. */
void l4_child_start(const struct l4_child *c, void (*fn)(uint32_t), uint32_t arg, void *stack, size_t size);

/* A thread in our own task, which starts at once; what it maps is paid from kpages, too. */
void l4_local_start(struct l4_child *c, uint32_t base, uint32_t kpages, uint32_t own_task,
                    const struct l4_time *time, void (*fn)(uint32_t), uint32_t arg, void *stack, size_t size);

/* Print and end the program if w0 is an error. */
void l4_must(uint32_t w0, const char *what);

/* ---- debug call and console --------------------------------------------------------------------------- */

uint32_t l4_debug_putc(char c);
uint32_t l4_debug_puts(const char *text, size_t length);
uint32_t l4_debug_enter(const char *text);
uint32_t l4_debug_name(uint32_t id, const char *name);   /* up to 12 bytes are kept */
uint32_t l4_debug_trace(uint32_t a, uint32_t b, uint32_t c);
int l4_debug_getc(void);                                 /* -1: none, or no debugger */
/* Run a line of the kernel debugger; its output goes to text.  *rc is its result. */
uint32_t l4_debug_exec(const char *line, char *text, size_t size, size_t *length, uint32_t *rc);
/* Kernel clock and ticks per millisecond. */
uint32_t l4_debug_clock(uint64_t *ticks, uint32_t *per_ms);

/* Write to the console: by the debug call; under a kernel without one, to COM1's ports. */
void l4_write(const char *text, size_t length);
void l4_puts(const char *text);
/* %d %u %x %c %s %% with width, '0' and '-'; lines come out whole. */
void l4_printf(const char *format, ...) __attribute__((format(printf, 1, 2)));
unsigned l4_format(char *buffer, size_t size, const char *format, va_list list)
    __attribute__((format(printf, 3, 0)));
/* The console is COM1: a task that prints needs the ports 0x3f8..0x3ff.  Set before main(). */
extern bool l4_console_ports;

/* End QEMU with this code (isa-debug-exit); on other machines wait for ever.  Needs port 0xf4. */
void l4_exit(uint32_t code) __attribute__((noreturn));
/* Give up the processor for ever. */
void l4_wait_forever(void) __attribute__((noreturn));

/* Text of an error: "MAP: delivered, but ... (nothing at that name)". */
const char *l4_error_text(uint32_t w0);
const char *l4_detail_text(uint32_t w0);

/* ---- boot info ------------------------------------------------------------------------------------------ */

/* The words behind the file name in sigma0's module string; "" if there are none. */
const char *l4_boot_arguments(const struct l4_bootinfo *boot);
const struct l4_mem_desc *l4_boot_memory(const struct l4_bootinfo *boot);
const struct l4_module_desc *l4_boot_modules(const struct l4_bootinfo *boot);
const struct l4_size_desc *l4_boot_sizes(const struct l4_bootinfo *boot);
/* The value of argument `name` ("3" of "exit=3"), "" if bare, NULL if absent. */
const char *l4_argument(const char *arguments, const char *name, char *buffer, size_t size);
uint32_t l4_number(const char *text, uint32_t standard);

/* ---- small things ------------------------------------------------------------------------------------------ */

static inline uint64_t l4_rdtsc(void)
{
    uint64_t tsc;

    __asm__ volatile("rdtsc" : "=A"(tsc));
    return tsc;
}
static inline void l4_outb(uint16_t port, uint8_t value)
{
    __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}
static inline uint8_t l4_inb(uint16_t port)
{
    uint8_t value;

    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

void *memcpy(void *to, const void *from, size_t size);
void *memmove(void *to, const void *from, size_t size);
void *memset(void *to, int byte, size_t size);
int memcmp(const void *a, const void *b, size_t size);
size_t l4_strlen(const char *s);
int l4_strcmp(const char *a, const char *b);
int l4_strncmp(const char *a, const char *b, size_t size);

/* The image in memory: page-aligned borders set by the linker. */
extern char user_image_start[], user_text_end[], user_data_start[], user_image_end[];

int main(const struct l4_bootinfo *boot);

#endif
