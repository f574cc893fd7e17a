// SPDX-License-Identifier: MIT
/* Console, text, boot info: what programs need beside the system calls. */
#include <l4sec/l4sec.h>

#define COM1       0x3f8u
#define COM_LINE   5u      /* line status register */
#define COM_READY  0x20u
#define EXIT_PORT  0xf4u

bool l4_console_ports;

static void put_port(char c)
{
    unsigned patience = 100000;

    while (!(l4_inb(COM1 + COM_LINE) & COM_READY) && patience)
        patience--;
    l4_outb(COM1, (uint8_t)c);
}

void l4_write(const char *text, size_t length)
{
    size_t i;

    if (!l4_console_ports) {
        (void)l4_debug_puts(text, length);
        return;
    }
    for (i = 0; i < length; i++) {
        if (text[i] == '\n')
            put_port('\r');
        put_port(text[i]);
    }
}

void l4_puts(const char *text)
{
    l4_write(text, l4_strlen(text));
}

/* ---- formatted output ---- */

struct out { char *buffer; size_t size, used; };

static void put(struct out *o, char c)
{
    if (o->used + 1 < o->size)
        o->buffer[o->used] = c;
    o->used++;
}

static void put_padded(struct out *o, const char *text, size_t length, size_t width, char pad, bool left)
{
    size_t i;

    for (i = length; !left && i < width; i++)
        put(o, pad);
    for (i = 0; i < length; i++)
        put(o, text[i]);
    for (i = length; left && i < width; i++)
        put(o, ' ');
}

static void put_number(struct out *o, uint32_t n, uint32_t base, bool minus, size_t width, char pad, bool left)
{
    char digits[16];
    size_t at = sizeof digits;

    do
        digits[--at] = "0123456789abcdef"[n % base];
    while ((n /= base) != 0);
    if (minus && pad == '0') {
        put(o, '-');
        width = width ? width - 1 : 0;
    } else if (minus) {
        digits[--at] = '-';
    }
    put_padded(o, digits + at, sizeof digits - at, width, pad, left);
}

unsigned l4_format(char *buffer, size_t size, const char *format, va_list list)
{
    struct out o = { buffer, size, 0 };

    for (; *format; format++) {
        bool left = false;
        char pad = ' ';
        size_t width = 0;

        if (*format != '%') {
            put(&o, *format);
            continue;
        }
        format++;
        for (; *format == '-' || *format == '0'; format++) {
            if (*format == '-')
                left = true;
            else
                pad = '0';
        }
        for (; *format >= '0' && *format <= '9'; format++)
            width = width * 10 + (size_t)(*format - '0');
        while (*format == 'l' || *format == 'z')
            format++;
        switch (*format) {
        case 'd': {
            int n = va_arg(list, int);

            put_number(&o, n < 0 ? 0u - (uint32_t)n : (uint32_t)n, 10, n < 0, width, left ? ' ' : pad, left);
            break;
        }
        case 'u':
            put_number(&o, va_arg(list, uint32_t), 10, false, width, left ? ' ' : pad, left);
            break;
        case 'x':
            put_number(&o, va_arg(list, uint32_t), 16, false, width, left ? ' ' : pad, left);
            break;
        case 'c': {
            char c = (char)va_arg(list, int);

            put_padded(&o, &c, 1, width, ' ', left);
            break;
        }
        case 's': {
            const char *s = va_arg(list, const char *);

            s = s ? s : "(null)";
            put_padded(&o, s, l4_strlen(s), width, ' ', left);
            break;
        }
        case '\0':
            format--;
            break;
        default:
            put(&o, *format);
        }
    }
    if (size)
        buffer[o.used < size ? o.used : size - 1] = '\0';
    return (unsigned)o.used;
}

void l4_printf(const char *format, ...)
{
    char text[256];
    va_list list;
    size_t length;

    va_start(list, format);
    length = l4_format(text, sizeof text, format, list);
    va_end(list);
    l4_write(text, length < sizeof text ? length : sizeof text - 1);
}

/* ---- errors ---- */

const char *l4_error_text(uint32_t w0)
{
    static const char *const text[16] = {
#define X(name, number, sentence) [number] = #name ": " sentence,
        L4_ERROR_LIST(X)
#undef X
    };

    return text[L4_ERR_BASE(w0)];
}

const char *l4_detail_text(uint32_t w0)
{
    static const char *const text[] = {
#define X(name, number, sentence) [number] = sentence,
        L4_DETAIL_LIST(X)
#undef X
    };
    uint32_t detail = L4_ERR_DETAIL(w0);

    return detail < sizeof text / sizeof *text && text[detail] ? text[detail] : "?";
}

/* ---- the end ---- */

void l4_wait_forever(void)
{
    /* Two never-ending timeouts on nothing end at once, so halt oneself piece by piece. */
    for (;;)
        (void)l4_switch(L4_NOTHING, L4_SWITCH_PERIOD, 0xffffffffu);
}

void l4_exit(uint32_t code)
{
    l4_outb(EXIT_PORT, (uint8_t)code);
    l4_wait_forever();
}

/* ---- boot info ---- */

static const void *boot_at(const struct l4_bootinfo *boot, uint32_t offset)
{
    return (const char *)boot + offset;
}

const struct l4_mem_desc *l4_boot_memory(const struct l4_bootinfo *boot)
{
    return boot_at(boot, boot->mem_offset);
}

const struct l4_module_desc *l4_boot_modules(const struct l4_bootinfo *boot)
{
    return boot_at(boot, boot->module_offset);
}

const struct l4_size_desc *l4_boot_sizes(const struct l4_bootinfo *boot)
{
    return boot_at(boot, boot->size_offset);
}

static const char *skip_word(const char *s)
{
    while (*s && *s != ' ')
        s++;
    while (*s == ' ')
        s++;
    return s;
}

const char *l4_boot_arguments(const struct l4_bootinfo *boot)
{
    const char *s = boot_at(boot, l4_boot_modules(boot)[0].string);

    while (*s == ' ')
        s++;
    return skip_word(s);
}

const char *l4_argument(const char *arguments, const char *name, char *buffer, size_t size)
{
    size_t length = l4_strlen(name);

    for (; *arguments; arguments = skip_word(arguments)) {
        const char *from = arguments + length;
        size_t n = 0;

        if (l4_strncmp(arguments, name, length) != 0 || (*from && *from != ' ' && *from != '='))
            continue;
        if (*from == '=')
            from++;
        while (*from && *from != ' ' && n + 1 < size)
            buffer[n++] = *from++;
        buffer[n] = '\0';
        return buffer;
    }
    return NULL;
}

uint32_t l4_number(const char *text, uint32_t standard)
{
    uint32_t n = 0, base = 10;

    if (!text || !*text)
        return standard;
    if (text[0] == '0' && (text[1] | 32) == 'x') {
        base = 16;
        text += 2;
    }
    for (; *text; text++) {
        uint32_t digit = (uint32_t)*text - '0';

        if (digit > 9)
            digit = ((uint32_t)*text | 32u) - 'a' + 10u;
        if (digit >= base)
            break;
        n = n * base + digit;
    }
    return n;
}

/* ---- strings ---- */

void *memcpy(void *to, const void *from, size_t size)
{
    void *result = to;

    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(size) : : "memory");
    return result;
}

void *memmove(void *to, const void *from, size_t size)
{
    char *t = to;
    const char *f = from;

    if (t <= f || t >= f + size)
        return memcpy(to, from, size);
    while (size--)
        t[size] = f[size];
    return to;
}

void *memset(void *to, int byte, size_t size)
{
    void *result = to;

    __asm__ volatile("rep stosb" : "+D"(to), "+c"(size) : "a"(byte) : "memory");
    return result;
}

int memcmp(const void *a, const void *b, size_t size)
{
    const unsigned char *p = a, *q = b;
    size_t i;

    for (i = 0; i < size; i++)
        if (p[i] != q[i])
            return p[i] < q[i] ? -1 : 1;
    return 0;
}

size_t l4_strlen(const char *s)
{
    size_t n = 0;

    while (s[n])
        n++;
    return n;
}

int l4_strcmp(const char *a, const char *b)
{
    while (*a && *a == *b) {
        a++;
        b++;
    }
    return (unsigned char)*a - (unsigned char)*b;
}

int l4_strncmp(const char *a, const char *b, size_t size)
{
    size_t i;

    for (i = 0; i < size; i++) {
        if (a[i] != b[i])
            return (unsigned char)a[i] - (unsigned char)b[i];
        if (!a[i])
            break;
    }
    return 0;
}
