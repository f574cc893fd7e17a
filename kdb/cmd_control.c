// SPDX-License-Identifier: MIT
/* What starts and stops: go, step, gdb, halt, reboot.  What stops by itself: cmd_bp.c. */
#include "kdb/engine.h"

#include <arch/console.h>
#include <arch/cpu.h>
#include "kernel/debug/debug.h"

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
