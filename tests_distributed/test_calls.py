"""Calls in programs on the devices of four processes: one run, and each line once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import jaxlog
from tests_distributed.conftest import COUNT, Start, lines_of


def test_one_run_has_each_line_once(start: Start, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "file").touch()  # so that the next directory is taken
    results = [process.result() for process in start("calls.py", tmp_path / "run")]
    first = results[0]["same"]
    assert all(result["same"] == first for result in results)
    assert [result["own"]["writes"] for result in results] == [True, *[False] * (COUNT - 1)]
    assert [result["own"]["arrived"] for result in results] == [True, *[False] * (COUNT - 1)]
    assert all(result["own"]["dropped"] == 0 for result in results)

    directory = tmp_path / "run-2"
    assert Path(first["directory"]) == directory
    run = jaxlog.read_run(directory)
    assert (run.info["id"], run.info["status"]) == (first["id"], "finished")
    assert [one["process"] for one in run.info["processes"]] == list(range(COUNT))
    assert first["state"] == {"run": int(first["id"], 16), "mark": 1}
    returns = np.arange(4.0 * COUNT)
    score, loss, missing, exists = first["values"]
    assert (score, loss) == (0.0, returns.mean() + 3)
    assert "missing" in missing
    assert "holds a run already" in exists

    for name in ("batch_whole", "batch_shares"):
        lines = lines_of(directory / f"{name}_metrics.jsonl")
        assert [line["step"] for line in lines] == [0, 1, 2, 3]
        for step, line in enumerate(lines):
            counted = (returns + step)[returns + step > 2]
            assert line["metrics"]["episode_count"] == len(counted)
            assert line["metrics"]["episode_return_mean"] == pytest.approx(counted.mean())
            assert line["metrics"]["episode_return_std"] == pytest.approx(counted.std())
    episodes = lines_of(directory / "episodes.jsonl")
    picks = [
        [(e["step"], e["episode"]) for e in episodes if e["name"] == name]
        for name in ("batch_whole", "batch_shares")
    ]
    assert picks[0] == picks[1]
    assert {step for step, _ in picks[0]} == {0, 2}

    for name in ("window_whole", "window_shares"):
        lines = lines_of(directory / f"{name}_metrics.jsonl")
        assert [line["step"] for line in lines] == [0, 2]
        both = np.concatenate([returns + 1, returns + 2])
        assert lines[1]["metrics"]["episode_count"] == both.size
        assert lines[1]["metrics"]["episode_return_mean"] == pytest.approx(both.mean())
        assert lines[1]["metrics"]["episode_return_std"] == pytest.approx(both.std())

    for name in ("log_whole", "log_shares"):
        lines = lines_of(directory / f"{name}_metrics.jsonl")
        losses = [line["metrics"]["loss"] for line in lines]
        assert losses == pytest.approx([returns.mean() + step for step in range(4)])

    recordings = run.recordings
    for name in ("recorded_whole", "recorded_shares"):
        found = [one for one in recordings if one.call == name]
        assert {one.step for one in found} == {4}  # later ones begin while the first are kept
        for one in found:
            expected = one.episode["environment_id"] + np.arange(4.0)
            np.testing.assert_array_equal(one.tree["state"], expected)
            np.testing.assert_array_equal(one.rewards, expected)

    lines = lines_of(directory / "eval_metrics.jsonl")
    assert [line["metrics"] for line in lines] == [{"score": 0.0}, {"whole_mean": returns.mean()}]

    expected = [(step, seed, 10.0 * seed + step) for step in range(3) for seed in range(2 * COUNT)]
    for place in (directory, tmp_path / "run-returned"):
        lines = lines_of(place / "lanes_metrics.jsonl")
        found = [(i["step"], int(i["labels"]["seed"]), i["metrics"]["loss"]) for i in lines]
        assert sorted(found) == expected
