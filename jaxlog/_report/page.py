"""The report: one HTML page about some runs, which loads nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import orjson

from jaxlog._analysis.html_pages import brief, inline, rendered
from jaxlog._format.names import CATEGORIES
from jaxlog._reading.run_frames import RunFrames
from jaxlog._report.array_images import array_images
from jaxlog._report.call_charts import CallCharts, charts_of_calls, thinned
from jaxlog._report.charts import MOST_DRAWN, Figure, LegendEntry, figure, legend
from jaxlog._report.comparison import ComparisonTable, comparison
from jaxlog._report.encoding import encoded
from jaxlog._report.episode_images import episode_images
from jaxlog._report.summary import Summary

_PACKAGE = "jaxlog._report"
_SCRIPTS = ("jaxlog._page:static/numbers.js", "drawing.js", "interaction.js")
"""One after the other they are the page's script."""
_STYLES = ("jaxlog._page:static/colours.css", "report.css")

_MOST_NOTES = 4
"""The number of notes that a section shows."""
_MOST_OPEN = 2
"""Up to this number of runs their summaries are open; with more, only the names are visible."""


def page(
    runs: Sequence[RunFrames],
    names: Sequence[str],
    summaries: Sequence[Summary],
    made: datetime,
) -> str:
    """The whole page.

    Args:
      runs: at least one.
      names: one per run, distinct.
      summaries: one per run.
      made: the time that the page shows as its own.
    """
    found = charts_of_calls(runs, names, [summary.unfinished for summary in summaries])
    thinned(found)
    images = [(name, episode_images(run)) for run, name in zip(runs, names, strict=True)]
    arrays = [(name, array_images(run)) for run, name in zip(runs, names, strict=True)]
    return rendered(
        _PACKAGE,
        "report.html.jinja",
        style=inline(_PACKAGE, *_STYLES),
        script=inline(_PACKAGE, *_SCRIPTS),
        title=brief(summaries[0].name) if len(runs) == 1 else f"{len(runs)} runs",
        made=made,
        summaries=summaries,
        summaries_are_open=len(runs) <= _MOST_OPEN,
        calls=[_section(number, call) for number, call in enumerate(found)],
        arrays=[(name, shown) for name, shown in arrays if shown],
        episodes=[(name, shown) for name, shown in images if shown is not None],
        chosen=[(name, _chosen(run.info)) for run, name in zip(runs, names, strict=True)],
        data=encoded(found),
    )


class _Section(NamedTuple):
    """The part of the page about a call.

    Attributes:
      number: the call's place in the script's data.
      name: the call's.
      note: how to read the charts.
      warnings: what a reader has to know about the lines.
      drawn: the number of groups in a chart without the script; None if that is all of them.
      legend: the groups.
      charts: titles of categories with their charts; without a title if there is only one.
      charts_beside: the charts of `std`, `min` and `max` of metrics that have a mean.
      comparison: the groups' last values; None if the call has no charts.
    """

    number: int
    name: str
    note: str
    warnings: Sequence[str]
    drawn: int | None
    legend: Sequence[LegendEntry]
    charts: Sequence[tuple[str, Sequence[Figure]]]
    charts_beside: Sequence[Figure]
    comparison: ComparisonTable | None


def _section(number: int, call: CallCharts) -> _Section:
    of_category: dict[str, list[Figure]] = {category: [] for category in CATEGORIES}
    charts_beside: list[Figure] = []
    for place, chart in enumerate(call.charts):
        group = charts_beside if chart.beside else of_category[chart.info.category]
        group.append(figure(place, chart, call))
    shown = [(category, figures) for category, figures in of_category.items() if figures]
    return _Section(
        number=number,
        name=call.name,
        note=_note(call),
        warnings=call.notes[:_MOST_NOTES],
        drawn=MOST_DRAWN if len(call.groups) > MOST_DRAWN else None,
        legend=legend(call),
        charts=[("", figures) for _, figures in shown] if len(shown) == 1 else shown,
        charts_beside=charts_beside,
        comparison=comparison(call) if call.charts else None,
    )


def _note(call: CallCharts) -> str:
    """Counts the lines and lanes, and explains the charts."""
    lanes = f"{call.num_lanes:,} {'lane' if call.num_lanes == 1 else 'lanes'}"
    notes = [f"{call.lines:,} lines of {lanes}."]
    if any(len(group.lanes) > 1 for group in call.groups):
        notes.append(
            "A curve is the mean over the lanes of a group that are alive, and its band is one "
            "standard deviation. The curve is dashed where a lane of the group has diverged."
        )
    if len(call.groups) < call.num_groups:
        notes.append(f"{len(call.groups)} of {call.num_groups:,} groups are shown, spread evenly.")
    if len(call.lanes) < sum(len(group.lanes) for group in call.groups):
        notes.append(f"{len(call.lanes)} lanes have curves of their own, spread evenly.")
    return " ".join(notes)


def _chosen(info: Mapping[str, Any]) -> Sequence[tuple[str, str]]:
    """A run's config and settings, each as a title and JSON."""
    return [
        (title, orjson.dumps(info[key], option=orjson.OPT_INDENT_2).decode())
        for key, title in (("config", "Config"), ("settings", "Settings"))
        if info.get(key)
    ]
