"""The facts in run.json about logged values: the keys of each call, and the health of its lanes."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Any

from jaxlog._format import keys
from jaxlog._format.events import Key, MetricsEvent
from jaxlog._format.health import Tally
from jaxlog._format.run_file import own_total
from jaxlog._format.whole_arrays import described

SPACING = 1.0
"""The least seconds between two writes of run.json because a lane has died or recovered."""


class Logged:
    """Collects the keys and the health from each metrics event.

    Args:
      previous: the facts in run.json of a run that is resumed; empty for a new run.
    """

    def __init__(self, previous: Mapping[str, Any]) -> None:
        calls = previous.get("calls")
        self._calls: dict[str, dict[str, Key]] = {
            name: keys.from_json(call.get("keys"))
            for name, call in (calls.items() if isinstance(calls, Mapping) else ())
            if isinstance(call, Mapping)
        }
        self._arrays: dict[str, dict[str, dict[str, Any]]] = {
            name: dict(call["arrays"])
            for name, call in (calls.items() if isinstance(calls, Mapping) else ())
            if isinstance(call, Mapping) and isinstance(call.get("arrays"), Mapping)
        }
        self._totals = {call: own_total(previous, call) for call in self._calls}
        self.tally = Tally(previous.get("health"), calls)
        self._seen: dict[str, Mapping[str, Key]] = {}
        self._saved = 0.0
        self._lock = threading.Lock()

    def add(self, event: MetricsEvent) -> bool:
        """Adds one event; returns whether run.json should be written."""
        with self._lock:
            return self._add(event)

    def _add(self, event: MetricsEvent) -> bool:
        self.tally.add(event)
        if event.total_updates is not None:
            self._totals[event.name] = event.total_updates  # written with the call's keys
        if self._seen.get(event.name) is not event.keys:  # else no key is new
            self._seen[event.name] = event.keys
            known = self._calls.setdefault(event.name, {})
            if any(known.get(key) != info for key, info in event.keys.items()):
                self._calls[event.name] = {**known, **event.keys}
                self._add_arrays(event)
                return True
        if self._add_arrays(event):
            return True
        if not self.tally.changed or time.monotonic() < self._saved + SPACING:
            return False
        self._saved = time.monotonic()
        self.tally.changed = False
        return True

    def _add_arrays(self, event: MetricsEvent) -> bool:
        """Adds the dtypes and shapes of an event's arrays; returns whether any is new."""
        if not event.has_arrays or not event.num_logged:
            return False
        columns = event.columns
        # Those of the first lane.
        arrays = {
            name: array[0, ...] if array.dtype != object else array[0]
            for name, array in columns.arrays.items()
            if name not in columns.present or columns.present[name][0]
        }
        if not arrays:
            return False
        known = self._arrays.setdefault(event.name, {})
        found = {name: described(array, known.get(name)) for name, array in arrays.items()}
        if all(known.get(name) == one for name, one in found.items()):
            return False
        self._calls.setdefault(event.name, {})
        self._arrays[event.name] = {**known, **found}
        return True

    def facts(self) -> dict[str, Any]:
        """The facts for run.json."""
        with self._lock:
            return {
                "calls": {
                    name: {"keys": keys.to_json(known), **self._total_of(name)}
                    | ({"arrays": self._arrays[name]} if name in self._arrays else {})
                    for name, known in self._calls.items()
                },
                "health": self.tally.to_json(),
            }

    def _total_of(self, call: str) -> dict[str, int]:
        total = self._totals.get(call)
        return {} if total is None else {"total_updates": total}
