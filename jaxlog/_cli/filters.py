"""Reads filters of runs from the command line, and says where one cannot be read."""

from __future__ import annotations

from dataclasses import replace

from jaxlog._cli.errors import CommandError
from jaxlog._reading.run_filter import RunFilter, RunFilterError, Sort, parsed
from jaxlog._terminal import plain


def filter_of(option: str, text: str, sort: str = "") -> RunFilter:
    """Reads a filter.

    Args:
      option: what the user calls it, for errors.
      text: the filter.
      sort: the name of a value that sorts the runs, with `-` for the largest first.

    Raises:
      CommandError: it cannot be read, or both have an order.
    """
    try:
        chosen = parsed(text)
    except RunFilterError as error:
        can_mark = plain(text) == text and error.at < len(text)
        mark = f"\n  {text}\n  {' ' * error.at}^" if can_mark else ""
        raise CommandError(f"{option}: {error}{mark}") from None
    if not sort:
        return chosen
    if chosen.sort is not None:
        raise CommandError(
            f"{option}: got {chosen.sort} and --sort {sort}, expected one order; leave out one"
        )
    return replace(chosen, sort=Sort(sort.removeprefix("-"), sort.startswith("-")))
