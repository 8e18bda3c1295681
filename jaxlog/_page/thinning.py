"""Fewer points of a curve, for a screen: the means and extremes of stretches of points.

The lanes are combined before. Each stretch has the same number of points, a power of two, wherever
they are along the axis: one jump of the axis does not leave a curve of two points. The number
changes only when a curve has become twice as long, so that what is drawn does not flicker.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from jaxlog._analysis.group_curves import GroupCurve


@dataclass(frozen=True)
class ThinCurve:
    """A curve with few points. All arrays have the shape (point,).

    Attributes:
      x: float64, ascending; the mean of the places of a stretch.
      middle: the mean of the middles.
      low: the least middle.
      high: the greatest middle.
      lower: the lower end of the band: the mean, or the least for the band `range`; NaN for none.
      upper: the upper end of the band.
      alive: the least number of lanes alive.
    """

    x: np.ndarray
    middle: np.ndarray
    low: np.ndarray
    high: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    alive: np.ndarray

    def arrays(self) -> list[np.ndarray]:
        """The arrays as an answer has them: x in float64, the others in float32."""
        others = (self.middle, self.low, self.high, self.lower, self.upper, self.alive)
        with np.errstate(over="ignore"):
            return [self.x.astype(np.float64), *(one.astype(np.float32) for one in others)]


def thinned(curve: GroupCurve, points: int, *, extremes: bool = False) -> ThinCurve:
    """Returns a curve with at most `points` points, or all of its points if it has no more.

    Args:
      curve: the curve.
      points: the number, at least 2.
      extremes: True if the ends of the band are extremes, so that the greatest of a stretch counts.
    """
    x = curve.x.astype(np.float64)
    width = 1 << max(0, (len(x) - 1) // points).bit_length()
    if width == 1:
        middle = curve.middle
        return ThinCurve(x, middle, middle, middle, curve.lower, curve.upper, curve.alive_at)
    begins = np.arange(0, len(x), width)
    counts = np.diff(begins, append=len(x))

    def mean(values: np.ndarray) -> np.ndarray:
        # Divided before they are added, so that the largest floats do not overflow.
        return np.add.reduceat(values / np.repeat(counts, counts), begins)

    low, high = (of.reduceat(curve.middle, begins) for of in (np.minimum, np.maximum))
    if extremes:
        lower, upper = np.fmin.reduceat(curve.lower, begins), np.fmax.reduceat(curve.upper, begins)
    else:
        lower, upper = (_mean_of_known(end, begins) for end in (curve.lower, curve.upper))
    alive = np.minimum.reduceat(curve.alive_at, begins)
    middle = np.clip(mean(curve.middle), low, high)
    return ThinCurve(mean(x), middle, low, high, lower, upper, alive)


def _mean_of_known(values: np.ndarray, begins: np.ndarray) -> np.ndarray:
    """The means of the values that are not NaN; NaN where a stretch has none."""
    known = ~np.isnan(values)
    count = np.add.reduceat(known.astype(np.int64), begins)
    share = np.repeat(np.maximum(count, 1), np.diff(begins, append=len(values)))
    total = np.add.reduceat(np.where(known, values, 0.0) / share, begins)
    return np.where(count > 0, total, np.nan)
