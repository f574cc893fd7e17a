// SPDX-License-Identifier: MIT
/*
 * Boot: what sigma0 finds, on tidy and on odd memory maps, and what is refused.  [M 2.7.2] [G32]
 */
#include <arch/memory.h>
#include "arch/host/host.h"
#include "kernel/boot.h"
#include "kernel/check.h"
#include "kernel/clock.h"
#include "kernel/cpu.h"
#include "kernel/irq.h"
#include "kernel/kpage.h"
#include "kernel/reap.h"
#include "kernel/resv.h"
#include "kernel/task.h"
#include "unit.h"

static void print_violation(struct check *c, const char *text)
{
    printf("%s: %s\n", c->rule->id, text);
}

static void expect_consistent(void)
{
    struct check c = { .report = print_violation };

    EXPECT_EQ(check_all(&c), 0);
}

static const struct l4_bootinfo *boot_info(const struct thread *t)
{
    return phys_to_virt(t->frame.ebx);
}

/* Every page of sigma0's memory is RAM of its own, or the ISA hole, or the boot-info page; all of it is there. */
static void expect_memory(const struct boot_range *ranges, unsigned count, bool superpages)
{
    const struct thread *t = thread_current() ? thread_current() : (struct thread *)cap_lookup(sigma0_task, L4_S0_THREAD)->obj;
    uint32_t page, mapped = 0;

    for (page = 0; page < L4_USER_TOP >> PAGE_SHIFT; page++) {
        uint64_t at = (uint64_t)page << PAGE_SHIFT;
        const struct node *n = mem_lookup(sigma0_task, (uint32_t)at);
        bool ram = false, device = false, isa = at >= 0xa0000 && at < 0x100000, kernel;
        unsigned i;

        for (i = 0; i < count; i++) {
            const struct boot_range *r = &ranges[i];

            if (r->end <= r->start)
                continue;
            if (r->type == L4_MEM_RAM && r->start <= at && r->end >= at + PAGE_SIZE)
                ram = true;
            if (r->type != L4_MEM_RAM && r->start < at + PAGE_SIZE && r->end > at)
                device = true;
        }
        ram = ram && !device && !isa;
        kernel = page < frame_count && (frame_table[page].kp == FRAME_KERNEL ||
                 (frame_table[page].kp > FRAME_DEVICE &&
                  !((struct kpage *)(uintptr_t)frame_table[page].kp)->converter));
        if (at == t->frame.ebx) {
            EXPECT(n && node_rights(n) == L4_R);
            continue;
        }
        if (!n) {
            EXPECT((!ram && !isa) || kernel);
            continue;
        }
        mapped++;
        EXPECT((ram || isa) && !kernel);
        EXPECT(n->task == sigma0_task && n->parent == &boot_mem_roots[at >> SUPER_SHIFT]);
        EXPECT_EQ(n->obj, node_base(n));
        if (isa) {
            EXPECT_EQ(node_rights(n), L4_R | L4_W | L4_X);
            EXPECT(n->flags & NODE_DEVICE);
        } else {
            EXPECT_EQ(node_rights(n), at < PHYS_DIRECT_MAX ? 15u : 7u);
            EXPECT(!(n->flags & NODE_DEVICE));
        }
        EXPECT(node_size(n) == PAGE_SHIFT || (superpages && node_size(n) == SUPER_SHIFT));
        if (page < frame_count)
            EXPECT(isa ? frame_table[page].kp == FRAME_DEVICE
                       : frame_table[page].kp == FRAME_USER || frame_table[page].kp > FRAME_DEVICE);
    }
    EXPECT(mapped > 64);
}

static const struct boot_range tidy[] = {
    { 0, 0x9f000, L4_MEM_RAM }, { 0xa0000, 0x100000, L4_MEM_DEVICE }, { 0x100000, 32u << 20, L4_MEM_RAM },
};

static void expect_handover(bool superpages)
{
    struct thread *t = host_run();
    const struct l4_bootinfo *b;
    const struct resv *r;
    const struct kpage *kp;
    unsigned i;

    EXPECT(t != NULL);
    b = boot_info(t);
    EXPECT_EQ(t->frame.eax, L4_BOOT_MAGIC);
    EXPECT_EQ(t->frame.eip, 0x400000);
    EXPECT_EQ(t->frame.esp, 0);
    EXPECT_EQ(t->frame.eflags, 0x202);
    EXPECT_EQ(t->frame.esi | t->frame.edi | t->frame.ebp | t->frame.ecx | t->frame.edx, 0);
    EXPECT(t->task == sigma0_task);
    for (i = L4_TCR_FAULT_SND; i <= L4_TCR_EXC_RCV; i++)
        EXPECT_EQ(t->tcr[i], L4_CAP_INVALID);
    EXPECT_EQ(t->tcr[L4_TCR_SNDRES], t->tcr[L4_TCR_RCVRES]);
    EXPECT_EQ(t->tcr[L4_TCR_SNDRES] & ~15u, L4_FPAGE(L4_CAP(0x100), L4_SPACE_CAP, 13, 0));
    for (i = 0; i < 4; i++)
        EXPECT_EQ(t->tcr[L4_TCR_WINDOW + i], 0);

    EXPECT_EQ(b->magic, L4_BOOT_MAGIC);
    EXPECT_EQ(b->version, 1);
    EXPECT_EQ(b->user_top, L4_USER_TOP);
    EXPECT_EQ(b->page_sizes, superpages ? 0x401000u : 0x1000u);
    EXPECT_EQ(b->kpage_base, 0x100);
    EXPECT_EQ(b->kpage_count, 2);
    EXPECT_EQ(b->irq_count, 16);
    EXPECT_EQ(b->module_count, 1);
    EXPECT_EQ(b->size_count, 8);
    EXPECT_EQ(b->kernel_irqs, 1u << 0 | 1u << 2 | 1u << 4);

    EXPECT(!cap_lookup(sigma0_task, 0));
    EXPECT(cap_lookup(sigma0_task, 1) == &sigma0_task->obj.root);
    EXPECT(cap_lookup(sigma0_task, 2) == &t->obj.root);
    r = (const struct resv *)(uintptr_t)cap_lookup(sigma0_task, 3)->obj;
    EXPECT_EQ(r->prio, 255);
    EXPECT_EQ(r->budget_us, 10000);
    EXPECT_EQ(r->period_us, 10000);
    EXPECT(r->flags & RESV_SOFT);
    EXPECT(r->thread == t && r->parent == boot_root_resv);
    /* Objects of the hardware: sigma0 holds a child, never the root. */
    EXPECT(cap_lookup(sigma0_task, L4_S0_CPU)->parent == &boot_cpu.obj.root);
    for (i = 0; i < 16; i++) {
        const struct node *n = cap_lookup(sigma0_task, L4_S0_IRQ + i);

        EXPECT(n && n->depth == 1 && node_rights(n) == 15);
        EXPECT(n->obj == (uintptr_t)irq_thread(i));
        EXPECT(irq_thread(i)->obj.flags & KOBJ_STATIC);
    }
    for (i = L4_S0_FREE; i < 0x400; i++)
        EXPECT(!cap_lookup(sigma0_task, i));
    EXPECT(space_backed(sigma0_task, L4_CAP_FPAGE(0x3ff, 0)));

    for (i = 0; i < 2; i++) {
        const struct node *n = cap_lookup(sigma0_task, L4_S0_KPAGE + i);

        kp = (const struct kpage *)(uintptr_t)n->obj;
        EXPECT_EQ(kp->obj.type, L4_TYPE_KPAGE);
        EXPECT_EQ(kp->frames, 32);
        EXPECT(kp->converter == mem_lookup(sigma0_task, kp->base));
        EXPECT(kp->converter->flags & NODE_CONVERTER);
        EXPECT(frame_is_converted(kp->base) && frame_is_converted(kp->base + 31 * PAGE_SIZE));
        EXPECT(!host_access(sigma0_task, kp->base, L4_R));
    }
    /* Ports: all but the kernel's. */
    for (i = 0; i < 0x10000; i += i < 0x400 ? 1 : 0x3f) {
        bool kept = (i >= 0x20 && i <= 0x21) || (i >= 0xa0 && i <= 0xa1) || (i >= 0x40 && i <= 0x43) ||
                    (i >= 0x3f8 && i <= 0x3ff);

        EXPECT((io_lookup(sigma0_task, i) == NULL) == kept);
    }
    EXPECT(host_access(sigma0_task, t->frame.ebx, L4_R) && !host_access(sigma0_task, t->frame.ebx, L4_W));
    expect_consistent();
}

TEST(boot_with_superpages)
{
    host_boot(&(struct host_config){ .megabytes = 32, .superpages = true });
    expect_handover(true);
    expect_memory(tidy, 3, true);
    EXPECT(node_size(mem_lookup(sigma0_task, 0x800000)) == SUPER_SHIFT);
}

TEST(boot_without_superpages)
{
    host_boot(&(struct host_config){ .megabytes = 32, .superpages = false });
    expect_handover(false);
    expect_memory(tidy, 3, false);
}

/* Unsorted, overlapping, empty, backward, odd borders, across 4 GB, a hole in the middle. */
static struct boot_range odd[] = {
    { 0x100000, 12u << 20, L4_MEM_RAM }, { 0, 0x9f123, L4_MEM_RAM }, { 0x800000, 32u << 20, L4_MEM_RAM },
    { 0xb00000, 0xb00001, L4_MEM_DEVICE }, { 0x1400800, 0x1500800, L4_MEM_DEVICE }, { 5, 5, L4_MEM_RAM },
    { 0x2000000, 0x1000000, L4_MEM_RAM }, { 0x500, 0xfff, L4_MEM_RAM }, { 0xf0000, 0x100000, L4_MEM_DEVICE },
    { 0xfff00000u, 0x240000000ull, L4_MEM_RAM }, { 0xfec00000u, 0x100000000ull, L4_MEM_DEVICE },
};

static void use_odd(struct boot_desc *desc)
{
    desc->ranges = odd;
    desc->range_count = ARRAY_SIZE(odd);
}

TEST(boot_with_an_odd_map)
{
    const struct l4_bootinfo *b;
    const struct l4_mem_desc *d;
    unsigned i;
    bool dropped = false;

    host_boot(&(struct host_config){ .megabytes = 32, .superpages = true, .alter = use_odd });
    expect_memory(odd, ARRAY_SIZE(odd), true);
    expect_consistent();
    b = boot_info(host_run());
    d = (const struct l4_mem_desc *)(const void *)((const char *)b + b->mem_offset);
    for (i = 0; i < b->mem_count; i++) {
        EXPECT(d[i].start < d[i].end);
        EXPECT(i == 0 || d[i].start >= d[i - 1].end);
        if (d[i].type == L4_MEM_DROPPED)
            dropped = true;
    }
    EXPECT(dropped);
}

static void many_modules(struct boot_desc *desc)
{
    static struct boot_module modules[20];
    unsigned i;

    modules[0] = desc->modules[0];
    modules[0].string = "/boot/sigma0.elf one=1 two";
    for (i = 1; i < 20; i++)
        modules[i] = (struct boot_module){ 0x480000 + i * 0x2000, 0x480000 + i * 0x2000 + i * 7, i & 1 ? "module" : NULL };
    desc->modules = modules;
    desc->module_count = 20;
}

TEST(modules_are_described)
{
    const struct l4_bootinfo *b;
    const struct l4_module_desc *m;

    host_boot(&(struct host_config){ .megabytes = 16, .superpages = true, .alter = many_modules });
    b = boot_info(host_run());
    m = (const struct l4_module_desc *)(const void *)((const char *)b + b->module_offset);
    EXPECT_EQ(b->module_count, 20);
    EXPECT(!strcmp((const char *)b + m[0].string, "/boot/sigma0.elf one=1 two"));
    EXPECT(!strcmp((const char *)b + m[3].string, "module"));
    EXPECT(!strcmp((const char *)b + m[4].string, ""));
    EXPECT_EQ(m[4].start, 0x488000);
    EXPECT_EQ(m[4].end, 0x488000 + 28);
    expect_consistent();
}

/* Both ways of taking an initial kernel page back: by its capability, and by t of its memory. */
TEST(initial_kernel_pages_can_be_taken_back)
{
    struct thread *t;
    uint32_t base;

    host_boot(&(struct host_config){ .megabytes = 16, .superpages = true });
    t = host_run();
    base = ((struct kpage *)(uintptr_t)cap_lookup(sigma0_task, 0x101)->obj)->base;
    t = host_call(t, 1u << 12 | L4_SYS_UNMAP, L4_CAP_FPAGE(0x101, 15), 0, 0, 0);
    EXPECT_EQ(t->frame.w[0] & 15u, 0);
    EXPECT(!cap_lookup(sigma0_task, 0x101));
    EXPECT(!frame_is_converted(base));
    EXPECT_EQ(mem_refill(sigma0_task, base, L4_W, NULL), L4_D_NONE);
    expect_consistent();
    base = ((struct kpage *)(uintptr_t)cap_lookup(sigma0_task, 0x100)->obj)->base;
    t = host_call(t, 1u << 12 | L4_SYS_UNMAP, L4_FPAGE(base, L4_SPACE_MEM, 12, L4_T), 0, 0, 0);
    EXPECT(!cap_lookup(sigma0_task, 0x100));
    EXPECT(!frame_is_converted(base));
    expect_consistent();
}

TEST(hardware_survives_sigma0)
{
    struct thread *t;

    host_boot(&(struct host_config){ .megabytes = 16, .superpages = true });
    t = host_run();
    t = host_call(t, 1u << 12 | L4_SYS_UNMAP, L4_FPAGE(L4_CAP(0x40), L4_SPACE_CAP, 16, 15), 0, 0, 0);
    EXPECT(!cap_lookup(sigma0_task, 0x41));
    EXPECT(irq_thread(1)->obj.root.depth == 0 && !(irq_thread(1)->obj.flags & KOBJ_DYING));
    t = host_call(t, 1u << 12 | L4_SYS_UNMAP, L4_ALL_IO | 6u, 0, 0, 0);
    EXPECT(!io_lookup(sigma0_task, 0x60));
    t = host_call(t, 1u << 12 | L4_SYS_UNMAP, L4_FPAGE(L4_CAP(0x10), L4_SPACE_CAP, 12, 15), 0, 0, 0);
    EXPECT(t && !cap_lookup(sigma0_task, 0x10));
    expect_consistent();
}

TEST(options)
{
    char value[8];

    boot_set_options("/boot/kernel  debug=ro exit wait=  long=0123456789 debugger=1");
    EXPECT(!strcmp(boot_option("debug", value, sizeof value), "ro"));
    EXPECT(!strcmp(boot_option("exit", value, sizeof value), ""));
    EXPECT(!strcmp(boot_option("wait", value, sizeof value), ""));
    EXPECT(!strcmp(boot_option("long", value, sizeof value), "0123456"));
    EXPECT(!strcmp(boot_option("debugger", value, sizeof value), "1"));
    EXPECT(!boot_option("debugg", value, sizeof value));
    EXPECT(!boot_option("xit", value, sizeof value));
    boot_set_options(NULL);
    EXPECT(!boot_option("exit", value, sizeof value));
    boot_set_options("exit");
    EXPECT(boot_option("exit", value, 1) && !value[0]);
}

/* ---- refusals ---- */

static struct boot_module modules[2];
static uint32_t patch_at, patch_value;

static void no_module(struct boot_desc *d) { d->module_count = 0; }
static void word(struct boot_desc *d)
{
    memcpy(host_memory + d->modules[0].start + patch_at, &patch_value, 4);
}
static void other_module(struct boot_desc *d)
{
    modules[0] = d->modules[0];
    modules[1] = (struct boot_module){ patch_at, patch_value, "x" };
    d->modules = modules;
    d->module_count = 2;
}
static void first_module(struct boot_desc *d)
{
    modules[0] = (struct boot_module){ d->modules[0].start + patch_at, d->modules[0].start + patch_value, "x" };
    d->modules = modules;
}
static void no_map(struct boot_desc *d) { d->range_count = 0; }
static struct boot_range narrow[] = { { 0x100000, 0x3e2000, L4_MEM_RAM }, { 0x400000, 0x403000, L4_MEM_RAM } };
static void small(struct boot_desc *d)
{
    d->ranges = narrow;
    d->range_count = ARRAY_SIZE(narrow);
}

TEST(refusals)
{
    static const struct { void (*alter)(struct boot_desc *); uint32_t at, value; const char *says; } cases[] = {
        { no_module, 0, 0, "no module" },
        { word, 0, 0x464c4500, "no ELF" },
        { word, 4, 0x00010102, "not for IA-32" },
        { word, 16, 0x00080002, "not for IA-32" },
        { word, 16, 0x00030003, "no executable" },
        { word, 28, 0xfffffff0, "program headers" },
        { word, 28, 0x00001000, "program headers" },
        { word, 44, 0x00280011, "program headers" },
        { word, 44, 0x00280000, "program headers" },
        { word, 52, 2, "dynamically" },
        { word, 52, 6, "in none of its segments" },
        { word, 52 + 4, 0xffffffff, "does not fit into the file" },
        { word, 52 + 16, 0xfffff000, "does not fit into the file" },
        { word, 52 + 16, 0x2000, "does not fit into the file" },
        { word, 52 + 20, 0x80000000, "not between 4 MB" },
        { word, 52 + 20, 0xfffff000, "not between 4 MB" },
        { word, 52 + 12, 0x00500000, "link it at its load address" },
        { word, 52 + 20, 0x10000000, "not in RAM" },
        { word, 24, 0x00500000, "entry point" },
        { other_module, 0x3e0800, 0x3e0900, "overlaps module 0" },
        { other_module, 0x170000, 0x190000, "overlaps the kernel" },
        { other_module, 0x400800, 0x400900, "overlaps module 1" },
        { other_module, 0x500000, 0x4fffff, "is not in RAM" },
        { other_module, 0x40000000, 0x40001000, "is not in RAM" },
        { other_module, 0xa0000, 0xa1000, "is not in RAM" },
        { first_module, 0, 0x10, "no ELF file" },
        { no_map, 0, 0, "is not in RAM" },
        { small, 0, 0, "not enough memory" },
    };
    unsigned i;

    for (i = 0; i < ARRAY_SIZE(cases); i++) {
        char text[512] = "";
        int pipes[2], status;
        ssize_t n;
        pid_t child;

        EXPECT_EQ(pipe(pipes), 0);
        fflush(stdout);
        child = fork();
        if (child == 0) {
            dup2(pipes[1], 1);
            host_quiet = false;
            patch_at = cases[i].at;
            patch_value = cases[i].value;
            host_boot(&(struct host_config){ .megabytes = 16, .superpages = true, .options = "exit",
                                             .alter = cases[i].alter });
            fflush(stdout);
            _exit(0);
        }
        close(pipes[1]);
        n = read(pipes[0], text, sizeof text - 1);
        EXPECT(n >= 0);
        close(pipes[0]);
        waitpid(child, &status, 0);
        EXPECT(WIFEXITED(status) && WEXITSTATUS(status) == 2);
        EXPECT(strstr(text, "cannot start") && strstr(text, cases[i].says));
        if (!strstr(text, cases[i].says))
            printf("case %u should say '%s' but says: %s\n", i, cases[i].says, text);
    }
}

/* ---- anything goes: it boots into a consistent state, or it refuses with a message ---- */

static uint32_t seed;
static uint32_t random_word(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 17;
    seed ^= seed << 5;
    return seed;
}

static struct boot_range random_ranges[40];
static struct boot_module random_modules[6];

static void anything(struct boot_desc *d)
{
    unsigned i, byte;

    /* What the host's memory can hold is RAM in any pieces; devices are anywhere. */
    d->range_count = random_word() % 40;
    for (i = 0; i < d->range_count; i++) {
        uint32_t start = random_word() % 0x2000000, size = random_word() % (random_word() & 1 ? 0x2000000 : 0x20000);
        bool ram = random_word() % 4 != 0;

        if (random_word() % 4)
            start &= ~0xfffu;
        if (ram)
            size = min_u32(size, 0x2000000 - start);
        random_ranges[i] = (struct boot_range){ start, (uint64_t)start + size, ram ? L4_MEM_RAM : L4_MEM_DEVICE };
        if (!ram)
            random_ranges[i].start += (uint64_t)(random_word() % 3) << 31;
        if (!ram)
            random_ranges[i].end += (uint64_t)(random_word() % 4) << 31;
    }
    if (random_word() & 1 && d->range_count < 40)
        random_ranges[d->range_count++] = (struct boot_range){ 0, 0x2000000, L4_MEM_RAM };
    d->ranges = random_ranges;
    random_modules[0] = d->modules[0];
    d->module_count = 1 + random_word() % 6;
    for (i = 1; i < d->module_count; i++) {
        uint32_t start = random_word() % 0x2000000;

        random_modules[i] = (struct boot_module){ start, start + random_word() % 0x1000, "m" };
    }
    d->modules = random_modules;
    if (random_word() & 1)
        for (i = random_word() % 4; i; i--) {
            byte = random_word() % 84;
            host_memory[d->modules[0].start + byte] = (char)random_word();
        }
    d->superpages = random_word() & 1;
    for (i = 0; i < 7; i++) {
        d->kernel_ports[i][0] = (uint16_t)random_word();
        d->kernel_ports[i][1] = (uint16_t)(d->kernel_ports[i][0] + random_word() % 64);
    }
}

TEST(anything_boots_or_is_refused)
{
    unsigned rounds = (unsigned)unit_number("rounds", 60), i, booted = 0, refused = 0;

    for (i = 0; i < rounds; i++) {
        int status;
        pid_t child;

        fflush(stdout);
        child = fork();
        if (child == 0) {
            seed = (uint32_t)unit_number("seed", 1) * 7919u + i * 2654435761u + 1u;
            host_boot(&(struct host_config){ .megabytes = 32, .options = "exit", .alter = anything });
            expect_memory(random_ranges, 40, true);
            expect_consistent();
            fflush(stdout);
            _exit(unit_failures ? 1 : 0);
        }
        waitpid(child, &status, 0);
        EXPECT(WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 2));
        if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
            booted++;
        else if (WIFEXITED(status) && WEXITSTATUS(status) == 2)
            refused++;
        else
            printf("round %u\n", i);
    }
    EXPECT(booted > 0 && refused > 0);
    printf("%u booted, %u refused\n", booted, refused);
}
