# Everything lands in .venv and in demo/; nothing of the machine's is touched, apart from Debian
# packages of the servers that `make test` starts (deploy/install-test-servers.sh).

VENV := .venv
BIN := $(VENV)/bin
# Tests that run at once. Each is one thread wide: see OMP_NUM_THREADS below.
WORKERS ?= 2
# With tests that wait for processes of their own most of the time.
WAITING_WORKERS ?= 6
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest

# The user's pair for `make demo`; read from the environment, so that names may hold spaces.
export ORTHO HEIGHT DTM

# Where it is set, every process that starts compiles all that it imports: PyTorch's 2,000 modules
# in 20 seconds instead of 8, and the demo and the tests start hundreds.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo serve test test-quick check lint types contracts unit acceptance slow soak gpu-check test-servers test-qgis qgis-plugin audit docs lock clean

help:  ## Show this list.
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

# ---- use ------------------------------------------------------------------------------------

demo: $(VENV)/.installed  ## The whole story on a synthetic town; on your pair: ORTHO=… HEIGHT=… [DTM=…].
	@$(BIN)/mfnet demo $${ORTHO:+"$$ORTHO"} $${HEIGHT:+"$$HEIGHT"} $${DTM:+--dtm "$$DTM"}

qgis-plugin:  ## Build the QGIS plugin: build/mfnet_qgis-VERSION.zip.
	@python3 deploy/qgis/build.py build

serve: $(VENV)/.installed-service  ## Keep the service running (API and one worker) until Ctrl-C.
	@$(BIN)/mfnet serve

# ---- checks ---------------------------------------------------------------------------------

test: test-servers $(VENV)/.installed-dev  ## Everything, with real Redis, PostgreSQL, QGIS and worker processes.
	@deploy/install-qgis.sh --behind
	@# What tests import is compiled here, beside the checks, and not by four processes at once.
	@$(PYTEST) --collect-only -q >/dev/null 2>&1 & \
		$(MAKE) --no-print-directory check; found=$$?; wait; exit $$found
	$(PYTEST) -n $(WAITING_WORKERS) --dist loadgroup -q -m "not slow and not soak"

check: lint types contracts  ## Lint, types, import contracts: half a minute.

# What needs no process, no training and no town.
QUICK := tests/model/raster tests/model/weights tests/model/test_classes.py tests/service/domain \
	tests/training/config tests/training/optim tests/training/tracking tests/test_interface.py \
	--ignore tests/model/raster/pairs/test_random_files.py \
	--ignore tests/model/raster/pairs/test_reported_pairs.py

test-quick: $(VENV)/.installed-dev  ## A minute of tests, for every day.
	$(PYTEST) -n $(WORKERS) -q -m "not acceptance and not slow and not soak" $(QUICK)

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed-dev
	$(BIN)/mypy

contracts: $(VENV)/.installed-dev
	$(BIN)/lint-imports

unit: $(VENV)/.installed-dev
	$(PYTEST) -n $(WORKERS) -q -m "not acceptance and not soak"

acceptance: $(VENV)/.installed-dev
	$(PYTEST) -n $(WAITING_WORKERS) --dist loadgroup -q -m "acceptance and not slow"

slow: $(VENV)/.installed-dev  ## What takes minutes and is left out of `make test`: more benchmarks, longer random tests.
	$(PYTEST) -q -m slow

soak: $(VENV)/.installed-dev  ## Hours: random files by the thousand, and every fault a hundred times; goes on where it was.
	$(PYTEST) -q -m soak
	$(BIN)/python benchmarks/faults.py

gpu-check: $(VENV)/.installed-dev  ## On a machine with a GPU: tests, speed and memory in eight minutes, one document.
	$(BIN)/python benchmarks/gpu_check.py

test-servers:
	@deploy/install-test-servers.sh

test-qgis: $(VENV)/.installed-dev  ## Of these the QGIS plugin's alone, in a real QGIS.
	@deploy/install-qgis.sh
	$(PYTEST) -q tests/qgis

audit: $(VENV)/.installed-dev  ## Bills of materials of the locks, and their known vulnerabilities: asks the internet.
	@deploy/audit.sh

# ---- documents ------------------------------------------------------------------------------

docs: $(VENV)/.installed-dev  ## Build the documentation site into build/site; every warning is an error.
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

# ---- installation ---------------------------------------------------------------------------

$(VENV)/.installed: requirements.lock pyproject.toml deploy/install.sh
	@deploy/install.sh requirements.lock
	@touch $@

# Each lock holds the one before it: requirements.lock, -service.lock, -train.lock, -dev.lock.
$(VENV)/.installed-service: requirements-service.lock pyproject.toml deploy/install.sh
	@deploy/install.sh requirements-service.lock
	@touch $@ $(VENV)/.installed

$(VENV)/.installed-dev: requirements-dev.lock requirements-servers.lock pyproject.toml deploy/install.sh
	@deploy/install.sh requirements-dev.lock
	@deploy/install.sh requirements-servers.lock
	@touch $@ $(VENV)/.installed $(VENV)/.installed-service

LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 \
	--generate-hashes --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock"
COMPILE := $(LOCK) pyproject.toml

lock:  ## Bring the locks in line with pyproject.toml; UPGRADE=1 also moves to newer versions.
	@test -x $(BIN)/uv || { echo "make lock needs uv in $(VENV): run make check once" >&2; exit 1; }
	$(COMPILE) $(if $(UPGRADE),--upgrade) -o requirements.lock
	$(COMPILE) $(if $(UPGRADE),--upgrade) --extra service -c requirements.lock -o requirements-service.lock
	$(COMPILE) $(if $(UPGRADE),--upgrade) --extra service --extra train -c requirements-service.lock -o requirements-train.lock
	$(COMPILE) $(if $(UPGRADE),--upgrade) --extra dev -c requirements-train.lock -o requirements-dev.lock
	$(LOCK) $(if $(UPGRADE),--upgrade) --group servers -o requirements-servers.lock

clean:  ## Remove the environment, the demo's files and the caches.
	rm -rf $(VENV) demo build *.egg-info .pytest_cache .hypothesis .mypy_cache .ruff_cache \
		.import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
