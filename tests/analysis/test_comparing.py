"""Comparisons: groups, scores, intervals and notes."""

from __future__ import annotations

import itertools
import json
import shutil
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import polars as pl
import pytest
import scipy.stats

import jaxlog
from jaxlog._analysis.choices import Diverged
from jaxlog._analysis.intervals import bootstrap_interval
from tests.reading.files import metrics, write

Lane = tuple[dict[str, Any], dict[str, Any]]


def make(directory: Path, *steps: list[Lane], **config: Any) -> Path:
    """Logs a run with a config, step by step."""
    directory.mkdir(parents=True, exist_ok=True)
    write(directory, [metrics(step, *lanes) for step, lanes in enumerate(steps)])
    (directory / "run.json").write_text(json.dumps({"config": config}))
    return directory


def seeds(scores: Any, **labels: Any) -> list[Lane]:
    return [(labels | {"seed": i}, {"score": float(x)}) for i, x in enumerate(scores)]


def test_the_numbers_are_those_of_scipy(tmp_path: Path) -> None:
    scores = np.random.default_rng(0).normal(size=(2, 11))
    lanes = seeds(scores[0], rate=0.1) + seeds(scores[1], rate=0.2)
    found = jaxlog.compare(make(tmp_path, lanes), "score")
    assert (found.by, found.frame["rate"].to_list()) == (("rate",), [0.1, 0.2])
    for row, group in zip(found.frame.iter_rows(named=True), scores, strict=True):
        assert row["iqm"] == pytest.approx(scipy.stats.trim_mean(group, 0.25))
        assert (row["lower"], row["upper"]) == bootstrap_interval([group])[:2]
        assert row["interval"] == "BCa"
        assert (row["scores"], row["tasks"], row["left_out"]) == (11, 1, 0)
    assert jaxlog.compare(tmp_path, "score").frame.equals(found.frame)  # the same each time
    other = jaxlog.compare(tmp_path, "score", seed=1, confidence=0.5, resamples=300)
    assert (other.frame["upper"] < found.frame["upper"]).all()


def test_each_interval_says_its_method(tmp_path: Path) -> None:
    """BCa gives no interval for most success rates."""
    groups = [seeds([0, 0, 0, 0, 1], rate=0), seeds([0, 0.5, 1, 2, 4], rate=1), seeds([3], rate=2)]
    found = jaxlog.compare(make(tmp_path, list(itertools.chain(*groups))), "score").frame
    assert found["interval"].to_list() == ["percentile", "BCa", None]
    assert found["lower"].is_null().to_list() == [False, False, True]
    assert found["upper"][0] > 0.5


@pytest.mark.parametrize(
    ("runs", "by"),
    [
        # Runs of one seed each, as their config says; the other keys that differ tell groups apart.
        ([{"algo": a, "net": {"width": 8}, "seed": s} for a in "pd" for s in (0, 1)], ("algo",)),
        ([{"net": {"width": w}} for w in (8, 64)], ("net.width",)),
        # They differ in nothing: each is its own, as far as can be known; or in seeds alone.
        ([{}, {}], ("run",)),
        ([{"seed": 0}, {"seed": 1}], ()),
        ([{"lr": 0.1, "train.seed": 0}], ()),
    ],
)
def test_lanes_that_differ_only_in_seeds_are_a_group(
    tmp_path: Path, runs: list[dict[str, Any]], by: tuple[str, ...]
) -> None:
    for i, config in enumerate(runs):
        make(tmp_path / f"run-{i}", seeds([1.0, 2.0]), **config)
    found = jaxlog.compare(tmp_path, "score")
    assert found.by == by
    assert found.frame["scores"].sum() == 2 * len(runs)


def test_runs_whose_lanes_have_other_seeds_are_one_group(tmp_path: Path) -> None:
    for seed in range(3):
        make(tmp_path / f"run-{seed}", [({"seed": seed}, {"score": 1.0})])
    assert jaxlog.compare(tmp_path, "score").by == ()
    assert jaxlog.compare(tmp_path, "score", by="run").frame["run"].to_list() == [
        "run-0",
        "run-1",
        "run-2",
    ]


def test_a_score_is_the_last_value_a_steps_value_or_a_mean(tmp_path: Path) -> None:
    steps = [seeds([1.0, 2.0]), seeds([3.0, 4.0]), seeds([5.0, 6.0])]
    del steps[2][0][1]["score"]  # no episode ended: the one before is the last
    make(tmp_path, *steps)

    def scores(at: Any) -> list[float]:
        return jaxlog.compare(tmp_path, "score", at=at).scores["score"].to_list()

    assert scores("last") == [3.0, 6.0]
    assert scores(0) == [1.0, 2.0]
    assert scores((0, 1)) == [2.0, 3.0]
    with pytest.raises(LookupError, match=r"got at=7, .* expected steps between 0 and 2"):
        scores(7)
    with pytest.raises(LookupError, match=r"got at=\(5, 9\)"):
        scores((5, 9))
    with pytest.raises(TypeError, match="at: got 'best', expected 'last', a step"):
        scores("best")


NAN, INF = float("nan"), float("inf")
DEAD = [{"score": 9.0}, {"score": NAN}, {}]
"""The values of a lane that diverges, and then ends no more episodes."""


def lives(*lanes: list[dict[str, Any]], **labels: Any) -> list[list[Lane]]:
    """Makes the steps of a run from the values of each lane at each step."""
    return [
        [(labels | {"seed": i}, dict(values)) for i, values in enumerate(step)]
        for step in zip(*lanes, strict=True)
    ]


def several(*groups: list[list[Lane]]) -> list[list[Lane]]:
    return [list(itertools.chain(*step)) for step in zip(*groups, strict=True)]


COUNTS = ("alive", "diverged", "unfinished", "left_out")


def test_a_lane_that_has_diverged_does_not_win(tmp_path: Path) -> None:
    good, bad = [{"score": 5.0}] * 3, [{"score": 1.0}, {"score": 2.0}, {"score": 3.0}]
    steps = several(lives(good, good, rate=0.1), lives(DEAD, DEAD, bad, rate=0.2))
    make(tmp_path, *steps)
    text = "score: 2 of 5 lanes have diverged (rate 0.2: 2 of 3); "
    said: dict[Diverged, str] = {
        "worst": "each gets the worst score of all, the lowest, since higher is better",
        "leave_out": "they are left out; only lanes that are alive count",
        "keep_last": "each is compared by its last finite values",
    }
    scores = {"worst": [3.0, 3.0, 3.0], "leave_out": [NAN, NAN, 3.0], "keep_last": [9.0, 9.0, 3.0]}
    for policy, words in said.items():
        for at in ("last", 1, (0, 1), (1, 2), 2):
            with pytest.warns(UserWarning, match="have diverged") as caught:
                found = jaxlog.compare(tmp_path, "score", at=at, diverged=policy)
            assert [str(w.message) for w in caught] == [text + words]
            assert caught[0].filename == __file__
            assert found.notes == (text.removeprefix("score: ") + words,)
            assert found.frame.select(COUNTS).rows() == [
                (2, 0, 0, 0),
                (1, 2, 0, 2 if policy == "leave_out" else 0),
            ]
            if at == "last":
                np.testing.assert_array_equal(found.scores["score"][2:], scores[policy])
    with pytest.warns(UserWarning, match="2 of 5 lanes"):
        found = jaxlog.compare(tmp_path, "score")
    assert found.frame["iqm"].to_list() == [5.0, 3.0]
    assert found.scores["diverged"].to_list() == [False, False, True, True, False]


def test_a_lane_has_a_score_before_it_diverges(tmp_path: Path) -> None:
    make(tmp_path, *lives(DEAD, [{"score": 1.0}] * 3))
    assert jaxlog.compare(tmp_path, "score", at=0).scores["score"].to_list() == [9.0, 1.0]


def test_a_lane_that_recovers_has_not_diverged(tmp_path: Path) -> None:
    make(tmp_path, *lives([{"score": NAN}, {"score": 4.0}], [{"score": 1.0}] * 2))
    assert jaxlog.compare(tmp_path, "score").scores["score"].to_list() == [4.0, 1.0]
    with pytest.warns(UserWarning, match="1 of 2 lanes have diverged"):
        jaxlog.compare(tmp_path, "score", at=(0, 1))


def test_a_lane_without_a_value_is_left_out_and_has_not_diverged(tmp_path: Path) -> None:
    make(tmp_path, *lives([{}, {"score": 4.0}], [{"score": 1.0}] * 2, rate=0.1))
    with pytest.warns(UserWarning, match="no value") as caught:
        found = jaxlog.compare(tmp_path, "score", at=0)
    assert [str(w.message) for w in caught] == [
        "score: 1 of 2 lanes have no value to compare and are left out"
    ]
    assert found.frame.select("iqm", *COUNTS).rows() == [(1.0, 1, 0, 0, 1)]


@pytest.mark.parametrize(
    ("metric", "options", "worst", "words"),
    [
        ("score", {}, 1.0, "the lowest, since higher is better"),
        ("score", {"higher_is_better": False}, 4.0, "the highest, since lower is better"),
        ("td_loss", {}, 4.0, "the highest, since lower is better"),
        ("td_loss", {"higher_is_better": True}, 1.0, "the lowest, since higher is better"),
        ("td_loss", {"normalize": (5, 0)}, 0.2, "the lowest, since higher is better"),
        ("loss_mean", {}, 4.0, "the highest, since lower is better"),
        ("mean", {}, 1.0, "the lowest, since higher is better"),
    ],
)
def test_the_direction_comes_from_the_name_or_the_option(
    tmp_path: Path, metric: str, options: dict[str, Any], worst: float, words: str
) -> None:
    run = make(tmp_path, [({"seed": i}, {metric: x}) for i, x in enumerate((1.0, 4.0, INF))])
    with pytest.warns(UserWarning, match=f"; each gets the worst score of all, {words}$"):
        found = jaxlog.compare(run, metric, **options)
    assert found.scores["score"][2] == pytest.approx(worst)


def test_the_worst_is_that_of_the_task(tmp_path: Path) -> None:
    lanes = [*seeds([10.0, NAN], env="a"), *seeds([1.0, 2.0, NAN], env="b")]
    with pytest.warns(UserWarning, match=r"\(2 of 5\); each gets the worst score of its task"):
        found = jaxlog.compare(make(tmp_path, lanes), "score", task="env")
    assert found.scores["score"].to_list() == [10.0, 10.0, 1.0, 2.0, 1.0]


def test_without_a_finite_score_there_is_no_comparison(tmp_path: Path) -> None:
    make(tmp_path, seeds([NAN, NAN]))
    with (
        pytest.warns(UserWarning, match="2 of 2 lanes have diverged"),
        pytest.raises(LookupError, match="'score': got no finite score of any lane"),
    ):
        jaxlog.compare(tmp_path, "score")
    make(tmp_path, [*seeds([NAN, NAN], rate=0.1), *seeds([5.0], rate=0.2)])
    with pytest.warns(UserWarning, match="2 of 3 lanes have diverged"):
        found = jaxlog.compare(tmp_path, "score", diverged="leave_out")
    assert found.frame.select("iqm", "scores", "left_out").rows() == [(None, 0, 2), (5.0, 1, 0)]
    assert found.frame["lower"].is_null().to_list() == [True, True]  # one tells no spread
    plt.close(found.plot().get_figure(root=True))


@pytest.mark.parametrize("name", ["diverged", "unfinished"])
def test_an_unknown_choice_is_an_error(tmp_path: Path, name: str) -> None:
    run: Any = make(tmp_path, seeds([1.0]))
    choice: dict[str, Any] = {name: "drop"}
    with pytest.raises(
        ValueError, match=rf"{name}: got 'drop', expected one of '\w+', 'leave_out|"
    ):
        jaxlog.compare(run, "score", **choice)


def ended(path: Path, status: str, values: list[float]) -> Path:
    """Logs a run of two lanes that ends in a given way."""
    make(path, *(seeds([x, x + 1.0]) for x in values), algo=path.name)
    facts = json.loads((path / "run.json").read_text())
    (path / "run.json").write_text(json.dumps(facts | {"status": status}))
    return path


@pytest.mark.parametrize("status", ["failed", "interrupted", "exited", "terminated"])
def test_a_run_that_has_not_finished_is_left_out_or_compared_at_a_common_step(
    tmp_path: Path, status: str
) -> None:
    ended(tmp_path / "a", "finished", [1.0, 2.0, 3.0, 4.0])
    ended(tmp_path / "b", status, [9.0, 8.0])

    def compared(at: Any = "last", **options: Any) -> tuple[list[Any], str]:
        with pytest.warns(UserWarning, match="not finished") as caught:
            found = jaxlog.compare(tmp_path, "score", at=at, **options)
        (warning,) = caught
        start = f"score: runs that have not finished: b ({status}, last step 1); "
        assert str(warning.message).startswith(start)
        assert found.frame["unfinished"].to_list() == [0, 2]
        return found.frame["iqm"].to_list(), str(warning.message).removeprefix(start)

    assert compared() == (
        [4.5, None],
        "their lanes are left out; unfinished='common_step' compares all at one step",
    )
    assert compared(unfinished="common_step") == (
        [2.5, 8.5],
        "all lanes are compared at step 1, the last that all of them have",
    )
    assert compared(unfinished="keep_last") == (
        [4.5, 8.5],
        "their lanes are compared by the values they have",
    )
    assert compared((0, 3)) == (
        [3.0, None],
        "their lanes are left out; they end before the steps that are compared",
    )
    assert jaxlog.compare(tmp_path, "score", at=1).frame["iqm"].to_list() == [2.5, 8.5]


def test_a_note_names_at_most_six_groups_or_runs(tmp_path: Path) -> None:
    lanes = [(lr, score) for lr in range(8) for score in (1.0, NAN)]
    make(tmp_path, [({"lr": lr, "seed": i % 2}, {"x": s}) for i, (lr, s) in enumerate(lanes)])
    with pytest.warns(UserWarning, match="have diverged"):
        (note,) = jaxlog.compare(tmp_path, "x").notes
    assert note.startswith("8 of 16 lanes have diverged (lr 0: 1 of 2; lr 1: ")
    assert "; lr 5: 1 of 2; 2 more groups); each gets" in note
    ended(tmp_path / "runs" / "a", "finished", [1.0, 2.0])
    for i in range(8):
        ended(tmp_path / "runs" / f"b{i}", "failed", [1.0])
    with pytest.warns(UserWarning, match="not finished"):
        (note,) = jaxlog.compare(tmp_path / "runs", "score").notes
    assert ", b5 (failed, last step 0) and 2 more; their lanes" in note


def test_a_run_that_failed_after_its_last_step_is_compared(tmp_path: Path) -> None:
    ended(tmp_path / "a", "finished", [1.0, 2.0])
    ended(tmp_path / "b", "failed", [1.0, 3.0])
    found = jaxlog.compare(tmp_path, "score")
    assert found.frame.select("iqm", "unfinished").rows() == [(2.5, 0), (3.5, 0)]


def test_without_finished_runs_a_common_step_is_compared(tmp_path: Path) -> None:
    ended(tmp_path / "a", "failed", [1.0, 2.0, 3.0])
    ended(tmp_path / "b", "terminated", [1.0, 3.0])
    with pytest.warns(UserWarning, match=r"all lanes are compared at step 1, the last that all"):
        found = jaxlog.compare(tmp_path, "score")
    assert found.frame.select("iqm", "unfinished").rows() == [(2.5, 2), (3.5, 2)]
    shutil.rmtree(tmp_path / "b")
    assert jaxlog.compare(tmp_path, "score").frame["iqm"].to_list() == [3.5]  # all end alike


def test_a_note_counts_values_left_out_of_means(tmp_path: Path) -> None:
    lane = {"score_mean": 1.0, "score_nonfinite": 1}
    make(tmp_path, [({"seed": 0}, lane), ({"seed": 1}, {"score_mean": 2.0})])
    for at in ("last", 0, (0, 0)):
        found = jaxlog.compare(tmp_path, "score_mean", at=at)
        assert found.notes == ("values that are not finite are left out of the scores of 1 lane",)


def test_scores_are_normalized_and_resampled_by_task(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    pole, pong = 500 * random.random(6), 42 * random.random(6) - 21
    for algo in "ab":
        make(tmp_path / f"pole-{algo}", seeds(pole), env="pole", algo=algo)
        make(tmp_path / f"pong-{algo}", seeds(pong), env="pong", algo=algo)
    bounds = {"pole": (0, 500), "pong": (-21, 21)}
    found = jaxlog.compare(tmp_path, "score", task="env", normalize=bounds)
    strata = [pole / 500, (pong + 21) / 42]
    assert (found.by, found.task, found.normalized) == (("algo",), "env", True)
    assert not jaxlog.compare(tmp_path, "score", task="env").normalized
    assert found.frame["tasks"].to_list() == [2, 2]
    lower, upper, _ = bootstrap_interval(strata)
    expected = (scipy.stats.trim_mean(np.concatenate(strata), 0.25), lower, upper)
    for row in found.frame.select("iqm", "lower", "upper").iter_rows():
        np.testing.assert_allclose(row, expected)
    with pytest.raises(LookupError, match="normalize: got no bounds for the task 'pong'"):
        jaxlog.compare(tmp_path, "score", task="env", normalize={"pole": (0, 500)})
    with pytest.raises(TypeError, match="normalize: got bounds by task, expected task="):
        jaxlog.compare(tmp_path, "score", normalize=bounds)
    with pytest.raises(ValueError, match="the same score for 0 and for 1"):
        jaxlog.compare(tmp_path, "score", normalize=(3, 3))


@pytest.mark.parametrize("bounds", [5, (0,), (0, 1, 2), (0, float("nan")), (0, float("inf"))])
def test_bounds_are_two_numbers(tmp_path: Path, bounds: Any) -> None:
    run = make(tmp_path, seeds([1.0, 2.0], env="a"))
    for normalize in (bounds, {"a": bounds}):
        with pytest.raises(ValueError, match=r"normalize: got .*, expected \(score that becomes 0"):
            jaxlog.compare(run, "score", task="env", normalize=normalize)


def test_keys_of_several_types_are_one_column(tmp_path: Path) -> None:
    for i, value in enumerate((1, "auto", None, [1, 2], 0.5)):
        make(tmp_path / f"run-{i}", seeds([1.0, 2.0]), clip=value)
    found = jaxlog.compare(tmp_path, "score")
    assert found.frame["clip"].to_list() == [None, "0.5", "1", "[1,2]", "auto"]


def test_labels_can_be_missing_or_not_finite(tmp_path: Path) -> None:
    nan, inf = float("nan"), float("inf")
    lanes = [*seeds([1.0], rate=nan), *seeds([2.0], rate=inf), *seeds([3.0]), *seeds([4.0], rate=0)]
    lanes += seeds([1.0], rate=nan)
    found = jaxlog.compare(make(tmp_path, lanes), "score").frame
    assert found.select("rate", "iqm", "scores").fill_nan(-1.0).rows() == [
        (None, 3.0, 1),
        (0.0, 4.0, 1),
        (inf, 2.0, 1),
        (-1.0, 1.0, 2),
    ]


OWN = ["iqm", "lower", "upper", "scores", "tasks", "left_out", "score", "step", "jaxlog.value"]
OWN += ["interval", "alive", "diverged", "unfinished", "partial"]


@pytest.mark.parametrize("name", OWN)
def test_labels_and_keys_of_any_name(tmp_path: Path, name: str) -> None:
    for number in (1, 2):
        make(tmp_path / str(number), seeds([1.0, 2.0, 9.0]), **{name: number})
    found = jaxlog.compare(tmp_path, "score")
    assert found.frame[f"config.{name}"].to_list() == [1, 2]
    assert [text.get_text() for text in found.plot().get_yticklabels()] == [
        f"config.{name} {number}" for number in (1, 2)
    ]
    plt.close("all")
    found = jaxlog.compare(tmp_path, "score", by=(), task=name)
    assert (found.task, found.frame["tasks"].to_list()) == (f"config.{name}", [2])
    run = make(tmp_path / "labels", [({name: i}, {"loss": 1.0 + i}) for i in range(2)])
    (label,) = jaxlog.read_run(run).labels_of()
    assert jaxlog.compare(run, "loss", by=label).by == (f"labels.{name}",)
    assert len(jaxlog.compare(run, "loss").scores) == 2


def test_steps_may_be_those_of_arrays(tmp_path: Path) -> None:
    run = jaxlog.read_run(make(tmp_path, *([({}, {"loss": float(i)})] for i in range(4))))
    steps = run.arrays()["step"]
    assert jaxlog.compare(run, "loss", at=steps[-1]).frame["iqm"].item() == 3.0
    assert jaxlog.compare(run, "loss", at=(steps[1], steps[2])).frame["iqm"].item() == 1.5


@pytest.mark.parametrize("config", [None, [], "text", 3])
def test_a_config_that_is_none(tmp_path: Path, config: Any) -> None:
    for name in "ab":
        make(tmp_path / name, seeds([1.0, 2.0]))
        (tmp_path / name / "run.json").write_text(json.dumps({"config": config}))
    assert jaxlog.compare(tmp_path, "score").by == ("run",)


def test_its_repr_and_its_plot(tmp_path: Path) -> None:
    found = jaxlog.compare(make(tmp_path, seeds([1.0, 2.0, 4.0], rate=0.1)), "score", by="rate")
    assert repr(found).startswith("score: interquartile means and 95 % intervals\nshape: (1, 11)")
    assert "<table" in found._repr_html_()
    ax = found.plot()
    assert [text.get_text() for text in ax.get_yticklabels()] == ["rate 0.1"]
    assert ax.texts[0].get_text() == "interquartile mean, 95 % interval, a dot for each score"
    plt.close(ax.get_figure(root=True))


def test_it_takes_runs_that_were_read(tmp_path: Path) -> None:
    make(tmp_path / "run", seeds([1.0, 2.0]))
    expected = jaxlog.compare(tmp_path, "score").frame
    for runs in (
        jaxlog.read_run(tmp_path / "run"),
        jaxlog.read_runs(tmp_path),
        [tmp_path / "run"],
        f"{tmp_path}/*",
    ):
        assert jaxlog.compare(runs, "score").frame.equals(expected)
    assert isinstance(expected, pl.DataFrame)
    with pytest.raises(LookupError, match="did not log, expected one of 'score'; did you mean"):
        jaxlog.compare(tmp_path, "scores")


def test_a_plot_of_many_groups_shows_the_highest_and_the_lowest(tmp_path: Path) -> None:
    scores = np.random.default_rng(2).permutation(300).astype(float)
    scores[[7, 8]] = np.nan
    lanes = [({"rate": i}, {"score": float(x)}) for i, x in enumerate(scores)]
    with pytest.warns(UserWarning, match="2 of 300 lanes have diverged"):
        found = jaxlog.compare(make(tmp_path, lanes), "score", diverged="leave_out")
    ax = found.plot()
    order = np.argsort(scores)[:-2]
    shown = sorted([*order[:20].tolist(), *order[-20:].tolist()])
    words = [text.get_text() for text in ax.get_yticklabels()]
    assert words == [f"rate {rate}" for rate in shown]
    dots = [np.asarray(line.get_xdata()).tolist() for line in ax.lines if line.get_marker() == "."]
    assert dots == [[scores[rate]] for rate in shown]
    assert "the 20 highest and the 20 lowest of 300 groups; 260 left out" in ax.texts[0].get_text()
    figure = ax.get_figure(root=True)
    assert figure is not None
    assert figure.get_size_inches()[1] < 20
    plt.close("all")
    few = jaxlog.compare(make(tmp_path / "few", lanes[9:49]), "score").plot()
    assert len(few.get_yticklabels()) == 40
    assert "left out" not in few.texts[0].get_text()
    plt.close("all")
