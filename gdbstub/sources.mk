# SPDX-License-Identifier: MIT
gdbstub-c += gdbstub/packet.c gdbstub/rsp.c gdbstub/target.c gdbstub/threads.c gdbstub/monitor.c \
             gdbstub/agent.c gdbstub/conditions.c
host-omit += gdbstub/rsp.c gdbstub/target.c gdbstub/threads.c gdbstub/monitor.c gdbstub/conditions.c
