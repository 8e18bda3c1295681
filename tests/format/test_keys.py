"""What a key means is what the program said, and not what its name looks like."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest

import jaxlog
from jaxlog._cli.main import main
from jaxlog._format import keys
from jaxlog._format.events import Key
from jaxlog._format.run_file import FORMAT, newer_format
from jaxlog._program import summary
from tests.conftest import MakeLogger


def test_the_format_and_the_program_know_the_same_statistics() -> None:
    assert set(keys.STATISTICS) == set(summary.STATISTICS)


@pytest.mark.parametrize(
    ("page", "place"),
    [
        ("docs/format.md", r"^\| `statistic` \| (.*) \|$"),
        ("docs/how_it_works.md", r"^\| (.*?) \| `\{stem\}_"),
        ("configs/batched.yaml", r"^statistics: (.*)$"),
        ("configs/debug.yaml", r"^statistics: (.*)$"),
    ],
)
def test_lists_of_statistics_have_every_one(page: str, place: str) -> None:
    text = (Path(__file__).parents[2] / page).read_text()
    found = " ".join(re.findall(place, text, re.MULTILINE))
    assert {*keys.STATISTICS, "median"} <= set(re.findall(r"\w+", found))


def test_run_json_says_what_each_key_means(make_logger: MakeLogger, tmp_path: Path) -> None:
    logger = make_logger(
        log_frequency=1,
        statistics=["mean", "p95"],
        histograms={"episode_lengths": {"low": 0, "high": 10, "bins": 2}},
        sinks=[{"kind": "jsonl"}, {"kind": "memory"}],
    )
    metrics = {
        "episode_returns": jnp.array([1.0, jnp.nan]),
        "episode_lengths": jnp.array([1.0, 2.0]),
        "success_mask": jnp.array([True, False]),
        "q_max": 10.0,
    }
    with logger.open(tmp_path, config={"a": 1}) as run:
        jaxlog.batch_step(logger, 0, metrics)
        run.log({"return_mean": 3.0}, step=0)
    facts = json.loads((tmp_path / "run.json").read_text())
    assert next(iter(facts)) == "format"
    assert facts["format"] == FORMAT == 1
    told = {
        key: (meaning["metric"], meaning["statistic"], meaning["kind"])
        for key, meaning in facts["calls"]["batch"]["keys"].items()
    }
    assert told == {
        "episode_count": ("", "", "count"),
        "episode_return_mean": ("episode_returns", "mean", "statistic"),
        "episode_return_p95": ("episode_returns", "p95", "statistic"),
        "episode_return_nonfinite": ("episode_returns", "nonfinite", "count"),
        "episode_length_mean": ("episode_lengths", "mean", "statistic"),
        "episode_length_p95": ("episode_lengths", "p95", "statistic"),
        "episode_length_nonfinite": ("episode_lengths", "nonfinite", "count"),
        "episode_length_histogram": ("episode_lengths", "histogram", "histogram"),
        "success_rate": ("success_mask", "rate", "statistic"),
        "q_max": ("q_max", "", "scalar"),
    }
    assert facts["calls"]["eval"]["keys"]["return_mean"]["kind"] == "scalar"
    event = run.sink("memory").metrics[0]
    assert keys.from_json(facts["calls"]["batch"]["keys"]) == event.keys


def test_it_is_there_while_the_run_goes_on_and_when_it_was_resumed(
    make_logger: MakeLogger, tmp_path: Path
) -> None:
    logger = make_logger(log_frequency=1, sinks=[{"kind": "jsonl"}])

    def calls() -> set[str]:
        return set(json.loads((tmp_path / "run.json").read_text())["calls"])

    with logger.open(tmp_path) as run:
        jaxlog.log(logger, jnp.int32(0), {"loss": 1.0})
        run.flush()
        assert calls() == {"train"}
    with logger.open(tmp_path, if_exists="resume") as run:
        assert calls() == {"train"}
        run.log({"return": 1.0}, step=1)
    assert calls() == {"train", "eval"}


def test_what_is_no_description_is_left_out() -> None:
    good = {"metric": "a", "statistic": "max", "stem": "a", "category": "no such", "new": 1}
    found = keys.from_json({"a_max": good, "b": 3, "c": {"metric": 1}, "d": None})
    assert found == {"a_max": Key("other", "a", "max", "a")}
    for odd in (None, [], 3, "x"):
        assert keys.from_json(odd) == {}
        assert keys.Keys(odd, of_episodes=True)["episode_return_max"].statistic == "max"


def test_a_name_says_what_files_of_before_do_not() -> None:
    of_episodes = keys.Keys(None, of_episodes=True)
    assert (of_episodes["episode_return_p95"].stem, of_episodes["loss"].kind) == (
        "episode_return",
        "scalar",
    )
    assert of_episodes["episode_return_nonfinite"].kind == "count"
    assert [of_episodes[f"x_{name}"].statistic for name in ("p0", "p99.9", "p100", "p101")] == [
        "p0", "p99.9", "p100", "",
    ]  # fmt: skip
    others = keys.Keys(None, of_episodes=False)
    assert (others["loss_nonfinite"].kind, others["loss_max"].kind) == ("count", "scalar")
    described = keys.Keys({"keys": keys.to_json({"q_max": Key("other", "q_max", "")})},
                          of_episodes=True)  # fmt: skip
    assert described["q_max"].kind == "scalar"
    assert described["r_max"].statistic == "max"


@pytest.mark.parametrize("newer", [2, "2", 1.5, True, None, [1]])
def test_a_newer_format_is_said(newer: object) -> None:
    said = newer_format({"format": newer})
    assert said.startswith(f"the run's files have format {newer!r}, and this jaxlog reads up to 1")


def test_a_scalar_of_two_lanes_that_is_called_as_a_maximum_is_none(
    make_logger: MakeLogger,
) -> None:
    logger = make_logger(log_frequency=1, over_lanes=["mean"])
    with logger.open() as run:
        jax.vmap(lambda q: jaxlog.batch_step(logger, 0, {"q_max": q, "episode_returns": q[None]}))(
            jnp.array([0.0, 10.0])
        )
    (event,) = run.sink("memory").metrics
    assert event.keys["q_max"].kind == "scalar"
    assert event.over_lanes["mean"]["q_max"] == 5.0


def test_every_reader_says_that_a_format_is_newer(
    make_logger: MakeLogger, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    logger = make_logger(sinks=[{"kind": "jsonl"}])
    with logger.open(tmp_path / "run") as run:
        run.log({"loss": 1.0}, step=0)
    file = tmp_path / "run" / "run.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"format": 2}))
    with pytest.warns(UserWarning, match="have format 2, and this jaxlog reads up to 1"):
        jaxlog.read_run(tmp_path / "run")
    for command in ("show", "tail"):
        assert main([command, str(tmp_path / "run")]) == 0
        said = " ".join(" ".join(capsys.readouterr()).split())
        assert "have format 2, and this jaxlog reads up to 1" in said
