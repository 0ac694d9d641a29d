# Two commands for newcomers: `make quickstart` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: quickstart smoke test test-verl lint format install install-test

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

# torch first: the pinned version is a CPU build on a CPU machine where the registry offers one, CUDA elsewhere.
$(VENV)/.installed: $(BIN)/python pyproject.toml
	$(BIN)/pip install --quiet --disable-pip-version-check torch==2.13.0
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[train]'
	touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[train,test]'
	touch $@

install: $(VENV)/.installed
install-test: $(VENV)/.installed-test

quickstart: install
	$(BIN)/ascl run quickstart

smoke: install
	$(BIN)/ascl run quickstart --smoke

# Three processes, also on two cores: tests wait for servers and timeouts. Each file in one of them: what its tests share
# is made once.
test: install-test
	$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder

# verl pins transformers below what `train` needs, so it has an environment of its own (docs/verl.md).
.venv-verl/.installed: pyproject.toml
	$(PYTHON) -m venv .venv-verl
	.venv-verl/bin/pip install --quiet --disable-pip-version-check torch==2.13.0
	.venv-verl/bin/pip install --quiet --disable-pip-version-check -e '.[verl]' 'pytest>=9' 'hypothesis>=6.150'
	touch $@

test-verl: .venv-verl/.installed
	ASCL_RAY=1 .venv-verl/bin/python -m pytest tests/adapters/verl

lint: install-test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: install-test
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
