PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LOWEST := .venv-lowest
SOURCES := core tui tests benchmarks scripts

.PHONY: demo test test-lowest smoke documented check format pictures man wheel clean help

help:            ## Show what can be made.
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## */\t/' | expand -t 12

$(VENV)/.ready: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "distill-tui needs Python 3.11 or newer; set PYTHON=/path/to/it")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

demo: $(VENV)/.ready  ## Open the app on the bundled demo database.
	@$(BIN)/distill-tui demo

test: $(VENV)/.ready  ## Run every test.
	$(BIN)/python -m pytest -n 2

$(LOWEST)/.ready: pyproject.toml constraints-lowest.txt constraints.txt
	$(PYTHON) -m venv $(LOWEST)
	awk -F== '/^[a-zA-Z]/ { name = tolower($$1); gsub(/_/, "-", name); if (!seen[name]++) print }' \
		constraints-lowest.txt constraints.txt > $(LOWEST)/constraints.txt
	$(LOWEST)/bin/python -m pip install --quiet --disable-pip-version-check --constraint $(LOWEST)/constraints.txt --editable '.[dev]'
	@touch $@

test-lowest: $(LOWEST)/.ready  ## Run the main commands and the settings on the lowest versions that are allowed.
	$(LOWEST)/bin/python -m pytest tests/core/test_config.py tests/core/latency/test_forms.py tests/tui/cli/test_latency.py tests/tui/cli/test_crossover.py tests/tui/cli/test_usage.py tests/tui/cli/test_inspect.py

smoke: $(VENV)/.ready  ## Run every benchmark, too, in its short form.
	$(BIN)/python -m scripts.run_documented_commands --benchmarks

documented: $(VENV)/.ready  ## Run every documented command in its short form.
	$(BIN)/python -m scripts.run_documented_commands

check: $(VENV)/.ready  ## Format, lint, types and the import boundary, as CI runs them.
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

format: $(VENV)/.ready  ## Apply the formatter and the linter's safe fixes.
	$(BIN)/ruff format $(SOURCES)
	$(BIN)/ruff check --fix $(SOURCES)

pictures: $(VENV)/.ready  ## Draw every screen into docs/screens, and write docs/screens.md.
	$(BIN)/python -m scripts.write_screen_pages
	$(BIN)/python scripts/draw_screens.py

man: $(VENV)/.ready  ## Write a man page for each command into dist/man.
	$(BIN)/click-man distill-tui --target dist/man

wheel: $(VENV)/.ready  ## Build the wheel into dist/.
	$(BIN)/python -m build --wheel --outdir dist

clean:           ## Remove what the other targets made.
	rm -rf $(VENV) $(LOWEST) dist .mypy_cache .ruff_cache .hypothesis .import_linter_cache
