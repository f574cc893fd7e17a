// SPDX-License-Identifier: MIT
/*
 * Break and watch points of both front ends.  A point is *set* (in the table) or also *inserted* (a byte
 * in memory, a debug register); it is inserted only while the target runs, so a front end always sees
 * the program's own bytes.  A user point belongs to (task, address): the byte is in a frame that other
 * tasks may share, and their hits are stepped over silently.  A user point without a task is for all tasks, also
 * those that do not exist yet: a debug register compares addresses and knows no tasks.
 */
#include <arch/debug.h>
#include <arch/memory.h>
#include "kernel/debug/core.h"
#include "kernel/lib/string.h"

struct bp {
    struct bp_info info;
    bool used, inserted;
    uint8_t saved;      /* the program's byte under our int3 */
    uint32_t task_id;   /* of info.task: a task that died takes its points along */
    paddr_t phys;       /* where the byte went */
};

static struct bp table[BP_MAX];
static struct bp *slot_owner[ARCH_DEBUG_SLOTS]; /* as of the last insertion */

static bool is_alive(const struct bp *b)
{
    const struct task *task = b->info.task;
    return !task || (task->obj.id == b->task_id && task->obj.type == L4_TYPE_TASK && !kobj_is_dying(&task->obj));
}

/* Kernel addresses have no task, whatever the caller had in mind. */
static const struct task *place(const struct task *task, uint32_t address)
{
    return address >= KERNEL_BASE ? NULL : task;
}

static struct bp *find(enum bp_kind kind, const struct task *task, uint32_t address, unsigned size)
{
    for (unsigned i = 0; i < BP_MAX; i++) {
        struct bp *b = &table[i];
        if (b->used && b->info.kind == kind && b->info.task == task && b->info.address == address &&
            (kind == BP_SOFT || kind == BP_EXEC || b->info.size == size))
            return b;
    }
    return NULL;
}

/* Debug registers that a point takes: an object is cut into aligned pieces of 4, 2, 1. */
static unsigned next_piece(uint32_t address, unsigned left)
{
    if (!(address & 3u) && left >= 4)
        return 4;
    if (!(address & 1u) && left >= 2)
        return 2;
    return 1;
}

static unsigned slots_needed(enum bp_kind kind, uint32_t address, unsigned size)
{
    if (kind == BP_SOFT)
        return 0;
    if (kind == BP_EXEC)
        return 1;
    unsigned n = 0;
    while (size) {
        unsigned step = next_piece(address, size);
        address += step;
        size -= step;
        n++;
    }
    return n;
}

/*
 * What runs between a trap in kernel code and bp_remove(), and between bp_insert() and the return: a trap
 * there would never come to an end.
 */
static const char *const trap_path[] = {
    "trap_entry", "trap_kernel", "kernel_exception", "stepped_into_kernel", "regs_from_frame", "vector_name",
    "resume", "frame_from_regs", "debug_enter", "bp_insert", "insert_byte", "next_piece", "bp_remove",
    "arch_debug_quiet", "arch_debug_arm", "arch_debug_poke", "read_dr7", "write_dr7",
};

static bool in_trap_path(uint32_t address)
{
    const char *name = address >= KERNEL_BASE ? sym_find(address, NULL) : NULL;
    if (!name)
        return false;
    if (strcmp(name, "vector_1") == 0 || strncmp(name, "trap_entry.", 11) == 0)
        return true;
    for (unsigned i = 0; i < ARRAY_SIZE(trap_path); i++) {
        size_t n = strlen(trap_path[i]);
        if (strncmp(name, trap_path[i], n) == 0 && (name[n] == '\0' || name[n] == '.')) /* .part.0, .isra.0 */
            return true;
    }
    return false;
}

const char *bp_set(enum bp_kind kind, const struct task *task, uint32_t address, unsigned size, unsigned owner)
{
    task = place(task, address);
    if (address < KERNEL_BASE && !task && kind == BP_SOFT)
        return "a byte in memory needs a task; a debug register (kind=exec) does for all";
    if ((kind == BP_WRITE || kind == BP_ACCESS) && (size == 0 || size > 16 || address + size < address))
        return "size not 1 to 16";
    if ((kind == BP_SOFT || kind == BP_EXEC) && in_trap_path(address))
        return "the debugger's own trap comes along there";
    struct bp *b = find(kind, task, address, size);
    if (b && is_alive(b)) {
        b->info.owner |= owner;
        return NULL;
    }
    unsigned used = 0;
    struct bp *room = b;
    for (unsigned i = 0; i < BP_MAX; i++) {
        struct bp *other = &table[i];
        if (other->used && !is_alive(other))
            other->used = false;
        if (other->used)
            used += slots_needed(other->info.kind, other->info.address, other->info.size);
        else if (!room)
            room = other;
    }
    if (!room)
        return "no room for more points";
    if (used + slots_needed(kind, address, size) > ARCH_DEBUG_SLOTS)
        return "no debug register left";
    paddr_t phys;
    if (kind == BP_SOFT && (!probe_translate(task, address, &phys) || !probe_is_ram(phys)))
        return "no memory at that address";
    *room = (struct bp){
        .info = { .kind = kind, .task = task, .address = address, .size = kind == BP_SOFT ? 1u : size, .owner = owner },
        .used = true,
        .task_id = task ? task->obj.id : 0,
    };
    room->info.number = (unsigned)(room - table);
    return NULL;
}

void bp_only(enum bp_kind kind, uint32_t address, unsigned size, const char *task_name)
{
    struct bp *b = find(kind, NULL, address, size);
    unsigned n = 0;

    if (!b)
        return;
    for (; task_name && task_name[n] && n + 1 < sizeof(b->info.only); n++)
        b->info.only[n] = task_name[n];
    b->info.only[n] = '\0';
}

STATIC_ASSERT(sizeof(((struct bp_info *)0)->only) == OBJECT_NAME_MAX + 1u);

/* Does a point for all tasks mean this one? */
static bool is_meant(const struct bp *b, const struct task *task)
{
    const char *name = b->info.only[0] && task ? object_name(task->obj.id) : NULL;

    return !b->info.only[0] || (name && strcmp(name, b->info.only) == 0);
}

/* The owner has no more interest. */
static void drop(struct bp *b, unsigned owner)
{
    b->info.owner &= ~owner;
    if (!b->info.owner)
        b->used = false;
}

const char *bp_clear(enum bp_kind kind, const struct task *task, uint32_t address, unsigned size, unsigned owner)
{
    struct bp *b = find(kind, place(task, address), address, size);
    if (!b || !(b->info.owner & owner))
        return "no such point";
    drop(b, owner);
    return NULL;
}

void bp_clear_all(unsigned owner)
{
    for (unsigned i = 0; i < BP_MAX; i++)
        if (table[i].used)
            drop(&table[i], owner);
}

const struct task *bp_clear_any(enum bp_kind kind, uint32_t address, unsigned owner)
{
    const struct task *task = NULL;
    for (unsigned i = 0; i < BP_MAX; i++) {
        struct bp *b = &table[i];
        if (b->used && b->info.kind == kind && b->info.address == address && (b->info.owner & owner)) {
            if (is_alive(b))
                task = b->info.task;
            drop(b, owner);
        }
    }
    return task;
}

bool bp_get(unsigned n, struct bp_info *out)
{
    for (unsigned i = 0; i < BP_MAX; i++) {
        if (!table[i].used || !is_alive(&table[i]))
            continue;
        if (n-- == 0) {
            *out = table[i].info;
            return true;
        }
    }
    return false;
}

/* ---- insertion ---- */

/* Where the byte goes; BP_NO_PHYS: nowhere now. */
static void locate(struct bp *b, paddr_t except)
{
    paddr_t phys;
    if (!is_alive(b))
        b->used = false;
    else if (b->info.kind == BP_SOFT)
        b->phys = probe_translate(b->info.task, b->info.address, &phys) && probe_is_ram(phys) && phys != except
                      ? phys : BP_NO_PHYS;
}

static void insert_byte(struct bp *b)
{
    const uint8_t int3 = ARCH_INT3;
    uint8_t *at = phys_to_virt(b->phys);
    b->saved = *at;
    for (unsigned i = 0; i < BP_MAX; i++) /* the same frame through another task: theirs is the real byte */
        if (table[i].used && table[i].inserted && table[i].phys == b->phys)
            b->saved = table[i].saved;
    arch_debug_poke(at, &int3, 1);
    b->inserted = true;
}

/*
 * Two passes: from the first byte on, only functions of trap_path[] may run until the debugger is left.
 */
void bp_insert(paddr_t except)
{
    for (unsigned i = 0; i < BP_MAX; i++)
        if (table[i].used && !table[i].inserted)
            locate(&table[i], except);
    unsigned slot = 0;
    for (unsigned i = 0; i < ARCH_DEBUG_SLOTS; i++)
        slot_owner[i] = NULL;
    for (unsigned i = 0; i < BP_MAX; i++) {
        struct bp *b = &table[i];
        if (!b->used)
            continue;
        if (b->info.kind == BP_SOFT) {
            if (!b->inserted && b->phys != BP_NO_PHYS)
                insert_byte(b);
            continue;
        }
        uint32_t address = b->info.address;
        unsigned left = b->info.kind == BP_EXEC ? 1u : b->info.size;
        while (left && slot < ARCH_DEBUG_SLOTS) {
            unsigned step = next_piece(address, left);
            arch_debug_arm(slot, address, b->info.kind == BP_EXEC ? 0u : step, b->info.kind == BP_ACCESS);
            slot_owner[slot++] = b;
            address += step;
            left -= step;
        }
    }
}

uint32_t bp_remove(void)
{
    uint32_t dr6 = arch_debug_quiet();
    for (unsigned i = 0; i < BP_MAX; i++) {
        struct bp *b = &table[i];
        if (!b->inserted)
            continue;
        b->inserted = false;
        uint8_t *at = phys_to_virt(b->phys);
        if (*at == ARCH_INT3) /* else the frame was given to something else meanwhile: not ours to write */
            arch_debug_poke(at, &b->saved, 1);
    }
    return dr6;
}

/* ---- questions ---- */

bool bp_hit_soft(const struct task *task, uint32_t address, bool *mine, struct bp_hit *hit)
{
    paddr_t phys;
    bool ours = false;
    *mine = false;
    task = place(task, address);
    bool known = probe_translate(task, address, &phys);
    for (unsigned i = 0; i < BP_MAX; i++) {
        struct bp *b = &table[i];
        if (!b->used || b->info.kind != BP_SOFT)
            continue;
        if (b->info.address == address && b->info.task == task && is_alive(b)) {
            b->info.hits++;
            *mine = ours = true;
            *hit = (struct bp_hit){ BP_SOFT, address, b->info.owner, b->info.number };
        } else if (known && b->phys == phys) {
            ours = true;
        }
    }
    return ours;
}

bool bp_hit_slots(uint32_t dr6, const struct task *task, const struct task *loaded, struct bp_hit *hit)
{
    bool found = false;
    for (unsigned i = 0; i < ARCH_DEBUG_SLOTS; i++) {
        struct bp *b = slot_owner[i];
        if (!b || !(dr6 & 1u << i))
            continue;
        if (b->info.task && b->info.task != task && b->info.task != loaded)
            continue; /* the same address in another task */
        if (!is_meant(b, task))
            continue;
        if (!found)
            b->info.hits++;
        found = true;
        /* The address of the object that was named, not of our piece of it. */
        *hit = (struct bp_hit){ b->info.kind, b->info.address, b->info.owner, b->info.number };
    }
    return found;
}

bool bp_at_phys(paddr_t phys)
{
    for (unsigned i = 0; i < BP_MAX; i++) {
        const struct bp *b = &table[i];
        paddr_t p;
        if (b->used && b->info.kind == BP_SOFT && is_alive(b) &&
            probe_translate(b->info.task, b->info.address, &p) && p == phys)
            return true;
    }
    return false;
}

bool bp_exec_at(uint32_t address)
{
    for (unsigned i = 0; i < BP_MAX; i++) {
        const struct bp *b = &table[i];
        /* The register compares linear addresses: whose point it is does not matter here. */
        if (b->used && b->info.kind == BP_EXEC && b->info.address == address)
            return true;
    }
    return false;
}

void bp_hide_phys(paddr_t phys, void *bytes, unsigned size)
{
    for (unsigned i = 0; i < BP_MAX; i++)
        if (table[i].inserted && table[i].phys - phys < size)
            ((uint8_t *)bytes)[table[i].phys - phys] = table[i].saved;
}

void bp_hide(const struct task *task, uint32_t address, void *bytes, unsigned size)
{
    unsigned done = 0;
    while (done < size) {
        uint32_t at = address + done;
        unsigned n = min_u32(size - done, PAGE_SIZE - (at & (PAGE_SIZE - 1)));
        paddr_t phys;
        if (probe_translate(place(task, at), at, &phys))
            bp_hide_phys(phys, (uint8_t *)bytes + done, n);
        done += n;
    }
}
