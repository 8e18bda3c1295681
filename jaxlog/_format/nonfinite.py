"""How run.json keeps numbers that are not finite: as null, with which they are beside it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any


def without_nonfinite(values: Any) -> tuple[Any, dict[str, str]]:
    """A copy in which numbers that are not finite are None, and which they are.

    Args:
      values: plain values.

    Returns:
      The copy, and `inf`, `-inf` or `nan` by the place of each, as a JSON pointer (RFC 6901):
      `/config/optimizer/clip`.
    """
    nonfinite: dict[str, str] = {}

    def copied(value: Any, place: str) -> Any:
        if isinstance(value, Mapping):
            return {key: copied(part, f"{place}/{_escaped(key)}") for key, part in value.items()}
        if isinstance(value, list | tuple):
            return [copied(part, f"{place}/{i}") for i, part in enumerate(value)]
        if isinstance(value, float) and not math.isfinite(value):
            nonfinite[place] = str(float(value))
            return None
        return value

    return copied(values, ""), nonfinite


def with_nonfinite(values: Any, nonfinite: Any) -> Any:
    """Puts the numbers back that `without_nonfinite` took out, where there is a None for them.

    Args:
      values: plain values, which are changed.
      nonfinite: as it was returned; what is something else is left out.
    """
    for place, text in nonfinite.items() if isinstance(nonfinite, Mapping) else ():
        if text not in ("inf", "-inf", "nan") or not str(place).startswith("/"):
            continue
        within = values
        *steps, last = [part.replace("~1", "/").replace("~0", "~") for part in place.split("/")[1:]]
        for step in steps:
            within = _part(within, step)
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
