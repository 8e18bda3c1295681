"""Finds the state of an environment in a recorded step, and builds it with its own classes."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxlog._program.leaves import leaf_name, leaf_path


class NoSuchStateError(ValueError):
    """A step has no state of this environment. The text has what is missing."""


def rebuilt(step: Any, example: Any, unseen: tuple[str, ...] = ()) -> Any:
    """Builds the state that a recorded step has, at its root or below.

    Args:
      step: the tree of one step: dicts and lists with NumPy arrays as leaves.
      example: a state of the same environment, or its shapes, as `jax.eval_shape` returns them.
      unseen: the names of parts of the state, such as a PRNG key, that no picture depends on. They
        may be missing, and are then zeros.

    Returns:
      A pytree of the structure of `example`, with the recorded arrays as leaves.

    Raises:
      NoSuchStateError: no node of the step has all leaves of the example, with these shapes.
    """
    leaves, structure = jax.tree_util.tree_flatten_with_path(example)
    closest: list[str] | None = None
    for node in _nodes(step):
        problems = []
        found = []
        for path, leaf in leaves:
            keys = leaf_path(path)
            value = _at(node, keys)
            if value is None and keys[0] in unseen:
                value = np.zeros(_shape(leaf), np.uint32 if _is_key(leaf) else leaf.dtype)
            if value is None:
                problems.append(f"{leaf_name(path, 'the state')} is missing")
            elif np.shape(value) != _shape(leaf):
                problems.append(
                    f"{leaf_name(path, 'the state')} has shape {list(np.shape(value))}, not "
                    f"{list(_shape(leaf))}"
                )
            found.append(value)
        if not problems:
            made = [_as(leaf, value) for (_, leaf), value in zip(leaves, found, strict=True)]
            return structure.unflatten(made)
        if closest is None or len(problems) < len(closest):
            closest = problems
    assert closest is not None
    more = f", and {len(closest) - 3} more" if len(closest) > 3 else ""
    raise NoSuchStateError(f"got a step without this state: {', '.join(closest[:3])}{more}")


def _nodes(tree: Any) -> Any:
    """All nodes of a tree, those near its root first."""
    waiting = deque([tree])
    while waiting:
        node = waiting.popleft()
        yield node
        if isinstance(node, Mapping):
            waiting.extend(node.values())
        elif isinstance(node, list):
            waiting.extend(node)


def _at(node: Any, path: tuple[str | int, ...]) -> Any:
    for key in path:
        if isinstance(node, Mapping):
            node = node.get(key)
        elif isinstance(node, list) and isinstance(key, int) and key < len(node):
            node = node[key]
        else:
            return None
    return None if isinstance(node, Mapping | list) else node


def _is_key(leaf: Any) -> bool:
    return jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _shape(leaf: Any) -> tuple[int, ...]:
    """The shape of a leaf as it is recorded: of PRNG keys that of their data."""
    return jax.eval_shape(jax.random.key_data, leaf).shape if _is_key(leaf) else leaf.shape


def _as(leaf: Any, value: Any) -> Any:
    return jax.random.wrap_key_data(jnp.asarray(value)) if _is_key(leaf) else value
