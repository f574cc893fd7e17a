// SPDX-License-Identifier: MIT
/*
 * Between the files of rules about trees, spaces and kernel memory: what a pointer leads to, and walks.  All
 * read only, follow no pointer before it was found to lead to where such a thing may live, and so end on a
 * damaged structure, too.
 */
#ifndef KERNEL_CHECK_WALK_H
#define KERNEL_CHECK_WALK_H

#include "kernel/check.h"
#include "kernel/mapdb.h"
#include "kernel/task.h"

/* ---- what a pointer leads to ---- */

struct frame *check_frame_of(const void *p); /* NULL: to no memory */
/* The tag of the unit at p, UNIT_FREE if p is not the start of a unit in a chunked frame. */
enum unit_tag check_tag_at(const void *p);
enum l4_type check_tag_type(enum unit_tag tag);
bool check_is_object(const struct kobj *o);
bool check_is_task(const struct task *task);
/* A free-standing node, or the root at the head of an object, or a kernel root. */
bool check_is_node(const struct node *n);

/* ---- walks ---- */

#define WALK_LIMIT (1u << 22) /* no list of a 32-bit machine's kernel memory is longer */

/* Roots of all trees: memory blocks, IO, objects; NULL at the end.  *w begins as { 0 }. */
struct check_roots { uint32_t memory; bool io; struct kobj *object; };
const struct node *check_root_next(struct check_roots *w);
/* The node behind n in the tree of root; NULL at the end or if the list leads nowhere (MDB-4 reports). */
const struct node *check_tree_next(const struct node *root, const struct node *n);
/* Tasks whose directories are where they can be; OBJ-3 reports others. */
struct task *check_task_next(struct task *previous);
/* The first frame from `frame` on that is part of a kernel page, or frame_count. */
uint32_t check_kernel_frame(uint32_t frame);
/* May rights be inconsistent along a tree for a while? */
bool check_in_flux(void);

/* For messages: a node as its address, its task and its name. */
#define NODE_FORMAT "node %p (tk%u %x)"
#define NODE_ARGS(n) (const void *)(n), (n)->task && check_is_task((n)->task) ? (n)->task->obj.id : 0u, (n)->name

#endif
