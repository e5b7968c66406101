# Every target sets up what it needs. A second call installs nothing.
VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= python3
# Where Debian's package dataset-fashion-mnist puts the original files.
IDX ?= /usr/share/datasets/fashion-mnist
# Found links named `datasets` in the working directory must never shadow an installed package.
export PYTHONSAFEPATH = 1
# Two test processes on two cores: one thread each.
TEST_ENV := OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 MPLBACKEND=Agg

.PHONY: demo test test-slow check lint types imports bench examples pictures embedded clean help

help:  ## List the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

$(VENV)/.core: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -e .
	touch $@

$(VENV)/.dev: $(VENV)/.core
	$(BIN)/python -m pip install --quiet -e '.[dev]'
	touch $@

demo: $(VENV)/.core  ## Train two classifiers on the embedded data, audit both, write both reports
	$(BIN)/python -m figureground demo --out runs/demo

test: $(VENV)/.dev  ## Tests, at most 10 minutes on two cores
	$(TEST_ENV) $(BIN)/python -m pytest -n 2 --dist loadfile -m "not slow" tests

test-slow: $(VENV)/.dev  ## Tests that take longer: seeds of the demo, whole runs from the shell
	$(TEST_ENV) $(BIN)/python -m pytest -n 2 --dist load -m slow tests

coverage: $(VENV)/.dev  ## Tests with a coverage table
	$(TEST_ENV) $(BIN)/python -m pytest -n 2 --dist loadfile -m "not slow" --cov --cov-report=term tests

check: lint types imports  ## Lint, types, import directions

lint: $(VENV)/.dev
	$(BIN)/ruff check src tests scripts benchmarks
	$(BIN)/ruff format --check src tests scripts benchmarks

types: $(VENV)/.dev
	$(BIN)/mypy

imports: $(VENV)/.dev
	$(BIN)/lint-imports

bench: $(VENV)/.dev  ## Speed of the explanations against Captum, Quantus and pytorch-grad-cam, in one run
	$(BIN)/python benchmarks/explain.py $(BENCH)

examples: $(VENV)/.core  ## Rebuild docs/examples: the demo's reports, and what changed between its models
	$(BIN)/python scripts/examples.py

pictures: $(VENV)/.dev  ## Make the pictures of the README and docs again (needs Chromium)
	$(BIN)/python scripts/pictures.py

embedded: $(VENV)/.dev  ## Compare the embedded data with their sources (needs the original idx files)
	$(BIN)/python scripts/build_embedded.py --idx $(IDX) --check

clean:  ## Remove what the targets made
	rm -rf $(VENV) build dist src/*.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage
