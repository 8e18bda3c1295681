"""`jaxlog export`: a run's lines as files for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import orjson
import tyro

from jaxlog._analysis.run_data import read_run
from jaxlog._cli.errors import CommandError
from jaxlog._cli.files import whole
from jaxlog._cli.stream import out, tell

if TYPE_CHECKING:
    import polars as pl

_FORMULA = r"^[=+\-@\t\r]"
"""How texts begin that spreadsheets run as formulas when they open a CSV file."""
_NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"

_Run = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
_Output = Annotated[
    Path | None, tyro.conf.arg(aliases=["-o"], metavar="DIR", help_behavior_hint="")
]


def export(
    run: _Run,
    *,
    to: Literal["parquet", "csv"],
    output: _Output = None,
    force: bool = False,
    safe_text: bool = False,
) -> int:
    """Write a run's metrics and episodes as tables: a file for each kind of line.

    Args:
      run: The run's directory.
      to: The format. In CSV, what is a list or a histogram is JSON text.
      output: Where the files go. By default `export` in the run's directory.
      force: Whether files that are there are written over.
      safe_text: Whether texts in CSV that a spreadsheet takes for formulas get a ' in front. Other
        programs then read the ', too.

    Returns:
      0.

    Raises:
      CommandError: polars is not installed, the run has no lines, a file is there already or
        cannot be written, or `safe_text` is given for Parquet.
      OSError: there is no run, it cannot be read, or there can be no such directory.
    """
    if safe_text and to != "csv":
        raise CommandError(f"export: --safe-text: got --to {to}, is for --to csv alone")
    try:
        frames = read_run(run).frames()
    except ImportError as error:
        raise CommandError(str(error)) from None
    if not frames:
        raise CommandError(f"{run}: has no lines to export")
    directory = run / "export" if output is None else output
    if output is None and directory.is_symlink():
        raise CommandError(
            f"{directory}: is a symbolic link, and would lead out of the run; give --output"
        )
    files = {directory / f"{name}.{to}": frame for name, frame in frames.items()}
    there = [str(file) for file in files if file.exists()]
    if there and not force:
        raise CommandError(
            f"{', '.join(there)}: there already; give --force to write over it, or another --output"
        )
    directory.mkdir(parents=True, exist_ok=True)
    for file, frame in files.items():
        flat = _flat(frame) if to == "csv" else frame
        if safe_text:
            flat = _with_safe_texts(flat)
        elif to == "csv" and (formulas := _formulas(flat)):
            tell(
                f"{file}: {formulas:,} texts begin as formulas of a spreadsheet do; give "
                "--safe-text before you open it in one"
            )
        _write(flat, file)
        out(f"{file}: {frame.height:,} rows, {frame.width:,} columns")
    return 0


def _write(frame: pl.DataFrame, file: Path) -> None:
    import polars as pl

    # An open file: polars takes no path that is not UTF-8.
    with whole(file) as opened:
        try:
            if file.suffix == ".csv":
                frame.write_csv(opened)
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


def _formulas(frame: pl.DataFrame) -> int:
    """How many texts of a frame a spreadsheet takes for formulas, the names of columns included."""
    import polars as pl

    names = pl.Series(frame.columns, dtype=pl.String)
    columns = [names, *(column for column in frame if column.dtype == pl.String)]
    return sum(int(_in(column).sum() or 0) for column in columns)


def _with_safe_texts(frame: pl.DataFrame) -> pl.DataFrame:
    """With a ' before each text that a spreadsheet takes for a formula, which keeps it a text."""
    import polars as pl

    names = pl.Series(frame.columns, dtype=pl.String)
    columns = [_safe(column) if column.dtype == pl.String else column for column in frame]
    return pl.DataFrame(
        [column.alias(name) for column, name in zip(columns, _safe(names), strict=True)]
    )


def _in(texts: pl.Series) -> pl.Series:
    """Which of some texts are taken for formulas."""
    return texts.str.contains(_FORMULA) & ~texts.str.contains(_NUMBER)


def _safe(texts: pl.Series) -> pl.Series:
    return ("'" + texts).zip_with(_in(texts).fill_null(value=False), texts)
