// SPDX-License-Identifier: MIT
/*
 * Authority: who has or could get a thing (who), what a task has or could get (reach), by which steps (path),
 * and whether two tasks are separated (sep).  The models are those of graph.h.
 */
#include "kdb/graph.h"

#include "kernel/debug/debug.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/string.h"

#define HOPS 24u

/* model= and without=, then the graph.  *model comes in as the default. */
static bool build(struct kdb *k, enum graph_model *model)
{
    struct graph_set without = { { 0 } };
    const char *list = kdb_key(k, "without");

    if (!graph_parse_model(k, kdb_key(k, "model"), model) || !graph_number(k))
        return false;
    while (list && *list) {
        const char *comma = strchr(list, ',');
        unsigned n = comma ? (unsigned)(comma - list) : (unsigned)strlen(list);
        char name[20];
        const struct kobj *o;

        if (n >= sizeof(name)) {
            kdb_fail(k, KDB_BADARG, "without=: '%s' is no list of tasks", list);
            return false;
        }
        memcpy(name, list, n);
        name[n] = '\0';
        o = kdb_find_object(k, name, L4_TYPE_TASK);
        if (!o)
            return false;
        graph_add(&without, graph_index((const struct task *)(const void *)o));
        list += n + (comma ? 1 : 0);
    }
    return graph_build(k, *model, &without);
}

static void put_task(struct kdb *k, const struct task *task)
{
    kdb_put_object(k, task ? &task->obj : NULL);
}

/* ---- rights of all tasks on one thing -------------------------------------------------------- */

static uint32_t held[GRAPH_TASKS]; /* by index of the task */
static const struct node *best[GRAPH_TASKS]; /* a capability with the most rights */

static bool in_range(const struct kdb_ref *ref, const struct node *n)
{
    return (ref->lo == 0 && ref->last == 0xffffffffu) || node_overlaps(n, ref->lo, ref->last);
}

static unsigned bits(uint32_t rights)
{
    unsigned n = 0;

    for (; rights; rights &= rights - 1)
        n++;
    return n;
}

static void collect_held(struct kdb *k, const struct kdb_ref *ref)
{
    memset(held, 0, sizeof(held));
    memset(best, 0, sizeof(best));
    for (const struct node *n = ref->node; n; n = kdb_next_node(k, ref->node, n)) {
        int i = n->task && in_range(ref, n) ? graph_index(n->task) : -1;

        if (i < 0)
            continue;
        held[i] |= node_rights(n);
        if (!best[i] || bits(node_rights(n)) > bits(node_rights(best[i])))
            best[i] = n;
    }
}

/* What could come to a task beyond what it holds.  need 0: any rights; sources: who has some of it. */
static uint32_t could_get(int to, uint32_t need, struct graph_set *sources)
{
    uint32_t rights = 0;

    *sources = (struct graph_set){ { 0 } };
    for (unsigned a = 0; a < graph_count(); a++) {
        bool some = need ? (held[a] & need) == need : (held[a] & ~held[to]) != 0;

        if (!some || (int)a == to || !graph_passes((int)a, to))
            continue;
        rights |= held[a];
        graph_add(sources, (int)a);
    }
    return rights;
}

/* Where a right or a letter is wanted: does the task have to get it from others? */
static bool lacks(int task, uint32_t need)
{
    return need == 0 || (held[task] & need) != need;
}

static bool find_ref(struct kdb *k, unsigned arg, struct kdb_ref *ref, uint32_t *type, uint32_t *need)
{
    const char *letters = kdb_key(k, "right");

    if (!kdb_arg_ref(k, arg, ref))
        return false;
    *type = kdb_node_type(ref->node);
    if (ref->object)
        ref->node = &ref->object->root;
    *need = 0;
    if (letters && !kdb_rights_parse(*type, letters, need)) {
        kdb_fail(k, KDB_BADARG, "right=%s: a %s has no such right", letters, kdb_type_name(*type));
        return false;
    }
    return true;
}

/* ---- the columns that who and reach end with ------------------------------------------------- */

/* how .. steps of a row for what is held now. */
static bool held_row_end(struct kdb *k, const struct node *n)
{
    kdb_put_text(k, "held");
    kdb_put_slot(k, n);
    kdb_put_null(k);
    kdb_put_null(k);
    kdb_put_num(k, 0);
    return kdb_row_end(k);
}

/* The same for what `to` could get from one of the sources. */
static bool got_row_end(struct kdb *k, int to, const struct graph_set *sources)
{
    struct graph_hop hop[HOPS];
    unsigned n = graph_path(k, sources, to, hop, HOPS);
    struct graph_link link = { 0 };
    bool known = n && graph_find_link(k, hop[n - 1].lender ? hop[n - 1].lender : hop[n - 1].from,
                                      hop[n - 1].to, &link);

    kdb_put_text(k, known ? graph_link_name(link.kind) : "map");
    kdb_put_null(k);
    put_task(k, n ? hop[n - 1].from : NULL);
    kdb_put_object(k, known ? link.over : NULL);
    if (n)
        kdb_put_num(k, n);
    else
        kdb_put_null(k);
    return kdb_row_end(k);
}

/* ---- who ------------------------------------------------------------------------------------- */

KDB_SCHEMA(who_schema, "who",
    { "task", K_ID, 6, COL_SRC, "task" },
    { "name", K_NAME, 13, 0, "its name" },
    { "rights", K_RIGHTS, 6, 0, "what it has or could get" },
    { "how", K_TEXT, 8, 0, "held: now; else the last link that it would come over" },
    { "slot", K_SLOT, 18, 0, "where it is held" },
    { "from", K_ID, 6, 0, "who would pass it on" },
    { "over", K_ID, 6, COL_DST, "endpoint or thread that it would come over" },
    { "steps", K_NUM, 5, 0, "links needed; see path" });

static void who_head(struct kdb *k, const struct task *task, uint32_t type, uint32_t rights)
{
    kdb_row(k);
    put_task(k, task);
    kdb_put_name(k, task->obj.id);
    kdb_put_rights(k, type, rights);
}

KDB_CMD(who, .noun = "who", .verb = "", .usage = "REF [right=LETTERS] [-d] [model=held|send|full] [without=tkN,...]",
        .keys = "right,model,without", .flags = "d", .schema = &who_schema,
        .summary = "tasks that hold it, and (unless -d) tasks that could get it by a chain of maps",
        .example = "who ep16 right=w", .argc_min = 1, .argc_max = 2)
{
    struct kdb_ref ref;
    enum graph_model model = GRAPH_SEND;
    uint32_t need, type;

    if (!find_ref(k, 0, &ref, &type, &need))
        return k->rc;
    for (const struct node *n = ref.node; n; n = kdb_next_node(k, ref.node, n)) {
        if (!n->task || !in_range(&ref, n) || (node_rights(n) & need) != need)
            continue;
        who_head(k, n->task, type, node_rights(n));
        if (held_row_end(k, n))
            return KDB_OK;
    }
    if (kdb_flag(k, 'd') || k->rc != KDB_OK || !build(k, &model) || model == GRAPH_HELD)
        return k->rc;
    collect_held(k, &ref);
    for (unsigned i = 0; i < graph_count() && kdb_tick(k); i++) {
        struct graph_set sources;
        uint32_t rights = could_get((int)i, need, &sources);

        if (!lacks((int)i, need) || !rights)
            continue;
        who_head(k, graph_task(i), type, rights);
        if (got_row_end(k, (int)i, &sources))
            break;
    }
    kdb_note(k, "-- model %s: everybody cooperates", graph_model_name(model));
    return KDB_OK;
}

/* ---- reach ----------------------------------------------------------------------------------- */

KDB_SCHEMA(reach_schema, "reach",
    { "obj", K_ID, 6, COL_DST, "object" },
    { "type", K_TEXT, 11, 0, "its type" },
    { "name", K_NAME, 13, 0, "its name" },
    { "rights", K_RIGHTS, 6, 0, "what the task has or could get" },
    { "how", K_TEXT, 8, 0, "held: now; else the last link that it would come over" },
    { "slot", K_SLOT, 18, 0, "where it is held" },
    { "from", K_ID, 6, 0, "who would pass it on" },
    { "over", K_ID, 6, COL_SRC, "endpoint or thread that it would come over" },
    { "steps", K_NUM, 5, 0, "links needed; see path" });

static void reach_head(struct kdb *k, const struct kobj *o, uint32_t rights)
{
    kdb_row(k);
    kdb_put_object(k, o);
    kdb_put_text(k, kdb_type_name(o->type));
    kdb_put_name(k, o->id);
    kdb_put_rights(k, o->type, rights);
}

/* One row for what the task holds of an object, one for what it could get beyond. */
static bool reach_object(struct kdb *k, const struct kobj *o, int me, uint32_t need)
{
    struct graph_set sources;
    uint32_t rights;

    if (best[me] && (held[me] & need) == need) {
        reach_head(k, o, held[me]);
        if (held_row_end(k, best[me]))
            return true;
    }
    rights = could_get(me, need, &sources);
    if (!lacks(me, need) || !rights)
        return false;
    reach_head(k, o, rights);
    return got_row_end(k, me, &sources);
}

KDB_CMD(reach, .noun = "reach", .verb = "",
        .usage = "tkN [type=T] [right=LETTERS] [model=held|send|full] [without=tkN,...]",
        .keys = "right,model,without", .schema = &reach_schema,
        .summary = "objects that a task holds, and what it could get by maps and control over others",
        .example = "reach tk1 type=endpoint", .argc_min = 1, .argc_max = 1)
{
    struct kobj *task = kdb_arg_object(k, 0, L4_TYPE_TASK);
    enum graph_model model = GRAPH_FULL;
    const char *letters = kdb_key(k, "right");
    int me;

    if (!task || !build(k, &model))
        return k->rc;
    me = graph_index((const struct task *)(const void *)task);
    for (struct kobj *o = kdb_next_object(k, NULL, 0); o && me >= 0; o = kdb_next_object(k, o, 0)) {
        struct kdb_ref ref = { &o->root, 0, 0xffffffffu, o };
        uint32_t need = 0;

        if (letters && !kdb_rights_parse(o->type, letters, &need))
            continue; /* this type has no such right */
        collect_held(k, &ref);
        if (reach_object(k, o, me, need))
            break;
    }
    kdb_note(k, "-- model %s: everybody cooperates", graph_model_name(model));
    return KDB_OK;
}

/* ---- path ------------------------------------------------------------------------------------ */

KDB_SCHEMA(path_schema, "path",
    { "step", K_NUM, 4, 0, "0: who has it" },
    { "from", K_ID, 6, COL_SRC, "task that passes it on" },
    { "to", K_ID, 6, COL_DST, "task that gets it" },
    { "name", K_NAME, 13, 0, "name of the latter" },
    { "how", K_TEXT, 11, 0, "held, map or control; for sep also message, memory, port, kernel page" },
    { "over", K_TEXT, 16, 0, "endpoint, thread, memory or port that it goes over" },
    { "via", K_SLOT, 20, 0, "capability or mapping of `from`" },
    { "into", K_SLOT, 20, 0, "capability or mapping of `to`" },
    { "lender", K_ID, 6, 0, "whose capability it is, if `from` has to get it first" });

static bool link_row(struct kdb *k, unsigned step, const struct graph_link *link, const struct task *from,
                     const struct task *to, const struct task *lender)
{
    char over[24] = "-";

    if (link->over)
        kdb_object_text(over, sizeof(over), link->over);
    else if (link->a)
        kdb_what_text(over, sizeof(over), link->a);
    kdb_row(k);
    kdb_put_num(k, step);
    put_task(k, from);
    put_task(k, to);
    kdb_put_name(k, to->obj.id);
    kdb_put_text(k, graph_link_name(link->kind));
    kdb_put_text(k, over);
    kdb_put_slot(k, link->a);
    kdb_put_slot(k, link->b);
    put_task(k, lender);
    return kdb_row_end(k);
}

static bool hop_rows(struct kdb *k, const struct graph_hop *hop, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        struct graph_link link;

        if (!graph_find_link(k, hop[i].lender ? hop[i].lender : hop[i].from, hop[i].to, &link)) {
            if (k->rc == KDB_OK)
                kdb_fail(k, KDB_CORRUPT, "the link of step %u is not there any more", i + 1);
            return true;
        }
        if (link_row(k, i + 1, &link, hop[i].from, hop[i].to, hop[i].lender))
            return true;
    }
    return false;
}

KDB_CMD(path, .noun = "path", .verb = "",
        .usage = "tkN REF [right=LETTERS] [model=held|send|full] [without=tkN,...]",
        .keys = "right,model,without", .schema = &path_schema,
        .summary = "by which steps a task could get a thing; rc 1: by none", .example = "path tk1 th2",
        .argc_min = 2, .argc_max = 2)
{
    struct kobj *task = kdb_arg_object(k, 0, L4_TYPE_TASK);
    enum graph_model model = GRAPH_FULL;
    struct graph_set sources = { { 0 } };
    struct graph_hop hop[HOPS];
    struct graph_link first = { 0 };
    struct kdb_ref ref;
    uint32_t need, type;
    unsigned n;
    int me;

    if (!task || !find_ref(k, 1, &ref, &type, &need) || !build(k, &model))
        return k->rc;
    me = graph_index((const struct task *)(const void *)task);
    collect_held(k, &ref);
    for (unsigned i = 0; i < graph_count(); i++)
        if (best[i] && (held[i] & need) == need)
            graph_add(&sources, (int)i);
    n = graph_path(k, &sources, me, hop, HOPS);
    if (n == 0 && !graph_has(&sources, me)) {
        kdb_note(k, "-- model %s: tk%u has no way to it", graph_model_name(model), task->id);
        return k->rc == KDB_OK ? KDB_FALSE : k->rc;
    }
    first.to = n ? hop[0].from : (const struct task *)(const void *)task;
    first.b = best[graph_index(first.to)];
    kdb_row(k);
    kdb_put_num(k, 0);
    kdb_put_null(k);
    put_task(k, first.to);
    kdb_put_name(k, first.to->obj.id);
    kdb_put_text(k, "held");
    kdb_put_null(k);
    kdb_put_null(k);
    kdb_put_slot(k, first.b);
    kdb_row_end(k);
    hop_rows(k, hop, n);
    kdb_note(k, "-- model %s: everybody cooperates", graph_model_name(model));
    return k->rc;
}

/* ---- sep ------------------------------------------------------------------------------------- */

struct pair { const struct task *a, *b; unsigned direct; };

/* Direct links between the two, in either direction. */
static bool sep_direct(struct kdb *k, const struct graph_link *link, void *arg)
{
    struct pair *p = arg;

    if ((link->from != p->a || link->to != p->b) && (link->from != p->b || link->to != p->a))
        return false;
    p->direct++;
    return link_row(k, 1, link, link->from, link->to, NULL);
}

static unsigned sep_path(struct kdb *k, const struct task *from, const struct task *to)
{
    struct graph_set source = { { 0 } };
    struct graph_hop hop[HOPS];
    unsigned n;

    graph_add(&source, graph_index(from));
    n = graph_path(k, &source, graph_index(to), hop, HOPS);
    hop_rows(k, hop, n);
    return n;
}

KDB_CMD(sep, .noun = "sep", .verb = "", .usage = "tkA tkB [model=held|send|full] [without=tkN,...]",
        .keys = "model,without", .schema = &path_schema,
        .summary = "are two tasks separated?  rc 1 and the connections if not; held: direct ones only, send: also "
                   "chains of maps, full: any influence",
        .example = "sep tk1 tk@ping model=held", .argc_min = 2, .argc_max = 2)
{
    struct kobj *a = kdb_arg_object(k, 0, L4_TYPE_TASK), *b = a ? kdb_arg_object(k, 1, L4_TYPE_TASK) : NULL;
    enum graph_model model = GRAPH_FULL;
    struct pair pair;
    unsigned found;

    if (!b)
        return k->rc;
    if (a == b)
        return kdb_fail(k, KDB_BADARG, "tk%u is one task; sep compares two", a->id);
    if (!build(k, &model))
        return k->rc;
    pair = (struct pair){ (const struct task *)(const void *)a, (const struct task *)(const void *)b, 0 };
    graph_each_link(k, sep_direct, &pair);
    found = pair.direct;
    if (model == GRAPH_FULL && found == 0 && k->rc == KDB_OK) {
        struct graph_set without = graph_without();

        if (!graph_build(k, GRAPH_FLOW, &without))
            return k->rc;
    }
    if (model != GRAPH_HELD && found == 0 && k->rc == KDB_OK)
        found += sep_path(k, pair.a, pair.b) + sep_path(k, pair.b, pair.a);
    if (k->rc != KDB_OK)
        return k->rc;
    kdb_note(k, "-- model %s: %s", graph_model_name(model),
             pair.direct ? "connected" : found ? "connected through others" : "separated");
    return found ? KDB_FALSE : KDB_OK;
}
