// SPDX-License-Identifier: MIT
/*
 * Output: rows as text, JSON lines, TSV or DOT, and the lines they are written to.
 *
 * Contract of a framed answer: data lines never start with '#' or "kdb:" (a leading blank is put before
 * one that would), contain no control characters, and end in LF (the serial sink makes CR LF of it).  The CRC of
 * a frame is CRC-16/CCITT (polynomial 0x1021, start 0xffff) over its data lines with their CR LF.
 */
#include "kdb/engine.h"
#include "kdb/line.h"

#include "kernel/debug/debug.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/string.h"

/* ---- lines ----------------------------------------------------------------------------------- */

uint16_t kdb_crc(uint16_t crc, char c)
{
    uint32_t r = crc ^ (uint32_t)(uint8_t)c << 8;

    for (unsigned i = 0; i < 8; i++)
        r = r & 0x8000u ? r << 1 ^ 0x1021u : r << 1;
    return (uint16_t)r;
}

uint16_t kdb_crc_text(const char *text)
{
    uint16_t crc = 0xffff;

    for (; *text; text++)
        crc = kdb_crc(crc, *text);
    return crc;
}

static void emit(struct kdb *k, char c)
{
    if (c == '\n')
        k->crc = kdb_crc(k->crc, '\r');
    k->crc = kdb_crc(k->crc, c);
    k->sink(k->arg, c);
}

static void out_char(void *arg, char c)
{
    struct kdb *k = arg;

    if (k->out_used + 1u < KDB_OUT)
        k->out[k->out_used++] = c;
    else
        k->out[KDB_OUT - 2] = '~';
}

void kdb_out(struct kdb *k, const char *format, ...)
{
    va_list list;

    va_start(list, format);
    fmt_va(out_char, k, format, list);
    va_end(list);
}

void kdb_out_text(struct kdb *k, const char *text)
{
    for (; *text; text++)
        out_char(k, *text);
}

void kdb_out_line(struct kdb *k)
{
    k->out[k->out_used] = '\0';
    if (k->out[0] == '#' || strncmp(k->out, "kdb:", 4) == 0)
        emit(k, ' ');
    for (unsigned i = 0; i < k->out_used; i++)
        emit(k, k->out[i] < ' ' || k->out[i] > '~' ? '?' : k->out[i]);
    emit(k, '\n');
    k->out_used = 0;
}

static void raw_char(void *arg, char c)
{
    struct kdb *k = arg;

    k->sink(k->arg, c);
}

void kdb_raw(struct kdb *k, const char *format, ...)
{
    va_list list;

    va_start(list, format);
    fmt_va(raw_char, k, format, list);
    va_end(list);
}

void kdb_note(struct kdb *k, const char *format, ...)
{
    va_list list;

    if (k->format != KDB_AS_TEXT || k->stage_count) /* behind a pipe only its result counts */
        return;
    va_start(list, format);
    fmt_va(out_char, k, format, list);
    va_end(list);
    kdb_out_line(k);
}

enum kdb_rc kdb_fail(struct kdb *k, enum kdb_rc rc, const char *format, ...)
{
    char text[160];
    va_list list;

    va_start(list, format);
    fmt_buffer_va(text, sizeof(text), format, list);
    va_end(list);
    if (k->rc == KDB_OK)
        k->rc = rc;
    if (k->mute)
        return rc;
    k->out_used = 0;
    if (k->format == KDB_AS_JSON) {
        kdb_out(k, "{\"error\":");
        kdb_out_json(k, text);
        kdb_out(k, "}");
    } else {
        kdb_out(k, k->format == KDB_AS_DOT ? "// error: %s" : "error: %s", text);
    }
    kdb_out_line(k);
    return rc;
}

/* ---- which columns --------------------------------------------------------------------------- */

static bool shown(const struct kdb *k, const struct kdb_schema *s, unsigned position, unsigned *col)
{
    unsigned n = 0;

    if (k->col_count && s == k->schema) {
        *col = position < k->col_count ? k->cols[position] : 0;
        return position < k->col_count;
    }
    for (unsigned i = 0; i < s->count; i++) {
        if ((s->col[i].flags & COL_WIDE) && !k->verbose && k->format == KDB_AS_TEXT)
            continue;
        if (n++ == position) {
            *col = i;
            return true;
        }
    }
    return false;
}

static bool right_aligned(unsigned kind)
{
    return kind == K_NUM || kind == K_US;
}

static void pad(struct kdb *k, unsigned from, unsigned width)
{
    for (; from < width; from++)
        out_char(k, ' ');
}

/* ---- text ------------------------------------------------------------------------------------ */

static void text_cells(struct kdb *k, const struct kdb_schema *s, const struct kdb_row *row)
{
    char cell[KDB_ROW_TEXT + 2];
    unsigned col, next;

    for (unsigned i = 0; shown(k, s, i, &col); i++) {
        unsigned width = s->col[col].width, length;
        bool right = right_aligned(s->col[col].kind);

        if (i)
            kdb_out_text(k, "  ");
        if (row)
            kdb_cell_text(s, row, col, cell, sizeof(cell));
        else
            fmt_buffer(cell, sizeof(cell), "%s", s->col[col].name);
        length = (unsigned)strlen(cell);
        width = max_u32(width, (uint32_t)strlen(s->col[col].name));
        if (right)
            pad(k, length, width);
        kdb_out_text(k, cell);
        if (!right && shown(k, s, i + 1, &next))
            pad(k, length, width);
    }
    while (k->out_used && k->out[k->out_used - 1] == ' ')
        k->out_used--;
    kdb_out_line(k);
}

static void render_text(struct kdb *k, const struct kdb_schema *s, const struct kdb_row *row)
{
    /* One number needs no title, and neither do pairs. */
    if (k->header_of != s && s->count > 1 && s != &kdb_pairs)
        text_cells(k, s, NULL);
    text_cells(k, s, row);
}

/* ---- JSON ------------------------------------------------------------------------------------ */

void kdb_out_json(struct kdb *k, const char *text)
{
    out_char(k, '"');
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            out_char(k, '\\');
        out_char(k, *text);
    }
    out_char(k, '"');
}

static void json_list(struct kdb *k, const char *text)
{
    out_char(k, '[');
    while (*text) {
        char word[48];
        unsigned n = 0;

        while (*text && *text != ' ') {
            if (n + 1 < sizeof(word))
                word[n++] = *text;
            text++;
        }
        word[n] = '\0';
        kdb_out_json(k, word);
        if (*text) {
            text++;
            out_char(k, ',');
        }
    }
    out_char(k, ']');
}

static void json_value(struct kdb *k, const struct kdb_schema *s, const struct kdb_row *row,
                       unsigned col)
{
    char cell[KDB_ROW_TEXT + 2];
    const struct kdb_field *f = &row->field[col];

    if (col >= row->count || f->state != FIELD_GOOD) {
        kdb_out_text(k,
                     s->col[col].kind == K_LIST && col < row->count && f->state == FIELD_NULL
                         ? "[]"
                         : "null");
        return;
    }
    switch ((enum kdb_kind)s->col[col].kind) {
    case K_NUM: case K_US:
        kdb_out(k, "%llu", (unsigned long long)f->number);
        break;
    case K_BOOL:
        kdb_out_text(k, f->number ? "true" : "false");
        break;
    case K_HEX:
        kdb_cell_text(s, row, col, cell, sizeof(cell));
        kdb_out_json(k, cell);
        break;
    case K_LIST:
        json_list(k, kdb_cell(row, col));
        break;
    case K_ID: case K_NAME: case K_SLOT: case K_RIGHTS: case K_TEXT:
    default:
        kdb_out_json(k, kdb_cell(row, col));
        break;
    }
}

static void render_json(struct kdb *k, const struct kdb_schema *s, const struct kdb_row *row)
{
    unsigned col, bad = 0;

    out_char(k, '{');
    for (unsigned i = 0; shown(k, s, i, &col); i++) {
        if (i)
            out_char(k, ',');
        kdb_out_json(k, s->col[col].name);
        out_char(k, ':');
        json_value(k, s, row, col);
    }
    for (unsigned i = 0; shown(k, s, i, &col); i++) {
        if (col >= row->count || row->field[col].state != FIELD_BAD)
            continue;
        kdb_out_text(k, bad++ ? "," : ",\"err\":{");
        kdb_out_json(k, s->col[col].name);
        out_char(k, ':');
        kdb_out_json(k, kdb_cell(row, col));
    }
    kdb_out_text(k, bad ? "}}" : "}");
    kdb_out_line(k);
}

/* ---- TSV and DOT ----------------------------------------------------------------------------- */

static void tsv_cells(struct kdb *k, const struct kdb_schema *s, const struct kdb_row *row)
{
    char cell[KDB_ROW_TEXT + 2];
    unsigned col;

    for (unsigned i = 0; shown(k, s, i, &col); i++) {
        if (i)
            kdb_out_text(k, "\t");
        if (!row) {
            kdb_out_text(k, s->col[col].name);
            continue;
        }
        /* Plain numbers, so that tools can sort and add. */
        if (s->col[col].kind == K_US && row->field[col].state == FIELD_GOOD)
            kdb_out(k, "%llu", (unsigned long long)row->field[col].number);
        else {
            kdb_cell_text(s, row, col, cell, sizeof(cell));
            kdb_out_text(k, cell);
        }
    }
    /* Tabs are the one control character that goes out. */
    for (unsigned i = 0; i < k->out_used; i++)
        emit(k, k->out[i]);
    emit(k, '\n');
    k->out_used = 0;
}

static void dot_quoted(struct kdb *k, const struct kdb_schema *s, const struct kdb_row *row,
                       unsigned col)
{
    char cell[KDB_ROW_TEXT + 2];

    kdb_cell_text(s, row, col, cell, sizeof(cell));
    kdb_out_json(k, cell);
}

static void render_dot(struct kdb *k, const struct kdb_schema *s, const struct kdb_row *row)
{
    int from = -1, to = -1;
    bool first = true;

    if (!k->header_of) {
        kdb_out_text(k, "digraph kdb {");
        kdb_out_line(k);
    }
    for (unsigned i = 0; i < s->count; i++) {
        if (s->col[i].flags & COL_SRC)
            from = (int)i;
        if (s->col[i].flags & COL_DST)
            to = (int)i;
    }
    kdb_out_text(k, "  ");
    if (from >= 0 && to >= 0 && row->field[from].state == FIELD_GOOD &&
        row->field[to].state == FIELD_GOOD) {
        dot_quoted(k, s, row, (unsigned)from);
        kdb_out_text(k, " -> ");
        dot_quoted(k, s, row, (unsigned)to);
    } else {
        dot_quoted(k, s, row, to >= 0 ? (unsigned)to : 0);
        from = to >= 0 ? to : 0;
    }
    kdb_out_text(k, " [label=\"");
    for (unsigned i = 0; i < s->count; i++) {
        if ((int)i == from || (int)i == to || row->field[i].state != FIELD_GOOD ||
            s->col[i].kind == K_LIST || s->col[i].kind == K_HEX || (s->col[i].flags & COL_VOLATILE))
            continue;
        if (!first)
            out_char(k, ' ');
        first = false;
        {
            char cell[KDB_ROW_TEXT + 2];

            kdb_cell_text(s, row, i, cell, sizeof(cell));
            for (const char *c = cell; *c; c++)
                out_char(k, *c == '"' || *c == '\\' ? '\'' : *c);
        }
    }
    kdb_out_text(k, "\"];");
    kdb_out_line(k);
}

/* ---- one row, and the end -------------------------------------------------------------------- */

static void remember_id(const struct kdb_schema *s, const struct kdb_row *row)
{
    if (s->col[0].kind == K_ID && row->field[0].state == FIELD_GOOD &&
        kdb_last_count < ARRAY_SIZE(kdb_last_ids))
        kdb_last_ids[kdb_last_count++] = (uint32_t)row->field[0].number;
}

void kdb_render(struct kdb *k, const struct kdb_schema *schema, const struct kdb_row *row)
{
    k->rows++;
    if (schema->count && k->depth == 0)
        remember_id(schema, row);
    if (k->quiet)
        return;
    switch (k->format) {
    case KDB_AS_JSON:
        render_json(k, schema, row);
        break;
    case KDB_AS_TSV:
        if (k->header_of != schema)
            tsv_cells(k, schema, NULL);
        tsv_cells(k, schema, row);
        break;
    case KDB_AS_DOT:
        render_dot(k, schema, row);
        break;
    case KDB_AS_TEXT: default:
        render_text(k, schema, row);
        break;
    }
    k->header_of = schema;
}

void kdb_render_finish(struct kdb *k)
{
    if (k->stage_count && k->stage[k->stage_count - 1].kind == STAGE_EACH)
        return; /* each inner line has finished its own */
    if (k->format == KDB_AS_DOT && k->schema && !k->quiet) {
        if (!k->header_of) {
            kdb_out_text(k, "digraph kdb {");
            kdb_out_line(k);
        }
        kdb_out_text(k, "}");
        kdb_out_line(k);
    }
    if (k->format != KDB_AS_TEXT || !k->schema)
        return;
    if (k->quiet)
        kdb_note(k, "-- %u rows%s", k->rows, k->more ? ", and more" : "");
    else if (k->more)
        kdb_note(k, "-- %u rows, and more (max=%u)", k->rows, k->max);
    if (k->bad)
        kdb_note(k, "-- %u rows hold something unreadable, marked !", k->bad);
}
