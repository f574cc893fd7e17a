// SPDX-License-Identifier: MIT
/* prof: what threads cost, from the switches in the trace.  Costs nothing while they are not recorded. */
#include "kdb/engine.h"

#include "kernel/clock.h"
#include "kernel/debug/debug.h"
#include "kernel/lib/string.h"
#include "kernel/trace.h"

#define PROF_THREADS 128u

KDB_SCHEMA(prof_schema, "prof",
    { "thread", K_ID, 6, 0, "thread; none: idle" },
    { "name", K_NAME, 13, 0, "its name" },
    { "task", K_ID, 6, 0, "its task" },
    { "runs", K_NUM, 6, COL_VOLATILE, "how often it got the CPU" },
    { "time", K_US, 8, COL_VOLATILE, "how long it had the CPU, the kernel's work for it included" },
    { "longest", K_US, 8, COL_VOLATILE, "at once" },
    { "ticks", K_NUM, 12, COL_VOLATILE, "the same in clock ticks: instructions, on a machine that counts them" },
    { "permille", K_NUM, 8, COL_VOLATILE, "of the time between the first switch in the trace and now" });

static struct cost { uint32_t id, runs; uint64_t ticks, longest; } costs[PROF_THREADS];
static unsigned cost_count;

static struct cost *cost_of(struct kdb *k, uint32_t id)
{
    for (unsigned i = 0; i < cost_count; i++)
        if (costs[i].id == id)
            return &costs[i];
    if (cost_count == PROF_THREADS) {
        if (k->rc == KDB_OK)
            kdb_fail(k, KDB_LIMIT, "more than %u threads ran", PROF_THREADS);
        return NULL;
    }
    costs[cost_count] = (struct cost){ .id = id };
    return &costs[cost_count++];
}

static void charge(struct kdb *k, uint32_t id, uint64_t ticks)
{
    struct cost *c = cost_of(k, id);

    if (!c)
        return;
    c->runs++;
    c->ticks += ticks;
    if (ticks > c->longest)
        c->longest = ticks;
}

/* Add up; the ticks that the switches span, 0 if there are none. */
static uint64_t collect(struct kdb *k)
{
    uint32_t total = trace_total(), n = total > TRACE_RECORDS ? total - TRACE_RECORDS : 0;
    uint64_t first = 0, last = 0;
    uint32_t running = 0;
    struct trace_record r;

    cost_count = 0;
    for (; n < total && kdb_tick(k); n++) {
        if (!trace_get(n, &r) || r.event != TRACE_SWITCH)
            continue;
        if (first)
            charge(k, running, r.when - last);
        else
            first = r.when;
        last = r.when;
        running = r.b;
    }
    if (!first)
        return 0;
    if (kdb_now() > last)
        charge(k, running, kdb_now() - last);
    return kdb_now() - first;
}

static uint32_t permille(uint64_t part, uint64_t whole)
{
    for (; whole >> 22; whole >>= 1) /* so that 32 bits are enough */
        part >>= 1;
    return whole ? (uint32_t)part * 1000u / (uint32_t)whole : 0;
}

static bool cost_row(struct kdb *k, const struct cost *c, uint64_t span)
{
    const struct kobj *o = c->id ? kobj_by_id(c->id) : NULL;
    const struct thread *t = (const struct thread *)(const void *)o;

    kdb_row(k);
    if (o)
        kdb_put_object(k, o);
    else if (c->id)
        kdb_put_format(k, "#%u", c->id); /* it is gone */
    else
        kdb_put_null(k);
    kdb_put_name(k, c->id);
    kdb_put_object(k, o && o->type == L4_TYPE_THREAD && t->task ? &t->task->obj : NULL);
    kdb_put_num(k, c->runs);
    kdb_put_num(k, clock_to_us(c->ticks));
    kdb_put_num(k, clock_to_us(c->longest));
    kdb_put_num(k, c->ticks);
    kdb_put_num(k, permille(c->ticks, span));
    return kdb_row_end(k);
}

KDB_CMD(prof, .noun = "prof", .verb = "", .usage = "", .schema = &prof_schema,
        .summary = "what each thread cost, from the switches in the trace (trace on sched.switch)",
        .example = "prof sort=-time")
{
    uint64_t span = collect(k);

    if (k->rc != KDB_OK)
        return k->rc;
    if (!span)
        return kdb_fail(k, KDB_NOENT, "the trace has no switches: trace on sched.switch, then let it run");
    for (unsigned i = 0; i < cost_count && kdb_tick(k); i++)
        if (cost_row(k, &costs[i], span))
            break;
    if (!(trace_mask >> TRACE_SWITCH & 1u))
        kdb_note(k, "-- switches are not recorded any more");
    return KDB_OK;
}
