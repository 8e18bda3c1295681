"""The program of a typed user runs, and logs what it says."""

from __future__ import annotations

from pathlib import Path

import jax.numpy as jnp
import pytest

from tests import typed_user


def test_settings_are_taken_in_every_form() -> None:
    sink = typed_user.LossSink()
    loaded = typed_user.settings_in_every_form(sink)
    assert [settings.log_frequency for settings in loaded] == [10, 10, 5, 10, 5, 5, 10, 2, 5]
    assert loaded[3].histograms == {
        "episode_returns": (0.0, 1.0, 2.0),
        "advantages": (-1.0, -0.5, 0.0, 0.5, 1.0),
    }
    assert [[own.kind for own in settings.sinks] for settings in loaded[2:6]] == [
        ["LossSink"],
        ["memory", "LossSink"],
        ["memory", "LossSink"],
        ["jsonl", "memory"],
    ]


def test_statistics_are_those_of_the_rewards() -> None:
    found = typed_user.statistics(jnp.array([1.0, 2.0, 3.0, 6.0]))
    median = found.pop("median")
    assert found == {"mean": 3.0, "count": 4.0, "counted": 4.0, "picked": 6.0}
    assert median == pytest.approx(2.0, rel=0.01)


def test_runs_are_logged_read_and_compared(tmp_path: Path) -> None:
    sink = typed_user.main(tmp_path)
    assert sink.name == "second"
    due = [0, 5, 10, 15, 19]
    assert sink.losses[0] == 1.0
    assert len(sink.losses) == 2 * (3 * len(due) + 1)
    assert sink.numbers["eval/accuracy/0"] == 0.5
    assert sink.counts == {"episode_return_histogram": 2}
    assert len(sink.episode_returns) == 2 * 3
    assert typed_user.read(tmp_path) == {
        "lines": 5.0,
        "last_step": 19.0,
        "calls": 4.0,
        "arrays": 5.0 + 20.0,
        "runs": 4.0,
        "groups": 2.0,
    }
