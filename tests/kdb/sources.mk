# SPDX-License-Identifier: MIT
user-programs += kdbtest
kdbtest-c := tests/kdb/program/main.c
