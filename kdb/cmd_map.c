// SPDX-License-Identifier: MIT
/* The mapping database: map tree, map up, map node, map stat, and who holds or could get a right. */
#include "kdb/engine.h"

#include "kernel/boot.h"
#include "kernel/cpu.h"
#include "kernel/debug/debug.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/string.h"

KDB_SCHEMA(map_schema, "map.tree",
    { "tree", K_TEXT, 26, 0, "place, indented by depth" },
    { "slot", K_SLOT, 18, COL_DST | COL_WIDE, "place" },
    { "what", K_TEXT, 16, 0, "object, physical address or port" },
    { "task", K_ID, 6, 0, "holder" },
    { "name", K_NAME, 13, 0, "its name" },
    { "rights", K_RIGHTS, 6, 0, "letters" },
    { "size", K_NUM, 4, 0, "log2 of the size" },
    { "depth", K_NUM, 5, 0, "0: root of the tree" },
    { "parent", K_SLOT, 18, COL_SRC | COL_WIDE, "mapped from" },
    { "node", K_HEX, 10, COL_WIDE | COL_VOLATILE, "address of the node" },
    { "flags", K_TEXT, 10, 0, "root converter device cursor view" });

static void flag_text(char *to, unsigned size, const struct node *n)
{
    fmt_buffer(to, size, "%s%s%s%s%s%s", n->flags & NODE_ROOT ? "root " : "",
               n->flags & NODE_CONVERTER ? "converter " : "",
               n->flags & NODE_DEVICE ? "device " : "", n->flags & NODE_CURSOR ? "cursor " : "",
               n->flags & NODE_VIEW ? "view " : "",
               !n->task && !(n->flags & NODE_ROOT) ? "connector " : "");
}

static bool map_row(struct kdb *k, const struct node *n, unsigned top)
{
    char what[24], slot[40], flags[56];
    unsigned indent = min_u32(n->depth - top, 10);

    kdb_what_text(what, sizeof(what), n);
    kdb_slot_text(slot, sizeof(slot), n);
    flag_text(flags, sizeof(flags), n);
    kdb_row(k);
    kdb_put_format(k, "%.*s%s%s", (int)(indent * 2), "                    ", indent ? "+-" : "",
                   n->task                    ? slot
                       : n->flags & NODE_ROOT ? "root"
                                              : "connector");
    kdb_put_slot(k, n);
    kdb_put_text(k, what);
    kdb_put_object(k, n->task ? &n->task->obj : NULL);
    kdb_put_name(k, n->task ? n->task->obj.id : 0);
    kdb_put_rights(k, kdb_node_type(n), node_rights(n));
    kdb_put_num(k, node_size(n));
    kdb_put_num(k, n->depth);
    kdb_put_slot(k, n->parent);
    kdb_put_num(k, (uint32_t)(uintptr_t)n);
    kdb_put_text(k, flags[0] ? flags : NULL);
    return kdb_row_end(k);
}

static bool is_range(const struct kdb_ref *ref)
{
    return ref->lo != 0 || ref->last != 0xffffffffu;
}

KDB_CMD(map_tree, .noun = "map", .verb = "tree", .alias = "m",
        .usage = "REF [depth=N]   REF: th2, tk1/cap/0x1, phys/0x1000, port/0x60", .keys = "depth",
        .schema = &map_schema, .summary = "mapping tree below an object, a slot, a frame or a port",
        .example = "map tree ep16", .argc_min = 1, .argc_max = 2)
{
    struct kdb_ref ref;
    uint32_t depth = 0xffffffffu;
    unsigned nodes = 0, deepest = 0;

    if (!kdb_arg_ref(k, 0, &ref) || !kdb_key_number(k, "depth", &depth))
        return k->rc;
    for (const struct node *n = ref.node; n; n = kdb_next_node(k, ref.node, n)) {
        /* Selection of a frame in a bigger tree: by overlap at every node, as a person expects. */
        if (n != ref.node && is_range(&ref) && node_space(n) != L4_SPACE_CAP &&
            !node_overlaps(n, ref.lo, ref.last))
            continue;
        if ((uint32_t)(n->depth - ref.node->depth) > depth)
            continue;
        nodes++;
        deepest = max_u32(deepest, n->depth);
        if (map_row(k, n, ref.node->depth))
            break;
    }
    kdb_note(k, "-- %u nodes, depth %u", nodes, deepest);
    return KDB_OK;
}

KDB_CMD(map_show, .noun = "map", .verb = "show", .alias = "m", .usage = "REF",
        .schema = &map_schema, .summary = "the same as map tree", .example = "map th2",
        .argc_min = 1, .argc_max = 2)
{
    return cmd_map_tree(k);
}

KDB_CMD(map_up, .noun = "map", .verb = "up", .alias = "m", .usage = "REF", .schema = &map_schema,
        .summary = "where a mapping came from, up to the root", .example = "map up tk1/cap/0x1",
        .argc_min = 1, .argc_max = 2)
{
    struct kdb_ref ref;
    uint32_t last = 0x10000;

    if (!kdb_arg_ref(k, 0, &ref))
        return k->rc;
    for (const struct node *n = ref.node; n && kdb_tick(k); n = n->parent) {
        if (!kdb_node_ok(n) || n->depth >= last)
            return kdb_fail(k, KDB_CORRUPT, "the chain of parents leads to 0x%08x",
                            (unsigned)(uintptr_t)n);
        last = n->depth;
        if (map_row(k, n, n->depth))
            break;
    }
    return KDB_OK;
}

KDB_CMD(map_node, .noun = "map", .verb = "node", .alias = "m", .usage = "ADDRESS",
        .schema = &map_schema, .summary = "the mapping node at a kernel address",
        .example = "map node 0xc3f54040", .argc_min = 1, .argc_max = 1)
{
    const struct task *task;
    uint32_t address;
    const struct node *n;

    if (!kdb_arg_address(k, 0, &task, &address))
        return k->rc;
    n = (const struct node *)(uintptr_t)address;
    if (!kdb_node_ok(n))
        return kdb_fail(k, KDB_CORRUPT, "0x%08x is no node", address);
    map_row(k, n, n->depth);
    return KDB_OK;
}

/* ---- map stat -------------------------------------------------------------------------------- */

struct map_stat { uint32_t trees, nodes, named, connectors, deepest, widest; };

static void stat_tree(struct kdb *k, const struct node *root, struct map_stat *s)
{
    uint32_t nodes = 0;

    s->trees++;
    for (const struct node *n = root; n; n = kdb_next_node(k, root, n)) {
        nodes++;
        s->named += n->task != NULL;
        s->connectors += !n->task && !(n->flags & NODE_ROOT);
        s->deepest = max_u32(s->deepest, n->depth);
    }
    s->nodes += nodes;
    s->widest = max_u32(s->widest, nodes);
}

static void stat_pairs(struct kdb *k, const char *what, const struct map_stat *s)
{
    kdb_pair(k, what, "%u trees, %u nodes, %u named, %u connectors, deepest %u, largest tree %u",
             s->trees, s->nodes, s->named, s->connectors, s->deepest, s->widest);
}

KDB_CMD(map_stat, .noun = "map", .verb = "stat", .alias = "m", .usage = "", .schema = &kdb_pairs,
        .summary = "how many mappings there are", .example = "map stat")
{
    struct map_stat mem = { 0 }, io = { 0 }, caps = { 0 };
    unsigned active = 0;

    for (uint32_t i = 0; i < boot_mem_root_count && kdb_tick(k); i++)
        stat_tree(k, &boot_mem_roots[i], &mem);
    stat_tree(k, &boot_io_root, &io);
    for (struct kobj *o = kdb_next_object(k, NULL, 0); o; o = kdb_next_object(k, o, 0))
        stat_tree(k, &o->root, &caps);
    stat_pairs(k, "memory", &mem);
    stat_pairs(k, "io", &io);
    stat_pairs(k, "capabilities", &caps);
    for (const struct revoke *r = revoke_active; r && kdb_tick(k) && kdb_sound(r, sizeof(*r));
         r = r->next)
        active++;
    kdb_pair(k, "revocations", "%u under way", active);
    return KDB_OK;
}

/* ---- who ------------------------------------------------------------------------------------- */

KDB_SCHEMA(who_schema, "who",
    { "task", K_ID, 6, COL_SRC, "task" },
    { "name", K_NAME, 13, 0, "its name" },
    { "rights", K_RIGHTS, 6, 0, "what it has or could get" },
    { "how", K_TEXT, 8, 0, "held: now; mapped: if a holder sends it" },
    { "slot", K_SLOT, 18, 0, "where it is held" },
    { "from", K_ID, 6, 0, "who would map it" },
    { "over", K_ID, 6, 0, "endpoint that it would travel over" },
    { "steps", K_NUM, 5, 0, "maps needed" });

#define WHO_TASKS 128u

/* What each task has or could get: rights, and the last step that brought them. */
static struct who_task {
    const struct task *task;
    uint32_t rights, held;
    const struct task *from;
    const struct kobj *over;
    uint32_t steps;
} who[WHO_TASKS];
static unsigned who_count;

static struct who_task *who_find(struct kdb *k, const struct task *task)
{
    for (unsigned i = 0; i < who_count; i++)
        if (who[i].task == task)
            return &who[i];
    if (who_count == WHO_TASKS) {
        if (k->rc == KDB_OK)
            kdb_fail(k, KDB_LIMIT, "more than %u tasks", WHO_TASKS);
        return NULL;
    }
    who[who_count] = (struct who_task){ .task = task };
    return &who[who_count++];
}

/*
 * One sweep over one endpoint: everybody who can receive there gets what the best sender could map.  A mapping
 * passes on at most the sender's rights, so one pass adds, for each sender, its rights to each receiver.
 */
static bool who_spread(struct kdb *k, const struct kobj *ep, uint32_t steps)
{
    bool changed = false;

    for (const struct node *s = &ep->root; s; s = kdb_next_node(k, &ep->root, s)) {
        struct who_task *sender;

        if (!s->task || (node_rights(s) & (L4_W | L4_T)) != (L4_W | L4_T))
            continue;
        sender = who_find(k, s->task);
        if (!sender || !sender->rights || sender->steps >= steps)
            continue;
        for (const struct node *r = &ep->root; r; r = kdb_next_node(k, &ep->root, r)) {
            struct who_task *receiver;

            if (!r->task || !(node_rights(r) & L4_R) || r->task == s->task)
                continue;
            receiver = who_find(k, r->task);
            if (!receiver || !(sender->rights & ~receiver->rights))
                continue;
            if (!receiver->from)
                receiver->steps = steps;
            receiver->from = s->task;
            receiver->over = ep;
            receiver->rights |= sender->rights;
            changed = true;
        }
    }
    return changed;
}

static void who_closure(struct kdb *k)
{
    bool changed = true;

    for (uint32_t steps = 1; changed && steps <= WHO_TASKS && kdb_tick(k); steps++) {
        changed = false;
        for (struct kobj *o = kdb_next_object(k, NULL, L4_TYPE_ENDPOINT); o;
             o = kdb_next_object(k, o, L4_TYPE_ENDPOINT))
            changed |= who_spread(k, o, steps);
    }
}

static bool who_row(struct kdb *k, const struct who_task *w, uint32_t type)
{
    kdb_row(k);
    kdb_put_object(k, &w->task->obj);
    kdb_put_name(k, w->task->obj.id);
    kdb_put_rights(k, type, w->rights);
    kdb_put_text(k, "mapped");
    kdb_put_null(k);
    kdb_put_object(k, &w->from->obj);
    kdb_put_object(k, w->over);
    kdb_put_num(k, w->steps);
    return kdb_row_end(k);
}

KDB_CMD(who, .noun = "who", .verb = "", .usage = "REF [right=LETTERS] [-d]", .keys = "right",
        .flags = "d", .schema = &who_schema,
        .summary = "tasks that hold it, and (unless -d) tasks that could get it by a chain of maps",
        .example = "who ep16 right=w", .argc_min = 1, .argc_max = 2)
{
    struct kdb_ref ref;
    const char *letters = kdb_key(k, "right");
    uint32_t need = 0, type;

    if (!kdb_arg_ref(k, 0, &ref))
        return k->rc;
    type = kdb_node_type(ref.node);
    if (ref.object)
        ref.node = &ref.object->root;
    if (letters && !kdb_rights_parse(type, letters, &need))
        return kdb_fail(k, KDB_BADARG, "right=%s: a %s has no such right", letters,
                        kdb_type_name(type));
    who_count = 0;
    for (const struct node *n = ref.node; n; n = kdb_next_node(k, ref.node, n)) {
        struct who_task *w;

        if (!n->task || (is_range(&ref) && !node_overlaps(n, ref.lo, ref.last)))
            continue;
        w = who_find(k, n->task);
        if (w)
            w->held = w->rights |= node_rights(n);
        if ((node_rights(n) & need) != need)
            continue;
        kdb_row(k);
        kdb_put_object(k, &n->task->obj);
        kdb_put_name(k, n->task->obj.id);
        kdb_put_rights(k, type, node_rights(n));
        kdb_put_text(k, "held");
        kdb_put_slot(k, n);
        kdb_put_null(k);
        kdb_put_null(k);
        kdb_put_num(k, 0);
        if (kdb_row_end(k))
            return KDB_OK;
    }
    if (kdb_flag(k, 'd'))
        return KDB_OK;
    who_closure(k);
    for (unsigned i = 0; i < who_count && kdb_tick(k); i++)
        if (who[i].from && (who[i].rights & need) == need &&
            (need ? (who[i].held & need) != need : (who[i].rights & ~who[i].held) != 0) &&
            who_row(k, &who[i], type))
            break;
    return KDB_OK;
}
