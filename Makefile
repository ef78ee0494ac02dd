# Needs make, git and Python 3.11 or newer with venv; everything else is installed into .venv.

PYTHON     ?= python3
VENV       := .venv
BIN        := $(VENV)/bin
STAMP      := $(VENV)/.installed
LAB_ARGS   ?=
PYTEST_ARGS ?=

# What comes from Debian: chromium drives JupyterLab in the tests marked "browser"; trace-cmd reads trace.dat; qemu boots
# a real kernel for the oracle, gcc (with libelf) builds its module; the test suite of this Python has CPython's own
# executor tests, which our executor passes too.
DEBIAN_PACKAGES = python3-venv chromium trace-cmd qemu-system-x86 gcc libelf1 \
  libpython$(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')-testsuite

# A process per CPU, each taking whole files, the slow ones first (tests/conftest.py orders them).
PARALLEL := -n logical --maxprocesses 8 --dist loadfile --no-loadscope-reorder
NBVAL := --nbval --nbval-current-env --nbval-cell-timeout=30 --nbval-sanitize-with=tests/nbval.cfg

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

.PHONY: lab
lab: $(STAMP) ## open JupyterLab on the course (LAB_ARGS="--port 9999" and the like are passed on)
	@$(BIN)/python -m tools.notebooks learner-copies work
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/jupyter lab --config=jupyter/jupyter_lab_config.py $(LAB_ARGS)

.PHONY: setup
setup: $(STAMP) ## make .venv and install everything into it

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo 'kwlab needs Python 3.11 or newer, but "$(PYTHON)" is' \
	    "$$($(PYTHON) --version 2>&1 || true). Name another one: make PYTHON=/path/to/python3.11 setup" >&2; exit 1; }
	@echo 'Installing into $(VENV) (about a minute the first time) ...'
	@$(PYTHON) -m venv $(VENV) || { \
	  echo 'No virtual environment could be made. On Debian: apt-get install python3-venv' >&2; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test]'
	@touch $@

.PHONY: test
test: $(STAMP) ## run every check: format, lint, types, tests, notebooks
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	KWLAB_PROGRESS=off $(BIN)/pytest $(PARALLEL) $(NBVAL) tests $(wildcard notebooks) $(PYTEST_ARGS)

.PHONY: format
format: $(STAMP) ## format the code and mend what the linter can mend
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

.PHONY: notebooks
notebooks: $(STAMP) ## execute all notebooks again and store their outputs
	$(BIN)/python -m tools.notebooks execute

.PHONY: claims
claims: $(STAMP) ## make notebooks/claims.md anew from the boxes in the notebooks
	@$(BIN)/python -m tools.claims

.PHONY: bench
bench: $(STAMP) ## measure the worker against thread pools, and our own tools
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[bench]'
	$(BIN)/kwlab bench
	$(BIN)/kwlab bench explore parser

.PHONY: flake-hunt
flake-hunt: $(STAMP) ## the tests with real threads 20 times, every exercise's marks 200 times, Ctrl-C at every bytecode
	@for round in $$(seq 20); do \
	  echo "round $$round of 20"; $(BIN)/pytest -q -m threads tests $(PYTEST_ARGS) || exit 1; done
	@KWLAB_EVERY_BYTECODE=1 $(BIN)/pytest -q -k every_bytecode tests/test_replay_interrupts.py $(PYTEST_ARGS)
	@echo "every exercise graded 200 times"
	@KWLAB_TIMES=200 $(BIN)/pytest -v -n logical --maxprocesses 8 --timeout 3600 -o faulthandler_timeout=0 -k every_time tests/test_exercises.py $(PYTEST_ARGS)

.PHONY: constraints
constraints: ## write constraints.txt anew from the newest versions that fit pyproject.toml
	rm -rf build/constraints && $(PYTHON) -m venv build/constraints
	build/constraints/bin/python -m pip install --quiet --disable-pip-version-check -e '.[test,bench]'
	build/constraints/bin/python -m pip freeze --exclude-editable | LC_ALL=C sort -f > constraints.txt

.PHONY: setup-ci
setup-ci: ## install what comes from Debian (needs root)
	@if [ "$$(id -u)" -ne 0 ]; then echo 'setup-ci: not root, so nothing was installed; needed: $(DEBIAN_PACKAGES)'; \
	elif ! command -v apt-get >/dev/null; then echo 'setup-ci: no apt-get here, so nothing was installed; needed: $(DEBIAN_PACKAGES)'; \
	elif dpkg-query -W -f '$${Status}\n' $(DEBIAN_PACKAGES) 2>&1 | grep -qv '^install ok installed$$'; then \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
	    $$(for package in $(DEBIAN_PACKAGES); do \
	         apt-cache show $$package >/dev/null 2>&1 && echo $$package || echo "setup-ci: no package $$package here" >&2; \
	       done); \
	else echo 'setup-ci: already installed: $(DEBIAN_PACKAGES)'; fi

.PHONY: clean
clean: ## remove what make made, except your work in work/
	rm -rf $(VENV) build *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -not -path './work/*' -prune -exec rm -rf {} +
