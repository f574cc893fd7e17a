// SPDX-License-Identifier: MIT
/* What is of no use to anybody (leaks), and what has changed between two moments (snap, diff). */
#include "kdb/engine.h"

#include "kernel/boot.h"
#include "kernel/debug/debug.h"
#include "kernel/ipc.h"
#include "kernel/kpage.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/string.h"

/* ---- leaks ----------------------------------------------------------------------------------- */

KDB_SCHEMA(leaks_schema, "leaks",
    { "class", K_TEXT, 12, 0, "kind of leak" },
    { "ref", K_ID, 6, 0, "object" },
    { "name", K_NAME, 13, 0, "name, if given" },
    { "size", K_NUM, 8, 0, "bytes of kernel memory" },
    { "note", K_TEXT, 40, 0, "what is wrong" });

/* All rights that anybody has on it. */
static uint32_t rights_held(struct kdb *k, const struct kobj *o)
{
    uint32_t rights = 0;

    for (const struct node *n = &o->root; n; n = kdb_next_node(k, &o->root, n))
        if (n->task)
            rights |= node_rights(n);
    return rights;
}

static uint32_t kpage_used(const struct kpage *kp)
{
    uint32_t used = 0, first = kp->base >> PAGE_SHIFT;

    for (uint32_t f = first; f < first + kp->frames && f < frame_count; f++)
        used += (frame_table[f].use & 15u) != FRAME_FREE;
    return used;
}

static bool leak(struct kdb *k, const char *class, const struct kobj *o, uint32_t size,
                 const char *note)
{
    kdb_row(k);
    kdb_put_text(k, class);
    kdb_put_object(k, o);
    kdb_put_name(k, o->id);
    kdb_put_num(k, size);
    kdb_put_text(k, note);
    return kdb_row_end(k);
}

static bool leaks_of(struct kdb *k, const struct kobj *o)
{
    uint32_t rights = rights_held(k, o);
    const struct thread *t = (const struct thread *)(const void *)o;
    const struct resv *r = (const struct resv *)(const void *)o;

    if (kobj_is_dying(o))
        return leak(k, "dying", o, 0, "on the reap list: somebody's unmap is not finished");
    if (o->flags & KOBJ_STATIC)
        return false;
    if (!rights)
        return leak(k, "orphan", o, 0, "no capability refers to it");
    switch (o->type) {
    case L4_TYPE_ENDPOINT:
        if (!(rights & L4_R))
            return leak(k, "ep-deaf", o, L4_SIZE_ENDPOINT, "nobody may receive on it");
        return !(rights & L4_W) && leak(k, "ep-mute", o, L4_SIZE_ENDPOINT, "nobody may send to it");
    case L4_TYPE_THREAD:
        return !t->task && t->halt_reason != HALT_FRESH &&
               leak(k, "thread-idle", o, L4_SIZE_THREAD, "unbound, and was bound before");
    case L4_TYPE_TASK:
        return !((const struct task *)(const void *)o)->threads &&
            leak(k, "task-empty", o, L4_SIZE_TASK + L4_TASK_PAGES * PAGE_SIZE,
                 "no thread is bound to it");
    case L4_TYPE_RESERVATION:
        return !r->thread && r->share &&
            leak(k, "res-unused", o, L4_SIZE_RESERVATION, "has a share and no thread");
    case L4_TYPE_KPAGE:
        return kpage_used((const struct kpage *)(const void *)o) == 0 &&
            leak(k, "kp-empty", o, ((const struct kpage *)(const void *)o)->frames * PAGE_SIZE,
                 "nothing stands in it");
    default:
        return false;
    }
}

KDB_CMD(leaks, .noun = "leaks", .verb = "", .usage = "[class=C]", .schema = &leaks_schema,
        .summary = "objects of no use to anybody", .example = "leaks")
{
    for (struct kobj *o = kdb_next_object(k, NULL, 0); o; o = kdb_next_object(k, o, 0)) {
        if (o == &boot_root_resv->obj || o == &boot_kpage->obj)
            continue;
        if (leaks_of(k, o))
            break;
    }
    return KDB_OK;
}

/* ---- snap and diff --------------------------------------------------------------------------- */

#define SNAPS 4u
#define SNAP_OBJECTS 1024u

/* `fields` is a digest of what does not change by itself; `caps` counts the capabilities. */
struct snap_record { uint32_t id; uint8_t type, state; uint16_t caps; uint32_t fields; };

static struct snap {
    char name[12];
    unsigned count;
    bool cut;
    uint32_t unit_bytes, frames;
    struct snap_record record[SNAP_OBJECTS];
} snaps[SNAPS];

static uint32_t mix(uint32_t digest, uint32_t word)
{
    return (digest ^ word) * 16777619u;
}

static uint32_t id_of(const struct kobj *o)
{
    return o && kdb_object_ok(o, 0) ? o->id : 0;
}

static struct snap_record record_of(struct kdb *k, const struct kobj *o)
{
    struct snap_record r = { o->id, o->type, o->flags, 0, 2166136261u };
    const struct thread *t = (const struct thread *)(const void *)o;
    const struct resv *v = (const struct resv *)(const void *)o;
    const struct endpoint *e = (const struct endpoint *)(const void *)o;
    const struct kpage *p = (const struct kpage *)(const void *)o;

    for (const struct node *n = &o->root; n; n = kdb_next_node(k, &o->root, n)) {
        r.caps += n->task != NULL;
        r.fields = mix(mix(r.fields, n->name), n->task ? id_of(&n->task->obj) : 0);
    }
    switch (o->type) {
    case L4_TYPE_THREAD:
        r.state = t->state;
        r.fields = mix(mix(r.fields, t->task ? id_of(&t->task->obj) : 0), t->halt_reason);
        break;
    case L4_TYPE_RESERVATION:
        r.fields = mix(mix(mix(r.fields, v->budget_us), v->period_us), v->prio);
        r.fields = mix(r.fields, v->thread ? id_of(&v->thread->obj) : 0);
        break;
    case L4_TYPE_ENDPOINT:
        r.fields = mix(mix(r.fields, e->queue != NULL), e->senders);
        break;
    case L4_TYPE_KPAGE:
        r.fields = mix(r.fields, p->base);
        break;
    default:
        break;
    }
    return r;
}

static struct snap *snap_find(const char *name)
{
    for (unsigned i = 0; i < SNAPS; i++)
        if (strcmp(snaps[i].name, name) == 0)
            return &snaps[i];
    return NULL;
}

KDB_CMD(snap_show, .noun = "snap", .verb = "show", .usage = "NAME", .effect = KE_DBG,
        .summary = "remember all objects under a name", .example = "snap before", .argc_min = 1,
        .argc_max = 1)
{
    struct snap *s = snap_find(k->argv[0]);
    unsigned length = (unsigned)strlen(k->argv[0]);

    if (length == 0 || length >= sizeof(s->name))
        return kdb_fail(k, KDB_BADARG, "a name has 1 to %u characters",
                        (unsigned)sizeof(s->name) - 1u);
    if (!s)
        s = snap_find("");
    if (!s)
        return kdb_fail(k, KDB_LIMIT, "%u snapshots are there already: snap del NAME", SNAPS);
    s->count = 0;
    s->cut = false;
    for (struct kobj *o = kdb_next_object(k, NULL, 0); o; o = kdb_next_object(k, o, 0)) {
        if (s->count == SNAP_OBJECTS) {
            s->cut = true;
            break;
        }
        s->record[s->count++] = record_of(k, o);
    }
    kmem_totals(&s->unit_bytes, &s->frames);
    memcpy(s->name, k->argv[0], length + 1);
    kdb_note(k, "-- %u objects", s->count);
    return s->cut ? kdb_fail(k, KDB_LIMIT, "only %u objects fit", SNAP_OBJECTS) : KDB_OK;
}

KDB_CMD(snap_del, .noun = "snap", .verb = "del", .usage = "NAME", .effect = KE_DBG,
        .summary = "forget a snapshot", .argc_min = 1, .argc_max = 1)
{
    struct snap *s = snap_find(k->argv[0]);

    if (!s || !k->argv[0][0])
        return kdb_fail(k, KDB_NOENT, "no snapshot '%s'", k->argv[0]);
    s->name[0] = '\0';
    return KDB_OK;
}

KDB_SCHEMA(snap_schema, "snap.ls",
    { "snapshot", K_TEXT, 12, 0, "name" },
    { "objects", K_NUM, 7, 0, "objects in it" });

KDB_CMD(snap_ls, .noun = "snap", .verb = "ls", .usage = "", .schema = &snap_schema,
        .summary = "snapshots", .example = "snap ls")
{
    for (unsigned i = 0; i < SNAPS; i++)
        if (snaps[i].name[0]) {
            kdb_row(k);
            kdb_put_text(k, snaps[i].name);
            kdb_put_num(k, snaps[i].count);
            kdb_row_end(k);
        }
    return KDB_OK;
}

KDB_SCHEMA(diff_schema, "diff",
    { "sign", K_TEXT, 4, 0, "+ new, - gone, ~ changed" },
    { "ref", K_TEXT, 8, 0, "object" },
    { "name", K_NAME, 13, 0, "its name" },
    { "what", K_TEXT, 40, 0, "what changed" });

static bool diff_row(struct kdb *k, const char *sign, const struct snap_record *r, const char *what)
{
    kdb_row(k);
    kdb_put_text(k, sign);
    kdb_put_format(k, "%s%u", kobj_prefix((enum l4_type)r->type), r->id);
    kdb_put_name(k, r->id);
    kdb_put_text(k, what);
    return kdb_row_end(k);
}

static const struct snap_record *snap_record(const struct snap *s, uint32_t id)
{
    for (unsigned i = 0; i < s->count; i++)
        if (s->record[i].id == id)
            return &s->record[i];
    return NULL;
}

static bool diff_one(struct kdb *k, const struct snap_record *old, const struct snap_record *new)
{
    char what[96];

    if (old->state != new->state && new->type == L4_TYPE_THREAD)
        fmt_buffer(what, sizeof(what), "state %s -> %s", thread_state_name(old->state),
                   thread_state_name(new->state));
    else if (old->caps != new->caps)
        fmt_buffer(what, sizeof(what), "capabilities %u -> %u", old->caps, new->caps);
    else if (old->fields != new->fields)
        fmt_buffer(what, sizeof(what), "fields or capabilities");
    else
        return false;
    return diff_row(k, "~", new, what);
}

KDB_CMD(diff, .noun = "diff", .verb = "", .usage = "NAME", .schema = &diff_schema,
        .summary = "what has changed since a snapshot; rc 1 if anything did",
        .example = "diff before", .argc_min = 1, .argc_max = 1)
{
    const struct snap *s = snap_find(k->argv[0]);
    uint32_t unit_bytes, frames;
    unsigned changes = 0;

    if (!s || !k->argv[0][0])
        return kdb_fail(k, KDB_NOENT, "no snapshot '%s'", k->argv[0]);
    for (unsigned i = 0; i < s->count && kdb_tick(k); i++)
        if (!kobj_by_id(s->record[i].id)) {
            changes++;
            if (diff_row(k, "-", &s->record[i], "destroyed"))
                return KDB_FALSE;
        }
    for (struct kobj *o = kdb_next_object(k, NULL, 0); o; o = kdb_next_object(k, o, 0)) {
        const struct snap_record *old = snap_record(s, o->id);
        struct snap_record new = record_of(k, o);
        unsigned before = k->rows;

        if (!old ? diff_row(k, "+", &new, "created") : diff_one(k, old, &new))
            return KDB_FALSE;
        changes += k->rows != before;
    }
    kmem_totals(&unit_bytes, &frames);
    kdb_note(k, "-- free: units %u -> %u bytes, frames %u -> %u", s->unit_bytes, unit_bytes,
             s->frames, frames);
    return changes ? KDB_FALSE : KDB_OK;
}
