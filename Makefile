# SPDX-License-Identifier: MIT
# The whole build: one non-recursive Makefile.  Each directory's sources.mk only appends to the lists below.
# Knobs: ARCH=ia32 MODE=debug|release O=build/DIR CC=gcc V=1 (show commands) ARGS="..." (for run, gdb, check, test)

ARCH ?= ia32
MODE ?= debug
O    ?= build/$(ARCH)-$(MODE)
CC   := $(if $(filter default,$(origin CC)),gcc,$(CC))
NASM ?= nasm
PYTHON ?= /usr/bin/python3
Q    := $(if $(V),,@)
say   = $(if $(V),:,@printf '  %-8s %s\n') "$(1)" "$(2)"

ifeq ($(filter $(MODE),debug release),)
$(error MODE is 'debug' or 'release', not '$(MODE)')
endif
ifeq ($(wildcard arch/$(ARCH)/kernel.ld),)
$(error no kernel can be built for ARCH=$(ARCH): arch/$(ARCH)/kernel.ld is missing)
endif
ifneq ($(filter 1,$(words $(O)))$(filter /% ../%,$(O)),1)
$(error O must be a path below this directory, such as build/mine)
endif

.DELETE_ON_ERROR:
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules --no-builtin-variables
.DEFAULT_GOAL := all

# ---- sources -------------------------------------------------------------------------------------
# kernel-c        always part of the kernel          kernel-debug-c, kdb-c, gdbstub-c   debug builds only
# arch-c arch-asm the machine                        arch-debug-c, arch-debug-asm       debug builds only
# host-c          arch/host, for the unit tests      host-omit      kernel sources that arch/host replaces
# user-programs   each with NAME-c, NAME-asm         libl4sec-c, libl4sec-asm  linked into every program
# unit-tests      each is tests/unit/NAME.c          unit-c         linked into each unit test
# NAME-link       linker options of one unit test
lists := kernel-c kernel-debug-c kdb-c gdbstub-c arch-c arch-asm arch-debug-c arch-debug-asm \
         host-c host-omit user-programs libl4sec-c libl4sec-asm unit-tests unit-c
$(foreach l,$(lists),$(eval $(l) :=))
fragments := $(sort $(wildcard kernel/sources.mk kernel/*/sources.mk kdb/sources.mk gdbstub/sources.mk \
               arch/$(ARCH)/sources.mk arch/$(ARCH)/*/sources.mk arch/pc/sources.mk arch/host/sources.mk \
               user/sources.mk user/*/sources.mk tests/*/sources.mk))
include $(fragments)

kernel-sources := $(kernel-c) $(arch-c) $(arch-asm)
ifeq ($(MODE),debug)
kernel-sources += $(kernel-debug-c) $(kdb-c) $(gdbstub-c) $(arch-debug-c) $(arch-debug-asm)
endif
kernel-sources := $(sort $(kernel-sources))
program-sources = $(sort $($(1)-c) $($(1)-asm) $(libl4sec-c) $(libl4sec-asm))
objects = $(patsubst %,$(O)/obj/%.o,$(1))
host-sources := $(sort $(filter-out $(host-omit),$(kernel-c) $(kernel-debug-c) $(kdb-c) $(gdbstub-c)) \
                       $(host-c) $(unit-c))

# ---- flags ---------------------------------------------------------------------------------------
warn := -Wall -Wextra -Wpedantic -Werror -Wshadow -Wundef -Wvla -Wstrict-prototypes -Wmissing-prototypes \
        -Wmissing-declarations -Wold-style-definition -Wnested-externs -Wpointer-arith \
        -Wcast-qual -Wwrite-strings -Wformat=2 -Wswitch-enum -Wunused-macros -Wdate-time
warn-gcc   := -Wcast-align -Wlogical-op -Wduplicated-cond -Wduplicated-branches
warn-clang := -Wimplicit-fallthrough -Wno-unused-command-line-argument
gen  := -std=c17 -g3 -fno-common -fno-strict-aliasing -fno-delete-null-pointer-checks -fno-omit-frame-pointer \
        -ffile-prefix-map=$(CURDIR)=.
free := -ffreestanding -fno-pic -fno-pie -fno-stack-protector -fno-asynchronous-unwind-tables -O2
cc-kind   := $(if $(findstring clang,$(notdir $(CC))),clang,gcc)
ia32-gcc   := -mpreferred-stack-boundary=2
ia32-clang := --target=i486-none-elf -mstack-alignment=4
ia32 := -m32 -march=i486 -mgeneral-regs-only $(ia32-$(cc-kind))
mode-release := -DNDEBUG
warnings := $(warn) $(warn-$(cc-kind))

kernel-flags := $(gen) $(free) $($(ARCH)) $(warnings) -Wframe-larger-than=1024 $(mode-$(MODE)) \
                -I. -Iarch/$(ARCH)/include -Ikernel/abi -I$(O)
user-flags   := $(gen) $(free) $($(ARCH)) $(warnings) -I. -Ikernel/abi -Iuser/libl4sec/include
unit-flags   := $(gen) -m32 -fno-pie -O1 -D_DEFAULT_SOURCE $(warnings) -fsanitize=address,undefined -fno-sanitize-recover=all \
                -I. -Iarch/host/include -Iarch/ia32/include -Ikernel/abi -Itests/unit
nasm-flags   := -f elf32 -w+all -w+error -I$(O)/ -I./ $(if $(filter debug,$(MODE)),-g -F dwarf)
link-flags   := -m elf_i386 --fatal-warnings -z noexecstack --build-id=none --orphan-handling=error \
                -z max-page-size=4096
flags-for = $(if $(filter user/% tests/%,$(1)),$(user-flags),$(kernel-flags))

# ---- what to build -------------------------------------------------------------------------------
kernel   := $(O)/l4sec.elf
programs := $(patsubst %,$(O)/user/%.elf,$(user-programs))
units    := $(patsubst %,$(O)/unit/%,$(unit-tests))

# Targets that need more than a compiler get it first; a plain build leaves the machine alone.
need-packages := run gdb gdb-qemu check test bench iso packages
ifneq ($(filter $(need-packages),$(MAKECMDGOALS)),)
packages := $(O)/.packages
endif

.PHONY: all
all: kernel user $(O)/compile_commands.json ## kernel, user programs, compile_commands.json
.PHONY: kernel user
kernel: $(kernel) ## only the kernel
user: $(programs) ## only the user programs

$(O)/obj/%.c.o: %.c Makefile | $(packages)
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(call flags-for,$<) -MMD -MP -c $< -o $@

# NASM 2.16 forgets included files in what -MD writes; -M, without assembling, lists them.
$(O)/obj/%.asm.o: %.asm $(O)/offsets.inc Makefile | $(packages)
	$(call say,NASM,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(NASM) $(nasm-flags) -M -MP -MF $(@:.o=.d) -MT $@ $<
	$(Q)$(NASM) $(nasm-flags) $< -o $@

# Numbers that assembly shares with C: the compiler evaluates them, sed picks them out of its output.
$(O)/offsets.inc: arch/$(ARCH)/entry/offsets.c Makefile | $(packages)
	$(call say,OFFSETS,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(kernel-flags) -g0 -MMD -MP -MT $@ -MF $(O)/offsets.d -S $< -o $(O)/offsets.s
	$(Q)sed -n 's/^.*\.ascii[[:blank:]]*"OFFSET \([A-Z0-9_]*\) \$$*\([-0-9]*\)".*$$/%define \1 \2/p' $(O)/offsets.s >$@.new
	$(Q)test -s $@.new && mv $@.new $@

# The symbol table is the last thing in the image, so it can be filled without moving what it names.
ifeq ($(MODE),debug)
symbols-from = $(O)/l4sec.pass1.elf
endif
link-kernel = $(LD) $(link-flags) -T arch/$(ARCH)/kernel.ld -Map $(@:.elf=.map) -o $@ $(filter %.o,$^)
LD := ld

$(O)/obj/symbols-empty.s:
	$(Q)mkdir -p $(@D)
	$(Q)$(PYTHON) scripts/mksyms.py --empty >$@
$(O)/obj/symbols-full.s: $(O)/l4sec.pass1.elf scripts/mksyms.py
	$(call say,SYMBOLS,$@)
	$(Q)nm -n $< | $(PYTHON) scripts/mksyms.py >$@
$(O)/obj/symbols-%.o: $(O)/obj/symbols-%.s
	$(Q)$(CC) $($(ARCH)) -c $< -o $@
$(O)/l4sec.pass1.elf: $(call objects,$(kernel-sources)) $(O)/obj/symbols-empty.o arch/$(ARCH)/kernel.ld $(fragments)
	$(Q)$(link-kernel)
$(kernel): $(call objects,$(kernel-sources)) $(O)/obj/symbols-$(if $(symbols-from),full,empty).o arch/$(ARCH)/kernel.ld $(fragments)
	$(call say,LD,$@)
	$(Q)$(link-kernel)
	$(Q)$(if $(symbols-from),nm -n $@ | $(PYTHON) scripts/mksyms.py --compare $(O)/obj/symbols-full.s)

define program-rule
$(O)/user/$(1).elf: $(call objects,$(call program-sources,$(1))) user/libl4sec/user.ld $(fragments)
	$$(call say,LD,$$@)
	$$(Q)mkdir -p $$(@D)
	$$(Q)$$(LD) $$(link-flags) --defsym=USER_BASE=$(or $($(1)-base),0x00400000) -T user/libl4sec/user.ld -o $$@ $$(filter %.o,$$^)
endef
$(foreach p,$(user-programs),$(eval $(call program-rule,$(p))))

.PHONY: print-kernel print-sigma0
print-kernel: ## the path of the kernel (make -s)
	@echo $(kernel)
print-sigma0: ## the path of sigma0 (make -s)
	@echo $(O)/user/sigma0.elf

# ---- run, debug, test ----------------------------------------------------------------------------
.PHONY: packages run gdb gdb-qemu check test bench unit
packages: $(O)/.packages ## install the Debian packages that running and testing need
$(O)/.packages: scripts/packages.txt scripts/install-packages
	$(Q)mkdir -p $(@D)
	$(Q)scripts/install-packages
	$(Q)touch $@
tool := ARCH=$(ARCH) MODE=$(MODE) O=$(O) scripts/l4sec
run gdb gdb-qemu: $(packages) all
	$(Q)$(tool) $@ $(ARGS)
test check bench: $(packages) all unit iso
	$(Q)$(tool) $@ $(ARGS)
run: ## boot in QEMU, kernel debugger on this terminal
gdb: ## boot in QEMU and attach GDB to the kernel's own stub
gdb-qemu: ## the same with QEMU's stub, below the kernel
test: ## all tests; ARGS selects
check: ## lint, unit tests and the quick guest tests
bench: ## measure; see user/bench
check: lint

unit: $(units) ## build the host unit tests
$(O)/unit/obj/%.c.o: %.c Makefile | $(packages)
	$(call say,HOSTCC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(unit-flags) -MMD -MP -c $< -o $@
$(units): $(O)/unit/%: $(O)/unit/obj/tests/unit/%.c.o $(patsubst %,$(O)/unit/obj/%.o,$(host-sources))
	$(call say,HOSTLD,$@)
	$(Q)$(CC) -m32 -fsanitize=address,undefined -no-pie $($(@F)-link) $(filter %.o,$^) -o $@

# Long model runs want speed: the same programs, optimised and without sanitizers, as NAME-fast.
unit-fast := $(patsubst %,$(O)/unit/%-fast,test_model test_states test_pages test_storm test_preempt test_flexpage)
unit-fast-flags := $(filter-out -O1 -fsanitize=% -fno-sanitize-recover=%,$(unit-flags)) -O2
unit: $(unit-fast)
$(O)/unit/fast/%.c.o: %.c Makefile | $(packages)
	$(call say,HOSTCC,$< (fast))
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(unit-fast-flags) -MMD -MP -c $< -o $@
$(unit-fast): $(O)/unit/%-fast: $(O)/unit/fast/tests/unit/%.c.o $(patsubst %,$(O)/unit/fast/%.o,$(host-sources))
	$(call say,HOSTLD,$@)
	$(Q)$(CC) -m32 -no-pie $(filter %.o,$^) -o $@

.PHONY: soak soak-unit
soak-unit: $(packages) unit ## ten million model steps, all words as flexpages, pairs of interruptions, storms; two at a time
	printf '%s\n' $(foreach s,1 2 3 4,'test_model-fast steps=2500000 seed=$(s)') 'test_flexpage-fast step=1 decode_sweep' \
	    'test_preempt-fast stride=1 pairs=40' \
	    'test_pages-fast tasks=4 pages=2 checks=16' "test_storm-fast steps=2000000 seed=$$(date +%s)" | \
	    xargs -P 2 -I{} sh -c 'echo "{}"; scripts/run32 $(O)/unit/{}'
soak: $(packages) all soak-unit ## the same, then each action at each place of the sweep
	SWEEP_STRIDE=1 $(tool) test tests/guest/test_sweep.py

.PHONY: iso
iso: $(O)/l4sec.iso ## a bootable CD image (GRUB)
$(O)/l4sec.iso: $(kernel) $(programs) arch/pc/grub.cfg
	$(call say,ISO,$@)
	$(Q)rm -rf $(O)/iso && mkdir -p $(O)/iso/boot/grub
	$(Q)cp $(kernel) $(programs) $(O)/iso/boot/ && cp arch/pc/grub.cfg $(O)/iso/boot/grub/
	$(Q)grub-mkrescue -d /usr/lib/grub/i386-pc -o $@ $(O)/iso >$(O)/iso.log 2>&1 || { cat $(O)/iso.log; exit 1; }

# ---- checks of the text --------------------------------------------------------------------------
.PHONY: lint lint-headers lint-layers check-spec conformance
lint: lint-headers lint-layers check-spec ## headers compile alone, layers hold, each section of the specification has code and test
kernel-headers := $(sort $(wildcard kernel/*.h kernel/*/*.h kernel/abi/l4sec/*.h kdb/*.h gdbstub/*.h \
                    arch/$(ARCH)/*/*.h arch/$(ARCH)/include/arch/*.h))
lint-headers: $(patsubst %,$(O)/lint/%.ok,$(kernel-headers))
$(O)/lint/%.h.ok: %.h Makefile
	$(Q)mkdir -p $(@D)
	$(Q)printf '#include "%s"\nextern int lint_needs_a_declaration;\n' $< | $(CC) $(kernel-flags) \
	    -fsyntax-only -MMD -MP -MT $@ -MF $(@:.ok=.d) -x c -
	$(Q)touch $@
# The kernel knows neither front end, nor a machine but through <arch/...>; the debug core may ask kdb for a line.
lint-layers:
	$(Q)! grep -nE '#include *["<](kdb|gdbstub|arch/(ia32|pc|host))/' $(sort $(filter kernel/%,$(kernel-c) $(kernel-debug-c)) \
	    $(filter kernel/%,$(kernel-headers))) | grep -v '^kernel/debug/.*"kdb/kdb.h"' || \
	    { echo 'lint: the kernel includes what is above it'; false; }
	$(Q)! grep -nE '\b(asm|__asm__)\b' $(filter kernel/%,$(kernel-c)) || { echo 'lint: assembly in kernel/'; false; }

check-spec: ## each section of scripts/spec.txt has code and a test, and docs/conformance.md says so
	$(Q)$(PYTHON) scripts/spec_trace.py --check
conformance: ## write docs/conformance.md
	$(Q)$(PYTHON) scripts/spec_trace.py

comma := ,
$(O)/compile_commands.json: Makefile $(fragments)
	$(shell mkdir -p $(@D))$(file >$@,[$(foreach f,$(sort $(filter %.c,$(kernel-sources) $(libl4sec-c) $(foreach p,$(user-programs),$($(p)-c)))),\
	  {"directory":"$(CURDIR)"$(comma)"file":"$(f)"$(comma)"command":"$(CC) $(call flags-for,$(f)) -c $(f)"}$(comma))\
	  {"directory":"$(CURDIR)"$(comma)"file":"arch/$(ARCH)/entry/offsets.c"$(comma)"command":"$(CC) $(kernel-flags) -S arch/$(ARCH)/entry/offsets.c"}])

.PHONY: clean help
clean: ## remove this configuration's build directory
	$(Q)rm -rf $(O)
help: ## this list
	@echo 'make [TARGET] [ARCH=$(ARCH)] [MODE=debug|release] [O=$(O)] [V=1] [ARGS="..."]'
	@sed -n 's/^\([a-z0-9-]*\):[^#]*## \(.*\)$$/  \1\t\2/p' Makefile | sort | expand -t 18

-include $(shell find $(O) -name '*.d' 2>/dev/null)
