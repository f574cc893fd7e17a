// SPDX-License-Identifier: MIT
/*
 * What Tab offers: nouns first, then verbs of the noun, then object ids and names, slots, columns, and keys of the
 * command; behind '|' the stages and their columns.  Candidates are made in a fixed buffer and handed out one by one.
 */
#include "kdb/engine.h"
#include "kdb/line.h"

#include "kernel/debug/debug.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/string.h"

#define OBJECTS_MAX 2000u

struct request {
    const char *typed;
    unsigned length;
    void (*found)(void *, const char *);
    void *arg;
};

static void offer(const struct request *r, const char *word)
{
    if (strncmp(word, r->typed, r->length) == 0)
        r->found(r->arg, word);
}

/* Is this the first command with that noun (or noun and verb)? */
static bool first_noun(unsigned i)
{
    const struct kdb_cmd *c = LINKSET_GET(kdb_cmds, i);

    for (unsigned j = 0; j < i; j++) {
        const struct kdb_cmd *d = LINKSET_GET(kdb_cmds, j);

        if (strcmp(c->noun, d->noun) == 0)
            return false;
    }
    return true;
}

static void offer_objects(const struct request *r)
{
    unsigned n = 0;

    for (const struct kobj *o = kobj_next(NULL); o && n < OBJECTS_MAX; o = kobj_next(o), n++) {
        char word[OBJECT_NAME_MAX + 8];
        const char *name = object_name(o->id);

        kdb_object_text(word, sizeof(word), o);
        offer(r, word);
        if (name) {
            fmt_buffer(word, sizeof(word), "@%s", name);
            offer(r, word);
        }
    }
}

/* The word number n of [from, end), as a string; false if there is none before the cursor's own. */
static bool word_at(const char *from, const char *end, unsigned n, char *to, unsigned size)
{
    while (from < end) {
        unsigned length = 0;

        while (from < end && *from == ' ')
            from++;
        while (from + length < end && from[length] != ' ')
            length++;
        if (n-- == 0) {
            if (length == 0 || length >= size)
                return false;
            memcpy(to, from, length);
            to[length] = '\0';
            return true;
        }
        from += length;
    }
    return false;
}

#define SLOTS_MAX 400u

/* "tk5/": its spaces; "tk5/cap/": the names there that stand for something. */
static void offer_slots(const struct request *r)
{
    static const char *const spaces[] = { "cap", "mem", "io" };
    const struct task *task;
    const struct kobj *o;
    char word[32];
    uint32_t id = 0;
    unsigned n = 2;

    if (r->length < 4 || r->typed[0] != 't' || r->typed[1] != 'k')
        return;
    for (; n < r->length && n < 12 && r->typed[n] >= '0' && r->typed[n] <= '9'; n++)
        id = id * 10 + (uint32_t)(r->typed[n] - '0');
    if (n == r->length || r->typed[n] != '/')
        return;
    o = kobj_by_id(id);
    if (!o || o->type != L4_TYPE_TASK)
        return;
    for (unsigned i = 0; i < ARRAY_SIZE(spaces); i++) {
        fmt_buffer(word, sizeof(word), "tk%u/%s/", id, spaces[i]);
        if (strlen(word) > r->length || (i == 0 && strncmp(word, r->typed, strlen(word)) != 0))
            offer(r, word);
    }
    fmt_buffer(word, sizeof(word), "tk%u/cap/", id);
    if (r->length < strlen(word) || strncmp(word, r->typed, strlen(word)) != 0)
        return;
    task = (const struct task *)(const void *)o;
    for (uint32_t d = 0, found = 0; d < 1024 && found < SLOTS_MAX && kdb_sound(task->cap_dir, PAGE_SIZE); d++)
        for (uint32_t i = 0; task->cap_dir[d] && i < 1024 && found < SLOTS_MAX; i++)
            if (task->cap_dir[d][i]) {
                fmt_buffer(word, sizeof(word), "tk%u/cap/0x%x", id, d << 10 | i);
                offer(r, word);
                found++;
            }
}

/* Behind '|': the columns of the command in front of it. */
static void offer_stage_columns(const struct request *r, const char *line, const char *end)
{
    const struct kdb_cmd *c = NULL;
    char noun[20], verb[20];

    if (!word_at(line, end, 0, noun, sizeof(noun)))
        return;
    if (word_at(line, end, 1, verb, sizeof(verb)))
        c = kdb_find_command(noun, verb);
    if (!c)
        c = kdb_find_command(noun, "ls");
    if (!c)
        c = kdb_find_command(noun, "");
    for (unsigned i = 0; c && c->schema && i < c->schema->count; i++)
        offer(r, c->schema->col[i].name);
}

static void offer_columns(const struct request *r, const struct kdb_cmd *c)
{
    char word[32];
    const char *key = c->keys;

    for (unsigned i = 0; c->schema && i < c->schema->count; i++) {
        fmt_buffer(word, sizeof(word), "%s=", c->schema->col[i].name);
        offer(r, word);
    }
    while (key && *key) {
        const char *comma = strchr(key, ',');
        unsigned n = comma ? (unsigned)(comma - key) : (unsigned)strlen(key);

        fmt_buffer(word, sizeof(word), "%.*s=", (int)min_u32(n, 30), key);
        offer(r, word);
        key = comma ? comma + 1 : NULL;
    }
    if (c->schema) {
        offer(r, "cols=");
        offer(r, "sort=");
        offer(r, "max=");
    }
}

void line_complete(const char *line, unsigned cursor, void (*found)(void *arg, const char *word),
                   void *arg)
{
    const char *start = line, *end = line + cursor, *word = end;
    struct request r = { NULL, 0, found, arg };
    char noun[20], verb[20];
    const struct kdb_cmd *c = NULL;

    for (const char *s = line; s < end; s++)
        if (*s == '|')
            start = s + 1;
    while (word > start && word[-1] != ' ')
        word--;
    r.typed = word;
    r.length = (unsigned)(end - word);
    if (start != line) {
        static const char *const stage[] = {
            "head", "tail", "wc", "count by", "grep", "sum", "uniq", "each"
        };

        if (word_at(start, word, 0, noun, sizeof(noun))) {
            if (strcmp(noun, "sum") == 0 || strcmp(noun, "uniq") == 0 || strcmp(noun, "count") == 0)
                offer_stage_columns(&r, line, strchr(line, '|'));
            return;
        }
        for (unsigned i = 0; i < ARRAY_SIZE(stage); i++)
            offer(&r, stage[i]);
        return;
    }
    if (!word_at(start, word, 0, noun, sizeof(noun))) {
        for (unsigned i = 0; i < LINKSET_COUNT(kdb_cmds); i++)
            if (first_noun(i))
                offer(&r, ((const struct kdb_cmd *)LINKSET_GET(kdb_cmds, i))->noun);
        return;
    }
    if (word_at(start, word, 1, verb, sizeof(verb))) {
        c = kdb_find_command(noun, verb);
    } else {
        for (unsigned i = 0; i < LINKSET_COUNT(kdb_cmds); i++) {
            const struct kdb_cmd *d = LINKSET_GET(kdb_cmds, i);

            if ((strcmp(d->noun, noun) == 0 || (d->alias && strcmp(d->alias, noun) == 0)) &&
                d->verb[0])
                offer(&r, d->verb);
        }
    }
    if (!c)
        c = kdb_find_command(noun, "ls");
    if (!c)
        c = kdb_find_command(noun, "");
    if (c && r.length)
        offer_columns(&r, c);
    offer_objects(&r);
    offer_slots(&r);
}
