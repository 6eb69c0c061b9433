# SPDX-License-Identifier: Apache-2.0
# UEFI programs that the boot tests start.
$(B)/tests/%.so: $(B)/loader/tests/boot/%.o $(B)/loader/lib/string.o $(B)/loader/lib/printf.o
	@mkdir -p $(@D)
	ld $(EFI_LINK) $^ -o $@ -L/usr/lib -lgnuefi
$(B)/tests/%.efi: $(B)/tests/%.so
	@echo "  EFI   $@"
	$(EFI_OBJCOPY) $< $@

# Programs in the hypervisor's place: host.efi is tests/boot/host.c on host/ and lib/ alone, entry.efi is
# tests/boot/entry.c on all but vm/main.c.
HOST_TEST := $(filter $(B)/hv/host/% $(B)/hv/lib/%,$(OBJ)) $(B)/hv/tests/boot/host.o
ENTRY_TEST := $(filter-out $(B)/hv/vm/main.o,$(OBJ)) $(B)/hv/tests/boot/entry.o
$(B)/tests/host.elf: $(HOST_TEST)
$(B)/tests/entry.elf: $(ENTRY_TEST)
$(B)/tests/host.elf $(B)/tests/entry.elf: host/socle.ld
	@mkdir -p $(@D)
	ld -nostdlib -static -z noexecstack -z max-page-size=4096 -T host/socle.ld -o $@ $(filter %.o,$^)
$(B)/tests/%.stripped: $(B)/tests/%.elf
	objcopy --strip-all $< $@
$(B)/tests/%.sym: $(B)/tests/%.elf scripts/symbols
	nm $< | scripts/symbols $@
$(B)/tests/%_payload.o: efi/payload.asm $(B)/tests/%.stripped $(B)/tests/%.sym
	$(NASM) -f elf64 -DPAYLOAD_ELF='"$(B)/tests/$*.stripped"' -DPAYLOAD_SYMBOLS='"$(B)/tests/$*.sym"' $< -o $@
$(B)/tests/host.so $(B)/tests/entry.so: $(B)/tests/%.so: $(filter-out %/payload.asm.o,$(EFI_OBJ)) $(B)/tests/%_payload.o
	ld $(EFI_LINK) $^ -o $@ -L/usr/lib -lgnuefi
# What scripts/run --warm needs, and keeps.
$(B)/warm/save.so: scripts/bochs_save.c
	@mkdir -p $(@D)
	$(HOSTCC) -std=gnu17 -O1 -shared -fPIC $(WARN) $< -o $@ -ldl
boot-programs: $(B)/warm/save.so $(B)/tests/witness.efi $(B)/tests/echo.efi $(B)/tests/host.efi $(B)/tests/entry.efi
.PHONY: boot-programs
