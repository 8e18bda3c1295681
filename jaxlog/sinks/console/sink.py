"""The settings and the class of the sink `console`."""

from __future__ import annotations

import contextlib
import sys
import time
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, ValidationInfo, field_validator

from jaxlog._format.events import (
    EpisodeEvent,
    EvaluationEvent,
    MetricsEvent,
    RunInfo,
    StepEvent,
    TaskEvent,
)
from jaxlog._say import log as _log
from jaxlog.sinks.console.lines import WIDTH, metrics_line, summary_line
from jaxlog.sinks.sink import Sink, SinkSettings

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from jaxlog.sinks.console.notebook_screen import Marimo
    from jaxlog.sinks.console.run_display import RunDisplay
    from jaxlog.sinks.console.screen import Display


class ConsoleSettings(SinkSettings, frozen=True):
    """Shows the last values and the progress of the run in the terminal or the notebook."""

    kind: Literal["console"] = "console"
    refresh_per_second: float = Field(
        default=4.0, gt=0, le=60, description="How often per second the table is drawn."
    )
    live: bool | None = Field(
        default=None,
        validate_default=True,
        description="Show a live table in a terminal or a notebook; false prints a line for each "
        "log, as a pipe or a file always does. By default true, but false in CI (the environment "
        "variable CI).",
    )

    @field_validator("live", mode="after")
    @classmethod
    def _not_in_ci(cls, live: bool | None, info: ValidationInfo) -> bool | None:
        in_ci = isinstance(info.context, dict) and info.context.get("ci", False)
        return False if live is None and in_ci else live


class ConsoleSink(Sink):
    """Shows the last values of every call, their changes, and the progress of the run.

    Values are combined over lanes: `mean ± standard deviation` if there are several lanes, the
    smallest of the minima and the largest of the maxima.
    """

    Settings = ConsoleSettings
    _marimo: Marimo | None = None

    def check(self, run: RunInfo) -> None:  # noqa: ARG002, D102  as Sink says
        if self.settings.live is not False and "marimo" in sys.modules:
            from jaxlog.sinks.console.notebook_screen import Marimo

            self._marimo = Marimo.of_cell()

    def open(self, run: RunInfo) -> None:  # noqa: D102
        # Imported here, so that `import jaxlog` does not import Rich for runs without a console.
        import rich

        self._run = run
        self._console = rich.get_console()
        self._run_display: RunDisplay | None = None
        self._display: Display | None = None
        self._unread = False  # True when the reader of a pipe is gone
        if self.settings.live is not False:
            self._show()

    def write_metrics(self, event: MetricsEvent) -> None:  # noqa: D102
        if self._run_display is not None:
            self._run_display.add(event)
        else:
            own = event.total_updates
            total = self._run.total_updates if own is None else own
            self._print(metrics_line(event, total, self._width))

    def write_episode(self, event: EpisodeEvent) -> None:  # noqa: D102
        if self._run_display is not None:
            self._run_display.add(event)
        elif not event.sampled:
            self._print(summary_line(event, self._width))

    def write_task(self, event: TaskEvent) -> None:  # noqa: D102
        if self._run_display is not None:
            self._run_display.add(event)

    def write_step(self, event: StepEvent) -> None:  # noqa: D102
        if self._run_display is not None:
            self._run_display.add(event)

    def write_evaluation(self, event: EvaluationEvent) -> None:  # noqa: D102
        if self._run_display is not None:
            self._run_display.add(event)
        else:
            self._print(summary_line(event, self._width))

    def flush(self) -> None:  # noqa: D102
        if self._run_display is None and not self._unread:
            try:
                self._console.file.flush()
            except BrokenPipeError:
                self._nobody_reads()

    def close(self) -> None:  # noqa: D102
        if self._display is not None:
            self._display.end()
        self.flush()

    def _show(self) -> None:
        """Starts the live table if the output can show one."""
        from jaxlog.sinks.console.notebook_screen import Notebook
        from jaxlog.sinks.console.run_display import RunDisplay
        from jaxlog.sinks.console.screen import Display
        from jaxlog.sinks.console.terminal_screen import Terminal

        screen = self._marimo
        if screen is not None:
            pass
        elif self._console.is_jupyter:
            screen = Notebook()
        elif _can_draw(self._console):
            screen = Terminal.of(self._console)
        if screen is None:
            return
        self._run_display = RunDisplay(self._run, time.time())
        self._display = Display(screen, self._draw, self.settings.refresh_per_second)

    def _draw(self, width: int, height: int | None, last: bool) -> RenderableType:
        assert self._run_display is not None
        return self._run_display.draw(width, height, time.time(), ended=last)

    @property
    def _width(self) -> int:
        """The width of plain lines."""
        return self._console.width if _is_terminal(self._console) else WIDTH

    def _print(self, line: str) -> None:
        if self._unread:
            return
        file = self._console.file
        encoding = getattr(file, "encoding", None) or "utf-8"
        try:
            print(line.encode(encoding, "replace").decode(encoding), file=file)
        except BrokenPipeError:
            self._nobody_reads()

    def _nobody_reads(self) -> None:
        """Stops printing after the reader of a pipe has ended, as in `| head`."""
        # Rich redirects the buffered output to nowhere; otherwise Python fails with it at its exit.
        with contextlib.suppress(SystemExit, OSError, ValueError):
            self._console.on_broken_pipe()
        self._unread = True
        _log.warning("jaxlog: the sink console stops printing, because standard output was closed")


def _can_draw(console: Console) -> bool:
    """True for a terminal. With FORCE_COLOR, Rich alone would say so for any file."""
    able = console.is_interactive and not console.legacy_windows and _is_terminal(console)
    return able and console.encoding.startswith("utf")


def _is_terminal(console: Console) -> bool:
    file: Any = console.file
    return bool(getattr(file, "isatty", bool)())
