# SPDX-License-Identifier: MIT
user-programs += gdbpair
gdbpair-c := tests/gdb/program/main.c
