// SPDX-License-Identifier: MIT
/*
 * What the debugger says, compared with what happens.  Runs in sigma0's place; the first argument chooses:
 *
 *   ring=N        N tasks, each sends to the next one's endpoint: a deadlock (timeout: one of them waits with
 *                 a timeout and so there is none)
 *   budget        a thread that is ready and does not run, for either reason
 *   progress      a thread that is interrupted in a long search for kernel memory, and in a long unmap
 *   revoke        the dry run predicts, the unmap follows, both are printed
 *   call          the operations of the debug call, with good and bad arguments
 *   enter         the debug call that stops the machine
 *   graph=SEED    tasks that hold random capabilities, for questions about who can get what
 *
 * Results are lines "name got=.. want=.." for the test to compare.
 */
#include <l4sec/l4sec.h>

#define KPAGES L4_FPAGE(L4_CAP(L4_S0_KPAGE), L4_SPACE_CAP, 13u, L4_W)
#define MORE_BITS 19u
#define RING_MAX 4u

enum {
    EP_IDLE = L4_S0_FREE, EP_RING, CHILD = L4_S0_FREE + 0x10, OWN_KPAGE = L4_S0_FREE + 0x40, OBJECT = L4_S0_FREE + 0x50,
};
enum { MY_NEXT = 1, MY_OWN };
#define GRAPH_EPS 6u
#define GRAPH_CAP 0x20u /* the first name that children get random capabilities at */

static uint8_t stacks[RING_MAX][4096] __attribute__((aligned(4096)));
static char answer[1024] __attribute__((aligned(4)));
static const struct l4_time child_time = { L4_CAP(L4_S0_RESERVATION), 100, L4_SCHED_SOFT, 1000, 10000 };

static __attribute__((noreturn)) void idle(void)
{
    uint32_t m[1];

    for (;;)
        (void)l4_ipc_recv(L4_CAP(EP_IDLE), m, 1, NULL, NULL);
}

/* The first number in the answer to a kdb line. */
static uint32_t ask(const char *line)
{
    size_t length, i;
    uint32_t rc, value = 0;

    l4_must(l4_debug_exec(line, answer, sizeof answer - 1, &length, &rc), line);
    answer[length] = '\0';
    if (rc > 1)
        l4_printf("kdb: %s: rc=%u %s", line, rc, answer);
    for (i = 0; i < length && (answer[i] < '0' || answer[i] > '9'); i++)
        ;
    for (; i < length && answer[i] >= '0' && answer[i] <= '9'; i++)
        value = value * 10 + (uint32_t)(answer[i] - '0');
    return value;
}

/* kdb speaks of our capability by its slot. */
static uint32_t ask_about(const char *before, uint32_t id, const char *behind)
{
    char line[160], task[32];
    uint32_t own;
    size_t at = 0;
    const char *s;

    for (s = before; *s; s++)
        line[at++] = *s;
    (void)ask("obj name=self cols=id");
    for (s = answer; *s && *s != 't'; s++)
        ;
    for (own = 0; s[own] && s[own] != '\n' && s[own] != ' ' && own < sizeof task - 1; own++)
        task[own] = s[own];
    task[own] = '\0';
    for (s = task; *s; s++)
        line[at++] = *s;
    for (s = "/cap/0x"; *s; s++)
        line[at++] = *s;
    for (own = 20; own > 0; own -= 4)
        line[at++] = "0123456789abcdef"[(id >> (own - 4)) & 15u];
    line[at++] = ' ';
    for (s = behind; *s; s++)
        line[at++] = *s;
    line[at] = '\0';
    return ask(line);
}

static void result(const char *name, uint32_t got, uint32_t want)
{
    l4_printf("%s got=%u want=%u\n", name, got, want);
}

/* ---- deadlock -------------------------------------------------------------------------------------------- */

static void ring_member(uint32_t timeout)
{
    struct l4_words words;

    words.w[2] = 1;
    if (timeout)
        (void)l4_tcr_write(L4_NOTHING, L4_TCR_TIMEOUT0, L4_TIMEOUT(20, 100) << 16 | L4_TIMEOUT(20, 100));
    (void)l4_ipc(&words, L4_CAP(MY_NEXT), 0, 1, L4_NOTHING, 0, 0, timeout ? L4_TS_TCR16 : L4_TS_NEVER);
    l4_wait_forever();
}

static void ring(uint32_t count, bool timeout)
{
    static struct l4_child members[RING_MAX];
    struct l4_words wait;
    uint32_t i;

    for (i = 0; i < count; i++)
        l4_must(l4_create_endpoint(EP_RING + i, KPAGES), "create endpoint");
    for (i = 0; i < count; i++) {
        l4_child_create(&members[i], CHILD + i * L4_CHILD_CAPS, KPAGES, &child_time);
        l4_child_map(&members[i], L4_CAP_FPAGE(EP_RING + (i + 1) % count, L4_W), L4_CAP(MY_NEXT));
        l4_child_map(&members[i], L4_CAP_FPAGE(EP_RING + i, L4_R), L4_CAP(MY_OWN));
        (void)l4_debug_name(CHILD + i * L4_CHILD_CAPS + 1u, "member");
    }
    for (i = 0; i < count; i++)
        l4_child_start(&members[i], ring_member, timeout && i == 0, stacks[i], sizeof stacks[i]);
    (void)l4_tcr_write(L4_NOTHING, L4_TCR_TIMEOUT0, L4_TIMEOUT(10, 200));
    (void)l4_ipc(&wait, L4_NOTHING, 0, 0, L4_CAP(EP_IDLE), 0, 1, L4_TS_TCR16); /* until all stand still */
    l4_puts("ring: closed\n");
    idle();
}

/* ---- ready, but not running ---- */

static void spin(uint32_t unused)
{
    (void)unused;
    for (;;)
        __asm__ volatile("");
}

/*
 * We outrank a child that always wants to run and may use a tenth of the time: whenever we ask, it is
 * either outranked or out of budget, and both come up sooner or later.
 */
static void budget(void)
{
    static const struct l4_time hard = { L4_CAP(L4_S0_RESERVATION), 100, 0, 1000, 10000 };
    struct l4_child child;
    uint32_t outranked = 0, spent = 0, i;

    l4_child_create(&child, CHILD, KPAGES, &hard);
    (void)l4_debug_name(CHILD + 1u, "member");
    l4_child_start(&child, spin, 0, stacks[0], sizeof stacks[0]);
    for (i = 0; i < 3000 && !(outranked && spent); i++) {
        outranked += ask("why -a name=member verdict~outranked | wc");
        spent += ask("why -a name=member verdict~budget | wc");
    }
    result("outranked", outranked != 0, 1);
    result("out-of-budget", spent != 0, 1);
    l4_puts("budget: done\n");
    idle();
}

/* ---- interrupted in the kernel ---- */

/* None of the names is a kernel page, and none of them is anything that could be unmapped. */
static void long_calls(uint32_t unused)
{
    (void)unused;
    for (;;) {
        (void)l4_create_endpoint(0x300, L4_FPAGE(0, L4_SPACE_CAP, 22u, L4_W));
        (void)l4_unmap(L4_FPAGE(0x40000000u, L4_SPACE_MEM, 30u, L4_R));
    }
}

/* We outrank it, and look after every nap. */
static void progress(void)
{
    struct l4_child child;
    struct l4_words words;
    uint32_t search = 0, unmap = 0, i;

    l4_child_create(&child, CHILD, KPAGES, &child_time);
    (void)l4_debug_name(CHILD + 1u, "member");
    l4_child_start(&child, long_calls, 0, stacks[0], sizeof stacks[0]);
    for (i = 0; i < 3000 && !(search && unmap); i++) {
        (void)l4_tcr_write(L4_NOTHING, L4_TCR_TIMEOUT0, L4_TIMEOUT(0, 50 + i % 97));
        (void)l4_ipc(&words, L4_NOTHING, 0, 0, L4_CAP(EP_IDLE), 0, 1, L4_TS_TCR16);
        search += ask("thread show @member | grep 'at name' | wc");
        unmap += ask("thread show @member | grep 'in unmap' | wc");
    }
    result("search", search != 0, 1);
    result("unmap", unmap != 0, 1);
    (void)ask("thread show @member");
    l4_puts(answer);
    l4_puts("progress: done\n");
    idle();
}

/* ---- random authority ---------------------------------------------------------------------------------- */

static uint32_t draw(uint32_t *state, uint32_t below)
{
    *state = *state * 1664525u + 1013904223u;
    return (*state >> 16) % below;
}

static void graph(uint32_t seed)
{
    static struct l4_child members[RING_MAX];
    uint32_t i, j;

    for (i = 0; i < GRAPH_EPS; i++)
        l4_must(l4_create_endpoint(OBJECT + i, KPAGES), "create endpoint");
    for (i = 0; i < RING_MAX; i++) {
        l4_child_create(&members[i], CHILD + i * L4_CHILD_CAPS, KPAGES, &child_time);
        (void)l4_debug_name(CHILD + i * L4_CHILD_CAPS, "member");
    }
    for (i = 0; i < RING_MAX; i++) {
        if (draw(&seed, 2) == 0)
            l4_child_map(&members[i], L4_CAP_FPAGE(L4_S0_KPAGE, 1u + draw(&seed, 15)), L4_CAP(GRAPH_CAP + 0x30u));
        for (j = 0; j < GRAPH_EPS; j++)
            if (draw(&seed, 3) == 0)
                l4_child_map(&members[i], L4_CAP_FPAGE(OBJECT + j, 1u + draw(&seed, 15)), L4_CAP(GRAPH_CAP + j));
        for (j = 0; j < RING_MAX; j++) {
            if (draw(&seed, 6) == 0)
                l4_child_map(&members[i], L4_CAP_FPAGE(members[j].base + 1u, 1u + draw(&seed, 15)),
                             L4_CAP(GRAPH_CAP + 0x10u + j));
            if (draw(&seed, 8) == 0)
                l4_child_map(&members[i], L4_CAP_FPAGE(members[j].base, 1u + draw(&seed, 15)),
                             L4_CAP(GRAPH_CAP + 0x20u + j));
        }
    }
    l4_puts("graph: done\n");
    idle();
}

/* ---- prediction ------------------------------------------------------------------------------------------- */

static uint32_t all_mappings(void)
{
    return ask("obj | sum caps") + ask("task | sum pages");
}

static void predict(const char *name, uint32_t id, uint32_t fpage, bool self)
{
    uint32_t objects = ask("obj | wc"), mappings = all_mappings();
    uint32_t dead = ask_about("revoke -n ", id, self ? "kind=object | wc" : "children kind=object | wc");
    uint32_t gone = ask_about("revoke -n ", id, self ? "kind=mapping effect=remove | wc"
                                                     : "children kind=mapping effect=remove | wc");

    l4_must(self ? l4_flush(fpage) : l4_unmap(fpage), name);
    l4_printf("%s objects ", name);
    result("destroyed", objects - ask("obj | wc"), dead);
    l4_printf("%s mappings ", name);
    result("removed", mappings - all_mappings(), gone);
    l4_printf("%s check ", name);
    result("failures", ask("check result!=ok | wc"), 0);
}

static uint32_t free_memory(const struct l4_bootinfo *boot)
{
    const struct l4_mem_desc *m = l4_boot_memory(boot);
    uint32_t size = 1u << MORE_BITS, i, best = 0;

    for (i = 0; i < boot->mem_count; i++)
        if (m[i].type == L4_MEM_RAM && m[i].end - m[i].start >= 2u * size + 0x800000u && m[i].end > best)
            best = ((m[i].end - size) & ~(size - 1u)) - 0x400000u;
    return best;
}

/* A task with all that belongs to it in a kernel page of its own. */
static void make_child(struct l4_child *child)
{
    uint32_t own = L4_FPAGE(L4_CAP(OWN_KPAGE), L4_SPACE_CAP, 12u, L4_W);

    l4_child_create(child, CHILD, own, &child_time);
    l4_must(l4_create_endpoint(OBJECT, own), "create endpoint");
    l4_child_map(child, L4_CAP_FPAGE(OBJECT, L4_R | L4_W), L4_CAP(MY_OWN));
    l4_child_map(child, L4_CAP_FPAGE(EP_IDLE, L4_W), L4_CAP(MY_NEXT));
    l4_child_start(child, ring_member, 0, stacks[0], sizeof stacks[0]);
}

static void revoke(const struct l4_bootinfo *boot)
{
    struct l4_child child;
    uint32_t memory = free_memory(boot), m[1];

    l4_must(l4_create_endpoint(OBJECT + 1, KPAGES), "create endpoint");
    predict("lonely", OBJECT + 1, L4_CAP_FPAGE(OBJECT + 1, L4_RIGHTS_ALL), true);
    l4_must(l4_convert(OWN_KPAGE, KPAGES, L4_FPAGE(memory, L4_SPACE_MEM, MORE_BITS, L4_RIGHTS_ALL)), "convert");
    make_child(&child);
    (void)l4_ipc_recv(L4_CAP(EP_IDLE), m, 1, NULL, NULL); /* it runs */
    predict("children", OBJECT, L4_CAP_FPAGE(OBJECT, L4_RIGHTS_ALL), false);
    predict("thread", CHILD + 1, L4_CAP_FPAGE(CHILD + 1, L4_RIGHTS_ALL), true);
    predict("task", CHILD, L4_CAP_FPAGE(CHILD, L4_RIGHTS_ALL), true);
    predict("page", OWN_KPAGE, L4_CAP_FPAGE(OWN_KPAGE, L4_RIGHTS_ALL), true);
    l4_must(l4_convert(OWN_KPAGE, KPAGES, L4_FPAGE(memory, L4_SPACE_MEM, MORE_BITS, L4_RIGHTS_ALL)), "convert again");
    make_child(&child);
    (void)l4_ipc_recv(L4_CAP(EP_IDLE), m, 1, NULL, NULL);
    predict("whole", OWN_KPAGE, L4_CAP_FPAGE(OWN_KPAGE, L4_RIGHTS_ALL), true);
    l4_puts("revoke: done\n");
    idle();
}

/* ---- the debug call ------------------------------------------------------------------------------------------ */

static uint32_t raw(uint32_t op, uint32_t w1, uint32_t w2, uint32_t w3, uint32_t w4, uint32_t out[5])
{
    uint32_t w0 = l4_call5(op << 4 | L4_SYS_DEBUG, w1, w2, w3, w4, out);

    return L4_ERR_BASE(w0) | L4_ERR_DETAIL(w0) << 8;
}

#define ERROR(base, detail) (L4_##base | (uint32_t)L4_D_##detail << 8)

static void call(void)
{
    uint32_t out[5], text = (uint32_t)(uintptr_t)"obj | wc", room = (uint32_t)(uintptr_t)answer, rc;
    uint64_t first, second;
    size_t length;

    result("exec", raw(L4_DEBUG_EXEC, text, 8, room, sizeof answer, out), 0);
    result("exec-misaligned", raw(L4_DEBUG_EXEC, text, 8, room + 1, 64, out), ERROR(PARAM, ALIGN));
    result("exec-kernel-buffer", raw(L4_DEBUG_EXEC, text, 8, L4_USER_TOP, 64, out), ERROR(PARAM, KERNEL_RANGE));
    result("exec-wrapping-buffer", raw(L4_DEBUG_EXEC, text, 8, 0xbffffff0u, 64, out), ERROR(PARAM, KERNEL_RANGE));
    result("exec-unmapped-buffer", raw(L4_DEBUG_EXEC, text, 8, 0xb0000000u, 64, out), ERROR(PARAM, KERNEL_RANGE));
    result("exec-unmapped-text", raw(L4_DEBUG_EXEC, 0xb0000000u, 8, room, 64, out), ERROR(PARAM, KERNEL_RANGE));
    result("exec-kernel-text", raw(L4_DEBUG_EXEC, 0xc0100000u, 8, room, 64, out), ERROR(PARAM, KERNEL_RANGE));
    result("exec-long-text", raw(L4_DEBUG_EXEC, text, 513, room, 64, out), ERROR(PARAM, BAD_COUNT));
    result("exec-no-room", raw(L4_DEBUG_EXEC, text, 8, room, 0, out), 0);
    result("exec-small-room", raw(L4_DEBUG_EXEC, text, 8, room, 7, out), 0);
    result("exec-small-length", out[1], 4);
    l4_must(l4_debug_exec("go", answer, sizeof answer, &length, &rc), "exec");
    result("exec-go-refused", rc, 9);
    l4_must(l4_debug_exec("set unsafe on", answer, sizeof answer, &length, &rc), "exec");
    result("exec-unsafe-refused", rc, 9);
    l4_must(l4_debug_exec("w 0xc0100000 0", answer, sizeof answer, &length, &rc), "exec");
    result("exec-write-refused", rc, 9);
    l4_must(l4_debug_exec("bp add sys_unmap", answer, sizeof answer, &length, &rc), "exec");
    result("exec-bp-refused", rc, 9);
    l4_must(l4_debug_exec("self fault read", answer, sizeof answer, &length, &rc), "exec");
    result("exec-fault-survived", rc, 12);
    l4_must(l4_debug_exec("self test", answer, sizeof answer, &length, &rc), "exec");
    result("exec-self-test", rc, 0);
    result("puts-kernel", raw(L4_DEBUG_PUTS, 0xc0100000u, 4, 0, 0, out), ERROR(PARAM, KERNEL_RANGE));
    result("puts-unmapped", raw(L4_DEBUG_PUTS, 0xb0000000u, 4, 0, 0, out), ERROR(PARAM, KERNEL_RANGE));
    result("enter-unmapped", raw(L4_DEBUG_ENTER, 0xb0000000u, 4, 0, 0, out), ERROR(PARAM, KERNEL_RANGE));
    result("unknown-op", raw(200, 0, 0, 0, 0, out), ERROR(PARAM, RESERVED_OP));
    result("name-empty", raw(L4_DEBUG_NAME | 0xfff00u, 0, 0, 0, 0, out), ERROR(CAP, EMPTY));
    (void)l4_debug_name(EP_IDLE, "some/name");
    result("name", ask("obj name=some_name | wc"), 1);
    (void)l4_debug_trace(1, 2, 3);
    result("trace", ask("trace event=user | wc"), 1);
    result("check", raw(L4_DEBUG_CHECK, 0, 0, 0, 0, out), 0);
    result("check-failures", out[1], 0);
    result("check-objects", out[4], ask("obj | wc"));
    (void)l4_debug_clock(&first, &rc);
    (void)l4_debug_clock(&second, &rc);
    result("clock", second > first && rc > 0, 1);
    result("getc", (uint32_t)l4_debug_getc(), 0xffffffffu);
    l4_puts("call: done\n");
    idle();
}

int main(const struct l4_bootinfo *boot)
{
    const char *arguments = l4_boot_arguments(boot);
    char value[16];
    const char *count = l4_argument(arguments, "ring", value, sizeof value);

    l4_must(l4_create_endpoint(EP_IDLE, KPAGES), "create endpoint");
    (void)l4_debug_name(L4_S0_TASK, "self");
    if (count)
        ring(l4_number(count, 2), l4_argument(arguments, "timeout", value, sizeof value) != NULL);
    if (l4_argument(arguments, "budget", value, sizeof value))
        budget();
    if (l4_argument(arguments, "progress", value, sizeof value))
        progress();
    if (l4_argument(arguments, "revoke", value, sizeof value))
        revoke(boot);
    if (l4_argument(arguments, "call", value, sizeof value))
        call();
    count = l4_argument(arguments, "graph", value, sizeof value);
    if (count)
        graph(l4_number(count, 1));
    if (l4_argument(arguments, "enter", value, sizeof value))
        for (;;) {
            l4_puts("enter: now\n");
            (void)l4_debug_enter("hello from user");
        }
    idle();
}
