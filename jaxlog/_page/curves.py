"""The curves of the groups of one metric: all lanes combined first, then thinned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from jaxlog._analysis.along import ALONG
from jaxlog._analysis.group_curves import SPREADS, GroupCurve, Spread
from jaxlog._analysis.scores import less_is_better
from jaxlog._page.asked import AbsentError, Asked
from jaxlog._page.chart_values import ChartCurves, ChartOf, CurveOfGroup
from jaxlog._page.numbers import binary_body
from jaxlog._page.thinning import ThinCurve, thinned
from jaxlog._terminal import plain
from jaxlog._text import counted

MOST_GROUPS = 200
"""The most groups that have a curve each; of more, quantiles over the groups are shown."""
LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
"""The quantiles over groups; the third is the line."""
BANDS: Mapping[str, Spread] = {
    "std": "std",
    "iqr": "iqr",
    "ci": "ci",
    "range": "range",
    "none": None,
}
MOST_POINTS = 5_000


class ChartQuery(NamedTuple):
    """A chart that the page asks for.

    Attributes:
      of: the metric, the groups and the axis.
      band: one of `BANDS`.
      begin: the first x that is shown.
      end: the last x that is shown.
      points: the most points of a curve.
      only: the name of the only group that is wanted; empty for all.
    """

    of: ChartOf
    band: str
    begin: float
    end: float
    points: int
    only: str

    @classmethod
    def read(cls, asked: Asked, by: Sequence[str], pinned: Sequence[str] = ()) -> ChartQuery:
        """Reads the parameters of an address.

        Args:
          asked: the parameters.
          by: the names that define the groups.
          pinned: the names of runs that have a curve of their own.

        Raises:
          AskedError: one cannot be read.
        """
        band, x = asked.choice("band", list(BANDS)), asked.choice("x", list(ALONG))
        points = asked.integer("points", 600, 2, MOST_POINTS)
        call, key = asked.text("call"), asked.text("key")
        choice = repr((asked.text("where"), sorted(asked.listed("off"))))
        return cls(
            ChartOf(call, key, tuple(by), x, BANDS[band], tuple(pinned), points, choice),
            band,
            asked.number("from", -np.inf),
            asked.number("to", np.inf),
            points,
            asked.text("only"),
        )


@dataclass(frozen=True)
class _Group:
    """A group with its curve.

    Attributes:
      name: its name.
      colour: its place in the order of the names.
      runs: the number of its runs.
      curve: the whole curve.
      thin: the part that is shown.
      place: `best`, `worst` or `pinned`; or the quantiles that it shows.
    """

    name: str
    colour: int
    runs: int
    curve: GroupCurve
    thin: ThinCurve
    place: str = ""

    def header(self, at: int) -> dict[str, Any]:
        """The entry of the group in the header.

        Args:
          at: the offset of its arrays.
        """
        curve = self.curve
        ends = {"middle": curve.middle, "lower": curve.lower, "upper": curve.upper}
        return {
            "name": plain(self.name),
            "colour": self.colour,
            "runs": self.runs,
            "lanes": curve.lanes,
            "alive": curve.alive,
            "unfinished": curve.unfinished,
            "points": len(self.thin.x),
            "last": {name: float(end[-1]) for name, end in ends.items()} if len(curve.x) else None,
            "at": at,
            "place": self.place,
        }


def curves(
    found: ChartCurves, query: ChartQuery, version: int, notes: Sequence[str], python: str
) -> bytes:
    """The answer to `curves`.

    Args:
      found: the curves.
      query: what is wanted.
      version: the version of the runs.
      notes: what a reader has to know of the runs.
      python: the code that makes the figure.

    Raises:
      AbsentError: there is no group of the name that is wanted.
    """
    of = query.of
    groups = [_group(own, colour, query) for colour, own in enumerate(found.groups)]
    total = len(groups)
    if query.only:
        groups = [group for group in groups if plain(group.name) == query.only]
        if not groups and found.read == found.of:
            raise AbsentError(f"only: got {query.only!r:.100}, which is no group")
    every = groups
    left_out = 0
    lower_is_better = less_is_better(of.key)
    if len(groups) > MOST_GROUPS:
        groups = _summarized(groups, query, lower_is_better=lower_is_better)
        left_out = total - 2
    pins = enumerate(found.pinned)
    groups = [*groups, *(_group(own, colour, query, "pinned") for colour, own in pins)]
    arrays: list[np.ndarray] = []
    headers: list[dict[str, Any]] = []
    at = 0
    for group in groups:
        own = group.thin.arrays()
        pad = -sum(array.nbytes for array in own) % 8
        headers.append(group.header(at))
        arrays += [*own, np.zeros(pad // 4, np.float32)]
        at += sum(array.nbytes for array in own) + pad
    _, title, kind = ALONG[of.x]
    header = {
        "version": version,
        "read": found.read,
        "of": found.of,
        "x": {"title": title, "kind": kind},
        "y": {"title": plain(of.key)},
        "call": plain(of.call),
        "band": SPREADS[found.spread],
        "by": [plain(name) for name in found.by],
        "group": plain(", ".join(found.by)),
        "lower_is_better": lower_is_better,
        "groups": headers,
        "notes": [
            *_reading(found),
            *map(plain, notes),
            *found.notes,
            *_notes(every, query),
        ],
        "left_out": left_out,
        "total_groups": total,
        "python": python,
        "fewer": any(group.curve.fewer.any() for group in every),
    }
    return binary_body(header, arrays)


def _group(own: CurveOfGroup, colour: int, query: ChartQuery, place: str = "") -> _Group:
    shown = part_of(own.curve, query.begin, query.end)
    thin = thinned(shown, query.points, extremes=query.of.spread == "range")
    return _Group(own.name, colour, own.runs, own.curve, thin, place)


def part_of(curve: GroupCurve, begin: float, end: float) -> GroupCurve:
    """The points of a curve between two places, and one to either side, to which lines lead."""
    if not len(curve.x) or (curve.x[0] >= begin and curve.x[-1] <= end):
        return curve
    first = max(0, int(np.searchsorted(curve.x, begin)) - 1)
    part = slice(first, int(np.searchsorted(curve.x, end, "right")) + 1)
    names = ("x", "middle", "lower", "upper", "fewer", "alive_at")
    return replace(curve, **{name: getattr(curve, name)[part] for name in names})


def _summarized(
    groups: Sequence[_Group], query: ChartQuery, *, lower_is_better: bool
) -> list[_Group]:
    """Quantiles over groups that are too many, and the best and the worst of them."""
    shown = [group for group in groups if len(group.thin.x)]
    if not shown:
        return []
    x = np.concatenate([group.thin.x for group in shown])
    middle = np.concatenate([group.thin.middle for group in shown])
    number = np.repeat(np.arange(len(shown)), [len(group.thin.x) for group in shown])
    edges = np.linspace(x.min(), x.max(), query.points + 1)
    stretch = np.clip(np.searchsorted(edges, x, "right") - 1, 0, query.points - 1)
    frame = pl.DataFrame({"stretch": stretch, "group": number, "x": x, "middle": middle})
    by_group = frame.group_by("stretch", "group").agg(pl.col("x").mean(), pl.col("middle").mean())
    found = (
        by_group.group_by("stretch")
        .agg(
            pl.col("x").mean(),
            pl.len().alias("alive"),
            *(pl.col("middle").quantile(q, "linear").alias(str(q)) for q in LEVELS),
        )
        .sort("stretch")
    )
    at, alive = found["x"].to_numpy(), found["alive"].to_numpy()
    quantiles = [found[str(level)].to_numpy() for level in LEVELS]
    low, below, line, above, high = quantiles
    bands = []
    for place, lower, upper in (("p5-p95", low, high), ("p25-p75", below, above)):
        fewer = np.zeros(len(at), bool)
        dead = np.zeros(len(groups), bool)
        curve = GroupCurve(at, line, lower, upper, fewer, alive, dead, (), 0, 0, 0)
        thin = thinned(curve, len(at) or 1)
        bands.append(_Group(place, 0, sum(g.runs for g in groups), curve, thin, place))
    living = [group for group in shown if group.curve.alive] or shown
    ordered = sorted(living, key=lambda group: float(group.curve.middle[-1]))
    best, worst = (ordered[0], ordered[-1]) if lower_is_better else (ordered[-1], ordered[0])
    ends = [(best, "best")] + ([(worst, "worst")] if worst is not best else [])
    return bands + [_Group(g.name, g.colour, g.runs, g.curve, g.thin, place) for g, place in ends]


def _reading(found: ChartCurves) -> list[str]:
    if found.read == found.of:
        return []
    return [
        f"{found.read:,} of {counted(found.of, 'run')} read; the others are added as they are read"
    ]


def _notes(groups: Sequence[_Group], query: ChartQuery) -> list[str]:
    """Says what the curves leave out, and what they stand for."""
    curves = [group.curve for group in groups]
    lanes, dead = sum(c.lanes for c in curves), sum(int(c.dead.sum()) for c in curves)
    late, odd = sum(c.unfinished for c in curves), sum(c.nonfinite for c in curves)
    partial = sum(c.partial for c in curves)
    notes = []
    if dead:
        of = counted(lanes, "lane has", "lanes have")
        notes.append(f"{dead:,} of {of} diverged; a line is over those alive")
    if late:
        of = counted(lanes, "lane belongs", "lanes belong")
        notes.append(f"{late:,} of {of} to runs that have not finished")
    if odd:
        one, many = "value is not finite and is", "values are not finite and are"
        notes.append(f"{counted(odd, one, many)} left out")
    if partial:
        computed = counted(partial, "value was", "values were")
        notes.append(f"{computed} computed without some that are not finite")
    if len(groups) > MOST_GROUPS:
        notes.append(
            f"{len(groups):,} groups: the median over groups, bands of 50 % and 90 % of them, the "
            "best and the worst"
        )
    longest = max((len(curve.x) for curve in curves), default=0)
    if longest > query.points:
        notes.append(f"up to {longest:,} points, drawn as their means, the least and the greatest")
    return notes
