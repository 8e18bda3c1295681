"""Named parts of an array: one metric for each agent, class, level, task or layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from jaxlog._limits import check_name
from jaxlog._text import counted


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Parts:
    """An array with one named part for each index of its last axis; made by `parts`.

    A pytree with one leaf. Under `vmap` the array has the lane axes in front.

    Attributes:
      array: the array `[..., parts]`.
      names: the names of the parts.
    """

    array: Any
    names: tuple[str, ...] = field(metadata={"static": True})


def parts(array: ArrayLike, names: Sequence[str] | str, axis: int = -1) -> Parts:
    """Names the parts of an array along one axis, so that each part is a metric of its own.

    Pass the result as one of the `metrics` or `values` of `batch_step`, `log` or `window_step`. In
    `{"episode_returns": parts(returns, "agent")}` the metrics are `episode_returns/agent_0`,
    `episode_returns/agent_1`, and so on, and their keys `episode_return/agent_0_mean`, ...

    Each part is logged as an array of the remaining axes would be: with `where`, in windows, under
    `vmap`, and in sampled episodes. A setting that names `episode_returns` is about all parts. All
    parts are reduced in one operation.

    It works on traced and concrete arrays under any transformation, and does not change gradients.

    Args:
      array: bools, integers or real numbers, with at least one axis.
      names: the names of the parts in order, or one text that their numbers are added to: `agent`
        stands for `agent_0`, `agent_1`, ...
      axis: the axis of the parts.

    Raises:
      TypeError: a name is not a text, or is empty, or `array` is not an array.
      ValueError: the array has no such axis, the number of names is not the size of the axis, or
        two names are equal.

    >>> import jax.numpy as jnp
    >>> import jaxlog
    >>> logger = jaxlog.Logger({"sinks": [{"kind": "memory"}]})
    >>> returns = jnp.array([[1.0, 10.0], [3.0, 30.0]])  # two episodes of two agents
    >>> with logger.open() as run:
    ...     jaxlog.batch_step(
    ...         logger, 0, {"episode_returns": jaxlog.parts(returns, ["red", "blue"])},
    ...     )
    >>> metrics = run.sink("memory").metrics[0].lanes[0].metrics
    >>> float(metrics["episode_return/red_mean"]), float(metrics["episode_return/blue_mean"])
    (2.0, 20.0)
    """
    if isinstance(array, list | tuple | dict | str) or array is None:
        raise TypeError(
            f"parts: got {type(array).__name__}, expected an array; convert it with jnp.asarray"
        )
    shape = np.shape(array)
    if isinstance(axis, bool) or not isinstance(axis, int) or not -len(shape) <= axis < len(shape):
        raise ValueError(
            f"parts: got axis={axis!r} of an array of shape {shape}, expected one of its axes"
        )
    size = shape[axis]
    if isinstance(names, str):
        check_name("parts", names)
        names = [f"{names}_{i}" for i in range(size)]
    own = tuple(names)
    for name in own:
        check_name("parts", name)
    if len(own) != size:
        raise ValueError(
            f"parts: got {counted(len(own), 'name')} for "
            f"{counted(size, 'part')}, the size of axis {axis} of an array of shape "
            f"{shape}; give one name for each, or another axis="
        )
    for name in own:
        if own.count(name) > 1:
            raise ValueError(f"parts: got the name {name!r} twice; give each part its own")
    return Parts(jnp.moveaxis(jnp.asarray(array), axis, -1), own)


@dataclass(frozen=True)
class Origin:
    """The array that the values of a metric come from.

    Attributes:
      name: the name of the array among the arguments of a call.
      part: the index along its last axis; None for the whole array.
    """

    name: str
    part: int | None = None

    def take(self, array: Array) -> Array:
        """Takes the part from the array."""
        return array if self.part is None else array[..., self.part]


def origins(names: Sequence[str], named: dict[str, tuple[str, ...]]) -> dict[str, Origin]:
    """The metrics of some arrays, each with its origin.

    Args:
      names: the names of the arrays, in order.
      named: the names of the parts, of each array that has parts.
    """
    found: dict[str, Origin] = {}
    for name in names:
        if name not in named:
            found[name] = Origin(name)
        for part, own in enumerate(named.get(name, ())):
            found[f"{name}/{own}"] = Origin(name, part)
    return found
