/* SPDX-License-Identifier: Apache-2.0 */
/* The DSDT (differentiated system description table) of the guest's PC: what stands on the board and
 * which interrupt goes where. Compiled by iasl at build time; numbers as in pc.h, pci.h and pm.h, which
 * tests/unit/test_acpi.c checks. */
DefinitionBlock ("", "DSDT", 2, "SOCLE", "SOCLEPC", 1)
{
	/* SLP_TYP of soft-off: PM_SLP_TYP_S5. There is no other sleep state. */
	Name (_S5, Package (4) { 0, 0, 0, 0 })

	/* 1: the guest uses the IOAPIC. */
	Name (PICM, 0)
	Method (_PIC, 1, NotSerialized)
	{
		PICM = Arg0
	}

	Scope (\_SB)
	{
		Device (PCI0)
		{
			Name (_HID, EisaId ("PNP0A03"))
			Name (_UID, 0)
			Name (_BBN, 0)
			Name (_CRS, ResourceTemplate ()
			{
				WordBusNumber (ResourceProducer, MinFixed, MaxFixed, PosDecode,
					0x0000, 0x0000, 0x00ff, 0x0000, 0x0100)
				IO (Decode16, 0x0cf8, 0x0cf8, 1, 8)
				WordIO (ResourceProducer, MinFixed, MaxFixed, PosDecode, EntireRange,
					0x0000, 0x0000, 0x0cf7, 0x0000, 0x0cf8)
				WordIO (ResourceProducer, MinFixed, MaxFixed, PosDecode, EntireRange,
					0x0000, 0x0d00, 0xffff, 0x0000, 0xf300)
				DWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, NonCacheable, ReadWrite,
					0x00000000, 0xc0000000, 0xdfffffff, 0x00000000, 0x20000000)
				DWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, NonCacheable, ReadWrite,
					0x00000000, 0xf0000000, 0xfebfffff, 0x00000000, 0x0ec00000)
			})

			/* Pin p of slot s: wire (s + p) % 8, which is GSI 16 to 23 at the IOAPIC and ISA
			 * interrupt 10 or 11 at the 8259 pair; pci_gsi(), IRQ_PCI_ISA(). */
			Method (_PRT, 0, NotSerialized)
			{
				Local0 = Package (128) {}
				Local1 = 0
				While (Local1 < 128)
				{
					Local2 = ((Local1 >> 2) + (Local1 & 3)) & 7
					If (PICM)
					{
						Local3 = Local2 + 16
					}
					Else
					{
						Local3 = (Local2 & 1) + 10
					}
					Local4 = Package (4) { 0, 0, 0, 0 }
					Local4 [0] = ((Local1 >> 2) << 16) | 0xffff
					Local4 [1] = Local1 & 3
					Local4 [3] = Local3
					Local0 [Local1] = Local4
					Local1++
				}
				Return (Local0)
			}
		}

		/* What is on the board and on no bus: nobody else may be put there. */
		Device (MBRD)
		{
			Name (_HID, EisaId ("PNP0C02"))
			Name (_UID, 0)
			Name (_CRS, ResourceTemplate ()
			{
				IO (Decode16, 0x0061, 0x0061, 1, 1)
				IO (Decode16, 0x0092, 0x0092, 1, 1)
				IO (Decode16, 0x0600, 0x0600, 1, 12)
				Memory32Fixed (ReadOnly, 0xe0000000, 0x10000000)
				Memory32Fixed (ReadWrite, 0xfec00000, 0x00001000)
				Memory32Fixed (ReadWrite, 0xfee00000, 0x00001000)
			})
		}

		Device (PIC)
		{
			Name (_HID, EisaId ("PNP0000"))
			Name (_CRS, ResourceTemplate ()
			{
				IO (Decode16, 0x0020, 0x0020, 1, 2)
				IO (Decode16, 0x00a0, 0x00a0, 1, 2)
				IO (Decode16, 0x04d0, 0x04d0, 1, 2)
				IRQNoFlags () {2}
			})
		}

		Device (TIMR)
		{
			Name (_HID, EisaId ("PNP0100"))
			Name (_CRS, ResourceTemplate ()
			{
				IO (Decode16, 0x0040, 0x0040, 1, 4)
				IRQNoFlags () {0}
			})
		}

		Device (RTC)
		{
			Name (_HID, EisaId ("PNP0B00"))
			Name (_CRS, ResourceTemplate ()
			{
				IO (Decode16, 0x0070, 0x0070, 1, 2)
				IRQNoFlags () {8}
			})
		}

		Device (COM1)
		{
			Name (_HID, EisaId ("PNP0501"))
			Name (_UID, 1)
			Name (_CRS, ResourceTemplate ()
			{
				IO (Decode16, 0x03f8, 0x03f8, 1, 8)
				IRQNoFlags () {4}
			})
		}
	}
}
