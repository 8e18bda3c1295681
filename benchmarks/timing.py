"""Timing programs against each other, and telling of it."""

from __future__ import annotations

import gc
import json
import os
import platform
import statistics
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

Program = Callable[[], None]
RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Row:
    """One figure and what it may be at most.

    Attributes:
      what: was measured.
      against: what.
      value: the figure.
      unit: of the figure and the budget.
      budget: the most that the figure may be.
    """

    what: str
    against: str
    value: float
    unit: str
    budget: float

    @property
    def met(self) -> bool:
        """Whether it is within its budget."""
        return self.value <= self.budget


def fastest(programs: Mapping[str, Program], turns: int) -> dict[str, float]:
    """Seconds that each of some programs takes, in the fastest of its turns.

    What slows the machine only ever adds to a time, so that the fastest is the one to compare.
    """
    return {name: min(found) for name, found in _times(programs, turns).items()}


def typical(programs: Mapping[str, Program], turns: int, reference: str) -> dict[str, float]:
    """How many times as long as a reference some programs take, in the middle of their turns.

    For programs of seconds, of which none has a turn that nothing slows: each is compared with the
    reference beside it.
    """
    times = _times(programs, turns)
    return {
        name: statistics.median(a / b for a, b in zip(found, times[reference], strict=True))
        for name, found in times.items()
    }


def _times(programs: Mapping[str, Program], turns: int) -> dict[str, list[float]]:
    """Seconds of each turn of some programs.

    They take turns, every second time in the opposite order, so that what slows the machine for a
    while slows all of them. What one leaves to Python's garbage collector is taken away before the
    next.
    """
    times: dict[str, list[float]] = {name: [] for name in programs}
    for program in programs.values():
        program()  # compiles
    order = list(programs)
    for _ in range(turns):
        for name in order:
            gc.collect()
            gc.freeze()
            start = time.perf_counter()
            programs[name]()
            times[name].append(time.perf_counter() - start)
        order.reverse()
    gc.unfreeze()
    return times


def machine() -> dict[str, Any]:
    """The facts that figures depend on."""
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
    """Prints figures as tables, and writes `results/{name}.json`, with the machine's facts."""
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
    RESULTS.mkdir(exist_ok=True)
    found = {
        "machine": machine(),
        **facts,
        "budgets": [asdict(row) | {"met": row.met} for row in rows],
        "grid": list(grid),
    }
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps(found, indent=2) + "\n")
    print(f"written to {path}", file=sys.stderr)


def _shown(value: float | int | None) -> str:
    if value is None:
        return ""
    return f"{value:.1f}" if isinstance(value, float) else str(value)
