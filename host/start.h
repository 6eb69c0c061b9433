/* SPDX-License-Identifier: Apache-2.0 */
/* What start.asm and the linker script define. Addresses of the image, not objects of it. */
#pragma once

#include "types.h"

extern char image_start[], image_rodata[], image_data[], image_end[];
extern char boot_stack_top[], ist_df_top[], ist_nmi_top[], ist_mc_top[];
extern char *const stack_guards[]; /* unmapped pages below those stacks; ends with NULL */
