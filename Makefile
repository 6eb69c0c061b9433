# SPDX-License-Identifier: Apache-2.0
# Socle: `make help` lists the targets.
B := build
CC ?= gcc
HOSTCC := $(CC)
NASM := nasm
FOLDERS := host lib vmx ept vcpu devices ring sched vm

.DEFAULT_GOAL := help
MAKEFLAGS += -j$(shell nproc)
# V=1 shows the commands.
$(V).SILENT:

help:
	@sed -n 's/^#: //p' Makefile

#: make run            build everything, boot it, this terminal becomes the console (Ctrl-] ? for help)
#: make test           everything that can be tested here; the last line says N passed, N failed, N skipped
#: make all            the application (build/socle.efi) and the guests
#: make image          build/socle.img, a disk image for QEMU, Bochs or a USB stick (dd)
#: make iso            build/socle.iso, a CD image with the same content
#: make unit           unit tests only             make boot-test   boot tests only (K=NAME selects)
#: make soak           30 minutes of random life-cycle verbs over 8 guests (SECONDS=N SEED=N CPUS=N CYCLES=N)
#: make soak-io        10 minutes of random I/O on all devices, 64 MiB to the outside (SECONDS=N SEED=N UPLINK=MiB)
#: make lint           style, sizes, include direction
#: make fuzz           fuzzes parser and decoder   make fuzz-replay  the known inputs only
#: make check-config CONF=FILE   checks a socle.conf without booting it
#: make bench-exits    instructions per kind of VM exit
#: make bench-sched    who gets how much of the CPUs, and how late; writes build/report/sched.html (K='SCENE POLICY ...')
#: make bench-io       what a request to a disk costs; writes build/report/report.html (QUICK=1: few points, K='WAY ...', REPEAT=N,
#:                     REAL=1: real time, where KVM can nest VT-x)
#: make bench-linux    Linux in Socle beside Linux without it
#: make clean          removes build/
#: Missing Debian packages are installed first (scripts/deps).

# ---- packages: make remakes what it includes, and starts anew, before it looks at the targets ----
ifneq ($(filter-out help clean,$(MAKECMDGOALS)),)
include $(B)/deps.mk
$(B)/deps.mk: scripts/deps
	@mkdir -p $(@D)
	@scripts/deps
	@touch $@
endif

# ---- the hypervisor: freestanding ELF ----
WARN := -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Werror
CFLAGS := -std=gnu17 -O2 -g -ffreestanding -fno-builtin -mgeneral-regs-only -mno-red-zone -mcmodel=kernel \
	-fno-pic -fno-pie -fstack-protector-strong -mstack-protector-guard=global -fno-omit-frame-pointer \
	-fno-strict-aliasing -fcf-protection=none -fno-asynchronous-unwind-tables -Iinclude $(WARN)
SRC_C := $(foreach f,$(FOLDERS),$(wildcard $(f)/*.c))
SRC_ASM := $(foreach f,$(FOLDERS),$(wildcard $(f)/*.asm))
OBJ := $(SRC_C:%.c=$(B)/hv/%.o) $(SRC_ASM:%.asm=$(B)/hv/%.asm.o)

$(B)/hv/%.o: %.c
	@mkdir -p $(@D)
	@echo "  CC    $<"
	$(CC) $(CFLAGS) -MMD -MP -c $< -o $@
$(B)/hv/%.asm.o: %.asm
	@mkdir -p $(@D)
	@echo "  NASM  $<"
	$(NASM) -f elf64 -g -F dwarf -Iinclude/ -MD $(@:.o=.d) $< -o $@
$(B)/socle.elf: $(OBJ) host/socle.ld
	@echo "  LD    $@"
	ld -nostdlib -static -z noexecstack -z max-page-size=4096 -T host/socle.ld -o $@ $(OBJ)

# ---- unit tests: the same sources, hosted, under ASan and UBSan. A test links an archive of all of
# them, so it gets what it calls, and may define fakes for the rest. tests/unit/shim.c has the common ones. ----
# tests/unit/include comes first: a VMCS in an array, registers that only ring 0 has.
UCFLAGS := -std=gnu17 -O1 -g -Itests/unit/include -Iinclude -I. -fsanitize=address,undefined \
	-fno-sanitize-recover=undefined -fno-omit-frame-pointer -Wall -Wextra -Werror
UOBJ := $(patsubst %.c,$(B)/unit/%.o,$(filter-out lib/string.c lib/printf.c lib/log.c,$(SRC_C)))
UTESTS := $(patsubst tests/unit/%.c,$(B)/unit/%,$(wildcard tests/unit/test_*.c))
$(B)/unit/%.o: %.c
	@mkdir -p $(@D)
	@echo "  CC    $< (unit tests)"
	$(CC) $(UCFLAGS) -MMD -MP -c $< -o $@
$(B)/unit/libsocle.a: $(UOBJ)
	@rm -f $@
	ar rcs $@ $^
LDLIBS_test_insn_zydis := -lZydis
$(B)/unit/test_%: tests/unit/test_%.c $(B)/unit/tests/unit/shim.o $(wildcard tests/unit/*.h tests/unit/include/*.h) $(B)/unit/libsocle.a
	@echo "  CC    $<"
	$(CC) $(UCFLAGS) -MMD -MP -MF $@.d -MT $@ $< $(B)/unit/tests/unit/shim.o $(B)/unit/libsocle.a -lcmocka $(LDLIBS_$(@F)) -o $@
unit: $(UTESTS)
	@scripts/test --build $(B) unit

include $(wildcard $(FOLDERS:%=%/rules.mk)) efi/rules.mk guests/rules.mk guests/linux/rules.mk
include tests/fuzz/rules.mk
include tests/boot/rules.mk

all: $(B)/socle.efi guests

# ---- images: IMAGE_CONF is the configuration, IMAGE_FILES what it names, as mkimage's -f takes it ----
IMAGE_DEPS = $(IMAGE_CONF) $(foreach f,$(IMAGE_FILES),$(firstword $(subst =, ,$(f)))) $(B)/socle.efi scripts/mkimage
MKIMAGE = scripts/mkimage -c $(IMAGE_CONF) --efi $(B)/socle.efi $(IMAGE_FILES:%=-f %)
image: $(B)/socle.img
$(B)/socle.img: $(IMAGE_DEPS)
	@echo "  IMAGE $@"
	$(MKIMAGE) -o $@
iso: $(B)/socle.iso
$(B)/socle.iso: $(IMAGE_DEPS)
	@echo "  ISO   $@"
	@rm -rf $(B)/iso && mkdir -p $(B)/iso/root
	$(MKIMAGE) --bare -o $(B)/iso/root/efi.img
	xorriso -as mkisofs -quiet -V SOCLE -eltorito-alt-boot -e efi.img -no-emul-boot -isohybrid-gpt-basdat \
		-o $@ $(B)/iso/root 2>$(B)/iso/log || { cat $(B)/iso/log; exit 1; }

run: $(B)/socle.img
	@scripts/run -i $< $(RUN)

# ---- tests: scripts/test runs what has been built here and counts ----
TEST_PROGRAMS = $(UTESTS) $(FUZZ_NAMES:%=$(B)/replay/fuzz_%)
test: all image iso boot-programs $(B)/check-config
	@$(MAKE) --no-print-directory -k $(TEST_PROGRAMS) || { \
		echo "make: what does not build counts as failed"; \
		for t in $(TEST_PROGRAMS); do $(MAKE) -q $$t >/dev/null 2>&1 || rm -f $$t; done; }
	@scripts/test --build $(B) all
boot-test: all image iso boot-programs
	@scripts/test --build $(B) boot $(if $(K),'$(K)')
soak: all
	@SOCLE_SOAK=$(or $(SECONDS),1800) SOCLE_SEED=$(or $(SEED),0) SOCLE_SOAK_CPUS=$(or $(CPUS),4) SOCLE_CYCLES=$(or $(CYCLES),1000) \
		SOCLE_READS=100000000 \
		SOCLE_BUILD=$(CURDIR)/$(B) /usr/bin/python3 -m pytest -q -s -p no:cacheprovider tests/boot/test_soak.py
# UPLINK: MiB over TCP each way, between the machine's network card and a Linux and a bare guest.
soak-io: all boot-programs
	@SOCLE_SOAK_IO=$(or $(SECONDS),600) SOCLE_SEED=$(or $(SEED),0) SOCLE_UPLINK_MIB=$(or $(UPLINK),64) SOCLE_BUILD=$(CURDIR)/$(B) \
		/usr/bin/python3 -m pytest -q -s -p no:cacheprovider tests/boot/test_soak_io.py tests/boot/test_phys.py
lint:
	@scripts/lint
bench-exits: all
	@scripts/bench-exits --build $(B)
bench-sched: all
	@scripts/bench-sched --build $(B) $(if $(SECONDS),--seconds $(SECONDS)) $(K)
bench-io: all
	@scripts/bench-io --build $(B) $(if $(QUICK),--quick) $(if $(REAL),--real) $(if $(REPEAT),--repeat $(REPEAT)) $(K)
bench-linux: all image
	@scripts/bench-linux

# ---- make check-config CONF=...: the configuration parser as a program of the build host ----
$(B)/check-config: scripts/check_config.c $(wildcard vm/config*.[ch]) lib/text.c include/config.h
	@mkdir -p $(@D)
	$(HOSTCC) -std=gnu17 -O1 -g -Iinclude $(WARN) $(filter %.c,$^) -o $@
check-config: $(B)/check-config
	@$(B)/check-config $(or $(CONF),$(error say which: make check-config CONF=socle.conf))

clean:
	rm -rf $(B)
-include $(shell find $(B) -name '*.d' 2>/dev/null)
.PHONY: help all image iso run test unit boot-test soak soak-io lint bench-exits bench-sched bench-io bench-linux check-config clean
.DELETE_ON_ERROR:
