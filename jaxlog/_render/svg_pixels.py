"""Draws SVG texts as pixels, with resvg."""

from __future__ import annotations

import functools
import importlib.util
import io
from pathlib import Path
from typing import Any

import numpy as np

WIDTH = 512
"""The width of the pixels; the height follows."""
_FILES = ("DejaVuSans", "DejaVuSans-Bold", "DejaVuSerif", "DejaVuSerif-Bold", "DejaVuSansMono")


def pixels_of_svg(svg: str) -> np.ndarray:
    """The pixels of an SVG on white, uint8 `[height, 512, 3]`.

    Raises:
      ValueError: the text is no SVG, or it has no size.
      ModuleNotFoundError: resvg or Pillow is not installed.
    """
    import resvg_py
    from PIL import Image

    # Reading fonts takes longer than drawing.
    fonts: dict[str, Any] = _fonts() if "<text" in svg else {"skip_system_fonts": True}
    # By default, sizes in points, as matplotlib writes them, are 0: findings/resvg_py_points.sh.
    try:
        data = resvg_py.svg_to_bytes(
            svg_string=svg, width=WIDTH, background="white", dpi=96, **fonts
        )
    except ValueError as error:
        raise ValueError(f"got a text that is no SVG: {error}") from None
    with Image.open(io.BytesIO(bytes(data))) as image:
        return np.asarray(image.convert("RGB"))


@functools.cache
def _fonts() -> dict[str, Any]:
    """The fonts of matplotlib if it is there: without a font, resvg leaves texts out."""
    found = importlib.util.find_spec("matplotlib")
    if found is None or found.origin is None:
        return {}
    folder = Path(found.origin).parent / "mpl-data" / "fonts" / "ttf"
    return {
        "skip_system_fonts": True,
        "font_files": [str(folder / f"{name}.ttf") for name in _FILES],
        "font_family": "DejaVu Sans",
        "sans_serif_family": "DejaVu Sans",
        "serif_family": "DejaVu Serif",
        "monospace_family": "DejaVu Sans Mono",
    }
