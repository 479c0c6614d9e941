# make demo    train LeNet-5 on the bundled images, results in runs/demo
# make test    lint, types and the test suite; make test-all: with every exhaustive case
# Each makes .venv and installs the package into it first where that is needed.

EPOCHS ?= 15
VENV := .venv
BIN := $(VENV)/bin

# What the installed package is built from: when one of these changes, it is installed again.
SOURCES := pyproject.toml setup.py $(wildcard fastcnn/_ext/*.pyx fastcnn/_ext/*.pxd fastcnn/_ext/*.pxi)

.PHONY: help demo test test-all lint bench docs clean

help:
	@echo "make demo      train LeNet-5 on the bundled images for $(EPOCHS) epochs, results in runs/demo"
	@echo "make test      ruff, mypy, pytest, and pytest with simulated CUDA kernels"
	@echo "make test-all  the same, with every case of which make test runs a covering sample"
	@echo "make lint      ruff and mypy alone"
	@echo "make bench     the race against other frameworks that are installed"
	@echo "make docs      the pages of docs/ and the API reference, as site/index.html"
	@echo "make clean     remove .venv and everything that was built (runs/ stays)"

demo: $(VENV)/installed
	$(BIN)/fastcnn train --model lenet5 --data sample --epochs $(EPOCHS) --out runs/demo --overwrite

test: $(VENV)/installed-test
	@LINT="$(MAKE) --no-print-directory lint" PYTHON="$(BIN)/python" sh tools/run_tests.sh

test-all: $(VENV)/installed-test
	@LINT="$(MAKE) --no-print-directory lint" PYTHON="$(BIN)/python" sh tools/run_tests.sh -m ''

lint: $(VENV)/installed-test
	$(BIN)/ruff check .
	$(BIN)/mypy
	PATH="$(CURDIR)/$(BIN):$$PATH" cython-lint --max-line-length=100 fastcnn/_ext

bench: $(VENV)/installed-test
	$(BIN)/python bench/compare.py

docs: $(VENV)/installed-test
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

$(VENV)/installed: $(SOURCES) | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

# To make byte code of all 10,000 files takes 40 s; Python makes it of those that it imports.
$(VENV)/installed-test: $(SOURCES) | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --editable '.[test,lint]'
	@touch $@ $(VENV)/installed

$(BIN)/python:
	@PYTHON="$(PYTHON)" sh tools/make_venv.sh $(VENV)

clean:
	rm -rf $(VENV) build dist site fastcnn.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	rm -f fastcnn/_ext/*.so
	find . -name __pycache__ -prune -exec rm -rf {} +
