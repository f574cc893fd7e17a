// SPDX-License-Identifier: MIT
/*
 * Framing of GDB's remote serial protocol: $data#cc, escapes, run-length coding.  Bytes in, events out;
 * no device, no kernel header, so that the same code runs in the unit tests.
 */
#ifndef GDBSTUB_PACKET_H
#define GDBSTUB_PACKET_H

#include "kernel/lib/types.h"

#define PACKET_MAX 0x4000u /* payload bytes of one packet: what PacketSize= tells */

enum packet_event {
    PACKET_NOTHING,    /* go on feeding */
    PACKET_READY,      /* data[0..size) is a complete packet; a NUL follows it */
    PACKET_BAD,        /* checksum wrong or malformed: ask again */
    PACKET_TOO_LONG,   /* well formed but more than PACKET_MAX: nothing of it is kept */
    PACKET_BREAK,      /* 0x03 between packets */
    PACKET_ACK, PACKET_NAK,
};

/* Invariant: size <= PACKET_MAX whatever was fed. */
struct packet_reader {
    uint8_t data[PACKET_MAX + 1];
    uint32_t size;
    uint8_t state, sum, sum_high;
    bool escape, too_long;
};

void packet_reset(struct packet_reader *r);
enum packet_event packet_feed(struct packet_reader *r, uint8_t byte);
/* In the middle of a packet? */
bool packet_partial(const struct packet_reader *r);

/*
 * A reply under construction: payload, not yet escaped or packed.  Writing beyond PACKET_MAX sets
 * `overflow` and drops the rest.
 */
struct packet_writer {
    uint8_t data[PACKET_MAX];
    uint32_t size;
    bool overflow;
};

void packet_begin(struct packet_writer *w);
void packet_byte(struct packet_writer *w, uint8_t byte);
void packet_text(struct packet_writer *w, const char *text);
void packet_hex8(struct packet_writer *w, uint8_t byte);
void packet_hex_bytes(struct packet_writer *w, const void *bytes, uint32_t size); /* memory order */
void packet_number(struct packet_writer *w, uint32_t value);                      /* hex, no leading zeros */

/* Write the frame of w's payload to `put`, escaped and run-length coded. */
void packet_send(const struct packet_writer *w, void (*put)(void *arg, uint8_t byte), void *arg);

/* ---- parsing ---- */

int packet_digit(uint8_t c);                      /* 0..15, or -1 */
/* A hex number of 1 to 8 digits at *p; advances *p.  False: none there, or too long. */
bool packet_parse(const uint8_t **p, const uint8_t *end, uint32_t *value);
/* Exactly 2 * size hex digits; false if short or not hex. */
bool packet_parse_bytes(const uint8_t *p, const uint8_t *end, uint8_t *out, uint32_t size);

#endif
