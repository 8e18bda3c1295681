"""What run.json says of a run: what is known when it begins, and what became of it."""

from __future__ import annotations

import platform
import secrets
import socket
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from jaxlog._format.events import RunInfo
from jaxlog._host.redaction import redacted, without_secrets
from jaxlog._host.worker import Worker


def new_id() -> str:
    """An id for a run: 8 hexadecimal digits."""
    return secrets.token_hex(4)


def facts(info: RunInfo, settings: Mapping[str, Any], devices: list[str]) -> dict[str, Any]:
    """A copy of all that is known, in plain values.

    Args:
      info: what sinks are told: without secrets.
      settings: those of the logger.
      devices: those JAX has.
    """
    return {
        "id": info.id,
        "name": text(info.name),
        "tags": [text(tag) for tag in info.tags],
        "config": dict(info.config),
        "lanes": [dict(labels) for labels in info.lanes],
        "settings": without_secrets("settings", settings)[0],
        "total_updates": info.total_updates,
        "host": socket.gethostname(),
        "versions": versions(),
        "git": _git(),
        "devices": devices,
    }


def text(text: str) -> str:
    """Text that UTF-8 can hold: a file's name may have bytes that are not."""
    return text.encode("utf-8", "replace").decode()


def versions() -> dict[str, str]:
    """Those of Python and of what a run depends on, as far as it is imported."""
    found = {"python": platform.python_version()}
    for name in ("jaxlog", "jax", "jaxlib", "numpy", "flax", "optax", "orbax.checkpoint"):
        version = getattr(sys.modules.get(name), "__version__", None)
        if version is not None:
            found[name] = str(version)
    return found


def _git() -> str | None:
    """The commit of the working directory, with `-dirty` where files differ; None without one."""
    try:
        found = subprocess.run(
            [
                "git",
                "--no-optional-locks",
                "describe",
                "--always",
                "--dirty",
                "--abbrev=40",
                "--exclude=*",
            ],
            capture_output=True,
            text=True,
            timeout=5,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip() or None


def status(error: BaseException | None) -> str:
    """How a run ended, by what ended it."""
    match error:
        case None:
            return "finished"
        case KeyboardInterrupt():
            return "interrupted"
        case SystemExit():
            return "exited"
        case _:
            return "failed"


def account(worker: Worker) -> dict[str, Any]:
    """What became of the records one sink was given."""
    return {
        "kind": worker.kind,
        "written": worker.written,
        "lost": worker.lost,
        "failure": None if worker.failure is None else redacted(text(worker.failure)),
    }


def loss(account: Mapping[str, Any]) -> str:
    """What one sink has lost, in words, of its `account`."""
    arrived = account["written"] + account["lost"]
    return (
        f"the sink {account['kind']} lost {account['lost']} of {arrived} records: "
        f"{account['failure']}"
    )


def session(facts: Mapping[str, Any]) -> dict[str, Any]:
    """What is kept of the run before it went on."""
    keys = (
        "started", "ended", "status", "error", "pid", "host", "devices", "versions", "git",
        "settings", "config", "arrived", "replayed", "sinks",
    )  # fmt: skip
    return {key: facts[key] for key in keys if key in facts}


def iso(seconds: float) -> str:
    """A time, as run.json has it."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
