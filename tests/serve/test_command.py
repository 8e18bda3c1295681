"""`jaxlog serve` as a process: what it prints, how it stops, what it refuses."""

from __future__ import annotations

import http.client
import os
import re
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from jaxlog._serve.listening import ListenError, listen_on_path, listen_on_port
from tests.cli.conftest import Command as Command
from tests.cli.conftest import command as command
from tests.page.conftest import sweep as sweep

MAIN = "import sys; from jaxlog._cli.main import main; sys.exit(main(sys.argv[1:]))"
CHECKED = (
    "import atexit, sys\n"
    "heavy = lambda: print(*(name in sys.modules for name in ('jax', 'matplotlib')), flush=True)\n"
    "atexit.register(heavy)\n" + MAIN
)


@contextmanager
def process(*arguments: object, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """Runs the command, and ends it."""
    found = subprocess.Popen(
        [sys.executable, "-c", CHECKED, "serve", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={key: value for key, value in os.environ.items() if key != "SSH_CONNECTION"}
        | environment,
    )
    try:
        yield found
    finally:
        if found.poll() is None:
            found.kill()
        found.communicate(timeout=60)


def lines_until(found: subprocess.Popen[str], pattern: str) -> tuple[list[str], re.Match[str]]:
    """The lines that it prints until one matches, and the match."""
    assert found.stdout is not None
    lines: list[str] = []
    for line in found.stdout:
        lines.append(line.rstrip("\n"))
        if match := re.search(pattern, line):
            return lines, match
    raise AssertionError((lines, found.stderr and found.stderr.read()))


class UnixConnection(http.client.HTTPConnection):
    """A connection to a Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=60)
        self._path = str(path)

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect(self._path)


def fetched(
    connection: http.client.HTTPConnection, path: str, headers: dict[str, str] | None = None
) -> tuple[int, bytes, str]:
    connection.request("GET", path, headers=headers or {})
    response = connection.getresponse()
    return response.status, response.read(), response.getheader("set-cookie") or ""


@pytest.mark.parametrize("one", [signal.SIGINT, signal.SIGTERM])
def test_it_stops_at_a_signal_although_a_page_is_open_and_never_imports_jax(
    sweep: Path, one: signal.Signals
) -> None:
    with process(sweep, "--port", "0") as found:
        lines, match = lines_until(found, r"http://127\.0\.0\.1:(\d+)(/\?token=\S+)")
        assert lines[0] == f"serves {sweep}; Ctrl-C stops it"
        connection = http.client.HTTPConnection("127.0.0.1", int(match[1]), timeout=60)
        status, _, cookie = fetched(connection, match[2])
        assert status == 200
        headers = {"Cookie": cookie.split(";")[0]}
        for path in ("/curves?call=eval&key=score", "/answer", "/comparison?call=eval&key=score"):
            status, body, _ = fetched(connection, path, headers)
            assert (status, bool(body)) == (200, True)
        connection.request("GET", "/events", headers=headers)
        stream = connection.getresponse()
        assert stream.readline() == b": jaxlog\n"
        found.send_signal(one)
        assert stream.read() is not None  # up to its end
        out, err = found.communicate(timeout=60)
        assert (found.returncode, out, err) == (0, "False False\n", "")
        connection.close()


def test_a_unix_socket_is_for_this_user_alone(sweep: Path, tmp_path: Path) -> None:
    path = tmp_path / "s"
    with process(sweep, "--socket", path) as found:
        lines, match = lines_until(found, r"http://localhost:8765(/\?token=\S+)")
        assert any(re.fullmatch(rf"  ssh -N -L 8765:{path} \S+@\S+", line) for line in lines)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        connection = UnixConnection(path)
        assert fetched(connection, match[1])[0] == 200
        connection.close()
        found.send_signal(signal.SIGTERM)
        found.communicate(timeout=60)
        assert found.returncode == 0
    assert not path.exists()


def test_over_ssh_it_prints_the_line_that_forwards_the_port(sweep: Path) -> None:
    with process(sweep, "--port", "0", SSH_CONNECTION="10.0.0.1 5000 10.0.0.2 2222") as found:
        lines, match = lines_until(found, r"http://localhost:(\d+)/\?token=\S+")
        number = match[1]
        forwards = rf"  ssh -N -p 2222 -L {number}:127\.0\.0\.1:{number} \S+@{socket.gethostname()}"
        assert re.fullmatch(forwards, lines[2])
        assert [lines[1], lines[3]] == ["on your own machine, run", "and open"]


def test_a_port_in_use_is_named_with_what_to_do(command: Command, sweep: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, out, err = command("serve", sweep, "--port", port)
    assert (code, out) == (2, "")
    assert err == (
        f"jaxlog: serve: the port {port} is in use, perhaps by another jaxlog serve; choose "
        "another with --port, or --port 0 for any that is free\n"
    )


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--host", "no.such.host.invalid"], "expected an address of this machine"),
        (["--host", "203.0.113.7"], "cannot be listened on"),
        (["--allow-frames-of", "hub.example"], "expected an origin like https://hub.example"),
        (["--allow-frames-of", "https://a; script-src *"], "expected an origin like"),
        (["--socket", "/no/such/directory/s"], "cannot be made: No such file or directory"),
    ],
)
def test_what_it_cannot_do_has_a_reason(
    command: Command, sweep: Path, arguments: Sequence[str], text: str
) -> None:
    code, out, err = command("serve", sweep, "--port", 0, *arguments)
    assert (code, out) == (2, "")
    assert text in err
    assert err.count("\n") == 1


def test_a_file_is_no_directory(command: Command, sweep: Path) -> None:
    code, _, err = command("serve", sweep / "run-0" / "run.json")
    assert code == 2
    assert "is a file, expected the directory of runs" in err


def test_a_socket_that_was_left_is_replaced_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "s"
    first = listen_on_path(path)
    with pytest.raises(ListenError, match="another server listens there"):
        listen_on_path(path)
    first.close()  # without removing it, as when it is killed
    listen_on_path(path).close()
    path.unlink()
    path.write_text("mine")
    with pytest.raises(ListenError, match="is there already, and is no socket"):
        listen_on_path(path)
    assert path.read_text() == "mine"
    with pytest.raises(ListenError, match="cannot be made"):
        listen_on_path(tmp_path / ("x" * 200))


def test_ports_are_those_of_the_host() -> None:
    for host in ("127.0.0.1", "localhost"):
        opened = listen_on_port(host, 0)
        assert opened.getsockname()[1] > 0
        opened.close()


def test_without_the_extra_it_says_which_to_install(sweep: Path) -> None:
    code = "import sys; sys.modules['starlette'] = sys.modules['uvicorn'] = None; " + MAIN
    command = [sys.executable, "-c", code, "serve", str(sweep)]
    found = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert found.returncode == 2
    assert re.fullmatch(
        r"jaxlog: serve: needs (starlette|uvicorn)\S*, which is not installed: "
        r"pip install 'jaxlog\[serve\]'\n",
        found.stderr,
    )
