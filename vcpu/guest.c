/* SPDX-License-Identifier: Apache-2.0 */
/* What the vCPUs of one VM share, and its stop: the first reason wins, every vCPU obeys it. */
#include "guest.h"

#include "cpuid.h"
#include "guest_internal.h"
#include "host.h"
#include "io_map.h"
#include "log.h"
#include "switch.h"
#include "vcpu.h"
#include "x86_ops.h"

static void guest_stopped(void *opaque)
{
	struct guest *g = opaque;
	g->config.stopped(g->config.opaque);
}

static void flush_needed(void *opaque)
{
	struct guest *g = opaque;
	for (unsigned i = 0; i < g->nr_vcpus; i++)
		vcpu_request(g->vcpus[i], VCPU_REQ_FLUSH);
}

static int guest_setup(struct guest *g)
{
	const struct ept_options opt = {
	    .pages_1g = g->caps->ept_1g, .pages_2m = g->caps->ept_2m, .accessed_dirty = g->caps->ept_ad};
	int rc = ept_init(&g->ept, &opt);
	if (rc)
		return rc;
	g->ept.flush_needed = flush_needed;
	g->ept.flush_opaque = g;
	gmem_init(&g->mem, &g->ept, g->config.page_order, g->config.memory_limit_pages);
	g->io = io_map_create();
	g->cpuid = cpuid_create(&g->config, g->caps);
	if (!g->io || !g->cpuid)
		return ERR_NOMEM;
	mtrr_reset(&g->mtrr, cpuid_phys_bits(g->cpuid));
	return 0;
}

int guest_create(struct guest *g, const struct guest_config *config, const struct vmx_caps *caps)
{
	memset(g, 0, sizeof(*g));
	g->config = *config;
	g->caps = caps;
	str_copy(g->name, config->name, sizeof(g->name));
	if (config->past)
		sched_group_succeed(&g->group, config->past);
	else
		sched_group_init(&g->group);
	g->config.past = NULL; /* the caller's */
	g->clock.wall_ns = wall_ns_at_boot();
	g->clock.record = CLOCK_NOWHERE;
	work_init(&g->stopped_work, guest_stopped, g);
	int rc = guest_setup(g);
	if (rc)
		guest_destroy(g);
	return rc;
}

void guest_destroy(struct guest *g)
{
	guest_free_vcpus(g);
	cpuid_destroy(g->cpuid);
	io_map_destroy(g->io);
	g->cpuid = NULL;
	g->io = NULL;
	if (g->mem.ept)
		gmem_destroy(&g->mem);
	if (g->ept.root)
		ept_destroy(&g->ept);
	memset(&g->ept, 0, sizeof(g->ept));
	memset(&g->mem, 0, sizeof(g->mem));
}

u64 guest_flush_seen(const struct guest *g)
{
	u64 oldest = ~(u64)0;

	for (unsigned i = 0; i < g->nr_vcpus; i++)
		oldest = MIN(oldest, __atomic_load_n(&g->vcpus[i]->ept_gen, __ATOMIC_ACQUIRE));
	return oldest;
}

/* Nothing of it stays on this CPU where there are others. */
static void vcpu_start(struct vcpu *v)
{
	vcpu_load(v);
	v->tsc_offset = v->lapic.tsc_offset = (u64)0 - v->guest->tsc_start;
	vmwrite(TSC_OFFSET, v->tsc_offset);
	if (cpu_count() > 1)
		task_detach(&v->task);
}

void guest_start(struct guest *g)
{
	g->stop = GUEST_RUNNING;
	g->tsc_start = rdtsc();
	for (unsigned i = 0; i < g->nr_vcpus; i++)
		vcpu_start(g->vcpus[i]);
	/* Not before: the first that runs may wake the others, on any CPU. Release: they are whole then. */
	__atomic_store_n(&g->nr_running, g->nr_vcpus, __ATOMIC_RELEASE);
	for (unsigned i = 0; i < g->nr_vcpus; i++)
		task_wake(&g->vcpus[i]->task);
}

void guest_stop(struct guest *g, enum guest_stop why, u32 code)
{
	enum guest_stop expected = GUEST_RUNNING;
	if (!__atomic_compare_exchange_n(&g->stop, &expected, why, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
		return;
	g->stop_code = code;
	for (unsigned i = 0; i < g->nr_vcpus; i++)
		vcpu_request(g->vcpus[i], VCPU_REQ_STOP);
}

void guest_pause(struct guest *g)
{
	clock_vm_paused(g);
	for (unsigned i = 0; i < g->nr_vcpus; i++)
		vcpu_request(g->vcpus[i], VCPU_PAUSED);
}

void guest_unpause(struct guest *g)
{
	clock_vm_unpaused(g);
	for (unsigned i = 0; i < g->nr_vcpus; i++) {
		/* Release: what was changed while it stood still is visible before it goes on. */
		__atomic_fetch_and(&g->vcpus[i]->attention, ~VCPU_PAUSED, __ATOMIC_RELEASE);
		__atomic_fetch_or(&g->vcpus[i]->attention, VCPU_REQ_EVENT, __ATOMIC_RELEASE);
		if (g->nr_running) /* even if the event was there: it has slept over it */
			task_wake(&g->vcpus[i]->task);
	}
}

void guest_dump(struct guest *g)
{
	for (unsigned i = 0; i < g->nr_vcpus; i++) {
		struct vcpu *v = g->vcpus[i];
		if (g->nr_running) {
			vcpu_request(v, VCPU_REQ_DUMP);
			continue;
		}
		vcpu_load(v);
		vcpu_dump(v);
		vcpu_unload(v);
	}
}

void guest_fail(struct guest *g, const char *fmt, ...)
{
	va_list ap;
	if (g->stop != GUEST_RUNNING)
		return;
	va_start(ap, fmt);
	vsnprintf(g->why, sizeof(g->why), fmt, ap);
	va_end(ap);
	log_error("%s: %s", g->name, g->why);
	guest_stop(g, GUEST_CRASHED, 0);
}

const char *guest_name(const struct guest *g)
{
	return g->name;
}

struct gmem *guest_mem(struct guest *g)
{
	return &g->mem;
}

unsigned guest_vcpu_count(const struct guest *g)
{
	return g->nr_vcpus;
}

struct vcpu *guest_vcpu(struct guest *g, unsigned i)
{
	return g->vcpus[i];
}

struct lapic *vcpu_lapic(struct vcpu *v)
{
	return &v->lapic;
}

struct guest *vcpu_guest(struct vcpu *v)
{
	return v->guest;
}

struct apic_sinks *guest_apic_sinks(struct guest *g)
{
	return &g->sinks;
}
