// SPDX-License-Identifier: MIT
/*
 * Numbers for assembly: this file is compiled to text only, and the build picks the lines out of it
 * (offsets.inc).  Nothing of it is linked.
 */
#include <arch/frame.h>
#include <arch/memory.h>
#include "arch/ia32/arch.h"
#include "kernel/cpu.h"
#include "kernel/ipc.h"
#include "kernel/sched.h"
#include "kernel/thread.h"
#include "kernel/trace.h"

#define OFFSET(name, value) __asm__ volatile(".ascii \"OFFSET " #name " %0\"" : : "i"(value))

/* entry/ipc_fast.inc reads neighbours in one access. */
STATIC_ASSERT(offsetof(struct kobj, flags) == offsetof(struct kobj, type) + 1);

void offsets(void);
void offsets(void)
{
    OFFSET(THREAD_FRAME, offsetof(struct thread, frame));
    OFFSET(THREAD_SLOW_EXIT, offsetof(struct thread, slow_exit));
    OFFSET(THREAD_TASK, offsetof(struct thread, task));
    OFFSET(TASK_PD, offsetof(struct task, pd));
    OFFSET(TASK_PD_PHYS, offsetof(struct task, pd_phys));
    OFFSET(CPU_CURRENT, offsetof(struct cpu, current));
    OFFSET(CPU_LOADED, offsetof(struct cpu, loaded));
    OFFSET(AREA_ESP0, offsetof(struct tss_area, tss.esp0));
    OFFSET(AREA_CR3, offsetof(struct tss_area, tss.cr3));
    OFFSET(FRAME_SIZE, sizeof(struct user_frame));
    OFFSET(FRAME_ECX, offsetof(struct user_frame, ecx));
    OFFSET(FRAME_EDX, offsetof(struct user_frame, edx));
    OFFSET(FRAME_VECTOR, offsetof(struct user_frame, vector));
    OFFSET(FRAME_EIP, offsetof(struct user_frame, eip));
    OFFSET(FRAME_CS, offsetof(struct user_frame, cs));
    OFFSET(FRAME_EFLAGS, offsetof(struct user_frame, eflags));
    OFFSET(FRAME_ESP, offsetof(struct user_frame, esp));
    OFFSET(FRAME_SS, offsetof(struct user_frame, ss));
    OFFSET(CPU_RESV, offsetof(struct cpu, resv));
    OFFSET(CPU_SINCE, offsetof(struct cpu, since));
    OFFSET(CPU_HURDLES, offsetof(struct cpu, hurdles));
    OFFSET(CPU_SWITCHES, offsetof(struct cpu, switches));
    OFFSET(SCHED_TOP, offsetof(struct sched, top));
    OFFSET(SCHED_TIMER_AT, offsetof(struct sched, timer_at));
    OFFSET(TASK_CAP_DIR, offsetof(struct task, cap_dir));
    OFFSET(NODE_NAME, offsetof(struct node, name));
    OFFSET(NODE_OBJ, offsetof(struct node, obj));
    OFFSET(NODE_BADGE, offsetof(struct node, badge));
    OFFSET(NODE_BADGE_LEN, offsetof(struct node, level) + NODE_BADGE_LEN_SHIFT / 8u);
    OFFSET(NODE_BADGE_LEN_MASK, (NODE_LEVEL_STEP >> NODE_BADGE_LEN_SHIFT) - 1u);
    OFFSET(KOBJ_TYPE, offsetof(struct kobj, type));
    OFFSET(ENDPOINT_QUEUE, offsetof(struct endpoint, queue));
    OFFSET(RESV_LEFT, offsetof(struct resv, left));
    OFFSET(THREAD_STATE, offsetof(struct thread, state));
    OFFSET(THREAD_UNUSUAL, offsetof(struct thread, unusual));
    OFFSET(THREAD_QUICK_RANK, offsetof(struct thread, quick_rank));
    OFFSET(THREAD_RESV, offsetof(struct thread, resv));
    OFFSET(THREAD_BLOCKED_SINCE, offsetof(struct thread, blocked_since));
    OFFSET(THREAD_SWITCHES, offsetof(struct thread, switches));
    OFFSET(THREAD_TCR_SENDER, offsetof(struct thread, tcr[L4_TCR_SENDER]));
    OFFSET(UIPC_ENDPOINT, offsetof(struct thread, uipc.endpoint));
    OFFSET(UIPC_RECV, offsetof(struct thread, uipc.recv));
    OFFSET(UIPC_PHASE, offsetof(struct thread, uipc.phase));
    OFFSET(STATE_READY, THREAD_READY);
    OFFSET(STATE_RECV, THREAD_RECV);
    OFFSET(RIGHT_R, L4_R);
    OFFSET(RIGHT_W, L4_W);
    OFFSET(TYPE_ENDPOINT, L4_TYPE_ENDPOINT);
    OFFSET(THREAD_CONT, offsetof(struct thread, cont));
    OFFSET(THREAD_HALT_PENDING, offsetof(struct thread, halt_pending));
    OFFSET(PAGE_MASK, PAGE_SIZE - 1);
    OFFSET(USER_TOP, L4_USER_TOP);
    OFFSET(PTE_WRITABLE, PTE_PRESENT | PTE_USER | PTE_WRITE);
    OFFSET(PTE_WRITTEN, PTE_ACCESSED | PTE_DIRTY);
    OFFSET(PTE_USER, PTE_USER);
    OFFSET(PTE_SUPER, PTE_SUPER);
    OFFSET(SUPER_MASK, SUPER_SIZE - 1);
    OFFSET(PTE_UNCACHED, PTE_UNCACHED);
    OFFSET(KERNEL_CS, SEL_KERNEL_CS);
    OFFSET(KERNEL_DS, SEL_KERNEL_DS);
    OFFSET(USER_CS, SEL_USER_CS);
    OFFSET(USER_DS, SEL_USER_DS);
    OFFSET(SYSENTER_VECTOR, VECTOR_SYSENTER);
    OFFSET(SYSCALL_VECTOR, VECTOR_SYSCALL);
    OFFSET(VECTOR_COM2, VECTOR_IRQ0 + IRQ_COM2);
    OFFSET(USER_EFLAGS, L4_USER_EFLAGS);
    OFFSET(FLAG_TF, EFLAGS_TF);
    OFFSET(FLAG_IF, EFLAGS_IF);
    OFFSET(FLAG_VM, EFLAGS_VM);
    OFFSET(FLAGS_ODD, ~(EFLAGS_ARITHMETIC | 2u));
    OFFSET(KERNEL_BASE, KERNEL_BASE);
    OFFSET(KERNEL_PDE, KERNEL_BASE >> SUPER_SHIFT);
    OFFSET(VECTOR_COUNT, ARCH_VECTORS);
}
