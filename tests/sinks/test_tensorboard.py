"""Event files, as TensorBoard's own reader finds them."""

from __future__ import annotations

import html
import io
import math
import shutil
import struct
import subprocess
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from tensorboard.backend.event_processing import data_provider, plugin_event_multiplexer
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.context import RequestContext
from tensorboard.plugins import base_plugin

import jaxlog
from jaxlog._format.events import (
    NOTHING,
    EpisodeEvent,
    EvaluationEvent,
    Histogram,
    Key,
    Lane,
    MetricsEvent,
    RunInfo,
    StepEvent,
    TaskEvent,
)
from jaxlog._format.keys import key_from_name
from jaxlog._format.names import look_up
from jaxlog._format.timing import Timing
from jaxlog._host import retries
from jaxlog._render.arrays import array_pixels
from jaxlog._render.png import png
from jaxlog._render.style import ARC_COLOURS
from jaxlog.sinks.event_files import Layout, own_files
from jaxlog.sinks.growing import MAX_OPEN
from jaxlog.sinks.tensorboard import MOST_RUNS, TensorboardSettings, TensorboardSink
from tests.conftest import MakeLogger

with warnings.catch_warnings():  # of a package that TensorBoard brings with it
    warnings.simplefilter("ignore", DeprecationWarning)
    from tensorboard import plugin_util
    from tensorboard.plugins.hparams import api_pb2, backend_context, list_session_groups

Scalars = dict[str, list[tuple[int, float]]]
EVERYTHING = {"scalars": 0, "tensors": 0, "histograms": 0, "compressedHistograms": 0}


def read(folder: Path) -> EventAccumulator:
    return EventAccumulator(str(folder), size_guidance=EVERYTHING).Reload()


def scalars(folder: Path, *, times: bool = False) -> Scalars:
    """What is in the files of one of TensorBoard's runs, by tag: the times, or all else."""
    found = read(folder)
    return {
        tag: [(event.step, event.value) for event in found.Scalars(tag)]
        for tag in found.Tags()["scalars"]
        if tag.startswith("time/") == times
    }


def tag_of(call: str, key: str) -> str:
    """The tag of a key of these tests."""
    groups = {"episode_return": "rewards", "policy_loss": "losses"}
    group = next((group for stem, group in groups.items() if key.startswith(stem)), "other")
    own, slash, rest = key.partition("/")
    return f"{own}/{call}/{rest}" if slash and group == "other" else f"{group}/{call}/{key}"


def texts(folder: Path, tag: str) -> list[str]:
    return [event.tensor_proto.string_val[0].decode() for event in read(folder).Tensors(tag)]


def runs(root: Path) -> list[str]:
    return sorted({path.parent.name for path in own_files(root)})


def opened(
    directory: Path, lanes: Any = "runs", settings: dict[str, Any] = NOTHING, **info: Any
) -> TensorboardSink:
    sink = TensorboardSink(TensorboardSettings(lanes=lanes, **settings))
    run = RunInfo("a run", directory, **info)
    sink.check(run)
    sink.open(run)
    return sink


def metrics(step: int, *lanes: dict[str, Any], name: str = "batch", **more: Any) -> MetricsEvent:
    keys = {key: Key(look_up(key).category, key, "") for lane in lanes for key in lane}
    held = tuple(Lane(i, {"seed": i}, lane) for i, lane in enumerate(lanes))
    number = more.pop("num_lanes", len(lanes))
    return MetricsEvent(
        name, step, more.pop("env_step", None), 1e9 + step, held, keys, num_lanes=number, **more
    )


def test_numbers_are_read_back_as_they_were(tmp_path: Path) -> None:
    values = {
        "small": np.float32(1e-42),
        "third": np.float32(1 / 3),
        "count": np.int32(7),
        "flag": np.bool_(True),
        "nan": np.float32(np.nan),
        "inf": -np.float32(np.inf),
        "wide": 1e300,
        "[odd] name/with: signs ✓": 1.5,
    }
    sink = opened(tmp_path)
    sink.write_metrics(metrics(3, values, env_step=4 * 10**6))
    sink.flush()  # and no more: what is flushed is there
    found = scalars(tmp_path / "tensorboard")
    wide = {"other/batch/wide": [(3, math.inf)]}
    np.testing.assert_equal(
        found,
        {
            tag_of("batch", key): [(3, float(np.float32(min(value, 1e38))))]
            for key, value in values.items()
        }
        | wide,
    )
    (event,) = read(tmp_path / "tensorboard").Scalars("other/batch/third")
    assert event.wall_time == 1e9 + 3
    sink.close()


def test_rates_are_beside_the_numbers_of_their_line(tmp_path: Path) -> None:
    sink = opened(tmp_path, "aggregate")
    sink.write_metrics(metrics(3, {"x": 1.0}, {"x": 2.0}, timing=Timing(1.5)))
    sink.write_metrics(metrics(4, {"x": 1.0}, {"x": 2.0}, timing=Timing(2.0, 2.0, 256.0, 1024)))
    sink.close()
    assert scalars(tmp_path / "tensorboard", times=True) == {
        "time/batch/seconds": [(3, 1.5), (4, 2.0)],
        "time/batch/updates_per_second": [(4, 2.0)],
        "time/batch/env_steps_per_second": [(4, 256.0)],
        "time/batch/device_memory": [(4, 1024.0)],
    }


def test_histograms_have_the_buckets_that_were_counted(tmp_path: Path) -> None:
    sink = opened(tmp_path)
    for step, counts in enumerate([(1, (2, 0, 3), 4), (0, (0, 5, 0), 0), (0, (0, 0, 0), 0)]):
        below, within, above = counts
        histogram = Histogram((0.0, 1.0, 2.0, 4.0), within, below, above)
        sink.write_metrics(metrics(step, {"h": histogram}))
    sink.close()
    events = read(tmp_path / "tensorboard").histograms.Items("other/batch/h")
    found = [event.histogram_value for event in events]
    assert [list(value.bucket_limit) for value in found] == [[0, 1, 2, 4, 6]] * 3
    assert [list(value.bucket) for value in found] == [[1, 2, 0, 3, 4], [0, 0, 5, 0, 0], [0] * 5]
    assert [value.num for value in found] == [10, 5, 0]
    assert [(value.min, value.max) for value in found[:2]] == [(-1, 6), (1, 2)]


class Training:
    """Three seeds; seed 2 has episodes only at odd steps."""

    def __init__(self, make_logger: MakeLogger, lanes: str, **settings: Any) -> None:
        sink = {"kind": "tensorboard", "lanes": lanes}
        self.logger = logger = make_logger(
            40,
            log_frequency=3,
            sinks=[sink, {"kind": "memory"}],
            env_steps_per_update=8,
            **settings,
        )

        def update(seed: jax.Array, total: jax.Array, step: jax.Array) -> Any:
            total += jnp.sin(total + step.astype(np.float32))
            jaxlog.batch_step(
                logger,
                step,
                {"episode_returns": total + jnp.arange(4.0), "policy_loss": total},
                where=(seed < 2) | (step % 2 == 1) & (jnp.arange(4) < 3),
                labels={"seed": seed, "lr": jnp.float32(0.1)},
            )
            jaxlog.batch_step(logger, step // 4, {"x": total}, name="eval", when=step % 4 == 0)
            return total, None

        def advance(seed: jax.Array, total: jax.Array, steps: jax.Array) -> Any:
            return jax.lax.scan(lambda carry, step: update(seed, carry, step), total, steps)[0]

        self.seeds = jnp.arange(3)
        self.advance = jax.jit(jax.vmap(advance, in_axes=(0, 0, None)))

    def run(self, carry: Any, begin: int, end: int) -> Any:
        return self.advance(self.seeds, carry, jnp.arange(begin, end))

    def start(self) -> jax.Array:
        return self.seeds.astype(np.float32)


def test_lanes_as_runs(make_logger: MakeLogger, tmp_path: Path) -> None:
    training = Training(make_logger, "runs", sampling_enabled=False, over_lanes=["mean"])
    with training.logger.open(tmp_path) as run:
        training.run(training.start(), 0, 10)
    root = tmp_path / "tensorboard"
    folders = [f for i in range(3) for f in (f"lane_00{i}", f"seed={i}-lr=0.1-lane_00{i}")]
    assert runs(root) == [*sorted(folders), "tensorboard"]
    for i in range(3):
        wanted: Scalars = {}
        for event in run.sink("memory").metrics:
            assert event.env_step == 8 * (event.step + 1)
            for key, value in event.lanes[i].metrics.items():
                tag = tag_of(event.name, key)
                wanted.setdefault(tag, []).append((event.step, float(value)))
        labelled = scalars(root / f"seed={i}-lr=0.1-lane_00{i}")
        assert set(labelled) == {tag for tag in wanted if "/batch/" in tag}
        assert labelled | scalars(root / f"lane_00{i}") == wanted
    own = scalars(root)
    assert [step for step, _ in own["losses/batch/policy_loss_lanes_mean"]] == [0, 3, 6, 9]
    assert own["rewards/batch/episode_return_mean_lanes"] == [(0, 2), (6, 2)]
    assert not any(tag.endswith("policy_loss") for tag in own)
    assert "| seed | 0 |" in texts(root / "seed=0-lr=0.1-lane_000", "labels")[0]


@pytest.mark.parametrize("mode", ["columns", "aggregate"])
def test_lanes_in_one_run(mode: str, make_logger: MakeLogger, tmp_path: Path) -> None:
    training = Training(make_logger, mode, sampling_enabled=False)
    with training.logger.open(tmp_path) as run:
        training.run(training.start(), 0, 10)
    assert runs(tmp_path / "tensorboard") == ["tensorboard"]
    found = scalars(tmp_path / "tensorboard")
    for event in run.sink("memory").metrics:
        if event.name == "batch":
            values = [float(lane.metrics["policy_loss"]) for lane in event.lanes]
            if mode == "columns":
                wanted = {f"/seed={i},lr=0.1": value for i, value in enumerate(values)}
            else:
                wanted = {"": np.mean(values), "_lanes_std": np.std(values)}
            for suffix, value in wanted.items():
                pair = (event.step, np.float32(value))
                assert pair in found[f"losses/batch/policy_loss{suffix}"]


def test_seeds_that_run_in_turn_are_a_run_each(make_logger: MakeLogger, tmp_path: Path) -> None:
    logger = make_logger(log_frequency=1, sinks=[{"kind": "tensorboard"}])

    def lane(seed: jax.Array, steps: jax.Array) -> None:
        def update(_: None, step: jax.Array) -> tuple[None, None]:
            labels = {"seed": seed, "lr": 0.5 + 0.5 * (step // 2).astype(np.float32)}
            jaxlog.log(logger, step, {"x": step + 10 * seed}, labels=labels)
            return None, None

        jax.lax.scan(update, None, steps)

    train = jax.jit(lambda steps: jax.lax.map(lambda seed: lane(seed, steps), jnp.arange(3)))
    for steps in (jnp.arange(3), jnp.arange(3, 6)):
        with logger.open(tmp_path, if_exists="resume"):
            train(steps)
    root = tmp_path / "tensorboard"
    # The first was the run as a whole, until the second came.
    folders = ["seed=1-lr=0.5-lane_001", "seed=2-lr=0.5-lane_002"]
    assert runs(root) == [*folders, "tensorboard"]
    for seed, folder in enumerate(["", *folders]):
        assert scalars(root / folder) == {"other/train/x": [(i, i + 10 * seed) for i in range(6)]}


_NUMBERS = {
    "half": st.floats(width=16, allow_nan=False).map(np.float16),
    "single": st.floats(width=32, allow_nan=False).map(np.float32),
    "double": st.floats(allow_nan=False),
    "count": st.integers(-(2**63), 2**63 - 1),
    "flag": st.booleans(),
}


@given(
    st.lists(
        st.lists(st.fixed_dictionaries({}, optional=_NUMBERS), min_size=2, max_size=4),
        min_size=1,
        max_size=4,
    ),
    st.sampled_from([None, 2**40]),
)
def test_each_lane_has_its_own_numbers(
    tmp_path_factory: pytest.TempPathFactory,
    events: list[list[dict[str, Any]]],
    env_step: int | None,
) -> None:
    tmp_path = tmp_path_factory.mktemp("run")
    sink = opened(tmp_path)
    for number, lanes in enumerate(events):
        more = {"env_step": env_step, "timing": Timing(2.0, 0.5)}
        sink.write_metrics(metrics(2**33 + number, *lanes, **more))
    sink.close()
    for lane in range(4):
        expected: dict[str, list[tuple[int, float]]] = {}
        for number, lanes in enumerate(events):
            values = dict(lanes[lane]) if lane < len(lanes) else {}
            for key, value in values.items():
                with np.errstate(over="ignore"):
                    single = float(np.float32(float(value)))
                expected.setdefault(tag_of("batch", key), []).append((2**33 + number, single))
        folder = tmp_path / "tensorboard" / f"seed={lane}-lane_{lane:03d}"
        assert scalars(folder) == expected if expected else not folder.exists()


def test_too_many_lanes_are_shown_as_one(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    sink = opened(tmp_path)
    for step in range(2):
        sink.write_metrics(metrics(step, *[{"a": 1.0}] * (MOST_RUNS + 1)))
    sink.close()
    assert runs(tmp_path / "tensorboard") == ["tensorboard"]
    assert scalars(tmp_path / "tensorboard")["other/batch/a"] == [(0, 1.0), (1, 1.0)]
    (said,) = caplog.messages
    assert "shows 257 lanes as their mean, because it shows at most 256 as runs" in said


def test_a_run_that_goes_on_is_read_as_one_that_nobody_stopped(
    make_logger: MakeLogger, tmp_path: Path
) -> None:
    training = Training(make_logger, "runs")
    with training.logger.open(tmp_path / "whole"):
        training.run(training.start(), 0, 40)
    with training.logger.open(tmp_path / "run") as run:
        carry = training.run(training.start(), 0, 20)
        state = run.state()
        watching = {
            name: EventAccumulator(str(tmp_path / "run" / "tensorboard" / name), EVERYTHING)
            for name in runs(tmp_path / "run" / "tensorboard")
            if "seed" in name
        }
        training.run(carry, 20, 33)
        run.flush()
        for reader in watching.values():
            assert reader.Reload().Scalars("losses/batch/policy_loss")[-1].step == 30
    with training.logger.open(tmp_path / "run", if_exists="resume", state=state):
        training.run(carry, 20, 40)
    whole, again = (tmp_path / name / "tensorboard" for name in ("whole", "run"))
    assert runs(whole) == runs(again)
    assert len(watching) == 3
    for name in runs(whole):
        folder = "" if name == "tensorboard" else name
        assert scalars(again / folder) == scalars(whole / folder)
    for name, reader in watching.items():
        wanted = scalars(whole / name)
        assert len(wanted) > 5
        assert len(texts(again / name, "labels")) == 2  # of each session
        # A TensorBoard that has read what was dropped forgets it, as far as steps tell it.
        late = [
            (event.step, event.value)
            for event in reader.Reload().Scalars("losses/batch/policy_loss")
        ]
        assert late == wanted["losses/batch/policy_loss"]
        sampled = "sampled_episodes/batch/table"
        assert texts(again / name, sampled) == texts(whole / name, sampled) != []


def test_without_a_position_what_comes_again_is_purged_by_its_step(tmp_path: Path) -> None:
    sink = opened(tmp_path)
    for step in range(6):
        sink.write_metrics(metrics(step, {"a": step}, {"a": step}))
    sink.close()
    sink = opened(tmp_path, if_exists="resume", resumes_at=4)
    for step in range(5, 7):
        sink.write_metrics(metrics(step, {"a": -step}, {"a": -step}))
    sink.close()
    for lane in range(2):
        folder = tmp_path / "tensorboard" / f"seed={lane}-lane_00{lane}"
        assert scalars(folder)["other/batch/a"] == [
            (0, 0),
            (1, 1),
            (2, 2),
            (3, 3),
            (5, -5),
            (6, -6),
        ]


def test_labels_that_change_do_not_lead_to_new_files(tmp_path: Path) -> None:
    sink = opened(tmp_path)
    for step in range(3):
        lanes = tuple(Lane(i, {"lr": 0.5**step}, {"a": step}) for i in range(2))
        event = metrics(step, {"a": 1}, {"a": 1})
        sink.write_metrics(MetricsEvent("batch", step, None, 0.0, lanes, event.keys, num_lanes=2))
    sink.close()
    assert runs(tmp_path / "tensorboard") == ["lr=1.0-lane_000", "lr=1.0-lane_001"]
    found = scalars(tmp_path / "tensorboard" / "lr=1.0-lane_001")
    assert found == {"other/batch/a": [(0, 0), (1, 1), (2, 2)]}


def test_only_its_own_files_are_replaced(tmp_path: Path) -> None:
    sink = opened(tmp_path)
    sink.write_metrics(metrics(0, {"a": 1.0}, {"a": 2.0}))
    sink.close()
    root = tmp_path / "tensorboard"
    mine = [root / "events.out.tfevents.1234567890.mine", root / "notes.txt"]
    for path in mine:
        path.write_text("")
    with pytest.raises(FileExistsError, match="has the event files of another run; choose another"):
        opened(tmp_path)
    opened(tmp_path, if_exists="replace").close()
    assert runs(root) == ["tensorboard"]
    assert sorted(path for path in root.rglob("*") if path not in own_files(root)) == sorted(mine)


def test_files_that_are_missing_are_missed(tmp_path: Path) -> None:
    sink = opened(tmp_path)
    sink.write_metrics(metrics(0, {"a": 1.0}))
    sink.flush()
    position = sink.position()
    sink.close()
    own_files(tmp_path / "tensorboard")[0].unlink()
    with pytest.raises(ValueError, match=r"got 0 bytes, expected the [\d,]+ it had when"):
        opened(tmp_path, if_exists="resume", position=position)


def test_whole_records_before_a_torn_one_are_read_and_those_of_the_next_session(
    tmp_path: Path,
) -> None:
    sink = opened(tmp_path)
    for step in range(3):
        sink.write_metrics(metrics(step, {"a": float(step)}))
    sink.close()
    (path,) = own_files(tmp_path / "tensorboard")
    path.write_bytes(path.read_bytes()[:-5])
    sink = opened(tmp_path, if_exists="resume")
    sink.write_metrics(metrics(2, {"a": 5.0}))
    sink.close()
    first, second = own_files(tmp_path / "tensorboard")
    assert first == path != second  # in the order they are read
    assert scalars(tmp_path / "tensorboard")["other/batch/a"] == [(0, 0.0), (1, 1.0), (2, 5.0)]


def test_a_write_that_failed_is_tried_again_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = opened(tmp_path)
    sink.write_metrics(metrics(0, {"a": 1.0}))
    sink.flush()
    sink.write_metrics(metrics(1, {"a": 2.0}))
    sampled = EpisodeEvent("batch", 0, None, 0.0, 0, {}, {"environment_id": 1}, {})
    sink.write_episode(sampled)
    growing: Any = sink._files[None]._file

    class Full:
        def __getattr__(self, name: str) -> Any:
            return getattr(real, name)

        def write(self, data: bytes) -> int:
            real.write(data[:7])
            raise OSError(28, "no space left on device")

    files = sink._open_files._files
    real = files[growing]
    files[growing] = Full()  # type: ignore[assignment]
    with pytest.raises(OSError, match="no space"):
        sink.flush()
    files[growing] = real
    sink.flush()
    sink.close()
    assert scalars(tmp_path / "tensorboard")["other/batch/a"] == [(0, 1.0), (1, 2.0)]
    assert len(texts(tmp_path / "tensorboard", "sampled_episodes/batch/table")) == 1


def test_episodes_are_a_table_in_which_nothing_is_markup(tmp_path: Path) -> None:
    sink = opened(tmp_path, "aggregate")
    for lane in range(2):
        episode = {"environment_id": 3, "note": "a|b*c*\n<b>`x`", "goal": np.arange(2)}
        sink.write_episode(
            EpisodeEvent("batch", 9, None, 2e9, lane, {"seed": 7}, episode, {}, num_lanes=2)
        )
    for i in range(120):
        sink.write_episode(EpisodeEvent("many", 9, None, 2e9, 0, {}, {"environment_id": i}, {}))
    sink.close()
    (found,) = texts(tmp_path / "tensorboard", "sampled_episodes/batch/table")
    shown = html.unescape(plugin_util.markdown_to_safe_html(found))
    assert shown.count("<tr>") == 3
    assert shown.count("<td>") == 2 * 5
    assert "<th>environment_id</th>" in shown
    assert "<td>a|b*c* <b>`x`</td>" in shown
    assert "<td>[0, 1]</td>" in shown
    (many,) = texts(tmp_path / "tensorboard", "sampled_episodes/many/table")
    assert plugin_util.markdown_to_safe_html(many).count("<tr>") == 1 + 100
    assert many.endswith("and 20 more")


def test_a_single_environment(tmp_path: Path) -> None:
    sink = opened(tmp_path)
    sink.write_task(TaskEvent(0, 1e9, {"task_id": "maze"}, {}))
    for step in range(2):
        values = {"reward": np.float32(step), "action": 3, "note": "a text", "done": step == 1}
        sink.write_step(StepEvent(step, 1e9 + step, 0, {}, values, {"state": np.zeros(3)}))
    sink.write_episode(
        EpisodeEvent("episode", 1, None, 1e9, 0, {}, {"total_reward": 1.0}, {}, sampled=False)
    )
    sink.write_evaluation(EvaluationEvent(1, 1e9, {"success_rate": 0.5, "of": "maze"}, {}))
    sink.close()
    assert scalars(tmp_path / "tensorboard") == {
        "step/reward": [(0, 0.0), (1, 1.0)],
        "step/action": [(0, 3.0), (1, 3.0)],
        "step/done": [(0, 0.0), (1, 1.0)],
        "episode/total_reward": [(1, 1.0)],
        "evaluation/success_rate": [(1, 0.5)],
    }
    assert "| task&#95;id | maze |" in texts(tmp_path / "tensorboard", "task/start")[0]
    assert "| of | maze |" in texts(tmp_path / "tensorboard", "evaluation/table")[0]


def test_the_config_is_a_table_and_tells_no_secrets(
    make_logger: MakeLogger, tmp_path: Path
) -> None:
    logger = make_logger(sinks=[{"kind": "tensorboard"}])
    config = {"optimizer": {"lr": 0.1}, "api_key": "abc", "layers": [64, 64]}
    with logger.open(tmp_path, config=config, name="first", tags=("a", "b")):
        pass
    (found,) = texts(tmp_path / "tensorboard", "config")
    assert found.splitlines()[2:] == [
        "| run | first |",
        "| tags | a, b |",
        "| optimizer.lr | 0.1 |",
        "| api&#95;key | (redacted) |",
        "| layers | &#91;64, 64&#93; |",
    ]


CATEGORIES = {
    "episode_return_mean": "rewards/batch/episode_return_mean",
    "episode_return/agent_0_mean": "rewards/batch/episode_return/agent_0_mean",
    "episode_length_max": "lengths/batch/episode_length_max",
    "similarity_mean": "similarity/batch/similarity_mean",
    "critic/loss": "losses/batch/critic/loss",
    "entropy": "losses/batch/entropy",
    "learning_rate": "training/batch/learning_rate",
    "distance": "other/batch/distance",
    "ppo/clip_fraction": "ppo/batch/clip_fraction",
    "rewards/distance": "other/batch/rewards/distance",  # not beside those that jaxlog knows
    "other/distance": "other/batch/other/distance",
    "env_step": "other/batch/env_step",
}


@pytest.mark.parametrize("lanes", ["runs", "columns", "aggregate"])
@pytest.mark.parametrize("num_lanes", [1, 2])
def test_tags_begin_with_a_category(lanes: str, num_lanes: int, tmp_path: Path) -> None:
    keys = {name: key_from_name(name, of_episodes=True) for name in CATEGORIES}
    part = "episode_return/agent_0"
    keys[f"{part}_mean"] = Key("rewards", part, "mean", "episode_returns/agent_0")
    values = dict.fromkeys(CATEGORIES, 1.5)
    held = tuple(Lane(i, {"seed": i}, values) for i in range(num_lanes))
    sink = opened(tmp_path, lanes)
    for over in ({}, {"max": {"distance": 2.0, "episode_return/agent_0_mean": 2.0}}):
        sink.write_metrics(MetricsEvent("batch", 0, 64, 1e9, held, keys, over, num_lanes=num_lanes))
    sink.close()
    root = tmp_path / "tensorboard"
    found = {tag for run in runs(root) for tag in scalars(root / run if run != root.name else root)}
    if num_lanes == 1:
        assert found == set(CATEGORIES.values())
        return
    over_lanes = {
        "other/batch/distance_lanes_max",
        "rewards/batch/episode_return/agent_0_mean_lanes_max",
    }
    wanted = {
        "runs": set(CATEGORIES.values()),
        "columns": {f"{tag}/seed={i}" for tag in CATEGORIES.values() for i in range(2)},
        "aggregate": {
            *CATEGORIES.values(),
            *(f"{tag}_lanes_std" for tag in CATEGORIES.values() if not tag.endswith("_max")),
        },
    }[lanes]
    assert found == wanted | over_lanes


@pytest.mark.parametrize("num_lanes", [1, 2])
def test_environment_steps_are_the_x_axis(num_lanes: int, tmp_path: Path) -> None:
    settings = {"x_axis": "env_step"}
    root = tmp_path / "tensorboard"
    folder = root if num_lanes == 1 else root / "seed=1-lane_001"
    for session in range(2):
        resumed = {"if_exists": "resume", "resumes_at": 3, "env_steps_per_update": 64}
        sink = opened(tmp_path, settings=settings, **(resumed if session else {}))
        for step in range(3 * session, 3 * session + 3):
            lanes = [{"a": float(step)}] * num_lanes
            sink.write_metrics(metrics(step, *lanes, env_step=64 * (step + 1)))
        sink.write_metrics(metrics(session, *[{"b": 1.0}] * num_lanes, name="eval"))  # not known
        sink.close()
    assert scalars(folder) == {
        "other/batch/a": [(64 * (step + 1), float(step)) for step in range(6)],
        "other/eval/b": [(0, 1.0), (1, 1.0)],
    }


@pytest.mark.parametrize("lanes", [1, 3])
def test_a_run_of_an_earlier_version_goes_on_in_its_files_and_tags(
    lanes: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = tmp_path / "tensorboard"
    # The sink of jaxlog 0.1 wrote these names, and only a new run can choose others.
    sink = opened(tmp_path, settings={"layout": "call"})
    sink.write_metrics(metrics(0, *[{"a": 0.0}] * lanes, env_step=64))
    sink.close()
    folders = runs(root)
    assert not any("by_" in path.name for path in own_files(root))
    new = {"layout": "category", "x_axis": "env_step"}
    for step, settings in ((1, {}), (2, new)):
        sink = opened(tmp_path, settings=settings, if_exists="resume")
        sink.write_metrics(metrics(step, *[{"a": float(step)}] * lanes, env_step=64 * (step + 1)))
        sink.close()
        assert runs(root) == folders
    for i in range(lanes):
        assert scalars(root if lanes == 1 else root / f"lane_00{i}-seed={i}") == {
            "batch/a": [(step, float(step)) for step in range(3)],
            "batch/env_step": [(step, 64.0 * (step + 1)) for step in range(3)],
        }
    assert caplog.messages == [
        f"jaxlog: the sink tensorboard keeps `{kept}` of the run that it resumes, so that its "
        "charts go on."
        for kept in ("layout: call", "x_axis: step")
    ]
    opened(tmp_path, settings=new, if_exists="replace").close()
    assert Layout.of(own_files(root)) == Layout(by_category=True, by_env_step=True)


def test_episodes_are_images_in_the_runs_of_their_lanes(tmp_path: Path) -> None:
    boards = np.random.default_rng(0).integers(0, 5, (2, 2, 3, 3))
    for mode in ("runs", "aggregate"):
        (tmp_path / mode).mkdir()
        sink = opened(tmp_path / mode, mode)
        for lane in range(2):
            for board in boards[lane]:
                details = {"initial_state.board": board, "final_state.board": board + 1}
                one = {"environment_id": 3}
                sink.write_episode(
                    EpisodeEvent(
                        "batch", 9, 64, 2e9, lane, {"seed": lane}, one, details, num_lanes=2
                    )
                )
        sink.write_episode(EpisodeEvent("none", 9, 64, 2e9, 0, {}, {"environment_id": 1}, {}))
        sink.close()
    root = tmp_path / "runs" / "tensorboard"
    lanes = [root / f"seed={lane}-lane_00{lane}" for lane in range(2)]
    for lane, folder in enumerate(lanes):
        assert len(texts(folder, "sampled_episodes/batch/table")) == 1
        (event,) = read(folder).Tensors("sampled_episodes/batch/pictures")
        width, height, *images = event.tensor_proto.string_val
        assert (int(width), int(height), len(images)) == (2 * 255 + 16, 255, 2)
        for board, image in zip(boards[lane], images, strict=True):
            pixels = np.asarray(Image.open(io.BytesIO(image)))
            for left, state in ((0, board), (255 + 16, board + 1)):
                cells = pixels[42::85, left + 42 : left + 255 : 85]
                colours = [[bytes.fromhex(ARC_COLOURS[cell][1:]) for cell in row] for row in state]
                assert [[bytes(cell) for cell in row] for row in cells] == colours
    assert "sampled_episodes/none/table" in read(root).Tags()["tensors"]
    assert "sampled_episodes/none/pictures" not in read(root).Tags()["tensors"]
    (event,) = read(tmp_path / "aggregate" / "tensorboard").Tensors(
        "sampled_episodes/batch/pictures"
    )
    assert len(event.tensor_proto.string_val) == 2 + 4


@pytest.mark.parametrize("episodes", ["table", "pictures", "both", "off"])
def test_episodes_are_shown_as_the_settings_say(episodes: str, tmp_path: Path) -> None:
    sink = opened(tmp_path, settings={"episodes": episodes})
    details = {"state": np.eye(3)}
    sink.write_episode(EpisodeEvent("batch", 9, None, 2e9, 0, {}, {"environment_id": 1}, details))
    sink.close()
    found = {tag for tag in read(tmp_path / "tensorboard").Tags()["tensors"] if tag != "config"}
    shown = {"table", "pictures"} if episodes == "both" else {episodes} - {"off"}
    assert found == {f"sampled_episodes/batch/{one}" for one in shown}


def test_an_episode_without_states_leaves_no_run_without_pictures(tmp_path: Path) -> None:
    sink = opened(tmp_path, settings={"episodes": "pictures"})
    sink.write_metrics(metrics(9, {"a": 1.0}, {"a": 2.0}))
    sink.write_episode(EpisodeEvent("batch", 9, None, 2e9, 0, {}, {"environment_id": 1}, {}))
    sink.close()
    assert runs(tmp_path / "tensorboard") == ["seed=0-lane_000", "seed=1-lane_001"]


def test_lanes_leave_no_run_without_values(make_logger: MakeLogger, tmp_path: Path) -> None:
    training = Training(make_logger, "runs", sample_frequency=1)
    with training.logger.open(tmp_path, config={"noise": 0.1}):
        training.run(training.start(), 0, 10)
    root = tmp_path / "tensorboard"
    assert len(runs(root)) == 6
    for run in runs(root):
        assert run != "tensorboard"
        assert scalars(root / run)
        assert "| noise | 0.1 |" in texts(root / run, "config")[0]


@pytest.mark.parametrize("mode", ["runs", "aggregate"])
def test_the_tab_for_hyperparameters_compares_runs(mode: str, tmp_path: Path) -> None:
    config = {"lr": 0.1, "clip": math.inf, "on": True, "optimizer": {"name": "adam"}}
    sink = opened(tmp_path, mode, config=config, id="0123abcd")
    for step in range(2):
        lanes = ({"loss": 1.0 - step}, {"loss": 5.0 - step})
        sink.write_metrics(metrics(step, *lanes, env_step=8 * step))
    sink.close()
    multiplexer = plugin_event_multiplexer.EventMultiplexer().AddRunsFromDirectory(str(tmp_path))
    provider = data_provider.MultiplexerDataProvider(multiplexer.Reload(), str(tmp_path))
    ctx = RequestContext()
    context = backend_context.Context(
        base_plugin.TBContext(
            flags=SimpleNamespace(generic_data="true"),
            data_provider=provider,
            logdir=str(tmp_path),
        )
    )
    experiment = context.experiment_from_metadata(
        ctx, "", True, context.hparams_metadata(ctx, ""), None
    )
    named = {info.name for info in experiment.hparam_infos}
    assert named >= {"lr", "clip", "on", "optimizer.name"}
    messages: Any = api_pb2  # made at run time: type checkers know none of them
    request = messages.ListSessionGroupsRequest(
        start_index=0, slice_size=10, allowed_statuses=[messages.STATUS_UNKNOWN, 3]
    )
    groups = list_session_groups.Handler(ctx, context, "", request).run().session_groups
    rows = {
        (
            group.hparams["seed"].number_value if "seed" in group.hparams else None,
            group.hparams["lr"].number_value,
            group.hparams["clip"].string_value,
            group.hparams["on"].bool_value,
            *(
                value.value
                for value in group.metric_values
                if value.name.tag == "losses/batch/loss"
            ),
        )
        for group in groups
    }
    measured = {one.name.tag for group in groups for one in group.metric_values}
    trials = sorted(group.name for group in groups)
    if mode == "runs":
        assert measured == {"losses/batch/loss"}  # and no steps of the environment
        assert trials == [f"seed={i}-lane_00{i} a run 0123abcd" for i in range(2)]
        assert rows == {(0, 0.1, "inf", True, 0.0), (1, 0.1, "inf", True, 4.0)}
    else:
        assert measured == {"losses/batch/loss", "losses/batch/loss_lanes_std"}
        assert trials == ["a run 0123abcd"]
        assert rows == {(None, 0.1, "inf", True, 2.0)}


def test_the_package_is_missing(
    make_logger: MakeLogger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    logger = make_logger(sinks=[{"kind": "tensorboard"}])
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'jaxlog\[tensorboard\]'"):
        logger.open(tmp_path)


def test_the_framing_is_that_of_tensorboardx(tmp_path: Path) -> None:
    from tensorboardX.record_writer import RecordWriter

    sink = opened(tmp_path)
    sink.close()
    (path,) = own_files(tmp_path / "tensorboard")
    data, records = path.read_bytes(), []
    while data:
        size = struct.unpack("<Q", data[:8])[0]
        records.append(data[12 : 12 + size])
        data = data[16 + size :]
    writer = RecordWriter(str(tmp_path / "other"))
    for record in records:
        writer.write(record)
    writer.close()
    assert (tmp_path / "other").read_bytes() == path.read_bytes()


def test_settings_are_loaded_without_tensorboardx(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    settings = jaxlog.load_config({"sinks": [{"kind": "tensorboard", "lanes": "columns"}]})
    assert settings.sinks[0].lanes == "columns"  # type: ignore[attr-defined]
    with pytest.raises(jaxlog.ConfigError, match="lanes"):
        jaxlog.load_config({"sinks": [{"kind": "tensorboard", "lanes": "rows"}]})


def test_many_lanes_hold_few_files_open(tmp_path: Path) -> None:
    sink = opened(tmp_path)
    for step in range(3):
        sink.write_metrics(metrics(step, *[{"a": float(i)} for i in range(100)]))
        sink.flush()
        assert len(list(Path("/proc/self/fd").iterdir())) < 64
    assert len(sink._open_files._files) == MAX_OPEN
    sink.close()
    for i in range(100):
        folder = tmp_path / "tensorboard" / f"seed={i}-lane_{i:03d}"
        assert scalars(folder)["other/batch/a"] == [(step, float(i)) for step in range(3)]


FEW_FILES = """
import resource
import jax, jax.numpy as jnp, jaxlog
resource.setrlimit(resource.RLIMIT_NOFILE, (128, 128))
sinks = [{"kind": "tensorboard"}, {"kind": "jsonl"}]
logger = jaxlog.Logger({"log_frequency": 1, "sinks": sinks})
def train(seed):
    def update(x, step):
        return x, jaxlog.log(logger, step, {"v": x}, labels={"seed": seed})
    return jax.lax.scan(update, 0.0, jnp.arange(5))[0]
with logger.open(directory) as run:
    jax.jit(jax.vmap(train))(jnp.arange(256))
print([(a.arrived, a.written, a.failure) for a in run.accounts()])
"""


def test_where_few_files_may_be_open_all_lanes_are_written(tmp_path: Path) -> None:
    code = f"directory = {str(tmp_path / 'run')!r}\n{FEW_FILES}"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=200, check=True
    )
    assert done.stdout == "[(1280, 1280, None), (1280, 1280, None)]\n", done.stderr
    assert not done.stderr
    for i in range(0, 256, 51):
        folder = tmp_path / "run" / "tensorboard" / f"seed={i}-lane_{i:03d}"
        assert scalars(folder)["other/train/v"] == [(step, 0.0) for step in range(5)]


@pytest.mark.parametrize("ends", ["flush", "close"])
def test_lost_is_what_is_lost(
    ends: str, make_logger: MakeLogger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retries, "OUTAGE_DELAYS", (0.1,) * len(retries.OUTAGE_DELAYS))
    logger = make_logger(log_frequency=1, sinks=[{"kind": "tensorboard"}])
    with logger.open(tmp_path, lanes=[{"seed": i} for i in range(3)]) as run:
        run.log({"a": [1.0, 2.0, 3.0]}, step=0)
        run.flush()
        shutil.rmtree(tmp_path / "tensorboard" / "seed=1-lane_001")
        run.log({"a": [4.0, 5.0, 6.0]}, step=1)
        if ends == "flush":
            run.flush()
    (account,) = run.accounts()
    # What lane 1 had logged was there when it was counted.
    assert (account.arrived, account.written) == (6, 5)
    for i, values in ((0, [1.0, 4.0]), (2, [3.0, 6.0])):
        found = scalars(tmp_path / "tensorboard" / f"seed={i}-lane_00{i}")["other/eval/a"]
        assert [value for _, value in found] == values


def test_arrays_are_images(make_logger: MakeLogger, tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 256, (5, 4, 3)).astype(np.uint8)
    arrays = {"[odd] name ✓": np.arange(6.0).reshape(2, 3), "image": image, "grey": image[:, :, 0]}
    logger = make_logger(sinks=[{"kind": "tensorboard"}])
    with logger.open(tmp_path) as run:
        for step in (0, 7):
            one, none = np.float32(step), np.ones((0, 2))
            run.log(step=step, arrays=arrays | {"one": one, "none": none})
    (account,) = run.accounts()
    assert (account.written, account.failure) == (2, None)
    found = EventAccumulator(
        str(tmp_path / "tensorboard"), size_guidance={"images": 0, "scalars": 0}
    ).Reload()
    assert found.Tags()["images"] == [f"arrays/eval/{name}" for name in arrays]
    for name, array in arrays.items():
        pixels = array_pixels(array)
        assert pixels is not None
        events = found.Images(f"arrays/eval/{name}")
        assert [event.step for event in events] == [0, 7]
        for event in events:
            assert (event.height, event.width) == pixels.shape[:2]
            read = np.asarray(Image.open(io.BytesIO(event.encoded_image_string)))
            np.testing.assert_array_equal(read.reshape(pixels.shape), pixels)
    assert [(event.step, event.value) for event in found.Scalars("arrays/eval/one")] == [
        (0, 0),
        (7, 7),
    ]


@pytest.mark.parametrize("lanes", ["runs", "columns", "aggregate"])
def test_lanes_have_images_of_their_own(
    lanes: str, make_logger: MakeLogger, tmp_path: Path
) -> None:
    logger = make_logger(sinks=[{"kind": "tensorboard", "lanes": lanes}])

    def lane(seed: jax.Array) -> None:
        arrays = {"table": seed * jnp.eye(2, dtype=np.int32)}
        jaxlog.log(logger, jnp.int32(0), {"loss": 1.0}, arrays=arrays, labels={"seed": seed})

    with logger.open(tmp_path):
        jax.block_until_ready(jax.jit(jax.vmap(lane))(jnp.arange(2)))
    root = tmp_path / "tensorboard"
    found = {
        f"{folder.name}: {tag}": one
        for folder in (root, root / "seed=0-lane_000", root / "seed=1-lane_001")
        if folder.is_dir()
        for accumulator in [EventAccumulator(str(folder)).Reload()]
        for tag in accumulator.Tags()["images"]
        for one in [accumulator.Images(tag)[0].encoded_image_string]
    }
    of_lanes = [png(array_pixels(seed * np.eye(2, dtype=np.int32))) for seed in range(2)]  # type: ignore[arg-type]
    assert (
        found
        == {
            "runs": {
                "seed=0-lane_000: arrays/train/table": of_lanes[0],
                "seed=1-lane_001: arrays/train/table": of_lanes[1],
            },
            "columns": {
                "tensorboard: arrays/train/table/seed=0": of_lanes[0],
                "tensorboard: arrays/train/table/seed=1": of_lanes[1],
            },
            "aggregate": {"tensorboard: arrays/train/table": of_lanes[0]},
        }[lanes]
    )


@pytest.mark.parametrize("layout", ["category", "call"])
def test_images_and_tables_are_shown(layout: str, make_logger: MakeLogger, tmp_path: Path) -> None:
    logger = make_logger(sinks=[{"kind": "tensorboard", "layout": layout}])
    pixels = np.random.default_rng(0).integers(0, 256, (5, 4, 3)).astype(np.uint8)
    rows = [["<b>|maze", 0.5], ["key", float("nan")], *[[f"t{i}", i] for i in range(120)]]

    def lane(seed: jax.Array) -> None:
        image = jaxlog.Image(pixels + seed.astype(np.uint8), "now <b>")
        jaxlog.log(logger, jnp.int32(0), {"loss": 1.0, "a/b": image}, labels={"seed": seed})

    with logger.open(tmp_path) as run:
        jax.block_until_ready(jax.jit(jax.vmap(lane))(jnp.arange(2)))
        for step in (0, 7):
            run.log(
                {"frame": jaxlog.Image(pixels), "t": jaxlog.Table(["task", "n"], rows)}, step=step
            )
    (account,) = run.accounts()
    assert (account.written, account.failure) == (4, None)
    root = tmp_path / "tensorboard"
    of_all = EventAccumulator(str(root), size_guidance={"images": 0, "tensors": 0}).Reload()
    by_category = layout == "category"
    image = "images/eval/frame" if by_category else "eval/images/frame"
    table = "tables/eval/t" if by_category else "eval/tables/t"
    assert [event.step for event in of_all.Images(image)] == [0, 7]
    for event in of_all.Images(image):
        read = np.asarray(Image.open(io.BytesIO(event.encoded_image_string)))
        np.testing.assert_array_equal(read, pixels)
        assert (event.height, event.width) == (5, 4)
    text, _ = (event.tensor_proto.string_val[0].decode() for event in of_all.Tensors(table))
    assert text.startswith(
        "| task | n |\n|---|---|\n| &#60;b&#62;&#124;maze | 0.5 |\n| key | nan |"
    )
    assert text.endswith("and 22 more rows")
    assert of_all.SummaryMetadata(table).plugin_data.plugin_name == "text"
    for seed in range(2):
        name = f"seed={seed}-lane_00{seed}" if by_category else f"lane_00{seed}-seed={seed}"
        found = EventAccumulator(str(root / name), size_guidance={"images": 0}).Reload()
        (tag,) = found.Tags()["images"]
        assert tag == ("images/train/a/b" if by_category else "train/images/a/b")
        read = np.asarray(Image.open(io.BytesIO(found.Images(tag)[0].encoded_image_string)))
        np.testing.assert_array_equal(read, pixels + np.uint8(seed))
