"""Compares what made two runs: config, settings, command, code, packages and environment."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jaxlog import _run_files
from jaxlog._format.nonfinite import without_nonfinite
from jaxlog._format.what_ran import FOLDER
from jaxlog._host.status import facts_of
from jaxlog._reading.code_diff import changed_lines, compared
from jaxlog._reading.finding import Where, check_run, run_path
from jaxlog._store.known import shown
from jaxlog._text import counted
from jaxlog.sinks.summaries import flat

SECTIONS = ("run", "config", "settings", "command", "code", "packages", "environment")
"""The parts of a comparison, in their order."""
_MOST_BYTES = 2**22
"""The most bytes of a file with packages or of a diff."""
_FILE = re.compile(rf"{FOLDER}/(packages|code|cells)(\.\d+)?\.(txt|diff|py)")
_PACKAGE = re.compile(r"(?P<name>[^=\s]+)==(?P<version>.+)")


@dataclass(frozen=True)
class RunDifference:
    """The difference between two runs; made by `jaxlog.diff`. False if there is none.

    Attributes:
      names: the names of the runs.
      sections: by section (`run`, `config`, `settings`, `command`, `code`, `packages`,
        `environment`), the names whose values differ, each with the values of both runs. A value
        that a run does not have is left out of its dict, which has the keys `a` and `b`.
      code: the lines in which the uncommitted changes of the code differ, as a unified diff of the
        two outputs of `git diff`; and those in which the cells of notebooks differ.
      notes: sentences about what is not known, and so was not compared.
    """

    names: tuple[str, str]
    sections: Mapping[str, Mapping[str, Mapping[str, Any]]]
    code: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """True if the runs differ."""
        return bool(self.code) or any(self.sections.values())

    def __str__(self) -> str:
        """The difference as lines of text."""
        return "\n".join(text for text, _ in self.lines())

    def lines(self) -> list[tuple[str, str]]:
        """Returns the lines of the text, each with its kind: `head`, `a`, `b`, `note`, or empty."""
        found = [(f"--- {self.names[0]}", "a"), (f"+++ {self.names[1]}", "b")]
        for section, rows in self.sections.items():
            if rows or (section == "code" and self.code):
                found.append((section, "head"))
            for name, values in rows.items():
                found.append((f"  {name}", ""))
                found += [(f"  - {_text(values['a'])}", "a")] if "a" in values else []
                found += [(f"  + {_text(values['b'])}", "b")] if "b" in values else []
            if section == "code":
                found += [(f"  {line}", _KINDS.get(line[:1], "")) for line in self.code]
        if not self:
            found.append(("no difference in what was compared", "note"))
        return [*found, *((note, "note") for note in self.notes)]

    def to_dict(self) -> dict[str, Any]:
        """Returns the difference as plain values, for JSON.

        A number that is not finite is None, and `nonfinite` says which it was, by JSON pointer.
        """
        sections = {
            section: {name: dict(values) for name, values in rows.items()}
            for section, rows in self.sections.items()
            if rows
        }
        whole = {
            "a": self.names[0],
            "b": self.names[1],
            "differ": bool(self),
            "sections": sections,
            "code": list(self.code),
            "notes": list(self.notes),
        }
        finite, nonfinite = without_nonfinite(whole)
        return finite | ({"nonfinite": nonfinite} if nonfinite else {})

    def _repr_html_(self) -> str:
        from jaxlog._analysis.html_tables import MOST_ROWS, html_table
        from jaxlog._render.markup import escape

        rows = [
            (section, name, *(_text(values[side]) if side in values else "" for side in "ab"))
            for section, found in self.sections.items()
            for name, values in found.items()
        ]
        notes = list(self.notes)
        if len(rows) > MOST_ROWS:
            more = counted(len(rows) - MOST_ROWS, "more row is", "more rows are")
            notes.append(f"{more} left out: see .sections")
        if not self:
            notes.insert(0, "no difference in what was compared")
        table = html_table(
            (" and ".join(self.names),), ("", "", *self.names), rows[:MOST_ROWS], notes
        )
        return table + (f"<pre>{escape(chr(10).join(self.code))}</pre>" if self.code else "")


_KINDS = {"-": "a", "+": "b", "@": "head"}
"""The kind of a line of a unified diff by its first character."""


def diff(a: Where, b: Where, *, only: Sequence[str] = ()) -> RunDifference:
    """Compares what made two runs: config, settings, command, code, packages and environment.

    Of a resumed run, the last session is compared. Nothing that the runs logged is read; for that,
    there is `jaxlog.compare`.

    Args:
      a: the directory of a run.
      b: that of another.
      only: the sections that are compared; empty for all.

    Raises:
      FileNotFoundError: there is no run.
      NotADirectoryError: a path is that of a file.
      ValueError: there is no such section, or a path is an address that is not that of a store.

    >>> import tempfile
    >>> import jaxlog
    >>> logger = jaxlog.Logger({})
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     for rate in (0.1, 0.2):
    ...         with logger.open(f"{directory}/rate-{rate}", config={"lr": rate, "layers": 2}):
    ...             pass
    ...     found = jaxlog.diff(f"{directory}/rate-0.1", f"{directory}/rate-0.2")
    >>> dict(found.sections["config"]), bool(found)
    ({'lr': {'a': 0.1, 'b': 0.2}}, True)
    """
    if unknown := [name for name in only if name not in SECTIONS]:
        raise ValueError(f"only: got {unknown[0]!r}, expected some of {', '.join(SECTIONS)}")
    paths = run_path(a, "a"), run_path(b, "b")
    for path in paths:
        check_run(path)
    wanted = [name for name in SECTIONS if name in only or not only]
    runs = [_Made(path) for path in paths]
    names = _names(paths)
    notes: list[str] = []
    sections: dict[str, dict[str, dict[str, Any]]] = {}
    for section in wanted:
        values = [run.section(section) for run in runs]
        absent = [name for name, found in zip(names, values, strict=True) if found is None]
        if len(absent) == 1:
            notes.append(f"{absent[0]} has no record of its {section}, so it was not compared")
        elif absent:
            notes.append(f"neither run has a record of its {section}")
        sections[section] = {} if absent else _differing(*(found or {} for found in values))
    code: list[str] = []
    if "code" in wanted and all(run.section("code") is not None for run in runs):
        diffs = [run.diff() for run in runs]
        code = compared(diffs[0] or "", diffs[1] or "", names)
        before, after = ((run.cells() or "").splitlines() for run in runs)
        code += changed_lines("the cells of the notebook", before, after, names)
        notes += [n for run, name in zip(runs, names, strict=True) for n in run.code_notes(name)]
    for run, name in zip(runs, names, strict=True):
        if run.sessions:
            times = "once" if run.sessions == 1 else f"{run.sessions} times"
            notes.append(f"{name} was resumed {times}; its last session was compared")
    return RunDifference(names, sections, tuple(code), tuple(notes))


class _Made:
    """The facts about what made one run, from run.json and the files beside it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._facts = facts_of(path)
        earlier = self._facts.get("sessions")
        self.sessions = len(earlier) if isinstance(earlier, list) else 0

    def section(self, name: str) -> dict[str, Any] | None:
        """The values of a section by name; None if the run has no record of them."""
        if name == "run":
            # Not the counts of lanes, which only a run that was closed has.
            keys = ("total_updates", "lanes")
            return {key: self._facts[key] for key in keys if key in self._facts}
        found = self._facts.get(name)
        if not isinstance(found, Mapping):
            return None
        match name:
            case "command":
                words = found.get("words")
                own = {"words": shlex.join(map(str, words))} if isinstance(words, list) else {}
                return own | {key: found[key] for key in found if key != "words"}
            case "code":
                keys = ("commit", "branch", "remote", "root", "untracked_files")
                return {key: found[key] for key in keys if key in found}
            case "packages":
                return self._packages(found)
            case "environment":
                versions = self._facts.get("versions")
                own = {"host": self._facts.get("host"), "versions": versions, **found}
                return dict(
                    flat({key: value for key, value in own.items() if value not in (None, {})})
                )
        return dict(flat(found))

    def _packages(self, found: Mapping[str, Any]) -> dict[str, Any] | None:
        text = self._file(found.get("file"))
        if text is None:
            return None
        lines = (_PACKAGE.fullmatch(line) for line in text.splitlines())
        return {match["name"]: match["version"] for match in lines if match is not None}

    def diff(self) -> str | None:
        """The output of `git diff`; None if nothing differed from the commit, or it is missing."""
        found = self._facts.get("code")
        return self._file(found.get("diff")) if isinstance(found, Mapping) else None

    def cells(self) -> str | None:
        """The cells of the notebook; None for a program."""
        found = self._facts.get("code")
        return self._file(found.get("cells")) if isinstance(found, Mapping) else None

    def code_notes(self, name: str) -> list[str]:
        """Sentences about what is not known of the code."""
        found = self._facts.get("code")
        if not isinstance(found, Mapping):
            return []
        notes: list[str] = []
        if "missing" in found:
            notes.append(f"the code of {name} is not all known: {found['missing']}")
        if found.get("diff_is_cut"):
            notes.append(f"the diff of {name} is cut")
        if "diff" in found and self.diff() is None:
            notes.append(f"the diff of {name} is missing")
        return notes

    def _file(self, inside: Any) -> str | None:
        """The text of a file of the run; None if it is missing, or is not one of jaxlog's."""
        if not isinstance(inside, str) or _FILE.fullmatch(inside) is None:
            return None
        try:
            return _run_files.read_small_below(self._path, inside, _MOST_BYTES).decode(
                errors="replace"
            )
        except OSError:
            return None


def _differing(a: Mapping[str, Any], b: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The names whose values differ, or which only one has."""
    found: dict[str, dict[str, Any]] = {}
    for name in dict.fromkeys([*a, *b]):
        sides = {side: of[name] for side, of in (("a", a), ("b", b)) if name in of}
        if len(sides) == 1 or not _same(sides["a"], sides["b"]):
            found[name] = sides
    return found


def _same(a: Any, b: Any) -> bool:
    """True for equal values of one kind; NaN is equal to NaN, and True is not 1."""
    return repr(a) == repr(b) or (
        a == b and isinstance(a, int | float) and isinstance(a, bool) == isinstance(b, bool)
    )


def _names(paths: tuple[Path, Path]) -> tuple[str, str]:
    """Names two runs: by their paths or addresses."""
    return shown(paths[0]), shown(paths[1])


def _text(value: Any) -> str:
    """A value on one line; a text without quotes, if it is readable without them."""
    return value if isinstance(value, str) and value.isprintable() and value else repr(value)
