// SPDX-License-Identifier: MIT
/*
 * Inside the GDB stub.  A kernel thread is a GDB thread; its number is the object's id.  The stopped
 * context (kernel code, or the user code of the current thread) is shown as the registers of
 * `context`; every other thread shows the user registers that it will return with.
 */
#ifndef GDBSTUB_STUB_H
#define GDBSTUB_STUB_H

#include "gdbstub/packet.h"
#include "kernel/debug/core.h"

struct stub {
    struct packet_reader in;
    struct packet_writer out;
    struct debug_stop *stop;    /* the one that is being looked at */
    uint32_t context;           /* thread id that has stop->regs */
    uint32_t general;           /* Hg: whose registers and memory */
    uint32_t continued;         /* Hc: for plain s; 0 any */
    bool attached, no_ack;
    bool running;               /* a resume is under way: the client waits for a stop reply */
    bool kernel_step;           /* it was a single step of kernel code */
    uint32_t stepped;           /* the thread that steps, if one does */
    bool mmio;                  /* m and M may touch device registers */
    bool range_on;              /* vCont;r: step until outside [range_low, range_end) */
    uint32_t range_low, range_end;
};
extern struct stub stub;

/* ---- threads.c ---- */
#define THREAD_ID_CPU 1000000000u /* the processor when no thread is current: the same while booting and idle */
uint32_t thread_context_id(void);             /* of what has stopped now */
struct thread *thread_of(uint32_t id);        /* NULL: none, or the processor itself */
bool thread_is_valid(uint32_t id);
/* Whose user addresses; without a thread those in the MMU, before that sigma0's; NULL: nobody's. */
const struct task *thread_task(uint32_t id);
void threads_reply_list(void);                /* qfThreadInfo: all in one */
void threads_reply_extra(uint32_t id);
void threads_reply_xml(uint32_t offset, uint32_t length);

/* A window [offset, offset + length) of a document that is made anew for each request. */
struct window { uint32_t skip, left; bool more; };
void window_begin(struct window *v, uint32_t offset, uint32_t length);
void window_printf(struct window *v, const char *format, ...) PRINTF(2, 3);
void window_text(struct window *v, const char *text); /* of any length, as it is */
void window_end(const struct window *v);

/* ---- target.c ---- */
void target_reply_features(uint32_t offset, uint32_t length);
void target_reply_registers(uint32_t id);
bool target_set_registers(uint32_t id, const uint8_t *hex, const uint8_t *end);
bool target_reply_register(uint32_t id, uint32_t number);
bool target_set_register(uint32_t id, uint32_t number, const uint8_t *hex, const uint8_t *end);
/* "04:...;05:...;08:...;09:...;" for stop replies */
void target_expedite(uint32_t id);
unsigned target_read(uint32_t address, void *to, unsigned size);
bool target_write(uint32_t address, const void *from, unsigned size);
void target_reply_crc(uint32_t address, uint32_t size);
void target_reply_search(uint32_t address, uint32_t size, const uint8_t *pattern, uint32_t length);

/* A general register, eip, eflags or selector as a word; false: no such number. */
bool target_core_register(uint32_t id, uint32_t number, uint32_t *value);

/* ---- conditions.c: what GDB sends behind Z0 and Z1 ---- */
const char *conditions_set(enum bp_kind kind, uint32_t address, const uint8_t *p, const uint8_t *end); /* NULL or a problem */
void conditions_drop(enum bp_kind kind, uint32_t address);
void conditions_clear(void);
/* At a hit in stub.context: is there none, or is one true? */
bool conditions_hold(enum bp_kind kind, uint32_t address);

/* ---- monitor.c ---- */
void monitor_run(const char *line);           /* output as O packets, then the final reply in stub.out */
bool monitor_has_kdb(void);

/* ---- rsp.c ---- */
void rsp_send(void);                          /* stub.out, with retransmission until it is acknowledged */
void rsp_error(unsigned number);

#endif
