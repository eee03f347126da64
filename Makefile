# Two commands: `make study` from nothing to a submission, `make test` everything that must hold.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: study test check lock clean

study: .venv/installed
	PATH="$(CURDIR)/$(BIN):$$PATH" sh benchmarks/../tools/study.sh

test: .venv/installed check
	$(BIN)/python -m pytest

check: .venv/installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

# The environment: exactly what requirements.lock pins, every file checked by its hash.
.venv/installed: requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; set PYTHON=...")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

# Renew the lock; it names packages and hashes, no addresses.
lock: .venv/installed
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url \
	    --group dev -o requirements.lock pyproject.toml

clean:
	rm -rf .venv build *.egg-info
