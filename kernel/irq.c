// SPDX-License-Identifier: MIT
/*
 * Interrupt lines as messages from hardware threads.  [M 2.6] [G21]
 *
 * A line is unmasked exactly while its thread is ARMED.  An interrupt masks it and becomes a message on
 * TCR 4; the reply on TCR 5, or the end of the message by abort, arms it again.  A hardware thread rests
 * in state HALTED and is otherwise in SEND or RECV; it is never READY.  A message that meets many threads which
 * have lost their capability is postponed in state RAISED, to go on between preemption points.
 */
#include "kernel/irq.h"

#include <arch/cpu.h>
#include "kernel/check.h"
#include "kernel/cpu.h"
#include "kernel/ipc.h"
#include "kernel/trace.h"

static struct thread *irq_threads[IRQ_LINES];
uint32_t irq_count[IRQ_LINES], irq_spurious, irq_postponed;

void irq_init(struct thread *threads[IRQ_LINES], uint32_t kernel_lines)
{
    unsigned line;

    for (line = 0; line < IRQ_LINES; line++) {
        struct thread *t = threads[line];

        irq_threads[line] = t;
        t->hardware = true;
        t->irq_line = (uint8_t)line;
        t->irq_state = kernel_lines & (1u << line) ? IRQ_KERNEL : IRQ_DETACHED;
    }
}

struct thread *irq_thread(unsigned line)
{
    return line < IRQ_LINES ? irq_threads[line] : NULL;
}

static bool attached(const struct thread *t)
{
    return t->task && t->tcr[L4_TCR_FAULT_SND] != L4_CAP_INVALID &&
           t->tcr[L4_TCR_FAULT_RCV] != L4_CAP_INVALID;
}

static void set_state(struct thread *t, enum irq_state state)
{
    t->irq_state = (uint8_t)state;
    if (state == IRQ_RAISED)
        irq_postponed |= 1u << t->irq_line;
    else
        irq_postponed &= ~(1u << t->irq_line);
    TRACE(IRQ, t->irq_line, state, 0);
    if (state == IRQ_ARMED)
        arch_irq_unmask(t->irq_line);
    else
        arch_irq_mask(t->irq_line);
}

void irq_raise(unsigned line)
{
    struct thread *t = irq_threads[line];

    irq_count[line]++;
    if (!t || t->irq_state != IRQ_ARMED)
        return; /* raised before the mask took effect: it stays masked */
    set_state(t, IRQ_SENDING);
    t->kipc = (struct ipc){
        .kind = IPC_IRQ, .send = t->tcr[L4_TCR_FAULT_SND], .sc = 1,
        .recv = ipc_recv_word(t->tcr[L4_TCR_FAULT_RCV], 0, 0),
    };
    t->kmsg[0] = (L4_PROTO_IRQ << 24) | line;
    ipc_start_interrupt(t);
}

void irq_postpone(struct thread *t)
{
    if (t->state != THREAD_HALTED)
        thread_set_state(t, THREAD_HALTED);
    set_state(t, IRQ_RAISED);
    this_cpu()->resched = true;
}

void irq_continue(void)
{
    struct thread *t = irq_threads[__builtin_ctz(irq_postponed)];

    set_state(t, IRQ_SENDING);
    ipc_continue_interrupt(t);
}

void irq_reevaluate(struct thread *t)
{
    if (t->irq_state == IRQ_KERNEL)
        return;
    if (!attached(t)) {
        if (t->irq_state == IRQ_DETACHED)
            return;
        set_state(t, IRQ_DETACHED);
        thread_cancel(t);
        if (t->state != THREAD_HALTED)
            thread_set_state(t, THREAD_HALTED);
    } else if (t->irq_state == IRQ_DETACHED) {
        set_state(t, t->halt_pending ? IRQ_MASKED : IRQ_ARMED);
    }
}

void irq_replied(struct thread *t)
{
    if (t->state != THREAD_HALTED)
        thread_set_state(t, THREAD_HALTED);
    if (t->irq_state != IRQ_SENDING && t->irq_state != IRQ_RAISED)
        return;
    set_state(t, !attached(t) ? IRQ_DETACHED : t->halt_pending ? IRQ_MASKED : IRQ_ARMED);
}

void irq_lost(struct thread *t)
{
    if (t->state != THREAD_HALTED)
        thread_set_state(t, THREAD_HALTED);
    if (t->irq_state != IRQ_KERNEL)
        set_state(t, IRQ_DETACHED);
}

void irq_set_halted(struct thread *t, bool halted)
{
    t->halt_pending = halted;
    if (halted && t->irq_state == IRQ_ARMED)
        set_state(t, IRQ_MASKED);
    else if (!halted && t->irq_state == IRQ_MASKED)
        set_state(t, IRQ_ARMED);
}

enum irq_state irq_state_of(const struct thread *t)
{
    if (t->irq_state == IRQ_SENDING && t->state == THREAD_RECV)
        return IRQ_WAITING;
    return (enum irq_state)t->irq_state;
}

const char *irq_state_name(unsigned state)
{
    static const char *const names[] = { "kernel", "detached", "masked", "armed", "sending", "waiting", "raised" };

    return state < ARRAY_SIZE(names) ? names[state] : "?";
}

CHECK_RULE(irq_mask, "IRQ-1", "IRQ", "a line is unmasked exactly while its thread is armed; a pending message is queued or sent")
{
    unsigned line;

    for (line = 0; line < IRQ_LINES; line++) {
        const struct thread *t = irq_threads[line];

        c->looked++;
        if (!t || t->irq_state == IRQ_KERNEL)
            continue;
        if (arch_irq_masked(line) != (t->irq_state != IRQ_ARMED))
            check_fail(c, "line %u is %s in state %s", line,
                       arch_irq_masked(line) ? "masked" : "unmasked", irq_state_name(t->irq_state));
        if ((t->irq_state == IRQ_SENDING) != (t->state != THREAD_HALTED))
            check_fail(c, "line %u: state %s, thread %s", line, irq_state_name(t->irq_state),
                       thread_state_name(t->state));
        if ((t->irq_state == IRQ_RAISED) != ((irq_postponed >> line & 1u) != 0))
            check_fail(c, "line %u: state %s, but %spostponed", line, irq_state_name(t->irq_state),
                       irq_postponed >> line & 1u ? "" : "not ");
        if (t->irq_state != IRQ_DETACHED && !attached(t))
            check_fail(c, "line %u is not attached but in state %s", line,
                       irq_state_name(t->irq_state));
    }
}

CHECK_RULE(irq_thread, "IRQ-2", "IRQ", "a hardware thread is never ready and has no reservation")
{
    unsigned line;

    for (line = 0; line < IRQ_LINES; line++) {
        const struct thread *t = irq_threads[line];

        c->looked++;
        if (t && (t->state == THREAD_READY || t->resv_list))
            check_fail(c, "hardware thread of line %u is ready or has a reservation", line);
    }
}
