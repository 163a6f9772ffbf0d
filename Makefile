# entroscape: `make` lists what there is.

SCALE  ?= desktop
STUDY  ?= all
CORES  ?= $(shell nproc 2>/dev/null || getconf _NPROCESSORS_ONLN 2>/dev/null || echo 1)
PYTHON ?= python3
RUNS   ?= 400
SEED   ?= $(shell date +%s)

VENV  := .venv
BIN   := $(VENV)/bin
STAMP := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help environment reproduce cost test statistics lint format schema bench clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo "Variables: SCALE=$(SCALE) (smoke, desktop, paper)  STUDY=$(STUDY)  CORES=$(CORES)  PYTHON=$(PYTHON)"

environment: $(STAMP) ## make .venv from envs/requirements.lock, if it is missing or outdated

$(STAMP): envs/requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
		|| { echo "$(PYTHON) is not Python 3.11 to 3.13; name one with PYTHON=..." >&2; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --requirement envs/requirements.lock
	$(BIN)/python -m pip install --no-deps --no-build-isolation --editable .
	touch $@

reproduce: $(STAMP) ## compute every figure of STUDY at SCALE
	$(BIN)/snakemake --workflow-profile profiles/default --cores $(CORES) --config scale=$(SCALE) -- $(STUDY)

cost: $(STAMP) ## estimate what SCALE costs, figure by figure, from speeds measured here
	$(BIN)/snakemake --workflow-profile profiles/default --cores $(CORES) --config scale=$(SCALE) -- cost

test: $(STAMP) ## run all tests
	$(BIN)/python -m pytest --numprocesses $(CORES) --dist loadfile --no-loadscope-reorder

statistics: $(STAMP) ## ask of more runs, from new seeds, whether intervals hold the truth as often as they claim
	$(BIN)/python -m pytest tests/statistics --numprocesses $(CORES) --runs $(RUNS) --seed $(SEED)

lint: $(STAMP) ## check style, types, workflow
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile workflow/rules
	$(BIN)/snakemake --lint
	$(BIN)/mypy src

format: $(STAMP) ## bring sources into the style that lint checks
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/snakefmt Snakefile workflow/rules

schema: $(STAMP) ## write workflow/schemas from the pydantic models
	$(BIN)/python -m entroscape.config.jsonschema

bench: $(STAMP) ## print the speed table
	$(BIN)/python -m benchmarks

clean: ## remove results of all scales (not .venv, not Snakemake's own records)
	@echo "removing everything in results/ but its README.md"
	@if [ -d results ]; then find results -mindepth 1 -maxdepth 1 ! -name README.md -exec rm -rf {} +; fi
