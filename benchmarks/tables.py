"""README's tables, made of the committed reference run in `benchmarks/reference/`. Nobody writes a figure there by hand.

A table stands in the text between `<!-- table: NAME -->` and `<!-- end -->`. Measured and predicted times never share a column.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.counts import CountResult, read_counts
from benchmarks.peers import read_peers
from benchmarks.predict import Prediction, digits
from benchmarks.reading import DAMAGE
from benchmarks.reports.peers import PEER_COLUMNS, peer_cells
from benchmarks.reports.summary import others_sentence, recommend, summarize
from benchmarks.reports.terminal import COLUMNS, summary_cells
from benchmarks.results import LatencyResult, read_result
from edge_runtime.errors import InputError, first_line, unknown_name

FOLDER = Path(__file__).with_name("reference")
DEFAULT = "compact"  # the recipe whose files stand in the folder itself, where `bench --compare` of the default workspace finds them
RECIPES: Mapping[str, Path] = {DEFAULT: Path(), "seed": Path("seed")}  # by recipe, the place below the folder
BOARDS: Mapping[str, str] = {"sim-pi3": "Pi 3", "sim-zero2": "Zero 2 W", "sim-pi4": "Pi 4", "sim-pi5": "Pi 5"}
_MARKED = re.compile(r"(<!-- table: (?P<name>[a-z ]+) -->\n).*?(<!-- end -->)", re.S)
_LEFT = {"network, format", "format", "runtime", "verdict", "network", "made by hand with", "in words"}


@dataclass(frozen=True)
class Reference:
    """One recipe's part of the reference run."""

    recipe: str
    parity: Mapping[str, Any]  # of parity.json, without what no table needs
    manifest: Mapping[str, Any]
    latency: LatencyResult
    counts: Mapping[str, CountResult]  # by simulated board
    peers: Sequence[Mapping[str, Any]]  # rows of peers/peers.json; none where no peers were measured


def read_references(folder: Path = FOLDER) -> list[Reference]:
    """Of every recipe that is there, the default one first. InputError for a part that is missing or damaged: `make reference` makes it again."""
    found = [read_reference(recipe, folder / place) for recipe, place in RECIPES.items() if (folder / place / "parity.json").exists()]
    if not found:
        raise InputError(f"{folder} holds no reference run: make reference.")
    return found


def read_reference(recipe: str, folder: Path) -> Reference:
    """One recipe's part."""
    counts = {board: read_counts(folder / f"{board}.json") for board in BOARDS}
    peers = read_peers(folder / "peers.json")["rows"] if (folder / "peers.json").exists() else ()
    parity, manifest, latency = _read(folder / "parity.json"), _read(folder / "manifest.json"), read_result(folder / "local.json")
    found = Reference(recipe, parity, manifest, latency, counts, peers)
    try:
        _check_files(found)
    except DAMAGE as error:
        raise InputError(f"The reference in {folder} does not hold together ({first_line(error)}): make reference.") from None
    return found


def _check_files(reference: Reference) -> None:
    """ValueError where a part is of other files than those that the manifest lists: of another training."""
    parts = {"parity.json": reference.parity["rows"], "local.json": reference.latency.fields["rows"]}
    parts |= {f"{board}.json": counts.fields["rows"] for board, counts in reference.counts.items()}
    parts["peers.json"] = [{"artifact": row["ours"], "sha256": row["ours_sha256"]} for row in reference.peers if row["ours"]]
    for part, rows in parts.items():
        for row in rows:
            listed = reference.manifest["artifacts"].get(row["artifact"])
            if listed and listed["sha256"] != row["sha256"]:
                raise ValueError(f"{part} is of another {row['artifact']} than manifest.json")


def _read(path: Path) -> dict[str, Any]:
    try:
        fields = json.loads(path.read_text())
    except DAMAGE as error:
        raise InputError(f"Cannot read {path} ({first_line(error)}): make reference.") from None
    if not isinstance(fields, dict):
        raise InputError(f"Cannot read {path} (not a JSON object): make reference.")
    return fields


def results_table(references: Sequence[Reference]) -> list[str]:
    """The default recipe's artifacts as `edgeproof run` ends with them, what it says below, and on which machine it was measured."""
    chosen = references[0]
    rows = summarize(chosen.parity, chosen.manifest, [chosen.latency])
    lines = _table(COLUMNS, map(summary_cells, rows))
    others = others_sentence(chosen.parity)
    told = [f"{others}; runs/default/parity.md lists them.", ""] if others else []
    told.append(f"Parity: {chosen.parity['verdict']}. {recommend(rows, chosen.manifest, chosen.parity['margin_pp']).sentence}")
    return [*lines, "", *(f"> {line}".rstrip() for line in told), "", _measured_on(chosen)]


def _measured_on(reference: Reference) -> str:
    fields = reference.latency.fields
    host, utc = fields["host"], fields["utc"]
    features = [name for name in host["flags"] if name in ("avx512_vnni", "asimddp")]
    processor = host["cpu"] + (f" with {' and '.join(features)}" if features else "")
    samples = [len(row.samples["predict"]) * row.fields.get("kept_every", {"predict": 1})["predict"] for row in reference.latency.rows]
    return (
        f"(Measured on {utc[:4]}-{utc[4:6]}-{utc[6:8]}: {processor}, {host['cores']} cores, {fields['threads']} thread; "
        f"at least {min(samples) // 1000 * 1000:,} runs a row.)"
    )


def predicted_table(references: Sequence[Reference]) -> list[str]:
    """Predicted milliseconds of the scope `invoke` on every board, each with its interval."""
    head = ("network, format", "runtime", *(f"{title}, predicted" for title in BOARDS.values()))
    return _table(head, (cells for reference in references for cells in _predicted_rows(reference)))


def _predicted_rows(reference: Reference) -> Iterable[Sequence[str]]:
    times = {(board, *row.key): row.predicted("invoke") for board, result in reference.counts.items() for row in result.rows}
    for row in reference.counts[next(iter(BOARDS))].rows:
        predicted = [times.get((board, *row.key)) for board in BOARDS]
        yield f"{reference.recipe} {row.fields['format']}", row.fields["runtime"], *map(_time, predicted)


def _time(time: Prediction | None) -> str:
    return "" if time is None else f"{digits(time.milliseconds)} ({digits(time.low)}–{digits(time.high)})"


def peers_table(references: Sequence[Reference]) -> list[str]:
    """What other tools make of each recipe's baseline, beside ours in the same session."""
    rows = ((reference.recipe, *_peer_cells(row)) for reference in references for row in reference.peers)
    return _table(("network", *PEER_COLUMNS), rows)


def _peer_cells(row: Mapping[str, Any]) -> Sequence[str]:
    """As everywhere, with the reason where there is no file: nothing below the table says it."""
    *cells, said = peer_cells(row)
    reason = row["reason"].partition(": pip install ")[0].rstrip(".")
    return *cells, f"{said}: {reason}" if row["artifact"] is None and reason else said


TABLES: dict[str, Callable[[Sequence[Reference]], list[str]]] = {
    "results": results_table,
    "predicted": predicted_table,
    "peers": peers_table,
}


def fill(text: str, references: Sequence[Reference]) -> str:
    """The text with every marked table as the reference has it. InputError for a table that there is none of, or that has no end."""
    if text.count("<!-- table:") != len(_MARKED.findall(text)):
        raise InputError("A table's marker is not closed: <!-- table: NAME --> … <!-- end -->.")

    def table(marked: re.Match[str]) -> str:
        if marked["name"] not in TABLES:
            raise unknown_name("table", marked["name"], TABLES)
        return "\n".join([marked[1].rstrip(), *TABLES[marked["name"]](references), marked[3]])

    return _MARKED.sub(table, text)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    rule = ["---" if name in _LEFT else "--:" for name in head]
    lines = [" | ".join(cell.replace("|", "\\|") for cell in cells) for cells in rows]
    return [f"| {' | '.join(head)} |", f"|{'|'.join(rule)}|", *(f"| {line} |" for line in lines)]
