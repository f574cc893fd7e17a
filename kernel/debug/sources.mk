kernel-c += kernel/debug/console.c kernel/debug/panic.c
kernel-debug-c += kernel/debug/debug.c kernel/debug/probe.c kernel/debug/bp.c kernel/debug/sym.c
kernel-debug-c += kernel/debug/name.c kernel/debug/sys_debug.c
