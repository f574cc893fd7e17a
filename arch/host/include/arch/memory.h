// SPDX-License-Identifier: MIT
/* Physical memory of the host build: one mapping in the test process. */
#ifndef ARCH_MEMORY_H
#define ARCH_MEMORY_H

#include "kernel/lib/types.h"

#define KERNEL_BASE     0xc0000000u
#define PHYS_DIRECT_MAX 0x38000000u

extern char *host_memory;

ALWAYS_INLINE void *phys_to_virt(paddr_t phys) { return host_memory + phys; }
ALWAYS_INLINE paddr_t virt_to_phys(const void *p) { return (paddr_t)((const char *)p - host_memory); }

#endif
