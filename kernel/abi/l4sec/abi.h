// SPDX-License-Identifier: MIT
/*
 * The binary interface of L4.Sec on IA-32: numbers and layouts that kernel, user code, tests and
 * debugger share.  Only constants, X-macros and pure inline functions.  [M 3] [M 4]
 */
#ifndef L4SEC_ABI_H
#define L4SEC_ABI_H

#include <stdbool.h>
#include <stdint.h>

/* ---- names and flexpages  [M 3.1.4] [G1] ------------------------------------------------- */

#define L4_NAME_SHIFT  12u          /* one capability, one page, one port each span 2^12 */
#define L4_CAP_INVALID 0xfffff000u  /* the invalid capability, as it stands in a word [G2] */
#define L4_CAP_MAX     0xfffffu     /* its number; no capability can live there */
#define L4_USER_TOP    0xc0000000u  /* first address that is not user memory */

#define L4_SPACE_MEM 0u
#define L4_SPACE_CAP 1u
#define L4_SPACE_IO  2u

#define L4_FPAGE(base, space, size, rights) \
    (((uint32_t)(base) & 0xfffff000u) | ((uint32_t)(space) << 10) | ((uint32_t)(size) << 4) | \
     (uint32_t)(rights))
#define L4_CAP(number)           ((uint32_t)(number) << L4_NAME_SHIFT)
#define L4_CAP_FPAGE(number, rights) L4_FPAGE(L4_CAP(number), L4_SPACE_CAP, 12u, rights)

#define L4_ALL_MEM 0x0000020fu
#define L4_ALL_CAP 0x0000060fu
#define L4_ALL_IO  0x000009cfu

/* ---- rights  [G3] ------------------------------------------------------------------------- */

#define L4_X 1u   /* memory: execute; every other type: compare */
#define L4_W 2u   /* memory: write; endpoint: send; kernel page: allocate */
#define L4_R 4u   /* memory: read; endpoint: receive; kernel page: query */
#define L4_T 8u   /* memory: convert; endpoint: map; thread: schedule; task: bind */
#define L4_RIGHTS_ALL 15u

/* ---- object types  [M 3.2.4] [G8] ---------------------------------------------------------- */

#define L4_TYPE_LIST(X)                    \
    X(NONE, 0, "none", "-")                \
    X(TASK, 1, "task", "tk")               \
    X(THREAD, 2, "thread", "th")           \
    X(ENDPOINT, 3, "endpoint", "ep")       \
    X(KPAGE, 4, "kernel page", "kp")       \
    X(RESERVATION, 5, "reservation", "rs") \
    X(CPU, 6, "cpu", "cpu")                \
    X(MEMORY, 7, "memory", "mem")          \
    X(IOPORT, 8, "io port", "io")

enum l4_type {
#define X(name, number, text, prefix) L4_TYPE_##name = number,
    L4_TYPE_LIST(X)
#undef X
};

/* ---- system calls  [M 3.1.2] [G7] ---------------------------------------------------------- */

#define L4_SYSCALL_LIST(X)                  \
    X(IPC, 0, "short-ipc")                  \
    X(LONG_IPC, 1, "long-ipc")              \
    X(UNMAP, 2, "unmap")                    \
    X(CREATE, 3, "create")                  \
    X(THREAD_CONTROL, 4, "thread-control")  \
    X(EXREGS, 5, "exchange-registers")      \
    X(SCHEDULE, 6, "schedule")              \
    X(DEBUG, 7, "debug")                    \
    X(THREAD_SWITCH, 8, "thread-switch")    \
    X(PROCESSOR_CONTROL, 9, "processor-control") \
    X(CAP_INSPECT, 10, "cap-inspect")

enum l4_syscall {
#define X(name, number, text) L4_SYS_##name = number,
    L4_SYSCALL_LIST(X)
#undef X
};

/* ---- errors  [G8]: W0[3:0] base, W0[31:24] detail, W0[23:20] index -------------------------- */

#define L4_ERROR_LIST(X)                                              \
    X(OK, 0, "done")                                                  \
    X(SND_TIMEOUT, 1, "the send phase timed out")                     \
    X(RCV_TIMEOUT, 2, "the receive phase timed out")                  \
    X(SND_ABORT, 3, "the send phase was aborted")                     \
    X(RCV_ABORT, 4, "the receive phase was aborted")                  \
    X(CAP, 5, "capability fault without a handler, or refused by it") \
    X(DENIED, 6, "not allowed, whatever the capability says")         \
    X(PARAM, 7, "malformed parameter")                                \
    X(NOMEM, 8, "the named kernel pages cannot hold the object")      \
    X(NOTABLE, 9, "no table backs the destination name")              \
    X(EXISTS, 10, "the destination name is occupied")                 \
    X(MAP, 11, "delivered, but an item was not completely performed") \
    X(STATE, 12, "the object is in the wrong state")                  \
    X(INCOMPLETE, 13, "stopped half-way; call again")                 \
    X(NOSYS, 14, "no such call, or it is switched off")               \
    X(EXT, 15, "reserved")

enum l4_error {
#define X(name, number, text) L4_##name = number,
    L4_ERROR_LIST(X)
#undef X
};

#define L4_DETAIL_LIST(X)                                          \
    X(NONE, 0x00, "-")                                             \
    X(EMPTY, 0x01, "nothing at that name")                         \
    X(TYPE, 0x02, "object of another type")                        \
    X(RIGHTS, 0x03, "a right is missing")                          \
    X(CONVERTED, 0x04, "the page is a kernel page now")            \
    X(NO_CAPTABLE, 0x05, "no capability table there")              \
    X(NO_PAGETABLE, 0x06, "no page table there")                   \
    X(NO_WINDOW, 0x08, "the receiver's window does not accept it") \
    X(OCCUPIED, 0x09, "the destination holds something else")      \
    X(TOO_DEEP, 0x0a, "the mapping tree is too deep")              \
    X(RES_EMPTY, 0x0b, "no usable kernel page in the resources")   \
    X(RES_FULL, 0x0c, "no room in the kernel pages")               \
    X(RES_ALIGN, 0x0d, "no wholly free 4 KB page in them")         \
    X(BAD_FLEXPAGE, 0x0e, "not a flexpage of this kind")           \
    X(BAD_INDEX, 0x0f, "no such register")                         \
    X(BAD_COUNT, 0x10, "count out of range")                       \
    X(BAD_VALUE, 0x11, "value out of range")                       \
    X(RESERVED_OP, 0x12, "reserved operation")                     \
    X(ALIGN, 0x13, "misaligned")                                   \
    X(KERNEL_RANGE, 0x14, "outside user memory")                   \
    X(NOT_CONVERTIBLE, 0x15, "this memory cannot be converted")    \
    X(SHARE, 0x16, "share too large or too small")                 \
    X(PRIO, 0x17, "priority above the source's")                   \
    X(DYING, 0x18, "the object is being destroyed")                \
    X(NOT_BOUND, 0x19, "not bound to a task")                      \
    X(RUNNING, 0x1a, "not halted, or still bound")                 \
    X(SELF, 0x1b, "not on oneself")                                \
    X(HWTHREAD, 0x1c, "not on an interrupt thread")                \
    X(TRUNC_ITEM, 0x1d, "more items than the receiver takes")      \
    X(BADGE_FULL, 0x1e, "the badge has no room for these bits")    \
    X(KILLED, 0x1f, "ended by destruction")                        \
    X(NO_HANDLER, 0x20, "no handler")                              \
    X(ABORTED_XFER, 0x21, "the partner vanished in mid-transfer")  \
    X(UNSUPPORTED_HW, 0x22, "the hardware cannot do this")

enum l4_detail {
#define X(name, number, text) L4_D_##name = number,
    L4_DETAIL_LIST(X)
#undef X
};

#define L4_ERR(base, detail, index) \
    ((uint32_t)(base) | ((uint32_t)(index) << 20) | ((uint32_t)(detail) << 24))
#define L4_ERR_BASE(w)   ((w) & 15u)
#define L4_ERR_DETAIL(w) ((w) >> 24)
#define L4_ERR_INDEX(w)  (((w) >> 20) & 15u)

/* ---- short-ipc  [M 3.2.1] [G9] [G10] [G16] --------------------------------------------------- */

#define L4_IPC_W0(send, st, sc)     (((send) & 0xfffff000u) | ((uint32_t)(st) << 10) | ((uint32_t)(sc) << 4) | L4_SYS_IPC)
#define L4_IPC_W1(recv, rt, rc, ts) (((recv) & 0xfffff000u) | ((uint32_t)(rt) << 10) | ((uint32_t)(rc) << 4) | ((uint32_t)(ts) << 2))
#define L4_WORDS_MAX     63u   /* untyped words of one message */
#define L4_ITEMS_MAX     3u
#define L4_PARAM_WORDS   71u   /* W0..W70 */
#define L4_TS_NEVER      0u
#define L4_TS_ZERO       1u    /* send at once or not at all; then wait for ever */
#define L4_TS_TCR16      2u
#define L4_TS_TCR17      3u
#define L4_TIMEOUT_ZERO  0x0400u
#define L4_TIMEOUT_NEVER 0u
#define L4_TIMEOUT(e, m) (((uint32_t)(e) << 10) | (uint32_t)(m)) /* 2^e * m microseconds */

#define L4_ITEM_VOID   0u
#define L4_ITEM_MAP    1u
#define L4_ITEM_MAPRES 2u
#define L4_ITEM_TABRES 3u
#define L4_ITEM_BADGE  4u

/* ---- thread control registers  [M 3.1.3] [G23] ------------------------------------------------ */

#define L4_TCR_COUNT     18u
#define L4_TCR_TASK      1u
#define L4_TCR_USER      2u
#define L4_TCR_SENDER    3u
#define L4_TCR_FAULT_SND 4u
#define L4_TCR_FAULT_RCV 5u
#define L4_TCR_EXC_SND   8u
#define L4_TCR_EXC_RCV   9u
#define L4_TCR_SNDRES    10u
#define L4_TCR_RCVRES    11u
#define L4_TCR_WINDOW    12u   /* + space: 12 memory, 13 capabilities, 14 IO, 15 must be 0 */
#define L4_TCR_TIMEOUT0  16u
#define L4_TCR_TIMEOUT1  17u

/* ---- exchange-registers W0  [M 3.2.2] [G22] ---------------------------------------------------- */

#define L4_XR_SET_USER  0x800u
#define L4_XR_SET_FLAGS 0x400u
#define L4_XR_SET_SP    0x200u
#define L4_XR_SET_IP    0x100u
#define L4_XR_ABORT_SHIFT 6u   /* 0 none 1 all 2 receive only 3 nested only */
#define L4_XR_HALT_GIVEN 0x20u /* h */
#define L4_XR_HALT       0x10u /* H */
#define L4_XR_OUT_HALTED   0x10u
#define L4_XR_OUT_RECV     0x20u
#define L4_XR_OUT_SEND     0x40u
#define L4_XR_OUT_NESTED   0x80u
#define L4_USER_EFLAGS   0x00250dd5u /* the bits that a program may choose [G19] */

/* ---- schedule W0, thread-switch W0, processor-control, cap-inspect  [G29] [G30] [G31] [G5] ------ */

#define L4_SCHED_READ       0x010u
#define L4_SCHED_SET        0x020u
#define L4_SCHED_SPLIT      0x040u
#define L4_SCHED_MERGE      0x080u
#define L4_SCHED_ASSOCIATE  0x100u
#define L4_SCHED_DISSOCIATE 0x200u
#define L4_SCHED_SOFT       0x10000u
#define L4_SWITCH_NEXT      0x10u
#define L4_SWITCH_PERIOD    0x20u
#define L4_CPU_INFO  0u
#define L4_CPU_START 1u
#define L4_CPU_STOP  2u
#define L4_CPU_FREQUENCY 3u
#define L4_CPU_IDLE  4u
#define L4_INSPECT_IDENTITY 0u
#define L4_INSPECT_BADGE    1u

/* ---- kernel-made messages: M0[31:24]  [G18] [G19] [G21] ------------------------------------------ */

#define L4_PROTO_FAULT     1u
#define L4_PROTO_EXCEPTION 2u
#define L4_PROTO_IRQ       3u
#define L4_REPLY_RETRY   0u
#define L4_REPLY_REFLECT 1u
#define L4_REPLY_FAIL    2u
#define L4_START_MORE    0xffffffffu /* startup message: take the items and wait on [G20] */

#define L4_FAULT_OP_LIST(X)                       \
    X(READ, 0x00, "read")                         \
    X(WRITE, 0x01, "write")                       \
    X(FETCH, 0x02, "fetch")                       \
    X(IO, 0x10, "io access")                      \
    X(SEND, 0x20, "send")                         \
    X(SEND_ITEMS, 0x21, "send with items")        \
    X(RECEIVE, 0x22, "receive")                   \
    X(EXREGS_READ, 0x30, "read registers")        \
    X(EXREGS_WRITE, 0x31, "write registers")      \
    X(TCR_READ, 0x38, "read tcr")                 \
    X(TCR_WRITE, 0x39, "write tcr")               \
    X(BIND, 0x3a, "bind")                         \
    X(OBJRES, 0x40, "create: object resources")   \
    X(SPACERES, 0x41, "create: space resources")  \
    X(CONVERT, 0x42, "convert")                   \
    X(RESERVATION, 0x50, "schedule: reservation") \
    X(SOURCE, 0x51, "schedule: source")           \
    X(SCHED_THREAD, 0x52, "schedule: thread")     \
    X(SWITCH, 0x58, "thread-switch")              \
    X(PROCESSOR, 0x60, "processor-control")       \
    X(PAGETABLE, 0x70, "insert: page table")      \
    X(CAPTABLE, 0x71, "insert: capability table")

enum l4_fault_op {
#define X(name, number, text) L4_OP_##name = number,
    L4_FAULT_OP_LIST(X)
#undef X
};

#define L4_FAULT_M0(op, nr, reason, type, need)                                    \
    ((L4_PROTO_FAULT << 24) | ((uint32_t)(op) << 16) | ((uint32_t)(nr) << 12) |    \
     ((uint32_t)(reason) << 8) | ((uint32_t)(type) << 4) | (uint32_t)(need))

/* ---- debug call  [G44]: W0[11:4] --------------------------------------------------------------- */

#define L4_DEBUG_OP_LIST(X)                                                    \
    X(ENTER, 0, "enter the debugger; W1 text, W2 length")                      \
    X(PUTC, 1, "W1 character")                                                 \
    X(PUTS, 2, "W1 text, W2 length")                                           \
    X(GETC, 3, "out W1: character or -1")                                      \
    X(NAME, 4, "name the object at W0[31:12]; W1..W3 text of up to 12 bytes")  \
    X(TRACE, 5, "W1..W3 go to the trace")                                      \
    X(CLOCK, 6, "out W1/W2 clock, W3 ticks per millisecond, W4 switches")      \
    X(CHECK, 7, "run the invariants: out W1 failures, W2 free kernel bytes, W3 free frames, W4 objects") \
    X(EXEC, 8, "run a kdb line: W1 text, W2 length, W3 buffer, W4 size; out W1 bytes, W2 rc") \
    X(POISON, 9, "fill all that the kernel keeps and does not use with W1")

enum l4_debug_op {
#define X(name, number, text) L4_DEBUG_##name = number,
    L4_DEBUG_OP_LIST(X)
#undef X
};

/* ---- published sizes  [M 2.5] [G50] -------------------------------------------------------------- */

#define L4_UNIT           32u  /* allocation unit and alignment inside a kernel page */
#define L4_UNITS_USABLE   126u /* per 4 KB page; the first two hold its map */
#define L4_SIZE_NODE        32u
#define L4_SIZE_ENDPOINT    64u
#define L4_SIZE_KPAGE       64u
#define L4_SIZE_RESERVATION 128u
#define L4_SIZE_TASK        256u
#define L4_SIZE_THREAD      1984u
#define L4_TASK_PAGES       5u /* page directory, its shadow, capability directory, 2 IO bitmap */
#define L4_PAGETABLE_PAGES  2u /* hardware table and its shadow */
#define L4_CAPTABLE_PAGES   1u

/* ---- what sigma0 finds  [M 2.7.2] [G32] ---------------------------------------------------------- */

#define L4_BOOT_MAGIC 0x4c345345u
#define L4_S0_TASK   1u
#define L4_S0_THREAD 2u
#define L4_S0_RESERVATION 3u
#define L4_S0_CPU    0x10u
#define L4_S0_IRQ    0x40u
#define L4_S0_KPAGE  0x100u
#define L4_S0_FREE   0x200u

#define L4_MEM_RAM     1u
#define L4_MEM_DEVICE  2u
#define L4_MEM_KERNEL  3u
#define L4_MEM_MODULE  4u
#define L4_MEM_DROPPED 5u

struct l4_mem_desc { uint32_t start, end, type; };          /* end is the first byte behind */
struct l4_module_desc { uint32_t start, end, string; };     /* string: offset in the page */
struct l4_size_desc { uint32_t type, size, align, pages; };  /* type 0x80 node, 0x81 page table, 0x82 capability table */
#define L4_SIZE_TYPE_NODE      0x80u
#define L4_SIZE_TYPE_PAGETABLE 0x81u
#define L4_SIZE_TYPE_CAPTABLE  0x82u

struct l4_bootinfo {
    uint32_t magic, version, size, user_top, page_sizes;
    uint32_t first_free_cap, task, thread, reservation;
    uint32_t cpu_base, cpu_count, irq_base, irq_count, kpage_base, kpage_count;
    uint32_t tsc_khz, tick_us;
    uint32_t mem_offset, mem_count, module_offset, module_count, size_offset, size_count;
    uint32_t placement;      /* 1 = first fit */
    uint32_t kernel_irqs;    /* bitmap of lines that the kernel keeps */
};

#endif
