"""`jaxlog import`: brings files of W&B, TensorBoard and CSV in as runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import tyro

from jaxlog._cli.errors import CommandError
from jaxlog._cli.stream import flush, note, out
from jaxlog._errors import ImportingError
from jaxlog._importing.importing import imported
from jaxlog._importing.source import CALL, ImportOptions, SourceKind
from jaxlog._terminal import plain
from jaxlog._text import counted

_Sources = Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="SOURCE...")]
_Kind = Annotated[SourceKind | None, tyro.conf.arg(name="from", help_behavior_hint="")]
_Column = Annotated[str | None, tyro.conf.arg(metavar="COLUMN", help_behavior_hint="")]
_Columns = Annotated[str, tyro.conf.arg(metavar="COLUMN,...", help_behavior_hint="")]


def import_(
    sources: _Sources,
    *,
    to: Path,
    kind: _Kind = None,
    call: str = CALL,
    step: _Column = None,
    time: _Column = None,
    labels: _Columns = "",
    leave_out: _Columns = "",
) -> int:
    """Bring offline files of W&B, event files of TensorBoard, and CSV files in as runs.

    The sources are only read. A run that was imported before is replaced if its source has changed.

    Args:
      sources: Files, or directories with such files below them.
      to: The directory below which the runs are written.
      kind: The kind of the sources, if it cannot be told from them.
      call: The call under which metrics are that have no other.
      step: CSV: the column of the step, if it has no usual name such as step, update or epoch.
      time: CSV: the column of the time, in seconds since 1970, if it is not timestamp or wall_time.
      labels: CSV: the columns that tell lanes apart, such as seed,env.
      leave_out: CSV: the columns that are not brought in.

    Returns:
      0.

    Raises:
      CommandError: no source is given, or a source cannot be brought in. The others are.
      OSError: a source cannot be read, or the directory cannot be written.
    """
    if not sources:
        raise CommandError("import: got no sources, expected files or directories")
    options = ImportOptions(call, step, time, _names(labels), _names(leave_out))
    failed: list[str] = []
    number = 0
    try:
        for found in imported(sources, to, kind, options):
            number += 1
            if isinstance(found, ImportingError):
                failed.append(str(found))
            else:
                out(plain(str(found)))
                flush()
    except ValueError as error:  # the name of the call
        raise CommandError(f"import: {plain(str(error))}") from None
    if number > 1:
        for text in failed:
            note(f"import: {plain(text)}")
    if failed:
        several = f"{len(failed):,} of {counted(number, 'run was', 'runs were')} not brought in"
        raise CommandError(f"import: {plain(failed[0]) if number == 1 else several}")
    return 0


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())
