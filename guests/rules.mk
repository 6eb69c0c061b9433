# SPDX-License-Identifier: Apache-2.0
# Bare guests: each directory guests/bare/NAME becomes build/guests/NAME.elf, and each guests/bench/NAME.c
# (with NAME.asm, where there is one) build/guests/bench-NAME.elf; all take guests/bare/lib.
G := $(B)/guests
GCFLAGS := -std=gnu17 -O2 -g -ffreestanding -fno-builtin -mgeneral-regs-only -mno-red-zone -fno-pic -fno-pie \
	-fno-stack-protector -fno-omit-frame-pointer -fno-strict-aliasing -fcf-protection=none \
	-fno-asynchronous-unwind-tables -fno-delete-null-pointer-checks -Iguests/bare/lib -Iinclude $(WARN)
guest_obj = $(patsubst %,$(G)/obj/%.o,$(wildcard $(addsuffix .c,$(1)) $(addsuffix .asm,$(1))))
GLIB := $(call guest_obj,guests/bare/lib/*)
GBARE := $(filter-out lib,$(notdir $(patsubst %/,%,$(wildcard guests/bare/*/))))
GBENCH := $(notdir $(basename $(wildcard guests/bench/*.c)))

$(G)/obj/%.c.o: %.c
	@mkdir -p $(@D)
	$(CC) $(GCFLAGS) -MMD -MP -c $< -o $@
$(G)/obj/%.asm.o: %.asm
	@mkdir -p $(@D)
	$(NASM) -f elf64 -g -F dwarf -Iguests/bare/lib/ -I$(dir $<) -MD $(@:.o=.d) $< -o $@

define guest_rule
$(G)/$(1).elf: $(2) $(GLIB) guests/bare/lib/link.ld
	ld -nostdlib -static -z noexecstack -z max-page-size=4096 --no-warn-rwx-segments -T guests/bare/lib/link.ld \
		-o $(G)/$(1).elf64 $(2) $(GLIB)
	objcopy -O elf32-i386 --strip-debug $(G)/$(1).elf64 $$@
endef
$(foreach g,$(GBARE),$(eval $(call guest_rule,$(g),$(call guest_obj,guests/bare/$(g)/*))))
# What a benchmark takes from a bare guest.
$(foreach g,ipi sched hostile,$(eval GBENCH_MORE_$(g) := $(call guest_obj,guests/bare/smp/cpus guests/bare/smp/start)))
GBENCH_MORE_disk := $(call guest_obj,guests/bench/disk/* guests/bench/lib/*)
GBENCH_MORE_net := $(call guest_obj,guests/bench/net/* guests/bench/lib/*)
GBENCH_MORE_outside := $(call guest_obj,guests/bench/tcp/* guests/bench/net/* guests/bench/lib/*)
$(foreach g,$(GBENCH),$(eval $(call guest_rule,bench-$(g),$(call guest_obj,guests/bench/$(g)) $(GBENCH_MORE_$(g)))))
guests: $(GBARE:%=$(G)/%.elf) $(GBENCH:%=$(G)/bench-%.elf)
.PHONY: guests
