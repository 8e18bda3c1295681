"""The key of the number of entries that the statistics of a line are over."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import pytest

import jaxlog
from jaxlog._format.events import Key
from tests.conftest import MakeLogger


def logged(logger: jaxlog.Logger, name: str = "chains", **metrics: Any) -> None:
    values = {"episode_returns": jnp.arange(4.0), **metrics}
    where = jnp.array([True, True, True, False])
    jax.jit(lambda: jaxlog.batch_step(logger, 0, values, where=where, name=name))()


@pytest.mark.parametrize(
    ("setting", "keys"),
    [
        ("draws", {"chains": "draws", "archive": "draws"}),
        (None, {"chains": "", "archive": ""}),
        ({"chains": "draws", "archive": None}, {"chains": "draws", "archive": ""}),
        ({"default": "cells", "chains": "draws"}, {"chains": "draws", "archive": "cells"}),
        ({"chains": "draws"}, {"chains": "draws", "archive": "episode_count"}),
    ],
)
def test_each_call_has_its_key(
    setting: Any, keys: dict[str, str], make_logger: MakeLogger, tmp_path: Path
) -> None:
    logger = make_logger(count_key=setting, sinks=[{"kind": "jsonl"}, {"kind": "memory"}])
    with logger.open(tmp_path / "run") as run:
        for name in keys:
            logged(logger, name)
    data = jaxlog.read_run(tmp_path / "run")
    statistics = [f"episode_return_{name}" for name in ("mean", "std", "min", "max")]
    for name, key in keys.items():
        columns = [key, *statistics] if key else statistics
        frame = data.metrics_of(name)
        assert frame.columns == ["timestamp", "step", "lane", *columns]
        assert not key or frame[key].to_list() == [3]
        (event,) = [event for event in run.sink("memory").metrics if event.name == name]
        assert list(event.lanes[0].metrics) == columns
        described = data.info["calls"][name]["keys"]
        assert not key or described[key]["kind"] == event.keys[key].kind == "count"


def test_a_reader_knows_that_it_is_a_count() -> None:
    from jaxlog._format.keys import from_json, to_json

    keys = {
        "draws": Key("other", "draws", "", counts=True),
        "episode_count": Key("other", "episode_count", ""),
    }
    assert from_json(to_json(keys)) == keys


@pytest.mark.parametrize("setting", ["loss", "episode_return_mean"])
def test_the_key_of_another_value_is_refused(setting: str, make_logger: MakeLogger) -> None:
    logger = make_logger(count_key=setting)
    text = f"^two values would be written as {setting!r}; give one of them another name"
    with pytest.raises(ValueError, match=text):
        logged(logger, loss=1.0)


def test_the_program_is_the_same(make_logger: MakeLogger) -> None:
    def jaxpr(**settings: Any) -> str:
        logger = make_logger(**settings)
        program = lambda x: jaxlog.batch_step(logger, 0, {"episode_returns": x})  # noqa: E731
        return str(jax.make_jaxpr(program)(jnp.ones(4))).replace(str(logger._handle), "HANDLE")

    assert jaxpr(count_key="draws") == jaxpr(count_key=None) == jaxpr()
