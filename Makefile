# Each target sets up what it needs, and only if it is out of date.
VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test test-quick faults coverage bench bench-check ui lint clean

demo: $(READY)
	$(BIN)/python -m harness -m task=sum,next_value,multi_step,binary backend=numpy,torch,keras,jax
	$(BIN)/python -m harness.compare
	@echo "  browse   make ui   (then open http://127.0.0.1:5000)"

# A process per core; one that runs out of tests takes some of another's.
TEST := $(BIN)/python -m pytest -n auto --dist worksteal --max-worker-restart 2

test: $(READY)
	$(TEST)

# What can be known within a minute: no framework, no MLflow, no process of its own. A dear test in
# these folders is marked as slow.
QUICK := core reporting tasks training \
	$(addprefix backends/test_,loss_formulas.py numpy_gradients.py textbook.py update_rules.py) \
	parity/test_difference.py parity/test_parity.py runs/test_summary.py \
	sweeps/test_swept_values.py why/test_shapley.py
test-quick: $(READY)
	$(TEST) $(QUICK:%=tests/%) -m 'not slow' -k 'not torch and not keras and not jax'

# Programs killed, servers stopped, disks full, for real: docs/reliability.md. Takes hours; FAULTS=kill
# does a part, and tests/faults/test_faults.py is the short form.
FAULTS ?=
faults: $(READY)
	$(BIN)/python -m tests.faults $(FAULTS)

# Which lines no test reaches, child processes included. TESTS=tests/config measures a part.
TESTS ?= tests
coverage: $(READY)
	$(BIN)/python -m coverage erase
	$(BIN)/python -m coverage run -m pytest -n auto --dist worksteal $(TESTS)
	$(BIN)/python -m coverage combine --quiet
	$(BIN)/python -m coverage report

bench: $(READY)
	$(BIN)/python -m benchmarks

# Whether anything has become slower, by ratios against benchmarks/expected.json: a minute or two.
bench-check: $(READY)
	$(BIN)/python -m benchmarks check

ui: $(READY)
	MLFLOW_DISABLE_TELEMETRY=true MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false \
	$(BIN)/mlflow ui --workers 1 --host 127.0.0.1 --port 5000 --backend-store-uri sqlite:///$(CURDIR)/results/mlflow.db

lint: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/codespell
	$(BIN)/lint-imports
	$(BIN)/pyright

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) build dist .pytest_cache .ruff_cache .hypothesis .coverage*
