"""The dashboard: one HTML file that shows what was proved and measured. Works from `file://`, asks no network.

The chart is Vega-Lite, built with Altair; its script comes from vl-convert's bundle and is written into the page.
"""

from __future__ import annotations

import base64
import io
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from benchmarks.reports.summary import recommend, summarize
from benchmarks.reports.terminal import COLUMNS, summary_cells
from benchmarks.results import LatencyResult

MAX_FLIPS = 60  # pictures in the gallery; the table of verdicts counts them all
_PICTURE_SIDE = 84  # pixels
_LEAST_ACCURACY_RANGE = 0.01

# (baseline, export) probabilities of each flip of a parity row, in the order of the report
FlipProbabilities = Mapping[int, Sequence[tuple[Sequence[float], Sequence[float]]]]


@dataclass(frozen=True)
class Flip:
    """One picture whose answer changed in one format. Labels are class numbers."""

    index: int
    label: int
    baseline: int
    export: int
    row: int  # of the parity report, the first on which it flipped
    place: int  # among that row's flips
    format: str
    runtimes: tuple[str, ...] = ()

    @property
    def broken(self) -> bool:
        return self.baseline == self.label

    @property
    def fixed(self) -> bool:
        return self.export == self.label


def render(
    *,
    parity: Mapping[str, Any],
    manifest: Mapping[str, Any],
    dataset: Mapping[str, Any],
    training: Mapping[str, Any],
    latency: Sequence[LatencyResult],
    images: np.ndarray,
    probabilities: FlipProbabilities,
) -> str:
    """The page, from the workspace's JSON files, the validation images uint8 [n, H, W, C] and the probabilities of the flips."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(loader=PackageLoader("benchmarks"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    rows = summarize(parity, manifest, latency)
    flips = _flips(parity)
    charted = [asdict(row) for row in rows if row.accuracy is not None and row.p50_us is not None]
    return environment.get_template("dashboard.html.j2").render(
        parity=parity,
        manifest=manifest,
        dataset=dataset,
        training=training,
        latency=latency[0].fields if latency else None,
        recommendation=recommend(rows, manifest, parity["margin_pp"]),
        columns=COLUMNS,
        rows=[(row, summary_cells(row)) for row in rows],
        chart=_scatter(charted, parity["baseline"]["accuracy"]) if charted else None,
        vega=_vega_bundle() if charted else "",
        cards=[_card(flip, dataset["class_names"], images, probabilities) for flip in flips[:MAX_FLIPS]],
        flip_count=len(flips),
    )


def _scatter(rows: Sequence[Mapping[str, Any]], baseline_accuracy: float) -> str:
    """Accuracy against latency as a Vega-Lite specification (JSON)."""
    import altair

    scale = altair.Scale(domain=_accuracy_domain(rows, baseline_accuracy), zero=False)
    points = altair.Chart(altair.Data(values=list(rows))).mark_point(size=140, filled=True, opacity=0.9)
    points = points.encode(
        x=altair.X("p50_us:Q", title="median latency, µs (this machine)", scale=altair.Scale(type="log", nice=True)),
        y=altair.Y(
            "accuracy:Q",
            title="accuracy on validation images",
            axis=altair.Axis(format=".1%"),
            scale=scale,
        ),
        color=altair.Color("format:N", scale=altair.Scale(scheme="tableau10")),
        shape=altair.Shape("runtime:N"),
        tooltip=[
            altair.Tooltip("format:N"),
            altair.Tooltip("runtime:N"),
            altair.Tooltip("accuracy:Q", format=".3%"),
            altair.Tooltip("drop_upper_pp:Q", title="drop at most, pp (95 %)", format=".3f"),
            altair.Tooltip("p50_us:Q", title="p50, µs", format=".1f"),
            altair.Tooltip("p99_us:Q", title="p99, µs", format=".1f"),
            altair.Tooltip("bytes:Q", format=","),
        ],
    )
    line = (
        altair.Chart(altair.Data(values=[{"accuracy": baseline_accuracy}]))
        .mark_rule(strokeDash=[4, 4], color="#888")
        .encode(y=altair.Y("accuracy:Q", scale=scale))
    )
    chart = (line + points).properties(width="container", height=320)
    chart = chart.configure(background="transparent").configure_axis(labelColor="#888", titleColor="#888", gridColor="#8884", domainColor="#888")
    return json.dumps(
        chart.configure_legend(
            labelColor="#888", titleColor="#888", orient="bottom", direction="vertical", symbolBaseFillColor="#888", symbolBaseStrokeColor="#888"
        )
        .configure_view(stroke="#8884")
        .to_dict()
    )


def _accuracy_domain(rows: Sequence[Mapping[str, Any]], baseline: float) -> list[float]:
    """At least a percentage point high: on a tighter axis, one flipped image would look like a cliff."""
    values = [baseline, *(row["accuracy"] for row in rows)]
    middle, half = (min(values) + max(values)) / 2, max((max(values) - min(values)) * 0.6, _LEAST_ACCURACY_RANGE / 2)
    return [max(middle - half, 0.0), min(middle + half, 1.0)]


def _vega_bundle() -> str:
    import vl_convert

    return str(vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;"))


def _flips(parity: Mapping[str, Any]) -> list[Flip]:
    """One entry a picture, format and answer, whatever runtimes it flipped on; broken ones first: they are what one looks for."""
    place: Counter[int] = Counter()
    flips: dict[tuple[int, str, int], Flip] = {}
    for flip in parity["flips"]:
        row = parity["rows"][flip["row"]]
        key = (flip["index"], row["format"], flip["export"])
        former = flips.get(key) or Flip(**flip, format=row["format"], place=place[flip["row"]])
        flips[key] = replace(former, runtimes=(*former.runtimes, row["runtime"]))
        place[flip["row"]] += 1
    return sorted(flips.values(), key=lambda flip: (not flip.broken, not flip.fixed, flip.index))


def _card(flip: Flip, names: Sequence[str], images: np.ndarray, probabilities: FlipProbabilities) -> dict[str, Any]:
    """What the gallery shows of a flip: the picture, and (class, baseline probability, export probability) of both answers and the truth."""
    before, after = probabilities[flip.row][flip.place]
    shown = dict.fromkeys((flip.baseline, flip.export, flip.label))
    return {
        "flip": flip,
        "picture": _data_uri(images[flip.index]),
        "truth": names[flip.label],
        "bars": [(names[label], before[label], after[label]) for label in shown],
    }


def _data_uri(image: np.ndarray) -> str:
    from PIL import Image

    picture = Image.fromarray(image.squeeze(-1) if image.shape[-1] == 1 else image)
    picture = picture.resize((_PICTURE_SIDE, _PICTURE_SIDE), Image.Resampling.NEAREST)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
