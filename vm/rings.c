/* SPDX-License-Identifier: Apache-2.0 */
/* Devices behind Socle rings: the calls of include/socle/ring.h. */
#include "hypercall.h"

#include "pv.h"
#include "socle/event.h"
#include "socle/hypercall.h"
#include "socle/ring.h"

static i64 ring_error(int rc)
{
	switch (rc) {
	case ERR_NOENT:
		return SOCLE_ENOENT;
	case ERR_EXIST:
		return SOCLE_EBUSY;
	default:
		return hypercall_error(rc);
	}
}

i64 call_device_query(struct vm *vm, struct vcpu *v, const u64 *args)
{
	struct socle_device out;
	int rc = gmem_check(&vm->guest.mem, args[1], sizeof(out), sizeof(out));

	(void)v;
	if (rc)
		return hypercall_error(rc);
	rc = pv_query(pc_pv(vm->pc), args[0], &out);
	rc = rc ? rc : gmem_dma_write(&vm->guest.mem, args[1], &out, sizeof(out));
	return rc ? ring_error(rc) : 0;
}

i64 call_ring_open(struct vm *vm, struct vcpu *v, const u64 *args)
{
	u64 event = args[4];
	int rc;

	(void)v;
	if (event && !vm_event_is_own(vm, event))
		return SOCLE_EINVAL;
	rc = pv_open(pc_pv(vm->pc), args[0], args[1], args[2], args[3], (u32)event);
	if (rc == ERR_AGAIN)
		return SOCLE_EDQUOT;
	return rc ? ring_error(rc) : 0;
}

i64 call_ring_close(struct vm *vm, struct vcpu *v, const u64 *args)
{
	int rc = pv_close(pc_pv(vm->pc), args[0], args[1]);

	(void)v;
	if (rc == ERR_AGAIN)
		return SOCLE_EAGAIN;
	return rc ? ring_error(rc) : 0;
}

i64 call_ring_doorbell(struct vm *vm, struct vcpu *v, const u64 *args)
{
	(void)v;
	return unlikely(pv_doorbell(pc_pv(vm->pc), args[0], args[1])) ? SOCLE_ENOENT : 0;
}
