// SPDX-License-Identifier: MIT
/*
 * stat hash: a digest of the kernel's state, to see that nothing has changed.
 *
 * Hashed is what the kernel works with: its data, the frame table, and every frame of a kernel page.  Left out are
 * the debugger's own data (kernel.ld puts them together), the trace and the log, stacks, and user memory.  Two
 * equal digests at one stop of the machine mean that nothing in between has touched the kernel.
 */
#include "kdb/engine.h"

#include <arch/paging.h>
#include "kernel/boot.h"
#include "kernel/cpu.h"
#include "kernel/debug/debug.h"
#include "kernel/kpage.h"

extern char kernel_data[], kernel_data_end[], kernel_tables[], kernel_bss[], kernel_bss_end[]; /* kernel.ld */

KDB_SCHEMA(hash_schema, "stat.hash",
    { "part", K_TEXT, 12, 0, "kernel data, frame table, memory roots, kernel pages; all: the four" },
    { "bytes", K_NUM, 9, 0, "size" },
    { "hash", K_HEX, 18, COL_VOLATILE, "FNV-1a over its words" });

#define FNV_START 0xcbf29ce484222325ull
#define FNV_PRIME 0x100000001b3ull

struct digest { uint64_t hash; uint32_t bytes; };

/* The processor sets these in page tables by itself. */
#define BY_HARDWARE (PTE_ACCESSED | PTE_DIRTY)

static void add(struct kdb *k, struct digest *d, const void *from, uint32_t size, uint32_t but)
{
    const uint32_t *word = from;

    for (uint32_t i = 0; i < size / 4u; i++) {
        if ((i & 1023u) == 0 && !kdb_tick(k))
            return;
        d->hash = (d->hash ^ (word[i] & ~but)) * FNV_PRIME;
    }
    d->bytes += size;
}

static bool part_row(struct kdb *k, const char *name, const struct digest *d, struct digest *all)
{
    all->hash = (all->hash ^ d->hash) * FNV_PRIME;
    all->bytes += d->bytes;
    kdb_row(k);
    kdb_put_text(k, name);
    kdb_put_num(k, d->bytes);
    kdb_put_num(k, d->hash);
    return kdb_row_end(k);
}

KDB_CMD(stat_hash, .noun = "stat", .verb = "hash", .usage = "", .schema = &hash_schema,
        .summary = "digest of the kernel's state without the debugger's, to compare before and after",
        .example = "stat hash")
{
    struct digest all = { FNV_START, 0 }, d = all, none = all;
    bool general = boot_cpu.general_ipc;

    boot_cpu.general_ipc = false; /* follows from the trace's mask, which is the debugger's */
    add(k, &d, kernel_data, (uint32_t)(kernel_data_end - kernel_data), 0);
    add(k, &d, kernel_tables, (uint32_t)(kernel_bss - kernel_tables), BY_HARDWARE);
    add(k, &d, kernel_bss, (uint32_t)(kernel_bss_end - kernel_bss), 0);
    boot_cpu.general_ipc = general;
    if (part_row(k, "kernel data", &d, &all))
        return KDB_OK;
    d = none;
    add(k, &d, frame_table, frame_count * (uint32_t)sizeof(*frame_table), 0);
    if (part_row(k, "frame table", &d, &all))
        return KDB_OK;
    d = none;
    add(k, &d, boot_mem_roots, boot_mem_root_count * (uint32_t)sizeof(*boot_mem_roots), 0);
    if (part_row(k, "memory roots", &d, &all))
        return KDB_OK;
    d = none;
    for (uint32_t f = 0; f < frame_count && !k->stop; f++)
        if (frame_table[f].kp > FRAME_DEVICE) {
            uint32_t use = frame_table[f].use & 15u;

            add(k, &d, phys_to_virt(f << PAGE_SHIFT), PAGE_SIZE,
                use == FRAME_PAGEDIR || use == FRAME_PAGETABLE ? BY_HARDWARE : 0);
        }
    if (!part_row(k, "kernel pages", &d, &all))
        part_row(k, "all", &all, &none);
    return KDB_OK;
}
