"""The processes of this machine: does one run, and did it run at some time already?"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

_PRECISION = 1.0
"""Seconds by which the start of a process may be wrong: Linux rounds the time of its boot."""


def is_alive(pid: Any) -> bool:
    """True if a process runs; also where the system cannot be asked."""
    if isinstance(pid, bool) or not isinstance(pid, int) or not 0 < pid < 2**31:
        return False
    if os.name != "posix":  # there `os.kill` does not only ask
        return True
    try:
        os.kill(pid, 0)
    except PermissionError:  # another user's process
        return True
    except OSError:
        return False
    return True


def runs_since(pid: Any, time: Any) -> bool | None:
    """True if a process runs that ran at a time already; None if that cannot be known here.

    A later process may have got the number of one that has ended.

    Args:
      pid: the number of the process.
      time: seconds since 1970.
    """
    if not is_alive(pid):
        return False
    state, began = _stat(pid)
    if state in (b"Z", b"X"):  # it has ended, and its parent has not asked how
        return False
    if began is None or isinstance(time, bool) or not isinstance(time, int | float):
        return None
    return began <= time + _PRECISION


def _stat(pid: int) -> tuple[bytes, float | None]:
    """The state of a process, and the seconds since 1970 at which it began, on Linux (proc(5))."""
    try:
        # Its name, in parentheses, may hold anything.
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        boot = next(
            float(line.split()[1])
            for line in Path("/proc/stat").read_bytes().splitlines()
            if line.startswith(b"btime ")
        )
        return fields[0], boot + int(fields[19]) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError, StopIteration):
        return b"", None
