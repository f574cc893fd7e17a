// SPDX-License-Identifier: MIT
/* cap-inspect: do two capabilities mean the same object, and the badge of one.  [M 2.1] [G5] */
#include "kernel/sys.h"

#define OP_BADGE 0x10u /* W0[4]: L4_INSPECT_BADGE */

/* The object at a name that something can still be done with, or NULL. */
static struct node *inspect_lookup(const struct thread *t, uint32_t word)
{
    struct node *n = cap_lookup(t->task, word >> L4_NAME_SHIFT);

    return n && node_rights(n) && !kobj_is_dying(node_kobj(n)) ? n : NULL;
}

/* Only who may compare learns anything: every other question has the same answer. */
void sys_cap_inspect(struct thread *t)
{
    const struct node *a = inspect_lookup(t, t->frame.w[0]), *b = inspect_lookup(t, t->frame.w[1]);
    bool same = a && b && a->obj == b->obj && (node_rights(a) & L4_X);

    if (!(t->frame.w[0] & OP_BADGE)) {
        t->frame.w[1] = same;
        sys_finish(t, 0);
        return;
    }
    if (!same || node_kobj(b)->type != L4_TYPE_ENDPOINT) {
        t->frame.w[1] = t->frame.w[2] = 0;
        sys_finish(t, L4_ERR(L4_DENIED, L4_D_NONE, 0));
        return;
    }
    t->frame.w[1] = b->badge_len ? b->badge << (32u - b->badge_len) : 0;
    t->frame.w[2] = b->badge_len;
    sys_finish(t, 0);
}
