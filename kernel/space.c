// SPDX-License-Identifier: MIT
/*
 * The three name spaces of a task: slots, and what the hardware makes of them.  [G52] [G53] [G54]
 *
 * The slots (capability tables, shadow tables, IO lists) are the truth.  Page tables and IO bitmaps
 * follow from them.  A page-table entry may be missing where its node would allow an access, because the
 * frame is converted or was until a moment ago; mem_refill() brings it back.  It never allows more.
 *
 * A 4 MB node of which some frames are converted cannot be one hardware entry.  It is shown through a
 * "view": a page table without a shadow, filled on demand.  Views are dropped at the first refill after
 * the last conversion below has ended, or with their node.
 */
#include "kernel/task.h"

#include "kernel/lib/string.h"
#include "kernel/mapdb.h"
#include "kernel/page.h"

#define DIR_ENTRIES 1024u

ALWAYS_INLINE bool node_is_super(const struct node *n) { return node_size(n) == SUPER_SHIFT; }

/* Where the hardware entry of a node without a view stands. */
ALWAYS_INLINE uint32_t *node_entry(const struct node *n)
{
    uint32_t base = node_base(n), *pde = &n->task->pd[dir_index(base)];

    return node_is_super(n) ? pde : &table_of(*pde)[table_index(base)];
}

ALWAYS_INLINE uint32_t node_pte(const struct node *n, uint32_t rights)
{
    return pte_make(n->obj, rights, (n->flags & NODE_DEVICE) != 0, node_is_super(n));
}

static void refs_to_parent(const struct node *n, uint32_t refs)
{
    if (refs && n->parent)
        n->parent->flags |= node_ref_flags(refs);
}

/* ---- look-ups ---- */

uint32_t table_find(const uint32_t *words, uint32_t at, uint32_t end)
{
    const uint32_t *w = words + at;

    for (; end - at >= 8u; at += 8u, w += 8)
        if (w[0] | w[1] | w[2] | w[3] | w[4] | w[5] | w[6] | w[7])
            break;
    while (at < end && !words[at])
        at++;
    return at;
}

struct node *mem_lookup(const struct task *task, uint32_t address)
{
    return address < L4_USER_TOP ? page_lookup(task, address) : NULL;
}

/* The last node in the list of the name's block that begins there or before, or NULL. */
static struct node *io_before(const struct task *task, uint32_t name)
{
    struct node *n = io_lists(task)[name >> IO_BLOCK_SHIFT], *before = NULL;

    for (; n && n->obj <= name; n = n->io_next)
        before = n;
    return before;
}

/* The first node in the lists from this block on, or NULL. */
static struct node *io_first_from(const struct task *task, uint32_t block)
{
    if (!task->io_nodes)
        return NULL;
    if (block < IO_BLOCKS)
        block = table_find(&task->pd_shadow[USER_ENTRIES], block, IO_BLOCKS);
    return block < IO_BLOCKS ? io_lists(task)[block] : NULL;
}

struct node *io_lookup(const struct task *task, uint32_t port)
{
    uint32_t name = port << L4_NAME_SHIFT;
    struct node *n = port <= 0xffffu ? io_before(task, name) : NULL;

    return n && node_last(n) >= name ? n : NULL;
}

struct node *io_at_or_behind(const struct task *task, uint32_t name)
{
    struct node *n;

    if (name >> IO_BLOCK_SHIFT >= IO_BLOCKS)
        return NULL;
    n = io_before(task, name);
    if (!n)
        return io_first_from(task, name >> IO_BLOCK_SHIFT);
    return node_last(n) >= name ? n : io_next(task, n);
}

struct node *io_first(const struct task *task)
{
    return io_first_from(task, 0);
}

struct node *io_next(const struct task *task, const struct node *n)
{
    return n->io_next ? n->io_next : io_first_from(task, (node_last(n) >> IO_BLOCK_SHIFT) + 1u);
}

/* The invalid capability is number 0xfffff, whose slot nobody ever fills.  [G2] */
struct kobj *cap_object(const struct task *task, uint32_t word, enum l4_type type, uint32_t rights,
                        enum l4_detail *reason)
{
    const struct node *n = cap_lookup(task, word >> L4_NAME_SHIFT);
    struct kobj *o;

    *reason = L4_D_EMPTY;
    if (!n || node_rights(n) == 0)
        return NULL;
    o = node_kobj(n);
    if (kobj_is_dying(o))
        return NULL;
    *reason = L4_D_TYPE;
    if (o->type != type)
        return NULL;
    *reason = L4_D_RIGHTS;
    if ((node_rights(n) & rights) != rights)
        return NULL;
    *reason = L4_D_NONE;
    return o;
}

/* ---- memory: entries ---- */

/* The A/D bits of all entries, and the same AND for all: in steps, so that no view takes a stretch of its own. */
static uint32_t view_refs(const uint32_t *view)
{
    uint32_t all = 0;

    for (unsigned i = 0; i < DIR_ENTRIES; i += 4u)
        all |= view[i] | view[i + 1u] | view[i + 2u] | view[i + 3u];
    return all & PTE_REFS;
}

static void view_mask(uint32_t *view, uint32_t mask)
{
    for (unsigned i = 0; i < DIR_ENTRIES; i += 4u) {
        view[i] &= mask;
        view[i + 1u] &= mask;
        view[i + 2u] &= mask;
        view[i + 3u] &= mask;
    }
}

/* Forget the view's page; its A/D bits, still in hardware format. */
static uint32_t view_drop(struct task *task, struct node *n)
{
    uint32_t *pde = &task->pd[dir_index(node_base(n))], *view = table_of(*pde), refs = view_refs(view);

    *pde = 0;
    n->flags &= (uint8_t)~NODE_VIEW;
    arch_tlb_flush_all(task);
    kmem_free_page(view);
    return refs;
}

/* Clear entries [first, last] of the view; A/D bits in hardware format. */
static uint32_t view_clear(struct task *task, struct node *n, unsigned first, unsigned last)
{
    uint32_t *view = table_of(task->pd[dir_index(node_base(n))]), refs = 0;

    for (unsigned i = first; i <= last; i++)
        refs |= view[i];
    memset(&view[first], 0, (last - first + 1u) * sizeof *view);
    arch_tlb_flush_all(task);
    return refs & PTE_REFS;
}

/* Clear one hardware entry; its A/D bits as L4_R | L4_W. */
ALWAYS_INLINE uint32_t entry_clear(const struct task *task, uint32_t *entry, uint32_t address)
{
    uint32_t old = *entry;

    if (!old)
        return 0;
    *entry = 0;
    arch_tlb_flush_page(task, address);
    return pte_refs(old);
}

/* ---- IO: lists and bitmap ---- */

static uint32_t io_last_version;

static bool io_open(uint32_t rights)
{
    /* The bitmap cannot tell in from out. [G3] */
    return (rights & (L4_R | L4_W)) == (L4_R | L4_W);
}

#define IO_PAGE_PORTS (PAGE_SIZE * 8u)

ALWAYS_INLINE uint8_t *io_byte(const struct task *task, uint32_t port)
{
    return &task->io_bitmap[port / IO_PAGE_PORTS][port % IO_PAGE_PORTS / 8u];
}

/* Make the bitmap show whether the ports of n are open. */
static void io_show(struct task *task, const struct node *n, bool open)
{
    uint32_t first = n->obj >> L4_NAME_SHIFT, last = node_last(n) >> L4_NAME_SHIFT;

    /* A power of two of ports, aligned: bits of one byte, bytes of one page, or both pages. */
    if (last - first < 8u) {
        uint8_t *byte = io_byte(task, first), mask = (uint8_t)((2u << (last & 7u)) - (1u << (first & 7u)));

        *byte = open ? *byte & (uint8_t)~mask : *byte | mask;
    } else if (last - first < IO_PAGE_PORTS) {
        memset(io_byte(task, first), open ? 0 : 0xff, (last - first + 1u) / 8u);
    } else {
        memset(task->io_bitmap[0], open ? 0 : 0xff, PAGE_SIZE);
        memset(task->io_bitmap[1], open ? 0 : 0xff, PAGE_SIZE);
    }
    if (++io_last_version == 0)
        io_last_version = 1;
    task->io_version = task->io_nodes ? io_last_version : 0;
}

static bool io_is_wide(const struct node *n) { return node_size(n) >= IO_BLOCK_SHIFT; }

/* The list of each block that a wide node covers. */
static void io_set_lists(const struct task *task, const struct node *n, struct node *first)
{
    struct node **lists = io_lists(task);

    for (uint32_t block = n->obj >> IO_BLOCK_SHIFT; block <= node_last(n) >> IO_BLOCK_SHIFT; block++)
        lists[block] = first;
}

static void io_enter(struct task *task, struct node *n)
{
    if (io_is_wide(n)) {
        n->io_next = NULL;
        io_set_lists(task, n, n);
    } else {
        struct node *before = io_before(task, n->obj);
        struct node **link = before ? &before->io_next : &io_lists(task)[n->obj >> IO_BLOCK_SHIFT];

        n->io_next = *link;
        *link = n;
    }
    task->io_nodes++;
    if (!task->io_filled) {
        memset(task->io_bitmap[0], 0xff, PAGE_SIZE);
        memset(task->io_bitmap[1], 0xff, PAGE_SIZE);
        task->io_filled = true;
    }
    if (io_open(node_rights(n)))
        io_show(task, n, true);
    else if (task->io_version == 0)
        io_show(task, n, false);
}

static void io_leave(struct task *task, struct node *n)
{
    if (io_is_wide(n)) {
        io_set_lists(task, n, NULL);
    } else {
        struct node **link = &io_lists(task)[n->obj >> IO_BLOCK_SHIFT];

        while (*link != n)
            link = &(*link)->io_next;
        *link = n->io_next;
        n->io_next = NULL;
    }
    task->io_nodes--;
    io_show(task, n, false);
}

/* ---- names ---- */

bool space_backed(const struct task *task, uint32_t name)
{
    uint32_t dir = dir_index(name);

    switch ((name >> 10) & 3u) {
    case L4_SPACE_MEM:
        if (dir >= USER_ENTRIES)
            return false;
        return ((name >> 4) & 63u) >= SUPER_SHIFT || task->pd_shadow[dir] != 0;
    case L4_SPACE_CAP:
        return task->cap_dir[dir] != NULL;
    default:
        return true;
    }
}

void space_enter(struct task *task, struct node *n)
{
    uint32_t base = node_base(n), dir = dir_index(base);

    n->task = task;
    if (LIKELY(node_is_page(n))) {
        ASSERT(dir < USER_ENTRIES && task->pd_shadow[dir] && !(task->pd_shadow[dir] & 1u));
        page_enter(n, &shadow_table(task->pd_shadow[dir])[table_index(base)],
                   &table_of(task->pd[dir])[table_index(base)]);
        return;
    }
    switch (node_space(n)) {
    case L4_SPACE_CAP:
        ASSERT(task->cap_dir[dir] && !*cap_slot(task, n));
        *cap_slot(task, n) = n;
        break;
    case L4_SPACE_MEM:
        ASSERT(dir < USER_ENTRIES && node_is_super(n) && task->pd_shadow[dir] == 0);
        task->pd_shadow[dir] = (uint32_t)(uintptr_t)n | 1u;
        if (!block_is_converted(n->obj))
            task->pd[dir] = node_pte(n, node_rights(n));
        break;
    default:
        io_enter(task, n);
        break;
    }
}

static uint32_t super_take(struct node *n)
{
    struct task *task = n->task;
    uint32_t base = node_base(n), refs = node_flag_refs(n->flags);

    n->flags &= (uint8_t)~NODE_REFS;
    if (n->flags & NODE_VIEW)
        refs |= pte_refs(view_drop(task, n));
    else
        refs |= entry_clear(task, node_entry(n), base);
    ASSERT(shadow_super(task->pd_shadow[dir_index(base)]) == n);
    task->pd_shadow[dir_index(base)] = 0;
    return refs;
}

uint32_t space_take(struct node *n)
{
    struct task *task = n->task;
    uint32_t refs = 0;

    if (LIKELY(node_is_page(n)))
        return node_flag_refs(page_take(n));
    switch (node_space(n)) {
    case L4_SPACE_CAP:
        ASSERT(*cap_slot(task, n) == n);
        cap_leave(n);
        return 0;
    case L4_SPACE_MEM:
        refs = super_take(n);
        break;
    default:
        io_leave(task, n);
        break;
    }
    n->task = NULL;
    n->name &= ~15u;
    return refs;
}

void space_leave(struct node *n)
{
    refs_to_parent(n, space_take(n));
}

/*
 * A memory node's rights are new: entries that are there follow, missing ones are made if they may be.  In a view
 * nothing is added: mem_refill() does.
 */
static void mem_show(struct node *n, uint32_t rights)
{
    struct task *task = n->task;
    uint32_t base = node_base(n), lost = 0;

    if (UNLIKELY(n->flags & NODE_VIEW)) {
        uint32_t *view = table_of(task->pd[dir_index(base)]);
        uint32_t flags = pte_make(0, rights, (n->flags & NODE_DEVICE) != 0, false);

        lost = flags ? 0 : view_refs(view);
        view_mask(view, flags ? flags | PTE_REFS | ~(PAGE_SIZE - 1u) : 0);
        arch_tlb_flush_all(task);
    } else {
        bool converted = node_is_super(n) ? block_is_converted(n->obj) : frame_is_converted(n->obj);
        uint32_t *entry = node_entry(n), old = *entry, new = converted ? 0 : node_pte(n, rights);

        *entry = new ? new | (old & PTE_REFS) : 0;
        if (old) {
            arch_tlb_flush_page(task, base);
            lost = new ? 0 : old;
        }
    }
    refs_to_parent(n, pte_refs(lost));
}

void space_set_rights(struct node *n, uint32_t rights)
{
    uint32_t old = node_rights(n);

    n->name = (n->name & ~15u) | rights;
    if (!n->task)
        return;
    if (node_space(n) == L4_SPACE_CAP)
        cap_weakened(n);
    if (node_space(n) == L4_SPACE_MEM)
        mem_show(n, rights);
    else if (node_space(n) == L4_SPACE_IO && io_open(rights) != io_open(old))
        io_show(n->task, n, io_open(rights));
}

void space_suspend(struct node *n, paddr_t lo, paddr_t last)
{
    uint32_t base = node_base(n), refs;

    if (!n->task || node_space(n) != L4_SPACE_MEM || n->obj > last || node_last(n) < lo)
        return;
    if (n->flags & NODE_VIEW) {
        unsigned first = lo > n->obj ? (lo - n->obj) >> PAGE_SHIFT : 0;
        unsigned end = last < node_last(n) ? (last - n->obj) >> PAGE_SHIFT : DIR_ENTRIES - 1u;

        refs = pte_refs(view_clear(n->task, n, first, end));
    } else {
        refs = entry_clear(n->task, node_entry(n), base);
    }
    refs_to_parent(n, refs);
}

uint32_t space_refs(struct node *n, bool reset)
{
    uint32_t refs = node_flag_refs(n->flags), bits = 0, base = node_base(n);

    if (node_space(n) != L4_SPACE_MEM)
        return 0;
    if (reset)
        n->flags &= (uint8_t)~NODE_REFS;
    if (!n->task)
        return refs;
    if (UNLIKELY(n->flags & NODE_VIEW)) {
        uint32_t *view = table_of(n->task->pd[dir_index(base)]);

        bits = view_refs(view);
        if (reset && bits) {
            view_mask(view, ~PTE_REFS);
            arch_tlb_flush_all(n->task);
        }
    } else {
        uint32_t *entry = node_entry(n);

        bits = *entry & PTE_REFS;
        if (reset && bits) {
            *entry &= ~PTE_REFS;
            arch_tlb_flush_page(n->task, base);
        }
    }
    return refs | pte_refs(bits);
}

/* ---- tables ---- */

static enum l4_detail view_add(struct task *task, struct node *n, const struct kres *res)
{
    enum l4_detail detail;
    uint32_t *view = kmem_alloc_page(res, FRAME_PAGETABLE, task, &detail);

    if (!view)
        return detail;
    /* A conversion that has marked its frames may not have come here yet to clear the entry. */
    refs_to_parent(n, entry_clear(task, node_entry(n), node_base(n)));
    task->pd[dir_index(node_base(n))] = pde_table(virt_to_phys(view));
    n->flags |= NODE_VIEW;
    return L4_D_NONE;
}

static enum l4_detail pagetable_add(struct task *task, uint32_t dir, const struct kres *res)
{
    struct kres next = *res;
    enum l4_detail detail;
    void *hardware, *shadow;

    hardware = kmem_alloc_page(res, FRAME_PAGETABLE, task, &detail);
    if (!hardware)
        return detail;
    if (res->room)
        kroom_follow(res->room, ++next.at);
    shadow = kmem_alloc_page(&next, FRAME_SHADOW, task, &detail);
    if (!shadow) {
        kmem_free_page(hardware);
        return detail;
    }
    task->pd_shadow[dir] = (uint32_t)(uintptr_t)shadow;
    task->pd[dir] = pde_table(virt_to_phys(hardware));
    return L4_D_NONE;
}

enum l4_detail space_add_table(struct task *task, uint32_t space, uint32_t name,
                               const struct kres *res)
{
    uint32_t dir = dir_index(name);
    enum l4_detail detail = L4_D_NONE;

    if (space == L4_SPACE_CAP) {
        if (!task->cap_dir[dir])
            task->cap_dir[dir] = kmem_alloc_page(res, FRAME_CAPTABLE, task, &detail);
    } else if (space == L4_SPACE_MEM) {
        uint32_t entry;

        if (dir >= USER_ENTRIES)
            return L4_D_KERNEL_RANGE;
        entry = task->pd_shadow[dir];
        if (entry & 1u) {
            struct node *n = shadow_super(entry);

            if (!(n->flags & NODE_VIEW) && block_is_converted(n->obj))
                detail = view_add(task, n, res);
        } else if (!entry) {
            detail = pagetable_add(task, dir, res);
        }
    }
    return detail;
}

void space_drop_table(struct task *task, uint32_t space, uint32_t name)
{
    uint32_t dir = dir_index(name);

    if (space == L4_SPACE_CAP) {
        struct node **table = task->cap_dir[dir];

        if (table) {
            task->cap_dir[dir] = NULL;
            kmem_free_page(table);
        }
    } else if (space == L4_SPACE_MEM && dir < USER_ENTRIES) {
        uint32_t entry = task->pd_shadow[dir];

        if (entry & 1u) {
            struct node *n = shadow_super(entry);

            if (n->flags & NODE_VIEW)
                refs_to_parent(n, pte_refs(view_drop(task, n)));
        } else if (entry) {
            uint32_t *table = table_of(task->pd[dir]);

            task->pd_shadow[dir] = 0;
            task->pd[dir] = 0;
            arch_tlb_flush_all(task);
            kmem_free_page(table);
            kmem_free_page(shadow_table(entry));
        }
    }
}

/* ---- refill ---- */

enum l4_detail mem_refill(struct task *task, uint32_t address, uint32_t access,
                          const struct kres *view_res)
{
    struct node *n = address < L4_USER_TOP ? mem_lookup(task, address) : NULL;
    /* Without an execute bit in the MMU reading lets fetch. [G3] */
    uint32_t need = access & L4_W ? L4_R | L4_W : L4_R;
    uint32_t *entry, new;
    paddr_t phys;

    if (!n || node_rights(n) == 0)
        return L4_D_EMPTY;
    if ((node_rights(n) & need) != need)
        return L4_D_RIGHTS;
    phys = n->obj + (round_down(address, PAGE_SIZE) - node_base(n));
    if (frame_is_converted(phys))
        return L4_D_CONVERTED;

    new = node_pte(n, node_rights(n));
    if (!node_is_super(n)) {
        entry = node_entry(n);
    } else if (!block_is_converted(n->obj)) {
        entry = node_entry(n);
        if (n->flags & NODE_VIEW)
            new |= view_drop(task, n);
    } else {
        if (!(n->flags & NODE_VIEW)) {
            enum l4_detail detail = view_res ? view_add(task, n, view_res) : L4_D_RES_EMPTY;

            if (detail != L4_D_NONE)
                return detail == KMEM_SEARCHING ? detail : L4_D_NO_PAGETABLE;
        }
        entry = &table_of(task->pd[dir_index(address)])[table_index(address)];
        new = pte_make(phys, node_rights(n), (n->flags & NODE_DEVICE) != 0, false);
    }
    /* If the entry allowed it already, the processor had a stale one: the flush is what was missing. */
    *entry = new | (*entry & PTE_REFS);
    arch_tlb_flush_page(task, address);
    return L4_D_NONE;
}
