# One target a journey; each makes the environment when it is missing.
# `make demo` and `make test` are all that most people need.

# The first Python on this machine that the kit runs on.
PYTHON ?= $(shell for p in python3.12 python3.13 python3.11 python3 python; do \
	$$p -c 'import sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
	>/dev/null 2>&1 && echo $$p && break; done)
VENV := .venv
RUN := $(VENV)/bin/python
SMOKE := build/smoke

.PHONY: demo test lint unit notebooks lab bench bench-floor bench-large test-browser \
	test-cluster refresh-outputs readme-pictures clean

$(VENV): $(VENV)/ready

$(VENV)/ready: pyproject.toml requirements.txt
	@test -n "$(PYTHON)" || { echo "make: no Python 3.11 to 3.13 found; install one, or say make PYTHON=/path/to/python"; exit 1; }
	@echo "Installing into $(VENV) with $(PYTHON): a few minutes, once."
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --upgrade pip
	$(RUN) -m pip install --quiet --constraint requirements.txt --editable '.[dev]'
	@touch $@

# Both tasks of the assignment, executed; says where everything is.
demo: $(VENV)/ready
	$(RUN) -m xray_helpers.demo

# What has to pass before a change is kept.
test: lint unit notebooks
	@echo "All passed. Not run here: make test-browser (a real JupyterLab in"
	@echo "Chromium) and make test-cluster (a real Grid Engine; as root on Debian)."

lint: $(VENV)/ready
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

unit: $(VENV)/ready
	$(RUN) -m pytest -n auto --maxprocesses 4 tests/unit

# Every notebook, small, in a real kernel; kept outputs are compared.
notebooks: $(VENV)/ready
	$(RUN) tests/notebooks/smoke.py $(SMOKE)
	XRAY_RUNS=$(SMOKE)/runs XRAY_CACHE=$(SMOKE)/cache $(RUN) -m pytest -p no:cacheprovider \
		--nbval-lax --nbval-current-env --nbval-cell-timeout=120 \
		--nbval-sanitize-with tests/notebooks/sanitize.cfg --durations=5 $(SMOKE)

# Write the outputs that `make notebooks` compares.
refresh-outputs: $(VENV)/ready
	$(RUN) tests/notebooks/refresh.py $(SMOKE)

lab: $(VENV)/ready
	$(VENV)/bin/jupyter lab notebooks/00_start_here.ipynb

# How much quicker the kit is, on this machine: most of an hour. Writes benchmarks/results.json,
# the chart and the README's table; do nothing else on the machine meanwhile.
bench: $(VENV)/ready
	$(RUN) benchmarks/speed.py --go-on

# Whether the generated pictures carry a shortcut.
bench-floor: $(VENV)/ready
	$(RUN) benchmarks/generated_floor.py

# Time and memory from 1,000 to 100,000 pictures: about a quarter of an hour.
bench-large: $(VENV)/ready
	$(RUN) benchmarks/large.py

test-browser: $(VENV)/ready
	$(RUN) -m pip install --quiet --constraint requirements.txt --editable '.[browser]'
	$(RUN) -m pytest tests/browser

# Sweeps on a real Grid Engine of one node, which is installed first: as root, on Debian.
test-cluster: $(VENV)/ready
	$(RUN) -m pytest tests/cluster

# The README's pictures, from the runs of `make demo` on generated pictures.
readme-pictures: $(VENV)/ready
	$(RUN) docs/pictures.py

clean:
	rm -rf build
