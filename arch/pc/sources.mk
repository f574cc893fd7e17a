# SPDX-License-Identifier: MIT
arch-c += arch/pc/uart16550.c arch/pc/i8259.c arch/pc/pit.c
