"""How many bytes does a run have, by its lanes and its sink, and what does it need in a month?

The lines have ten float32 metrics and a label, as in `lanes_case.py`. What a month needs is
computed from them, for a record each ten seconds.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from benchmarks.lanes_case import write
from benchmarks.timing import Row, tell

STEPS = {1: 5000, 10: 2000, 1000: 50, 100_000: 3}
"""The steps that are written, by the number of lanes."""
SECONDS = 10
"""The seconds between two records in what is computed."""
MONTH = 30 * 86_400


def main() -> list[Row]:
    """Measures it; writes `results/sizes.json`."""
    grid: list[dict[str, object]] = []
    for lanes, steps in STEPS.items():
        for kind in ("jsonl", "arrow"):
            with tempfile.TemporaryDirectory() as name:
                run = Path(name, "run")
                of_line = write([kind], lanes, steps, run)["bytes"]
                grid.append(
                    {
                        "lanes": f"{lanes:,}",
                        "sink": kind,
                        "bytes a line": of_line,
                        "kB a record": of_line * lanes / 1e3,
                        "run.json, kB": (run / "run.json").stat().st_size / 1e3,
                        "files": float(sum(path.is_file() for path in run.iterdir())),
                        "GB a month": of_line * lanes * MONTH / SECONDS / 1e9,
                    }
                )
    tell("sizes", (), grid, "ten float32 metrics and a label, a record each ten seconds")
    return []


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    main()
