"""The values of a run that are beside its metrics: arrays, images and tables."""

from __future__ import annotations

from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jaxlog._format.lines import ARRAYS
from jaxlog._reading.logged_values import logged_values

if TYPE_CHECKING:
    from jaxlog._reading.logged_arrays import LoggedArrays
    from jaxlog._reading.logged_media import LoggedImages, LoggedTables


class RunValues:
    """The part of `jaxlog.RunData` that reads what calls logged beside their metrics.

    Attributes:
      path: the directory of the run.
      info: the content of run.json.
    """

    if TYPE_CHECKING:

        @cached_property
        def info(self) -> dict[str, Any]: ...

        @cached_property
        def _files(self) -> dict[str, list[Path]]: ...  # by the stems of their names

        @cached_property
        def _media(self) -> list[Path]: ...

    path: Path

    @property
    def file_of_arrays(self) -> Path | None:
        """The file with the arrays that calls logged whole; None if there are none."""
        return next(iter(self._files.get(Path(ARRAYS).stem, ())), None)

    @property
    def file_of_media(self) -> Path | None:
        """The file with the lines of images and tables; None if there are none."""
        return next(iter(self._media), None)

    def logged_arrays(
        self, name: str | None = None, *, call: str | None = None, lane: int | None = None
    ) -> LoggedArrays:
        """Returns the arrays that calls logged whole, with `arrays=`, by step and lane.

        Each has the dtype and the shape in which it was logged, and its numbers are the same, bit
        for bit, except that every NaN becomes the same NaN. A notebook shows pictures of the last
        ones. It reads the whole file, and needs no extra.

        Args:
          name: only the arrays of this name; None for all.
          call: only those of this call; None for all.
          lane: only those of this lane; None for all.

        Returns:
          A sequence of objects with `value`, a NumPy array, and with `call`, `name`, `step`,
          `env_step`, `timestamp`, `lane` and `labels`.

        Raises:
          LookupError: there is no such array. Without arguments, the result may be empty.

        Warns:
          UserWarning: some lines cannot be read.

        >>> import tempfile
        >>> import numpy as np
        >>> import jaxlog
        >>> logger = jaxlog.Logger({"sinks": [{"kind": "jsonl"}]})
        >>> with tempfile.TemporaryDirectory() as directory:
        ...     with logger.open(directory) as run:
        ...         for step in range(3):
        ...             run.log(step=step, arrays={"confusion": step * np.eye(2, dtype=np.int8)})
        ...     found = jaxlog.read_run(directory).logged_arrays("confusion")
        >>> found[-1]
        LoggedArray(eval/confusion, step 2, lane 0: int8[2, 2])
        >>> found[-1].value.tolist(), np.stack([one.value for one in found]).shape
        ([[2, 0], [0, 2]], (3, 2, 2))
        """
        from jaxlog._reading.logged_arrays import LoggedArrays, arrays_of_line

        parse = partial(arrays_of_line, calls=self.info.get("calls"))
        path = self.file_of_arrays
        found = logged_values(path, parse, "arrays", name, call, lane, str(self.path))
        return LoggedArrays(found)

    def logged_images(
        self, name: str | None = None, *, call: str | None = None, lane: int | None = None
    ) -> LoggedImages:
        """Returns the images that calls logged (`jaxlog.Image`, figures), by step and lane.

        The file of an image is read when its `value` or `png` is first needed. A notebook shows the
        last ones. It reads all lines of images and tables, and needs no extra.

        Args:
          name: only the images of this name; None for all.
          call: only those of this call; None for all.
          lane: only those of this lane; None for all.

        Returns:
          A sequence of objects with `value`, uint8 `[height, width, channels]`, and with `png`,
          `caption`, `shape`, `is_there`, `call`, `name`, `step`, `env_step`, `timestamp`, `lane`
          and `labels`.

        Raises:
          LookupError: there is no such image. Without arguments, the result may be empty.

        Warns:
          UserWarning: some lines cannot be read.

        >>> import tempfile
        >>> import numpy as np
        >>> import jaxlog
        >>> logger = jaxlog.Logger({"sinks": [{"kind": "jsonl"}]})
        >>> with tempfile.TemporaryDirectory() as directory:
        ...     with logger.open(directory) as run:
        ...         run.log({"frame": jaxlog.Image(np.eye(3), "an eye")}, step=7)
        ...     (found,) = jaxlog.read_run(directory).logged_images("frame")
        ...     found.value[:, :, 0].tolist()
        [[255, 0, 0], [0, 255, 0], [0, 0, 255]]
        >>> found
        LoggedImage(eval/frame, step 7, lane 0: image 3x3)
        """
        from jaxlog._reading.logged_media import LoggedImages, images_of_line

        parse = partial(images_of_line, directory=self.path)
        path = self.file_of_media
        found = logged_values(path, parse, "images", name, call, lane, str(self.path))
        return LoggedImages(found)

    def logged_tables(
        self, name: str | None = None, *, call: str | None = None, lane: int | None = None
    ) -> LoggedTables:
        """Returns the tables that calls logged (`jaxlog.Table`, DataFrames), by step and lane.

        A notebook shows the last one. It reads all lines of images and tables, and needs no extra.

        Args:
          name: only the tables of this name; None for all.
          call: only those of this call; None for all.
          lane: only those of this lane; None for all.

        Returns:
          A sequence of objects with `columns`, `rows` and `frame()`, a polars frame, and with
          `call`, `name`, `step`, `env_step`, `timestamp`, `lane` and `labels`.

        Raises:
          LookupError: there is no such table. Without arguments, the result may be empty.

        Warns:
          UserWarning: some lines cannot be read.

        >>> import tempfile
        >>> import jaxlog
        >>> logger = jaxlog.Logger({"sinks": [{"kind": "jsonl"}]})
        >>> with tempfile.TemporaryDirectory() as directory:
        ...     with logger.open(directory) as run:
        ...         run.log({"tasks": jaxlog.Table(["task", "score"], [["maze", 0.5]])}, step=7)
        ...     (found,) = jaxlog.read_run(directory).logged_tables("tasks")
        >>> found.rows, found.frame().columns
        ((('maze', 0.5),), ['task', 'score'])
        """
        from jaxlog._reading.logged_media import LoggedTables, tables_of_line

        path = self.file_of_media
        found = logged_values(path, tables_of_line, "tables", name, call, lane, str(self.path))
        return LoggedTables(found)
