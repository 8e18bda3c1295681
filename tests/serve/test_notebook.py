"""jaxlog.live: the live page in a frame of a notebook, by a server in a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

import pytest

import jaxlog
from jaxlog._page.followed import FollowedRuns
from jaxlog._serve.app import WebApp
from jaxlog._serve.listening import listen_on_port
from jaxlog._serve.serving import PageServer
from tests.browser import Open
from tests.conftest import MakeLogger


@pytest.fixture
def logged(make_logger: MakeLogger, tmp_path: Path) -> Path:
    """The directory of a run with a metric."""
    with make_logger(sinks=[{"kind": "jsonl"}]).open(tmp_path / "runs" / "ppo") as run:
        for step in range(3):
            run.log({"loss": 1.0 / (1 + step)}, step=step)
    return tmp_path / "runs" / "ppo"


@pytest.fixture
def view(logged: Path) -> Iterator[jaxlog.LiveView]:
    found = jaxlog.live(logged.parent)
    yield found
    found.close()


def test_the_address_alone_shows_the_runs(view: jaxlog.LiveView, logged: Path) -> None:
    with urlopen(view.address) as page:
        assert "frame-ancestors" not in page.headers["Content-Security-Policy"]
        assert page.headers["Set-Cookie"] is None
    with urlopen(f"{view.address}runs") as found:
        assert [row["name"] for row in json.load(found)["rows"]] == [logged.name]
    elsewhere = view.address.partition("/in/")[0]
    for path in ("/runs", "/in/", "/in/another/runs", f"{view.address[len(elsewhere) : -2]}/runs"):
        with pytest.raises(HTTPError) as refusal:
            urlopen(elsewhere + path)
        with refusal.value:
            assert refusal.value.code == 401


def test_one_server_for_a_directory(view: jaxlog.LiveView, logged: Path) -> None:
    assert jaxlog.live(logged.parent) is view
    view.close()
    with pytest.raises(URLError):
        urlopen(view.address)
    again = jaxlog.live(logged.parent)
    assert again is not view
    again.close()


def test_a_notebook_gets_a_frame_of_the_page(
    view: jaxlog.LiveView, logged: Path, tmp_path: Path, open_page: Open
) -> None:
    notebook = tmp_path / "notebook.html"
    notebook.write_text(f"<!doctype html><title>notebook</title>{view._repr_html_()}")
    opened = open_page(notebook)
    frame = opened.page.frame_locator("iframe")
    frame.get_by_text(logged.name).first.wait_for()
    assert opened.said == []
    assert all(address.startswith(view.address) for address in opened.asked)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_frame_has_the_scheme_of_the_notebook(
    scheme: Any, logged: Path, view: jaxlog.LiveView, tmp_path: Path, open_page: Open
) -> None:
    assert jaxlog.live(logged.parent, height=900, scheme=scheme) is view
    assert view.height == 900
    notebook = tmp_path / "notebook.html"
    notebook.write_text(f"<!doctype html><title>notebook</title>{view._repr_html_()}")
    opened = open_page(notebook)
    frame = opened.page.frame_locator("iframe")
    frame.get_by_text(logged.name).first.wait_for()
    paper = frame.locator("body").evaluate("(body) => getComputedStyle(body).backgroundColor")
    assert paper == {"light": "rgb(255, 255, 255)", "dark": "rgb(18, 23, 29)"}[scheme]


def test_another_scheme_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="scheme: got 'blue', expected 'light', 'dark' or None"):
        jaxlog.live(tmp_path, scheme="blue")  # pyright: ignore[reportArgumentType]


def test_a_server_whose_notebook_ends_before_it_serves_ends_too(logged: Path) -> None:
    command = [sys.executable, "-m", "jaxlog._serve.child", str(logged)]
    ended = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
    assert (ended.returncode, ended.stderr) == (0, b"")


def test_a_server_that_is_stopped_before_it_serves_ends(logged: Path) -> None:
    server = PageServer(WebApp(FollowedRuns(logged), "token"))
    server.stop()
    with listen_on_port("127.0.0.1", 0) as opened:
        server.serve_until_stopped([opened])
    assert server.should_exit


def test_the_server_ends_with_a_notebook_that_is_killed(logged: Path) -> None:
    code = f"import jaxlog, time; print(jaxlog.live({str(logged.parent)!r}).address, flush=True)\n"
    notebook = subprocess.Popen(
        [sys.executable, "-c", code + "time.sleep(600)"], stdout=subprocess.PIPE, text=True
    )
    assert notebook.stdout is not None
    address = notebook.stdout.readline().strip()
    with urlopen(address) as page:
        assert page.status == 200
    os.kill(notebook.pid, signal.SIGKILL)
    notebook.communicate()
    with pytest.raises(URLError):  # noqa: PT012
        while True:
            urlopen(address).close()
            time.sleep(0.05)


@pytest.mark.parametrize(
    ("prefix", "given", "expected"),
    [
        (None, None, "http://localhost:{port}/in/"),
        ("/user/me/", None, "/user/me/proxy/{port}/in/"),
        ("/user/me/", "https://host/{port}", "https://host/{port}/in/"),
    ],
)
def test_addresses_behind_a_proxy(
    prefix: str | None,
    given: str | None,
    expected: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if prefix is not None:
        monkeypatch.setenv("JUPYTERHUB_SERVICE_PREFIX", prefix)
    view = jaxlog.live(tmp_path, address=given)
    try:
        port = next(part for part in view.address.replace(":", "/").split("/") if part.isdigit())
        assert view.address.startswith(expected.replace("{port}", port))
    finally:
        view.close()


def test_an_address_without_the_port_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"live: address: got '/proxy/', expected one with {port}"):
        jaxlog.live(tmp_path, address="/proxy/")


def test_a_package_that_is_not_installed_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "uvicorn.py").write_text("raise ModuleNotFoundError(\"No module named 'uvicorn'\")")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    with pytest.raises(RuntimeError, match=r"named 'uvicorn'; pip install 'jaxlog\[serve\]'$"):
        jaxlog.live(tmp_path)
