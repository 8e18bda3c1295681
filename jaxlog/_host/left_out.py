"""Says which images and tables are left out."""

from __future__ import annotations

import threading

from jaxlog._say import log as _log


class LeftOut:
    """Warns about images and tables that cannot be logged: at the 1st, 10th, 100th, ... of a name.

    The values beside them are logged, and the run goes on.
    """

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._lock = threading.Lock()

    def add(self, name: str, reason: str) -> None:
        """Counts one, and says it if its number is a power of ten.

        Args:
          name: the call and the name of the value.
          reason: why it is left out, and what to do.
        """
        with self._lock:
            self._counts[name] = count = self._counts.get(name, 0) + 1
        if set(str(count)[1:]) <= {"0"} and str(count)[0] == "1":
            _log.warning(
                "jaxlog: %s: left out (%d so far), and the run goes on: %s", name, count, reason
            )
