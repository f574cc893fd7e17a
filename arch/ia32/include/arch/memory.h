// SPDX-License-Identifier: MIT
/* Physical memory as the kernel sees it: directly mapped at 3 GB, up to 896 MB. */
#ifndef ARCH_MEMORY_H
#define ARCH_MEMORY_H

#include "kernel/lib/types.h"

#define KERNEL_BASE     0xc0000000u
#define PHYS_DIRECT_MAX 0x38000000u

ALWAYS_INLINE void *phys_to_virt(paddr_t phys) { return (void *)(uintptr_t)(phys + KERNEL_BASE); }
ALWAYS_INLINE paddr_t virt_to_phys(const void *p) { return (paddr_t)(uintptr_t)p - KERNEL_BASE; }

#endif
