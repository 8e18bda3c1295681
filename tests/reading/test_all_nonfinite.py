"""Values that were not finite are NaN and absent values are missing, in old and new files."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

import jaxlog
from jaxlog._reading.all_nonfinite import with_nan
from tests.reading.files import metrics, same, write


def test_statistics_that_old_files_leave_out_are_nan(tmp_path: Path) -> None:
    alive = {"episode_count": 4, "r_mean": 1.0, "r_p50": 1.0, "x_mean": 1.0}
    partial = alive | {"r_nonfinite": 1}
    events = [
        metrics(0, ({}, alive)),
        metrics(1, ({}, partial)),
        metrics(2, ({}, {"episode_count": 4, "x_mean": 2.0, "r_nonfinite": 4})),  # all were
        metrics(3, ({}, {"episode_count": 0})),  # no episode ended
    ]
    frame = jaxlog.read_run(write(tmp_path, events)).metrics
    nan = float("nan")
    assert same(frame["r_mean"].to_list(), [1.0, 1.0, nan, None])
    assert same(frame["r_p50"].to_list(), [1.0, 1.0, nan, None])
    assert same(frame["x_mean"].to_list(), [1.0, 1.0, 2.0, None])
    assert frame["r_nonfinite"].to_list() == [None, 1, 4, None]
    assert frame["episode_count"].to_list() == [4, 4, 4, 0]


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"loss": [None, 1.0], "loss_nonfinite": [3, None]}, [float("nan"), 1.0]),  # of a window
        ({"loss_count": [None, 1], "loss_nonfinite": [3, None]}, [None, 1]),  # is 0, and not NaN
        # Another metric, whose name begins alike.
        ({"loss_of_actor_mean": [None, 1], "loss_nonfinite": [3, None]}, [None, 1]),
        ({"loss_mean": [None, 1], "loss_nonfinite": [0, None]}, [None, 1]),
        ({"loss_mean": [None, 1], "_nonfinite": [1, None]}, [None, 1]),
        ({"loss_mean": [None, None], "loss_nonfinite": [3, 3]}, [float("nan")] * 2),
        ({"loss_mean": [None, "a"], "loss_nonfinite": [3, 3]}, [None, "a"]),
        ({"loss_mean": [None, 1], "loss_nonfinite": ["a", "b"]}, [None, 1]),
    ],
)
def test_only_the_statistics_of_that_metric(
    columns: dict[str, list[object]], expected: list[object]
) -> None:
    frame = with_nan(pl.DataFrame(columns, strict=False), {name: name for name in columns})
    assert same(frame.to_series(0).to_list(), expected)
