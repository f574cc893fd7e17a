// SPDX-License-Identifier: MIT
/* The system calls as functions: each fills the words that the manual's figures show.  [M 3.2] */
#include <l4sec/l4sec.h>

void (*l4_call)(struct l4_words *words) = l4_call_int;
bool l4_has_sysenter;

void l4_init(const struct l4_bootinfo *boot);

#define EFLAGS_ID 0x200000u
#define CPUID_SEP (1u << 11)
#define COM1_IRQ  4u

static bool eflags_id_toggles(void)
{
    uint32_t before, after;

    __asm__ volatile("pushfl\n\t"
                     "pushfl\n\t"
                     "popl %0\n\t"
                     "movl %0, %1\n\t"
                     "xorl %2, %1\n\t"
                     "pushl %1\n\t"
                     "popfl\n\t"
                     "pushfl\n\t"
                     "popl %1\n\t"
                     "popfl"
                     : "=&r"(before), "=&r"(after)
                     : "i"(EFLAGS_ID)
                     : "cc");
    return ((before ^ after) & EFLAGS_ID) != 0;
}

/* Early P6 processors claim SEP without having it.  [G9] */
static bool detect_sysenter(void)
{
    uint32_t eax = 0, ebx, ecx = 0, edx, family, model, stepping;

    if (!eflags_id_toggles())
        return false;
    __asm__ volatile("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
    if (eax == 0)
        return false;
    eax = 1;
    __asm__ volatile("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
    family = (eax >> 8) & 15u;
    model = (eax >> 4) & 15u;
    stepping = eax & 15u;
    return (edx & CPUID_SEP) && !(family == 6 && model < 3 && stepping < 3);
}

/* Before main(). */
void l4_init(const struct l4_bootinfo *boot)
{
    l4_has_sysenter = detect_sysenter();
    l4_call = l4_has_sysenter ? l4_call_sysenter : l4_call_int;
    /* A kernel that keeps COM1's interrupt keeps its ports, too. */
    l4_console_ports = !(boot->kernel_irqs & 1u << COM1_IRQ) &&
                       L4_ERR_BASE(l4_debug_puts("", 0)) == L4_NOSYS;
}

uint32_t l4_call5(uint32_t w0, uint32_t w1, uint32_t w2, uint32_t w3, uint32_t w4, uint32_t out[5])
{
    struct l4_words words;
    unsigned i;

    words.w[0] = w0;
    words.w[1] = w1;
    words.w[2] = w2;
    words.w[3] = w3;
    words.w[4] = w4;
    l4_call(&words); /* out of line: a debugger's backtrace goes through it */
    for (i = 0; out && i < 5; i++)
        out[i] = words.w[i];
    return words.w[0];
}

/* ---- IPC ---- */

uint32_t l4_ipc(struct l4_words *words, uint32_t send, unsigned st, unsigned sc, uint32_t recv,
                unsigned rt, unsigned rc, unsigned ts)
{
    words->w[0] = L4_IPC_W0(send, st, sc);
    words->w[1] = L4_IPC_W1(recv, rt, rc, ts);
    l4_call(words);
    return words->w[0];
}

static void copy_words(uint32_t *to, const uint32_t *from, unsigned n)
{
    unsigned i;

    for (i = 0; i < n; i++)
        to[i] = from[i];
}

uint32_t l4_ipc_send(uint32_t send, const uint32_t *m, unsigned n)
{
    struct l4_words words;

    copy_words(&words.w[2], m, n);
    return l4_ipc(&words, send, 0, n, L4_NOTHING, 0, 0, L4_TS_NEVER);
}

uint32_t l4_ipc_recv(uint32_t recv, uint32_t *m, unsigned n, unsigned *got, uint32_t *sender)
{
    struct l4_words words;
    uint32_t w0 = l4_ipc(&words, L4_NOTHING, 0, 0, recv, 0, n, L4_TS_NEVER);

    copy_words(m, &words.w[2], l4_ipc_words(w0));
    if (got)
        *got = l4_ipc_words(w0);
    if (sender)
        *sender = words.w[1];
    return w0;
}

uint32_t l4_ipc_call(uint32_t send, uint32_t recv, uint32_t *m, unsigned out, unsigned in)
{
    struct l4_words words;
    uint32_t w0;

    copy_words(&words.w[2], m, out);
    w0 = l4_ipc(&words, send, 0, out, recv, 0, in, L4_TS_NEVER);
    copy_words(m, &words.w[2], l4_ipc_words(w0));
    return w0;
}

static void put_item(struct l4_words *words, unsigned sc, unsigned i, uint32_t a, uint32_t b)
{
    words->w[2 + sc + 2 * i] = a;
    words->w[3 + sc + 2 * i] = b;
}

void l4_item_map(struct l4_words *words, unsigned sc, unsigned i, uint32_t fpage, uint32_t hot_spot)
{
    put_item(words, sc, i, fpage, (hot_spot & 0xfffff000u) | L4_ITEM_MAP);
}

void l4_item_tables(struct l4_words *words, unsigned sc, unsigned i, uint32_t res, uint32_t space,
                    uint32_t name, unsigned size)
{
    put_item(words, sc, i, res, L4_FPAGE(name, space, size, L4_ITEM_TABRES));
}

void l4_item_resources(struct l4_words *words, unsigned sc, unsigned i, uint32_t res)
{
    put_item(words, sc, i, res, L4_ITEM_MAPRES);
}

void l4_item_badge(struct l4_words *words, unsigned sc, unsigned i, uint32_t value, unsigned bits)
{
    put_item(words, sc, i, value, (uint32_t)bits << 4 | L4_ITEM_BADGE);
}

/* ---- objects ---- */

uint32_t l4_create(uint32_t type, uint32_t id, uint32_t res, uint32_t tables, uint32_t param0,
                   uint32_t param1)
{
    return l4_call5(L4_CAP(id) | type << 4 | L4_SYS_CREATE, res, tables, param0, param1, NULL);
}

uint32_t l4_create_task(uint32_t id, uint32_t res, uint32_t source, uint32_t target)
{
    return l4_create(L4_TYPE_TASK, id, res, res, source, target);
}

uint32_t l4_create_thread(uint32_t id, uint32_t res)
{
    return l4_create(L4_TYPE_THREAD, id, res, res, 0, 0);
}

uint32_t l4_create_endpoint(uint32_t id, uint32_t res)
{
    return l4_create(L4_TYPE_ENDPOINT, id, res, res, 0, 0);
}

uint32_t l4_create_reservation(uint32_t id, uint32_t res)
{
    return l4_create(L4_TYPE_RESERVATION, id, res, res, 0, 0);
}

uint32_t l4_convert(uint32_t id, uint32_t res, uint32_t memory)
{
    return l4_create(L4_TYPE_KPAGE, id, res, res, memory, 0);
}

uint32_t l4_unmap_refs(uint32_t fpage, uint32_t *refs)
{
    uint32_t out[5], w0 = l4_call5(1u << 4 | L4_SYS_UNMAP, fpage, 0, 0, 0, out);

    *refs = out[1] & 15u;
    return w0;
}

uint32_t l4_unmap(uint32_t fpage)
{
    uint32_t m[3] = { 0, 0, 0 };

    if (l4_has_sysenter)
        return l4_call_registers(1u << 4 | L4_SYS_UNMAP, &fpage, m);
    return l4_call5(1u << 4 | L4_SYS_UNMAP, fpage, 0, 0, 0, NULL);
}

uint32_t l4_flush(uint32_t fpage)
{
    return l4_call5(1u << 12 | L4_SYS_UNMAP, fpage, 0, 0, 0, NULL);
}

uint32_t l4_tcr_write(uint32_t thread, uint32_t index, uint32_t value)
{
    return l4_call5((thread & 0xfffff000u) | 1u << 4 | L4_SYS_THREAD_CONTROL, index << 2 | 1u, value, 0, 0,
                    NULL);
}

uint32_t l4_tcr_read(uint32_t thread, uint32_t index, uint32_t *value)
{
    uint32_t out[5], w0;

    w0 = l4_call5((thread & 0xfffff000u) | 1u << 4 | L4_SYS_THREAD_CONTROL, index << 2 | 2u, 0, 0, 0, out);
    *value = out[2];
    return w0;
}

uint32_t l4_exregs(uint32_t thread, uint32_t bits, uint32_t ip, uint32_t sp, uint32_t flags,
                   uint32_t handle, uint32_t out[5])
{
    return l4_call5((thread & 0xfffff000u) | bits | L4_SYS_EXREGS, ip, sp, flags, handle, out);
}

uint32_t l4_thread_start(uint32_t thread, uint32_t ip, uint32_t sp)
{
    return l4_exregs(thread, L4_XR_SET_IP | L4_XR_SET_SP | L4_XR_HALT_GIVEN | 1u << L4_XR_ABORT_SHIFT, ip, sp,
                     0, 0, NULL);
}

uint32_t l4_schedule(uint32_t ops, uint32_t target, uint32_t source, uint32_t thread, uint32_t position,
                     uint32_t prio_soft, uint32_t budget, uint32_t period, uint32_t out[6])
{
    struct l4_words words;
    unsigned i;

    words.w[0] = (target & 0xfffff000u) | ops | L4_SYS_SCHEDULE;
    words.w[1] = source;
    words.w[2] = (thread & 0xfffff000u) | (position & 255u);
    words.w[3] = prio_soft;
    words.w[4] = budget;
    words.w[5] = period;
    l4_call(&words);
    for (i = 0; out && i < 6; i++)
        out[i] = words.w[i];
    return words.w[0];
}

uint32_t l4_reservation_split(uint32_t id, uint32_t source, uint32_t thread, uint32_t prio, uint32_t flags,
                              uint32_t budget, uint32_t period)
{
    return l4_schedule(L4_SCHED_SPLIT | L4_SCHED_ASSOCIATE, L4_CAP(id), source, thread, 255,
                       prio << 24 | flags, budget, period, NULL);
}

uint32_t l4_switch(uint32_t target, uint32_t flags, uint32_t index)
{
    return l4_call5((target & 0xfffff000u) | flags | L4_SYS_THREAD_SWITCH, index, 0, 0, 0, NULL);
}

/* ---- debug call ---- */

#define DEBUG(op) ((uint32_t)L4_DEBUG_##op << 4 | L4_SYS_DEBUG)

static uint32_t address(const void *p)
{
    return (uint32_t)(uintptr_t)p;
}

uint32_t l4_debug_putc(char c)
{
    return l4_call5(DEBUG(PUTC), (uint8_t)c, 0, 0, 0, NULL);
}

uint32_t l4_debug_puts(const char *text, size_t length)
{
    return l4_call5(DEBUG(PUTS), address(text), length, 0, 0, NULL);
}

uint32_t l4_debug_enter(const char *text)
{
    return l4_call5(DEBUG(ENTER), address(text), l4_strlen(text), 0, 0, NULL);
}

uint32_t l4_debug_name(uint32_t id, const char *name)
{
    char text[12] = { 0 };
    uint32_t w[3];
    unsigned i;

    for (i = 0; i < sizeof text && name[i]; i++)
        text[i] = name[i];
    memcpy(w, text, sizeof text);
    return l4_call5(L4_CAP(id) | DEBUG(NAME), w[0], w[1], w[2], 0, NULL);
}

uint32_t l4_debug_trace(uint32_t a, uint32_t b, uint32_t c)
{
    return l4_call5(DEBUG(TRACE), a, b, c, 0, NULL);
}

int l4_debug_getc(void)
{
    uint32_t out[5];

    return L4_ERR_BASE(l4_call5(DEBUG(GETC), 0, 0, 0, 0, out)) == L4_OK ? (int)out[1] : -1;
}

uint32_t l4_debug_exec(const char *line, char *text, size_t size, size_t *length, uint32_t *rc)
{
    uint32_t out[5], w0;

    w0 = l4_call5(DEBUG(EXEC), address(line), l4_strlen(line), address(text), size, out);
    *length = L4_ERR_BASE(w0) == L4_OK ? out[1] : 0;
    *rc = out[2];
    return w0;
}

uint32_t l4_debug_clock(uint64_t *ticks, uint32_t *per_ms)
{
    uint32_t out[5], w0 = l4_call5(DEBUG(CLOCK), 0, 0, 0, 0, out);

    *ticks = out[1] | (uint64_t)out[2] << 32;
    *per_ms = out[3];
    return w0;
}
