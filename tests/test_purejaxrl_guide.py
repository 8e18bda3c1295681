"""The guide to PureJaxRL-style scripts: the diff that it shows, and what the two scripts do."""

from __future__ import annotations

import difflib
import json
import re
from pathlib import Path

import jax
import numpy as np
import pytest

import jaxlog
from tests.conftest import module_of

GUIDES = Path(__file__).parent.parent / "docs" / "guides"
BEFORE, AFTER = (GUIDES / "purejaxrl" / f"{name}.py" for name in ("before", "after"))
SEEDS, UPDATES = 2, 6
# Optimizing takes three quarters of the time; without XLA's own emitters the two scripts, which are
# two programs, differ in the last bit.
QUICKLY = {"xla_backend_optimization_level": "0", "xla_cpu_use_fusion_emitters": True}
SHORT = {"NUM_ENVS": 4, "NUM_STEPS": 16, "TOTAL_TIMESTEPS": UPDATES * 4 * 16}


def test_the_diff_is_that_of_the_two_scripts() -> None:
    shown = re.findall(r"```diff\n(.*?)```", (GUIDES / "purejaxrl.md").read_text(), re.DOTALL)
    before, after = (path.read_text().splitlines(keepends=True) for path in (BEFORE, AFTER))
    assert shown == ["".join(difflib.unified_diff(before, after, "before.py", "after.py"))]


def test_the_training_is_the_same_and_the_log_is_what_numpy_makes_of_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before, after = module_of(BEFORE), module_of(AFTER)
    assert {"DEBUG": True} | after.CONFIG == before.CONFIG
    config = {"batched_logging_enabled": True, "log_frequency": 1, "sinks": [{"kind": "jsonl"}]}
    logger = jaxlog.Logger(config)
    rngs = jax.random.split(jax.random.PRNGKey(30), SEEDS)
    # gymnax and optax mix dtypes.
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        train = before.make_train(before.CONFIG | SHORT)
        returned = jax.block_until_ready(jax.jit(jax.vmap(train), compiler_options=QUICKLY)(rngs))
        train = after.make_train(after.CONFIG | SHORT, logger)
        with logger.open(tmp_path / "run"):
            logged = jax.block_until_ready(jax.jit(jax.vmap(train), compiler_options=QUICKLY)(rngs))

    kept, other = (jax.tree.leaves(out["runner_state"]) for out in (returned, logged))
    for left, right in zip(kept, other, strict=True):
        assert np.array_equal(left, right)
    assert list(logged) == ["runner_state"]

    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == SEEDS * UPDATES  # by the debug callback: one call for each seed
    lines = [
        json.loads(line) for line in (tmp_path / "run/batch_metrics.jsonl").read_text().splitlines()
    ]
    assert [(line["step"], line["lane"]) for line in lines] == [
        (step, lane) for step in range(UPDATES) for lane in range(SEEDS)
    ]
    info = jax.device_get(returned["metrics"])
    for line in lines:
        at = line["lane"], line["step"]
        ended = info["returned_episode"][at]
        got = line["metrics"]
        assert got["episode_count"] == ended.sum()
        for stem in ("return", "length"):
            values = info[f"returned_episode_{stem}s"][at][ended].astype(np.float64)
            assert got.keys() >= {f"episode_{stem}_mean"} or not ended.any()
            for statistic in ("mean", "std", "min", "max") if ended.any() else ():
                expected = getattr(np, statistic)(values)
                assert got[f"episode_{stem}_{statistic}"] == pytest.approx(expected, rel=1e-5)
        assert got.keys() >= {"policy_loss", "value_loss", "entropy"}
    assert sum(line["metrics"]["episode_count"] for line in lines) > 5
