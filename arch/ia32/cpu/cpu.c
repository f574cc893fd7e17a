// SPDX-License-Identifier: MIT
/*
 * The small services of <arch/cpu.h>, and what the CPU must know about the thread that it runs next.
 */
#include <arch/cpu.h>
#include <arch/paging.h>
#include "arch/ia32/arch.h"
#include "kernel/cpu.h"
#include "kernel/lib/string.h"
#include "kernel/thread.h"

#define KEYBOARD_CONTROLLER 0x64u
#define KEYBOARD_RESET      0xfeu
#define RESET_PATIENCE      1000000u

void arch_interrupt_window(void)
{
    /* The instruction behind sti still runs without interrupts. */
    __asm__ volatile("sti\n\tnop\n\tcli" : : : "memory");
}

void arch_idle(void)
{
    __asm__ volatile("sti\n\thlt\n\tcli" : : : "memory");
}

void arch_halt_forever(void)
{
    for (;;)
        __asm__ volatile("cli\n\thlt" : : : "memory");
}

void arch_reboot(void)
{
    static const struct { uint16_t limit; uint32_t base; } __attribute__((packed)) nothing = { 0, 0 };

    outb(KEYBOARD_CONTROLLER, KEYBOARD_RESET);
    for (unsigned i = 0; i < RESET_PATIENCE; i++)
        (void)inb(KEYBOARD_CONTROLLER);
    /* No keyboard controller: a fault that nothing can handle resets every PC. */
    __asm__ volatile("lidt %0\n\tint3" : : "m"(nothing));
    arch_halt_forever();
}

/* Is the bitmap in the TSS this task's, as it is now? */
static bool io_is_loaded(const struct task *task)
{
    const struct cpu *cpu = this_cpu();

    return task->io_version != 0 && cpu->io_task == task && cpu->io_version == task->io_version;
}

bool io_load(struct task *task)
{
    struct cpu *cpu = this_cpu();

    if (task->io_version == 0 || io_is_loaded(task))
        return false;
    memcpy(cpu_tss.bitmap, task->io_bitmap[0], PAGE_SIZE);
    memcpy(cpu_tss.bitmap + PAGE_SIZE, task->io_bitmap[1], PAGE_SIZE);
    cpu_set_io_task(cpu, task);
    cpu->io_version = task->io_version;
    return true;
}

NO_FRAME_POINTER void arch_prepare(struct thread *t)
{
    struct task *task = t->task;

    cpu_tss.tss.esp0 = (uint32_t)(uintptr_t)(&t->frame + 1);
    if (this_cpu()->loaded != task)
        arch_load_space(task);
    cpu_tss.tss.iomap = UNLIKELY(io_is_loaded(task)) ? TSS_IOMAP : TSS_IOMAP_NONE;
    if (UNLIKELY((this_cpu()->fpu_owner == t) == fpu_trapping))
        fpu_prepare(t);
}
