// SPDX-License-Identifier: MIT
/* Agent expressions: each operation, and code that means harm. */
#include "gdbstub/agent.h"
#include "tests/unit/unit.h"

static const uint8_t memory[16] = { 0x80, 0xff, 0, 0x12, 0xde, 0xad, 0xbe, 0xef, 1, 2, 3, 4, 5, 6, 7, 8 };

static bool read_memory(uint32_t address, void *to, unsigned size)
{
    if (address < 0x1000 || address > 0x1010 - size)
        return false;
    memcpy(to, memory + (address - 0x1000), size);
    return true;
}

static bool read_register(uint32_t number, uint32_t *value)
{
    *value = 0x80000000u + number;
    return number < 16;
}

static const struct agent_target target = { read_memory, read_register };

static bool run(uint64_t *value, const char *hex)
{
    uint8_t code[64];
    unsigned size = (unsigned)strlen(hex) / 2, digits;
    for (unsigned i = 0; i < size; i++) {
        EXPECT(sscanf(hex + 2 * i, "%2x", &digits) == 1);
        code[i] = (uint8_t)digits;
    }
    return agent_run(code, size, &target, value);
}

static uint64_t value_of(const char *hex)
{
    uint64_t value = 0xbad0bad0bad0bad0ull;
    EXPECT(run(&value, hex));
    return value;
}

static bool fails(const char *hex)
{
    uint64_t value;
    return !run(&value, hex);
}

TEST(operations)
{
    EXPECT_EQ(value_of("22ff27"), 255);
    EXPECT_EQ(value_of("23123427"), 0x1234);
    EXPECT_EQ(value_of("248000000127"), 0x80000001u);
    EXPECT(value_of("25fffffffffffffffe27") == 0xfffffffffffffffeull);
    EXPECT_EQ(value_of("2207220502" "27"), 12);
    EXPECT(value_of("2205220703" "27") == (uint64_t)-2);
    EXPECT_EQ(value_of("2207220504" "27"), 35);
    EXPECT(value_of("22f916082203" "05" "27") == (uint64_t)-2);  /* -7 / 3 */
    EXPECT(value_of("22f916082203" "07" "27") == (uint64_t)-1);  /* -7 % 3 */
    EXPECT_EQ(value_of("22642207" "06" "27"), 14);
    EXPECT_EQ(value_of("22642207" "08" "27"), 2);
    EXPECT_EQ(value_of("22012220" "09" "221f" "0b" "27"), 2);
    EXPECT_EQ(value_of("22012240" "09" "27"), 0);
    EXPECT(value_of("22f916082201" "0a" "27") == (uint64_t)-4);
    EXPECT_EQ(value_of("22000e27"), 1);
    EXPECT_EQ(value_of("220c220a" "0f" "27"), 8);
    EXPECT_EQ(value_of("220c220a" "10" "27"), 14);
    EXPECT_EQ(value_of("220c220a" "11" "27"), 6);
    EXPECT(value_of("220012" "27") == ~0ull);
    EXPECT_EQ(value_of("22052205" "13" "27"), 1);
    EXPECT_EQ(value_of("22f916082203" "14" "27"), 1);
    EXPECT_EQ(value_of("22f916082203" "15" "27"), 0);
    EXPECT(value_of("22801608" "27") == (uint64_t)-128);
    EXPECT_EQ(value_of("25ffffffffffffffff2a1027"), 0xffff);
    EXPECT_EQ(value_of("231000" "17" "27"), 0x80);
    EXPECT_EQ(value_of("231000" "18" "27"), 0xff80);
    EXPECT_EQ(value_of("231004" "19" "27"), 0xefbeadde);
    EXPECT(value_of("231008" "1a" "27") == 0x0807060504030201ull);
    EXPECT_EQ(value_of("26000827"), 0x80000008u);
    EXPECT_EQ(value_of("22032828" "04" "04" "27"), 27);
    EXPECT_EQ(value_of("220122022927"), 1);
    EXPECT_EQ(value_of("220722052b0327"), (uint64_t)-2);
    EXPECT_EQ(value_of("220122022203320227"), 1);
    EXPECT_EQ(value_of("22012202220333" "27"), 2);           /* 3 1 2 */
    EXPECT_EQ(value_of("22012202220333" "29" "29" "27"), 3);
    EXPECT_EQ(value_of("2201" "200008" "2200" "27" "2209" "27"), 9);
    EXPECT_EQ(value_of("2200" "200008" "2200" "27" "2209" "27"), 0);
    EXPECT_EQ(value_of("210005" "2200" "2203" "27"), 3);
}

TEST(harm)
{
    EXPECT(fails("") && fails("2201") && fails("27"));            /* no end, no value */
    EXPECT(fails("22") && fails("2301") && fails("25000000"));    /* operand cut off */
    EXPECT(fails("02") && fails("220102") && fails("2b") && fails("220133") && fails("29") && fails("28"));
    EXPECT(fails("2201220005" "27") && fails("2201220006" "27") && fails("2201220007" "27") && fails("2201220008" "27"));
    EXPECT(fails("22001927") && fails("24ffffffff1927") && fails("23100d1927"));
    EXPECT(fails("26001027") && fails("26ffff27"));
    EXPECT(fails("220032ff27") && fails("3200"));
    EXPECT(fails("210000"));                                      /* for ever */
    EXPECT(fails("22012100002127"));                              /* the stack overflows */
    EXPECT(fails("21ffff") && fails("2201" "20ffff"));
    EXPECT(fails("010127") && fails("22010c27") && fails("220134" "27") && fails("2201ff27") && fails("22011b27"));
}

TEST(fuzz)
{
    unsigned ended = 0;
    srand(2);
    for (unsigned i = 0; i < unit_number("rounds", 20000); i++) {
        uint8_t *code = malloc(40); /* of this very size: the sanitizer watches both ends */
        uint64_t value;
        for (unsigned n = 0; n < 40; n++)
            code[n] = (uint8_t)(rand() & 1 ? rand() % 0x35 : rand());
        ended += agent_run(code, 40, &target, &value);
        free(code);
    }
    EXPECT(ended > 0);
}
