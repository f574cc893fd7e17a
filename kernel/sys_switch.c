// SPDX-License-Identifier: MIT
/* thread-switch and processor-control.  [M 2.4.1] [M 2.7.1] [G30] [G31] */
#include <arch/cpu.h>
#include "kernel/fault.h"
#include "kernel/sched.h"
#include "kernel/sys.h"

#define CPU_OP(w0) (((w0) >> 4) & 15u)

/* `to` runs on what pays now, until the next scheduling event; its own reservation stays where it is. */
static void lend(struct thread *t, struct thread *to)
{
    struct cpu *cpu = this_cpu();

    if (cpu->resched || !cpu->resv)
        return; /* it is spent: nothing to lend */
    cpu->lent = cpu->resv->thread != to;
    cpu->current = to;
    cpu->switches++;
    to->switches++;
    TRACE(SWITCH, t->obj.id, to->obj.id, cpu->resv->obj.id);
}

void sys_thread_switch(struct thread *t)
{
    uint32_t w0 = t->frame.w[0], expected = t->frame.w[1], ops = w0 & (L4_SWITCH_NEXT | L4_SWITCH_PERIOD);
    struct thread *to = NULL;
    struct resv *r;

    if ((w0 & L4_CAP_INVALID) != L4_CAP_INVALID) {
        enum l4_detail reason = L4_D_NONE;
        struct kobj *o = cap_object(t->task, w0, L4_TYPE_THREAD, 0, &reason);

        if (!o) {
            fault_cap(t, L4_OP_SWITCH, reason, L4_TYPE_THREAD, 0, w0, 0, sys_thread_switch);
            return;
        }
        if (ops) {
            sys_finish(t, L4_ERR(L4_PARAM, L4_D_RESERVED_OP, 0));
            return;
        }
        to = (struct thread *)(void *)o;
    }
    sched_charge();
    r = t->resv;
    if (ops && expected != 0xffffffffu && expected != (r ? resv_index(r) : 255u)) {
        sys_finish(t, L4_ERR(L4_STATE, L4_D_BAD_INDEX, 1));
        return;
    }
    t->frame.w[1] = r ? resv_left_us(r) : 0;
    sys_finish(t, L4_OK);
    if (to && to != t && to->state == THREAD_READY && !to->debug_halt) {
        lend(t, to);
        return;
    }
    if (r && ops & L4_SWITCH_PERIOD)
        resv_give_up(r);
    else if (r && ops)
        resv_leave(r);
    this_sched()->tail = true;
    this_cpu()->resched = true;
}

void sys_processor_control(struct thread *t)
{
    uint32_t w0 = t->frame.w[0], op = CPU_OP(w0), need = op == L4_CPU_INFO ? L4_R : L4_W;
    enum l4_detail reason = L4_D_NONE;
    struct kobj *o;

    if (op > L4_CPU_IDLE) {
        sys_finish(t, L4_ERR(L4_PARAM, L4_D_RESERVED_OP, 0));
        return;
    }
    o = cap_object(t->task, w0, L4_TYPE_CPU, need, &reason);
    if (!o) {
        fault_cap(t, L4_OP_PROCESSOR, reason, L4_TYPE_CPU, need, w0, 0, sys_processor_control);
        return;
    }
    switch (op) {
    case L4_CPU_INFO:
        t->frame.w[1] = 1;
        t->frame.w[2] = ((struct cpu *)(void *)o)->number;
        t->frame.w[3] = arch_has_tsc ? clock_khz : 0;
        t->frame.w[4] = arch_cpu_features();
        sys_finish(t, L4_OK);
        return;
    case L4_CPU_STOP: /* this is the last one that runs */
        sys_finish(t, L4_ERR(L4_STATE, L4_D_UNSUPPORTED_HW, 0));
        return;
    default:
        sys_finish(t, L4_ERR(L4_NOSYS, L4_D_UNSUPPORTED_HW, 0));
        return;
    }
}
