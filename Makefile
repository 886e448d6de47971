# A thin front for CMake's presets.  `make demo` and `make test` are all that a visitor needs; CONTRIBUTING.md lists the
# rest.  Both install what is missing (packaging/*.txt) when they may, and name it when they may not.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
JOBS ?= $(shell nproc)
VENV := build/venv
PYTHON := $(CURDIR)/$(VENV)/bin/python
SHARED ?=
SHARED_OPTION := -DCLIPON_SHARED_DIR=$(if $(SHARED),$(realpath $(SHARED)))
CONFIGURE = cmake --preset $(1) -DCLIPON_PYTHON=$(PYTHON) $(SHARED_OPTION) > build/$(1).log || { cat build/$(1).log; exit 1; }
CTEST = ctest --output-on-failure --no-tests=error

.PHONY: demo test test-all trust asan ubsan tsan msan ndebug clang arm64 coverage fuzz meson consumer parity lint tidy format clean packages-build packages-test packages-ci packages-arm64 venv

demo: packages-build
	@mkdir -p build
	@cmake --preset demo > build/demo.log || { cat build/demo.log; exit 1; }
	@cmake --build build/demo -j $(JOBS) --target clipon_cli
	@echo
	build/demo/clipon classify models/samples --labels-file models/samples/labels.txt
	@echo
	@echo "That was the embedded model on pictures that it never saw in training. Your own pictures and labels:"
	@echo "    build/demo/clipon classify PICTURE... --labels 'a cat,a dog,a bicycle'"

test: packages-test venv
	@mkdir -p build
	@$(call CONFIGURE,release)
	@cmake --build build/release -j $(JOBS)
	@$(CTEST) --test-dir build/release

# All eleven architectures at full size: tens of minutes and 8 GB of disk.
test-all: test
	$(PYTHON) tests/hygiene/check_sources.py . tests
	$(PYTHON) tests/reference/check_reference.py tiny-ViT tiny-RN RN50 RN101 RN50x4 RN50x16 RN50x64 ViT-B/32 ViT-B/16 \
	    ViT-L/14 ViT-L/14@336px --clipon build/release/clipon $(if $(SHARED),--shared $(realpath $(SHARED)))
	$(PYTHON) tests/reference/check_reference.py tiny-RN RN101 RN50x4 RN50x16 --clipon build/release/clipon \
	    --precisions f32 bf16 int8

# Hostile models, pictures, texts and circumstances: a line a section.  TRUST=--full for every case (docs/reliability.md).
trust: packages-test venv
	@mkdir -p build
	@$(call CONFIGURE,release)
	@cmake --build build/release -j $(JOBS) --target clipon_trust
	build/release/tests/clipon_trust $(TRUST)

# A child of a program with threads starts threads, which TSan ends unless it is told not to.
tsan: export TSAN_OPTIONS = die_after_fork=0
asan ubsan tsan ndebug clang: packages-ci venv
	@mkdir -p build
	@$(call CONFIGURE,$@)
	@cmake --build build/$@ -j $(JOBS)
	@$(CTEST) --test-dir build/$@ --label-regex unit

# MemorySanitizer knows only what it has compiled: the parsers over the fuzzers' corpus.
msan: packages-ci venv
	@mkdir -p build
	@$(call CONFIGURE,$@)
	@cmake --build build/$@ -j $(JOBS) --target clipon_make_seeds replay
	@$(CTEST) --test-dir build/$@ --tests-regex 'fuzz/(seeds|gguf|picture)'

# On an emulated AArch64 that has every extension.  Without unit/core: qemu-user does not say which pages are huge.  And
# without a forked child that starts threads: qemu-user 7.2 fails an assertion of its own there.
ARM64_RUN = qemu-aarch64 -cpu max -L /usr/aarch64-linux-gnu
arm64: packages-arm64
	@mkdir -p build
	@$(call CONFIGURE,$@)
	@cmake --build build/$@ -j $(JOBS) --target clipon_tests clipon_uninitialised
	@$(CTEST) --test-dir build/$@ --tests-regex '^unit/' --exclude-regex 'unit/(core|parallel)' --timeout 3600
	$(ARM64_RUN) build/$@/tests/clipon_tests '--source-file=*/tests/parallel/*' '--test-case-exclude=a child that is forked*'
	$(ARM64_RUN) build/$@/tests/clipon_uninitialised 12
	python3 tests/hygiene/check_hygiene.py . --nm aarch64-linux-gnu-nm --objects \
	    "$$(echo build/$@/CMakeFiles/clipon_dispatch.dir/dispatch/kernels_*.o | tr ' ' ';')"

# Lines of include/clipon that the unit tests reach; fails below the marks of docs/reliability.md.  Without
# hygiene/mixed: g++ gives the counters of two stb_image in one unit the same names.
coverage: packages-test venv
	@mkdir -p build
	@$(PYTHON) -m pip install --quiet gcovr==8.3
	@$(call CONFIGURE,$@)
	@cmake --build build/$@ -j $(JOBS) --target clipon_tests clipon_trust clipon_fast_math clipon_uninitialised clipon_make_seeds replay
	@$(CTEST) --test-dir build/$@ --label-regex unit --exclude-regex hygiene/mixed > build/coverage.log || { tail -50 build/coverage.log; exit 1; }
	tests/coverage.sh $(PYTHON) build/$@

# HOURS=0.1 runs each target for six minutes.
HOURS ?= 1
fuzz: packages-ci venv
	@mkdir -p build
	@$(call CONFIGURE,$@)
	@cmake --build build/$@ -j $(JOBS) --target clipon_make_seeds fuzz_gguf fuzz_model fuzz_picture fuzz_text fuzz_api
	tests/fuzz/run.sh $(HOURS) build/$@

# Little optimised but for the kernels, and in units of twenty files: a third of the time to build.
MESON_SETUP = meson setup build/meson --buildtype release -Doptimization=1 -Dunity=on -Dunity_size=20 --werror
meson: packages-ci
	$(MESON_SETUP) --reconfigure 2>/dev/null || $(MESON_SETUP)
	meson compile -C build/meson
	meson test -C build/meson

# An installed copy, used by a project of its own; and the plain compiler line of the README.
consumer: packages-test venv
	@mkdir -p build
	@$(call CONFIGURE,release)
	@cmake --build build/release -j $(JOBS)
	tests/consumer/check.sh build/release build/consumer

# Against independent implementations: needs PyTorch and transformers.
parity: packages-test venv
	@$(PYTHON) -m pip install --quiet torch==2.13.0
	@$(PYTHON) -m pip install --quiet -r tests/parity/requirements.txt
	@$(call CONFIGURE,release)
	@cmake --build build/release -j $(JOBS)
	cd weights_converter && $(PYTHON) -m pytest -q --tb=short tests
	$(PYTHON) -m pytest -q --tb=short bench/tests
	$(PYTHON) -m pytest -q --tb=short tests/parity --clipon build/release/clipon $(if $(SHARED),--shared $(realpath $(SHARED)))

CXX_FILES = $(shell git ls-files -co --exclude-standard '*.cpp' '*.hpp')
lint: packages-ci venv
	@# by diff: --dry-run -Werror of clang-format 14 reports namespace comments that formatting leaves as they are
	@ok=0; for file in $(CXX_FILES); do clang-format-14 "$$file" | diff -u "$$file" - || ok=1; done; exit $$ok
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .

# One kernel unit of each register width, the library's bodies, which include every header, and the command in units of
# twenty files.
TIDY_FILES = cmake/bodies.cpp build/clang/CMakeFiles/clipon_cli.dir/Unity/*.cxx build/clang/dispatch/kernels_{scalar,avx2,avx512_bf16}.cpp
tidy: packages-ci venv
	@mkdir -p build
	@$(call CONFIGURE,clang)
	printf '%s\n' $(TIDY_FILES) | xargs -P $(JOBS) -n 1 clang-tidy-14 -p build/clang --quiet

format: packages-ci venv
	clang-format-14 -i $(CXX_FILES)
	$(PYTHON) -m ruff format .

clean:
	rm -rf build

venv: $(VENV)/made
$(VENV)/made: tests/requirements.txt
	python3 -m venv $(VENV)
	$(PYTHON) -m pip install --quiet -r tests/requirements.txt
	$(PYTHON) -m pip install --quiet --no-deps open_clip_torch==3.3.0
	touch $@

packages-build packages-test packages-ci packages-arm64: packages-%:
	@packaging/install.sh $*
