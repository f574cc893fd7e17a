# SPDX-License-Identifier: MIT
kernel-c += kernel/lib/fmt.c kernel/lib/string.c
