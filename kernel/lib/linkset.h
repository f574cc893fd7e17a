// SPDX-License-Identifier: MIT
/*
 * Arrays that the linker assembles: each LINKSET_ADD(set, object) puts a pointer to `object` into
 * section "set_<set>"; LINKSET_FOREACH walks them.  The linker gives __start_ and __stop_ symbols.
 */
#ifndef KERNEL_LIB_LINKSET_H
#define KERNEL_LIB_LINKSET_H

#include "kernel/lib/types.h"

#define LINKSET_ADD(set, object) \
    static const void *const linkset_##set##_##object \
        __attribute__((section("set_" #set), used)) = &(object)

#define LINKSET_DECLARE(set) \
    extern const void *const __start_set_##set[] __attribute__((weak)); \
    extern const void *const __stop_set_##set[] __attribute__((weak))

#define LINKSET_COUNT(set) \
    (((uintptr_t)__stop_set_##set - (uintptr_t)__start_set_##set) / sizeof(void *))
#define LINKSET_GET(set, i) (__start_set_##set[i])

#endif
