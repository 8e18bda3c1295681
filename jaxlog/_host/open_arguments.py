"""Checks of the arguments of `Logger.open`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jaxlog._format.events import Scalar
from jaxlog._host.plain import plain_label
from jaxlog._limits import check_name, check_text


def checked_name(name: Any) -> None:
    """Checks the name of a run.

    Raises:
      TypeError: it is not a text.
      ValueError: a file cannot hold it.
    """
    if name is None:
        return
    if not isinstance(name, str):
        raise TypeError(f"name: got {name!r:.60}, expected a text")
    check_text("name", name)


def checked_state(state: Any, if_exists: str) -> None:
    """Checks that the state is one that `Run.state` returned, and is given to resume a run.

    Raises:
      TypeError: `Run.state` did not return it.
      ValueError: the run is not to be resumed.
    """
    if state is None:
        return
    if if_exists != "resume":
        raise ValueError(
            f"state: is given with if_exists={if_exists!r}; to continue from it, give "
            "if_exists='resume'"
        )
    try:
        known = set(state) == {"run", "mark"} and all(int(state[key]) >= 0 for key in state)
    except (TypeError, ValueError, KeyError, IndexError):
        known = False
    if not known:
        raise TypeError(f"state: got {state!r:.100}, expected what `Run.state` returned")


def checked_lanes(lanes: Any) -> tuple[Mapping[str, Scalar | str], ...]:
    """Returns the labels of each lane, as plain values.

    Raises:
      TypeError: it is not a sequence of mappings, or a label is neither a number nor a text.
      ValueError: a file cannot hold a label or its name.
    """
    if lanes is None:
        return ()
    expected = "expected a dict of labels for each lane, like [{'env': 'CartPole'}, ...]"
    if isinstance(lanes, str | Mapping) or not isinstance(lanes, Sequence):
        raise TypeError(f"lanes: got {type(lanes).__name__}, {expected}")
    found = []
    for number, labels in enumerate(lanes):
        if not isinstance(labels, Mapping):
            raise TypeError(f"lanes[{number}]: got {type(labels).__name__}, {expected}")
        for key in labels:
            check_name(f"lanes[{number}]", key)
        found.append(
            {
                str(key): plain_label(f"lanes[{number}][{key!r}]", value)
                for key, value in labels.items()
            }
        )
    return tuple(found)
