/* SPDX-License-Identifier: Apache-2.0 */
/* How often a byte is copied, and at whose expense (M40): by disks, by disks that had to, and by the switch
 * (M77). */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "block_queue.h"
#include "fake_disk.h"
#include "net.h"

/* ---- disks ---- */
static struct block_queue queue;
static struct block_port ports[2];
static u8 data[4][BLOCK_SECTOR];
static const struct piece pieces[] = {
    {data[0], BLOCK_SECTOR}, {data[1], BLOCK_SECTOR}, {data[2], BLOCK_SECTOR}, {data[3], BLOCK_SECTOR}};
static struct block_request requests[16];
static int owner[2];
static unsigned nr_done;

static void disk_done(struct block_request *r, enum block_status status)
{
	(void)r;
	assert_int_equal(status, BLOCK_OK);
	nr_done++;
}

static void submit(unsigned port, unsigned i, enum block_op op, u64 sector, u32 count)
{
	requests[i] = (struct block_request){.op = op,
					     .sector = sector,
					     .count = count,
					     .nr_segments = op <= BLOCK_WRITE ? count : 0,
					     .segments = pieces,
					     .complete = disk_done};
	block_submit(&ports[port].block, &requests[i]);
}

/* Two ports of 32 sectors side by side. */
static void ports_of(struct block *disk, unsigned depth)
{
	block_queue_init(&queue, disk, depth);
	for (unsigned p = 0; p < 2; p++) {
		assert_int_equal(block_port_init(&ports[p], &queue, p * 32, 32, 0, 16), 0);
		ports[p].payer = &owner[p];
	}
	nr_done = 0;
}

static void memory_copies_once(void **state)
{
	static u8 medium[64 * BLOCK_SECTOR];
	struct block_ram ram;
	struct block null;

	(void)state;
	block_ram_init(&ram, medium, sizeof(medium), 0);
	ports_of(&ram.block, 1);
	submit(0, 0, BLOCK_READ, 0, 3);
	submit(0, 1, BLOCK_WRITE, 7, 4);
	submit(0, 2, BLOCK_WRITE_ZEROES, 0, 8);
	submit(0, 3, BLOCK_DISCARD, 0, 8);
	assert_int_equal(block_port_meters(&ports[0]).copied, 7 * BLOCK_SECTOR);
	assert_int_equal(block_port_meters(&ports[1]).copied, 0);
	block_null_init(&null, 64);
	ports_of(&null, 1);
	submit(0, 0, BLOCK_READ, 0, 3);
	assert_int_equal(block_port_meters(&ports[0]).copied, 0);
}

/* What a disk had to copy is shared by those that travelled together, of whichever VM. */
static void bounces_are_shared(void **state)
{
	struct fake_disk disk;
	struct block_meters m[2];

	(void)state;
	fake_disk_init(&disk, 64, 0);
	disk.bounces = true;
	ports_of(&disk.block, 1);
	submit(0, 0, BLOCK_WRITE, 10, 1);
	/* The end of the one's part, and the start of the other's. */
	submit(0, 1, BLOCK_WRITE, 28, 3);
	submit(0, 2, BLOCK_WRITE, 31, 1);
	submit(1, 3, BLOCK_WRITE, 0, 2);
	submit(1, 4, BLOCK_READ, 2, 4);
	submit(1, 5, BLOCK_WRITE_ZEROES, 6, 4);
	while (fake_disk_step(&disk))
		;
	assert_int_equal(nr_done, 6);
	for (unsigned p = 0; p < 2; p++)
		m[p] = block_port_meters(&ports[p]);
	assert_int_equal(m[0].copied, 5 * BLOCK_SECTOR);
	assert_int_equal(m[1].copied, 6 * BLOCK_SECTOR);
	assert_int_equal(m[0].merges + m[1].merges, 2);
	/* One that need not copy does not. */
	disk.bounces = false;
	submit(0, 0, BLOCK_READ, 0, 4);
	while (fake_disk_step(&disk))
		;
	assert_int_equal(block_port_meters(&ports[0]).copied, 5 * BLOCK_SECTOR);
	fake_disk_free(&disk);
}

static void *payers[8];
static unsigned nr_begun;

static void begun(struct fake_disk *d, const struct block_request *r)
{
	(void)d;
	payers[nr_begun++] = r->payer;
}

/* The disk knows whom it works for (M42): the first of those that travel together. */
static void who_pays_the_disk(void **state)
{
	struct fake_disk disk;

	(void)state;
	fake_disk_init(&disk, 64, BLOCK_VOLATILE);
	disk.begun = begun;
	ports_of(&disk.block, 1);
	submit(1, 0, BLOCK_WRITE, 10, 1);
	submit(0, 1, BLOCK_WRITE, 31, 1);
	submit(1, 2, BLOCK_WRITE, 0, 1);
	submit(0, 3, BLOCK_READ, 5, 1);
	while (fake_disk_step(&disk))
		;
	submit(1, 4, BLOCK_FLUSH, 0, 0);
	submit(0, 5, BLOCK_FLUSH, 0, 0);
	while (fake_disk_step(&disk))
		;
	assert_int_equal(nr_done, 6);
	assert_int_equal(nr_begun, 5);
	assert_ptr_equal(payers[0], &owner[1]);
	assert_ptr_equal(payers[1], &owner[0]); /* the sweep comes to 31 before 5 */
	assert_ptr_equal(payers[2], &owner[0]);
	assert_ptr_equal(payers[3], &owner[1]);
	assert_ptr_equal(payers[4], &owner[0]);
	fake_disk_free(&disk);
}

/* ---- the switch ---- */
static u8 buffer[2048];
static bool has_room = true;

static unsigned room(struct net_port *p, u32 length, struct piece *to)
{
	(void)p;
	*to = (struct piece){buffer, length};
	return has_room;
}

static void received(struct net_port *p, u32 length, const struct net_offload *o)
{
	(void)p, (void)length, (void)o;
}

static void sent(struct net_frame *f, bool delivered)
{
	(void)f, (void)delivered;
}

static const struct net_port_ops ops = {.room = room, .received = received};
static struct net_switch sw;
static struct net_port net[3];

static void send(u32 length, u8 target)
{
	static u8 bytes[2048];
	struct piece p = {bytes, length};
	struct net_frame f = {.pieces = &p, .nr_pieces = 1, .length = length, .complete = sent};
	u64 next;

	memset(bytes, 0, 12);
	memset(bytes, target == 0xff ? 0xff : 0, 6);
	bytes[0] = target == 0xff ? 0xff : 2;
	bytes[5] = target;
	bytes[6] = 2;
	list_init(&f.link);
	net_send(&net[0], &f);
	assert_false(net_switch_run(&sw, 0, 16, &next));
}

/* Each byte once for each receiver, those in the first 64 once more; where the frame goes the way of the one
 * before, those in the first 16. */
static void frames(void **state)
{
	(void)state;
	net_switch_init(&sw, 1, 1000);
	for (u8 i = 0; i < 3; i++)
		assert_int_equal(net_port_init(&net[i], &sw, &ops, (u8[]){2, 0, 0, 0, 0, i}, 0), 0);
	send(40, 1);
	send(1500, 1);
	struct net_meters from = net_port_meters(&net[0]), to = net_port_meters(&net[1]);
	assert_int_equal(from.tx_copied, 2 * 40 + 1500 + 16);
	assert_int_equal(to.rx_copied, 1540);
	assert_int_equal(from.rx_copied + to.tx_copied, 0);
	send(100, 0xff);
	assert_int_equal(net_port_meters(&net[0]).tx_copied - from.tx_copied, 2 * 100 + NET_HEADER);
	assert_int_equal(net_port_meters(&net[2]).rx_copied, 100);
	/* One without room is his who has none (M42), and only its header was copied. */
	from = net_port_meters(&net[0]);
	has_room = false;
	send(1000, 2);
	to = net_port_meters(&net[2]);
	assert_int_equal(net_port_meters(&net[0]).tx_copied - from.tx_copied, NET_HEADER);
	assert_int_equal(net_port_meters(&net[0]).rx_dropped, 0);
	assert_int_equal(to.rx_dropped, 1);
	assert_int_equal(to.rx_copied, 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(memory_copies_once),
	    cmocka_unit_test(bounces_are_shared),
	    cmocka_unit_test(who_pays_the_disk),
	    cmocka_unit_test(frames),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
