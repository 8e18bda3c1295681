"""Are a million records accounted for, in bounded memory, if a sink is slow now and then?

`make soak`; the tests run the short form, `python -m benchmarks.soak --records 20000`. It fails if
a record is missing, repeated or out of order, or if memory grows by more than 64 MiB.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp

import jaxlog
from benchmarks.timing import Row, tell
from jaxlog import sinks

EVERY = 20
"""One of this many events takes the slow sink a millisecond."""
MOST = 64.0
"""How many MiB memory may grow."""
CHUNK = 10_000


class SlowSettings(jaxlog.sinks.SinkSettings, frozen=True):
    """Counts events, slowly."""

    kind: Literal["slow"] = "slow"


class Slow(jaxlog.sinks.Sink):
    """Counts events, and checks that they arrive in order."""

    Settings = SlowSettings

    def __init__(self, settings: Any) -> None:
        super().__init__(settings)
        self.events = 0

    def write_metrics(self, event: jaxlog.sinks.MetricsEvent) -> None:  # noqa: D102  as Sink says
        assert event.step == self.events, f"got {event.step}, expected {self.events}"
        self.events += 1
        if self.events % EVERY == 0:
            time.sleep(0.001)


def resident() -> float:
    """The resident memory of this process, in MiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def main() -> None:
    """Logs, and compares the records that arrived with the records that were written."""
    parser = argparse.ArgumentParser(description="Logs very many records.")
    parser.add_argument("--records", type=int, default=1_000_000)
    records = parser.parse_args().records
    assert records % CHUNK == 0, f"got {records} records, expected a multiple of {CHUNK}"

    sinks._SINKS["slow"] = f"{__name__}:Slow"
    logger = jaxlog.Logger(
        {
            "batched_logging_enabled": True,
            "log_frequency": 1,
            "sinks": [{"kind": "slow"}, {"kind": "jsonl"}],
        }
    )

    @jax.jit
    def train(begin: jax.Array) -> jax.Array:
        def update(total: jax.Array, step: jax.Array) -> tuple[jax.Array, None]:
            total = jnp.cos(total) + 1.0
            metrics = {f"loss_{i}": total + i for i in range(4)}
            jaxlog.batch_step(logger, step, metrics | {"episode_returns": jnp.ones(32) * total})
            return total, None

        return jax.lax.scan(update, jnp.float32(0), begin + jnp.arange(CHUNK))[0]

    with tempfile.TemporaryDirectory() as directory:
        with logger.open(directory) as run:
            before, most, began = 0.0, 0.0, time.perf_counter()
            for begin in range(0, records, CHUNK):
                jax.block_until_ready(train(jnp.int32(begin)))
                before = before or resident()  # when all has run once
                most = max(most, resident())
            seconds = time.perf_counter() - began
        slow = run.sink("slow")
        assert isinstance(slow, Slow)
        facts = json.loads((Path(directory) / "run.json").read_text())
        with (Path(directory) / "batch_metrics.jsonl").open() as file:
            lines = 0
            for line in file:
                assert json.loads(line)["step"] == lines
                lines += 1
    account = [(sink["kind"], sink["written"], sink["lost"]) for sink in facts["sinks"]]
    assert account == [("slow", records, 0), ("jsonl", records, 0)], account
    assert facts["arrived"] == slow.events == lines == records, (facts["arrived"], lines)
    rows = [Row(f"memory after {records:,} records", "after 10,000", most - before, "MiB", MOST)]
    if records == 1_000_000:
        tell("soak", rows, records=records, seconds=seconds)
    print(
        f"{records:,} records in {seconds:.0f} s; accounted for all; {rows[0].value:.1f} MiB more"
    )
    assert rows[0].met, rows


if __name__ == "__main__":
    main()
