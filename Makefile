# make demo | test | test-cluster | lint | chaos | clean. All but the last build .venv when it is missing or out of date.
# Needs python3 (3.10 to 3.12) with venv, make and g++; no root. See docs/install.md.

PYTHON ?= python3
# Processes of the demo.
RANKS ?= 2

# What is built and run here must come from .venv, not from the caller's surroundings.
unexport PYTHONPATH PYTHONHOME VIRTUAL_ENV CONDA_PREFIX UV_NO_CONFIG UV_CONFIG_FILE
unexport MPI_HOME I_MPI_ROOT OPAL_PREFIX
# Without bytecode of its own TensorFlow takes twice as long to import, on every rank.
unexport PYTHONDONTWRITEBYTECODE
# Open MPI asks root for these two; nobody else is concerned.
export OMPI_ALLOW_RUN_AS_ROOT = 1
export OMPI_ALLOW_RUN_AS_ROOT_CONFIRM = 1

# uv brings certificates of its own; a network with another authority has it in the system's.
ifneq ($(wildcard /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt),)
export UV_SYSTEM_CERTS ?= 1
endif

UV_VERSION := uv>=0.13,<0.14
BIN := .venv/bin
LOG := .venv/build.log

.DEFAULT_GOAL := help
.PHONY: help demo test test-cluster lint chaos clean

help:
	@echo 'make demo    train a GAN on the digits with $(RANKS) processes and measure it (RANKS=N)'
	@echo 'make test    lint, then all tests, on 1 to 4 processes'
	@echo 'make test-cluster   tests on a Slurm cluster of three hosts on this machine; needs root'
	@echo 'make chaos   kill, damage and stop runs some thousand times, and count what is lost'
	@echo 'make lint    check format, style and types'
	@echo 'make clean   remove .venv and all that was made'
	@echo
	@echo 'The first of them, but clean, builds .venv, which takes some minutes.'
	@echo 'Another Python: make PYTHON=python3.11 (3.10 to 3.12), after make clean.'

# --- run -----------------------------------------------------------------------------------

# mpirun counts cores, not hardware threads: with fewer than ranks it must be told.
CPUS = $(shell { nproc; lscpu -p=CORE,SOCKET 2>/dev/null | grep -v '^\#' | sort -u | wc -l; } \
	| grep -v '^0' | sort -n | head -n 1)
OVERSUBSCRIBE = $(shell test '$(CPUS)' -ge '$(RANKS)' || echo ' --oversubscribe')

demo: export PATH := $(CURDIR)/$(BIN):$(PATH)
demo: .venv/ready
	mkdir -p demo && rm -rf demo/run
	hpcgan-data digits demo/digits.h5 --held-out 0.2
	mpirun -np $(RANKS)$(OVERSUBSCRIBE) hpcgan train digits \
		--data.files [demo/digits.h5] --run-dir demo/run
	mpirun -np $(RANKS)$(OVERSUBSCRIBE) python -m hpcgan.evaluation.digits demo/run \
		--real demo/digits.h5 --held-out demo/digits-held-out.h5

test: lint
	$(BIN)/python tests/run.py

# Needs root and Slurm's packages: slurm/testbed/testbed names them. Without them it skips.
test-cluster: .venv/ready
	$(BIN)/python tests/run.py cluster

# Takes about an hour; a shorter form is among the tests.
chaos: .venv/ready
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m tests.chaos

SCRIPTS := $(wildcard slurm/*.sbatch slurm/*.sh) $(addprefix slurm/testbed/,testbed host.sh) .ci/run

lint: .venv/ready
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	@if command -v shellcheck >/dev/null; then echo shellcheck -x $(SCRIPTS); shellcheck -x $(SCRIPTS); \
	elif [ -n "$$CI" ]; then echo 'shellcheck is missing: install shellcheck' >&2; exit 1; \
	else echo 'shellcheck is missing: $(SCRIPTS) were not checked'; fi

clean:
	rm -rf .venv demo build dist *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find . -name .git -prune -o -name __pycache__ -prune -exec rm -rf {} +

# --- build ---------------------------------------------------------------------------------

define CHECK
die() { echo "hpcgan: $$*" >&2; exit 1; }; \
case "$$(uname -sm)" in 'Linux x86_64') ;; \
*) die "this installation is for Linux on x86-64, and this is $$(uname -sm)" ;; esac; \
found=$$($(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) \
|| die 'no $(PYTHON) that runs: install Python 3.10, 3.11 or 3.12, or name one: make PYTHON=python3.11'; \
case "$$found" in 3.10|3.11|3.12) ;; \
*) die "Python 3.10, 3.11 or 3.12 is needed and $(PYTHON) is $$found; name another: make PYTHON=python3.11" ;; esac; \
$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
|| die "$(PYTHON) cannot make virtual environments: install python3-venv"; \
command -v $(firstword $(CXX)) >/dev/null \
|| die 'no $(firstword $(CXX)). Horovod is compiled on this machine: install g++'
endef

# Of uv's many lines: what it downloads, builds and installs, and the progress of the compiler.
define PROGRESS
sed -u -n -e 's|^DEBUG \(\[ *[0-9]*%\]\) Building CXX object .*/\([^/]*\)\.o$$|  \1 \2|p' \
-e '/^ *Building /p' -e '/^ *Built /p' -e '/^ *Downloading /p' \
-e '/^Resolved /p' -e '/^Prepared /p' -e '/^Installed /p'
endef

# $(call LOGGED,COMMAND): runs it, logs all, shows the progress, ends with its status.
define LOGGED
{ { $(1) 2>&1; echo $$? >.venv/status; } | tee -a $(LOG) | $(PROGRESS); \
test "$$(cat .venv/status)" = 0; } \
|| { grep -v '^DEBUG' $(LOG) | tail -n 40; echo 'hpcgan: the installation failed; all of it is in $(LOG)' >&2; exit 1; }
endef

# uv must be able to write its cache: where the home directory does not let it, use .venv.
define CACHE
cache=$$($(BIN)/uv cache dir) && mkdir -p "$$cache" 2>/dev/null && test -w "$$cache" \
|| export UV_CACHE_DIR='$(CURDIR)/.venv/cache'
endef

.venv/ready: setup.cfg pyproject.toml requirements.lock
	@$(CHECK)
	@echo 'Building .venv with $(PYTHON). Horovod is compiled: this takes some minutes.'
	@$(PYTHON) -m venv --clear .venv
	@$(call LOGGED,$(BIN)/python -m pip install --disable-pip-version-check '$(UV_VERSION)')
	@$(CACHE); $(call LOGGED,$(BIN)/uv -v pip install --python $(BIN)/python --compile-bytecode -r requirements.lock)
	@$(CACHE); $(call LOGGED,$(BIN)/uv pip install --python $(BIN)/python --no-deps -e .)
	@touch $@
