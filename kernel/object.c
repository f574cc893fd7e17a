// SPDX-License-Identifier: MIT
/*
 * Kernel objects in general: the common head, and finding all of them.
 *
 * There is no list of objects.  Every object lies in a chunked frame of some kernel page, whose unit
 * tags say where it starts; a walk over the frame table finds each exactly once.  [G51]
 */
#include "kernel/object.h"

#include <arch/memory.h>
#include "kernel/cpu.h"
#include "kernel/kpage.h"
#include "kernel/mapdb.h"

static uint32_t kobj_last_id;

void kobj_init(struct kobj *o, enum l4_type type)
{
    mapdb_root(&o->root, (uint32_t)(uintptr_t)o);
    o->root.name = L4_FPAGE(0, L4_SPACE_CAP, L4_NAME_SHIFT, 0);
    o->type = (uint8_t)type;
    o->flags = 0;
    o->step = 0;
    o->spare = 0;
    o->id = ++kobj_last_id;
    o->reap_next = NULL;
    o->reap_prev = NULL;
}

struct kobj *kobj_next(const struct kobj *previous)
{
    uint32_t frame = 0;
    unsigned unit = 2;

    if (previous == &boot_cpu.obj)
        return NULL;
    if (previous) {
        paddr_t phys = virt_to_phys(previous);

        frame = phys >> PAGE_SHIFT;
        unit = (phys & (PAGE_SIZE - 1u)) / L4_UNIT + 1u;
    }
    for (; frame < frame_count; frame++, unit = 2) {
        char *page;

        if ((frame & (BLOCK_FRAMES - 1u)) == 0 && !block_is_converted(frame << PAGE_SHIFT)) {
            frame += BLOCK_FRAMES - 1u;
            continue;
        }
        if (frame_table[frame].kp <= FRAME_DEVICE || (frame_table[frame].use & 15u) != FRAME_CHUNKED)
            continue;
        page = phys_to_virt(frame << PAGE_SHIFT);
        while ((unit = unit_find_object(page, unit)) < PAGE_UNITS) {
            struct kobj *o = (struct kobj *)(void *)(page + unit++ * L4_UNIT);

            if (o->id != 0) /* 0: allocated, not initialised yet */
                return o;
        }
    }
    /* The boot CPU is the only object outside kernel pages. */
    return boot_cpu.obj.id != 0 ? &boot_cpu.obj : NULL;
}

struct kobj *kobj_by_id(uint32_t id)
{
    struct kobj *o = NULL;

    while ((o = kobj_next(o)) != NULL)
        if (o->id == id)
            return o;
    return NULL;
}

const char *kobj_prefix(enum l4_type type)
{
    static const char *const prefix[] = {
#define X(name, number, text, letters) [number] = letters,
        L4_TYPE_LIST(X)
#undef X
    };

    return (unsigned)type < ARRAY_SIZE(prefix) && prefix[type] ? prefix[type] : "?";
}
