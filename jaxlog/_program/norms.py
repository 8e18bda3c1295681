"""Norms of a pytree of gradients or parameters, by the names of its leaves or modules."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jaxlog._program.shapes import Float
from jaxlog._program.statistics import accumulator


def norms(tree: Any, depth: int | None = 1) -> dict[str, jax.Array]:
    """Computes Euclidean norms of a pytree, such as gradients: one per module, or one per leaf.

    The squares are summed in float32, or in float64 for 64 bits, and are scaled by the largest
    absolute value, so that gradients of float16 do not overflow. If a value is infinite or NaN, so
    is the norm. Pass the result as one of the `metrics` or `values` of a call:
    `{"gradient_norm": jaxlog.norms(gradients)}` logs `gradient_norm/Dense_0`, ...

    Works under `jit`, `vmap` and `scan`, and is differentiable except at zero, where the gradient
    is 0.

    Args:
      tree: a pytree of arrays, such as the parameters of flax, haiku or optax, or a module of
        equinox. Leaves that are not floating-point arrays are skipped.
      depth: how many segments of the path of a leaf name its group: 1 for one norm per top-level
        module, None for one per leaf, 0 for one of the whole tree, named `all`. A `params` level
        that has everything else in it does not count.

    Returns:
      The norms by path, joined by slashes: `float32[]`, or `float64[]` for 64 bits.

    Raises:
      ValueError: `depth` is negative, or the tree has no floating-point array.

    >>> import jax.numpy as jnp
    >>> gradients = {"params": {"Dense_0": {"kernel": jnp.array([3.0]), "bias": jnp.array([4.0])}}}
    >>> {name: float(norm) for name, norm in norms(gradients).items()}
    {'Dense_0': 5.0}
    >>> sorted(norms(gradients, depth=None))
    ['Dense_0/bias', 'Dense_0/kernel']
    """
    if depth is not None and (isinstance(depth, bool) or not isinstance(depth, int) or depth < 0):
        raise ValueError(f"norms: got depth={depth!r}, expected 0 or more, or None for each leaf")
    leaves: list[tuple[tuple[str, ...], jax.Array]] = []
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        array: Any = leaf
        if not isinstance(array, jax.Array) and hasattr(array, "__jax_array__"):
            array = array.__jax_array__()
        if isinstance(array, jax.Array | np.ndarray) and jnp.issubdtype(array.dtype, np.floating):
            leaves.append((tuple(map(_segment, path)), jnp.asarray(array)))
    if not leaves:
        raise ValueError("norms: got a tree without floating-point arrays; give the gradients")
    skipped = 1 if all(path[:1] == ("params",) and path[1:] for path, _ in leaves) else 0
    groups: dict[str, list[jax.Array]] = {}
    for path, array in leaves:
        named = path[skipped:] if depth is None else path[skipped:][:depth]
        groups.setdefault("/".join(named) or "all", []).append(array)
    return {name: _norm(arrays) for name, arrays in groups.items()}


def _segment(key: Any) -> str:
    return jax.tree_util.keystr((key,), simple=True)


def _norm(arrays: list[jax.Array]) -> Float[Array, ""]:
    wide = [array.astype(accumulator(array.dtype)) for array in arrays]
    dtype = max((array.dtype for array in wide), key=lambda dtype: dtype.itemsize)
    largest = jnp.zeros((), dtype)
    for array in wide:
        largest = jnp.maximum(largest, jnp.max(jnp.abs(array), initial=0).astype(dtype))
    usable = (largest > 0) & jnp.isfinite(largest)
    scale = jax.lax.stop_gradient(jnp.where(usable, largest, 1))
    total = jnp.zeros((), dtype)
    for array in wide:
        total += jnp.sum(jnp.square(array / scale.astype(array.dtype))).astype(dtype)
    positive = total > 0
    root = jnp.where(positive, jnp.sqrt(jnp.where(positive, total, 1)), total)
    return root * scale
