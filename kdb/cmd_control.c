// SPDX-License-Identifier: MIT
/* What stops and starts: go, step, gdb, bp, halt, reboot. */
#include "kdb/engine.h"

#include <arch/console.h>
#include <arch/cpu.h>
#include "kernel/debug/debug.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/string.h"
#include "kernel/trace.h"

static enum kdb_rc leave(struct kdb *k, enum debug_resume how)
{
    if (!kdb_stop)
        return kdb_fail(k, KDB_PERM, "the machine is not stopped");
    kdb_session.resume = true;
    kdb_session.resume_how = how;
    return KDB_OK;
}

KDB_CMD(go, .early = true, .noun = "go", .verb = "", .alias = "g", .usage = "",
        .summary = "continue", .example = "go", .effect = KE_RESUME)
{
    return leave(k, DEBUG_GO);
}

KDB_CMD(step, .early = true, .noun = "step", .verb = "", .alias = "s", .usage = "",
        .summary = "execute one instruction", .example = "step", .effect = KE_RESUME)
{
    return leave(k, DEBUG_STEP_ONE);
}

KDB_CMD(gdb, .early = true, .noun = "gdb", .verb = "", .usage = "",
        .summary = "hand the stopped machine over to GDB on COM2", .example = "gdb",
        .effect = KE_DBG)
{
    if (!arch_serial_present(1))
        return kdb_fail(k, KDB_NOENT, "there is no COM2");
    return leave(k, DEBUG_OTHER);
}

KDB_CMD(halt, .early = true, .noun = "halt", .verb = "", .usage = "",
        .summary = "stop the machine for good", .effect = KE_MACHINE)
{
    (void)k;
    arch_debug_exit(0);
    arch_halt_forever();
}

KDB_CMD(reboot, .early = true, .noun = "reboot", .verb = "", .usage = "",
        .summary = "reset the machine", .effect = KE_MACHINE)
{
    (void)k;
    arch_reboot();
}

/* ---- bp -------------------------------------------------------------------------------------- */

KDB_SCHEMA(bp_schema, "bp.ls",
    { "n", K_NUM, 3, 0, "number" },
    { "kind", K_TEXT, 6, 0, "soft, exec, write or access" },
    { "task", K_ID, 6, 0, "in which task, none: kernel; event: for which object" },
    { "addr", K_HEX, 10, 0, "address" },
    { "len", K_NUM, 3, 0, "bytes watched" },
    { "owner", K_TEXT, 5, 0, "kdb or gdb" },
    { "hits", K_NUM, 5, 0, "how often it stopped the machine" },
    { "symbol", K_TEXT, 20, 0, "kernel symbol, or event" });

static const char *const bp_kinds[] = { "soft", "exec", "write", "access" };

KDB_CMD(bp_ls, .noun = "bp", .verb = "ls", .usage = "", .schema = &bp_schema,
        .summary = "breakpoints and watchpoints", .example = "bp")
{
    struct bp_info info;

    for (unsigned n = 0; bp_get(n, &info) && kdb_tick(k); n++) {
        uint32_t offset = 0;
        const char *symbol = info.task ? NULL : sym_find(info.address, &offset);

        kdb_row(k);
        kdb_put_num(k, n);
        kdb_put_text(k, bp_kinds[info.kind & 3u]);
        kdb_put_object(k, info.task ? &info.task->obj : NULL);
        kdb_put_num(k, info.address);
        kdb_put_num(k, info.size);
        kdb_put_text(k,
                     info.owner == BP_OWNER_KDB       ? "kdb"
                         : info.owner == BP_OWNER_GDB ? "gdb"
                                                      : "both");
        kdb_put_num(k, info.hits);
        if (symbol)
            kdb_put_format(k, "%s+0x%x", symbol, offset);
        if (kdb_row_end(k))
            break;
    }
    for (unsigned e = 0; e < TRACE_EVENT_COUNT; e++) {
        const struct kobj *o = trace_stop.object ? kobj_by_id(trace_stop.object) : NULL;

        if (!(trace_stop.mask >> e & 1u))
            continue;
        kdb_row(k);
        kdb_put_null(k);
        kdb_put_text(k, "event");
        kdb_put_object(k, o);
        kdb_put_null(k);
        kdb_put_null(k);
        kdb_put_text(k, "kdb");
        kdb_put_num(k, trace_stop.hits);
        kdb_put_text(k, trace_event_names[e]);
        if (kdb_row_end(k))
            break;
    }
    return KDB_OK;
}

/*
 * Stop when an event is traced.  One selection of events and one object at a time: the test in the trace
 * must cost nothing.
 */
KDB_CMD(bp_event, .noun = "bp", .verb = "event", .usage = "EVENT [ID] | off", .effect = KE_DBG,
        .early = true, .summary = "stop when an event is traced, only for one object if given",
        .example = "bp event off", .argc_min = 1, .argc_max = 2)
{
    uint32_t mask = 0, id = 0;

    if (k->door == KDB_SYSCALL)
        return kdb_fail(k, KDB_PERM, "a program must not stop the machine by a point");
    if (strcmp(k->argv[0], "off") == 0) {
        trace_stop = (struct trace_stop){ 0 };
        return KDB_OK;
    }
    for (unsigned e = 0; e < TRACE_EVENT_COUNT; e++)
        if (kdb_glob(k->argv[0], trace_event_names[e], false))
            mask |= 1u << e;
    if (!mask)
        return kdb_fail(k, KDB_NOENT, "no event like '%s'; trace stat shows them", k->argv[0]);
    if (k->argc > 1 && !kdb_number(k->argv[1], &id)) {
        struct kobj *o = kdb_arg_object(k, 1, 0);

        if (!o)
            return k->rc;
        id = o->id;
    }
    trace_mask |= mask;
    trace_stop = (struct trace_stop){ mask, id, 0 };
    return KDB_OK;
}

static enum kdb_rc set_point(struct kdb *k, enum bp_kind kind, uint32_t size)
{
    const struct task *task;
    const char *problem;
    uint32_t address;

    if (k->door == KDB_SYSCALL)
        return kdb_fail(k, KDB_PERM, "a program must not stop the machine by a point");
    if (!kdb_arg_address(k, 0, &task, &address))
        return k->rc;
    problem = bp_set(kind, task, address, size, BP_OWNER_KDB);
    return problem ? kdb_fail(k, KDB_BADARG, "%s", problem) : KDB_OK;
}

KDB_CMD(bp_add, .noun = "bp", .verb = "add", .usage = "ADDRESS [kind=soft|exec]", .keys = "kind",
        .effect = KE_DBG, .summary = "stop when this instruction is reached",
        .example = "bp add sys_unmap", .argc_min = 1, .argc_max = 1)
{
    const char *kind = kdb_key(k, "kind");

    if (kind && strcmp(kind, "soft") != 0 && strcmp(kind, "exec") != 0)
        return kdb_fail(k, KDB_BADARG, "kind=soft or kind=exec (debug register)");
    return set_point(k, kind && *kind == 'e' ? BP_EXEC : BP_SOFT, 1);
}

KDB_CMD(bp_watch, .noun = "bp", .verb = "watch", .usage = "ADDRESS [len=1|2|4] [on=write|access]",
        .keys = "len,on", .effect = KE_DBG, .summary = "stop after this memory was touched",
        .example = "bp watch =th2 len=4 on=write", .argc_min = 1, .argc_max = 1)
{
    const char *on = kdb_key(k, "on");
    uint32_t length = 4;

    if (!kdb_key_number(k, "len", &length))
        return k->rc;
    if (length != 1 && length != 2 && length != 4)
        return kdb_fail(k, KDB_BADARG, "len= 1, 2 or 4");
    if (on && strcmp(on, "write") != 0 && strcmp(on, "access") != 0)
        return kdb_fail(k, KDB_BADARG, "on=write or on=access");
    return set_point(k, on && *on == 'a' ? BP_ACCESS : BP_WRITE, length);
}

KDB_CMD(bp_del, .noun = "bp", .verb = "del", .usage = "N | all", .effect = KE_DBG,
        .summary = "remove a point of kdb's", .example = "bp del all", .argc_min = 1, .argc_max = 1)
{
    struct bp_info info;
    uint32_t n;
    const char *problem;

    if (strcmp(k->argv[0], "all") == 0) {
        bp_clear_all(BP_OWNER_KDB);
        return KDB_OK;
    }
    if (!kdb_arg_number(k, 0, &n))
        return k->rc;
    if (!bp_get(n, &info))
        return kdb_fail(k, KDB_NOENT, "no point %u", n);
    problem = bp_clear(info.kind, info.task, info.address, info.size, BP_OWNER_KDB);
    return problem ? kdb_fail(k, KDB_BADARG, "%s", problem) : KDB_OK;
}
