"""Sends a run to a tracker: reads its events, and writes them with the tracker's sink."""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from jaxlog._errors import SendingError
from jaxlog._format.events import (
    EpisodeEvent,
    EvaluationEvent,
    Event,
    MetricsEvent,
    RunInfo,
    StepEvent,
)
from jaxlog._format.run_file import newer_format, total_updates
from jaxlog._host.retries import RetryPolicy
from jaxlog._reading.finding import check_run, event_files
from jaxlog._say import log as _log
from jaxlog._sending.moments import Moment, MomentReader
from jaxlog._sending.outcome import SentRun
from jaxlog._sending.place import SyncProgress, load, locked, save
from jaxlog._watching.lines import events_since
from jaxlog._watching.observed_run import ObservedRun, observed
from jaxlog.sinks import sink_class
from jaxlog.sinks.films import FilmedSettings
from jaxlog.sinks.sink import Sink, SinkSettings

CHUNK_SECONDS = 2.0
"""The seconds after which what was sent is saved, and the place noted."""
CHUNK = 10_000
"""The number of events after which it is, if that is sooner."""
PERIOD = 0.5
"""The seconds between two looks at a run that grows."""


def sent_each(
    directories: Sequence[Path], settings: SinkSettings, *, again: bool, follow: bool
) -> Iterator[SentRun | SendingError]:
    """Sends what is new in some runs, one after another; yields errors instead of outcomes."""
    for directory in directories:
        try:
            yield send(directory, settings, again=again, follow=follow)
        except SendingError as error:
            yield error


def send(
    directory: Path, settings: SinkSettings, *, again: bool = False, follow: bool = False
) -> SentRun:
    """Sends what is new in a run to a tracker.

    Args:
      directory: the directory of the run.
      settings: those of the tracker's sink.
      again: whether the whole run is sent as another run of the tracker, whatever was sent before.
      follow: whether to go on until a growing run ends.

    Raises:
      SendingError: the run was sent by a sink of its own, or with other settings; or the tracker
        refuses it. What was sent is noted, and the next call sends the rest.
      OSError: there is no run, or the place cannot be written.
    """
    check_run(directory)
    kind = settings.kind
    with locked(directory, kind):
        run = observed(directory)
        place, info = _begin(run, settings, again=again)
        sender = _Sender(run, sink_class(kind)(settings), place, info)
        return sender.send(follow=follow)


def _begin(
    run: ObservedRun, settings: SinkSettings, *, again: bool
) -> tuple[SyncProgress, RunInfo]:
    """The place at which sending goes on, and the facts for the sink."""
    kind, facts = settings.kind, run.facts
    run_id = str(facts.get("id", ""))
    if newer := newer_format(facts):
        raise SendingError(f"{run.path}: {newer}")
    digest = hashlib.sha256(settings.model_dump_json().encode()).hexdigest()[:16]
    known = load(run.path, kind)
    if known is not None and known.run != run_id:  # that of a run that this one replaced
        known = None
    own = [sink for sink in _sinks(facts) if sink == kind]
    if own and known is None and not again:
        raise SendingError(
            f"{run.path}: its own sink {kind} has sent it already; --again sends all of it once "
            "more, as another run"
        )
    if own and kind == "tensorboard" and run.may_log_more:
        raise SendingError(f"{run.path}: its own sink {kind} is still writing; wait for its end")
    if known is not None and known.settings != digest and not again:
        raise SendingError(
            f"{run.path}: was sent to {kind} with other settings, and rows of one run belong "
            "together; give the same settings, or --again to send all of it as another run"
        )
    offsets: dict[str, int] = {}
    resumes: dict[str, int] = {}
    if known is None or again:
        number = len(own) if known is None else known.number + 1
        place = SyncProgress(run_id, digest, number=number)
        if_exists = "replace" if kind == "tensorboard" else "error"
    else:
        offsets, changed = known.offsets(run.path)
        if not known.closed and not sink_class(kind).keeps_flushed:
            changed = [path.name for path in event_files(run.path)]  # all that is sent again
        resumes = _resumes(run, offsets, changed)
        place = replace(known, session=known.session + 1)
        if_exists = "resume"
    info = _info(run, kind, place, if_exists, resumes)
    return place, info


def _sinks(facts: Mapping[str, Any]) -> list[str]:
    """The kinds of the sinks that the run itself had, in any session."""
    earlier = facts.get("sessions")
    found: list[str] = []
    for one in [facts, *(earlier if isinstance(earlier, list) else [])]:
        settings = one.get("settings") if isinstance(one, Mapping) else None
        sinks = settings.get("sinks") if isinstance(settings, Mapping) else None
        for sink in sinks if isinstance(sinks, list) else []:
            if isinstance(sink, Mapping) and sink.get("mode") != "disabled":
                found.append(str(sink.get("kind")))
    return found


def _resumes(
    run: ObservedRun, offsets: Mapping[str, int], changed: Sequence[str]
) -> dict[str, int]:
    """The first step that is sent again of each call, from files that were cut back since."""
    found: dict[str, int] = {}
    for name in changed:
        path = run.path / name
        if not path.exists():
            continue
        event = next(events_since(path, offsets.get(name, 0), run.facts.get("calls")), None)
        if isinstance(event, MetricsEvent | EpisodeEvent):
            found[event.name] = min(event.step, found.get(event.name, event.step))
        elif isinstance(event, StepEvent):
            found["steps"] = event.step
    return found


def _info(
    run: ObservedRun, kind: str, place: SyncProgress, if_exists: str, resumes: Mapping[str, int]
) -> RunInfo:
    facts = run.facts
    config, settings, lanes = facts.get("config"), facts.get("settings"), facts.get("lanes")
    env_steps = settings.get("env_steps_per_update") if isinstance(settings, Mapping) else None
    status = "finished" if run.may_log_more else run.status
    return RunInfo(
        run.name,
        run.path,
        total_updates(facts),
        config if isinstance(config, Mapping) else {},
        run.tags,
        tuple(lanes) if isinstance(lanes, list) else (),
        id=place.run or "00000000",
        if_exists=if_exists,
        resumes_at=max(resumes.values()) if resumes else None,
        resumes=resumes,
        position=place.position if if_exists == "resume" else None,
        session=place.session,
        sink_number=place.number,
        sink_kinds=(kind,),
        env_steps_per_update=env_steps if isinstance(env_steps, int) else None,
        status=lambda: status,
    )


class _Sender:
    """Sends one run with one sink.

    Args:
      run: the run, as it was found.
      sink: not opened yet.
      place: at which sending goes on.
      info: for the sink.
    """

    def __init__(self, run: ObservedRun, sink: Sink, place: SyncProgress, info: RunInfo) -> None:
        self._run = run
        self._sink = sink
        self._kind: str = sink.settings.kind
        self._place = place
        self._info = info
        self._retries = RetryPolicy()
        self._num_events = 0
        self._warned = False
        self._is_open = False
        offsets, _ = place.offsets(run.path)
        self._offsets: Mapping[str, int] = offsets
        filmed = isinstance(sink.settings, FilmedSettings) and sink.settings.films > 0
        self._reader = MomentReader(run.path, run.facts, offsets, place.timed, recordings=filmed)

    def send(self, *, follow: bool) -> SentRun:
        """Sends what is new; returns what it was."""
        self._check()
        before = self._place.num_events
        try:
            growing = self._send_all(follow=follow)
            if not self._place.checkpoints:
                self._open()  # the first time, a run that logged nothing is sent, too
        except KeyboardInterrupt:
            self._close()
            raise
        except BaseException:
            if self._is_open:
                with contextlib.suppress(Exception):  # the first error says why
                    self._sink.close()
            raise
        self._close()
        return SentRun(self._run.path, self._kind, self._num_events, before, growing)

    def _check(self) -> None:
        try:
            self._sink.check(self._info)
        except (ImportError, ValueError, OSError) as error:
            raise SendingError(f"{self._run.path}: {error}") from error

    def _send_all(self, *, follow: bool) -> bool:
        """Sends everything that is there; returns whether the run may log more."""
        looks = 0
        while True:
            # Before the look: a run changes its status only after it has written all lines.
            run = observed(self._run.path)
            if run.facts.get("id") != self._run.facts.get("id"):
                raise SendingError(f"{run.path}: was replaced by another run; send that one")
            self._reader.learn(run.facts)
            self._send_new(ended=not run.may_log_more)
            looks += 1
            if not run.may_log_more or (not follow and looks > 1):
                return run.may_log_more
            # Two looks: the last event of a file is whole if the file has not grown meanwhile.
            time.sleep(PERIOD if follow else 0.1)

    def _send_new(self, *, ended: bool) -> None:
        began, number = time.monotonic(), 0
        for moment in self._reader.look(ended=ended):
            self._send(moment)
            number += len(moment.events)
            large = any(
                isinstance(event, EpisodeEvent) and event.recording is not None
                for event in moment.events
            )
            if large or number >= CHUNK or time.monotonic() - began > CHUNK_SECONDS:
                self._flush()
                began, number = time.monotonic(), 0
        if number:
            self._flush()

    def _open(self) -> None:
        """Opens the sink, if there is something for it."""
        if not self._is_open:
            # A later session then knows of this one, even if it is killed.
            save(self._run.path, self._kind, replace(self._place, closed=False))
            self._call("open", self._sink.open, self._info)
            self._is_open = True

    def _send(self, moment: Moment) -> None:
        self._open()
        for event in moment.events:
            self._write(event)
        self._num_events += len(moment.events)
        self._offsets = moment.read

    def _write(self, event: Event) -> None:
        sink = self._sink
        match event:
            case MetricsEvent():
                self._call("write", sink.write_metrics, event)
            case EpisodeEvent():
                self._call("write an episode", sink.write_episode, event)
            case StepEvent():
                self._call("write a step", sink.write_step, event)
            case EvaluationEvent():
                self._call("write an evaluation", sink.write_evaluation, event)
            case _:
                self._call("write a task", sink.write_task, event)

    def _flush(self) -> None:
        """Saves what was written, and notes the place if the tracker surely has it."""
        self._call("flush", self._sink.flush, patient=True)
        if self._sink.keeps_flushed:
            self._note()

    def _note(self, *, closed: bool = False) -> None:
        total = self._place.num_events + self._num_events
        position = self._sink.position()
        moved = self._place.moved(
            self._run.path, self._offsets, position, self._reader.timed, total
        )
        save(self._run.path, self._kind, replace(moved, closed=closed))

    def _close(self) -> None:
        if self._is_open:
            self._flush()
            self._call("close", self._sink.close)
            self._note(closed=True)

    def _call(
        self, action: str, method: Callable[..., None], *arguments: Any, patient: bool = False
    ) -> None:
        """Calls a method of the sink, again where the retries of a run would."""
        attempts = self._retries.begin(action, patient=patient)
        while True:
            try:
                method(*arguments)
            except Exception as error:
                wait = attempts.failed(error, closing=False)
                if wait is None:
                    raise SendingError(
                        f"{self._run.path}: the sink {self._kind} could not {action}: "
                        f"{type(error).__name__}: {error}. What it has saved is noted; run the "
                        "command again to send the rest"
                    ) from error
                if wait.in_outage and not self._warned:
                    self._warned = True
                    _log.warning(
                        "jaxlog: the sink %s cannot %s, and tries again: %r",
                        self._kind,
                        action,
                        error,
                    )
                time.sleep(wait.seconds)
            else:
                attempts.succeeded()
                return
