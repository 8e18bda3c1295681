"""Which states an event has, and where in it they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jaxlog._format.events import EpisodeEvent, StepEvent

OF_AN_EPISODE = {"initial_state": "initial", "state": "state", "final_state": "final"}
"""The names of states in the details of an episode, and what is written above their pictures."""
OF_A_STEP = {"before_state": "before", "state": "state", "after_state": "after"}
"""The same for a step of a single environment."""


def states(event: EpisodeEvent | StepEvent) -> dict[str, Any]:
    """The states of an event, each by what is written above it, in the order they are shown.

    They are looked for in its tree; where that has none, in its details and its numbers, whose
    dotted names are made into nested mappings again.
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
    """Whether a key is a state's, or that of a part of one."""
    return key.partition(".")[0] in OF_AN_EPISODE.keys() | OF_A_STEP.keys()


def _of_tree(tree: Any, name: str) -> Any:
    if isinstance(tree, Mapping):
        return tree.get(name)
    return None if isinstance(tree, type) else getattr(tree, name, None)


def _nested(name: str, values: Mapping[str, Any]) -> Any:
    """The value of a name, or its parts as a nested mapping; None where there is neither."""
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
            if not isinstance(inner, dict):  # a name that has a dot in it
                inner = here[part] = {}
            here = inner
        here[path[-1]] = value
    return found or None
