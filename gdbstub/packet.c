// SPDX-License-Identifier: MIT
/*
 * The packet layer.  It trusts nothing that comes in: every length is bounded by the buffer, and a `$` in
 * the middle of a packet begins a new one.
 */
#include "gdbstub/packet.h"

enum { IDLE, DATA, SUM_HIGH, SUM_LOW };

static const char hex_digits[] = "0123456789abcdef";

void packet_reset(struct packet_reader *r)
{
    r->size = 0;
    r->state = IDLE;
    r->escape = r->too_long = false;
    r->sum = r->sum_high = 0;
}

bool packet_partial(const struct packet_reader *r) { return r->state != IDLE; }

static void begin(struct packet_reader *r)
{
    packet_reset(r);
    r->state = DATA;
}

static void keep(struct packet_reader *r, uint8_t byte)
{
    if (r->size < PACKET_MAX)
        r->data[r->size++] = byte;
    else
        r->too_long = true;
}

static enum packet_event finish(struct packet_reader *r, uint8_t low)
{
    int high = packet_digit(r->sum_high), rest = packet_digit(low);
    bool good = high >= 0 && rest >= 0 && (high << 4 | rest) == r->sum && !r->escape;
    r->state = IDLE;
    if (!good)
        return PACKET_BAD;
    if (r->too_long) {
        r->size = 0;
        return PACKET_TOO_LONG;
    }
    r->data[r->size] = 0;
    return PACKET_READY;
}

enum packet_event packet_feed(struct packet_reader *r, uint8_t byte)
{
    if (byte == '$') { /* always escaped inside data: a new packet, whatever was before */
        begin(r);
        return PACKET_NOTHING;
    }
    switch (r->state) {
    case DATA:
        if (byte == '#') {
            r->state = SUM_HIGH;
            return PACKET_NOTHING;
        }
        r->sum = (uint8_t)(r->sum + byte);
        if (r->escape) {
            r->escape = false;
            keep(r, byte ^ 0x20u);
        } else if (byte == '}') {
            r->escape = true;
        } else {
            keep(r, byte);
        }
        return PACKET_NOTHING;
    case SUM_HIGH:
        r->sum_high = byte;
        r->state = SUM_LOW;
        return PACKET_NOTHING;
    case SUM_LOW:
        return finish(r, byte);
    default:
        if (byte == 0x03)
            return PACKET_BREAK;
        if (byte == '+')
            return PACKET_ACK;
        if (byte == '-')
            return PACKET_NAK;
        return PACKET_NOTHING; /* noise between packets */
    }
}

void packet_begin(struct packet_writer *w)
{
    w->size = 0;
    w->overflow = false;
}

void packet_byte(struct packet_writer *w, uint8_t byte)
{
    if (w->size < PACKET_MAX)
        w->data[w->size++] = byte;
    else
        w->overflow = true;
}

void packet_text(struct packet_writer *w, const char *text)
{
    while (*text)
        packet_byte(w, (uint8_t)*text++);
}

void packet_hex8(struct packet_writer *w, uint8_t byte)
{
    packet_byte(w, (uint8_t)hex_digits[byte >> 4]);
    packet_byte(w, (uint8_t)hex_digits[byte & 15u]);
}

void packet_hex_bytes(struct packet_writer *w, const void *bytes, uint32_t size)
{
    const uint8_t *p = bytes;
    for (uint32_t i = 0; i < size; i++)
        packet_hex8(w, p[i]);
}

void packet_number(struct packet_writer *w, uint32_t value)
{
    unsigned shift = 28;
    while (shift && !(value >> shift))
        shift -= 4;
    for (;; shift -= 4) {
        packet_byte(w, (uint8_t)hex_digits[value >> shift & 15u]);
        if (!shift)
            return;
    }
}

/* ---- sending ---- */

struct frame { void (*put)(void *arg, uint8_t byte); void *arg; uint8_t sum; };

static void put_summed(struct frame *f, uint8_t byte)
{
    f->sum = (uint8_t)(f->sum + byte);
    f->put(f->arg, byte);
}

static bool must_escape(uint8_t byte)
{
    return byte == '$' || byte == '#' || byte == '}' || byte == '*';
}

/*
 * `byte` and then `more` copies of it: "0*<n+29>" stands for n + 1 zeros.  n is 3..94 and not such that
 * the count would be '#' or '$'.
 */
static void put_run(struct frame *f, uint8_t byte, uint32_t more)
{
    put_summed(f, byte);
    while (more >= 3) {
        uint32_t n = more < 94 ? more : 94;
        if (n == 6 || n == 7)
            n = 5;
        put_summed(f, '*');
        put_summed(f, (uint8_t)(n + 29));
        more -= n;
    }
    while (more--)
        put_summed(f, byte);
}

void packet_send(const struct packet_writer *w, void (*put)(void *arg, uint8_t byte), void *arg)
{
    struct frame f = { put, arg, 0 };
    put(arg, '$');
    for (uint32_t i = 0; i < w->size;) {
        uint8_t byte = w->data[i++];
        if (must_escape(byte)) {
            put_summed(&f, '}');
            put_summed(&f, byte ^ 0x20u);
            continue;
        }
        uint32_t more = 0;
        while (i < w->size && w->data[i] == byte) {
            i++;
            more++;
        }
        put_run(&f, byte, more);
    }
    put(arg, '#');
    put(arg, (uint8_t)hex_digits[f.sum >> 4]);
    put(arg, (uint8_t)hex_digits[f.sum & 15u]);
}

/* ---- parsing ---- */

int packet_digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

bool packet_parse(const uint8_t **p, const uint8_t *end, uint32_t *value)
{
    uint32_t v = 0;
    unsigned digits = 0;
    while (*p < end && packet_digit(**p) >= 0) {
        if (v >> 28)
            return false;
        v = v << 4 | (uint32_t)packet_digit(**p);
        ++*p;
        digits++;
    }
    *value = v;
    return digits != 0;
}

bool packet_parse_bytes(const uint8_t *p, const uint8_t *end, uint8_t *out, uint32_t size)
{
    if ((uint32_t)(end - p) < 2 * size)
        return false;
    for (uint32_t i = 0; i < size; i++) {
        int high = packet_digit(p[2 * i]), low = packet_digit(p[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        out[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}
