// SPDX-License-Identifier: MIT
/*
 * The kernel's state as text, to see that two moments do not differ: objects, mapping trees, name spaces and what
 * the hardware is told of them, threads and queues, reservations, every frame of kernel memory.
 *
 * Left out is what no user can notice: what parameters and finished calls left behind in a thread, numbers that
 * only rise, the hints of the allocator, reference bits in page tables.
 */
#ifndef TESTS_UNIT_STATE_H
#define TESTS_UNIT_STATE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/boot.h"
#include "kernel/boot_mem.h"
#include "kernel/cpu.h"
#include "kernel/ipc.h"
#include "kernel/page.h"
#include "kernel/reap.h"
#include "kernel/resv.h"

static inline uint32_t state_digest(const void *from, size_t bytes, uint32_t but)
{
    const uint32_t *words = from;
    uint32_t hash = 2166136261u;

    for (size_t i = 0; i < bytes / sizeof *words; i++)
        hash = (hash ^ (words[i] & ~but)) * 16777619u;
    return hash;
}

static inline uint32_t state_id(const struct kobj *o) { return o ? o->id : 0; }
static inline uint32_t state_place(const void *p) { return p ? virt_to_phys(p) : 0; }

static inline void state_tree(FILE *out, const char *what, uint32_t id, const struct node *root)
{
    const struct node *n = root;

    do {
        fprintf(out, "%s %u: node %x depth %u flags %x name %x of task %u obj %x badge %x/%u\n", what, id,
                n == root ? 0 : state_place(n), n->depth, n->flags, n->name, n->task ? n->task->obj.id : 0,
                node_space(n) == L4_SPACE_CAP ? 0 : n->obj,
                node_space(n) == L4_SPACE_CAP ? n->badge : n->flags & NODE_CONVERTER ? n->kpage->obj.id : 0, n->badge_len);
        n = n->next;
    } while (n != root);
}

static inline void state_task(FILE *out, const struct task *task)
{
    unsigned i;

    for (i = 0; i < TABLE_NAMES; i++)
        if (task->cap_dir[i])
            fprintf(out, "task %u: capability table %u at %x digest %x\n", task->obj.id, i, state_place(task->cap_dir[i]),
                    state_digest(task->cap_dir[i], PAGE_SIZE, 0));
    for (i = 0; i < USER_ENTRIES; i++) {
        uint32_t shadow = task->pd_shadow[i], pde = task->pd[i];

        if (shadow || pde)
            fprintf(out, "task %u: block %u shadow %x digest %x hardware %x digest %x\n", task->obj.id, i, shadow,
                    !shadow || shadow & 1u ? 0 : state_digest(shadow_table(shadow), PAGE_SIZE, 0), pde & ~PTE_REFS,
                    !pde || pde & PTE_SUPER ? 0 : state_digest(table_of(pde), PAGE_SIZE, PTE_REFS));
    }
    for (const struct node *n = io_first(task); n; n = io_next(task, n))
        fprintf(out, "task %u: ports %x\n", task->obj.id, n->name);
    if (task->io_version)
        fprintf(out, "task %u: bitmaps %x %x\n", task->obj.id, state_digest(task->io_bitmap[0], PAGE_SIZE, 0),
                state_digest(task->io_bitmap[1], PAGE_SIZE, 0));
    for (const struct thread *t = task->threads; t; t = t->task_next)
        fprintf(out, "task %u: thread %u\n", task->obj.id, t->obj.id);
}

static inline void state_thread(FILE *out, const struct thread *t)
{
    const struct ipc *ipc = t->ipc;

    fprintf(out, "thread %u: task %u state %u nested %u goes on %u halt %u %u %u unmap %u builds %u %u error %x in %u\n",
            t->obj.id, t->task ? t->task->obj.id : 0, t->state, t->nested, t->cont != NULL, t->halt_pending,
            t->debug_halt, t->state == THREAD_HALTED ? t->halt_reason : 0, t->revoke.active, t->names.kpage != NULL, t->names.task != NULL,
            ipc->error, t->msg_in);
    fprintf(out, "thread %u: waits at %u kind %u send %x recv %x phase %x with %u\n", t->obj.id,
            ipc->endpoint ? ipc->endpoint->obj.id : 0, ipc->kind, ipc->endpoint ? ipc->send : 0,
            ipc->endpoint ? ipc->recv : 0, ipc->endpoint ? ipc->phase : 0, ipc->partner ? ipc->partner->obj.id : 0);
    for (unsigned i = 0; i < L4_TCR_COUNT; i++)
        if (t->tcr[i])
            fprintf(out, "thread %u: tcr %u %x\n", t->obj.id, i, t->tcr[i]);
    for (const struct resv *r = t->resv_list; r; r = r->thread_next)
        fprintf(out, "thread %u: reservation %u%s\n", t->obj.id, r->obj.id, r == t->resv ? " now" : "");
}

static inline void state_object(FILE *out, const struct kobj *o)
{
    const struct endpoint *ep = (const struct endpoint *)(const void *)o;
    const struct thread *first, *t;
    const struct kpage *kp = (const struct kpage *)(const void *)o;
    const struct resv *r = (const struct resv *)(const void *)o;

    fprintf(out, "object %u: type %u flags %u at %x\n", o->id, o->type, o->flags, state_place(o));
    state_tree(out, "object", o->id, &o->root);
    switch (o->type) {
    case L4_TYPE_TASK:
        state_task(out, (const struct task *)(const void *)o);
        break;
    case L4_TYPE_THREAD:
        state_thread(out, (const struct thread *)(const void *)o);
        break;
    case L4_TYPE_ENDPOINT:
        first = t = ep->queue;
        while (t) {
            fprintf(out, "endpoint %u: %s %u\n", o->id, ep->senders ? "sender" : "receiver", t->obj.id);
            t = t->queue_next == first ? NULL : t->queue_next;
        }
        break;
    case L4_TYPE_KPAGE:
        fprintf(out, "kernel page %u: base %x frames %u\n", o->id, kp->base, kp->frames);
        break;
    case L4_TYPE_RESERVATION:
        fprintf(out, "reservation %u: thread %u parent %u share %u budget %u period %u priority %u flags %x left %u\n",
                o->id, r->thread ? r->thread->obj.id : 0, r->parent ? r->parent->obj.id : 0, r->share, r->budget_us, r->period_us,
                r->prio, r->flags, r->left);
        break;
    default:
        break;
    }
}

/* The text; the caller frees it.  The kernel is at rest. */
static inline char *state_text(void)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    if (!out)
        abort();
    for (const struct kobj *o = kobj_next(NULL); o; o = kobj_next(o))
        state_object(out, o);
    for (uint32_t i = 0; i < boot_mem_root_count; i++)
        state_tree(out, "memory", i, &boot_mem_roots[i]);
    state_tree(out, "ports", 0, &boot_io_root);
    for (uint32_t i = 0; i < frame_count; i++) {
        const struct frame *f = &frame_table[i];

        if (f->kp <= FRAME_DEVICE)
            continue;
        fprintf(out, "frame %x: of %u ", i, ((const struct kpage *)(uintptr_t)f->kp)->obj.id);
        if (use_kind(f->use) == FRAME_CHUNKED)
            fprintf(out, "free units %u tags %x\n", use_free(f->use),
                    state_digest(phys_to_virt(i << PAGE_SHIFT), 2u * L4_UNIT, 0));
        else
            fprintf(out, "use %x\n", f->use);
    }
    fprintf(out, "current %u revocations %u destruction %u\n", state_id(this_cpu()->current ? &this_cpu()->current->obj : NULL),
            revoke_active != NULL, reap_pending());
    fclose(out);
    return text;
}

/* Are they equal?  Else the first lines that are not are printed. */
static inline bool state_same(const char *before, const char *now)
{
    size_t same = 0;

    if (!strcmp(before, now))
        return true;
    for (size_t i = 0; before[i] && before[i] == now[i]; i++)
        if (before[i] == '\n')
            same = i + 1;
    printf("before: %.*s\nnow:    %.*s\n", (int)strcspn(before + same, "\n"), before + same,
           (int)strcspn(now + same, "\n"), now + same);
    return false;
}

#endif
