"""Runs the server until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import Iterator

import uvicorn

from jaxlog._serve.app import WebApp

STOPPING = 3
"""The seconds that answers which are being made have, when the server stops."""


class PageServer(uvicorn.Server):
    """Serves an application. Ctrl-C and SIGTERM end its streams, and then itself.

    Args:
      app: the application.
    """

    def __init__(self, app: WebApp) -> None:
        super().__init__(
            uvicorn.Config(
                app.asgi,
                lifespan="on",
                http="h11",  # the same answers, whatever other packages brought in
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=STOPPING,
            )
        )
        self._app = app
        self._loop: asyncio.AbstractEventLoop | None = None

    def serve_until_stopped(self, sockets: list[socket.socket]) -> None:
        """Serves on some sockets, until a signal or `stop`."""
        asyncio.run(self.serve(sockets))

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        await super().serve(sockets)

    def stop(self) -> None:
        """Ends the server, also one that has yet to begin; another thread may call it."""
        if self._loop is None:
            self.should_exit = True  # it will see this once it has started
        else:
            self._loop.call_soon_threadsafe(self._stop)

    def _stop(self) -> None:
        if self.should_exit:
            self.force_exit = True
        self.should_exit = True
        self._app.changes.close()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stops at signals, and does not raise them again afterwards as uvicorn does."""
        loop = asyncio.get_running_loop()
        signals = (signal.SIGINT, signal.SIGTERM)
        try:
            for one in signals:
                loop.add_signal_handler(one, self._stop)
        except (NotImplementedError, RuntimeError, ValueError):  # not in the main thread
            yield
            return
        try:
            yield
        finally:
            for one in signals:
                loop.remove_signal_handler(one)
