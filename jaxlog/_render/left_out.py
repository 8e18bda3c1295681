"""Decides which parts of a state a picture leaves out: PRNG keys and caches."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from jaxlog._format.events import KeyData
from jaxlog._render.values import is_array, leaves

_KEY = re.compile(r"(^|_)(key|keys|rng|rngs|prng)($|_)")
_KEY_SIZES = (2, 4)
"""The words of a key: of `threefry2x32`, and of `rbg`."""

_CACHE = re.compile(r"^_?cache$|(^|_)first_(obs|data|state|pipeline_state)$")
"""Names of parts that only draw or reset an environment: the sprites of navix, and the first state
in brax and Playground."""

_MOST_NAMES = 2


def shown_parts(state: Any) -> tuple[list[tuple[str, Any]], tuple[str, ...]]:
    """The parts of a state that a picture shows, and a note about those that it leaves out.

    A state that has nothing else is shown as it is.

    >>> parts, note = shown_parts({"board": 1, "key": np.zeros(2, np.uint32)})
    >>> parts, note
    ([('board', 1)], ('left out: key',))
    """
    every = list(leaves(state))
    reasons = [_left_out(name, value) for name, value in every]
    shown = [part for part, reason in zip(every, reasons, strict=True) if reason is None]
    names = list(dict.fromkeys(reason for reason in reasons if reason is not None))
    if not shown or not names:
        return every, ()
    more = len(names) - _MOST_NAMES
    text = ", ".join(names[:_MOST_NAMES]) + (f" and {more} more" if more > 0 else "")
    return shown, (f"left out: {text}",)


def _left_out(name: str, value: Any) -> str | None:
    """The name of a part that is left out, up to the cache that it is in; None if it is shown."""
    path = name.split(".")
    for depth, word in enumerate(path):
        if _CACHE.search(word):
            return ".".join(path[: depth + 1])
    return name if isinstance(value, KeyData) or _is_raw_key(path, value) else None


def _is_raw_key(path: list[str], value: Any) -> bool:
    """True for the data of keys, as `jax.random.PRNGKey` returns them, under a name for keys."""
    data = is_array(value) and value.dtype == np.uint32 and value.shape[-1:]
    return bool(data) and data[0] in _KEY_SIZES and any(map(_KEY.search, path))
