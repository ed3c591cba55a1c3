# Two commands set up a fresh machine: `make demo` and `make test`.
#   make demo PIP_ARGS="--index-url URL"     another package index, or a CPU build of torch
PYTHON ?= python3
PIP_ARGS ?=
BIN := .venv/bin

.PHONY: demo test docs lint bench clean

.venv/installed: pyproject.toml constraints-dev.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet $(PIP_ARGS) --constraint constraints-dev.txt --editable ".[dev]"
	touch $@

demo: .venv/installed
	$(BIN)/python examples/demo.py

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell skae tests docs examples *.md Makefile pyproject.toml

test: lint
	OMP_NUM_THREADS=1 SCIPY_ARRAY_API=1 $(BIN)/python -m pytest -n 2

docs: .venv/installed
	OMP_NUM_THREADS=1 $(BIN)/sphinx-build --fail-on-warning --keep-going --quiet docs docs/_build/html

bench: .venv/installed
	for script in docs/benchmarks/[a-z]*.py; do echo "== $$script" && $(BIN)/python $$script || exit 1; done

clean:
	rm -rf .venv build dist docs/_build docs/api docs/auto_examples .pytest_cache .ruff_cache
