// SPDX-License-Identifier: MIT
/*
 * self: the debugger proves that it survives.  `self test` provokes each kind of damage on data of its own;
 * `self fault` makes this very command fail, so that a driver sees the recovery from outside.
 */
#include "kdb/engine.h"

#include "kernel/debug/debug.h"
#include "kernel/lib/string.h"

#define UNMAPPED ((const uint32_t *)(uintptr_t)0xfff00000u) /* above the direct map */

static volatile uint32_t sink;

static void touch(void *arg)
{
    sink = *(const volatile uint32_t *)arg;
}

static void touch_in_touch(void *arg)
{
    uint32_t ip, address;

    debug_guard(touch, arg, &ip, &address);
    sink = *(const volatile uint32_t *)arg; /* the second one is for the outer guard */
}

static bool faults(void (*fn)(void *), const void *p)
{
    uint32_t ip = 0, address = 0;

    return !debug_guard(fn, (void *)(uintptr_t)p, &ip, &address) &&
        address == (uint32_t)(uintptr_t)p;
}

/* ---- cases ----------------------------------------------------------------------------------- */

static bool test_unmapped(struct kdb *k)
{
    uint32_t word;

    (void)k;
    return probe_read(NULL, (uint32_t)(uintptr_t)UNMAPPED, &word, 4, false) == 0 &&
        !kdb_sound(UNMAPPED, 4);
}

static bool test_guard(struct kdb *k)
{
    (void)k;
    return faults(touch, UNMAPPED);
}

static bool test_nested(struct kdb *k)
{
    (void)k;
    return faults(touch_in_touch, UNMAPPED);
}

/* Guards are 4 deep and this line stands in one: they must come free again. */
static bool test_repeat(struct kdb *k)
{
    (void)k;
    for (unsigned i = 0; i < 32; i++)
        if (!faults(touch, UNMAPPED))
            return false;
    return true;
}

static bool test_straddle(struct kdb *k)
{
    uint8_t bytes[8] = { 0 };

    (void)k;
    /* The last readable bytes before an address that wraps: never more than there are. */
    return probe_read(NULL, 0xfffffffcu, bytes, 8, false) <= 4;
}

static bool test_null(struct kdb *k)
{
    (void)k;
    return !kdb_sound(NULL, 4) && !kdb_object_ok(NULL, 0) && !kdb_node_ok(NULL);
}

static struct node ring[3];

static void make_ring(void)
{
    memset(ring, 0, sizeof(ring));
    for (unsigned i = 0; i < 3; i++) {
        ring[i].next = &ring[(i + 1) % 3];
        ring[i].prev = &ring[(i + 2) % 3];
        ring[i].depth = i;
        ring[i].parent = i ? &ring[i - 1] : NULL;
    }
}

/* A list that never comes back to its root: the budget ends the walk. */
static bool test_cycle(struct kdb *k)
{
    uint32_t budget = k->budget;
    enum kdb_rc rc = k->rc;
    unsigned steps = 0;

    make_ring();
    ring[2].next = &ring[1];
    ring[1].prev = &ring[2];
    for (const struct node *n = &ring[0]; n && steps < 1000; n = kdb_next_node(k, &ring[0], n))
        steps++;
    k->budget = budget;
    k->rc = rc;
    k->stop = false;
    return steps == 1 || steps == 1000; /* found broken at once, or bounded */
}

static bool test_broken_link(struct kdb *k)
{
    enum kdb_rc rc = k->rc;
    bool found;

    make_ring();
    ring[0].next = (struct node *)(uintptr_t)UNMAPPED;
    found = kdb_next_node(k, &ring[0], &ring[0]) == NULL && k->rc == KDB_CORRUPT;
    k->rc = rc;
    k->stop = false;
    return found;
}

static bool test_row_overflow(struct kdb *k)
{
    struct kdb_row *r = &k->row;

    kdb_row(k);
    for (unsigned i = 0; i < 40; i++)
        kdb_put_format(k, "%u a text that is long enough to fill the row before the last column",
                       i);
    return r->count == KDB_COLS && r->used <= KDB_ROW_TEXT && r->text[KDB_ROW_TEXT - 1] == '\0';
}

static bool test_lines(struct kdb *k)
{
    static const char *const lines[] = {
        "|",
        "||||||||",
        "'",
        "obj 'x",
        "x/99999999999xw 0",
        "x/4z 0",
        "obj show th4294967296",
        "cap ls tk0",
        "obj sort=",
        "obj cols=,",
        "obj max=x",
        "obj -z",
        "obj | head",
        "obj | tail 9999",
        "obj | count by",
        "expect 'expect' = 1",
        "help help help",
        "obj id>=999999999999",
        "map tree tk/",
        "map tree //",
        "=",
        "$9",
        "@",
        "explain tk1",
        "who",
        "revoke kp1",
        "bp add nosuchsymbol",
        "thread show cpu4",
        "set max",
        "obj name~**a*b?*",
    };
    char out[64];

    for (unsigned i = 0; i < ARRAY_SIZE(lines); i++)
        if (kdb_capture(k, lines[i], out, sizeof(out)) == KDB_NESTED)
            return false;
    return true;
}

static const struct { const char *name; bool (*run)(struct kdb *k);
} cases[] = {
    { "unmapped", test_unmapped },
    { "guard", test_guard },
    { "nested", test_nested },
    { "repeat", test_repeat },
    { "straddle", test_straddle },
    { "null", test_null },
    { "cycle", test_cycle },
    { "broken-link", test_broken_link },
    { "row-overflow", test_row_overflow },
    { "lines", test_lines },
};

KDB_SCHEMA(self_schema, "self.test",
    { "case", K_TEXT, 14, 0, "what was provoked" },
    { "result", K_TEXT, 6, 0, "ok or FAIL" });

KDB_CMD(self_test, .noun = "self", .verb = "test", .usage = "[CASE]", .schema = &self_schema,
        .summary = "provoke every kind of damage and survive it; rc 1 if a case fails",
        .example = "self test", .effect = KE_DBG, .argc_max = 1)
{
    unsigned failed = 0, ran = 0;

    for (unsigned i = 0; i < ARRAY_SIZE(cases) && kdb_tick(k); i++) {
        bool ok;

        if (k->argc && strcmp(k->argv[0], cases[i].name) != 0)
            continue;
        ran++;
        k->mute = true;
        ok = cases[i].run(k);
        k->mute = false;
        failed += !ok;
        kdb_row(k);
        kdb_put_text(k, cases[i].name);
        kdb_put_text(k, ok ? "ok" : "FAIL");
        if (kdb_row_end(k))
            break;
    }
    if (!ran)
        return kdb_fail(k, KDB_NOENT, "no case '%s'", k->argv[0]);
    return failed ? KDB_FALSE : KDB_OK;
}

static void fault_again(void *arg)
{
    uint32_t ip, address;
    unsigned *left = arg;

    if ((*left)-- > 0 && !debug_guard(fault_again, left, &ip, &address))
        touch((void *)(uintptr_t)UNMAPPED);
    touch((void *)(uintptr_t)UNMAPPED);
}

KDB_CMD(self_fault, .noun = "self", .verb = "fault",
        .usage = "read | write | nested | loop | assert", .effect = KE_DBG,
        .summary = "make this command fail: the prompt must come back",
        .example = "self fault read", .argc_min = 1, .argc_max = 1)
{
    const char *how = k->argv[0];
    unsigned depth = 3;

    if (strcmp(how, "read") == 0)
        touch((void *)(uintptr_t)UNMAPPED);
    else if (strcmp(how, "write") == 0)
        *(volatile uint32_t *)(uintptr_t)UNMAPPED = 1;
    else if (strcmp(how, "nested") == 0)
        fault_again(&depth);
    else if (strcmp(how, "assert") == 0)
        panic("self fault assert");
    else if (strcmp(how, "loop") == 0)
        while (kdb_tick(k))
            ;
    else
        return kdb_fail(k, KDB_USAGE, "read, write, nested, loop or assert");
    return k->rc;
}
