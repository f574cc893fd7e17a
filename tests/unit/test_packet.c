// SPDX-License-Identifier: MIT
/* The packet layer of the GDB stub: framing, escapes, run lengths, and bytes that mean harm. */
#include "gdbstub/packet.h"
#include "tests/unit/unit.h"

static struct packet_reader reader;
static struct packet_writer writer;

struct sink { uint8_t bytes[4 * PACKET_MAX]; uint32_t size; };
static struct sink wire;

static void wire_put(void *arg, uint8_t byte)
{
    struct sink *s = arg;
    s->bytes[s->size++] = byte;
}

/* The last event that was not NOTHING. */
static enum packet_event feed(const char *bytes, size_t size)
{
    enum packet_event last = PACKET_NOTHING;
    for (size_t i = 0; i < size; i++) {
        enum packet_event e = packet_feed(&reader, (uint8_t)bytes[i]);
        if (e != PACKET_NOTHING)
            last = e;
    }
    return last;
}
static enum packet_event feed_text(const char *text) { return feed(text, strlen(text)); }

TEST(frame)
{
    packet_reset(&reader);
    EXPECT_EQ(feed_text("$m0,4#fd"), PACKET_READY);
    EXPECT_EQ(reader.size, 4);
    EXPECT(!strcmp((char *)reader.data, "m0,4"));
    EXPECT_EQ(feed_text("$#00"), PACKET_READY);
    EXPECT_EQ(reader.size, 0);
    EXPECT_EQ(feed_text("$m0,4#fe"), PACKET_BAD);
    EXPECT_EQ(feed_text("$m0,4#zz"), PACKET_BAD);
    EXPECT_EQ(feed_text("$m0,4#FD"), PACKET_READY);
    EXPECT_EQ(feed_text("+"), PACKET_ACK);
    EXPECT_EQ(feed_text("-"), PACKET_NAK);
    EXPECT_EQ(feed_text("\003"), PACKET_BREAK);
    EXPECT_EQ(feed_text("noise\r\n"), PACKET_NOTHING);
}

TEST(resync)
{
    packet_reset(&reader);
    EXPECT_EQ(feed_text("$half a pack$?#3f"), PACKET_READY);
    EXPECT(!strcmp((char *)reader.data, "?"));
    EXPECT_EQ(feed_text("$x#$?#3f"), PACKET_READY);
    EXPECT_EQ(feed_text("$x#4$?#3f"), PACKET_READY);
    EXPECT_EQ(feed_text("$a\003b#c6"), PACKET_READY); /* 0x03 inside is data */
    EXPECT_EQ(reader.size, 3);
}

TEST(escapes)
{
    packet_reset(&reader);
    EXPECT_EQ(feed_text("$X0,2:}\x03}\x04#d2"), PACKET_BAD); /* wrong sum: computed over the raw bytes */
    unsigned sum = 0;
    const char body[] = "X0,2:}\x03}\x04";
    for (const char *p = body; *p; p++)
        sum += (uint8_t)*p;
    char frame[64];
    snprintf(frame, sizeof(frame), "$%s#%02x", body, sum & 255);
    EXPECT_EQ(feed_text(frame), PACKET_READY);
    EXPECT_EQ(reader.size, 7);
    EXPECT_EQ(reader.data[5], '#');
    EXPECT_EQ(reader.data[6], '$');
    EXPECT_EQ(feed_text("$ab}#40"), PACKET_BAD); /* an escape of nothing */
}

TEST(too_long)
{
    packet_reset(&reader);
    packet_feed(&reader, '$');
    unsigned sum = 0;
    for (uint32_t i = 0; i < PACKET_MAX + 100; i++) {
        EXPECT_EQ(packet_feed(&reader, 'a'), PACKET_NOTHING);
        sum += 'a';
    }
    char end[8];
    snprintf(end, sizeof(end), "#%02x", sum & 255);
    EXPECT_EQ(feed_text(end), PACKET_TOO_LONG);
    EXPECT_EQ(feed_text("$?#3f"), PACKET_READY);
    /* Exactly full is fine. */
    packet_feed(&reader, '$');
    sum = 0;
    for (uint32_t i = 0; i < PACKET_MAX; i++) {
        packet_feed(&reader, 'b');
        sum += 'b';
    }
    snprintf(end, sizeof(end), "#%02x", sum & 255);
    EXPECT_EQ(feed_text(end), PACKET_READY);
    EXPECT_EQ(reader.size, PACKET_MAX);
    EXPECT_EQ(reader.data[PACKET_MAX], 0);
}

/* What a debugger does with a frame: check, expand runs, unescape. */
static bool decode(const struct sink *s, uint8_t *out, uint32_t *size)
{
    uint8_t sum = 0;
    static uint8_t raw[4 * PACKET_MAX];
    uint32_t n = 0, i = 1;
    if (s->size < 4 || s->bytes[0] != '$' || s->bytes[s->size - 3] != '#')
        return false;
    for (; i < s->size - 3; i++) {
        uint8_t byte = s->bytes[i];
        sum = (uint8_t)(sum + byte);
        if (byte == '$' || byte == '#')
            return false;
        if (byte == '*') {
            uint8_t count = s->bytes[++i];
            sum = (uint8_t)(sum + count);
            if (count < 32 || count > 126 || count == '$' || count == '#' || n == 0)
                return false;
            for (unsigned k = 0; k < count - 29u; k++, n++)
                raw[n] = raw[n - 1];
        } else {
            raw[n++] = byte;
        }
    }
    char want[3];
    snprintf(want, sizeof(want), "%02x", sum);
    if (memcmp(want, &s->bytes[s->size - 2], 2) != 0)
        return false;
    uint32_t m = 0;
    for (i = 0; i < n; i++)
        out[m++] = raw[i] == '}' ? raw[++i] ^ 0x20 : raw[i];
    *size = m;
    return true;
}

static bool round_trip(const uint8_t *bytes, uint32_t size)
{
    static uint8_t back[4 * PACKET_MAX];
    uint32_t n;
    packet_begin(&writer);
    for (uint32_t i = 0; i < size; i++)
        packet_byte(&writer, bytes[i]);
    wire.size = 0;
    packet_send(&writer, wire_put, &wire);
    return !writer.overflow && decode(&wire, back, &n) && n == size && memcmp(back, bytes, size) == 0;
}

TEST(send)
{
    uint8_t bytes[300];
    for (unsigned i = 0; i < 256; i++)
        bytes[i] = (uint8_t)i;
    EXPECT(round_trip(bytes, 256));
    for (unsigned length = 0; length < 300; length++) { /* every run length, of a plain and of an escaped byte */
        memset(bytes, '0', length);
        EXPECT(round_trip(bytes, length));
        memset(bytes, '}', length);
        EXPECT(round_trip(bytes, length));
    }
    memset(bytes, '0', 300);
    EXPECT(round_trip(bytes, 300));
    EXPECT(wire.size < 20);
}

TEST(send_random)
{
    srand(7);
    static uint8_t bytes[PACKET_MAX];
    for (unsigned i = 0; i < unit_number("rounds", 300); i++) {
        uint32_t size = (uint32_t)rand() % (i % 10 ? 200 : PACKET_MAX);
        for (uint32_t k = 0; k < size;) { /* runs, so that the coding is exercised */
            uint8_t byte = (uint8_t)("0$#}*+-\003ab"[rand() % 10]);
            for (uint32_t n = (uint32_t)rand() % 120; n-- && k < size;)
                bytes[k++] = byte;
        }
        EXPECT(round_trip(bytes, size));
    }
}

TEST(writer_overflow)
{
    packet_begin(&writer);
    for (uint32_t i = 0; i < PACKET_MAX + 5; i++)
        packet_byte(&writer, 'x');
    EXPECT(writer.overflow);
    EXPECT_EQ(writer.size, PACKET_MAX);
}

TEST(numbers)
{
    packet_begin(&writer);
    packet_number(&writer, 0);
    packet_byte(&writer, ' ');
    packet_number(&writer, 0x1f);
    packet_byte(&writer, ' ');
    packet_number(&writer, 0xffffffff);
    EXPECT(writer.size == 13 && !memcmp(writer.data, "0 1f ffffffff", 13));

    const char text[] = "ffffffff,100000000,xyz";
    const uint8_t *p = (const uint8_t *)text, *end = p + strlen(text);
    uint32_t value;
    EXPECT(packet_parse(&p, end, &value) && value == 0xffffffff && *p == ',');
    p++;
    EXPECT(!packet_parse(&p, end, &value)); /* nine digits */
    p = (const uint8_t *)text + 19;
    EXPECT(!packet_parse(&p, end, &value)); /* no digit */
    p = end;
    EXPECT(!packet_parse(&p, end, &value)); /* nothing left */

    uint8_t out[2];
    const uint8_t *hex = (const uint8_t *)"0aFfx";
    EXPECT(packet_parse_bytes(hex, hex + 4, out, 2) && out[0] == 10 && out[1] == 255);
    EXPECT(!packet_parse_bytes(hex, hex + 3, out, 2));
    EXPECT(!packet_parse_bytes(hex + 1, hex + 5, out, 2));
}

/* Any bytes: the reader never leaves its bounds (the sanitizer looks) and then takes a good packet. */
TEST(fuzz)
{
    srand(1);
    packet_reset(&reader);
    for (unsigned i = 0; i < unit_number("rounds", 300); i++) {
        for (unsigned n = (unsigned)rand() % 3000; n--;) {
            static const char often[] = "$#}*\003+-0f";
            uint8_t byte = (uint8_t)(rand() & 3 ? rand() : often[rand() % 9]);
            enum packet_event e = packet_feed(&reader, byte);
            EXPECT(reader.size <= PACKET_MAX);
            EXPECT(e != PACKET_READY || reader.data[reader.size] == 0);
        }
        EXPECT_EQ(feed_text("$?#3f"), PACKET_READY);
        EXPECT(!strcmp((char *)reader.data, "?"));
    }
}
