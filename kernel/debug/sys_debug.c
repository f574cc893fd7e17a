// SPDX-License-Identifier: MIT
/*
 * System call 7, debug.  [G44]
 *
 * It exists in debug builds only, and there the boot option debug= says how much of it: each operation
 * needs a level, and below it answers NOSYS as a release kernel does.  No argument may stop or damage the
 * kernel; user memory that cannot be reached is a PARAM error, never a fault message, so that debug
 * output cannot change what a program does.
 */
#include "kernel/sys.h"

#include <arch/cpu.h>
#include "kdb/kdb.h"
#include "kernel/check.h"
#include "kernel/clock.h"
#include "kernel/cpu.h"
#include "kernel/debug/debug.h"
#include "kernel/kpage.h"
#include "kernel/lib/string.h"
#include "kernel/trace.h"

#define PUTS_MAX 1024u
#define EXEC_MAX 512u

/* Absent when the kernel is built without kdb (unit tests). */
#pragma weak kdb_exec

/* One word of user memory; a page whose hardware entry is only missing is installed first [G52]. */
static bool user_word(struct thread *t, uint32_t address, uint32_t *value, bool write)
{
    struct kres view = { .task = t->task, .fpage = t->tcr[L4_TCR_RCVRES] };
    uint32_t fault;

    for (unsigned tries = 0; tries < 2; tries++) {
        unsigned done = write ? arch_user_write(address, value, 1, &fault)
                              : arch_user_read(value, address, 1, &fault);
        if (done == 1)
            return true;
        if (!t->task || mem_refill(t->task, address, write ? L4_W : L4_R, &view) != L4_D_NONE)
            return false;
    }
    return false;
}

static bool user_range(uint32_t address, uint32_t size)
{
    return address < L4_USER_TOP && size <= L4_USER_TOP - address;
}

/* Bytes at any alignment, read as the aligned words around them: never touches a page beyond them. */
static bool user_text(struct thread *t, uint32_t address, uint32_t length, char *to)
{
    uint32_t word = 0;

    if (!user_range(address, length))
        return false;
    for (uint32_t i = 0; i < length; i++) {
        uint32_t at = address + i;

        if ((i == 0 || (at & 3u) == 0) && !user_word(t, at & ~3u, &word, false))
            return false;
        to[i] = (char)(word >> 8 * (at & 3u));
    }
    return true;
}

/* Output of EXEC on its way to the user buffer, a word at a time. */
struct exec_sink {
    struct thread *thread;
    uint32_t address, size;  /* both multiples of 4 */
    uint32_t done;           /* bytes accepted, including those still in `word` */
    uint32_t word;
    bool fault;
};

static void exec_flush(struct exec_sink *s, uint32_t at)
{
    if (!user_word(s->thread, s->address + at, &s->word, true))
        s->fault = true;
    s->word = 0;
}

static void exec_put(void *arg, char c)
{
    struct exec_sink *s = arg;

    if (s->fault || s->done >= s->size)
        return;
    s->word |= (uint32_t)(uint8_t)c << 8 * (s->done & 3u);
    s->done++;
    if ((s->done & 3u) == 0)
        exec_flush(s, s->done - 4);
}

static uint32_t op_exec(struct thread *t)
{
    static char line[EXEC_MAX + 1]; /* interrupts are off and the call is not preemptible */
    const uint32_t *w = t->frame.w;
    struct exec_sink s = { t, w[3], w[4] & ~3u, 0, 0, false };
    int rc;

    if (!kdb_exec)
        return L4_ERR(L4_NOSYS, 0, 0);
    if (w[2] > EXEC_MAX)
        return L4_ERR(L4_PARAM, L4_D_BAD_COUNT, 2);
    if (w[3] & 3u)
        return L4_ERR(L4_PARAM, L4_D_ALIGN, 3);
    if (!user_range(s.address, s.size))
        return L4_ERR(L4_PARAM, L4_D_KERNEL_RANGE, 3);
    if (!user_text(t, w[1], w[2], line))
        return L4_ERR(L4_PARAM, L4_D_KERNEL_RANGE, 1);
    line[w[2]] = '\0';
    rc = kdb_exec(line, KDB_SYSCALL, exec_put, &s);
    if (!s.fault && (s.done & 3u))
        exec_flush(&s, s.done & ~3u);
    if (s.fault)
        return L4_ERR(L4_PARAM, L4_D_KERNEL_RANGE, 3);
    t->frame.w[1] = s.done;
    t->frame.w[2] = (uint32_t)rc;
    return L4_OK;
}

static uint32_t op_puts(struct thread *t)
{
    char part[32];
    uint32_t address = t->frame.w[1], left = min_u32(t->frame.w[2], PUTS_MAX);

    while (left) {
        uint32_t n = min_u32(left, sizeof(part));

        if (!user_text(t, address, n, part))
            return L4_ERR(L4_PARAM, L4_D_KERNEL_RANGE, 1);
        for (uint32_t i = 0; i < n; i++)
            kputc(part[i]);
        address += n;
        left -= n;
    }
    return L4_OK;
}

static uint32_t op_enter(struct thread *t)
{
    char text[64];
    uint32_t n = min_u32(t->frame.w[2], sizeof(text) - 1);

    if (!user_text(t, t->frame.w[1], n, text))
        return L4_ERR(L4_PARAM, L4_D_KERNEL_RANGE, 1);
    text[n] = '\0';
    /* The result stands in the frame before the person at the prompt looks at it. */
    sys_finish(t, L4_OK);
    return debug_enter(DEBUG_CALL, NULL, text) ? L4_OK : L4_ERR(L4_NOSYS, 0, 0);
}

static uint32_t op_name(struct thread *t)
{
    const struct node *n = cap_lookup(t->task, t->frame.w[0] >> L4_NAME_SHIFT);
    char text[OBJECT_NAME_MAX];

    if (!n || kobj_is_dying(node_kobj(n)))
        return L4_ERR(L4_CAP, L4_D_EMPTY, 0);
    memcpy(text, &t->frame.w[1], sizeof(text));
    object_name_set(node_kobj(n)->id, text, sizeof(text));
    return L4_OK;
}

static uint32_t op_clock(struct thread *t)
{
    uint64_t now = clock_now();

    t->frame.w[1] = (uint32_t)now;
    t->frame.w[2] = (uint32_t)(now >> 32);
    t->frame.w[3] = clock_khz;
    t->frame.w[4] = this_cpu()->switches;
    return L4_OK;
}

static void report_failure(struct check *c, const char *text)
{
    kprintf("check %s failed: %s\n", c->rule->id, text);
}

static uint32_t op_check(struct thread *t)
{
    struct check c = { .report = report_failure };
    uint32_t objects = 0, unit_bytes, frames;

    t->frame.w[1] = check_all(&c);
    kmem_totals(&unit_bytes, &frames);
    for (const struct kobj *o = kobj_next(NULL); o; o = kobj_next(o))
        objects++;
    t->frame.w[2] = unit_bytes;
    t->frame.w[3] = frames;
    t->frame.w[4] = objects;
    return L4_OK;
}

static enum debug_level level_needed(uint32_t op)
{
    switch (op) {
    case L4_DEBUG_PUTC: case L4_DEBUG_PUTS: case L4_DEBUG_NAME: case L4_DEBUG_TRACE:
    case L4_DEBUG_CLOCK:
        return DEBUG_LOG;
    case L4_DEBUG_CHECK: case L4_DEBUG_EXEC:
        return DEBUG_RO;
    default:
        return DEBUG_RW;
    }
}

static uint32_t perform(struct thread *t, uint32_t op)
{
    switch (op) {
    case L4_DEBUG_ENTER:
        return op_enter(t);
    case L4_DEBUG_PUTC:
        kputc((char)t->frame.w[1]);
        return L4_OK;
    case L4_DEBUG_PUTS:
        return op_puts(t);
    case L4_DEBUG_GETC:
        t->frame.w[1] = (uint32_t)console_getc();
        return L4_OK;
    case L4_DEBUG_NAME:
        return op_name(t);
    case L4_DEBUG_TRACE:
        TRACE(USER, t->frame.w[1], t->frame.w[2], t->frame.w[3]);
        return L4_OK;
    case L4_DEBUG_CLOCK:
        return op_clock(t);
    case L4_DEBUG_CHECK:
        return op_check(t);
    case L4_DEBUG_EXEC:
        return op_exec(t);
    case L4_DEBUG_POISON:
        return L4_OK; /* on the way out */
    default:
        return L4_ERR(L4_PARAM, L4_D_RESERVED_OP, 0);
    }
}

void sys_debug(struct thread *t)
{
    uint32_t op = (t->frame.w[0] >> 4) & 0xffu;
    uint32_t result;

    if (debug_level == DEBUG_OFF || debug_level < level_needed(op)) {
        sys_finish(t, L4_ERR(L4_NOSYS, 0, 0));
        return;
    }
    result = perform(t, op);
    cpu_stretch_forget();
    /* ENTER: whoever sat at the prompt may have changed W0 or halted the thread; leave it alone. */
    if (op != L4_DEBUG_ENTER || L4_ERR_BASE(result) != L4_OK)
        sys_finish(t, result);
    if (op == L4_DEBUG_POISON)
        t->cont = debug_poison;
}
