# Everything that a newcomer needs: make demo, make test, make check. Python 3.11+, git and make are enough.
PYTHON ?= python3
TOOLS  := .tools
VENV   := .venv
UV     := $(shell command -v uv 2>/dev/null || echo $(TOOLS)/bin/uv)
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.synced

.PHONY: help demo test unit check format bench mutations cluster cluster-down cluster-status clean e2e bench-cluster bench-backend image
help: ## show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

$(TOOLS)/bin/uv:
	$(PYTHON) -m venv $(TOOLS)
	$(TOOLS)/bin/pip install --quiet --disable-pip-version-check uv

$(STAMP): pyproject.toml uv.lock $(filter $(TOOLS)/bin/uv,$(UV))
	$(UV) sync --quiet --locked --all-extras --compile-bytecode --python $(PYTHON)
	@touch $@

demo: $(STAMP) ## play the whole life of previews on this machine
	@$(BIN)/greenroom demo $(DEMO)

test: $(STAMP) ## all tests
	$(BIN)/pytest $(PYTEST)

unit: $(STAMP) ## only the pure, fast tests
	$(BIN)/pytest -q tests/core tests/config $(PYTEST)

e2e: $(STAMP) ## the stories on the real cluster (root; make cluster first)
	GREENROOM_E2E=$$(tests/e2e/images) deploy/cluster/cluster run $(BIN)/pytest tests/e2e $(PYTEST)

check: $(STAMP) ## format, lint, types, layers, examples
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/greenroom check examples/shop/platform

format: $(STAMP) ## format and mend what can be mended
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(STAMP) ## measure; prints the figures of the README
	$(BIN)/python -m bench

bench-cluster: $(STAMP) ## measure on the real cluster, beside Argo CD's own generator (root; make cluster first)
	GREENROOM_E2E=$$(tests/e2e/images) deploy/cluster/cluster run $(BIN)/python -m bench.cluster

bench-backend: $(STAMP) ## measure a backend with its needs and links, beside kubectl apply (root; make cluster first)
	GREENROOM_E2E=$$(tests/e2e/images) deploy/cluster/cluster run $(BIN)/python -m bench.backend

mutations: $(STAMP) ## take each safety rule out of the code and see that a test turns red
	$(BIN)/python tests/mutations.py

cluster: ## start a real Kubernetes node and Argo CD here, as root (deploy/cluster); KIND=1 where Docker runs
	@deploy/cluster/cluster up

cluster-down: ## end that cluster and prove that nothing is left of it
	@deploy/cluster/cluster down

cluster-status: ## what of that cluster runs
	@deploy/cluster/cluster status

image: $(filter $(TOOLS)/bin/uv,$(UV)) ## the controller's OCI image in dist/image, without Docker; REFERENCE= to push
	@deploy/image/build $(REFERENCE)

clean: ## forget the environment and caches
	rm -rf $(VENV) $(TOOLS) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
