"""What may be logged: the arguments of a call, checked while the program is traced.

Every error says what it got, what was expected and what to do. Nothing here adds to the program.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jaxlog.names import KNOWN
from jaxlog.settings import LoggingConfig
from jaxlog.settings.problems import suggestion

Shape = tuple[int, ...]


def step(value: Any) -> ArrayLike:
    """The update's index: an integer scalar."""
    expected = "expected an integer scalar, the index of the update"
    if isinstance(value, bool) or not _is_array(value):
        raise TypeError(f"step: got {_told(value)}, {expected}")
    value = _array(value)
    if np.shape(value):
        raise TypeError(
            f"step: got {_told(value)}, {expected}; under vmap give each lane its own, and a "
            "scan's counter as it is"
        )
    if not jnp.issubdtype(jnp.result_type(value), np.integer):
        raise TypeError(
            f"step: got {_told(value)}, {expected}; count updates with jnp.arange(num_updates), "
            "or cast it with .astype(jnp.int32)"
        )
    if isinstance(value, int) and not -(2**31) <= value < 2**31:
        raise ValueError(f"step: got {value}, expected a number that fits into int32")
    return value


def name(value: Any) -> str:
    """A call site's name: it becomes part of a file's name."""
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", value):
        raise ValueError(
            f"name: got {value!r}, expected letters, digits, '_', '-' and '.', beginning with a "
            "letter or digit: it is part of a file's name"
        )
    return value


def scalar_bool(argument: str, value: Any) -> ArrayLike:
    """A condition: one bool."""
    if not _is_array(value) or np.shape(value) or jnp.result_type(value) != np.bool_:
        raise TypeError(f"{argument}: got {_told(value)}, expected one bool, like `loss < 1`")
    return _array(value)


def metrics(values: Any) -> dict[str, ArrayLike]:
    """Arrays by name, of real numbers or bools."""
    return _named("metrics", values)


def labels(values: Any) -> dict[str, ArrayLike]:
    """Scalars by name."""
    checked = _named("labels", {} if values is None else values)
    for key, value in checked.items():
        if np.shape(value):
            raise ValueError(
                f"labels[{key!r}]: got {_told(value)}, expected a scalar; a lane has one value for "
                "each label, and vmap makes the lanes"
            )
    return checked


def details(tree: Any) -> dict[str, ArrayLike]:
    """The leaves of a pytree, each by its path in it."""
    flat: dict[str, ArrayLike] = {}
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        key = jax.tree_util.keystr(path, simple=True, separator=".") or "details"
        if not _is_array(leaf):
            raise TypeError(f"details[{key!r}]: got {_told(leaf)}, expected an array")
        if key in flat:
            raise ValueError(f"details: two leaves are called {key!r}; rename one")
        flat[key] = _array(leaf)
    return flat


def batch_shape(
    metrics: Mapping[str, ArrayLike], where: Any, details: Mapping[str, ArrayLike]
) -> Shape | None:
    """The shape of the batch, which every array agrees with; None where all are scalars."""
    source, shape = _source(metrics, where)
    arrays = {f"metrics[{key!r}]": value for key, value in metrics.items() if np.shape(value)}
    if shape is None:
        for path, value in (arrays | {f"details[{k!r}]": v for k, v in details.items()}).items():
            raise ValueError(
                f"{path}: got {_told(value)}, but nothing says what the batch is; give where=, "
                "bool of the batch's shape (jnp.ones(shape, bool) for all of it), or one of "
                f"{', '.join(n for n in KNOWN if KNOWN[n].per_episode)}; or log one number, like "
                ".mean()"
            )
        return None
    if math.prod(shape) == 0:
        raise ValueError(f"{source}: got shape {shape}, expected a batch with at least one entry")
    for path, value in arrays.items():
        if np.shape(value) != shape:
            raise ValueError(
                f"{path}: got {_told(value)}, expected a scalar or the shape {shape} of {source}, "
                "the batch; for losses over epochs and minibatches log one number, like .mean()"
            )
    for key, value in details.items():
        if np.shape(value)[: len(shape)] != shape:
            raise ValueError(
                f"details[{key!r}]: got {_told(value)}, expected a shape that begins with {shape}, "
                f"that of {source}, the batch"
            )
    return shape


def _source(metrics: Mapping[str, ArrayLike], where: Any) -> tuple[str, Shape | None]:
    """What says the batch's shape, and that shape."""
    if where is not None:
        if not _is_array(where) or jnp.result_type(where) != np.bool_:
            raise TypeError(
                f"where: got {_told(where)}, expected bool of the batch's shape; compare with "
                "something, like `done > 0`"
            )
        if not np.shape(where):
            raise ValueError(
                f"where: got {_told(where)}, expected the batch's shape, with one axis at least; "
                "to log or not to log a whole step, use when="
            )
        return "where", np.shape(where)
    for key, value in metrics.items():
        if key in KNOWN and KNOWN[key].per_episode and np.shape(value):
            return key, np.shape(value)
    return "", None


def kept(settings: LoggingConfig, metrics: Mapping[str, Any], call: str) -> tuple[str, ...]:
    """The metrics of a call that `include` and `exclude` leave."""
    include = _chosen("include", settings.include, metrics, call)
    exclude = _chosen("exclude", settings.exclude, metrics, call)
    return tuple(m for m in metrics if (m in include or not settings.include) and m not in exclude)


def _chosen(
    setting: str, names: tuple[str, ...], metrics: Mapping[str, Any], call: str
) -> frozenset[str]:
    """The metrics of a call that a setting names, by NAME or by CALL/NAME."""
    found = set()
    for entry in names:
        prefix, _, bare = entry.rpartition("/")
        if entry in metrics:
            found.add(entry)
        elif prefix == call and bare in metrics:
            found.add(bare)
        elif prefix not in ("", call) or entry in KNOWN:
            continue  # it speaks of another call, or of what only another call may have
        else:
            raise ValueError(
                f"settings: {setting}: got {entry!r}, which is no metric of "
                f"batch_step(..., name={call!r}){suggestion(bare, [*metrics, *KNOWN])} "
                f"(its metrics are: {', '.join(metrics)}; for one of another call write "
                f"NAME_OF_THE_CALL/{bare})"
            )
    return frozenset(found)


def _named(argument: str, values: Any) -> dict[str, ArrayLike]:
    if not isinstance(values, Mapping):
        raise TypeError(f"{argument}: got {_told(values)}, expected a dict of arrays by name")
    checked: dict[str, ArrayLike] = {}
    for key, value in values.items():
        if not isinstance(key, str) or not key:
            raise TypeError(f"{argument}: got the key {key!r}, expected a name")
        if not _is_array(value):
            raise TypeError(
                f"{argument}[{key!r}]: got {_told(value)}, expected an array or a number"
            )
        value = _array(value)
        dtype = jnp.result_type(value)
        if not (jnp.issubdtype(dtype, np.number) or dtype == np.bool_) or jnp.issubdtype(
            dtype, np.complexfloating
        ):
            raise TypeError(
                f"{argument}[{key!r}]: got {_told(value)}, expected bool, integers or real numbers"
            )
        checked[key] = value
    return checked


_ARRAYS = (jax.Array, np.ndarray, np.generic, bool, int, float)


def _is_array(value: Any) -> bool:
    return isinstance(value, _ARRAYS) or hasattr(value, "__jax_array__")


def _array(value: Any) -> Any:
    """An array as it is; the array in a box that has one, like those of flax NNX."""
    return value if isinstance(value, _ARRAYS) else value.__jax_array__()


def _told(value: Any) -> str:
    """A value as an error tells of it: its dtype and shape, or its type."""
    if value is None:
        return "None"
    if not _is_array(value):
        return type(value).__name__
    value = _array(value)
    if isinstance(value, bool | int | float):
        return repr(value)
    if isinstance(value, np.ndarray | np.generic) and value.dtype.kind in "OUSM":
        return f"{value.dtype.name}{list(value.shape)}"
    return jax.typeof(value).str_short()
