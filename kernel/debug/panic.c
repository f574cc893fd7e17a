// SPDX-License-Identifier: MIT
/*
 * The end of a kernel that found itself wrong, in both kinds of build; and what a release build has
 * instead of a debugger: nothing that could be entered.
 */
#include <arch/console.h>
#include <arch/cpu.h>
#include "kernel/boot.h"
#include "kernel/debug/debug.h"
#include "kernel/lib/assert.h"
#include "kernel/lib/fmt.h"
#include "kernel/sys.h"
#ifndef NDEBUG
#include <arch/debug.h>
#endif

#define PANIC_TEXT 200u

static char panic_text[PANIC_TEXT];

#ifndef NDEBUG
static void panic_debug(void)
{
    struct debug_regs regs;
    arch_debug_capture(&regs);
    debug_enter(DEBUG_PANIC, &regs, panic_text);
}
#else
static void panic_debug(void) { }
#endif

void panic(const char *format, ...)
{
    va_list list;
    va_start(list, format);
    fmt_buffer_va(panic_text, sizeof(panic_text), format, list);
    va_end(list);
    if (debug_active()) /* a rule that a debugger command broke: the command ends, not the machine */
        debug_guard_fault((uint32_t)(uintptr_t)__builtin_return_address(0), 0);
    console_held = false;
    kprintf("\n*** PANIC %s\n", panic_text);
    char value[8];
    if (boot_option("exit", value, sizeof(value)))
        arch_debug_exit(3);
    panic_debug();
    kprintf("*** halted\n");
    arch_halt_forever();
}

#ifdef NDEBUG
enum debug_level debug_level = DEBUG_OFF;

bool debug_enter(enum debug_reason reason, struct debug_regs *regs, const char *text)
{
    (void)reason;
    (void)regs;
    (void)text;
    return false;
}

bool debug_serial_irq(unsigned line, struct debug_regs *regs)
{
    (void)line;
    (void)regs;
    return false;
}

void debug_init(void) { }
bool debug_active(void) { return false; }

void debug_guard_fault(uint32_t ip, uint32_t address)
{
    (void)ip;
    (void)address;
}

/* System call 7 does not exist here. [G44] */
void sys_debug(struct thread *t) { sys_finish(t, L4_ERR(L4_NOSYS, 0, 0)); }
#endif
