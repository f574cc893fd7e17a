// SPDX-License-Identifier: MIT
/*
 * GDT, IDT and task state.  Four tasks: the kernel's, and one each for the exceptions that may come when
 * ESP is no stack: NMI, double fault and machine check.  Their TSS name stacks of their own and the kernel's directory.
 */
#include <arch/cpu.h>
#include "arch/ia32/arch.h"
#include "kernel/boot.h"
#include "kernel/lib/string.h"

struct descriptor { uint32_t low, high; };
struct table_register { uint16_t limit; uint32_t base; } __attribute__((packed));

enum { GDT_TSS = 5, GDT_DOUBLE_FAULT, GDT_NMI, GDT_MACHINE_CHECK, GDT_COUNT };

#define SEGMENT_CODE 0x9au
#define SEGMENT_DATA 0x92u
#define SEGMENT_USER 0x60u
#define SEGMENT_TSS  0x89u
#define GATE_TASK      0x8500u
#define GATE_INTERRUPT 0x8e00u
#define GATE_USER      0x6000u

#define VECTOR_BREAKPOINT 3u
#define VECTOR_OVERFLOW   4u
#define VECTOR_NMI        2u
#define VECTOR_DOUBLE_FAULT 8u
#define VECTOR_MACHINE_CHECK 18u

#define MSR_SYSENTER_CS  0x174u
#define MSR_SYSENTER_ESP 0x175u
#define MSR_SYSENTER_EIP 0x176u

static struct descriptor gdt[GDT_COUNT] __attribute__((aligned(8)));
static struct descriptor idt[ARCH_VECTORS] __attribute__((aligned(8)));
struct tss_area cpu_tss;
struct tss double_fault_tss, nmi_tss, machine_check_tss;

static struct descriptor flat(uint32_t access)
{
    return (struct descriptor){ 0x0000ffffu, 0x00cf0000u | access << 8 };
}

static struct descriptor tss_descriptor(const struct tss *tss, uint32_t limit)
{
    uint32_t base = (uint32_t)(uintptr_t)tss;

    return (struct descriptor){ base << 16 | (limit & 0xffffu),
                                (base & 0xff000000u) | SEGMENT_TSS << 8 | (base >> 16 & 0xffu) };
}

static struct descriptor gate(uint32_t selector, uint32_t offset, uint32_t type)
{
    return (struct descriptor){ selector << 16 | (offset & 0xffffu), (offset & 0xffff0000u) | type };
}

static void task_init(struct tss *tss, void (*entry)(void), char *stack_top)
{
    tss->cr3 = virt_to_phys(kernel_pd);
    tss->eip = (uint32_t)(uintptr_t)entry;
    tss->esp = (uint32_t)(uintptr_t)stack_top;
    tss->eflags = 2;
    tss->cs = SEL_KERNEL_CS;
    tss->ss = tss->ss0 = SEL_KERNEL_DS;
    tss->ds = tss->es = tss->fs = tss->gs = SEL_USER_DS;
    tss->iomap = TSS_IOMAP_NONE;
}

struct tss *tss_interrupted(const struct tss *tss)
{
    switch (tss->link / 8) {
    case GDT_DOUBLE_FAULT: return &double_fault_tss;
    case GDT_NMI: return &nmi_tss;
    case GDT_MACHINE_CHECK: return &machine_check_tss;
    default: return &cpu_tss.tss;
    }
}

static void load(void)
{
    struct table_register gdtr = { sizeof gdt - 1, (uint32_t)(uintptr_t)gdt };
    struct table_register idtr = { sizeof idt - 1, (uint32_t)(uintptr_t)idt };

    __asm__ volatile("lgdt %0\n\t"
                     "lidt %1\n\t"
                     "ljmp %2, $1f\n"
                     "1:\n\t"
                     "mov %3, %%ss\n\t"
                     "mov %4, %%ds\n\t"
                     "mov %4, %%es\n\t"
                     "mov %4, %%fs\n\t"
                     "mov %4, %%gs\n\t"
                     "lldt %w5\n\t"
                     "ltr %w6"
                     : : "m"(gdtr), "m"(idtr), "i"(SEL_KERNEL_CS), "r"(SEL_KERNEL_DS), "r"(SEL_USER_DS),
                         "r"(0), "r"(GDT_TSS * 8) : "memory");
}

void tables_init(void)
{
    gdt[SEL_KERNEL_CS / 8] = flat(SEGMENT_CODE);
    gdt[SEL_KERNEL_DS / 8] = flat(SEGMENT_DATA);
    gdt[SEL_USER_CS / 8] = flat(SEGMENT_CODE | SEGMENT_USER);
    gdt[SEL_USER_DS / 8] = flat(SEGMENT_DATA | SEGMENT_USER);
    gdt[GDT_TSS] = tss_descriptor(&cpu_tss.tss, TSS_IOMAP + TSS_BITMAP_BYTES);
    gdt[GDT_DOUBLE_FAULT] = tss_descriptor(&double_fault_tss, sizeof(struct tss) - 1);
    gdt[GDT_NMI] = tss_descriptor(&nmi_tss, sizeof(struct tss) - 1);
    gdt[GDT_MACHINE_CHECK] = tss_descriptor(&machine_check_tss, sizeof(struct tss) - 1);

    cpu_tss.tss.ss0 = SEL_KERNEL_DS;
    cpu_tss.tss.esp0 = (uint32_t)(uintptr_t)kernel_stack_top;
    cpu_tss.tss.cr3 = virt_to_phys(kernel_pd);
    cpu_tss.tss.iomap = TSS_IOMAP_NONE;
    memset(cpu_tss.bitmap_end, 0xff, sizeof cpu_tss.bitmap_end);
    task_init(&double_fault_tss, double_fault_entry, double_fault_stack_top);
    task_init(&nmi_tss, nmi_entry, nmi_stack_top);
    task_init(&machine_check_tss, machine_check_entry, check_stack_top);

    for (unsigned i = 0; i < ARCH_VECTORS; i++) {
        bool user = i == VECTOR_BREAKPOINT || i == VECTOR_OVERFLOW || i == VECTOR_SYSCALL;
        if (vector_stubs[i])
            idt[i] = gate(SEL_KERNEL_CS, vector_stubs[i], GATE_INTERRUPT | (user ? GATE_USER : 0u));
    }
    idt[VECTOR_NMI] = gate(GDT_NMI * 8, 0, GATE_TASK);
    idt[VECTOR_DOUBLE_FAULT] = gate(GDT_DOUBLE_FAULT * 8, 0, GATE_TASK);
    idt[VECTOR_MACHINE_CHECK] = gate(GDT_MACHINE_CHECK * 8, 0, GATE_TASK);
    load();
}

void tables_enable_sysenter(void)
{
    char value[8];
    const char *ipc = boot_option("ipc", value, sizeof value);

    if (!(arch_cpu_features() & CPU_SEP))
        return;
    write_msr(MSR_SYSENTER_CS, SEL_KERNEL_CS);
    write_msr(MSR_SYSENTER_ESP, (uint32_t)(uintptr_t)&cpu_tss.tss.esp0);
    write_msr(MSR_SYSENTER_EIP, (uint32_t)(uintptr_t)(ipc ? sysenter_entry_c : sysenter_entry));
}
