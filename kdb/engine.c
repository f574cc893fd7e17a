// SPDX-License-Identifier: MIT
/*
 * From a line to an answer: parse, ask the table whether this command may run here, run it under a guard,
 * finish the rows, close the frame.
 *
 * State of a running line is in one of four static contexts, so that a command can execute further lines
 * (expect, report) and the debugger needs no memory of its own.  A command that faults is unwound by
 * debug_guard(); its context is then closed as any other.
 */
#include "kdb/engine.h"

#include <arch/memory.h>
#include <arch/timer.h>
#include "kernel/boot.h"
#include "kernel/clock.h"
#include "kernel/cpu.h"
#include "kernel/debug/debug.h"
#include "kernel/kpage.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/string.h"

#define DEPTH_MAX 4u
#define BUDGET_PROMPT  50000000u /* a person has ^C */
#define BUDGET_OTHER     400000u /* syscall, boot, GDB: must come back */
#define DOORS_AT_LINE (KDB_PROMPT | KDB_PANIC) /* somebody sits at the serial line */

static struct kdb pool[DEPTH_MAX];
static unsigned depth;

struct kdb_session kdb_session;
uint32_t kdb_last_ids[10];
unsigned kdb_last_count;

/* ---- may it run here? ------------------------------------------------------------------------ */

/* Doors for each effect class; machine and hwread need `set unsafe on` besides. */
static const uint8_t doors[] = {
    [KE_PURE] = KDB_PROMPT | KDB_PANIC | KDB_GDB | KDB_SYSCALL | KDB_BOOT,
    [KE_DBG] = KDB_PROMPT | KDB_PANIC | KDB_GDB | KDB_SYSCALL | KDB_BOOT,
    [KE_HWREAD] = KDB_PROMPT | KDB_PANIC | KDB_GDB,
    [KE_MACHINE] = KDB_PROMPT | KDB_PANIC | KDB_GDB,
    [KE_RESUME] = KDB_PROMPT,
};
static const char *const effect_names[] = { "pure", "dbg", "hwread", "machine", "resume" };

static enum kdb_rc may_run(struct kdb *k)
{
    const struct kdb_cmd *c = k->cmd;

    if (!frame_count && !c->early)
        return kdb_fail(k, KDB_NOTINIT, "%s needs kernel objects, and there are none yet", c->noun);
    if (!(doors[c->effect] & k->door))
        return kdb_fail(k, KDB_PERM, "%s is of class %s, which this door does not allow", c->noun,
                        effect_names[c->effect]);
    if (debug_level < DEBUG_RW && (c->effect == KE_HWREAD || c->effect == KE_MACHINE))
        return kdb_fail(k, KDB_PERM,
                        "%s is of class %s; the boot option debug= allows reading only", c->noun,
                        effect_names[c->effect]);
    if ((c->effect == KE_MACHINE || c->effect == KE_HWREAD) && !kdb_session.unsafe)
        return kdb_fail(k, KDB_PERM, "%s is of class %s; allow it with: set unsafe on", c->noun,
                        effect_names[c->effect]);
    return KDB_OK;
}

/* ---- bounds ---------------------------------------------------------------------------------- */

bool kdb_tick(struct kdb *k)
{
    if (k->stop)
        return false;
    if (k->budget == 0) {
        kdb_fail(k, KDB_LIMIT, "stopped: budget of steps used up");
        k->more = true;
        k->stop = true;
        return false;
    }
    k->budget--;
    if ((k->budget & 255u) == 0 && (k->door & DOORS_AT_LINE) && kdb_poll_intr()) {
        kdb_fail(k, KDB_INTR, "interrupted");
        k->stop = true;
        return false;
    }
    return true;
}

bool kdb_sound(const void *p, size_t size)
{
    uint32_t address = (uint32_t)(uintptr_t)p, word;

    if (address < KERNEL_BASE || (address & 3u) || size < 4 || address + size < address)
        return false;
    /* Nothing that a link may name is longer than a page: both ends decide. */
    return probe_read(NULL, address, &word, 4, false) == 4 &&
           probe_read(NULL, address + (uint32_t)size - 4u, &word, 4, false) == 4;
}

bool kdb_object_ok(const struct kobj *o, unsigned type)
{
    if (!kdb_sound(o, sizeof(*o)))
        return false;
    if (o->type < L4_TYPE_TASK || o->type > L4_TYPE_CPU || (type && o->type != type))
        return false;
    return o->id != 0 && o->root.obj == (uint32_t)(uintptr_t)o;
}

bool kdb_node_ok(const struct node *n)
{
    return kdb_sound(n, sizeof(*n)) && (!n->task || kdb_object_ok(&n->task->obj, L4_TYPE_TASK));
}

struct kobj *kdb_next_object(struct kdb *k, const struct kobj *o, unsigned type)
{
    struct kobj *next = kobj_next(o);

    while (next && type && next->type != type) {
        if (!kdb_tick(k))
            return NULL;
        next = kobj_next(next);
    }
    return next && kdb_tick(k) ? next : NULL;
}

const struct node *kdb_next_node(struct kdb *k, const struct node *root, const struct node *n)
{
    const struct node *next = n->next;

    if (!kdb_tick(k))
        return NULL;
    if (!kdb_node_ok(next) || next->prev != n) {
        kdb_fail(k, KDB_CORRUPT, "node 0x%08x: its next, 0x%08x, does not point back",
                 (unsigned)(uintptr_t)n, (unsigned)(uintptr_t)next);
        return NULL;
    }
    return next == root ? NULL : mapdb_next(root, n);
}

/* ---- running --------------------------------------------------------------------------------- */

static void run_guarded(void *arg)
{
    struct kdb *k = arg;
    enum kdb_rc rc = k->cmd->run(k);

    if (k->rc == KDB_OK)
        k->rc = rc;
    k->stop = false;
    kdb_rows_finish(k);
    kdb_render_finish(k);
}

static void run_command(struct kdb *k)
{
    uint32_t ip = 0, address = 0, offset = 0;
    const char *symbol;

    if (may_run(k) != KDB_OK)
        return;
    if (debug_guard(run_guarded, k, &ip, &address))
        return;
    k->rc = KDB_OK;
    symbol = sym_find(ip, &offset);
    kdb_fail(k, KDB_NESTED, "fault in %s %s at 0x%08x %s+0x%x, address 0x%08x", k->cmd->noun,
             k->cmd->verb, ip, symbol ? symbol : "?", offset, address);
}

static void parse_guarded(void *arg)
{
    kdb_parse(arg);
}

/* Names and ids are looked up while parsing: that may meet damage, too. */
static void parse(struct kdb *k)
{
    uint32_t ip = 0, address = 0;

    if (debug_guard(parse_guarded, k, &ip, &address))
        return;
    k->cmd = NULL;
    k->rc = KDB_OK;
    kdb_fail(k, KDB_NESTED, "fault while reading the line, at 0x%08x, address 0x%08x", ip, address);
}

static bool is_sync(const char *line)
{
    return strncmp(line, "sync ", 5) == 0;
}

/* Nonce of `sync`: only harmless characters come back. */
static void answer_sync(struct kdb *k, const char *nonce)
{
    kdb_raw(k, "#S ");
    for (unsigned i = 0; nonce[i] && i < 32; i++)
        k->sink(k->arg, nonce[i] > ' ' && nonce[i] <= '~' ? nonce[i] : '_');
    kdb_raw(k, "\n");
}

static void begin(struct kdb *k, unsigned door, void (*sink)(void *, char), void *arg)
{
    /* The big buffers need no clearing; what must start at nothing is cleared field by field. */
    k->door = door;
    k->sink = sink;
    k->arg = arg;
    k->framed = false;
    k->number = 0;
    k->cmd = NULL;
    k->schema = NULL;
    k->argc = 0;
    k->key_count = 0;
    k->flag_bits = 0;
    k->suffix = NULL;
    k->field_size = 0;
    k->format = kdb_session.format;
    k->quiet = k->verbose = k->all = false;
    k->col_count = 0;
    k->sort_col = -1;
    k->sort_down = false;
    k->max = kdb_session.max;
    k->filter_count = 0;
    k->stage_count = 0;
    k->rc = KDB_OK;
    k->stop = k->more = k->mute = false;
    k->rows = k->bad = k->emitted = 0;
    k->budget = kdb_session.budget ? kdb_session.budget
        : door & DOORS_AT_LINE     ? BUDGET_PROMPT
                                   : BUDGET_OTHER;
    k->header_of = NULL;
    k->out_used = 0;
    k->crc = 0xffff;
}

static void frame_end(struct kdb *k, uint64_t started)
{
    uint64_t us = clock_to_us(arch_clock_raw() - started);

    kdb_raw(k, "#E %u rc=%u rows=%u more=%u bad=%u us=%u crc=%04x\n", k->number, (unsigned)k->rc,
            k->rows, k->more ? 1u : 0u, k->bad, us > 0xffffffffu ? 0xffffffffu : (uint32_t)us,
            (unsigned)k->crc);
}

static void frame_begin(struct kdb *k)
{
    if (!k->cmd)
        kdb_raw(k, "#B %u ? v1\n", k->number);
    else
        kdb_raw(k, "#B %u %s%s%s v1\n", k->number, k->cmd->noun, *k->cmd->verb ? "." : "",
                k->cmd->verb);
}

/*
 * The format is known only when the line is parsed, and a frame must be open before a parse error is
 * told: so errors of the parser are collected here first.
 */
struct collected { char text[256]; unsigned used; };

static void collect(void *arg, char c)
{
    struct collected *to = arg;

    if (to->used + 1 < sizeof(to->text))
        to->text[to->used++] = c;
}

static void parse_framed(struct kdb *k)
{
    static struct collected errors; /* one line is parsed at a time */
    void (*sink)(void *, char) = k->sink;
    void *arg = k->arg;
    uint16_t crc;

    errors.used = 0;
    k->sink = collect;
    k->arg = &errors;
    parse(k);
    crc = k->crc;
    k->sink = sink;
    k->arg = arg;
    if (k->framed)
        frame_begin(k);
    k->crc = crc;
    for (unsigned i = 0; i < errors.used; i++)
        k->sink(k->arg, errors.text[i]);
}

static struct kdb *context_get(const char *line, unsigned length)
{
    struct kdb *k;

    if (depth == DEPTH_MAX || length >= KDB_LINE)
        return NULL;
    k = &pool[depth];
    k->depth = depth++;
    memcpy(k->line, line, length);
    k->line[length] = '\0';
    return k;
}

static void context_put(struct kdb *k)
{
    kdb_rows_abandon(k);
    depth = k->depth;
}

int kdb_run_line(const char *line, unsigned door, void (*sink)(void *, char), void *arg,
                 uint32_t frame)
{
    struct kdb *k = context_get(line, (unsigned)strlen(line));
    uint64_t started = arch_clock_raw();
    int rc;

    if (!k)
        return KDB_LIMIT;
    begin(k, door, sink, arg);
    k->framed = (door & DOORS_AT_LINE) && kdb_session.test;
    k->number = frame;
    while (*line == ' ')
        line++;
    if (is_sync(line)) {
        answer_sync(k, line + 5);
        context_put(k);
        return KDB_OK;
    }
    if (k->depth == 0 && strchr(line, '$') == NULL)
        kdb_last_count = 0;
    parse_framed(k);
    if (k->cmd && k->rc == KDB_OK)
        run_command(k);
    if (k->framed)
        frame_end(k, started);
    rc = k->rc;
    context_put(k);
    return rc;
}

/* ---- lines inside lines ---------------------------------------------------------------------- */

static void sub_sink(void *arg, char c)
{
    struct kdb *outer = arg;

    if (c == '\n')
        kdb_out_line(outer);
    else if (outer->out_used + 1u < KDB_OUT)
        outer->out[outer->out_used++] = c;
}

enum kdb_rc kdb_sub(struct kdb *k, const char *line)
{
    struct kdb *inner = context_get(line, (unsigned)strlen(line));
    enum kdb_rc rc;

    if (!inner)
        return kdb_fail(k, KDB_LIMIT, "lines nested too deep");
    begin(inner, k->door, sub_sink, k);
    inner->format = k->format;
    inner->budget = k->budget;
    parse(inner);
    if (inner->cmd && inner->rc == KDB_OK)
        run_command(inner);
    k->rows += inner->rows;
    k->bad += inner->bad;
    k->budget = inner->budget;
    rc = inner->rc;
    if (rc == KDB_INTR || rc == KDB_LIMIT)
        k->stop = true;
    context_put(inner);
    return rc;
}

struct capture { char *text; unsigned size, used; bool first; };

/* TSV without its header: cells of a row by blanks, rows by commas. */
static void capture_sink(void *arg, char c)
{
    struct capture *to = arg;

    if (c == '\t')
        c = ' ';
    if (c == '\n')
        c = ',';
    if (to->first) {
        to->first = c != ',';
        return;
    }
    if (to->used + 1 < to->size)
        to->text[to->used++] = c;
}

enum kdb_rc kdb_capture(struct kdb *k, const char *line, char *to, unsigned size)
{
    struct kdb *inner = context_get(line, (unsigned)strlen(line));
    struct capture capture = { to, size, 0, true };
    enum kdb_rc rc;

    *to = '\0';
    if (!inner)
        return kdb_fail(k, KDB_LIMIT, "lines nested too deep");
    begin(inner, k->door, capture_sink, &capture);
    inner->format = KDB_AS_TSV;
    inner->budget = k->budget;
    parse(inner);
    if (inner->rc != KDB_OK)
        capture.first = false;
    if (inner->cmd && inner->rc == KDB_OK)
        run_command(inner);
    k->budget = inner->budget;
    rc = inner->rc;
    context_put(inner);
    if (capture.used && to[capture.used - 1] == ',')
        capture.used--;
    to[capture.used] = '\0';
    return rc;
}

/* ---- the public door ------------------------------------------------------------------------- */

int kdb_exec(const char *line, unsigned door, void (*sink)(void *arg, char c), void *arg)
{
    char part[KDB_LINE];
    int rc = KDB_OK;

    while (*line && rc == KDB_OK) {
        unsigned n = 0;
        char quote = '\0';

        for (; *line && (quote || *line != ';'); line++) {
            if (quote ? *line == quote : *line == '\'' || *line == '"')
                quote = quote ? '\0' : *line;
            if (n + 1 == sizeof(part))
                return KDB_USAGE;
            part[n++] = *line;
        }
        part[n] = '\0';
        if (*line)
            line++;
        rc = kdb_run_line(part, door, sink, arg, 0);
    }
    return rc;
}
