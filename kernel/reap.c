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

/* Progress of an object, in kobj.step: the stages of the walk over what goes with it, and these. */
enum reap_stage {
    STAGE_DESCENDANTS = REAP_WALK_OVER + 1, STAGE_DISSOCIATE, STAGE_PAGE_ZERO, STAGE_FREE
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

/* ---- what goes with it ---- */

/*
 * The walk over what goes with the object on top.  Where it stands is kept in the object, too, in kobj.step and
 * task.reap_at or kpage.hint, for the case that another object comes on top in between.  Nothing is allocated
 * in a dying page, so its hint is free for that.
 */
static struct reap_walk walk;

static void walk_load(struct kobj *o)
{
    if (walk.o == o && walk.stage == o->step)
        return;
    reap_walk_start(&walk, o);
    walk.stage = o->step;
    if (o->type == L4_TYPE_TASK)
        walk.at = ((struct task *)o)->reap_at;
    else
        walk.at = (uint32_t)((struct kpage *)o)->hint << REAP_WALK_SHIFT;
}

static void walk_store(struct kobj *o)
{
    o->step = (uint8_t)walk.stage;
    if (o->type == L4_TYPE_TASK)
        ((struct task *)o)->reap_at = walk.at;
    else
        ((struct kpage *)o)->hint = (uint16_t)(walk.at >> REAP_WALK_SHIFT);
}

/* Of a table of a living task: names that were passed may have been used again. */
static bool table_is_empty(const struct task *owner, uint32_t space, uint32_t name)
{
    uint32_t entry = space == L4_SPACE_MEM ? owner->pd_shadow[name >> SUPER_SHIFT]
                                           : (uint32_t)(uintptr_t)owner->cap_dir[name >> SUPER_SHIFT];

    return (entry & 1u) || table_find((const uint32_t *)(uintptr_t)entry, 0, TABLE_NAMES) == TABLE_NAMES;
}

/* One thing goes; reads where the walk stands and leaves it there.  REAP_GONE: nothing was left. */
static enum reap_result reap_contents(struct kobj *o)
{
    struct reap_item item;

    walk_load(o);
    reap_walk_next(&walk, &item);
    walk_store(o);
    switch (item.kind) {
    case REAP_END:
        return REAP_GONE;
    case REAP_PAUSE:
        break;
    case REAP_THREAD:
        thread_unbind(item.thread, HALT_UNBOUND);
        break;
    case REAP_NODE:
        return reap_flush(item.node);
    case REAP_OBJECT:
        reap_first(item.object);
        break;
    case REAP_OWN:
        cap_leave(&o->root);
        break;
    case REAP_TABLE:
        if (&item.table.owner->obj == o || table_is_empty(item.table.owner, item.table.space, item.table.name))
            space_drop_table(item.table.owner, item.table.space, item.table.name);
        else
            walk.at &= ~((1u << REAP_WALK_SHIFT) - 1u);
        break;
    }
    return REAP_MORE;
}

/* One frame a step: cleared first, then free for its user; access comes back by mem_refill(). */
static enum reap_result reap_page_zero(struct kpage *kp)
{
    uint32_t frame = (kp->base >> PAGE_SHIFT) + kp->hint;

    if (kp->hint < kp->frames && frame_table[frame].use != FRAME_FREE) {
        /* Something was made here since the walk: begin again. */
        kp->obj.step = REAP_PAGE_OBJECTS;
        kp->hint = 0;
        return REAP_MORE;
    }
    if (kp->hint == kp->frames) {
        kpage_detach(kp);
        kp->obj.step = STAGE_FREE;
        return REAP_MORE;
    }
    memset(phys_to_virt(frame << PAGE_SHIFT), 0, PAGE_SIZE);
    kpage_unmark_frame(frame);
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
    switch (o->type) {
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
        cpu_set_io_task(cpu, NULL);
        cpu->io_version = 0;
    }
    kmem_free_page(task->pd);
    kmem_free_page(task->pd_shadow);
    kmem_free_page(task->cap_dir);
    kmem_free_page(task->io_bitmap[0]);
    kmem_free_page(task->io_bitmap[1]);
}

static const uint16_t object_size[] = {
    [L4_TYPE_TASK] = L4_SIZE_TASK, [L4_TYPE_THREAD] = L4_SIZE_THREAD, [L4_TYPE_ENDPOINT] = L4_SIZE_ENDPOINT,
    [L4_TYPE_KPAGE] = L4_SIZE_KPAGE, [L4_TYPE_RESERVATION] = L4_SIZE_RESERVATION,
};

static void reap_free(struct kobj *o)
{
    if (o->root.task)
        cap_leave(&o->root);
    if (o->root.flags & NODE_CURSOR)
        revoke_forget(&o->root);
    if (o->type == L4_TYPE_TASK)
        reap_free_task((struct task *)o);
    TRACE(DESTROY, o->id, o->type, 0);
    stack_remove(o);
    kmem_free(o, object_size[o->type]);
}

/* One step of the object on top.  Stages that are over at once fall through to the next. */
static enum reap_result reap_step(struct kobj *o)
{
    struct kpage *kp = (struct kpage *)o;

    switch (o->step) {
    case STAGE_DESCENDANTS:
        if (!reap_descendants(o))
            return REAP_MORE;
        o->step = STAGE_DISSOCIATE;
        __attribute__((fallthrough));
    case STAGE_DISSOCIATE:
        if (!reap_dissociate(o))
            return REAP_MORE;
        if (o->type == L4_TYPE_TASK || o->type == L4_TYPE_KPAGE) {
            reap_walk_start(&walk, o);
            walk_store(o);
            return REAP_MORE;
        }
        break;
    case STAGE_PAGE_ZERO:
        return reap_page_zero(kp);
    case STAGE_FREE:
        break;
    default: {
        enum reap_result result = reap_contents(o);

        if (result != REAP_GONE)
            return result;
        if (o->type == L4_TYPE_KPAGE) {
            o->step = STAGE_PAGE_ZERO; /* the hint is 0: the walk left it so */
            return REAP_MORE;
        }
        o->step = STAGE_FREE;
        break;
    }
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
