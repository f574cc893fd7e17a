// SPDX-License-Identifier: MIT
/*
 * Kernel pages: the frame table and the first-fit allocator.  [M 2.5] [G50] [G51]
 *
 * A chunked frame begins with 128 tags of 4 bits, one per unit of 32 bytes.  Units 0 and 1 hold the
 * tags; their own tags read UNIT_MORE, so a search for free units never finds them.
 *
 * Invariant: the free count in frame.use is the number of UNIT_FREE tags; a chunked frame has at least
 * one unit in use; no unit below the frame's hint is free; no frame below kpage.hint is free or has a
 * free unit.  The hints keep the first fit from looking at what is full again and again.
 */
#include "kernel/kpage.h"

#include "kernel/flexpage.h"
#include "kernel/lib/string.h"
#include "kernel/task.h"

struct frame *frame_table;
uint32_t frame_count;

/* Converted frames in each 4 MB block, so that a superpage need not look at 1024 frames. */
static uint16_t block_frames[(PHYS_DIRECT_MAX + SUPER_SIZE - 1u) >> SUPER_SHIFT];

#define TAG_WORDS (PAGE_SIZE / L4_UNIT / 8u)
#define FRAME_CHUNKED_EMPTY ((uint32_t)FRAME_CHUNKED | L4_UNITS_USABLE << 8 | 2u << 16)

ALWAYS_INLINE unsigned units_of(unsigned size) { return (size + L4_UNIT - 1u) / L4_UNIT; }

/* ---- marks ---- */

bool block_is_converted(paddr_t phys)
{
    uint32_t block = phys >> SUPER_SHIFT;

    return block < ARRAY_SIZE(block_frames) && block_frames[block] != 0;
}

void kpage_unmark_frame(uint32_t frame)
{
    ASSERT(frame_is_converted(frame << PAGE_SHIFT) && frame_table[frame].use == FRAME_FREE);
    block_frames[frame >> (SUPER_SHIFT - PAGE_SHIFT)]--;
    frame_table[frame].kp = FRAME_USER;
}

void kpage_mark(struct kpage *kp)
{
    uint32_t at = kp->base >> PAGE_SHIFT, end = at + kp->frames;

    ASSERT(end <= frame_count);
    while (at < end) {
        uint32_t block = at >> (SUPER_SHIFT - PAGE_SHIFT);
        uint32_t next = min_u32(end, (block + 1u) << (SUPER_SHIFT - PAGE_SHIFT));

        block_frames[block] = (uint16_t)(block_frames[block] + (next - at));
        for (struct frame *f = &frame_table[at]; at < next; at++, f++)
            *f = (struct frame){ .kp = (uint32_t)(uintptr_t)kp, .use = FRAME_FREE };
    }
}

void kpage_detach(struct kpage *kp)
{
    struct node *node = kp->converter;
    struct kpage *before = NULL;

    if (!node)
        return;
    if (node->kpage == kp) {
        node->kpage = kp->conv_next;
    } else {
        for (before = node->kpage; before->conv_next != kp; before = before->conv_next)
            ;
        before->conv_next = kp->conv_next;
    }
    if (!node->kpage)
        node->flags &= (uint8_t)~NODE_CONVERTER;
    kp->converter = NULL;
    kp->conv_next = NULL;
}

/* ---- unit tags ---- */

#define NIBBLES 0x11111111u

/* Not 0 if one of the eight tags in v is UNIT_FREE.  The lowest bit set marks the lowest of them. */
ALWAYS_INLINE uint32_t tags_some_free(uint32_t v) { return (v - NIBBLES) & ~v & (NIBBLES << 3); }

/* Bits [count * 4 - 1:0] for 1 to 8 tags. */
ALWAYS_INLINE uint32_t tags_mask(unsigned count) { return 0xffffffffu >> (32u - count * 4u); }

/* Tag a free run of `units` from `unit` on. */
ALWAYS_INLINE void tags_take(uint32_t *tags, unsigned unit, unsigned units, enum unit_tag tag)
{
    uint32_t *word = &tags[unit >> 3], first = (uint32_t)tag ^ UNIT_MORE;
    unsigned in = unit & 7u;

    if (LIKELY(in + units <= 8u)) {
        *word |= ((tags_mask(units) & NIBBLES * UNIT_MORE) ^ first) << (in * 4u);
        return;
    }
    *word |= (NIBBLES * UNIT_MORE ^ first) << (in * 4u);
    for (units -= 8u - in; units >= 8u; units -= 8u)
        *++word = NIBBLES * UNIT_MORE;
    if (units)
        *++word |= tags_mask(units) & NIBBLES * UNIT_MORE;
}

ALWAYS_INLINE void tags_free(uint32_t *tags, unsigned unit, unsigned units)
{
    uint32_t *word = &tags[unit >> 3];
    unsigned in = unit & 7u;

    if (LIKELY(in + units <= 8u)) {
        *word &= ~(tags_mask(units) << (in * 4u));
        return;
    }
    *word &= (1u << (in * 4u)) - 1u;
    for (units -= 8u - in; units >= 8u; units -= 8u)
        *++word = 0;
    if (units)
        *++word &= ~tags_mask(units);
}

/*
 * The first run of `want` free units, or 0.  None is free below unit `from`.  A run either starts in an earlier
 * word, or lies in this one, or begins at its upper end.
 */
static unsigned tags_find(const uint32_t *tags, unsigned from, unsigned want)
{
    unsigned run = 0; /* free units directly below the word */

    for (unsigned w = from >> 3; w < TAG_WORDS; w++) {
        uint32_t v = tags[w], starts;

        if (v == 0) {
            run += 8u;
            if (run >= want)
                return w * 8u + 8u - run;
            continue;
        }
        if (tags_some_free(v) == 0) {
            run = 0;
            continue;
        }
        if (run + (unsigned)__builtin_ctz(v) / 4u >= want)
            return w * 8u - run;
        run = (unsigned)__builtin_clz(v) / 4u;
        if (want > 7u)
            continue;
        starts = v | v >> 1;
        starts = ~(starts | starts >> 2) & NIBBLES; /* one bit for each free unit */
        for (unsigned have = 1; starts && have < want; have++)
            starts &= starts >> 4;
        if (starts)
            return w * 8u + (unsigned)__builtin_ctz(starts) / 4u;
    }
    return 0;
}

unsigned unit_find_object(const void *page, unsigned unit)
{
    const uint32_t *tags = page;

    for (; unit < PAGE_UNITS; unit++) {
        uint32_t v = tags[unit >> 3] >> ((unit & 7u) * 4u);

        /* UNIT_FREE, MORE and NODE, 0 to 2, have neither bit 2 nor 3, nor bits 0 and 1 together. */
        v = (v & NIBBLES * 12u) | (v & v >> 1 & NIBBLES);
        if (v == 0)
            unit |= 7u; /* none in the rest of the word */
        else if (v & 15u)
            return unit;
    }
    return PAGE_UNITS;
}
STATIC_ASSERT(UNIT_NODE == 2 && UNIT_THREAD == 3);

unsigned unit_find_node(const void *page, unsigned unit)
{
    const uint32_t *tags = page;

    for (; unit < PAGE_UNITS; unit = (unit | 7u) + 1u) {
        uint32_t nodes = tags_some_free(tags[unit >> 3] >> ((unit & 7u) * 4u) ^ NIBBLES * UNIT_NODE);

        if (nodes)
            return unit + (unsigned)__builtin_ctz(nodes) / 4u;
    }
    return PAGE_UNITS;
}

/* ---- inside one kernel page ---- */

#define LOOK_BEHIND 64 /* frames behind the first free one in which a chunked one with room is preferred */

/* Mark a free run as used.  Until kobj_init() the object has no id. */
ALWAYS_INLINE void *frame_take_units(struct frame *f, char *page, unsigned unit, unsigned units,
                              enum unit_tag tag)
{
    void *object = page + unit * L4_UNIT;
    uint32_t use = f->use - (units << 8);

    /* A single unit is the first free one; a longer run may have left smaller holes behind. */
    if (units == 1 || unit == use_hint(use))
        use = use_set_hint(use, unit + units);
    f->use = use;
    tags_take((uint32_t *)(void *)page, unit, units, tag);
    if (units == 1)
        return memset(object, 0, L4_UNIT);
    ((struct kobj *)object)->id = 0;
    return object;
}

/* What one search is doing inside a kernel page; `left` goes down with what it looks at. */
struct scan {
    int left;
    unsigned frame, empty; /* as in struct kcursor: from where; and if left is 0 at the end, where it goes on */
};
#define SCAN_FRAME 1
#define SCAN_TAGS  16
#define SCAN_NAME  2
#define SCAN_ALL   (1 << 30)

/* Frames below `end` were looked at: the hint passes those in which nothing is left, of whatever size. */
ALWAYS_INLINE void advance_hint(struct kpage *kp, unsigned end)
{
    const struct frame *first = &frame_table[kp->base >> PAGE_SHIFT];

    while (kp->hint < end) {
        uint32_t use = first[kp->hint].use;

        if (use_kind(use) == FRAME_CHUNKED ? use_free(use) != 0 : use_kind(use) == FRAME_FREE)
            break;
        kp->hint++;
    }
}

static void *chunk_frame(struct kpage *kp, unsigned frame, unsigned units, enum unit_tag tag)
{
    paddr_t phys = kp->base + (frame << PAGE_SHIFT);
    struct frame *f = &frame_table[phys >> PAGE_SHIFT];
    char *page = phys_to_virt(phys);

    memset(page, 0, 2u * L4_UNIT);
    *(uint32_t *)(void *)page = UNIT_MORE | UNIT_MORE << 4;
    f->use = FRAME_CHUNKED_EMPTY;
    return frame_take_units(f, page, 2, units, tag);
}

/* In the frame at the hint, if that is where the first fit is; NULL says nothing. */
ALWAYS_INLINE void *take_at_hint(struct kpage *kp, unsigned units, enum unit_tag tag)
{
    paddr_t phys = kp->base + ((paddr_t)kp->hint << PAGE_SHIFT);
    struct frame *f = &frame_table[phys >> PAGE_SHIFT];
    char *page = phys_to_virt(phys);
    unsigned unit;

    if (UNLIKELY(kp->hint >= kp->frames) || f->kind != FRAME_CHUNKED || f->free < units)
        return NULL;
    unit = tags_find((const uint32_t *)(void *)page, f->hint, units);
    return unit ? frame_take_units(f, page, unit, units, tag) : NULL;
}

static void *alloc_units(struct kpage *kp, unsigned units, enum unit_tag tag, struct scan *s)
{
    const int none = kp->frames;
    struct frame *first = &frame_table[kp->base >> PAGE_SHIFT];
    int empty = none, frame = (int)max_u32(s->frame, kp->hint), stop, end;

    if (UNLIKELY(s->empty)) {
        empty = (int)s->empty - 1;
        if (use_kind(first[empty].use) != FRAME_FREE) { /* somebody was faster */
            frame = max_i32(empty, kp->hint);
            empty = none;
        }
    }
    stop = frame + s->left; /* sooner, if tags are searched */
    end = min_i32(none, stop);
    for (; frame < end; frame++) {
        struct frame *f = &first[frame];

        if (f->kind == FRAME_CHUNKED) {
            char *page;
            unsigned unit;

            if (f->free < units) /* the most frequent case where there are many */
                continue;
            stop -= SCAN_TAGS - SCAN_FRAME;
            end = min_i32(none, stop);
            page = phys_to_virt(kp->base + ((paddr_t)frame << PAGE_SHIFT));
            unit = tags_find((const uint32_t *)(void *)page, f->hint, units);
            if (unit) {
                advance_hint(kp, (unsigned)frame);
                *s = (struct scan){ .left = stop - frame - SCAN_FRAME, .frame = (unsigned)frame };
                return frame_take_units(f, page, unit, units, tag);
            }
        } else if (use_kind(f->use) == FRAME_FREE) {
            if (empty == none)
                empty = frame;
            else if (frame - empty >= LOOK_BEHIND)
                goto first_free;
        }
    }
    advance_hint(kp, (unsigned)frame);
    if (UNLIKELY(frame < none)) {
        *s = (struct scan){ .frame = (unsigned)frame, .empty = empty == none ? 0 : (unsigned)empty + 1u };
        return NULL;
    }
first_free:
    /* All of the kernel page was looked at: the search is not over by that. */
    *s = (struct scan){ .left = max_i32(stop - frame, 1), .frame = (unsigned)empty };
    if (empty == none || units > L4_UNITS_USABLE)
        return NULL;
    return chunk_frame(kp, (unsigned)empty, units, tag);
}

/* The first free frame of kp in [from, end), which becomes a page; or `end`. */
ALWAYS_INLINE unsigned take_frame(struct kpage *kp, unsigned from, unsigned end, uint32_t use, void **page)
{
    struct frame *first = &frame_table[kp->base >> PAGE_SHIFT], *f = first + from, *stop = first + end;

    for (; f < stop && use_kind(f->use) != FRAME_FREE; f++)
        ;
    advance_hint(kp, (unsigned)(f - first));
    if (f == stop)
        return end;
    f->use = use;
    *page = phys_to_virt(kp->base + ((paddr_t)(f - first) << PAGE_SHIFT));
    if (use_kind(use) != FRAME_PAGEDIR && use_kind(use) != FRAME_IOBITMAP)
        memset(*page, 0, PAGE_SIZE);
    return (unsigned)(f - first);
}

static void *alloc_page(struct kpage *kp, uint32_t use, struct scan *s)
{
    unsigned from = max_u32(s->frame, kp->hint), left = (unsigned)s->left / SCAN_FRAME;
    unsigned end = min_u32(kp->frames, from + left);
    void *page = NULL;

    s->frame = take_frame(kp, from, end, use, &page);
    s->left -= (int)(s->frame - from) * SCAN_FRAME;
    if (!page && end == kp->frames && s->left <= 0)
        s->left = 1;
    return page;
}

void *kmem_alloc_in(struct kpage *kp, unsigned size, enum unit_tag tag)
{
    struct scan all = { .left = SCAN_ALL };
    void *object = take_at_hint(kp, units_of(size), tag);

    return object ? object : alloc_units(kp, units_of(size), tag, &all);
}

void *kmem_alloc_page_in(struct kpage *kp, enum frame_use use, struct task *owner)
{
    struct scan all = { .left = SCAN_ALL };

    return alloc_page(kp, (uint32_t)(uintptr_t)owner | (uint32_t)use, &all);
}

static void free_units(void *object, unsigned units)
{
    paddr_t phys = virt_to_phys(object);
    uint32_t frame = phys >> PAGE_SHIFT, use;
    unsigned unit = (phys & (PAGE_SIZE - 1u)) / L4_UNIT;
    struct frame *f = &frame_table[frame];
    uint32_t *tags = phys_to_virt(round_down(phys, PAGE_SIZE));

    ASSERT(use_kind(f->use) == FRAME_CHUNKED && unit_tag_get(tags, unit) > UNIT_MORE);
    tags_free(tags, unit, units);
    use = f->use + (units << 8);
    if (unit < use_hint(use))
        use = use_set_hint(use, unit);
    f->use = use_free(use) == L4_UNITS_USABLE ? FRAME_FREE : use;
    kpage_has_room(f, frame);
}

void kmem_free(void *object, unsigned size)
{
    if (LIKELY(size <= L4_UNIT))
        kmem_free_unit(object);
    else
        free_units(object, units_of(size));
}

void kmem_free_page(void *page)
{
    uint32_t frame = virt_to_phys(page) >> PAGE_SHIFT;
    struct frame *f = &frame_table[frame];

    ASSERT(f->kp > FRAME_DEVICE && use_kind(f->use) != FRAME_CHUNKED && use_kind(f->use) != FRAME_FREE);
    f->use = FRAME_FREE;
    kpage_has_room(f, frame);
}

/* ---- by name: kernel pages of a flexpage in ascending order ---- */

struct kres_walk {
    struct node **slot, **end, **first;
    struct kcursor *cursor; /* where the search was interrupted; NULL: not at all */
    struct scan scan;
    bool usable;
};

/* The kernel page that n stands for and from which may be allocated, or NULL. */
ALWAYS_INLINE struct kpage *usable_kpage(const struct node *n)
{
    struct kobj *o;

    if (!n || !(node_rights(n) & L4_W))
        return NULL;
    o = node_kobj(n);
    return kobj_is_live(o, L4_TYPE_KPAGE) ? (struct kpage *)o : NULL;
}

/* The first that is not full, if it is among the first few names, where nearly all searches end; NULL says nothing. */
ALWAYS_INLINE struct kpage *kres_first(const struct kres *res)
{
    uint32_t fpage = res->fpage, order = flexpage_order_in(fpage, L4_SPACE_CAP), names;
    struct node **slot, **end;

    if (UNLIKELY(order > SUPER_SHIFT - L4_NAME_SHIFT) || UNLIKELY(!res->task))
        return NULL;
    slot = res->task->cap_dir[fpage >> SUPER_SHIFT];
    if (UNLIKELY(!slot))
        return NULL;
    names = 1u << order;
    slot += (fpage >> L4_NAME_SHIFT) & 1023u & ~(names - 1u);
    for (end = slot + min_u32(names, 8u); slot != end; slot++) {
        struct kpage *kp = usable_kpage(*slot);

        if (LIKELY(kp && kp->hint < kp->frames))
            return kp;
    }
    return NULL;
}

static struct kres_walk kres_begin(const struct kres *res)
{
    struct kres_walk w = { .scan.left = res->room ? res->room->left : SCAN_ALL };
    uint32_t fpage = res->fpage, order = (fpage >> 4) & 63u, names;
    struct node **table;

    if (UNLIKELY(!res->task || order < L4_NAME_SHIFT || ((fpage >> 10) & 3u) != L4_SPACE_CAP))
        return w;
    if (UNLIKELY(order > SUPER_SHIFT)) {
        fpage = order >= 32u ? 0 : fpage & ~((1u << order) - 1u);
        order = SUPER_SHIFT;
    }
    /* At most 1024 names, aligned: they share one table. */
    names = 1u << (order - L4_NAME_SHIFT);
    table = res->task->cap_dir[fpage >> SUPER_SHIFT];
    if (LIKELY(table != NULL)) {
        w.first = w.slot = &table[(fpage >> L4_NAME_SHIFT) & 1023u & ~(names - 1u)];
        w.end = w.slot + names;
    }
    if (res->room && res->room->started & 1u << res->at) {
        w.cursor = &res->room->at[res->at];
        w.usable = w.cursor->usable;
        if (w.slot)
            w.slot += min_u32(w.cursor->slot, names);
    }
    return w;
}

/* The next usable one, and in w->scan where to begin in it; NULL at the end, or if scan.left is 0. */
static struct kpage *kres_next(struct kres_walk *w)
{
    while (w->slot != w->end) {
        struct kpage *kp;

        if (UNLIKELY(w->scan.left <= SCAN_NAME)) {
            w->scan.left = 0;
            break;
        }
        w->scan.left -= SCAN_NAME;
        kp = usable_kpage(*w->slot++);
        if (!kp)
            continue;
        w->usable = true;
        if (kp->hint >= kp->frames)
            continue;
        w->scan.frame = 0;
        w->scan.empty = 0;
        if (UNLIKELY(w->cursor != NULL)) {
            if (w->cursor->id == kp->obj.id) {
                w->scan.frame = w->cursor->frame;
                w->scan.empty = w->cursor->empty;
            }
            w->cursor = NULL;
        }
        return kp;
    }
    return NULL;
}

/* Nothing, or something after a long look: the next search goes on here.  kp: where; NULL if between two of them. */
static void kres_store(const struct kres *res, struct kres_walk *w, const struct kpage *kp)
{
    struct kroom *room = res->room;

    if (!room)
        return;
    room->left = (int16_t)w->scan.left;
    room->started |= (uint16_t)(1u << res->at);
    room->at[res->at] = (struct kcursor){
        .id = kp ? kp->obj.id : 0,
        .slot = (uint16_t)(w->slot - w->first - (kp ? 1 : 0)),
        .frame = (uint16_t)w->scan.frame,
        .empty = (uint16_t)w->scan.empty,
        .usable = w->usable,
    };
}

/* If it took long, an operation that is begun anew need not look again; a short look is not even counted. */
static void kres_found(const struct kres *res, struct kres_walk *w, const struct kpage *kp)
{
    if (UNLIKELY(res->room && res->room->left - w->scan.left > SCAN_NAME + SCAN_TAGS + 8 * SCAN_FRAME))
        kres_store(res, w, kp);
}

/* At the end of a search without success: why. */
static enum l4_detail kres_fail(const struct kres *res, struct kres_walk *w, const struct kpage *kp, enum l4_detail full)
{
    if (w->scan.left == 0) {
        kres_store(res, w, kp);
        return KMEM_SEARCHING;
    }
    return w->usable ? full : L4_D_RES_EMPTY;
}

void kroom_follow(struct kroom *room, unsigned at)
{
    const struct kcursor *before = &room->at[at - 1u];
    struct kcursor *here = &room->at[at];

    if (!(room->started & 1u << (at - 1u)))
        return;
    if (!(room->started & 1u << at) || here->slot < before->slot ||
        (here->slot == before->slot && (here->id != before->id || here->frame < before->frame)))
        *here = *before;
    room->started |= (uint16_t)(1u << at);
}
enum l4_detail kres_usable(const struct kres *res)
{
    struct kres_walk w;

    if (LIKELY(kres_first(res) != NULL))
        return L4_D_NONE;
    w = kres_begin(res);
    return kres_next(&w) ? L4_D_NONE : kres_fail(res, &w, NULL, L4_D_NONE);
}

/* Any object; *where: the kernel page that it is in. */
static void *search_units(const struct kres *res, unsigned units, enum unit_tag tag, struct kpage **where,
                          enum l4_detail *detail)
{
    struct kres_walk w = kres_begin(res);
    struct kpage *kp;

    while ((kp = kres_next(&w)) != NULL) {
        void *object = take_at_hint(kp, units, tag);

        if (!object)
            object = alloc_units(kp, units, tag, &w.scan);
        if (object) {
            kres_found(res, &w, kp);
            *where = kp;
            return object;
        }
        if (w.scan.left == 0)
            break;
    }
    *detail = kres_fail(res, &w, kp, L4_D_RES_FULL);
    return NULL;
}

void *kmem_alloc(const struct kres *res, unsigned size, enum unit_tag tag, enum l4_detail *detail)
{
    struct kpage *kp = kres_first(res);
    unsigned units = units_of(size);
    void *object = LIKELY(kp != NULL) ? take_at_hint(kp, units, tag) : NULL;

    *detail = L4_D_NONE;
    return LIKELY(object != NULL) ? object : search_units(res, units, tag, &kp, detail);
}

void *kmem_alloc_node_slow(const struct kres *res, struct kpage **page, enum l4_detail *detail)
{
    struct kpage *kp = kres_first(res);
    void *node = LIKELY(kp != NULL) ? kpage_take_unit(kp, UNIT_NODE) : NULL;

    if (LIKELY(node != NULL))
        *page = kp;
    else
        node = search_units(res, 1, UNIT_NODE, page, detail);
    return node;
}

static void *search_page(const struct kres *res, uint32_t use, enum l4_detail *detail)
{
    struct kres_walk w = kres_begin(res);
    struct kpage *kp;

    while ((kp = kres_next(&w)) != NULL) {
        void *page = alloc_page(kp, use, &w.scan);

        if (page) {
            kres_found(res, &w, kp);
            return page;
        }
        if (w.scan.left == 0)
            break;
    }
    *detail = kres_fail(res, &w, kp, L4_D_RES_ALIGN);
    return NULL;
}

void *kmem_alloc_page(const struct kres *res, enum frame_use use, struct task *owner,
                      enum l4_detail *detail)
{
    struct kpage *kp = kres_first(res);
    uint32_t word = (uint32_t)(uintptr_t)owner | (uint32_t)use;
    void *page = NULL;

    *detail = L4_D_NONE;
    if (LIKELY(kp != NULL))
        (void)take_frame(kp, kp->hint, min_u32(kp->frames, kp->hint + 24u), word, &page);
    return LIKELY(page != NULL) ? page : search_page(res, word, detail);
}

void kmem_totals(uint32_t *free_unit_bytes, uint32_t *free_frames)
{
    uint32_t units = 0, frames = 0;

    for (uint32_t i = 0; i < frame_count; i++) {
        if (frame_table[i].kp <= FRAME_DEVICE)
            continue;
        if (use_kind(frame_table[i].use) == FRAME_FREE)
            frames++;
        else if (use_kind(frame_table[i].use) == FRAME_CHUNKED)
            units += use_free(frame_table[i].use);
    }
    *free_unit_bytes = units * L4_UNIT;
    *free_frames = frames;
}
