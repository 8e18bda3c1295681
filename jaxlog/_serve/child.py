"""A server in a process of its own, which ends with the process that started it.

`jaxlog.live` starts it. It prints its port and the path of the page as JSON, and ends when its
standard input does, however its parent ends.
"""

from __future__ import annotations

import secrets
import sys
import threading

import orjson

from jaxlog._page.followed import FollowedRuns
from jaxlog._reading.finding import run_path
from jaxlog._serve.app import WebApp
from jaxlog._serve.guard import FRAMES
from jaxlog._serve.listening import listen_on_port
from jaxlog._serve.serving import PageServer

HOST = "127.0.0.1"


def main(directory: str) -> None:
    """Serves the runs of a directory, or at an address, until standard input ends."""
    token = secrets.token_urlsafe(24)
    server = PageServer(WebApp(FollowedRuns(run_path(directory)), token))

    def wait() -> None:
        sys.stdin.buffer.read()
        server.stop()

    with listen_on_port(HOST, 0) as opened:
        port = opened.getsockname()[1]
        sys.stdout.write(orjson.dumps({"port": port, "path": f"{FRAMES}{token}/"}).decode() + "\n")
        sys.stdout.flush()
        threading.Thread(target=wait, daemon=True).start()
        server.serve_until_stopped([opened])


if __name__ == "__main__":
    main(sys.argv[1])
