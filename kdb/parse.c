// SPDX-License-Identifier: MIT
/*
 * From a line to a command with typed options.
 *
 *   line   := stage { '|' stage }
 *   stage  := noun [verb] { argument | field op value | key=value | -flag }
 *   op     := =  !=  <  <=  >  >=  ~ (substring, or glob with * and ?)  & (has all these letters)
 *
 * The line is cut in place: tokens are pointers into kdb.line.  A quoted token ('..' or "..") is always an
 * argument; key='..' is a value with blanks.  The last stages are row stages (head, tail, wc, count, grep, sum, uniq, each), not commands.
 */
#include "kdb/engine.h"

#include "kernel/debug/debug.h"
#include "kernel/lib/string.h"

/* ---- small tools ----------------------------------------------------------------------------- */

static bool is_blank(char c) { return c == ' ' || c == '\t'; }

static char lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c; }

static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : 99;
}

/* A number at the start of text; *end behind it, or NULL if there is none or it does not fit. */
static uint32_t number_at(const char *text, const char **end)
{
    uint32_t value = 0;
    unsigned base = 10;
    const char *s = text;

    *end = NULL;
    if (s[0] == '0' && lower(s[1]) == 'x') {
        base = 16;
        s += 2;
    }
    if (digit(*s) >= (int)base)
        return 0;
    for (; digit(*s) < (int)base; s++) {
        uint32_t d = (uint32_t)digit(*s);

        if (value > (0xffffffffu - d) / base)
            return 0;
        value = value * base + d;
    }
    *end = s;
    return value;
}

bool kdb_number(const char *text, uint32_t *value)
{
    const char *end;
    uint32_t v = number_at(text, &end);

    if (!end || *end)
        return false;
    *value = v;
    return true;
}

/* Glob match without recursion: at most one star is remembered. */
static bool glob_whole(const char *pattern, const char *text, bool fold)
{
    const char *star = NULL, *mark = NULL;

    while (*text) {
        char p = fold ? lower(*pattern) : *pattern, c = fold ? lower(*text) : *text;

        if (*pattern == '*') {
            star = pattern++;
            mark = text;
        } else if (*pattern && (p == c || *pattern == '?')) {
            pattern++;
            text++;
        } else if (star) {
            pattern = star + 1;
            text = ++mark;
        } else {
            return false;
        }
    }
    while (*pattern == '*')
        pattern++;
    return *pattern == '\0';
}

static bool starts_with(const char *text, const char *start, bool fold)
{
    for (; *start; text++, start++)
        if (fold ? lower(*text) != lower(*start) : *text != *start)
            return false;
    return true;
}

bool kdb_glob(const char *pattern, const char *text, bool fold)
{
    if (strchr(pattern, '*') || strchr(pattern, '?'))
        return glob_whole(pattern, text, fold);
    for (;; text++) {
        if (starts_with(text, pattern, fold))
            return true;
        if (!*text)
            return false;
    }
}

/* Is `name` one of the comma separated words of list? */
static bool in_list(const char *list, const char *name, unsigned length)
{
    while (list && *list) {
        const char *comma = strchr(list, ',');
        unsigned n = comma ? (unsigned)(comma - list) : (unsigned)strlen(list);

        if (n == length && strncmp(list, name, n) == 0)
            return true;
        list = comma ? comma + 1 : NULL;
    }
    return false;
}

int kdb_find_col(const struct kdb_schema *schema, const char *name, unsigned length)
{
    for (unsigned i = 0; schema && i < schema->count; i++)
        if (strlen(schema->col[i].name) == length &&
            strncmp(schema->col[i].name, name, length) == 0)
            return (int)i;
    return -1;
}

const struct kdb_cmd *kdb_find_command(const char *noun, const char *verb)
{
    for (unsigned i = 0; i < LINKSET_COUNT(kdb_cmds); i++) {
        const struct kdb_cmd *c = LINKSET_GET(kdb_cmds, i);

        if ((strcmp(c->noun, noun) == 0 || (c->alias && strcmp(c->alias, noun) == 0)) &&
            strcmp(c->verb, verb) == 0)
            return c;
    }
    return NULL;
}

/* ---- tokens ---------------------------------------------------------------------------------- */

#define TOKENS 20u

struct token { char *text; bool quoted; };

/* Cut the next token at *at; false at the end of the line. */
static bool next_token(char **at, struct token *t)
{
    char *s = *at;

    while (is_blank(*s))
        s++;
    if (!*s)
        return false;
    t->quoted = *s == '\'' || *s == '"';
    if (t->quoted) {
        char quote = *s++;

        t->text = s;
        while (*s && *s != quote)
            s++;
        if (!*s)
            return false; /* split_stages() has refused the line already */
    } else {
        t->text = s;
        for (; *s && !is_blank(*s); s++) {
            char quote = *s;

            /* key='..': the quotes go, what stands between them stays as it is. */
            if ((quote != '\'' && quote != '"') || s == t->text || s[-1] != '=')
                continue;
            memmove(s, s + 1, strlen(s));
            while (*s && *s != quote)
                s++;
            if (!*s)
                return false;
            memmove(s, s + 1, strlen(s));
            s--;
        }
    }
    if (*s)
        *s++ = '\0';
    *at = s;
    return true;
}

/* Cut at '|' outside quotes.  The number of pieces; 0: an open quote; more than max: too many. */
static unsigned split_stages(char *line, char **piece, unsigned max)
{
    unsigned n = 0;
    char quote = '\0';
    char *start = line;

    for (char *s = line;; s++) {
        if (quote) {
            if (!*s)
                return 0;
            if (*s == quote)
                quote = '\0';
        } else if ((*s == '\'' || *s == '"') && (s == line || is_blank(s[-1]) || s[-1] == '=')) {
            quote = *s;
        } else if (*s == '|' || !*s) {
            bool end = !*s;

            if (n == max)
                return max + 1;
            *s = '\0';
            piece[n++] = start;
            start = s + 1;
            if (end)
                return n;
        }
    }
}

/* Where the operator of a filter starts, and which it is. */
static enum kdb_op find_op(const char *text, unsigned *at, unsigned *length)
{
    for (unsigned i = 0; text[i]; i++) {
        bool equal = text[i + 1] == '=';

        *at = i;
        *length = 1;
        switch (text[i]) {
        case '=': return OP_EQ;
        case '~': return OP_LIKE;
        case '&': return OP_HAS;
        case '!':
            *length = 2;
            return equal ? OP_NE : OP_NONE;
        case '<':
            *length = equal ? 2 : 1;
            return equal ? OP_LE : OP_LT;
        case '>':
            *length = equal ? 2 : 1;
            return equal ? OP_GE : OP_GT;
        default:
            break;
        }
    }
    return OP_NONE;
}

/* ---- options --------------------------------------------------------------------------------- */

static bool set_format(struct kdb *k, const char *name)
{
    static const char *const names[] = { "text", "json", "tsv", "dot" };

    for (unsigned i = 0; i < ARRAY_SIZE(names); i++)
        if (strcmp(names[i], name) == 0) {
            k->format = (enum kdb_format)i;
            return true;
        }
    kdb_fail(k, KDB_USAGE, "-o: %s is none of text json tsv dot", name);
    return false;
}

static bool set_cols(struct kdb *k, const char *list)
{
    while (*list) {
        const char *comma = strchr(list, ',');
        unsigned n = comma ? (unsigned)(comma - list) : (unsigned)strlen(list);
        int col = kdb_find_col(k->schema, list, n);

        if (col < 0 || k->col_count == KDB_COLS) {
            kdb_fail(k, KDB_USAGE, "cols=: no column at '%s'; see schema %s", list, k->cmd->noun);
            return false;
        }
        k->cols[k->col_count++] = (uint8_t)col;
        list += n + (comma ? 1 : 0);
    }
    return true;
}

/* cols= sort= max=: true if `name` is one of them (the value may have failed). */
static bool common_key(struct kdb *k, const char *name, const char *value)
{
    if (strcmp(name, "cols") == 0) {
        set_cols(k, value);
    } else if (strcmp(name, "sort") == 0) {
        k->sort_down = *value == '-';
        value += k->sort_down;
        k->sort_col = kdb_find_col(k->schema, value, (unsigned)strlen(value));
        if (k->sort_col < 0)
            kdb_fail(k, KDB_USAGE, "sort=: no column '%s'; see schema %s", value, k->cmd->noun);
    } else if (strcmp(name, "max") == 0) {
        if (!kdb_number(value, &k->max))
            kdb_fail(k, KDB_USAGE, "max=: '%s' is no number", value);
    } else {
        return false;
    }
    return true;
}

static void add_filter(struct kdb *k, int col, enum kdb_op op, const char *value)
{
    struct kdb_filter *f;

    if (k->filter_count == KDB_FILTERS) {
        kdb_fail(k, KDB_USAGE, "more than %u filters", KDB_FILTERS);
        return;
    }
    f = &k->filter[k->filter_count++];
    f->col = (uint8_t)col;
    f->op = (uint8_t)op;
    f->value = value;
    f->numeric = kdb_number(value, &f->number);
    if (*value == '@' && k->schema->col[col].kind == K_ID) {
        static char id[KDB_FILTERS][12];
        const struct kobj *o = kdb_find_object(k, value, 0);

        if (!o)
            return;
        kdb_object_text(id[f - k->filter], sizeof(id[0]), o);
        f->value = id[f - k->filter];
    }
}

/* A token with an operator: an option, an argument of the command, or a filter.  False: none of them. */
static bool operator_token(struct kdb *k, char *text)
{
    unsigned at, length;
    enum kdb_op op = find_op(text, &at, &length);
    char *value = text + at + length;
    int col;

    if (op == OP_NONE || at == 0)
        return false;
    if (op == OP_EQ && in_list(k->cmd->keys, text, at)) {
        if (k->key_count == KDB_KEYS) {
            kdb_fail(k, KDB_USAGE, "too many arguments");
            return true;
        }
        text[at] = '\0';
        k->key[k->key_count].name = text;
        k->key[k->key_count++].value = value;
        return true;
    }
    col = kdb_find_col(k->schema, text, at);
    if (col >= 0) {
        add_filter(k, col, op, value);
        return true;
    }
    if (op == OP_EQ) {
        text[at] = '\0';
        if (common_key(k, text, value))
            return true;
        text[at] = '=';
    }
    if (k->schema) {
        kdb_fail(k, KDB_USAGE, "'%s': no such column or option; see schema %s", text, k->cmd->noun);
        return true;
    }
    return false;
}

static bool flag_token(struct kdb *k, const char *text)
{
    for (const char *s = text + 1; *s; s++) {
        if (*s == 'q')
            k->quiet = true;
        else if (*s == 'v')
            k->verbose = true;
        else if (*s == 'a')
            k->all = true;
        else if (*s < 'a' || *s > 'z' || !k->cmd->flags || !strchr(k->cmd->flags, *s)) {
            kdb_fail(k, KDB_USAGE, "%s has no flag -%c; see help %s", k->cmd->noun, *s,
                     k->cmd->noun);
            return false;
        }
        if (*s >= 'a' && *s <= 'z')
            k->flag_bits |= 1u << (*s - 'a');
    }
    return true;
}

static bool is_flag(const char *text)
{
    return text[0] == '-' && lower(text[1]) >= 'a' && lower(text[1]) <= 'z';
}

/* Choose the command: noun and verb, or noun with its default verb.  Returns how many tokens it took. */
static unsigned choose(struct kdb *k, struct token *token, unsigned count)
{
    char *noun = token[0].text, *slash = strchr(noun, '/');
    bool argument = false;

    if (slash && noun[0] == 'x') {
        *slash = '\0';
        k->suffix = slash + 1;
    }
    if (count > 1 && !token[1].quoted && token[1].text[0]) {
        k->cmd = kdb_find_command(noun, token[1].text);
        if (k->cmd)
            return 2;
    }
    for (unsigned i = 1; i < count; i++) {
        unsigned at, length;

        if (token[i].quoted ||
            (!is_flag(token[i].text) &&
             (find_op(token[i].text, &at, &length) == OP_NONE || at == 0)))
            argument = true;
        if (strcmp(token[i].text, "-o") == 0)
            i++;
    }
    k->cmd = kdb_find_command(noun, argument ? "show" : "");
    if (!k->cmd)
        k->cmd = kdb_find_command(noun, argument ? "" : "ls");
    return 1;
}

#define WORD_MAX 16u

/* How many letters to add, drop or change (Levenshtein); long words count as far apart. */
static unsigned distance(const char *a, const char *b)
{
    unsigned n = (unsigned)strlen(b), row[WORD_MAX + 1];

    if (n > WORD_MAX)
        return WORD_MAX;
    for (unsigned j = 0; j <= n; j++)
        row[j] = j;
    for (unsigned i = 0; a[i]; i++) {
        unsigned diagonal = row[0];

        row[0] = i + 1;
        for (unsigned j = 0; j < n; j++) {
            unsigned change = diagonal + (a[i] != b[j]);

            diagonal = row[j + 1];
            row[j + 1] = min_u32(change, min_u32(row[j], row[j + 1]) + 1u);
        }
    }
    return row[n];
}

/* The noun that was probably meant, or NULL. */
static const char *nearest_noun(const char *word)
{
    const char *best = NULL;
    unsigned limit = strlen(word) > 3 ? 2 : 1, least = limit + 1;

    for (unsigned i = 0; i < LINKSET_COUNT(kdb_cmds); i++) {
        const struct kdb_cmd *c = LINKSET_GET(kdb_cmds, i);
        unsigned d = distance(word, c->noun);

        if (d < least) {
            least = d;
            best = c->noun;
        }
    }
    return best;
}

static void unknown_command(struct kdb *k, const char *word)
{
    const char *near = nearest_noun(word);

    if (kdb_find_command(word, "ls") || kdb_find_command(word, "show"))
        kdb_fail(k, KDB_USAGE, "%s needs a verb or other arguments; see help %s", word, word);
    else if (near && strcmp(near, word) == 0)
        kdb_fail(k, KDB_USAGE, "%s needs a verb; see help %s", word, word);
    else if (near)
        kdb_fail(k, KDB_USAGE, "no command '%s'; did you mean %s?", word, near);
    else
        kdb_fail(k, KDB_USAGE, "no command '%s'; help lists them", word);
}

static void parse_command(struct kdb *k, char *text)
{
    struct token token[TOKENS];
    unsigned count = 0, i;

    while (count < TOKENS && next_token(&text, &token[count]))
        count++;
    if (count == TOKENS) {
        kdb_fail(k, KDB_USAGE, "too many words");
        return;
    }
    if (count == 0)
        return;
    i = choose(k, token, count);
    if (!k->cmd) {
        unknown_command(k, token[0].text);
        return;
    }
    k->schema = k->cmd->schema;
    for (; i < count && k->rc == KDB_OK; i++) {
        char *s = token[i].text;

        if (!token[i].quoted && strcmp(s, "-o") == 0) {
            if (++i == count)
                kdb_fail(k, KDB_USAGE, "-o needs text, json, tsv or dot");
            else
                set_format(k, token[i].text);
        } else if (!token[i].quoted && is_flag(s)) {
            flag_token(k, s);
        } else if (token[i].quoted || !operator_token(k, s)) {
            if (k->argc == KDB_ARGS)
                kdb_fail(k, KDB_USAGE, "too many arguments");
            else
                k->argv[k->argc++] = s;
        }
    }
    if (k->rc == KDB_OK && (k->argc < k->cmd->argc_min || k->argc > k->cmd->argc_max))
        kdb_fail(k, KDB_USAGE, "usage: %s%s%s%s%s", k->cmd->noun, *k->cmd->verb ? " " : "",
                 k->cmd->verb, *k->cmd->usage ? " " : "", k->cmd->usage);
}

/* ---- row stages ------------------------------------------------------------------------------ */

static const struct { const char *name; uint8_t kind, words; } stages[] = {
    { "head", STAGE_HEAD, 1 }, { "tail", STAGE_TAIL, 1 },   { "wc", STAGE_WC, 0 },
    { "count", STAGE_COUNT, 2 }, { "grep", STAGE_GREP, 1 }, { "sum", STAGE_SUM, 1 },
    { "uniq", STAGE_UNIQ, 1 },   { "each", STAGE_EACH, 1 },
};

static bool stage_column(struct kdb *k, struct kdb_stage *st, const struct kdb_schema *in,
                         const char *name)
{
    int col = kdb_find_col(in, name, (unsigned)strlen(name));

    if (col < 0) {
        kdb_fail(k, KDB_USAGE, "no column '%s' at this stage", name);
        return false;
    }
    if (st->kind == STAGE_SUM && in->col[col].kind != K_NUM && in->col[col].kind != K_US &&
        in->col[col].kind != K_BOOL) {
        kdb_fail(k, KDB_USAGE, "sum: '%s' is no column of numbers", name);
        return false;
    }
    st->col = (uint8_t)col;
    return true;
}

/* Rows that leave count, uniq, sum and wc have columns of their own. */
static void own_schema(struct kdb_stage *st, const struct kdb_schema *in)
{
    static const struct kdb_col number = { "n", K_NUM, 6, 0, "how many" };

    st->schema.name = "stage";
    st->schema.col = st->cols;
    st->schema.count = 0;
    if (st->kind == STAGE_COUNT || st->kind == STAGE_UNIQ)
        st->cols[st->schema.count++] = in->col[st->col];
    if (st->kind != STAGE_UNIQ)
        st->cols[st->schema.count++] = number;
    if (st->kind == STAGE_SUM)
        st->cols[0] = (struct kdb_col){ "sum", in->col[st->col].kind, 8, 0, "sum" };
}

/*
 * each LINE: the rest of the line as it stands, or one quoted word with options of the whole behind it.  An
 * unquoted line may name a format: it is then that of the whole answer.
 */
static void parse_each(struct kdb *k, struct kdb_stage *st, char *text)
{
    struct token t;

    while (is_blank(*text))
        text++;
    st->kind = STAGE_EACH;
    st->pattern = text;
    if (*text == '\'' || *text == '"') {
        next_token(&text, &t);
        st->pattern = t.text;
        while (next_token(&text, &t))
            if (t.quoted || strcmp(t.text, "-o") != 0 || !next_token(&text, &t)) {
                kdb_fail(k, KDB_USAGE, "each: only -o FORMAT may follow the quoted line");
                return;
            } else if (!set_format(k, t.text)) {
                return;
            }
    } else {
        for (const char *s = text; *s; s++) {
            char name[8];
            unsigned n = 0;

            if (strncmp(s, " -o ", 4) != 0)
                continue;
            for (s += 4; *s && !is_blank(*s) && n + 1 < sizeof(name); s++)
                name[n++] = *s;
            name[n] = '\0';
            if (!set_format(k, name))
                return;
            break;
        }
    }
    if (!*st->pattern)
        kdb_fail(k, KDB_USAGE, "each LINE: run for every row, %% stands for its id");
    k->stage_count++;
}

static const struct kdb_schema *parse_stage(struct kdb *k, char *text, const struct kdb_schema *in)
{
    struct kdb_stage *st = &k->stage[k->stage_count];
    struct token token[4], t;
    unsigned count = 0, kind = 0, words = 0;
    const char *arg;

    *st = (struct kdb_stage){ .kind = 0 };
    if (k->stage_count && k->stage[k->stage_count - 1].kind == STAGE_EACH) {
        kdb_fail(k, KDB_USAGE, "each is the last stage; pipes inside it go in quotes");
        return in;
    }
    while (next_token(&text, &t)) {
        if (count == 0 && !t.quoted && strcmp(t.text, "each") == 0) {
            parse_each(k, st, text);
            if (kdb_ref_col(k, in) < 0)
                kdb_fail(k, KDB_USAGE, "each: these rows have no id; choose a column with cols=");
            return in;
        }
        if (!t.quoted && strcmp(t.text, "-o") == 0) { /* how to show concerns the end of the pipe */
            if (!next_token(&text, &t))
                kdb_fail(k, KDB_USAGE, "-o needs text, json, tsv or dot");
            else
                set_format(k, t.text);
            continue;
        }
        if (count && strcmp(token[0].text, "grep") == 0 && !t.quoted && is_flag(t.text)) {
            st->fold |= strchr(t.text, 'i') != NULL;
            st->invert |= strchr(t.text, 'v') != NULL;
            continue;
        }
        if (count == ARRAY_SIZE(token)) {
            kdb_fail(k, KDB_USAGE, "too many words behind '|'");
            return in;
        }
        token[count++] = t;
    }
    while (kind < ARRAY_SIZE(stages) && count && strcmp(stages[kind].name, token[0].text) != 0)
        kind++;
    if (!count || kind == ARRAY_SIZE(stages)) {
        kdb_fail(k, KDB_USAGE,
                 "behind '|': head N, tail N, wc, count by F, grep [-iv] PAT, sum F, uniq F, each LINE");
        return in;
    }
    st->kind = stages[kind].kind;
    words = stages[kind].words;
    if (count != words + 1 || (st->kind == STAGE_COUNT && strcmp(token[1].text, "by") != 0)) {
        kdb_fail(k, KDB_USAGE, "%s: wrong arguments", token[0].text);
        return in;
    }
    /* There is one window of rows, for one sort or one tail. */
    for (unsigned i = 0; st->kind == STAGE_TAIL && i < k->stage_count; i++)
        if (k->stage[i].kind == STAGE_TAIL || k->sort_col >= 0) {
            kdb_fail(k, KDB_USAGE, "one tail only, and directly behind a sorted table");
            return in;
        }
    arg = words ? token[words].text : "";
    if (st->kind == STAGE_HEAD || st->kind == STAGE_TAIL) {
        if (!kdb_number(arg, &st->limit) || (st->kind == STAGE_TAIL && st->limit > KDB_WINDOW))
            kdb_fail(k, KDB_USAGE, "%s: a number%s", token[0].text,
                     st->kind == STAGE_TAIL ? " up to 128" : "");
    } else if (st->kind == STAGE_GREP) {
        st->pattern = arg;
    } else if (st->kind != STAGE_WC && !stage_column(k, st, in, arg)) {
        return in;
    }
    k->stage_count++;
    if (st->kind == STAGE_WC || st->kind == STAGE_COUNT || st->kind == STAGE_SUM ||
        st->kind == STAGE_UNIQ) {
        own_schema(st, in);
        return &st->schema;
    }
    return in;
}

enum kdb_rc kdb_parse(struct kdb *k)
{
    char *piece[KDB_STAGES + 1];
    unsigned pieces = split_stages(k->line, piece, ARRAY_SIZE(piece));
    const struct kdb_schema *schema;

    if (pieces == 0)
        return kdb_fail(k, KDB_USAGE, "a quote is not closed");
    if (pieces > ARRAY_SIZE(piece))
        return kdb_fail(k, KDB_USAGE, "more than %u pipes", KDB_STAGES);
    parse_command(k, piece[0]);
    if (k->rc != KDB_OK || !k->cmd)
        return k->rc;
    schema = k->schema;
    if (pieces > 1 && !schema)
        return kdb_fail(k, KDB_USAGE, "%s has no rows to pipe", k->cmd->noun);
    for (unsigned i = 1; i < pieces && k->rc == KDB_OK; i++)
        schema = parse_stage(k, piece[i], schema);
    return k->rc;
}
