"""What `pip install jaxlog` gives by itself: `make installed` runs it in a new environment."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp

import jaxlog
from jaxlog._page import vendored

EXTRAS = (
    *("wandb", "tensorboardX", "pyarrow", "polars", "jinja2", "matplotlib"),
    *("flax", "gymnax", "orbax"),
)


def log_five_updates(directory: Path) -> str:
    """Logs a run to JSONL and to the console, and gives back what the console wrote."""
    settings = {
        "batched_logging_enabled": True,
        "log_frequency": 1,
        "sinks": [{"kind": "jsonl"}, {"kind": "console"}],
    }
    logger = jaxlog.Logger(settings, total_updates=5)

    def update(returns: jax.Array, step: jax.Array) -> tuple[jax.Array, None]:
        jaxlog.batch_step(logger, step, {"episode_returns": returns})
        return returns + 1.0, None

    console = io.StringIO()
    with contextlib.redirect_stdout(console), logger.open(directory):
        jax.block_until_ready(jax.lax.scan(update, jnp.arange(4.0), jnp.arange(5)))
    return console.getvalue()


def refusal(call: Callable[[], object]) -> str:
    """What is said where an extra is missing."""
    try:
        call()
    except ImportError as error:
        return str(error)
    raise AssertionError("it was not refused")


def refused_command(*arguments: str) -> str:
    """What the command says where an extra is missing: one line, and no traceback."""
    done = subprocess.run(
        [str(Path(sys.executable).with_name("jaxlog")), *arguments], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done
    return done.stderr


def main() -> None:
    """Logs a run, and asks for what only extras have."""
    assert Path(jaxlog.__file__).is_relative_to(sys.prefix), jaxlog.__file__
    assert not [name for name in EXTRAS if importlib.util.find_spec(name)]
    console = log_five_updates(Path("alone"))
    print(console)
    assert "step 4 · 5/5 updates done" in console
    lines = Path("alone", "batch_metrics.jsonl").read_text().splitlines()
    means = [json.loads(line)["metrics"]["episode_return_mean"] for line in lines]
    assert means == [1.5, 2.5, 3.5, 4.5, 5.5]
    assert not vendored.missing()  # the chart library, which the repository does not have

    def opened(kind: str) -> Callable[[], object]:
        settings = {"sinks": [{"kind": kind}]}
        return lambda: jaxlog.Logger(settings).open(f"with-{kind}")

    run = jaxlog.read_run("alone")
    for extra, said in (
        ("wandb", refusal(opened("wandb"))),
        ("tensorboard", refusal(opened("tensorboard"))),
        ("arrow", refusal(opened("arrow"))),
        ("explore", refusal(lambda: run.metrics)),
        ("explore", refused_command("report", "alone", "-o", "report.html")),
        ("explore", refused_command("export", "alone", "--to", "csv")),
        ("demo", refused_command("demo")),
    ):
        print(said.strip())
        assert f"pip install 'jaxlog[{extra}]'" in said


if __name__ == "__main__":
    main()
