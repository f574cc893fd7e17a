// SPDX-License-Identifier: MIT
/*
 * System-call dispatch, parameter words in user memory, and the one door back to user code.
 * [M 3.1.1] [M 3.1.2] [M 4.1] [G7] [G9]
 */
#include "kernel/sys.h"

#include <arch/cpu.h>
#include <arch/paging.h>
#include "kernel/cpu.h"
#include "kernel/fault.h"
#include "kernel/ipc.h"
#include "kernel/irq.h"
#include "kernel/reap.h"
#include "kernel/sched.h"

#define NR_MASK 15u
#define UNMAP_COUNTS 0xffff0u /* fields of W0 that come back unchanged [M 3.2.3] [M 3.2.5] */
#define TCR_COUNT    0x3f0u

/* Numbers that are reserved end like numbers that nobody knows; bits without a meaning are not looked at.  [M 1.6.1] */
ALWAYS_INLINE void dispatch(struct thread *t)
{
    uint32_t nr = t->frame.w[0] & NR_MASK;

    if (LIKELY(nr == L4_SYS_IPC)) {
        sys_ipc(t);
        return;
    }
    switch (nr) {
    case L4_SYS_UNMAP:
        sys_unmap(t);
        return;
    case L4_SYS_CREATE:
        sys_create(t);
        return;
    case L4_SYS_THREAD_CONTROL:
        sys_thread_control(t);
        return;
    case L4_SYS_EXREGS:
        sys_exregs(t);
        return;
    case L4_SYS_SCHEDULE:
        sys_schedule(t);
        return;
    case L4_SYS_THREAD_SWITCH:
        sys_thread_switch(t);
        return;
    case L4_SYS_PROCESSOR_CONTROL:
        sys_processor_control(t);
        return;
    case L4_SYS_CAP_INSPECT:
        sys_cap_inspect(t);
        return;
    case L4_SYS_DEBUG:
        sys_debug(t);
        return;
    default:
        sys_finish(t, L4_ERR(L4_NOSYS, 0, 0));
        return;
    }
}

SYS_ENTRY_ABI void sys_entry(struct thread *t)
{
    t->syscall = true;
    t->msg_in = false;
    cpu_stretch_begin(STRETCH_SYSCALL + (t->frame.w[0] & NR_MASK));
    dispatch(t);
}

/* Are `count` words from `address` user memory?  [M 3.1.1] */
static bool words_in_user_memory(uint32_t address, unsigned count)
{
    return address < L4_USER_TOP && count * 4u <= L4_USER_TOP - address;
}

void sys_refuse(struct thread *t, uint32_t error)
{
    uint32_t w0 = t->frame.w[0], nr = w0 & NR_MASK;

    sys_finish(t, error | (nr == L4_SYS_UNMAP ? w0 & UNMAP_COUNTS : nr == L4_SYS_THREAD_CONTROL ? w0 & TCR_COUNT : 0));
}

static void refuse_range(struct thread *t)
{
    sys_refuse(t, L4_ERR(L4_PARAM, L4_D_KERNEL_RANGE, 5));
}

bool sys_copy_in(struct thread *t, unsigned count, thread_cont *cont)
{
    uint32_t fault = 0;

    if (count <= 5 || t->msg_in)
        return true;
    count -= 5;
    ASSERT(count <= THREAD_MSG_WORDS);
    if (!words_in_user_memory(t->frame.ecx, count)) {
        refuse_range(t);
        return false;
    }
    if (LIKELY(arch_user_read(t->msg, t->frame.ecx, count, &fault) == count)) {
        t->msg_in = true;
        return true;
    }
    fault_memory(t, fault, L4_R, cont);
    return false;
}

bool sys_copy_out(struct thread *t, unsigned count, thread_cont *cont)
{
    uint32_t fault = 0;

    if (count <= 5)
        return true;
    count -= 5;
    ASSERT(count <= THREAD_MSG_WORDS);
    if (!words_in_user_memory(t->frame.ecx, count)) {
        refuse_range(t);
        return false;
    }
    if (LIKELY(arch_user_write(t->frame.ecx, t->msg, count, &fault) == count))
        return true;
    fault_memory(t, fault, L4_W, cont);
    return false;
}

bool sys_get_words(struct thread *t, unsigned n, uint32_t *to, unsigned count, thread_cont *cont)
{
    uint32_t fault = 0;

    for (; n < 5 && count; n++, count--)
        *to++ = t->frame.w[n];
    if (!count)
        return true;
    if (!words_in_user_memory(t->frame.ecx, n + count - 5u)) {
        refuse_range(t);
        return false;
    }
    if (LIKELY(arch_user_read(to, t->frame.ecx + 4u * (n - 5u), count, &fault) == count))
        return true;
    fault_memory(t, fault, L4_R, cont);
    return false;
}

bool sys_put_words(struct thread *t, unsigned n, const uint32_t *from, unsigned count, thread_cont *cont)
{
    uint32_t fault = 0;

    for (; n < 5 && count; n++, count--)
        t->frame.w[n] = *from++;
    if (!count)
        return true;
    if (!words_in_user_memory(t->frame.ecx, n + count - 5u)) {
        refuse_range(t);
        return false;
    }
    if (LIKELY(arch_user_write(t->frame.ecx + 4u * (n - 5u), from, count, &fault) == count))
        return true;
    fault_memory(t, fault, L4_W, cont);
    return false;
}

/* Nothing to run: finish what dead revokers left behind, then sleep.  [G41] */
static void idle(void)
{
    if (reap_pending()) {
        (void)reap_run(NULL);
        return;
    }
    cpu_stretch_end(STRETCH_IDLE);
    arch_idle();
    cpu_stretch_begin(STRETCH_IDLE);
}

/*
 * The common way out passes every test with "no".  A continuation runs before a pending halt, so that a
 * halted thread never keeps half a kernel operation.  [G22] [G42]
 */
struct thread *kernel_exit(void)
{
    struct cpu *cpu = this_cpu();

    for (;;) {
        struct thread *t;
        thread_cont *cont;

        if (UNLIKELY(cpu->resched || !cpu->current)) {
            if (UNLIKELY(irq_postponed)) {
                irq_continue();
                (void)preempt_point(PREEMPT_QUEUE);
                continue;
            }
            if (!sched_pick()) {
                idle();
                continue;
            }
        }
        t = cpu->current;
        cont = t->cont;
        if (UNLIKELY(cont != NULL)) {
            t->cont = NULL;
            arch_load_space(t->task);
            cont(t);
            /*
             * Two threads that take each other's fault messages for replies would go round here for ever
             * without a user instruction: interrupts come in, and time is charged.  [G42]
             */
            (void)preempt_point(PREEMPT_EXIT);
            continue;
        }
        if (UNLIKELY(t->halt_pending)) {
            thread_halt(t, (enum halt_reason)t->halt_reason);
            continue;
        }
        arch_prepare(t);
        cpu_stretch_end(STRETCH_USER);
        return t;
    }
}
