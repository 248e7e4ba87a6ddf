# Every target sets up what it needs in a virtual environment of the project's own: Python 3.11 and make are enough.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
DEMO := demo_output

.PHONY: demo check unit test test-networks test-programs test-reference test-slow test-all test-lowest lint types stub bench clean

# The main job on real data: train, export, measure. Pictures and files land in demo_output/.
demo: $(VENV)/demo.stamp
	@mkdir -p $(DEMO)
	@$(BIN)/python examples/digits.py --output $(DEMO) --report 2>$(DEMO)/log.txt || { tail -n 30 $(DEMO)/log.txt; exit 1; }

# tests/tiers.py lists the tiers: unit, networks, export, programs, reference. A test of any tier can be slow.
PYTEST := $(BIN)/pytest -n 2 --dist worksteal

# What must pass before a commit.
check: lint types unit

unit: $(VENV)/test.stamp
	$(PYTEST) -m "unit and not slow"

test: $(VENV)/test.stamp
	$(PYTEST) -m "(unit or export) and not slow"

# Whole networks. Layers and networks run on every backend; exports need TensorFlow. JAX compiles each operation for each
# shape, so only layers and narrow networks run on JAX here. `make test-slow` runs all networks on JAX.
# (tests/models/test_backends.py compares a network of every family on both backends.)
ON_JAX := tests/layers tests/models/test_family_contract.py
ALL_ON_JAX := tests/layers tests/models tests/excitation tests/weights/test_assign.py tests/weights/test_keras_files.py
NOT_ON_JAX := families/test_counts.py test_backends.py test_keras_applications.py
test-networks: $(VENV)/test.stamp
	$(PYTEST) -m "networks and not slow"
	KERAS_BACKEND=jax $(PYTEST) -m "(unit or networks) and not slow" $(ON_JAX)

# Examples, benchmarks, the snippets of the docs, and other tests that run whole programs.
test-programs: $(VENV)/test.stamp
	$(PYTEST) -m "programs and not slow"

# With timm, PyTorch, OpenVINO, Vela and LiteRT for Microcontrollers, and with the Arm compiler where it is installed.
test-reference: $(VENV)/reference.stamp
	$(PYTEST) -m "reference and not slow"

# On JAX, tests that are not marked slow run here, too.
test-slow: $(VENV)/reference.stamp
	$(PYTEST) -m slow
	KERAS_BACKEND=jax $(PYTEST) -m "not reference" $(ALL_ON_JAX) $(addprefix --ignore=tests/models/,$(NOT_ON_JAX))

test-all: test test-networks test-programs test-reference test-slow

# With the oldest versions that setup.py admits; their own warnings are no errors here.
LOWEST := tests/layers tests/weights tests/export tests/cli
test-lowest:
	test -x .venv-lowest/bin/python || $(PYTHON) -m venv .venv-lowest
	.venv-lowest/bin/pip install --quiet --disable-pip-version-check --constraint tests/lowest.txt --editable '.[test,ethos-u]'
	.venv-lowest/bin/pytest -n 2 -m "not slow and not reference" -o filterwarnings=default $(LOWEST)
	.venv-lowest/bin/pytest -n 2 -m "not slow" -o filterwarnings=default tests/export/targets

lint: $(VENV)/test.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/test.stamp
	$(BIN)/mypy keras_se

# Writes the signatures of the builders, for editors and mypy. Run it after changing a signature.
stub: $(VENV)/test.stamp
	PYTHONPATH=. $(BIN)/python tools/write_stub.py

bench: $(VENV)/demo.stamp
	$(BIN)/python benchmarks/run_all.py

$(VENV)/%.stamp: setup.py pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[$*]'
	@touch $@

clean:
	rm -rf $(VENV) .venv-lowest .cache build *.egg-info $(DEMO)
