# Thin on purpose: every target is one or two lines; set-up runs by itself when the lock has changed.
# Needs only git, make and Python 3.11 with package mirrors; what else is missing is named, or installed when that is allowed.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.DEFAULT_GOAL := help
.PHONY: help setup system demo gallery machine services test lint types proof conformance bench bench-drain lock clean

BIN := .venv/bin
READY := .venv/.ready
FONTS := /usr/share/fonts/truetype/wqy/wqy-microhei.ttc /usr/share/fonts/truetype/dejavu/DejaVuSansMono.ttf
PYTHON := $(firstword $(wildcard /usr/bin/python3.11) python3.11)
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input
COMPILE := uv pip compile pyproject.toml --quiet --python-version 3.11 --python-platform linux --generate-hashes --no-emit-index-url --no-annotate --custom-compile-command "make lock"
SOURCES := agent drivers backend tests examples
# Every test is on its own, so that all processors work; a test at rest is given to whoever is free.
PYTEST := $(BIN)/pytest -n $(shell nproc) --dist worksteal

help: ## this list
	@sed -n 's/^\([a-z]*\):[^#]*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

setup: $(READY) ## make .venv from the hash-pinned lock

$(READY): requirements-dev.lock pyproject.toml
	@$(MAKE) --no-print-directory system
	echo "set-up: .venv from requirements-dev.lock"
	$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv .venv
	$(PIP) install -qq --require-hashes --only-binary :all: -r requirements-dev.lock
	$(PIP) install -qq --no-deps --no-build-isolation --no-index -e .
	touch $@

# Debian ships Python without ensurepip: without this package a virtual environment has no pip. The camera reads with
# zbar too; slips are drawn as pictures in these fonts; serial ports are played by socat.
system:
	@$(PYTHON) -c 'import ensurepip, venv, ctypes.util, shutil, pathlib; assert ctypes.util.find_library("zbar") and shutil.which("socat") and all(pathlib.Path(font).exists() for font in "$(FONTS)".split())' 2>/dev/null && exit 0
	run="apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3.11 python3.11-venv libzbar0 fonts-wqy-microhei fonts-dejavu-core socat"
	sudo=""; [ "$$(id -u)" = 0 ] || sudo="$$(command -v sudo || true)"
	if [ "$$(id -u)" != 0 ] && [ -z "$$sudo" ]; then echo "set-up needs a system package; as root, run:  $$run" >&2; exit 1; fi
	echo "set-up: $$sudo $$run"; $$sudo bash -c "$$run" >/tmp/counterfoil-apt.$$$$ 2>&1 || { cat /tmp/counterfoil-apt.$$$$ >&2; exit 1; }
	rm -f /tmp/counterfoil-apt.$$$$

demo: $(READY) ## a whole lane on this machine, virtual devices included (ARGS=--exit: stop when it is through)
	@$(BIN)/counterfoil demo $(ARGS)

gallery: $(READY) services ## pictures of every state of page and display (ARGS="gallery --sizes small": where, which)
	@$(BIN)/python -m tests.page.gallery $(or $(ARGS),gallery)

test: $(READY) ## the fast tests
	@$(PYTEST) -m "not proof and not system" $(ARGS)

lint: $(READY) ## ruff: rules and format
	@$(BIN)/ruff check $(SOURCES) && $(BIN)/ruff format --check --quiet $(SOURCES)

types: $(READY) ## mypy, strict
	@$(BIN)/mypy

proof: $(READY) machine services ## the long tests: faults, fuzzing, planted bugs, simulation
	@$(PYTEST) -m proof $(ARGS)

# The proof boots a machine of its own under systemd-nspawn; where that cannot be installed, its test says so and is skipped.
machine:
	@command -v systemd-nspawn >/dev/null || [ "$$(id -u)" != 0 ] && exit 0
	run="apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends systemd systemd-container"
	echo "set-up: $$run"; bash -c "$$run" >/dev/null 2>&1 || echo "set-up: systemd-container cannot be installed" >&2

# What some tests use when it is there, and say that it is missing when it is not: a PostgreSQL for the backend's; for
# the devices' a kernel's devices that are not there (umockdev), the keyboard tables of X, a till's hardware (emupos),
# receipt programs that ask and print beside ours (npm, pinned in tests/drivers/peers).
PEERS := tests/drivers/peers
SERVICES := postgresql chromium umockdev gir1.2-umockdev-1.0 python3-gi libxkbcommon0 xkb-data
services:
	@if [ ! -x .venv/emupos/bin/emupos ]; then for python in python3.13 $(wildcard $(HOME)/.pyenv/versions/3.13*/bin/python3.13); do
	  $$python -m venv .venv/emupos && .venv/emupos/bin/python -m pip install -qq emupos==0.4.0 && break
	done >/dev/null 2>&1 || echo "set-up: emupos cannot be installed: it needs Python 3.13" >&2; fi
	cmp -s $(PEERS)/package-lock.json .venv/peers/package-lock.json || { mkdir -p .venv/peers; cp $(PEERS)/package*.json .venv/peers
	  (cd .venv/peers && npm ci --silent --ignore-scripts --no-audit --no-fund >/dev/null 2>&1) || { rm -f .venv/peers/package-lock.json; echo "set-up: receiptio and receiptline cannot be installed: they need Node and npm" >&2; }; }
	dpkg -s $(SERVICES) >/dev/null 2>&1 || [ "$$(id -u)" != 0 ] && exit 0
	run="apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(SERVICES)"
	echo "set-up: $$run"; bash -c "$$run" >/dev/null 2>&1 || echo "set-up: $(SERVICES) cannot be installed" >&2

conformance: $(READY) services ## every rule of the lane protocol, tried on the reference backend (ARGS=--database=postgresql: on both databases)
	@$(BIN)/python -m tests.conformance.reference $(ARGS)

# A folder of photographs of codes beside the project (expected.json in it: file -> text) is read too.
PHOTOGRAPHS := $(dir $(firstword $(wildcard ../barcode_images/expected.json ../*/barcode_images/expected.json)))
bench: $(READY) ## figures, each beside its limit or rival measured in the same run
	@$(BIN)/counterfoil bench $(ARGS)
	[ -z "$(PHOTOGRAPHS)" ] || $(BIN)/counterfoil bench --photographs $(PHOTOGRAPHS) $(ARGS)

bench-drain: $(READY) machine services ## 100,000 entries of four lanes, brought to a backend on SQLite and on PostgreSQL
	@for where in sqlite postgresql; do $(BIN)/counterfoil bench --drain 100000 --database $$where $(ARGS) || exit 1; done

lock: ## renew the hash-pinned locks from pyproject.toml (needs uv; ARGS=--upgrade)
	@$(COMPILE) $(ARGS) -o requirements.lock
	$(COMPILE) $(ARGS) --constraints requirements.lock --extra dev --extra camera --extra postgresql --extra sm -o requirements-dev.lock
	$(COMPILE) $(ARGS) --constraints requirements.lock --extra camera -o requirements-camera.lock
	$(COMPILE) $(ARGS) --constraints requirements.lock --extra sm -o requirements-sm.lock
	$(COMPILE) $(ARGS) --constraints requirements.lock --extra postgresql -o requirements-postgresql.lock

clean: ## remove everything that is made here
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist demo-out *.egg-info
	find $(SOURCES) -name __pycache__ -prune -exec rm -rf {} +
