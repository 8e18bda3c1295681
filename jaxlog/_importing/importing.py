"""Finds the runs in files of other trackers, and brings each in."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, get_args

from jaxlog._errors import ImportingError
from jaxlog._format.names import check_call
from jaxlog._host.directory import RUN_FILE
from jaxlog._importing.csv_source import csv_run
from jaxlog._importing.earlier import EarlierRuns
from jaxlog._importing.event_records import is_event_file
from jaxlog._importing.source import ImportedRun, ImportOptions, SourceKind, SourceRun
from jaxlog._importing.tensorboard_source import folders_with_events, run_name, tensorboard_run
from jaxlog._importing.wandb_records import is_wandb_file
from jaxlog._importing.wandb_source import wandb_runs
from jaxlog._importing.writing import write

_CSV = (".csv", ".tsv")


def imported(
    sources: Sequence[Path], to: Path, kind: SourceKind | None, options: ImportOptions
) -> Iterator[ImportedRun | ImportingError]:
    """Brings the runs of some sources in, one after another; yields errors instead of runs."""
    if kind is not None and kind not in get_args(SourceKind):
        raise ValueError(f"kind: got {kind!r}, expected one of {', '.join(get_args(SourceKind))}")
    check_call(options.call)
    earlier = EarlierRuns(to)
    for path in sources:
        try:
            readers = _readers(path, kind, options)
        except ImportingError as error:
            yield error
            continue
        for read in readers:
            try:
                for source in read():
                    yield _written(source, to, options, earlier)
            except ImportingError as error:
                yield error


def _written(
    source: SourceRun, to: Path, options: ImportOptions, earlier: EarlierRuns
) -> ImportedRun:
    done = write(source, to, options, earlier)
    outcome = done.path, source.kind, tuple(source.files), done.state, done.lines
    return ImportedRun(*outcome, dict(source.left_out), tuple(source.cut))


def _readers(
    path: Path, kind: SourceKind | None, options: ImportOptions
) -> list[Callable[[], Sequence[SourceRun]]]:
    """Functions that read the runs of a source: if one fails, the others need not."""
    if not path.exists():
        raise FileNotFoundError(f"{path}: does not exist, expected files of another tracker")
    kind = _kind_of(path) if kind is None else kind
    if kind == "wandb":
        files = [path] if path.is_file() else sorted(path.rglob("*.wandb"))
        of_id: dict[str, list[Path]] = {}
        for file in _some(path, files, "run-*.wandb of W&B"):
            of_id.setdefault(file.name, []).append(file)  # the name has the id of the run
        return [partial(wandb_runs, own, options) for own in of_id.values()]
    if kind == "csv":
        files = [path] if path.is_file() else _tables_in(path)
        return [
            partial(_one, csv_run, file, options) for file in _some(path, files, ".csv or .tsv")
        ]
    if path.is_file():
        name = path.resolve().parent.name
        return [partial(_one, tensorboard_run, [path], name, path, options)]
    return [
        partial(
            _one,
            tensorboard_run,
            sorted(file for file in folder.glob("*tfevents*") if file.is_file()),
            run_name(folder, path),
            folder,
            options,
        )
        for folder in _some(path, folders_with_events(path), "*tfevents* of TensorBoard")
    ]


def _one(read: Callable[..., SourceRun], *arguments: Any) -> list[SourceRun]:
    return [read(*arguments)]


def _some(path: Path, found: Sequence[Path], expected: str) -> Sequence[Path]:
    if not found:
        raise ImportingError(f"{path}: has no files {expected}")
    return found


def _tables_in(path: Path) -> list[Path]:
    return sorted(file for file in path.iterdir() if file.suffix.lower() in _CSV)


def _kind_of(path: Path) -> SourceKind:
    """The kind of a source.

    Raises:
      ImportingError: it is of no known kind, or a directory has files of several.
    """
    if path.is_file():
        if path.suffix == ".wandb" or is_wandb_file(path):
            return "wandb"
        if "tfevents" in path.name or is_event_file(path):
            return "tensorboard"
        if path.suffix.lower() in _CSV:
            return "csv"
        raise ImportingError(
            f"{path}: is no file of W&B or TensorBoard, and has not the ending .csv; if it is one "
            "nevertheless, say which: --from csv (kind=)"
        )
    found: dict[SourceKind, Any] = {
        "wandb": next(path.rglob("*.wandb"), None),
        "tensorboard": next(path.rglob("*tfevents*"), None),
    }
    kinds: list[SourceKind] = [kind for kind, file in found.items() if file is not None]
    if not kinds and _tables_in(path):
        kinds = ["csv"]
    if len(kinds) > 1:
        raise ImportingError(
            f"{path}: has files of {' and '.join(kinds)}; say which: --from {kinds[0]} (kind=)"
        )
    if not kinds:
        own = f"; it is a run of jaxlog, as {RUN_FILE} says" if (path / RUN_FILE).exists() else ""
        raise ImportingError(
            f"{path}: has no files of W&B (*.wandb), TensorBoard (*tfevents*) or CSV (*.csv){own}"
        )
    return kinds[0]
