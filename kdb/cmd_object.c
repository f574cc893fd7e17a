// SPDX-License-Identifier: MIT
/* Kernel objects: obj, task, thread, ep, name. */
#include "kdb/engine.h"

#include "kernel/boot.h"
#include "kernel/clock.h"
#include "kernel/cpu.h"
#include "kernel/debug/debug.h"
#include "kernel/ipc.h"
#include "kernel/kpage.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/string.h"

static uint64_t since_us(uint64_t when)
{
    uint64_t now = kdb_now();

    return when && now > when ? clock_to_us(now - when) : 0;
}

const struct kpage *kdb_page_of(const void *p)
{
    uint32_t frame = virt_to_phys(p) >> PAGE_SHIFT;

    if (!frame_table || frame >= frame_count || frame_table[frame].kp <= FRAME_DEVICE)
        return NULL;
    return (const struct kpage *)(uintptr_t)frame_table[frame].kp;
}

bool kdb_is_boot_page(const struct kpage *kp)
{
    return kdb_sound(kp, sizeof(*kp)) && !kp->obj.root.task && !kobj_is_dying(&kp->obj);
}

/* The same without the pages of boot data, which have no name anywhere. */
static const struct kpage *page_of(const void *p)
{
    const struct kpage *kp = kdb_page_of(p);

    return kp && !kdb_is_boot_page(kp) ? kp : NULL;
}

/* How many named capabilities refer to the object. */
static uint32_t count_holders(struct kdb *k, const struct kobj *o)
{
    uint32_t n = o->root.task != NULL;

    for (const struct node *m = kdb_next_node(k, &o->root, &o->root); m;
         m = kdb_next_node(k, &o->root, m))
        n += m->task != NULL;
    return n;
}

const char *kdb_object_state(const struct kobj *o)
{
    if (kobj_is_dying(o))
        return "dying";
    return o->flags & KOBJ_STATIC ? "static" : "live";
}

/* ---- obj ------------------------------------------------------------------------------------- */

KDB_SCHEMA(obj_schema, "obj.ls",
    { "id", K_ID, 6, COL_DST, "object id" },
    { "name", K_NAME, 13, 0, "name, if given" },
    { "type", K_TEXT, 11, 0, "object type" },
    { "addr", K_HEX, 10, COL_VOLATILE, "kernel address" },
    { "in", K_ID, 6, COL_SRC, "kernel page that it stands in; none: boot data" },
    { "caps", K_NUM, 5, 0, "capabilities that refer to it" },
    { "state", K_TEXT, 6, 0, "live, static or dying" });

static bool obj_row(struct kdb *k, const struct kobj *o)
{
    const struct kpage *page = page_of(o);

    kdb_row(k);
    kdb_put_object(k, o);
    kdb_put_name(k, o->id);
    kdb_put_text(k, kdb_type_name(o->type));
    kdb_put_num(k, (uint32_t)(uintptr_t)o);
    kdb_put_object(k, page ? &page->obj : NULL);
    if (kdb_object_ok(o, 0))
        kdb_put_num(k, count_holders(k, o));
    else
        kdb_put_bad(k, "head");
    kdb_put_text(k, kdb_object_state(o));
    return kdb_row_end(k);
}

KDB_CMD(obj_ls, .noun = "obj", .verb = "ls", .usage = "[type=T] [in=kpN] [name=N]",
        .schema = &obj_schema, .summary = "all kernel objects",
        .example = "obj ls type=thread sort=id")
{
    for (struct kobj *o = kdb_next_object(k, NULL, 0); o; o = kdb_next_object(k, o, 0))
        if (obj_row(k, o))
            break;
    return KDB_OK;
}

KDB_CMD(obj_show, .noun = "obj", .verb = "show", .usage = "ID...", .schema = &obj_schema,
        .summary = "some kernel objects", .example = "obj show th2", .argc_min = 1,
        .argc_max = KDB_ARGS)
{
    for (unsigned i = 0; i < k->argc; i++) {
        struct kobj *o = kdb_arg_object(k, i, 0);

        if (!o)
            return k->rc;
        if (obj_row(k, o))
            break;
    }
    return KDB_OK;
}

KDB_CMD(name, .noun = "name", .verb = "", .usage = "ID TEXT",
        .summary = "give an object a name ('' removes it)", .example = "name th2 boot",
        .effect = KE_DBG, .argc_min = 2, .argc_max = 2)
{
    struct kobj *o = kdb_arg_object(k, 0, 0);

    if (!o)
        return k->rc;
    if (!object_name_set(o->id, k->argv[1], (unsigned)strlen(k->argv[1])))
        return kdb_fail(k, KDB_BADARG, "a name has at most %u characters", OBJECT_NAME_MAX);
    return KDB_OK;
}

/* ---- task ------------------------------------------------------------------------------------ */

KDB_SCHEMA(task_schema, "task.ls",
    { "id", K_ID, 6, 0, "object id" },
    { "name", K_NAME, 13, 0, "name, if given" },
    { "threads", K_NUM, 7, 0, "threads bound to it" },
    { "caps", K_NUM, 6, 0, "capabilities in its capability space" },
    { "pages", K_NUM, 6, 0, "mappings in its memory space (4 KB or 4 MB)" },
    { "ports", K_NUM, 6, 0, "IO ports it may use" },
    { "captables", K_NUM, 9, 0, "capability tables" },
    { "pagetables", K_NUM, 10, 0, "page tables with node shadow" },
    { "state", K_TEXT, 6, 0, "live, static or dying" });

struct task_counts { uint32_t threads, caps, pages, ports, captables, pagetables; bool broken; };

static void count_table(struct kdb *k, struct node *const *table, uint32_t *n,
                        struct task_counts *c)
{
    if (!kdb_sound(table, PAGE_SIZE)) {
        c->broken = true;
        return;
    }
    for (unsigned i = 0; i < 1024; i++)
        *n += table[i] != NULL;
    kdb_tick(k);
}

static void count_task(struct kdb *k, const struct task *t, struct task_counts *c)
{
    *c = (struct task_counts){ 0 };
    if (!kdb_sound(t->cap_dir, PAGE_SIZE) || !kdb_sound(t->pd_shadow, PAGE_SIZE)) {
        c->broken = true;
        return;
    }
    for (unsigned i = 0; i < 1024; i++) {
        uint32_t entry = i < USER_ENTRIES ? t->pd_shadow[i] : 0;

        if (t->cap_dir[i]) {
            c->captables++;
            count_table(k, t->cap_dir[i], &c->caps, c);
        }
        if (entry & 1u) {
            c->pages++;
        } else if (entry) {
            c->pagetables++;
            count_table(k, (struct node *const *)(uintptr_t)entry, &c->pages, c);
        }
    }
    for (const struct node *n = io_first(t); n && kdb_tick(k); n = io_next(t, n)) {
        if (!kdb_node_ok(n)) {
            c->broken = true;
            break;
        }
        c->ports += 1u << min_u32(node_size(n) - L4_NAME_SHIFT, 16);
    }
    for (const struct thread *th = t->threads; th && kdb_tick(k); th = th->task_next) {
        if (!kdb_object_ok(&th->obj, L4_TYPE_THREAD)) {
            c->broken = true;
            break;
        }
        c->threads++;
    }
}

KDB_CMD(task_ls, .noun = "task", .verb = "ls", .usage = "[threads>0] ...", .schema = &task_schema,
        .summary = "tasks", .example = "task")
{
    struct task_counts c;

    for (struct kobj *o = kdb_next_object(k, NULL, L4_TYPE_TASK); o;
         o = kdb_next_object(k, o, L4_TYPE_TASK)) {
        count_task(k, (const struct task *)(const void *)o, &c);
        kdb_row(k);
        kdb_put_object(k, o);
        kdb_put_name(k, o->id);
        kdb_put_num(k, c.threads);
        if (c.broken)
            kdb_put_bad(k, "%u+", c.caps);
        else
            kdb_put_num(k, c.caps);
        kdb_put_num(k, c.pages);
        kdb_put_num(k, c.ports);
        kdb_put_num(k, c.captables);
        kdb_put_num(k, c.pagetables);
        kdb_put_text(k, kdb_object_state(o));
        if (kdb_row_end(k))
            break;
    }
    return KDB_OK;
}

/* The first capabilities that refer to an object: `held by`. */
static void holders_pair(struct kdb *k, const struct kobj *o)
{
    char text[200], slot[40], letters[5];
    unsigned used = 0, more = 0;

    text[0] = '\0';
    for (const struct node *n = &o->root; n; n = kdb_next_node(k, &o->root, n)) {
        if (!n->task)
            continue;
        if (used > 140) {
            more++;
            continue;
        }
        kdb_slot_text(slot, sizeof(slot), n);
        kdb_rights_text(letters, o->type, node_rights(n));
        used += fmt_buffer(text + used, sizeof(text) - used, "%s%s %s", used ? "  " : "", slot,
                           letters);
    }
    if (more)
        kdb_pair(k, "held by", "%s  and %u more", text, more);
    else
        kdb_pair(k, "held by", "%s", used ? text : "-");
}

static void head_pairs(struct kdb *k, const struct kobj *o)
{
    char id[16], in[16];
    const char *name = object_name(o->id);
    const struct kpage *page = page_of(o);

    kdb_object_text(id, sizeof(id), o);
    kdb_pair(k, "id", "%s", id);
    kdb_pair(k, "name", "%s%s", name ? "@" : "-", name ? name : "");
    kdb_pair(k, "addr", "0x%08x", (unsigned)(uintptr_t)o);
    if (page)
        kdb_object_text(in, sizeof(in), &page->obj);
    kdb_pair(k, "in", "%s", page ? in : "boot data");
    kdb_pair(k, "state", "%s", kdb_object_state(o));
}

KDB_CMD(task_show, .noun = "task", .verb = "show", .usage = "tkN", .schema = &kdb_pairs,
        .summary = "one task", .example = "task show tk1", .argc_min = 1, .argc_max = 1)
{
    struct kobj *o = kdb_arg_object(k, 0, L4_TYPE_TASK);
    const struct task *t = (const struct task *)(const void *)o;
    char list[160];
    unsigned used = 0, more = 0;
    struct task_counts c;

    if (!o)
        return k->rc;
    head_pairs(k, o);
    count_task(k, t, &c);
    kdb_pair(k, "caps", "%u in %u tables", c.caps, c.captables);
    kdb_pair(k, "memory", "%u mappings, %u page tables, directory 0x%08x", c.pages, c.pagetables,
             t->pd_phys);
    kdb_pair(k, "io", "%u ports", c.ports);
    list[0] = '\0';
    for (const struct thread *th = t->threads; th && kdb_tick(k); th = th->task_next) {
        if (!kdb_object_ok(&th->obj, L4_TYPE_THREAD))
            return kdb_fail(k, KDB_CORRUPT, "thread list leads to 0x%08x", (unsigned)(uintptr_t)th);
        if (used > 120)
            more++;
        else
            used += fmt_buffer(list + used, sizeof(list) - used, "%sth%u %s", used ? "  " : "",
                               th->obj.id, thread_state_name(th->state));
    }
    if (more)
        kdb_pair(k, "threads", "%s  and %u more", list, more);
    else
        kdb_pair(k, "threads", "%s", used ? list : "-");
    holders_pair(k, o);
    return c.broken ? kdb_fail(k, KDB_CORRUPT, "a table of the task cannot be read") : KDB_OK;
}

/* ---- thread ---------------------------------------------------------------------------------- */

KDB_SCHEMA(thread_schema, "thread.ls",
    { "id", K_ID, 6, COL_SRC, "object id" },
    { "name", K_NAME, 13, 0, "name, if given" },
    { "task", K_ID, 6, 0, "task it is bound to" },
    { "state", K_TEXT, 12, 0, "what it does: ready, ipc-send, fault-recv, halted, ..." },
    { "prio", K_NUM, 4, 0, "priority of its present reservation" },
    { "res", K_ID, 6, 0, "present reservation" },
    { "on", K_ID, 6, COL_DST, "endpoint or partner it waits for" },
    { "since", K_US, 8, COL_VOLATILE, "how long it has been blocked" },
    { "tmo", K_US, 8, COL_VOLATILE, "time left until the timeout" },
    { "ip", K_HEX, 10, COL_WIDE, "user instruction pointer" },
    { "switches", K_NUM, 8, COL_WIDE | COL_VOLATILE, "how often it got the CPU" });

/* One word for what a thread does, from its state and the kind of its IPC. */
static void activity(char *to, unsigned size, const struct thread *t)
{
    static const char *const kinds[] = { "ipc", "fault", "exc", "start", "irq" };
    const char *kind = kdb_sound(t->ipc, sizeof(*t->ipc)) && t->ipc->kind < ARRAY_SIZE(kinds)
                           ? kinds[t->ipc->kind] : "?";

    switch (t->state) {
    case THREAD_HALTED:
        fmt_buffer(to, size, "halted");
        break;
    case THREAD_READY:
        fmt_buffer(to, size, "%s",
                   t->debug_halt                  ? "stopped"
                       : t == this_cpu()->current ? "running"
                                                  : "ready");
        break;
    case THREAD_SEND:
        fmt_buffer(to, size, "%s-send", kind);
        break;
    case THREAD_RECV:
        fmt_buffer(to, size, "%s-recv", kind);
        break;
    case THREAD_XFER:
        fmt_buffer(to, size, "%s-xfer", kind);
        break;
    default:
        fmt_buffer(to, size, "!%u", t->state);
        break;
    }
}

static const struct kobj *waits_on(const struct thread *t)
{
    if (!kdb_sound(t->ipc, sizeof(*t->ipc)))
        return NULL;
    if ((t->state == THREAD_SEND || t->state == THREAD_RECV) && t->ipc->endpoint)
        return &t->ipc->endpoint->obj;
    if (t->state == THREAD_XFER && t->ipc->partner)
        return &t->ipc->partner->obj;
    return NULL;
}

static void put_left(struct kdb *k, const struct deadline *d)
{
    uint64_t now = kdb_now();

    if (!deadline_is_set(d))
        kdb_put_null(k);
    else
        kdb_put_num(k, d->when > now ? clock_to_us(d->when - now) : 0);
}

static bool thread_row(struct kdb *k, const struct thread *t)
{
    char state[20];
    bool resv_ok = t->resv && kdb_object_ok(&t->resv->obj, L4_TYPE_RESERVATION);
    bool blocked = t->state >= THREAD_SEND && t->state <= THREAD_XFER;

    activity(state, sizeof(state), t);
    kdb_row(k);
    kdb_put_object(k, &t->obj);
    kdb_put_name(k, t->obj.id);
    kdb_put_object(k, t->task ? &t->task->obj : NULL);
    if (state[0] == '!')
        kdb_put_bad(k, "%s", state + 1);
    else
        kdb_put_text(k, state);
    if (resv_ok)
        kdb_put_num(k, t->resv->prio);
    else
        kdb_put_null(k);
    kdb_put_object(k, t->resv ? &t->resv->obj : NULL);
    kdb_put_object(k, waits_on(t));
    if (blocked && t->blocked_since)
        kdb_put_num(k, since_us(t->blocked_since));
    else
        kdb_put_null(k);
    put_left(k, &t->timeout);
    if (t->hardware)
        kdb_put_null(k);
    else
        kdb_put_num(k, t->frame.eip);
    kdb_put_num(k, t->switches);
    return kdb_row_end(k);
}

KDB_CMD(thread_ls, .noun = "thread", .verb = "ls", .alias = "t",
        .usage = "[state=S] [task=tkN] [prio>=N] [-a]", .schema = &thread_schema,
        .summary = "threads; -a: also interrupt lines that nobody uses",
        .example = "thread state=ready")
{
    for (struct kobj *o = kdb_next_object(k, NULL, L4_TYPE_THREAD); o;
         o = kdb_next_object(k, o, L4_TYPE_THREAD)) {
        const struct thread *t = (const struct thread *)(const void *)o;

        if (t->hardware && !t->task && !k->all)
            continue;
        if (thread_row(k, t))
            break;
    }
    return KDB_OK;
}

static void handler_pair(struct kdb *k, const struct thread *t, const char *what, unsigned tcr)
{
    uint32_t word = t->tcr[tcr];
    const struct node *n;
    char slot[40], object[16], letters[5];

    if (word == L4_CAP_INVALID) {
        kdb_pair(k, what, "-");
        return;
    }
    n = t->task ? cap_lookup(t->task, word >> L4_NAME_SHIFT) : NULL;
    if (!n || !kdb_node_ok(n)) {
        kdb_pair(k, what, "cap/0x%x: nothing there", word >> L4_NAME_SHIFT);
        return;
    }
    kdb_slot_text(slot, sizeof(slot), n);
    kdb_object_text(object, sizeof(object), node_kobj(n));
    kdb_rights_text(letters, kdb_node_type(n), node_rights(n));
    kdb_pair(k, what, "%s %s via %s", object, letters, slot);
}

/* The name in a capability word; "-": none. */
static void name_text(char *to, unsigned size, uint32_t word)
{
    if (word >> L4_NAME_SHIFT == L4_CAP_INVALID >> L4_NAME_SHIFT)
        fmt_buffer(to, size, "-");
    else
        fmt_buffer(to, size, "cap/0x%x", word >> L4_NAME_SHIFT);
}

static void ipc_pair(struct kdb *k, const struct thread *t)
{
    const struct ipc *i = t->ipc;
    char on[16] = "-", send[16], recv[16];
    const struct kobj *o = waits_on(t);

    if (!kdb_sound(i, sizeof(*i))) {
        kdb_pair(k, "ipc", "!0x%08x", (unsigned)(uintptr_t)i);
        return;
    }
    if (o)
        kdb_object_text(on, sizeof(on), o);
    name_text(send, sizeof(send), i->send);
    name_text(recv, sizeof(recv), i->recv & L4_CAP_INVALID);
    kdb_pair(k, "ipc",
             "on %s  send %s recv %s  words %u items %u  receives %u words %u items%s", on,
             send, recv, i->sc, i->st, i->rc, i->rt,
             i->sent ? "  send phase over" : "");
    if (i->partner)
        kdb_pair(k, "partner", "th%u",
                 kdb_object_ok(&i->partner->obj, L4_TYPE_THREAD) ? i->partner->obj.id : 0);
}

static void resv_pair(struct kdb *k, const struct thread *t)
{
    char list[120];
    unsigned used = 0;

    list[0] = '\0';
    for (const struct resv *r = t->resv_list; r && used < 100 && kdb_tick(k); r = r->thread_next) {
        if (!kdb_object_ok(&r->obj, L4_TYPE_RESERVATION)) {
            used += fmt_buffer(list + used, sizeof(list) - used, " !0x%x", (unsigned)(uintptr_t)r);
            break;
        }
        used += fmt_buffer(list + used, sizeof(list) - used, "%srs%u prio %u%s", used ? "  " : "",
                           r->obj.id, r->prio, r == t->resv ? "*" : "");
    }
    kdb_pair(k, "reservations", "%s", used ? list : "-");
}

/* What a thread that was interrupted in the kernel goes on with, and how far it has come. */
static void progress_pairs(struct kdb *k, const struct thread *t)
{
    const struct kroom *room = &t->map.room;
    const char *symbol = t->cont ? sym_find((uint32_t)(uintptr_t)t->cont, NULL) : NULL;

    if (!t->cont)
        return;
    kdb_pair(k, "goes on", "in %s", symbol ? symbol : "?");
    if (t->revoke.active)
        kdb_pair(k, "revocation", "pass %u, takes 0x%x", t->revoke.pass, t->revoke.mask);
    if (t->syscall && (t->frame.w[0] & 15u) == L4_SYS_UNMAP) {
        kdb_pair(k, "flexpage", "%u, name %u in it", t->names.index, t->names.offset);
        return;
    }
    if (t->syscall && (t->frame.w[0] & 15u) == L4_SYS_IPC)
        kdb_pair(k, "item", "%u of %u, name %u in it", t->map.item, t->map.count, t->map.offset);
    for (unsigned i = 0; i < ROOM_COUNT; i++)
        if (room->started & 1u << i)
            kdb_pair(k, "search", "for kernel memory: at name %u, kp%u, frame %u", room->at[i].slot, room->at[i].id,
                     room->at[i].frame);
}

KDB_CMD(thread_show, .noun = "thread", .verb = "show", .alias = "t", .usage = "thN",
        .schema = &kdb_pairs, .summary = "one thread: state, progress of an interrupted call, IPC, handlers, last fault",
        .example = "thread show th2", .argc_min = 1, .argc_max = 1)
{
    struct kobj *o = kdb_arg_object(k, 0, L4_TYPE_THREAD);
    const struct thread *t = (const struct thread *)(const void *)o;
    char state[20], task[16] = "-";

    if (!o)
        return k->rc;
    head_pairs(k, o);
    if (t->task)
        kdb_object_text(task, sizeof(task), &t->task->obj);
    activity(state, sizeof(state), t);
    kdb_pair(k, "task", "%s", task);
    if (t->state == THREAD_HALTED)
        kdb_pair(k, "does", "halted: %s", thread_halt_name(t->halt_reason));
    else
        kdb_pair(k, "does", "%s%s%s", state, t->halt_pending ? ", will halt" : "",
                 t->nested ? ", nested" : "");
    resv_pair(k, t);
    if (t->hardware) {
        kdb_pair(k, "line", "irq %u, %u", t->irq_line, t->irq_state);
    } else {
        kdb_pair(k, "user", "eip 0x%08x esp 0x%08x eflags 0x%08x", t->frame.eip, t->frame.esp,
                 t->frame.eflags);
        kdb_pair(k, "words", "0x%08x 0x%08x 0x%08x 0x%08x 0x%08x%s", t->frame.w[0], t->frame.w[1],
                 t->frame.w[2], t->frame.w[3], t->frame.w[4],
                 t->syscall || (t->ipc->endpoint && !t->nested) ? " (in a system call)" : "");
    }
    progress_pairs(k, t);
    ipc_pair(k, t);
    handler_pair(k, t, "faults to", L4_TCR_FAULT_SND);
    handler_pair(k, t, "exceptions to", L4_TCR_EXC_SND);
    if (t->fault_w0)
        kdb_pair(k, "last fault", "m0 0x%08x name 0x%08x ip 0x%08x (see explain fault)",
                 t->fault_w0, t->fault_name, t->fault_ip);
    kdb_pair(
        k, "tcr", "user 0x%x sender 0x%x sndres 0x%x rcvres 0x%x windows 0x%x 0x%x 0x%x",
        t->tcr[L4_TCR_USER], t->tcr[L4_TCR_SENDER], t->tcr[L4_TCR_SNDRES], t->tcr[L4_TCR_RCVRES],
        t->tcr[L4_TCR_WINDOW], t->tcr[L4_TCR_WINDOW + 1], t->tcr[L4_TCR_WINDOW + 2]);
    holders_pair(k, o);
    return KDB_OK;
}

KDB_CMD(thread_use, .noun = "thread", .verb = "use", .alias = "t", .usage = "thN", .effect = KE_DBG,
        .summary = "make it the thread that regs, bt and x mean", .example = "thread use th2",
        .argc_min = 1, .argc_max = 1)
{
    struct kobj *o = kdb_arg_object(k, 0, L4_TYPE_THREAD);

    if (!o)
        return k->rc;
    kdb_session.thread = o->id;
    return KDB_OK;
}

/* ---- ep -------------------------------------------------------------------------------------- */

KDB_SCHEMA(ep_schema, "ep.ls",
    { "id", K_ID, 6, 0, "object id" },
    { "name", K_NAME, 13, 0, "name, if given" },
    { "senders", K_NUM, 7, 0, "threads queued to send" },
    { "receivers", K_NUM, 9, 0, "threads queued to receive" },
    { "caps", K_NUM, 5, 0, "capabilities that refer to it" },
    { "can-recv", K_LIST, 16, 0, "tasks that may receive here" },
    { "can-send", K_LIST, 16, COL_WIDE, "tasks that may send here" });

/* Length of the queue, walked and bounded; false if a link is broken. */
static bool queue_length(struct kdb *k, const struct endpoint *ep, uint32_t *length)
{
    const struct thread *t = ep->queue;

    *length = 0;
    if (!t)
        return true;
    do {
        if (!kdb_object_ok(&t->obj, L4_TYPE_THREAD) || !kdb_tick(k) || *length > KDB_QUEUE_MAX)
            return false;
        ++*length;
        t = t->queue_next;
    } while (t != ep->queue);
    return true;
}

/* Tasks that hold the object with all of these rights, each once in a row. */
static void put_tasks(struct kdb *k, const struct kobj *o, uint32_t need)
{
    char text[16];
    const struct task *last = NULL;
    unsigned n = 0;

    kdb_list_begin(k);
    for (const struct node *m = &o->root; m; m = kdb_next_node(k, &o->root, m)) {
        if (!m->task || m->task == last || (node_rights(m) & need) != need)
            continue;
        last = m->task;
        if (n++ == 8) {
            kdb_list_add(k, "...");
            break;
        }
        kdb_object_text(text, sizeof(text), &m->task->obj);
        kdb_list_add(k, text);
    }
    kdb_list_end(k);
}

static bool ep_row(struct kdb *k, const struct endpoint *ep)
{
    uint32_t length;
    bool sound = queue_length(k, ep, &length);

    kdb_row(k);
    kdb_put_object(k, &ep->obj);
    kdb_put_name(k, ep->obj.id);
    for (unsigned receivers = 0; receivers < 2; receivers++) {
        if (!sound)
            kdb_put_bad(k, "queue");
        else
            kdb_put_num(k, (ep->senders == 0) == (receivers == 1) ? length : 0);
    }
    kdb_put_num(k, count_holders(k, &ep->obj));
    put_tasks(k, &ep->obj, L4_R);
    put_tasks(k, &ep->obj, L4_W);
    return kdb_row_end(k);
}

KDB_CMD(ep_ls, .noun = "ep", .verb = "ls", .alias = "e", .usage = "[senders>0] [can-recv=none]",
        .schema = &ep_schema, .summary = "endpoints", .example = "ep senders>0")
{
    for (struct kobj *o = kdb_next_object(k, NULL, L4_TYPE_ENDPOINT); o;
         o = kdb_next_object(k, o, L4_TYPE_ENDPOINT))
        if (ep_row(k, (const struct endpoint *)(const void *)o))
            break;
    return KDB_OK;
}

KDB_CMD(ep_show, .noun = "ep", .verb = "show", .alias = "e", .usage = "epN", .schema = &ep_schema,
        .summary = "one endpoint; its queue: ipcq ep=epN", .example = "ep show ep16", .argc_min = 1,
        .argc_max = 1)
{
    struct kobj *o = kdb_arg_object(k, 0, L4_TYPE_ENDPOINT);

    if (!o)
        return k->rc;
    k->verbose = true;
    ep_row(k, (const struct endpoint *)(const void *)o);
    return KDB_OK;
}
