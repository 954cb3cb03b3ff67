"""Wherever a predicted time is shown, the word and the interval stand beside it, and no measured time shares its column."""

from __future__ import annotations

import copy
import json
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from rich.table import Table

from benchmarks import predict
from benchmarks.calibration import Calibration, find_scale, to_fields
from benchmarks.counts import CountResult, read_counts
from benchmarks.instructions import SCOPES
from benchmarks.mca import have_llvm
from benchmarks.predict import board_times, digits
from benchmarks.reports.calibrated import calibration_table
from benchmarks.results import LatencyResult, read_result
from edgeproof.cli import main
from edgeproof.console import Console
from edgeproof.stages.measuring_boards import pair
from tests.pipelines import Run
from tests.simulated import RUNTIME

ROOT = Path(__file__).parent.parent
INTERVAL = re.compile(r"[\d.]+( to |–)[\d.]+")
NUMBER = re.compile(r"\d+(?:\.\d+)?")
MICROSECONDS = re.compile(r"\d+(?:\.\d+)? µs")
MEASURED = re.compile(r"measured|\bp\d\d\b|µs|first run|\bload\b|_ns\b|p50|p90|p99", re.IGNORECASE)
TIME = re.compile(r"(^|_)(ms|us|ns|milliseconds|microseconds)$")


@dataclass(frozen=True)
class Shown:
    """A table as people see it."""

    where: str
    headers: Sequence[str]
    rows: Sequence[Sequence[str]]


def texts_of(cell: str, header: str = "") -> set[str]:
    """The numbers of a cell, and its microseconds with their unit: so few digits may be anything else's without it."""
    numbers = set(NUMBER.findall(cell))
    return numbers | set(MICROSECONDS.findall(cell)) | ({f"{number} µs" for number in numbers} if "µs" in header else set())


def complaints(table: Shown, predicted: frozenset[str] = frozenset(), measured: frozenset[str] = frozenset()) -> list[str]:
    """What is wrong with a table. predicted, measured: times as texts, which tell by themselves what a column holds."""
    found = []
    for index, header in enumerate(table.headers):
        said, following = "predicted" in header.lower(), table.headers[index + 1 : index + 2]
        if said and MEASURED.search(header):
            found.append(f"{table.where}: {header!r} is both")
        for row in table.rows:
            numbers = texts_of(row[index], header)
            if numbers & predicted and not said:
                found.append(f"{table.where}: {row[index]!r} in {header!r} is predicted")
            if numbers & measured and said:
                found.append(f"{table.where}: {row[index]!r} in {header!r} was measured")
            beside = row[index] + (f" {row[index + 1]}" if following and "interval" in following[0] else "")
            if said and numbers and not INTERVAL.search(beside):
                found.append(f"{table.where}: {row[index]!r} in {header!r} has no interval beside it")
    return found


def json_complaints(fields: Any, path: tuple[str, ...] = ()) -> list[str]:
    """The same of JSON: what lies below "predicted" has "low" and "high" beside it, and no name of something measured."""
    if isinstance(fields, list):
        return [one for entry in fields for one in json_complaints(entry, path)]
    if not isinstance(fields, Mapping):
        return []
    found = []
    for name, value in fields.items():
        here = (*path, name)
        below = any(part.startswith("predicted") for part in here)
        if below and isinstance(value, float) and TIME.search(name) and not ("low" in name or "high" in name):
            beside = [other for other in fields if "low" in other or "high" in other]
            if len(beside) < 2:
                found.append(f"{here} has no interval beside it")
        if below and MEASURED.search(name) and name != "measured":  # where its scale was measured
            found.append(f"{here} is both")
        found += json_complaints(value, here)
    return found


def numbers_of(fields: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], float]]:
    """Every number of JSON with where it stands."""
    if isinstance(fields, Mapping):
        for name, value in fields.items():
            yield from numbers_of(value, (*path, name))
    elif isinstance(fields, list):
        for value in fields:
            yield from numbers_of(value, path)
    elif isinstance(fields, float):
        yield path, fields


def test_the_rules_find_what_breaks_them() -> None:
    good = [
        Shown("a", ("artifact", "p50", "invoke: predicted ms", "interval"), (("x", "12.3 µs", "1.23", "1.00 to 1.50"),)),
        Shown("b", ("network", "Pi 4, predicted"), (("x 2", "1.23 (1.00 to 1.50)"), ("y", ""))),
        Shown("z", ("artifact", "drop, pp"), (("x", "4.5"),)),
    ]
    bad = [
        Shown("c", ("artifact", "p50, predicted"), ()),
        Shown("d", ("artifact", "ms"), (("x", "1.23"),)),
        Shown("e", ("artifact", "predicted ms"), (("x", "1.23"),)),
        Shown("f", ("artifact", "predicted ms", "interval"), (("x", "12.3 µs", "1.00 to 1.50"),)),
        Shown("g", ("artifact", "predicted µs", "interval"), (("x", "12.3", "1.00 to 1.50"),)),
        Shown("h", ("artifact", "time"), (("x", "4.5 µs"),)),
    ]
    told = frozenset(["1.23", "4.5 µs"]), frozenset(["12.3 µs"])
    assert [complaints(table, *told) for table in good] == [[], [], []]
    assert all(complaints(table, *told) for table in bad)
    assert json_complaints({"predicted": {"invoke": {"milliseconds": 1.0, "low": 0.9, "high": 1.1}}, "invoke_ns": 3.0}) == []
    assert json_complaints({"rows": [{"predicted": {"milliseconds": 1.0}}]})
    assert json_complaints({"predicted_ms": 1.0})
    assert json_complaints({"predicted": {"p50_us": 1.0, "low": 1.0, "high": 1.0}})


@dataclass
class Everything:
    """A workspace with measured and predicted times, and all that the commands showed of it."""

    path: Path
    tables: list[Shown] = field(default_factory=list)
    sentences: list[str] = field(default_factory=list)
    given: list[dict[str, Any]] = field(default_factory=list)

    @property
    def counted(self) -> CountResult:
        (file,) = (self.path / "latency").glob("sim-pi4-*.json")
        return read_counts(file)

    @property
    def timed(self) -> LatencyResult:
        return next(read_result(file) for file in (self.path / "latency").glob("local-????????T*.json"))

    @property
    def predicted_times(self) -> list[float]:
        return [time.milliseconds for row in self.counted.rows for scope in SCOPES if (time := row.predicted(scope))]

    @property
    def predicted(self) -> frozenset[str]:
        """As texts: milliseconds, microseconds."""
        return frozenset(text for time in self.predicted_times for text in (digits(time), f"{1000 * time:.1f} µs", f"{1000 * time:.0f} µs"))

    @property
    def measured(self) -> frozenset[str]:
        percentiles = [
            row.percentile_us(percent, scope) for row in self.timed.rows for scope in row.samples for percent in (5, 25, 50, 75, 90, 95, 99)
        ]
        return frozenset(text for time in percentiles if time for text in (f"{time:.1f} µs", f"{time:.0f} µs", digits(time / 1000)))

    def complaints(self, tables: Sequence[Shown]) -> list[str]:
        same = self.predicted & self.measured  # by chance: it tells nothing
        return [one for table in tables for one in complaints(table, self.predicted - same, self.measured - same)]


def _as_shown(table: Table) -> Shown:
    cells = [[str(cell) for cell in column.cells] for column in table.columns]
    return Shown(str(table.title), [str(column.header) for column in table.columns], list(zip(*cells, strict=True)))


@pytest.fixture(scope="module")
def everything(judged_on_pi4: Run, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Everything]:
    """Times measured here and predicted for sim-pi4, in every form: `bench`, `parity`, `dashboard`, as people and programs get them."""
    if not have_llvm():
        pytest.skip("llvm-19 is not installed")
    found = Everything(tmp_path_factory.mktemp("everything") / "w")
    shutil.copytree(judged_on_pi4.workspace, found.path)
    consoles: dict[int, Console] = {}
    give, show = Console.give, Console.show

    def give_and_keep(console: Console, fields: dict[str, Any]) -> None:
        found.given.append(json.loads(json.dumps(fields)))
        give(console, fields)

    def show_and_keep(console: Console, renderable: Any) -> None:
        consoles[id(console)] = console
        if isinstance(renderable, Table):
            found.tables.append(_as_shown(renderable))
        else:
            found.sentences += str(renderable).splitlines()
        show(console, renderable)

    slow = copy.deepcopy(predict._constants())
    slow["boards"]["pi4"]["clock_mhz"] /= 50  # its times are some 0.3 ms then: nothing measured here reads like that
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(predict, "_constants", lambda: slow)
        patch.setattr(Console, "give", give_and_keep)
        patch.setattr(Console, "show", show_and_keep)
        runtime, place = ("--runtime", RUNTIME), ("-w", str(found.path))
        assert main(["bench", "--on", "local", *runtime, "--seconds", "0.05", *place]) == 0
        assert main(["bench", "--on", "sim-pi4", *runtime, "--max-ms", "1000", *place]) == 0
        assert main(["parity", "--rejudge", "--max-drop", "20", *place]) == 0
        assert main(["dashboard", *place]) == 0
    yield found
    for console in consoles.values():
        console._out.file.close()
        console._err.file.close()


def test_no_table_of_the_terminal_mixes_them(everything: Everything) -> None:
    assert any("predicted" in header for table in everything.tables for header in table.headers)
    assert any(MEASURED.search(header) for table in everything.tables for header in table.headers)
    assert everything.complaints(everything.tables) == []


def test_no_sentence_gives_a_predicted_time_without_the_word_and_the_interval(everything: Everything) -> None:
    milliseconds = {digits(time) for time in everything.predicted_times}
    said = [line for line in everything.sentences if milliseconds.intersection(NUMBER.findall(line))]
    assert len(said) == len(everything.counted.rows), "what --max-ms says of each row"
    for line in said:
        assert re.search(r"predicted [\d.]+ ms \([\d.]+ to [\d.]+\)", line), line


def test_a_calibration_keeps_them_apart(everything: Everything) -> None:
    published = board_times("pi4")
    timings = pair(everything.timed, everything.counted)
    fields = to_fields(find_scale(timings, published), timings, published, {"host": "ssh://pi", "utc": "20261122T101112Z", "model": "a board"})
    table = _as_shown(calibration_table(Calibration("pi4", fields)))
    assert len(table.rows) == 2 * len(everything.counted.rows)
    assert everything.complaints([table]) == []
    assert json_complaints(fields) == []


def test_no_json_mixes_them(everything: Everything) -> None:
    files = [path for path in everything.path.rglob("*.json*") if path.is_file()]
    written = [json.loads(line) for path in files for line in ([path.read_text()] if path.suffix == ".json" else path.read_text().splitlines())]
    seen = 0
    for fields in (*everything.given, *written):
        assert json_complaints(fields) == []
        for path, number in numbers_of(fields):
            if number in everything.predicted_times:
                seen += 1
                assert any("predicted" in part for part in path), path
    assert seen >= 2 * len(everything.predicted_times), "given, and in latency/"


class _Tables(HTMLParser):
    """The tables of a page; the first row of each holds its headers."""

    def __init__(self) -> None:
        super().__init__()
        self.tables: list[list[list[str]]] = []
        self._inside = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "table":
            self.tables.append([])
        elif tag == "tr" and self.tables:
            self.tables[-1].append([])
        elif tag in ("td", "th") and self.tables:
            self.tables[-1][-1].append("")
            self._inside = tag

    def handle_endtag(self, tag: str) -> None:
        if tag == self._inside:
            self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.tables[-1][-1][-1] += data


def test_no_table_of_the_dashboard_mixes_them(everything: Everything) -> None:
    parser = _Tables()
    parser.feed((everything.path / "dashboard.html").read_text())
    assert parser.tables
    tables = [Shown("dashboard.html", rows[0], [row for row in rows[1:] if len(row) == len(rows[0])]) for rows in parser.tables if rows]
    assert everything.complaints(tables) == []


@pytest.mark.parametrize("name", ["README.md", "docs/boards.md"])
def test_no_table_of_a_document_mixes_them(name: str) -> None:
    text = (ROOT / name).read_text()
    blocks = re.findall(r"(?:^\|.*\|\n)+", text, re.MULTILINE)
    tables = [[[cell.strip() for cell in line.strip("|").split("|")] for line in block.splitlines()] for block in blocks]
    shown = [Shown(name, head, rows) for head, _, *rows in tables]
    assert any("predicted" in header.lower() for table in shown for header in table.headers)
    assert [one for table in shown for one in complaints(table)] == []
