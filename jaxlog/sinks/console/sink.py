"""The sink: a picture that moves where one can be shown, and a line for each log elsewhere."""

from __future__ import annotations

import contextlib
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
from jaxlog.sinks.console.lines import metrics_line, summary_line
from jaxlog.sinks.sink import Sink, SinkSettings

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from jaxlog.sinks.console.run_display import RunDisplay
    from jaxlog.sinks.console.screen import Display


class ConsoleSettings(SinkSettings, frozen=True):
    """Shows the last values in the terminal or the notebook, and how far the run is."""

    kind: Literal["console"] = "console"
    refresh_per_second: float = Field(
        default=4.0, gt=0, le=60, description="How often the table is drawn anew."
    )
    live: bool | None = Field(
        default=None,
        validate_default=True,
        description="Whether a terminal or a notebook shows a table that moves; otherwise there is "
        "a line for each log, as there always is in a pipe or a file. Where it is left out, it "
        "does, but not in CI (the environment variable CI).",
    )

    @field_validator("live", mode="after")
    @classmethod
    def _not_in_ci(cls, live: bool | None, info: ValidationInfo) -> bool | None:
        in_ci = isinstance(info.context, dict) and info.context.get("ci", False)
        return False if live is None and in_ci else live


class ConsoleSink(Sink):
    """Shows the last values of every call, how they changed, and how far the run is.

    Values are those of all lanes: `mean ± standard deviation` over lanes where there are several,
    the smallest of the minima and the largest of the maxima.
    """

    Settings = ConsoleSettings

    def open(self, run: RunInfo) -> None:  # noqa: D102  as Sink says
        # Imported here: `import jaxlog` must not cost what a run without a console does not use.
        import rich

        self._run = run
        self._console = rich.get_console()
        self._run_display: RunDisplay | None = None
        self._display: Display | None = None
        self._unread = False  # the reader of a pipe is gone
        if self.settings.live is not False:
            self._show()

    def write_metrics(self, event: MetricsEvent) -> None:  # noqa: D102
        if self._run_display is not None:
            self._run_display.add(event)
        else:
            self._print(metrics_line(event, self._run.total_updates))

    def write_episode(self, event: EpisodeEvent) -> None:  # noqa: D102
        if self._run_display is not None:
            self._run_display.add(event)
        elif not event.sampled:
            self._print(summary_line(event))

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
            self._print(summary_line(event))

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
        """Begins to show a picture, if there is a place for it."""
        from rich.errors import LiveError

        from jaxlog.sinks.console.run_display import RunDisplay
        from jaxlog.sinks.console.screen import Display, Notebook, Terminal

        if self._console.is_jupyter:
            screen = Notebook()
        elif _can_draw(self._console):
            try:
                screen = Terminal(self._console)
            except LiveError:
                return
        else:
            return
        self._run_display = RunDisplay(self._run, time.time())
        self._display = Display(screen, self._draw, self.settings.refresh_per_second)

    def _draw(self, width: int, height: int | None, last: bool) -> RenderableType:
        assert self._run_display is not None
        return self._run_display.draw(width, height, time.time(), ended=last)

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
        """Lets training go on, when the reader of a pipe has what it wanted: `| head`."""
        # It lets what still waits for the pipe go nowhere, or Python fails with it when it ends.
        with contextlib.suppress(SystemExit, OSError, ValueError):
            self._console.on_broken_pipe()
        self._unread = True
        _log.warning("jaxlog: the sink console prints no more: nobody reads standard output")


def _can_draw(console: Console) -> bool:
    """Whether this is a terminal. FORCE_COLOR makes Rich take any file for one."""
    file: Any = console.file
    return (
        console.is_interactive
        and bool(getattr(file, "isatty", bool)())
        and console.encoding.startswith("utf")
    )
