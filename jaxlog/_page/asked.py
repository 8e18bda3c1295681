"""The parameters of an address that the page asks for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from urllib.parse import parse_qs

from jaxlog._reading.run_filter import RunFilter, RunFilterError, Sort, parsed

MOST_BYTES = 2**16
"""The most bytes of the parameters of one address."""
MOST_PARAMETERS = 1000


class AskedError(ValueError):
    """A parameter cannot be read. The text has what is expected."""


class AbsentError(LookupError):
    """An address names a run, a metric or a group that there is not."""


class Asked:
    """The parameters after the `?` of an address.

    Args:
      query: the text after the `?`.

    Raises:
      AskedError: it is too long.
    """

    def __init__(self, query: str) -> None:
        if len(query) > MOST_BYTES:
            raise AskedError(f"got {len(query):,} bytes of parameters, expected at most 65,536")
        try:
            self._values = parse_qs(query, max_num_fields=MOST_PARAMETERS, errors="replace")
        except ValueError:
            raise AskedError(f"got more than {MOST_PARAMETERS:,} parameters") from None

    def text(self, name: str) -> str:
        """The value of a parameter; empty if it is not given."""
        return self._values.get(name, [""])[0]

    def several(self, name: str) -> tuple[str, ...]:
        """All values of a parameter that may be repeated."""
        return tuple(dict.fromkeys(self._values.get(name, ())))

    def listed(self, name: str) -> tuple[str, ...]:
        """The values of a parameter with commas between them."""
        return tuple(one for one in self.text(name).split(",") if one)

    def choice(self, name: str, choices: Sequence[str]) -> str:
        """One of some values; the first of them if none is given.

        Raises:
          AskedError: it is none of them.
        """
        value = self.text(name) or choices[0]
        if value not in choices:
            raise AskedError(f"{name}: got {value!r:.100}, expected one of {', '.join(choices)}")
        return value

    def integer(self, name: str, default: int, least: int, most: int) -> int:
        """An integer between two others.

        Raises:
          AskedError: it is not.
        """
        text = self.text(name)
        if not text:
            return default
        if not (text.isascii() and text.isdecimal() and len(text) < 20):
            raise AskedError(f"{name}: got {text!r:.100}, expected an integer")
        return max(least, min(int(text), most))

    def number(self, name: str, default: float) -> float:
        """A finite number.

        Raises:
          AskedError: it is not.
        """
        text = self.text(name)
        try:
            value = float(text) if text else default
        except ValueError:
            value = math.nan
        if text and not math.isfinite(value):
            raise AskedError(f"{name}: got {text!r:.100}, expected a number")
        return value

    def where(self) -> RunFilter:
        """The filter of the runs, in the order of `sort` or of the filter.

        Raises:
          AskedError: it cannot be read.
        """
        try:
            found = parsed(self.text("where"))
        except RunFilterError as error:
            raise AskedError(str(error)) from None
        sort = self.text("sort")
        name = sort.removeprefix("-")
        return RunFilter(found.terms, Sort(name, sort.startswith("-")) if name else found.sort)
