// SPDX-License-Identifier: MIT
/*
 * The memory and string functions that the compiler may call in a freestanding kernel.  The loops go by
 * words where both ends are aligned: page clearing and message copies are the large ones.  A machine
 * that knows better ways has its own memcpy and memset, which take the place of the weak ones.
 */
#include "kernel/lib/string.h"

/* Accesses an object of any type by words. */
typedef uint32_t __attribute__((may_alias)) any_word;

static bool both_aligned(const void *a, const void *b)
{
    return (((uintptr_t)a | (uintptr_t)b) & (sizeof(any_word) - 1u)) == 0;
}

__attribute__((weak)) void *memcpy(void *to, const void *from, size_t size)
{
    uint8_t *d = to;
    const uint8_t *s = from;

    if (both_aligned(d, s)) {
        any_word *dw = to;
        const any_word *sw = from;
        for (; size >= sizeof *dw; size -= sizeof *dw)
            *dw++ = *sw++;
        d = (uint8_t *)dw;
        s = (const uint8_t *)sw;
    }
    while (size--)
        *d++ = *s++;
    return to;
}

void *memmove(void *to, const void *from, size_t size)
{
    uint8_t *d = to;
    const uint8_t *s = from;

    if ((uintptr_t)d - (uintptr_t)s >= size)
        return memcpy(to, from, size); /* going up never overtakes the source */
    while (size--)
        d[size] = s[size];
    return to;
}

__attribute__((weak)) void *memset(void *to, int byte, size_t size)
{
    uint8_t *d = to;

    if (both_aligned(d, d)) {
        any_word *dw = to;
        uint32_t word = (uint8_t)byte * 0x01010101u;
        for (; size >= sizeof *dw; size -= sizeof *dw)
            *dw++ = word;
        d = (uint8_t *)dw;
    }
    while (size--)
        *d++ = (uint8_t)byte;
    return to;
}

int memcmp(const void *a, const void *b, size_t size)
{
    const uint8_t *x = a, *y = b;

    for (; size; size--, x++, y++)
        if (*x != *y)
            return *x < *y ? -1 : 1;
    return 0;
}

size_t strlen(const char *s)
{
    size_t n = 0;

    while (s[n])
        n++;
    return n;
}

int strncmp(const char *a, const char *b, size_t size)
{
    for (; size; size--, a++, b++) {
        if (*a != *b)
            return (uint8_t)*a < (uint8_t)*b ? -1 : 1;
        if (!*a)
            break;
    }
    return 0;
}

int strcmp(const char *a, const char *b)
{
    while (*a && *a == *b) {
        a++;
        b++;
    }
    return *a == *b ? 0 : (uint8_t)*a < (uint8_t)*b ? -1 : 1;
}

char *strchr(const char *s, int c)
{
    for (;; s++) {
        if (*s == (char)c)
            return (char *)(uintptr_t)s; /* the standard's own hole in const */
        if (!*s)
            return NULL;
    }
}
