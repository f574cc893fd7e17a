// SPDX-License-Identifier: MIT
/* explain: why did this access fail, or would it?  The reason is a word, the rest are facts. */
#include "kdb/engine.h"

#include <arch/paging.h>
#include "kernel/clock.h"
#include "kernel/debug/debug.h"
#include "kernel/ipc.h"
#include "kernel/kpage.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/string.h"
#include "kernel/trace.h"

static const char *detail_word(uint32_t detail)
{
    static const struct { uint8_t number; const char *word; } words[] = {
#define X(name, number, text) { number, #name },
        L4_DETAIL_LIST(X)
#undef X
    };

    for (unsigned i = 0; i < ARRAY_SIZE(words); i++)
        if (words[i].number == detail)
            return words[i].word;
    return "?";
}

static const char *op_text(uint32_t op)
{
    static const struct { uint8_t number; const char *text; } ops[] = {
#define X(name, number, text) { number, text },
        L4_FAULT_OP_LIST(X)
#undef X
    };

    for (unsigned i = 0; i < ARRAY_SIZE(ops); i++)
        if (ops[i].number == op)
            return ops[i].text;
    return "?";
}

/* What the hardware says about an address of a task. */
static void hardware_pair(struct kdb *k, const struct task *task, uint32_t address)
{
    uint32_t pde = 0, pte = 0;

    if (probe_read(NULL, (uint32_t)(uintptr_t)&task->pd[address >> SUPER_SHIFT], &pde, 4, false) !=
        4) {
        kdb_pair(k, "hardware", "the page directory cannot be read");
        return;
    }
    if (!(pde & PTE_PRESENT)) {
        kdb_pair(k, "hardware", "pde[%u] is not present", address >> SUPER_SHIFT);
    } else if (pde & PTE_SUPER) {
        kdb_pair(k, "hardware", "pde[%u] 0x%08x, a 4 MB page, %s", address >> SUPER_SHIFT, pde,
                 pde & PTE_WRITE ? "writable" : "read-only");
    } else if (probe_phys((pde & 0xfffff000u) + (address >> PAGE_SHIFT & 1023u) * 4u, &pte, 4)) {
        if (pte & PTE_PRESENT)
            kdb_pair(k, "hardware", "pte[%u] 0x%08x, %s", address >> PAGE_SHIFT & 1023u, pte,
                     pte & PTE_WRITE ? "writable" : "read-only");
        else
            kdb_pair(k, "hardware", "pte[%u] is not present", address >> PAGE_SHIFT & 1023u);
    }
}

/* The newest trace record about a name: what happened there. */
static void history_pair(struct kdb *k, const struct task *task, uint32_t space, uint32_t name)
{
    uint32_t total = trace_total();
    struct trace_record r;

    for (uint32_t n = total; n-- > 0 && kdb_tick(k) && trace_get(n, &r);) {
        uint32_t size = r.c >> 4 & 63u, mask = size >= 32 ? 0 : ~((1u << size) - 1u);

        if ((r.event != TRACE_MAP && r.event != TRACE_UNMAP) || r.b != task->obj.id ||
            (r.c >> 10 & 3u) != space || (r.c & 0xfffff000u & mask) != (name & mask))
            continue;
        kdb_pair(k, "history", "%s at record %u, %llu us ago",
                 r.event == TRACE_MAP ? "mapped" : "unmapped", n,
                 (unsigned long long)clock_to_us(kdb_now() - r.when));
        return;
    }
    kdb_pair(k, "history", "the trace knows nothing, back to record %u",
             total > TRACE_RECORDS ? total - TRACE_RECORDS : 0);
}

static void neighbour_pair(struct kdb *k, const struct task *task, uint32_t address)
{
    for (uint32_t at = min_u32(address, L4_USER_TOP) >> PAGE_SHIFT; at-- > 0 && kdb_tick(k);) {
        uint32_t entry = task->pd_shadow[at >> 10];
        const struct node *n;

        if (!entry) {
            at &= ~1023u;
            continue;
        }
        n = mem_lookup(task, at << PAGE_SHIFT);
        if (n && kdb_node_ok(n)) {
            char letters[5];

            kdb_rights_text(letters, L4_TYPE_MEMORY, node_rights(n));
            kdb_pair(k, "nearest below", "ends at 0x%08x, %s",
                     node_base(n) + ((1u << min_u32(node_size(n), 31)) - 1u), letters);
            return;
        }
    }
    kdb_pair(k, "nearest below", "none");
}

/* The state of the page; the reason why `access` is refused, L4_D_NONE if it is not. */
static enum l4_detail explain_memory(struct kdb *k, const struct task *task, uint32_t address,
                                     uint32_t access)
{
    char letters[5], slot[40];
    const struct node *n;
    uint32_t phys, frame;

    if (address >= L4_USER_TOP) {
        kdb_pair(k, "space", "the kernel's part, above 0x%08x", L4_USER_TOP);
        return L4_D_KERNEL_RANGE;
    }
    hardware_pair(k, task, address);
    n = mem_lookup(task, address);
    if (!n) {
        kdb_pair(k, "space", "tk%u has no mapping there%s", task->obj.id,
                 space_backed(task, L4_FPAGE(address, L4_SPACE_MEM, L4_NAME_SHIFT, 0))
                     ? ""
                     : ", nor a page table");
        neighbour_pair(k, task, address);
        return L4_D_EMPTY;
    }
    if (!kdb_node_ok(n)) {
        kdb_fail(k, KDB_CORRUPT, "the shadow leads to 0x%08x, which is no node",
                 (unsigned)(uintptr_t)n);
        return L4_D_EMPTY;
    }
    kdb_rights_text(letters, L4_TYPE_MEMORY, node_rights(n));
    kdb_slot_text(slot, sizeof(slot), n);
    phys = n->obj + (address - node_base(n));
    kdb_pair(k, "space", "%s %s, phys 0x%08x%s%s", slot, letters, phys,
             n->flags & NODE_DEVICE ? ", device" : "",
             n->flags & NODE_VIEW ? ", through a view" : "");
    frame = phys >> PAGE_SHIFT;
    if (frame < frame_count && frame_table[frame].kp > FRAME_DEVICE) {
        char id[16];

        kdb_object_text(id, sizeof(id), (const struct kobj *)(uintptr_t)frame_table[frame].kp);
        kdb_pair(k, "frame", "converted: it belongs to kernel page %s", id);
        return L4_D_CONVERTED;
    }
    if (access & ~node_rights(n)) {
        /* IA-32 cannot refuse a fetch of what may be read [G3]. */
        if (access == L4_X && (node_rights(n) & L4_R))
            return L4_D_NONE;
        return L4_D_RIGHTS;
    }
    return L4_D_NONE;
}

/* Who is asked about the fault, and can he answer? */
static void handler_pairs(struct kdb *k, const struct thread *t)
{
    uint32_t word = t->tcr[L4_TCR_FAULT_SND];
    const struct node *n =
        t->task && word != L4_CAP_INVALID ? cap_lookup(t->task, word >> L4_NAME_SHIFT) : NULL;
    char object[16], slot[40], letters[5];
    unsigned receivers = 0, waiting = 0;
    const struct kobj *o;

    if (word == L4_CAP_INVALID || t->tcr[L4_TCR_FAULT_RCV] == L4_CAP_INVALID) {
        kdb_pair(k, "handler", "none: TCR 4 and 5 do not name one");
        return;
    }
    if (!n || !kdb_node_ok(n) || !kdb_object_ok(node_kobj(n), 0)) {
        kdb_pair(k, "handler", "nothing at cap/0x%x (TCR 4)", word >> L4_NAME_SHIFT);
        return;
    }
    o = node_kobj(n);
    kdb_object_text(object, sizeof(object), o);
    kdb_slot_text(slot, sizeof(slot), n);
    kdb_rights_text(letters, o->type, node_rights(n));
    kdb_pair(k, "handler", "%s %s via %s", object, letters, slot);
    if (o->type != L4_TYPE_ENDPOINT)
        return;
    for (const struct node *m = &o->root; m; m = kdb_next_node(k, &o->root, m)) {
        if (!m->task || !(node_rights(m) & L4_R))
            continue;
        for (const struct thread *u = m->task->threads; u && kdb_tick(k); u = u->task_next) {
            if (!kdb_object_ok(&u->obj, L4_TYPE_THREAD))
                break;
            receivers++;
            waiting += u->state == THREAD_RECV && u->ipc->endpoint && &u->ipc->endpoint->obj == o;
        }
    }
    kdb_pair(k, "pager", "%u threads could receive there, %u wait there now (see why th%u)",
             receivers, waiting, t->obj.id);
}

static enum kdb_rc explain_access(struct kdb *k)
{
    const struct task *task;
    uint32_t address, access = L4_R;
    enum l4_detail reason;
    struct kobj *o;

    if (strchr(k->argv[0], ':')) { /* tk5:0x1000 [w] */
        if (!kdb_arg_address(k, 0, &task, &address))
            return k->rc;
        if (k->argc > 1 && !kdb_rights_parse(L4_TYPE_MEMORY, k->argv[1], &access))
            return kdb_fail(k, KDB_BADARG, "access is r, w or x");
    } else {
        o = kdb_arg_object(k, 0, L4_TYPE_TASK);
        task = (const struct task *)(const void *)o;
        if (!o)
            return k->rc;
        if (k->argc < 2 || !kdb_arg_number(k, 1, &address))
            return k->rc ? k->rc : kdb_fail(k, KDB_USAGE, "explain tkN ADDRESS [r|w|x]");
        if (k->argc > 2 && !kdb_rights_parse(L4_TYPE_MEMORY, k->argv[2], &access))
            return kdb_fail(k, KDB_BADARG, "access is r, w or x");
    }
    reason = explain_memory(k, task, address, access);
    history_pair(k, task, L4_SPACE_MEM, address);
    kdb_pair(k, "reason", "%s", reason == L4_D_NONE ? "ALLOWED" : detail_word(reason));
    return k->rc;
}

static enum kdb_rc explain_slot(struct kdb *k)
{
    struct kdb_slot slot;
    const struct node *n;
    char object[16], letters[5];
    bool backed;

    if (!kdb_arg_slot(k, 0, &slot))
        return k->rc;
    if (slot.space == L4_SPACE_MEM) {
        enum l4_detail reason = explain_memory(k, slot.task, slot.name, L4_R);

        history_pair(k, slot.task, slot.space, slot.name);
        kdb_pair(k, "reason", "%s", reason == L4_D_NONE ? "ALLOWED" : detail_word(reason));
        return k->rc;
    }
    backed = space_backed(slot.task, L4_FPAGE(slot.name, slot.space, L4_NAME_SHIFT, 0));
    n = slot.space == L4_SPACE_CAP ? cap_lookup(slot.task, slot.name >> L4_NAME_SHIFT)
                                   : io_lookup(slot.task, slot.name >> L4_NAME_SHIFT);
    if (n && kdb_node_ok(n)) {
        kdb_rights_text(letters, kdb_node_type(n), node_rights(n));
        kdb_what_text(object, sizeof(object), n);
        kdb_pair(k, "space", "%s %s", object, letters);
        if (slot.space == L4_SPACE_CAP && kdb_object_ok(node_kobj(n), 0) &&
            kobj_is_dying(node_kobj(n)))
            kdb_pair(k, "object", "is being destroyed: look-ups answer EMPTY");
    } else {
        kdb_pair(k, "space", n ? "!node" : backed ? "nothing there" : "no capability table there");
    }
    history_pair(k, slot.task, slot.space, slot.name);
    kdb_pair(k, "reason", "%s", n ? "ALLOWED" : backed ? "EMPTY" : "NO_CAPTABLE");
    return KDB_OK;
}

/* The thread of the youngest fault in the trace that still lives, or NULL. */
static const struct thread *last_faulted(void)
{
    struct trace_record r;

    for (uint32_t n = trace_total(); n-- > 0 && trace_get(n, &r);) {
        const struct kobj *o = r.event == TRACE_FAULT ? kobj_by_id(r.thread) : NULL;

        if (o && o->type == L4_TYPE_THREAD)
            return (const struct thread *)(const void *)o;
    }
    return NULL;
}

static enum kdb_rc explain_fault(struct kdb *k)
{
    const struct thread *t = kdb_context();
    uint32_t op, reason, need;
    char letters[5];

    if (k->argc > 1)
        t = (const struct thread *)(const void *)kdb_arg_object(k, 1, L4_TYPE_THREAD);
    else if (!t || !t->fault_w0)
        t = last_faulted();
    if (!t)
        return k->rc ? k->rc
                     : kdb_fail(k, KDB_NOENT, "the trace knows of no fault; explain fault thN");
    if (!t->fault_w0)
        return kdb_fail(k, KDB_NOENT, "th%u has had no capability fault", t->obj.id);
    op = t->fault_w0 >> 16 & 0xffu;
    reason = t->fault_w0 >> 8 & 15u;
    need = t->fault_w0 & 15u;
    kdb_rights_text(letters, op < 0x10 ? (uint32_t)L4_TYPE_MEMORY : t->fault_w0 >> 4 & 15u, need);
    kdb_pair(k, "thread", "th%u at 0x%08x", t->obj.id, t->fault_ip);
    kdb_pair(k, "operation", "%s, needs %s", op_text(op), letters);
    if (op < 0x10) {
        kdb_pair(k, "name", "memory 0x%08x", t->fault_name);
        if (t->task) {
            explain_memory(k, t->task, t->fault_name, need);
            history_pair(k, t->task, L4_SPACE_MEM, t->fault_name);
        }
    } else if (op == L4_OP_IO) {
        kdb_pair(k, "name", "port 0x%x", t->fault_name >> L4_NAME_SHIFT);
        if (t->task)
            history_pair(k, t->task, L4_SPACE_IO, t->fault_name & 0xfffff000u);
    } else {
        kdb_pair(k, "name", "cap/0x%x, parameter word %u", t->fault_name >> L4_NAME_SHIFT,
                 t->fault_name & 0xfffu);
        kdb_pair(k, "expected", "%s", kdb_type_name(t->fault_w0 >> 4 & 15u));
        if (t->task)
            history_pair(k, t->task, L4_SPACE_CAP, t->fault_name & 0xfffff000u);
    }
    handler_pairs(k, t);
    kdb_pair(k, "now", "%s%s", thread_state_name(t->state),
             t->nested && kdb_sound(t->ipc, sizeof(*t->ipc)) && t->ipc->kind == IPC_FAULT
                 ? ", the fault is not answered yet"
                 : "");
    kdb_pair(k, "reason", "%s", detail_word(reason));
    return KDB_OK;
}

KDB_CMD(explain, .noun = "explain", .verb = "", .usage = "tkN ADDRESS [r|w|x] | SLOT | fault [thN]",
        .schema = &kdb_pairs, .summary = "why an access is refused", .example = "explain fault th2",
        .argc_min = 1, .argc_max = 3)
{
    if (strcmp(k->argv[0], "fault") == 0)
        return explain_fault(k);
    if (strchr(k->argv[0], '/'))
        return explain_slot(k);
    return explain_access(k);
}
