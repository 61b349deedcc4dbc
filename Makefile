# Everything that a newcomer needs: make demo, make test, make check. Python 3.11+, git and make are enough, but for the
# tests of the charts: they skip unless helm is on PATH, or was built by make cluster.
PYTHON ?= python3
TOOLS  := .tools
VENV   := .venv
UV     := $(shell command -v uv 2>/dev/null || echo $(TOOLS)/bin/uv)
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.synced

.PHONY: help demo test unit check format bench chaos mutations cluster cluster-down cluster-status clean e2e bench-cluster bench-backend image
help: ## show this list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s  %s\n", $$1, $$2}'

$(TOOLS)/bin/uv:
	$(PYTHON) -m venv $(TOOLS)
	$(TOOLS)/bin/pip install --quiet --disable-pip-version-check uv

$(STAMP): pyproject.toml uv.lock $(filter $(TOOLS)/bin/uv,$(UV))
	$(UV) sync --quiet --locked --all-extras --compile-bytecode --python $(PYTHON)
	@touch $@

demo: $(STAMP) ## play the whole life of previews here; DEMO=--keep
	@$(BIN)/greenroom demo $(DEMO)

test: $(STAMP) ## all tests but the cluster's; those of the charts want helm
	$(BIN)/pytest -n 2 --dist loadfile $(PYTEST)

unit: $(STAMP) ## only the pure, fast tests
	$(BIN)/pytest -q tests/core tests/config $(PYTEST)

e2e: $(STAMP) ## the stories on the real cluster (root; make cluster)
	image=$$(tests/e2e/images) && GREENROOM_E2E=$$image deploy/cluster/cluster run $(BIN)/pytest tests/e2e $(PYTEST)

check: $(STAMP) ## format, lint, types, layers, words, examples
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python docs/words.py
	$(BIN)/greenroom check examples/shop/platform

format: $(STAMP) ## format and mend what can be mended
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(STAMP) ## measure; prints the figures of the README
	$(BIN)/python -m bench

bench-cluster: $(STAMP) ## measure beside Argo CD's generator (root; make cluster)
	image=$$(tests/e2e/images) && GREENROOM_E2E=$$image deploy/cluster/cluster run $(BIN)/python -m bench.cluster

bench-backend: $(STAMP) ## measure a backend beside kubectl apply (the same)
	image=$$(tests/e2e/images) && GREENROOM_E2E=$$image deploy/cluster/cluster run $(BIN)/python -m bench.backend

chaos: $(STAMP) ## many random lives under random faults; LIVES=1000 SEED=7 ENGINE=local or argocd, LIFE=123
	PYTHONPATH=tests $(BIN)/python -m chaos --engine $(or $(ENGINE),local) --lives $(or $(LIVES),48) \
	    $(if $(SEED),--seed $(SEED)) $(if $(LIFE),--life $(LIFE)) $(CHAOS)

mutations: $(STAMP) ## take each safety rule out; the test named after it must turn red
	$(BIN)/python tests/mutations.py

cluster: ## a real Kubernetes node and Argo CD here (root; no Docker)
	@deploy/cluster/cluster up

cluster-down: ## end that cluster and prove that nothing is left
	@deploy/cluster/cluster down

cluster-status: ## what of that cluster runs
	@deploy/cluster/cluster status

image: $(filter $(TOOLS)/bin/uv,$(UV)) ## the controller's OCI image in dist/image, no Docker
	@deploy/image/build $(REFERENCE)

clean: ## forget the environment and caches
	rm -rf $(VENV) $(TOOLS) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
