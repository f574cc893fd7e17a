// SPDX-License-Identifier: MIT
/*
 * Numbers for assembly: this file is compiled to text only, and the build picks the lines out of it
 * (offsets.inc).  Nothing of it is linked.
 */
#include <arch/frame.h>
#include <arch/memory.h>
#include "arch/ia32/arch.h"
#include "kernel/cpu.h"
#include "kernel/thread.h"

#define OFFSET(name, value) __asm__ volatile(".ascii \"OFFSET " #name " %0\"" : : "i"(value))

void offsets(void);
void offsets(void)
{
    OFFSET(THREAD_FRAME, offsetof(struct thread, frame));
    OFFSET(THREAD_FAST_EXIT, offsetof(struct thread, fast_exit));
    OFFSET(THREAD_TASK, offsetof(struct thread, task));
    OFFSET(TASK_PD_PHYS, offsetof(struct task, pd_phys));
    OFFSET(CPU_CURRENT, offsetof(struct cpu, current));
    OFFSET(CPU_LOADED, offsetof(struct cpu, loaded));
    OFFSET(AREA_ESP0, offsetof(struct tss_area, tss.esp0));
    OFFSET(AREA_CR3, offsetof(struct tss_area, tss.cr3));
    OFFSET(FRAME_SIZE, sizeof(struct user_frame));
    OFFSET(FRAME_VECTOR, offsetof(struct user_frame, vector));
    OFFSET(FRAME_EIP, offsetof(struct user_frame, eip));
    OFFSET(FRAME_CS, offsetof(struct user_frame, cs));
    OFFSET(FRAME_EFLAGS, offsetof(struct user_frame, eflags));
    OFFSET(FRAME_ESP, offsetof(struct user_frame, esp));
    OFFSET(FRAME_SS, offsetof(struct user_frame, ss));
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
    OFFSET(FLAG_NT, EFLAGS_NT);
    OFFSET(FLAG_VM, EFLAGS_VM);
    OFFSET(FLAG_IOPL, EFLAGS_IOPL);
    OFFSET(KERNEL_BASE, KERNEL_BASE);
    OFFSET(KERNEL_PDE, KERNEL_BASE >> SUPER_SHIFT);
    OFFSET(VECTOR_COUNT, ARCH_VECTORS);
}
