// SPDX-License-Identifier: MIT
/* script, run: lines that are kept under a name, and when they are executed. */
#include "kdb/script.h"

#include "kernel/lib/string.h"

static struct script {
    char name[SCRIPT_NAME]; /* "": free */
    char text[SCRIPT_TEXT];
    uint32_t reasons;       /* bit per enum debug_reason */
} scripts[SCRIPTS];

static struct script *find(const char *name)
{
    for (unsigned i = 0; i < SCRIPTS; i++)
        if (strcmp(scripts[i].name, name) == 0)
            return &scripts[i];
    return NULL;
}

const char *script_at(unsigned reason, unsigned n)
{
    for (unsigned i = 0; i < SCRIPTS; i++)
        if (scripts[i].name[0] && (scripts[i].reasons >> reason & 1u) && n-- == 0)
            return scripts[i].text;
    return NULL;
}

/* A program that may call EXEC must not leave lines behind that a person's prompt executes. */
static bool refused(struct kdb *k)
{
    if (k->door == KDB_SYSCALL)
        kdb_fail(k, KDB_PERM, "scripts are not for this door");
    return k->door == KDB_SYSCALL;
}

static struct script *existing(struct kdb *k, const char *name)
{
    struct script *s = *name ? find(name) : NULL;

    if (!s)
        kdb_fail(k, KDB_NOENT, "no script '%s'; script shows them", name);
    return s;
}

KDB_SCHEMA(script_schema, "script.ls",
    { "script", K_TEXT, 16, 0, "name" },
    { "on", K_LIST, 12, 0, "reasons of stops at which it is executed" },
    { "lines", K_TEXT, 40, 0, "what it executes" });

KDB_CMD(script_ls, .early = true, .noun = "script", .verb = "ls", .usage = "", .schema = &script_schema,
        .summary = "scripts, and when they are executed", .example = "script")
{
    for (unsigned i = 0; i < SCRIPTS; i++) {
        if (!scripts[i].name[0])
            continue;
        kdb_row(k);
        kdb_put_text(k, scripts[i].name);
        kdb_list_begin(k);
        for (unsigned r = 0; kdb_reason_name(r); r++)
            if (scripts[i].reasons >> r & 1u)
                kdb_list_add(k, kdb_reason_name(r));
        kdb_list_end(k);
        kdb_put_text(k, scripts[i].text);
        if (kdb_row_end(k))
            break;
    }
    return KDB_OK;
}

KDB_CMD(script_def, .early = true, .noun = "script", .verb = "def", .usage = "NAME 'LINE; LINE...'",
        .summary = "give lines a name", .example = "script def look 'regs; bt; why'", .effect = KE_DBG,
        .argc_min = 2, .argc_max = 2)
{
    const char *name = k->argv[0], *text = k->argv[1];
    struct script *s = find(name);

    if (refused(k))
        return k->rc;
    if (!*name || strlen(name) >= SCRIPT_NAME || strlen(text) >= SCRIPT_TEXT)
        return kdb_fail(k, KDB_BADARG, "a name has 1 to %u characters, the lines have at most %u",
                        SCRIPT_NAME - 1u, SCRIPT_TEXT - 1u);
    if (!s)
        s = find("");
    if (!s)
        return kdb_fail(k, KDB_LIMIT, "%u scripts are there already: script del NAME", SCRIPTS);
    memcpy(s->text, text, strlen(text) + 1);
    if (!s->name[0])
        s->reasons = 0;
    memcpy(s->name, name, strlen(name) + 1);
    return KDB_OK;
}

KDB_CMD(script_del, .early = true, .noun = "script", .verb = "del", .usage = "NAME", .effect = KE_DBG,
        .summary = "forget a script", .argc_min = 1, .argc_max = 1)
{
    struct script *s = refused(k) ? NULL : existing(k, k->argv[0]);

    if (s)
        s->name[0] = '\0';
    return k->rc;
}

KDB_CMD(script_on, .early = true, .noun = "script", .verb = "on", .usage = "REASON NAME | REASON off",
        .summary = "execute it at every stop for this reason: bp step key call gdb panic nmi double-fault trap no-handler",
        .effect = KE_DBG, .argc_min = 2, .argc_max = 2)
{
    unsigned reason = 0;
    struct script *s;

    if (refused(k))
        return k->rc;
    while (kdb_reason_name(reason) && strcmp(kdb_reason_name(reason), k->argv[0]) != 0)
        reason++;
    if (!kdb_reason_name(reason))
        return kdb_fail(k, KDB_BADARG, "'%s' is no reason; help script lists them", k->argv[0]);
    if (strcmp(k->argv[1], "off") == 0) {
        for (unsigned i = 0; i < SCRIPTS; i++)
            scripts[i].reasons &= ~(1u << reason);
        return KDB_OK;
    }
    s = existing(k, k->argv[1]);
    if (s)
        s->reasons |= 1u << reason;
    return k->rc;
}

/* Run the lines of a text that are separated by ';', until one fails or resumes the machine. */
static enum kdb_rc run_lines(struct kdb *k, const char *text)
{
    while (*text) {
        char line[SCRIPT_TEXT];
        unsigned n = 0;
        char quote = '\0';
        enum kdb_rc rc;

        for (; *text && (quote || *text != ';'); text++) {
            if (quote ? *text == quote : *text == '\'' || *text == '"')
                quote = quote ? '\0' : *text;
            if (n + 1 == sizeof(line))
                return kdb_fail(k, KDB_LIMIT, "a line has more than %u characters", SCRIPT_TEXT - 1u);
            line[n++] = *text;
        }
        line[n] = '\0';
        text += *text == ';';
        rc = kdb_sub(k, line);
        if (rc > KDB_FALSE || k->stop || kdb_session.resume)
            return rc;
    }
    return KDB_OK;
}

KDB_CMD(run, .early = true, .noun = "run", .verb = "", .usage = "NAME | 'LINE; LINE...'",
        .summary = "execute a script, or lines, until one fails", .example = "run 'task; thread'", .argc_min = 1,
        .argc_max = 1)
{
    const struct script *s = k->argv[0][0] ? find(k->argv[0]) : NULL;

    if (!s && !strchr(k->argv[0], ' ') && !strchr(k->argv[0], ';'))
        s = existing(k, k->argv[0]);
    if (!s && k->rc != KDB_OK)
        return k->rc;
    return run_lines(k, s ? s->text : k->argv[0]);
}
