// SPDX-License-Identifier: MIT
/*
 * The reaper: a stack of dying objects and one small step machine for each type.  [M 2.5.1] [G41]
 *
 * No step keeps anything on the C stack across a preemption point.  What is left to do is read off the
 * object itself: its tree, its tables, the unit tags of its frames.  So any context may take over the
 * work at any point, and a flush that was interrupted for a more urgent object simply starts again.
 *
 * Invariant: KOBJ_DYING <=> on the stack.  reap_revoke is active for the object on top only.
 */
#include "kernel/reap.h"

#include <arch/paging.h>
#include "kernel/cpu.h"
#include "kernel/ipc.h"
#include "kernel/kpage.h"
#include "kernel/lib/string.h"
#include "kernel/mapdb.h"
#include "kernel/resv.h"
#include "kernel/task.h"
#include "kernel/thread.h"
#include "kernel/trace.h"

struct kobj *reap_top;
struct revoke reap_revoke;

#define REAP_NODES 8u  /* descendants removed in one step */
#define REAP_NAMES 256u /* names looked at in one step: as much work as a few revoked nodes [G42] */

/* Progress of an object, in kobj.step. */
enum reap_stage {
    STAGE_DESCENDANTS, STAGE_DISSOCIATE,
    STAGE_TASK_IO, STAGE_TASK_MEMORY, STAGE_TASK_CAPS,
    STAGE_PAGE_OBJECTS, STAGE_PAGE_TABLES, STAGE_PAGE_NODES, STAGE_PAGE_ZERO,
    STAGE_FREE
};

/* How a step ended. */
enum reap_result {
    REAP_MORE,    /* the object (or another one now on top) needs more steps */
    REAP_GONE,    /* it is off the stack and freed */
    REAP_PREEMPT  /* a revocation inside asked for it */
};

/* ---- the stack ---- */

static void stack_push(struct kobj *o)
{
    o->reap_prev = NULL;
    o->reap_next = reap_top;
    if (reap_top)
        reap_top->reap_prev = o;
    reap_top = o;
}

static void stack_remove(struct kobj *o)
{
    if (o->reap_prev)
        o->reap_prev->reap_next = o->reap_next;
    else
        reap_top = o->reap_next;
    if (o->reap_next)
        o->reap_next->reap_prev = o->reap_prev;
    o->reap_next = NULL;
    o->reap_prev = NULL;
}

void reap_push(struct kobj *o)
{
    if (kobj_is_dying(o))
        return;
    ASSERT(!(o->flags & KOBJ_STATIC));
    o->flags |= KOBJ_DYING;
    o->step = STAGE_DESCENDANTS;
    stack_push(o);
}

bool reap_pending(void)
{
    return reap_top != NULL;
}

/* `o` must be gone before the object on top can be. */
static void reap_first(struct kobj *o)
{
    if (!kobj_is_dying(o)) {
        reap_push(o);
    } else if (o != reap_top) {
        stack_remove(o);
        stack_push(o);
    }
}

/* ---- flushing one name or node ---- */

/* Take all rights from n and below; when done n is gone.  n is no embedded root. */
static enum reap_result reap_flush(struct node *n)
{
    ASSERT(!(n->flags & NODE_ROOT));
    if (!reap_revoke.active || reap_revoke.root != n) {
        revoke_cancel(&reap_revoke);
        revoke_start(&reap_revoke, n, 0, 0xffffffffu, L4_RIGHTS_ALL, REVOKE_SELF | REVOKE_KEEP);
    }
    return revoke_step(&reap_revoke) == STEP_DONE ? REAP_MORE : REAP_PREEMPT;
}

/*
 * Empty the name that holds n, for `o` on whose behalf the name goes away.  An object whose creator's
 * capability stood here dies with its name.  Its own cannot wait: the table is older than the object
 * only if it is somebody else's.
 */
static enum reap_result reap_name(struct kobj *o, struct node *n)
{
    struct kobj *owned;

    if (!(n->flags & NODE_ROOT))
        return reap_flush(n);
    owned = node_kobj(n);
    if (owned == o)
        space_leave(n);
    else
        reap_first(owned);
    return REAP_MORE;
}

/* The first node in table[at..end), as an index; end if there is none. */
static uint32_t table_find(struct node *const *table, uint32_t at, uint32_t end)
{
    while (at < end && !table[at])
        at++;
    return at;
}

/* ---- task ---- */

static enum reap_result reap_task_io(struct task *task)
{
    if (task->io_nodes)
        return reap_name(&task->obj, task->io_nodes);
    task->obj.step = STAGE_TASK_MEMORY;
    task->reap_at = 0;
    return REAP_MORE;
}

/*
 * Tables of one space, from task->reap_at on; `directories` of them.  The entries of both directories are
 * words that are 0 where there is no table.
 */
static enum reap_result reap_task_tables(struct task *task, uint32_t space, uint32_t directories)
{
    const uint32_t *directory = space == L4_SPACE_MEM ? task->pd_shadow
                                                      : (const uint32_t *)(const void *)task->cap_dir;
    uint32_t dir = task->reap_at >> 10, at = task->reap_at & 1023u, end, looked = 0;
    struct node **table;

    for (; dir < directories; dir++, at = 0) {
        if (!directory[dir])
            continue;
        if (directory[dir] & 1u) { /* a 4 MB node */
            task->reap_at = dir << 10;
            return reap_name(&task->obj, (struct node *)(uintptr_t)(directory[dir] & ~1u));
        }
        table = (struct node **)(uintptr_t)directory[dir];
        while (at < 1024u) {
            if (looked == REAP_NAMES) {
                task->reap_at = dir << 10 | at;
                return REAP_MORE;
            }
            end = min_u32(at + REAP_NAMES - looked, 1024u);
            looked += end - at;
            at = table_find(table, at, end);
            if (at < end) {
                task->reap_at = dir << 10 | at;
                return reap_name(&task->obj, table[at]);
            }
        }
        space_drop_table(task, space, dir << SUPER_SHIFT);
    }
    task->obj.step = space == L4_SPACE_MEM ? STAGE_TASK_CAPS : STAGE_FREE;
    task->reap_at = 0;
    return REAP_MORE;
}

/* ---- kernel page ---- */

/* The next frame of kp at or behind its hint that is in use, or NULL: kp->hint is the cursor, since
 * nothing is allocated in a dying page. */
static struct frame *reap_next_frame(struct kpage *kp)
{
    struct frame *frames = &frame_table[kp->base >> PAGE_SHIFT];

    while (kp->hint < kp->frames && (frames[kp->hint].use & 15u) == FRAME_FREE)
        kp->hint++;
    return kp->hint < kp->frames ? &frames[kp->hint] : NULL;
}

static void reap_stage(struct kpage *kp, enum reap_stage stage)
{
    kp->obj.step = (uint8_t)stage;
    kp->hint = 0;
}

/* First threads, endpoints, tasks, ...: they give back most of the rest by themselves. */
static enum reap_result reap_page_objects(struct kpage *kp)
{
    struct frame *f = reap_next_frame(kp);
    char *page;

    if (!f) {
        reap_stage(kp, STAGE_PAGE_TABLES);
        return REAP_MORE;
    }
    page = phys_to_virt(kp->base + ((paddr_t)kp->hint << PAGE_SHIFT));
    if ((f->use & 15u) == FRAME_CHUNKED) {
        for (unsigned unit = 2; unit < PAGE_SIZE / L4_UNIT; unit++) {
            enum unit_tag tag = unit_tag_get(page, unit);

            if (tag >= UNIT_THREAD && tag <= UNIT_CPU) {
                reap_first((struct kobj *)(void *)(page + unit * L4_UNIT));
                return REAP_MORE;
            }
        }
    }
    kp->hint++;
    return REAP_MORE;
}

/* A frame that holds a table of `owner`: empty its names, then take it (and its twin) away. */
static enum reap_result reap_one_table(struct kpage *kp, struct task *owner, uint32_t use,
                                       const void *page)
{
    uint32_t space = use == FRAME_CAPTABLE ? L4_SPACE_CAP : L4_SPACE_MEM;
    struct node **table = NULL;
    uint32_t dir, at;

    for (dir = 0; dir < 1024u; dir++) {
        uint32_t shadow = owner->pd_shadow[dir];

        if (use == FRAME_CAPTABLE ? owner->cap_dir[dir] == page
            : use == FRAME_SHADOW ? shadow == (uint32_t)(uintptr_t)page
            : (shadow && (owner->pd[dir] & PTE_PRESENT) && !(owner->pd[dir] & PTE_SUPER) &&
               phys_to_virt(owner->pd[dir] & 0xfffff000u) == page))
            break;
    }
    ASSERT(dir < 1024u);
    if (space == L4_SPACE_CAP)
        table = owner->cap_dir[dir];
    else if (!(owner->pd_shadow[dir] & 1u)) /* a view has no names of its own */
        table = (struct node **)(uintptr_t)owner->pd_shadow[dir];
    at = table ? table_find(table, 0, 1024) : 1024;
    if (at < 1024u)
        return reap_name(&kp->obj, table[at]);
    space_drop_table(owner, space, dir << SUPER_SHIFT);
    return REAP_MORE;
}

static enum reap_result reap_page_tables(struct kpage *kp)
{
    struct frame *f = reap_next_frame(kp);
    struct task *owner;

    if (!f) {
        reap_stage(kp, STAGE_PAGE_NODES);
        return REAP_MORE;
    }
    owner = (struct task *)(uintptr_t)(f->use & ~31u);
    switch (f->use & 15u) {
    case FRAME_CHUNKED:
        kp->hint++;
        return REAP_MORE;
    case FRAME_PAGETABLE:
    case FRAME_SHADOW:
    case FRAME_CAPTABLE:
        return reap_one_table(kp, owner, f->use & 15u,
                              phys_to_virt(kp->base + ((paddr_t)kp->hint << PAGE_SHIFT)));
    default: /* the task cannot live without its directories */
        reap_first(&owner->obj);
        return REAP_MORE;
    }
}

static enum reap_result reap_page_nodes(struct kpage *kp)
{
    struct frame *f = reap_next_frame(kp);
    char *page;

    if (!f) {
        reap_stage(kp, STAGE_PAGE_ZERO);
        return REAP_MORE;
    }
    page = phys_to_virt(kp->base + ((paddr_t)kp->hint << PAGE_SHIFT));
    if ((f->use & 15u) == FRAME_CHUNKED) {
        for (unsigned unit = 2; unit < PAGE_SIZE / L4_UNIT; unit++)
            if (unit_tag_get(page, unit) == UNIT_NODE)
                return reap_flush((struct node *)(void *)(page + unit * L4_UNIT));
    }
    /* Something else was made here since the first walk: begin again. */
    reap_stage(kp, STAGE_PAGE_OBJECTS);
    return REAP_MORE;
}

/* One frame a step: cleared first, then free for its user; access comes back by mem_refill(). */
static enum reap_result reap_page_zero(struct kpage *kp)
{
    uint32_t frame = (kp->base >> PAGE_SHIFT) + kp->hint;

    if (kp->hint == kp->frames) {
        kpage_detach(kp);
        kp->obj.step = STAGE_FREE;
        return REAP_MORE;
    }
    memset(phys_to_virt(frame << PAGE_SHIFT), 0, PAGE_SIZE);
    kpage_mark_frame(frame, FRAME_USER);
    kp->hint++;
    return REAP_MORE;
}

/* ---- common to all ---- */

/* Every tail of the list is a leaf, so going backward from the root's prev removes the whole tree. */
static bool reap_descendants(struct kobj *o)
{
    for (unsigned n = 0; n < REAP_NODES; n++) {
        if (o->root.prev == &o->root)
            return true;
        mapdb_drop(o->root.prev);
    }
    return o->root.prev == &o->root;
}

static bool reap_dissociate(struct kobj *o)
{
    struct task *task = (struct task *)o;

    switch (o->type) {
    case L4_TYPE_TASK:
        if (task->threads)
            thread_unbind(task->threads, HALT_UNBOUND);
        return task->threads == NULL;
    case L4_TYPE_THREAD:
        return thread_dissociate((struct thread *)o);
    case L4_TYPE_ENDPOINT:
        return endpoint_dissociate((struct endpoint *)o);
    case L4_TYPE_RESERVATION:
        return resv_dissociate((struct resv *)o);
    default:
        return true;
    }
}

static void reap_free_task(struct task *task)
{
    struct cpu *cpu = this_cpu();

    if (cpu->loaded == task)
        arch_load_space(NULL);
    if (cpu->io_task == task) {
        cpu->io_task = NULL;
        cpu->io_version = 0;
    }
    kmem_free_page(task->pd);
    kmem_free_page(task->pd_shadow);
    kmem_free_page(task->cap_dir);
    kmem_free_page(task->io_bitmap[0]);
    kmem_free_page(task->io_bitmap[1]);
}

static unsigned reap_size(const struct kobj *o)
{
    switch (o->type) {
    case L4_TYPE_TASK:
        return L4_SIZE_TASK;
    case L4_TYPE_THREAD:
        return L4_SIZE_THREAD;
    case L4_TYPE_ENDPOINT:
        return L4_SIZE_ENDPOINT;
    case L4_TYPE_RESERVATION:
        return L4_SIZE_RESERVATION;
    default:
        return L4_SIZE_KPAGE;
    }
}

static void reap_free(struct kobj *o)
{
    struct cpu *cpu = this_cpu();

    if (o->root.task)
        space_leave(&o->root);
    if (o->root.flags & NODE_CURSOR)
        revoke_forget(&o->root);
    if (o->type == L4_TYPE_TASK)
        reap_free_task((struct task *)o);
    if (o->type == L4_TYPE_THREAD) {
        struct thread *t = (struct thread *)o;

        if (cpu->current == t) {
            cpu->current = NULL;
            cpu->resched = true;
        }
        if (cpu->fpu_owner == t)
            cpu->fpu_owner = NULL;
    }
    TRACE(DESTROY, o->id, o->type, 0);
    stack_remove(o);
    kmem_free(o, reap_size(o));
}

/* One step of the object on top.  Stages that are over at once fall through to the next. */
static enum reap_result reap_step(struct kobj *o)
{
    struct task *task = (struct task *)o;
    struct kpage *kp = (struct kpage *)o;

    switch ((enum reap_stage)o->step) {
    case STAGE_DESCENDANTS:
        if (!reap_descendants(o))
            return REAP_MORE;
        o->step = STAGE_DISSOCIATE;
        __attribute__((fallthrough));
    case STAGE_DISSOCIATE:
        if (!reap_dissociate(o))
            return REAP_MORE;
        if (o->type == L4_TYPE_TASK) {
            o->step = STAGE_TASK_IO;
            return REAP_MORE;
        }
        if (o->type == L4_TYPE_KPAGE) {
            reap_stage(kp, STAGE_PAGE_OBJECTS);
            return REAP_MORE;
        }
        break;
    case STAGE_TASK_IO:
        return reap_task_io(task);
    case STAGE_TASK_MEMORY:
        return reap_task_tables(task, L4_SPACE_MEM, L4_USER_TOP >> SUPER_SHIFT);
    case STAGE_TASK_CAPS:
        return reap_task_tables(task, L4_SPACE_CAP, 1024u);
    case STAGE_PAGE_OBJECTS:
        return reap_page_objects(kp);
    case STAGE_PAGE_TABLES:
        return reap_page_tables(kp);
    case STAGE_PAGE_NODES:
        return reap_page_nodes(kp);
    case STAGE_PAGE_ZERO:
        return reap_page_zero(kp);
    case STAGE_FREE:
        break;
    }
    /* An operation that held a node across a preemption may have mapped it after the first walk. */
    if (!reap_descendants(o))
        return REAP_MORE;
    reap_free(o);
    return REAP_GONE;
}

enum step reap_run(struct thread *self)
{
    bool was_bound = self && self->task, gone = false;
    enum step step = STEP_DONE;

    while (reap_top) {
        struct kobj *o = reap_top;
        enum preempt_id where = o->step == STAGE_PAGE_ZERO ? PREEMPT_ZERO : PREEMPT_REAP;
        enum reap_result result = reap_step(o);

        if (result == REAP_GONE && self && o == &self->obj) {
            self = NULL;
            gone = true;
        }
        if (result == REAP_PREEMPT || (reap_top && preempt_point(where))) {
            step = STEP_PREEMPTED;
            break;
        }
    }
    /* Who lost his task has been stopped and has nothing to go on with. */
    if (gone || (self && was_bound && !self->task))
        step = STEP_GONE;
    return step;
}
