# The project in two commands: make book, make test. Others: check, lint, mutants, bench, pairs, figure, full, gpu, clean.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

# A colon would end the path in PATH and PYTHONPATH, and the book of another checkout might be built.
ifneq (,$(findstring :,$(CURDIR)))
$(error the path of the checkout must not contain a colon: $(CURDIR))
endif

# Warnings are errors, dangling references too; the build goes on to the end to show all of them.
BUILD := jupyter-book build book -W -n --keep-going

.PHONY: book check test mutants bench pairs figure full gpu lint scripts chromium clean

book: $(VENV)/.ready
	@# A failed build forgets what it read: a warning must be met again by the next build, not skipped as already read.
	@export PATH="$(abspath $(BIN)):$$PATH"; echo "$(BUILD)"; $(BUILD) || { rm -rf _build/.doctrees; exit 1; }

# Three processes of one thread on two cores, since many tests wait for a browser or another process. The tests of a
# module stay together, since they share what they train. Bytecode is kept, whatever the environment says: to compile the
# tests takes longer than most of them.
PYTEST := PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 3 --dist loadscope

# All tests that need no built book, except those marked slow: in about a minute and a half.
check: $(VENV)/.ready
	$(PYTEST) --ignore tests/book -m "not slow"

# All tests, fast ones first; the pages are built beside them, before they are tested (see tests/conftest.py).
test: $(VENV)/.ready chromium
	$(PYTEST) --no-loadscope-reorder

# Change the core in small ways, one at a time: each change should make one of the nearest tests fail. About ten minutes.
mutants: $(VENV)/.ready
	$(BIN)/python -m pip install --quiet --no-deps --requirement benchmarks/mutants.txt
	$(BIN)/mutmut run
	$(BIN)/mutmut results

# How fast the trainer is, beside its peers and the matrix products that none can do without.
bench: $(VENV)/.ready
	$(BIN)/python -m pip install --quiet --no-deps --requirement benchmarks/requirements.txt
	$(BIN)/python benchmarks/trainer.py

# Bring the notebooks beside the chapters up to date with their Markdown.
pairs: $(VENV)/.ready
	$(BIN)/jupytext --quiet --update --to ipynb book/chapters/*.md

# The README's figure is the index's, as the last build drew it.
figure: _build/result.svg
	cp $< book/_static/result.svg

_build/result.svg:
	$(MAKE) book

# Five times the data sets: claims in full mode (all, or CLAIMS="single law"), recorded for the reproducibility page.
full: $(VENV)/.ready
	MVTHEORY_FULL=1 OMP_NUM_THREADS=1 $(BIN)/python book/_ext/full_run.py $(CLAIMS)

# What a GPU adds, recorded for the reproducibility page: under eight minutes on one.
gpu: $(VENV)/.ready
	$(BIN)/python benchmarks/gpu.py

lint: $(VENV)/.ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo --no-cache
	@if command -v npm >/dev/null; then $(MAKE) --no-print-directory scripts; else echo "No npm: the scripts are not checked."; fi

# The types of the pages' scripts, by TypeScript; nothing else needs node.
TSC := tests/javascript/node_modules
scripts: $(TSC)/.package-lock.json
	$(TSC)/.bin/tsc --project tests/javascript

$(TSC)/.package-lock.json: tests/javascript/package-lock.json
	npm ci --silent --no-audit --no-fund --prefix tests/javascript
	touch $@

chromium:
	@command -v chromium >/dev/null || { echo "The pages are tested in Chromium: apt-get install chromium" >&2; exit 1; }

$(VENV)/.ready: requirements.txt pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --requirement requirements.txt
	$(BIN)/python -m pip install --quiet --no-deps --editable .
	touch $@

# The environment stays: it follows requirements.txt by itself.
clean:
	rm -rf _build
