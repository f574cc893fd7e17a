// SPDX-License-Identifier: MIT
/* Points that stop the machine: bp, in code, at memory, at names, and at events of the kernel. */
#include "kdb/points.h"

#include "kdb/usersym.h"
#include "kernel/debug/core.h"
#include "kernel/ipc.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/string.h"

struct point points[POINTS];

int point_of_stop(const struct debug_stop *stop)
{
    if (trace_stopped_by >= 0)
        return (int)BP_MAX + trace_stopped_by;
    if ((stop->reason == DEBUG_BREAKPOINT || stop->reason == DEBUG_STEP) && debug_cause.valid &&
        (debug_cause.hit.owner & BP_OWNER_KDB))
        return (int)debug_cause.hit.number;
    return -1;
}

/* ---- list ------------------------------------------------------------------------------------ */

KDB_SCHEMA(bp_schema, "bp.ls",
    { "n", K_NUM, 3, 0, "number" },
    { "kind", K_TEXT, 6, 0, "soft, exec, write, access or event" },
    { "where", K_TEXT, 13, 0, "kernel, a task, any task, tasks of a name; event: the object or slot" },
    { "addr", K_HEX, 10, 0, "address" },
    { "len", K_NUM, 3, 0, "bytes watched" },
    { "state", K_TEXT, 8, 0, "armed, or pending: no task of that name yet" },
    { "hits", K_NUM, 5, 0, "how often it was met" },
    { "passed", K_NUM, 6, 0, "of these, without a stop: after=, unless=" },
    { "owner", K_TEXT, 5, 0, "kdb or gdb" },
    { "symbol", K_TEXT, 24, 0, "symbol, object and field, or events" },
    { "unless", K_TEXT, 20, COL_WIDE, "condition" },
    { "do", K_TEXT, 20, COL_WIDE, "lines that are executed" });

static const char *const bp_kinds[] = { "soft", "exec", "write", "access" };

static bool task_named(struct kdb *k, const char *name)
{
    for (struct kobj *o = kdb_next_object(k, NULL, L4_TYPE_TASK); o; o = kdb_next_object(k, o, L4_TYPE_TASK)) {
        const char *given = object_name(o->id);

        if (given && strcmp(given, name) == 0)
            return true;
    }
    return false;
}

static void put_lines(struct kdb *k, unsigned number)
{
    kdb_put_text(k, points[number].unless[0] ? points[number].unless : NULL);
    kdb_put_text(k, points[number].todo[0] ? points[number].todo : NULL);
}

static bool core_row(struct kdb *k, const struct bp_info *info)
{
    uint32_t offset = 0;
    char text[48];
    const char *symbol = info->address >= KERNEL_BASE ? sym_find(info->address, &offset) : NULL;

    kdb_row(k);
    kdb_put_num(k, info->number);
    kdb_put_text(k, bp_kinds[info->kind & 3u]);
    if (info->task)
        kdb_put_object(k, &info->task->obj);
    else if (info->only[0])
        kdb_put_format(k, "@%s", info->only);
    else
        kdb_put_text(k, info->address >= KERNEL_BASE ? "kernel" : "any task");
    kdb_put_num(k, info->address);
    kdb_put_num(k, info->size);
    kdb_put_text(k, info->only[0] && !task_named(k, info->only) ? "pending" : "armed");
    kdb_put_num(k, info->hits);
    kdb_put_num(k, points[info->number].passed);
    kdb_put_text(k, info->owner == BP_OWNER_KDB ? "kdb" : info->owner == BP_OWNER_GDB ? "gdb" : "both");
    if (info->address >= KERNEL_BASE && kdb_place_text(text, sizeof(text), info->address))
        kdb_put_text(k, text);
    else if (symbol)
        kdb_put_format(k, "%s+0x%x", symbol, offset);
    else if (info->address < KERNEL_BASE && usersym_text(text, sizeof(text), info->task, info->address))
        kdb_put_text(k, text);
    else
        kdb_put_null(k);
    put_lines(k, info->number);
    return kdb_row_end(k);
}

static bool trace_row(struct kdb *k, unsigned i)
{
    static const char *const spaces[] = { "mem", "cap", "io", "?" };
    const struct trace_point *p = &trace_points[i];
    const struct kobj *o = p->object ? kobj_by_id(p->object) : NULL;
    uint32_t space = p->slot >> 10 & 3u;

    kdb_row(k);
    kdb_put_num(k, BP_MAX + i);
    kdb_put_text(k, "event");
    if (p->task)
        kdb_put_format(k, "tk%u/%s/0x%x", p->task, spaces[space],
                       space == L4_SPACE_MEM ? p->slot & 0xfffff000u : p->slot >> L4_NAME_SHIFT);
    else if (o)
        kdb_put_object(k, o);
    else if (p->object)
        kdb_put_format(k, "#%u", p->object);
    else
        kdb_put_null(k);
    kdb_put_null(k);
    kdb_put_null(k);
    kdb_put_text(k, "armed");
    kdb_put_num(k, p->hits);
    kdb_put_num(k, points[BP_MAX + i].passed);
    kdb_put_text(k, "kdb");
    kdb_list_begin(k);
    for (unsigned e = 0; e < TRACE_EVENT_COUNT; e++)
        if (p->mask >> e & 1u)
            kdb_list_add(k, trace_event_names[e]);
    kdb_list_end(k);
    put_lines(k, BP_MAX + i);
    return kdb_row_end(k);
}

KDB_CMD(bp_ls, .noun = "bp", .verb = "ls", .alias = "b", .usage = "", .schema = &bp_schema,
        .summary = "points: breakpoints, watchpoints, events", .example = "bp")
{
    struct bp_info info;

    for (unsigned n = 0; bp_get(n, &info) && kdb_tick(k); n++)
        if (core_row(k, &info))
            return KDB_OK;
    for (unsigned i = 0; i < TRACE_POINTS; i++)
        if (trace_points[i].mask && trace_row(k, i))
            break;
    return KDB_OK;
}

/* ---- what all points share ------------------------------------------------------------------- */

#define POINT_KEYS "after,unless,do"

static bool copy_line(struct kdb *k, const char *key, char *to)
{
    const char *text = kdb_key(k, key);
    unsigned n = text ? (unsigned)strlen(text) : 0;

    if (n >= POINT_LINE) {
        kdb_fail(k, KDB_BADARG, "%s=: longer than %u characters; use a script", key, POINT_LINE - 1u);
        return false;
    }
    if (n)
        memcpy(to, text, n);
    to[n] = '\0';
    return true;
}

/* The keys of a point that is about to be set.  False: failed. */
static bool point_keys(struct kdb *k, struct point *p)
{
    *p = (struct point){ 0 };
    if (k->door == KDB_SYSCALL) {
        kdb_fail(k, KDB_PERM, "a program must not stop the machine by a point");
        return false;
    }
    return kdb_key_number(k, "after", &p->after) && copy_line(k, "unless", p->unless) &&
           copy_line(k, "do", p->todo);
}

static enum kdb_rc point_is_set(struct kdb *k, unsigned number, const struct point *p)
{
    points[number] = *p;
    kdb_note(k, "-- point %u", number);
    return KDB_OK;
}

static enum kdb_rc set_core(struct kdb *k, enum bp_kind kind, const struct task *task, uint32_t address,
                            uint32_t size, const char *only, const struct point *p)
{
    const char *problem = bp_set(kind, task, address, size, BP_OWNER_KDB);
    struct bp_info info;

    if (problem)
        return kdb_fail(k, KDB_BADARG, "%s", problem);
    if (!task && address < KERNEL_BASE)
        bp_only(kind, address, size, only);
    for (unsigned n = 0; bp_get(n, &info); n++)
        if (info.kind == kind && info.task == task && info.address == address && (info.owner & BP_OWNER_KDB))
            return point_is_set(k, info.number, p);
    return KDB_OK;
}

/*
 * "@pong:0x400123": tasks of that name, also those to come.  A name that one task has now still means
 * all that will ever have it.  False: not of this form.
 */
static bool named_place(struct kdb *k, char only[OBJECT_NAME_MAX + 1u], uint32_t *address)
{
    const char *text = k->argv[0], *colon = *text == '@' ? strchr(text, ':') : NULL;
    unsigned n = colon ? (unsigned)(colon - text - 1) : 0;

    if (!colon || n == 0 || n > OBJECT_NAME_MAX)
        return false;
    memcpy(only, text + 1, n);
    only[n] = '\0';
    if (kdb_number(colon + 1, address) || usersym_value(colon + 1, address))
        return true;
    kdb_fail(k, KDB_BADARG, "'%s' is neither a number nor a symbol of a module", colon + 1);
    return true;
}

/* ---- add ------------------------------------------------------------------------------------- */

KDB_CMD(bp_add, .noun = "bp", .verb = "add", .alias = "b",
        .usage = "ADDRESS [kind=soft|exec] [after=N] [unless='LINE'] [do='LINES']", .keys = "kind," POINT_KEYS,
        .effect = KE_DBG,
        .summary = "stop at an instruction: of the kernel, of a task (tk5:0x.., tk5:main), of tasks of a name "
                   "(@pong:0x..), of any task (0x.., symbol of a module)",
        .example = "bp add sys_unmap", .argc_min = 1, .argc_max = 1)
{
    const char *kind = kdb_key(k, "kind");
    char only[OBJECT_NAME_MAX + 1u] = "";
    const struct task *task = NULL;
    enum bp_kind how;
    uint32_t address;
    struct point p;

    if (kind && strcmp(kind, "soft") != 0 && strcmp(kind, "exec") != 0)
        return kdb_fail(k, KDB_BADARG, "kind=soft or kind=exec (debug register)");
    if (!point_keys(k, &p) || (!named_place(k, only, &address) && !kdb_arg_address(k, 0, &task, &address)))
        return k->rc;
    if (k->rc != KDB_OK)
        return k->rc;
    how = (kind && *kind == 'e') || (!kind && !task && address < KERNEL_BASE) ? BP_EXEC : BP_SOFT;
    return set_core(k, how, task, address, 1, only, &p);
}

/* ---- events ---------------------------------------------------------------------------------- */

static enum kdb_rc set_event(struct kdb *k, const struct trace_point *wanted, const struct point *p)
{
    for (unsigned i = 0; i < TRACE_POINTS; i++) {
        if (trace_points[i].mask)
            continue;
        trace_points[i] = *wanted;
        trace_set_mask(trace_mask | wanted->mask);
        trace_stop_mask |= wanted->mask;
        return point_is_set(k, BP_MAX + i, p);
    }
    return kdb_fail(k, KDB_LIMIT, "%u points at events are there already", TRACE_POINTS);
}

static void drop_event(unsigned i)
{
    trace_points[i].mask = 0;
    trace_stop_mask = 0;
    for (unsigned j = 0; j < TRACE_POINTS; j++)
        trace_stop_mask |= trace_points[j].mask;
}

/* An id, also of something gone; 0: none. */
static bool event_object(struct kdb *k, const char *text, uint32_t *id)
{
    const struct kobj *o;

    *id = 0;
    if (!text || kdb_number(text, id))
        return true;
    o = kdb_find_object(k, text, 0);
    *id = o ? o->id : 0;
    return o != NULL;
}

KDB_CMD(bp_event, .noun = "bp", .verb = "event", .alias = "b",
        .usage = "EVENT [ID | SLOT] [thread=thN] [right=LETTERS] [after=N] [unless='LINE'] [do='LINES'] | off",
        .keys = "thread,right," POINT_KEYS, .effect = KE_DBG, .early = true,
        .summary = "stop when an event is traced, of one object or slot if given; right= for cap.map and cap.unmap",
        .example = "bp event off", .argc_min = 1, .argc_max = 2)
{
    struct trace_point t = { 0 };
    const char *letters = kdb_key(k, "right");
    struct kdb_slot slot;
    struct point p;

    if (!point_keys(k, &p))
        return k->rc;
    if (strcmp(k->argv[0], "off") == 0) {
        for (unsigned i = 0; i < TRACE_POINTS; i++)
            drop_event(i);
        return KDB_OK;
    }
    for (unsigned e = 0; e < TRACE_EVENT_COUNT; e++)
        if (kdb_glob(k->argv[0], trace_event_names[e], false))
            t.mask |= 1u << e;
    if (!t.mask)
        return kdb_fail(k, KDB_NOENT, "no event like '%s'; trace stat shows them", k->argv[0]);
    if (!event_object(k, kdb_key(k, "thread"), &t.thread))
        return k->rc;
    if (k->argc > 1 && strchr(k->argv[1], '/')) {
        if (!kdb_arg_slot(k, 1, &slot))
            return k->rc;
        t.task = slot.task->obj.id;
        t.slot = slot.name | slot.space << 10;
    } else if (!event_object(k, k->argc > 1 ? k->argv[1] : NULL, &t.object)) {
        return k->rc;
    }
    if (letters) { /* of the object, or of what may stand in the slot */
        const struct kobj *o = t.object ? kobj_by_id(t.object) : NULL;

        if (!kdb_rights_parse(o ? o->type : t.task && slot.space == L4_SPACE_MEM ? L4_TYPE_MEMORY : L4_TYPE_ENDPOINT,
                              letters, &t.rights))
            return kdb_fail(k, KDB_BADARG, "right=%s: there is no such right", letters);
    }
    return set_event(k, &t, &p);
}

/* ---- watch ----------------------------------------------------------------------------------- */

#define BIT(event) (1u << TRACE_##event)

/* The word that says what stands at a name: an entry of its table, or of the directory if there is no table yet. */
static const void *entry_of(const struct kdb_slot *slot)
{
    uint32_t number = slot->name >> L4_NAME_SHIFT, high = number >> 10 & 1023u, low = number & 1023u;

    if (slot->space == L4_SPACE_CAP) {
        struct node **table = slot->task->cap_dir[high];

        return table ? (const void *)&table[low] : &slot->task->cap_dir[high];
    } else {
        uint32_t entry = slot->task->pd_shadow[high]; /* 0, a table (even), or a 4 MB node | 1 */

        return entry && !(entry & 1u) ? (const void *)((const uint32_t *)(uintptr_t)entry + low)
                                      : &slot->task->pd_shadow[high];
    }
}

/* A name: it gets or loses something, and what stands there changes its rights. */
static enum kdb_rc watch_slot(struct kdb *k, const struct point *p)
{
    struct kdb_slot slot;
    const struct node *n;

    if (!kdb_arg_slot(k, 0, &slot))
        return k->rc;
    if (slot.space == L4_SPACE_IO) { /* a list and no table */
        struct trace_point t = { .mask = BIT(MAP) | BIT(UNMAP), .task = slot.task->obj.id,
                                 .slot = slot.name | slot.space << 10 };

        return set_event(k, &t, p);
    }
    if (set_core(k, BP_WRITE, NULL, (uint32_t)(uintptr_t)entry_of(&slot), 4, NULL, p) != KDB_OK)
        return k->rc;
    n = slot.space == L4_SPACE_MEM ? mem_lookup(slot.task, slot.name)
                                   : cap_lookup(slot.task, slot.name >> L4_NAME_SHIFT);
    if (!n || !kdb_node_ok(n))
        return KDB_OK;
    return set_core(k, BP_WRITE, NULL, (uint32_t)(uintptr_t)&n->name, 4, NULL, p);
}

/* An object: the events that change it; a thread: its state. */
static enum kdb_rc watch_object(struct kdb *k, const struct kobj *o, const struct point *p)
{
    struct trace_point t = { .object = o->id };

    switch (o->type) {
    case L4_TYPE_THREAD:
        return set_core(k, BP_WRITE, NULL, (uint32_t)(uintptr_t)&((const struct thread *)(const void *)o)->state, 1,
                        NULL, p);
    case L4_TYPE_ENDPOINT:
        t.mask = BIT(IPC_SEND) | BIT(IPC_BLOCK) | BIT(DESTROY) | BIT(MAP) | BIT(UNMAP);
        break;
    case L4_TYPE_RESERVATION:
        t.mask = BIT(BUDGET) | BIT(REFILL) | BIT(DESTROY) | BIT(MAP) | BIT(UNMAP);
        break;
    default:
        t.mask = BIT(DESTROY) | BIT(MAP) | BIT(UNMAP);
        break;
    }
    return set_event(k, &t, p);
}

static bool is_object_text(const char *text)
{
    if (*text == '@' || *text == '$')
        return !strchr(text, ':');
    for (unsigned t = L4_TYPE_TASK; t <= L4_TYPE_CPU; t++) {
        const char *prefix = kobj_prefix((enum l4_type)t);
        unsigned n = (unsigned)strlen(prefix);

        if (strncmp(text, prefix, n) == 0 && (text[n] == '@' || (text[n] >= '0' && text[n] <= '9')))
            return !strchr(text, ':');
    }
    return false;
}

KDB_CMD(bp_watch, .noun = "bp", .verb = "watch", .alias = "b",
        .usage = "ADDRESS [len=1|2|4] [on=write|access] | SLOT | ID   [after=N] [unless='LINE'] [do='LINES']",
        .keys = "len,on," POINT_KEYS, .effect = KE_DBG,
        .summary = "stop after memory was touched (=th2.state: a field), a slot or mapping changed, an endpoint was used, "
                   "a reservation spent or refilled, a thread changed its state",
        .example = "bp watch =th2.state on=write", .argc_min = 1, .argc_max = 1)
{
    const char *on = kdb_key(k, "on"), *text = k->argv[0];
    char only[OBJECT_NAME_MAX + 1u] = "";
    const struct task *task = NULL;
    uint32_t length = 0, address;
    struct point p;

    if (!point_keys(k, &p) || !kdb_key_number(k, "len", &length))
        return k->rc;
    if ((length && length != 1 && length != 2 && length != 4) || (kdb_key(k, "len") && !length))
        return kdb_fail(k, KDB_BADARG, "len= 1, 2 or 4");
    if (on && strcmp(on, "write") != 0 && strcmp(on, "access") != 0)
        return kdb_fail(k, KDB_BADARG, "on=write or on=access");
    if (strchr(text, '/'))
        return watch_slot(k, &p);
    if (is_object_text(text)) {
        struct kobj *o = kdb_arg_object(k, 0, 0);

        return o ? watch_object(k, o, &p) : k->rc;
    }
    if ((!named_place(k, only, &address) && !kdb_arg_address(k, 0, &task, &address)) || k->rc != KDB_OK)
        return k->rc;
    if (!length)
        length = k->field_size == 1 || k->field_size == 2 ? k->field_size : 4;
    return set_core(k, on && *on == 'a' ? BP_ACCESS : BP_WRITE, task, address, length, only, &p);
}

KDB_CMD(bp_del, .noun = "bp", .verb = "del", .alias = "b", .usage = "N | all", .effect = KE_DBG,
        .summary = "remove a point of kdb's", .example = "bp del all", .argc_min = 1, .argc_max = 1)
{
    bool all = strcmp(k->argv[0], "all") == 0;
    struct bp_info info;
    uint32_t number;

    if (all) {
        bp_clear_all(BP_OWNER_KDB);
        for (unsigned i = 0; i < TRACE_POINTS; i++)
            drop_event(i);
        return KDB_OK;
    }
    if (!kdb_arg_number(k, 0, &number))
        return k->rc;
    if (number >= BP_MAX && number < POINTS && trace_points[number - BP_MAX].mask) {
        drop_event(number - BP_MAX);
        return KDB_OK;
    }
    for (unsigned n = 0; bp_get(n, &info); n++) {
        const char *problem;

        if (info.number != number)
            continue;
        problem = bp_clear(info.kind, info.task, info.address, info.size, BP_OWNER_KDB);
        return problem ? kdb_fail(k, KDB_BADARG, "it is GDB's") : KDB_OK;
    }
    return kdb_fail(k, KDB_NOENT, "no point %u; bp shows them", number);
}
