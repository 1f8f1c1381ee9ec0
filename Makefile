# make demo    train LeNet on real digits and leave its pictures in out/lenet
# make test    everything but the slow tests, on all cores
# make test-numpy   the tests of meaning once more, on the target that needs nothing but NumPy
# make lint    ruff and mypy
# make bench   measure against PyTorch and JAX, where these are installed
#
# The first of them makes a virtual environment in .venv with all that is needed. To use another
# environment: make test PY=/path/to/python

VENV ?= .venv
PY ?= $(VENV)/bin/python
ARGS ?=

.PHONY: demo test test-numpy test-all test-gpu lint bench build clean env

ifeq ($(PY),$(VENV)/bin/python)
READY := $(VENV)/.ready
endif

env: $(READY)

demo: $(READY)
	$(PY) -m tinygraph demo lenet --out out/lenet $(ARGS)

test: $(READY)
	$(PY) -m pytest -n auto -q -m "not slow and not gpu" $(ARGS)

test-numpy: $(READY)
	TINYGRAPH_FLAGS=target=numpy $(PY) -m pytest -n auto -q -m "not slow and not gpu" tests/compile tests/scan \
	  tests/random tests/tensor/test_ops.py tests/tensor/test_index.py tests/tensor/nnet/test_abstract_conv.py \
	  tests/targets/numpy $(ARGS)

test-all: $(READY)
	$(PY) -m pytest -n auto -q -m "not gpu" $(ARGS)

test-gpu: $(READY)
	$(PY) -m pytest -q -m gpu $(ARGS)

lint: $(READY)
	$(PY) -m ruff check .
	$(PY) -m mypy

bench: $(READY)
	$(PY) -m tests.benchmarks $(ARGS)

build: $(READY)
	$(PY) -m build --outdir dist .

clean:
	rm -rf build dist out .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find tinygraph tests -name __pycache__ -type d -prune -exec rm -rf {} +

# The newest python from 3.11 up that starts; a shim that only prints an error does not count.
$(VENV)/.ready: pyproject.toml
	@for python in python3.13 python3.12 python3.11 python3.14 python3 python; do \
	  if $$python -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; \
	  then found=$$python; break; fi; \
	done; \
	if [ -z "$$found" ]; then echo "tinygraph needs Python 3.11 or newer, with venv and ensurepip" >&2; exit 1; fi; \
	test -x $(VENV)/bin/python || $$found -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -e ".[dev]"
	@touch $@
