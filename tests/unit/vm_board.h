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

#include "fake_cpu.h"
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

void console_write(struct console_stream *s, const char *buf, size_t n)
{
	(void)s, (void)buf, (void)n;
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

int switch_create(struct vcpu_extra *x)
{
	x->xsave = heap_alloc(64);
	return x->xsave ? 0 : ERR_NOMEM;
}

void switch_destroy(struct vcpu_extra *x)
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

void switch_reset(struct vcpu *v)
{
	(void)v;
}

u64 switch_xcr0_allowed(void)
{
	return 3;
}

void switch_arm_apic_timer(u64 deadline)
{
	(void)deadline;
}

void switch_forget_apic_timer(void)
{
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

/* ---- the monitor, open, so that the last VM's end does not end the machine ---- */
static unsigned monitor_wakes;

void monitor_init(void)
{
}

void monitor_open(void)
{
}

void monitor_left(void)
{
}

bool monitor_is_open(void)
{
	return true;
}

void monitor_input(const u8 *buf, size_t n)
{
	(void)buf, (void)n;
}

void monitor_wake(void)
{
	monitor_wakes++;
}
