"""Records that a program returns: the same files as when they leave by themselves."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest

import jaxlog
from jaxlog._program import devices
from tests.conftest import MakeLogger


def step(
    logger: jaxlog.Logger, x: jax.Array, i: jax.Array | int, seed: Any
) -> tuple[jax.Array, Any]:
    """Two calls: of `eval`, nothing depends on the seed."""
    record = jaxlog.batch_step(
        logger,
        i,
        {"episode_returns": x + seed, "loss": x.sum()},
        where=x > 2,
        details={"image": jnp.stack([x, x], axis=-1).astype(np.uint8)},
        labels={"seed": seed},
    )
    other = jaxlog.batch_step(logger, i, {"steps": i}, name="eval", when=i % 4 == 0)
    return x + 1.0, {"train": record, "eval": other}


def train(logger: jaxlog.Logger, seed: Any) -> Any:
    return jax.lax.scan(lambda x, i: step(logger, x, i, seed), jnp.arange(4.0), jnp.arange(9))


def without_lanes(logger: jaxlog.Logger) -> Any:
    return jax.jit(lambda: train(logger, 0.0))()[1]


def not_stacked(logger: jaxlog.Logger) -> Any:
    return step(logger, jnp.arange(4.0), 0, 0.0)[1]


def lanes_of_scans(logger: jaxlog.Logger) -> Any:
    return jax.jit(jax.vmap(lambda seed: train(logger, seed)))(jnp.arange(3.0))[1]


def lanes_of_lanes_of_scans(logger: jaxlog.Logger) -> Any:
    program = jax.vmap(jax.vmap(lambda seed: train(logger, seed)))
    return jax.jit(program)(jnp.arange(6.0).reshape(2, 3))[1]


def scan_of_lanes(logger: jaxlog.Logger) -> Any:
    seeds = jnp.arange(3.0)
    lanes = jax.vmap(lambda x, i, seed: step(logger, x, i, seed), in_axes=(0, None, 0))
    start = jnp.tile(jnp.arange(4.0), (3, 1))
    return jax.jit(lambda: jax.lax.scan(lambda x, i: lanes(x, i, seeds), start, jnp.arange(9)))()[1]


def lanes_with_steps_of_their_own(logger: jaxlog.Logger) -> Any:
    def lane(first: jax.Array) -> Any:
        return jax.lax.scan(
            lambda x, i: step(logger, x, first + i, 0.0), jnp.arange(4.0), jnp.arange(9)
        )[1]

    return jax.jit(jax.vmap(lane))(jnp.arange(3))


def scan_of_scans(logger: jaxlog.Logger) -> Any:
    def epoch(x: jax.Array, number: jax.Array) -> Any:
        return jax.lax.scan(lambda x, i: step(logger, x, 5 * number + i, 0.0), x, jnp.arange(5))

    return jax.jit(lambda: jax.lax.scan(epoch, jnp.arange(4.0), jnp.arange(3)))()[1]


def gradients(logger: jaxlog.Logger) -> Any:
    def loss(scale: jax.Array, seed: Any) -> Any:
        x, records = jax.lax.scan(
            lambda x, i: step(logger, x * scale, i, seed), jnp.arange(4.0), jnp.arange(9)
        )
        return x.sum(), records

    program = jax.vmap(jax.grad(loss, has_aux=True), in_axes=(None, 0))
    return jax.jit(program)(1.0, jnp.arange(3.0))[1]


PROGRAMS = [
    without_lanes,
    not_stacked,
    lanes_of_scans,
    lanes_of_lanes_of_scans,
    scan_of_lanes,
    lanes_with_steps_of_their_own,
    scan_of_scans,
    gradients,
]


def files(directory: Path) -> dict[str, list[Any]]:
    """All lines of all files, without the times."""
    found = {}
    for path in directory.glob("*.jsonl"):
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        assert all(line.pop("timestamp") > 0 for line in lines)
        found[path.name] = lines
    return found


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_files_are_those_of_live_delivery(
    program: Callable[[jaxlog.Logger], Any], make_logger: MakeLogger, tmp_path: Path
) -> None:
    settings = {"log_frequency": 2, "sample_frequency": 4, "sinks": [{"kind": "jsonl"}]}
    live = make_logger(**settings)
    with live.open(tmp_path / "live"):
        jax.block_until_ready(program(live))
    returned = make_logger(**settings, delivery="return")
    with returned.open(tmp_path / "returned"):
        returned.write(program(returned))
    expected = files(tmp_path / "live")
    assert len(expected) == 3
    assert files(tmp_path / "returned") == expected


def test_nothing_leaves_the_program_by_itself(make_logger: MakeLogger) -> None:
    for delivery, there in (("live", True), ("return", False)):
        logger = make_logger(delivery=delivery)
        lowered = jax.jit(lambda logger=logger: train(logger, 0.0)).lower()
        leaves = any(way in lowered.as_text() for way in ("callback", "jaxlog_record"))
        assert leaves == there
        assert bool(jax.make_jaxpr(lambda logger=logger: train(logger, 0.0))().effects) == there


def test_with_logging_off_there_is_nothing_to_write(make_logger: MakeLogger) -> None:
    logger = make_logger(delivery="return", batched_logging_enabled=False)
    with logger.open() as run:
        records = lanes_of_scans(logger)
        assert jax.tree.leaves(records) == []
        logger.write(records)
    logger.write(records)
    assert run.sink("memory").metrics == []


def test_records_may_come_as_numpy_arrays(make_logger: MakeLogger) -> None:
    logger = make_logger(delivery="return", log_frequency=4)
    with logger.open() as run:
        logger.write(jax.device_get(without_lanes(logger)))
    assert [e.step for e in run.sink("memory").metrics if e.name == "batch"] == [0, 4, 8]


def test_what_cannot_be_written_is_refused(make_logger: MakeLogger) -> None:
    live, logger = make_logger(), make_logger(delivery="return")
    record = jaxlog.batch_step(logger, 0, {"x": 1.0})
    assert record is not None
    with pytest.raises(RuntimeError, match=r"write: no run is open; call it inside `with logger"):
        logger.write(record)
    with live.open(), pytest.raises(RuntimeError, match="write: records leave the program by th"):
        live.write(jaxlog.batch_step(live, 0, {"x": 1.0}))
    with logger.open():
        logger.write(record)
        with pytest.raises(TypeError, match="records: got ArrayImpl, expected what batch_step re"):
            logger.write((record, jnp.ones(3)))
        with pytest.raises(TypeError, match="write: is called inside of a program; return the re"):
            jax.jit(lambda: logger.write(jaxlog.batch_step(logger, 0, {"x": 1.0})))()
        with pytest.raises(
            ValueError, match=r"records: got due \(\), words \(2,\) and lane \(3, 1\)"
        ):
            logger.write(
                jaxlog.Record(record.due, record.words, jnp.zeros(3)[:, None], record.schema)
            )
        seven = lambda x: jaxlog.batch_step(logger, 0, {"x": x.sum()})  # noqa: E731
        for _ in range(7):
            seven = jax.vmap(seven)
        with pytest.raises(ValueError, match="is under 7 vmaps, but `delivery: return` allows"):
            seven(jnp.ones((1,) * 7))


def test_a_program_that_returns_no_records_is_told_of(
    make_logger: MakeLogger, caplog: pytest.LogCaptureFixture
) -> None:
    logger = make_logger(delivery="return")
    with logger.open():
        jaxlog.batch_step(logger, 0, {"x": 1.0})
    (said,) = caplog.messages
    assert "nothing was written. With `delivery: return` batch_step returns its record" in said
    with logger.open():
        logger.write(jaxlog.batch_step(logger, 0, {"x": 1.0}))
    assert len(caplog.messages) == 1


def test_a_map_in_batches_that_leave_a_rest(make_logger: MakeLogger) -> None:
    """Two lanes, twice, and then one: XLA may run the rest first."""
    seen = []
    for delivery in ("live", "return"):
        logger = make_logger(log_frequency=1, delivery=delivery)

        def one(i: jax.Array, logger: jaxlog.Logger = logger) -> jaxlog.Record | None:
            return jaxlog.batch_step(logger, i, {"x": i * 2})

        with logger.open() as run:
            records = jax.jit(lambda one=one: jax.lax.map(one, jnp.arange(5), batch_size=2))()
            if delivery == "return":
                logger.write(records)
        events = run.sink("memory").metrics
        lines = [(e.step, lane.index, int(lane.metrics["x"])) for e in events for lane in e.lanes]
        seen.append(sorted(lines))
    assert seen[0] == seen[1] == [(0, 0, 0), (1, 1, 2), (2, 0, 4), (3, 1, 6), (4, 0, 8)]


def test_a_program_that_returns_its_records_can_be_exported(
    make_logger: MakeLogger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With named parts, on a machine with one CPU."""
    monkeypatch.setattr(devices, "one_cpu", lambda: True)
    logger = make_logger(delivery="return", sinks=[{"kind": "memory"}])

    def program(returns: jax.Array) -> list[jax.Array]:
        mask = jnp.ones(4, bool)
        metrics = {"episode_returns": jaxlog.parts(returns, "agent")}
        return jax.tree.leaves(jaxlog.batch_step(logger, 0, metrics, where=mask))

    returns = jnp.arange(8.0).reshape(4, 2)
    with logger.open():
        there = jax.export.export(jax.jit(program))(returns).call(returns)
        here = program(returns)
    assert len(here) == 3
    assert all(np.array_equal(*pair) for pair in zip(there, here, strict=True))
