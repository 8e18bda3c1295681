"""Histograms counted in the program, so that a few integers cross to the host, not the batch."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from jaxlog._program import devices
from jaxlog._program.shapes import Bool, Int32, Num
from jaxlog._program.statistics import accumulator


def histogram(
    values: ArrayLike, edges: tuple[float, ...], where: ArrayLike | None = None
) -> Int32[Array, " {len(edges)+1}"]:
    """Counts the values in each bin. The histogram of two batches is the sum of their histograms.

    Works under `jit`, `vmap` and `scan`; a count has no gradient.

    Args:
      values: an array of any shape of bools, integers or real numbers. NaN is left out.
      edges: the edges of the bins, ascending. A bin includes its lower edge, and the last bin also
        its upper edge, as in `np.histogram`.
      where: `bool`, of the shape of `values`, which values count; None for all.

    Returns:
      `int32[len(edges) + 1]`: the number of values below the first edge, in each bin, and above the
      last edge.

    Raises:
      ValueError: there are fewer than two edges, or they do not increase in the dtype in which the
        values are accumulated.

    >>> histogram(jnp.array([0.0, 1.0, 1.5, 2.0, 9.0]), (0.0, 1.0, 2.0)).tolist()
    [0, 1, 3, 1]
    """
    values = jnp.asarray(values)
    values = values.astype(accumulator(values.dtype))
    bounds = np.asarray(edges, values.dtype)
    if len(bounds) < 2 or not (np.diff(bounds) > 0).all():
        raise ValueError(
            f"edges: got {edges}, expected two or more, ascending, as {values.dtype.name}"
        )
    mask = ~jnp.isnan(values) if where is None else ~jnp.isnan(values) & where

    def count(arrays: tuple[Num[Array, "*batch"], Bool[Array, "*batch"]]) -> Int32[Array, " bins"]:
        values, mask = (array.reshape(-1) for array in arrays)
        bins = jnp.searchsorted(jnp.asarray(bounds), values, side="right").astype(np.int32)
        bins = jnp.where(values == bounds[-1], len(bounds) - 1, bins)  # the last bin has both edges
        counts = jnp.zeros(len(bounds) + 1, np.int32)
        return counts.at[bins].add(mask.astype(np.int32), mode="drop")

    return devices.with_automatic_axes(count)((values, mask))
