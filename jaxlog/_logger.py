"""The logger: what a program is traced with, and what a run is opened on."""

from __future__ import annotations

import dataclasses
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, get_args

import jax
import numpy as np
from jax.core import Tracer

from jaxlog._crossing.delivery import attach, barrier, devices, is_first_process
from jaxlog._crossing.jax_private import callback_around, tracing
from jaxlog._format.events import RunInfo
from jaxlog._format.schema import Delivery, Schema
from jaxlog._former_names import former_argument, warn_former_name
from jaxlog._host.decode import Decoder
from jaxlog._host.directory import Directory, IfExists
from jaxlog._host.engine import Engine
from jaxlog._host.facts import facts, new_id
from jaxlog._host.open_arguments import checked_lanes, checked_name, checked_state
from jaxlog._host.plain import plain_dict, plain_texts
from jaxlog._host.process_hooks import names_of_open_runs
from jaxlog._host.progress import State
from jaxlog._host.redaction import without_secrets
from jaxlog._host.returned import deliveries, merged
from jaxlog._host.run import Run
from jaxlog._host.watch import Traced, Watch
from jaxlog._other_loggers import OF_LOGGER, refuse_foreign
from jaxlog._paths import local_path
from jaxlog._program.record import Record
from jaxlog._say import log as _log
from jaxlog._settings import LoggingConfig, SettingsDict, load_config, switched_on
from jaxlog._single_environment import SingleEnvironmentLog
from jaxlog.sinks import sink_class
from jaxlog.sinks.sink import ObjectSettings


class Logger(SingleEnvironmentLog):
    """Ties a compiled program to the run that is open while it runs.

    Making one opens nothing. A program is traced with it, once, and logs to whichever run is open
    when it is called. It is equal to itself alone, and may be a static argument of `jax.jit`.

    Args:
      config: settings: what `load_config` returns, or what it takes.
      total_updates: how many updates a run makes, where known. The last of them is then always
        logged, and displays can tell how far a run is.
      name: sets apart loggers whose programs are to be told apart.
      total_steps: the former name of `total_updates`; it works for one more release.

    Raises:
      ConfigError: the settings cannot be used.
      RuntimeError: it is made in a function that JAX traces.
      TypeError: `total_updates` is no int, or is given by its former name, too.
      ValueError: `total_updates` is below 1 or above 2^31 - 1.

    >>> logger = Logger({"sinks": [{"kind": "memory"}]})
    >>> with logger.open() as run:
    ...     pass
    >>> run.sink("memory").metrics
    []
    """

    def __init__(
        self,
        config: LoggingConfig | str | os.PathLike[str] | SettingsDict | Mapping[str, Any],
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
        self.settings = load_config(config)
        self.total_updates = total_updates
        self.name = name
        self._handle = attach(name, self)
        self._decoders: dict[int, Decoder] = {}
        self._traced: set[Traced] = set()
        self._watch: Watch | None = None  # of the run that is open
        self.enabled = self.settings.batched_logging_enabled and switched_on()
        self._engine: Engine | None = None  # of the run that is open
        self._lock = threading.Lock()  # held while a run is opened, which may take long
        self._dropping = threading.Lock()
        self._dropped = 0
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
        return self  # compiled programs know it, and a copy they would not

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
        """Opens a run: for as long as a `with` block lasts, or until its `close`.

        On leaving the block, by an exception too, all that this thread has dispatched is waited
        for, all records are written, and the sinks are closed. Ctrl-C stops a compiled program at
        its next record, and is a `KeyboardInterrupt`; SIGTERM ends the process as it would have
        ended, when all that arrived is written. What is left open is closed when Python ends.

        Of several processes that train together (`jax.distributed`), the first writes, and in the
        others this does nothing. Nor does it with `JAXLOG=off` in the environment.

        Args:
          directory: where its files go, a local path; made if it is not there, `~` is expanded.
            May be left out where no sink writes files.
          config: the user's own hyper-parameters, kept with the run and given to its sinks: a dict
            or another mapping, a dataclass, a named tuple, an `argparse.Namespace`, a pydantic
            model, or a node of OmegaConf. Scalars of NumPy and JAX become numbers, arrays lists,
            functions and classes their names. Secrets are left out, and said once: values under
            names like `api_key`, `hf_token` or `db_password`, and those in texts.
          name: the run's name; the directory's, if None.
          tags: words to find the run by.
          lanes: labels for each lane of the program, numbers or texts, in the order of the lanes'
            numbers, for what is no number in there: `[{"env": "CartPole"}, {"env": "Acrobot"}]`. A
            label that the program gives itself goes before one of the same name.
          if_exists: what to do where the directory has a run already. `error` refuses; `replace`
            writes over it; `resume` goes on with it. In a directory without a run, all of them
            begin one.
          state: with `resume`, what `Run.state` returned when the train state was stored: the run
            goes on from there, and what it logged later is dropped, since it comes again. Without,
            it goes on at its end.

        Raises:
          RuntimeError: this logger has a run open (for two at once, make two loggers), or it is
            called in a function that JAX traces.
          OSError: the directory holds a run already, or one that is still open, or cannot be
            written.
          TypeError: `config`, `tags` or `lanes` is something else. Nothing has been changed then,
            nor with any other error that is raised before the sinks open.
          ValueError: a sink of the settings writes files, and there is no directory, or it is an
            address like `gs://...`; `state` is not of the run that is there; or `config`, `tags` or
            `lanes` have what no file can hold, such as an integer of more than 64 bits.
          LoggingError: with `strict: true`, a sink does not open.
        """
        _refuse_tracing("open: is called")
        checked_name(name)
        words = plain_texts("tags", tags)
        given = {} if config is None else plain_dict("config", config)
        if if_exists not in get_args(IfExists):
            raise ValueError(f"if_exists: got {if_exists!r}, takes one of {get_args(IfExists)}")
        checked_state(state, if_exists)
        lane_labels = checked_lanes(lanes)
        # Absolute: the program may change its working directory while it runs.
        path = None if directory is None else local_path(directory, "directory").absolute()
        sinks = []
        for settings in self.settings.sinks:
            if isinstance(settings, ObjectSettings):
                sink = settings.sink
            else:
                sink = sink_class(settings.kind)(settings)
            if sink.needs_directory and path is None:
                raise ValueError(
                    f"directory: is missing, and the sink {settings.kind!r} of the settings writes "
                    "files; give one, as in logger.open('runs/first')"
                )
            sinks.append(sink)
        label = name if name is not None else (path.name if path is not None else self.name)
        given, secrets = without_secrets("config", given)
        words, secret_words = without_secrets("tags", words)
        lane_labels, secret_labels = without_secrets("lanes", lane_labels)
        secrets += secret_words + secret_labels
        info = RunInfo(
            label,
            path,
            self.total_updates,
            given,
            tuple(words),
            tuple(lane_labels),
            id=new_id(),
            if_exists=if_exists if if_exists == "replace" else "error",
        )
        writes = is_first_process() and switched_on()
        with self._lock:
            if self._engine is not None:
                raise RuntimeError(
                    f"{self!r} has the run {self._engine.info.name!r} open; leave its `with` "
                    "block, or call its close(), first, or make a second Logger for a run at the "
                    "same time"
                )
            place = Directory(path, if_exists) if writes and path is not None else None
            try:
                if place is not None and place.previous is not None:
                    info = _going_on(info, place.previous, named=name is not None)
                elif state is not None and int(state["run"]) and writes:
                    _log.warning(
                        "jaxlog: run %s: %s has no run to go on with, and one begins. If the run "
                        "was moved, give the directory it is in.",
                        label,
                        path,
                    )
                watch = Watch(
                    info.name,
                    self._traced,
                    total_updates=self.total_updates,
                    frequency=self.settings.log_frequency,
                    env_steps_per_update=self.settings.env_steps_per_update,
                    resumed=place is not None and place.previous is not None,
                )
                engine = Engine(
                    info,
                    sinks,
                    self._decoders,
                    barrier=barrier,
                    callback_around=callback_around,
                    detach=self._detach,
                    directory=place,
                    facts={} if place is None else self._facts_of(info),
                    env_steps_per_update=self.settings.env_steps_per_update,
                    strict=self.settings.strict,
                    writes=writes,
                    watch=watch,
                )
                run = Run(engine, state)
                self._engine = engine
            except BaseException:
                if place is not None:
                    place.leave()
                raise
            self._wrote = False
            self._watch = watch if writes else None
        if secrets and writes:
            shown = ", ".join(secrets[:20]) + (", …" if len(secrets) > 20 else "")
            _log.warning(
                "jaxlog: run %s: left out as secrets, of run.json and of what sinks write: %s. "
                "Rename those that are none. Said once.",
                info.name,
                shown,
            )
        return run

    def _facts_of(self, info: RunInfo) -> dict[str, Any]:
        return facts(info, self.settings.model_dump(mode="json"), devices())

    def _detach(self) -> None:
        """The run that was open takes no records any more."""
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

        What is written is what the same program would have logged by itself.

        Args:
          records: what `batch_step` returned, stacked by `scan` and `vmap` in any order; or a
            pytree of several such. Without leaves, where logging is off, it writes nothing.

        Raises:
          RuntimeError: no run is open, or these settings let records leave by themselves
            (`delivery: live`).
          TypeError: there is something else than records, or it is called inside a program.
          ValueError: the arrays of a record do not belong together.

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
                    "write on what comes out"
                )
            self._learn(record.schema)
            calls.append(
                deliveries(self._handle, record.schema, *(np.asarray(array) for array in arrays))
            )
        engine = self._engine
        if engine is None:
            if calls:
                raise RuntimeError("write: no run is open; call it inside `with logger.open(...)`")
            return
        self._wrote = True
        if engine.writes:
            for delivery in merged(calls):
                engine.receive(delivery)

    @property
    def dropped(self) -> int:
        """How many records, each that of one lane, came while no run was open."""
        return self._dropped

    def _receive(self, delivery: Delivery) -> None:
        """Takes one delivery from the crossing, on XLA's thread."""
        engine = self._engine
        if engine is not None and engine.writes:
            engine.receive(delivery)
            return
        first = self._drop(delivery.num_records)
        others = names_of_open_runs() if engine is None and first else []
        if others:
            _log.warning(
                "jaxlog: %r got a record, and no run of its own is open; the run %s, which is, is "
                "of another Logger. A program logs to the Logger it was traced with: in a "
                "notebook, run the cell that compiles it again, after the cell that makes the "
                "Logger. Said once; logger.dropped counts.",
                self,
                ", ".join(map(repr, others)),
            )
        elif engine is None and first:
            _log.warning(
                "jaxlog: %r got a record while no run was open, and drops what comes until one is. "
                "Call the program inside `with logger.open(...)`, and do not leave the block from "
                "another thread than the one that called it. Said once; logger.dropped counts.",
                self,
            )
        elif first:
            _log.warning(
                "jaxlog: %r got a record in a process that does not write, and drops those that "
                "come here. Let the first device of a program's mesh be one of process 0. Said "
                "once; logger.dropped counts.",
                self,
            )

    def _drop(self, num_records: int) -> bool:
        """Counts records that nobody writes; whether they are the first."""
        with self._dropping:
            first = not self._dropped
            self._dropped += num_records
        return first

    def _writing_engine(self) -> Engine | None:
        """The run that takes what plain Python logs; where none is open, that is told of once."""
        engine = self._engine
        if engine is None and switched_on() and self._drop(1):
            _log.warning(
                "jaxlog: %r was told something while no run was open, and drops what comes until "
                "one is. Log inside `with logger.open(...)`. Said once; logger.dropped counts.",
                self,
            )
        return engine if engine is not None and engine.writes else None

    def _called(self, name: str, step: int, *, due: bool) -> None:
        """Notes a call of `jaxlog.log` in a Python loop, with a step that is due or not."""
        watch = self._watch
        if watch is not None:
            watch.called(name, step, due=due)

    def _learn(
        self,
        schema: Schema,
        rebuild: Callable[[Mapping[str, Any]], Any] | None = None,
        traced: Traced | None = None,
    ) -> None:
        """Remembers, while a program is traced, how its records are to be read."""
        if traced is not None:
            self._traced.add(traced)
            live = self.settings.delivery == "live"  # else `write` says what is logged
            if live and (watch := self._watch) is not None:
                watch.traced(traced)
        known = self._decoders.get(schema.call_number)
        if known is None:
            settings = self.settings
            self._decoders[schema.call_number] = Decoder(
                schema, settings.env_steps_per_update, settings.over_lanes, rebuild
            )
        elif known.schema != schema:
            raise RuntimeError(
                f"the calls {known.schema.name!r} and {schema.name!r} have one number by chance (a "
                "hash of name and layout); give one of them another name="
            )


def _refuse_tracing(what: str) -> None:
    if tracing():
        raise RuntimeError(
            f"{what} in a function that JAX traces, which runs once, while it is compiled, and not "
            "when the program does; do it before, outside of jit, vmap, grad and scan"
        )


def _going_on(info: RunInfo, previous: Mapping[str, Any], *, named: bool) -> RunInfo:
    """A run that goes on keeps what nobody has given anew."""

    def kept(key: str, kind: type, default: Any) -> Any:
        found = previous.get(key)  # the file may have been changed
        return found if isinstance(found, kind) else default

    lanes = [labels for labels in kept("lanes", list, []) if isinstance(labels, dict)]
    return dataclasses.replace(
        info,
        id=previous["id"],
        if_exists="resume",
        name=info.name if named else kept("name", str, info.name),
        tags=info.tags or tuple(tag for tag in kept("tags", list, []) if isinstance(tag, str)),
        config=info.config or kept("config", dict, {}),
        lanes=info.lanes or tuple(lanes),
    )
