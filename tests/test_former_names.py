"""Former names of public arguments and attributes work, and warn the line that uses them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import jaxlog


def test_a_logger_takes_and_has_total_steps() -> None:
    with pytest.warns(DeprecationWarning, match="total_steps") as caught:
        logger = jaxlog.Logger({}, total_steps=7)
    assert [str(warning.message) for warning in caught] == [
        "Logger(total_steps=): this name works for one more release; the new one is total_updates="
    ]
    assert caught[0].filename == __file__
    assert logger.total_updates == 7
    with pytest.warns(DeprecationWarning, match=r"^Logger\.total_steps: .*Logger\.total_updates$"):
        assert logger.total_steps == 7


def test_a_logger_takes_its_settings_as_config() -> None:
    with pytest.warns(DeprecationWarning, match="config") as caught:
        logger = jaxlog.Logger(config={"log_frequency": 7})  # pyright: ignore[reportCallIssue]
    assert [str(warning.message) for warning in caught] == [
        "Logger(config=): this name works for one more release; the new one is settings="
    ]
    assert caught[0].filename == __file__
    assert logger.settings.log_frequency == 7
    assert jaxlog.Logger(settings={"log_frequency": 7}).settings == logger.settings
    with pytest.raises(TypeError, match=r"^Logger: got config= and settings=, which is its name"):
        jaxlog.Logger(config={}, settings={})  # pyright: ignore[reportCallIssue]


def test_what_a_sink_knows_of_a_run_takes_and_has_total_steps() -> None:
    with pytest.warns(
        DeprecationWarning, match=r"^RunInfo\(total_steps=\): .* total_updates=$"
    ) as c:
        info = jaxlog.sinks.RunInfo("run", total_steps=7)  # pyright: ignore[reportCallIssue]
    assert c[0].filename == __file__
    assert info == jaxlog.sinks.RunInfo("run", total_updates=7)
    with pytest.warns(
        DeprecationWarning, match=r"^RunInfo\.total_steps: .* RunInfo.total_updates$"
    ):
        assert info.total_steps == 7


def test_a_name_and_its_former_name_are_not_given_together() -> None:
    with pytest.raises(TypeError, match=r"^Logger: got total_steps= and total_updates=, which is"):
        jaxlog.Logger({}, total_steps=7, total_updates=7)
    with pytest.raises(TypeError, match=r"^RunInfo: got total_steps= and total_updates=, which is"):
        jaxlog.sinks.RunInfo("run", total_steps=7, total_updates=7)  # pyright: ignore[reportCallIssue]


def test_a_value_is_checked_under_the_new_name() -> None:
    with (
        pytest.warns(DeprecationWarning, match="total_steps"),
        pytest.raises(ValueError, match=r"^total_updates: got 0, expected 1 to"),
    ):
        jaxlog.Logger({}, total_steps=0)


def test_run_json_has_the_new_name_alone(tmp_path: Path) -> None:
    settings = {"sinks": [{"kind": "jsonl"}]}
    with jaxlog.Logger(settings, total_updates=7).open(tmp_path / "run"):
        pass
    facts = json.loads((tmp_path / "run" / "run.json").read_text())
    assert facts["total_updates"] == 7
    assert "total_steps" not in facts
