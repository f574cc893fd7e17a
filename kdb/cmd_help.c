// SPDX-License-Identifier: MIT
/* The debugger about itself: help, schema, set, proto, expect, report.  All of it read off the tables. */
#include "kdb/engine.h"

#include "kernel/debug/debug.h"
#include "kernel/lib/string.h"

static const char *const effects[] = { "pure", "dbg", "hwread", "machine", "resume" };

/* ---- help ------------------------------------------------------------------------------------ */

KDB_SCHEMA(help_schema, "help",
    { "command", K_TEXT, 13, 0, "noun and verb" },
    { "alias", K_TEXT, 5, 0, "short form of the noun" },
    { "effect", K_TEXT, 7, 0, "pure, dbg, hwread, machine or resume" },
    { "summary", K_TEXT, 40, 0, "what it does" },
    { "usage", K_TEXT, 20, COL_WIDE, "arguments" },
    { "example", K_TEXT, 20, COL_WIDE, "a line that works" });

static int command_order(const struct kdb_cmd *a, const struct kdb_cmd *b)
{
    int sign = strcmp(a->noun, b->noun);

    return sign ? sign : strcmp(a->verb, b->verb);
}

/* The command that follows `last` in the alphabet; NULL at the end.  The table is in link order. */
static const struct kdb_cmd *next_command(const struct kdb_cmd *last)
{
    const struct kdb_cmd *best = NULL;

    for (unsigned i = 0; i < LINKSET_COUNT(kdb_cmds); i++) {
        const struct kdb_cmd *c = LINKSET_GET(kdb_cmds, i);

        if ((!last || command_order(c, last) > 0) && (!best || command_order(c, best) < 0))
            best = c;
    }
    return best;
}

static bool is_called(const struct kdb_cmd *c, const char *noun)
{
    return strcmp(c->noun, noun) == 0 || (c->alias && strcmp(c->alias, noun) == 0);
}

static void help_one(struct kdb *k, const struct kdb_cmd *c)
{
    kdb_note(k, "%s%s%s %s", c->noun, *c->verb ? " " : "", c->verb, c->usage);
    kdb_note(k, "    %s (%s)", c->summary, effects[c->effect]);
    if (c->example)
        kdb_note(k, "    example: %s", c->example);
    if (c->keys)
        kdb_note(k, "    keys: %s", c->keys);
    for (unsigned i = 0; c->schema && c->schema != &kdb_pairs && i < c->schema->count; i++)
        kdb_note(k, "    %-12s %s", c->schema->col[i].name, c->schema->col[i].doc);
}

KDB_CMD(help, .early = true, .noun = "help", .verb = "", .alias = "?", .usage = "[COMMAND | WORD]",
        .summary = "the commands, one command, or a search", .example = "help thread",
        .schema = &help_schema, .argc_max = 1)
{
    const char *word = k->argc ? k->argv[0] : NULL;
    bool exact = false;

    for (unsigned i = 0; word && i < LINKSET_COUNT(kdb_cmds); i++)
        exact |= is_called(LINKSET_GET(kdb_cmds, i), word);
    for (const struct kdb_cmd *c = next_command(NULL); c && kdb_tick(k); c = next_command(c)) {
        if (exact ? !is_called(c, word) : word && !kdb_glob(word, c->summary, true))
            continue;
        if (exact && k->format == KDB_AS_TEXT && k->stage_count == 0) {
            help_one(k, c);
            continue;
        }
        kdb_row(k);
        kdb_put_format(k, "%s%s%s", c->noun, *c->verb ? " " : "", c->verb);
        kdb_put_text(k, c->alias);
        kdb_put_text(k, effects[c->effect]);
        kdb_put_text(k, c->summary);
        kdb_put_text(k, c->usage);
        kdb_put_text(k, c->example);
        if (kdb_row_end(k))
            return KDB_OK;
    }
    if (!word) {
        kdb_note(k,
                 "-- help COMMAND explains one; every table takes field=value, cols= sort= max= -o "
                 "json|tsv|dot -q -v -a");
        kdb_note(k,
                 "-- pipes: | head N  | tail N  | wc  | count by F  | grep [-iv] PAT  | sum F  | "
                 "uniq F  | each LINE");
    }
    return KDB_OK;
}

/* ---- schema ---------------------------------------------------------------------------------- */

KDB_SCHEMA(schema_schema, "schema",
    { "command", K_TEXT, 13, 0, "noun and verb" },
    { "column", K_TEXT, 12, 0, "name of the column; none: the command itself" },
    { "kind", K_TEXT, 6, 0, "type of its values" },
    { "volatile", K_BOOL, 8, 0, "differs from run to run" },
    { "doc", K_TEXT, 30, 0, "meaning" },
    { "effect", K_TEXT, 7, COL_WIDE, "effect class of the command" },
    { "usage", K_TEXT, 20, COL_WIDE, "arguments of the command" },
    { "keys", K_TEXT, 10, COL_WIDE, "its key= arguments" },
    { "example", K_TEXT, 20, COL_WIDE, "a line that works" });

static const char *kind_name(unsigned kind)
{
    static const char *const names[] = {
#define X(name, text, doc) text,
        KDB_KIND_LIST(X)
#undef X
    };

    return kind < ARRAY_SIZE(names) ? names[kind] : "?";
}

static bool schema_head(struct kdb *k, const struct kdb_cmd *c)
{
    kdb_row(k);
    kdb_put_format(k, "%s%s%s", c->noun, *c->verb ? " " : "", c->verb);
    kdb_put_null(k);
    kdb_put_null(k);
    kdb_put_null(k);
    kdb_put_text(k, c->summary);
    kdb_put_text(k, effects[c->effect]);
    kdb_put_text(k, c->usage);
    kdb_put_text(k, c->keys);
    kdb_put_text(k, c->example);
    return kdb_row_end(k);
}

KDB_CMD(schema, .early = true, .noun = "schema", .verb = "", .usage = "[NOUN]",
        .summary = "commands and columns as data", .example = "schema thread -o json",
        .schema = &schema_schema, .argc_max = 1)
{
    unsigned found = 0;

    for (const struct kdb_cmd *c = next_command(NULL); c && kdb_tick(k); c = next_command(c)) {
        if (k->argc && !is_called(c, k->argv[0]))
            continue;
        found++;
        if (schema_head(k, c))
            return KDB_OK;
        for (unsigned i = 0; c->schema && i < c->schema->count; i++) {
            const struct kdb_col *col = &c->schema->col[i];

            kdb_row(k);
            kdb_put_format(k, "%s%s%s", c->noun, *c->verb ? " " : "", c->verb);
            kdb_put_text(k, col->name);
            kdb_put_text(k, kind_name(col->kind));
            kdb_put_num(k, (col->flags & COL_VOLATILE) != 0);
            kdb_put_text(k, col->doc);
            if (kdb_row_end(k))
                return KDB_OK;
        }
    }
    return found ? KDB_OK : kdb_fail(k, KDB_NOENT, "no command '%s'", k->argv[0]);
}

/* ---- set and proto --------------------------------------------------------------------------- */

static bool on_off(struct kdb *k, const char *text, bool *value)
{
    bool on = strcmp(text, "on") == 0;

    if (!on && strcmp(text, "off") != 0) {
        kdb_fail(k, KDB_BADARG, "'%s' is neither on nor off", text);
        return false;
    }
    *value = on;
    return true;
}

static enum kdb_rc set_number(struct kdb *k, const char *text, uint32_t *value)
{
    return kdb_number(text, value) ? KDB_OK : kdb_fail(k, KDB_BADARG, "'%s' is no number", text);
}

static enum kdb_rc set_output(struct kdb *k, const char *text)
{
    static const char *const names[] = { "text", "json", "tsv", "dot" };

    for (unsigned i = 0; i < ARRAY_SIZE(names); i++)
        if (strcmp(names[i], text) == 0) {
            kdb_session.format = (enum kdb_format)i;
            return KDB_OK;
        }
    return kdb_fail(k, KDB_BADARG, "'%s' is none of text json tsv dot", text);
}

KDB_CMD(set, .early = true, .noun = "set", .verb = "",
        .usage = "[unsafe on|off | max N | budget N | lines N | output FORMAT]",
        .summary = "show or change settings", .example = "set max 50", .schema = &kdb_pairs,
        .effect = KE_DBG, .argc_max = 2)
{
    const char *name = k->argc ? k->argv[0] : NULL;

    if (!name) {
        static const char *const formats[] = { "text", "json", "tsv", "dot" };

        kdb_pair(k, "unsafe", "%s", kdb_session.unsafe ? "on" : "off");
        kdb_pair(k, "max", "%u", kdb_session.max);
        kdb_pair(k, "budget", "%u", kdb_session.budget);
        kdb_pair(k, "lines", "%u", kdb_session.lines);
        kdb_pair(k, "output", "%s", formats[kdb_session.format]);
        kdb_pair(k, "proto", "%s", kdb_session.test ? "test" : "human");
        return KDB_OK;
    }
    if (k->argc != 2)
        return kdb_fail(k, KDB_USAGE, "set NAME VALUE");
    if (strcmp(name, "unsafe") == 0) {
        /* A program must not open by EXEC what only a person at the machine may open. */
        if (k->door == KDB_SYSCALL || k->door == KDB_BOOT)
            return kdb_fail(k, KDB_PERM, "set unsafe is not for this door");
        on_off(k, k->argv[1], &kdb_session.unsafe);
        return k->rc;
    }
    if (k->door == KDB_SYSCALL)
        return kdb_fail(k, KDB_PERM, "set is not for this door");
    if (strcmp(name, "max") == 0)
        return set_number(k, k->argv[1], &kdb_session.max);
    if (strcmp(name, "budget") == 0)
        return set_number(k, k->argv[1], &kdb_session.budget);
    if (strcmp(name, "lines") == 0)
        return set_number(k, k->argv[1], &kdb_session.lines);
    if (strcmp(name, "output") == 0)
        return set_output(k, k->argv[1]);
    return kdb_fail(k, KDB_BADARG, "no setting '%s'; set shows them", name);
}

KDB_CMD(proto, .early = true, .noun = "proto", .verb = "", .usage = "human | test",
        .effect = KE_DBG, .summary = "talk to a person or to a driver", .example = "proto test",
        .argc_min = 1, .argc_max = 1)
{
    bool test = strcmp(k->argv[0], "test") == 0;

    if (!test && strcmp(k->argv[0], "human") != 0)
        return kdb_fail(k, KDB_BADARG, "proto human or proto test");
    if (k->door == KDB_SYSCALL)
        return kdb_fail(k, KDB_PERM, "proto is not for this door");
    kdb_session.test = test;
    return KDB_OK;
}

/* ---- expect ---------------------------------------------------------------------------------- */

KDB_SCHEMA(expect_schema, "expect",
    { "got", K_TEXT, 12, 0, "cells by blanks, rows by commas" },
    { "want", K_TEXT, 12, 0, "what the line said" },
    { "ok", K_BOOL, 3, 0, "it holds" });

static bool holds(const char *got, const char *op, const char *want, bool *known)
{
    uint32_t a = 0, b = 0;
    bool numbers = kdb_number(got, &a) && kdb_number(want, &b);
    int sign = numbers ? (a < b ? -1 : a > b) : strcmp(got, want);

    *known = true;
    if (strcmp(op, "=") == 0)
        return sign == 0;
    if (strcmp(op, "!=") == 0)
        return sign != 0;
    if (strcmp(op, "<") == 0)
        return sign < 0;
    if (strcmp(op, "<=") == 0)
        return sign <= 0;
    if (strcmp(op, ">") == 0)
        return sign > 0;
    if (strcmp(op, ">=") == 0)
        return sign >= 0;
    if (strcmp(op, "~") == 0)
        return kdb_glob(want, got, false);
    *known = false;
    return false;
}

KDB_CMD(expect, .early = true, .noun = "expect", .verb = "", .usage = "'LINE' OP VALUE",
        .schema = &expect_schema, .summary = "run a line and compare its cells",
        .example = "expect 'thread state=ready | wc' >= 1", .argc_min = 3, .argc_max = 3)
{
    char got[240];
    bool known, ok;
    enum kdb_rc rc = kdb_capture(k, k->argv[0], got, sizeof(got));

    if (rc != KDB_OK && rc != KDB_FALSE)
        return kdb_fail(k, rc, "the line failed: %s", got);
    ok = holds(got, k->argv[1], k->argv[2], &known);
    if (!known)
        return kdb_fail(k, KDB_USAGE, "'%s' is none of = != < <= > >= ~", k->argv[1]);
    kdb_row(k);
    kdb_put_text(k, got);
    kdb_put_text(k, k->argv[2]);
    kdb_put_num(k, ok);
    kdb_row_end(k);
    return ok ? KDB_OK : KDB_FALSE;
}

/* ---- report ---------------------------------------------------------------------------------- */

KDB_CMD(report, .noun = "report", .verb = "", .usage = "",
        .summary = "everything a bug report needs", .example = "report")
{
    static const char *const lines[] = {
        "stat", "cpu", "task", "thread", "ipcq",     "res",           "rq",
        "tmo",  "irq", "kp",   "why -a", "check -q", "trace last=20", "log last=30",
    };
    enum kdb_rc worst = KDB_OK;

    for (unsigned i = 0; i < ARRAY_SIZE(lines) && kdb_tick(k); i++) {
        enum kdb_rc rc;

        if (k->format == KDB_AS_JSON) {
            kdb_out(k, "{\"part\":");
            kdb_out_json(k, lines[i]);
            kdb_out(k, "}");
            kdb_out_line(k);
        } else {
            kdb_note(k, "== %s", lines[i]);
        }
        rc = kdb_sub(k, lines[i]);
        if (rc > worst)
            worst = rc;
        k->stop = rc == KDB_INTR;
    }
    return worst > KDB_FALSE ? worst : KDB_OK;
}
