// SPDX-License-Identifier: MIT
/* map, unmap and cap-inspect by real system calls: one test for each rule, with what must be there afterwards written out. */
#include "kernel/fault.h"
#include "tests/unit/pair.h"
#include "tests/unit/random.h"

/* ---- items ---- */

TEST(map_one_capability)
{
    struct node *n;

    boot(false);
    EXPECT_EQ(map(L4_CAP_FPAGE(THREAD, L4_R | L4_X), L4_CAP(5)), 0);
    EXPECT_EQ(got[0].b, 1u << 12 | L4_ITEM_MAP);
    EXPECT_EQ(got[0].a, L4_CAP_FPAGE(5, 0) | L4_R | L4_X);
    n = cap_lookup(there, 5);
    EXPECT(n && node_rights(n) == (L4_R | L4_X) && node_kobj(n) == &peer->obj);
    EXPECT(n && n->parent == &peer->obj.root && n->depth == 1);
    /* once more with other rights: they add up, within the source's */
    EXPECT_EQ(map(L4_CAP_FPAGE(THREAD, L4_W), L4_CAP(5)), 0);
    EXPECT(cap_lookup(there, 5) == n && node_rights(n) == (L4_R | L4_W | L4_X));
    /* anything else is refused and leaves it alone */
    EXPECT_EQ(map(L4_CAP_FPAGE(TASK, 15), L4_CAP(5)), L4_ERR(L4_MAP, L4_D_OCCUPIED, 0));
    EXPECT_EQ(got[0].a, 0);
    EXPECT_EQ(got[0].b, L4_ITEM_MAP);
    EXPECT(cap_lookup(there, 5) == n && node_kobj(n) == &peer->obj);
    EXPECT_EQ(map(L4_CAP_FPAGE(FREE_CAP, 15), L4_CAP(6)), L4_ERR(L4_MAP, L4_D_EMPTY, 0));
    EXPECT_EQ(map(L4_CAP_FPAGE(THREAD, 0), L4_CAP(6)), L4_ERR(L4_MAP, L4_D_RIGHTS, 0));
    EXPECT_EQ(map(L4_CAP_FPAGE(THREAD, 15), L4_CAP_INVALID), L4_ERR(L4_MAP, L4_D_BAD_VALUE, 0));
    EXPECT_EQ(map(L4_CAP_FPAGE(THREAD, 15), L4_CAP(0x1000)), L4_ERR(L4_MAP, L4_D_NO_CAPTABLE, 0));
    EXPECT_EQ(map(0xcffu, L4_CAP(6)), L4_ERR(L4_MAP, L4_D_BAD_FLEXPAGE, 0));
    EXPECT_EQ(map(L4_FPAGE(L4_CAP(THREAD), L4_SPACE_CAP, 6, 7), L4_CAP(6)), L4_ERR(L4_MAP, L4_D_BAD_FLEXPAGE, 0));
    EXPECT_EQ(map(0, 0), 0);
    EXPECT_EQ(take(L4_CAP_FPAGE(THREAD, L4_W), false), 1u << 4);
    EXPECT_EQ(node_rights(n), L4_R | L4_X);
    EXPECT_EQ(take(L4_CAP_FPAGE(THREAD, 15), false), 1u << 4);
    EXPECT(!cap_lookup(there, 5));
    check_kernel();
}

TEST(map_all_masks)
{
    unsigned item, window;

    boot(false);
    for (item = 1; item < 16; item++) {
        for (window = 1; window < 16; window++) {
            struct node *n;

            peer->tcr[L4_TCR_WINDOW + L4_SPACE_CAP] = (L4_ALL_CAP & ~15u) | window;
            if (item & window) {
                EXPECT_EQ(map(L4_CAP_FPAGE(RESV, item), L4_CAP(7)), 0);
                n = cap_lookup(there, 7);
                EXPECT(n && node_rights(n) == (item & window));
                EXPECT_EQ(got[0].a & 15u, item & window);
                EXPECT_EQ(take(L4_CAP_FPAGE(RESV, 15), false), 1u << 4);
            } else {
                EXPECT_EQ(map(L4_CAP_FPAGE(RESV, item), L4_CAP(7)), L4_ERR(L4_MAP, L4_D_RIGHTS, 0));
            }
            EXPECT(!cap_lookup(there, 7));
        }
    }
    peer->tcr[L4_TCR_WINDOW + L4_SPACE_CAP] = 0;
    EXPECT_EQ(map(L4_CAP_FPAGE(RESV, 15), L4_CAP(7)), L4_ERR(L4_MAP, L4_D_NO_WINDOW, 0));
    check_kernel();
}

TEST(map_many_capabilities_preempted)
{
    unsigned i;

    boot(false);
    for (i = 0; i < 100; i++)
        EXPECT_EQ(create(L4_TYPE_ENDPOINT, FREE_CAP + i, 0, 0), 0);
    back(L4_SPACE_CAP, L4_CAP(0x1000));
    EXPECT_EQ(map(L4_FPAGE(L4_CAP(FREE_CAP), L4_SPACE_CAP, 19, 15), L4_CAP(0x1080)), 0);
    EXPECT_EQ(got[0].b >> 12, 100);
    EXPECT_EQ(got[0].a, L4_FPAGE(L4_CAP(0x1080), L4_SPACE_CAP, 19, 15));
    for (i = 0; i < 128; i++)
        EXPECT_EQ(cap_lookup(there, 0x1080 + i) != NULL, i < 100);
    check_kernel();
    EXPECT_EQ(take(L4_FPAGE(L4_CAP(FREE_CAP), L4_SPACE_CAP, 19, 15), true), 1u << 12);
    for (i = 0; i < 128; i++)
        EXPECT(!cap_lookup(there, 0x1080 + i) && !cap_lookup(s0->task, FREE_CAP + i));
    check_kernel();
}

TEST(items_beyond_room)
{
    const struct item items[] = {
        { L4_CAP_FPAGE(TASK, 15), L4_CAP(5) | L4_ITEM_MAP },
        { L4_CAP_FPAGE(RESV, 15), L4_CAP(6) | L4_ITEM_MAP },
        { L4_CAP_FPAGE(THREAD, 15), L4_CAP(7) | L4_ITEM_MAP },
    };
    const struct item void_first[] = { { 1, L4_ITEM_VOID }, items[0], { 0, 9 } };

    boot(false);
    EXPECT_EQ(send_items(items, 3, 1), 0);
    EXPECT_EQ(got_count, 3);
    EXPECT(cap_lookup(there, 5) && cap_lookup(there, 6) && cap_lookup(there, 7));
    EXPECT_EQ(take(L4_FPAGE(L4_CAP(TASK), L4_SPACE_CAP, 14, 15), false), 1u << 4);
    EXPECT_EQ(send_items(items, 3, 0), L4_ERR(L4_MAP, L4_D_TRUNC_ITEM, 1));
    EXPECT_EQ(got_count, 1);
    EXPECT(cap_lookup(there, 5) && !cap_lookup(there, 6));
    EXPECT_EQ(send_items(items + 1, 1, 1), L4_ERR(L4_MAP, L4_D_TRUNC_ITEM, 0));
    EXPECT_EQ(got_count, 0);
    EXPECT_EQ(send_items(void_first, 3, 3), L4_ERR(L4_MAP, L4_D_RESERVED_OP, 2));
    EXPECT_EQ(got_count, 1);
}

TEST(badges_only_grow)
{
    struct item items[] = {
        { 0xffffffa5u, 8 << 4 | L4_ITEM_BADGE },
        { L4_CAP_FPAGE(EP_BACK, 15), L4_CAP(5) | L4_ITEM_MAP },
    };
    struct node *n;

    boot(false);
    EXPECT_EQ(create(L4_TYPE_ENDPOINT, FREE_CAP, 0, 0), 0);
    EXPECT_EQ(send_items(items, 2, 3), 0);
    n = cap_lookup(there, 5);
    EXPECT(n && n->badge == 0xa5 && n->badge_len == 8);
    /* the same name with another badge is another mapping */
    EXPECT_EQ(map(L4_CAP_FPAGE(EP_BACK, 15), L4_CAP(5)), L4_ERR(L4_MAP, L4_D_OCCUPIED, 0));
    EXPECT_EQ(send_items(items, 2, 3), 0);
    /* alias in our own task, longer badge */
    s0->tcr[L4_TCR_WINDOW + L4_SPACE_CAP] = L4_ALL_CAP;
    n->badge_len = 30;
    items[0] = (struct item){ 1, 33 << 4 | L4_ITEM_BADGE };
    EXPECT_EQ(send_items(items, 1, 3), L4_ERR(L4_MAP, L4_D_BAD_VALUE, 0));
    n->badge_len = 8;
    items[0] = (struct item){ 0x12345678u, 32 << 4 | L4_ITEM_BADGE };
    items[1].b = L4_CAP(6) | L4_ITEM_MAP;
    EXPECT_EQ(send_items(items, 2, 3), 0);
    n = cap_lookup(there, 6);
    EXPECT(n && n->badge == 0x12345678u && n->badge_len == 32);
    /* other objects have none */
    items[1] = (struct item){ L4_CAP_FPAGE(TASK, 15), L4_CAP(7) | L4_ITEM_MAP };
    EXPECT_EQ(send_items(items, 2, 3), 0);
    n = cap_lookup(there, 7);
    EXPECT(n && n->badge == 0 && n->badge_len == 0);
    check_kernel();
}

TEST(badge_full)
{
    struct item items[] = {
        { 1, 1 << 4 | L4_ITEM_BADGE },
        { L4_CAP_FPAGE(EP_BACK, 15), L4_CAP(5) | L4_ITEM_MAP },
    };
    struct node *root;

    boot(false);
    root = cap_lookup(s0->task, EP_BACK);
    root->badge_len = 32;
    EXPECT_EQ(send_items(items, 2, 3), L4_ERR(L4_MAP, L4_D_BADGE_FULL, 1));
    EXPECT(!cap_lookup(there, 5));
    root->badge_len = 31;
    root->badge = 0x7fffffff;
    EXPECT_EQ(send_items(items, 2, 3), 0);
    EXPECT(cap_lookup(there, 5) && cap_lookup(there, 5)->badge == 0xffffffffu && cap_lookup(there, 5)->badge_len == 32);
}

TEST(map_resources)
{
    struct item items[] = {
        { L4_CAP_FPAGE(TASK, L4_W), L4_ITEM_MAPRES }, /* no kernel page */
        { L4_CAP_FPAGE(TASK, 15), L4_CAP(5) | L4_ITEM_MAP },
    };

    boot(false);
    EXPECT_EQ(send_items(items, 2, 3), L4_ERR(L4_MAP, L4_D_RES_EMPTY, 1));
    items[0].a = L4_FPAGE(0, L4_SPACE_MEM, 12, 15);
    EXPECT_EQ(send_items(items, 2, 3), L4_ERR(L4_MAP, L4_D_BAD_FLEXPAGE, 0));
    EXPECT(!cap_lookup(there, 5));
    items[0].a = KPAGES;
    s0->tcr[L4_TCR_SNDRES] = 0;
    EXPECT_EQ(send_items(items, 2, 3), 0);
    EXPECT_EQ(map(L4_CAP_FPAGE(RESV, 15), L4_CAP(6)), L4_ERR(L4_MAP, L4_D_RES_EMPTY, 0));
    /* tables: TABRES of this message, else the receiver's */
    s0->tcr[L4_TCR_SNDRES] = KPAGES;
    items[0] = (struct item){ KPAGES, L4_SPACE_IO << 10 | L4_ITEM_TABRES };
    items[1].b = L4_CAP(0x1000) | L4_ITEM_MAP;
    /* ports need no tables, so this item does nothing */
    EXPECT_EQ(send_items(items, 2, 3), L4_ERR(L4_MAP, L4_D_NO_CAPTABLE, 1));
    EXPECT_EQ(got[0].b, L4_ITEM_TABRES);
    EXPECT_EQ(got[1].b, L4_ITEM_MAP);
    /* this one makes a table elsewhere, and pays for another where the map needs it */
    items[0].b = L4_CAP(0x2000) | L4_SPACE_CAP << 10 | L4_ITEM_TABRES;
    EXPECT_EQ(send_items(items, 2, 3), 0);
    EXPECT(there->cap_dir[0x2000 >> 10] && cap_lookup(there, 0x1000));
    check_kernel();
}

/* ---- memory ---- */

TEST(map_one_page)
{
    struct node *n;

    boot(false);
    EXPECT_EQ(map(L4_FPAGE(FREE_PAGE, L4_SPACE_MEM, 12, L4_R), 0x10000000), L4_ERR(L4_MAP, L4_D_NO_PAGETABLE, 0));
    back(L4_SPACE_MEM, 0x10000000);
    EXPECT_EQ(map(L4_FPAGE(FREE_PAGE, L4_SPACE_MEM, 12, L4_R), 0x10003000), 0);
    n = mem_lookup(there, 0x10003000);
    EXPECT(n && node_rights(n) == L4_R && n->obj == FREE_PAGE && node_size(n) == 12);
    EXPECT(host_access(there, 0x10003000, L4_R) && !host_access(there, 0x10003000, L4_W));
    EXPECT_EQ(map(L4_FPAGE(FREE_PAGE, L4_SPACE_MEM, 12, L4_W), 0x10003000), 0);
    EXPECT(host_access(there, 0x10003000, L4_W));
    *(uint32_t *)host_access(there, 0x10003000, L4_W) = 42;
    EXPECT_EQ(take(L4_FPAGE(FREE_PAGE, L4_SPACE_MEM, 12, 0), false), 1u << 4);
    EXPECT_EQ(s0->frame.w[1], L4_R | L4_W | L4_X);
    EXPECT_EQ(take(L4_FPAGE(FREE_PAGE, L4_SPACE_MEM, 12, 0), false), 1u << 4);
    EXPECT_EQ(s0->frame.w[1], 0);
    EXPECT_EQ(take(L4_FPAGE(FREE_PAGE, L4_SPACE_MEM, 12, L4_W), false), 1u << 4);
    EXPECT(host_access(there, 0x10003000, L4_R) && !host_access(there, 0x10003000, L4_W));
    EXPECT_EQ(take(L4_FPAGE(FREE_PAGE, L4_SPACE_MEM, 12, 15), false), 1u << 4);
    EXPECT(!mem_lookup(there, 0x10003000) && !host_access(there, 0x10003000, L4_R));
    EXPECT_EQ(map(L4_FPAGE(FREE_PAGE, L4_SPACE_MEM, 12, L4_R), 0xc0000000u), L4_ERR(L4_MAP, L4_D_KERNEL_RANGE, 0));
    EXPECT_EQ(map(L4_FPAGE(0xc0000000u, L4_SPACE_MEM, 12, L4_R), 0), L4_ERR(L4_MAP, L4_D_KERNEL_RANGE, 0));
    check_kernel();
}

/* What is mapped on from a device is one too, however often: never cached, never converted. */
TEST(device_memory_stays_what_it_is)
{
    const uint32_t device = 0xb8000;
    struct node *n;

    boot(false);
    EXPECT(mem_lookup(s0->task, device)->flags & NODE_DEVICE);
    back(L4_SPACE_MEM, 0x10000000);
    EXPECT_EQ(map(L4_FPAGE(device, L4_SPACE_MEM, 13, 15), 0x10000000), 0);
    EXPECT_EQ(map(L4_FPAGE(device, L4_SPACE_MEM, 12, 15), 0x10003000), 0); /* one page goes a shorter way */
    for (uint32_t at = 0x10000000; at < 0x10004000; at += PAGE_SIZE) {
        n = mem_lookup(there, at);
        EXPECT_EQ(n != NULL, at != 0x10002000);
        EXPECT(!n || (n->flags & NODE_DEVICE));
    }
    check_kernel();
}

/* The last level there is: a map below it is refused, whichever way it goes, and the last one is still found and unmapped. */
TEST(depth_limit)
{
    const uint32_t page = L4_FPAGE(FREE_PAGE, L4_SPACE_MEM, 12, L4_R);
    struct node *sources[2], *n;

    boot(false);
    back(L4_SPACE_MEM, 0x10000000);
    sources[0] = mem_lookup(s0->task, FREE_PAGE);
    sources[1] = cap_lookup(s0->task, EP_BACK);
    for (unsigned i = 0; i < 2; i++) {
        uint32_t item = i ? L4_CAP_FPAGE(EP_BACK, 15) : page, to = i ? L4_CAP(5) : 0x10003000u;
        unsigned depth = sources[i]->depth;

        sources[i]->depth = NODE_DEPTH_MAX;
        EXPECT_EQ(map(item, to), L4_ERR(L4_MAP, L4_D_TOO_DEEP, 0));
        EXPECT(!node_has_children(sources[i]));
        sources[i]->depth = NODE_DEPTH_MAX - 1u;
        EXPECT_EQ(map(item, to), 0);
        n = i ? cap_lookup(there, 5) : mem_lookup(there, to);
        EXPECT(n && n->depth == NODE_DEPTH_MAX && node_has_children(sources[i]) && !node_has_children(n));
        EXPECT_EQ(take(item, false), 1u << 4);
        EXPECT(!(i ? cap_lookup(there, 5) : mem_lookup(there, to)));
        EXPECT(node_rights(sources[i]));
        sources[i]->depth = depth & NODE_DEPTH_MAX;
    }
    check_kernel();
}

TEST(map_super_page)
{
    struct node *n, *source;
    unsigned i, count;

    boot(true);
    source = mem_lookup(s0->task, 0x00c00000);
    EXPECT(source && node_size(source) == SUPER_SHIFT);
    /* to an empty block: one node, no table */
    EXPECT_EQ(map(L4_FPAGE(0x00c00000, L4_SPACE_MEM, 22, L4_R | L4_W), 0x20000000), 0);
    EXPECT_EQ(got[0].b >> 12, 1024);
    n = mem_lookup(there, 0x20123000);
    EXPECT(n && node_size(n) == SUPER_SHIFT && n->parent == source && n->obj == source->obj);
    EXPECT(host_access(there, 0x203ff000, L4_W) != NULL);
    /* the same once more, and something else */
    EXPECT_EQ(map(L4_FPAGE(0x00c00000, L4_SPACE_MEM, 22, 15), 0x20000000), 0);
    EXPECT_EQ(node_rights(n), 15);
    EXPECT_EQ(map(L4_FPAGE(0x00c00000, L4_SPACE_MEM, 12, 15), 0x20000000), L4_ERR(L4_MAP, L4_D_OCCUPIED, 0));
    EXPECT_EQ(map(L4_FPAGE(0x01000000, L4_SPACE_MEM, 22, 15), 0x20000000), L4_ERR(L4_MAP, L4_D_OCCUPIED, 0));
    /* 4 KB out of 4 MB */
    back(L4_SPACE_MEM, 0x10000000);
    EXPECT_EQ(map(L4_FPAGE(0x00c05000, L4_SPACE_MEM, 12, L4_R), 0x10001000), 0);
    n = mem_lookup(there, 0x10001000);
    EXPECT(n && node_size(n) == 12 && n->parent == source && n->obj == 0x00c05000);
    /* 4 MB to a block with a table: small ones, but for what is occupied */
    EXPECT_EQ(map(L4_FPAGE(0x00c00000, L4_SPACE_MEM, 22, L4_R), 0x10000000), L4_ERR(L4_MAP, L4_D_OCCUPIED, 0));
    EXPECT_EQ(got[0].b >> 12, 1023);
    for (i = 0, count = 0; i < 1024; i++) {
        n = mem_lookup(there, 0x10000000 + i * PAGE_SIZE);
        count += n && n->parent == source && n->obj == 0x00c00000 + i * PAGE_SIZE;
    }
    EXPECT_EQ(count, 1023);
    check_kernel();
    /* unmapping 4 KB takes what overlaps: the whole 4 MB mapping, and the small ones of that page only */
    EXPECT_EQ(take(L4_FPAGE(0x00c05000, L4_SPACE_MEM, 12, 15), false), 1u << 4);
    EXPECT(!mem_lookup(there, 0x20000000) && !mem_lookup(there, 0x10001000) && !mem_lookup(there, 0x10005000));
    EXPECT(mem_lookup(there, 0x10006000) && mem_lookup(s0->task, 0x00c05000) == source);
    check_kernel();
    /* flushing 4 KB takes the page whole */
    EXPECT_EQ(take(L4_FPAGE(0x00c05000, L4_SPACE_MEM, 12, 15), true), 1u << 12);
    EXPECT(!mem_lookup(s0->task, 0x00c00000) && !mem_lookup(there, 0x10006000));
    check_kernel();
}

TEST(map_whole_space)
{
    uint32_t mapped;

    boot(true);
    peer->tcr[L4_TCR_RCVRES] = 0;
    /* identity: 4 MB pages need no tables; the block with small pages gets one */
    back(L4_SPACE_MEM, 0);
    EXPECT_EQ(L4_ERR_BASE(map(L4_ALL_MEM, 0)) & ~(uint32_t)L4_MAP, 0);
    mapped = got[0].b >> 12;
    EXPECT(mapped > 1024 * 4);
    EXPECT(mem_lookup(there, 0x00c00000) && node_size(mem_lookup(there, 0x00c00000)) == SUPER_SHIFT);
    check_kernel();
    EXPECT_EQ(take(L4_ALL_MEM, false), 1u << 4);
    EXPECT(!mem_lookup(there, 0x00c00000));
    EXPECT(mem_lookup(s0->task, 0x00c00000) != NULL);
    check_kernel();
}

/* ---- IO ports ---- */

static bool port_open(const struct task *task, unsigned port)
{
    return !(task->io_bitmap[port >> 15][(port & 0x7fff) >> 3] >> (port & 7) & 1);
}

/* Look-ups and walk of the other task, against what stands at each port. */
static void expect_ports(const uint8_t *has)
{
    const struct node *n = io_first(there), *at;
    unsigned port, nodes = 0;

    for (port = 0; port < 0x10000; port++) {
        at = io_at_or_behind(there, port << 12);
        if (n && port << 12 > node_last(n))
            n = io_next(there, n);
        EXPECT(at == n);
        EXPECT(io_lookup(there, port) == (has[port] ? n : NULL));
        EXPECT((there->io_filled && port_open(there, port)) == has[port]);
        nodes += has[port] && n->obj == port << 12;
    }
    EXPECT_EQ(nodes, there->io_nodes);
    EXPECT(!io_lookup(there, 0x10000) && !io_at_or_behind(there, 0x10000000) && (!n || !io_next(there, n) || node_last(n) < 0xffff000));
    check_kernel();
}

/* Ranges of all sizes come and go; at the beginning of a block, in it, and over many. */
TEST(ports_are_found)
{
    static uint8_t has[0x10000];
    unsigned round, port;

    boot(false);
    memset(has, 0, sizeof has);
    expect_ports(has);
    for (round = 0; round < 400; round++) {
        unsigned order = below(round & 1 ? 4 : 15), first = below(0x10000) & ~((1u << order) - 1u);

        if (round % 8u < 6u)
            first = (first & 0x3ffu) | (first & 0x8000u); /* many in the same blocks */
        first &= ~((1u << order) - 1u);
        if (below(5) < 3) {
            (void)map(io_fpage(first, order, L4_R | L4_W), 0);
            for (port = first; port < first + (1u << order); port++)
                has[port] = io_lookup(s0->task, port) != NULL;
        } else {
            /* what is there in part vanishes in whole */
            for (port = first; port < first + (1u << order); port++) {
                const struct node *n = io_lookup(there, port);

                if (n)
                    memset(&has[n->obj >> 12], 0, (node_last(n) - n->obj + 1u) >> 12);
            }
            EXPECT_EQ(take(io_fpage(first, order, L4_RIGHTS_ALL), false), 1u << 4);
        }
        if (round % 16u == 15u)
            expect_ports(has);
    }
    expect_ports(has);
    EXPECT_EQ(take(L4_ALL_IO, false), 1u << 4);
    memset(has, 0, sizeof has);
    expect_ports(has);
    /* a block full of single ports */
    for (port = 0x8000; port < 0x8200; port++) {
        EXPECT_EQ(map(io_fpage(port, 0, L4_R | L4_W), 0), 0);
        has[port] = 1;
    }
    expect_ports(has);
    EXPECT_EQ(there->io_nodes, 0x200);
    for (round = USER_ENTRIES; round < TABLE_NAMES; round++) /* the lists begin where memory would have its tables */
        EXPECT(!mem_lookup(there, round << SUPER_SHIFT));
    EXPECT_EQ(take(io_fpage(0x8080, 7, L4_RIGHTS_ALL), false), 1u << 4);
    memset(&has[0x8080], 0, 0x80);
    expect_ports(has);
}

static unsigned fault_reason(uint32_t port, unsigned bytes)
{
    s0->task = there;
    fault_io(s0, port, bytes);
    return (s0->fault_w0 >> 8) & 15u;
}

/* A fault tells whether all ports of the access are there, or one of them is not. */
TEST(fault_at_ports)
{
    boot(false);
    EXPECT_EQ(map(io_fpage(0x8000, 1, L4_R), 0), 0);
    EXPECT_EQ(map(io_fpage(0x8002, 0, L4_W), 0), 0);
    EXPECT_EQ(map(io_fpage(0x8004, 0, L4_R), 0), 0);
    EXPECT_EQ(map(io_fpage(0x80ff, 0, L4_R), 0), 0);
    EXPECT_EQ(map(io_fpage(0x8100, 8, L4_R), 0), 0);
    EXPECT_EQ(map(io_fpage(0xffff, 0, L4_R), 0), 0);
    EXPECT_EQ(fault_reason(0x8000, 2), L4_D_RIGHTS);
    EXPECT_EQ(fault_reason(0x8001, 2), L4_D_RIGHTS);
    EXPECT_EQ(fault_reason(0x8000, 4), L4_D_EMPTY);
    EXPECT_EQ(fault_reason(0x8001, 4), L4_D_EMPTY); /* 0x8003 lies between */
    EXPECT_EQ(fault_reason(0x7fff, 2), L4_D_EMPTY);
    EXPECT_EQ(fault_reason(0x80ff, 4), L4_D_RIGHTS);
    EXPECT_EQ(fault_reason(0x81fe, 4), L4_D_EMPTY);
    EXPECT_EQ(fault_reason(0xffff, 1), L4_D_RIGHTS);
    EXPECT_EQ(fault_reason(0xffff, 2), L4_D_EMPTY);
}

TEST(map_ports)
{
    struct node *n;
    unsigned port, open = 0, owned = 0;

    boot(false);
    EXPECT_EQ(map(io_fpage(0x200, 3, L4_R | L4_W), 0x12345000), 0);
    EXPECT_EQ(got[0].a, io_fpage(0x200, 3, L4_R | L4_W));
    EXPECT_EQ(got[0].b >> 12, 8);
    n = io_first(there);
    EXPECT(n && !io_next(there, n) && n->obj == 0x200000 && node_size(n) == 15);
    EXPECT(port_open(there, 0x200) && port_open(there, 0x207) && !port_open(there, 0x208) && !port_open(there, 0x1ff));
    EXPECT_EQ(map(io_fpage(0x204, 1, L4_R), 0), L4_ERR(L4_MAP, L4_D_OCCUPIED, 0));
    /* everything, around what is there already */
    EXPECT_EQ(map(L4_ALL_IO, 0), 0);
    for (port = 0; port < 0x10000; port++) {
        EXPECT_EQ(io_lookup(there, port) != NULL, io_lookup(s0->task, port) != NULL);
        open += port_open(there, port);
        owned += io_lookup(s0->task, port) != NULL;
    }
    EXPECT_EQ(open, owned);
    EXPECT_EQ(got[0].b >> 12, owned);
    for (n = io_first(there); n && io_next(there, n); n = io_next(there, n))
        EXPECT(node_last(n) < io_next(there, n)->obj);
    check_kernel();
    /* part of a range: only the children that overlap */
    EXPECT_EQ(take(io_fpage(0x200, 3, L4_W), false), 1u << 4);
    EXPECT(!port_open(there, 0x200) && io_lookup(there, 0x200) && port_open(there, 0x3000));
    EXPECT_EQ(take(L4_ALL_IO, false), 1u << 4);
    EXPECT(!io_first(there) && !there->io_nodes && !port_open(there, 0x3000));
    /* window and item meet in part, or not at all */
    peer->tcr[L4_TCR_WINDOW + L4_SPACE_IO] = io_fpage(0x3f0, 4, 15);
    EXPECT_EQ(map(io_fpage(0x300, 8, 15), 0), 0);
    EXPECT_EQ(got[0].a & ~15u, io_fpage(0x3f0, 4, 0));
    EXPECT_EQ(map(io_fpage(0x400, 8, 15), 0), L4_ERR(L4_MAP, L4_D_NO_WINDOW, 0));
    check_kernel();
}

/* ---- tables ---- */

TEST(tables)
{
    struct item item = { KPAGES, L4_CAP(0x2000) | L4_SPACE_CAP << 10 | 23 << 4 | L4_ITEM_TABRES };

    boot(false);
    EXPECT_EQ(send_items(&item, 1, 3), 0);
    EXPECT_EQ(got[0].a, L4_FPAGE(L4_CAP(0x2000), L4_SPACE_CAP, 23, 0));
    EXPECT_EQ(got[0].b, 2u << 12 | L4_ITEM_TABRES);
    EXPECT(there->cap_dir[8] && there->cap_dir[9] && !there->cap_dir[10]);
    EXPECT_EQ(send_items(&item, 1, 3), 0); /* they are there: nothing to do */
    EXPECT_EQ(got[0].b, L4_ITEM_TABRES);
    /* a window below 4 MB: the table that contains it */
    peer->tcr[L4_TCR_WINDOW] = L4_FPAGE(0x20005000, L4_SPACE_MEM, 12, 15);
    item = (struct item){ KPAGES, 0x50000000 | L4_ITEM_TABRES };
    EXPECT_EQ(send_items(&item, 1, 3), 0);
    EXPECT_EQ(got[0].a, L4_FPAGE(0x20000000, L4_SPACE_MEM, 22, 0));
    EXPECT(there->pd_shadow[0x20000000 >> 22] && !there->pd_shadow[0x50000000 >> 22]);
    peer->tcr[L4_TCR_WINDOW] = 0;
    EXPECT_EQ(send_items(&item, 1, 3), L4_ERR(L4_MAP, L4_D_NO_WINDOW, 0));
    peer->tcr[L4_TCR_WINDOW] = L4_ALL_MEM;
    item = (struct item){ L4_CAP_FPAGE(TASK, 15), 0x50000000 | L4_ITEM_TABRES };
    EXPECT_EQ(send_items(&item, 1, 3), L4_ERR(L4_MAP, L4_D_RES_EMPTY, 0));
    item = (struct item){ KPAGES, 0xf0000000u | L4_ITEM_TABRES };
    EXPECT_EQ(send_items(&item, 1, 3), L4_ERR(L4_MAP, L4_D_KERNEL_RANGE, 0));
    check_kernel();
}

TEST(tables_from_the_receiver)
{
    boot(false);
    EXPECT_EQ(map(L4_FPAGE(L4_CAP(L4_S0_KPAGE), L4_SPACE_CAP, 13, L4_W), L4_CAP(L4_S0_KPAGE)), 0);
    peer->tcr[L4_TCR_RCVRES] = KPAGES;
    EXPECT_EQ(map(L4_CAP_FPAGE(TASK, 15), L4_CAP(0x7000)), 0);
    EXPECT(cap_lookup(there, 0x7000) != NULL);
    EXPECT_EQ(map(L4_FPAGE(FREE_PAGE, L4_SPACE_MEM, 12, L4_R), 0xbffff000u), 0);
    EXPECT(mem_lookup(there, 0xbffff000u) != NULL);
    check_kernel();
}

/* ---- unmap ---- */

TEST(unmap_lists)
{
    uint32_t *words;
    unsigned i;

    boot(false);
    for (i = 0; i < 12; i++)
        EXPECT_EQ(create(L4_TYPE_ENDPOINT, FREE_CAP + i, 0, 0), 0);
    EXPECT_EQ(map(L4_FPAGE(L4_CAP(FREE_CAP), L4_SPACE_CAP, 16, 15), L4_CAP(0x20)), 0);
    EXPECT_EQ(got[0].b >> 12, 12);
    words = scratch();
    for (i = 0; i < 4; i++)
        words[i] = L4_CAP_FPAGE(FREE_CAP + 4 + i, 15);
    words[4] = 0xc00; /* no flexpage */
    EXPECT_EQ(call(7u << 4 | 2u << 12 | L4_SYS_UNMAP, L4_CAP_FPAGE(FREE_CAP, 15), L4_CAP_FPAGE(FREE_CAP + 1, 15),
                   L4_CAP_FPAGE(FREE_CAP + 2, 15), L4_CAP_FPAGE(FREE_CAP + 3, 15)),
              L4_ERR(L4_PARAM, L4_D_BAD_FLEXPAGE, 9) | 7u << 4 | 2u << 12);
    for (i = 0; i < 12; i++)
        EXPECT(cap_lookup(there, 0x20 + i) != NULL);
    /* six unmapped, two flushed */
    EXPECT_EQ(call(6u << 4 | 2u << 12 | L4_SYS_UNMAP, L4_CAP_FPAGE(FREE_CAP, 15), L4_CAP_FPAGE(FREE_CAP + 1, 15),
                   L4_CAP_FPAGE(FREE_CAP + 2, 15), L4_CAP_FPAGE(FREE_CAP + 3, 15)), 6u << 4 | 2u << 12);
    words = scratch();
    for (i = 0; i < 4; i++)
        EXPECT_EQ(words[i], 0);
    for (i = 0; i < 12; i++) {
        EXPECT_EQ(cap_lookup(there, 0x20 + i) != NULL, i >= 8);
        EXPECT_EQ(cap_lookup(s0->task, FREE_CAP + i) != NULL, i != 6 && i != 7);
    }
    EXPECT_EQ(call(255u << 4 | 1u << 12 | L4_SYS_UNMAP, 0, 0, 0, 0), L4_ERR(L4_PARAM, L4_D_BAD_COUNT, 0) | 255u << 4 | 1u << 12);
    EXPECT_EQ(call(L4_SYS_UNMAP, 0, 0, 0, 0), 0);
    EXPECT_EQ(take(L4_CAP_INVALID | L4_SPACE_CAP << 10 | 12 << 4 | 15, true), 1u << 12);
    EXPECT_EQ(take(L4_ALL_CAP & ~15u, true), 1u << 12); /* no right to take */
    EXPECT_EQ(take(0, true), 1u << 12);
    EXPECT(cap_lookup(there, 0x28) != NULL);
    check_kernel();
}

/* ---- cap-inspect ---- */

TEST(inspect)
{
    struct item items[] = {
        { 5, 3 << 4 | L4_ITEM_BADGE },
        { L4_CAP_FPAGE(FREE_CAP, L4_W), L4_CAP(FREE_CAP + 1) | L4_ITEM_MAP },
    };
    struct thread *next;

    boot(false);
    EXPECT_EQ(create(L4_TYPE_ENDPOINT, FREE_CAP, 0, 0), 0);
    /* the badged one comes back to us from the peer's task: give it the means */
    EXPECT_EQ(map(L4_FPAGE(L4_CAP(L4_S0_KPAGE), L4_SPACE_CAP, 13, L4_W), L4_CAP(L4_S0_KPAGE)), 0);
    peer->tcr[L4_TCR_SNDRES] = KPAGES;
    items[1].b = L4_CAP(8) | L4_ITEM_MAP;
    EXPECT_EQ(send_items(items, 2, 3), 0);
    s0->tcr[L4_TCR_WINDOW + L4_SPACE_CAP] = L4_CAP_FPAGE(FREE_CAP + 1, 15);
    next = host_call(s0, L4_CAP_INVALID, L4_IPC_W1(L4_CAP(EP_BACK), 1, 0, 0), 0, 0, 0);
    EXPECT(next != s0);
    /* the peer still waits for a message of ours; this test ends its wait */
    EXPECT(ipc_abort(peer, L4_D_NONE));
    next = host_run();
    EXPECT(next == peer);
    next = host_call(peer, L4_IPC_W0(L4_CAP(EP_BACK), 1, 0), L4_IPC_W1(L4_CAP(EP_THERE), 3, 0, 0), L4_CAP_FPAGE(8, 15), L4_ITEM_MAP, 0);
    EXPECT(next == s0);
    EXPECT(cap_lookup(s0->task, FREE_CAP + 1) != NULL);
    EXPECT_EQ(call(L4_CAP(FREE_CAP) | L4_SYS_CAP_INSPECT, L4_CAP(FREE_CAP + 1), 9, 0, 0), 0);
    EXPECT_EQ(s0->frame.w[1], 1);
    EXPECT_EQ(call(L4_CAP(FREE_CAP) | 1u << 4 | L4_SYS_CAP_INSPECT, L4_CAP(FREE_CAP + 1), 9, 0, 0), 0);
    EXPECT_EQ(s0->frame.w[1], 5u << 29);
    EXPECT_EQ(s0->frame.w[2], 3);
    /* without the right to compare at the first */
    EXPECT_EQ(call(L4_CAP(FREE_CAP + 1) | L4_SYS_CAP_INSPECT, L4_CAP(FREE_CAP), 0, 0, 0), 0);
    EXPECT_EQ(s0->frame.w[1], 0);
    EXPECT_EQ(call(L4_CAP(FREE_CAP + 1) | 1u << 4 | L4_SYS_CAP_INSPECT, L4_CAP(FREE_CAP), 7, 0, 0), L4_ERR(L4_DENIED, 0, 0));
    EXPECT(s0->frame.w[1] == 0 && s0->frame.w[2] == 0);
    EXPECT_EQ(call(L4_CAP(TASK) | L4_SYS_CAP_INSPECT, L4_CAP(THREAD), 0, 0, 0), 0);
    EXPECT_EQ(s0->frame.w[1], 0);
    EXPECT_EQ(call(L4_CAP(TASK) | 1u << 4 | L4_SYS_CAP_INSPECT, L4_CAP(TASK), 0, 0, 0), L4_ERR(L4_DENIED, 0, 0));
    EXPECT_EQ(call(L4_CAP_INVALID | L4_SYS_CAP_INSPECT, L4_CAP_INVALID, 0, 0, 0), 0);
    EXPECT_EQ(s0->frame.w[1], 0);
}
