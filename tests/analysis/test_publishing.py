"""Figures for papers: nothing overlaps in a column, and equal figures are equal files."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.axes import Axes

import jaxlog

NAMES = {"sac": "SAC", "ppo": "PPO", "loss": "the loss", "update": "updates"}
LANES = [{"seed": i} for i in range(3)]
VALUES = np.random.default_rng(0).normal(size=(2, 3, 40))


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> jaxlog.RunsData:
    """Two algorithms on one task, three seeds each; one seed diverges."""
    path = tmp_path_factory.mktemp("runs")
    for number, name in enumerate(("ppo", "sac")):
        logger = jaxlog.Logger({"sinks": [{"kind": "jsonl"}]})
        config = {"algorithm": name, "env": "maze"}
        with logger.open(path / name, config=config, lanes=[{"seed": i} for i in range(3)]) as run:
            for step in range(40):
                values = VALUES[number, :, step].tolist()
                values[2] = float("nan") if name == "sac" and step > 20 else values[2]
                run.log({"loss": values, "entropy": values}, step=step)
    return jaxlog.read_runs(path)


@pytest.fixture(scope="module")
def tasks(tmp_path_factory: pytest.TempPathFactory) -> jaxlog.RunsData:
    """Two algorithms on `maze`, of which `sac` has also learned `cliff`, where one seed died."""
    path = tmp_path_factory.mktemp("tasks")
    for number, (name, env) in enumerate((("ppo", "maze"), ("sac", "maze"), ("sac", "cliff"))):
        logger = jaxlog.Logger({"sinks": [{"kind": "jsonl"}]})
        config = {"algorithm": name, "env": env}
        with logger.open(path / f"{name}-{env}", config=config, lanes=LANES) as run:
            for step in range(9):
                values = [10.0 * number + seed + step for seed in range(3)]
                values[2] = float("nan") if env == "cliff" and step > 4 else values[2]
                run.log({"loss": values}, step=step)
    return jaxlog.read_runs(path)


def boxes(axes: Sequence[Axes]) -> list[Any]:
    """The places of the plots with their labels, and of the legend, in pixels."""
    figure: Any = axes[0].get_figure(root=True)
    figure.canvas.draw()
    found = [ax.get_tightbbox() for ax in axes]
    found += [legend.get_window_extent() for legend in figure.legends]
    found += [] if figure._suptitle is None else [figure._suptitle.get_window_extent()]
    return found


@pytest.mark.parametrize("width", [3.25, 5.5])
@pytest.mark.parametrize("metrics", ["loss", ["loss", "entropy"]], ids=str)
@pytest.mark.parametrize("by", ["algorithm", ["algorithm", "seed"]], ids=str)
def test_nothing_overlaps(runs: jaxlog.RunsData, width: float, metrics: Any, by: Any) -> None:
    drawn = runs.plot(metrics, by=by, width=width)
    axes = [drawn] if isinstance(drawn, Axes) else drawn
    figure: Any = axes[0].get_figure(root=True)
    assert figure.get_figwidth() == width
    found = boxes(axes)
    assert len(found) >= 2  # with a legend
    for one, other in combinations(found, 2):
        assert not one.overlaps(other)
    for box in found:
        assert box.x0 >= -1
        assert box.y0 >= -1
        assert box.x1 <= figure.bbox.x1 + 1
        assert box.y1 <= figure.bbox.y1 + 1
    for ax in axes:
        assert ax.get_window_extent().height > 0.4 * ax.get_window_extent().width


def test_a_plot_for_each_task(tasks: jaxlog.RunsData) -> None:
    cliff, maze = tasks.plot("loss", by="algorithm", panels="env", width=5.5)
    assert [ax.get_title(loc="left") for ax in (cliff, maze)] == ["env cliff", "env maze"]
    assert [cliff.get_ylabel(), maze.get_ylabel()] == ["loss", ""]
    lines = {
        ax: {line.get_label(): line for line in ax.lines if line.get_gid() == "middle"}
        for ax in (cliff, maze)
    }
    assert list(lines[cliff]) == ["algorithm sac"]
    assert list(lines[maze]) == ["algorithm ppo", "algorithm sac"]
    # The mean of three seeds; in the other plot, of those that are left where one has died.
    assert list(np.asarray(lines[maze]["algorithm ppo"].get_ydata())) == [
        1.0 + step for step in range(9)
    ]
    assert list(np.asarray(lines[maze]["algorithm sac"].get_ydata())) == [
        11.0 + step for step in range(9)
    ]
    (dashed,) = [line for line in cliff.lines if line.get_gid() == "fewer"]
    assert list(np.asarray(dashed.get_ydata())[5:]) == [20.5 + step for step in range(5, 9)]
    both = lines[cliff]["algorithm sac"].get_color(), lines[maze]["algorithm sac"].get_color()
    assert both[0] == both[1] != lines[maze]["algorithm ppo"].get_color()
    figure: Any = cliff.get_figure(root=True)
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.texts] == ["algorithm ppo", "algorithm sac"]
    assert "1 of 9 lanes have diverged" in figure._suptitle.get_text()
    for one, other in combinations(boxes([cliff, maze]), 2):
        assert not one.overlaps(other)


def test_plots_of_tasks_are_renamed_and_ordered(tasks: jaxlog.RunsData) -> None:
    names = {"maze": "The maze", "sac": "SAC", "ppo": "PPO", "loss": "the loss"}
    axes = tasks.plot("loss", by="algorithm", panels="env", rename=names)
    assert [ax.get_title(loc="left") for ax in axes] == ["The maze", "env cliff"]
    assert axes[0].get_ylabel() == "the loss"
    figure: Any = axes[0].get_figure(root=True)
    assert [text.get_text() for text in figure.legends[0].texts] == ["SAC", "PPO"]


def test_names_rename_and_order(runs: jaxlog.RunsData) -> None:
    ax = runs.plot("loss", by=["env", "algorithm"], width=3.25, rename=NAMES)
    figure: Any = ax.get_figure()
    [legend] = figure.legends
    words = [text.get_text() for text in legend.get_texts()]
    assert words == ["SAC (2 of 3 alive)", "PPO"]  # the task is that of both
    assert (ax.get_ylabel(), ax.get_xlabel()) == ("the loss", "updates")
    assert "1 of 6 lanes have diverged" in ax.get_title(loc="left").replace("\n", " ")
    assert "19 values not finite" in ax.get_title(loc="left")
    wide = runs.plot("loss", by=["env", "algorithm"], rename={"sac": "SAC"})
    assert wide.get_title(loc="left") == "loss"
    own = wide.get_legend()
    assert own is not None
    assert [t.get_text() for t in own.get_texts()] == ["SAC (2 of 3 alive)", "algorithm ppo"]


def test_a_smoothed_line_is_the_mean_of_windows_of_each_lane(runs: jaxlog.RunsData) -> None:
    ax = runs["sac"].plot("loss", by="seed", smooth=5, spread=None)
    for lane in (0, 2):
        values = VALUES[1, lane][: 40 if lane == 0 else 21]
        expected = [values[max(0, i - 2) : i + 3].mean() for i in range(len(values))]
        [line] = [one for one in ax.lines if str(one.get_label()).startswith(f"seed {lane}")]
        y = np.asarray(line.get_ydata(), float)
        dashed = [one for one in ax.lines if one.get_gid() == "fewer"]
        assert not dashed or lane == 2
        np.testing.assert_allclose(y[np.isfinite(y)], expected[: np.isfinite(y).sum()])
    assert "means of 5 steps" in " ".join(text.get_text() for text in ax.texts)


@pytest.mark.parametrize("kind", ["svg", "pdf"])
def test_equal_figures_are_equal_files(runs: jaxlog.RunsData, tmp_path: Path, kind: str) -> None:
    for name in ("one", "two"):
        runs.plot("loss", by="algorithm", width=3.25, save=tmp_path / f"{name}.{kind}")
    one, two = ((tmp_path / f"{name}.{kind}").read_bytes() for name in ("one", "two"))
    assert one == two
    assert len(one) > 1000


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"width": 0.2}, "width: got 0.2, expected inches from 1 to 50, such as 3.25"),
        ({"smooth": 0}, "smooth: got 0, expected the number of steps of a mean, from 1"),
        ({"save": "a.docx"}, "save: got 'a.docx', expected a file that ends in .pdf, .png, .svg"),
    ],
)
def test_bad_arguments_are_errors(
    runs: jaxlog.RunsData, arguments: dict[str, Any], text: str
) -> None:
    with pytest.raises(ValueError, match="expected") as raised:
        runs.plot("loss", **arguments)
    assert str(raised.value) == text


@pytest.mark.parametrize("key", [0.25, "0.25", "rate 0.25"])
def test_a_number_is_renamed_by_itself_and_by_its_texts(key: Any, tmp_path: Path) -> None:
    logger = jaxlog.Logger({"sinks": [{"kind": "jsonl"}]})
    for rate in (0.125, 0.25):
        with logger.open(tmp_path / str(rate), config={"rate": rate}) as run:
            run.log({"loss": rate}, step=0)
            run.log({"loss": 2 * rate}, step=1)
    runs = jaxlog.read_runs(tmp_path)
    legend = runs.plot("loss", by="rate", rename={key: "ours"}).get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["ours", "rate 0.125"]
    found = jaxlog.compare(tmp_path, "loss", by="rate", resamples=50)
    rows = found.to_markdown(rename={key: "ours"}).splitlines()[2:]
    assert [row.split(" | ")[0] for row in rows] == ["| ours", "| 0.125"]
    assert found.to_markdown(rename={"loss": "error"}).startswith("| rate | error |")
    labels = found.plot(rename={key: "ours"}).get_yticklabels()
    assert [label.get_text() for label in labels] == ["ours", "rate 0.125"]
    for show in (partial(runs.plot, "loss", by="rate"), found.plot, found.to_latex):
        with pytest.warns(
            UserWarning, match=r"rename: got '0.5', which .* some of '0.125', '0.25'"
        ):
            show(rename={"0.5": "ours"})
    with warnings.catch_warnings(action="error"):  # one of the texts is enough
        runs.plot("loss", by="rate", rename={"0.5": "ours", "loss": "error"})
