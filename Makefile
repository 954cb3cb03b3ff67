# make demo    set up .venv, run everything on the embedded digits, print the result table and where the dashboard is
# make test    set up .venv with the development tools, run the tests
# make check   ruff, mypy, and the import arrows between the packages
# make evidence  train both recipes if that has not been done (an hour or more), put every claim to the test, write docs/evidence.md; resumes

# make validate-boards NCNN=FOLDER   predict published times, fit the boards' weights, write docs/boards.md
# make reference   measure runs/default, and runs/seed if it is there, here and on simulated boards; write benchmarks/reference/, README's tables and picture
#                  (about 5 minutes on a quiet machine; make reference ONLY=local, boards or readme: that part)

PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: demo test check evidence validate-boards reference format clean

demo: $(VENV)/toolkit.stamp
	@$(BIN)/edgeproof run
	@echo "Installation took $$(cat $(VENV)/toolkit.stamp) s; the run's own time stands in the line above that begins with Parity."

test: $(VENV)/dev.stamp
	$(BIN)/python -m pytest $(PYTEST)

check: $(VENV)/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest tests/test_import_rules.py

evidence: $(VENV)/dev.stamp runs/default/parity.json runs/seed/parity.json
	$(BIN)/python -m evidence all

runs/default/parity.json: | $(VENV)/toolkit.stamp
	$(BIN)/edgeproof run -w runs/default

runs/seed/parity.json: | $(VENV)/toolkit.stamp
	$(BIN)/edgeproof run --recipe seed -w runs/seed

validate-boards: $(VENV)/dev.stamp
	@test -n "$(NCNN)" || { echo "Which networks? make validate-boards NCNN=FOLDER (param files of ncnn's benchmark, and published.json)" >&2; exit 2; }
	$(BIN)/python -m evidence.boards $(NCNN)

reference: $(VENV)/peers.stamp runs/default/parity.json
	$(BIN)/python -m evidence.reference $(if $(ONLY),--only $(ONLY))

format: $(VENV)/dev.stamp
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

$(BIN)/python:
	@command -v $(PYTHON) > /dev/null || { echo "$(PYTHON) is not installed: install Python 3.11, or name another with 'make PYTHON=…'" >&2; exit 2; }
	@$(PYTHON) -c 'import venv, ensurepip' 2> /dev/null || { echo "$(PYTHON) has no venv module: apt install python3.11-venv" >&2; exit 2; }
	@$(PYTHON) -m venv $(VENV)

$(VENV)/toolkit.stamp: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing the toolkit into $(VENV) (about 2 GB, a few minutes) …"
	@begin=$$(date +%s) && $(PIP_INSTALL) -e '.[toolkit]' && echo $$(( $$(date +%s) - begin )) > $@

$(VENV)/dev.stamp: $(VENV)/toolkit.stamp
	@$(PIP_INSTALL) -e '.[toolkit,dev]' && touch $@

$(VENV)/peers.stamp: $(VENV)/dev.stamp
	@$(PIP_INSTALL) -e '.[toolkit,dev,peers]' && touch $@

clean:
	rm -rf $(VENV) runs build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
