# Every target sets up what it needs in a virtual environment of the project's own: Python 3.11 and make are enough.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
DEMO := demo_output

.PHONY: demo test test-all test-lowest lint types stub bench clean

# The main job on real data: train, export, measure. Pictures and files land in demo_output/.
demo: $(VENV)/demo.stamp
	@mkdir -p $(DEMO)
	@$(BIN)/python examples/digits.py --output $(DEMO) --report 2>$(DEMO)/log.txt || { tail -n 30 $(DEMO)/log.txt; exit 1; }

# The layers and networks run on two backends; exports are TensorFlow's. What only counts weights and layers is the same
# on both, and what compares the backends needs to run once. Each run has the layers, and builds, trains, saves and runs
# the families that JAX compiles soon; with `test-all`, all of them, and weights are read and put into networks on both.
# (tests/models/test_backends.py runs a network of every family on both in any run.)
ON_JAX := tests/layers tests/models/test_builders.py
ALL_ON_JAX := tests/test_excitation.py tests/layers tests/models $(addprefix --ignore=tests/models/,test_counts.py test_backends.py test_imports.py)
ALL_ON_JAX += $(addprefix --ignore=tests/models/,test_timm.py test_keras_applications.py)
ALL_ON_JAX += tests/weights/test_assign.py tests/weights/test_keras_files.py
test: $(VENV)/test.stamp
	$(BIN)/pytest -n 2 -m "not slow"
	KERAS_BACKEND=jax $(BIN)/pytest -n 2 -m "not slow" $(ON_JAX)

test-all: $(VENV)/test.stamp
	$(BIN)/pytest -n 2
	KERAS_BACKEND=jax $(BIN)/pytest -n 2 $(ALL_ON_JAX)

# With the oldest versions that setup.py admits; their own warnings are no errors here.
test-lowest:
	test -x .venv-lowest/bin/python || $(PYTHON) -m venv .venv-lowest
	.venv-lowest/bin/pip install --quiet --disable-pip-version-check --constraint tests/lowest.txt --editable '.[test]'
	.venv-lowest/bin/pytest -n 2 -m "not slow" -o filterwarnings=default tests/layers tests/weights tests/export tests/test_cli.py

lint: $(VENV)/test.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# Of the package as it is installed: there export/ is keras_se/export/.
types: $(VENV)/test.stamp
	rm -rf .cache/types
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --target .cache/types .
	$(BIN)/mypy .cache/types/keras_se

# The signatures of the builders, for editors and mypy: after a change of one.
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
