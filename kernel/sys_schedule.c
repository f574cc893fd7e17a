// SPDX-License-Identifier: MIT
/*
 * schedule: read, set, split, merge, associate, dissociate.  [M 2.4.1] [M 2.4.2] [G29]
 *
 * Everything is decoded and checked into a plan first; the plan cannot fail.  The results are written
 * last: when W5 faults, only the writing is repeated.
 */
#include "kernel/fault.h"
#include "kernel/sched.h"
#include "kernel/sys.h"

#define OPS_KNOWN  (L4_SCHED_READ | OPS_PARAMS | OPS_LIST)
#define OPS_PARAMS (L4_SCHED_SET | L4_SCHED_SPLIT | L4_SCHED_MERGE)
#define OPS_LIST   (L4_SCHED_ASSOCIATE | L4_SCHED_DISSOCIATE)
#define OPS_SOURCE (L4_SCHED_SPLIT | L4_SCHED_MERGE)
#define OPS_FIELD  0xff0u

struct plan {
    uint32_t ops;
    struct resv *dst, *src;
    struct thread *thread;
    uint32_t position;
    struct resv_params params;
};

static bool one_bit_at_most(uint32_t x)
{
    return (x & (x - 1u)) == 0;
}

/* The parameters of `set` and `split`, limited by those of `limit`; L4_OK or the error. */
static uint32_t check_params(struct thread *t, const struct resv *limit, struct resv_params *p)
{
    uint32_t w3 = *thread_word(t, 3);

    p->prio = (uint8_t)(w3 >> 24);
    p->soft = (w3 & L4_SCHED_SOFT) != 0;
    p->budget_us = *thread_word(t, 4);
    p->period_us = *thread_word(t, 5);
    if (p->budget_us < RESV_BUDGET_MIN || p->budget_us > RESV_BUDGET_MAX)
        return L4_ERR(L4_PARAM, L4_D_BAD_VALUE, 4);
    if (p->period_us < p->budget_us)
        return L4_ERR(L4_PARAM, L4_D_BAD_VALUE, 5);
    if (p->prio > limit->prio)
        return L4_ERR(L4_DENIED, L4_D_PRIO, 3);
    if (p->soft && !(limit->flags & RESV_SOFT))
        return L4_ERR(L4_DENIED, L4_D_BAD_VALUE, 3);
    p->share = resv_share(p->budget_us, p->period_us);
    if (p->share > limit->share)
        return L4_ERR(L4_DENIED, L4_D_SHARE, 4);
    return L4_OK;
}

static uint32_t check_split(struct thread *t, struct plan *plan)
{
    uint32_t error;

    /* A destination that others were split from must not move to another place in the tree. */
    if (plan->dst->share || (plan->dst->child && plan->dst->parent != plan->src))
        return L4_ERR(L4_STATE, L4_D_SHARE, 0);
    error = check_params(t, plan->src, &plan->params);
    if (error)
        return error;
    if (resv_share_budget(plan->src->share - plan->params.share, plan->src->period_us) < RESV_BUDGET_MIN)
        return L4_ERR(L4_DENIED, L4_D_SHARE, 4);
    return L4_OK;
}

static uint32_t check_values(struct thread *t, struct plan *plan)
{
    uint32_t error = L4_OK;

    if (plan->ops & L4_SCHED_SPLIT)
        error = check_split(t, plan);
    else if (plan->ops & L4_SCHED_SET)
        error = check_params(t, plan->dst, &plan->params);
    else if (plan->ops & L4_SCHED_MERGE && plan->dst->parent != plan->src)
        error = L4_ERR(L4_STATE, L4_D_SHARE, 1);
    if (error || !plan->thread)
        return error;
    if (plan->thread->hardware)
        return L4_ERR(L4_DENIED, L4_D_HWTHREAD, 2);
    if (plan->dst->thread != plan->thread && resv_count(plan->thread) >= RESV_PER_THREAD)
        return L4_ERR(L4_STATE, L4_D_BAD_COUNT, 2);
    return L4_OK;
}

static struct kobj *find(struct thread *t, unsigned word, enum l4_type type, uint32_t need,
                         enum l4_fault_op op)
{
    uint32_t name = *thread_word(t, word);
    enum l4_detail reason = L4_D_NONE;
    struct kobj *o = cap_object(t->task, name, type, need, &reason);

    if (!o)
        fault_cap(t, op, reason, type, need, name, word, sys_schedule);
    return o;
}

/* All capabilities; false: a fault is under way. */
static bool find_objects(struct thread *t, struct plan *plan)
{
    uint32_t need = (plan->ops & L4_SCHED_READ ? L4_R : 0) |
                    (plan->ops & (OPS_PARAMS | OPS_LIST) ? L4_W : 0);

    plan->dst = (struct resv *)(void *)find(t, 0, L4_TYPE_RESERVATION, need, L4_OP_RESERVATION);
    if (!plan->dst)
        return false;
    if (plan->ops & OPS_SOURCE) {
        plan->src = (struct resv *)(void *)find(t, 1, L4_TYPE_RESERVATION, L4_W, L4_OP_SOURCE);
        if (!plan->src)
            return false;
    }
    if (plan->ops & L4_SCHED_ASSOCIATE) {
        plan->thread = (struct thread *)(void *)find(t, 2, L4_TYPE_THREAD, L4_W | L4_T, L4_OP_SCHED_THREAD);
        plan->position = *thread_word(t, 2) & 255u;
        if (!plan->thread)
            return false;
    }
    return true;
}

static void read_out(struct thread *t, const struct resv *r)
{
    *thread_word(t, 1) = resv_left_us(r);
    *thread_word(t, 2) = resv_used_us(r);
    *thread_word(t, 3) = (uint32_t)r->prio << 24 | (r->flags & RESV_SOFT ? L4_SCHED_SOFT : 0) |
                         resv_index(r);
    *thread_word(t, 4) = r->budget_us;
    *thread_word(t, 5) = r->period_us;
}

static void perform(const struct plan *plan)
{
    if (plan->ops & L4_SCHED_SPLIT)
        resv_split(plan->dst, plan->src, &plan->params);
    else if (plan->ops & L4_SCHED_SET)
        resv_set(plan->dst, &plan->params);
    else if (plan->ops & L4_SCHED_MERGE)
        resv_merge(plan->dst, plan->src);
    if (plan->ops & L4_SCHED_ASSOCIATE)
        resv_attach(plan->dst, plan->thread, plan->position);
    else if (plan->ops & L4_SCHED_DISSOCIATE)
        resv_detach(plan->dst);
}

static void write_results(struct thread *t)
{
    if (sys_copy_out(t, 6, write_results))
        sys_finish(t, L4_OK);
}

void sys_schedule(struct thread *t)
{
    struct plan plan = { .ops = t->frame.w[0] & OPS_FIELD };
    uint32_t error;

    if (!plan.ops || plan.ops & ~OPS_KNOWN || !one_bit_at_most(plan.ops & OPS_PARAMS) ||
        !one_bit_at_most(plan.ops & OPS_LIST)) {
        sys_finish(t, L4_ERR(L4_PARAM, L4_D_RESERVED_OP, 0));
        return;
    }
    if (plan.ops & (L4_SCHED_READ | L4_SCHED_SET | L4_SCHED_SPLIT) && !sys_copy_in(t, 6, sys_schedule))
        return;
    if (!find_objects(t, &plan))
        return;
    sched_charge(); /* what is left counts in a split, and is read */
    error = check_values(t, &plan);
    if (error) {
        sys_finish(t, error);
        return;
    }
    if (plan.ops & L4_SCHED_READ)
        read_out(t, plan.dst);
    perform(&plan);
    if (plan.ops & L4_SCHED_READ)
        write_results(t);
    else
        sys_finish(t, L4_OK);
}
