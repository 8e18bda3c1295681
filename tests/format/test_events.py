"""A lane's values: numbers and histograms, together and apart."""

from __future__ import annotations

import json
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

import jaxlog
from jaxlog.sinks import Histogram, Lane

HISTOGRAM = Histogram((0.0, 1.0, 2.0), (3, 4), 1, 0)
VALUES = {"loss": np.float32(0.5), "return_histogram": HISTOGRAM, "return_count": 8}


def test_numbers_and_histograms_are_apart() -> None:
    lane = Lane(0, {}, VALUES)
    assert dict(lane.metrics) == {"loss": np.float32(0.5), "return_count": 8}
    assert dict(lane.histograms) == {"return_histogram": HISTOGRAM}
    assert list(lane.values) == list(VALUES)
    with pytest.raises(KeyError, match=r"^'accuracy'$"):
        lane.metrics["accuracy"]


def test_a_line_has_histograms_where_they_were(tmp_path: Path) -> None:
    settings = {
        "statistics": ["mean", "max"],
        "histograms": {"episode_returns": [0, 1, 2]},
        "sinks": [{"kind": "jsonl"}, {"kind": "memory"}],
    }
    logger = jaxlog.Logger(settings)
    with logger.open(tmp_path / "run") as run:
        jaxlog.batch_step(logger, 0, {"episode_returns": jnp.array([0.5, 1.5]), "loss": 0.5})
    ((lane,),) = [event.lanes for event in run.sink("memory").metrics]
    line = json.loads((tmp_path / "run" / "batch_metrics.jsonl").read_text())
    assert list(line["metrics"]) == list(lane.values)
    assert list(lane.histograms) == ["episode_return_histogram"]
    assert lane.metrics.keys() == lane.values.keys() - {"episode_return_histogram"}


def test_a_histogram_can_still_be_looked_up_among_the_metrics() -> None:
    lane = Lane(0, {}, VALUES)
    with pytest.warns(DeprecationWarning, match="histogram") as caught:
        assert lane.metrics["return_histogram"] == HISTOGRAM
    assert [str(warning.message) for warning in caught] == [
        "Lane.metrics['return_histogram'], a histogram: this name works for one more release; "
        "the new one is Lane.histograms['return_histogram']"
    ]
    assert caught[0].filename == __file__


def test_a_lane_takes_its_values_by_their_former_name() -> None:
    with pytest.warns(DeprecationWarning, match=r"^Lane\(metrics=\): .* values=$"):
        lane = Lane(0, {}, metrics=VALUES)  # pyright: ignore[reportCallIssue]
    assert lane == Lane(0, {}, VALUES)
