# Everything a person or a machine does with this repository; `make` lists it.
# Needs Python 3.11 or newer and make; the rest is installed into .venv, each file checked against its hash.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
.PHONY: help setup run run-services test check format lint types check-protos check-locks bench prove protos lock images clean

PYTHON ?= $(shell command -v python3.11 || command -v python3 || command -v python)
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv
ARGS ?=
BUS ?= sqlite

PACKAGES := protos libs/weather libs/sources libs/runtime services/ingest services/preprocess services/predict simulator cli
NAMES := $(addprefix skyblend-,$(notdir $(PACKAGES)))
LOCKS := build dev ingest preprocess serve train
PROTO_FILES := $(wildcard protos/skyblend/protos/v1/*.proto)
CODE := $(wildcard protos libs services simulator cli tests bench)

COMPILE = $(UV) pip compile -q --python $(BIN)/python --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url $(addprefix --no-emit-package ,$(NAMES)) --custom-compile-command "make lock"
# What the images install is what the tests ran on: dev keeps to build's pins, the images to dev's.
CONSTRAINT_build :=
CONSTRAINT_dev := -c requirements/build.txt
constraint = $(or $(CONSTRAINT_$(1)),$(if $(filter build,$(1)),,-c requirements/dev.txt))

help: ## this list
	@grep -E '^[a-z-]+:.*## ' Makefile | sed -E 's/^([a-z-]+):[^#]*## (.*)/  make \1|\2/' | column -t -s '|' 2>/dev/null \
		|| grep -E '^[a-z-]+:.*## ' Makefile

setup: $(VENV)/.ready ## the virtual environment with everything in it (other targets do this by themselves)

$(VENV)/.tools: requirements/build.txt
	@test -n "$(PYTHON)" || { echo "Skyblend needs Python 3.11 or newer: no python3.11, python3 or python was found"; exit 1; }
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(v < (3, 11) and f"Skyblend needs Python 3.11 or newer, $(PYTHON) is {v.major}.{v.minor}")'
	@echo "[1/3] virtual environment in $(VENV)"
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/build.txt
	@touch $@

$(VENV)/.ready: $(VENV)/.tools requirements/dev.txt $(addsuffix /pyproject.toml,$(PACKAGES))
	@echo "[2/3] packages of requirements/dev.txt, each checked against its hash"
	@$(UV) pip sync -q --python $(BIN)/python --require-hashes requirements/build.txt requirements/dev.txt
	@echo "[3/3] Skyblend's own packages"
	@$(UV) pip install -q --python $(BIN)/python --no-deps --no-build-isolation $(addprefix -e ./,$(PACKAGES))
	@touch $@

run: setup ## the whole pipeline on http://127.0.0.1:8080 (ARGS=--live or --simulate, --port N)
	@$(BIN)/skyblend up $(ARGS)

run-services: setup ## the three services as three processes on ports 8081 to 8083 with one bus (BUS=pubsub: Google's emulator)
	@$(BIN)/skyblend services --bus $(BUS) $(ARGS)

test: setup ## all tests, in two processes (ARGS for pytest)
	@$(BIN)/python -m pytest -n 2 --no-loadscope-reorder $(ARGS)

check: setup format lint types check-protos check-locks ## format, lint, types, protos and locks
	@echo "check: all is in order"

format lint types check-protos: setup

format:
	@echo "format";  $(BIN)/ruff format --check -q $(CODE)

lint:
	@echo "lint";    $(BIN)/ruff check -q $(CODE)

types:
	@echo "types";   $(BIN)/mypy

check-protos:
	@echo "protos";  fresh=$$(mktemp -d); trap 'rm -rf "$$fresh"' EXIT; \
	$(BIN)/python -m grpc_tools.protoc -I protos --python_out="$$fresh" --pyi_out="$$fresh" $(PROTO_FILES); \
	for made in "$$fresh"/skyblend/protos/v1/*; do \
		cmp -s "$$made" "protos/skyblend/protos/v1/$$(basename "$$made")" \
			|| { echo "protos/skyblend/protos/v1/$$(basename "$$made") is not what its .proto gives: run make protos"; exit 1; }; \
	done

check-locks: $(VENV)/.tools
	@echo "locks";   copies=$$(mktemp -d); trap 'rm -rf "$$copies"' EXIT; cp requirements/*.txt "$$copies"; \
	$(foreach lock,$(LOCKS), \
		$(COMPILE) $(call constraint,$(lock)) requirements/$(lock).in -o "$$copies/$(lock).txt" >/dev/null \
			|| { echo "requirements/$(lock).txt cannot be checked: its packages were not found (is a package index reachable?)"; exit 1; }; \
		cmp -s "$$copies/$(lock).txt" requirements/$(lock).txt \
			|| { diff "$$copies/$(lock).txt" requirements/$(lock).txt | head -20; echo "requirements/$(lock).txt is not current: run make lock"; exit 1; };) true

protos: setup ## regenerate the code of protos/ (it is committed)
	@$(BIN)/python -m grpc_tools.protoc -I protos --python_out=protos --pyi_out=protos $(PROTO_FILES)

lock: $(VENV)/.tools ## recompile requirements/*.txt from their .in files (pins stay; ARGS=--upgrade renews them)
	@$(foreach lock,$(LOCKS),echo "requirements/$(lock).txt"; \
		$(COMPILE) $(ARGS) $(call constraint,$(lock)) requirements/$(lock).in -o requirements/$(lock).txt >/dev/null;) true

bench: setup ## the figures of the README, measured on this machine
	@$(BIN)/python -m bench $(ARGS)

prove: setup ## the long proofs: damaged payloads, orders, points in time, equal models, kill -9, Pub/Sub
	@SKYBLEND_PROVE=1 $(BIN)/python -m pytest --timeout=1800 $(wildcard tests/prove) tests/pipeline/test_kill.py \
		tests/pipeline/test_real_bulletins.py tests/pipeline/test_pubsub_pipeline.py tests/runtime/test_bus_contract.py tests/runtime/test_pubsub_emulator.py \
		tests/runtime/test_tables_contract.py tests/runtime/test_bigquery_loading.py $(ARGS)

images: setup ## the four container images, built, tried and weighed (needs docker)
	@SKYBLEND_PROVE=1 $(BIN)/python -m pytest tests/images $(ARGS)

clean: ## remove .venv and what the tools left behind (never data/)
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis build
