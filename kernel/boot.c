// SPDX-License-Identifier: MIT
/*
 * From a memory map and modules to sigma0's first instruction.  [M 2.7.2] [G32]
 *
 * Order: options, claims, sigma0's image, boot memory (frame table, tree roots, kernel pages for the boot
 * objects), objects, sigma0's three spaces, boot-info page.  Everything that can fail because of the
 * configuration fails in boot_fail() with the remedy in the message.  Boot objects live in kernel pages
 * that nobody can name, so kobj_next() finds them like all others; the kernel holds the roots of
 * memory, ports, CPU and interrupt threads, so sigma0 can lose them but never destroy them [G26].
 */
#include "kernel/boot.h"

#include <arch/console.h>
#include <arch/cpu.h>
#include <arch/paging.h>
#include "kernel/boot_mem.h"
#include "kernel/clock.h"
#include "kernel/cpu.h"
#include "kernel/debug/debug.h"
#include "kernel/irq.h"
#include "kernel/kpage.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/string.h"
#include "kernel/mapdb.h"
#include "kernel/resv.h"
#include "kernel/sched.h"
#include "kernel/task.h"
#include "kernel/thread.h"

#define OPTIONS_MAX    1024u
#define STRINGS_MAX    2048u
#define BOOT_KPAGES    32u
#define INITIAL_KPAGES 2u   /* M 2.7.2: at least what it takes to convert more */
#define INITIAL_FRAMES 32u
#define KPAGE_FRAMES   1024u
#define IO_SPACE_BITS  28u
#define EXIT_BOOT_FAILED 2u
#define SIGMA0_LOWEST  0x00400000u

struct node boot_io_root;
struct node *boot_mem_roots;
uint32_t boot_mem_root_count;
struct kpage *boot_kpage;
struct task *sigma0_task;
struct resv *boot_root_resv;

static char options[OPTIONS_MAX];
static struct kpage boot_kpages[BOOT_KPAGES];
static unsigned boot_kpage_count;
static struct kpage *initial_kpages[INITIAL_KPAGES];
/* The loader's strings may lie anywhere: they are copied before any memory is used. */
static char strings[STRINGS_MAX];
static uint32_t string_bytes;
static uint16_t string_at[BOOT_MODULES_MAX];

/* ---- options and failure ---- */

/* The end of the word that starts at `from`. */
static const char *word_end(const char *from)
{
    while (*from && *from != ' ' && *from != '\t')
        from++;
    return from;
}

const char *boot_option(const char *name, char *buffer, unsigned size)
{
    size_t length = strlen(name);
    const char *at = options;

    while (*at) {
        const char *end = word_end(at);

        if ((size_t)(end - at) >= length && strncmp(at, name, length) == 0 &&
            (at + length == end || at[length] == '=')) {
            unsigned n = 0;

            at += length;
            if (at < end)
                at++;
            while (at < end && n + 1 < size)
                buffer[n++] = *at++;
            if (size)
                buffer[n] = '\0';
            return buffer;
        }
        at = *end ? end + 1 : end;
    }
    return NULL;
}

/*
 * A misspelt option would do nothing and say nothing: unknown ones are named, wrong values refused.  A word
 * with a slash or a dot is the kernel's file name, which some loaders put in front.
 */
static void check_options(void)
{
    static const struct { const char *name, *value; } known[] = {
        { "debug", NULL }, { "kdb", NULL }, { "breakkey", NULL }, { "gdb", "wait" }, { "fault", "log" }, { "ipc", "c" }, { "exit", "" },
    };
    char word[64], value[16];

    for (const char *at = options, *end; *at; at = *end ? end + 1 : end) {
        unsigned i, n = 0, name;

        for (end = word_end(at); at + n < end && n + 1 < sizeof word; n++)
            word[n] = at[n];
        word[n] = '\0';
        if (!n || ((strchr(word, '/') || strchr(word, '.')) && !strchr(word, '=')))
            continue;
        for (name = 0; word[name] && word[name] != '='; name++)
            ;
        for (i = 0; i < ARRAY_SIZE(known); i++)
            if (strlen(known[i].name) == name && strncmp(word, known[i].name, name) == 0)
                break;
        if (i == ARRAY_SIZE(known))
            kprintf("boot: option %s is unknown and ignored\n", word);
        else if (known[i].value && strcmp(boot_option(known[i].name, value, sizeof value), known[i].value) != 0)
            boot_fail("boot option %s: use %s%s%s", word, known[i].name, *known[i].value ? "=" : "", known[i].value);
    }
}

void boot_set_options(const char *line)
{
    size_t n = 0;

    while (line && line[n] && n + 1 < sizeof options) {
        options[n] = line[n];
        n++;
    }
    options[n] = '\0';
}

void boot_fail(const char *format, ...)
{
    static char text[256];
    char value[4];
    va_list list;

    va_start(list, format);
    fmt_buffer_va(text, sizeof text, format, list);
    va_end(list);
    kprintf("boot: cannot start: %s\n", text);
    if (boot_option("exit", value, sizeof value))
        arch_debug_exit(EXIT_BOOT_FAILED);
    kprintf("boot: halted\n");
    arch_halt_forever();
}

/* ---- modules and sigma0's image ---- */

static void keep_strings(const struct boot_desc *desc)
{
    unsigned i;

    if (desc->module_count == 0)
        boot_fail("no module: the first module must be sigma0's program "
                  "(QEMU: -initrd sigma0.elf; GRUB: module /boot/sigma0.elf sigma0)");
    if (desc->module_count > BOOT_MODULES_MAX)
        boot_fail("%u modules, at most %u are possible", desc->module_count, BOOT_MODULES_MAX);
    string_bytes = 0;
    strings[string_bytes++] = '\0';
    for (i = 0; i < desc->module_count; i++) {
        const char *s = desc->modules[i].string;
        size_t length = s ? strlen(s) : 0;

        string_at[i] = 0;
        if (length == 0)
            continue;
        /* One string may use half of what is left, so that a huge one does not swallow the others. */
        if (length > (STRINGS_MAX - string_bytes) / 2u)
            length = (STRINGS_MAX - string_bytes) / 2u;
        string_at[i] = (uint16_t)string_bytes;
        memcpy(strings + string_bytes, s, length);
        string_bytes += (uint32_t)length;
        strings[string_bytes++] = '\0';
    }
}

static struct { paddr_t start, end; } module_at[BOOT_MODULES_MAX];
static unsigned module_count;

bool boot_module_get(unsigned n, paddr_t *start, paddr_t *end, const char **string)
{
    if (n >= module_count)
        return false;
    *start = module_at[n].start;
    *end = module_at[n].end;
    *string = strings + string_at[n];
    return true;
}

static void claim_modules(const struct boot_desc *desc)
{
    static char names[BOOT_MODULES_MAX][12];
    unsigned i;

    boot_mem_claim(desc->kernel_start, desc->kernel_end, BOOT_KERNEL, "the kernel");
    for (i = 0; i < desc->module_count; i++) {
        const struct boot_module *m = &desc->modules[i];

        fmt_buffer(names[i], sizeof names[i], "module %u", i);
        if (m->end < m->start || !boot_mem_is_ram(m->start, m->end))
            boot_fail("module %u (0x%x..0x%x) is not in RAM below 3 GB", i, m->start, m->end);
        boot_mem_claim(m->start, m->end, BOOT_MODULE, names[i]);
        module_at[i].start = m->start;
        module_at[i].end = m->end;
    }
    module_count = desc->module_count;
}

struct elf_header {
    uint8_t magic[4], class, data, version, pad[9];
    uint16_t type, machine;
    uint32_t version2, entry, phoff, shoff, flags;
    uint16_t ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};
struct elf_segment { uint32_t type, offset, vaddr, paddr, filesz, memsz, flags, align; };

#define ELF_EXEC     2u
#define ELF_386      3u
#define ELF_LOAD     1u
#define ELF_DYNAMIC  2u
#define ELF_INTERP   3u
#define ELF_SEGMENTS 16u

/* Validate the whole image, then copy: a refused image leaves memory untouched. */
static uint32_t load_sigma0(const struct boot_module *m)
{
    uint32_t size = m->end - m->start;
    const uint8_t *image = phys_to_virt(m->start);
    struct elf_segment segment[ELF_SEGMENTS];
    struct elf_header elf;
    bool entry_ok = false;
    unsigned i;

    if (m->end > PHYS_DIRECT_MAX)
        boot_fail("sigma0 (module 0) lies above 896 MB: load it lower");
    if (size < sizeof elf)
        boot_fail("sigma0 (module 0) is no ELF file: it has only %u bytes", size);
    memcpy(&elf, image, sizeof elf);
    if (memcmp(elf.magic, "\177ELF", 4) != 0)
        boot_fail("sigma0 (module 0) is no ELF file");
    if (elf.class != 1 || elf.data != 1 || elf.machine != ELF_386)
        boot_fail("sigma0 (module 0) is not for IA-32 (class %u, data %u, machine %u): compile it with -m32",
                  elf.class, elf.data, elf.machine);
    if (elf.type != ELF_EXEC)
        boot_fail("sigma0 (module 0) is no executable (ELF type %u): link it statically at a fixed address",
                  elf.type);
    if (elf.phentsize != sizeof segment[0] || elf.phnum == 0 || elf.phnum > ELF_SEGMENTS ||
        elf.phoff > size || elf.phnum * sizeof segment[0] > size - elf.phoff)
        boot_fail("sigma0 (module 0) is damaged: its program headers do not fit (%u of %u bytes at 0x%x)",
                  elf.phnum, elf.phentsize, elf.phoff);
    memcpy(segment, image + elf.phoff, elf.phnum * sizeof segment[0]);

    for (i = 0; i < elf.phnum; i++) {
        const struct elf_segment *s = &segment[i];
        uint32_t end = s->paddr + s->memsz;
        const char *other;

        if (s->type == ELF_DYNAMIC || s->type == ELF_INTERP)
            boot_fail("sigma0 (module 0) is dynamically linked: link it with -static");
        if (s->type != ELF_LOAD || s->memsz == 0)
            continue;
        if (s->filesz > s->memsz || s->offset > size || s->filesz > size - s->offset)
            boot_fail("sigma0 (module 0) is damaged: segment %u does not fit into the file", i);
        if (s->paddr != s->vaddr)
            boot_fail("sigma0's segment %u has virtual address 0x%x but physical address 0x%x: "
                      "link it at its load address", i, s->vaddr, s->paddr);
        if (s->paddr < SIGMA0_LOWEST || end < s->paddr || end > PHYS_DIRECT_MAX)
            boot_fail("sigma0's segment %u (0x%x..0x%x) is not between 4 MB and 896 MB: link it there",
                      i, s->paddr, end);
        if (!boot_mem_is_ram(s->paddr, end))
            boot_fail("sigma0's segment %u (0x%x..0x%x) is not in RAM: link it elsewhere or give the "
                      "machine more memory (QEMU: -m 64M)", i, s->paddr, end);
        other = boot_mem_claimed(s->paddr, end);
        if (other)
            boot_fail("sigma0's segment %u (0x%x..0x%x) overlaps %s: link sigma0 elsewhere",
                      i, s->paddr, end, other);
        boot_mem_claim(s->paddr, end, BOOT_RAM, "another segment");
        if (elf.entry >= s->paddr && elf.entry < end)
            entry_ok = true;
    }
    if (!entry_ok)
        boot_fail("sigma0's entry point 0x%x is in none of its segments", elf.entry);

    for (i = 0; i < elf.phnum; i++) {
        const struct elf_segment *s = &segment[i];
        uint8_t *to = phys_to_virt(s->paddr);

        if (s->type != ELF_LOAD || s->memsz == 0)
            continue;
        memcpy(to, image + s->offset, s->filesz);
        memset(to + s->filesz, 0, s->memsz - s->filesz);
    }
    return elf.entry;
}

/* ---- boot memory ---- */

/* Is the 4 MB block one page for sigma0?  Else *small is the number of its 4 KB pages. */
static bool block_is_super(const struct boot_desc *desc, paddr_t block, uint32_t *small)
{
    paddr_t at = block, end, limit = block + SUPER_SIZE;
    uint32_t ram = 0;

    *small = 0;
    while (at < limit) {
        enum boot_kind kind = boot_mem_kind(at, &end);

        end = min_u32(end, limit);
        if (kind == BOOT_RAM || kind == BOOT_MODULE)
            ram += (end - at) >> PAGE_SHIFT;
        if (kind != BOOT_HOLE && kind != BOOT_KERNEL)
            *small += (end - at) >> PAGE_SHIFT;
        at = end;
    }
    if (desc->superpages && ram == SUPER_SIZE / PAGE_SIZE) {
        *small = 0;
        return true;
    }
    return false;
}

/* Frames of boot kernel pages that the boot objects need, as the claims are now. */
static uint32_t frames_needed(const struct boot_desc *desc)
{
    uint32_t nodes = IRQ_LINES + 128u /* ports, CPU, boot info */, frames, small;
    unsigned block;

    frames = L4_TASK_PAGES + L4_CAPTABLE_PAGES + L4_PAGETABLE_PAGES /* boot info */ +
             (IRQ_LINES + 2u) / 2u + 4u;
    for (block = 0; block < boot_mem_root_count; block++) {
        if (block_is_super(desc, block << SUPER_SHIFT, &small)) {
            nodes++;
        } else if (small) {
            nodes += small;
            frames += L4_PAGETABLE_PAGES;
        }
    }
    return frames + nodes / L4_UNITS_USABLE + 2u;
}

static void mark_frames(void)
{
    paddr_t at = 0, limit = frame_count << PAGE_SHIFT, end;

    while (at < limit) {
        enum boot_kind kind = boot_mem_kind(at, &end);
        uint32_t owner = FRAME_USER;

        if (kind == BOOT_KERNEL)
            owner = FRAME_KERNEL;
        else if (kind == BOOT_DEVICE || kind == BOOT_HOLE)
            owner = FRAME_DEVICE;

        for (end = min_u32(end, limit); at < end; at += PAGE_SIZE)
            frame_table[at >> PAGE_SHIFT] = (struct frame){ .kp = owner, .use = FRAME_FREE };
    }
}

static void make_kpage(struct kpage *kp, paddr_t base, unsigned frames)
{
    kobj_init(&kp->obj, L4_TYPE_KPAGE);
    kp->base = base;
    kp->frames = (uint16_t)frames;
    kp->hint = 0;
    kp->converter = NULL;
    kp->conv_next = NULL;
    kpage_mark(kp);
}

static void take_memory(const struct boot_desc *desc, paddr_t *boot_info)
{
    static struct { paddr_t base; unsigned frames; } piece[BOOT_KPAGES];
    paddr_t initial, table, roots;
    uint32_t have = 0;
    unsigned i;

    frame_count = boot_mem_top(PHYS_DIRECT_MAX) >> PAGE_SHIFT;
    boot_mem_root_count = (boot_mem_top(L4_USER_TOP) + SUPER_SIZE - 1u) >> SUPER_SHIFT;
    if (frame_count == 0)
        boot_fail("the boot loader reports no memory: use one that passes a memory map");
    table = boot_mem_take((frame_count * sizeof *frame_table + PAGE_SIZE - 1u) >> PAGE_SHIFT,
                          BOOT_KERNEL, "the frame table");
    roots = boot_mem_take((boot_mem_root_count * sizeof *boot_mem_roots + PAGE_SIZE - 1u) >> PAGE_SHIFT,
                          BOOT_KERNEL, "the roots of memory");
    *boot_info = boot_mem_take(1, BOOT_KERNEL, "the boot-info page");
    initial = boot_mem_take(INITIAL_KPAGES * INITIAL_FRAMES, BOOT_INITIAL, "the initial kernel pages");
    for (boot_kpage_count = 0;; boot_kpage_count++) {
        uint32_t need = frames_needed(desc);

        i = boot_kpage_count;
        if (have >= need)
            break;
        if (i == BOOT_KPAGES)
            boot_fail("memory below 896 MB is in too many pieces for %u KB of boot objects", need * 4u);
        piece[i].base = boot_mem_take_some(min_u32(need - have, KPAGE_FRAMES), BOOT_KERNEL,
                                           "the boot objects", &piece[i].frames);
        have += piece[i].frames;
    }

    frame_table = phys_to_virt(table);
    mark_frames();
    for (i = 0; i < boot_kpage_count; i++) {
        make_kpage(&boot_kpages[i], piece[i].base, piece[i].frames);
        boot_kpages[i].obj.flags |= KOBJ_STATIC;
    }
    boot_kpage = &boot_kpages[0];
    boot_mem_roots = phys_to_virt(roots);
    memset(boot_mem_roots, 0, boot_mem_root_count * sizeof *boot_mem_roots);
    for (i = 0; i < boot_mem_root_count; i++) {
        mapdb_root(&boot_mem_roots[i], i << SUPER_SHIFT);
        boot_mem_roots[i].name = L4_FPAGE(i << SUPER_SHIFT, L4_SPACE_MEM, SUPER_SHIFT, L4_RIGHTS_ALL);
        boot_mem_roots[i].flags |= NODE_STATIC;
    }
    for (i = 0; i < INITIAL_KPAGES; i++) {
        struct kpage *kp = kmem_alloc_in(boot_kpage, L4_SIZE_KPAGE, UNIT_KPAGE);

        ASSERT(kp != NULL);
        make_kpage(kp, initial + i * INITIAL_FRAMES * PAGE_SIZE, INITIAL_FRAMES);
        initial_kpages[i] = kp;
    }
}

/* Boot objects fill one kernel page after the other; frames_needed() made sure that they fit. */
static void *alloc(unsigned size, enum unit_tag tag)
{
    unsigned i;

    for (i = 0; i < boot_kpage_count; i++) {
        void *p = kmem_alloc_in(&boot_kpages[i], size, tag);

        if (p)
            return p;
    }
    boot_fail("kernel bug: the boot objects do not fit (%u bytes)", size);
}

static void *alloc_page(enum frame_use use, struct task *owner)
{
    unsigned i;

    for (i = 0; i < boot_kpage_count; i++) {
        void *p = kmem_alloc_page_in(&boot_kpages[i], use, owner);

        if (p)
            return p;
    }
    boot_fail("kernel bug: the boot tables do not fit");
}

/* ---- sigma0's spaces ---- */

static struct task *make_task(void)
{
    struct task *task = alloc(L4_SIZE_TASK, UNIT_TASK);
    void *page[L4_TASK_PAGES];
    unsigned i;

    for (i = 0; i < L4_TASK_PAGES; i++)
        page[i] = alloc_page(task_page_use[i], task);
    kobj_init(&task->obj, L4_TYPE_TASK);
    task_init(task, page);
    task->cap_dir[0] = alloc_page(FRAME_CAPTABLE, task);
    return task;
}

/* The object's embedded root becomes sigma0's capability: sigma0 counts as the creator. */
static void enter_root(struct kobj *o, uint32_t id)
{
    o->root.name = L4_CAP_FPAGE(id, L4_RIGHTS_ALL);
    o->root.task = sigma0_task;
    space_enter(sigma0_task, &o->root);
}

/* A child of a kernel-held root. */
static struct node *enter_child(struct node *root, uint32_t obj, uint32_t name, unsigned flags)
{
    struct node *n = alloc(L4_SIZE_NODE, UNIT_NODE);

    n->obj = obj;
    n->name = name;
    n->task = sigma0_task;
    mapdb_insert(root, n, flags, 0);
    space_enter(sigma0_task, n);
    return n;
}

/* The root stays with the kernel; its rights bound those of all children. */
static void enter_kernel_object(struct kobj *o, uint32_t id)
{
    o->flags |= KOBJ_STATIC;
    o->root.name = L4_CAP_FPAGE(0, L4_RIGHTS_ALL);
    enter_child(&o->root, (uint32_t)(uintptr_t)o, L4_CAP_FPAGE(id, L4_RIGHTS_ALL), 0);
}

static void add_page_table(paddr_t block)
{
    uint32_t *hardware, *shadow;
    unsigned i = block >> SUPER_SHIFT;

    if (sigma0_task->pd_shadow[i])
        return;
    hardware = alloc_page(FRAME_PAGETABLE, sigma0_task);
    shadow = alloc_page(FRAME_SHADOW, sigma0_task);
    sigma0_task->pd_shadow[i] = (uint32_t)(uintptr_t)shadow;
    sigma0_task->pd[i] = pde_table(virt_to_phys(hardware));
}

/* One page at its own address. */
static struct node *enter_page(paddr_t at, uint32_t size, uint32_t rights, unsigned flags)
{
    return enter_child(&boot_mem_roots[at >> SUPER_SHIFT], at, L4_FPAGE(at, L4_SPACE_MEM, size, rights),
                       flags);
}

static uint32_t ram_rights(paddr_t at)
{
    return at < PHYS_DIRECT_MAX ? L4_RIGHTS_ALL : L4_R | L4_W | L4_X;
}

/*
 * From the top down, since mapdb_insert() puts each new child in front: the trees come out in ascending
 * order.  A view of a superpage whose frames are partly converted is never needed at boot: the
 * initial kernel pages lie in 4 KB nodes.
 */
static void enter_memory(const struct boot_desc *desc)
{
    unsigned block = boot_mem_root_count;

    while (block-- > 0) {
        paddr_t base = block << SUPER_SHIFT, at = base + SUPER_SIZE, end;
        uint32_t small;

        if (block_is_super(desc, base, &small)) {
            (void)enter_page(base, SUPER_SHIFT, ram_rights(base), 0);
            continue;
        }
        if (!small)
            continue;
        add_page_table(base);
        while (at > base) {
            at -= PAGE_SIZE;
            switch (boot_mem_kind(at, &end)) {
            case BOOT_RAM:
            case BOOT_MODULE:
            case BOOT_INITIAL:
                (void)enter_page(at, PAGE_SHIFT, ram_rights(at), 0);
                break;
            case BOOT_DEVICE:
                (void)enter_page(at, PAGE_SHIFT, L4_R | L4_W | L4_X, NODE_DEVICE);
                break;
            case BOOT_HOLE:
            case BOOT_KERNEL:
                break;
            }
        }
    }
}

/*
 * An initial kernel page spans 32 pages of sigma0; the first of them stands for the conversion: sigma0
 * takes the memory back by removing t from it, or by flushing the kernel page.  [G25]
 */
static void enter_kpages(void)
{
    unsigned i;

    for (i = 0; i < INITIAL_KPAGES; i++) {
        struct kpage *kp = initial_kpages[i];
        struct node *converter = mem_lookup(sigma0_task, kp->base);

        ASSERT(converter != NULL);
        converter->flags |= NODE_CONVERTER;
        converter->kpage = kp;
        kp->converter = converter;
        enter_root(&kp->obj, L4_S0_KPAGE + i);
    }
}

/* Highest port below `end` that the kernel keeps, plus one; *first is where its range begins. */
static uint32_t kernel_port_below(const struct boot_desc *desc, uint32_t end, uint32_t *first)
{
    uint32_t behind = 0;
    unsigned i;

    *first = 0;
    for (i = 0; i < ARRAY_SIZE(desc->kernel_ports); i++) {
        uint32_t low = desc->kernel_ports[i][0], high = desc->kernel_ports[i][1];

        if (low == 0 && high == 0)
            break;
        if (low < end && low <= high && min_u32(high + 1u, end) > behind) {
            behind = min_u32(high + 1u, end);
            *first = low;
        }
    }
    return behind;
}

/* All ports but the kernel's, in the largest aligned ranges, from the top down: each is the first of its list. */
static void enter_ports(const struct boot_desc *desc)
{
    uint32_t end = 0x10000u, first;

    mapdb_root(&boot_io_root, 0);
    boot_io_root.name = L4_FPAGE(0, L4_SPACE_IO, IO_SPACE_BITS, L4_R | L4_W);
    boot_io_root.flags |= NODE_STATIC;
    while (end > 0) {
        uint32_t behind = kernel_port_below(desc, end, &first), bits = 0;

        if (behind == end) {
            end = first;
            continue;
        }
        while (!(end & (1u << bits)) && end - behind >= 2u << bits)
            bits++;
        end -= 1u << bits;
        (void)enter_child(&boot_io_root, end << L4_NAME_SHIFT,
                          L4_FPAGE(end << L4_NAME_SHIFT, L4_SPACE_IO, L4_NAME_SHIFT + bits, L4_R | L4_W), 0);
    }
}

/* ---- the boot-info page ---- */

struct info_page { uint8_t *page; uint32_t used; };

static void add_memory(struct info_page *info, struct l4_bootinfo *b, paddr_t start, paddr_t end,
                       uint32_t type, bool alone)
{
    struct l4_mem_desc *d = (struct l4_mem_desc *)(void *)(info->page + b->mem_offset);

    if (b->mem_count && !alone && d[b->mem_count - 1].type == type && d[b->mem_count - 1].end == start) {
        d[b->mem_count - 1].end = end;
        return;
    }
    /* Modules, sizes and strings come behind and must fit: the list of memory is what may be cut. */
    if (info->used + sizeof *d > PAGE_SIZE / 2u)
        return;
    d[b->mem_count++] = (struct l4_mem_desc){ start, end, type };
    info->used += (uint32_t)sizeof *d;
}

static void describe_memory(struct info_page *info, struct l4_bootinfo *b)
{
    static const uint8_t type_of[] = {
        [BOOT_RAM] = L4_MEM_RAM, [BOOT_DEVICE] = L4_MEM_DEVICE, [BOOT_KERNEL] = L4_MEM_KERNEL,
        [BOOT_MODULE] = L4_MEM_MODULE, [BOOT_INITIAL] = L4_MEM_KERNEL,
    };
    bool alone = false;
    paddr_t at = 0, end;

    while (at < L4_USER_TOP) {
        enum boot_kind kind = boot_mem_kind(at, &end);

        if (kind == BOOT_INITIAL) {
            /* Descriptors of their own, so that sigma0 can tell them from what it can never have. */
            unsigned i;

            for (i = 0; i < INITIAL_KPAGES; i++) {
                at = initial_kpages[i]->base;
                add_memory(info, b, at, at + INITIAL_FRAMES * PAGE_SIZE, L4_MEM_KERNEL, true);
            }
            alone = true;
        } else if (kind != BOOT_HOLE) {
            add_memory(info, b, at, end, type_of[kind], alone);
            alone = false;
        }
        at = end;
    }
    if (boot_mem_dropped())
        add_memory(info, b, L4_USER_TOP, 0xffffffffu, L4_MEM_DROPPED, true);
}

static void describe(const struct boot_desc *desc, paddr_t page)
{
    static const struct l4_size_desc sizes[] = {
        { L4_TYPE_TASK, L4_SIZE_TASK, L4_UNIT, L4_TASK_PAGES },
        { L4_TYPE_THREAD, L4_SIZE_THREAD, L4_UNIT, 0 },
        { L4_TYPE_ENDPOINT, L4_SIZE_ENDPOINT, L4_UNIT, 0 },
        { L4_TYPE_KPAGE, L4_SIZE_KPAGE, L4_UNIT, 0 },
        { L4_TYPE_RESERVATION, L4_SIZE_RESERVATION, L4_UNIT, 0 },
        { L4_SIZE_TYPE_NODE, L4_SIZE_NODE, L4_UNIT, 0 },
        { L4_SIZE_TYPE_PAGETABLE, 0, PAGE_SIZE, L4_PAGETABLE_PAGES },
        { L4_SIZE_TYPE_CAPTABLE, 0, PAGE_SIZE, L4_CAPTABLE_PAGES },
    };
    struct info_page info = { phys_to_virt(page), sizeof(struct l4_bootinfo) };
    struct l4_bootinfo *b = (struct l4_bootinfo *)(void *)info.page;
    struct l4_module_desc *m;
    uint32_t room;
    unsigned i;

    memset(info.page, 0, PAGE_SIZE);
    *b = (struct l4_bootinfo){
        .magic = L4_BOOT_MAGIC, .version = 1, .user_top = L4_USER_TOP,
        .page_sizes = desc->superpages ? SUPER_SIZE | PAGE_SIZE : PAGE_SIZE,
        .first_free_cap = L4_S0_FREE, .task = L4_S0_TASK, .thread = L4_S0_THREAD,
        .reservation = L4_S0_RESERVATION, .cpu_base = L4_S0_CPU, .cpu_count = 1,
        .irq_base = L4_S0_IRQ, .irq_count = IRQ_LINES, .kpage_base = L4_S0_KPAGE,
        .kpage_count = INITIAL_KPAGES, .tsc_khz = clock_khz, .tick_us = 1000,
        .placement = 1, .kernel_irqs = desc->kernel_irqs,
    };
    b->size_offset = info.used;
    b->size_count = ARRAY_SIZE(sizes);
    memcpy(info.page + info.used, sizes, sizeof sizes);
    info.used += (uint32_t)sizeof sizes;
    b->mem_offset = info.used;
    describe_memory(&info, b);

    b->module_offset = info.used;
    m = (struct l4_module_desc *)(void *)(info.page + info.used);
    info.used += desc->module_count * (uint32_t)sizeof *m;
    ASSERT(info.used < PAGE_SIZE);
    room = PAGE_SIZE - info.used;
    memcpy(info.page + info.used, strings, min_u32(room, string_bytes));
    info.page[PAGE_SIZE - 1u] = '\0';
    for (i = 0; i < desc->module_count; i++) {
        uint32_t at = string_at[i] < room ? string_at[i] : 0u;

        m[i] = (struct l4_module_desc){ desc->modules[i].start, desc->modules[i].end, info.used + at };
    }
    b->module_count = desc->module_count;
    b->size = min_u32(info.used + string_bytes, PAGE_SIZE);
    add_page_table(page);
    (void)enter_page(page, PAGE_SHIFT, L4_R, 0);
}

/* ---- threads and time ---- */

static struct thread *make_thread(void)
{
    struct thread *t = alloc(L4_SIZE_THREAD, UNIT_THREAD);

    kobj_init(&t->obj, L4_TYPE_THREAD);
    thread_init(t);
    return t;
}

static struct resv *make_resv(struct resv *parent, uint32_t share)
{
    struct resv *r = alloc(L4_SIZE_RESERVATION, UNIT_RESERVATION);

    kobj_init(&r->obj, L4_TYPE_RESERVATION);
    resv_init(r);
    r->prio = 255;
    r->flags = RESV_SOFT;
    r->period_us = 10000;
    r->share = share;
    if (share) {
        r->budget_us = 10000;
        r->left = (uint32_t)clock_from_us(r->budget_us);
    }
    r->parent = parent;
    if (parent) {
        parent->child = r;
        r->back = &parent->child;
    }
    return r;
}

static void make_irq_threads(uint32_t kernel_irqs)
{
    static struct thread *lines[IRQ_LINES];
    unsigned line;

    for (line = 0; line < IRQ_LINES; line++)
        lines[line] = make_thread();
    irq_init(lines, kernel_irqs);
    for (line = IRQ_LINES; line-- > 0;)
        enter_kernel_object(&lines[line]->obj, L4_S0_IRQ + line);
}

static void start_sigma0(struct thread *t, struct resv *r, uint32_t entry, paddr_t boot_info)
{
    uint32_t kpages = L4_FPAGE(L4_CAP(L4_S0_KPAGE), L4_SPACE_CAP, L4_NAME_SHIFT + 1u, L4_W);

    STATIC_ASSERT(INITIAL_KPAGES == 2u); /* one flexpage of 2^(12+1) names them */
    thread_bind(t, sigma0_task);
    t->tcr[L4_TCR_SNDRES] = kpages;
    t->tcr[L4_TCR_RCVRES] = kpages;
    t->frame = (struct user_frame){
        .w = { L4_BOOT_MAGIC, boot_info }, .vector = VECTOR_SYSCALL, .eip = entry, .cs = SEL_USER_CS,
        .eflags = 0x2u | EFLAGS_IF, .ss = SEL_USER_DS,
    };
    t->cont = NULL;
    t->halt_pending = false;
    resv_attach(r, t, 255);
    thread_set_state(t, THREAD_READY);
}

void boot_kernel(const struct boot_desc *desc)
{
    struct thread *thread;
    struct resv *resv;
    paddr_t boot_info;
    uint32_t entry, dropped, frames = 0;
    unsigned i;

    boot_set_options(desc->options);
    check_options();
    boot_mem_init(desc);
    keep_strings(desc);
    claim_modules(desc);
    entry = load_sigma0(&desc->modules[0]);
    take_memory(desc, &boot_info);

    sched_init();
    kobj_init(&boot_cpu.obj, L4_TYPE_CPU);
    sigma0_task = make_task();
    thread = make_thread();
    boot_root_resv = make_resv(NULL, 0);
    boot_root_resv->obj.flags |= KOBJ_STATIC;
    resv = make_resv(boot_root_resv, RESV_SHARE_ONE);

    enter_root(&sigma0_task->obj, L4_S0_TASK);
    enter_root(&thread->obj, L4_S0_THREAD);
    enter_root(&resv->obj, L4_S0_RESERVATION);
    enter_kernel_object(&boot_cpu.obj, L4_S0_CPU);
    make_irq_threads(desc->kernel_irqs);
    enter_memory(desc);
    enter_kpages();
    enter_ports(desc);
    describe(desc, boot_info);
    frame_table[boot_info >> PAGE_SHIFT].kp = FRAME_USER; /* sigma0 reads it: no kernel secret */

    dropped = boot_mem_dropped();
    if (dropped)
        kprintf("boot: %u MB of memory above 3 GB are not used\n", dropped);
    for (i = 0; i < boot_kpage_count; i++)
        frames += boot_kpages[i].frames;
    kprintf("boot: %u MB directly mapped, %u KB of boot objects, sigma0 at 0x%x\n",
            (frame_count + 255u) >> 8, frames * 4u, entry);
    start_sigma0(thread, resv, entry, boot_info);
    debug_init(); /* kdb= and gdb=wait find a complete system */
}
