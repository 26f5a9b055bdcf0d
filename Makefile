# Every command a person needs; `make help` lists them. Only git, make and Python 3.11+ have to be there.
PYTHON ?= python3
PORT ?= 3000
VENV := .venv
BIN := $(VENV)/bin
export DAGSTER_DISABLE_TELEMETRY := 1
unexport PYTHONDONTWRITEBYTECODE  # imports are half of a small run: compile them once

SHELL := /bin/bash
# DuckDB's bindings list what is alive at exit; the last line of a test run stays pytest's own.
WITHOUT_LEAK_LIST := 2> >(grep -vE '^nanobind: | - leaked |skipped remainder|nanobind.readthedocs' >&2)

# The client's day is not UTC's; the US changes its clocks; the year ends; a leap day.
MOMENTS ?= 2026-11-29T00:30+00:00 2027-03-14T07:30+00:00 2028-02-29T00:30+00:00
TESTS := signalroom_dagster_tests
TAKE_A_CLOCK := $(addprefix $(TESTS)/, sources reports alerts notifications analysis/test_drain.py loading/test_clocks.py \
  loading/test_slice_load.py defs/test_reports.py defs/test_due_reports.py defs/test_schedules.py defs/test_purge.py \
  defs/test_status.py test_cli.py test_limits.py)

.DEFAULT_GOAL := help

help: ## List the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

$(VENV)/.ready: requirements.lock requirements-uv.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' \
	  || { echo "SignalRoom needs Python 3.11, 3.12 or 3.13 (try: make PYTHON=python3.12 ...)"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) \
	  || { echo "python3 -m venv failed; on Debian and Ubuntu: apt-get install python3-venv"; exit 1; }
	@echo "Installing the locked packages into $(VENV) ..."
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements-uv.lock
	@$(BIN)/uv pip sync -q --python $(BIN)/python --require-hashes requirements.lock requirements-uv.lock
	@$(BIN)/uv pip install -q --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@

demo: $(VENV)/.ready ## Load invented exports of two clients through Dagster into .demo/, and show what came of it
	@$(BIN)/python -m signalroom_dagster.sandbox.demo

dev: $(VENV)/.ready ## Open the Dagster UI on the demo's data, at http://127.0.0.1:3000 (PORT= for another)
	@$(BIN)/python -W ignore -m signalroom_dagster.sandbox.dev $(PORT)

shell: $(VENV)/.ready ## Open a shell in which signalroom, dagster and dg are on the path
	@PATH="$$PWD/$(BIN):$$PATH" $${SHELL:-/bin/bash}

test: $(VENV)/.ready ## Run the tests (real Postgres, real DuckDB, S3 over HTTP)
	@$(BIN)/python -m pytest -n 2 --dist worksteal $(WITHOUT_LEAK_LIST)

test-slow: $(VENV)/.ready ## Run the crash and fault matrices
	@$(BIN)/python -m pytest -m slow -n 2 --dist worksteal --timeout 600 $(WITHOUT_LEAK_LIST)

test-clocks: $(VENV)/.ready ## Run the tests that take a clock at hours when days, zones and years change (10 minutes)
	@for at in $(MOMENTS); do echo "as if it were $$at"; \
	  $(BIN)/python -m pytest -n 2 --dist worksteal --at $$at $(TAKE_A_CLOCK) $(WITHOUT_LEAK_LIST) || exit 1; done

test-ui: $(VENV)/.ready ## Walk through the Dagster UI in Chromium (to be installed); renew the pictures in docs
	@$(BIN)/uv pip install -q --python $(BIN)/python --require-hashes -r requirements-ui.lock
	@$(BIN)/python -m pytest -m ui --timeout 1200 $(WITHOUT_LEAK_LIST)

lint: $(VENV)/.ready ## Check style, layers, size budget and the definitions
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/lint-imports --no-logo 2>/dev/null || $(BIN)/lint-imports
	@$(BIN)/bandit -q -c pyproject.toml -r signalroom_dagster
	@$(BIN)/python -W ignore -m dagster definitions validate -w workspace.yaml

format: $(VENV)/.ready ## Format the code
	@$(BIN)/ruff check --fix -q . || true
	@$(BIN)/ruff format .

typecheck: $(VENV)/.ready ## Check types (strict on the package)
	@$(BIN)/basedpyright --level error

bench: $(VENV)/.ready ## Measure loads against COPY, stock dlt and the design this replaces (15 minutes)
	@$(BIN)/python -m bench
	@$(BIN)/python -m bench.api_load
	@$(BIN)/python -m bench.code_location

bench-events: $(VENV)/.ready ## Measure events from the sender to the result, both stores (25 minutes)
	@$(BIN)/python -m bench.events

up: ## Build the image and start the containers (docs/DEPLOYMENT.md)
	@test -f .env || { echo "No .env: copy .env.example to .env and fill it in"; exit 1; }
	@for file in secrets.toml google.json; do \
	  test -e .dlt/$$file || install -m 644 /dev/null .dlt/$$file; done  # mounted, and may be empty
	docker compose up --build --detach

down: ## Stop the containers
	docker compose down

logs: ## Follow the containers' logs
	docker compose logs --follow

image-check: $(VENV)/.ready ## Build the image and run its roles without a container engine (root, Debian; 5 minutes)
	@PYTHONPATH=. $(BIN)/python deploy/image_check.py

lock: $(VENV)/.ready ## Resolve the dependencies anew into requirements.lock and requirements-ui.lock
	@$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-strip-extras --no-emit-index-url \
	  --no-header --no-annotate pyproject.toml --extra sandbox --extra kubernetes --group dev -o requirements.lock
	@$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-strip-extras --no-emit-index-url \
	  --no-header --no-annotate --group ui -c requirements.lock -o requirements-ui.lock

clean: ## Remove what the demo, the tests and the benchmarks left
	rm -rf .demo .bench .signalroom .pytest_cache .ruff_cache

.PHONY: help demo dev shell test test-slow test-clocks test-ui lint format typecheck bench bench-events up down logs image-check lock clean
