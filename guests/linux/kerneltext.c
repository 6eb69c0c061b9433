/* SPDX-License-Identifier: Apache-2.0 */
/* kerneltext REFERENCE SITES ADDRESS: compares the running kernel's text at ADDRESS (hexadecimal), as
 * /proc/kcore shows it, with the file REFERENCE. SITES has one bit for each byte: 1 where the kernel patches
 * itself. Prints the bytes compared, how many differ inside and outside of those places, and the first
 * outside. */
#include "sys.h"

#define SYS_PREAD64 17
#define SYS_CLOSE 3
#define CHUNK 65536
#define SHOWN 40
#define PT_LOAD 1

struct elf_header {
	uint8_t ident[16];
	uint16_t type, machine;
	uint32_t version;
	uint64_t entry, phoff, shoff;
	uint32_t flags;
	uint16_t ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};

struct program_header {
	uint32_t type, flags;
	uint64_t offset, vaddr, paddr, filesz, memsz, align;
};

static uint8_t live[CHUNK], reference[CHUNK], sites[CHUNK / 8];

static noreturn void fail(const char *why)
{
	print("kerneltext: ");
	print(why);
	print("\n");
	sys_exit(1);
}

static long file_open(const char *path)
{
	long fd = sys_call(SYS_OPEN, (long)path, 0, 0, 0, 0);
	if (fd < 0)
		fail(path);
	return fd;
}

/* As many bytes as there are, up to n. */
static size_t read_at(long fd, void *to, size_t n, uint64_t offset)
{
	size_t done = 0;
	while (done < n) {
		long got = sys_call(SYS_PREAD64, fd, (long)to + (long)done, (long)(n - done),
				    (long)(offset + done), 0);
		if (got < 0)
			fail("cannot read");
		if (got == 0)
			break;
		done += (size_t)got;
	}
	return done;
}

static uint64_t parse_hex(const char *s)
{
	uint64_t v = 0;
	for (; *s; s++)
		v = v << 4 | (uint64_t)(*s <= '9' ? *s - '0' : *s - 'a' + 10);
	return v;
}

/* Where /proc/kcore has the address. */
static uint64_t kcore_offset(long fd, uint64_t address)
{
	struct elf_header h;
	struct program_header p;
	read_at(fd, &h, sizeof(h), 0);
	for (unsigned i = 0; i < h.phnum; i++) {
		read_at(fd, &p, sizeof(p), h.phoff + i * sizeof(p));
		if (p.type == PT_LOAD && address >= p.vaddr && address - p.vaddr < p.memsz)
			return p.offset + (address - p.vaddr);
	}
	fail("the address is not in /proc/kcore");
}

static void say(const char *name, uint64_t value)
{
	print(name);
	print_number(value);
	print("\n");
}

noreturn void program_main(long argc, char **argv, char **envp)
{
	uint64_t compared = 0, inside = 0, outside = 0;
	size_t n;
	(void)envp;
	if (argc != 4)
		fail("usage: kerneltext REFERENCE SITES ADDRESS");
	long core = file_open("/proc/kcore"), ref = file_open(argv[1]), map = file_open(argv[2]);
	uint64_t base = kcore_offset(core, parse_hex(argv[3]));
	while ((n = read_at(ref, reference, CHUNK, compared)) > 0) {
		if (read_at(core, live, n, base + compared) != n ||
		    read_at(map, sites, CHUNK / 8, compared / 8) < n / 8)
			fail("too short");
		for (size_t i = 0; i < n; i++) {
			if (live[i] == reference[i])
				continue;
			if (sites[i / 8] >> (i % 8) & 1)
				inside++;
			else if (outside++ < SHOWN)
				say("kerneltext outside at ", compared + i);
		}
		compared += n;
	}
	say("kerneltext compared ", compared);
	say("kerneltext inside ", inside);
	say("kerneltext outside ", outside);
	sys_exit(0);
}
