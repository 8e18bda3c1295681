"""What a key of a line means: its metric, its statistic, and which kind of value it has.

The program knows it exactly, where the line is made; `run.json` keeps it, and readers take it from
there. Only of files of jaxlog 0.1, which do not say, is it read from the key's name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from jaxlog._format.events import Key
from jaxlog._format.names import CATEGORIES, EPISODE_COUNT, KNOWN, UPDATE_COUNT, look_up

STATISTICS = ("mean", "std", "min", "max", "sum", "count")
"""The names of the statistics that the setting `statistics` chooses from, beside quantiles."""

_CATEGORY_OF_STEM = {name.stem: name.category for name in KNOWN.values()}


def quantile(name: str) -> float | None:
    """The quantile that a statistic's name means; None where it means none.

    >>> quantile("p95"), quantile("median"), quantile("mean"), quantile("p101")
    (0.95, 0.5, None, None)
    """
    if name == "median":
        return 0.5
    found = re.fullmatch(r"p([0-9]{1,3}(?:\.[0-9]+)?)", name)
    percent = float(found[1]) if found else 101.0
    return percent / 100 if percent <= 100 else None


def key_name(key: Key) -> str:
    """A key as it stands on a line.

    >>> key_name(Key("rewards", "episode_return", "mean")), key_name(Key("training", "loss", ""))
    ('episode_return_mean', 'loss')
    """
    return f"{key.stem}_{key.statistic}" if key.statistic else key.stem


def key_from_name(name: str, *, of_episodes: bool) -> Key:
    """What a key means, as far as its name tells.

    Args:
      name: as it stands on a line.
      of_episodes: whether the line has aggregates of episodes.

    >>> key_from_name("episode_return_mean", of_episodes=True).statistic
    'mean'
    >>> key_from_name("q_max", of_episodes=False).statistic
    ''
    """
    stem, _, statistic = name.rpartition("_")
    known = statistic in STATISTICS or statistic in ("rate", "nonfinite", "histogram")
    known = known or quantile(statistic) is not None
    scalar = name in KNOWN or name in (EPISODE_COUNT, UPDATE_COUNT)
    if scalar or not (stem and known and (of_episodes or statistic == "nonfinite")):
        stem, statistic = name, ""
    return Key(_CATEGORY_OF_STEM.get(stem, look_up(stem).category), stem, statistic)


def to_json(keys: Mapping[str, Key]) -> dict[str, dict[str, str]]:
    """The keys of a call, as `run.json` has them."""
    return {
        name: {
            "metric": key.metric,
            "statistic": key.statistic,
            "kind": key.kind,
            "stem": key.stem,
            "category": key.category,
        }
        for name, key in keys.items()
    }


def from_json(found: Any) -> dict[str, Key]:
    """The keys of a call that `run.json` describes; what is no such description is left out."""
    keys: dict[str, Key] = {}
    for name, told in found.items() if isinstance(found, Mapping) else ():
        if not isinstance(told, Mapping):
            continue
        match told.get("stem"), told.get("statistic"), told.get("metric"):
            case str() as stem, str() as statistic, str() as metric:
                category = told.get("category")
                known = category if category in CATEGORIES else "other"
                keys[name] = Key(known, stem, statistic, metric)
            case _:
                continue
    return keys


class Keys:
    """The keys of one call of a run: as `run.json` says, or else as their names tell.

    Args:
      described: what `run.json` has under `calls`, of this call.
      of_episodes: whether the lines have aggregates of episodes.
    """

    def __init__(self, described: Any = None, *, of_episodes: bool) -> None:
        keys = described.get("keys") if isinstance(described, Mapping) else None
        self._known = from_json(keys)
        self._of_episodes = of_episodes

    def __getitem__(self, name: str) -> Key:
        """What a key means."""
        known = self._known.get(name)
        return known or key_from_name(name, of_episodes=self._of_episodes)
