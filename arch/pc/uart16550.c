// SPDX-License-Identifier: MIT
/*
 * Two serial lines, polled, 115200 8N1.  A line that is not there, or that stops taking bytes, costs a
 * bounded wait once and then nothing: bytes for it are dropped and counted.
 */
#include <arch/console.h>
#include <arch/cpu.h>
#include "arch/ia32/arch.h"

enum { DATA, INTERRUPTS, FIFO, LINE, MODEM, LINE_STATUS, MODEM_STATUS, SCRATCH };

#define DIVISOR_115200  1u
#define LINE_8N1        0x03u
#define LINE_DLAB       0x80u
#define FIFO_ENABLE     0xc7u /* and clear; trigger at 14 */
#define MODEM_READY     0x0bu /* DTR, RTS, and OUT2, which lets interrupts out */
#define STATUS_DATA     0x01u
#define STATUS_FRAMING  0x1cu /* parity error, framing error, BREAK */
#define STATUS_ROOM     0x20u
#define ON_RECEIVE      0x01u
#define PATIENCE        5000000u /* polls, each about a microsecond: a reader on a busy host may be away for seconds */
#define DEBUG_EXIT_PORT 0xf4u

static struct uart {
    uint16_t base;
    uint8_t irq;
    bool present, stuck;
} uarts[] = { { 0x3f8, IRQ_COM1, false, false }, { 0x2f8, IRQ_COM2, false, false } };

static uint8_t get(const struct uart *u, unsigned reg) { return inb((uint16_t)(u->base + reg)); }
static void put(const struct uart *u, unsigned reg, uint8_t value) { outb((uint16_t)(u->base + reg), value); }

/* Absent hardware reads as all ones and keeps nothing. */
static bool probe(const struct uart *u)
{
    put(u, SCRATCH, 0x5a);
    if (get(u, SCRATCH) != 0x5a)
        return false;
    put(u, SCRATCH, 0xa5);
    return get(u, SCRATCH) == 0xa5 && get(u, LINE_STATUS) != 0xff;
}

void arch_serial_init(void)
{
    for (unsigned i = 0; i < ARRAY_SIZE(uarts); i++) {
        struct uart *u = &uarts[i];
        u->present = probe(u);
        if (!u->present)
            continue;
        put(u, INTERRUPTS, 0);
        put(u, LINE, LINE_DLAB);
        put(u, DATA, DIVISOR_115200);
        put(u, INTERRUPTS, 0); /* high half of the divisor */
        put(u, LINE, LINE_8N1);
        put(u, FIFO, FIFO_ENABLE);
        put(u, MODEM, MODEM_READY);
    }
}

static struct uart *uart(unsigned line)
{
    return line < ARRAY_SIZE(uarts) && uarts[line].present ? &uarts[line] : NULL;
}

bool arch_serial_present(unsigned line) { return uart(line) != NULL; }

void arch_serial_put(unsigned line, uint8_t byte)
{
    struct uart *u = uart(line);

    if (!u)
        return;
    for (unsigned n = u->stuck ? 1 : PATIENCE; n; n--) {
        if (get(u, LINE_STATUS) & STATUS_ROOM) {
            u->stuck = false;
            put(u, DATA, byte);
            return;
        }
    }
    u->stuck = true;
}

int arch_serial_get(unsigned line)
{
    const struct uart *u = uart(line);

    if (!u)
        return -1;
    uint8_t status = get(u, LINE_STATUS);
    if (!(status & (STATUS_DATA | STATUS_FRAMING)))
        return -1;
    uint8_t byte = get(u, DATA); /* of a broken character too: it must leave the FIFO */
    return status & STATUS_FRAMING ? -2 : byte;
}

void arch_serial_interrupts(unsigned line, bool on)
{
    const struct uart *u = uart(line);

    if (!u)
        return;
    put(u, INTERRUPTS, on ? ON_RECEIVE : 0);
    if (on)
        arch_irq_unmask(u->irq);
    else
        arch_irq_mask(u->irq);
}

void arch_debug_exit(uint8_t code) { outb(DEBUG_EXIT_PORT, code); }
