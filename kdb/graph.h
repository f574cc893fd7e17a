// SPDX-License-Identifier: MIT
/*
 * Who can pass what to whom: the graph of tasks behind who, reach, path and sep.
 *
 * A link leads from one task to another.  Three models, named in every answer:
 *
 *   held   no links: what tasks have now
 *   send   a task that may send maps over an endpoint passes what it has to those that may receive there
 *   full   send, and a task that controls a thread of another, or may bind threads to it, has its authority
 *
 * Everybody is assumed to cooperate: capabilities that can be got are used for further links.  sep asks
 * for more, for any influence: it adds messages without maps, shared memory and ports, and common kernel pages.
 */
#ifndef KDB_GRAPH_H
#define KDB_GRAPH_H

#include "kdb/engine.h"

#define GRAPH_TASKS 256u

enum graph_model { GRAPH_HELD, GRAPH_SEND, GRAPH_FULL, GRAPH_FLOW };

#define LINK_LIST(X)                                                     \
    X(MAP, "map")          /* endpoint: send and map, other side receive */ \
    X(MESSAGE, "message")  /* endpoint: send, other side receive */         \
    X(CONTROL, "control")  /* `to` controls a thread of `from`, or binds threads to it */ \
    X(MEMORY, "memory")    /* one writes what the other reads */            \
    X(PORT, "port")        /* both use the same IO ports */                 \
    X(KPAGE, "kernel page") /* both allocate from it */
enum graph_link_kind {
#define X(name, text) LINK_##name,
    LINK_LIST(X)
#undef X
};

/* What makes a link: the capability or mapping of either side, and the object, if it is one. */
struct graph_link {
    enum graph_link_kind kind;
    const struct task *from, *to;
    const struct node *a, *b; /* of `from`, of `to`; CONTROL: only b */
    const struct kobj *over;
};

struct graph_set { uint32_t word[GRAPH_TASKS / 32]; };

/* Step of a path.  lender: whose capability is used, if `from` has first to get it; else NULL. */
struct graph_hop { const struct task *from, *to, *lender; };

bool graph_parse_model(struct kdb *k, const char *text, enum graph_model *model);
const char *graph_model_name(enum graph_model model);
const char *graph_link_name(enum graph_link_kind kind);

/* Build it.  without: these tasks pass nothing on.  False: failed (LIMIT, CORRUPT, ^C). */
bool graph_build(struct kdb *k, enum graph_model model, const struct graph_set *without);
struct graph_set graph_without(void); /* of the last build */
/* Only number the tasks, for sets: graph_build() does it, too. */
bool graph_number(struct kdb *k);
unsigned graph_count(void);
const struct task *graph_task(unsigned i);
int graph_index(const struct task *task); /* -1: none of ours */

void graph_add(struct graph_set *set, int task);
bool graph_has(const struct graph_set *set, int task);

/* Can what `from` has come to `to`?  Always true for itself. */
bool graph_passes(int from, int to);
/* A shortest way from any of `sources` to `to`; the number of hops, 0: none or more than max. */
unsigned graph_path(struct kdb *k, const struct graph_set *sources, int to, struct graph_hop *hop, unsigned max);
/* The first link from one task to another that the model of the last graph_build() counts. */
bool graph_find_link(struct kdb *k, const struct task *from, const struct task *to, struct graph_link *out);
/* All links of the flow model; fn says true to stop. */
void graph_each_link(struct kdb *k, bool (*fn)(struct kdb *k, const struct graph_link *link, void *arg), void *arg);

#endif
