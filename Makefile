# Everything here works from a fresh clone with nothing installed but Python 3.11 to 3.13.
# `make help` lists the targets.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

VENV ?= .venv
# Passed to pip, e.g. PIP_ARGS="--extra-index-url https://download.pytorch.org/whl/cpu".
PIP_ARGS ?=
# Passed to pytest, e.g. PYTEST_ARGS="-k strata -x".
PYTEST_ARGS ?=
# How many processes share the tests; WORKERS=0 for one that can be debugged.
WORKERS ?= $(shell if [ "$(CORES)" -gt 8 ]; then echo 8; else echo $(CORES); fi)
# `make demo DATA=mfeat` runs the demo on another of the bundled data sets.
DATA ?=

PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3 python; do \
	if $$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' \
	>/dev/null 2>&1; then echo $$p; break; fi; done)

# Small networks are slower, not faster, on many threads: one for the tests, at most four else.
CORES := $(shell getconf _NPROCESSORS_ONLN 2>/dev/null || echo 1)
THREADS ?= $(shell if [ "$(CORES)" -gt 4 ]; then echo 4; else echo $(CORES); fi)

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install -qq $(PIP_ARGS) -c constraints.txt
# A new stamp name when what is asked for changes: a second run installs nothing.
HASH := $(shell cat pyproject.toml constraints.txt | cksum | tr -dc '0-9')
CORE := $(VENV)/.installed-core-$(HASH)
DEV := $(VENV)/.installed-dev-$(HASH)
DOCS := $(VENV)/.installed-docs-$(HASH)

export PIP_NO_INPUT := 1
export MPLBACKEND ?= Agg

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1|/' \
		| awk -F'|' '{ printf "  make %-10s %s\n", $$1, $$2 }'

$(VENV)/pyvenv.cfg:
	@if [ -z "$(PYTHON)" ]; then \
		echo "Found no Python 3.11, 3.12 or 3.13. Install one, or say where it is:" \
		"make $(MAKECMDGOALS) PYTHON=/path/to/python" >&2; exit 1; fi
	@echo "Making $(VENV) with $(PYTHON)" >&2
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

$(CORE): | $(VENV)/pyvenv.cfg
	@echo "Installing polymodal and what it stands on into $(VENV) (a minute or two, once)" >&2
	@$(PIP) -e .
	@rm -f $(VENV)/.installed-core-* && touch $@

$(DEV): | $(VENV)/pyvenv.cfg
	@echo "Installing polymodal with the tools for tests and checks into $(VENV) (once)" >&2
	@$(PIP) -e '.[dev]'
	@rm -f $(VENV)/.installed-core-* $(VENV)/.installed-dev-* && touch $@ $(CORE)

$(DOCS): | $(DEV)
	@echo "Installing the tools for the documentation into $(VENV) (once)" >&2
	@$(PIP) -e '.[dev,docs]'
	@rm -f $(VENV)/.installed-docs-* && touch $@

.PHONY: install
install: $(DEV) ## Make .venv with everything for development

.PHONY: demo
demo: $(CORE) ## Train on bundled data, write a report with pictures (DATA=mfeat for another set)
	@OMP_NUM_THREADS=$${OMP_NUM_THREADS:-$(THREADS)} $(BIN)/polymodal demo $(if $(DATA),--data $(DATA))

.PHONY: test
test: $(DEV) ## Run the whole test suite
	@OMP_NUM_THREADS=$${OMP_NUM_THREADS:-1} $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(PYTEST_ARGS)

.PHONY: quick
quick: $(DEV) ## Run the tests that are not marked slow
	@OMP_NUM_THREADS=$${OMP_NUM_THREADS:-1} $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m "not slow" $(PYTEST_ARGS)

.PHONY: doctest
doctest: $(DEV) ## Run the examples in the docstrings
	@OMP_NUM_THREADS=$${OMP_NUM_THREADS:-1} $(BIN)/python -m pytest -q --doctest-modules src

.PHONY: lint
lint: $(DEV) ## Check style and format with ruff
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

.PHONY: format
format: $(DEV) ## Mend style and format with ruff
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

.PHONY: types
types: $(DEV) ## Check types with pyright
	@$(BIN)/pyright --pythonpath $(BIN)/python

.PHONY: docs
docs: $(DOCS) ## Build the documentation into docs/_build; a warning is an error
	@OMP_NUM_THREADS=1 $(BIN)/python -m sphinx -W --keep-going -q -E -b html docs docs/_build/html
	@echo "The documentation is at docs/_build/html/index.html"

.PHONY: papers
papers: $(CORE) ## Write docs/papers.md and the README's table from the recipes
	@$(BIN)/python docs/make_papers.py

.PHONY: clean
clean: ## Remove the environment, builds and caches
	rm -rf $(VENV) build dist docs/_build docs/api .pytest_cache .ruff_cache .hypothesis
	find src tests docs -name __pycache__ -type d -prune -exec rm -rf {} +
