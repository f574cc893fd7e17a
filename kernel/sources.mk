# SPDX-License-Identifier: MIT
kernel-c += kernel/lib/fmt.c kernel/lib/string.c
kernel-c += kernel/flexpage.c kernel/map.c kernel/unmap.c kernel/sys_create.c kernel/convert.c kernel/sys_inspect.c
kernel-c += kernel/boot.c kernel/boot_mem.c
kernel-c += kernel/object.c kernel/kpage.c kernel/mapdb.c kernel/revoke.c kernel/space.c kernel/reap.c kernel/reap_walk.c \
            kernel/check_memory.c kernel/check_spaces.c kernel/check_trees.c kernel/check_walk.c
kernel-c += kernel/sched.c kernel/resv.c kernel/deadline.c kernel/clock.c kernel/check_sched.c
kernel-c += kernel/sys_schedule.c kernel/sys_switch.c
kernel-c += kernel/sys.c kernel/fault.c kernel/irq.c kernel/cpu.c kernel/check.c kernel/trace.c
kernel-c += kernel/ipc.c kernel/thread.c kernel/sys_exregs.c kernel/sys_tcr.c kernel/check_thread.c
host-omit += kernel/lib/string.c # the C library has them
kernel-c += kernel/ipc_fast.c kernel/ipc_straight.c
