// SPDX-License-Identifier: MIT
/* The line editor, and the console line as it sees it. */
#ifndef KDB_LINE_H
#define KDB_LINE_H

#include "kernel/lib/types.h"

enum line_result { LINE_OK, LINE_TOO_LONG, LINE_CANCELLED };

/*
 * Read one line.  edit: echo, cursor keys, history, Tab; else plain characters up to CR or LF.  A line that
 * does not fit is read to its end and refused, never cut.
 */
enum line_result line_read(const char *prompt, char *to, unsigned size, bool edit);

/* complete.c: words that may stand at the cursor.  Calls found() for each; bounded. */
void line_complete(const char *line, unsigned cursor, void (*found)(void *arg, const char *word),
                   void *arg);

int kdb_getc(void);   /* waits */
void kdb_putc(char c); /* LF becomes CR LF */
void kdb_puts(const char *text);

/* render.c: the checksum of frames */
uint16_t kdb_crc(uint16_t crc, char c);
uint16_t kdb_crc_text(const char *text);

#endif
