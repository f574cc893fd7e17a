// SPDX-License-Identifier: MIT
/*
 * The GDB remote stub on COM2: the packet loop and the commands.
 *
 * The client speaks first; nothing happens on the line before it does.  A session begins with qSupported
 * and ends with D, k, or the next qSupported; at its begin and end all points of GDB are gone.
 */
#include <arch/console.h>
#include <arch/debug.h>
#include "gdbstub/stub.h"
#include "kernel/clock.h"
#include "kernel/cpu.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/string.h"

struct stub stub;

#define BYTE_NONE (-1)
#define BYTE_KEY  (-2) /* somebody pressed the break-in key on COM1 */

#define ACK_TRIES 3u
#define ACK_MS    1000u
#define FIRST_MS  1000u /* a first packet must come this quickly behind its `$`; else it was noise */

/* ---- the line ---- */

static void put(void *arg, uint8_t byte)
{
    (void)arg;
    arch_serial_put(1, byte);
}

static bool key_pressed; /* seen while something else was under way */

/* The next byte; ms 0: wait for ever.  heed: the key on COM1 ends the wait; else it is only noted. */
static int wait_byte(uint32_t ms, bool heed)
{
    uint64_t start = arch_clock_raw(), span = (uint64_t)clock_khz * ms;
    for (uint32_t polls = 0;; polls++) {
        int byte = debug_line_get(1);
        if (byte >= 0)
            return byte;
        if (arch_serial_get(0) == debug_break_key)
            key_pressed = true;
        if (heed && key_pressed) {
            key_pressed = false;
            return BYTE_KEY;
        }
        if (ms && (clock_khz ? arch_clock_raw() - start > span : polls > 2000u * ms))
            return BYTE_NONE;
    }
}

void rsp_send(void)
{
    if (stub.out.overflow)
        rsp_error(0x16);
    for (unsigned tries = 0; tries < ACK_TRIES; tries++) {
        packet_send(&stub.out, put, NULL);
        if (stub.no_ack)
            return;
        for (;;) {
            int byte = wait_byte(ACK_MS, false);
            if (byte < 0)
                break;
            enum packet_event event = packet_feed(&stub.in, (uint8_t)byte);
            if (event == PACKET_ACK || packet_partial(&stub.in))
                return; /* the begin of the next packet acknowledges too */
            if (event == PACKET_NAK)
                break;
        }
    }
}

void rsp_error(unsigned number)
{
    packet_begin(&stub.out);
    packet_byte(&stub.out, 'E');
    packet_hex8(&stub.out, (uint8_t)number);
}

static void reply_text(const char *text)
{
    packet_begin(&stub.out);
    packet_text(&stub.out, text);
}
static void reply_ok(void) { reply_text("OK"); }
static void reply_empty(void) { packet_begin(&stub.out); }

/* ---- user points: which task an address belongs to ---- */

/*
 * GDB takes its points out at every stop and sets them again when it resumes, naming only addresses; the
 * thread it has selected then may be of another task.  So a point that was taken out remembers its task.
 * A GDB that leaves its points in (QL4Sec:points-stay, from l4sec.py) takes one out only to step over it;
 * what it sets without having resumed in between is new.
 */
#define REMEMBERED 32u
static struct {
    uint32_t address, task_id;
    const struct task *task;
    enum bp_kind kind;
    uint32_t resumes;
} remembered[REMEMBERED];
static uint32_t resumes;
static bool points_stay;
static unsigned remembered_next;

static void remember(enum bp_kind kind, uint32_t address, const struct task *task)
{
    unsigned n = REMEMBERED;
    for (unsigned i = 0; i < REMEMBERED; i++)
        if (remembered[i].task && remembered[i].address == address && remembered[i].kind == kind)
            n = i;
    if (n == REMEMBERED)
        n = remembered_next++ % REMEMBERED;
    remembered[n].address = address;
    remembered[n].task = task;
    remembered[n].task_id = task->obj.id;
    remembered[n].kind = kind;
    remembered[n].resumes = resumes;
}

static const struct task *recall(enum bp_kind kind, uint32_t address)
{
    for (unsigned i = 0; i < REMEMBERED; i++) {
        const struct task *task = remembered[i].task;
        if (!task || remembered[i].address != address || remembered[i].kind != kind)
            continue;
        remembered[i].task = NULL;
        if (points_stay && resumes != remembered[i].resumes + 1)
            continue;
        if (task->obj.id == remembered[i].task_id && task->obj.type == L4_TYPE_TASK)
            return task;
    }
    return NULL;
}

static void session_clear(void)
{
    bp_clear_all(BP_OWNER_GDB);
    conditions_clear();
    memset(remembered, 0, sizeof(remembered));
    stub.no_ack = stub.running = stub.range_on = stub.mmio = false;
    stub.continued = 0;
    points_stay = false;
}

/* ---- stop replies ---- */

enum { SIG_INT = 2, SIG_ILL = 4, SIG_TRAP = 5, SIG_ABRT = 6, SIG_FPE = 8, SIG_SEGV = 11 };

static unsigned signal_of_vector(uint32_t vector)
{
    switch (vector) {
    case 0: case 4: case 16: case 19: return SIG_FPE;
    case 1: case 3: return SIG_TRAP;
    case 6: case 7: return SIG_ILL;
    default: return SIG_SEGV;
    }
}

static bool interrupted; /* a Ctrl-C ended a range step */

static unsigned signal_of(const struct debug_stop *stop)
{
    const struct thread *t = thread_current();
    switch (stop->reason) {
    case DEBUG_PANIC: return SIG_ABRT;
    case DEBUG_KEY: case DEBUG_NMI: return SIG_INT;
    case DEBUG_TRAP: case DEBUG_DOUBLE_FAULT: return signal_of_vector(stop->regs->vector);
    case DEBUG_NO_HANDLER: return t && t->syscall ? SIG_SEGV : signal_of_vector(stop->regs->vector);
    case DEBUG_GDB: return stub.running ? SIG_INT : SIG_TRAP;
    case DEBUG_CALL: case DEBUG_BREAKPOINT: case DEBUG_STEP: break;
    }
    return interrupted ? SIG_INT : SIG_TRAP;
}

static void reply_stop(void)
{
    packet_begin(&stub.out);
    packet_byte(&stub.out, 'T');
    packet_hex8(&stub.out, (uint8_t)signal_of(stub.stop));
    target_expedite(stub.context);
    packet_text(&stub.out, "thread:");
    packet_number(&stub.out, stub.context);
    packet_text(&stub.out, ";core:0;");
    if (debug_cause.hardcoded) {
        packet_text(&stub.out, "swbreak:;");
    } else if (debug_cause.valid) {
        static const char *const reasons[] = { [BP_SOFT] = "swbreak", [BP_EXEC] = "hwbreak",
                                               [BP_WRITE] = "watch", [BP_ACCESS] = "awatch" };
        packet_text(&stub.out, reasons[debug_cause.hit.kind]);
        packet_byte(&stub.out, ':');
        if (debug_cause.hit.kind == BP_WRITE || debug_cause.hit.kind == BP_ACCESS)
            packet_number(&stub.out, debug_cause.hit.address);
        packet_byte(&stub.out, ';');
    }
}

/* ---- commands ---- */

enum outcome {
    SAY,     /* stub.out is the reply */
    SILENT,  /* no reply now: the target runs, the next stop is the reply */
    DETACHED,/* reply, then run free */
};

static enum debug_resume resume_how;

struct args { const uint8_t *p, *end; };

static bool take(struct args *a, char c)
{
    if (a->p == a->end || *a->p != (uint8_t)c)
        return false;
    a->p++;
    return true;
}

static bool take_number(struct args *a, uint32_t *value) { return packet_parse(&a->p, a->end, value); }

static bool take_word(struct args *a, const char *word)
{
    size_t n = strlen(word);
    if ((size_t)(a->end - a->p) < n || memcmp(a->p, word, n) != 0)
        return false;
    a->p += n;
    return true;
}

/* -1 all, 0 any, else an id.  LLDB and GDB without multiprocess both send plain numbers. */
static bool take_thread(struct args *a, uint32_t *id, bool *every)
{
    *every = false;
    if (take(a, '-')) {
        *every = true;
        *id = 0;
        return take(a, '1');
    }
    return take_number(a, id);
}

static enum outcome bad(void)
{
    rsp_error(0x16);
    return SAY;
}

/* addr,len */
static bool take_range(struct args *a, uint32_t *address, uint32_t *size)
{
    return take_number(a, address) && take(a, ',') && take_number(a, size);
}

static uint8_t buffer[PACKET_MAX / 2];

static enum outcome read_memory(struct args *a, bool binary)
{
    uint32_t address, size;
    if (!take_range(a, &address, &size) || a->p != a->end)
        return bad();
    uint32_t most = binary ? sizeof(buffer) : sizeof(buffer) - 1;
    uint32_t done = target_read(address, buffer, min_u32(size, most));
    if (size && !done) {
        rsp_error(0x0e);
        return SAY;
    }
    packet_begin(&stub.out);
    if (binary) {
        packet_byte(&stub.out, 'b');
        for (uint32_t i = 0; i < done; i++)
            packet_byte(&stub.out, buffer[i]);
    } else {
        packet_hex_bytes(&stub.out, buffer, done);
    }
    return SAY;
}

static enum outcome write_memory(struct args *a, bool binary)
{
    uint32_t address, size;
    if (!take_range(a, &address, &size) || !take(a, ':'))
        return bad();
    uint32_t given = (uint32_t)(a->end - a->p);
    const uint8_t *bytes = a->p;
    if (binary) {
        if (given != size)
            return bad();
    } else {
        if (size > sizeof(buffer) || given != 2 * size || !packet_parse_bytes(a->p, a->end, buffer, size))
            return bad();
        bytes = buffer;
    }
    if (target_write(address, bytes, size))
        reply_ok();
    else
        rsp_error(0x0e);
    return SAY;
}

static enum outcome set_point(struct args *a, bool on)
{
    static const enum bp_kind kinds[] = { BP_SOFT, BP_EXEC, BP_WRITE, BP_ACCESS, BP_ACCESS };
    uint32_t type, address, size;
    if (!take_number(a, &type) || !take(a, ',') || !take_range(a, &address, &size))
        return bad();
    if (type > 4 || type == 3) { /* IA-32 cannot watch reads alone */
        reply_empty();
        return SAY;
    }
    enum bp_kind kind = kinds[type];
    const struct task *task = bp_clear_any(kind, address, BP_OWNER_GDB);
    conditions_drop(kind, address);
    if (!on) {
        if (task)
            remember(kind, address, task);
        reply_ok();
        return SAY;
    }
    if (address < KERNEL_BASE) {
        if (!task) /* else GDB only says again what is set */
            task = recall(kind, address);
        if (!task)
            task = thread_task(stub.general);
    }
    const char *problem = bp_set(kind, task, address, size ? size : 1, BP_OWNER_GDB);
    if (!problem) {
        problem = conditions_set(kind, address, a->p, a->end);
        if (problem)
            (void)bp_clear_any(kind, address, BP_OWNER_GDB);
    }
    if (problem) {
        reply_text("E.");
        packet_text(&stub.out, problem);
    } else {
        reply_ok();
    }
    return SAY;
}

static enum outcome select_thread(struct args *a)
{
    if (a->p == a->end)
        return bad();
    uint8_t what = *a->p++;
    uint32_t id;
    bool every;
    if (!take_thread(a, &id, &every))
        return bad();
    if (!every && id && !thread_is_valid(id))
        return bad();
    if (what == 'g')
        stub.general = every || !id ? stub.context : id;
    else if (what == 'c')
        stub.continued = every ? 0 : id;
    else
        return bad();
    reply_ok();
    return SAY;
}

/* ---- resuming ---- */

static enum outcome go(void)
{
    resume_how = DEBUG_GO;
    stub.kernel_step = false;
    stub.running = true;
    return SILENT;
}

static enum outcome step(uint32_t id)
{
    resume_how = DEBUG_STEP_ONE;
    stub.kernel_step = false;
    stub.stepped = id ? id : stub.context;
    if (id == 0 || id == stub.context) {
        stub.kernel_step = !stub.stop->regs->user;
    } else {
        struct thread *t = thread_of(id);
        if (!t)
            return bad();
        debug_step_thread(t);
    }
    stub.running = true;
    return SILENT;
}

/* c, s, C, S: [signal[;address]] or [address] */
static enum outcome resume_plain(struct args *a, bool stepping, bool with_signal)
{
    uint32_t value;
    if (with_signal && !take_number(a, &value))
        return bad();
    if (with_signal)
        (void)take(a, ';');
    if (a->p != a->end) {
        if (!take_number(a, &value))
            return bad();
        stub.stop->regs->eip = value;
    }
    return stepping ? step(stub.continued) : go();
}

/* The first step or range step decides; everything else continues.  There is one machine to run. */
static enum outcome resume_cont(struct args *a)
{
    bool stepping = false, acting = false, ranged = false;
    uint32_t who = 0, low = 0, end = 0;
    while (take(a, ';')) {
        if (a->p == a->end)
            return bad();
        uint8_t action = *a->p++;
        uint32_t value, id = 0, from = 0, to = 0;
        bool every;
        if ((action == 'C' || action == 'S') && !take_number(a, &value))
            return bad();
        if (action == 'r' && !take_range(a, &from, &to))
            return bad();
        if (take(a, ':') && !take_thread(a, &id, &every))
            return bad();
        acting = true;
        if (stepping)
            continue;
        if (action == 's' || action == 'S' || action == 'r') {
            stepping = true;
            ranged = action == 'r';
            who = id;
            low = from;
            end = to;
        } else if (action != 'c' && action != 'C') {
            return bad();
        }
    }
    if (!acting || a->p != a->end)
        return bad();
    if (!stepping)
        return go();
    stub.range_on = ranged && (who == 0 || who == stub.context);
    stub.range_low = low;
    stub.range_end = end;
    return step(who);
}

/* ---- queries ---- */

static enum outcome query_supported(void)
{
    session_clear();
    stub.attached = true;
    stub.general = stub.context;
    packet_begin(&stub.out);
    packet_text(&stub.out, "PacketSize=");
    packet_number(&stub.out, PACKET_MAX);
    packet_text(&stub.out, ";QStartNoAckMode+;qXfer:features:read+;qXfer:threads:read+;swbreak+;hwbreak+;"
                           "vContSupported+;binary-upload+;ConditionalBreakpoints+");
    return SAY;
}

static enum outcome query_xfer(struct args *a)
{
    uint32_t offset, length;
    if (take_word(a, "features:read:")) {
        if (!take_word(a, "target.xml:")) {
            rsp_error(0); /* no such annex */
            return SAY;
        }
        if (!take_range(a, &offset, &length))
            return bad();
        target_reply_features(offset, length);
    } else if (take_word(a, "threads:read::")) {
        if (!take_range(a, &offset, &length))
            return bad();
        threads_reply_xml(offset, length);
    } else {
        reply_empty();
    }
    return SAY;
}

static enum outcome query_monitor(struct args *a)
{
    static char line[512];
    uint32_t size = (uint32_t)(a->end - a->p) / 2;
    if (size >= sizeof(line) || !packet_parse_bytes(a->p, a->end, (uint8_t *)line, size))
        return bad();
    line[size] = '\0';
    monitor_run(line);
    return SAY;
}

static void reply_hex_text(const char *key, const char *text)
{
    packet_text(&stub.out, key);
    packet_hex_bytes(&stub.out, text, strlen(text));
    packet_byte(&stub.out, ';');
}

static enum outcome query(struct args *a)
{
    uint32_t id, address, size;
    bool every;
    reply_empty();
    if (take_word(a, "Supported"))
        return query_supported();
    if (take_word(a, "Xfer:"))
        return query_xfer(a);
    if (take_word(a, "Rcmd,"))
        return query_monitor(a);
    if (take_word(a, "fThreadInfo")) {
        threads_reply_list();
    } else if (take_word(a, "sThreadInfo")) {
        packet_byte(&stub.out, 'l');
    } else if (take_word(a, "ThreadExtraInfo,")) {
        if (!take_thread(a, &id, &every) || !thread_is_valid(id))
            return bad();
        threads_reply_extra(id);
    } else if (take_word(a, "CRC:")) {
        if (!take_range(a, &address, &size))
            return bad();
        target_reply_crc(address, size);
    } else if (take_word(a, "Search:memory:")) {
        if (!take_number(a, &address) || !take(a, ';') || !take_number(a, &size) || !take(a, ';'))
            return bad();
        target_reply_search(address, size, a->p, (uint32_t)(a->end - a->p));
    } else if (take_word(a, "L4Sec")) { /* scripts/gdb/l4sec.py asks whom it talks to */
        packet_text(&stub.out, monitor_has_kdb() ? "kdb" : "stub");
    } else if (take_word(a, "Attached")) {
        packet_byte(&stub.out, '1');
    } else if (take_word(a, "Symbol")) {
        reply_ok();
    } else if (take_word(a, "HostInfo")) {
        reply_hex_text("triple:", "i386-unknown-none-elf");
        packet_text(&stub.out, "ptrsize:4;endian:little;");
    } else if (take_word(a, "ProcessInfo")) {
        packet_text(&stub.out, "pid:1;");
        reply_hex_text("triple:", "i386-unknown-none-elf");
        packet_text(&stub.out, "ostype:none;ptrsize:4;endian:little;");
    } else if (take_word(a, "C") && a->p == a->end) {
        packet_text(&stub.out, "QC");
        packet_number(&stub.out, stub.context);
    }
    return SAY;
}

static enum outcome verbose(struct args *a)
{
    if (take_word(a, "Cont?")) {
        reply_text("vCont;c;C;s;S;r");
        return SAY;
    }
    if (take_word(a, "Cont"))
        return resume_cont(a);
    if (take_word(a, "Kill")) {
        reply_ok();
        return DETACHED;
    }
    reply_empty(); /* vMustReplyEmpty and everything unknown */
    return SAY;
}

static enum outcome command(const uint8_t *data, uint32_t size)
{
    struct args a = { data + 1, data + size };
    uint32_t number;
    bool every;
    reply_empty();
    if (!size)
        return SAY;
    switch (data[0]) {
    case '?':
        reply_stop();
        return SAY;
    case 'g':
        target_reply_registers(stub.general);
        return SAY;
    case 'G':
        if (!target_set_registers(stub.general, a.p, a.end))
            return bad();
        reply_ok();
        return SAY;
    case 'p':
        if (!take_number(&a, &number) || !target_reply_register(stub.general, number))
            return bad();
        return SAY;
    case 'P':
        if (!take_number(&a, &number) || !take(&a, '=') ||
            !target_set_register(stub.general, number, a.p, a.end))
            return bad();
        reply_ok();
        return SAY;
    case 'm': return read_memory(&a, false);
    case 'x': return read_memory(&a, true);
    case 'M': return write_memory(&a, false);
    case 'X': return write_memory(&a, true);
    case 'c': return resume_plain(&a, false, false);
    case 'C': return resume_plain(&a, false, true);
    case 's': return resume_plain(&a, true, false);
    case 'S': return resume_plain(&a, true, true);
    case 'Z': return set_point(&a, true);
    case 'z': return set_point(&a, false);
    case 'H': return select_thread(&a);
    case 'T':
        if (!take_thread(&a, &number, &every) || !thread_is_valid(number))
            rsp_error(1);
        else
            reply_ok();
        return SAY;
    case 'q': return query(&a);
    case 'v': return verbose(&a);
    case 'Q':
        if (take_word(&a, "StartNoAckMode")) {
            reply_ok();
            rsp_send(); /* this reply is still acknowledged */
            stub.no_ack = true;
            return SILENT;
        }
        if (take_word(&a, "L4Sec:points-stay")) {
            points_stay = true;
            reply_ok();
        }
        return SAY;
    case 'D':
        reply_ok();
        return DETACHED;
    case 'k':
        packet_begin(&stub.out);
        return DETACHED;
    default:
        return SAY;
    }
}

/* ---- the loop ---- */

/* Session commands are acknowledged even if the last session had switched that off. */
static void acknowledge(void)
{
    static const char supported[] = "qSupported", no_ack[] = "QStartNoAckMode";
    bool fresh = (stub.in.size >= sizeof(supported) - 1 && memcmp(stub.in.data, supported, sizeof(supported) - 1) == 0) ||
                 (stub.in.size >= sizeof(no_ack) - 1 && memcmp(stub.in.data, no_ack, sizeof(no_ack) - 1) == 0);
    if (fresh)
        stub.no_ack = false;
    if (!stub.no_ack)
        put(NULL, '+');
}

/* Wait for a packet: READY or TOO_LONG.  NOTHING: the first one did not come; BREAK: the key on COM1. */
static enum packet_event receive(void)
{
    for (;;) {
        /* kdb's `gdb` and gdb=wait wait for a client; a byte on the line must be followed by a packet. */
        int byte = wait_byte(stub.attached || stub.stop->reason != DEBUG_GDB ? 0 : FIRST_MS, true);
        if (byte == BYTE_NONE)
            return PACKET_NOTHING;
        if (byte == BYTE_KEY)
            return PACKET_BREAK;
        enum packet_event event = packet_feed(&stub.in, (uint8_t)byte);
        switch (event) {
        case PACKET_READY:
        case PACKET_TOO_LONG:
            acknowledge();
            return event;
        case PACKET_BAD:
            if (!stub.no_ack)
                put(NULL, '-');
            break;
        case PACKET_BREAK: /* stopped already */
        case PACKET_NOTHING:
        case PACKET_ACK:
        case PACKET_NAK:
            break;
        }
    }
}

static int range_byte = BYTE_NONE; /* what came on the line at the end of the last step */

/* A range step goes on here, without the client, while nothing of interest happens. */
static bool range_goes_on(const struct debug_stop *stop)
{
    const struct debug_regs *regs = stop->regs;
    const struct thread *t = thread_current();
    paddr_t phys;
    if (!stub.range_on || stop->reason != DEBUG_STEP || debug_cause.valid)
        return false;
    if (regs->eip < stub.range_low || regs->eip >= stub.range_end)
        return false;
    if (probe_translate(t ? t->task : NULL, regs->eip, &phys) && bp_at_phys(phys))
        return false;
    range_byte = arch_serial_get(1); /* a Ctrl-C, or the packet of a new client */
    return range_byte == BYTE_NONE;
}

/*
 * A point was hit, and its conditions are false: true if the machine goes on at once, as it was resumed.  A
 * step that ends there is reported as the step that it is.
 */
static bool condition_goes_on(struct debug_stop *stop)
{
    if (!stub.running || !debug_cause.valid || conditions_hold(debug_cause.hit.kind, debug_cause.hit.address))
        return false;
    debug_cause.valid = false;
    if (resume_how == DEBUG_GO)
        return true;
    if (stub.kernel_step || stub.stepped == stub.context)
        return stop->reason != DEBUG_STEP;
    struct thread *t = thread_of(stub.stepped); /* somebody else came along; the step is still to be done */
    if (t)
        debug_step_thread(t);
    return t != NULL;
}

static bool attached(void) { return stub.attached; }

static enum debug_resume leave(enum debug_resume how)
{
    stub.stop = NULL;
    if (key_pressed && how == DEBUG_GO) {
        key_pressed = false;
        return DEBUG_OTHER;
    }
    return how;
}

static enum debug_resume run(struct debug_stop *stop)
{
    stub.stop = stop;
    bool was_kernel_step = stub.kernel_step && stop->reason == DEBUG_STEP && !stop->regs->user;
    if (!was_kernel_step || !thread_is_valid(stub.context))
        stub.context = thread_context_id(); /* else kernel code that switched threads under a step stays one thread */
    stub.general = stub.context;
    if (condition_goes_on(stop))
        return leave(resume_how);
    if (range_goes_on(stop))
        return leave(DEBUG_STEP_ONE);
    stub.range_on = false;
    int first = stop->reason == DEBUG_GDB ? debug_line_get(1) : range_byte;
    interrupted = first == 0x03;
    range_byte = BYTE_NONE;
    if (first == 0x03 && !stub.attached)
        return leave(DEBUG_GO); /* nobody is there to be answered */
    packet_reset(&stub.in);
    if (first >= 0 && first != 0x03) {
        stub.running = false; /* a packet while the target runs: a new client */
        (void)packet_feed(&stub.in, (uint8_t)first);
    } else if (stub.running && stub.attached) {
        reply_stop();
        stub.running = false;
        rsp_send();
    }
    for (;;) {
        enum packet_event event = receive();
        if (event == PACKET_NOTHING)
            return leave(DEBUG_GO);
        if (event == PACKET_BREAK)
            return leave(DEBUG_OTHER);
        if (event == PACKET_TOO_LONG) {
            rsp_error(0x16);
            rsp_send();
            continue;
        }
        stub.attached = true;
        bool kill = stub.in.size && stub.in.data[0] == 'k'; /* has no reply */
        enum outcome outcome = command(stub.in.data, stub.in.size);
        if (outcome == SAY) {
            rsp_send();
        } else if (outcome == DETACHED) {
            if (!kill)
                rsp_send();
            session_clear();
            stub.attached = false;
            return leave(DEBUG_GO);
        } else if (stub.running) {
            resumes++;
            return leave(resume_how);
        }
    }
}

static const struct debug_front gdb_front = { .name = "gdb", .attached = attached, .run = run };
DEBUG_FRONT(gdb_front);
