"""docs/boards.md: how times on boards are predicted, and how wrong that was on networks with published times."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.boards import BOARDS
from benchmarks.predict import LLVM_CORES
from evidence.weights import COVERAGE, Fit, Row

Fits = Mapping[str, tuple[Sequence[Row], Fit]]

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
        "## Errors\n\nEach network predicted with the weights that all others give, one thread.",
        _errors(chosen),
        f"Interval: factors of a prediction that leave at least {COVERAGE:.0%} of networks like these inside (conformal, from the same errors).",
        _STEPS,
        _steps(ablation, kept, nested),
        *(_board(board, rows, fit) for board, (rows, fit) in chosen.items()),
    ]
    if reasons:
        parts.append("## Left out\n\n" + "\n".join(f"- {network}: {reason}" for network, reason in reasons.items()))
    return "\n\n".join(parts) + "\n"


def _table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, ["---"] * len(head), *lines))


def _errors(chosen: Fits) -> str:
    lines = []
    for board, (rows, fit) in chosen.items():
        low, high = fit.interval()
        model, weights = ", ".join(LLVM_CORES[BOARDS[board].core]), ", ".join(f"{weight:.2f} × {name}" for name, weight in fit.weights.items())
        errors = f"{fit.mean:.1%} / {fit.median:.1%} / {fit.worst:.1%}"
        core = f"{BOARDS[board].core}, {BOARDS[board].clock_mhz} MHz"
        lines.append([board, core, model, weights, str(len(rows)), errors, f"× {low:.2f} to {high:.2f}", f"{fit.covered()} of {len(rows)}"])
    return _table(("board", "core", "LLVM's model", "clock cycles", "networks", "mean / median / worst error", "interval", "covered"), lines)


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


def _board(board: str, rows: Sequence[Row], fit: Fit) -> str:
    lines = []
    for row, ratio in sorted(zip(rows, fit.ratios, strict=True), key=lambda pair: pair[0].published):
        million = [f"{row.events[name] / 1e6:.2f}" for name in ("instructions", "cycles", "l1d", "moved")]
        lines.append([row.network, *million, f"{row.published:.2f}", f"{row.published * ratio:.2f}", f"{ratio - 1:+.1%}"])
    head = ("network", "M instructions", "M cycles", "M l1d", "M moved", "published ms", "predicted ms, by the others", "error")
    return f"## {BOARDS[board].title}\n\n![Predicted against published times](figures/board-{board}.svg)\n\n{_table(head, lines)}"


def figure(title: str, rows: Sequence[Row], fit: Fit, path: Path) -> None:
    """Predicted (each by the others) against published times, with the interval."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "edgeproof"  # the same file for the same numbers
    from matplotlib import pyplot

    published = [row.published for row in rows]
    predicted = [row.published * ratio for row, ratio in zip(rows, fit.ratios, strict=True)]
    low, high = fit.interval()
    ends = [min(published + predicted) * 0.8, max(published + predicted) * 1.25]
    drawing, axes = pyplot.subplots(figsize=(5.2, 4.6))
    axes.plot(ends, ends, color="#888", linewidth=1)
    axes.fill_between(ends, [end / high for end in ends], [end / low for end in ends], color="#888", alpha=0.15, linewidth=0)
    axes.scatter(published, predicted, s=24, zorder=3)
    for row, x, y in zip(rows, published, predicted, strict=True):
        axes.annotate(row.network, (x, y), xytext=(4, -8), textcoords="offset points", fontsize=7)
    axes.set(xscale="log", yscale="log", xlim=ends, ylim=ends, xlabel="published, ms", ylabel="predicted, ms", title=title)
    path.parent.mkdir(parents=True, exist_ok=True)
    drawing.savefig(path, metadata={"Date": None}, bbox_inches="tight")
    pyplot.close(drawing)
