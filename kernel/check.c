// SPDX-License-Identifier: MIT
/*
 * The runner of invariants.  Rules come from the modules that own the structures (check.h); this file
 * counts, reports and stops early.  It keeps no state of its own, so the debugger, the debug call and a
 * unit test can all run rules at any consistent moment.
 */
#include "kernel/check.h"

#include "kernel/lib/fmt.h"

void check_fail(struct check *c, const char *format, ...)
{
    char text[128];
    va_list list;

    c->failed++;
    if (!c->report)
        return;
    va_start(list, format);
    fmt_buffer_va(text, sizeof(text), format, list);
    va_end(list);
    c->report(c, text);
}

unsigned check_run(struct check *c, const struct check_rule *rule)
{
    c->rule = rule;
    c->looked = 0;
    c->failed = 0;
    rule->run(c);
    return c->failed;
}

unsigned check_all(struct check *c)
{
    unsigned total = 0;

    for (unsigned i = 0; i < LINKSET_COUNT(check_rules); i++) {
        if (c->tick && !c->tick(c))
            break;
        total += check_run(c, LINKSET_GET(check_rules, i));
    }
    return total;
}
