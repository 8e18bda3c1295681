"""Warns of logging that is hardly meant: once for each kind and call, with the remedy.

It uses what is known on the host anyway, so that the program does nothing for it: how each call
was traced, which calls in Python loops were not due, and the events that arrive.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from jaxlog._format.events import MetricsEvent
from jaxlog._format.schedule import Schedule, is_evaluation
from jaxlog._say import log as _log

LARGEST_STEP = 2**63 - 1
"""The largest step that files and readers can hold."""
_IN_A_ROW = 4
"""The number of successive steps after which a call counts as logging at every step."""
_SIDE_BY_SIDE = 8
"""The number of lanes of an event that are looked at: the lanes of a program are at one step."""
_MOST_LANES = 4096
"""The most lanes of a call that are remembered, side by side and one after another."""


@dataclass(frozen=True)
class Traced:
    """One tracing of a call.

    Attributes:
      name: the call's name.
      frequency: it logs at steps that are multiples of this.
      gated: whether the program decides by `when` whether it logs.
      in_branch: whether it is in a branch of `cond` or `switch`.
      of_rest: whether it logs the rest of a window, and not an update.
      total_updates: the number of updates that it logs; None if it is not known.
      of_episodes: whether it logs the episodes of a recorder, of which there may be none.
    """

    name: str
    frequency: int
    gated: bool = False
    in_branch: bool = False
    of_rest: bool = False
    total_updates: int | None = None
    of_episodes: bool = False


@dataclass
class _Call:
    """The calls of one name.

    Attributes:
      traced: the different ways in which they were traced.
      fresh: whether one was traced while the run was open.
      own_gates: the number of lanes, if they decide for themselves and in a branch; else 0.
      first_steps: the lowest steps of all lanes together, until there are enough of them.
      lowest: the lowest step.
      ends: the first and the highest step of each lane, by the lane's identity.
      called: how many times Python called it.
      skipped: how many of these calls were at a step that is not due.
      last_called: the step of the last of these calls.
      spacing: the smallest distance between the steps of two successive calls.
      schedule: the steps at which Python's calls are logged; None without such a call.
      warned: the kinds of warnings that were given.
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
    schedule: Schedule | None = None
    warned: set[str] = field(default_factory=set)

    @property
    def counts(self) -> bool:
        """True if its steps are those of a loop; `run.log` may log at any step."""
        return bool(self.traced or self.called)

    @property
    def total_updates(self) -> int | None:
        """The number of updates that it logs; None if one that was traced does not know it."""
        known = [one.total_updates for one in self.traced if not one.of_rest]
        known += [] if self.schedule is None else [self.schedule.total_updates]
        numbers = [total for total in known if total is not None]
        return max(numbers) if numbers and len(numbers) == len(known) else None


class Watch:
    """Watches one run.

    Args:
      run: the run's name, for messages.
      traced: the calls that were traced before the run was opened.
      env_steps_per_update: environment steps in one update; None if lines have no `env_step`.
      resumed: whether the run is resumed, so that its first steps are not the program's first.
      with_schedules: the names of calls that a setting has an entry for, by the setting.
    """

    def __init__(
        self,
        run: str,
        traced: Iterable[Traced] = (),
        *,
        env_steps_per_update: int | None = None,
        resumed: bool = False,
        with_schedules: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self._run = run
        self._per_update = env_steps_per_update
        self._resumed = resumed
        self._with_schedules = with_schedules or {}
        self._calls: dict[str, _Call] = {}
        self._lock = threading.Lock()
        for one in traced:
            self._call(one.name).traced.add(one)

    def traced(self, one: Traced) -> None:
        """Notes that a program with this call was traced while the run is open."""
        with self._lock:
            call = self._call(one.name)
            call.traced.add(one)
            call.fresh = True

    def called(self, name: str, step: int, schedule: Schedule, *, due: bool) -> None:
        """Notes a call of `jaxlog.log` in a Python loop. Called on the thread of the program."""
        with self._lock:
            call = self._call(name)
            call.called += 1
            call.schedule = schedule
            call.skipped += not due
            if call.last_called is not None and step != call.last_called:
                spacing = abs(step - call.last_called)
                call.spacing = spacing if call.spacing is None else min(spacing, call.spacing)
            call.last_called = step

    def own_gates(self, name: str, num_lanes: int) -> None:
        """Notes that each lane of a call decides for itself whether it logs."""
        with self._lock:
            call = self._call(name)
            if num_lanes > 1 and "every" not in call.warned and not call.own_gates:
                alike = [t for t in call.traced if t.in_branch and not t.gated and not t.of_rest]
                call.own_gates = num_lanes if alike else 0

    def saw(self, event: MetricsEvent) -> None:
        """Checks an event. Called once for each event."""
        with self._lock:
            call = self._call(event.name)
            step = event.step
            if call.lowest is None or step < call.lowest:
                call.lowest = step
            if step < 0:
                self._warn_negative(call, event)
            elif (step + 1) * (self._per_update or 1) > LARGEST_STEP:
                self._warn_largest(call, event)
            elif call.counts and (total := call.total_updates) is not None and step >= total:
                self._warn_beyond(call, event, total)
            if call.own_gates:
                self._check_every_step(call, event)
            if "again" not in call.warned and call.counts:
                self._check_step_again(call, event)

    def recorded(self, name: str, step: int) -> None:
        """Notes that a recorder logged an episode."""
        with self._lock:
            call = self._call(name)
            call.lowest = step if call.lowest is None else min(step, call.lowest)

    def close(self) -> None:
        """Gives the warnings that only the end of a finished run allows."""
        with self._lock:
            self._warn_never_made()
            for name, call in self._calls.items():
                if call.lowest is None and call.fresh:
                    self._warn_nothing(call, name)
                elif call.skipped and call.spacing is not None and call.spacing > 1:
                    self._warn_skipped(call, name)
                if call.lowest == 1 and self._per_update is not None and not self._resumed:
                    self._warn_from_one(call, name)

    def _call(self, name: str) -> _Call:
        return self._calls.setdefault(name, _Call())

    def _check_every_step(self, call: _Call, event: MetricsEvent) -> None:
        """Warns of a call in a branch that logs at each step that is due, in all lanes alike."""
        if event.num_logged < call.own_gates:
            return  # the lanes differ, and log at different steps
        steps = call.first_steps
        steps.add(event.step)
        if len(steps) < _IN_A_ROW:
            return
        spacing, apart = divmod(max(steps) - min(steps), _IN_A_ROW - 1)
        if not apart and spacing in {one.frequency for one in call.traced if one.in_branch}:
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
        call.warned.add("every")
        call.own_gates = 0
        steps.clear()

    def _check_step_again(self, call: _Call, event: MetricsEvent) -> None:
        """Warns of a lane that logs a step again."""
        keys = tuple(event.keys)
        for lane in event.lane_numbers(_SIDE_BY_SIDE):
            identity = keys, lane
            ends = call.ends.get(identity)
            if ends is None:
                if len(call.ends) < _MOST_LANES:
                    call.ends[identity] = event.step, event.step
            elif event.step in ends:
                call.warned.add("again")
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
                    lane,
                )
                return
            elif event.step > ends[1]:
                call.ends[identity] = ends[0], event.step

    def _warn_negative(self, call: _Call, event: MetricsEvent) -> None:
        if self._first(call, "negative"):
            _log.warning(
                "jaxlog: run %s: the call %r logged the negative step %d (lane %d). An int32 that "
                "counts environment steps wraps at 2**31: pass the index of the update as step, "
                "and set env_steps_per_update; or count in uint32 or, with jax_enable_x64, in "
                "int64. Said once.",
                self._run,
                event.name,
                event.step,
                event.lane_numbers(1)[0],
            )

    def _warn_largest(self, call: _Call, event: MetricsEvent) -> None:
        if self._first(call, "largest"):
            _log.warning(
                "jaxlog: run %s: the call %r logged step %d (lane %d), and files hold no step and "
                "no env_step above 2**63 - 1: a larger step is written as this number, a larger "
                "env_step is left out. Pass the index of the update as step. Said once.",
                self._run,
                event.name,
                event.step,
                event.lane_numbers(1)[0],
            )

    def _warn_beyond(self, call: _Call, event: MetricsEvent, total_updates: int) -> None:
        if self._first(call, "beyond"):
            _log.warning(
                "jaxlog: run %s: the call %r logged step %d (lane %d), but steps count from 0, so "
                "that the last of total_updates=%d is %d. If its counter begins at 1, as "
                "TrainState.step does after apply_gradients, pass step - 1: env_step is that of "
                "one update too many. Else total_updates is too small. Said once.",
                self._run,
                event.name,
                event.step,
                event.lane_numbers(1)[0],
                total_updates,
                total_updates - 1,
            )

    def _warn_from_one(self, call: _Call, name: str) -> None:
        # If every step is due, the first step that was logged is the program's first.
        if is_evaluation(name):
            return  # it is not made at every update
        each = all(t.frequency == 1 and not (t.gated or t.in_branch) for t in call.traced)
        if call.traced and each and "beyond" not in call.warned:
            _log.warning(
                "jaxlog: run %s: the steps of the call %r begin at 1, and steps count from 0, so "
                "that env_step is that of one update too many. Pass step - 1.",
                self._run,
                name,
            )

    def _warn_nothing(self, call: _Call, name: str) -> None:
        often = max(t.frequency for t in call.traced)
        if any(t.of_episodes for t in call.traced):
            _log.warning(
                "jaxlog: run %s: the call %r of log_episodes logged no episode: at no step that is "
                "a multiple of %d had an episode ended that its recorder follows. Check that "
                "terminated and truncated mark the ends of episodes; let longest= end those that "
                "take longer than a run, or pass every= to log more often.",
                self._run,
                name,
                often,
            )
            return
        if often == 1 or all(t.of_rest for t in call.traced):
            return  # every step is due: the call did not run, or its `when` was false
        _log.warning(
            "jaxlog: run %s: the call %r was traced, and logged nothing. It logs at steps that are "
            "multiples of %d, and at the last of total_updates. If it is to log whenever it runs, "
            "pass every=1.",
            self._run,
            name,
            often,
        )

    def _warn_skipped(self, call: _Call, name: str) -> None:
        _log.warning(
            "jaxlog: run %s: the call %r was called %d times, at least %d steps apart, and %d of "
            "these were not logged: it logs at steps that are multiples of %d. If it is to log "
            "whenever it is called, pass every=1.",
            self._run,
            name,
            call.called,
            call.spacing,
            call.skipped,
            1 if call.schedule is None else call.schedule.log_frequency,
        )

    def _warn_never_made(self) -> None:
        """Warns of settings for calls that neither the programs nor Python made."""
        if not any(call.counts for call in self._calls.values()):
            return
        for setting, names in self._with_schedules.items():
            for name in names:
                if name not in self._calls:
                    _log.warning(
                        "jaxlog: run %s: %s has an entry for the call %r, which was never made; "
                        "the calls were: %s.",
                        self._run,
                        setting,
                        name,
                        ", ".join(sorted(self._calls)),
                    )

    def _first(self, call: _Call, kind: str) -> bool:
        first = kind not in call.warned
        call.warned.add(kind)
        return first
