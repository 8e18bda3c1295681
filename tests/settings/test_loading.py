from __future__ import annotations

from pathlib import Path

import pytest

import jaxlog
from jaxlog.settings import yaml_source

CONFIGS = sorted((Path(__file__).parents[2] / "configs").glob("*.yaml"))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_the_files_of_the_project_load(path: Path) -> None:
    assert isinstance(jaxlog.load_config(path), jaxlog.LoggingConfig)


def test_batched_yaml_says_what_the_models_default_to() -> None:
    (path,) = (path for path in CONFIGS if path.name == "batched.yaml")
    config = jaxlog.load_config(path)
    assert config.batched_logging_enabled
    assert [sink.kind for sink in config.sinks] == ["jsonl", "console"]
    defaults = jaxlog.LoggingConfig(batched_logging_enabled=True, sinks=config.sinks)
    assert config == defaults
    assert hash(config) == hash(defaults)


def test_a_model_or_a_dict_will_do_as_well() -> None:
    config = jaxlog.load_config({"log_frequency": 3, "sinks": [{"kind": "memory"}]})
    assert config.log_frequency == 3
    assert jaxlog.load_config(config) is config
    with pytest.raises(TypeError, match="config: got 3, expected a path, a dict or a Log"):
        jaxlog.load_config(3)  # pyright: ignore


def test_overrides_take_the_place_of_what_the_source_has(tmp_path: Path) -> None:
    path = tmp_path / "some.yaml"
    path.write_text("log_frequency: 3\nnum_samples: 4")
    config = jaxlog.load_config(path, log_frequency=5)
    assert (config.log_frequency, config.num_samples) == (5, 4)
    assert jaxlog.load_config(config, num_samples=6).log_frequency == 5
    with pytest.raises(jaxlog.ConfigError) as caught:
        jaxlog.load_config(path, log_frequency=0)
    assert str(caught.value).startswith("override: log_frequency: got 0, takes an integer")


def test_a_sinks_settings_have_to_be_of_a_kind_there_is() -> None:
    with pytest.raises(jaxlog.ConfigError, match=r"sinks\.0\.kind: got 'nope', takes one of"):
        jaxlog.load_config({"sinks": [jaxlog.SinkSettings(kind="nope")]})
    with pytest.raises(jaxlog.ConfigError, match="settings: got the key 1, takes text"):
        jaxlog.load_config({1: 2})  # pyright: ignore


def test_an_empty_file_is_all_defaults(tmp_path: Path) -> None:
    path = tmp_path / "empty.yaml"
    path.write_text("# nothing yet\n")
    assert jaxlog.load_config(path) == jaxlog.LoggingConfig()


BAD_FILES = {
    "a word for a number": (
        "log_frequency: ten",
        "bad.yaml:1:1: log_frequency: got 'ten', takes an integer, 1 or more, less than 2147483648",
    ),
    "too small": (
        "# first line\nlog_frequency: 0",
        "bad.yaml:2:1: log_frequency: got 0, takes an integer, 1 or more, less than 2147483648",
    ),
    "a number for a switch": (
        "batched_logging_enabled: 1",
        "bad.yaml:1:1: batched_logging_enabled: got 1, takes true or false",
    ),
    "yes is text": (
        "sampling_enabled: yes",
        "bad.yaml:1:1: sampling_enabled: got 'yes', takes true or false",
    ),
    "a fraction": (
        "num_samples: 2.5",
        "bad.yaml:1:1: num_samples: got 2.5, takes an integer, 1 or more, less than 2147483648",
    ),
    "null or a number": (
        "env_steps_per_update: many",
        "bad.yaml:1:1: env_steps_per_update: got 'many', takes an integer, 1 or more or null",
    ),
    "an unknown statistic": (
        "statistics:\n  - mean\n  - maen",
        "bad.yaml:3:5: statistics.1: got 'maen', takes one of mean, std, min, max, "
        "sum, count, median or a percentile, p0 to p100; "
        "did you mean mean?",
    ),
    "a percentile beyond 100": (
        "statistics:\n  default: [mean]\n  episode_returns: [p50, p101]",
        "bad.yaml:3:26: statistics.episode_returns.1: got 'p101', takes one of mean, std, min, "
        "max, sum, count, median or a percentile, p0 to p100",
    ),
    "edges that fall": (
        "histograms:\n  episode_returns: [0, 2, 1]",
        "bad.yaml:2:3: histograms.episode_returns: got [0, 2, 1], takes edges that increase, as "
        "float32",
    ),
    "one edge": (
        "histograms:\n  episode_returns: [0]",
        "bad.yaml:2:3: histograms.episode_returns: got [0], takes a list of 2 or more, each a "
        "number",
    ),
    "bins without an end": (
        "histograms:\n  episode_returns: {low: 0, bins: 5}",
        "bad.yaml:2:3: histograms.episode_returns.high: is missing and has to be given",
    ),
    "a statistic twice": (
        "statistics: [mean, mean]",
        "bad.yaml:1:1: statistics: mean stands there twice",
    ),
    "no list": (
        "include: episode_returns",
        "bad.yaml:1:1: include: got 'episode_returns', takes a list, each text",
    ),
    "an unknown sink": (
        "sinks:\n  - kind: josnl",
        "bad.yaml:2:5: sinks.0.kind: got 'josnl', takes one of jsonl, console, wandb, svg, "
        "tensorboard, memory",
    ),
    "a sink without a kind": (
        "sinks:\n  - refresh_per_second: 3",
        "bad.yaml:2:5: sinks.0.kind: got no kind, takes one of jsonl, console, wandb, svg, "
        "tensorboard, memory",
    ),
    "a sink that is text": (
        "sinks: [jsonl]",
        "bad.yaml:1:9: sinks.0: got 'jsonl', takes a mapping of keys to values",
    ),
    "a wrong value of a sink": (
        "sinks:\n  - kind: jsonl\n  - kind: console\n    refresh_per_second: 0",
        "bad.yaml:4:5: sinks.1.refresh_per_second: got 0, takes a number, more than 0, 60 or less",
    ),
    "an unknown key of a sink": (
        "sinks:\n  - kind: console\n    refresh_per_secnd: 1",
        "bad.yaml:3:5: sinks.0.refresh_per_secnd: unknown key; did you mean refresh_per_second? "
        "(the keys are: kind, refresh_per_second, live)",
    ),
    "a key twice": (
        "log_frequency: 1\nlog_frequency: 2",
        "bad.yaml:2:1: log_frequency: stands here and on line 1",
    ),
    "a list": (
        "- log_frequency: 1",
        "bad.yaml:1:1: got list [{'log_frequency': 1}], takes a mapping of settings, "
        "like `log_frequency: 10`",
    ),
    "no YAML": (
        "sinks: [",
        "bad.yaml:1:9: is not YAML: expected the node content, but found '<stream end>'",
    ),
    "a tab": (
        "sinks:\n\t- kind: jsonl",
        "bad.yaml:2:1: is not YAML: found character '\\t' that cannot start any token",
    ),
    "two documents": (
        "log_frequency: 1\n---\nlog_frequency: 2",
        "bad.yaml:2:1: is not YAML: but found another document",
    ),
    "a number that is none": (
        "log_frequency: !!int abc",
        "bad.yaml:1:1: is not YAML: 'abc' is no int",
    ),
    "a list in itself": ("include: &a [*a]", "bad.yaml: is nested too deeply, or in itself"),
    "too deep": ("include: " + "[" * 3000, "bad.yaml: is nested too deeply, or in itself"),
    "a control character": (
        "log_frequency: 1\ninclude: [\x01]",
        "bad.yaml:2: is not YAML: special characters are not allowed",
    ),
    "a sink twice": (
        "sinks:\n  - kind: jsonl\n  - kind: jsonl",
        "bad.yaml:1:1: sinks: kind='jsonl' stands there twice",
    ),
    "a strange tag": (
        "log_frequency: !!python/name:os.system",
        "bad.yaml:1:16: is not YAML: could not determine a constructor for the tag "
        "'tag:yaml.org,2002:python/name:os.system'",
    ),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_a_bad_file_is_refused_with_where_and_why(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text, expected = BAD_FILES[case]
    monkeypatch.chdir(tmp_path)
    Path("bad.yaml").write_text(text)
    with pytest.raises(jaxlog.ConfigError) as caught:
        jaxlog.load_config("bad.yaml")
    assert str(caught.value) == expected


def test_an_unknown_key_names_the_nearest_and_all(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text("log_frequency: 1\nlog_freqency: 2\n")
    with pytest.raises(jaxlog.ConfigError) as caught:
        jaxlog.load_config(path)
    assert f"{path}:2:1: log_freqency: unknown key; did you mean log_frequency?" in str(
        caught.value
    )
    assert all(key in str(caught.value) for key in jaxlog.LoggingConfig.model_fields)


def test_every_problem_has_a_line() -> None:
    with pytest.raises(jaxlog.ConfigError) as caught:
        jaxlog.load_config({"log_frequency": 0, "sampling_enabled": None, "sinks": [{}]})
    assert [line.split(": ")[1] for line in str(caught.value).splitlines()] == [
        "log_frequency",
        "sampling_enabled",
        "sinks.0.kind",
    ]


def test_a_file_that_is_not_there_names_those_that_are(tmp_path: Path) -> None:
    (tmp_path / "batched.yaml").touch()
    for path, text in (
        (tmp_path / "bathced.yaml", f"; in {tmp_path} there are: batched.yaml"),
        (tmp_path / "no" / "such.yaml", f" (nor is there a directory {tmp_path / 'no'})"),
    ):
        with pytest.raises(jaxlog.ConfigError) as caught:
            jaxlog.load_config(path)
        assert str(caught.value) == f"{path}: there is no such file{text}"


def test_what_is_no_text_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(jaxlog.ConfigError, match="is a directory; give the path of a YAML file"):
        jaxlog.load_config(tmp_path)
    path = tmp_path / "binary.yaml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(jaxlog.ConfigError, match="is not text"):
        jaxlog.load_config(path)


def test_scalars_are_those_of_yaml_1_2(tmp_path: Path) -> None:
    path = tmp_path / "scalars.yaml"
    path.write_text(
        "a: 1e-3\nb: on\nc: no\nd: 0o17\ne: 012\nf: .inf\ng: ~\nh: true\ni: 2026-01-01\non: 1\n"
        "j: &x [1, -2.5]\nk: *x\n"
    )
    data, places = yaml_source.read(path)
    assert data == {
        "a": 0.001,
        "b": "on",
        "c": "no",
        "d": "0o17",
        "e": 12,
        "f": float("inf"),
        "g": None,
        "h": True,
        "i": "2026-01-01",
        "on": 1,
        "j": [1, -2.5],
        "k": [1, -2.5],
    }
    assert places[("on",)] == (10, 1)
    assert places[("j", 1)] == (11, 11)
