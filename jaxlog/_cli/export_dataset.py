"""`jaxlog export --to dataset`: writes runs into a Parquet data set, or extends it."""

from __future__ import annotations

import contextlib
import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from jaxlog._cli.errors import CommandError
from jaxlog._cli.stream import note, out
from jaxlog._dataset.manifest import DatasetError
from jaxlog._reading.finding import named_runs
from jaxlog._text import counted


def export_dataset(places: Sequence[Path], directory: Path, processes: int) -> int:
    """Writes runs into a data set; makes it, or extends it.

    Args:
      places: directories of runs, directories that contain runs, or patterns.
      directory: that of the data set.
      processes: the number of processes that write.

    Returns:
      0, or 1 if some runs could not be written.

    Raises:
      CommandError: the extra `explore` is not installed, or the directory cannot be used.
      OSError: there is no run, or the directory cannot be written.
    """
    try:
        from jaxlog._dataset.extend import extend
    except ModuleNotFoundError as error:
        raise CommandError(
            f"export: needs {error.name}, which is not installed: pip install 'jaxlog[explore]'"
        ) from None
    runs = named_runs(places)
    try:
        with _executor(processes) as executor:
            found = extend(directory, runs, executor)
    except DatasetError as error:
        raise CommandError(f"export: {error}") from None
    except BrokenProcessPool:
        raise CommandError(
            "export: a process that wrote runs was killed, perhaps for its memory; what was "
            "written is kept: run the command again, with fewer --processes"
        ) from None
    for text in (*dict.fromkeys(found.widened), *found.failed):
        note(f"export: {text}")
    for name, table in sorted(found.manifest.tables.items()):
        files = [run.files[name] for run in found.manifest.runs.values() if name in run.files]
        if files:
            rows = sum(file.rows for file in files)
            out(
                f"{directory / name}: {counted(len(files), 'run')}, {counted(rows, 'row')}, "
                f"{counted(len(table.schema), 'column')}"
            )
    rewritten = counted(found.rewritten, "file")
    again = f", {rewritten} rewritten for new columns" if found.rewritten else ""
    failed = f", {len(found.failed):,} not written" if found.failed else ""
    out(
        f"{counted(len(runs), 'run')}: {found.written:,} written, "
        f"{found.unchanged:,} unchanged{failed}{again}"
    )
    return 1 if found.failed else 0


@contextlib.contextmanager
def _executor(processes: int) -> Iterator[Executor | None]:
    if processes == 1:
        yield None
        return
    # Not forked: the threads of polars would be missing.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context) as executor:
        yield executor
