"""`from_info`, with the table of what libraries of environments report about episodes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxlog._program.parts import parts


@dataclass(frozen=True)
class InfoLayout:
    """The keys under which one kind of info has its episodes; `a/b` is the key `b` in `a`.

    Attributes:
      made_by: the wrapper that makes such an info.
      finished: bools, or floats above 0, at the ends of episodes.
      returns: the returns.
      lengths: the lengths; wrappers or scripts may leave them out.
      successes: the keys that an info may have for whether an episode succeeded.
      others: a mapping, whose other entries have one value per episode too.
      not_logged: the keys of `others` that are left out.
    """

    made_by: str
    finished: str
    returns: str
    lengths: str
    successes: tuple[str, ...] = ()
    others: str = ""
    not_logged: tuple[str, ...] = ()


LAYOUTS = (
    InfoLayout(
        made_by="LogWrapper (gymnax, PureJaxRL, JaxMARL, Kinetix)",
        finished="returned_episode",
        returns="returned_episode_returns",
        lengths="returned_episode_lengths",
        successes=("returned_episode_solved", "returned_won_episode"),  # Kinetix; JaxMARL's SMAX
    ),
    InfoLayout(
        made_by="EpisodeWrapper (brax, MuJoCo Playground)",
        finished="episode_done",
        returns="episode_metrics/sum_reward",
        lengths="episode_metrics/length",
        others="episode_metrics",
        # brax creates an entry for a metric that is called reward, but never adds to it.
        not_logged=("sum_reward", "length", "reward"),
    ),
    InfoLayout(
        made_by="RecordEpisodeMetrics (Stoix, Mava)",
        finished="episode_metrics/is_terminal_step",
        returns="episode_metrics/episode_return",
        lengths="episode_metrics/episode_length",
        successes=("env_metrics/won_episode", "won_episode"),
    ),
    InfoLayout(  # as their systems store it in a transition
        made_by="RecordEpisodeMetrics, without the level episode_metrics (Stoix, Mava)",
        finished="is_terminal_step",
        returns="episode_return",
        lengths="episode_length",
        successes=("won_episode",),
    ),
)
"""The layouts that `from_info` recognises, by `finished` and `returns`."""

_TRACK = "carry a jaxlog.EpisodeTracker, and call tracker, metrics, finished = tracker.step"
_INFO_ADVICE: dict[tuple[str, ...], str] = {
    ("returned_episode", "returned_episode_returns", "returned_episode_lengths"): (
        "a LogWrapper adds returned_episode, returned_episode_returns and "
        "returned_episode_lengths; keep them together where you choose entries"
    ),
    ("sum_reward",): (
        "this is brax's episode_metrics; pass the whole state.info, which has episode_done, too"
    ),
    ("episode_metrics",): (
        "its episode_metrics do not say where episodes end; keep episode_done beside them (brax), "
        "or is_terminal_step among them (Stoix, Mava)"
    ),
    ("episode_return", "episode_length"): (
        "keep is_terminal_step (Stoix, Mava): call from_info before get_final_step_metrics, which "
        "removes it"
    ),
    ("truncation", "first_obs", "first_pipeline_state", "AutoResetWrapper_done_count"): (
        "wrap the environment with brax.envs.wrappers.training.EpisodeWrapper, as "
        "brax.envs.training.wrap does, or with mujoco_playground.wrapper.wrap_for_brax_training, "
        "and pass state.info"
    ),
    ("return",): (
        "navix's timestep.info does not say where episodes end; "
        f"{_TRACK}(timestep.reward, timestep.is_done(), first=timestep.t == 0)"
    ),
    ("discount", "terminated", "truncated", "final_observation"): (
        "wrap the environment with gymnax.wrappers.LogWrapper, or "
        f"{_TRACK}(reward, terminated, truncated)"
    ),
}
"""The advice for an info that has any of these keys, and none of the layouts."""
_OTHER_INFO = (
    "wrap the environment with a LogWrapper (gymnax.wrappers, jaxmarl.wrappers.baselines) or "
    f"brax.envs.training.wrap, or {_TRACK}(reward, done)"
)

_OBJECT_ADVICE: dict[tuple[str, ...], str] = {
    ("t", "is_done"): (  # navix
        f"{_TRACK}(timestep.reward, timestep.is_done(), first=timestep.t == 0)"
    ),
    ("first", "last", "reward"): (  # dm_env, Jumanji, XLand-MiniGrid, Stoix, Mava
        f"{_TRACK}(timestep.reward, timestep.last(), first=timestep.first()); "
        "or pass timestep.extras, if a RecordEpisodeMetrics of Stoix or Mava adds to it"
    ),
    ("rewards", "terminated", "truncated"): (  # pgx
        f"{_TRACK}(state.rewards[:, player], state.terminated, state.truncated)"
    ),
    ("info", "reward", "done"): "pass state.info",  # brax
}
"""The advice for an object that has all of these attributes."""
_OTHER_OBJECT = f"pass the info of a log wrapper, or {_TRACK}(reward, done)"


_ACHIEVEMENTS = "Achievements/"
"""The beginning of the names of Craftax's achievements. Each has 100.0 where an episode ended with
the achievement, else 0."""


def from_info(info: Mapping[str, Any]) -> tuple[dict[str, Any], jax.Array]:
    """Takes the `metrics` and `where` of `batch_step` from the `info` of an environment.

    It knows the log wrappers of gymnax, PureJaxRL, JaxMARL and Kinetix (`returned_episode`), the
    `state.info` of brax and MuJoCo Playground in their training wrappers (`episode_metrics` and
    `episode_done`), and Stoix's and Mava's `timestep.extras` (`episode_metrics`), or what these
    have in `episode_metrics`. Craftax's own info has only achievements. An environment that returns
    an object instead of an info needs `EpisodeTracker`.

    This function picks arrays, and casts flags to bool and lengths to integers. So it works on
    traced and concrete arrays, of one step or stacked by `scan`, under any transformation.

    Args:
      info: a mapping with arrays of one shape. Entries that it does not know are ignored.

    Returns:
      The metrics, and `where`, a `bool` array that marks the entries at which an episode ended. The
      metrics are `episode_returns`; `episode_lengths`, if the info has lengths; `success_mask`, if
      it says whether episodes succeeded (JaxMARL's SMAX, Kinetix, Mava); with brax `episode/NAME`
      for each other `NAME` in `episode_metrics`; and with Craftax `achievements`, a rate for each
      achievement by `parts`. Their values are meaningful only at the entries that `where` marks.
      Without a log wrapper, Craftax's info gives `achievements` and `where` only; take returns and
      lengths from an `EpisodeTracker`.

    Raises:
      KeyError: the info has none of these layouts; the text says which wrapper to use.
      TypeError: `info` is not a mapping; the text says how to use `EpisodeTracker` with the object.
      ValueError: the info has two of these layouts, or two entries for success.

    >>> import jax.numpy as jnp
    >>> metrics, finished = from_info({
    ...     "returned_episode": jnp.array([True, False]),
    ...     "returned_episode_returns": jnp.array([9.0, 0.0]),
    ...     "returned_episode_lengths": jnp.array([9, 0]),
    ... })
    >>> sorted(metrics)
    ['episode_lengths', 'episode_returns']

    brax has flags and lengths as floats:

    >>> metrics, finished = from_info({
    ...     "episode_done": jnp.array([1.0, 0.0]),
    ...     "episode_metrics": {
    ...         "sum_reward": jnp.array([9.0, 4.0]),
    ...         "length": jnp.array([9.0, 4.0]),
    ...         "forward_reward": jnp.array([5.0, 2.0]),
    ...     },
    ... })
    >>> finished.tolist(), metrics["episode_lengths"].tolist(), sorted(metrics)
    ([True, False], [9, 4], ['episode/forward_reward', 'episode_lengths', 'episode_returns'])
    """
    if not isinstance(info, Mapping):
        raise TypeError(
            f"info: got {type(info).__name__}, expected a mapping; "
            f"{_advice_for_object(info) or _OTHER_OBJECT}"
        )
    found = [layout for layout in LAYOUTS if _has(info, layout.finished, layout.returns)]
    achievements = _achievements(info)
    if achievements and not found and "discount" in info:
        return achievements, jnp.asarray(info["discount"]) == 0  # 0 at each end, and only there
    if not found:
        has = ", ".join(map(str, info)) or "nothing"
        # A time step may be a mapping, too: those of Jumanji are.
        advice = _advice_for_object(info) or _advice_for_info(info) or _OTHER_INFO
        raise KeyError(f"info has no returns and ends of episodes (it has: {has}); {advice}")
    if len(found) > 1:
        raise ValueError(
            f"info: has the episodes of {' and of '.join(layout.made_by for layout in found)}, "
            "which may count differently; pass only the entries of one, as in "
            f"from_info({{key: info[key] for key in {_own_keys(found[0])}}})"
        )
    metrics, finished = _taken(info, found[0])
    return metrics | achievements, finished


def _achievements(info: Mapping[str, Any]) -> dict[str, Any]:
    """Craftax's achievements as one metric with a part for each; empty if there are none."""
    # JAX sorts the keys of a dict, so that an info is in this order once it was traced.
    names = sorted(str(key) for key in info if str(key).startswith(_ACHIEVEMENTS))
    if not names:
        return {}
    reached = jnp.stack([_flags(info[name]) for name in names], axis=-1)
    return {"achievements": parts(reached, [n.removeprefix(_ACHIEVEMENTS) for n in names])}


def _taken(info: Mapping[str, Any], layout: InfoLayout) -> tuple[dict[str, Any], jax.Array]:
    """The metrics and the mask of an info that has a layout."""
    metrics = {"episode_returns": _at(info, layout.returns)}
    if _has(info, layout.lengths):
        metrics["episode_lengths"] = _whole(_at(info, layout.lengths))
    successes = [key for key in layout.successes if _has(info, key)]
    if len(successes) > 1:
        raise ValueError(
            f"info: has {' and '.join(successes)}, expected one entry for success; leave the other "
            "out, or log it as a metric of your own"
        )
    for key in successes:
        metrics["success_mask"] = _flags(_at(info, key))
    if layout.others:
        for key, value in _at(info, layout.others).items():
            if key not in layout.not_logged:
                metrics[f"episode/{key}"] = value
    return metrics, _flags(_at(info, layout.finished))


def _advice_for_info(info: Mapping[str, Any]) -> str | None:
    for keys, advice in _INFO_ADVICE.items():
        if any(key in info for key in keys):
            return advice
    return None


def _advice_for_object(found: Any) -> str | None:
    for names, advice in _OBJECT_ADVICE.items():
        if all(hasattr(found, name) for name in names):
            return advice
    return None


def _at(info: Mapping[str, Any], path: str) -> Any:
    """The entry of a path of keys; a KeyError if there is none."""
    found: Any = info
    for key in path.split("/"):
        if not isinstance(found, Mapping):
            raise KeyError(path)
        found = found[key]
    return found


def _has(info: Mapping[str, Any], *paths: str) -> bool:
    try:
        return all(_at(info, path) is not None for path in paths)
    except KeyError:
        return False


def _own_keys(layout: InfoLayout) -> tuple[str, ...]:
    """The keys of an info that belong to a layout."""
    paths = (layout.finished, layout.returns, layout.lengths)
    return tuple(dict.fromkeys(path.partition("/")[0] for path in paths))


def _flags(values: Any) -> Any:
    """Bools of flags that a library has as numbers."""
    return values if jnp.result_type(values) == np.bool_ else jnp.asarray(values) > 0


def _whole(values: Any) -> Any:
    """Integers of lengths that a library has as floats."""
    floats = jnp.issubdtype(jnp.result_type(values), np.floating)
    return jnp.asarray(values).astype(np.int32) if floats else values
