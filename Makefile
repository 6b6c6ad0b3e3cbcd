# Everything runs in .venv, which is made anew when constraints.txt, pyproject.toml or Python change.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
JOBS ?= 2

.DEFAULT_GOAL := help
.PHONY: help env book test browser bench lint clean

STAMP := $(shell cat pyproject.toml constraints.txt 2>/dev/null | $(PYTHON) -c \
	'import hashlib, sys; print(hashlib.sha256(sys.stdin.buffer.read() + sys.version.encode()).hexdigest()[:16])')
READY := $(VENV)/.ready-$(STAMP)

help: ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

env: $(READY) ## create or update the environment (.venv, pinned by constraints.txt)
	@echo 'Environment ready. To have `fwrnn` at hand in this shell: . $(BIN)/activate'

# Named by content, so that touching a file installs nothing and editing one does.
$(READY):
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --constraint constraints.txt --editable '.[book,cluster,dev]'
	@rm -f $(VENV)/.ready-*
	@touch $@

book: env ## fetch data, execute stale notebooks, build the book; prints the page to open
	$(BIN)/fwrnn data fetch
	$(BIN)/fwrnn book --jobs $(JOBS)

test: env ## the test suite, two tests at a time (JOBS=N: N of them)
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal

browser: env ## every page of the built book in headless Chromium, all other hosts blocked
	$(BIN)/python -m pytest tests/browser -m browser -n $(JOBS) --dist worksteal

bench: env ## time the kernels and the optimizer
	$(BIN)/python -m bench

lint: env ## formatting, lint, types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

clean: ## remove the built book and executed copies (data and records stay)
	rm -rf _build
