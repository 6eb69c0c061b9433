# SPDX-License-Identifier: Apache-2.0
# The guest's DSDT: devices/dsdt.asl becomes the body of an array that devices/acpi.c includes.
ACPI_OBJ := $(foreach d,hv unit fuzz,$(B)/$(d)/devices/acpi.o)
$(B)/gen/dsdt.inc: devices/dsdt.asl
	@mkdir -p $(@D)
	@echo "  IASL  $<"
	iasl -we -vr -vs -p $(B)/gen/dsdt $< >$(B)/gen/iasl.log || { cat $(B)/gen/iasl.log; exit 1; }
	od -An -v -tx1 $(B)/gen/dsdt.aml | sed 's/ \(..\)/0x\1,/g' >$@
$(ACPI_OBJ): $(B)/gen/dsdt.inc
$(ACPI_OBJ): CFLAGS += -I$(B)/gen
$(ACPI_OBJ): UCFLAGS += -I$(B)/gen
$(ACPI_OBJ): FUZZ_FLAGS += -I$(B)/gen
