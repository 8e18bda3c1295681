"""What do metrics cost in columns, compared with lines?

Events of 10 000 lanes with 10 metrics and a label go through the sink `arrow`, and through the sink
`jsonl`; then both files are read. The columns of the events are given to the sink `arrow`: how they
are decoded is not a part of it.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

import jaxlog
from benchmarks.timing import Row, tell
from jaxlog._format.columns import Columns
from jaxlog._format.segment import Segment
from jaxlog.sinks import Lane, MetricsEvent, RunInfo
from jaxlog.sinks.arrow_columns import columns_of
from jaxlog.sinks.arrow_segments import CallColumns
from jaxlog.sinks.growing import GrowingFile, OpenFiles
from jaxlog.sinks.jsonl import JsonlSettings, JsonlSink

LANES, METRICS, STEPS = 10_000, 10, 8


def by_columns(directory: Path, columns: list[Columns]) -> None:
    """Writes the columns of some events."""
    directory.mkdir()
    file = GrowingFile(directory / "batch_metrics.arrows", OpenFiles())
    call = CallColumns(Segment("batch", "metrics", 0), lambda _: file, "", "none")
    for step, one in enumerate(columns):
        call.prepare(columns_of(MetricsEvent("batch", step, None, 1.7e9, (), {}), one), LANES)()
        call.finish_batch()
        file.flush()
    file.close()


def by_lines(directory: Path, events: list[MetricsEvent]) -> None:
    """Writes the lines of some events."""
    directory.mkdir()
    sink = JsonlSink(JsonlSettings())
    sink.open(RunInfo("run", directory))
    for event in events:
        sink.write_metrics(event)
        sink.flush()
    sink.close()


def fastest(program: Callable[[Path], None], root: Path, turns: int) -> float:
    """The least CPU time of some turns, each with a path of its own, in seconds."""
    found = []
    for turn in range(turns):
        began = time.process_time()
        program(root / f"{turn}")
        found.append(time.process_time() - began)
    return min(found)


def main(turns: int) -> list[Row]:
    """Measures it; writes `results/arrow.json`."""
    rng = np.random.default_rng(0)
    keys = [f"metric_{i}" for i in range(METRICS)]
    seeds = np.arange(LANES, dtype=np.int32)
    columns, events = [], []
    for step in range(STEPS):
        values = rng.normal(size=(METRICS, LANES)).astype(np.float32)
        of_keys = dict(zip(keys, values, strict=True))
        columns.append(Columns(seeds.astype(np.int64), {"seed": seeds}, of_keys))
        lanes = tuple(
            Lane(i, {"seed": seeds[i]}, dict(zip(keys, row, strict=True)))
            for i, row in enumerate(values.T)
        )
        events.append(MetricsEvent("batch", step, None, 1.7e9, lanes, {}))
    rows = STEPS * LANES
    with tempfile.TemporaryDirectory() as name:
        roots = {kind: Path(name, kind) for kind in ("arrow", "jsonl")}
        for root in roots.values():
            root.mkdir()
        write = {
            "arrow": fastest(lambda path: by_columns(path, columns), roots["arrow"], turns),
            "jsonl": fastest(lambda path: by_lines(path, events), roots["jsonl"], turns),
        }
        sizes = {
            kind: sum(path.stat().st_size for path in (root / "0").iterdir())
            for kind, root in roots.items()
        }
        read: dict[str, float] = {}
        for kind, root in roots.items():
            times = []
            for _ in range(turns):
                began = time.perf_counter()
                assert len(jaxlog.read_run(root / "0").metrics) == rows
                times.append(time.perf_counter() - began)
            read[kind] = min(times)
    what = f"{LANES:,} lanes, {METRICS} metrics"
    found = [
        Row(f"columns, CPU of the sink a row, {what}", "", write["arrow"] / rows * 1e6, "µs", 0.1),
        Row(f"columns, CPU, {what}", "jsonl", write["arrow"] / write["jsonl"], "x", 0.02),
        Row(f"columns, bytes, {what}", "jsonl", sizes["arrow"] / sizes["jsonl"], "x", 0.3),
        Row(f"columns, reading {rows:,} rows", "jsonl", read["arrow"] / read["jsonl"], "x", 0.05),
    ]
    grid = [
        {
            "kind": kind,
            "write, µs a row": write[kind] / rows * 1e6,
            "bytes a row": sizes[kind] / rows,
            "read, s": read[kind],
        }
        for kind in roots
    ]
    tell("arrow", found, grid)
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=7)
    main(parser.parse_args().turns)
