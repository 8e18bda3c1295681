# Everything runs in .venv. Each command makes it if needed, and again when the files it is made from change.
PYTHON ?= python3
BIN := .venv/bin
# Tests start Python hundreds of times, and each would compile the sources of JAX anew if no bytecode were written.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: chromium demo test versions oldest newest ecosystem buckets distributed lint docs pictures schema notebooks bench soak kills \
	dist installed clean
.DEFAULT_GOAL := test

SETTINGS := configs/batched.yaml

demo: .venv/made  ## PPO learns CartPole in one compiled program, logged live; SETTINGS=configs/full.yaml
	$(BIN)/jaxlog demo --settings $(SETTINGS)

# The tests mostly wait for XLA to compile; these flags halve that. `make versions` compiles with the flags of users.
QUICKLY := XLA_FLAGS="--xla_cpu_use_fusion_emitters=false --xla_backend_optimization_level=0 \
	--xla_cpu_parallel_codegen_split_count=1"

test: .venv/made chromium  ## all tests
	$(QUICKLY) $(BIN)/python -m pytest -n 2 --dist worksteal

chromium:  ## the browser in which some tests open pages; without it they are skipped
	@tests/install_chromium.sh

versions: oldest newest  ## TESTS="..." chooses some; the tests that touch JAX, on the oldest and the newest

ecosystem:  ## TESTS="..." chooses some; from_info and EpisodeTracker on the real libraries of environments

buckets:  ## runs in a bucket of an S3 server on this machine, and fifty machines that are lost

distributed: .venv/made  ## TESTS="..." chooses some; training in several processes, some of which end early
	$(QUICKLY) $(BIN)/python -m pytest -n 0 $(or $(TESTS),tests_distributed)

dist:  ## the sdist and the wheel of the last commit, in dist/
installed:  ## the wheel in dist/, in new environments, with and without extras

oldest newest ecosystem buckets dist installed: .venv/made
	PYENV_VERSION="$$(pyenv versions --bare 2>/dev/null | paste -sd: -)" $(BIN)/nox -s $@ -- $(TESTS)

lint: .venv/made  ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/pyright -p pyrightconfig.strict.json

docs: .venv/made  ## the site, in docs/_site; a warning fails
	$(BIN)/sphinx-build --fresh-env --fail-on-warning --keep-going --nitpicky --quiet --jobs auto docs docs/_site
	@echo "The site begins at docs/_site/index.html."

pictures: .venv/made chromium  ## the pictures of the README, from a real run; needs tmux too
	$(BIN)/python docs/images/make.py

schema: .venv/made  ## configs/schema.json and docs/settings.md, from the settings' models
	$(BIN)/python docs/generate.py

notebooks: .venv/made  ## the outputs of the notebooks, from their scripts
	$(BIN)/python notebooks/execute.py

bench: .venv/made  ## the cost of logging, relative to references in the same process
	$(BIN)/python -m benchmarks

soak: .venv/made  ## a million records with a slow sink: all are accounted for, in bounded memory
	$(BIN)/python -m benchmarks.soak

kills: .venv/made  ## examples/resume.py, killed a hundred times: its log equals that of an uninterrupted run
	$(BIN)/python -m benchmarks.kills --kills 100

clean:
	rm -rf .venv .nox .pytest_cache .ruff_cache .hypothesis build dist docs/_site

# Python compiles what is imported, which is far less than what pip would compile.
.venv/made: pyproject.toml constraints.txt Makefile jaxlog/_page/vendored.py
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "jaxlog needs Python 3.11 or newer, and $(PYTHON) is " + sys.version.split()[0] + "; name another: make PYTHON=python3.11 ...")'
	@echo "Making .venv; this takes a minute or two."
	@$(PYTHON) -m venv --clear .venv
	@$(BIN)/python -m pip install --quiet --no-compile --disable-pip-version-check -c constraints.txt -e '.[all,dev]'
	@$(BIN)/python jaxlog/_page/vendored.py
	@touch $@
