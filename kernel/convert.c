// SPDX-License-Identifier: MIT
/*
 * convert: user memory becomes a kernel page.  create with type 4.  [M 2.5] [G25]
 *
 *   1  mark the frames: from now on no refill brings user access back
 *   2  name the new object, with `compare` as its only right: the name is taken, and nobody can
 *      allocate in memory that some user program may still be writing
 *   3  walk all mappings of that memory and clear their hardware entries (preemptible)
 *   4  give the name its full rights
 *
 * Between 2 and 4 the kernel page is an object like any other: whoever takes `convert` from the memory, or
 * the name, or the memory of the descriptor, sends it to the reaper, which undoes the marks.  This thread
 * then finds the name empty and stops.
 */
#include "kernel/boot.h"
#include "kernel/create.h"
#include "kernel/flexpage.h"
#include "kernel/sys.h"

#define PARAM0 3u /* number of the parameter word */

static uint32_t refuse(enum l4_detail detail)
{
    return L4_ERR(L4_PARAM, detail, PARAM0);
}

/* Are all of them ordinary memory?  count is a power of two; up to 1024, so it goes by twos. */
static bool all_user(const struct frame *f, uint32_t count)
{
    uint32_t owners = f[0].kp;

    for (uint32_t i = count & 1u; i < count; i += 2)
        owners |= f[i].kp | f[i + 1u].kp;
    return owners == FRAME_USER;
}
STATIC_ASSERT(FRAME_USER == 0);

uint32_t convert_decode(const struct thread *t, uint32_t fpage, struct convert_region *out,
                        enum l4_detail *fault)
{
    struct flexpage fp;
    struct node *n;
    paddr_t base;
    uint32_t frame;
    bool converted;

    *fault = L4_D_NONE;
    if (flexpage_decode(fpage, &fp) != L4_D_NONE || fpage == 0 || fp.space != L4_SPACE_MEM)
        return refuse(L4_D_BAD_FLEXPAGE);
    if (!fp.names)
        return refuse(L4_D_KERNEL_RANGE);
    if (fp.order > SUPER_SHIFT)
        return refuse(L4_D_NOT_CONVERTIBLE);
    n = mem_lookup(t->task, fp.base);
    if (!n || node_rights(n) == 0) {
        *fault = L4_D_EMPTY;
        return 0;
    }
    if (fp.order > node_size(n) || (n->flags & NODE_DEVICE))
        return refuse(L4_D_NOT_CONVERTIBLE);
    base = n->obj + (fp.base - node_base(n));
    frame = base >> PAGE_SHIFT;
    if (frame >= frame_count || fp.names > frame_count - frame)
        return refuse(L4_D_NOT_CONVERTIBLE);
    converted = !all_user(&frame_table[frame], fp.names);
    for (uint32_t i = 0; converted && i < fp.names; i++)
        if (frame_table[frame + i].kp == FRAME_KERNEL || frame_table[frame + i].kp == FRAME_DEVICE)
            return refuse(L4_D_NOT_CONVERTIBLE);
    if (!(node_rights(n) & L4_T)) {
        *fault = L4_D_RIGHTS;
        return 0;
    }
    if (converted)
        *fault = L4_D_CONVERTED;
    *out = (struct convert_region){ n, base, fp.names };
    return 0;
}

static void convert_continue(struct thread *t)
{
    struct kpage *kp = t->names.kpage;

    if (!create_alive(t, &kp->obj)) {
        revoke_cancel(&t->revoke);
        t->names.kpage = NULL;
        sys_finish(t, L4_ERR(L4_STATE, L4_D_DYING, PARAM0));
        return;
    }
    if (revoke_step(&t->revoke) == STEP_PREEMPTED) {
        t->cont = convert_continue;
        return;
    }
    space_set_rights(&kp->obj.root, L4_RIGHTS_ALL);
    t->names.kpage = NULL;
    sys_finish(t, 0);
}

void convert_start(struct thread *t, struct kpage *kp, uint32_t name, const struct convert_region *r)
{
    struct node *n = r->node;

    kobj_init(&kp->obj, L4_TYPE_KPAGE);
    kp->base = r->base;
    kp->frames = (uint16_t)r->frames;
    kp->hint = 0;
    kp->converter = n;
    kp->conv_next = n->flags & NODE_CONVERTER ? n->kpage : NULL;
    n->kpage = kp;
    n->flags |= NODE_CONVERTER;
    kpage_mark(kp);
    t->names.kpage = kp;
    create_publish(t, &kp->obj, name, L4_X);
    revoke_start(&t->revoke, &boot_mem_roots[r->base >> SUPER_SHIFT], r->base,
                 r->base + (r->frames << PAGE_SHIFT) - 1u, 0, REVOKE_SUSPEND);
    convert_continue(t);
}
