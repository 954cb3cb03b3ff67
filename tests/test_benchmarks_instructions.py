"""What the counting plugin writes, read again."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from benchmarks.instructions import Block, Counted, instructions, read_windows
from benchmarks.matrix import Artifact
from edge_runtime.counting import MARK

_ONE, _TWO = Block(0x5500001000, bytes(range(12))), Block(0x5500002000, b"\x1f\x20\x03\xd5")


def _block(block: Block) -> bytes:
    return b"B" + struct.pack("<IQ", block.instructions, block.address) + block.code


def _window(number: int, *pairs: tuple[int, int]) -> bytes:
    return b"W" + struct.pack("<IQ", number, len(pairs)) + b"".join(struct.pack("<QQ", *pair) for pair in pairs)


def _write(folder: Path, *records: bytes) -> Path:
    (folder / "some.blocks").write_bytes(b"EDGEBLK1" + b"".join(records))
    return folder / "some.blocks"


def test_windows_name_their_blocks(tmp_path: Path) -> None:
    file = _write(tmp_path, _block(_ONE), _window(1, (0, 5)), _block(_TWO), _window(2, (0, 25), (1, 7)), _window(3))
    assert read_windows(file) == {1: {_ONE: 5}, 2: {_ONE: 25, _TWO: 7}, 3: {}}


def test_an_inference_is_a_share_of_the_window_without_the_empty_one() -> None:
    counted = Counted(Artifact(Path("a.tflite"), "tflite-int8", "qat", "", (), 1), "ai-edge-litert", runs=10)
    counted.windows = {"empty": {_ONE: 5}, "invoke": {_ONE: 25, _TWO: 70}}
    assert counted.per_inference("invoke") == {_ONE: 2.0, _TWO: 7.0}
    assert instructions(counted.per_inference("invoke")) == 2 * 3 + 7 * 1
    assert counted.totals() == {"empty": 15, "invoke": 145}


@pytest.mark.parametrize("missing", [1, 20, 40])
def test_a_file_that_is_cut_is_refused(tmp_path: Path, missing: int) -> None:
    whole = _write(tmp_path, _block(_ONE), _window(1, (0, 5), (0, 6), (0, 7)))
    whole.write_bytes(whole.read_bytes()[:-missing])
    with pytest.raises(ValueError, match="is cut"):
        read_windows(whole)


def test_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "other").write_bytes(b"something else")
    with pytest.raises(ValueError, match="holds no blocks"):
        read_windows(tmp_path / "other")


def test_the_guest_and_the_plugin_mean_the_same_mark() -> None:
    source = (Path(__file__).parent.parent / "benchmarks/targets/blocks.c").read_text()
    assert f"#define MARK {MARK:#x}ULL" in source
