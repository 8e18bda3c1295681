"""The curves of the page: those of `runs.plot`, however the runs are read and thinned."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import jaxlog
from jaxlog._analysis.group_curves import GroupCurve, curve_of
from jaxlog._analysis.groups import values_of
from jaxlog._page import answers, call_rows, call_summary, curves, followed, row_stream
from jaxlog._page.asked import AbsentError, AskedError
from jaxlog._page.chart_values import group_name
from jaxlog._page.thinning import thinned
from tests.conftest import MakeLogger
from tests.page.conftest import STEPS, Page, value, write_sweep
from tests.page.frames import Frame, decoded

ADDRESS = "curves?call=eval&key=score"


def expected(
    directory: Path, key: str, by: tuple[str, ...], x: str = "step", spread: Any = "std"
) -> dict[str, GroupCurve]:
    """The whole curves, from all rows."""
    found = values_of(jaxlog.read_runs(directory).by_name(), key, "eval", by)
    end = float(found.frame[x].max())  # type: ignore[arg-type]
    return {
        group_name(found.by, group): curve_of(frame, x, spread, found.statistic, found.late, end)
        for group, frame in found.groups()
    }


def check(frame: Frame, curves: dict[str, GroupCurve]) -> None:
    """Checks an answer that is not thinned against whole curves."""
    assert list(frame.groups) == list(curves)
    for header, (name, curve) in zip(frame.header["groups"], curves.items(), strict=True):
        own = frame.groups[name]
        np.testing.assert_array_equal(own["x"], curve.x)
        for part in ("middle", "lower", "upper"):
            np.testing.assert_allclose(own[part], getattr(curve, part), rtol=1e-6, err_msg=part)
        np.testing.assert_array_equal(own["low"], own["middle"])
        np.testing.assert_array_equal(own["alive"], curve.alive_at)
        counts = header["lanes"], header["alive"], header["unfinished"], header["points"]
        assert counts == (curve.lanes, curve.alive, curve.unfinished, len(curve.x))
        assert header["last"]["middle"] == pytest.approx(curve.middle[-1])


@pytest.mark.parametrize("kind", ["jsonl", "arrow"])
@pytest.mark.parametrize(
    "by", [(), ("lr",), ("env",), ("lr", "env"), ("run",), ("lane",), ("seed",)]
)
def test_curves_are_those_of_plots(
    kind: str, by: tuple[str, ...], make_logger: MakeLogger, tmp_path: Path
) -> None:
    write_sweep(make_logger, tmp_path, kind)
    page = Page(tmp_path)
    page.look()
    group = "".join(f"&group={name}" for name in by or ("none",))
    for x in ("step", "env_step"):
        for band, spread in curves.BANDS.items():
            found = decoded(page.body(f"{ADDRESS}{group}&x={x}&band={band}"))
            check(found, expected(tmp_path, "score", by, x, spread))
            assert found.header["by"] == list(by)


def test_a_value_can_be_followed_by_hand(sweep: Path) -> None:
    page = Page(sweep)
    page.look()
    found = decoded(page.body(f"{ADDRESS}&group=lr")).groups["0.003"]
    lanes = [value(0.003, run, lane, 50) for run in (1, 4) for lane in range(4)]
    alive = [one for one in lanes if math.isfinite(one)]
    assert len(alive) == 7
    assert found["middle"][50] == pytest.approx(np.mean(alive), rel=1e-6)
    assert found["upper"][50] == pytest.approx(np.mean(alive) + np.std(alive), rel=1e-6)
    assert found["alive"].tolist()[:11] == [8.0] * 11
    assert found["alive"].tolist()[11:21] == [7.0] * 9 + [8.0]
    assert found["alive"].tolist()[41:] == [7.0] * (STEPS - 41)


def test_without_a_grouping_it_is_what_differs_but_seeds(sweep: Path) -> None:
    page = Page(sweep)
    page.look()
    found = decoded(page.body(ADDRESS))
    assert found.header["by"] == ["lr", "env"]
    assert page("runs")["group"] == "lr, env"
    assert next(iter(found.groups)) == "lr 0.001, env a"


def test_a_reader_is_told_what_is_left_out(sweep: Path) -> None:
    page = Page(sweep)
    page.look()
    notes = decoded(page.body(f"{ADDRESS}&group=none")).header["notes"]
    assert "1 of 24 lanes have diverged; a line is over those alive" in notes
    assert "4 of 24 lanes belong to runs that have not finished" in notes
    assert f"{STEPS - 41 + 9} values are not finite and are left out" in notes
    off = page.ids()["run-1"]
    found = decoded(page.body(f"{ADDRESS}&group=none&off={off}"))
    assert found.header["groups"][0]["lanes"] == 20
    assert "1 run is switched off" in found.header["notes"]


def test_a_thin_curve_keeps_means_and_extremes_by_position() -> None:
    random = np.random.default_rng(0)
    x = np.append(np.arange(999.0), 1e9)  # one jump
    middle, lower = random.normal(size=(2, 1000))
    lower[::3] = np.nan
    alive = random.integers(1, 9, 1000)
    fewer, dead = np.zeros(1000, bool), np.zeros(4, bool)
    curve = GroupCurve(x, middle, lower, lower + 1, fewer, alive, dead, (), 0, 0, 0)
    found = thinned(curve, 130)
    assert len(found.x) == 125
    for place in range(125):
        part = slice(8 * place, 8 * place + 8)
        assert found.x[place] == pytest.approx(x[part].mean())
        assert found.middle[place] == pytest.approx(middle[part].mean())
        assert (found.low[place], found.high[place]) == (middle[part].min(), middle[part].max())
        assert found.lower[place] == pytest.approx(np.nanmean(lower[part]))
        assert found.alive[place] == alive[part].min()
    np.testing.assert_array_equal(thinned(curve, 1000).middle, middle)
    extremes = thinned(curve, 130, extremes=True)
    assert extremes.lower[0] == np.nanmin(lower[:8])
    assert extremes.upper[0] == np.nanmax(lower[:8]) + 1


def test_a_curve_that_grows_keeps_its_thin_points() -> None:
    values = np.random.default_rng(1).normal(size=900)
    made = []
    for size in (700, 900):
        ends = np.full(size, np.nan)
        arrays = (np.arange(size), values[:size], ends, ends, np.zeros(size, bool), ends, ends)
        made.append(thinned(GroupCurve(*arrays, (), 0, 0, 0), 300).middle)
    np.testing.assert_array_equal(made[0], made[1][: len(made[0])])


def test_all_lanes_are_combined_before_they_are_thinned(sweep: Path) -> None:
    page = Page(sweep)
    page.look()
    whole = expected(sweep, "score", ("lr",))
    found = decoded(page.body(f"{ADDRESS}&group=lr&points=20"))
    for name, curve in whole.items():
        own = found.groups[name]
        assert len(own["x"]) == 15
        middle = curve.middle.reshape(15, 4)
        np.testing.assert_allclose(own["middle"], middle.mean(1), rtol=1e-6)
        np.testing.assert_allclose(own["low"], middle.min(1), rtol=1e-6)
        np.testing.assert_allclose(own["high"], middle.max(1), rtol=1e-6)


def test_a_part_of_the_axis_has_points_of_its_own(sweep: Path) -> None:
    page = Page(sweep)
    page.look()
    found = decoded(page.body(f"{ADDRESS}&group=none&from=20&to=30&points=15")).groups["all lanes"]
    np.testing.assert_array_equal(found["x"], np.arange(19, 32))  # a line leads over both ends


def test_one_group_and_pinned_runs(sweep: Path) -> None:
    page = Page(sweep)
    page.look()
    only = decoded(page.body(f"{ADDRESS}&group=lr&only=0.01"))
    assert list(only.groups) == ["0.01"]
    with pytest.raises(AbsentError, match="only: got '7', which is no group"):
        page.body(f"{ADDRESS}&group=lr&only=7")
    pinned = decoded(page.body(f"{ADDRESS}&group=lr&pin={page.ids()['run-4']}"))
    assert list(pinned.groups) == ["0.001", "0.003", "0.01", "run-4!"]
    own = expected(sweep, "score", ("run",))["run-4"]
    np.testing.assert_allclose(pinned.groups["run-4!"]["middle"], own.middle, rtol=1e-6)


def test_of_many_groups_quantiles_the_best_and_the_worst_are_shown(
    sweep: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(curves, "MOST_GROUPS", 5)
    page = Page(sweep)
    page.look()
    found = decoded(page.body(f"{ADDRESS}&group=run&points=60"))
    names = [(group["name"], group["place"]) for group in found.header["groups"]]
    whole = expected(sweep, "score", ("run",))
    ends = {name: curve.middle[-1] for name, curve in whole.items()}
    best, worst = max(ends, key=ends.__getitem__), min(ends, key=ends.__getitem__)
    bands = ["p5-p95", "p25-p75"]
    assert names == [*((name, name) for name in bands), (best, "best"), (worst, "worst")]
    assert (found.header["total_groups"], found.header["left_out"]) == (6, 4)
    at_10 = [curve.middle[10] for curve in whole.values()]
    for name, levels in (("p5-p95", (0.05, 0.95)), ("p25-p75", (0.25, 0.75))):
        own = found.groups[name]
        place = int(np.searchsorted(own["x"], 10))
        assert own["x"][place] == 10
        shown = own["lower"][place], own["middle"][place], own["upper"][place]
        np.testing.assert_allclose(
            shown, np.quantile(at_10, (levels[0], 0.5, levels[1])), rtol=1e-6
        )


def grown(page: Page) -> Frame:
    page.look()
    return decoded(page.body(f"{ADDRESS}&group=none"))


@pytest.mark.parametrize("kind", ["jsonl", "arrow"])
def test_what_is_new_is_added(
    kind: str, make_logger: MakeLogger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = Page(tmp_path)
    made = []
    real = call_summary.CallSummary.__init__
    monkeypatch.setattr(
        call_summary.CallSummary,
        "__init__",
        lambda self, *a: [made.append(self), real(self, *a)][1],
    )
    logger = make_logger(sinks=[{"kind": kind}])
    with logger.open(tmp_path / "live", lanes=[{}] * 3) as run:
        for step in range(30):
            values = [float(step), 2.0 * step, math.nan if step in (7, 8, 29) else 1.0]
            run.log({"score": values, "other": 1.0}, step=step)
            if step % 7 == 0 or step == 29:
                run.flush()
                check(grown(page), expected(tmp_path, "score", ()))
    kept = page.answers._store._summaries._kept
    (((_, summary),)) = kept.values()
    assert summary is made[0]  # it was never made anew


def test_a_run_that_is_cut_back_or_replaced_is_read_anew(
    make_logger: MakeLogger, tmp_path: Path
) -> None:
    page = Page(tmp_path)
    for last in (30, 12, 40):
        logger = make_logger(sinks=[{"kind": "jsonl"}])
        with logger.open(tmp_path / "one", if_exists="replace") as run:
            for step in range(last):
                run.log({"score": float(step * last)}, step=step)
        check(grown(page), expected(tmp_path, "score", ()))
    file = tmp_path / "one" / "eval_metrics.jsonl"
    file.write_bytes(b"".join(file.read_bytes().splitlines(keepends=True)[:25]))
    run_file = tmp_path / "one" / "run.json"
    run_file.write_text(run_file.read_text() + "\n")
    found = grown(page)
    assert found.groups["all lanes"]["x"].tolist() == list(range(25))
    check(found, expected(tmp_path, "score", ()))


def test_rows_that_replace_others_are_read_as_plots_read_them(
    make_logger: MakeLogger, tmp_path: Path
) -> None:
    with make_logger(sinks=[{"kind": "jsonl"}]).open(tmp_path / "twice") as run:
        for again in range(2):
            for step in range(20):
                run.log({"score": float(step + 100 * again)}, step=step)
    page = Page(tmp_path)
    page.look()
    found = decoded(page.body(f"{ADDRESS}&group=none"))
    assert found.groups["all lanes"]["middle"].tolist() == [100.0 + step for step in range(20)]
    assert any("20 lines were replaced" in note for note in found.header["notes"])


def test_blocks_of_any_size_give_the_same(sweep: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_stream, "BLOCK", 700)
    page = Page(sweep)
    page.look()
    check(decoded(page.body(f"{ADDRESS}&group=lr")), expected(sweep, "score", ("lr",)))


def test_too_many_values_for_quantiles_have_another_band_and_a_note(
    sweep: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(call_rows, "MOST_ROWS", 100)
    page = Page(sweep)
    page.look()
    found = decoded(page.body(f"{ADDRESS}&group=lr&band=iqr"))
    check(found, expected(sweep, "score", ("lr",)))
    assert found.header["band"] == "mean ± std"
    assert any("too many values" in note for note in found.header["notes"])
    with pytest.raises(AskedError, match="too many values for this axis; choose x=step"):
        page.body(f"{ADDRESS}&group=lr&x=relative")


def test_too_many_groups_are_refused(sweep: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(call_summary, "MOST_CELLS", 100)
    page = Page(sweep)
    page.look()
    with pytest.raises(AskedError, match="got more than 100 steps of groups"):
        page.body(f"{ADDRESS}&group=lane")
    assert decoded(page.body(f"{ADDRESS}&group=lr")).groups


def test_many_metrics_are_combined_one_by_one(sweep: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(call_summary, "MOST_KEYS", 1)
    page = Page(sweep)
    page.look()
    for key in ("score", "loss"):
        found = decoded(page.body(f"curves?call=eval&key={key}&group=lr"))
        check(found, expected(sweep, key, ("lr",)))


def test_metrics_that_were_passed_over_are_not_taken_for_complete(
    make_logger: MakeLogger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(call_summary, "MOST_KEYS", 4)
    monkeypatch.setattr(row_stream, "BLOCK", 700)
    with make_logger(sinks=[{"kind": "jsonl"}]).open(tmp_path / "runs" / "wide") as run:
        for step in range(30):
            late = {"late": 7.0 * step} if step > 20 else {}
            run.log({f"metric_{i}": float(step + i) for i in range(9)} | late, step=step)
    page = Page(tmp_path / "runs")
    page.look()
    for key in ("metric_5", "metric_0", "late", "metric_8"):
        found = decoded(page.body(f"curves?call=eval&key={key}"))
        check(found, expected(tmp_path / "runs", key, ()))


def test_trends_that_are_read_later_make_no_chart_anew(
    sweep: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(followed, "READING", 0.0)  # one run in each look
    page = Page(sweep)
    page.followed.look()
    while page.followed.unlooked:
        page.followed.look()
    assert page.followed.unread == 6
    query = "call=eval&key=score&group=lr"
    before = page.answers.of("curves", query)
    assert before is not None
    page.look()
    assert page.followed.unread == 0
    assert page.answers.of("curves", query, before.tag) is None


def write_times(directory: Path, name: str, start: float, values: list[float]) -> None:
    """A run that logged a value every 10 seconds."""
    run = directory / name
    run.mkdir(parents=True)
    calls = {"eval": {"keys": {"score": {"stem": "score", "statistic": "", "metric": "score"}}}}
    facts = {"format": 1, "id": name, "status": "finished", "opened": start, "calls": calls}
    (run / "run.json").write_text(json.dumps(facts))
    lines = [
        f'{{"timestamp":{start + 10 * i},"step":{i},"lane":0,"labels":{{}},"metrics":'
        f'{{"score":{one}}}}}\n'
        for i, one in enumerate(values)
    ]
    (run / "eval_metrics.jsonl").write_text("".join(lines))


def test_lanes_of_several_runs_count_with_their_last_values_at_each_time(tmp_path: Path) -> None:
    write_times(tmp_path, "a", 1000.0, [1.0, 2.0, 3.0, 4.0])
    write_times(tmp_path, "b", 1005.0, [10.0, 20.0])
    page = Page(tmp_path)
    page.look()
    found = decoded(page.body(f"{ADDRESS}&group=none&x=time&points=40&band=none"))
    assert found.header["x"] == {"title": "time", "kind": "time"}
    own = found.groups["all lanes"]
    for x, middle in zip(own["x"], own["middle"], strict=True):
        values = [[1.0, 2.0, 3.0, 4.0][min(3, int((x - 1000) // 10))]]
        if 1005 <= x <= 1015:
            values.append([10.0, 20.0][min(1, int((x - 1005) // 10))])
        assert middle == pytest.approx(np.mean(values)), x
    assert any("its last value before it" in note for note in found.header["notes"])
    relative = decoded(page.body(f"{ADDRESS}&group=run&x=relative&band=none"))
    assert relative.header["x"]["kind"] == "duration"
    assert relative.groups["a"]["x"].max() == pytest.approx(30.0, abs=1e-6)
    assert relative.groups["b"]["x"].max() == pytest.approx(10.0, abs=0.1)
    assert relative.groups["b"]["middle"][-1] == 20.0


@pytest.mark.parametrize(
    ("query", "error", "text"),
    [
        ("call=eval&key=scor", AbsentError, "is a metric that none of these runs has logged"),
        ("call=evl&key=score", AbsentError, "is a metric that none of these runs has logged"),
        ("call=eval&key=score&group=lrr", AbsentError, "did you mean 'lr'"),
        ("call=eval&key=score&where=status:nowhere", AbsentError, "none of these runs"),
        ("call=eval", AskedError, "got no metric, expected call= and key="),
        ("call=eval&key=score&x=steps", AskedError, "x: got 'steps', expected one of step"),
        ("call=eval&key=score&band=sd", AskedError, "band: got 'sd', expected one of std"),
        ("call=eval&key=score&from=abc", AskedError, "from: got 'abc', expected a number"),
        ("call=eval&key=score&points=-1", AskedError, "points: got '-1', expected an integer"),
        ("call=eval&key=score&where=lr%3E", AskedError, "got no value after >"),
    ],
)
def test_what_cannot_be_answered_has_a_reason(
    sweep: Path, query: str, error: type[Exception], text: str
) -> None:
    page = Page(sweep)
    page.look()
    with pytest.raises(error) as raised:
        page.body(f"curves?{query}")
    assert text in str(raised.value.args[0])


def test_a_text_is_no_metric(tmp_path: Path, make_logger: MakeLogger) -> None:
    write_times(tmp_path, "a", 1000.0, [1.0])
    file = tmp_path / "a" / "eval_metrics.jsonl"
    file.write_text(file.read_text().replace("1.0}", '"high"}'))
    page = Page(tmp_path)
    page.look()
    with pytest.raises(AbsentError, match="a column of String"):
        page.body(f"{ADDRESS}&group=none")


def test_the_code_of_a_figure_makes_the_figure(sweep: Path) -> None:
    page = Page(sweep)
    page.look()
    code = decoded(page.body(f"{ADDRESS}&group=lr&band=range&where=lr%3C0.005")).header["python"]
    names: dict[str, Any] = {}
    exec(code, names)
    lines = {
        line.get_label(): line for line in names["ax"].get_lines() if line.get_gid() == "middle"
    }
    assert len(lines) == 2
    curve = expected(sweep, "score", ("lr",), spread="range")["0.001"]
    (one,) = [line for label, line in lines.items() if label.startswith("lr 0.001")]
    shown = np.asarray(one.get_ydata())
    np.testing.assert_allclose(shown[~np.isnan(shown)], curve.middle[~curve.fewer])


def test_values_are_read_only_once_for_all_metrics(
    sweep: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = Page(sweep)
    page.look()
    page.body(f"{ADDRESS}&group=lr")
    monkeypatch.setattr(row_stream, "read_metrics_of", lambda *_: pytest.fail("was read again"))
    assert decoded(page.body("curves?call=eval&key=loss&group=lr")).groups


def test_a_chart_that_is_read_in_parts_says_so_and_becomes_the_whole_one(
    sweep: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(followed, "READING", 0.0)  # one run in each look
    monkeypatch.setattr(answers, "READING", 0.0)  # and in each answer
    page, name, query = Page(sweep), *f"{ADDRESS}&group=lr".split("?")
    seen, tags, body = [], [], b""
    while not seen or seen[-1][0] < seen[-1][1]:
        page.answers._others = 0.0
        try:
            answer = page.answers.of(name, query, in_parts=True)
        except AbsentError:  # no run was looked at
            continue
        assert answer is not None
        body = answer.body
        header = decoded(body).header
        seen.append((header["read"], header["of"]))
        tags.append(answer.tag)
        said = f"{header['read']} of 6 runs read; the others are added as they are read"
        assert (said in header["notes"]) == answer.is_part == (header["read"] < 6)
    assert {of for _, of in seen} == {6}
    assert sorted(seen) == seen
    assert len(seen) > 3
    assert len(set(tags)) == len({read for read, _ in seen})
    whole = Page(sweep)
    whole.look()
    found, expected_ = decoded(body), decoded(whole.body(f"{ADDRESS}&group=lr"))
    assert list(found.groups) == list(expected_.groups)
    for group, arrays in expected_.groups.items():
        for part, values in arrays.items():
            np.testing.assert_array_equal(found.groups[group][part], values, err_msg=part)


@pytest.mark.parametrize("name", ["answer", "comparison"])
def test_groups_are_compared_once_all_runs_are_read(
    name: str, sweep: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "READING", 0.0)
    page, query = Page(sweep), "call=eval&key=score&group=lr"
    page.look()
    found: dict[str, Any] = {}
    for number in range(1, 7):
        page.answers._others = 0.0
        answer = page.answers.of(name, query, in_parts=True)
        assert answer is not None
        found = json.loads(answer.body)
        assert (found.get("read"), answer.is_part) == (number, number < 6)
        if number < 6:
            assert found["of"] == 6
            assert not found.get("rows")
            assert not found.get("answer")
    whole = Page(sweep)
    whole.look()
    assert found == whole(f"{name}?{query}")
