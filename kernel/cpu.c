// SPDX-License-Identifier: MIT
/* The per-CPU block of the boot processor, the preemption point, and the CPU group of invariants. */
#include "kernel/cpu.h"

#include <arch/cpu.h>
#include "kernel/check.h"
#include "kernel/clock.h"
#include "kernel/thread.h"

struct cpu boot_cpu;
struct cpu_stretch cpu_stretch;

bool preempt_point(enum preempt_id id)
{
    cpu_stretch_end(id);
    arch_interrupt_window();
    cpu_stretch_begin();
    return this_cpu()->resched;
}

void cpu_stretch_begin(void)
{
    if (cpu_stretch.on)
        cpu_stretch.start = clock_now();
}

void cpu_stretch_end(unsigned where)
{
    uint64_t length;

    if (!cpu_stretch.on || !cpu_stretch.start)
        return;
    length = clock_now() - cpu_stretch.start;
    cpu_stretch.start = 0;
    if (length > cpu_stretch.longest) {
        cpu_stretch.longest = (uint32_t)length;
        cpu_stretch.where = (uint8_t)where;
    }
}

struct thread *thread_current(void)
{
    return this_cpu()->current;
}

CHECK_RULE(cpu_current, "CPU-6", "CPU", "the current thread is ready, bound, in no queue, and its task is loaded")
{
    const struct cpu *cpu = this_cpu();
    const struct thread *t = cpu->current;

    c->looked++;
    if (!t)
        return;
    if (t->hardware)
        check_fail(c, "th%u is a hardware thread and current", t->obj.id);
    if (t->state == THREAD_READY && !t->task)
        check_fail(c, "th%u is current without a task", t->obj.id);
    if (cpu->resv && cpu->resv->thread != t && !cpu->resched && !cpu->lent)
        check_fail(c, "rs%u pays for th%u but belongs to another thread", cpu->resv->obj.id, t->obj.id);
    if (cpu->resv && (cpu->resv->flags & RESV_QUEUED))
        check_fail(c, "rs%u pays for th%u and stands in a ready queue", cpu->resv->obj.id, t->obj.id);
}

CHECK_RULE(cpu_fpu, "CPU-4", "CPU", "the owner of the FPU registers is a living thread that used the FPU")
{
    const struct thread *t = this_cpu()->fpu_owner;

    c->looked++;
    if (t && (kobj_by_id(t->obj.id) != &t->obj || !t->fpu_used))
        check_fail(c, "the FPU owner is no thread that used it");
}
