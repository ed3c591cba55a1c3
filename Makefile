# Two commands set up a fresh machine: `make demo` and `make test`.
#   make test-all          every test, also those that take their time (slow ones alone: make test-slow)
#   make test-kernels      tests of bits and tolerances, as other processors would run them
#   make demo PIP_ARGS="--index-url URL"     another package index, or a CPU build of torch
#   make test-minimum      the tests with the lowest versions that pyproject.toml allows, in .venv-minimum
#   make docs              the documentation, in docs/_build/html
#   make site              the same, and a browser looks at it: Chromium or Chrome, and chromedriver
#   make dist              the sdist and the wheel in dist/, checked, and used in a clean environment
PYTHON ?= python3
PIP_ARGS ?=
BIN := .venv/bin
MINIMUM := .venv-minimum/bin
PYTEST := OMP_NUM_THREADS=1 SCIPY_ARRAY_API=1 $(BIN)/python -m pytest

.PHONY: demo test test-slow test-all test-kernels test-minimum docs site dist lint bench clean

.venv/installed: pyproject.toml constraints-dev.txt
	@echo "Installing skae and its development tools in .venv: this takes minutes."
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
	$(PYTEST) -n 2 -m "not slow"

test-slow: .venv/installed
	$(PYTEST) -n 2 -m slow

test-all: test test-slow

test-kernels: .venv/installed
	$(BIN)/python tests/kernels.py

docs: .venv/installed
	OMP_NUM_THREADS=1 $(BIN)/sphinx-build --fail-on-warning --keep-going --quiet docs docs/_build/html

site: docs
	SKAE_SITE=required $(BIN)/python -m pytest -n 0 tests/project/test_site.py

# Deprecations of old versions by newer ones are theirs; scikit-learn 1.6 gives some checks the same name
.venv-minimum/installed: pyproject.toml
	$(PYTHON) -m venv .venv-minimum
	$(MINIMUM)/python -m pip install --quiet $(PIP_ARGS) uv
	$(MINIMUM)/uv pip compile --quiet --no-deps --resolution lowest-direct --extra test --python $(MINIMUM)/python \
		--output-file .venv-minimum/constraints.txt pyproject.toml
	$(MINIMUM)/python -m pip install --quiet $(PIP_ARGS) --constraint .venv-minimum/constraints.txt --editable ".[test]"
	touch $@

test-minimum: .venv-minimum/installed
	OMP_NUM_THREADS=1 SCIPY_ARRAY_API=1 $(MINIMUM)/python -m pytest -n 2 \
		-W default::DeprecationWarning -o strict_parametrization_ids=false

dist: .venv/installed
	.ci/dist $(PIP_ARGS)

bench: .venv/installed
	for script in docs/benchmarks/[a-z]*.py; do echo "== $$script" && $(BIN)/python $$script || exit 1; done

clean:
	rm -rf .venv .venv-minimum build dist docs/_build docs/api docs/auto_examples .pytest_cache .ruff_cache
