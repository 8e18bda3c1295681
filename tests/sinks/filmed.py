"""A program whose recorded episodes are films that are known, and the settings of their sinks."""

from __future__ import annotations

import importlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxlog

NUM_ENVS = 3
LENGTHS = (5, 12, 9)
"""The number of steps of each episode of an environment."""


def boards(count: Any) -> Any:
    """An image of each environment, in which the pixel of its step is white."""
    place = jnp.arange(16, dtype=np.int32).reshape(4, 4)
    return (place[None] == count[:, None, None] % 16).astype(np.uint8) * 255


def record(logger: jaxlog.Logger, updates: int = 2, **how: Any) -> None:
    """Logs two updates, each with an episode of every environment."""
    lengths = jnp.array(LENGTHS)

    def values(count: Any) -> Any:
        return {"board": boards(count), "pair": (count, count.astype(np.float32))}

    def play(carry: Any, _: None) -> Any:
        count, recorder = carry
        done = count + 1 >= lengths
        recorder = jaxlog.record_step(recorder, values(count), jnp.ones(NUM_ENVS), done)
        return (jnp.where(done, 0, count + 1), recorder), None

    def update(carry: Any, step: Any) -> Any:
        carry, _ = jax.lax.scan(play, carry, length=24)
        _, recorder = jaxlog.log_episodes(logger, carry[1], step, every=1)
        return (carry[0], recorder), None

    count = jnp.zeros(NUM_ENVS, np.int32)
    of_all = {"environments": jnp.arange(NUM_ENVS), "max_steps": 600} | how
    carry = count, jaxlog.empty_recorder(logger, values(count), **of_all)
    jax.block_until_ready(
        jax.jit(jax.lax.scan, static_argnums=0)(update, carry, jnp.arange(updates))
    )


def tensorboard(**settings: Any) -> dict[str, Any]:
    return {"kind": "tensorboard", "films": 2, **settings}


def wandb(**settings: Any) -> dict[str, Any]:
    return {"kind": "wandb", "mode": "offline", "films": 2, **settings}


def trackio(**settings: Any) -> dict[str, Any]:
    return {"kind": "trackio", "project": "films", "films": 2, **settings}


def mlflow(**settings: Any) -> dict[str, Any]:
    return {"kind": "mlflow", "experiment": "films", "films": 2, **settings}


SINKS = {"tensorboard": tensorboard, "wandb": wandb, "trackio": trackio, "mlflow": mlflow}


def rows_in_trackio(run_id: str) -> list[dict[str, Any]]:
    """The rows of a run that trackio's own reader finds."""
    storage = importlib.import_module("trackio.sqlite_storage").SQLiteStorage
    (name,) = (r["name"] for r in storage.get_run_records("films") if r["id"] == run_id)
    return storage.get_logs("films", name, run_id=run_id)
