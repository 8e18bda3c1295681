"""The set-up of the tests with several processes on one machine."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

PROGRAMS = Path(__file__).parent / "programs"
collect_ignore = ["programs"]
COUNT = 4
"""The number of processes."""


class Process(subprocess.Popen[str]):
    """One process of a program."""

    def result(self, seconds: float = 300.0) -> Any:
        """The JSON in its last line, once it has ended."""
        out, err = self.communicate(timeout=seconds)
        assert self.returncode == 0, err[-4000:]
        return json.loads(out.splitlines()[-1])


Start = Callable[..., list[Process]]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a program of this folder in `COUNT` processes with two devices each."""
    started: list[Process] = []

    def start(program: str, *arguments: Any) -> list[Process]:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            port = listener.getsockname()[1]
        environment = os.environ | {
            "JAX_PLATFORMS": "cpu",
            "JAX_NUM_CPU_DEVICES": "2",
            "JAX_CPU_COLLECTIVES_IMPLEMENTATION": "gloo",
        }
        for number in range(COUNT):
            words = [PROGRAMS / program, number, COUNT, port, *arguments]
            started.append(
                Process(
                    [sys.executable, *map(str, words)],
                    env=environment,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                )
            )
        return started

    yield start
    for process in started:
        process.kill()
        process.communicate()


def lines_of(file: Path) -> list[dict[str, Any]]:
    """The lines of a file of a run."""
    return [json.loads(line) for line in file.read_text().splitlines()]
