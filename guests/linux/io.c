/* SPDX-License-Identifier: Apache-2.0 */
/* io DEVICE read|write SIZE DEPTH COUNT: COUNT requests of SIZE bytes, all over the device so that the kernel
 * cannot join them, DEPTH of them at a time, past the page cache; then one line of what that took. With
 * `testdev = yes` the VM's own meters stand behind: exits, instructions of the hypervisor, interrupts
 * of the VM's devices and bytes that were copied for it. COUNT 0 is what
 * the measuring takes. */
#include "meters.h"

#define SYS_LSEEK 8
#define SYS_MMAP 9
#define SYS_PREAD 17
#define SYS_PWRITE 18
#define SYS_IO_SETUP 206
#define SYS_IO_GETEVENTS 208
#define SYS_IO_SUBMIT 209
#define O_RDWR 2
#define O_DIRECT 040000
#define SEEK_END 2
#define DEPTH_MAX 64

/* Linux' ABI of asynchronous requests, as include/uapi/linux/aio_abi.h has it. */
struct iocb {
	uint64_t data;
	uint32_t key, flags;
	uint16_t opcode;
	int16_t priority;
	uint32_t fd;
	uint64_t buffer, bytes;
	int64_t offset;
	uint64_t reserved;
	uint32_t more_flags, event_fd;
};
struct io_event {
	uint64_t data, request;
	int64_t result, more;
};

struct work {
	int fd, write;
	uint64_t size, depth, count, blocks; /* blocks: of that size, on the device */
	char *memory;
};

/* ---- requests ---- */
static noreturn void fail(const char *what, long result)
{
	print("io: ");
	print(what);
	print(" failed: ");
	print_number((uint64_t)(result < 0 ? -result : result));
	print("\n");
	sys_exit(1);
}

static uint64_t place(const struct work *w, uint64_t i)
{
	return i * 2654435761u % w->blocks * w->size;
}

static void one_by_one(const struct work *w)
{
	for (uint64_t i = 0; i < w->count; i++) {
		long at = (long)place(w, i);
		long done =
		    sys_call(w->write ? SYS_PWRITE : SYS_PREAD, w->fd, (long)w->memory, (long)w->size, at, 0);
		if (done != (long)w->size)
			fail(w->write ? "write" : "read", done);
	}
}

static void begin(const struct work *w, uint64_t context, struct iocb *requests, uint64_t first, uint64_t n,
		  const uint64_t *slots)
{
	struct iocb *list[DEPTH_MAX];
	for (uint64_t i = 0; i < n; i++) {
		struct iocb *r = &requests[slots[i]];
		r->data = slots[i];
		r->opcode = w->write ? 1 : 0;
		r->fd = (uint32_t)w->fd;
		r->buffer = (uint64_t)(w->memory + slots[i] * w->size);
		r->bytes = w->size;
		r->offset = (int64_t)place(w, first + i);
		list[i] = r;
	}
	long done = sys_call(SYS_IO_SUBMIT, (long)context, (long)n, (long)list, 0, 0);
	if (done != (long)n)
		fail("io_submit", done);
}

static void many(const struct work *w)
{
	static struct iocb requests[DEPTH_MAX];
	struct io_event events[DEPTH_MAX];
	uint64_t context = 0, begun = 0, ended = 0, slots[DEPTH_MAX];
	long rc = sys_call(SYS_IO_SETUP, DEPTH_MAX, (long)&context, 0, 0, 0);
	if (rc)
		fail("io_setup", rc);
	uint64_t n = w->depth < w->count ? w->depth : w->count;
	for (uint64_t i = 0; i < n; i++)
		slots[i] = i;
	while (ended < w->count) {
		if (n)
			begin(w, context, requests, begun, n, slots);
		begun += n;
		rc = sys_call(SYS_IO_GETEVENTS, (long)context, 1, DEPTH_MAX, (long)events, 0);
		if (rc < 1)
			fail("io_getevents", rc);
		n = 0;
		for (long i = 0; i < rc; i++) {
			if (events[i].result != (int64_t)w->size)
				fail("request", events[i].result);
			if (begun + n < w->count)
				slots[n++] = events[i].data;
		}
		ended += (uint64_t)rc;
	}
}

/* ---- the program ---- */
static void prepare(struct work *w, char **argv)
{
	w->write = argv[2][0] == 'w';
	w->size = text_number(argv[3]);
	w->depth = text_number(argv[4]);
	w->count = text_number(argv[5]);
	if (!w->size || w->size % 512 || !w->depth || w->depth > DEPTH_MAX) {
		print("io: expected a SIZE of whole sectors, and a DEPTH of 1 to 64\n");
		sys_exit(2);
	}
	w->fd = (int)sys_call(SYS_OPEN, (long)argv[1], O_RDWR | O_DIRECT, 0, 0, 0);
	if (w->fd < 0)
		fail("open", w->fd);
	w->blocks = (uint64_t)sys_call(SYS_LSEEK, w->fd, 0, SEEK_END, 0, 0) / w->size;
	/* Six arguments: private and anonymous, read and write, populated. */
	register long r9 __asm__("r9") = 0;
	__asm__ volatile("" : : "r"(r9));
	long memory = sys_call(SYS_MMAP, 0, (long)(w->depth * w->size), 3, 0x8022, -1);
	if (!w->blocks || (memory < 0 && memory > -4096))
		fail("memory, or a device that is too small", memory);
	w->memory = (char *)memory;
	for (uint64_t i = 0; i < w->depth * w->size; i += 8)
		*(uint64_t *)(w->memory + i) = i;
}

noreturn void program_main(long argc, char **argv, char **envp)
{
	struct work w = {0};
	uint64_t before[METERS], after[METERS];
	(void)envp;
	if (argc != 6) {
		print(
		    "Usage: io DEVICE read|write SIZE DEPTH COUNT\nExample: io /dev/vda read 4096 1 1000\n");
		sys_exit(2);
	}
	prepare(&w, argv);
	long rc = meters_open();
	if (rc)
		fail("iopl", rc);
	meters_read(before);
	uint64_t start = tsc_read();
	if (w.depth == 1)
		one_by_one(&w);
	else
		many(&w);
	uint64_t ticks = tsc_read() - start;
	meters_read(after);
	print("IO");
	row("count", w.count);
	row("ticks", ticks);
	meters_print(before, after);
	print("\n");
	sys_exit(0);
}
