// SPDX-License-Identifier: MIT
/*
 * The boot-time view of physical memory: the loader's ranges below a short list of claims.
 *
 * A page is RAM only if one RAM range covers it whole and no device range touches it, so ranges may
 * come in any order, overlap and end anywhere.  Claims are page-rounded and disjoint.  [G32]
 */
#include "kernel/boot_mem.h"

#include <arch/memory.h>

#define CLAIMS_MAX  160u
#define ISA_START   0x000a0000u
#define ISA_END     0x00100000u
#define LOWEST_TAKE 0x00100000u /* firmware and later processors live below */

struct claim {
    paddr_t start, end;
    enum boot_kind kind;
    const char *what;
};

static const struct boot_desc *boot;
static struct claim claims[CLAIMS_MAX];
static unsigned claim_count;

static uint32_t clamp(uint64_t address)
{
    return address < L4_USER_TOP ? (uint32_t)address : L4_USER_TOP;
}

/* The pages of a range: RAM shrinks to whole pages, a device grows to them. */
static void range_pages(const struct boot_range *r, paddr_t *start, paddr_t *end)
{
    uint32_t first = clamp(r->start), last = clamp(r->end);

    if (r->end <= r->start) {
        *start = *end = 0;
    } else if (r->type == L4_MEM_RAM) {
        *start = round_up(first, PAGE_SIZE);
        *end = round_down(last, PAGE_SIZE);
    } else {
        *start = round_down(first, PAGE_SIZE);
        *end = round_up(last, PAGE_SIZE);
    }
}

void boot_mem_init(const struct boot_desc *desc)
{
    boot = desc;
    claim_count = 0;
}

const char *boot_mem_claimed(paddr_t start, paddr_t end)
{
    unsigned i;

    for (i = 0; i < claim_count; i++)
        if (start < claims[i].end && claims[i].start < end)
            return claims[i].what;
    return NULL;
}

static void add_claim(paddr_t start, paddr_t end, enum boot_kind kind, const char *what)
{
    if (start == end)
        return;
    if (claim_count == CLAIMS_MAX)
        boot_fail("too many modules and memory ranges (at most %u): load fewer modules", CLAIMS_MAX);
    claims[claim_count++] = (struct claim){ start, end, kind, what };
}

void boot_mem_claim(paddr_t start, paddr_t end, enum boot_kind kind, const char *what)
{
    const char *other = boot_mem_claimed(start, end);

    if (end < start)
        boot_fail("%s ends before it starts (0x%x..0x%x)", what, start, end);
    if (other)
        boot_fail("%s (0x%x..0x%x) overlaps %s: load or link it elsewhere", what, start, end, other);
    add_claim(start, end, kind, what);
}

/* The next change behind `at`: *end moves down to it. */
static void bound(paddr_t at, paddr_t boundary, paddr_t *end)
{
    if (boundary > at && boundary < *end)
        *end = boundary;
}

/* RAM or not, claims aside. */
static bool page_is_ram(paddr_t at, paddr_t *end)
{
    bool ram = false, device = at >= ISA_START && at < ISA_END;
    unsigned i;

    bound(at, ISA_START, end);
    bound(at, ISA_END, end);
    for (i = 0; i < boot->range_count; i++) {
        paddr_t first, last;

        range_pages(&boot->ranges[i], &first, &last);
        if (first >= last)
            continue;
        bound(at, first, end);
        bound(at, last, end);
        if (at >= first && at < last) {
            if (boot->ranges[i].type == L4_MEM_RAM)
                ram = true;
            else
                device = true;
        }
    }
    return ram && !device;
}

enum boot_kind boot_mem_kind(paddr_t at, paddr_t *end)
{
    bool ram;
    unsigned i;

    *end = L4_USER_TOP;
    bound(at, PHYS_DIRECT_MAX, end);
    ram = page_is_ram(at, end);
    for (i = 0; i < claim_count; i++) {
        paddr_t first = round_down(claims[i].start, PAGE_SIZE), last = round_up(claims[i].end, PAGE_SIZE);

        if (claims[i].kind == BOOT_RAM)
            continue;
        if (at >= first && at < last) {
            *end = min_u32(*end, last);
            return claims[i].kind;
        }
        bound(at, first, end);
    }
    if (ram)
        return BOOT_RAM;
    return at >= ISA_START && at < ISA_END ? BOOT_DEVICE : BOOT_HOLE;
}

bool boot_mem_is_ram(paddr_t start, paddr_t end)
{
    paddr_t at = round_down(start, PAGE_SIZE);

    if (end > L4_USER_TOP)
        return false;
    while (at < end) {
        paddr_t next = L4_USER_TOP;

        if (!page_is_ram(at, &next))
            return false;
        at = next;
    }
    return true;
}

paddr_t boot_mem_top(paddr_t limit)
{
    paddr_t at = 0, top = 0;

    while (at < limit) {
        paddr_t end = limit;

        if (page_is_ram(at, &end))
            top = end;
        at = end;
    }
    return top;
}

/* The free piece that ends highest and has `pages` pages; if there is none, the longest one. */
static bool find_piece(unsigned pages, paddr_t *start, paddr_t *end)
{
    paddr_t at = LOWEST_TAKE, piece = 0, limit = PHYS_DIRECT_MAX;
    bool found = false, fits = false;

    *start = *end = 0;
    while (at < limit) {
        paddr_t next = limit;
        bool usable = page_is_ram(at, &next);
        unsigned i;

        for (i = 0; i < claim_count; i++) {
            paddr_t first = round_down(claims[i].start, PAGE_SIZE), last = round_up(claims[i].end, PAGE_SIZE);

            bound(at, first, &next);
            bound(at, last, &next);
            if (at >= first && at < last)
                usable = false;
        }
        if (!usable) {
            piece = 0;
        } else {
            paddr_t length;

            if (!piece)
                piece = at;
            length = next - piece;
            if (length >= pages * PAGE_SIZE)
                fits = true;
            if (length >= pages * PAGE_SIZE || (!fits && length >= *end - *start)) {
                *start = piece;
                *end = next;
                found = true;
            }
        }
        at = next;
    }
    return found;
}

paddr_t boot_mem_take_some(unsigned pages, enum boot_kind kind, const char *what, unsigned *got)
{
    paddr_t start, end;

    if (!find_piece(pages, &start, &end))
        boot_fail("not enough memory: no free RAM between 1 MB and 896 MB for %s; "
                  "give the machine more memory (QEMU: -m 64M)", what);
    *got = min_u32(pages, (end - start) >> PAGE_SHIFT);
    start = end - (*got << PAGE_SHIFT);
    add_claim(start, end, kind, what);
    return start;
}

paddr_t boot_mem_take(unsigned pages, enum boot_kind kind, const char *what)
{
    unsigned got;
    paddr_t start = boot_mem_take_some(pages, kind, what, &got);

    if (got != pages)
        boot_fail("not enough memory: %s needs %u KB in one piece below 896 MB; "
                  "give the machine more memory (QEMU: -m 64M)", what, pages * 4u);
    return start;
}

uint32_t boot_mem_dropped(void)
{
    uint64_t bytes = 0;
    unsigned i;

    for (i = 0; i < boot->range_count; i++) {
        const struct boot_range *r = &boot->ranges[i];

        if (r->type == L4_MEM_RAM && r->end > r->start && r->end > L4_USER_TOP)
            bytes += r->end - (r->start > L4_USER_TOP ? r->start : L4_USER_TOP);
    }
    return (uint32_t)(bytes >> 20);
}
