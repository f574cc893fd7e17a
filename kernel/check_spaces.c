// SPDX-License-Identifier: MIT
/*
 * The invariants of capability, memory and IO spaces, as rules: groups CAP, MEM, IO.  They hold at preemption points, too: where an operation that
 * is under way excuses a difference, the rule says so.  [G52]
 */
#include "kernel/boot.h"
#include "kernel/check_walk.h"
#include "kernel/flexpage.h"
#include "kernel/page.h"

/* Tables are mostly empty: the first index from `at` on where one of two is not 0, or end. */
static uint32_t used_in(const void *one, const void *other, uint32_t at, uint32_t end)
{
    const uint32_t *a = one, *b = other;

    while (at < end && !(a[at] | b[at])) {
        at++;
        while (at + 4u <= end && !(a[at] | a[at + 1u] | a[at + 2u] | a[at + 3u] | b[at] | b[at + 1u] | b[at + 2u] | b[at + 3u]))
            at += 4u;
    }
    return at;
}

/* ---- CAP: capability spaces ---- */

/* The first directory entry with a capability table from `dir` on, or 1024. */
static uint32_t used_dir(const struct task *task, uint32_t dir)
{
    return table_find((const uint32_t *)(const void *)task->cap_dir, dir, 1024u);
}

/* Call `look` for each slot that is in use, in each capability table of each task. */
static void each_slot(struct check *c,
                      void (*look)(struct check *c, struct task *task, uint32_t id, struct node *n))
{
    for (struct task *task = check_task_next(NULL); task; task = check_task_next(task)) {
        if (!check_tick(c))
            return;
        for (uint32_t dir = 0; (dir = used_dir(task, dir)) < 1024u; dir++) {
            struct node **table = task->cap_dir[dir];

            if (!check_frame_of(table)) /* CAP-6 reports a wrong one */
                continue;
            for (uint32_t i = 0; (i = table_find((const uint32_t *)(const void *)table, i, 1024u)) < 1024u; i++)
                look(c, task, dir << 10 | i, table[i]);
        }
    }
}

static void slot_object(struct check *c, struct task *task, uint32_t id, struct node *n)
{
    const struct kobj *o;

    c->looked++;
    if (!check_is_node(n)) {
        check_fail(c, "tk%u cap %x: %p is no node", task->obj.id, id, (void *)n);
        return;
    }
    o = node_kobj(n);
    if (!check_is_object(o))
        check_fail(c, "tk%u cap %x: no object at %x", task->obj.id, id, n->obj);
    else if (o != &boot_cpu.obj && check_tag_type(check_tag_at(o)) != (enum l4_type)o->type)
        check_fail(c, "tk%u cap %x: object %u has type %u in a unit for type %u", task->obj.id, id, o->id,
                   o->type, check_tag_type(check_tag_at(o)));
}

CHECK_RULE(cap_object, "CAP-1", "CAP", "every capability refers to a live object of the type its memory says")
{
    each_slot(c, slot_object);
}

static void slot_name(struct check *c, struct task *task, uint32_t id, struct node *n)
{
    c->looked++;
    if (!check_is_node(n))
        return;
    if (n->task != task || (n->name & ~15u) != L4_CAP_FPAGE(id, 0))
        check_fail(c, "tk%u cap %x holds " NODE_FORMAT, task->obj.id, id, NODE_ARGS(n));
}

CHECK_RULE(cap_name, "CAP-2", "CAP", "a slot and its node name each other")
{
    struct check_roots w = { 0, false, NULL };
    const struct node *root;

    each_slot(c, slot_name);
    while ((root = check_root_next(&w)) != NULL) {
        if (!check_tick(c))
            return;
        for (const struct node *n = root; n; n = check_tree_next(root, n)) {
            c->looked++;
            if (!n->task || node_space(n) != L4_SPACE_CAP)
                continue;
            if (!check_is_task(n->task) || cap_lookup(n->task, node_base(n) >> L4_NAME_SHIFT) != n)
                check_fail(c, NODE_FORMAT " is not in its slot", NODE_ARGS(n));
        }
    }
}

CHECK_RULE(cap_rights, "CAP-3", "CAP", "a named node has rights, one without rights no name (unless being flushed)")
{
    struct check_roots w = { 0, false, NULL };
    const struct node *root;

    while ((root = check_root_next(&w)) != NULL) {
        if (!check_tick(c))
            return;
        for (const struct node *n = root; n; n = check_tree_next(root, n)) {
            c->looked++;
            if (n->task && node_rights(n) == 0 && !check_in_flux())
                check_fail(c, NODE_FORMAT " has a name and no rights", NODE_ARGS(n));
            if (!n->task && node_rights(n) != 0 && !(n->flags & NODE_ROOT))
                check_fail(c, NODE_FORMAT " has rights and no name", NODE_ARGS(n));
            if (!n->task && n != root && !check_in_flux())
                check_fail(c, NODE_FORMAT " is left over from a revocation", NODE_ARGS(n));
        }
    }
}

CHECK_RULE(cap_invalid, "CAP-4", "CAP", "the invalid capability is empty in every task")
{
    for (struct task *task = check_task_next(NULL); task; task = check_task_next(task)) {
        c->looked++;
        if (cap_lookup(task, L4_CAP_MAX))
            check_fail(c, "tk%u has something at the invalid capability", task->obj.id);
    }
}

CHECK_RULE(cap_tables, "CAP-6", "CAP", "capability tables are whole frames of live kernel pages with one owner")
{
    for (struct task *task = check_task_next(NULL); task; task = check_task_next(task)) {
        uint32_t tables = 0, frames = 0;

        if (!check_tick(c))
            return;
        for (uint32_t dir = 0; (dir = used_dir(task, dir)) < 1024u; dir++) {
            const struct frame *f;

            c->looked++;
            tables++;
            f = check_frame_of(task->cap_dir[dir]);
            if (!f || f->kp <= FRAME_DEVICE || f->use != ((uint32_t)(uintptr_t)task | FRAME_CAPTABLE))
                check_fail(c, "tk%u: capability table %x at %p is not its own", task->obj.id, dir,
                           (void *)task->cap_dir[dir]);
        }
        for (uint32_t i = 0; (i = check_kernel_frame(i)) < frame_count; i++)
            if (frame_table[i].use == ((uint32_t)(uintptr_t)task | FRAME_CAPTABLE))
                frames++;
        if (tables != frames)
            check_fail(c, "tk%u uses %u capability tables and owns %u", task->obj.id, tables, frames);
    }
}

/* ---- MEM: memory spaces ---- */

static uint32_t expected_pte(const struct node *n, paddr_t phys, bool super)
{
    return pte_make(phys, node_rights(n), (n->flags & NODE_DEVICE) != 0, super);
}

static void check_super(struct check *c, const struct task *task, uint32_t dir, const struct node *n)
{
    uint32_t pde = task->pd[dir];

    if (!check_is_node(n) || node_size(n) != SUPER_SHIFT) {
        check_fail(c, "tk%u: directory entry %x has no 4 MB node", task->obj.id, dir);
        return;
    }
    if (n->flags & NODE_VIEW) {
        const uint32_t *view = phys_to_virt(pde & 0xfffff000u);
        const struct frame *f = check_frame_of(view);

        if (!f || f->use != ((uint32_t)(uintptr_t)task | FRAME_PAGETABLE)) {
            check_fail(c, "tk%u: the view at %x is no table of its", task->obj.id, dir << SUPER_SHIFT);
            return;
        }
        for (uint32_t i = 0; (i = table_find(view, i, 1024u)) < 1024u; i++)
            if ((view[i] & ~PTE_REFS) != expected_pte(n, n->obj + (i << PAGE_SHIFT), false))
                check_fail(c, "tk%u: entry %x at %x in a view of " NODE_FORMAT, task->obj.id, view[i],
                           dir << SUPER_SHIFT | i << PAGE_SHIFT, NODE_ARGS(n));
    } else if (pde && (pde & ~PTE_REFS) != expected_pte(n, n->obj, true)) {
        check_fail(c, "tk%u: entry %x at %x for " NODE_FORMAT, task->obj.id, pde, dir << SUPER_SHIFT,
                   NODE_ARGS(n));
    }
}

static void check_table(struct check *c, const struct task *task, uint32_t dir, struct node *const *shadow)
{
    const uint32_t *table = phys_to_virt(task->pd[dir] & 0xfffff000u);
    const struct frame *f = check_frame_of(table), *s = check_frame_of(shadow);

    if (!(task->pd[dir] & PTE_PRESENT) || (task->pd[dir] & PTE_SUPER) || !f || !s ||
        f->use != ((uint32_t)(uintptr_t)task | FRAME_PAGETABLE) ||
        s->use != ((uint32_t)(uintptr_t)task | FRAME_SHADOW)) {
        check_fail(c, "tk%u: the page table at %x or its shadow is not its own", task->obj.id,
                   dir << SUPER_SHIFT);
        return;
    }
    for (uint32_t i = 0; (i = used_in(table, shadow, i, 1024u)) < 1024u; i++) {
        const struct node *n = shadow[i];
        uint32_t name = dir << SUPER_SHIFT | i << PAGE_SHIFT;

        if (n && (!check_is_node(n) || n->task != task || (n->name & ~15u) != L4_FPAGE(name, L4_SPACE_MEM, 12, 0)))
            check_fail(c, "tk%u: the slot at %x holds a node that does not say so", task->obj.id, name);
        else if (table[i] && (!n || (table[i] & ~PTE_REFS) != expected_pte(n, n->obj, false)))
            check_fail(c, "tk%u: entry %x at %x is not what the node allows", task->obj.id, table[i], name);
    }
}

CHECK_RULE(mem_entries, "MEM-1", "MEM", "every user page-table entry has a node with that frame, size and right")
{
    for (struct task *task = check_task_next(NULL); task; task = check_task_next(task)) {
        if (!check_tick(c))
            return;
        for (uint32_t dir = 0; (dir = used_in(task->pd, task->pd_shadow, dir, USER_ENTRIES)) < USER_ENTRIES; dir++) {
            uint32_t entry = task->pd_shadow[dir];

            c->looked++;
            if (entry & 1u)
                check_super(c, task, dir, (const struct node *)(uintptr_t)(entry & ~1u));
            else if (entry)
                check_table(c, task, dir, (struct node *const *)(uintptr_t)entry);
            else if (task->pd[dir])
                check_fail(c, "tk%u: directory entry %x is %x without a node", task->obj.id, dir,
                           task->pd[dir]);
        }
    }
}

/* Is a convert still on its way to clear entries, or a destroyed page not yet given back? [G25] */
static bool conversion_in_flux(const struct kpage *kp)
{
    for (const struct revoke *rv = revoke_active; rv; rv = rv->next)
        if (rv->how & REVOKE_SUSPEND)
            return true;
    return kobj_is_dying(&kp->obj);
}

static void check_user_frame(struct check *c, const struct task *task, uint32_t name, paddr_t phys, bool kernel)
{
    uint32_t frame = phys >> PAGE_SHIFT;
    uint32_t kp = frame < frame_count ? frame_table[frame].kp : FRAME_USER;

    if (kernel && kp == FRAME_KERNEL)
        check_fail(c, "tk%u reaches the kernel's frame %x at %x", task->obj.id, frame, name);
    if (!kernel && kp > FRAME_DEVICE && !conversion_in_flux((const struct kpage *)(uintptr_t)kp))
        check_fail(c, "tk%u reaches frame %x of a kernel page at %x", task->obj.id, frame, name);
}

/* For every frame that user code can reach through the page tables as they are. */
static void each_user_frame(struct check *c, bool kernel)
{
    for (struct task *task = check_task_next(NULL); task; task = check_task_next(task)) {
        if (!check_tick(c))
            return;
        for (uint32_t dir = 0; (dir = table_find(task->pd, dir, USER_ENTRIES)) < USER_ENTRIES; dir++) {
            uint32_t pde = task->pd[dir];
            const uint32_t *table = phys_to_virt(pde & 0xfffff000u);

            if (!(pde & PTE_PRESENT) || (!(pde & PTE_SUPER) && !check_frame_of(table)))
                continue;
            for (uint32_t i = 0; i < 1024u; i++) {
                uint32_t name;

                if (!(pde & PTE_SUPER) && (i = table_find(table, i, 1024u)) == 1024u)
                    break;
                if (!(pde & PTE_SUPER) && !(table[i] & PTE_PRESENT))
                    continue;
                name = dir << SUPER_SHIFT | i << PAGE_SHIFT;
                c->looked++;
                check_user_frame(c, task, name,
                                 pde & PTE_SUPER ? (pde & 0xffc00000u) + (i << PAGE_SHIFT)
                                                 : table[i] & 0xfffff000u, kernel);
            }
        }
    }
}

CHECK_RULE(mem_kernel, "MEM-2", "MEM", "no user page-table entry leads to the kernel's own memory")
{
    each_user_frame(c, true);
}

CHECK_RULE(mem_converted, "MEM-3", "MEM", "no user page-table entry leads into a kernel page")
{
    each_user_frame(c, false);
}

CHECK_RULE(mem_kernel_half, "MEM-5", "MEM", "the kernel half is the same in all page directories, and not for users")
{
    const struct task *first = check_task_next(NULL);

    for (struct task *task = check_task_next(NULL); task; task = check_task_next(task)) {
        for (uint32_t dir = USER_ENTRIES; dir < 1024u; dir++) {
            c->looked++;
            if ((task->pd[dir] ^ first->pd[dir]) & ~PTE_REFS)
                check_fail(c, "tk%u: directory entry %x is %x, elsewhere %x", task->obj.id, dir,
                           task->pd[dir], first->pd[dir]);
            if (task->pd[dir] & PTE_USER)
                check_fail(c, "tk%u: directory entry %x lets users in: %x", task->obj.id, dir, task->pd[dir]);
        }
    }
}

CHECK_RULE(mem_nodes, "MEM-6", "MEM", "memory nodes are 4 KB or 4 MB, aligned on both sides, and in their slot")
{
    for (uint32_t i = 0; i < boot_mem_root_count; i++) {
        const struct node *root = &boot_mem_roots[i];

        if (!check_tick(c))
            return;
        for (const struct node *n = check_tree_next(root, root); n; n = check_tree_next(root, n)) {
            unsigned size = node_size(n);

            c->looked++;
            if ((size != PAGE_SHIFT && size != SUPER_SHIFT) || (n->obj & ((1u << size) - 1u)) ||
                (node_base(n) & ((1u << size) - 1u)) || n->obj >> SUPER_SHIFT != i)
                check_fail(c, NODE_FORMAT " of size %u at %x", NODE_ARGS(n), size, n->obj);
            else if (n->task && (!check_is_task(n->task) || node_base(n) >= L4_USER_TOP ||
                                 mem_lookup(n->task, node_base(n)) != n))
                check_fail(c, NODE_FORMAT " is not in its slot", NODE_ARGS(n));
        }
    }
}

/* ---- IO ---- */

static bool bitmap_open(const struct task *task, uint32_t port)
{
    return !(task->io_bitmap[port >> 15][(port & 0x7fffu) >> 3] & (1u << (port & 7u)));
}

/* Are the bits of the 256 ports from `port`, aligned to that, all like those of `good`? */
static bool ports_are(const struct task *task, uint32_t port, uint32_t good)
{
    const uint32_t *w = (const uint32_t *)(const void *)&task->io_bitmap[port >> 15][(port & 0x7fffu) >> 3];

    return !((w[0] ^ good) | (w[1] ^ good) | (w[2] ^ good) | (w[3] ^ good) |
             (w[4] ^ good) | (w[5] ^ good) | (w[6] ^ good) | (w[7] ^ good));
}

/* The first port in [port, end) whose bit is not `open`, or end. */
static uint32_t wrong_port(const struct task *task, uint32_t port, uint32_t end, bool open)
{
    const uint32_t good = open ? 0 : 0xffffffffu;

    while (port < end) {
        if (!(port & 255u) && end - port >= 256u && ports_are(task, port, good)) {
            port += 256;
            continue;
        }
        if (bitmap_open(task, port) != open)
            return port;
        port++;
    }
    return end;
}

static bool is_io_node(const struct task *task, const struct node *n)
{
    return check_is_node(n) && n->task == task && node_space(n) == L4_SPACE_IO && node_base(n) == n->obj &&
           node_size(n) <= FLEXPAGE_IO_ORDER && node_last(n) >> IO_BLOCK_SHIFT < IO_BLOCKS;
}

CHECK_RULE(io_bitmap, "IO-1", "IO", "a port's bit is clear exactly if a node of the task allows in and out there")
{
    for (struct task *task = check_task_next(NULL); task; task = check_task_next(task)) {
        const struct node *n = io_first(task);
        uint32_t port = 0;

        if (!check_tick(c))
            return;
        c->looked++;
        if ((task->io_version == 0) != (n == NULL))
            check_fail(c, "tk%u: io version %u with%s ports", task->obj.id, task->io_version, n ? "" : "out");
        if (n && !task->io_filled)
            check_fail(c, "tk%u has ports and no bitmap", task->obj.id);
        if (!task->io_filled)
            continue;
        for (;; n = io_next(task, n)) {
            uint32_t end = n ? n->obj >> L4_NAME_SHIFT : 0x10000u;

            if (n && (!is_io_node(task, n) || end < port)) {
                check_fail(c, "tk%u: the IO lists are wrong behind port %x", task->obj.id, port);
                break;
            }
            port = wrong_port(task, port, end, false);
            if (port < end)
                check_fail(c, "tk%u: port %x is open without a node", task->obj.id, port);
            if (!n)
                break;
            port = end;
            end = min_u32((node_last(n) >> L4_NAME_SHIFT) + 1u, 0x10000u);
            port = wrong_port(task, port, end, (node_rights(n) & (L4_R | L4_W)) == (L4_R | L4_W));
            if (port < end)
                check_fail(c, "tk%u: the bit of port %x is not what the node says", task->obj.id, port);
            port = end;
        }
    }
}

/* What is wrong with the list of one block, or NULL.  Adds the nodes that begin there. */
static const char *io_list_wrong(const struct task *task, uint32_t block, uint32_t *nodes)
{
    struct node *const *lists = io_lists(task), *n = lists[block];
    uint32_t least = block << IO_BLOCK_SHIFT; /* the next node begins there or behind */

    if (n && is_io_node(task, n) && node_size(n) >= IO_BLOCK_SHIFT) {
        uint32_t first = n->obj >> IO_BLOCK_SHIFT, last = node_last(n) >> IO_BLOCK_SHIFT;

        if (block < first || block > last || n->io_next)
            return "holds a wide node that does not belong there, or not alone";
        if (block == first)
            ++*nodes;
        return block < last && lists[block + 1u] != n ? "holds a wide node that the next block lacks" : NULL;
    }
    for (; n; n = n->io_next) {
        if (!is_io_node(task, n))
            return "holds what is no IO node of the task";
        if (n->obj < least || node_last(n) >> IO_BLOCK_SHIFT != block)
            return "is not ascending, or not of this block";
        least = node_last(n) + 1u;
        ++*nodes;
    }
    return NULL;
}

CHECK_RULE(io_nodes, "IO-2", "IO",
           "the list of each 256 ports holds the task's nodes there, ascending and disjoint, and every named IO node is in one")
{
    for (struct task *task = check_task_next(NULL); task; task = check_task_next(task)) {
        uint32_t nodes = 0;

        if (!check_tick(c))
            return;
        for (uint32_t block = 0; block < IO_BLOCKS; block++) {
            const char *wrong = io_list_wrong(task, block, &nodes);

            c->looked++;
            if (wrong) {
                check_fail(c, "tk%u: the list of port %x %s", task->obj.id, block << 8, wrong);
                return; /* look-ups trust the lists */
            }
        }
        if (nodes != task->io_nodes)
            check_fail(c, "tk%u has %u IO nodes, and counts %u", task->obj.id, nodes, task->io_nodes);
    }
    for (const struct node *n = check_tree_next(&boot_io_root, &boot_io_root); n; n = check_tree_next(&boot_io_root, n)) {
        c->looked++;
        if (n->task && (!check_is_task(n->task) || io_lookup(n->task, n->obj >> L4_NAME_SHIFT) != n))
            check_fail(c, NODE_FORMAT " is in no list", NODE_ARGS(n));
    }
}
