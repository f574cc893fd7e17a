// SPDX-License-Identifier: MIT
/*
 * Registers and memory of the target.  The register block has one fixed layout, told to GDB in the target
 * description: 16 core registers, x87, SSE, and the control registers.  What goes into a user frame
 * is cleaned: no write by GDB can make the kernel return to user mode with other selectors or flags.
 */
#include <arch/debug.h>
#include <arch/frame.h>
#include "gdbstub/stub.h"
#include "kernel/lib/string.h"

#define CORE_COUNT 16u
#define CORE_BYTES (4u * CORE_COUNT)
#define CR_AT      (CORE_BYTES + ARCH_FPU_IMAGE)
#define IMAGE_BYTES (CR_AT + 16u)
#define NUMBER_FPU 16u
#define NUMBER_CR  41u
#define NUMBER_END 45u

static uint8_t image[IMAGE_BYTES];

/* Made by hand rather than included: one round trip less. */
static const char *const features[] = {
    "<?xml version=\"1.0\"?>\n<!DOCTYPE target SYSTEM \"gdb-target.dtd\">\n<target version=\"1.0\">\n"
    "<architecture>i386</architecture>\n<feature name=\"org.gnu.gdb.i386.core\">\n"
    "<flags id=\"i386_eflags\" size=\"4\">"
    "<field name=\"CF\" start=\"0\" end=\"0\"/><field name=\"\" start=\"1\" end=\"1\"/>"
    "<field name=\"PF\" start=\"2\" end=\"2\"/><field name=\"AF\" start=\"4\" end=\"4\"/>"
    "<field name=\"ZF\" start=\"6\" end=\"6\"/><field name=\"SF\" start=\"7\" end=\"7\"/>"
    "<field name=\"TF\" start=\"8\" end=\"8\"/><field name=\"IF\" start=\"9\" end=\"9\"/>"
    "<field name=\"DF\" start=\"10\" end=\"10\"/><field name=\"OF\" start=\"11\" end=\"11\"/>"
    "<field name=\"NT\" start=\"14\" end=\"14\"/><field name=\"RF\" start=\"16\" end=\"16\"/>"
    "<field name=\"VM\" start=\"17\" end=\"17\"/><field name=\"AC\" start=\"18\" end=\"18\"/>"
    "<field name=\"VIF\" start=\"19\" end=\"19\"/><field name=\"VIP\" start=\"20\" end=\"20\"/>"
    "<field name=\"ID\" start=\"21\" end=\"21\"/></flags>\n",
    "<reg name=\"eax\" bitsize=\"32\" type=\"int32\" regnum=\"0\"/><reg name=\"ecx\" bitsize=\"32\" type=\"int32\"/>"
    "<reg name=\"edx\" bitsize=\"32\" type=\"int32\"/><reg name=\"ebx\" bitsize=\"32\" type=\"int32\"/>"
    "<reg name=\"esp\" bitsize=\"32\" type=\"data_ptr\"/><reg name=\"ebp\" bitsize=\"32\" type=\"data_ptr\"/>"
    "<reg name=\"esi\" bitsize=\"32\" type=\"int32\"/><reg name=\"edi\" bitsize=\"32\" type=\"int32\"/>"
    "<reg name=\"eip\" bitsize=\"32\" type=\"code_ptr\"/><reg name=\"eflags\" bitsize=\"32\" type=\"i386_eflags\"/>"
    "<reg name=\"cs\" bitsize=\"32\" type=\"int32\"/><reg name=\"ss\" bitsize=\"32\" type=\"int32\"/>"
    "<reg name=\"ds\" bitsize=\"32\" type=\"int32\"/><reg name=\"es\" bitsize=\"32\" type=\"int32\"/>"
    "<reg name=\"fs\" bitsize=\"32\" type=\"int32\"/><reg name=\"gs\" bitsize=\"32\" type=\"int32\"/>\n",
    "<reg name=\"st0\" bitsize=\"80\" type=\"i387_ext\"/><reg name=\"st1\" bitsize=\"80\" type=\"i387_ext\"/>"
    "<reg name=\"st2\" bitsize=\"80\" type=\"i387_ext\"/><reg name=\"st3\" bitsize=\"80\" type=\"i387_ext\"/>"
    "<reg name=\"st4\" bitsize=\"80\" type=\"i387_ext\"/><reg name=\"st5\" bitsize=\"80\" type=\"i387_ext\"/>"
    "<reg name=\"st6\" bitsize=\"80\" type=\"i387_ext\"/><reg name=\"st7\" bitsize=\"80\" type=\"i387_ext\"/>"
    "<reg name=\"fctrl\" bitsize=\"32\" type=\"int\" group=\"float\"/><reg name=\"fstat\" bitsize=\"32\" type=\"int\" group=\"float\"/>"
    "<reg name=\"ftag\" bitsize=\"32\" type=\"int\" group=\"float\"/><reg name=\"fiseg\" bitsize=\"32\" type=\"int\" group=\"float\"/>"
    "<reg name=\"fioff\" bitsize=\"32\" type=\"int\" group=\"float\"/><reg name=\"foseg\" bitsize=\"32\" type=\"int\" group=\"float\"/>"
    "<reg name=\"fooff\" bitsize=\"32\" type=\"int\" group=\"float\"/><reg name=\"fop\" bitsize=\"32\" type=\"int\" group=\"float\"/>\n"
    "</feature>\n",
    "<feature name=\"org.gnu.gdb.i386.sse\">\n"
    "<vector id=\"v8bf16\" type=\"bfloat16\" count=\"8\"/><vector id=\"v8h\" type=\"ieee_half\" count=\"8\"/>"
    "<vector id=\"v4f\" type=\"ieee_single\" count=\"4\"/><vector id=\"v2d\" type=\"ieee_double\" count=\"2\"/>"
    "<vector id=\"v16i8\" type=\"int8\" count=\"16\"/><vector id=\"v8i16\" type=\"int16\" count=\"8\"/>"
    "<vector id=\"v4i32\" type=\"int32\" count=\"4\"/><vector id=\"v2i64\" type=\"int64\" count=\"2\"/>"
    "<union id=\"vec128\"><field name=\"v8_bfloat16\" type=\"v8bf16\"/><field name=\"v8_half\" type=\"v8h\"/>"
    "<field name=\"v4_float\" type=\"v4f\"/><field name=\"v2_double\" type=\"v2d\"/><field name=\"v16_int8\" type=\"v16i8\"/>"
    "<field name=\"v8_int16\" type=\"v8i16\"/><field name=\"v4_int32\" type=\"v4i32\"/>"
    "<field name=\"v2_int64\" type=\"v2i64\"/><field name=\"uint128\" type=\"uint128\"/></union>\n"
    "<flags id=\"i386_mxcsr\" size=\"4\"><field name=\"IE\" start=\"0\" end=\"0\"/><field name=\"DE\" start=\"1\" end=\"1\"/>"
    "<field name=\"ZE\" start=\"2\" end=\"2\"/><field name=\"OE\" start=\"3\" end=\"3\"/><field name=\"UE\" start=\"4\" end=\"4\"/>"
    "<field name=\"PE\" start=\"5\" end=\"5\"/><field name=\"DAZ\" start=\"6\" end=\"6\"/><field name=\"IM\" start=\"7\" end=\"7\"/>"
    "<field name=\"DM\" start=\"8\" end=\"8\"/><field name=\"ZM\" start=\"9\" end=\"9\"/><field name=\"OM\" start=\"10\" end=\"10\"/>"
    "<field name=\"UM\" start=\"11\" end=\"11\"/><field name=\"PM\" start=\"12\" end=\"12\"/><field name=\"FZ\" start=\"15\" end=\"15\"/></flags>\n",
    "<reg name=\"xmm0\" bitsize=\"128\" type=\"vec128\" regnum=\"32\"/><reg name=\"xmm1\" bitsize=\"128\" type=\"vec128\"/>"
    "<reg name=\"xmm2\" bitsize=\"128\" type=\"vec128\"/><reg name=\"xmm3\" bitsize=\"128\" type=\"vec128\"/>"
    "<reg name=\"xmm4\" bitsize=\"128\" type=\"vec128\"/><reg name=\"xmm5\" bitsize=\"128\" type=\"vec128\"/>"
    "<reg name=\"xmm6\" bitsize=\"128\" type=\"vec128\"/><reg name=\"xmm7\" bitsize=\"128\" type=\"vec128\"/>"
    "<reg name=\"mxcsr\" bitsize=\"32\" type=\"i386_mxcsr\" group=\"vector\"/>\n</feature>\n",
    "<feature name=\"org.l4sec.i386.system\">\n"
    "<flags id=\"i386_cr0\" size=\"4\"><field name=\"PE\" start=\"0\" end=\"0\"/><field name=\"MP\" start=\"1\" end=\"1\"/>"
    "<field name=\"EM\" start=\"2\" end=\"2\"/><field name=\"TS\" start=\"3\" end=\"3\"/><field name=\"ET\" start=\"4\" end=\"4\"/>"
    "<field name=\"NE\" start=\"5\" end=\"5\"/><field name=\"WP\" start=\"16\" end=\"16\"/><field name=\"AM\" start=\"18\" end=\"18\"/>"
    "<field name=\"NW\" start=\"29\" end=\"29\"/><field name=\"CD\" start=\"30\" end=\"30\"/><field name=\"PG\" start=\"31\" end=\"31\"/></flags>\n"
    "<reg name=\"cr0\" bitsize=\"32\" type=\"i386_cr0\" regnum=\"41\" group=\"system\"/><reg name=\"cr2\" bitsize=\"32\" type=\"data_ptr\" group=\"system\"/>"
    "<reg name=\"cr3\" bitsize=\"32\" type=\"int32\" group=\"system\"/><reg name=\"cr4\" bitsize=\"32\" type=\"int32\" group=\"system\"/>\n"
    "</feature>\n</target>\n",
};

void target_reply_features(uint32_t offset, uint32_t length)
{
    struct window v;
    window_begin(&v, offset, length);
    for (unsigned i = 0; i < ARRAY_SIZE(features); i++)
        window_text(&v, features[i]);
    window_end(&v);
}

/* ---- registers ---- */

static void registers_get(uint32_t id, struct debug_regs *regs)
{
    const struct thread *t;
    if (id == stub.context)
        *regs = *stub.stop->regs;
    else if ((t = thread_of(id)) != NULL)
        debug_frame_get(t, regs);
    else
        memset(regs, 0, sizeof(*regs));
}

static void registers_set(uint32_t id, const struct debug_regs *regs)
{
    struct thread *t;
    if (id != stub.context) {
        if ((t = thread_of(id)) != NULL)
            debug_frame_set(t, regs);
        return;
    }
    struct debug_regs *to = stub.stop->regs;
    uint16_t cs = to->cs, ss = to->ss, ds = to->ds, es = to->es, fs = to->fs, gs = to->gs;
    uint32_t interrupts = to->eflags & EFLAGS_IF;
    *to = *regs;
    to->cs = cs; /* selectors are the kernel's business in either mode */
    to->ss = ss;
    to->ds = ds;
    to->es = es;
    to->fs = fs;
    to->gs = gs;
    to->eflags = (regs->eflags & (L4_USER_EFLAGS | EFLAGS_RF)) | interrupts | 2u;
}

static uint32_t *core_word(struct debug_regs *r, unsigned n)
{
    uint32_t *const words[10] = { &r->eax, &r->ecx, &r->edx, &r->ebx, &r->esp, &r->ebp, &r->esi, &r->edi,
                                  &r->eip, &r->eflags };
    return n < 10 ? words[n] : NULL;
}

static uint32_t core_get(struct debug_regs *r, unsigned n)
{
    const uint16_t selectors[6] = { r->cs, r->ss, r->ds, r->es, r->fs, r->gs };
    const uint32_t *word = core_word(r, n);
    return word ? *word : selectors[n - 10];
}

bool target_core_register(uint32_t id, uint32_t number, uint32_t *value)
{
    struct debug_regs regs;
    if (number >= CORE_COUNT)
        return false;
    registers_get(id, &regs);
    *value = core_get(&regs, number);
    return true;
}

static void image_get(uint32_t id)
{
    struct debug_regs regs;
    uint32_t cr[4];
    registers_get(id, &regs);
    for (unsigned n = 0; n < CORE_COUNT; n++) {
        uint32_t value = core_get(&regs, n);
        memcpy(image + 4 * n, &value, 4);
    }
    arch_debug_fpu_get(thread_of(id), image + CORE_BYTES);
    arch_debug_system(cr);
    memcpy(image + CR_AT, cr, sizeof(cr));
}

static void image_set(uint32_t id)
{
    struct debug_regs regs;
    registers_get(id, &regs);
    for (unsigned n = 0; n < 10; n++)
        memcpy(core_word(&regs, n), image + 4 * n, 4);
    registers_set(id, &regs);
    arch_debug_fpu_set(thread_of(id), image + CORE_BYTES);
}

/* Where register `number` is in the image. */
static bool place(uint32_t number, uint32_t *at, uint32_t *size)
{
    *size = 4;
    if (number < NUMBER_FPU)
        *at = 4 * number;
    else if (number < 24)
        *at = CORE_BYTES + 10 * (number - 16), *size = 10;
    else if (number < 32)
        *at = CORE_BYTES + 80 + 4 * (number - 24);
    else if (number < 40)
        *at = CORE_BYTES + 112 + 16 * (number - 32), *size = 16;
    else if (number == 40)
        *at = CORE_BYTES + 240;
    else if (number < NUMBER_END)
        *at = CR_AT + 4 * (number - NUMBER_CR);
    else
        return false;
    return true;
}

void target_reply_registers(uint32_t id)
{
    image_get(id);
    packet_begin(&stub.out);
    packet_hex_bytes(&stub.out, image, IMAGE_BYTES);
}

bool target_set_registers(uint32_t id, const uint8_t *hex, const uint8_t *end)
{
    image_get(id);
    uint32_t size = min_u32((uint32_t)(end - hex) / 2, IMAGE_BYTES);
    if (size < CORE_BYTES || !packet_parse_bytes(hex, end, image, size))
        return false;
    image_set(id);
    return true;
}

bool target_reply_register(uint32_t id, uint32_t number)
{
    uint32_t at, size;
    if (!place(number, &at, &size))
        return false;
    image_get(id);
    packet_begin(&stub.out);
    packet_hex_bytes(&stub.out, image + at, size);
    return true;
}

bool target_set_register(uint32_t id, uint32_t number, const uint8_t *hex, const uint8_t *end)
{
    uint32_t at, size;
    if (!place(number, &at, &size))
        return false;
    if (number >= NUMBER_CR) /* GDB puts all registers back after a call: taken, and without effect */
        return (uint32_t)(end - hex) == 2 * size;
    image_get(id);
    if (!packet_parse_bytes(hex, end, image + at, size))
        return false;
    image_set(id);
    return true;
}

void target_expedite(uint32_t id)
{
    static const uint8_t numbers[] = { 4, 5, 8, 9 };
    struct debug_regs regs;
    registers_get(id, &regs);
    for (unsigned i = 0; i < ARRAY_SIZE(numbers); i++) {
        packet_hex8(&stub.out, numbers[i]);
        packet_byte(&stub.out, ':');
        packet_hex_bytes(&stub.out, core_word(&regs, numbers[i]), 4);
        packet_byte(&stub.out, ';');
    }
}

/* ---- memory ---- */

unsigned target_read(uint32_t address, void *to, unsigned size)
{
    return probe_read(thread_task(stub.general), address, to, size, stub.mmio);
}

bool target_write(uint32_t address, const void *from, unsigned size)
{
    return probe_write(thread_task(stub.general), address, from, size, stub.mmio) == size;
}

static uint8_t chunk[4096];

/* GDB's CRC-32: most significant bit first, start all ones, no final inversion. */
void target_reply_crc(uint32_t address, uint32_t size)
{
    uint32_t crc = 0xffffffffu;
    while (size) {
        uint32_t n = min_u32(size, sizeof(chunk));
        if (target_read(address, chunk, n) != n) {
            rsp_error(0x0e);
            return;
        }
        for (uint32_t i = 0; i < n; i++) {
            crc ^= (uint32_t)chunk[i] << 24;
            for (unsigned bit = 0; bit < 8; bit++)
                crc = crc & 0x80000000u ? crc << 1 ^ 0x04c11db7u : crc << 1;
        }
        address += n;
        size -= n;
    }
    packet_begin(&stub.out);
    packet_byte(&stub.out, 'C');
    packet_number(&stub.out, crc);
}

void target_reply_search(uint32_t address, uint32_t size, const uint8_t *pattern, uint32_t length)
{
    if (length == 0 || length > sizeof(chunk) / 2) {
        rsp_error(0x16);
        return;
    }
    packet_begin(&stub.out);
    while (size >= length) {
        uint32_t n = min_u32(size, sizeof(chunk));
        if (target_read(address, chunk, n) != n) {
            rsp_error(0x0e);
            return;
        }
        for (uint32_t i = 0; i + length <= n; i++) {
            if (memcmp(chunk + i, pattern, length) == 0) {
                packet_text(&stub.out, "1,");
                packet_number(&stub.out, address + i);
                return;
            }
        }
        uint32_t step = n - length + 1; /* a match may begin in the tail */
        address += step;
        size -= step;
    }
    packet_byte(&stub.out, '0');
}
