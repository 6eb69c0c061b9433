/* SPDX-License-Identifier: Apache-2.0 */
/* INVEPT, the instruction that makes a CPU forget what it cached of an EPT, SDM volume 3, 31.3. In a
 * file of its own, so that unit tests can replace it. */
#include "ept.h"
#include "log.h"

enum invept_type { INVEPT_SINGLE = 1, INVEPT_ALL = 2 };

static bool invept(enum invept_type type, u64 eptp)
{
	struct {
		u64 eptp, reserved;
	} descriptor = {.eptp = eptp};
	bool failed;

	/* "memory": loads of the entries may not move up before it. */
	__asm__ volatile("invept %1, %2"
			 : "=@ccbe"(failed) /* CF or ZF: VMfail */
			 : "m"(descriptor), "r"((u64)type)
			 : "memory");
	return !failed;
}

void ept_invalidate(const struct ept *e)
{
	/* A CPU without the single-context type has the all-context type (IA32_VMX_EPT_VPID_CAP). */
	if (!invept(INVEPT_SINGLE, e->eptp) && !invept(INVEPT_ALL, 0))
		panic("INVEPT failed for EPTP %#llx", (unsigned long long)e->eptp);
}
