// SPDX-License-Identifier: MIT
/*
 * Invariants as code: each module registers its rules; `check` in kdb, the debug call, and the unit
 * tests run them.  A rule reads only, holds for every consistent state (also at preemption points),
 * and reports each violation with the object it saw.
 */
#ifndef KERNEL_CHECK_H
#define KERNEL_CHECK_H

#include "kernel/lib/linkset.h"
#include "kernel/lib/types.h"

struct check {
    const struct check_rule *rule;  /* running now */
    unsigned looked, failed;        /* of this rule: objects looked at, violations */
    void (*report)(struct check *c, const char *text); /* may be NULL */
    bool (*tick)(struct check *c);  /* false: stop early; may be NULL */
    void *arg;
};

struct check_rule {
    const char *id;    /* "MDB-2" */
    const char *group; /* "MDB" */
    const char *what;  /* the invariant as a sentence */
    void (*run)(struct check *c);
};

#define CHECK_RULE(symbol, rule_id, rule_group, sentence)                         \
    static void check_##symbol(struct check *c);                                  \
    static const struct check_rule rule_##symbol = { rule_id, rule_group, sentence, check_##symbol }; \
    LINKSET_ADD(check_rules, rule_##symbol);                                      \
    static void check_##symbol(struct check *c)

LINKSET_DECLARE(check_rules);

void check_fail(struct check *c, const char *format, ...) PRINTF(2, 3);
/* Run one rule or all; the number of violations. */
unsigned check_run(struct check *c, const struct check_rule *rule);
unsigned check_all(struct check *c);
/* For rules: go on? */
ALWAYS_INLINE bool check_tick(struct check *c) { return !c->tick || c->tick(c); }

#endif
