/* SPDX-License-Identifier: BSD-2-Clause */
/* Socle hypercalls: the ABI for guests. Version 1. Clocks and alarms are in clock.h, events in event.h,
 * disks and networks in ring.h.
 *
 * Discovery: CPUID leaf 0x40000000 has the signature "SocleSocleSo" in EBX, ECX, EDX and the highest
 * leaf of the range in EAX; leaf 0x40000001 has SOCLE_ABI_VERSION in EAX and SOCLE_FEATURE_ bits, for
 * groups of calls that may be used, in EBX.
 *
 * Call: VMCALL with the number in RAX and up to five arguments in RDI, RSI, RDX, R10, R8. The result
 * is in RAX: zero or positive, or a negative error. No other register changes. Only CPL 0 may call,
 * others get SOCLE_EPERM; a number that is not below gives SOCLE_ENOSYS. */
#ifndef SOCLE_HYPERCALL_H
#define SOCLE_HYPERCALL_H

#include <stdint.h>

#define SOCLE_CPUID_SIGNATURE 0x40000000u
#define SOCLE_CPUID_VERSION 0x40000001u
#define SOCLE_ABI_VERSION 1
#define SOCLE_FEATURE_CLOCK 1u  /* clock.h: calls 16 to 18 */
#define SOCLE_FEATURE_ALARM 2u  /* clock.h: calls 19 and 20 */
#define SOCLE_FEATURE_EVENT 4u  /* event.h: calls 24 to 31 */
#define SOCLE_FEATURE_RING 8u   /* ring.h: calls 32 to 35 */
#define SOCLE_FEATURE_MULTI 16u /* SOCLE_CALL_MULTI */

/* Version of the ABI. */
#define SOCLE_CALL_VERSION 0
/* Writes text to the VM's console: guest-physical address, length in bytes (at most
 * SOCLE_CONSOLE_MAX). Returns the length. SOCLE_EINVAL, SOCLE_EFAULT. */
#define SOCLE_CALL_CONSOLE_WRITE 1
#define SOCLE_CONSOLE_MAX 4096
/* VM exits of the calling vCPU since its VM started: basic exit reason (SDM volume 3, appendix C), or
 * SOCLE_EXITS_ALL for the sum of all. The exit of this call is counted. SOCLE_EINVAL: no such reason. */
#define SOCLE_CALL_EXIT_COUNT 2
#define SOCLE_EXITS_ALL 0xffffffffu

/* Lets another vCPU that waits for this physical CPU run first. Shares in the long run are unchanged. Returns
 * 0. */
#define SOCLE_CALL_YIELD 21

/* Several calls in one. RDI: guest-physical address of an array of struct socle_multicall, a multiple of 64;
 * RSI: how many, up to SOCLE_MULTI_MAX. They are done in their order, also after one that failed, and each
 * gets its result; SOCLE_CALL_MULTI itself gets SOCLE_EINVAL there. Returns how many. SOCLE_EINVAL: too many,
 * or the alignment; SOCLE_EFAULT: not all of them in RAM that the guest may write: none is done. */
#define SOCLE_CALL_MULTI 36
#define SOCLE_MULTI_MAX 32

struct socle_multicall {
	uint64_t number;
	uint64_t argument[5]; /* RDI, RSI, RDX, R10, R8 */
	int64_t result;
	uint64_t reserved;
};

/* Numbers 3 to 15 are not used: kernels that know KVM may call some of those. */

/* Errors, with the numbers of Linux's errno. */
#define SOCLE_EPERM (-1)
#define SOCLE_ENOENT (-2)
#define SOCLE_ENXIO (-6)
#define SOCLE_EAGAIN (-11)
#define SOCLE_ENOMEM (-12)
#define SOCLE_EFAULT (-14)
#define SOCLE_EBUSY (-16)
#define SOCLE_EINVAL (-22)
#define SOCLE_ENOSYS (-38)
#define SOCLE_ENOTCONN (-107)
#define SOCLE_EDQUOT (-122)

#endif
