"""What does each sink cost the training, and how many records can it write per second?

Measures records from the moment XLA hands them over. Training waits until a record is in the sink's
queue; the sink's own thread writes it. Lines are compared with `json.dumps` and one write per line.
PPO on CartPole with three sinks is compared with the same program that does not log.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import io
import json
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np

import jaxlog
from benchmarks.timing import Program, Row, fastest, tell, typical
from examples import ppo_cartpole
from jaxlog._crossing.delivery import settle
from jaxlog._format.delivery import Delivery
from jaxlog.sinks import Lane, MetricsEvent, RunInfo, Sink
from jaxlog.sinks.jsonl import JsonlSettings, JsonlSink

METRICS, RECORDS, LANES = 30, 2000, 16
SCALARS = [f"scalar_{i}" for i in range(6)]  # as many as PPO logs beside its episodes
KINDS: dict[str, dict[str, Any]] = {
    "memory": {},
    "jsonl": {},
    "console": {"live": False},
    "tensorboard": {},
    "wandb": {"mode": "offline"},
    "svg": {},
}


@contextlib.contextmanager
def a_run(logger: jaxlog.Logger) -> Iterator[jaxlog.Run]:
    """Opens a run in a temporary directory."""
    with tempfile.TemporaryDirectory() as directory, logger.open(Path(directory) / "run") as run:
        yield run


def deliveries(
    logger: jaxlog.Logger, number: int, lanes: int | None = None, **given: Any
) -> list[Delivery]:
    """Records of a program, one per step and lane, as XLA hands them over."""
    caught: list[Delivery] = []

    def program(seed: jax.Array) -> None:
        def update(_: None, step: jax.Array) -> tuple[None, None]:
            scalars = {f"metric_{i}": jnp.sin(step + i * 0.1 + seed) for i in range(METRICS)}
            jaxlog.batch_step(logger, step, scalars, **given)
            return None, None

        jax.lax.scan(update, None, jnp.arange(number))

    with mock.patch.object(logger, "_receive", lambda delivery, _: caught.append(delivery)):
        if lanes is None:
            jax.jit(program)(jnp.float32(0))
        else:
            jax.jit(jax.vmap(program))(jnp.arange(lanes, dtype=jnp.float32))
        jax.effects_barrier()
        settle()  # the queue in C still has some
    assert len(caught) == number
    return caught


def of_kind(kind: str, turns: int) -> dict[str, Any]:
    """The cost of one sink: microseconds to queue a record, and records written per second."""
    sinks = [{"kind": kind, **KINDS[kind]}]
    config = {"batched_logging_enabled": True, "log_frequency": 1, "sinks": sinks}
    given: dict[str, Any] = {}
    if kind == "svg":  # it draws episodes, and has nothing to do with other lines
        config["log_frequency"], config["sample_frequency"] = 10**6, 1
        given = {"where": jnp.ones(8, bool), "details": {"final_state": jnp.ones((8, 10, 10), int)}}
    logger = jaxlog.Logger(config)
    records = deliveries(logger, RECORDS if kind != "svg" else 100, **given)
    taken, written = [], []
    for _ in range(turns):
        with a_run(logger) as run, contextlib.redirect_stdout(io.StringIO()):
            start = time.perf_counter()
            for record in records:
                logger._receive(record, time.time())
            taken.append((time.perf_counter() - start) / len(records))
            run.flush()
            written.append(len(records) / (time.perf_counter() - start))
            assert run.accounts()[0].written == run.arrived == len(records)
    return {
        "sink": kind,
        "µs until the queue has a record": 1e6 * min(taken),
        "records written in a second": max(written),
    }


class Nothing(Sink):
    """Takes events, and does nothing with them."""


def of_several_sinks(turns: int) -> dict[str, float]:
    """Microseconds of CPU, of all threads, that a record of 16 lanes takes on the host.

    By the number of sinks that take its events; these do nothing, so that it is the cost of
    taking the record in, decoding it, and handing it to the sinks.
    """
    found: dict[str, float] = {}
    for number in (1, 4):
        sinks = [Nothing() for _ in range(number)]
        every_step = {"batched_logging_enabled": True, "log_frequency": 1}
        logger = jaxlog.Logger(every_step | {"sampling_enabled": False, "sinks": sinks})
        records = deliveries(logger, RECORDS, lanes=LANES)
        seconds = []
        for _ in range(turns):
            with a_run(logger) as run:
                start = time.process_time()
                for record in records:
                    logger._receive(record, time.time())
                run.flush()
                seconds.append(time.process_time() - start)
                assert all(a.written == run.arrived for a in run.accounts())
        found[f"{number} sinks"] = 1e6 * min(seconds) / (RECORDS * LANES)
    return found


def of_jsonl(turns: int) -> float:
    """The time of the sink to write events, relative to `json.dumps` and one write per line."""
    keys = [f"metric_{i}" for i in range(METRICS)]
    values = np.random.default_rng(0).normal(size=(RECORDS, METRICS)).astype(np.float32)
    events = []
    for step, row in enumerate(values):
        lane = Lane(0, {"seed": np.int32(0)}, dict(zip(keys, row, strict=True)))
        events.append(MetricsEvent("batch", step, None, time.time(), (lane,), {}))
    with tempfile.TemporaryDirectory() as directory:
        sink = JsonlSink(JsonlSettings())
        sink.open(RunInfo("run", Path(directory)))

        def by_jaxlog() -> None:
            for number, event in enumerate(events):
                sink.write_metrics(event)
                if number % 100 == 99:  # as many as gather while a fast program runs
                    sink.flush()

        with (Path(directory) / "reference").open("w") as file:

            def by_json() -> None:
                for event in events:
                    (lane,) = event.lanes
                    line = {"timestamp": event.timestamp, "step": event.step, "lane": lane.index}
                    line["labels"] = {key: int(value) for key, value in lane.labels.items()}
                    line["metrics"] = {key: float(value) for key, value in lane.metrics.items()}
                    file.write(json.dumps(line) + "\n")
                    file.flush()

            times = fastest({"jaxlog": by_jaxlog, "json": by_json}, turns)
        sink.close()
    return times["jaxlog"] / times["json"]


def of_single_environment(turns: int) -> dict[str, float]:
    """Microseconds per `log_step`, including writing, with and without batched logging.

    Also of `json.dumps` and a write of the same values, and of a `jaxlog.log` that is not due.
    """
    state = np.arange(25.0).reshape(5, 5)
    with contextlib.ExitStack() as stack:

        def telling(batched: bool) -> Program:
            config = {"batched_logging_enabled": batched, "sinks": [{"kind": "jsonl"}]}
            logger = jaxlog.Logger(config)
            run = stack.enter_context(a_run(logger))

            def tell() -> None:
                for step in range(RECORDS):
                    logger.log_step({"reward": step / 7, "action": step, "state": state})
                run.flush()

            return tell

        file = stack.enter_context(tempfile.TemporaryFile("w"))

        def by_json() -> None:
            for step in range(RECORDS):
                line = {"timestamp": time.time(), "step": step, "reward": step / 7, "action": step}
                file.write(json.dumps(line | {"state": state.tolist()}) + "\n")
                file.flush()

        waiting = jaxlog.Logger({})

        def not_due() -> None:
            for _ in range(RECORDS):
                jaxlog.log(waiting, 1, {"loss": 0.5})

        programs = {
            "batched": telling(True),
            "single": telling(False),
            "json": by_json,
            "not due": not_due,
        }
        times = fastest(programs, turns)
    return {name: 1e6 * seconds / RECORDS for name, seconds in times.items()}


def of_ppo(turns: int) -> dict[str, float]:
    """PPO with JSONL, console and W&B, every tenth update: `"logged"` relative to `"silent"`.

    The times of two programs, one with logging and one without, differ by several per cent, because
    code and buffers are at different places in memory as long as a process lives. So `"logged"` and
    `"silent"` are one program, which gets as an argument whether to log, and the median of the
    ratios of neighbouring turns counts. The work of its windows at every update is measured
    separately, in a program that does nothing else: `"windows"`, in seconds, like `"update"`.
    """
    config = ppo_cartpole.Config(num_updates=60)
    sinks = [{"kind": "jsonl"}, {"kind": "console"}, {"kind": "wandb", "mode": "offline"}]
    settings = {"batched_logging_enabled": True, "sinks": sinks}
    logger = jaxlog.Logger(settings, total_updates=config.num_updates)
    seeds = jnp.arange(4)

    def train(seed: jax.Array, when: jax.Array) -> Any:
        step = functools.partial(jaxlog.window_step, when=when)
        with mock.patch.object(jaxlog, "window_step", step):
            return ppo_cartpole.make_train(config, logger)(seed)

    program = jax.jit(jax.vmap(train, in_axes=(0, None)))

    def training(when: bool) -> Program:
        return lambda: jax.block_until_ready(program(seeds, when)) and None

    # In a terminal the console would draw; here its lines are discarded.
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere), a_run(logger):
        ratios = typical({"logged": training(True), "silent": training(False)}, turns, "silent")
        update = fastest({"update": training(False)}, 2)["update"] / config.num_updates
    return {"logged": ratios["logged"], "update": update, "windows": of_windows(config, turns)}


def of_windows(config: ppo_cartpole.Config, turns: int) -> float:
    """Seconds per update for the windows of four seeds, if nothing is due."""
    shape = (config.rollout_length, config.num_envs)
    logger = jaxlog.Logger({"batched_logging_enabled": True})

    def program(with_windows: bool) -> Program:
        def train(seed: jax.Array) -> Any:
            def update(carry: Any, step: jax.Array) -> tuple[Any, None]:
                window, returns, observation = carry
                returns = jnp.roll(returns, 1)
                scalars = {name: returns[0, i] for i, name in enumerate(SCALARS)}
                lengths = jnp.round(returns * 100).astype(int)
                episodes = {"episode_returns": returns, "episode_lengths": lengths}
                if with_windows:
                    _, window = jaxlog.window_step(
                        logger,
                        window,
                        step,
                        episodes | scalars,
                        where=returns > 2.0,
                        details={"final_state": observation},
                        labels={"seed": seed},
                        when=False,
                    )
                return (window, returns, observation), None

            like = {"episode_returns": jnp.zeros(1), "episode_lengths": jnp.zeros(1, int)}
            window = jaxlog.empty_window(logger, like | dict.fromkeys(SCALARS, 0.0))
            returns = jax.random.normal(jax.random.key(seed), shape)
            carry = (window, returns, jnp.ones((*shape, 4)))
            return jax.lax.scan(update, carry, jnp.arange(RECORDS))[0]

        compiled = jax.jit(jax.vmap(train))
        return lambda: jax.block_until_ready(compiled(jnp.arange(4))) and None

    seconds = fastest({"with": program(True), "without": program(False)}, turns)
    return (seconds["with"] - seconds["without"]) / RECORDS


def main(turns: int) -> list[Row]:
    """Measures, and writes `results/sinks.json`."""
    grid = [of_kind(kind, max(1, turns // 5)) for kind in KINDS]
    several = of_several_sinks(max(1, turns // 5))
    single = of_single_environment(turns)
    training = of_ppo(turns)
    rows = [
        Row("an event as a line of JSONL", "json.dumps and write", of_jsonl(turns), "x", 1 / 1.8),
        Row(
            "host CPU of a record, 16 lanes, 4 sinks",
            "1 sink",
            several["4 sinks"] / several["1 sinks"],
            "x",
            1.5,
        ),
        Row(
            "log_step with a state, batched logging on",
            "off",
            single["batched"] / single["single"],
            "x",
            1.1,
        ),
        Row("jaxlog.log in Python, not due", "", single["not due"], "µs", 2.0),
        Row(
            "PPO: jsonl, console, W&B, every 10th update",
            "the same program, told not to",
            training["logged"] + training["windows"] / training["update"],
            "x",
            1.01,
        ),
    ]
    of_grid = "records of 30 metrics; for svg, of three pictures and a sheet"
    tell(
        "sinks",
        rows,
        grid,
        of_grid,
        us_of_several_sinks=several,
        us_of_single_environment=single,
        of_training=training,
    )
    return rows


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=10)
    main(parser.parse_args().turns)
