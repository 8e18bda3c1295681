"""Does a kill lose anything? Kills examples/resume.py a hundred times.

One run is not killed. Other runs are killed with SIGKILL at random moments between their first line
and their end, and are started again until they end. Apart from the times, their lines must equal
those of the first run, and so must their rows in columns. `python -m benchmarks.kills --kills 100`
fails if a line differs.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import polars as pl

from jaxlog._text import counted

EXAMPLE = Path(__file__).parent.parent / "examples" / "resume.py"
SETTINGS = """\
batched_logging_enabled: true
log_frequency: 5
sample_frequency: 20
sinks: [{kind: jsonl}, {kind: arrow}]
"""
LINES = ("batch_metrics.jsonl", "episodes.jsonl")
COLUMNS = ("batch_metrics.arrows",)


def lines(directory: Path) -> dict[str, list[dict[str, Any]]]:
    """Reads the lines and rows of a run without their times; each must be complete."""
    found = {}
    for name in LINES:
        text = (directory / name).read_text()
        assert text.endswith("\n"), name
        found[name] = [json.loads(line) for line in text.splitlines()]
        for line in found[name]:
            del line["timestamp"]
    for name in COLUMNS:
        found[name] = pl.read_ipc_stream(directory / name).drop("timestamp").to_dicts()
    return found


def start(directory: Path, *options: str) -> subprocess.Popen[bytes]:
    """Starts or resumes the example; all processes share a cache of compiled programs."""
    command = [sys.executable, EXAMPLE, "--directory", directory, *options]
    cache = {
        "JAX_COMPILATION_CACHE_DIR": str(directory.parent / "compiled"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }
    return subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=os.environ | cache
    )


def finish(process: subprocess.Popen[bytes]) -> None:
    """Waits until the process ends, which it must do without an error."""
    _, errors = process.communicate(timeout=600)
    assert process.returncode == 0, errors.decode()


def killed(directory: Path, options: list[str], at: random.Random, kills: int) -> int:
    """Kills a run several times, then lets it end; returns the number of kills."""
    done = 0
    while done < kills:
        process = start(directory, *options)
        began = time.monotonic()
        # Nothing happens while it is imported and compiled: the moment is one after that.
        marks = directory / "marks.jsonl"
        before = marks.stat().st_mtime if marks.exists() else 0.0
        while process.poll() is None and time.monotonic() - began < 60:
            if marks.exists() and marks.stat().st_mtime != before:
                break
            time.sleep(0.01)
        time.sleep(at.uniform(0, 0.6))
        if process.poll() is not None:
            break
        process.kill()
        process.communicate()
        done += 1
    finish(start(directory, *options))
    return done


def main() -> None:
    """Kills runs, compares their lines, and reports the result."""
    parser = argparse.ArgumentParser(description="Kills examples/resume.py, and compares its log.")
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--num-updates", type=int, default=300)
    parser.add_argument("--save-every", type=int, default=4)
    arguments = parser.parse_args()
    at, total, runs = random.Random(arguments.seed), 0, 0
    with tempfile.TemporaryDirectory() as root:
        settings = Path(root) / "settings.yaml"
        settings.write_text(SETTINGS)
        options = [
            f"--settings={settings}",
            "--num-seeds=2",
            f"--num-updates={arguments.num_updates}",
            f"--save-every={arguments.save_every}",
        ]
        whole = Path(root) / "whole"
        finish(start(whole, *options))
        expected = lines(whole)
        while total < arguments.kills:
            directory = Path(root) / f"killed{runs}"
            total += killed(directory, options, at, arguments.kills - total)
            runs += 1
            got = lines(directory)
            for name in (*LINES, *COLUMNS):
                assert got[name] == expected[name], f"{name} differs in run {runs}"
            kills, killed_runs = counted(total, "kill"), counted(runs, "run")
            print(f"{kills}, {killed_runs} of {sum(map(len, got.values()))} lines, all alike")
            shutil.rmtree(directory)


if __name__ == "__main__":
    main()
