"""The meaning of a line's key: its metric, its statistic, and the kind of its value.

`run.json` describes the keys of each call, and readers take the meaning from there. Files of jaxlog
0.1 have no such description; there the meaning is guessed from the key's name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from jaxlog._format.events import Key
from jaxlog._format.names import CATEGORIES, EPISODE_COUNT, KNOWN, UPDATE_COUNT, look_up

STATISTICS = ("mean", "std", "min", "max", "sum", "count")
"""The names of the statistics other than quantiles that the setting `statistics` can have."""

_CATEGORY_OF_STEM = {name.stem: name.category for name in KNOWN.values()}


def quantile(name: str) -> float | None:
    """The quantile of a statistic's name, from 0 to 1; None if it is not a quantile.

    >>> quantile("p95"), quantile("median"), quantile("mean"), quantile("p101")
    (0.95, 0.5, None, None)
    """
    if name == "median":
        return 0.5
    found = re.fullmatch(r"p([0-9]{1,3}(?:\.[0-9]+)?)", name)
    percent = float(found[1]) if found else 101.0
    return percent / 100 if percent <= 100 else None


def key_name(key: Key) -> str:
    """The text of a key on a line.

    >>> key_name(Key("rewards", "episode_return", "mean")), key_name(Key("training", "loss", ""))
    ('episode_return_mean', 'loss')
    """
    return f"{key.stem}_{key.statistic}" if key.statistic else key.stem


def scalar_key(name: str) -> Key:
    """The meaning of a number that plain Python logs under a name.

    >>> scalar_key("policy_loss")
    Key(category='training', stem='policy_loss', statistic='', metric='policy_loss', counts=False)
    """
    return Key(look_up(name).category, name, "", name)


def key_from_name(name: str, *, of_episodes: bool) -> Key:
    """Guesses the meaning of a key from its name.

    Args:
      name: the key on a line.
      of_episodes: True if the line has statistics over episodes.

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
    """Describes the keys of a call for `run.json`."""
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
    """Reads the keys of a call from `run.json`; skips malformed entries."""
    keys: dict[str, Key] = {}
    for name, entry in found.items() if isinstance(found, Mapping) else ():
        if not isinstance(entry, Mapping):
            continue
        match entry.get("stem"), entry.get("statistic"), entry.get("metric"):
            case str() as stem, str() as statistic, str() as metric:
                category = entry.get("category")
                known = category if category in CATEGORIES else "other"
                named = entry.get("kind") == "count" and not statistic
                counts = named and stem not in (EPISODE_COUNT, UPDATE_COUNT)
                keys[name] = Key(known, stem, statistic, metric, counts)
            case _:
                continue
    return keys


class Keys:
    """The keys of one call of a run: from `run.json`, or guessed from their names.

    Args:
      described: the entry of this call under `calls` in `run.json`.
      of_episodes: True if the lines have statistics over episodes.
    """

    def __init__(self, described: Any = None, *, of_episodes: bool) -> None:
        keys = described.get("keys") if isinstance(described, Mapping) else None
        self._known = from_json(keys)
        self._of_episodes = of_episodes

    def __getitem__(self, name: str) -> Key:
        """The meaning of a key."""
        known = self._known.get(name)
        return known or key_from_name(name, of_episodes=self._of_episodes)
