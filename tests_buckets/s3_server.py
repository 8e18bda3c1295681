"""An S3 server on this machine, in a process of its own, which can go down, come back and be slow.

It is moto's, behind an application that does what the last command on standard input says: `down`
closes its port, `up` opens it again with all objects, `slow 0.5` delays each answer, `deny` answers
503 to each request that writes.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from typing import Any

CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI-K7MDENG-bPxRfiCYEXAMPLEKEY",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}


class S3Server:
    """The server, as a test uses it.

    Attributes:
      endpoint: its address.
      environment: the variables with which s3fs finds it.
    """

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=os.environ | CREDENTIALS,
        )
        self.endpoint = f"http://127.0.0.1:{self._answer()}"
        self.environment = CREDENTIALS | {"AWS_ENDPOINT_URL": self.endpoint}

    def do(self, command: str) -> str:
        """Gives it a command, and waits until it is done; returns its answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{command}\n")
        self._process.stdin.flush()
        return self._answer()

    def close(self) -> None:
        """Ends it."""
        self._process.communicate(timeout=20)

    def _answer(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


def main() -> None:
    """Serves until standard input ends."""
    from moto.server import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import BaseWSGIServer, make_server

    state: dict[str, Any] = {"delay": 0.0, "deny": False, "requests": 0}
    inner = DomainDispatcherApplication(create_backend_app)

    def application(environ: dict[str, Any], start_response: Any) -> Any:
        state["requests"] += 1
        time.sleep(state["delay"])
        if state["deny"] and environ["REQUEST_METHOD"] in ("PUT", "POST", "DELETE"):
            start_response("503 Slow Down", [("Content-Length", "0")])
            return [b""]
        return inner(environ, start_response)

    def start(port: int) -> BaseWSGIServer:
        server = make_server("127.0.0.1", port, application, threaded=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return server

    server: BaseWSGIServer | None = start(0)
    assert server is not None
    port = server.server_port
    print(port, flush=True)
    for line in sys.stdin:
        word, _, argument = line.strip().partition(" ")
        if word == "down" and server is not None:
            server.shutdown()
            server.server_close()
            server = None
        elif word == "up" and server is None:
            server = start(port)
        elif word == "slow":
            state["delay"] = float(argument)
        elif word == "deny":
            state["deny"] = argument == "on"
        print(state["requests"], flush=True)


if __name__ == "__main__":
    main()
