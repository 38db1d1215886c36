# What there is to do with a clone. `make up` is the demonstration.

PYTHON := .venv/bin/python
TARGET ?=
SECONDS ?= 300
EFFORT ?= 20

.DEFAULT_GOAL := help
.PHONY: help up down test check fuzz soak audit bench agent helper bytecode translations reference e2e clean setup environment compiler gui engines ssh peers kernels vm auditor packages faults dist dist-test

help: ## show this
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/  make \1 | \2/p' Makefile | column -t -s '|'

up: setup ## install what is missing, start everything, run both examples, leave it running
	@$(PYTHON) -m scripts.run tour

down: ## end it, and remove all that `make up` made outside this folder
	@if test -x $(PYTHON); then $(PYTHON) -m scripts.run takedown; else echo "nothing to end"; fi

test: ## run all tests but those of e2e, in lanes side by side; or those of TARGET=tests/…
	@scripts/setup test
	@$(PYTHON) -m $(if $(TARGET),pytest -q $(TARGET) --ignore=tests/e2e/vm,tests)

e2e: setup vm ## the tests in a whole VM, emulated, that is reached over SSH
	@$(PYTHON) -m pytest -q tests/e2e/vm

check: environment ## lint, format and types
	@$(PYTHON) -m ruff check
	@$(PYTHON) -m ruff format --check
	@$(PYTHON) -m mypy

fuzz: ## search for inputs that break a parser, for SECONDS=300 each, and try EFFORT=20 times as much
	@scripts/setup fuzz
	@$(PYTHON) -m tests.fuzz --seconds $(SECONDS)
	@SAMEHOST_FUZZ_EFFORT=$(EFFORT) $(PYTHON) -m pytest -q --timeout 3600 tests/fuzz \
		$$(grep --recursive --include='*.py' --files-with-matches tests.effort tests/unit)

faults: setup ## what injures the sandbox, EFFORT=20 times as long as in the tests; half an hour
	@SAMEHOST_FUZZ_EFFORT=$(EFFORT) $(PYTHON) -m pytest -q \
		$$(grep --recursive --include='*.py' --files-with-matches tests.effort \
			tests/integration tests/contract)

soak: setup ## random load and random faults, for SECONDS=300, from a seed that is printed; needs root
	@$(PYTHON) -m tests.soak --seconds $(SECONDS)

audit: environment auditor ## see that dependencies are locked, and that none is known to be vulnerable
	@$(PYTHON) -m scripts.audit

bench: setup gui peers ## measure; prints medians
	@$(PYTHON) -m tests.bench

agent: environment ## build the agent's zipapp and print its size
	@$(PYTHON) packaging/agent.py

dist: gui packages ## build wheel, sdist, agent, manual, packages for Debian, SBOM and checksums into dist/
	@$(PYTHON) -m scripts.dist

dist-test: packages ## install, try and purge the packages of dist/ in clean Debian systems; needs root
	@$(PYTHON) -m scripts.dist try

helper: environment ## build the helper container's image, for packages (Debian's Python)
	@$(PYTHON) -m scripts.helper_image

bytecode: environment compiler ## compile the eBPF programs into vmagent/bpf/bytecode.py
	@$(PYTHON) -m scripts.bytecode

translations: environment ## collect the texts of the window, and build what Qt reads (gui/text)
	@$(PYTHON) -m scripts.translations

reference: environment ## write the tables of docs/reference.md anew, from the code
	@$(PYTHON) -m scripts.reference

clean: ## remove what was built in this folder (after `make down`)
	@rm -rf .venv build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

setup:
	@scripts/setup

environment:
	@scripts/setup python

compiler:
	@scripts/setup compiler

gui:
	@scripts/setup gui

engines:
	@scripts/setup engines

ssh:
	@scripts/setup ssh

peers:
	@scripts/setup peers

kernels:
	@scripts/setup kernels

packages:
	@scripts/setup dist

auditor:
	@scripts/setup audit

vm: environment
	@scripts/setup vm
	@$(PYTHON) -m tests.e2e.vm
