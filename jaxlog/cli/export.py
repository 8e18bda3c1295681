"""`jaxlog export`: a run's lines as files for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import orjson
import tyro

from jaxlog.cli.errors import CommandError
from jaxlog.cli.files import whole
from jaxlog.cli.stream import out
from jaxlog.explore.run_data import read_run

if TYPE_CHECKING:
    import polars as pl

_Run = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
_Output = Annotated[
    Path | None, tyro.conf.arg(aliases=["-o"], metavar="DIR", help_behavior_hint="")
]


def export(
    run: _Run, *, to: Literal["parquet", "csv"], output: _Output = None, force: bool = False
) -> int:
    """Write a run's metrics and episodes as tables: a file for each kind of line.

    Args:
      run: The run's directory.
      to: The format. In CSV, what is a list or a histogram is JSON text.
      output: Where the files go. By default `export` in the run's directory.
      force: Whether files that are there are written over.

    Returns:
      0.

    Raises:
      CommandError: polars is not installed, the run has no lines, or a file is there already or
        cannot be written.
      OSError: there is no run, it cannot be read, or there can be no such directory.
    """
    try:
        frames = read_run(run).frames()
    except ImportError as error:
        raise CommandError(str(error)) from None
    if not frames:
        raise CommandError(f"{run}: has no lines to export")
    directory = run / "export" if output is None else output
    files = {directory / f"{name}.{to}": frame for name, frame in frames.items()}
    there = [str(file) for file in files if file.exists()]
    if there and not force:
        raise CommandError(
            f"{', '.join(there)}: there already; give --force to write over it, or another --output"
        )
    directory.mkdir(parents=True, exist_ok=True)
    for file, frame in files.items():
        _write(frame, file)
        out(f"{file}: {frame.height:,} rows, {frame.width:,} columns")
    return 0


def _write(frame: pl.DataFrame, file: Path) -> None:
    import polars as pl

    # An open file: polars takes no path that is not UTF-8.
    with whole(file) as opened:
        try:
            if file.suffix == ".csv":
                _flat(frame).write_csv(opened)
            else:
                frame.write_parquet(opened)
        except pl.exceptions.PolarsError as error:
            raise CommandError(f"{file}: cannot be written: {error}") from None


def _flat(frame: pl.DataFrame) -> pl.DataFrame:
    """With what CSV does not have as JSON text."""
    import polars as pl

    return frame.with_columns(
        pl.Series(
            name,
            [None if v is None else orjson.dumps(v).decode() for v in frame[name].to_list()],
            pl.String,
        )
        for name, kind in frame.schema.items()
        if kind.is_nested()
    )
