"""The keys of `jaxlog top` and `jaxlog show --watch`, in a terminal."""

from __future__ import annotations

import os
import pty
import re
import signal
import sys
import termios
import tty
from collections.abc import Iterator
from pathlib import Path

import pytest

from jaxlog._cli.keyboard import Keyboard
from tests.cli.conftest import Command, Logged
from tests.cli.terminal import terminal
from tests.conftest import MakeLogger


@pytest.fixture
def directory(make_logger: MakeLogger, tmp_path: Path) -> Path:
    """Two runs that have ended."""
    for name, value in (("ppo", 1.0), ("dqn", 2.0)):
        run = make_logger(sinks=[{"kind": "jsonl"}]).open(tmp_path / name, config={"algo": name})
        for step in range(5):
            run.log({"loss": value + step}, step=step)
        run.close()
    return tmp_path


@pytest.mark.parametrize("leave", ["q", "\x03"], ids=["q", "Ctrl-C"])
@pytest.mark.usefixtures("interrupts")
def test_keys_filter_sort_and_show(directory: Path, leave: str) -> None:
    with terminal(["top", directory]) as screen:
        screen.wait_for("2 finished")
        screen.wait_for("quit")
        screen.type("/algo=d")
        screen.wait_for("/algo=d█")
        screen.wait_for("0 of 2 shown")
        screen.type("qn")
        screen.wait_for("1 of 2 shown")
        screen.type(" x>y")
        screen.wait_for("x>y: got y after >, expected one number")
        screen.type("\x7f" * 4 + "\r")
        screen.wait_for("/algo=dqn")
        screen.wait_for("quit")
        screen.type("s")
        screen.wait_for("/algo=dqn sort:-loss")
        screen.type("\r")
        screen.wait_for("Esc back")
        assert "dqn · finished" in screen.text
        screen.type("\x1b")
        screen.wait_for("1 of 2 shown")
        screen.type("\x1b")  # no filter, but the order
        screen.wait_for("/sort:-loss")
        screen.type("S")
        screen.wait_for("/sort:loss")
        screen.type("\x1b[B\r")  # down, Enter
        screen.wait_for("Esc back")
        assert "dqn · finished" in screen.text
        screen.type(leave)
        assert screen.end() == (0 if leave == "q" else 130)
        assert screen.written.count("\x1b[?1049l") == 1  # the other screen is left


COMMANDS = {"top": ["top"], "show": ["show", "--watch"]}


@pytest.fixture
def live(directory: Path, make_logger: MakeLogger) -> Iterator[Path]:
    """A run that is open, so that it can be watched."""
    run = make_logger(sinks=[{"kind": "jsonl"}]).open(directory / "live")
    run.log({"loss": 4.5}, step=0)
    run.flush()
    yield directory / "live"
    run.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("command", COMMANDS)
def test_the_terminal_is_restored_on_signals_that_end_the_command(
    command: str, number: signal.Signals, live: Path
) -> None:
    with terminal([*COMMANDS[command], live]) as screen:
        screen.wait_for("4.5")
        screen.process.send_signal(number)
        assert screen.end() == -number  # it also checks the modes
        assert screen.written.count("\x1b[?1049l") == 1
        assert screen.written.rindex("\x1b[?25h") > screen.written.rindex("\x1b[?25l")
        assert "Traceback" not in screen.text


@pytest.mark.parametrize("command", COMMANDS)
def test_the_terminal_is_restored_while_the_command_is_stopped(command: str, live: Path) -> None:
    with terminal([*COMMANDS[command], live], job=True) as screen:
        screen.wait_for("4.5")
        screen.type("\x1a")  # Ctrl-Z
        screen.wait_for("the shell again")
        assert screen.modes == screen.before
        assert screen.written.count("\x1b[?1049l") == 1
        assert "\x1b[?25h" in screen.written
        screen.type("\n")  # the shell has it continue
        screen.wait_for("4.5")
        assert re.search(r"\x1b\[\?1049h", screen.written)
        assert (screen.modes == screen.before) == (command == "show")
        screen.type("\x03")
        assert screen.end() == 130
        assert screen.written.count("\x1b[?1049l") == 1


def test_the_terminal_is_restored_after_an_exception(directory: Path) -> None:
    code = (
        "import sys; from jaxlog._cli import main; from jaxlog._watching import run_list\n"
        "def fail(self, seconds=None): raise ZeroDivisionError('a fault')\n"
        "run_list.RunList.look = fail\n"
        "sys.exit(main.main(sys.argv[1:]))"
    )
    with terminal(["top", directory], code=code) as screen:
        assert screen.end() == 1
        assert "ZeroDivisionError: a fault" in screen.written


def test_a_run_that_appears_is_shown(directory: Path, make_logger: MakeLogger) -> None:
    with terminal(["top", directory]) as screen:
        screen.wait_for("2 finished")
        run = make_logger(sinks=[{"kind": "jsonl"}]).open(directory / "late")
        screen.wait_for("1 running")
        run.log({"loss": 4.5}, step=0)
        screen.wait_for("4.5")
        run.close()
        screen.wait_for("3 finished")
        screen.type("q")
        assert screen.end() == 0


def test_an_empty_directory_is_followed(tmp_path: Path) -> None:
    with terminal(["top", tmp_path]) as screen:
        screen.wait_for("no runs in ")
        screen.type("jks/\r\x1bq")
        assert screen.end() == 0


def test_show_watches_a_run_until_it_ends(tmp_path: Path, make_logger: MakeLogger) -> None:
    run = make_logger(sinks=[{"kind": "jsonl"}]).open(tmp_path / "live")
    run.log({"loss": 1.25}, step=0)
    run.flush()
    with terminal(["show", tmp_path / "live", "--watch"]) as screen:
        screen.wait_for("1.25")
        assert "running" in screen.written
        run.log({"loss": 7.75}, step=1)
        screen.wait_for("7.75")
        run.close()
        assert screen.end() == 0
        screen.written = screen.written.split("\x1b[?1049l")[1]  # what stays
        assert "live · finished" in screen.text
        assert "7.75" in screen.text


@pytest.mark.usefixtures("interrupts")
def test_ctrl_c_ends_watching(tmp_path: Path, make_logger: MakeLogger) -> None:
    run = make_logger(sinks=[{"kind": "jsonl"}]).open(tmp_path / "live")
    with terminal(["show", tmp_path / "live", "--watch"]) as screen:
        screen.wait_for("Nothing to show")
        screen.type("\x03")
        assert screen.end() == 130
    run.close()


def test_watching_in_a_pipe_and_of_several_runs(command: Command, logged: Logged) -> None:
    once = command("show", logged.directory)
    assert command("show", logged.directory, "--watch").out == once.out
    code, out, err = command("show", logged.directory.parent, "--watch")
    assert (code, out) == (2, "")
    assert err.startswith("jaxlog: show: --watch: got a directory of ")
    assert err.endswith(f"or use jaxlog top {logged.directory.parent}\n")


def test_each_key_has_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    main, other = pty.openpty()
    with os.fdopen(other, "r", closefd=True) as stream:
        monkeypatch.setattr(sys, "stdin", stream)
        keyboard = Keyboard()
        before = termios.tcgetattr(other)
        keyboard.begin()
        keyboard.end()
        assert termios.tcgetattr(other) == before
        keyboard.begin()
        tty.setcbreak(main)
        assert keyboard.key(0.0) is None
        os.write(main, "aü日\r\n\x7f\x15\x01".encode())
        named = ["a", "ü", "日", "enter", "enter", "backspace", "clear", ""]
        assert [keyboard.key(1.0) for _ in named] == named
        for typed, name in {
            "\x1b[A": "up", "\x1bOB": "down", "\x1b[5~": "page up", "\x1b[6~": "page down",
            "\x1b[H": "home", "\x1b[F": "end", "\x1b[1;5C": "", "\x1b": "escape",
        }.items():  # fmt: skip
            os.write(main, typed.encode())
            assert keyboard.key(1.0) == name
        os.write(main, "é".encode()[:1])
        assert keyboard.key(0.0) is None  # half of a character
        os.write(main, "é".encode()[1:])
        assert keyboard.key(1.0) == "é"
        os.close(main)
        assert keyboard.key(1.0) == "end of input"
    keyboard.end()  # the terminal is gone
