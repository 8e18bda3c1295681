"""Warnings that point to the line of the user that called jaxlog."""

from __future__ import annotations

import sys
import warnings

from jaxlog._terminal import clean


def warn_caller(text: str, category: type[Warning] = UserWarning) -> None:
    """Warns with the location of the nearest caller outside of jaxlog."""
    frame, level = sys._getframe(1), 2
    while (
        frame.f_back is not None
        and str(frame.f_globals.get("__name__")).partition(".")[0] == "jaxlog"
    ):
        frame, level = frame.f_back, level + 1
    warnings.warn(clean(text), category, stacklevel=level)
