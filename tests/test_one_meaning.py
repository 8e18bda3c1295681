"""One meaning for a key: whoever shows all lanes of it shows the same number.

The table has every kind of key: scalars, some of them called as a statistic is, each statistic of
a metric, counts, and a rate; over lanes of which one has diverged.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import pytest
from rich.console import Console

import jaxlog
from jaxlog._cli.main import main
from jaxlog._format.across_lanes import values_across_lanes
from jaxlog._format.columns import Columns
from jaxlog._format.events import RunInfo
from jaxlog._format.keys import STATISTICS
from jaxlog.sinks.arrangement import arranged
from jaxlog.sinks.console.run_display import RunDisplay
from jaxlog.sinks.console.values import number
from tests.report.pages import Parsed
from tests.test_windows import ORACLES

NUMBER = r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?"
LANES, STEPS = 3, 2
RETURNS = np.array([[1.0, 2.0, 4.0, 5.0], [3.0, 5.0, 7.0, 17.0], [np.nan] * 4])
"""The returns of the episodes of each lane at the last update; of the last, none is finite."""
SOLVED = np.array([[True, True, False, False], [True, True, True, True], [False] * 4])
SCALARS = {"q_max": [0.0, 10.0, 50.0], "loss_mean": [1.0, 2.0, 6.0], "lr_std": [0.5, 0.5, 0.5],
           "hits_count": [3.0, 9.0, 0.0], "x_rate": [0.25, 0.5, 1.5], "y_p95": [-1.0, 0.0, 4.0],
           "z_sum": [1e6, 2e6, 6e6], "w_min": [-5.0, 1.0, 1.0]}  # fmt: skip


def over_lanes(statistic: str) -> float:
    """A statistic of the returns over all lanes; the lane without a finite one only has a count."""
    lanes = [lane[np.isfinite(lane)] for lane in RETURNS]
    found = [ORACLES[statistic](lane) for lane in lanes if lane.size or statistic == "count"]
    return float({"min": np.min, "max": np.max}.get(statistic, np.mean)(found))


EXPECTED: Mapping[str, float] = {
    "episode_count": 4.0,
    **{f"episode_return_{name}": over_lanes(name) for name in STATISTICS},
    "episode_return_nonfinite": float(np.mean([0, 0, 4])),
    "solved_rate": float(SOLVED.mean()),
    **{key: float(np.mean(values)) for key, values in SCALARS.items()},
}
"""The numbers that each of them must show."""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """The directory of a run, and the last event that its sinks received."""
    settings = {
        "batched_logging_enabled": True,
        "log_frequency": 1,
        "sampling_enabled": False,
        "statistics": list(STATISTICS),
        "sinks": [{"kind": "jsonl"}, {"kind": "memory"}],
    }
    logger = jaxlog.Logger(settings, total_updates=STEPS)
    scalars = {key: jnp.array(values) for key, values in SCALARS.items()}

    @jax.jit
    def update(step: jax.Array) -> None:
        def lane(returns: jax.Array, solved: jax.Array, own: dict[str, jax.Array]) -> None:
            early = jnp.where(step == 0, jnp.ones(4), returns)
            metrics = {"episode_returns": early, "solved": solved, **own}
            jaxlog.batch_step(logger, step, metrics)

        jax.vmap(lane)(jnp.array(RETURNS, np.float32), jnp.array(SOLVED), scalars)

    directory = tmp_path_factory.mktemp("one") / "run"
    with logger.open(directory) as opened:
        for step in range(STEPS):
            update(jnp.int32(step))
    return directory, opened.sink("memory").metrics[-1]


def of_words(words: str) -> dict[str, float]:
    """Reads a line of the console by key; for values over lanes, the first number."""
    return {key: float(value) for key, value in re.findall(rf"(\S+) ({NUMBER})(?=\s|$)", words)}


def of_table(text: str) -> dict[str, float]:
    """Reads the console's table by key; statistics in a column of their own, too."""
    found: dict[str, float] = {}
    for row in text.splitlines():
        name, *rest = row.split()[:2] or [""]
        if rest and re.fullmatch(NUMBER, rest[0]):
            found[name] = float(rest[0])
        if name == "episode_return":
            found["episode_return_mean"] = found.pop(name)
            columns = re.findall(NUMBER, row)[-3:]
            for key, value in zip(("std", "min", "max"), columns, strict=True):
                found[f"episode_return_{key}"] = float(value)
    return found


def console(directory: Path, event: Any, capsys: Any) -> dict[str, float]:
    picture = RunDisplay(RunInfo("run", total_updates=STEPS), 0.0)
    picture.add(event)
    out = io.StringIO()
    Console(file=out, width=120).print(picture.draw(120, None, 1.0, ended=True))
    return of_table(out.getvalue())


def show(directory: Path, event: Any, capsys: Any) -> dict[str, float]:
    assert main(["show", str(directory)]) == 0
    return of_table(capsys.readouterr().out)


def tail(directory: Path, event: Any, capsys: Any) -> dict[str, float]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", "1000")  # room for all values
        assert main(["tail", str(directory), "--lines", "1"]) == 0
    return of_words(capsys.readouterr().out.split("  ", 1)[1])


def report(directory: Path, event: Any, capsys: Any) -> dict[str, float]:
    page = directory.parent / "report.html"
    assert main(["report", str(directory), "--output", str(page), "--force"]) == 0
    capsys.readouterr()
    parsed, found = Parsed(page.read_text("utf-8")), {}
    for metric in parsed.answer("metrics")["metrics"]:
        if metric["kind"] == "curve":
            (group,) = parsed.curves(metric["key"], metric["call"]).groups.values()
            found[metric["key"]] = float(group["middle"][-1])
    return found


def plot(directory: Path, event: Any, capsys: Any) -> dict[str, float]:
    read, found = jaxlog.read_run(directory), {}
    for key in EXPECTED:
        ax = read.plot(key, by=())
        ends = [
            float(np.asarray(line.get_ydata())[-1])
            for line in ax.lines
            if line.get_gid() in ("middle", "fewer")  # whole, or dashed: a lane is dead
        ]
        (found[key],) = [end for end in ends if np.isfinite(end)]
        plt.close(ax.get_figure(root=True))
    return found


def sinks(directory: Path, event: Any, capsys: Any) -> dict[str, float]:
    (_, values) = arranged(event, "aggregate")[0]
    return {key: float(values[key]) for key in EXPECTED if key in values}  # type: ignore[arg-type]


def reader(directory: Path, event: Any, capsys: Any) -> dict[str, float]:
    """The lines, read by polars, with the keys as `run.json` describes them."""
    frame = jaxlog.read_run(directory).metrics.filter(step=STEPS - 1)
    lanes = [
        jaxlog.sinks.Lane(row["lane"], {}, {k: row[k] for k in EXPECTED if row[k] is not None})
        for row in frame.iter_rows(named=True)
    ]
    found = values_across_lanes(Columns.of(lanes), event.keys)
    return {key: value.middle for key, value in found.items()}


Shown = Callable[[Path, Any, Any], dict[str, float]]


@pytest.mark.parametrize("where", [console, show, tail, report, plot, sinks, reader])
@pytest.mark.filterwarnings("ignore:.*have diverged:UserWarning")
def test_all_of_them_show_the_same_number(
    where: Shown,
    run: tuple[Path, Any],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)  # pytest-xdist tells how wide workers are
    found = where(*run, capsys)
    # A line of text has room for values, means and rates only.
    shown = (
        [key for key in EXPECTED if run[1].keys[key].statistic in ("", "mean", "rate")]
        if where is tail
        else list(EXPECTED)
    )
    assert set(shown) <= set(found)
    for key in shown:
        expected = EXPECTED[key]
        if where in (console, show, tail):  # in as many digits as there is room for
            assert found[key] == float(number(expected)), key
        else:
            assert found[key] == pytest.approx(expected, rel=1e-5), key
