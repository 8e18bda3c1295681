r"""The language that selects and sorts runs: `lr=3e-4 env:CartPole return>400 sort:-return`.

A filter is a list of terms with spaces between them, and a run has to match all of them:

    name=value   is equal to the value; name!=value is the opposite
    name:value   contains the text, in upper or lower case; a number is equal to the value
    name>value   also <, >= and <=; a time can have a unit, as in age<2h (s, min, h, d)
    word         the name of the run contains the word
    sort:name    sorts by a value, the smallest first; sort:-name the largest first

`=`, `!=` and `:` take several values: `status=failed,killed`. A value that a run does not have is
`none`. Quotes keep spaces and signs together: `note="a b"`; in them, `\"` is a quote.
"""

from __future__ import annotations

import difflib
import functools
import json
import math
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

from jaxlog._terminal import plain

RUN = "run"
"""The name of the value that a word alone is compared with: the name of the run."""
SORT = "sort"
"""The name that sorts."""

_OPERATORS = (":", "=", "!=", "<=", "<", ">=", ">")
_ORDERS: Mapping[str, Callable[[float, float], bool]] = {
    "<": float.__lt__,
    "<=": float.__le__,
    ">": float.__gt__,
    ">=": float.__ge__,
}
_UNITS = {"s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_TIME = re.compile(f"(.*[0-9.])({'|'.join(_UNITS)})")
_NEEDS_QUOTES = re.compile(r'[\s:=!<>,"\\]')
_ENDINGS = ("_", ".", "/")
_NEAREST = 3
"""The most names that a suggestion has."""
_LISTED = 24
"""The most names that are listed where none is near."""

T = TypeVar("T")


class RunFilterError(ValueError):
    """A filter cannot be read. The text says where, what is expected, and gives an example.

    Attributes:
      at: the offset in the filter of the term that cannot be read.
    """

    at = 0


class Term(NamedTuple):
    """One condition.

    Attributes:
      name: the name of the value.
      operator: one of `:`, `=`, `!=`, `<`, `<=`, `>` and `>=`.
      values: the values that are compared with it, of which one has to match.
    """

    name: str
    operator: str
    values: tuple[str, ...]

    def __str__(self) -> str:
        """The term as text, which `parsed` reads back."""
        return f"{_quoted(self.name)}{self.operator}{','.join(map(_quoted, self.values))}"

    def matches(self, value: Any) -> bool:
        """True if a value matches.

        Args:
          value: a number, a text, a bool, None if the run has no such value; a tuple of such
            values, of which one has to match; or others, such as lists, which are compared as JSON.
        """
        if isinstance(value, tuple):
            each = map(self.matches, value or (None,))
            return all(each) if self.operator == "!=" else any(each)
        match self.operator:
            case "=":
                return any(_is_equal(value, one) for one in self.values)
            case "!=":
                return not any(_is_equal(value, one) for one in self.values)
            case ":":
                return any(_contains(value, one) for one in self.values)
            case order:
                number, limit = _number_of(value), number_in(self.values[0])
                return number is not None and limit is not None and _ORDERS[order](number, limit)


class Sort(NamedTuple):
    """The order of the runs.

    Attributes:
      name: the name of the value that sorts them.
      descending: True if the largest comes first.
    """

    name: str
    descending: bool = False

    def __str__(self) -> str:
        """The order as text, which `parsed` reads back."""
        return f"{SORT}:{'-' if self.descending else ''}{_quoted(self.name)}"


@dataclass(frozen=True)
class RunFilter:
    """The conditions that a run has to match, and the order of the runs.

    Attributes:
      terms: the conditions; a run has to match all of them.
      sort: the order; None to leave it as it is.
    """

    terms: tuple[Term, ...] = ()
    sort: Sort | None = None

    def __str__(self) -> str:
        """The filter as text, which `parsed` reads back."""
        return " ".join(map(str, (*self.terms, *([self.sort] if self.sort else []))))

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the values that it needs, each once."""
        sort = [self.sort.name] if self.sort else []
        return tuple(dict.fromkeys([*(term.name for term in self.terms), *sort]))

    def select(self, runs: Sequence[T], value_of: Callable[[T, str], Any]) -> list[T]:
        """Returns the runs that match, in the order of `sort`.

        Numbers are smaller than texts. Runs without the value, or with NaN, come last, and runs
        with equal values keep their order.

        Args:
          runs: the runs.
          value_of: returns the value of a run by its name, as for `Term.matches`.
        """
        found = [run for run in runs if all(t.matches(value_of(run, t.name)) for t in self.terms)]
        if self.sort is None:
            return found
        keys = [(_rank(value_of(run, self.sort.name)), run) for run in found]
        known = [(key, run) for key, run in keys if key is not None]
        known.sort(key=lambda one: one[0], reverse=self.sort.descending)
        return [run for _, run in known] + [run for key, run in keys if key is None]


def parsed(text: str) -> RunFilter:
    """Reads a filter; an empty text matches every run.

    Raises:
      RunFilterError: the text is not a filter.

    >>> str(parsed("lr=3e-4  env:CartPole ppo return>400 sort:-return"))
    'lr=3e-4 env:CartPole run:ppo return>400 sort:-return'
    """
    terms: list[Term] = []
    sort: Sort | None = None
    for word in _words(text):
        try:
            one = _term(word)
            if isinstance(one, Sort) and sort is not None:
                raise RunFilterError(
                    f"got a second order, {word.text}, expected one; leave out {sort} or {one}"
                )
        except RunFilterError as error:
            error.at = word.start
            raise
        if isinstance(one, Sort):
            sort = one
        else:
            terms.append(one)
    return RunFilter(tuple(terms), sort)


def full_name(name: str, known: Collection[str]) -> str | None:
    """Finds the name that a short name stands for; None if there is none.

    It is the name itself, or its plural; or else the shortest name that ends with one of them after
    `_`, `.` or `/`.

    >>> full_name("lr", ["status", "optimizer.lr"]), full_name("return", ["episode_return"])
    ('optimizer.lr', 'episode_return')
    >>> full_name("tag", ["status", "tags"])
    'tags'
    """
    if name in known:
        return name
    if f"{name}s" in known:
        return f"{name}s"
    endings = tuple(f"{sign}{name}{plural}" for sign in _ENDINGS for plural in ("", "s"))
    return min((one for one in known if one.endswith(endings)), key=len, default=None)


def no_such_names(missing: Sequence[str], known: Iterable[str]) -> str:
    """Says that no run has a value of some names, and suggests similar names.

    >>> no_such_names(["lrr"], ["lr", "env"])
    'no run has lrr; did you mean lr?'
    """
    # A name can be shortened to its end, so a mistyped one may be near to an end.
    names = list(known)
    ends = {end: name for name in names for end in (*re.split(r"[_./]", name), name)}
    near = [ends[o] for name in missing for o in difflib.get_close_matches(name, ends, _NEAREST)]
    found = ", ".join(map(plain, missing))
    if near:
        shown = list(map(plain, dict.fromkeys(near)))
        return f"no run has {found}; did you mean {' or '.join(shown)}?"
    shown = ", ".join(map(plain, names[:_LISTED])) + (", …" if len(names) > _LISTED else "")
    return f"no run has {found}, expected one of {shown}"


@functools.lru_cache(4096)
def number_in(text: str) -> float | None:
    """Reads a number, or a time in seconds; None if the text is neither.

    >>> number_in("3e-4"), number_in("2h"), number_in("fast")
    (0.0003, 7200.0, None)
    """
    found = _TIME.fullmatch(text)
    try:
        return float(found[1]) * _UNITS[found[2]] if found else float(text)
    except ValueError:
        return None


class _Word(NamedTuple):
    """A part of a filter between spaces.

    Attributes:
      start: the offset at which it begins.
      text: the part as it was written.
      parts: its texts without quotes, and between them the operators and commas.
      signs: for each of `parts`, True if it is an operator or a comma.
    """

    start: int
    text: str
    parts: list[str]
    signs: list[bool]


_PIECE = re.compile(r'"((?:[^"\\]|\\.)*)"|(!=|<=|>=|[:=<>,])|(\s+)|([^\s"])', re.DOTALL)


def _words(text: str) -> list[_Word]:
    words: list[_Word] = []
    at, start, word = 0, 0, _Word(0, "", [], [])
    joins = False  # True if the next text belongs to the part before

    def finish(end: int) -> None:
        if word.parts:
            words.append(word._replace(start=start, text=text[start:end]))

    while at < len(text):
        piece = _PIECE.match(text, at)
        if piece is None:
            error = RunFilterError(
                f'got {text[at:]} without a closing quote, expected "…"; '
                'write \\" for a quote in a text'
            )
            error.at = at
            raise error
        quoted, sign, space, letter = piece.groups()
        if space is not None:
            finish(at)
            start, word, joins = piece.end(), _Word(0, "", [], []), False
        elif sign is not None:
            word.parts.append(sign)
            word.signs.append(True)
            joins = False
        else:
            own = letter if quoted is None else re.sub(r"\\(.)", r"\1", quoted, flags=re.DOTALL)
            if joins:
                word.parts[-1] += own
            else:
                word.parts.append(own)
                word.signs.append(False)
            joins = True
        at = piece.end()
    finish(at)
    return words


def _term(word: _Word) -> Term | Sort:
    parts = list(zip(word.parts, word.signs, strict=True))
    at = next((i for i, (part, sign) in enumerate(parts) if sign and part != ","), None)
    if at is None:
        if any(word.signs):
            raise RunFilterError(
                f"{word.text}: got a comma without a name, expected values after one, like "
                "status=failed,killed"
            )
        return Term(RUN, ":", (word.parts[0],))
    name, operator, rest = word.parts[:at], word.parts[at], word.parts[at + 1 :]
    signs = word.signs[at + 1 :]
    if len(name) != 1 or not name[0]:
        raise RunFilterError(
            f"{word.text}: got {operator} without one name before it, expected a term like "
            f"return{operator}400, without spaces"
        )
    if not rest:
        raise RunFilterError(
            f"{word.text}: got no value after {operator}, expected a term like "
            f"{name[0]}{operator}400, without spaces"
        )
    if any(sign and part != "," for part, sign in zip(rest, signs, strict=True)):
        raise RunFilterError(
            f"{word.text}: got a second sign in a term, expected one of {' '.join(_OPERATORS)}; "
            'put a value with such signs into quotes, like note="a:b"'
        )
    if signs != [i % 2 == 1 for i in range(len(signs))] or signs[-1]:
        raise RunFilterError(
            f"{word.text}: got a comma without a value beside it, expected values like "
            f'{name[0]}{operator}1,2; an empty text is ""'
        )
    values = tuple(part for part, sign in zip(rest, signs, strict=True) if not sign)
    if name[0] == SORT:
        return _sort(word, operator, values)
    if operator in _ORDERS and (len(values) != 1 or number_in(values[0]) is None):
        raise RunFilterError(
            f"{word.text}: got {','.join(values)} after {operator}, expected one number such as "
            "3e-4, or a time such as 30s, 5min, 2h or 1d"
        )
    return Term(name[0], operator, values)


def _sort(word: _Word, operator: str, values: tuple[str, ...]) -> Sort:
    name = values[0].removeprefix("-") if len(values) == 1 else ""
    if operator != ":" or not name:
        raise RunFilterError(
            f"{word.text}: got {SORT}{operator}{','.join(values)}, expected one name, like "
            f"{SORT}:return, or {SORT}:-return for the largest first"
        )
    return Sort(name, values[0].startswith("-"))


def _quoted(text: str) -> str:
    if text and not _NEEDS_QUOTES.search(text):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _text_of(value: Any) -> str:
    match value:
        case None:
            return "none"
        case tuple():
            return ", ".join(map(_text_of, value))
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case _:
            return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)


def _number_of(value: Any) -> float | None:
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float):
        try:
            return float(value)
        except OverflowError:  # an integer beyond all floats
            return math.inf if value > 0 else -math.inf
    # YAML reads 3e-4 as a text, since it has no point.
    return number_in(value) if isinstance(value, str) else None


def _is_equal(value: Any, wanted: str) -> bool:
    one, other = _number_of(value), number_in(wanted)
    if one is None or other is None:
        return _text_of(value).casefold() == wanted.casefold()
    return one == other or (math.isnan(one) and math.isnan(other))


def _contains(value: Any, wanted: str) -> bool:
    if isinstance(value, str):
        return wanted.casefold() in value.casefold()
    return _is_equal(value, wanted)


def _rank(value: Any) -> tuple[int, float, str] | None:
    """The place of a value in an order; None for no value, and for one that is not a number."""
    number = _number_of(value)
    if value is None or (number is not None and math.isnan(number)):
        return None
    return (1, 0.0, _text_of(value).casefold()) if number is None else (0, number, "")
