"""The answers to what the page asks for, by address; a live page and a frozen one get the same."""

from __future__ import annotations

import contextlib
import hashlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, NamedTuple
from urllib.parse import urlencode

from jaxlog._page.asked import AbsentError, Asked, AskedError
from jaxlog._page.details import configs, run_facts
from jaxlog._page.folded_runs import EVERYTHING, Slice
from jaxlog._page.followed import FollowedRun, FollowedRuns
from jaxlog._page.html import PackedAnswer, frozen_page, packed
from jaxlog._page.metric_list import metrics
from jaxlog._page.numbers import json_body
from jaxlog._page.run_store import RunStore
from jaxlog._page.table import table
from jaxlog._page.value_answers import Made, ValueAnswers
from jaxlog._terminal import plain

JSON = "application/json"
BINARY = "application/octet-stream"
KINDS = {"curves": BINARY, "heat": BINARY, "picture": "image/svg+xml"}
"""The media types of addresses that are not answered in JSON."""
MOST_ASKED = 2000
"""The most addresses that are remembered."""
READING = 0.25
"""The seconds that one answer reads runs at least, if it may be one about some of the runs."""
OVERHEAD = 0.002
"""The seconds of a core that a request takes besides its answer."""
MOST_SAVED = 2**27
"""The bytes of the answers in one file."""
AGE = 5.0
"""The seconds for which an answer that has ages may be the same."""
MOST_KEPT = 32 * 2**20
"""The bytes of answers that are kept, since several readers ask for the same."""


class Answer(NamedTuple):
    """The answer to an address.

    Attributes:
      body: the content.
      kind: its media type.
      tag: differs if the content does.
      is_part: True if not all runs are read, so that the same address soon has another answer.
    """

    body: bytes
    kind: str
    tag: str
    is_part: bool = False


class Answers:
    """Answers addresses. It may be used by several threads.

    Args:
      followed: the runs.

    Attributes:
      updating: the seconds of a core that were spent on addresses that were asked for before.
      problems: what could not be read of the runs so far, in sentences; a mapping keeps each once.
    """

    def __init__(self, followed: FollowedRuns) -> None:
        self.followed = followed
        self.updating = 0.0
        self.problems: dict[str, None] = {}
        self._store = RunStore()
        self._reading = threading.Lock()  # one answer at a time reads values, to bound the memory
        self._kept: OrderedDict[str, Answer] = OrderedDict()
        self._asked: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._of_state: Mapping[str, Callable[[Asked], Any]] = {
            "runs": self._runs,
            "metrics": self._metrics,
            "facts": self._facts,
            "configs": self._configs,
        }
        self._others = READING  # the seconds that an answer took besides reading
        values = ValueAnswers(followed, self._store)
        self._of_values: Mapping[str, Callable[[Asked, list[FollowedRun], Slice], Made]] = {
            "answer": values.answer,
            "curves": values.curves,
            "comparison": values.comparison,
            "heat": values.heat,
        }
        self._of_run: Mapping[str, Callable[[Asked, FollowedRun], Any]] = {
            "pictures": self._pictures,
            "picture": self._picture,
            "film": self._film,
        }

    @property
    def names(self) -> tuple[str, ...]:
        """The addresses that are answered, without parameters."""
        return (*self._of_state, *self._of_values, *self._of_run)

    def of(
        self, name: str, query: str, known: str = "", *, in_parts: bool = False
    ) -> Answer | None:
        """Answers an address.

        Args:
          name: its part before the `?`, one of `names`.
          query: its part after the `?`.
          known: the tag of the answer that the reader has.
          in_parts: True to answer soon about the runs that are read so far, which the answer says;
            the next time that the address is asked for, more of them are read.

        Returns:
          The answer; None if the reader has it.

        Raises:
          AskedError: a parameter cannot be read.
          AbsentError: there is no such run, metric, label or group.
        """
        began, is_update = time.thread_time(), (name, query) in self._asked
        self._asked[name, query] = None
        self._asked.move_to_end((name, query))
        while len(self._asked) > MOST_ASKED:
            self._asked.popitem(last=False)
        is_part = False
        try:
            found = self._of(name, query, known, in_parts=in_parts)
            is_part = found is not None and found.is_part
            return None if found is not None and found.tag == known else found
        finally:
            if is_update and not is_part:
                self.updating += time.thread_time() - began + OVERHEAD

    def _of(self, name: str, query: str, known: str, *, in_parts: bool) -> Answer | None:
        asked = Asked(query)
        self.followed.look()
        if name in self._of_state:
            # They have ages, which are as old as this at most.
            state = f"{self.followed.salt} {self.followed.version} {time.time() // AGE:.0f}"
            tag = _tag(name, query, state)
            return (
                None if tag == known else Answer(json_body(self._of_state[name](asked)), JSON, tag)
            )
        with self.followed.lock:
            if name in self._of_run:
                runs = [self.followed.run(asked.text("run"))]
            else:
                runs = self.followed.matching(asked)
            part = EVERYTHING._replace(unlooked=self.followed.unlooked)
            if in_parts:
                part = part._replace(horizon=self.followed.horizon)
        tag = _tag(name, query, f"{self.followed.state_of(runs)} {part.unlooked}")
        if tag == known:
            return None
        with self._reading:
            if tag not in self._kept:
                self._store.begin()
                if name in self._of_run:
                    made = Made(self._of_run[name](asked, runs[0]))
                else:
                    made = self._of_part(name, asked, runs, part, in_parts=in_parts)
                self.problems |= dict.fromkeys(map(plain, self._store.notes))
                self._store.shrink()
                body = made.content if isinstance(made.content, bytes) else json_body(made.content)
                kind = KINDS.get(name, JSON)
                if not made.is_whole:
                    return Answer(body, kind, _tag(name, query, repr(body)), is_part=True)
                self._keep(Answer(body, kind, tag))
            self._kept.move_to_end(tag)
            return self._kept[tag]

    def _of_part(
        self, name: str, asked: Asked, runs: list[FollowedRun], part: Slice, *, in_parts: bool
    ) -> Made:
        """Reads runs for an answer: for as long as the rest of the last one took, at least."""
        if not in_parts:
            return self._of_values[name](asked, runs, part)
        seconds, began = max(READING, self._others), time.monotonic()
        made = self._of_values[name](asked, runs, part._replace(seconds=seconds))
        if not made.is_whole:
            self._others = max(0.0, time.monotonic() - began - seconds)
        return made

    def saved(self, query: str, made: datetime) -> tuple[str, bytes]:
        """Makes the page in one file, which asks nobody.

        Args:
          query: the addresses whose answers it has, each as `address`; its `title`; and its
            `state`, what the reader chose.
          made: the time that the page shows as its own.

        Returns:
          The title, and the file.

        Raises:
          AskedError: it is too large, or an address is none of `names`.
          AbsentError: the page's chart library is not there.
        """
        asked = Asked(query)
        answers: dict[str, PackedAnswer] = {}
        size = 0
        for address in asked.several("address"):
            name, _, own = address.partition("?")
            if name.startswith("picture/"):
                name, run, picture = [*name.split("/"), "", ""][:3]
                own = urlencode({"run": run, "name": picture})
            if name not in self.names:
                raise AskedError(f"address: got {address!r:.100}, which nobody answers")
            with contextlib.suppress(AbsentError):  # a run may have been removed
                found = self.of(name, own)
                assert found is not None
                answers[address] = packed(found.body)
                size += len(found.body)
            if size > MOST_SAVED:
                raise AskedError(
                    f"got more than {MOST_SAVED:,} bytes of answers to save, expected at most as "
                    "many; filter the runs first"
                )
        title = asked.text("title") or self.followed.title
        try:
            page = frozen_page(plain(title), answers, asked.text("state"), made)
        except FileNotFoundError as error:
            raise AbsentError(str(error)) from None
        return title, page.encode("utf-8", "replace")

    def _keep(self, made: Answer) -> None:
        self._kept[made.tag] = made
        while len(self._kept) > 1 and sum(len(one.body) for one in self._kept.values()) > MOST_KEPT:
            self._kept.popitem(last=False)

    def _runs(self, asked: Asked) -> Any:
        return table(self.followed, asked)

    def _metrics(self, asked: Asked) -> Any:
        with self.followed.lock:
            return metrics(self.followed.matching(asked), self.followed.version)

    def _facts(self, asked: Asked) -> Any:
        run = self.followed.run(asked.text("run"))
        try:
            return run_facts(run, run.stamp)
        except OSError as error:
            raise AbsentError(str(error)) from None

    def _configs(self, asked: Asked) -> Any:
        one, other = (self.followed.run(asked.text(name)) for name in ("a", "b"))
        return configs(one, other, max(one.stamp, other.stamp))

    def _pictures(self, _: Asked, run: FollowedRun) -> Any:
        return self._store.pictures(run).listed(run.id, run.stamp)

    def _picture(self, asked: Asked, run: FollowedRun) -> bytes:
        return self._store.pictures(run).of(asked.text("name"))

    def _film(self, asked: Asked, run: FollowedRun) -> Any:
        return self._store.pictures(run).film(asked.text("episode"), asked.text("array"), run.stamp)


def _tag(name: str, query: str, state: str) -> str:
    return hashlib.blake2b(f"{name}?{query}#{state}".encode(), digest_size=12).hexdigest()
