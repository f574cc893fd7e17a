# SPDX-License-Identifier: MIT
# What a GDB session on L4.Sec wants.  Use: gdb -x scripts/gdb/init.gdb build/ia32-debug/l4sec.elf
# then: target remote PATH-OR-PORT of COM2 (our stub) or of QEMU's -gdb.

set confirm off
set pagination off
set print pretty on
# Points stay in place between stops, so that one in a task is not tied to the thread selected later.
set breakpoint always-inserted on
# Device memory and holes answer with an error, which is the truth.
set mem inaccessible-by-default off
set remotetimeout 20
set disassembly-flavor intel

source scripts/gdb/l4sec.py

# A line of kdb can change what was read.
define hookpost-monitor
  python Cache.forget()
end

# The stub is told that points stay, so that the same address can be set in another task.
define target hookpost-remote
  python points_stay()
end
