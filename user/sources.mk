# SPDX-License-Identifier: MIT
libl4sec-c += user/libl4sec/syscall.c user/libl4sec/lib.c user/libl4sec/child.c
libl4sec-asm += user/libl4sec/crt0.asm
user-programs += sigma0
sigma0-c := user/sigma0/main.c
user-programs += bench
bench-c := user/bench/main.c user/bench/scale.c user/bench/stretch.c
user-programs += sched
sched-c := user/demos/sched.c
