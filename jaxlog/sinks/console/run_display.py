"""The live table of a run: metrics, episodes, sinks, health and progress."""

from __future__ import annotations

import collections
import functools
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from jaxlog._format.events import (
    Account,
    EpisodeEvent,
    EvaluationEvent,
    MetricsEvent,
    RunInfo,
    StepEvent,
    TaskEvent,
)
from jaxlog._format.health import Health, Tally, health_of
from jaxlog._format.run_file import counts_updates_of_run, total_updates
from jaxlog._text import counted
from jaxlog.sinks.console.history import History
from jaxlog.sinks.console.line_values import Event
from jaxlog.sinks.console.lines import lane_name
from jaxlog.sinks.console.pace import Pace
from jaxlog.sinks.console.table import CallTable, one_line, tables
from jaxlog.sinks.console.values import clock, per_second, plain, summary_values, text

WIDEST = 200
"""The maximum width in characters."""
ENDED_EARLY = ("failed", "interrupted", "exited", "terminated", "killed")
"""The statuses of runs that did not end by themselves."""
NUM_EPISODES = 2
"""The number of sampled episodes that are shown."""

_SHOWN_OF_EPISODE = {
    "total_reward": "return",
    "total_steps": "length",
    "success": "success",
    "final_similarity": "similarity",
    "task_id": "task",
    "environment_id": "environment",
}


class RunDisplay:
    """Collects the events of a run, and draws their state at any time.

    Adding an event is cheap; another thread may draw at the same time.

    Args:
      run: the run.
      began: the start of the run, in seconds since 1970.
      logged_before: returns True for a call and a step that were logged before the first event that
        is added, as for `History`; None if there were none.
      earlier: evenly spaced events of the whole run by their call, as for `History`, if only the
        last events of the run are added.
      health: the health of the run; None computes it from the events and from earlier
        sessions of the run.
    """

    def __init__(
        self,
        run: RunInfo,
        began: float,
        logged_before: Callable[[str, int], bool] | None = None,
        health: Health | None = None,
        earlier: Mapping[str, Sequence[Event]] | None = None,
    ) -> None:
        self._run = run
        self._logged_before = logged_before
        self._known_health = health
        self._tally = Tally(run.earlier.get("health"), run.earlier.get("calls"))
        self._lock = threading.Lock()  # protects the tally
        self._pace = Pace(run.total_updates, run.resumes_at or 0, began)
        self._calls: dict[str, dict[str, int | None]] = {}  # their totals, as in run.json
        self._unit = "update"
        self._histories: dict[str, History] = {}
        self._earlier = earlier or {}
        self._evaluations = History(earlier=self._earlier.get("evaluation", ()))
        self._episodes: collections.deque[EpisodeEvent] = collections.deque(maxlen=NUM_EPISODES)
        self._task: TaskEvent | None = None
        self._step: StepEvent | None = None

    def add(self, event: MetricsEvent | EpisodeEvent | TaskEvent | StepEvent | EvaluationEvent):
        """Adds an event."""
        match event:
            case MetricsEvent():
                self._history(event.name).add(event)
                self._calls[event.name] = {"total_updates": event.total_updates}
                self._pace.total = total_updates(self._facts)
                self._saw(event)
                with self._lock:
                    self._tally.add(event)
            case EpisodeEvent(sampled=True):
                self._episodes.append(event)
                self._saw(event)
            case EpisodeEvent():
                self._history(event.name).add(event)
            case StepEvent():
                self._step = event
                self._unit = "step"
                self._pace.saw(event.step, None, event.timestamp)
            case TaskEvent():
                self._task = event
            case EvaluationEvent():
                self._evaluations.add(event)

    def draw(self, width: int, height: int | None, now: float, *, ended: bool = False) -> Group:
        """Draws as much as fits.

        Args:
          width: the width, in characters.
          height: the maximum number of lines; None for no limit.
          now: the current time, in seconds since 1970.
          ended: True to draw the run as ended.
        """
        width = min(width, WIDEST)
        progress = [self._bar(now, width, ended=ended), self._speed(now, width, ended=ended)]
        notes = self._notes(width, ended=ended)
        if height is not None:
            spared = max(0, len(notes) - max(0, height - len(progress)) // 3)
            notes = notes[spared:]
        room = None if height is None else height - len(progress) - len(notes) - 2
        shown = tables(self._call_tables(), width, room)
        blank = [Text()] if shown and (room is None or room > 0) else []
        return Group(*shown, *blank, *notes, *blank[: len(notes)], *progress)

    @property
    def _facts(self) -> dict[str, Any]:
        return {"total_updates": self._run.total_updates, "calls": self._calls}

    def _saw(self, event: MetricsEvent | EpisodeEvent) -> None:
        if counts_updates_of_run(self._facts, event.name):
            self._pace.saw(event.step, event.env_step, event.timestamp)

    def _history(self, name: str) -> History:
        if name not in self._histories:
            # A new dict, because another thread may iterate over the old one.
            before = self._logged_before and functools.partial(self._logged_before, name)
            history = History(before, self._earlier.get(name, ()))
            self._histories = self._histories | {name: history}
        return self._histories[name]

    def _call_tables(self) -> list[CallTable]:
        found = []
        for name, history in [*self._histories.items(), ("evaluation", self._evaluations)]:
            rows = history.read()
            if history.last is not None:
                found.append(CallTable(_title(name, history.last), rows))
        return found

    def _notes(self, width: int, *, ended: bool) -> list[RenderableType]:
        """The lines between the tables and the bar, the most important last."""
        notes: list[tuple[str, Sequence[str]]] = []
        if self._task is not None:
            since = f"since step {self._task.step:,}"
            notes.append(("task", [*_pairs(self._task.values), since]))
        if (step := self._step) is not None:
            position = [f"{step.step:,}", f"episode {step.episode:,}"]
            notes.append(("step", position + _pairs(step.values)))
        notes += [("sampled", _sampled(episode)) for episode in list(self._episodes)]
        accounts = self._accounts()
        health = self._health(ended=ended)
        labels = [label for label, _ in notes]
        labels += (["sinks"] if accounts else []) + (["health"] if health else [])
        indent = max(map(len, labels), default=0) + 2
        lines = [one_line(parts, width - indent) for _, parts in notes]
        lines += [_sinks(accounts, width - indent, ended=ended)] if accounts else []
        lines += (
            [one_line([plain(str(health)), plain(health.why)], width - indent, "red")]
            if health
            else []
        )
        return [
            Text.assemble((label.ljust(indent), "cyan"), line, no_wrap=True, overflow="ellipsis")
            for label, line in zip(labels, lines, strict=True)
        ]

    def _health(self, *, ended: bool) -> Health:
        if self._known_health is not None:
            return self._known_health
        status = self._run.status() if ended else "running"
        done = self._pace.done if self._pace.begun else None
        with self._lock:
            return health_of({"total_updates": self._pace.total}, status, done, self._tally)

    def _accounts(self) -> Sequence[Account]:
        try:
            return [a for a in self._run.accounts() if a.kind != "console"]
        except Exception:  # the table is shown without this line
            return []

    def _bar(self, now: float, width: int, *, ended: bool) -> RenderableType:
        pace = self._pace
        status = self._run.status()
        if ended and (status in ENDED_EARLY or status == "unknown"):
            style = "red" if status in ENDED_EARLY else "yellow"
            return Text(self._how_far(status), style, no_wrap=True, overflow="ellipsis")
        if pace.begun:
            state = "ended" if ended else "training"
            if ended and pace.total is not None and pace.done >= pace.total:
                state = "finished"
        else:
            state = "ended" if ended else f"compiling… {clock(pace.elapsed(now))}"
        count = f"{pace.done}" if pace.total is None else f"{pace.done}/{pace.total}"
        parts: list[RenderableType] = [Text(state)]
        waits = not pace.begun and not ended
        if pace.total is not None or not ended:
            parts.append(
                ProgressBar(total=pace.total, completed=pace.done, pulse=waits, animation_time=now)
            )
        parts.append(Text(count, "green"))
        if pace.total:
            parts.append(Text(f"{min(1.0, pace.done / pace.total):4.0%}", "dim"))
        bar = Table.grid(padding=(0, 1, 0, 0), expand=True)
        for part in parts:
            bar.add_column(no_wrap=True, ratio=1 if isinstance(part, ProgressBar) else None)
        bar.add_row(*parts)
        bar.width = width
        return bar

    def _how_far(self, status: str) -> str:
        """The end of a run that did not end by itself, as text: a full bar would mean success."""
        pace = self._pace
        status = "status unknown" if status == "unknown" else status
        if not pace.done:
            return f"{status} before the first {self._unit} was logged"
        every = pace.done if pace.total is None else pace.total
        of = "" if pace.total is None else f"{pace.done:,} of "
        return f"{status} after {of}{counted(every, self._unit)}"

    def _speed(self, now: float, width: int, *, ended: bool) -> Text:
        pace = self._pace
        left, quiet = pace.left(now), pace.quiet_for(now)
        updates, env_steps = pace.updates_per_second(), pace.env_steps_per_second()
        parts = [f"{clock(pace.elapsed(now))} elapsed" if pace.begun or ended else ""]
        if not ended and quiet is not None:
            parts.append(f"last record {clock(quiet)} ago")
        elif not ended and left is not None:
            parts.append(f"{clock(left)} left")
        if updates is not None:
            parts.append(per_second(updates, self._unit))
        if env_steps is not None:
            parts.append(f"{env_steps:,.0f} environment steps/s")
        parts.append(plain(self._run.name))
        return one_line(parts, width, style="dim")


def _title(name: str, last: Event) -> list[str]:
    if isinstance(last, EvaluationEvent):
        return [f"{plain(name)} · step {last.step}"]
    if isinstance(last, EpisodeEvent):
        return [f"{plain(name)} · step {last.step}", *_pairs(last.labels)]
    title = [f"{plain(name)} · step {last.step}"]
    if last.env_step is not None:
        title.append(counted(last.env_step, "environment step"))
    lanes = last.num_logged
    if lanes == 1:
        return title + _pairs(last.lanes[0].labels)
    of = f"{lanes} of {last.num_lanes}" if lanes < last.num_lanes else f"{lanes}"
    return [*title, f"mean ± std over {of} lanes"]


def _pairs(values: Mapping[str, object]) -> list[str]:
    return [f"{plain(name)} {text(value)}" for name, value in summary_values(values).items()]


def _sampled(event: EpisodeEvent) -> list[str]:
    lane = [lane_name(event)] if event.num_lanes > 1 or event.lane else []
    values = summary_values(event.episode)
    shown = [
        f"{word} {text(values[key])}" for key, word in _SHOWN_OF_EPISODE.items() if key in values
    ]
    return [*shown, *lane, f"{plain(event.name)} · step {event.step}"]


def _sinks(accounts: Sequence[Account], width: int, *, ended: bool) -> Text:
    """The state of each sink; those with a problem first, with as much text as fits."""
    well = [_count(account, ended=ended) for account in accounts if not _trouble(account)]
    troubled = [f"{account.kind} {_trouble(account)}" for account in accounts if _trouble(account)]
    line = one_line(well, width)
    if not troubled:
        return line
    trouble = Text(" · ".join(troubled), "red")
    trouble.truncate(max(width // 2, width - line.cell_len - 3), overflow="ellipsis")
    return Text.assemble(trouble, " · ", line) if well else trouble


def _trouble(account: Account) -> str:
    failure = text(account.failure or "")
    return f"off: {failure}" if account.off else failure


def _count(account: Account, *, ended: bool) -> str:
    if ended:  # other sinks may still write; the run itself warns about lost records
        return f"{account.kind} {counted(account.arrived, 'record')}"
    behind = account.arrived - account.written
    lag = f", {behind:,} behind" if behind > 0 else ""
    return f"{account.kind} {account.written:,} written{lag}"
