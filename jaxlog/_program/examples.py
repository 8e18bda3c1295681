"""Notes what a function passes to `window_step`, so that its window can be made."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxlog._program.array_like import ARRAYS


class Examples:
    """The shapes and dtypes of the arguments of one `window_step`.

    Attributes:
      taken: whether a call passed its arguments.
      metrics: the metrics, with a `jax.ShapeDtypeStruct` for each array.
      where: the mask, likewise.
      values: the values, likewise.
    """

    def __init__(self) -> None:
        self.taken = False
        self.metrics: Any = None
        self.where: Any = None
        self.values: Any = None

    def take(self, metrics: Any, where: Any, values: Any) -> None:
        """Notes the arguments of a call; a loop may be traced, and make the call, several times.

        Raises:
          ValueError: an earlier call had other names.
        """
        noted = jax.tree.map(_abstract, (metrics, where, values))
        before = self.metrics, self.where, self.values
        if self.taken and jax.tree.structure(noted) != jax.tree.structure(before):
            raise ValueError(
                "empty_window: got a function that passes its window to two calls of window_step; "
                "give each call its own window, and make the others first, from examples of their "
                "metrics"
            )
        self.metrics, self.where, self.values = noted
        self.taken = True


def zeros(example: Any) -> Any:
    """Zeros of the shape and dtype of an example; what is not an array is returned as it is."""
    if isinstance(example, jax.ShapeDtypeStruct):
        return jnp.zeros(example.shape, example.dtype)
    return jnp.zeros_like(example) if isinstance(example, ARRAYS) else example


def _abstract(value: Any) -> Any:
    if not isinstance(value, ARRAYS):
        return value
    return jax.ShapeDtypeStruct(np.shape(value), jnp.result_type(value))
