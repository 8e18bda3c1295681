"""Images and tables as values of a call: as users pass them, and as events and readers have them.

A program sends an image as an array; that it is an image, and its caption, are in the schema.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from jaxlog._text import counted

CHANNELS = (1, 3, 4)
"""The numbers of channels that an image can have: grey, RGB, RGBA."""
MOST_PIXELS = 2**22
"""The most pixels of an image, 2048 by 2048."""
MOST_CAPTION = 1000
"""The most characters of a caption."""


@dataclass(frozen=True, eq=False)
class Image:
    """An image to log, in a program or from plain Python.

    Pass it as one of the values of `jaxlog.log`, `batch_step`, `window_step` or `Run.log`. When the
    step is due, the image is written as a PNG file, and every sink that can show images shows it.
    `RunData.images` reads it again.

    It is a pytree with one leaf. A program sends it as uint8; under `vmap`, each lane logs its own,
    and with `axis_name` that of the first share is logged. At a step that is not due it costs
    nothing.

    The array is checked when it is logged. In a program, a wrong shape or dtype is an error while
    it is traced. Numbers that are outside of 0 to 1 or not finite are only known later: then the
    image of that step is left out, which jaxlog says, and the program goes on. So it does with
    whatever is wrong with an image of plain Python.

    Attributes:
      array: `[height, width]` or `[height, width, channels]` with 1 (grey), 3 (RGB) or 4 channels
        (RGBA), in uint8 or in floats from 0 to 1. From plain Python also a matplotlib figure or an
        image of Pillow. In an event it is uint8 `[height, width, channels]`, read-only.
      caption: a text that is shown beside it; None for none. In a program it is a constant.

    Raises:
      TypeError: the caption is not a text.

    >>> import jax
    >>> import jax.numpy as jnp
    >>> import jaxlog
    >>> logger = jaxlog.Logger({"sinks": [{"kind": "memory"}]})
    >>> def update(frame, step):
    ...     jaxlog.log(logger, step, {"frame": jaxlog.Image(frame, "the last one")})
    ...     return frame / 2, None
    >>> with logger.open() as run:
    ...     _ = jax.jit(lambda: jax.lax.scan(update, jnp.ones((4, 6)), jnp.arange(20)))()
    >>> [e.lanes[0].media["frame"].array[0, 0, 0].item() for e in run.sink("memory").metrics]
    [255, 0]
    """

    array: Any
    caption: str | None = None

    def __post_init__(self) -> None:
        caption: Any = self.caption
        if not isinstance(caption, str | None):
            raise TypeError(
                f"Image: got the caption {caption!r:.60}, expected a text, which is a "
                "constant of the program, or None"
            )

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the array."""
        return tuple(self.array.shape)


@dataclass(frozen=True, eq=False)
class Table:
    """A table to log from plain Python, such as the results of an evaluation for each task.

    Pass it as one of the values of `Run.log`, or of `jaxlog.log` in a Python loop. A DataFrame of
    polars or pandas can be passed as it is. `RunData.tables` reads it again.

    It is checked when it is logged: a table that is wrong or too large is left out, which jaxlog
    says, and the program goes on.

    Attributes:
      columns: the names of the columns, each one once.
      rows: a sequence with as many cells for each row, or an array `[rows, columns]`. A cell is a
        number, a text or None; anything else becomes a text. In an event they are tuples.

    >>> import jaxlog
    >>> logger = jaxlog.Logger({"sinks": [{"kind": "memory"}]})
    >>> with logger.open() as run:
    ...     run.log({"tasks": jaxlog.Table(["task", "score"], [["maze", 0.5], ["key", 0.9]])})
    >>> run.sink("memory").metrics[0].lanes[0].media["tasks"].rows
    (('maze', 0.5), ('key', 0.9))
    """

    columns: Sequence[str]
    rows: Any

    @property
    def shape(self) -> tuple[int, int]:
        """The number of rows and of columns."""
        return len(self.rows), len(self.columns)


@dataclass(frozen=True, eq=False)
class StoredImage:
    """An image that is in a file.

    Attributes:
      shape: the height, the width and the number of channels.
      caption: as in `Image`.
      file: the path of the file below the run's directory; None if it could not be written.
    """

    shape: tuple[int, ...]
    caption: str | None
    file: str | None


def word(value: Image | StoredImage | Table) -> str:
    """Describes an image by its width and height, and a table by its rows and columns.

    >>> word(Image(np.zeros((2, 3, 1), np.uint8))), word(Table(["task"], [["maze"], ["key"]]))
    ('image 3x2', 'table 2x1')
    """
    first, second = value.shape[:2]
    return f"table {first}x{second}" if isinstance(value, Table) else f"image {second}x{first}"


def num_bytes(value: Image | Table) -> int:
    """The memory that an image or a table of an event takes, roughly."""
    rows, columns, *_ = value.shape
    return value.array.nbytes if isinstance(value, Image) else 64 * (rows + 1) * columns


def check_image_shape(path: str, shape: tuple[int, ...], *, is_image_dtype: bool, got: str) -> None:
    """Checks the shape and the dtype of an image.

    Args:
      path: its name, for errors.
      shape: its shape.
      is_image_dtype: whether its dtype is uint8 or a float.
      got: its dtype and shape as a text.

    Raises:
      TypeError: it has another dtype.
      ValueError: it has another shape, no pixel, or too many.
    """
    if not is_image_dtype:
        raise TypeError(
            f"{path}: got {got}, expected an image in uint8, or in floats from 0 to 1; divide by "
            "the largest value, or log it in arrays=, which draws it as a heat map"
        )
    if len(shape) not in (2, 3) or (len(shape) == 3 and shape[2] not in CHANNELS):
        several = " For the frames of an episode, record it." if len(shape) == 4 else ""
        raise ValueError(
            f"{path}: got {got}, expected an image [height, width] or [height, width, channels] "
            f"with 1, 3 or 4 channels; move its axes or log one image of several.{several}"
        )
    pixels = shape[0] * shape[1]
    if not 0 < pixels <= MOST_PIXELS:
        raise ValueError(
            f"{path}: got {got}, {pixels:,} pixels, expected 1 to {MOST_PIXELS:,}; log a smaller "
            "image, such as every k-th row and column"
        )


def bytes_of_floats(floats: np.ndarray) -> tuple[np.ndarray, int]:
    """Converts floats from 0 to 1 to uint8, and counts those that no uint8 is nearest to.

    >>> bytes_of_floats(np.array([0.0, 0.5, 1.001, 1.1, np.nan]))
    (array([  0, 128, 255,   0,   0], dtype=uint8), 2)
    """
    scaled = np.rint(255 * floats.astype(np.float32))
    inside = (scaled >= 0) & (scaled <= 255)  # False for NaN
    return np.where(inside, scaled, 0).astype(np.uint8), int(inside.size - inside.sum())


def outside_text(count: int, size: int) -> str:
    """The reason for which an image is left out of which some numbers are no colours."""
    return (
        f"{count:,} of {counted(size, 'number is', 'numbers are')} outside of 0 to 1 or not "
        "finite; clip or scale them, as in jnp.clip(x, 0, 1)"
    )


Media = Mapping[str, Image | Table]
