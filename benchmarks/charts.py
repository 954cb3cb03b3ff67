"""The charts of the dashboard as Vega-Lite specifications, built with Altair; the script that draws them comes with vl-convert."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

_LEAST_ACCURACY_RANGE = 0.01
_GREY = "#888"  # readable on light and on dark


def scatter(rows: Sequence[Mapping[str, Any]], baseline_accuracy: float) -> str:
    """Accuracy against latency as a Vega-Lite specification (JSON)."""
    import altair

    scale = altair.Scale(domain=_accuracy_domain(rows, baseline_accuracy), zero=False)
    time = altair.Scale(type="log", nice=False, padding=24)
    points = altair.Chart(altair.Data(values=list(rows))).mark_point(size=140, filled=True, opacity=0.9)
    points = points.encode(
        x=altair.X("p50_us:Q", title="median latency, µs (this machine)", scale=time, axis=altair.Axis(labelOverlap="greedy")),
        y=altair.Y("accuracy:Q", title="accuracy on validation images", axis=altair.Axis(format=".1%"), scale=scale),
        color=altair.Color("subject:N", title="format", scale=altair.Scale(scheme="tableau10"), legend=_legend(columns=2)),
        shape=altair.Shape("runtime:N", legend=_legend(columns=1)),
        tooltip=[
            altair.Tooltip("subject:N", title="format"),
            altair.Tooltip("runtime:N"),
            altair.Tooltip("accuracy:Q", format=".3%"),
            altair.Tooltip("drop_upper_pp:Q", title="drop at most, pp (95 %)", format=".3f"),
            altair.Tooltip("p50_us:Q", title="p50, µs", format=".1f"),
            altair.Tooltip("p99_us:Q", title="p99, µs", format=".1f"),
            altair.Tooltip("bytes:Q", format=","),
        ],
    )
    line = altair.Chart(altair.Data(values=[{"accuracy": baseline_accuracy}])).mark_rule(strokeDash=[4, 4], color=_GREY)
    chart = (line.encode(y=altair.Y("accuracy:Q", scale=scale)) + points).properties(width="container", height=320)
    chart = chart.configure(background="transparent").configure_view(stroke=f"{_GREY}4")
    chart = chart.configure_axis(labelColor=_GREY, titleColor=_GREY, gridColor=f"{_GREY}4", domainColor=_GREY)
    return json.dumps(chart.configure_legend(labelColor=_GREY, titleColor=_GREY, symbolBaseFillColor=_GREY, symbolBaseStrokeColor=_GREY).to_dict())


def _legend(columns: int) -> Any:
    import altair

    return altair.Legend(orient="bottom", direction="vertical", columns=columns)


def _accuracy_domain(rows: Sequence[Mapping[str, Any]], baseline: float) -> list[float]:
    """At least a percentage point high: on a tighter axis, one flipped image would look like a cliff."""
    values = [baseline, *(row["accuracy"] for row in rows)]
    middle, half = (min(values) + max(values)) / 2, max((max(values) - min(values)) * 0.6, _LEAST_ACCURACY_RANGE / 2)
    return [max(middle - half, 0.0), min(middle + half, 1.0)]


def vega_bundle() -> str:
    """The script that draws the specifications: `window.vegaEmbed`."""
    import vl_convert

    return str(vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;"))
