"""The files of configs/: each loads without a warning, and runs with a real program."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import jsonschema
import numpy as np
import pytest

import jaxlog
from jaxlog._settings import yaml_source
from jaxlog._settings.deprecated import KEYS as DEPRECATED
from jaxlog._settings.reference import json_schema

CONFIGS = Path(__file__).parents[2] / "configs"
FILES = {path.stem: path for path in sorted(CONFIGS.glob("*.yaml"))}
STEPS = 21


def test_there_is_one_for_each_way_of_logging() -> None:
    assert list(FILES) == ["basic", "batched", "debug", "full", "sweep", "wandb"]


@pytest.mark.parametrize("path", FILES.values(), ids=FILES)
def test_an_editor_takes_it_as_it_is(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.startswith("# yaml-language-server: $schema=schema.json\n# ")
    assert max(map(len, text.splitlines())) <= 110
    data, _ = yaml_source.parse(text, str(path))
    jsonschema.Draft7Validator(json_schema()).validate(data)
    assert not set(DEPRECATED) & set(data)


def test_batched_yaml_has_every_key_with_its_default() -> None:
    config = jaxlog.load_config(FILES["batched"])
    assert config.model_fields_set == set(jaxlog.LoggingConfig.model_fields)
    assert [sink.kind for sink in config.sinks] == ["jsonl", "console"]
    defaults = jaxlog.LoggingConfig(batched_logging_enabled=True, sinks=config.sinks)
    assert config == defaults
    assert hash(config) == hash(defaults)


def step_alone(logger: jaxlog.Logger) -> None:
    """One environment, in a loop of Python's."""
    logger.log_task_start({"task_id": "maze-7"})
    for episode in range(2):
        state = np.zeros((3, 3), int)
        for place in range(3):
            state[place, place] = 1
            logger.log_step({"reward": 1.0, "state": state})
        summary = {"total_reward": 3.0, "total_steps": 3, "success": bool(episode)}
        logger.log_episode_summary({**summary, "initial_state": 0 * state, "final_state": state})
    logger.log_evaluation_summary({"success_rate": 0.5})


def update(logger: jaxlog.Logger, step: jax.Array, noise: jax.Array, labels: Any) -> None:
    boards = jnp.broadcast_to(jnp.arange(4, dtype=jnp.int32).reshape(2, 2), (8, 2, 2))
    jaxlog.batch_step(
        logger,
        step,
        {"episode_returns": noise, "success_mask": noise > 0, "policy_loss": noise.mean()},
        where=jnp.arange(8) < 6,
        details={"initial_state": boards, "final_state": (boards + step) % 4},
        labels=labels,
    )


def train_seeds(logger: jaxlog.Logger) -> None:
    """Two seeds, in one program."""

    def train(seed: jax.Array) -> None:
        def body(key: jax.Array, step: jax.Array) -> tuple[jax.Array, None]:
            update(
                logger, step, jax.random.normal(jax.random.fold_in(key, step), (8,)), {"seed": seed}
            )
            return key, None

        jax.lax.scan(body, jax.random.key(seed), jnp.arange(STEPS))

    jax.block_until_ready(jax.jit(jax.vmap(train))(jnp.arange(2)))


def train_sweep(logger: jaxlog.Logger) -> None:
    """Two seeds with each of three learning rates, in one program."""

    def train(seed: jax.Array, learning_rate: jax.Array) -> None:
        def body(key: jax.Array, step: jax.Array) -> tuple[jax.Array, None]:
            noise = learning_rate * jax.random.normal(jax.random.fold_in(key, step), (8,))
            update(logger, step, noise, {"seed": seed, "learning_rate": learning_rate})
            return key, None

        jax.lax.scan(body, jax.random.key(seed), jnp.arange(STEPS))

    each = jax.vmap(jax.vmap(train, (0, None)), (None, 0))
    jax.block_until_ready(jax.jit(each)(jnp.arange(2), jnp.array([1e-4, 1e-3, 1e-2])))


PROGRAMS: dict[str, Callable[[jaxlog.Logger], None]] = {
    "basic": step_alone,
    "batched": train_seeds,
    "debug": train_seeds,
    "full": train_seeds,
    "sweep": train_sweep,
    "wandb": train_seeds,
}
OFFLINE = {"wandb": ["sinks.wandb.mode=offline"], "sweep": ["sinks.wandb.mode=offline"]}

# How many of each file a run has. Episodes are sampled at the first step and at the last.
WRITTEN = {
    "basic": {"svg/*/*.svg": 2, "svg/steps/*/*.svg": 0},
    "batched": {"svg": 0, "wandb": 0},
    "debug": {"svg/batch/*/lane_*.svg": STEPS * 2 * 6, "wandb": 0},  # six of eight had ended
    "full": {"svg/batch/*/lane_*.svg": 2 * 2 * 3, "wandb/offline-run-*": 3, "tensorboard": 1},
    "sweep": {"wandb/offline-run-*": 7, "svg": 0},
    "wandb": {"wandb/offline-run-*": 1, "svg": 0},
}
LINES = {
    "basic": {"tasks": 1, "steps": 6, "episodes": 2, "evaluations": 1},
    "batched": {"batch_metrics": 2 * 3, "episodes": 2 * 2 * 3},
    "debug": {"batch_metrics": 2 * STEPS, "episodes": 2 * STEPS * 6},
    "full": {"batch_metrics": 4 * 3, "episodes": 2 * 2 * 3},  # two lines more, over lanes
    "sweep": {"batch_metrics": (6 + 2) * 2},
    "wandb": {"batch_metrics": 2 * 3, "episodes": 2 * 2 * 3},
}


@pytest.mark.parametrize("name", FILES)
def test_it_runs(name: str, tmp_path: Path) -> None:
    config = jaxlog.load_config(FILES[name], *OFFLINE.get(name, ()))
    logger = jaxlog.Logger(config, total_updates=None if name == "basic" else STEPS)
    with logger.open(tmp_path / "run") as run:
        PROGRAMS[name](logger)
    assert run.directory is not None
    for account in run.accounts():
        assert (account.failure, account.off) == (None, False), account
        assert account.written == account.arrived > 0
    lines = {
        path.stem: len([json.loads(line) for line in path.read_text().splitlines()])
        for path in run.directory.glob("*.jsonl")
    }
    assert lines == LINES[name]
    for pattern, count in WRITTEN[name].items():
        assert len(list(run.directory.glob(pattern))) == count, pattern
