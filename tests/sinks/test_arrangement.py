"""Lanes as runs, as columns, and as one."""

from __future__ import annotations

import math
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxlog._format.events import Histogram, Key, Lane, MetricsEvent
from jaxlog._format.keys import STATISTICS
from jaxlog.sinks.arrangement import (
    Lanes,
    arranged,
    arranged_arrays,
    folder_name,
    lane_name,
)

EVERY_STATISTIC = (*STATISTICS, "median", "nonfinite", "rate", "")
MODES: tuple[Lanes, ...] = ("runs", "columns", "aggregate")


def event_of(
    lanes: list[Lane], statistic: str = "mean", num_lanes: int | None = None, **more: object
) -> MetricsEvent:
    keys = {key: Key("other", key, statistic) for lane in lanes for key in lane.values}
    number = len(lanes) if num_lanes is None else num_lanes
    return MetricsEvent("batch", 5, None, 0.0, tuple(lanes), keys, num_lanes=number, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("mode", MODES)
def test_a_program_without_vmap_has_no_lanes(mode: Lanes) -> None:
    lane = Lane(0, {"seed": 3}, {"a": np.float32(0.1)})
    assert arranged(event_of([lane]), mode) == [(None, {"a": np.float32(0.1)})]


def test_runs_are_the_lanes_that_logged() -> None:
    lanes = [Lane(1, {}, {"a": 1.0}), Lane(5, {}, {})]
    event = event_of(lanes, num_lanes=8)
    assert arranged(event, "runs") == [(lanes[0], {"a": 1.0}), (lanes[1], {})]


def test_columns_have_the_names_of_the_lanes() -> None:
    lanes = [
        Lane(0, {"seed": 3, "lr": np.float32(0.1)}, {"a": 1.0, "b": 2.0}),
        Lane(1, {"seed": 4, "lr": np.float32(0.1)}, {"a": 3.0}),
        Lane(7, {}, {"a": 5.0}),
    ]
    assert arranged(event_of(lanes, num_lanes=8), "columns") == [
        (
            None,
            {
                "a/seed=3,lr=0.1": 1.0,
                "b/seed=3,lr=0.1": 2.0,
                "a/seed=4,lr=0.1": 3.0,
                "a/lane_7": 5.0,
            },
        )
    ]


def test_lanes_of_the_same_labels_do_not_hide_each_other() -> None:
    lanes = [Lane(i, {"env": "CartPole"}, {"a": float(i)}) for i in range(2)]
    assert arranged(event_of(lanes), "columns") == [
        (None, {"a/lane_0-env=CartPole": 0.0, "a/lane_1-env=CartPole": 1.0})
    ]


values_of_lanes = st.lists(
    st.none() | st.floats(width=32) | st.sampled_from([math.nan, math.inf, -math.inf]),
    min_size=2,
    max_size=9,
)


@given(values=values_of_lanes, statistic=st.sampled_from(EVERY_STATISTIC))
def test_one_value_for_all_is_what_numpy_says(values: list[float | None], statistic: str) -> None:
    lanes = [
        Lane(i, {}, {"filler": 1.0} if value is None else {"a": np.float32(value)})
        for i, value in enumerate(values)
    ]
    ((lane, values_found),) = arranged(event_of(lanes, statistic), "aggregate")
    found: dict[str, Any] = dict(values_found)
    assert lane is None
    there = [value for value in values if value is not None]
    if statistic == "nonfinite" and there:
        there += [0.0] * (len(values) - len(there))
    array = np.array(there, np.float32).astype(np.float64)
    finite = array[np.isfinite(array)]
    if not there:
        assert not {"a", "a_lanes_std"} & set(found)
    elif not finite.size:
        assert not np.isfinite(found["a"])
        assert "a_lanes_std" not in found
        if len(set(map(str, there))) == 1:
            np.testing.assert_equal(found["a"], array[0])
    elif statistic in ("min", "max"):
        assert found["a"] == (min(finite) if statistic == "min" else max(finite))
        assert "a_lanes_std" not in found
    else:
        np.testing.assert_allclose(found["a"], math.fsum(finite) / len(finite), rtol=1e-12, atol=0)
        np.testing.assert_allclose(found["a_lanes_std"], np.std(finite, ddof=0), rtol=1e-12)


def test_numbers_of_every_type_are_taken() -> None:
    values = (True, 2, np.float32(3), np.int32(4), np.bool_(1), ml_dtypes.bfloat16(7))
    lanes = [Lane(i, {}, {"a": value}) for i, value in enumerate(values)]
    ((_, found),) = arranged(event_of(lanes), "aggregate")
    assert found["a"] == 3.0
    assert type(found["a"]) is type(found["a_lanes_std"]) is float


def test_histograms_are_added_up() -> None:
    edges = (0.0, 1.0, 2.0)
    lanes = [
        Lane(0, {}, {"h": Histogram(edges, (1, 2), 3, 4)}),
        Lane(1, {}, {}),
        Lane(2, {}, {"h": Histogram(edges, (10, 20), 30, 40)}),
    ]
    event = event_of(lanes, "histogram")
    assert arranged(event, "aggregate") == [(None, {"h": Histogram(edges, (11, 22), 33, 44)})]
    assert arranged(event, "columns")[0][1]["h/lane_2"] == Histogram(edges, (10, 20), 30, 40)


@pytest.mark.parametrize("mode", MODES)
def test_what_the_settings_ask_for_over_lanes_is_there_in_each_mode(mode: Lanes) -> None:
    lanes = [Lane(0, {}, {"a": 1.0}), Lane(1, {}, {"b": 3.0})]
    over = {"mean": {"a": 1.0, "a_lanes": 1.0}, "iqm": {"a": 1.5, "a_lanes": 1.0}}
    lane, values = arranged(event_of(lanes, over_lanes=over), mode)[-1]
    assert lane is None
    wanted = {"a_lanes_mean": 1.0, "a_lanes_iqm": 1.5, "a_lanes": 1.0}
    assert {key: values.get(key) for key in wanted} == wanted


@pytest.mark.parametrize(
    ("labels", "name"),
    [
        ({}, "lane_3"),
        ({"seed": np.int32(3)}, "seed=3"),
        ({"lr": np.float32(0.1), "on": True}, "lr=0.1,on=True"),
        ({"size": np.float32(123456792), "clip": np.float32(np.nan)}, "size=123456792.0,clip=nan"),
        ({"size": np.float16(65504)}, "size=65504.0"),
        ({"env": "../a b/c,d=e\n"}, "env=.._a_b_c_d_e_"),
        ({"größe": "ü"}, "größe=ü"),
    ],
)
def test_names_of_lanes(labels: dict[str, object], name: str) -> None:
    assert lane_name(3, labels) == name  # type: ignore[arg-type]
    first = f"{name.replace(',', '-')}-" if labels else ""
    assert folder_name(3, labels) == f"{first}lane_003"  # type: ignore[arg-type]


@given(labels=st.dictionaries(st.text(), st.text() | st.floats() | st.integers()))
def test_a_folder_never_leaves_the_one_it_is_in(labels: dict[str, str | float | int]) -> None:
    name = folder_name(12, labels)
    assert name.endswith("lane_012")
    assert not set(name) & set('/\\\0:*?"<>|\n')
    assert len(name.encode()) < 200
    assert not name.endswith((".", " "))


def test_arrays_are_those_of_each_lane_or_of_the_first() -> None:
    """They have no mean: the first lane of each program stands for its lanes."""
    first, second, later = np.zeros(2), np.ones(3), np.ones(4)
    lanes = [
        Lane(0, {"seed": 0}, {}, arrays={"a": first}),
        Lane(1, {"seed": 1}, {}, arrays={"a": second}),
        Lane(2, {"seed": 2}, {}, arrays={"a": later}, series=1),
        Lane(3, {"seed": 3}, {"loss": 1.0}, series=1),
    ]
    event = event_of(lanes)
    assert arranged_arrays(event, "runs") == [(lane, dict(lane.arrays)) for lane in lanes[:3]]
    columns = {"a/seed=0": first, "a/seed=1": second, "a/seed=2": later}
    assert arranged_arrays(event, "columns") == [(None, columns)]
    assert arranged_arrays(event, "aggregate") == [(None, {"a": first, "a/seed=2": later})]
    for mode in MODES:
        assert arranged_arrays(event_of(lanes[:1]), mode) == [(None, {"a": first})]
        assert arranged_arrays(event_of(lanes[3:]), mode) == []
        assert arranged_arrays(event_of(lanes[3:], num_lanes=4), mode) == []
