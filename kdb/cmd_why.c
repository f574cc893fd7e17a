// SPDX-License-Identifier: MIT
/*
 * why: what a thread waits for, who could end that, and whether anybody ever will.
 *
 * A blocked thread waits for any of the threads that could meet it at its endpoint, or for its timeout.  It is
 * stuck if nobody in the set of threads reachable over "could end that" can move: none ready, none with a
 * timeout, no interrupt line.  With a cycle through the thread that has a sender in it this is a DEADLOCK
 * (a ring of receivers is only idle).  The same cycle with a free thread that could send or receive
 * there, but did not so far, is called CYCLE: usually that thread is the creator of the endpoints.
 */
#include "kdb/engine.h"

#include "kernel/clock.h"
#include "kernel/cpu.h"
#include "kernel/debug/debug.h"
#include "kernel/ipc.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/string.h"
#include "kernel/sched.h"

KDB_SCHEMA(why_schema, "why",
    { "thread", K_ID, 6, COL_SRC, "thread" },
    { "name", K_NAME, 13, 0, "its name" },
    { "does", K_TEXT, 12, 0, "send, recv, ready, halted, ..." },
    { "on", K_ID, 6, 0, "endpoint or reservation" },
    { "since", K_US, 8, COL_VOLATILE, "blocked for" },
    { "tmo", K_US, 8, COL_VOLATILE, "time left; none: never" },
    { "wakers", K_LIST, 20, 0, "threads that could end the wait" },
    { "waits-for", K_ID, 9, COL_DST, "the first of them" },
    { "verdict", K_TEXT, 24, 0, "conclusion for this thread" });

#define SET_MAX 128u

/* The threads reachable from the first one, in the order found. */
static struct member { const struct thread *t; bool free; uint16_t from; } set[SET_MAX];
static unsigned set_count;

static bool blocked(const struct thread *t)
{
    return t->state == THREAD_SEND || t->state == THREAD_RECV;
}

/* It can move without anybody in the set. */
static bool moves(const struct thread *t)
{
    if (t->hardware)
        return true; /* the device decides */
    if (t->state == THREAD_READY || t->state == THREAD_XFER)
        return !t->debug_halt;
    return blocked(t) && deadline_is_set(&t->timeout);
}

static const struct kobj *endpoint_of(const struct thread *t)
{
    if (!blocked(t) || !kdb_sound(t->ipc, sizeof(*t->ipc)) || !t->ipc->endpoint ||
        !kdb_object_ok(&t->ipc->endpoint->obj, L4_TYPE_ENDPOINT))
        return NULL;
    return &t->ipc->endpoint->obj;
}

/* Call fn for every thread that could meet t at its endpoint; each task once per capability. */
static void each_waker(struct kdb *k, const struct thread *t,
                       void (*fn)(struct kdb *, const struct thread *, void *), void *arg)
{
    const struct kobj *ep = endpoint_of(t);
    uint32_t need = t->state == THREAD_SEND ? L4_R : L4_W;

    if (!ep)
        return;
    for (const struct node *n = &ep->root; n; n = kdb_next_node(k, &ep->root, n)) {
        if (!n->task || !(node_rights(n) & need))
            continue;
        for (const struct thread *u = n->task->threads; u && kdb_tick(k); u = u->task_next) {
            if (!kdb_object_ok(&u->obj, L4_TYPE_THREAD))
                break;
            if (u != t)
                fn(k, u, arg);
        }
    }
}

static void add_to_set(struct kdb *k, const struct thread *t, void *arg)
{
    const unsigned *from = arg;

    for (unsigned i = 0; i < set_count; i++)
        if (set[i].t == t)
            return;
    if (set_count == SET_MAX) {
        if (k->rc == KDB_OK)
            kdb_fail(k, KDB_LIMIT, "more than %u threads are involved", SET_MAX);
        return;
    }
    set[set_count++] = (struct member){ t, moves(t), (uint16_t)*from };
}

static void build_set(struct kdb *k, const struct thread *t)
{
    unsigned from = 0;

    set_count = 0;
    add_to_set(k, t, &from);
    for (unsigned i = 0; i < set_count && kdb_tick(k); i++) {
        from = i;
        if (!set[i].free)
            each_waker(k, set[i].t, add_to_set, &from);
    }
}

struct find { const struct thread *want; bool found; };

static void look_for(struct kdb *k, const struct thread *t, void *arg)
{
    struct find *f = arg;

    (void)k;
    f->found |= t == f->want;
}

/* The member nearest to the start that can wake set[0].t itself; 0 if there is no cycle. */
static unsigned cycle_end(struct kdb *k)
{
    for (unsigned i = 1; i < set_count && kdb_tick(k); i++) {
        struct find f = { set[0].t, false };

        if (set[i].free)
            continue;
        each_waker(k, set[i].t, look_for, &f);
        if (f.found)
            return i;
    }
    return 0;
}

static bool has_sender(unsigned end)
{
    bool sender = set[0].t->state == THREAD_SEND;

    for (unsigned i = end; i; i = set[i].from)
        sender |= set[i].t->state == THREAD_SEND;
    return sender;
}

enum verdict { MOVES, STUCK, CYCLE, DEADLOCK };

static enum verdict judge(struct kdb *k, const struct thread *t, unsigned *end)
{
    bool any_free = false;

    *end = 0;
    build_set(k, t);
    if (!blocked(t) || set[0].free)
        return MOVES;
    for (unsigned i = 0; i < set_count; i++)
        any_free |= set[i].free;
    *end = cycle_end(k);
    if (*end && has_sender(*end))
        return any_free ? CYCLE : DEADLOCK;
    *end = 0;
    return any_free ? MOVES : STUCK;
}

/* ---- rows ------------------------------------------------------------------------------------ */

struct waker_list { unsigned n; const struct thread *first; };

static void list_waker(struct kdb *k, const struct thread *t, void *arg)
{
    struct waker_list *list = arg;
    char text[16];

    if (list->n == 0)
        list->first = t;
    if (list->n++ < 6) {
        fmt_buffer(text, sizeof(text), "th%u", t->obj.id);
        kdb_list_add(k, text);
    } else if (list->n == 8) {
        kdb_list_add(k, "...");
    }
}

static void ready_verdict(char *to, unsigned size, const struct thread *t, const struct resv **on)
{
    const struct thread *current = this_cpu()->current;
    const struct resv *paying = this_cpu()->resv;

    *on = t->resv;
    if (t->debug_halt)
        fmt_buffer(to, size, "stopped by the debugger");
    else if (t == current)
        fmt_buffer(to, size, "runs");
    else if (!t->resv_list)
        fmt_buffer(to, size, "has no reservation");
    else if (!t->resv) {
        *on = t->resv_list;
        fmt_buffer(to, size, "out of budget");
    } else if (t->resv->flags & RESV_BACKGROUND)
        fmt_buffer(to, size, "out of budget, in the background");
    else if (current && paying && paying->prio > t->resv->prio)
        fmt_buffer(to, size, "outranked by th%u", current->obj.id);
    else if (current && paying && paying->prio == t->resv->prio)
        fmt_buffer(to, size, "next to th%u, same priority", current->obj.id);
    else if (sched_top() > t->resv->prio)
        fmt_buffer(to, size, "outranked in the ready queue");
    else
        fmt_buffer(to, size, "runs next");
}

static void block_verdict(char *to, unsigned size, const struct thread *t, enum verdict v,
                          bool has_waker)
{
    if (deadline_is_set(&t->timeout))
        fmt_buffer(to, size, "ends with its timeout");
    else if (v == DEADLOCK)
        fmt_buffer(to, size, "DEADLOCK");
    else if (v == CYCLE)
        fmt_buffer(to, size, "CYCLE: only an outsider can end it");
    else if (!has_waker)
        fmt_buffer(to, size, "STUCK: nobody could come");
    else if (v == STUCK)
        fmt_buffer(to, size, "STUCK: nobody who could come can run");
    else
        fmt_buffer(to, size, "waits");
}

static bool why_row(struct kdb *k, const struct thread *t, enum verdict v)
{
    static const char *const kinds[] = { "", "fault ", "exc ", "start ", "irq " };
    char verdict[48], does[20];
    const struct resv *on = NULL;
    struct waker_list list = { 0, NULL };
    const struct kobj *ep = endpoint_of(t);
    uint64_t now = kdb_now();

    if (blocked(t))
        fmt_buffer(does, sizeof(does), "%s%s",
                   kdb_sound(t->ipc, sizeof(*t->ipc)) && t->ipc->kind < ARRAY_SIZE(kinds)
                       ? kinds[t->ipc->kind]
                       : "!",
                   t->state == THREAD_SEND ? "send" : "recv");
    else
        fmt_buffer(does, sizeof(does), "%s",
                   t->state < THREAD_STATE_COUNT ? thread_state_name(t->state) : "!");
    if (t->state == THREAD_READY)
        ready_verdict(verdict, sizeof(verdict), t, &on);
    else if (t->state == THREAD_HALTED)
        fmt_buffer(verdict, sizeof(verdict), "halted: %s", thread_halt_name(t->halt_reason));
    else if (t->state == THREAD_XFER)
        fmt_buffer(verdict, sizeof(verdict), "receives items");
    kdb_row(k);
    kdb_put_object(k, &t->obj);
    kdb_put_name(k, t->obj.id);
    kdb_put_text(k, does);
    kdb_put_object(k, ep ? ep : on ? &on->obj : NULL);
    if (blocked(t) && t->blocked_since && now > t->blocked_since)
        kdb_put_num(k, clock_to_us(now - t->blocked_since));
    else
        kdb_put_null(k);
    if (deadline_is_set(&t->timeout))
        kdb_put_num(k, t->timeout.when > now ? clock_to_us(t->timeout.when - now) : 0);
    else
        kdb_put_null(k);
    kdb_list_begin(k);
    each_waker(k, t, list_waker, &list);
    kdb_list_end(k);
    if (blocked(t)) {
        if (t->hardware && list.n == 0)
            fmt_buffer(verdict, sizeof(verdict), "nobody could come");
        else
            block_verdict(verdict, sizeof(verdict), t, v, list.n != 0);
    }
    kdb_put_object(k, list.first ? &list.first->obj : NULL);
    kdb_put_text(k, verdict);
    return kdb_row_end(k);
}

/* "th34 -> th24 -> th34": back from the end over the steps that found it. */
static void cycle_note(struct kdb *k, enum verdict v, unsigned end)
{
    uint16_t path[SET_MAX];
    unsigned n = 0;

    for (unsigned i = end; i && n < SET_MAX; i = set[i].from)
        path[n++] = (uint16_t)i;
    if (k->format != KDB_AS_TEXT)
        return;
    kdb_out(k, "%s  th%u", v == DEADLOCK ? "DEADLOCK" : "CYCLE", set[0].t->obj.id);
    for (unsigned i = n; i-- > 0;)
        kdb_out(k, " -> th%u", set[path[i]].t->obj.id);
    kdb_out(k, " -> th%u   (%u threads, no timeout on any link)", set[0].t->obj.id, n + 1);
    kdb_out_line(k);
}

KDB_CMD(why_all, .noun = "why", .verb = "ls", .usage = "[-a]", .schema = &why_schema,
        .summary = "every thread that does not run, and why", .example = "why -a")
{
    bool bad = false;
    unsigned end;

    for (struct kobj *o = kdb_next_object(k, NULL, L4_TYPE_THREAD); o;
         o = kdb_next_object(k, o, L4_TYPE_THREAD)) {
        const struct thread *t = (const struct thread *)(const void *)o;
        enum verdict v;

        if ((t->hardware && !t->task) || (t->state == THREAD_HALTED && !k->all))
            continue;
        v = judge(k, t, &end);
        bad |= v != MOVES;
        if (why_row(k, t, v))
            break;
    }
    return bad ? KDB_FALSE : KDB_OK;
}

KDB_CMD(why_show, .noun = "why", .verb = "show", .usage = "thN", .schema = &why_schema,
        .summary = "the chain of what a thread waits for; rc 1 for a deadlock",
        .example = "why th34", .argc_min = 1, .argc_max = 1)
{
    struct kobj *o = kdb_arg_object(k, 0, L4_TYPE_THREAD);
    enum verdict v;
    unsigned end;

    if (!o)
        return k->rc;
    v = judge(k, (const struct thread *)(const void *)o, &end);
    for (unsigned i = 0; i < set_count; i++)
        if (why_row(k, set[i].t, v))
            break;
    if (end)
        cycle_note(k, v, end);
    return v == MOVES ? KDB_OK : KDB_FALSE;
}

KDB_CMD(why_cycles, .noun = "why", .verb = "cycles", .usage = "", .schema = &why_schema,
        .summary = "threads in a deadlock; rc 1 if there are any", .example = "why cycles")
{
    bool found = false;
    unsigned end;

    for (struct kobj *o = kdb_next_object(k, NULL, L4_TYPE_THREAD); o;
         o = kdb_next_object(k, o, L4_TYPE_THREAD)) {
        const struct thread *t = (const struct thread *)(const void *)o;

        enum verdict v;

        if (t->hardware || !blocked(t))
            continue;
        v = judge(k, t, &end);
        if (!end)
            continue;
        found = true;
        cycle_note(k, v, end);
        if (why_row(k, t, v))
            break;
    }
    return found ? KDB_FALSE : KDB_OK;
}
