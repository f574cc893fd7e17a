// SPDX-License-Identifier: MIT
/*
 * The trace ring.  Writers run with interrupts off, so a record is never seen half-written by the
 * debugger; `total` counts all records ever written and its low bits are the next place.
 */
#include "kernel/trace.h"

#include "kernel/clock.h"
#include "kernel/cpu.h"
#include "kernel/debug/debug.h"
#include "kernel/thread.h"

STATIC_ASSERT((TRACE_RECORDS & (TRACE_RECORDS - 1u)) == 0);
STATIC_ASSERT(TRACE_EVENT_COUNT < 32);

/*
 * What happens a thousand times a second would push out what is rare and explains more.  A release kernel
 * has no debugger that could show the ring, so it records nothing until a mask is set from outside.
 */
#ifdef NDEBUG
uint32_t trace_mask;
#else
uint32_t trace_mask = ~IPC_FAST_TRACE;
#endif

struct trace_point trace_points[TRACE_POINTS];
uint32_t trace_stop_mask;
int trace_stopped_by = -1;
const char *const trace_event_names[] = {
#define X(name, text, a, b, c) text,
    TRACE_LIST(X)
#undef X
};

void trace_set_mask(uint32_t mask)
{
    trace_mask = mask;
    this_cpu()->general_ipc = (mask & IPC_FAST_TRACE) != 0;
}

static struct trace_record ring[TRACE_RECORDS], *place = ring; /* place: ring[total % TRACE_RECORDS] */
static uint32_t total;

/* Is it about this name?  A mapping covers 2^size addresses or names from its base on. */
static bool covers(const struct trace_record *r, const struct trace_point *p)
{
    uint32_t size = r->c >> 4 & 63u, within = size >= 32u ? 0xffffffffu : (1u << size) - 1u;

    return (r->event == TRACE_MAP || r->event == TRACE_UNMAP) && r->b == p->task &&
           ((r->c ^ p->slot) & ~within & 0xfffff000u) == 0 && ((r->c ^ p->slot) & 0xc00u) == 0;
}

static bool selects(const struct trace_point *p, const struct trace_record *r)
{
    bool is_map = r->event == TRACE_MAP || r->event == TRACE_UNMAP;
    uint32_t id = p->object;

    if (!(p->mask >> r->event & 1u) || (p->thread && p->thread != r->thread))
        return false;
    if (id && id != r->a && id != r->b && (is_map || id != r->c) && id != r->thread)
        return false;
    if (p->rights && (!is_map || (r->c & p->rights) != p->rights))
        return false;
    return !p->task || covers(r, p);
}

static void stop_at(const struct trace_record *r)
{
    if (debug_active()) /* the debugger itself writes records */
        return;
    for (unsigned i = 0; i < TRACE_POINTS; i++)
        if (selects(&trace_points[i], r)) {
            trace_points[i].hits++;
            trace_stopped_by = (int)i;
            debug_enter(DEBUG_CALL, NULL, trace_event_names[r->event]);
            trace_stopped_by = -1;
            return;
        }
}

TRACE_ABI void trace_write(enum trace_event event, uint32_t a, uint32_t b, uint32_t c)
{
    struct trace_record *r = place;
    const struct thread *t = this_cpu()->current;

    r->event = event;
    r->a = a;
    r->b = b;
    r->c = c;
    r->thread = t ? t->obj.id : 0;
    r->sequence = total++;
    place = r == &ring[TRACE_RECORDS - 1u] ? ring : r + 1;
    r->when = clock_now();
    if (UNLIKELY(trace_stop_mask) && trace_stop_mask & (1u << event))
        stop_at(r);
}

bool trace_get(uint32_t n, struct trace_record *out)
{
    if (total - n - 1u >= TRACE_RECORDS || total - n - 1u >= total)
        return false;
    *out = ring[n & (TRACE_RECORDS - 1u)];
    return true;
}

uint32_t trace_total(void)
{
    return total;
}
