// SPDX-License-Identifier: Apache-2.0
/* Loaded into Bochs (LD_PRELOAD) by scripts/run --warm. Its debugger has no command that saves the machine's
 * state, which other builds have in a menu; but it opens files, on the emulator's thread, between two
 * instructions: writemem "SOCLE-SAVE-STATE" saves into $SOCLE_SAVE_STATE.
 *
 * And when it restores a state, it copies all of the guest's memory, holes and all, into a temporary file,
 * which takes seconds for each gigabyte: $SOCLE_RAM is that copy, made before by someone who keeps holes. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void save(void)
{
	void **sim = dlsym(RTLD_DEFAULT, "SIM");
	bool (*save_state)(void *, const char *) = dlsym(RTLD_DEFAULT, "_ZN13bx_real_sim_c10save_stateEPKc");
	const char *folder = getenv("SOCLE_SAVE_STATE");
	char done[4096];

	if (sim == NULL || save_state == NULL || folder == NULL || !save_state(*sim, folder))
		return;
	snprintf(done, sizeof(done), "%s/saved", folder);
	FILE *f = fopen(done, "w");
	if (f != NULL)
		fclose(f);
}

static FILE *open_file(const char *name, const char *path, const char *mode)
{
	FILE *(*next)(const char *, const char *) = dlsym(RTLD_NEXT, name);

	if (strcmp(path, "SOCLE-SAVE-STATE") == 0) {
		save();
		path = "/dev/null";
	}
	return next(path, mode);
}

FILE *tmpfile64(void)
{
	FILE *(*next)(void) = dlsym(RTLD_NEXT, "tmpfile64");
	const char *ram = getenv("SOCLE_RAM");
	FILE *f = ram != NULL ? open_file("fopen64", ram, "r+b") : next();

	unsetenv("SOCLE_RAM");
	return f;
}

FILE *fopen(const char *path, const char *mode)
{
	return open_file("fopen", path, mode);
}

FILE *fopen64(const char *path, const char *mode)
{
	return open_file("fopen64", path, mode);
}
