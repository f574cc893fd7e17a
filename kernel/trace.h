// SPDX-License-Identifier: MIT
/*
 * The trace buffer: a ring of typed records, newest overwrite oldest.  Costs one test of trace_mask
 * where it is off.  kdb shows it (`trace`, `hist`, `when`).
 */
#ifndef KERNEL_TRACE_H
#define KERNEL_TRACE_H

#include "kernel/lib/types.h"

/* name, argument names: ids of objects unless said otherwise in cmd_trace.c */
#define TRACE_LIST(X)                                   \
    X(IPC_SEND, "ipc.send", "ep", "to", "words")        \
    X(IPC_BLOCK, "ipc.block", "ep", "phase", "-")       \
    X(IPC_END, "ipc.end", "error", "-", "-")            \
    X(FAULT, "fault", "m0", "name", "ip")               \
    X(EXCEPTION, "exception", "vector", "error", "ip")  \
    X(MAP, "cap.map", "obj", "task", "name")            \
    X(UNMAP, "cap.unmap", "obj", "task", "name")        \
    X(CREATE, "obj.create", "obj", "type", "-")         \
    X(DESTROY, "obj.destroy", "obj", "type", "-")       \
    X(IRQ, "irq", "line", "state", "-")                 \
    X(SWITCH, "sched.switch", "from", "to", "res")      \
    X(BUDGET, "sched.budget", "res", "thread", "-")     \
    X(REFILL, "sched.refill", "res", "thread", "-")     \
    X(USER, "user", "w1", "w2", "w3")                   \
    X(DEBUG, "kdb", "what", "-", "-")

enum trace_event {
#define X(name, text, a, b, c) TRACE_##name,
    TRACE_LIST(X)
#undef X
    TRACE_EVENT_COUNT
};

struct trace_record { uint64_t when; uint32_t event, thread, a, b, c, sequence; };

extern uint32_t trace_mask;  /* bit per event; default: all but IPC_*, SWITCH; written by trace_set_mask() */
void trace_set_mask(uint32_t mask);
#define TRACE_ABI __attribute__((regparm(3))) /* called once for each page that is mapped or unmapped */
TRACE_ABI void trace_write(enum trace_event event, uint32_t a, uint32_t b, uint32_t c);
/* Record number n (counted since boot), if still there. */
bool trace_get(uint32_t n, struct trace_record *out);
uint32_t trace_total(void);
#define TRACE_RECORDS 4096u

/*
 * Enter the debugger when an event is recorded that a point selects: bit per event; `object` is among the
 * arguments or is the thread; the thread is `thread`; and for cap.map and cap.unmap the name is `slot` of `task`
 * and has all of `rights`.  0 selects everything, but mask 0: the point is free.  A stop in the middle of a
 * kernel operation: look, do not touch.  Only where a thread runs; the masks also switch recording of the events on.
 */
struct trace_point {
    uint32_t mask, object, thread;
    uint32_t task, slot, rights;  /* slot: base and space as in a flexpage word */
    uint32_t hits;
};
#define TRACE_POINTS 8u
extern struct trace_point trace_points[TRACE_POINTS];
extern uint32_t trace_stop_mask;  /* all masks together: the only test while nothing is selected */
extern int trace_stopped_by;      /* during such a stop: which point; else -1 */
extern const char *const trace_event_names[];

/* With any of these on, IPC goes the general way, which writes them (cpu.general_ipc).  The last one stands for
 * no event: it is set while stretches are measured. */
#define TRACE_GENERAL_IPC (1u << 31)
#define IPC_FAST_TRACE ((1u << TRACE_IPC_SEND) | (1u << TRACE_IPC_BLOCK) | (1u << TRACE_IPC_END) | \
                        (1u << TRACE_SWITCH) | TRACE_GENERAL_IPC)

#define TRACE(event, a, b, c)                                                      \
    do {                                                                           \
        if (UNLIKELY(trace_mask & (1u << TRACE_##event)))                          \
            trace_write(TRACE_##event, (uint32_t)(a), (uint32_t)(b), (uint32_t)(c)); \
    } while (0)

#endif
