"""Which file to ship to each target, and why: among those that passed wherever they were judged, by the time there.

The fastest is chosen; where times are not decided (predicted intervals that overlap, measured medians within 5 %), the smallest; of files as small
within 5 %, the one that may drop the least. Sessions that are INVALID choose nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.page import words
from benchmarks.page.boards import counted_rows, prediction_cell
from benchmarks.page.cells import Cell, Column, Line, Table, missing
from benchmarks.page.results import judged_row, size_cell, time_cells
from benchmarks.page.subject import LOCAL, Subject, newest_by_target, own_rows, target_title
from benchmarks.parity import PASS
from benchmarks.predict import Prediction, faster
from benchmarks.reports.summary import SummaryRow, passed, smallest, worst_of
from benchmarks.reports.wording import points, subjects
from benchmarks.results import LatencyResult, LatencyRow

NEAR = 1.05  # measured medians closer than this do not choose
COLUMNS = (
    words.TARGET, Column("ship", "The file to ship to that target.", number=False), Column("on", number=False), words.VERDICT, words.MEASURED,
    words.PREDICTED, words.AT_MOST, words.SIZE, words.WHY,
)  # fmt: skip


@dataclass(frozen=True)
class Candidate:
    """A file that passed, on one runtime of a target, with the time there: measured or predicted, never both."""

    artifact: str
    runtime: str
    bytes: int
    measured: tuple[LatencyResult, LatencyRow] | None = None
    predicted: Prediction | None = None

    @property
    def median_us(self) -> float:
        return (self.measured[1].percentile_us(50) if self.measured else None) or float("inf")


@dataclass(frozen=True)
class Advice:
    """What to ship to a target; `chosen` is None where nothing that passed has a time there."""

    target: str
    chosen: Candidate | None
    why: str


def advise(subject: Subject, rows: Sequence[SummaryRow]) -> list[Advice]:
    """One a target that anything was timed or counted on, this machine first, then real boards."""
    able = passed(rows)
    found = [_measured(target, result, subject, able) for target, result in newest_by_target(subject, subject.latency).items()]
    found.sort(key=lambda advice: advice.target != LOCAL)
    valid = {advice.target for advice in found}
    found += [
        Advice(target, None, _distrusted(result)) for target, result in newest_by_target(subject, subject.invalid).items() if target not in valid
    ]
    counted = dict.fromkeys(result.target for result, _ in counted_rows(subject))
    return found + [_predicted(target, subject, able) for target in counted]


def _distrusted(result: LatencyResult) -> str:
    return f"Its only session is {result.validity}. Those times choose nothing."


def _measured(target: str, result: LatencyResult, subject: Subject, able: dict[str, list[SummaryRow]]) -> Advice:
    timed = [
        Candidate(row.fields["artifact"], row.fields["runtime"], row.fields["bytes"], measured=(result, row))
        for row in own_rows(subject, result)
        if row.fields["artifact"] in able
    ]
    if not timed:
        return Advice(target, None, "Nothing that was timed there passed.")
    best = min(candidate.median_us for candidate in timed)
    near = [candidate for candidate in timed if candidate.median_us <= NEAR * best]
    preferred, by_size = _preferred(near, able)
    chosen = min((candidate for candidate in near if candidate.artifact == preferred), key=lambda candidate: candidate.median_us)
    if not by_size:
        return Advice(target, chosen, f"The fastest there of {_files(timed)} that passed.")
    return Advice(target, chosen, f"{_files(near)} are within {100 * (NEAR - 1):.0f} % of the fastest there; {by_size}.")


def _predicted(target: str, subject: Subject, able: dict[str, list[SummaryRow]]) -> Advice:
    counted = [
        Candidate(row.fields["artifact"], row.fields["runtime"], row.fields["bytes"], predicted=row.predicted("predict"))
        for result, row in counted_rows(subject)
        if result.target == target and row.fields["artifact"] in able
    ]
    foreseen = [(candidate, candidate.predicted) for candidate in counted if candidate.predicted]
    if not foreseen:
        return Advice(target, None, "Instructions were counted, no time was predicted: instructions do not rank formats.")
    _, best = min(foreseen, key=lambda pair: pair[1].milliseconds)
    near = [pair for pair in foreseen if faster(best, pair[1]) is not True]
    preferred, by_size = _preferred([candidate for candidate, _ in near], able)
    chosen, _ = min((pair for pair in near if pair[0].artifact == preferred), key=lambda pair: pair[1].milliseconds)
    if not by_size:
        return Advice(target, chosen, f"Predicted the fastest of {_files([candidate for candidate, _ in foreseen])} that passed.")
    return Advice(
        target, chosen, f"The predicted intervals of {_files([candidate for candidate, _ in near])} overlap, so time does not decide; {by_size}."
    )


def _preferred(near: Sequence[Candidate], able: dict[str, list[SummaryRow]]) -> tuple[str, str]:
    """The artifact to choose among those whose times do not, and what chose it; nothing where there is but one."""
    artifacts = {candidate.artifact: able[candidate.artifact] for candidate in near}
    chosen = smallest(artifacts)
    if len(artifacts) == 1:
        return chosen, ""
    least = artifacts[chosen][0].bytes == min(ran[0].bytes for ran in artifacts.values())
    return chosen, "this is the smallest" if least else "of the smallest, this may drop the least"


def _files(candidates: Sequence[Candidate]) -> str:
    count = len({candidate.artifact for candidate in candidates})
    return "the one file" if count == 1 else f"{count} files"


def advice_table(subject: Subject, advices: Sequence[Advice], rows: Sequence[SummaryRow]) -> Table:
    """One line a target. Measured and predicted times have a column each."""
    called, able = subjects(subject.parity["rows"]), passed(rows)
    return Table("What to ship to each target", COLUMNS, [_line(subject, advice, able, called) for advice in advices])


def _line(subject: Subject, advice: Advice, able: dict[str, list[SummaryRow]], called: dict[str, str]) -> Line:
    head, one = Cell(target_title(advice.target).capitalize() if advice.target == LOCAL else target_title(advice.target)), advice.chosen
    if one is None:
        return Line((head, missing(advice.why), *[missing()] * 6, Cell(advice.why)), advice.target)
    median = time_cells(*one.measured)[0] if one.measured else missing("Nothing was measured there: the board is simulated.")
    predicted = prediction_cell(one.predicted) if one.predicted else missing("Measured times are better than predicted ones.")
    ran = able[one.artifact]
    cells = (Cell(called[one.artifact], one.artifact), Cell(one.runtime), _verdict(ran, advice.target), median, predicted, worst_drop(subject, ran))
    return Line((head, *cells, size_cell(one.bytes), Cell(advice.why)), advice.target)


def _verdict(ran: Sequence[SummaryRow], target: str) -> Cell:
    """PASS, as for all that is chosen, and whether it was judged there."""
    places = list(dict.fromkeys(row.target for row in ran))
    where = ", ".join(map(target_title, places))
    return Cell(PASS, f"Judged on {where}{'' if target in places else ', not there: edgeproof parity --on ' + target}.", verdict=PASS)


def worst_drop(subject: Subject, ran: Sequence[SummaryRow]) -> Cell:
    """The largest upper bound of the drop of one artifact's rows."""
    worst = worst_of(ran)
    judged = judged_row(subject.parity, worst)
    places = ", ".join(dict.fromkeys(target_title(row.target) for row in ran))
    counts = (
        f"{judged['images']:,} images: {judged['broken']} broken, {judged['fixed']} fixed on {worst.runtime}; {len(ran)} rows judged on {places}."
    )
    return Cell(f"{points(worst.drop_upper_pp or 0.0)} pp", counts, worst.drop_upper_pp)
