// SPDX-License-Identifier: MIT
/* Time: cpu, rq, res, tmo, irq, ipcq, stat. */
#include "kdb/engine.h"

#include <arch/cpu.h>
#include <arch/debug.h>
#include "kernel/boot.h"
#include "kernel/clock.h"
#include "kernel/cpu.h"
#include "kernel/debug/debug.h"
#include "kernel/ipc.h"
#include "kernel/irq.h"
#include "kernel/kpage.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/string.h"
#include "kernel/sched.h"
#include "kernel/trace.h"

static void put_until(struct kdb *k, const struct deadline *d)
{
    uint64_t now = kdb_now();

    if (!deadline_is_set(d))
        kdb_put_null(k);
    else
        kdb_put_num(k, d->when > now ? clock_to_us(d->when - now) : 0);
}

static void put_thread(struct kdb *k, const struct thread *t)
{
    kdb_put_object(k, t ? &t->obj : NULL);
}

/* ---- cpu ------------------------------------------------------------------------------------- */

KDB_SCHEMA(cpu_schema, "cpu.ls",
    { "id", K_ID, 6, 0, "object id" },
    { "cpu", K_NUM, 3, 0, "number" },
    { "current", K_ID, 7, 0, "thread that has the CPU; none: idle" },
    { "res", K_ID, 6, 0, "reservation that pays" },
    { "loaded", K_ID, 6, 0, "task whose memory is in CR3; none: the kernel's own" },
    { "fpu", K_ID, 6, 0, "thread whose FPU state is in the registers" },
    { "resched", K_BOOL, 7, 0, "picks again before going to user code" },
    { "lent", K_BOOL, 4, 0, "current runs on another thread's reservation" },
    { "switches", K_NUM, 9, COL_VOLATILE, "changes of the current thread" },
    { "irqs", K_NUM, 9, COL_VOLATILE, "interrupts taken" });

static bool cpu_row(struct kdb *k, const struct cpu *c)
{
    kdb_row(k);
    kdb_put_object(k, &c->obj);
    kdb_put_num(k, c->number);
    put_thread(k, c->current);
    kdb_put_object(k, c->resv ? &c->resv->obj : NULL);
    kdb_put_object(k, c->loaded ? &c->loaded->obj : NULL);
    put_thread(k, c->fpu_owner);
    kdb_put_num(k, c->resched);
    kdb_put_num(k, c->lent);
    kdb_put_num(k, c->switches);
    kdb_put_num(k, c->interrupts);
    return kdb_row_end(k);
}

KDB_CMD(cpu_ls, .noun = "cpu", .verb = "ls", .usage = "", .schema = &cpu_schema,
        .summary = "processors", .example = "cpu")
{
    for (struct kobj *o = kdb_next_object(k, NULL, L4_TYPE_CPU); o;
         o = kdb_next_object(k, o, L4_TYPE_CPU))
        if (cpu_row(k, (const struct cpu *)(const void *)o))
            break;
    return KDB_OK;
}

KDB_CMD(cpu_show, .noun = "cpu", .verb = "regs", .usage = "", .schema = &kdb_pairs,
        .summary = "control registers", .example = "cpu regs")
{
    uint32_t cr[4];

    arch_debug_system(cr);
    kdb_pair(k, "cr0", "0x%08x", cr[0]);
    kdb_pair(k, "cr2", "0x%08x", cr[1]);
    kdb_pair(k, "cr3", "0x%08x", cr[2]);
    kdb_pair(k, "cr4", "0x%08x", cr[3]);
    kdb_pair(k, "features", "0x%08x", arch_cpu_features());
    return KDB_OK;
}

/* ---- rq -------------------------------------------------------------------------------------- */

KDB_SCHEMA(rq_schema, "rq.ls",
    { "prio", K_NUM, 4, 0, "priority; none: background level of spent soft reservations" },
    { "pos", K_NUM, 3, 0, "position in the queue, 0 next" },
    { "res", K_ID, 6, 0, "reservation" },
    { "thread", K_ID, 6, 0, "thread that it belongs to" },
    { "name", K_NAME, 13, 0, "name of the thread" },
    { "left", K_US, 8, COL_VOLATILE, "budget left" });

KDB_CMD(rq, .noun = "rq", .verb = "ls", .usage = "", .schema = &rq_schema,
        .summary = "run queues: who waits for the CPU", .example = "rq")
{
    for (unsigned level = SCHED_LEVELS; level-- > 0 && kdb_tick(k);) {
        const struct resv *first = sched_queue(level), *r = first;

        for (unsigned pos = 0; r && kdb_tick(k); pos++) {
            kdb_row(k);
            if (!kdb_object_ok(&r->obj, L4_TYPE_RESERVATION)) {
                kdb_put_num(k, level);
                kdb_put_num(k, pos);
                kdb_put_bad(k, "0x%08x", (unsigned)(uintptr_t)r);
                kdb_row_end(k);
                break;
            }
            if (level == SCHED_LEVELS - 1)
                kdb_put_null(k);
            else
                kdb_put_num(k, level);
            kdb_put_num(k, pos);
            kdb_put_object(k, &r->obj);
            put_thread(k, r->thread);
            if (r->thread && kdb_object_ok(&r->thread->obj, L4_TYPE_THREAD))
                kdb_put_name(k, r->thread->obj.id);
            else
                kdb_put_null(k);
            kdb_put_num(k, clock_to_us(r->left));
            if (kdb_row_end(k))
                return KDB_OK;
            r = r->queue_next == first ? NULL : r->queue_next;
        }
    }
    return KDB_OK;
}

/* ---- res ------------------------------------------------------------------------------------- */

KDB_SCHEMA(res_schema, "res.ls",
    { "id", K_ID, 6, 0, "object id" },
    { "name", K_NAME, 13, 0, "name, if given" },
    { "prio", K_NUM, 4, 0, "priority" },
    { "budget", K_US, 8, 0, "time per period" },
    { "period", K_US, 8, 0, "length of a period" },
    { "left", K_US, 8, COL_VOLATILE, "budget left in this period" },
    { "refill", K_US, 8, COL_VOLATILE, "time until the next refill" },
    { "thread", K_ID, 6, 0, "thread that spends it" },
    { "used", K_US, 8, COL_VOLATILE, "consumed so far" },
    { "share", K_NUM, 7, 0, "2^-20ths of the CPU" },
    { "soft", K_BOOL, 4, 0, "may run in the background when spent" },
    { "queued", K_BOOL, 6, COL_WIDE, "in a ready queue" },
    { "parent", K_ID, 6, COL_WIDE, "reservation that it was split from" },
    { "state", K_TEXT, 6, COL_WIDE, "live, static or dying" });

static bool res_row(struct kdb *k, const struct resv *r)
{
    kdb_row(k);
    kdb_put_object(k, &r->obj);
    kdb_put_name(k, r->obj.id);
    kdb_put_num(k, r->prio);
    kdb_put_num(k, r->budget_us);
    kdb_put_num(k, r->period_us);
    kdb_put_num(k, clock_to_us(r->left));
    put_until(k, &r->refill);
    put_thread(k, r->thread);
    kdb_put_num(k, resv_used_us(r));
    kdb_put_num(k, r->share);
    kdb_put_num(k, (r->flags & RESV_SOFT) != 0);
    kdb_put_num(k, (r->flags & RESV_QUEUED) != 0);
    kdb_put_object(k, r->parent ? &r->parent->obj : NULL);
    kdb_put_text(k,
                 kobj_is_dying(&r->obj)           ? "dying"
                     : r->obj.flags & KOBJ_STATIC ? "static"
                                                  : "live");
    return kdb_row_end(k);
}

KDB_CMD(res_ls, .noun = "res", .verb = "ls", .usage = "[prio>=N] [left=0]", .schema = &res_schema,
        .summary = "reservations", .example = "res sort=-prio")
{
    for (struct kobj *o = kdb_next_object(k, NULL, L4_TYPE_RESERVATION); o;
         o = kdb_next_object(k, o, L4_TYPE_RESERVATION))
        if (res_row(k, (const struct resv *)(const void *)o))
            break;
    return KDB_OK;
}

KDB_CMD(res_show, .noun = "res", .verb = "show", .usage = "rsN", .schema = &res_schema,
        .summary = "one reservation", .example = "res show rs8", .argc_min = 1, .argc_max = 1)
{
    struct kobj *o = kdb_arg_object(k, 0, L4_TYPE_RESERVATION);

    if (!o)
        return k->rc;
    k->verbose = true;
    res_row(k, (const struct resv *)(const void *)o);
    return KDB_OK;
}

KDB_SCHEMA(load_schema, "res.load",
    { "id", K_ID, 6, 0, "reservation" },
    { "name", K_NAME, 13, 0, "name, if given" },
    { "thread", K_ID, 6, 0, "thread that spends it" },
    { "share", K_NUM, 8, 0, "2^-20ths of the CPU" },
    { "percent", K_TEXT, 7, 0, "the same in hundredths" });

KDB_CMD(res_load, .noun = "res", .verb = "load", .usage = "", .schema = &load_schema,
        .summary = "what share of the CPU is promised to whom", .example = "res load sort=-share")
{
    uint64_t sum = 0;
    uint32_t percent;

    for (struct kobj *o = kdb_next_object(k, NULL, L4_TYPE_RESERVATION); o;
         o = kdb_next_object(k, o, L4_TYPE_RESERVATION)) {
        const struct resv *r = (const struct resv *)(const void *)o;

        if (o == &boot_root_resv->obj || !r->share)
            continue;
        sum += r->share;
        percent = (uint32_t)((uint64_t)r->share * 10000u >> 20);
        kdb_row(k);
        kdb_put_object(k, o);
        kdb_put_name(k, o->id);
        put_thread(k, r->thread);
        kdb_put_num(k, r->share);
        kdb_put_format(k, "%u.%02u", percent / 100, percent % 100);
        if (kdb_row_end(k))
            break;
    }
    percent = (uint32_t)(sum * 10000u >> 20);
    kdb_note(k, "-- admitted %u.%02u%%", percent / 100, percent % 100);
    return KDB_OK;
}

/* ---- tmo ------------------------------------------------------------------------------------- */

KDB_SCHEMA(tmo_schema, "tmo.ls",
    { "due", K_US, 8, COL_VOLATILE, "time left; 0: overdue" },
    { "what", K_TEXT, 8, 0, "ipc or refill" },
    { "target", K_ID, 6, 0, "thread or reservation" },
    { "name", K_NAME, 13, 0, "its name" });

KDB_CMD(tmo, .noun = "tmo", .verb = "ls", .usage = "[due<5000]", .schema = &tmo_schema,
        .summary = "armed timeouts, in order of the heap", .example = "tmo sort=due")
{
    const char *problem = deadline_check();
    unsigned n = 0;

    for (const struct deadline *d = deadline_next(NULL); d && kdb_tick(k); d = deadline_next(d)) {
        const struct kobj *o;

        n++;
        if (!kdb_sound(d, sizeof(*d)))
            return kdb_fail(k, KDB_CORRUPT, "the heap leads to 0x%08x", (unsigned)(uintptr_t)d);
        if (d->kind == DEADLINE_IPC)
            o = (const struct kobj *)(const void *)((const char *)d -
                                                    offsetof(struct thread, timeout));
        else
            o = (const struct kobj *)(const void *)((const char *)d -
                                                    offsetof(struct resv, refill));
        kdb_row(k);
        put_until(k, d);
        kdb_put_text(k, d->kind == DEADLINE_IPC ? "ipc" : "refill");
        kdb_put_object(k, o);
        if (kdb_object_ok(o, 0))
            kdb_put_name(k, o->id);
        else
            kdb_put_null(k);
        if (kdb_row_end(k))
            break;
    }
    kdb_note(k, "-- %u armed, heap %s", n, problem ? problem : "ok");
    return problem ? kdb_fail(k, KDB_CORRUPT, "%s", problem) : KDB_OK;
}

/* ---- irq ------------------------------------------------------------------------------------- */

KDB_SCHEMA(irq_schema, "irq.ls",
    { "irq", K_NUM, 3, 0, "line" },
    { "thread", K_ID, 6, 0, "its thread object" },
    { "task", K_ID, 6, 0, "task that it is bound to" },
    { "state", K_TEXT, 9, 0, "kernel, detached, masked, armed, sending, waiting, raised" },
    { "masked", K_BOOL, 6, 0, "masked at the controller" },
    { "on", K_ID, 6, 0, "endpoint" },
    { "count", K_NUM, 9, COL_VOLATILE, "interrupts so far" });

KDB_CMD(irq_ls, .noun = "irq", .verb = "ls", .usage = "[state=S]", .schema = &irq_schema,
        .summary = "interrupt lines", .example = "irq state!=detached")
{
    for (unsigned line = 0; line < IRQ_LINES && kdb_tick(k); line++) {
        const struct thread *t = irq_thread(line);

        kdb_row(k);
        kdb_put_num(k, line);
        put_thread(k, t);
        if (!t || !kdb_object_ok(&t->obj, L4_TYPE_THREAD)) {
            kdb_row_end(k);
            continue;
        }
        kdb_put_object(k, t->task ? &t->task->obj : NULL);
        kdb_put_text(k, irq_state_name(irq_state_of(t)));
        kdb_put_num(k, arch_irq_masked(line));
        kdb_put_object(k, t->ipc && t->ipc->endpoint ? &t->ipc->endpoint->obj : NULL);
        kdb_put_num(k, irq_count[line]);
        if (kdb_row_end(k))
            break;
    }
    kdb_note(k, "-- %u spurious", irq_spurious);
    return KDB_OK;
}

/* ---- ipcq ------------------------------------------------------------------------------------ */

KDB_SCHEMA(ipcq_schema, "ipcq.ls",
    { "ep", K_ID, 6, COL_DST, "endpoint" },
    { "name", K_NAME, 13, 0, "its name" },
    { "pos", K_NUM, 3, 0, "position in the queue, 0 next" },
    { "thread", K_ID, 6, COL_SRC, "who waits" },
    { "dir", K_TEXT, 4, 0, "send or recv" },
    { "kind", K_TEXT, 5, 0, "ipc, fault, exc, start, irq" },
    { "waiting", K_US, 8, COL_VOLATILE, "for how long" },
    { "tmo", K_US, 8, COL_VOLATILE, "time left" },
    { "words", K_NUM, 5, 0, "words to send, or to receive" },
    { "items", K_NUM, 5, 0, "typed items to send, or to receive" },
    { "via", K_SLOT, 14, 0, "the capability used" });

static bool ipcq_row(struct kdb *k, const struct endpoint *ep, const struct thread *t, unsigned pos)
{
    static const char *const kinds[] = { "ipc", "fault", "exc", "start", "irq" };
    const struct ipc *i = t->ipc;
    bool send = ep->senders != 0;

    kdb_row(k);
    kdb_put_object(k, &ep->obj);
    kdb_put_name(k, ep->obj.id);
    kdb_put_num(k, pos);
    kdb_put_object(k, &t->obj);
    kdb_put_text(k, send ? "send" : "recv");
    if (!kdb_sound(i, sizeof(*i))) {
        kdb_put_bad(k, "ipc 0x%08x", (unsigned)(uintptr_t)i);
        return kdb_row_end(k);
    }
    if (i->kind < ARRAY_SIZE(kinds))
        kdb_put_text(k, kinds[i->kind]);
    else
        kdb_put_bad(k, "%u", i->kind);
    kdb_put_num(k, t->blocked_since ? clock_to_us(kdb_now() - t->blocked_since) : 0);
    put_until(k, &t->timeout);
    kdb_put_num(k, send ? i->sc : i->rc);
    kdb_put_num(k, send ? i->st : i->rt);
    kdb_put_slot(k,
                 t->task ? cap_lookup(t->task, (send ? i->send : i->recv) >> L4_NAME_SHIFT) : NULL);
    return kdb_row_end(k);
}

KDB_CMD(ipcq, .noun = "ipcq", .verb = "ls", .alias = "q", .usage = "[ep=epN] [waiting>5000]",
        .schema = &ipcq_schema, .summary = "threads that wait at endpoints",
        .example = "ipcq dir=send")
{
    for (struct kobj *o = kdb_next_object(k, NULL, L4_TYPE_ENDPOINT); o;
         o = kdb_next_object(k, o, L4_TYPE_ENDPOINT)) {
        const struct endpoint *ep = (const struct endpoint *)(const void *)o;
        const struct thread *t = ep->queue;

        for (unsigned pos = 0; t && kdb_tick(k); pos++) {
            if (!kdb_object_ok(&t->obj, L4_TYPE_THREAD)) {
                kdb_row(k);
                kdb_put_object(k, o);
                kdb_put_name(k, o->id);
                kdb_put_num(k, pos);
                kdb_put_bad(k, "0x%08x", (unsigned)(uintptr_t)t);
                kdb_row_end(k);
                break;
            }
            if (pos > KDB_QUEUE_MAX) {
                kdb_fail(k, KDB_CORRUPT, "ep%u: its queue does not end", o->id);
                break;
            }
            if (ipcq_row(k, ep, t, pos))
                return KDB_OK;
            t = t->queue_next == ep->queue ? NULL : t->queue_next;
        }
    }
    return KDB_OK;
}

/* ---- stat ------------------------------------------------------------------------------------ */

/* A place of cpu_stretch in words. */
static void put_place(char *text, unsigned size, unsigned place)
{
    static const char *const points[] = {
#define X(name, word) word,
        PREEMPT_LIST(X)
#undef X
    };

    if (place < ARRAY_SIZE(points))
        fmt_buffer(text, size, "point %s", points[place]);
    else if (place >= STRETCH_VECTOR)
        fmt_buffer(text, size, "vector %u", place - STRETCH_VECTOR);
    else if (place >= STRETCH_SYSCALL)
        fmt_buffer(text, size, "call %u", place - STRETCH_SYSCALL);
    else
        fmt_buffer(text, size, place == STRETCH_IDLE ? "sleep" : "exit");
}

static void stretch_pair(struct kdb *k)
{
    const struct cpu_stretch *s = &cpu_stretch;
    char from[24], to[24];

    if (!s->on) {
        kdb_pair(k, "longest stretch", "not measured (stat stretch on)");
        return;
    }
    put_place(from, sizeof(from), s->from);
    put_place(to, sizeof(to), s->to);
    kdb_pair(k, "longest stretch", "%u ticks, %llu us: %s to %s, th%u", s->longest,
             (unsigned long long)clock_to_us(s->longest), from, to, s->thread);
}

KDB_CMD(stat, .noun = "stat", .verb = "", .usage = "", .schema = &kdb_pairs, .summary = "counters",
        .example = "stat")
{
    uint32_t unit_bytes, frames, objects = 0, total = trace_total();
    const struct cpu *cpu = this_cpu();
    uint64_t up = clock_to_us(kdb_now());

    kmem_totals(&unit_bytes, &frames);
    for (struct kobj *o = kdb_next_object(k, NULL, 0); o; o = kdb_next_object(k, o, 0))
        objects++;
    kdb_pair(k, "uptime", "%llu us", (unsigned long long)up);
    kdb_pair(k, "clock", "%u ticks per ms", clock_khz);
    kdb_pair(k, "objects", "%u", objects);
    kdb_pair(k, "kernel memory", "%u bytes free in units, %u free frames", unit_bytes, frames);
    kdb_pair(k, "frames", "%u in the frame table", frame_count);
    kdb_pair(k, "switches", "%u", cpu->switches);
    kdb_pair(k, "interrupts", "%u, %u spurious", cpu->interrupts, irq_spurious);
    kdb_pair(k, "trace", "%u records, %u lost", total,
             total > TRACE_RECORDS ? total - TRACE_RECORDS : 0);
    kdb_pair(k, "log", "%u characters", log_total());
    stretch_pair(k);
    return KDB_OK;
}

KDB_CMD(stat_stretch, .noun = "stat", .verb = "stretch", .usage = "[on | off]", .schema = &kdb_pairs,
        .summary = "the longest time without a preemption point; on: measure, from now on", .effect = KE_DBG,
        .example = "stat stretch on", .argc_max = 1)
{
    const char *what = k->argc ? k->argv[0] : "";
    bool on = strcmp(what, "on") == 0;

    if (k->argc && !on && strcmp(what, "off") != 0)
        return kdb_fail(k, KDB_USAGE, "on or off");
    if (k->argc)
        cpu_stretch_set(on);
    else
        stretch_pair(k);
    return KDB_OK;
}
