// SPDX-License-Identifier: MIT
/*
 * The order in which the machine is brought up, once, on the kernel stack with interrupts off.
 */
#include <arch/console.h>
#include <arch/cpu.h>
#include "arch/ia32/arch.h"
#include "kernel/boot.h"

void arch_start(uint32_t magic, paddr_t info); /* called by multiboot.asm, which enters user mode then */

static struct boot_desc desc;
uint32_t kernel_irqs = 1u << IRQ_TIMER | 1u << IRQ_CASCADE;

/* Without a debugger the kernel only prints: the serial lines, input and interrupts, are sigma0's. */
#ifdef NDEBUG
static bool keeps_serial(unsigned line) { return line > 1; }
#else
static bool keeps_serial(unsigned line) { return arch_serial_present(line); }
#endif

static void keep_ports(unsigned *n, uint16_t first, uint16_t last)
{
    desc.kernel_ports[*n][0] = first;
    desc.kernel_ports[*n][1] = last;
    (*n)++;
}

static void describe_devices(void)
{
    unsigned n = 0;

    keep_ports(&n, 0x20, 0x21); /* i8259 */
    keep_ports(&n, 0xa0, 0xa1);
    keep_ports(&n, 0x40, 0x43); /* PIT */
    if (keeps_serial(0)) {
        kernel_irqs |= 1u << IRQ_COM1;
        keep_ports(&n, 0x3f8, 0x3ff);
    }
    if (keeps_serial(1)) {
        kernel_irqs |= 1u << IRQ_COM2;
        keep_ports(&n, 0x2f8, 0x2ff);
    }
    desc.kernel_irqs = kernel_irqs;
}

void arch_start(uint32_t magic, paddr_t info)
{
    uint32_t limit;
    paddr_t tables = 0;

    tables_init();
    i8259_init();
    arch_serial_init();
    features_init();

    desc.kernel_start = virt_to_phys(image_start);
    desc.kernel_end = virt_to_phys(image_end);
    desc.superpages = (arch_cpu_features() & CPU_PSE) != 0;
    multiboot_parse(&desc, magic, info, &limit);
    unsigned count = paging_tables_needed(limit);
    if (count)
        tables = multiboot_take_frames(&desc, count, limit);
    paging_map_direct(limit, tables);
    paging_boot_done();

    fpu_init();
    arch_clock_init();
    describe_devices();
    boot_kernel(&desc);
    tables_enable_sysenter();
    arch_irq_unmask(IRQ_TIMER);
}
