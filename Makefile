# Every target works in a clone with a virtual environment active; `make install` fills it.
.PHONY: install test lint types layers check ci lower-bounds constraints coverage wheel docs site images clean

PYTHON ?= python3.11
SCRATCH := $(shell mktemp -u -d)

install:
	pip install -c constraints.txt -e '.[dev]'

test:
	pytest -n 2

lint:
	ruff check
	ruff format --check

types:
	mypy --platform linux
	mypy --platform win32
	mypy --platform darwin

layers:
	lint-imports

check: lint types layers test

ci:
	.ci/run

coverage:
	coverage run -m pytest
	coverage report

wheel:
	python -m build

docs:
	python docs/generate_cli.py

site:
	pip install -q -e '.[docs]'
	mkdocs build --strict

# The pictures of README.md; the report's needs Chromium.
images:
	python docs/make_images.py

# The oldest versions that pyproject.toml admits, on the default suite; docs/decisions/lower-bounds.md tells what it found.
# torch keeps its pin unless TORCH is given: other versions of its CUDA build are gigabytes.
TORCH ?= $(shell sed -n 's/^torch==//p' constraints.txt)
lower-bounds:
	$(PYTHON) -m venv $(SCRATCH)
	sed -n '/^dependencies = \[/,/^\]/s/^ *"\(.*\)>=\(.*\)",/\1==\2/p' pyproject.toml | sed 's/^torch==.*/torch==$(TORCH)/' > $(SCRATCH)/lower.txt
	$(SCRATCH)/bin/pip install -q -c $(SCRATCH)/lower.txt -e '.[test]'
	$(SCRATCH)/bin/pip freeze | grep -i -E "$$(sed 's/==.*//' $(SCRATCH)/lower.txt | paste -sd '|')"
	$(SCRATCH)/bin/pytest -W default
	rm -rf $(SCRATCH)

# A fresh resolution of the newest versions, written as pins without a build's local suffix (2.13.0+cpu).
# Triton has no pin: each CUDA build of torch demands a version of its own.
constraints:
	$(PYTHON) -m venv $(SCRATCH)
	$(SCRATCH)/bin/pip install -q '.[dev]'
	head -2 constraints.txt > $(SCRATCH)/new.txt
	$(SCRATCH)/bin/pip freeze --all | grep '==' | grep -v -i -E '^(pip|triton|xrfm-cli)==' | sed 's/+.*//' | sort -f >> $(SCRATCH)/new.txt
	mv $(SCRATCH)/new.txt constraints.txt
	rm -rf $(SCRATCH)

clean:
	rm -rf build dist site *.egg-info .pytest_cache .hypothesis .mypy_cache .ruff_cache .import_linter_cache .coverage
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
