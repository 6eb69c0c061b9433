/* SPDX-License-Identifier: Apache-2.0 */
/* Random bytes from the processor. RDSEED gives what its noise source gives, conditioned; RDRAND a
 * generator's output that is seeded from the same source (NIST SP 800-90B and 800-90A; SDM vol. 1, 7.3.17).
 * What a guest gets is a word that nobody else got, unchanged. */
#include "host.h"
#include "x86.h"
#include "x86_ops.h"

/* RDSEED may have none while others draw on it; RDRAND that many times in a row only when it is broken. */
#define SEED_TRIES 32u
#define RAND_TRIES 10u
#define TEST_WORDS 64u
/* Ones among the 4096 bits of a test: 2048 ± 8 standard deviations of 32. */
#define ONES_LEAST 1792u
#define ONES_MOST 2304u
#define NOT_RANDOM "the processor's random numbers are not random"

static struct {
	bool seed, rand; /* the processor has them */
	bool broken;     /* atomic */
	u64 last;        /* atomic */
} entropy;

static bool draw(u64 *word)
{
	for (u32 i = 0; entropy.seed && i < SEED_TRIES; i++) {
		if (rdseed(word))
			return true;
		cpu_pause();
	}
	for (u32 i = 0; entropy.rand && i < RAND_TRIES; i++)
		if (rdrand(word))
			return true;
	return false;
}

/* SP 800-90B, 4.4.1: of 64 bits of full entropy two in a row are equal once in 2^64 times. All zeros and all
 * ones are what processors have given that did not work. */
static bool healthy(u64 word)
{
	return word && ~word && __atomic_exchange_n(&entropy.last, word, __ATOMIC_RELAXED) != word;
}

int entropy_get(u64 *word)
{
	if (__atomic_load_n(&entropy.broken, __ATOMIC_RELAXED))
		return ERR_NOTSUP;
	if (!draw(word))
		return ERR_AGAIN;
	if (likely(healthy(*word)))
		return 0;
	*word = 0;
	__atomic_store_n(&entropy.broken, true, __ATOMIC_RELAXED);
	return ERR_NOTSUP;
}

static u32 ones(u64 word)
{
	u32 n = 0;

	for (; word; word &= word - 1)
		n++;
	return n;
}

static const char *test_words(void)
{
	u32 count = 0;
	u64 word = 0;

	for (u32 i = 0; i < TEST_WORDS; i++) {
		int rc = entropy_get(&word);
		if (rc == ERR_AGAIN)
			return "the processor gives no random numbers";
		if (rc)
			return NOT_RANDOM;
		count += ones(word);
	}
	if (count >= ONES_LEAST && count <= ONES_MOST)
		return NULL;
	__atomic_store_n(&entropy.broken, true, __ATOMIC_RELAXED);
	return NOT_RANDOM;
}

/* Of this CPU's: a CPU that is used has the boot CPU's instructions (vcpu/switch.c). */
const char *entropy_test(void)
{
	entropy.seed = cpuid(CPUID_LEAF_EXT_FEATURES, 0).ebx & CPUID7_EBX_RDSEED;
	entropy.rand = cpuid(CPUID_LEAF_FEATURES, 0).ecx & CPUID1_ECX_RDRAND;
	if (!entropy.seed && !entropy.rand)
		return "this processor has neither RDSEED nor RDRAND";
	return test_words();
}
