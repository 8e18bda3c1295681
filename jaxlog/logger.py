"""The logger: what a program is traced with, and what a run is opened on."""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import threading
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from jaxlog.crossing.delivery import attach, barrier
from jaxlog.events import RunInfo
from jaxlog.host.decode import Decoder
from jaxlog.host.run import Run
from jaxlog.schema import Delivery, Schema
from jaxlog.settings import LoggingConfig, load_config
from jaxlog.sinks import sink_class

_log = logging.getLogger("jaxlog")


class Logger:
    """Ties a compiled program to the run that is open while it runs.

    Making one opens nothing. A program is traced with it, once, and logs to whichever run is open
    when it is called. It is equal to itself alone, and may be a static argument of `jax.jit`.

    Args:
      config: settings: what `load_config` returns, or what it takes.
      total_steps: how many updates a run makes, where known. The last of them is then always
        logged, and displays can tell how far a run is.
      name: sets apart loggers whose programs are to be told apart.

    Raises:
      ConfigError: the settings cannot be used.
      TypeError: `total_steps` is no int.
      ValueError: `total_steps` is below 1 or above 2^31 - 1.

    >>> logger = Logger({"batched_logging_enabled": True, "sinks": [{"kind": "memory"}]})
    >>> with logger.open() as run:
    ...     pass
    >>> run.sink("memory").metrics
    []
    """

    def __init__(
        self,
        config: LoggingConfig | str | os.PathLike[str] | Mapping[str, Any],
        *,
        total_steps: int | None = None,
        name: str = "jaxlog",
    ) -> None:
        if total_steps is not None:
            if isinstance(total_steps, bool) or not isinstance(total_steps, int):
                raise TypeError(f"total_steps: got {total_steps!r}, expected a Python int or None")
            if not 1 <= total_steps < 2**31:
                raise ValueError(f"total_steps: got {total_steps}, expected 1 to 2**31 - 1")
        self.settings = load_config(config)
        self.total_steps = total_steps
        self.name = name
        self.handle = attach(name, self)
        self._decoders: dict[int, Decoder] = {}
        self._run: Run | None = None
        self._opening = threading.Lock()
        self._without_run = itertools.count()
        self._said_off = False

    def __deepcopy__(self, memo: dict[int, Any]) -> Logger:
        return self  # compiled programs know it, and a copy they would not

    def __reduce__(self) -> Any:
        return partial(Logger, total_steps=self.total_steps, name=self.name), (self.settings,)

    def __repr__(self) -> str:
        return f"<jaxlog.Logger {self.name!r}>"

    @contextlib.contextmanager
    def open(
        self,
        directory: str | os.PathLike[str] | None = None,
        *,
        config: Mapping[str, Any] | None = None,
        name: str | None = None,
        tags: tuple[str, ...] = (),
    ) -> Iterator[Run]:
        """Opens a run for as long as the block lasts.

        On leaving the block, by an exception too, all that this thread has dispatched is waited
        for, all records are written, and the sinks are closed.

        Args:
          directory: where its files go; made if it is not there. May be left out where no sink
            writes files.
          config: the user's own hyper-parameters, kept with the run.
          name: the run's name; the directory's, if None.
          tags: words to find the run by.

        Raises:
          RuntimeError: this logger has a run open. For two at once, make two loggers.
          OSError: the directory holds a run already, or cannot be written.
          ValueError: a sink of the settings writes files, and there is no directory.
        """
        if isinstance(tags, str):
            raise TypeError(f"tags: got the text {tags!r}, expected several: ({tags!r},)")
        # Absolute: the program may change its working directory while it runs.
        path = None if directory is None else Path(directory).absolute()
        sinks = []
        for settings in self.settings.sinks:
            sink = sink_class(settings.kind)(settings)
            if sink.needs_directory and path is None:
                raise ValueError(
                    f"directory: is missing, and the sink {settings.kind!r} of the settings writes "
                    "files; give one, as in logger.open('runs/first')"
                )
            sinks.append(sink)
        label = name if name is not None else (path.name if path is not None else self.name)
        info = RunInfo(label, path, self.total_steps, dict(config or {}), tuple(tags))
        with self._opening:
            if self._run is not None:
                raise RuntimeError(
                    f"{self!r} has the run {self._run.info.name!r} open; leave its `with` block "
                    "first, or make a second Logger for a run at the same time"
                )
            run = self._run = Run(info, sinks, partial(_decoder_of, self._decoders))
        error: BaseException | None = None
        try:
            yield run
        except BaseException as raised:
            error = raised
            raise
        finally:
            try:
                barrier()
            except Exception as failed:
                # The user's own program failed, and tells of it where its result is used.
                error = error or failed
            self._run = None
            run.close(error)

    def receive(self, delivery: Delivery) -> None:
        """Takes one delivery from the crossing, on XLA's thread."""
        run = self._run
        if run is not None:
            run.receive(delivery)
        elif next(self._without_run) == 0:
            _log.warning(
                "jaxlog: %r got a record while no run was open, and drops what comes until one is. "
                "Call the program inside `with logger.open(...)`, and do not leave the block from "
                "another thread than the one that called it. Said once.",
                self,
            )

    def mention_off(self) -> None:
        """Says that `batch_step` logs nothing, once, where nobody decided that it should not."""
        if "batched_logging_enabled" not in self.settings.model_fields_set and not self._said_off:
            self._said_off = True
            _log.warning(
                "jaxlog: batch_step logs nothing, because batched_logging_enabled is false unless "
                "it is set; set it to true in the settings, or to false to log nothing in silence."
            )

    def learn(self, schema: Schema) -> None:
        """Remembers, while a program is traced, how its records are to be read."""
        known = self._decoders.get(schema.site)
        if known is None:
            self._decoders[schema.site] = Decoder(schema, self.settings.env_steps_per_update)
        elif known.schema != schema:
            raise RuntimeError(
                f"two calls named {schema.name!r} have one number by chance; give one another name="
            )


def _decoder_of(decoders: Mapping[int, Decoder], site: int) -> Decoder:
    if site not in decoders:
        raise LookupError(
            "a program sent a record that this Logger was not traced with; trace the program anew, "
            "as jax.jit of a new function"
        )
    return decoders[site]
