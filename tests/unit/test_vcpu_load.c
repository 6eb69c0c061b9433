/* SPDX-License-Identifier: Apache-2.0 */
/* M2, M50: a vCPU comes to a CPU and leaves it: whose VMCS is current, whose registers are live; and that
 * nothing is invalidated for one that comes back to where it was, whoever ran meanwhile: translations are
 * tagged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "fake_cpu.h"
#include "sched.h"
#include "vcpu.h"
#include "vcpu/extra.h"
#include "vcpu/switch.h"

static struct vcpu_cpu here[2];
static struct sched_cpu sched[2];
static struct cpu cpus[2] = {{.index = 0, .vcpu = &here[0], .sched = &sched[0]},
			     {.index = 1, .vcpu = &here[1], .sched = &sched[1]}};
static struct guest guest;
static struct vcpu a, b;
static struct vmcs *current[2]; /* of each CPU */
static unsigned invvpids, invepts, hosts, saved, loaded;

void vmcs_load(struct vmcs *vmcs)
{
	assert_true(!vmcs->active_on || vmcs->active_on == fake_cpu); /* SDM volume 3, 25.11.1 */
	vmcs->active_on = fake_cpu;
	current[fake_cpu->index] = vmcs;
}

void vmcs_clear(struct vmcs *vmcs)
{
	assert_ptr_equal(vmcs->active_on, fake_cpu);
	vmcs->active_on = NULL;
	if (current[fake_cpu->index] == vmcs)
		current[fake_cpu->index] = NULL;
}

void vmcs_write_host(const struct cpu *cpu, u64 slot)
{
	(void)slot;
	assert_ptr_equal(cpu, fake_cpu);
	hosts++;
}

void vmcs_set_exit_stub(bool traced)
{
	(void)traced;
}

void vmx_invvpid_single(u16 vpid)
{
	assert_true(vpid);
	invvpids++;
}

void ept_invalidate(const struct ept *e)
{
	assert_ptr_equal(e, &guest.ept);
	invepts++;
}

/* With the VMCS of the one that it is about. */
void extra_save(struct vcpu_cpu *c, struct vcpu *v)
{
	assert_ptr_equal(c, fake_cpu->vcpu);
	assert_ptr_equal(current[fake_cpu->index], &v->vmcs);
	saved++;
}

void extra_load(struct vcpu_cpu *c, struct vcpu *v)
{
	assert_ptr_equal(c, fake_cpu->vcpu);
	assert_ptr_equal(current[fake_cpu->index], &v->vmcs);
	loaded++;
}

void extra_init(void)
{
}

void extra_enable(void)
{
}

void extra_init_cpu(struct vcpu_cpu *c)
{
	(void)c;
}

void irq_register(u8 vector, irq_fn fn, void *opaque)
{
	(void)vector, (void)fn, (void)opaque;
}

static int setup(void **state)
{
	(void)state;
	fake_cpu = &cpus[0];
	memset(here, 0, sizeof(here));
	memset(&a, 0, sizeof(a));
	memset(&b, 0, sizeof(b));
	a.guest = b.guest = &guest;
	a.vpid = 1;
	b.vpid = 2;
	memset(current, 0, sizeof(current));
	guest.ept.flush_gen = 0;
	invvpids = invepts = 0;
	vcpu_load(&a);
	vcpu_load(&b);
	assert_true(invvpids == 2 && invepts == 2); /* each has arrived for the first time */
	invvpids = invepts = hosts = saved = loaded = 0;
	return 0;
}

static void coming_back_invalidates_nothing(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 10; i++) {
		vcpu_load(i % 2 ? &b : &a);
		assert_int_equal(saved, i + 1);
		assert_int_equal(loaded, i + 1);
	}
	assert_int_equal(invvpids + invepts + hosts, 0);
	assert_true(b.loaded_on == &cpus[0] && !a.loaded_on);
	vcpu_load(&b); /* it is there */
	assert_int_equal(saved, 10);
}

static void another_cpu_starts_afresh(void **state)
{
	(void)state;
	vcpu_load(&a);
	vcpu_unload(&a);
	assert_true(!here[0].loaded && !a.loaded_on && !a.vmcs.active_on);
	guest.ept.flush_gen = 7;
	fake_cpu = &cpus[1];
	vcpu_load(&a);
	assert_true(invvpids == 1 && invepts == 1 && hosts == 1);
	assert_int_equal(a.ept_gen, 7);
	assert_ptr_equal(a.cpu_deadline, &sched[1].next_deadline);
	vcpu_unload(&a);
	fake_cpu = &cpus[0];
	vcpu_load(&a); /* what it left here may be stale */
	assert_true(invvpids == 2 && invepts == 2 && hosts == 2);
}

static void without_vpid_there_is_none_to_invalidate(void **state)
{
	(void)state;
	a.vpid = 0; /* then each entry and exit does it (SDM volume 3, 29.4.3.3) */
	vcpu_load(&a);
	vcpu_unload(&a);
	fake_cpu = &cpus[1];
	vcpu_load(&a);
	assert_true(!invvpids && invepts == 1);
}

static void unload_is_for_the_cpu_that_has_it(void **state)
{
	(void)state;
	fake_cpu = &cpus[1];
	vcpu_unload(&b); /* another CPU's business */
	assert_ptr_equal(here[0].loaded, &b);
	fake_cpu = &cpus[0];
	vcpu_unload(&a); /* its registers went when b came, its VMCS is still here */
	assert_true(!saved && !a.vmcs.active_on && here[0].loaded == &b);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup(name, setup)
	const struct CMUnitTest tests[] = {
	    T(coming_back_invalidates_nothing),
	    T(another_cpu_starts_afresh),
	    T(without_vpid_there_is_none_to_invalidate),
	    T(unload_is_for_the_cpu_that_has_it),
	};
	return cmocka_run_group_tests_name("a vCPU on a CPU (M2, M50)", tests, NULL, NULL);
}
