# The front door. `make` lists the targets; each gets what it needs by itself and says in
# one sentence what only you can give it.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.DEFAULT_GOAL := help
# What one target needs another builds, and two benches at once measure each other.
.NOTPARALLEL:
MAKEFLAGS += --no-print-directory

# Compilers and linkers at once. More than memory holds at 2 GiB each helps nobody.
STERNPOST_JOBS ?= $(shell cores=$$(nproc); fit=$$(awk '/^MemTotal/ {print int($$2 / 2097152)}' /proc/meminfo); echo $$((fit < 1 ? 1 : fit < cores ? fit : cores)))
export STERNPOST_JOBS
export CARGO_BUILD_JOBS ?= $(STERNPOST_JOBS)
# No toolchain is ever downloaded.
export GOTOOLCHAIN := local
export RUSTUP_AUTO_INSTALL := 0

export PATH := $(PATH):$(CURDIR)/.deps/cargo/bin

target := $(or $(CARGO_TARGET_DIR),target)
needs := tests/deps/prerequisites.sh

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' Makefile

.PHONY: deps
deps: ## get build needs and the programs tests run against; starts no service, takes no port
	@$(needs) debian rust
	tests/deps/quiet.sh tests/deps/system.sh
	tests/deps/deny.sh

.PHONY: build
build: ## build the daemons and the lab as tests and the demo run them (optimised, no LTO)
	@$(needs) rust cc
	cargo build --locked --profile lab --workspace --bins
	$(MAKE) -s static PROFILE=lab

# vip-daemon alone: what the others ask of libraries that they share would be in it, and is half
# a megabyte of memory on every host. Built small, which is another half and costs no time: nearly
# all it does is done by the kernel (docs/decisions/what-an-advert-costs.md).
.PHONY: release
release: ## build the daemons as they ship (optimised across crates)
	@$(needs) rust cc
	cargo build --locked --release -p api-lb -p bootstrap-signer
	CARGO_PROFILE_RELEASE_OPT_LEVEL=s cargo build --locked --release -p vip-daemon
	$(MAKE) -s static PROFILE=release

# Flags behind -- are those of the program alone: a procedural macro cannot be linked so.
.PHONY: static
static: ## link sternpost with all it needs, as it is put on hosts; PROFILE=release
	@$(needs) rust cc
	cargo rustc --locked --profile $(or $(PROFILE),release) -p sternpost --bin sternpost -- -C target-feature=+crt-static
	cp $(target)/$(or $(PROFILE),release)/sternpost $(target)/$(or $(PROFILE),release)/sternpost-static

.PHONY: check
check: ## formatting, lints, documentation, licences and sources of dependencies
	@$(needs) rust cc
	tests/deps/deny.sh
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps --document-private-items
	cargo deny --log-level error check bans licenses sources

.PHONY: kubernetes
kubernetes: ## build the real Kubernetes, etcd, containerd, CoreDNS and flannel for tests, once, where Go is installed
	@tests/kubernetes/build.sh
	@tests/kubernetes/network.sh
	@tests/kubernetes/containerd.sh

.PHONY: test
test: $(target)/rungs ## all of it: check, unit, lab, booted machines; the last line counts
	@$(needs) debian root rust
	$(target)/rungs

.PHONY: lab
lab: $(target)/rungs ## only the tests on hosts made of network namespaces and booted machines
	@$(needs) debian root rust
	$(target)/rungs kubernetes deps build vip lab

.PHONY: demo
demo: ## three masters laid down by sternpost on booted machines, one address, and what their clients see while things die
	@$(needs) debian root rust
	$(MAKE) -s deps kubernetes build
	$(target)/lab/demo $(ARGS)

.PHONY: demo-netns
demo-netns: ## the same with masters in network namespaces, which boot nothing
	@$(needs) debian root rust
	$(MAKE) -s deps kubernetes build
	$(target)/lab/demo --on netns $(ARGS)

# The counts of the tests that it runs, and the Kubernetes that it runs them on.
e2e := STERNPOST_FULL=1 STERNPOST_MOMENTS=$(or $(KILLS),500) STERNPOST_KILLS=50 STERNPOST_KILL_EVERY=1 STERNPOST_MASTERS=3 STERNPOST_NODES=2
# What it measures of the newest lies beside what is built until all of it is there: a tree with
# a change in it is no commit.
kept := $(abspath $(target))/bench-install.json
publish = $(if $(KEEP),cp $(kept) $(KEEP) && cp $(kept:.json=.md) $(KEEP:.json=.md))
oldest := STERNPOST_FULL=1 STERNPOST_MASTERS=3 STERNPOST_NODES=2 STERNPOST_K8S_BIN=$(CURDIR)/.kubernetes/oldest

.PHONY: e2e
e2e: ## clusters on booted machines in full: 3 masters and 2 nodes, where the time goes, kills (-9) at every step, of an agent at KILLS=500 moments and of either side of SSH at 50, all masters restarted under load, the oldest Kubernetes too
	@$(needs) debian root rust
	$(MAKE) -s deps kubernetes build
	tests/kubernetes/build.sh oldest
	failed=0
	rm -f $(kept)
	$(e2e) STERNPOST_KEEP=$(kept) cargo test --locked --no-fail-fast --profile lab -p sternpost --test apply --test machines || failed=1
	$(publish)
	if [[ -x .kubernetes/oldest/kubelet ]]; then
		$(oldest) cargo test --locked --no-fail-fast --profile lab -p sternpost --test accepted --test machines || failed=1
	else
		echo "SKIPPED oldest (needs: kubernetes): the oldest Kubernetes was not built; the lines of make kubernetes above say why" >&2
	fi
	exit $$failed

.PHONY: bench-install
bench-install: ## from bare machines to a verified cluster, and its masters started anew under load: what make e2e measures, alone; KEEP=docs/bench-install.json
	@$(needs) debian root rust
	$(MAKE) -s deps kubernetes build
	rm -f $(kept)
	for trial in a_control_plane_comes_up a_cluster_with_a_node masters_are_restarted; do
		$(e2e) STERNPOST_KEEP=$(kept) cargo test --locked --profile lab -p sternpost --test machines -- $$trial
	done
	$(publish)

.PHONY: bench
bench: bench-lb bench-failures bench-failover ## all comparisons with peers

.PHONY: bench-lb
bench-lb: ## the data path beside its peers, in a namespace of its own; ARGS="--rounds 5 --rows ... --keep docs/bench-lb.json"
	@$(needs) debian root rust
	$(MAKE) -s deps build release
	$(target)/lab/bench-lb --program $(target)/release/api-lb $(ARGS)

.PHONY: bench-failures
bench-failures: ## failing servers beside the peers, in namespaces of their own; ARGS="--scenes hung ..."
	@$(needs) debian root rust
	$(MAKE) -s deps build release
	$(target)/lab/bench-failures --program $(target)/release/api-lb $(ARGS)

.PHONY: bench-pki
bench-pki: ## all keys and certificates of three masters and two nodes, beside openssl and cfssl; ARGS="--rounds 5"
	@$(needs) debian rust cc
	tests/deps/unpack.sh .deps/cfssl golang-cfssl cfssl
	PATH=$$PATH:$(CURDIR)/.deps/cfssl/bin cargo bench --locked --profile lab -p sternpost --bench pki -- $(ARGS)

.PHONY: soak
soak: ## the full counts: CYCLES=200 lost owners in groups with keepalived, RACES=1000 of each kind, a flood of FLOOD=20000 requests at bootstrap-signer
	@$(needs) debian root rust
	$(MAKE) -s deps kubernetes build
	failed=0
	STERNPOST_CYCLES=$(or $(CYCLES),200) cargo test --locked --profile lab -p vip-daemon --test groups_keepalived || failed=1
	STERNPOST_CYCLES=$(or $(RACES),1000) cargo test --locked --profile lab -p vip-daemon --test black_hole || failed=1
	STERNPOST_FLOOD=$(or $(FLOOD),20000) cargo test --locked --profile lab -p bootstrap-signer --test cluster a_flood || failed=1
	exit $$failed

.PHONY: bench-failover
bench-failover: ## what a client of the address sees, beside keepalived; ARGS="--rounds 5 --rows ..."
	@$(needs) debian root rust
	$(MAKE) -s deps build release
	STERNPOST_BIN=$(target)/release $(target)/lab/bench-failover $(ARGS)

.PHONY: csr-cases
csr-cases: ## decide the worked certificate requests of CASES=file.json; ends with what passed and failed
	@$(needs) rust cc
	@cargo run --locked --quiet -p csr-cases -- $(or $(CASES),tests/csr-cases/cases/csr.json)

.PHONY: fuzz
fuzz: ## follow coverage through one parser: TARGET=hello SECONDS=60; fuzz/README.md says which there are
	@$(needs) rust cc
	cargo run --locked --quiet -p fuzz --bin fuzz-seeds -- $(or $(TARGET),hello) $(target)/fuzz/corpus/$(or $(TARGET),hello)
	mkdir -p $(target)/fuzz/found
	FUZZ_TARGET=$(or $(TARGET),hello) RUSTFLAGS="$(counters)" cargo run --release --target-dir $(target)/fuzz \
		--target $$(rustc --print host-tuple) --manifest-path fuzz/coverage/Cargo.toml -- \
		-max_total_time=$(or $(SECONDS),60) -artifact_prefix=$(target)/fuzz/found/ $(target)/fuzz/corpus/$(or $(TARGET),hello)

# What libFuzzer reads to see which code ran (LLVM's SanitizerCoverage).
counters := -Cpasses=sancov-module -Ccodegen-units=1 $(addprefix -Cllvm-args=-sanitizer-coverage-,level=4 inline-8bit-counters pc-table trace-compares)

.PHONY: clean
clean: ## remove what was built here; deps and kubernetes are kept
	@$(needs) rust
	cargo clean

# Built by rustc alone, so that the first rung runs before a dependency is compiled; a fresh
# machine gets the linker that takes first.
$(target)/rungs: $(wildcard tests/src/bin/rungs/*.rs)
	@$(needs) rust
	$(needs) cc 2>/dev/null || { $(needs) debian; tests/deps/quiet.sh tests/deps/packages.sh; }
	$(needs) cc
	mkdir -p $(target)
	rustc --edition 2024 -O -o $@ tests/src/bin/rungs/main.rs
