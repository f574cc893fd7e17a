// SPDX-License-Identifier: MIT
/* What sys_create.c and convert.c share.  [M 3.2.4] [G24] [G25] */
#ifndef KERNEL_CREATE_H
#define KERNEL_CREATE_H

#include "kernel/thread.h"

/*
 * Give the new object its first name: the creator's capability, with these rights.  The slot is empty and
 * backed.
 */
void create_publish(struct thread *t, struct kobj *o, uint32_t name, uint32_t rights);
/*
 * The object that t->names is about, kept over a preemption point: alive, and still at its name?  Reads
 * nothing of the object itself, which may be gone.
 */
bool create_alive(const struct thread *t, const struct kobj *o);

/* A piece of user memory that a thread may convert. */
struct convert_region {
    struct node *node;  /* the capability that is converted */
    paddr_t base;
    uint32_t frames;
};

/*
 * May Param0 be converted?  0 and *out; or the W0 of the error; or 0 with *fault, the reason of a
 * capability fault.  Changes nothing.
 */
uint32_t convert_decode(const struct thread *t, uint32_t fpage, struct convert_region *out,
                        enum l4_detail *fault) MUST_CHECK;
/* Make the region the kernel page kp (fresh memory) and finish the call, perhaps later. */
void convert_start(struct thread *t, struct kpage *kp, uint32_t name, const struct convert_region *r);

#endif
