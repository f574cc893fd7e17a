// SPDX-License-Identifier: MIT
/* Words of the trade: sizes, attributes, rounding.  No state. */
#ifndef KERNEL_LIB_TYPES_H
#define KERNEL_LIB_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MUST_CHECK __attribute__((warn_unused_result))
#define NORETURN   __attribute__((noreturn))
#define PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define ALWAYS_INLINE static inline __attribute__((always_inline))
/* Rarely called: it shall not take registers from the loop around it. */
#define NOINLINE static __attribute__((noinline))
/* A register more for a straight line; a stack walk that starts inside skips one frame. */
#if defined(__GNUC__) && !defined(__clang__)
#define NO_FRAME_POINTER __attribute__((optimize("omit-frame-pointer")))
#else
#define NO_FRAME_POINTER
#endif
#define LIKELY(x)   __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)
#define STATIC_ASSERT(what) _Static_assert(what, #what)
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define CONTAINER_OF(pointer, type, member) \
    ((type *)(void *)((char *)(pointer) - offsetof(type, member)))

#define PAGE_SHIFT 12u
#define PAGE_SIZE  4096u
#define SUPER_SHIFT 22u
#define SUPER_SIZE  (1u << SUPER_SHIFT)

typedef uint32_t paddr_t; /* physical address */

ALWAYS_INLINE uint32_t round_down(uint32_t x, uint32_t unit) { return x & ~(unit - 1u); }
ALWAYS_INLINE uint32_t round_up(uint32_t x, uint32_t unit) { return (x + unit - 1u) & ~(unit - 1u); }
ALWAYS_INLINE uint32_t min_u32(uint32_t a, uint32_t b) { return a < b ? a : b; }
ALWAYS_INLINE uint32_t max_u32(uint32_t a, uint32_t b) { return a > b ? a : b; }
ALWAYS_INLINE int32_t min_i32(int32_t a, int32_t b) { return a < b ? a : b; }
ALWAYS_INLINE int32_t max_i32(int32_t a, int32_t b) { return a > b ? a : b; }

#endif
