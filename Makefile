# Start with make demo, make test and make check. They need Python 3.11+, git and make. The tests of the charts also need
# helm, on PATH or built by make cluster; otherwise they are skipped.
PYTHON ?= python3
TOOLS  := .tools
VENV   := .venv
UV     := $(shell command -v uv 2>/dev/null || echo $(TOOLS)/bin/uv)
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.synced

.PHONY: help demo test unit check format bench chaos mutations cluster cluster-down cluster-status clean e2e bench-cluster bench-backend bench-rollout bench-truth bench-scale bench-seeds image
help: ## show this list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s  %s\n", $$1, $$2}'

$(TOOLS)/bin/uv:
	$(PYTHON) -m venv $(TOOLS)
	$(TOOLS)/bin/pip install --quiet --disable-pip-version-check uv

$(STAMP): pyproject.toml uv.lock $(filter $(TOOLS)/bin/uv,$(UV))
	$(UV) sync --quiet --locked --all-extras --compile-bytecode --python $(PYTHON)
	@touch $@

demo: $(STAMP) ## run the demo on this machine; DEMO=--keep leaves it running
	@$(BIN)/greenroom demo $(DEMO)

test: $(STAMP) ## all tests except those on the cluster; the chart tests need helm
	$(BIN)/pytest -n 2 --dist loadfile $(PYTEST)

unit: $(STAMP) ## only the fast tests without I/O
	$(BIN)/pytest -q tests/core tests/config $(PYTEST)

e2e: $(STAMP) ## end-to-end tests on a real cluster (root; make cluster)
	image=$$(tests/e2e/images) && GREENROOM_E2E=$$image deploy/cluster/cluster run $(BIN)/pytest tests/e2e $(PYTEST)

check: $(STAMP) ## format, lint, types, layers, words, examples
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python docs/words.py
	$(BIN)/greenroom check examples/shop/platform

format: $(STAMP) ## format, and fix what can be fixed automatically
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(STAMP) ## measure; prints the figures of the README
	$(BIN)/python -m bench

bench-cluster: $(STAMP) ## compare with Argo CD's generator (root; make cluster)
	image=$$(tests/e2e/images) && GREENROOM_E2E=$$image deploy/cluster/cluster run $(BIN)/python -m bench.cluster

bench-backend: $(STAMP) ## compare a backend with kubectl apply (root; make cluster)
	image=$$(tests/e2e/images) && GREENROOM_E2E=$$image deploy/cluster/cluster run $(BIN)/python -m bench.backend

bench-rollout: $(STAMP) ## count requests that fail during a push (root; make cluster)
	image=$$(tests/e2e/images) && GREENROOM_E2E=$$image deploy/cluster/cluster run $(BIN)/python -m bench.rollout $(BENCH)

bench-truth: $(STAMP) ## compare each answer with what Greenroom claims (root; make cluster)
	image=$$(tests/e2e/images) && GREENROOM_E2E=$$image deploy/cluster/cluster run $(BIN)/python -m bench.truth $(BENCH)

bench-scale: $(STAMP) ## 1,000 previews on fake nodes beside Argo CD's generator (root; make cluster)
	image=$$(tests/e2e/images) && GREENROOM_E2E=$$image deploy/cluster/cluster run $(BIN)/python -m bench.scale $(BENCH)

bench-seeds: $(STAMP) ## compare seeded databases with a restore at start (root; make cluster)
	image=$$(tests/e2e/images) && GREENROOM_E2E=$$image deploy/cluster/cluster run $(BIN)/python -m bench.seeds $(BENCH)

chaos: $(STAMP) ## many random sequences of events with random faults; LIVES=1000 SEED=7 ENGINE=local or argocd, LIFE=123
	PYTHONPATH=tests $(BIN)/python -m chaos --engine $(or $(ENGINE),local) --lives $(or $(LIVES),48) \
	    $(if $(SEED),--seed $(SEED)) $(if $(LIFE),--life $(LIFE)) $(CHAOS)

mutations: $(STAMP) ## remove each safety rule in turn; the test named for it must fail
	$(BIN)/python tests/mutations.py

cluster: ## a real Kubernetes node and Argo CD here (root; no Docker)
	@deploy/cluster/cluster up

cluster-down: ## stop that cluster and verify that nothing is left
	@deploy/cluster/cluster down

cluster-status: ## show which parts of that cluster run
	@deploy/cluster/cluster status

image: $(filter $(TOOLS)/bin/uv,$(UV)) ## build the controller's OCI image in dist/image, without Docker
	@deploy/image/build $(REFERENCE)

clean: ## delete the environment and caches
	rm -rf $(VENV) $(TOOLS) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
