// SPDX-License-Identifier: MIT
/* The per-CPU block of the boot processor, the preemption point, and the CPU group of invariants. */
#include "kernel/cpu.h"

#include <arch/cpu.h>
#include "kernel/check.h"
#include "kernel/clock.h"
#include "kernel/thread.h"
#include "kernel/trace.h"

struct cpu boot_cpu;
struct cpu_stretch cpu_stretch;

bool preempt_point(enum preempt_id id)
{
    cpu_stretch_end(id);
    arch_interrupt_window();
    cpu_stretch_begin(id);
    return this_cpu()->resched;
}

void cpu_stretch_set(bool on)
{
    cpu_stretch = (struct cpu_stretch){ .on = on };
    trace_set_mask(on ? trace_mask | TRACE_GENERAL_IPC : trace_mask & ~TRACE_GENERAL_IPC);
}

void cpu_stretch_open(unsigned place)
{
    cpu_stretch.place = (uint16_t)place;
    cpu_stretch.start = clock_now();
}

void cpu_stretch_close(unsigned place)
{
    const struct thread *t = this_cpu()->current;
    uint64_t length = clock_now() - cpu_stretch.start;

    if (!cpu_stretch.start)
        return;
    cpu_stretch.start = 0;
    if (length <= cpu_stretch.longest)
        return;
    cpu_stretch.longest = (uint32_t)length;
    cpu_stretch.from = cpu_stretch.place;
    cpu_stretch.to = (uint16_t)place;
    cpu_stretch.thread = t ? t->obj.id : 0;
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

CHECK_RULE(cpu_hurdles, "CPU-5", "CPU", "the straight line of IPC knows what is traced, measured, and loaded into the CPU")
{
    const struct cpu *cpu = this_cpu();

    c->looked++;
    if (cpu_stretch.on && !(trace_mask & TRACE_GENERAL_IPC))
        check_fail(c, "stretches are measured, but IPC does not go the general way");
    if ((trace_mask & IPC_FAST_TRACE) && !cpu->general_ipc)
        check_fail(c, "IPC is traced or measured, but does not go the general way");
    if (cpu->owned != (cpu->fpu_owner || cpu->io_task))
        check_fail(c, "somebody %s FPU registers or an IO bitmap in the CPU", cpu->owned ? "lost" : "has");
}
