// SPDX-License-Identifier: MIT
/*
 * Names that programs or the person at the prompt give to objects.  A fixed table keyed by object id;
 * ids are never used again, so a stale entry can mislead nobody and the oldest one makes room.
 */
#include "kernel/debug/debug.h"

#include "kernel/lib/string.h"

#define NAMES 256u

static struct { uint32_t id; char text[OBJECT_NAME_MAX + 1]; } names[NAMES];
static unsigned next_victim;

static unsigned find(uint32_t id)
{
    unsigned i = 0;

    while (i < NAMES && names[i].id != id)
        i++;
    return i;
}

/* Names appear inside framed and JSON output: only letters, digits and . - _ survive. */
static char harmless(char c)
{
    bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                c == '.' || c == '-' || c == '_';

    return good ? c : '_';
}

bool object_name_set(uint32_t id, const char *name, unsigned length)
{
    unsigned i = find(id), n = 0;

    if (id == 0)
        return false;
    while (n < length && name[n] != '\0')
        n++;
    if (n > OBJECT_NAME_MAX)
        return false;
    if (n == 0) {
        if (i < NAMES)
            names[i].id = 0;
        return true;
    }
    if (i == NAMES)
        i = find(0);
    if (i == NAMES)
        i = next_victim++ % NAMES;
    names[i].id = id;
    for (unsigned j = 0; j < n; j++)
        names[i].text[j] = harmless(name[j]);
    names[i].text[n] = '\0';
    return true;
}

const char *object_name(uint32_t id)
{
    unsigned i = id ? find(id) : NAMES;

    return i < NAMES ? names[i].text : NULL;
}
