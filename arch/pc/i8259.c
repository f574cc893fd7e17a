// SPDX-License-Identifier: MIT
/*
 * The two interrupt controllers.  Lines 0..15 are vectors VECTOR_IRQ0..; `masked` mirrors the mask
 * registers, line 2 (the second controller) is always open.
 */
#include <arch/cpu.h>
#include "arch/ia32/arch.h"

#define FIRST_COMMAND  0x20u
#define FIRST_DATA     0x21u
#define SECOND_COMMAND 0xa0u
#define SECOND_DATA    0xa1u

#define ICW1        0x11u /* edge triggered, cascaded, four words follow */
#define ICW4        0x01u /* 8086 mode, no automatic end of interrupt */
#define READ_IN_SERVICE 0x0bu
#define EOI_SPECIFIC    0x60u
#define LINES           16u

static uint16_t masked = 0xffffu & ~(1u << IRQ_CASCADE);

static void write_masks(void)
{
    outb(FIRST_DATA, (uint8_t)masked);
    outb(SECOND_DATA, (uint8_t)(masked >> 8));
}

void i8259_init(void)
{
    outb(FIRST_COMMAND, ICW1);
    outb(SECOND_COMMAND, ICW1);
    outb(FIRST_DATA, VECTOR_IRQ0);
    outb(SECOND_DATA, VECTOR_IRQ0 + 8);
    outb(FIRST_DATA, 1u << IRQ_CASCADE);
    outb(SECOND_DATA, IRQ_CASCADE);
    outb(FIRST_DATA, ICW4);
    outb(SECOND_DATA, ICW4);
    write_masks();
}

void arch_irq_mask(unsigned line)
{
    if (line >= LINES || line == IRQ_CASCADE)
        return;
    masked |= (uint16_t)(1u << line);
    write_masks();
}

void arch_irq_unmask(unsigned line)
{
    if (line >= LINES)
        return;
    masked &= (uint16_t)~(1u << line);
    write_masks();
}

bool arch_irq_masked(unsigned line)
{
    return line >= LINES || (masked & 1u << line);
}

/* A line that went away before the CPU asked shows up as the controller's last one, not in service. */
bool i8259_is_spurious(unsigned line)
{
    if ((line & 7u) != 7u)
        return false;
    uint16_t command = line < 8 ? FIRST_COMMAND : SECOND_COMMAND;
    outb(command, READ_IN_SERVICE);
    if (inb(command) & 0x80u)
        return false;
    if (line >= 8)
        i8259_eoi(IRQ_CASCADE); /* the first controller did see its line 2 */
    return true;
}

void i8259_eoi(unsigned line)
{
    if (line >= 8) {
        outb(SECOND_COMMAND, (uint8_t)(EOI_SPECIFIC | (line & 7u)));
        line = IRQ_CASCADE;
    }
    outb(FIRST_COMMAND, (uint8_t)(EOI_SPECIFIC | line));
}
