# SPDX-License-Identifier: MIT
libl4sec-c += user/libl4sec/syscall.c user/libl4sec/lib.c
libl4sec-asm += user/libl4sec/crt0.asm
