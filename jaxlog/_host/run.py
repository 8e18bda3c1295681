"""One run: its directory, its sinks, and what became of its records."""

from __future__ import annotations

import atexit
import contextlib
import dataclasses
import math
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, overload

from jaxlog._errors import LoggingError
from jaxlog._format.events import Account, Event, Labels, MetricsEvent, RunInfo
from jaxlog._format.lines import EPISODE
from jaxlog._format.names import check_call
from jaxlog._format.run_file import FORMAT
from jaxlog._format.schema import Delivery
from jaxlog._host import signals
from jaxlog._host.decode import Decoder, env_step
from jaxlog._host.directory import RUN_FILE, Directory
from jaxlog._host.facts import account, iso, loss, status, text
from jaxlog._host.given import checked_step, metrics_event
from jaxlog._host.logged import Logged
from jaxlog._host.outage import waited_out
from jaxlog._host.progress import LANE_LABELS, Positions, Progress, State, nowhere
from jaxlog._host.redaction import redacted
from jaxlog._host.replays import Replays
from jaxlog._host.single import SingleEnvironment
from jaxlog._host.watch import Watch
from jaxlog._host.worker import STEPS, Arrival, Ready, Worker
from jaxlog._other_loggers import OF_RUN, refuse_foreign
from jaxlog._say import log as _log
from jaxlog.sinks.sink import Sink, kind_of

if TYPE_CHECKING:
    from jaxlog.sinks.memory import MemorySink


class Run:
    """An open run. `Logger.open` makes it; it is a context manager, and can be closed by hand.

    Args:
      info: what sinks are told.
      sinks: not opened yet.
      decoder: the decoder for a call's number; raises LookupError for a call that the logger was
        not traced with.
      barrier: waits until the callbacks of all that this thread has dispatched have run.
      detach: called when it takes no records any more.
      directory: where it keeps what is known of it; None for a run without files.
      state: from which it goes on, as `state` returned it.
      facts: what run.json says from the beginning.
      env_steps_per_update: for `env_step`; None leaves it out.
      strict: whether to raise, at the end, what went wrong.
      writes: False for a run that leaves no trace: its sinks are not opened.
      watch: says what is logged that can hardly be meant.

    Attributes:
      info: as given.
      writes: as given.
      arrived: how many records came: each lane's for one.
    """

    def __init__(
        self,
        info: RunInfo,
        sinks: Sequence[Sink],
        decoder: Callable[[int], Decoder],
        *,
        barrier: Callable[[], None] = lambda: None,
        detach: Callable[[], None] = lambda: None,
        directory: Directory | None = None,
        state: State | None = None,
        facts: Mapping[str, Any] | None = None,
        env_steps_per_update: int | None = None,
        strict: bool = False,
        writes: bool = True,
        watch: Watch | None = None,
    ) -> None:
        self.info = info
        self.writes = writes
        self.arrived = 0
        self._sinks = tuple(sinks)
        self._workers: list[Worker] = []
        self._decoder = decoder
        self._barrier = barrier
        self._detach = detach
        self._directory = directory
        self._facts = {"format": FORMAT, **(facts or {})}
        self._saving = threading.Lock()
        self._concluded = False
        self._strict = strict
        self._lock = threading.Lock()
        self._ending = threading.RLock()  # held by who closes it
        self._env_steps_per_update = env_steps_per_update
        self._replays = Replays()
        self._progress = Progress(info.name)
        self._logged = Logged({})
        self._watch = Watch(info.name) if watch is None else watch
        self._said_lanes = False
        self._lanes: set[tuple[int, ...]] = set()  # the lanes of the deliveries that came
        self._status = "running"
        self._closed = False
        self._ended = False
        self._terminated = False
        self._stopping = False  # the next record stops the program
        self._stopped = False  # one has, or Ctrl-C came while the block was left
        if not writes:
            return
        signals.watch(self, Run.__exit__.__code__)
        try:
            with signals.uninterrupted():
                self._open(state)
        except BaseException as error:
            self._end(status(error), error)
            raise

    def _open(self, state: State | None) -> None:
        progress, directory = self._progress, self._directory
        if directory is not None:
            self.info = progress.go_on(self.info, directory, state)
            self._logged = Logged(directory.previous or {})
            if self.info.resumes_at is not None:
                self._logged.tally.cut(self.info.resumes)
        infos = [
            dataclasses.replace(
                self.info,
                position=progress.positions.get(_key(self._sinks, sink)),
                sink_number=_number(self._sinks, sink),
                accounts=self.accounts,
                status=lambda: self._status,
            )
            for sink in self._sinks
        ]
        for sink, own in zip(self._sinks, infos, strict=True):
            sink.check(own)
        # Nothing was changed so far: what the user has to mend is as it was.
        if directory is not None:
            if directory.previous is not None:
                self._facts |= {"sessions": progress.sessions, **progress.facts(progress.steps)}
            begins = {"status": "running", "started": iso(time.time()), "pid": os.getpid()}
            mark = None
            if state is not None and self.info.resumes_at is not None:
                mark = int(state["mark"])
            directory.begin(self._facts | begins | self._logged.facts(), mark)
            self._facts |= begins
        _open_runs.append(self)
        self._workers = [
            Worker(sink, own, self._decode, partial(self._note, number))
            for number, (sink, own) in enumerate(zip(self._sinks, infos, strict=True))
        ]
        opened = [worker.wait_until_open() for worker in self._workers]
        # What a sink has Python do at its end (W&B does) is done after the run is closed.
        atexit.unregister(_close_all)
        atexit.register(_close_all)
        if self._strict and not all(opened):
            raise self._what_went_wrong()

    @property
    def replayed(self) -> int:
        """How many records, each that of one lane, were dropped because JAX repeated them.

        A `while_loop` under `vmap` goes on running lanes that have ended. Only a record that is
        equal, bit for bit, to the one before it of the same call and lane is dropped, and only
        where another lane has advanced; an evaluation that is repeated is kept.
        """
        return self._replays.count

    @property
    def _single(self) -> SingleEnvironment:
        """What a single environment has told."""
        return self._progress.single

    if not TYPE_CHECKING:  # type checkers would take any name

        def __getattr__(self, name: str) -> Any:
            refuse_foreign("a Run", name, OF_RUN)
            return object.__getattribute__(self, name)  # Python's error

    @property
    def directory(self) -> Path | None:
        """Where its files are; None for a run without files."""
        return self.info.directory

    @overload
    def sink(self, kind: Literal["memory"]) -> MemorySink: ...
    @overload
    def sink(self, kind: str) -> Sink: ...
    def sink(self, kind: str) -> Sink:
        """The sink of a kind, to read what it holds: `run.sink("memory").metrics`.

        Raises:
          LookupError: the run has no such sink.
        """
        for sink in self._sinks:
            if kind_of(sink) == kind:
                return sink
        raise LookupError(
            f"got {kind!r}, but this run's sinks are: "
            f"{', '.join(map(kind_of, self._sinks)) or 'none'}"
        )

    def _receive(self, delivery: Delivery) -> None:
        """Takes one delivery in, on XLA's thread.

        Raises:
          KeyboardInterrupt: Ctrl-C was pressed, and this is the way to stop the program.
        """
        num_records = delivery.num_records
        with self._lock:
            if self._terminated:
                return
            self.arrived += num_records
            self._lanes.add(delivery.lanes)
            fresh = self._replays.take_out(delivery)
        if fresh:
            self._hand_on((time.time(), delivery))
        if self._stopping:
            self._stopped = True
            if threading.current_thread() is threading.main_thread():
                self._stopping = False  # it is this program's, and nobody else will know
            raise KeyboardInterrupt("Ctrl-C: jaxlog stops the program at this record")

    def _take(self, event: Event, num_bytes: int = 512) -> None:
        """Takes in one event that was made on the host, on the thread that made it."""
        num_records = len(event.lanes) if isinstance(event, MetricsEvent) else 1
        with self._lock:
            if self._terminated or not self.writes:
                return
            self.arrived += num_records
        self._hand_on((event.timestamp, Ready(event, num_records, num_bytes, self._progress.lanes)))

    def _hand_on(self, arrival: Arrival) -> None:
        for worker in self._workers:
            worker.put(arrival)

    def log(
        self,
        values: Mapping[str, Any],
        *,
        step: int | None = None,
        labels: Labels | None = None,
        name: str = "eval",
    ) -> None:
        """Logs some values from plain Python, now: those of a final evaluation, say.

        Inside of a program, and where not every step is to be logged, it is `jaxlog.log`.

        Args:
          values: numbers by name, from Python, NumPy or JAX; or arrays of a number for each lane.
            Each lane then gets a line of its own. The run has to have so many lanes: those that a
            program logged under `vmap`, or those that `open` was given labels for.
          step: under which they are logged; if None, the last that was logged, which is waited for.
          labels: that name them, beside those that `open` was given for their lanes.
          name: stands before the keys, and in the file's name.

        Raises:
          RuntimeError: the run is closed.
          TypeError: a value is no number, a label neither number nor text, the step no integer.
          ValueError: arrays are not of one length, or their length is not the run's number of
            lanes; the name cannot be one; the step is negative; or no file can hold a key or an
            integer.

        >>> import jaxlog
        >>> logger = jaxlog.Logger({"sinks": [{"kind": "memory"}]})
        >>> with logger.open(lanes=[{"seed": 0}, {"seed": 1}]) as run:
        ...     run.log({"return": [487.0, 500.0]}, step=299)
        >>> [lane.metrics["return"].item() for lane in run.sink("memory").metrics[0].lanes]
        [487.0, 500.0]
        """
        if self._closed and self.writes:
            raise RuntimeError("log: the run is closed; log inside of its `with` block")
        check_call(name)
        step = self._last_step() if step is None else checked_step(step)
        taken = env_step(step, self._env_steps_per_update)
        lanes, counts = self.info.lanes, self._lane_counts
        self._take(metrics_event(name, step, taken, values, labels, lanes, counts))

    def _lane_counts(self, wanted: int) -> set[int]:
        """How many lanes the run has, by `open(lanes=)` and by its calls; waits for more of these.

        Args:
          wanted: with these, nothing is waited for.
        """
        if not self.writes:
            return {wanted}

        def known() -> set[int]:
            found = {math.prod(lanes) for lanes in list(self._lanes) if lanes}
            return found | self._progress.lane_counts | {len(self.info.lanes)} - {0}

        if wanted not in known():
            self.flush()  # what was dispatched may have told
        return known()

    def _last_step(self) -> int:
        """The last that was logged, of a program or of a single environment; waits for it."""
        self.flush()
        of_programs = [s for name, s in self._reached().items() if name not in (STEPS, EPISODE)]
        return max(self._single.last_step if not of_programs else max(of_programs), 0)

    def _reached(self) -> dict[str, int]:
        """The last step of each call."""
        return self._progress.reached(worker.steps for worker in self._workers)

    def accounts(self) -> list[Account]:
        """What has become of the records so far, sink by sink."""
        return [worker.account for worker in self._workers]

    def flush(self) -> None:
        """Waits for all that this thread has dispatched, and until all that arrived is written."""
        if not self._closed:
            self._barrier()
            self._positions()

    def state(self) -> State:
        """Where the run is: a small pytree to store beside the train state.

        It waits as `flush` does. `Logger.open(directory, if_exists="resume", state=...)` goes on
        from here: what was logged later is dropped from the files, to be logged again.

        Returns:
          Two NumPy arrays, which Orbax stores, as other checkpointers do. Its structure is always
          the same; of a run that writes nothing, or cannot keep its place (which is warned of),
          its values are 0.

        Raises:
          RuntimeError: the run is closed, or has no directory.
        """
        if not self.writes:
            return nowhere()
        if self._closed:
            raise RuntimeError("state: the run is closed; take its state before")
        if self._directory is None:
            raise RuntimeError(
                "state: the run has no directory, so that it cannot go on from there; give one, as "
                "in logger.open('runs/first')"
            )
        self._barrier()
        positions = self._positions()
        return self._progress.mark(self.info, self._directory, self._reached(), positions)

    def _positions(self) -> Positions:
        """Where each sink is, when all that is queued is written."""
        asked = [(worker, worker.ask()) for worker in self._workers]
        return {
            _key(self._sinks, worker.sink): worker.answer(question) for worker, question in asked
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            self.close(error)
        finally:
            if self._stopped and not isinstance(error, KeyboardInterrupt):
                raise KeyboardInterrupt from error  # what JAX has made of it

    def close(self, error: BaseException | None = None) -> None:
        """Waits for the program, writes all that arrived, and closes the sinks.

        What this thread has dispatched is waited for, unless Ctrl-C ends the run. A run that ended
        with an error before anything arrived gives its directory free again. Closed twice, it does
        nothing more. Ctrl-C waits for it to be done, unless it comes twice.

        Args:
          error: what ended the run, if not its end.

        Raises:
          LoggingError: with `strict: true`, what went wrong with logging; where an error of the
            program's own ends the run, it is added to that as a note.
        """
        with self._ending, signals.uninterrupted(self):
            if self._ended:
                return
            self._closed = True
            if isinstance(error, KeyboardInterrupt):
                self._stopping = True  # what still runs need not go on
            ends_with = error
            try:
                self._barrier()
            except Exception as failed:  # the program tells where its result is used
                ends_with = error or failed
            finally:
                self._end("interrupted" if self._stopped else status(ends_with), ends_with)
        if self._strict and any(worker.lost or worker.failure for worker in self._workers):
            wrong = self._what_went_wrong()
            if error is None:
                raise wrong
            error.add_note(str(wrong))

    def _end(self, status: str, error: BaseException | None) -> None:
        """Writes all that arrived; says what was lost, if anything was."""
        self._closed, self._status = True, status
        self._let_go()
        try:
            for worker in self._workers:
                worker.begin_close()
            for worker in self._workers:
                worker.close()
        finally:
            if self.writes:
                self._conclude(status, error)
                if status == "finished" and not any(w.is_off for w in self._workers):
                    self._watch.close()
                signals.unwatch(self)
            with contextlib.suppress(ValueError):
                _open_runs.remove(self)
            self._ended = True

    def _interrupt(self) -> None:
        """Lets the next record stop the program, on the thread that is told of signals."""
        self._stopping = True

    def _forget_interrupt(self, *, leaving: bool) -> None:
        """Python itself has seen the interrupt."""
        self._stopping = False
        self._stopped = leaving

    def _hurry(self, seconds: float) -> None:
        """Writes all that arrived, but waits no longer for it."""
        end = time.monotonic() + seconds
        for question in [worker.ask() for worker in self._workers]:
            question.answered.wait(max(0.0, end - time.monotonic()))

    def _terminate(self, seconds: float) -> None:
        """Ends the run, since the process ends; waits no longer for it."""
        end = time.monotonic() + seconds
        with self._lock:
            self._terminated = True
        # What arrived just now is on its way into the queues.
        while time.monotonic() < end and any(
            worker.arrived < self.arrived - self.replayed for worker in self._workers
        ):
            time.sleep(0.001)
        self._status = "terminated"
        for worker in self._workers:
            worker.begin_close()
        for worker in self._workers:
            worker.wait(max(0.0, end - time.monotonic()))
        self._conclude("terminated", None)

    def _abandon(self) -> None:
        """Forgets all, in the child of a fork: the run is its parent's."""
        self._closed = self._ended = True
        self.writes = False
        self._workers = []
        self._lock, self._ending = threading.Lock(), threading.RLock()
        self._let_go()
        if self._directory is not None:
            self._directory.release()

    def _let_go(self) -> None:
        """Tells the logger, and keeps no reference to it."""
        self._detach()
        self._detach = lambda: None

    def _conclude(self, status: str, error: BaseException | None) -> None:
        """Writes what became of the run."""
        resumed = self._directory is not None and self._directory.previous is not None
        fails = error is not None and not isinstance(error, SystemExit)
        nothing = fails and not (self.arrived or self._progress.marked or resumed)
        if nothing and self._directory is not None:
            if "status" in self._facts:  # else what is there is of another run
                with self._saving, contextlib.suppress(OSError):
                    self._concluded = True
                    self._directory.forget()
        elif "status" in self._facts:
            self._facts |= {
                "status": status,
                "ended": iso(time.time()),
                "arrived": self.arrived,
                "replayed": self.replayed,
                "sinks": [account(worker) for worker in self._workers],
            }
            self._facts.pop(LANE_LABELS, None)
            self._facts |= self._progress.facts(self._reached())
            if counts := self._progress.lane_counts | {math.prod(lanes) for lanes in self._lanes}:
                self._facts["lane_counts"] = sorted(counts)
            if error is not None:
                self._facts["error"] = redacted(text(f"{type(error).__name__}: {error}"))
            try:
                waited_out(lambda: self._save(last=True))
            except OSError as failed:
                _log.warning("jaxlog: %s could not be written: %s", RUN_FILE, failed)
        if self._directory is not None:
            self._directory.release()
        for worker in self._workers:
            if worker.lost:
                _log.warning("jaxlog: run %s: %s", self.info.name, loss(account(worker)))

    def _what_went_wrong(self) -> LoggingError:
        wrong = [w for w in self._workers if w.lost or w.failure]
        error = LoggingError(f"run {self.info.name}: " + "; ".join(loss(account(w)) for w in wrong))
        causes = [cause for worker in wrong for cause in worker.errors.values()]
        if causes:
            error.__cause__ = BaseExceptionGroup("what the sinks raised", causes)
        return error

    def _decode(self, arrivals: Sequence[tuple[float, Delivery]]) -> list[list[Event]]:
        decoder, labels = self._decoder(arrivals[0][1].call_number), self.info.lanes
        lanes = arrivals[0][1].lanes
        if labels and math.prod(lanes) != len(labels):
            if lanes and not self._said_lanes:  # a call outside of the vmap has no lanes
                self._said_lanes = True
                _log.warning(
                    "jaxlog: run %s: the call %r logs %d lanes, but open(lanes=...) got labels for "
                    "%d; its lines go without these. Said once.",
                    self.info.name,
                    decoder.schema.name,
                    math.prod(lanes),
                    len(labels),
                )
            labels = ()
        if arrivals[0][1].own_gates:
            self._watch.own_gates(decoder.schema.name, math.prod(lanes))
        table = self._progress.lanes
        events = decoder.events(arrivals, labels, table)
        if self._directory is not None and not self._closed and table.has_changed():
            # Before a sink writes these lanes: the run may be killed, and go on.
            self._facts[LANE_LABELS] = table.facts()
            with contextlib.suppress(OSError):  # it is tried again at the next, and at the end
                self._save()
        return events

    def _note(self, number: int, event: Event) -> None:
        """Notes what run.json says about an event, on the thread of the sink of a number.

        Each sink has the event: that of the first that is not off counts.
        """
        if not isinstance(event, MetricsEvent):
            return
        if any(not worker.is_off for worker in self._workers[:number]):
            return
        self._watch.saw(event, number)
        if self._logged.add(event):
            with contextlib.suppress(OSError):  # tried again when the run is closed
                self._save()

    def _save(self, *, last: bool = False) -> None:
        # Whoever comes second has the later facts.
        with self._saving:
            if self._directory is not None and not self._concluded:
                self._directory.save(self._facts | self._logged.facts())
            self._concluded = self._concluded or last


_open_runs: list[Run] = []


def names_of_open_runs() -> list[str]:
    """The names of the runs of this process that are open, of all loggers."""
    return [run.info.name for run in list(_open_runs)]


@atexit.register
def _close_all() -> None:
    """Closes what nobody has closed when the program ends."""
    ended_by = None if hasattr(sys, "ps1") else getattr(sys, "last_value", None)
    for run in list(_open_runs):
        try:
            run.close(ended_by)
        except Exception as error:
            _log.error("jaxlog: run %s: %s", run.info.name, error)


def _abandon_all() -> None:
    for run in list(_open_runs):
        run._abandon()
    _open_runs.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_abandon_all)


def _key(sinks: Sequence[Sink], sink: Sink) -> str:
    """A sink's name among those of a run, the same when the run goes on: `jsonl`, `jsonl.1`, ..."""
    number = _number(sinks, sink)
    return f"{kind_of(sink)}.{number}" if number else kind_of(sink)


def _number(sinks: Sequence[Sink], sink: Sink) -> int:
    """How many sinks of its kind a run has before it."""
    alike = [other for other in sinks if kind_of(other) == kind_of(sink)]
    return next(number for number, other in enumerate(alike) if other is sink)
