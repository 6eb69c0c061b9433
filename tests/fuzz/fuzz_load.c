/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzzes the loaders: whatever a kernel file says, nothing is written outside guest memory, an error
 * has a text, and what is loaded begins inside guest memory. */
#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/fake_gmem.h"
#include "vm/load.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int holds, const char *what)
{
	if (!holds) {
		fprintf(stderr, "broken promise: %s\n", what);
		abort();
	}
}
#define REQUIRE(cond) require(cond, #cond)

/* Guest memory is kept from one input to the next: filling it anew each time would be all the work. */
static struct gmem *memory(void)
{
	static struct gmem mem;
	if (!fake_ram)
		fake_gmem_init(&mem, 8 << 20);
	return &mem;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct boot_state state;
	char why[160] = "";
	u8 *file = malloc(size + !size); /* exact, so that reading behind the end is seen */
	memcpy(file, data, size);
	struct boot_image image = {
	    .path = "kernel",
	    .kernel = file,
	    .kernel_size = size,
	    .cmdline = "a b",
	};
	if (size && (data[size - 1] & 1)) {
		image.modules[0] = (struct boot_module){"m x", file, size};
		image.nr_modules = 1;
	} else if (size && (data[size - 1] & 2)) {
		image.initrd = file;
		image.initrd_size = size;
	}
	int err = boot_load(memory(), &image, &state, why, sizeof(why));
	REQUIRE(err <= 0);
	REQUIRE(!err || why[0] != '\0');
	REQUIRE(err || state.mode == BOOT_PROT32 || state.rip < 8 << 20);
	free(file);
	return 0;
}
