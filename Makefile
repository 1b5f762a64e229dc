# What people type. Everything runs inside .venv, which is made on first use.

PYTHON ?= python3
WORKERS ?= auto
PYTEST_ARGS ?=
# `make check CHECK_TESTS=` leaves the tests out, for callers that have just run them.
CHECK_TESTS ?= test

VENV := .venv
BIN := $(VENV)/bin
# Newer than the lock and pyproject.toml: what is installed is what they ask for.
STAMP := $(VENV)/.installed
LOCK := requirements.lock
MODEL := smollm2-135m-instruct

# Without byte code, every start compiles some thousand files anew: half a minute for litellm alone.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help quickstart install weights test lint format rules types layers check docs reference bench lock clean

help: ## Show the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

quickstart: weights ## Install, fetch a small model, and run a first search on this machine
	$(BIN)/harness tune experiments/quickstart.yaml
	@echo "Report: $$(ls -t reports/*/report.html | head -n 1)"

install: $(STAMP) ## Install what the lock names into .venv

weights: $(STAMP)
	$(BIN)/harness models pull $(MODEL)

test: weights ## Run the tests, some of them on the small model
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile $(PYTEST_ARGS)

lint: format rules types layers

# One target each, so that `make -k lint` tells everything in one go.
format: $(STAMP)
	$(BIN)/ruff format --check .

rules: $(STAMP)
	$(BIN)/ruff check .

types: $(STAMP)
	$(BIN)/basedpyright

layers: $(STAMP)
	$(BIN)/lint-imports

check: lint $(CHECK_TESTS) ## Check format, lint, types and layers, then run the tests

docs: $(STAMP) ## Build the documentation as a site into build/docs; a broken link is an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict
	@echo "Site: build/docs/index.html"

reference: $(STAMP) ## Write the generated pages of docs/reference/ anew
	$(BIN)/python -m handbook

bench: $(STAMP) ## Run every script in benchmarks/
	@set -e; set -- benchmarks/[!_]*.py; \
	test -e "$$1" || { echo "benchmarks/ holds no script to run"; exit 1; }; \
	for script in "$$@"; do echo "== $$script"; $(BIN)/python "$$script"; done

lock: $(STAMP) ## Write requirements.lock anew from pyproject.toml
	$(BIN)/uv pip compile pyproject.toml --all-extras --universal --generate-hashes \
	  --no-header --no-annotate --python-version 3.11 --quiet -o $(LOCK)

# Answers that were paid for (.harness/) and reports stay.
clean: ## Remove everything that can be made again for nothing
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# uv comes from the lock too, by its hash; where it cannot be had, pip installs the same versions in minutes.
$(STAMP): $(LOCK) pyproject.toml
	@command -v "$(PYTHON)" > /dev/null || { \
	  echo "make: no '$(PYTHON)' here; install Python 3.11 or newer, or run: make PYTHON=/path/to/python3"; exit 2; }
	@"$(PYTHON)" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 15))' || { \
	  echo "make: '$(PYTHON)' is $$("$(PYTHON)" -V), expected 3.11 to 3.14; run: make PYTHON=python3.11"; exit 2; }
	@test -x $(BIN)/python || "$(PYTHON)" -m venv $(VENV)
	@awk '/^uv==/ { on = 1 } on { print } on && !/\\$$/ { exit }' $(LOCK) > $(VENV)/uv.lock
	@echo "Installing into $(VENV) ..."
	@if $(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r $(VENV)/uv.lock && \
	  $(BIN)/uv pip install -q --python $(BIN)/python --compile-bytecode --require-hashes -r $(LOCK) && \
	  $(BIN)/uv pip install -q --python $(BIN)/python --no-deps -e .; then :; else \
	  echo "uv did not work here; installing with pip"; \
	  $(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r $(LOCK) && \
	  $(BIN)/python -m pip install -q --disable-pip-version-check --no-deps -e .; fi
	@touch $@
