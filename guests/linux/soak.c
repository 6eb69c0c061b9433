/* SPDX-License-Identifier: Apache-2.0 */
/* soak DEVICE SEED OPERATIONS: writes, reads, flushes and zeroes a disk at random, past the page cache, and
 * compares what it reads with what has been written; then reads all of it. Ends after so many operations, or
 * when there is a file /tmp/stop. The disk is zero when it begins. Says what it did, or where a sector is not
 * what it was. */
#include "sys.h"

#define SYS_LSEEK 8
#define SYS_PREAD 17
#define SYS_PWRITE 18
#define SYS_ACCESS 21
#define SYS_FSYNC 74
#define O_RDWR 2
#define O_DIRECT 040000
#define SEEK_END 2
#define BLKZEROOUT 0x127f
#define SECTOR 512
#define SECTORS_MAX 32768
#define RUN_MAX 512 /* sectors */
#define WORDS (SECTOR / 8)

static struct {
	const char *name;
	int fd;
	uint64_t random, salt, sectors;
	uint64_t writes, reads, flushes, zeroes, written, read; /* the last two: sectors */
	uint32_t version[SECTORS_MAX];                          /* 0: zeroes */
	uint64_t data[RUN_MAX * WORDS] __attribute__((aligned(4096)));
} s;

static noreturn void fail(const char *what, uint64_t where)
{
	print("soak: ");
	print(s.name);
	print(": WRONG: ");
	print(what);
	print(" at sector ");
	print_number(where);
	print(" after ");
	print_number(s.writes + s.reads);
	print(" operations\n");
	sys_exit(1);
}

static uint64_t next(void)
{
	s.random ^= s.random << 13;
	s.random ^= s.random >> 7;
	s.random ^= s.random << 17;
	return s.random;
}

/* Word i of a sector. */
static uint64_t word(uint64_t sector, uint32_t version, uint64_t i)
{
	return version ? (s.salt ^ sector << 40 ^ (uint64_t)version << 8 ^ i) * 0x9e3779b97f4a7c15u : 0;
}

static void compare(uint64_t first, uint64_t n)
{
	if (sys_call(SYS_PREAD, s.fd, (long)s.data, (long)(n * SECTOR), (long)(first * SECTOR), 0) !=
	    (long)(n * SECTOR))
		fail("cannot be read", first);
	for (uint64_t i = 0; i < n * WORDS; i++)
		if (s.data[i] != word(first + i / WORDS, s.version[first + i / WORDS], i % WORDS))
			fail("not what was written", first + i / WORDS);
	s.reads++;
	s.read += n;
}

static void change(uint64_t first, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++)
		s.version[first + i]++;
	for (uint64_t i = 0; i < n * WORDS; i++)
		s.data[i] = word(first + i / WORDS, s.version[first + i / WORDS], i % WORDS);
	if (sys_call(SYS_PWRITE, s.fd, (long)s.data, (long)(n * SECTOR), (long)(first * SECTOR), 0) !=
	    (long)(n * SECTOR))
		fail("cannot be written", first);
	s.writes++;
	s.written += n;
}

static void zero(uint64_t first, uint64_t n)
{
	uint64_t range[2] = {first * SECTOR, n * SECTOR};

	if (sys_call(SYS_IOCTL, s.fd, BLKZEROOUT, (long)range, 0, 0))
		fail("cannot be zeroed", first);
	for (uint64_t i = 0; i < n; i++)
		s.version[first + i] = 0;
	s.zeroes++;
}

/* Small ones most of the time. */
static void step(void)
{
	uint64_t kind = next() % 64, longest = (uint64_t)1 << next() % 10, n = 1 + next() % longest,
		 first = next() % (s.sectors - n + 1);

	if (kind < 30) {
		compare(first, n);
	} else if (kind < 60) {
		change(first, n);
	} else if (kind < 62) {
		zero(first, n);
	} else {
		if (sys_call(SYS_FSYNC, s.fd, 0, 0, 0, 0))
			fail("cannot be flushed", first);
		s.flushes++;
	}
}

static void tell(const char *what, uint64_t n)
{
	print(what);
	print_number(n);
}

noreturn void program_main(long argc, char **argv, char **envp)
{
	(void)envp;
	if (argc != 4) {
		print("usage: soak DEVICE SEED OPERATIONS\n");
		sys_exit(2);
	}
	s.name = argv[1];
	s.random = s.salt = text_number(argv[2]) | 1;
	s.fd = (int)sys_call(SYS_OPEN, (long)argv[1], O_RDWR | O_DIRECT, 0, 0, 0);
	if (s.fd < 0)
		fail("cannot be opened", 0);
	s.sectors = (uint64_t)sys_call(SYS_LSEEK, s.fd, 0, SEEK_END, 0, 0) / SECTOR;
	if (s.sectors < RUN_MAX || s.sectors > SECTORS_MAX)
		fail("too small or too large", s.sectors);
	for (uint64_t i = 0, most = text_number(argv[3]); i < most; i++) {
		step();
		if (i % 16 == 0 && sys_call(SYS_ACCESS, (long)"/tmp/stop", 0, 0, 0, 0) == 0)
			break;
	}
	for (uint64_t at = 0, n; at < s.sectors; at += n) {
		n = s.sectors - at < RUN_MAX ? s.sectors - at : RUN_MAX;
		compare(at, n);
	}
	print("soak: ");
	print(s.name);
	tell(": all is there: ", s.writes);
	tell(" writes of ", s.written / 2);
	tell(" KiB, ", s.reads);
	tell(" reads of ", s.read / 2);
	tell(" KiB, ", s.flushes);
	tell(" flushes, ", s.zeroes);
	print(" zeroed\n");
	sys_exit(0);
}
