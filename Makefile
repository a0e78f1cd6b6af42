# Everything a person or CI does with this project. Needs Python >= 3.11 and make, nothing else.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
RUN_READY := $(VENV)/.run-ready
DEV_READY := $(VENV)/.dev-ready
TOOLS_READY := $(VENV)/.tools-ready
BENCH_READY := $(VENV)/.bench-ready
NODE_PEERS := tests/benchmarks/contestants/node
NODE_READY := $(NODE_PEERS)/node_modules/.ready
LOCK   := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate
PIP    := $(BIN)/python -m pip --quiet --disable-pip-version-check

# What is compiled is kept: else each of the many processes of a run would compile it anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help run test deploy-test faults lint bench bench-guard lock tools manifests docs sbom clean

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

run: $(RUN_READY) ## the main job on an embedded server with sample publishers; Ctrl-C ends it
	@exec $(BIN)/python -m entrypoints.cli demo $(ARGS)

test: $(DEV_READY) ## all tests but the longest, with coverage of the rules and the use case
	@$(BIN)/python -m pytest --collect-only -qq >/dev/null || true  # compiles, so that six need not do it at once
	@$(BIN)/python -m pytest -n 4 --dist worksteal --cov --cov-report=term tests/unit
	@$(BIN)/python -m pytest -n 6 --dist worksteal --ignore tests/unit --ignore tests/deploy $(ARGS)

faults: $(DEV_READY) ## every fault on every kind of server, as a table, and what else takes long; most of an hour
	@status=0; \
	$(BIN)/python -m pytest -n 2 -m long --ignore tests/faults --ignore tests/property --ignore tests/deploy $(ARGS) || status=$$?; \
	$(BIN)/python -m pytest -n 2 -m '' --hypothesis-profile thorough --timeout 600 tests/property $(ARGS) || status=$$?; \
	$(BIN)/python -m pytest -n 2 -m '' tests/faults --fault-table $(ARGS) || status=$$?; \
	exit $$status

deploy-test: $(DEV_READY) $(TOOLS_READY) ## the tests of what is under deploy; the image is built and run without Docker, as root on Linux
	@$(BIN)/python -m pytest -n 2 -m '' tests/deploy $(ARGS)

lint: $(DEV_READY) ## style, types, architecture
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && PYTHONPATH=. $(BIN)/lint-imports --no-logo

bench: $(BENCH_READY) $(NODE_READY) ## measure against the per-message loop and others; half an hour and more
	@$(BIN)/python -m tests.benchmarks $(ARGS)

bench-guard: $(DEV_READY) ## whether it has become slower or larger than it may be; about a minute
	@$(BIN)/python -m tests.benchmarks.guard

lock: $(DEV_READY) ## write the hash-pinned requirements anew
	@$(LOCK) --extra demo --extra serve pyproject.toml -o requirements.txt
	@# Without rfc3987-syntax, which jsonschema can do without: to import it takes three seconds.
	@$(LOCK) --constraint requirements.txt --extra demo --extra serve --extra tracing --group dev pyproject.toml -o requirements-dev.txt \
	  --no-emit-package rfc3987-syntax --no-emit-package lark
	@$(LOCK) --constraint requirements-dev.txt --extra serve --extra tracing pyproject.toml -o deploy/image/requirements.txt
	@$(LOCK) --constraint requirements-dev.txt --group build -o deploy/image/build-requirements.txt
	@$(LOCK) --constraint requirements-dev.txt --group bench -o tests/benchmarks/requirements.txt
	@$(BIN)/python -m tests.benchmarks.contestants.node_lock write

tools: $(TOOLS_READY) ## helm and kubectl for the tests of what is under deploy; Linux on x86-64

manifests: $(DEV_READY) $(TOOLS_READY) ## write the plain manifests anew, from the chart
	@$(BIN)/python -m tests.deploy.manifests

docs: $(DEV_READY) ## write docs/configuration.md anew, from the settings
	@$(BIN)/python -m tests.reference

sbom: $(DEV_READY) ## write dist/kv-updater.cdx.json: what the image holds besides its base, as CycloneDX
	@$(BIN)/python -m tests.deploy.sbom

clean: ## remove everything made here
	rm -rf $(VENV) $(NODE_PEERS)/node_modules dist build .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .coverage*

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "KV-Updater needs Python 3.11 or newer; name one with make PYTHON=python3.12")'
	@$(PYTHON) -m venv $(VENV)

$(RUN_READY): requirements.txt | $(BIN)/python
	@echo "Installing into $(VENV) ..."
	@$(PIP) install --no-deps --require-hashes -r requirements.txt
	@touch $@

$(TOOLS_READY): tests/deploy/tools.txt | $(DEV_READY)
	@$(BIN)/python -m tests.deploy.tools
	@touch $@

$(DEV_READY): requirements-dev.txt | $(BIN)/python
	@echo "Installing into $(VENV) ..."
	@$(PIP) install --no-deps --require-hashes -r requirements-dev.txt
	@touch $@ $(RUN_READY)

$(BENCH_READY): tests/benchmarks/requirements.txt $(DEV_READY)
	@$(PIP) install --no-deps --require-hashes -r tests/benchmarks/requirements.txt
	@touch $@

# Where there is no Node.js, and where they cannot be had, the benchmarks say so in their tables.
$(NODE_READY): $(NODE_PEERS)/requirements.txt | $(DEV_READY)
	@if command -v npm >/dev/null; then \
	  $(BIN)/python -m tests.benchmarks.contestants.node_lock install && touch $@ || echo "The peers of Node.js cannot be installed."; \
	fi
