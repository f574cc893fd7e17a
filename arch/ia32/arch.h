// SPDX-License-Identifier: MIT
/*
 * What the files of arch/ia32 and arch/pc share among themselves; nobody else includes it.  Boot order:
 * tables_init() first, so that a fault later in the boot is shown.
 */
#ifndef ARCH_IA32_ARCH_H
#define ARCH_IA32_ARCH_H

#include <arch/frame.h>
#include <arch/memory.h>
#include "kernel/cpu.h"
#include "kernel/lib/types.h"

struct boot_desc;
struct thread;

/* ---- instructions ---- */

ALWAYS_INLINE void outb(uint16_t port, uint8_t value)
{
    __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}
ALWAYS_INLINE uint8_t inb(uint16_t port)
{
    uint8_t value;
    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

ALWAYS_INLINE uint32_t read_cr0(void)
{
    uint32_t value;
    __asm__ volatile("mov %%cr0, %0" : "=r"(value));
    return value;
}
ALWAYS_INLINE void write_cr0(uint32_t value) { __asm__ volatile("mov %0, %%cr0" : : "r"(value) : "memory"); }
ALWAYS_INLINE uint32_t read_cr2(void)
{
    uint32_t value;
    __asm__ volatile("mov %%cr2, %0" : "=r"(value));
    return value;
}
ALWAYS_INLINE uint32_t read_dr6(void)
{
    uint32_t value;
    __asm__ volatile("mov %%dr6, %0" : "=r"(value));
    return value;
}
ALWAYS_INLINE void write_dr6(uint32_t value) { __asm__ volatile("mov %0, %%dr6" : : "r"(value)); }
#define DR6_NONE 0xffff0ff0u
ALWAYS_INLINE uint32_t read_cr3(void)
{
    uint32_t value;
    __asm__ volatile("mov %%cr3, %0" : "=r"(value));
    return value;
}
ALWAYS_INLINE void write_cr3(uint32_t value) { __asm__ volatile("mov %0, %%cr3" : : "r"(value) : "memory"); }
ALWAYS_INLINE void write_cr4(uint32_t value) { __asm__ volatile("mov %0, %%cr4" : : "r"(value) : "memory"); }
ALWAYS_INLINE void write_msr(uint32_t msr, uint32_t low)
{
    __asm__ volatile("wrmsr" : : "c"(msr), "a"(low), "d"(0));
}
ALWAYS_INLINE uint64_t read_msr(uint32_t msr)
{
    uint64_t value;
    __asm__ volatile("rdmsr" : "=A"(value) : "c"(msr));
    return value;
}

#define CR0_MP 0x00000002u
#define CR0_EM 0x00000004u
#define CR0_TS 0x00000008u
#define CR0_NE 0x00000020u
#define CR0_WP 0x00010000u
#define CR0_AM 0x00040000u
#define CR4_PSE        0x00000010u
#define CR4_MCE        0x00000040u
#define CR4_PGE        0x00000080u
#define CR4_OSFXSR     0x00000200u
#define CR4_OSXMMEXCPT 0x00000400u
#define CR4_UMIP       0x00000800u
#define CR4_SMEP       0x00100000u

#define PTE_GLOBAL 0x100u

#define EFLAGS_ARITHMETIC 0x8d5u
#define EFLAGS_IOPL 0x3000u
#define EFLAGS_NT 0x4000u
#define EFLAGS_VM 0x20000u

/* ---- features: CPUID leaf 1 EDX, and leaf 7 where asked for ---- */

#define CPU_FPU  (1u << 0)
#define CPU_PSE  (1u << 3)
#define CPU_TSC  (1u << 4)
#define CPU_MCE  (1u << 7)
#define CPU_SEP  (1u << 11)
#define CPU_PGE  (1u << 13)
#define CPU_MCA  (1u << 14)
#define CPU_FXSR (1u << 24)
#define CPU_SSE  (1u << 25)

/* Find out what there is and set CR0 and CR4 accordingly.  SEP and FPU are corrected by what is known. */
void features_init(void);
void features_enable_global(void); /* when no kernel entry will change any more */
void machine_check_report(void); /* tell and clear what is in the banks */

/* ---- descriptor tables and task state: cpu/tables.c ---- */

#define ARCH_VECTORS    0x41u
#define VECTOR_SYSENTER 0x140u /* in frame.vector only */

struct tss {
    uint32_t link, esp0, ss0, esp1, ss1, esp2, ss2, cr3, eip, eflags;
    uint32_t eax, ecx, edx, ebx, esp, ebp, esi, edi;
    uint32_t es, cs, ss, ds, fs, gs, ldt;
    uint16_t trap, iomap;
};

#define TSS_BITMAP_BYTES 8192u
/*
 * The processor's task.  sysenter starts on &tss.esp0 and loads it, so `room` is the stack of an exception
 * at that instruction.  The CPU reads one byte past the bitmap.
 */
struct tss_area {
    uint32_t room[16];
    struct tss tss;
    uint8_t bitmap[TSS_BITMAP_BYTES];
    uint8_t bitmap_end[4];
} __attribute__((packed, aligned(4)));
extern struct tss_area cpu_tss;
extern struct tss double_fault_tss, nmi_tss, machine_check_tss;
/* The task that this one has interrupted. */
struct tss *tss_interrupted(const struct tss *tss);
#define TSS_IOMAP_NONE 0xffffu
#define TSS_IOMAP ((uint16_t)sizeof(struct tss))

void tables_init(void);
void tables_enable_sysenter(void);

/* ---- FPU: cpu/fpu.c ---- */

void fpu_init(void);
/* CR0.TS on: the next FPU instruction of user code traps. */
void fpu_trap(void);
void fpu_prepare(const struct thread *t); /* no-op unless: is t the owner == fpu_trapping */
extern bool fpu_trapping; /* CR0.TS as we set it last; a task switch sets it too */
/* #NM in kernel code, which an NMI's task switches have made trap: false if there is no FPU. */
bool fpu_resume(void);
/* #NM of t in user mode: false if there is no FPU. */
bool fpu_take(struct thread *t);
/* t->fpu becomes the state of a thread that has used nothing yet. */
void fpu_clear(struct thread *t);

/* ---- IO ports: cpu/cpu.c ---- */

struct task;
/* Copy the task's bitmap into the TSS; false if it has no port or the bitmap was there already. */
bool io_load(struct task *task);

/* ---- memory: mm/paging.c, mm/usercopy.c ---- */

extern uint32_t kernel_pd[1024];
extern uint32_t boot_table[1024]; /* the first 4 MB */
/*
 * Map all memory below `limit` (physical, at most PHYS_DIRECT_MAX) at KERNEL_BASE.  Without superpages the
 * tables are taken at `tables`: paging_tables_needed(limit) frames of RAM that nobody else uses.
 */
unsigned paging_tables_needed(uint32_t limit);
void paging_map_direct(uint32_t limit, paddr_t tables);
/* Copy from any physical address; while booting only. */
void paging_boot_read(void *to, paddr_t from, unsigned size);
void paging_boot_done(void);

/* If the user-copy instruction faulted at `eip`: where to go on; else 0. */
uint32_t usercopy_fixup(uint32_t eip);

/* ---- multiboot: boot/multiboot.c ---- */

/* Fill in `desc` from the loader's information; boot_fail() if it cannot be used. */
void multiboot_parse(struct boot_desc *desc, uint32_t magic, paddr_t info, uint32_t *ram_limit);
/* Take `count` frames of RAM below `limit` out of the memory map. */
paddr_t multiboot_take_frames(struct boot_desc *desc, unsigned count, uint32_t limit);

/* ---- entry/entry.asm ---- */

extern const uint32_t vector_stubs[ARCH_VECTORS]; /* 0: no gate */
extern const char entry_text_start[], entry_text_end[];
extern const uint32_t usersend_fast[4];
void enter_user(void);             /* on an empty kernel stack: what kernel_exit() says */
void sysenter_entry(void);
void sysenter_entry_c(void);       /* without the shortcut for IPC in assembly */
void sysenter_entry_stepped(void);
void double_fault_entry(void);
void nmi_entry(void);
void machine_check_entry(void);

/* ---- entry/trap.c, called by entry.asm ---- */

/* What resume_relocated loads: a frame whose stack is not the one it was saved on. */
extern struct user_frame relocated;

void trap_user(struct thread *t);
struct user_frame *trap_kernel(struct user_frame *frame);
void trap_double_fault(void) NORETURN;
void trap_nmi(void);
void trap_machine_check(void) NORETURN;

/* ---- PC devices ---- */

void i8259_init(void);
bool i8259_is_spurious(unsigned line); /* and acknowledges what must be */
void i8259_eoi(unsigned line);
void arch_clock_init(void);

extern uint32_t kernel_irqs; /* lines that are not for users: boot/init.c */

#define IRQ_TIMER   0u
#define IRQ_CASCADE 2u
#define IRQ_COM2    3u
#define IRQ_COM1    4u

/* ---- linker map ---- */

extern char image_start[], text_end[], rodata_end[], image_end[];
extern char kernel_stack_guard[], kernel_stack[], kernel_stack_top[];
extern char debug_stack_guard[], debug_stack_top[], trap_stack_guard[], trap_stack_top[];
extern char fault_stack_guard[], double_fault_stack_top[], nmi_stack_guard[], nmi_stack_top[];
extern char check_stack_guard[], check_stack_top[];

#endif
