// SPDX-License-Identifier: MIT
/*
 * Threads, and tasks that share this program's image: a task is created with its startup endpoint as
 * capability 0, then messages load it and the last one starts it.  [M 2.5.2] [G20]
 */
#include <l4sec/l4sec.h>

#define PAGE 4096u
#define SUPER_BITS 22u

void l4_must(uint32_t w0, const char *what)
{
    if (L4_ERR_BASE(w0) == L4_OK)
        return;
    l4_printf("%s failed: %s (%s, index %u)\n", what, l4_error_text(w0), l4_detail_text(w0), L4_ERR_INDEX(w0));
    l4_exit(1);
}

static void make_thread(const struct l4_child *c, const struct l4_time *time)
{
    uint32_t thread = l4_child_thread(c);

    l4_must(l4_create_thread(c->base + 1u, c->kpages), "create thread");
    l4_must(l4_create_reservation(c->base + 2u, c->kpages), "create reservation");
    l4_must(l4_tcr_write(thread, L4_TCR_TASK, c->task), "bind thread");
    l4_must(l4_reservation_split(c->base + 2u, time->source, thread, time->prio, time->flags, time->budget,
                                 time->period), "split reservation");
}

void l4_child_create(struct l4_child *c, uint32_t base, uint32_t kpages, const struct l4_time *time)
{
    uint32_t at = (uint32_t)(uintptr_t)user_image_start, data = (uint32_t)(uintptr_t)user_data_start;
    uint32_t end = (uint32_t)(uintptr_t)user_image_end;

    *c = (struct l4_child){ base, kpages, L4_CAP(base) };
    l4_must(l4_create_endpoint(base + 3u, kpages), "create startup endpoint");
    l4_must(l4_create_task(base, kpages, L4_CAP_FPAGE(base + 3u, L4_RIGHTS_ALL),
                           L4_CAP_FPAGE(0, L4_RIGHTS_ALL)), "create task");
    make_thread(c, time);
    while (at < end) {
        uint32_t limit = at < data ? data : end, bits = 12u;

        while (bits < SUPER_BITS && !(at & (1u << bits)) && limit - at >= 2u << bits)
            bits++;
        l4_child_map(c, L4_FPAGE(at, L4_SPACE_MEM, bits, at < data ? L4_R | L4_X : L4_R), at);
        at += 1u << bits;
    }
}

void l4_child_map(const struct l4_child *c, uint32_t fpage, uint32_t hot_spot)
{
    struct l4_words words;
    uint32_t space = (fpage >> 10) & 3u;

    words.w[2] = L4_START_MORE;
    l4_item_tables(&words, 1, 0, c->kpages, space, hot_spot, (fpage >> 4) & 63u);
    l4_item_map(&words, 1, 1, fpage, hot_spot);
    l4_must(l4_ipc(&words, l4_child_startup(c), 2, 1, L4_NOTHING, 0, 0, L4_TS_NEVER), "map into new task");
}

/* The top of a stack on which fn(arg) can begin. */
static uint32_t prepare_stack(void *stack, size_t size, uint32_t arg)
{
    uint32_t *top = (uint32_t *)(void *)((char *)stack + size);

    *--top = arg;
    *--top = 0; /* nothing to return to */
    return (uint32_t)(uintptr_t)top;
}

void l4_child_start(const struct l4_child *c, void (*fn)(uint32_t), uint32_t arg, void *stack, size_t size)
{
    uint32_t at = (uint32_t)(uintptr_t)stack, end = at + (uint32_t)size;
    struct l4_words words;

    words.w[2] = (uint32_t)(uintptr_t)fn;
    words.w[3] = prepare_stack(stack, size, arg);
    /* The image is there read-only; mapping again from the same page adds the right to write. */
    for (at &= ~(PAGE - 1u); at < end; at += PAGE)
        l4_child_map(c, L4_FPAGE(at, L4_SPACE_MEM, 12, L4_R | L4_W), at);
    l4_must(l4_ipc(&words, l4_child_startup(c), 0, 2, L4_NOTHING, 0, 0, L4_TS_NEVER), "start thread");
}

void l4_local_start(struct l4_child *c, uint32_t base, uint32_t kpages, uint32_t own_task,
                    const struct l4_time *time, void (*fn)(uint32_t), uint32_t arg, void *stack, size_t size)
{
    *c = (struct l4_child){ base, kpages, own_task };
    make_thread(c, time);
    l4_must(l4_tcr_write(l4_child_thread(c), L4_TCR_SNDRES, kpages), "set send resources");
    l4_must(l4_tcr_write(l4_child_thread(c), L4_TCR_RCVRES, kpages), "set receive resources");
    l4_must(l4_thread_start(l4_child_thread(c), (uint32_t)(uintptr_t)fn, prepare_stack(stack, size, arg)),
            "start thread");
}
