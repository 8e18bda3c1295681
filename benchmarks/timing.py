"""Times programs in turns, and prints and stores the figures."""

from __future__ import annotations

import gc
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
from rich.console import Console
from rich.table import Table

from benchmarks import page

Program = Callable[[], None]
Clock = Callable[[], float]
"""Returns seconds. With `time.process_time`, the processors' time of all threads, other processes
of a busy machine count less."""
ONE_THREAD = {"NPROC": "1"}
"""The environment with which XLA has one thread; `--xla_cpu_multi_thread_eigen=false` changes
nothing."""


@dataclass(frozen=True)
class Row:
    """One figure and its budget.

    Attributes:
      what: the name of the measured program.
      against: the name of the reference.
      value: the figure.
      unit: the unit of the figure and the budget.
      budget: the largest figure that is accepted.
    """

    what: str
    against: str
    value: float
    unit: str
    budget: float

    @property
    def met(self) -> bool:
        """Whether the figure is within its budget."""
        return self.value <= self.budget


def fastest(
    programs: Mapping[str, Program], turns: int, clock: Clock = time.perf_counter
) -> dict[str, float]:
    """The seconds of each program in its fastest turn.

    Disturbances of the machine only add time, so the fastest turns are comparable.
    """
    return {name: min(found) for name, found in _times(programs, turns, clock).items()}


def typical(
    programs: Mapping[str, Program],
    turns: int,
    reference: str,
    clock: Clock = time.perf_counter,
) -> dict[str, float]:
    """The median ratio of each program's time to that of the reference in the same turn.

    For programs that take seconds, so that every turn is disturbed.
    """
    times = _times(programs, turns, clock)
    return {
        name: statistics.median(a / b for a, b in zip(found, times[reference], strict=True))
        for name, found in times.items()
    }


def _times(programs: Mapping[str, Program], turns: int, clock: Clock) -> dict[str, list[float]]:
    """The seconds of each turn of each program.

    Programs run in turns, in the opposite order every second time, so that a disturbance affects
    all of them. Python's garbage collector runs before each turn.
    """
    times: dict[str, list[float]] = {name: [] for name in programs}
    for program in programs.values():
        program()  # compiles
    order = list(programs)
    for _ in range(turns):
        for name in order:
            gc.collect()
            gc.freeze()
            start = clock()
            programs[name]()
            times[name].append(clock() - start)
        order.reverse()
    gc.unfreeze()
    return times


def measured_on_one_thread(module: str, turns: int) -> tuple[list[Row], list[dict[str, Any]]]:
    """The rows and the grid of a benchmark, from a process of its own where XLA has one thread.

    With several, the time that they wait for each other varies by more than what is measured.

    Args:
      module: the benchmark, which prints them with `print_measured` if it gets `--here`.
      turns: its turns.
    """
    done = subprocess.run(
        [sys.executable, "-m", module, "--turns", str(turns), "--here"],
        env={**os.environ, **ONE_THREAD},
        stdout=subprocess.PIPE,
        check=True,
    )
    found = json.loads(done.stdout.splitlines()[-1])
    return [Row(**row) for row in found["rows"]], found["grid"]


def print_measured(rows: Sequence[Row], grid: Sequence[Mapping[str, Any]]) -> None:
    """Prints rows and a grid for `measured_on_one_thread`."""
    print(json.dumps({"rows": [asdict(row) for row in rows], "grid": grid}))


def machine() -> dict[str, Any]:
    """The facts about the machine and its software that figures depend on."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        model = names[0].partition(":")[2].strip() if names else model
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "cpu": model,
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "jax": jax.__version__,
        "jaxlib": version("jaxlib"),
        "devices": [str(device) for device in jax.devices()],
    }


def tell(
    name: str,
    rows: Sequence[Row] = (),
    grid: Sequence[Mapping[str, Any]] = (),
    of_grid: str = "",
    **facts: Any,
) -> None:
    """Prints the figures as tables, and writes them to `results/{name}.json` and the pages."""
    console = Console()
    if rows:
        table = Table(title=f"{name}: jax {jax.__version__}, {jax.default_backend()}")
        for column in ("what", "against", "measured", "budget", ""):
            table.add_column(column)
        for row in rows:
            table.add_row(
                row.what,
                row.against,
                f"{row.value:.2f} {row.unit}",
                f"{row.budget:g} {row.unit}",
                "met" if row.met else "[bold red]missed",
            )
        console.print(table)
    if grid:
        table = Table(title=f"{name}: {of_grid}")
        for column, value in grid[0].items():
            table.add_column(column, justify="left" if isinstance(value, str) else "right")
        for line in grid:
            table.add_row(*(_shown(value) for value in line.values()))
        console.print(table)
    page.RESULTS.mkdir(exist_ok=True)
    found = {
        "machine": machine(),
        **facts,
        "budgets": [asdict(row) | {"met": row.met} for row in rows],
        "grid": list(grid),
    }
    path = page.RESULTS / f"{name}.json"
    path.write_text(json.dumps(found, indent=2) + "\n")
    page.fill()
    print(f"written to {path}, and to the pages with its figures", file=sys.stderr)


def _shown(value: float | int | None) -> str:
    if value is None:
        return ""
    return f"{value:.1f}" if isinstance(value, float) else str(value)
