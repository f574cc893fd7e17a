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
#include "kernel/page.h"
#include "kernel/trace.h"

/* Work between preemption points: a name looked at costs 1, one mapped 4: 16 mappings.  [G42] */
#define MAP_WORK      64u
#define MAP_WORK_NODE 3u
#define NAMES_OF(order) (1u << ((order) - L4_NAME_SHIFT))

/* What may be done before the next preemption point, and the kernel page that mapping nodes come from. */
struct stretch {
    unsigned work;
    struct kpage *page;
    bool searching; /* for room, which goes on behind the preemption point, with the same name */
};

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
    kroom_reset(&m->room);
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

ALWAYS_INLINE void spend(struct stretch *s, unsigned cost)
{
    s->work = s->work > cost ? s->work - cost : 0;
}

ALWAYS_INLINE void count(struct map_state *m, const struct piece *p)
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

static void search_on(struct stretch *s)
{
    s->searching = true;
    s->work = 0;
}

/* No memory, and the job is over; or not yet. */
static struct node *no_node(const struct map_job *job, struct stretch *s, enum l4_detail detail)
{
    if (detail == KMEM_SEARCHING) {
        search_on(s);
    } else {
        fail(job->state, detail);
        job->state->offset = job->names;
    }
    return NULL;
}

/*
 * A node for a free name that is backed; it stands in no name yet.  NULL: s->searching, or the failure is counted,
 * and without memory the job is over.
 */
ALWAYS_INLINE struct node *new_node(const struct map_job *job, const struct piece *p, struct stretch *s)
{
    struct map_state *m = job->state;
    enum l4_detail detail;
    struct node *n;

    if (UNLIKELY(p->source->depth == NODE_DEPTH_MAX)) {
        fail(m, L4_D_TOO_DEEP);
        return NULL;
    }
    n = kmem_alloc_node(&job->nodes, &s->page, &detail);
    if (UNLIKELY(!n))
        return no_node(job, s, detail);
    n->task = job->to;
    n->obj = p->obj;
    n->name = p->name | p->rights;
    n->badge = p->badge;
    mapdb_insert(p->source, n, 0, p->badge_len);
    count(m, p);
    return n;
}

#define TRACE_MAP(job, n)                                                             \
    TRACE(MAP, (job)->space == L4_SPACE_CAP ? node_kobj(n)->id : (n)->obj, (job)->to->obj.id, (n)->name)

/* The name is free and backed.  False: no memory for the node, the job is over; or s->searching. */
static bool map_new(const struct map_job *job, const struct piece *p, struct stretch *s)
{
    struct node *n = new_node(job, p, s);

    if (!n)
        return job->state->offset < job->names && !s->searching;
    space_enter(job->to, n);
    TRACE_MAP(job, n);
    return true;
}

/* Rights that pass all masks; 0: the name is skipped. */
ALWAYS_INLINE uint32_t rights_of(const struct map_job *job, const struct node *source)
{
    uint32_t have = node_rights(source);

    if (!(have & job->rights))
        skip(job->state, have ? L4_D_RIGHTS : L4_D_EMPTY);
    return have & job->rights;
}

/* Back the name; capability or memory space.  False: s->searching, or the failure is counted. */
static bool make_table(const struct map_job *job, uint32_t name, struct stretch *s)
{
    struct kroom *room = &job->state->room;
    const struct kres res[] = { { job->from, job->from_tables, room, ROOM_FROM },
                                { job->to, job->to_tables, room, ROOM_TO } };
    enum l4_detail detail;

    for (unsigned i = 0; i < ARRAY_SIZE(res); i++) {
        if (!res[i].fpage)
            continue;
        s->work = 0; /* pages were cleared: time for a preemption point */
        detail = space_add_table(job->to, job->space, name, &res[i]);
        if (detail == L4_D_NONE)
            return true;
        if (detail == KMEM_SEARCHING) {
            search_on(s);
            return false;
        }
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

static void map_cap(const struct map_job *job, struct stretch *s)
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
    spend(s, MAP_WORK_NODE);
    there = cap_lookup(job->to, to >> L4_NAME_SHIFT);
    if (there) {
        map_again(m, there, &p);
    } else if (!space_backed(job->to, p.name) && !make_table(job, to, s)) {
        if (!s->searching)
            skip_block(m, to);
        return;
    } else if (!map_new(job, &p, s)) {
        return;
    }
    m->offset++;
}

/* ---- memory ---- */

/*
 * A whole 4 MB page to a whole 4 MB block.  False: there is a page table, so it goes in small ones.
 */
static bool map_super(const struct map_job *job, struct node *source, uint32_t to, struct stretch *s)
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
    else if (p.rights && !map_new(job, &p, s))
        return true;
    m->offset += TABLE_NAMES;
    return true;
}

/*
 * The table of the block around `to`, made if there is none.  NULL: s->searching, none can be had, or a 4 MB node is
 * there.
 */
static struct node **table_for(const struct map_job *job, uint32_t to, struct stretch *s)
{
    const uint32_t *entry = &job->to->pd_shadow[dir_index(to)];

    if (UNLIKELY(!*entry) && !make_table(job, to, s))
        return NULL;
    if (LIKELY(!(*entry & 1u)))
        return shadow_table(*entry);
    fail(job->state, L4_D_OCCUPIED);
    return NULL;
}

/*
 * One source block to 4 KB names of one destination block.  They are aligned alike: what is left of the job
 * ends in both, or they end together.
 */
static void map_pages(const struct map_job *job, uint32_t entry, struct stretch *s)
{
    struct map_state *m = job->state;
    uint32_t name = job->source + (m->offset << L4_NAME_SHIFT);
    uint32_t to = job->destination + (m->offset << L4_NAME_SHIFT);
    unsigned index = table_index(to), from = table_index(name);
    unsigned end = m->offset + min_u32(job->names - m->offset, TABLE_NAMES - from);
    struct node **table = NULL, *one = entry & 1u ? shadow_super(entry) : NULL;
    uint32_t *hardware = NULL;
    struct piece p = { .name = L4_FPAGE(to, L4_SPACE_MEM, L4_NAME_SHIFT, 0) };

    for (; m->offset < end && s->work; m->offset++, name += PAGE_SIZE, p.name += PAGE_SIZE, index++, from++) {
        spend(s, 1);
        p.source = one ? one : shadow_table(entry)[from];
        if (!p.source) {
            skip(m, L4_D_EMPTY);
            continue;
        }
        p.rights = rights_of(job, p.source);
        if (!p.rights)
            continue;
        spend(s, MAP_WORK_NODE);
        if (!table) {
            table = table_for(job, to, s);
            if (!table) {
                if (!s->searching)
                    m->offset = end;
                return;
            }
            hardware = table_of(job->to->pd[dir_index(to)]);
        }
        p.obj = p.source->obj + (name - node_base(p.source));
        if (UNLIKELY(table[index])) {
            map_again(m, table[index], &p);
        } else {
            struct node *n = new_node(job, &p, s);

            if (LIKELY(n != NULL)) {
                page_enter(n, &table[index], &hardware[index]);
                TRACE_MAP(job, n);
            } else if (s->searching) {
                return;
            }
        }
    }
}

static void map_mem(const struct map_job *job, struct stretch *s)
{
    struct map_state *m = job->state;
    uint32_t name = job->source + (m->offset << L4_NAME_SHIFT);
    uint32_t to = job->destination + (m->offset << L4_NAME_SHIFT);
    uint32_t entry = job->from->pd_shadow[dir_index(name)];

    if (!entry) {
        spend(s, 1);
        skip(m, L4_D_EMPTY);
        skip_block(m, name);
        return;
    }
    /* Source and destination are aligned alike: both are blocks, or neither is. */
    if (job->order >= SUPER_SHIFT && entry & 1u && table_index(name) == 0) {
        spend(s, 1u + MAP_WORK_NODE);
        if (map_super(job, shadow_super(entry), to, s))
            return;
    }
    map_pages(job, entry, s);
}

/* ---- IO ports: names are port numbers, nodes are ranges ---- */

/* The largest aligned range from `first` that ends at `last` or before. */
static unsigned io_order(uint32_t first, uint32_t last)
{
    unsigned order = L4_NAME_SHIFT;

    while (order < FLEXPAGE_IO_ORDER && !(first & flexpage_mask(order + 1u)) &&
           flexpage_mask(order + 1u) <= last - first)
        order++;
    return order;
}

NOINLINE void map_io(const struct map_job *job, struct stretch *s)
{
    struct map_state *m = job->state;
    uint32_t first = job->source + (m->offset << L4_NAME_SHIFT);
    uint32_t last = job->source + flexpage_mask(job->order);
    struct node *source = io_at_or_behind(job->from, first), *there;
    struct piece p = { .source = source };

    spend(s, MAP_WORK); /* looks through two lists, and a bitmap */
    if (!source || source->obj > last) {
        skip(m, L4_D_EMPTY);
        m->offset = job->names;
        return;
    }
    first = max_u32(first, source->obj);
    last = min_u32(last, node_last(source));
    p.rights = rights_of(job, source);
    if (p.rights) {
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
            if (!map_new(job, &p, s))
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
        struct stretch s = { MAP_WORK, NULL, false };

        kroom_stretch(&m->room);
        while (m->offset < job->names && s.work) {
            if (LIKELY(job->space == L4_SPACE_MEM)) {
                map_mem(job, &s);
                continue;
            }
            spend(&s, 1);
            if (job->space == L4_SPACE_CAP)
                map_cap(job, &s);
            else
                map_io(job, &s);
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
    struct map_state *m = &sender->map;

    m->item = 0;
    m->count = sender->ipc->st;
    m->badge_size = 0;
    m->badge = 0;
    m->nodes = sender->tcr[L4_TCR_SNDRES];
    m->tables = 0;
    m->error = 0;
    map_reset(m);
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

/*
 * The same for one page or one capability: the name to map to, and the rights that both sides let pass.
 * False: it is not so, or needs a closer look.
 */
ALWAYS_INLINE bool place_one(const struct thread *receiver, unsigned space, uint32_t fpage, uint32_t *to,
                             uint32_t *rights)
{
    if (UNLIKELY(flexpage_order_in(fpage, space) != 0))
        return false;
    *to &= 0xfffff000u;
    *rights = fpage & L4_RIGHTS_ALL;
    if (receiver->ipc->kind == IPC_USER) {
        uint32_t window = receiver->tcr[L4_TCR_WINDOW + space], mask;
        unsigned more = flexpage_order_in(window, space);

        if (UNLIKELY(more > 32u - L4_NAME_SHIFT))
            return false;
        mask = flexpage_mask(L4_NAME_SHIFT + more);
        *to = (window & ~mask) | (*to & mask);
        *rights &= window;
    }
    return space == L4_SPACE_CAP || (fpage < L4_USER_TOP && *to < L4_USER_TOP);
}

/* A node from where one is expected, as kmem_alloc_node() would find it; NULL says nothing. */
#define HAND_NAMES 16u
ALWAYS_INLINE struct node *node_at_hand(const struct task *task, uint32_t fpage)
{
    unsigned order = flexpage_order_in(fpage, L4_SPACE_CAP), names;
    struct node **slot, **end;

    if (UNLIKELY(order > SUPER_SHIFT - L4_NAME_SHIFT))
        return NULL;
    slot = task->cap_dir[fpage >> SUPER_SHIFT];
    if (UNLIKELY(!slot))
        return NULL;
    names = 1u << order;
    slot += (fpage >> L4_NAME_SHIFT) & 1023u & ~(names - 1u);
    for (end = slot + min_u32(names, HAND_NAMES); slot != end; slot++) {
        const struct node *n = *slot;
        struct kpage *kp;

        if (!n || !(n->name & L4_W))
            continue;
        kp = (struct kpage *)(void *)node_kobj(n);
        if (kp->obj.type != L4_TYPE_KPAGE || kobj_is_dying(&kp->obj) || kp->hint >= kp->frames)
            continue;
        return kpage_take_unit(kp, UNIT_NODE);
    }
    return NULL;
}

NO_FRAME_POINTER MAP_PAGE_ABI bool map_page(const struct thread *sender, const struct thread *receiver,
                                            uint32_t fpage, uint32_t to, uint32_t nodes, uint32_t *result)
{
    struct task *task = receiver->task;
    struct node *source, **slot, *n;
    uint32_t rights, entry;

    if (!place_one(receiver, L4_SPACE_MEM, fpage, &to, &rights))
        return false;
    source = page_lookup(sender->task, fpage);
    entry = task->pd_shadow[dir_index(to)];
    if (UNLIKELY(!source) || UNLIKELY(!entry) || UNLIKELY(entry & 1u) || UNLIKELY(source->depth == NODE_DEPTH_MAX))
        return false;
    slot = &shadow_table(entry)[table_index(to)];
    rights &= source->name;
    if (UNLIKELY(*slot != NULL) || UNLIKELY(!rights))
        return false;
    n = node_at_hand(sender->task, nodes);
    if (UNLIKELY(!n))
        return false;
    n->task = task;
    n->obj = source->obj + (fpage & 0xfffff000u) - node_base(source);
    n->name = L4_FPAGE(to, L4_SPACE_MEM, L4_NAME_SHIFT, rights);
    n->badge = 0;
    mapdb_insert(source, n, 0, 0);
    page_enter(n, slot, &table_of(task->pd[dir_index(to)])[table_index(to)]);
    TRACE(MAP, n->obj, task->obj.id, n->name);
    result[0] = n->name;
    result[1] = 1u << L4_NAME_SHIFT | L4_ITEM_MAP;
    return true;
}

static enum step item_map(struct thread *sender, struct thread *receiver, uint32_t a, uint32_t b)
{
    struct map_state *m = &sender->map;
    enum l4_detail detail = L4_D_NONE;
    struct map_job job = { .source = a & 0xfffff000u, .destination = b, .names = 1, .order = L4_NAME_SHIFT };
    uint32_t rights;

    if (place_one(receiver, L4_SPACE_CAP, a, &job.destination, &rights)) {
        job.space = L4_SPACE_CAP;
        job.rights = (uint8_t)rights;
    } else {
        detail = place_any(&job, receiver, a, b & ~0xfffu);
    }
    if (UNLIKELY(detail != L4_D_NONE || !a)) { /* the nil flexpage is no mistake */
        item_fail(m, detail);
        item_result(receiver, 0, L4_ITEM_MAP);
        return STEP_DONE;
    }
    job.from = sender->task;
    job.to = receiver->task;
    job.state = m;
    job.nodes = (struct kres){ sender->task, m->nodes, &m->room, ROOM_NODE };
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
    struct kres res = { sender->task, a, &m->room, ROOM_FROM };
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
    kroom_stretch(&m->room);
    for (unsigned work = MAP_WORK; m->offset < blocks;) {
        uint32_t name = spot.destination + (m->offset << SUPER_SHIFT);

        if (work == 0) {
            if (preempt_point(PREEMPT_TABLE))
                return STEP_PREEMPTED;
            work = MAP_WORK;
            kroom_stretch(&m->room);
        }
        work--;
        if (wants_table(receiver->task, space, name)) {
            work = 0;
            detail = space_add_table(receiver->task, space, name, &res);
            if (detail == KMEM_SEARCHING)
                continue;
            if (detail != L4_D_NONE)
                break;
            m->mapped++;
        }
        m->offset++;
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

static enum step item_perform(struct thread *sender, struct thread *receiver, uint32_t a, uint32_t b)
{
    struct map_state *m = &sender->map;
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
    struct thread *receiver = sender->ipc->partner;

    while (m->item < m->count) {
        unsigned at = 2u + sender->ipc->sc + 2u * m->item; /* kernel-made messages have no items to send */
        uint32_t a = *thread_word(sender, at), b = *thread_word(sender, at + 1u), result[2];

        /* Never left half-way, so it is none that goes on. */
        if ((b & 15u) == L4_ITEM_MAP && receiver->ipc->ot < receiver->ipc->rt && receiver->task &&
            map_page(sender, receiver, a, b, m->nodes, result)) {
            item_result(receiver, result[0], result[1]);
            m->item++;
            continue;
        }
        if (item_perform(sender, receiver, a, b) == STEP_PREEMPTED)
            return STEP_PREEMPTED;
        map_reset(m);
        m->item++;
        /* Each item may have done a stretch's work since its last point. */
        if (m->item < m->count && preempt_point(PREEMPT_MAP))
            return STEP_PREEMPTED;
    }
    return STEP_DONE;
}
