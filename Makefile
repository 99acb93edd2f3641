# `make demo` and `make test` do all their own set-up, in .venv.

PYTHON ?= python3
BIN := .venv/bin
MODEL ?= demo-model

.PHONY: demo test lint types bench clean

# Touched last, so an interrupted installation is done again.
.venv/run.ok: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable .
	touch $@

.venv/dev.ok: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable ".[dev]"
	touch $@ .venv/run.ok

demo: .venv/run.ok
	$(BIN)/hashrec fit debian --out $(MODEL)
	@echo
	@echo "A desktop text editor depends on GTK and on Python. What would go with it?"
	$(BIN)/hashrec recommend $(MODEL) --history libgtk-3-0,python3 -k 8
	@echo
	@echo "Nearest to libqt5network5:"
	$(BIN)/hashrec similar $(MODEL) libqt5network5 -k 5
	@echo
	@echo "Which packages could share a row of an embedding table a tenth as long?"
	$(BIN)/hashrec buckets debian --rows 0.1 --out $(MODEL)-buckets.parquet

lint: .venv/dev.ok
	$(BIN)/ruff check src tests tools
	$(BIN)/ruff format --check src tests tools

types: .venv/dev.ok
	$(BIN)/mypy

# Two workers share the cores: BLAS threads and spinning would only stand in each other's way.
test: lint types
	OPENBLAS_NUM_THREADS=1 OMP_WAIT_POLICY=passive $(BIN)/python -m pytest -q -n 2

bench: .venv/dev.ok
	$(BIN)/hashrec bench propagate
	$(BIN)/hashrec bench spectral
	$(BIN)/hashrec bench buckets
	$(BIN)/hashrec bench step
	$(BIN)/hashrec bench graphhash --repeats 1

clean:
	rm -rf .venv demo-model demo-model-buckets.*
