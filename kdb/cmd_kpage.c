// SPDX-License-Identifier: MIT
/* kp: kernel pages, and what lies in them. */
#include "kdb/engine.h"

#include "kernel/kpage.h"
#include "kernel/lib/fmt.h"

KDB_SCHEMA(kp_schema, "kp.ls",
    { "id", K_ID, 6, 0, "object id" },
    { "name", K_NAME, 13, 0, "name, if given" },
    { "phys", K_HEX, 10, 0, "first physical address" },
    { "frames", K_NUM, 6, 0, "size in 4 KB frames" },
    { "free", K_NUM, 5, 0, "wholly free frames" },
    { "chunked", K_NUM, 7, 0, "frames with small objects" },
    { "units", K_NUM, 6, 0, "free 32-byte units in those" },
    { "tables", K_NUM, 6, 0, "frames that are a table or a directory" },
    { "converter", K_SLOT, 20, 0, "the capability that gave the memory" },
    { "state", K_TEXT, 6, 0, "live, static or dying" });

KDB_CMD(kp_ls, .noun = "kp", .verb = "ls", .usage = "[free>0] ...", .schema = &kp_schema,
        .summary = "kernel pages", .example = "kp")
{
    for (struct kobj *o = kdb_next_object(k, NULL, L4_TYPE_KPAGE); o;
         o = kdb_next_object(k, o, L4_TYPE_KPAGE)) {
        const struct kpage *kp = (const struct kpage *)(const void *)o;
        uint32_t first = kp->base >> PAGE_SHIFT, n[3] = { 0 }, units = 0;

        for (uint32_t f = first; f < first + kp->frames && f < frame_count && kdb_tick(k); f++) {
            uint32_t use = frame_table[f].use & 15u;

            n[use == FRAME_FREE ? 0 : use == FRAME_CHUNKED ? 1 : 2]++;
            if (use == FRAME_CHUNKED)
                units += frame_table[f].use >> 8 & 0xffu;
        }
        kdb_row(k);
        kdb_put_object(k, o);
        kdb_put_name(k, o->id);
        kdb_put_num(k, kp->base);
        kdb_put_num(k, kp->frames);
        kdb_put_num(k, n[0]);
        kdb_put_num(k, n[1]);
        kdb_put_num(k, units);
        kdb_put_num(k, n[2]);
        kdb_put_slot(k, kp->converter);
        kdb_put_text(k, kdb_object_state(o));
        if (kdb_row_end(k))
            break;
    }
    return KDB_OK;
}

KDB_SCHEMA(kp_show_schema, "kp.show",
    { "phys", K_HEX, 10, 0, "physical address" },
    { "size", K_NUM, 6, 0, "bytes" },
    { "what", K_TEXT, 12, 0, "object type, node, table, free" },
    { "ref", K_TEXT, 36, 0, "the object, or what the node maps and where" },
    { "owner", K_ID, 6, 0, "task it belongs to" },
    { "rights", K_TEXT, 6, 0, "of a node" });

static const char *const frame_uses[16] = {
    [FRAME_FREE] = "free",     [FRAME_PAGEDIR] = "pagedir",   [FRAME_DIRSHADOW] = "dirshadow",
    [FRAME_CAPDIR] = "capdir", [FRAME_IOBITMAP] = "iobitmap", [FRAME_PAGETABLE] = "pagetable",
    [FRAME_SHADOW] = "shadow", [FRAME_CAPTABLE] = "captable", [FRAME_CHUNKED] = "units",
};
static const char *const unit_names[] = {
    [UNIT_FREE] = "free", [UNIT_MORE] = "more", [UNIT_NODE] = "node", [UNIT_THREAD] = "thread",
    [UNIT_ENDPOINT] = "endpoint", [UNIT_RESERVATION] = "reservation", [UNIT_TASK] = "task",
    [UNIT_KPAGE] = "kernel page", [UNIT_CPU] = "cpu",
};

static bool kp_row(struct kdb *k, uint32_t phys, uint32_t size, const char *what)
{
    kdb_row(k);
    kdb_put_num(k, phys);
    kdb_put_num(k, size);
    if (what)
        kdb_put_text(k, what);
    else
        kdb_put_bad(k, "tag");
    return false;
}

static bool kp_node(struct kdb *k, uint32_t phys, const struct node *n)
{
    char what[24], slot[40], letters[5];

    kp_row(k, phys, L4_UNIT, "node");
    if (!kdb_node_ok(n)) {
        kdb_put_bad(k, "node");
        return kdb_row_end(k);
    }
    kdb_what_text(what, sizeof(what), n);
    kdb_slot_text(slot, sizeof(slot), n);
    kdb_rights_text(letters, kdb_node_type(n), node_rights(n));
    kdb_put_format(k, "%s at %s", what, slot);
    kdb_put_object(k, n->task ? &n->task->obj : NULL);
    kdb_put_text(k, letters);
    return kdb_row_end(k);
}

static unsigned unit_tag(const uint8_t *map, unsigned unit)
{
    return map[unit / 2] >> 4 * (unit & 1u) & 15u;
}

/* One chunked frame, unit by unit through its map of tags. */
static bool kp_units(struct kdb *k, uint32_t phys)
{
    const uint8_t *page = phys_to_virt(phys);
    unsigned unit = 2;

    while (unit < 128 && kdb_tick(k)) {
        unsigned tag = unit_tag(page, unit), end = unit + 1;
        uint32_t at = phys + unit * L4_UNIT;

        while (end < 128 &&
               unit_tag(page, end) ==
                   (tag == UNIT_FREE ? (unsigned)UNIT_FREE : (unsigned)UNIT_MORE))
            end++;
        if (tag == UNIT_NODE) {
            if (kp_node(k, at, (const struct node *)(const void *)(page + unit * L4_UNIT)))
                return true;
        } else {
            char text[16];

            kp_row(k, at, (end - unit) * L4_UNIT,
                   tag < ARRAY_SIZE(unit_names) ? unit_names[tag] : NULL);
            if (tag > UNIT_NODE) {
                const struct kobj *o = (const struct kobj *)(const void *)(page + unit * L4_UNIT);

                kdb_object_text(text, sizeof(text), o);
                if (text[0] == '!')
                    kdb_put_bad(k, "%s", text + 1);
                else
                    kdb_put_text(k, text);
            }
            if (kdb_row_end(k))
                return true;
        }
        unit = end;
    }
    return k->stop;
}

KDB_CMD(kp_show, .noun = "kp", .verb = "show", .usage = "kpN", .schema = &kp_show_schema,
        .summary = "what stands in a kernel page, place by place", .example = "kp show kp3",
        .argc_min = 1, .argc_max = 1)
{
    struct kobj *o = kdb_arg_object(k, 0, L4_TYPE_KPAGE);
    const struct kpage *kp = (const struct kpage *)(const void *)o;
    uint32_t free_frames = 0;

    if (!o)
        return k->rc;
    for (uint32_t i = 0; i < kp->frames && kdb_tick(k); i++) {
        paddr_t phys = kp->base + i * PAGE_SIZE;
        uint32_t f = phys >> PAGE_SHIFT, use;

        if (f >= frame_count)
            return kdb_fail(k, KDB_CORRUPT, "0x%08x is beyond the frame table", phys);
        if (frame_table[f].kp != (uint32_t)(uintptr_t)kp)
            kdb_note(k, "! frame 0x%08x says that it belongs to 0x%08x", phys, frame_table[f].kp);
        use = frame_table[f].use;
        if ((use & 15u) == FRAME_CHUNKED) {
            if (kp_units(k, phys))
                break;
        } else if ((use & 15u) == FRAME_FREE && !k->all) {
            free_frames++;
        } else {
            const struct task *owner = (const struct task *)(uintptr_t)(use & ~31u);

            kp_row(k, phys, PAGE_SIZE, frame_uses[use & 15u]);
            kdb_put_null(k);
            kdb_put_object(k, (use & 15u) != FRAME_FREE && owner ? &owner->obj : NULL);
            if (kdb_row_end(k))
                break;
        }
    }
    if (free_frames)
        kdb_note(k, "-- and %u wholly free frames (-a shows them)", free_frames);
    return KDB_OK;
}

/* The unit that an address in a chunked frame belongs to: its tag, and where it begins; NULL: none. */
static const uint8_t *unit_at(uint32_t address, unsigned *tag)
{
    uint32_t frame = virt_to_phys((const void *)(uintptr_t)address) >> PAGE_SHIFT;
    unsigned unit = (address & (PAGE_SIZE - 1u)) / L4_UNIT;
    const uint8_t *page;

    if (address < KERNEL_BASE || !kdb_page_of((const void *)(uintptr_t)address) ||
        (frame_table[frame].use & 15u) != FRAME_CHUNKED)
        return NULL;
    page = phys_to_virt(frame << PAGE_SHIFT);
    while (unit > 2 && unit_tag(page, unit) == UNIT_MORE)
        unit--;
    *tag = unit < 2 ? (unsigned)UNIT_FREE : unit_tag(page, unit);
    return unit < 2 ? NULL : page + unit * L4_UNIT;
}

bool kdb_place_text(char *to, unsigned size, uint32_t address)
{
    unsigned tag;
    const uint8_t *unit = unit_at(address, &tag);
    uint32_t offset = unit ? address - (uint32_t)(uintptr_t)unit : 0, use;
    char what[40];

    if (address >= KERNEL_BASE && kdb_page_of((const void *)(uintptr_t)address)) { /* a table or a directory */
        use = frame_table[virt_to_phys((const void *)(uintptr_t)address) >> PAGE_SHIFT].use;
        if ((use & 15u) != FRAME_CHUNKED && (use & 15u) != FRAME_FREE && frame_uses[use & 15u]) {
            kdb_object_text(what, sizeof(what), (const struct kobj *)(uintptr_t)(use & ~31u));
            fmt_buffer(to, size, "%s of %s+0x%x", frame_uses[use & 15u], what, address & (PAGE_SIZE - 1u));
            return true;
        }
    }

    if (!unit || tag < UNIT_NODE || tag >= ARRAY_SIZE(unit_names))
        return false;
    if (tag == UNIT_NODE) {
        kdb_slot_text(what, sizeof(what), (const struct node *)(const void *)unit);
        fmt_buffer(to, size, "node of %s+0x%x", what, offset);
    } else {
        const struct kobj *o = (const struct kobj *)(const void *)unit;
        const char *field = kdb_field_at(o->type, offset);

        kdb_object_text(what, sizeof(what), o);
        if (field)
            fmt_buffer(to, size, "%s.%s", what, field);
        else
            fmt_buffer(to, size, "%s+0x%x", what, offset);
    }
    return true;
}

KDB_CMD(kp_at, .noun = "kp", .verb = "at", .usage = "ADDRESS", .schema = &kdb_pairs,
        .summary = "which kernel page and which object an address belongs to",
        .example = "kp at =th2", .argc_min = 1, .argc_max = 1)
{
    const struct task *task;
    uint32_t address, frame;
    const struct kpage *kp;
    char text[16];

    if (!kdb_arg_address(k, 0, &task, &address))
        return k->rc;
    frame = virt_to_phys((const void *)(uintptr_t)address) >> PAGE_SHIFT;
    kp = address >= KERNEL_BASE ? kdb_page_of((const void *)(uintptr_t)address) : NULL;
    if (!kp || frame >= frame_count)
        return kdb_fail(k, KDB_NOENT, "0x%08x is in no kernel page", address);
    kdb_object_text(text, sizeof(text), &kp->obj);
    kdb_pair(k, "kernel page", "%s", kdb_is_boot_page(kp) ? "boot data" : text);
    kdb_pair(k, "frame", "0x%08x %s", frame << PAGE_SHIFT,
             frame_uses[frame_table[frame].use & 15u]);
    if ((frame_table[frame].use & 15u) == FRAME_CHUNKED) {
        char place[64];

        if (kdb_place_text(place, sizeof(place), address))
            kdb_pair(k, "place", "%s", place);
        else
            kdb_pair(k, "place", "%s", (address & (PAGE_SIZE - 1u)) < 2u * L4_UNIT ? "the map of units" : "free");
    }
    return KDB_OK;
}
