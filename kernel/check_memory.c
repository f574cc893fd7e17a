// SPDX-License-Identifier: MIT
/*
 * The invariants of mapping trees, name spaces and kernel pages, as rules: groups MDB, CAP, MEM, IO, OBJ.
 *
 * Rules read only.  They follow no pointer before it was found to lead to where such a thing may live, so
 * they also end on a damaged structure.  They hold at preemption points, too: where an operation that is
 * under way excuses a difference, the rule says so.  [G40] [G51] [G52]
 */
#include "kernel/boot.h"
#include "kernel/check.h"
#include "kernel/cpu.h"
#include "kernel/lib/string.h"
#include "kernel/mapdb.h"
#include "kernel/page.h"
#include "kernel/reap.h"
#include "kernel/task.h"
#include "kernel/thread.h"

#define WALK_LIMIT (1u << 22) /* no list of a 32-bit machine's kernel memory is longer */

static bool tick(struct check *c)
{
    return !c->tick || c->tick(c);
}

/* ---- what a pointer leads to ---- */

static struct frame *frame_of(const void *p)
{
    uint32_t frame = virt_to_phys(p) >> PAGE_SHIFT;

    return frame < frame_count ? &frame_table[frame] : NULL;
}

/* The tag of the unit at p, UNIT_FREE if p is not the start of a unit in a chunked frame. */
static enum unit_tag tag_at(const void *p)
{
    paddr_t phys = virt_to_phys(p);
    const struct frame *f = frame_of(p);

    if (!f || f->kp <= FRAME_DEVICE || (f->use & 15u) != FRAME_CHUNKED || phys % L4_UNIT != 0)
        return UNIT_FREE;
    return unit_tag_get(phys_to_virt(round_down(phys, PAGE_SIZE)), (phys & (PAGE_SIZE - 1u)) / L4_UNIT);
}

static bool tag_is_object(enum unit_tag tag)
{
    return tag >= UNIT_THREAD && tag <= UNIT_CPU;
}

static enum l4_type tag_type(enum unit_tag tag)
{
    static const uint8_t type[] = {
        [UNIT_THREAD] = L4_TYPE_THREAD, [UNIT_ENDPOINT] = L4_TYPE_ENDPOINT,
        [UNIT_RESERVATION] = L4_TYPE_RESERVATION, [UNIT_TASK] = L4_TYPE_TASK,
        [UNIT_KPAGE] = L4_TYPE_KPAGE, [UNIT_CPU] = L4_TYPE_CPU,
    };

    return (unsigned)tag < ARRAY_SIZE(type) ? (enum l4_type)type[tag] : L4_TYPE_NONE;
}

static bool is_object(const struct kobj *o)
{
    return o == &boot_cpu.obj || tag_is_object(tag_at(o));
}

static bool is_task(const struct task *task)
{
    return tag_at(task) == UNIT_TASK;
}

static bool is_kernel_root(const struct node *n)
{
    uintptr_t offset = (uintptr_t)n - (uintptr_t)boot_mem_roots;

    return n == &boot_io_root ||
           (offset % sizeof *n == 0 && offset / sizeof *n < boot_mem_root_count);
}

/* A free-standing node, or the root at the head of an object, or a kernel root. */
static bool is_node(const struct node *n)
{
    return tag_at(n) == UNIT_NODE || is_object((const struct kobj *)(const void *)n) || is_kernel_root(n);
}

/* ---- walks ---- */

struct root_walk { uint32_t memory; bool io; struct kobj *object; };

/* Roots of all trees: memory blocks, IO, objects; NULL at the end. */
static const struct node *root_next(struct root_walk *w)
{
    if (w->memory < boot_mem_root_count)
        return &boot_mem_roots[w->memory++];
    if (!w->io) {
        w->io = true;
        return &boot_io_root;
    }
    w->object = kobj_next(w->object);
    return w->object ? &w->object->root : NULL;
}

/* The node behind n in the tree of root; NULL at the end or if the list leads nowhere (MDB-4 reports). */
static const struct node *tree_next(const struct node *root, const struct node *n)
{
    return n->next != root && is_node(n->next) && n->next->depth > 0 ? n->next : NULL;
}

/* Tasks whose directories are where they can be; OBJ-3 reports others. */
static struct task *task_next(struct task *previous)
{
    struct kobj *o = previous ? &previous->obj : NULL;

    while ((o = kobj_next(o)) != NULL) {
        struct task *task = (struct task *)o;

        if (tag_at(o) == UNIT_TASK && frame_of(task->pd) && frame_of(task->pd_shadow) &&
            frame_of(task->cap_dir) && frame_of(task->io_bitmap[0]) && frame_of(task->io_bitmap[1]))
            return task;
    }
    return NULL;
}

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

/* The first frame from `frame` on that is part of a kernel page, or frame_count. */
static uint32_t kernel_frame(uint32_t frame)
{
    while (frame < frame_count && frame_table[frame].kp <= FRAME_DEVICE) {
        frame++;
        while (frame < frame_count && (frame & (BLOCK_FRAMES - 1u)) == 0 && !block_is_converted(frame << PAGE_SHIFT))
            frame += BLOCK_FRAMES;
    }
    return min_u32(frame, frame_count);
}

/* May rights be inconsistent along a tree for a while? */
static bool rights_in_flux(void)
{
    return revoke_active || revoke_was_cancelled || reap_pending();
}

/* For messages: a node as its address, its task and its name. */
#define NODE_FORMAT "node %p (tk%u %x)"
#define NODE_ARGS(n) (const void *)(n), (n)->task && is_task((n)->task) ? (n)->task->obj.id : 0u, (n)->name

/* ---- MDB: mapping trees ---- */

CHECK_RULE(mdb_order, "MDB-1", "MDB",
           "a tree is one circular list in pre-order; the parent is the nearest earlier node one level up")
{
    struct root_walk w = { 0, false, NULL };
    const struct node *root;

    while ((root = root_next(&w)) != NULL) {
        const struct node *n = root;

        if (!tick(c))
            return;
        if (root->depth != 0 || root->parent || !(root->flags & NODE_ROOT))
            check_fail(c, NODE_FORMAT " is a root with depth %u, flags %x", NODE_ARGS(root), root->depth,
                       root->flags);
        for (uint32_t limit = 0; limit < WALK_LIMIT; limit++) {
            const struct node *next = n->next, *parent = n;

            c->looked++;
            if (!is_node(next)) {
                check_fail(c, NODE_FORMAT " is followed by %p, which is no node", NODE_ARGS(n),
                           (const void *)next);
                break;
            }
            if (next->prev != n)
                check_fail(c, NODE_FORMAT " is not what its successor thinks", NODE_ARGS(n));
            if (next == root)
                break;
            if (next->depth == 0 || next->depth > n->depth + 1u) {
                check_fail(c, NODE_FORMAT " has depth %u behind depth %u", NODE_ARGS(next), next->depth,
                           n->depth);
                break;
            }
            while (parent && is_node(parent) && parent->depth >= next->depth)
                parent = parent->parent;
            if (next->parent != parent)
                check_fail(c, NODE_FORMAT " has parent %p, the order says %p", NODE_ARGS(next),
                           (const void *)next->parent, (const void *)parent);
            if (next->flags & NODE_ROOT)
                check_fail(c, NODE_FORMAT " is a root inside a tree", NODE_ARGS(next));
            n = next;
        }
    }
}

static bool badge_extends(const struct node *child, const struct node *parent)
{
    unsigned more = child->badge_len - parent->badge_len;

    if (child->badge_len < parent->badge_len || child->badge_len > 32u)
        return false;
    return more >= 32u || child->badge >> more == parent->badge;
}

CHECK_RULE(mdb_derivation, "MDB-2", "MDB",
           "a child has its parent's object, range and badge, and no right beyond (unless one is being revoked)")
{
    struct root_walk w = { 0, false, NULL };
    const struct node *root;

    while ((root = root_next(&w)) != NULL) {
        if (!tick(c))
            return;
        for (const struct node *n = tree_next(root, root); n; n = tree_next(root, n)) {
            const struct node *parent = n->parent;

            c->looked++;
            if (!parent || !is_node(parent) || node_space(n) != node_space(parent)) {
                check_fail(c, NODE_FORMAT " is of another space than its parent", NODE_ARGS(n));
                continue;
            }
            if (node_space(n) == L4_SPACE_CAP ? n->obj != parent->obj
                : n->obj < parent->obj || node_last(n) > node_last(parent))
                check_fail(c, NODE_FORMAT " names %x, beyond its parent's %x", NODE_ARGS(n), n->obj,
                           parent->obj);
            if ((node_rights(n) & ~node_rights(parent)) && !rights_in_flux())
                check_fail(c, NODE_FORMAT " has rights its parent has not: %x", NODE_ARGS(n),
                           node_rights(n) & ~node_rights(parent));
            if (node_space(n) == L4_SPACE_CAP && !badge_extends(n, parent))
                check_fail(c, NODE_FORMAT " has badge %x/%u below %x/%u", NODE_ARGS(n), n->badge,
                           n->badge_len, parent->badge, parent->badge_len);
        }
    }
}

/* Units of one chunked frame that hold a node: the tags that are 0 after the exclusive or. */
static unsigned count_nodes(const uint32_t *tags)
{
    unsigned count = 0;

    for (unsigned w = 0; w < PAGE_SIZE / L4_UNIT / 8u; w++) {
        uint32_t other = tags[w] ^ 0x11111111u * UNIT_NODE;

        other |= other >> 1;
        other |= other >> 2;
        count += ((~other & 0x11111111u) * 0x11111111u) >> 28;
    }
    return count;
}

CHECK_RULE(mdb_count, "MDB-3", "MDB", "the node units of all kernel pages are the free-standing nodes of all trees")
{
    struct root_walk w = { 0, false, NULL };
    const struct node *root;
    uint32_t in_trees = 0, in_pages = 0;

    while ((root = root_next(&w)) != NULL) {
        if (!tick(c))
            return;
        for (const struct node *n = tree_next(root, root); n && in_trees < WALK_LIMIT;
             n = tree_next(root, n))
            if (tag_at(n) == UNIT_NODE)
                in_trees++;
    }
    for (uint32_t i = 0; (i = kernel_frame(i)) < frame_count; i++)
        if ((frame_table[i].use & 15u) == FRAME_CHUNKED)
            in_pages += count_nodes(phys_to_virt(i << PAGE_SHIFT));
    c->looked += in_pages;
    if (in_trees != in_pages)
        check_fail(c, "%u nodes in kernel pages, %u in trees", in_pages, in_trees);
}

CHECK_RULE(mdb_place, "MDB-4", "MDB", "a node inside a tree lies in a unit tagged so, or is marked static")
{
    struct root_walk w = { 0, false, NULL };
    const struct node *root;

    while ((root = root_next(&w)) != NULL) {
        if (!tick(c))
            return;
        for (const struct node *n = root; n->next != root; n = n->next) {
            c->looked++;
            if (!is_node(n->next) || n->next->depth == 0) {
                check_fail(c, "the tree of %p runs into %p", (const void *)root, (const void *)n->next);
                break;
            }
            if (tag_at(n->next) != UNIT_NODE && !(n->next->flags & NODE_STATIC))
                check_fail(c, NODE_FORMAT " lies in no node unit", NODE_ARGS(n->next));
            if (c->looked > WALK_LIMIT)
                return;
        }
    }
}

CHECK_RULE(mdb_cursor, "MDB-9", "MDB", "a node is marked as cursor exactly if an active revocation points at it")
{
    struct root_walk w = { 0, false, NULL };
    const struct node *root, *n;

    for (const struct revoke *rv = revoke_active; rv; rv = rv->next) {
        if (!rv->active || (rv->how & REVOKE_QUERY))
            check_fail(c, "revocation %p is listed but not active", (const void *)rv);
        if (rv->root && (!is_node(rv->root) || !(rv->root->flags & NODE_CURSOR)))
            check_fail(c, "the root of revocation %p is not marked", (const void *)rv);
        if (rv->cursor && (!is_node(rv->cursor) || !(rv->cursor->flags & NODE_CURSOR)))
            check_fail(c, "the cursor of revocation %p is not marked", (const void *)rv);
    }
    while ((root = root_next(&w)) != NULL) {
        if (!tick(c))
            return;
        for (n = root; n; n = tree_next(root, n)) {
            const struct revoke *rv = revoke_active;

            c->looked++;
            if (!(n->flags & NODE_CURSOR))
                continue;
            while (rv && rv->root != n && rv->cursor != n)
                rv = rv->next;
            if (!rv)
                check_fail(c, NODE_FORMAT " is marked for nobody", NODE_ARGS(n));
        }
    }
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
    for (struct task *task = task_next(NULL); task; task = task_next(task)) {
        if (!tick(c))
            return;
        for (uint32_t dir = 0; (dir = used_dir(task, dir)) < 1024u; dir++) {
            struct node **table = task->cap_dir[dir];

            if (!frame_of(table)) /* CAP-6 reports a wrong one */
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
    if (!is_node(n)) {
        check_fail(c, "tk%u cap %x: %p is no node", task->obj.id, id, (void *)n);
        return;
    }
    o = node_kobj(n);
    if (!is_object(o))
        check_fail(c, "tk%u cap %x: no object at %x", task->obj.id, id, n->obj);
    else if (o != &boot_cpu.obj && tag_type(tag_at(o)) != (enum l4_type)o->type)
        check_fail(c, "tk%u cap %x: object %u has type %u in a unit for type %u", task->obj.id, id, o->id,
                   o->type, tag_type(tag_at(o)));
}

CHECK_RULE(cap_object, "CAP-1", "CAP", "every capability refers to a live object of the type its memory says")
{
    each_slot(c, slot_object);
}

static void slot_name(struct check *c, struct task *task, uint32_t id, struct node *n)
{
    c->looked++;
    if (!is_node(n))
        return;
    if (n->task != task || (n->name & ~15u) != L4_CAP_FPAGE(id, 0))
        check_fail(c, "tk%u cap %x holds " NODE_FORMAT, task->obj.id, id, NODE_ARGS(n));
}

CHECK_RULE(cap_name, "CAP-2", "CAP", "a slot and its node name each other")
{
    struct root_walk w = { 0, false, NULL };
    const struct node *root;

    each_slot(c, slot_name);
    while ((root = root_next(&w)) != NULL) {
        if (!tick(c))
            return;
        for (const struct node *n = root; n; n = tree_next(root, n)) {
            c->looked++;
            if (!n->task || node_space(n) != L4_SPACE_CAP)
                continue;
            if (!is_task(n->task) || cap_lookup(n->task, node_base(n) >> L4_NAME_SHIFT) != n)
                check_fail(c, NODE_FORMAT " is not in its slot", NODE_ARGS(n));
        }
    }
}

CHECK_RULE(cap_rights, "CAP-3", "CAP", "a named node has rights, one without rights no name (unless being flushed)")
{
    struct root_walk w = { 0, false, NULL };
    const struct node *root;

    while ((root = root_next(&w)) != NULL) {
        if (!tick(c))
            return;
        for (const struct node *n = root; n; n = tree_next(root, n)) {
            c->looked++;
            if (n->task && node_rights(n) == 0 && !rights_in_flux())
                check_fail(c, NODE_FORMAT " has a name and no rights", NODE_ARGS(n));
            if (!n->task && node_rights(n) != 0 && !(n->flags & NODE_ROOT))
                check_fail(c, NODE_FORMAT " has rights and no name", NODE_ARGS(n));
            if (!n->task && n != root && !rights_in_flux())
                check_fail(c, NODE_FORMAT " is left over from a revocation", NODE_ARGS(n));
        }
    }
}

CHECK_RULE(cap_invalid, "CAP-4", "CAP", "the invalid capability is empty in every task")
{
    for (struct task *task = task_next(NULL); task; task = task_next(task)) {
        c->looked++;
        if (cap_lookup(task, L4_CAP_MAX))
            check_fail(c, "tk%u has something at the invalid capability", task->obj.id);
    }
}

CHECK_RULE(cap_tables, "CAP-6", "CAP", "capability tables are whole frames of live kernel pages with one owner")
{
    for (struct task *task = task_next(NULL); task; task = task_next(task)) {
        uint32_t tables = 0, frames = 0;

        if (!tick(c))
            return;
        for (uint32_t dir = 0; (dir = used_dir(task, dir)) < 1024u; dir++) {
            const struct frame *f;

            c->looked++;
            tables++;
            f = frame_of(task->cap_dir[dir]);
            if (!f || f->kp <= FRAME_DEVICE || f->use != ((uint32_t)(uintptr_t)task | FRAME_CAPTABLE))
                check_fail(c, "tk%u: capability table %x at %p is not its own", task->obj.id, dir,
                           (void *)task->cap_dir[dir]);
        }
        for (uint32_t i = 0; (i = kernel_frame(i)) < frame_count; i++)
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

    if (!is_node(n) || node_size(n) != SUPER_SHIFT) {
        check_fail(c, "tk%u: directory entry %x has no 4 MB node", task->obj.id, dir);
        return;
    }
    if (n->flags & NODE_VIEW) {
        const uint32_t *view = phys_to_virt(pde & 0xfffff000u);
        const struct frame *f = frame_of(view);

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
    const struct frame *f = frame_of(table), *s = frame_of(shadow);

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

        if (n && (!is_node(n) || n->task != task || (n->name & ~15u) != L4_FPAGE(name, L4_SPACE_MEM, 12, 0)))
            check_fail(c, "tk%u: the slot at %x holds a node that does not say so", task->obj.id, name);
        else if (table[i] && (!n || (table[i] & ~PTE_REFS) != expected_pte(n, n->obj, false)))
            check_fail(c, "tk%u: entry %x at %x is not what the node allows", task->obj.id, table[i], name);
    }
}

CHECK_RULE(mem_entries, "MEM-1", "MEM", "every user page-table entry has a node with that frame, size and right")
{
    for (struct task *task = task_next(NULL); task; task = task_next(task)) {
        if (!tick(c))
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
    for (struct task *task = task_next(NULL); task; task = task_next(task)) {
        if (!tick(c))
            return;
        for (uint32_t dir = 0; (dir = table_find(task->pd, dir, USER_ENTRIES)) < USER_ENTRIES; dir++) {
            uint32_t pde = task->pd[dir];
            const uint32_t *table = phys_to_virt(pde & 0xfffff000u);

            if (!(pde & PTE_PRESENT) || (!(pde & PTE_SUPER) && !frame_of(table)))
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
    const struct task *first = task_next(NULL);

    for (struct task *task = task_next(NULL); task; task = task_next(task)) {
        for (uint32_t dir = USER_ENTRIES; dir < 1024u; dir++) {
            c->looked++;
            if ((task->pd[dir] ^ first->pd[dir]) & ~PTE_REFS)
                check_fail(c, "tk%u: directory entry %x is %x, elsewhere %x", task->obj.id, dir,
                           task->pd[dir], first->pd[dir]);
            if (task->pd[dir] & PTE_USER)
                check_fail(c, "tk%u: directory entry %x lets users in: %x", task->obj.id, dir, task->pd[dir]);
            if (task->pd_shadow[dir])
                check_fail(c, "tk%u: a shadow in the kernel half, %x", task->obj.id, dir);
        }
    }
}

CHECK_RULE(mem_nodes, "MEM-6", "MEM", "memory nodes are 4 KB or 4 MB, aligned on both sides, and in their slot")
{
    for (uint32_t i = 0; i < boot_mem_root_count; i++) {
        const struct node *root = &boot_mem_roots[i];

        if (!tick(c))
            return;
        for (const struct node *n = tree_next(root, root); n; n = tree_next(root, n)) {
            unsigned size = node_size(n);

            c->looked++;
            if ((size != PAGE_SHIFT && size != SUPER_SHIFT) || (n->obj & ((1u << size) - 1u)) ||
                (node_base(n) & ((1u << size) - 1u)) || n->obj >> SUPER_SHIFT != i)
                check_fail(c, NODE_FORMAT " of size %u at %x", NODE_ARGS(n), size, n->obj);
            else if (n->task && (!is_task(n->task) || node_base(n) >= L4_USER_TOP ||
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

CHECK_RULE(io_bitmap, "IO-1", "IO", "a port's bit is clear exactly if a node of the task allows in and out there")
{
    for (struct task *task = task_next(NULL); task; task = task_next(task)) {
        const struct node *n = task->io_nodes;
        uint32_t port = 0, limit = 0;

        if (!tick(c))
            return;
        c->looked++;
        if ((task->io_version == 0) != (n == NULL))
            check_fail(c, "tk%u: io version %u with%s ports", task->obj.id, task->io_version, n ? "" : "out");
        if (n && !task->io_filled)
            check_fail(c, "tk%u has ports and no bitmap", task->obj.id);
        if (!task->io_filled)
            continue;
        for (;; n = n->io_next) {
            uint32_t end = n ? n->obj >> L4_NAME_SHIFT : 0x10000u;

            if (n && (!is_node(n) || n->task != task || node_space(n) != L4_SPACE_IO || end < port ||
                      node_base(n) != n->obj || limit++ > 0x10000u)) {
                check_fail(c, "tk%u: the IO list is wrong behind port %x", task->obj.id, port);
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

CHECK_RULE(io_nodes, "IO-2", "IO", "every named IO node is in its task's list")
{
    for (const struct node *n = tree_next(&boot_io_root, &boot_io_root); n; n = tree_next(&boot_io_root, n)) {
        c->looked++;
        if (n->task && (!is_task(n->task) || io_lookup(n->task, n->obj >> L4_NAME_SHIFT) != n))
            check_fail(c, NODE_FORMAT " is not in the list", NODE_ARGS(n));
    }
}

/* ---- OBJ: objects and kernel memory ---- */

static unsigned tag_units(enum unit_tag tag)
{
    static const uint8_t units[] = {
        [UNIT_NODE] = L4_SIZE_NODE / L4_UNIT, [UNIT_THREAD] = L4_SIZE_THREAD / L4_UNIT,
        [UNIT_ENDPOINT] = L4_SIZE_ENDPOINT / L4_UNIT, [UNIT_RESERVATION] = L4_SIZE_RESERVATION / L4_UNIT,
        [UNIT_TASK] = L4_SIZE_TASK / L4_UNIT, [UNIT_KPAGE] = L4_SIZE_KPAGE / L4_UNIT,
    };

    return (unsigned)tag < ARRAY_SIZE(units) ? units[tag] : 0;
}

static void check_chunks(struct check *c, uint32_t frame)
{
    const void *page = phys_to_virt(frame << PAGE_SHIFT);
    unsigned unit = 2, free = 0;

    if (unit_tag_get(page, 0) != UNIT_MORE || unit_tag_get(page, 1) != UNIT_MORE)
        check_fail(c, "frame %x: the tags of the tags are wrong", frame);
    while (unit < PAGE_SIZE / L4_UNIT) {
        enum unit_tag tag = unit_tag_get(page, unit);
        unsigned units = tag == UNIT_FREE ? 1 : tag_units(tag), i;

        free += tag == UNIT_FREE;
        if (tag == UNIT_FREE && unit < ((frame_table[frame].use >> 16) & 255u))
            check_fail(c, "frame %x unit %u is free, but the hint is behind it", frame, unit);
        if (units == 0 || unit + units > PAGE_SIZE / L4_UNIT) {
            check_fail(c, "frame %x unit %u: tag %u cannot stand here", frame, unit, (unsigned)tag);
            return;
        }
        for (i = 1; i < units; i++)
            if (unit_tag_get(page, unit + i) != UNIT_MORE)
                check_fail(c, "frame %x unit %u: cut off after %u of %u units", frame, unit, i, units);
        unit += units;
    }
    if (free != ((frame_table[frame].use >> 8) & 255u) || free == L4_UNITS_USABLE)
        check_fail(c, "frame %x: %u units are free, the frame says %u", frame, free,
                   (frame_table[frame].use >> 8) & 255u);
}

/* A kernel page in memory of the kernel's own image (boot objects) has no unit. */
static bool is_kpage(const struct kpage *kp)
{
    const struct frame *f = frame_of(kp);

    return tag_at(kp) == UNIT_KPAGE || (f && f->kp == FRAME_KERNEL) || kp == boot_kpage;
}

CHECK_RULE(obj_bytes, "OBJ-1", "OBJ", "every byte of every kernel page is free or part of one object, node or table")
{
    for (uint32_t i = 0; (i = kernel_frame(i)) < frame_count; i++) {
        const struct kpage *kp = (const struct kpage *)(uintptr_t)frame_table[i].kp;
        uint32_t use = frame_table[i].use;

        if ((i & 15u) == 0 && !tick(c))
            return;
        c->looked++;
        if (is_kpage(kp) && (i < kp->base >> PAGE_SHIFT || i >= (kp->base >> PAGE_SHIFT) + kp->frames))
            check_fail(c, "frame %x is not part of kp%u that it names", i, kp->obj.id);
        switch (use & 15u) {
        case FRAME_FREE:
            break;
        case FRAME_CHUNKED:
            check_chunks(c, i);
            break;
        case FRAME_PAGEDIR:
        case FRAME_DIRSHADOW:
        case FRAME_CAPDIR:
        case FRAME_IOBITMAP:
        case FRAME_PAGETABLE:
        case FRAME_SHADOW:
        case FRAME_CAPTABLE:
            if (!is_task((const struct task *)(uintptr_t)(use & ~31u)))
                check_fail(c, "frame %x is a table of no task: %x", i, use);
            break;
        default:
            check_fail(c, "frame %x is used for nothing known: %x", i, use);
            break;
        }
        if (is_kpage(kp) && ((use & 15u) == FRAME_FREE ||
                             ((use & 15u) == FRAME_CHUNKED && ((use >> 8) & 255u))) &&
            !kobj_is_dying(&kp->obj) && i - (kp->base >> PAGE_SHIFT) < kp->hint)
            check_fail(c, "frame %x has room, but the hint of kp%u is behind it", i, kp->obj.id);
    }
}

CHECK_RULE(obj_reason, "OBJ-2", "OBJ", "an object is static, named by its creator's capability, or dying")
{
    for (struct kobj *o = kobj_next(NULL); o; o = kobj_next(o)) {
        c->looked++;
        if (!(o->flags & (KOBJ_STATIC | KOBJ_DYING)) && !o->root.task)
            check_fail(c, "%s%u has no creator's capability", kobj_prefix((enum l4_type)o->type), o->id);
        if (o->root.obj != (uint32_t)(uintptr_t)o)
            check_fail(c, "%s%u: its root names another object", kobj_prefix((enum l4_type)o->type), o->id);
    }
}

/* Does the task use this frame the way the frame says? */
static bool task_uses(const struct task *task, uint32_t kind, const void *page)
{
    uint32_t address = (uint32_t)(uintptr_t)page;

    switch (kind) {
    case FRAME_PAGEDIR:
        return task->pd == page && task->pd_phys == virt_to_phys(page);
    case FRAME_DIRSHADOW:
        return task->pd_shadow == page;
    case FRAME_CAPDIR:
        return (const void *)task->cap_dir == page;
    case FRAME_IOBITMAP:
        return task->io_bitmap[0] == page || task->io_bitmap[1] == page;
    default:
        for (uint32_t dir = 0; dir < 1024u; dir++) {
            if (kind == FRAME_CAPTABLE ? (const void *)task->cap_dir[dir] == page
                : kind == FRAME_SHADOW ? task->pd_shadow[dir] == address
                : task->pd_shadow[dir] != 0 && !(task->pd[dir] & PTE_SUPER) &&
                  (task->pd[dir] & PTE_PRESENT) &&
                  phys_to_virt(task->pd[dir] & 0xfffff000u) == page)
                return true;
        }
        return false;
    }
}

CHECK_RULE(obj_dependents, "OBJ-3", "OBJ", "tables and their task, threads and their task name each other")
{
    for (uint32_t i = 0; (i = kernel_frame(i)) < frame_count; i++) {
        uint32_t kind = frame_table[i].use & 15u;
        const struct task *task = (const struct task *)(uintptr_t)(frame_table[i].use & ~31u);

        if (kind == FRAME_FREE || kind == FRAME_CHUNKED)
            continue;
        if ((i & 15u) == 0 && !tick(c))
            return;
        c->looked++;
        if (is_task(task) && !task_uses(task, kind, phys_to_virt(i << PAGE_SHIFT)))
            check_fail(c, "frame %x: tk%u does not use it", i, task->obj.id);
    }
    for (struct task *task = task_next(NULL); task; task = task_next(task)) {
        const struct thread *before = NULL;
        uint32_t limit = 0;

        for (const struct thread *t = task->threads; t; before = t, t = t->task_next) {
            c->looked++;
            if (tag_at(t) != UNIT_THREAD || t->task != task || t->task_prev != before || limit++ > WALK_LIMIT) {
                check_fail(c, "tk%u: its list of threads is broken at %p", task->obj.id, (const void *)t);
                break;
            }
        }
    }
}

CHECK_RULE(obj_kpages, "OBJ-6", "OBJ", "a kernel page owns its frames alone, and its converter knows it")
{
    for (struct kobj *o = kobj_next(NULL); o; o = kobj_next(o)) {
        const struct kpage *kp = (const struct kpage *)o, *list;
        uint32_t wrong = 0;

        if (tag_at(o) != UNIT_KPAGE || !tick(c))
            continue;
        c->looked++;
        for (uint32_t i = 0; i < kp->frames; i++) {
            uint32_t frame = (kp->base >> PAGE_SHIFT) + i;

            if (frame >= frame_count || frame_table[frame].kp != (uint32_t)(uintptr_t)kp)
                wrong++;
        }
        if (wrong && !kobj_is_dying(o))
            check_fail(c, "kp%u: %u of %u frames are not its", o->id, wrong, kp->frames);
        if (!kp->converter)
            continue;
        if (!is_node(kp->converter) || !(kp->converter->flags & NODE_CONVERTER) ||
            !(node_rights(kp->converter) & L4_T)) {
            check_fail(c, "kp%u: its converter cannot be one", o->id);
            continue;
        }
        for (list = kp->converter->kpage; list && list != kp && tag_at(list) == UNIT_KPAGE;)
            list = list->conv_next;
        if (list != kp)
            check_fail(c, "kp%u is not in the list of its converter", o->id);
    }
}

CHECK_RULE(obj_blocks, "OBJ-9", "OBJ", "a 4 MB block counts as converted exactly if one of its frames is")
{
    for (uint32_t block = 0; block << 10 < frame_count; block++) {
        bool converted = false;

        c->looked++;
        for (uint32_t i = block << 10; i < (block + 1u) << 10 && i < frame_count; i++)
            converted = converted || frame_table[i].kp > FRAME_DEVICE;
        if (converted != block_is_converted(block << SUPER_SHIFT))
            check_fail(c, "block %x: frames say %u", block << SUPER_SHIFT, converted);
    }
}

CHECK_RULE(obj_dying, "OBJ-10", "OBJ", "exactly the dying objects stand on the reaper's stack")
{
    const struct kobj *above = NULL;
    uint32_t on_stack = 0, dying = 0;

    for (const struct kobj *o = reap_top; o; above = o, o = o->reap_next) {
        on_stack++;
        if (!is_object(o) || !kobj_is_dying(o) || o->reap_prev != above || on_stack > WALK_LIMIT) {
            check_fail(c, "the reaper's stack is broken at %p", (const void *)o);
            return;
        }
    }
    for (const struct kobj *o = kobj_next(NULL); o; o = kobj_next(o)) {
        c->looked++;
        dying += kobj_is_dying(o);
    }
    if (on_stack != dying)
        check_fail(c, "%u objects are dying, %u on the stack", dying, on_stack);
}
