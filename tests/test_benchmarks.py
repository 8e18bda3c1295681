"""How `make bench` ends. Its figures are no matter of tests."""

from __future__ import annotations

import runpy
import sys

import pytest

from benchmarks import (
    arrow,
    compiling,
    crossing,
    dataset,
    episodes,
    finding,
    lanes,
    mirroring,
    reading,
    receiving,
    sending,
    sinks,
    statistics,
)
from benchmarks.timing import Row

MODULES = (
    arrow, compiling, crossing, dataset, episodes, finding, lanes, mirroring, reading, receiving,
    sending, sinks, statistics,
)  # fmt: skip


@pytest.mark.parametrize(
    ("value", "code", "said"),
    [
        (1.25, 1, "12 of 13 budgets met\n  missed: a record: 1.25 x, at most 1.2 x\n"),
        (1.2, 0, "13 of 13 budgets met\n"),
    ],
)
def test_a_figure_beyond_its_budget_fails_them(
    value: float,
    code: int,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for module in MODULES:
        own = Row("a record", "a callback", value if module is sinks else 1.0, "x", 1.2)
        monkeypatch.setattr(module, "main", lambda turns, own=own: [own])
    monkeypatch.setattr(sys, "argv", ["benchmarks"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("benchmarks", run_name="__main__")
    assert (ended.value.code or 0) == code
    assert capsys.readouterr().out == said
