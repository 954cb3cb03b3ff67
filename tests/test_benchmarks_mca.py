"""Cycles of pieces of code, from the real llvm-mca."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest

from benchmarks.mca import Analyser, disassemble
from edge_runtime.errors import InputError, RuntimeMissingError

pytestmark = pytest.mark.skipif(shutil.which("llvm-mca-19") is None, reason="llvm-19 is not installed")

# fmla v0.4s, v1.4s, v2.4s: each waits for the one before; into v16 … v19, less
CHAIN = bytes.fromhex("20cc224e") * 4
FREE = b"".join(bytes.fromhex(word) for word in ("30cc224e", "31cc224e", "32cc224e", "33cc224e"))
ADD, UNKNOWN, CALL, RETURN, SUPERVISOR = (bytes.fromhex(word) for word in ("20000291", "ffffffff", "00000094", "c0035fd6", "010000d4"))


def test_what_waits_for_itself_takes_longer_and_each_core_has_its_own_time(tmp_path: Path) -> None:
    analyser = Analyser(tmp_path)
    big, small = (analyser.cycles([CHAIN, FREE], core) for core in ("cortex-a72", "cortex-a55"))
    assert big[CHAIN] > 1.5 * big[FREE] > 0
    assert small != big


def test_calls_cost_a_branch_and_what_cannot_be_decoded_does_not_hide_the_rest(tmp_path: Path) -> None:
    text = disassemble({ADD, UNKNOWN, CALL, RETURN, SUPERVISOR})
    assert (text[ADD], text[UNKNOWN], text[CALL], text[RETURN], text[SUPERVISOR]) == ("add x0, x1, #128", "", "b #4", "br x30", "")
    cycles = Analyser(tmp_path).cycles([ADD, ADD + UNKNOWN, ADD + CALL, UNKNOWN], "cortex-a72")
    assert cycles[ADD] == cycles[ADD + UNKNOWN]
    assert cycles[ADD + CALL] < 5
    assert 0 < cycles[UNKNOWN] <= 1


def test_the_same_piece_is_analysed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = Analyser(tmp_path).cycles([CHAIN], "cortex-a72")
    (file,) = (tmp_path / "cycles").iterdir()
    with sqlite3.connect(file) as memory:
        memory.execute("UPDATE cycles SET cycles = cycles + 1000")
    memory.close()
    again = Analyser(tmp_path).cycles([CHAIN, FREE], "cortex-a72")
    assert again[CHAIN] == first[CHAIN] + 1000, "not asked again"
    assert again[FREE] < 1000
    assert Analyser(tmp_path).cycles([CHAIN], "cortex-a55")[CHAIN] < 1000, "what another core takes is something else"


def test_a_damaged_memory_and_a_missing_llvm_are_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Analyser(tmp_path).cycles([CHAIN], "cortex-a72")
    (file,) = (tmp_path / "cycles").iterdir()
    file.write_bytes(b"no database" * 100)
    with pytest.raises(InputError, match=r"Cannot keep cycles in .*remove it"):
        Analyser(tmp_path).cycles([CHAIN], "cortex-a72")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RuntimeMissingError, match=r"LLVM 19 or newer.*sudo apt-get install llvm-19\.$"):
        Analyser(tmp_path).cycles([CHAIN], "cortex-a72")
