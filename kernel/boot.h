// SPDX-License-Identifier: MIT
/*
 * From a memory map and modules to sigma0's first instruction.  [M 2.7.2] [G32]
 */
#ifndef KERNEL_BOOT_H
#define KERNEL_BOOT_H

#include "kernel/abi/l4sec/abi.h"
#include "kernel/lib/types.h"

struct boot_range { uint64_t start, end; uint32_t type; }; /* L4_MEM_RAM or _DEVICE; any order, may overlap */
struct boot_module { paddr_t start, end; const char *string; };

struct boot_desc {
    const struct boot_range *ranges;
    unsigned range_count;
    const struct boot_module *modules;
    unsigned module_count;
    const char *options;         /* kernel command line */
    paddr_t kernel_start, kernel_end;
    uint32_t kernel_irqs;        /* lines the kernel keeps */
    bool superpages;             /* the CPU has 4 MB pages */
    uint16_t kernel_ports[8][2]; /* first, last of port ranges the kernel keeps; 0,0 ends */
};

/*
 * Build everything.  On a hopeless configuration: boot_fail() with a message that says what to do.
 * Afterwards kernel_exit() starts sigma0.  Boot memory comes from the top of the directly mapped RAM.
 */
void boot_kernel(const struct boot_desc *desc);
void boot_fail(const char *format, ...) NORETURN PRINTF(1, 2);

/* Options may be asked for before boot_kernel() once this has copied the line; boot_kernel() repeats it. */
void boot_set_options(const char *line);
/* The value of boot option `name` ("debug" in "debug=ro"), "" if given bare, NULL if absent. */
const char *boot_option(const char *name, char *buffer, unsigned size);

#define BOOT_MODULES_MAX 64u
/* Module n as the boot loader left it, for the debugger; false: there is none. */
bool boot_module_get(unsigned n, paddr_t *start, paddr_t *end, const char **string);

extern struct node boot_io_root;           /* root of all IO ports */
extern struct node *boot_mem_roots;        /* one per 4 MB block of physical memory: index phys >> 22 */
extern uint32_t boot_mem_root_count;
extern struct kpage *boot_kpage;           /* holds the boot objects; has no name anywhere */
extern struct task *sigma0_task;
extern struct resv *boot_root_resv;        /* kernel-held ancestor of all reservations */

#endif
