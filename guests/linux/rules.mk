# SPDX-License-Identifier: Apache-2.0
# The Linux guest: Debian's cloud kernel as it is in its package, and an initramfs of busybox. And its kernel for
# PCs, for what the other has no drivers for.
L := $(B)/guests/linux
LCFLAGS := -std=gnu17 -Os -g0 -ffreestanding -fno-builtin -nostdlib -static -fno-pic -fno-pie -Wl,-no-pie -fno-stack-protector \
	-fcf-protection=none -fno-asynchronous-unwind-tables -Wl,--build-id=none -Wl,-z,noexecstack $(WARN)
LTESTS := $(wildcard guests/linux/tests/*)
# In the order in which they have to be loaded.
LMODULES := button evdev virtio_ring virtio virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci virtio_blk virtio_console virtio-rng
# For those guests that have IDE disks, or a network; the others need not unpack them.
LMODULES_ATA := scsi_common scsi_mod sd_mod libata ata_piix
LMODULES_NET := failover net_failover virtio_net
# For Debian's kernel for PCs, whose other modules nobody needs.
LMODULES_PC := e1000
LFILES := $(L)/init=/init $(L)/measure=/bin/measure $(L)/kerneltext=/bin/kerneltext $(L)/forks=/bin/forks $(L)/io=/bin/io $(L)/frames=/bin/frames \
	guests/linux/rc=/etc/rc guests/linux/console=/etc/console guests/linux/motd=/etc/motd guests/linux/profile=/etc/profile guests/linux/power-button=/etc/acpi/PWRF/00000080 \
	$(foreach m,$(LMODULES),$(L)/$(m).ko=/lib/modules/$(m).ko)
LFILES_ATA := $(LFILES) $(foreach m,$(LMODULES_ATA),$(L)/$(m).ko=/lib/modules/$(m).ko)
LFILES_NET := $(LFILES) $(foreach m,$(LMODULES_NET),$(L)/$(m).ko=/lib/modules/$(m).ko)
LFILES_IO := $(L)/soak=/bin/soak $(L)/soaknet=/bin/soaknet $(LFILES_ATA) $(filter-out $(LFILES),$(LFILES_NET))
LFILES_PC := $(L)/soaknet=/bin/soaknet $(filter-out %.ko,$(LFILES)) $(foreach m,$(LMODULES_PC),$(L)/$(m).ko=/lib/modules/$(m).ko)

# What make image, make run and the tests put on the boot volume when they are told nothing else.
IMAGE_CONF ?= guests/socle.conf
IMAGE_FILES ?= $(L)/bzImage=/boot/vmlinuz $(L)/initrd=/boot/initrd $(B)/guests/life.elf=/boot/life.elf

$(L)/bzImage $(L)/bzImage-pc $(L)/busybox $(L)/manifest $(patsubst %,$(L)/%.ko,$(LMODULES) $(LMODULES_ATA) $(LMODULES_NET) $(LMODULES_PC)) &: guests/linux/fetch
	@echo "  FETCH $(L)"
	@guests/linux/fetch $(L)
$(L)/%: guests/linux/%.c $(wildcard guests/linux/*.h)
	@mkdir -p $(@D)
	@echo "  CC    $< (Linux guest)"
	$(CC) $(LCFLAGS) $< -o $@
$(L)/initrd $(L)/initrd-ata $(L)/initrd-net $(L)/initrd-io $(L)/initrd-pc: guests/linux/mkinitrd $(L)/busybox $(foreach f,$(LFILES),$(firstword $(subst =, ,$(f)))) $(LTESTS)
	@echo "  CPIO  $@"
	guests/linux/mkinitrd -o $@ -b $(L)/busybox $(LINITRD:%=-f %) -d guests/linux/tests=/tests
$(L)/initrd: LINITRD = $(LFILES)
$(L)/initrd-ata: LINITRD = $(LFILES_ATA)
$(L)/initrd-ata: $(LMODULES_ATA:%=$(L)/%.ko)
$(L)/initrd-net: LINITRD = $(LFILES_NET)
$(L)/initrd-net: $(LMODULES_NET:%=$(L)/%.ko)
$(L)/initrd-io: LINITRD = $(LFILES_IO)
$(L)/initrd-io: $(L)/soak $(L)/soaknet $(LMODULES_ATA:%=$(L)/%.ko) $(LMODULES_NET:%=$(L)/%.ko)
$(L)/initrd-pc: LINITRD = $(LFILES_PC)
$(L)/initrd-pc: $(L)/soaknet $(LMODULES_PC:%=$(L)/%.ko)
# The kernel for PCs, unpacked: it has been compressed so well that unpacking takes an emulator minutes.
$(L)/pvh.bin: guests/linux/pvh.asm
	@mkdir -p $(@D)
	$(NASM) -f bin $< -o $@
$(L)/vmlinux-pc.elf: guests/linux/mkpvh $(L)/pvh.bin $(L)/bzImage-pc
	@echo "  PVH   $@"
	guests/linux/mkpvh -s $(L)/pvh.bin -o $@ $(L)/bzImage-pc
guests: $(L)/bzImage $(L)/bzImage-pc $(L)/vmlinux-pc.elf $(L)/initrd $(L)/initrd-ata $(L)/initrd-net $(L)/initrd-io $(L)/initrd-pc

# The same kernel on the bare machine, for make bench-linux.
$(L)/native.so: $(B)/loader/guests/linux/native.o
	ld $(EFI_LINK) $^ -o $@ -L/usr/lib -lgnuefi -lefi
$(L)/native.efi: $(L)/native.so
	@echo "  EFI   $@"
	$(EFI_OBJCOPY) $< $@
guests: $(L)/native.efi
