"""Writes frames as a film: GIF and WebP with Pillow, MP4 with PyAV."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import BinaryIO, Literal

import numpy as np

from jaxlog._render.image import in_rgb

Kind = Literal["gif", "mp4", "webp"]

LEAST_SIDE = 256
"""The pixels of the longer side of a frame, at least: each pixel of a smaller one is a square."""
MOST_SIDE = 16_383
"""The most pixels of a side: what WebP takes; H.264 takes one more."""
_ENCODER = "libx264"
_QUALITY = "18"
"""The factor of H.264: of 0, which loses nothing, to 51. Few see what 18 loses."""


class FilmError(ValueError):
    """Frames cannot be written as a film. The text has what is expected."""


class CodecError(FilmError):
    """The library that writes a format is installed, but not with the codec."""


def check_writer(kind: Kind) -> None:
    """Checks that the library that writes a format is installed, with its codec.

    Raises:
      ModuleNotFoundError: the library is not installed.
      CodecError: it was built without the codec.
    """
    if kind == "mp4":
        package, codec, there = "av", f"H.264 ({_ENCODER})", _has_encoder()
    else:
        from PIL import features

        package, codec, there = "pillow", "WebP", kind == "gif" or features.check("webp")
    if not there:
        raise CodecError(
            f"{kind}: got a build of {package} without {codec}, expected that of PyPI, which has "
            f"it: pip install --force-reinstall --only-binary :all: {package}"
        )


def _has_encoder() -> bool:
    import av

    try:
        av.Codec(_ENCODER, "w")
    except ValueError:  # av.codec.codec.UnknownCodecError
        return False
    return True


def write_film(
    file: BinaryIO, frames: Iterable[np.ndarray], kind: Kind, frames_per_second: float
) -> tuple[int, int]:
    """Writes a film, which loops where the format has that.

    Args:
      file: where it is written.
      frames: uint8 `[height, width, channels]` with 1, 3 or 4 channels, all of one shape.
      kind: the format.
      frames_per_second: how many are shown in a second. A GIF has hundredths of seconds, so that
        it is rounded to 100 by a whole number.

    Returns:
      The height and the width of the film, in pixels.

    Raises:
      FilmError: there is no frame, or they differ in shape, are no images or are too large; or
        the codec is missing.
      ModuleNotFoundError: the library that writes the format is not installed.
    """
    check_writer(kind)
    pictures = _checked(frames)
    if kind == "mp4":
        return _write_video(file, pictures, frames_per_second)
    return _write_pictures(file, pictures, kind, frames_per_second)


def _checked(frames: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """Yields frames with three channels, as large as `LEAST_SIDE` says and of even sides."""
    shape: tuple[int, ...] | None = None
    for number, frame in enumerate(frames):
        pixels = np.asarray(frame)
        if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] not in (1, 3, 4):
            raise FilmError(
                f"frame {number}: got {pixels.dtype} of shape {list(pixels.shape)}, expected uint8 "
                "of shape [height, width, channels] with 1, 3 or 4 channels"
            )
        if not pixels.size:
            raise FilmError(f"frame {number}: got shape {list(pixels.shape)}, which has no pixels")
        shape = shape or pixels.shape
        if pixels.shape != shape:
            raise FilmError(
                f"frame {number}: got shape {list(pixels.shape)}, expected that of frame 0, "
                f"{list(shape)}"
            )
        if max(pixels.shape) > MOST_SIDE:
            raise FilmError(
                f"frame {number}: got {pixels.shape[0]:,} by {pixels.shape[1]:,} pixels, expected "
                f"at most {MOST_SIDE:,} a side; draw smaller frames"
            )
        times = max(1, -(-LEAST_SIDE // max(pixels.shape[:2])))
        pixels = in_rgb(pixels).repeat(times, axis=0).repeat(times, axis=1)
        height, width = pixels.shape[:2]  # H.264 takes even ones
        yield np.pad(pixels, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    if shape is None:
        raise FilmError("got no frame, expected one at least")


def _write_pictures(
    file: BinaryIO, frames: Iterator[np.ndarray], kind: Literal["gif", "webp"], speed: float
) -> tuple[int, int]:
    from PIL import Image

    first, *others = (Image.fromarray(pixels) for pixels in frames)
    milliseconds = (
        max(20, 10 * round(100 / speed)) if kind == "gif" else max(1, round(1000 / speed))
    )
    options = {"lossless": True} if kind == "webp" else {}
    first.save(
        file,
        format=kind.upper(),
        save_all=True,
        append_images=others,
        duration=milliseconds,
        loop=0,
        **options,
    )
    return first.height, first.width


def _write_video(file: BinaryIO, frames: Iterator[np.ndarray], speed: float) -> tuple[int, int]:
    import av

    first = next(frames)
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream(_ENCODER, rate=Fraction(speed).limit_denominator(1000))
        stream.height, stream.width = first.shape[:2]
        stream.pix_fmt = "yuv420p"  # which every player takes
        stream.options = {"crf": _QUALITY}
        for pixels in (first, *frames):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())
    height, width = first.shape[:2]
    return height, width
