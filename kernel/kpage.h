// SPDX-License-Identifier: MIT
/*
 * Kernel pages: memory that users gave to the kernel, and the first-fit allocator in it.
 * [M 2.5] [G50] [G51]
 *
 * frame_table[] has one entry per 4 KB frame below the direct map's end.  A frame of a kernel page is
 * free, one whole-page object, or chunked: 128 units of 32 bytes, of which the first two hold a map
 * of 4-bit tags, one per unit.  The tags make a page self-describing: reap.c and kobj_next() walk
 * it without any other list.
 */
#ifndef KERNEL_KPAGE_H
#define KERNEL_KPAGE_H

#include <arch/memory.h>
#include "kernel/object.h"

/* The second-class objects that take whole frames.  [M 2.8.1] */
enum frame_use {
    FRAME_FREE = 0, FRAME_PAGEDIR = 8, FRAME_DIRSHADOW = 9, FRAME_CAPDIR = 10, FRAME_IOBITMAP = 11,
    FRAME_PAGETABLE = 12 /* or the view of a superpage */, FRAME_SHADOW = 13, FRAME_CAPTABLE = 14,
    FRAME_CHUNKED = 15
};

#define FRAME_USER   0u /* kp: ordinary memory */
#define FRAME_KERNEL 1u /* kp: kernel image and boot data, never given away */
#define FRAME_DEVICE 2u /* kp: not RAM */

/* kp: one of the three above, or the struct kpage that owns the frame.
 * use: [3:0] frame_use; whole-page: [31:5] the owning task; chunked: [15:8] free units (0..126),
 * [23:16] no unit below this one is free. */
struct frame {
    uint32_t kp;
    union {
        uint32_t use;
        struct { uint8_t kind, free, hint, spare; }; /* chunked */
    };
};

extern struct frame *frame_table; /* index = phys >> 12, below frame_count */
extern uint32_t frame_count;

/* Does the frame belong to a kernel page now?  Any physical address is a legal question. */
ALWAYS_INLINE bool frame_is_converted(paddr_t phys)
{
    return (phys >> PAGE_SHIFT) < frame_count && frame_table[phys >> PAGE_SHIFT].kp > FRAME_DEVICE;
}
/* Does any frame of the 4 MB block around phys?  O(1). */
bool block_is_converted(paddr_t phys);
#define BLOCK_FRAMES (SUPER_SIZE >> PAGE_SHIFT)

enum unit_tag { UNIT_FREE, UNIT_MORE, UNIT_NODE, UNIT_THREAD, UNIT_ENDPOINT, UNIT_RESERVATION,
                UNIT_TASK, UNIT_KPAGE, UNIT_CPU };

/*
 * A kernel page object: 2^(size-12) contiguous frames.
 * Invariants (OBJ group): the frames' kp fields name this object; sum of units and pages fits.
 */
struct kpage {
    struct kobj obj;
    paddr_t base;
    uint16_t frames;          /* 1..1024 */
    uint16_t hint;            /* no frame below this index has any room */
    struct node *converter;   /* the memory capability that was converted; NULL for boot pages */
    union { struct kpage *conv_next; }; /* next kernel page of the same converter node */
};
STATIC_ASSERT(sizeof(void *) != 4 || sizeof(struct kpage) == L4_SIZE_KPAGE);

/*
 * Searches for room, which may be long: 1024 kernel pages of 1024 frames.  A search stops when the stretch's share is
 * used up, and goes on behind the next preemption point; what is freed behind it meanwhile it does not see.  An
 * operation has one cursor for each allocation that it makes: undone and begun anew, each goes on where it was.
 */
enum kroom_use {
    ROOM_NODE, ROOM_FROM, ROOM_TO = ROOM_FROM + 2,             /* map: nodes; two pages of a table, from either side */
    ROOM_USABLE = 0, ROOM_TABLE, ROOM_OBJECT, ROOM_PAGES,      /* create: the pages are L4_TASK_PAGES */
    ROOM_VIEW = ROOM_PAGES + L4_TASK_PAGES, ROOM_COUNT         /* page fault */
};

/* Invariant (THR-7): of those started, slot <= 1024, frame <= 1024, empty <= frame; a kernel page that was met is usable. */
struct kcursor {
    uint32_t id;    /* of the kernel page that was looked at last */
    uint16_t slot;  /* its number among the names */
    uint16_t frame; /* the frame in it */
    uint16_t empty; /* 1 + the first free frame before that, or 0 */
    bool usable;    /* a kernel page was there */
};

struct kroom {
    uint16_t started; /* bit n: at[n] holds something */
    int16_t left;     /* what may be looked at before the next preemption point */
    struct kcursor at[ROOM_COUNT];
};

/* A new operation; a new stretch of it. */
ALWAYS_INLINE void kroom_reset(struct kroom *room) { room->started = 0; }
#define ROOM_WORK 128 /* a name costs 2, a frame 1, and 16 if its tags are searched.  [G42] [G51] */
ALWAYS_INLINE void kroom_stretch(struct kroom *room) { room->left = ROOM_WORK; }
/* Search `at` is for one more page of what `at - 1` has found one in. */
void kroom_follow(struct kroom *room, unsigned at);

/*
 * Where to allocate: a capability flexpage in a task's names; resolved anew at each use. [G13] [G24]
 * room: the search's state; NULL for one that is not interrupted, at boot and in the debugger.
 */
struct kres { struct task *task; uint32_t fpage; struct kroom *room; enum kroom_use at; };

/* A detail of the kernel's own: the search is not over.  The caller undoes what it has done, passes a preemption
 * point, and comes back. */
#define KMEM_SEARCHING ((enum l4_detail)0x100)

/*
 * Allocate `size` bytes (one object: tag) or one whole page from the first kernel page in
 * ascending name order that has room: frames ascending, units ascending.  A mapping node and a page
 * are zeroed, but for a page directory and IO bitmaps; an object is not, but has id 0 until kobj_init(): who makes it
 * clears what must be clear.
 * Needs L4_W on the kernel page.  On failure NULL and *detail: RES_EMPTY no usable kernel page, RES_FULL, RES_ALIGN;
 * KMEM_SEARCHING only with a room.  Never blocks, never preempts; bounded, with a room, by ROOM_WORK in a stretch.
 * Objects that are dying are skipped.  Of a flexpage above 2^22 the first
 * 1024 names count.  Inside one kernel page small objects take the first fitting run of an already
 * chunked frame, else the first free frame is chunked [G51].
 */
void *kmem_alloc(const struct kres *res, unsigned size, enum unit_tag tag, enum l4_detail *detail) MUST_CHECK;
void *kmem_alloc_page(const struct kres *res, enum frame_use use, struct task *owner,
                      enum l4_detail *detail) MUST_CHECK;
/* The same inside one given kernel page (boot). */
void *kmem_alloc_in(struct kpage *kp, unsigned size, enum unit_tag tag);
void *kmem_alloc_page_in(struct kpage *kp, enum frame_use use, struct task *owner);

/*
 * One mapping node, not zeroed, by the same rules.  *page: NULL at the beginning of a stretch of work without
 * preemption points; then where the last node came from, and so where the next one is.
 */
ALWAYS_INLINE void *kmem_alloc_node(const struct kres *res, struct kpage **page, enum l4_detail *detail);
void *kmem_alloc_node_slow(const struct kres *res, struct kpage **page, enum l4_detail *detail) MUST_CHECK;

/* Give back.  size as allocated. */
void kmem_free(void *object, unsigned size);
ALWAYS_INLINE void kmem_free_node(struct node *n); /* the same for a node */
void kmem_free_page(void *page);

/* L4_D_NONE: the flexpage names at least one kernel page with L4_W [G8]; RES_EMPTY; or KMEM_SEARCHING. */
enum l4_detail kres_usable(const struct kres *res);

/* Free bytes in units and free whole frames over all kernel pages: what tests compare. */
void kmem_totals(uint32_t *free_unit_bytes, uint32_t *free_frames);

/*
 * Mark all frames of kp, which are nobody's, as its own and free; the undoing is frame by frame, each free again.
 * The one place where conversions are counted: nobody else writes frame.kp after boot.
 */
void kpage_mark(struct kpage *kp);
void kpage_unmark_frame(uint32_t frame);
/* Take kp off the list of its converter node (flag NODE_CONVERTER follows).  No-op if it is on none. */
void kpage_detach(struct kpage *kp);

/* The tag of one of the 128 units of a chunked frame; units 0 and 1 hold the tags themselves. */
ALWAYS_INLINE enum unit_tag unit_tag_get(const void *page, unsigned unit)
{
    return (enum unit_tag)((((const uint32_t *)page)[unit >> 3] >> ((unit & 7u) * 4u)) & 15u);
}

/* The first unit at or behind `unit` that starts an object, or is a mapping node; or PAGE_UNITS. */
#define PAGE_UNITS (PAGE_SIZE / L4_UNIT)
unsigned unit_find_object(const void *page, unsigned unit);
unsigned unit_find_node(const void *page, unsigned unit);

/* ---- struct frame.use ---- */

ALWAYS_INLINE unsigned use_kind(uint32_t use) { return use & 15u; }
ALWAYS_INLINE unsigned use_free(uint32_t use) { return (use >> 8) & 255u; }
ALWAYS_INLINE unsigned use_hint(uint32_t use) { return (use >> 16) & 255u; }
ALWAYS_INLINE uint32_t use_set_hint(uint32_t use, unsigned unit)
{
    return (use & 0xffffu) | unit << 16;
}

/* ---- single units: nearly all that is allocated and freed is mapping nodes ---- */

/*
 * The first free unit of kp, if the frame at the hint has one: then that is the first fit.  NULL says nothing.
 */
ALWAYS_INLINE void *kpage_take_unit(struct kpage *kp, enum unit_tag tag)
{
    paddr_t page = kp->base + ((paddr_t)kp->hint << PAGE_SHIFT);
    struct frame *f = &frame_table[page >> PAGE_SHIFT];
    uint32_t zero, *word;
    unsigned unit;

    if (UNLIKELY(kp->hint >= kp->frames) || UNLIKELY(f->kind != FRAME_CHUNKED) || UNLIKELY(f->free == 0))
        return NULL;
    unit = f->hint & ~7u;
    for (word = (uint32_t *)phys_to_virt(page + unit / 2u); (zero = (*word - 0x11111111u) & ~*word & 0x88888888u) == 0;
         unit += 8u)
        word++; /* ends: one is free */
    zero = (uint32_t)__builtin_ctz(zero) & ~3u; /* the lowest set bit marks the lowest nibble that is zero */
    *word |= (uint32_t)tag << zero;
    unit += zero / 4u;
    f->free--;
    f->hint = (uint8_t)(unit + 1u);
    return phys_to_virt(page + unit * L4_UNIT);
}

ALWAYS_INLINE void *kmem_alloc_node(const struct kres *res, struct kpage **page, enum l4_detail *detail)
{
    void *node = *page ? kpage_take_unit(*page, UNIT_NODE) : NULL;

    return LIKELY(node != NULL) ? node : kmem_alloc_node_slow(res, page, detail);
}

/* Frame f, number `frame`, has room again and had none. */
ALWAYS_INLINE void kpage_has_room(const struct frame *f, uint32_t frame)
{
    struct kpage *kp = (struct kpage *)(uintptr_t)f->kp;
    uint32_t index = frame - (kp->base >> PAGE_SHIFT);

    if (index < kp->hint)
        kp->hint = (uint16_t)index;
}

ALWAYS_INLINE void kmem_free_unit(void *object)
{
    paddr_t phys = virt_to_phys(object);
    struct frame *f = &frame_table[phys >> PAGE_SHIFT];
    unsigned unit = (phys & (PAGE_SIZE - 1u)) / L4_UNIT;
    uint32_t *tags = (uint32_t *)phys_to_virt(round_down(phys, PAGE_SIZE));

    ASSERT(f->kind == FRAME_CHUNKED && unit_tag_get(tags, unit) > UNIT_MORE);
    tags[unit >> 3] &= ~(15u << ((unit & 7u) * 4u));
    if (UNLIKELY(f->free == 0))
        kpage_has_room(f, phys >> PAGE_SHIFT);
    f->free++;
    if (unit < f->hint)
        f->hint = (uint8_t)unit;
    if (UNLIKELY(f->free == L4_UNITS_USABLE))
        f->use = FRAME_FREE;
}

ALWAYS_INLINE void kmem_free_node(struct node *n)
{
    kmem_free_unit(n);
}

/* create type 4, convert: kernel/convert.c. */

#endif
