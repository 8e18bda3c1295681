"""How long does it take to send 34,000 scalars to TensorBoard, compared with its own writer?

`jaxlog sync` reads the lines of a run and writes event files. The reference is tensorboardX's
`SummaryWriter.add_scalar`, which is given the same numbers from memory, and closed.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

from tensorboardX import SummaryWriter

import jaxlog
from benchmarks.timing import Row, fastest, tell
from jaxlog._sending.send import send
from jaxlog.sinks.tensorboard import TensorboardSettings

SCALARS = 34_000
LINES = {"34 scalars a line": 1000, "1 scalar a line": SCALARS}
"""The number of lines: a line has a cost of its own, as an event has."""
BUDGET = 2.0


def write(directory: Path, lines: int) -> list[dict[str, float]]:
    """Writes a run; returns the values of its lines."""
    keys = [f"metric_{number}" for number in range(SCALARS // lines)]
    values = [dict.fromkeys(keys, step / 7) for step in range(lines)]
    with jaxlog.Logger({"sinks": [{"kind": "jsonl"}]}).open(directory) as run:
        for step, row in enumerate(values):
            run.log(row, step=step)
    return values


def main(turns: int) -> list[Row]:
    """Measures it; writes `results/sending.json`."""
    rows, grid = [], []
    with tempfile.TemporaryDirectory() as name:
        for what, lines in LINES.items():
            run = Path(name) / str(lines)
            values = write(run, lines)

            def sync(run: Path = run, lines: int = lines) -> None:
                for folder in ("sent", "tensorboard"):
                    shutil.rmtree(run / folder, ignore_errors=True)
                assert send(run, TensorboardSettings()).events == lines

            def reference(
                values: list[dict[str, float]] = values, folder: Path = Path(name) / "theirs"
            ) -> None:
                shutil.rmtree(folder, ignore_errors=True)
                writer = SummaryWriter(str(folder))
                for step, row in enumerate(values):
                    for key, value in row.items():
                        writer.add_scalar(key, value, step)
                writer.close()

            times = fastest({"sync": sync, "writer": reference}, turns)
            ratio = times["sync"] / times["writer"]
            rows.append(Row(f"sync to TensorBoard, {what}", "its own writer", ratio, "x", BUDGET))
            grid.append({"lines": what, **{f"{key}, s": value for key, value in times.items()}})
    tell("sending", rows, grid, f"{SCALARS:,} scalars")
    return rows


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=5)
    main(parser.parse_args().turns)
