// SPDX-License-Identifier: MIT
/*
 * revoke -n: what would an unmap destroy?  Nothing is changed.
 *
 * What goes is not decided here: the mappings come from the kernel's walker (revoke_start with REVOKE_QUERY),
 * what they take along from node_loses_kpages() and node_kills(), and what goes with an object from the walk that
 * the reaper does (reap_walk.c).  Here the answers are put into a list of objects that would die and a set
 * of things that would go.  Both have a fixed size; when one is full the answer says that it is not complete.
 */
#include "kdb/engine.h"

#include "kernel/debug/debug.h"
#include "kernel/ipc.h"
#include "kernel/kpage.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/string.h"
#include "kernel/reap.h"

KDB_SCHEMA(revoke_schema, "revoke",
    { "kind", K_TEXT, 8, 0, "mapping, object, thread, ipc, table, res" },
    { "ref", K_TEXT, 20, 0, "the thing" },
    { "effect", K_TEXT, 10, 0, "remove, narrow, destroy, stop, abort, restart, free, detach" },
    { "what", K_TEXT, 16, 0, "what the mapping is of" },
    { "because", K_TEXT, 24, 0, "why" });

#define DEAD_MAX 512u
#define GONE_SLOTS 8192u /* a power of two */

static struct kobj *dead[DEAD_MAX];
static unsigned dead_count;
static uint32_t gone[GONE_SLOTS]; /* addresses of nodes, THREAD_KEY, TABLE_KEY */
static unsigned gone_count;
static bool incomplete;
static const struct kdb *user; /* the line that uses the arena */

static struct { uint32_t mappings, narrowed, objects, threads, ipc, tables; } counts;

static struct { struct kdb *k; const char *because; uint32_t mask; } walk;

static bool row(struct kdb *k, const char *kind, const char *ref, const char *effect,
                const char *what, const char *because)
{
    kdb_row(k);
    kdb_put_text(k, kind);
    kdb_put_text(k, ref);
    kdb_put_text(k, effect);
    kdb_put_text(k, what);
    kdb_put_text(k, because);
    return kdb_row_end(k);
}

/* A thread begins with a node; a table is known by its directory entry. */
#define THREAD_KEY(thread) ((uint32_t)(uintptr_t)(thread) + 1u)
#define TABLE_KEY(entry) ((entry) | 2u)

/* False: it was there before, or there is no room. */
static bool gone_add(uint32_t key)
{
    uint32_t h = key * 2654435761u >> 19;

    while (gone[h & (GONE_SLOTS - 1u)]) {
        if (gone[h & (GONE_SLOTS - 1u)] == key)
            return false;
        h++;
    }
    if (gone_count >= GONE_SLOTS - GONE_SLOTS / 8u) {
        incomplete = true;
        return false;
    }
    gone[h & (GONE_SLOTS - 1u)] = key;
    gone_count++;
    return true;
}

static void die(struct kdb *k, struct kobj *o, const char *because)
{
    char id[16];

    for (unsigned i = 0; i < dead_count; i++)
        if (dead[i] == o)
            return;
    if (o->flags & KOBJ_STATIC)
        return;
    if (dead_count == DEAD_MAX) {
        incomplete = true;
        return;
    }
    dead[dead_count++] = o;
    counts.objects++;
    kdb_object_text(id, sizeof(id), o);
    row(k, "object", id, "destroy", kdb_type_name(o->type), because);
}

static void node_goes(struct kdb *k, const struct node *n, const char *because)
{
    char slot[40], what[24];

    if (!n->task || !gone_add((uint32_t)(uintptr_t)n))
        return;
    counts.mappings++;
    kdb_slot_text(slot, sizeof(slot), n);
    kdb_what_text(what, sizeof(what), n);
    row(k, "mapping", slot, "remove", what, because);
}

/* Called by the kernel's walker for each node that the unmap would touch. */
static void visit(struct revoke *rv, struct node *n)
{
    struct kdb *k = walk.k;
    uint32_t rights = node_rights(n), left = rights & ~walk.mask;

    (void)rv;
    if (!kdb_tick(k) || !kdb_node_ok(n))
        return;
    if (node_loses_kpages(n, left)) {
        struct kpage *kp = n->kpage;

        for (unsigned i = 0; kp && i < 4096 && kdb_object_ok(&kp->obj, L4_TYPE_KPAGE);
             i++, kp = kp->conv_next)
            die(k, &kp->obj, "its memory is taken back");
    }
    if (left == 0 && rights) {
        node_goes(k, n, walk.because);
        if (node_kills(n, left) && kdb_object_ok(node_kobj(n), 0))
            die(k, node_kobj(n), "the creator's capability goes");
    } else if (left != rights && n->task) {
        char slot[40], what[24];

        counts.narrowed++;
        kdb_slot_text(slot, sizeof(slot), n);
        kdb_what_text(what, sizeof(what), n);
        row(k, "mapping", slot, "narrow", what, walk.because);
    }
}

static void query(struct kdb *k, struct node *n, uint32_t lo, uint32_t last, uint32_t mask,
                  unsigned how, const char *because)
{
    static struct revoke rv;

    if (!kdb_node_ok(n))
        return;
    /* The kernel's walker trusts the links: walk them with suspicion first. */
    for (const struct node *m = n; m; m = kdb_next_node(k, n, m))
        ;
    if (k->rc != KDB_OK || k->stop)
        return;
    memset(&rv, 0, sizeof(rv));
    rv.visit = visit;
    rv.arg = k;
    walk.k = k;
    walk.because = because;
    walk.mask = mask;
    revoke_start(&rv, n, lo, last, mask, how | REVOKE_QUERY);
    rv.visit = visit;
    rv.arg = k;
    while (revoke_step(&rv) == STEP_PREEMPTED)
        ;
}

/* A whole node goes with all below it, as the reaper does it. */
static void flush(struct kdb *k, struct node *n, const char *because)
{
    if (kdb_node_ok(n) && n->task)
        query(k, n, 0, 0xffffffffu, L4_RIGHTS_ALL, REVOKE_SELF, because);
}

/* ---- the cascade, one object at a time ------------------------------------------------------- */

static void thread_stops(struct kdb *k, const struct thread *t, const char *because)
{
    char id[16], on[16];

    if (!gone_add(THREAD_KEY(t)))
        return;
    kdb_object_text(id, sizeof(id), &t->obj);
    counts.threads++;
    row(k, "thread", id, "stop", thread_state_name(t->state), because);
    if ((t->state == THREAD_SEND || t->state == THREAD_RECV) &&
        kdb_sound(t->ipc, sizeof(*t->ipc)) && t->ipc->endpoint) {
        counts.ipc++;
        kdb_object_text(on, sizeof(on), &t->ipc->endpoint->obj);
        row(k, "ipc", id, "abort", on, "the thread stops");
    }
}

static void endpoint_goes(struct kdb *k, const struct endpoint *ep)
{
    const struct thread *t = ep->queue;
    char id[16], on[16];

    kdb_object_text(on, sizeof(on), &ep->obj);
    for (uint32_t i = 0; t && i < KDB_QUEUE_MAX && kdb_tick(k); i++) {
        if (!kdb_object_ok(&t->obj, L4_TYPE_THREAD))
            return;
        counts.ipc++;
        kdb_object_text(id, sizeof(id), &t->obj);
        row(k, "ipc", id, "restart", on, "its endpoint goes");
        t = t->queue_next;
        if (t == ep->queue)
            break;
    }
}

/* What the reaper would find: threads, names and tables of a task, contents of a kernel page. */
static void contents_go(struct kdb *k, struct kobj *o)
{
    const char *name = o->type == L4_TYPE_TASK ? "a name of the task" : "in the kernel page";
    char id[16];
    uint32_t tables = 0;
    struct reap_walk w;
    struct reap_item item;

    kdb_object_text(id, sizeof(id), o);
    for (reap_walk_start(&w, o); kdb_tick(k); ) {
        reap_walk_next(&w, &item);
        if (item.kind == REAP_END)
            break;
        if (item.kind == REAP_PAUSE)
            continue;
        if (item.kind == REAP_THREAD) {
            if (!kdb_object_ok(&item.thread->obj, L4_TYPE_THREAD))
                break;
            thread_stops(k, item.thread, "its task goes");
        } else if (item.kind == REAP_OBJECT) {
            if (kdb_object_ok(item.object, 0))
                die(k, item.object, name);
        } else if (item.kind == REAP_TABLE) {
            uint32_t dir = item.table.name >> SUPER_SHIFT;
            const struct task *owner = item.table.owner;

            tables += gone_add(TABLE_KEY(item.table.space == L4_SPACE_MEM ? owner->pd_shadow[dir]
                                         : (uint32_t)(uintptr_t)owner->cap_dir[dir]));
        } else if (kdb_node_ok(item.node)) { /* its own name was counted with its tree */
            if (item.kind == REAP_NODE)
                flush(k, item.node, name);
        } else {
            incomplete = true; /* no way on from here */
            break;
        }
        reap_walk_pass(&w, &item);
    }
    counts.tables += tables;
    if (tables) {
        kdb_row(k);
        kdb_put_text(k, "table");
        kdb_put_text(k, id);
        kdb_put_text(k, "free");
        kdb_put_format(k, "%u tables", tables);
        kdb_put_text(k, o->type == L4_TYPE_TASK ? "its task goes" : name);
        kdb_row_end(k);
    }
}

static void object_goes(struct kdb *k, struct kobj *o)
{
    char id[16];
    const struct resv *r = (const struct resv *)(const void *)o;
    const struct thread *t = (const struct thread *)(const void *)o;

    for (const struct node *n = &o->root; n; n = kdb_next_node(k, &o->root, n))
        node_goes(k, n, "its object goes");
    switch (o->type) {
    case L4_TYPE_THREAD:
        if (t->state != THREAD_HALTED || t->task)
            thread_stops(k, t, "it is destroyed");
        break;
    case L4_TYPE_ENDPOINT:
        endpoint_goes(k, (const struct endpoint *)(const void *)o);
        break;
    case L4_TYPE_RESERVATION:
        if (r->thread && kdb_object_ok(&r->thread->obj, L4_TYPE_THREAD)) {
            kdb_object_text(id, sizeof(id), &r->thread->obj);
            row(k, "res", id, "detach",
                r->thread->resv_list == r && !r->thread->resv_list->thread_next ? "its last"
                                                                                : "one of several",
                "the reservation goes");
        }
        break;
    default:
        break;
    }
    contents_go(k, o);
}

/* names=N: only so many pages or ports from the name that the slot says, which may lie inside a larger mapping. */
static bool narrow_range(struct kdb *k, struct kdb_ref *ref)
{
    uint32_t names = 0;
    struct kdb_slot slot;

    if (!kdb_key_number(k, "names", &names))
        return false;
    if (!names)
        return true;
    if (!kdb_arg_slot(k, 0, &slot))
        return false;
    if (slot.space != L4_SPACE_CAP) {
        ref->lo = ref->node->obj + (slot.name - node_base(ref->node));
        ref->last = ref->lo + (min_u32(names, TABLE_NAMES) << L4_NAME_SHIFT) - 1u;
    }
    return true;
}

KDB_CMD(revoke, .noun = "revoke", .verb = "", .usage = "-n REF [self|children] [rights=LETTERS] [names=N]",
        .keys = "rights,names", .flags = "n", .schema = &revoke_schema,
        .summary = "what an unmap would remove, destroy, stop and abort; changes nothing",
        .example = "revoke -n kp2", .argc_min = 1, .argc_max = 3)
{
    struct kdb_ref ref;
    const char *letters = kdb_key(k, "rights"), *how = NULL;
    uint32_t mask = L4_RIGHTS_ALL;
    unsigned self = REVOKE_SELF;

    if (!kdb_flag(k, 'n'))
        return kdb_fail(k, KDB_USAGE, "there is only the dry run: revoke -n REF");
    if (!kdb_arg_ref(k, 0, &ref))
        return k->rc;
    if (!narrow_range(k, &ref))
        return k->rc;
    if (k->argc > 1)
        how = k->argv[k->argc - 1];
    if (how && strcmp(how, "children") == 0)
        self = 0;
    else if (how && strcmp(how, "self") != 0 && k->argc == 2 && strcmp(k->argv[0], "phys") != 0 &&
             strcmp(k->argv[0], "port") != 0)
        return kdb_fail(k, KDB_USAGE, "self or children, not '%s'", how);
    if (letters && (!kdb_rights_parse(kdb_node_type(ref.node), letters, &mask) || !mask))
        return kdb_fail(k, KDB_BADARG, "rights=%s: a %s has no such right", letters,
                        kdb_type_name(kdb_node_type(ref.node)));
    if (user && user->cmd == k->cmd && user != k && user->depth < k->depth)
        return kdb_fail(k, KDB_BUSY, "an outer revoke uses the arena");
    user = k;
    memset(gone, 0, sizeof(gone));
    memset(&counts, 0, sizeof(counts));
    dead_count = gone_count = 0;
    incomplete = false;
    /* All memory under a kernel root, or all of a tree: a kernel root itself cannot go. */
    if ((ref.node->flags & NODE_ROOT) && !ref.object)
        self = 0;
    if (self) { /* a mapping is never split [G26] */
        ref.lo = 0;
        ref.last = 0xffffffffu;
    }
    query(k, ref.node, ref.lo, ref.last, mask, self, "unmapped");
    for (unsigned i = 0; i < dead_count && k->rc == KDB_OK && kdb_tick(k); i++)
        object_goes(k, dead[i]);
    kdb_note(k,
             "-- would remove %u mappings, narrow %u, destroy %u objects, stop %u threads, end %u "
             "ipc, free %u tables",
             counts.mappings, counts.narrowed, counts.objects, counts.threads, counts.ipc,
             counts.tables);
    user = NULL;
    return incomplete ? kdb_fail(k, KDB_LIMIT, "the arena is full: there is more") : KDB_OK;
}
