"""The charts of the dashboard as Vega-Lite specifications, built with Altair; the script that draws them comes with vl-convert.

A specification is made once a page. The page's script gives it the points of a workspace (data sets by name) and puts texts for its
placeholders: "@title", and lists for ["@formats"], ["@colours"], ["@names"] and ["@accuracies"]. Colours are those of the style sheet, so that
they follow its theme.
"""

from __future__ import annotations

from typing import Any

_INK, _SOFT, _LINE = "var(--ink)", "var(--soft)", "var(--line)"
_COLOURS = ["@colours"]
_SHAPES = ["circle", "square", "triangle-up", "diamond"]
FONT = "system-ui, sans-serif"


def specifications() -> dict[str, Any]:
    """By name: what `vegaEmbed` takes, without data."""
    return {"scatter": _scatter(), "distributions": _distributions(), "history": _history()}


def _scatter() -> dict[str, Any]:
    """Accuracy against time. Data sets: points {subject, runtime, time, low, high, accuracy, drop, bytes, verdict}, front {time, accuracy}."""
    import altair

    y = altair.Y("accuracy:Q", title="accuracy", axis=altair.Axis(format=".1%", tickCount=5), scale=altair.Scale(zero=False, domain=["@accuracies"]))
    x = altair.X(
        "time:Q", title="@title", scale=altair.Scale(type="log", nice=False, padding=28), axis=altair.Axis(labelOverlap="greedy", tickCount=6)
    )
    points = altair.Chart(altair.NamedData("points"))
    front = altair.Chart(altair.NamedData("front")).mark_line(interpolate="step-after", strokeDash=[5, 4], color=_SOFT, strokeWidth=1.5)
    intervals = points.mark_rule(strokeWidth=2, opacity=0.45).encode(x=x, x2="high:Q", y=y, color=_format_colour())
    intervals = intervals.transform_calculate(time="datum.low")
    symbols = points.mark_point(filled=True, opacity=0.95, stroke="var(--card)", strokeWidth=1).encode(
        x=x,
        y=y,
        color=_format_colour(),
        shape=altair.Shape("runtime:N", scale=altair.Scale(range=_SHAPES), legend=_legend(2)),
        size=altair.Size("bytes:Q", scale=altair.Scale(range=[70, 420], zero=True), legend=None),
        tooltip=[
            altair.Tooltip("subject:N", title="format"),
            altair.Tooltip("runtime:N"),
            altair.Tooltip("said:N", title="time"),
            altair.Tooltip("accuracy:Q", format=".3%"),
            altair.Tooltip("drop:N", title="drop, pp (95 %)"),
            altair.Tooltip("verdict:N"),
            altair.Tooltip("bytes:Q", format=","),
        ],
    )
    return _finished(altair.layer(front.encode(x=x, y=y), intervals, symbols), 340)


def _distributions() -> dict[str, Any]:
    """A strip a file and runtime, the darker the more runs took so long. Data sets: bins {name, subject, low, high, share}, marks {name, p50, p99,
    said}."""
    import altair

    x = altair.X("low:Q", title="@title", scale=altair.Scale(type="log", nice=False), axis=altair.Axis(labelOverlap="greedy", tickCount=6))
    y = altair.Y("name:N", sort=["@names"], axis=None)
    bins = altair.Chart(altair.NamedData("bins")).mark_rect(height=13, yOffset=7)
    bins = bins.encode(x=x, x2="high:Q", y=y, color=_format_colour(legend=False), opacity=altair.Opacity("share:Q", scale=None, legend=None))
    marks = altair.Chart(altair.NamedData("marks"))
    middle = marks.mark_tick(color=_INK, thickness=2, height=19, yOffset=7).encode(
        x="p50:Q", y=y, tooltip=[altair.Tooltip("name:N", title="file"), altair.Tooltip("said:N", title="time")]
    )
    names = marks.mark_text(align="left", baseline="middle", dy=-8, fontSize=11.5, color=_INK).encode(x=altair.value(0), y=y, text="label:N")
    return _finished(altair.layer(bins, middle, names), 300)


def _history() -> dict[str, Any]:
    """A line a file, runtime and machine. Data set: lines {when, value, low, high, series, subject, runtime, commit, said}."""
    import altair

    lines = altair.Chart(altair.NamedData("lines"))
    x = altair.X("when:T", title=None, axis=altair.Axis(labelOverlap="greedy", tickCount=6, format="%b %d %H:%M"))
    y = altair.Y(
        "value:Q", title="@title", scale=altair.Scale(type="log", nice=False, padding=18), axis=altair.Axis(tickCount=5, labelOverlap="greedy")
    )
    colour = _format_colour()
    band = lines.mark_area(opacity=0.13).encode(x=x, y=altair.Y("low:Q", title="@title"), y2="high:Q", color=colour, detail="series:N")
    band = band.transform_filter("isValid(datum.low)")
    way = lines.mark_line(strokeWidth=1.6, opacity=0.8).encode(x=x, y=y, color=colour, detail="series:N")
    symbols = lines.mark_point(filled=True, size=26).encode(
        x=x,
        y=y,
        color=colour,
        shape=altair.Shape("runtime:N", scale=altair.Scale(range=_SHAPES), legend=_legend(2)),
        tooltip=[
            altair.Tooltip("commit:N"),
            altair.Tooltip("when:T", format="%Y-%m-%d %H:%M"),
            altair.Tooltip("series:N", title="file"),
            altair.Tooltip("said:N", title="value"),
        ],
    )
    return _finished(altair.layer(band, way, symbols), 300)


def _format_colour(legend: bool = True) -> Any:
    import altair

    scale = altair.Scale(domain=["@formats"], range=_COLOURS)
    return altair.Color("subject:N", title="format", scale=scale, legend=_legend(2) if legend else None)


def _legend(columns: int) -> Any:
    import altair

    return altair.Legend(orient="bottom", direction="vertical", columns=columns, symbolOpacity=1)


def _finished(chart: Any, height: Any) -> dict[str, Any]:
    chart = chart.properties(width="container", height=height).configure(background="transparent", font=FONT)
    chart = chart.configure_view(stroke=None).configure_axis(
        labelColor=_SOFT,
        titleColor=_SOFT,
        gridColor=_LINE,
        domainColor=_LINE,
        tickColor=_LINE,
        labelFontSize=11,
        titleFontSize=11.5,
        titleFontWeight=500,
    )
    chart = chart.configure_legend(
        labelColor=_INK, titleColor=_SOFT, titleFontWeight=500, labelFontSize=11.5, symbolBaseFillColor=_SOFT, symbolBaseStrokeColor=_SOFT
    )
    return dict(chart.to_dict())


def vega_bundle() -> str:
    """The script that draws the specifications: `window.vegaEmbed`."""
    import vl_convert

    return str(vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;"))
