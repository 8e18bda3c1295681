"""Collective operations for a batch that is divided among devices.

Under `shard_map` and `pmap` each device runs the program for its own share of the batch.
`axis_name` names the axes that divide it; over these, statistics are merged, the sampled episodes
are selected from the whole batch, and one device sends the record. A named axis of `vmap` works the
same way.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.core import Tracer
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from jaxlog._program.shapes import Bool, Shaped, UInt32

Axes = tuple[str, ...]
Tree = TypeVar("Tree")
Result = TypeVar("Result")


def size(axes: Axes) -> int:
    """The number of shares along some named axes."""
    return math.prod(lax.axis_size(axis) for axis in axes)


def one_cpu() -> bool:
    """True if the only device is one CPU, and the program is not under `shard_map`.

    No array is divided then, and `vmap` may name axes, which JAX refuses where it tracks along
    which axes an array varies.
    """
    alone = jax.default_backend() == "cpu" and jax.device_count() == 1
    return alone and not jax.sharding.get_abstract_mesh().manual_axes


def varying(axes: Axes, tree: Any) -> Axes:
    """The axes along which some array of a pytree may differ.

    `shard_map` tracks this unless it has `check_vma=False`. Where nothing tracks it, these are all
    axes.
    """
    found: set[str] = set()
    for leaf in jax.tree.leaves(tree):
        found |= _varying(leaf)
    return tuple(axis for axis in axes if axis in found or not _varying(lax.axis_index(axis)))


def tracked() -> bool:
    """True under a `shard_map` that tracks along which axes an array varies."""
    found: list[bool] = []

    def look() -> None:  # traced separately, so that it adds nothing to the program
        for axis in jax.sharding.get_abstract_mesh().manual_axes:
            found.append(bool(_varying(lax.axis_index(axis))))

    jax.eval_shape(look)
    return any(found)


def _varying(array: Any) -> frozenset[str]:
    kind: Any = jax.typeof(array)
    # JAX 0.9 calls it `vma`, JAX 0.10 and later `mat.varying`.
    return kind.vma if hasattr(kind, "vma") else kind.mat.varying


def index(axes: Axes) -> UInt32[Array, ""]:
    """`uint32[]`: the number of this share."""
    return lax.axis_index(axes).astype(np.uint32)


def is_first(axes: Axes) -> Bool[Array, ""]:
    """`bool[]`: whether this is the first share along all axes."""
    return index(axes) == 0


def of_first(axes: Axes, tree: Tree) -> Tree:
    """Gives every share the first share's arrays; costs one `psum` for each that may differ."""

    def first(array: Any) -> Any:
        differs = varying(axes, array)
        if not differs:
            return array
        number = array.astype(np.int32) if array.dtype == np.bool_ else array
        # All other shares are zero, so the sum is that one, bit for bit (but -0 becomes 0).
        mine = jnp.where(is_first(differs), number, jnp.zeros_like(number))
        return lax.psum(mine, differs).astype(array.dtype)

    return jax.tree.map(first, tree)


def mean(axes: Axes, array: Shaped[Array, ""]) -> Shaped[Array, ""]:
    """The mean of a scalar over all shares, in floating point; an equal scalar is not changed."""
    differs = varying(axes, array)
    if not differs:
        return array
    if not jnp.issubdtype(array.dtype, np.floating):
        array = array.astype(np.float32)
    return lax.pmean(array, differs)


def with_automatic_axes(function: Callable[[Tree], Result]) -> Callable[[Tree], Result]:
    """Wraps a function so that JAX chooses the shardings inside of it, even on explicit mesh axes.

    Its results are replicated on all devices.
    """

    def automatic(tree: Tree) -> Result:
        mesh, enter = _mesh_of(tree)
        explicit = tuple(
            name
            for name, kind in zip(mesh.axis_names, mesh.axis_types, strict=True)
            if kind == AxisType.Explicit
        )
        if not explicit:
            return function(tree)
        inside: Any = jax.sharding.auto_axes(function, axes=explicit, out_sharding=PartitionSpec())
        with enter(mesh):
            return inside(tree)

    return automatic


def _mesh_of(tree: Any) -> tuple[Any, Callable[[Any], contextlib.AbstractContextManager[Any]]]:
    """The mesh of `jax.set_mesh`, else that of the arrays; and the context that enters it."""
    mesh: Any = jax.sharding.get_abstract_mesh()
    leaves = [leaf for leaf in jax.tree.leaves(tree) if isinstance(leaf, jax.Array)]
    if not mesh.empty or not leaves:
        return mesh, contextlib.nullcontext
    traced = any(isinstance(leaf, Tracer) for leaf in leaves)
    for leaf in leaves:
        kind: Any = jax.typeof(leaf)
        if traced and not kind.sharding.mesh.empty:
            return kind.sharding.mesh, jax.sharding.use_abstract_mesh
        if not traced and isinstance(leaf.sharding, NamedSharding):
            return leaf.sharding.mesh, jax.set_mesh
    return mesh, contextlib.nullcontext


def together(tree: Tree) -> Tree:
    """Moves arrays that are on different devices to those of the largest one.

    A compiled function refuses arrays on different devices, but training must not stop because a
    step is counted on another device than the batch. Traced arrays are returned as they are.
    """
    leaves = [leaf for leaf in jax.tree.leaves(tree) if isinstance(leaf, jax.Array)]
    if any(isinstance(leaf, Tracer) for leaf in leaves):
        return tree
    placed = [leaf for leaf in leaves if leaf.committed]
    if len({frozenset(leaf.sharding.device_set) for leaf in placed}) < 2:
        return tree
    largest: Any = max(placed, key=lambda leaf: leaf.size).sharding
    if isinstance(largest, NamedSharding):
        there: Any = NamedSharding(largest.mesh, PartitionSpec())
    else:
        there = jax.sharding.SingleDeviceSharding(min(largest.device_set, key=lambda d: d.id))

    def brought(leaf: Any) -> Any:
        moves = isinstance(leaf, jax.Array) and leaf.committed
        moves = moves and leaf.sharding.device_set != there.device_set
        return jax.device_put(leaf, there) if moves else leaf

    return jax.tree.map(brought, tree)


def only_first(due: UInt32[Array, ""]) -> UInt32[Array, ""]:
    """Keeps `due` on the first device and zeroes it on the others, so that one device sends."""
    axes = jax.sharding.get_abstract_mesh().manual_axes
    return jnp.where(is_first(axes), due, jnp.zeros_like(due)) if axes else due
