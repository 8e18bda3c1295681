"""Texts of the user in place of the values that define groups, and the order of groups by them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from jaxlog._analysis.groups import named, worded
from jaxlog._caller import warn_caller
from jaxlog._terminal import plain

_SHOWN = 5
"""The most texts that a warning names."""


def place_of(name: str, value: Any, names: Mapping[Any, str]) -> int | None:
    """The place in `names` of the text for a value; None if it has none.

    A value is found by itself, by its text, and by its text with its name, as a legend has it.

    >>> names = {0.1: "slow", "lr 0.5": "fast", "none": "default"}
    >>> [place_of("lr", value, names) for value in (0.1, 0.5, None, 0.9)]
    [0, 1, 2, None]
    """
    texts = (worded(value), named((name,), (value,)))
    for place, own in enumerate(names):
        if isinstance(own, str) and own in texts:
            return place
        if isinstance(own, bool) == isinstance(value, bool) and own == value:
            return place
    return None


def text_of(name: str, value: Any, names: Mapping[Any, str]) -> str | None:
    """The text that a value was given; None if it has none."""
    place = place_of(name, value, names)
    return None if place is None else list(names.values())[place]


def label(by: Sequence[str], key: Sequence[Any], names: Mapping[Any, str]) -> str:
    """The name of a group: the text that it was given, or else the values that define it.

    >>> label(("algorithm",), ("ppo",), {}), label(("algorithm",), ("ppo",), {"ppo": "PPO"})
    ('algorithm ppo', 'PPO')
    """
    own = [text_of(name, value, names) for name, value in zip(by, key, strict=True)]
    return ", ".join(
        named((name,), (value,)) if text is None else text
        for name, value, text in zip(by, key, own, strict=True)
    )


def ordered(
    by: Sequence[str], keys: Sequence[Sequence[Any]], names: Mapping[Any, str]
) -> list[int]:
    """The order of groups: that of their values in `names`; groups that are not there come last.

    >>> ordered(["algorithm"], [("ppo",), ("sac",), ("a2c",)], {"sac": "SAC", "ppo": "PPO"})
    [1, 0, 2]
    """

    def ranks(key: Sequence[Any]) -> list[int]:
        found = (place_of(name, value, names) for name, value in zip(by, key, strict=True))
        return [len(names) if place is None else place for place in found]

    return sorted(range(len(keys)), key=lambda number: ranks(keys[number]))


def warn_if_unused(
    names: Mapping[Any, str], values: Iterable[tuple[str, Any]], others: Sequence[str]
) -> None:
    """Warns if none of the user's texts stands for anything that is shown.

    One that stands for nothing is no reason to warn: several figures may share the texts.

    Args:
      names: the texts.
      values: the values that define the groups, each with its name.
      others: what else can be renamed: metrics and axes.
    """
    if not names or any(name in names for name in others):
        return
    pairs = list(values)
    if any(place_of(name, value, names) is not None for name, value in pairs):
        return
    shown = dict.fromkeys([*(worded(value) for _, value in pairs), *others])
    got = ", ".join(plain(repr(name)) for name in list(names)[:_SHOWN])
    expected = ", ".join(plain(repr(name)) for name in list(shown)[:_SHOWN])
    warn_caller(f"rename: got {got}, which nothing here has; expected some of {expected}")


def values_of(by: Sequence[str], keys: Iterable[Sequence[Any]]) -> list[tuple[str, Any]]:
    """The values that define some groups, each with its name."""
    return [pair for key in keys for pair in zip(by, key, strict=True)]
