"""Non-finite numbers in run.json: written as null, and restored by a table of their values."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any


def without_nonfinite(values: Any) -> tuple[Any, dict[str, str]]:
    """Copies values with None in place of numbers that are not finite.

    Args:
      values: plain values.

    Returns:
      The copy, and a dict with `inf`, `-inf` or `nan` for each such number, by its JSON pointer
      (RFC 6901): `/config/optimizer/clip`.
    """
    nonfinite: dict[str, str] = {}

    def copied(value: Any, pointer: str) -> Any:
        if isinstance(value, Mapping):
            return {key: copied(part, f"{pointer}/{_escaped(key)}") for key, part in value.items()}
        if isinstance(value, list | tuple):
            return [copied(part, f"{pointer}/{i}") for i, part in enumerate(value)]
        if isinstance(value, float) and not math.isfinite(value):
            nonfinite[pointer] = str(float(value))
            return None
        return value

    return copied(values, ""), nonfinite


def with_nonfinite(values: Any, nonfinite: Any) -> Any:
    """Restores the numbers that `without_nonfinite` replaced by None.

    Args:
      values: plain values, which are changed in place.
      nonfinite: the dict that `without_nonfinite` returned; invalid entries are ignored.
    """
    for pointer, text in nonfinite.items() if isinstance(nonfinite, Mapping) else ():
        if text not in ("inf", "-inf", "nan") or not str(pointer).startswith("/"):
            continue
        within = values
        parts = [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]
        *outer, last = parts
        for part in outer:
            within = _part(within, part)
        if isinstance(within, dict) and within.get(last, 0) is None:
            within[last] = float(text)
        elif isinstance(within, list) and last in map(str, range(len(within))):
            within[int(last)] = float(text) if within[int(last)] is None else within[int(last)]
    return values


def _part(values: Any, name: str) -> Any:
    if isinstance(values, dict):
        return values.get(name)
    if isinstance(values, list) and name.isdigit() and int(name) < len(values):
        return values[int(name)]
    return None


def _escaped(key: Any) -> str:
    return str(key).replace("~", "~0").replace("/", "~1")
