# Needs Python 3.11 or newer, make and a package index. Every target makes its own .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
READY := $(VENV)/.ready
# Scenarios start some hundred daemons: where Python is told to keep no bytecode, each compiles all that it imports, 0.5 s.
unexport PYTHONDONTWRITEBYTECODE
SPU_PYTHON ?= $(WATTSCORE_BENCH_SPU_PYTHON)

.PHONY: setup demo demo-banks test coverage part-end-to-end part-alone part-kill part-scenarios part-stages part-common part-learn part-units part-tables test-containers test-ray check protos bench bench-full bundle lock clean

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed; set PYTHON=...") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[serve]'
	touch $(INSTALLED)

$(READY): $(INSTALLED)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $(READY)

setup: $(READY)  ## make .venv with everything in it

demo: $(INSTALLED)  ## from synthetic dirty records to a report and decisions, into demo-out/; installs no tool for tests
	$(BIN)/wattscore demo --out demo-out

demo-banks: $(INSTALLED)  ## one grid and three banks of different overdue rates: one model of all, into demo-banks-out/
	$(BIN)/wattscore demo-banks --out demo-banks-out

# Three parts at a time more than two processors take, those first that wait much of the time, for daemons and for each other's kills.
# Whichever ends makes room for the next, and the last ones are short, so that no part ends alone.
AT_ONCE ?= 5
PARTS := part-kill part-scenarios part-end-to-end part-alone part-learn part-stages part-common part-units part-tables

test: $(READY)  ## all tests that need no container engine
	$(MAKE) --jobs $(AT_ONCE) --keep-going RUN="-m pytest" $(PARTS)

coverage: $(READY)  ## the same and what `--thorough` adds, under coverage.py: which lines tests in process reach; fails below the floors
	$(BIN)/python -m coverage erase
	$(MAKE) --jobs $(AT_ONCE) --keep-going RUN="-m coverage run --parallel-mode -m pytest --thorough" $(PARTS)
	$(BIN)/python -m coverage combine --quiet
	$(BIN)/python -m coverage report
	for room in mpc learn wire home; do \
	  echo "common/$$room $$($(BIN)/python -m coverage report --format total --include "common/$$room/*") %"; \
	  $(BIN)/python -m coverage report --format total --fail-under 90 --include "common/$$room/*" > /dev/null || exit 1; \
	done

LEARN := tests/common/learn
TABLES := tests/common/features tests/common/records tests/common/rows
# Of those from end to end, the ones that start daemons of their own, as a user does or of several banks.
ALONE := $(patsubst %,tests/scenarios/end_to_end/test_%.py,banks_alone several several_network several_trees demo try notebook pages uci uci_recipes)
STAGES := $(addprefix tests/common/,stages report trial console)
# Each keeps its own word of what failed. What fails while other parts compute is run once more, and both outcomes are printed: a
# race is still to be mended, a fault fails twice.
PYTEST = $(BIN)/python $(RUN) -m "not containers" -o cache_dir=.pytest_cache/$@ $(WHAT)
ONCE_MORE = || { [ $$? = 1 ] && echo "$@: what failed, once more" && $(PYTEST) --last-failed --last-failed-no-failures none; }

part-end-to-end: WHAT = tests/scenarios/end_to_end $(addprefix --ignore ,$(ALONE))
part-alone: WHAT = $(ALONE)
part-kill: WHAT = tests/scenarios/kill
part-scenarios: WHAT = tests/scenarios $(addprefix --ignore tests/scenarios/,end_to_end kill)
part-common: WHAT = tests/common $(addprefix --ignore ,$(LEARN) $(TABLES) $(STAGES))
part-stages: WHAT = $(STAGES)
part-learn: WHAT = $(LEARN)
part-units: WHAT = tests $(addprefix --ignore ,tests/scenarios tests/common tests/test_names.py)
part-tables: WHAT = $(TABLES)

# What `make check` has in any case is not among them: the names in tests.
# So many at a time on two processors: threads of linear algebra that wait for each other would hold up the other parts.
$(PARTS): export OPENBLAS_NUM_THREADS = 1
$(PARTS): $(READY)
	$(PYTEST) $(ONCE_MORE)

test-containers: $(READY)  ## the image and the demo in containers, on a running engine with Compose
	$(BIN)/python -m pytest -m containers tests/deploy

test-ray: $(READY)  ## features by two Ray nodes of this machine: root, Linux, iproute2; installs the extra, some 300 MB
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[ray]'
	$(BIN)/python -m pytest tests/scenarios/ray

check: $(READY)  ## style, types, imports, names in tests, stubs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest tests/test_imports.py tests/test_names.py
	$(BIN)/python -m common.wire.protos --check

protos: $(READY)  ## write the stubs in common/wire from protos/
	$(BIN)/python -m common.wire.protos

bench: $(READY)  ## a few minutes of measurements into bench-out/
	WATTSCORE_BENCH_SPU_PYTHON=$(SPU_PYTHON) $(BIN)/python -m tests.bench

bench-full: $(READY)  ## the large sizes too: long, and what does not fit the memory is left out
	WATTSCORE_BENCH_SPU_PYTHON=$(SPU_PYTHON) $(BIN)/python -m tests.bench full

bundle: $(INSTALLED)  ## bundle-out/: wheels of all that runs, with hashes, for machines like this one that reach no index
	rm -rf bundle-out build  # what an earlier build left there would go into the wheel
	$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir bundle-out .
	rm -rf build
	$(BIN)/python -m pip download --quiet --only-binary :all: -c constraints.txt --dest bundle-out "$$(ls bundle-out/wattscore-*.whl)[excel,serve,otel]"
	$(BIN)/python deploy/offline/requirements.py bundle-out > bundle-out/requirements.txt

lock: $(READY)  ## write constraints.txt from what is installed
	$(BIN)/python -m pip freeze --exclude-editable $(addprefix --exclude ,ray filelock msgpack) > constraints.txt  # `make test-ray` adds them

clean:
	rm -rf $(VENV) demo-out demo-banks-out bench-out bundle-out .coverage .coverage.*
