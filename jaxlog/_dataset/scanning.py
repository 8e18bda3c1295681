"""Makes a lazy frame of the metrics in a data set."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from jaxlog._dataset.commit import files_of
from jaxlog._dataset.manifest import Manifest, manifest_of
from jaxlog._format.columnar import RUN
from jaxlog._format.lines import METRICS_TABLE, calls_of
from jaxlog._reading.run_frames import chosen_call


def scan_dataset(directory: Path, call: str | None, *, config: bool) -> pl.LazyFrame:
    """A lazy frame of the metrics of all runs, in the order in which they were exported.

    Args:
      directory: that of the data set.
      call: the name of the call; None for the default one.
      config: whether it has the columns of the config.

    Raises:
      DatasetError: the data set is of another format, or damaged.
      LookupError: there is no such call.
    """
    manifest = manifest_of(directory)
    name = table_of(manifest, call, str(directory))
    found = files_of(manifest, name, lambda name: (directory / name).exists())
    files = [directory / name for name in found]
    if not files:
        return pl.LazyFrame(schema={RUN: pl.String()})
    # Of one schema, unless an export was ended before it had rewritten all files.
    groups = [files] if manifest.is_complete else [[file] for file in files]
    scans = [pl.scan_parquet(group, hive_partitioning=False, glob=False) for group in groups]
    every = scans[0] if len(scans) == 1 else pl.concat(scans, how="diagonal_relaxed")
    return every if config else every.drop(manifest.tables[name].config, strict=False)


def table_of(manifest: Manifest, call: str | None, directory: str) -> str:
    """Returns the table with the metrics of a call.

    Raises:
      LookupError: there is no such call.
    """
    return chosen_call(call, sorted(calls_of(manifest.tables)), directory) + METRICS_TABLE
