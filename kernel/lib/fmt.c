// SPDX-License-Identifier: MIT
/*
 * Formatted output.  One conversion at a time, digits in a small array, no division of 64-bit numbers:
 * a 64-bit decimal is taken apart by subtracting powers of ten.
 */
#include "kernel/lib/fmt.h"
#include "kernel/lib/string.h"

#define DIGITS_MAX 20u /* of 2^64 - 1 */

struct conversion {
    unsigned width, precision;
    bool has_precision, left, zero, negative;
};

static unsigned digits_hex(char *to, uint64_t value, bool upper)
{
    unsigned n = 0;

    do {
        unsigned digit = (unsigned)value & 15u;
        to[n++] = (char)(digit < 10 ? '0' + digit : (upper ? 'A' : 'a') + digit - 10);
        value >>= 4;
    } while (value);
    return n;
}

/* Least significant digit first, as digits_hex(). */
static unsigned digits_decimal(char *to, uint64_t value)
{
    static const uint64_t tens[] = {
        10000000000000000000u, 1000000000000000000u, 100000000000000000u, 10000000000000000u,
        1000000000000000u, 100000000000000u, 10000000000000u, 1000000000000u, 100000000000u,
        10000000000u, 1000000000u
    };
    unsigned n = 0, length = 0;
    char high[ARRAY_SIZE(tens)];

    for (unsigned i = 0; i < ARRAY_SIZE(tens); i++) {
        unsigned digit = 0;
        for (; value >= tens[i]; value -= tens[i])
            digit++;
        if (digit || length)
            high[length++] = (char)('0' + digit);
    }
    uint32_t low = (uint32_t)value; /* below 10^9 */
    if (length) {
        for (; n < 9; low /= 10)
            to[n++] = (char)('0' + low % 10);
        while (length)
            to[n++] = high[--length];
    } else {
        do {
            to[n++] = (char)('0' + low % 10);
            low /= 10;
        } while (low);
    }
    return n;
}

static void pad(fmt_sink sink, void *arg, char c, unsigned have, unsigned width)
{
    for (; have < width; have++)
        sink(arg, c);
}

static void put_number(fmt_sink sink, void *arg, const struct conversion *c, const char *digits, unsigned n)
{
    unsigned have = n + (c->negative ? 1u : 0u);

    if (!c->left && !c->zero)
        pad(sink, arg, ' ', have, c->width);
    if (c->negative)
        sink(arg, '-');
    if (!c->left && c->zero)
        pad(sink, arg, '0', have, c->width);
    while (n)
        sink(arg, digits[--n]);
    if (c->left)
        pad(sink, arg, ' ', have, c->width);
}

static void put_string(fmt_sink sink, void *arg, const struct conversion *c, const char *s)
{
    unsigned n = 0;

    if (!s)
        s = "(null)";
    while ((!c->has_precision || n < c->precision) && s[n])
        n++;
    if (!c->left)
        pad(sink, arg, ' ', n, c->width);
    for (unsigned i = 0; i < n; i++)
        sink(arg, s[i]);
    if (c->left)
        pad(sink, arg, ' ', n, c->width);
}

static unsigned parse_number(const char **at)
{
    unsigned n = 0;

    for (; **at >= '0' && **at <= '9'; (*at)++)
        n = n * 10 + (unsigned)(**at - '0');
    return n;
}

void fmt_va(fmt_sink sink, void *arg, const char *format, va_list list)
{
    va_list ap;

    va_copy(ap, list);
    for (; *format; format++) {
        if (*format != '%') {
            sink(arg, *format);
            continue;
        }
        const char *start = format++;
        struct conversion c = { 0 };
        unsigned longs = 0, n;
        char digits[DIGITS_MAX];
        uint64_t value;

        for (; *format == '-' || *format == '0'; format++) {
            if (*format == '-')
                c.left = true;
            else
                c.zero = true;
        }
        if (*format == '*') {
            int width = va_arg(ap, int);
            c.left = c.left || width < 0;
            c.width = width < 0 ? 0u - (unsigned)width : (unsigned)width;
            format++;
        } else {
            c.width = parse_number(&format);
        }
        if (*format == '.') {
            format++;
            c.has_precision = true;
            if (*format == '*') {
                int precision = va_arg(ap, int);
                c.has_precision = precision >= 0;
                c.precision = precision < 0 ? 0 : (unsigned)precision;
                format++;
            } else {
                c.precision = parse_number(&format);
            }
        }
        for (; *format == 'l'; format++)
            longs++;

        switch (*format) {
        case 'd': {
            int64_t number = longs >= 2 ? va_arg(ap, long long)
                           : longs == 1 ? va_arg(ap, long) : va_arg(ap, int);
            c.negative = number < 0;
            value = c.negative ? 0u - (uint64_t)number : (uint64_t)number;
            put_number(sink, arg, &c, digits, digits_decimal(digits, value));
            break;
        }
        case 'u':
        case 'x':
        case 'X':
            value = longs >= 2 ? va_arg(ap, unsigned long long)
                  : longs == 1 ? va_arg(ap, unsigned long) : va_arg(ap, unsigned);
            n = *format == 'u' ? digits_decimal(digits, value)
                               : digits_hex(digits, value, *format == 'X');
            put_number(sink, arg, &c, digits, n);
            break;
        case 'p':
            c.zero = true;
            c.width = 2 * sizeof(uintptr_t);
            put_number(sink, arg, &c, digits, digits_hex(digits, (uintptr_t)va_arg(ap, void *), false));
            break;
        case 's':
            put_string(sink, arg, &c, va_arg(ap, const char *));
            break;
        case 'c':
            digits[0] = (char)va_arg(ap, int);
            c.zero = false;
            put_number(sink, arg, &c, digits, 1);
            break;
        case '%':
            sink(arg, '%');
            break;
        default: /* show what cannot be understood, and end with the format */
            for (; start < format; start++)
                sink(arg, *start);
            if (!*format)
                format--;
            else
                sink(arg, *format);
            break;
        }
    }
    va_end(ap);
}

struct buffer { char *at, *end; unsigned length; };

static void buffer_sink(void *arg, char c)
{
    struct buffer *b = arg;

    b->length++;
    if (b->at < b->end)
        *b->at++ = c;
}

unsigned fmt_buffer_va(char *buffer, unsigned size, const char *format, va_list list)
{
    struct buffer b = { buffer, size ? buffer + size - 1 : buffer, 0 };

    fmt_va(buffer_sink, &b, format, list);
    if (size)
        *b.at = '\0';
    return b.length;
}

unsigned fmt_buffer(char *buffer, unsigned size, const char *format, ...)
{
    va_list list;

    va_start(list, format);
    unsigned length = fmt_buffer_va(buffer, size, format, list);
    va_end(list);
    return length;
}
