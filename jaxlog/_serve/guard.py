"""Checks each request before anything is done: its method, its host, its origin and its token."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Collection, Mapping
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

METHODS = ("GET", "HEAD")
LOCAL = ("localhost", "127.0.0.1", "::1")
"""The names that this machine has for itself; `ssh -L` and proxies use them, with any port."""

FRAMES = "/in/"
"""The beginning of the path of an address in a frame of another site; the token follows. Browsers
send no cookies there, as in a notebook of VS Code, so that the address has to do."""

_GO_ON = """<!doctype html>
<meta charset="utf-8">
<meta http-equiv="refresh" content="0; url=./">
<link rel="icon" href="data:,">
<title>jaxlog</title>
<p><a href="./">jaxlog</a></p>
"""
"""Follows a visit with the token. A redirect would not do: after a click on another site, browsers
do not send a strict cookie to where they are redirected."""


class Guard:
    """Lets requests through to an application, and adds the headers that all answers have.

    Args:
      app: the application.
      token: the text that an address has to have once; the cookie then stands for it.
      hosts: the names that a request may have as its host, besides those of this machine; `*` for
        any.
      ancestors: the sources that may show the page in a frame, besides the page's own.
    """

    def __init__(
        self, app: ASGIApp, token: str, hosts: Collection[str] = (), ancestors: Collection[str] = ()
    ) -> None:
        self._app = app
        self._token = token.encode()
        self._hosts = {*LOCAL, *(host.lower() for host in hosts)}
        # Cookies do not know ports: two servers of one machine must not share a name.
        self._cookie = f"jaxlog-{hashlib.sha256(self._token).hexdigest()[:12]}"
        self._value = hashlib.sha256(b"cookie" + self._token).hexdigest()
        self._headers = _headers(ancestors)
        self._headers_in_frames = _headers(None)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return

        framed = self._framed(scope)
        if framed:
            scope = {**scope, "root_path": scope.get("root_path", "") + framed}

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                own = self._headers_in_frames if framed else self._headers
                for name, value in own.items():
                    headers.setdefault(name, value)
            await send(message)

        response = self._refusal(scope)
        if response is None and not framed:
            response = self._with_token(scope)
        await (response or self._app)(scope, receive, send_with_headers)

    def _refusal(self, scope: Scope) -> Response | None:
        """The answer to a request that is refused, whoever makes it."""
        headers = Headers(scope=scope)
        if scope["method"] not in METHODS:
            response = refused(405, f"got {scope['method'][:20]}, expected GET or HEAD")
            response.headers["Allow"] = ", ".join(METHODS)
            return response
        host = headers.get("host", "")
        if len(headers.getlist("host")) != 1 or not self._is_known(host):
            return refused(
                421,
                f"got the host {host!r:.100}, which is not this server; open the address that it "
                "printed, or start it with --allow-host",
            )
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != host:
            return refused(403, f"got a request of {origin!r:.100}, which is another site")
        if headers.get("sec-fetch-site") == "cross-site" and (
            headers.get("sec-fetch-mode") != "navigate"
        ):
            return refused(403, "got a request of another site")
        return None

    def _framed(self, scope: Scope) -> str:
        """The part of the path that has the token; empty if there is none, or another."""
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        if not path.startswith(FRAMES):
            return ""
        given, slash, _ = path.removeprefix(FRAMES).partition("/")
        same = secrets.compare_digest(given.encode("utf-8", "replace"), self._token)
        return f"{FRAMES}{given}" if slash and same else ""

    def _is_known(self, host: str) -> bool:
        name = _name_of(host)
        return bool(name) and ("*" in self._hosts or name in self._hosts)

    def _with_token(self, scope: Scope) -> Response | None:
        """The answer to a request without the cookie; None if it has the cookie."""
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [])
        if given and scope["path"].removeprefix(scope.get("root_path", "")) in ("/", ""):
            if secrets.compare_digest(given[0].encode("utf-8", "replace"), self._token):
                response = HTMLResponse(_GO_ON, headers={"Cache-Control": "no-store"})
                # Without a path it is that of the address that the browser sees, behind any proxy.
                response.headers["Set-Cookie"] = (
                    f"{self._cookie}={self._value}; HttpOnly; SameSite=Strict"
                )
                return response
            return refused(401, "got another token; open the address that jaxlog serve printed")
        if self._has_cookie(Headers(scope=scope)):
            return None
        return refused(401, "got no token; open the address that jaxlog serve printed")

    def _has_cookie(self, headers: Headers) -> bool:
        cookies: SimpleCookie = SimpleCookie()
        for text in headers.getlist("cookie"):
            try:
                cookies.load(text)
            except CookieError:
                continue
        found = cookies.get(self._cookie)
        return found is not None and secrets.compare_digest(
            found.value.encode("utf-8", "replace"), self._value.encode()
        )


def refused(status: int, text: str) -> JSONResponse:
    """An answer that is an error."""
    return JSONResponse({"error": text}, status, headers={"Cache-Control": "no-store"})


def _name_of(host: str) -> str:
    """The name in a Host header, without its port; empty if it is none.

    >>> _name_of("localhost:8765"), _name_of("[::1]:80"), _name_of("evil.example@localhost")
    ('localhost', '::1', '')
    """
    try:
        found = urlsplit(f"//{host}")
        _ = found.port
    except ValueError:
        return ""
    return "" if "@" in host or "/" in host else (found.hostname or "")


def _headers(ancestors: Collection[str] | None) -> Mapping[str, str]:
    """The headers of all answers; None for pages that any site or program may show in a frame."""
    policy = (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'"
    )
    if ancestors is not None:
        policy += "; frame-ancestors 'self'" + "".join(f" {source}" for source in ancestors)
    return {
        "Content-Security-Policy": policy,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Cross-Origin-Opener-Policy": "same-origin",
    }
