# Every target explains itself: `make help`.
PYTHON ?= python3.11
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
PEERS  := $(VENV)/.peers
DOCS   := $(VENV)/.docs

# hundreds of processes that the tests start would compile soak anew, each
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help install demo test test-long accuracy accuracy-causes stories bench chaos bench-daemon bench-judge bench-load bench-probe field long check format lint types imports schema reference docs dashboards goldens clean

help: ## Show what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  \033[1m%-16s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(STAMP) ## Set up .venv with soak and all that its tests need

$(STAMP): pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || { echo "soak needs Python 3.11 or newer: make PYTHON=python3.12 ..."; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

demo: $(STAMP) ## Soak a leaking server beside a healthy one (three minutes)
	$(BIN)/soak demo

test: $(STAMP) ## Run the tests (15 to 20 minutes)
	$(call tests,tests/unit -n 3 --dist worksteal)
	$(call tests,tests/e2e -n 3 --dist loadfile -m "not long and not quiet")
	$(call tests,tests/e2e -m "not long and quiet")

test-long: $(STAMP) ## Run the soaks that are too long for that (half an hour)
	$(call tests,tests/e2e -n 2 --dist loadfile -m "long and not quiet")
	$(call tests,tests/e2e -m "long and quiet")

# what failed beside others is tried once more by itself: a busy neighbour spoils a soak once, a fault of ours again
tests = $(BIN)/pytest $(1) || $(BIN)/pytest $(1) -n 0 --last-failed --last-failed-no-failures none

bench: ## Measure everything that has a bar, and put the figures into docs/performance.md (half an hour)
	$(MAKE) --keep-going bench-load bench-probe bench-judge bench-daemon OPTIONS=--docs

bench-load: $(STAMP) ## Measure the load side beside theory and peers (twelve minutes; see docs/performance.md)
	$(BIN)/python -m benchmarks.load $(OPTIONS)

accuracy: $(PEERS) ## How often the judge is right, beside others (six minutes; see docs/accuracy.md)
	$(BIN)/python -m benchmarks.accuracy --json benchmarks/accuracy.json --docs

$(PEERS): $(STAMP)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[bench]'
	-$(BIN)/pip install --quiet --disable-pip-version-check --no-deps apache-otava==0.8.0
	@touch $@

accuracy-causes: $(STAMP) ## How often the cause of growth is the right one (half an hour; see docs/accuracy.md)
	$(BIN)/python -m benchmarks.causes --seed 3

stories: $(STAMP) ## Soak each plausible program beside a trusted one (ten minutes; see docs/stories.md)
	$(BIN)/python -m benchmarks.stories

bench-probe: $(STAMP) ## Measure what watching costs (six minutes; see docs/performance.md)
	$(BIN)/python -m benchmarks.probe $(OPTIONS)

bench-judge: $(STAMP) ## Measure the judge on long run files (two minutes; see docs/performance.md)
	$(BIN)/python -m benchmarks.judge $(OPTIONS)

chaos: $(STAMP) ## Kill every process of short runs at random, fill a disk, set a clock (20 minutes; as root; see docs/chaos.md)
	$(BIN)/python -m benchmarks.chaos

bench-daemon: $(STAMP) ## Poll the daemon by 200 clients while four runs go on (seven minutes; see docs/performance.md)
	$(BIN)/python -m benchmarks.daemon $(OPTIONS)

field: $(STAMP) ## Soak well-known releases with documented faults beside the mended ones (forty minutes; see docs/field.md)
	$(BIN)/python -m benchmarks.field

long: $(STAMP) ## Soak a slow leak of a real release for ninety minutes, unattended (a hundred minutes; see docs/long.md)
	$(BIN)/python -m benchmarks.long

check: format lint types imports docs test ## All that CI checks

format: $(STAMP) ## Check the formatting
	$(BIN)/ruff format --check .

lint: $(STAMP) ## Lint
	$(BIN)/ruff check .

types: $(STAMP) ## Check types, strictly
	$(BIN)/mypy

imports: $(STAMP) ## Check that rooms import only what they may
	$(BIN)/lint-imports

schema: $(STAMP) ## Write the scenario's JSON Schema anew
	$(BIN)/soak check --schema > soak/scenario/scenario.schema.json

reference: $(STAMP) ## Write docs/reference/ anew, from the code
	$(BIN)/python -m reference

docs: $(DOCS) ## Build the site of docs/ into build/docs; a warning is an error
	$(BIN)/sphinx-build -E -q -W --keep-going -b html docs build/docs
	@echo "open build/docs/index.html"

$(DOCS): $(STAMP)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[docs]'
	@touch $@

dashboards: $(STAMP) ## Write the Grafana dashboards anew
	$(BIN)/python -m soak.publish.grafana.boards dashboards

goldens: $(STAMP) ## Write the golden reports of the tests anew
	SOAK_UPDATE_GOLDENS=1 $(BIN)/pytest -q tests/unit -k report

clean: ## Remove what was built
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
