"""Who may ask the server, for what, and what browsers are told about its answers."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
from pathlib import Path
from typing import Any

import pytest

from jaxlog._watching.shared_facts import run_id
from tests.serve.conftest import Served

ADDRESSES = ("/", "/runs", "/metrics", "/curves?call=eval&key=score", "/events", "/static/main.js")


@pytest.mark.parametrize("path", [*ADDRESSES, "/save", "/picture/a/b", "/nothing"])
@pytest.mark.parametrize("cookie", [None, "wrong", "jaxlog=1; =; a"])
def test_without_the_cookie_nothing_is_answered(
    served: Served, path: str, cookie: str | None
) -> None:
    if cookie == "wrong":
        cookie = served.cookie.partition("=")[0] + "=" + "0" * 64
    found = served.get(path, cookie=cookie)
    assert found.status == 401
    assert found.json == {"error": "got no token; open the address that jaxlog serve printed"}


@pytest.mark.parametrize("token", ["", "x", "%C3%A9", "a" * 5000])
def test_another_token_is_refused(served: Served, token: str) -> None:
    found = served.get(f"/?token={token}", cookie=None)
    assert found.status == 401
    assert "set-cookie" not in found.headers


def test_the_token_is_exchanged_for_a_strict_cookie(served: Served) -> None:
    found = served.get(f"/?token={served.token}", cookie=None)
    assert found.status == 200
    name, *attributes = found.headers["set-cookie"].split("; ")
    assert attributes == ["HttpOnly", "SameSite=Strict"]
    assert served.token not in found.headers["set-cookie"]
    assert found.headers["cache-control"] == "no-store"
    assert b'content="0; url=./"' in found.body
    assert served.token.encode() not in found.body
    page = served.get("/", cookie=name)
    assert page.status == 200
    assert served.token.encode() not in page.body
    # The token counts only for the page itself.
    assert served.get(f"/runs?token={served.token}", cookie=None).status == 401


def test_two_servers_have_cookies_of_different_names(served: Served, sweep: Path) -> None:
    other = Served(sweep)
    try:
        assert other.cookie.split("=")[0] != served.cookie.split("=")[0]
        assert other.get("/runs", cookie=served.cookie).status == 401
    finally:
        other.stop()


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "FOO"])
@pytest.mark.parametrize("path", ["/", "/runs", "/events"])
def test_only_get_and_head(served: Served, method: str, path: str) -> None:
    found = served.ask(method, path)
    assert found.status == 405
    assert found.headers["allow"] == "GET, HEAD"
    assert "access-control-allow-origin" not in found.headers
    head = served.ask("HEAD", "/runs")
    assert (head.status, head.body) == (200, b"")


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:80",
        "127.0.0.1.evil.example",
        "localhost@evil.example",
        "",
        "[",
    ],
)
def test_a_foreign_host_is_refused(served: Served, host: str) -> None:
    for path in ("/runs", f"/?token={served.token}"):
        found = served.get(path, {"Host": host})
        assert found.status in (400, 421), host  # h11 itself refuses what is no host
        assert "set-cookie" not in found.headers


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:9", "127.0.0.1:1", "[::1]:8765"])
def test_this_machine_may_be_reached_by_any_port(served: Served, host: str) -> None:
    assert served.get("/runs", {"Host": host}).status == 200


def test_other_hosts_can_be_allowed(sweep: Path) -> None:
    served = Served(sweep, hosts=["hub.example"], ancestors=["https://hub.example"])
    try:
        assert served.get("/runs", {"Host": "Hub.example"}).status == 200
        assert served.get("/runs", {"Host": "other.example"}).status == 421
        policy = served.get("/").headers["content-security-policy"]
        assert policy.endswith("frame-ancestors 'self' https://hub.example")
    finally:
        served.stop()


def test_a_foreign_origin_is_refused(served: Served) -> None:
    own = f"127.0.0.1:{served.port}"
    for origin in ("https://evil.example", "null", "http://127.0.0.1:1"):
        found = served.get("/runs", {"Origin": origin})
        assert found.status == 403, origin
        assert "access-control-allow-origin" not in found.headers
    assert served.get("/runs", {"Origin": f"http://{own}"}).status == 200
    site = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}
    assert served.get("/runs", site).status == 403
    assert served.get("/", site | {"Sec-Fetch-Mode": "navigate"}).status == 200


@pytest.mark.parametrize("path", [*ADDRESSES[:4], "/static/main.js", "/nothing", "/runs?limit=x"])
def test_browsers_are_told_to_run_and_load_nothing_else(served: Served, path: str) -> None:
    headers = served.get(path).headers
    parts = headers["content-security-policy"].split(";")
    policy = {name: rest for name, _, rest in (part.strip().partition(" ") for part in parts)}
    assert policy == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self' data: blob:",
        "connect-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'self'",
    }
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert "access-control-allow-origin" not in headers


@pytest.mark.parametrize(
    "path",
    [
        "/static/../answers.py",
        "/static/%2e%2e/answers.py",
        "/static//etc/passwd",
        "/static/page.html.jinja",
        "/static/",
        "/picture/../../run.json",
        "/picture/%2e%2e/run.json",
        f"/picture/{run_id('run-0')}/..%2frun.json",
        f"/picture/{run_id('run-0')}/episode-0",
        "/facts?run=../run-0",
        "/facts?run=/etc",
        "/run-0/run.json",
        "/nothing",
    ],
)
def test_no_address_is_a_path(served: Served, path: str) -> None:
    found = served.get(path)
    assert found.status == 404, found
    assert set(found.json) == {"error"}


def test_a_picture_may_do_nothing(pictured: Path) -> None:
    svg = pictured / "svg"
    hostile = b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"
    served = Served(pictured.parent)
    try:
        one = run_id("grid")
        source = served.get(f"/pictures?run={one}").json["episodes"][0]["source"]
        found = served.get(f"/{source}")
        assert (found.status, found.headers["content-type"]) == (200, "image/svg+xml")
        assert found.headers["content-security-policy"] == (
            "default-src 'none'; style-src 'unsafe-inline'; sandbox"
        )
        assert found.body.startswith(b"<svg")
        drawn = list(svg.rglob("*.svg"))
        assert drawn
        before = {path: path.read_bytes() for path in drawn}
        try:
            for path in drawn:
                path.write_bytes(hostile)
            assert b"<script" not in served.get(f"/{source}?again").body
        finally:
            for path, body in before.items():
                path.write_bytes(body)
    finally:
        served.stop()


def test_links_out_of_a_run_are_not_followed(sweep: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text('{"timestamp":1,"step":0,"lane":0,"labels":{},"metrics":{"score":5.0}}\n')
    run = sweep / "run-0"
    (run / "eval_metrics.jsonl").unlink()
    (run / "eval_metrics.jsonl").symlink_to(secret)
    served = Served(sweep)
    try:
        served.followed.look(all_of_it=True)
        found = served.get("/comparison?call=eval&key=score&group=run").json
        assert "run-0" not in [row["name"] for row in found["rows"]]
    finally:
        served.stop()


def tree(directory: Path) -> dict[str, Any]:
    """All files and folders, with what tells if they were touched."""
    found = {}
    for folder, _, names in os.walk(directory):
        for path in (Path(folder), *(Path(folder, name) for name in names)):
            status = path.stat()
            content = path.read_bytes() if stat.S_ISREG(status.st_mode) else b""
            found[str(path)] = (status.st_mode, status.st_mtime_ns, status.st_ino, content)
    return found


def test_it_only_reads(served: Served, sweep: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = tree(sweep)
    one = run_id("run-0")
    for path in (
        *ADDRESSES[:4],
        "/answer",
        "/comparison?call=eval&key=score&baseline=a&group=env",
        f"/facts?run={one}",
        f"/pictures?run={one}",
        f"/configs?a={one}&b={one}",
        "/save?address=runs&address=metrics",
    ):
        assert served.get(path).status == 200, path
    stream = served.stream()
    assert tree(sweep) == before
    for folder, _, _ in os.walk(sweep):
        Path(folder).chmod(0o555)
    try:
        assert served.get("/runs?again").json["matching"] == 6
    finally:
        for folder, _, _ in os.walk(sweep):
            Path(folder).chmod(0o755)
        stream.close()


def test_a_request_that_is_none_does_no_harm(served: Served) -> None:
    for data in (b"\0" * 100, b"GET / HTTP/9\r\n\r\n", b"GET /" + b"a" * 400_000, b"\r\n\r\n"):
        answer = b""
        with (
            socket.create_connection(("127.0.0.1", served.port), 30) as connection,
            contextlib.suppress(OSError),  # the server may leave first
        ):
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            answer = connection.recv(4096)
        assert not answer or answer.startswith(b"HTTP/1.1 4")
    assert served.get("/runs").status == 200
