"""Warnings that point at the user's own line: that which called jaxlog."""

from __future__ import annotations

import sys
import warnings

from jaxlog._terminal import clean


def warn_caller(text: str, category: type[Warning] = UserWarning) -> None:
    """Warns as if the nearest line that is not jaxlog's did."""
    frame, level = sys._getframe(1), 2
    while (
        frame.f_back is not None
        and str(frame.f_globals.get("__name__")).partition(".")[0] == "jaxlog"
    ):
        frame, level = frame.f_back, level + 1
    warnings.warn(clean(text), category, stacklevel=level)
