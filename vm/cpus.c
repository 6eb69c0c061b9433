/* SPDX-License-Identifier: Apache-2.0 */
/* Every CPU of the machine enters VMX operation. What they can do is read on each and intersected, so
 * that any of them can run any guest; one that still differs is left out. */
#include "host.h"
#include "log.h"
#include "vm.h"

struct answer {
	const struct vmx_wishes *wishes;
	struct vmx_caps caps;
	int rc;
	char why[LOG_LINE_MAX / 2];
};

static void probe_here(void *opaque)
{
	struct answer *a = opaque;
	a->rc = vmx_probe(&a->caps, a->wishes, a->why, sizeof(a->why));
}

static int must(int rc, const char *why)
{
	if (rc)
		panic("this processor cannot run Socle: %s", why);
	return rc;
}

/* Bochs keeps external interrupts masked after an entry to a guest whose interrupts are off, although
 * they are to end its run (SDM volume 3, 26.2); so they are let in here. */
#define WATCH_NS 10000000u

static void watch(void *opaque)
{
	cpu_poll_interrupts();
	timer_set(opaque, tsc_now() + ns_to_tsc(WATCH_NS));
}

/* On each CPU. */
static int watch_start(void)
{
	struct timer *t = heap_alloc(sizeof(*t));
	if (!t)
		return ERR_NOMEM;
	timer_init(t, watch, t, NULL);
	timer_set(t, tsc_now() + ns_to_tsc(WATCH_NS));
	return 0;
}

/* Alone on its CPU, which has no guest and no task yet. */
static void enter_here(void *opaque)
{
	struct answer *a = opaque;
	str_copy(a->why, "no memory", sizeof(a->why));
	a->rc = sched_init(gmem_idle_zero);
	if (!a->rc)
		a->rc = vmx_probe_same(&vm_host.caps, a->wishes, a->why, sizeof(a->why));
	if (!a->rc)
		a->rc = vcpu_init_cpu(a->why, sizeof(a->why));
	if (!a->rc && vm_host.caps.vid_errata)
		a->rc = watch_start();
	if (a->rc)
		return;
	str_copy(a->why, "VMX operation cannot be entered", sizeof(a->why));
	a->rc = vmx_on(this_cpu(), &vm_host.caps);
}

/* Calls fn on each other CPU and leaves out those that it fails on. */
static void ask_others(void (*fn)(void *opaque), struct vmx_wishes *wishes)
{
	for (unsigned i = 1; i < cpu_count();) {
		struct answer a = {.wishes = wishes};
		cpu_call_wait(i, fn, &a);
		if (!a.rc) {
			if (fn == probe_here)
				vmx_wishes_limit(wishes, &a.caps);
			i++;
			continue;
		}
		log_warn("CPU with APIC id %u: %s; left out", cpu_get(i)->apic_id, a.why);
		cpu_leave_out(i);
	}
}

void vm_enter_vmx(const struct boot_info *bi)
{
	const struct config_features *f = &vm_host.config.socle.features;
	struct vmx_wishes wishes = {
	    .vid = f->vid,
	    .vid_despite_errata = !f->vid_auto,
	    .tpr_shadow = f->tpr_shadow,
	    .vpid = f->vpid,
	    .preemption_timer = f->preemption_timer,
	    .ept_1g = f->ept_1g,
	    .ept_ad = f->ept_ad,
	};
	char text[LOG_LINE_MAX];
	must(vmx_probe(&vm_host.caps, &wishes, text, sizeof(text)), text);
	cpu_on_stop(vmx_abandon);
	cpu_start_others(bi);
	ask_others(probe_here, &wishes);
	must(vmx_probe(&vm_host.caps, &wishes, text, sizeof(text)), text);
	must(vmx_on(this_cpu(), &vm_host.caps), "VMX operation cannot be entered");
	must(vcpu_init(&vm_host.caps), "no memory for the virtual CPUs' tables");
	ask_others(enter_here, &wishes);
	tsc_compare();
	vmx_describe(&vm_host.caps, text, sizeof(text));
	log_info("VT-x: %s", text);
	if (vm_host.caps.vid_errata) {
		log_info("the processor is Bochs, whose virtual-interrupt delivery ignores CLI: %s",
			 vm_host.caps.vid ? "on all the same" : "off, unless vid = on");
		must(watch_start(), "no memory for a timer");
	}
}
