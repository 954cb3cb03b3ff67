"""Result files that are damaged, foreign or newer: refused in one line, or as good as whole for everything that reads them."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from benchmarks.compare import compare, find_reference, sentences
from benchmarks.compare_times import compare_normalised, compare_side_by_side
from benchmarks.counts import CountResult, read_counts
from benchmarks.history import append_history, history_lines, read_history
from benchmarks.page.peers import peers_table
from benchmarks.peers import read_peers
from benchmarks.reading import readable
from benchmarks.reports.instructions import counts_table
from benchmarks.reports.peers import peer_cells
from benchmarks.reports.predicted import predicted_table
from benchmarks.reports.terminal import latency_table
from benchmarks.results import LatencyResult, read_result
from benchmarks.tables import FOLDER
from edge_runtime.errors import InputError
from edgeproof.stages.peering import _former
from edgeproof.stages.recorded import recorded_peers
from edgeproof.stages.showing import results_of
from edgeproof.workspace import Workspace
from evidence import foreign
from evidence.foreign import ODD, changed, fill, places

LATENCY = copy.deepcopy(foreign.LATENCY)
LATENCY["rows"] = [row for row in LATENCY["rows"] if row["runtime"] == "ai-edge-litert"][:2]
LATENCY["reference_rows"] = copy.deepcopy(LATENCY["rows"])
LATENCY["aa"] = {"artifact": "a", "runtime": "b", "threads": 1, "rounds": 40, "ratio": 1.0, "low": 1.0, "high": 1.0}
LATENCY["board"] = {"model": "", "governor": ""}
COUNTS = {**foreign.COUNTS, "rows": foreign.COUNTS["rows"][:2]}
PEERS = json.loads((FOLDER / "peers.json").read_text())
_KNOWN = ("peer", "title", "how", "runtime")  # of one that could not be made
PEERS["rows"] = [
    PEERS["rows"][0],
    {**{name: value if name in _KNOWN else None for name, value in PEERS["rows"][0].items()}, "reason": "not installed"},
]
PEERS["made"] = {
    "tflite-ptq": {
        **{name: PEERS["rows"][0][name] for name in ("artifact", "sha256", "bytes", "int8_macs_percent")},
        **{"answers": "probabilities", "refused": {"tflite-runtime": "too new"}, "made_from": {"how": "by hand"}},
    }
}
REFERENCE = CountResult(COUNTS)
WHOLE = LatencyResult(copy.deepcopy(LATENCY))


def use_latency(path: Path) -> None:
    """What tables, pages and histories do with a latency result."""
    result = read_result(path)
    show(latency_table(result))
    for row in result.rows:
        _ = result.find(*row.key), result.ratio(row, "tflite-float32"), [row.percentile_us(percent) for percent in (50, 90, 99)]
    _ = result.aa, compare_normalised(result, WHOLE, 5.0).to_dict(), compare_side_by_side(result, 5.0).to_dict()
    record(result, path.parent)


def use_counts(path: Path) -> None:
    result = read_counts(path)
    show(counts_table(result))
    show(predicted_table(result))
    sentences(compare(result, REFERENCE))
    record(result, path.parent)


def use_peers(path: Path) -> None:
    """What README, the dashboard and the next `bench --peers` do with them."""
    fields = read_peers(path)
    _ = [peer_cells(row) for row in fields["rows"]], peers_table(fields, None)
    _ = [(made["sha256"], made["bytes"], made["answers"], list(made["refused"]), made["made_from"]) for made in fields["made"].values()]


def record(result: LatencyResult | CountResult, folder: Path) -> None:
    history = folder / "history.jsonl"
    history.unlink(missing_ok=True)
    append_history(history, history_lines(result, None, None))
    assert read_history(history)[1] == []


def show(table: Any) -> None:
    with Path(os.devnull).open("w") as nowhere:
        Console(file=nowhere, width=200).print(table)


USES: dict[str, tuple[dict[str, Any], Callable[[Path], None]]] = {
    "latency": (LATENCY, use_latency),
    "counts": (COUNTS, use_counts),
    "peers": (PEERS, use_peers),
}


def used_or_refused(content: bytes, use: Callable[[Path], None], folder: Path) -> bool:
    """True if everything that reads it works; False if it is refused in one line. Anything else is a failure of the test."""
    path = folder / "result.json"
    path.write_bytes(content)
    said = ""
    try:
        use(path)
    except InputError as error:
        said = str(error)
    assert "\n" not in said
    return not said


@pytest.mark.parametrize("kind", USES)
def test_the_whole_file_is_read(kind: str, tmp_path: Path) -> None:
    fields, use = USES[kind]
    assert used_or_refused(json.dumps(fields).encode(), use, tmp_path)


@pytest.mark.parametrize("kind", USES)
def test_any_field_may_be_missing(kind: str, tmp_path: Path) -> None:
    fields, use = USES[kind]
    refused = [path for path in places(fields) if not used_or_refused(json.dumps(changed(fields, path, None, remove=True)).encode(), use, tmp_path)]
    assert {("schema",), ("target",), ("rows",), ("rows", 0, "artifact")} <= set(refused)


@pytest.mark.parametrize("kind", USES)
@settings(max_examples=400)
@given(data=st.data())
def test_any_field_may_be_anything(kind: str, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    fields, use = USES[kind]
    path, value = data.draw(st.sampled_from(list(places(fields)))), data.draw(st.sampled_from(ODD))
    used_or_refused(json.dumps(changed(fields, path, value)).encode(), use, tmp_path_factory.getbasetemp())


@pytest.mark.parametrize("kind", USES)
@settings(max_examples=100)
@given(cut=st.floats(0, 1), length=st.floats(0, 1), noise=st.binary(max_size=20))
def test_any_piece_may_be_lost_or_be_noise(kind: str, cut: float, length: float, noise: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    fields, use = USES[kind]
    whole = json.dumps(fields).encode()
    begin = int(cut * len(whole))
    used_or_refused(whole[:begin] + noise + whole[begin + int(length * len(whole)) :], use, tmp_path_factory.getbasetemp())


@pytest.mark.parametrize("read", [read_result, read_counts])
def test_each_foreign_file_is_named_once_and_the_others_are_read(read: Callable[[Path], Any], tmp_path: Path) -> None:
    names = fill(tmp_path, "sim-pi4")
    good = tmp_path / "good.json"
    good.write_text(json.dumps(LATENCY if read is read_result else COUNTS))
    found, problems = readable([*names, good], read)
    assert len(found) == 1
    assert [sum(str(path) in problem for problem in problems) for path in names] == [1] * len(names)
    assert len(problems) == len(names)


def test_a_reference_is_found_among_foreign_files(tmp_path: Path) -> None:
    names, said = fill(tmp_path, "sim-pi4"), list[str]()
    with pytest.raises(InputError, match="holds no result of sim-pi4"):
        find_reference(tmp_path, "sim-pi4", said.append)
    assert len(said) == len(names)
    (tmp_path / "sim-pi4.json").write_text(json.dumps(COUNTS))
    assert find_reference(tmp_path, "sim-pi4", said.append).fields == COUNTS


def test_what_a_workspace_shows_leaves_each_out_by_name(tmp_path: Path, new_console: Callable[..., Any], capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "latency").mkdir()
    names = fill(tmp_path / "latency", "local")
    good = tmp_path / "latency/local-20260201T000000Z.json"
    good.write_text(json.dumps(LATENCY))
    (result,) = results_of(Workspace(tmp_path), new_console())
    assert result.fields["utc"] == LATENCY["utc"]
    said = capfd.readouterr().err.splitlines()
    assert [sum(path.name in line for line in said) for path in names] == [1] * len(names)
    assert len(said) == len(names)


@pytest.mark.parametrize("content", [b"[" * 100_000, b"[", b"{}", json.dumps(dict.fromkeys(PEERS, "abc")).encode()])
def test_damaged_peers_are_named_and_left_out(
    content: bytes, tmp_path: Path, new_console: Callable[..., Any], capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "peers").mkdir()
    (tmp_path / "peers/peers.json").write_bytes(content)
    assert recorded_peers(Workspace(tmp_path), new_console()) is None
    (line,) = capfd.readouterr().err.splitlines()
    assert "left out: " in line
    assert "peers/peers.json" in line
    assert _former(Workspace(tmp_path)) == {}


@pytest.mark.parametrize("made", [{"tflite-ptq": "x"}, {"tflite-ptq": {}}, "x", None])
def test_records_of_peers_that_are_damaged_are_made_anew(made: Any, tmp_path: Path) -> None:
    (tmp_path / "peers").mkdir()
    (tmp_path / "peers/peers.json").write_text(json.dumps({**PEERS, "made": made}))
    assert _former(Workspace(tmp_path)) == {}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_file_that_may_not_be_read_is_named(tmp_path: Path) -> None:
    path = tmp_path / "sim-pi4.json"
    path.write_text(json.dumps(COUNTS))
    path.chmod(0)
    _, (problem,) = readable([path], read_counts)
    assert "Permission denied" in problem
