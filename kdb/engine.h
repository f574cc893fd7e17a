// SPDX-License-Identifier: MIT
/*
 * The command engine of kdb, as commands see it.
 *
 * A command is an entry in the linker set kdb_cmds: what it is called, what it may change, what columns
 * its rows have, and a function that emits rows.  It knows neither the door its line came through nor how
 * rows are shown: filters, sorting, pipes and the formats text, json, tsv and dot work for all alike.
 *
 * Everything is bounded: no allocation, no recursion, walks count their steps in kdb_tick().  Memory is
 * read through pointers that kdb_sound() or kdb_read() have proved readable; whatever still faults
 * unwinds this command only (debug_guard).
 */
#ifndef KDB_ENGINE_H
#define KDB_ENGINE_H

#include "kdb/kdb.h"
#include "kernel/lib/linkset.h"
#include "kernel/lib/types.h"
#include "kernel/mapdb.h"
#include "kernel/object.h"
#include "kernel/resv.h"
#include "kernel/task.h"
#include "kernel/thread.h"

/* ---- schema ---------------------------------------------------------------------------------- */

/* What a column holds.  JSON: numbers for NUM and US, true/false for BOOL, arrays for LIST, else strings. */
#define KDB_KIND_LIST(X)                          \
    X(NUM, "num", "number")                       \
    X(HEX, "hex", "address or 64-bit value")      \
    X(US, "us", "microseconds")                   \
    X(BOOL, "bool", "yes or no")                  \
    X(ID, "id", "object id")                      \
    X(NAME, "name", "name of an object")          \
    X(SLOT, "slot", "place in a space of a task") \
    X(RIGHTS, "rights", "right letters")          \
    X(TEXT, "text", "text")                       \
    X(LIST, "list", "list of ids")

enum kdb_kind {
#define X(name, text, doc) K_##name,
    KDB_KIND_LIST(X)
#undef X
};

enum kdb_col_flag {
    COL_VOLATILE = 1, /* differs from run to run: golden tests mask it */
    COL_WIDE = 2,     /* only with -v */
    COL_SRC = 4,      /* DOT: an edge starts here ... */
    COL_DST = 8,      /* ... and ends here */
};

struct kdb_col { const char *name; uint8_t kind, width, flags; const char *doc; };
struct kdb_schema { const char *name; const struct kdb_col *col; unsigned count; };

#define KDB_SCHEMA(symbol, text, ...)                                  \
    static const struct kdb_col symbol##_cols[] = { __VA_ARGS__ };     \
    static const struct kdb_schema symbol = { text, symbol##_cols, ARRAY_SIZE(symbol##_cols) }

extern const struct kdb_schema kdb_pairs; /* field, value: what `show` verbs emit */

/* ---- commands -------------------------------------------------------------------------------- */

enum kdb_effect { KE_PURE, KE_DBG, KE_HWREAD, KE_MACHINE, KE_RESUME };

struct kdb;

struct kdb_cmd {
    const char *noun, *verb;  /* verb "": the command has none */
    const char *alias;        /* of the noun; may be NULL */
    const char *usage;        /* arguments for help, without noun and verb */
    const char *keys;         /* its own key=value arguments, comma separated; may be NULL */
    const char *flags;        /* its own -letters beside q, v, a, o; may be NULL */
    const char *summary;
    const char *example;      /* a complete line; may be NULL */
    const struct kdb_schema *schema; /* NULL: prose only */
    uint8_t effect;           /* enum kdb_effect */
    uint8_t argc_min, argc_max;
    bool early;               /* works before there are objects */
    enum kdb_rc (*run)(struct kdb *k);
};

LINKSET_DECLARE(kdb_cmds);
#define KDB_CMD(symbol, ...)                                           \
    static enum kdb_rc cmd_##symbol(struct kdb *k);                    \
    static const struct kdb_cmd command_##symbol = { .run = cmd_##symbol, __VA_ARGS__ }; \
    LINKSET_ADD(kdb_cmds, command_##symbol);                           \
    static enum kdb_rc cmd_##symbol(struct kdb *k)

/* ---- rows ------------------------------------------------------------------------------------ */

#define KDB_QUEUE_MAX 65536u /* longer than any endpoint's queue can be */
#define KDB_COLS 18u
#define KDB_ROW_TEXT 344u
#define KDB_WINDOW 128u  /* rows that sort= and tail keep */
#define KDB_LINE 512u    /* longest input line, with NUL */

enum kdb_state { FIELD_NULL, FIELD_GOOD, FIELD_BAD };

struct kdb_field { uint64_t number; uint16_t text; uint8_t state; };
struct kdb_row {
    uint16_t used;
    uint8_t count;
    struct kdb_field field[KDB_COLS];
    char text[KDB_ROW_TEXT];
};

/*
 * kdb_row() begins a row; then one call per column, in the order of the schema; kdb_row_end() sends it
 * off.  True: nobody wants further rows, return.
 */
void kdb_row(struct kdb *k);
void kdb_put_num(struct kdb *k, uint64_t value);   /* NUM, HEX, US, BOOL */
void kdb_put_text(struct kdb *k, const char *text); /* NULL: none */
void kdb_put_format(struct kdb *k, const char *format, ...) PRINTF(2, 3);
void kdb_put_object(struct kdb *k, const struct kobj *o); /* ID; NULL: none; checks the pointer */
void kdb_put_name(struct kdb *k, uint32_t id);
void kdb_put_rights(struct kdb *k, uint32_t type, uint32_t rights);
void kdb_put_slot(struct kdb *k,
                  const struct node *n); /* where the node is; NULL or nowhere: none */
void kdb_put_null(struct kdb *k);
void kdb_put_bad(struct kdb *k, const char *format, ...) PRINTF(2, 3); /* shown with '!', counted */
bool kdb_row_end(struct kdb *k);

/* LIST: append ids to the column under construction. */
void kdb_list_begin(struct kdb *k);
void kdb_list_add(struct kdb *k, const char *text);
void kdb_list_end(struct kdb *k);

/* A row of the schema kdb_pairs. */
bool kdb_pair(struct kdb *k, const char *field, const char *format, ...) PRINTF(3, 4);

/* Text format only: a line for people, behind the rows so far. */
void kdb_note(struct kdb *k, const char *format, ...) PRINTF(2, 3);
/* The line fails: message in every format.  Returns rc, for `return kdb_fail(...)`. */
enum kdb_rc kdb_fail(struct kdb *k, enum kdb_rc rc, const char *format, ...) PRINTF(3, 4);

/* ---- bounds, memory -------------------------------------------------------------------------- */

/* Every step of every walk.  False: stop now (budget, ^C); the engine reports why. */
bool kdb_tick(struct kdb *k);
/* Is it safe to look at [p, p + size)?  Kernel memory, mapped, aligned to 4. */
bool kdb_sound(const void *p, size_t size);
/* A sound object of this type (0: any): head and type agree. */
bool kdb_object_ok(const struct kobj *o, unsigned type);
bool kdb_node_ok(const struct node *n);
/* Next object, NULL at the end or when kdb_tick() says stop. */
struct kobj *kdb_next_object(struct kdb *k, const struct kobj *o, unsigned type);
/*
 * Walk the tree of `root` behind n: NULL at the end of the subtree, or with k->rc CORRUPT at a broken link.
 */
const struct node *kdb_next_node(struct kdb *k, const struct node *root, const struct node *n);

/* ---- arguments ------------------------------------------------------------------------------- */

#define KDB_ARGS 12u
#define KDB_KEYS 6u

bool kdb_number(const char *text, uint32_t *value);
/* Value of key=; NULL if absent.  kdb_flag('n'): -n was given. */
const char *kdb_key(const struct kdb *k, const char *name);
bool kdb_key_number(struct kdb *k, const char *name,
                    uint32_t *value); /* false: present and bad (failed) */
bool kdb_flag(const struct kdb *k, char letter);

/* These report failure themselves (k->rc) and return NULL or false. */
struct kobj *kdb_arg_object(struct kdb *k, unsigned arg, unsigned type); /* th24, 24, @name, $0 */
struct kobj *kdb_find_object(struct kdb *k, const char *text, unsigned type);
bool kdb_arg_number(struct kdb *k, unsigned arg, uint32_t *value);
bool kdb_arg_address(struct kdb *k, unsigned arg, const struct task **task, uint32_t *address);

/* A place in a space: tk5/cap/0x10, tk5/mem/0x400000, tk5/io/0x60. */
struct kdb_slot { struct task *task; uint32_t space, name; /* name as in node.name: shifted */ };
bool kdb_arg_slot(struct kdb *k, unsigned arg, struct kdb_slot *slot);

/*
 * Something with a mapping tree: a slot, an object, phys/0x1000, port/0x60.  node: the top of what is
 * meant; for memory and IO [lo, last] narrows it.
 */
struct kdb_ref { struct node *node; uint32_t lo, last; struct kobj *object; };
bool kdb_arg_ref(struct kdb *k, unsigned arg, struct kdb_ref *ref);

/* "sg" -> mask for objects of this type; false: a letter that the type does not have. */
bool kdb_rights_parse(uint32_t type, const char *letters, uint32_t *mask);
void kdb_rights_text(char *to, uint32_t type, uint32_t rights); /* 5 bytes */
const char *kdb_type_name(uint32_t type);
const char *kdb_object_state(const struct kobj *o); /* "dying", "static", "live" */
/* The kernel page whose memory p points into; NULL: none.  One of boot data has no name anywhere. */
const struct kpage *kdb_page_of(const void *p);
bool kdb_is_boot_page(const struct kpage *kp);
uint32_t kdb_node_type(const struct node *n); /* enum l4_type */
/* "tk5/cap/0x10"; "-" for a node without a name. */
void kdb_slot_text(char *to, unsigned size, const struct node *n);
void kdb_object_text(char *to, unsigned size, const struct kobj *o); /* "th24", "!bad" */
/* What stands at an address in a kernel page: "th6.state", "node of tk5/cap/0x1+0x14"; false: nothing. */
bool kdb_place_text(char *to, unsigned size, uint32_t address);
/* The named field of an object that begins there, or NULL: see kdb_arg_address(). */
const char *kdb_field_at(uint32_t type, uint32_t offset);
/* What the node stands for: "ep16", "phys/0x1000", "port/0x60". */
void kdb_what_text(char *to, unsigned size, const struct node *n);

/* ---- the engine's state ---------------------------------------------------------------------- */

enum kdb_format { KDB_AS_TEXT, KDB_AS_JSON, KDB_AS_TSV, KDB_AS_DOT };
enum kdb_op { OP_NONE, OP_EQ, OP_NE, OP_LT, OP_LE, OP_GT, OP_GE, OP_LIKE, OP_HAS };
enum kdb_stage_kind {
    STAGE_HEAD,
    STAGE_TAIL,
    STAGE_WC,
    STAGE_COUNT,
    STAGE_GREP,
    STAGE_SUM,
    STAGE_UNIQ,
    STAGE_EACH
};

struct kdb_filter { uint8_t col, op; const char *value; uint32_t number; bool numeric; };
struct kdb_stage {
    uint8_t kind, col;
    bool invert, fold;
    const char *pattern;
    uint32_t limit, seen;
    uint64_t sum;
    struct kdb_schema schema;      /* of the rows that leave it, if they differ */
    struct kdb_col cols[2];
};

#define KDB_FILTERS 6u
#define KDB_STAGES  4u
#define KDB_OUT     640u

struct kdb {
    unsigned door, depth;
    void (*sink)(void *arg, char c);
    void *arg;
    bool framed;                   /* #B and #E around the answer */
    uint32_t number;               /* of the frame */

    char line[KDB_LINE];           /* the line, cut into tokens in place */
    const struct kdb_cmd *cmd;
    const struct kdb_schema *schema;
    const char *argv[KDB_ARGS];
    unsigned argc;
    struct { const char *name, *value; } key[KDB_KEYS];
    unsigned key_count;
    uint32_t flag_bits;
    const char *suffix;            /* of x/4xw: "4xw" */
    uint32_t field_size;           /* of the address read last: "=th2.state" has 1; 0: no field */

    enum kdb_format format;
    bool quiet, verbose, all;
    uint8_t cols[KDB_COLS];
    unsigned col_count;            /* 0: those that the schema shows by default */
    int sort_col;                  /* -1 none */
    bool sort_down;
    uint32_t max;
    struct kdb_filter filter[KDB_FILTERS];
    unsigned filter_count;
    struct kdb_stage stage[KDB_STAGES];
    unsigned stage_count;

    struct kdb_row row;            /* under construction */
    enum kdb_rc rc;
    bool stop, more;
    bool mute;                     /* self test: failures are wanted, say nothing */
    unsigned rows, bad, emitted;
    uint32_t budget;
    const struct kdb_schema *header_of; /* schema whose header has been printed */

    char out[KDB_OUT];             /* the output line under construction */
    unsigned out_used;
    uint16_t crc;
};

/* ---- inside the engine ----------------------------------------------------------------------- */

/* parse.c: cut k->line, find the command, fill in the options. */
enum kdb_rc kdb_parse(struct kdb *k);
const struct kdb_cmd *kdb_find_command(const char *noun, const char *verb);
int kdb_find_col(const struct kdb_schema *schema, const char *name, unsigned length);
bool kdb_glob(const char *pattern, const char *text, bool fold);

/* row.c */
/* The id or slot that a row is about: the first such column, or the first of cols=; -1: none. */
int kdb_ref_col(const struct kdb *k, const struct kdb_schema *s);
void kdb_rows_finish(struct kdb *k);
void kdb_rows_abandon(struct kdb *k);
const char *kdb_cell(const struct kdb_row *row, unsigned col); /* text of a cell, "" if none */
void kdb_cell_text(const struct kdb_schema *s, const struct kdb_row *row, unsigned col, char *to,
                   unsigned size);

/* render.c */
void kdb_render(struct kdb *k, const struct kdb_schema *schema, const struct kdb_row *row);
void kdb_render_finish(struct kdb *k);
void kdb_out(struct kdb *k, const char *format, ...) PRINTF(2, 3);
void kdb_out_text(struct kdb *k, const char *text);
void kdb_out_json(struct kdb *k, const char *text);
void kdb_out_line(struct kdb *k);  /* end of line */
void kdb_raw(struct kdb *k, const char *format, ...)
    PRINTF(2, 3); /* frame lines: no CRC, no escape */

/* engine.c */
int kdb_run_line(const char *line, unsigned door, void (*sink)(void *, char), void *arg,
                 uint32_t frame);
/* Run a line inside the running command: same format, its rows go into this answer. */
enum kdb_rc kdb_sub(struct kdb *k, const char *line);
/* The same, but the cells of the rows come back as text: "a b,c d". */
enum kdb_rc kdb_capture(struct kdb *k, const char *line, char *to, unsigned size);

extern uint32_t kdb_last_ids[10];  /* $0..$9 */
extern unsigned kdb_last_count;

/* ---- session: what `set`, `proto`, `go` and the prompt share --------------------------------- */

struct kdb_session {
    bool unsafe;           /* machine class allowed */
    bool test;             /* proto test */
    uint32_t max;          /* rows per table, 0: no limit */
    uint32_t budget;       /* steps per line, 0: default of the door */
    enum kdb_format format;
    uint32_t lines;        /* pager, 0: off */
    bool resume;           /* a command wants the prompt to end ... */
    unsigned resume_how;   /* ... like this: enum debug_resume */
    uint32_t thread;       /* id of the context thread, 0: the current one */
    uint32_t commands;     /* prompt number */
    bool interrupted;      /* ^C seen */
    int last_rc;
};
extern struct kdb_session kdb_session;
struct debug_stop;
extern struct debug_stop *kdb_stop;  /* why the prompt is open; NULL outside it */
struct thread *kdb_context(void);    /* the context thread or NULL */

/* prompt.c */
uint64_t kdb_now(void); /* the clock; at the prompt as it stood when the machine stopped */
bool kdb_poll_intr(void);            /* looks at the line, keeps what is not ^C */

#endif
