"""The types of the options of `jaxlog.compare`."""

from __future__ import annotations

from typing import Literal

At = Literal["last"] | int | tuple[int, int]
Diverged = Literal["worst", "leave_out", "keep_last"]
Unfinished = Literal["leave_out", "common_step", "keep_last"]
