"""What a terminal, a pipe and CI show, and how they are left behind."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxlog
from tests.conftest import MakeLogger, without_rates
from tests.emulated import Emulated

SET_UP = """
import os, sys, jax, jax.numpy as jnp, jaxlog
config = {"batched_logging_enabled": True, "sinks": [{"kind": "console"}]}
logger = jaxlog.Logger(config | {"env_steps_per_update": 1000}, total_updates=30)

def train(seed):
    def update(_, step):
        returns = jnp.arange(4.0) + seed
        jaxlog.batch_step(logger, step, {"episode_returns": returns, "policy_loss": 0.25})
        return None, None
    return jax.lax.scan(update, None, jnp.arange(30))

train = jax.jit(jax.vmap(train))
"""
RUN = (
    SET_UP
    + """
with logger.open():
    jax.block_until_ready(train(jnp.arange(2)))
print("after the run")
"""
)
RUNS = (
    SET_UP
    + """
streams = sys.stdout, sys.stderr
with logger.open(name="first"):
    print("a long line " * 20)
    assert (sys.stdout, sys.stderr) == streams
    jax.block_until_ready(train(jnp.arange(2)))
    if os.fork() == 0:
        print("in the child", flush=True)
        os._exit(0)
    assert os.wait()[1] == 0
    print("[red]no markup", end="")
assert (sys.stdout, sys.stderr) == streams
print("second run")

from jaxlog.sinks.console import run_display
draws = run_display.RunDisplay.draw
def draw(*_, **__):
    raise ValueError("cannot draw")
run_display.RunDisplay.draw = draw
with logger.open():
    jax.block_until_ready(train(jnp.arange(2)))
run_display.RunDisplay.draw = draws
assert (sys.stdout, sys.stderr) == streams
print("third run")
try:
    with logger.open():
        raise RuntimeError("of the program")
except RuntimeError:
    assert (sys.stdout, sys.stderr) == streams
    print("fourth run")
logger.open(name="never closed")
sys.exit(3)
"""
)
SIGNALS = (
    SET_UP
    + """
def forever(seed):
    def update(step):
        jaxlog.batch_step(logger, step, {"policy_loss": step + seed})
        return step + 1
    return jax.lax.while_loop(lambda step: step < 10**8, update, 0)

streams = sys.stdout, sys.stderr
try:
    with logger.open():
        jax.block_until_ready(jax.jit(forever)(0))
except KeyboardInterrupt:
    assert (sys.stdout, sys.stderr) == streams
    print("stopped by Ctrl-C", flush=True)
with logger.open():
    jax.block_until_ready(jax.jit(forever)(1))
"""
)

REGION = re.compile(r"\x1b\[1;(\d+)r")
NO_REGION = "\x1b[r"
COLUMNS, LINES = 100, 40


def in_a_terminal(
    code: str,
    ends_with: int = 0,
    react: Callable[[str, subprocess.Popen[bytes]], None] = lambda *_: None,
) -> str:
    """What a program shows in a terminal of its own; `react` sees it while it comes."""
    main, side = pty.openpty()
    fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
    environment = os.environ | {"TERM": "xterm-256color"}
    unset = ("NO_COLOR", "FORCE_COLOR", "CI", "TTY_COMPATIBLE", "TTY_INTERACTIVE")
    for name in (*unset, "COLUMNS", "LINES"):
        environment.pop(name, None)
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", code],
        stdin=side,
        stdout=side,
        stderr=side,
        env=environment,
    )
    os.close(side)
    shown = b""
    end = time.monotonic() + 300  # a slow machine writes what waits in the queue for a minute
    while time.monotonic() < end:
        try:
            got = os.read(main, 65536)
        except OSError:  # the other side is closed
            break
        if not got:
            break
        shown += got
        react(shown.decode(errors="ignore"), process)
    else:
        process.kill()
    os.close(main)
    assert process.wait(10) == ends_with, shown.decode()
    return shown.decode()


def in_a_pipe(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        env=os.environ | environment,
    )


def test_a_terminal_shows_a_table_and_is_left_in_order() -> None:
    shown = in_a_terminal(RUNS, ends_with=3)
    first, second, third, fourth = _split(shown, "second run", "third run", "fourth run")
    assert "compiling…" in first  # until the first record
    last = first[first.rindex("batch · step 29 ·") :]
    assert "30,000 environment steps" in last
    assert "mean ± std over 2 lanes" in last
    order = ["rewards", "episode_return", "training", "policy_loss", "other", "episode_count"]
    positions = [last.index(word) for word in order]
    assert positions == sorted(positions)
    for part in (
        "2\x1b[0m\x1b[2m ± 0.5",
        "▄▄▄▄",
        "30/30",
        "updates/s",
        "environment steps/s",
        "first",
    ):
        assert part in last, part
    assert "ValueError: cannot draw" in second  # the warning, and the picture
    assert "the console could not be drawn: ValueError('cannot draw')" in second
    assert "never closed" in fourth
    for part in (first, second, third, fourth):  # all lines scroll again
        assert part.rindex(NO_REGION) > [found.start() for found in REGION.finditer(part)][-1]
    # What is printed is above the table, as it was printed.
    lines = seen(shown).splitlines()
    printed = ("a long line " * 20).rstrip()
    assert lines[:4] == [
        printed[:COLUMNS],
        printed[COLUMNS : 2 * COLUMNS],
        printed[2 * COLUMNS :],
        "in the child",
    ]
    assert lines[4] == "[red]no markup"  # its line was not ended
    assert lines[5].startswith("batch · step 29 · 30,000 environment steps · mean ± std over 2")
    assert lines[lines.index("second run") - 1].endswith(" · first")
    assert [line for line in lines if line.startswith("finished ")] == 1 * [
        line for line in lines if "30/30 100%" in line
    ]
    assert lines[-1].endswith(" · never closed")


def seen(shown: str) -> str:
    """What is on the screen and above it at the end."""
    screen = Emulated(COLUMNS, LINES)
    screen.feed(shown)
    assert screen.region == (0, LINES - 1)
    assert screen.cursor
    return screen.text


OUTPUTS = """
import logging, time, warnings

def step(x):
    jaxlog.batch_step(logger, x, {"policy_loss": 0.25})
    return x + 1

with logger.open(name="first") as run:
    print("glued", end="")
    x = jnp.int32(0)
    for number in range(30):
        x = jax.jit(step)(x)
        time.sleep(0.02)
        if number == 10:
            print("?")
            logging.warning("of logging")
            warnings.warn("of warnings")
        if number == 20:
            os.write(2, b"of C++\\n")
            os.system("echo of another process; echo and its errors >&2")
        if number == 25:
            for part in range(11):
                sys.stderr.write(f"\\r{part * 10:3}% of a progress bar")
                time.sleep(0.03)
            sys.stderr.write("\\n")
        if number > 25:
            print("line", number, "and", "more", flush=True)
"""


def test_output_of_anybody_is_above_the_table_as_it_was_written() -> None:
    shown = in_a_terminal(SET_UP + OUTPUTS)
    assert shown.count("policy_loss") > 2  # it was drawn meanwhile
    lines = seen(shown).splitlines()
    assert lines[:2] == ["glued?", "WARNING:root:of logging"]
    end = next(i for i, line in enumerate(lines) if line.startswith("batch · step"))
    assert lines[2:end] == [
        "of C++",
        "of another process",
        "and its errors",
        "100% of a progress bar",
        *(f"line {number} and more" for number in range(26, 30)),
    ]
    assert lines[end].startswith("batch · step 29")
    assert lines[-1].endswith(" · first")
    assert "  policy_loss" in lines[end + 3]


PRINTS = """
for number in range(30):
    with logger.open(name=f"run {number}"):
        print("the first line", number)
    print("after it")
"""


def test_the_first_line_in_the_block_is_never_on_a_line_of_the_table() -> None:
    lines = seen(
        in_a_terminal(SET_UP.replace('"console"', '"console", "refresh_per_second": 60') + PRINTS)
    ).splitlines()
    printed = [line for line in lines if "the first line" in line or "after it" in line]
    assert printed == [line for n in range(30) for line in (f"the first line {n}", "after it")]


TWO = """
class NoFile:
    encoding = "utf-8"
    isatty = lambda self: True
    write = lambda self, text: os.write(1, text.encode())
    flush = lambda self: None

stream, sys.stdout = sys.stdout, NoFile()
with logger.open(name="without a file") as run:
    run.log({"loss": 0.5}, step=0)
sys.stdout = stream
other = jaxlog.Logger(config)
with logger.open(name="first") as run, other.open(name="second") as second:
    run.log({"loss": 0.25}, step=1)
    second.log({"loss": 0.125}, step=2)
with other.open(name="third") as third:
    third.log({"loss": 0.75}, step=3)
"""


def test_a_second_run_has_lines_and_a_terminal_that_is_no_file_has_them_too() -> None:
    lines = seen(in_a_terminal(SET_UP + TWO)).splitlines()
    assert "loss 0.5" in lines[0]
    assert [line for line in lines if "loss 0.125" in line] == ["eval · step 2  loss 0.125"]
    assert [line.split()[:2] for line in lines if line.startswith("  loss")] == [
        ["loss", "0.25"],
        ["loss", "0.75"],
    ]


RESIZED = """
import time
with logger.open(name="first") as run:
    step = 0
    while os.get_terminal_size(1).lines != 33:
        run.log({"loss": 0.5}, step=step)
        time.sleep(0.02)
        step += 1
"""


def test_a_table_follows_the_size_of_the_terminal() -> None:
    # The lines that scroll, for each size in lines and columns.
    regions = {(LINES, COLUMNS): 33, (24, 90): 17, (50, 130): 43, (8, 60): 6, (4, 30): 2}
    sizes = [*regions, (33, 77)]
    begin = 0

    def react(shown: str, process: subprocess.Popen[bytes]) -> None:
        nonlocal begin
        found = [int(region) for region in REGION.findall(shown[begin:])]
        if len(sizes) > 1 and regions[sizes[0]] in found:
            del sizes[0]
            begin = len(shown)
            with open(f"/proc/{process.pid}/fd/0", "wb", buffering=0) as terminal:  # noqa: PTH123
                fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", *sizes[0], 0, 0))

    shown = in_a_terminal(SET_UP + RESIZED, react=react)
    assert len(sizes) == 1
    assert shown.rindex(NO_REGION) > [found.start() for found in REGION.finditer(shown)][-1]
    assert "loss" in shown[shown.rindex(NO_REGION) :]


def _split(text: str, *marks: str) -> list[str]:
    parts = []
    for mark in marks:
        part, text = text.split(f"{mark}\r\n", 1)
        parts.append(part)
    return [*parts, text]


@pytest.mark.usefixtures("interrupts")
def test_signals_leave_a_terminal_in_order() -> None:
    sent: list[int] = []

    def react(shown: str, process: subprocess.Popen[bytes]) -> None:
        runs = shown.split("stopped by Ctrl-C")
        for number, run in zip((signal.SIGINT, signal.SIGTERM), runs, strict=False):
            if "batch · step" in run and number not in sent:
                sent.append(number)
                process.send_signal(number)

    shown = in_a_terminal(SIGNALS, ends_with=-signal.SIGTERM, react=react)
    assert sent == [signal.SIGINT, signal.SIGTERM]
    lines = seen(shown).splitlines()
    stopped = lines.index("stopped by Ctrl-C")
    assert lines[stopped - 2].startswith("interrupted after ")
    assert " elapsed · " in lines[stopped - 1]
    # A warning may follow, about records that there was no time for.
    (terminated,) = [i for i, line in enumerate(lines) if line.startswith("terminated after ")]
    assert " elapsed · " in lines[terminated + 1]


def test_a_pipe_shows_a_plain_line_for_each_log() -> None:
    # FORCE_COLOR makes Rich take a pipe for a terminal; what ASCII does not have must not fail.
    done = in_a_pipe(RUN, FORCE_COLOR="1", PYTHONIOENCODING="ascii")
    assert without_rates(done.stdout).splitlines() == [
        f"batch ? step {step} ? {step + 1}/30 updates done  "
        "episode_return_mean 2 ? 0.5  policy_loss 0.25  episode_count 4"
        for step in (0, 10, 20, 29)
    ] + ["after the run"]


def test_a_pipe_that_nobody_reads_any_more_stops_the_lines_and_nothing_else() -> None:
    code = RUN.replace("after the run", "after the run\\n" + "x" * 100_000)
    code += "print('to the end', file=sys.stderr)"
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    error = process.stderr.read()
    process.stderr.close()
    assert process.wait(60) == 0
    assert error.splitlines() == [
        "jaxlog: the sink console stops printing, because standard output was closed",
        "to the end",
    ]


@pytest.mark.parametrize(("ci", "live"), [("true", False), ("1", False), ("", None), ("0", None)])
def test_in_ci_there_are_lines(ci: str, live: bool | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", ci)
    (sink,) = jaxlog.load_config({"sinks": [{"kind": "console"}]}).sinks
    assert sink.live is live  # pyright: ignore[reportAttributeAccessIssue]
    (sink,) = jaxlog.load_config({"sinks": [{"kind": "console", "live": True}]}).sinks
    assert sink.live is True  # pyright: ignore[reportAttributeAccessIssue]


def test_a_lane_without_episodes_is_left_out(
    make_logger: MakeLogger, capsys: pytest.CaptureFixture[str]
) -> None:
    logger = make_logger(sinks=[{"kind": "console"}])

    def log(seed: jax.Array) -> Any:
        where = jnp.arange(3) < seed
        jaxlog.batch_step(logger, 0, {"episode_returns": jnp.ones(3)}, where=where)

    with logger.open():
        jax.vmap(log)(jnp.arange(2))
    assert capsys.readouterr().out == (
        "batch · step 0  episode_return_mean 1  episode_count 0.5 ± 0.5\n"
    )


def test_numbers_that_are_not_finite_are_shown(
    make_logger: MakeLogger, capsys: pytest.CaptureFixture[str]
) -> None:
    logger = make_logger(sinks=[{"kind": "console"}])
    with logger.open():
        jaxlog.batch_step(logger, 0, {"policy_loss": np.float32(np.nan), "[bold]x": np.inf})
    assert capsys.readouterr().out == "batch · step 0  policy_loss NaN  [bold]x inf\n"


def test_lanes_that_diverged_are_counted_and_not_averaged(
    make_logger: MakeLogger, capsys: pytest.CaptureFixture[str]
) -> None:
    logger = make_logger(log_frequency=1, sinks=[{"kind": "console"}])
    loss = jnp.array([np.nan, 98.0, 102.0, np.inf, 98.0, -np.inf, 102.0, np.nan])
    with logger.open() as run:
        every = jax.vmap(
            lambda step, loss: jaxlog.batch_step(logger, step, {"loss": loss}), (None, 0)
        )
        every(0, loss)
        every(1, jnp.full(8, np.nan))
        every(2, jnp.ones(8))
        run.flush()
    assert without_rates(capsys.readouterr().out) == (
        "batch · step 0  loss 100 ± 2 (4 of 8 lanes)\n"
        "batch · step 1  loss NaN (0 of 8 lanes)\n"
        "batch · step 2  loss 1\n"
    )


@pytest.mark.parametrize("statistics", [["mean", "std"], ["median"]])
def test_values_of_single_episodes_that_are_not_finite_are_counted(
    make_logger: MakeLogger, capsys: pytest.CaptureFixture[str], statistics: list[str]
) -> None:
    logger = make_logger(sinks=[{"kind": "console"}], statistics={"default": statistics})
    returns = jnp.array([1.0, np.nan, 3.0, np.inf])
    with logger.open():
        jaxlog.batch_step(logger, 0, {"episode_returns": returns})
    said = "_mean 2 (2 not finite)" if "mean" in statistics else "_nonfinite 2"
    assert capsys.readouterr().out == f"batch · step 0  episode_return{said}  episode_count 4\n"
