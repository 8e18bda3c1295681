"""The report: the page about some runs in one file, with as many answers as it has room for."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlencode

import orjson

from jaxlog._page.answers import Answers
from jaxlog._page.asked import AbsentError, AskedError
from jaxlog._page.html import PackedAnswer, frozen_page, packed
from jaxlog._page.run_pictures import has_pictures
from jaxlog._page.table import MOST_ROWS

ROOM = 1_500_000
"""The characters of all answers, and of each run more:"""
ROOM_OF_A_RUN = 2_000
MOST_ROOM = 3_500_000
"""The most characters of all answers."""
ROOM_OF_CURVES = 0.6
"""The part of the room that curves take at most, so that pictures have some."""
ROOM_OF_CHOICES = 0.5
"""The part of the room that is taken, from which on no more is added that only controls lead to."""
MOST_CURVES = 400
"""The most metrics that have curves."""
POINTS, MAIN_POINTS = 200, 600
"""The points of a curve, and of one of the main metric."""
MOST_PICTURES = 24
"""The most pictures of one run; of several runs, all have as many in turn."""
MOST_FILMS = 8
"""The most films of one run."""
PICTURES_OF_ALL = 240
MOST_WORK = 4_000
"""The runs, groups and lanes of all answers that only the page's controls lead to."""
MOST_BASELINES = 12
"""The most groups to which all others are compared."""
_BANDS = ("iqr", "ci", "range", "none")
_X = ("env_step", "relative", "time")


class Report(NamedTuple):
    """A report.

    Attributes:
      page: the file.
      notes: what could not be read of the runs, in sentences.
    """

    page: str
    notes: Sequence[str]


def report(answers: Answers, made: datetime) -> Report:
    """Makes the report of the runs that are followed.

    Args:
      answers: answers about them.
      made: the time that the page shows as its own.

    Raises:
      FileNotFoundError: the page's chart library is not there.
    """
    answers.followed.freeze()
    collected = _Collected(answers)
    runs = collected.json("runs", limit=MOST_ROWS)
    collected.room = min(MOST_ROOM, ROOM + ROOM_OF_A_RUN * runs["total"])
    _collect(collected, runs)
    notes = [*answers.problems, *collected.notes]
    page = frozen_page(runs["title"], collected.found, "", made)
    return Report(page, list(dict.fromkeys(notes)))


class _Collected:
    """Answers, by their addresses.

    Args:
      answers: gives them.

    Attributes:
      followed: the runs.
      found: the answers.
      room: the characters that there is room for.
      is_full: True once there was no room for an answer.
      notes: what the answers to `facts` say that could not be read.
    """

    def __init__(self, answers: Answers) -> None:
        self._answers = answers
        self.followed = answers.followed
        self.found: dict[str, PackedAnswer] = {}
        self._taken = 0
        self.room = MOST_ROOM
        self.is_full = False
        self.notes: list[str] = []

    @property
    def taken(self) -> float:
        """The part of the room that is taken."""
        return self._taken / self.room

    def add(self, name: str, **parameters: Any) -> bytes | None:
        """Adds an answer and returns it; None if there is none, or no room for it."""
        given = {key: value for key, value in sorted(parameters.items()) if value}
        query = urlencode(given)
        address = f"{name}?{query}" if query else name
        if address not in self.found:
            one = self._packed(name, query)
            if one is None:
                return None
            if self._taken + len(one.text) > self.room:
                self.is_full = True
                return None
            self.found[address] = one
            self._taken += len(one.text)
        return self.found[address].body

    def _packed(self, name: str, query: str) -> PackedAnswer | None:
        if name.startswith("picture/"):
            name, run, picture = name.split("/")
            query = urlencode({"run": run, "name": picture})
        try:
            answer = self._answers.of(name, query)
        except (AbsentError, AskedError):  # none of these runs has it
            return None
        return None if answer is None else packed(answer.body)

    def json(self, name: str, **parameters: Any) -> Any:
        """Adds an answer and returns what it says; None as `add`."""
        body = self.add(name, **parameters)
        return None if body is None else orjson.loads(body)


def _collect(collected: _Collected, runs: dict[str, Any]) -> None:
    """Adds what the page shows, the most important first; then what its controls lead to."""
    rows, main = runs["rows"], runs["main"]
    metrics = collected.json("metrics") or {"metrics": []}
    curves = [one for one in metrics["metrics"] if one["kind"] == "curve"]
    of_main = {} if main is None else {"call": main["call"], "key": main["key"]}
    if main is not None:
        collected.add("answer", **of_main)
        collected.add("comparison", **of_main)
        collected.add("curves", **of_main, points=MAIN_POINTS)
    others = [_metric(one) for one in sorted(curves, key=lambda one: one["beside"])]
    others = [one for one in others if one != of_main][:MOST_CURVES]
    for one in others:
        if collected.taken > ROOM_OF_CURVES:
            break
        collected.add("curves", **one, points=POINTS)
    for one in metrics["metrics"]:
        if one["kind"] == "histogram" and rows:
            collected.add("heat", **_metric(one), run=rows[0]["id"])
    for row in rows:
        facts = collected.json("facts", run=row["id"])
        if facts is None:
            break
        collected.notes += facts["notes"]
    choices = _Choices(collected, runs)
    if main is not None:
        choices.add_of_main(of_main)
    paths = {run.id: run.row.path for run in collected.followed.runs()}
    _collect_pictures(collected, [row["id"] for row in rows if has_pictures(paths[row["id"]])])
    choices.add_of_others(others)


class _Choices:
    """Adds what the controls lead to, until it is too much.

    Args:
      collected: the answers.
      runs: the answer to `runs`.
    """

    def __init__(self, collected: _Collected, runs: dict[str, Any]) -> None:
        self._collected = collected
        self._left = MOST_WORK
        total = runs["total"]
        lanes = [one["values"] for one in runs["groups"] if one["kind"] == "lane"]
        self._lanes = total * (1 + max(lanes, default=0))
        """About the cost of an answer for which all lanes have to be looked at."""
        self._alternatives: list[tuple[dict[str, str], int]] = [
            ({"group": one["name"]}, total + one["values"])
            for one in runs["groups"]
            if not one["default"]
        ]
        self._alternatives += [({"x": x}, total) for x in _X]
        self._alternatives += [
            ({"band": band}, self._lanes if band in ("iqr", "ci") else total) for band in _BANDS
        ]

    def add_of_main(self, main: dict[str, str]) -> None:
        """Adds what the controls of the main metric lead to."""
        for changes, cost in self._alternatives:
            if self._affords(cost):
                self._collected.add("curves", **main, **changes, points=MAIN_POINTS)
            if "group" in changes and self._affords(self._lanes):
                self._compare({**main, **changes})
        compared = self._collected.json("comparison", **main)
        rows = [] if compared is None else compared["rows"]
        if 1 < len(rows) <= MOST_BASELINES and self._affords(len(rows)):
            for row in rows:
                self._collected.add("comparison", **main, baseline=row["name"])

    def add_of_others(self, others: Sequence[dict[str, str]]) -> None:
        """Adds comparisons of other metrics, and what the controls do with their curves."""
        for one in others:
            if not self._affords(self._lanes):
                break
            self._compare(one)
        for changes, cost in self._alternatives:
            for one in others:
                is_full = self._collected.is_full or self._collected.taken > ROOM_OF_CHOICES
                if is_full or not self._affords(cost):
                    return
                self._collected.add("curves", **one, **changes, points=POINTS)

    def _compare(self, asked: dict[str, str]) -> None:
        self._collected.add("comparison", **asked)
        self._collected.add("answer", **asked)

    def _affords(self, cost: int) -> bool:
        if cost > self._left:
            return False
        self._left -= cost
        return True


def _collect_pictures(collected: _Collected, runs: Sequence[str]) -> None:
    """Adds pictures of as many runs as there is room for, of each about as many."""
    most = max(4, min(MOST_PICTURES, PICTURES_OF_ALL // max(1, len(runs))))
    for run in runs:
        listed = collected.json("pictures", run=run)
        if listed is None:
            return
        for one in listed["films"][: min(most, MOST_FILMS)]:
            collected.add("film", **dict(parse_qsl(one["source"].partition("?")[2])))
        pictures = [*listed["images"], *listed["episodes"][:most], *listed["arrays"]]
        if any(collected.add(picture["source"]) is None for picture in pictures):
            return


def _metric(one: dict[str, Any]) -> dict[str, str]:
    return {"call": one["call"], "key": one["key"]}
