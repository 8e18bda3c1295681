"""Finds the states of an event."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jaxlog._format.events import EpisodeEvent, StepEvent

OF_AN_EPISODE = {"initial_state": "initial", "state": "state", "final_state": "final"}
"""The names of states in the details of an episode, and the titles of their pictures."""
OF_A_STEP = {"before_state": "before", "state": "state", "after_state": "after"}
"""The same for a step of a single environment."""


def states(event: EpisodeEvent | StepEvent) -> dict[str, Any]:
    """Returns the states of an event by title, in the order they are shown.

    They come from its tree, or else from its details and numbers, where dotted names become nested
    mappings.
    """
    names = OF_A_STEP if isinstance(event, StepEvent) else OF_AN_EPISODE
    numbers = event.values if isinstance(event, StepEvent) else event.episode
    found = {}
    for name, title in names.items():
        state = _of_tree(event.tree, name)
        if state is None:
            state = _nested(name, {**numbers, **event.details})
        if state is not None:
            found[title] = state
    return found


def is_of_a_state(key: str) -> bool:
    """True if a key is the name of a state, or of a part of one."""
    return key.partition(".")[0] in OF_AN_EPISODE.keys() | OF_A_STEP.keys()


def _of_tree(tree: Any, name: str) -> Any:
    if isinstance(tree, Mapping):
        return tree.get(name)
    return None if isinstance(tree, type) else getattr(tree, name, None)


def _nested(name: str, values: Mapping[str, Any]) -> Any:
    """Returns a value, or its dotted parts as a nested mapping; None if there is neither."""
    if name in values:
        return values[name]
    found: dict[str, Any] = {}
    for key, value in values.items():
        start, *path = key.split(".")
        if start != name or not path:
            continue
        here = found
        for part in path[:-1]:
            inner = here.setdefault(part, {})
            if not isinstance(inner, dict):  # a name with a dot in it
                inner = here[part] = {}
            here = inner
        here[path[-1]] = value
    return found or None
