// SPDX-License-Identifier: MIT
/* The trace ring: trace, trace on/off, hist of a thing, when something happened. */
#include "kdb/engine.h"

#include "kernel/clock.h"
#include "kernel/debug/debug.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/string.h"
#include "kernel/trace.h"

static const struct { const char *name, *arg[3]; } events[] = {
#define X(name, text, a, b, c) { text, { a, b, c } },
    TRACE_LIST(X)
#undef X
};

KDB_SCHEMA(trace_schema, "trace",
    { "pos", K_NUM, 8, 0, "number of the record since boot" },
    { "ago", K_US, 8, COL_VOLATILE, "how long ago" },
    { "event", K_TEXT, 13, 0, "event" },
    { "thread", K_ID, 6, 0, "thread that ran; none: the kernel by itself" },
    { "args", K_TEXT, 40, 0, "arguments" },
    { "a", K_HEX, 10, COL_WIDE, "first argument" },
    { "b", K_HEX, 10, COL_WIDE, "second argument" },
    { "c", K_HEX, 10, COL_WIDE, "third argument" });

/* Arguments that are object ids: their names in TRACE_LIST say so. */
static bool is_id(const char *name)
{
    static const char *const ids[] = { "ep", "to", "from", "obj", "task", "thread", "res" };

    for (unsigned i = 0; i < ARRAY_SIZE(ids); i++)
        if (strcmp(name, ids[i]) == 0)
            return true;
    return false;
}

/* An id that may belong to an object long gone: its prefix is known only while it lives. */
static unsigned id_text(char *to, unsigned size, uint32_t id)
{
    const struct kobj *o = kobj_by_id(id);

    if (id == 0)
        return fmt_buffer(to, size, "-");
    if (o)
        return fmt_buffer(to, size, "%s%u", kobj_prefix((enum l4_type)o->type), id);
    return fmt_buffer(to, size, "#%u", id);
}

/* map and unmap: the name is a flexpage, the object an id in capability space only. */
static bool is_name_event(const struct trace_record *r)
{
    return r->event == TRACE_MAP || r->event == TRACE_UNMAP;
}

static bool first_is_id(const struct trace_record *r)
{
    return !is_name_event(r) || (r->c >> 10 & 3u) == L4_SPACE_CAP;
}

static void name_args(char *to, unsigned size, const struct trace_record *r)
{
    static const char *const spaces[] = { "mem", "cap", "io", "?" };
    uint32_t space = r->c >> 10 & 3u;
    const struct kobj *task = kobj_by_id(r->b);
    char what[20], letters[5];

    if (space == L4_SPACE_CAP)
        id_text(what, sizeof(what), r->a);
    else
        fmt_buffer(what, sizeof(what), space == L4_SPACE_MEM ? "phys/0x%x" : "port/0x%x",
                   space == L4_SPACE_MEM ? r->a : r->a >> L4_NAME_SHIFT);
    kdb_rights_text(letters,
                    space == L4_SPACE_CAP       ? L4_TYPE_NONE
                        : space == L4_SPACE_MEM ? L4_TYPE_MEMORY
                                                : L4_TYPE_IOPORT,
                    r->c & 15u);
    fmt_buffer(to, size, "obj=%s slot=%s%u/%s/0x%x size=%u rights=%s", what, task ? "tk" : "#",
               r->b, spaces[space],
               space == L4_SPACE_MEM ? r->c & 0xfffff000u : r->c >> L4_NAME_SHIFT, r->c >> 4 & 63u,
               letters);
}

static void args_text(char *to, unsigned size, const struct trace_record *r)
{
    const uint32_t value[3] = { r->a, r->b, r->c };
    unsigned used = 0;
    char text[16];

    if (is_name_event(r)) {
        name_args(to, size, r);
        return;
    }
    to[0] = '\0';
    for (unsigned i = 0; i < 3 && used + 40 < size; i++) {
        const char *name = events[r->event].arg[i];

        if (name[0] == '-')
            continue;
        if (is_id(name)) {
            id_text(text, sizeof(text), value[i]);
            used += fmt_buffer(to + used, size - used, "%s%s=%s", used ? " " : "", name, text);
        } else if (strcmp(name, "type") == 0) {
            used += fmt_buffer(to + used, size - used, "%stype=%s", used ? " " : "",
                               kdb_type_name(value[i]));
        } else {
            used += fmt_buffer(to + used, size - used, value[i] < 10 ? "%s%s=%u" : "%s%s=0x%x",
                               used ? " " : "", name, value[i]);
        }
    }
}

static bool trace_row(struct kdb *k, const struct trace_record *r)
{
    char text[120];
    uint64_t now = kdb_now();
    const struct kobj *o = r->thread ? kobj_by_id(r->thread) : NULL;

    kdb_row(k);
    kdb_put_num(k, r->sequence);
    kdb_put_num(k, now > r->when ? clock_to_us(now - r->when) : 0);
    if (r->event >= ARRAY_SIZE(events)) {
        kdb_put_bad(k, "%u", r->event);
        return kdb_row_end(k);
    }
    kdb_put_text(k, events[r->event].name);
    if (o) {
        kdb_put_object(k, o);
    } else if (r->thread) {
        id_text(text, sizeof(text), r->thread);
        kdb_put_text(k, text);
    } else {
        kdb_put_null(k);
    }
    args_text(text, sizeof(text), r);
    kdb_put_text(k, text);
    kdb_put_num(k, r->a);
    kdb_put_num(k, r->b);
    kdb_put_num(k, r->c);
    return kdb_row_end(k);
}

static uint32_t first_kept(void)
{
    uint32_t total = trace_total();

    return total > TRACE_RECORDS ? total - TRACE_RECORDS : 0;
}

/* Does the record speak of this object? */
static bool concerns(const struct trace_record *r, uint32_t id)
{
    const uint32_t value[3] = { r->a, r->b, r->c };

    if (r->thread == id)
        return true;
    for (unsigned i = 0; i < 3 && r->event < ARRAY_SIZE(events); i++)
        if (value[i] == id && is_id(events[r->event].arg[i]) && (i || first_is_id(r)))
            return true;
    return false;
}

KDB_CMD(trace_ls, .noun = "trace", .verb = "ls",
        .usage = "[last=N] [event~map*] [thread=thN] [obj=ID]", .keys = "last,obj",
        .schema = &trace_schema, .summary = "the trace, oldest first", .example = "trace last=20")
{
    uint32_t total = trace_total(), from = first_kept(), last = 0, id = 0;
    const char *object = kdb_key(k, "obj");
    struct trace_record r;

    if (!kdb_key_number(k, "last", &last))
        return k->rc;
    if (object && !kdb_number(object, &id)) {
        struct kobj *o = kdb_find_object(k, object, 0);

        if (!o)
            return k->rc;
        id = o->id;
    }
    if (last && last < total - from)
        from = total - last;
    for (uint32_t n = from; n < total && kdb_tick(k); n++)
        if (trace_get(n, &r) && (!id || concerns(&r, id)) && trace_row(k, &r))
            break;
    if (first_kept())
        kdb_note(k, "-- %u older records were overwritten", first_kept());
    return KDB_OK;
}

KDB_SCHEMA(trace_stat_schema, "trace.stat",
    { "event", K_TEXT, 13, 0, "event" },
    { "on", K_BOOL, 3, 0, "recorded" },
    { "kept", K_NUM, 6, COL_VOLATILE, "records of it in the ring" },
    { "args", K_TEXT, 20, 0, "names of its arguments" });

KDB_CMD(trace_stat, .noun = "trace", .verb = "stat", .usage = "", .schema = &trace_stat_schema,
        .summary = "events, and which are recorded", .example = "trace stat")
{
    uint32_t total = trace_total();
    static uint32_t kept[ARRAY_SIZE(events)];
    struct trace_record r;

    memset(kept, 0, sizeof(kept));
    for (uint32_t n = first_kept(); n < total && kdb_tick(k); n++)
        if (trace_get(n, &r) && r.event < ARRAY_SIZE(events))
            kept[r.event]++;
    for (unsigned e = 0; e < ARRAY_SIZE(events); e++) {
        kdb_row(k);
        kdb_put_text(k, events[e].name);
        kdb_put_num(k, trace_mask >> e & 1u);
        kdb_put_num(k, kept[e]);
        kdb_put_format(k, "%s %s %s", events[e].arg[0], events[e].arg[1], events[e].arg[2]);
        if (kdb_row_end(k))
            break;
    }
    kdb_note(k, "-- %u records written, %u in the ring", total, total - first_kept());
    return KDB_OK;
}

static enum kdb_rc switch_events(struct kdb *k, bool on)
{
    for (unsigned i = 0; i < k->argc; i++) {
        bool found = false;

        for (unsigned e = 0; e < ARRAY_SIZE(events); e++)
            if (strcmp(k->argv[i], "all") == 0 || kdb_glob(k->argv[i], events[e].name, false)) {
                found = true;
                trace_set_mask(on ? trace_mask | 1u << e : trace_mask & ~(1u << e));
            }
        if (!found)
            return kdb_fail(k, KDB_NOENT, "no event like '%s'; trace stat shows them", k->argv[i]);
    }
    return KDB_OK;
}

KDB_CMD(trace_on, .noun = "trace", .verb = "on", .usage = "EVENT... | all", .effect = KE_DBG,
        .summary = "record these events", .example = "trace on ipc*", .argc_min = 1,
        .argc_max = KDB_ARGS)
{
    return switch_events(k, true);
}

KDB_CMD(trace_off, .noun = "trace", .verb = "off", .usage = "EVENT... | all", .effect = KE_DBG,
        .summary = "do not record them", .example = "trace off sched*", .argc_min = 1,
        .argc_max = KDB_ARGS)
{
    return switch_events(k, false);
}

KDB_CMD(trace_mark, .noun = "trace", .verb = "mark", .usage = "[N]", .effect = KE_DBG,
        .summary = "write a record from here", .example = "trace mark 7", .argc_max = 1)
{
    uint32_t n = 0;

    if (k->argc && !kdb_arg_number(k, 0, &n))
        return k->rc;
    trace_write(TRACE_DEBUG, n, 0, 0);
    return KDB_OK;
}

/* ---- hist ------------------------------------------------------------------------------------ */

KDB_CMD(hist, .noun = "hist", .verb = "", .usage = "REF", .schema = &trace_schema,
        .summary = "what the trace knows of an object or of a slot, full or empty",
        .example = "hist tk1/cap/0x1", .argc_min = 1, .argc_max = 1)
{
    uint32_t total = trace_total(), id = 0;
    struct kdb_slot slot = { 0 };
    bool is_slot = strchr(k->argv[0], '/') != NULL;
    unsigned found = 0;
    struct trace_record r;

    if (is_slot) {
        if (!kdb_arg_slot(k, 0, &slot))
            return k->rc;
    } else if (!kdb_number(k->argv[0], &id)) { /* a bare number may be the id of something gone */
        struct kobj *o = kdb_arg_object(k, 0, 0);

        if (!o)
            return k->rc;
        id = o->id;
    }
    for (uint32_t n = first_kept(); n < total && kdb_tick(k); n++) {
        if (!trace_get(n, &r))
            continue;
        if (is_slot
                ? (r.event != TRACE_MAP && r.event != TRACE_UNMAP) || r.b != slot.task->obj.id ||
                    (r.c & 0xfffff000u) != slot.name || (r.c >> 10 & 3u) != slot.space
                : !concerns(&r, id))
            continue;
        found++;
        if (trace_row(k, &r))
            break;
    }
    if (first_kept())
        kdb_note(k, "-- nothing before record %u is in the trace", first_kept());
    else if (!found)
        kdb_note(k, "-- the trace reaches back to boot and says nothing");
    return KDB_OK;
}

/* ---- when ------------------------------------------------------------------------------------ */

static bool is_event(const struct trace_record *r, const char *word)
{
    static const struct { const char *word; uint32_t event; } words[] = {
        { "created", TRACE_CREATE }, { "destroyed", TRACE_DESTROY }, { "mapped", TRACE_MAP },
        { "unmapped", TRACE_UNMAP }, { "faulted", TRACE_FAULT }, { "spent", TRACE_BUDGET },
        { "refilled", TRACE_REFILL }, { "raised", TRACE_IRQ },
    };

    for (unsigned i = 0; i < ARRAY_SIZE(words); i++)
        if (strcmp(words[i].word, word) == 0)
            return r->event == words[i].event;
    return r->event < ARRAY_SIZE(events) && kdb_glob(word, events[r->event].name, false);
}

KDB_CMD(
    when, .noun = "when", .verb = "",
    .usage = "ID EVENT   (created destroyed mapped unmapped faulted spent refilled, or event name)",
    .schema = &trace_schema,
    .summary = "trace records of one kind of event for an object, dead ones by number",
    .example = "when 16 destroyed", .argc_min = 2, .argc_max = 2)
{
    uint32_t total = trace_total(), id;
    unsigned found = 0;
    struct trace_record r;

    if (!kdb_number(k->argv[0], &id)) {
        struct kobj *o = kdb_arg_object(k, 0, 0);

        if (!o)
            return k->rc;
        id = o->id;
    }
    for (uint32_t n = first_kept(); n < total && kdb_tick(k); n++)
        if (trace_get(n, &r) && concerns(&r, id) && is_event(&r, k->argv[1])) {
            found++;
            if (trace_row(k, &r))
                break;
        }
    return found ? KDB_OK
                 : kdb_fail(k, KDB_NOENT, "no such record%s",
                            first_kept() ? "; older ones were overwritten" : "");
}
