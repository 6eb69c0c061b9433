# SPDX-License-Identifier: Apache-2.0
# UEFI programs that the boot tests start.
$(B)/tests/%.so: $(B)/loader/tests/boot/%.o $(B)/loader/lib/string.o $(B)/loader/lib/printf.o
	@mkdir -p $(@D)
	ld $(EFI_LINK) $^ -o $@ -L/usr/lib -lgnuefi
$(B)/tests/%.efi: $(B)/tests/%.so
	@echo "  EFI   $@"
	$(EFI_OBJCOPY) $< $@

# host.efi: socle.efi with tests/boot/host.c, on host/ and lib/ alone, in the hypervisor's place.
HOST_TEST := $(filter $(B)/hv/host/% $(B)/hv/lib/%,$(OBJ)) $(B)/hv/tests/boot/host.o
$(B)/tests/host.elf: $(HOST_TEST) host/socle.ld
	@mkdir -p $(@D)
	ld -nostdlib -static -z noexecstack -z max-page-size=4096 -T host/socle.ld -o $@ $(HOST_TEST)
$(B)/tests/host.stripped: $(B)/tests/host.elf
	objcopy --strip-all $< $@
$(B)/tests/host.sym: $(B)/tests/host.elf scripts/symbols
	nm $< | scripts/symbols $@
$(B)/tests/host_payload.o: efi/payload.asm $(B)/tests/host.stripped $(B)/tests/host.sym
	$(NASM) -f elf64 -DPAYLOAD_ELF='"$(B)/tests/host.stripped"' -DPAYLOAD_SYMBOLS='"$(B)/tests/host.sym"' $< -o $@
$(B)/tests/host.so: $(filter-out %/payload.asm.o,$(EFI_OBJ)) $(B)/tests/host_payload.o
	ld $(EFI_LINK) $^ -o $@ -L/usr/lib -lgnuefi
boot-programs: $(B)/tests/witness.efi $(B)/tests/echo.efi $(B)/tests/host.efi
.PHONY: boot-programs
