# All commands run in a virtual environment that these rules make and look after; `make` alone lists them.
# PYTHON is the interpreter that the environment is made with; ARGS is handed to the program that runs.

PYTHON ?= python3
ARGS ?=
VENV := .venv

python := $(VENV)/bin/python
pip := -m pip install --quiet --disable-pip-version-check

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo test test-all test-minimum lint format bench fuzz examples docs clean unusable

help:  ## list these commands
	@echo 'usage: make COMMAND [PYTHON=python3.12] [ARGS="..."]'
	@sed -n 's/^\([a-z-]*\):.*##  *\(.*\)/\1|\2/p' Makefile | awk -F'|' '{ printf "  %-14s%s\n", $$1, $$2 }'

demo: $(VENV)/cli.stamp  ## fit Old Faithful: a summary, and a picture, a report and a model file in demo-output
	@$(python) -m mixtura demo --out demo-output $(ARGS)

test: $(VENV)/dev.stamp  ## run the tests but the slow ones on all cores; ARGS="-k io" chooses some, "-n 0" stays in one process
	@$(python) -m pytest -n auto --dist worksteal -m 'not slow' $(ARGS)

test-all: $(VENV)/dev.stamp  ## run all tests
	@$(python) -m pytest -n auto --dist worksteal $(ARGS)

test-minimum:  ## run the tests on the oldest dependencies that pyproject.toml admits
	@$(MAKE) --no-print-directory VENV=.venv-minimum .venv-minimum/minimum.stamp
	@.venv-minimum/bin/python -m pytest -n auto --dist worksteal $(ARGS)

lint: $(VENV)/dev.stamp  ## check code, format and types
	@$(python) -m ruff check .
	@$(python) -m ruff format --check .
	@$(python) -m mypy --strict src

format: $(VENV)/dev.stamp  ## format the code, and mend what the linter can mend
	@$(python) -m ruff check --fix-only .
	@$(python) -m ruff format .

# A choice of OpenBLAS kernel that is inherited from the surroundings is seldom the best one for the processor.
bench: $(VENV)/dev.stamp  ## time passes and their memory beside scikit-learn, oneDAL and mclust
	@env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE $(python) benchmarks/compare.py $(ARGS)

fuzz: $(VENV)/dev.stamp  ## fit awkward data until something breaks; ARGS="--seconds 60 --seed 0"
	@OPENBLAS_NUM_THREADS=1 $(python) tests/fuzz.py $(ARGS)

examples: $(VENV)/dev.stamp  ## run the examples one after the other
	@set -e; for example in examples/[0-9]*.py; do echo "== $$example"; $(python) "$$example"; done

docs: $(VENV)/dev.stamp  ## build the documentation into build/docs; its warnings are errors
	@$(python) -m sphinx -j auto -W --keep-going -q -d build/docs-doctrees docs build/docs $(ARGS)
	@echo 'open build/docs/index.html'

clean:  ## remove the environments and all that was made in them
	rm -rf .venv .venv-minimum demo-output example-output build dist docs/gallery docs/_api src/*.egg-info
	rm -rf .hypothesis tests/.hypothesis .mypy_cache .pytest_cache .ruff_cache
	find src tests examples benchmarks docs -name __pycache__ -type d -prune -exec rm -rf {} +

# The environment
#
# A stamp is written when an installation is complete and holds the folder it was made in. An environment without a
# stamp (it was cut off), with that of another folder (it was copied) or without a working Python is made anew.

found := $(shell $(python) -c 'import glob, os, pip; \
	print({os.getcwd()} == {open(name).read().strip() for name in glob.glob("$(VENV)/*.stamp")})' 2>/dev/null)
ifneq ($(found),True)
remake := unusable
endif

# Some systems ship venv without the pip that it would put inside: then the pip outside does it.
define environment
@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	version=$$($(PYTHON) --version 2>&1) || version='not to be found'; \
	echo "mixtura needs Python 3.11 or newer, but $(PYTHON) is $$version: name another with" \
	"make PYTHON=python3.11" >&2; exit 1; }
@echo 'installing into $(VENV); later runs skip this'
$(if $(remake),@rm -rf $(VENV))
$(if $(remake),@$(PYTHON) -m venv $(VENV) >/dev/null 2>&1 || { \
	$(PYTHON) -m venv --clear --without-pip $(VENV) && $(PYTHON) -m pip --python $(python) install --quiet pip; })
@rm -f $(VENV)/*.stamp
endef

$(VENV)/cli.stamp: pyproject.toml $(remake)
	$(environment)
	@$(python) $(pip) --editable '.[cli]'
	@pwd -P > $@

# What the tests need includes what the commands need.
$(VENV)/dev.stamp: pyproject.toml $(remake)
	$(environment)
	@$(python) $(pip) --editable '.[all,dev]'
	@pwd -P | tee $(VENV)/cli.stamp > $@

oldest := import tomllib; project = tomllib.load(open("pyproject.toml", "rb"))["project"]; \
	extras = project["optional-dependencies"]; \
	print(*(one.replace(">=", "==") for one in project["dependencies"] + sum(extras.values(), []) if ">=" in one))

# The oldest matplotlib warns when it meets a pyparsing that is much newer.
$(VENV)/minimum.stamp: pyproject.toml $(remake)
	$(environment)
	@$(python) $(pip) --editable '.[all,dev]' $$($(python) -c '$(oldest)') 'pyparsing<3.3'
	@pwd -P > $@
