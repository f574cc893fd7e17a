// SPDX-License-Identifier: MIT
/*
 * What the sweep interrupts, and what the adversary does there.
 *
 * An operation is little user code around its system calls: what it needs is made before, and its words are ready.
 * The main thread does it, or makes another one do it, the victim, which then lives in a task of its own; the partner is
 * its receiver, pager, exception handler or interrupt handler.  Whatever happens, the main thread comes back: its own
 * calls have timeouts.
 */
#include "tests/guest/sweep.h"
#include "tests/guest/kit.h"

enum { FIRST = 0x210 };
enum { EP_A = FIRST, EP_B, PARTNER, PARTNER_RES, OBJECT, OBJECT_RES, KP, TASK, VICTIM, VICTIM_RES, SECOND, EP_C, EP_D,
       STARTUP, ABSENT, LAST_OF_16, EXTRA };

#define HELPER_PRIO 200u
#define HELPER_BUDGET 20000u
#define HELPER_PERIOD 400000u
#define GIVE_UP L4_TIMEOUT(10, 20)             /* 20 ms: longer than any operation */
#define SOON    L4_TIMEOUT(0, 40)
#define FAR_PAGE (far_block + 0x5000u)
#define STACK_TOP(n) (page(n) + 4000u)

volatile uint32_t sweep_victim;
static uint32_t far_block;                     /* memory that the victim has not */
static void (*enter)(struct l4_words *words);
static struct l4_words first, second, partner_words, victim_words, victim_call, victim_done, wait_words;

/* ---- words of calls ---- */

static void set_words(struct l4_words *w, uint32_t w0, uint32_t w1, uint32_t w2, uint32_t w3, uint32_t w4)
{
    *w = (struct l4_words){ .w = { w0, w1, w2, w3, w4 } };
}

static void set_ipc(struct l4_words *w, uint32_t send, unsigned st, unsigned sc, uint32_t recv, unsigned rt, unsigned rc, uint32_t ts)
{
    set_words(w, L4_IPC_W0(send, st, sc), L4_IPC_W1(recv, rt, rc, ts), 0, 0, 0);
}

static void set_create(struct l4_words *w, uint32_t type, uint32_t id, uint32_t param0, uint32_t param1)
{
    set_words(w, L4_CAP(id) | type << 4 | L4_SYS_CREATE, KPAGES, KPAGES, param0, param1);
}

static void set_flush(struct l4_words *w, uint32_t id)
{
    set_words(w, 1u << 12 | L4_SYS_UNMAP, L4_CAP_FPAGE(id, L4_RIGHTS_ALL), 0, 0, 0);
}

static void run_first(void) { enter(&first); }
static void run_both(void)
{
    enter(&first);
    enter(&second);
}

static uint32_t perform(struct l4_words *w)
{
    enter(w);
    return w->w[0];
}

static void timeouts(uint32_t send, uint32_t receive)
{
    (void)tcr_write(NO_CAP, L4_TCR_TIMEOUT0, send << 16 | receive);
}

/* ---- the partner: waits on EP_A, says what was prepared to EP_B ---- */

static volatile uint32_t skip; /* bytes of the instruction that the exception handler skips */

static void partner(void)
{
    struct l4_words *w = &partner_words;
    uint32_t w0 = w->w[0], w1 = w->w[1], m[5] = { w->w[2], w->w[3], w->w[4], w->w[5], w->w[6] };

    w->w[0] = L4_IPC_W0(NO_CAP, 0, 0);
    for (;;) {
        enter(w);
        if (skip)
            w->w[2 + M_EIP] += skip;
        else
            for (unsigned i = 0; i < 5; i++)
                w->w[2 + i] = m[i];
        w->w[0] = L4_ERR_BASE(w->w[0]) ? L4_IPC_W0(NO_CAP, 0, 0) : w0;
        w->w[1] = w1;
    }
}

static void start_partner(unsigned rt, unsigned rc, unsigned st, unsigned sc)
{
    set_ipc(&partner_words, L4_CAP(EP_B), st, sc, L4_CAP(EP_A), rt, rc, L4_TS_ZERO);
    skip = 0;
    stacks_keep(1);
    thread_start_with(PARTNER, partner, HELPER_PRIO, HELPER_BUDGET, HELPER_PERIOD);
    EXPECT_EQ(tcr_write(L4_CAP(PARTNER), L4_TCR_SNDRES, KPAGES), 0);
}

/* ---- the victim: on a message at EP_C does something, and says at EP_D that it has ---- */

static void victim_tells(void)
{
    enter(&victim_done);
    thread_stop();
}
static void victim_touches(void)
{
    enter(&victim_words);
    (void)*word_at(FAR_PAGE);
    victim_tells();
}
static void victim_calls(void)
{
    enter(&victim_words);
    enter(&victim_call);
    victim_tells();
}
static void victim_excepts(void)
{
    enter(&victim_words);
    __asm__ volatile("ud2");
    victim_tells();
}
static void waits(void)
{
    enter(&wait_words);
    thread_stop();
}

/* In a task of its own, waiting for its first message at STARTUP. */
static void make_victim(void)
{
    struct l4_words w;

    EXPECT_EQ(create(L4_TYPE_ENDPOINT, EP_C, 0, 0), 0);
    EXPECT_EQ(create(L4_TYPE_ENDPOINT, EP_D, 0, 0), 0);
    EXPECT_EQ(create(L4_TYPE_ENDPOINT, STARTUP, 0, 0), 0);
    EXPECT_EQ(create(L4_TYPE_TASK, TASK, L4_CAP_FPAGE(STARTUP, L4_R), L4_CAP_FPAGE(0, L4_R)), 0);
    EXPECT_EQ(create(L4_TYPE_THREAD, VICTIM, 0, 0), 0);
    EXPECT_EQ(tcr_write(L4_CAP(VICTIM), L4_TCR_TASK, L4_CAP(TASK)), 0);
    EXPECT_EQ(create(L4_TYPE_RESERVATION, VICTIM_RES, 0, 0), 0);
    EXPECT_EQ(schedule(L4_SCHED_SPLIT | L4_SCHED_ASSOCIATE, VICTIM_RES, L4_CAP(L4_S0_RESERVATION), L4_CAP(VICTIM) | 255u,
                       HELPER_PRIO << 24 | L4_SCHED_SOFT, HELPER_BUDGET, HELPER_PERIOD, &w) & 15u, 0);
    EXPECT_EQ(tcr_write(L4_CAP(VICTIM), L4_TCR_FAULT_SND, L4_CAP(EP_A)), 0);
    EXPECT_EQ(tcr_write(L4_CAP(VICTIM), L4_TCR_FAULT_RCV, L4_CAP(EP_B)), 0);
    EXPECT_EQ(tcr_write(L4_CAP(VICTIM), L4_TCR_WINDOW, L4_FPAGE(far_block, L4_SPACE_MEM, 18, 7)), 0);
    set_ipc(&victim_words, NO_CAP, 0, 0, L4_CAP(EP_C), 3, 3, L4_TS_NEVER);
    set_ipc(&victim_done, L4_CAP(EP_D), 0, 0, L4_CAP(EP_C), 0, 0, L4_TS_ZERO);
}

/* The message that gives it this image, all that is named here, and its first instruction. */
static void set_startup(struct l4_words *w, void (*fn)(void))
{
    set_ipc(w, L4_CAP(STARTUP), 2, 2, NO_CAP, 0, 0, L4_TS_TCR16);
    w->w[2] = address_of(fn);
    w->w[3] = STACK_TOP(48);
    w->w[4] = L4_FPAGE(0x400000u, L4_SPACE_MEM, 22, 7);
    w->w[5] = 0x400000u | L4_ITEM_MAP;
    w->w[6] = L4_FPAGE(L4_CAP(FIRST), L4_SPACE_CAP, 16, 15);
    w->w[7] = L4_CAP(FIRST) | L4_ITEM_MAP;
}

static void start_victim(void (*fn)(void))
{
    struct l4_words w;

    make_victim();
    set_startup(&w, fn);
    timeouts(GIVE_UP, GIVE_UP);
    EXPECT_EQ(perform(&w), 0);
    sweep_victim = VICTIM;
    /* to its receive: we outrank it */
    (void)call5(L4_CAP(VICTIM) | L4_SYS_THREAD_SWITCH, ~0u, 0, 0, 0, NULL);
    /* the operation: tell it, and wait until it tells us */
    set_ipc(&first, L4_CAP(EP_C), 0, 0, L4_CAP(EP_D), 0, 3, L4_TS_TCR16);
}

/* ---- operations ---- */

static void nothing(void) {}
static void run_user(void)
{
    for (volatile unsigned i = 0; i < 5; i++)
        ;
}

static void prepare_null(void) { set_ipc(&first, NO_CAP, 0, 0, NO_CAP, 0, 0, L4_TS_NEVER); }
static void prepare_call(void)
{
    start_victim(victim_calls);
    set_ipc(&victim_call, L4_CAP(EP_A), 0, 2, L4_CAP(EP_B), 0, 3, L4_TS_NEVER);
    start_partner(0, 63, 0, 3);
}
static void prepare_call_timeouts(void)
{
    start_partner(0, 63, 0, 3);
    set_ipc(&first, L4_CAP(EP_A), 0, 2, L4_CAP(EP_B), 0, 3, L4_TS_TCR16);
}
static void prepare_call_long(void)
{
    start_partner(0, 63, 0, 20);
    set_ipc(&first, L4_CAP(EP_A), 0, 40, L4_CAP(EP_B), 0, 63, L4_TS_TCR16);
}
static void prepare_timeout(void)
{
    set_ipc(&first, NO_CAP, 0, 0, L4_CAP(EP_B), 0, 3, L4_TS_TCR16);
    timeouts(SOON, SOON);
}
static void prepare_create(void) { set_create(&first, L4_TYPE_ENDPOINT, OBJECT, 0, 0); }
static void prepare_destroy(void)
{
    (void)create(L4_TYPE_ENDPOINT, SECOND, 0, 0);
    set_flush(&first, SECOND);
}
static void prepare_create_task(void) { set_create(&first, L4_TYPE_TASK, TASK, L4_CAP_FPAGE(EP_A, 15), L4_CAP_FPAGE(5, 15)); }
static void prepare_destroy_task(void)
{
    start_partner(0, 63, 0, 3);
    start_victim(waits);
    set_flush(&first, TASK);
}
static void prepare_convert(void) { set_create(&first, L4_TYPE_KPAGE, KP, L4_FPAGE(far_block, L4_SPACE_MEM, 14, L4_T), 0); }
static void prepare_unconvert(void)
{
    (void)create(L4_TYPE_KPAGE, KP, L4_FPAGE(far_block, L4_SPACE_MEM, 14, L4_T), 0);
    for (uint32_t i = 0; i < 4; i++)
        (void)call5(L4_CAP(EXTRA + i) | L4_TYPE_ENDPOINT << 4 | L4_SYS_CREATE, L4_CAP_FPAGE(KP, L4_W), KPAGES, 0, 0, NULL);
    set_flush(&first, KP);
}
static void prepare_unmap(void)
{
    start_victim(waits);
    set_words(&first, 1u << 4 | L4_SYS_UNMAP, L4_FPAGE(L4_CAP(FIRST), L4_SPACE_CAP, 16, 15), 0, 0, 0);
}
static void prepare_map(void)
{
    start_victim(waits);
    set_ipc(&first, L4_CAP(EP_C), 2, 1, NO_CAP, 0, 0, L4_TS_TCR16);
    first.w[3] = KPAGES;
    first.w[4] = L4_FPAGE(far_block, L4_SPACE_MEM, 22, L4_ITEM_TABRES);
    first.w[5] = L4_FPAGE(page(0), L4_SPACE_MEM, 18, 7);
    first.w[6] = far_block | L4_ITEM_MAP;
}
static void prepare_exregs(void)
{
    start_partner(0, 63, 0, 3);
    set_words(&first, L4_CAP(PARTNER) | L4_XR_SET_USER | L4_SYS_EXREGS, 0, 0, 0, 5);
}
static void prepare_tcr(void)
{
    start_partner(0, 63, 0, 3);
    set_words(&first, L4_CAP(PARTNER) | 1u << 4 | L4_SYS_THREAD_CONTROL, L4_TCR_SENDER << 2 | 1u, 6, 0, 0);
}
static void prepare_switch(void)
{
    start_partner(0, 63, 0, 3);
    set_words(&first, L4_CAP(PARTNER) | L4_SYS_THREAD_SWITCH, ~0u, 0, 0, 0);
}
/* A thread starts by exchange-registers and runs on our time. */
static void prepare_start(void)
{
    (void)create(L4_TYPE_ENDPOINT, EP_C, 0, 0);
    start_partner(0, 63, 0, 3);
    yield_to_others();
    (void)create(L4_TYPE_THREAD, OBJECT, 0, 0);
    (void)tcr_write(L4_CAP(OBJECT), L4_TCR_TASK, OWN_TASK);
    set_words(&first, L4_CAP(OBJECT) | L4_XR_SET_IP | L4_XR_SET_SP | L4_XR_HALT_GIVEN | L4_SYS_EXREGS, address_of(waits),
              STACK_TOP(47), 0, 0);
    set_words(&second, L4_CAP(OBJECT) | L4_SYS_THREAD_SWITCH, ~0u, 0, 0, 0);
}
/* A thread starts by a message with two items, and runs on our time. */
static void prepare_startup(void)
{
    make_victim();
    set_startup(&first, waits);
    set_words(&second, L4_CAP(VICTIM) | L4_SYS_THREAD_SWITCH, ~0u, 0, 0, 0);
}
static void prepare_page_fault(void)
{
    start_victim(victim_touches);
    start_partner(0, 63, 2, 1);
    partner_words.w[3] = KPAGES;
    partner_words.w[4] = L4_FPAGE(far_block, L4_SPACE_MEM, 22, L4_ITEM_TABRES);
    partner_words.w[5] = L4_FPAGE(page(40), L4_SPACE_MEM, 12, 7);
    partner_words.w[6] = FAR_PAGE | L4_ITEM_MAP;
}
static void prepare_cap_fault(void)
{
    start_victim(victim_calls);
    set_ipc(&victim_call, L4_CAP(ABSENT), 0, 0, NO_CAP, 0, 0, L4_TS_ZERO);
    start_partner(0, 63, 1, 1);
    partner_words.w[3] = L4_CAP_FPAGE(EP_B, 15);
    partner_words.w[4] = L4_CAP(ABSENT) | L4_ITEM_MAP;
}
static void prepare_exception(void)
{
    start_victim(victim_excepts);
    start_partner(0, 63, 0, 12);
    skip = 2; /* ud2 */
}
/* The keyboard's interrupt goes to the partner, which waits for it, and whose answer opens the line again. */
static void prepare_interrupt(void)
{
    start_partner(0, 63, 0, 0);
    yield_to_others();
    (void)call5(L4_CAP(PARTNER) | L4_SYS_THREAD_SWITCH, ~0u, 0, 0, 0, NULL);
    (void)tcr_write(KEY_THREAD, L4_TCR_FAULT_SND, L4_CAP(EP_A));
    (void)tcr_write(KEY_THREAD, L4_TCR_FAULT_RCV, L4_CAP(EP_B));
    (void)tcr_write(KEY_THREAD, L4_TCR_TASK, OWN_TASK);
    key_prepare();
    set_words(&first, L4_CAP(PARTNER) | L4_SYS_THREAD_SWITCH, ~0u, 0, 0, 0);
}
static void run_interrupt(void)
{
    l4_outb(KEY_DATA, KEY_CODE);
    enter(&first);
}
static void clean_interrupt(void)
{
    (void)tcr_write(KEY_THREAD, L4_TCR_TASK, NO_CAP);
    (void)tcr_write(KEY_THREAD, L4_TCR_FAULT_SND, NO_CAP);
    (void)tcr_write(KEY_THREAD, L4_TCR_FAULT_RCV, NO_CAP);
    key_taken();
}

#define RESULT(words) &(words).w[0]
const struct sweep_operation sweep_operations[] = {
    { "user", prepare_null, run_user, nothing, RESULT(first), L4_OK },
    { "null", prepare_null, run_first, nothing, RESULT(first), L4_OK },
    { "call", prepare_call, run_first, nothing, RESULT(victim_call), L4_OK },
    { "call-timeouts", prepare_call_timeouts, run_first, nothing, RESULT(first), L4_OK },
    { "call-long", prepare_call_long, run_first, nothing, RESULT(first), L4_OK },
    { "timeout", prepare_timeout, run_first, nothing, RESULT(first), L4_RCV_TIMEOUT },
    { "map", prepare_map, run_first, nothing, RESULT(first), L4_OK },
    { "page-fault", prepare_page_fault, run_first, nothing, RESULT(first), L4_OK },
    { "cap-fault", prepare_cap_fault, run_first, nothing, RESULT(victim_call), L4_SND_TIMEOUT },
    { "exception", prepare_exception, run_first, nothing, RESULT(first), L4_OK },
    { "interrupt", prepare_interrupt, run_interrupt, clean_interrupt, RESULT(first), L4_OK },
    { "start", prepare_start, run_both, nothing, RESULT(first), L4_OK },
    { "startup", prepare_startup, run_both, nothing, RESULT(first), L4_OK },
    { "create", prepare_create, run_first, nothing, RESULT(first), L4_OK },
    { "destroy", prepare_destroy, run_first, nothing, RESULT(first), L4_OK },
    { "create-task", prepare_create_task, run_first, nothing, RESULT(first), L4_OK },
    { "destroy-task", prepare_destroy_task, run_first, nothing, RESULT(first), L4_OK },
    { "convert", prepare_convert, run_first, nothing, RESULT(first), L4_OK },
    { "unconvert", prepare_unconvert, run_first, nothing, RESULT(first), L4_OK },
    { "unmap", prepare_unmap, run_first, nothing, RESULT(first), L4_OK },
    { "exregs", prepare_exregs, run_first, nothing, RESULT(first), L4_OK },
    { "tcr", prepare_tcr, run_first, nothing, RESULT(first), L4_OK },
    { "switch", prepare_switch, run_first, nothing, RESULT(first), L4_OK },
    { .name = NULL },
};

void sweep_begin(void (*function)(struct l4_words *words))
{
    enter = function;
    far_block = ram_block(0);
    (void)tcr_write(KEY_THREAD, L4_TCR_TASK, NO_CAP);
    key_interrupts(true);
}

void sweep_prepare(const struct sweep_operation *op)
{
    sweep_victim = L4_S0_THREAD;
    EXPECT_EQ(create(L4_TYPE_ENDPOINT, EP_A, 0, 0), 0);
    EXPECT_EQ(create(L4_TYPE_ENDPOINT, EP_B, 0, 0), 0);
    timeouts(GIVE_UP, GIVE_UP);
    set_ipc(&wait_words, NO_CAP, 0, 0, L4_CAP(EP_C), 3, 3, L4_TS_NEVER);
    op->prepare();
}

void sweep_clean_up(const struct sweep_operation *op)
{
    op->clean_up();
    (void)flush1(L4_FPAGE(L4_CAP(FIRST), L4_SPACE_CAP, 16, 15));
    (void)flush1(L4_FPAGE(L4_CAP(FIRST + 16), L4_SPACE_CAP, 16, 15));
}

/* ---- what the adversary does ---- */

void sweep_no_action(void) {}

/* In the middle of the operation, too. */
static void act_check(void)
{
    uint32_t state[4];

    kernel_state(state);
    if (state[0])
        guest_fail("check", 0, "violations in the middle", state[0], 0);
}
static void act_read_registers(void)
{
    struct l4_words w;

    (void)exregs(0, L4_CAP(sweep_victim), 0, 0, 0, 0, &w);
}
static void act_abort(void) { (void)exregs(1u << L4_XR_ABORT_SHIFT, L4_CAP(sweep_victim), 0, 0, 0, 0, NULL); }
static void act_halt_resume(void)
{
    (void)exregs(L4_XR_HALT_GIVEN | L4_XR_HALT, L4_CAP(sweep_victim), 0, 0, 0, 0, NULL);
    (void)exregs(L4_XR_HALT_GIVEN, L4_CAP(sweep_victim), 0, 0, 0, 0, NULL);
}
/* E-20: write back the IP it has, wherever it was interrupted, and more flags than it may have. */
static void act_set_registers(void)
{
    struct l4_words w;

    (void)exregs(0, L4_CAP(sweep_victim), 0, 0, 0, 0, &w);
    (void)exregs(L4_XR_SET_IP | L4_XR_SET_SP | L4_XR_SET_FLAGS, L4_CAP(sweep_victim), w.w[1], w.w[2], w.w[3] | 0x00007000u, 0,
                 NULL);
    act_check(); /* no privilege */
}
static void act_destroy_endpoint(void) { (void)flush_cap(EP_A); }
static void act_destroy_partner(void) { (void)flush_cap(PARTNER); }
static void act_revoke(void) { (void)unmap1(L4_FPAGE(L4_CAP(FIRST), L4_SPACE_CAP, 16, 15)); }
static void act_destroy_object(void)
{
    (void)flush_cap(OBJECT);
    (void)flush_cap(SECOND);
}
static void act_destroy_task(void) { (void)flush_cap(TASK); }
static void act_destroy_kpage(void) { (void)flush_cap(KP); }
static void act_create(void) { (void)create(L4_TYPE_ENDPOINT, EXTRA + 8, 0, 0); }
static void act_unmap_memory(void) { (void)unmap1(L4_ALL_MEM); }
static void act_unbind(void) { (void)tcr_write(L4_CAP(PARTNER), L4_TCR_TASK, L4_CAP_INVALID); }

const struct sweep_action sweep_actions[] = {
    { "check", act_check }, { "read-registers", act_read_registers }, { "abort", act_abort },
    { "halt-resume", act_halt_resume }, { "set-registers", act_set_registers },
    { "destroy-endpoint", act_destroy_endpoint }, { "destroy-partner", act_destroy_partner },
    { "revoke", act_revoke }, { "destroy-object", act_destroy_object }, { "destroy-task", act_destroy_task },
    { "destroy-kpage", act_destroy_kpage }, { "create", act_create }, { "unmap-memory", act_unmap_memory },
    { "unbind", act_unbind },
    { .name = NULL },
};
