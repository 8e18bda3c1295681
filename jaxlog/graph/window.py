"""What was logged since the last line: the summaries of some updates, merged."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
import numpy as np

from jaxlog.graph.summary import Summary, Told


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Window:
    """What some updates had to tell; a pytree to carry through `scan` and to store beside a state.

    With logging off it has no leaves.

    Attributes:
      updates: `int32[]`, how many updates are in it.
      count: `int32[]`, how many episodes; None where only scalars are logged.
      metrics: the summary of each metric, by name.
      name: of the call site it is for.
      told: what is told of each metric, in the order of a line.
    """

    updates: jax.Array | None = None
    count: jax.Array | None = None
    metrics: Mapping[str, Summary] = field(default_factory=dict)
    name: str = field(default="batch", metadata={"static": True})
    told: tuple[tuple[str, Told], ...] = field(default=(), metadata={"static": True})

    def merge(self, other: Window) -> Window:
        """The window of the updates of both."""
        assert self.updates is not None
        assert other.updates is not None
        return dataclasses.replace(
            self,
            updates=self.updates + other.updates,
            count=None if self.count is None or other.count is None else self.count + other.count,
            metrics={key: self.metrics[key].merge(other.metrics[key]) for key in self.metrics},
        )

    def emptied_where(self, emptied: jax.Array) -> Window:
        """The window, with nothing in it where `emptied`, `bool[]`, is True."""

        def start(path: tuple[jax.tree_util.KeyEntry, ...], leaf: jax.Array) -> jax.Array:
            start = _START.get(getattr(path[-1], "name", ""), 0)
            return jnp.where(emptied, np.array(start, leaf.dtype), leaf)

        return jax.tree_util.tree_map_with_path(start, self)


_START = {"min": np.inf, "max": -np.inf}  # the fields that do not start at 0
