"""Training on several devices: the lines and the episodes are those of one device, each once."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from jax.sharding import AxisType

import jaxlog
from tests.conftest import module_of

ROOT = Path(__file__).parent.parent.parent
SCRIPT = ROOT / "examples" / "multi_device.py"
EPISODES, UPDATES = 24, 21


@pytest.fixture(scope="module")
def example() -> Any:
    return module_of(SCRIPT)


def lines(path: Path) -> list[dict[str, Any]]:
    """Without the times, which differ."""
    found = [json.loads(line) for line in path.read_text().splitlines()]
    for line in found:
        del line["timestamp"]
    return found


def train(example: Any, directory: Path, num_devices: int) -> tuple[Any, Any]:
    """The policy it begins with, and that it ends with."""
    settings = jaxlog.load_config(example.SETTINGS, sinks=[{"kind": "jsonl"}])
    logger = jaxlog.Logger(settings, total_updates=UPDATES)
    mesh = jax.make_mesh((num_devices,), ("devices",), axis_types=(AxisType.Auto,))
    params = example.init(jax.random.key(1))
    keys = jax.random.split(jax.random.key(2), EPISODES)
    # optax mixes dtypes.
    with jax.numpy_dtype_promotion("standard"), logger.open(directory):
        trained = jax.block_until_ready(example.make_train(logger, mesh, UPDATES)(params, keys))
    assert logger.dropped == 0
    return params, trained


def test_the_lines_are_those_of_one_device(example: Any, tmp_path: Path) -> None:
    trained = {n: train(example, tmp_path / str(n), n)[1] for n in (1, 2, 4)}
    one = lines(tmp_path / "1" / "batch_metrics.jsonl")
    assert [line["step"] for line in one] == [0, 10, 20]
    assert {line["metrics"]["episode_count"] for line in one} == {EPISODES}
    picked = lines(tmp_path / "1" / "episodes.jsonl")
    assert [line["step"] for line in picked] == [0] * 3 + [20] * 3
    for n in (2, 4):
        for name, expected in (("batch_metrics", one), ("episodes", picked)):
            found = lines(tmp_path / str(n) / f"{name}.jsonl")
            assert len(found) == len(expected)
            for line, other in zip(found, expected, strict=True):
                part = "metrics" if name == "batch_metrics" else "episode"
                values, others = line.pop(part), other[part]
                assert values == pytest.approx(others, rel=1e-4, abs=1e-6), (n, line)
                end = line.pop("details", {}).get("final_state")
                assert end == pytest.approx(other.get("details", {}).get("final_state"), abs=1e-5)
                rest = {k: v for k, v in other.items() if k not in (part, "details")}
                assert line == rest
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5),
            trained[n],
            trained[1],
        )


def test_the_first_line_is_what_numpy_computes(example: Any, tmp_path: Path) -> None:
    params, _ = train(example, tmp_path / "run", 4)
    hidden, out = (np.asarray(params[key], np.float64) for key in ("hidden", "out"))
    keys = jax.random.split(jax.random.key(2), EPISODES)
    returns, ends = [], []
    for key in keys:
        start = jax.random.uniform(jax.random.fold_in(key, 0), (2, 2), minval=-1.0, maxval=1.0)
        position, velocity = np.asarray(start, np.float64)
        total = 0.0
        for _ in range(50):
            thrust = np.tanh(np.tanh(np.concatenate([position, velocity]) @ hidden) @ out)
            velocity = velocity + 0.1 * thrust
            position = position + 0.1 * velocity
            total -= 0.1 * (position @ position + 0.1 * thrust @ thrust)
        returns.append(total)
        ends.append(position)
    metrics = lines(tmp_path / "run" / "batch_metrics.jsonl")[0]["metrics"]
    for statistic in ("mean", "std", "min", "max"):
        exact = getattr(np, statistic)(returns)
        assert metrics[f"episode_return_{statistic}"] == pytest.approx(exact, rel=1e-5)
    assert metrics["success_rate"] == np.mean(np.linalg.norm(ends, axis=1) < 0.1)
    assert metrics["loss"] == pytest.approx(-np.mean(returns), rel=1e-5)
    for line in lines(tmp_path / "run" / "episodes.jsonl")[:3]:
        at = line["episode"]["environment_id"]  # counted over all devices
        assert line["episode"]["total_reward"] == pytest.approx(returns[at], rel=1e-5)
        assert line["details"]["final_state"] == pytest.approx(ends[at], rel=1e-5)


def test_it_runs_as_a_script(tmp_path: Path) -> None:
    options = ["--num-devices", "3", "--num-updates", "12", "--num-episodes", "6"]
    done = subprocess.run(
        [sys.executable, SCRIPT, *options, "--directory", "run"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=200,
        check=True,
    )
    found = lines(tmp_path / "run" / "batch_metrics.jsonl")
    assert [line["step"] for line in found] == [0, 10, 11]
    assert {line["metrics"]["episode_count"] for line in found} == {6}
    info = json.loads((tmp_path / "run" / "run.json").read_text())
    assert info["config"] == {"num_devices": 3, "num_episodes": 6}
    commands = [line.strip() for line in done.stdout.splitlines() if line.startswith("  ")][-2:]
    for command, expected in zip(commands, ("episode_return", "3 run/"), strict=True):
        command = command.replace("jaxlog ", f"{sys.executable} -m jaxlog ", 1)
        shown = subprocess.run(command, shell=True, cwd=tmp_path, capture_output=True, check=True)
        assert expected in shown.stdout.decode()
