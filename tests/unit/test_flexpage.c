// SPDX-License-Identifier: MIT
/*
 * The flexpage decoder and the hot-spot rule against references that share no idea with them: intervals in
 * 64 bits for the decoder, one bit after the other for the hot spot.  [M 3.1.4] [G1] [G11]
 *
 * Arguments: step=N looks at every N-th of the 2^32 words (step=1: all).
 */
#include <stdbool.h>
#include <stdint.h>

#include "kernel/flexpage.h"
#include "tests/unit/unit.h"

/* ---- decoder ---- */

struct reference {
    bool good;
    uint64_t base, end; /* what is selected, after clipping */
    unsigned order, space, rights;
};

static struct reference reference_decode(uint32_t w)
{
    struct reference r = { true, 0, 0, 12, 0, 0 };
    unsigned s = w / 16 % 64;

    if (w == 0)
        return r;
    r.space = w / 1024 % 4;
    if (s < 12 || r.space == 3) {
        r.good = false;
        return r;
    }
    if (s > 32)
        s = 32;
    r.base = (uint64_t)(w - w % 4096) >> s << s;
    if (r.space == 2) {
        if (r.base >= UINT64_C(1) << 28) {
            r.good = false;
            return r;
        }
        if (s > 28)
            s = 28;
    }
    r.order = s;
    r.rights = w % 16;
    r.end = r.base + (UINT64_C(1) << s);
    if (r.space == 0 && r.end > 0xc0000000u)
        r.end = r.base < 0xc0000000u ? 0xc0000000u : r.base;
    return r;
}

static bool decode_agrees(uint32_t w)
{
    struct reference r = reference_decode(w);
    struct flexpage f;
    enum l4_detail detail = flexpage_decode(w, &f);

    if (!r.good)
        return detail == L4_D_BAD_FLEXPAGE && f.names == 0;
    if (detail != L4_D_NONE || f.order < 12 || f.order > 32)
        return false;
    if (w == 0)
        return f.names == 0;
    return f.base == r.base && f.order == r.order && f.mask == (uint32_t)((UINT64_C(1) << f.order) - 1) && f.space == r.space && f.rights == r.rights &&
           (uint64_t)f.names * 4096 == r.end - r.base;
}

static void expect_decode(uint32_t w)
{
    if (!decode_agrees(w)) {
        printf("word 0x%08x\n", w);
        EXPECT(decode_agrees(w));
    }
}

TEST(decode_sweep)
{
    /* A prime step visits all values of the low bits; the default keeps the sanitizers below a second. */
    uint64_t step = unit_number("step", 251), w;

    for (w = 0; w <= 0xffffffffu; w += step)
        if (!decode_agrees((uint32_t)w))
            expect_decode((uint32_t)w);
    EXPECT(decode_agrees(0xffffffffu));
}

TEST(decode_edges)
{
    /* All low halves with every base that has one bit set, one bit clear, or is next to a border. */
    static const uint32_t borders[] = { 0, 0xbffff000u, 0xc0000000u, 0xc0001000u, 0xbfc00000u, 0x0ffff000u,
                                        0x10000000u, 0xfffff000u, 0xffc00000u, 0x7ffff000u, 0x80000000u };
    uint32_t low;
    unsigned bit;

    for (low = 0; low < 4096; low++) {
        for (bit = 12; bit < 32; bit++) {
            expect_decode(low | (UINT32_C(1) << bit));
            expect_decode((low | 0xfffff000u) & ~(UINT32_C(1) << bit));
        }
        for (bit = 0; bit < ARRAY_SIZE(borders); bit++)
            expect_decode(low | borders[bit]);
    }
    EXPECT(low == 4096);
}

TEST(decode_published_vectors)
{
    struct flexpage f;

    EXPECT_EQ(L4_FPAGE(0x08048000u, L4_SPACE_MEM, 12, L4_R | L4_X), 0x080480c5u);
    EXPECT_EQ(L4_CAP_FPAGE(7, 15), 0x000074cfu);
    EXPECT_EQ(flexpage_decode(0x0000020fu, &f), L4_D_NONE);
    EXPECT(f.base == 0 && f.order == 32 && f.space == L4_SPACE_MEM && f.rights == 15);
    EXPECT_EQ(f.names, 0xc0000u);
    EXPECT_EQ(flexpage_decode(0x0000060fu, &f), L4_D_NONE);
    EXPECT(f.space == L4_SPACE_CAP && f.names == 0x100000u);
    EXPECT_EQ(flexpage_decode(0x000608f6u, &f), L4_D_NONE);
    EXPECT(f.space == L4_SPACE_IO && f.base == 0x60000u && f.names == 8 && f.rights == 6);
    EXPECT_EQ(flexpage_decode(0x000009c6u, &f), L4_D_NONE);
    EXPECT(f.space == L4_SPACE_IO && f.names == 0x10000u);
}

/* ---- hot spot ---- */

struct range { uint32_t base; unsigned order; };

static unsigned bit_of(uint32_t word, unsigned i)
{
    return word >> i & 1;
}

/* One bit after the other: above the own size the own base, below both sizes zero, between them the
 * hot spot. */
static uint32_t reference_side(struct range own, struct range other, uint32_t hot)
{
    uint32_t out = 0;
    unsigned i;

    for (i = 0; i < 32; i++) {
        unsigned bit = i >= own.order ? bit_of(own.base, i) : i >= other.order ? bit_of(hot, i) : 0;

        out |= bit << i;
    }
    return out;
}

static struct flexpage range_of(uint32_t base, unsigned order, unsigned space)
{
    return (struct flexpage){ base, (uint32_t)((UINT64_C(1) << order) - 1), 1, (uint8_t)order,
                              (uint8_t)space, 15 };
}

static void check_pair(struct range send, struct range window, uint32_t hot)
{
    struct flexpage s = range_of(send.base, send.order, L4_SPACE_MEM);
    struct flexpage w = range_of(window.base, window.order, L4_SPACE_MEM);
    struct hot_spot spot;
    unsigned order = send.order < window.order ? send.order : window.order;

    EXPECT(flexpage_adjust(&s, &w, hot, &spot));
    EXPECT_EQ(spot.order, order);
    EXPECT_EQ(spot.source, reference_side(send, window, hot));
    EXPECT_EQ(spot.destination, reference_side(window, send, hot));
    EXPECT(!(spot.source & flexpage_mask(order)) && !(spot.destination & flexpage_mask(order)));
}

static uint32_t align(uint32_t base, unsigned order)
{
    return order >= 32 ? 0 : base >> order << order;
}

TEST(hot_spot_all_size_pairs)
{
    static const uint32_t seeds[] = { 0, 0xffffffffu, 0x55555555u, 0xaaaaaaaau, 0x12345678u, 0x80000000u,
                                      0xdead7000u, 0x00001000u };
    unsigned ss, rs, i, j, k;

    for (ss = 12; ss <= 32; ss++)
        for (rs = 12; rs <= 32; rs++)
            for (i = 0; i < ARRAY_SIZE(seeds); i++)
                for (j = 0; j < ARRAY_SIZE(seeds); j++)
                    for (k = 0; k < ARRAY_SIZE(seeds); k++)
                        check_pair((struct range){ align(seeds[i], ss), ss },
                                   (struct range){ align(seeds[j], rs), rs }, seeds[k] & 0xfffff000u);
}

TEST(hot_spot_published_vectors)
{
    static const struct {
        uint32_t send_base, window_base, hot, source, destination;
        uint8_t send_order, window_order;
    } vectors[] = {
        { 0x5000, 0, 0x08048000, 0x5000, 0x08048000, 12, 32 },
        { 0x400000, 0x10000000, 0x10234567, 0x634000, 0x10000000, 22, 12 },
        { 0x400000, 0x20000000, 0xdead7000, 0x400000, 0x200d0000, 16, 20 },
    };
    struct hot_spot spot;
    unsigned i;

    for (i = 0; i < ARRAY_SIZE(vectors); i++) {
        struct flexpage s = range_of(vectors[i].send_base, vectors[i].send_order, L4_SPACE_MEM);
        struct flexpage w = range_of(vectors[i].window_base, vectors[i].window_order, L4_SPACE_MEM);

        EXPECT(flexpage_adjust(&s, &w, vectors[i].hot & 0xfffff000u, &spot));
        EXPECT_EQ(spot.source, vectors[i].source);
        EXPECT_EQ(spot.destination, vectors[i].destination);
    }
}

TEST(io_has_no_hot_spot)
{
    unsigned ss, rs, i, j;

    for (ss = 12; ss <= 28; ss++) {
        for (rs = 12; rs <= 28; rs++) {
            for (i = 0; i < 64; i++) {
                for (j = 0; j < 64; j++) {
                    uint32_t a = align(i * 0x00412345u & 0x0fffffffu, ss);
                    uint32_t b = align(j * 0x00412345u & 0x0fffffffu, rs);
                    uint64_t a_end = a + (UINT64_C(1) << ss), b_end = b + (UINT64_C(1) << rs);
                    uint64_t first = a > b ? a : b, end = a_end < b_end ? a_end : b_end;
                    struct flexpage s = range_of(a, ss, L4_SPACE_IO);
                    struct flexpage w = range_of(b, rs, L4_SPACE_IO);
                    struct hot_spot spot;
                    bool meets = flexpage_adjust(&s, &w, 0xfffff000u, &spot);

                    EXPECT_EQ(meets, first < end);
                    if (!meets)
                        continue;
                    EXPECT(spot.source == first && spot.destination == first);
                    EXPECT_EQ(UINT64_C(1) << spot.order, end - first);
                }
            }
        }
    }
}
