"""What the console draws: changes, trends, what fits, speed, and events of a single environment."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

import jaxlog
from jaxlog._format.events import (
    Account,
    EpisodeEvent,
    EvaluationEvent,
    Histogram,
    Key,
    Lane,
    MetricsEvent,
    RunInfo,
    StepEvent,
    TaskEvent,
)
from jaxlog.sinks import Sink
from jaxlog.sinks.console.history import LENGTH, History, Steps
from jaxlog.sinks.console.pace import SPAN, Pace
from jaxlog.sinks.console.run_display import RunDisplay
from jaxlog.sinks.console.sink import ConsoleSettings, ConsoleSink

BEGAN = 1_000_000.0
RETURNS = ("mean", "std", "min", "max")


def event(
    step: int,
    values: Mapping[str, Any] | Sequence[Mapping[str, Any]],
    *,
    name: str = "batch",
    category: str = "training",
    seconds: float = 0.0,
    env_step: int | None = None,
) -> MetricsEvent:
    lanes = [values] if isinstance(values, Mapping) else values
    keys = {key: Key(category, key, "") for lane in lanes for key in lane}
    keys |= {key: Key("other", "seen", "histogram") for key in keys if key == "seen"}
    for statistic in RETURNS:
        if (key := f"episode_return_{statistic}") in keys:
            keys[key] = Key("rewards", "episode_return", statistic)
    return MetricsEvent(
        name,
        step,
        env_step,
        BEGAN + seconds,
        tuple(Lane(i, {"seed": i}, lane) for i, lane in enumerate(lanes)),
        keys,
        {},
        len(lanes),
    )


def drawn(picture: RunDisplay, width: int = 100, height: int | None = None, **options: Any) -> str:
    console = Console(width=width, file=io.StringIO(), legacy_windows=False, _environ={})
    seconds = options.pop("seconds", 0.0)
    console.print(picture.draw(width, height, BEGAN + seconds, **options))
    shown = console.file.getvalue()  # pyright: ignore[reportAttributeAccessIssue]
    return "\n".join(line.rstrip() for line in shown.splitlines())


def a_picture(**run: Any) -> RunDisplay:
    return RunDisplay(RunInfo("first", **run), BEGAN)


def row(shown: str, name: str) -> list[str]:
    (found,) = [line for line in shown.splitlines() if line.split()[:1] == [name]]
    return found.split()[1:]


def test_a_row_has_the_value_over_lanes_its_change_and_its_trend() -> None:
    picture = a_picture()
    for step, value in enumerate((1.0, 2.0, 4.0)):
        lanes = [
            {
                "episode_return_mean": np.float32(value + lane),
                "episode_return_std": 0.5,
                "episode_return_min": -lane,
                "episode_return_max": 10 + lane,
                "policy_loss": -value,
                "seen": Histogram((0, 1), (1,), 0, 0),
            }
            for lane in (0, 2)
        ]
        picture.add(event(step, lanes))
    shown = drawn(picture)
    assert row(shown, "episode_return") == ["5", "±", "1", "▲", "+2", "0.5", "-2", "12", "▁▃█"]
    assert row(shown, "policy_loss") == ["-4", "▼", "-2", "█▆▁"]
    assert "batch · step 2 · mean ± std over 2 lanes" in shown
    title, line = (next(t for t in shown.splitlines() if word in t) for word in ("trend", "▁▃█"))
    assert title.index("trend") == line.index("▁▃█")


def test_a_line_without_a_value_is_a_gap_and_what_is_not_finite_a_cross() -> None:
    picture = a_picture()
    values: list[dict[str, float]] = [{"a": 1}, {}, {"a": math.nan}, {"a": 3}, {"a": math.inf}]
    for step, line in enumerate(values):
        picture.add(event(step, {"b": 0.0} | line))
    assert row(drawn(picture), "a") == ["inf", "▁", "x█x"]
    picture.add(event(5, {"b": 0.0}))
    assert row(drawn(picture), "a") == ["·", "▁", "x█x"]
    picture.add(event(6, {"b": 0.0, "a": 2.0, "late": 7}))
    shown = drawn(picture)
    assert row(shown, "b") == ["0", "=", "▄▄▄▄▄▄▄"]
    assert row(shown, "late") == ["7", "▄"]


def test_the_health_of_the_run_is_said_while_it_runs_and_at_its_end() -> None:
    status = "running"
    picture = a_picture(total_updates=9, status=lambda: status)
    picture.add(event(0, [{"loss": 1.0}] * 3))
    assert "health" not in drawn(picture)
    for step in range(1, 4):
        picture.add(
            event(step, [{"loss": 1.0}, {"loss": math.nan}, {"loss": 1.0 / (3 - step or math.nan)}])
        )
    diverged = "diverged (2 of 3 lanes, from step 1)"
    assert f"health  {diverged} · loss" in drawn(picture).splitlines()
    status = "interrupted"
    *_, health, _, end, _ = drawn(picture, ended=True).splitlines()
    assert health == f"health  {diverged} · unfinished (4 of 9 updates) · loss"
    assert end == "interrupted after 4 of 9 updates"
    picture.add(event(4, [{"loss": 1.0}] * 3))
    assert "diverged" not in drawn(picture)  # both are well again


class Infos(Sink):
    """Keeps what it is opened with."""

    def __init__(self) -> None:
        super().__init__()
        self.infos: list[RunInfo] = []

    def open(self, run: RunInfo) -> None:
        self.infos.append(run)


def test_a_resumed_run_shows_the_lanes_that_died_before(tmp_path: Path) -> None:
    sink = Infos()
    logger = jaxlog.Logger({"log_frequency": 1, "sinks": [sink]})
    lanes = [{"seed": 0}, {"seed": 1}]
    with logger.open(tmp_path, lanes=lanes) as run:
        run.log({"loss": [1.0, 2.0]}, step=0)
        states = [run.state()]
        run.log({"loss": [1.0, math.nan]}, step=1)
        states.append(run.state())
    shown = []
    for state in (states[1], None, states[0]):  # the last one from before it died
        with logger.open(tmp_path, if_exists="resume", state=state):
            shown.append(drawn(RunDisplay(sink.infos[-1], BEGAN)))
    diverged = "health  diverged (1 of 2 lanes, from step 1) · loss"
    assert [diverged in text for text in shown] == [True, True, False]
    assert sink.infos[0].earlier == {}


def test_a_mean_that_rises_because_lanes_died_has_no_change() -> None:
    picture = a_picture()
    for step, lanes in enumerate(([10.0, 90.0], [math.nan, 91.0], [math.nan, 92.0])):
        picture.add(event(step, [{"a": value} for value in lanes]))
        if step == 1:
            assert row(drawn(picture), "a") == ["91", "(1", "of", "2", "lanes)", "▁█"]
    assert row(drawn(picture), "a") == ["92", "(1", "of", "2", "lanes)", "▲", "+1", "▁██"]


def test_a_row_says_how_many_lanes_are_alive() -> None:
    picture = a_picture()
    nan = math.nan
    for step, lanes in enumerate(([1.0, 3.0], [nan, 5.0], [nan, nan], [nan, 7.0])):
        picture.add(event(step, [{"a": value, "b": 1.0} for value in lanes]))
        if step == 2:
            assert row(drawn(picture), "a") == ["NaN", "(0", "of", "2", "lanes)", "▁█x"]
    shown = drawn(picture)
    assert row(shown, "a") == ["7", "(1", "of", "2", "lanes)", "▲", "+2", "▁▅x█"]
    assert row(shown, "b") == ["1", "=", "▄▄▄▄"]


def test_a_row_says_how_many_values_were_not_finite() -> None:
    keys = {f"bonus_{name}": Key("other", "bonus", name) for name in ("mean", "nonfinite", "count")}
    lane = Lane(0, {}, {"bonus_mean": 2.0, "bonus_nonfinite": 26, "bonus_count": 64})
    picture = a_picture()
    picture.add(MetricsEvent("batch", 0, None, BEGAN, (lane,), keys))
    shown = drawn(picture)
    assert row(shown, "bonus") == ["2", "(26", "not", "finite)"]
    assert row(shown, "bonus_count")[0] == "64"


def test_the_trend_is_evenly_spaced_and_the_memory_bounded() -> None:
    history = History()
    for step in range(10_000):
        history.add(event(step, {"a": float(step)}))
    assert len(history._lines) == LENGTH
    assert len(history._steps._ranges) == 1  # what it remembers of all steps takes no room
    rows = history.read()
    assert list(rows["a"].trend) == [*range(0, 10_000, 64), 9999]
    # Large events are kept of the last lines only.
    kept = [line for line in history._trend.items() if line.event is not None]
    assert len(kept) <= LENGTH
    # 158 points: that before the last tenth is the 142nd.
    assert rows["a"].change == 9999 - 141 * 64


def test_the_change_is_over_the_last_tenth_of_the_run() -> None:
    changes = []
    history = History()
    for step in range(41):
        history.add(event(step, {"a": float(step)}))
        changes.append(history.read()["a"].change)
    assert changes[:13] == [None, *[1] * 10, 2, 2]
    assert changes[20:22] == [2, 3]
    assert changes[40] == 4


def test_a_trend_takes_the_width_there_is() -> None:
    picture = a_picture()
    for step in range(200):
        picture.add(event(step, {"a": float(step)}))
    for width in (60, 100, 150, 200):
        shown = drawn(picture, width)
        *_, trend = row(shown, "a")
        assert (trend[0], trend[-1]) == ("▁", "█")
        assert max(map(cell_len, shown.splitlines())) <= width
        assert len(trend) == min(128, width - shown.splitlines()[1].index("trend"))


def trend(steps: Sequence[int], logged_before: frozenset[int] = frozenset()) -> list[float | None]:
    """The steps of the lines that a history keeps, in its order, of steps in that of arrival."""
    history = History(logged_before.__contains__)
    for step in steps:
        history.add(event(step, {"a": float(step)}))
    return list(history.read()["a"].trend)


def test_a_line_that_comes_late_stands_at_its_place() -> None:
    assert trend([1, 2, 3, 4, 0]) == [0, 1, 2, 3, 4]
    assert trend([3, 2, 1, 0, 7, 6, 5, 4]) == [0, 1, 2, 3, 4, 5, 6, 7]
    # It is older than the last lines.
    assert trend([*range(10, 1000, 10), 0]) == list(range(0, 1000, 10))
    picture = a_picture(total_updates=5)
    for step in (1, 2, 3, 4, 0):
        picture.add(event(step, {"a": float(step)}, seconds=step))
    shown = drawn(picture)
    assert "batch · step 4" in shown
    assert row(shown, "a") == ["4", "▲", "+1", "▁▃▅▆█"]
    assert "5/5" in shown


def test_a_step_that_comes_again_begins_a_new_pass() -> None:
    assert trend([0, 1, 2, 0, 1]) == [0, 1, 2, 0, 1]
    assert trend([*range(100), *range(3)]) == [*range(100), 0, 1, 2]
    assert trend([*range(5000, 5100), *range(5000, 5003)]) == [*range(5000, 5100), 5000, 5001, 5002]
    assert trend([5, 6, 7, 3, 4]) == [3, 4, 5, 6, 7]  # late
    assert trend([5, 6, 7, 6, 100]) == [5, 6, 7, 6, 100]
    # In each pass the first line came late.
    assert trend([1, 2, 3, 0, 1, 2, 3, 0]) == [0, 1, 2, 3, 0, 1, 2, 3]
    # Of the first pass only its last lines are known.
    before = frozenset(range(97))
    assert trend([97, 98, 99, 0, 1], before) == [97, 98, 99, 0, 1]
    assert trend([97, 98, 99, 50, 100], before - {50}) == [50, 97, 98, 99, 100]
    assert trend([7, 7, 7]) == [7, 7, 7]


@given(st.lists(st.integers(0, 60), max_size=80))
def test_steps_are_remembered_exactly(steps: list[int]) -> None:
    remembered, expected = Steps(), set[int]()
    for step in steps:
        assert (step in remembered) == (step in expected)
        remembered.add(step)
        expected.add(step)
        assert remembered.newest == max(expected)


def test_two_lines_of_one_step_with_other_metrics_are_one() -> None:
    picture = a_picture()
    for step in range(3):
        picture.add(event(step, {"a": float(step)}))
        picture.add(event(step, {"b": -float(step)}))
    shown = drawn(picture)
    assert row(shown, "a") == ["2", "▲", "+1", "▁▅█"]
    assert row(shown, "b") == ["-2", "▼", "-1", "█▅▁"]


@pytest.mark.parametrize(
    ("status", "done", "total", "said"),
    [
        ("failed", 131, 300, "failed after 131 of 300 updates"),
        ("killed", 300, 300, "killed after 300 of 300 updates"),
        ("interrupted", 1, None, "interrupted after 1 update"),
        ("terminated", 0, 300, "terminated before the first update was logged"),
        ("exited", 2, None, "exited after 2 updates"),
        ("unknown", 2, 9, "status unknown after 2 of 9 updates"),
    ],
)
def test_a_run_that_was_ended_early_says_how_and_where_and_has_no_bar(
    status: str, done: int, total: int | None, said: str
) -> None:
    picture = a_picture(total_updates=total, status=lambda: status)
    for step in range(done):
        picture.add(event(step, {"a": 1.0}))
    *_, line, speed = drawn(picture, ended=True).splitlines()
    assert line == said
    assert "elapsed" in speed
    assert "━" not in drawn(picture, ended=True)
    assert "━" in drawn(picture)  # while it runs


@pytest.mark.parametrize("width", [20, 40, 60, 84, 110, 200])
@pytest.mark.parametrize("height", [1, 3, 6, 10, 14, 24, 50])
def test_it_is_never_larger_than_the_terminal(width: int, height: int) -> None:
    accounts = [Account("jsonl", 3, 2), Account("svg", 1, 0, "could not\nopen: " + "x" * 99, True)]
    picture = a_picture(total_updates=300, accounts=lambda: accounts)
    opposite = [{"a": np.float32(np.inf)}, {"a": np.float32(-np.inf)}]  # NumPy would warn
    picture.add(event(0, opposite))
    names = ["x" * 90, "a\nb\tc", "温度" * 30, *(f"metric_{i}" for i in range(40))]
    for name in ("batch", "eval", "third"):
        for step in range(3):
            picture.add(event(step, dict.fromkeys(names, step * 1e-9), name=name, env_step=10**9))
    for i in range(3):
        picture.add(EpisodeEvent("batch", i, None, BEGAN, i, {}, {"total_reward": 1.0}, {}))
    picture.add(EvaluationEvent(3, BEGAN, {"text": "long " * 90, "success": True}, {}))
    lines = drawn(picture, width, height).splitlines()
    assert len(lines) <= max(2, height)
    assert max(map(cell_len, lines)) <= width
    if height >= 14 and width >= 40:
        assert any("more metrics" in line for line in lines)
        assert any("svg off" in line for line in lines)
    whole = drawn(picture, width, None)  # at the end
    assert "more metrics" not in whole


def test_a_narrow_terminal_has_fewer_columns() -> None:
    picture = a_picture()
    for step in range(3):
        values = dict.fromkeys([f"episode_return_{s}" for s in RETURNS], 100.0 + step)
        picture.add(event(step, values))
    columns = {}
    for width in (110, 75, 60, 55, 40, 25):
        shown = drawn(picture, width).splitlines()
        columns[width] = shown[1].split()
        assert "102" in shown[3]
    assert columns == {
        110: ["last", "change", "std", "min", "max", "trend"],
        75: ["last", "change", "std", "min", "max", "trend"],
        60: ["last", "change", "std", "trend"],
        55: ["last", "change", "trend"],
        40: ["last", "change"],
        25: ["last"],
    }


def test_a_run_that_goes_on_begins_there_and_its_speed_is_that_of_this_session() -> None:
    picture = a_picture(total_updates=300, resumes_at=100)
    assert "100/300  33%" in drawn(picture, seconds=7)
    assert "compiling… 0:00:07" in drawn(picture, seconds=7)
    for i in range(11):  # from 20 s on, two a second
        picture.add(event(100 + i, {"a": 1}, seconds=20 + i / 2, env_step=(101 + i) * 1000))
    shown = drawn(picture, seconds=25)
    assert "111/300" in shown
    assert "0:00:25 elapsed · 0:01:34 left · 2 updates/s · 2,000 environment steps/s" in shown
    assert "0:01:30 left" in drawn(picture, seconds=29)
    assert "last record 0:00:15 ago" in drawn(picture, seconds=40)
    assert "ago" not in drawn(picture, seconds=40, ended=True)
    assert "left" not in drawn(picture, seconds=40, ended=True)


def test_speed_is_that_of_the_last_minute_and_of_steps_with_gaps() -> None:
    pace = Pace(1000, 0, 0.0)
    assert (pace.updates_per_second(), pace.left(1.0)) == (None, None)
    pace.saw(0, None, 30.0)
    assert (pace.updates_per_second(), pace.left(31.0)) == (None, None)
    for i in range(1, 61):  # every 10th update, one a second
        pace.saw(10 * i, None, 30.0 + i)
        pace.saw(5, None, 30.0 + i)  # of another call
    assert pace.updates_per_second() == pytest.approx(10)
    for i in range(1, 200):
        pace.saw(600 + i, None, 90.0 + i)
    assert pace.updates_per_second() == pytest.approx(1, rel=0.1)
    assert pace.left(290.0) == pytest.approx(199, abs=20)
    assert len(pace._marks) <= SPAN + 3
    slow = Pace(10, 0, 0.0)
    slow.saw(0, None, 500.0)
    slow.saw(1, None, 1100.0)
    slow.saw(2, None, 1700.0)
    assert slow.updates_per_second() == pytest.approx(1 / 600)
    assert slow.left(1800.0) == pytest.approx(7 * 600 - 100)
    assert slow.quiet_for(1800.0) is None
    at_once = Pace(10, 0, 0.0)
    at_once.saw(0, 1, 5.0)
    at_once.saw(1, 2, 5.0)
    assert (at_once.updates_per_second(), at_once.env_steps_per_second()) == (None, None)


def test_what_the_sinks_do() -> None:
    accounts = [
        Account("console", 4, 4),
        Account("jsonl", 1204, 1204),
        Account("wandb", 1204, 1190),
        Account("svg", 12, 0, "could not open: there", off=True),
    ]
    picture = a_picture(accounts=lambda: accounts)
    assert (
        "sinks  svg off: could not open: there · jsonl 1,204 written · "
        "wandb 1,190 written, 14 behind"
    ) in drawn(picture)
    assert "jsonl 1,204 records · wandb 1,204 records" in drawn(picture, ended=True)


def test_accounts_that_fail_are_left_out() -> None:
    def fail() -> Sequence[Account]:
        raise RuntimeError

    assert "sinks" not in drawn(a_picture(accounts=fail))


def test_what_has_nothing_to_show_in_a_table_has_its_title() -> None:
    picture = a_picture()
    picture.add(EvaluationEvent(7, BEGAN, {"returns": [1, 2, 3]}, {}))
    assert drawn(picture).splitlines()[0] == "evaluation · step 7"
    picture.add(EvaluationEvent(8, BEGAN, {"score": 3}, {}))
    assert row(drawn(picture), "score") == ["3", "▄"]


def test_a_single_environment() -> None:
    picture = a_picture(total_updates=100)
    picture.add(TaskEvent(0, BEGAN, {"task_id": 7, "name": "maze [red]"}, {}))
    for episode in range(3):
        step = episode * 5 + 4
        for i in range(step - 4, step + 1):
            values = {"reward": 0.5, "action": 2}
            picture.add(StepEvent(i, BEGAN + i, episode, {"task_id": 7}, values, {}))
        summary = {"total_reward": 1.0 + episode, "total_steps": 5, "success": episode == 1}
        picture.add(
            EpisodeEvent(
                "episode", step, None, BEGAN, 0, {"task_id": 7}, summary, {}, sampled=False
            )
        )
    picture.add(EvaluationEvent(14, BEGAN, {"success_rate": 0.5, "mode": "greedy"}, {}))
    shown = drawn(picture, seconds=15)
    assert "task  task_id 7 · name maze [red] · since step 0" in shown
    assert "step  14 · episode 2 · reward 0.5 · action 2" in shown
    assert "episode · step 14 · task_id 7" in shown
    assert row(shown, "total_reward") == ["3", "▲", "+1", "▁▅█"]
    assert row(shown, "success") == ["no", "▁█▁"]
    assert row(shown, "mode") == ["greedy"]
    assert shown.index("evaluation · step 14") > shown.index("episode · step 14")
    evaluation = shown[shown.index("evaluation · step 14") :].splitlines()
    assert [line.split()[0] for line in evaluation[1:5]] == [
        "rewards",
        "success_rate",
        "other",
        "mode",
    ]
    assert "15/100" in shown
    assert "1 steps/s" in shown


def test_a_single_environment_line_by_line(capsys: pytest.CaptureFixture[str]) -> None:
    sink = ConsoleSink(ConsoleSettings.model_validate({}))
    sink.open(RunInfo("first"))
    sink.write_task(TaskEvent(0, BEGAN, {"task_id": 7}, {}))
    sink.write_step(StepEvent(0, BEGAN, 0, {}, {"reward": 0.5}, {}))
    summary = {"total_reward": np.float32(1.5), "success": np.True_, "path": [1, 2]}
    sink.write_episode(EpisodeEvent("episode", 9, None, BEGAN, 0, {}, summary, {}, sampled=False))
    sink.write_episode(EpisodeEvent("batch", 9, None, BEGAN, 0, {}, summary, {}))
    sink.write_evaluation(EvaluationEvent(9, BEGAN, {"success_rate": 0.5}, {}))
    sink.flush()
    sink.close()
    assert capsys.readouterr().out == (
        "episode · step 9  total_reward 1.5  success yes\nevaluation · step 9  success_rate 0.5\n"
    )
