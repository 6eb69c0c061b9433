# SPDX-License-Identifier: Apache-2.0
# socle.efi: the loader, built with GNU-EFI, around the hypervisor's ELF image. HV_ELF puts another
# program into it (tests do).
HV_ELF := $(B)/socle.elf
GNUEFI := /usr/include/efi
EFI_INCLUDE := -DGNU_EFI_USE_MS_ABI -isystem $(GNUEFI) -isystem $(GNUEFI)/x86_64
EFI_CFLAGS := -std=gnu17 -O2 -g -ffreestanding -fno-builtin -fpic -fshort-wchar -mno-red-zone -mgeneral-regs-only \
	-fno-stack-protector -fno-strict-aliasing -fcf-protection=none -fno-asynchronous-unwind-tables \
	$(EFI_INCLUDE) -Iinclude $(WARN)
# vm/'s parser and loaders, vmx/'s probe and the helpers they need are compiled a second time, for this side.
EFI_VM := $(wildcard vm/config*.c) $(addprefix vm/,load.c linux.c multiboot.c elf.c memmap.c bios.c)
EFI_SRC := $(wildcard efi/*.c) $(EFI_VM) vmx/caps.c lib/string.c lib/printf.c lib/text.c
EFI_OBJ := $(EFI_SRC:%.c=$(B)/loader/%.o) $(B)/loader/efi/jump.asm.o $(B)/loader/efi/payload.asm.o
EFI_LINK := -nostdlib -znocombreloc -znoexecstack -shared -Bsymbolic -T /usr/lib/elf_x86_64_efi.lds \
	/usr/lib/crt0-efi-x86_64.o
EFI_OBJCOPY := objcopy -j .text -j .sdata -j .data -j .dynamic -j .dynsym -j '.rel*' -j .reloc \
	--target=efi-app-x86_64 --subsystem=10

$(B)/loader/%.o: %.c
	@mkdir -p $(@D)
	@echo "  CC    $< (loader)"
	$(CC) $(EFI_CFLAGS) -MMD -MP -c $< -o $@
$(B)/loader/efi/%.asm.o: efi/%.asm
	@mkdir -p $(@D)
	$(NASM) -f elf64 -DPAYLOAD_ELF='"$(B)/payload.elf"' -DPAYLOAD_SYMBOLS='"$(B)/payload.sym"' $< -o $@
$(B)/loader/efi/payload.asm.o: $(B)/payload.elf $(B)/payload.sym

$(B)/payload.elf: $(HV_ELF)
	objcopy --strip-all $< $@
$(B)/payload.sym: $(HV_ELF) scripts/symbols
	nm $< | scripts/symbols $@
$(B)/loader/socle.so: $(EFI_OBJ)
	ld $(EFI_LINK) $(EFI_OBJ) -o $@ -L/usr/lib -lgnuefi
	@! nm -u $@ | grep . || { echo "socle.efi: undefined symbols"; rm $@; exit 1; }
$(B)/socle.efi: $(B)/loader/socle.so
	@echo "  EFI   $@"
	$(EFI_OBJCOPY) $< $@

# The loader's unit tests include its sources.
$(B)/unit/test_efi_%: private UCFLAGS += $(EFI_INCLUDE)
$(B)/unit/test_efi_memory: efi/memory.c efi/acpi.c efi/loader.h
$(B)/unit/test_efi_paging: efi/paging.c efi/hypervisor.c efi/loader.h
