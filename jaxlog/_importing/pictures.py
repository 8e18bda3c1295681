"""Decodes the images of other trackers."""

from __future__ import annotations

import io
import warnings

import numpy as np

from jaxlog._format.media import MOST_PIXELS, Image

_MODES = {"1": "L", "L": "L", "RGB": "RGB", "CMYK": "RGB", "YCbCr": "RGB"}
"""The modes of Pillow whose images have no transparency, and those they are converted to."""


def decoded_image(data: bytes, caption: str | None) -> Image | str:
    """Decodes an image file.

    Returns:
      The image; a text if it cannot be taken, which says what it is.
    """
    try:
        from PIL import Image as Pillow
    except ImportError:
        return "images, for which Pillow is missing: pip install 'jaxlog[import]'"
    try:
        with warnings.catch_warnings(), Pillow.open(io.BytesIO(data)) as image:
            warnings.simplefilter("ignore")  # of Pillow, about images that are large
            if getattr(image, "n_frames", 1) > 1:
                return "films"
            width, height = image.size
            if width * height > MOST_PIXELS:
                return f"images of more than {MOST_PIXELS:,} pixels"
            if image.mode.startswith(("I", "F")):
                return "images of more than 8 bits a channel"
            return Image(np.asarray(image.convert(_MODES.get(image.mode, "RGBA"))), caption)
    except Exception:  # whatever Pillow raises for a file that is damaged or of another kind
        return "images that cannot be decoded"
