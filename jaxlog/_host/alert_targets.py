"""The places that alerts go to: Python's logging, the console, a command, a webhook."""

from __future__ import annotations

import http.client
import os
import subprocess
import sys
import urllib.error
import urllib.request
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from jaxlog._host.alert import Alert
from jaxlog._say import log as _log
from jaxlog._terminal import plain


class NotSentError(Exception):
    """An alert was not sent. The text says why, and has no secret.

    Attributes:
      again: whether another attempt may help.
    """

    def __init__(self, why: str, *, again: bool) -> None:
        super().__init__(why)
        self.again = again


class Target(ABC):
    """A place that alerts go to; used on the thread of alerts.

    Attributes:
      kind: its kind in the settings.
      waits: whether it waits for another process or machine.
    """

    kind: str
    waits: bool = False

    @abstractmethod
    def send(self, alert: Alert) -> None:
        """Sends an alert.

        Raises:
          NotSentError: it was not sent.
        """


class LogTarget(Target):
    """Python's logging: the logger `jaxlog`."""

    kind = "log"

    def send(self, alert: Alert) -> None:
        _log.warning("jaxlog: %s", alert.text)


class ConsoleTarget(Target):
    """Standard error, whatever becomes of logging."""

    kind = "console"

    def send(self, alert: Alert) -> None:
        stream = sys.stderr
        if stream is None:
            raise NotSentError("standard error is closed", again=False)
        line = f"jaxlog: {plain(alert.text)}"
        try:
            if stream.isatty():
                line = f"\x1b[1;31m{line}\x1b[0m"
            stream.write(f"{line}\n")
            stream.flush()
        except (OSError, ValueError) as error:
            raise NotSentError(f"{type(error).__name__}: {error}", again=False) from None


class CommandTarget(Target):
    """A command, run without a shell, with the alert as JSON on its standard input.

    Args:
      words: of the command.
      seconds: how long it may take.
    """

    kind = "command"
    waits = True

    def __init__(self, words: Sequence[str], seconds: float) -> None:
        self._words = words
        self._seconds = seconds

    def send(self, alert: Alert) -> None:
        try:
            process = subprocess.Popen(
                [_filled(word, alert) for word in self._words],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is for the program
            )
        except (OSError, ValueError) as error:
            raise NotSentError(f"it could not be started: {_name(error)}", again=False) from None
        with process:
            try:
                process.communicate(orjson.dumps(alert.to_json()), self._seconds)
            except subprocess.TimeoutExpired:
                _kill(process)
                raise NotSentError(
                    f"it did not end within {self._seconds:g} s", again=False
                ) from None
        if process.returncode:
            raise NotSentError(f"its exit code was {process.returncode}", again=False)


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Ends a command and those that it started."""
    try:
        os.killpg(process.pid, 9)
    except (AttributeError, OSError):  # no POSIX, or it has just ended
        process.kill()


def _filled(word: str, alert: Alert) -> str:
    """A word of a command with the values of an alert; nothing in them is replaced again."""
    value = alert.lanes[0].value if alert.lanes else ""
    values: Mapping[str, Any] = {
        "text": alert.text,
        "run": alert.run,
        "kind": alert.kind,
        "metric": alert.metric,
        "step": "" if alert.step is None else alert.step,
        "value": value,
        "directory": alert.directory,
    }
    parts = word.split("{")
    found = [parts[0]]
    for part in parts[1:]:
        name, brace, rest = part.partition("}")
        found.append(f"{values[name]}{rest}" if brace and name in values else f"{{{part}")
    return "".join(found).replace("\0", "")


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Follows no redirection, which would make another request of a POST, elsewhere."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        """Refuses."""


class WebhookTarget(Target):
    """An address of the web that takes JSON.

    The body is the alert, with its text also as `content`, which Discord reads; Slack and
    Mattermost read `text`.

    Args:
      address: a secret.
      seconds: how long one attempt may take.
    """

    kind = "webhook"
    waits = True

    def __init__(self, address: str, seconds: float) -> None:
        self._address = address
        self._seconds = seconds
        self._opener = urllib.request.build_opener(_NoRedirects)

    def send(self, alert: Alert) -> None:
        body = orjson.dumps(alert.to_json() | {"content": alert.text[:2000]})
        request = urllib.request.Request(
            self._address,
            body,
            {"Content-Type": "application/json", "User-Agent": "jaxlog alerts"},
            method="POST",
        )
        try:
            with self._opener.open(request, timeout=self._seconds) as answer:
                answer.read(2**16)
        except urllib.error.HTTPError as error:
            error.close()
            again = error.code in (408, 425, 429) or error.code >= 500
            raise NotSentError(f"it answered {error.code}", again=again) from None
        except urllib.error.URLError as error:
            # The reason is an exception of the network, or a text without the address.
            raise NotSentError(f"no connection: {_name(error.reason)}", again=True) from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise NotSentError(f"no answer: {type(error).__name__}", again=True) from None


def _name(error: object) -> str:
    """An error by its type and the system's words for it, without what it is about."""
    words = getattr(error, "strerror", None) if isinstance(error, OSError) else None
    return f"{type(error).__name__}" + (f": {words}" if isinstance(words, str) else "")
