"""The engine of a run: takes records in, hands them to the sinks' threads, and ends the run."""

from __future__ import annotations

import dataclasses
import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import FrameType
from typing import Any

from jaxlog._format.delivery import Delivery
from jaxlog._format.events import Account, EpisodeEvent, Event, Labels, MetricsEvent, RunInfo
from jaxlog._format.lines import EPISODE
from jaxlog._format.names import check_call
from jaxlog._format.timing import Stopwatch
from jaxlog._host import process_hooks, signals
from jaxlog._host.arrival import Arrival
from jaxlog._host.arrived import ArrivedRecords
from jaxlog._host.companion import END_SECONDS, Companion, Companions, RunAccess
from jaxlog._host.crossing_access import CrossingAccess
from jaxlog._host.decode import Decoder, env_step
from jaxlog._host.decoding import SharedDecoding
from jaxlog._host.directory import Directory
from jaxlog._host.host_events import checked_step, metrics_event, num_bytes_of_arrays
from jaxlog._host.interrupt import Interrupt
from jaxlog._host.last_values import LastValues
from jaxlog._host.losses import account_facts, loss
from jaxlog._host.media import MediaTaker, without_media
from jaxlog._host.outcome import Outcome, status_of
from jaxlog._host.progress import Progress, State, nowhere, state_of
from jaxlog._host.run_json import RunJson
from jaxlog._host.shared_run import SharedRun
from jaxlog._host.single import SingleEnvironment
from jaxlog._host.watch import Watch
from jaxlog._host.worker import STEPS
from jaxlog._host.workers import Workers
from jaxlog._limits import flat
from jaxlog._say import log as _log
from jaxlog._text import counted
from jaxlog.sinks.sink import Sink

SETTLE_TIMEOUT = 60.0
"""Seconds that the end of a run waits for records between the program and the run."""


class Engine:
    """Runs the sinks of one run.

    Args:
      info: the run's info, for its sinks.
      sinks: not opened yet.
      decoders: the decoder of each call that the logger was traced with, by the call's number; it
        may grow while the run is open.
      crossing: the programs that log to the run.
      detach: called when the run takes no records any more.
      closed: called when all sinks are closed.
      directory: of the run; None for a run without files.
      facts: the facts that run.json has from the beginning.
      env_steps_per_update: environment steps in one update; None leaves `env_step` out.
      max_array_bytes: the setting, for arrays from plain Python.
      strict: whether `close` raises if a sink failed or lost records.
      writes: False for a run that leaves no trace: its sinks are not opened.
      watch: warns of calls that log something that is hardly meant.
      companions: work beside the sinks while the run is open.
      shared: the run as one of several processes sees it; None if it is of one process.

    Attributes:
      info: as given, and, once it is open, with the point from which a resumed run goes on.
      directory: as given.
      writes: as given.
      shared: as given.
      closed: whether the run takes no more records from plain Python.
      status: as in `RunInfo.status`.
    """

    def __init__(
        self,
        info: RunInfo,
        sinks: Sequence[Sink],
        decoders: Mapping[int, Decoder],
        crossing: CrossingAccess,
        *,
        detach: Callable[[], None],
        closed: Callable[[], None],
        directory: Directory | None,
        facts: Mapping[str, Any],
        env_steps_per_update: int | None,
        max_array_bytes: int,
        strict: bool,
        writes: bool,
        watch: Watch,
        companions: Sequence[Companion],
        shared: SharedRun | None,
    ) -> None:
        self.info = info
        self.directory = directory
        self.writes = writes
        self.shared = shared
        self._arrived = ArrivedRecords()
        self._interrupt = Interrupt(crossing)
        self.closed = False
        self._decoders = decoders
        self._crossing = crossing
        self._detach = detach
        self._when_closed = closed
        self._env_steps_per_update = env_steps_per_update
        self._max_array_bytes = max_array_bytes
        self._media = MediaTaker(max_array_bytes)
        self._strict = strict
        self._watch = watch
        self._last = LastValues()
        self._companions = Companions(companions, info.name)
        self._workers = Workers(sinks)
        self._progress = Progress(info.name)
        self._run_json: RunJson | None = None
        if directory is not None:
            self._run_json = RunJson(directory, facts, self._progress)
        self._outcome = Outcome(
            self._progress,
            self._workers,
            self._arrived,
            shared,
            info.total_updates,
            crossing.compile_seconds,
        )
        self._ending = threading.RLock()  # held by the thread that closes the run
        self.status = "running"
        self._ended = False

    def open(self, state: State | None, is_left_in: Callable[[FrameType], bool]) -> None:
        """Opens the sinks.

        Args:
          state: from which the run goes on, as `mark` returned it.
          is_left_in: as for `signals.watch`.
        """
        if not self.writes:
            return
        signals.watch(self, is_left_in, self._crossing.callback_around)
        try:
            with signals.uninterrupted():
                self._open(state)
        except BaseException as error:
            self._end(status_of(error), error)
            raise

    def _open(self, state: State | None) -> None:
        progress = self._progress
        if self.directory is not None and self._run_json is not None:
            self.info = progress.go_on(self.info, self.directory, state)
            if self.info.resumes_at is not None:
                self._run_json.cut(self.info.resumes)
            if self.info.session:
                self.info = dataclasses.replace(self.info, earlier=self._run_json.logged)
        progress.begin(time.time())
        info = dataclasses.replace(
            self.info, accounts=self._workers.accounts, status=lambda: self.status
        )
        infos = self._workers.infos(info, progress.positions)
        for sink, own in zip(self._workers.sinks, infos, strict=True):
            sink.check(own)
        # Nothing was changed so far: the user finds everything as it was.
        if self._run_json is not None:
            mark = None
            if state is not None and self.info.resumes_at is not None:
                mark = int(state["mark"])
            self._run_json.begin(mark)
        process_hooks.add(self)
        decoding = SharedDecoding(
            self.info.name,
            self._decoders,
            self.info.lanes,
            progress.lanes,
            self._watch,
            self._note,
            self._save,
            Stopwatch(progress.opened, progress.seconds_before, self._crossing.device_memory),
        )
        all_opened = self._workers.open(infos, decoding)
        process_hooks.close_first_at_exit()
        if self._strict and not all_opened:
            raise self._workers.error(self.info.name)
        self._companions.begin(
            RunAccess(
                self.info,
                self._add_facts,
                lambda: self._arrived.number,
                self._workers.accounts,
                self.hurry,
            )
        )

    def _add_facts(self, facts: Mapping[str, Any]) -> None:
        if self._run_json is not None:
            self._run_json.add(facts)

    @property
    def sinks(self) -> tuple[Sink, ...]:
        """The run's sinks, as given."""
        return self._workers.sinks

    @property
    def arrived(self) -> int:
        """The number of records that arrived, one for each lane."""
        self._crossing.settle(math.inf)
        return self._arrived.number

    @property
    def replayed(self) -> int:
        """The number of records that were dropped because JAX repeated them."""
        self._crossing.settle(math.inf)
        return self._arrived.replayed

    @property
    def single(self) -> SingleEnvironment:
        """The state of a single environment that is logged from Python."""
        return self._progress.single

    def receive(self, delivery: Delivery, timestamp: float, *, is_live: bool = True) -> None:
        """Takes one delivery in.

        Args:
          delivery: as it crossed.
          timestamp: when it arrived, in seconds since 1970 (UTC).
          is_live: False if the program returned it.
        """
        is_taken, fresh = self._arrived.receive(delivery)
        if not is_taken:
            return
        if fresh is not None and self._workers:
            waiting = len(self._workers)
            self._workers.put(Arrival(timestamp, fresh, waiting=waiting, is_live=is_live))
        self._interrupt.note_record()

    def lose(self, num_records: int) -> None:
        """Counts records that were lost between the program and the run."""
        self._arrived.add_lost(num_records)
        self._workers.lose(num_records)
        self._companions.note_loss(num_records)
        _log.warning(
            "jaxlog: run %s: %s lost between the program and the sinks: the queue between them "
            "stayed full. Look for a sink that hangs, or log less often.",
            self.info.name,
            counted(num_records, "record was", "records were"),
        )

    def take(self, event: Event, num_bytes: int | None = None) -> None:
        """Takes in one event that was made on the host, on the thread that made it.

        Args:
          event: to be written.
          num_bytes: the memory it takes, roughly; None for an event without arrays.
        """
        self._crossing.settle(5.0)  # records of a program that has finished come before
        arrival = Arrival(event.timestamp, None, event, num_bytes, len(self._workers))
        if self.writes and self._arrived.add(arrival.num_records):
            self._workers.put(arrival)

    def log(
        self,
        values: Any,
        *,
        step: int | None = None,
        labels: Labels | None = None,
        name: str,
        arrays: Any = None,
        total_updates: int | None = None,
    ) -> None:
        """Logs values from plain Python; as `Run.log`, or as `log` with its `total_updates`."""
        if self.closed and self.writes:
            raise RuntimeError("log: the run is closed; log inside of its `with` block")
        check_call(name)
        step = self.last_step() if step is None else checked_step(step)
        taken = env_step(step, self._env_steps_per_update)
        media: Mapping[str, Any] = {}
        if isinstance(values, Mapping):
            values, media = without_media(flat("values", values))
        event = metrics_event(
            name,
            step,
            taken,
            values,
            labels,
            self.info.lanes,
            self._lane_counts,
            arrays,
            self._max_array_bytes,
            partial(self._media.taken, name, media) if media and self.writes else None,
        )
        if total_updates is not None:
            event = dataclasses.replace(event, total_updates=total_updates)
        self.take(event, num_bytes_of_arrays(event))

    def _lane_counts(self, wanted: int) -> set[int]:
        """The numbers of lanes that `open(lanes=)` and the calls have; waits for more of these.

        Args:
          wanted: if this number is known already, nothing is waited for.
        """
        if not self.writes:
            return {wanted}

        def known() -> set[int]:
            found = self._arrived.vmapped_lane_counts
            return found | self._progress.lane_counts | {len(self.info.lanes)} - {0}

        if wanted not in known():
            self.flush()  # a call that was dispatched may have that number
        return known()

    def last_value(self, key: str, call: str | None) -> float:
        """The last value of a metric; as `Run.last`."""
        if self.shared is None:
            return self._last_value(key, call)
        self.flush()  # however long the program runs, the first process is as far
        subject = f"last({key!r})" if call is None else f"last({key!r}, call={call!r})"
        return float(self.shared.same(subject, lambda: repr(float(self._last_value(key, call)))))

    def _last_value(self, key: str, call: str | None) -> float:
        if not self.writes or not self._workers:
            raise LookupError(
                f"last: got {key!r} of a run that writes nothing; give the Logger a sink, such as "
                "{'kind': 'memory'}"
            )
        self.flush()
        return self._last.value(key, call)

    def last_step(self) -> int:
        """The last step that was logged, by a program or a single environment; waits for it."""
        self.flush()
        of_programs = [s for name, s in self._reached().items() if name not in (STEPS, EPISODE)]
        return max(self.single.last_step if not of_programs else max(of_programs), 0)

    def _reached(self) -> dict[str, int]:
        """The last step of each call."""
        return self._progress.reached(self._workers.steps())

    def accounts(self) -> list[Account]:
        """The records of each sink so far."""
        return self._workers.accounts()

    def flush(self) -> None:
        """Waits until everything that this thread has dispatched is written."""
        if not self.closed:
            self._crossing.barrier()
            self._workers.flush()

    def state(self) -> State:
        """The progress of the run; as `Run.state`."""
        if self.shared is None:
            return self._state()
        self.flush()

        def numbers() -> dict[str, int]:
            return {name: int(number) for name, number in self._state().items()}

        return state_of(**self.shared.same("state", numbers))

    def _state(self) -> State:
        if not self.writes:
            return nowhere()
        if self.closed:
            raise RuntimeError("state: the run is closed; take its state before")
        if self.directory is None:
            raise RuntimeError(
                "state: the run has no directory, so that it cannot go on from there; give one, as "
                "in logger.open('runs/first')"
            )
        return self.mark()

    def mark(self) -> State:
        """Flushes, and marks in the directory how far the run is."""
        assert self.directory is not None
        self._crossing.barrier()
        positions = self._workers.flush()
        state = self._progress.mark(self.info, self.directory, self._reached(), positions)
        self._companions.marked()
        return state

    def leave(self, error: BaseException | None) -> None:
        """Closes the run at the end of its block.

        Raises:
          KeyboardInterrupt: Ctrl-C has stopped the program, and JAX has made another error of it.
        """
        __tracebackhide__ = True  # IPython and pytest leave this frame out
        try:
            self.close(error)
        finally:
            self._interrupt.raise_at_end(error)

    def close(self, error: BaseException | None = None) -> None:
        """Closes the run; as `Run.close`."""
        with self._ending, signals.uninterrupted(self):
            if self._ended:
                return
            self.closed = True
            if isinstance(error, KeyboardInterrupt):
                self._interrupt.begin()  # a program that still runs need not go on
            ends_with = error
            if error is not None and self.shared is not None:
                self.shared.ended(status_of(error), error)  # the others may wait for this process
            try:
                self._crossing.barrier()
            except Exception as failed:  # the program raises it where its result is used
                ends_with = error or failed
            except KeyboardInterrupt as pressed:  # a second one, which does not wait
                ends_with = pressed
                raise
            finally:
                stopped = self._interrupt.has_stopped
                self._end("interrupted" if stopped else status_of(ends_with), ends_with)
        if self._strict and self._workers.have_failed:
            wrong = self._workers.error(self.info.name)
            if error is None:
                raise wrong
            error.add_note(str(wrong))

    def _end(self, status: str, error: BaseException | None) -> None:
        """Writes everything that arrived, closes the sinks, and writes the outcome."""
        try:
            try:
                self._crossing.settle(SETTLE_TIMEOUT)  # Ctrl-C may have ended the barrier
            finally:
                status = self._outcome.status(status, error, writes=self.writes)
                self.closed, self.status = True, status
                self._detach_once()
            self._workers.close()
        finally:
            if self.writes:
                self._companions.end(status, error, END_SECONDS)
                self._conclude(status, error)
                if status == "finished" and not self._workers.any_is_off:
                    self._watch.close()
                signals.unwatch(self)
            process_hooks.remove(self)
            self._when_closed()
            self._ended = True
            self._companions.closed()

    @property
    def stopped(self) -> bool:
        """True if a record has stopped the program because of Ctrl-C."""
        return self._interrupt.has_stopped

    def interrupt(self) -> None:
        """Has the next record stop the program. Called on the thread that hears of signals."""
        self._interrupt.begin()

    def forget_interrupt(self, *, leaving: bool) -> None:
        """As `Interrupt.forget`."""
        self._interrupt.forget(leaving=leaving)

    def hurry(self, seconds: float) -> None:
        """Writes everything that arrived; waits no longer than some seconds."""
        end = time.monotonic() + seconds
        self._crossing.settle(seconds / 2)
        self._workers.flush_until(end)

    def terminate(self, seconds: float) -> None:
        """Ends the run because the process ends; waits no longer than some seconds."""
        end = time.monotonic() + seconds
        self._crossing.settle(seconds / 2)
        self._arrived.end()
        # The last arrivals are on their way into the queues.
        self._workers.wait_for_arrivals(self._arrived.number - self._arrived.replayed, end)
        self.status = "terminated"
        self._workers.close_until(end)
        self._companions.end("terminated", None, max(0.0, end - time.monotonic()))
        self._conclude("terminated", None)
        self._companions.closed()

    def abandon(self) -> None:
        """Gives the run up in the child of a fork: it is the parent's."""
        self.closed = self._ended = True
        self.writes = False
        self._workers.abandon()
        self._arrived.abandon()
        self._ending = threading.RLock()
        self._companions.abandon()
        self._detach_once()
        self._when_closed()
        if self.directory is not None:
            self.directory.release()

    def _detach_once(self) -> None:
        """Detaches the run from its logger, and keeps no reference to it."""
        self._detach()
        self._detach = lambda: None
        self._interrupt.detach()

    def _conclude(self, status: str, error: BaseException | None) -> None:
        """Writes the outcome of the run."""
        if self.directory is not None and self._run_json is not None:
            failed = error is not None and not isinstance(error, SystemExit)
            resumed = self.directory.previous is not None
            if failed and not (self._arrived.number or self._progress.marked or resumed):
                self._run_json.forget()
            else:
                self._run_json.conclude(self._outcome.facts(status, error))
            self.directory.release()
        for account in self._workers.accounts():
            if account.arrived > account.written:
                _log.warning("jaxlog: run %s: %s", self.info.name, loss(account_facts(account)))

    def _note(self, events: Sequence[Event]) -> None:
        """Notes new events, before any sink has them."""
        self._last.note([event for event in events if isinstance(event, MetricsEvent)])
        for event in events:
            if isinstance(event, MetricsEvent):
                self._watch.saw(event)
                if self._run_json is not None:
                    self._run_json.note(event)
            elif isinstance(event, EpisodeEvent) and event.recording is not None:
                self._watch.recorded(event.name, event.step)
        self._companions.note(events)
        # At the end run.json is written in any case.
        if self._run_json is not None and not self.closed and self._progress.lanes.has_changed():
            self._run_json.note_lanes()

    def _save(self) -> None:
        # Before a sink writes new lanes: the process may be killed, and the run resumed.
        if self._run_json is not None:
            self._run_json.save_if_changed()
