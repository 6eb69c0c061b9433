# SPDX-License-Identifier: Apache-2.0
# The guest's ACPI code: devices/NAME.asl becomes the body of an array that devices/acpi.c includes.
ACPI_OBJ := $(foreach d,hv unit fuzz,$(B)/$(d)/devices/acpi.o)
$(B)/gen/%.inc: devices/%.asl
	@mkdir -p $(@D)
	@echo "  IASL  $<"
	iasl -we -vr -vs -p $(@:.inc=) $< >$(@:.inc=.log) || { cat $(@:.inc=.log); exit 1; }
	od -An -v -tx1 $(@:.inc=.aml) | sed 's/ \(..\)/0x\1,/g' >$@
$(ACPI_OBJ): $(B)/gen/dsdt.inc $(B)/gen/hpet.inc
$(ACPI_OBJ): CFLAGS += -I$(B)/gen
$(ACPI_OBJ): UCFLAGS += -I$(B)/gen
$(ACPI_OBJ): FUZZ_FLAGS += -I$(B)/gen
