"""The answers that are made from the values of runs: some say how many of the runs they are of."""

from __future__ import annotations

import contextlib
from collections import OrderedDict
from collections.abc import Hashable, Sequence
from typing import Any, NamedTuple

from jaxlog._analysis.comparing import Comparison
from jaxlog._page.asked import AbsentError, Asked, AskedError
from jaxlog._page.chart_values import chart_curves
from jaxlog._page.comparisons import answer, compared, comparison
from jaxlog._page.curves import ChartQuery, curves
from jaxlog._page.figure_code import figure_code
from jaxlog._page.folded_runs import Slice
from jaxlog._page.followed import FollowedRun, FollowedRuns
from jaxlog._page.heat import heat
from jaxlog._page.run_store import RunStore
from jaxlog._page.table import grouping, main_metric
from jaxlog._terminal import plain
from jaxlog._text import counted

MOST_COMPARISONS = 8
"""The most comparisons that are kept: two addresses, or more with a baseline, need each."""


class Made(NamedTuple):
    """The content of an answer.

    Attributes:
      content: bytes, or values for JSON.
      is_whole: False if not all runs are read.
    """

    content: Any
    is_whole: bool = True


class Compared(NamedTuple):
    """A comparison.

    Attributes:
      comparison: the comparison; None if not all runs are read.
      notes: what could not be read, in sentences.
      read: the number of runs that are read.
      of: the number of runs.
    """

    comparison: Comparison | None
    notes: Sequence[str]
    read: int
    of: int


class ValueAnswers:
    """Makes answers from values; one thread at a time may use it.

    Args:
      followed: the runs.
      store: reads them.
    """

    def __init__(self, followed: FollowedRuns, store: RunStore) -> None:
        self._followed, self._store = followed, store
        self._comparisons: OrderedDict[Hashable, Compared] = OrderedDict()

    def answer(self, asked: Asked, runs: list[FollowedRun], part: Slice) -> Made:
        """The sentence that the first screen begins with, once all runs are read."""
        with self._followed.lock:
            main = main_metric(runs, asked)
            by = grouping(runs, main, asked)
        found, read, of = None, len(runs), len(runs) + part.unlooked
        if main is not None:
            with contextlib.suppress(AbsentError):
                compared = self._compared(runs, main.call, main.key, by, part)
                read, of = compared.read, compared.of
                if compared.comparison is not None:
                    found = answer(compared.comparison, main.call, main.key)
        return self._partly(
            {"version": _version(runs), "answer": found, "notes": self._notes(asked)}, read, of
        )

    def _compared(
        self, runs: list[FollowedRun], call: str, key: str, by: Sequence[str], part: Slice
    ) -> Compared:
        """Compares groups; the last comparisons are kept.

        Raises:
          AbsentError: there is no such metric or label, or no finite score.
        """
        name = self._followed.state_of(runs), part.unlooked, call, key, tuple(by)
        if name not in self._comparisons:
            rows = self._store.last_rows(runs, call, key, part)
            notes, of = tuple(map(plain, self._store.notes)), rows.of + part.unlooked
            if rows.read < of:
                return Compared(None, notes, rows.read, of)
            made = compared(rows.runs, call, key, by, only_last=rows.only_last)
            self._comparisons[name] = Compared(made, notes, rows.read, of)
        self._comparisons.move_to_end(name)
        while len(self._comparisons) > MOST_COMPARISONS:
            self._comparisons.popitem(last=False)
        return self._comparisons[name]

    def curves(self, asked: Asked, runs: list[FollowedRun], part: Slice) -> Made:
        """The curves of a metric, of the runs that are read."""
        by_id = {run.id: run.row.name for run in runs}
        pinned = [by_id[one] for one in asked.listed("pin") if one in by_id]
        query = ChartQuery.read(asked, self._grouping(asked, runs), pinned)
        code = figure_code(self._followed, runs, query)
        found = chart_curves(self._store, runs, query.of, part)
        of = found.of + part.unlooked
        notes = [*self._notes(asked), *self._store.notes]
        body = curves(found._replace(of=of), query, _version(runs), notes, code)
        return Made(body, found.read == of)

    def comparison(self, asked: Asked, runs: list[FollowedRun], part: Slice) -> Made:
        """The comparison of groups, once all runs are read."""
        call, key, by = asked.text("call"), asked.text("key"), self._grouping(asked, runs)
        found = self._compared(runs, call, key, by, part)
        notes, version = [*self._notes(asked), *found.notes], _version(runs)
        if found.comparison is None:
            content = {"version": version, "title": plain(key), "rows": [], "notes": notes}
        else:
            baseline = asked.text("baseline")
            content = comparison(found.comparison, call, key, baseline, version, notes)
        return self._partly(content, found.read, found.of)

    def _partly(self, content: dict[str, Any], read: int, of: int) -> Made:
        """An answer that says how many runs were read for it."""
        return Made(content | {"read": read, "of": of}, read == of)

    def _grouping(self, asked: Asked, runs: list[FollowedRun]) -> list[str]:
        """The names that define the groups of the metric that is asked for."""
        if not (asked.text("call") and asked.text("key")):
            raise AskedError("got no metric, expected call= and key=, as `metrics` lists them")
        with self._followed.lock:
            return grouping(runs, main_metric(runs, asked), asked)

    def heat(self, asked: Asked, runs: list[FollowedRun], _: Slice) -> Made:
        """The histograms of a run over steps."""
        one = asked.text("run")
        chosen = [run for run in runs if run.id == one] if one else runs
        call, key = asked.text("call"), asked.text("key")
        found = self._store.rows(chosen, call, key)
        if found.only_last:
            raise AskedError(f"{key}: has too many histograms to show them")
        version, notes = _version(chosen), self._notes(asked)
        return Made(heat(found.runs.by_name(), call, key, version, notes))

    def _notes(self, asked: Asked) -> Sequence[str]:
        """Notes for the reader about the runs of an answer."""
        off = asked.listed("off")
        return [f"{counted(len(off), 'run is', 'runs are')} switched off"] if off else []


def _version(runs: Sequence[FollowedRun]) -> int:
    return max((run.stamp for run in runs), default=0)
