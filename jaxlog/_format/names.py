"""The field's names for metrics, and what each becomes on a line.

One table, read by the graph side (which metrics the settings keep), by the host side (the keys of a
line and of a sampled episode) and by sinks (which metrics belong together). It imports nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

CATEGORIES = ("rewards", "similarity", "episode length", "training", "other")
"""The groups a display shows metrics in, in this order."""

EPISODE_COUNT = "episode_count"
"""The key under which every line with aggregates says how many episodes they are of."""


UPDATE_COUNT = "update_count"
"""The key under which a line of a window says how many updates it is of."""


@dataclass(frozen=True)
class Name:
    """What a metric's name means.

    Attributes:
      stem: what its aggregates are called: `{stem}_mean`, `{stem}_std`, ...
      episode_key: what it is called in the summary of one sampled episode.
      category: one of `CATEGORIES`.
      setting: the switch of the settings that keeps or drops it; None where there is none.
      per_episode: whether an array of it is one value per episode, so that it tells the batch's
        shape.
      rate: whether it is one number, `{stem}_rate`, the share of episodes for which it is true.
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


def check_call(name: object) -> None:
    """Whether a call may be called so: it becomes part of a file's name.

    Raises:
      ValueError: it may not.
    """
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}", name):
        raise ValueError(
            f"name: got {name!r}, expected up to 100 letters, digits, '_', '-' and '.', "
            "beginning with a letter or digit: it is part of a file's name"
        )


def look_up(name: str) -> Name:
    """What `name` means; a name the field does not have stands for itself.

    `loss`, `*_loss`, `grad_norm`, `*_gradient_norm` and `*_grad_norm` are steered by the switch of
    their kind.

    >>> look_up("episode_returns").stem
    'episode_return'
    >>> look_up("critic_loss").setting
    'log_loss_metrics'
    >>> look_up("distance_to_goal").category
    'other'
    """
    if name in KNOWN:
        return KNOWN[name]
    if name == "loss" or name.endswith("_loss"):
        return _scalar(name, "log_loss_metrics")
    if name in ("gradient_norm", "grad_norm") or name.endswith(("_gradient_norm", "_grad_norm")):
        return _scalar(name, "log_gradient_norms")
    return Name(name, name, "other")
