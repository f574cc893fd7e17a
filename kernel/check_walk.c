// SPDX-License-Identifier: MIT
/* What the rules about memory start from: pointers that are looked at before they are followed, and walks. */
#include "kernel/boot.h"
#include "kernel/check_walk.h"
#include "kernel/cpu.h"
#include "kernel/reap.h"

/* ---- what a pointer leads to ---- */

struct frame *check_frame_of(const void *p)
{
    uint32_t frame = virt_to_phys(p) >> PAGE_SHIFT;

    return frame < frame_count ? &frame_table[frame] : NULL;
}

enum unit_tag check_tag_at(const void *p)
{
    paddr_t phys = virt_to_phys(p);
    const struct frame *f = check_frame_of(p);

    if (!f || f->kp <= FRAME_DEVICE || (f->use & 15u) != FRAME_CHUNKED || phys % L4_UNIT != 0)
        return UNIT_FREE;
    return unit_tag_get(phys_to_virt(round_down(phys, PAGE_SIZE)), (phys & (PAGE_SIZE - 1u)) / L4_UNIT);
}

static bool tag_is_object(enum unit_tag tag)
{
    return tag >= UNIT_THREAD && tag <= UNIT_CPU;
}

enum l4_type check_tag_type(enum unit_tag tag)
{
    static const uint8_t type[] = {
        [UNIT_THREAD] = L4_TYPE_THREAD, [UNIT_ENDPOINT] = L4_TYPE_ENDPOINT,
        [UNIT_RESERVATION] = L4_TYPE_RESERVATION, [UNIT_TASK] = L4_TYPE_TASK,
        [UNIT_KPAGE] = L4_TYPE_KPAGE, [UNIT_CPU] = L4_TYPE_CPU,
    };

    return (unsigned)tag < ARRAY_SIZE(type) ? (enum l4_type)type[tag] : L4_TYPE_NONE;
}

bool check_is_object(const struct kobj *o)
{
    return o == &boot_cpu.obj || tag_is_object(check_tag_at(o));
}

bool check_is_task(const struct task *task)
{
    return check_tag_at(task) == UNIT_TASK;
}

static bool is_kernel_root(const struct node *n)
{
    uintptr_t offset = (uintptr_t)n - (uintptr_t)boot_mem_roots;

    return n == &boot_io_root ||
           (offset % sizeof *n == 0 && offset / sizeof *n < boot_mem_root_count);
}

bool check_is_node(const struct node *n)
{
    return check_tag_at(n) == UNIT_NODE || check_is_object((const struct kobj *)(const void *)n) || is_kernel_root(n);
}

/* ---- walks ---- */

const struct node *check_root_next(struct check_roots *w)
{
    if (w->memory < boot_mem_root_count)
        return &boot_mem_roots[w->memory++];
    if (!w->io) {
        w->io = true;
        return &boot_io_root;
    }
    w->object = kobj_next(w->object);
    return w->object ? &w->object->root : NULL;
}

const struct node *check_tree_next(const struct node *root, const struct node *n)
{
    return n->next != root && check_is_node(n->next) && n->next->depth > 0 ? n->next : NULL;
}

struct task *check_task_next(struct task *previous)
{
    struct kobj *o = previous ? &previous->obj : NULL;

    while ((o = kobj_next(o)) != NULL) {
        struct task *task = (struct task *)o;

        if (check_tag_at(o) == UNIT_TASK && check_frame_of(task->pd) && check_frame_of(task->pd_shadow) &&
            check_frame_of(task->cap_dir) && check_frame_of(task->io_bitmap[0]) && check_frame_of(task->io_bitmap[1]))
            return task;
    }
    return NULL;
}

uint32_t check_kernel_frame(uint32_t frame)
{
    while (frame < frame_count && frame_table[frame].kp <= FRAME_DEVICE) {
        frame++;
        while (frame < frame_count && (frame & (BLOCK_FRAMES - 1u)) == 0 && !block_is_converted(frame << PAGE_SHIFT))
            frame += BLOCK_FRAMES;
    }
    return min_u32(frame, frame_count);
}

bool check_in_flux(void)
{
    return revoke_active || revoke_was_cancelled || reap_pending();
}
