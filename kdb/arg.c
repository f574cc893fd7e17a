// SPDX-License-Identifier: MIT
/* Arguments of commands: keys, objects, slots, addresses. */
#include "kdb/engine.h"

#include "kdb/usersym.h"
#include "kernel/debug/debug.h"
#include "kernel/ipc.h"
#include "kernel/kpage.h"
#include "kernel/lib/string.h"

/* ---- what commands ask for ------------------------------------------------------------------- */

const char *kdb_key(const struct kdb *k, const char *name)
{
    for (unsigned i = 0; i < k->key_count; i++)
        if (strcmp(k->key[i].name, name) == 0)
            return k->key[i].value;
    return NULL;
}

bool kdb_key_number(struct kdb *k, const char *name, uint32_t *value)
{
    const char *text = kdb_key(k, name);

    if (!text || kdb_number(text, value))
        return true;
    kdb_fail(k, KDB_BADARG, "%s=: '%s' is no number", name, text);
    return false;
}

bool kdb_flag(const struct kdb *k, char letter)
{
    return (k->flag_bits >> (letter - 'a')) & 1u;
}

bool kdb_arg_number(struct kdb *k, unsigned arg, uint32_t *value)
{
    if (kdb_number(k->argv[arg], value))
        return true;
    kdb_fail(k, KDB_BADARG, "'%s' is no number", k->argv[arg]);
    return false;
}

static struct kobj *named_object(struct kdb *k, const char *name, unsigned type)
{
    struct kobj *found = NULL;
    unsigned matches = 0;

    for (struct kobj *o = kdb_next_object(k, NULL, type); o; o = kdb_next_object(k, o, type)) {
        const char *given = object_name(o->id);

        if (given && strcmp(given, name) == 0) {
            found = o;
            matches++;
        }
    }
    if (matches > 1)
        kdb_fail(k, KDB_BADARG, "@%s is the name of %u objects: say tk@%s, th@%s, ... or see obj name=%s",
                 name, matches, name, name, name);
    else if (!found)
        kdb_fail(k, KDB_NOENT, "nothing is called @%s", name);
    return matches == 1 ? found : NULL;
}

struct kobj *kdb_find_object(struct kdb *k, const char *text, unsigned type)
{
    struct kobj *o;
    uint32_t id = 0;
    unsigned said = 0, n;

    if (*text == '@')
        return named_object(k, text + 1, type);
    for (unsigned t = L4_TYPE_TASK; t <= L4_TYPE_CPU; t++) { /* tk@name */
        const char *prefix = kobj_prefix((enum l4_type)t);

        n = (unsigned)strlen(prefix);
        if (strncmp(prefix, text, n) != 0 || text[n] != '@')
            continue;
        if (type && type != t) {
            kdb_fail(k, KDB_BADARG, "'%s' is a name of type %s; wanted: %s", text, kdb_type_name(t),
                     kdb_type_name(type));
            return NULL;
        }
        return named_object(k, text + n + 1, t);
    }
    if (*text == '$' && text[1] >= '0' && text[1] <= '9' && !text[2]) {
        if ((unsigned)(text[1] - '0') >= kdb_last_count) {
            kdb_fail(k, KDB_NOENT, "the last table had no row %c", text[1]);
            return NULL;
        }
        id = kdb_last_ids[text[1] - '0'];
    } else {
        for (unsigned t = L4_TYPE_TASK; t <= L4_TYPE_CPU; t++) {
            const char *prefix = kobj_prefix((enum l4_type)t);

            n = (unsigned)strlen(prefix);
            if (strncmp(prefix, text, n) == 0 && text[n] >= '0' && text[n] <= '9')
                said = t;
        }
        n = said ? (unsigned)strlen(kobj_prefix((enum l4_type)said)) : 0;
        if (!kdb_number(text + n, &id) || (said && (text[n + 1] == 'x' || text[n + 1] == 'X'))) {
            kdb_fail(k, KDB_BADARG, "'%s' is no object: th24, 24, @name or $0", text);
            return NULL;
        }
    }
    o = kobj_by_id(id);
    if (!o) {
        kdb_fail(k, KDB_NOENT, "no object %s", text);
        return NULL;
    }
    if ((said && said != o->type) || (type && type != o->type)) {
        kdb_fail(k, KDB_BADARG, "'%s' is %s%u (%s)%s%s", text,
                 kobj_prefix((enum l4_type)o->type), id, kdb_type_name(o->type),
                 type ? "; wanted: " : "", type ? kdb_type_name(type) : "");
        return NULL;
    }
    return o;
}

struct kobj *kdb_arg_object(struct kdb *k, unsigned arg, unsigned type)
{
    return kdb_find_object(k, k->argv[arg], type);
}

/* "tk5" of "tk5/cap/0x10" or "tk5:0x400000": cut it off; the rest behind `mark`. */
static char *cut(const char *text, char mark, char *head, unsigned size)
{
    char *at = strchr(text, mark);
    unsigned n = at ? (unsigned)(at - text) : 0;

    if (!at || n >= size)
        return NULL;
    memcpy(head, text, n);
    head[n] = '\0';
    return at + 1;
}

bool kdb_arg_slot(struct kdb *k, unsigned arg, struct kdb_slot *slot)
{
    static const char *const spaces[] = { "mem", "cap", "io" };
    static const uint32_t limit[] = { L4_USER_TOP - 1u, L4_CAP_MAX, 0xffffu };
    char head[20], space[5];
    const char *rest = cut(k->argv[arg], '/', head, sizeof(head));
    const char *name = rest ? cut(rest, '/', space, sizeof(space)) : NULL;
    struct kobj *o;
    uint32_t value;

    if (name)
        for (unsigned s = 0; s < ARRAY_SIZE(spaces); s++) {
            if (strcmp(space, spaces[s]) != 0)
                continue;
            if (!kdb_number(name, &value) || value > limit[s])
                break;
            o = kdb_find_object(k, head, L4_TYPE_TASK);
            if (!o)
                return false;
            slot->task = (struct task *)(void *)o;
            slot->space = s;
            slot->name = s == L4_SPACE_MEM ? value & 0xfffff000u : value << L4_NAME_SHIFT;
            return true;
        }
    kdb_fail(k, KDB_BADARG, "'%s' is no slot: tk5/cap/0x10, tk5/mem/0x400000 or tk5/io/0x60",
             k->argv[arg]);
    return false;
}

/* Fields of objects that have names in addresses: "=th24.state". */
#define FIELD(type, structure, member) \
    { type, #member, (uint16_t)offsetof(structure, member), (uint16_t)sizeof(((structure *)0)->member) }
static const struct { uint8_t type; const char *name; uint16_t offset, size; } fields[] = {
    FIELD(L4_TYPE_THREAD, struct thread, state), FIELD(L4_TYPE_THREAD, struct thread, task),
    FIELD(L4_TYPE_THREAD, struct thread, frame), FIELD(L4_TYPE_THREAD, struct thread, msg),
    FIELD(L4_TYPE_THREAD, struct thread, ipc), FIELD(L4_TYPE_THREAD, struct thread, tcr),
    FIELD(L4_TYPE_THREAD, struct thread, cont), FIELD(L4_TYPE_THREAD, struct thread, timeout),
    FIELD(L4_TYPE_THREAD, struct thread, resv), FIELD(L4_TYPE_THREAD, struct thread, switches),
    FIELD(L4_TYPE_THREAD, struct thread, fault_w0), FIELD(L4_TYPE_TASK, struct task, pd),
    FIELD(L4_TYPE_TASK, struct task, pd_shadow), FIELD(L4_TYPE_TASK, struct task, cap_dir),
    FIELD(L4_TYPE_TASK, struct task, io_nodes), FIELD(L4_TYPE_TASK, struct task, threads),
    FIELD(L4_TYPE_ENDPOINT, struct endpoint, queue), FIELD(L4_TYPE_ENDPOINT, struct endpoint, senders),
    FIELD(L4_TYPE_RESERVATION, struct resv, thread),
    FIELD(L4_TYPE_RESERVATION, struct resv, left), FIELD(L4_TYPE_RESERVATION, struct resv, flags),
    FIELD(L4_TYPE_RESERVATION, struct resv, prio), FIELD(L4_TYPE_RESERVATION, struct resv, used_us),
    FIELD(L4_TYPE_KPAGE, struct kpage, base), FIELD(L4_TYPE_KPAGE, struct kpage, converter),
    FIELD(0, struct kobj, root), FIELD(0, struct kobj, flags), FIELD(0, struct kobj, type),
};

const char *kdb_field_at(uint32_t type, uint32_t offset)
{
    for (unsigned i = 0; i < ARRAY_SIZE(fields); i++)
        if (fields[i].offset == offset && (!fields[i].type || fields[i].type == type))
            return fields[i].name;
    return NULL;
}

/* "th24" or "th24.state". */
static bool object_address(struct kdb *k, const char *text, uint32_t *address)
{
    char head[24];
    const char *field = cut(text, '.', head, sizeof(head));
    struct kobj *o;

    /* Names of objects have dots, too: what is no field belongs to the name. */
    for (unsigned i = 0; field && i < ARRAY_SIZE(fields); i++) {
        if (strcmp(fields[i].name, field) != 0)
            continue;
        o = kdb_find_object(k, head, 0);
        if (!o)
            return false;
        for (; i < ARRAY_SIZE(fields); i++)
            if (strcmp(fields[i].name, field) == 0 && (!fields[i].type || fields[i].type == o->type)) {
                *address = (uint32_t)(uintptr_t)o + fields[i].offset;
                k->field_size = fields[i].size;
                return true;
            }
        kdb_fail(k, KDB_BADARG, "'%s' (%s) has no field '%s'", head, kdb_type_name(o->type), field);
        return false;
    }
    o = kdb_find_object(k, text, 0);
    *address = (uint32_t)(uintptr_t)o;
    return o != NULL;
}

bool kdb_arg_address(struct kdb *k, unsigned arg, const struct task **task, uint32_t *address)
{
    char head[20], symbol[48];
    const char *text = k->argv[arg];
    const char *rest = cut(text, ':', head, sizeof(head));
    const char *plus;
    uint32_t offset = 0;

    *task = NULL;
    if (rest) {
        struct kobj *o = kdb_find_object(k, head, L4_TYPE_TASK);

        if (!o)
            return false;
        *task = (const struct task *)(const void *)o;
        text = rest;
    }
    if (*text == '=')
        return object_address(k, text + 1, address);
    if (kdb_number(text, address))
        return true;
    plus = cut(text, '+', symbol, sizeof(symbol));
    if (!plus || kdb_number(plus, &offset)) {
        const char *name = plus ? symbol : text;

        if ((!*task && sym_value(name, address)) || usersym_value(name, address)) {
            *address += offset;
            return true;
        }
    }
    kdb_fail(k, KDB_BADARG, "'%s' is no address: 0x.., symbol, symbol+n, =th24, =th24.state, tk5:0x..",
             k->argv[arg]);
    return false;
}
