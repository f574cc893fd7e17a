// SPDX-License-Identifier: MIT
/*
 * The links of the mapping trees: a circular list in pre-order with a depth per node.
 *
 * Invariant: a node leaves its list only as a leaf, so every `parent` pointer stays true and the
 * order is exact at all times, whatever revocations are under way.  [M 2.1.1] [G40]
 */
#include "kernel/mapdb.h"

#include "kernel/kpage.h"
#include "kernel/task.h"
#include "kernel/trace.h"

void mapdb_drop(struct node *leaf)
{
    if (leaf->task) {
        MAPDB_TRACE_UNMAP(leaf);
        space_leave(leaf);
    }
    mapdb_drop_nameless(leaf);
}
