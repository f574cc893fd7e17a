# SPDX-License-Identifier: MIT
kernel-c += kernel/lib/fmt.c kernel/lib/string.c
kernel-c += kernel/flexpage.c kernel/map.c kernel/unmap.c kernel/sys_create.c kernel/convert.c kernel/sys_inspect.c
kernel-c += kernel/boot.c kernel/boot_mem.c
