"""How far a run is, and from where it goes on."""

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

LANE_LABELS = "lane_labels"
"""The key of run.json and of marks for the lanes that are known by their labels."""
_MAX_MARKED = 64
"""How many of them each mark keeps; there may be many marks."""

State = Mapping[str, np.ndarray]
"""Where a run is: `run`, which run it is, `uint32[]`, and `mark`, where it is, `int32[]`."""

Positions = Mapping[str, Mapping[str, int] | None]
"""Where each sink of a run is, by its name among them; None for one that could not write."""


class Progress:
    """How far a run is: what it has taken up of the run before it, and its marks.

    Args:
      name: the run's, for messages.

    Attributes:
      lanes: those that are known.
      steps: the last of each call, when the run went on.
      single: what a single environment has told.
      positions: where the sinks were at the mark from which the run goes on.
      lane_counts: how many lanes calls had before the run went on.
      sessions: what run.json keeps of the run before it went on, each time.
    """

    def __init__(self, name: str) -> None:
        self.lanes = LaneTable(name)
        self.steps: dict[str, int] = {}
        self.single = SingleEnvironment()
        self.positions: Positions = {}
        self.sessions: list[Mapping[str, Any]] = []
        self.lane_counts: set[int] = set()
        self._mark = 0  # the highest number given
        self._lock = threading.Lock()

    @property
    def marked(self) -> bool:
        """Whether a state was ever taken."""
        return self._mark > 0

    def go_on(self, info: RunInfo, directory: Directory, state: State | None) -> RunInfo:
        """Takes up what is known of the run that goes on.

        Args:
          info: what sinks are told.
          directory: of the run.
          state: from which it goes on; if None, at the end of its files.

        Returns:
          What sinks are told, with where it goes on.

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
            # Of a run that was killed, only what was known when its state was taken last.
            self._take_up(previous, *(mark for _, mark in sorted(marks.items())[-1:]))
            self.lanes.take_up(previous.get(LANE_LABELS, ()), {})
            return info
        run, number = int(state["run"]), int(state["mark"])
        if not run:
            _log.warning(
                "jaxlog: run %s: the state is of a run that logged nothing, or could not keep "
                "its place, and says nothing of where to go on. The run goes on at its end; "
                "what comes again is there twice.",
                info.name,
            )
            return info
        if info.id != f"{run:08x}" or number not in marks:
            raise ValueError(
                f"state: got that of run {run:08x} at mark {number}, and {directory.path} has run "
                f"{info.id} with {len(marks)} marks; give the state that belongs to these "
                "files, or leave it out, to go on at their end"
            )
        mark = marks[number]
        self._take_up(mark)
        self.lanes.take_up(mark.get(LANE_LABELS, previous.get(LANE_LABELS, ())), self.steps)
        self.positions = mark["sinks"]
        for key, position in self.positions.items():
            if position is None:
                _log.warning(
                    "jaxlog: run %s: the sink %s could not write when the state was taken; what "
                    "it has written since is there twice.",
                    info.name,
                    key,
                )
        resumes = {name: step + 1 for name, step in self.steps.items()}
        first = max(resumes.values(), default=0)
        return dataclasses.replace(info, resumes_at=first, resumes=resumes)

    def _take_up(self, *known: Mapping[str, Any]) -> None:
        """Takes up how far the run was, as the furthest of what is known says."""
        for one in known:
            self.steps = self.reached([one.get("steps", {})])
            counts = one.get("single_environment", {})
            if counts.get("steps", 0) > self.single.last_step:
                self.single = SingleEnvironment(**counts)

    def reached(self, written: Iterable[Mapping[str, int]]) -> dict[str, int]:
        """The last step of each call, in this run or before it went on.

        Args:
          written: the last of each call that a sink was given, for each sink.
        """
        reached = dict(self.steps)
        for steps in written:
            for name, step in list(steps.items()):
                reached[name] = max(step, reached.get(name, 0))
        return reached

    def facts(self, reached: Mapping[str, int]) -> dict[str, Any]:
        """What run.json and marks say of it, for a run that goes on."""
        lanes = self.lanes.facts()
        found = {"steps": reached, "single_environment": self.single.counts}
        return found | ({LANE_LABELS: lanes} if lanes else {})

    def mark(
        self, info: RunInfo, directory: Directory, reached: Mapping[str, int], positions: Positions
    ) -> State:
        """Marks in the directory where the run is; what that was is all the state has to say.

        Where it cannot be marked, that is warned of, and the state is `nowhere`.
        """
        with self._lock:
            self._mark += 1
            number = self._mark
        facts = self.facts(reached)
        if len(facts.get(LANE_LABELS, ())) > _MAX_MARKED:  # run.json has them
            del facts[LANE_LABELS]
        mark = {"mark": number, "time": iso(time.time()), **facts, "sinks": positions}
        try:
            waited_out(lambda: directory.add_mark(mark))
        except OSError as error:
            _log.warning(
                "jaxlog: run %s: its state could not be kept, and a run that goes on from it will "
                "go on at its end: %s",
                info.name,
                error,
            )
            return nowhere()
        return {"run": np.array(int(info.id, 16), np.uint32), "mark": np.array(number, np.int32)}


def nowhere() -> State:
    """The state of a run that writes nothing."""
    return {"run": np.array(0, np.uint32), "mark": np.array(0, np.int32)}
