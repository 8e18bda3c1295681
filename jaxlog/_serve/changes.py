"""Says what is new, to all pages that listen: one reader of the files, however many pages."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import orjson

from jaxlog._page.answers import Answers

PERIOD = 1.0
"""The least seconds between two events of a stream."""
LONGEST = 10.0
"""The most seconds between a change and the event that tells of it."""
SHARE = 0.008
"""The part of a core that pages may take to be brought up to date: events come less often if that
takes long, since programs that train run beside the server."""
SILENCE = 15.0
"""The seconds after which a stream without events has a comment, so that proxies keep it open."""
MOST_IDS = 200
"""The most runs that an event names."""


class Changes:
    """Reads the files while at least one page listens.

    Args:
      answers: the answers that pages ask for when something is new.
    """

    def __init__(self, answers: Answers) -> None:
        self._answers = answers
        self._followed = answers.followed
        self._listeners = 0
        self._task: asyncio.Task[None] | None = None
        self._news = asyncio.Event()
        self._closing = False

    def close(self) -> None:
        """Ends all streams, so that the server can stop."""
        self._closing = True
        self._news.set()

    async def stream(self, last: str = "") -> AsyncIterator[bytes]:
        """Yields the events of one page.

        Args:
          last: the id of the last event that the page has seen, if it comes back.
        """
        salt = self._followed.salt
        own, _, number = last.partition("-")
        version = self._followed.version
        if last:
            version = int(number) if own == salt and number.isdecimal() else -1
        self._begin()
        try:
            yield b": jaxlog\nretry: 3000\n\n"
            while not self._closing:
                if self._followed.version != version:
                    ids = self._followed.changed_since(version) if version >= 0 else None
                    version = self._followed.version
                    spent, now = self._answers.updating, time.monotonic()
                    yield _event(salt, version, ids)
                    await self._rest(spent, now)
                elif not await self._wait(SILENCE):
                    yield b": \n\n"
        finally:
            self._end()

    async def _rest(self, spent: float, since: float) -> None:
        """Waits until the pages have taken no more than their share of a core.

        Args:
          spent: the seconds of a core that they had taken when the last event was sent.
          since: the time of that, by `time.monotonic`.
        """
        while not self._closing:
            taken = self._answers.updating - spent
            until = since + min(LONGEST, max(PERIOD, taken / SHARE))
            left = until - time.monotonic()
            if left <= 0:
                return
            await asyncio.sleep(min(left, PERIOD))

    async def _wait(self, seconds: float) -> bool:
        """Waits for a change; False if there was none for some seconds."""
        try:
            await asyncio.wait_for(self._news.wait(), seconds)
        except TimeoutError:
            return False
        return True

    def _begin(self) -> None:
        self._listeners += 1
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._look())

    def _end(self) -> None:
        self._listeners -= 1

    async def _look(self) -> None:
        """Looks at the files until nobody listens."""
        version = self._followed.version
        while self._listeners and not self._closing:
            await asyncio.to_thread(self._followed.look)
            if self._followed.version != version:
                version = self._followed.version
                self._news.set()
                self._news = asyncio.Event()
            await asyncio.sleep(min(1.0, max(0.02, self._followed.pause)))


def _event(salt: str, version: int, ids: list[str] | None) -> bytes:
    named = ids if ids is not None and len(ids) <= MOST_IDS else None
    data = orjson.dumps({"version": version, "runs": named, "now": time.time()})
    return b"event: changed\nid: %s-%d\ndata: %s\n\n" % (salt.encode(), version, data)
