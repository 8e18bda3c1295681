"""`jaxlog top`: all runs in one table, live, that keys filter, sort and open."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console, Group, RenderableType
from rich.text import Text

from jaxlog._cli import run_paths
from jaxlog._cli.errors import CommandError
from jaxlog._cli.keyboard import Keyboard, can_read_keys
from jaxlog._cli.output import LONGEST_ROW, Output
from jaxlog._cli.run_columns import state_line, table_lines
from jaxlog._cli.show import picture
from jaxlog._cli.stream import note
from jaxlog._cli.whole_screen import WholeScreen
from jaxlog._reading.finding import check_run, is_run
from jaxlog._reading.run_filter import RUN, RunFilter, RunFilterError, Sort, full_name, parsed
from jaxlog._terminal import plain
from jaxlog._watching.observed_run import observed
from jaxlog._watching.run_list import RunList
from jaxlog._watching.run_row import RunRow
from jaxlog._watching.state import differing

PERIOD = 1.0
"""The seconds between two looks at the files."""
READING = 0.25
"""The seconds that one look reads at most, so that keys are answered."""
HINT = "↑ ↓ select · Enter show · / filter · s sort · S reverse · q quit"
HINT_OF_RUN = "Esc back · q quit"

_Directory = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="DIR")]
_Filter = Annotated[str, tyro.conf.arg(aliases=["-f"])]


def top(directory: _Directory = run_paths.DIRECTORY, *, filter: _Filter = "") -> int:
    """Follow all runs in one table: status, progress, main metric with its trend, config.

    Keys: up and down select a run, Enter shows it, / filters, s sorts, q quits. If standard input
    or output is not a terminal, the table is printed once.

    Args:
      directory: The directory of the runs.
      filter: Show only the runs that match, such as "lr=3e-4 status:running return>400", sorted
        by "sort:-return".

    Returns:
      0.

    Raises:
      CommandError: the filter cannot be read.
      OSError: there is no such directory, or it cannot be read.
    """
    try:
        chosen = parsed(filter)
    except RunFilterError as error:
        raise CommandError(f"top: --filter: {error}") from None
    directory = run_paths.followed("top", directory)
    if not directory.is_dir():
        check_run(directory)
    if can_read_keys():
        TopScreen(directory, chosen).run(Keyboard())
        return 0
    found = RunList(directory)
    found.look()
    if not found.rows and not is_run(directory):
        check_run(directory)
    now, output = time.time(), Output(LONGEST_ROW)
    shown = chosen.select(found.rows, lambda row, name: row.value_of(name, now))
    output.say(state_line(found.rows, now).plain)
    for line in table_lines(shown, shown, output.width, now) if shown else ():
        output.print(line, soft_wrap=True)
    if unknown := unknown_names(chosen, found.rows):
        note(unknown)
    return 0


def unknown_names(chosen: RunFilter, rows: Sequence[RunRow]) -> str:
    """Says which names of a filter no run has; empty if there are none."""
    names = [name for name in chosen.names if not any(full_name(name, row.values) for row in rows)]
    return f"no run has {', '.join(map(plain, names))}" if names and rows else ""


class TopScreen:
    """The table in a terminal, the keys that change it, and one run that is shown alone.

    Args:
      directory: the directory of the runs.
      chosen: the filter at the beginning.
    """

    def __init__(self, directory: Path, chosen: RunFilter) -> None:
        self._directory = directory
        self._list = RunList(directory)
        self._filter = chosen
        self._typed: str | None = None  # the text in the box while it is edited
        self._problem = ""
        self._selected: Path | None = None
        self._opened: RunRow | None = None
        self._over = False

    def run(self, keyboard: Keyboard) -> None:
        """Shows the table until the user ends it."""
        console = Console(highlight=False, markup=False, emoji=False)
        looked = float("-inf")
        with WholeScreen(console, keyboard) as screen:
            while not self._over:
                if self._list.unread or time.monotonic() >= looked + PERIOD:
                    self._list.look(READING)
                    looked = time.monotonic()
                screen.show(self._drawn(*console.size))
                wait = 0.0 if self._list.unread else max(0.0, looked + PERIOD - time.monotonic())
                key = keyboard.key(wait)
                while key is not None:  # all that was typed, before the table is drawn again
                    self._press(key)
                    key = None if self._over else keyboard.key(0.0)

    def _shown(self) -> list[RunRow]:
        now = time.time()
        return self._filter.select(self._list.rows, lambda row, name: row.value_of(name, now))

    def _press(self, key: str) -> None:
        if key == "end of input":
            self._over = True
        elif self._typed is not None:
            self._edit(self._typed, key)
        elif self._opened is not None:
            if key in ("escape", "enter", "backspace"):
                self._opened = None
            self._over = key == "q"
        else:
            self._command(key)

    def _edit(self, typed: str, key: str) -> None:
        """Changes the text in the box; the table follows as soon as it can be read."""
        match key:
            case "enter":
                self._typed = None if not self._problem else typed
                return
            case "escape":
                self._typed, self._problem = None, ""
                return
            case "backspace":
                typed = typed[:-1]
            case "clear":
                typed = ""
            case _ if len(key) == 1:
                typed += key
        self._typed, self._problem = typed, ""
        try:
            self._filter = parsed(typed)
        except RunFilterError as error:
            self._problem = str(error)

    def _command(self, key: str) -> None:
        rows = self._shown()
        place = self._place(rows)
        moves = {"up": -1, "k": -1, "down": 1, "j": 1, "page up": -10, "page down": 10}
        moves |= {"home": -len(rows), "g": -len(rows), "end": len(rows), "G": len(rows)}
        match key:
            case "q":
                self._over = True
            case "/":
                self._typed = f"{self._filter} ".lstrip()
            case "escape":
                self._filter = RunFilter(sort=self._filter.sort)
            case "s":
                self._sort(rows)
            case "S" if self._filter.sort is not None:
                sort = self._filter.sort
                self._filter = RunFilter(
                    self._filter.terms, sort._replace(descending=not sort.descending)
                )
            case "enter" if rows:
                self._opened = rows[place]
            case _ if key in moves and rows:
                self._selected = rows[max(0, min(len(rows) - 1, place + moves[key]))].path

    def _sort(self, rows: Sequence[RunRow]) -> None:
        """Sorts by the next column; after the last one, the newest come first again."""
        metric = next((row.metric for row in rows if row.metric), None)
        orders = [Sort(metric, descending=True)] if metric else []
        orders += [Sort("progress", descending=True), Sort("left"), Sort("speed", descending=True)]
        orders += [Sort("status"), Sort(RUN), *map(Sort, differing(rows))]
        names = [order.name for order in orders]
        sort = self._filter.sort
        place = names.index(sort.name) + 1 if sort is not None and sort.name in names else 0
        following = orders[place] if place < len(orders) else None
        self._filter = RunFilter(self._filter.terms, following)

    def _place(self, rows: Sequence[RunRow]) -> int:
        """The place of the selected run, which may have been removed."""
        return next((i for i, row in enumerate(rows) if row.path == self._selected), 0)

    def _drawn(self, width: int, height: int) -> RenderableType:
        if self._opened is not None:
            return self._one(self._opened, width, height)
        now, rows, everything = time.time(), self._shown(), self._list.rows
        state = state_line(everything, now)
        if len(rows) < len(everything):
            state.append(f" · {len(rows):,} of {len(everything):,} shown", "yellow")
        if self._list.unread:
            state.append(f" · reading {self._list.unread:,}", "dim")
        if not everything:
            state = Text(f"no runs in {plain(str(self._directory))} yet", "dim")
        state.no_wrap, state.overflow = True, "ellipsis"
        room = max(1, height - 4)
        place = self._place(rows)
        first = max(0, min(place - room // 2, len(rows) - room))
        visible = rows[first : first + room]
        lines = table_lines(visible, rows, width, now) if visible else []
        if visible:
            lines[1 + place - first].stylize("reverse")
        filling = [Text()] * (room + 1 - len(lines))
        return Group(state, *lines, *filling, Text(), *self._box(rows))

    def _box(self, rows: Sequence[RunRow]) -> list[Text]:
        """The last line: what is typed, or the filter and the keys."""
        problem = self._problem or ("" if rows else unknown_names(self._filter, self._list.rows))
        parts = [(plain(problem), "red")] if problem else []
        if self._typed is not None:
            hint = parts or [("Enter keeps the filter", "dim")]
            return [_line(("/" + self._typed, "bold"), ("█", ""), ("  ", ""), *hint)]
        if text := str(self._filter):
            parts = [(f"/{text}", "bold"), ("  ", ""), *parts]
        return [_line(*parts, ("" if problem else HINT, "dim"))]

    def _one(self, row: RunRow, width: int, height: int) -> RenderableType:
        try:
            drawn: RenderableType = picture(observed(row.path), width, height - 2)
        except OSError as error:  # it was removed
            drawn = Text(plain(str(error)), "red")
        lines = Console(width=width).render_lines(drawn, pad=False)
        return Group(
            drawn, *[Text()] * max(0, height - 1 - len(lines)), _line((HINT_OF_RUN, "dim"))
        )


def _line(*parts: tuple[str, str]) -> Text:
    return Text.assemble(*parts, no_wrap=True, overflow="ellipsis")
