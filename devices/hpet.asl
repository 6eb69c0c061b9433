/* SPDX-License-Identifier: Apache-2.0 */
/* The SSDT (secondary system description table) that adds the HPET to dsdt.asl, in guests that have one. Its
 * interrupts are those of the devices in whose places they come. */
DefinitionBlock ("", "SSDT", 2, "SOCLE", "SOCLEHPT", 1)
{
	External (\_SB, DeviceObj)

	Scope (\_SB)
	{
		Device (HPET)
		{
			Name (_HID, EisaId ("PNP0103"))
			Name (_UID, 0)
			Name (_CRS, ResourceTemplate ()
			{
				Memory32Fixed (ReadWrite, 0xfed00000, 0x00000400)
			})
		}
	}
}
