"""Fixtures for the command: a run, and functions that call the command here or in a process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

import jax
import jax.numpy as jnp
import pytest

import jaxlog
from jaxlog._cli.main import main

ROOT = Path(__file__).parents[2]
SEEDS = 3
STEPS = 25


class Logged(NamedTuple):
    """A run, and the events that its sinks received."""

    directory: Path
    memory: Any


class Said(NamedTuple):
    """The exit code and the output of a command."""

    code: int
    out: str
    err: str


Command = Callable[..., Said]


@pytest.fixture(scope="session")
def logged(tmp_path_factory: pytest.TempPathFactory) -> Logged:
    """A run with three lanes, sampled episodes, values that are not finite, and a second call."""
    settings = {
        "batched_logging_enabled": True,
        "log_frequency": 1,
        "sample_frequency": 10,
        "num_samples": 2,
        "statistics": {"default": ["mean", "std", "min", "max"], "bonus": ["median", "count"]},
        "over_lanes": ["iqm"],
        "env_steps_per_update": 64,
        "sinks": [{"kind": "jsonl"}, {"kind": "memory"}],
    }
    logger = jaxlog.Logger(settings, total_updates=STEPS)

    def update(seed: jax.Array, step: jax.Array) -> None:
        returns = jnp.arange(8.0) + step + seed
        metrics = {
            "episode_returns": returns,
            "success_mask": returns > 5.0,
            "bonus": returns * 2.0,
            "learning_rate": 0.5 ** step.astype(jnp.float32),
            "critic_loss": jnp.where(seed == 1, jnp.inf, 1.0 / (step + 1.0)),
        }
        where = (step % 5 != 3) & (returns > step)
        jaxlog.batch_step(logger, step, metrics, where=where, labels={"seed": seed})

    directory = tmp_path_factory.mktemp("logged") / "first"
    config = {"note": "ünïcode · 日本"}
    with (
        jax.numpy_dtype_promotion("standard"),
        logger.open(directory, config=config, tags=("a", "b")) as run,
    ):
        every = jax.jit(jax.vmap(update, in_axes=(0, None)))
        for step in range(STEPS):
            every(jnp.arange(SEEDS), step)
        run.flush()  # the last programs may still run
        run.log({"return": [1.5, float("nan"), 2.5]}, step=STEPS - 1)
        memory = run.sink("memory")
    return Logged(directory, memory)


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    """Calls the command in this process, without the COLUMNS that pytest-xdist sets."""
    monkeypatch.delenv("COLUMNS", raising=False)

    def run(*arguments: object) -> Said:
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as end:
            code = int(end.code or 0)
        written = capsys.readouterr()
        return Said(code, written.out, written.err)

    return run


def start(
    arguments: Sequence[object], stdout: int | IO[str] = subprocess.PIPE
) -> subprocess.Popen[str]:
    """Starts the command in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "jaxlog", *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
        text=True,
        stdout=stdout,
        stderr=subprocess.PIPE,
    )


def refused_without(package: str, *arguments: object, extra: str = "explore") -> None:
    """Checks that without a package, the command says in one line what to install."""
    code = (
        f"import sys; sys.modules[{package!r}] = None; from jaxlog._cli.main import main; "
        "sys.exit(main(sys.argv[1:]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert f"pip install 'jaxlog[{extra}]'" in done.stderr
    assert done.stderr.count("\n") == 1
