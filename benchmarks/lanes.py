"""What do events cost on the host with many lanes, in columns against rows?

Measures the CPU time of decoding records and of making their lines. A sink that reads `event.lanes`
gets rows, one object for each lane; lines from rows are those of events made from `Lane`s.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from benchmarks.timing import Row, tell
from jaxlog._format.events import MetricsEvent
from jaxlog._format.lines import lines_of
from jaxlog._format.schema import METRICS_DUE, Delivery, Field, Schema, header
from jaxlog._host.arrival import Arrival
from jaxlog._host.decode import Decoder
from jaxlog._host.lane_identity import LaneTable

METRICS = 10
LINES = 20_000
LANES = (1, 16, 1000, 10_000)
FLOAT, INT = np.dtype(np.float32), np.dtype(np.int32)
SCHEMA = Schema(
    "batch",
    (
        Field(("step",), INT),
        Field(("labels", "seed"), INT),
        *(Field(("scalars", f"metric_{i}"), FLOAT) for i in range(METRICS)),
    ),
)


def deliveries(num_lanes: int, number: int) -> list[Delivery]:
    """Records of a program under `vmap`, one for each step, as they cross."""
    rng = np.random.default_rng(0)
    lanes = (num_lanes,) if num_lanes > 1 else ()
    head = header(0, SCHEMA.call_number, lanes)
    due = np.full(num_lanes, METRICS_DUE, np.uint32)
    found = []
    for step in range(number):
        values = np.tanh(rng.normal(size=(num_lanes, METRICS))).astype(np.float32)
        integers = np.stack([np.full(num_lanes, step), np.arange(num_lanes)], axis=1)
        words = np.concatenate([integers.astype(np.uint32), values.view(np.uint32)], axis=1)
        found.append(Delivery(np.concatenate([head, due, words.reshape(-1)])))
    return found


def seconds(program: Callable[[], object]) -> float:
    """The CPU seconds of one call."""
    start = time.thread_time()
    program()
    return time.thread_time() - start


def of_lanes(num_lanes: int, turns: int) -> dict[str, float]:
    """Microseconds of CPU for each line: decoding, rows, lines from columns, lines from rows."""
    number = max(2, LINES // num_lanes)
    crossed = deliveries(num_lanes, number)
    decoder, table = Decoder(SCHEMA, None), LaneTable("run")
    best = dict.fromkeys(("decode", "rows", "from columns", "from rows"), math.inf)
    for _ in range(turns + 1):  # the lanes are new in the first turn
        arrivals = [Arrival(time.time(), delivery) for delivery in crossed]
        events: list[MetricsEvent] = []

        def decode(arrivals: list[Arrival] = arrivals, found: list[MetricsEvent] = events) -> None:
            for records in decoder.events(arrivals, (), table):
                found += [event for event in records if isinstance(event, MetricsEvent)]

        times = {"decode": seconds(decode)}
        times["from columns"] = seconds(lambda found=events: [lines_of(event) for event in found])
        times["rows"] = seconds(lambda found=events: [event.lanes for event in found])
        rows = [replace(event, exact=event.exact) for event in events]
        times["from rows"] = seconds(lambda found=rows: [lines_of(event) for event in found])
        best = {name: min(times[name], least) for name, least in best.items()}
    return {name: 1e6 * least / (number * num_lanes) for name, least in best.items()}


def main(turns: int = 25) -> list[Row]:
    """Measures, and writes `results/lanes.json`."""
    found = {num_lanes: of_lanes(num_lanes, max(2, turns // 5)) for num_lanes in LANES}
    grid = [
        {"lanes": n, **{f"{k}, µs a line": v for k, v in us.items()}} for n, us in found.items()
    ]
    rows = []
    for num_lanes, budget in zip(LANES, (1.0, 0.5, 0.5, 0.5), strict=True):
        us = found[num_lanes]
        columns = us["decode"] + us["from columns"]
        ratio = columns / (us["decode"] + us["rows"] + us["from rows"])
        what = f"host CPU of a line of JSONL from columns, {num_lanes:,} lanes"
        rows.append(Row(what, "from rows", ratio, "x", budget))
    tell("lanes", rows, grid, "CPU of one thread, 10 metrics and a label", lines=LINES)
    return rows


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=25)
    main(parser.parse_args().turns)
