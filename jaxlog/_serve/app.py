"""The web application: the page, its files, its answers and the stream of changes."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import AsyncIterator, Callable, Collection
from datetime import datetime
from functools import partial
from http import HTTPStatus
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import PurePosixPath
from urllib.parse import urlencode

from anyio import CapacityLimiter, to_thread
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response, StreamingResponse
from starlette.routing import Route

from jaxlog._page.answers import BINARY, Answer, Answers
from jaxlog._page.asked import AbsentError, AskedError
from jaxlog._page.followed import FollowedRuns
from jaxlog._page.html import live_page
from jaxlog._serve.changes import Changes
from jaxlog._serve.guard import Guard, refused

THREADS = 4
"""The most answers that are made at a time."""
PICTURE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
"""The policy of a picture that users drew: where it is opened by itself, it may do nothing."""
_KINDS = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}
"""The media types of the files of the page."""


class WebApp:
    """The application for some runs.

    Args:
      followed: the runs.
      token: as in `Guard`.
      hosts: as in `Guard`.
      ancestors: as in `Guard`.

    Attributes:
      asgi: the application, as a server calls it.
      changes: the streams of changes.
    """

    def __init__(
        self,
        followed: FollowedRuns,
        token: str,
        hosts: Collection[str] = (),
        ancestors: Collection[str] = (),
    ) -> None:
        self._followed = followed
        self._answers = Answers(followed)
        self._static = _static_files()
        self._threads: CapacityLimiter | None = None
        self.changes = Changes(self._answers)
        routes = [
            Route("/", self._page),
            Route("/events", self._events),
            Route("/static/{name:path}", self._file),
            Route("/picture/{run}/{name}", self._picture),
            Route("/save", self._save),
            *(Route(f"/{name}", partial(self._answer, name=name)) for name in self._answers.names),
        ]
        self.asgi = Starlette(
            routes=routes,
            middleware=[
                Middleware(Guard, token=token, hosts=hosts, ancestors=ancestors),
                Middleware(GZipMiddleware, minimum_size=1000, compresslevel=3),
            ],
            exception_handlers={HTTPException: _http_error},
            lifespan=self._lifespan,
        )

    @contextlib.asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        self._threads = CapacityLimiter(THREADS)
        yield

    async def _page(self, _: Request) -> Response:
        text = live_page(self._followed.title)
        return HTMLResponse(text, headers={"Cache-Control": "no-cache"})

    async def _file(self, request: Request) -> Response:
        found = self._static.get(request.path_params["name"])
        if found is None:
            return refused(404, "there is no such file")
        headers = {"Cache-Control": "no-cache", "ETag": f'"{found.tag}"'}
        if _known_tag(request) == found.tag:
            return Response(status_code=304, headers=headers)
        return Response(found.body, media_type=found.kind, headers=headers)

    async def _events(self, request: Request) -> Response:
        last = request.headers.get("last-event-id", "")
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        stream = self.changes.stream(last)
        return StreamingResponse(stream, media_type="text/event-stream", headers=headers)

    async def _picture(self, request: Request) -> Response:
        response = await self._answered(request, "picture", urlencode(request.path_params))
        response.headers["Content-Security-Policy"] = PICTURE_POLICY
        return response

    async def _save(self, request: Request) -> Response:
        return await self._checked(partial(self._saved, request.url.query))

    def _saved(self, query: str) -> Response:
        title, body = self._answers.saved(query, datetime.now().astimezone())
        name = "".join(c if c.isascii() and (c.isalnum() or c in "-_.") else "-" for c in title)
        attached = f'attachment; filename="{name[:80].strip(".-") or "runs"}.html"'
        headers = {"Cache-Control": "no-store", "Content-Disposition": attached}
        return Response(body, media_type="text/html; charset=utf-8", headers=headers)

    async def _answer(self, request: Request, name: str) -> Response:
        return await self._answered(request, name, request.url.query)

    async def _answered(self, request: Request, name: str, query: str) -> Response:
        return await self._checked(partial(self._made, name, query, _known_tag(request)))

    def _made(self, name: str, query: str, known: str) -> Response:
        found = self._answers.of(name, query, known, in_parts=True)
        headers = {"Cache-Control": "no-cache"}
        if found is None:
            return Response(status_code=304, headers=headers | {"ETag": f'"{known}"'})
        headers["ETag"] = f'"{found.tag}"'
        if found.kind == BINARY:  # compressing floats takes longer than all else, and saves little
            headers["Content-Encoding"] = "identity"
        return Response(found.body, media_type=found.kind, headers=headers)

    async def _checked(self, make: Callable[[], Response]) -> Response:
        """Makes an answer in a thread; what goes wrong is an answer, too."""
        try:
            return await to_thread.run_sync(make, limiter=self._threads)
        except AskedError as error:
            return refused(400, str(error))
        except AbsentError as error:
            return refused(404, str(error.args[0]))
        except Exception as error:
            return refused(500, f"a fault of jaxlog: {type(error).__name__}: {error}"[:500])


def _known_tag(request: Request) -> str:
    """The tag of the answer that the reader has; empty for none."""
    return request.headers.get("if-none-match", "").removeprefix("W/").strip('"')


def _static_files() -> dict[str, Answer]:
    """The files of the page, by their addresses: read once, so that no address is a path."""
    found: dict[str, Answer] = {}

    def add(folder: Traversable, prefix: str) -> None:
        for entry in folder.iterdir():
            if entry.is_dir():
                add(entry, f"{prefix}{entry.name}/")
            elif (suffix := PurePosixPath(entry.name).suffix) in _KINDS:
                body = entry.read_bytes()
                tag = hashlib.blake2b(body, digest_size=12).hexdigest()
                found[f"{prefix}{entry.name}"] = Answer(body, _KINDS[suffix], tag)

    root = files("jaxlog._page").joinpath("static")
    if root.is_dir():
        add(root, "")
    return found


async def _http_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return refused(error.status_code, HTTPStatus(error.status_code).phrase.lower())
