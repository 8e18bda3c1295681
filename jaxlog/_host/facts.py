"""The facts about a run that are known when it begins, for run.json."""

from __future__ import annotations

import platform
import secrets
import socket
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from jaxlog._format.events import RunInfo
from jaxlog._format.what_ran import PARTS
from jaxlog._host.redaction import without_secrets
from jaxlog._limits import as_utf8


def new_id() -> str:
    """An id for a run: 8 hexadecimal digits."""
    return secrets.token_hex(4)


def facts(
    info: RunInfo, settings: Mapping[str, Any], chosen: Sequence[str], devices: list[str]
) -> dict[str, Any]:
    """The facts that run.json has from the beginning, as plain JSON values.

    `WhatRan` adds those that take longer to find, such as the commit.

    Args:
      info: the run's info, without secrets.
      settings: the logger's settings.
      chosen: the names of those that are not as they are by default.
      devices: the devices that the program can run on.
    """
    return {
        "id": info.id,
        "name": as_utf8(info.name),
        "directory": None if info.directory is None else as_utf8(str(info.directory.absolute())),
        "tags": [as_utf8(tag) for tag in info.tags],
        "config": dict(info.config),
        "lanes": [dict(labels) for labels in info.lanes],
        "settings": without_secrets("settings", settings)[0],
        "chosen_settings": list(chosen),
        "total_updates": info.total_updates,
        "host": socket.gethostname(),
        "versions": versions(),
        "git": None,
        "devices": devices,
    }


def versions() -> dict[str, str]:
    """The versions of Python and of those packages a run depends on that are imported."""
    found = {"python": platform.python_version()}
    for name in ("jaxlog", "jax", "jaxlib", "numpy", "flax", "optax", "orbax.checkpoint"):
        version = getattr(sys.modules.get(name), "__version__", None)
        if version is not None:
            found[name] = str(version)
    return found


def session(facts: Mapping[str, Any]) -> dict[str, Any]:
    """The facts that run.json keeps about an earlier session, from the run.json of its end."""
    keys = (
        "started", "ended", "status", "error", "pid", "host", "devices", "versions", "git",
        *PARTS, "settings", "config", "arrived", "replayed", "sinks", "opened", "seconds_before",
        "seconds", "compile_seconds",
    )  # fmt: skip
    found = {key: facts[key] for key in keys if key in facts}
    if isinstance(code := found.get("code"), Mapping):  # many resumptions would add up
        found["code"] = {key: code[key] for key in code if key != "untracked_files"}
    return found


def iso(seconds: float) -> str:
    """A time in seconds since 1970, as run.json has it."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
