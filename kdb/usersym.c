// SPDX-License-Identifier: MIT
/* Symbols of user programs: see usersym.h.  Every field of an image is checked each time it is used. */
#include "kdb/usersym.h"

#include <arch/memory.h>
#include "kernel/boot.h"
#include "kernel/debug/debug.h"
#include "kernel/kpage.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/string.h"

struct elf {
    uint8_t magic[4], class, data, version, pad[9];
    uint16_t type, machine;
    uint32_t version2, entry, phoff, shoff, flags;
    uint16_t ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};
struct elf_segment { uint32_t type, offset, vaddr, paddr, filesz, memsz, flags, align; };
struct elf_section { uint32_t name, type, flags, addr, offset, size, link, info, align, entsize; };
struct elf_symbol { uint32_t name, value, size; uint8_t info, other; uint16_t section; };

#define SEGMENT_LOAD 1u
#define SECTION_SYMBOLS 2u
#define TYPE_FUNCTION 2u
#define SECTIONS_MAX 200u

struct image {
    const char *base;
    char name[20];                /* the last part of its path */
    uint32_t size;
    const struct elf *head;
    const struct elf_symbol *symbol;
    const char *names;
    uint32_t symbols, names_size;
};

static bool within(const struct image *m, uint32_t offset, uint32_t size)
{
    return offset <= m->size && size <= m->size - offset && !(offset & 3u);
}

/* The file name: the last part of the first word. */
static void copy_name(char *to, unsigned size, const char *path)
{
    const char *last = path, *end = path;
    unsigned n;

    for (; *end && *end != ' '; end++)
        if (*end == '/')
            last = end + 1;
    n = min_u32((uint32_t)(end - last), size - 1u);
    memcpy(to, last, n);
    to[n] = '\0';
}

/* Module i as an ELF image with symbols; false: it is none. */
static bool open_image(unsigned i, struct image *m)
{
    paddr_t start, end;
    const char *name;
    const struct elf_section *section;

    if (!boot_module_get(i, &start, &end, &name) || (start & 3u) || end <= start || (end - 1u) >> PAGE_SHIFT >= frame_count)
        return false;
    *m = (struct image){ .base = phys_to_virt(start), .size = end - start };
    copy_name(m->name, sizeof(m->name), name);
    m->head = (const struct elf *)(const void *)m->base;
    if (!within(m, 0, sizeof(*m->head)) || memcmp(m->head->magic, "\177ELF", 4) != 0 || m->head->class != 1 ||
        m->head->shentsize != sizeof(*section) || m->head->shnum > SECTIONS_MAX ||
        !within(m, m->head->shoff, m->head->shnum * (uint32_t)sizeof(*section)))
        return false;
    section = (const struct elf_section *)(const void *)(m->base + m->head->shoff);
    for (unsigned s = 0; s < m->head->shnum; s++) {
        const struct elf_section *table = &section[s], *names;

        if (table->type != SECTION_SYMBOLS || table->link >= m->head->shnum ||
            !within(m, table->offset, table->size))
            continue;
        names = &section[table->link];
        if (names->offset > m->size || names->size > m->size - names->offset || names->size == 0 ||
            m->base[names->offset + names->size - 1u] != '\0')
            continue;
        m->symbol = (const struct elf_symbol *)(const void *)(m->base + table->offset);
        m->symbols = table->size / (uint32_t)sizeof(*m->symbol);
        m->names = m->base + names->offset;
        m->names_size = names->size;
        return true;
    }
    return false;
}

static const char *symbol_name(const struct image *m, const struct elf_symbol *s)
{
    unsigned type = s->info & 15u;

    if (s->section == 0 || s->name >= m->names_size || type > TYPE_FUNCTION || !m->names[s->name] ||
        m->names[s->name] == '.' || m->names[s->name] == '$')
        return NULL;
    return m->names + s->name;
}

bool usersym_value(const char *name, uint32_t *address)
{
    const char *mark = strchr(name, '!');
    struct image m;

    for (unsigned i = 0; i < BOOT_MODULES_MAX; i++) {
        if (!open_image(i, &m))
            continue;
        if (mark && (strncmp(m.name, name, (size_t)(mark - name)) != 0 ||
                     (m.name[mark - name] != '\0' && m.name[mark - name] != '.')))
            continue;
        for (uint32_t n = 0; n < m.symbols; n++) {
            const char *text = symbol_name(&m, &m.symbol[n]);

            if (text && strcmp(text, mark ? mark + 1 : name) == 0) {
                *address = m.symbol[n].value;
                return true;
            }
        }
    }
    return false;
}

/* Does the task have this image's bytes around the address? */
static bool text_matches(const struct image *m, const struct task *task, uint32_t address)
{
    const struct elf_segment *segment;
    uint8_t bytes[16];

    if (m->head->phentsize != sizeof(*segment) || !within(m, m->head->phoff, m->head->phnum * (uint32_t)sizeof(*segment)))
        return false;
    segment = (const struct elf_segment *)(const void *)(m->base + m->head->phoff);
    address &= ~15u;
    for (unsigned i = 0; i < m->head->phnum; i++) {
        const struct elf_segment *s = &segment[i];
        uint32_t at = address - s->vaddr;

        if (s->type != SEGMENT_LOAD || at >= s->filesz || s->filesz - at < sizeof(bytes) || s->offset > m->size ||
            s->filesz > m->size - s->offset)
            continue;
        return !task || (probe_read(task, address, bytes, sizeof(bytes), false) == sizeof(bytes) &&
                         memcmp(bytes, m->base + s->offset + at, sizeof(bytes)) == 0);
    }
    return false;
}

const char *usersym_find(const struct task *task, uint32_t address, uint32_t *offset, const char **module)
{
    static struct image m; /* *module points into it */

    for (unsigned i = 0; i < BOOT_MODULES_MAX; i++) {
        const char *best = NULL;
        uint32_t start = 0;

        if (!open_image(i, &m) || !text_matches(&m, task, address))
            continue;
        for (uint32_t n = 0; n < m.symbols; n++) {
            const struct elf_symbol *s = &m.symbol[n];
            const char *text = s->value <= address && (!best || s->value > start) ? symbol_name(&m, s) : NULL;

            if (text) {
                best = text;
                start = s->value;
            }
        }
        if (best) {
            *offset = address - start;
            *module = m.name;
            return best;
        }
    }
    return NULL;
}

bool usersym_text(char *to, unsigned size, const struct task *task, uint32_t address)
{
    const char *module, *name;
    uint32_t offset;

    name = usersym_find(task, address, &offset, &module);
    if (name)
        fmt_buffer(to, size, "%.32s+0x%x", name, offset);
    return name != NULL;
}
