# Two commands do all: `make demo` and `make test`. Each makes its own environment first; a second run installs nothing.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV_VERSION := 0.13.9
UV := .uv/bin/uv
READY := $(VENV)/.ready
SOURCES := radar_metrics radar_tasks tests benchmarks examples packaging studies

# Without compiled modules every start of Python costs ten seconds more; some machines forbid writing them.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test families lowest fuzz soak check lock study browser clean

demo: $(READY)
	$(BIN)/radar demo

# Two workers, one thread each: the tests are many small models, which gain nothing from threads.
test: $(READY) browser
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile

# The long forms of what `make test` does in short: over 100,000 spoilt inputs; ten kills in a row and 10,000 questions.
fuzz: $(READY)
	RADAR_FUZZ=30 OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --timeout 7200 tests/fuzz tests/radar_tasks/sources tests/radar_tasks/store

soak: $(READY)
	RADAR_FUZZ=5 OMP_NUM_THREADS=1 $(BIN)/python -m pytest --timeout 1200 tests/faults/test_killed_scoring.py tests/faults/test_ranks.py
	RADAR_FUZZ=40 OMP_NUM_THREADS=1 $(BIN)/python -m pytest --timeout 36000 tests/faults/test_live_ranks.py -k random_faults
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/soak.py

# The oldest versions that pyproject.toml promises, installed and tested; `make lock` looks after the newest.
LOWEST := .venv-lowest
LOWEST_TESTS := tests/radar_metrics tests/radar_tasks/scoring/test_parity.py tests/radar_tasks/harness/test_in_process.py \
  tests/radar_tasks/results tests/radar_tasks/analysis tests/families

lowest: $(LOWEST)/.ready
	PATH="$(CURDIR)/$(LOWEST)/bin:$$PATH" OMP_NUM_THREADS=1 RADAR_FAMILIES=entries $(LOWEST)/bin/python -m pytest -n 2 --dist loadfile $(LOWEST_TESTS)

$(LOWEST)/.ready: pyproject.toml | $(UV)
	$(UV) venv --quiet --allow-existing --python $(PYTHON) $(LOWEST)
	$(UV) pip install --quiet --python $(LOWEST)/bin/python --resolution lowest-direct --group dev --editable .
	touch $@

# Every model family of transformers, scored every way against its own processor; goes on where it was stopped.
families: $(READY)
	PYTHONPATH=tests OMP_NUM_THREADS=1 $(BIN)/python -m families

check: $(READY)
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/mypy
	$(BIN)/python packaging/audit.py requirements.lock

lock: $(UV)
	$(UV) pip compile pyproject.toml --group dev --universal --python-version 3.10 --generate-hashes \
	  --no-annotate --no-header --no-emit-index-url --upgrade --quiet -o requirements.lock

$(UV):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
	  { echo "Python 3.10 or newer is needed; name one with: make PYTHON=python3.12 ..."; exit 1; }
	$(PYTHON) -m venv .uv
	.uv/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

$(READY): requirements.lock pyproject.toml | $(UV)
	$(UV) venv --quiet --allow-existing --python $(PYTHON) $(VENV)
	$(UV) pip sync --quiet --require-hashes --python $(BIN)/python requirements.lock
	$(UV) pip install --quiet --no-deps --no-build-isolation --python $(BIN)/python --editable .
	touch $@

# The development study: trains, scores, fine-tunes, makes the tables; two to three hours of two cores, goes on where it was
# stopped. QUICK=1 makes a tenth of it in minutes. What it left here is shipped in studies/tiny/results.
STUDY := $(if $(QUICK),study-quick,study)

study: $(READY)
	$(BIN)/python studies/tiny/study.py $(STUDY) $(if $(QUICK),--quick)

# The page is tested in a real browser. Where Chromium is missing and cannot be installed, those tests say so.
browser:
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || \
	  { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && \
	    apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y chromium >/dev/null; } || \
	  echo "Chromium is not installed and could not be: the tests of the page in a browser will be skipped."

clean:
	rm -rf $(VENV) $(LOWEST) .uv demo study study-quick dist build
