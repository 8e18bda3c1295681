"""The page: what it shows of runs, in its order, and that it loads nothing."""

from __future__ import annotations

import importlib.resources
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

import orjson

from jaxlog._format.names import CATEGORIES
from jaxlog._reading.run_frames import RunFrames
from jaxlog._report.call_charts import CallCharts, charts_of_calls, thinned
from jaxlog._report.charts import figure, legend, nothing, without_script
from jaxlog._report.comparison import comparison
from jaxlog._report.encoding import encoded
from jaxlog._report.episode_images import gallery, pictures
from jaxlog._report.html import Html, brief, hash_of, joined, json_block, tag
from jaxlog._report.summary import Summary, summarised

_SCRIPTS = ("numbers.js", "drawing.js", "asking.js")
"""One after the other they are the page's script."""

_NOTES = 4
"""So many notes a section has."""
_OPEN = 2
"""Of so many runs the summaries are open; of more, their names stand below each other."""


def page(
    runs: Sequence[RunFrames],
    names: Sequence[str],
    summaries: Sequence[Summary],
    made: datetime,
) -> str:
    """The whole page.

    Args:
      runs: at least one.
      names: what tells them from each other.
      summaries: of each run.
      made: when.
    """
    style, script = _packaged("report.css"), "\n".join(map(_packaged, _SCRIPTS))
    found = charts_of_calls(runs, names, [summary.unfinished for summary in summaries])
    thinned(found)
    title = brief(summaries[0].name) if len(runs) == 1 else f"{len(runs)} runs"
    policy = (
        f"default-src 'none'; img-src data:; style-src {hash_of(style)}; "
        f"script-src {hash_of(script)}; base-uri 'none'; form-action 'none'"
    )
    head = tag(
        "head",
        Html('<meta charset="utf-8">'),
        Html(f'<meta http-equiv="Content-Security-Policy" content="{policy}">'),
        Html('<meta name="viewport" content="width=device-width, initial-scale=1">'),
        Html('<meta name="color-scheme" content="light dark">'),
        tag("title", f"{title} · jaxlog"),
        Html(f"<style>{style}</style>"),
    )
    sections = [
        _section(
            "summary",
            "Summary",
            *(summarised(one, is_open=len(runs) <= _OPEN) for one in summaries),
        ),
        *(_curves(number, call) for number, call in enumerate(found)),
        *(
            _section(f"comparison-{number}", f"Comparison · {call.name}", comparison(call))
            for number, call in enumerate(found)
            if call.charts
        ),
        *_episodes(runs, names),
        _section("settings", "Settings", *map(_settings, runs, names)),
    ]
    links = (tag("a", section.title, href=f"#{section.name}") for section in sections)
    body = tag(
        "body",
        tag(
            "header",
            tag("h1", tag("bdi", title)),
            tag("p", f"jaxlog report · {made:%Y-%m-%d %H:%M %Z}"),
            tag("nav", *links, aria_label="sections"),
        ),
        tag("main", *(section.body for section in sections)),
        json_block(encoded(found), "data"),
        Html(f"<script>{script}</script>"),
    )
    return f"<!doctype html>\n{tag('html', head, body, lang='en')}\n"


def _packaged(name: str) -> str:
    return importlib.resources.files("jaxlog._report").joinpath(name).read_text("utf-8")


class _Section(NamedTuple):
    name: str
    title: str
    body: Html


def _section(name: str, title: str, *inside: str) -> _Section:
    heading = tag("h2", title, id=f"{name}-title")
    body = tag("section", heading, *inside, id=name, aria_labelledby=f"{name}-title")
    return _Section(name, title, body)


def _curves(number: int, call: CallCharts) -> _Section:
    sized = (
        f"{call.lines:,} lines of {call.num_lanes:,} {'lane' if call.num_lanes == 1 else 'lanes'}"
    )
    notes = [sized + "."]
    if any(len(group.lanes) > 1 for group in call.groups):
        notes.append(
            "Of a group, lines are means over its lanes that are alive, and bands one standard "
            "deviation. A line is dashed where lanes of its group have diverged."
        )
    if len(call.groups) < call.num_groups:
        notes.append(f"{len(call.groups)} of {call.num_groups:,} groups are shown, spread evenly.")
    if len(call.lanes) < sum(len(group.lanes) for group in call.groups):
        notes.append(f"{len(call.lanes)} lanes have curves of their own, spread evenly.")
    front = [i for i, chart in enumerate(call.charts) if not chart.beside]
    behind = [i for i, chart in enumerate(call.charts) if chart.beside]
    parts: list[Html] = []
    for category in CATEGORIES:
        of = [i for i in front if call.charts[i].info.category == category]
        if of:
            parts += [] if len(of) == len(front) else [tag("h3", category)]
            parts.append(_grid(number, of, call))
    if behind:
        told = f"std, min and max of these ({len(behind)} charts)"
        parts.append(
            tag("details", tag("summary", told), _grid(number, behind, call), class_="more")
        )
    return _section(
        f"curves-{number}",
        f"Curves · {call.name}",
        tag("p", " ".join(notes), class_="note"),
        *(tag("p", tag("bdi", note), class_="note") for note in call.notes[:_NOTES]),
        without_script(call),
        tag(
            "div",
            tag("ul", *legend(call), class_="legend"),
            class_="controls",
            data_call=str(number),
        ),
        *(parts or [nothing()]),
    )


def _grid(number: int, charts: Sequence[int], call: CallCharts) -> Html:
    figures = (figure(number, i, call.charts[i], call) for i in charts)
    return tag("div", *figures, class_="charts")


def _episodes(runs: Sequence[RunFrames], names: Sequence[str]) -> list[_Section]:
    parts: list[Html] = []
    for run, name in zip(runs, names, strict=True):
        found, there_are = pictures(run)
        if there_are:
            parts += [tag("h3", tag("bdi", brief(name)))] if len(runs) > 1 else []
            parts.append(gallery(found, there_are))
    return [_section("episodes", "Episodes", *parts)] if parts else []


def _settings(run: RunFrames, name: str) -> Html:
    blocks: list[Html] = []
    for key, title in (("config", "Configuration"), ("settings", "Settings of the logger")):
        said: Any = run.info.get(key)
        if said:
            text = orjson.dumps(said, option=orjson.OPT_INDENT_2).decode()
            blocks.append(joined(tag("h4", title), tag("pre", text, tabindex="0")))
    if not blocks:
        blocks = [tag("p", "run.json tells none.", class_="note")]
    return tag("details", tag("summary", tag("bdi", brief(name))), *blocks, class_="settings")
