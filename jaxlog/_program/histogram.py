"""A histogram of a batch, counted in the program: a few integers cross, not the batch."""

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
    """How many values lie between edges. Those of two batches are the sum of their histograms.

    Works under `jit`, `vmap` and `scan`; a count has no gradient.

    Args:
      values: any shape; bool, integers or real numbers. NaN is left out.
      edges: ascending. A bin holds its lower edge, the last bin its upper edge too, as in
        `np.histogram`.
      where: `bool`, of the shape of `values`; those that count. All, if None.

    Returns:
      `int32[len(edges) + 1]`: how many are below the first edge, how many in each bin, how many
      above the last edge.

    Raises:
      ValueError: there are fewer than two edges, or they do not increase, in the dtype of the
        values.

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

    def count(given: tuple[Num[Array, "*batch"], Bool[Array, "*batch"]]) -> Int32[Array, " bins"]:
        values, mask = (array.reshape(-1) for array in given)
        bins = jnp.searchsorted(jnp.asarray(bounds), values, side="right").astype(np.int32)
        bins = jnp.where(values == bounds[-1], len(bounds) - 1, bins)  # the last holds its end
        counts = jnp.zeros(len(bounds) + 1, np.int32)
        return counts.at[bins].add(mask.astype(np.int32), mode="drop")

    return devices.with_automatic_axes(count)((values, mask))
