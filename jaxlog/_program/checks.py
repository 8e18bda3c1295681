"""Checks of the arguments of a call, made while the program is traced.

Every error says what was got, what was expected and what to do. The checks add nothing to the
program.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jaxlog._crossing import packing
from jaxlog._format.media import Image, check_image_shape
from jaxlog._format.names import KNOWN, look_up
from jaxlog._limits import check_array_bytes, check_depth, check_name
from jaxlog._program import devices
from jaxlog._program.array_like import array_of, described, fitting, is_array, is_real, remedy_for
from jaxlog._program.leaves import leaf_name, leaves
from jaxlog._program.parts import Parts
from jaxlog._text import counted

Shape = tuple[int, ...]


def axes(axis_name: Any, call: str, *, live: bool) -> tuple[str, ...]:
    """Checks `axis_name`; returns the named axes that divide the batch."""
    names = (axis_name,) if isinstance(axis_name, str) else axis_name
    if axis_name is None:
        names = ()
    elif not isinstance(names, tuple | list) or not all(isinstance(n, str) for n in names):
        raise TypeError(f"axis_name: got {axis_name!r}, expected the name of an axis, or several")
    for name in names:
        try:
            jax.lax.axis_size(name)
        except NameError:
            raise ValueError(
                f"axis_name: got {name!r}, which no shard_map, pmap or vmap around this call has; "
                "give them an axis of this name, or leave it out"
            ) from None
    mesh = jax.sharding.get_abstract_mesh()
    of_vmap = [name for name in names if name not in mesh.manual_axes]
    if of_vmap and devices.tracked():
        raise ValueError(
            f"axis_name: got {of_vmap[0]!r}, the axis of a vmap, under a shard_map that checks "
            "what varies over its devices, where JAX has no collectives over both; give that "
            "shard_map check_vma=False"
        )
    missing = [axis for axis in mesh.manual_axes if axis not in names]
    if missing:
        raise ValueError(
            f"{call}: is under shard_map or pmap over {', '.join(map(str, missing))}, "
            "where every device would write its own lines; pass all of these axes, as in "
            "axis_name='devices' (for pmap too), to log the whole batch once; or call it "
            "outside, on the results"
        )
    if live and mesh.manual_axes and len(mesh.manual_axes) < len(mesh.axis_names):
        raise ValueError(
            f"{call}: is under a shard_map over only {', '.join(mesh.manual_axes)} of the "
            f"mesh's axes {', '.join(mesh.axis_names)}, where JAX allows no callback; pass all "
            "axes to shard_map(axis_names=...), call it outside, or set `delivery: return`"
        )
    return tuple(dict.fromkeys(names))


def step(value: Any) -> ArrayLike:
    """Checks `step`: an integer scalar."""
    expected = "expected an integer scalar, the index of the update"
    if isinstance(value, bool) or not is_array(value):
        raise TypeError(f"step: got {described(value)}, {expected}")
    value = array_of(value)
    if np.shape(value):
        raise TypeError(
            f"step: got {described(value)}, {expected}; under vmap each lane passes its own, and a "
            "scan passes its counter"
        )
    if not jnp.issubdtype(jnp.result_type(value), np.integer):
        raise TypeError(
            f"step: got {described(value)}, {expected}; count updates with "
            "jnp.arange(num_updates), or cast it with .astype(jnp.int32)"
        )
    known = isinstance(value, int | np.ndarray | np.generic)
    if known and not 0 <= int(value) < 2**63:
        raise ValueError(
            f"step: got {int(value)}, expected 0 to 2**63 - 1, the index of the update"
        )
    return fitting("step", value, "switch on jax_enable_x64")


def condition(value: Any) -> ArrayLike | None:
    """Checks `when`: one bool. Returns None for a Python True, which needs no condition."""
    if value is True:
        return None
    one = is_array(value) and not np.shape(array_of(value))
    if not one or jnp.result_type(array_of(value)) != np.bool_:
        raise TypeError(f"when: got {described(value)}, expected one bool, like `loss < 1`")
    return array_of(value)


def mask(value: Any) -> ArrayLike | None:
    """Checks `where`: bool of the batch's shape, or None for all entries."""
    if value is None:
        return None
    if not is_array(value) or jnp.result_type(array_of(value)) != np.bool_:
        raise TypeError(
            f"where: got {described(value)}, expected bool of the batch's shape, like `done > 0`"
        )
    if not np.shape(array_of(value)):
        raise ValueError(
            f"where: got {described(value)}, expected the batch's shape, with at least one axis; "
            "to skip a whole step, use when="
        )
    return array_of(value)


Named = tuple[dict[str, ArrayLike], dict[str, tuple[str, ...]]]
"""Arrays by name, and the names of the parts of those that have parts."""


def metrics(values: Any, argument: str = "metrics") -> Named:
    """Checks `metrics` or `values`: arrays of real numbers or bools, by name."""
    checked, parts = _named(argument, values)
    for key, value in checked.items():
        known = look_up(key)
        path = f"{argument}[{key!r}]"
        if known.rate and jnp.result_type(value) != np.bool_:
            raise TypeError(
                f"{path}: got {described(value)}, expected bool; compare with something, "
                "like `returns > 200`"
            )
        one_number = argument == "metrics" and key.rpartition("/")[2] in KNOWN
        one_number = one_number and known.category == "training"
        if one_number and np.ndim(value) > (key in parts):
            raise ValueError(
                f"{path}: got {described(value)}, expected a scalar; values over epochs and "
                "minibatches go into values=, or log one number, like .mean()"
            )
        if argument == "values" and 0 in np.shape(value):
            raise ValueError(
                f"{path}: got {described(value)}, expected an array with at least one entry"
            )
    return checked, parts


def metrics_and_values(metrics_given: Any, values_given: Any) -> dict[str, Any]:
    """Checks `metrics` and `values`; returns the fields of `Inputs` that have them."""
    of_metrics, parts = metrics({} if metrics_given is None else metrics_given)
    whole, parts_of_whole = metrics({} if values_given is None else values_given, "values")
    for key in whole:
        if key in of_metrics:
            raise ValueError(f"values: got {key!r}, which is in metrics too; rename one of them")
    return {
        "metrics": of_metrics | whole,
        "values": tuple(whole),
        "parts": tuple((parts | parts_of_whole).items()),
    }


def labels(values: Any) -> dict[str, ArrayLike]:
    """Checks `labels`: scalars by name."""
    checked, _ = _named("labels", {} if values is None else values)
    for key, value in checked.items():
        if np.shape(value):
            raise ValueError(
                f"labels[{key!r}]: got {described(value)}, expected a scalar; a lane has one value "
                "for each label, and vmap makes the lanes"
            )
    return checked


def arrays(values: Any) -> dict[str, ArrayLike]:
    """Checks `arrays`: arrays of bools, integers or real numbers, of any shape, by name."""
    checked, parts = _named("arrays", {} if values is None else values)
    for key in parts:
        raise TypeError(
            f"arrays[{key!r}]: got named parts, expected an array, which is logged whole; pass it "
            "in values= for statistics of each part"
        )
    return checked


def images(argument: str, values: Any) -> tuple[Any, dict[str, ArrayLike], dict[str, str | None]]:
    """Takes the images out of `metrics` or `values`.

    Args:
      argument: the name of the argument, for errors.
      values: what the user passed.

    Returns:
      The other values, the arrays of the images by name, and their captions.
    """
    if not isinstance(values, Mapping):
        return values, {}, {}
    flat_values = leaves(argument, values)
    found = {key: value for key, value in flat_values.items() if isinstance(value, Image)}
    if not found:
        return values, {}, {}
    arrays: dict[str, ArrayLike] = {}
    for key, image in found.items():
        path, array = f"{argument}[{key!r}]", image.array
        _refuse_traced_name(argument, key)
        if not is_array(array) or isinstance(array, bool | int | float):
            raise TypeError(
                f"{path}: got an image of {described(array)}, expected an array; a figure, or an "
                "image of Pillow, is logged from plain Python: run.log({'name': figure})"
            )
        arrays[key] = array = array_of(array)
        dtype = jnp.result_type(array)
        is_image_dtype = dtype == np.uint8 or jnp.issubdtype(dtype, np.floating)
        check_image_shape(
            path, np.shape(array), is_image_dtype=is_image_dtype, got=described(array)
        )
    rest = {key: value for key, value in flat_values.items() if key not in found}
    return rest, arrays, {key: image.caption for key, image in found.items()}


def array_bytes(values: Mapping[str, ArrayLike], most: int, images: Collection[str] = ()) -> None:
    """Raises a `ValueError` if arrays are larger than the setting `max_array_bytes`, `most`.

    Args:
      values: the arrays by name.
      most: the setting.
      images: the names of those that are images, which are sent as uint8.
    """
    sizes: dict[str, tuple[str, int]] = {}
    for key, value in values.items():
        crosses = jax.eval_shape(packing.host_array, value)
        itemsize = 1 if key in images else crosses.dtype.itemsize
        sizes[key] = (described(value), crosses.size * itemsize)
    check_array_bytes(sizes, most)


def details(tree: Any, argument: str = "details") -> dict[str, ArrayLike]:
    """Checks `details`, or another pytree of arrays; returns its leaves by path."""
    flat: dict[str, ArrayLike] = {}
    check_depth(argument, tree)
    try:
        nodes = jax.tree_util.tree_leaves_with_path(tree)
    except ValueError as error:
        raise TypeError(f"{argument}: is not a pytree: {error}; use texts as keys") from None
    for path, leaf in nodes:
        key = leaf_name(path, argument)
        check_name(argument, key)
        _refuse_traced_name(argument, key)
        if not is_array(leaf):
            raise TypeError(
                f"{argument}[{key!r}]: got {described(leaf)}, expected an array{remedy_for(leaf)}"
            )
        if key in flat:
            raise ValueError(f"{argument}: two leaves are called {key!r}; rename one")
        flat[key] = fitting(f"{argument}[{key!r}]", array_of(leaf), "switch on jax_enable_x64")
    return flat


def indices(value: Any, axis_names: tuple[str, ...]) -> ArrayLike | None:
    """Checks `indices`, the environments chosen before a rollout: integers along one axis."""
    if value is None:
        return None
    expected = "expected int[k], as sample_indices returns"
    if not is_array(value) or np.ndim(array_of(value)) != 1 or not np.size(array_of(value)):
        raise ValueError(f"indices: got {described(value)}, {expected}")
    if not jnp.issubdtype(jnp.result_type(array_of(value)), np.integer):
        raise TypeError(f"indices: got {described(value)}, {expected}")
    if axis_names:
        raise ValueError(
            f"indices: cannot be given with axis_name={axis_names}, where each device has "
            "its own environments; leave them out, and give details of the whole batch"
        )
    return array_of(value)


def batch_shape(
    metrics: Mapping[str, ArrayLike],
    where: ArrayLike | None,
    details: Mapping[str, ArrayLike],
    indices: ArrayLike | None,
    parts: Mapping[str, tuple[str, ...]],
) -> Shape | None:
    """Checks that all arrays have the batch's shape; returns it, or None if all are scalars."""
    shapes = {key: np.shape(value) for key, value in metrics.items()}
    shapes |= {key: shapes[key][:-1] for key in parts if key in shapes}
    source, shape = _source(shapes, where)
    if shape is None:
        arrays = {f"metrics[{key!r}]": value for key, value in metrics.items() if shapes[key]}
        arrays |= {f"details[{key!r}]": value for key, value in details.items()}
        if arrays:
            path, value = next(iter(arrays.items()))
            raise ValueError(
                f"{path}: got {described(value)}, but the batch's shape cannot be inferred; give "
                "where=, bool of that shape (jnp.ones(shape, bool) for all of it), or one of "
                f"{', '.join(n for n in KNOWN if KNOWN[n].per_episode)}; pass an array of which "
                "all entries count in values=; or log one number, like .mean()"
            )
        return None
    if math.prod(shape) == 0:
        raise ValueError(f"{source}: got shape {shape}, expected a batch with at least one entry")
    for key, own in shapes.items():
        if own not in ((), shape):
            number = counted(len(parts.get(key, ())), "part")
            of_parts = f" and {number}" if key in parts else ""
            raise ValueError(
                f"metrics[{key!r}]: got {described(metrics[key])}, expected a scalar or the shape "
                f"{shape} of {source}, the batch{of_parts}; give all arrays with a value per "
                "episode the same shape, and pass the others in values=, of which all entries count"
            )
    for key, value in details.items():
        if indices is not None:
            if np.shape(value)[:1] != np.shape(indices):
                raise ValueError(
                    f"details[{key!r}]: got {described(value)}, expected a shape that begins with "
                    f"{np.shape(indices)}, that of indices: one row for each"
                )
        elif np.shape(value)[: len(shape)] != shape:
            raise ValueError(
                f"details[{key!r}]: got {described(value)}, expected a shape that begins with "
                f"{shape}, that of {source}, the batch"
            )
    return shape


def _source(shapes: Mapping[str, Shape], where: ArrayLike | None) -> tuple[str, Shape | None]:
    """The name and the shape of the array that defines the batch's shape."""
    if where is not None:
        return "where", np.shape(where)
    for key, shape in shapes.items():
        if shape and look_up(key).per_episode:
            return key, shape
    return "", None


# How JAX formats a traced value in a text.
_TRACER = re.compile(r"\w*Tracer[(<]|Traced<")


def _refuse_traced_name(argument: str, name: str) -> None:
    if found := _TRACER.search(name):
        raise TypeError(
            f"{argument}: got the name {name!r}, which has a traced value in it "
            f"({found.group()}...); a name is fixed while the program is traced: build it from a "
            "Python number, or log the value under its own name"
        )


def _named(argument: str, values: Any) -> Named:
    """Checks values by name; nested mappings and pytrees get names like `actor/loss`."""
    checked: dict[str, ArrayLike] = {}
    parts: dict[str, tuple[str, ...]] = {}
    for key, value in leaves(argument, values).items():
        path = f"{argument}[{key!r}]"
        _refuse_traced_name(argument, key)
        if isinstance(value, Parts):
            parts[key], value = value.names, value.array
        if not is_array(value):
            raise TypeError(
                f"{path}: got {described(value)}, expected an array or a number{remedy_for(value)}"
            )
        value = array_of(value)
        if not is_real(value):
            raise TypeError(
                f"{path}: got {described(value)}, expected bool, integers or real numbers"
            )
        checked[key] = fitting(path, value)
    return checked, parts
