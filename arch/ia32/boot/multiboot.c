// SPDX-License-Identifier: MIT
/*
 * What the loader tells: copied out of its structures, wherever they lie, into static arrays, so that
 * nothing but the modules themselves has to be kept.  Multiboot specification 0.6.96.
 */
#include "arch/ia32/arch.h"
#include "kernel/boot.h"
#include "kernel/lib/string.h"

#define LOADER_MAGIC 0x2badb002u

#define INFO_MEMORY  0x01u
#define INFO_CMDLINE 0x04u
#define INFO_MODULES 0x08u
#define INFO_MMAP    0x40u

struct mb_info {
    uint32_t flags, mem_lower, mem_upper, boot_device, cmdline, module_count, modules;
    uint32_t symbols[4];
    uint32_t mmap_length, mmap;
};
struct mb_module { uint32_t start, end, string, reserved; };
struct mb_mmap { uint32_t size; uint32_t base_low, base_high, length_low, length_high, type; };

#define MMAP_RAM 1u
#define MMAP_BAD 5u

#define ISA_HOLE_START 0xa0000u
#define ISA_HOLE_END   0x100000u
#define RANGES_MAX     64u
#define MODULES_MAX    32u
#define OPTIONS_MAX    1024u
#define STRINGS_MAX    4096u

static struct boot_range ranges[RANGES_MAX];
static struct boot_module modules[MODULES_MAX];
static char options[OPTIONS_MAX], strings[STRINGS_MAX];

/* Cut off at size - 1 characters; returns the size used with the NUL. */
static unsigned copy_string(char *to, unsigned size, paddr_t from)
{
    unsigned n = 0;

    for (; n + 1 < size; n++) {
        paging_boot_read(to + n, from + n, 1);
        if (!to[n])
            return n + 1;
    }
    to[n] = '\0';
    return n + 1;
}

static void add_range(struct boot_desc *desc, uint64_t start, uint64_t end, uint32_t type)
{
    if (start >= end)
        return;
    if (desc->range_count == RANGES_MAX)
        boot_fail("the memory map has more than %u entries", RANGES_MAX);
    ranges[desc->range_count++] = (struct boot_range){ start, end, type };
}

static void parse_memory(struct boot_desc *desc, const struct mb_info *info)
{
    if (info->flags & INFO_MMAP) {
        for (uint32_t at = 0; at + sizeof(struct mb_mmap) <= info->mmap_length;) {
            struct mb_mmap entry;
            paging_boot_read(&entry, info->mmap + at, sizeof entry);
            uint64_t start = (uint64_t)entry.base_high << 32 | entry.base_low;
            uint64_t length = (uint64_t)entry.length_high << 32 | entry.length_low;
            if (entry.type != MMAP_BAD)
                add_range(desc, start, start + length,
                          entry.type == MMAP_RAM ? L4_MEM_RAM : L4_MEM_DEVICE);
            if (entry.size > info->mmap_length)
                break;
            at += entry.size + sizeof entry.size;
        }
    } else if (info->flags & INFO_MEMORY) {
        add_range(desc, 0, (uint64_t)info->mem_lower << 10, L4_MEM_RAM);
        add_range(desc, ISA_HOLE_END, ISA_HOLE_END + ((uint64_t)info->mem_upper << 10), L4_MEM_RAM);
    } else {
        boot_fail("the loader gives no memory map; use a Multiboot 1 loader such as GRUB");
    }
    add_range(desc, ISA_HOLE_START, ISA_HOLE_END, L4_MEM_DEVICE);
}

static void parse_modules(struct boot_desc *desc, const struct mb_info *info)
{
    unsigned used = 0;

    if (!(info->flags & INFO_MODULES))
        return;
    if (info->module_count > MODULES_MAX)
        boot_fail("%u modules; at most %u can be loaded", (unsigned)info->module_count, MODULES_MAX);
    for (unsigned i = 0; i < info->module_count; i++) {
        struct mb_module module;
        paging_boot_read(&module, info->modules + i * (uint32_t)sizeof module, sizeof module);
        if (module.end < module.start)
            boot_fail("module %u ends before it begins", i);
        modules[i] = (struct boot_module){ module.start, module.end, "" };
        if (module.string && used < STRINGS_MAX) {
            modules[i].string = strings + used;
            used += copy_string(strings + used, STRINGS_MAX - used, module.string);
        }
    }
    desc->module_count = info->module_count;
}

void multiboot_parse(struct boot_desc *desc, uint32_t magic, paddr_t info_at, uint32_t *ram_limit)
{
    struct mb_info info;

    desc->ranges = ranges;
    desc->modules = modules;
    desc->options = options;
    if (magic != LOADER_MAGIC)
        boot_fail("not started by a Multiboot 1 loader (EAX is %08x)", (unsigned)magic);
    paging_boot_read(&info, info_at, sizeof info);
    if (info.flags & INFO_CMDLINE)
        copy_string(options, OPTIONS_MAX, info.cmdline);
    boot_set_options(options); /* a failure below obeys `exit` */
    parse_memory(desc, &info);
    parse_modules(desc, &info);

    *ram_limit = 0;
    for (unsigned i = 0; i < desc->range_count; i++)
        if (ranges[i].type == L4_MEM_RAM && ranges[i].start < PHYS_DIRECT_MAX)
            *ram_limit = max_u32(*ram_limit, ranges[i].end > PHYS_DIRECT_MAX
                                 ? PHYS_DIRECT_MAX : round_down((uint32_t)ranges[i].end, PAGE_SIZE));
}

/* If [start, end) meets something that must stay: the start of that; else `end`. */
static paddr_t obstacle(const struct boot_desc *desc, paddr_t start, paddr_t end)
{
    if (start < desc->kernel_end && desc->kernel_start < end)
        return desc->kernel_start;
    for (unsigned i = 0; i < desc->module_count; i++)
        if (start < modules[i].end && modules[i].start < end)
            return modules[i].start;
    for (unsigned i = 0; i < desc->range_count; i++)
        if (ranges[i].type != L4_MEM_RAM && start < ranges[i].end && ranges[i].start < end)
            return (paddr_t)ranges[i].start;
    return end;
}

/* Every RAM range loses [start, end); what is left above becomes a range of its own. */
static void cut_ranges(struct boot_desc *desc, paddr_t start, paddr_t end)
{
    for (unsigned i = 0; i < desc->range_count; i++) {
        if (ranges[i].type != L4_MEM_RAM || ranges[i].start >= end || ranges[i].end <= start)
            continue;
        add_range(desc, end, ranges[i].end, L4_MEM_RAM);
        ranges[i].end = start > ranges[i].start ? start : ranges[i].start;
    }
}

paddr_t multiboot_take_frames(struct boot_desc *desc, unsigned count, uint32_t limit)
{
    uint32_t size = count * PAGE_SIZE;
    paddr_t best = 0;

    for (unsigned i = 0; i < desc->range_count; i++) {
        if (ranges[i].type != L4_MEM_RAM || ranges[i].start >= limit)
            continue;
        paddr_t top = ranges[i].end < limit ? (paddr_t)ranges[i].end : limit;
        paddr_t bottom = max_u32((paddr_t)ranges[i].start, ISA_HOLE_END);
        top = round_down(top, PAGE_SIZE);
        while (top > bottom && top - bottom >= size) {
            paddr_t stop = obstacle(desc, top - size, top);
            if (stop == top) {
                best = max_u32(best, top - size);
                break;
            }
            top = round_down(stop, PAGE_SIZE);
        }
    }
    if (!best)
        boot_fail("no room for %u page tables of the kernel", count);
    cut_ranges(desc, best, best + size);
    return best;
}
