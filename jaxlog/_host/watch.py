"""Says what a run logs that can hardly be meant: each kind once for each call, with the remedy.

It sees what is known on the host anyway, and asks nothing of the program: how each call was traced,
which calls of Python's were not due, and the events that arrive.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass, field

from jaxlog._format.events import MetricsEvent
from jaxlog._say import log as _log

LARGEST_STEP = 2**63 - 1
"""What files and readers hold."""
_IN_A_ROW = 4
"""How many steps have to follow each other before a call counts as logging at every step."""
_SIDE_BY_SIDE = 8
"""How many lanes of an event are looked at: those of one program are at one place in it."""
_MOST_LANES = 4096
"""How many lanes of a call are remembered, side by side and one after another."""


@dataclass(frozen=True)
class Traced:
    """How a call was traced.

    Attributes:
      name: the call's.
      frequency: it logs the steps that are multiples of this.
      gated: whether the program decides by `when` whether it logs.
      in_branch: whether it is in a branch of `cond` or `switch`.
      of_rest: whether it logs what is left in a window, and no update.
    """

    name: str
    frequency: int
    gated: bool = False
    in_branch: bool = False
    of_rest: bool = False


@dataclass
class _Call:
    """What is known of the calls of one name.

    Attributes:
      traced: how they were traced, one entry for each way.
      fresh: whether one was traced while the run was open.
      own_gates: of how many lanes that each decide for themselves, in a branch; 0 for none.
      first_steps: the lowest steps of all lanes together, until there are enough of them.
      lowest: the lowest step.
      ends: the first and the highest step of each lane, by what identifies the lane.
      called: how often Python called it.
      skipped: how often that was at a step that is not due.
      last_called: the step of the last of these calls.
      spacing: the smallest distance between the steps of two such calls.
      said: the kinds of messages that were given.
    """

    traced: set[Traced] = field(default_factory=set)
    fresh: bool = False
    own_gates: int = 0
    first_steps: set[int] = field(default_factory=set)
    lowest: int | None = None
    ends: dict[object, tuple[int, int]] = field(default_factory=dict)
    called: int = 0
    skipped: int = 0
    last_called: int | None = None
    spacing: int | None = None
    said: set[str] = field(default_factory=set)

    @property
    def counts(self) -> bool:
        """Whether its steps are those of a loop; `run.log` logs at whatever step it is given."""
        return bool(self.traced or self.called)


class Watch:
    """Watches one run.

    Args:
      run: its name, for messages.
      traced: how the calls of the program were traced before the run was opened.
      total_updates: how many updates it makes, where known.
      frequency: the settings' `log_frequency`.
      env_steps_per_update: for `env_step`; None where lines have none.
      resumed: whether it goes on with a run, so that its first steps are not the program's first.
    """

    def __init__(
        self,
        run: str,
        traced: Iterable[Traced] = (),
        *,
        total_updates: int | None = None,
        frequency: int = 1,
        env_steps_per_update: int | None = None,
        resumed: bool = False,
    ) -> None:
        self._run = run
        self._total_updates = total_updates
        self._frequency = frequency
        self._per_update = env_steps_per_update
        self._resumed = resumed
        self._calls: dict[str, _Call] = {}
        self._seen_by: int | None = None
        self._lock = threading.Lock()
        for one in traced:
            self._call(one.name).traced.add(one)

    def traced(self, one: Traced) -> None:
        """Notes that the program was traced, with this call in it, while the run is open."""
        with self._lock:
            call = self._call(one.name)
            call.traced.add(one)
            call.fresh = True

    def called(self, name: str, step: int, *, due: bool) -> None:
        """Notes a call of `jaxlog.log` in a Python loop. Called on the thread of the program."""
        with self._lock:
            call = self._call(name)
            call.called += 1
            call.skipped += not due
            if call.last_called is not None and step != call.last_called:
                spacing = abs(step - call.last_called)
                call.spacing = spacing if call.spacing is None else min(spacing, call.spacing)
            call.last_called = step

    def own_gates(self, name: str, num_lanes: int) -> None:
        """Notes that each lane of a call decides for itself whether it logs."""
        with self._lock:
            call = self._call(name)
            if num_lanes > 1 and "every" not in call.said and not call.own_gates:
                alike = [t for t in call.traced if t.in_branch and not t.gated and not t.of_rest]
                call.own_gates = num_lanes if alike else 0

    def saw(self, event: MetricsEvent, worker: int = 0) -> None:
        """Looks at an event. Called once for each, on the thread of a sink.

        Args:
          event: on its way to the sink.
          worker: which of the sinks it is. Another may be behind: what it brings is known already.
        """
        with self._lock:
            call = self._call(event.name)
            if worker != self._seen_by:
                for other in self._calls.values():
                    other.ends.clear()
                self._seen_by = worker
            step = event.step
            if call.lowest is None or step < call.lowest:
                call.lowest = step
            if step < 0:
                self._say_negative(call, event)
            elif (step + 1) * (self._per_update or 1) > LARGEST_STEP:
                self._say_largest(call, event)
            elif self._total_updates is not None and step >= self._total_updates:
                self._say_beyond(call, event, self._total_updates)
            if call.own_gates:
                self._look_for_every_step(call, event)
            if "again" not in call.said and call.counts:
                self._look_for_a_step_again(call, event)

    def close(self) -> None:
        """Says what only the end of a run that finished can tell."""
        with self._lock:
            for name, call in self._calls.items():
                if call.lowest is None and call.fresh:
                    self._say_nothing(call, name)
                elif call.skipped and call.spacing is not None and call.spacing > 1:
                    self._say_skipped(call, name)
                if call.lowest == 1 and self._per_update is not None and not self._resumed:
                    self._say_from_one(call, name)

    def _call(self, name: str) -> _Call:
        return self._calls.setdefault(name, _Call())

    def _look_for_every_step(self, call: _Call, event: MetricsEvent) -> None:
        """Whether a call in a branch logs at each step that is due, in all lanes alike."""
        if len(event.lanes) < call.own_gates:
            return  # the lanes differ: each logs at steps of its own
        steps = call.first_steps
        steps.add(event.step)
        if len(steps) < _IN_A_ROW:
            return
        if max(steps) - min(steps) == (_IN_A_ROW - 1) * self._frequency:
            _log.warning(
                "jaxlog: run %s: the call %r is in a branch of a cond or switch, and logs at every "
                "step that is due, in all %d lanes: its predicate depends on what vmap maps over, "
                "and there JAX runs all branches. Call it outside of the cond, with the predicate "
                "as when=; or compute the predicate from what vmap does not map, like the "
                "jnp.arange(n) that scan counts with. Said once.",
                self._run,
                event.name,
                call.own_gates,
            )
        call.said.add("every")
        call.own_gates = 0
        steps.clear()

    def _look_for_a_step_again(self, call: _Call, event: MetricsEvent) -> None:
        """Whether a lane logs a step that it has logged."""
        keys = tuple(event.keys)
        for lane in event.lanes[:_SIDE_BY_SIDE]:
            identity = keys, lane.index
            ends = call.ends.get(identity)
            if ends is None:
                if len(call.ends) < _MOST_LANES:
                    call.ends[identity] = event.step, event.step
            elif event.step in ends:
                call.said.add("again")
                call.ends.clear()
                _log.warning(
                    "jaxlog: run %s: the call %r logged step %d of lane %d again. If its steps "
                    "begin anew with each pass of a loop, pass a step that goes on counting "
                    "(first + step); if each pass is another lane, give labels that tell them "
                    "apart, like labels={'seed': seed}. Readers keep the last line of a step. "
                    "Said once.",
                    self._run,
                    event.name,
                    event.step,
                    lane.index,
                )
                return
            elif event.step > ends[1]:
                call.ends[identity] = ends[0], event.step

    def _say_negative(self, call: _Call, event: MetricsEvent) -> None:
        if self._first(call, "negative"):
            _log.warning(
                "jaxlog: run %s: the call %r logged the negative step %d (lane %d). An int32 that "
                "counts environment steps wraps at 2**31: pass the index of the update as step, "
                "and set env_steps_per_update; or count in uint32 or, with jax_enable_x64, in "
                "int64. Said once.",
                self._run,
                event.name,
                event.step,
                event.lanes[0].index,
            )

    def _say_largest(self, call: _Call, event: MetricsEvent) -> None:
        if self._first(call, "largest"):
            _log.warning(
                "jaxlog: run %s: the call %r logged step %d (lane %d), and files hold no step and "
                "no env_step above 2**63 - 1: a larger step is written as this, a larger env_step "
                "left out. Pass the index of the update as step. Said once.",
                self._run,
                event.name,
                event.step,
                event.lanes[0].index,
            )

    def _say_beyond(self, call: _Call, event: MetricsEvent, total_updates: int) -> None:
        if call.counts and self._first(call, "beyond"):
            _log.warning(
                "jaxlog: run %s: the call %r logged step %d (lane %d), but steps count from 0, so "
                "that the last of total_updates=%d is %d. If its counter begins at 1, as "
                "TrainState.step does after apply_gradients, pass step - 1: env_step is that of "
                "one update too many. Else total_updates is too small. Said once.",
                self._run,
                event.name,
                event.step,
                event.lanes[0].index,
                total_updates,
                total_updates - 1,
            )

    def _say_from_one(self, call: _Call, name: str) -> None:
        # Where each step is due, the first that was logged is the first there was.
        each = all(t.frequency == 1 and not (t.gated or t.in_branch) for t in call.traced)
        if call.traced and each and "beyond" not in call.said:
            _log.warning(
                "jaxlog: run %s: the steps of the call %r begin at 1, and steps count from 0, so "
                "that env_step is that of one update too many. Pass step - 1.",
                self._run,
                name,
            )

    def _say_nothing(self, call: _Call, name: str) -> None:
        often = max(t.frequency for t in call.traced)
        if often == 1 or all(t.of_rest for t in call.traced):
            return  # every step is due: it was not run, or `when` said no
        _log.warning(
            "jaxlog: run %s: the call %r was traced, and logged nothing. log_frequency is %d: it "
            "logs at steps that are multiples of %d, and at the last of total_updates. If it is to "
            "log whenever it runs, set log_frequency to 1, and give the other calls "
            "when=step %% %d == 0.",
            self._run,
            name,
            often,
            often,
            often,
        )

    def _say_skipped(self, call: _Call, name: str) -> None:
        _log.warning(
            "jaxlog: run %s: the call %r was called %d times, at least %d steps apart, and %d of "
            "these were not logged: log_frequency is %d, and their steps are no multiples of it. "
            "Set log_frequency to 1, or log them with run.log.",
            self._run,
            name,
            call.called,
            call.spacing,
            call.skipped,
            self._frequency,
        )

    def _first(self, call: _Call, kind: str) -> bool:
        first = kind not in call.said
        call.said.add(kind)
        return first
