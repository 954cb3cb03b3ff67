"""300 images instead of 8,400: is one told so, and does the number of images that is then asked for settle the matter?"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np

from benchmarks.outputs import from_arrays, outputs_file
from benchmarks.parity import DEFAULT_MARGIN_PP, FAIL, INCONCLUSIVE, decide, verdict_of
from benchmarks.statistics import images_to_decide, tango_interval
from edgeproof.workspace import Workspace
from evidence.findings import Finding, Places

SUBSETS, SUBSET_IMAGES, RESAMPLES = 200, 300, 200
SHARE = 0.8


def prove(places: Places) -> list[Finding]:
    command = places.command("small-sets")
    settled = [settles(name, flips_by_row(workspace), command) for name, workspace in places.workspaces.items()]
    return [said_before(places.workspaces["compact"], command), *settled]


def said_before(workspace: Workspace, command: str, images: int = SUBSET_IMAGES) -> Finding:
    """`edgeproof parity` on a copy of the workspace with fewer validation images: in which order does it say what?"""
    with tempfile.TemporaryDirectory() as folder:
        small = Workspace(Path(folder) / "w")
        shutil.copytree(workspace.path, small.path, ignore=shutil.ignore_patterns("latency", "outputs", "figures"))
        validation = workspace.read_arrays("validation.npz")
        chosen = np.random.default_rng(0).choice(len(validation["labels"]), images, replace=False)
        small.write_arrays("validation.npz", {name: array[chosen] for name, array in validation.items()})
        parity = [sys.executable, "-m", "edgeproof", "parity", "-w", str(small.path), "--runtime", "ai-edge-litert", "--kernels", "default"]
        done = subprocess.run(parity, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        warned = re.search(rf"{images} images cannot certify.*", done.stdout)
        started = re.search(r"Parity on \w+ …", done.stdout)
        before = bool(warned and started and warned.start() < started.start())
        verdict = small.read_json("parity.json")["verdict"]
    return Finding(
        f"{images} images instead of {len(validation['labels']):,}: INCONCLUSIVE, said before it runs",
        "the line stands before the first inference",
        f"{verdict}, exit code {done.returncode}; before it ran: “{warned[0] if warned else 'nothing'}”",
        before and (verdict, done.returncode) == (INCONCLUSIVE, 3),
        command,
    )


def flips_by_row(workspace: Workspace) -> dict[str, np.ndarray]:
    """Of every int8 row that gates: int [n], 1 where the export broke the image, -1 where it fixed it, else 0."""
    validation = workspace.read_arrays("validation.npz")
    labels, baseline = validation["labels"], validation["baseline_probabilities"].argmax(axis=1)
    rows = [row for row in workspace.read_json("parity.json")["rows"] if row["gates"] and "int8" in row["format"]]
    flips = {}
    for row in rows:
        export = from_arrays(workspace.read_arrays(outputs_file(**row))).labels
        flips[f"{row['format']} on {row['runtime']} ({row['kernels']})"] = (baseline == labels).astype(int) - (export == labels)
    return flips


@cache
def asked_for(broken: int, fixed: int, images: int) -> int | None:
    return images_to_decide(broken, fixed, images, DEFAULT_MARGIN_PP / 100)


@cache
def is_settled(broken: int, fixed: int, images: int) -> bool:
    lower, upper = (100 * bound for bound in tango_interval(broken, fixed, images))
    return verdict_of(lower, upper, DEFAULT_MARGIN_PP) != INCONCLUSIVE


def settled_shares(flips: np.ndarray, subsets: int, resamples: int) -> tuple[list[int], list[float], int]:
    """(images asked for, share of resamples that they settle) for each seeded subset of 300, and how many subsets FAIL outright."""
    rng = np.random.default_rng(0)
    asked, shares, failed = [], [], 0
    for _ in range(subsets):
        subset = rng.choice(flips, SUBSET_IMAGES, replace=False)
        broken, fixed = int((subset == 1).sum()), int((subset == -1).sum())
        failed += decide(broken, fixed, SUBSET_IMAGES, DEFAULT_MARGIN_PP)[0] == FAIL
        needed = asked_for(broken, fixed, SUBSET_IMAGES)
        if is_settled(broken, fixed, SUBSET_IMAGES) or needed is None:
            continue
        draws = rng.multinomial(needed, (np.mean(flips == 1), np.mean(flips == -1), np.mean(flips == 0)), size=resamples)  # with replacement
        asked.append(needed)
        shares.append(float(np.mean([is_settled(int(b), int(f), needed) for b, f, _ in draws])))
    return asked, shares, failed


def settles(name: str, rows: dict[str, np.ndarray], command: str, subsets: int = SUBSETS, resamples: int = RESAMPLES) -> Finding:
    """Averaged over subsets and rows: what a user who sees one subset may expect."""
    everything = [settled_shares(flips, subsets, resamples) for flips in rows.values()]
    asked = [count for counts, _, _ in everything for count in counts]
    by_row = {row: float(np.mean(shares)) for row, (_, shares, _) in zip(rows, everything, strict=True)}
    mean = float(np.mean(list(by_row.values())))
    failed = sum(count for _, _, count in everything)
    rates = [100 * float(np.mean(flips != 0)) for flips in rows.values()]
    return Finding(
        f"{name}: the number of images asked for after {SUBSET_IMAGES} settles it (int8 rows, {subsets} subsets each, {resamples} resamples of each)",
        f"≥ {100 * SHARE:.0f} % of resamples",
        f"{100 * mean:.0f} % ({_span([100 * share for share in by_row.values()])} % by row, flips {_span(rates, 2)} %); asked for "
        f"{int(np.median(asked)):,} images in the median (80 % between {int(np.quantile(asked, 0.1)):,} and {int(np.quantile(asked, 0.9)):,}); "
        f"{failed} of {subsets * len(rows)} subsets fail outright",
        min(by_row.values()) >= SHARE,
        command,
    )


def _span(values: Sequence[float], digits: int = 0) -> str:
    low, high = (f"{value:.{digits}f}" for value in (min(values), max(values)))
    return low if low == high else f"{low} to {high}"
