# SPDX-License-Identifier: Apache-2.0
# Fuzzing on the build host. tests/fuzz/fuzz_NAME.c is a target, tests/fuzz/corpus/NAME its inputs.
# `make fuzz` searches for new ones (clang's libFuzzer); `make fuzz-replay` runs the known ones.
FUZZ_SECONDS ?= 60
FUZZ_NAMES := $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
FUZZ_FLAGS := -std=gnu17 -O1 -g -Itests/unit/include -Iinclude -I. -fsanitize=address,undefined -fno-sanitize-recover=undefined \
	-fno-omit-frame-pointer -Wall -Wextra -Werror -Wno-pass-failed
FUZZ_OBJ := $(UOBJ:$(B)/unit/%=$(B)/fuzz/%)

$(B)/fuzz/%.o: %.c
	@mkdir -p $(@D)
	clang $(FUZZ_FLAGS) -fsanitize=fuzzer-no-link -MMD -MP -c $< -o $@
$(B)/fuzz/libsocle.a: $(FUZZ_OBJ)
	@rm -f $@
	ar rcs $@ $^
$(B)/fuzz/fuzz_%: tests/fuzz/fuzz_%.c tests/unit/shim.c $(B)/fuzz/libsocle.a
	clang $(FUZZ_FLAGS) -fsanitize=fuzzer $^ -o $@
$(B)/replay/fuzz_%: tests/fuzz/fuzz_%.c tests/fuzz/replay.c tests/unit/shim.c $(B)/unit/libsocle.a
	@mkdir -p $(@D)
	$(CC) $(UCFLAGS) $^ -o $@

# New inputs go to build/, a crash too: nothing is written into the source tree.
fuzz-%: $(B)/fuzz/fuzz_%
	@mkdir -p $(B)/fuzz/corpus/$*
	$< -max_total_time=$(FUZZ_SECONDS) -max_len=4096 -print_final_stats=1 -verbosity=0 \
		-artifact_prefix=$(B)/fuzz/$*- $(B)/fuzz/corpus/$* tests/fuzz/corpus/$*
replay-%: $(B)/replay/fuzz_%
	@$< tests/fuzz/corpus/$* 2>$(B)/replay/$*.log || { tail -20 $(B)/replay/$*.log; exit 1; }

fuzz: $(FUZZ_NAMES:%=fuzz-%)
fuzz-replay: $(FUZZ_NAMES:%=replay-%)
.PHONY: fuzz fuzz-replay
.SECONDARY:
