// SPDX-License-Identifier: MIT
/*
 * tour: the kernel explained on the running system.  A tour is data: prose, and a line that is executed there
 * and then.  Each line works at any stop and with any program, changes nothing, and can be typed as well.
 */
#include "kdb/engine.h"

#include "kernel/lib/string.h"

struct tour_step { const char *text, *line; };

static const struct tour_step caps[] = {
    { "A task can do nothing but through a capability, and a capability is known to it by a name: a number that\n"
      "means something in this task only. This is the beginning of the table of tk5, the first task, sigma0.\n"
      "Each line is a name (slot), the object behind it, and the rights that the name gives.",
      "cap tk5 | head 6" },
    { "What a right allows depends on the type of the object. The letters of an endpoint: r to receive there, w to\n"
      "send, m to send map items along, c to compare.",
      "cap tk5 type=endpoint | head 4" },
    { "The same object may have names in many tasks, with different rights. Who holds one? And who else could get it,\n"
      "if all tasks helped each other as far as their capabilities let them?",
      "ep caps>1 | head 1 | each 'who'" },
    { "Capabilities are not copied: they are mapped, and the kernel remembers from where. The result is a tree for\n"
      "each object, with the creator's capability at its root. A child never has a right that its parent lacks.",
      "ep caps>1 | head 1 | each 'map tree'" },
    { "Because of the tree everything can be taken back: unmap takes rights from the whole subtree, and the creator's\n"
      "last right takes the object with it. The debugger tells what that would do, by the walk that the real one does.",
      "ep caps>1 | head 1 | each 'revoke -n'" },
    { "That is also what separates tasks. All that tk5 holds or could get, in one table; path shows the steps,\n"
      "sep asks whether two tasks can influence each other at all.",
      "reach tk5 | head 8" },
};

static const struct tour_step memory[] = {
    { "Memory is a space of names, too: addresses. sigma0 got all memory that the kernel does not need, in pages of\n"
      "4 KB and, where the processor has them, 4 MB.",
      "mem tk5 | head 5" },
    { "A page is handed on by a map like a capability, and stands in a tree like one. The root is the memory itself;\n"
      "below it all tasks that see this page, and with which rights.",
      "map tree phys/0x400000 | head 8" },
    { "The processor knows nothing of trees. The kernel keeps page tables that follow from them; a missing entry is\n"
      "made at the first access, by mem_refill().",
      "pt walk tk5:0x400000" },
    { "The kernel has no memory of its own to give away. A program converts a page: it loses the access, and gets a\n"
      "kernel page, in which it may have objects made. These are all of them.",
      "kp" },
    { "In a kernel page objects lie at 32-byte units, and each unit says what it is part of. So the kernel can take a\n"
      "page back with all that is in it.",
      "kp show kp2 | head 10" },
    { "When the kernel page is given up all that lies in it dies, and the memory comes back empty. What would that be?",
      "revoke -n kp2 | head 12" },
};

static const struct tour_step ipc[] = {
    { "A thread is halted, ready, or waiting in the queue of an endpoint for a partner.",
      "thread" },
    { "Messages go from a sender's registers to a receiver's, when both are there: nothing is stored in between.\n"
      "So a queue holds senders or receivers, and never both.",
      "ipcq" },
    { "Why does a thread not go on? The kernel follows who could wake whom, and says if nobody can.",
      "why -a" },
    { "A page fault is a message, too: the kernel sends it in the thread's name to its fault handler, and the answer\n"
      "lets the thread go on. Why would sigma0 not get to this address?",
      "explain tk5 0xb0000000 w" },
    { "The kernel keeps a trace of what happens: messages, faults, maps, objects, switches.",
      "trace | tail 8" },
    { "And of one object or name its history.",
      "ep caps>1 | head 1 | each 'hist'" },
};

static const struct tour_step time[] = {
    { "Processor time is a capability, too: a reservation. It has a priority, a budget and the period after which the\n"
      "budget is full again. It is split off from another one, so nobody can make time.",
      "res" },
    { "A thread runs by the first of its reservations that has budget left. Those that could run, by priority\n(an empty table: all wait).",
      "rq" },
    { "There is no clock tick: the timer is set for the next time at which something is due.",
      "tmo" },
    { "What the processor does now, and how often it has switched.",
      "cpu" },
};

static const struct tour_step trust[] = {
    { "The debugger checks the kernel's data structures against rules. Each can fail, and has been seen to.",
      "check" },
    { "One of them in words, with what it looked at.",
      "check show MDB-1" },
    { "The debugger itself changes nothing but its own data: the hash of all kernel memory is the same before and\n"
      "after a command that is said to be pure.",
      "stat hash" },
    { "help names all commands; help CMD tells what one needs and what its columns mean.",
      "help revoke" },
};

#define TOUR(name, about) { #name, about, name, ARRAY_SIZE(name) }
static const struct tour { const char *name, *about; const struct tour_step *step; unsigned steps; } tours[] = {
    TOUR(caps, "names, rights, mapping trees, who can get what"),
    TOUR(memory, "pages, page tables, and the memory of the kernel"),
    TOUR(ipc, "threads, endpoints, faults, and why somebody waits"),
    TOUR(time, "reservations, the ready queue, timeouts"),
    TOUR(trust, "invariants, and what the debugger does to the system"),
};

KDB_SCHEMA(tour_schema, "tour.ls",
    { "tour", K_TEXT, 8, 0, "name" },
    { "steps", K_NUM, 5, 0, "how many" },
    { "about", K_TEXT, 40, 0, "what it shows" });

KDB_CMD(tour_ls, .noun = "tour", .verb = "ls", .usage = "", .schema = &tour_schema,
        .summary = "tours through the running kernel", .example = "tour")
{
    for (unsigned i = 0; i < ARRAY_SIZE(tours); i++) {
        kdb_row(k);
        kdb_put_text(k, tours[i].name);
        kdb_put_num(k, tours[i].steps);
        kdb_put_text(k, tours[i].about);
        if (kdb_row_end(k))
            break;
    }
    kdb_note(k, "-- tour NAME begins one");
    return KDB_OK;
}

static void say(struct kdb *k, const char *text)
{
    while (*text) {
        char line[128];
        unsigned length = 0;

        while (text[length] && text[length] != '\n' && length + 1u < sizeof(line)) {
            line[length] = text[length];
            length++;
        }
        line[length] = '\0';
        kdb_note(k, "%s", line);
        text += length + (text[length] == '\n');
    }
}

KDB_CMD(tour_show, .noun = "tour", .verb = "show", .usage = "NAME [STEP]",
        .summary = "one step of a tour: an explanation, and a line that shows it", .example = "tour caps 2",
        .argc_min = 1, .argc_max = 2)
{
    const struct tour *t = tours, *end = tours + ARRAY_SIZE(tours);
    uint32_t step = 1;
    enum kdb_rc rc;

    while (t < end && strcmp(t->name, k->argv[0]) != 0)
        t++;
    if (t == end)
        return kdb_fail(k, KDB_NOENT, "no tour '%s'; tour shows them", k->argv[0]);
    if (k->argc > 1 && !kdb_arg_number(k, 1, &step))
        return k->rc;
    if (step < 1 || step > t->steps)
        return kdb_fail(k, KDB_BADARG, "tour %s has steps 1 to %u", t->name, t->steps);
    kdb_note(k, "tour %s, step %u of %u", t->name, step, t->steps);
    say(k, t->step[step - 1u].text);
    kdb_note(k, "== %s", t->step[step - 1u].line);
    rc = kdb_sub(k, t->step[step - 1u].line);
    if (step < t->steps)
        kdb_note(k, "-- go on with: tour %s %u", t->name, step + 1u);
    return rc;
}
