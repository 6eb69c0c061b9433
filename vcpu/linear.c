/* SPDX-License-Identifier: Apache-2.0 */
/* Guest-linear memory: translated first as a whole, then read or written. */
#include "linear.h"

int linear_find(struct vcpu *v, const struct gwalk_in *in, u32 linear, u32 n, u32 access,
		struct linear_span *span)
{
	u32 first = MIN(n, (u32)(PAGE_SIZE - (linear & (PAGE_SIZE - 1))));
	span->n[0] = first;
	span->n[1] = n - first;
	for (unsigned i = 0; i < 2 && span->n[i]; i++) {
		struct gwalk_out out;
		u32 at = i ? linear + first : linear;
		int rc = gwalk(&v->guest->mem, &v->tlb, in, at, access, &out);
		if (rc == ERR_FAULT)
			vcpu_raise_page_fault(v, at, out.error_code);
		if (rc)
			return rc;
		span->gpa[i] = out.gpa;
	}
	return 0;
}

void linear_read(struct vcpu *v, const struct linear_span *span, void *dst)
{
	u8 *to = dst;
	for (unsigned i = 0; i < 2 && span->n[i]; to += span->n[i++])
		if (gmem_read(&v->guest->mem, span->gpa[i], to, span->n[i]))
			memset(to, 0xff, span->n[i]);
}

void linear_write(struct vcpu *v, const struct linear_span *span, const void *src)
{
	const u8 *from = src;
	for (unsigned i = 0; i < 2 && span->n[i]; from += span->n[i++])
		if (gmem_dma_write(&v->guest->mem, span->gpa[i], from, span->n[i]) == ERR_NOMEM)
			guest_fail(v->guest, "no memory left to back guest-physical address 0x%lx",
				   span->gpa[i]);
}
