"""The public function that makes one lazy frame of the metrics of many runs."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

from jaxlog._dataset.manifest import is_dataset
from jaxlog._paths import is_address, local_path
from jaxlog._reading.extra import needs_extra
from jaxlog._reading.finding import Where, named_runs

if TYPE_CHECKING:
    import polars as pl


def scan_runs(
    where: Where | Iterable[Where], call: str | None = None, *, config: bool = False
) -> pl.LazyFrame:
    """Returns the metrics of many runs as a polars LazyFrame, which reads them as it is collected.

    It has the columns of `read_runs(where).metrics`. Of a data set (`jaxlog export RUNS --to
    dataset`), only the columns and the row groups that a query needs are read. Of runs, all lines
    are parsed, some runs at a time, so that memory is bounded by the result and some runs; the
    first time also for the names and types of the columns.

    Args:
      where: the directory of a data set, or its address in a store; or runs, as for `read_runs`.
      call: the name of the call; None selects `batch`, else `train`, else the only call.
      config: True for a column of each key of the runs' config, too, named like
        `config.learning_rate`; nested keys have dots.

    Raises:
      FileNotFoundError: there is no run.
      LookupError: no run has logged metrics of the call, or several calls could be meant.
      ModuleNotFoundError: polars is missing; it comes with the extra `explore`.
      NotADirectoryError: a path is that of a file.
      OSError: a store cannot be read.
      ValueError: a data set is of another format.

    >>> import tempfile
    >>> import polars as pl
    >>> import jaxlog
    >>> logger = jaxlog.Logger({"sinks": [{"kind": "jsonl"}]})
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     for rate in (0.1, 0.2):
    ...         with logger.open(f"{directory}/rate-{rate}", config={"lr": rate}) as run:
    ...             for step in range(3):
    ...                 run.log({"return": 100.0 * rate + step}, step=step)
    ...     lazy = jaxlog.scan_runs(directory, config=True)
    ...     means = lazy.group_by("config.lr").agg(pl.col("return").mean())
    ...     means.sort("config.lr").collect().rows()
    [(0.1, 11.0), (0.2, 21.0)]
    """
    with needs_extra("lazy frames of runs"):
        from jaxlog._dataset.scanning import scan_dataset
        from jaxlog._reading.scanning_many import scan_many
    if isinstance(where, str | os.PathLike) and is_address(where):
        from jaxlog._dataset.scanning_stored import scan_stored
        from jaxlog._store.address import parsed  # the extra `cloud` is not always there
        from jaxlog._store.objects import ObjectStore

        store = ObjectStore(parsed(os.fsdecode(where), "path"))
        if (found := scan_stored(store, call, config=config)) is not None:
            return found
    elif isinstance(where, str | os.PathLike):
        path = local_path(where, "path")
        if is_dataset(path):
            return scan_dataset(path, call, config=config)
    return scan_many(named_runs(where), call, config=config)
