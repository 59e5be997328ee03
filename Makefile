# Python 3.11 or newer and make are enough: every target sets up what it needs.
PYTHON ?= python3
VENV = .venv
ARGS =
PORT ?= 5000
EVENTS ?= 100000
INPUTS ?= 1000000

RUN = $(VENV)/bin/python -m

.PHONY: help venv test bench demo demo-script fuzz lint audit docs build clean load bench-servers

help:  ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

venv: $(VENV)/bin/pip  ## Make the virtual environment that the other targets use

test: $(VENV)/.has-test  ## Run the tests; pytest's arguments go in ARGS
	@$(RUN) pytest $(ARGS)

bench: $(VENV)/.has-test  ## Measure what an event costs, and hold it against the goals
	@$(RUN) tests.benchmarks $(ARGS)

bench-servers: $(VENV)/.has-test  ## Load the app behind real servers, and hold it against the references and a peer
	@$(RUN) tests.benchmarks.end_to_end $(ARGS)

load: $(VENV)/.has-test  ## Send many events to a real server, also while its workers are killed; their number in EVENTS
	@WEBPUBSUB_LOAD_EVENTS=$(EVENTS) $(RUN) pytest tests/faults/test_load.py tests/faults/test_killed_workers.py $(ARGS)

fuzz: $(VENV)/.has-fuzz  ## Try hostile input on everything, on all cores; how much goes in INPUTS
	@$(RUN) tests.fuzz $(INPUTS) $(ARGS)

demo: $(VENV)/.has-demo  ## Chat in the browser: the sample app and a local service; Ctrl-C ends it
	@echo "Open http://127.0.0.1:$(PORT) in two windows, and chat. Ctrl-C ends it."
	@exec $(RUN) flask --app sample_app webpubsub dev --port $(PORT)

demo-script: $(VENV)/.has-demo  ## Play a whole conversation with the sample app, and check its answers
	@$(RUN) sample_app.demo

lint: $(VENV)/.has-dev  ## Check style, format and types
	$(RUN) ruff check
	$(RUN) ruff format --check
	$(RUN) mypy

audit: $(VENV)/.has-dev  ## Ask what is known against the packages that are installed
	@$(RUN) tests.audit $(ARGS)

docs: $(VENV)/.has-docs  ## Build the documentation into docs/_build/html
	$(RUN) sphinx --quiet --fail-on-warning --keep-going --fresh-env docs docs/_build/html

build: $(VENV)/.has-dev  ## Build the sdist and the wheel into dist
	$(RUN) build

clean:  ## Remove everything that the other targets made
	rm -rf $(VENV) build dist docs/_build htmlcov *.egg-info .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Installed once for each extra, and again when the requirements change.
$(VENV)/.has-%: setup.cfg pyproject.toml | $(VENV)/bin/pip
	@echo "Installing flask_webpubsub[$*] into $(VENV) ..."
	@$(RUN) pip install -qq --disable-pip-version-check --editable '.[$*]'
	@touch $@

# pip comes last into a virtual environment: one without it is half-made, and made anew.
$(VENV)/bin/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo '$(PYTHON) is not Python 3.11 or newer: name one that is, as in "make test PYTHON=python3.12".' >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		$(PYTHON) -c 'import sys; print("$(PYTHON) cannot make virtual environments: on Debian and Ubuntu,", \
		"\"apt install python3.%d-venv\" (or python3-venv) adds what is missing." % sys.version_info[1])' >&2; exit 1; }
	@$(PYTHON) -m venv $(if $(wildcard $(VENV)/pyvenv.cfg),--clear) $(VENV)
