/* SPDX-License-Identifier: Apache-2.0 */
/* What tests of vm/ have in place of host/, vmx/ and the operator, around real vCPUs, devices and loaders:
 * all that is taken and given back is counted. Defines functions: one file of a program includes it. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "devices/irq.h"
#include "devices/pit.h"
#include "fake_cpu.h"
#include "io.h"
#include "sched/internal.h"
#include "shim.h"
#include "vcpu/switch.h"
#include "vm/monitor.h"

/* ---- everything that is taken and given back is counted, and fails when it is told to ---- */
static long fail_after; /* < 0: never; else after so many more things were taken */
static long pages, blocks, stacks, streams;

static bool refused(void)
{
	if (fail_after == 0)
		return true;
	fail_after -= fail_after > 0;
	return false;
}

hpa_t page_alloc(unsigned order)
{
	if (refused())
		return PAGE_NONE;
	pages += 1L << order;
	return virt_to_phys(aligned_alloc((size_t)PAGE_SIZE << order, (size_t)PAGE_SIZE << order));
}

hpa_t page_alloc_zeroed(unsigned order)
{
	hpa_t pa = page_alloc(order);
	if (pa != PAGE_NONE)
		memset(phys_to_virt(pa), 0, (size_t)PAGE_SIZE << order);
	return pa;
}

void page_free(hpa_t pa, unsigned order)
{
	pages -= 1L << order;
	free(phys_to_virt(pa));
}

static u64 pages_left = 1 << 20;

u64 page_count_free(void)
{
	return pages_left;
}

u64 page_count_total(void)
{
	return 1 << 20;
}

void *heap_alloc(size_t size)
{
	if (refused())
		return NULL;
	blocks++;
	return calloc(1, size);
}

void heap_free(void *p)
{
	blocks -= p != NULL;
	free(p);
}

void *stack_alloc(unsigned n)
{
	if (refused())
		return NULL;
	stacks++;
	return (u8 *)calloc(n, PAGE_SIZE) + n * PAGE_SIZE;
}

void stack_free(void *top, unsigned n)
{
	stacks--;
	free((u8 *)top - n * PAGE_SIZE);
}

/* ---- the operator's console ---- */
struct console_stream {
	char name[32];
};
static struct console_stream *front;

struct console_stream *console_open(const char *name, void *payer)
{
	(void)payer;
	if (refused())
		return NULL;
	struct console_stream *s = calloc(1, sizeof(*s));
	snprintf(s->name, sizeof(s->name), "%s", name);
	streams++;
	return s;
}

void console_close(struct console_stream *s)
{
	front = front == s ? NULL : front;
	streams--;
	free(s);
}

/* What all of them wrote. */
static char said[1 << 17];
static size_t nr_said;

void console_write(struct console_stream *s, const char *buf, size_t n)
{
	(void)s;
	n = MIN(n, sizeof(said) - 1 - nr_said);
	memcpy(said + nr_said, buf, n);
	nr_said += n;
	said[nr_said] = '\0';
}

void console_set_foreground(struct console_stream *s)
{
	front = s;
}

void console_set_bill(void (*fn)(void *payer, u64 ticks))
{
	(void)fn;
}

void console_set_input(void (*fn)(void *opaque, const u8 *buf, size_t n), void *opaque)
{
	(void)fn, (void)opaque;
}

void console_shorten(void)
{
}

/* ---- the processor: nothing here runs a guest ---- */
void vcpu_run(void *opaque)
{
	(void)opaque;
}

void vcpu_give_way(struct vcpu *v)
{
	(void)v;
}

void vcpu_between(void)
{
}

static unsigned breaths;

void vcpu_breathe(struct vcpu *v)
{
	(void)v;
	breaths++;
}

void guest_log_exits(const struct guest *g)
{
	(void)g;
}

void apic_timer_arm(u64 deadline)
{
	(void)deadline;
}

void cpu_idle_wait(void)
{
}

static void (*loaded)(struct vcpu *v);

void vcpu_load(struct vcpu *v)
{
	if (loaded)
		loaded(v);
}

void vcpu_unload(struct vcpu *v)
{
	(void)v;
}

int extra_create(struct vcpu_extra *x)
{
	x->xsave = heap_alloc(64);
	return x->xsave ? 0 : ERR_NOMEM;
}

void extra_destroy(struct vcpu_extra *x)
{
	heap_free(x->xsave);
	x->xsave = NULL;
}

int switch_init(void)
{
	return 0;
}

int switch_init_cpu(void)
{
	return 0;
}

void extra_reset(struct vcpu *v)
{
	(void)v;
}

void extra_init_signal(struct vcpu *v)
{
	(void)v;
}

void extra_set_xcr0(struct vcpu *v, u64 value)
{
	(void)v, (void)value;
}

void exit_mov_dr(struct vcpu *v)
{
	(void)v;
}

u64 switch_xcr0_allowed(void)
{
	return 3;
}

int vmcs_create(struct vmcs *v, const struct vmx_caps *c)
{
	(void)c;
	v->pa = page_alloc(0);
	return v->pa == PAGE_NONE ? ERR_NOMEM : 0;
}

void vmcs_destroy(struct vmcs *v)
{
	if (v->pa != PAGE_NONE)
		page_free(v->pa, 0);
	v->pa = PAGE_NONE;
}

void vmx_invvpid_single(u16 vpid)
{
	(void)vpid;
}

void vmx_off(struct cpu *c)
{
	(void)c;
}

static jmp_buf powered_off;

__attribute__((noreturn)) void machine_poweroff(void)
{
	longjmp(powered_off, 1);
}

/* ---- a machine with one file ---- */
#define KERNEL_SIZE 8192
static u8 *kernel;
static struct boot_info boot;
static struct sched_cpu *sched;
static struct cpu cpu;
static struct config_vm config;

static void put(u32 at, u32 value)
{
	memcpy(kernel + at, &value, sizeof(value));
}

/* Multiboot 1 by addresses: all of the file at 1 MiB. */
static void make_kernel(void)
{
	const u32 flags = 1 << 16 | 3, magic = 0x1badb002, base = 0x100000;
	const u32 header[] = {
	    magic,    flags, 0u - magic - flags, base, base, base + KERNEL_SIZE, base + 2 * KERNEL_SIZE,
	    base + 64};
	memset(kernel, 0x90, KERNEL_SIZE);
	for (u32 i = 0; i < ARRAY_SIZE(header); i++)
		put(4 * i, header[i]);
}

static int machine(void **state)
{
	(void)state;
	fail_after = -1;
	fake_cpu = &cpu;
	kernel = aligned_alloc(PAGE_SIZE, KERNEL_SIZE);
	make_kernel();
	memset(&boot, 0, sizeof(boot));
	boot.nr_files = 1;
	strcpy(boot.files[0].path, "k.elf");
	boot.files[0].base = virt_to_phys(kernel);
	boot.files[0].length = KERNEL_SIZE;
	assert_int_equal(sched_init(NULL), 0);
	sched = cpu.sched;
	vm_host = (struct vm_host){.boot = &boot};
	vm_host.caps.tpr_shadow = vm_host.caps.vpid = vm_host.caps.ept_2m = vm_host.caps.preemption_timer =
	    true;
	vm_init();
	config = (struct config_vm){
	    .name = "a",
	    .count = 1,
	    .vcpus = 3,
	    .memory = 8 << 20,
	    .kernel = "k.elf",
	    .console = CONSOLE_SERIAL,
	    .testdev = true,
	    .hypervisor_cpuid = true,
	    .weight = 256,
	    .pin = ~(u64)0,
	};
	return 0;
}

static int machine_off(void **state)
{
	(void)state;
	heap_free(sched);
	free(kernel);
	return 0;
}

struct holdings {
	long pages, blocks, stacks, streams;
};

static struct holdings holdings(void)
{
	return (struct holdings){pages, blocks, stacks, streams};
}

static inline void look_at_the_pit(void *opaque, bool port, const struct io_region *r)
{
	(void)port;
	if (!strcmp(r->name, "pit"))
		*(bool *)opaque = ((const struct pit *)r->opaque)->irq->rests;
}

/* Whether the timers of its board do. */
static inline bool board_rests(const struct vm *vm)
{
	bool rests = false;
	io_for_each(&vm->guest, look_at_the_pit, &rests);
	return rests;
}
