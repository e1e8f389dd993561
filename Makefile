# Each target prepares what it needs (scripts/setup); sudo is used only where you are not root.
#
#   make run     the UI on a private engine with the demonstration containers    make run ARGS="--read-only"
#   make test    all tests, including those on a real engine                     make test ARGS="tests/unit -k stop"
#   make test ENGINE=docker-26-containerd    the engine tests on another engine (tests/engines/matrix.py has the names)
#   make test-engines    the engine tests on all of those, as a table       make test-engines ARGS="docker-26 podman-5"
#   make mutants checks that tests notice faults in dangerous modules            make mutants ARGS="rootfs"
#   make lint    formatting, lint, types, import contracts, known vulnerabilities of the packages
#   make bench   times and memory, as a table
#   make fresh   both of the README's commands on minimal Debian systems         make fresh ARGS=trixie
#   make clean   remove what the targets made in this checkout

SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo -H)
PYTHON_BIN := .venv/bin/python
export PYTHONUNBUFFERED = 1

# Without a path in ARGS, ENGINE runs only the tests that need an engine.
ENGINE :=
ON_ENGINE = $(if $(ENGINE),--engine=$(ENGINE) $(if $(findstring tests/,$(ARGS)),,tests/engine))

.PHONY: run test test-engines mutants lint bench fresh clean

run:
	@scripts/setup run
	@$(SUDO) .venv/bin/containerlab-tui --lab $(ARGS)

test:
	@scripts/setup test
	@$(SUDO) $(PYTHON_BIN) -m pytest -n 2 --dist worksteal $(ON_ENGINE) $(ARGS)

test-engines:
	@scripts/setup test
	@$(SUDO) $(PYTHON_BIN) -m tests.engines.run $(ARGS)

mutants:
	@scripts/setup test
	@$(SUDO) $(PYTHON_BIN) -m tests.mutants.run $(ARGS)

lint:
	@scripts/setup test
	@$(PYTHON_BIN) -m ruff format --check .
	@$(PYTHON_BIN) -m ruff check .
	@$(PYTHON_BIN) -m mypy
	@.venv/bin/lint-imports --no-logo
	@.venv/bin/bandit --quiet --configfile pyproject.toml --recursive probes tui scripts bench 2>/dev/null
	@$(PYTHON_BIN) scripts/audit.py

bench:
	@scripts/setup test
	@$(SUDO) $(PYTHON_BIN) bench/run.py $(ARGS)

fresh:
	@scripts/setup test
	@$(SUDO) $(PYTHON_BIN) scripts/fresh.py $(ARGS)

clean:
	@scripts/clean
