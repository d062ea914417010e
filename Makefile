# Every verb works on a fresh clone. PYTHON is the interpreter that the environment is made of.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/installed
RELEASING := $(VENV)/releasing
KERNELS := $(wildcard ext/idpbuilder/native/*.p*)

.PHONY: venv demo test lint cov faults fuzz soak bench bench-long docs wheel reproducible sbom wheels
.PHONY: changelog release site clean

venv: $(INSTALLED)

# a kernel that no longer compiles must not be hidden by one that did
$(INSTALLED): pyproject.toml setup.py $(KERNELS)
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	rm -f src/idpbuilder/native/*.so
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

demo: venv
	$(BIN)/python tests/demo.py

test: venv
	if [ "$$CI" = true ]; then sh tests/real/install.sh; fi
	$(BIN)/python -m pytest

lint: venv
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	PATH=$(CURDIR)/$(BIN):$$PATH cython-lint ext

# the traced kernels are slow: the next verb builds plain ones again
cov: venv
	rm -f $(INSTALLED) .coverage.* src/idpbuilder/native/*.so
	IDPBUILDER_TRACE_CYTHON=1 $(BIN)/python -m pip install --quiet --editable .
	$(BIN)/coverage run -m pytest
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

# the three long runs; each says by its exit code whether it found anything
# every fault at every request of a push, its places drawn anew: half an hour
faults: venv
	$(BIN)/python -m tests.faults

# a million inputs for each reader, or as many as SECONDS allow for each: three hours without
fuzz: venv
	$(BIN)/python -m tests.fuzz $(if $(SECONDS),--seconds $(SECONDS))

# pushes in one process, runs with faults, runs that are killed: ten minutes
soak: venv
	$(BIN)/python -m tests.soak

# beside the peers, in about three minutes; ROWS="small-far start-up" for some rows alone
bench: venv
	$(BIN)/python -m bench $(if $(LONG),--long) $(ROWS)

# everything, for a release
bench-long:
	$(MAKE) bench LONG=1

# the pages, completions and manual that repeat what the code says
docs: venv
	$(BIN)/python docs/generate.py
	$(BIN)/python packaging/generate.py

# the pages as a site, in build/site
site: docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

# archives are as old as the commit that they are made of; zip knows no time before 1980
wheel reproducible: export SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct 2>/dev/null || echo 315532800)

# what is shipped must install where nothing else is, run, and bring its kernels
wheel: venv
	rm -rf dist build/proof
	$(BIN)/python -m build --outdir dist .
	set -e; \
	kernels="import idpbuilder.native as native; print('compiled:', native.COMPILED)"; \
	for kind in whl tar.gz; do \
		$(PYTHON) -m venv --clear build/proof; \
		build/proof/bin/python -m pip install --quiet dist/*.$$kind; \
		build/proof/bin/idpbuilder --version; \
		build/proof/bin/idpbuilder-push --version; \
		test "$$(build/proof/bin/python -c "$$kernels")" = "$$($(BIN)/python -c "$$kernels")"; \
	done

# two builds in two folders, by two users as it were, give the same bytes
reproducible: venv
	$(BIN)/python packaging/rebuild.py

# what an installation of the wheel brings along, written by what was installed
sbom: wheel
	build/proof/bin/python packaging/sbom.py > dist/idpbuilder-push.cdx.json

# for every Python on this kind of machine: on Linux in containers, for glibc and musl
wheels: $(RELEASING)
	rm -rf dist
	$(BIN)/cibuildwheel --output-dir dist

$(RELEASING): $(INSTALLED)
	$(BIN)/python -m pip install --quiet --editable '.[dev,release]'
	touch $@

# the fragments of changelog.d become the part of CHANGELOG.md for this version
changelog: $(RELEASING)
	$(BIN)/towncrier build --yes

# the checklist of a release; it publishes nothing, and says what is left to type
release: $(RELEASING)
	$(BIN)/python packaging/release.py --check
	$(MAKE) lint
	$(MAKE) test
	$(MAKE) reproducible
	$(MAKE) sbom
	$(BIN)/twine check --strict dist/*.whl dist/*.tar.gz
	$(BIN)/python packaging/release.py --tell

clean:
	rm -rf $(VENV) build dist htmlcov .coverage* .mypy_cache .ruff_cache .pytest_cache .hypothesis
	rm -rf src/*.egg-info src/idpbuilder/native/*.so ext/idpbuilder/native/*.c
	find src tests bench ext -name __pycache__ -prune -exec rm -rf {} +
