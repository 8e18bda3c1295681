# Everything runs in .venv, which each command makes, and renews when what it is made from changes.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: chromium demo test versions oldest newest lint docs pictures schema notebooks bench soak kills dist installed \
	clean
.DEFAULT_GOAL := test

SETTINGS := configs/batched.yaml

demo: .venv/made  ## PPO learns CartPole in one compiled program, logged live; SETTINGS=configs/full.yaml
	$(BIN)/jaxlog demo --settings $(SETTINGS)

# Compiling is most of what the tests take: this halves it. `make versions` has numbers compiled as users have them.
QUICKLY := XLA_FLAGS="--xla_cpu_use_fusion_emitters=false --xla_backend_optimization_level=0"

test: .venv/made chromium  ## all tests
	$(QUICKLY) $(BIN)/python -m pytest -n 2

chromium:  ## what some tests open pages in; they are skipped where it may not be installed
	@tests/install_chromium.sh

versions: oldest newest  ## what touches JAX, on the oldest and the newest

dist:  ## the sdist and the wheel of the last commit, in dist/
installed:  ## the wheel in dist/, in new environments, with and without extras

oldest newest dist installed: .venv/made
	PYENV_VERSION="$$(pyenv versions --bare 2>/dev/null | paste -sd: -)" $(BIN)/nox -s $@

lint: .venv/made  ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

docs: .venv/made  ## the site, in docs/_site; a warning fails
	$(BIN)/sphinx-build --fresh-env --fail-on-warning --keep-going --nitpicky --quiet --jobs auto docs docs/_site
	@echo "The site begins at docs/_site/index.html."

pictures: .venv/made chromium  ## those of the README, of a real run; it needs tmux, too
	$(BIN)/python docs/images/make.py

schema: .venv/made  ## configs/schema.json and docs/settings.md, from the settings' models
	$(BIN)/python docs/generate.py

notebooks: .venv/made  ## the notebooks' outputs, from their scripts
	$(BIN)/python notebooks/execute.py

bench: .venv/made  ## what logging costs, against references in the same run
	$(BIN)/python -m benchmarks

soak: .venv/made  ## a million records with a slow sink: all accounted for, in bounded memory
	$(BIN)/python -m benchmarks.soak

kills: .venv/made  ## examples/resume.py, killed a hundred times: its log is that of a run left alone
	$(BIN)/python -m benchmarks.kills --kills 100

clean:
	rm -rf .venv .nox .pytest_cache .ruff_cache .hypothesis build dist docs/_site

.venv/made: pyproject.toml constraints.txt Makefile
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "jaxlog needs Python 3.11 or newer, and $(PYTHON) is " + sys.version.split()[0] + "; name another: make PYTHON=python3.11 ...")'
	@echo "Making .venv; this takes a minute or two."
	@$(PYTHON) -m venv --clear .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[all,dev]'
	@touch $@
