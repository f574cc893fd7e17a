// SPDX-License-Identifier: MIT
/*
 * What each page of physical memory is for while the system starts, and where boot memory is taken.
 * Used by boot.c only.  [G32]
 */
#ifndef KERNEL_BOOT_MEM_H
#define KERNEL_BOOT_MEM_H

#include "kernel/boot.h"

enum boot_kind {
    BOOT_HOLE,    /* nothing that we know */
    BOOT_RAM,     /* sigma0's */
    BOOT_MODULE,  /* sigma0's, with a module in it */
    BOOT_DEVICE,  /* the ISA hole: sigma0's, uncached, never convertible */
    BOOT_KERNEL,  /* the kernel image and boot memory */
    BOOT_INITIAL, /* the initial kernel pages: sigma0's, converted */
};

/* Look at memory through desc from now on. */
void boot_mem_init(const struct boot_desc *desc);

/*
 * [start, end) is used by `what`; kind BOOT_RAM or _MODULE: it stays sigma0's memory, but no boot
 * memory is taken there.  Fails the boot if it overlaps an earlier claim.
 */
void boot_mem_claim(paddr_t start, paddr_t end, enum boot_kind kind, const char *what);

/* Who else claims a byte of [start, end), or NULL. */
const char *boot_mem_claimed(paddr_t start, paddr_t end);

/* Is every byte of [start, end) RAM that user code can see (below 3 GB)? */
bool boot_mem_is_ram(paddr_t start, paddr_t end);

/* The kind of the page at `at` (below L4_USER_TOP); *end is the end of a run of pages of that kind. */
enum boot_kind boot_mem_kind(paddr_t at, paddr_t *end);

/* Behind the last page of RAM below `limit`; 0 if there is none. */
paddr_t boot_mem_top(paddr_t limit);

/*
 * Take pages from the top of the directly mapped RAM above 1 MB, claimed with this kind: exactly
 * `pages` in one piece (fails the boot if there is no such piece), or up to `pages` in the best piece
 * there is; *got of them.  The first byte.  The memory is not cleared.
 */
paddr_t boot_mem_take(unsigned pages, enum boot_kind kind, const char *what);
paddr_t boot_mem_take_some(unsigned pages, enum boot_kind kind, const char *what, unsigned *got);

/* Does the map name RAM at or above 3 GB, which nobody gets?  Megabytes of it. */
uint32_t boot_mem_dropped(void);

#endif
