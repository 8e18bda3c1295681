"""The leaves of pytrees and mappings, and their names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax

from jaxlog._format.events import KeyData
from jaxlog._format.media import Image
from jaxlog._limits import add_named, check_depth, flat
from jaxlog._program.array_like import described, is_array, is_prng_key
from jaxlog._program.parts import Parts


def leaves(argument: str, values: Any) -> dict[str, Any]:
    """The leaves of a mapping by path, joined by slashes; mappings keep their order."""
    found: dict[str, Any] = {}
    for key, value in flat(argument, values, described(values)).items():
        inner = {key: value}
        if not (_is_leaf(value) or _is_numbers(value)):
            check_depth(f"{argument}[{key!r}]", value)
            try:
                nodes = jax.tree_util.tree_leaves_with_path(value, is_leaf=_is_leaf)
            except ValueError as error:
                path = f"{argument}[{key!r}]"
                raise TypeError(f"{path}: is not a pytree: {error}; use texts as keys") from None
            inner = {f"{key}/{_joined(path)}" if path else key: leaf for path, leaf in nodes}
        add_named(argument, found, inner)
    return found


def _is_leaf(value: Any) -> bool:
    return value is None or is_array(value) or isinstance(value, Parts | Image)


def _is_numbers(value: Any) -> bool:
    """True for a list or tuple of Python numbers, which might be meant as one array."""
    plain = isinstance(value, list | tuple)
    return plain and all(isinstance(entry, bool | int | float) for entry in value)


def _joined(path: Any) -> str:
    return jax.tree_util.keystr(path, simple=True, separator="/")


def leaf_name(path: Any, whole: str = "details") -> str:
    """The name of a leaf: its path, joined by dots; `whole` for the leaf that is the whole tree."""
    return jax.tree_util.keystr(path, simple=True, separator=".") or whole


def leaf_path(path: Any) -> tuple[str | int, ...]:
    """The keys, indices and attributes that lead to a leaf of a pytree."""
    kinds = (("idx", int), ("key", str), ("name", str))
    return tuple(
        next((kind(getattr(key, name)) for name, kind in kinds if hasattr(key, name)), str(key))
        for key in path
    )


def rebuild(tree: Any) -> Callable[[Mapping[str, Any]], Any] | None:
    """Returns a function that rebuilds `tree` from leaves by path; None if it has no leaves."""
    paths, structure = jax.tree_util.tree_flatten_with_path(tree)
    names = {leaf_name(path): is_prng_key(leaf) for path, leaf in paths}

    def rebuilt(leaves: Mapping[str, Any]) -> Any:
        return structure.unflatten(
            leaves[name].view(KeyData) if is_key else leaves[name] for name, is_key in names.items()
        )

    return rebuilt if names else None
