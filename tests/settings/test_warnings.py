"""What can be used, and is told of: combinations without sense, and keys of an older design."""

from __future__ import annotations

import inspect
import subprocess
import sys
import textwrap
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import pytest
from hypothesis import given
from hypothesis import strategies as st

import jaxlog
from jaxlog import sinks
from jaxlog._settings.deprecated import KEYS

BATCHES = "batched_logging_enabled: true\nsinks: [{kind: jsonl}]\n"


class MetricsOnly(jaxlog.sinks.Sink):
    """Takes no episodes."""

    Settings = jaxlog.sinks.SinkSettings


@pytest.fixture
def plug_in(monkeypatch: pytest.MonkeyPatch) -> None:
    place = f"{__name__}:{MetricsOnly.__name__}"
    monkeypatch.setitem(sys.modules, __name__, inspect.getmodule(MetricsOnly))
    monkeypatch.setitem(sinks._SINKS, "metrics_only", place)


def load(text: str, path: Path, *overrides: str) -> list[str]:
    """What a file is warned of."""
    path.write_text(text)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        jaxlog.load_config(path, *overrides)
    assert {warning.filename for warning in caught} <= {__file__}
    return [f"{warning.category.__name__}: {warning.message}" for warning in caught]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "batched_logging_enabled: true",
            "1:1: batched_logging_enabled: is true, and there are no sinks, so that nothing is "
            "written; add some, like `sinks: [{kind: jsonl}]`, or write `sinks: []`",
        ),
        (
            "alerts: [{kind: failed}]",
            "1:1: alerts: are given, and there are no sinks: values are decoded for sinks, so that "
            "none is watched; add one, like `sinks: [{kind: jsonl}]`",
        ),
        (
            f"{BATCHES}alerts: [{{kind: failed, to: [log, webhook]}}]",
            "3:25: alerts.0.to: names webhook, which alert_to does not have; add it there",
        ),
        (
            f"{BATCHES}alert_to: [{{kind: log}}]",
            "3:1: alert_to: is given, and there are no alerts; add conditions to `alerts`",
        ),
        (
            f"{BATCHES}num_samples: 1001",
            "3:1: num_samples: 1001 episodes of each lane are more than anyone looks at, and each "
            "is copied out of the program; sample a few, and use `histograms` for all episodes",
        ),
        (
            "batched_logging_enabled: true\nsinks: [{kind: metrics_only}]",
            "2:1: sinks: episodes are sampled, and no sink takes them (there is: metrics_only); "
            "set sampling_enabled to false, or add a sink like jsonl",
        ),
        (
            "num_samples: 2\nsinks: [{kind: metrics_only}]",
            "2:1: sinks: episodes are sampled, and no sink takes them (there is: metrics_only); "
            "set sampling_enabled to false, or add a sink like jsonl",
        ),
        (
            "batched_logging_enabled: true\nsampling_enabled: true\nsinks: [{kind: metrics_only}]",
            "2:1: sampling_enabled: episodes are sampled, and no sink takes them (there is: "
            "metrics_only); set sampling_enabled to false, or add a sink like jsonl",
        ),
        (
            "batched_logging_enabled: true\nsinks:\n  - kind: wandb\n    episodes: off",
            "2:1: sinks: episodes are sampled, and no sink takes them (there is: wandb); set "
            "sampling_enabled to false, or add a sink like jsonl",
        ),
        (
            "include: [a, b]\nexclude: [c, b]",
            "2:14: exclude.1: b is in include, too; what is excluded is not logged",
        ),
        (
            'include: ["a\\nb"]\nexclude: ["a\\nb"]',
            "2:11: exclude.0: 'a\\nb' is in include, too; what is excluded is not logged",
        ),
        (
            'include: ["\\e_loss"]\nlog_loss_metrics: false',
            "1:11: include.0: '\\x1b_loss' is included, and log_loss_metrics: false leaves it "
            "out of the lines",
        ),
        (
            "include: [x, eval/critic_loss]\nlog_loss_metrics: false",
            "1:14: include.1: eval/critic_loss is included, and log_loss_metrics: false leaves it "
            "out of the lines",
        ),
        (
            f"{BATCHES}statistics: {{loss: [p50]}}\nexclude: [loss]",
            "3:14: statistics.loss: is in exclude, too, and is not logged",
        ),
        (
            f"{BATCHES}histograms: {{loss: [0, 1]}}\nexclude: [loss]",
            "3:14: histograms.loss: is in exclude, too, and is not logged",
        ),
        (
            "sinks:\n  - kind: wandb\n    x_axis: env_step",
            "3:5: sinks.0.x_axis: is env_step, which is not known without env_steps_per_update, so "
            "charts are over step; set env_steps_per_update to environments x rollout length",
        ),
    ],
)
def test_what_makes_no_sense_is_told_of_with_its_place(
    text: str, told: str, plug_in: None, tmp_path: Path
) -> None:
    path = tmp_path / "odd.yaml"
    assert load(text, path) == [f"ConfigWarning: {path}:{told}"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "log_frequency: 3\nstrict: true\nexclude: [loss]",  # jaxlog.log reads these
        "sinks: [{kind: jsonl}]",
        "num_samples: 3\nlog_success_rates: false\nstatistics: [max]",
        "sinks: [{kind: metrics_only}]",  # of jaxlog.log alone, perhaps
        "batched_logging_enabled: false\nnum_samples: 5000",  # switched off, for now
        "batched_logging_enabled: true\nsinks: []",  # said, so meant
        f"{BATCHES}sampling_enabled: false\nnum_samples: 5000",
        f"{BATCHES}num_samples: 1000",
        "batched_logging_enabled: true\nsampling_enabled: false\nsinks: [{kind: metrics_only}]",
        "batched_logging_enabled: true\nsinks: [{kind: metrics_only}, {kind: memory}]",
        "batched_logging_enabled: true\nsinks: [{kind: wandb, episodes: off}, {kind: jsonl}]",
        "include: [a]\nexclude: [eval/a]",
        f"{BATCHES}env_steps_per_update: 64\nsinks: [{{kind: wandb, x_axis: env_step}}]".replace(
            "sinks: [{kind: jsonl}]\n", ""
        ),
    ],
)
def test_what_makes_sense_is_not(text: str, plug_in: None, tmp_path: Path) -> None:
    assert load(text, tmp_path / "good.yaml") == []


def test_overrides_are_told_of_and_can_make_it_good(tmp_path: Path) -> None:
    path = tmp_path / "some.yaml"
    assert load("num_samples: 5000", path, "batched_logging_enabled=false") == []
    (told,) = load(BATCHES, path, "num_samples=5000")
    assert told.startswith("ConfigWarning: override 'num_samples=5000': num_samples: 5000 episodes")
    path.write_text("num_samples: 5000")
    assert load("extends: some.yaml\nbatched_logging_enabled: false", tmp_path / "child.yaml") == []
    (told,) = load("extends: some.yaml", tmp_path / "child.yaml")
    assert told.startswith(f"ConfigWarning: {path}:1:1: num_samples: 5000 episodes")


def test_names_contradict_each_other_only_within_one_file(tmp_path: Path) -> None:
    base, child = tmp_path / "base.yaml", tmp_path / "child.yaml"
    base.write_text(f"{BATCHES}include: [a, loss]\nstatistics: {{a: [max]}}\n")
    assert load("extends: base.yaml\nexclude: [a]\nlog_loss_metrics: false", child) == []
    assert load(base.read_text(), child, "exclude=[a]", "log_loss_metrics=false") == []
    (told,) = load("extends: base.yaml\ninclude: [b]\nexclude: [b]", child)
    assert told.startswith(f"ConfigWarning: {child}:3:11: exclude.0: b is in include, too")


def test_a_program_hears_of_it_once(tmp_path: Path) -> None:
    path = tmp_path / "odd.yaml"
    path.write_text("include: [a]\nexclude: [a]\n")
    with pytest.warns(jaxlog.ConfigWarning, match="is in include, too"):
        config = jaxlog.load_config(path)
    jaxlog.Logger(config)
    jaxlog.Logger(jaxlog.load_config(config, log_frequency=5), name="other")
    with pytest.warns(jaxlog.ConfigWarning, match="override: num_samples: 5000 episodes"):
        jaxlog.load_config(config, num_samples=5000)  # that is new


def test_a_dict_without_sinks_is_that_of_a_test() -> None:
    jaxlog.load_config({"batched_logging_enabled": True})


@pytest.mark.parametrize("call", [jaxlog.load_config, jaxlog.Logger])
def test_a_warning_points_at_the_users_line(call: Callable[[Any], Any], tmp_path: Path) -> None:
    path = tmp_path / "odd.yaml"
    path.write_text("num_samples: 5000\nqueue_size: 5\n")
    with pytest.warns() as caught:
        call(path)
    line = inspect.getsource(test_a_warning_points_at_the_users_line).splitlines()
    start = inspect.getsourcelines(test_a_warning_points_at_the_users_line)[1]
    at = start + next(index for index, text in enumerate(line) if "call(path)" in text)
    assert [(warning.filename, warning.lineno) for warning in caught] == 2 * [(__file__, at)]
    assert [warning.category for warning in caught] == [DeprecationWarning, jaxlog.ConfigWarning]


def test_python_shows_them_where_nobody_asks(tmp_path: Path) -> None:
    (tmp_path / "old.yaml").write_text("num_samples: 5000\nqueue_size: 5\n")
    (tmp_path / "main.py").write_text("import jaxlog\n\njaxlog.Logger('old.yaml')\n")
    done = subprocess.run(
        [sys.executable, "main.py"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert "main.py:3: DeprecationWarning: old.yaml:2:1: queue_size: has no" in done.stderr
    assert "main.py:3: ConfigWarning: old.yaml:1:1: num_samples: 5000 ep" in done.stderr


def test_keys_of_the_older_design_are_named_together(tmp_path: Path) -> None:
    path = tmp_path / "old.yaml"
    text = "batch_size: {a: 1}\nlog_frequency: 3\nqueue_size: 1000\nflush_interval: [soon]\n"
    assert load(text, path) == [
        f"DeprecationWarning: {path}:1:1: batch_size, {path}:3:1: queue_size, {path}:4:1: "
        "flush_interval: have no effect any more, only an older, asynchronous logger read them; "
        "delete them"
    ]
    child = tmp_path / "child.yaml"
    assert load("extends: old.yaml\nworker_threads: 2\nqueue_size: 3", child, "batch_size=4") == [
        f"DeprecationWarning: {child}:2:1: worker_threads, {child}:3:1: queue_size, {path}:4:1: "
        "flush_interval, override 'batch_size=4': batch_size: have no effect any more, only an "
        "older, asynchronous logger read them; delete them"
    ]
    assert load("", path, "enable_compression=true") == [
        "DeprecationWarning: override 'enable_compression=true': enable_compression: has no effect "
        "any more, only an older, asynchronous logger read it; delete it"
    ]


@given(st.dictionaries(st.sampled_from(KEYS), st.none() | st.integers() | st.text(), min_size=1))
def test_they_change_nothing(old: dict[str, Any]) -> None:
    with pytest.warns(DeprecationWarning, match=next(iter(old))) as caught:
        config = jaxlog.load_config({**old, "log_frequency": 3})
    assert len(caught) == 1
    assert config == jaxlog.load_config({"log_frequency": 3})
    assert not set(KEYS) & set(jaxlog.LoggingConfig.model_fields)


def test_one_that_is_misspelt_or_in_a_model_is_an_unknown_key() -> None:
    with pytest.raises(jaxlog.ConfigError, match="queue_sise: unknown key"):
        jaxlog.load_config({"queue_sise": 3})
    with pytest.raises(ValueError, match="queue_size"):
        jaxlog.LoggingConfig(queue_size=3)  # pyright: ignore[reportCallIssue]


def test_a_file_of_the_older_design_loads_and_logs_all_calls(tmp_path: Path) -> None:
    path = tmp_path / "old.yaml"
    path.write_text(
        textwrap.dedent("""\
            log_frequency: 2
            queue_size: 100
            sinks:
              - kind: memory
        """)
    )
    with pytest.warns(DeprecationWarning, match="queue_size"):
        logger = jaxlog.Logger(path)

    @jax.jit
    def program(x: jax.Array) -> jax.Array:
        jaxlog.batch_step(logger, 0, {"episode_returns": x}, where=x > 0)
        return x

    with logger.open() as run:
        jax.block_until_ready(program(jnp.ones(4)))
        logger.log_task_start({"task_id": "maze"})
        for reward in (0.0, 1.0, 2.0):
            logger.log_step({"reward": reward})
        logger.log_episode_summary({"total_reward": 3.0})
        logger.log_evaluation_summary({"success_rate": 1.0})
        for step in range(4):
            jaxlog.log(logger, step, {"loss": 0.5})
    memory = run.sink("memory")
    assert [step.values["reward"] for step in memory.steps] == [0.0, 1.0, 2.0]
    counts = [len(events) for events in (memory.tasks, memory.episodes, memory.evaluations)]
    assert counts == [1, 3 + 1, 1]  # three episodes of the batch are sampled
    assert sorted((event.name, event.step) for event in memory.metrics) == [
        ("batch", 0),
        ("train", 0),
        ("train", 2),
    ]
