// SPDX-License-Identifier: MIT
/*
 * GDB's `monitor LINE` runs a kdb command line; what it prints goes out in O packets as it comes.  Two
 * settings of the stub itself: `mmio on|off`.
 */
#include "gdbstub/stub.h"
#include "kdb/kdb.h"
#include "kernel/lib/fmt.h"
#include "kernel/lib/string.h"

/* Absent when the kernel is built without kdb. */
#pragma weak kdb_exec

bool monitor_has_kdb(void) { return kdb_exec != NULL; }

#define PIECE 400u

static struct output { char text[PIECE]; unsigned size; } output;

static void flush(void)
{
    if (!output.size)
        return;
    packet_begin(&stub.out);
    packet_byte(&stub.out, 'O');
    packet_hex_bytes(&stub.out, output.text, output.size);
    output.size = 0;
    rsp_send();
}

static void put(void *arg, char c)
{
    (void)arg;
    if (c == '\r')
        return;
    output.text[output.size++] = c;
    if (output.size == PIECE)
        flush();
}

static void put_text(const char *text)
{
    while (*text)
        put(NULL, *text++);
}

struct call { const char *line; int rc; };

static void execute(void *arg)
{
    struct call *call = arg;
    call->rc = kdb_exec(call->line, KDB_GDB, put, NULL);
}

void monitor_run(const char *line)
{
    struct call call = { *line ? line : "help", 0 };
    output.size = 0;
    if (strcmp(line, "mmio on") == 0 || strcmp(line, "mmio off") == 0) {
        stub.mmio = line[6] == 'n';
        put_text(stub.mmio ? "device registers can be read and written\n" : "only RAM can be read and written\n");
    } else if (!kdb_exec) {
        put_text("this kernel has no kdb\n");
        call.rc = KDB_USAGE;
    } else {
        uint32_t ip = 0, address = 0;
        if (!debug_guard(execute, &call, &ip, &address)) {
            char text[64];
            fmt_buffer(text, sizeof(text), "the command faulted at 0x%x\n", (unsigned)ip);
            put_text(text);
            call.rc = KDB_NESTED;
        }
    }
    flush();
    packet_begin(&stub.out);
    if (call.rc == 0)
        packet_text(&stub.out, "OK");
    else
        rsp_error((unsigned)call.rc);
}
