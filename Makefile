# make demo   installs collidekit and runs the demo on the bundled sample
# make test   installs the test requirements and runs the tests
# make coverage runs the tests and fails if they reach less than 92 % of the lines
# make fuzz   tests unusual values and damaged files with new random numbers; SEED=number repeats a failure
# make remote also installs the packages for root://
#
# All targets use the current environment if collidekit is installed there (pip install -e .). Otherwise they create .venv.

PYTHON ?= $(shell python -c "import collidekit" 2>/dev/null && command -v python || echo .venv/bin/python)
WORKERS ?= 2
FOR_TESTS = nbclient ipykernel hist pytest xdist pytest_cov hypothesis pytest_timeout coffea pandas tensorboard vector zuko onnx onnxruntime optuna psycopg distributed dask_jobqueue

.PHONY: demo test coverage fuzz lint docs setup remote clean

demo: setup
	$(PYTHON) -m collidekit demo

test: setup
	$(PYTHON) -c "import sys; from importlib.util import find_spec; sys.exit(not all(map(find_spec, '$(FOR_TESTS)'.split())))" \
	  || $(PYTHON) -m pip install --quiet --group test
	$(PYTHON) -m pytest -n $(WORKERS) --dist loadscope $(COVERAGE) $(TESTS)

coverage:
	$(MAKE) test COVERAGE="--cov=collidekit --cov-report=term:skip-covered --cov-fail-under=92"

SEED ?= $(shell date +%s)

fuzz: setup
	@echo "repeat with: make fuzz SEED=$(SEED)"
	COLLIDEKIT_FUZZ_SEED=$(SEED) $(PYTHON) -m pytest -n $(WORKERS) --dist loadscope tests/fuzz

lint: setup
	$(PYTHON) -c "import ruff, mypy" 2>/dev/null || $(PYTHON) -m pip install --quiet --group dev
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m mypy
	MYPYPATH=src $(PYTHON) -m mypy --config-file= --ignore-missing-imports benchmarks

docs: setup
	$(PYTHON) -m pip install --quiet --group docs
	$(PYTHON) -m mkdocs build --strict

remote: setup
	$(PYTHON) -m pip install --quiet -e ".[remote]"

setup: $(if $(filter .venv/bin/python,$(PYTHON)),.venv/.complete)

.venv/.complete: pyproject.toml
	python3 -c "import sys; sys.exit(sys.version_info < (3, 11))" || (echo "collidekit needs Python 3.11 or newer" && false)
	python3 -m venv .venv
	.venv/bin/python -m pip install --quiet --upgrade "pip>=25.1"
	@# the CPU build first: it is small, and every later requirement on torch is content with it
	.venv/bin/python -c "import torch" 2>/dev/null || .venv/bin/python -m pip install --quiet torch==2.13.0
	.venv/bin/python -m pip install --quiet -e ".[simulate,dask,coffea,tensorboard,pandas]" --group test
	touch $@

clean:
	rm -rf .venv results site build dist .pytest_cache .mypy_cache .ruff_cache .nox
