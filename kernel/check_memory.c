// SPDX-License-Identifier: MIT
/*
 * The invariants of objects and kernel pages, as rules: group OBJ.  They hold at preemption points, too: where an operation that
 * is under way excuses a difference, the rule says so.  [G51]
 */
#include "kernel/boot.h"
#include "kernel/check_walk.h"
#include "kernel/reap.h"
#include "kernel/thread.h"

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
    const struct frame *f = check_frame_of(kp);

    return check_tag_at(kp) == UNIT_KPAGE || (f && f->kp == FRAME_KERNEL) || kp == boot_kpage;
}

CHECK_RULE(obj_bytes, "OBJ-1", "OBJ", "every byte of every kernel page is free or part of one object, node or table")
{
    for (uint32_t i = 0; (i = check_kernel_frame(i)) < frame_count; i++) {
        const struct kpage *kp = (const struct kpage *)(uintptr_t)frame_table[i].kp;
        uint32_t use = frame_table[i].use;

        if ((i & 15u) == 0 && !check_tick(c))
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
            if (!check_is_task((const struct task *)(uintptr_t)(use & ~31u)))
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
        for (uint32_t dir = 0; dir < (kind == FRAME_CAPTABLE ? TABLE_NAMES : USER_ENTRIES); dir++) {
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
    for (uint32_t i = 0; (i = check_kernel_frame(i)) < frame_count; i++) {
        uint32_t kind = frame_table[i].use & 15u;
        const struct task *task = (const struct task *)(uintptr_t)(frame_table[i].use & ~31u);

        if (kind == FRAME_FREE || kind == FRAME_CHUNKED)
            continue;
        if ((i & 15u) == 0 && !check_tick(c))
            return;
        c->looked++;
        if (check_is_task(task) && !task_uses(task, kind, phys_to_virt(i << PAGE_SHIFT)))
            check_fail(c, "frame %x: tk%u does not use it", i, task->obj.id);
    }
    for (struct task *task = check_task_next(NULL); task; task = check_task_next(task)) {
        const struct thread *before = NULL;
        uint32_t limit = 0;

        for (const struct thread *t = task->threads; t; before = t, t = t->task_next) {
            c->looked++;
            if (check_tag_at(t) != UNIT_THREAD || t->task != task || t->task_prev != before || limit++ > WALK_LIMIT) {
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

        if (check_tag_at(o) != UNIT_KPAGE || !check_tick(c))
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
        if (!check_is_node(kp->converter) || !(kp->converter->flags & NODE_CONVERTER) ||
            (!(node_rights(kp->converter) & L4_T) && !check_in_flux())) {
            check_fail(c, "kp%u: its converter cannot be one", o->id);
            continue;
        }
        for (list = kp->converter->kpage; list && list != kp && check_tag_at(list) == UNIT_KPAGE;)
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
        if (!check_is_object(o) || !kobj_is_dying(o) || o->reap_prev != above || on_stack > WALK_LIMIT) {
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
