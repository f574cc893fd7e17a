// SPDX-License-Identifier: MIT
/*
 * The FPU registers of a thread as GDB sees them, from the image that the thread keeps: FXSAVE where the
 * kernel switched CR4.OSFXSR on, FSAVE elsewhere.  st0 is the top of the stack in both images, as in GDB.
 */
#include <arch/cpu.h>
#include <arch/debug.h>
#include "arch/ia32/arch.h"
#include "kernel/lib/string.h"
#include "kernel/thread.h"

#define AT_CONTROL 80u  /* offsets in GDB's order */
#define AT_XMM     112u
#define AT_MXCSR   240u

static bool have_fxsr(void)
{
    uint32_t cr[4];
    arch_debug_system(cr);
    return (cr[3] & CR4_OSFXSR) != 0;
}

static uint32_t get(const uint8_t *p, unsigned bytes)
{
    uint32_t value = 0;
    memcpy(&value, p, bytes);
    return value;
}

static void put32(uint8_t *p, uint32_t value) { memcpy(p, &value, 4); }

/*
 * FXSAVE keeps one bit per physical register: empty or not.  The full tag word also says zero (01) and
 * special (10); both follow from the contents.
 */
static uint32_t tag_expand(const uint8_t *image)
{
    uint32_t top = get(image + 2, 2) >> 11 & 7u, tags = 0;
    for (unsigned physical = 0; physical < 8; physical++) {
        uint32_t tag = 3;
        if (image[4] & 1u << physical) {
            const uint8_t *st = image + 32 + 16 * ((physical - top) & 7u);
            uint32_t low = get(st, 4), high = get(st + 4, 4), exponent = get(st + 8, 2) & 0x7fffu;
            if (exponent == 0x7fffu)
                tag = 2;
            else if (exponent == 0)
                tag = low || high ? 2 : 1;
            else
                tag = high & 0x80000000u ? 0 : 2;
        }
        tags |= tag << (2 * physical);
    }
    return tags;
}

static uint8_t tag_shrink(uint32_t tags)
{
    uint8_t bits = 0;
    for (unsigned physical = 0; physical < 8; physical++)
        if ((tags >> (2 * physical) & 3u) != 3)
            bits |= (uint8_t)(1u << physical);
    return bits;
}

void arch_debug_fpu_get(struct thread *t, uint8_t image[ARCH_FPU_IMAGE])
{
    memset(image, 0, ARCH_FPU_IMAGE);
    uint8_t *control = image + AT_CONTROL;
    if (!t || !t->fpu_used) {
        put32(control, 0x37f);
        put32(control + 8, 0xffff);
        put32(image + AT_MXCSR, 0x1f80);
        return;
    }
    arch_fpu_release(t);
    const uint8_t *f = t->fpu;
    if (have_fxsr()) {
        for (unsigned i = 0; i < 8; i++)
            memcpy(image + 10 * i, f + 32 + 16 * i, 10);
        put32(control, get(f, 2));
        put32(control + 4, get(f + 2, 2));
        put32(control + 8, tag_expand(f));
        put32(control + 12, get(f + 12, 2));
        put32(control + 16, get(f + 8, 4));
        put32(control + 20, get(f + 20, 2));
        put32(control + 24, get(f + 16, 4));
        put32(control + 28, get(f + 6, 2) & 0x7ffu);
        memcpy(image + AT_XMM, f + 160, 128);
        put32(image + AT_MXCSR, get(f + 24, 4));
    } else {
        for (unsigned i = 0; i < 8; i++)
            memcpy(image + 10 * i, f + 28 + 10 * i, 10);
        put32(control, get(f, 2));
        put32(control + 4, get(f + 4, 2));
        put32(control + 8, get(f + 8, 2));
        put32(control + 12, get(f + 16, 2));
        put32(control + 16, get(f + 12, 4));
        put32(control + 20, get(f + 24, 2));
        put32(control + 24, get(f + 20, 4));
        put32(control + 28, get(f + 18, 2) & 0x7ffu);
        put32(image + AT_MXCSR, 0x1f80);
    }
}

void arch_debug_fpu_set(struct thread *t, const uint8_t image[ARCH_FPU_IMAGE])
{
    if (!t)
        return;
    if (!t->fpu_used) {
        uint8_t same[ARCH_FPU_IMAGE];
        arch_debug_fpu_get(t, same);
        if (memcmp(same, image, ARCH_FPU_IMAGE) == 0)
            return; /* GDB writes all registers back: no reason to give the thread an FPU state */
        fpu_clear(t);
        t->fpu_used = true;
    }
    arch_fpu_release(t);
    uint8_t *f = t->fpu;
    const uint8_t *control = image + AT_CONTROL;
    if (have_fxsr()) {
        for (unsigned i = 0; i < 8; i++)
            memcpy(f + 32 + 16 * i, image + 10 * i, 10);
        memcpy(f, control, 2);
        memcpy(f + 2, control + 4, 2);
        f[4] = tag_shrink(get(control + 8, 2));
        memcpy(f + 12, control + 12, 2);
        memcpy(f + 8, control + 16, 4);
        memcpy(f + 20, control + 20, 2);
        memcpy(f + 16, control + 24, 4);
        memcpy(f + 6, control + 28, 2);
        memcpy(f + 160, image + AT_XMM, 128);
        put32(f + 24, get(image + AT_MXCSR, 4) & 0xffbfu); /* a reserved bit would fault at FXRSTOR */
    } else {
        for (unsigned i = 0; i < 8; i++)
            memcpy(f + 28 + 10 * i, image + 10 * i, 10);
        memcpy(f, control, 2);
        memcpy(f + 4, control + 4, 2);
        memcpy(f + 8, control + 8, 2);
        memcpy(f + 12, control + 16, 4);
        memcpy(f + 16, control + 12, 2);
        memcpy(f + 20, control + 24, 4);
        memcpy(f + 24, control + 20, 2);
    }
}
