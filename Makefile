# Every target runs in the environment of $(PYTHON): .venv if it is there, or `make PYTHON=... check`.
PYTHON ?= $(if $(wildcard .venv/bin/python),.venv/bin/python,python3)
PYTEST = $(PYTHON) -m pytest
suite = $(wildcard $(addprefix tests/,$(1)))

.DEFAULT_GOAL := help
.PHONY: help venv format lint check test golden property torture conformance bench reports

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

venv: ## .venv with everything a developer needs, at the pinned versions
	python3 -m venv .venv
	.venv/bin/pip install -q -c constraints.txt -e '.[dev]'

format: ## rewrite in the house's layout
	$(PYTHON) -m ruff check --fix .
	$(PYTHON) -m ruff format .

lint: ## ruff and pyright
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m pyright --pythonpath $(PYTHON)

check: lint ## what to run before every commit: lint and the fast tests
	$(PYTEST) -q -m "not slow" $(call suite,unit property oracle)

test: ## every test
	$(PYTEST) -q

property: ## laws that hold for generated inputs, and 10,000 histories integrated independently
	$(PYTEST) -q tests/property --histories 10000

torture: ## 20 runs killed at random instants and resumed, stores damaged, shared, full and deleted
	$(PYTEST) -q tests/e2e/test_kills.py tests/e2e/test_store_torture.py --kills 20

conformance: ## what every plug-in of each kind must do, and every method x pace x selection trained
	$(PYTEST) -q tests/conformance --product

golden: ## rewrite the stored answers; review the diff as code
	$(PYTEST) -q tests/golden --update-golden

bench: ## measure seconds, bytes and ratios, one table (`make test` runs the same files, checks counts)
	$(PYTEST) -q tests/bench --benchmark-enable --benchmark-quiet

reports: ## rebuild every folder in reports/
	for folder in $(wildcard reports/*/); do $(PYTHON) -m hetsim report $$(basename $$folder) --fresh || exit 1; done
