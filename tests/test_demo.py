"""The demo, in short: what it logs is what NumPy makes of the same run's every update."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.conftest import module_of
from tests.examples.advantages import a_rollout, advantages_of

ROOT = Path(__file__).parent.parent
SEEDS = 3


@pytest.fixture(scope="module")
def demo() -> Any:
    return module_of(ROOT / "examples" / "ppo_cartpole.py")


@pytest.fixture(scope="module")
def run(demo: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any, Any]:
    """A short run: its directory, and the metrics and masks of every step that scan returned."""
    directory = tmp_path_factory.mktemp("runs") / "demo"
    config = demo.Config(num_envs=8, rollout_length=16, num_updates=33, epochs=2, minibatches=2)
    logger = demo.make_logger(config, ROOT / "configs" / "batched.yaml")
    train = demo.make_train(config, logger, keep=lambda *kept: kept)
    # gymnax and optax mix dtypes.
    with (
        jax.numpy_dtype_promotion("standard"),
        jax.numpy_rank_promotion("allow"),
        logger.open(directory),
    ):
        _, (metrics, finished) = jax.block_until_ready(jax.jit(jax.vmap(train))(jnp.arange(SEEDS)))
    return directory, jax.device_get(metrics), np.asarray(finished)


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_what_is_logged_is_what_numpy_computes(run: tuple[Path, Any, Any]) -> None:
    directory, metrics, finished = run
    lines = read(directory / "batch_metrics.jsonl")
    steps = [0, 10, 20, 30, 32]  # and the last
    assert [(line["step"], line["lane"]) for line in lines] == [
        (step, seed) for step in steps for seed in range(SEEDS)
    ]
    for line in lines:
        seed, step, got = line["labels"]["seed"], line["step"], line["metrics"]
        assert seed == line["lane"]
        assert line["env_step"] == (step + 1) * 8 * 16
        window = slice(*{0: (0, 1), 32: (31, 33)}.get(step, (step - 9, step + 1)))
        mask = finished[seed, window]
        expected: dict[str, Any] = {"episode_count": mask.sum()}
        expected["update_count"] = len(mask)
        for name, stem in (
            ("episode_returns", "episode_return"),
            ("episode_lengths", "episode_length"),
        ):
            values = metrics[name][seed, window][mask].astype(np.float64)
            for statistic in ("mean", "std", "min", "max") if mask.any() else ():
                expected[f"{stem}_{statistic}"] = getattr(np, statistic)(values)
        for name, values in metrics.items():
            if values.ndim == 2:
                expected[name] = values[seed, window].astype(np.float64).mean()
        assert got.keys() == expected.keys()
        for key, value in expected.items():
            assert got[key] == pytest.approx(value, rel=1e-5, abs=1e-7), (seed, step, key)
    counts = [line["metrics"]["episode_count"] for line in lines]
    assert max(counts) > 0


def test_sampled_episodes_are_of_the_run(run: tuple[Path, Any, Any]) -> None:
    directory, metrics, finished = run
    episodes = read(directory / "episodes.jsonl")
    assert {line["step"] for line in episodes} <= {0, 32}
    for seed in range(SEEDS):
        for step in (0, 32):
            of_it = [e for e in episodes if (e["lane"], e["step"]) == (seed, step)]
            assert len(of_it) == min(3, finished[seed, step].sum())
            for line in of_it:
                at = tuple(line["episode"]["batch_index"])
                assert finished[seed, step][at]
                returns = metrics["episode_returns"][seed, step]
                assert line["episode"]["total_reward"] == returns[at]
                assert len(line["details"]["final_state"]) == 4


def test_advantages_see_past_a_truncation_and_not_past_a_termination(demo: Any) -> None:
    config, rollout = demo.Config(), a_rollout()
    value, reward, next_value, terminated, done = rollout
    steps = demo.Steps(None, None, None, value, reward, terminated, done)
    got = demo.estimate_advantages(steps, next_value, config)
    assert got == pytest.approx(advantages_of(rollout, config), rel=1e-5, abs=1e-6)


def test_it_can_be_traced_with_64_bits(demo: Any) -> None:
    config = demo.Config(num_updates=2)
    logger = demo.make_logger(config, ROOT / "configs" / "batched.yaml")
    with (
        jax.numpy_dtype_promotion("standard"),
        jax.numpy_rank_promotion("allow"),
        jax.enable_x64(True),
    ):
        params, _ = jax.eval_shape(demo.make_train(config, logger), 0)
    assert {leaf.dtype for leaf in jax.tree.leaves(params)} == {np.dtype(np.float32)}


def test_it_runs_as_a_script(tmp_path: Path) -> None:
    done = subprocess.run(
        [
            sys.executable,
            ROOT / "examples" / "ppo_cartpole.py",
            "--num-updates",
            "3",
            "--num-seeds",
            "2",
            "--directory",
            "run",
        ],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=200,
        check=True,
    )
    assert "batch · step 2  " in done.stdout
    assert "The run is in run. To look at it:" in done.stdout
    for command in done.stdout.splitlines()[-2:]:  # what it says to do works
        command = command.replace("jaxlog ", f"{sys.executable} -m jaxlog ")
        shown = subprocess.run(command, shell=True, cwd=tmp_path, capture_output=True, check=True)
        assert b"episode" in shown.stdout
