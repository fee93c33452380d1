PYTHON ?= python3
ARGS ?=
BIN := .venv/bin
READY := .venv/.installed
BENCH_READY := .venv/.installed-bench
SPARK := .venv-spark
FONTS := fonts-dejavu-core fonts-liberation
apt_install := DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends

.DEFAULT_GOAL := help
.PHONY: help demo test coverage needs lint format wheel-check bench torture cluster

help: ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 22

demo: $(READY) ## serve the demo: a small product with the SDK inside
	$(BIN)/nudge demo $(ARGS)

test: needs ## run the tests, two parts at a time; some of them: make test ARGS="-k journal"; with the wheel: WHEEL=1
	$(BIN)/python -m $(if $(ARGS),pytest $(ARGS),tests.run $(if $(WHEEL),--wheel))

coverage: needs ## run the tests with branch coverage, which takes longer
	$(BIN)/python -m $(if $(ARGS),pytest $(ARGS) --cov,tests.run --cov)

needs: $(READY) ## see to what the tests need: Chromium and PostgreSQL's programs
	@$(BIN)/python -m tests.browser.chromium >/dev/null 2>&1 || $(install_chromium)
	@$(BIN)/python -m tests.postgresql >/dev/null 2>&1 || $(install_postgresql)

lint: $(READY) ## ruff, its formatter in check mode, and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(READY) ## put the code into shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

wheel-check: needs ## build the wheel and try it outside the checkout
	$(BIN)/python -m tests.packaging.wheel_check

bench: $(BENCH_READY) ## measure, and write docs/speed.md; make bench ARGS="--only decide"
	$(BIN)/python -m tests.bench $(ARGS)

torture: $(READY) ## kill, stop and fill everything at random; make torture MINUTES=30, or ARGS="--away 120", ARGS="--soak 30"
	$(BIN)/python -m tests.torture $(if $(MINUTES),--minutes $(MINUTES)) $(ARGS)

cluster: $(SPARK)/.installed ## read an archive by a Spark cluster: a master and two workers on this machine
	@$(SPARK)/bin/python -m tests.cluster.spark >/dev/null || $(install_java)
	$(SPARK)/bin/python -m pytest tests/cluster $(ARGS)

$(READY): pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) was not found: install Python 3.11 or newer, or name one: make PYTHON=/path/to/python" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "$$($(PYTHON) --version) is too old: name Python 3.11 or newer: make PYTHON=/path/to/python" >&2; exit 1; }
	@test -x $(BIN)/pip || $(PYTHON) -m venv --clear .venv || { $(install_venv) && $(PYTHON) -m venv --clear .venv; }
	$(BIN)/python -m pip install --quiet -e '.[dev,admin]'
	@touch $@

$(BENCH_READY): $(READY)
	$(BIN)/python -m pip install --quiet -e '.[bench]'
	@touch $@

# pyspark asks for older packages than the others.
$(SPARK)/.installed: pyproject.toml
	@test -x $(SPARK)/bin/pip || $(PYTHON) -m venv --clear $(SPARK)
	$(SPARK)/bin/python -m pip install --quiet -e '.[spark,postgresql]' hypothesis 'psycopg[binary]' pytest pytest-timeout
	@touch $@

# Debian ships Python without the part of venv that installs pip.
define install_venv
{ test "$$(id -u)" = 0 && command -v apt-get >/dev/null \
  || { echo "$(PYTHON) cannot make virtual environments: install them (Debian: sudo apt-get install python3-venv) and try again" >&2; exit 1; }; \
  apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q python3-venv; }
endef

# The tests of pages open them in Chromium, and fail without one. An old Debian has none without windows.
# The fonts are for writing that is not Latin.
define install_chromium
{ test "$$(id -u)" = 0 && command -v apt-get >/dev/null && test -z "$$NUDGE_CHROMIUM" \
  && apt-get update -q \
  && { $(apt_install) chromium-headless-shell $(FONTS) || $(apt_install) chromium $(FONTS); }; \
  $(BIN)/python -m tests.browser.chromium >/dev/null; }
endef

# The tests run a server of their own, in a folder of their own; one that Debian starts is not asked for.
define install_postgresql
{ test "$$(id -u)" = 0 && command -v apt-get >/dev/null \
  && mkdir -p /etc/postgresql-common && echo "create_main_cluster = false" > /etc/postgresql-common/createcluster.conf \
  && apt-get update -q && $(apt_install) postgresql; \
  $(BIN)/python -m tests.postgresql >/dev/null; }
endef

# A cluster runs on Java.
define install_java
{ test "$$(id -u)" = 0 && command -v apt-get >/dev/null \
  && apt-get update -q && $(apt_install) openjdk-17-jre-headless; \
  $(SPARK)/bin/python -m tests.cluster.spark >/dev/null; }
endef
