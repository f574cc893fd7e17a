// SPDX-License-Identifier: MIT
/* check: the invariants of the kernel, each with what it looked at and its first violation. */
#include "kdb/engine.h"

#include <arch/timer.h>
#include "kernel/check.h"
#include "kernel/clock.h"
#include "kernel/debug/debug.h"
#include "kernel/lib/string.h"

KDB_SCHEMA(check_schema, "check",
    { "id", K_TEXT, 8, 0, "name of the invariant" },
    { "group", K_TEXT, 5, 0, "group of invariants" },
    { "result", K_TEXT, 7, 0, "ok, FAIL, or fault: the rule itself met unreadable memory" },
    { "looked", K_NUM, 6, 0, "objects looked at" },
    { "failed", K_NUM, 6, 0, "violations" },
    { "us", K_US, 7, COL_VOLATILE, "time that it took" },
    { "what", K_TEXT, 30, COL_WIDE, "the invariant as a sentence" },
    { "witness", K_TEXT, 20, 0, "first violation" });

struct run {
    struct kdb *k;
    const struct check_rule *rule;
    struct check check;
    char witness[128];
};

static void report(struct check *c, const char *text)
{
    struct run *r = c->arg;
    unsigned n = min_u32((uint32_t)strlen(text), sizeof(r->witness) - 1);

    if (r->witness[0])
        return;
    memcpy(r->witness, text, n);
    r->witness[n] = '\0';
}

static bool tick(struct check *c)
{
    struct run *r = c->arg;

    return kdb_tick(r->k);
}

static void run_rule(void *arg)
{
    struct run *r = arg;

    check_run(&r->check, r->rule);
}

/* True: the rule holds. */
static bool check_row(struct kdb *k, const struct check_rule *rule, bool *stop)
{
    static struct run r; /* the witness is too big for a stack */
    uint64_t start = arch_clock_raw();
    uint32_t ip = 0, address = 0;
    bool finished;

    r = (struct run){ .k = k,
                      .rule = rule,
                      .check = { .report = report, .tick = tick, .arg = &r } };
    finished = debug_guard(run_rule, &r, &ip, &address);
    kdb_row(k);
    kdb_put_text(k, rule->id);
    kdb_put_text(k, rule->group);
    kdb_put_text(k, !finished ? "fault" : r.check.failed ? "FAIL" : "ok");
    kdb_put_num(k, r.check.looked);
    kdb_put_num(k, r.check.failed);
    kdb_put_num(k, clock_to_us(arch_clock_raw() - start));
    kdb_put_text(k, rule->what);
    if (!finished)
        kdb_put_format(k, "fault at 0x%08x reading 0x%08x", ip, address);
    else
        kdb_put_text(k, r.witness[0] ? r.witness : NULL);
    *stop = kdb_row_end(k);
    return finished && !r.check.failed;
}

static bool chosen(const struct check_rule *rule, const char *name)
{
    return !name || strcmp(name, "all") == 0 || kdb_glob(name, rule->id, true) ||
        strcmp(name, rule->group) == 0;
}

static enum kdb_rc run_checks(struct kdb *k)
{
    unsigned ran = 0, failed = 0;
    const char *name = k->argc ? k->argv[0] : NULL;
    bool stop = false;

    for (unsigned i = 0; i < LINKSET_COUNT(check_rules) && !stop && kdb_tick(k); i++) {
        const struct check_rule *rule = LINKSET_GET(check_rules, i);

        if (!chosen(rule, name))
            continue;
        ran++;
        failed += !check_row(k, rule, &stop);
    }
    if (!ran)
        return kdb_fail(k, KDB_NOENT, "no invariant '%s'; check ls shows them", name ? name : "");
    kdb_note(k, "-- %u invariants, %u ok, %u FAIL", ran, ran - failed, failed);
    return failed ? KDB_FALSE : KDB_OK;
}

KDB_CMD(check, .noun = "check", .verb = "", .usage = "[all | NAME | GROUP]",
        .schema = &check_schema, .summary = "verify the kernel's invariants; rc 1 if one fails",
        .example = "check", .argc_max = 1)
{
    return run_checks(k);
}

KDB_CMD(check_show, .noun = "check", .verb = "show", .usage = "NAME | GROUP",
        .schema = &check_schema, .summary = "verify some invariants", .example = "check MDB",
        .argc_min = 1, .argc_max = 1)
{
    return run_checks(k);
}

KDB_SCHEMA(check_ls_schema, "check.ls",
    { "id", K_TEXT, 8, 0, "name of the invariant" },
    { "group", K_TEXT, 5, 0, "group of invariants" },
    { "what", K_TEXT, 30, 0, "the invariant as a sentence" });

KDB_CMD(check_list, .noun = "check", .verb = "ls", .usage = "", .schema = &check_ls_schema,
        .summary = "the invariants there are", .example = "check ls")
{
    for (unsigned i = 0; i < LINKSET_COUNT(check_rules) && kdb_tick(k); i++) {
        const struct check_rule *rule = LINKSET_GET(check_rules, i);

        kdb_row(k);
        kdb_put_text(k, rule->id);
        kdb_put_text(k, rule->group);
        kdb_put_text(k, rule->what);
        if (kdb_row_end(k))
            break;
    }
    return KDB_OK;
}
