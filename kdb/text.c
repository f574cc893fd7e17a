// SPDX-License-Identifier: MIT
/*
 * How objects, places and rights are written, and references to what has a mapping tree are read.
 *
 *   th24               object            tk5/cap/0x10        slot of a capability space
 *   phys/0x1000        physical memory   tk5/mem/0x400000    page of a memory space
 *   port/0x60          IO port           tk5/io/0x60         port of an IO space
 */
#include "kdb/engine.h"

#include "kernel/boot.h"
#include "kernel/debug/debug.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/string.h"

/* Right letters per type, in the order in which they are shown.  [G3] */
static const struct { const char *letters; uint8_t bit[4]; } rights[] = {
    [L4_TYPE_NONE] = { "rwxt", { L4_R, L4_W, L4_X, L4_T } },
    [L4_TYPE_TASK] = { "bc", { L4_T, L4_X } },
    [L4_TYPE_THREAD] = { "rwsc", { L4_R, L4_W, L4_T, L4_X } },
    [L4_TYPE_ENDPOINT] = { "rwmc", { L4_R, L4_W, L4_T, L4_X } },
    [L4_TYPE_KPAGE] = { "qac", { L4_R, L4_W, L4_X } },
    [L4_TYPE_RESERVATION] = { "rwc", { L4_R, L4_W, L4_X } },
    [L4_TYPE_CPU] = { "rwc", { L4_R, L4_W, L4_X } },
    [L4_TYPE_MEMORY] = { "rwxc", { L4_R, L4_W, L4_X, L4_T } },
    [L4_TYPE_IOPORT] = { "rw", { L4_R, L4_W } },
};

static unsigned type_index(uint32_t type)
{
    return type < ARRAY_SIZE(rights) ? type : L4_TYPE_NONE;
}

void kdb_rights_text(char *to, uint32_t type, uint32_t mask)
{
    const char *letters = rights[type_index(type)].letters;
    unsigned i = 0;

    for (; letters[i]; i++)
        to[i] = mask & rights[type_index(type)].bit[i] ? letters[i] : '-';
    to[i] = '\0';
}

bool kdb_rights_parse(uint32_t type, const char *text, uint32_t *mask)
{
    const char *letters = rights[type_index(type)].letters;

    *mask = 0;
    for (; *text; text++) {
        const char *at = *text == '-' ? NULL : strchr(letters, *text);

        if (at)
            *mask |= rights[type_index(type)].bit[at - letters];
        else if (*text != '-')
            return false;
    }
    return true;
}

const char *kdb_type_name(uint32_t type)
{
    static const char *const names[] = {
#define X(name, number, text, prefix) [number] = text,
        L4_TYPE_LIST(X)
#undef X
    };

    return type < ARRAY_SIZE(names) ? names[type] : "?";
}

uint32_t kdb_node_type(const struct node *n)
{
    if (node_space(n) == L4_SPACE_MEM)
        return L4_TYPE_MEMORY;
    if (node_space(n) == L4_SPACE_IO)
        return L4_TYPE_IOPORT;
    return kdb_object_ok(node_kobj(n), 0) ? node_kobj(n)->type : (uint32_t)L4_TYPE_NONE;
}

void kdb_object_text(char *to, unsigned size, const struct kobj *o)
{
    if (kdb_object_ok(o, 0))
        fmt_buffer(to, size, "%s%u", kobj_prefix((enum l4_type)o->type), o->id);
    else
        fmt_buffer(to, size, "!0x%x", (unsigned)(uintptr_t)o);
}

void kdb_slot_text(char *to, unsigned size, const struct node *n)
{
    static const char *const spaces[] = { "mem", "cap", "io", "?" };
    uint32_t base = node_base(n), space = node_space(n);

    if (!n->task)
        fmt_buffer(to, size, "-");
    else if (!kdb_object_ok(&n->task->obj, L4_TYPE_TASK))
        fmt_buffer(to, size, "!0x%x", (unsigned)(uintptr_t)n->task);
    else
        fmt_buffer(to, size, "tk%u/%s/0x%x", n->task->obj.id, spaces[space],
                   space == L4_SPACE_MEM ? base : base >> L4_NAME_SHIFT);
}

void kdb_what_text(char *to, unsigned size, const struct node *n)
{
    if (node_space(n) == L4_SPACE_MEM)
        fmt_buffer(to, size, "phys/0x%x", n->obj);
    else if (node_space(n) == L4_SPACE_IO)
        fmt_buffer(to, size, "port/0x%x", n->obj >> L4_NAME_SHIFT);
    else
        kdb_object_text(to, size, node_kobj(n));
}

/* ---- references ------------------------------------------------------------------------------ */

static bool ref_phys(struct kdb *k, const char *text, struct kdb_ref *ref)
{
    uint32_t phys;

    if (!kdb_number(text, &phys)) {
        kdb_fail(k, KDB_BADARG, "'%s' is no physical address", text);
        return false;
    }
    if (!boot_mem_roots || phys >> SUPER_SHIFT >= boot_mem_root_count) {
        kdb_fail(k, KDB_NOENT, "no memory at 0x%x has a mapping tree", phys);
        return false;
    }
    ref->node = &boot_mem_roots[phys >> SUPER_SHIFT];
    ref->lo = round_down(phys, PAGE_SIZE);
    ref->last = ref->lo + PAGE_SIZE - 1u;
    return true;
}

static bool ref_port(struct kdb *k, const char *text, struct kdb_ref *ref)
{
    uint32_t port;

    if (!kdb_number(text, &port) || port > 0xffffu) {
        kdb_fail(k, KDB_BADARG, "'%s' is no port", text);
        return false;
    }
    ref->node = &boot_io_root;
    ref->lo = port << L4_NAME_SHIFT;
    ref->last = ref->lo + PAGE_SIZE - 1u;
    return true;
}

/* The object's memory as the node says it; a size of 32 or more is everything. */
static void ref_range(struct kdb_ref *ref)
{
    const struct node *n = ref->node;

    ref->lo = 0;
    ref->last = 0xffffffffu;
    if (node_space(n) != L4_SPACE_CAP && node_size(n) < 32) {
        ref->lo = n->obj;
        ref->last = n->obj + ((1u << node_size(n)) - 1u);
    }
}

bool kdb_arg_ref(struct kdb *k, unsigned arg, struct kdb_ref *ref)
{
    const char *text = k->argv[arg];
    struct kdb_slot slot;

    *ref = (struct kdb_ref){ NULL, 0, 0xffffffffu, NULL };
    if (strncmp(text, "phys/", 5) == 0)
        return ref_phys(k, text + 5, ref);
    if (strncmp(text, "port/", 5) == 0)
        return ref_port(k, text + 5, ref);
    if (arg + 1 < k->argc && strcmp(text, "phys") == 0)
        return ref_phys(k, k->argv[arg + 1], ref);
    if (arg + 1 < k->argc && strcmp(text, "port") == 0)
        return ref_port(k, k->argv[arg + 1], ref);
    if (!strchr(text, '/')) {
        ref->object = kdb_arg_object(k, arg, 0);
        if (!ref->object)
            return false;
        ref->node = &ref->object->root;
        return true;
    }
    if (!kdb_arg_slot(k, arg, &slot))
        return false;
    switch (slot.space) {
    case L4_SPACE_MEM:
        ref->node = mem_lookup(slot.task, slot.name);
        break;
    case L4_SPACE_CAP:
        ref->node = cap_lookup(slot.task, slot.name >> L4_NAME_SHIFT);
        break;
    default:
        ref->node = io_lookup(slot.task, slot.name >> L4_NAME_SHIFT);
        break;
    }
    if (!ref->node) {
        kdb_fail(k, KDB_NOENT, "nothing at %s", text);
        return false;
    }
    if (!kdb_node_ok(ref->node)) {
        kdb_fail(k, KDB_CORRUPT, "%s leads to 0x%08x, which is no node", text,
                 (unsigned)(uintptr_t)ref->node);
        return false;
    }
    if (slot.space == L4_SPACE_CAP && kdb_object_ok(node_kobj(ref->node), 0))
        ref->object = node_kobj(ref->node);
    ref_range(ref);
    return true;
}
