"""The last value of each metric of a run, for who asks while it is open."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from jaxlog._format.across_lanes import values_across_lanes
from jaxlog._format.events import MetricsEvent


class _Call(NamedTuple):
    """The last events of one call.

    Attributes:
      event: its last event.
      before: for each key that no lane has in `event`, the last event that has it.
    """

    event: MetricsEvent
    before: Mapping[str, MetricsEvent]


class LastValues:
    """Keeps the last event of each call. It computes nothing until it is asked."""

    def __init__(self) -> None:
        self._calls: dict[str, _Call] = {}

    def note(self, events: Sequence[MetricsEvent]) -> None:
        """Notes some events, in the order in which they are written."""
        by_call: dict[str, list[MetricsEvent]] = {}
        for event in events:
            by_call.setdefault(event.name, []).append(event)
        for name, own in by_call.items():
            self._calls[name] = _after(self._calls.get(name), own)

    def value(self, key: str, call: str | None) -> float:
        """The last value of a key, over the lanes that are alive; NaN if none is.

        Args:
          key: the key on a line.
          call: the call that logged it; None if only one has.

        Raises:
          LookupError: no call, or several calls, have logged the key.
        """
        found = {
            name: of.before.get(key, of.event)
            for name, of in self._calls.items()
            if call in (None, name) and (key in of.before or _has(of.event, key))
        }
        if not found:
            known = sorted({k for of in self._calls.values() for k in (*of.event.keys, *of.before)})
            listed = ", ".join(known[:20]) or "nothing"
            where = "the run" if call is None else f"the call {call!r}"
            raise LookupError(f"last: {where} has not logged {key!r}, and so far: {listed}")
        if len(found) > 1:
            names = ", ".join(map(repr, sorted(found)))
            raise LookupError(f"last: {key!r} was logged by the calls {names}; give call=")
        (event,) = found.values()
        own = {key: event.keys[key]}
        return float(values_across_lanes(event.columns, own)[key].middle)


def _after(known: _Call | None, events: Sequence[MetricsEvent]) -> _Call:
    """The last events of a call after some more; most often, the last of these has all keys."""
    *others, last = events
    keys: dict[str, None] = {}
    for of in {id(event.keys): event.keys for event in events}.values():  # mostly one
        keys |= dict.fromkeys(of)
    if known is not None:
        keys |= dict.fromkeys((*known.event.keys, *known.before))
    missing = [key for key in keys if not _has(last, key)]
    before: dict[str, MetricsEvent] = {}
    for event in reversed(others):
        if not missing:
            break
        before |= {key: event for key in missing if _has(event, key)}
        missing = [key for key in missing if key not in before]
    if known is not None:
        found = ((key, known.before.get(key, known.event)) for key in missing)
        before |= {key: event for key, event in found if _has(event, key)}
    return _Call(last, before)


def _has(event: MetricsEvent, key: str) -> bool:
    """True if any lane has a value of the key, finite or not."""
    columns = event.columns
    if key not in columns.values or key in columns.edges:
        return False
    return key not in columns.present or bool(columns.present[key].any())
