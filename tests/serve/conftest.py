"""A real server on this machine, and a client that says exactly what it means."""

from __future__ import annotations

import http.client
import json
import re
import secrets
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from jaxlog._page.followed import FollowedRuns
from jaxlog._serve.app import WebApp
from jaxlog._serve.listening import listen_on_port
from jaxlog._serve.serving import PageServer
from tests.page.conftest import pictured as pictured
from tests.page.conftest import sweep as sweep


class Reply(NamedTuple):
    """An answer over HTTP."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Served:
    """A server for a directory, in a thread.

    Args:
      directory: the directory of the runs.
      **options: as for `WebApp`.
    """

    def __init__(self, directory: Path, **options: Any) -> None:
        self.token = secrets.token_urlsafe(24)
        self.followed = FollowedRuns(directory)
        self._streams: list[Stream] = []
        self._socket = listen_on_port("127.0.0.1", 0)
        self.port = self._socket.getsockname()[1]
        self.app = WebApp(self.followed, self.token, **options)
        self.server = PageServer(self.app)
        self.thread = threading.Thread(
            target=self.server.serve_until_stopped, args=([self._socket],), daemon=True
        )
        self.thread.start()
        until = time.monotonic() + 60
        while not self.server.started and time.monotonic() < until:
            time.sleep(0.01)
        self.cookie = self._cookie()

    def _cookie(self) -> str:
        found = self.get(f"/?token={self.token}", cookie=None)
        assert found.status == 200, found
        return found.headers["set-cookie"].split(";")[0]

    def ask(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str] | None = None,
        cookie: str | None = "own",
    ) -> Reply:
        """Sends one request."""
        own = {"Cookie": self.cookie} if cookie == "own" else {"Cookie": cookie} if cookie else {}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            every = {"Host": f"127.0.0.1:{self.port}", **own, **(headers or {})}
            for name, value in every.items():
                connection.putheader(name, value)
            connection.endheaders()
            response = connection.getresponse()
            found = {name.lower(): value for name, value in response.getheaders()}
            return Reply(response.status, found, response.read())
        finally:
            connection.close()

    def get(
        self, path: str, headers: Mapping[str, str] | None = None, cookie: str | None = "own"
    ) -> Reply:
        """Sends one GET."""
        return self.ask("GET", path, headers, cookie)

    def stream(self, last: str = "") -> Stream:
        """Opens the stream of changes."""
        self._streams.append(Stream(self, last))
        return self._streams[-1]

    def stop(self) -> None:
        """Stops the server, whose streams are open."""
        self.server.stop()
        self.thread.join(60)
        for stream in self._streams:
            stream.close()
        assert not self.thread.is_alive()


class Stream:
    """An open stream of changes.

    Args:
      served: the server.
      last: the id of the last event that was seen.
    """

    def __init__(self, served: Served, last: str = "") -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=60)
        headers = {"Cookie": served.cookie, "Accept-Encoding": "gzip"}
        headers |= {"Last-Event-ID": last} if last else {}
        self._connection.request("GET", "/events", headers=headers)
        self.response = self._connection.getresponse()
        assert self.response.status == 200

    def line(self) -> str | None:
        """Waits for the next line; None at the end."""
        line = self.response.readline()
        return line.decode().rstrip("\n") if line else None

    def event(self) -> dict[str, Any] | None:
        """Waits for the next event, and returns its data and its id; None at the end."""
        found: dict[str, Any] = {}
        while (text := self.line()) is not None:
            if match := re.fullmatch("id: (.*)", text):
                found["id"] = match[1]
            if match := re.fullmatch("data: (.*)", text):
                found |= json.loads(match[1])
            if not text and "version" in found:
                return found
        return None

    def close(self) -> None:
        """Leaves."""
        self.response.close()
        self._connection.close()


@pytest.fixture
def served(sweep: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """A server for the runs of `sweep`. It answers when it has read all of them, however long."""
    monkeypatch.setattr("jaxlog._page.answers.READING", float("inf"))
    found = Served(sweep)
    found.followed.look(all_of_it=True)
    yield found
    found.stop()
