"""Folders that are made once."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from benchmarks.targets.kept import UNUSED_SECONDS, kept, used
from edge_runtime.errors import InputError


def _fill(folder: Path) -> None:
    (folder / "file").write_text("whole")


def test_the_slower_of_two_processes_takes_what_the_other_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replace = os.replace

    def outrun(source: Path, target: Path) -> None:
        """Between the look for the folder and the renaming, another process makes it."""
        target.mkdir()
        _fill(target)
        replace(source, target)

    monkeypatch.setattr(os, "replace", outrun)
    path = kept(tmp_path, "recipe", _fill)
    assert (path / "file").read_text() == "whole"
    assert list(tmp_path.iterdir()) == [path], "nothing of the loser's is left"


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="name another folder in EDGEPROOF_CACHE"):
        kept(tmp_path / "file", "recipe", _fill)


def test_what_nobody_used_for_a_month_is_removed(tmp_path: Path) -> None:
    first, second, third = (kept(tmp_path, recipe, _fill) for recipe in ("first", "second", "third"))
    for path in (first, second):
        os.utime(path, (0, time.time() - UNUSED_SECONDS - 1))
    assert used(second) == second
    assert set(tmp_path.iterdir()) == {second, third}
    assert time.time() - second.stat().st_mtime < UNUSED_SECONDS
