"""The output of a program in output.txt."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

import jaxlog
from jaxlog._host import output_capture
from tests.conftest import MakeLogger

OUT = "output.txt"


@pytest.fixture
def logger(make_logger: MakeLogger) -> jaxlog.Logger:
    return make_logger(capture_output=True, what_ran=[])


def test_output_is_copied_as_a_terminal_shows_it_in_the_end(
    logger: jaxlog.Logger, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    handler = logging.StreamHandler(sys.stderr)  # holds the stream from before
    own = logging.getLogger("of.the.test")
    own.addHandler(handler)
    try:
        print("before")
        with logger.open(tmp_path / "run"):
            print("one", 2)
            own.warning("three")
            sys.stderr.write("10 %\r 20 %\r\x1b[32m100 %\x1b[0m\n")
            print("api_key=abcdefgh12345678")
            print("no end", end="")
            assert print_of(tmp_path) == "one 2\nthree\n100 %\napi_key=(redacted)\n"
        print("after")
    finally:
        own.removeHandler(handler)
    assert print_of(tmp_path) == "one 2\nthree\n100 %\napi_key=(redacted)\nno end\n"
    out, err = capsys.readouterr()
    assert out == "before\none 2\napi_key=abcdefgh12345678\nno endafter\n"
    assert err == "three\n10 %\r 20 %\r\x1b[32m100 %\x1b[0m\n"
    assert "write" not in vars(sys.stdout)


def writes() -> list[Any]:
    """What replaces the method of each stream; another package may have replaced it, too."""
    return [vars(stream).get("write") for stream in (sys.stdout, sys.stderr)]


def print_of(tmp_path: Path) -> str:
    return (tmp_path / "run" / OUT).read_text()


def test_streams_are_restored_and_the_traceback_is_kept_after_an_exception(
    logger: jaxlog.Logger, tmp_path: Path
) -> None:
    def train() -> None:
        with logger.open(tmp_path / "run") as run:
            run.log({"x": 1.0}, step=0)
            print("here", end="")
            _ = 1 / 0

    before = writes()
    with pytest.raises(ZeroDivisionError):
        train()
    first, *_, last = print_of(tmp_path).splitlines()
    assert (first, last) == ("here", "ZeroDivisionError: division by zero")
    assert "Traceback (most recent call last):" in print_of(tmp_path)
    assert writes() == before


def test_a_resumed_run_appends_and_one_that_replaces_begins_again(
    logger: jaxlog.Logger, tmp_path: Path
) -> None:
    for text, how in (("a", "error"), ("b", "resume")):
        with logger.open(tmp_path / "run", if_exists=how):  # type: ignore[arg-type]
            print(text)
    assert print_of(tmp_path) == "a\n--- session 1 ---\nb\n"
    with logger.open(tmp_path / "run", if_exists="replace"):
        print("c")
    assert print_of(tmp_path) == "c\n"


def test_warnings_of_sinks_are_copied_and_lines_of_the_console_are_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    class Fails(jaxlog.sinks.Sink):
        def write_metrics(self, event: jaxlog.sinks.MetricsEvent) -> None:
            raise RuntimeError(f"no room for step {event.step}")

    logger = jaxlog.Logger(
        {"sinks": [Fails(), {"kind": "console"}], "capture_output": True, "what_ran": []}
    )
    handler = logging.StreamHandler(sys.stderr)
    logging.getLogger("jaxlog").addHandler(handler)
    try:
        with logger.open(tmp_path / "run") as run:
            run.log({"loss": 1.0}, step=7)
    finally:
        logging.getLogger("jaxlog").removeHandler(handler)
    assert "eval · step 7" in capsys.readouterr().out
    assert "eval · step 7" not in print_of(tmp_path)
    assert "jaxlog: the sink Fails could not write: RuntimeError: no room" in print_of(tmp_path)


def test_two_runs_at_once_both_have_the_output(make_logger: MakeLogger, tmp_path: Path) -> None:
    settings = {"capture_output": True, "what_ran": []}
    before = writes()
    one = make_logger(**settings).open(tmp_path / "one")
    print("1")
    two = make_logger(**settings).open(tmp_path / "two")
    print("2")
    one.close()
    print("3")
    two.close()
    print("4")
    assert (tmp_path / "one" / OUT).read_text() == "1\n2\n"
    assert (tmp_path / "two" / OUT).read_text() == "2\n3\n"
    assert writes() == before


def test_another_program_that_replaces_write_is_let_be(
    logger: jaxlog.Logger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs: list[str] = []
    before = sys.stdout.write

    def write(text: str) -> int:
        theirs.append(text)
        return before(text)

    monkeypatch.setattr(sys.stdout, "write", write)
    with logger.open(tmp_path / "run"):
        print("x")
    assert sys.stdout.write is write
    assert (theirs, print_of(tmp_path)) == (["x", "\n"], "x\n")


def test_redirected_output_goes_where_it_is_redirected(
    logger: jaxlog.Logger, tmp_path: Path
) -> None:
    with logger.open(tmp_path / "run"), contextlib.redirect_stdout(io.StringIO()) as found:
        print("x")
    assert (found.getvalue(), print_of(tmp_path)) == ("x\n", "")


def test_a_long_line_and_a_long_output_are_bounded(
    logger: jaxlog.Logger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output_capture, "_LONGEST", 10)
    monkeypatch.setattr(output_capture, "MOST_BYTES", 40)
    with logger.open(tmp_path / "run"):
        print("0123456789abcdef", end="")
        print()
        for _ in range(20):
            print("line")
    lines = print_of(tmp_path).splitlines()
    assert lines[:2] == ["0123456789", "abcdef"]
    assert lines[-1] == "--- more than 40 bytes; the rest is left out ---"
    assert lines.count("line") < 20


def test_a_file_that_cannot_be_written_is_said_once(
    logger: jaxlog.Logger, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")

    class Full(io.FileIO):
        def write(self, data: object) -> int:  # type: ignore[override]
            raise OSError(28, "No space left on device")

    with logger.open(tmp_path / "run") as run:
        (capture,) = output_capture._Streams._captures
        assert capture._file is not None
        capture._file.close()
        capture._file = Full("/dev/full", "w")
        print("x")
        print("y")
        run.log({"x": 1.0}, step=0)
    assert [record.getMessage() for record in caplog.records] == [
        "jaxlog: run run: output.txt could not be written, so output is not copied any more: "
        "[Errno 28] No space left on device"
    ]
    assert run.accounts()[0].written == 1


def test_a_terminal_stays_a_terminal_and_the_console_is_left_out(tmp_path: Path) -> None:
    """In a process of its own, whose standard output is a pseudo-terminal."""
    program = tmp_path / "train.py"
    program.write_text(
        textwrap.dedent(
            f"""
            import sys
            import jaxlog
            sinks = [{{"kind": "console"}}, {{"kind": "jsonl"}}]
            logger = jaxlog.Logger({{"sinks": sinks, "capture_output": True, "what_ran": []}})
            with logger.open({str(tmp_path / "run")!r}) as run:
                print("is a terminal", sys.stdout.isatty())
                run.log({{"x": 1.0}}, step=0)
                run.flush()
                print("last")
            """
        )
    )
    main, side = os.openpty()
    environment = {key: value for key, value in os.environ.items() if key != "CI"}
    process = subprocess.Popen(
        [sys.executable, program], stdout=side, stderr=side, env=environment | {"TERM": "xterm"}
    )
    os.close(side)
    shown = b""
    with contextlib.suppress(OSError):  # its other end is closed
        while part := os.read(main, 2**16):
            shown += part
    os.close(main)
    assert process.wait() == 0
    assert b"eval" in shown  # the table
    assert print_of(tmp_path) == "is a terminal True\nlast\n"


def test_it_works_in_the_cells_of_a_notebook(tmp_path: Path) -> None:
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    cells = [
        "import jaxlog, sys\n"
        "logger = jaxlog.Logger({'sinks': [{'kind': 'jsonl'}], 'capture_output': True})\n"
        f"run = logger.open({str(tmp_path / 'run')!r})",
        "print('in a cell')\nprint('to stderr', file=sys.stderr)",
        "run.close()\nprint('after', 'password=sesame123')",
        f"run = logger.open({str(tmp_path / 'second')!r})\nrun.close()",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
    nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
    assert print_of(tmp_path) == "in a cell\nto stderr\n"
    assert [o["text"] for o in notebook.cells[2].outputs] == ["after password=sesame123\n"]
    facts = json.loads((tmp_path / "run" / "run.json").read_text())
    assert facts["command"]["notebook"] == ""
    # The cells that were run until the run was closed are a part of its code.
    assert facts["code"]["cells"] == "program/cells.py"
    shown = (tmp_path / "run" / "program" / "cells.py").read_text()
    assert shown == "\n".join(
        f"# In [{number}]\n{cell}\n".replace("sesame123", "(redacted)")
        for number, cell in enumerate(cells[:3], 1)
    )
    found = jaxlog.diff(tmp_path / "run", tmp_path / "second", only=["code"])
    assert [line for line in found.code if line.startswith("+")][1:] == [
        "+",
        "+# In [4]",
        *(f"+{line}" for line in cells[3].splitlines()),
    ]
