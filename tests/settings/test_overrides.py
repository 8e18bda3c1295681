from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import jaxlog
from jaxlog.sinks import sink_class
from tests.settings.bad_files import STATISTICS

FILE = """\
batched_logging_enabled: true
log_frequency: 3
statistics: [mean]
sinks:
  - kind: jsonl
  - kind: wandb
    project: maze
    mode: online
  - kind: console
"""


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = Path("some.yaml")
    path.write_text(FILE)
    return path


@pytest.mark.parametrize(
    ("override", "key", "value"),
    [
        ("log_frequency=5", "log_frequency", 5),
        (" log_frequency = 5", "log_frequency", 5),
        ("strict=true", "strict", True),
        ("env_steps_per_update=", "env_steps_per_update", None),
        ("exclude=[loss, eval/loss]", "exclude", ("loss", "eval/loss")),
        ("statistics=[max]", "statistics", ("max",)),
        ("statistics.default=[max]", "statistics", {"default": ("max",)}),
        (  # the list of the file stays that of all others
            "statistics.eval/episode_returns=[p95]",
            "statistics",
            {"default": ("mean",), "eval/episode_returns": ("p95",)},
        ),
        ("statistics.a.b=[p95]", "statistics", {"default": ("mean",), "a.b": ("p95",)}),
        ("histograms.loss={low: 0, high: 1, bins: 2}", "histograms", {"loss": (0.0, 0.5, 1.0)}),
        ("histograms.loss.policy=[-1e-3, 1e-3]", "histograms", {"loss.policy": (-0.001, 0.001)}),
        ("over_lanes=[iqm]", "over_lanes", ("iqm",)),
        # The number of the file stays that of all other calls.
        ("log_frequency.eval=1", "log_frequency", {"default": 3, "eval": 1}),
        ("log_frequency.eval.hard=1", "log_frequency", {"default": 3, "eval.hard": 1}),
        ("sampling_enabled.eval=false", "sampling_enabled", {"eval": False}),
    ],
)  # fmt: skip
def test_an_override_takes_the_place_of_what_a_file_has(
    override: str, key: str, value: Any, path: Path
) -> None:
    before, after = jaxlog.load_config(path), jaxlog.load_config(path, override)
    assert getattr(after, key) == value
    changed = after.model_dump() | {key: getattr(before, key)}
    assert changed == before.model_dump() | {key: getattr(before, key)}


@pytest.mark.parametrize(
    ("override", "index", "key", "value"),
    [
        ("sinks.wandb.mode=offline", 1, "mode", "offline"),
        ("sinks.1.mode=offline", 1, "mode", "offline"),
        ("sinks.wandb.tags=[a, b]", 1, "tags", ("a", "b")),
        ("sinks.wandb.notes='a: b=c'", 1, "notes", "a: b=c"),
        ("sinks.console.refresh_per_second=1e-3", 2, "refresh_per_second", 0.001),
    ],
)
def test_a_sink_is_named_by_its_kind_or_its_index(
    override: str, index: int, key: str, value: Any, path: Path
) -> None:
    # Of a file, of what was loaded from it, and of a dict with a model in it.
    loaded = jaxlog.load_config(path)
    for source in (path, loaded, {"sinks": loaded.sinks}):
        sinks = jaxlog.load_config(source, override).sinks  # pyright: ignore[reportArgumentType]
        assert [sink.kind for sink in sinks] == ["jsonl", "wandb", "console"]
        assert sinks[index].model_dump() == loaded.sinks[index].model_dump() | {key: value}


def test_a_sink_can_be_replaced_and_all_of_them() -> None:
    given = {"sinks": [{"kind": "jsonl"}, {"kind": "wandb"}]}
    (_, second) = jaxlog.load_config(given, "sinks.wandb={kind: console, live: false}").sinks
    assert second == sink_class("console").Settings(kind="console", live=False)  # pyright: ignore[reportCallIssue]
    assert jaxlog.load_config(given, "sinks=[]").sinks == ()
    assert given == {"sinks": [{"kind": "jsonl"}, {"kind": "wandb"}]}


def test_the_last_override_wins_and_names_before_texts(path: Path) -> None:
    config = jaxlog.load_config(path, "log_frequency=5", "log_frequency=6", "num_samples=2")
    assert (config.log_frequency, config.num_samples) == (6, 2)
    config = jaxlog.load_config(path, "log_frequency=5", log_frequency=7)
    assert config.log_frequency == 7
    assert jaxlog.load_config(config, num_samples=6).log_frequency == 7
    bins = "histograms.loss={low: 0, high: 1, bins: 2}", "histograms.loss.bins=4"
    assert jaxlog.load_config(path, *bins).histograms == {"loss": (0, 0.25, 0.5, 0.75, 1)}


THERE = "(the sinks are: 0 jsonl, 1 wandb, 2 console)"
KEYS = ", ".join(jaxlog.LoggingConfig.model_fields)
BAD_OVERRIDES = {
    "log_frequency=0": ": log_frequency: got 0: Input should be greater than or equal to 1",
    "log_frequency=": ": log_frequency: got null: Input should be a valid integer; leave "
    "the key out for its default, 10",
    "num_samples.every=1": ": num_samples: got {every: 1}: Input should be a valid integer",
    "log_freqency=5": f": log_freqency: unknown key; did you mean log_frequency? (the keys are: {KEYS})",  # noqa: E501
    "--log_frequency=5": f": --log_frequency: unknown key; did you mean log_frequency? (the keys are: {KEYS})",  # noqa: E501
    "+strict=true": f": +strict: unknown key; did you mean strict? (the keys are: {KEYS})",
    "log_frequency": ": expected KEY=VALUE, like log_frequency=5 or sinks.0.kind=jsonl",
    "": ": expected KEY=VALUE, like log_frequency=5 or sinks.0.kind=jsonl",
    "sinks.\n0=5": ": expected KEY=VALUE, like log_frequency=5 or sinks.0.kind=jsonl",
    "=5": ": expected KEY=VALUE, like log_frequency=5 or sinks.0.kind=jsonl",
    "sinks..mode=offline": ": expected KEY=VALUE, like log_frequency=5 or sinks.0.kind=jsonl",
    "sinks=[": ":1:2: is not YAML: expected the node content, but found '<stream end>'",
    "sinks=jsonl": ": sinks: got 'jsonl': Input should be a list; did you mean [{kind: 'jsonl'}]?",
    "sinks.wandb=offline": ": sinks.1: got 'offline': Input should be a mapping with the key kind",
    "sinks.wandb.mode=ofline": ": sinks.1.mode: got 'ofline': Input should be 'online', "
    "'offline' or 'disabled'; did you mean offline?",
    "sinks.console.refesh_per_second=1": ": sinks.2.refesh_per_second: unknown key; did you mean "
    "refresh_per_second? (the keys are: kind, refresh_per_second, live)",
    "sinks.wand.mode=offline": f": sinks.wand: there is no such sink; did you mean wandb? {THERE}",
    "sinks.svg.size=100": f": sinks.svg: there is no such sink {THERE}",
    "sinks.3.size=100": f": sinks.3: there is no such sink {THERE}",
    "sinks.-1.size=100": f": sinks.-1: there is no such sink {THERE}",
    "sinks.²=x": f": sinks.²: there is no such sink {THERE}",
    "statistics.loss=[maen]": ": statistics.loss.0: got 'maen': Input should be one of "
    f"{STATISTICS}; did you mean mean?",
    "histograms.loss.bins=3": ": histograms.loss.low: is missing; it has no default, and has to "
    "be given\noverride 'histograms.loss.bins=3': histograms.loss.high: is missing; it has no "
    "default, and has to be given",
    "extends=base.yaml": ": extends: belongs in a file or a dict; give load_config {'extends': "
    "[FILE, OTHER]} instead of the file",
    "sinks.wandb.notes=a: b": ": sinks.1.notes: got {a: 'b'}: Input should be a valid string",
}


@pytest.mark.parametrize("override", BAD_OVERRIDES)
def test_an_override_that_cannot_be_used_is_named(override: str, path: Path) -> None:
    with pytest.raises(jaxlog.ConfigError) as caught:
        jaxlog.load_config(path, override)
    assert str(caught.value) == f"override {override!r}{BAD_OVERRIDES[override]}"


def test_what_the_file_has_wrong_is_still_the_files(path: Path) -> None:
    path.write_text(FILE.replace("mode: online", "mode: no"))
    with pytest.raises(jaxlog.ConfigError, match=r"^some.yaml:8:5: sinks.1.mode: got 'no'"):
        jaxlog.load_config(path, "sinks.wandb.project=other", "log_frequency=2")
    jaxlog.load_config(path, "sinks.wandb.mode=offline")


@pytest.mark.parametrize(
    ("sinks", "override", "text"),
    [
        (
            [{"kind": "svg"}, {"kind": "jsonl"}, {"kind": "svg", "size": 50}],
            "sinks.svg.size=60",
            "sinks.svg: there are 2 of this kind; name one by its index (the sinks are: 0 svg, 1 "
            "jsonl, 2 svg)",
        ),
        ([], "sinks.svg.size=60", "sinks.svg: there is no such sink (the sinks are: none)"),
        ("svg", "sinks.svg.size=60", "sinks: got 'svg', expected a list of sinks"),
        (["svg"], "sinks.svg.size=6", "sinks.svg: there is no such sink (the sinks are: 0 ?)"),
    ],
)
def test_which_sink_is_meant_has_to_be_clear(sinks: Any, override: str, text: str) -> None:
    with pytest.raises(jaxlog.ConfigError) as caught:
        jaxlog.load_config({"sinks": sinks}, override)
    assert str(caught.value) == f"override {override!r}: {text}"


def test_a_list_is_given_as_a_whole() -> None:
    given = {"batched_logging_enabled": True, "exclude": ["a"], "histograms": {"loss": [0, 1]}}
    assert jaxlog.load_config(given, "exclude.0=b").exclude == ("b",)
    for override, key, value in (
        ("exclude.1=b", "exclude: has no 1", "['a']"),
        ("histograms.loss.bins=3", "histograms.loss: has no bins", "[0, 1]"),
    ):
        with pytest.raises(jaxlog.ConfigError) as caught:
            jaxlog.load_config(given, override)
        assert str(caught.value) == (
            f"override {override!r}: {key}; it is {value}, and can only be replaced as a whole"
        )


def test_other_than_text_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="overrides: got 5, expected texts like 'log_frequency=5'"):
        jaxlog.load_config({}, 5)  # pyright: ignore[reportArgumentType]
    with pytest.raises(jaxlog.ConfigError) as caught:
        jaxlog.load_config({}, log_frequency=0)
    assert str(caught.value) == (
        "override: log_frequency: got 0: Input should be greater than or equal to 1"
    )


@pytest.mark.parametrize(
    ("part", "edges"),
    [
        ("low=-1", (-1.0, 1.5, 4.0)),
        ("high=2", (0.0, 1.0, 2.0)),
        ("bins=4", (0.0, 1.0, 2.0, 3.0, 4.0)),
    ],
)
@pytest.mark.parametrize("metric", ["loss", "a.b"])
def test_each_part_of_a_histogram_is_a_key(
    part: str, edges: tuple[float, ...], metric: str
) -> None:
    given = {
        "batched_logging_enabled": True,
        "histograms": {metric: {"low": 0, "high": 4, "bins": 2}},
    }
    config = jaxlog.load_config(given, f"histograms.{metric}.{part}")
    assert config.histograms == {metric: edges}
