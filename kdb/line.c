// SPDX-License-Identifier: MIT
/*
 * Line editing: cursor, history of 16 lines, completion with Tab.
 *
 * Keys: arrows, Home, End, Delete, Backspace, ^A ^E ^B ^F ^P ^N ^K ^U ^W ^D ^L, Tab, ^C drops the line.
 * Invariant: used < size always; cursor <= used.  The screen is redrawn from the prompt on after every
 * change, which is slow and always right.
 */
#include "kdb/line.h"

#include "kernel/debug/debug.h"
#include "kernel/lib/string.h"

#define HISTORY 16u
#define HISTORY_LINE 160u

static char history[HISTORY][HISTORY_LINE];
static unsigned history_count; /* lines ever stored */

enum { KEY_UP = 256, KEY_DOWN, KEY_LEFT, KEY_RIGHT, KEY_HOME, KEY_END, KEY_DELETE, KEY_NONE };

struct editor {
    const char *prompt;
    char *text;
    unsigned size, used, cursor;
    unsigned back;          /* how far in the history */
    char kept[HISTORY_LINE]; /* what was typed before going there */
};

static int key(void)
{
    int c = kdb_getc();

    if (c != 0x1b)
        return c;
    c = kdb_getc();
    if (c != '[' && c != 'O')
        return KEY_NONE;
    c = kdb_getc();
    switch (c) {
    case 'A': return KEY_UP;
    case 'B': return KEY_DOWN;
    case 'C': return KEY_RIGHT;
    case 'D': return KEY_LEFT;
    case 'H': return KEY_HOME;
    case 'F': return KEY_END;
    case '1': case '3': case '4': case '7': case '8':
        if (kdb_getc() != '~')
            return KEY_NONE;
        return c == '3' ? KEY_DELETE : c == '1' || c == '7' ? KEY_HOME : KEY_END;
    default: return KEY_NONE;
    }
}

static void redraw(const struct editor *e)
{
    kdb_putc('\r');
    kdb_puts(e->prompt);
    kdb_puts(e->text);
    kdb_puts("\x1b[K");
    for (unsigned i = e->cursor; i < e->used; i++)
        kdb_putc('\b');
}

static void bell(void) { kdb_putc('\a'); }

static bool insert(struct editor *e, char c)
{
    if (e->used + 1 >= e->size)
        return false;
    memmove(e->text + e->cursor + 1, e->text + e->cursor, e->used - e->cursor + 1);
    e->text[e->cursor++] = c;
    e->used++;
    return true;
}

static void erase(struct editor *e, unsigned from, unsigned to)
{
    memmove(e->text + from, e->text + to, e->used - to + 1);
    e->used -= to - from;
    e->cursor = from;
}

static void replace(struct editor *e, const char *text)
{
    unsigned n = min_u32((uint32_t)strlen(text), e->size - 1);

    memcpy(e->text, text, n);
    e->text[n] = '\0';
    e->used = e->cursor = n;
}

static void history_move(struct editor *e, bool older)
{
    unsigned stored = min_u32(history_count, HISTORY);

    if (older ? e->back >= stored : e->back == 0) {
        bell();
        return;
    }
    if (e->back == 0) {
        if (e->used >= sizeof(e->kept)) {
            bell(); /* a long line would be lost */
            return;
        }
        memcpy(e->kept, e->text, e->used + 1);
    }
    e->back += older ? 1u : -1u;
    replace(e, e->back ? history[(history_count - e->back) % HISTORY] : e->kept);
}

static void history_add(const char *text)
{
    if (!*text || strlen(text) >= HISTORY_LINE)
        return;
    if (history_count && strcmp(history[(history_count - 1) % HISTORY], text) == 0)
        return;
    memcpy(history[history_count++ % HISTORY], text, strlen(text) + 1);
}

/* ---- completion ------------------------------------------------------------------------------ */

struct candidates {
    unsigned count;
    char common[64]; /* what all have in common */
    char last[64];
    bool show;
};

static void candidate(void *arg, const char *word)
{
    struct candidates *c = arg;
    unsigned n = 0;

    if (c->count && strcmp(c->last, word) == 0)
        return; /* a name that several objects have */
    n = min_u32((uint32_t)strlen(word), sizeof(c->last) - 1);
    memcpy(c->last, word, n);
    c->last[n] = '\0';
    n = 0;
    if (c->show) {
        if (c->count++ < 48) {
            kdb_puts(word);
            kdb_puts("  ");
        }
        return;
    }
    if (c->count++ == 0) {
        n = min_u32((uint32_t)strlen(word), sizeof(c->common) - 1);
        memcpy(c->common, word, n);
    } else {
        while (c->common[n] && c->common[n] == word[n])
            n++;
    }
    c->common[n] = '\0';
}

struct completion { const struct editor *e; struct candidates *c; };

static void complete_guarded(void *arg)
{
    const struct completion *todo = arg;

    line_complete(todo->e->text, todo->e->cursor, candidate, todo->c);
}

/* The objects offered may be what is broken. */
static void find_candidates(const struct editor *e, struct candidates *c)
{
    struct completion todo = { e, c };

    if (!debug_guard(complete_guarded, &todo, NULL, NULL))
        c->count = 0;
}

static void complete(struct editor *e, bool again)
{
    struct candidates c = { 0, "", "", false };
    unsigned start = e->cursor, typed;

    while (start > 0 && e->text[start - 1] != ' ')
        start--;
    typed = e->cursor - start;
    find_candidates(e, &c);
    if (c.count == 0) {
        bell();
        return;
    }
    for (const char *s = c.common + min_u32(typed, (uint32_t)strlen(c.common)); *s; s++)
        if (!insert(e, *s))
            break;
    if (c.count == 1) {
        if (e->cursor == e->used && e->cursor && e->text[e->cursor - 1] != '/' && e->text[e->cursor - 1] != '=')
            insert(e, ' '); /* the word is complete */
        return;
    }
    if (!again && strlen(c.common) > typed)
        return;
    c = (struct candidates){ 0, "", "", true };
    kdb_putc('\n');
    find_candidates(e, &c);
    kdb_puts(c.count > 48 ? "...\n" : "\n");
}

/* ---- editing --------------------------------------------------------------------------------- */

static void erase_word(struct editor *e)
{
    unsigned from = e->cursor;

    while (from > 0 && e->text[from - 1] == ' ')
        from--;
    while (from > 0 && e->text[from - 1] != ' ')
        from--;
    erase(e, from, e->cursor);
}

#define CTRL(c) ((c) & 0x1f)

static void handle(struct editor *e, int c, int before)
{
    switch (c) {
    case KEY_LEFT: case CTRL('B'):
        e->cursor -= e->cursor > 0;
        break;
    case KEY_RIGHT: case CTRL('F'):
        e->cursor += e->cursor < e->used;
        break;
    case KEY_HOME: case CTRL('A'):
        e->cursor = 0;
        break;
    case KEY_END: case CTRL('E'):
        e->cursor = e->used;
        break;
    case KEY_UP: case CTRL('P'):
        history_move(e, true);
        break;
    case KEY_DOWN: case CTRL('N'):
        history_move(e, false);
        break;
    case KEY_DELETE: case CTRL('D'):
        if (e->cursor < e->used)
            erase(e, e->cursor, e->cursor + 1);
        break;
    case '\b': case 0x7f:
        if (e->cursor)
            erase(e, e->cursor - 1, e->cursor);
        break;
    case CTRL('K'):
        erase(e, e->cursor, e->used);
        break;
    case CTRL('U'):
        erase(e, 0, e->cursor);
        break;
    case CTRL('W'):
        erase_word(e);
        break;
    case CTRL('L'):
        kdb_puts("\x1b[H\x1b[2J");
        break;
    case '\t':
        complete(e, before == '\t');
        break;
    default:
        if (c < ' ' || c > '~')
            return;
        if (!insert(e, (char)c)) {
            bell();
            return;
        }
        if (e->cursor == e->used) {
            kdb_putc((char)c); /* the common case needs no redraw */
            return;
        }
        break;
    }
    redraw(e);
}

static enum line_result read_edited(struct editor *e)
{
    bool overflow = false;
    int before = 0;

    kdb_puts(e->prompt);
    for (;;) {
        int c = key();

        if (c == CTRL('C')) {
            kdb_puts("^C\n");
            return LINE_CANCELLED;
        }
        if (c == '\r' || c == '\n') {
            kdb_putc('\n');
            if (overflow)
                return LINE_TOO_LONG;
            history_add(e->text);
            return LINE_OK;
        }
        if (e->used + 1 >= e->size && c >= ' ' && c <= '~')
            overflow = true;
        else if (c == CTRL('U') || c == '\b' || c == 0x7f)
            overflow = false;
        handle(e, c, before);
        before = c;
    }
}

static enum line_result read_plain(struct editor *e)
{
    bool overflow = false;

    kdb_puts(e->prompt);
    for (;;) {
        int c = kdb_getc();

        if (c == CTRL('C'))
            return LINE_CANCELLED;
        if (c == '\r' || c == '\n')
            return overflow ? LINE_TOO_LONG : LINE_OK;
        if (c == '\t')
            c = ' ';
        if (c < ' ' || c > '~')
            continue;
        if (!insert(e, (char)c))
            overflow = true;
    }
}

enum line_result line_read(const char *prompt, char *to, unsigned size, bool edit)
{
    static struct editor e; /* `kept` is too big for a stack */

    e = (struct editor){ .prompt = prompt, .text = to, .size = size };
    to[0] = '\0';
    return edit ? read_edited(&e) : read_plain(&e);
}
