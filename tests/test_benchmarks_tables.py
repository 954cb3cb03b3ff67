"""README's tables are what the committed reference run gives."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.compare import compare, find_reference
from benchmarks.reports.wording import points
from benchmarks.results import BLOCKS, LatencyResult, read_result
from benchmarks.tables import (
    BOARDS,
    FOLDER,
    RECIPES,
    TABLES,
    Reference,
    fill,
    peers_table,
    predicted_table,
    read_reference,
    read_references,
    results_table,
)
from benchmarks.thinning import thin
from edge_runtime.errors import InputError
from evidence.browser import CHROMIUM
from evidence.picture import PICTURE
from evidence.reference import KEPT_SAMPLES, main

README = Path(__file__).parent.parent / "README.md"
MOST_BYTES = 600_000  # what a clone carries


@pytest.fixture(scope="module")
def references() -> list[Reference]:
    return read_references()


def test_readme_holds_what_the_reference_gives(references: list[Reference]) -> None:
    text = README.read_text()
    assert set(re.findall(r"<!-- table: (.+?) -->", text)) == set(TABLES)
    assert fill(text, references) == text, "run make reference ONLY=readme"


def test_the_reference_is_small_and_whole(references: list[Reference]) -> None:
    assert [reference.recipe for reference in references] == list(RECIPES)
    assert sum(path.stat().st_size for path in FOLDER.rglob("*") if path.is_file()) <= MOST_BYTES
    for reference in references:
        assert reference.latency.validity.startswith("VALID")
        judged = {(row["artifact"], row["runtime"], row["sha256"]) for row in reference.parity["rows"]}
        timed = {(*row.key, row.fields["sha256"]) for row in reference.latency.rows}
        assert judged <= timed, "what was timed is what was judged; and what peers are compared with"
        for row in reference.latency.rows:
            assert len(row.samples["predict"]) <= 2 * KEPT_SAMPLES
            assert row.percentile_us(99) is not None
        for board, counts in reference.counts.items():
            assert (counts.target, counts.failed) == (board, {})
            assert {(*row.key[:2], row.fields["sha256"]) for row in counts.rows} == judged


def test_each_recipe_is_found_by_a_gate() -> None:
    for place in RECIPES.values():
        for board in BOARDS:
            reference = find_reference(FOLDER / place, board)
            assert compare(reference, reference, 0.0).passed


def test_the_result_table_has_the_figures_of_its_files(references: list[Reference]) -> None:
    compact = references[0]
    lines = results_table(references)
    for judged in (row for row in compact.parity["rows"] if row["kernels"] == "default"):
        row = compact.latency.find(judged["artifact"], judged["runtime"])
        assert row is not None
        p50 = row.percentile_us(50)
        (line,) = (line for line in lines if line.startswith(f"| {row.fields['format']} |") and f"| {row.key[1]} |" in line)
        assert f"| {p50:.1f} |" in line
        assert f"| {judged['verdict']} |" in line
        assert f"| {100 * judged['accuracy']:.2f} % |" in line
        assert f"| {points(judged['drop_pp'])} (≤ {points(judged['drop_upper_pp'])}) |" in line
    assert not any("predicted" in line for line in lines), "measured and predicted never share a column"


def test_every_predicted_time_is_called_so_and_has_its_interval(references: list[Reference]) -> None:
    head, _, *lines = predicted_table(references)
    assert [cell.strip() for cell in head.strip("|").split("|")][2:] == [f"{title}, predicted" for title in BOARDS.values()]
    assert len(lines) == sum(len(reference.counts[board].rows) for reference in references for board in list(BOARDS)[:1])
    for line in lines:
        assert len(re.findall(r"[\d.]+ \([\d.]+–[\d.]+\)", line)) == len(BOARDS)


def test_a_changed_reference_changes_the_tables(references: list[Reference]) -> None:
    first, *others = references
    rows = [{**row, "verdict": "FAIL"} for row in first.parity["rows"]]
    changed = [replace(first, parity={**first.parity, "rows": rows}), *others]
    assert fill(README.read_text(), changed) != README.read_text()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("<!-- table: result -->\n<!-- end -->", "Did you mean 'results'"),
        ("<!-- table: results -->\n| format |", "not closed"),
        ("<!-- table: results -->\n<!-- table: predicted -->\n<!-- end -->", "not closed"),
    ],
)
def test_a_table_that_there_is_none_of_is_refused(references: list[Reference], text: str, complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        fill(text, references)


def test_text_around_tables_is_left_alone(references: list[Reference]) -> None:
    text = "before | <!-- a -->\n<!-- table: predicted -->\nold\n<!-- end -->\nafter\n"
    filled = fill(text, references)
    assert filled.startswith("before | <!-- a -->\n<!-- table: predicted -->\n| network")
    assert filled.endswith("|\n<!-- end -->\nafter\n")
    assert fill(filled, references) == filled


@pytest.mark.parametrize("name", ["parity.json", "manifest.json", "local.json", "sim-pi4.json"])
def test_a_damaged_part_is_one_line(tmp_path: Path, name: str) -> None:
    shutil.copytree(FOLDER, tmp_path, dirs_exist_ok=True)
    (tmp_path / name).write_text("[")
    with pytest.raises(InputError, match=re.escape(name)) as caught:
        read_reference("compact", tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["parity.json", "local.json", "sim-pi5.json"])
def test_parts_of_two_trainings_are_refused(tmp_path: Path, name: str) -> None:
    shutil.copytree(FOLDER, tmp_path, dirs_exist_ok=True)
    fields = json.loads((tmp_path / name).read_text())
    fields["rows"][0]["sha256"] = "0" * 64
    (tmp_path / name).write_text(json.dumps(fields))
    with pytest.raises(InputError, match=f"{name} is of another {fields['rows'][0]['artifact']} than manifest.json"):
        read_reference("compact", tmp_path)


def test_one_part_alone_is_not_made_of_another_training(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(FOLDER, tmp_path / "reference")
    manifest = json.loads((FOLDER / "manifest.json").read_text())
    name = next(iter(manifest["artifacts"]))
    manifest["artifacts"][name]["sha256"] = "0" * 64
    (tmp_path / "w/artifacts").mkdir(parents=True)
    (tmp_path / "w/artifacts/manifest.json").write_text(json.dumps(manifest))
    shutil.copy(FOLDER / "parity.json", tmp_path / "w")
    shutil.copy(README, tmp_path)
    places = ("--workspace", str(tmp_path / "w"), "--seed", str(tmp_path / "none"), "--readme", str(tmp_path / "README.md"))
    assert main(["--only", "local", "--folder", str(tmp_path / "reference"), *places]) == 1
    assert f"is of another training ({name} differ)" in capsys.readouterr().err
    assert all(path.read_bytes() == (FOLDER / path.name).read_bytes() for path in (tmp_path / "reference").glob("*.json"))


def test_a_peer_that_was_not_made_says_why(references: list[Reference]) -> None:
    row = {**references[0].peers[0], "artifact": None, "accuracy": None, "reason": "openvino not installed: pip install 'edgeproof[peers]'."}
    assert peers_table([replace(references[0], peers=[row])])[-1].endswith("| not made: openvino not installed |")


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on PATH: apt install chromium")
def test_the_command_writes_tables_and_says_what_is_missing(references: list[Reference], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    readme = tmp_path / "README.md"
    readme.write_text("<!-- table: results -->\n<!-- end -->\n")
    places = ("--workspace", str(tmp_path / "none"), "--seed", str(tmp_path / "none"), "--readme", str(readme))
    assert main(["--only", "readme", *places]) == 0
    assert "| tflite-int8 |" in readme.read_text()
    assert (tmp_path / PICTURE).exists()
    assert main(["--only", "local", *places]) == 1
    assert "compact, local: left as it is: " in (said := capsys.readouterr().err)
    assert "parity.json does not exist yet: run `edgeproof parity" in said
    assert read_references() == references
    assert main(["--only", "readme", "--folder", str(tmp_path / "reference"), *places]) == 2
    assert "holds no reference run" in capsys.readouterr().err


@pytest.mark.parametrize("most", [1, 100, 10**9])
def test_thinning_keeps_rounds_and_medians_and_says_so(most: int) -> None:
    whole = read_result(FOLDER / "local.json")
    thinned = LatencyResult(json.loads(json.dumps(thin(whole, most))))
    for before, after in zip(whole.rows, thinned.rows, strict=True):
        for scope in BLOCKS:
            assert [len(block) > 0 for block in after.blocks(scope)] == [len(block) > 0 for block in before.blocks(scope)]
        every = after.fields["kept_every"]["predict"] // before.fields["kept_every"]["predict"]  # the reference was thinned before
        assert len(after.samples["predict"]) <= most + len(before.blocks("predict"))
        first = before.blocks("predict")[0]
        np.testing.assert_array_equal(after.blocks("predict")[0], first[min(every, len(first)) // 2 :: every])
        if most == 10**9:
            np.testing.assert_array_equal(after.samples["predict"], before.samples["predict"])
        elif most == 100:
            assert after.percentile_us(50) == pytest.approx(before.percentile_us(50), rel=0.1)
