"""What the server answers over HTTP: the page's answers, compressed, tagged, and as they change."""

from __future__ import annotations

import gzip
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import jaxlog
from jaxlog._serve import changes
from jaxlog._watching.shared_facts import run_id
from tests.conftest import MakeLogger
from tests.page.frames import decoded
from tests.serve.conftest import Served


def test_the_page_and_its_files_are_served(served: Served) -> None:
    page = served.get("/")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    text = page.body.decode()
    assert 'src="static/main.js"' in text
    assert 'src="/' not in text  # relative, for proxies
    assert 'href="/' not in text
    script = served.get("/static/main.js")
    assert script.headers["content-type"].startswith("text/javascript")
    again = served.get("/static/main.js", {"If-None-Match": script.headers["etag"]})
    assert (again.status, again.body) == (304, b"")


def test_curves_over_http_are_those_of_plots(served: Served, sweep: Path) -> None:
    found = served.get("/curves?call=eval&key=score&group=lr")
    assert found.headers["content-type"] == "application/octet-stream"
    curves = decoded(found.body)
    frame = jaxlog.read_runs(sweep).metrics_of("eval")
    rows = frame.filter((frame["run"].is_in(["run-0", "run-3"])) & (frame["step"] == 7))
    assert curves.groups["0.001"]["middle"][7] == pytest.approx(rows["score"].mean(), rel=1e-6)


@pytest.mark.parametrize(
    "path",
    [
        "/runs",
        "/metrics",
        "/curves?call=eval&key=score",
        "/answer",
        "/comparison?call=eval&key=score",
    ],
)
def test_an_answer_that_the_page_has_is_not_sent_again(
    served: Served, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jaxlog._page.answers.AGE", 1e9)
    first = served.get(path)
    assert first.headers["cache-control"] == "no-cache"
    for tag in (first.headers["etag"], f"W/{first.headers['etag']}"):
        again = served.get(path, {"If-None-Match": tag})
        assert (again.status, again.body) == (304, b"")
        assert again.headers["etag"] == first.headers["etag"]
    assert served.get(path, {"If-None-Match": '"0"'}).status == 200


def test_answers_are_compressed_and_streams_are_not(served: Served) -> None:
    found = served.get("/runs", {"Accept-Encoding": "gzip"})
    assert found.headers["content-encoding"] == "gzip"
    assert b'"matching":6' in gzip.decompress(found.body)
    stream = served.stream()
    assert stream.response.getheader("content-encoding") is None
    assert stream.response.getheader("content-type", "").startswith("text/event-stream")
    stream.close()


@pytest.mark.parametrize(
    ("path", "status", "text"),
    [
        ("/runs?where=lr%3E", 400, "got no value after >"),
        ("/curves?call=eval&key=score&x=y", 400, "x: got 'y'"),
        ("/curves?call=eval&key=nothing", 404, "none of these runs has logged"),
        ("/facts?run=aaaa", 404, "is no run"),
        ("/save?address=secret", 400, "address: got 'secret', which nobody answers"),
        ("/nothing", 404, "not found"),
    ],
)
def test_errors_have_a_text(served: Served, path: str, status: int, text: str) -> None:
    found = served.get(path)
    assert found.status == status
    assert text in found.json["error"]


def test_a_fault_is_an_answer_and_no_traceback(
    served: Served, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: Any) -> Any:
        raise ZeroDivisionError("of a test")

    monkeypatch.setattr("jaxlog._page.value_answers.curves", fail)
    found = served.get("/curves?call=eval&key=score")
    assert (found.status, found.json) == (
        500,
        {"error": "a fault of jaxlog: ZeroDivisionError: of a test"},
    )
    assert capfd.readouterr() == ("", "")
    assert served.get("/runs").status == 200


def test_changes_are_told_and_can_be_asked_for(
    make_logger: MakeLogger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes, "PERIOD", 0.05)
    monkeypatch.setattr(changes, "LONGEST", 0.05)
    monkeypatch.setattr("jaxlog._page.followed.PERIOD", 0.05)
    served = Served(tmp_path / "runs")
    try:
        stream = served.stream()
        assert served.get("/runs").json["total"] == 0
        logger = make_logger(sinks=[{"kind": "jsonl"}])
        with logger.open(tmp_path / "runs" / "live", lanes=[{}] * 2) as run:
            for step in range(5):
                run.log({"score": [float(step), 3.0 * step]}, step=step)
            run.flush()
            until = time.monotonic() + 60
            events = []
            while time.monotonic() < until:
                events.append(stream.event())
                rows = served.get("/runs?a").json["rows"]
                if rows and served.get("/metrics?b").json["metrics"]:
                    break
            assert run_id("live") in {one for event in events for one in event["runs"] or ()}
            first = decoded(served.get("/curves?call=eval&key=score&group=none").body)
            assert first.groups["all lanes"]["middle"].tolist() == [0.0, 2.0, 4.0, 6.0, 8.0]
            run.log({"score": [50.0, 70.0]}, step=5)
            run.flush()
            values: list[float] = []
            while time.monotonic() < until and values[-1:] != [60.0]:
                events.append(stream.event())
                found = decoded(served.get("/curves?call=eval&key=score&group=none").body)
                values = found.groups["all lanes"]["middle"].tolist()
            assert values == [0.0, 2.0, 4.0, 6.0, 8.0, 60.0]
        versions = [event["version"] for event in events if event is not None]
        assert versions == sorted(set(versions))
        last = events[-1]["id"]
        back = served.stream(last)  # after it had lost the connection
        event = back.event()
        assert event is not None
        assert event["version"] > versions[-1]
        assert event["runs"] == [run_id("live")]
        foreign = served.stream("0123-7").event()  # of a server before this one
        assert foreign is not None
        assert foreign["runs"] is None
    finally:
        served.stop()


def test_a_silent_stream_is_kept_open(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "SILENCE", 0.05)
    stream = served.stream()
    lines = [stream.line() for _ in range(20)]
    assert lines.count(": ") + lines.count(":") >= 2
    stream.close()


def test_nobody_looks_at_the_files_when_nobody_listens(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jaxlog._page.followed.PERIOD", 0.02)
    looks: list[float] = []
    real = served.followed.look
    monkeypatch.setattr(served.followed, "look", lambda: (looks.append(time.monotonic()), real()))
    stream = served.stream()
    until = time.monotonic() + 30
    while len(looks) < 3 and time.monotonic() < until:
        time.sleep(0.02)
    assert len(looks) >= 3
    stream.close()
    while time.monotonic() < until and served.app.changes._listeners:
        time.sleep(0.05)
    assert not served.app.changes._listeners
    time.sleep(0.2)
    count = len(looks)
    time.sleep(0.3)
    assert len(looks) == count


def test_a_server_that_stops_ends_its_streams(sweep: Path) -> None:
    served = Served(sweep)
    streams = [served.stream() for _ in range(3)]
    ends: list[Any] = []
    readers = [
        threading.Thread(target=lambda stream=stream: ends.append(list(iter(stream.line, None))))
        for stream in streams
    ]
    for reader in readers:
        reader.start()
    served.server.stop()
    for reader in readers:
        reader.join(60)
    assert len(ends) == 3
    served.stop()


def test_events_come_less_often_if_answers_take_long(monkeypatch: pytest.MonkeyPatch) -> None:
    import asyncio

    class Slow:
        followed: Any = None
        updating = 0.25

    own = changes.Changes(Slow())  # type: ignore[arg-type]
    waits: list[float] = []
    now = [100.0]

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        now[0] += seconds

    monkeypatch.setattr(changes.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(changes.asyncio, "sleep", sleep)
    asyncio.run(own._rest(0.2, 100.0))
    assert sum(waits) == pytest.approx(0.05 / changes.SHARE)
    waits.clear()
    asyncio.run(own._rest(-1e9, now[0]))
    assert sum(waits) == pytest.approx(changes.LONGEST)
    assert np.max(waits) <= changes.PERIOD


def test_a_view_is_saved_in_one_file(served: Served) -> None:
    address = "curves%3Fcall%3Deval%26key%3Dscore%26group%3Dlr"
    found = served.get(
        f"/save?address=runs%3Flimit%3D1000&address={address}&title=My+view&state=x%3Dstep"
    )
    assert found.status == 200
    assert found.headers["content-disposition"] == 'attachment; filename="My-view.html"'
    text = found.body.decode()
    assert "curves?call=eval&key=score&group=lr" in text.replace("\\u0026", "&").replace(
        "&amp;", "&"
    )
    assert "Content-Security-Policy" in text
    assert 'src="static/' not in text
