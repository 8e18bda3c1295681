"""`jaxlog export`: writes the lines of runs as tables for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import orjson
import tyro

from jaxlog._analysis.run_data import read_run
from jaxlog._cli import run_paths
from jaxlog._cli.errors import CommandError
from jaxlog._cli.export_dataset import export_dataset
from jaxlog._cli.export_films import FilmSettings, export_films
from jaxlog._cli.files import whole_file
from jaxlog._cli.stream import note, out
from jaxlog._paths import is_address
from jaxlog._text import counted

if TYPE_CHECKING:
    import polars as pl

_FORMULA = r"^[=+\-@\t\r]"
"""The first characters of texts in a CSV file that a spreadsheet runs as formulas."""
_NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"

_Runs = Annotated[
    tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="RUN...", help_behavior_hint="")
]
_To = Annotated[
    Literal["parquet", "csv", "dataset"] | None,
    tyro.conf.arg(metavar="FORMAT", help_behavior_hint=""),
]
_Films = Annotated[
    Literal["gif", "mp4", "webp"] | None, tyro.conf.arg(metavar="FORMAT", help_behavior_hint="")
]
_Output = Annotated[
    Path | None, tyro.conf.arg(aliases=["-o"], metavar="DIR", help_behavior_hint="")
]


def export(
    run: _Runs,
    *,
    to: _To = None,
    episodes: _Films = None,
    array: str = "",
    renderer: str = "",
    frames_per_second: float = 10.0,
    output: _Output = None,
    force: bool = False,
    safe_text: bool = False,
    processes: int = 1,
) -> int:
    """Write runs as tables or as a Parquet data set, or recorded episodes as films.

    There is a table for each kind of line, and a film for each episode. A data set has the tables
    of many runs, and is extended by runs that are new or have changed.

    Args:
      run: The directory of the run. For a data set, directories of runs, directories that contain
        runs, or patterns like 'runs/ppo-*'.
      to: The format of the tables: csv, in which lists and histograms are JSON text; parquet; or
        dataset, Parquet files of many runs for each table, all with the same columns.
      episodes: Write a film of each episode that was recorded whole, in this format, instead.
      array: The recorded array that the films show. By default an image, or else a grid.
      renderer: Or what draws a step: brax, craftax, gymnax, jumanji, navix, pgx or xminigrid, also
        with an environment, as pgx/minatar-breakout; or your function, as 'module:function', which
        takes the tree of the step and returns uint8 [height, width, 3] or an SVG as text.
      frames_per_second: The steps that a film shows in a second.
      output: The directory to write to. By default `export` in the run's directory, or `dataset`
        in the working directory for a data set.
      force: Overwrite files that exist.
      safe_text: In CSV, put a ' before each text that a spreadsheet would run as a formula. Other
        programs then read the ' too.
      processes: The number of processes that write a data set.

    Returns:
      0, or 1 if a film, or a run of a data set, could not be written.

    Raises:
      CommandError: an extra is not installed, the run has no lines or no recorded episodes, a
        file exists or cannot be written, or arguments do not fit each other.
      OSError: there is no run, it cannot be read, or the directory cannot be made.
    """
    if (to is None) == (episodes is None):
        raise CommandError(
            "export: expected either --to parquet, csv or dataset, for tables, or --episodes gif, "
            "mp4 or webp, for films"
        )
    if processes != 1 and (to != "dataset" or processes < 1):
        raise CommandError(
            f"export: --processes: got {processes}, expected at least 1, with --to dataset"
        )
    if output is not None:
        # A data set is copied again when it was extended, and then has fewer files of some.
        program = ["a program that deletes, too, such as aws s3 sync --delete"]
        run_paths.written("export", output, *(program if to == "dataset" else ()))
    if to == "dataset":
        if not run:
            raise CommandError("export: got no run, expected the directories of runs")
        return export_dataset(run, output or Path("dataset"), processes)
    if len(run) != 1:
        raise CommandError(
            f"export: got {len(run)} runs, expected one; --to dataset takes many runs"
        )
    films = None
    if episodes is not None:
        films = FilmSettings(episodes, array, renderer, frames_per_second)
    return _export_run(run[0], to, films, output, force=force, safe_text=safe_text)


def _export_run(
    run: Path,
    to: str | None,
    films: FilmSettings | None,
    output: Path | None,
    *,
    force: bool,
    safe_text: bool,
) -> int:
    if safe_text and to != "csv":
        raise CommandError(f"export: --safe-text: got --to {to}, expected --to csv")
    if is_address(run):
        if output is None:
            raise CommandError("export: got an address; pass --output, a directory on this machine")
        run = run_paths.located(run)
    if films is not None:
        return 0 if export_films(run, _directory(run, output), films, force=force) else 1
    try:
        frames = read_run(run).frames()
    except ImportError as error:
        raise CommandError(str(error)) from None
    if not frames:
        raise CommandError(f"{run}: has no lines to export")
    directory = _directory(run, output)
    files = {directory / f"{name}.{to}": frame for name, frame in frames.items()}
    existing = [str(file) for file in files if file.exists()]
    if existing and not force:
        raise CommandError(
            f"{', '.join(existing)}: would be overwritten; pass --force to allow it, or another "
            "--output"
        )
    directory.mkdir(parents=True, exist_ok=True)
    for file, frame in files.items():
        flat = _flat(frame) if to == "csv" else frame
        if safe_text:
            flat = _with_safe_texts(flat)
        elif to == "csv" and (formulas := _formulas(flat)):
            note(
                f"{file}: {counted(formulas, 'text begins', 'texts begin')} like spreadsheet "
                "formulas; pass --safe-text to open the file in a spreadsheet"
            )
        _write(flat, file)
        out(f"{file}: {counted(frame.height, 'row')}, {counted(frame.width, 'column')}")
    return 0


def _directory(run: Path, output: Path | None) -> Path:
    directory = run / "export" if output is None else output
    if output is None and directory.is_symlink():
        raise CommandError(
            f"{directory}: is a symbolic link, which may lead out of the run; pass --output"
        )
    return directory


def _write(frame: pl.DataFrame, file: Path) -> None:
    import polars as pl

    # polars is given an open file, since it refuses paths that are not UTF-8.
    with whole_file(file) as opened:
        try:
            if file.suffix == ".csv":
                frame.write_csv(opened)
            else:
                frame.write_parquet(opened)
        except pl.exceptions.PolarsError as error:
            raise CommandError(f"{file}: cannot be written: {error}") from None


def _flat(frame: pl.DataFrame) -> pl.DataFrame:
    """Turns lists and structs, which CSV cannot hold, into JSON text."""
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
    """Counts the texts, column names included, that a spreadsheet would run as formulas."""
    import polars as pl

    names = pl.Series(frame.columns, dtype=pl.String)
    columns = [names, *(column for column in frame if column.dtype == pl.String)]
    return sum(int(_is_formula(column).sum() or 0) for column in columns)


def _with_safe_texts(frame: pl.DataFrame) -> pl.DataFrame:
    """Puts a ' before each text that a spreadsheet would run as a formula."""
    import polars as pl

    names = pl.Series(frame.columns, dtype=pl.String)
    columns = [_safe(column) if column.dtype == pl.String else column for column in frame]
    return pl.DataFrame(
        [column.alias(name) for column, name in zip(columns, _safe(names), strict=True)]
    )


def _is_formula(texts: pl.Series) -> pl.Series:
    """Marks the texts that a spreadsheet would run as formulas; numbers like -1 are none."""
    return texts.str.contains(_FORMULA) & ~texts.str.contains(_NUMBER)


def _safe(texts: pl.Series) -> pl.Series:
    return ("'" + texts).zip_with(_is_formula(texts).fill_null(value=False), texts)
