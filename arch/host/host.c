// SPDX-License-Identifier: MIT
/*
 * <arch/...> inside a Linux process.  The page tables are real IA-32 tables in the arena; the MMU is
 * host_access(), with a TLB that keeps stale entries until the kernel flushes them, so that a forgotten
 * flush is seen.  Control leaves kernel_exit() by its return value, or by host_idle when nothing can run.
 */
#include "arch/host/host.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <arch/console.h>
#include <arch/cpu.h>
#include <arch/paging.h>
#include "kernel/boot.h"
#include "kernel/clock.h"
#include "kernel/cpu.h"
#include "kernel/debug/debug.h"
#include "kernel/ipc.h"
#include "kernel/irq.h"
#include "kernel/sched.h"
#include "kernel/sys.h"

char *host_memory;
uint64_t host_clock;
bool arch_has_tsc = true;
void (*host_window)(void);
uint32_t host_irq_mask_bits = 0xffff;
bool host_quiet = true;
bool host_fast = true;

static uint32_t memory_size;
static uint64_t timer_at;   /* 0: off */
static jmp_buf idle_exit;
static bool idle_armed;

/* ---- TLB and MMU ---- */

#define TLB_ENTRIES 64u
struct tlb_entry { const struct task *task; uint32_t page, pte, *from; bool valid; };
static struct tlb_entry tlb[TLB_ENTRIES];

static struct tlb_entry *tlb_slot(uint32_t address)
{
    return &tlb[(address >> PAGE_SHIFT) % TLB_ENTRIES];
}

/* Any address in a 4 MB page flushes all of it, as INVLPG does. */
void arch_tlb_flush_page(const struct task *task, uint32_t address)
{
    if (this_cpu()->loaded != task)
        return;
    for (struct tlb_entry *e = tlb; e < tlb + TLB_ENTRIES; e++)
        if (e->page == round_down(address, PAGE_SIZE) ||
            (e->pte & PTE_SUPER && round_down(e->page, SUPER_SIZE) == round_down(address, SUPER_SIZE)))
            e->valid = false;
}

void arch_tlb_flush_all(const struct task *task)
{
    if (this_cpu()->loaded == task)
        memset(tlb, 0, sizeof tlb);
}

void arch_pagedir_init(uint32_t *pd)
{
    memset(pd, 0, 1024 * sizeof *pd);
}

void arch_load_space(struct task *task)
{
    if (this_cpu()->loaded == task)
        return;
    this_cpu()->loaded = task;
    memset(tlb, 0, sizeof tlb);
}

static bool allows(uint32_t pte, uint32_t access)
{
    return (pte & PTE_PRESENT) && (pte & PTE_USER) && (access != L4_W || (pte & PTE_WRITE));
}

void *host_access(struct task *task, uint32_t address, uint32_t access)
{
    struct tlb_entry *e = tlb_slot(address);
    uint32_t page = round_down(address, PAGE_SIZE), phys;

    if (address >= L4_USER_TOP)
        return NULL;
    arch_load_space(task);
    if (!e->valid || e->page != page || e->task != task || !allows(e->pte, access)) {
        uint32_t *pde = &task->pd[address >> SUPER_SHIFT], *entry = pde;

        e->valid = false;
        if (!allows(*pde, access))
            return NULL;
        if (!(*pde & PTE_SUPER)) {
            uint32_t *table = phys_to_virt(round_down(*pde, PAGE_SIZE));

            *pde |= PTE_ACCESSED;
            entry = &table[(address >> PAGE_SHIFT) & 1023u];
            if (!allows(*entry, access))
                return NULL;
        }
        *e = (struct tlb_entry){ task, page, *entry, entry, true };
    }
    if (!(e->pte & PTE_ACCESSED) || (access == L4_W && !(e->pte & PTE_DIRTY))) {
        e->pte |= PTE_ACCESSED | (access == L4_W ? PTE_DIRTY : 0u);
        *e->from |= PTE_ACCESSED | (access == L4_W ? PTE_DIRTY : 0u);
    }
    if (e->pte & PTE_SUPER)
        phys = round_down(e->pte, SUPER_SIZE) | (address & (SUPER_SIZE - 1u));
    else
        phys = round_down(e->pte, PAGE_SIZE) | (address & (PAGE_SIZE - 1u));
    if (phys >= memory_size) {
        fprintf(stderr, "user access to physical 0x%x, which is not RAM\n", phys);
        abort();
    }
    return host_memory + phys;
}

static unsigned copy_words(uint32_t address, uint32_t *words, const uint32_t *from, unsigned count,
                           uint32_t *fault)
{
    unsigned i, byte;

    for (i = 0; i < count; i++) {
        unsigned char bytes[4];

        if (from)
            memcpy(bytes, &from[i], 4);
        for (byte = 0; byte < 4; byte++) {
            uint32_t at = address + 4 * i + byte;
            unsigned char *p = host_access(this_cpu()->loaded, at, from ? L4_W : L4_R);

            if (!p) {
                *fault = at;
                return i;
            }
            if (from)
                *p = bytes[byte];
            else
                bytes[byte] = *p;
        }
        if (!from)
            memcpy(&words[i], bytes, 4);
    }
    return count;
}

unsigned arch_user_read(uint32_t *to, uint32_t address, unsigned count, uint32_t *fault)
{
    return copy_words(address, to, NULL, count, fault);
}

unsigned arch_user_write(uint32_t address, const uint32_t *from, unsigned count, uint32_t *fault)
{
    return copy_words(address, NULL, from, count, fault);
}

bool arch_user_send(const struct task *to, uint32_t address, uint32_t from, unsigned count)
{
    struct task *self = this_cpu()->loaded, *other = self;
    uint32_t words[64], fault;
    unsigned i;

    if (copy_words(from, words, NULL, count, &fault) != count)
        return false;
    memcpy(&other, &to, sizeof other);
    arch_load_space(other);
    i = copy_words(address, NULL, words, count, &fault);
    arch_load_space(self);
    return i == count;
}

/* ---- time and interrupts ---- */

void arch_timer_program(uint64_t ticks)
{
    timer_at = host_clock + (ticks ? ticks : 1);
}

void arch_timer_off(void)
{
    timer_at = 0;
}

static void timer_interrupt(void)
{
    if (timer_at && host_clock >= timer_at) {
        timer_at = 0;
        sched_timer();
    }
}

void host_advance(uint64_t ticks)
{
    uint64_t end = host_clock + ticks;

    while (timer_at && timer_at <= end) {
        if (host_clock < timer_at)
            host_clock = timer_at;
        timer_interrupt();
    }
    host_clock = end;
}

void arch_interrupt_window(void)
{
    if (host_window)
        host_window();
    timer_interrupt();
}

void arch_idle(void)
{
    if (timer_at) {
        if (host_clock < timer_at)
            host_clock = timer_at;
        timer_interrupt();
        return;
    }
    if (!idle_armed) {
        fprintf(stderr, "the machine sleeps for ever outside host_run()\n");
        abort();
    }
    longjmp(idle_exit, 1);
}

void arch_irq_mask(unsigned line) { host_irq_mask_bits |= 1u << line; }
void arch_irq_unmask(unsigned line) { host_irq_mask_bits &= ~(1u << line); }
bool arch_irq_masked(unsigned line) { return (host_irq_mask_bits >> line) & 1u; }

/* ---- the rest of the contract ---- */

void arch_halt_forever(void)
{
    fprintf(stderr, "halted for ever\n");
    abort();
}

void arch_reboot(void)
{
    arch_halt_forever();
}

void arch_prepare(struct thread *t)
{
    arch_load_space(t->task);
}

void arch_fpu_release(struct thread *t)
{
    if (this_cpu()->fpu_owner == t)
        cpu_set_fpu_owner(this_cpu(), NULL);
}

uint32_t arch_cpu_features(void) { return 0; }

bool arch_decode_io(struct thread *t, uint32_t *port, unsigned *bytes)
{
    (void)t;
    (void)port;
    (void)bytes;
    return false;
}

bool arch_serial_present(unsigned line) { return line == 0; }
void arch_serial_put(unsigned line, uint8_t byte) { (void)line; putchar(byte); }
int arch_serial_get(unsigned line) { (void)line; return -1; }
void arch_serial_init(void) {}
void arch_serial_interrupts(unsigned line, bool on) { (void)line; (void)on; }
void arch_debug_exit(uint8_t code) { exit(code); }

/* ---- debug core of the host: print and stop ---- */

enum debug_level debug_level = DEBUG_RW;
bool console_held;

void panic(const char *format, ...)
{
    va_list list;

    va_start(list, format);
    fputs("panic: ", stderr);
    vfprintf(stderr, format, list);
    fputc('\n', stderr);
    va_end(list);
    abort();
}

void kprintf(const char *format, ...)
{
    va_list list;

    if (host_quiet)
        return;
    va_start(list, format);
    vprintf(format, list);
    va_end(list);
}

void kputc(char c)
{
    if (!host_quiet)
        putchar(c);
}

bool debug_enter(enum debug_reason reason, struct debug_regs *regs, const char *text)
{
    (void)reason;
    (void)regs;
    (void)text;
    return false;
}

bool debug_active(void)
{
    return false;
}

void debug_init(void)
{
}

void sys_debug(struct thread *t)
{
    sys_finish(t, L4_ERR(L4_NOSYS, 0, 0));
}

/* ---- boot and run ---- */

/* The smallest ELF32 that boot.c accepts: one loaded page at 4 MB. */
static uint32_t make_sigma0(paddr_t at)
{
    static const unsigned char ident[16] = { 0x7f, 'E', 'L', 'F', 1, 1, 1 };
    const uint32_t header[] = {
        0x00030002u /* executable, 386 */, 1, 0x00400000u /* entry */, 52 /* program headers */, 0, 0,
        52u | (32u << 16), 1u | (40u << 16), 0,
    };
    const uint32_t program[8] = { 1, 0x1000, 0x00400000u, 0x00400000u, 16, 0x1000, 7, 0x1000 };
    char *p = host_memory + at;

    memset(p, 0, 0x2000);
    memcpy(p, ident, sizeof ident);
    memcpy(p + 16, header, sizeof header);
    memcpy(p + 52, program, sizeof program);
    return at + 0x1010;
}

void host_boot(const struct host_config *config)
{
    static struct boot_range ranges[3];
    static struct boot_module module;
    static struct boot_desc desc;

    memory_size = (config->megabytes ? config->megabytes : 16u) << 20;
    host_memory = mmap(NULL, memory_size + SUPER_SIZE, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (host_memory == MAP_FAILED) {
        perror("memory of the host machine");
        exit(1);
    }
    host_memory = (char *)(uintptr_t)round_up((uint32_t)(uintptr_t)host_memory, SUPER_SIZE);
    ranges[0] = (struct boot_range){ 0, 0x9f000, L4_MEM_RAM };
    ranges[1] = (struct boot_range){ 0xa0000, 0x100000, L4_MEM_DEVICE };
    ranges[2] = (struct boot_range){ 0x100000, memory_size, L4_MEM_RAM };
    module = (struct boot_module){ 0x3e0000, make_sigma0(0x3e0000), "sigma0" };
    desc = (struct boot_desc){
        .ranges = ranges, .range_count = 3, .modules = &module, .module_count = 1,
        .options = config->options ? config->options : "", .kernel_start = 0x100000,
        .kernel_end = 0x3e0000, .kernel_irqs = 1u << 0 | 1u << 2 | 1u << 4,
        .superpages = config->superpages,
        .kernel_ports = { { 0x20, 0x21 }, { 0xa0, 0xa1 }, { 0x40, 0x43 }, { 0x3f8, 0x3ff } },
    };
    if (config->alter)
        config->alter(&desc);
    clock_init(1000000);
    boot_kernel(&desc);
}

struct thread *host_run(void)
{
    struct thread *t = NULL;

    if (!setjmp(idle_exit)) {
        idle_armed = true;
        t = kernel_exit();
    }
    idle_armed = false;
    return t;
}

/* As an entry does it. */
static struct thread *system_call(struct thread *t)
{
    struct thread *next = NULL;

    t->frame.vector = VECTOR_SYSCALL;
    if (host_fast && (t->frame.w[0] & 15u) == L4_SYS_IPC)
        next = ipc_fast(t);
    if (!next) {
        sys_entry(t);
        next = kernel_exit();
    }
    arch_load_space(next->task);
    return next;
}

struct thread *host_syscall(struct thread *t)
{
    struct thread *next = NULL;

    if (this_cpu()->current != t) {
        fprintf(stderr, "th%u makes a system call but is not current\n", t->obj.id);
        abort();
    }
    if (!setjmp(idle_exit)) {
        idle_armed = true;
        next = system_call(t);
    }
    idle_armed = false;
    return next;
}

struct thread *host_call(struct thread *t, uint32_t w0, uint32_t w1, uint32_t w2, uint32_t w3,
                         uint32_t w4)
{
    t->frame.w[0] = w0;
    t->frame.w[1] = w1;
    t->frame.w[2] = w2;
    t->frame.w[3] = w3;
    t->frame.w[4] = w4;
    return host_syscall(t);
}
