"""Is it slower than it was? Instruction counts of a simulated board against an earlier result of the same board; times: `compare_times`.

Counts compare only like with like: one format, runtime, kernels and core. Across formats they mislead (on a Cortex-A72 a network in int8
needs as many instructions as in float32 and two thirds of the cycles), so that is refused rather than computed.

They do not depend on what a network has learned (two trainings of recipe compact: equal to 0.01 %), so that a reference outlives a training:
`benchmarks/reference/` holds recipe compact's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.counts import CountResult, CountRow, read_counts
from benchmarks.instructions import SCOPES
from benchmarks.reading import newest
from edge_runtime.errors import InputError

DEFAULT_SLOWDOWN_PERCENT = 2.0
MOST_SLOWDOWN_PERCENT = 1000


@dataclass(frozen=True)
class Change:
    """One artifact on one runtime, now and in the reference."""

    now: CountRow
    reference: CountRow

    @property
    def percent(self) -> float:
        """How many more instructions an inference takes, of the scope in which it is worse."""
        return max(slowdown_percent(self.now, self.reference, scope) for scope in SCOPES)


@dataclass(frozen=True)
class Comparison:
    """What is slower than allowed, and what cannot be said."""

    changes: tuple[Change, ...]
    lost: tuple[str, ...]  # counted in the reference, and now unable to run or not there at all: with the reason
    new: tuple[str, ...]  # not in the reference
    most_percent: float
    left_out: int = 0  # rows of the reference on runtimes that nobody asked for

    @property
    def slower(self) -> list[Change]:
        return [change for change in self.changes if change.percent > self.most_percent]

    @property
    def passed(self) -> bool:
        return not self.slower and not self.lost


def slowdown_percent(now: CountRow, reference: CountRow, scope: str) -> float:
    """Instructions per inference in percent above the reference. InputError for counts that cannot be compared."""
    unlike = [name for name, value in now.kind.items() if reference.kind[name] != value]
    if unlike:
        said = ", ".join(f"{name} {now.kind[name]} with {reference.kind[name]}" for name in unlike)
        raise InputError(f"Instruction counts compare only within one format, runtime, kernels and core, not {said}.")
    return 100 * (now.per_inference(scope) / reference.per_inference(scope) - 1)


def check_slowdown(most_percent: float) -> None:
    """InputError for what is no number of percent."""
    if not 0 <= most_percent <= MOST_SLOWDOWN_PERCENT:  # false for NaN, too
        raise InputError(f"--max-slowdown is a number of percent between 0 and {MOST_SLOWDOWN_PERCENT}, got {most_percent:g}.")


def compare(now: CountResult, reference: CountResult, most_percent: float = DEFAULT_SLOWDOWN_PERCENT, *, runtimes: Sequence[str] = ()) -> Comparison:
    """Every row of the reference that was asked for: one that is not counted any more is lost. `runtimes`: the only ones that were; else all.

    InputError for results of unlike boards, and when they have no row in common.
    """
    check_slowdown(most_percent)
    for name in ("target", "core"):
        if now.fields[name] != reference.fields[name]:
            raise InputError(
                f"The reference is of {name} {reference.fields[name]}, this is {now.fields[name]}: counts of unlike boards do not compare."
            )
    known = {row.key: row for row in reference.rows}
    changes = tuple(Change(row, known[row.key]) for row in now.rows if row.key in known)
    wanted = [row for row in reference.rows if not runtimes or row.key[1] in runtimes]
    if not changes and not any(row.key[:2] in now.failed for row in wanted):
        has = ", ".join(dict.fromkeys(row.key[0] for row in reference.rows)) or "nothing"
        raise InputError(f"The reference has no row in common with this: it counts {has}.")
    counted = {row.key for row in now.rows}
    lost = tuple(f"{row.key[0]} on {row.key[1]}: {_loss(row, now)}" for row in wanted if row.key not in counted)
    new = tuple(f"{row.key[0]} on {row.key[1]}" for row in now.rows if row.key not in known)
    return Comparison(changes, lost, new, most_percent, len(reference.rows) - len(wanted))


def _loss(row: CountRow, now: CountResult) -> str:
    return now.failed.get(row.key[:2], "in the reference, and not counted now: export it again, or keep a new reference")


def find_reference(place: Path, target: str, say: Callable[[str], None]) -> CountResult:
    """The result in a file, or the newest of a target in a folder, where others that cannot be read are named. InputError when there is none."""
    if not place.is_dir():
        return read_counts(place)
    found = newest([*place.glob(f"{target}.json"), *place.glob(f"{target}-[0-9]*.json")], read_counts, say)
    if found is None:
        raise InputError(f"{place} holds no result of {target}: keep one there that `edgeproof bench --on {target}` wrote.")
    return found


def sentences(comparison: Comparison) -> Sequence[str]:
    """What to print of it: each change with the versions it is between, then what could not be compared."""
    lines: list[str] = []
    for change in comparison.changes:
        versions = list(dict.fromkeys(row.fields["runtime_version"] for row in (change.reference, change.now)))
        verdict = "SLOWER" if change in comparison.slower else "ok"
        now, before = change.now.per_inference("predict"), change.reference.per_inference("predict")
        subject = f"{change.now.key[0]} on {change.now.key[1]} {' -> '.join(versions)}"
        lines.append(f"{verdict}: {subject}: {change.percent:+.2f} % (predict {before / 1e6:.3f} M -> {now / 1e6:.3f} M instructions)")
    lines += [f"LOST: {line}" for line in comparison.lost]
    lines += [f"new: {line}, not in the reference" for line in comparison.new]
    if comparison.left_out:
        lines.append(f"not compared: {comparison.left_out} of the reference's rows, on runtimes that --runtime leaves out")
    return lines
