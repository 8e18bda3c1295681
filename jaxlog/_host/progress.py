"""The progress of a run: how far it is, and from where a resumed run goes on."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from jaxlog._format.events import RunInfo
from jaxlog._host.directory import Directory
from jaxlog._host.facts import iso, session
from jaxlog._host.lane_identity import LaneTable
from jaxlog._host.outage import waited_out
from jaxlog._host.single import SingleEnvironment
from jaxlog._say import log as _log
from jaxlog._text import counted

LANE_LABELS = "lane_labels"
"""The key of run.json and of marks under which the lanes with labels are."""
_MAX_MARKED = 64
"""The most lanes that a mark keeps, since there may be many marks."""

State = Mapping[str, np.ndarray]
"""The progress of a run: `run`, `uint32[]`, its id, and `mark`, `int32[]`, the number of a mark."""

Positions = Mapping[str, Mapping[str, int] | None]
"""The position of each sink by its name in the run; None for a sink that could not write."""


class Progress:
    """The progress of a run, with that of its earlier sessions if it is resumed.

    Args:
      name: the run's name, for messages.

    Attributes:
      lanes: the lanes that are known.
      steps: the last step of each call at the point from which the run was resumed.
      single: the state of a single environment that is logged from Python.
      positions: the sinks' positions at the mark from which the run was resumed.
      lane_counts: the numbers of lanes that calls had in earlier sessions.
      sessions: the facts that run.json keeps about each earlier session.
      opened: when this session began, in seconds since 1970.
      seconds_before: the seconds for which the run was open before, up to the point from which it
        is resumed.
    """

    def __init__(self, name: str) -> None:
        self.lanes = LaneTable(name)
        self.steps: dict[str, int] = {}
        self.single = SingleEnvironment()
        self.positions: Positions = {}
        self.sessions: list[Mapping[str, Any]] = []
        self.lane_counts: set[int] = set()
        self.opened = time.time()
        self.seconds_before = 0.0
        self._mark = 0  # the highest number of a mark
        self._lock = threading.Lock()

    def begin(self, opened: float) -> None:
        """Notes when this session began, in seconds since 1970."""
        self.opened = opened

    def seconds(self, now: float) -> float:
        """The seconds for which the run has been open, with those of earlier sessions."""
        return round(self.seconds_before + max(0.0, now - self.opened), 3)

    @property
    def marked(self) -> bool:
        """True if a state was ever taken."""
        return self._mark > 0

    def go_on(self, info: RunInfo, directory: Directory, state: State | None) -> RunInfo:
        """Reads the progress of the run in a directory, if that run is resumed.

        Args:
          info: the info for the run's sinks.
          directory: of the run.
          state: from which the run goes on; None for the end of its files.

        Returns:
          The info, with the point from which the run goes on.

        Raises:
          ValueError: the state does not belong to the run.
        """
        previous = directory.previous
        if previous is None:
            return info
        counts = previous.get("lane_counts")
        self.lane_counts = {n for n in counts if type(n) is int} if type(counts) is list else set()
        self.sessions = [*previous.get("sessions", []), session(previous)]
        info = dataclasses.replace(info, session=len(self.sessions))
        marks, self._mark = directory.marks()
        if state is None:
            # For a run that was killed, this is what was known when its state was taken last.
            self._take_up(previous, *(mark for _, mark in sorted(marks.items())[-1:]))
            self.lanes.take_up(previous.get(LANE_LABELS, ()), {})
            return info
        run, number = int(state["run"]), int(state["mark"])
        if not run:
            _log.warning(
                "jaxlog: run %s: the state is of a run that logged nothing, or whose mark could "
                "not be written, so that it does not say where to go on. The run goes on at its "
                "end; lines that are logged again are there twice.",
                info.name,
            )
            return info
        if info.id != f"{run:08x}" or number not in marks:
            raise ValueError(
                f"state: got the state of run {run:08x} at mark {number}, but {directory.path} has "
                f"run {info.id} with {counted(len(marks), 'mark')}; give the state "
                "that belongs to these files, or leave it out to go on at their end"
            )
        mark = marks[number]
        self._take_up(mark)
        self.lanes.take_up(mark.get(LANE_LABELS, previous.get(LANE_LABELS, ())), self.steps)
        self.positions = mark["sinks"]
        for key, position in self.positions.items():
            if position is None:
                _log.warning(
                    "jaxlog: run %s: the sink %s could not write when the state was taken; lines "
                    "that it has written since are there twice.",
                    info.name,
                    key,
                )
        resumes = {name: step + 1 for name, step in self.steps.items()}
        first = max(resumes.values(), default=0)
        return dataclasses.replace(info, resumes_at=first, resumes=resumes)

    def _take_up(self, *known: Mapping[str, Any]) -> None:
        """Takes the furthest progress of those that are known."""
        for one in known:
            self.steps = self.reached([one.get("steps", {})])
            seconds = one.get("seconds")
            if isinstance(seconds, int | float):
                self.seconds_before = max(self.seconds_before, float(seconds))
            counts = one.get("single_environment", {})
            if counts.get("steps", 0) > self.single.last_step:
                self.single = SingleEnvironment(**counts)

    def reached(self, written: Iterable[Mapping[str, int]]) -> dict[str, int]:
        """The last step of each call, in this session or an earlier one.

        Args:
          written: for each sink, the last step of each call that it was given.
        """
        reached = dict(self.steps)
        for steps in written:
            for name, step in list(steps.items()):
                reached[name] = max(step, reached.get(name, 0))
        return reached

    def facts(self, reached: Mapping[str, int]) -> dict[str, Any]:
        """The facts that run.json and marks keep, for the run to be resumed."""
        lanes = self.lanes.facts()
        found = {"steps": reached, "single_environment": self.single.counts}
        return found | ({LANE_LABELS: lanes} if lanes else {})

    def mark(
        self, info: RunInfo, directory: Directory, reached: Mapping[str, int], positions: Positions
    ) -> State:
        """Writes a mark of how far the run is; the state holds only the number of that mark.

        If the mark cannot be written, there is a warning, and the state is `nowhere`.
        """
        with self._lock:
            self._mark += 1
            number = self._mark
        facts = self.facts(reached)
        if len(facts.get(LANE_LABELS, ())) > _MAX_MARKED:  # run.json has them
            del facts[LANE_LABELS]
        now = time.time()
        times = {"time": iso(now), "seconds": self.seconds(now)}
        mark = {"mark": number, **times, **facts, "sinks": positions}
        try:
            waited_out(lambda: directory.add_mark(mark))
        except OSError as error:
            _log.warning(
                "jaxlog: run %s: its state could not be kept; a run that is resumed from it will "
                "go on at its end: %s",
                info.name,
                error,
            )
            return nowhere()
        return state_of(int(info.id, 16), number)


def state_of(run: int, mark: int) -> State:
    """The state of a run at a mark."""
    return {"run": np.array(run, np.uint32), "mark": np.array(mark, np.int32)}


def nowhere() -> State:
    """The state of a run that writes nothing."""
    return state_of(0, 0)
