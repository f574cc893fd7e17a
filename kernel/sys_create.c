// SPDX-License-Identifier: MIT
/*
 * create: new objects in kernel pages that the caller names.  All or nothing.  [M 2.5] [M 3.2.4] [G24]
 *
 * Everything that can be refused is refused before the first allocation.  Then: the capability table
 * for the new name (SpaceRes), the object's memory (ObjRes), its name.  The creator's capability is
 * part of the object.  Only two things can take long and are preemptible: the walk of a convert
 * (convert.c), and the initial mapping of a task.  A new task has its name before the mapping begins, so a
 * task that is destroyed meanwhile is noticed by looking the name up.
 */
#include "kernel/create.h"

#include <arch/paging.h>
#include "kernel/fault.h"
#include "kernel/flexpage.h"
#include "kernel/ipc.h"
#include "kernel/map.h"
#include "kernel/reap.h"
#include "kernel/resv.h"
#include "kernel/sys.h"
#include "kernel/trace.h"

/* Numbers of the parameter words. */
#define OBJ_RES   1u
#define SPACE_RES 2u
#define PARAM0    3u
#define PARAM1    4u

/* A decoded call. */
struct create_args {
    enum l4_type type;
    uint32_t name;               /* of the new object */
    struct kres obj, space;
    struct convert_region region;
    enum l4_detail region_fault;
    struct flexpage source, destination; /* initial mapping of a task; no names: none */
};

/* ---- what convert.c uses, too ---- */

void create_publish(struct thread *t, struct kobj *o, uint32_t name, uint32_t rights)
{
    struct node **slot;

    o->root.task = t->task;
    o->root.name = L4_CAP_FPAGE(name >> L4_NAME_SHIFT, rights);
    slot = cap_slot(t->task, &o->root);
    ASSERT(!*slot);
    *slot = &o->root;
    t->names.fpage = name;
    t->names.id = o->id;
    TRACE(CREATE, o->id, o->type, 0);
}

bool create_alive(const struct thread *t, const struct kobj *o)
{
    const struct node *n = t->task ? cap_lookup(t->task, t->names.fpage >> L4_NAME_SHIFT) : NULL;

    /* The address alone could be that of a new object in the same place. */
    return n && n == &o->root && node_kobj(n)->id == t->names.id && !kobj_is_dying(node_kobj(n));
}

void create_cancel(struct thread *t)
{
    struct name_state *s = &t->names;

    if (s->kpage && create_alive(t, &s->kpage->obj))
        reap_push(&s->kpage->obj);
    if (s->task && create_alive(t, &s->task->obj))
        reap_push(&s->task->obj);
    s->kpage = NULL;
    s->task = NULL;
}

/* ---- tasks ---- */

const enum frame_use task_page_use[L4_TASK_PAGES] = {
    FRAME_PAGEDIR, FRAME_DIRSHADOW, FRAME_CAPDIR, FRAME_IOBITMAP, FRAME_IOBITMAP,
};

/* Three pages are cleared, here or by the allocator; the bitmaps wait for the first port. */
void task_init(struct task *task, void *const page[L4_TASK_PAGES])
{
    task->pd = page[0];
    task->pd_phys = virt_to_phys(page[0]);
    task->pd_shadow = page[1];
    task->cap_dir = page[2];
    task->io_bitmap[0] = page[3];
    task->io_bitmap[1] = page[4];
    task->io_nodes = 0;
    task->threads = NULL;
    task->io_version = 0;
    task->reap_at = 0;
    task->io_filled = false;
    arch_pagedir_init(task->pd);
}

enum l4_detail task_build(struct task **out, const struct kres *res)
{
    enum l4_detail detail;
    struct task *task = kmem_alloc(res, L4_SIZE_TASK, UNIT_TASK, &detail);
    struct kres next = *res;
    void *page[L4_TASK_PAGES];
    unsigned i;

    if (!task)
        return detail;
    for (i = 0; i < L4_TASK_PAGES; i++) {
        next.at = (enum kroom_use)(ROOM_PAGES + i);
        if (res->room && i)
            kroom_follow(res->room, next.at);
        page[i] = kmem_alloc_page(&next, task_page_use[i], task, &detail);
        if (!page[i]) {
            while (i-- > 0)
                kmem_free_page(page[i]);
            kmem_free(task, L4_SIZE_TASK);
            return detail;
        }
    }
    kobj_init(&task->obj, L4_TYPE_TASK);
    task_init(task, page);
    *out = task;
    return L4_D_NONE;
}

/* Param0 and Param1: flexpages of one space and one size; ports keep their numbers.  0 or the error. */
static uint32_t initial_decode(const struct thread *t, struct create_args *args)
{
    uint32_t source = t->frame.w[PARAM0], destination = t->frame.w[PARAM1];
    struct flexpage *from = &args->source, *to = &args->destination;

    if (flexpage_decode(source, from) != L4_D_NONE)
        return L4_ERR(L4_PARAM, L4_D_BAD_FLEXPAGE, PARAM0);
    if (source == 0)
        return 0;
    if (!from->names)
        return L4_ERR(L4_PARAM, L4_D_KERNEL_RANGE, PARAM0);
    if (flexpage_decode(destination, to) != L4_D_NONE || destination == 0 ||
        to->space != from->space || to->order != from->order ||
        (to->space == L4_SPACE_IO && to->base != from->base))
        return L4_ERR(L4_PARAM, L4_D_BAD_FLEXPAGE, PARAM1);
    if (!to->names)
        return L4_ERR(L4_PARAM, L4_D_KERNEL_RANGE, PARAM1);
    return 0;
}

/* The names of the table that was made for the new object, all empty again?  Then it goes, too. */
static void drop_new_table(struct task *task, uint32_t name)
{
    const uint32_t *table = (const uint32_t *)(const void *)task->cap_dir[name >> SUPER_SHIFT];

    if (table && table_find(table, 0, TABLE_NAMES) == TABLE_NAMES)
        space_drop_table(task, L4_SPACE_CAP, name);
}

/* The initial mapping failed and the task is with the reaper: help until nothing is left of it. */
static void initial_undo(struct thread *t)
{
    struct name_state *s = &t->names;
    enum step step = reap_run(t);

    if (step == STEP_GONE || !t->task)
        return;
    if (step == STEP_PREEMPTED) {
        t->cont = initial_undo;
        return;
    }
    if (s->new_table)
        drop_new_table(t->task, s->fpage);
    sys_finish(t, s->error);
}

static uint32_t initial_error(enum l4_detail detail)
{
    bool memory = detail == L4_D_RES_EMPTY || detail == L4_D_RES_FULL || detail == L4_D_RES_ALIGN ||
                  detail == L4_D_NO_CAPTABLE || detail == L4_D_NO_PAGETABLE; /* also from ObjRes */

    return memory ? L4_ERR(L4_NOMEM, detail, OBJ_RES) : L4_ERR(L4_MAP, detail, PARAM0);
}

/* The one way to map without a message.  [G6] */
static void initial_map(struct thread *t)
{
    struct name_state *s = &t->names;
    struct create_args args;
    struct map_job job = {
        .from = t->task, .to = s->task, .state = &t->map,
        .nodes = { t->task, t->frame.w[OBJ_RES], &t->map.room, ROOM_NODE },
        .from_tables = t->frame.w[OBJ_RES],
    };
    enum l4_detail detail;

    if (!create_alive(t, &s->task->obj)) {
        s->task = NULL;
        sys_finish(t, L4_ERR(L4_STATE, L4_D_DYING, 0));
        return;
    }
    /* They were fine before, but a debugger may have written the registers meanwhile. */
    if (initial_decode(t, &args) || !args.source.names)
        detail = L4_D_BAD_FLEXPAGE;
    else
        detail = map_adjust(&job, &args.source, &args.destination, 0);
    if (detail == L4_D_NONE) {
        if (map_run(&job) == STEP_PREEMPTED) {
            t->cont = initial_map;
            return;
        }
        detail = map_outcome(&t->map);
    }
    if (detail == L4_D_NONE) {
        s->task = NULL;
        sys_finish(t, 0);
        return;
    }
    s->error = initial_error(detail);
    reap_push(&s->task->obj);
    s->task = NULL;
    initial_undo(t);
}

/* ---- the other objects ---- */

/* Memory for the object, made into one; NULL and *detail. */
static struct kobj *build(const struct create_args *args, enum l4_detail *detail)
{
    struct task *task;
    struct thread *thread;
    struct endpoint *ep;
    struct resv *resv;

    switch ((unsigned)args->type) {
    case L4_TYPE_TASK:
        *detail = task_build(&task, &args->obj);
        return *detail == L4_D_NONE ? &task->obj : NULL;
    case L4_TYPE_THREAD:
        thread = kmem_alloc(&args->obj, L4_SIZE_THREAD, UNIT_THREAD, detail);
        if (!thread)
            return NULL;
        kobj_init(&thread->obj, L4_TYPE_THREAD);
        thread_init(thread);
        return &thread->obj;
    case L4_TYPE_ENDPOINT:
        ep = kmem_alloc(&args->obj, L4_SIZE_ENDPOINT, UNIT_ENDPOINT, detail);
        if (!ep)
            return NULL;
        kobj_init(&ep->obj, L4_TYPE_ENDPOINT);
        endpoint_init(ep);
        return &ep->obj;
    case L4_TYPE_RESERVATION:
        resv = kmem_alloc(&args->obj, L4_SIZE_RESERVATION, UNIT_RESERVATION, detail);
        if (!resv)
            return NULL;
        kobj_init(&resv->obj, L4_TYPE_RESERVATION);
        resv_init(resv);
        return &resv->obj;
    default: /* a kernel page: convert.c fills it in */
        return kmem_alloc(&args->obj, L4_SIZE_KPAGE, UNIT_KPAGE, detail);
    }
}

/* ---- the call ---- */

/* ObjRes, SpaceRes: a flexpage of capabilities, of one table at most; or nil. */
ALWAYS_INLINE bool is_resource(uint32_t word)
{
    return flexpage_order_in(word, L4_SPACE_CAP) <= SUPER_SHIFT - L4_NAME_SHIFT || word == 0;
}

/* 0, or the W0 that the call ends with.  *new_table: the name has no table yet.  Changes nothing. */
static uint32_t create_decode(struct thread *t, struct create_args *args, bool *new_table)
{
    uint32_t w0 = t->frame.w[0], error = 0;
    struct node **table;

    args->type = (enum l4_type)((w0 >> 4) & 7u);
    args->name = w0 & L4_CAP_INVALID;
    args->obj = (struct kres){ t->task, t->frame.w[OBJ_RES], &t->map.room, ROOM_OBJECT };
    args->space = (struct kres){ t->task, t->frame.w[SPACE_RES], &t->map.room, ROOM_TABLE };
    args->region_fault = L4_D_NONE;
    args->source.names = 0;
    if (args->type < L4_TYPE_TASK || args->type > L4_TYPE_RESERVATION || args->name == L4_CAP_INVALID)
        return L4_ERR(L4_PARAM, L4_D_BAD_VALUE, 0);
    if (!is_resource(args->obj.fpage))
        return L4_ERR(L4_PARAM, L4_D_BAD_FLEXPAGE, OBJ_RES);
    if (!is_resource(args->space.fpage))
        return L4_ERR(L4_PARAM, L4_D_BAD_FLEXPAGE, SPACE_RES);
    if (args->type == L4_TYPE_TASK)
        error = initial_decode(t, args);
    else if (args->type == L4_TYPE_KPAGE)
        error = convert_decode(t, t->frame.w[PARAM0], &args->region, &args->region_fault);
    if (error)
        return error;
    table = t->task->cap_dir[args->name >> SUPER_SHIFT];
    *new_table = !table;
    if (table && table[(args->name >> L4_NAME_SHIFT) & (TABLE_NAMES - 1u)])
        return L4_ERR(L4_EXISTS, L4_D_OCCUPIED, 0);
    if (!table && !args->space.fpage)
        return L4_ERR(L4_NOTABLE, L4_D_NO_CAPTABLE, 0);
    return 0;
}

/* No usable kernel page is a capability fault; the reason is that of the first name.  [G8] */
static void resource_fault(struct thread *t, enum l4_fault_op op, uint32_t fpage, unsigned word)
{
    enum l4_detail reason;
    struct flexpage fp;

    (void)flexpage_decode(fpage, &fp);
    if (!fpage || cap_object(t->task, fp.base, L4_TYPE_KPAGE, L4_W, &reason))
        reason = L4_D_EMPTY;
    fault_cap(t, op, reason, L4_TYPE_KPAGE, L4_W, fp.base, word, sys_create);
}

static void create_again(struct thread *t);

/* Nothing is left of the attempt: say why, unless a search for room goes on behind a preemption point. */
static void no_room(struct thread *t, enum l4_detail detail, const struct kres *res, unsigned word)
{
    if (detail == KMEM_SEARCHING) {
        (void)preempt_point(PREEMPT_ROOM);
        t->cont = create_again;
    } else if (detail == L4_D_RES_EMPTY) {
        resource_fault(t, word == OBJ_RES ? L4_OP_OBJRES : L4_OP_SPACERES, res->fpage, word);
    } else {
        sys_finish(t, L4_ERR(L4_NOMEM, detail, word));
    }
}

/* The table for the new name; whether ObjRes names a kernel page at all comes first.  False: not there. */
static bool create_table(struct thread *t, const struct create_args *args)
{
    struct kres usable = args->obj;
    enum l4_detail detail;

    usable.at = ROOM_USABLE;
    detail = kres_usable(&usable);
    if (detail != L4_D_NONE) {
        no_room(t, detail, &args->obj, OBJ_RES);
        return false;
    }
    detail = space_add_table(t->task, L4_SPACE_CAP, args->name, &args->space);
    if (detail != L4_D_NONE) {
        no_room(t, detail, &args->space, SPACE_RES);
        return false;
    }
    return true;
}

static void create_again(struct thread *t)
{
    struct create_args args;
    enum l4_detail detail = L4_D_NONE;
    struct kobj *o;
    bool new_table;
    uint32_t error = create_decode(t, &args, &new_table);

    if (UNLIKELY(error)) {
        sys_finish(t, error);
        return;
    }
    if (UNLIKELY(args.region_fault != L4_D_NONE)) {
        fault_cap(t, L4_OP_CONVERT, args.region_fault, L4_TYPE_MEMORY, L4_T, t->frame.w[PARAM0],
                  PARAM0, sys_create);
        return;
    }
    kroom_stretch(&t->map.room);
    if (UNLIKELY(new_table) && !create_table(t, &args))
        return;
    o = build(&args, &detail);
    if (UNLIKELY(!o)) {
        if (new_table)
            space_drop_table(t->task, L4_SPACE_CAP, args.name);
        no_room(t, detail, &args.obj, OBJ_RES);
        return;
    }
    if (args.type == L4_TYPE_KPAGE) {
        convert_start(t, (struct kpage *)o, args.name, &args.region);
        return;
    }
    create_publish(t, o, args.name, L4_RIGHTS_ALL);
    if (LIKELY(args.type != L4_TYPE_TASK || !args.source.names)) {
        sys_finish(t, 0);
        return;
    }
    t->names.task = (struct task *)o;
    t->names.new_table = new_table;
    map_reset(&t->map);
    if (preempt_point(PREEMPT_MAP)) /* the task alone is half a stretch of work */
        t->cont = initial_map;
    else
        initial_map(t);
}

void sys_create(struct thread *t)
{
    kroom_reset(&t->map.room);
    create_again(t);
}
