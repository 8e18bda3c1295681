"""`jaxlog runs`: finds runs by their config, status, tags and last values."""

from __future__ import annotations

import gc
import io
import time
from collections.abc import Mapping, Sequence
from csv import DictWriter
from pathlib import Path
from typing import Annotated, Any

import orjson
import tyro

from jaxlog._cli import run_paths
from jaxlog._cli.errors import CommandError
from jaxlog._cli.filters import filter_of
from jaxlog._cli.output import LONGEST_ROW, Output
from jaxlog._cli.run_columns import RunColumn, alarm, cell_text, drawn, table_lines
from jaxlog._cli.stream import out
from jaxlog._format.nonfinite import without_nonfinite
from jaxlog._reading.run_filter import no_such_names
from jaxlog._terminal import escaped, plain
from jaxlog._text import counted
from jaxlog._watching.run_index import IndexedRun, names_of, selected, statuses, unknown_names
from jaxlog._watching.run_record import flattened, record

NEWEST = 20
"""The number of runs that are listed by default."""
_WIDTH = 60
"""The width of a value; longer ones are cut."""

_Directory = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="DIR")]
_Where = Annotated[str, tyro.conf.arg(aliases=["-w"], metavar="FILTER")]
_Sort = Annotated[str, tyro.conf.arg(metavar="NAME")]
_Number = Annotated[int, tyro.conf.arg(aliases=["-n"], metavar="N")]
_Columns = Annotated[str, tyro.conf.arg(metavar="NAMES")]


def runs(
    directory: _Directory = run_paths.DIRECTORY,
    *,
    where: _Where = "",
    sort: _Sort = "",
    number: _Number = NEWEST,
    columns: _Columns = "",
    json: bool = False,
    csv: bool = False,
) -> int:
    """Find runs by their config, status, tags and last values, and list them.

    Args:
      directory: The directory of the runs.
      where: Only the runs that match, such as "lr=3e-4 env=CartPole return>400 tag:best".
      sort: The value that sorts the runs, the smallest first; --sort=-return is the largest
        first. By default, the newest run is first.
      number: The number of runs that are listed; 0 for all.
      columns: The columns, with commas between them, such as lr,env,return.
      json: Print a JSON array with an object for each run.
      csv: Print a table with commas.

    Returns:
      0.

    Raises:
      CommandError: the filter cannot be read, or no run has a value of a name.
      OSError: there is no such directory, or it has no runs.
    """
    if json and csv:
        raise CommandError("runs: got --json and --csv, expected one of them")
    if number < 0:
        raise CommandError(f"runs: -n: got {number}, expected 0 for all runs, or more")
    gc.disable()  # there are no cycles to collect, and looking for them takes a fifth of the time
    chosen = filter_of("runs: --where", where, sort)
    names = [name for part in columns.split(",") if (name := part.strip())]
    found = run_paths.indexed(directory)
    now = time.time()
    if missing := unknown_names((*chosen.names, *names), found):
        raise CommandError(f"runs: {no_such_names(missing, names_of(found))}")
    if chosen.sort is None:
        found.sort(key=lambda one: one.began, reverse=True)
    matching = selected(found, chosen, now)
    shown = matching[:number] if number else matching
    if json or csv:
        rows = [_named(one, names, now) for one in shown] if names else list(map(record, shown))
        out(_as_json(rows) if json else _as_csv(rows if names else flattened(rows)))
        return 0
    output = Output(LONGEST_ROW)
    counts = ", ".join(f"{count:,} {status}" for status, count in statuses(found).most_common())
    matched = f" · {len(matching):,} match" if chosen.terms else ""
    cut = len(shown) < len(matching)
    more = f" · the first {len(shown):,} are listed, -n 0 lists all" if cut else ""
    output.say(f"{counted(len(found), 'run')}: {counts}{matched}{more}")
    if not shown:
        return 0
    if names:
        lines = drawn(_columns(shown, names, now), output.width)
    else:
        rows = [one.row for one in shown]
        lines = table_lines(rows, rows, output.width, now)
    for line in lines:
        output.print(line, soft_wrap=True)
    return 0


def _named(one: IndexedRun, names: Sequence[str], now: float) -> dict[str, Any]:
    return {"run": one.name, **{name: one.value_of(name, now) for name in names}}


def _columns(shown: Sequence[IndexedRun], names: Sequence[str], now: float) -> list[RunColumn]:
    unstyled = [""] * len(shown)
    found = [RunColumn("run", [plain(one.name) for one in shown], unstyled, 0, right=False)]
    for place, name in enumerate(names, 1):
        cells = [cell_text(one.value_of(name, now), _WIDTH) for one in shown]
        found.append(RunColumn(plain(name), cells, unstyled, place))
    alarms = [alarm(one.row, now) if one.may_have_alarm else "" for one in shown]
    if any(alarms):
        found.append(RunColumn("alarm", alarms, ["red"] * len(shown), 0, right=False))
    return found


def _as_json(rows: Sequence[Mapping[str, Any]]) -> str:
    """An array with an object on each line; a number that is not finite as in a run's lines."""
    lines: list[str] = []
    for row in rows:
        finite, nonfinite = without_nonfinite(row)
        if nonfinite:
            finite["nonfinite"] = nonfinite
        lines.append(escaped(orjson.dumps(finite, default=str).decode()))
    return "[\n" + ",\n".join(lines) + "\n]" if lines else "[]"


def _as_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """A line for each run; a missing value is empty, and lists are JSON."""
    text = io.StringIO()
    writer = DictWriter(text, list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({key: _cell(value) for key, value in row.items()})
    return text.getvalue().rstrip("\n")


def _cell(value: Any) -> Any:
    match value:
        case bool():
            return "true" if value else "false"
        case tuple():
            return ", ".join(map(str, value))
        case list() | dict():
            return orjson.dumps(value, default=str).decode()
        case _:
            return value
