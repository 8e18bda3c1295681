from __future__ import annotations

import os
import pty
import subprocess
import sys
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxlog
from tests.conftest import MakeLogger

RUN = """
import jax, jax.numpy as jnp, jaxlog
config = {"batched_logging_enabled": True, "sinks": [{"kind": "console"}]}
logger = jaxlog.Logger(config | {"env_steps_per_update": 1000}, total_steps=30)

def train(seed):
    def update(_, step):
        returns = jnp.arange(4.0) + seed
        jaxlog.batch_step(logger, step, {"episode_returns": returns, "policy_loss": 0.25})
        return None, None
    return jax.lax.scan(update, None, jnp.arange(30))

with logger.open():
    jax.block_until_ready(jax.jit(jax.vmap(train))(jnp.arange(2)))
print("after the run")
"""


def in_a_terminal(code: str, timeout: float = 60.0) -> str:
    """What a program shows in a terminal of its own."""
    main, side = pty.openpty()
    environment = os.environ | {"TERM": "xterm-256color", "COLUMNS": "100", "LINES": "40"}
    environment.pop("NO_COLOR", None)
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=side, stdout=side, stderr=side, env=environment
    )
    os.close(side)
    shown = b""
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        try:
            got = os.read(main, 65536)
        except OSError:  # the other side is closed
            break
        if not got:
            break
        shown += got
    os.close(main)
    assert process.wait(10) == 0, shown.decode()
    return shown.decode()


def test_a_terminal_shows_a_table_by_category_and_a_bar() -> None:
    shown = in_a_terminal(RUN)
    assert "compiling…" in shown  # until the first record
    last = shown[shown.rindex("batch · update 30") :]
    assert "30,000 environment steps" in last
    assert "mean ± std over 2 lanes" in last
    order = ["rewards", "episode_return", "training", "policy_loss", "other", "episode_count"]
    positions = [last.index(word) for word in order]
    assert positions == sorted(positions)
    assert "2 ± 0.5" in last  # means 1.5 and 2.5 of the two lanes
    assert "30/30" in last
    assert "updates/s" in last
    assert shown.rindex("\x1b[?25h") > shown.rindex("\x1b[?25l")  # the cursor is back
    assert last.index("after the run") > last.index("30/30")


def test_a_pipe_shows_a_plain_line_for_each_log() -> None:
    done = subprocess.run(
        [sys.executable, "-c", RUN], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.splitlines() == [
        f"batch · update {update}/30  "
        "episode_count 4  episode_return_mean 2 ± 0.5  policy_loss 0.25"
        for update in (1, 11, 21, 30)
    ] + ["after the run"]


def test_a_lane_without_episodes_is_left_out(
    make_logger: MakeLogger, capsys: pytest.CaptureFixture[str]
) -> None:
    logger = make_logger(sinks=[{"kind": "console"}])

    def log(seed: jax.Array) -> Any:
        where = jnp.arange(3) < seed
        jaxlog.batch_step(logger, 0, {"episode_returns": jnp.ones(3)}, where=where)

    with logger.open():
        jax.vmap(log)(jnp.arange(2))
    assert capsys.readouterr().out == (
        "batch · update 1  episode_count 0.5 ± 0.5  episode_return_mean 1\n"
    )


def test_numbers_that_are_not_finite_are_shown(
    make_logger: MakeLogger, capsys: pytest.CaptureFixture[str]
) -> None:
    logger = make_logger(sinks=[{"kind": "console"}])
    with logger.open():
        jaxlog.batch_step(logger, 0, {"policy_loss": np.float32(np.nan), "[bold]x": np.inf})
    assert capsys.readouterr().out == "batch · update 1  policy_loss nan  [bold]x inf\n"
