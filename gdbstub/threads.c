// SPDX-License-Identifier: MIT
/*
 * Kernel threads as GDB threads: numbers, names, and what each is doing.  Interrupt threads have no
 * registers and are left out; a processor that is idle appears as a thread while it is the stopped context.
 */
#include "gdbstub/stub.h"
#include "kernel/boot.h"
#include "kernel/cpu.h"
#include "kernel/ipc.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/string.h"

uint32_t thread_context_id(void)
{
    const struct thread *t = thread_current();
    return t && t->obj.id ? t->obj.id : THREAD_ID_CPU;
}

struct thread *thread_of(uint32_t id)
{
    struct thread *t = thread_current();
    if (t && t->obj.id == id)
        return t;
    struct kobj *o = frame_count ? kobj_by_id(id) : NULL;
    if (!o || o->type != L4_TYPE_THREAD)
        return NULL;
    t = CONTAINER_OF(o, struct thread, obj);
    return t->hardware ? NULL : t;
}

bool thread_is_valid(uint32_t id) { return id == stub.context || thread_of(id) != NULL; }

const struct task *thread_task(uint32_t id)
{
    const struct thread *t = thread_of(id);
    if (t)
        return t->task;
    return this_cpu()->loaded ? this_cpu()->loaded : sigma0_task;
}

/* The next thread to show behind `t`; NULL starts. */
static struct thread *next_thread(struct thread *t)
{
    struct kobj *o = t ? &t->obj : NULL;
    if (!frame_count)
        return NULL;
    while ((o = kobj_next(o)) != NULL) {
        t = CONTAINER_OF(o, struct thread, obj);
        if (o->type == L4_TYPE_THREAD && !t->hardware)
            return t;
    }
    return NULL;
}

/* The context is a processor without a thread. */
static bool context_is_cpu(void) { return thread_of(stub.context) == NULL; }

void threads_reply_list(void)
{
    char separator = 'm';
    packet_begin(&stub.out);
    if (context_is_cpu()) {
        packet_byte(&stub.out, (uint8_t)separator);
        packet_number(&stub.out, stub.context);
        separator = ',';
    }
    for (struct thread *t = next_thread(NULL); t; t = next_thread(t)) {
        if (stub.out.size > PACKET_MAX - 16)
            break; /* GDB uses the XML list, which has no such limit */
        packet_byte(&stub.out, (uint8_t)separator);
        packet_number(&stub.out, t->obj.id);
        separator = ',';
    }
    if (separator == 'm')
        packet_byte(&stub.out, 'l');
}

#define STATE_TEXT 80u

static void describe(uint32_t id, char text[STATE_TEXT])
{
    const struct thread *t = thread_of(id);
    unsigned n = 0;
    if (!t) {
        fmt_buffer(text, STATE_TEXT, "kernel, no thread");
        return;
    }
    if (t->task)
        n = fmt_buffer(text, STATE_TEXT, "tk%u ", (unsigned)t->task->obj.id);
    if (id == stub.context)
        n += fmt_buffer(text + n, STATE_TEXT - n, "%s", stub.stop->regs->user ? "running" : "running, in kernel");
    else if (t->state == THREAD_HALTED)
        n += fmt_buffer(text + n, STATE_TEXT - n, "halted: %s", thread_halt_name(t->halt_reason));
    else
        n += fmt_buffer(text + n, STATE_TEXT - n, "%s", thread_state_name(t->state));
    if ((t->state == THREAD_SEND || t->state == THREAD_RECV) && t->ipc && t->ipc->endpoint && n < STATE_TEXT)
        fmt_buffer(text + n, STATE_TEXT - n, " ep%u%s", (unsigned)t->ipc->endpoint->obj.id,
                   t->nested ? ", nested" : "");
}

static void name_of(uint32_t id, char name[OBJECT_NAME_MAX + 8u])
{
    const char *given = frame_count ? object_name(id) : NULL;
    if (id == THREAD_ID_CPU)
        fmt_buffer(name, OBJECT_NAME_MAX + 8u, "cpu%u", (unsigned)this_cpu()->number);
    else if (given)
        fmt_buffer(name, OBJECT_NAME_MAX + 8u, "%s", given);
    else
        fmt_buffer(name, OBJECT_NAME_MAX + 8u, "th%u", (unsigned)id);
}

void threads_reply_extra(uint32_t id)
{
    char text[STATE_TEXT], name[OBJECT_NAME_MAX + 8u];
    describe(id, text);
    name_of(id, name);
    packet_begin(&stub.out);
    packet_hex_bytes(&stub.out, name, strlen(name));
    packet_hex_bytes(&stub.out, ": ", 2);
    packet_hex_bytes(&stub.out, text, strlen(text));
}

/* ---- windows ---- */

void window_begin(struct window *v, uint32_t offset, uint32_t length)
{
    *v = (struct window){ offset, min_u32(length, PACKET_MAX - 1), false };
    packet_begin(&stub.out);
    packet_byte(&stub.out, 'l');
}

static void window_put(void *arg, char c)
{
    struct window *v = arg;
    if (v->skip) {
        v->skip--;
    } else if (v->left) {
        v->left--;
        packet_byte(&stub.out, (uint8_t)c);
    } else {
        v->more = true;
    }
}

void window_printf(struct window *v, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    fmt_va(window_put, v, format, list);
    va_end(list);
}

void window_text(struct window *v, const char *text)
{
    while (*text)
        window_put(v, *text++);
}

void window_end(const struct window *v)
{
    if (v->more)
        stub.out.data[0] = 'm';
}

static void window_escaped(struct window *v, const char *text)
{
    for (; *text; text++) {
        switch (*text) {
        case '<': window_text(v, "&lt;"); break;
        case '>': window_text(v, "&gt;"); break;
        case '&': window_text(v, "&amp;"); break;
        case '"': window_text(v, "&quot;"); break;
        default: window_put(v, *text >= ' ' && *text < 127 ? *text : '?'); break;
        }
    }
}

static void xml_thread(struct window *v, uint32_t id)
{
    char text[STATE_TEXT], name[OBJECT_NAME_MAX + 8u];
    describe(id, text);
    name_of(id, name);
    window_printf(v, "<thread id=\"%x\" core=\"0\" name=\"", (unsigned)id);
    window_escaped(v, name);
    window_text(v, "\">");
    window_escaped(v, text);
    window_text(v, "</thread>\n");
}

void threads_reply_xml(uint32_t offset, uint32_t length)
{
    struct window v;
    window_begin(&v, offset, length);
    window_text(&v, "<?xml version=\"1.0\"?>\n<threads>\n");
    if (context_is_cpu())
        xml_thread(&v, stub.context);
    for (struct thread *t = next_thread(NULL); t; t = next_thread(t))
        xml_thread(&v, t->obj.id);
    window_text(&v, "</threads>\n");
    window_end(&v);
}
