from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import hypothesis
import numpy as np
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

import jaxlog
from jaxlog import sinks
from jaxlog._settings import source, yaml_source
from jaxlog._settings.problems import SourcePosition
from tests.settings.bad_files import BAD_FILES


def test_a_model_or_a_dict_will_do_as_well() -> None:
    config = jaxlog.load_config({"log_frequency": 3, "sinks": [{"kind": "memory"}]})
    assert config.log_frequency == 3
    assert jaxlog.load_config(config) is config
    with pytest.raises(TypeError, match="settings: got 3, expected a path, a dict or a Log"):
        jaxlog.load_config(3)  # pyright: ignore


def test_a_sinks_settings_have_to_be_of_a_kind_there_is() -> None:
    with pytest.raises(jaxlog.ConfigError, match=r"sinks\.0\.kind: got 'nope', takes one of"):
        jaxlog.load_config({"sinks": [jaxlog.sinks.SinkSettings(kind="nope")]})
    with pytest.raises(jaxlog.ConfigError, match="settings: got the key 1, expected text"):
        jaxlog.load_config({1: 2})  # pyright: ignore


@pytest.mark.parametrize(
    ("key", "text"),
    [
        (
            True,
            "expected text; YAML 1.1 reads on, off, yes and no as true and false: quote the key, "
            "or give load_config the file's path",
        ),
        (1, "expected text; did you mean '1'?"),
        (None, "expected text"),
    ],
)
def test_keys_have_to_be_text(key: object, text: str) -> None:
    mappings: list[tuple[Any, str]] = [
        ({key: 1}, "settings"),
        ({"sinks": [{"kind": "jsonl", key: 1}]}, "settings: sinks.0"),
    ]
    for mapping, where in mappings:
        with pytest.raises(jaxlog.ConfigError) as caught:
            jaxlog.load_config(mapping)
        assert str(caught.value) == f"{where}: got the key {key!r}, {text}"


class Another(pydantic.BaseModel):
    log_frequency: int = 1


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (None, "got None, expected a path, a dict or a LoggingConfig"),
        ([], "got [], expected a path, a dict or a LoggingConfig"),
        (b"x.yaml", "got b'x.yaml', expected a path, a dict or a LoggingConfig"),
        (
            Another(),
            "got Another(log_frequency=1), expected a path, a dict or a LoggingConfig; of "
            "another model, give model_dump()",
        ),
    ],
)
def test_what_is_no_settings_is_a_type_error(given: Any, text: str) -> None:
    with pytest.raises(TypeError) as caught:
        jaxlog.load_config(given)
    assert str(caught.value) == f"settings: {text}"


def test_numbers_of_numpy_are_numbers() -> None:
    config = jaxlog.load_config({}, log_frequency=np.int64(3), strict=np.bool_(True))
    assert (config.log_frequency, config.strict) == (3, True)
    with pytest.raises(jaxlog.ConfigError, match=r"got 3\.0: .* valid integer; did you mean 3\?"):
        jaxlog.load_config({"log_frequency": np.float32(3)})


def test_a_dict_in_itself_is_refused() -> None:
    given: dict[str, Any] = {}
    given["sinks"] = given
    with pytest.raises(jaxlog.ConfigError, match="settings: is nested too deeply, or contains"):
        jaxlog.load_config(given)


def test_a_file_may_begin_as_windows_has_it(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("strict: true\r\nlog_frequency: 3\r\n", encoding="utf-8-sig", newline="")
    assert jaxlog.load_config(path).log_frequency == 3


def test_an_empty_file_is_all_defaults(tmp_path: Path) -> None:
    path = tmp_path / "empty.yaml"
    path.write_text("# nothing yet\n")
    assert jaxlog.load_config(path) == jaxlog.LoggingConfig()


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
        (
            tmp_path / "bathced.yaml",
            f"; did you mean batched.yaml? (in {tmp_path} there are: batched.yaml)",
        ),
        (tmp_path / "x.yaml", f"; in {tmp_path} there are: batched.yaml"),
        (tmp_path / "no" / "such.yaml", f" (nor is there a directory {tmp_path / 'no'})"),
    ):
        with pytest.raises(jaxlog.ConfigError) as caught:
            jaxlog.load_config(path)
        assert str(caught.value) == f"{path}: there is no such file{text}"


def test_a_path_may_begin_at_the_home_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.yaml").write_text("log_frequency: 7")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert jaxlog.load_config("~/mine.yaml").log_frequency == 7
    assert jaxlog.load_config({"extends": "~/mine.yaml"}).log_frequency == 7


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ("gs://bucket/x.yaml", "settings: got the address 'gs://bucket/x.yaml', expected a local"),
        ({"extends": "s3://x.yaml"}, "settings: extends: got the address 's3://x.yaml', expected"),
        ("~nobody-is-called-so/x", "settings: got '~nobody-is-called-so/x', and there is no such"),
    ],
)
def test_an_address_is_no_path(given: Any, text: str) -> None:
    with pytest.raises(jaxlog.ConfigError, match=f"^{re.escape(text)}"):
        jaxlog.load_config(given)


def test_a_link_to_nowhere_and_a_directory_are_not_what_was_meant(tmp_path: Path) -> None:
    (tmp_path / "link.yaml").symlink_to("gone.yaml")
    (tmp_path / "linked.yaml").mkdir()
    for name, text in (
        ("link.yaml", "is a link to gone.yaml, which is not there"),
        ("lnik.yaml", "there is no such file"),
    ):
        with pytest.raises(jaxlog.ConfigError) as caught:
            jaxlog.load_config(tmp_path / name)
        assert str(caught.value) == f"{tmp_path / name}: {text}"


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
    data, places = yaml_source.parse(yaml_source.read(path), "scalars.yaml")
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
    assert places[("on",)] == SourcePosition("scalars.yaml", 10, 1)
    assert str(places[("j", 1)]) == "scalars.yaml:11:11"


_LINES = st.sampled_from(
    [
        *(f"{key}: " for key in jaxlog.LoggingConfig.model_fields),
        *(
            "- ",
            "  - kind: ",
            "    ",
            "extends: ",
            "queue_size: ",
            "? ",
            "&a ",
            "*a",
            "[",
            "{",
            "!!",
        ),
        *("jsonl", "wandb", "true", "null", "1e400", "-0", ".nan", "p50", "\n", "\n", ": ", "<<"),
    ]
) | st.text(max_size=4)


@pytest.mark.filterwarnings("ignore")
@hypothesis.settings(max_examples=500)
@given(st.lists(_LINES, max_size=12).map("".join), st.lists(_LINES, max_size=4).map("".join))
def test_whatever_is_written_is_loaded_or_a_config_error(text: str, override: str) -> None:
    for read in (lambda: source.of_text(text, "bad.yaml").data, dict):
        for overrides in ((), (override,), (f"sinks.{override}",), (f"statistics.{override}=[]",)):
            try:
                assert isinstance(jaxlog.load_config(read(), *overrides), jaxlog.LoggingConfig)
            except jaxlog.ConfigError as error:
                for line in str(error).splitlines():
                    assert line.startswith(("bad.yaml:", "override ", "settings: ")), line


class OddSettings(jaxlog.sinks.SinkSettings, frozen=True):
    kind: Literal["odd"] = "odd"
    low: int = 0
    high: int = pydantic.Field(1, multiple_of=2, validate_default=False)
    draw: Callable[[int], int] | None = None  # of which there is no JSON Schema

    @pydantic.field_validator("low")
    @classmethod
    def _even(cls, low: int) -> int:
        if low % 2:
            raise ValueError(f"got {low}, takes an even number")
        return low

    @pydantic.model_validator(mode="after")
    def _in_order(self) -> OddSettings:
        if self.low >= 10:
            raise ValueError(f"low is {self.low},\nand has to be below 10")
        return self


class OddSink(jaxlog.sinks.Sink):
    Settings = OddSettings


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"low": 3}, "sinks.0.low: got 3, takes an even number"),
        ({"low": 12}, "sinks.0: low is 12, and has to be below 10"),
        ({"high": 3}, "sinks.0.high: got 3: Input should be a multiple of 2"),
        (
            {"lwo": 3},
            "sinks.0.lwo: unknown key; did you mean low? (the keys are: kind, low, high, draw)",
        ),
    ],
)
def test_what_another_packages_sink_refuses_is_told_in_its_words(
    settings: dict[str, Any], text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, __name__, sys.modules[OddSink.__module__])
    monkeypatch.setitem(sinks._SINKS, "odd", f"{__name__}:OddSink")
    with pytest.raises(jaxlog.ConfigError) as caught:
        jaxlog.load_config({"sinks": [{"kind": "odd", **settings}]})
    assert str(caught.value) == f"settings: {text}"
