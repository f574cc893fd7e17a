# SPDX-License-Identifier: MIT
arch-asm += arch/ia32/boot/multiboot.asm arch/ia32/entry/entry.asm
arch-c += arch/ia32/boot/init.c arch/ia32/boot/multiboot.c arch/ia32/entry/trap.c arch/ia32/entry/io_decode.c
arch-c += arch/ia32/mm/paging.c arch/ia32/mm/usercopy.c
arch-c += arch/ia32/cpu/tables.c arch/ia32/cpu/fpu.c arch/ia32/cpu/features.c arch/ia32/cpu/cpu.c
arch-debug-c += arch/ia32/debug/dr.c arch/ia32/debug/fpu.c
arch-debug-asm += arch/ia32/debug/stack.asm
arch-asm += arch/ia32/cpu/string.asm
