"""An open run, as users see it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, overload

from jaxlog._format.events import Account, RunInfo
from jaxlog._host.engine import Engine
from jaxlog._host.progress import State
from jaxlog._other_loggers import OF_RUN, refuse_foreign
from jaxlog._text import counted
from jaxlog.sinks.sink import Sink, kind_of

if TYPE_CHECKING:
    from jaxlog.sinks.memory import MemorySink


class Run:
    """An open run. `Logger.open` makes it; use it in a `with` block, or call its `close`.

    Args:
      engine: not opened yet.
      state: from which the run goes on, as `state` returned it.
      address: of the run in a store; None for a run that is only on this machine.
    """

    def __init__(
        self, engine: Engine, state: State | None = None, address: str | None = None
    ) -> None:
        self._engine = engine
        self._address = address
        engine.open(state, self._is_left_in)

    if not TYPE_CHECKING:  # type checkers would take any name

        def __getattr__(self, name: str) -> Any:
            refuse_foreign("a Run", name, OF_RUN)
            return object.__getattribute__(self, name)  # Python's error

    def __repr__(self) -> str:
        where = self._address or str(self.info.directory or "no directory")
        status = self._engine.status if self.writes else "writes nothing"
        records = counted(self.arrived, "record")
        return f"<jaxlog.Run {self.info.name!r} in {where}: {status}, {records}>"

    @property
    def info(self) -> RunInfo:
        """The facts about this run that its sinks are given."""
        return self._engine.info

    @property
    def writes(self) -> bool:
        """True if this run writes; False if logging is off, or another process writes."""
        return self._engine.writes

    @property
    def arrived(self) -> int:
        """The number of records that arrived, one for each lane."""
        return self._engine.arrived

    @property
    def replayed(self) -> int:
        """The number of records, one for each lane, that were dropped because JAX repeated them.

        A `while_loop` under `vmap` goes on running lanes that have ended. A record is dropped if it
        is equal, bit for bit, to the previous one of its call and lane, and another lane has
        advanced since. A repeated evaluation is kept.
        """
        return self._engine.replayed

    @property
    def address(self) -> str | None:
        """The run's address in a store; None for a run that is only on this machine."""
        return self._address

    @property
    def directory(self) -> Path | None:
        """The run's directory; None for a run without files.

        Of a run in a store, it is the temporary directory from which it is uploaded. It is removed
        when the process ends, if all of it was uploaded.
        """
        return self._engine.info.directory

    @overload
    def sink(self, kind: Literal["memory"]) -> MemorySink: ...
    @overload
    def sink(self, kind: str) -> Sink: ...
    def sink(self, kind: str) -> Sink:
        """The sink of a kind, to read what it keeps: `run.sink("memory").metrics`.

        Raises:
          LookupError: the run has no such sink.
        """
        sinks = self._engine.sinks
        for sink in sinks:
            if kind_of(sink) == kind:
                return sink
        raise LookupError(
            f"got {kind!r}, but this run's sinks are: {', '.join(map(kind_of, sinks)) or 'none'}"
        )

    def log(
        self,
        values: Mapping[str, Any] | None = None,
        *,
        step: int | None = None,
        arrays: Mapping[str, Any] | None = None,
        labels: Mapping[str, Any] | None = None,
        name: str = "eval",
    ) -> None:
        """Logs values from plain Python at once, for example those of a final evaluation.

        Inside a program, and where only some steps are to be logged, use `jaxlog.log`. With a
        `step`, the line does not wait for programs that still run; `flush` does.

        Args:
          values: numbers by name, from Python, NumPy or JAX; nested mappings get names like
            `actor/loss`. Or arrays with one number per lane: each lane then gets a line of its own.
            The run must have that many lanes: those that a program logged under `vmap`, or those
            that `open` was given labels for. May be left out if there are `arrays`.
          step: the step of the line; None for the last step that was logged, which is waited for.
          arrays: arrays by name, of bools, integers or real numbers and of any shape, which are
            logged whole, as `jaxlog.log` logs them. If `values` has one number per lane, each array
            has the lanes along its first axis.
          labels: labels of the line, in addition to the lane labels that `open` was given.
          name: the name of the call, which keys and file names begin with.

        Raises:
          RuntimeError: the run is closed.
          TypeError: a value is not a number, a label is neither a number nor a text, or the step is
            not an integer.
          ValueError: arrays differ in length, or their length is not the run's number of lanes;
            the name is not a valid name; the step is negative; a file cannot hold a key or an
            integer; or the arrays are larger than the setting `max_array_bytes`.

        >>> import jaxlog
        >>> logger = jaxlog.Logger({"sinks": [{"kind": "memory"}]})
        >>> with logger.open(lanes=[{"seed": 0}, {"seed": 1}]) as run:
        ...     run.log({"return": [487.0, 500.0]}, step=299)
        >>> [lane.metrics["return"].item() for lane in run.sink("memory").metrics[0].lanes]
        [487.0, 500.0]
        """
        self._engine.log(values, step=step, labels=labels, name=name, arrays=arrays)

    def last(self, key: str, *, call: str | None = None) -> float:
        """The last value of a metric, for a tuner or a program that decides how to go on.

        It waits, as `flush` does. Over several lanes it is the mean of those that are alive at the
        last step at which any has a value; of minima and maxima, the smallest and the largest. It
        can be asked after the run is closed, too.

        Args:
          key: the key on a line, such as `episode_return_mean`.
          call: the call that logged it; None if only one has.

        Returns:
          The value; NaN if all lanes have diverged.

        Raises:
          LookupError: no call, or several, have logged the key, or the run writes nothing.

        >>> import jaxlog
        >>> logger = jaxlog.Logger({"sinks": [{"kind": "memory"}]})
        >>> with logger.open(lanes=[{"seed": 0}, {"seed": 1}]) as run:
        ...     run.log({"return": [487.0, 500.0]}, step=299)
        ...     run.last("return")
        493.5
        """
        return self._engine.last_value(key, call)

    def accounts(self) -> list[Account]:
        """The records of each sink so far: how many arrived, and how many are written."""
        return self._engine.accounts()

    def flush(self) -> None:
        """Waits until everything that this thread has dispatched is logged and written."""
        self._engine.flush()

    def state(self) -> State:
        """The progress of the run: a small pytree to store beside the train state.

        It waits, as `flush` does. `Logger.open(directory, if_exists="resume", state=...)` goes on
        from here: lines that were logged later are dropped from the files, to be logged again. Of a
        run in a store, it also waits until the state is there, unless the store is away.

        Returns:
          Two NumPy arrays, which Orbax and other checkpointers can store. The structure is always
          the same. Its values are 0 if the run writes nothing, or, with a warning, if the mark
          could not be written.

        Raises:
          RuntimeError: the run is closed, or has no directory.
        """
        return self._engine.state()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        __tracebackhide__ = True  # IPython and pytest leave this frame out
        self._engine.leave(error)

    def _is_left_in(self, frame: FrameType) -> bool:
        return frame.f_code is Run.__exit__.__code__ and frame.f_locals.get("self") is self

    def close(self, error: BaseException | None = None) -> None:
        """Waits for the program, writes everything that arrived, and closes the sinks.

        Everything that this thread has dispatched is waited for, unless Ctrl-C ends the run. If an
        error ended the run before any record arrived, its directory becomes one without a run. A
        second call does nothing. Ctrl-C waits until the run is closed, unless it is pressed twice.

        Args:
          error: the error that ended the run; None at its regular end.

        Raises:
          LoggingError: with `strict: true`, if a sink failed or lost records. If an error of the
            program ended the run, the text is added to that error as a note instead.
        """
        self._engine.close(error)
