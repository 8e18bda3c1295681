"""A table to watch, by category, and a progress bar; plain lines where there is no terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from jaxlog.events import Histogram, MetricsEvent, RunInfo
from jaxlog.names import CATEGORIES
from jaxlog.sinks.sink import Sink, SinkSettings

if TYPE_CHECKING:
    from rich.progress import Progress
    from rich.table import Table


BESIDE = ("std", "min", "max")
"""The statistics that have a column of their own, beside the value."""
WIDE = 70
"""The columns a terminal needs to show more than a value for each metric."""


class ConsoleSettings(SinkSettings, frozen=True):
    """Shows the last values in the terminal, and how far the run is."""

    kind: Literal["console"] = "console"
    refresh_per_second: float = Field(
        4.0, gt=0, le=60, description="How often the table is drawn anew."
    )


class ConsoleSink(Sink):
    """Shows the last values of every call site.

    Values are those of all lanes: `mean ± standard deviation` over lanes where there are several,
    the smallest of the minima and the largest of the maxima.
    """

    Settings = ConsoleSettings

    def __init__(self, settings: Any) -> None:
        super().__init__(settings)
        self._first: MetricsEvent | None = None
        self._last: dict[str, MetricsEvent] = {}

    def open(self, run: RunInfo) -> None:  # noqa: D102  as Sink says
        # Imported here: `import jaxlog` must not cost what a run without a console does not use.
        from rich.console import Console, Group
        from rich.live import Live

        self._run = run
        self._console = Console()
        self._live = None
        unicode = self._console.encoding.lower().startswith("utf")
        if self._console.is_terminal and not self._console.is_dumb_terminal and unicode:
            self._progress, self._task = _progress(run.total_steps)
            self._live = Live(
                get_renderable=lambda: Group(*self._tables(), self._progress),
                console=self._console,
                refresh_per_second=self.settings.refresh_per_second,
            )
            self._live.start()

    def write_metrics(self, event: MetricsEvent) -> None:  # noqa: D102
        self._last[event.name] = event
        if self._live is None:
            encoding = self._console.encoding
            line = self._line(event).encode(encoding, "replace").decode(encoding)
            self._console.print(line, soft_wrap=True, highlight=False, markup=False)
        else:
            self._first = self._first or event
            done = max(event.step for event in self._last.values()) + 1
            self._progress.update(
                self._task,
                completed=done,
                description="training",
                speed=_speed(self._first, event),
            )

    def close(self) -> None:  # noqa: D102
        if self._live is not None:
            self._progress.stop_task(self._task)
            self._live.stop()

    def _line(self, event: MetricsEvent) -> str:
        total = "" if self._run.total_steps is None else f"/{self._run.total_steps}"
        shown = [
            f"{key} {_over_lanes(values, event.keys[key].statistic)}"
            for key, values in _values(event).items()
            if event.keys[key].statistic in ("", "mean", "rate")
        ]
        return f"{event.name} · update {event.step + 1}{total}  {'  '.join(shown)}"

    def _tables(self) -> list[Table]:
        # A copy: the sink's thread adds to it while Rich's draws.
        wide = self._console.width >= WIDE
        return [_table(event, wide=wide) for event in list(self._last.values())]


def _progress(total_steps: int | None) -> tuple[Progress, Any]:
    from rich import progress

    bar = progress.Progress(
        progress.TextColumn("{task.description}"),
        progress.BarColumn(bar_width=None),
        progress.MofNCompleteColumn(),
        progress.TimeElapsedColumn(),
        progress.TextColumn("left"),
        progress.TimeRemainingColumn(),
        progress.TextColumn("{task.fields[speed]}"),
        expand=True,
    )
    return bar, bar.add_task("compiling…", total=total_steps, speed="")


def _speed(first: MetricsEvent, last: MetricsEvent) -> str:
    """Updates a second, by when they arrived: they are written many at a time."""
    seconds, updates = last.timestamp - first.timestamp, last.step - first.step
    return f"{updates / seconds:.4g} updates/s" if seconds > 0 and updates > 0 else ""


def _table(event: MetricsEvent, *, wide: bool) -> Table:
    from rich.table import Table
    from rich.text import Text  # shown as it is: a metric's name is no markup

    lanes = len(event.lanes)
    title = f"{event.name} · update {event.step + 1}"
    if event.env_step is not None:
        title += f" · {event.env_step:,} environment steps"
    if lanes > 1:
        title += f" · mean ± std over {lanes} lanes"
    told = {key.statistic for key in event.keys.values()}
    columns = [statistic for statistic in BESIDE if statistic in told and wide]
    table = Table(title=title, title_justify="left", expand=True)
    table.add_column("metric", no_wrap=True, overflow="ellipsis", ratio=1)
    for column in ("value", *columns):
        table.add_column(column, justify="right", no_wrap=True)

    values = _values(event)
    for category in CATEGORIES:
        rows: dict[str, dict[str, str]] = {}
        for key, info in event.keys.items():
            if info.category == category and key in values:
                beside = info.statistic in BESIDE
                row = rows.setdefault(info.stem if beside or info.statistic == "mean" else key, {})
                row[info.statistic if beside else "value"] = _over_lanes(
                    values[key], info.statistic
                )
        if rows:
            table.add_row(f"[bold cyan]{category}[/]")
        for name, row in rows.items():
            table.add_row(
                Text(f"  {name}"), *(row.get(column, "") for column in ("value", *columns))
            )
    return table


def _values(event: MetricsEvent) -> Mapping[str, list[float]]:
    """The values of the lanes that have one, by key."""
    values = {
        key: [
            float(value)
            for lane in event.lanes
            if (value := lane.metrics.get(key)) is not None and not isinstance(value, Histogram)
        ]
        for key in event.keys
    }
    return {key: found for key, found in values.items() if found}


def _over_lanes(values: list[float], statistic: str) -> str:
    """One value for all lanes."""
    if statistic in ("min", "max"):
        return f"{(min if statistic == 'min' else max)(values):.4g}"
    mean = sum(values) / len(values)
    same = len(values) == 1 or min(values) == max(values)
    if same or statistic not in ("", "mean", "rate"):
        return f"{mean:.4g}"
    spread = sum((value - mean) ** 2 for value in values) / len(values)
    return f"{mean:.4g} ± {spread**0.5:.2g}"
