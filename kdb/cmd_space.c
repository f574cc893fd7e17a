// SPDX-License-Identifier: MIT
/* Names: cap, mem, io, and the hardware's view of memory: pt, vtop, ptov. */
#include "kdb/engine.h"

#include "kernel/boot.h"
#include "kernel/debug/debug.h"
#include "kernel/kpage.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/string.h"

static uint32_t count_children(struct kdb *k, const struct node *n)
{
    uint32_t children = 0;

    for (const struct node *m = kdb_next_node(k, n, n); m; m = kdb_next_node(k, n, m))
        children += m->depth == n->depth + 1u;
    return children;
}

/* tkN as first argument, or the only task there is a need to guess: that of the context thread. */
static const struct task *task_arg(struct kdb *k)
{
    const struct thread *t = kdb_context();
    struct kobj *o;

    if (k->argc) {
        o = kdb_arg_object(k, 0, L4_TYPE_TASK);
        return (const struct task *)(const void *)o;
    }
    if (!t || !t->task) {
        kdb_fail(k, KDB_USAGE, "which task? %s %s tkN", k->cmd->noun, k->cmd->verb);
        return NULL;
    }
    return t->task;
}

/* ---- cap ------------------------------------------------------------------------------------- */

KDB_SCHEMA(cap_schema, "cap.ls",
    { "slot", K_SLOT, 14, COL_SRC, "where the capability is" },
    { "obj", K_ID, 6, COL_DST, "object that it names" },
    { "type", K_TEXT, 11, 0, "type of the object" },
    { "name", K_NAME, 13, 0, "name of the object" },
    { "rights", K_RIGHTS, 6, 0, "letters as the type has them" },
    { "badge", K_HEX, 10, 0, "endpoint badge, none if empty" },
    { "bits", K_NUM, 4, COL_WIDE, "length of the badge" },
    { "parent", K_SLOT, 14, 0, "capability that it was mapped from" },
    { "depth", K_NUM, 6, 0, "in the mapping tree" },
    { "kids", K_NUM, 5, 0, "mapped on directly" });

static bool cap_row(struct kdb *k, const struct node *n, const struct task *task, uint32_t number)
{
    const struct kobj *o;

    kdb_row(k);
    kdb_put_format(k, "tk%u/cap/0x%x", task->obj.id, number);
    if (!kdb_node_ok(n)) {
        kdb_put_bad(k, "node 0x%08x", (unsigned)(uintptr_t)n);
        return kdb_row_end(k);
    }
    o = node_kobj(n);
    kdb_put_object(k, o);
    if (!kdb_object_ok(o, 0))
        return kdb_row_end(k);
    kdb_put_text(k, kdb_type_name(o->type));
    kdb_put_name(k, o->id);
    kdb_put_rights(k, o->type, node_rights(n));
    if (n->badge_len)
        kdb_put_num(k, n->badge);
    else
        kdb_put_null(k);
    kdb_put_num(k, n->badge_len);
    kdb_put_slot(k, n->parent);
    kdb_put_num(k, n->depth);
    kdb_put_num(k, count_children(k, n));
    return kdb_row_end(k);
}

KDB_CMD(cap_ls, .noun = "cap", .verb = "ls", .alias = "c",
        .usage = "[tkN] [obj=ID] [type=T] [rights&LETTERS]", .schema = &cap_schema,
        .summary = "capabilities of a task", .example = "cap ls tk1 type=endpoint", .argc_max = 1)
{
    const struct task *task = task_arg(k);

    if (!task)
        return k->rc;
    if (!kdb_sound(task->cap_dir, PAGE_SIZE))
        return kdb_fail(k, KDB_CORRUPT, "the capability directory cannot be read");
    for (uint32_t d = 0; d < 1024 && kdb_tick(k); d++) {
        struct node *const *table = task->cap_dir[d];

        if (!table)
            continue;
        if (!kdb_sound(table, PAGE_SIZE)) {
            kdb_row(k);
            kdb_put_bad(k, "table 0x%x at 0x%08x", d, (unsigned)(uintptr_t)table);
            kdb_row_end(k);
            continue;
        }
        for (uint32_t i = 0; i < 1024; i++)
            if (table[i] && (!kdb_tick(k) || cap_row(k, table[i], task, d << 10 | i)))
                return KDB_OK;
    }
    return KDB_OK;
}

KDB_CMD(cap_show, .noun = "cap", .verb = "show", .alias = "c", .usage = "tkN/cap/0xN | tkN",
        .schema = &cap_schema, .summary = "one capability, or those of a task",
        .example = "cap show tk1/cap/0x1", .argc_min = 1, .argc_max = 1)
{
    struct kdb_slot slot;
    const struct node *n;

    if (!strchr(k->argv[0], '/'))
        return cmd_cap_ls(k);
    if (!kdb_arg_slot(k, 0, &slot))
        return k->rc;
    if (slot.space != L4_SPACE_CAP)
        return kdb_fail(k, KDB_BADARG, "%s is not in a capability space", k->argv[0]);
    n = cap_lookup(slot.task, slot.name >> L4_NAME_SHIFT);
    if (!n)
        return kdb_fail(k, KDB_NOENT, "nothing at %s", k->argv[0]);
    cap_row(k, n, slot.task, slot.name >> L4_NAME_SHIFT);
    return KDB_OK;
}

/* Direct holders over the tree of the object: every named node is one slot. */
KDB_CMD(cap_find, .noun = "cap", .verb = "find", .alias = "c", .usage = "ID", .schema = &cap_schema,
        .summary = "all slots that name an object (who adds what tasks could get)",
        .example = "cap find th2", .argc_min = 1, .argc_max = 1)
{
    struct kobj *o = kdb_arg_object(k, 0, 0);

    if (!o)
        return k->rc;
    for (const struct node *n = &o->root; n; n = kdb_next_node(k, &o->root, n))
        if (n->task && cap_row(k, n, n->task, node_base(n) >> L4_NAME_SHIFT))
            break;
    return KDB_OK;
}

/* ---- mem ------------------------------------------------------------------------------------- */

KDB_SCHEMA(mem_schema, "mem.ls",
    { "range", K_TEXT, 21, 0, "addresses" },
    { "pages", K_NUM, 6, 0, "mappings in the range" },
    { "size", K_TEXT, 4, 0, "4K or 4M" },
    { "rights", K_RIGHTS, 6, 0, "letters" },
    { "phys", K_HEX, 10, 0, "physical address of the first byte" },
    { "parent", K_SLOT, 18, 0, "mapped from (first page)" },
    { "attr", K_TEXT, 20, 0, "device, converter, view" });

/* A run of neighbours with the same size, rights, flags and consecutive frames. */
struct mem_run {
    uint32_t first, last, phys, pages, step;
    uint8_t rights, flags;
    const struct node *node;
};

#define ATTR_FLAGS (NODE_CONVERTER | NODE_DEVICE | NODE_VIEW | NODE_STATIC)

static bool mem_flush(struct kdb *k, struct mem_run *r)
{
    bool stop;

    if (!r->pages)
        return false;
    kdb_row(k);
    kdb_put_format(k, "0x%08x-0x%08x", r->first, r->last);
    kdb_put_num(k, r->pages);
    kdb_put_text(k, r->step == SUPER_SIZE ? "4M" : "4K");
    kdb_put_rights(k, L4_TYPE_MEMORY, r->rights);
    kdb_put_num(k, r->phys);
    kdb_put_slot(k, r->node->parent);
    kdb_put_format(k, "%s%s%s", r->flags & NODE_DEVICE ? "device " : "",
                   r->flags & NODE_CONVERTER ? "converter " : "",
                   r->flags & NODE_VIEW ? "view " : "");
    stop = kdb_row_end(k);
    r->pages = 0;
    return stop;
}

static bool mem_add(struct kdb *k, struct mem_run *r, const struct node *n, uint32_t name,
                    uint32_t step)
{
    uint8_t flags;

    if (!kdb_tick(k))
        return true;
    if (!kdb_node_ok(n)) {
        if (mem_flush(k, r))
            return true;
        kdb_row(k);
        kdb_put_format(k, "0x%08x-0x%08x", name, name + (step - 1u));
        kdb_put_bad(k, "node 0x%08x", (unsigned)(uintptr_t)n);
        return kdb_row_end(k);
    }
    flags = n->flags & ATTR_FLAGS;
    if (r->pages && r->last + 1u == name && r->step == step && r->rights == node_rights(n) &&
        r->flags == flags && r->phys + (name - r->first) == n->obj && !k->all) {
        r->last += step;
        r->pages++;
        return false;
    }
    if (mem_flush(k, r))
        return true;
    *r = (struct mem_run){ name, name + (step - 1u),      n->obj, 1,
                           step, (uint8_t)node_rights(n), flags,  n };
    return false;
}

KDB_CMD(mem_ls, .noun = "mem", .verb = "ls", .usage = "[tkN] [rights&LETTERS]",
        .schema = &mem_schema, .summary = "memory space of a task, as ranges; -a: every page",
        .example = "mem ls tk1", .argc_max = 1)
{
    const struct task *task = task_arg(k);
    struct mem_run run = { 0 };

    if (!task)
        return k->rc;
    if (!kdb_sound(task->pd_shadow, PAGE_SIZE))
        return kdb_fail(k, KDB_CORRUPT, "the directory shadow cannot be read");
    for (uint32_t d = 0; d < USER_ENTRIES && kdb_tick(k); d++) {
        uint32_t entry = task->pd_shadow[d];
        struct node *const *table = (struct node *const *)(uintptr_t)entry;

        if (entry & 1u) {
            if (mem_add(k, &run, (const struct node *)(uintptr_t)(entry & ~1u), d << SUPER_SHIFT,
                        SUPER_SIZE))
                return KDB_OK;
            continue;
        }
        if (!entry)
            continue;
        if (!kdb_sound(table, PAGE_SIZE))
            return kdb_fail(k, KDB_CORRUPT, "page table shadow 0x%08x cannot be read", entry);
        for (uint32_t i = 0; i < 1024; i++)
            if (table[i] &&
                mem_add(k, &run, table[i], d << SUPER_SHIFT | i << PAGE_SHIFT, PAGE_SIZE))
                return KDB_OK;
    }
    mem_flush(k, &run);
    return KDB_OK;
}

KDB_CMD(mem_show, .noun = "mem", .verb = "show", .usage = "tkN/mem/0xADDR | tkN",
        .schema = &mem_schema, .summary = "one mapping, or those of a task",
        .example = "mem show tk1/mem/0x100000", .argc_min = 1, .argc_max = 1)
{
    struct kdb_ref ref;
    struct mem_run run = { 0 };

    if (!strchr(k->argv[0], '/'))
        return cmd_mem_ls(k);
    if (!kdb_arg_ref(k, 0, &ref))
        return k->rc;
    if (node_space(ref.node) != L4_SPACE_MEM || !ref.node->task)
        return kdb_fail(k, KDB_BADARG, "%s is not in a memory space", k->argv[0]);
    mem_add(k, &run, ref.node, node_base(ref.node),
            node_size(ref.node) >= SUPER_SHIFT ? SUPER_SIZE : PAGE_SIZE);
    mem_flush(k, &run);
    return KDB_OK;
}

/* ---- io -------------------------------------------------------------------------------------- */

KDB_SCHEMA(io_schema, "io.ls",
    { "task", K_ID, 6, 0, "whose IO space" },
    { "ports", K_TEXT, 15, 0, "first and last" },
    { "n", K_NUM, 6, 0, "how many" },
    { "rights", K_RIGHTS, 6, 0, "letters; access needs both" },
    { "parent", K_SLOT, 14, 0, "mapped from" },
    { "bitmap", K_TEXT, 8, 0, "does the task's bitmap agree" });

static bool io_row(struct kdb *k, const struct task *task, const struct node *n)
{
    uint32_t first = node_base(n) >> L4_NAME_SHIFT,
             count = 1u << min_u32(node_size(n) - L4_NAME_SHIFT, 16);
    bool open = (node_rights(n) & (L4_R | L4_W)) == (L4_R | L4_W), agrees = true;

    for (uint32_t p = first; p < first + count && p < 0x10000u; p++) {
        const uint8_t *map = task->io_bitmap[p >> 15];

        if (!kdb_sound(map, PAGE_SIZE))
            continue; /* no bitmap, no access */
        if (((map[(p & 0x7fffu) >> 3] >> (p & 7u) & 1u) == 0) != open)
            agrees = false;
    }
    kdb_row(k);
    kdb_put_object(k, &task->obj);
    kdb_put_format(k, "0x%04x-0x%04x", first, first + count - 1u);
    kdb_put_num(k, count);
    kdb_put_rights(k, L4_TYPE_IOPORT, node_rights(n));
    kdb_put_slot(k, n->parent);
    if (agrees)
        kdb_put_text(k, "agrees");
    else
        kdb_put_bad(k, "differs");
    return kdb_row_end(k);
}

/* The nodes of one task; with a port, only the one around it.  True: stop. */
static bool io_task(struct kdb *k, const struct task *task, uint32_t port)
{
    if (!kdb_sound(task->pd_shadow, PAGE_SIZE))
        return kdb_fail(k, KDB_CORRUPT, "the directory shadow of tk%u cannot be read", task->obj.id) != KDB_OK;
    for (const struct node *n = io_first(task); n && kdb_tick(k); n = io_next(task, n)) {
        uint32_t first = node_base(n) >> L4_NAME_SHIFT;

        if (!kdb_node_ok(n)) {
            kdb_row(k);
            kdb_put_object(k, &task->obj);
            kdb_put_bad(k, "node 0x%08x", (unsigned)(uintptr_t)n);
            return kdb_row_end(k);
        }
        if (port <= 0xffffu &&
            (port < first || port - first >= 1u << min_u32(node_size(n) - L4_NAME_SHIFT, 16)))
            continue;
        if (io_row(k, task, n))
            return true;
    }
    return k->stop;
}

static enum kdb_rc io_all(struct kdb *k, uint32_t port)
{
    for (struct kobj *o = kdb_next_object(k, NULL, L4_TYPE_TASK); o;
         o = kdb_next_object(k, o, L4_TYPE_TASK))
        if (io_task(k, (const struct task *)(const void *)o, port))
            break;
    return k->rc;
}

KDB_CMD(io_ls, .noun = "io", .verb = "ls", .usage = "", .schema = &io_schema,
        .summary = "IO ports of all tasks", .example = "io")
{
    return io_all(k, 0xffffffffu);
}

KDB_CMD(io_show, .noun = "io", .verb = "show", .usage = "tkN", .schema = &io_schema,
        .summary = "IO ports of a task", .example = "io show tk1", .argc_min = 1, .argc_max = 1)
{
    const struct task *task = task_arg(k);

    if (task)
        io_task(k, task, 0xffffffffu);
    return k->rc;
}

KDB_CMD(io_who, .noun = "io", .verb = "who", .usage = "PORT", .schema = &io_schema,
        .summary = "tasks that hold a port", .example = "io who 0x60", .argc_min = 1, .argc_max = 1)
{
    uint32_t port;

    if (!kdb_arg_number(k, 0, &port))
        return k->rc;
    if (port > 0xffffu)
        return kdb_fail(k, KDB_BADARG, "ports end at 0xffff");
    return io_all(k, port);
}

/* ---- page tables ----------------------------------------------------------------------------- */

KDB_SCHEMA(pt_schema, "pt.walk",
    { "level", K_TEXT, 5, 0, "pde, pte or node" },
    { "index", K_NUM, 5, 0, "in its table" },
    { "entry", K_HEX, 10, 0, "raw value, or address of the node" },
    { "phys", K_HEX, 10, 0, "where it leads" },
    { "bits", K_TEXT, 24, 0, "P present W write U user A accessed D dirty S 4 MB N uncached" },
    { "verdict", K_TEXT, 10, 0, "does the hardware entry agree with the mapping" });

static void pt_bits(struct kdb *k, uint32_t e)
{
    kdb_put_format(k, "%s%s%s%s%s%s%s", e & PTE_PRESENT ? "P" : "-", e & PTE_WRITE ? "W" : "-",
                   e & PTE_USER ? "U" : "-", e & PTE_ACCESSED ? "A" : "-",
                   e & PTE_DIRTY ? "D" : "-", e & PTE_SUPER ? "S" : "-",
                   e & PTE_UNCACHED ? "N" : "-");
}

static void pt_row(struct kdb *k, const char *level, uint32_t index, uint32_t entry)
{
    kdb_row(k);
    kdb_put_text(k, level);
    kdb_put_num(k, index);
    kdb_put_num(k, entry);
    if (entry & PTE_PRESENT)
        kdb_put_num(k, entry & 0xfffff000u);
    else
        kdb_put_null(k);
    pt_bits(k, entry);
}

/* The hardware's answer for one address. */
struct pt_walk { uint32_t pde, pte; bool has_pte, readable; uint32_t phys; bool present; };

static void pt_read(const struct task *task, uint32_t address, struct pt_walk *w)
{
    *w = (struct pt_walk){ 0 };
    w->readable = probe_read(NULL, (uint32_t)(uintptr_t)&task->pd[address >> SUPER_SHIFT], &w->pde,
                             4, false) == 4;
    if (!w->readable || !(w->pde & PTE_PRESENT))
        return;
    if (w->pde & PTE_SUPER) {
        w->phys = (w->pde & 0xffc00000u) | (address & (SUPER_SIZE - 1u));
        w->present = true;
        return;
    }
    w->has_pte =
        probe_phys((w->pde & 0xfffff000u) + (address >> PAGE_SHIFT & 1023u) * 4u, &w->pte, 4);
    if (w->has_pte && (w->pte & PTE_PRESENT)) {
        w->phys = (w->pte & 0xfffff000u) | (address & (PAGE_SIZE - 1u));
        w->present = true;
    }
}

static bool user_address(struct kdb *k, const struct task **task, uint32_t *address)
{
    if (!kdb_arg_address(k, 0, task, address))
        return false;
    if (!*task) {
        const struct thread *t = kdb_context();

        *task = t ? t->task : NULL;
    }
    if (*task)
        return true;
    kdb_fail(k, KDB_USAGE, "whose? say tkN:0x%x", *address);
    return false;
}

KDB_CMD(pt_walk, .noun = "pt", .verb = "walk", .alias = "p", .usage = "tkN:ADDRESS",
        .schema = &pt_schema,
        .summary = "page-table entries for an address, and the mapping behind them",
        .example = "pt walk tk1:0x100000", .argc_min = 1, .argc_max = 1)
{
    const struct task *task;
    const struct node *n;
    struct pt_walk w;
    uint32_t address, expected;
    bool differs;

    if (!user_address(k, &task, &address))
        return k->rc;
    pt_read(task, address, &w);
    if (!w.readable)
        return kdb_fail(k, KDB_FAULT, "the page directory cannot be read");
    pt_row(k, "pde", address >> SUPER_SHIFT, w.pde);
    kdb_row_end(k);
    if (w.has_pte) {
        pt_row(k, "pte", address >> PAGE_SHIFT & 1023u, w.pte);
        kdb_row_end(k);
    }
    n = address < L4_USER_TOP ? mem_lookup(task, address) : NULL;
    if (address >= L4_USER_TOP)
        return w.present ? KDB_OK : kdb_fail(k, KDB_NOENT, "not mapped");
    kdb_row(k);
    kdb_put_text(k, "node");
    kdb_put_null(k);
    if (!n) {
        kdb_put_null(k);
        kdb_put_null(k);
        kdb_put_text(k, "no mapping");
        if (w.present)
            kdb_put_bad(k, "entry without a mapping");
        else
            kdb_put_text(k, "agrees");
        kdb_row_end(k);
        return kdb_fail(k, KDB_NOENT, "0x%08x is not mapped", address);
    }
    expected = n->obj + (address - node_base(n));
    differs = w.present &&
        (w.phys != expected ||
         ((w.has_pte ? w.pte : w.pde) & PTE_WRITE && !(node_rights(n) & L4_W)));
    kdb_put_num(k, (uint32_t)(uintptr_t)n);
    kdb_put_num(k, expected & 0xfffff000u);
    {
        char letters[5];

        kdb_rights_text(letters, L4_TYPE_MEMORY, node_rights(n));
        kdb_put_text(k, letters);
    }
    if (differs)
        kdb_put_bad(k, "differs");
    else
        kdb_put_text(k, w.present ? "agrees" : "not installed");
    kdb_row_end(k);
    return KDB_OK;
}

KDB_CMD(pt_show, .noun = "pt", .verb = "show", .alias = "p", .usage = "tkN", .schema = &pt_schema,
        .summary = "page directory of a task", .example = "pt show tk1", .argc_min = 1,
        .argc_max = 1)
{
    const struct task *task = task_arg(k);

    if (!task)
        return k->rc;
    if (!kdb_sound(task->pd, PAGE_SIZE))
        return kdb_fail(k, KDB_CORRUPT, "the page directory cannot be read");
    for (uint32_t i = 0; i < (k->all ? 1024u : USER_ENTRIES) && kdb_tick(k); i++)
        if (task->pd[i]) {
            pt_row(k, "pde", i, task->pd[i]);
            if (kdb_row_end(k))
                break;
        }
    return KDB_OK;
}

KDB_SCHEMA(vtop_schema, "vtop",
    { "virt", K_HEX, 10, 0, "address" },
    { "phys", K_HEX, 10, 0, "physical address" },
    { "slot", K_SLOT, 18, 0, "mapping" },
    { "rights", K_RIGHTS, 6, 0, "letters" });

KDB_CMD(vtop, .noun = "vtop", .verb = "", .usage = "tkN:ADDRESS", .schema = &vtop_schema,
        .summary = "physical address behind an address", .example = "vtop tk1:0x100000",
        .argc_min = 1, .argc_max = 1)
{
    const struct task *task;
    const struct node *n;
    struct pt_walk w;
    uint32_t address;

    if (!user_address(k, &task, &address))
        return k->rc;
    pt_read(task, address, &w);
    n = address < L4_USER_TOP ? mem_lookup(task, address) : NULL;
    if (!w.present && !n)
        return kdb_fail(k, KDB_NOENT, "0x%08x is not mapped", address);
    kdb_row(k);
    kdb_put_num(k, address);
    kdb_put_num(k, w.present ? w.phys : n->obj + (address - node_base(n)));
    kdb_put_slot(k, n);
    if (n)
        kdb_put_rights(k, L4_TYPE_MEMORY, node_rights(n));
    kdb_row_end(k);
    return KDB_OK;
}

KDB_CMD(ptov, .noun = "ptov", .verb = "", .usage = "PHYS", .schema = &vtop_schema,
        .summary = "all names of a physical page", .example = "ptov 0x100000", .argc_min = 1,
        .argc_max = 1)
{
    uint32_t phys, lo;
    struct node *root;

    if (!kdb_arg_number(k, 0, &phys))
        return k->rc;
    if (phys >> SUPER_SHIFT >= boot_mem_root_count)
        return kdb_fail(k, KDB_NOENT, "no memory at 0x%x has a mapping tree", phys);
    lo = round_down(phys, PAGE_SIZE);
    root = &boot_mem_roots[phys >> SUPER_SHIFT];
    for (const struct node *n = kdb_next_node(k, root, root); n; n = kdb_next_node(k, root, n)) {
        if (!n->task || !node_overlaps(n, lo, lo + PAGE_SIZE - 1u))
            continue;
        kdb_row(k);
        kdb_put_num(k, node_base(n) + (phys - n->obj));
        kdb_put_num(k, phys);
        kdb_put_slot(k, n);
        kdb_put_rights(k, L4_TYPE_MEMORY, node_rights(n));
        if (kdb_row_end(k))
            break;
    }
    return KDB_OK;
}

/* ---- mem shared ------------------------------------------------------------------------------ */

KDB_SCHEMA(shared_schema, "mem.shared",
    { "phys", K_HEX, 10, 0, "first physical address that both see" },
    { "slot", K_SLOT, 20, COL_SRC, "mapping of the first task" },
    { "rights", K_RIGHTS, 6, 0, "its letters" },
    { "other", K_SLOT, 20, COL_DST, "mapping of the second task" },
    { "others", K_RIGHTS, 6, 0, "its letters" });

/* Mappings of `other` in the tree of n that overlap it.  True: stop. */
static bool shared_with(struct kdb *k, const struct node *n, const struct task *other)
{
    uint32_t last = n->obj + ((1u << min_u32(node_size(n), 31)) - 1u);
    struct node *root;

    if (!kdb_tick(k))
        return true;
    if (!kdb_node_ok(n) || n->obj >> SUPER_SHIFT >= boot_mem_root_count)
        return false;
    root = &boot_mem_roots[n->obj >> SUPER_SHIFT];
    for (const struct node *m = kdb_next_node(k, root, root); m; m = kdb_next_node(k, root, m)) {
        if (m->task != other || !node_overlaps(m, n->obj, last))
            continue;
        kdb_row(k);
        kdb_put_num(k, max_u32(n->obj, m->obj));
        kdb_put_slot(k, n);
        kdb_put_rights(k, L4_TYPE_MEMORY, node_rights(n));
        kdb_put_slot(k, m);
        kdb_put_rights(k, L4_TYPE_MEMORY, node_rights(m));
        if (kdb_row_end(k))
            return true;
    }
    return k->stop;
}

KDB_CMD(mem_shared, .noun = "mem", .verb = "shared", .usage = "tkA tkB", .schema = &shared_schema,
        .summary = "memory that two tasks both see", .example = "mem shared @ping @pong",
        .argc_min = 2, .argc_max = 2)
{
    const struct kobj *a = kdb_arg_object(k, 0, L4_TYPE_TASK),
                      *b = a ? kdb_arg_object(k, 1, L4_TYPE_TASK) : NULL;
    const struct task *task = (const struct task *)(const void *)a;
    const struct task *other = (const struct task *)(const void *)b;

    if (!b)
        return k->rc;
    if (!kdb_sound(task->pd_shadow, PAGE_SIZE))
        return kdb_fail(k, KDB_CORRUPT, "the directory shadow cannot be read");
    for (uint32_t d = 0; d < USER_ENTRIES && kdb_tick(k); d++) {
        uint32_t entry = task->pd_shadow[d];
        struct node *const *table = (struct node *const *)(uintptr_t)entry;

        if (entry & 1u) {
            if (shared_with(k, (const struct node *)(uintptr_t)(entry & ~1u), other))
                return KDB_OK;
        } else if (entry && kdb_sound(table, PAGE_SIZE)) {
            for (uint32_t i = 0; i < 1024; i++)
                if (table[i] && shared_with(k, table[i], other))
                    return KDB_OK;
        }
    }
    return KDB_OK;
}
