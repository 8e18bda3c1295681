"""Environment variables choose, and wrong values of them are refused."""

from __future__ import annotations

import pytest

from jaxlog import ConfigError
from jaxlog._settings import native_crossing


@pytest.mark.parametrize(("value", "native"), [("", True), ("native", True), ("callback", False)])
def test_the_crossing_is_chosen(value: str, native: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAXLOG_CROSSING", value)
    assert native_crossing() == native


def test_another_crossing_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAXLOG_CROSSING", "C")
    expected = "the environment variable JAXLOG_CROSSING: got 'C', takes 'native' or 'callback'"
    with pytest.raises(ConfigError) as raised:
        native_crossing()
    assert str(raised.value) == expected
