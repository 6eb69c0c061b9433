/* SPDX-License-Identifier: Apache-2.0 */
/* What stats says of a VM's disks. */
#include "host.h"
#include "json.h"
#include "monitor.h"
#include "monitor_show.h"

static u64 microseconds(u64 ticks)
{
	return tsc_to_ns(ticks) / 1000;
}

void stats_device_json(struct json *j, const struct device_meters *m)
{
	json_number(j, "doorbells", m->doorbells);
	json_number(j, "interrupts", m->interrupts);
	json_number(j, "suppressed", m->suppressed);
	json_number(j, "exits", m->accesses);
}

static void disk_json(struct json *j, unsigned i, const struct disk_meters *m)
{
	const struct block_meters *b = &m->block;

	json_open(j, NULL, '{');
	json_number(j, "disk", i + 1);
	json_number(j, "reads", b->ops[BLOCK_READ]);
	json_number(j, "writes", b->ops[BLOCK_WRITE]);
	json_number(j, "bytes_read", b->bytes_read);
	json_number(j, "bytes_written", b->bytes_written);
	json_number(j, "flushes", b->ops[BLOCK_FLUSH]);
	json_number(j, "discards", b->ops[BLOCK_DISCARD]);
	json_number(j, "write_zeroes", b->ops[BLOCK_WRITE_ZEROES]);
	json_number(j, "barriers", b->barriers);
	json_number(j, "errors", b->errors);
	json_number(j, "merges", b->merges);
	json_number(j, "longest_wait", b->longest_wait);
	json_number(j, "copied", b->copied + m->device.copied);
	json_number(j, "time_us", microseconds(b->ticks));
	stats_device_json(j, &m->device);
	json_close(j, '}');
}

static void disk_rows(unsigned i, const struct disk_meters *m)
{
	const struct block_meters *b = &m->block;

	monitor_print("%12lu  disk%u: reads, %lu KiB\n", b->ops[BLOCK_READ], i + 1, b->bytes_read >> 10);
	monitor_print("%12lu  disk%u: writes, %lu KiB\n", b->ops[BLOCK_WRITE], i + 1, b->bytes_written >> 10);
	monitor_print("%12lu  disk%u: flushes; %lu discards, %lu write-zeroes, %lu barriers\n",
		      b->ops[BLOCK_FLUSH], i + 1, b->ops[BLOCK_DISCARD], b->ops[BLOCK_WRITE_ZEROES],
		      b->barriers);
	monitor_print("%12lu  disk%u: errors; %lu merged, longest wait %lu, %lu us in all\n", b->errors,
		      i + 1, b->merges, b->longest_wait, microseconds(b->ticks));
	monitor_print(
	    "%12lu  disk%u: doorbells, %lu interrupts, %lu suppressed; %lu exits, %lu bytes copied\n",
	    m->device.doorbells, i + 1, m->device.interrupts, m->device.suppressed, m->device.accesses,
	    b->copied + m->device.copied);
}

void stats_disks(struct json *j, const struct vm *vm)
{
	if (j)
		json_open(j, "disks", '[');
	for (unsigned i = 0; i < CONFIG_MAX_DISKS; i++) {
		struct disk_meters m;
		if (!vm->disks[i].medium)
			continue;
		vm_disk_meters(vm, i, &m);
		if (j)
			disk_json(j, i, &m);
		else
			disk_rows(i, &m);
	}
	if (j)
		json_close(j, ']');
}
