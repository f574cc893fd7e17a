// SPDX-License-Identifier: MIT
/*
 * What goes with a task or a kernel page when it is destroyed: one thing after the other, in the order in which
 * it goes.  Reads only, so that the debugger can ask the same as the reaper.  [M 2.5.1] [G41]
 *
 * A position is 1 << WALK_SHIFT times the number of a directory entry or frame, plus the name or unit in it; behind
 * the 1024 names comes the table itself.  Of the list of threads it is an address, of IO nodes a name.
 */
#include "kernel/reap.h"

#include <arch/paging.h>
#include "kernel/kpage.h"
#include "kernel/task.h"
#include "kernel/thread.h"

#define WALK_SHIFT  REAP_WALK_SHIFT
#define WALK_LOOKS  256u  /* names or frames looked at in one go: as much work as a few revoked nodes [G42] */

/* Both directories and all tables are words that are 0 where there is nothing. */
static const uint32_t *directory_of(const struct task *task, uint32_t space)
{
    return space == L4_SPACE_MEM ? task->pd_shadow : (const uint32_t *)(const void *)task->cap_dir;
}

/*
 * A name that goes takes its node along, with all that was mapped from it.  An object whose creator's capability
 * stands there dies with its name.  Its own cannot wait: the table is older than the object only if it
 * is somebody else's.
 */
static void found_name(const struct reap_walk *w, struct node *n, struct reap_item *item)
{
    item->node = n;
    item->kind = !(n->flags & NODE_ROOT) ? REAP_NODE : node_kobj(n) == w->o ? REAP_OWN : REAP_OBJECT;
    if (item->kind == REAP_OBJECT)
        item->object = node_kobj(n);
}

/*
 * The names of one table from *pos on, at most *looks of them, then the table itself.  False: nothing more.
 * True with REAP_PAUSE if more names are to be looked at.
 */
static bool walk_table(const struct reap_walk *w, struct task *owner, uint32_t space, uint32_t dir, uint32_t *pos,
                       uint32_t *looks, struct reap_item *item)
{
    uint32_t entry = directory_of(owner, space)[dir], end;
    const uint32_t *table = (const uint32_t *)(uintptr_t)entry;

    if (entry & 1u) /* a 4 MB node: what is below is its view, without names of its own */
        *pos = max_u32(*pos, TABLE_NAMES);
    if (*pos < TABLE_NAMES) {
        end = min_u32(*pos + *looks, TABLE_NAMES);
        *looks -= end - *pos;
        *pos = table_find(table, *pos, end);
        if (*pos < end) {
            found_name(w, (struct node *)(uintptr_t)table[*pos], item);
            return true;
        }
        if (end < TABLE_NAMES) {
            item->kind = REAP_PAUSE;
            return true;
        }
    }
    if (*pos > TABLE_NAMES)
        return false;
    item->kind = REAP_TABLE;
    item->table.owner = owner;
    item->table.space = space;
    item->table.name = dir << SUPER_SHIFT;
    return true;
}

/* ---- task ---- */

static bool walk_threads(struct reap_walk *w, const struct task *task, struct reap_item *item)
{
    item->kind = REAP_THREAD;
    item->thread = w->at ? (struct thread *)(uintptr_t)w->at : task->threads;
    return item->thread != NULL;
}

static bool walk_io(struct reap_walk *w, const struct task *task, struct reap_item *item)
{
    struct node *n = io_at_or_behind(task, w->at);

    if (n)
        found_name(w, n, item);
    return n != NULL;
}

static bool walk_names(struct reap_walk *w, struct task *task, uint32_t space, uint32_t directories,
                       struct reap_item *item)
{
    const uint32_t *directory = directory_of(task, space);
    uint32_t looks = WALK_LOOKS, dir = w->at >> WALK_SHIFT, pos = w->at & ((1u << WALK_SHIFT) - 1u);

    for (;; dir++, pos = 0) {
        uint32_t next = table_find(directory, dir, directories);

        if (next != dir)
            pos = 0;
        dir = next;
        w->at = dir << WALK_SHIFT | pos;
        if (dir == directories)
            return false;
        if (directory[dir] & 1u) {
            if (pos)
                continue;
            found_name(w, (struct node *)(uintptr_t)(directory[dir] & ~1u), item);
            return true;
        }
        if (walk_table(w, task, space, dir, &pos, &looks, item)) {
            w->at = dir << WALK_SHIFT | pos;
            return true;
        }
    }
}

/* ---- kernel page ---- */

/* The directory index of a table of `owner`, whose frame is `page` and of this kind; TABLE_NAMES if it hangs nowhere. */
static uint32_t table_place(struct reap_walk *w, const struct task *owner, uint32_t kind, const void *page)
{
    const uint32_t *directory = kind == FRAME_PAGETABLE
                                ? owner->pd : directory_of(owner, kind == FRAME_CAPTABLE ? L4_SPACE_CAP : L4_SPACE_MEM);
    uint32_t is = (uint32_t)(uintptr_t)page, mask = 0xffffffffu, dir;

    if (kind == FRAME_PAGETABLE) { /* or a view */
        is = virt_to_phys(page) | PTE_PRESENT;
        mask = 0xfffff000u | PTE_PRESENT | PTE_SUPER;
    }
    if (w->page == page && (directory[w->dir] & mask) == is)
        return w->dir;
    for (dir = 0; dir < TABLE_NAMES && (directory[dir] & mask) != is; dir++)
        ;
    w->page = page;
    w->dir = dir & (TABLE_NAMES - 1u);
    return dir;
}

/*
 * First threads, endpoints, tasks, ...: they give back most of the rest by themselves.  Then tables, whose
 * names and twins go along, and tasks that cannot live without the directories here.  Then nodes.
 */
static bool walk_frame(struct reap_walk *w, const struct frame *f, char *page, uint32_t *pos, uint32_t *looks,
                       struct reap_item *item)
{
    unsigned kind = f->use & 15u, unit;
    struct task *owner = (struct task *)(uintptr_t)(f->use & ~31u);
    uint32_t dir;

    if (w->stage == REAP_PAGE_TABLES) {
        if (kind == FRAME_CHUNKED)
            return false;
        if (kind != FRAME_PAGETABLE && kind != FRAME_SHADOW && kind != FRAME_CAPTABLE) {
            item->kind = REAP_OBJECT;
            item->object = &owner->obj;
            return *pos == 0;
        }
        dir = table_place(w, owner, kind, page);
        return dir < TABLE_NAMES &&
               walk_table(w, owner, kind == FRAME_CAPTABLE ? L4_SPACE_CAP : L4_SPACE_MEM, dir, pos, looks, item);
    }
    if (kind != FRAME_CHUNKED)
        return false;
    unit = w->stage == REAP_PAGE_OBJECTS ? unit_find_object(page, *pos) : unit_find_node(page, *pos);
    if (unit == PAGE_UNITS)
        return false;
    *pos = unit;
    page += unit * L4_UNIT;
    if (w->stage == REAP_PAGE_OBJECTS) {
        item->kind = REAP_OBJECT;
        item->object = (struct kobj *)(void *)page;
    } else {
        item->kind = REAP_NODE;
        item->node = (struct node *)(void *)page;
    }
    return true;
}

static bool walk_frames(struct reap_walk *w, const struct kpage *kp, struct reap_item *item)
{
    const struct frame *frames = &frame_table[kp->base >> PAGE_SHIFT];
    uint32_t looks = WALK_LOOKS, frame = w->at >> WALK_SHIFT, pos = w->at & ((1u << WALK_SHIFT) - 1u);

    for (; frame < kp->frames; frame++, pos = 0) {
        bool found = (frames[frame].use & 15u) != FRAME_FREE &&
                     walk_frame(w, &frames[frame], phys_to_virt(kp->base + ((paddr_t)frame << PAGE_SHIFT)), &pos,
                                &looks, item);

        if (!found && looks-- == 0) {
            item->kind = REAP_PAUSE;
            found = true;
        }
        if (found) {
            w->at = frame << WALK_SHIFT | pos;
            return true;
        }
    }
    return false;
}

/* ---- common to both ---- */

void reap_walk_start(struct reap_walk *w, struct kobj *o)
{
    w->o = o;
    w->stage = o->type == L4_TYPE_TASK ? REAP_TASK_THREADS : o->type == L4_TYPE_KPAGE ? REAP_PAGE_OBJECTS : REAP_WALK_OVER;
    w->at = 0;
    w->page = NULL;
    w->dir = 0;
}

void reap_walk_next(struct reap_walk *w, struct reap_item *item)
{
    struct task *task = (struct task *)w->o;
    const struct kpage *kp = (const struct kpage *)w->o;
    bool found = false;

    switch (w->stage) {
    case REAP_TASK_THREADS:
        found = walk_threads(w, task, item);
        break;
    case REAP_TASK_IO:
        found = walk_io(w, task, item);
        break;
    case REAP_TASK_MEMORY:
        found = walk_names(w, task, L4_SPACE_MEM, USER_ENTRIES, item);
        break;
    case REAP_TASK_CAPS:
        found = walk_names(w, task, L4_SPACE_CAP, TABLE_NAMES, item);
        break;
    case REAP_PAGE_OBJECTS:
    case REAP_PAGE_TABLES:
    case REAP_PAGE_NODES:
        found = walk_frames(w, kp, item);
        break;
    case REAP_WALK_OVER:
        item->kind = REAP_END;
        return;
    }
    if (found)
        return;
    item->kind = REAP_PAUSE;
    w->stage = w->stage == REAP_TASK_CAPS || w->stage == REAP_PAGE_NODES ? REAP_WALK_OVER
                                                                         : (enum reap_walk_stage)(w->stage + 1);
    w->at = 0;
}

void reap_walk_pass(struct reap_walk *w, const struct reap_item *item)
{
    if (w->stage == REAP_TASK_THREADS) {
        w->at = (uint32_t)(uintptr_t)item->thread->task_next;
        w->stage = (enum reap_walk_stage)(w->stage + (w->at == 0));
    } else if (w->stage == REAP_TASK_IO) {
        w->at = node_last(item->node) + 1u;
    } else {
        w->at++;
    }
}
