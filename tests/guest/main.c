// SPDX-License-Identifier: MIT
/*
 * The suite's frame: chooses cases, runs each, cleans up, compares the kernel's state, reports in TAP.
 *
 * Arguments: entry=sysenter|int (default int), only=NAME, match=TEXT[,TEXT...], list, stretches.
 */
#include "tests/guest/kit.h"
#include "tests/guest/sweep.h"

const struct l4_bootinfo *guest_boot;
uint32_t guest_expectations;

uint32_t guest_failures;
#define FIRST_NEW 0x210u
static uint32_t next_cap = FIRST_NEW, next_stack, case_failed;
static bool use_sysenter;

#define STACKS 24u
#define STACK_BYTES 4096u
static uint8_t stacks[STACKS][STACK_BYTES] __attribute__((aligned(4096)));
static uint8_t pages[64][4096] __attribute__((aligned(65536)));

extern const struct guest_case *const __start_set_guest_cases[];
extern const struct guest_case *const __stop_set_guest_cases[];

void guest_fail(const char *file, int line, const char *what, uint32_t have, uint32_t want)
{
    case_failed++;
    if (++guest_failures <= 200)
        l4_printf("# %s:%d: %s is 0x%x, expected 0x%x\n", file, line, what, have, want);
}

/* Which errors came back so far: a set of details (two words) for each base. */
static uint32_t seen_errors[16][2];

static void record_error(uint32_t w0)
{
    uint32_t detail = L4_ERR_DETAIL(w0);

    if (L4_ERR_BASE(w0) && detail < 64u)
        seen_errors[L4_ERR_BASE(w0)][detail / 32u] |= 1u << detail % 32u;
}

uint32_t guest_call(struct l4_words *w)
{
    if (use_sysenter)
        l4_call_sysenter(w);
    else
        l4_call_int(w);
    record_error(w->w[0]);
    return w->w[0];
}

bool guest_uses_sysenter(void)
{
    return use_sysenter;
}

uint32_t call5(uint32_t w0, uint32_t w1, uint32_t w2, uint32_t w3, uint32_t w4, struct l4_words *out)
{
    struct l4_words w;

    w.w[0] = w0;
    w.w[1] = w1;
    w.w[2] = w2;
    w.w[3] = w3;
    w.w[4] = w4;
    guest_call(&w);
    if (out)
        for (unsigned i = 0; i < 5; i++)
            out->w[i] = w.w[i];
    return w.w[0];
}

uint32_t cap_new(void)
{
    return next_cap++;
}

uint32_t create(uint32_t type, uint32_t id, uint32_t param0, uint32_t param1)
{
    return call5(L4_CAP(id) | type << 4 | L4_SYS_CREATE, KPAGES, KPAGES, param0, param1, NULL);
}

uint32_t unmap1(uint32_t fpage)
{
    return call5(1u << 4 | L4_SYS_UNMAP, fpage, 0, 0, 0, NULL);
}

uint32_t flush1(uint32_t fpage)
{
    return call5(1u << 12 | L4_SYS_UNMAP, fpage, 0, 0, 0, NULL);
}

uint32_t flush_cap(uint32_t id)
{
    return flush1(L4_CAP_FPAGE(id, L4_RIGHTS_ALL));
}

uint32_t tcr_write(uint32_t thread, uint32_t index, uint32_t value)
{
    /* the count comes back beside the error */
    return call5((thread & L4_CAP_INVALID) | 1u << 4 | L4_SYS_THREAD_CONTROL, index << 2 | 1u, value, 0, 0, NULL) &
           ~0x3f0u;
}

uint32_t tcr_read(uint32_t thread, uint32_t index, uint32_t *value)
{
    struct l4_words w;
    uint32_t error = call5((thread & L4_CAP_INVALID) | 1u << 4 | L4_SYS_THREAD_CONTROL, index << 2 | 2u, 0, 0, 0, &w);

    *value = w.w[2];
    return error;
}

uint32_t exregs(uint32_t w0_bits, uint32_t thread, uint32_t ip, uint32_t sp, uint32_t flags,
                uint32_t handle, struct l4_words *out)
{
    return call5((thread & L4_CAP_INVALID) | w0_bits | L4_SYS_EXREGS, ip, sp, flags, handle, out);
}

uint32_t ipc(uint32_t send, uint32_t st, uint32_t sc, uint32_t recv, uint32_t rt, uint32_t rc,
             uint32_t ts, struct message *msg)
{
    struct l4_words w;
    unsigned i;

    w.w[0] = L4_IPC_W0(send, st, sc);
    w.w[1] = L4_IPC_W1(recv, rt, rc, ts);
    for (i = 0; i < 69; i++)
        w.w[2 + i] = msg ? msg->m[i] : 0;
    guest_call(&w);
    if (msg) {
        msg->sender = w.w[1];
        for (i = 0; i < 69; i++)
            msg->m[i] = w.w[2 + i];
    }
    return w.w[0];
}

uint32_t send0(uint32_t ep, uint32_t ts)
{
    return ipc(L4_CAP(ep), 0, 0, NO_CAP, 0, 0, ts, NULL);
}

uint32_t send_word(uint32_t ep, uint32_t word)
{
    struct message msg = { 0 };

    msg.m[0] = word;
    return ipc(L4_CAP(ep), 0, 1, NO_CAP, 0, 0, L4_TS_NEVER, &msg);
}

uint32_t recv_word(uint32_t ep, uint32_t *word)
{
    struct message msg = { 0 };
    uint32_t error = ipc(NO_CAP, 0, 0, L4_CAP(ep), 0, 1, L4_TS_NEVER, &msg);

    *word = msg.m[0];
    return error;
}

uint32_t map_item(struct message *msg, unsigned at, uint32_t fpage, uint32_t hot_spot)
{
    msg->m[at] = fpage;
    msg->m[at + 1] = (hot_spot & 0xfffff000u) | L4_ITEM_MAP;
    return at + 2;
}

/* Nobody sends on it. It outlives the cases and is in every child task. */
#define STOP_EP 0x1f0u

void thread_stop(void)
{
    for (;;)
        (void)ipc(NO_CAP, 0, 0, L4_CAP(STOP_EP), 0, 0, L4_TS_NEVER, NULL);
}

/* Split off the root reservation; the period is W5. */
static uint32_t split5(uint32_t res, uint32_t prio, uint32_t budget, uint32_t period)
{
    struct l4_words w;

    w.w[0] = L4_CAP(res) | L4_SCHED_SPLIT | L4_SYS_SCHEDULE;
    w.w[1] = L4_CAP(L4_S0_RESERVATION);
    w.w[2] = NO_CAP;
    w.w[3] = prio << 24 | L4_SCHED_SOFT;
    w.w[4] = budget;
    w.w[5] = period;
    return guest_call(&w);
}

static uint32_t attach(uint32_t res, uint32_t thread)
{
    return call5(L4_CAP(res) | L4_SCHED_ASSOCIATE | L4_SYS_SCHEDULE, NO_CAP, L4_CAP(thread) | 255u, 0, 0, NULL);
}

/*
 * A reservation begins with what its source has left: wait for that.  Once a helper exists our own budget is less than
 * the period, so it may just be spent.
 */
static void await_budget(uint32_t budget)
{
    for (unsigned tries = 0; tries < 20; tries++) {
        struct l4_words w = { 0 };

        w.w[0] = L4_CAP(L4_S0_RESERVATION) | L4_SCHED_READ | L4_SYS_SCHEDULE;
        w.w[1] = w.w[2] = NO_CAP;
        if ((guest_call(&w) & 15u) || w.w[1] > budget + 200u || w.w[4] <= budget + 200u)
            return;
        sleep_us(1000);
    }
}

static void give_time(uint32_t thread, uint32_t prio, uint32_t budget, uint32_t period)
{
    EXPECT_EQ(create(L4_TYPE_RESERVATION, thread + 1, 0, 0), 0);
    await_budget(budget);
    EXPECT_EQ(split5(thread + 1, prio, budget, period), 0);
    EXPECT_EQ(attach(thread + 1, thread), 0);
}

uint32_t thread_make(void)
{
    uint32_t id = cap_new();

    (void)cap_new(); /* the reservation */
    EXPECT_EQ(create(L4_TYPE_THREAD, id, 0, 0), 0);
    EXPECT_EQ(tcr_write(L4_CAP(id), L4_TCR_TASK, OWN_TASK), 0);
    give_time(id, 255, 1000, 100000);
    return id;
}

void thread_run(uint32_t id, void (*fn)(void), uint32_t stack)
{
    *(uint32_t *)(uintptr_t)stack = (uint32_t)(uintptr_t)thread_stop; /* where fn returns to */
    EXPECT_EQ(exregs(L4_XR_SET_IP | L4_XR_SET_SP | L4_XR_HALT_GIVEN, L4_CAP(id), (uint32_t)(uintptr_t)fn,
                     stack, 0, 0, NULL) & 15u, 0);
}

static uint32_t stack_new(void)
{
    return (uint32_t)(uintptr_t)stacks[next_stack++ % STACKS] + STACK_BYTES - 16;
}

/* A helper finds its function in the word above its stack pointer: it "returns" to thread_stop(). */
static uint32_t stack_with_return(void)
{
    uint32_t sp = stack_new();

    *(uint32_t *)(uintptr_t)sp = (uint32_t)(uintptr_t)thread_stop;
    return sp;
}

static void thread_make_at(uint32_t id, uint32_t prio, uint32_t budget, uint32_t period)
{
    EXPECT_EQ(create(L4_TYPE_THREAD, id, 0, 0), 0);
    EXPECT_EQ(tcr_write(L4_CAP(id), L4_TCR_TASK, OWN_TASK), 0);
    /* it shares our 4 MB pages, which need tables of small entries while part of them is converted */
    EXPECT_EQ(tcr_write(L4_CAP(id), L4_TCR_RCVRES, KPAGES), 0);
    give_time(id, prio, budget, period);
}

void thread_start_with(uint32_t id, void (*fn)(void), uint32_t prio, uint32_t budget, uint32_t period)
{
    thread_make_at(id, prio, budget, period);
    thread_run(id, fn, stack_new());
}

static void nothing(uint32_t id)
{
    (void)id;
}

void thread_start_at(uint32_t id, void (*fn)(void), uint32_t prio)
{
    thread_start_with(id, fn, prio, 1000, 100000);
}

void stacks_keep(unsigned n)
{
    next_stack = n;
}

uint32_t thread_start_after(void (*prepare)(uint32_t id), void (*fn)(void), uint32_t prio)
{
    uint32_t id = cap_new();

    (void)cap_new();
    thread_make_at(id, prio, 1000, 100000);
    prepare(id);
    thread_run(id, fn, stack_new());
    return id;
}

uint32_t thread_start(void (*fn)(void), uint32_t prio)
{
    return thread_start_after(nothing, fn, prio);
}

uint32_t child_start_after(void (*prepare)(uint32_t id), void (*fn)(void), uint32_t prio, uint32_t caps, uint32_t order)
{
    uint32_t id = cap_new(), resv = cap_new(), task = cap_new(), ep = cap_new();
    struct message msg = { 0 };

    (void)resv;
    EXPECT_EQ(create(L4_TYPE_ENDPOINT, ep, 0, 0), 0);
    EXPECT_EQ(create(L4_TYPE_TASK, task, L4_CAP_FPAGE(ep, L4_R), L4_CAP_FPAGE(0, L4_R)), 0);
    EXPECT_EQ(create(L4_TYPE_THREAD, id, 0, 0), 0);
    EXPECT_EQ(tcr_write(L4_CAP(id), L4_TCR_TASK, L4_CAP(task)), 0);
    give_time(id, prio, 1000, 100000);
    prepare(id);
    msg.m[0] = (uint32_t)(uintptr_t)fn;
    msg.m[1] = stack_with_return();
    map_item(&msg, 2, L4_FPAGE(0x400000u, L4_SPACE_MEM, 22, L4_R | L4_W | L4_X), 0x400000u);
    map_item(&msg, 4, L4_FPAGE(L4_CAP(caps), L4_SPACE_CAP, 12 + order, L4_RIGHTS_ALL), L4_CAP(caps));
    map_item(&msg, 6, L4_CAP_FPAGE(STOP_EP, L4_R), L4_CAP(STOP_EP));
    EXPECT_EQ(ipc(L4_CAP(ep), 3, 2, NO_CAP, 0, 0, L4_TS_NEVER, &msg), 0);
    return id;
}

uint32_t child_start(void (*fn)(void), uint32_t prio, uint32_t caps, uint32_t order)
{
    return child_start_after(nothing, fn, prio, caps, order);
}

uint32_t endpoint_new(void)
{
    uint32_t id = cap_new();

    EXPECT_EQ(create(L4_TYPE_ENDPOINT, id, 0, 0), 0);
    return id;
}

void yield_to_others(void)
{
    (void)call5(L4_CAP_INVALID | L4_SYS_THREAD_SWITCH, 0xffffffffu, 0, 0, 0, NULL);
}

uint32_t page(unsigned n)
{
    return (uint32_t)(uintptr_t)pages[n];
}

void touch_pages(void)
{
    for (unsigned i = 0; i < 64; i++)
        (void)*(volatile uint8_t *)pages[i];
}

void kernel_state(uint32_t state[4])
{
    struct l4_words w;

    call5(L4_DEBUG_CHECK << 4 | L4_SYS_DEBUG, 0, 0, 0, 0, &w);
    for (unsigned i = 0; i < 4; i++)
        state[i] = w.w[1 + i];
}

static void reset_registers(void)
{
    static const uint8_t invalid[] = { 4, 5, 8, 9 }, zero[] = { 2, 12, 13, 14, 16, 17 };

    for (unsigned i = 0; i < sizeof invalid; i++)
        (void)tcr_write(OWN_THREAD, invalid[i], L4_CAP_INVALID);
    for (unsigned i = 0; i < sizeof zero; i++)
        (void)tcr_write(OWN_THREAD, zero[i], 0);
    (void)tcr_write(OWN_THREAD, L4_TCR_SENDER, 0);
    (void)tcr_write(OWN_THREAD, L4_TCR_SNDRES, KPAGES);
    (void)tcr_write(OWN_THREAD, L4_TCR_RCVRES, KPAGES);
}

/*
 * Every error of [G8] must have come back from some call of the suite, but those that no call returns: EXT is
 * reserved; INCOMPLETE is left to a caller that is destroyed and so never sees it.
 */
static bool every_error_seen(void)
{
    static const uint8_t no_base[] = { L4_EXT, L4_INCOMPLETE };
    /* misaligned names are rounded [G1]; killed callers see nothing; a lost fault is no result; DYING needs a race */
    static const uint8_t no_detail[] = { L4_D_ALIGN, L4_D_KILLED, L4_D_NO_HANDLER, L4_D_DYING };
    uint32_t details[2] = { 0, 0 }, missing = 0;
    bool wanted;

#define X(name, number, text)                                                 \
    wanted = number != 0;                                                     \
    for (unsigned i = 0; i < sizeof no_base; i++)                             \
        wanted = wanted && number != no_base[i];                              \
    details[0] |= seen_errors[number][0];                                     \
    details[1] |= seen_errors[number][1];                                     \
    if (wanted && !(seen_errors[number][0] | seen_errors[number][1])) {       \
        l4_printf("# no call has returned error %s\n", #name);               \
        missing++;                                                            \
    }
    L4_ERROR_LIST(X)
#undef X
#define X(name, number, text)                                                 \
    wanted = true;                                                            \
    for (unsigned i = 0; i < sizeof no_detail; i++)                           \
        wanted = wanted && number != no_detail[i];                            \
    if (wanted && !(details[(number) / 32u] & 1u << (number) % 32u)) {        \
        l4_printf("# no call has returned detail %s\n", #name);              \
        missing++;                                                            \
    }
    L4_DETAIL_LIST(X)
#undef X
    return missing == 0;
}

/* Argument `stretches`: each case tells the longest stretch of kernel code without a preemption point. */
static bool measure_stretches;

static const char *debugger(const char *line)
{
    static char text[128];
    size_t length;
    uint32_t rc;

    (void)l4_debug_exec(line, text, sizeof text - 1u, &length, &rc);
    text[length] = 0;
    return text;
}

static bool run_case(const struct guest_case *c, unsigned number)
{
    static uint32_t before[4]; /* as the case before it left the kernel */
    static bool known;
    uint32_t after[4], expected = guest_expectations;

    case_failed = 0;
    next_cap = FIRST_NEW;
    next_stack = 0;
    if (!known)
        kernel_state(before);
    known = true;
    if (measure_stretches)
        (void)debugger("stat stretch on");
    c->run();
    (void)flush1(L4_FPAGE(L4_CAP(0x200), L4_SPACE_CAP, 21, L4_RIGHTS_ALL));
    (void)unmap1(L4_ALL_MEM);
    if (measure_stretches)
        l4_printf("# %s: %s", c->name, debugger("stat stretch"));
    reset_registers();
    touch_pages();
    kernel_state(after);
    if (guest_expectations == expected)
        guest_fail(c->name, 0, "number of expectations", 0, 1);
    if (after[0])
        guest_fail(c->name, 0, "violated invariants", after[0], 0);
    for (unsigned i = 1; i < 4; i++)
        if (after[i] != before[i])
            guest_fail(c->name, (int)i, "free kernel memory or objects", after[i], before[i]);
    for (unsigned i = 0; i < 4; i++)
        before[i] = after[i];
    l4_printf("%sok %u - %s\n", case_failed ? "not " : "", number, c->name);
    return !case_failed;
}

static bool argument(const char *arguments, const char *name, char *value, unsigned size)
{
    unsigned length = l4_strlen(name), i;

    for (; *arguments; arguments++) {
        if (l4_strncmp(arguments, name, length) == 0) {
            for (i = 0, arguments += length; *arguments && *arguments != ' ' && i + 1 < size; i++)
                value[i] = *arguments++;
            value[i] = 0;
            if (*arguments && *arguments != ' ') { /* half a list would choose other cases */
                l4_printf("# the argument %s has more than %u characters\n", name, size - 1);
                l4_exit(1);
            }
            return true;
        }
    }
    return false;
}

/* Does `text` contain one of the comma-separated parts of `list`? */
static bool contains_one(const char *text, const char *list)
{
    while (*list) {
        unsigned length = 0;

        while (list[length] && list[length] != ',')
            length++;
        for (const char *at = text; length && *at; at++)
            if (l4_strncmp(at, list, length) == 0)
                return true;
        list += length + (list[length] == ',');
    }
    return false;
}

int main(const struct l4_bootinfo *boot)
{
    unsigned count = (unsigned)(__stop_set_guest_cases - __start_set_guest_cases), i, run = 0, failed = 0;
    char only[64] = "", match[400] = "", entry[16] = "int", dummy[4];
    const char *arguments = l4_boot_arguments(boot);

    guest_boot = boot;
    (void)argument(arguments, "only=", only, sizeof only);
    (void)argument(arguments, "match=", match, sizeof match);
    (void)argument(arguments, "entry=", entry, sizeof entry);
    use_sysenter = entry[0] == 's';
    measure_stretches = argument(arguments, "stretches", dummy, sizeof dummy);
    (void)tcr_write(OWN_THREAD, L4_TCR_RCVRES, KPAGES);
    EXPECT_EQ(create(L4_TYPE_ENDPOINT, STOP_EP, 0, 0), 0);
    if (l4_argument(arguments, "sweep", dummy, sizeof dummy)) {
        failed = sweep_main(arguments);
        l4_exit(failed ? 1 : 0x10);
    }
    if (l4_argument(arguments, "trees", dummy, sizeof dummy)) {
        trees_main(arguments);
        l4_exit(guest_failures ? 1 : 0x10);
    }
    for (i = 0; i < count; i++) {
        const struct guest_case *c = __start_set_guest_cases[i];

        if (argument(arguments, "list", dummy, sizeof dummy)) {
            l4_printf("case %s %s: %s\n", c->name, c->where, c->sentence);
            continue;
        }
        if ((only[0] && (l4_strlen(only) != l4_strlen(c->name) || l4_strncmp(only, c->name, 64))) ||
            (match[0] && !contains_one(c->name, match)))
            continue;
        if (!run_case(c, ++run))
            failed++;
    }
    if (argument(arguments, "list", dummy, sizeof dummy))
        l4_exit(0x10);
    if (run == count) {
        bool seen = every_error_seen();

        l4_printf("%sok %u - every_error_code\n", seen ? "" : "not ", ++run);
        failed += !seen;
    }
    l4_printf("1..%u\n", run);
    l4_exit(failed || run == 0 ? 1 : 0x10);
    return 0;
}
