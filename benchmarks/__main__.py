"""Runs all benchmarks, one after the other; fails if a figure is above its budget."""

import argparse
import sys

from benchmarks import (
    arrow,
    compiling,
    crossing,
    dataset,
    episodes,
    finding,
    lanes,
    mirroring,
    reading,
    receiving,
    sending,
    sinks,
    statistics,
)

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--quick", action="store_true", help="few turns, to see that it runs")
quick = parser.parse_args().quick
rows = [
    *crossing.main(3 if quick else 25),
    *receiving.main(3 if quick else 25),
    *statistics.main(3 if quick else 40),
    *compiling.main(1 if quick else 9),
    *sinks.main(1 if quick else 10),
    *lanes.main(1 if quick else 5),
    *reading.main(1 if quick else 7),
    *arrow.main(1 if quick else 7),
    *finding.main(1 if quick else 3),
    *dataset.main(1 if quick else 5),
    *sending.main(1 if quick else 5),
    *episodes.main(1 if quick else 25),
    *mirroring.main(1 if quick else 15),
]
missed = [
    f"{row.what}: {row.value:.3g} {row.unit}, at most {row.budget:.3g} {row.unit}"
    for row in rows
    if not row.met
]
print(f"{len(rows) - len(missed)} of {len(rows)} budgets met", *missed, sep="\n  missed: ")
sys.exit(bool(missed))
