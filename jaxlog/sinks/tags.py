"""The tags of TensorBoard, which groups charts by the part of a tag before its first slash."""

from __future__ import annotations

import functools
from collections.abc import Mapping

from jaxlog._format.events import Key
from jaxlog._format.names import CATEGORIES, look_up

_NAMED = {"episode length": "lengths"}
"""The groups that are not named as their category: TensorBoard cuts long tags."""
_GROUPS = {
    *("losses", "time", "arrays", "sampled_episodes"),
    *(_NAMED.get(category, category) for category in CATEGORIES),
}


class ByCategory:
    """Tags `{category}/{call}/{name}`, such as `rewards/batch/episode_return_mean`.

    The metrics of the setting `log_loss_metrics` are the group `losses`. If a metric of the
    category `other` is named `ppo/clip_fraction`, its own group is taken:
    `ppo/batch/clip_fraction`. Different values of a call, and of different calls, have different
    tags.
    """

    def value(self, call: str, name: str, keys: Mapping[str, Key]) -> str:
        """The tag of a value that `arrangement.arranged` named.

        Args:
          call: the name of the call.
          name: a key, or a key with the suffix of a lane, or of a statistic over lanes.
          keys: the meaning of each key.
        """
        base = name if name in keys else _key_in(name, keys)
        key = keys.get(base) or Key("other", base, "")
        return _tag(call, name, "/" in base, key.category, key.metric or key.stem)

    def of(self, call: str, group: str, name: str) -> str:
        """The tag of anything else, of a group `time`, `arrays` or `sampled_episodes`."""
        return f"{group}/{call}/{name}"


class ByCall:
    """Tags `{call}/{name}`, as jaxlog 0.1 made them."""

    def value(self, call: str, name: str, keys: Mapping[str, Key]) -> str:  # noqa: ARG002, D102
        return f"{call}/{name}"

    def of(self, call: str, group: str, name: str) -> str:  # noqa: D102
        if (group, name) == ("sampled_episodes", "table"):
            return f"{call}/sampled_episodes"
        return f"{call}/{name}" if group == "arrays" else f"{call}/{group}/{name}"


def _key_in(name: str, keys: Mapping[str, Key]) -> str:
    """The key in a name that has a suffix of a lane, or of a statistic over lanes."""
    found = (name.rpartition("/")[0], name.rpartition("_lanes")[0])
    return next((key for key in found if key in keys), name)


@functools.lru_cache(maxsize=4096)
def _tag(call: str, name: str, is_grouped: bool, category: str, metric: str) -> str:
    losses = look_up(metric).setting == "log_loss_metrics"
    group = "losses" if losses else _NAMED.get(category, category)
    if group == "other" and is_grouped:
        own, _, rest = name.partition("/")
        if own not in _GROUPS:
            return f"{own}/{call}/{rest}"
    return f"{group}/{call}/{name}"
