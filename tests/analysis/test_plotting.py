"""Plots show the values of the frames."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
import scipy.stats
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection

import jaxlog
from jaxlog._analysis.group_curves import MOST_LINES
from jaxlog._format.events import Lane, MetricsEvent
from tests.reading.files import metrics, write

RATES = (0.1, 0.2)
SEEDS = 5


@pytest.fixture(autouse=True)
def figures() -> Iterator[None]:
    with mpl.rc_context({"backend": "agg"}):
        yield
        plt.close("all")


def values(steps: int = 6) -> np.ndarray:
    """Returns values of shape (rate, seed, step)."""
    return np.random.default_rng(0).normal(size=(len(RATES), SEEDS, steps))


@pytest.fixture
def run(tmp_path: Path) -> jaxlog.RunData:
    lanes = [{"rate": rate, "seed": seed} for rate in RATES for seed in range(SEEDS)]
    flat = values().reshape(len(lanes), -1)
    events = [
        metrics(
            10 * step,
            *(
                (labels, {"loss": x, "twice": 2 * x})
                for labels, x in zip(lanes, column, strict=True)
            ),
            env_step=640 * step,
        )
        for step, column in enumerate(flat.T)
    ]
    return jaxlog.read_run(write(tmp_path, events))


def legend(ax: Axes) -> list[str]:
    """Returns the texts of the legend."""
    found = ax.get_legend()
    assert found is not None
    return [text.get_text() for text in found.get_texts()]


def lines(ax: Any) -> list[Any]:
    """Returns the lines of the groups."""
    return [line for line in ax.lines if line.get_gid() == "middle"]


def of(ax: Any, gid: str) -> list[Any]:
    """Returns the lines of a kind: `fewer`, dashed, or `dead`, crosses."""
    return [line for line in ax.lines if line.get_gid() == gid]


def bands(ax: Any) -> list[tuple[np.ndarray, np.ndarray]]:
    """Returns the lower and upper ends of each band, by x."""
    found = []
    for band in ax.collections:
        if isinstance(band, PolyCollection):
            corners = np.unique(band.get_paths()[0].vertices, axis=0)
            of_x = [corners[corners[:, 0] == x, 1] for x in np.unique(corners[:, 0])]
            found.append((np.array([y.min() for y in of_x]), np.array([y.max() for y in of_x])))
    return found


def test_a_line_is_the_mean_of_the_seeds_and_its_band_a_standard_deviation(
    run: jaxlog.RunData,
) -> None:
    ax = run.plot("loss")
    assert [line.get_label() for line in lines(ax)] == ["rate 0.1", "rate 0.2"]
    for line, (lower, upper), group in zip(lines(ax), bands(ax), values(), strict=True):
        np.testing.assert_array_equal(line.get_xdata(), np.arange(6) * 10)
        np.testing.assert_allclose(line.get_ydata(), group.mean(axis=0))
        np.testing.assert_allclose(upper - lower, 2 * group.std(axis=0))
    assert [text.get_text() for text in ax.texts] == ["mean ± std, 5 lanes each"]
    assert (ax.get_title(loc="left"), ax.get_xlabel()) == ("loss", "update")


def test_a_band_can_be_the_range_or_an_interval(run: jaxlog.RunData) -> None:
    ((lower, upper),) = bands(run.plot("loss", spread="range", by=()))
    every = values().reshape(-1, 6)
    np.testing.assert_array_equal((lower, upper), (every.min(axis=0), every.max(axis=0)))
    ax = run.plot("loss", spread="ci", by=())
    expected = scipy.stats.trim_mean(every, 0.25, axis=0)
    np.testing.assert_allclose(lines(ax)[0].get_ydata(), expected)
    ((lower, upper),) = bands(ax)
    assert (lower < expected).all()
    assert (upper > expected).all()


def test_lanes_can_have_a_line_each(run: jaxlog.RunData) -> None:
    ax = run.plot("loss", spread="lanes", by=())
    assert not bands(ax)
    (thin,) = (found for found in ax.collections if found.get_gid() == "lanes")
    assert isinstance(thin, LineCollection)
    drawn = np.array(thin.get_segments())
    np.testing.assert_array_equal(drawn[..., 1], values().reshape(-1, 6))
    low, high = ax.get_ylim()
    assert low < values().min() < values().max() < high
    assert len(lines(run.plot("loss", by="lane", spread=None))) == 10


def test_many_lanes_are_bands_and_the_two_that_end_furthest_apart(tmp_path: Path) -> None:
    lanes = MOST_LINES + 1
    found = np.random.default_rng(1).normal(size=(4, lanes))
    found[1, 3] = found[3, 5] = np.nan  # lane 5 has diverged
    steps = [
        metrics(step, *(({"seed": i}, {"x": float(y)}) for i, y in enumerate(row)))
        for step, row in enumerate(found)
    ]
    ax = jaxlog.read_run(write(tmp_path, steps)).plot("x", spread="lanes")
    (thin,) = (one for one in ax.collections if one.get_gid() == "lanes")
    assert isinstance(thin, LineCollection)
    ends = [np.nanargmin(found[3]), np.nanargmax(found[3])]
    drawn = [segment[:, 1].tolist() for segment in thin.get_segments()]
    assert drawn == [column[np.isfinite(column)].tolist() for column in found[:, ends].T]
    for (lower, upper), part in zip(bands(ax), (0.9, 0.5), strict=True):
        levels = [(1 - part) / 2, (1 + part) / 2]
        np.testing.assert_allclose([lower, upper], np.nanquantile(found, levels, axis=1))
    words = ax.texts[0].get_text().replace("\n", " ")
    assert words.startswith("mean, bands of 50 % and 90 % of the lanes, those that end highest")


def test_one_lane_has_no_band(run: jaxlog.RunData) -> None:
    ax = run.plot("loss", by=["rate", "seed"])
    assert len(lines(ax)) == 10
    assert not bands(ax)
    assert ax.texts[0].get_text() == "one lane each"


def test_several_names_make_small_multiples_on_one_axis(run: jaxlog.RunData) -> None:
    axes = run.plot(["loss", "twice", "loss", "twice"], x="env_step")
    assert [ax.get_title(loc="left") for ax in axes] == ["loss", "twice", "loss", "twice"]
    assert len(axes[0].figure.axes) == 4
    assert [ax.get_xlabel() != "" for ax in axes] == [False, True, True, True]  # each column's last
    assert axes[1].get_xlabel() == "environment steps"
    np.testing.assert_allclose(lines(axes[1])[0].get_ydata(), 2 * lines(axes[0])[0].get_ydata())
    np.testing.assert_array_equal(lines(axes[0])[0].get_xdata(), np.arange(6) * 640)


def test_it_draws_on_the_given_axes(run: jaxlog.RunData) -> None:
    _, (left, right) = plt.subplots(1, 2)
    assert run.plot("loss", ax=right) is right
    assert not left.lines
    assert len(plt.get_fignums()) == 1


def test_missing_and_nonfinite_values_are_left_out(tmp_path: Path) -> None:
    nan, inf = float("nan"), float("inf")
    events = [
        metrics(0, ({}, {"x": nan}), ({}, {"x": 1.0}), ({}, {"x": 3.0})),
        metrics(1, ({}, {"x": inf}), ({}, {}), ({}, {"x": 5.0})),
        metrics(2, ({}, {"x": nan}), ({}, {}), ({}, {"x": -inf})),
        metrics(3, ({}, {"x": 1.0}), ({}, {"x": 2.0}), ({}, {"x": 6.0})),
    ]
    run = jaxlog.read_run(write(tmp_path, events))
    for spread in ("std", "ci", "range", "lanes", None):
        ax = run.plot("x", spread=spread)
        (line,), (dashed,) = lines(ax), of(ax, "fewer")
        for drawn, y in ((line, [nan, nan, 3.0]), (dashed, [2.0, 5.0, 3.0])):
            np.testing.assert_array_equal(drawn.get_xdata(), [0, 1, 3])
            np.testing.assert_array_equal(drawn.get_ydata(), y)
        assert ax.get_title(loc="right") == "4 values not finite"
        assert not of(ax, "dead")  # all live again


def dying(tmp_path: Path) -> jaxlog.RunData:
    """Four lanes of two rates: of the first one dies at 2, of the second both, at 1 and at 3."""
    nan, inf = float("nan"), float("inf")
    values = [
        [1.0, 2.0, nan, nan, None, nan],
        [1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
        [3.0, inf, None, inf, inf, inf],
        [5.0, 6.0, 7.0, nan, nan, nan],
    ]
    lanes = [{"rate": rate, "seed": seed} for rate in RATES for seed in (0, 1)]
    events = [
        metrics(
            step,
            *(
                (labels, {} if x[step] is None else {"x": x[step]})
                for labels, x in zip(lanes, values, strict=True)
            ),
        )
        for step in range(6)
    ]
    return jaxlog.read_run(write(tmp_path, events))


def test_the_legend_counts_the_lanes_alive(tmp_path: Path) -> None:
    nan = float("nan")
    ax = dying(tmp_path).plot("x")
    solid, dashed = lines(ax), of(ax, "fewer")
    assert all(line.get_linestyle() == "-" for line in solid)
    assert all(line.is_dashed() for line in dashed)
    first, second = (np.array(line.get_ydata()) for line in solid)
    np.testing.assert_array_equal(first, [1.0, 2.0, nan, nan, nan, nan])
    np.testing.assert_array_equal(second, [4.0, nan, nan])
    first, second = (np.array(line.get_ydata()) for line in dashed)
    np.testing.assert_array_equal(first, [nan, 2.0, 3.0, 4.0, 5.0, 6.0])
    np.testing.assert_array_equal(second, [4.0, 6.0, 7.0])
    (cross,) = of(ax, "dead")
    assert (cross.get_marker(), *cross.get_xydata()[0]) == ("x", 2.0, 7.0)
    assert legend(ax) == [
        "rate 0.1 (1 of 2 alive)",
        "rate 0.2 (0 of 2 alive)",
    ]
    assert ax.texts[0].get_text().splitlines() == [
        "mean ± std, 2 lanes each",
        "3 of 4 lanes have diverged, dashed where fewer lanes are left, a cross where none is left",
    ]
    assert ax.get_title(loc="right") == "10 values not finite"
    solid_band, dashed_band = (band.get_alpha() for band in ax.collections[:2])
    assert solid_band is not None
    assert dashed_band is not None
    assert solid_band > dashed_band


def test_each_diverged_lane_ends_with_a_cross(tmp_path: Path) -> None:
    crosses = of(dying(tmp_path).plot("x", by=(), spread="lanes"), "dead")
    assert len(crosses) == 1  # one artist, however many lanes
    assert sorted(map(tuple, crosses[0].get_xydata())) == [(0, 3), (1, 2), (2, 7)]


def test_each_of_several_plots_counts_nonfinite_values(tmp_path: Path) -> None:
    lane = {"x": float("nan"), "y_mean": 1.0, "y_nonfinite": 3}
    events = [metrics(0, ({}, {"x": 1.0, "y_mean": 1.0})), metrics(1, ({}, lane))]
    axes = jaxlog.read_run(write(tmp_path, events)).plot(["x", "y_mean"])
    assert [ax.get_title(loc="right") for ax in axes] == ["1 value not finite", "1 partly"]
    assert axes[0].figure.get_suptitle() == (
        "one lane\n1 of 1 lane has diverged, a cross where none is left"
    )


def test_a_run_that_was_killed_ends_before_the_others(tmp_path: Path) -> None:
    for name, steps, status in (("a", 9, "finished"), ("b", 5, "failed")):
        (tmp_path / name).mkdir()
        lanes = ({}, {"x": 1.0}), ({}, {"x": 2.0})
        write(tmp_path / name, [metrics(step, *lanes) for step in range(steps)])
        (tmp_path / name / "run.json").write_text(json.dumps({"status": status}))
    runs = jaxlog.read_runs(tmp_path)
    ax = runs.plot("x")
    assert legend(ax) == ["a", "b (unfinished)"]
    assert not of(ax, "fewer")
    words = "2 of 4 belong to unfinished runs"
    assert ax.texts[0].get_text().splitlines()[1] == words
    ax = runs.plot("x", by=())
    (dashed,) = of(ax, "fewer")
    np.testing.assert_array_equal(np.isfinite(dashed.get_ydata()), [*[False] * 4, *[True] * 5])
    assert ax.texts[0].get_text().splitlines()[1] == f"{words}, dashed where fewer lanes are left"


def test_a_run_that_failed_after_its_last_step_has_ended_with_the_others(tmp_path: Path) -> None:
    for name, status in (("a", "finished"), ("b", "failed")):
        (tmp_path / name).mkdir()
        write(tmp_path / name, [metrics(step, ({}, {"x": 1.0})) for step in range(3)])
        (tmp_path / name / "run.json").write_text(json.dumps({"status": status}))
    ax = jaxlog.read_runs(tmp_path).plot("x")
    assert legend(ax) == ["a", "b"]
    assert ax.texts[0].get_text() == "one lane each"


def test_a_lane_that_is_dead_only_at_its_first_step(tmp_path: Path) -> None:
    nan = float("nan")
    values = ((nan, 1.0), (2.0, 4.0))
    events = [metrics(step, *(({}, {"x": x}) for x in row)) for step, row in enumerate(values)]
    ax = jaxlog.read_run(write(tmp_path, events)).plot("x")
    (line,), (dashed,) = lines(ax), of(ax, "fewer")
    np.testing.assert_array_equal(line.get_ydata(), [nan, 3.0])
    np.testing.assert_array_equal(dashed.get_ydata(), [1.0, 3.0])


def test_a_group_that_was_never_alive_is_in_the_legend(tmp_path: Path) -> None:
    lanes = [({"rate": rate}, {"x": x}) for rate, x in ((0.1, 1.0), (0.2, float("nan")))]
    ax = jaxlog.read_run(write(tmp_path, [metrics(step, *lanes) for step in (0, 1)])).plot("x")
    words = legend(ax)
    assert words == ["rate 0.1", "rate 0.2 (0 of 1 alive)"]
    assert ax.texts[0].get_text() == "one lane each\n1 of 2 lanes have diverged"


def test_lanes_that_log_in_turn_have_not_ended(tmp_path: Path) -> None:
    events = [
        MetricsEvent("batch", step, None, 1.5, (Lane(step % 2, {}, {"x": 1.0}),), {})
        for step in range(9)
    ]
    assert not of(jaxlog.read_run(write(tmp_path, events)).plot("x"), "fewer")


def test_for_minima_and_maxima_the_line_is_the_extreme(tmp_path: Path) -> None:
    values = [{"episode_count": 1, "r_min": x, "r_max": x, "r_mean": x} for x in (1.0, 2.0, 6.0)]
    run = jaxlog.read_run(write(tmp_path, [metrics(s, *(({}, v) for v in values)) for s in (0, 1)]))
    for name, y, words in (
        ("r_min", 1.0, "minimum over lanes, 3 lanes"),
        ("r_max", 6.0, "maximum over lanes, 3 lanes"),
        ("r_mean", 3.0, "mean ± std, 3 lanes"),
    ):
        ax = run.plot(name)
        assert lines(ax)[0].get_ydata().tolist() == [y, y]
        assert bool(bands(ax)) is (name == "r_mean")
        assert ax.texts[0].get_text() == words
    ax = run.plot("r_max", spread="range")
    assert ax.texts[0].get_text() == "maximum over lanes, minimum and maximum, 3 lanes"


def test_one_step_and_a_live_run_without_values(tmp_path: Path) -> None:
    run = jaxlog.read_run(
        write(tmp_path, [metrics(7, ({}, {"x": 1.0, "y": None}), ({}, {"x": 2}))])
    )
    assert lines(run.plot("x"))[0].get_marker() == "o"
    with pytest.raises(LookupError, match=r"'y': has no finite value to plot"):
        run.plot("y")


def test_dollars_in_names_are_not_mathematics(tmp_path: Path) -> None:
    lanes = [({"a$b$": text}, {"x$_$": 1.0}) for text in ("$\\frac{", "größer <b>")]
    ax = jaxlog.read_run(write(tmp_path, [metrics(0, *lanes)])).plot("x$_$")
    figure = ax.get_figure(root=True)
    assert figure is not None
    figure.savefig(tmp_path / "plot.svg")
    assert ax.get_title(loc="left") == r"x\$_\$"


@pytest.mark.parametrize("name", ["episode", "name", "lanes", "over_lanes", "lane_position"])
def test_a_metric_may_be_named_like_a_column_of_another_file(tmp_path: Path, name: str) -> None:
    run = jaxlog.read_run(write(tmp_path, [metrics(step, ({}, {name: 2.0})) for step in range(3)]))
    column = next(column for column in run.metrics.columns if column.endswith(name))
    (line,) = lines(run.plot(column))
    assert line.get_ydata().tolist() == [2.0] * 3


def test_the_legend_has_names_that_begin_with_an_underscore(tmp_path: Path) -> None:
    for name in ("_old", "new"):
        (tmp_path / name).mkdir()
        write(tmp_path / name, [metrics(step, ({}, {"loss": 1.0})) for step in range(3)])
    ax = jaxlog.read_runs(tmp_path).plot("loss")
    assert [text.strip() for text in legend(ax)] == ["_old", "new"]


def test_a_legend_of_many_groups_names_some(tmp_path: Path) -> None:
    lanes = [({"rate": i / 7}, {"x": float(i)}) for i in range(200)]
    ax = jaxlog.read_run(write(tmp_path, [metrics(0, *lanes), metrics(1, *lanes)])).plot("x")
    words = legend(ax)
    assert (words[0], words[-2]) == ("rate 0", "rate 28.4286")
    assert words[-1] == "and 185 in between"
    assert (
        len(
            {
                line.get_color() if isinstance(line.get_color(), str) else tuple(line.get_color())
                for line in lines(ax)
            }
        )
        == 200
    )


@pytest.mark.parametrize(
    ("names", "options", "text"),
    [
        (
            "los",
            {},
            "got 'los', which the call 'batch' did not log, expected one of .* mean 'loss'",
        ),
        ("rate", {}, "which is a label, expected one of 'loss', 'twice'"),
        ("loss", {"by": "sed"}, "got 'sed' to group by, expected one of .* mean 'seed'"),
        ("loss", {"call": "eval"}, "no metrics of a call 'eval'; the calls are 'batch'"),
        ("loss", {"x": "hours"}, "x: got 'hours', expected one of 'step', 'env_step', 'time', "),
        ("loss", {"spread": "sd"}, "spread: got 'sd', expected one of 'std'"),
        ([], {}, "got no name"),
        (["loss", "twice"], {"ax": object()}, "ax: got axes and several names"),
    ],
)
def test_bad_arguments_are_errors(
    run: jaxlog.RunData, names: Any, options: dict[str, Any], text: str
) -> None:
    with pytest.raises((LookupError, ValueError), match=text):
        run.plot(names, **options)
    assert not plt.get_fignums()


def test_environment_steps_must_be_known(tmp_path: Path) -> None:
    run = jaxlog.read_run(write(tmp_path, [metrics(0, ({}, {"x": 1.0}))]))
    with pytest.raises(LookupError, match="'x': has no env_step; set env_steps_per_update"):
        run.plot("x", x="env_step")


def test_a_histogram_is_not_a_number(tmp_path: Path) -> None:
    histogram = jaxlog.sinks.Histogram((0.0, 1.0), (3,), 0, 0)
    run = jaxlog.read_run(write(tmp_path, [metrics(0, ({}, {"h": histogram, "x": 1.0}))]))
    with pytest.raises(TypeError, match="got 'h', which is a histogram, expected one of 'x'"):
        run.plot("h")
