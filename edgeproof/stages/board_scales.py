"""The scales of the user's own boards: a file that is kept, unlike a cache, and can be committed for a CI."""

from __future__ import annotations

import os
from pathlib import Path

from benchmarks.calibration import SCHEMA, Calibration, read_calibrations
from benchmarks.predict import BoardTimes, board_times
from edge_runtime.errors import InputError
from edgeproof.workspace import Workspace


def scales_file() -> Path:
    """$EDGEPROOF_BOARDS, else boards.json in edgeproof's folder below $XDG_CONFIG_HOME or ~/.config. It need not exist yet."""
    if chosen := os.environ.get("EDGEPROOF_BOARDS"):
        return Path(chosen)
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "edgeproof" / "boards.json"


def scales_of_all() -> dict[str, Calibration]:
    """Those that were measured, by board. InputError for a file that cannot be read."""
    return read_calibrations(scales_file())


def times_of(board: str) -> BoardTimes:
    """What times on a board are predicted with: its own scale where one was measured, else the published one.

    InputError for a file that cannot be read, or was named and is not there: a gate would pass or fail by other numbers than it should.
    """
    path = scales_file()
    if os.environ.get("EDGEPROOF_BOARDS") and not path.exists():
        raise InputError(f"EDGEPROOF_BOARDS names {path}, which is not there: make it with `edgeproof calibrate-board`, or unset it.")
    own = scales_of_all().get(board)
    return own.apply(board_times(board)) if own else board_times(board)


def keep(calibration: Calibration) -> Path:
    """Write a board's scale into the file, in place of a former one; returns the file."""
    return _write({**scales_of_all(), calibration.board: calibration})


def forget(board: str) -> Path:
    """Take a board's scale out of the file: the published one is used again. InputError when there is none."""
    scales = scales_of_all()
    if board not in scales:
        raise InputError(f"{scales_file()} holds no scale of {board}{': it has ' + ', '.join(scales) if scales else ''}.")
    return _write({name: one for name, one in scales.items() if name != board})


def _write(scales: dict[str, Calibration]) -> Path:
    path = scales_file()
    return Workspace(path.parent).write_json(path.name, {"schema": SCHEMA, "boards": {name: dict(one.fields) for name, one in scales.items()}})
