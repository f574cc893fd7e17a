// SPDX-License-Identifier: MIT
/*
 * Reading and writing target memory for debuggers, and the guard around code that may fault.  All access
 * goes through page tables walked in software and the direct map: nothing here can fault, and
 * nothing touches a device register unless asked to.
 */
#include <arch/debug.h>
#include <arch/paging.h>
#include "kernel/debug/core.h"
#include "kernel/lib/string.h"

bool probe_is_ram(paddr_t phys)
{
    uint32_t n = phys >> PAGE_SHIFT;
    if (!frame_count) /* before the frame table exists: the kernel image and what is around it */
        return phys >= 0x100000u && phys < 0x800000u;
    return n < frame_count && frame_table[n].kp != FRAME_DEVICE;
}

/* The direct map reaches it. */
static bool is_mapped(paddr_t phys)
{
    return frame_count ? phys >> PAGE_SHIFT < frame_count : phys < 0x800000u;
}

/* The page directory is a cache: what it lacks may still be granted by a node. [G52] */
static bool translate_by_node(const struct task *task, uint32_t address, paddr_t *phys)
{
    if (!task->pd_shadow)
        return false;
    const struct node *n = mem_lookup(task, address);
    if (!n || !node_rights(n))
        return false;
    paddr_t p = n->obj + (address - node_base(n));
    uint32_t frame = p >> PAGE_SHIFT;
    if (frame < frame_count && frame_table[frame].kp > FRAME_DEVICE)
        return false; /* converted: no longer the task's to see */
    *phys = p;
    return true;
}

bool probe_translate(const struct task *task, uint32_t address, paddr_t *phys)
{
    if (address >= KERNEL_BASE)
        return arch_debug_kernel_phys(address, phys);
    if (!task || !task->pd || kobj_is_dying(&task->obj)) /* dying: its tables may be gone */
        return false;
    uint32_t pde = task->pd[address >> SUPER_SHIFT];
    if (pde & PTE_PRESENT) {
        if (pde & PTE_SUPER) {
            *phys = (pde & 0xffc00000u) | (address & (SUPER_SIZE - 1));
            return true;
        }
        paddr_t table = pde & 0xfffff000u;
        if (is_mapped(table)) {
            const uint32_t *pt = phys_to_virt(table);
            uint32_t pte = pt[address >> PAGE_SHIFT & 1023u];
            if (pte & PTE_PRESENT) {
                *phys = (pte & 0xfffff000u) | (address & (PAGE_SIZE - 1));
                return true;
            }
        }
    }
    return translate_by_node(task, address, phys);
}

/* Device registers want whole accesses: words where aligned, bytes else. */
static void copy_device(volatile uint8_t *to, const volatile uint8_t *from, unsigned size, uint32_t place)
{
    if (size == 4 && !(place & 3u)) {
        uint32_t word;
        if (((uintptr_t)from & 3u) == 0 && ((uintptr_t)to & 3u) == 0) {
            word = *(const volatile uint32_t *)(const volatile void *)from;
            *(volatile uint32_t *)(volatile void *)to = word;
            return;
        }
    }
    for (unsigned i = 0; i < size; i++)
        to[i] = from[i];
}

/* How much of `size` at `address` lies in one page, and does not wrap. */
static unsigned piece(uint32_t address, unsigned size)
{
    return min_u32(size, PAGE_SIZE - (address & (PAGE_SIZE - 1)));
}

unsigned probe_read(const struct task *task, uint32_t address, void *to, unsigned size, bool mmio)
{
    unsigned done = 0;
    while (done < size) {
        uint32_t at = address + done;
        if (at < address)
            break;
        unsigned n = piece(at, size - done);
        paddr_t phys;
        if (!probe_translate(task, at, &phys) || !is_mapped(phys))
            break;
        uint8_t *out = (uint8_t *)to + done;
        if (probe_is_ram(phys)) {
            memcpy(out, phys_to_virt(phys), n);
            bp_hide_phys(phys, out, n);
        } else if (mmio) {
            copy_device(out, phys_to_virt(phys), n, phys);
        } else {
            break;
        }
        done += n;
    }
    return done;
}

unsigned probe_write(const struct task *task, uint32_t address, const void *from, unsigned size, bool mmio)
{
    unsigned done = 0;
    while (done < size) {
        uint32_t at = address + done;
        if (at < address)
            break;
        unsigned n = piece(at, size - done);
        paddr_t phys;
        if (!probe_translate(task, at, &phys) || !is_mapped(phys))
            break;
        const uint8_t *in = (const uint8_t *)from + done;
        if (probe_is_ram(phys))
            arch_debug_poke(phys_to_virt(phys), in, n);
        else if (mmio)
            copy_device(phys_to_virt(phys), in, n, phys);
        else
            break;
        done += n;
    }
    return done;
}

bool probe_phys(uint32_t phys, void *to, unsigned size)
{
    uint8_t *out = to;
    while (size) {
        unsigned n = piece(phys, size);
        if (!is_mapped(phys) || !probe_is_ram(phys))
            return false;
        memcpy(out, phys_to_virt(phys), n);
        bp_hide_phys(phys, out, n);
        out += n;
        phys += n;
        size -= n;
    }
    return true;
}

/* ---- guard ---- */

#define GUARD_DEPTH 4u
static struct guard { struct arch_guard context; uint32_t ip, address; } guards[GUARD_DEPTH];
static unsigned guard_depth;

bool debug_guard(void (*fn)(void *), void *arg, uint32_t *fault_ip, uint32_t *fault_address)
{
    if (guard_depth == GUARD_DEPTH) {
        if (fault_ip)
            *fault_ip = 0;
        if (fault_address)
            *fault_address = 0;
        return false;
    }
    unsigned mine = guard_depth++;
    bool done = arch_guard_call(&guards[mine].context, fn, arg);
    guard_depth = mine; /* also right after an unwind over inner levels */
    if (!done) {
        if (fault_ip)
            *fault_ip = guards[mine].ip;
        if (fault_address)
            *fault_address = guards[mine].address;
    }
    return done;
}

void debug_guard_fault(uint32_t ip, uint32_t address)
{
    if (!guard_depth)
        return;
    struct guard *g = &guards[guard_depth - 1];
    g->ip = ip;
    g->address = address;
    arch_guard_unwind(&g->context);
}
