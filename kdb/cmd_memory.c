// SPDX-License-Identifier: MIT
/*
 * Memory, registers and code: x, w, sym, regs, bt, log, port.
 *
 * Every byte comes through probe_read(): an unmapped word is shown as "????????" and the command goes on; what
 * is no RAM needs -f, since reading a device may change it.
 */
#include "kdb/engine.h"

#include "kdb/usersym.h"

#include "kernel/cpu.h"
#include "kernel/debug/debug.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/string.h"


/* ---- x --------------------------------------------------------------------------------------- */

KDB_SCHEMA(x_schema, "x",
    { "addr", K_HEX, 10, 0, "address of the first value" },
    { "symbol", K_TEXT, 20, 0, "kernel symbol" },
    { "data", K_TEXT, 44, COL_VOLATILE, "values; ? where nothing can be read" });

struct x_format { uint32_t count; char letter; unsigned unit; };

/* N, then letters in any order: x u d c s, and b h w for the size. */
static bool x_parse(struct kdb *k, struct x_format *f)
{
    const char *s = k->suffix ? k->suffix : "";
    uint32_t n = 0;

    *f = (struct x_format){ 4, 'x', 4 };
    for (; *s >= '0' && *s <= '9' && n < 100000; s++)
        n = n * 10 + (uint32_t)(*s - '0');
    if (n)
        f->count = n;
    for (; *s; s++) {
        if (strchr("xudcs", *s))
            f->letter = *s;
        else if (strchr("bhw", *s))
            f->unit = *s == 'b' ? 1 : *s == 'h' ? 2 : 4;
        else
            break;
    }
    if (f->letter == 'c' || f->letter == 's')
        f->unit = 1;
    if (!*s && f->count <= 4096)
        return true;
    kdb_fail(k, KDB_USAGE, "x/NFU: N up to 4096, F of x u d c s, U of b h w");
    return false;
}

static void x_value(char *to, unsigned size, const struct x_format *f, uint32_t value)
{
    int32_t number = f->unit == 1 ? (int8_t)value : f->unit == 2 ? (int16_t)value : (int32_t)value;

    switch (f->letter) {
    case 'u':
        fmt_buffer(to, size, "%u ", value);
        break;
    case 'd':
        fmt_buffer(to, size, "%d ", number);
        break;
    case 'c': case 's':
        fmt_buffer(to, size, "%c", value >= ' ' && value <= '~' ? (int)value : '.');
        break;
    default:
        fmt_buffer(to, size, f->unit == 1 ? "%02x " : f->unit == 2 ? "%04x " : "0x%08x ", value);
        break;
    }
}

KDB_CMD(x, .early = true, .noun = "x", .verb = "", .alias = "d",
        .usage = "ADDRESS | x/NFU [tkN:]ADDRESS [-f]", .flags = "f", .schema = &x_schema,
        .summary = "memory; N count, F x u d c s, U b h w; -f: also devices",
        .example = "x/8xw =th2", .argc_min = 1, .argc_max = 1)
{
    const struct task *task;
    struct x_format f;
    uint32_t address, bad = 0, line;
    bool end = false, device = kdb_flag(k, 'f');
    char data[180];

    if (!x_parse(k, &f) || !kdb_arg_address(k, 0, &task, &address))
        return k->rc;
    if (!task && address < KERNEL_BASE && kdb_context())
        task = kdb_context()->task;
    if (device && !kdb_session.unsafe)
        return kdb_fail(k, KDB_PERM, "-f reads devices; allow it with: set unsafe on");
    line = f.unit == 1 ? (f.letter == 'c' || f.letter == 's' ? 64 : 16) : f.unit == 2 ? 8 : 4;
    for (uint32_t done = 0; done < f.count && !end && kdb_tick(k);) {
        uint32_t start = address + done * f.unit, offset = 0;
        const char *symbol = start >= KERNEL_BASE ? sym_find(start, &offset) : NULL;
        char user[48];
        unsigned used = 0;

        data[0] = '\0';
        for (uint32_t i = 0; i < line && done < f.count && !end; i++, done++) {
            uint32_t value = 0;

            if (probe_read(task, address + done * f.unit, &value, f.unit, device) != f.unit) {
                bad++;
                used += fmt_buffer(data + used, sizeof(data) - used, "%s",
                                   f.letter == 'c' || f.letter == 's' ? "?"
                                       : f.unit == 4                  ? "?????????? "
                                                                      : "?? ");
                continue;
            }
            end = f.letter == 's' && value == 0;
            if (!end) {
                x_value(data + used, sizeof(data) - used, &f, value);
                used = (unsigned)strlen(data);
            }
        }
        kdb_row(k);
        kdb_put_num(k, start);
        if (symbol)
            kdb_put_format(k, "%s+0x%x", symbol, offset);
        else if (task && usersym_text(user, sizeof(user), task, start))
            kdb_put_text(k, user);
        else
            kdb_put_null(k);
        kdb_put_text(k, data);
        if (kdb_row_end(k))
            break;
    }
    return bad ? kdb_fail(k, KDB_FAULT, "%u of %u values cannot be read", bad, f.count) : KDB_OK;
}

KDB_CMD(w, .early = true, .noun = "w", .verb = "", .usage = "[tkN:]ADDRESS VALUE [size=1|2|4]",
        .keys = "size", .effect = KE_MACHINE, .summary = "write memory",
        .example = "w 0xc0100000 0x90 size=1", .argc_min = 2, .argc_max = 2)
{
    const struct task *task;
    uint32_t address, value, size = 4;

    if (!kdb_arg_address(k, 0, &task, &address) || !kdb_arg_number(k, 1, &value) ||
        !kdb_key_number(k, "size", &size))
        return k->rc;
    if (size != 1 && size != 2 && size != 4)
        return kdb_fail(k, KDB_BADARG, "size= 1, 2 or 4");
    if (probe_write(task, address, &value, size, false) != size)
        return kdb_fail(k, KDB_FAULT, "0x%08x cannot be written", address);
    return KDB_OK;
}

/* ---- sym ------------------------------------------------------------------------------------- */

KDB_SCHEMA(sym_schema, "sym",
    { "addr", K_HEX, 10, 0, "address" },
    { "symbol", K_TEXT, 24, 0, "of the kernel, or of a program among the boot modules" },
    { "offset", K_NUM, 6, 0, "behind its start" },
    { "module", K_TEXT, 12, 0, "the program; none: the kernel" });

KDB_CMD(sym, .early = true, .noun = "sym", .verb = "", .usage = "NAME | ADDRESS",
        .schema = &sym_schema, .summary = "symbol at an address, or its address; tk5:0x..: of the program that runs there",
        .example = "sym sys_unmap", .argc_min = 1, .argc_max = 1)
{
    const struct task *task;
    uint32_t address, offset = 0;
    const char *symbol, *module = NULL;

    if (!kdb_arg_address(k, 0, &task, &address))
        return k->rc;
    symbol = address >= KERNEL_BASE ? sym_find(address, &offset) : usersym_find(task, address, &offset, &module);
    if (!symbol)
        return kdb_fail(k, KDB_NOENT, "no symbol at 0x%08x", address);
    kdb_row(k);
    kdb_put_num(k, address);
    kdb_put_text(k, symbol);
    kdb_put_num(k, offset);
    if (module)
        kdb_put_text(k, module);
    kdb_row_end(k);
    return KDB_OK;
}

/* ---- regs ------------------------------------------------------------------------------------ */

static void regs_pairs(struct kdb *k, const struct debug_regs *r)
{
    uint32_t offset = 0;
    const char *symbol = r->user ? NULL : sym_find(r->eip, &offset);

    kdb_pair(k, "eip", "0x%08x%s%s", r->eip, symbol ? " " : "", symbol ? symbol : "");
    kdb_pair(k, "esp", "0x%08x", r->esp);
    kdb_pair(k, "ebp", "0x%08x", r->ebp);
    kdb_pair(k, "eax", "0x%08x", r->eax);
    kdb_pair(k, "ebx", "0x%08x", r->ebx);
    kdb_pair(k, "ecx", "0x%08x", r->ecx);
    kdb_pair(k, "edx", "0x%08x", r->edx);
    kdb_pair(k, "esi", "0x%08x", r->esi);
    kdb_pair(k, "edi", "0x%08x", r->edi);
    kdb_pair(k, "eflags", "0x%08x", r->eflags);
    kdb_pair(k, "cs", "0x%02x", r->cs);
    kdb_pair(k, "ss", "0x%02x", r->ss);
    kdb_pair(k, "vector", "%u error 0x%x", r->vector, r->error);
    kdb_pair(k, "mode", "%s", r->user ? "user" : "kernel");
}

static void frame_regs(const struct thread *t, struct debug_regs *r)
{
    const struct user_frame *f = &t->frame;

    *r = (struct debug_regs){
        .eax = f->eax,
        .ebx = f->ebx,
        .ecx = f->ecx,
        .edx = f->edx,
        .esi = f->esi,
        .edi = f->edi,
        .ebp = f->ebp,
        .esp = f->esp,
        .eip = f->eip,
        .eflags = f->eflags,
        .cs = (uint16_t)f->cs,
        .ss = (uint16_t)f->ss,
        .vector = f->vector,
        .error = f->error,
        .user = true,
    };
}

/* Registers of what the argument, `thread use`, or the stop itself says. */
static bool regs_of(struct kdb *k, struct debug_regs *r, const struct thread **thread)
{
    const struct thread *t = NULL;

    if (k->argc)
        t = (const struct thread *)(const void *)kdb_arg_object(k, 0, L4_TYPE_THREAD);
    else if (kdb_session.thread)
        t = kdb_context();
    if (k->argc && !t)
        return false;
    if (!t && kdb_stop && kdb_stop->regs) {
        *r = *kdb_stop->regs;
        *thread = thread_current();
        return true;
    }
    if (!t)
        t = thread_current();
    if (!t) {
        kdb_fail(k, KDB_NOENT, "no thread runs; say which");
        return false;
    }
    if (t->hardware) {
        kdb_fail(k, KDB_BADARG, "th%u is an interrupt line and has no registers", t->obj.id);
        return false;
    }
    frame_regs(t, r);
    *thread = t;
    return true;
}

KDB_CMD(regs, .noun = "regs", .verb = "", .usage = "[thN]", .schema = &kdb_pairs,
        .summary = "registers where the machine stopped, or the user registers of a thread",
        .example = "regs th2", .argc_max = 1)
{
    struct debug_regs r;
    const struct thread *t;

    if (regs_of(k, &r, &t))
        regs_pairs(k, &r);
    return k->rc;
}

/* ---- bt -------------------------------------------------------------------------------------- */

KDB_SCHEMA(bt_schema, "bt",
    { "n", K_NUM, 2, 0, "number of the frame" },
    { "mode", K_TEXT, 6, 0, "kernel or user" },
    { "pc", K_HEX, 10, 0, "instruction address" },
    { "symbol", K_TEXT, 28, 0, "of the kernel, or of a program among the boot modules" },
    { "fp", K_HEX, 10, COL_VOLATILE, "frame pointer" });

static bool bt_row(struct kdb *k, unsigned n, const struct task *task, bool user, uint32_t pc, uint32_t fp)
{
    uint32_t offset = 0;
    char text[48];
    const char *symbol = user ? NULL : sym_find(pc, &offset);

    kdb_row(k);
    kdb_put_num(k, n);
    kdb_put_text(k, user ? "user" : "kernel");
    kdb_put_num(k, pc);
    if (symbol)
        kdb_put_format(k, "%s+0x%x", symbol, offset);
    else if (user && usersym_text(text, sizeof(text), task, pc))
        kdb_put_text(k, text);
    else
        kdb_put_null(k);
    kdb_put_num(k, fp);
    return kdb_row_end(k);
}

KDB_CMD(bt, .noun = "bt", .verb = "", .usage = "[thN]", .schema = &bt_schema,
        .summary = "calls, by frame pointers", .example = "bt", .argc_max = 1)
{
    struct debug_regs r;
    const struct thread *t;
    const struct task *task;
    uint32_t fp, pc, offset = 0;
    bool user;

    if (!regs_of(k, &r, &t))
        return k->rc;
    fp = r.ebp;
    pc = r.eip;
    user = r.user;
    task = t ? t->task : NULL;
    for (unsigned n = 0; n < 64 && kdb_tick(k); n++) {
        uint32_t pair[2];

        if (bt_row(k, n, task, user, pc, fp))
            break;
        /* At the first instruction the return address is still on top of the stack. */
        if (n == 0 && !user && (!sym_find(pc, &offset) || offset == 0) &&
            probe_read(NULL, r.esp, &pc, 4, false) == 4 && sym_find(pc, &offset))
            continue;
        if (fp == 0 || (fp & 3u) || (fp < L4_USER_TOP) != user ||
            probe_read(user ? task : NULL, fp, pair, 8, false) != 8)
            break;
        /* Frames go up the stack: anything else is damage, or the end. */
        if (pair[0] && pair[0] <= fp) {
            kdb_note(k, "-- the chain of frames ends at 0x%08x", fp);
            break;
        }
        if (pair[1] == 0)
            break;
        fp = pair[0];
        pc = pair[1];
    }
    return KDB_OK;
}

/* ---- log ------------------------------------------------------------------------------------- */

KDB_SCHEMA(log_schema, "log",
    { "line", K_TEXT, 60, 0, "what the kernel or a program printed" });

#define LOG_RING 16384u /* the most that is looked at */

KDB_CMD(log, .early = true, .noun = "log", .verb = "", .usage = "[last=N] [line~PAT]",
        .keys = "last", .schema = &log_schema, .summary = "the console ring",
        .example = "log last=20")
{
    uint32_t total = log_total(), from = total > LOG_RING ? total - LOG_RING : 0, last = 0,
             lines = 0;
    char line[200], c;
    unsigned used = 0;

    if (!kdb_key_number(k, "last", &last))
        return k->rc;
    for (uint32_t n = total; last && n > from; n--)
        if (n < total && log_get(n - 1, &c) && c == '\n' && ++lines == last) {
            from = n;
            break;
        }
    for (uint32_t n = from; n < total && kdb_tick(k); n++) {
        if (!log_get(n, &c))
            continue;
        if (c != '\n' && used + 1 < sizeof(line)) {
            line[used++] = c;
            if (n + 1 < total)
                continue;
        }
        line[used] = '\0';
        used = 0;
        kdb_row(k);
        kdb_put_text(k, line);
        if (kdb_row_end(k))
            break;
        if (c != '\n')
            line[used++] = c;
    }
    return KDB_OK;
}
