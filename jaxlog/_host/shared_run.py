"""One run of several processes: the first writes it, and the others learn from it what they need.

The processes share texts, through a store that `Store` describes. The first process stores what it
has opened, and the values that all processes need to decide alike; the others wait for these. Each
process stores which one it is, and how it ended.
"""

from __future__ import annotations

import builtins
import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import orjson

from jaxlog._host.redaction import redacted
from jaxlog._limits import as_utf8
from jaxlog._say import log as _log

PATIENCE = 300.0
"""The seconds that a process waits for the first one."""
BEAT = 5.0
"""The seconds after which a process says again that it is alive."""
SILENCE = 30.0
"""The seconds of silence after which a process counts as dead, or as one that hangs. JAX ends all
processes after 100."""
LAST_WORDS = 5.0
"""The seconds in which the other processes say how they ended, after an error in the first."""


class Store(Protocol):
    """Texts that processes share, and the number of this process among them."""

    index: int
    count: int

    def put(self, key: str, text: str) -> None:
        """Stores a text, which replaces an earlier one."""

    def wait(self, key: str, seconds: float) -> str:
        """Waits for a text; raises TimeoutError if no process stored it in that time."""
        ...

    def below(self, prefix: str) -> dict[str, str]:
        """The texts whose keys begin with `prefix/`, by the rest of the key."""
        ...

    def preempted(self) -> bool:
        """True once one of the processes was told to end."""
        ...


@dataclass(frozen=True)
class Ended:
    """The end of another process of a run.

    Attributes:
      process: its number.
      host: the machine it ran on.
      error: the exception that ended it, in words.
    """

    process: int
    host: str
    error: str

    def __str__(self) -> str:
        return f"process {self.process} on {self.host} ended with {self.error}"


class SharedRun:
    """One run of several processes, as one of them sees it.

    Args:
      store: the texts that the processes share.
      key: names the run, and is the same in every process.
    """

    def __init__(self, store: Store, key: str) -> None:
        self._store = store
        self._key = f"jaxlog/{key}"
        self._asked: dict[str, int] = {}
        self._beats: dict[int, tuple[str | None, float]] = {}  # the last ones, and when they came
        self._has_ended = threading.Event()
        self._failed_first: bool | None = None
        self.count = store.count

    @property
    def is_first(self) -> bool:
        """True in the process that writes."""
        return self._store.index == 0

    @property
    def preempted(self) -> bool:
        """True once one of the processes was told to end, by JAX's preemption service."""
        return self._store.preempted()

    def join(self) -> None:
        """Stores which process this is; the others say from then on that they are alive."""
        with contextlib.suppress(RuntimeError):
            self._say_of_this_process({})
        if not self.is_first:
            beats = threading.Thread(target=self._beat, name="jaxlog-alive", daemon=True)
            with contextlib.suppress(RuntimeError, MemoryError):  # the system has no thread left
                beats.start()

    def _beat(self) -> None:
        number = 0
        while not self._has_ended.wait(BEAT):
            number += 1
            with contextlib.suppress(RuntimeError):  # one that is lost is not the last
                self._store.put(f"{self._key}/alive/{self._store.index}", str(number))

    @contextlib.contextmanager
    def opening(self) -> Generator[None]:
        """A block that opens the run: the others raise the error of the first process, too.

        A process whose block fails says no longer that it is alive.
        """
        try:
            yield
        except BaseException as error:
            self._has_ended.set()
            if self.is_first:
                self.refuse("open", error)
            raise

    def silent(self, known: Sequence[Mapping[str, Any]]) -> list[str]:
        """Which of the `processes` have said nothing for `SILENCE` seconds, in words."""
        try:
            beats = self._store.below(f"{self._key}/alive")
        except RuntimeError:
            return []
        now, found = time.monotonic(), []
        for one in known:
            number = one["process"]
            beat = beats.get(str(number))
            if number == self._store.index or "status" in one:
                continue
            if number not in self._beats or self._beats[number][0] != beat:
                self._beats[number] = beat, now
            elif now - self._beats[number][1] > SILENCE:
                found.append(f"process {number} on {one['host']}")
        return found

    def same(self, subject: str, compute: Callable[[], Any]) -> Any:
        """Computes a value in the first process, and returns or raises the same in all.

        The first process waits for none of the others, so that it may also make the call alone.

        Args:
          subject: what the value is; the n-th call for it in each process gets the n-th value.
          compute: returns a value that JSON can hold.

        Raises:
          TimeoutError: the first process made no such call.
        """
        if not self.is_first:
            return self.of_the_first(subject)
        try:
            value = compute()
        except Exception as error:
            self.refuse(subject, error)
            raise
        self.tell(subject, value)
        return value

    def tell(self, subject: str, value: Any) -> None:
        """Tells the others a value, as `same` does."""
        self._answer(subject, {"value": value})

    def refuse(self, subject: str, error: BaseException) -> None:
        """Tells the others an error that they are to raise, as `same` does."""
        self._answer(subject, {"error": [type(error).__name__, as_utf8(str(error))]})

    def of_the_first(self, subject: str) -> Any:
        """Waits for a value of the first process; raises as `same` does."""
        try:
            answer = orjson.loads(self._store.wait(self._next(subject), PATIENCE))
        except (TimeoutError, RuntimeError) as error:
            raise TimeoutError(
                f"{subject}: got no answer from process 0 in {PATIENCE:.0f} s, where this is "
                "computed; make the call in every process, or in process 0 alone"
            ) from (None if isinstance(error, TimeoutError) else error)
        if "error" in answer:
            name, text = answer["error"]
            raise _error(name, f"process 0: {text}")
        return answer["value"]

    def _answer(self, subject: str, answer: dict[str, Any]) -> None:
        try:
            self._store.put(self._next(subject), orjson.dumps(answer).decode())
        except RuntimeError as error:
            _log.warning(
                "jaxlog: the other processes get no answer from process 0 about %s: %s",
                subject,
                error,
            )

    def _next(self, subject: str) -> str:
        number = self._asked[subject] = self._asked.get(subject, 0) + 1
        return f"{self._key}/{subject}/{number}"

    def ended(self, status: str, error: BaseException | None) -> None:
        """Stores how this process ended; the last text counts."""
        self._has_ended.set()
        words: dict[str, Any] = {"status": status}
        if error is not None and not isinstance(error, SystemExit):
            words["error"] = redacted(as_utf8(f"{type(error).__name__}: {error}"))
            # Where one process fails, those that exchange data with it get errors of their own.
            # Decided once: of two that fail together, each would later see the other.
            if self._failed_first is None:
                self._failed_first = not self.failed(self.processes())
            words["first"] = self._failed_first
        with contextlib.suppress(RuntimeError):  # the service has ended with the first process
            self._say_of_this_process(words)

    def _say_of_this_process(self, words: dict[str, Any]) -> None:
        own = {"process": self._store.index, "host": socket.gethostname(), "pid": os.getpid()}
        self._store.put(f"{self._key}/process/{own['process']}", orjson.dumps(own | words).decode())

    def processes(self) -> list[dict[str, Any]]:
        """The facts about each process: its `process`, `host`, `pid`, `status` and `error`."""
        try:
            texts = self._store.below(f"{self._key}/process")
        except RuntimeError:
            return []
        found = [orjson.loads(text) for text in texts.values()]
        return sorted(found, key=lambda one: one["process"])

    def failed(self, known: Sequence[Mapping[str, Any]]) -> list[Ended]:
        """Which of the `processes`, but this one, an exception ended that was no consequence."""
        return [
            Ended(one["process"], one["host"], one["error"])
            for one in known
            if one.get("first") and one["process"] != self._store.index
        ]

    def last_words(self, error: BaseException | None) -> str | None:
        """Which of the other processes ended by an error or without a word; None if none did.

        Args:
          error: that of the first process. If a process dies, all that exchange data with it get
            an error, and say so; the one that says nothing is the one that died.
        """
        until = time.monotonic() + (0.0 if error is None else LAST_WORDS)
        while True:
            known = self.processes()
            failed = self.failed(known)
            said = {one["process"] for one in known if "status" in one} | {self._store.index}
            if failed or len(said) >= self.count or time.monotonic() >= until:
                break
            time.sleep(0.1)
        if failed:
            return "; ".join(map(str, failed))
        hosts = {one["process"]: one["host"] for one in known}
        silent = [number for number in range(self.count) if number not in said]
        if error is None or not silent:
            return None
        places = ", ".join(f"{n} on {hosts[n]}" if n in hosts else str(n) for n in silent)
        return f"process {places} ended without a word: it was killed, or hangs"


def _error(name: str, text: str) -> Exception:
    """An exception of Python's own with that name and text; a RuntimeError if there is none."""
    kind = getattr(builtins, name, RuntimeError)
    if isinstance(kind, type) and issubclass(kind, Exception):
        with contextlib.suppress(TypeError):  # a UnicodeDecodeError takes more than a text
            return kind(text)
    return RuntimeError(text)
