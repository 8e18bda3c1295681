"""Writes the title and the times of a horizontal axis, with matplotlib."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from matplotlib.dates import DateFormatter, num2date
from matplotlib.ticker import MultipleLocator

from jaxlog._analysis.along import DAY, Along
from jaxlog._analysis.publishing import axis_label

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_TICKS = 4
"""The most times that are written below an axis, roughly: they are long texts."""
_APART = (
    *(1.0, 2.0, 5.0, 10.0, 15.0, 30.0),
    *(60.0 * minutes for minutes in (1, 2, 5, 10, 15, 30)),
    *(3600.0 * hours for hours in (1, 2, 3, 6, 12)),
    *(DAY * days for days in (1, 2, 7, 14, 28, 91)),
)
"""The seconds that they may be apart."""


def title_of(along: Along, names: Mapping[Any, str], ax: Axes) -> str:
    """The title of a horizontal axis, which may be renamed, with its unit or date."""
    if along.kind == "time":
        return f"{axis_label(along.title, names)} (UTC, {ax.get_xlabel()})"
    bare = bare_title(along)
    return axis_label(bare, names) + along.title.removeprefix(bare)


def bare_title(along: Along) -> str:
    """The title by which a horizontal axis is renamed: without its unit."""
    return along.title.partition(" (")[0]


def show_times(ax: Axes) -> str:
    """Writes times of day below an axis in days since 1970, or dates for more than two days.

    Returns:
      What these texts lack: the date, or the year.
    """
    first, last = ax.get_xlim()
    begins, ends = (num2date(day) for day in (first, last))
    if last - first > 2:
        form, days = "%m-%d", [f"{one:%Y}" for one in (begins, ends)]
    else:
        form = "%H:%M:%S" if last - first < 10 / 1440 else "%H:%M"
        days = [f"{one:%Y-%m-%d}" for one in (begins, ends)]
    wanted = (last - first) * DAY / _TICKS
    apart = next((one for one in _APART if one >= wanted), DAY * math.ceil(wanted / DAY))
    ax.xaxis.set_major_locator(MultipleLocator(apart / DAY))
    ax.xaxis.set_major_formatter(DateFormatter(form))
    return " to ".join(dict.fromkeys(days))
