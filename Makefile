# Two commands matter: `make demo` and `make test`. Both set up .venv first; a stamp inside it that
# depends on pyproject.toml makes the second call instant. `PYTHON=` chooses the interpreter.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

VENV := .venv
PY := $(VENV)/bin/python
# What the user said; empty: the first suitable one.
PYTHON ?=

# Downloads of this size want patience; a value in the environment wins.
export PIP_DEFAULT_TIMEOUT ?= 120
export PIP_RETRIES ?= 10
export PIP_DISABLE_PIP_VERSION_CHECK ?= 1
# Threads of torch that wait give way: where other work runs beside the tests, they are many times
# faster so (docs/log.md). Workers are started with the same.
export GOMP_SPINCOUNT ?= 10000

.PHONY: help demo test lint format types contracts unit bench pictures install install-dev clean

help:  ## show this list
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' Makefile

demo: install  ## set up and run the main job on the embedded model and data
	@$(PY) -m cnp_tui demo $(ARGS) </dev/null

test: lint types contracts unit  ## set up and pass everything: lint, format, types, contracts, tests

lint: install-dev  ## ruff: rules and format
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .

format: install-dev  ## let ruff fix and format
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

types: install-dev  ## mypy --strict
	$(PY) -m mypy --strict

contracts: install-dev  ## which package may import which
	$(PY) $(VENV)/bin/lint-imports

# Each process has a thread for torch: two that share a core take turns badly.
unit: install-dev  ## pytest, a process for each core; ARGS= goes to it
	OMP_NUM_THREADS="$${OMP_NUM_THREADS:-1}" $(PY) -m pytest \
	  --numprocesses auto --maxprocesses 8 --dist loadfile --no-loadscope-reorder $(ARGS)

bench: install  ## whole runs of the demo, fast against reference; ARGS= goes to benchmarks/run.py
	$(PY) benchmarks/run.py $(ARGS)

pictures: install  ## draw the README's pictures anew, from a run of the demo
	$(PY) -m cnp_tui demo --no-tui --force --out $(VENV)/demo </dev/null
	$(PY) -m cnp_tui replay $(VENV)/demo --screenshot docs/pictures/run.svg --at 20 --size 160x45 --screen run
	$(PY) -m cnp_tui replay $(VENV)/demo --screenshot docs/pictures/prune.svg --at end --size 120x36 --screen prune

install: $(VENV)/.installed  ## the program, as a user installs it
install-dev: $(VENV)/.installed-dev  ## with the tools that check it

clean:  ## forget the environment and every cache
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

# pip unpacks several gigabytes; /tmp is often a small file system in memory, so it works beside
# what it installs. Editable, so that what runs is always what is checked out.
define pip_install
	@mkdir -p $(VENV)/tmp
	TMPDIR="$$PWD/$(VENV)/tmp" $(PY) -m pip install --editable '$(1)'
	@rm -rf $(VENV)/tmp
	@touch $@
endef

$(VENV)/.installed: pyproject.toml | $(PY)
	$(call pip_install,.)

$(VENV)/.installed-dev: pyproject.toml | $(PY)
	$(call pip_install,.[dev])
	@touch $(VENV)/.installed

# A half-made environment is worse than none: it is taken away again.
$(PY):
	@pythons=("$(PYTHON)"); \
	[ -n "$(PYTHON)" ] || pythons=(python3 python3.13 python3.12 python3.11); \
	for python in "$${pythons[@]}"; do \
	  if "$$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' \
	      2>/dev/null; then \
	    if "$$python" -m venv "$(VENV)"; then exit 0; fi; \
	    rm -rf "$(VENV)"; \
	    echo "$$python could not make a virtual environment in $(VENV)." \
	      "Install its venv module (Debian, Ubuntu: apt-get install python3-venv)" \
	      "or name another interpreter: make PYTHON=/path/to/python3.12." >&2; \
	    exit 1; \
	  fi; \
	done; \
	echo "No Python from 3.11 to 3.13 among: $${pythons[*]}." \
	  "Install one, or name it: make PYTHON=/path/to/python3.12." >&2; \
	exit 1
