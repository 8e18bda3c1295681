"""The curve of a group is what arrays with a place for each lane and point give."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxlog._analysis.group_curves import Spread, curve_of
from jaxlog._analysis.groups import NONFINITE, VALUE
from jaxlog._analysis.intervals import bootstrap_interval
from jaxlog._format.across_lanes import EXTREMES, across_lanes, interquartile_mean
from jaxlog._format.columnar import RUN

NUMBERS = st.one_of(
    st.none(), st.floats(-100, 100), st.sampled_from([math.nan, math.inf, -math.inf])
)
ROWS = st.lists(
    st.tuples(
        st.sampled_from(["a", "b"]),
        st.integers(0, 4),
        st.one_of(st.none(), st.integers(0, 7)),
        NUMBERS,
        st.integers(0, 1),
    ),
    min_size=1,
    max_size=40,
)
COLUMNS = {
    RUN: pl.String(),
    "lane": pl.Int64(),
    "step": pl.Int64(),
    VALUE: pl.Float64(),
    NONFINITE: pl.Int64(),
}


@given(
    ROWS,
    st.sampled_from(["std", "iqr", "range", "ci", "lanes", None]),
    st.sampled_from(["", "min", "max", "nonfinite"]),
    st.booleans(),
)
def test_a_curve_is_that_of_arrays_by_lane_and_point(
    rows: list[tuple[str, int, int | None, float | None, int]],
    spread: Spread,
    statistic: str,
    is_late: bool,
) -> None:
    frame = pl.DataFrame(rows, schema=COLUMNS, orient="row")
    late = ["b"] if is_late else []
    found = curve_of(frame, "step", spread, statistic, late, 6.0)
    placed = [(row[:2], row[2], *row[3:]) for row in rows if row[2] is not None]
    lanes = sorted({key for key, _, value, _ in placed if value is not None})
    along = sorted({x for _, x, value, _ in placed if value is not None})
    values = np.full((len(lanes), len(along)), np.nan)
    logged = np.zeros(values.shape, bool)
    for key, x, value, _ in placed:
        if value is not None:  # of rows of the same lane and point, the last counts
            place = lanes.index(key), along.index(x)
            values[place], logged[place] = value, True
    finite = logged & np.isfinite(values)
    shown = finite.any(axis=0)
    np.testing.assert_array_equal(found.x, np.array(along)[shown] if along else [])
    points_of = {lane: sorted({x for key, x, *_ in placed if key == lane}) for lane in lanes}
    ends = np.array([points[-1] for points in points_of.values()])
    gaps = np.array([max(np.diff(points), default=0) for points in points_of.values()])
    last = [values[i, logged[i]][-1] for i in range(len(lanes))]
    dead = ~np.isfinite(last) if lanes else np.zeros(0, bool)
    np.testing.assert_array_equal(found.dead, dead)
    assert (found.lanes, found.alive) == (len(lanes), len(lanes) - dead.sum())
    is_of_b = np.array([run == "b" for run, _ in lanes], bool)
    expected = is_late & is_of_b & (ends < max(6, *ends, 6))
    assert found.unfinished == expected.sum()
    assert found.nonfinite == int((logged & ~finite).sum())
    assert found.partial == sum(n for *_, v, n in placed if v is not None and math.isfinite(v))
    early = ends[ends + gaps < ends.max(initial=-1)]
    fewer = [
        any(not finite[i, p] for i, p in enumerate(last_until(logged, place)) if p >= 0)
        or (len(early) > 0 and x > early.min())
        for place, x in enumerate(along)
    ]
    np.testing.assert_array_equal(found.fewer, np.array(fewer, bool)[shown] if along else [])
    has_ended = (ends + gaps < ends.max(initial=-1)) & ~dead
    alive = [
        sum(
            (p < 0 or bool(finite[i, p])) and not (has_ended[i] and x > ends[i])
            for i, p in enumerate(last_until(logged, place))
        )
        for place, x in enumerate(along)
    ]
    np.testing.assert_array_equal(found.alive_at, np.array(alive, int)[shown] if along else [])
    if not shown.any():
        return
    values, logged, finite = values[:, shown], logged[:, shown], finite[:, shown]
    if spread == "ci":
        own = [values[finite[:, p], p] for p in range(len(found.x))]
        expected = [
            [interquartile_mean(one) for one in own],
            *np.transpose([bootstrap_interval([one])[:2] for one in own]),
        ]
    elif spread == "iqr":
        own = [values[finite[:, p], p] for p in range(len(found.x))]
        expected = np.transpose([np.quantile(one, (0.5, 0.25, 0.75)) for one in own])
    else:
        across = across_lanes(values, logged, statistic)
        nothing = np.full(len(found.x), np.nan)
        least, greatest = (across_lanes(values, logged, of).middle for of in EXTREMES)
        low, high = {
            "std": (across.middle - across.spread, across.middle + across.spread),
            "range": (least, greatest),
        }.get(str(spread), (nothing, nothing))
        expected = [across.middle, low, high]
    for part, right in zip((found.middle, found.lower, found.upper), expected, strict=True):
        np.testing.assert_allclose(part, right, rtol=1e-9, atol=1e-9)
    if spread != "lanes":
        assert not found.lines
        return
    for (x, y), row, there in zip(found.lines, values, finite, strict=True):
        np.testing.assert_array_equal(x, found.x[there])
        np.testing.assert_array_equal(y, row[there])


def last_until(logged: np.ndarray, place: int) -> list[int]:
    """The last place at which each lane logged until this one; -1 for none."""
    return [int(max(np.flatnonzero(row[: place + 1]), default=-1)) for row in logged]


@pytest.mark.parametrize("spread", ["std", "ci", "lanes"])
def test_lanes_that_log_at_steps_of_their_own_need_no_array_of_all(spread: Spread) -> None:
    lanes = 20_000
    frame = pl.DataFrame(
        {RUN: ["a"] * lanes, "lane": range(lanes), "step": range(lanes), VALUE: 1.0, NONFINITE: 0}
    )
    found = curve_of(frame, "step", spread)
    assert len(found.x) == found.lanes == lanes
    assert (found.middle == 1.0).all()
