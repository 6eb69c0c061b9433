/* SPDX-License-Identifier: Apache-2.0 */
/* EFI_MP_SERVICES_PROTOCOL (multiprocessor services; UEFI Platform Initialization 1.7, vol. 2, 13.4),
 * which GNU-EFI does not declare. */
#pragma once

#include <efi.h>

#include "types.h"

#define MP_SERVICES_GUID                                                                                     \
	{                                                                                                    \
		0x3fdda605, 0xa76e, 0x4f46,                                                                  \
		{                                                                                            \
			0xad, 0x29, 0x12, 0xf4, 0x53, 0x1b, 0x3d, 0x08                                       \
		}                                                                                            \
	}

#define MP_BSP 1u /* status_flag */
#define MP_ENABLED 2u

struct mp_processor_info {
	u64 processor_id; /* local APIC identifier */
	u32 status_flag;
	u32 package, core, thread;
	u32 extended[6]; /* location, version 2 */
};

struct mp_services {
	EFI_STATUS(EFIAPI *get_number_of_processors)(struct mp_services *, UINTN *all, UINTN *enabled);
	EFI_STATUS(EFIAPI *get_processor_info)
	(struct mp_services *, UINTN number, struct mp_processor_info *);
	EFI_STATUS(EFIAPI *startup_all_aps)
	(struct mp_services *, void(EFIAPI *fn)(void *), BOOLEAN one_by_one, EFI_EVENT wait, UINTN timeout_us,
	 void *opaque, UINTN **failed);
};
