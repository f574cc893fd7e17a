// SPDX-License-Identifier: MIT
/*
 * The graph of tasks: see graph.h.
 *
 * edge[a] are the tasks that a passes things to over what it holds now, reach[a] those that its things can come
 * to at all.  Who gets a capability that makes a link can use it: if what a has comes to x, then x has all links of
 * a, and so reach[x] takes in reach[b] for every edge a -> b.  Repeated until nothing changes; links that
 * start at a receiver's lent capability add nothing, since the lender can receive and pass on itself.
 */
#include "kdb/graph.h"

#include "kernel/boot.h"
#include "kernel/lib/string.h"

static const struct task *tasks[GRAPH_TASKS]; /* in the order of their addresses */
static unsigned count;
static struct graph_set edge[GRAPH_TASKS], reach[GRAPH_TASKS];
static struct graph_set left_out; /* of the last build */
static enum graph_model built;

/* ---- sets ------------------------------------------------------------------------------------ */

void graph_add(struct graph_set *set, int task)
{
    if (task >= 0)
        set->word[task / 32] |= 1u << task % 32;
}

bool graph_has(const struct graph_set *set, int task)
{
    return task >= 0 && (set->word[task / 32] >> task % 32 & 1u);
}

/* to |= from; did it change? */
static bool unite(struct graph_set *to, const struct graph_set *from)
{
    uint32_t changed = 0;

    for (unsigned i = 0; i < ARRAY_SIZE(to->word); i++) {
        changed |= from->word[i] & ~to->word[i];
        to->word[i] |= from->word[i];
    }
    return changed != 0;
}

bool graph_number(struct kdb *k)
{
    count = 0;
    for (struct kobj *o = kdb_next_object(k, NULL, L4_TYPE_TASK); o; o = kdb_next_object(k, o, L4_TYPE_TASK)) {
        if (count == GRAPH_TASKS) {
            kdb_fail(k, KDB_LIMIT, "more than %u tasks", GRAPH_TASKS);
            return false;
        }
        tasks[count++] = (const struct task *)(const void *)o;
    }
    return !k->stop;
}

unsigned graph_count(void) { return count; }
const struct task *graph_task(unsigned i) { return tasks[i]; }

/* kdb_next_object() goes up in memory, so the table is sorted. */
int graph_index(const struct task *task)
{
    unsigned low = 0, high = count;

    while (low < high) {
        unsigned middle = (low + high) / 2;

        if (tasks[middle] == task)
            return (int)middle;
        if ((uintptr_t)tasks[middle] < (uintptr_t)task)
            low = middle + 1;
        else
            high = middle;
    }
    return -1;
}

/* ---- models ---------------------------------------------------------------------------------- */

static const char *const models[] = { "held", "send", "full", "flow" };

const char *graph_model_name(enum graph_model model) { return models[model]; }

bool graph_parse_model(struct kdb *k, const char *text, enum graph_model *model)
{
    for (unsigned i = 0; text && i <= GRAPH_FULL; i++)
        if (strcmp(models[i], text) == 0) {
            *model = (enum graph_model)i;
            return true;
        }
    if (text)
        kdb_fail(k, KDB_BADARG, "model=%s is none of held send full", text);
    return !text;
}

const char *graph_link_name(enum graph_link_kind kind)
{
    static const char *const names[] = {
#define X(name, text) text,
        LINK_LIST(X)
#undef X
    };

    return names[kind];
}

static bool counts(enum graph_model model, enum graph_link_kind kind)
{
    switch (model) {
    case GRAPH_SEND:
        return kind == LINK_MAP;
    case GRAPH_FULL:
        return kind == LINK_MAP || kind == LINK_CONTROL;
    case GRAPH_FLOW:
        return true;
    case GRAPH_HELD: default:
        return false;
    }
}

/* ---- links ----------------------------------------------------------------------------------- */

struct visit { bool (*fn)(struct kdb *, const struct graph_link *, void *); void *arg; bool stop; };

static void tell(struct kdb *k, struct visit *v, enum graph_link_kind kind, const struct task *from,
                 const struct task *to, const struct node *a, const struct node *b, const struct kobj *over)
{
    struct graph_link link = { kind, from, to, a, b, over };

    /* What a task could send to itself is a way to it for those who get the sending side. */
    if ((from != to || kind == LINK_MAP) && !v->stop)
        v->stop = v->fn(k, &link, v->arg) || k->stop;
}

static void endpoint_links(struct kdb *k, struct visit *v, const struct kobj *ep)
{
    for (const struct node *s = &ep->root; s && !v->stop; s = kdb_next_node(k, &ep->root, s)) {
        if (!s->task || !(node_rights(s) & L4_W))
            continue;
        for (const struct node *r = &ep->root; r && !v->stop; r = kdb_next_node(k, &ep->root, r))
            if (r->task && (node_rights(r) & L4_R))
                tell(k, v, node_rights(s) & L4_T ? LINK_MAP : LINK_MESSAGE, s->task, r->task, s, r, ep);
    }
}

/* Holders of `need` on the object have the authority of `owner`. */
static void control_links(struct kdb *k, struct visit *v, const struct kobj *o, uint32_t need,
                          const struct task *owner)
{
    for (const struct node *n = &o->root; n && !v->stop; n = kdb_next_node(k, &o->root, n))
        if (n->task && (node_rights(n) & need))
            tell(k, v, LINK_CONTROL, owner, n->task, NULL, n, o);
}

static void kpage_links(struct kdb *k, struct visit *v, const struct kobj *kp)
{
    for (const struct node *a = &kp->root; a && !v->stop; a = kdb_next_node(k, &kp->root, a)) {
        if (!a->task || !(node_rights(a) & L4_W))
            continue;
        for (const struct node *b = &kp->root; b && !v->stop; b = kdb_next_node(k, &kp->root, b))
            if (b->task && (node_rights(b) & L4_W))
                tell(k, v, LINK_KPAGE, a->task, b->task, a, b, kp);
    }
}

/* Names of the same memory or ports: one writes, the other reads. */
static void overlap_links(struct kdb *k, struct visit *v, const struct node *root, enum graph_link_kind kind)
{
    for (const struct node *w = root; w && !v->stop; w = kdb_next_node(k, root, w)) {
        /* A leaf right below what nobody holds is the only name of its page. */
        if (!w->task || !(node_rights(w) & L4_W) ||
            (!node_has_children(w) && (!w->parent || !kdb_node_ok(w->parent) || !w->parent->task)))
            continue;
        for (const struct node *r = root; r && !v->stop; r = kdb_next_node(k, root, r))
            if (r->task && (node_rights(r) & (L4_R | L4_X)) && node_overlaps(r, w->obj, node_last(w)))
                tell(k, v, kind, w->task, r->task, w, r, NULL);
    }
}

void graph_each_link(struct kdb *k, bool (*fn)(struct kdb *k, const struct graph_link *link, void *arg), void *arg)
{
    struct visit v = { fn, arg, false };

    for (struct kobj *o = kdb_next_object(k, NULL, 0); o && !v.stop; o = kdb_next_object(k, o, 0)) {
        const struct thread *t = (const struct thread *)(const void *)o;

        if (o->type == L4_TYPE_ENDPOINT)
            endpoint_links(k, &v, o);
        else if (o->type == L4_TYPE_TASK)
            control_links(k, &v, o, L4_T, (const struct task *)(const void *)o);
        else if (o->type == L4_TYPE_THREAD && t->task && kdb_object_ok(&t->task->obj, L4_TYPE_TASK))
            control_links(k, &v, o, L4_W, t->task);
        else if (o->type == L4_TYPE_KPAGE)
            kpage_links(k, &v, o);
    }
    for (uint32_t i = 0; i < boot_mem_root_count && !v.stop && kdb_tick(k); i++)
        overlap_links(k, &v, &boot_mem_roots[i], LINK_MEMORY);
    if (!v.stop)
        overlap_links(k, &v, &boot_io_root, LINK_PORT);
}

/* ---- the closure ----------------------------------------------------------------------------- */

static bool add_edge(struct kdb *k, const struct graph_link *link, void *arg)
{
    int from = graph_index(link->from), to = graph_index(link->to);

    (void)k;
    (void)arg;
    if (from < 0 || to < 0 || !counts(built, link->kind) || graph_has(&left_out, from) || graph_has(&left_out, to))
        return false;
    graph_add(&edge[from], to);
    if (built == GRAPH_FLOW && link->kind == LINK_CONTROL) /* who controls, influences */
        graph_add(&edge[to], from);
    return false;
}

static void close_reach(struct kdb *k)
{
    bool changed = true;

    for (unsigned i = 0; i < count; i++)
        graph_add(&reach[i], (int)i);
    while (changed && kdb_tick(k)) {
        changed = false;
        for (unsigned a = 0; a < count && kdb_tick(k); a++) {
            struct graph_set gets = { { 0 } };

            for (unsigned b = 0; b < count; b++)
                if (graph_has(&edge[a], (int)b))
                    unite(&gets, &reach[b]);
            for (unsigned x = 0; x < count && kdb_tick(k); x++)
                if (graph_has(&reach[a], (int)x))
                    changed |= unite(&reach[x], &gets);
        }
    }
}

bool graph_build(struct kdb *k, enum graph_model model, const struct graph_set *without)
{
    if (!graph_number(k))
        return false;
    memset(edge, 0, sizeof(edge));
    memset(reach, 0, sizeof(reach));
    left_out = *without;
    built = model;
    if (model != GRAPH_HELD)
        graph_each_link(k, add_edge, NULL);
    if (model == GRAPH_FLOW) /* influence passes along edges and no further: nobody lends links */
        for (unsigned i = 0; i < count; i++)
            graph_add(&reach[i], (int)i);
    else
        close_reach(k);
    return k->rc == KDB_OK && !k->stop;
}

struct graph_set graph_without(void) { return left_out; }

bool graph_passes(int from, int to)
{
    return from >= 0 && graph_has(&reach[from], to);
}

/* ---- paths ----------------------------------------------------------------------------------- */

static struct { int16_t from, lender; } came[GRAPH_TASKS];

/* Breadth first.  borrow: also over links of tasks whose capabilities a task can get. */
static bool search(struct kdb *k, const struct graph_set *sources, int to, bool borrow)
{
    static uint16_t queue[GRAPH_TASKS];
    unsigned in = 0, out = 0;
    struct graph_set seen = *sources;

    for (unsigned i = 0; i < count; i++)
        if (graph_has(sources, (int)i)) {
            came[i].from = came[i].lender = -1;
            queue[in++] = (uint16_t)i;
        }
    while (out < in && !graph_has(&seen, to)) {
        int a = queue[out++];

        for (unsigned n = 0; n <= (borrow ? count : 0) && kdb_tick(k); n++) {
            int lender = n == 0 ? a : (int)n - 1; /* its own links first */

            if (!graph_passes(lender, a))
                continue;
            for (unsigned b = 0; b < count; b++) {
                if (!graph_has(&edge[lender], (int)b) || graph_has(&seen, (int)b))
                    continue;
                graph_add(&seen, (int)b);
                came[b].from = (int16_t)a;
                came[b].lender = (int16_t)(lender == a ? -1 : lender);
                queue[in++] = (uint16_t)b;
            }
        }
    }
    return graph_has(&seen, to);
}

unsigned graph_path(struct kdb *k, const struct graph_set *sources, int to, struct graph_hop *hop, unsigned max)
{
    unsigned n = 0;

    if (to < 0 || graph_has(sources, to) ||
        (!search(k, sources, to, false) && !search(k, sources, to, true)))
        return 0;
    for (int at = to; came[at].from >= 0; at = came[at].from)
        n++;
    if (n > max)
        return 0;
    for (unsigned i = n; i-- > 0; to = came[to].from)
        hop[i] = (struct graph_hop){ tasks[came[to].from], tasks[to],
                                     came[to].lender < 0 ? NULL : tasks[came[to].lender] };
    return n;
}

struct find { const struct task *from, *to; struct graph_link *out; bool found; };

static bool is_wanted(struct kdb *k, const struct graph_link *link, void *arg)
{
    struct find *f = arg;
    bool back = built == GRAPH_FLOW && link->kind == LINK_CONTROL && link->from == f->to && link->to == f->from;

    (void)k;
    if (!counts(built, link->kind) || (!back && (link->from != f->from || link->to != f->to)))
        return false;
    *f->out = *link;
    f->found = true;
    return true;
}

bool graph_find_link(struct kdb *k, const struct task *from, const struct task *to, struct graph_link *out)
{
    struct find f = { from, to, out, false };

    graph_each_link(k, is_wanted, &f);
    return f.found;
}
