// SPDX-License-Identifier: MIT
/*
 * Poison: a pattern in every word that the kernel keeps and whose value means nothing now.  A program that ever
 * meets the pattern has been shown kernel memory.  [P8] [G44]
 */
#include <arch/debug.h>
#include <arch/memory.h>
#include "kernel/debug/debug.h"
#include "kernel/kpage.h"
#include "kernel/thread.h"

static void fill(void *start, unsigned bytes, uint32_t pattern)
{
    uint32_t *at = start;

    for (; bytes; bytes -= sizeof *at)
        *at++ = pattern;
}

/* Nobody reads what is free: the allocator, or who gets it, clears what must be clear; a node is written as a whole. */
static void fill_free_memory(uint32_t pattern)
{
    for (uint32_t i = 0; i < frame_count; i++) {
        const struct frame *f = &frame_table[i];
        uint32_t *tags = phys_to_virt(i << PAGE_SHIFT);
        unsigned unit;

        if (!frame_is_converted(i << PAGE_SHIFT))
            continue;
        if ((f->use & 15u) == FRAME_FREE)
            fill(tags, PAGE_SIZE, pattern);
        else if ((f->use & 15u) == FRAME_CHUNKED)
            for (unit = 2; unit < PAGE_SIZE / L4_UNIT; unit++)
                if (((tags[unit / 8u] >> unit % 8u * 4u) & 15u) == UNIT_FREE)
                    fill(tags + unit * (L4_UNIT / 4u), L4_UNIT, pattern);
    }
}

/* Words of a thread that the kernel has read for the last time. */
static void fill_thread(struct thread *t, uint32_t pattern)
{
    bool waits = t->state == THREAD_RECV && !t->nested && t->ipc == &t->uipc && t->uipc.sent;

    fill(t->entry_room, sizeof t->entry_room, pattern);
    if (!t->fpu_used)
        fill(t->fpu, sizeof t->fpu, pattern);
    if (!t->nested && !t->cont && !t->hardware)
        fill(t->kmsg, sizeof t->kmsg, pattern);
    if (waits || (t->state == THREAD_READY && !t->cont && !t->nested))
        fill(t->msg, sizeof t->msg, pattern);
}

/* As a continuation: of the stack only what kernel_exit() stands on is in use then. */
void debug_poison(struct thread *caller)
{
    const uint32_t pattern = caller->frame.w[1];
    struct kobj *o;

    for (o = kobj_next(NULL); o; o = kobj_next(o))
        if (o->type == L4_TYPE_THREAD)
            fill_thread((struct thread *)(void *)o, pattern);
    fill_free_memory(pattern);
    arch_debug_fill_stack(pattern);
}
