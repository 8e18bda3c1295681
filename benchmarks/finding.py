"""How long does it take to find a run among thousands, compared with listing them all?

`jaxlog runs` reads run.json of each run, and the last lines if a name is that of a metric.
`jaxlog show` of the directory reads the end of all files. Each command is a process of its own, and
its processor time is measured with what it imports.
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

import jaxlog
from benchmarks.timing import Row, tell

RUNS = 5000
ENVS = ("CartPole", "Acrobot", "Breakout")
RATES = (3e-4, 1e-3, 1e-2)
ROOT = Path(__file__).parent.parent
WHERE = "lr=3e-4 env=CartPole return>400"
COMMANDS = {
    "show": ["show"],
    "runs, the newest": ["runs"],
    "runs --where": ["runs", "--where", WHERE],
    "runs --where --sort": ["runs", "--where", WHERE, "--sort=-return", "--columns", "lr,return"],
    "runs --sort": ["runs", "--sort=-return", "--columns", "lr,return"],
}
"""The words of each command, without the directory."""
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


def cost(words: Sequence[str]) -> tuple[float, float]:
    """The processor seconds of a command, and its peak memory in megabytes."""
    # By way of a small process: the memory of a process counts from that of the one it comes from.
    done = subprocess.run(
        [sys.executable, "-c", LAUNCHER, sys.executable, "-m", "jaxlog", *words],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    seconds, kilobytes = map(float, done.stdout.split())
    return seconds, kilobytes / 1000


def main(turns: int) -> list[Row]:
    """Measures it; writes `results/finding.json`."""
    with tempfile.TemporaryDirectory() as name:
        write(Path(name), RUNS)
        commands = {what: [first, name, *rest] for what, (first, *rest) in COMMANDS.items()}
        commands |= {"--help": ["--help"], "show --help": ["show", "--help"]}
        found = {what: [cost(words)] for what, words in commands.items()}
        for _ in range(turns - 1):
            for what, words in commands.items():
                found[what].append(cost(words))
    seconds = {what: min(one for one, _ in own) for what, own in found.items()}
    memory = {what: max(one for _, one in own) for what, own in found.items()}
    rows = [
        Row(f"jaxlog {what}, {RUNS:,} runs", "jaxlog show", seconds[what] / seconds["show"], "x", b)
        for what, b in (("runs, the newest", 0.1), ("runs --where", 0.1), ("runs --sort", 0.2))
    ]
    rows.append(
        Row(
            "jaxlog --help",
            "jaxlog show --help",
            seconds["--help"] / seconds["show --help"],
            "x",
            0.25,
        )
    )
    rows.append(Row("memory of jaxlog runs", "", memory["runs --sort"], "MB", 200))
    grid = [
        {"command": what, "CPU seconds": seconds[what], "memory, MB": memory[what]}
        for what in commands
    ]
    tell("finding", rows, grid, f"{RUNS:,} runs")
    return rows


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=3)
    main(parser.parse_args().turns)
