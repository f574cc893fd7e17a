// SPDX-License-Identifier: MIT
/*
 * The prompt on the console line: a front end of the debug core.
 *
 * Human mode: prompt with CPU and context thread, line editing, history, completion.  Test mode (`proto
 * test`): numbered prompt, no echo, framed answers; see docs/kdb.md.  Bytes that arrive while a command
 * runs wait in a small queue; only ^C is looked at there and then.
 */
#include "kdb/engine.h"
#include "kdb/line.h"
#include "kdb/points.h"
#include "kdb/script.h"
#include "kdb/usersym.h"

#include <arch/console.h>
#include "kernel/clock.h"
#include "kernel/cpu.h"
#include "kernel/debug/debug.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/string.h"

#define CTRL_C 3
#define QUEUE 1024u

struct debug_stop *kdb_stop;

static uint8_t queue[QUEUE];
static unsigned queue_in, queue_out;
static unsigned entries, lines_out;

static const char *const reasons[] = {
    [DEBUG_CALL] = "call", [DEBUG_KEY] = "key", [DEBUG_GDB] = "gdb", [DEBUG_BREAKPOINT] = "bp",
    [DEBUG_STEP] = "step", [DEBUG_PANIC] = "panic", [DEBUG_NMI] = "nmi",
    [DEBUG_DOUBLE_FAULT] = "double-fault", [DEBUG_TRAP] = "trap", [DEBUG_NO_HANDLER] = "no-handler",
};

/* ---- the line -------------------------------------------------------------------------------- */

static void take_input(void)
{
    int c;

    while ((c = arch_serial_get(0)) >= 0) {
        if (c == CTRL_C)
            kdb_session.interrupted = true;
        else if (queue_in - queue_out < QUEUE)
            queue[queue_in++ % QUEUE] = (uint8_t)c;
    }
}

bool kdb_poll_intr(void)
{
    take_input();
    return kdb_session.interrupted;
}

int kdb_getc(void)
{
    for (;;) {
        int c;

        if (queue_in != queue_out)
            return queue[queue_out++ % QUEUE];
        c = arch_serial_get(0);
        if (c >= 0)
            return c;
    }
}

void kdb_putc(char c)
{
    if (c == '\n')
        arch_serial_put(0, '\r');
    arch_serial_put(0, (uint8_t)c);
}

void kdb_puts(const char *text)
{
    while (*text)
        kdb_putc(*text++);
}

static void serial_sink(void *arg, char c)
{
    (void)arg;
    kdb_putc(c);
    if (c != '\n' || kdb_session.test || kdb_session.lines == 0 || ++lines_out < kdb_session.lines)
        return;
    kdb_puts("-- more: any key, q to stop --");
    lines_out = 0;
    if (kdb_getc() == 'q')
        kdb_session.interrupted = true;
    kdb_puts("\r                             \r");
}

static void print(const char *format, ...) PRINTF(1, 2);
static void print(const char *format, ...)
{
    char text[200];
    va_list list;

    va_start(list, format);
    fmt_buffer_va(text, sizeof(text), format, list);
    va_end(list);
    kdb_puts(text);
}

/* ---- context --------------------------------------------------------------------------------- */

struct thread *kdb_context(void)
{
    struct kobj *o = kdb_session.thread ? kobj_by_id(kdb_session.thread) : NULL;

    if (o && o->type == L4_TYPE_THREAD)
        return (struct thread *)(void *)o;
    return thread_current();
}

static uint64_t stopped_at;

uint64_t kdb_now(void)
{
    return kdb_stop ? stopped_at : clock_now();
}

const char *kdb_reason_name(unsigned reason)
{
    return reason < ARRAY_SIZE(reasons) ? reasons[reason] : NULL;
}

static const char *reason_name(unsigned reason)
{
    return reason < ARRAY_SIZE(reasons) ? reasons[reason] : "?";
}

/* ---- entry ----------------------------------------------------------------------------------- */

static void entry_frame(void *arg)
{
    const struct debug_stop *stop = arg;
    char line[160], thread[16], point[12];
    int number = point_of_stop(stop);
    const struct thread *t = thread_current();
    uint16_t crc = 0xffff;

    if (t)
        fmt_buffer(thread, sizeof(thread), "\"th%u\"", t->obj.id);
    else
        fmt_buffer(thread, sizeof(thread), "null");
    if (number >= 0)
        fmt_buffer(point, sizeof(point), "%u", (unsigned)number);
    else
        fmt_buffer(point, sizeof(point), "null");
    fmt_buffer(line, sizeof(line),
               "{\"why\":\"%s\",\"point\":%s,\"cpu\":%u,\"thread\":%s,\"pc\":\"0x%08x\",\"user\":%s}\r\n",
               reason_name(stop->reason), point, this_cpu()->number, thread,
               stop->regs ? stop->regs->eip : 0u,
               stop->regs && stop->regs->user ? "true" : "false");
    for (const char *s = line; *s; s++)
        crc = kdb_crc(crc, *s);
    kdb_puts("#B 0 enter v1\n");
    line[strlen(line) - 2] = '\0';
    kdb_puts(line);
    kdb_puts("\n");
    print("#E 0 rc=0 rows=1 more=0 bad=0 us=0 crc=%04x\n", (unsigned)crc);
}

static void entry_text(void *arg)
{
    const struct debug_stop *stop = arg;
    uint32_t offset = 0, pc = stop->regs ? stop->regs->eip : 0;
    const char *symbol = pc ? sym_find(pc, &offset) : NULL;
    const struct thread *t = thread_current();
    char user[48];

    print("\n-- kdb: %s", reason_name(stop->reason));
    if (stop->text && stop->text[0])
        print(": %s", stop->text);
    if (point_of_stop(stop) >= 0)
        print(" (point %u)", (unsigned)point_of_stop(stop));
    if (t)
        print("; th%u", t->obj.id);
    print(" at 0x%08x", pc);
    if (pc && pc < KERNEL_BASE && t && usersym_text(user, sizeof(user), t->task, pc))
        print(" %s", user);
    else if (symbol)
        print(" %s+0x%x", symbol, offset);
    print("\n");
    if (entries == 0)
        print("-- help lists the commands, go continues, gdb hands over to GDB\n");
}

#define PROMPT 24u

static void context_prompt(void *arg)
{
    const struct thread *t = kdb_context();
    char *to = arg;

    if (t)
        fmt_buffer(to, PROMPT, "kdb[%u th%u]> ", this_cpu()->number, t->obj.id);
    else
        fmt_buffer(to, PROMPT, "kdb[%u -]> ", this_cpu()->number);
}

static void prompt_text(char to[PROMPT])
{
    if (kdb_session.test)
        fmt_buffer(to, PROMPT, "kdb:%u> ", kdb_session.commands);
    else if (!debug_guard(context_prompt, to, NULL, NULL))
        fmt_buffer(to, PROMPT, "kdb[?]> ");
}

/* A line that was too long has an answer too, so that a driver stays in step. */
static void too_long(void)
{
    if (kdb_session.test) {
        print("#B %u ? v1\n", kdb_session.commands);
        print("error: the line is too long\n");
        print("#E %u rc=2 rows=0 more=0 bad=0 us=0 crc=%04x\n", kdb_session.commands,
              (unsigned)kdb_crc_text("error: the line is too long\r\n"));
    } else {
        print("error: the line is longer than %u characters\n", KDB_LINE - 1u);
    }
    kdb_session.last_rc = KDB_USAGE;
}

static unsigned door(const struct debug_stop *stop)
{
    switch (stop->reason) {
    case DEBUG_PANIC: case DEBUG_DOUBLE_FAULT: case DEBUG_TRAP:
        return KDB_PANIC;
    case DEBUG_CALL: case DEBUG_KEY: case DEBUG_GDB: case DEBUG_BREAKPOINT: case DEBUG_STEP:
    case DEBUG_NMI: case DEBUG_NO_HANDLER: default:
        return KDB_PROMPT;
    }
}

static bool is_sync(const char *line)
{
    return strncmp(line, "sync ", 5) == 0;
}

static void no_sink(void *arg, char c)
{
    (void)arg;
    (void)c;
}

/* A point that is to be passed this time: after= counts down, the line of unless= ends with rc 0. */
static bool passes(struct debug_stop *stop, int number)
{
    struct point *p = number >= 0 ? &points[number] : NULL;

    if (!p)
        return false;
    if (p->after)
        p->after--;
    else if (!p->unless[0] || kdb_exec(p->unless, door(stop), no_sink, NULL) != KDB_OK)
        return false;
    p->passed++;
    return true;
}

/* What is to be done at this stop before anybody is asked. */
static void entry_lines(struct debug_stop *stop, int number)
{
    const char *text;

    if (number >= 0 && points[number].todo[0])
        kdb_session.last_rc = kdb_exec(points[number].todo, door(stop), serial_sink, NULL);
    for (unsigned n = 0; !kdb_session.resume && (text = script_at(stop->reason, n)) != NULL; n++)
        kdb_session.last_rc = kdb_exec(text, door(stop), serial_sink, NULL);
}

static enum debug_resume run(struct debug_stop *stop)
{
    static char line[KDB_LINE];
    char prompt[PROMPT];
    int number;

    stopped_at = clock_now();
    kdb_stop = stop;
    kdb_session.resume = false;
    kdb_session.thread = 0;
    number = point_of_stop(stop);
    if (passes(stop, number)) {
        kdb_stop = NULL;
        return DEBUG_GO;
    }
    /* The current thread may be what is broken. */
    if (!debug_guard(kdb_session.test ? entry_frame : entry_text, stop, NULL, NULL))
        kdb_puts("\n-- kdb: the current thread cannot be read\n");
    entries++;
    kdb_session.interrupted = false;
    entry_lines(stop, number);
    while (!kdb_session.resume) {
        if (kdb_session.commands == 0)
            kdb_session.commands = 1;
        prompt_text(prompt);
        switch (line_read(prompt, line, sizeof(line), !kdb_session.test)) {
        case LINE_TOO_LONG:
            too_long();
            kdb_session.commands++;
            continue;
        case LINE_CANCELLED:
            continue;
        case LINE_OK: default:
            break;
        }
        kdb_session.interrupted = false;
        lines_out = 0;
        if (!line[0])
            continue;
        kdb_session.last_rc =
            kdb_run_line(line, door(stop), serial_sink, NULL, kdb_session.commands);
        if (!kdb_session.test && kdb_session.last_rc > KDB_FALSE)
            print("rc=%u\n", (unsigned)kdb_session.last_rc);
        if (!is_sync(line))
            kdb_session.commands++;
    }
    kdb_stop = NULL;
    return (enum debug_resume)kdb_session.resume_how;
}

static bool attached(void)
{
    struct bp_info info;

    for (unsigned n = 0; bp_get(n, &info); n++)
        if (info.owner & BP_OWNER_KDB)
            return true;
    return false;
}

static const struct debug_front kdb_front = { "kdb", attached, run };
DEBUG_FRONT(kdb_front);
