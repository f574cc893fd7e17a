// SPDX-License-Identifier: MIT
/* The mapping database: map tree, map up, map node, map stat. */
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
    { "depth", K_NUM, 6, 0, "0: root of the tree" },
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
