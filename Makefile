# make demo    the main job, on real containers
# make test    everything that CI runs
# Both install what they need, or say what is missing.
WHALESONG_TOOLS ?= $(if $(XDG_CACHE_HOME),$(XDG_CACHE_HOME),$(HOME)/.cache)/whalesong
export WHALESONG_TOOLS
export PATH := $(WHALESONG_TOOLS)/bin:$(PATH)
export CARGO_TERM_PROGRESS_WHEN ?= auto

.PHONY: help demo clean-demo test build lint unit e2e fuzz simulate bench bench-check release release-pgo
help:
	@sed -n 's/^## //p' $(MAKEFILE_LIST)

## make demo         install what is missing, build, and walk through a cluster on this machine (KEEP=1 keeps it)
demo: install-demo release
	@KEEP=$(KEEP) demo/run

## make clean-demo   take away everything that the demo made
clean-demo:
	@demo/clean

## make test         install what is missing and run the whole test suite
test: install-test lint build
	RUST_TEST_THREADS=2 cargo test --workspace --locked

build:
	cargo build --workspace --all-targets --locked

## make lint         formatting, clippy, dependency rules, and the repository's own rules (tests/tidy)
lint:
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	cargo deny --locked check licenses bans sources
	cargo test --locked -p tidy

## make unit         each crate's own tests; those of the bus and the store run a real nats-server
unit: build
	cargo test --workspace --locked --lib --bins

## make e2e          black-box tests with real NATS, Podman and kubectl
e2e: build
	RUST_TEST_THREADS=2 cargo test --workspace --locked $(patsubst tests/tests/%.rs,--test %,$(wildcard tests/tests/*.rs))

## make test-clients other people's clients against the debug build: Helm 3 and 4, kubectl, client-go, operators of controller-runtime and kube-rs,
##                   the Python client (Go 1.26 or later is needed for these); SUITES="kubectl helm4" for some
.PHONY: test-clients
test-clients:
	@scripts/install kubectl
	cargo build --locked -p whalesong
	tests/clients/run $(SUITES)

## make fuzz         one fuzz target, or all in turn, with coverage: make fuzz TARGET=x SECONDS=60 (without a target: lists them)
fuzz:
	@fuzz/run '$(TARGET)' '$(or $(SECONDS),60)'

## make simulate     lives of a simulated cluster and of the store's log: make simulate SEEDS=1000, or SEED=7 for one of each
simulate:
	SEEDS='$(or $(SEEDS),200)' SEED='$(SEED)' cargo test --locked -p simulation --test seeds --test log -- --nocapture every_

## make conformance  Kubernetes' conformance suite on a control plane and two nodes with Podman, and a table: three quarters of an hour,
##                   and as long before it to build the suite, once; FOCUS="a test's name or a regular expression", SKIP=regex, PROCS=10
conformance: conformance-built
	@release=$$(tests/conformance/build) && target/release/conformance --release "$$release" run

## make conformance-hollow  the tests that need no container, on simulated nodes: some minutes (FOCUS='\[Conformance\]' for all)
conformance-hollow: conformance-built
	@release=$$(tests/conformance/build) && target/release/conformance --release "$$release" hollow

## make conformance-check   the tests that results.json says pass, or NUMBER=20 of them, chosen at random: fails where one doesn't
conformance-check: conformance-built
	@release=$$(tests/conformance/build) && target/release/conformance --release "$$release" check

.PHONY: conformance conformance-hollow conformance-check conformance-built
conformance-built:
	@scripts/install kubectl
	@tests/conformance/build >/dev/null
	cargo build --release --locked -p whalesong
	cargo build --release --locked -p conformance

## make bench        all loads, RUNS=3 times each, as a table and a chart; QUICK=1 for short ones; LOADS="writes-16 scheduler" for some
bench: measurable
	target/release/bench suite $(if $(QUICK),--quick) --runs $(or $(RUNS),3) $(LOADS)

## make bench-check  which figures have fallen by more than a tenth since the last record of this machine (AGAINST=commit for another)
bench-check: measurable
	target/release/bench check $(if $(AGAINST),--against $(AGAINST)) $(LOADS)

.PHONY: measurable
measurable: install
	cargo build --release --locked -p whalesong -p bench

## make release      the release binary: target/release/whalesong
release: install
	cargo build --release --locked -p whalesong

## make release-pgo  the same, optimised for what bench makes it do: target/pgo/whalesong (three times as long)
release-pgo: install-pgo
	@scripts/release-pgo

.PHONY: install install-demo install-test install-pgo
install:
	@scripts/install
install-demo:
	@scripts/install kubectl_if_possible
install-test:
	@scripts/install kubectl registry tracer linters deny
install-pgo:
	@scripts/install profdata
