"""`jaxlog.import_runs`, the command `jaxlog import` as a function."""

from __future__ import annotations

import os
from collections.abc import Sequence

from jaxlog._errors import without_errors
from jaxlog._importing.source import CALL, ImportedRun, ImportOptions, SourceKind
from jaxlog._paths import local_path


def import_runs(
    sources: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    to: str | os.PathLike[str],
    *,
    kind: SourceKind | None = None,
    call: str = CALL,
    step: str | None = None,
    time: str | None = None,
    labels: Sequence[str] = (),
    leave_out: Sequence[str] = (),
) -> list[ImportedRun]:
    r"""Brings runs of other trackers in, as runs that `read_runs` and all commands take.

    W&B's offline files need the package wandb, TensorBoard's event files the package tensorboard:
    the extra `import` has both. The sources are only read. Each run is written whole or not at all.
    A run that was imported from the same source before is replaced if the source has changed, and
    left alone otherwise; tags and notes that you gave it stay.

    Args:
      sources: files, or directories with such files anywhere below them: `run-*.wandb` of W&B, each
        id a run; `*tfevents*` of TensorBoard, each folder a run; or `.csv` and `.tsv`, each file a
        run.
      to: the directory below which the runs are written; made if it does not exist.
      kind: the kind of the sources: `wandb`, `tensorboard` or `csv`; None to tell it from them.
      call: the name of the call under which metrics are that have no other.
      step: the column of a CSV file with the step; None for `step`, `update`, `epoch` or another
        usual name.
      time: the column with the time in seconds since 1970; None for `timestamp` or `wall_time`, and
        without one for the time of the file.
      labels: the columns that tell lanes apart, such as `["seed", "env"]`.
      leave_out: columns that are not metrics, and are not brought in.

    Returns:
      What became of each run, in the order of the sources.

    Raises:
      ValueError: a source is of no known kind, is damaged, has no column of the step or a text
        where a number should be, or a package is missing: the runs of the other sources are
        imported. Or `kind` or `call` has a wrong value.
      OSError: a source cannot be read, or the directory cannot be written.

    >>> import tempfile
    >>> from pathlib import Path
    >>> import jaxlog
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(folder, "ppo.csv").write_text("step,seed,return\n0,1,8.5\n10,1,9\n0,2,7\n")
    ...     [run] = jaxlog.import_runs(f"{folder}/ppo.csv", f"{folder}/runs", labels=["seed"])
    ...     jaxlog.read_run(run.path).metrics.drop("timestamp").rows()
    [(0, 0, 1, 8.5), (0, 1, 2, 7.0), (10, 0, 1, 9.0)]
    """
    if isinstance(sources, str | os.PathLike):
        sources = [sources]
    given = [local_path(source, "sources") for source in sources]
    options = ImportOptions(call, step, time, tuple(labels), tuple(leave_out))
    from jaxlog._importing.importing import imported  # it needs what sinks need

    return without_errors(imported(given, local_path(to, "to"), kind, options))
