# SPDX-License-Identifier: MIT
kernel-c += kernel/debug/console.c kernel/debug/panic.c
kernel-debug-c += kernel/debug/debug.c kernel/debug/probe.c kernel/debug/bp.c kernel/debug/sym.c
kernel-debug-c += kernel/debug/name.c kernel/debug/sys_debug.c kernel/debug/poison.c
# What needs a machine to stop; arch/host has its own kprintf(), panic(), debug_enter() and sys_debug().
host-omit += kernel/debug/console.c kernel/debug/panic.c kernel/debug/debug.c kernel/debug/probe.c
host-omit += kernel/debug/bp.c kernel/debug/sym.c kernel/debug/sys_debug.c kernel/debug/poison.c
