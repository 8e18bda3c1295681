"""The logger, with which programs are traced and on which runs are opened."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import jax
from jax.core import Tracer

from jaxlog._companions import companions_of
from jaxlog._crossing import delivery as crossing
from jaxlog._crossing.delivery import attach, barrier, devices
from jaxlog._crossing.jax_private import callback_around, tracing
from jaxlog._crossing.processes import joined, local
from jaxlog._format.delivery import Delivery
from jaxlog._format.schedule import Schedule
from jaxlog._format.schema import Schema
from jaxlog._former_names import former_argument, former_keyword, warn_former_name
from jaxlog._host.companion import Companion
from jaxlog._host.crossing_access import CrossingAccess
from jaxlog._host.decode import Decoder
from jaxlog._host.directory import IfExists
from jaxlog._host.engine import Engine
from jaxlog._host.facts import facts
from jaxlog._host.process_hooks import names_of_open_runs
from jaxlog._host.progress import State
from jaxlog._host.returned import deliveries, merged
from jaxlog._host.run import Run
from jaxlog._host.shared_run import SharedRun
from jaxlog._host.watch import Traced, Watch
from jaxlog._opening import RunPlace, RunRequest, opened
from jaxlog._other_loggers import OF_LOGGER, refuse_foreign
from jaxlog._program.record import Record
from jaxlog._say import log as _log
from jaxlog._settings import (
    LoggingConfig,
    SettingsDict,
    load_config,
    native_crossing,
    switched_on,
)
from jaxlog._single_environment import SingleEnvironmentLog


@former_keyword("config", "settings")
class Logger(SingleEnvironmentLog):
    """Connects compiled programs to the run that is open while they run.

    Creating a logger opens nothing. Trace a program with it once; each time the program is called,
    it logs to the run that is open then. Loggers compare by identity, and may be static arguments
    of `jax.jit`.

    Args:
      settings: the settings of logging: a `LoggingConfig`, or what `load_config` takes, such as the
        path of a YAML file or a dict.
      total_updates: the number of updates of a run, if known. The last update is then always
        logged, and displays show the progress.
      name: the name of this logger in messages, and of its runs that have neither a name nor a
        directory.
      total_steps: the former name of `total_updates`; it works for one more release.

    Raises:
      ConfigError: the settings cannot be used.
      RuntimeError: it is called in a function that JAX traces.
      TypeError: `total_updates` is not an int, or is also passed by its former name.
      ValueError: `total_updates` is below 1 or above 2^31 - 1.

    >>> logger = Logger({"sinks": [{"kind": "memory"}]})
    >>> with logger.open() as run:
    ...     pass
    >>> run.sink("memory").metrics
    []
    """

    def __init__(
        self,
        settings: LoggingConfig | str | os.PathLike[str] | SettingsDict | Mapping[str, Any],
        *,
        total_updates: int | None = None,
        name: str = "jaxlog",
        total_steps: int | None = None,
    ) -> None:
        total_updates = former_argument(
            "Logger", "total_steps", "total_updates", total_steps, total_updates
        )
        if total_updates is not None:
            if isinstance(total_updates, bool) or not isinstance(total_updates, int):
                raise TypeError(
                    f"total_updates: got {total_updates!r}, expected a Python int or None"
                )
            if not 1 <= total_updates < 2**31:
                raise ValueError(f"total_updates: got {total_updates}, expected 1 to 2**31 - 1")
        _refuse_tracing("Logger: is made")
        self.settings = load_config(settings)
        self.total_updates = total_updates
        self.name = name
        self._handle = attach(name, self, native=native_crossing())
        self._decoders: dict[int, Decoder] = {}
        self._traced: set[Traced] = set()
        self._schedules: dict[tuple[str, int | None, int | None], Schedule] = {}
        self._said: set[str] = set()
        self._watch: Watch | None = None  # that of the open run
        self.enabled = self.settings.batched_logging_enabled and switched_on()
        self._engine: Engine | None = None  # that of the open run
        self._lock = threading.Lock()  # held while a run is opened, which may take seconds
        self._dropping = threading.Lock()
        self._dropped = 0
        self._opened = 0  # how many runs
        self._wrote = False

    @property
    def total_steps(self) -> int | None:
        """The former name of `total_updates`, with a `DeprecationWarning`."""
        warn_former_name("Logger.total_steps", "Logger.total_updates")
        return self.total_updates

    if not TYPE_CHECKING:  # type checkers would take any name

        def __getattr__(self, name: str) -> Any:
            refuse_foreign("a Logger", name, OF_LOGGER)
            return object.__getattribute__(self, name)  # Python's error

    def __copy__(self) -> Logger:
        return self  # compiled programs have a reference to this object, not to a copy

    def __deepcopy__(self, memo: dict[int, Any]) -> Logger:
        return self

    def __reduce__(self) -> Any:
        return partial(Logger, total_updates=self.total_updates, name=self.name), (self.settings,)

    def __repr__(self) -> str:
        return f"<jaxlog.Logger {self.name!r}>"

    def open(
        self,
        directory: str | os.PathLike[str] | None = None,
        *,
        config: Any = None,
        name: str | None = None,
        tags: Sequence[str] = (),
        lanes: Sequence[Mapping[str, Any]] | None = None,
        if_exists: IfExists = "error",
        state: State | None = None,
    ) -> Run:
        """Opens a run, which lasts until its `with` block is left or its `close` is called.

        Leaving the block, also by an exception, waits for all programs that this thread dispatched,
        writes all records, and closes the sinks. Ctrl-C stops a compiled program at its next record
        and raises `KeyboardInterrupt`. SIGTERM ends the process as usual, after all records that
        arrived are written. A run that is still open when Python exits is closed then.

        If several processes train together (`jax.distributed`), all of them open the run, and only
        the first one writes it. The others join it: they wait until it is open, have its name and
        its directory, and raise the same error if it cannot be opened. With `JAXLOG=off` in the
        environment, the run writes nothing.

        Args:
          directory: the directory for the run's files, a local path. It is created if it does not
            exist, and `~` is expanded. May be left out if no sink writes files. Or an address in a
            store, like `s3://bucket/runs/first`: the run is then kept in a temporary directory and
            uploaded while it trains, every `mirror_seconds` of the settings and when it is closed,
            by a thread of its own (docs/guides/object_stores.md). Addresses need the extra `cloud`.
          config: your hyper-parameters, stored with the run and passed to its sinks: a dict or
            another mapping, a dataclass, a named tuple, an `argparse.Namespace`, a pydantic model,
            or a node of OmegaConf. Scalars of NumPy and JAX become numbers, arrays become lists,
            functions and classes become their names. Secrets are left out, with one warning: values
            under names like `api_key`, `hf_token` or `db_password`, and secrets inside of texts.
          name: the name of the run; None takes the name of the directory.
          tags: words to find the run by.
          lanes: one dict of labels per lane, in the order of the lanes' numbers, for labels that
            cannot be traced, such as texts: `[{"env": "CartPole"}, {"env": "Acrobot"}]`. If the
            program passes a label of the same name, the program's label is used.
          if_exists: what to do if the directory already has a run: `error` refuses, `replace`
            deletes it, `resume` continues it. In a directory without a run, each of them starts a
            new one. `next` never touches what is there: if `runs/x` is not empty, the run is in
            `runs/x-2`, or `runs/x-8` if the highest number there is 7, also if several processes
            open runs at once; `run.directory` says where.
          state: with `resume`, the `Run.state` that was stored with the train state. The run
            continues from there; lines that it logged later are dropped, because the program logs
            them again. Without `state`, the run continues at its end.

        Raises:
          RuntimeError: this logger has an open run (for two at a time, make two loggers), a sink
            object of the settings is in use by another open run, or it is called in a function that
            JAX traces.
          OSError: the directory already has a run, has one that is still open, or cannot be
            written; or the same of a store.
          TypeError: `config`, `tags` or `lanes` has the wrong type. As with every error that is
            raised before the sinks open, nothing has been changed.
          ValueError: a sink of the settings writes files and there is no directory; the directory
            is an address with credentials in it, or not that of a store; `state` belongs to another
            run; or `config`, `tags` or `lanes` has a value that no file can hold, such as an
            integer of more than 64 bits.
          LoggingError: with `strict: true`, a sink does not open.

        >>> logger = Logger({"sinks": [{"kind": "memory"}]})
        >>> with logger.open(config={"learning_rate": 3e-4}, name="first") as run:
        ...     pass
        >>> run.info.name, run.info.config["learning_rate"]
        ('first', 0.0003)
        """
        _refuse_tracing("open: is called")
        request = RunRequest.of(
            self.settings,
            self.name,
            self.total_updates,
            directory,
            config=config,
            name=name,
            tags=tags,
            lanes=lanes,
            if_exists=if_exists,
            state=state,
        )
        shared = self._shared_run()
        writes = switched_on() and (shared is None or shared.is_first)
        crossing.start()  # it may have ended in a fork
        crossing.stop(self._handle, False)
        crossing.settle()  # records that arrived before are not this run's
        opening = contextlib.nullcontext() if shared is None else shared.opening()
        with opening, self._lock:
            if self._engine is not None:
                raise RuntimeError(
                    f"{self!r} has the run {self._engine.info.name!r} open; leave its `with` "
                    "block, or call its close(), first, or make a second Logger for a run at the "
                    "same time"
                )
            place = RunPlace(request, self.settings.mirror_seconds, writes=writes, shared=shared)
            try:
                watch = Watch(
                    place.info.name,
                    self._traced,
                    env_steps_per_update=self.settings.env_steps_per_update,
                    resumed=place.resumes,
                    with_schedules=self.settings.calls_with_schedules,
                )
                engine = self._engine_of(request, place, watch, writes=writes, shared=shared)
                run = Run(engine, state, address=place.address)
                self._engine = engine
                if shared is not None and shared.is_first:
                    shared.tell("open", opened(run.info))
            except BaseException:
                place.leave()
                raise
            self._wrote = False
            self._watch = watch if writes else None
        if writes:
            request.warn_of_secrets()
        return run

    def _engine_of(
        self,
        request: RunRequest,
        place: RunPlace,
        watch: Watch,
        *,
        writes: bool,
        shared: SharedRun | None,
    ) -> Engine:
        """The engine of a run, which is not open yet."""
        companions: list[Companion] = []
        if writes:
            has_directory = place.directory is not None
            companions = companions_of(self.settings, has_directory=has_directory, shared=shared)
            if place.stored is not None:
                companions.insert(0, place.stored.mirror)  # it ends last
        return Engine(
            place.info,
            request.sinks,
            self._decoders,
            CrossingAccess(
                barrier=barrier,
                settle=crossing.settle,
                stop=partial(crossing.stop, self._handle),
                callback_around=callback_around,
                is_of_interrupt=crossing.is_of_interrupt,
                device_memory=crossing.DeviceMemory(),
                compile_seconds=crossing.compile_seconds,
            ),
            detach=self._detach,
            closed=place.release_objects,
            directory=place.directory,
            facts={} if place.directory is None else self._facts_of(place),
            env_steps_per_update=self.settings.env_steps_per_update,
            max_array_bytes=self.settings.max_array_bytes,
            strict=self.settings.strict,
            writes=writes,
            watch=watch,
            companions=companions,
            shared=shared,
        )

    def _shared_run(self) -> SharedRun | None:
        """The next run, if several processes train together and this one logs."""
        processes = joined()
        if processes is None or not switched_on():
            return None
        self._opened += 1
        shared = SharedRun(processes, f"{self._handle:08x}.{self._opened}")
        shared.join()
        return shared

    def _facts_of(self, place: RunPlace) -> dict[str, Any]:
        settings = self.settings.model_dump(mode="json")
        chosen = self.settings.chosen
        found = facts(place.info, settings, chosen, devices()) | {"crossing": crossing.kind()}
        return found if place.address is None else found | {"store": place.address}

    def _first_time(self, subject: str) -> bool:
        """True the first time that this logger is asked about a subject: for warnings."""
        with self._dropping:
            first = subject not in self._said
            self._said.add(subject)
        return first

    def _detach(self) -> None:
        """Forgets the run, which takes no more records."""
        engine, self._engine = self._engine, None
        self._watch = None
        if engine is None or not engine.writes or self.settings.delivery == "live":
            return
        if self._wrote or not self._decoders:
            return
        _log.warning(
            "jaxlog: run %s: nothing was written. With `delivery: return` batch_step returns "
            "its record: return it from the program, as an output of scan, and give it to "
            "logger.write.",
            engine.info.name,
        )

    def write(self, records: Any) -> None:
        """Writes records that a program returned, with `delivery: return` in the settings.

        The lines are those that the same program would log with `delivery: live`.

        Args:
          records: a `Record` that `batch_step` returned, as `scan` and `vmap` stacked it, or a
            pytree of such records. If logging is off, records have no leaves and nothing is
            written. If several processes train together, each of them makes the call, since parts
            of the records may be in any of them.

        Raises:
          RuntimeError: no run is open, or the settings have `delivery: live`, where records leave
            the program by themselves.
          TypeError: a leaf is not a record, or it is called inside a program.
          ValueError: the arrays of a record do not fit together.

        >>> import jax.numpy as jnp
        >>> from jaxlog import batch_step
        >>> logger = Logger({"delivery": "return", "sinks": [{"kind": "memory"}]})
        >>> def update(total, step):
        ...     return total + 1.0, batch_step(logger, step, {"total": total})
        >>> with logger.open() as run:
        ...     total, records = jax.lax.scan(update, 0.0, jnp.arange(20))
        ...     logger.write(records)
        >>> [event.step for event in run.sink("memory").metrics]
        [0, 10]
        """
        if self.settings.delivery == "live" and switched_on():
            raise RuntimeError(
                "write: records leave the program by themselves; set `delivery: return` in the "
                "settings to write them, or leave the call out"
            )
        calls = []
        for record in jax.tree.leaves(records, is_leaf=lambda leaf: isinstance(leaf, Record)):
            if not isinstance(record, Record):
                raise TypeError(
                    f"records: got {type(record).__name__}, expected what batch_step returned, as "
                    "an output of scan or of the program, or a pytree of such"
                )
            if record.schema is None:
                continue
            assert record.lane is not None
            arrays = (record.due, record.words, record.lane)
            if any(isinstance(array, Tracer) for array in arrays):
                raise TypeError(
                    "write: is called inside of a program; return the records from it, and call "
                    "write on the results"
                )
            self._learn(record.schema)
            calls.append(
                deliveries(self._handle, record.schema, *(local(array) for array in arrays))
            )
        engine = self._engine
        if engine is None:
            if calls:
                raise RuntimeError("write: no run is open; call it inside `with logger.open(...)`")
            return
        self._wrote = True
        if engine.writes:
            for delivery in merged(calls):
                engine.receive(delivery, time.time(), is_live=False)

    @property
    def dropped(self) -> int:
        """The number of records (one per lane) that arrived while no run was open."""
        crossing.settle()
        return self._dropped

    def _lose(self, num_records: int) -> None:
        """Counts records that were lost in the crossing."""
        engine = self._engine
        if engine is not None and engine.writes:
            engine.lose(num_records)
        else:
            self._drop(num_records)

    def _receive(self, delivery: Delivery, timestamp: float) -> None:
        """Receives one delivery from the crossing, on its thread."""
        engine = self._engine
        if engine is not None and engine.writes:
            engine.receive(delivery, timestamp)
            return
        first = self._drop(delivery.num_records)
        others = names_of_open_runs() if engine is None and first else []
        if others:
            _log.warning(
                "jaxlog: %r received a record, but has no open run; the open run %s belongs to "
                "another Logger. A program logs to the Logger it was traced with: in a "
                "notebook, run the cell that compiles it again, after the cell that makes the "
                "Logger. Said once; logger.dropped counts.",
                self,
                ", ".join(map(repr, others)),
            )
        elif engine is None and first:
            _log.warning(
                "jaxlog: %r received records while no run was open and dropped them. "
                "Call the program inside `with logger.open(...)`, and leave the block on the "
                "thread that called the program. Said once; logger.dropped counts.",
                self,
            )
        elif first:
            _log.warning(
                "jaxlog: %r received records in a process that does not write and dropped them. "
                "Process 0 writes what it receives: run the program on a mesh whose first device "
                "is one of process 0, or gather the values and log them there. Said once; "
                "logger.dropped counts.",
                self,
            )

    def _drop(self, num_records: int) -> bool:
        """Counts records that are dropped; returns True for the first."""
        with self._dropping:
            first = not self._dropped
            self._dropped += num_records
        return first

    def _writing_engine(self) -> Engine | None:
        """The engine of the open run for a call from plain Python; without one, warns once."""
        engine = self._engine
        if engine is None and switched_on() and self._drop(1):
            _log.warning(
                "jaxlog: %r received values while no run was open and dropped them. "
                "Log inside `with logger.open(...)`. Said once; logger.dropped counts.",
                self,
            )
        return engine if engine is not None and engine.writes else None

    def _called(self, name: str, step: int, schedule: Schedule, *, due: bool) -> None:
        """Notes that a Python loop called `jaxlog.log`, whether or not the step was due."""
        watch = self._watch
        if watch is not None:
            watch.called(name, step, schedule, due=due)

    def _learn(
        self,
        schema: Schema,
        rebuild: Callable[[Mapping[str, Any]], Any] | None = None,
        traced: Traced | None = None,
    ) -> None:
        """Stores, while a program is traced, how to decode its records."""
        if traced is not None:
            self._traced.add(traced)
            live = self.settings.delivery == "live"  # otherwise only `write` logs
            if live and (watch := self._watch) is not None:
                watch.traced(traced)
        known = self._decoders.get(schema.call_number)
        if known is None:
            settings = self.settings
            known = self._decoders[schema.call_number] = Decoder(
                schema,
                settings.env_steps_per_update,
                settings.over_lanes,
                rebuild,
                settings.count_key_of(schema.name),
            )
        elif known.schema != schema:
            raise RuntimeError(
                f"the calls {known.schema.name!r} and {schema.name!r} have the same number by "
                "chance (a hash of name and layout); give one of them another name="
            )
        if traced is not None and traced.total_updates != self.total_updates:
            known.total_updates = traced.total_updates


def _refuse_tracing(subject: str) -> None:
    if tracing():
        raise RuntimeError(
            f"{subject} in a function that JAX traces, which runs once, while it is compiled, and "
            "not each time the program runs; do this outside of jit, vmap, grad and scan"
        )
