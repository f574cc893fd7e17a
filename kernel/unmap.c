// SPDX-License-Identifier: MIT
/*
 * unmap: take rights back from everything that was mapped from the caller's names, and tell which pages
 * were used.  [M 2.1.1] [M 3.2.3] [G26] [G27]
 *
 * One flexpage after the other, one name after the other, one revocation at a time (thread.revoke); names
 * are looked up anew for each.  So nothing but numbers lasts over a preemption point, and the call can be
 * repeated with the same arguments at any time.
 *
 * Stages of one call (thread.names.stage), each of which may be left and come back to:
 *
 *    CHECK ... -> LOAD -> NAMES -> STORE -> LOAD ... -> (index == count) reap -> over
 */
#include "kernel/flexpage.h"
#include "kernel/page.h"
#include "kernel/reap.h"
#include "kernel/sys.h"

enum unmap_stage { UNMAP_CHECK, UNMAP_LOAD, UNMAP_NAMES, UNMAP_STORE };

/*
 * Between preemption points: a name looked at counts 1, one that holds something 4, and each node below it 2, or 4
 * if it vanishes; a word of the list 4.  An IO node is a stretch of its own.  [G42]
 */
#define UNMAP_WORK   64u
#define UNMAP_TARGET 3u     /* beside the look */
#define UNMAP_NODE   2u
#define UNMAP_WORD   4u
#define COUNTS_MASK 0xffff0u /* FC and UC, as they stand in W0 of input and output */
#define ONE_TO_UNMAP 0x10u   /* of these: UC 1, FC 0 */
#define ONE_TO_FLUSH 0x1000u
#define COUNT_MAX  255u
#define REGISTER_PAGES 4u    /* flexpages in W1..W4 */

/* What stands at a name, and which part of it the flexpage selects, in object addresses. */
struct target {
    struct node *node;
    uint32_t lo, last;
};

ALWAYS_INLINE unsigned unmap_count(const struct thread *t) { return (t->frame.w[0] >> 4) & 255u; }
ALWAYS_INLINE unsigned flush_count(const struct thread *t) { return (t->frame.w[0] >> 12) & 255u; }

static void unmap_finish(struct thread *t, uint32_t error)
{
    sys_finish(t, (t->frame.w[0] & COUNTS_MASK) | error);
}

static void unmap_bad_flexpage(struct thread *t, unsigned index)
{
    unmap_finish(t, L4_ERR(L4_PARAM, L4_D_BAD_FLEXPAGE, min_u32(index + 1u, 15)));
}

/* ---- the next name that holds something: true and *out, with *offset behind it ---- */

/* To the end of the 4 MB block around `name`. */
static uint32_t block_rest(uint32_t name)
{
    return TABLE_NAMES - ((name >> L4_NAME_SHIFT) & (TABLE_NAMES - 1u));
}

static bool next_cap(const struct task *task, uint32_t name, uint32_t *offset, struct target *out)
{
    struct node **table = task->cap_dir[name >> SUPER_SHIFT];

    if (!table) {
        *offset += block_rest(name);
        return false;
    }
    *offset += 1;
    *out = (struct target){ table[(name >> L4_NAME_SHIFT) & (TABLE_NAMES - 1u)], 0, 0xffffffffu };
    return out->node != NULL;
}

static bool next_mem(const struct task *task, uint32_t name, uint32_t names, uint32_t *offset,
                     struct target *out)
{
    uint32_t entry = task->pd_shadow[name >> SUPER_SHIFT];

    if (!entry) {
        *offset += block_rest(name);
        return false;
    }
    if (entry & 1u) {
        uint32_t part = min_u32(block_rest(name), names - *offset);

        out->node = (struct node *)(uintptr_t)(entry & ~1u);
        out->lo = out->node->obj + (name - node_base(out->node));
        out->last = out->lo + (part << L4_NAME_SHIFT) - 1u;
        *offset += part;
        return true;
    }
    out->node = ((struct node **)(uintptr_t)entry)[(name >> L4_NAME_SHIFT) & (TABLE_NAMES - 1u)];
    *offset += 1;
    if (!out->node)
        return false;
    out->lo = out->node->obj;
    out->last = out->lo + PAGE_SIZE - 1u;
    return true;
}

static bool next_io(const struct task *task, const struct flexpage *fp, uint32_t *offset,
                    struct target *out)
{
    uint32_t first = fp->base + (*offset << L4_NAME_SHIFT);
    uint32_t last = fp->base + fp->mask;
    struct node *n = io_at_or_behind(task, first);

    if (!n || n->obj > last) {
        *offset = fp->names;
        return false;
    }
    *out = (struct target){ n, max_u32(first, n->obj), min_u32(last, node_last(n)) };
    *offset = ((out->last - fp->base) >> L4_NAME_SHIFT) + 1u;
    return true;
}

static bool next_target(const struct task *task, const struct flexpage *fp, uint32_t *offset,
                        struct target *out)
{
    uint32_t name = fp->base + (*offset << L4_NAME_SHIFT);

    if (fp->space == L4_SPACE_MEM)
        return next_mem(task, name, fp->names, offset, out);
    if (fp->space == L4_SPACE_CAP)
        return next_cap(task, name, offset, out);
    return next_io(task, fp, offset, out);
}

/* ---- one flexpage ---- */

ALWAYS_INLINE void spend(unsigned *work, unsigned cost)
{
    *work = *work > cost ? *work - cost : 0;
}

/* Enough done: a preemption point.  True: the progress is in t, somebody else runs first. */
static bool pause(unsigned *work)
{
    if (LIKELY(*work))
        return false;
    *work = UNMAP_WORK;
    return preempt_point(PREEMPT_NAMES);
}

static enum step unmap_names(struct thread *t, const struct flexpage *fp, bool flush, unsigned *work)
{
    struct name_state *s = &t->names;
    uint32_t mask = fp->rights;
    bool memory = fp->space == L4_SPACE_MEM;

    if (!mask && !memory)
        return STEP_DONE; /* nothing to take, and only memory has reference bits */
    for (;;) {
        struct target target;

        if (t->revoke.active) {
            if (revoke_step(&t->revoke) == STEP_PREEMPTED)
                return STEP_PREEMPTED;
            s->refs |= t->revoke.refs;
            spend(work, UNMAP_TARGET + UNMAP_NODE * t->revoke.spent);
        }
        if (s->offset >= fp->names)
            return STEP_DONE;
        if (pause(work))
            return STEP_PREEMPTED;
        spend(work, 1);
        if (UNLIKELY(fp->space == L4_SPACE_IO))
            *work = 0; /* goes along a list of up to 256 ports */
        if (!next_target(t->task, fp, &s->offset, &target))
            continue;
        if (!memory && !node_has_children(target.node)) {
            if (!flush)
                continue;
            if (revoke_creator(target.node, mask)) {
                spend(work, UNMAP_TARGET);
                continue;
            }
        }
        if (LIKELY(!flush)) {
            if (revoke_below(&t->revoke, target.node, target.lo, target.last, mask) == STEP_PREEMPTED)
                return STEP_PREEMPTED;
            s->refs |= t->revoke.refs;
            spend(work, UNMAP_TARGET + UNMAP_NODE * t->revoke.spent);
        } else {
            revoke_start(&t->revoke, target.node, target.lo, target.last, mask, REVOKE_SELF);
        }
    }
}

/* R of the output word: a page that was read may have been executed.  [G27] */
static uint32_t refs_word(uint32_t refs)
{
    return (refs & (L4_R | L4_W)) | (refs & L4_R ? L4_X : 0u);
}

/* The word of flexpage `index`: mostly in a register. */
ALWAYS_INLINE bool load_word(struct thread *t, unsigned index, uint32_t *value, thread_cont *cont)
{
    if (UNLIKELY(index >= REGISTER_PAGES))
        return sys_get_words(t, index + 1u, value, 1, cont);
    *value = t->frame.w[index + 1u];
    return true;
}

ALWAYS_INLINE bool store_word(struct thread *t, unsigned index, uint32_t value, thread_cont *cont)
{
    if (UNLIKELY(index >= REGISTER_PAGES))
        return sys_put_words(t, index + 1u, &value, 1, cont);
    t->frame.w[index + 1u] = value;
    return true;
}

/* ---- the call ---- */

static void unmap_continue(struct thread *t);

/* Destroyed objects may include this thread or its task.  */
static void unmap_reap(struct thread *t)
{
    enum step step = reap_run(t);

    if (step == STEP_GONE || !t->task)
        return; /* nobody is left to hear the result */
    if (step == STEP_PREEMPTED)
        t->cont = unmap_continue;
    else
        unmap_finish(t, 0);
}

/* All or none: look at the whole list before anything is taken from anybody.  False: not yet, or refused. */
static bool unmap_check(struct thread *t, unsigned count, unsigned *work)
{
    struct name_state *s = &t->names;
    struct flexpage fp;
    uint32_t word;

    for (; s->index < count; s->index++) {
        if (pause(work)) {
            t->cont = unmap_continue;
            return false;
        }
        spend(work, UNMAP_WORD);
        if (!load_word(t, s->index, &word, unmap_continue))
            return false;
        if (flexpage_decode(word, &fp) != L4_D_NONE) {
            unmap_bad_flexpage(t, s->index);
            return false;
        }
    }
    s->index = 0;
    s->stage = UNMAP_LOAD;
    return true;
}

ALWAYS_INLINE void unmap_end(struct thread *t)
{
    if (UNLIKELY(reap_pending()))
        unmap_reap(t);
    else
        unmap_finish(t, 0);
}

static void unmap_continue(struct thread *t)
{
    struct name_state *s = &t->names;
    unsigned count = unmap_count(t) + flush_count(t), work = UNMAP_WORK;

    if (s->stage == UNMAP_CHECK && !unmap_check(t, count, &work))
        return;
    for (; s->index < count; s->index++, s->stage = UNMAP_LOAD) {
        struct flexpage fp;

        if (s->stage == UNMAP_LOAD) {
            if (pause(&work)) {
                t->cont = unmap_continue;
                return;
            }
            spend(&work, 2u * UNMAP_WORD); /* it is stored, too */
            if (!load_word(t, s->index, &s->fpage, unmap_continue))
                return;
            s->offset = 0;
            s->refs = 0;
            s->stage = UNMAP_NAMES;
        }
        if (s->stage == UNMAP_NAMES) {
            /* The list is user memory: it may read differently now. */
            if (flexpage_decode(s->fpage, &fp) != L4_D_NONE) {
                unmap_bad_flexpage(t, s->index);
                return;
            }
            if (unmap_names(t, &fp, s->index >= unmap_count(t), &work) == STEP_PREEMPTED) {
                t->cont = unmap_continue;
                return;
            }
            s->stage = UNMAP_STORE;
        }
        if (!store_word(t, s->index, refs_word(s->refs), unmap_continue))
            return;
    }
    unmap_end(t);
}

/* The only flexpage of the call lies in one page of the caller's memory: most calls.  False: nothing is done. */
NO_FRAME_POINTER static bool unmap_one(struct thread *t)
{
    uint32_t word = t->frame.w[1], base, mask, part;
    unsigned order = flexpage_order_in(word, L4_SPACE_MEM);
    struct node *node;

    if (UNLIKELY(order > SUPER_SHIFT - L4_NAME_SHIFT))
        return false;
    mask = flexpage_mask(order + L4_NAME_SHIFT);
    base = word & ~mask;
    node = LIKELY(base < L4_USER_TOP) ? page_lookup(t->task, base) : NULL;
    if (UNLIKELY(!node) || UNLIKELY(order && node_size(node) != SUPER_SHIFT))
        return false;
    part = node->obj + (base - node_base(node));
    if (UNLIKELY(revoke_below(&t->revoke, node, part, part + mask, word & L4_RIGHTS_ALL) == STEP_PREEMPTED)) {
        t->names.index = 0;
        t->names.stage = UNMAP_NAMES;
        t->names.fpage = word;
        t->names.offset = (mask >> L4_NAME_SHIFT) + 1u;
        t->names.refs = 0;
        t->cont = unmap_continue;
        return true;
    }
    t->frame.w[1] = refs_word(t->revoke.refs);
    unmap_end(t);
    return true;
}

/* It is the creator's capability, from which nothing was mapped: the object dies.  False: nothing is done. */
static bool flush_one(struct thread *t)
{
    uint32_t word = t->frame.w[1];
    struct node *node;

    if (flexpage_order_in(word, L4_SPACE_CAP) != 0)
        return false;
    node = cap_lookup(t->task, word >> L4_NAME_SHIFT);
    if (!node || !revoke_creator(node, word & L4_RIGHTS_ALL))
        return false;
    t->names.index = 1; /* the end of the list: only reaping is left */
    t->names.stage = UNMAP_LOAD;
    t->frame.w[1] = 0;
    unmap_end(t);
    return true;
}

static void unmap_list(struct thread *t)
{
    unsigned count = unmap_count(t) + flush_count(t);

    if (count > COUNT_MAX) {
        unmap_finish(t, L4_ERR(L4_PARAM, L4_D_BAD_COUNT, 0));
        return;
    }
    t->names.index = 0;
    t->names.stage = count > 1 ? UNMAP_CHECK : UNMAP_LOAD;
    unmap_continue(t);
}

NO_FRAME_POINTER void sys_unmap(struct thread *t)
{
    uint32_t counts = t->frame.w[0] & COUNTS_MASK;

    if (!(counts == ONE_TO_UNMAP ? unmap_one(t) : counts == ONE_TO_FLUSH && flush_one(t)))
        unmap_list(t);
}
