"""One run, with what can be drawn of it."""

from __future__ import annotations

from jaxlog._analysis.views import Views
from jaxlog._paths import local_path
from jaxlog._reading.finding import Where, check_run
from jaxlog._reading.run_frames import RunFrames


class RunData(RunFrames, Views):
    """What a run has logged, from its files; made by `jaxlog.read_run`.

    A snapshot: a file is read when it is first asked for, and once. Of a run that is live, read it
    again for what came since.

    In frames a row is a line: `timestamp` (seconds since 1970), `step`, `env_step` where known,
    `lane`, then the labels, then the values, each in a column of its name. A value that was not on
    the line is null; NaN and infinities are these. A histogram is a struct, an array a list.
    Two of one name: the value keeps it, and the label is `labels.seed`, the detail
    `details.state`; a value that is called as one of the columns above, or `run`, is
    `metrics.step`. A column of numbers and texts, or of arrays with different numbers of axes, is
    one of texts, with what is no text as JSON.

    Attributes:
      path: the directory.
      info: what run.json says; empty where there is none that can be read.
      status: how the run is doing: `running`; or how it ended: `finished`, `failed`,
        `interrupted`, `exited`, `terminated`, or, where its process is gone without a word,
        `killed`; `unknown` where nothing tells: there is no run.json, or the process is one of
        another machine.
      health: what is wrong with what it logged, beside the status, which says how it ended.
      calls: the names of the calls that logged metrics: `batch`, `eval`.
    """

    def by_name(self) -> dict[str, RunData]:
        return {self.path.resolve().name: self}


def read_run(path: Where) -> RunData:
    """Reads a run that has ended, is live, or was broken off.

    Nothing is written there, and a live run is not held up. A last line that is half written is
    left for the next time; broken lines are left out and warned of when their file is read. Frames
    need the extra `explore`.

    Args:
      path: the run's directory, as `Logger.open` was given it; `~` is the home directory.

    Raises:
      FileNotFoundError: there is no run.
      NotADirectoryError: it is a file.
      ValueError: it is an address like `gs://...`.

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
    directory = local_path(path, "path")
    check_run(directory)
    return RunData(directory)
