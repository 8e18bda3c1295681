"""What run.json says of a run: what is known when it begins, and what became of it."""

from __future__ import annotations

import platform
import re
import secrets
import socket
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import orjson

from jaxlog.events import RunInfo
from jaxlog.host.worker import Worker

REDACTED = "(redacted)"

_SECRETS = {
    "password", "passwd", "pwd", "passphrase", "secret", "token", "credential", "auth",
    "authorization", "apikey", "api key", "access key", "private key", "secret key", "auth key",
    "wandb key",
}  # fmt: skip
_IN_URL = re.compile(r"(://[^:/@\s]*:)[^@/\s]+@")


def new_id() -> str:
    """An id for a run: 8 hexadecimal digits."""
    return secrets.token_hex(4)


def facts(info: RunInfo, settings: Mapping[str, Any], devices: list[str]) -> dict[str, Any]:
    """A copy of all that is known, in plain JSON values.

    Args:
      info: what sinks are told.
      settings: those of the logger.
      devices: those JAX has.
    """
    return {
        "id": info.id,
        "name": text(info.name),
        "tags": [text(tag) for tag in info.tags],
        "config": dict(info.config),
        "lanes": [dict(labels) for labels in info.lanes],
        "settings": without_secrets("settings", settings),
        "total_steps": info.total_steps,
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


def without_secrets(name: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """A copy in plain JSON values, in which texts under the name of a secret are left out.

    Such names are `api_key`, `password`, `token`; passwords in addresses are left out, too.

    Raises:
      TypeError: there is something that JSON cannot keep.
    """
    options = orjson.OPT_NON_STR_KEYS | orjson.OPT_SERIALIZE_NUMPY
    try:
        plain = orjson.loads(orjson.dumps(values, str, options))
    except TypeError as error:
        raise TypeError(
            f"{name}: cannot be kept in run.json: {error}; give a dict of numbers, texts, lists "
            "and dicts"
        ) from None
    return _without_secrets(plain)


def _without_secrets(value: Any, *, secret: bool = False) -> Any:
    if isinstance(value, dict):
        return {
            key: _without_secrets(inner, secret=secret or _names_a_secret(key))
            for key, inner in value.items()
        }
    if isinstance(value, list):
        return [_without_secrets(inner, secret=secret) for inner in value]
    if isinstance(value, str) and value:
        return REDACTED if secret else _IN_URL.sub(rf"\1{REDACTED}@", value)
    return value


def _names_a_secret(key: str) -> bool:
    """Whether its last words do: `wandbApiKey`, `api_keys`, `AUTH-TOKEN`; not `tokenizer`."""
    words = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", key)
    words = [word.lower().removesuffix("s") if len(word) > 3 else word.lower() for word in words]
    known = {secret.removesuffix("s") for secret in _SECRETS}
    return bool(words) and (words[-1] in known or " ".join(words[-2:]) in known)


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
        "failure": None if worker.failure is None else text(worker.failure),
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
