"""The known names of metrics, and the keys, categories and settings of each.

The program side reads the table for the metrics that the settings keep, the host side for the keys
of lines and of sampled episodes, and sinks for the grouping of metrics.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

CATEGORIES = ("rewards", "similarity", "episode length", "training", "other")
"""The groups of metrics, in the order in which displays show them."""

EPISODE_COUNT = "episode_count"
"""The key of the number of episodes, on every line with statistics over episodes."""


UPDATE_COUNT = "update_count"
"""The key of the number of updates, on every line of a window."""


@dataclass(frozen=True)
class Name:
    """The meaning of a metric's name.

    Attributes:
      stem: the first part of the keys of its statistics: `{stem}_mean`, `{stem}_std`, ...
      episode_key: its key in the summary of a sampled episode.
      category: one of `CATEGORIES`.
      setting: the setting that switches it on or off; None if there is none.
      per_episode: True if an array of it has one value per episode, and so has the batch's shape.
      rate: True if only its rate is logged, `{stem}_rate`: the share of episodes where it is True.
    """

    stem: str
    episode_key: str
    category: str
    setting: str | None = None
    per_episode: bool = False
    rate: bool = False


def _scalar(name: str, setting: str | None = None) -> Name:
    return Name(name, name, "training", setting)


KNOWN: dict[str, Name] = {
    "episode_returns": Name(
        "episode_return", "total_reward", "rewards", "log_aggregated_rewards", per_episode=True
    ),
    "episode_lengths": Name(
        "episode_length", "total_steps", "episode length", "log_episode_lengths", per_episode=True
    ),
    "similarity_scores": Name(
        "similarity",
        "final_similarity",
        "similarity",
        "log_aggregated_similarity",
        per_episode=True,
    ),
    "success_mask": Name(
        "success", "success", "rewards", "log_success_rates", per_episode=True, rate=True
    ),
    "policy_loss": _scalar("policy_loss", "log_loss_metrics"),
    "value_loss": _scalar("value_loss", "log_loss_metrics"),
    "entropy": _scalar("entropy", "log_loss_metrics"),
    "gradient_norm": _scalar("gradient_norm", "log_gradient_norms"),
    "explained_variance": _scalar("explained_variance"),
    "learning_rate": _scalar("learning_rate"),
}


CALL_NAME = "^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}"
"""The pattern of the name of a call, without its end."""


PER_STEP = frozenset(
    f"{name}{plural}"
    for name in (
        "reward",
        "action",
        "observation",
        "advantage",
        "log_prob",
        "logprob",
        "td_error",
        "done",
    )
    for plural in ("", "s")
) | {"obs"}
"""Names by which programs call arrays with a value for each environment step."""


def check_call(name: object) -> None:
    """Checks the name of a call, which becomes part of a file name.

    Raises:
      ValueError: it cannot be one.
    """
    if not isinstance(name, str) or not re.fullmatch(CALL_NAME, name):
        raise ValueError(
            f"name: got {name!r}, expected up to 100 letters, digits, '_', '-' and '.', "
            "beginning with a letter or digit: it is part of a file's name"
        )


def look_up(name: str) -> Name:
    """The meaning of a metric's name; an unknown name is its own stem and key.

    `loss` and `*_loss` follow the setting `log_loss_metrics`; `grad_norm`, `*_gradient_norm` and
    `*_grad_norm` follow `log_gradient_norms`. In a name like `actor/loss` the last segment decides,
    else the first one, as in `episode_returns/agent_0`.

    >>> look_up("episode_returns").stem
    'episode_return'
    >>> look_up("critic_loss").setting
    'log_loss_metrics'
    >>> look_up("distance_to_goal").category
    'other'
    >>> look_up("episode_returns/agent_0").stem
    'episode_return/agent_0'
    """
    if name in KNOWN:
        return KNOWN[name]
    group, slash, last = name.rpartition("/")
    if slash and (known := look_up(last)).category != "other":
        return replace(
            known, stem=f"{group}/{known.stem}", episode_key=f"{group}/{known.episode_key}"
        )
    first, slash, rest = name.partition("/")
    if slash and first in KNOWN:
        known = KNOWN[first]
        return replace(
            known, stem=f"{known.stem}/{rest}", episode_key=f"{known.episode_key}/{rest}"
        )
    if name == "loss" or name.endswith("_loss"):
        return _scalar(name, "log_loss_metrics")
    if name in ("gradient_norm", "grad_norm") or name.endswith(("_gradient_norm", "_grad_norm")):
        return _scalar(name, "log_gradient_norms")
    return Name(name, name, "other")
