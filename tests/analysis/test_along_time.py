"""Curves over time, over tasks, and histograms over steps."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.dates import num2date

import jaxlog

KNOWN = json.loads(Path(__file__).with_name("rliable.json").read_text())
DAY = 86_400.0


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    plt.close("all")


def middle(ax: Axes) -> np.ndarray:
    """The points of the lines, one after the other: x and y."""
    lines = [line.get_xydata() for line in ax.get_lines() if line.get_gid() == "middle"]
    return np.concatenate([np.asarray(line, np.float64) for line in lines])


@pytest.fixture
def timed(tmp_path: Path) -> Path:
    """Two runs whose lines are 100 s apart; the second began 50 s later, and was resumed."""
    for name, began in (("a", 1_000_000.0), ("b", 1_000_050.0)):
        logger = jaxlog.Logger({"sinks": [{"kind": "jsonl"}], "what_ran": []})
        with logger.open(tmp_path / name, config={"name": name}) as run:
            for step in range(4):
                run.log({"loss": float(step + (10 if name == "b" else 0))}, step=step)
        file = tmp_path / name / "eval_metrics.jsonl"
        lines = file.read_text().splitlines()
        for step, line in enumerate(lines):
            lines[step] = re.sub(r"\d+\.\d+", str(began + 100.0 * step), line, count=1)
        file.write_text("\n".join(lines) + "\n")
        facts = json.loads((tmp_path / name / "run.json").read_text())
        facts |= {"opened": began - 20.0}
        (tmp_path / name / "run.json").write_text(json.dumps(facts))
    return tmp_path


def test_one_run_over_time_and_over_the_time_since_its_start(timed: Path) -> None:
    run = jaxlog.read_run(timed / "a")
    ax = run.plot("loss", x="time")
    found = middle(ax)
    np.testing.assert_allclose(found[:, 0] * DAY, 1_000_000.0 + 100.0 * np.arange(4), atol=1e-3)
    assert found[:, 1].tolist() == [0.0, 1.0, 2.0, 3.0]
    assert ax.get_xlabel() == "time (UTC, 1970-01-12)"
    ax.figure.canvas.draw()
    shown = [text.get_text() for text in ax.get_xticklabels() if text.get_text()]
    ticks = [f"{num2date(place):%H:%M:%S}" for place in ax.get_xticks()]
    assert set(shown) <= set(ticks)
    ax = run.plot("loss", x="relative")
    np.testing.assert_allclose(middle(ax)[:, 0], (20.0 + 100.0 * np.arange(4)) / 60.0)
    assert ax.get_xlabel() == "time since the start (min)"
    ax = run.plot("loss", x="relative", rename={"time since the start": "wall-clock time"})
    assert ax.get_xlabel() == "wall-clock time (min)"


def test_lanes_of_several_runs_are_combined_at_the_same_times(timed: Path) -> None:
    runs = jaxlog.read_runs(timed)
    ax = runs.plot("loss", by=(), x="time", spread=None)
    found = middle(ax)
    seconds = found[:, 0] * DAY - 1_000_000.0
    for second, value in zip(seconds.tolist(), found[:, 1].tolist(), strict=True):
        alive = [
            offset + min(int((second - began) // 100), 3)
            for began, offset in ((0, 0), (50, 10))
            if began <= second
        ]
        assert value == np.mean(alive[: 2 if second <= 302 else 1]) or second > 300
    assert "at each point, a lane counts with its last value before it" in captions(ax)
    # By run, nothing has to be combined, and each has its own line.
    found = middle(runs.plot("loss", by="run", x="relative", spread=None))
    assert found[:, 0].min() == pytest.approx(20.0 / 60, abs=0.1)


def captions(ax: Axes) -> str:
    texts = [text.get_text() for text in ax.texts] + [ax.get_title(loc="left")]
    return " ".join(" ".join(texts).split())


def test_values_that_are_not_finite_are_counted_once(timed: Path) -> None:
    file = timed / "a" / "eval_metrics.jsonl"
    lines = file.read_text().splitlines()
    odd = json.loads(lines[1])
    odd |= {"metrics": {"loss": None}, "nonfinite": {"loss": "nan"}}
    lines[1] = json.dumps(odd, separators=(",", ":"))
    file.write_text("\n".join(lines) + "\n")
    assert np.isnan(jaxlog.read_run(timed / "a").metrics["loss"][1])
    ax = jaxlog.read_runs(timed).plot("loss", by=(), x="time", width=5.5)
    assert "1 value not finite" in captions(ax)


@pytest.fixture(scope="module")
def curves(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The curves of rliable.json as runs: one for each group and task, a lane for each seed."""
    path = tmp_path_factory.mktemp("curves")
    for group, scores in KNOWN["curves"].items():
        for task in range(len(scores[0])):
            settings = {"sinks": [{"kind": "jsonl"}], "env_steps_per_update": 100, "what_ran": []}
            lanes = [{"seed": seed} for seed in range(len(scores))]
            config = {"group": group, "task": f"task {task}"}
            logger = jaxlog.Logger(settings)
            with logger.open(path / f"{group}-{task}", config=config, lanes=lanes) as run:
                for frame in range(len(scores[0][task])):
                    values = [2.0 * own[task][frame] + task for own in scores]
                    run.log({"return": values}, step=frame)
    return path


def test_sample_efficiency_curves_are_those_of_rliable(curves: Path) -> None:
    bounds = {f"task {task}": (float(task), task + 2.0) for task in range(5)}
    ax = jaxlog.read_runs(curves).plot(
        "return", by="group", x="env_step", spread="ci", task="task", normalize=bounds
    )
    lines = [line for line in ax.get_lines() if line.get_gid() == "middle"]
    bands = list(ax.collections)
    assert [line.get_label() for line in lines] == ["group first", "group second"]
    for line, band, name in zip(lines, bands, ("first", "second"), strict=True):
        values, lower, upper = map(np.array, KNOWN["numbers"]["efficiency"][name])
        x, y = np.asarray(line.get_xydata(), np.float64).T
        assert x.tolist() == [100.0, 200.0, 300.0, 400.0, 500.0, 600.0]
        np.testing.assert_allclose(y, values, rtol=1e-9)
        corners = np.asarray(band.get_paths()[0].vertices)
        ends = [corners[corners[:, 0] == at, 1] for at in x]
        # BCa in place of percentiles: near the same ends, by a sixth of the width at most.
        width = (upper - lower).max()
        np.testing.assert_allclose([end.min() for end in ends], lower, atol=width / 6)
        np.testing.assert_allclose([end.max() for end in ends], upper, atol=width / 6)
    said = captions(ax)
    assert "interquartile mean, 95 % interval, 40 lanes each, normalized values, over 5" in said
    assert "at each point" not in said


def test_the_interval_over_tasks_draws_lanes_within_each_task(curves: Path) -> None:
    runs = jaxlog.read_runs(curves)

    def width(**options: Any) -> float:
        ax = runs.plot("return", by="group", x="env_step", spread="ci", **options)
        corners = np.asarray(ax.collections[0].get_paths()[0].vertices)
        last = corners[corners[:, 0] == 600.0, 1]
        return float(last.max() - last.min())

    # The tasks differ far more than the seeds: drawn across tasks, the interval is wide.
    assert width(task="task") < 0.5 * width()


def test_tasks_that_were_logged_at_other_steps_are_brought_together(tmp_path: Path) -> None:
    for task, every, updates in (("short", 100, 11), ("long", 250, 9)):
        settings = {"sinks": [{"kind": "jsonl"}], "env_steps_per_update": every, "what_ran": []}
        logger = jaxlog.Logger(settings)
        with logger.open(tmp_path / task, config={"task": task}) as run:
            for step in range(updates):
                run.log({"return": float((step + 1) * every)}, step=step)
    ax = jaxlog.read_runs(tmp_path).plot("return", by=(), x="env_step", task="task", spread=None)
    x, y = middle(ax).T
    expected = [np.mean([at // 100 * 100, at // 250 * 250]) for at in x]
    np.testing.assert_allclose(y, expected)
    assert 250 <= x.min() < 300
    assert 1090 < x.max() <= 1110  # the short one ends at 1100
    assert "over 2 tasks, where all of them have values, at each point, a lane" in captions(ax)


def test_bounds_that_are_missing_or_equal_are_errors(curves: Path) -> None:
    runs = jaxlog.read_runs(curves)
    with pytest.raises(LookupError, match="normalize: got no bounds for the task 'task 1'"):
        runs.plot("return", by="group", task="task", normalize={"task 0": (0.0, 1.0)})
    with pytest.raises(TypeError, match="normalize: got bounds by task, expected task="):
        runs.plot("return", by="group", normalize={"task 0": (0.0, 1.0)})
    with pytest.raises(ValueError, match="normalize: got the same score for 0 and for 1"):
        runs.plot("return", by="group", normalize=(1.0, 1.0))
    with pytest.raises(LookupError, match="got 'env' to group by"):
        runs.plot("return", by="group", task="env")


@pytest.fixture(scope="module")
def histogram(tmp_path_factory: pytest.TempPathFactory) -> jaxlog.RunData:
    """A run with a histogram of three values at each of ten steps, of which one is outside."""
    path = tmp_path_factory.mktemp("histogram") / "run"
    settings = {"histograms": {"lengths": [0.0, 1.0, 3.0]}, "log_frequency": 1}
    logger = jaxlog.Logger(settings | {"sinks": [{"kind": "jsonl"}]})
    with logger.open(path):
        for step in range(10):
            values = jnp.array([0.5, 2.0, 4.0 if step == 9 else 2.5])
            jaxlog.batch_step(logger, step, {"lengths": values}, where=jnp.ones(3, bool))
    return jaxlog.read_run(path)


@pytest.mark.parametrize("name", ["lengths", "lengths_histogram"])
def test_a_histogram_over_steps_shows_densities(histogram: jaxlog.RunData, name: str) -> None:
    ax = histogram.plot_histogram(name)
    [mesh] = ax.collections
    found = np.asarray(mesh.get_array(), np.float64)
    assert found.shape == (2, 10)
    np.testing.assert_allclose(found[:, 0], [1 / 3 / 1.0, 2 / 3 / 2.0])
    np.testing.assert_allclose(found[:, 9], [1 / 3 / 1.0, 1 / 3 / 2.0])
    corners: Any = mesh.get_coordinates()  # type: ignore[attr-defined]
    assert corners[0, :, 0].tolist() == [step - 0.5 for step in range(11)]
    assert corners[:, 0, 1].tolist() == [0.0, 1.0, 3.0]
    assert "3.33% of the values are outside of the bins" in captions(ax)


def test_a_histogram_that_is_not_there_is_an_error(histogram: jaxlog.RunData) -> None:
    with pytest.raises(LookupError, match="batch other_histogram: is a histogram that none"):
        histogram.plot_histogram("other")
    with pytest.raises(LookupError, match="'eval'"):
        histogram.plot_histogram("lengths", call="eval")


@pytest.mark.parametrize("width", [3.25, 5.5])
def test_a_histogram_fits_a_column(histogram: jaxlog.RunData, width: float, tmp_path: Path) -> None:
    files = [tmp_path / f"{number}.svg" for number in range(2)]
    _, ax = [histogram.plot_histogram("lengths", width=width, save=file) for file in files]
    assert files[0].read_bytes() == files[1].read_bytes()
    figure: Any = ax.get_figure()
    assert figure.get_figwidth() == width
    check_nothing_overlaps(figure)


@pytest.mark.parametrize("width", [3.25, 5.5])
@pytest.mark.parametrize("by", ["group", ["group", "task"]], ids=str)
def test_a_comparison_fits_a_column(curves: Path, width: float, by: Any, tmp_path: Path) -> None:
    long = {"first": "the first of the algorithms with a long name", "return": "episode return"}
    found = jaxlog.compare(curves, "return", by=by)
    files = [tmp_path / f"{number}.pdf" for number in range(2)]
    _, ax = [found.plot(width=width, rename=long, save=file) for file in files]
    assert files[0].read_bytes() == files[1].read_bytes()
    figure: Any = ax.get_figure()
    assert figure.get_figwidth() == width
    check_nothing_overlaps(figure)
    assert ax.get_window_extent().width > 0.4 * figure.bbox.width
    labels = [" ".join(text.get_text().split()) for text in ax.get_yticklabels()]
    assert labels[0].startswith("the first of the algorithms with a long name")
    assert ax.get_xlabel() == "episode return"
    boxes = [text.get_window_extent() for text in ax.get_yticklabels()]
    assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))


def check_nothing_overlaps(figure: Any) -> None:
    """The plots with their labels, and the text above them, are apart and inside the figure."""
    figure.canvas.draw()
    found = [ax.get_tightbbox() for ax in figure.axes]
    found += [] if figure._suptitle is None else [figure._suptitle.get_window_extent()]
    for one, other in combinations(found, 2):
        assert not one.overlaps(other)
    for box in found:
        assert box.x0 >= -1
        assert box.y0 >= -1
        assert box.x1 <= figure.bbox.x1 + 1
        assert box.y1 <= figure.bbox.y1 + 1


def test_a_width_and_axes_are_an_error(curves: Path, histogram: jaxlog.RunData) -> None:
    _, ax = plt.subplots()
    with pytest.raises(ValueError, match="width: got a width and ax, expected only one of them"):
        jaxlog.compare(curves, "return", by="group").plot(ax=ax, width=3.25)
    with pytest.raises(ValueError, match="width: got a width and ax, expected only one of them"):
        histogram.plot_histogram("lengths", ax=ax, width=3.25)


@pytest.mark.parametrize("width", [3.25, 5.5])
@pytest.mark.parametrize("x", ["time", "relative"])
def test_times_fit_a_column(timed: Path, width: float, x: Any) -> None:
    ax = jaxlog.read_runs(timed).plot("loss", by="run", x=x, width=width)
    figure: Any = ax.get_figure()
    figure.canvas.draw()
    texts = [text for text in ax.get_xticklabels() if text.get_text()]
    boxes = [text.get_window_extent() for text in texts]
    assert len(boxes) >= 2
    boxes.append(ax.xaxis.label.get_window_extent())
    assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))
    assert not ax.xaxis.get_offset_text().get_text()
