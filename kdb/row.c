// SPDX-License-Identifier: MIT
/*
 * Rows: building them, filters, the sort window, and the row stages behind '|'.
 *
 * A row is a flat copy: numbers and texts, no pointers, so that a window of rows can outlive the walk
 * that made them.  The window is one static array; whoever needs it while an outer command has it
 * gets BUSY.
 */
#include "kdb/engine.h"

#include "kernel/debug/debug.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/string.h"

#define GROUPS 64u /* distinct values that count and uniq tell apart */

static struct kdb_row window[KDB_WINDOW];
static const struct kdb *window_user;
static unsigned window_count, window_next;

static struct { char text[40]; uint32_t n; } group[GROUPS];
static const struct kdb *group_user;
static unsigned group_count;

static const struct kdb_col pair_cols[] = {
    { "field", K_TEXT, 15, 0, "what" },
    { "value", K_TEXT, 10, 0, "its value" },
};
const struct kdb_schema kdb_pairs = { "pairs", pair_cols, 2 };

/* What `each` runs its line for; collected first, since the line may need what the outer command uses. */
#define EACH_MAX 256u
static char each_ref[EACH_MAX][32];
static const struct kdb *each_user;
static unsigned each_count;

/* ---- building -------------------------------------------------------------------------------- */

void kdb_row(struct kdb *k)
{
    k->row.count = 0;
    k->row.used = 0;
}

/* The field under construction; NULL if the command puts more than its schema has. */
static struct kdb_field *put(struct kdb *k, enum kdb_state state)
{
    struct kdb_field *f;

    if (k->row.count == KDB_COLS)
        return NULL;
    f = &k->row.field[k->row.count++];
    f->state = (uint8_t)state;
    f->number = 0;
    f->text = k->row.used;
    if (k->row.used < KDB_ROW_TEXT)
        k->row.text[k->row.used] = '\0';
    else
        f->text = KDB_ROW_TEXT - 1;
    return f;
}

/* Append to the text of the last field; what does not fit is cut, the end marked '~'. */
static void append(struct kdb *k, const char *text)
{
    struct kdb_row *r = &k->row;

    for (; *text; text++) {
        if (r->used + 1u >= KDB_ROW_TEXT) {
            r->text[KDB_ROW_TEXT - 2] = '~';
            break;
        }
        r->text[r->used++] = *text < ' ' || *text > '~' ? '?' : *text;
    }
    r->text[r->used] = '\0';
}

static void close_text(struct kdb *k)
{
    if (k->row.used + 1u < KDB_ROW_TEXT)
        k->row.used++;
}

void kdb_put_num(struct kdb *k, uint64_t value)
{
    struct kdb_field *f = put(k, FIELD_GOOD);

    if (f)
        f->number = value;
}

static void put_string(struct kdb *k, enum kdb_state state, const char *text)
{
    if (!put(k, state))
        return;
    append(k, text);
    close_text(k);
}

void kdb_put_text(struct kdb *k, const char *text)
{
    if (text)
        put_string(k, FIELD_GOOD, text);
    else
        put(k, FIELD_NULL);
}

void kdb_put_format(struct kdb *k, const char *format, ...)
{
    char text[KDB_ROW_TEXT];
    va_list list;

    va_start(list, format);
    fmt_buffer_va(text, sizeof(text), format, list);
    va_end(list);
    put_string(k, FIELD_GOOD, text);
}

void kdb_put_bad(struct kdb *k, const char *format, ...)
{
    char text[64];
    va_list list;

    va_start(list, format);
    fmt_buffer_va(text, sizeof(text), format, list);
    va_end(list);
    put_string(k, FIELD_BAD, text);
}

void kdb_put_null(struct kdb *k)
{
    put(k, FIELD_NULL);
}

void kdb_put_object(struct kdb *k, const struct kobj *o)
{
    if (!o) {
        put(k, FIELD_NULL);
    } else if (!kdb_object_ok(o, 0)) {
        kdb_put_bad(k, "0x%08x", (unsigned)(uintptr_t)o);
    } else {
        char text[16];
        unsigned at = k->row.count;

        kdb_object_text(text, sizeof(text), o);
        put_string(k, FIELD_GOOD, text);
        if (at < KDB_COLS)
            k->row.field[at].number = o->id;
    }
}

void kdb_put_name(struct kdb *k, uint32_t id)
{
    kdb_put_text(k, object_name(id));
}

void kdb_put_rights(struct kdb *k, uint32_t type, uint32_t rights)
{
    char text[5];
    unsigned at = k->row.count;

    kdb_rights_text(text, type, rights);
    put_string(k, FIELD_GOOD, text);
    if (at < KDB_COLS)
        k->row.field[at].number = rights;
}

void kdb_put_slot(struct kdb *k, const struct node *n)
{
    char text[40];

    if (!n) {
        put(k, FIELD_NULL);
    } else if (!kdb_node_ok(n)) {
        kdb_put_bad(k, "0x%08x", (unsigned)(uintptr_t)n);
    } else if (!n->task) {
        put(k, FIELD_NULL);
    } else {
        kdb_slot_text(text, sizeof(text), n);
        put_string(k, FIELD_GOOD, text);
    }
}

void kdb_list_begin(struct kdb *k)
{
    put(k, FIELD_NULL);
}

void kdb_list_add(struct kdb *k, const char *text)
{
    struct kdb_field *f;

    if (k->row.count == 0)
        return;
    f = &k->row.field[k->row.count - 1];
    if (f->state == FIELD_GOOD)
        append(k, " ");
    f->state = FIELD_GOOD;
    append(k, text);
}

void kdb_list_end(struct kdb *k)
{
    close_text(k);
}

bool kdb_pair(struct kdb *k, const char *field, const char *format, ...)
{
    char text[KDB_ROW_TEXT];
    va_list list;

    va_start(list, format);
    fmt_buffer_va(text, sizeof(text), format, list);
    va_end(list);
    kdb_row(k);
    kdb_put_text(k, field);
    kdb_put_text(k, text);
    return kdb_row_end(k);
}

/* ---- reading --------------------------------------------------------------------------------- */

const char *kdb_cell(const struct kdb_row *row, unsigned col)
{
    if (col >= row->count || row->field[col].state == FIELD_NULL ||
        row->field[col].text >= KDB_ROW_TEXT)
        return "";
    return &row->text[row->field[col].text];
}

/* Microseconds for people: three significant places are enough. */
static void time_text(char *to, unsigned size, uint64_t us)
{
    uint32_t low = us > 0xffffffffu ? 0xffffffffu : (uint32_t)us;

    if (low == 0xffffffffu)
        fmt_buffer(to, size, ">4294s");
    else if (low < 1000)
        fmt_buffer(to, size, "%uus", low);
    else if (low < 1000000)
        fmt_buffer(to, size, "%u.%ums", low / 1000, low / 100 % 10);
    else
        fmt_buffer(to, size, "%u.%02us", low / 1000000, low / 10000 % 100);
}

void kdb_cell_text(const struct kdb_schema *s, const struct kdb_row *row, unsigned col, char *to,
                   unsigned size)
{
    const struct kdb_field *f = &row->field[col];
    uint64_t v = f->number;

    if (col >= row->count || f->state == FIELD_NULL) {
        fmt_buffer(to, size, "-");
        return;
    }
    if (f->state == FIELD_BAD) {
        fmt_buffer(to, size, "!%s", kdb_cell(row, col));
        return;
    }
    switch ((enum kdb_kind)s->col[col].kind) {
    case K_NUM:
        fmt_buffer(to, size, "%llu", (unsigned long long)v);
        break;
    case K_HEX:
        fmt_buffer(to, size, v >> 32 ? "0x%llx" : "0x%08llx", (unsigned long long)v);
        break;
    case K_US:
        time_text(to, size, v);
        break;
    case K_BOOL:
        fmt_buffer(to, size, "%s", v ? "yes" : "no");
        break;
    case K_NAME:
        fmt_buffer(to, size, "@%s", kdb_cell(row, col));
        break;
    case K_ID: case K_SLOT: case K_RIGHTS: case K_TEXT: case K_LIST:
    default:
        fmt_buffer(to, size, "%s", kdb_cell(row, col));
        break;
    }
}

static bool is_number_kind(unsigned kind)
{
    return kind == K_NUM || kind == K_HEX || kind == K_US || kind == K_BOOL;
}

/* ---- filters and order ----------------------------------------------------------------------- */

static bool in_order(enum kdb_op op, int sign)
{
    switch (op) {
    case OP_EQ: return sign == 0;
    case OP_NE: return sign != 0;
    case OP_LT: return sign < 0;
    case OP_LE: return sign <= 0;
    case OP_GT: return sign > 0;
    case OP_GE: return sign >= 0;
    case OP_NONE: case OP_LIKE: case OP_HAS: default: return false;
    }
}

static bool has_letters(const char *text, const char *letters)
{
    for (; *letters; letters++)
        if (!strchr(text, *letters))
            return false;
    return true;
}

static bool has_word(const char *list, const char *word)
{
    unsigned n = (unsigned)strlen(word);

    while (list) {
        if (strncmp(list, word, n) == 0 && (list[n] == ' ' || list[n] == '\0'))
            return true;
        list = strchr(list, ' ');
        if (list)
            list++;
    }
    return false;
}

static bool filter_match(const struct kdb_schema *s, const struct kdb_row *row,
                         const struct kdb_filter *f)
{
    const struct kdb_field *field = &row->field[f->col];
    unsigned kind = s->col[f->col].kind;
    enum kdb_op op = (enum kdb_op)f->op;
    const char *text = kdb_cell(row, f->col), *value = f->value;

    if (f->col >= row->count)
        return false;
    if (field->state == FIELD_NULL || strcmp(value, "none") == 0 || strcmp(value, "-") == 0) {
        bool same = field->state == FIELD_NULL &&
                    (strcmp(value, "none") == 0 || strcmp(value, "-") == 0);
        return op == OP_NE ? !same : op == OP_EQ && same;
    }
    if (kind == K_BOOL && !f->numeric) {
        bool yes = strcmp(value, "yes") == 0 || strcmp(value, "true") == 0;
        return in_order(op, yes == (field->number != 0) ? 0 : 1);
    }
    if (field->state == FIELD_GOOD && is_number_kind(kind) && f->numeric) {
        if (op == OP_HAS)
            return (field->number & f->number) == f->number;
        return in_order(op, field->number < f->number ? -1 : field->number > f->number);
    }
    if (is_number_kind(kind) && op != OP_LIKE)
        return false;
    if (kind == K_ID && f->numeric && op != OP_LIKE)
        return in_order(op, field->number < f->number ? -1 : field->number > f->number);
    if (kind == K_NAME && *value == '@')
        value++;
    if (op == OP_HAS)
        return kind == K_LIST ? has_word(text, value) : has_letters(text, value);
    if (op == OP_LIKE) {
        char cell[KDB_ROW_TEXT];

        kdb_cell_text(s, row, f->col, cell, sizeof(cell));
        return kdb_glob(value, kind == K_NAME ? text : cell, false);
    }
    return in_order(op, strcmp(text, value));
}

static int row_compare(const struct kdb *k, const struct kdb_row *a, const struct kdb_row *b)
{
    unsigned col = (unsigned)k->sort_col, kind = k->schema->col[col].kind;
    const struct kdb_field *x = &a->field[col], *y = &b->field[col];
    int sign;

    if (x->state == FIELD_NULL || y->state == FIELD_NULL)
        return (x->state == FIELD_NULL) - (y->state == FIELD_NULL); /* none comes last */
    if (is_number_kind(kind) || kind == K_ID)
        sign = x->number < y->number ? -1 : x->number > y->number;
    else
        sign = strcmp(kdb_cell(a, col), kdb_cell(b, col));
    return k->sort_down ? -sign : sign;
}

static bool take_window(struct kdb *k)
{
    if (window_user == k)
        return true;
    if (window_user) {
        kdb_fail(k, KDB_BUSY, "an outer command sorts already");
        k->stop = true;
        return false;
    }
    window_user = k;
    window_count = 0;
    window_next = 0;
    return true;
}

/* Keep the best rows in order: insertion from the end, the worst falls out. */
static void sort_insert(struct kdb *k, const struct kdb_row *row)
{
    unsigned at = window_count;

    if (at == KDB_WINDOW) {
        k->more = true;
        if (row_compare(k, row, &window[at - 1]) >= 0)
            return;
        at--;
    } else {
        window_count++;
    }
    for (; at > 0 && row_compare(k, row, &window[at - 1]) < 0; at--)
        window[at] = window[at - 1];
    window[at] = *row;
}

/* ---- stages ---------------------------------------------------------------------------------- */

static const struct kdb_schema *schema_at(struct kdb *k, unsigned stage)
{
    const struct kdb_schema *s = k->schema;

    for (unsigned i = 0; i < stage; i++)
        if (k->stage[i].schema.col)
            s = &k->stage[i].schema;
    return s;
}

static bool grep_match(const struct kdb_schema *s, const struct kdb_row *row,
                       const struct kdb_stage *st)
{
    char line[KDB_OUT];
    unsigned used = 0;

    for (unsigned i = 0; i < row->count && i < s->count && used + 1 < sizeof(line); i++) {
        if (i)
            line[used++] = ' ';
        kdb_cell_text(s, row, i, line + used, sizeof(line) - used);
        used += (unsigned)strlen(line + used);
    }
    return kdb_glob(st->pattern, line, st->fold) != st->invert;
}

static bool take_groups(struct kdb *k)
{
    if (group_user && group_user != k) {
        kdb_fail(k, KDB_BUSY, "an outer command groups already");
        return false;
    }
    if (!group_user)
        group_count = 0;
    group_user = k;
    return true;
}

static void group_add(struct kdb *k, const struct kdb_schema *s, const struct kdb_row *row,
                      unsigned col)
{
    char text[sizeof(group[0].text)];
    unsigned i = 0;

    if (!take_groups(k)) {
        k->stop = true;
        return;
    }
    kdb_cell_text(s, row, col, text, sizeof(text));
    while (i < group_count && strcmp(group[i].text, text) != 0)
        i++;
    if (i == GROUPS) {
        k->more = true;
        return;
    }
    if (i == group_count) {
        memcpy(group[i].text, text, sizeof(text));
        group[i].n = 0;
        group_count++;
    }
    group[i].n++;
}

int kdb_ref_col(const struct kdb *k, const struct kdb_schema *s)
{
    if (k->col_count && s == k->schema)
        return k->cols[0];
    for (unsigned i = 0; i < s->count; i++)
        if (s->col[i].kind == K_ID || s->col[i].kind == K_SLOT)
            return (int)i;
    return -1;
}

static void each_add(struct kdb *k, const struct kdb_schema *s, const struct kdb_row *row)
{
    int col = kdb_ref_col(k, s);

    if (each_user != k) {
        if (each_user) {
            kdb_fail(k, KDB_BUSY, "an outer line runs each already");
            k->stop = true;
            return;
        }
        each_user = k;
        each_count = 0;
    }
    if (col < 0 || row->field[col].state != FIELD_GOOD)
        return;
    if (each_count == EACH_MAX) {
        k->more = true;
        k->stop = true;
        return;
    }
    kdb_cell_text(s, row, (unsigned)col, each_ref[each_count++], sizeof(each_ref[0]));
}

/* The line of `each` with the row's id for every %, or behind it. */
static bool each_line(char *to, unsigned size, const char *pattern, const char *ref)
{
    unsigned used = 0, n = (unsigned)strlen(ref);
    bool placed = false;

    for (; *pattern; pattern++) {
        if (used + n + 2 >= size)
            return false;
        if (*pattern != '%') {
            to[used++] = *pattern;
            continue;
        }
        placed = true;
        memcpy(to + used, ref, n);
        used += n;
    }
    to[used] = '\0';
    if (!placed && used + n + 2 < size)
        fmt_buffer(to + used, size - used, " %s", ref);
    return placed || used + n + 2 < size;
}

static void each_run(struct kdb *k, const struct kdb_stage *st)
{
    static char line[KDB_LINE]; /* one user at a time */
    enum kdb_rc worst = KDB_OK;

    for (unsigned i = 0; i < each_count && !k->stop; i++) {
        enum kdb_rc rc;

        if (!each_line(line, sizeof(line), st->pattern, each_ref[i])) {
            kdb_fail(k, KDB_LIMIT, "each: the line becomes too long");
            return;
        }
        if (k->format == KDB_AS_TEXT && !k->quiet) {
            kdb_out(k, "== %s", line);
            kdb_out_line(k);
        }
        rc = kdb_sub(k, line);
        if (rc > worst)
            worst = rc;
    }
    if (k->rc == KDB_OK)
        k->rc = worst;
}

/* Push a row through the stages from `first` on; what comes out is rendered. */
static void push(struct kdb *k, const struct kdb_row *row, unsigned first)
{
    for (unsigned i = first; i < k->stage_count; i++) {
        struct kdb_stage *st = &k->stage[i];
        const struct kdb_schema *s = schema_at(k, i);

        st->seen++;
        switch ((enum kdb_stage_kind)st->kind) {
        case STAGE_HEAD:
            if (st->seen > st->limit)
                return;
            /* Nothing behind this row can matter, unless a stage before it still holds rows back. */
            if (st->seen == st->limit && first == 0 && k->sort_col < 0)
                k->stop = true;
            break;
        case STAGE_GREP:
            if (!grep_match(s, row, st))
                return;
            break;
        case STAGE_TAIL:
            if (st->limit && take_window(k)) {
                window[window_next] = *row;
                window_next = (window_next + 1) % st->limit;
                window_count = min_u32(window_count + 1, st->limit);
            }
            return;
        case STAGE_SUM:
            st->sum += st->col < row->count ? row->field[st->col].number : 0;
            return;
        case STAGE_COUNT: case STAGE_UNIQ:
            group_add(k, s, row, st->col);
            return;
        case STAGE_EACH:
            each_add(k, s, row);
            return;
        case STAGE_WC: default:
            return;
        }
    }
    kdb_render(k, schema_at(k, k->stage_count), row);
}

static void push_groups(struct kdb *k, unsigned i)
{
    bool counts = k->stage[i].kind == STAGE_COUNT;
    unsigned n = group_user == k ? group_count : 0;

    for (unsigned g = 0; g < n; g++) {
        kdb_row(k);
        kdb_put_text(k, group[g].text);
        if (counts)
            kdb_put_num(k, group[g].n);
        /* The value has become text; a NAME keeps no second '@'.  Ids stay what `each` looks for. */
        if (k->stage[i].cols[0].kind != K_ID && k->stage[i].cols[0].kind != K_SLOT)
            k->stage[i].cols[0].kind = K_TEXT;
        push(k, &k->row, i + 1);
    }
    if (n)
        group_user = NULL;
}

/* A stage has seen its last row: what it held back goes on to the next stages. */
static void finish_stage(struct kdb *k, unsigned i)
{
    struct kdb_stage *st = &k->stage[i];

    switch ((enum kdb_stage_kind)st->kind) {
    case STAGE_WC: case STAGE_SUM:
        kdb_row(k);
        kdb_put_num(k, st->kind == STAGE_WC ? st->seen : st->sum);
        push(k, &k->row, i + 1);
        break;
    case STAGE_COUNT: case STAGE_UNIQ:
        push_groups(k, i);
        break;
    case STAGE_TAIL:
        if (window_user != k)
            break;
        for (unsigned n = 0; n < window_count; n++) {
            unsigned at = window_count < st->limit ? n : (window_next + n) % st->limit;

            k->row = window[at];
            push(k, &k->row, i + 1);
        }
        window_user = NULL;
        break;
    case STAGE_EACH:
        if (each_user == k)
            each_run(k, st);
        break;
    case STAGE_HEAD: case STAGE_GREP: default:
        break;
    }
}

bool kdb_row_end(struct kdb *k)
{
    bool bad = false;

    if (k->stop)
        return true;
    if (k->schema)
        while (k->row.count < k->schema->count)
            kdb_put_null(k);
    for (unsigned i = 0; i < k->filter_count; i++)
        if (!filter_match(k->schema, &k->row, &k->filter[i]))
            return false;
    for (unsigned i = 0; i < k->row.count; i++)
        bad |= k->row.field[i].state == FIELD_BAD;
    k->bad += bad;
    if (k->sort_col >= 0) {
        if (take_window(k))
            sort_insert(k, &k->row);
        return k->stop;
    }
    if (k->max && k->emitted == k->max) {
        k->more = true;
        k->stop = true;
        return true;
    }
    k->emitted++;
    push(k, &k->row, 0);
    return k->stop;
}

void kdb_rows_finish(struct kdb *k)
{
    if (k->sort_col >= 0 && window_user == k) {
        static struct kdb_row copy; /* push() may need k->row and the window for tail */

        for (unsigned i = 0; i < window_count; i++) {
            if (k->max && i == k->max) {
                k->more = true;
                break;
            }
            copy = window[i];
            /* The window is in use: a tail, which the parser lets stand only first, is done here. */
            if (k->stage_count && k->stage[0].kind == STAGE_TAIL) {
                if (window_count - i <= k->stage[0].limit)
                    push(k, &copy, 1);
            } else {
                push(k, &copy, 0);
            }
        }
        if (k->stage_count && k->stage[0].kind == STAGE_TAIL)
            k->stage[0].kind = STAGE_HEAD;
        window_user = NULL;
    }
    for (unsigned i = 0; i < k->stage_count; i++)
        finish_stage(k, i);
}

void kdb_rows_abandon(struct kdb *k)
{
    /* Contexts stand in one array: those behind k belong to inner lines that a fault cut off. */
    if (window_user >= k)
        window_user = NULL;
    if (group_user >= k)
        group_user = NULL;
    if (each_user >= k)
        each_user = NULL;
}
