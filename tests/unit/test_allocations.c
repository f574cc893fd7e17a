// SPDX-License-Identifier: MIT
/*
 * Each allocation of each call made to fail.  [M 2.5] [G13] [G14] [G15] [G24] [G25] [G52]
 *
 * The linker puts functions of this file between the kernel and the three that allocate by name, kmem_alloc(),
 * kmem_alloc_page() and kmem_alloc_node_slow() (sources.mk).  A scenario is done again and again, each time in a
 * process of its own that begins with the same kernel: first its first allocation fails, then its second, until
 * it is over before one has failed.  Either that one fails alone, or all behind it as well; in one go, or with a
 * preemption at every point.  What is compared afterwards, with the text of tests/unit/state.h:
 *
 *   calls       `create` and convert: error NOMEM, and the state is that from before.
 *   accesses    a page fault that needs a view: the state is the one that follows if TCR 11 names nothing.
 *   messages    are delivered, and end with error MAP, which names the first item that is not complete and why.
 *               What an item has done before stays, and is what the receiver is told: names in ascending order,
 *               each with a child of its source; without a node the item is over, without a table the block is
 *               left out.  When what was mapped is unmapped, and the tables are given back, the state is the
 *               one that follows if the message has no items.
 *
 * All invariants hold each time, and the same once more, with nothing failing, succeeds.
 *
 * At the end every instruction of the program that calls one of the three must have been made to fail: they
 * are found in the program's text.  Units that a caller takes by itself where it took the last one from
 * (kpage_take_unit) are no place of failure: if there are none it asks one of the three.  Boot counts what it needs
 * before (kmem_alloc_in), and stops if it was wrong.
 */
#include "tests/unit/pair.h"

#include <sys/mman.h>

#include "kernel/fault.h"
#include "tests/unit/state.h"

/* ---- allocations fail ---- */

#define SITES_MOST 64u

extern const unsigned char __executable_start[], etext[]; /* the linker */
static uintptr_t sites[SITES_MOST];
static unsigned site_count;
static unsigned *site_failures; /* shared by all processes */

static unsigned fail_at;   /* number of the allocation; 0: none fails */
static bool fail_onward;   /* and all behind it */
static unsigned asked, failed;

static bool fails(const struct kres *res, const void *site)
{
    const struct kres in_one_go = { .task = res->task, .fpage = res->fpage };

    if (!fail_at || kres_usable(&in_one_go) != L4_D_NONE) /* it fails anyway */
        return false;
    asked++;
    if (asked < fail_at || (asked > fail_at && !fail_onward))
        return false;
    failed++;
    for (unsigned i = 0; i < site_count; i++)
        if (sites[i] == (uintptr_t)site)
            site_failures[i]++;
    return true;
}

/* Of the types that the kernel declares. */
__typeof__(kmem_alloc) __real_kmem_alloc, __wrap_kmem_alloc;
__typeof__(kmem_alloc_page) __real_kmem_alloc_page, __wrap_kmem_alloc_page;
__typeof__(kmem_alloc_node_slow) __real_kmem_alloc_node_slow, __wrap_kmem_alloc_node_slow;

void *__wrap_kmem_alloc(const struct kres *res, unsigned size, enum unit_tag tag, enum l4_detail *detail)
{
    if (fails(res, __builtin_return_address(0))) {
        *detail = L4_D_RES_FULL;
        return NULL;
    }
    return __real_kmem_alloc(res, size, tag, detail);
}

void *__wrap_kmem_alloc_page(const struct kres *res, enum frame_use use, struct task *owner, enum l4_detail *detail)
{
    if (fails(res, __builtin_return_address(0))) {
        *detail = L4_D_RES_ALIGN;
        return NULL;
    }
    return __real_kmem_alloc_page(res, use, owner, detail);
}

void *__wrap_kmem_alloc_node_slow(const struct kres *res, struct kpage **page, enum l4_detail *detail)
{
    void *node;

    if (fails(res, __builtin_return_address(0))) {
        *detail = L4_D_RES_FULL;
        return NULL;
    }
    node = __real_kmem_alloc_node_slow(res, page, detail);
    *page = NULL; /* the next one comes here, too */
    return node;
}

/* The calls in the program's text: E8 and the distance.  A jump, E9, would hide who asks. */
static void find_sites(void)
{
    const uintptr_t wrapped[] = { (uintptr_t)__wrap_kmem_alloc, (uintptr_t)__wrap_kmem_alloc_page,
                                  (uintptr_t)__wrap_kmem_alloc_node_slow };

    for (const unsigned char *at = __executable_start; at + 5 <= etext; at++) {
        uint32_t distance;

        if (*at != 0xe8 && *at != 0xe9)
            continue;
        memcpy(&distance, at + 1, sizeof distance);
        for (unsigned i = 0; i < ARRAY_SIZE(wrapped); i++) {
            if ((uintptr_t)(at + 5) + distance != wrapped[i])
                continue;
            EXPECT(*at == 0xe8 && site_count < SITES_MOST);
            sites[site_count++] = (uintptr_t)(at + 5);
        }
    }
    EXPECT(site_count >= 11); /* four lone objects, a task and its pages, three pages of tables, a view, nodes */
}

/* ---- scenarios ---- */

#define TARGET    0x2d0u
#define TARGET_IN_NEW_TABLE 0x5000u
#define EP_FAULT  0x2e0u
#define EP_ANSWER 0x2e1u
#define EP_START  0x2e2u
#define PURSE     0x2e3u      /* a kernel page for nodes */
#define PURSE_PAGES 0x01000000u
#define CAPS      0x800u      /* sigma0: some capabilities in two tables */
#define BLOCK     0x00c00000u /* sigma0: a 4 MB page */
#define BLOCK_TO  0x20000000u /* names in the receiver */
#define WORD      0xfeed0001u

#define EXIT_OVER 2 /* no allocation failed */

static struct task *to;         /* gets the items */
static struct thread *receiver;
static uint32_t word = WORD;

static uint32_t make_endpoint(void) { return create(L4_TYPE_ENDPOINT, TARGET, 0, 0); }
static uint32_t make_thread(void) { return create(L4_TYPE_THREAD, TARGET, 0, 0); }
static uint32_t make_reservation(void) { return create(L4_TYPE_RESERVATION, TARGET, 0, 0); }
static uint32_t make_task(void) { return create(L4_TYPE_TASK, TARGET, 0, 0); }
static uint32_t make_kernel_page(void)
{
    return create(L4_TYPE_KPAGE, TARGET, L4_FPAGE(BLOCK + 0x5000, L4_SPACE_MEM, 13, L4_T), 0);
}
static uint32_t make_in_new_table(void) { return create(L4_TYPE_ENDPOINT, TARGET_IN_NEW_TABLE, 0, 0); }
static uint32_t make_kernel_page_in_new_table(void)
{
    return create(L4_TYPE_KPAGE, TARGET_IN_NEW_TABLE, L4_FPAGE(BLOCK + 0x8000, L4_SPACE_MEM, 12, L4_T), 0);
}
static uint32_t make_task_with(uint32_t id, uint32_t from, uint32_t at)
{
    return create(L4_TYPE_TASK, id, from, L4_FPAGE(at, (from >> 10) & 3u, (from >> 4) & 63u, 15));
}
static uint32_t make_task_with_capabilities(void)
{
    return make_task_with(TARGET, L4_FPAGE(L4_CAP(CAPS), L4_SPACE_CAP, 16, 15), 0);
}
static uint32_t make_task_with_two_tables(void)
{
    return make_task_with(TARGET_IN_NEW_TABLE, L4_FPAGE(L4_CAP(CAPS), L4_SPACE_CAP, 23, 15), 0);
}
static uint32_t make_task_with_pages(void)
{
    return make_task_with(TARGET, L4_FPAGE(BLOCK, L4_SPACE_MEM, 17, 15), BLOCK_TO);
}
static uint32_t make_task_with_block(void)
{
    return make_task_with(TARGET_IN_NEW_TABLE, L4_FPAGE(BLOCK, L4_SPACE_MEM, 22, 15), BLOCK_TO);
}
static uint32_t make_task_with_ports(void) { return make_task_with(TARGET, io_fpage(0x20, 5, 15), 0x20u << 12); }

/* sigma0 wakes the peer and waits to be its handler. */
static void peer_runs(void)
{
    EXPECT(host_call(s0, L4_IPC_W0(L4_CAP(EP_THERE), 0, 0), L4_IPC_W1(L4_CAP(EP_FAULT), 0, 4, L4_TS_NEVER),
                     0, 0, 0) == peer);
}

/* The peer runs, touches its 4 MB page, of which a part is converted, and is sigma0's again. */
static uint32_t touch_view(void)
{
    struct thread *next;

    peer_runs();
    fault_memory(peer, BLOCK_TO + 0x6000, L4_R, NULL);
    next = host_run();
    if (next == s0) {
        EXPECT_EQ(s0->frame.w[2], L4_FAULT_M0(L4_OP_PAGETABLE, 15, L4_D_NO_PAGETABLE, L4_TYPE_MEMORY, L4_R));
        return L4_ERR(L4_NOMEM, L4_D_NO_PAGETABLE, 0);
    }
    EXPECT(next == peer && host_access(there, BLOCK_TO + 0x6000, L4_R));
    return 0;
}

/* ---- messages: the three kinds of receivers ---- */

static const struct item *items;
static unsigned item_count;
static struct item told[L4_ITEMS_MAX]; /* what the receiver got */
static unsigned told_count;

static struct thread *send(uint32_t ep, uint32_t answer)
{
    uint32_t *more = scratch(), all[2 * L4_ITEMS_MAX] = { 0 };

    for (unsigned i = 0; i < item_count; i++) {
        all[2 * i] = items[i].a;
        all[2 * i + 1] = items[i].b;
    }
    memcpy(more, all + 2, 4 * sizeof *all);
    return host_call(s0, L4_IPC_W0(ep, item_count, 1), L4_IPC_W1(answer, 0, 0, 0), word, all[0], all[1]);
}

static void hear(const uint32_t *first, unsigned count)
{
    told_count = count;
    for (unsigned i = 0; i < count; i++)
        told[i] = (struct item){ first[2 * i], first[2 * i + 1] };
}

/* And waits for the next message with room for a word and items. */
static void peer_answers(void)
{
    struct thread *next = host_call(peer, L4_IPC_W0(L4_CAP(EP_BACK), 0, 0),
                                    L4_IPC_W1(L4_CAP(EP_THERE), L4_ITEMS_MAX, 1, L4_TS_NEVER), 0, 0, 0);

    EXPECT(next == s0);
}

static uint32_t to_peer(void)
{
    uint32_t words[2 * L4_ITEMS_MAX] = { 0 };
    struct thread *next = send(L4_CAP(EP_THERE), L4_CAP(EP_BACK));

    EXPECT(next == peer);
    EXPECT_EQ((peer->frame.w[0] >> 4) & 63u, 1);
    EXPECT_EQ(*thread_word(peer, 2), word);
    for (unsigned i = 0; i < ARRAY_SIZE(words); i++)
        words[i] = *thread_word(peer, 3 + i);
    hear(words, (peer->frame.w[0] >> 10) & 3u);
    peer_answers();
    return s0->frame.w[0] & ~0xff0u;
}

/* A message that the kernel receives for a thread: the first one of a thread's life, or the answer to a fault. */
static uint32_t to_kernel(uint32_t ep)
{
    struct thread *next = send(ep, L4_CAP_INVALID);

    EXPECT(next == s0);
    EXPECT_EQ(receiver->kmsg[0], word);
    EXPECT_EQ(receiver->kipc.oc, 1);
    hear(receiver->kmsg + 1, receiver->kipc.ot);
    return s0->frame.w[0] & ~0xff0u;
}
static uint32_t to_newborn(void) { return to_kernel(L4_CAP(EP_START)); }
static uint32_t to_faulter(void) { return to_kernel(L4_CAP(EP_ANSWER)); }

/* ---- messages: what has come of them ---- */

static unsigned item_order(uint32_t a) { return (a >> 4) & 63u; }

static struct node *at_name(const struct task *task, unsigned space, uint32_t name)
{
    return space == L4_SPACE_MEM ? mem_lookup(task, name) :
           space == L4_SPACE_CAP ? cap_lookup(task, name >> 12) : io_lookup(task, name >> 12);
}

static bool has_table(const struct task *task, unsigned space, uint32_t name)
{
    return space == L4_SPACE_CAP ? task->cap_dir[name >> SUPER_SHIFT] != NULL :
           space == L4_SPACE_MEM ? task->pd_shadow[name >> SUPER_SHIFT] != 0 : true;
}

struct outcome { unsigned wanted, have, missing; bool gap; };

/* Names of a map item: those with a source, those that have come, the first that has not; gap: one behind that has. */
static struct outcome look_at_names(const struct item *item)
{
    unsigned space = (item->a >> 10) & 3u, names = 1u << (item_order(item->a) - 12u);
    uint32_t mask = (names << 12) - 1u, from = item->a & ~0xfffu;
    uint32_t name = space == L4_SPACE_IO ? from : item->b & ~0xfffu & ~mask;
    struct outcome o = { .missing = ~0u };

    for (unsigned i = 0; i < names; i++) {
        const struct node *source = at_name(s0->task, space, from + (i << 12));
        const struct node *child = at_name(to, space, name + (i << 12));

        if (!source) {
            EXPECT(!child);
            continue;
        }
        o.wanted++;
        if (child) {
            EXPECT(child->parent == source && node_rights(child) == (node_rights(source) & item->a));
            o.gap |= o.missing != ~0u;
            o.have++;
        } else if (o.missing == ~0u) {
            o.missing = name + (i << 12);
        }
    }
    return o;
}

static uint8_t tables_before[2][TABLE_NAMES], view_before[TABLE_NAMES];

static bool has_view(uint32_t name)
{
    uint32_t entry = to->pd_shadow[name >> SUPER_SHIFT];

    return entry & 1u && shadow_super(entry)->flags & NODE_VIEW;
}

static void remember_tables(void)
{
    for (unsigned i = 0; i < TABLE_NAMES; i++) {
        tables_before[L4_SPACE_CAP][i] = has_table(to, L4_SPACE_CAP, i << SUPER_SHIFT);
        tables_before[L4_SPACE_MEM][i] = i < USER_ENTRIES && has_table(to, L4_SPACE_MEM, i << SUPER_SHIFT);
        view_before[i] = i < USER_ENTRIES && has_view(i << SUPER_SHIFT);
    }
}

/* Tables of a table item: all blocks from the first on, as many as were made. */
static struct outcome look_at_tables(const struct item *item)
{
    unsigned space = (item->b >> 10) & 3u, blocks = 1u << (item_order(item->b) - SUPER_SHIFT);
    uint32_t first = (item->b & ~0xfffu & ~((blocks << SUPER_SHIFT) - 1u)) >> SUPER_SHIFT;
    struct outcome o = { .missing = ~0u };

    for (unsigned i = first; i < first + blocks; i++) {
        bool super = space == L4_SPACE_MEM && to->pd_shadow[i] & 1u;
        bool before = super ? view_before[i] : tables_before[space][i];
        bool now = super ? has_view(i << SUPER_SHIFT) : has_table(to, space, i << SUPER_SHIFT);

        if (before)
            continue;
        o.wanted++;
        o.have += now;
        o.gap |= now && o.missing != ~0u;
        if (!now && o.missing == ~0u)
            o.missing = i << SUPER_SHIFT;
    }
    return o;
}

static void expect_items(uint32_t w0)
{
    unsigned at = 0, first = L4_ITEMS_MAX;

    for (unsigned i = 0; i < item_count; i++) {
        unsigned kind = items[i].b & 15u, space = (items[i].a >> 10) & 3u, count;
        struct outcome o;

        if (kind != L4_ITEM_MAP && kind != L4_ITEM_TABRES)
            continue;
        o = kind == L4_ITEM_MAP ? look_at_names(&items[i]) : look_at_tables(&items[i]);
        EXPECT(at < told_count);
        count = told[at].b >> 12;
        EXPECT_EQ(told[at].b & 15u, kind);
        EXPECT(kind == L4_ITEM_TABRES || (told[at].a != 0) == (count != 0));
        at++;
        /* A table that a table item could not make may have come with the map item behind it. */
        EXPECT(count == o.have || (kind == L4_ITEM_TABRES && count < o.have && i + 1u < item_count));
        if (count == o.wanted)
            continue;
        if (first == L4_ITEMS_MAX) {
            enum l4_detail why = (enum l4_detail)L4_ERR_DETAIL(w0);

            first = i;
            EXPECT_EQ(L4_ERR_BASE(w0), L4_MAP);
            EXPECT_EQ(L4_ERR_INDEX(w0), i);
            if (kind == L4_ITEM_TABRES)
                EXPECT(why == L4_D_RES_ALIGN && !o.gap);
            else if (why == L4_D_RES_FULL)
                EXPECT(!o.gap);
            else
                EXPECT(why == (space == L4_SPACE_CAP ? L4_D_NO_CAPTABLE : L4_D_NO_PAGETABLE) &&
                       !has_table(to, space, o.missing));
        }
    }
    EXPECT_EQ(at, told_count);
    if (first == L4_ITEMS_MAX)
        EXPECT_EQ(w0, 0);
}

static void take_items_back(void)
{
    for (unsigned i = 0; i < item_count; i++)
        if ((items[i].b & 15u) == L4_ITEM_MAP)
            EXPECT_EQ(take(items[i].a | 15u, false) & 15u, 0);
    for (unsigned i = 0; i < TABLE_NAMES; i++) {
        if (!tables_before[L4_SPACE_CAP][i])
            space_drop_table(to, L4_SPACE_CAP, i << SUPER_SHIFT);
        if (i < USER_ENTRIES && (!tables_before[L4_SPACE_MEM][i] || (has_view(i << SUPER_SHIFT) && !view_before[i])))
            space_drop_table(to, L4_SPACE_MEM, i << SUPER_SHIFT);
    }
}

/* ---- preparations: each in the process of one scenario ---- */

static void prepare_caps(void)
{
    EXPECT_EQ(create(L4_TYPE_ENDPOINT, CAPS, 0, 0), 0);
    EXPECT_EQ(create(L4_TYPE_ENDPOINT, CAPS + 1, 0, 0), 0);
    EXPECT_EQ(create(L4_TYPE_RESERVATION, CAPS + 5, 0, 0), 0);
    EXPECT_EQ(create(L4_TYPE_ENDPOINT, CAPS + 0x400, 0, 0), 0);
    EXPECT_EQ(create(L4_TYPE_ENDPOINT, CAPS + 0x402, 0, 0), 0);
}

static void pay_tables(void) /* the peer's TCR 11 */
{
    EXPECT_EQ(map(L4_CAP_FPAGE(L4_S0_KPAGE, L4_W), L4_CAP(0x300)), 0);
    peer->tcr[L4_TCR_RCVRES] = L4_CAP_FPAGE(0x300, L4_W);
}
static void prepare_tables(void) { back(L4_SPACE_MEM, BLOCK_TO); }
static void prepare_payer(void)
{
    prepare_caps();
    pay_tables();
}
static void prepare_super(void) /* the peer has a 4 MB page of which a part is converted */
{
    EXPECT_EQ(map(L4_FPAGE(BLOCK, L4_SPACE_MEM, 22, 15), BLOCK_TO), 0);
    EXPECT_EQ(create(L4_TYPE_KPAGE, 0x2f0, L4_FPAGE(BLOCK + 0x5000, L4_SPACE_MEM, 12, L4_T), 0), 0);
}
static void prepare_handler(void)
{
    EXPECT_EQ(create(L4_TYPE_ENDPOINT, EP_FAULT, 0, 0), 0);
    EXPECT_EQ(create(L4_TYPE_ENDPOINT, EP_ANSWER, 0, 0), 0);
    EXPECT_EQ(map(L4_FPAGE(L4_CAP(EP_FAULT), L4_SPACE_CAP, 13, 15), L4_CAP(EP_FAULT)), 0);
    peer->tcr[L4_TCR_FAULT_SND] = L4_CAP(EP_FAULT);
    peer->tcr[L4_TCR_FAULT_RCV] = L4_CAP(EP_ANSWER);
}
static void prepare_view(void)
{
    prepare_super();
    prepare_handler();
    pay_tables();
}
static void without_payer(void) { peer->tcr[L4_TCR_RCVRES] = 0; }
static void with_payer(void) { peer->tcr[L4_TCR_RCVRES] = L4_CAP_FPAGE(0x300, L4_W); }

/* The peer has sent a fault message to sigma0 and waits for the answer. */
static void prepare_fault(void)
{
    prepare_payer();
    prepare_handler();
    peer_runs();
    fault_memory(peer, BLOCK_TO, L4_W, NULL);
    EXPECT(host_run() == s0);
    word = L4_REPLY_RETRY;
}

/* A thread of a task that has nothing but capability 0 waits there for its first message. */
static void prepare_newborn(void)
{
    prepare_caps();
    EXPECT_EQ(create(L4_TYPE_ENDPOINT, EP_START, 0, 0), 0);
    EXPECT_EQ(create(L4_TYPE_TASK, TARGET, L4_CAP_FPAGE(EP_START, 15), L4_CAP_FPAGE(0, 15)), 0);
    EXPECT_EQ(create(L4_TYPE_THREAD, TARGET + 1, 0, 0), 0);
    EXPECT_EQ(call(L4_CAP(TARGET + 1) | 1u << 4 | L4_SYS_THREAD_CONTROL, L4_TCR_TASK << 2 | 1u, L4_CAP(TARGET), 0, 0),
              1u << 4);
    to = (struct task *)node_kobj(cap_lookup(s0->task, TARGET));
    receiver = (struct thread *)node_kobj(cap_lookup(s0->task, TARGET + 1));
    word = 0xffffffffu;
}

#define CALL(name, prepare, run) { name, prepare, run, NULL, NULL, { { 0, 0 } } }
#define MESSAGE(name, prepare, run, ...) { name, prepare, run, NULL, NULL, { __VA_ARGS__ } }
#define MAP_OF(space, base, order, rights, hot) { L4_FPAGE(base, space, order, rights), (hot) | L4_ITEM_MAP }
#define TABLES(space, order, at) { KPAGES, (at) | (space) << 10 | (order) << 4 | L4_ITEM_TABRES }
#define NODES { L4_CAP_FPAGE(PURSE, L4_W), L4_ITEM_MAPRES }

static const struct scenario {
    const char *name;
    void (*prepare)(void);        /* may be NULL */
    uint32_t (*run)(void);
    void (*lack)(void), (*resume)(void); /* accesses: without resources, and as before */
    struct item items[L4_ITEMS_MAX];
} scenarios[] = {
    CALL("create endpoint", NULL, make_endpoint),
    CALL("create thread", NULL, make_thread),
    CALL("create reservation", NULL, make_reservation),
    CALL("create task", NULL, make_task),
    CALL("create endpoint, new table", NULL, make_in_new_table),
    CALL("convert", NULL, make_kernel_page),
    CALL("convert, new table", NULL, make_kernel_page_in_new_table),
    CALL("task with capabilities", prepare_caps, make_task_with_capabilities),
    CALL("task with two tables, new table", prepare_caps, make_task_with_two_tables),
    CALL("task with pages", NULL, make_task_with_pages),
    CALL("task with a 4 MB page, new table", NULL, make_task_with_block),
    CALL("task with ports", NULL, make_task_with_ports),
    { "view at a page fault", prepare_view, touch_view, without_payer, with_payer, { { 0, 0 } } },
    MESSAGE("page", prepare_tables, to_peer, MAP_OF(L4_SPACE_MEM, BLOCK, 12, 15, BLOCK_TO)),
    MESSAGE("pages", prepare_tables, to_peer, MAP_OF(L4_SPACE_MEM, BLOCK, 18, 15, BLOCK_TO)),
    MESSAGE("pages, table by TCR 11", prepare_payer, to_peer,
            MAP_OF(L4_SPACE_MEM, BLOCK, 14, 15, BLOCK_TO)),
    MESSAGE("4 MB page", NULL, to_peer, MAP_OF(L4_SPACE_MEM, BLOCK, 22, 15, BLOCK_TO)),
    MESSAGE("4 MB page as small ones", prepare_tables, to_peer,
            MAP_OF(L4_SPACE_MEM, BLOCK, 22, 15, BLOCK_TO)),
    MESSAGE("two 4 MB pages, one as small ones", prepare_tables, to_peer,
            MAP_OF(L4_SPACE_MEM, 0x00800000u, 23, 15, BLOCK_TO)),
    MESSAGE("capability", prepare_caps, to_peer,
            MAP_OF(L4_SPACE_CAP, L4_CAP(CAPS), 12, 15, L4_CAP(0x310))),
    MESSAGE("capabilities, table by TCR 11", prepare_payer, to_peer,
            MAP_OF(L4_SPACE_CAP, L4_CAP(CAPS), 16, 15, L4_CAP(0x2000))),
    MESSAGE("capabilities, two tables by TCR 11", prepare_payer, to_peer,
            MAP_OF(L4_SPACE_CAP, L4_CAP(CAPS), 23, 15, L4_CAP(0x4000))),
    MESSAGE("ports", NULL, to_peer, MAP_OF(L4_SPACE_IO, 0x20u << 12, 17, 15, 0)),
    MESSAGE("tables, then pages", prepare_payer, to_peer,
            TABLES(L4_SPACE_MEM, 22u, BLOCK_TO), NODES, MAP_OF(L4_SPACE_MEM, BLOCK, 14, 15, BLOCK_TO)),
    MESSAGE("tables, then capabilities", prepare_caps, to_peer,
            TABLES(L4_SPACE_CAP, 22u, L4_CAP(0x2000)), NODES, MAP_OF(L4_SPACE_CAP, L4_CAP(CAPS), 16, 15, L4_CAP(0x2000))),
    MESSAGE("many page tables", NULL, to_peer, TABLES(L4_SPACE_MEM, 24u, BLOCK_TO)),
    MESSAGE("many capability tables", NULL, to_peer, TABLES(L4_SPACE_CAP, 24u, L4_CAP(0x2000))),
    MESSAGE("table for a view", prepare_super, to_peer, TABLES(L4_SPACE_MEM, 23u, BLOCK_TO)),
    MESSAGE("page, capabilities, ports", prepare_payer, to_peer,
            MAP_OF(L4_SPACE_MEM, BLOCK, 12, 15, BLOCK_TO), MAP_OF(L4_SPACE_CAP, L4_CAP(CAPS), 16, 15, L4_CAP(0x2000)),
            MAP_OF(L4_SPACE_IO, 0x20u << 12, 17, 15, 0)),
    MESSAGE("badge, nodes, capabilities", prepare_caps, to_peer,
            { 5, 4u << 4 | L4_ITEM_BADGE }, NODES, MAP_OF(L4_SPACE_CAP, L4_CAP(CAPS), 16, 15, L4_CAP(0x310))),
    MESSAGE("first message: table, pages, capabilities", prepare_newborn, to_newborn,
            TABLES(L4_SPACE_MEM, 22u, BLOCK_TO), MAP_OF(L4_SPACE_MEM, BLOCK, 14, 15, BLOCK_TO),
            MAP_OF(L4_SPACE_CAP, L4_CAP(CAPS), 14, 15, L4_CAP(0x10))),
    MESSAGE("answer to a fault: page, table by TCR 11", prepare_fault, to_faulter,
            MAP_OF(L4_SPACE_MEM, BLOCK, 12, 15, BLOCK_TO)),
    MESSAGE("answer to a fault: tables, page, capabilities", prepare_fault, to_faulter,
            TABLES(L4_SPACE_MEM, 22u, BLOCK_TO), MAP_OF(L4_SPACE_MEM, BLOCK, 12, 15, BLOCK_TO),
            MAP_OF(L4_SPACE_CAP, L4_CAP(CAPS), 14, 15, L4_CAP(0x2010))),
};
static const struct scenario *now;

/* ---- one scenario ---- */

static void preempt(void) { this_cpu()->resched = true; }

/* In a process of its own: the exit code. */
static int in_child(int (*run)(void))
{
    int status;
    pid_t child;

    child = fork();
    if (child == 0) {
        int code = run();

        fflush(stdout);
        _exit(code); /* thousands of times: not everything is looked at that a program's end could tell */
    }
    if (child < 0 || waitpid(child, &status, 0) < 0 || !WIFEXITED(status))
        return 1;
    return WEXITSTATUS(status);
}

static char *shared_text; /* the state that is to be met again */
#define TEXT_MOST (4u << 20)

static int reference(void)
{
    char *text;

    item_count = 0;
    remember_tables();
    if (now->lack)
        now->lack();
    if (now->lack || now->items[0].b)
        (void)now->run();
    if (now->resume)
        now->resume();
    text = state_text();
    EXPECT(strlen(text) < TEXT_MOST);
    strcpy(shared_text, text);
    free(text);
    return unit_failures != 0;
}

static int attempt(void)
{
    bool message = now->items[0].b != 0;
    uint32_t w0;
    char *text;

    host_fast = !host_window;
    remember_tables();
    asked = failed = 0;
    w0 = now->run();
    if (message)
        expect_items(w0);
    else
        EXPECT_EQ(L4_ERR_BASE(w0), failed ? L4_NOMEM : 0);
    check_kernel();
    if (!failed)
        return unit_failures ? 1 : EXIT_OVER;
    fail_at = 0;
    if (message)
        take_items_back();
    text = state_text();
    EXPECT(state_same(shared_text, text));
    free(text);
    check_kernel();
    if (receiver->nested || now->lack || (message && now->run != to_peer))
        return unit_failures != 0; /* it cannot be done twice */
    w0 = now->run();
    EXPECT_EQ(w0, 0);
    if (message)
        expect_items(w0);
    check_kernel();
    return unit_failures != 0;
}

static int scenario(void)
{
    unsigned attempts = 0;

    boot(true);
    to = there;
    receiver = peer;
    if (now->prepare)
        now->prepare();
    /* Where no unit was taken yet, nobody takes one by himself. */
    EXPECT_EQ(create(L4_TYPE_KPAGE, PURSE, L4_FPAGE(PURSE_PAGES, L4_SPACE_MEM, 16, L4_T), 0), 0);
    s0->tcr[L4_TCR_SNDRES] = L4_CAP_FPAGE(PURSE, L4_W);
    if (now->run == to_peer) {
        EXPECT(send(L4_CAP(EP_THERE), L4_CAP(EP_BACK)) == peer);
        peer_answers();
    }
    while (item_count < L4_ITEMS_MAX && now->items[item_count].b)
        item_count++;
    items = now->items;
    check_kernel();
    if (unit_failures || in_child(reference))
        return 1;
    for (unsigned how = 0; how < 4; how++) {
        int code = 0;

        fail_onward = how & 1u;
        host_window = how & 2u ? preempt : NULL;
        /* nodes for a whole page table: not each one */
        for (fail_at = 1; code == 0; fail_at += fail_at < 48 ? 1 : 61) {
            code = in_child(attempt);
            attempts += code == 0;
            if (code == 1) {
                printf("%s: when allocation %u%s fails%s\n", now->name, fail_at, fail_onward ? " and all behind it" : "",
                       host_window ? ", preempted" : "");
                return 1;
            }
        }
    }
    printf("# %s: %u failures\n", now->name, attempts);
    EXPECT(attempts >= 4);
    return unit_failures != 0;
}

TEST(each_allocation_fails)
{
    site_failures = mmap(NULL, sizeof *site_failures * SITES_MOST + TEXT_MOST, PROT_READ | PROT_WRITE,
                         MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    EXPECT(site_failures != MAP_FAILED);
    shared_text = (char *)(site_failures + SITES_MOST);
    find_sites();
    for (now = scenarios; now < scenarios + ARRAY_SIZE(scenarios); now++)
        EXPECT_EQ(in_child(scenario), 0);
    for (unsigned i = 0; i < site_count; i++) {
        if (!site_failures[i])
            printf("the allocation before address 0x%lx never failed\n", (unsigned long)sites[i]);
        EXPECT(site_failures[i] != 0);
    }
    printf("# %u places that allocate\n", site_count);
}
