/* SPDX-License-Identifier: Apache-2.0 */
/* Socle from its first C function to the scheduler's loop: a list of named steps. */
#include "host.h"
#include "log.h"
#include "poll.h"
#include "tenant.h"
#include "vm.h"

__attribute__((noreturn)) void socle_main(const struct boot_info *bi);

__attribute__((noreturn)) void socle_main(const struct boot_info *bi);

static void configure(const struct boot_info *bi)
{
	struct config_error err;
	char line[LOG_LINE_MAX];
	/* The loader has parsed the same text with the same parser: an error here is ours. */
	const char *text = phys_to_virt(bi->config_base);
	struct config *c = &vm_host.config;
	c->room = config_count_sections(text, bi->config_size);
	c->vms = heap_alloc(c->room * sizeof(*c->vms));
	if (!c->vms)
		panic("no memory for the configuration");
	if (config_parse(c, text, bi->config_size, &err)) {
		config_format_error(line, sizeof(line), "socle.conf", &err);
		panic("%s", line);
	}
	tenants_init();
	log_set_level((enum log_level)vm_host.config.socle.log_level);
}

/* What Socle itself costs: memory, and time without the reading of files. */
static void report_cost(const struct boot_info *bi)
{
	log_info("Socle takes %lu KiB of memory; %lu us from the firmware's call to the guests, and %lu us "
		 "for files",
		 vm_socle_usage() >> 10, tsc_to_ns(tsc_now() - bi->tsc_after_files) / 1000,
		 tsc_to_ns(bi->tsc_after_files - bi->tsc_at_entry) / 1000);
}

static void start_guests(const struct boot_info *bi)
{
	const struct config *c = &vm_host.config;
	for (const struct config_vm *section = c->vms; section < c->vms + c->nr_vms; section++)
		for (unsigned i = 0; section->autostart && i < section->count; i++) {
			struct vm *vm;
			if (vm_create(section, i, false, &vm) == 0)
				vm_start(vm);
		}
	report_cost(bi);
	vm_check_idle();
}

/* The last CPUs, which guests do without. */
static void select_polling(void)
{
	unsigned wanted = vm_host.config.socle.poll, n = sched_poll_cpus(wanted);

	if (n < wanted)
		log_error("poll: %u CPUs to poll, but the machine has %u: expected at most %u; %u poll",
			  wanted, cpu_count(), cpu_count() - 1, n);
	if (n)
		log_info("CPU %u%s poll%s rings and run%s no guests", cpu_count() - n,
			 n > 1 ? " and higher" : "", n > 1 ? "" : "s", n > 1 ? "" : "s");
}

static void select_policy(void)
{
	static const char *const names[] = {
	    [CONFIG_SCHED_BVT] = "bvt", [CONFIG_SCHED_CREDIT] = "credit", [CONFIG_SCHED_RR] = "rr"};
	if (sched_select(names[vm_host.config.socle.sched]))
		panic("no scheduling policy of that name");
	log_info("scheduler: %s", sched_policy_name());
}

void socle_main(const struct boot_info *bi)
{
	vm_host.boot = bi;
	vm_init();
	log_console_init(bi);
	cpu_init_boot(bi);
	page_init(bi);
	paging_init(bi);
	heap_init();
	apic_init(bi);
	time_init(bi);
	if (sched_init(gmem_idle_zero))
		panic("no memory for the scheduler");
	console_init_irq();
	configure(bi);
	vm_enter_vmx(bi);
	log_info("Socle: %u CPU%s, %lu MiB free", cpu_count(), cpu_count() == 1 ? "" : "s",
		 page_count_free() >> 8);
	select_policy();
	select_polling();
	vm_console_init();
	start_guests(bi);
	cpu_run_others(sched_run);
	sched_run();
}
