# Two commands matter: `make demo` and `make test`. Each sets up what it needs in .venv, with Python 3.11 or newer.

PYTHON ?= $(shell for p in python3.14 python3.13 python3.12 python3.11 python3 python; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& { echo $$p; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
TESTS ?= tests
# Two for each core: a whole job waits for more than half of its time. Each worker reads all the tests first.
WORKERS ?= $(shell echo $$((2 * $$(nproc 2>/dev/null || echo 2))))
N ?= 10000
SEED ?= 1000

.PHONY: demo test crashes prove-service lint check format wheel clean print-python diagrams reference pictures soak rivals bench bench-smoke

demo: $(VENV)/.installed
	$(BIN)/astria-sync demo

test: export PYTHONDONTWRITEBYTECODE =  # each worker, and each process that a test starts, would compile everything anew
test: $(VENV)/.test
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(TESTS)

# Every kill point and every failing call, where `make test` takes a sample: an hour, and a table at the end.
# PART=kills (errors hooks strace storms disks) is one of them; SEED=n repeats the random kills of that seed.
crashes: $(VENV)/.test
	$(BIN)/python -m tests.crashes all --workers $(WORKERS) --seed $(SEED) \
		$(if $(PART),$(foreach part,$(PART),--part $(part)),--figures docs/figures.json)

# The service on a real systemd: a Debian is booted in a container (as root; some minutes the first time), and a person installs it
# there, uses it and breaks it. Where that cannot be it says why. ARGS=--write has docs/service.md tell what the probes found.
prove-service: $(VENV)/.test
	$(BIN)/python -m tests.container $(ARGS)

lint: $(VENV)/.lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

check: lint test

format: $(VENV)/.lint
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

wheel: $(VENV)/.installed
	rm -rf dist
	$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir dist .

$(VENV)/.installed: pyproject.toml
	@test -n "$(PYTHON)" || { echo "astria-sync needs Python 3.11 or newer with venv; install it (Debian: apt install python3-venv) and run make again." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/.test: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --group test
	@touch $@

$(VENV)/.lint: $(VENV)/.test
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --group lint
	@touch $@

print-python:
	@echo $(PYTHON)

soak: $(VENV)/.test  # N schedules of the simulation, from SEED on; a failing one is told as the command that plays it again
	$(BIN)/python -m tests.simulation $(SEED) --soak $(N) --workers $(shell nproc)

rivals: $(VENV)/.test  # how CLIENT stands trouble ("python3 path/to/astria", or a line with {text} {output}); without it astria-sync itself
	$(BIN)/python -m tests.rivals --client '$(CLIENT)'

clean:
	rm -rf $(VENV) dist build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

reference: $(VENV)/.installed  # docs/reference.md and the man page, from the code
	$(BIN)/python -m tests.reference docs/reference.md
	$(BIN)/python -m tests.manpage docs/astria-sync.1

diagrams: $(VENV)/.installed
	$(BIN)/python -m tests.diagrams docs/design.md

pictures: $(VENV)/.test  # of the live view, for the documents
	$(BIN)/python -m tests.pictures docs/pictures

# Measured beside find, curl, aria2c, rclone, inotifywait and nginx (apt install aria2 curl inotify-tools nginx-light openssl rclone): half an
# hour on a quiet machine. ONLY="idle start" are these alone. Writes docs/performance.md, and fails on nothing.
bench: $(VENV)/.installed
	-$(BIN)/python -m benchmarks $(ONLY) $(if $(ROUNDS),--rounds $(ROUNDS))

bench-smoke: $(VENV)/.installed  # that each of them works: tiny, and nothing is written
	$(BIN)/python -m benchmarks --smoke
