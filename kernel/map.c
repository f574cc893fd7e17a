// SPDX-License-Identifier: MIT
/*
 * Mapping: new nodes below existing ones, and the typed items of a message that ask for them.
 * [M 2.1.1] [M 2.5] [G10] - [G15]
 *
 * A map never takes anything away: an occupied destination is skipped, so an item costs its sender time
 * and memory and the receiver nothing but free names.  Rights of a new node: those of the source
 * node, of the item and of the receiver's window, all three.
 *
 * Items are performed in the sender's time, after the words were copied; the receiver is held in
 * THREAD_XFER meanwhile.  Names are looked up anew for every single mapping, so whatever happens to both
 * spaces at a preemption point is seen.  Progress: struct map_state of the sender.
 */
#include "kernel/map.h"

#include "kernel/ipc.h"
#include "kernel/trace.h"

/* Work between preemption points: a name looked at costs 1, one mapped 4: 16 mappings.  [G42] */
#define MAP_WORK      64u
#define MAP_WORK_NODE 3u
#define TABLE_NAMES   1024u
#define NAMES_OF(order) (1u << ((order) - L4_NAME_SHIFT))

/* A mapping to be made: what the new node says.  name: without rights. */
struct piece {
    struct node *source;
    uint32_t obj, name, rights;
    uint32_t badge;
    uint8_t badge_len;
};

/* ---- outcome of one operation ---- */

void map_reset(struct map_state *m)
{
    m->offset = 0;
    m->granted = 0;
    m->mapped = 0;
    m->failed = L4_D_NONE;
    m->empty_detail = L4_D_NONE;
}

enum l4_detail map_outcome(const struct map_state *m)
{
    if (m->failed)
        return (enum l4_detail)m->failed;
    if (m->mapped)
        return L4_D_NONE;
    return m->empty_detail ? (enum l4_detail)m->empty_detail : L4_D_EMPTY;
}

static void fail(struct map_state *m, enum l4_detail detail)
{
    if (!m->failed)
        m->failed = detail;
}

/* A name with nothing to give; it only matters if all are like that.  RIGHTS says more than EMPTY. */
static void skip(struct map_state *m, enum l4_detail detail)
{
    if (m->empty_detail != L4_D_RIGHTS)
        m->empty_detail = detail;
}

static void spend(unsigned *work, unsigned cost)
{
    *work = *work > cost ? *work - cost : 0;
}

static void count(struct map_state *m, const struct piece *p)
{
    unsigned order = (p->name >> 4) & 63u;

    m->granted |= p->rights;
    m->mapped += order == L4_NAME_SHIFT ? 1u : NAMES_OF(order);
}

/* ---- one mapping ---- */

/* The name is taken.  The same mapping once more adds rights: read fault, then write fault.  [G15] */
static void map_again(struct map_state *m, struct node *there, const struct piece *p)
{
    uint32_t old = node_rights(there), rights = old | p->rights;

    if (there->parent != p->source || there->obj != p->obj || (there->name & ~15u) != p->name ||
        old == 0 || there->badge_len != p->badge_len ||
        (node_space(there) == L4_SPACE_CAP && there->badge != p->badge)) {
        fail(m, L4_D_OCCUPIED);
        return;
    }
    if (rights != old)
        space_set_rights(there, rights);
    count(m, p);
}

/* The name is free and backed.  False: no memory for the node, so go no further in this item. */
static bool map_new(const struct map_job *job, const struct piece *p)
{
    struct map_state *m = job->state;
    enum l4_detail detail;
    struct node *n;

    if (UNLIKELY(p->source->depth == NODE_DEPTH_MAX)) {
        fail(m, L4_D_TOO_DEEP);
        return true;
    }
    n = kmem_alloc(&job->nodes, L4_SIZE_NODE, UNIT_NODE, &detail);
    if (!n) {
        fail(m, detail);
        m->offset = job->names;
        return false;
    }
    n->task = job->to;
    n->obj = p->obj;
    n->name = p->name | p->rights;
    n->badge_len = p->badge_len;
    n->badge = p->badge;
    n->flags = p->source->flags & NODE_DEVICE;
    mapdb_insert(p->source, n);
    space_enter(job->to, n);
    TRACE(MAP, job->space == L4_SPACE_CAP ? node_kobj(n)->id : n->obj, job->to->obj.id, n->name);
    count(m, p);
    return true;
}

/* Rights that pass all masks; 0: the name is skipped. */
static uint32_t rights_of(const struct map_job *job, const struct node *source)
{
    uint32_t have = node_rights(source);

    if (!(have & job->rights))
        skip(job->state, have ? L4_D_RIGHTS : L4_D_EMPTY);
    return have & job->rights;
}

/* Back the name; capability or memory space.  Counts the failure itself. */
static bool make_table(const struct map_job *job, uint32_t name, unsigned *work)
{
    const struct kres res[] = { { job->from, job->from_tables }, { job->to, job->to_tables } };

    for (unsigned i = 0; i < ARRAY_SIZE(res); i++) {
        if (!res[i].fpage)
            continue;
        *work = 0; /* pages were cleared: time for a preemption point */
        if (space_add_table(job->to, job->space, name, &res[i]) == L4_D_NONE)
            return true;
    }
    fail(job->state, job->space == L4_SPACE_CAP ? L4_D_NO_CAPTABLE : L4_D_NO_PAGETABLE);
    return false;
}

/* No name of this destination block can be had: go on behind it. */
static void skip_block(struct map_state *m, uint32_t name)
{
    m->offset += TABLE_NAMES - ((name >> L4_NAME_SHIFT) & (TABLE_NAMES - 1u));
}

/* ---- capabilities ---- */

static bool append_badge(const struct map_job *job, struct piece *p)
{
    unsigned bits = job->badge_size;

    p->badge = p->source->badge;
    p->badge_len = p->source->badge_len;
    if (bits == 0 || node_kobj(p->source)->type != L4_TYPE_ENDPOINT)
        return true;
    if (p->badge_len + bits > 32u) {
        fail(job->state, L4_D_BADGE_FULL);
        return false;
    }
    p->badge = bits == 32u ? job->badge : (p->badge << bits) | job->badge;
    p->badge_len = (uint8_t)(p->badge_len + bits);
    return true;
}

static void map_cap(const struct map_job *job, unsigned *work)
{
    struct map_state *m = job->state;
    uint32_t name = job->source + (m->offset << L4_NAME_SHIFT);
    uint32_t to = job->destination + (m->offset << L4_NAME_SHIFT);
    struct node **table = job->from->cap_dir[name >> SUPER_SHIFT];
    struct node *there;
    struct piece p;

    if (!table) {
        skip(m, L4_D_EMPTY);
        skip_block(m, name);
        return;
    }
    p.source = table[(name >> L4_NAME_SHIFT) & (TABLE_NAMES - 1u)];
    if (!p.source || kobj_is_dying(node_kobj(p.source))) {
        skip(m, L4_D_EMPTY);
        m->offset++;
        return;
    }
    p.rights = rights_of(job, p.source);
    p.obj = p.source->obj;
    p.name = L4_CAP_FPAGE(to >> L4_NAME_SHIFT, 0);
    if (!p.rights || !append_badge(job, &p)) {
        m->offset++;
        return;
    }
    if (to == L4_CAP_INVALID) { /* [G2] */
        fail(m, L4_D_BAD_VALUE);
        m->offset++;
        return;
    }
    spend(work, MAP_WORK_NODE);
    there = cap_lookup(job->to, to >> L4_NAME_SHIFT);
    if (there) {
        map_again(m, there, &p);
    } else if (!space_backed(job->to, p.name) && !make_table(job, to, work)) {
        skip_block(m, to);
        return;
    } else if (!map_new(job, &p)) {
        return;
    }
    m->offset++;
}

/* ---- memory ---- */

/*
 * A whole 4 MB page to a whole 4 MB block.  False: there is a page table, so it goes in small ones.
 */
static bool map_super(const struct map_job *job, struct node *source, uint32_t to)
{
    struct map_state *m = job->state;
    uint32_t entry = job->to->pd_shadow[to >> SUPER_SHIFT];
    struct piece p = { .source = source, .obj = source->obj,
                       .name = L4_FPAGE(to, L4_SPACE_MEM, SUPER_SHIFT, 0) };

    if (entry && !(entry & 1u))
        return false;
    p.rights = rights_of(job, source);
    if (p.rights && entry)
        map_again(m, (struct node *)(uintptr_t)(entry & ~1u), &p);
    else if (p.rights && !map_new(job, &p))
        return true;
    m->offset += TABLE_NAMES;
    return true;
}

static void map_mem(const struct map_job *job, unsigned *work)
{
    struct map_state *m = job->state;
    uint32_t name = job->source + (m->offset << L4_NAME_SHIFT);
    uint32_t to = job->destination + (m->offset << L4_NAME_SHIFT);
    uint32_t entry = job->from->pd_shadow[name >> SUPER_SHIFT];
    unsigned index = (name >> L4_NAME_SHIFT) & (TABLE_NAMES - 1u);
    struct node **table;
    struct piece p;

    if (!entry) {
        skip(m, L4_D_EMPTY);
        skip_block(m, name);
        return;
    }
    if (entry & 1u) {
        p.source = (struct node *)(uintptr_t)(entry & ~1u);
        /* Source and destination are aligned alike: both are blocks, or neither is. */
        if (job->order >= SUPER_SHIFT && index == 0) {
            spend(work, MAP_WORK_NODE);
            if (map_super(job, p.source, to))
                return;
        }
    } else {
        p.source = ((struct node **)(uintptr_t)entry)[index];
        if (!p.source) {
            skip(m, L4_D_EMPTY);
            m->offset++;
            return;
        }
    }
    p.rights = rights_of(job, p.source);
    if (!p.rights) {
        m->offset++;
        return;
    }
    p.obj = p.source->obj + (name - node_base(p.source));
    p.name = L4_FPAGE(to, L4_SPACE_MEM, L4_NAME_SHIFT, 0);
    p.badge = 0;
    p.badge_len = 0;
    spend(work, MAP_WORK_NODE);
    entry = job->to->pd_shadow[to >> SUPER_SHIFT];
    if (!entry) {
        if (!make_table(job, to, work)) {
            skip_block(m, to);
            return;
        }
        entry = job->to->pd_shadow[to >> SUPER_SHIFT];
    }
    if (entry & 1u) {
        fail(m, L4_D_OCCUPIED);
        skip_block(m, to);
        return;
    }
    table = (struct node **)(uintptr_t)entry;
    index = (to >> L4_NAME_SHIFT) & (TABLE_NAMES - 1u);
    if (table[index])
        map_again(m, table[index], &p);
    else if (!map_new(job, &p))
        return;
    m->offset++;
}

/* ---- IO ports: names are port numbers, nodes are ranges ---- */

static struct node *io_at_or_behind(const struct task *task, uint32_t name)
{
    struct node *n = task->io_nodes;

    while (n && node_last(n) < name)
        n = n->io_next;
    return n;
}

/* The largest aligned range from `first` that ends at `last` or before. */
static unsigned io_order(uint32_t first, uint32_t last)
{
    unsigned order = L4_NAME_SHIFT;

    while (order < FLEXPAGE_IO_ORDER && !(first & flexpage_mask(order + 1u)) &&
           flexpage_mask(order + 1u) <= last - first)
        order++;
    return order;
}

static void map_io(const struct map_job *job, unsigned *work)
{
    struct map_state *m = job->state;
    uint32_t first = job->source + (m->offset << L4_NAME_SHIFT);
    uint32_t last = job->source + flexpage_mask(job->order);
    struct node *source = io_at_or_behind(job->from, first), *there;
    struct piece p = { .source = source };

    if (!source || source->obj > last) {
        skip(m, L4_D_EMPTY);
        m->offset = job->names;
        return;
    }
    first = max_u32(first, source->obj);
    last = min_u32(last, node_last(source));
    p.rights = rights_of(job, source);
    if (p.rights) {
        spend(work, MAP_WORK); /* a walk through two lists, and a bitmap */
        there = io_at_or_behind(job->to, first);
        if (there && there->obj <= first) {
            /* Only a node that lies in the item completely can be the same mapping once more. */
            p.obj = there->obj;
            p.name = there->name & ~15u;
            if (there->obj >= job->source && node_last(there) <= last)
                map_again(m, there, &p);
            else
                fail(m, L4_D_OCCUPIED);
            last = min_u32(last, node_last(there));
        } else {
            if (there && there->obj <= last)
                last = there->obj - 1u;
            p.obj = first;
            p.name = L4_FPAGE(first, L4_SPACE_IO, io_order(first, last), 0);
            if (!map_new(job, &p))
                return;
            last = first + flexpage_mask((p.name >> 4) & 63u);
        }
    }
    m->offset = ((last - job->source) >> L4_NAME_SHIFT) + 1u;
}

/* ---- the operation ---- */

enum l4_detail map_adjust(struct map_job *job, const struct flexpage *send,
                          const struct flexpage *window, uint32_t hot)
{
    struct hot_spot spot;
    uint32_t high, mask;

    if (!window->names || window->space != send->space)
        return L4_D_NO_WINDOW;
    if (!flexpage_adjust(send, window, hot, &spot))
        return L4_D_NO_WINDOW;
    job->source = spot.source;
    job->destination = spot.destination;
    job->order = (uint8_t)spot.order;
    job->space = send->space;
    job->rights = send->rights & window->rights;
    mask = send->mask & window->mask;
    job->names = (mask >> L4_NAME_SHIFT) + 1u;
    high = max_u32(spot.source, spot.destination);
    if (job->space == L4_SPACE_MEM && (high | mask) >= L4_USER_TOP) {
        if (high >= L4_USER_TOP)
            return L4_D_KERNEL_RANGE;
        job->names = (L4_USER_TOP - high) >> L4_NAME_SHIFT;
    }
    return L4_D_NONE;
}

enum step map_run(const struct map_job *job)
{
    struct map_state *m = job->state;

    for (;;) {
        unsigned work = MAP_WORK;

        for (; m->offset < job->names && work; spend(&work, 1)) {
            if (job->space == L4_SPACE_MEM)
                map_mem(job, &work);
            else if (job->space == L4_SPACE_CAP)
                map_cap(job, &work);
            else
                map_io(job, &work);
        }
        if (m->offset >= job->names)
            return STEP_DONE;
        if (preempt_point(PREEMPT_MAP))
            return STEP_PREEMPTED;
    }
}

/* ---- typed items ---- */

void map_begin(struct thread *sender, struct thread *receiver)
{
    sender->map = (struct map_state){ .count = sender->ipc->st, .nodes = sender->tcr[L4_TCR_SNDRES] };
    receiver->ipc->ot = 0;
}

static void item_fail(struct map_state *m, enum l4_detail detail)
{
    if (!m->error && detail != L4_D_NONE)
        m->error = L4_ERR(L4_MAP, detail, m->item);
}

/* The receiver's next item: two words behind the untyped ones that it received.  [G10] */
static void item_result(struct thread *receiver, uint32_t a, uint32_t b)
{
    struct ipc *ipc = receiver->ipc;
    unsigned at = ipc->oc + 2u * ipc->ot;

    *thread_msg(receiver, at) = a;
    *thread_msg(receiver, at + 1u) = b;
    ipc->ot++;
}

/* Where the receiver accepts things of this space; selects nothing: nowhere.  [G12] */
static void window_of(const struct thread *receiver, unsigned space, struct flexpage *out)
{
    /* Kernel-made receives accept everything. */
    static const uint32_t all[] = { L4_ALL_MEM, L4_ALL_CAP, L4_ALL_IO };
    uint32_t word = receiver->ipc->kind == IPC_USER ? receiver->tcr[L4_TCR_WINDOW + space] : all[space];

    (void)flexpage_decode(word, out);
    if (UNLIKELY(out->space != space))
        out->names = 0;
}

/* From where to where.  L4_D_NONE (the nil flexpage: and nothing is placed), or why not. */
static enum l4_detail place_any(struct map_job *job, const struct thread *receiver, uint32_t fpage,
                                uint32_t hot)
{
    struct flexpage send, window;
    enum l4_detail detail = flexpage_decode(fpage, &send);

    if (detail != L4_D_NONE || !fpage)
        return detail;
    if (!send.names)
        return L4_D_KERNEL_RANGE;
    window_of(receiver, send.space, &window);
    return map_adjust(job, &send, &window, hot);
}

/* The same for the most common item, one page or one capability that fits; false: use the other. */
ALWAYS_INLINE bool place_one(struct map_job *job, const struct thread *receiver, uint32_t fpage,
                             uint32_t hot)
{
    unsigned space = (fpage >> 10) & 3u;
    struct flexpage window;

    if (((fpage >> 4) & 63u) != L4_NAME_SHIFT || space > L4_SPACE_CAP)
        return false;
    window_of(receiver, space, &window);
    if (UNLIKELY(!window.names))
        return false;
    job->source = fpage & 0xfffff000u;
    job->destination = window.base | (hot & window.mask);
    job->names = 1;
    job->space = (uint8_t)space;
    job->order = L4_NAME_SHIFT;
    job->rights = fpage & window.rights;
    return space == L4_SPACE_CAP || max_u32(job->source, job->destination) < L4_USER_TOP;
}

static enum step item_map(struct thread *sender, struct thread *receiver, uint32_t a, uint32_t b)
{
    struct map_state *m = &sender->map;
    enum l4_detail detail = L4_D_NONE;
    struct map_job job;

    if (!place_one(&job, receiver, a, b & ~0xfffu))
        detail = place_any(&job, receiver, a, b & ~0xfffu);
    if (UNLIKELY(detail != L4_D_NONE || !a)) { /* the nil flexpage is no mistake */
        item_fail(m, detail);
        item_result(receiver, 0, L4_ITEM_MAP);
        return STEP_DONE;
    }
    job.from = sender->task;
    job.to = receiver->task;
    job.state = m;
    job.nodes = (struct kres){ sender->task, m->nodes };
    job.from_tables = m->tables;
    job.to_tables = receiver->tcr[L4_TCR_RCVRES];
    job.badge = m->badge;
    job.badge_size = m->badge_size;
    if (map_run(&job) == STEP_PREEMPTED)
        return STEP_PREEMPTED;
    item_fail(m, map_outcome(m));
    item_result(receiver,
                m->mapped ? L4_FPAGE(job.destination, job.space, job.order, m->granted) : 0,
                m->mapped << L4_NAME_SHIFT | L4_ITEM_MAP);
    return STEP_DONE;
}

/*
 * A page table, a capability table, or the table that shows a 4 MB page in small entries because part
 * of it is converted.  [G14] [G52]
 */
static bool wants_table(const struct task *task, unsigned space, uint32_t name)
{
    uint32_t entry;
    const struct node *n;

    if (space == L4_SPACE_CAP)
        return !task->cap_dir[name >> SUPER_SHIFT];
    entry = task->pd_shadow[name >> SUPER_SHIFT];
    if (!(entry & 1u))
        return entry == 0;
    n = (const struct node *)(uintptr_t)(entry & ~1u);
    return !(n->flags & NODE_VIEW) && block_is_converted(n->obj);
}

/* Where the tables go: the window and the region, both rounded up to what one table backs. */
static bool tables_place(struct thread *receiver, uint32_t b, unsigned space, struct hot_spot *spot)
{
    unsigned order = min_u32(max_u32((b >> 4) & 63u, SUPER_SHIFT), 32u);
    struct flexpage region = { .space = (uint8_t)space, .order = (uint8_t)order,
                               .mask = flexpage_mask(order) };
    struct flexpage window;

    window_of(receiver, space, &window);
    if (!window.names)
        return false;
    window.order = (uint8_t)max_u32(window.order, SUPER_SHIFT);
    window.mask = flexpage_mask(window.order);
    window.base &= ~window.mask;
    return flexpage_adjust(&region, &window, b & ~0xfffu, spot);
}

static enum step item_tables(struct thread *sender, struct thread *receiver, uint32_t a, uint32_t b)
{
    struct map_state *m = &sender->map;
    unsigned space = (b >> 10) & 3u;
    enum l4_detail detail = L4_D_NONE;
    struct kres res = { sender->task, a };
    struct flexpage pages;
    struct hot_spot spot = { 0, 0, SUPER_SHIFT };
    uint32_t blocks;

    if (flexpage_decode(a, &pages) != L4_D_NONE || (a && pages.space != L4_SPACE_CAP))
        detail = L4_D_BAD_FLEXPAGE;
    else if (space > L4_SPACE_IO)
        detail = L4_D_BAD_VALUE;
    else if (space != L4_SPACE_IO && !tables_place(receiver, b, space, &spot))
        detail = L4_D_NO_WINDOW;
    else if (space == L4_SPACE_MEM && spot.destination >= L4_USER_TOP)
        detail = L4_D_KERNEL_RANGE;
    if (detail != L4_D_NONE || space == L4_SPACE_IO) { /* ports need no tables */
        item_fail(m, detail);
        item_result(receiver, 0, L4_ITEM_TABRES);
        return STEP_DONE;
    }
    m->tables = a;
    blocks = 1u << (spot.order - SUPER_SHIFT);
    if (space == L4_SPACE_MEM)
        blocks = min_u32(blocks, (L4_USER_TOP - spot.destination) >> SUPER_SHIFT);
    for (unsigned work = MAP_WORK; m->offset < blocks; m->offset++) {
        uint32_t name = spot.destination + (m->offset << SUPER_SHIFT);

        if (work == 0) {
            if (preempt_point(PREEMPT_TABLE))
                return STEP_PREEMPTED;
            work = MAP_WORK;
        }
        work--;
        if (!wants_table(receiver->task, space, name))
            continue;
        detail = space_add_table(receiver->task, space, name, &res);
        if (detail != L4_D_NONE)
            break;
        m->mapped++;
        work = 0;
    }
    item_fail(m, detail);
    item_result(receiver, m->offset ? L4_FPAGE(spot.destination, space, spot.order, 0) : 0,
                m->mapped << L4_NAME_SHIFT | L4_ITEM_TABRES);
    return STEP_DONE;
}

static void item_resources(struct map_state *m, uint32_t a)
{
    struct flexpage pages;

    m->nodes = 0;
    if (flexpage_decode(a, &pages) != L4_D_NONE || (a && pages.space != L4_SPACE_CAP))
        item_fail(m, L4_D_BAD_FLEXPAGE);
    else
        m->nodes = a;
}

static void item_badge(struct map_state *m, uint32_t a, uint32_t b)
{
    unsigned bits = (b >> 4) & 63u;

    if (bits > 32u) {
        item_fail(m, L4_D_BAD_VALUE);
        bits = 0;
    }
    m->badge_size = (uint8_t)bits;
    m->badge = bits ? a & flexpage_mask(bits) : 0;
}

static enum step item_perform(struct thread *sender, struct thread *receiver)
{
    struct map_state *m = &sender->map;
    unsigned at = sender->ipc->sc + 2u * m->item;
    uint32_t a = *thread_msg(sender, at), b = *thread_msg(sender, at + 1u);
    unsigned kind = b & 15u;

    switch (kind) {
    case L4_ITEM_VOID:
        return STEP_DONE;
    case L4_ITEM_MAPRES:
        item_resources(m, a);
        return STEP_DONE;
    case L4_ITEM_BADGE:
        item_badge(m, a, b);
        return STEP_DONE;
    case L4_ITEM_MAP:
    case L4_ITEM_TABRES:
        if (receiver->ipc->ot >= receiver->ipc->rt || !receiver->task) {
            item_fail(m, L4_D_TRUNC_ITEM);
            return STEP_DONE;
        }
        return kind == L4_ITEM_MAP ? item_map(sender, receiver, a, b)
                                   : item_tables(sender, receiver, a, b);
    default:
        item_fail(m, L4_D_RESERVED_OP);
        return STEP_DONE;
    }
}

enum step map_items(struct thread *sender)
{
    struct map_state *m = &sender->map;

    while (m->item < m->count) {
        if (item_perform(sender, sender->ipc->partner) == STEP_PREEMPTED)
            return STEP_PREEMPTED;
        map_reset(m);
        m->item++;
        /* Each item may have done a stretch's work since its last point. */
        if (m->item < m->count && preempt_point(PREEMPT_MAP))
            return STEP_PREEMPTED;
    }
    return STEP_DONE;
}
