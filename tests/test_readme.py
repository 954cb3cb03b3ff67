"""What README shows exists: its commands parse, its files are there, its table has the columns of the real one."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.reports.terminal import COLUMNS

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```(?:sh|console|bash)\n(.*?)```", README, flags=re.S)
COMMANDS = sorted({line.strip().removeprefix("$ ") for block in BLOCKS for line in block.splitlines() if "edgeproof " in line and "pip " not in line})


def _help(*command: str) -> str:
    done = subprocess.run([sys.executable, "-m", "edgeproof", *command, "--help"], capture_output=True, text=True, env={"COLUMNS": "200", "PATH": ""})
    assert done.returncode == 0
    return done.stdout


@pytest.mark.parametrize("line", COMMANDS)
def test_its_commands_and_options_exist(line: str) -> None:
    words = line.split("#")[0].split()
    command = words[words.index("edgeproof") + 1]
    text = _help(*([] if command.startswith("-") else [command]))
    for option in (word for word in words if word.startswith("--")):
        assert option.split("=")[0] in text, f"{line}: {command} has no {option}"


def test_its_make_targets_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.M))
    assert set(re.findall(r"\bmake ([a-z-]+)", README)) <= targets


def test_its_table_has_the_columns_of_the_command() -> None:
    header = next(line for line in README.splitlines() if line.startswith("| format"))
    assert tuple(cell.strip() for cell in header.strip("|").split("|")) == COLUMNS


def test_every_command_is_described() -> None:
    commands = re.findall(r"^│ (\w+) ", _help(), flags=re.M)
    assert len(commands) >= 9
    assert [command for command in commands if f"edgeproof {command}" not in README] == []


def test_the_files_it_names_exist() -> None:
    for link in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / link).exists(), link
