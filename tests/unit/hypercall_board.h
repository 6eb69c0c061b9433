/* SPDX-License-Identifier: Apache-2.0 */
/* A VM with one vCPU that calls, and a device behind Socle rings that remembers. Defines functions, so one
 * file of a program includes it. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "devices/pv_bus.h"
#include "fake_cpu.h"
#include "pc.h"
#include "shim.h"
#include "socle/event.h"
#include "socle/hypercall.h"
#include "vm/hypercall.h"
#include "vmcs.h"

#define RAM 0x20000u
#define ROM 0x40000u
#define LIST 0x3000u
#define LAST (RAM - 64) /* entry in RAM */

struct vm_host vm_host;
static struct vm vm;
static struct vcpu vcpu;
static u64 registers[16];
static struct pv_bus bus;

struct pv_bus *pc_pv(struct pc *pc)
{
	assert_null(pc);
	return &bus;
}

/* ---- the parts of other calls ---- */
static unsigned between, ways; /* a call was over; the vCPU gave way */

int clock_set_vcpu_record(struct vcpu *v, gpa_t gpa)
{
	(void)v, (void)gpa;
	return 0;
}

int clock_set_vm_record(struct vcpu *v, gpa_t gpa)
{
	(void)v, (void)gpa;
	return 0;
}

int clock_update(struct vcpu *v)
{
	(void)v;
	return 0;
}

void clock_set_alarm(struct vcpu *v, enum clock_alarm which, u64 at, u32 how)
{
	(void)v, (void)which, (void)at, (void)how;
}

void vcpu_give_way(struct vcpu *v)
{
	assert_ptr_equal(v, &vcpu);
	ways++;
}

void vcpu_between(void)
{
	between++;
}

void vm_console_output(void *opaque, const u8 *buf, size_t n)
{
	(void)opaque, (void)buf, (void)n;
}

void lapic_post(struct lapic *l, u8 vector, bool level)
{
	(void)l, (void)vector, (void)level;
}

/* ---- the device ---- */
static struct {
	struct pv_device device;
	int rc; /* of every operation */
	unsigned opened, closed, doorbells;
	unsigned ring;
	gpa_t base;
	u64 size;
	u32 event;
	void (*meanwhile)(void); /* what another vCPU does during a doorbell */
} fake;

static void fake_query(const struct pv_device *d, struct socle_device *out)
{
	assert_ptr_equal(d, &fake.device);
	out->kind = SOCLE_DEVICE_NETWORK;
	out->max_pages = 77;
}

static int fake_open(struct pv_device *d, unsigned ring, gpa_t base, u64 size, u32 event)
{
	assert_ptr_equal(d, &fake.device);
	fake.opened++;
	fake.ring = ring;
	fake.base = base;
	fake.size = size;
	fake.event = event;
	return fake.rc;
}

static int fake_close(struct pv_device *d, unsigned ring)
{
	assert_ptr_equal(d, &fake.device);
	fake.closed++;
	fake.ring = ring;
	return fake.rc;
}

static int fake_doorbell(struct pv_device *d, unsigned ring)
{
	assert_ptr_equal(d, &fake.device);
	fake.doorbells++;
	fake.ring = ring;
	if (fake.meanwhile)
		fake.meanwhile();
	return fake.rc;
}

/* ---- the guest ---- */
static inline int setup(void **state)
{
	static const struct ept_options opt = {0};
	static const struct pv_device_ops ops = {fake_query, fake_open, fake_close, fake_doorbell};

	(void)state;
	memset(&vm, 0, sizeof(vm));
	memset(&vcpu, 0, sizeof(vcpu));
	memset(&bus, 0, sizeof(bus));
	memset(&fake, 0, sizeof(fake));
	between = ways = 0;
	list_init(&vm_host.vms);
	vm.id = 1;
	assert_int_equal(ept_init(&vm.guest.ept, &opt), 0);
	gmem_init(&vm.guest.mem, &vm.guest.ept, 0, 1000);
	assert_int_equal(gmem_add_slot(&vm.guest.mem, 0, RAM, 0), 0);
	assert_int_equal(gmem_add_slot(&vm.guest.mem, ROM, PAGE_SIZE, GMEM_READONLY), 0);
	vm.guest.nr_vcpus = 1;
	vm.guest.vcpus[0] = &vcpu;
	vcpu.guest = &vm.guest;
	vcpu.regs = registers;
	gmem_tlb_reset(&vcpu.tlb);
	list_insert(&vm_host.vms, &vm.node);
	fake.device = (struct pv_device){&ops, 2};
	assert_int_equal(pv_bus_add(&bus, &fake.device), 0);
	fake(GUEST_SS_ACCESS_RIGHTS) = 0;
	return 0;
}

static inline int teardown(void **state)
{
	(void)state;
	vm_events_stop(&vm);
	gmem_destroy(&vm.guest.mem);
	ept_destroy(&vm.guest.ept);
	vm_events_destroy(&vm);
	assert_int_equal(shim_pages_in_use, 0);
	return 0;
}

static inline i64 call(u64 number, u64 a, u64 b, u64 c, u64 d, u64 e)
{
	vcpu.regs[REG_RDI] = a;
	vcpu.regs[REG_RSI] = b;
	vcpu.regs[REG_RDX] = c;
	vcpu.regs[10] = d;
	vcpu.regs[8] = e;
	return (i64)vm_hypercall(&vm, &vcpu, number);
}

static inline struct socle_multicall *entry(u64 gpa)
{
	struct socle_multicall *e = gmem_ptr(&vm.guest.mem, gpa, sizeof(*e));

	assert_non_null(e);
	return e;
}

static inline i64 multi(u64 gpa, u64 n)
{
	return call(SOCLE_CALL_MULTI, gpa, n, 0, 0, 0);
}
