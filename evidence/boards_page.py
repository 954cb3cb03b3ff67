"""docs/boards.md: how times on boards are predicted, and how wrong that was on networks with published times."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.boards import BOARDS
from benchmarks.calibration import ENOUGH
from benchmarks.predict import LLVM_CORES
from evidence.weights import COVERAGE, Fit, Row

Fits = Mapping[str, tuple[Sequence[Row], Fit]]

_ERRORS = """## Errors

Each network predicted with the weights that all others give, one thread. *Unseen kernels*: int8 networks predicted with the weights that the
float networks give, as a stand-in for another library's kernels."""
_INTERVAL = f"""A prediction's interval goes from prediction / factor to prediction × factor. The factor comes from the larger of each network's two
errors: it leaves at least {COVERAGE:.0%} of networks like these inside (conformal prediction), and is never less than all boards' errors
together give."""
_OWN = f"""## A board of your own

`edgeproof calibrate-board ssh://HOST` times the workspace's artifacts on a real board and predicts the same files on the simulated one. Measured /
predicted, the geometric mean over artifacts (medians of `invoke` and `predict`, one thread, default kernels, on every TFLite runtime that both
have), is that board's scale; it takes the place of the published one, 1, wherever times of that board are predicted, and says so beside them. The
board must call itself one of these (its revision does not matter) or be named with `--board`; times that are INVALID (heat, supply, a clock that
moves, a virtual machine) are refused.

The scale stands in `~/.config/edgeproof/boards.json` (`$XDG_CONFIG_HOME`), or in the file that `EDGEPROOF_BOARDS` names, which can be committed for
a CI: with date, host, versions, every artifact's sha256 and what each would be off by if the others alone had given the scale. It is refused
after the published weights have changed: measure again. `edgeproof calibrate-board --forget BOARD` drops it.

The interval is then Student's for one more artifact like those that were timed, {COVERAGE:.0%} as above: artifacts count, not their runtimes or
scopes, which go wrong together. Fewer than {ENOUGH} artifacts never make it narrower than the published one: formats of one network are alike,
networks are not."""
_STEPS = """## What each step brings

Mean (worst) leave-one-out error. The step in bold is the one used. It was chosen on these same networks; the last line is what that hides."""
_TEXT = Path(__file__).with_name("boards_text.md")  # what does not depend on the numbers


def page(
    constants: Mapping[str, Any],
    chosen: Fits,
    ablation: Mapping[str, Mapping[str, Fit]],
    kept: str,
    nested: Mapping[str, np.ndarray],
    reasons: Mapping[str, str],
) -> str:
    """The whole page. `ablation`: fits by step and board; `kept`: the step that the constants come from; `nested`: errors of choosing a step."""
    versions = constants["with"]
    parts = [
        _TEXT.read_text().rstrip(),
        f"Times: {constants['source']}. Counted with ncnn {versions['ncnn']} and LLVM {versions['llvm']} on {constants['date']}.",
        _ERRORS,
        _errors(chosen, constants["boards"]),
        _INTERVAL,
        _OWN,
        _STEPS,
        _steps(ablation, kept, nested),
        *(_board(board, rows, fit, constants["boards"][board]["high"]) for board, (rows, fit) in chosen.items()),
    ]
    if reasons:
        parts.append("## Left out\n\n" + "\n".join(f"- {network}: {reason}" for network, reason in reasons.items()))
    return "\n\n".join(parts) + "\n"


def _table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, ["---"] * len(head), *lines))


def _errors(chosen: Fits, constants: Mapping[str, Any]) -> str:
    lines = []
    for board, (rows, fit) in chosen.items():
        models, weights = ", ".join(LLVM_CORES[BOARDS[board].core]), ", ".join(f"{weight:.2f} × {name}" for name, weight in fit.weights.items())
        errors = f"{fit.mean:.1%} / {fit.median:.1%} / {fit.worst:.1%}"
        unseen = ", ".join(f"{ratio - 1:+.0%}" for row, ratio in zip(rows, fit.unseen, strict=True) if row.kind == "int8")
        core = f"{BOARDS[board].core}, {BOARDS[board].clock_mhz} MHz"
        own = constants[board]
        lines.append([board, core, models, weights, errors, unseen, f"{own['high']:.2f}", f"{own['covered']} of {own['networks']}"])
    head = ("board", "core", "LLVM's models", "clock cycles", "mean / median / worst error", "unseen kernels", "factor", "covered")
    return _table(head, lines)


def _steps(ablation: Mapping[str, Mapping[str, Fit]], kept: str, nested: Mapping[str, np.ndarray]) -> str:
    boards = list(next(iter(ablation.values())))
    lines = [
        [f"**{about}**" if about == kept else about, *(f"{fits[board].mean:.1%} ({fits[board].worst:.0%})" for board in boards)]
        for about, fits in ablation.items()
    ]
    lines.append(
        [
            "*each network by the step best on all others*",
            *(f"{np.abs(nested[board]).mean():.1%} ({np.abs(nested[board]).max():.0%})" for board in boards),
        ]
    )
    return _table(("", *boards), lines)


def _board(board: str, rows: Sequence[Row], fit: Fit, factor: float) -> str:
    lines = []
    for row, ratio in sorted(zip(rows, fit.ratios, strict=True), key=lambda pair: pair[0].published):
        million = [f"{row.events[name] / 1e6:.2f}" for name in ("instructions", "cycles", "l1d", "moved")]
        predicted = row.published * ratio
        times = [f"{row.published:.2f}", f"{predicted:.2f}", f"{predicted / factor:.2f} to {predicted * factor:.2f}"]
        lines.append([row.network, *million, *times, f"{ratio - 1:+.1%}"])
    head = ("network", "M instructions", "M cycles", "M l1d", "M moved", "published ms", "predicted ms, by the others", "interval", "error")
    return f"## {BOARDS[board].title}\n\n![Predicted against published times](figures/board-{board}.svg)\n\n{_table(head, lines)}"


def figure(title: str, rows: Sequence[Row], fit: Fit, factor: float, path: Path) -> None:
    """Predicted (each by the others) against published times, with the interval."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "edgeproof"  # the same file for the same numbers
    from matplotlib import pyplot, ticker

    published = [row.published for row in rows]
    predicted = [row.published * ratio for row, ratio in zip(rows, fit.ratios, strict=True)]
    ends = [min(published + predicted) * 0.8, max(published + predicted) * 1.25]
    drawing, axes = pyplot.subplots(figsize=(5.2, 4.6))
    axes.plot(ends, ends, color="#888", linewidth=1)
    axes.fill_between(ends, [end / factor for end in ends], [end * factor for end in ends], color="#888", alpha=0.15, linewidth=0)
    axes.scatter(published, predicted, s=24, zorder=3)
    for index, (x, y, row) in enumerate(sorted(zip(published, predicted, rows, strict=True), key=lambda point: point[:2])):
        offset, side = ((6, -7), "left") if index % 2 else ((-6, 2), "right")  # in turn: neighbours must not overlap
        axes.annotate(row.network, (x, y), xytext=offset, textcoords="offset points", fontsize=7, ha=side)
    axes.set(xscale="log", yscale="log", xlim=ends, ylim=ends, xlabel="published, ms", ylabel="predicted, ms", title=title)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
        axis.set_major_formatter("{x:g}")
        axis.set_minor_locator(ticker.NullLocator())
    path.parent.mkdir(parents=True, exist_ok=True)
    drawing.savefig(path, metadata={"Date": None}, bbox_inches="tight")
    pyplot.close(drawing)
