"""What every sink promises. A new sink joins by one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxlog
from jaxlog import sinks
from tests.conftest import MakeLogger

# A sink may take metrics alone; that episodes are sampled for none is then warned of.
pytestmark = pytest.mark.filterwarnings("ignore:settings. sinks. episodes are sampled")

SINKS = [
    {"kind": "jsonl"},
    {"kind": "arrow"},
    {"kind": "console"},
    {"kind": "wandb", "mode": "offline", "episodes": "both"},
    {"kind": "memory"},
    {"kind": "tensorboard"},
    {"kind": "svg"},
    {"kind": "trackio"},
    {"kind": "mlflow"},
]


def test_every_sink_is_in_the_matrix() -> None:
    assert {settings["kind"] for settings in SINKS} == set(sinks._SINKS)


ROOT = Path(__file__).parents[2]
FULL = [sink.model_dump() for sink in jaxlog.load_config(ROOT / "configs" / "full.yaml").sinks]


@pytest.mark.parametrize(
    "settings",
    [*([settings] for settings in SINKS), FULL],
    ids=lambda settings: " ".join(sink["kind"] for sink in settings),
)
def test_sinks_take_whatever_a_program_logs(
    settings: list[dict[str, Any]], make_logger: MakeLogger, tmp_path: Path
) -> None:
    logger = make_logger(20, log_frequency=3, sample_frequency=7, sinks=settings)

    def train(seed: jax.Array) -> Any:
        def update(_: None, step: jax.Array) -> tuple[None, None]:
            returns = jnp.arange(12.0).reshape(3, 4) + seed.astype(np.float32)
            jaxlog.batch_step(
                logger,
                step,
                {
                    "episode_returns": jnp.where(returns == 3, np.nan, returns),
                    "success_mask": returns > 4,
                    "counts": returns.astype(np.int32),
                    "halves": returns.astype(jnp.bfloat16),
                    "policy_loss": jnp.where(step == 3, np.inf, 1.0),
                    "[odd] name/with: signs ✓": step,
                },
                where=returns < step.astype(np.float32),  # none at the first steps
                values={"[odd] image/with: signs ✓": jaxlog.Image(returns / 99, "<b>✓")},
                arrays={
                    "[odd] array/with: signs ✓": jnp.where(returns > 9, np.inf, returns),
                    "halves of many axes": returns.reshape(1, 3, 2, 1, 2).astype(jnp.bfloat16),
                    "flags": returns > 3,
                    "one": step,
                    "none": returns[:0],
                },
                details={"state": {"grid": jnp.ones((3, 4, 2, 2), np.uint8)}, "task_id": returns},
                labels={"seed": seed, "scale": jnp.float32(0.1)},
            )
            jaxlog.batch_step(logger, step, {"x": 1.0}, name="eval", when=step == 6)
            return None, None

        return jax.lax.scan(update, None, jnp.arange(20))

    for run_number in range(2):
        with logger.open(tmp_path / str(run_number), config={"lr": 1e-3}) as run:
            jax.block_until_ready(jax.jit(jax.vmap(train))(jnp.arange(3)))
            logger.log_task_start({"task_id": "[a/b] ✓", "map": np.eye(2)})
            logger.log_step({"reward": np.nan, "action": "up", "state": np.eye(2)})
            logger.log_episode_summary({"total_reward": 1.0, "final_state": np.full(3, np.inf)})
            logger.log_evaluation_summary({"rate": np.float16(0.5), "odd": 2j, "x": np.ones(2)})
            table = jaxlog.Table(["[odd] name ✓", "|"], [["<b>|", np.nan], [None, True]])
            jaxlog.log(logger, 0, {"loss": jnp.inf, "a table": table})
            run.log({"score": np.arange(3)}, arrays={"seen": np.eye(3, 5, dtype=np.uint64)})
        assert len(run.accounts()) == len(settings)
        for account in run.accounts():
            assert (account.failure, account.off) == (None, False)
            # batch: 0 3 6 9 12 15 18 19 and samples at 7 and 14; eval: 6; and of Python, eight
            assert account.written == run.arrived == 3 * (8 + 2) + 1 + 8


@pytest.mark.parametrize("settings", SINKS, ids=lambda settings: settings["kind"])
def test_a_run_without_records_is_a_run(
    settings: dict[str, Any], make_logger: MakeLogger, tmp_path: Path
) -> None:
    with make_logger(sinks=[settings]).open(tmp_path / "run") as run:
        pass
    assert run.arrived == 0


def test_an_unknown_kind_is_refused_with_those_there_are() -> None:
    with pytest.raises(LookupError, match="got 'josnl', takes one of jsonl, arrow, console, wandb"):
        sinks.sink_class("josnl")
