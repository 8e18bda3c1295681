from __future__ import annotations

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

import jaxlog
from jaxlog._format.across_lanes import interquartile_mean
from tests.conftest import MakeLogger


@pytest.mark.parametrize("size", range(1, 14))
def test_the_interquartile_mean_is_that_of_scipy(size: int) -> None:
    values = np.random.default_rng(size).normal(size=size)
    assert interquartile_mean(values) == pytest.approx(scipy.stats.trim_mean(values, 0.25))


def test_there_is_a_line_more_for_each_statistic(make_logger: MakeLogger, tmp_path: Path) -> None:
    logger = make_logger(
        log_frequency=1, over_lanes=["mean", "std", "iqm"], sinks=[{"kind": "jsonl"}]
    )
    values = jnp.array([1.0, 2.0, 4.0, 9.0, jnp.nan])

    def lane(x: jax.Array) -> None:
        returns = jnp.stack([x, x + 1.0])
        where = jnp.stack([x < 5, x < 0])  # a lane without an episode
        jaxlog.batch_step(logger, 0, {"x": x, "episode_returns": returns}, where=where)

    with logger.open(tmp_path):
        jax.vmap(lane)(values)
    lines = [
        json.loads(line) for line in (tmp_path / "batch_metrics.jsonl").read_text().splitlines()
    ]
    assert [line.get("lane") for line in lines] == [0, 1, 2, 3, 4, None, None, None]
    over = {line["over_lanes"]: line for line in lines[5:]}
    assert {line["lanes"] for line in over.values()} == {5}
    finite = np.array([1.0, 2.0, 4.0, 9.0])
    assert over["mean"]["metrics"]["x"] == finite.mean()
    assert over["iqm"]["metrics"]["x_lanes"] == 4
    assert "episode_count_lanes" not in over["mean"]["metrics"]
    assert over["std"]["metrics"]["x"] == pytest.approx(finite.std())
    assert over["iqm"]["metrics"]["x"] == 3.0
    assert over["mean"]["metrics"]["episode_return_mean"] == pytest.approx(7 / 3)


def test_one_lane_has_no_line_more(make_logger: MakeLogger) -> None:
    logger = make_logger(log_frequency=1, over_lanes=["mean"])
    with logger.open() as run:
        jaxlog.batch_step(logger, 0, {"x": 1.0})
        jax.vmap(lambda x: jaxlog.batch_step(logger, 1, {"x": x}))(jnp.arange(3.0))
    one, many = run.sink("memory").metrics
    assert one.over_lanes == {}
    assert many.over_lanes == {"mean": {"x": 1.0}}
