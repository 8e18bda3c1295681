"""How long does it take to find runs among thousands, and to read them all, compared with 0.1?

`jaxlog runs` reads run.json of each run, and the last lines if a name is that of a metric. In 0.1,
`jaxlog show` listed all runs of a directory. Each command is a process of its own, and its
processor time is measured with what it imports, which both trees have as bytecode.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import jaxlog
from benchmarks.history import extract
from benchmarks.page import ROOT
from benchmarks.timing import Row, tell

RUNS = 5000
ENVS = ("CartPole", "Acrobot", "Breakout")
RATES = (3e-4, 1e-3, 1e-2)
WHERE = "lr=3e-4 env=CartPole return>400"
BEFORE = "4dd5e34"
"""The commit of version 0.1."""
COLUMNS = ["--columns", "lr,return"]
COMMANDS = {
    "runs, the newest": ["runs", "DIR"],
    "runs --where": ["runs", "DIR", "--where", WHERE],
    "runs --where --sort": ["runs", "DIR", "--where", WHERE, "--sort=-return", *COLUMNS],
    "runs --sort": ["runs", "DIR", "--sort=-return", *COLUMNS],
    "show": ["show", "DIR"],
    "--help": ["--help"],
}
"""The words of each command; DIR is the directory of the runs."""
READ = "import sys, jaxlog; jaxlog.read_runs(sys.argv[1]).metrics"
OF_BEFORE = ", 0.1"
"""The ending of the names of programs of version 0.1."""
READING = "read_runs(...).metrics"
LAUNCHER = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, check=True)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(used.ru_utime + used.ru_stime, used.ru_maxrss)
"""


def write(directory: Path, runs: int) -> None:
    """Writes runs of 100 lines: one by jaxlog, and copies of it with other configs and values."""
    logger = jaxlog.Logger({"sinks": [{"kind": "jsonl"}]}, total_updates=100)
    with logger.open(directory / "model", config={"lr": 0.1}) as run:
        for step in range(100):
            run.log({"episode_return_mean": 1.0 * step, "loss": 1.0, "entropy": 0.5}, step=step)
    facts = json.loads((directory / "model" / "run.json").read_bytes())
    *lines, last = (directory / "model" / "eval_metrics.jsonl").read_text().splitlines()
    for number in range(runs):
        path = directory / f"run-{number}"
        path.mkdir()
        config = {"env": ENVS[number % 3], "lr": RATES[number // 3 % 3], "seed": number // 9}
        own = facts | {"id": f"{number:08x}", "name": path.name, "config": config}
        own |= {"directory": str(path)}
        (path / "run.json").write_text(json.dumps(own, indent=2))
        line = json.loads(last)
        line["metrics"]["episode_return_mean"] = float(number)
        text = json.dumps(line, separators=(",", ":"))
        (path / "eval_metrics.jsonl").write_text("\n".join([*lines, text, ""]))
    shutil.rmtree(directory / "model")


class Program(NamedTuple):
    """A program that is measured.

    Attributes:
      name: its name in the tables.
      words: the arguments of Python.
      tree: the tree of jaxlog.
    """

    name: str
    words: Sequence[str]
    tree: Path


def programs(directory: Path, before: Path) -> list[Program]:
    """All programs, which read the runs in a directory."""
    found: list[Program] = []
    for tree, suffix in ((ROOT, ""), (before, OF_BEFORE)):
        for name, words in COMMANDS.items():
            if tree == ROOT or words[0] != "runs":
                own = [str(directory) if word == "DIR" else word for word in words]
                found.append(Program(f"jaxlog {name}{suffix}", ["-m", "jaxlog", *own], tree))
        found.append(Program(f"{READING}{suffix}", ["-c", READ, str(directory)], tree))
    return found


def cost(program: Program, bytecode: Path) -> tuple[float, float]:
    """The processor seconds of a program, and its peak memory in megabytes."""
    environment = {**os.environ, "PYTHONPATH": str(program.tree)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    # By way of a small process: the memory of a process counts from that of the one it comes from.
    done = subprocess.run(
        [sys.executable, "-c", LAUNCHER, sys.executable, "-P", *program.words],
        capture_output=True,
        text=True,
        check=True,
        env=environment | {"PYTHONPYCACHEPREFIX": str(bytecode)},
        cwd=bytecode,
    )
    seconds, kilobytes = map(float, done.stdout.split())
    return seconds, kilobytes / 1000


def main(turns: int) -> list[Row]:
    """Measures it; writes `results/finding.json`."""
    with tempfile.TemporaryDirectory() as name:
        runs, bytecode = Path(name, "runs"), Path(name, "bytecode")
        runs.mkdir()
        bytecode.mkdir()
        write(runs, RUNS)
        measured = programs(runs, extract(BEFORE, Path(name, "before")))
        for program in measured:
            cost(program, bytecode)  # writes the bytecode
        found = [[cost(program, bytecode) for program in measured] for _ in range(turns)]
    costs = dict(zip((one.name for one in measured), zip(*found, strict=True), strict=True))
    seconds = {name: min(one for one, _ in own) for name, own in costs.items()}
    memory = {name: max(one for _, one in own) for name, own in costs.items()}

    def row(what: str, against: str, budget: float) -> Row:
        return Row(f"{what}, {RUNS:,} runs", against, seconds[what] / seconds[against], "x", budget)

    show, help_before = (f"jaxlog {what}{OF_BEFORE}" for what in ("show", "--help"))
    rows = [
        *(row(f"jaxlog {what}", show, 0.1) for what in ("runs, the newest", "runs --where")),
        row("jaxlog runs --sort", show, 0.2),
        row(READING, READING + OF_BEFORE, 0.5),
        Row(
            "jaxlog --help", help_before, seconds["jaxlog --help"] / seconds[help_before], "x", 0.25
        ),
        Row("memory of jaxlog runs", "", memory["jaxlog runs --sort"], "MB", 200),
    ]
    grid = [
        {"program": name, "CPU seconds": seconds[name], "memory, MB": memory[name]}
        for name in costs
    ]
    tell("finding", rows, grid, f"{RUNS:,} runs", before=BEFORE)
    return rows


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=3)
    main(parser.parse_args().turns)
