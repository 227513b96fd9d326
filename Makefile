# The verbs that people and CI share. `make run` and `make test` are the two to know.
SHELL := /bin/sh
PYTHON ?= python3
PORT ?= 3000
BIN := .venv/bin
UV := uv==0.13.8

# Containers like to set it, and then every command compiles the libraries again: a second for Dagster alone.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help run test check format setup spark history benchmark clean

help:
	@echo "make run        set up, prepare the data, materialise the history, open the Dagster UI (PORT=3000)"
	@echo "make test       run the tests"
	@echo "make check      lint, types, import rules"
	@echo "make history    prepare the data and materialise the history, without the UI; fails when a check fails"
	@echo "make spark      the environment from which features are sent to Spark, in .venv-spark"
	@echo "make format     format the code"
	@echo "make benchmark  print the table of benchmarks/"
	@echo "make clean      remove everything that running made (data/, .venv)"

run: history
	@$(BIN)/lead-scoring start --port "$(PORT)"

history: setup
	@$(BIN)/lead-scoring prepare
	@$(BIN)/lead-scoring materialize

# The workers share the cores: a pool of threads in each of them would spin while it waits for the others.
test: export OMP_NUM_THREADS = 1
test: export OPENBLAS_NUM_THREADS = 1
test: setup spark
	@$(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder

check: setup
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: setup
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

benchmark: setup
	@$(BIN)/python benchmarks/spine.py

clean:
	rm -rf .venv .venv-spark .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find data -mindepth 1 ! -name README.md -delete

setup: .venv/.ready

# The locked environment, with every file's hash checked; again when the lock or the project file changed.
.venv/.ready: requirements.lock pyproject.toml
	@command -v "$(PYTHON)" >/dev/null || { echo "error: no $(PYTHON) on this machine. Install Python 3.11 or newer, or name one: make run PYTHON=/path/to/python3"; exit 2; }
	@"$(PYTHON)" -c 'import sys; v = sys.version_info; sys.exit(f"error: Python 3.11 or newer is needed, found {v.major}.{v.minor} ({sys.executable}). Install one, or name it: make run PYTHON=python3.12" if v < (3, 11) else 0)'
	@echo "creating the environment in .venv (about 2 GB, once)"
	@test -x $(BIN)/python || "$(PYTHON)" -m venv .venv || { echo "error: $(PYTHON) could not create an environment; on Debian and Ubuntu: apt-get install python3-venv"; exit 2; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check "$(UV)"
	@$(BIN)/python -m uv pip sync --quiet --python $(BIN)/python --require-hashes requirements.lock
	@$(BIN)/python -m uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $@

spark: .venv-spark/.ready

.venv-spark/.ready: requirements-spark.lock .venv/.ready
	@$(BIN)/python -m venv --without-pip .venv-spark
	@$(BIN)/python -m uv pip sync --quiet --python .venv-spark/bin/python --require-hashes requirements-spark.lock
	@touch $@
