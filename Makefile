# Two commands: `make study` goes from nothing to a submission, `make test` runs everything that must hold.
PYTHON ?= python3
BIN := .venv/bin
STUDY := part2-digits
BENCHMARKS := overhead training
TEST_PROCESSES ?= logical
# One more than there are cores: slow tests also wait, for timeouts and for processes that they killed.
SLOW_PROCESSES ?= $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1)

# Each study starts processes of its own, which read compiled code instead of compiling it again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: study test test-slow test-generated check replay bench lock clean

study: .venv/installed
	$(BIN)/orchestrate study part2 --trials 40 --dataset digits
	$(BIN)/orchestrate retrain-best $(STUDY)
	$(BIN)/orchestrate leaderboard $(STUDY)
	$(BIN)/orchestrate leaderboard $(STUDY) --format csv > runs/$(STUDY)/leaderboard.csv
	@echo
	@echo "submission    $$(ls -t runs/$(STUDY)/retrain/*/submission.csv | head -1)"
	@echo "leaderboard   runs/$(STUDY)/leaderboard.csv"
	@echo "run folders   runs/$(STUDY)/trials/ and runs/$(STUDY)/retrain/"
	@echo "W&B files     runs/$(STUDY)/wandb/ (upload: .venv/bin/wandb sync runs/$(STUDY)/wandb/offline-run-*)"
	@echo "Optuna        runs/optuna.db, the study $(STUDY)"

# The checks run beside the tests, and their output follows; it fails when any of them does. Each file of tests is a unit of work,
# in the order of collection: those that start whole studies come first, so that no long one is left for the end.
CHECKS := $(BIN)/ruff format --check . && $(BIN)/ruff check . && $(BIN)/mypy
PARALLEL := --dist loadfile --no-loadscope-reorder

test: .venv/installed
	@log=$$(mktemp); ($(CHECKS)) > $$log 2>&1 & checks=$$!; \
	$(BIN)/python -m pytest -n $(TEST_PROCESSES) $(PARALLEL); tests=$$?; \
	wait $$checks; failed=$$?; cat $$log; rm -f $$log; exit $$((tests ? tests : failed))

# What takes minutes: crashes at every named point, a full disk, a real database server.
test-slow: .venv/installed
	$(BIN)/python -m pytest -m slow -n $(SLOW_PROCESSES) $(PARALLEL)

# Generated inputs of another seed than those of the two above, and as many times more of them.
SEED ?= 1
TIMES ?= 10
test-generated: .venv/installed
	GENERATED_SEED=$(SEED) GENERATED_TIMES=$(TIMES) $(BIN)/python -m pytest -m slow tests/generated_inputs -n $(TEST_PROCESSES) --dist load

check: .venv/installed
	$(CHECKS)

# Judges the pruners on recorded learning curves; `make replay REPLAY="--pruners promote"` does it again for one of them.
replay: .venv/installed
	$(BIN)/python -m benchmarks.replay $(REPLAY)

# What orchestration costs and how fast the training loop is, on a machine that has nothing else to do, with CIFAR-100 in data/;
# `make bench BENCHMARKS=training BENCH="--only cnn --quick"` for a part of it. All are measured, also after a must was missed.
bench: .venv/installed
	@missed=0; for group in $(BENCHMARKS); do $(BIN)/python -m benchmarks.$$group $(BENCH) || missed=1; done; exit $$missed

# The environment is exactly what requirements.lock pins, every file checked by its hash.
.venv/installed: requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed: make PYTHON=python3.12 ..." if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv .venv
	@echo "installing into .venv: several GB, a few minutes"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

# Renew the lock. It names packages and hashes, no addresses.
lock: .venv/installed
	$(BIN)/uv pip compile --quiet --universal --upgrade --python-version 3.11 --generate-hashes --no-header \
	    --all-extras --group dev --output-file requirements.lock pyproject.toml

clean:
	rm -rf .venv build *.egg-info .mypy_cache .ruff_cache .pytest_cache
