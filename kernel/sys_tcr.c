// SPDX-License-Identifier: MIT
/*
 * thread-control: read and write the control registers of a thread, bind it to a task.
 * [M 2.2.2] [M 3.1.3] [M 3.2.5] [G23]
 *
 * The words are a list: a head with five register numbers, five values, the next head.  They are read
 * once, everything is checked, the old values go back to the caller, and only then something changes.
 * Interrupts are off in between, so one buffer serves all threads of the CPU.
 */
#include "kernel/fault.h"
#include "kernel/flexpage.h"
#include "kernel/irq.h"
#include "kernel/sys.h"

#define VALUES_MAX     63u
#define HEAD_VALUES    5u
#define GROUP_WORDS    (HEAD_VALUES + 1u) /* a head and its values */
#define REGISTER_WORDS 5u /* W0..W4 */
#define WORDS_MAX      (VALUES_MAX + (VALUES_MAX + HEAD_VALUES - 1u) / HEAD_VALUES)
#define HEAD_WRITE     1u
#define HEAD_READ      2u
#define TIMEOUT_ABSOLUTE 0x80008000u /* either half: reserved [G16] */
#define WINDOW_RESERVED  (L4_TCR_WINDOW + 3u)
#define TCR_PREEMPTER  6u /* and 7: reserved [S16] */

enum access {
    ACCESS_NONE = 0,
    ACCESS_WRITE = 1,      /* with write permission */
    ACCESS_SELF_WRITE = 2, /* also by the thread itself */
};

static const uint8_t access_of[L4_TCR_COUNT] = {
    [L4_TCR_TASK] = ACCESS_WRITE,
    [L4_TCR_USER] = ACCESS_WRITE | ACCESS_SELF_WRITE,
    [L4_TCR_SENDER] = ACCESS_WRITE,
    [L4_TCR_FAULT_SND] = ACCESS_WRITE,
    [L4_TCR_FAULT_RCV] = ACCESS_WRITE,
    [L4_TCR_EXC_SND] = ACCESS_WRITE,
    [L4_TCR_EXC_RCV] = ACCESS_WRITE,
    [L4_TCR_SNDRES] = ACCESS_WRITE | ACCESS_SELF_WRITE,
    [L4_TCR_RCVRES] = ACCESS_WRITE | ACCESS_SELF_WRITE,
    [L4_TCR_WINDOW] = ACCESS_WRITE | ACCESS_SELF_WRITE,
    [L4_TCR_WINDOW + 1] = ACCESS_WRITE | ACCESS_SELF_WRITE,
    [L4_TCR_WINDOW + 2] = ACCESS_WRITE | ACCESS_SELF_WRITE,
    [WINDOW_RESERVED] = ACCESS_WRITE | ACCESS_SELF_WRITE,
    [L4_TCR_TIMEOUT0] = ACCESS_WRITE | ACCESS_SELF_WRITE,
    [L4_TCR_TIMEOUT1] = ACCESS_WRITE | ACCESS_SELF_WRITE,
};

/* One call, decoded. */
struct request {
    struct thread *caller, *target;
    bool self;
    unsigned count;
    uint32_t word[WORDS_MAX];     /* W1.. */
    uint32_t tcr[L4_TCR_COUNT];   /* the registers as they will be */
    bool unbind;
    struct task *bind;
    bool irq;                     /* TCR 1, 4 or 5 is written */
};
static struct request request;    /* one per CPU; never survives the call */

/* Where value i stands, and which register it is for.  Index into word[]; parameter word is one more. */
static unsigned value_at(unsigned i)
{
    return i + i / HEAD_VALUES + 1u;
}

static uint32_t head_of(const struct request *q, unsigned i)
{
    return q->word[i / HEAD_VALUES * GROUP_WORDS];
}

static unsigned register_of(const struct request *q, unsigned i)
{
    return (head_of(q, i) >> (2u + 6u * (i % HEAD_VALUES))) & 63u;
}

static void refuse(struct request *q, enum l4_error error, enum l4_detail detail, unsigned i)
{
    sys_finish(q->caller, L4_ERR(error, detail, min_u32(value_at(i) + 1u, 15)) | (q->count << 4));
}

static bool fetch(struct request *q)
{
    unsigned words = q->count + (q->count + HEAD_VALUES - 1u) / HEAD_VALUES;

    return sys_get_words(q->caller, 1, q->word, words, sys_thread_control);
}

/* Find the thread; its capability must allow what the heads ask for.  [M 3.2.5] */
static bool find_target(struct request *q)
{
    uint32_t cap = q->caller->frame.w[0] & L4_CAP_INVALID, need = 0;
    enum l4_detail reason = L4_D_EMPTY;
    unsigned i;

    q->self = cap == L4_CAP_INVALID;
    if (q->self) {
        q->target = q->caller;
        return true;
    }
    for (i = 0; i < q->count; i += HEAD_VALUES) {
        if (head_of(q, i) & HEAD_WRITE)
            need |= L4_W;
        if (head_of(q, i) & HEAD_READ)
            need |= L4_R;
    }
    q->target = (struct thread *)(void *)cap_object(q->caller->task, cap, L4_TYPE_THREAD, need, &reason);
    if (!q->target)
        fault_cap(q->caller, need & L4_W ? L4_OP_TCR_WRITE : L4_OP_TCR_READ, reason, L4_TYPE_THREAD,
                  need, cap, 0, sys_thread_control);
    return q->target != NULL;
}

static bool is_resource(uint32_t value)
{
    struct flexpage f;

    return value == 0 || (flexpage_decode(value, &f) == L4_D_NONE && f.space == L4_SPACE_CAP);
}

static bool is_window(uint32_t value, unsigned space)
{
    struct flexpage f;

    return value == 0 || (flexpage_decode(value, &f) == L4_D_NONE && f.space == space);
}

static bool value_fits(unsigned number, uint32_t value)
{
    switch (number) {
    case L4_TCR_SNDRES:
    case L4_TCR_RCVRES:
        return is_resource(value);
    case L4_TCR_WINDOW:
    case L4_TCR_WINDOW + 1:
    case L4_TCR_WINDOW + 2:
        return is_window(value, number - L4_TCR_WINDOW);
    case WINDOW_RESERVED:
        return value == 0;
    case L4_TCR_TIMEOUT0:
    case L4_TCR_TIMEOUT1:
        return (value & TIMEOUT_ABSOLUTE) == 0;
    default:
        return true;
    }
}

/* Registers that hold capability numbers: the bits below are nobody's.  [G23] */
static bool holds_capability(unsigned number)
{
    return number >= L4_TCR_FAULT_SND && number <= L4_TCR_EXC_RCV;
}

/* TCR 1: a task to bind to, or the invalid capability to unbind.  False: the call has ended. */
static bool check_bind(struct request *q, unsigned i, uint32_t value)
{
    uint32_t cap = value & L4_CAP_INVALID;
    enum l4_detail reason = L4_D_EMPTY;
    struct kobj *task;

    if (cap == L4_CAP_INVALID) {
        q->unbind = true;
        q->bind = NULL;
        return true;
    }
    if (q->bind || (q->target->task && !q->unbind)) {
        refuse(q, L4_STATE, L4_D_RUNNING, i);
        return false;
    }
    task = cap_object(q->caller->task, cap, L4_TYPE_TASK, L4_T, &reason);
    if (!task) {
        fault_cap(q->caller, L4_OP_BIND, reason, L4_TYPE_TASK, L4_T, cap, value_at(i) + 1u,
                  sys_thread_control);
        return false;
    }
    q->bind = (struct task *)(void *)task;
    return true;
}

static bool check_write(struct request *q, unsigned i, unsigned number, uint32_t value)
{
    if (number == TCR_PREEMPTER || number == TCR_PREEMPTER + 1u) {
        refuse(q, L4_PARAM, L4_D_BAD_INDEX, i);
        return false;
    }
    if (q->self && !(access_of[number] & ACCESS_SELF_WRITE)) {
        refuse(q, L4_DENIED, L4_D_SELF, i);
        return false;
    }
    if (!value_fits(number, value)) {
        refuse(q, L4_PARAM, L4_D_BAD_VALUE, i);
        return false;
    }
    if (number == L4_TCR_TASK || number == L4_TCR_FAULT_SND || number == L4_TCR_FAULT_RCV) {
        if (q->target->hardware && q->target->irq_state == IRQ_KERNEL) {
            refuse(q, L4_STATE, L4_D_HWTHREAD, i);
            return false;
        }
        q->irq = true;
    }
    if (number == L4_TCR_TASK)
        return check_bind(q, i, value);
    q->tcr[number] = holds_capability(number) ? value & L4_CAP_INVALID : value;
    return true;
}

static uint32_t read_value(const struct request *q, unsigned number)
{
    if (number == 0 || number == L4_TCR_TASK || number == TCR_PREEMPTER || number == TCR_PREEMPTER + 1u)
        return 0;
    return q->tcr[number];
}

/*
 * Check the whole list.  On the way word[] gets the old values where they are asked for, and tcr[] what will
 * be written; a register that stands in the list twice is seen as changed by its first mention.
 */
static bool check(struct request *q)
{
    unsigned i;

    for (i = 0; i < L4_TCR_COUNT; i++)
        q->tcr[i] = q->target->tcr[i];
    q->unbind = q->irq = false;
    q->bind = NULL;
    for (i = 0; i < q->count; i++) {
        uint32_t head = head_of(q, i), *word = &q->word[value_at(i)], value = *word;
        unsigned number = register_of(q, i);

        if (number >= L4_TCR_COUNT) {
            refuse(q, L4_PARAM, L4_D_BAD_INDEX, i);
            return false;
        }
        if (head & HEAD_READ)
            *word = read_value(q, number);
        if ((head & HEAD_WRITE) && number != 0 && !check_write(q, i, number, value))
            return false;
    }
    return true;
}

/* Write the values of each group that is read, those from word `from` on. */
static bool put_values(struct request *q, unsigned from)
{
    unsigned i;

    for (i = 0; i < q->count; i += HEAD_VALUES) {
        unsigned first = max_u32(value_at(i) + 1u, from);
        unsigned end = value_at(i) + 1u + min_u32(q->count - i, HEAD_VALUES);

        if (first < end && (head_of(q, i) & HEAD_READ) &&
            !sys_put_words(q->caller, first, &q->word[first - 1u], end - first, sys_thread_control))
            return false;
    }
    return true;
}

/* The old values, where the heads ask for them. */
static bool write_back(struct request *q)
{
    return put_values(q, 1);
}

/*
 * A word that will be written back must be writable before anything happens: write what is there already.
 * A fault here repeats the call from the start, with its words unharmed.
 */
static bool probe(struct request *q)
{
    return put_values(q, REGISTER_WORDS);
}

static void perform(struct request *q)
{
    struct thread *t = q->target;
    unsigned i;

    for (i = 2; i < L4_TCR_COUNT; i++)
        t->tcr[i] = q->tcr[i];
    if (q->unbind && t->task)
        thread_unbind(t, HALT_UNBOUND);
    if (q->bind)
        thread_bind(t, q->bind);
    else if (q->irq && t->hardware)
        irq_reevaluate(t);
}

void sys_thread_control(struct thread *caller)
{
    struct request *q = &request;

    q->caller = caller;
    q->count = (caller->frame.w[0] >> 4) & 63u;
    if (!fetch(q) || !find_target(q) || !probe(q) || !check(q) || !write_back(q))
        return;
    sys_finish(caller, L4_OK | (q->count << 4));
    perform(q); /* may unbind the caller itself */
}
