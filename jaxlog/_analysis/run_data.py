"""The public class of one run, and the function that reads it."""

from __future__ import annotations

from collections.abc import Sequence

from jaxlog._analysis.run_difference import RunDifference, diff
from jaxlog._analysis.views import Views
from jaxlog._reading.finding import Where, check_run, run_path
from jaxlog._reading.run_frames import RunFrames
from jaxlog._store.known import shown


class RunData(RunFrames, Views):
    """The files of one run as polars frames; made by `jaxlog.read_run`.

    It is a snapshot: each file is read once, when it is first needed. To see what a live run has
    logged since, call `read_run` again.

    A row of a frame is a line. The columns are `timestamp` (seconds since 1970), `step`, `env_step`
    if known, `lane`, the labels, and the values, each under its own name. A value that the line
    does not have is null; NaN and infinities are kept. A histogram is a struct, an array a list.

    If a value and a label (or a detail) share a name, the value keeps it, and the other one becomes
    `labels.seed` (or `details.state`). A value named like one of the columns above, or `run`,
    becomes `metrics.step`. If a column has both numbers and texts, or arrays with different numbers
    of axes, it is a column of text, in which everything but text is JSON.

    Attributes:
      path: the directory of the run; of a run in a store, that of its local copy.
      info: the content of run.json; empty if it cannot be read.
      status: `running`; or how the run ended: `finished`, `failed`, `interrupted`, `exited`,
        `terminated`, or `killed` if its process is gone and did not close the run; or `unknown`, if
        run.json is missing or the process is on another machine.
      health: the problems of the run, such as diverged lanes; the status says only how it ended.
      calls: the names of the calls that logged metrics, such as `batch` and `eval`.
    """

    def by_name(self) -> dict[str, RunData]:
        return {self.path.resolve().name: self}

    def diff(self, other: RunData, *, only: Sequence[str] = ()) -> RunDifference:
        """Compares what made this run and another; as `jaxlog.diff` of their directories.

        Args:
          other: the other run.
          only: as for `jaxlog.diff`.

        Raises:
          ValueError: there is no such section.
        """
        return diff(self.path, other.path, only=only)

    def _repr_html_(self) -> str:
        from jaxlog._analysis.html_tables import run_html

        name = str(self.info.get("name") or self.path.resolve().name)
        return run_html(name, self.status, self.info, self._brief_health(), shown(self.path))


def read_run(path: Where) -> RunData:
    """Reads a run, which may be live, have ended, or have been killed.

    It writes nothing, and does not slow down a live run. An incomplete last line is skipped. Broken
    lines are left out, with a warning when their file is read. Frames need the extra `explore`.

    Args:
      path: the directory of the run, as passed to `Logger.open`; `~` is the home directory. Or the
        address of a run in a store, like `s3://bucket/runs/first`: its files are copied to this
        machine when they are read (docs/guides/object_stores.md).

    Raises:
      FileNotFoundError: there is no run.
      NotADirectoryError: the path is that of a file.
      OSError: the store cannot be read.
      ValueError: the path is an address that is not that of a store, or has credentials in it.

    >>> import tempfile
    >>> import jaxlog
    >>> logger = jaxlog.Logger({"sinks": [{"kind": "jsonl"}]})
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     with logger.open(directory, lanes=[{"seed": 0}, {"seed": 1}]) as run:
    ...         run.log({"return": [487.0, 500.0]}, step=299, labels={"env": "CartPole"})
    ...     run = jaxlog.read_run(directory)
    ...     run.metrics.drop("timestamp").rows()
    [(299, 0, 0, 'CartPole', 487.0), (299, 1, 1, 'CartPole', 500.0)]
    >>> run.status, run.calls, run.metrics["return"].mean()
    ('finished', ('eval',), 493.5)
    """
    directory = run_path(path)
    check_run(directory)
    return RunData(directory)
